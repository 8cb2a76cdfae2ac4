/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor frame: what the admin wants of it. Requests come from the threads of the REST API;
 * changes of status words are carried out by the monitor thread, which the caller waits for.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/monitor_internal.h"

#define ADMIN_WAIT_MS 10000

/* Waits until round `target` was evaluated. Called with the lock held. */
static int wait_round(struct sl_monitor *m, uint64_t target, uint32_t timeout_ms)
{
    struct timespec ts = sl_monitor_abs_time(sl_clock_mono_ms() + timeout_ms);
    m->is_tick_wanted = true;
    pthread_cond_broadcast(&m->changed);
    int rc = 0;
    while (m->finished_round < target && atomic_load(&m->is_running) &&
           !atomic_load(&m->is_stopping) && rc == 0) {
        rc = pthread_cond_timedwait(&m->changed, &m->lock, &ts);
    }
    if (m->finished_round >= target) {
        return SL_OK;
    }
    return rc == ETIMEDOUT ? SL_ETIMEOUT : SL_ESTATE;
}

int sl_monitor_wait_tick(struct sl_monitor *m, uint32_t timeout_ms)
{
    pthread_mutex_lock(&m->lock);
    int rc = wait_round(m, m->round + 1, timeout_ms);
    pthread_mutex_unlock(&m->lock);
    return rc;
}

static int find_probe(const struct sl_monitor *m, const struct sl_server *s)
{
    for (unsigned i = 0; i < m->count; i++) {
        if (m->probes[i].server == s) {
            return (int)i;
        }
    }
    return SL_ENOENT;
}

static int wish(struct sl_monitor *m, struct sl_monitor_probe *p, uint32_t set, uint32_t clear,
                struct sl_err *err)
{
    pthread_mutex_lock(&m->lock);
    if (p->has_wish) {
        sl_log_warning(
            "The earlier request to change server '%s' was not carried out yet and is replaced",
            p->server->name);
    }
    p->has_wish = true;
    p->wish_set = set;
    p->wish_clear = clear;
    /* A round that is under way has not applied its wishes yet if it is not evaluated; the one
     * after it surely does. */
    int rc = wait_round(m, m->round + 1, ADMIN_WAIT_MS);
    pthread_mutex_unlock(&m->lock);
    if (rc < 0) {
        sl_err_set(err, rc, "monitor '%s' did not carry out the change of server '%s' within %d s",
                   m->name, p->server->name, ADMIN_WAIT_MS / 1000);
    }
    return rc;
}

int sl_monitor_admin_set(struct sl_monitor *m, struct sl_server *s, uint32_t set, uint32_t clear,
                         struct sl_err *err)
{
    int i = find_probe(m, s);
    if (i < 0) {
        return sl_err_set(err, SL_ENOENT, "server '%s' is not monitored by '%s'", s->name, m->name);
    }
    if ((set | clear) & ~SL_MONITOR_ADMIN_BITS) {
        return sl_err_set(
            err, SL_ESTATE,
            "server '%s' is monitored: only Maintenance and Draining can be set or cleared by hand",
            s->name);
    }
    int rc = set && m->ops->admin_check ? m->ops->admin_check(m, m->instance, (unsigned)i, set, err)
                                        : SL_OK;
    if (rc < 0) {
        return rc;
    }
    if (!sl_monitor_is_running(m)) {
        sl_server_status_change(s, set, clear);
        return SL_OK;
    }
    return wish(m, &m->probes[i], set, clear, err);
}

void sl_monitor_diagnostics(struct sl_monitor *m, struct sl_diag *out)
{
    if (m->ops->diagnostics) {
        m->ops->diagnostics(m, m->instance, out);
    }
}
