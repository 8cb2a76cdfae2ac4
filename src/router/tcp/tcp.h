/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router tcp: bytes only. What its files share; nobody outside includes it.
 *
 *   module.c   the instance, the operations, which servers can be used
 *   balance.c  the choice of a server, pure
 *   relay.c    one client connection and its server connection, on one worker
 *   check.c    own checks: a thread per server
 *   tcplog.c   the line about a connection that has ended, pure
 *
 * A relay lives on one worker from accept to its end. What several threads see are the health words
 * of the checks and the counters, all atomic.
 */
#ifndef SL_ROUTER_TCP_TCP_H
#define SL_ROUTER_TCP_TCP_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/pool.h"
#include "conf/tables.h"
#include "core/core.h"
#include "net/conn.h"

/* Servers that a relay has tried are bits of one word. */
#define SL_TCP_SERVERS_MAX 64
#define SL_TCP_NO_SERVER (-1)

/* ---- balance.c ---- */

struct sl_tcp_candidate {
    bool can_serve;       /* healthy, not full, not tried yet */
    uint32_t rank;        /* the lowest rank that can serve is chosen from */
    uint32_t weight;      /* 0: takes no new connections */
    uint32_t connections; /* open now */
};

/* What the methods remember between two choices. */
struct sl_tcp_balance_state {
    /* leastconn: where the last connection went, so that equals take turns */
    unsigned last;
    int64_t credit[SL_TCP_SERVERS_MAX]; /* roundrobin: what a server is owed */
};

/* The position of the server for a new connection, or SL_TCP_NO_SERVER. */
int sl_tcp_balance_choose(enum sl_tcp_balance method, const struct sl_tcp_candidate *list,
                          unsigned count, struct sl_tcp_balance_state *state);

/* ---- check.c ---- */

#define SL_TCP_CHECK_RISE                                                                          \
    2 /* good checks in a row that bring a server up, and bad ones that take it down: */
#define SL_TCP_CHECK_FALL 3 /* HAProxy's defaults of `rise` and `fall` */

struct sl_tcp_hysteresis {
    bool is_known; /* the first result counts at once */
    bool is_up;
    unsigned against; /* results in a row that speak against is_up */
};
/* True when is_up has changed, or became known. */
bool sl_tcp_hysteresis_add(struct sl_tcp_hysteresis *h, bool is_good);

struct sl_tcp_instance;

/* One server of one service. With kind MONITOR there is no thread and nothing below is used. */
struct sl_tcp_checker {
    enum sl_tcp_check kind;
    struct sl_tcp_instance *instance;
    struct sl_server *server;
    /* RUNNING into the server's status: it has no monitor, and no other check does it */
    bool publishes;
    pthread_t thread;
    bool is_started;
    int stop_fd;        /* eventfd, readable once the thread shall end */
    int wake_fd;        /* eventfd: check now */
    _Atomic bool is_up; /* read by every worker */
    _Atomic uint64_t rounds;
    struct sl_tcp_hysteresis hysteresis; /* the thread's */
};

/* Starts the threads of all checks of the instance and waits (bounded) for their first results.
 * Control thread. */
int sl_tcp_checks_start(struct sl_tcp_instance *inst, struct sl_err *err);
void sl_tcp_checks_stop(struct sl_tcp_instance *inst);
/* A connection to the server failed: check at once. Any thread. */
void sl_tcp_check_wake(struct sl_tcp_checker *check);
/* One check, blocking at most timeout_ms; ends early when stop_fd becomes readable. SL_OK: good. */
int sl_tcp_check_run(struct sl_tcp_checker *check, uint32_t timeout_ms, struct sl_err *err);

/* ---- module.c ---- */

struct sl_tcp_worker {
    struct sl_tcp_instance *instance;
    struct sl_worker *worker;
    struct sl_list relays;  /* that carry a connection */
    struct sl_list leaving; /* ended, not yet released by the loop */
    struct sl_pool pool;
    /* Written by the worker, read by any thread. */
    _Atomic uint64_t bytes_to_servers;
    _Atomic uint64_t bytes_to_clients;
    _Atomic uint64_t retries;
    _Atomic uint64_t refused; /* no server, or max_connections */
    _Atomic uint64_t cut;     /* their server went down */
} __attribute__((aligned(64)));

struct sl_tcp_instance {
    struct sl_service *service;
    const struct sl_tcp_settings *settings;
    uint64_t idle_ms;              /* 0: never */
    _Atomic bool has_seen_roles;   /* the monitor gives roles: from then on a server needs one */
    struct sl_tcp_checker *checks; /* [service->server_count] */
    /* once per connection: workers that took turns each for itself would not be even */
    pthread_mutex_t balance_lock;
    struct sl_tcp_balance_state balance;
    unsigned worker_count;
    struct sl_tcp_worker *workers;
};

int sl_tcp_instance_new(struct sl_service *service, struct sl_tcp_instance **ret,
                        struct sl_err *err);
void sl_tcp_instance_free(struct sl_tcp_instance *inst);

/* Can a server with this status take new connections? is_up: what the own check says. Pure. */
bool sl_tcp_can_serve(uint32_t status, const struct sl_tcp_checker *check, bool needs_role);
/* ... and is it down, so that its clients are cut? */
bool sl_tcp_is_down(const struct sl_tcp_instance *inst, unsigned position);
/* Chooses among the servers whose bit in `tried` is not set. Any worker. */
int sl_tcp_choose(struct sl_tcp_instance *inst, uint64_t tried);

/* ---- tcplog.c ---- */

/* An IP address with its port; family AF_UNIX for clients of a unix socket. Smaller than a
 * sockaddr_storage. */
union sl_tcp_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct sl_tcplog {
    const union sl_tcp_address *client;
    const char *listener, *service, *server; /* server NULL: none */
    int64_t accepted_ms;                     /* wall clock, milliseconds since the epoch */
    int64_t connect_ms;                      /* -1: never connected */
    int64_t total_ms;
    uint64_t bytes;    /* from server to client */
    char cause, phase; /* termination state */
    uint32_t all, listener_now, service_now, server_now;
    unsigned retries;
    bool was_redispatched;
};
/* Longest line: an IPv6 client, three names of 255 bytes, eleven numbers. */
#define SL_TCPLOG_MAX 1280
void sl_tcplog_render(const struct sl_tcplog *l, char *out, size_t size);

/* ---- relay.c ---- */

enum sl_tcp_step {
    SL_TCP_HEADER, /* the client may be a proxy and send a header */
    SL_TCP_CONNECTING,
    SL_TCP_RETRYING, /* the failed connection is being released, the next server follows */
    SL_TCP_OPEN,
    SL_TCP_ENDED
};

struct sl_tcp_relay {
    struct sl_list node;
    struct sl_tcp_worker *owner;
    struct sl_listener *listener; /* NULL only in tests */
    struct sl_conn client;
    struct sl_conn server;
    struct sl_timer timer; /* header, connecting, idle */
    struct sl_task tail;   /* looks for the end of input that was announced early */
    union sl_tcp_address peer;
    union sl_tcp_address local;
    uint64_t accepted_ms; /* the loop's clock */
    uint64_t active_ms;
    int64_t connect_ms;
    uint64_t bytes_up, bytes_down;
    uint64_t tried;
    int16_t position;
    uint16_t retries;
    uint8_t step;
    char cause;                    /* of the log line when no server is left to try */
    uint8_t live;                  /* connections not released yet */
    bool is_counted;               /* in the server's counters */
    bool client_fin, server_fin;   /* seen by us, perhaps with input still to be read */
    bool client_done, server_done; /* all input relayed and the FIN passed on */
};

/* Takes the accepted socket. `local` is the address the client connected to. */
void sl_tcp_relay_accept(struct sl_tcp_worker *tw, struct sl_listener *listener, int fd,
                         const struct sockaddr_storage *peer, const struct sockaddr_storage *local);
/* Ends the relays whose server is down. */
void sl_tcp_relays_cut(struct sl_tcp_worker *tw);
/* Ends the relays with this server; those that are still connecting to it go to another one. */
void sl_tcp_relays_hang_up(struct sl_tcp_worker *tw, const struct sl_server *server);
/* Ends all and waits until the loop has released them. */
void sl_tcp_relays_end(struct sl_tcp_worker *tw);

#endif
