/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a transaction: order, bounds, memory, checksums of replies in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "router/readwritesplit/replay_log.h"

#define PAGE 512

static int add(struct rws_log *log, size_t len, uint8_t fill)
{
    uint8_t packet[2048];
    struct rws_log_entry *e;
    memset(packet, fill, sizeof packet);
    return rws_log_add(log, packet, len, &e);
}

static void check_order(const struct rws_log *log, uint8_t first)
{
    uint8_t fill = first;
    for (const struct rws_log_entry *e = log->first; e; e = e->next) {
        for (uint32_t i = 0; i < e->len; i++) {
            assert_int_equal(e->packet[i], fill);
        }
        assert_int_equal(e->command, fill++);
        assert_ptr_equal(e->next ? e->next->prev : log->last, e);
    }
    assert_int_equal((uint8_t)(fill - first), (uint8_t)log->count);
}

static void test_order_and_pages(void **state)
{
    struct sl_pool pool;
    struct rws_log log;
    sl_pool_init(&pool, PAGE, 4);
    rws_log_init(&log, &pool, PAGE, 1 << 20);
    for (unsigned i = 0; i < 100; i++) {
        /* some fit beside others, some into no page */
        assert_int_equal(add(&log, 5 + i * 13, (uint8_t)i), SL_OK);
    }
    check_order(&log, 0);
    assert_true(log.memory >= log.bytes);
    while (log.count > 40) {
        rws_log_drop_last(&log);
    }
    check_order(&log, 0);
    assert_int_equal(add(&log, 700, 40), SL_OK);
    check_order(&log, 0);
    rws_log_clear(&log);
    assert_int_equal(log.memory, 0);
    assert_int_equal(pool.used_count, 0);
    assert_null(log.first);
    sl_pool_clear(&pool);
}

static void test_drop_to_nothing(void **state)
{
    struct sl_pool pool;
    struct rws_log log;
    sl_pool_init(&pool, PAGE, 4);
    rws_log_init(&log, &pool, PAGE, 1000);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(add(&log, 10, 1), SL_OK);
        rws_log_drop_last(&log);
        assert_int_equal(log.memory, 0);
        assert_int_equal(log.bytes, 0);
        assert_null(log.first);
        assert_null(log.last);
    }
    sl_pool_clear(&pool);
}

static void test_bound(void **state)
{
    struct sl_pool pool;
    struct rws_log log;
    sl_pool_init(&pool, PAGE, 4);
    rws_log_init(&log, &pool, PAGE, 100);
    assert_int_equal(add(&log, 101, 1), SL_ELIMIT);
    assert_int_equal(add(&log, 60, 1), SL_OK);
    assert_int_equal(add(&log, 41, 2), SL_ELIMIT);
    assert_true(rws_log_has_room(&log, 40));
    assert_false(rws_log_has_room(&log, SIZE_MAX));
    assert_int_equal(add(&log, 40, 2), SL_OK);
    check_order(&log, 1);
    rws_log_clear(&log);
    sl_mem_fail_after(1);
    assert_int_equal(add(&log, 50, 1), SL_OK); /* the page was kept by the pool */
    rws_log_clear(&log);
    sl_pool_clear(&pool);
    sl_mem_fail_after(1);
    assert_int_equal(add(&log, 50, 1), SL_ENOMEM);
    sl_mem_fail_after(0);
    assert_int_equal(log.count, 0);
}

/* However the reply is cut, its checksum is the same. */
static void test_checksum(void **state)
{
    uint8_t data[1000];
    struct rws_hash *h = rws_hash_new();
    for (unsigned i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 7 + i / 256);
    }
    rws_hash_add(h, data, sizeof data);
    struct rws_checksum whole = rws_hash_value(h);
    for (size_t step = 1; step < 400; step = step * 2 + 1) {
        rws_hash_start(h);
        for (size_t at = 0; at < sizeof data; at += step) {
            rws_hash_add(h, data + at, at + step > sizeof data ? sizeof data - at : step);
            (void)rws_hash_value(h); /* looking disturbs nothing */
        }
        struct rws_checksum v = rws_hash_value(h);
        assert_true(rws_checksum_is_equal(&v, &whole));
    }
    data[999] ^= 1;
    rws_hash_start(h);
    rws_hash_add(h, data, sizeof data);
    struct rws_checksum other = rws_hash_value(h);
    assert_false(rws_checksum_is_equal(&other, &whole));
    rws_hash_free(h);
    rws_hash_free(NULL);
    sl_mem_fail_after(1);
    assert_null(rws_hash_new());
    sl_mem_fail_after(0);
}

static void test_status_offset(void **state)
{
    static const uint8_t ok[] = {0, 1, 0, 2, 0, 0, 0};
    static const uint8_t long_ok[] = {0, 0xfc, 1, 2, 0xfd, 1, 2, 3, 2, 0, 0, 0};
    static const uint8_t eof[] = {0xfe, 0, 0, 2, 0};
    static const uint8_t new_eof[] = {0xfe, 0, 0, 2, 0, 0, 0};
    static const uint8_t cut[] = {0, 0xfc, 1};
    assert_int_equal(rws_status_offset(ok, sizeof ok), 3);
    assert_int_equal(rws_status_offset(long_ok, sizeof long_ok), 8);
    assert_int_equal(rws_status_offset(eof, sizeof eof), 3);
    assert_int_equal(rws_status_offset(new_eof, sizeof new_eof), 3);
    assert_int_equal(rws_status_offset(cut, sizeof cut), 0);
    assert_int_equal(rws_status_offset(eof, 1), 0);
}

static void test_names_insert_id(void **state)
{
    assert_true(rws_names_insert_id(sl_slice_text("SELECT Last_Insert_Id()")));
    assert_true(rws_names_insert_id(sl_slice_text("select @@IDENTITY")));
    assert_true(rws_names_insert_id(sl_slice_text("INSERT INTO t VALUES (1) RETURNING id")));
    assert_false(rws_names_insert_id(sl_slice_text("SELECT identity FROM t")));
    assert_false(rws_names_insert_id(sl_slice_text("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_pages), cmocka_unit_test(test_drop_to_nothing),
        cmocka_unit_test(test_bound),           cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_status_offset),   cmocka_unit_test(test_names_insert_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
