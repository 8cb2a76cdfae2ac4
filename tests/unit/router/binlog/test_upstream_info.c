/* SPDX-License-Identifier: Apache-2.0 */
/* master-info.json: round trip, MaxScale's file, keys, damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "conf/secrets.h"
#include "router/binlog/upstream_info.h"
#include "router/binlog/upstream_internal.h"

static char dir[64], path[128], key_path[128];
static struct sl_err err;

static int make_dir(void **state)
{
    strcpy(dir, "/tmp/sl-info-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/%s", dir, SL_MASTER_INFO_FILE);
    snprintf(key_path, sizeof(key_path), "%s/%s", dir, SL_SECRETS_FILE);
    return 0;
}

static int remove_dir(void **state)
{
    unlink(path);
    unlink(key_path);
    return rmdir(dir);
}

static void put_file(const char *text)
{
    struct sl_file_options options = {.mode = 0644};
    assert_int_equal(sl_file_write(path, text, &options, &err), SL_OK);
}

static char *file_text(void)
{
    char *text;
    size_t len;
    assert_int_equal(sl_file_read(path, 65536, &text, &len, &err), SL_OK);
    return text;
}

static struct sl_upstream_info sample(void)
{
    return (struct sl_upstream_info){.is_running = true,
                                     .target = {.host = (char *)"db.example",
                                                .port = 3310,
                                                .user = (char *)"repl",
                                                .password = (char *)"s\"ecret\xc3\xa9",
                                                .ssl = true,
                                                .ssl_ca = (char *)"/ca.pem",
                                                .heartbeat_period_ms = 2500}};
}

static void test_round_trip(void **state)
{
    struct sl_upstream_info in = sample(), read = {0};
    bool was_plain = true;
    assert_int_equal(sl_upstream_info_write(dir, NULL, &in, &err), SL_OK);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(key_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0400);
    char *text = file_text();
    assert_null(strstr(text, "ecret"));
    sl_free(text);
    assert_int_equal(sl_upstream_info_read(dir, NULL, &read, &was_plain, &err), SL_OK);
    assert_false(was_plain);
    assert_true(read.is_running);
    assert_false(read.selects_master);
    assert_string_equal(read.target.host, "db.example");
    assert_string_equal(read.target.password, "s\"ecret\xc3\xa9");
    assert_int_equal(read.target.port, 3310);
    assert_int_equal(read.target.heartbeat_period_ms, 2500);
    assert_true(read.target.ssl);
    assert_string_equal(read.target.ssl_ca, "/ca.pem");
    assert_null(read.target.ssl_key);
    sl_upstream_target_clear(&read.target);
}

/* As MaxScale 24.02 leaves it. */
static void test_maxscale(void **state)
{
    struct sl_upstream_info read = {.selects_master = true};
    bool was_plain = false;
    put_file("{\"slave_running\":true,\"host\":\"127.0.0.1\",\"port\":3000,\"user\":\"maxskysql\","
             "\"password\":\"skysql\",\"use_gtid\":true,\"ssl\":false,\"ssl_ca\":\"\","
             "\"ssl_capath\":\"\",\"ssl_cert\":\"\",\"ssl_crl\":\"\",\"ssl_crlpath\":\"\","
             "\"ssl_key\":\"\",\"ssl_cipher\":\"\",\"ssl_verify_server_cert\":false}");
    assert_int_equal(sl_upstream_info_read(dir, NULL, &read, &was_plain, &err), SL_OK);
    assert_true(was_plain);
    assert_true(read.is_running);
    assert_true(read.selects_master); /* it does not say */
    assert_string_equal(read.target.password, "skysql");
    assert_null(read.target.ssl_ca);
    assert_int_equal(sl_upstream_info_write(dir, NULL, &read, &err), SL_OK);
    sl_upstream_target_clear(&read.target);
    char *text = file_text();
    assert_null(strstr(text, "\"skysql\""));
    sl_free(text);
}

static void test_daemon_key(void **state)
{
    struct sl_secrets *secrets;
    struct sl_upstream_info in = sample(), read = {0};
    bool was_plain;
    assert_int_equal(sl_secrets_create(dir, NULL, &err), SL_OK);
    assert_int_equal(sl_secrets_load(dir, &secrets, &err), SL_OK);
    unlink(key_path);
    assert_int_equal(sl_upstream_info_write(dir, secrets, &in, &err), SL_OK);
    assert_int_not_equal(access(key_path, F_OK), 0); /* no second key */
    assert_int_equal(sl_upstream_info_read(dir, secrets, &read, &was_plain, &err), SL_OK);
    assert_string_equal(read.target.password, in.target.password);
    sl_upstream_target_clear(&read.target);
    /* The key is gone: named, nothing is taken. */
    assert_int_equal(sl_upstream_info_read(dir, NULL, &read, &was_plain, &err), SL_EINVAL);
    assert_non_null(strstr(err.text, "CHANGE MASTER TO"));
    assert_null(read.target.host);
    sl_secrets_free(secrets);
}

static void test_damage(void **state)
{
    static const char *const bad[] = {"",
                                      "[]",
                                      "{\"port\": 70000}",
                                      "{\"port\": \"3306\"}",
                                      "{\"host\": 5}",
                                      "{\"slave_running\": 1}",
                                      "{\"password\": \"geheim\", \"port\": -1}",
                                      "{\"host\": \"a\""};
    struct sl_upstream_info read = {0};
    bool was_plain;
    assert_int_equal(sl_upstream_info_read(dir, NULL, &read, &was_plain, &err), SL_ENOENT);
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        put_file(bad[i]);
        assert_int_equal(sl_upstream_info_read(dir, NULL, &read, &was_plain, &err), SL_EINVAL);
        assert_non_null(strstr(err.text, path));
        assert_null(strstr(err.text, "geheim"));
        assert_null(read.target.password);
    }
}

static void test_no_memory(void **state)
{
    struct sl_upstream_info in = sample();
    assert_int_equal(sl_upstream_info_write(dir, NULL, &in, &err), SL_OK);
    bool was_plain;
    for (unsigned n = 1;; n++) {
        struct sl_upstream_info read = {0};
        sl_mem_fail_after(n);
        int rc = sl_upstream_info_read(dir, NULL, &read, &was_plain, &err);
        sl_mem_fail_after(0);
        sl_upstream_target_clear(&read.target);
        if (rc == SL_OK) {
            break;
        }
        assert_int_equal(rc, SL_ENOMEM);
    }
}

static void test_target(void **state)
{
    struct sl_upstream_target t = {0}, copy;
    assert_int_equal(sl_upstream_target_complete(&t, &err), SL_EINVAL);
    assert_non_null(strstr(err.text, "MASTER_HOST, MASTER_PORT, MASTER_USER, MASTER_PASSWORD"));
    struct sl_upstream_info in = sample();
    assert_int_equal(sl_upstream_target_complete(&in.target, &err), SL_OK);
    assert_int_equal(sl_upstream_target_check(&in.target, &err), SL_OK);
    in.target.ssl_cert = (char *)"/c.pem";
    assert_int_equal(sl_upstream_target_check(&in.target, &err), SL_EINVAL);
    in.target.ssl_key = (char *)"/k.pem";
    in.target.ssl_capath = (char *)"/etc/ssl";
    assert_int_equal(sl_upstream_target_check(&in.target, &err), SL_ENOTSUP);
    for (unsigned n = 1;; n++) {
        sl_mem_fail_after(n);
        int rc = sl_upstream_target_copy(&copy, &in.target);
        sl_mem_fail_after(0);
        if (rc == SL_OK) {
            break;
        }
        assert_int_equal(rc, SL_ENOMEM);
        assert_null(copy.host);
    }
    assert_string_equal(copy.ssl_capath, "/etc/ssl");
    assert_string_equal(copy.password, in.target.password);
    sl_upstream_target_clear(&copy);
    assert_null(copy.password);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_maxscale, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_daemon_key, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_damage, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_no_memory, make_dir, remove_dir),
        cmocka_unit_test(test_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
