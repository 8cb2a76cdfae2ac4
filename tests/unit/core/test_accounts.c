/* SPDX-License-Identifier: Apache-2.0 */
/* The builder, JSON of grant tables and files, and every failing allocation on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/mem.h"
#include "core/accounts_internal.h"

static const struct sl_account *only(const char *json, struct sl_accounts **ret)
{
    struct sl_accounts_builder *b = sl_accounts_builder_new();
    assert_int_equal(sl_accounts_builder_add_global_priv(b, "u", "h", json), 0);
    *ret = sl_accounts_build(b);
    assert_non_null(*ret);
    assert_int_equal(sl_accounts_count(*ret), 1);
    return sl_accounts_at(*ret, 0, NULL);
}

static void test_global_priv(void **state)
{
    struct sl_accounts *a;
    const struct sl_account *u = only("{\"access\":18446744073709551615}", &a);
    assert_true(u->is_super && u->has_global_db_access);
    assert_int_equal(u->auth_count, 1);
    assert_int_equal(u->auth[0].plugin, SL_AUTH_NATIVE);
    assert_string_equal(u->auth[0].string, "");
    sl_accounts_unref(a);

    u = only("{\"access\":549755812863,\"version_id\":101119,\"plugin\":\"mysql_native_password\","
             "\"authentication_string\":"
             "\"*AB\",\"default_role\":\"r\",\"account_locked\":true,\"ssl_type\":2,\"password_"
             "last_changed\":0,"
             "\"password_lifetime\":-1}",
             &a);
    assert_true(u->is_locked && u->is_expired && u->requires_tls && u->requires_x509);
    assert_string_equal(u->default_role, "r");
    assert_string_equal(u->auth[0].string, "*AB");
    sl_accounts_unref(a);

    u = only("{\"plugin\":\"mysql_native_password\",\"authentication_string\":\"*X\",\"auth_or\":[{"
             "\"plugin\":\"ed25519\","
             "\"authentication_string\":\"k\"},{},{\"plugin\":\"unix_socket\"},{\"plugin\":\"pam\"}"
             ",{\"plugin\":\"gssapi\"}]}",
             &a);
    assert_int_equal(u->auth_count, 4);
    assert_int_equal(u->auth[0].plugin, SL_AUTH_ED25519);
    assert_string_equal(u->auth[0].string, "k");
    assert_int_equal(u->auth[1].plugin, SL_AUTH_NATIVE);
    assert_string_equal(u->auth[1].string, "*X");
    assert_int_equal(u->auth[2].plugin, SL_AUTH_UNIX_SOCKET);
    assert_int_equal(u->auth[3].plugin, SL_AUTH_PAM);
    sl_accounts_unref(a);

    u = only("{\"password_last_changed\":1000,\"password_lifetime\":1,\"plugin\":\"weird\"}", &a);
    assert_true(u->is_expired);
    assert_int_equal(u->auth[0].plugin, SL_AUTH_OTHER);
    assert_string_equal(u->auth[0].plugin_name, "weird");
    sl_accounts_unref(a);
}

static void test_bad_json(void **state)
{
    char deep[4096];
    static const char *const bad[] = {"",
                                      "[]",
                                      "{",
                                      "null",
                                      "\"x\"",
                                      "{\"a\":}",
                                      "{\"access\":1",
                                      "\xff\xfe",
                                      "{\"a\":\"\\u0000\"}"};
    struct sl_accounts_builder *b = sl_accounts_builder_new();
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        assert_int_equal(sl_accounts_builder_add_global_priv(b, "u", "h", bad[i]), SL_EINVAL);
    }
    memset(deep, '[', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    assert_int_equal(sl_accounts_builder_add_global_priv(b, "u", "h", deep), SL_EINVAL);
    /* Odd types are as good as absent. */
    assert_int_equal(
        sl_accounts_builder_add_global_priv(
            b, "u", "h", "{\"access\":\"x\",\"plugin\":1,\"auth_or\":{},\"ssl_type\":[]}"),
        0);
    assert_int_equal(sl_accounts_builder_add_global_priv(
                         b, "v", "h", "{\"auth_or\":[1,\"[[[\",null],\"access\":-1}"),
                     0);
    assert_int_equal(sl_accounts_builder_count(b), 2);
    sl_accounts_unref(sl_accounts_build(b));
}

static void test_order_and_doubles(void **state)
{
    static const char *const hosts[] = {"%",    "10.0.0.%",  "10.0.0.1", "localhost",
                                        "10.%", "127.0.0.1", "10.0.0.1"};
    static const char *const expected[] = {"localhost", "127.0.0.1", "10.0.0.1",
                                           "10.0.0.%",  "10.%",      "%"};
    struct sl_accounts_builder *b = sl_accounts_builder_new();
    for (size_t i = 0; i < SL_ARRAY_LEN(hosts); i++) {
        struct sl_account u = {
            .user = "u",
            .host = hosts[i],
            .auth_count = 1,
            .auth = {{SL_AUTH_NATIVE, "mysql_native_password", i == 6 ? "second" : "first"}}};
        assert_int_equal(sl_accounts_builder_add_account(b, &u, false), 0);
    }
    struct sl_account role = {.user = "u", .host = "ignored"};
    assert_int_equal(sl_accounts_builder_add_account(b, &role, true), 0);
    assert_int_equal(sl_accounts_builder_add_proxy(b, "u", "10.%"), 0);
    assert_int_equal(sl_accounts_builder_add_proxy(b, "nobody", "10.%"), 0);
    struct sl_accounts *a = sl_accounts_build(b);
    bool is_role = true;
    assert_int_equal(sl_accounts_count(a), 7);
    for (unsigned i = 0; i < SL_ARRAY_LEN(expected); i++) {
        const struct sl_account *u = sl_accounts_at(a, i, &is_role);
        assert_false(is_role);
        assert_string_equal(u->host, expected[i]);
        assert_string_equal(u->auth[0].string, "first");
        assert_int_equal(u->has_proxy_grant, strcmp(u->host, "10.%") == 0);
    }
    assert_string_equal(sl_accounts_at(a, 6, &is_role)->host, "");
    assert_true(is_role);
    assert_ptr_equal(sl_accounts_ref(a), a);
    sl_accounts_unref(a);
    sl_accounts_unref(a);
    sl_accounts_unref(NULL);
    sl_accounts_builder_free(NULL);
}

static void test_many(void **state)
{
    char name[32];
    struct sl_accounts_builder *b = sl_accounts_builder_new();
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof(name), "user%d", i);
        struct sl_account u = {
            .user = name, .host = "%", .auth_count = 1, .auth = {{SL_AUTH_NATIVE, "", name}}};
        assert_int_equal(sl_accounts_builder_add_account(b, &u, false), 0);
        assert_int_equal(sl_accounts_builder_add_db(b, name, "%", "db"), 0);
    }
    struct sl_accounts *a = sl_accounts_build(b);
    for (int i = 0; i < 20000; i += 7) {
        snprintf(name, sizeof(name), "user%d", i);
        const struct sl_account_group *g = sl_accounts_group(a, sl_slice_text(name));
        assert_non_null(g);
        assert_int_equal(g->accounts.count, 1);
        assert_int_equal(g->dbs.count, 1);
        assert_string_equal(a->entries[g->accounts.at].account.auth[0].string, name);
    }
    assert_null(sl_accounts_group(a, sl_slice_text("user20000")));
    sl_accounts_unref(a);
}

static const char file[] =
    "{\"user\":[{\"user\":\"f\",\"host\":\"%\",\"password\":\"*H\",\"super_priv\":\"Y\",\"global_"
    "db_priv\":true},"
    "{\"user\":\"r\",\"is_role\":\"Y\"},{\"user\":\"e\",\"host\":\"10.%\",\"plugin\":\"ed25519\","
    "\"authentication_string\":\"k\","
    "\"default_role\":\"r\",\"proxy_priv\":1}],\"db\":[{\"user\":\"r\",\"db\":\"d\"}],"
    "\"roles_mapping\":[{\"user\":\"e\",\"host\":\"10.%\",\"role\":\"r\"}],\"other\":5}";

static void test_file(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_accounts_builder *b = sl_accounts_builder_new();
    struct sl_account server = {
        .user = "f", .host = "%", .auth_count = 1, .auth = {{SL_AUTH_NATIVE, "", "*SERVER"}}};
    assert_int_equal(sl_accounts_builder_add_account(b, &server, false), 0);
    assert_int_equal(sl_accounts_file_parse(sl_slice_text(file), b, &err), 0);
    struct sl_accounts *a = sl_accounts_build(b);
    assert_int_equal(sl_accounts_count(a), 3);
    const struct sl_account *e = sl_accounts_at(a, 0, NULL), *f = sl_accounts_at(a, 1, NULL);
    assert_string_equal(f->auth[0].string, "*SERVER");
    assert_int_equal(e->auth[0].plugin, SL_AUTH_ED25519);
    assert_true(e->has_proxy_grant);
    assert_true(sl_accounts_db_is_allowed(a, e, sl_slice_text("d"), 0));
    assert_false(sl_accounts_db_is_allowed(a, e, sl_slice_text("x"), 0));
    sl_accounts_unref(a);

    static const char *const bad[] = {"",
                                      "[]",
                                      "{\"user\":{}}",
                                      "{\"user\":[1]}",
                                      "{\"user\":[{\"host\":\"%\"}]}",
                                      "{\"user\":[{\"user\":\"x\"}]}",
                                      "{\"db\":[{\"user\":\"x\"}]}",
                                      "{\"roles_mapping\":[{\"role\":\"x\"}]}",
                                      "{\"user\":[}"};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        b = sl_accounts_builder_new();
        err = (struct sl_err)SL_ERR_INIT;
        assert_int_equal(sl_accounts_file_parse(sl_slice_text(bad[i]), b, &err), SL_EINVAL);
        assert_string_not_equal(err.text, "");
        sl_accounts_builder_free(b);
    }
    b = sl_accounts_builder_new();
    assert_int_equal(sl_accounts_file_load("/nonexistent/accounts", b, &err), SL_ESYS);
    assert_int_equal(sl_accounts_file_load("/", b, &err), SL_ELIMIT);
    char pipe[] = "/tmp/accounts_pipe_XXXXXX"; /* nobody writes: must not wait for that */
    int fd = mkstemp(pipe);
    assert_true(fd >= 0 && close(fd) == 0 && unlink(pipe) == 0 && mkfifo(pipe, 0600) == 0);
    assert_int_equal(sl_accounts_file_load(pipe, b, &err), SL_ELIMIT);
    unlink(pipe);
    sl_accounts_builder_free(b);
}

/* Everything once, stopping at the first failure; true if nothing failed. */
static bool build_all(void)
{
    struct sl_accounts_builder *b = sl_accounts_builder_new();
    if (b == NULL) {
        return false;
    }
    int rc = sl_accounts_builder_add_global_priv(
        b, "u", "%", "{\"access\":1,\"auth_or\":[{},{\"plugin\":\"ed25519\"}]}");
    char name[16];
    for (int i = 0; rc == 0 && i < 80; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        rc = sl_accounts_builder_add_db(b, name, "%", name);
        rc = rc == 0 ? sl_accounts_builder_add_exact_db(b, name, "%", "x") : rc;
        rc = rc == 0 ? sl_accounts_builder_add_role(b, name, "%", "r") : rc;
    }
    rc = rc == 0 ? sl_accounts_builder_add_database(b, "d") : rc;
    rc = rc == 0 ? sl_accounts_builder_add_proxy(b, "u", "%") : rc;
    rc = rc == 0 ? sl_accounts_file_parse(sl_slice_text(file), b, NULL) : rc;
    if (rc != 0) {
        assert_int_equal(rc, SL_ENOMEM);
        sl_accounts_builder_free(b);
        return false;
    }
    struct sl_accounts *a = sl_accounts_build(b);
    sl_accounts_unref(a);
    return a != NULL;
}

static void test_allocation_sweep(void **state)
{
    unsigned failures = 0;
    for (uint64_t n = 1; n < 1000; n++) {
        sl_mem_fail_after(n);
        bool done = build_all();
        sl_mem_fail_after(0);
        if (done) {
            break;
        }
        failures++;
    }
    assert_true(failures > 20);
    assert_true(build_all());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_global_priv),
        cmocka_unit_test(test_bad_json),
        cmocka_unit_test(test_order_and_doubles),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_allocation_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
