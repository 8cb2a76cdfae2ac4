/* SPDX-License-Identifier: Apache-2.0 */
/* A log that begins anew beside archived files of an old one, binlog.index behind a purge, empty
 * files, directories that are made. */
#include <errno.h>

#include "router/binlog/store_internal.h"
#include "store_fixture.h"

/* `count` files of ten groups each, from `seq` on. */
static void files(struct fixture *f, uint64_t seq, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        fixture_begin(f, false);
        fixture_groups(f, seq + i * 10, 10, 500);
    }
}

static bool exists(const char *dir, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static unsigned archived(struct fixture *f)
{
    struct sl_store_stats stats;
    sl_store_stats(f->store, &stats);
    return (unsigned)stats.archived;
}

static void expect_first(struct fixture *f, uint64_t number, unsigned expect_count)
{
    struct sl_store_file *list;
    unsigned count;
    assert_int_equal(sl_store_files(f->store, &list, &count), SL_OK);
    assert_int_equal(count, expect_count);
    assert_int_equal(list[0].number, number);
    sl_free(list);
}

static void expect_groups(struct fixture *f, const char *position, uint64_t count, uint64_t last)
{
    struct fixture_stream st;
    fixture_read(f, position, 64 * 1024, &st);
    assert_true(st.is_in_order);
    assert_int_equal(st.gtids, count);
    assert_int_equal(st.last_seq, last);
    fixture_stream_free(&st);
}

/* Files 1 to 3 of the old log in the archive, 4 and 5 gone. */
static void reset_behind_archive(struct fixture *f)
{
    fixture_open(f);
    files(f, 1, 5);
    FIXTURE_WAIT(archived(f) == 3);
    FIXTURE_WAIT(!exists(f->datadir, "pbin.000003"));
    assert_int_equal(sl_store_reset(f->store, NULL), SL_OK);
}

/* What the new log has is archived, too, and the old log is not part of it. */
static void test_reset_archives(void **state)
{
    struct fixture f;
    fixture_init_archive(&f);
    reset_behind_archive(&f);
    files(&f, 1, 4);
    FIXTURE_WAIT(archived(&f) == 5);
    expect_first(&f, 5, 4);
    expect_groups(&f, "", 40, 40);
    assert_true(exists(f.archivedir, "pbin.000005"));
    struct sl_store_stats stats;
    sl_store_stats(f.store, &stats);
    assert_string_equal(stats.keeper_error, "");
    fixture_close(&f);
    fixture_open(&f);
    expect_first(&f, 5, 4);
    expect_groups(&f, "", 40, 40);
    fixture_end(&f);
}

/* With purge instead: a replica that needs what was purged is not led through the old log. */
static void test_reset_purges(void **state)
{
    struct fixture f;
    fixture_init_archive(&f);
    reset_behind_archive(&f);
    struct sl_store_tuning tuning = f.config.tuning;
    tuning.archives = false;
    tuning.expire_ms = 0;
    sl_store_tune(f.store, &tuning);
    f.config.tuning = tuning;
    files(&f, 1, 3);
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t offset;
    assert_true(sl_store_tail(f.store, name, &offset));
    assert_int_equal(sl_store_purge_to(f.store, name, NULL), SL_OK);
    fixture_close(&f);
    fixture_open(&f);
    assert_int_equal(fixture_file_count(&f), 1);
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_store_reader *r;
    assert_int_equal(sl_store_reader_open(f.store, &list, &r, NULL), SL_ENOENT);
    expect_groups(&f, "0-7-20", 10, 30);
    fixture_end(&f);
}

/* Started again before the first file of the new log, or after datadir was emptied by hand. */
static void test_empty_datadir(void **state)
{
    struct fixture f;
    fixture_init_archive(&f);
    reset_behind_archive(&f);
    fixture_close(&f);
    fixture_open(&f);
    files(&f, 1, 2);
    expect_first(&f, 5, 2);
    fixture_end(&f);
}

/* The new primary's files have another name: those in the archive disturb nobody. */
static void test_other_name(void **state)
{
    struct fixture f;
    fixture_init_archive(&f);
    reset_behind_archive(&f);
    assert_int_equal(sl_store_begin_file(f.store, "other", f.fde, FIXTURE_FDE, false, NULL), SL_OK);
    fixture_groups(&f, 1, 10, 500);
    files(&f, 11, 3);
    FIXTURE_WAIT(archived(&f) == 5);
    fixture_close(&f);
    fixture_open(&f);
    expect_groups(&f, "", 40, 40);
    fixture_end(&f);
}

/* Without an archive that can be read the numbers are not known. */
static void test_archive_away(void **state)
{
    struct fixture f;
    char away[128];
    struct sl_err err = SL_ERR_INIT;
    fixture_init_archive(&f);
    f.config.tuning.expire_ms = 0;
    snprintf(away, sizeof(away), "%s/away", f.root);
    fixture_open(&f);
    files(&f, 1, 3);
    assert_int_equal(rename(f.archivedir, away), 0);
    assert_int_equal(sl_store_reset(f.store, &err), SL_ESYS);
    assert_non_null(strstr(err.text, f.archivedir));
    expect_groups(&f, "", 30, 30);
    assert_int_equal(rename(away, f.archivedir), 0);
    assert_int_equal(sl_store_reset(f.store, &err), SL_OK);
    files(&f, 1, 1);
    expect_first(&f, 1, 1);
    fixture_end(&f);
}

/* Older files that are not served (a position ahead was asked for) go, too: their numbers are used
 * again. */
static void test_reset_unserved(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    files(&f, 1, 3);
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    fixture_position(&list, "0-7-500");
    assert_int_equal(sl_store_request_position(f.store, &list, NULL), SL_OK);
    files(&f, 501, 1);
    expect_first(&f, 5, 1);
    assert_int_equal(sl_store_reset(f.store, NULL), SL_OK);
    assert_false(exists(f.datadir, "pbin.000003"));
    assert_false(exists(f.datadir, "pbin.000002.gtidx"));
    files(&f, 1, 1);
    fixture_close(&f);
    fixture_open(&f);
    expect_first(&f, 1, 1);
    fixture_expect_position(&f, "0-7-10");
    sl_gtid_list_free(&list);
    fixture_end(&f);
}

/* A purge to come does not outlive the log that it was asked of. */
static void test_reset_forgets_purge(void **state)
{
    struct fixture f;
    fixture_init_archive(&f);
    f.config.tuning.expire_ms = 0;
    fixture_open(&f);
    files(&f, 1, 4);
    struct sl_store_reader *r;
    assert_int_equal(sl_store_reader_open_at(f.store, "pbin.000001", 4, &r, NULL), SL_OK);
    assert_int_equal(sl_store_purge_to(f.store, "pbin.000004", NULL), SL_OK);
    sl_store_reader_free(r);
    assert_int_equal(sl_store_reset(f.store, NULL), SL_OK);
    assert_int_equal(f.store->keeper.archive_to, 0);
    fixture_end(&f);
}

static int stuck_unlink(const char *path)
{
    if (strstr(path, "pbin.000002") != NULL) {
        errno = EPERM;
        return -1;
    }
    return unlink(path);
}

/* A new log must not begin where files of the old one stay behind it. */
static void test_reset_cannot_delete(void **state)
{
    struct fixture f;
    struct sl_err err = SL_ERR_INIT;
    static struct sl_store_io stuck;
    stuck = sl_store_io_system;
    stuck.unlink = stuck_unlink;
    fixture_init(&f);
    fixture_open(&f);
    files(&f, 1, 3);
    sl_store_io = &stuck;
    assert_int_equal(sl_store_reset(f.store, &err), SL_ESYS);
    assert_non_null(strstr(err.text, "cannot delete"));
    assert_non_null(strstr(err.text, "pbin.000002"));
    sl_store_io = &sl_store_io_system;
    assert_int_equal(sl_store_reset(f.store, &err), SL_OK);
    files(&f, 1, 1);
    expect_first(&f, 1, 1);
    fixture_end(&f);
}

/* ---- binlog.index ---- */

static void expect_index(struct fixture *f, const char *first)
{
    char path[128], text[2000] = "", expect[128];
    snprintf(path, sizeof(path), "%s/binlog.index", f->datadir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    snprintf(expect, sizeof(expect), "%s/%s\n", f->datadir, first);
    assert_true(strncmp(text, expect, strlen(expect)) == 0);
}

/* It names nothing that is purged when the answer is given, whatever the keeper is doing. */
static void test_purge_index(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    files(&f, 1, 5);
    sl_store_keeper_stop(f.store);
    assert_int_equal(sl_store_purge_to(f.store, "pbin.000003", NULL), SL_OK);
    expect_index(&f, "pbin.000003");
    assert_int_equal(sl_store_purge_before(f.store, sl_clock_wall_s() + 10, NULL), SL_OK);
    expect_index(&f, "pbin.000005");
    assert_int_equal(sl_store_keeper_start(f.store, NULL), SL_OK);
    FIXTURE_WAIT(!exists(f.datadir, "pbin.000004"));
    fixture_end(&f);
}

/* ---- empty files ---- */

/* A file without a byte behind the last one goes, and its name is the next one's. */
static void test_empty_file(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    files(&f, 1, 2);
    fixture_close(&f);
    char path[128];
    for (unsigned i = 3; i < 5; i++) {
        snprintf(path, sizeof(path), "%s/pbin.%06u", f.datadir, i);
        close(open(path, O_WRONLY | O_CREAT, 0640));
    }
    fixture_open(&f);
    assert_false(exists(f.datadir, "pbin.000003"));
    assert_false(exists(f.datadir, "pbin.000004"));
    expect_first(&f, 1, 2);
    fixture_expect_position(&f, "0-7-20");
    fixture_begin(&f, true); /* the one before goes on */
    fixture_groups(&f, 21, 10, 500);
    files(&f, 31, 1);
    assert_true(exists(f.datadir, "pbin.000003"));
    expect_groups(&f, "", 40, 40);
    fixture_end(&f);
}

/* The only file is one without a byte. */
static void test_only_an_empty_file(void **state)
{
    struct fixture f;
    fixture_init(&f);
    char path[128];
    assert_int_equal(mkdir(f.datadir, 0750), 0);
    snprintf(path, sizeof(path), "%s/pbin.000001", f.datadir);
    close(open(path, O_WRONLY | O_CREAT, 0640));
    fixture_open(&f);
    files(&f, 1, 2);
    fixture_close(&f);
    fixture_open(&f);
    expect_first(&f, 1, 2);
    expect_groups(&f, "", 20, 20);
    fixture_end(&f);
}

/* ---- directories ---- */

static char synced[1000];

static int note_sync(int fd)
{
    char link[64], path[256];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 2);
    assert_true(n > 0);
    memcpy(path + n, "|", 2);
    strncat(synced, path, sizeof(synced) - strlen(synced) - 1);
    return 0;
}

static void test_make_dir(void **state)
{
    struct fixture f;
    char path[128], part[PATH_MAX], expect[256];
    fixture_init(&f);
    struct sl_store_io io = sl_store_io_system;
    io.sync = note_sync;
    sl_store_io = &io;
    snprintf(path, sizeof(path), "%s/a/b/", f.root);
    assert_int_equal(sl_store_io_make_dir(path, part), 0);
    snprintf(expect, sizeof(expect), "%s|%s/a|", f.root, f.root);
    assert_string_equal(synced, expect);
    assert_int_equal(sl_store_io_make_dir(path, part), 0); /* nothing is new */
    assert_string_equal(synced, expect);
    sl_store_io = &sl_store_io_system;
    assert_int_equal(sl_store_io_make_dir("/proc/nothing/here", part), -1);
    assert_string_equal(part, "/proc/nothing");
    fixture_end(&f);
}

int main(int argc, char **argv)
{
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset_archives),      cmocka_unit_test(test_reset_purges),
        cmocka_unit_test(test_empty_datadir),       cmocka_unit_test(test_other_name),
        cmocka_unit_test(test_archive_away),        cmocka_unit_test(test_reset_unserved),
        cmocka_unit_test(test_reset_forgets_purge), cmocka_unit_test(test_reset_cannot_delete),
        cmocka_unit_test(test_purge_index),         cmocka_unit_test(test_empty_file),
        cmocka_unit_test(test_only_an_empty_file),  cmocka_unit_test(test_make_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
