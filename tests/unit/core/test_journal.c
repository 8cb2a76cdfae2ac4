/* SPDX-License-Identifier: Apache-2.0 */
/* Journals: what is written is read back; everything else is refused with a reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/journal.h"
#include "core/server.h"

static char dir[64], path[128];
static const char *const names[] = {"db1", "db2"};
static struct sl_journal journal = {path, "galeramon", names, 2};
static const uint32_t words[] = {SL_SERVER_RUNNING | SL_SERVER_MASTER | SL_SERVER_JOINED,
                                 SL_SERVER_RUNNING | SL_SERVER_AUTH_ERROR | SL_SERVER_NEED_DNS |
                                     SL_SERVER_MAINT};
static uint32_t found[2];
static struct sl_err err;

static int set_up(void **state)
{
    strcpy(dir, "/tmp/journal.XXXXXX");
    if (!mkdtemp(dir)) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/m_journal.json", dir);
    found[0] = found[1] = 77;
    return 0;
}

static int tear_down(void **state)
{
    unlink(path);
    rmdir(path);
    return rmdir(dir); /* fails when a temporary file was left behind */
}

static void put(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int get(int64_t now_s)
{
    return sl_journal_read(&journal, found, now_s, 100, &err);
}

static void test_round_trip(void **state)
{
    assert_int_equal(sl_journal_write(&journal, words, 1000, &err), 0);
    assert_int_equal(get(1100), 0);
    assert_int_equal(found[0], words[0]);
    /* auth and DNS are found out again */
    assert_int_equal(found[1], SL_SERVER_RUNNING | SL_SERVER_MAINT);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07, 0);
}

static void test_age(void **state)
{
    sl_journal_write(&journal, words, 1000, &err);
    assert_int_equal(get(1101), SL_ESTATE);
    assert_int_equal(get(999), SL_ESTATE); /* the clock was set back */
    assert_int_equal(found[0], 77);
}

static void test_other_configuration(void **state)
{
    static const char *const swapped[] = {"db2", "db1"};
    sl_journal_write(&journal, words, 1000, &err);
    struct sl_journal other = {path, "mariadbmon", names, 2};
    assert_int_equal(sl_journal_read(&other, found, 1000, 100, &err), SL_ESTATE);
    other = (struct sl_journal){path, "galeramon", swapped, 2};
    assert_int_equal(sl_journal_read(&other, found, 1000, 100, &err), SL_ESTATE);
    other = (struct sl_journal){path, "galeramon", names, 1};
    assert_int_equal(sl_journal_read(&other, found, 1000, 100, &err), SL_ESTATE);
    put("{\"module\":\"galeramon\",\"maxscale_version\":1,\"timestamp\":1000,\"servers\":[]}");
    assert_int_equal(get(1000), SL_ESTATE);
    assert_int_equal(found[0], 77);
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{\"module\":\"galeramon\",\"maxscale_version\":240204,\"timesta",
        "[]",
        "not json",
        "{\"module\":\"galeramon\"}",
        "{\"module\":7,\"maxscale_version\":240204,\"timestamp\":1000,\"servers\":[]}",
        "{\"module\":\"galeramon\",\"maxscale_version\":240204,\"timestamp\":1000,\"servers\":[1,2]"
        "}",
        "{\"module\":\"galeramon\",\"maxscale_version\":240204,\"timestamp\":1000,\"servers\":"
        "[{\"name\":\"db1\",\"status\":1},{\"name\":\"db2\",\"status\":-1}]}",
        "{\"module\":\"galeramon\",\"maxscale_version\":240204,\"timestamp\":1000,\"servers\":"
        "[{\"name\":\"db1\",\"status\":1},{\"name\":\"db2\",\"status\":4294967296}]}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put(bad[i]);
        assert_int_equal(get(1000), SL_EINVAL);
        assert_non_null(strstr(err.text, path));
        assert_int_equal(found[0], 77);
    }
    put("{\"module\":\"galeramon\",\"maxscale_version\":240204,\"timestamp\":-9223372036854775808,"
        "\"servers\":[]}");
    assert_int_equal(get(1000), SL_ESTATE);
}

static void test_no_file(void **state)
{
    assert_int_equal(get(1000), SL_ENOENT);
    mkdir(path, 0700);
    assert_int_equal(get(1000), SL_EINVAL); /* a directory */
}

static void test_write_fails_cleanly(void **state)
{
    struct sl_journal nowhere = {"/nonexistent/m_journal.json", "galeramon", names, 2};
    assert_int_equal(sl_journal_write(&nowhere, words, 1000, &err), SL_ESYS);
    mkdir(path, 0700);
    /* cannot be renamed over */
    assert_int_equal(sl_journal_write(&journal, words, 1000, &err), SL_ESYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_age, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_configuration, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_write_fails_cleanly, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
