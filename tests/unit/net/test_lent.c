/* SPDX-License-Identifier: Apache-2.0 */
/* Lent buffers: classes, growth, giving back, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "net/lent.h"

static const struct sl_lent EMPTY = {NULL, 0, 0, 0};

static void test_grows_through_the_classes(void **state)
{
    struct sl_lender l;
    struct sl_lent b = EMPTY;
    sl_lender_init(&l);
    static const struct {
        size_t len;
        uint32_t cap;
    } STEPS[] = {{1, 4096},      {4096, 4096},    {4097, 16384},   {16385, 65536},
                 {65536, 65536}, {65537, 131072}, {131073, 262144}};
    size_t len = 0;
    for (size_t i = 0; i < sizeof(STEPS) / sizeof(STEPS[0]); i++) {
        while (len < STEPS[i].len) {
            uint8_t byte = (uint8_t)(len * 7);
            assert_int_equal(sl_lent_append(&l, &b, &byte, 1), SL_OK);
            len++;
        }
        assert_int_equal(b.cap, STEPS[i].cap);
        assert_int_equal(sl_lender_used(&l), b.cap <= 65536 ? 1 : 0);
    }
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(b.data[b.start + i], (uint8_t)(i * 7));
    }
    sl_lent_consume(&l, &b, len - 1);
    assert_int_equal(sl_lent_len(&b), 1);
    sl_lent_consume(&l, &b, 1);
    assert_int_equal(b.cap, 0);
    sl_lender_clear(&l);
}

static void test_queue_does_not_grow(void **state)
{
    struct sl_lender l;
    struct sl_lent b = EMPTY;
    struct sl_rng rng;
    sl_lender_init(&l);
    sl_rng_seed(&rng, 5);
    uint64_t in = 0, out = 0;
    for (int i = 0; i < 200000; i++) {
        while (in - out < 3000) {
            uint8_t byte = (uint8_t)(in * 13);
            assert_int_equal(sl_lent_append(&l, &b, &byte, 1), SL_OK);
            in++;
        }
        size_t n = sl_rng_next(&rng) % 500 + 1;
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(b.data[b.start + k], (uint8_t)((out + k) * 13));
        }
        sl_lent_consume(&l, &b, n);
        out += n;
    }
    assert_true(b.cap <= 16384);
    sl_lent_release(&l, &b);
    sl_lent_release(&l, &b); /* harmless */
    assert_int_equal(sl_lender_used(&l), 0);
    sl_lender_clear(&l);
}

static void test_limits(void **state)
{
    struct sl_lender l;
    struct sl_lent b = EMPTY;
    sl_lender_init(&l);
    assert_int_equal(sl_lent_append(&l, &b, "abc", 3), SL_OK);
    assert_int_equal(sl_lent_reserve(&l, &b, SL_LENT_MAX), SL_ENOMEM);
    assert_int_equal(sl_lent_reserve(&l, &b, SIZE_MAX), SL_ENOMEM);
    sl_mem_fail_after(1);
    assert_int_equal(sl_lent_reserve(&l, &b, 5000), SL_ENOMEM);
    sl_mem_fail_after(1);
    assert_int_equal(sl_lent_reserve(&l, &b, 500000), SL_ENOMEM);
    sl_mem_fail_after(0);
    assert_memory_equal(b.data + b.start, "abc", 3); /* untouched */
    assert_int_equal(sl_lent_append(&l, &b, NULL, 0), SL_OK);
    sl_lent_release(&l, &b);
    sl_lender_clear(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_through_the_classes),
        cmocka_unit_test(test_queue_does_not_grow),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
