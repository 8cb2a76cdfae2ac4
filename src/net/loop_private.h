/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of src/net share about the loop and its connections. Nobody outside includes it.
 */
#ifndef SL_NET_LOOP_PRIVATE_H
#define SL_NET_LOOP_PRIVATE_H

#include <liburing.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "net/conn.h"
#include "net/lent.h"
#include "net/loop.h"
#include "net/timer_wheel.h"

enum {
    SL_LOOP_EVENTS = 256,            /* events taken by one epoll_wait */
    SL_LOOP_RING_ENTRIES = 512,      /* sends in one submission */
    SL_LOOP_SCRATCH = 64 * 1024,     /* one receive */
    SL_LOOP_TICK_MS = 1000,          /* longest sleep: the load figures and the watchdog need it */
    SL_CONN_FLUSH_BYTES = 64 * 1024, /* output of one connection that does not wait for the flush */
    SL_CONN_DIRECT_BYTES = 32 * 1024,
    SL_CONN_LINGER_MS = 5000
};

/* Load of the last second, minute and hour; see loop_load.c. */
struct sl_load {
    uint64_t second_start_us;
    uint64_t second_busy_us; /* busy_us at that moment */
    uint32_t seconds_pct[60];
    uint32_t minutes_pct[60];
    uint32_t second_count; /* ever taken */
    uint32_t minute_count;
};

struct sl_loop {
    int epoll_fd;
    int event_fd; /* wakes the loop for the mailbox and for stop */
    uint64_t now_us;
    uint32_t high_water;
    uint32_t low_water;
    uint32_t read_budget;
    bool has_ring;

    struct sl_list ready;      /* connections to look at again in this turn: resumed, ... */
    struct sl_list next_ready; /* ... in the next one: their read budget is used up */
    struct sl_list dirty;      /* connections with output for the flush */
    struct sl_list closed;     /* connections to release at the end of the turn */
    struct sl_list lingering;  /* closing connections that still send, oldest first */
    struct sl_list deferred;   /* tasks */
    struct sl_timer linger_timer;

    struct sl_lender lender;
    uint8_t *scratch;       /* received bytes */
    uint8_t *plain_scratch; /* decrypted bytes; NULL until a connection uses TLS */
    struct sl_wheel wheel;
    struct io_uring ring;

    int event_next; /* the events not yet handled, for sl_watch_remove */
    int event_count;
    struct epoll_event events[SL_LOOP_EVENTS];

    struct sl_load load;
    struct sl_loop_stats stats;
    char name[16];

    _Atomic(struct sl_message *) mailbox __attribute__((aligned(64)));
    atomic_bool is_stopping;
};

/* A counter that only the loop's thread writes and any may read. */
#define SL_LOOP_COUNT(loop, field, n)                                                              \
    __atomic_store_n(&(loop)->stats.field, (loop)->stats.field + (n), __ATOMIC_RELAXED)

enum sl_conn_flag {
    SL_CONN_PAUSED = 1 << 0,
    SL_CONN_DIRTY = 1 << 1,       /* on the dirty list, or in the flush's batch */
    SL_CONN_READABLE = 1 << 2,    /* the socket may have bytes that no event will announce again */
    SL_CONN_PEER_DONE = 1 << 3,   /* the kernel announced a FIN or worse (EPOLLRDHUP, EPOLLHUP) */
    SL_CONN_EOF = 1 << 4,         /* recv returned 0 */
    SL_CONN_ENDED = 1 << 5,       /* on_end was called */
    SL_CONN_WRITE_DEAD = 1 << 6,  /* output is dropped from now on */
    SL_CONN_BLOCKED = 1 << 7,     /* the socket took less than was offered; EPOLLOUT will tell */
    SL_CONN_OUT_ARMED = 1 << 8,   /* EPOLLOUT is asked for */
    SL_CONN_FULL = 1 << 9,        /* was above the high water mark, not yet at the low one */
    SL_CONN_SHUT_ASKED = 1 << 10, /* FIN when the output is sent */
    SL_CONN_SHUT_DONE = 1 << 11,
    SL_CONN_UNSEEN = 1 << 12,    /* kept input that must be presented (again) */
    SL_CONN_RAW_INPUT = 1 << 13, /* kept input is ciphertext for the TLS just put on */
    SL_CONN_LIMIT = 1 << 14,     /* memory was out */
    SL_CONN_LINGERS = 1 << 15    /* on the lingering list */
};

static inline bool sl_conn_has(const struct sl_conn *c, unsigned flags)
{
    return (c->flags & flags) != 0;
}

/* Moves all nodes of `from` to the list `to`, which need not be initialised. */
static inline void sl_list_take(struct sl_list *to, struct sl_list *from)
{
    sl_list_init(to);
    if (!sl_list_is_empty(from)) {
        *to = *from;
        to->next->prev = to;
        to->prev->next = to;
        sl_list_init(from);
    }
}

/* What a connection's socket is watched for; EPOLLOUT is added after a short send only. */
#define SL_CONN_EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLET)

/* loop.c: epoll_ctl for a connection's socket. */
int sl_loop_conn_control(struct sl_conn *c, int operation, uint32_t epoll_events);

/* timer.c */
void sl_timers_run(struct sl_loop *loop);

/* loop_load.c: called with the times of a turn. */
void sl_load_start(struct sl_loop *loop, uint64_t now_us);
void sl_load_turn(struct sl_loop *loop, uint64_t start_us, uint64_t end_us);

/* flush.c */
int sl_flush_open(struct sl_loop *loop, enum sl_flush_mode mode, struct sl_err *err);
void sl_flush_close(struct sl_loop *loop);
void sl_flush_run(struct sl_loop *loop);
/* Sends the connection's output now, with send(2); never calls back. */
void sl_flush_now(struct sl_conn *c);
/* Applies the result of one send: bytes, or a negative errno. Never calls back. */
void sl_flush_result(struct sl_conn *c, long result);

/* conn.c */
void sl_conn_on_event(struct sl_conn *c, uint32_t events);
void sl_conn_mark_ready(struct sl_conn *c);
void sl_conn_mark_dirty(struct sl_conn *c);
void sl_conn_drop_output(struct sl_conn *c);
/* After its output was flushed: water mark, half close, end of a lingering one. May call back. */
void sl_conn_settle(struct sl_conn *c);
void sl_conn_end(struct sl_conn *c, enum sl_conn_end end);
void sl_conns_release(struct sl_loop *loop);
void sl_conns_linger_expire(struct sl_timer *t, struct sl_loop *loop);

/* conn_input.c */
/* Everything that can be done for an open connection now: kept input, reading, reporting its
 * end. */
void sl_conn_process(struct sl_conn *c);
/* Plaintext for the owner, not in the connection's own buffer. */
void sl_conn_take_input(struct sl_conn *c, const uint8_t *data, size_t len);
/* No more input will come: what is kept is presented a last time, then the end is reported. */
void sl_conn_reach_eof(struct sl_conn *c);

#endif
