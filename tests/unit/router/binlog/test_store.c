/* SPDX-License-Identifier: Apache-2.0 */
/* The store's plain path: writing, reading by position and by offset, files, rolling, state. */
#include "store_fixture.h"

static void test_empty(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t offset;
    assert_false(sl_store_tail(f.store, name, &offset));
    assert_false(sl_store_has_file(f.store));
    assert_int_equal(fixture_file_count(&f), 0);
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_store_reader *r;
    assert_int_equal(sl_store_reader_open(f.store, &list, &r, NULL), SL_ENOENT);
    assert_int_equal(sl_store_reader_open_at(f.store, "", 4, &r, NULL), SL_ENOENT);
    uint64_t us;
    assert_int_equal(sl_store_commit(f.store, &us, NULL), SL_ESTATE);
    assert_int_equal(fixture_group(&f, 0, 7, 1, 100), SL_ESTATE);
    fixture_end(&f);
}

static void test_second_process(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    struct sl_store *other;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_store_open(&f.config, &other, &err), SL_EEXIST);
    assert_non_null(strstr(err.text, f.datadir));
    fixture_end(&f);
}

static void test_write_and_read(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    assert_true(sl_store_has_file(f.store));
    uint64_t version = sl_store_version(f.store);
    for (uint64_t seq = 1; seq <= 3000; seq++) {
        assert_int_equal(fixture_group(&f, 0, 7, seq, 100), SL_OK);
    }
    assert_true(sl_store_has_uncommitted(f.store));
    fixture_expect_position(&f, "");
    fixture_commit(&f);
    assert_false(sl_store_has_uncommitted(f.store));
    assert_true(sl_store_version(f.store) > version);
    fixture_expect_position(&f, "0-7-3000");
    struct fixture_stream st;
    fixture_read(&f, "", 256 * 1024, &st);
    assert_int_equal(st.gtids, 3000);
    assert_true(st.is_in_order);
    assert_true(st.pieces <= 4);
    fixture_stream_free(&st);
    fixture_read(&f, "0-7-3000", 64 * 1024, &st);
    assert_true(st.gtids < 1000); /* from the last index entry on */
    assert_int_equal(st.last_seq, 3000);
    fixture_stream_free(&st);
    fixture_end(&f);
}

/* Nothing of a group is seen before it is complete and committed. */
static void test_open_group_is_not_seen(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 1, 10);
    struct sl_gtid g = {0, 7, 2};
    assert_int_equal(fixture_gtid(&f, g, SL_GTID_TRANSACTIONAL), SL_OK);
    assert_int_equal(fixture_rows(&f, g, 3 * 1024 * 1024), SL_OK); /* spills */
    fixture_commit(&f);
    struct fixture_stream st;
    fixture_read(&f, "", 64 * 1024, &st);
    assert_int_equal(st.gtids, 1);
    fixture_stream_free(&st);
    sl_store_abandon(f.store);
    sl_group_reset(&f.group);
    fixture_groups(&f, 2, 1, 10);
    fixture_read(&f, "", 64 * 1024, &st);
    assert_int_equal(st.gtids, 2);
    assert_true(st.is_in_order);
    fixture_stream_free(&st);
    fixture_end(&f);
}

static void test_broken_group(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    struct sl_gtid g = {0, 7, 1};
    assert_int_equal(fixture_gtid(&f, g, SL_GTID_TRANSACTIONAL), SL_OK);
    assert_int_equal(fixture_rows(&f, g, 100), SL_OK);
    fixture_groups(&f, 1, 1, 50); /* the group begins once more */
    assert_int_equal(fixture_xid(&f, g), SL_EPROTO);
    struct fixture_stream st;
    fixture_read(&f, "", 64 * 1024, &st);
    assert_int_equal(st.gtids, 1);
    fixture_stream_free(&st);
    fixture_end(&f);
}

static void test_large_events(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 1, 17 * 1024 * 1024);
    fixture_groups(&f, 2, 1, 256 * 1024);
    fixture_groups(&f, 3, 1, 256 * 1024 - 23);
    fixture_groups(&f, 4, 1, 100);
    struct fixture_stream st;
    fixture_read(&f, "", 64 * 1024, &st);
    assert_int_equal(st.gtids, 4);
    assert_true(st.is_in_order);
    assert_true(st.parts > 17 * 4);
    fixture_stream_free(&st);
    fixture_end(&f);
}

static void test_roll(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 10, 100);
    fixture_begin(&f, false);
    fixture_groups(&f, 11, 10, 100);
    fixture_begin(&f, true); /* the same FORMAT_DESCRIPTION: goes on */
    fixture_groups(&f, 21, 10, 100);
    fixture_fde(&f, 1700000100, 0, true);
    fixture_begin(&f, true); /* another one */
    fixture_groups(&f, 31, 10, 100);
    assert_int_equal(fixture_file_count(&f), 3);
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t offset;
    assert_true(sl_store_tail(f.store, name, &offset));
    assert_string_equal(name, "pbin.000003");
    struct fixture_stream st;
    fixture_read(&f, "", 64 * 1024, &st);
    assert_int_equal(st.gtids, 40);
    assert_int_equal(st.files, 2);
    assert_true(st.is_in_order);
    fixture_stream_free(&st);
    fixture_read(&f, "0-7-30", 64 * 1024, &st); /* exactly at the beginning of the third */
    assert_int_equal(st.gtids, 10);
    assert_int_equal(st.files, 0);
    fixture_stream_free(&st);
    fixture_end(&f);
}

static void test_roll_by_size(void **state)
{
    struct fixture f;
    fixture_init(&f);
    f.config.tuning.max_file_bytes = 20000;
    fixture_open(&f);
    fixture_begin(&f, true);
    for (uint64_t seq = 1; seq <= 1000; seq++) {
        assert_int_equal(fixture_group(&f, 0, 7, seq, 100), SL_OK);
        if (seq % 7 == 0) {
            fixture_commit(&f);
        }
    }
    fixture_commit(&f);
    unsigned count = fixture_file_count(&f);
    assert_in_range(count, 9, 15);
    sl_store_rotate_soon(f.store);
    fixture_groups(&f, 1001, 1, 100);
    assert_int_equal(fixture_file_count(&f), count + 1);
    struct fixture_stream st;
    fixture_read(&f, "", 64 * 1024, &st);
    assert_int_equal(st.gtids, 1001);
    assert_true(st.is_in_order);
    fixture_stream_free(&st);
    fixture_end(&f);
}

static void test_open_at(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 5, 100);
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t middle, end;
    assert_true(sl_store_tail(f.store, name, &middle));
    fixture_groups(&f, 6, 5, 100);
    assert_true(sl_store_tail(f.store, name, &end));
    struct sl_store_reader *r;
    struct sl_store_block *b;
    assert_int_equal(sl_store_block_new(&b), SL_OK);
    assert_int_equal(sl_store_reader_open_at(f.store, name, middle, &r, NULL), SL_OK);
    struct fixture_stream st = {0};
    fixture_drain(&f, r, b, 64 * 1024, &st);
    assert_int_equal(st.gtids, 5);
    assert_int_equal(st.last_seq, 10);
    assert_int_equal(sl_store_reader_offset(r), end);
    sl_store_reader_free(r);
    fixture_stream_free(&st);

    assert_int_equal(sl_store_reader_open_at(f.store, "", 4, &r, NULL), SL_OK);
    assert_string_equal(sl_store_reader_file(r), "pbin.000001");
    assert_int_equal(sl_store_reader_fde(r).len, FIXTURE_FDE);
    assert_int_equal(sl_event_type(sl_store_reader_list_event(r).data), SL_EVENT_GTID_LIST);
    assert_int_equal(sl_store_reader_list(r)->count, 0);
    sl_store_reader_free(r);

    enum sl_store_step step;
    struct sl_store_piece piece;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_store_reader_open_at(f.store, name, middle + 3, &r, NULL), SL_OK);
    assert_int_equal(sl_store_reader_next(r, b, 65536, &step, &piece, &err), SL_EPROTO);
    sl_store_reader_free(r);
    assert_int_equal(sl_store_reader_open_at(f.store, name, end + 1, &r, &err), SL_EINVAL);
    assert_int_equal(sl_store_reader_open_at(f.store, name, 3, &r, &err), SL_EINVAL);
    assert_int_equal(sl_store_reader_open_at(f.store, "pbin.000002", 4, &r, &err), SL_ENOENT);
    assert_int_equal(sl_store_reader_open_at(f.store, "other.000001", 4, &r, &err), SL_ENOENT);
    assert_int_equal(sl_store_reader_open_at(f.store, name, end, &r, &err), SL_OK);
    assert_int_equal(sl_store_reader_next(r, b, 65536, &step, &piece, &err), SL_OK);
    assert_int_equal(step, SL_STORE_END);
    sl_store_reader_free(r);
    sl_store_block_free(b);
    fixture_end(&f);
}

static void test_reopen(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 2000, 100);
    fixture_close(&f);
    fixture_open(&f);
    fixture_expect_position(&f, "0-7-2000");
    struct sl_store_stats stats;
    sl_store_stats(f.store, &stats);
    assert_in_range(stats.index_bytes, 64 + 5 * 80, 64 + 8 * 80);
    assert_false(sl_store_has_file(f.store));
    fixture_begin(&f, true);
    fixture_groups(&f, 2001, 10, 100);
    assert_int_equal(fixture_file_count(&f), 1);
    fixture_close(&f);
    fixture_open(&f);
    fixture_begin(&f, false);
    fixture_groups(&f, 2011, 10, 100);
    assert_int_equal(fixture_file_count(&f), 2);
    struct fixture_stream st;
    fixture_read(&f, "", 64 * 1024, &st);
    assert_int_equal(st.gtids, 2020);
    assert_true(st.is_in_order);
    fixture_stream_free(&st);
    fixture_end(&f);
}

static void test_no_checksums(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_fde(&f, 1700000000, 0, false);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 100, 100);
    fixture_close(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 101, 100, 100);
    assert_int_equal(fixture_file_count(&f), 1);
    struct fixture_stream st;
    fixture_read(&f, "", 64 * 1024, &st);
    assert_int_equal(st.gtids, 200);
    fixture_stream_free(&st);
    fixture_end(&f);
}

static void test_bad_base(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    const char *bad[] = {"", "a/b", ".x", "a\nb"};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        struct sl_err err = SL_ERR_INIT;
        assert_int_equal(sl_store_begin_file(f.store, bad[i], f.fde, FIXTURE_FDE, true, &err),
                         SL_EINVAL);
    }
    fixture_end(&f);
}

static void test_no_allocation(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 5000, 100);
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_store_reader *r;
    struct sl_store_block *b;
    assert_int_equal(sl_store_block_new(&b), SL_OK);
    assert_int_equal(sl_store_reader_open(f.store, &list, &r, NULL), SL_OK);
    uint64_t before = sl_mem_thread_allocations();
    for (uint64_t seq = 5001; seq <= 6000; seq++) {
        assert_int_equal(fixture_group(&f, 0, 7, seq, 100), SL_OK);
        fixture_commit(&f);
    }
    enum sl_store_step step = SL_STORE_EVENTS;
    while (step != SL_STORE_END) {
        struct sl_store_piece piece;
        assert_int_equal(sl_store_reader_next(r, b, 65536, &step, &piece, NULL), SL_OK);
    }
    assert_int_equal(sl_mem_thread_allocations(), before);
    sl_store_reader_free(r);
    sl_store_block_free(b);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),          cmocka_unit_test(test_second_process),
        cmocka_unit_test(test_write_and_read), cmocka_unit_test(test_open_group_is_not_seen),
        cmocka_unit_test(test_broken_group),   cmocka_unit_test(test_large_events),
        cmocka_unit_test(test_roll),           cmocka_unit_test(test_roll_by_size),
        cmocka_unit_test(test_open_at),        cmocka_unit_test(test_reopen),
        cmocka_unit_test(test_no_checksums),   cmocka_unit_test(test_bad_base),
        cmocka_unit_test(test_no_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
