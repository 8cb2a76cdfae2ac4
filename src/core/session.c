/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side of a session: accepting, the client connection's events, the once a second
 * look at limits, closing.
 *
 * Invariants: S1 busy: exactly one command of the client is unanswered; its reply is expected from
 * a backend, or the router has begun it.
 *             S2 held: the command is still in the client connection's input, which is paused.
 *             S3 the session is freed only when the client connection and all backends are released
 *                (live_conns == 0).
 */
#include "core/session.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/auth_block.h"
#include "core/core.h"
#include "core/recorder.h"
#include "proto/constants.h"
#include "proto/ok.h"

#define LOGIN_DEADLINE_MS 10000 /* of clients: connect_timeout of the server, 10 s */

static size_t on_data(struct sl_conn *c, const uint8_t *data, size_t len);
static void on_secured(struct sl_conn *c);
static void on_writable(struct sl_conn *c);
static void on_end(struct sl_conn *c, enum sl_conn_end end);
static void on_released(struct sl_conn *c);

static const struct sl_conn_ops client_conn_ops = {
    .name = "client",
    .on_secured = on_secured,
    .on_data = on_data,
    .on_writable = on_writable,
    .on_end = on_end,
    .on_released = on_released,
};

static struct sl_session *session_of(struct sl_conn *c)
{
    return SL_CONTAINER_OF(c, struct sl_session, client);
}

struct sl_service_counters *sl_session_counters(struct sl_session *s)
{
    return &s->service->counters[s->worker->index];
}

/* ---- birth and death ---- */

static struct sl_session *new_session(struct sl_service *service, struct sl_worker *w)
{
    struct sl_session *s =
        sl_calloc(1, sizeof *s + service->server_count * sizeof(struct sl_backend *));
    if (!s) {
        return NULL;
    }
    s->worker = w;
    s->service = service;
    s->ops = service->ops;
    s->backend_count = service->server_count;
    s->id = atomic_fetch_add(&w->core->next_session_id, 1) & 0xFFFFFFFFu;
    s->origin_id = s->id;
    s->connected_s = sl_clock_wall_s();
    s->active_ms = s->step_since_ms = sl_loop_now_ms(w->loop);
    sl_trx_init(&s->trx, true);
    sl_list_init(&s->waiting_node);
    sl_list_append(&w->sessions, &s->node);
    atomic_fetch_add_explicit(&w->session_count, 1, memory_order_relaxed);
    sl_worker_session_added(w);
    return s;
}

static void clear_credentials(struct sl_credentials *c)
{
    sl_free(c->user);
    sl_wipe(c->h1, sizeof c->h1);
    if (c->mapped_password) {
        sl_wipe(c->mapped_password, strlen(c->mapped_password));
        sl_free(c->mapped_password);
    }
}

static void count_client(struct sl_session *s)
{
    struct sl_service_counters *c = sl_session_counters(s);
    sl_count32(&c->connections, 1);
    sl_count(&c->total_connections, 1);
    uint32_t now = atomic_fetch_add(&s->service->connection_total, 1) + 1;
    uint32_t peak = atomic_load_explicit(&s->service->connection_peak, memory_order_relaxed);
    while (now > peak && !atomic_compare_exchange_weak(&s->service->connection_peak, &peak, now)) {
    }
}

static void uncount_client(struct sl_session *s)
{
    struct sl_service_counters *c = sl_session_counters(s);
    sl_count32(&c->connections, -1);
    sl_count(&c->closed_sessions, 1);
    sl_count(&c->closed_lifetime_s, (uint64_t)(sl_clock_wall_s() - s->connected_s));
    atomic_fetch_sub(&s->service->connection_total, 1);
}

/* An inner session and the backend that is its client forget each other. */
static void leave_outer(struct sl_session *s)
{
    if (s->outer) {
        s->outer->inner = NULL;
        s->outer = NULL;
    }
}

static void free_session(struct sl_session *s)
{
    leave_outer(s);
    sl_list_remove(&s->node);
    sl_list_remove(&s->waiting_node);
    atomic_fetch_sub_explicit(&s->worker->session_count, 1, memory_order_relaxed);
    if (s->listener) {
        uncount_client(s);
    }
    if (s->router && s->ops->session_close) {
        /* not before: the router may be on the stack while its session closes */
        s->ops->session_close(s);
    }
    sl_filters_close(s);
    sl_session_login_clear(s);
    sl_recorder_free(s);
    clear_credentials(&s->credentials);
    sl_free(s->client_user);
    sl_free(s->db);
    sl_free(s->pending_db);
    sl_free(s->attributes);
    sl_free(s->late_answer);
    sl_free(s);
}

void sl_session_conn_released(struct sl_session *s)
{
    sl_assert(s->live_conns > 0);
    s->live_conns--;
    if (s->live_conns == 0 && s->step == SL_SESSION_CLOSING) {
        free_session(s);
    }
}

void sl_session_close(struct sl_session *s, const char *why)
{
    if (s->step == SL_SESSION_CLOSING) {
        return;
    }
    if (why) {
        sl_log_info("Closing session of '%s': %s", s->client_user ? s->client_user : "", why);
    }
    if (s->recorder) {
        sl_recorder_close(s);
    }
    bool is_ghost = s->step == SL_SESSION_GHOST;
    leave_outer(s);
    s->step = SL_SESSION_CLOSING;
    s->busy = false;
    s->stream_to = NULL;
    sl_session_login_clear(s);
    /* One more reference, so that the loop below cannot see the session freed. */
    s->live_conns++;
    for (unsigned i = 0; i < s->backend_count; i++) {
        if (s->backends[i]) {
            sl_backend_close(s->backends[i]);
        }
    }
    if (!is_ghost) {
        sl_conn_close(&s->client, true);
    }
    sl_session_conn_released(s);
}

void sl_session_abort(struct sl_session *s)
{
    s->live_conns++; /* not freed under our feet */
    for (unsigned i = 0; i < s->backend_count; i++) {
        if (s->backends[i]) {
            sl_backend_lost(s->backends[i], "shutting down");
        }
    }
    if (s->listener) {
        sl_conn_close(&s->client, false);
    }
    sl_session_conn_released(s);
}

/* Acts for another session: has its credentials. False: out of memory. */
static bool act_for(struct sl_session *s, const struct sl_session *other)
{
    const struct sl_credentials *from = &other->credentials;
    struct sl_credentials *to = &s->credentials;
    s->peer = other->peer;
    to->user = sl_strdup(from->user);
    to->mapped_password = sl_strdup(from->mapped_password);
    to->has_password = from->has_password;
    memcpy(to->h1, from->h1, sizeof to->h1);
    return (to->user || !from->user) && (to->mapped_password || !from->mapped_password);
}

struct sl_session *sl_session_new_ghost(struct sl_session *like, const struct sl_router_ops *ops)
{
    struct sl_session *s = new_session(like->service, like->worker);
    if (!s) {
        return NULL;
    }
    s->ops = ops;
    s->step = SL_SESSION_GHOST;
    s->capabilities = like->capabilities;
    s->client_max_packet = like->client_max_packet;
    s->collation = like->collation;
    act_for(s, like);
    return s;
}

/* Refused before the greeting: sequence 0 and no SQLSTATE, as the server does it. */
static void refuse_early(int fd, uint16_t code, const char *text)
{
    struct sl_buf out = SL_BUF_INIT;
    if (sl_packet_build_err(&out, 0, code, "", "%s", text) == SL_OK) {
        ssize_t n =
            send(fd, sl_buf_slice(&out).data, sl_buf_len(&out), MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)n; /* best effort: the client is sent away anyway */
    }
    sl_buf_free(&out);
    close(fd);
}

static bool has_too_many(const struct sl_service *service)
{
    int64_t limit = service->settings.max_connections;
    return limit > 0 && atomic_load(&service->connection_total) >= (uint64_t)limit;
}

static bool is_refused_early(struct sl_listener *l, struct sl_worker *w, int fd,
                             const struct sockaddr_storage *peer)
{
    if (has_too_many(l->service)) {
        refuse_early(fd, SL_ER_CON_COUNT, "Too many connections");
        return true;
    }
    if (sl_auth_block_is_blocked(w, peer)) {
        char host[64], text[160];
        sl_address_text(peer, host, sizeof host);
        snprintf(text, sizeof text,
                 "Host '%s' is blocked because of many failed logins; wait a minute", host);
        refuse_early(fd, SL_ER_HOST_IS_BLOCKED, text);
        return true;
    }
    return false;
}

/* The socket becomes the client of a new session; on failure both are gone. */
static int take_client(struct sl_session *s, int fd)
{
    s->live_conns = 1;
    count_client(s);
    sl_conn_init(&s->client, s->worker->loop, &client_conn_ops);
    int rc = sl_conn_accept(&s->client, fd);
    if (rc < 0) {
        s->live_conns = 0;
        s->step = SL_SESSION_CLOSING;
        free_session(s);
    }
    return rc;
}

void sl_session_accept(struct sl_listener *l, struct sl_worker *w, int fd,
                       const struct sockaddr_storage *peer)
{
    if (is_refused_early(l, w, fd, peer)) {
        return;
    }
    struct sl_session *s = new_session(l->service, w);
    if (!s) {
        close(fd);
        return;
    }
    s->listener = l;
    s->peer = *peer;
    s->sql_mode_bits = l->settings.sql_mode == SL_CONF_SQL_MODE_ORACLE ? SL_SQL_ORACLE : 0;
    if (take_client(s, fd) < 0) {
        return;
    }
    s->step = l->proxy_networks && sl_proxy_networks_match(l->proxy_networks, peer)
                  ? SL_SESSION_PROXY_HEADER
                  : SL_SESSION_GREETED;
    sl_session_login_start(s);
}

int sl_session_new_inner(struct sl_backend *outer, int fd)
{
    const struct sl_session *from = outer->session;
    struct sl_service *service = outer->server->service;
    if (has_too_many(service)) {
        close(fd);
        return SL_ELIMIT;
    }
    struct sl_session *s = new_session(service, from->worker);
    if (!s) {
        close(fd);
        return SL_ENOMEM;
    }
    s->listener = service->inner_listener;
    s->origin_id = from->origin_id;
    s->sql_mode_bits = from->sql_mode_bits & SL_SQL_ORACLE;
    bool has_credentials = act_for(s, from);
    int rc = take_client(s, fd);
    if (rc < 0) {
        return rc;
    }
    s->outer = outer;
    outer->inner = s;
    s->step = SL_SESSION_GREETED;
    if (has_credentials) {
        sl_session_login_start(s);
    } else {
        sl_session_close(s, "out of memory");
    }
    return SL_OK;
}

/* ---- callbacks of the client connection ---- */

static size_t on_data(struct sl_conn *c, const uint8_t *data, size_t len)
{
    struct sl_session *s = session_of(c);
    sl_log_session_set(s->id);
    s->active_ms = sl_loop_now_ms(s->worker->loop);
    size_t used = 0;
    if (s->step == SL_SESSION_READY) {
        used = sl_session_commands(s, data, len);
    } else if (s->step != SL_SESSION_CLOSING) {
        used = sl_session_login_data(s, data, len);
        if (used < len && s->step == SL_SESSION_READY) {
            used += sl_session_commands(s, data + used,
                                        len - used); /* sent in one go behind the login */
        }
    }
    if (s->step == SL_SESSION_CLOSING) {
        used = len;
    }
    s->bytes_moved += used;
    sl_log_session_set(0);
    return used;
}

static void on_secured(struct sl_conn *c)
{
    struct sl_session *s = session_of(c);
    sl_log_session_set(s->id);
    sl_session_login_secured(s);
    sl_log_session_set(0);
}

/* The client took its output: go on reading from whom we had stopped. */
static void on_writable(struct sl_conn *c)
{
    struct sl_session *s = session_of(c);
    for (unsigned i = 0; i < s->backend_count; i++) {
        struct sl_backend *b = s->backends[i];
        if (b && b->is_paused_for_client) {
            b->is_paused_for_client = false;
            sl_conn_resume(&b->conn);
        }
    }
    if (s->step == SL_SESSION_READY && s->ops->on_writable) {
        s->ops->on_writable(s);
    }
    if (s->step == SL_SESSION_READY && !s->busy && !s->held && sl_conn_is_paused(&s->client)) {
        sl_conn_resume(&s->client);
    }
}

static void on_end(struct sl_conn *c, enum sl_conn_end end)
{
    struct sl_session *s = session_of(c);
    sl_log_session_set(s->id);
    if (s->step == SL_SESSION_CLOSING) {
        sl_conn_close(c, false);
    } else {
        sl_session_close(s, end == SL_CONN_END_EOF ? "the client disconnected"
                                                   : sl_conn_error_text(c));
    }
    sl_log_session_set(0);
}

static void on_released(struct sl_conn *c)
{
    sl_session_conn_released(session_of(c));
}

/* ---- once a second ---- */

static bool is_client_idle_over(const struct sl_session *s, uint64_t now_ms)
{
    int64_t limit = s->service->settings.wait_timeout;
    return limit > 0 && !sl_session_is_inner(s) && !s->busy && !s->held && !s->is_raw &&
           now_ms - s->active_ms > (uint64_t)limit;
}

/* net_write_timeout: the client has not taken a byte of its output for so long. */
static bool is_client_stuck(struct sl_session *s, uint64_t now_ms)
{
    int64_t limit = s->service->settings.net_write_timeout;
    size_t pending = sl_conn_pending(&s->client);
    if (limit <= 0 || sl_session_is_inner(s) || s->is_raw || pending == 0 ||
        pending != s->stuck_bytes) {
        s->stuck_bytes = pending;
        s->stuck_since_ms = now_ms;
        return false;
    }
    return now_ms - s->stuck_since_ms > (uint64_t)limit;
}

/* COM_PING on connections that rest while the client is about, so that the servers' wait_timeout
 * does not cut them. */
static void keep_alive(struct sl_session *s, uint64_t now_ms)
{
    static const uint8_t ping[] = {1, 0, 0, 0, SL_COM_PING};
    const struct sl_service_settings *cfg = &s->service->settings;
    int64_t interval = cfg->connection_keepalive;
    if (interval <= 0) {
        return;
    }
    if (!cfg->force_connection_keepalive && !s->busy &&
        now_ms - s->active_ms > (uint64_t)interval) {
        return;
    }
    for (unsigned i = 0; i < s->backend_count; i++) {
        struct sl_backend *b = s->backends[i];
        if (sl_backend_is_ready(b) && sl_backend_is_idle(b) && b != s->stream_to &&
            now_ms - b->last_used_ms > (uint64_t)interval) {
            sl_backend_send(b, ping, sizeof ping, SL_PURPOSE_INTERNAL, 0);
        }
    }
}

/* For each step of the way to a logged in connection: as long as the monitor of the server waits
 * for it, or else the loader of accounts. */
static uint64_t connect_deadline_ms(const struct sl_backend *b)
{
    const struct sl_core *core = b->session->worker->core;
    const struct sl_monitor *m = sl_core_monitor_of(core, b->server);
    return (uint64_t)(m ? sl_monitor_settings(m)->backend_connect_timeout
                        : core->config->global.auth_connect_timeout);
}

static void check_backends(struct sl_session *s, uint64_t now_ms)
{
    for (unsigned i = 0; i < s->backend_count; i++) {
        struct sl_backend *b = s->backends[i];
        if (b && b->step < SL_BACKEND_INIT && now_ms - b->step_since_ms > connect_deadline_ms(b)) {
            sl_backend_lost(b, "connecting took too long");
        }
    }
}

void sl_session_kill(struct sl_session *s)
{
    s->is_killed = true;
    sl_session_close(s, "killed through the admin interface");
}

void sl_session_sweep(struct sl_session *s, uint64_t now_ms)
{
    sl_log_session_set(s->id);
    if (s->ends_at_ms != 0 && now_ms >= s->ends_at_ms && s->step != SL_SESSION_CLOSING) {
        sl_session_kill(s);
    }
    bool is_login = s->step < SL_SESSION_READY || s->step == SL_SESSION_CHANGE_USER;
    if (is_login && now_ms - s->step_since_ms > LOGIN_DEADLINE_MS) {
        sl_session_close(s, "the login took too long");
    } else if (s->step == SL_SESSION_GHOST && now_ms - s->step_since_ms > LOGIN_DEADLINE_MS) {
        sl_session_close(s, NULL);
    } else if (s->step == SL_SESSION_READY) {
        if (is_client_idle_over(s, now_ms)) {
            sl_log_warning("Timing out session of '%s', idle for more than %lld s",
                           s->client_user ? s->client_user : "",
                           (long long)s->service->settings.wait_timeout / 1000);
            sl_session_close(s, "wait_timeout");
        } else if (is_client_stuck(s, now_ms)) {
            sl_log_warning("Session of '%s' takes no data for more than %lld s (net_write_timeout)",
                           s->client_user ? s->client_user : "",
                           (long long)s->service->settings.net_write_timeout / 1000);
            sl_conn_close(&s->client, false);
            sl_session_close(s, "net_write_timeout");
        } else {
            check_backends(s, now_ms);
        }
    }
    if (s->step == SL_SESSION_READY) {
        keep_alive(s, now_ms);
        if (s->ops->on_sweep) {
            s->ops->on_sweep(s, now_ms);
        }
    }
    sl_log_session_set(0);
}
