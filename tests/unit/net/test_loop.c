/* SPDX-License-Identifier: Apache-2.0 */
/* The loop itself: mailbox, deferred tasks, watches, load, stop. */
#include "harness.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum {
    POSTERS = 4,
    POSTS = 20000
};

struct note {
    struct sl_message message;
    int poster;
    int number;
};

static int next_number[POSTERS];
static int notes_seen;

static void take_note(struct sl_message *m, struct sl_loop *loop)
{
    struct note *n = SL_CONTAINER_OF(m, struct note, message);
    assert_int_equal(n->number, next_number[n->poster]); /* in order, none lost */
    next_number[n->poster]++;
    notes_seen++;
    free(n);
    if (notes_seen == POSTERS * POSTS) {
        sl_loop_stop(loop);
    }
}

struct poster {
    pthread_t thread;
    struct sl_loop *loop;
    int index;
};

static void *post_notes(void *arg)
{
    struct poster *p = arg;
    for (int i = 0; i < POSTS; i++) {
        struct note *n = calloc(1, sizeof(*n));
        n->message.run = take_note;
        n->poster = p->index;
        n->number = i;
        sl_loop_post(p->loop, &n->message);
        if (i % 1000 == 0) {
            usleep(100); /* lets the loop fall asleep now and then */
        }
    }
    return NULL;
}

static void *run_loop(void *arg)
{
    sl_loop_run(arg);
    return NULL;
}

static void test_mailbox_from_four_threads(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct poster posters[POSTERS];
    pthread_t runner;
    notes_seen = 0;
    memset(next_number, 0, sizeof(next_number));
    pthread_create(&runner, NULL, run_loop, loop);
    for (int i = 0; i < POSTERS; i++) {
        posters[i].loop = loop;
        posters[i].index = i;
        pthread_create(&posters[i].thread, NULL, post_notes, &posters[i]);
    }
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(posters[i].thread, NULL);
    }
    pthread_join(runner, NULL);
    assert_int_equal(notes_seen, POSTERS * POSTS);
    loop_end(loop);
}

static struct note *own_note(int number)
{
    struct note *n = calloc(1, sizeof(*n));
    n->message.run = take_note;
    n->number = number;
    return n;
}

static void test_undelivered_messages_are_run_by_free(void **state)
{
    struct sl_loop *loop = loop_for(state);
    notes_seen = 0;
    next_number[0] = 0;
    for (int i = 0; i < 3; i++) {
        sl_loop_post(loop, &own_note(i)->message);
    }
    sl_loop_turn(loop, 0);
    assert_int_equal(notes_seen, 3);
    for (int i = 3; i < 5; i++) {
        sl_loop_post(loop, &own_note(i)->message);
    }
    sl_loop_free(loop);
    assert_int_equal(notes_seen, 5);
}

static void *stop_soon(void *arg)
{
    usleep(20 * 1000);
    sl_loop_stop(arg);
    return NULL;
}

static void test_stop_wakes_a_sleeping_loop(void **state)
{
    struct sl_loop *loop = loop_for(state);
    uint64_t quickest_ms = UINT64_MAX; /* of some: one may meet a pause of the machine */
    for (int i = 0; i < 5; i++) {      /* a stopped loop can run again */
        pthread_t stopper;
        uint64_t start_ms = sl_clock_mono_ms();
        pthread_create(&stopper, NULL, stop_soon, loop);
        sl_loop_run(loop);
        pthread_join(stopper, NULL);
        quickest_ms = SL_MIN(quickest_ms, sl_clock_mono_ms() - start_ms);
    }
    assert_true(quickest_ms < 800);
    loop_end(loop);
}

/* --- deferred tasks --------------------------------------------------------------------------- */

static struct sl_task first_task, second_task;
static unsigned first_runs, second_runs;

static void run_first(struct sl_task *t, struct sl_loop *loop)
{
    first_runs++;
    if (first_runs < 3) {
        sl_loop_defer(loop, t);
    }
    sl_task_cancel(&second_task);
}

static void run_second(struct sl_task *t, struct sl_loop *loop)
{
    second_runs++;
}

static void test_deferred_tasks(void **state)
{
    struct sl_loop *loop = loop_for(state);
    first_runs = second_runs = 0;
    sl_list_init(&first_task.node);
    sl_list_init(&second_task.node);
    first_task.run = run_first;
    second_task.run = run_second;
    sl_loop_defer(loop, &first_task);
    sl_loop_defer(loop, &second_task);
    sl_loop_defer(loop, &first_task); /* scheduling twice is one run */
    sl_loop_turn(loop, -1);           /* does not sleep */
    assert_int_equal(first_runs, 1);
    assert_int_equal(second_runs, 0);
    sl_loop_turn(loop, -1);
    assert_int_equal(first_runs, 2);
    sl_loop_turn(loop, -1);
    sl_loop_turn(loop, 0);
    assert_int_equal(first_runs, 3);
    sl_task_cancel(&first_task);
    loop_end(loop);
}

/* --- watches ---------------------------------------------------------------------------------- */

struct watcher {
    struct sl_watch watch;
    struct watcher *other;
    unsigned calls;
};

static void remove_the_other(struct sl_watch *w, struct sl_loop *loop, uint32_t events)
{
    struct watcher *me = SL_CONTAINER_OF(w, struct watcher, watch);
    me->calls++;
    assert_true((events & EPOLLIN) != 0);
    if (me->other != NULL) {
        sl_watch_remove(loop, &me->other->watch);
        memset(me->other, 0xff, sizeof(*me->other)); /* its memory is gone */
        me->other = NULL;
    }
}

static void test_watch_removed_while_its_event_waits(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct sl_err err = SL_ERR_INIT;
    struct watcher w[2];
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
        w[i] = (struct watcher){.watch = {fds[i], remove_the_other}, .other = &w[1 - i]};
        assert_int_equal(sl_watch_add(loop, &w[i].watch, EPOLLIN, &err), SL_OK);
    }
    sl_loop_turn(loop, 100);
    int left = w[0].watch.fd == fds[0] ? 0 : 1;
    assert_int_equal(w[left].calls, 1);
    sl_loop_turn(loop, 100); /* level-triggered: again */
    assert_int_equal(w[left].calls, 2);
    sl_watch_remove(loop, &w[left].watch);
    sl_loop_turn(loop, 0);
    assert_int_equal(w[left].calls, 2);
    struct sl_watch bad = {.fd = -1, .on_ready = remove_the_other};
    assert_int_equal(sl_watch_add(loop, &bad, EPOLLIN, &err), SL_ESYS);
    close(fds[0]);
    close(fds[1]);
    loop_end(loop);
}

/* --- load ------------------------------------------------------------------------------------- */

static void be_busy(struct sl_timer *t, struct sl_loop *loop)
{
    uint64_t end_us = sl_clock_mono_us() + 50 * 1000;
    while (sl_clock_mono_us() < end_us) {
    }
    sl_timer_start(loop, t, 100); /* counted from the beginning of the turn: half of the time */
}

static void test_load_and_tick(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct sl_timer timer;
    sl_timer_init(&timer, be_busy);
    sl_timer_start(loop, &timer, 1);
    RUN_UNTIL(loop, sl_loop_stats(loop)->tick >= 2);
    /* in a second in which the machine had time for us */
    RUN_UNTIL(loop, sl_loop_stats(loop)->load_1s_pct > 20 && sl_loop_stats(loop)->load_1s_pct < 90);
    assert_true(sl_loop_stats(loop)->load_1m_pct > 20);
    assert_true(sl_loop_stats(loop)->load_1h_pct > 20);
    assert_true(sl_loop_stats(loop)->max_turn_us >= 50 * 1000);
    assert_true(sl_loop_now_us(loop) / 1000 == sl_loop_now_ms(loop));
    assert_true(sl_loop_epoll_fd(loop) >= 0);
    sl_timer_stop(&timer);
    loop_end(loop);
}

static void test_modes(void **state)
{
    struct sl_loop *loop = loop_with((struct sl_loop_config){.flush_mode = SL_FLUSH_SEND});
    assert_false(sl_loop_has_ring(loop));
    loop_end(loop);
    loop = loop_with((struct sl_loop_config){.flush_mode = SL_FLUSH_AUTO,
                                             .high_water = 100,
                                             .low_water = 200}); /* corrected, not refused */
    bool has_ring = sl_loop_has_ring(loop);
    loop_end(loop);
    struct sl_err err = SL_ERR_INIT;
    struct sl_loop_config config = {.flush_mode = SL_FLUSH_RING};
    int rc = sl_loop_new(&config, &loop, &err);
    assert_int_equal(rc, has_ring ? SL_OK : SL_ENOTSUP);
    if (rc == SL_OK) {
        sl_loop_free(loop);
    }
    sl_loop_free(NULL);
}

static void test_out_of_memory(void **state)
{
    struct sl_loop_config config = {.flush_mode = SL_FLUSH_SEND};
    struct sl_loop *loop = NULL;
    for (uint64_t n = 1; n <= 2; n++) {
        struct sl_err err = SL_ERR_INIT;
        sl_mem_fail_after(n);
        assert_int_equal(sl_loop_new(&config, &loop, &err), SL_ENOMEM);
        sl_mem_fail_after(0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_BOTH_MODES(test_mailbox_from_four_threads),
        TEST_IN_BOTH_MODES(test_undelivered_messages_are_run_by_free),
        TEST_IN_BOTH_MODES(test_stop_wakes_a_sleeping_loop),
        TEST_IN_BOTH_MODES(test_deferred_tasks),
        TEST_IN_BOTH_MODES(test_watch_removed_while_its_event_waits),
        {"test_load_and_tick", test_load_and_tick, NULL, NULL, &MODE_RING},
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, leak_check_start, leak_check_end);
}
