/* SPDX-License-Identifier: Apache-2.0 */
/* The byte buffer: cursor, growth, moving to the front, and every allocation failing once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"

static void assert_content(const struct sl_buf *b, const char *text)
{
    assert_true(sl_buf_is_sane(b));
    assert_int_equal(sl_buf_len(b), strlen(text));
    if (*text) {
        assert_memory_equal(b->data + b->start, text, strlen(text));
    }
}

static void test_empty(void **state)
{
    struct sl_buf b = SL_BUF_INIT;
    assert_content(&b, "");
    assert_null(sl_buf_slice(&b).data);
    assert_int_equal(sl_buf_append(&b, NULL, 0), SL_OK);
    sl_buf_consume(&b, 0);
    assert_content(&b, "");
    sl_buf_free(&b);
}

static void test_append_and_consume(void **state)
{
    struct sl_buf b = SL_BUF_INIT;
    assert_int_equal(sl_buf_append_text(&b, "hello"), SL_OK);
    assert_int_equal(sl_buf_append(&b, " world", 6), SL_OK);
    assert_content(&b, "hello world");
    sl_buf_consume(&b, 6);
    assert_content(&b, "world");
    sl_buf_consume(&b, 5);
    assert_content(&b, "");
    assert_int_equal(b.start, 0);
    assert_true(b.capacity > 0);
    sl_buf_free(&b);
    assert_int_equal(b.capacity, 0);
}

static void test_reserve_and_commit(void **state)
{
    struct sl_buf b = SL_BUF_INIT;
    assert_int_equal(sl_buf_reserve(&b, 3), SL_OK);
    memcpy(b.data + b.end, "abc", 3);
    sl_buf_commit(&b, 3);
    assert_content(&b, "abc");
    sl_buf_free(&b);
}

static void test_reserve_moves_before_it_grows(void **state)
{
    struct sl_buf b = SL_BUF_INIT;
    assert_int_equal(sl_buf_reserve(&b, 1), SL_OK);
    size_t capacity = b.capacity;
    sl_buf_commit(&b, capacity);
    sl_buf_consume(&b, capacity - 1);
    assert_int_equal(sl_buf_reserve(&b, capacity - 1), SL_OK);
    assert_int_equal(b.capacity, capacity);
    assert_int_equal(b.start, 0);
    assert_int_equal(sl_buf_reserve(&b, capacity), SL_OK);
    assert_int_equal(b.capacity, 2 * capacity);
    sl_buf_free(&b);
}

static void test_absurd_sizes_are_refused(void **state)
{
    struct sl_buf b = SL_BUF_INIT;
    assert_int_equal(sl_buf_append_text(&b, "kept"), SL_OK);
    assert_int_equal(sl_buf_reserve(&b, SIZE_MAX), SL_ENOMEM);
    assert_int_equal(sl_buf_reserve(&b, SIZE_MAX - 4), SL_ENOMEM);
    assert_int_equal(sl_buf_reserve(&b, SIZE_MAX / 2 + 1), SL_ENOMEM);
    assert_content(&b, "kept");
    sl_buf_free(&b);
}

static void test_printf(void **state)
{
    struct sl_buf b = SL_BUF_INIT;
    assert_int_equal(sl_buf_printf(&b, "%s-%d", "a", 7), SL_OK);
    assert_int_equal(sl_buf_printf(&b, "%s", ""), SL_OK);
    assert_int_equal(sl_buf_printf(&b, "%0*d", 1000, 5), SL_OK);
    assert_int_equal(sl_buf_len(&b), 1003);
    assert_memory_equal(b.data, "a-70", 4);
    assert_int_equal(b.data[b.end - 1], '5');
    sl_buf_free(&b);
}

static void test_clear_keeps_the_memory(void **state)
{
    struct sl_buf b = SL_BUF_INIT;
    assert_int_equal(sl_buf_append_text(&b, "secret"), SL_OK);
    const uint8_t *data = b.data;
    sl_buf_clear(&b);
    assert_content(&b, "");
    assert_int_equal(sl_buf_append_text(&b, "x"), SL_OK);
    assert_ptr_equal(b.data, data);
    sl_buf_free(&b);
}

/* Random appends and consumes against a plain array. */
static void test_behaves_like_a_queue(void **state)
{
    static uint8_t written[1 << 20];
    struct sl_rng rng;
    sl_rng_seed(&rng, 1);
    for (size_t i = 0; i < sizeof(written); i++) {
        written[i] = (uint8_t)sl_rng_next(&rng);
    }
    struct sl_buf b = SL_BUF_INIT;
    size_t in = 0;
    size_t out = 0;
    while (in < sizeof(written)) {
        size_t put = sl_rng_next(&rng) % 3000;
        put = put < sizeof(written) - in ? put : sizeof(written) - in;
        assert_int_equal(sl_buf_append(&b, written + in, put), SL_OK);
        in += put;
        size_t take = sl_rng_next(&rng) % (sl_buf_len(&b) + 1);
        assert_memory_equal(sl_buf_slice(&b).data, written + out, take);
        sl_buf_consume(&b, take);
        out += take;
        assert_true(sl_buf_is_sane(&b));
    }
    sl_buf_free(&b);
}

/* One use of every allocating function; 0 or the first failure. */
static int use_all(struct sl_buf *b)
{
    int rc = sl_buf_append_text(b, "0123456789");
    rc = rc ? rc : sl_buf_reserve(b, 1000);
    rc = rc ? rc : sl_buf_printf(b, "%0*d", 3000, 1);
    char block[10000] = {0};
    return rc ? rc : sl_buf_append(b, block, sizeof(block));
}

static void test_each_allocation_may_fail(void **state)
{
    size_t expected_len[] = {0, 10, 10, 3010};
    uint64_t before = sl_mem_thread_allocations();
    struct sl_buf b = SL_BUF_INIT;
    assert_int_equal(use_all(&b), SL_OK);
    sl_buf_free(&b);
    uint64_t total = sl_mem_thread_allocations() - before;
    assert_int_equal(total, 4);
    for (uint64_t n = 1; n <= total; n++) {
        sl_mem_fail_after(n);
        assert_int_equal(use_all(&b), SL_ENOMEM);
        sl_mem_fail_after(0);
        assert_true(sl_buf_is_sane(&b));
        assert_int_equal(sl_buf_len(&b), expected_len[n - 1]);
        sl_buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_append_and_consume),
        cmocka_unit_test(test_reserve_and_commit),
        cmocka_unit_test(test_reserve_moves_before_it_grows),
        cmocka_unit_test(test_absurd_sizes_are_refused),
        cmocka_unit_test(test_printf),
        cmocka_unit_test(test_clear_keeps_the_memory),
        cmocka_unit_test(test_behaves_like_a_queue),
        cmocka_unit_test(test_each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
