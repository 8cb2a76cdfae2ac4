/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's event loop: edge-triggered epoll, a timer wheel, a mailbox and one flush per turn.
 *
 *   turn:  epoll_wait -> ready connections (recv, on_data) -> resumed connections -> mailbox
 *          -> expired timers -> FLUSH: all dirty connections' output in one io_uring submission
 *          -> release of closed connections -> deferred tasks
 *
 * One loop per worker thread; everything here except sl_loop_post and sl_loop_stop may be called by
 * that thread only. Nothing is sent in the middle of a turn, except that a connection whose output
 * grows past 64 kB inside one turn is flushed at once.
 */
#ifndef SL_NET_LOOP_H
#define SL_NET_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"

struct sl_loop;

enum sl_flush_mode {
    SL_FLUSH_AUTO, /* io_uring if the kernel lets us, else send(2); decided once, logged */
    SL_FLUSH_RING, /* fail if there is no ring */
    SL_FLUSH_SEND
};

struct sl_loop_config {
    const char *name; /* thread name, copied */
    enum sl_flush_mode flush_mode;
    /* bytes of unsent output that make a connection "full"; 0 = 64 KiB */
    uint32_t high_water;
    uint32_t low_water;   /* ... and "writable" again; 0 = 1 KiB (never >= high_water) */
    uint32_t read_budget; /* bytes read from one socket per turn; 0 = 256 KiB */
};

/* Relaxed counters, written by the loop's thread, readable by any. */
struct sl_loop_stats {
    uint64_t turns, events, reads, writes, accepts, errors, hangups;
    uint64_t bytes_in, bytes_out, ring_submits, short_sends;
    uint64_t busy_us;     /* time spent outside epoll_wait */
    uint64_t max_turn_us; /* longest turn */
    uint32_t connections; /* open now */
    uint32_t load_1s_pct, load_1m_pct, load_1h_pct;
    uint64_t tick; /* grows at least once a second: the watchdog looks at it */
};

/* The loop may be made by one thread and run by another. Free it when its thread has ended;
 * messages that are still in the mailbox are run then, so that they can free themselves.
 * Connections must be closed before; those already closed are released. */
int sl_loop_new(const struct sl_loop_config *config, struct sl_loop **ret_loop, struct sl_err *err);
void sl_loop_free(struct sl_loop *loop);

/* Runs turns in the calling thread until sl_loop_stop(). */
void sl_loop_run(struct sl_loop *loop);
/* One turn, waiting at most timeout_ms (-1 = until something happens). For tests. */
void sl_loop_turn(struct sl_loop *loop, int timeout_ms);
/* Any thread, also from the loop itself. */
void sl_loop_stop(struct sl_loop *loop);

/* Monotonic time of the current turn; cheap. */
uint64_t sl_loop_now_ms(const struct sl_loop *loop);
uint64_t sl_loop_now_us(const struct sl_loop *loop);
bool sl_loop_has_ring(const struct sl_loop *loop);
/* The counters themselves: the loop's thread only. */
const struct sl_loop_stats *sl_loop_stats(const struct sl_loop *loop);
/* A copy for any thread; each counter is read atomically, not all at one moment. */
void sl_loop_stats_get(const struct sl_loop *loop, struct sl_loop_stats *ret);
int sl_loop_epoll_fd(const struct sl_loop *loop);
/* Pooled buffers that connections hold at the moment; 0 when all are idle. Loop's thread. */
size_t sl_loop_lent_buffers(const struct sl_loop *loop);

/* A message to the loop's thread. Embed it in a struct of your own; ownership moves with it, and
 * `run` (called on the loop's thread) usually frees it. Any thread may post; messages of one thread
 * arrive in order. The eventfd is written only when the mailbox was empty. */
struct sl_message {
    struct sl_message *next; /* private */
    void (*run)(struct sl_message *m, struct sl_loop *loop);
};
void sl_loop_post(struct sl_loop *loop, struct sl_message *m);

/* A task run once at the end of the current turn, after the flush (or of the next one when called
 * from a deferred task). Embed; sl_list_init(&task->node) first. Scheduling twice is one run. */
struct sl_task {
    struct sl_list node;
    void (*run)(struct sl_task *t, struct sl_loop *loop);
};
void sl_loop_defer(struct sl_loop *loop, struct sl_task *t);
void sl_task_cancel(struct sl_task *t);

/* Timers: a hierarchical wheel of 1 ms ticks, embedded in the object. `fire` runs on the loop's
 * thread once; restart it there for a periodic one. */
struct sl_timer {
    struct sl_list node;
    uint64_t expires_ms; /* 0 = not running */
    void (*fire)(struct sl_timer *t, struct sl_loop *loop);
};
void sl_timer_init(struct sl_timer *t, void (*fire)(struct sl_timer *t, struct sl_loop *loop));
void sl_timer_start(struct sl_loop *loop, struct sl_timer *t, uint64_t delay_ms); /* restarts */
void sl_timer_stop(struct sl_timer *t);
bool sl_timer_is_running(const struct sl_timer *t);

/* A plain descriptor in the loop (listening sockets). Edge-triggered unless level is set. */
struct sl_watch {
    int fd;
    void (*on_ready)(struct sl_watch *w, struct sl_loop *loop, uint32_t epoll_events);
};
int sl_watch_add(struct sl_loop *loop, struct sl_watch *w, uint32_t epoll_events,
                 struct sl_err *err);
void sl_watch_remove(struct sl_loop *loop, struct sl_watch *w);

#endif
