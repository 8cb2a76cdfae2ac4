/* SPDX-License-Identifier: Apache-2.0 */
/* Insides of the monitor frame, shared by monitor*.c only. What guards what: monitor.c. */
#ifndef SL_CORE_MONITOR_INTERNAL_H
#define SL_CORE_MONITOR_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "core/monitor.h"

/* What the monitor may set and clear; Maintenance and Draining belong to the admin, NEED_DNS to
 * the core. */
#define SL_MONITOR_BITS                                                                            \
    ((uint32_t)(SL_SERVER_RUNNING | SL_SERVER_AUTH_ERROR | SL_SERVER_MASTER | SL_SERVER_SLAVE |    \
                SL_SERVER_JOINED | SL_SERVER_RELAY | SL_SERVER_BLR | SL_SERVER_DISK_FULL))
#define SL_MONITOR_ADMIN_BITS ((uint32_t)(SL_SERVER_MAINT | SL_SERVER_DRAINING))

struct sl_monitor_probe {
    struct sl_monitor *m;
    unsigned index;
    struct sl_server *server;
    pthread_t thread;
    bool is_started;

    /* owned by the probe thread while it is busy, by the monitor thread while answered[] */
    struct sl_dbc *dbc;
    bool has_failed; /* in this run: no connection, or it broke */
    bool auth_error;
    struct sl_err err; /* why it could not connect; rc SL_OK = it could */

    /* under m->lock */
    pthread_cond_t wake;
    uint64_t wanted; /* the round it was last asked for */
    uint64_t done;   /* the round it last finished */
    bool is_slow;    /* M4 */
    uint64_t run_started_ms;
    bool has_wish;
    uint32_t wish_set, wish_clear;

    /* monitor thread only */
    bool answered;
    bool is_published;
    uint32_t role_bits;
    uint32_t last_status; /* at the end of the last tick */
    struct sl_server_info info;
    char why[256];
};

struct sl_monitor {
    char *name, *datadir, *source_file, *journal_path;
    const struct sl_module *module;
    const struct sl_monitor_ops *ops;
    void *instance;
    struct sl_monitor_settings settings;
    void *module_settings;
    bool load_journal;
    void (*on_change)(void *arg);
    void *on_change_arg;

    struct sl_monitor_probe *probes;
    unsigned count;
    const char **names; /* for the journal */
    uint32_t *words;    /* scratch for the journal */

    pthread_mutex_t lock;    /* M1 */
    pthread_cond_t changed;  /* a probe ended, a tick is wanted, a tick ended, stop */
    uint64_t round;          /* started last; under lock */
    uint64_t finished_round; /* evaluated last; under lock */
    bool is_tick_wanted;     /* under lock */
    _Atomic bool is_stopping;
    int cancel_fd; /* eventfd: ends what the probes wait for when the monitor stops */
    _Atomic bool is_running;
    _Atomic uint64_t ticks;

    pthread_t thread;            /* control thread */
    pthread_mutex_t control;     /* serialises start and stop */
    uint64_t journal_written_ms; /* monitor thread */
    bool has_journal_error;      /* reported already */
};

/* CLOCK_MONOTONIC, for waits on the frame's conditions. */
static inline struct timespec sl_monitor_abs_time(uint64_t mono_ms)
{
    return (struct timespec){.tv_sec = (time_t)(mono_ms / 1000),
                             .tv_nsec = (long)(mono_ms % 1000) * 1000000};
}

/* monitor_probe.c: the thread of one server; arg is its sl_monitor_probe. */
void *sl_monitor_probe_main(void *arg);

/* monitor_round.c: the monitor thread; arg is the monitor. */
void *sl_monitor_main(void *arg);
/* How long a round waits for a server that has always answered. */
uint64_t sl_monitor_round_deadline_ms(const struct sl_monitor *m);

/* monitor_change.c. Monitor thread; the last one: before it starts. */
/* Compares with the end of the last tick, logs and stores what happened; true when anything in the
 * word changed. */
bool sl_monitor_note_change(struct sl_monitor *m, struct sl_monitor_probe *p);
void sl_monitor_journal_write(struct sl_monitor *m);
bool sl_monitor_journal_is_due(const struct sl_monitor *m);
void sl_monitor_journal_use(struct sl_monitor *m);

#endif
