/* SPDX-License-Identifier: Apache-2.0 */
/* Key files, server ids that are made, directories, times of PURGE. */
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

#include "base/error.h"
#include "router/binlog/config.h"
#include "router/binlog/sql.h"

#define KEY_16 "00112233445566778899aAbBcCdDeEfF"
#define KEY_32 KEY_16 KEY_16

static int find(const char *text, const char *id, struct sl_store_key *key, struct sl_err *err)
{
    *err = (struct sl_err)SL_ERR_INIT;
    return sl_relay_key_find(sl_slice_text(text), id, key, err);
}

static void keys(void **state)
{
    struct sl_store_key key;
    struct sl_err err;
    const char *file = "# keys\n\n 1;" KEY_16 "\r\n2 ; " KEY_32 " \n10;" KEY_16;
    assert_int_equal(find(file, "1", &key, &err), SL_OK);
    assert_int_equal(key.len, 16);
    assert_int_equal(key.version, 1);
    assert_int_equal(key.bytes[1], 0x11);
    assert_int_equal(key.bytes[15], 0xff);
    assert_int_equal(find(file, "2", &key, &err), SL_OK);
    assert_int_equal(key.len, 32);
    assert_int_equal(find(file, "10", &key, &err), SL_OK);
    assert_int_equal(find(file, "3", &key, &err), SL_ENOENT);
    assert_non_null(strstr(err.text, "'3'"));
}

/* A wrong line is told by its number, and never shown. */
static void wrong_keys(void **state)
{
    static const char *const files[] = {
        "1;" KEY_16 "\n2;0123",
        "1;" KEY_16 "\n2 " KEY_16,
        "1;" KEY_16 "\n2;" KEY_16 "zz",
        "1;" KEY_16 "\nSalted__x",
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct sl_store_key key;
        struct sl_err err;
        assert_int_equal(find(files[i], "1", &key, &err), SL_EINVAL);
        assert_non_null(strstr(err.text, "line 2"));
        assert_null(strstr(err.text, "0123"));
    }
}

static void server_ids(void **state)
{
    uint32_t id = sl_relay_server_id_make("m", "h", "/d", 0);
    assert_int_equal(id, sl_relay_server_id_make("m", "h", "/d", 0));
    assert_true(id >= UINT32_C(0x80000000));
    assert_int_not_equal(id, sl_relay_server_id_make("m2", "h", "/d", 0));
    assert_int_not_equal(id, sl_relay_server_id_make("m", "h2", "/d", 0));
    assert_int_not_equal(id, sl_relay_server_id_make("m", "h", "/d2", 0));
    assert_int_not_equal(id, sl_relay_server_id_make("m", "h", "/d", 1));
    assert_int_not_equal(sl_relay_server_id_make("a", "bc", "/d", 0),
                         sl_relay_server_id_make("ab", "c", "/d", 0));
}

static void directories(void **state)
{
    char base[] = "/tmp/relay_config_XXXXXX", path[64];
    struct stat st;
    struct sl_err err = SL_ERR_INIT;
    assert_non_null(mkdtemp(base));
    snprintf(path, sizeof path, "%s/a/b", base);
    assert_int_equal(sl_relay_datadir_make(path, &err), SL_OK);
    assert_int_equal(sl_relay_datadir_make(path, &err), SL_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0750);
    rmdir(path);
    snprintf(path, sizeof path, "%s/a", base);
    rmdir(path);
    rmdir(base);
    assert_int_equal(sl_relay_datadir_make("/proc/nothing/here", &err), SL_ESYS);
    assert_non_null(strstr(err.text, "/proc/nothing"));
}

static void archive_needs_a_place(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_binlog_settings t = {.expiration_mode = SL_BINLOG_ARCHIVE};
    assert_int_equal(sl_relay_settings_check(&t, &err), SL_EINVAL);
    t.archivedir = (char *)"/nothing/here";
    assert_int_equal(sl_relay_settings_check(&t, &err), SL_ESYS);
    t.archivedir = (char *)"/tmp";
    assert_int_equal(sl_relay_settings_check(&t, &err), SL_OK);
}

/* A file of each group is nobody's wish. */
static void sizes(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_binlog_settings t = {.max_binlog_size = 1};
    assert_int_equal(sl_relay_settings_check(&t, &err), SL_EINVAL);
    assert_non_null(strstr(err.text, "max_binlog_size=1 "));
    t.max_binlog_size = 4096;
    assert_int_equal(sl_relay_settings_check(&t, &err), SL_OK);
    t.max_binlog_size = 0;
    assert_int_equal(sl_relay_settings_check(&t, &err), SL_OK);
}

/* At least one file stays, and one of them plain. */
static void tuning(void **state)
{
    struct sl_store_tuning tuning;
    struct sl_binlog_settings t = {.expire_log_duration = 5000, .sync_binlog = true};
    sl_relay_tuning(&t, &tuning);
    assert_true(tuning.is_synced);
    assert_int_equal(tuning.expire_ms, 5000);
    assert_int_equal(tuning.minimum_files, 1);
    assert_int_equal(tuning.plain_files, 1);
}

static int64_t time_of(const char *text)
{
    struct sl_relay_time t = {.text = sl_slice_text(text)};
    int64_t s = 0;
    return sl_relay_time_value(&t, 1000000, &s) ? s : -1;
}

static void times(void **state)
{
    setenv("TZ", "UTC", 1);
    assert_int_equal(time_of("2024-02-29 10:20:30"), 1709202030);
    assert_int_equal(time_of("20240229102030"), 1709202030);
    assert_int_equal(time_of("2024-02-29"), 1709164800);
    assert_int_equal(time_of("2024/2/29T10.20"), 1709202000);
    assert_int_equal(time_of("garbage"), -1);
    assert_int_equal(time_of("2024-13-01"), -1);
    assert_int_equal(time_of("2024"), -1);
    int64_t s;
    struct sl_relay_time day = {.is_now = true, .amount = 3, .unit = SL_RELAY_DAY};
    assert_true(sl_relay_time_value(&day, 1709202030, &s));
    assert_int_equal(s, 1709202030 - 3 * 86400);
    struct sl_relay_time months = {.is_now = true, .amount = 14, .unit = SL_RELAY_MONTH};
    assert_true(sl_relay_time_value(&months, 1709202030, &s));
    assert_int_equal(s, 1672309230); /* 2022-12-29 10:20:30 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),       cmocka_unit_test(wrong_keys),
        cmocka_unit_test(server_ids), cmocka_unit_test(directories),
        cmocka_unit_test(tuning),     cmocka_unit_test(archive_needs_a_place),
        cmocka_unit_test(sizes),      cmocka_unit_test(times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
