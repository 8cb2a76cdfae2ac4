/* SPDX-License-Identifier: Apache-2.0 */
/* Randomness: repeatable where asked for, different where not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/rng.h"

static void test_same_seed_same_sequence(void **state)
{
    struct sl_rng a;
    struct sl_rng b;
    struct sl_rng c;
    sl_rng_seed(&a, 42);
    sl_rng_seed(&b, 42);
    sl_rng_seed(&c, 43);
    int equal_to_c = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t value = sl_rng_next(&a);
        assert_true(value == sl_rng_next(&b));
        equal_to_c += value == sl_rng_next(&c);
    }
    assert_int_equal(equal_to_c, 0);
}

static void test_seed_zero_moves(void **state)
{
    struct sl_rng r;
    sl_rng_seed(&r, 0);
    uint64_t first = sl_rng_next(&r);
    assert_true(first != sl_rng_next(&r));
    /* Every bit position takes both values. */
    uint64_t ones = 0;
    uint64_t zeros = 0;
    for (int i = 0; i < 200; i++) {
        uint64_t value = sl_rng_next(&r);
        ones |= value;
        zeros |= ~value;
    }
    assert_true(ones == UINT64_MAX && zeros == UINT64_MAX);
}

static void test_kernel_bytes(void **state)
{
    uint8_t a[1000] = {0};
    uint8_t b[1000] = {0};
    sl_rng_bytes(a, sizeof(a));
    sl_rng_bytes(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    uint8_t guard[3] = {1, 2, 3};
    sl_rng_bytes(guard + 1, 0);
    assert_int_equal(guard[1], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_sequence),
        cmocka_unit_test(test_seed_zero_moves),
        cmocka_unit_test(test_kernel_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
