/* SPDX-License-Identifier: Apache-2.0 */
/* The timer wheel against a plain reference, and timers in a loop. */
#include "harness.h"

#include "net/timer_wheel.h"

enum {
    COUNT = 100 * 1000
};

static struct sl_timer timers[COUNT];
static uint64_t reference_ms[COUNT]; /* when it must expire; 0 = not running */

static uint64_t random_delay(struct sl_rng *rng)
{
    uint64_t r = sl_rng_next(rng);
    unsigned bits = r % 24; /* from the next tick to hours */
    return (r >> 8) % ((UINT64_C(1) << bits) + 1);
}

static void start(struct sl_wheel *w, unsigned i, uint64_t delay_ms)
{
    sl_timer_stop(&timers[i]);
    sl_wheel_insert(w, &timers[i], w->now_ms + delay_ms);
    reference_ms[i] = w->now_ms + SL_MAX(delay_ms, 1u);
}

static uint64_t reference_next(void)
{
    uint64_t next_ms = UINT64_MAX;
    for (unsigned i = 0; i < COUNT; i++) {
        if (reference_ms[i] != 0 && reference_ms[i] < next_ms) {
            next_ms = reference_ms[i];
        }
    }
    return next_ms;
}

/* Advances and compares: exactly the due ones come out, in order. */
static unsigned advance(struct sl_wheel *w, uint64_t now_ms)
{
    struct sl_list expired;
    sl_list_init(&expired);
    sl_wheel_advance(w, now_ms, &expired);
    unsigned count = 0;
    uint64_t last_ms = 0;
    while (!sl_list_is_empty(&expired)) {
        struct sl_timer *t = SL_CONTAINER_OF(sl_list_pop(&expired), struct sl_timer, node);
        size_t i = (size_t)(t - timers);
        assert_true(reference_ms[i] != 0 && reference_ms[i] <= now_ms);
        assert_int_equal(t->expires_ms, reference_ms[i]);
        assert_true(t->expires_ms >= last_ms);
        last_ms = t->expires_ms;
        t->expires_ms = 0;
        reference_ms[i] = 0;
        count++;
    }
    return count;
}

static void test_wheel_against_reference(void **state)
{
    static struct sl_wheel w;
    struct sl_rng rng;
    sl_rng_seed(&rng, 1);
    sl_wheel_init(&w, 123456789);
    for (unsigned i = 0; i < COUNT; i++) {
        sl_timer_init(&timers[i], NULL);
        reference_ms[i] = 0;
        start(&w, i, random_delay(&rng));
    }
    unsigned fired = 0;
    for (int step = 0; step < 600; step++) {
        for (int change = 0; change < 400; change++) {
            unsigned i = (unsigned)(sl_rng_next(&rng) % COUNT);
            if (change % 3 == 0) {
                sl_timer_stop(&timers[i]);
                reference_ms[i] = 0;
            } else {
                start(&w, i, random_delay(&rng));
            }
        }
        uint64_t next_ms = reference_next();
        assert_true(sl_wheel_next_ms(&w) <= next_ms); /* never sleeps too long */
        assert_true(sl_wheel_next_ms(&w) > w.now_ms);
        fired += advance(&w, w.now_ms + random_delay(&rng) % 20000);
        assert_true(reference_next() > w.now_ms); /* none was forgotten */
    }
    assert_true(fired > 1000);
    advance(&w, w.now_ms + (UINT64_C(1) << 40));
    assert_true(reference_next() == UINT64_MAX);
    assert_true(sl_wheel_next_ms(&w) == UINT64_MAX);
}

static void test_wheel_is_exact_across_levels(void **state)
{
    static struct sl_wheel w;
    static const uint64_t DELAYS[] = {
        1,      63,     64,       65,       4095,    4096,     4097,      262143,
        262144, 262145, 16777215, 16777216, 1 << 30, 86400000, 604800000, UINT64_C(1) << 39};
    for (size_t i = 0; i < SL_ARRAY_LEN(DELAYS); i++) {
        for (uint64_t from = 0; from < 3; from++) {
            sl_wheel_init(&w, (UINT64_C(1) << 24) - 1 + from);
            sl_timer_init(&timers[0], NULL);
            reference_ms[0] = 0;
            start(&w, 0, DELAYS[i]);
            uint64_t due_ms = reference_ms[0];
            assert_int_equal(advance(&w, due_ms - 1), 0);
            assert_true(sl_wheel_next_ms(&w) == due_ms);
            assert_int_equal(advance(&w, due_ms), 1);
        }
    }
}

/* --- in a loop -------------------------------------------------------------------------------- */

static struct sl_timer one, two, three;
static unsigned fired_one, fired_two, fired_three;
static uint64_t fired_ms;

static void fire_one(struct sl_timer *t, struct sl_loop *loop)
{
    fired_one++;
    fired_ms = sl_loop_now_ms(loop);
    assert_false(sl_timer_is_running(t));
    sl_timer_stop(&two); /* due in the same turn: must not fire any more */
    if (fired_one < 5) {
        sl_timer_start(loop, t, 3);
    }
}

static void fire_two(struct sl_timer *t, struct sl_loop *loop)
{
    fired_two++;
}

static void fire_three(struct sl_timer *t, struct sl_loop *loop)
{
    fired_three++;
    sl_timer_start(loop, t, 0); /* not in this turn again */
}

static void test_timers_in_a_loop(void **state)
{
    struct sl_loop *loop = loop_for(state);
    fired_one = fired_two = fired_three = 0;
    sl_timer_init(&one, fire_one);
    sl_timer_init(&two, fire_two);
    sl_timer_init(&three, fire_three);
    sl_loop_turn(loop, 0);
    uint64_t start_ms = sl_loop_now_ms(loop);
    sl_timer_start(loop, &one, 20);
    sl_timer_start(loop, &two, 20);
    assert_true(sl_timer_is_running(&one));
    RUN_UNTIL(loop, fired_one == 1);
    assert_true(fired_ms - start_ms >= 20);
    assert_int_equal(fired_two, 0);
    assert_false(sl_timer_is_running(&two));
    RUN_UNTIL(loop, fired_one == 5);
    assert_false(sl_timer_is_running(&one));
    sl_timer_start(loop, &three, 1);
    RUN_UNTIL(loop, fired_three == 3);
    sl_timer_stop(&three);
    run_turns(loop, 3);
    assert_int_equal(fired_three, 3);
    loop_end(loop);
}

static void test_idle_loop_sleeps(void **state)
{
    struct sl_loop *loop = loop_for(state);
    sl_timer_init(&two, fire_two);
    fired_two = 0;
    sl_timer_start(loop, &two, 250);
    sl_loop_turn(loop, 0);
    uint64_t turns = sl_loop_stats(loop)->turns;
    RUN_UNTIL(loop, fired_two == 1);
    /* RUN_UNTIL itself wakes every 10 ms. */
    assert_true(sl_loop_stats(loop)->turns - turns <= 40);
    sl_timer_start(loop, &two, 100);
    turns = sl_loop_stats(loop)->turns;
    for (int i = 0; i < 5 && fired_two == 1; i++) {
        sl_loop_turn(loop, -1); /* at most two: a slot to spread, the expiry */
    }
    assert_int_equal(fired_two, 2);
    assert_true(sl_loop_stats(loop)->turns - turns <= 4);
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wheel_against_reference),
        cmocka_unit_test(test_wheel_is_exact_across_levels),
        TEST_IN_BOTH_MODES(test_timers_in_a_loop),
        TEST_IN_BOTH_MODES(test_idle_loop_sleeps),
    };
    return cmocka_run_group_tests(tests, leak_check_start, leak_check_end);
}
