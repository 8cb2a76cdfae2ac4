/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor frame: its life, and what it offers to modules. Beside it: monitor_probe.c (the thread
 * of a server), monitor_round.c (the monitor thread), monitor_change.c (what has changed, journal),
 * monitor_admin.c (requests from outside).
 *
 *      monitor thread                       probe thread i (one per server)
 *      round N: wanted = N for all idle --> ops->probe (blocks on its own server)
 *      wait: all done, or deadline      <-- done = N
 *      wishes, ops->tick, publish           a thread that is still busy is left alone; its
 *                                           answer is dropped
 *      log, journal, on_change              as stale, since `answered` was fixed when the wait
 *                                           ended
 *      sleep until interval or request
 *
 * Invariants:
 *   M1  `lock` guards the fields marked so; it is never held while a server, a file or a module is
 *       waited for.
 *   M2  a module reads its observation of server i only when answered[i]: then the probe thread has
 *       finished writing it (handed over under `lock`) and does not start again before the next
 *       round.
 *   M3  roles are published in two passes: what is lost first, then what is gained; never two
 *       Masters at a time.
 *   M4  a server that does not answer delays a round at most once by its deadline; later rounds
 *       give it SLOW_GRACE_MS only, until a probe of it has ended.
 */
#include "core/monitor.h"

#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "core/monitor_internal.h"

static void init_cond(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

/* ---- life ---- */

static int copy_config(struct sl_monitor *m, const struct sl_monitor_config *config)
{
    m->name = sl_strdup(config->name);
    m->datadir = sl_strdup(config->datadir);
    m->source_file = sl_strdup(config->source_file);
    if (config->datadir) {
        m->journal_path = sl_xasprintf("%s/%s_journal.json", config->datadir, config->name);
    }
    m->probes = sl_calloc(config->server_count + 1, sizeof(*m->probes));
    m->names = sl_calloc(config->server_count + 1, sizeof(*m->names));
    m->words = sl_calloc(config->server_count + 1, sizeof(*m->words));
    m->module_settings = sl_calloc(1, m->module->settings->struct_size);
    if (!m->name || !m->probes || !m->names || !m->words || !m->module_settings) {
        return SL_ENOMEM;
    }
    m->count = config->server_count;
    for (unsigned i = 0; i < m->count; i++) {
        struct sl_monitor_probe *p = &m->probes[i];
        p->m = m;
        p->index = i;
        p->server = config->servers[i];
        init_cond(&p->wake);
        m->names[i] = p->server->name;
    }
    int rc = sl_settings_copy(&sl_settings_monitor, &m->settings, config->settings);
    return rc < 0
               ? rc
               : sl_settings_copy(m->module->settings, m->module_settings, config->module_settings);
}

int sl_monitor_new(const struct sl_monitor_config *config, struct sl_monitor **ret,
                   struct sl_err *err)
{
    sl_assert(config->module->kind == SL_MODULE_MONITOR);
    struct sl_monitor *m = sl_calloc(1, sizeof(*m));
    if (!m) {
        return sl_err_set(err, SL_ENOMEM, "no memory for monitor '%s'", config->name);
    }
    m->module = config->module;
    m->ops = config->module->ops;
    m->load_journal = config->load_journal;
    m->on_change = config->on_change;
    m->on_change_arg = config->on_change_arg;
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->control, NULL);
    init_cond(&m->changed);
    m->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = copy_config(m, config);
    if (rc < 0) {
        sl_err_set(err, rc, "no memory for monitor '%s'", config->name);
    } else if (m->cancel_fd < 0) {
        rc = sl_err_set(err, SL_ESYS, "no eventfd for monitor '%s'", config->name);
    } else {
        rc = m->ops->instance_new(m, &m->instance, err);
    }
    if (rc < 0) {
        sl_monitor_free(m);
        return rc;
    }
    *ret = m;
    return SL_OK;
}

static void join_probes(struct sl_monitor *m)
{
    for (unsigned i = 0; i < m->count; i++) {
        struct sl_monitor_probe *p = &m->probes[i];
        if (p->is_started) {
            pthread_join(p->thread, NULL);
            p->is_started = false;
        }
        p->wanted = p->done = m->round;
        p->is_slow = false;
    }
}

static void wake_all(struct sl_monitor *m)
{
    pthread_mutex_lock(&m->lock);
    atomic_store(&m->is_stopping, true);
    pthread_cond_broadcast(&m->changed);
    for (unsigned i = 0; i < m->count; i++) {
        pthread_cond_signal(&m->probes[i].wake);
    }
    pthread_mutex_unlock(&m->lock);
    eventfd_write(m->cancel_fd, 1);
}

static int start_threads(struct sl_monitor *m)
{
    for (unsigned i = 0; i < m->count; i++) {
        struct sl_monitor_probe *p = &m->probes[i];
        if (pthread_create(&p->thread, NULL, sl_monitor_probe_main, p) != 0) {
            return SL_ESYS;
        }
        p->is_started = true;
    }
    return pthread_create(&m->thread, NULL, sl_monitor_main, m) == 0 ? SL_OK : SL_ESYS;
}

int sl_monitor_start(struct sl_monitor *m, struct sl_err *err)
{
    int rc = SL_OK;
    pthread_mutex_lock(&m->control);
    if (!atomic_load(&m->is_running)) {
        sl_monitor_journal_use(m);
        for (unsigned i = 0; i < m->count; i++) {
            m->probes[i].last_status = sl_server_status(m->probes[i].server);
        }
        eventfd_t stale;
        eventfd_read(m->cancel_fd, &stale); /* of an earlier stop */
        atomic_store(&m->is_stopping, false);
        m->journal_written_ms = sl_clock_mono_ms();
        rc = start_threads(m);
        atomic_store(&m->is_running, rc == SL_OK);
        if (rc < 0) {
            wake_all(m);
            join_probes(m);
            sl_err_set(err, rc, "cannot start the threads of monitor '%s'", m->name);
        }
    }
    pthread_mutex_unlock(&m->control);
    return rc;
}

void sl_monitor_stop(struct sl_monitor *m)
{
    pthread_mutex_lock(&m->control);
    if (atomic_load(&m->is_running)) {
        wake_all(m);
        pthread_join(m->thread, NULL);
        join_probes(m);
        atomic_store(&m->is_running, false);
    }
    pthread_mutex_unlock(&m->control);
}

void sl_monitor_free(struct sl_monitor *m)
{
    if (!m) {
        return;
    }
    sl_monitor_stop(m);
    if (m->instance) {
        m->ops->instance_free(m->instance);
    }
    for (unsigned i = 0; i < m->count; i++) {
        pthread_cond_destroy(&m->probes[i].wake);
    }
    sl_settings_clear(&sl_settings_monitor, &m->settings);
    if (m->module_settings) {
        sl_settings_clear(m->module->settings, m->module_settings);
    }
    if (m->cancel_fd >= 0) {
        close(m->cancel_fd);
    }
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->control);
    sl_free(m->module_settings);
    sl_free(m->words);
    sl_free(m->names);
    sl_free(m->probes);
    sl_free(m->journal_path);
    sl_free(m->source_file);
    sl_free(m->datadir);
    sl_free(m->name);
    sl_free(m);
}

/* ---- for modules ---- */

bool sl_monitor_probe_answered(const struct sl_monitor *m, unsigned server_index)
{
    return m->probes[server_index].answered;
}

void sl_monitor_publish(struct sl_monitor *m, unsigned server_index, uint32_t role_bits,
                        const struct sl_server_info *info)
{
    sl_assert(server_index < m->count);
    sl_assert((role_bits & ~SL_MONITOR_BITS) == 0);
    struct sl_monitor_probe *p = &m->probes[server_index];
    bool has_auth_error = p->answered && p->auth_error;
    p->role_bits = role_bits | (has_auth_error ? SL_SERVER_AUTH_ERROR : 0);
    if (info) {
        p->info = *info;
    } else {
        sl_server_info_get(p->server, &p->info);
    }
    p->is_published = true;
}

void sl_monitor_explain(struct sl_monitor *m, unsigned server_index, const char *why)
{
    snprintf(m->probes[server_index].why, sizeof(m->probes[server_index].why), "%s", why);
}

void sl_monitor_request_tick(struct sl_monitor *m)
{
    pthread_mutex_lock(&m->lock);
    m->is_tick_wanted = true;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

bool sl_monitor_is_stopping(const struct sl_monitor *m)
{
    return atomic_load(&m->is_stopping);
}

/* ---- getters ---- */

const char *sl_monitor_name(const struct sl_monitor *m)
{
    return m->name;
}

const struct sl_module *sl_monitor_module(const struct sl_monitor *m)
{
    return m->module;
}

const struct sl_monitor_settings *sl_monitor_settings(const struct sl_monitor *m)
{
    return &m->settings;
}

const void *sl_monitor_module_settings(const struct sl_monitor *m)
{
    return m->module_settings;
}

const char *sl_monitor_source_file(const struct sl_monitor *m)
{
    return m->source_file;
}

unsigned sl_monitor_server_count(const struct sl_monitor *m)
{
    return m->count;
}

struct sl_server *sl_monitor_server(const struct sl_monitor *m, unsigned i)
{
    sl_assert(i < m->count);
    return m->probes[i].server;
}

bool sl_monitor_is_running(const struct sl_monitor *m)
{
    return atomic_load(&m->is_running);
}

uint64_t sl_monitor_ticks(const struct sl_monitor *m)
{
    return atomic_load(&m->ticks);
}
