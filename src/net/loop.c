/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: the order of a turn, the mailbox, watches and deferred tasks.
 *
 *   epoll_wait -> events -> ready list -> mailbox -> timers -> flush -> release -> deferred
 *
 * What epoll gives back is a pointer with a tag in its lowest bit: 1 a connection, 0 a watch, and
 * NULL the loop's own eventfd. Invariants:
 *   I1  a connection's memory lives until the release step, so an event of this turn never points
 *       to freed memory; a removed watch is erased from the events not handled yet
 *   I2  the mailbox's eventfd is written only by the post that found it empty, and never read: it
 *       is edge-triggered, each write is an edge
 *   I3  work left over (ready, dirty, deferred, closed) makes the next epoll_wait return at once
 * Everything here runs on the loop's thread except sl_loop_post and sl_loop_stop.
 */
#include "net/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/loop_private.h"

static const uintptr_t CONN_TAG = 1;

enum {
    DEFAULT_HIGH_WATER = 64 * 1024,
    DEFAULT_LOW_WATER = 1024,
    DEFAULT_READ_BUDGET = 256 * 1024
};

static void configure(struct sl_loop *loop, const struct sl_loop_config *config)
{
    snprintf(loop->name, sizeof(loop->name), "%s", config->name ? config->name : "loop");
    loop->high_water = config->high_water ? config->high_water : DEFAULT_HIGH_WATER;
    loop->low_water = config->low_water ? config->low_water : DEFAULT_LOW_WATER;
    if (loop->low_water >= loop->high_water) {
        loop->low_water = loop->high_water / 2;
    }
    loop->read_budget = config->read_budget ? config->read_budget : DEFAULT_READ_BUDGET;
}

static int open_descriptors(struct sl_loop *loop, struct sl_err *err)
{
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    if (loop->epoll_fd < 0 || loop->event_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->event_fd, &event) < 0) {
        return sl_err_set(err, SL_ESYS, "Cannot set up epoll: %s", strerror(errno));
    }
    return SL_OK;
}

int sl_loop_new(const struct sl_loop_config *config, struct sl_loop **ret_loop, struct sl_err *err)
{
    struct sl_loop *loop = sl_calloc(1, sizeof(*loop));
    if (loop == NULL) {
        return sl_err_set(err, SL_ENOMEM, "No memory for an event loop");
    }
    loop->epoll_fd = -1;
    loop->event_fd = -1;
    configure(loop, config);
    sl_list_init(&loop->ready);
    sl_list_init(&loop->next_ready);
    sl_list_init(&loop->dirty);
    sl_list_init(&loop->closed);
    sl_list_init(&loop->lingering);
    sl_list_init(&loop->deferred);
    sl_lender_init(&loop->lender);
    loop->now_us = sl_clock_mono_us();
    sl_wheel_init(&loop->wheel, loop->now_us / 1000);
    sl_timer_init(&loop->linger_timer, sl_conns_linger_expire);
    sl_load_start(loop, loop->now_us);

    int rc = SL_OK;
    loop->scratch = sl_malloc(SL_LOOP_SCRATCH);
    if (loop->scratch == NULL) {
        rc = sl_err_set(err, SL_ENOMEM, "No memory for an event loop");
    }
    if (rc == SL_OK) {
        rc = open_descriptors(loop, err);
    }
    if (rc == SL_OK) {
        rc = sl_flush_open(loop, config->flush_mode, err);
    }
    if (rc != SL_OK) {
        sl_loop_free(loop);
        return rc;
    }
    *ret_loop = loop;
    return SL_OK;
}

static void run_messages(struct sl_loop *loop)
{
    if (atomic_load_explicit(&loop->mailbox, memory_order_relaxed) == NULL) {
        return;
    }
    struct sl_message *newest =
        atomic_exchange_explicit(&loop->mailbox, NULL, memory_order_acquire);
    struct sl_message *oldest = NULL;
    while (newest != NULL) {
        struct sl_message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct sl_message *m = oldest;
        oldest = m->next;
        m->next = NULL;
        m->run(m, loop);
    }
}

void sl_loop_free(struct sl_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    /* Messages posted after the last turn own memory too. */
    run_messages(loop);
    while (!sl_list_is_empty(&loop->lingering)) {
        struct sl_list *node = loop->lingering.next;
        sl_conn_close(SL_CONTAINER_OF(node, struct sl_conn, ready_node), false);
    }
    sl_conns_release(loop);
    sl_flush_close(loop);
    if (loop->event_fd >= 0) {
        close(loop->event_fd);
    }
    if (loop->epoll_fd >= 0) {
        close(loop->epoll_fd);
    }
    sl_lender_clear(&loop->lender);
    sl_free(loop->plain_scratch);
    sl_free(loop->scratch);
    sl_free(loop);
}

static bool has_leftover_work(const struct sl_loop *loop)
{
    return !sl_list_is_empty(&loop->ready) || !sl_list_is_empty(&loop->next_ready) ||
           !sl_list_is_empty(&loop->dirty) || !sl_list_is_empty(&loop->deferred) ||
           !sl_list_is_empty(&loop->closed);
}

/* How long epoll_wait may sleep, at most limit_ms (-1 = any time). */
static int sleep_ms(struct sl_loop *loop, int limit_ms)
{
    if (limit_ms == 0 || has_leftover_work(loop)) {
        return 0;
    }
    uint64_t next_ms = sl_wheel_next_ms(&loop->wheel);
    if (next_ms != UINT64_MAX) {
        uint64_t now_us = sl_clock_mono_us();
        uint64_t next_us = next_ms * 1000;
        /* Rounded up: waking before the tick would only mean to wait again. */
        uint64_t delay_ms = next_us > now_us ? (next_us - now_us + 999) / 1000 : 0;
        if (limit_ms < 0 || delay_ms < (uint64_t)limit_ms) {
            return (int)SL_MIN(delay_ms, (uint64_t)INT32_MAX);
        }
    }
    return limit_ms;
}

static void run_events(struct sl_loop *loop)
{
    for (loop->event_next = 0; loop->event_next < loop->event_count;) {
        struct epoll_event *event = &loop->events[loop->event_next++];
        uintptr_t tagged = (uintptr_t)event->data.ptr;
        if ((tagged & CONN_TAG) != 0) {
            sl_conn_on_event((struct sl_conn *)(tagged & ~CONN_TAG), event->events);
        } else if (tagged != 0) {
            struct sl_watch *watch = event->data.ptr;
            watch->on_ready(watch, loop, event->events);
        }
    }
    loop->event_count = 0;
}

static void run_ready(struct sl_loop *loop)
{
    struct sl_list batch; /* what is made ready meanwhile waits for the next turn */
    sl_list_take(&batch, &loop->ready);
    while (!sl_list_is_empty(&batch)) {
        struct sl_list *node = sl_list_pop(&batch);
        sl_conn_process(SL_CONTAINER_OF(node, struct sl_conn, ready_node));
    }
}

static void run_deferred(struct sl_loop *loop)
{
    struct sl_list batch;
    sl_list_take(&batch, &loop->deferred);
    while (!sl_list_is_empty(&batch)) {
        struct sl_task *task = SL_CONTAINER_OF(sl_list_pop(&batch), struct sl_task, node);
        task->run(task, loop);
    }
}

void sl_loop_turn(struct sl_loop *loop, int timeout_ms)
{
    int sleep = sleep_ms(loop, timeout_ms);
    int n = epoll_wait(loop->epoll_fd, loop->events, SL_LOOP_EVENTS, sleep);
    sl_assert(n >= 0 || errno == EINTR);
    loop->event_count = SL_MAX(n, 0);
    while (!sl_list_is_empty(&loop->next_ready)) {
        sl_list_append(&loop->ready, sl_list_pop(&loop->next_ready));
    }
    loop->now_us = sl_clock_mono_us();
    SL_LOOP_COUNT(loop, turns, 1);
    SL_LOOP_COUNT(loop, events, (uint64_t)loop->event_count);

    run_events(loop);
    run_ready(loop);
    run_messages(loop);
    sl_timers_run(loop);
    sl_flush_run(loop);
    sl_conns_release(loop);
    run_deferred(loop);
    sl_load_turn(loop, loop->now_us, sl_clock_mono_us());
}

void sl_loop_run(struct sl_loop *loop)
{
    pthread_setname_np(pthread_self(), loop->name);
    /* A ring's descriptor is registered with one thread, so it happens here and not in _new. */
    bool is_registered = loop->has_ring && io_uring_register_ring_fd(&loop->ring) == 1;
    loop->now_us = sl_clock_mono_us();
    while (!atomic_load_explicit(&loop->is_stopping, memory_order_acquire)) {
        sl_loop_turn(loop, SL_LOOP_TICK_MS);
    }
    atomic_store_explicit(&loop->is_stopping, false, memory_order_relaxed);
    if (is_registered) {
        io_uring_unregister_ring_fd(&loop->ring);
    }
}

static void wake(struct sl_loop *loop)
{
    uint64_t one = 1;
    /* Can fail only when the counter is full, and then the loop is awake. */
    ssize_t n = write(loop->event_fd, &one, sizeof(one));
    (void)n;
}

void sl_loop_stop(struct sl_loop *loop)
{
    atomic_store_explicit(&loop->is_stopping, true, memory_order_release);
    wake(loop);
}

void sl_loop_post(struct sl_loop *loop, struct sl_message *m)
{
    struct sl_message *head = atomic_load_explicit(&loop->mailbox, memory_order_relaxed);
    do {
        m->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->mailbox, &head, m, memory_order_release,
                                                    memory_order_relaxed));
    if (head == NULL) {
        wake(loop);
    }
}

uint64_t sl_loop_now_ms(const struct sl_loop *loop)
{
    return loop->now_us / 1000;
}

uint64_t sl_loop_now_us(const struct sl_loop *loop)
{
    return loop->now_us;
}

bool sl_loop_has_ring(const struct sl_loop *loop)
{
    return loop->has_ring;
}

const struct sl_loop_stats *sl_loop_stats(const struct sl_loop *loop)
{
    return &loop->stats;
}

void sl_loop_stats_get(const struct sl_loop *loop, struct sl_loop_stats *ret)
{
    const struct sl_loop_stats *s = &loop->stats;
#define COPY(field) ret->field = __atomic_load_n(&s->field, __ATOMIC_RELAXED)
    COPY(turns);
    COPY(events);
    COPY(reads);
    COPY(writes);
    COPY(accepts);
    COPY(errors);
    COPY(hangups);
    COPY(bytes_in);
    COPY(bytes_out);
    COPY(ring_submits);
    COPY(short_sends);
    COPY(busy_us);
    COPY(max_turn_us);
    COPY(connections);
    COPY(load_1s_pct);
    COPY(load_1m_pct);
    COPY(load_1h_pct);
    COPY(tick);
#undef COPY
}

int sl_loop_epoll_fd(const struct sl_loop *loop)
{
    return loop->epoll_fd;
}

size_t sl_loop_lent_buffers(const struct sl_loop *loop)
{
    return sl_lender_used(&loop->lender);
}

void sl_loop_defer(struct sl_loop *loop, struct sl_task *t)
{
    if (sl_list_is_empty(&t->node)) {
        sl_list_append(&loop->deferred, &t->node);
    }
}

void sl_task_cancel(struct sl_task *t)
{
    sl_list_remove(&t->node);
}

int sl_watch_add(struct sl_loop *loop, struct sl_watch *w, uint32_t epoll_events,
                 struct sl_err *err)
{
    struct epoll_event event = {.events = epoll_events, .data.ptr = w};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, w->fd, &event) < 0) {
        return sl_err_set(err, SL_ESYS, "Cannot watch descriptor %d: %s", w->fd, strerror(errno));
    }
    return SL_OK;
}

void sl_watch_remove(struct sl_loop *loop, struct sl_watch *w)
{
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
    for (int i = loop->event_next; i < loop->event_count; i++) {
        if (loop->events[i].data.ptr == w) {
            loop->events[i].data.ptr = NULL;
        }
    }
}

int sl_loop_conn_control(struct sl_conn *c, int operation, uint32_t epoll_events)
{
    struct epoll_event event = {.events = epoll_events,
                                .data.ptr = (void *)((uintptr_t)c | CONN_TAG)};
    return epoll_ctl(c->loop->epoll_fd, operation, c->fd, &event);
}
