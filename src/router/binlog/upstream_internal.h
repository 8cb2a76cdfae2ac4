/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the replica side share; nobody outside upstream*.c includes it.
 *
 *   upstream.c         life, requests, status                any thread / its own
 *   upstream_roles.c   which server, and when to leave it     upstream thread, once a second
 *   upstream_link.c    one connection, from connect to loss   upstream thread
 *   upstream_flow.c    the dump that flows in                 upstream thread
 *   upstream_login.c   greeting to OK                         pure
 *   upstream_ask.c     the questions of a replica             pure
 *   upstream_stream.c  packets to events                      pure
 *   upstream_ingest.c  events to the store                    no socket
 *   upstream_back.c    numbers that go back                   no socket
 *   upstream_fault.c, upstream_choose.c                       pure
 *   upstream_info.c    master-info.json;  upstream_target.c   what it holds
 *   upstream_resolve.c host names
 *
 *   STOPPED <-> NO_TARGET -> CONNECTING -> LOGIN -> ASKING -> STREAMING
 *                   ^            |           |        |           |
 *                   +--------- WAITING <-----+--------+-----------+
 *
 * Invariants:
 *   I1  `conn` is in use from sl_conn_connect() until on_released; the next attempt waits for that
 *   I2  the store has no open group unless step is STREAMING
 *   I3  nothing is acknowledged before sl_store_commit() returned 0
 */
#ifndef SL_ROUTER_BINLOG_UPSTREAM_INTERNAL_H
#define SL_ROUTER_BINLOG_UPSTREAM_INTERNAL_H

#include "net/conn.h"
#include "router/binlog/relay.h"
#include "router/binlog/upstream_ask.h"
#include "router/binlog/upstream_fault.h"
#include "router/binlog/upstream_info.h"
#include "router/binlog/upstream_ingest.h"
#include "router/binlog/upstream_login.h"
#include "router/binlog/upstream_resolve.h"
#include "router/binlog/upstream_stream.h"

enum {
    SL_UPSTREAM_TICK_MS = 1000,
    SL_UPSTREAM_RETURN_MS = 60000, /* back to a Master of which nothing is known, at the latest */
    SL_UPSTREAM_SETTLED_S = 5,     /* no further behind than this is caught up */
    SL_UPSTREAM_DEFAULT_SERVER_ID = 1234, /* what everybody has who did not choose */
    SL_UPSTREAM_READ_BUDGET = 1 << 20     /* bytes of one turn, which one commit makes durable */
};

struct sl_upstream {
    struct sl_relay *relay;
    const struct sl_binlog_settings *settings; /* as configured */
    const struct sl_secrets *secrets;          /* the daemon's; NULL: none */
    struct sl_loop *loop;
    pthread_t thread;
    bool is_started;

    /* ---- of the upstream thread ---- */
    bool is_ending;
    struct sl_upstream_tuning tuning; /* in force */
    struct sl_upstream_info info;     /* what is wanted, and from whom */
    enum sl_upstream_step step;
    uint64_t step_since_ms;
    struct sl_timer tick, wait;
    struct sl_task commit; /* makes durable what this turn brought */
    struct sl_message begin, end;

    struct sl_server *server; /* of the configuration that is read from; NULL: none of them */
    bool *lacks;              /* [server_count]: servers that cannot give the position */
    uint64_t lacks_since_ms;
    uint64_t stuck_since_ms; /* 0: not; the cluster goes on, but this stream does not */
    uint64_t stuck_events;   /* seen at that time */

    struct sl_conn conn;
    bool is_conn_used;
    struct sl_resolve *resolve;
    struct sl_tls_context *tls; /* own reference */
    uint8_t packet_seq;         /* of the last packet while logging in and asking */
    struct sl_upstream_login login;
    struct sl_upstream_asking ask;
    struct sl_buf position; /* text, with NUL, that `ask` sends */
    char report_host[256];
    uint16_t report_port;
    struct sl_stream stream;
    struct sl_ingest ingest;
    uint64_t last_input_ms, last_event_ms;
    /* the primary's clock minus the monotonic one: a step of the wall clock changes no lag */
    int64_t clock_ahead_ms;
    uint32_t heartbeat_ms;
    bool has_semi_sync;
    bool is_full;      /* the disk */
    bool has_room_now; /* nothing failed since it was tried again */

    struct sl_fault fault; /* the last one; NONE once events come again */
    int64_t fault_s;
    unsigned attempts; /* failed alike, one after another */
    bool is_flowing;   /* this connection has brought something */
    uint64_t bytes_in, acks_sent, connects;

    /* ---- for everybody ---- */
    pthread_mutex_t lock;
    struct sl_upstream_status shared;        /* without the target */
    struct sl_upstream_target shared_target; /* with its password */
};

/* ---- upstream.c ---- */
void sl_upstream_set_step(struct sl_upstream *u, enum sl_upstream_step step);
void sl_upstream_publish(struct sl_upstream *u);       /* what sl_upstream_status() shows */
int sl_upstream_publish_target(struct sl_upstream *u); /* SL_ENOMEM: the old one stays */
/* Remembers a fault for the status, and logs it if it is news. */
void sl_upstream_note(struct sl_upstream *u, const struct sl_fault *fault);

/* ---- upstream_roles.c ---- */
/* Begins the next attempt, if one is wanted and none is under way. */
void sl_upstream_go(struct sl_upstream *u);
void sl_upstream_tick(struct sl_timer *t, struct sl_loop *loop);
/* The server that is read from cannot give what is needed. */
void sl_upstream_pass_over(struct sl_upstream *u);
/* ... and the fault names servers that are not read instead, because they may have something else. */
void sl_upstream_name_strangers(struct sl_upstream *u, struct sl_fault *fault);

/* ---- upstream_link.c ---- */
/* To u->server, or u->info.target. */
void sl_upstream_connect(struct sl_upstream *u);
/* Ends the connection, keeps what is complete, abandons what is not. fault NULL: left on purpose.
 * The next attempt follows by itself after delay_ms. */
void sl_upstream_leave(struct sl_upstream *u, const struct sl_fault *fault, uint64_t delay_ms);
/* ... for good. */
void sl_upstream_hang_up(struct sl_upstream *u);
/* After a fault: leaves, and waits as long as such a fault takes. */
void sl_upstream_fail(struct sl_upstream *u, const struct sl_fault *fault);
void sl_upstream_fail_memory(struct sl_upstream *u);
/* Sends and frees `out`. False: that failed, and the connection is left. */
bool sl_upstream_send(struct sl_upstream *u, struct sl_buf *out);
const char *sl_upstream_peer(const struct sl_upstream *u); /* name of the server, or its host */

/* ---- upstream_flow.c ---- */
void sl_upstream_flow_init(struct sl_upstream *u);
/* The dump was asked for. */
void sl_upstream_flow_begin(struct sl_upstream *u);
/* The primary's clock by what it said when the dump began, seconds since the epoch. */
int64_t sl_upstream_primary_now_s(const struct sl_upstream *u);
/* Bytes of the dump; changed in place. Returns how many are used up. */
size_t sl_upstream_flow_data(struct sl_upstream *u, uint8_t *data, size_t len);
/* The connection goes: keeps complete groups, drops the rest. */
void sl_upstream_flow_end(struct sl_upstream *u);
/* The stream can be used: whatever was wrong is over. */
void sl_upstream_recover(struct sl_upstream *u);
/* Is there room on the disk again? */
void sl_upstream_try_room(struct sl_upstream *u);

/* ---- upstream_target.c ---- */
/* What cannot be used: SL_EINVAL, SL_ENOTSUP with text. */
int sl_upstream_target_check(const struct sl_upstream_target *t, struct sl_err *err);
/* SL_EINVAL: names what is missing. */
int sl_upstream_target_complete(const struct sl_upstream_target *t, struct sl_err *err);

#endif
