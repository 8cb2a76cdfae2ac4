/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor frame: the thread of one server, and its connection.
 *
 * It sleeps until a round wants it, runs the module's probe, which may block for as long as the
 * deadlines of the connection allow, and says that it is done. See M1, M2 and M4 in monitor.c.
 */
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/monitor_internal.h"

/* a failure that took longer than this counts as "does not answer" */
#define SLOW_PROBE_MS 500

static void fill_config(struct sl_monitor_probe *p, struct sl_dbc_config *ret)
{
    const struct sl_monitor_settings *ms = &p->m->settings;
    const struct sl_server_settings *ss = &p->server->settings;
    bool has_own_user = ss->monitoruser && ss->monitoruser[0];
    sl_server_dbc_config(p->server, ret);
    ret->user = has_own_user ? ss->monitoruser : ms->user;
    ret->password = has_own_user ? ss->monitorpw : ms->password;
    ret->connect_timeout_ms = (uint32_t)ms->backend_connect_timeout;
    ret->read_timeout_ms = (uint32_t)ms->backend_read_timeout;
    ret->write_timeout_ms = (uint32_t)ms->backend_write_timeout;
    ret->cancel_fd = p->m->cancel_fd;
}

struct sl_dbc *sl_monitor_dbc(struct sl_monitor *m, unsigned server_index, struct sl_err *err)
{
    struct sl_monitor_probe *p = &m->probes[server_index];
    if (p->dbc) {
        return p->dbc;
    }
    struct sl_dbc_config config;
    fill_config(p, &config);
    int64_t attempts = SL_MAX(m->settings.backend_connect_attempts, 1);
    int rc = SL_ESTATE;
    for (int64_t i = 0; i < attempts && rc < 0 && rc != SL_EAUTH && !atomic_load(&m->is_stopping);
         i++) {
        p->err = (struct sl_err)SL_ERR_INIT;
        rc = sl_dbc_connect(&config, &p->dbc, &p->err);
    }
    p->auth_error = rc == SL_EAUTH;
    if (rc < 0) {
        p->has_failed = true;
        p->dbc = NULL;
        if (p->err.rc == SL_OK) {
            sl_err_set(&p->err, rc, "the monitor is being stopped");
        }
        if (err) {
            *err = p->err;
        }
        return NULL;
    }
    p->err = (struct sl_err)SL_ERR_INIT;
    p->has_failed = false;
    return p->dbc;
}

void sl_monitor_dbc_broken(struct sl_monitor *m, unsigned server_index)
{
    struct sl_monitor_probe *p = &m->probes[server_index];
    sl_dbc_close(p->dbc);
    p->dbc = NULL;
    p->has_failed = true;
}

void *sl_monitor_probe_main(void *arg)
{
    struct sl_monitor_probe *p = arg;
    struct sl_monitor *m = p->m;
    sl_log_module_set(m->module->name);
    sl_log_scope_set(m->name);
    pthread_mutex_lock(&m->lock);
    for (;;) {
        while (p->wanted == p->done && !atomic_load(&m->is_stopping)) {
            pthread_cond_wait(&p->wake, &m->lock);
        }
        if (atomic_load(&m->is_stopping)) {
            break;
        }
        uint64_t round = p->wanted;
        pthread_mutex_unlock(&m->lock);

        p->has_failed = false;
        m->ops->probe(m, m->instance, p->index);

        pthread_mutex_lock(&m->lock);
        bool was_slow = p->is_slow;
        p->is_slow = p->has_failed && sl_clock_mono_ms() - p->run_started_ms > SLOW_PROBE_MS;
        p->done = round;
        if (was_slow && !p->is_slow) {
            m->is_tick_wanted = true; /* it answers again: look now */
        }
        pthread_cond_broadcast(&m->changed);
    }
    pthread_mutex_unlock(&m->lock);
    sl_dbc_close(p->dbc);
    p->dbc = NULL;
    sl_dbc_thread_end();
    return NULL;
}
