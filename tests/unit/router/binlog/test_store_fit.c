/* SPDX-License-Identifier: Apache-2.0 */
/* Files in the archive that have the number in front of the log's first: of this log, or of another. */
#include "router/binlog/store_internal.h"
#include "store_fixture.h"

static struct fixture f;

static int setup(void **state)
{
    fixture_init_archive(&f);
    return 0;
}

static int teardown(void **state)
{
    fixture_end(&f);
    return 0;
}

/* `count` files of `size` groups each, from `seq` on. */
static void files(uint64_t seq, unsigned count, unsigned size, uint32_t len)
{
    for (unsigned i = 0; i < count; i++) {
        fixture_begin(&f, false);
        fixture_groups(&f, seq + i * size, size, len);
    }
}

static unsigned archived(void)
{
    struct sl_store_stats stats;
    sl_store_stats(f.store, &stats);
    return (unsigned)stats.archived;
}

static bool exists(const char *dir, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

/* Files 1 to 3 in the archive, 4 and 5 in datadir, closed. */
static void archive(unsigned size, uint32_t len)
{
    fixture_open(&f);
    files(1, 5, size, len);
    FIXTURE_WAIT(archived() == 3);
    FIXTURE_WAIT(!exists(f.datadir, "pbin.000003") && !exists(f.datadir, "pbin.000003.zst"));
    fixture_close(&f);
}

static void command(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void command(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert_int_equal(system(text), 0);
}

/* Opened again, the log begins with this file and this group. */
static void expect(uint64_t number, uint64_t first, uint64_t last)
{
    struct sl_store_file *list;
    unsigned count;
    struct fixture_stream st;
    fixture_open(&f);
    assert_int_equal(sl_store_files(f.store, &list, &count), SL_OK);
    assert_int_equal(list[0].number, number);
    sl_free(list);
    char position[64] = "";
    if (first > 1) {
        snprintf(position, sizeof(position), "0-7-%llu", (unsigned long long)first - 1);
    }
    fixture_read(&f, position, 64 * 1024, &st);
    assert_true(st.is_in_order);
    assert_int_equal(st.last_seq, last);
    assert_true(st.gtids >= last - first + 1);
    fixture_stream_free(&st);
    if (first > 1) {
        struct sl_gtid_list none = SL_GTID_LIST_INIT;
        struct sl_store_reader *r;
        int rc = sl_store_reader_open(f.store, &none, &r, NULL);
        assert_int_equal(rc, SL_ENOENT);
    }
    fixture_close(&f);
}

/* Another log is written in `datadir`, of files of `size` groups; of its files only those from 4 on stay. */
static void write_another(unsigned size)
{
    struct sl_store_tuning tuning = f.config.tuning;
    command("rm -rf %s && mv %s %s.old", f.datadir, f.archivedir, f.archivedir);
    f.config.tuning.archives = false;
    f.config.tuning.expire_ms = 0;
    fixture_open(&f);
    files(1, 5, size, 500);
    assert_int_equal(sl_store_purge_to(f.store, "pbin.000004", NULL), SL_OK);
    fixture_close(&f);
    command("mv %s.old %s", f.archivedir, f.archivedir);
    f.config.tuning = tuning;
}

static void test_own(void **state)
{
    archive(10, 500);
    expect(1, 1, 50);
}

/* Long files: the end is found by the index. */
static void test_own_long(void **state)
{
    archive(400, 1000);
    expect(1, 1, 2000);
}

/* Without an index, all of the file is read. */
static void test_own_without_index(void **state)
{
    archive(400, 1000);
    command("rm %s/*.gtidx", f.archivedir);
    expect(1, 1, 2000);
}

static void test_own_compressed(void **state)
{
    f.config.tuning.compresses = true;
    f.config.tuning.plain_files = 1;
    fixture_open(&f);
    f.config.tuning.archives = true;
    files(1, 5, 10, 500);
    FIXTURE_WAIT(archived() == 3);
    fixture_close(&f);
    expect(1, 1, 50);
}

static void test_own_encrypted(void **state)
{
    struct sl_store_key key = {.version = 1, .len = 32, .bytes = {1, 2, 3}};
    f.config.keys = &key;
    f.config.key_count = 1;
    f.config.cipher = SL_CIPHER_AES_GCM;
    archive(10, 500);
    expect(1, 1, 50);
}

/* The archive's files have less than the log's first begins with. */
static void test_another_that_ends_before(void **state)
{
    archive(10, 500);
    write_another(20);
    expect(4, 61, 100);
}

/* ... or more. */
static void test_another_that_has_more(void **state)
{
    archive(20, 500);
    write_another(10);
    expect(4, 31, 50);
}

/* Between archived files, too. */
static void test_another_inside(void **state)
{
    archive(10, 500);
    command("cp -r %s %s.copy", f.archivedir, f.archivedir);
    write_another(20);
    command("rm %s/*", f.archivedir);
    fixture_open(&f);
    FIXTURE_WAIT(exists(f.archivedir, "pbin.000004") || fixture_file_count(&f) == 2);
    fixture_begin(&f, false);
    fixture_groups(&f, 101, 10, 500);
    FIXTURE_WAIT(archived() == 1);
    fixture_close(&f);
    command("cp %s.copy/* %s && rm -r %s.copy", f.archivedir, f.archivedir, f.archivedir);
    expect(4, 61, 110);
}

/* A compressed file that has more is told by its index. */
static void test_another_compressed(void **state)
{
    f.config.tuning.compresses = true;
    f.config.tuning.plain_files = 1;
    archive(400, 1000);
    f.config.tuning.compresses = false;
    write_another(50);
    expect(4, 151, 250);
}

/* An archive that is not there at the start is looked into when it is; memory that is out is tried again. */
static void test_archive_comes_back(void **state)
{
    archive(10, 500);
    fixture_open(&f);
    struct sl_err err = SL_ERR_INIT;
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_store_entry *e = f.store->entries[0];
    bool fits = false;
    int rc = SL_ENOMEM;
    assert_int_equal(sl_gtid_list_copy(&list, &f.store->entries[1]->head.list), SL_OK);
    for (unsigned i = 1; rc != SL_OK; i++) {
        assert_true(i < 50);
        sl_mem_fail_after(i);
        rc = sl_store_fits(f.store, e, &list, &fits, &err);
        sl_mem_fail_after(0);
        assert_true(rc == SL_OK || rc == SL_ENOMEM);
    }
    assert_true(fits);
    command("mv %s %s.old", f.archivedir, f.archivedir);
    assert_int_equal(sl_store_fits(f.store, e, &list, &fits, &err), SL_ESYS);
    command("mv %s.old %s", f.archivedir, f.archivedir);
    sl_gtid_list_clear(&list);
    assert_int_equal(sl_store_fits(f.store, e, &list, &fits, &err), SL_OK);
    assert_false(fits);
    assert_non_null(strstr(err.text, "has group 0-7-10, and the next file begins without"));
    sl_gtid_list_free(&list);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_own),
        TEST(test_own_long),
        TEST(test_own_without_index),
        TEST(test_own_compressed),
        TEST(test_own_encrypted),
        TEST(test_another_that_ends_before),
        TEST(test_another_that_has_more),
        TEST(test_another_inside),
        TEST(test_another_compressed),
        TEST(test_archive_comes_back),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
