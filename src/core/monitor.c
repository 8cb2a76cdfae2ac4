/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor frame: rounds of probes, publishing, state changes, journal.
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

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/journal.h"

enum {
    MIN_PAUSE_MS = 100,  /* between the end of a tick and the start of the next */
    SLOW_GRACE_MS = 100, /* for servers that did not answer the last time */
    /* a failure that took longer than this counts as "does not answer" */
    SLOW_PROBE_MS = 500,
    ADMIN_WAIT_MS = 10000,
    JOURNAL_PERIOD_MS = 300000 /* written at least so often */
};

/* What the monitor may set and clear; Maintenance and Draining belong to the admin, NEED_DNS to
 * the core. */
#define MONITOR_BITS                                                                               \
    ((uint32_t)(SL_SERVER_RUNNING | SL_SERVER_AUTH_ERROR | SL_SERVER_MASTER | SL_SERVER_SLAVE |    \
                SL_SERVER_JOINED | SL_SERVER_RELAY | SL_SERVER_BLR | SL_SERVER_DISK_FULL))
#define ADMIN_BITS ((uint32_t)(SL_SERVER_MAINT | SL_SERVER_DRAINING))
#define ROLE_BITS                                                                                  \
    ((uint32_t)(SL_SERVER_MASTER | SL_SERVER_SLAVE | SL_SERVER_JOINED | SL_SERVER_RELAY |          \
                SL_SERVER_BLR))
/* A difference in one of these is a state change. */
#define EVENT_BITS (ROLE_BITS | (uint32_t)(SL_SERVER_RUNNING | SL_SERVER_MAINT))

struct probe {
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

    struct probe *probes;
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

/* ---- time ---- */

static struct timespec abs_time(uint64_t mono_ms)
{
    return (struct timespec){.tv_sec = (time_t)(mono_ms / 1000),
                             .tv_nsec = (long)(mono_ms % 1000) * 1000000};
}

static void init_cond(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

/* ---- events ---- */

/* The words per role are constants, so that names need no buffer. */
static const struct {
    uint32_t bit;
    const char *up, *down, *lost, *gained;
} roles[] = {
    {SL_SERVER_MASTER, "master_up", "master_down", "lost_master", "new_master"},
    {SL_SERVER_SLAVE, "slave_up", "slave_down", "lost_slave", "new_slave"},
    {SL_SERVER_JOINED, "synced_up", "synced_down", "lost_synced", "new_synced"},
    {SL_SERVER_RELAY, "relay_up", "relay_down", "lost_relay", "new_relay"},
    {SL_SERVER_BLR, "blr_up", "blr_down", "lost_blr", "new_blr"},
    {0, "server_up", "server_down", NULL, NULL},
};

static size_t role_row(uint32_t status)
{
    size_t i = 0;
    while (roles[i].bit && !(status & roles[i].bit)) {
        i++;
    }
    return i;
}

const char *sl_monitor_event_name(uint32_t old_status, uint32_t new_status)
{
    const uint32_t main_roles = SL_SERVER_MASTER | SL_SERVER_SLAVE;
    bool was_running = old_status & SL_SERVER_RUNNING;
    bool is_running = new_status & SL_SERVER_RUNNING;
    if (((old_status ^ new_status) & EVENT_BITS) == 0 ||
        ((old_status | new_status) & SL_SERVER_MAINT) || (!was_running && !is_running)) {
        return NULL;
    }
    if (!was_running) {
        return roles[role_row(new_status)].up;
    }
    if (!is_running) {
        return roles[role_row(old_status)].down;
    }
    uint32_t before = old_status & main_roles;
    uint32_t after = new_status & main_roles;
    bool is_loss = (old_status & ROLE_BITS) && (!before || !after || before == after);
    return is_loss ? roles[role_row(old_status)].lost : roles[role_row(new_status)].gained;
}

/* ---- connections: probe threads ---- */

static void fill_config(struct probe *p, struct sl_dbc_config *ret)
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
    struct probe *p = &m->probes[server_index];
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
    struct probe *p = &m->probes[server_index];
    sl_dbc_close(p->dbc);
    p->dbc = NULL;
    p->has_failed = true;
}

static void *probe_main(void *arg)
{
    struct probe *p = arg;
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

/* ---- a round: monitor thread ---- */

static uint64_t round_deadline_ms(const struct sl_monitor *m)
{
    return (uint64_t)SL_MAX(m->settings.backend_connect_timeout, m->settings.backend_read_timeout);
}

/* When the round may end although some have not answered: the latest time for which somebody is
 * worth waiting. 0: nobody is. */
static uint64_t wait_until(const struct sl_monitor *m, uint64_t start_ms)
{
    uint64_t until = 0;
    for (unsigned i = 0; i < m->count; i++) {
        const struct probe *p = &m->probes[i];
        if (p->wanted != p->done) {
            until = SL_MAX(
                until, start_ms + (p->is_slow ? (uint64_t)SLOW_GRACE_MS : round_deadline_ms(m)));
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
        struct probe *p = &m->probes[i];
        if (p->wanted == p->done) {
            p->wanted = m->round;
            p->run_started_ms = start_ms;
            pthread_cond_signal(&p->wake);
        }
    }
    uint64_t until;
    while (!atomic_load(&m->is_stopping) &&
           (until = wait_until(m, start_ms)) > sl_clock_mono_ms()) {
        struct timespec ts = abs_time(until);
        pthread_cond_timedwait(&m->changed, &m->lock, &ts);
    }
    for (unsigned i = 0; i < m->count; i++) {
        struct probe *p = &m->probes[i];
        p->answered = p->done == m->round;
        p->is_slow = p->is_slow || p->wanted != p->done;
    }
    pthread_mutex_unlock(&m->lock);
}

static void apply_wishes(struct sl_monitor *m)
{
    pthread_mutex_lock(&m->lock);
    for (unsigned i = 0; i < m->count; i++) {
        struct probe *p = &m->probes[i];
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
        struct probe *p = &m->probes[i];
        if (p->is_published) {
            sl_server_status_change(p->server, 0, MONITOR_BITS & ~p->role_bits);
        }
    }
    for (unsigned i = 0; i < m->count; i++) {
        struct probe *p = &m->probes[i];
        if (p->is_published) {
            sl_server_status_change(p->server, p->role_bits, 0);
        }
    }
}

static void server_label(const struct sl_server *s, char *out, size_t size)
{
    if (s->settings.socket && s->settings.socket[0]) {
        snprintf(out, size, "%s[%s]", s->name, s->settings.socket);
    } else {
        snprintf(out, size, "%s[%s:%d]", s->name, s->settings.address ? s->settings.address : "",
                 (int)s->settings.port);
    }
}

/* Why a server cannot be used is said when that is news: at the first tick, when it was running,
 * when its login fails anew. */
static void log_failure(struct sl_monitor *m, struct probe *p, uint32_t new_status)
{
    bool is_new_auth = (new_status & ~p->last_status) & SL_SERVER_AUTH_ERROR;
    bool is_news =
        atomic_load(&m->ticks) == 0 || (p->last_status & SL_SERVER_RUNNING) || is_new_auth;
    if ((new_status & SL_SERVER_RUNNING) || !is_news || (new_status & SL_SERVER_MAINT)) {
        return;
    }
    char label[256];
    server_label(p->server, label, sizeof(label));
    if (!p->answered) {
        sl_log_error("Server %s did not answer within %llu ms", label,
                     (unsigned long long)round_deadline_ms(m));
    } else if (p->err.rc < 0) {
        sl_log_error("Monitor was unable to connect to server %s: %s", label, p->err.text);
    }
}

static void log_change(struct probe *p, const char *event, uint32_t new_status)
{
    char label[256], before[160], after[160];
    uint32_t connections = sl_server_connections(p->server);
    server_label(p->server, label, sizeof(label));
    sl_status_text(p->last_status, connections, before, sizeof(before));
    sl_status_text(new_status, connections, after, sizeof(after));
    sl_log_notice("Server changed state: %s: %s%s[%s] -> [%s]%s%s%s", label, event ? event : "",
                  event ? ". " : "", before, after, p->why[0] ? " (" : "", p->why,
                  p->why[0] ? ")" : "");
}

static void store_info(struct probe *p, const char *event)
{
    struct sl_server_info now;
    sl_server_info_get(p->server, &now);
    struct sl_server_info next = p->is_published ? p->info : now;
    memcpy(next.last_event, now.last_event, sizeof(next.last_event));
    next.triggered_at_s = now.triggered_at_s;
    next.is_monitored = true;
    if (event) {
        snprintf(next.last_event, sizeof(next.last_event), "%s", event);
        next.triggered_at_s = sl_clock_wall_s();
    }
    sl_server_info_set(p->server, &next);
}

/* Compares with the end of the last tick; true when anything in the word changed. */
static bool note_change(struct sl_monitor *m, struct probe *p)
{
    uint32_t new_status = sl_server_status(p->server);
    const char *event = sl_monitor_event_name(p->last_status, new_status);
    log_failure(m, p, new_status);
    if (((p->last_status ^ new_status) &
         (EVENT_BITS | SL_SERVER_DRAINING | SL_SERVER_AUTH_ERROR)) != 0) {
        log_change(p, event, new_status);
    }
    store_info(p, event);
    bool has_changed = p->last_status != new_status;
    p->last_status = new_status;
    return has_changed;
}

static void write_journal(struct sl_monitor *m)
{
    if (!m->journal_path) {
        return;
    }
    for (unsigned i = 0; i < m->count; i++) {
        m->words[i] = m->probes[i].last_status;
    }
    struct sl_journal j = {m->journal_path, m->module->name, m->names, m->count};
    struct sl_err err = SL_ERR_INIT;
    int rc = sl_journal_write(&j, m->words, sl_clock_wall_s(), &err);
    if (rc < 0 && !m->has_journal_error) {
        sl_log_warning("%s", err.text);
    }
    m->has_journal_error = rc < 0;
    m->journal_written_ms = sl_clock_mono_ms();
}

static bool is_journal_due(const struct sl_monitor *m)
{
    uint64_t period_ms =
        (uint64_t)SL_MIN((int64_t)JOURNAL_PERIOD_MS, m->settings.journal_max_age / 2);
    return sl_clock_mono_ms() - m->journal_written_ms >= period_ms;
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
        struct probe *p = &m->probes[i];
        bool was_running = p->last_status & SL_SERVER_RUNNING;
        has_changed = note_change(m, p) || has_changed;
        has_lost = has_lost || (was_running && !(p->last_status & SL_SERVER_RUNNING));
    }
    atomic_fetch_add(&m->ticks, 1);
    if (has_changed && m->on_change) {
        m->on_change(m->on_change_arg);
    }
    if (has_changed || is_journal_due(m)) {
        write_journal(m);
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
        struct timespec ts = abs_time(until_ms);
        pthread_cond_timedwait(&m->changed, &m->lock, &ts);
    }
    pthread_mutex_unlock(&m->lock);
}

static void *monitor_main(void *arg)
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
    write_journal(m);
    return NULL;
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
    sl_assert((role_bits & ~MONITOR_BITS) == 0);
    struct probe *p = &m->probes[server_index];
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

/* ---- for the admin ---- */

/* Waits until round `target` was evaluated. Called with the lock held. */
static int wait_round(struct sl_monitor *m, uint64_t target, uint32_t timeout_ms)
{
    struct timespec ts = abs_time(sl_clock_mono_ms() + timeout_ms);
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

static int wish(struct sl_monitor *m, struct probe *p, uint32_t set, uint32_t clear,
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
    if ((set | clear) & ~ADMIN_BITS) {
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
        struct probe *p = &m->probes[i];
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

static void use_journal(struct sl_monitor *m)
{
    if (!m->load_journal || !m->journal_path) {
        return;
    }
    m->load_journal = false; /* a later start goes on from the status words */
    struct sl_journal j = {m->journal_path, m->module->name, m->names, m->count};
    struct sl_err err = SL_ERR_INIT;
    int rc =
        sl_journal_read(&j, m->words, sl_clock_wall_s(), m->settings.journal_max_age / 1000, &err);
    if (rc == SL_ENOENT) {
        return;
    }
    if (rc < 0) {
        sl_log_warning("Monitor '%s' starts without its journal: %s", m->name, err.text);
        return;
    }
    for (unsigned i = 0; i < m->count; i++) {
        sl_server_status_change(m->probes[i].server, m->words[i] & (MONITOR_BITS | ADMIN_BITS), 0);
    }
    sl_log_info("Monitor '%s' starts from journal '%s'", m->name, m->journal_path);
}

static void join_probes(struct sl_monitor *m)
{
    for (unsigned i = 0; i < m->count; i++) {
        struct probe *p = &m->probes[i];
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
        struct probe *p = &m->probes[i];
        if (pthread_create(&p->thread, NULL, probe_main, p) != 0) {
            return SL_ESYS;
        }
        p->is_started = true;
    }
    return pthread_create(&m->thread, NULL, monitor_main, m) == 0 ? SL_OK : SL_ESYS;
}

int sl_monitor_start(struct sl_monitor *m, struct sl_err *err)
{
    int rc = SL_OK;
    pthread_mutex_lock(&m->control);
    if (!atomic_load(&m->is_running)) {
        use_journal(m);
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
