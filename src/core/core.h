/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole running system: servers, services, listeners, monitors, workers, built by the control
 * thread from a checked configuration and fixed until the process ends.
 */
#ifndef SL_CORE_CORE_H
#define SL_CORE_CORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "conf/config.h"
#include "core/filter.h"
#include "core/monitor.h"
#include "core/server.h"
#include "core/service.h"
#include "core/worker.h"

struct sl_core {
    struct sl_config *config;               /* owned */
    const struct sl_module *const *modules; /* NULL-terminated; static */
    struct sl_server **servers;
    unsigned server_count;
    struct sl_filter *filters;
    unsigned filter_count;
    struct sl_service **services;
    unsigned service_count;
    /* some service is a target of another; and whose turn it is to look at their states */
    _Atomic bool has_service_targets;
    pthread_mutex_t targets_lock;
    struct sl_listener **listeners;
    unsigned listener_count;
    struct sl_monitor **monitors;
    unsigned monitor_count;
    struct sl_worker *workers;
    unsigned worker_count;
    struct sockaddr_storage local_address; /* source of backend connections; family 0 = any */
    socklen_t local_address_len;
    uint64_t resolved_ms;  /* when a name was resolved last */
    unsigned resolve_next; /* whose turn it is */
    _Atomic uint64_t next_session_id;
    int64_t started_s;   /* wall clock */
    uint64_t started_ms; /* monotonic */
    _Atomic bool is_stopping;
    /* settings in force that may change while running; see core/recorder.h */
    _Atomic int64_t retain_last_statements;
    _Atomic int64_t dump_last_statements; /* enum sl_conf_dump */
    _Atomic uint32_t query_digests;       /* rows per worker, 0 = off */
};

/* Builds everything and starts monitors, account loaders, workers and listeners. Takes ownership
 * of the configuration, also on failure. `modules` is the daemon's list. Control thread. */
int sl_core_start(struct sl_config *config, const struct sl_module *const *modules,
                  struct sl_core **ret, struct sl_err *err);
/* Stops accepting, ends sessions, stops monitors and workers, frees all. Control thread. */
void sl_core_stop(struct sl_core *core);

/* Housekeeping of the control thread: re-resolves each server's name about once a minute. Call
 * about once a second. */
void sl_core_tick(struct sl_core *core);

/* Some server's status changed: all workers look at their sessions. Any thread. */
void sl_core_topology_changed(struct sl_core *core);
/* A backend connection of this server broke: its monitor looks again at once instead of at the
 * next interval. Any thread; rate-limited by the monitor. */
void sl_core_server_suspect(struct sl_core *core, struct sl_server *server);

const struct sl_module *sl_core_module(const struct sl_core *core, enum sl_module_kind kind,
                                       const char *name);
struct sl_server *sl_core_server(const struct sl_core *core, const char *name);
struct sl_filter *sl_core_filter(const struct sl_core *core, const char *name);
struct sl_service *sl_core_service(const struct sl_core *core, const char *name);
struct sl_listener *sl_core_listener(const struct sl_core *core, const char *name);
struct sl_monitor *sl_core_monitor(const struct sl_core *core, const char *name);
/* The monitor that watches the server, or NULL. */
struct sl_monitor *sl_core_monitor_of(const struct sl_core *core, const struct sl_server *server);

/* listener.c: builds one and opens it on every worker; the core lists it, also after an error, and
 * frees it once the workers have ended. Control thread. */
int sl_listener_open(struct sl_core *core, struct sl_conf_listener *conf, struct sl_err *err);
void sl_listener_free(struct sl_listener *l);

#endif
