/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor frame: what all monitors share, so that a module only probes, decides and acts.
 *
 *   probe threads   one per server: connects (dbc) with deadlines, calls ops->probe; a frozen
 *                   server delays only its own
 *   monitor thread  every monitor_interval: starts the probes, waits until all answered or their
 *                   deadline passed, applies the
 *                   admin's wishes (Maintenance, Drain), calls ops->tick, publishes, logs state
 *                   changes and their events, writes the journal, and tells the workers
 *                   (on_change).
 *
 * A server that let its deadline pass is not waited for again (beyond a short grace) until a probe
 * of it ended: ticks stay fast while it is frozen.
 */
#ifndef SL_CORE_MONITOR_H
#define SL_CORE_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "conf/tables.h"
#include "core/diag.h"
#include "core/module.h"
#include "core/server.h"
#include "dbc/dbc.h"

struct sl_monitor;

struct sl_monitor_config {
    const char *name;
    const struct sl_module *module;
    const struct sl_monitor_settings *settings; /* copied */
    const void *module_settings;                /* copied; the module's struct */
    struct sl_server **servers;                 /* borrowed, in the order of the configuration */
    unsigned server_count;
    const char *datadir; /* for the journal */
    const char *source_file;
    bool load_journal;
    /* some server's status changed; called on the monitor thread after publishing */
    void (*on_change)(void *arg);
    void *on_change_arg;
};

int sl_monitor_new(const struct sl_monitor_config *config, struct sl_monitor **ret,
                   struct sl_err *err);
int sl_monitor_start(struct sl_monitor *m, struct sl_err *err); /* idempotent */
void sl_monitor_stop(struct sl_monitor *m);                     /* joins the threads; idempotent */
void sl_monitor_free(struct sl_monitor *m);

const char *sl_monitor_name(const struct sl_monitor *m);
const struct sl_module *sl_monitor_module(const struct sl_monitor *m);
const struct sl_monitor_settings *sl_monitor_settings(const struct sl_monitor *m);
const void *sl_monitor_module_settings(const struct sl_monitor *m);
const char *sl_monitor_source_file(const struct sl_monitor *m);
unsigned sl_monitor_server_count(const struct sl_monitor *m);
struct sl_server *sl_monitor_server(const struct sl_monitor *m, unsigned i);
bool sl_monitor_is_running(const struct sl_monitor *m);
uint64_t sl_monitor_ticks(const struct sl_monitor *m);
void sl_monitor_diagnostics(struct sl_monitor *m, struct sl_diag *out);
/* Waits until a full tick that started after this call is over. SL_ETIMEOUT. Any thread but the
 * monitor's. */
int sl_monitor_wait_tick(struct sl_monitor *m, uint32_t timeout_ms);

/* The admin's wish: set or clear Maintenance or Draining on a monitored server; a fast tick is
 * requested and the call waits for it (at most 10 s). SL_ESTATE with text when refused
 * (galeramon: Draining on the Master). Admin thread. */
int sl_monitor_admin_set(struct sl_monitor *m, struct sl_server *s, uint32_t set, uint32_t clear,
                         struct sl_err *err);

/* For modules, on the probe thread of that server: the open connection, connecting first if
 * needed within the timeouts of the monitor. NULL with *err when the server cannot be reached;
 * AUTH_ERROR is tracked by the frame. */
struct sl_dbc *sl_monitor_dbc(struct sl_monitor *m, unsigned server_index, struct sl_err *err);
/* The connection broke: close it; the next probe connects again. */
void sl_monitor_dbc_broken(struct sl_monitor *m, unsigned server_index);
/* False while the server's probe of this tick has not answered within its deadline: its
 * observation is stale. Monitor thread, in tick. */
bool sl_monitor_probe_answered(const struct sl_monitor *m, unsigned server_index);
/* Publishes role bits of a server (MASTER, SLAVE, JOINED, RELAY, BLR, RUNNING, AUTH_ERROR ...).
 * Collected during tick and applied by the frame after it: clearing a Master comes before
 * setting one. */
void sl_monitor_publish(struct sl_monitor *m, unsigned server_index, uint32_t role_bits,
                        const struct sl_server_info *info);
/* The reason of what was published for this server, for the line that logs its state change.
 * Copied. Monitor thread, in tick. */
void sl_monitor_explain(struct sl_monitor *m, unsigned server_index, const char *why);

/* The next tick starts at once (at least 100 ms after the last one ended) instead of at its
 * interval. Any thread. */
void sl_monitor_request_tick(struct sl_monitor *m);
/* Is the monitor being stopped? Long probes look at it. Any thread. */
bool sl_monitor_is_stopping(const struct sl_monitor *m);

/* Name of the event that a change of status words is (monitors of MaxScale: "master_down",
 * "new_slave", ...), or NULL when it is none. Pure. */
const char *sl_monitor_event_name(uint32_t old_status, uint32_t new_status);

#endif
