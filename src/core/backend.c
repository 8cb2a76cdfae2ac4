/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backend connections: opening, the queue of expected replies, closing, losing.
 *
 * What a server's bytes mean is decided elsewhere: before READY in backend_auth.c, afterwards in
 * session_reply.c. Invariants: B1 session->backends[position] == b exactly while step != CLOSED.
 *             B2 queue_count > 0 exactly while reply.state != DONE (after the callbacks of a
 *                finished reply).
 *             B3 a counted backend is in its server's connection counter once.
 */
#include "core/backend.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/core.h"
#include "core/recorder.h"
#include "core/kill.h"
#include "core/session.h"
#include "core/target.h"
#include "net/proxy_header.h"
#include "proto/constants.h"

static void on_connected(struct sl_conn *c);
static void on_secured(struct sl_conn *c);
static size_t on_data(struct sl_conn *c, const uint8_t *data, size_t len);
static void on_writable(struct sl_conn *c);
static void on_end(struct sl_conn *c, enum sl_conn_end end);
static void on_released(struct sl_conn *c);

static const struct sl_conn_ops backend_conn_ops = {
    .name = "backend",
    .on_connected = on_connected,
    .on_secured = on_secured,
    .on_data = on_data,
    .on_writable = on_writable,
    .on_end = on_end,
    .on_released = on_released,
};

static struct sl_backend *backend_of(struct sl_conn *c)
{
    return SL_CONTAINER_OF(c, struct sl_backend, conn);
}

struct sl_server_counters *sl_backend_counters(struct sl_backend *b)
{
    return &b->server->counters[b->session->worker->index];
}

const char *sl_backend_step_text(enum sl_backend_step step)
{
    static const char *const text[] = {"connecting",     "waiting for greeting", "securing",
                                       "authenticating", "initialising",         "ready",
                                       "closed"};
    return (size_t)step < SL_ARRAY_LEN(text) ? text[step] : "?";
}

static void set_step(struct sl_backend *b, enum sl_backend_step step)
{
    b->step = (uint8_t)step;
    b->step_since_ms = sl_loop_now_ms(b->session->worker->loop);
}

static void count_connection(struct sl_backend *b)
{
    struct sl_server_counters *c = sl_backend_counters(b);
    b->is_counted = true;
    sl_count32(&c->connections, 1);
    sl_count(&c->total_connections, 1);
    uint32_t now = sl_server_connections(b->server);
    uint32_t peak = atomic_load_explicit(&b->server->max_connections_seen, memory_order_relaxed);
    while (now > peak &&
           !atomic_compare_exchange_weak(&b->server->max_connections_seen, &peak, now)) {
    }
}

static void end_measuring(struct sl_backend *b)
{
    if (b->is_measuring) {
        b->is_measuring = false;
        sl_count32(&sl_backend_counters(b)->operations, -1);
    }
}

static void uncount(struct sl_backend *b)
{
    end_measuring(b);
    if (b->is_counted) {
        b->is_counted = false;
        sl_count32(&sl_backend_counters(b)->connections, -1);
    }
}

static int connect_server(struct sl_backend *b)
{
    struct sockaddr_storage addr;
    socklen_t addr_len;
    sl_server_address(b->server, &addr, &addr_len);
    struct sl_core *core = b->session->worker->core;
    const struct sockaddr *local =
        core->local_address.ss_family == addr.ss_family ? (void *)&core->local_address : NULL;
    return sl_conn_connect(&b->conn, (void *)&addr, addr_len, local,
                           local ? core->local_address_len : 0);
}

int sl_backend_open(struct sl_session *s, unsigned position)
{
    struct sl_server *server = s->service->servers[position];
    sl_assert(position < s->backend_count && s->backends[position] == NULL);
    int64_t limit = server->settings.max_routing_connections;
    if (limit > 0 && sl_server_connections(server) >= (uint64_t)limit) {
        return SL_ELIMIT;
    }
    struct sl_backend *b = sl_calloc(1, sizeof *b);
    if (!b) {
        return SL_ENOMEM;
    }
    b->session = s;
    b->server = server;
    b->position = position;
    b->queue = b->inline_queue;
    b->queue_capacity = SL_BACKEND_QUEUE_INLINE;
    b->last_used_ms = sl_loop_now_ms(s->worker->loop);
    sl_conn_init(&b->conn, s->worker->loop, &backend_conn_ops);
    int rc = server->service ? sl_target_connect(b) : connect_server(b);
    if (rc < 0) {
        sl_free(b);
        return rc;
    }
    set_step(b, server->service ? SL_BACKEND_GREETING : SL_BACKEND_CONNECTING);
    s->backends[position] = b;
    s->live_conns++;
    count_connection(b);
    return SL_OK;
}

/* Takes it out of the session; the memory lives until on_released. */
static void detach(struct sl_backend *b)
{
    sl_assert(b->session->backends[b->position] == b);
    b->session->backends[b->position] = NULL;
    struct sl_session *s = b->session;
    if (s->stream_to == b) {
        s->stream_to = NULL;
        if (s->step == SL_SESSION_READY && sl_conn_is_paused(&s->client)) {
            sl_conn_resume(&s->client); /* the rest of what it was sending us is dropped */
        }
    }
    if (s->recorder) {
        sl_recorder_lost(b);
    }
    if (b->inner) { /* it ends when it sees the end of the socket */
        b->inner->outer = NULL;
        b->inner = NULL;
    }
    uncount(b);
    set_step(b, SL_BACKEND_CLOSED);
}

void sl_backend_close(struct sl_backend *b)
{
    if (b->step == SL_BACKEND_CLOSED) {
        return;
    }
    bool is_clean = b->step == SL_BACKEND_READY && b->queue_count == 0;
    bool is_running =
        b->queue_count > 0 && (b->is_measuring || sl_backend_purpose(b) == SL_PURPOSE_REPLAY);
    if (b->step == SL_BACKEND_READY && is_running) {
        sl_kill_abandoned(b);
    }
    if (is_clean) {
        static const uint8_t quit[] = {1, 0, 0, 0, SL_COM_QUIT};
        sl_conn_write(&b->conn, quit, sizeof quit);
    }
    detach(b);
    sl_conn_close(&b->conn, is_clean);
}

void sl_backend_lost(struct sl_backend *b, const char *why)
{
    if (b->step == SL_BACKEND_CLOSED) {
        return;
    }
    struct sl_session *s = b->session;
    sl_log_info("Connection to server '%s' lost while %s: %s", b->server->name,
                sl_backend_step_text(b->step), why);
    if (why != b->why) {
        snprintf(b->why, sizeof b->why, "%s", why);
    }
    detach(b);
    sl_conn_close(&b->conn, false);
    if (s->step == SL_SESSION_READY || s->step == SL_SESSION_GHOST ||
        s->step == SL_SESSION_CHANGE_USER) {
        s->ops->on_backend_lost(s, b, b->why);
    }
}

/* Room for one more expectation; the queue is a ring. */
static int grow_queue(struct sl_backend *b)
{
    unsigned capacity = b->queue_capacity * 2u;
    if (capacity > 32768) {
        return SL_ELIMIT;
    }
    struct sl_expected *q = sl_malloc(capacity * sizeof *q);
    if (!q) {
        return SL_ENOMEM;
    }
    for (unsigned i = 0; i < b->queue_count; i++) {
        q[i] = b->queue[(b->queue_head + i) % b->queue_capacity];
    }
    if (b->queue != b->inline_queue) {
        sl_free(b->queue);
    }
    b->queue = q;
    b->queue_head = 0;
    b->queue_capacity = (uint16_t)capacity;
    return SL_OK;
}

void sl_backend_start_reply(struct sl_backend *b)
{
    const struct sl_expected *e = &b->queue[b->queue_head];
    sl_reply_start(&b->reply, e->command);
    b->reply.any_seq = e->any_seq;
}

static void expect(struct sl_backend *b, const uint8_t *packet, enum sl_purpose purpose,
                   uint32_t tag)
{
    unsigned at = (b->queue_head + b->queue_count) % b->queue_capacity;
    b->queue[at] = (struct sl_expected){.command = packet[4],
                                        .purpose = (uint8_t)purpose,
                                        .any_seq = sl_get_le24(packet) == 0xFFFFFF,
                                        .tag = tag};
    if (b->queue_count++ == 0) {
        sl_backend_start_reply(b);
    }
}

/* The client's own command is under way on this backend. */
static void begin_client_command(struct sl_backend *b, bool has_reply)
{
    struct sl_session *s = b->session;
    if (s->is_streaming) {
        s->stream_to = b;
    }
    if (!has_reply) {
        return;
    }
    s->busy = true;
    b->sent_us = sl_loop_now_us(s->worker->loop);
    if (!b->is_measuring) {
        b->is_measuring = true;
        sl_count32(&sl_backend_counters(b)->operations, 1);
    }
    b->is_read = false;
}

int sl_backend_send(struct sl_backend *b, const void *packet, size_t len, enum sl_purpose purpose,
                    uint32_t tag)
{
    sl_assert(len > 4 && (b->step == SL_BACKEND_READY || b->step == SL_BACKEND_INIT));
    uint8_t command = ((const uint8_t *)packet)[4];
    bool has_reply = sl_command_has_reply(command);
    if (has_reply && b->queue_count == b->queue_capacity) {
        int rc = grow_queue(b);
        if (rc < 0) {
            return rc;
        }
    }
    int rc = sl_conn_write(&b->conn, packet, len);
    if (rc < 0) {
        return rc;
    }
    b->last_used_ms = sl_loop_now_ms(b->session->worker->loop);
    sl_count(&sl_backend_counters(b)->routed_packets, 1);
    if (has_reply) {
        expect(b, packet, purpose, tag);
    }
    if (purpose == SL_PURPOSE_CLIENT) {
        begin_client_command(b, has_reply);
    }
    if (b->session->recorder) {
        sl_recorder_sent(b, purpose, has_reply);
    }
    return SL_OK;
}

bool sl_backend_take_over(struct sl_backend *b, uint8_t command, uint32_t tag)
{
    for (unsigned i = b->queue_count; i-- > 0;) { /* the newest is the one in progress */
        struct sl_expected *e = &b->queue[(b->queue_head + i) % b->queue_capacity];
        if (e->purpose != SL_PURPOSE_IGNORE || e->command != command || e->tag != tag) {
            continue;
        }
        if (i == 0 && b->reply.started) {
            return false;
        }
        e->purpose = SL_PURPOSE_CLIENT;
        begin_client_command(b, true);
        return true;
    }
    return false;
}

bool sl_backend_disown(struct sl_backend *b)
{
    for (unsigned i = 0; i < b->queue_count; i++) {
        struct sl_expected *e = &b->queue[(b->queue_head + i) % b->queue_capacity];
        if (e->purpose != SL_PURPOSE_CLIENT) {
            continue;
        }
        /* A reply that is done is an earlier one, whose end is being looked at now. */
        if (i == 0 && b->reply.started && !sl_reply_is_done(&b->reply)) {
            return false;
        }
        e->purpose = SL_PURPOSE_INTERNAL;
        end_measuring(b);
        return true;
    }
    return false;
}

int sl_backend_send_more(struct sl_backend *b, const void *data, size_t len)
{
    b->last_used_ms = sl_loop_now_ms(b->session->worker->loop);
    return sl_conn_write(&b->conn, data, len);
}

enum sl_purpose sl_backend_purpose(const struct sl_backend *b)
{
    sl_assert(b->queue_count > 0);
    return (enum sl_purpose)b->queue[b->queue_head].purpose;
}

/* The server let us in: run connection_init_sql, then the backend is the router's. */
void sl_backend_authenticated(struct sl_backend *b)
{
    struct sl_session *s = b->session;
    char **sql = s->listener ? s->listener->init_sql : NULL;
    set_step(b, sql && sql[0] ? SL_BACKEND_INIT : SL_BACKEND_READY);
    for (unsigned i = 0; sql && sql[i]; i++) {
        size_t len = strlen(sql[i]);
        uint8_t head[5] = {0};
        sl_put_le24(head, (uint32_t)len + 1);
        head[4] = SL_COM_QUERY;
        struct sl_buf packet = SL_BUF_INIT;
        int rc = sl_buf_append(&packet, head, sizeof head);
        rc = rc < 0 ? rc : sl_buf_append(&packet, sql[i], len);
        rc = rc < 0 ? rc
                    : sl_backend_send(b, sl_buf_slice(&packet).data, sl_buf_len(&packet),
                                      SL_PURPOSE_INIT, 0);
        sl_buf_free(&packet);
        if (rc < 0) {
            sl_backend_lost(b, "out of memory");
            return;
        }
    }
    if (b->step == SL_BACKEND_READY) {
        s->ops->on_backend_ready(s, b);
    }
}

static void on_connected(struct sl_conn *c)
{
    struct sl_backend *b = backend_of(c);
    set_step(b, SL_BACKEND_GREETING);
    if (b->server->settings.proxy_protocol) {
        struct sockaddr_storage own;
        socklen_t own_len = sizeof own;
        char header[128];
        bool ok = getsockname(c->fd, (struct sockaddr *)&own, &own_len) == 0;
        size_t n = sl_proxy_header_build_v1((struct sockaddr *)&b->session->peer,
                                            ok ? (struct sockaddr *)&own : NULL, header);
        sl_conn_write(c, header, n);
    }
}

static void on_secured(struct sl_conn *c)
{
    sl_backend_auth_secured(backend_of(c));
}

static size_t on_data(struct sl_conn *c, const uint8_t *data, size_t len)
{
    struct sl_backend *b = backend_of(c);
    sl_log_session_set(b->session->id);
    size_t used = 0;
    if (b->step == SL_BACKEND_GREETING || b->step == SL_BACKEND_AUTHENTICATING) {
        used = sl_backend_auth_data(b, data, len);
    } else if (b->step == SL_BACKEND_CLOSED) {
        used = len;
    } else {
        used = sl_session_backend_data(b, data, len);
    }
    sl_log_session_set(0);
    return used;
}

static void on_writable(struct sl_conn *c)
{
    struct sl_backend *b = backend_of(c);
    struct sl_session *s = b->session;
    if (s->stream_to == b && sl_conn_is_paused(&s->client)) {
        sl_conn_resume(&s->client);
    }
}

static void on_end(struct sl_conn *c, enum sl_conn_end end)
{
    struct sl_backend *b = backend_of(c);
    if (b->step == SL_BACKEND_CLOSED) {
        return;
    }
    sl_log_session_set(b->session->id);
    /* Whoever loses a connection without having asked for it wants the monitor to look now. */
    sl_core_server_suspect(b->session->worker->core, b->server);
    if (end == SL_CONN_END_EOF) {
        sl_backend_lost(b, b->why[0] ? b->why : "the server closed the connection");
    } else {
        sl_backend_lost(b, sl_conn_error_text(c));
    }
    sl_log_session_set(0);
}

static void on_released(struct sl_conn *c)
{
    struct sl_backend *b = backend_of(c);
    struct sl_session *s = b->session;
    sl_assert(b->step == SL_BACKEND_CLOSED);
    if (b->queue != b->inline_queue) {
        sl_free(b->queue);
    }
    sl_free(b->stmts);
    sl_free(b);
    sl_session_conn_released(s);
}
