/* SPDX-License-Identifier: Apache-2.0 */
/* Throttling of repeated messages, by a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log_throttle.h"

static const struct sl_log_throttle_limits limits = {
    .count = 3,
    .window_ms = 1000,
    .suppress_ms = 10000,
};

static int reset(void **state)
{
    sl_log_throttle_reset();
    return 0;
}

static void test_flood_is_cut(void **state)
{
    struct sl_log_throttle_verdict v = {0};
    for (uint64_t i = 0; i < 3; i++) {
        v = sl_log_throttle_check(&limits, 7, 5000 + i);
        assert_false(v.is_dropped);
        assert_int_equal(v.is_last, i == 2);
    }
    for (uint64_t i = 0; i < 50; i++) {
        assert_true(sl_log_throttle_check(&limits, 7, 5010 + i).is_dropped);
    }
    assert_true(sl_log_throttle_check(&limits, 7, 15001).is_dropped);
    v = sl_log_throttle_check(&limits, 7, 15002);
    assert_false(v.is_dropped);
    assert_int_equal(v.suppressed, 51);
    assert_int_equal(sl_log_throttle_check(&limits, 7, 15003).suppressed, 0);
}

static void test_slow_repetition_passes(void **state)
{
    for (uint64_t i = 0; i < 100; i++) {
        struct sl_log_throttle_verdict v = sl_log_throttle_check(&limits, 7, 1000 + i * 600);
        assert_false(v.is_dropped);
        assert_false(v.is_last);
    }
}

static void test_kinds_are_apart(void **state)
{
    for (uint64_t i = 0; i < 10; i++) {
        sl_log_throttle_check(&limits, 7, 1000);
    }
    assert_false(sl_log_throttle_check(&limits, 8, 1000).is_dropped);
    assert_false(sl_log_throttle_check(&limits, 7 + 128, 1000).is_dropped); /* the same bucket */
    assert_true(sl_log_throttle_check(&limits, 7, 1000).is_dropped);
}

static void test_zero_switches_off(void **state)
{
    const struct sl_log_throttle_limits off[] = {{0, 1, 1}, {1, 0, 1}, {1, 1, 0}};
    for (int i = 0; i < 300; i++) {
        struct sl_log_throttle_verdict v = sl_log_throttle_check(&off[i % 3], 7, 1);
        assert_false(v.is_dropped || v.is_last);
    }
}

static void test_key_zero_counts_too(void **state)
{
    for (int i = 0; i < 3; i++) {
        sl_log_throttle_check(&limits, 0, 1);
    }
    assert_true(sl_log_throttle_check(&limits, 0, 1).is_dropped);
}

static void test_flood_of_kinds_is_bounded(void **state)
{
    for (uint64_t key = 1; key < 100000; key++) {
        assert_false(sl_log_throttle_check(&limits, key, key).is_dropped);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_flood_is_cut, reset),
        cmocka_unit_test_setup(test_slow_repetition_passes, reset),
        cmocka_unit_test_setup(test_kinds_are_apart, reset),
        cmocka_unit_test_setup(test_zero_switches_off, reset),
        cmocka_unit_test_setup(test_key_zero_counts_too, reset),
        cmocka_unit_test_setup(test_flood_of_kinds_is_bounded, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
