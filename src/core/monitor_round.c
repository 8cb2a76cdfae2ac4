/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor frame: rounds. The monitor thread asks all servers, waits, lets the module decide,
 * publishes in two passes (M3 in monitor.c), notes what has changed, and sleeps.
 */
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/monitor_internal.h"

enum {
    MIN_PAUSE_MS = 100, /* between the end of a tick and the start of the next */
    SLOW_GRACE_MS = 100 /* for servers that did not answer the last time */
};

uint64_t sl_monitor_round_deadline_ms(const struct sl_monitor *m)
{
    return (uint64_t)SL_MAX(m->settings.backend_connect_timeout, m->settings.backend_read_timeout);
}

/* When the round may end although some have not answered: the latest time for which somebody is
 * worth waiting. 0: nobody is. */
static uint64_t wait_until(const struct sl_monitor *m, uint64_t start_ms)
{
    uint64_t until = 0;
    for (unsigned i = 0; i < m->count; i++) {
        const struct sl_monitor_probe *p = &m->probes[i];
        if (p->wanted != p->done) {
            until = SL_MAX(until, start_ms + (p->is_slow ? (uint64_t)SLOW_GRACE_MS
                                                         : sl_monitor_round_deadline_ms(m)));
        }
    }
    return until;
}

/* Asks all, waits, and fixes who has answered. */
static void run_probes(struct sl_monitor *m)
{
    pthread_mutex_lock(&m->lock);
    m->round++;
    m->is_tick_wanted = false;
    uint64_t start_ms = sl_clock_mono_ms();
    for (unsigned i = 0; i < m->count; i++) {
        struct sl_monitor_probe *p = &m->probes[i];
        if (p->wanted == p->done) {
            p->wanted = m->round;
            p->run_started_ms = start_ms;
            pthread_cond_signal(&p->wake);
        }
    }
    uint64_t until;
    while (!atomic_load(&m->is_stopping) &&
           (until = wait_until(m, start_ms)) > sl_clock_mono_ms()) {
        struct timespec ts = sl_monitor_abs_time(until);
        pthread_cond_timedwait(&m->changed, &m->lock, &ts);
    }
    for (unsigned i = 0; i < m->count; i++) {
        struct sl_monitor_probe *p = &m->probes[i];
        p->answered = p->done == m->round;
        p->is_slow = p->is_slow || p->wanted != p->done;
    }
    pthread_mutex_unlock(&m->lock);
}

static void apply_wishes(struct sl_monitor *m)
{
    pthread_mutex_lock(&m->lock);
    for (unsigned i = 0; i < m->count; i++) {
        struct sl_monitor_probe *p = &m->probes[i];
        if (p->has_wish) {
            p->has_wish = false;
            sl_server_status_change(p->server, p->wish_set, p->wish_clear);
        }
    }
    pthread_mutex_unlock(&m->lock);
}

/* M3 */
static void publish_all(struct sl_monitor *m)
{
    for (unsigned i = 0; i < m->count; i++) {
        struct sl_monitor_probe *p = &m->probes[i];
        if (p->is_published) {
            sl_server_status_change(p->server, 0, SL_MONITOR_BITS & ~p->role_bits);
        }
    }
    for (unsigned i = 0; i < m->count; i++) {
        struct sl_monitor_probe *p = &m->probes[i];
        if (p->is_published) {
            sl_server_status_change(p->server, p->role_bits, 0);
        }
    }
}

static void evaluate(struct sl_monitor *m)
{
    apply_wishes(m);
    for (unsigned i = 0; i < m->count; i++) {
        m->probes[i].is_published = false;
        m->probes[i].why[0] = '\0';
    }
    m->ops->tick(m, m->instance, sl_clock_mono_ms());
    publish_all(m);

    bool has_changed = false;
    bool has_lost = false;
    for (unsigned i = 0; i < m->count; i++) {
        struct sl_monitor_probe *p = &m->probes[i];
        bool was_running = p->last_status & SL_SERVER_RUNNING;
        has_changed = sl_monitor_note_change(m, p) || has_changed;
        has_lost = has_lost || (was_running && !(p->last_status & SL_SERVER_RUNNING));
    }
    atomic_fetch_add(&m->ticks, 1);
    if (has_changed && m->on_change) {
        m->on_change(m->on_change_arg);
    }
    if (has_changed || sl_monitor_journal_is_due(m)) {
        sl_monitor_journal_write(m);
    }
    if (has_lost) {
        /* others react to the loss: do not wait a whole interval to see how */
        sl_monitor_request_tick(m);
    }
}

/* Start-to-start interval, never less than MIN_PAUSE_MS after the end; sooner on request. */
static void sleep_until_next(struct sl_monitor *m, uint64_t started_ms)
{
    uint64_t earliest_ms = sl_clock_mono_ms() + MIN_PAUSE_MS;
    uint64_t next_ms = SL_MAX(started_ms + (uint64_t)m->settings.monitor_interval, earliest_ms);
    pthread_mutex_lock(&m->lock);
    m->finished_round = m->round;
    pthread_cond_broadcast(&m->changed);
    for (;;) {
        uint64_t until_ms = m->is_tick_wanted ? earliest_ms : next_ms;
        if (atomic_load(&m->is_stopping) || sl_clock_mono_ms() >= until_ms) {
            break;
        }
        struct timespec ts = sl_monitor_abs_time(until_ms);
        pthread_cond_timedwait(&m->changed, &m->lock, &ts);
    }
    pthread_mutex_unlock(&m->lock);
}

void *sl_monitor_main(void *arg)
{
    struct sl_monitor *m = arg;
    sl_log_module_set(m->module->name);
    sl_log_scope_set(m->name);
    while (!atomic_load(&m->is_stopping)) {
        uint64_t started_ms = sl_clock_mono_ms();
        run_probes(m);
        if (!atomic_load(&m->is_stopping)) {
            evaluate(m);
            sleep_until_next(m, started_ms);
        }
    }
    sl_monitor_journal_write(m);
    return NULL;
}
