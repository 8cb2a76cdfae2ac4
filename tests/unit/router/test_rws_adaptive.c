/* SPDX-License-Identifier: Apache-2.0 */
/* Adaptive routing: medians of nine, the shared moving average, the clock between two syncs,
 * servers without samples. */
#include "rws_fixture.h"

static struct rws_samples samples[COUNT];
static uint64_t now_ms = 1000000;

static int setup_samples(void **state)
{
    int rc = setup(state);
    struct fixture *f = *state;
    memset(samples, 0, sizeof samples);
    f->r.samples = samples;
    return rc;
}

static void sync(struct fixture *f)
{
    now_ms += 250;
    rws_adaptive_sync(&f->r, now_ms);
}

static void nine(struct fixture *f, int position, uint64_t us)
{
    for (unsigned i = 0; i < RWS_SAMPLES; i++) {
        rws_adaptive_sample(&f->r, position, us);
    }
}

static uint64_t average(const struct fixture *f, unsigned i)
{
    return atomic_load(&f->servers[i]->average_ns);
}

static void test_median(void **state)
{
    struct fixture *f = *state;
    static const uint64_t us[RWS_SAMPLES] = {900000, 3,      5,      1, 4,
                                             2,      800000, 700000, 6}; /* outliers do not count */
    for (unsigned i = 0; i < RWS_SAMPLES - 1; i++) {
        rws_adaptive_sample(&f->r, 1, us[i]);
    }
    sync(f);
    assert_int_equal(average(f, 1), 0); /* the window is not full: nothing known yet */
    rws_adaptive_sample(&f->r, 1, us[RWS_SAMPLES - 1]);
    sync(f);
    assert_int_equal(average(f, 1), 5000);
    assert_int_equal(average(f, 2), 0);
}

static void test_mean_of_medians(void **state)
{
    struct fixture *f = *state;
    nine(f, 1, 100);
    nine(f, 1, 300);
    sync(f);
    assert_int_equal(average(f, 1), 200000);
}

static void test_moving(void **state)
{
    struct fixture *f = *state;
    nine(f, 1, 800);
    sync(f);
    nine(f, 1, 1600);
    sync(f);
    assert_int_equal(average(f, 1), 900000); /* an eighth of the new one */
    nine(f, 1, 600);
    sync(f);
    assert_int_equal(average(f, 1), 900000 - 112500 + 75000);
    nine(f, 1, 100); /* less than half: a recovered server comes back quickly */
    sync(f);
    assert_int_equal(average(f, 1), (862500 + 100000) / 2);
}

static void test_not_too_often(void **state)
{
    struct fixture *f = *state;
    nine(f, 1, 100);
    sync(f);
    nine(f, 1, 1000000);
    rws_adaptive_sync(&f->r, now_ms + 249);
    assert_int_equal(average(f, 1), 100000);
    sync(f);
    assert_true(average(f, 1) > 100000);
}

static void test_ping_where_nothing_is_known(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->servers[1]->ping_us, 40);
    nine(f, 2, 10);
    atomic_store(&f->servers[2]->ping_us, 4000);
    sync(f);
    assert_int_equal(average(f, 1), 40000);
    assert_int_equal(average(f, 2), 10000);
    atomic_store(&f->servers[1]->ping_us, 80);
    sync(f);
    assert_int_equal(average(f, 1),
                     35000); /* fades while nobody reads there, so that somebody tries again */
    rws_adaptive_sample(&f->r, 1, 30);
    sync(f);
    assert_int_equal(average(f, 1), 35000); /* somebody is about to tell */
}

static void test_huge_and_off(void **state)
{
    struct fixture *f = *state;
    nine(f, 1, UINT64_MAX);
    sync(f);
    assert_int_equal(average(f, 1), (uint64_t)UINT32_MAX * 1000);
    f->r.samples = NULL; /* another criterion */
    rws_adaptive_sample(&f->r, 1, 5);
    sync(f);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup_samples, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_median),
        T(test_mean_of_medians),
        T(test_moving),
        T(test_not_too_often),
        T(test_ping_where_nothing_is_known),
        T(test_huge_and_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
