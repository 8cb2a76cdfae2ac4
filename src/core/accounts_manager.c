/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The account manager of a service: a thread that loads user accounts and publishes them.
 *
 *   workers --reload()--> [pending waiters] --thread: load--> publish --> done(arg) for each waiter
 *
 * Everything mutable is under `lock`, which is never held during I/O or callbacks. A waiter is
 * called exactly once: after a load that began after it asked, or, when throttled while a load is
 * running, after that one; at the latest by the ending thread.
 *
 * Throttle (MaxScale's rule): users_refresh_time counts only after 5 successful loads or 10
 * failures in a row, so that setting up accounts on a fresh system is not slowed down, and a flood
 * of wrong names costs one load per users_refresh_time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
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
#include "core/accounts_internal.h"
#include "core/server.h"
#include "dbc/dbc.h"

#define WAITERS_MAX 10000
#define THROTTLE_AFTER_LOADS 5
#define THROTTLE_AFTER_FAILURES 10
#define RETRY_FIRST_MS 1000    /* until the first success */
#define RETRY_NO_SERVER_MS 100 /* the monitor has not reported yet: cheap to look again */
#define RETRY_LATER_MS 30000   /* a failed reload, while older accounts serve */
#define INTERVAL_DEFAULT_MS (24 * 3600 * 1000LL)

struct waiter {
    void (*done)(void *arg);
    void *arg;
};

struct waiters {
    struct waiter *items;
    unsigned count, capacity;
};

struct sl_account_manager {
    /* immutable */
    struct sl_account_manager_config config;
    pthread_t thread;
    int cancel_fd;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* under lock */
    struct sl_accounts *accounts;
    struct waiters pending, running;
    uint64_t next_load_ms, last_start_ms;
    int64_t last_load_s;
    unsigned loads, failures_in_row;
    bool is_loading, is_stopping;

    /* loader thread only */
    uint32_t gaps_warned;
    unsigned count_logged;
    char last_error[1024]; /* as long as the text of struct sl_err */
};

/* --- one load --------------------------------------------------------------------------------- */

/* The resolved address saves a look-up, except where a certificate is checked against the name. */
static void target_host(struct sl_server *s, char *out, size_t size)
{
    struct sockaddr_storage address;
    socklen_t len;
    sl_server_address(s, &address, &len);
    bool by_name = s->settings.tls.ssl && s->settings.tls.ssl_verify_peer_host;
    if (by_name || len == 0 ||
        getnameinfo((struct sockaddr *)&address, len, out, (socklen_t)size, NULL, 0,
                    NI_NUMERICHOST) != 0) {
        snprintf(out, size, "%s", s->settings.address);
    }
}

static int connect_to(const struct sl_account_manager *m, struct sl_server *s, struct sl_dbc **ret,
                      struct sl_err *err)
{
    char host[1025];
    struct sl_dbc_config config;
    sl_server_dbc_config(s, &config);
    if (!config.socket) {
        target_host(s, host, sizeof(host));
        config.host = host;
    }
    config.local_address = m->config.local_address;
    config.user = m->config.user;
    config.password = m->config.password;
    config.connect_timeout_ms = m->config.timeout_ms;
    config.read_timeout_ms = m->config.timeout_ms;
    config.write_timeout_ms = m->config.timeout_ms;
    config.cancel_fd = m->cancel_fd;
    return sl_dbc_connect(&config, ret, err);
}

static void warn_of_gaps(struct sl_account_manager *m, const struct sl_server *s,
                         const struct sl_accounts_load_report *report)
{
    for (unsigned i = 0; i < SL_GAP_COUNT; i++) {
        uint32_t bit = 1u << i;
        if ((report->gaps & bit) != 0 && (m->gaps_warned & bit) == 0) {
            char text[512];
            sl_accounts_gap_text(i, report->grantee, text, sizeof(text));
            sl_log_warning("Service '%s', user accounts from '%s': %s", m->config.service, s->name,
                           text);
        }
    }
    m->gaps_warned = report->gaps; /* a cured one may come back and is news then */
    if (report->skipped > 0) {
        sl_log_warning("Service '%s', user accounts from '%s': %u rows could not be understood and "
                       "are left out",
                       m->config.service, s->name, report->skipped);
    }
}

static int load_server(struct sl_account_manager *m, struct sl_server *s,
                       struct sl_accounts_builder **ret, struct sl_err *err)
{
    struct sl_dbc *dbc = NULL;
    struct sl_accounts_load_report report;
    struct sl_accounts_builder *b = sl_accounts_builder_new();
    if (b == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory for user accounts");
    }
    int rc = connect_to(m, s, &dbc, err);
    if (rc == 0) {
        rc = sl_accounts_load_tables(dbc, b, &report, err);
    }
    sl_dbc_close(dbc);
    if (rc != 0) {
        sl_accounts_builder_free(b);
        return sl_err_wrap(err, "server '%s'", s->name);
    }
    warn_of_gaps(m, s, &report);
    *ret = b;
    return 0;
}

#define RANK_UNKNOWN 3

/* Master first, then Slave, then what else runs. */
static unsigned preference(uint32_t status)
{
    return sl_status_is_master(status) ? 0 : sl_status_is_slave(status) ? 1 : 2;
}

/* A server that no monitor watches may well run: it is tried, last. */
static bool is_rank(struct sl_server *s, unsigned rank)
{
    uint32_t status = sl_server_status(s);
    if (sl_status_is_usable(status)) {
        return preference(status) == rank;
    }
    struct sl_server_info info;
    sl_server_info_get(s, &info);
    return rank == RANK_UNKNOWN && !info.is_monitored &&
           (status & (SL_SERVER_MAINT | SL_SERVER_NEED_DNS)) == 0;
}

static int load_first_server(struct sl_account_manager *m, struct sl_accounts_builder **ret,
                             const char **ret_source, struct sl_err *err)
{
    int rc = sl_err_set(err, SL_ENOENT, "no server can be used yet");
    for (unsigned rank = 0; rank <= RANK_UNKNOWN; rank++) {
        for (unsigned i = 0; i < m->config.server_count; i++) {
            struct sl_server *s = m->config.servers[i];
            if (!is_rank(s, rank)) {
                continue;
            }
            *ret_source = s->name;
            rc = load_server(m, s, ret, err);
            if (rc == 0) {
                return 0;
            }
        }
    }
    return rc;
}

static int load_once(struct sl_account_manager *m, struct sl_accounts **ret,
                     const char **ret_source, struct sl_err *err)
{
    struct sl_accounts_builder *b = NULL;
    int rc = 0;
    if (!m->config.file_only) {
        rc = load_first_server(m, &b, ret_source, err);
    } else if ((b = sl_accounts_builder_new()) == NULL) {
        rc = sl_err_set(err, SL_ENOMEM, "out of memory for user accounts");
    }
    if (rc == 0 && m->config.accounts_file != NULL && m->config.accounts_file[0] != '\0') {
        rc = sl_accounts_file_load(m->config.accounts_file, b, err);
        *ret_source = m->config.file_only ? m->config.accounts_file : *ret_source;
    }
    if (rc != 0) {
        sl_accounts_builder_free(b);
        return rc;
    }
    *ret = sl_accounts_build(b);
    return *ret != NULL ? 0 : sl_err_set(err, SL_ENOMEM, "out of memory for user accounts");
}

/* The same trouble every second is told once. */
static void log_result(struct sl_account_manager *m, int rc, const struct sl_err *err,
                       const char *source, unsigned count)
{
    if (rc == 0) {
        if (m->last_error[0] != '\0' || count != m->count_logged) {
            sl_log_notice("Service '%s' knows %u user accounts and roles, read from '%s'",
                          m->config.service, count, source);
        }
        m->count_logged = count;
        m->last_error[0] = '\0';
    } else if (rc != SL_ENOENT && strcmp(m->last_error, err->text) != 0) {
        sl_log_error("Service '%s' cannot load user accounts: %s", m->config.service, err->text);
        snprintf(m->last_error, sizeof(m->last_error), "%s", err->text);
    }
}

/* --- the thread ------------------------------------------------------------------------------- */

static bool is_throttled(const struct sl_account_manager *m, uint64_t now)
{
    bool counts = m->loads >= THROTTLE_AFTER_LOADS || m->failures_in_row >= THROTTLE_AFTER_FAILURES;
    return counts && m->config.refresh_time_ms > 0 &&
           now - m->last_start_ms < (uint64_t)m->config.refresh_time_ms;
}

static uint64_t wait_after(const struct sl_account_manager *m, int rc)
{
    uint64_t interval = m->config.refresh_interval_ms > 0 ? (uint64_t)m->config.refresh_interval_ms
                                                          : (uint64_t)INTERVAL_DEFAULT_MS;
    if (rc == 0) {
        return interval;
    }
    if (m->accounts == NULL) {
        return rc == SL_ENOENT ? RETRY_NO_SERVER_MS : RETRY_FIRST_MS;
    }
    return SL_MIN(interval, (uint64_t)RETRY_LATER_MS);
}

static void call_waiters(struct waiters *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        w->items[i].done(w->items[i].arg);
    }
    sl_free(w->items);
    *w = (struct waiters){NULL, 0, 0};
}

/* Locked on entry and exit. */
static void load_and_publish(struct sl_account_manager *m)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_accounts *fresh = NULL, *old = NULL;
    const char *source = "";

    m->is_loading = true;
    m->last_start_ms = sl_clock_mono_ms();
    m->running = m->pending;
    m->pending = (struct waiters){NULL, 0, 0};
    pthread_mutex_unlock(&m->lock);
    int rc = load_once(m, &fresh, &source, &err);
    unsigned count = rc == 0 ? sl_accounts_count(fresh) : 0;
    pthread_mutex_lock(&m->lock);

    m->is_loading = false;
    if (rc == 0) {
        old = m->accounts;
        m->accounts = fresh;
        m->last_load_s = sl_clock_wall_s();
        m->loads++;
        m->failures_in_row = 0;
    } else {
        m->failures_in_row++;
    }
    m->next_load_ms = sl_clock_mono_ms() + wait_after(m, rc);
    struct waiters done = m->running;
    m->running = (struct waiters){NULL, 0, 0};
    pthread_mutex_unlock(&m->lock);
    log_result(m, rc, &err, source, count); /* what it says is so by now */
    sl_accounts_unref(old);
    call_waiters(&done);
    pthread_mutex_lock(&m->lock);
}

static void *run(void *arg)
{
    struct sl_account_manager *m = arg;
    sl_log_scope_set(m->config.service);
    pthread_mutex_lock(&m->lock);
    while (!m->is_stopping) {
        if (m->pending.count > 0 || sl_clock_mono_ms() >= m->next_load_ms) {
            load_and_publish(m);
            continue;
        }
        struct timespec until = {.tv_sec = (time_t)(m->next_load_ms / 1000),
                                 .tv_nsec = (long)(m->next_load_ms % 1000) * 1000000};
        pthread_cond_timedwait(&m->wake, &m->lock, &until);
    }
    struct waiters left = m->pending;
    m->pending = (struct waiters){NULL, 0, 0};
    pthread_mutex_unlock(&m->lock);
    call_waiters(&left);
    sl_log_scope_set(NULL);
    sl_dbc_thread_end();
    return NULL;
}

/* --- public ----------------------------------------------------------------------------------- */

static void nothing(void *arg)
{
}

static int add_waiter(struct waiters *w, void (*done)(void *arg), void *arg)
{
    if (w->count >= WAITERS_MAX) {
        return SL_ELIMIT;
    }
    if (w->count == w->capacity) {
        unsigned capacity = SL_MAX(16u, w->capacity * 2);
        struct waiter *grown = sl_realloc(w->items, capacity * sizeof(*grown));
        if (grown == NULL) {
            return SL_ENOMEM;
        }
        w->items = grown;
        w->capacity = capacity;
    }
    w->items[w->count++] = (struct waiter){done != NULL ? done : nothing, arg};
    return 0;
}

static int copy_config(struct sl_account_manager *m, const struct sl_account_manager_config *config)
{
    const char *const *from[] = {&config->service, &config->user, &config->password,
                                 &config->local_address, &config->accounts_file};
    const char **to[] = {&m->config.service, &m->config.user, &m->config.password,
                         &m->config.local_address, &m->config.accounts_file};
    m->config = *config;
    m->config.servers = NULL;
    for (unsigned i = 0; i < SL_ARRAY_LEN(to); i++) {
        *to[i] = NULL;
    }
    for (unsigned i = 0; i < SL_ARRAY_LEN(to); i++) {
        *to[i] = sl_strdup(*from[i]);
        if (*to[i] == NULL && *from[i] != NULL) {
            return SL_ENOMEM;
        }
    }
    m->config.servers = sl_calloc(config->server_count + 1, sizeof(*config->servers));
    if (m->config.servers == NULL) {
        return SL_ENOMEM;
    }
    for (unsigned i = 0; i < config->server_count; i++) {
        m->config.servers[i] = config->servers[i];
    }
    return 0;
}

static void free_manager(struct sl_account_manager *m)
{
    char *password = (char *)(uintptr_t)m->config.password;
    if (password != NULL) {
        sl_wipe(password, strlen(password));
    }
    const char *const texts[] = {m->config.service, m->config.user, m->config.password,
                                 m->config.local_address, m->config.accounts_file};
    for (unsigned i = 0; i < SL_ARRAY_LEN(texts); i++) {
        sl_free((void *)(uintptr_t)texts[i]);
    }
    sl_free(m->config.servers);
    sl_accounts_unref(m->accounts);
    if (m->cancel_fd > 0) {
        close(m->cancel_fd);
    }
    pthread_cond_destroy(&m->wake);
    pthread_mutex_destroy(&m->lock);
    sl_free(m);
}

int sl_account_manager_new(const struct sl_account_manager_config *config,
                           struct sl_account_manager **ret, struct sl_err *err)
{
    pthread_condattr_t attributes;
    struct sl_account_manager *m = sl_calloc(1, sizeof(*m));
    if (m == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory for user accounts");
    }
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&m->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    m->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = copy_config(m, config);
    if (rc == 0 && (m->cancel_fd <= 0 || pthread_create(&m->thread, NULL, run, m) != 0)) {
        rc = SL_ESYS;
    }
    if (rc != 0) {
        free_manager(m);
        return sl_err_set(err, rc, "cannot start the user account loader of service '%s': %s",
                          config->service, sl_rc_text(rc));
    }
    *ret = m;
    return 0;
}

void sl_account_manager_free(struct sl_account_manager *m)
{
    if (m == NULL) {
        return;
    }
    const uint64_t one = 1;
    pthread_mutex_lock(&m->lock);
    m->is_stopping = true;
    pthread_cond_signal(&m->wake);
    pthread_mutex_unlock(&m->lock);
    ssize_t n = write(m->cancel_fd, &one, sizeof(one));
    sl_assert(n == (ssize_t)sizeof(one));
    pthread_join(m->thread, NULL);
    free_manager(m);
}

struct sl_accounts *sl_account_manager_get(struct sl_account_manager *m)
{
    pthread_mutex_lock(&m->lock);
    struct sl_accounts *a = sl_accounts_ref(m->accounts);
    pthread_mutex_unlock(&m->lock);
    return a;
}

bool sl_account_manager_reload(struct sl_account_manager *m, bool force, void (*done)(void *arg),
                               void *arg)
{
    int rc = SL_ESTATE;
    pthread_mutex_lock(&m->lock);
    bool is_allowed =
        force || (m->config.refresh_time_ms >= 0 && !is_throttled(m, sl_clock_mono_ms()));
    if (m->is_stopping) {
        rc = SL_ESTATE;
    } else if (is_allowed) {
        rc = add_waiter(&m->pending, done, arg);
        pthread_cond_signal(&m->wake);
    } else if (m->is_loading && m->config.refresh_time_ms >= 0) {
        rc = add_waiter(&m->running, done, arg);
    }
    pthread_mutex_unlock(&m->lock);
    return rc == 0;
}

int64_t sl_account_manager_last_load_s(struct sl_account_manager *m)
{
    pthread_mutex_lock(&m->lock);
    int64_t at = m->last_load_s;
    pthread_mutex_unlock(&m->lock);
    return at;
}
