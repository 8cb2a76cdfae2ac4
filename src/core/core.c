/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building the running system from the configuration, and taking it down.
 *
 *   up    servers -> worker loops -> monitors (first tick) -> filters -> services -> listeners -> worker
 *         threads
 *   down  worker threads (sessions end) -> listeners -> monitors -> services -> servers
 *
 * Listeners open only after the monitors have looked once, so that the first client finds roles.
 */
#include "core/core.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/name_lookup.h"
#include "core/recorder.h"
#include "core/session.h"
#include "core/target.h"

#define FIRST_TICK_MS 15000
#define RESOLVE_EVERY_MS 60000

/* ---- servers ---- */

static int build_servers(struct sl_core *c, struct sl_err *err)
{
    c->servers = sl_xcalloc(c->config->server_count + 1, sizeof *c->servers);
    for (size_t i = 0; i < c->config->server_count; i++) {
        struct sl_conf_server *conf = &c->config->servers[i];
        struct sl_server *s;
        int rc = sl_server_new(conf->object.name, &conf->settings, (unsigned)i, c->worker_count, &s,
                               err);
        if (rc < 0) {
            return rc;
        }
        c->servers[c->server_count++] = s;
        s->source_file = sl_strdup(conf->object.file);
        struct sl_err why = SL_ERR_INIT;
        if (sl_server_resolve(s, &why) < 0) {
            sl_log_warning("Server '%s' cannot be used until its name is resolved: %s", s->name,
                           why.text);
        }
    }
    c->resolved_ms = sl_clock_mono_ms();
    return SL_OK;
}

/* ---- monitors ---- */

static void on_monitor_change(void *arg)
{
    sl_core_topology_changed(arg);
}

static int build_monitor(struct sl_core *c, struct sl_conf_monitor *conf, struct sl_err *err)
{
    struct sl_server **servers = sl_xcalloc(conf->server_count + 1, sizeof *servers);
    for (size_t k = 0; k < conf->server_count; k++) {
        servers[k] = sl_core_server(c, conf->servers[k]->object.name);
    }
    struct sl_monitor_config config = {
        .name = conf->object.name,
        .module = sl_core_module(c, SL_MODULE_MONITOR, conf->settings.module),
        .settings = &conf->settings,
        .module_settings = conf->module_settings,
        .servers = servers,
        .server_count = (unsigned)conf->server_count,
        .datadir = c->config->global.datadir,
        .source_file = conf->object.file,
        .load_journal = true,
        .on_change = on_monitor_change,
        .on_change_arg = c,
    };
    struct sl_monitor *m;
    int rc = sl_monitor_new(&config, &m, err);
    sl_free(servers);
    if (rc < 0) {
        return rc;
    }
    c->monitors[c->monitor_count++] = m;
    return sl_monitor_start(m, err);
}

static int build_monitors(struct sl_core *c, struct sl_err *err)
{
    c->monitors = sl_xcalloc(c->config->monitor_count + 1, sizeof *c->monitors);
    for (size_t i = 0; i < c->config->monitor_count; i++) {
        int rc = build_monitor(c, &c->config->monitors[i], err);
        if (rc < 0) {
            return sl_err_wrap(err, "monitor '%s'", c->config->monitors[i].object.name);
        }
    }
    for (unsigned i = 0; i < c->monitor_count; i++) {
        if (sl_monitor_wait_tick(c->monitors[i], FIRST_TICK_MS) < 0) {
            sl_log_warning("Monitor '%s' has not finished its first round yet; starting without it",
                           sl_monitor_name(c->monitors[i]));
        }
    }
    return SL_OK;
}

/* ---- services ---- */

static int start_accounts(struct sl_core *c, struct sl_service *s, struct sl_err *err)
{
    const struct sl_global_settings *g = &c->config->global;
    struct sl_account_manager_config config = {
        .service = s->name,
        .user = s->settings.user,
        .password = s->settings.password,
        .servers = s->reached,
        .server_count = s->reached_count,
        .local_address = g->local_address,
        .timeout_ms = (uint32_t)g->auth_connect_timeout,
        .refresh_time_ms = g->users_refresh_time,
        .refresh_interval_ms = g->users_refresh_interval,
        .accounts_file = s->settings.user_accounts_file,
        .file_only = s->settings.user_accounts_file_usage == SL_ACCOUNTS_FILE_ONLY_ALWAYS,
    };
    return sl_account_manager_new(&config, &s->accounts, err);
}

/* Its name and what stands for it, so that others can refer to it. */
static int declare_service(struct sl_core *c, struct sl_conf_service *conf, struct sl_err *err)
{
    struct sl_service *s = sl_xcalloc(1, sizeof *s);
    c->services[c->service_count++] = s;
    s->core = c;
    s->worker_count = c->worker_count;
    s->chain_length = conf->chain_length;
    s->name = conf->object.name;
    s->router = sl_core_module(c, SL_MODULE_ROUTER, conf->settings.router);
    s->ops = s->router->ops;
    /* Numbered behind the servers: in a tie the server wins. */
    return sl_target_new(s, conf, c->server_count + c->service_count, err);
}

static int build_service(struct sl_core *c, struct sl_service *s, struct sl_conf_service *conf,
                         struct sl_err *err)
{
    s->source_file = (char *)conf->object.file;
    s->settings = conf->settings;
    atomic_store(&s->retain_last_statements, conf->settings.retain_last_statements);
    s->router_settings = conf->router_settings;
    sl_filters_chain(c, conf, s);
    s->cluster = conf->cluster ? conf->cluster->object.name : NULL;
    s->counters = aligned_alloc(64, c->worker_count * sizeof *s->counters);
    if (!s->counters) {
        return sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    memset(s->counters, 0, c->worker_count * sizeof *s->counters);
    s->started_s = sl_clock_wall_s();
    int rc = s->ops->instance_new(s, &s->instance, err);
    if (rc < 0 || s->ops->accept) {
        return rc; /* bytes only: nobody logs in here */
    }
    return start_accounts(c, s, err);
}

static int build_services(struct sl_core *c, struct sl_err *err)
{
    sl_filters_build(c);
    c->services = sl_xcalloc(c->config->service_count + 1, sizeof *c->services);
    bool has_service_targets = false;
    for (size_t i = 0; i < c->config->service_count; i++) {
        int rc = declare_service(c, &c->config->services[i], err);
        if (rc < 0) {
            return sl_err_wrap(err, "service '%s'", c->config->services[i].object.name);
        }
        has_service_targets |= c->services[i]->stand_in != NULL;
    }
    sl_targets_link(c);
    for (size_t i = 0; i < c->config->service_count; i++) {
        int rc = build_service(c, c->services[i], &c->config->services[i], err);
        if (rc < 0) {
            return sl_err_wrap(err, "service '%s'", c->config->services[i].object.name);
        }
    }
    atomic_store(&c->has_service_targets, has_service_targets);
    sl_targets_refresh(c);
    sl_recorder_configure(c);
    return SL_OK;
}

static void free_service(struct sl_service *s)
{
    sl_account_manager_free(s->accounts);
    if (s->instance && s->ops->instance_free) {
        s->ops->instance_free(s->instance);
    }
    free(s->counters);
    sl_target_free(s);
    sl_free(s->servers);
    sl_free(s->reached);
    sl_free(s->filters);
    sl_free(s);
}

/* ---- listeners ---- */

static int build_listeners(struct sl_core *c, struct sl_err *err)
{
    c->listeners = sl_xcalloc(c->config->listener_count + 1, sizeof *c->listeners);
    for (size_t i = 0; i < c->config->listener_count; i++) {
        int rc = sl_listener_open(c, &c->config->listeners[i], err);
        if (rc < 0) {
            return sl_err_wrap(err, "listener '%s'", c->config->listeners[i].object.name);
        }
    }
    return SL_OK;
}

/* ---- workers ---- */

static unsigned worker_count(const struct sl_global_settings *g)
{
    long n = g->threads > 0 ? g->threads : sysconf(_SC_NPROCESSORS_ONLN);
    n = n < 1 ? 1 : n;
    return (unsigned)(n > g->threads_max ? g->threads_max : n);
}

static int build_workers(struct sl_core *c, struct sl_err *err)
{
    c->workers = sl_xcalloc(c->worker_count, sizeof *c->workers);
    for (unsigned i = 0; i < c->worker_count; i++) {
        int rc = sl_worker_init(&c->workers[i], c, i, err);
        if (rc < 0) {
            return rc;
        }
    }
    return SL_OK;
}

static int start_workers(struct sl_core *c, struct sl_err *err)
{
    for (unsigned i = 0; i < c->worker_count; i++) {
        int rc = sl_worker_start(&c->workers[i], err);
        if (rc < 0) {
            return rc;
        }
    }
    return SL_OK;
}

/* ---- all ---- */

static int resolve_local_address(struct sl_core *c, struct sl_err *err)
{
    const char *text = c->config->global.local_address;
    if (!text || !text[0]) {
        return SL_OK;
    }
    int rc = sl_resolve(text, 0, &c->local_address, &c->local_address_len, err);
    return rc < 0 ? sl_err_wrap(err, "local_address '%s'", text) : SL_OK;
}

int sl_core_start(struct sl_config *config, const struct sl_module *const *modules,
                  struct sl_core **ret, struct sl_err *err)
{
    struct sl_core *c = sl_xcalloc(1, sizeof *c);
    c->config = config;
    c->modules = modules;
    pthread_mutex_init(&c->targets_lock, NULL);
    c->started_s = sl_clock_wall_s();
    c->started_ms = sl_clock_mono_ms();
    c->worker_count = worker_count(&config->global);
    atomic_store(&c->retain_last_statements, config->global.retain_last_statements);
    atomic_store(&c->dump_last_statements, config->global.dump_last_statements);
    atomic_store(&c->query_digests, (uint32_t)config->global.query_digests);
    atomic_store(&c->next_session_id, 1);
    int rc = resolve_local_address(c, err);
    rc = rc < 0 ? rc : build_servers(c, err);
    rc = rc < 0 ? rc : build_workers(c, err);
    rc = rc < 0 ? rc : build_monitors(c, err);
    rc = rc < 0 ? rc : build_services(c, err);
    rc = rc < 0 ? rc : build_listeners(c, err);
    rc = rc < 0 ? rc : start_workers(c, err);
    if (rc < 0) {
        sl_core_stop(c);
        return rc;
    }
    *ret = c;
    return SL_OK;
}

void sl_core_stop(struct sl_core *c)
{
    atomic_store(&c->is_stopping, true);
    for (unsigned i = 0; i < c->listener_count; i++) {
        atomic_store(&c->listeners[i]->is_listening, false);
    }
    for (unsigned i = 0; i < c->monitor_count; i++) {
        sl_monitor_stop(c->monitors[i]);
    }
    sl_name_lookup_cancel();
    for (unsigned i = 0; c->workers && i < c->worker_count; i++) {
        sl_worker_request_stop(&c->workers[i]);
    }
    for (unsigned i = 0; c->workers && i < c->worker_count; i++) {
        sl_worker_stop(&c->workers[i]);
    }
    /* The account loaders and threads of routers may still post to the loops: they go before
     * these. */
    for (unsigned i = 0; i < c->service_count; i++) {
        sl_account_manager_free(c->services[i]->accounts);
        c->services[i]->accounts = NULL;
        if (c->services[i]->instance && c->services[i]->ops->instance_stop) {
            c->services[i]->ops->instance_stop(c->services[i]->instance);
        }
    }
    for (unsigned i = 0; i < c->listener_count; i++) {
        for (unsigned w = 0; c->listeners[i]->gates && w < c->worker_count; w++) {
            sl_listener_socket_stop(c->listeners[i]->socket, w, c->workers[w].loop);
        }
        sl_listener_free(c->listeners[i]);
    }
    for (unsigned i = 0; i < c->monitor_count; i++) {
        sl_monitor_free(c->monitors[i]);
    }
    /* A loop may release its last connections when it is freed: their services must still be
     * there. */
    for (unsigned i = 0; c->workers && i < c->worker_count; i++) {
        sl_worker_clear(&c->workers[i]);
    }
    for (unsigned i = 0; i < c->service_count; i++) {
        free_service(c->services[i]);
    }
    for (unsigned i = 0; i < c->server_count; i++) {
        sl_server_free(c->servers[i]);
    }
    sl_free(c->listeners);
    sl_free(c->monitors);
    sl_free(c->services);
    sl_free(c->filters);
    sl_free(c->workers);
    sl_free(c->servers);
    sl_config_free(c->config);
    pthread_mutex_destroy(&c->targets_lock);
    sl_free(c);
}

static void tell_workers(struct sl_core *core)
{
    for (unsigned i = 0; core->workers && i < core->worker_count; i++) {
        sl_worker_topology_changed(&core->workers[i]);
    }
}

void sl_core_tick(struct sl_core *core)
{
    uint64_t now = sl_clock_mono_ms();
    if (sl_targets_refresh(core)) {
        tell_workers(core);
    }
    if (core->server_count == 0 ||
        now - core->resolved_ms < RESOLVE_EVERY_MS / core->server_count) {
        return;
    }
    /* One server a time: the resolver may block for seconds, and the watchdog wants to be pinged
     * in between. */
    core->resolved_ms = now;
    struct sl_server *server = core->servers[core->resolve_next++ % core->server_count];
    struct sl_err err = SL_ERR_INIT;
    if (sl_server_resolve(server, &err) < 0) {
        sl_log_warning("Server '%s': %s", server->name, err.text);
    }
}

void sl_core_topology_changed(struct sl_core *core)
{
    sl_targets_refresh(core);
    tell_workers(core);
}

void sl_core_server_suspect(struct sl_core *core, struct sl_server *server)
{
    struct sl_monitor *m = sl_core_monitor_of(core, server);
    if (m) {
        sl_monitor_request_tick(m);
    }
}

/* ---- finding by name ---- */

const struct sl_module *sl_core_module(const struct sl_core *core, enum sl_module_kind kind,
                                       const char *name)
{
    for (unsigned i = 0; core->modules[i]; i++) {
        if (core->modules[i]->kind == kind && strcmp(core->modules[i]->name, name) == 0) {
            return core->modules[i];
        }
    }
    return NULL;
}

struct sl_server *sl_core_server(const struct sl_core *core, const char *name)
{
    for (unsigned i = 0; i < core->server_count; i++) {
        if (strcmp(core->servers[i]->name, name) == 0) {
            return core->servers[i];
        }
    }
    return NULL;
}

struct sl_filter *sl_core_filter(const struct sl_core *core, const char *name)
{
    for (unsigned i = 0; i < core->filter_count; i++) {
        if (strcmp(core->filters[i].name, name) == 0) {
            return &core->filters[i];
        }
    }
    return NULL;
}

struct sl_service *sl_core_service(const struct sl_core *core, const char *name)
{
    for (unsigned i = 0; i < core->service_count; i++) {
        if (strcmp(core->services[i]->name, name) == 0) {
            return core->services[i];
        }
    }
    return NULL;
}

struct sl_listener *sl_core_listener(const struct sl_core *core, const char *name)
{
    for (unsigned i = 0; i < core->listener_count; i++) {
        if (strcmp(core->listeners[i]->name, name) == 0) {
            return core->listeners[i];
        }
    }
    return NULL;
}

struct sl_monitor *sl_core_monitor(const struct sl_core *core, const char *name)
{
    for (unsigned i = 0; i < core->monitor_count; i++) {
        if (strcmp(sl_monitor_name(core->monitors[i]), name) == 0) {
            return core->monitors[i];
        }
    }
    return NULL;
}

struct sl_monitor *sl_core_monitor_of(const struct sl_core *core, const struct sl_server *server)
{
    for (unsigned i = 0; i < core->monitor_count; i++) {
        struct sl_monitor *m = core->monitors[i];
        for (unsigned k = 0; k < sl_monitor_server_count(m); k++) {
            if (sl_monitor_server(m, k) == server) {
                return m;
            }
        }
    }
    return NULL;
}
