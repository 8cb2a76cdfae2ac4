/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets without gaps, and percentiles within a quarter of the truth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/latency.h"

static void test_buckets(void **state)
{
    for (unsigned b = 0; b < SL_LATENCY_BUCKETS; b++) {
        uint64_t from = sl_latency_bound(b), end = sl_latency_bound(b + 1);
        assert_true(end > from);
        assert_int_equal(sl_latency_bucket(from), b);
        assert_int_equal(sl_latency_bucket(end - 1), b);
        assert_true(b < 4 || (end - from) * 4 <= from);
    }
    assert_int_equal(sl_latency_bucket(UINT64_MAX), SL_LATENCY_BUCKETS - 1);
}

static void test_percentiles(void **state)
{
    struct sl_latency l = {0}, sum = {0};
    assert_int_equal(sl_latency_percentile(&l, 95, 0), 0);
    for (uint64_t us = 1; us <= 10000; us++) {
        sl_latency_add(&l, us);
    }
    static const unsigned percents[] = {1, 50, 95, 99, 100};
    for (unsigned i = 0; i < 5; i++) {
        uint64_t truth = percents[i] * 100;
        uint64_t got = sl_latency_percentile(&l, percents[i], 10000);
        assert_true(got * 4 >= truth * 3 && got * 4 <= truth * 5);
    }
    assert_int_equal(sl_latency_percentile(&l, 100, 10000), 10000);
    sl_latency_merge(&sum, &l);
    sl_latency_merge(&sum, &l);
    assert_int_equal(sl_latency_percentile(&sum, 95, 10000), sl_latency_percentile(&l, 95, 10000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_percentiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
