/* SPDX-License-Identifier: Apache-2.0 */
/* The store when the disk refuses: nothing is published that is not in the file, nothing twice. */
#include "store_fixture.h"

#include <errno.h>

#include "router/binlog/store_io.h"

static bool fails_sync, fails_create, fails_write;

static ssize_t faulty_write(int fd, const void *data, size_t len, off_t offset)
{
    if (fails_write) {
        errno = ENOSPC;
        return -1;
    }
    return sl_store_io_system.pwrite(fd, data, len, offset);
}

static int faulty_sync(int fd)
{
    if (fails_sync) {
        errno = EIO;
        return -1;
    }
    return sl_store_io_system.sync_data(fd);
}

static int faulty_open(const char *path, int flags, mode_t mode)
{
    if (fails_create && (flags & O_CREAT) != 0) {
        errno = ENOSPC;
        return -1;
    }
    return sl_store_io_system.open(path, flags, mode);
}

static int setup(void **state)
{
    static struct sl_store_io faulty;
    faulty = sl_store_io_system;
    faulty.sync_data = faulty_sync;
    faulty.open = faulty_open;
    faulty.pwrite = faulty_write;
    fails_sync = fails_create = fails_write = false;
    sl_store_io = &faulty;
    return 0;
}

static int teardown(void **state)
{
    sl_store_io = &sl_store_io_system;
    return 0;
}

/* A sync fails, and then there is no room for the file that should follow. */
static void test_no_room_after_a_failed_sync(void **state)
{
    struct fixture f;
    struct sl_err err = SL_ERR_INIT;
    uint64_t us;
    fixture_init(&f);
    f.config.tuning.is_synced = true;
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 2, 100);
    fails_sync = true;
    assert_int_equal(fixture_group(&f, 0, 7, 3, 100), SL_OK);
    assert_int_equal(sl_store_commit(f.store, &us, &err), SL_ESYS);
    assert_int_equal(sl_store_commit(f.store, &us, &err), SL_ESYS); /* not repeated */
    fails_sync = false;
    fails_create = true;
    int rc = sl_store_begin_file(f.store, "pbin", f.fde, FIXTURE_FDE, false, &err);
    assert_int_equal(rc, SL_ELIMIT);
    assert_false(sl_store_has_uncommitted(f.store));
    assert_int_equal(sl_store_commit(f.store, &us, &err), SL_OK); /* is there room again? */
    fixture_expect_position(&f, "0-7-2");
    fails_create = false;
    sl_group_reset(&f.group);
    fixture_begin(&f, false);
    fixture_groups(&f, 3, 2, 100);
    struct fixture_stream st;
    fixture_read(&f, "", 64 * 1024, &st);
    assert_int_equal(st.gtids, 4);
    assert_true(st.is_in_order);
    fixture_stream_free(&st);
    fixture_end(&f);
}

/* Groups wait for room, the connection ends, and the next primary has other ones in their place. */
static void test_left_over_by_a_connection(void **state)
{
    struct fixture f;
    struct sl_err err = SL_ERR_INIT;
    uint64_t us;
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 2, 100);
    assert_int_equal(fixture_group(&f, 0, 7, 3, 100), SL_OK);
    fails_write = true;
    assert_int_equal(sl_store_commit(f.store, &us, &err), SL_ELIMIT);
    assert_true(sl_store_abandon_all(f.store));
    assert_int_equal(sl_store_begin_file(f.store, "pbin", f.fde, FIXTURE_FDE, true, &err),
                     SL_ELIMIT);
    assert_int_equal(sl_store_commit(f.store, &us, &err), SL_OK);
    fails_write = false;
    fixture_begin(&f, true);
    fixture_expect_position(&f, "0-7-2");
    assert_int_equal(fixture_group(&f, 0, 8, 3, 50), SL_OK);
    fixture_commit(&f);
    fixture_expect_position(&f, "0-8-3");
    struct fixture_stream st;
    fixture_read(&f, "", 64 * 1024, &st);
    assert_int_equal(st.gtids, 3);
    assert_true(st.is_in_order);
    fixture_stream_free(&st);
    fixture_close(&f);
    fixture_open(&f);
    fixture_expect_position(&f, "0-8-3");
    fixture_end(&f);
}

static void expect_file(struct fixture *f, const char *expect)
{
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t offset;
    assert_true(sl_store_tail(f->store, name, &offset));
    assert_string_equal(name, expect);
}

/* Half a group gets into the file and is cut: by the end of a connection, or by a crash. */
static void cut_half(struct fixture *f, uint64_t seq, bool is_crash)
{
    struct sl_gtid g = {0, 7, seq};
    assert_int_equal(fixture_gtid(f, g, SL_GTID_TRANSACTIONAL), SL_OK);
    assert_int_equal(fixture_rows(f, g, 3 * 1024 * 1024), SL_OK);
    if (is_crash) {
        fixture_close(f);
        fixture_open(f);
    } else {
        assert_false(sl_store_abandon_all(f->store));
        sl_group_reset(&f->group);
    }
    fixture_begin(f, true);
    fixture_groups(f, seq, 1, 100);
}

/* A nonce is made of the file's and the offset: what is written behind a cut of an encrypted file
 * goes into another one. A plain one goes on. */
static void test_cut_of_encrypted_file(void **state)
{
    static const struct sl_store_key key = {.version = 1, .len = 32, .bytes = "0123456789abcdef"};
    for (unsigned key_count = 0; key_count < 2; key_count++) {
        struct fixture f;
        struct fixture_stream st;
        fixture_init(&f);
        f.config.keys = &key;
        f.config.key_count = key_count;
        fixture_open(&f);
        fixture_begin(&f, true);
        fixture_groups(&f, 1, 2, 100);
        cut_half(&f, 3, false);
        expect_file(&f, key_count ? "pbin.000002" : "pbin.000001");
        cut_half(&f, 4, true);
        expect_file(&f, key_count ? "pbin.000003" : "pbin.000001");
        fixture_read(&f, "", 64 * 1024, &st);
        assert_int_equal(st.gtids, 4);
        assert_true(st.is_in_order);
        fixture_stream_free(&st);
        fixture_end(&f);
    }
}

/* The last file ends inside of its head: the next one takes its number, none is left out. */
static void test_number_of_a_torn_head(void **state)
{
    struct fixture f;
    char path[256];
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 2, 100);
    fixture_begin(&f, false);
    fixture_close(&f);
    snprintf(path, sizeof(path), "%s/pbin.000002", f.datadir);
    assert_int_equal(truncate(path, 100), 0);
    fixture_open(&f);
    fixture_begin(&f, false);
    fixture_groups(&f, 3, 2, 100);
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t offset;
    assert_true(sl_store_tail(f.store, name, &offset));
    assert_string_equal(name, "pbin.000002");
    struct sl_store_reader *r;
    assert_int_equal(sl_store_reader_open_at(f.store, name, offset, &r, NULL), SL_OK);
    sl_store_reader_free(r);
    struct fixture_stream st;
    fixture_read(&f, "", 64 * 1024, &st);
    assert_int_equal(st.gtids, 4);
    assert_true(st.is_in_order);
    fixture_stream_free(&st);
    fixture_end(&f);
}

/* A log file that cannot be looked at is not overlooked: its number is taken. */
static void test_file_out_of_reach(void **state)
{
    struct fixture f;
    struct sl_err err = SL_ERR_INIT;
    char path[256];
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 2, 100);
    fixture_close(&f);
    snprintf(path, sizeof(path), "%s/pbin.000002", f.datadir);
    assert_int_equal(symlink("pbin.000002", path), 0); /* ELOOP, also for root */
    assert_int_equal(sl_store_open(&f.config, &f.store, &err), SL_ESYS);
    assert_non_null(strstr(err.text, "pbin.000002"));
    f.store = NULL;
    fixture_end(&f);
}

/* Every offset is tried on a block that another reader has filled, to its last byte. */
static void test_places_in_a_shared_block(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 1336, 100); /* 196 bytes each, behind a GTID_LIST of 29 */
    fixture_groups(&f, 1337, 1, 163);
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_store_reader *first, *r;
    struct sl_store_block *b;
    struct sl_store_piece piece, other;
    enum sl_store_step step;
    assert_int_equal(sl_store_block_new(&b), SL_OK);
    assert_int_equal(sl_store_reader_open(f.store, &list, &first, NULL), SL_OK);
    assert_int_equal(sl_store_reader_next(first, b, FIXTURE_MAX, &step, &piece, NULL), SL_OK);
    assert_int_equal(piece.bytes.len, 256 * 1024);
    uint64_t end = sl_store_reader_offset(first);
    const char *name = sl_store_reader_file(first);
    for (uint64_t at = end - 64; at < end; at++) {
        struct sl_err err = SL_ERR_INIT;
        assert_int_equal(sl_store_reader_open_at(f.store, name, at, &r, NULL), SL_OK);
        int rc = sl_store_reader_next(r, b, FIXTURE_MAX, &step, &other, &err);
        assert_true(rc == SL_EPROTO || (rc == SL_OK && other.offset == at));
        sl_store_reader_free(r);
    }
    sl_store_reader_free(first);
    sl_store_block_free(b);
    fixture_end(&f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_no_room_after_a_failed_sync), TEST(test_left_over_by_a_connection),
        TEST(test_cut_of_encrypted_file),       TEST(test_number_of_a_torn_head),
        TEST(test_file_out_of_reach),           TEST(test_places_in_a_shared_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
