/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router tcp: one client connection and its server connection.
 *
 *   accept -> (HEADER) -> CONNECTING -> OPEN: bytes both ways -> ENDED -> released
 *                          |  ^           |
 *                         RETRYING <------/ not a byte went yet
 *
 * The client is paused until a server is connected: what it sends early stays in the kernel, so
 * another server can be tried without losing a byte. Afterwards each side is paused while the
 * other's output is full. A FIN is passed on when everything before it has been; the relay ends
 * when both sides have sent theirs.
 *
 * Invariants: on the list `relays` exactly until ENDED, then on `leaving` until both connections
 * are released.
 *             The service and the server count it once each (is_counted), from choice to end.
 *             Nothing is allocated but the relay itself, from the worker's pool.
 * Runs on the worker's thread.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "net/listener.h"
#include "net/proxy_header.h"
#include "router/tcp/tcp.h"

/* A server that has sent its FIN is gone for good in this protocol; the client may still finish
 * what it is sending. */
#define AFTER_SERVER_FIN_MS 10000

static void end(struct sl_tcp_relay *r, char cause, char phase, bool flush);
static size_t take_header(struct sl_tcp_relay *r, const uint8_t *data, size_t len);
static void connect_next(struct sl_tcp_relay *r);

static inline struct sl_tcp_relay *of_client(struct sl_conn *c)
{
    return SL_CONTAINER_OF(c, struct sl_tcp_relay, client);
}

static inline struct sl_tcp_relay *of_server(struct sl_conn *c)
{
    return SL_CONTAINER_OF(c, struct sl_tcp_relay, server);
}

static inline struct sl_loop *loop_of(const struct sl_tcp_relay *r)
{
    return r->owner->worker->loop;
}

static struct sl_service *service_of(const struct sl_tcp_relay *r)
{
    return r->owner->instance->service;
}

static struct sl_server *server_of(const struct sl_tcp_relay *r)
{
    return r->position < 0 ? NULL : service_of(r)->servers[r->position];
}

/* ---- counting ---- */

static void raise_peak(_Atomic uint32_t *peak, uint32_t now)
{
    uint32_t old = atomic_load_explicit(peak, memory_order_relaxed);
    while (now > old && !atomic_compare_exchange_weak(peak, &old, now)) {
    }
}

static void count_client(struct sl_tcp_relay *r)
{
    struct sl_service *s = service_of(r);
    struct sl_service_counters *c = &s->counters[r->owner->worker->index];
    sl_count32(&c->connections, 1);
    sl_count(&c->total_connections, 1);
    raise_peak(&s->connection_peak, atomic_fetch_add(&s->connection_total, 1) + 1);
}

static void uncount_client(struct sl_tcp_relay *r)
{
    struct sl_service *s = service_of(r);
    struct sl_service_counters *c = &s->counters[r->owner->worker->index];
    sl_count32(&c->connections, -1);
    sl_count(&c->closed_sessions, 1);
    sl_count(&c->closed_lifetime_s, (sl_loop_now_ms(loop_of(r)) - r->accepted_ms) / 1000);
    atomic_fetch_sub(&s->connection_total, 1);
}

static void count_server(struct sl_tcp_relay *r)
{
    struct sl_server *s = server_of(r);
    struct sl_server_counters *c = &s->counters[r->owner->worker->index];
    sl_count32(&c->connections, 1);
    sl_count(&c->total_connections, 1);
    raise_peak(&s->max_connections_seen, sl_server_connections(s));
    r->is_counted = true;
}

static void uncount_server(struct sl_tcp_relay *r)
{
    if (r->is_counted) {
        r->is_counted = false;
        sl_count32(&server_of(r)->counters[r->owner->worker->index].connections, -1);
    }
}

/* ---- the log line ---- */

static uint32_t connections_of_process(const struct sl_core *core)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < core->service_count; i++) {
        sum += sl_service_connections(core->services[i]);
    }
    return sum;
}

static void log_end(const struct sl_tcp_relay *r, char cause, char phase)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct sl_service *service = service_of(r);
    struct sl_server *server = server_of(r);
    int64_t total_ms = (int64_t)(sl_loop_now_ms(loop_of(r)) - r->accepted_ms);
    struct sl_tcplog line = {
        .client = &r->peer,
        .listener = r->listener ? r->listener->name : "-",
        .service = service->name,
        .server = server ? server->name : NULL,
        .accepted_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - total_ms,
        .connect_ms = r->connect_ms,
        .total_ms = total_ms,
        .bytes = r->bytes_down,
        .cause = cause,
        .phase = phase,
        .all = connections_of_process(service->core),
        .listener_now = sl_service_connections(service),
        .service_now = sl_service_connections(service),
        .server_now = server ? sl_server_connections(server) : 0,
        .retries = r->retries,
        .was_redispatched = r->retries > 0,
    };
    char text[SL_TCPLOG_MAX];
    sl_tcplog_render(&line, text, sizeof text);
    sl_log_notice("%s", text);
}

/* ---- the end ---- */

static void released(struct sl_tcp_relay *r)
{
    sl_assert(r->live > 0);
    r->live--;
    if (r->live == 0 && r->step == SL_TCP_ENDED) {
        sl_list_remove(&r->node);
        sl_pool_put(&r->owner->pool, r);
    }
}

/* cause and phase: HAProxy's termination state (manual, section 8.5). flush: what is under way
 * is still sent. */
static void end(struct sl_tcp_relay *r, char cause, char phase, bool flush)
{
    if (r->step == SL_TCP_ENDED) {
        return;
    }
    if (r->owner->instance->settings->tcplog) {
        log_end(r, cause, phase);
    }
    r->step = SL_TCP_ENDED;
    sl_timer_stop(&r->timer);
    sl_task_cancel(&r->tail);
    uncount_server(r);
    uncount_client(r);
    sl_list_remove(&r->node);
    sl_list_append(&r->owner->leaving, &r->node);
    sl_conn_close(&r->client, flush);
    sl_conn_close(&r->server, flush);
}

/* ---- relaying ---- */

static void server_connected(struct sl_conn *c)
{
    struct sl_tcp_relay *r = of_server(c);
    uint64_t now = sl_loop_now_ms(loop_of(r));
    r->step = SL_TCP_OPEN;
    r->connect_ms = (int64_t)(now - r->accepted_ms);
    r->active_ms = now;
    sl_timer_stop(&r->timer);
    if (r->owner->instance->idle_ms > 0) {
        sl_timer_start(loop_of(r), &r->timer, r->owner->instance->idle_ms);
    }
    sl_conn_resume(&r->client);
}

static size_t server_data(struct sl_conn *c, const uint8_t *data, size_t len)
{
    struct sl_tcp_relay *r = of_server(c);
    r->bytes_down += len;
    r->active_ms = sl_loop_now_ms(c->loop);
    sl_count(&r->owner->bytes_to_clients, len);
    sl_conn_write(&r->client, data, len);
    if (sl_conn_is_full(&r->client)) {
        sl_conn_pause(c);
    }
    if (sl_conn_errno(&r->client) != 0) {
        end(r, 'C', 'D', false); /* its FIN was seen before, now it does not even read */
    }
    return len;
}

static size_t client_data(struct sl_conn *c, const uint8_t *data, size_t len)
{
    struct sl_tcp_relay *r = of_client(c);
    if (r->step == SL_TCP_HEADER) {
        return take_header(r, data, len);
    }
    r->bytes_up += len;
    r->active_ms = sl_loop_now_ms(c->loop);
    sl_count(&r->owner->bytes_to_servers, len);
    sl_count(&service_of(r)->counters[r->owner->worker->index].routed_packets, 1);
    sl_count(&server_of(r)->counters[r->owner->worker->index].routed_packets, 1);
    sl_conn_write(&r->server, data, len);
    if (sl_conn_is_full(&r->server)) {
        sl_conn_pause(c);
    }
    return len;
}

/* ---- half close ---- */

static void finish_if_done(struct sl_tcp_relay *r)
{
    if (r->client_done && r->server_done) {
        end(r, '-', '-', true);
    }
}

static void pass_client_fin(struct sl_tcp_relay *r)
{
    r->client_done = true;
    sl_conn_shutdown_write(&r->server);
    finish_if_done(r);
}

static void pass_server_fin(struct sl_tcp_relay *r)
{
    r->server_done = true;
    r->active_ms = sl_loop_now_ms(loop_of(r));
    sl_conn_shutdown_write(&r->client);
    sl_timer_start(loop_of(r), &r->timer, AFTER_SERVER_FIN_MS);
    finish_if_done(r);
}

/* Everything this side sent has been relayed: the socket holds nothing but its FIN. */
static bool is_read_out(const struct sl_conn *c)
{
    uint8_t byte;
    return !sl_conn_is_paused(c) && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0 &&
           errno != EAGAIN;
}

/* A paused connection announces its FIN before its last bytes were read. Nobody announces it
 * again, so that is looked for at the end of each turn in which the connection may read. */
static void look_for_tail(struct sl_task *t, struct sl_loop *loop)
{
    struct sl_tcp_relay *r = SL_CONTAINER_OF(t, struct sl_tcp_relay, tail);
    bool client_waits = r->client_fin && !r->client_done;
    bool server_waits = r->server_fin && !r->server_done;
    errno = 0;
    if (client_waits && is_read_out(&r->client)) {
        pass_client_fin(r);
        client_waits = false;
    }
    errno = 0;
    if (r->step == SL_TCP_OPEN && server_waits && is_read_out(&r->server)) {
        pass_server_fin(r);
        server_waits = false;
    }
    /* Bounded: a connection that may read gets nearer to its FIN in every turn. A paused one
     * asks again when resumed. */
    if (r->step == SL_TCP_OPEN && ((client_waits && !sl_conn_is_paused(&r->client)) ||
                                   (server_waits && !sl_conn_is_paused(&r->server)))) {
        sl_loop_defer(loop, t);
    }
}

static void resume(struct sl_tcp_relay *r, struct sl_conn *reader, bool has_fin)
{
    sl_conn_resume(reader);
    if (has_fin) {
        sl_loop_defer(loop_of(r), &r->tail);
    }
}

static void client_writable(struct sl_conn *c)
{
    struct sl_tcp_relay *r = of_client(c);
    if (r->step == SL_TCP_OPEN) {
        resume(r, &r->server, r->server_fin);
    }
}

static void server_writable(struct sl_conn *c)
{
    struct sl_tcp_relay *r = of_server(c);
    if (r->step == SL_TCP_OPEN) {
        resume(r, &r->client, r->client_fin);
    }
}

static void client_end(struct sl_conn *c, enum sl_conn_end how)
{
    struct sl_tcp_relay *r = of_client(c);
    if (r->step != SL_TCP_OPEN) {
        /* The server talks first, so a client that leaves before wants nothing any more. */
        end(r, 'C', r->step == SL_TCP_HEADER ? 'R' : 'C', false);
    } else if (how != SL_CONN_END_EOF) {
        end(r, how == SL_CONN_END_LIMIT ? 'R' : 'C', 'D', true);
    } else {
        r->client_fin = true;
        if (!sl_conn_is_paused(c)) {
            pass_client_fin(r);
        }
    }
}

/* ---- choosing, connecting, failing ---- */

/* cause: what the log says when there is no other server. */
static void start_retry(struct sl_tcp_relay *r, char cause, const char *why)
{
    struct sl_server *server = server_of(r);
    sl_log_info("Server '%s': no connection: %s", server->name, why);
    uncount_server(r);
    sl_tcp_check_wake(&r->owner->instance->checks[r->position]);
    sl_core_server_suspect(service_of(r)->core, server);
    sl_timer_stop(&r->timer);
    sl_conn_pause(&r->client);
    r->step = SL_TCP_RETRYING;
    r->cause = cause;
    sl_conn_close(&r->server, false);
}

static void server_end(struct sl_conn *c, enum sl_conn_end how)
{
    struct sl_tcp_relay *r = of_server(c);
    bool is_untouched = r->bytes_up == 0 && r->bytes_down == 0 && !r->client_fin;
    if (r->step == SL_TCP_CONNECTING || (r->step == SL_TCP_OPEN && is_untouched)) {
        /* Refused, or accepted and dropped by a server that was just dying: nobody has noticed,
         * try another one. */
        start_retry(r, 'S', sl_conn_error_text(c));
    } else if (how != SL_CONN_END_EOF) {
        sl_core_server_suspect(service_of(r)->core, server_of(r));
        end(r, how == SL_CONN_END_LIMIT ? 'R' : 'S', 'D', true);
    } else {
        r->server_fin = true;
        if (!sl_conn_is_paused(c)) {
            pass_server_fin(r);
        }
    }
}

static void client_released(struct sl_conn *c)
{
    released(of_client(c));
}

static void server_released(struct sl_conn *c)
{
    struct sl_tcp_relay *r = of_server(c);
    bool must_retry = r->step == SL_TCP_RETRYING;
    released(r); /* may free it, but not then */
    if (must_retry) {
        connect_next(r);
    }
}

static const struct sl_conn_ops client_ops = {
    .name = "client",
    .on_data = client_data,
    .on_writable = client_writable,
    .on_end = client_end,
    .on_released = client_released,
};

static const struct sl_conn_ops server_ops = {
    .name = "server",
    .on_connected = server_connected,
    .on_data = server_data,
    .on_writable = server_writable,
    .on_end = server_end,
    .on_released = server_released,
};

static void send_proxy_header(struct sl_tcp_relay *r)
{
    int64_t version = r->owner->instance->settings->send_proxy;
    if (version == SL_TCP_PROXY_OFF && server_of(r)->settings.proxy_protocol) {
        version = SL_TCP_PROXY_V1;
    }
    if (version == SL_TCP_PROXY_OFF) {
        return;
    }
    uint8_t header[108];
    size_t len = version == SL_TCP_PROXY_V2
                     ? sl_proxy_header_build_v2(&r->peer.any, &r->local.any, header)
                     : sl_proxy_header_build_v1(&r->peer.any, &r->local.any, (char *)header);
    sl_conn_write(&r->server, header, len);
}

static int start_connect(struct sl_tcp_relay *r)
{
    struct sockaddr_storage addr;
    socklen_t addr_len;
    struct sl_core *core = service_of(r)->core;
    sl_server_address(server_of(r), &addr, &addr_len);
    bool has_local = core->local_address.ss_family != AF_UNSPEC &&
                     core->local_address.ss_family == addr.ss_family;
    sl_conn_init(&r->server, loop_of(r), &server_ops);
    return sl_conn_connect(&r->server, (struct sockaddr *)&addr, addr_len,
                           has_local ? (struct sockaddr *)&core->local_address : NULL,
                           has_local ? core->local_address_len : 0);
}

static void connect_next(struct sl_tcp_relay *r)
{
    for (;;) {
        int position = sl_tcp_choose(r->owner->instance, r->tried);
        if (position == SL_TCP_NO_SERVER) {
            sl_count(&r->owner->refused, 1);
            end(r, r->cause, 'C', false);
            return;
        }
        if (r->tried != 0) {
            r->retries++;
            sl_count(&r->owner->retries, 1);
        }
        r->tried |= UINT64_C(1) << position;
        r->position = (int16_t)position;
        if (start_connect(r) == SL_OK) {
            break;
        }
        sl_core_server_suspect(service_of(r)->core, server_of(r));
    }
    r->live++;
    r->step = SL_TCP_CONNECTING;
    count_server(r);
    sl_timer_start(loop_of(r), &r->timer, (uint64_t)r->owner->instance->settings->connect_timeout);
    send_proxy_header(r);
}

/* From now on the client waits for a server. */
static void begin(struct sl_tcp_relay *r)
{
    sl_timer_stop(&r->timer);
    sl_conn_pause(&r->client);
    connect_next(r);
}

/* ---- time ---- */

static void check_idle(struct sl_tcp_relay *r)
{
    uint64_t limit = r->owner->instance->idle_ms;
    if (r->server_done && (limit == 0 || limit > AFTER_SERVER_FIN_MS)) {
        limit = AFTER_SERVER_FIN_MS;
    }
    uint64_t idle = sl_loop_now_ms(loop_of(r)) - r->active_ms;
    if (idle < limit) {
        sl_timer_start(loop_of(r), &r->timer, limit - idle);
    } else if (r->server_done) {
        end(r, '-', '-', true);
    } else {
        end(r, 'c', 'D', true);
    }
}

static void on_timer(struct sl_timer *t, struct sl_loop *loop)
{
    struct sl_tcp_relay *r = SL_CONTAINER_OF(t, struct sl_tcp_relay, timer);
    if (r->step == SL_TCP_CONNECTING) {
        start_retry(r, 's', "timed out");
    } else if (r->step == SL_TCP_OPEN) {
        check_idle(r);
    } else if (r->step == SL_TCP_HEADER) {
        begin(r); /* a header is allowed from this network, not demanded */
    }
}

/* ---- the beginning ---- */

static void keep_address(union sl_tcp_address *to, const struct sockaddr_storage *from)
{
    memset(to, 0, sizeof *to);
    if (from->ss_family == AF_INET || from->ss_family == AF_INET6) {
        memcpy(to, from, from->ss_family == AF_INET ? sizeof to->v4 : sizeof to->v6);
    } else {
        to->any.sa_family = AF_UNIX;
    }
}

/* The client is another proxy and tells whom it speaks for. */
static size_t take_header(struct sl_tcp_relay *r, const uint8_t *data, size_t len)
{
    struct sl_proxy_header h;
    long n = sl_proxy_header_parse(data, len, &h);
    if (n == SL_EAGAIN) {
        return 0;
    }
    if (n < 0) {
        sl_log_warning("Service '%s': malformed PROXY header", service_of(r)->name);
        end(r, 'P', 'R', false);
        return len;
    }
    if (n > 0 && h.has_address) {
        keep_address(&r->peer, &h.source);
        keep_address(&r->local, &h.destination);
    }
    begin(r);
    return (size_t)n;
}

static bool is_over_limit(const struct sl_service *s)
{
    int64_t limit = s->settings.max_connections;
    return limit > 0 && sl_service_connections(s) >= (uint64_t)limit;
}

void sl_tcp_relay_accept(struct sl_tcp_worker *tw, struct sl_listener *listener, int fd,
                         const struct sockaddr_storage *peer, const struct sockaddr_storage *local)
{
    struct sl_tcp_relay *r = NULL;
    if (!is_over_limit(tw->instance->service)) {
        r = sl_pool_get(&tw->pool);
    }
    if (r == NULL) {
        sl_count(&tw->refused, 1);
        close(fd);
        return;
    }
    r->owner = tw;
    r->listener = listener;
    r->position = SL_TCP_NO_SERVER;
    r->connect_ms = -1;
    r->cause = 'S';
    keep_address(&r->peer, peer);
    keep_address(&r->local, local);
    sl_list_init(&r->node);
    sl_list_init(&r->tail.node);
    r->tail.run = look_for_tail;
    sl_timer_init(&r->timer, on_timer);
    sl_conn_init(&r->client, tw->worker->loop, &client_ops);
    sl_conn_init(&r->server, tw->worker->loop, &server_ops);
    r->accepted_ms = sl_loop_now_ms(tw->worker->loop);
    if (sl_conn_accept(&r->client, fd) < 0) {
        sl_pool_put(&tw->pool, r);
        return;
    }
    r->live = 1;
    sl_list_append(&tw->relays, &r->node);
    count_client(r);
    if (listener && listener->proxy_networks &&
        sl_proxy_networks_match(listener->proxy_networks, peer)) {
        r->step = SL_TCP_HEADER;
        sl_timer_start(tw->worker->loop, &r->timer,
                       (uint64_t)tw->instance->settings->connect_timeout);
    } else {
        begin(r);
    }
}

/* ---- all of a worker ---- */

static void cut(struct sl_tcp_relay *r, char cause, const char *why)
{
    if (r->step == SL_TCP_CONNECTING) {
        start_retry(r, 'S', why);
    } else if (r->step == SL_TCP_OPEN) {
        sl_count(&r->owner->cut, 1);
        end(r, cause, 'D', false);
    }
}

void sl_tcp_relays_cut(struct sl_tcp_worker *tw)
{
    SL_LIST_FOR_EACH (node, &tw->relays) {
        struct sl_tcp_relay *r = SL_CONTAINER_OF(node, struct sl_tcp_relay, node);
        if (r->position >= 0 && sl_tcp_is_down(tw->instance, (unsigned)r->position)) {
            cut(r, 'D', "the server is down");
        }
    }
}

void sl_tcp_relays_hang_up(struct sl_tcp_worker *tw, const struct sl_server *server)
{
    SL_LIST_FOR_EACH (node, &tw->relays) {
        struct sl_tcp_relay *r = SL_CONTAINER_OF(node, struct sl_tcp_relay, node);
        if (server_of(r) == server) {
            cut(r, 'K', "the server was put into maintenance");
        }
    }
}

void sl_tcp_relays_end(struct sl_tcp_worker *tw)
{
    SL_LIST_FOR_EACH (node, &tw->relays) {
        end(SL_CONTAINER_OF(node, struct sl_tcp_relay, node), 'K', 'D', false);
    }
    SL_LIST_FOR_EACH (node, &tw->leaving) {
        struct sl_tcp_relay *r = SL_CONTAINER_OF(node, struct sl_tcp_relay, node);
        sl_conn_close(&r->client, false); /* no lingering */
        sl_conn_close(&r->server, false);
    }
    for (int turns = 0; turns < 10 && !sl_list_is_empty(&tw->leaving); turns++) {
        sl_loop_turn(tw->worker->loop, 0);
    }
}
