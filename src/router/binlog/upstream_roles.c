/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which server is read from, and when it is left: once a second. Upstream thread.
 *
 * select_master: the service's server that the monitor calls Master. Left when it is that no more;
 * when the cluster goes on (positions the monitor saw) and this stream does not, for net_timeout;
 * passed over when it cannot give the position (upstream_choose.c).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "router/binlog/upstream_choose.h"
#include "router/binlog/upstream_internal.h"

static uint64_t now_ms(const struct sl_upstream *u)
{
    return sl_loop_now_ms(u->loop);
}

/* ---- the choice ---- */

/* All servers of the service; free with sl_free. NULL: memory is out. */
static struct sl_candidate *candidates(const struct sl_upstream *u)
{
    const struct sl_service *service = u->relay->service;
    struct sl_candidate *c = sl_calloc(service->server_count + 1, sizeof(*c));
    for (unsigned i = 0; c != NULL && i < service->server_count; i++) {
        c[i].status = sl_server_status(service->servers[i]);
        c[i].is_passed_over = u->lacks[i];
        c[i].watched =
            service->core != NULL ? sl_core_monitor_of(service->core, service->servers[i]) : NULL;
    }
    return c;
}

static int choose(struct sl_upstream *u, bool *ret_is_exhausted)
{
    const struct sl_service *service = u->relay->service;
    struct sl_candidate *c = candidates(u);
    *ret_is_exhausted = false;
    if (c == NULL) {
        return SL_CHOOSE_NONE; /* asked again in a second */
    }
    int chosen = sl_upstream_choose(c, service->server_count, ret_is_exhausted);
    sl_free(c);
    return chosen;
}

static void forgive_all(struct sl_upstream *u)
{
    memset(u->lacks, 0, u->relay->service->server_count * sizeof(*u->lacks));
    u->lacks_since_ms = 0;
}

void sl_upstream_pass_over(struct sl_upstream *u)
{
    for (unsigned i = 0; i < u->relay->service->server_count; i++) {
        if (u->relay->service->servers[i] == u->server) {
            u->lacks[i] = true;
        }
    }
    u->lacks_since_ms = u->lacks_since_ms > 0 ? u->lacks_since_ms : now_ms(u);
}

void sl_upstream_name_strangers(struct sl_upstream *u, struct sl_fault *fault)
{
    const struct sl_service *service = u->relay->service;
    struct sl_candidate *c = candidates(u);
    size_t len = strlen(fault->text);
    const char *before =
        ". Not read instead, because they may have groups of their own (they are no "
        "members of the Master's cluster): ";
    for (unsigned i = 0; c != NULL && i < service->server_count; i++) {
        if (sl_upstream_is_stranger(c, service->server_count, i) && len < sizeof(fault->text)) {
            len += (size_t)snprintf(fault->text + len, sizeof(fault->text) - len, "%s'%s'", before,
                                    service->servers[i]->name);
            before = ", ";
        }
    }
    sl_free(c);
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

/* What to connect to becomes the target, so that status and file tell it. */
static int adopt(struct sl_upstream *u, struct sl_server *server)
{
    const struct sl_service_settings *account = &u->relay->service->settings;
    const struct sl_server_settings *ss = &server->settings;
    const struct sl_tls_settings *tls = &ss->tls;
    struct sl_upstream_target *old = &u->info.target;
    if (same_text(old->host, ss->address) && old->port == ss->port &&
        same_text(old->user, account->user) && same_text(old->password, account->password) &&
        old->ssl == tls->ssl && same_text(old->ssl_ca, tls->ssl_ca) &&
        same_text(old->ssl_cert, tls->ssl_cert) && same_text(old->ssl_key, tls->ssl_key)) {
        return SL_OK;
    }
    struct sl_upstream_target view = {
        .host = ss->address,
        .port = (uint16_t)ss->port,
        .user = account->user,
        .password = account->password,
        .ssl = tls->ssl,
        .ssl_verify_server_cert = tls->ssl_verify_peer_host,
        .ssl_ca = tls->ssl_ca,
        .ssl_cert = tls->ssl_cert,
        .ssl_key = tls->ssl_key,
        .ssl_cipher = tls->ssl_cipher,
        .heartbeat_period_ms = old->heartbeat_period_ms,
    };
    struct sl_upstream_target copy;
    if (sl_upstream_target_copy(&copy, &view) < 0) {
        return SL_ENOMEM;
    }
    sl_upstream_target_clear(old);
    *old = copy;
    struct sl_err err = SL_ERR_INIT;
    if (sl_upstream_info_write(u->relay->datadir, u->secrets, &u->info, &err) < 0) {
        sl_log_error("%s", err.text);
    }
    return sl_upstream_publish_target(u);
}

/* The server of CHANGE MASTER, if the configuration knows it. */
static struct sl_server *find_server(const struct sl_upstream *u)
{
    const struct sl_service *service = u->relay->service;
    for (unsigned i = 0; i < service->server_count; i++) {
        const struct sl_server_settings *ss = &service->servers[i]->settings;
        if (same_text(ss->address, u->info.target.host) && ss->port == u->info.target.port) {
            return service->servers[i];
        }
    }
    return NULL;
}

/* Our own id is none that makes trouble. */
static bool check_server_id(struct sl_upstream *u, struct sl_fault *fault)
{
    int64_t id = u->settings->server_id;
    const struct sl_service *service = u->relay->service;
    if (id == 0 || id == SL_UPSTREAM_DEFAULT_SERVER_ID) {
        sl_fault_set(
            fault, SL_FAULT_SERVER_ID, SL_ER_RELAY_FATAL,
            "server_id=%" PRId64 " of service '%s' is %s; set server_id to a number that no "
            "server of the topology has",
            id, service->name, id == 0 ? "not allowed" : "the default of every binlogrouter");
        return false;
    }
    for (unsigned i = 0; i < service->server_count; i++) {
        struct sl_server_info info;
        sl_server_info_get(service->servers[i], &info);
        if (info.server_id == id) {
            sl_fault_set(fault, SL_FAULT_SERVER_ID, SL_ER_RELAY_FATAL,
                         "server_id=%" PRId64 " of service '%s' is that of server '%s', too; set "
                         "server_id to a number that no server of the topology has",
                         id, service->name, service->servers[i]->name);
            return false;
        }
    }
    return true;
}

/* ---- attempts ---- */

static void wait_for_target(struct sl_upstream *u, const char *why)
{
    struct sl_fault fault;
    sl_fault_set(&fault, SL_FAULT_LOST, SL_ER_RELAY_CONNECT, "%s", why);
    u->server = NULL;
    if (u->step != SL_UPSTREAM_NO_TARGET) {
        sl_upstream_note(u, &fault);
        sl_upstream_set_step(u, SL_UPSTREAM_NO_TARGET); /* looked at again by each tick */
    }
}

/* All have said that they lack what is needed. The last one's words stand. */
static void wait_exhausted(struct sl_upstream *u)
{
    forgive_all(u);
    u->server = NULL;
    sl_upstream_leave(u, NULL, SL_FAULT_SLOW_DELAY_MS);
}

/* False: nothing to connect to now. */
static bool find_target(struct sl_upstream *u)
{
    struct sl_err err = SL_ERR_INIT;
    if (!u->info.selects_master) {
        u->server = NULL;
        if (sl_upstream_target_complete(&u->info.target, &err) < 0) {
            wait_for_target(u, err.text);
            return false;
        }
        u->server = find_server(u);
        return true;
    }
    bool is_exhausted;
    int chosen = choose(u, &is_exhausted);
    if (is_exhausted) {
        wait_exhausted(u);
        return false;
    }
    if (chosen == SL_CHOOSE_NONE) {
        wait_for_target(u, "No server of the service is Master (select_master)");
        return false;
    }
    u->server = u->relay->service->servers[chosen];
    if (adopt(u, u->server) < 0) {
        sl_upstream_leave(u, NULL, SL_FAULT_DELAY_MS);
        return false;
    }
    return true;
}

void sl_upstream_go(struct sl_upstream *u)
{
    struct sl_fault fault;
    if (u->is_ending || !u->info.is_running || u->is_conn_used || u->resolve != NULL) {
        return;
    }
    if (!check_server_id(u, &fault)) {
        sl_upstream_fail(u, &fault);
    } else if (find_target(u)) {
        sl_upstream_connect(u);
    }
}

/* ---- leaving ---- */

static void check_role(struct sl_upstream *u)
{
    bool is_exhausted;
    if (!u->info.selects_master || u->server == NULL) {
        return;
    }
    int chosen = choose(u, &is_exhausted);
    if (chosen != SL_CHOOSE_NONE && u->relay->service->servers[chosen] == u->server) {
        return;
    }
    if (chosen == SL_CHOOSE_NONE) {
        sl_log_warning("Server '%s' is not Master any more, and no other one is: left",
                       u->server->name);
    } else {
        sl_log_notice("Replication moves from server '%s' to server '%s'", u->server->name,
                      u->relay->service->servers[chosen]->name);
    }
    sl_upstream_leave(u, NULL, 0);
}

static struct sl_server *master_of(const struct sl_upstream *u)
{
    const struct sl_service *service = u->relay->service;
    for (unsigned i = 0; i < service->server_count; i++) {
        if (sl_status_is_master(sl_server_status(service->servers[i]))) {
            return service->servers[i];
        }
    }
    return NULL;
}

/* Reading from a stand-in: does the Master have everything now that we still need? */
static void check_return(struct sl_upstream *u)
{
    struct sl_server *master = master_of(u);
    if (u->lacks_since_ms == 0 || master == NULL || master == u->server) {
        return;
    }
    struct sl_gtid_set position;
    sl_gtid_shared_get(&master->position, &position);
    bool has_waited = now_ms(u) - u->lacks_since_ms >= SL_UPSTREAM_RETURN_MS;
    if (sl_upstream_has_reached(&u->ingest.state, &position) ||
        (position.count == 0 && has_waited)) {
        forgive_all(u);
    }
}

/* Does what this server has tell what the stream should bring? That of an asynchronous replica does
 * not: it may have groups of its own. */
static bool may_tell(const struct sl_upstream *u, const struct sl_server *server)
{
    uint32_t status = sl_server_status(server);
    return sl_status_is_master(status) || sl_status_is_joined(status) ||
           (server == u->server && sl_status_is_usable(status));
}

/* The server that has what we do not, if there is one. */
static struct sl_server *find_ahead(const struct sl_upstream *u)
{
    const struct sl_service *service = u->relay->service;
    for (unsigned i = 0; i < service->server_count; i++) {
        struct sl_gtid_set position;
        sl_gtid_shared_get(&service->servers[i]->position, &position);
        if (position.count > 0 && may_tell(u, service->servers[i]) &&
            !sl_upstream_has_reached(&u->ingest.state, &position)) {
            return service->servers[i];
        }
    }
    return NULL;
}

/* Heartbeats come, but what the cluster writes does not. A group that takes long comes event by
 * event, and an event that takes long is silent if it does not come at all. */
static void check_stuck(struct sl_upstream *u)
{
    uint64_t events = u->ingest.events;
    bool is_moving = events != u->stuck_events || sl_stream_is_inside(&u->stream);
    const struct sl_server *ahead =
        u->server != NULL && u->info.selects_master ? find_ahead(u) : NULL;
    if (ahead == NULL || is_moving || u->stuck_since_ms == 0) {
        u->stuck_since_ms = ahead != NULL ? now_ms(u) : 0;
        u->stuck_events = events;
        return;
    }
    if (now_ms(u) - u->stuck_since_ms <= u->tuning.net_timeout_ms) {
        return;
    }
    struct sl_fault fault;
    sl_fault_set(&fault, SL_FAULT_LOST, SL_ER_RELAY_LOST,
                 "Server '%s' sends nothing new for %" PRIu64 " ms, although server '%s' has more",
                 u->server->name, u->tuning.net_timeout_ms, ahead->name);
    sl_upstream_pass_over(u);
    sl_upstream_fail(u, &fault);
}

static const char *step_text(enum sl_upstream_step step)
{
    static const char *const texts[] = {
        [SL_UPSTREAM_CONNECTING] = "connecting",
        [SL_UPSTREAM_LOGIN] = "logging in",
        [SL_UPSTREAM_ASKING] = "preparing the dump",
        [SL_UPSTREAM_STREAMING] = "streaming",
    };
    return (size_t)step < SL_ARRAY_LEN(texts) && texts[step] != NULL ? texts[step] : "";
}

static void check_silence(struct sl_upstream *u)
{
    bool is_streaming = u->step == SL_UPSTREAM_STREAMING;
    uint64_t since = is_streaming ? u->last_input_ms : u->step_since_ms;
    if (u->is_full || now_ms(u) - since <= u->tuning.net_timeout_ms) {
        return;
    }
    struct sl_fault fault;
    sl_fault_set(&fault, SL_FAULT_LOST, SL_ER_RELAY_LOST,
                 "'%s' (%s:%u) is silent for more than net_timeout=%" PRIu64 " ms while %s",
                 u->server != NULL ? u->server->name : u->info.target.host, u->info.target.host,
                 u->info.target.port, u->tuning.net_timeout_ms, step_text(u->step));
    sl_upstream_fail(u, &fault);
}

/* Was the log of the server reset under us? Then the stream stands for good: asked again, the server says
 * that it does not have our position. */
static void check_going_back(struct sl_upstream *u)
{
    struct sl_fault fault;
    struct sl_gtid_set position;
    if (u->server == NULL ||
        !(sl_server_status(u->server) & (SL_SERVER_MASTER | SL_SERVER_SLAVE))) {
        return; /* a node that catches up logs again what it had logged before it crashed */
    }
    uint64_t version = sl_gtid_shared_version(&u->server->position);
    sl_gtid_shared_get(&u->server->position, &position);
    if (sl_going_back_look(&u->ingest.back, u->server, u->server->name, &position, version)) {
        sl_fault_set(&fault, SL_FAULT_DIVERGED, SL_ER_RELAY_ORDER, "%s", u->ingest.back.text);
        sl_upstream_fail(u, &fault);
    }
}

static void watch(struct sl_upstream *u)
{
    check_return(u);
    check_role(u);
    if (u->step == SL_UPSTREAM_STREAMING) {
        check_going_back(u);
    }
    if (u->step == SL_UPSTREAM_STREAMING && u->is_full) {
        sl_upstream_try_room(u);
    }
    if (u->step == SL_UPSTREAM_STREAMING && u->ingest.has_file && !u->is_full) {
        check_stuck(u);
    }
    bool is_quiet = now_ms(u) - u->step_since_ms >= SL_UPSTREAM_TICK_MS;
    if (u->step == SL_UPSTREAM_STREAMING && u->ingest.has_file && is_quiet) {
        sl_upstream_recover(u);
    }
    if (u->step >= SL_UPSTREAM_CONNECTING && u->step <= SL_UPSTREAM_STREAMING) {
        check_silence(u);
    }
}

/* Waiting to ask a server again that is not the one to ask any more. */
static bool waits_for_another(struct sl_upstream *u)
{
    bool is_exhausted;
    if (u->step != SL_UPSTREAM_WAITING || !u->info.selects_master || u->server == NULL) {
        return false;
    }
    int chosen = choose(u, &is_exhausted);
    return chosen != SL_CHOOSE_NONE && u->relay->service->servers[chosen] != u->server;
}

void sl_upstream_tick(struct sl_timer *t, struct sl_loop *loop)
{
    struct sl_upstream *u = SL_CONTAINER_OF(t, struct sl_upstream, tick);
    if (u->step >= SL_UPSTREAM_CONNECTING && u->step <= SL_UPSTREAM_STREAMING) {
        watch(u);
    } else if (u->step == SL_UPSTREAM_NO_TARGET) {
        sl_upstream_go(u);
    } else if (waits_for_another(u)) {
        sl_timer_start(loop, &u->wait, 1);
    }
    sl_upstream_publish(u);
    sl_timer_start(loop, t, SL_UPSTREAM_TICK_MS);
}
