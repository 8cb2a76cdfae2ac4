/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service: a router, the servers and services it may use, the accounts that may log in, and the counters.
 * Immutable after start except the counters. And the listeners through which clients come.
 */
#ifndef SL_CORE_SERVICE_H
#define SL_CORE_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "conf/tables.h"
#include "core/accounts.h"
#include "core/module.h"
#include "core/server.h"
#include "net/listener.h"

struct sl_core;
struct sl_filter;
struct sl_tls_context;
struct sl_user_mapping;
struct gate;

/* One per worker; written by that worker only (relaxed). */
struct sl_service_counters {
    _Atomic uint32_t connections; /* client sessions now */
    _Atomic uint64_t total_connections;
    _Atomic uint64_t failed_auths;
    _Atomic uint64_t routed_packets;
    _Atomic uint64_t queries;
    _Atomic uint64_t route_primary, route_replica, route_all;
    _Atomic uint64_t rw_transactions, ro_transactions;
    _Atomic uint64_t prepared_reused;
    _Atomic uint64_t retried_reads, held_statements, lost_primaries;
    _Atomic uint64_t causal_waits, causal_failures; /* causal_reads: questions in front of reads */
    /* transaction replay (docs/internals/transaction-replay.md) */
    _Atomic uint64_t replays_started, replays_done, replay_mismatches, replay_restarts;
    _Atomic uint64_t replays_failed_mismatch, replays_failed_limit, replays_failed_refused;
    _Atomic uint64_t unknown_outcomes, trx_max_size_exceeded, retried_writes, locked_to_primary;
    _Atomic uint64_t history_length_max;
    _Atomic uint64_t closed_sessions, closed_lifetime_s; /* for the average lifetime */
} __attribute__((aligned(64)));

static inline void sl_count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline void sl_count32(_Atomic uint32_t *counter, int32_t n)
{
    atomic_store_explicit(counter,
                          atomic_load_explicit(counter, memory_order_relaxed) + (uint32_t)n,
                          memory_order_relaxed);
}

struct sl_service {
    struct sl_core *core;
    char *name;
    const struct sl_module *router;
    const struct sl_router_ops *ops;     /* router->ops */
    void *instance;                      /* of the router */
    struct sl_service_settings settings; /* deep copy */
    void *router_settings;               /* deep copy; the router's struct */
    /* its targets: servers, and stand-ins of services; borrowed, configuration order */
    struct sl_server **servers;
    unsigned server_count;
    /* the servers behind them all, each once; borrowed */
    struct sl_server **reached;
    unsigned reached_count;
    /* it is a target of other services: what stands for it there, and the listener that its inner
     * sessions have; both NULL if it is none (core/target.h) */
    struct sl_server *stand_in;
    struct sl_listener *inner_listener;
    unsigned chain_length;      /* services behind each other, itself included */
    struct sl_filter **filters; /* the chain, first to last; borrowed */
    unsigned filter_count;
    char *cluster;                        /* name of the monitor given as cluster=, or NULL */
    struct sl_account_manager *accounts;  /* NULL for routers without a login (tcp) */
    struct sl_service_counters *counters; /* [worker_count] */
    unsigned worker_count;
    /* What sessions record: see core/recorder.h. The setting in force, -1: as the global one. */
    _Atomic uint32_t recorder_wants;
    _Atomic int64_t retain_last_statements;
    _Atomic uint32_t connection_total; /* client sessions now, all workers: for max_connections */
    _Atomic uint32_t connection_peak;
    int64_t started_s;
    char *source_file;
};

struct sl_listener {
    char *name;
    struct sl_service *service;
    struct sl_listener_settings settings; /* deep copy */
    struct sl_listener_socket *socket;
    struct sl_tls_context *tls;      /* NULL without TLS */
    struct sl_user_mapping *mapping; /* NULL without */
    /* connection_init_sql_file, NULL-terminated; NULL without */
    char **init_sql;
    struct sl_proxy_networks *proxy_networks; /* NULL: no PROXY headers accepted */
    struct gate *gates; /* listener.c: what the accept callback of each worker gets */
    bool match_host;
    bool skip_authentication;
    unsigned lower_case_table_names;
    _Atomic bool is_listening;
    char *source_file;
};

/* Sums a counter over all workers. Any thread. */
uint64_t sl_service_sum(const struct sl_service *s, size_t counter_offset);
#define SL_SERVICE_SUM(s, counter)                                                                 \
    sl_service_sum((s), offsetof(struct sl_service_counters, counter))
uint32_t sl_service_connections(const struct sl_service *s);

/* The greeting's version string: version_string, or that of the lowest server known. */
void sl_service_version_text(struct sl_service *s, char *out, size_t size);

/* Networks from which a PROXY header is believed (proxy_protocol_networks). */
struct sl_proxy_networks;
int sl_proxy_networks_parse(const char *text, struct sl_proxy_networks **ret, struct sl_err *err);
bool sl_proxy_networks_match(const struct sl_proxy_networks *n,
                             const struct sockaddr_storage *peer);
void sl_proxy_networks_free(struct sl_proxy_networks *n);

#endif
