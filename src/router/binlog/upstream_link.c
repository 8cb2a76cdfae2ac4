/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to the primary, from connect to loss. Upstream thread.
 *
 *   connect -> [PROXY header] -> login (upstream_login.c) -> questions (upstream_ask.c)
 *           -> dump (upstream_flow.c)
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/proxy_header.h"
#include "net/tls.h"
#include "router/binlog/upstream_internal.h"

#define LOGIN_PACKET_MAX 65536 /* greetings and answers are far smaller */

static struct sl_upstream *upstream_of(struct sl_conn *c)
{
    return SL_CONTAINER_OF(c, struct sl_upstream, conn);
}

const char *sl_upstream_peer(const struct sl_upstream *u)
{
    return u->server != NULL ? u->server->name : u->info.target.host;
}

void sl_upstream_fail_memory(struct sl_upstream *u)
{
    struct sl_fault fault;
    sl_fault_set(&fault, SL_FAULT_SYSTEM, SL_ER_RELAY_MEMORY, "Out of memory");
    sl_upstream_fail(u, &fault);
}

/* ---- ending ---- */

static void drop_connection(struct sl_upstream *u)
{
    if (u->step == SL_UPSTREAM_STREAMING) {
        sl_upstream_flow_end(u);
    }
    sl_resolve_cancel(u->resolve);
    u->resolve = NULL;
    sl_timer_stop(&u->wait);
    sl_conn_close(&u->conn, false);
}

void sl_upstream_hang_up(struct sl_upstream *u)
{
    drop_connection(u);
    u->attempts = 0;
    sl_upstream_set_step(u, SL_UPSTREAM_STOPPED);
}

void sl_upstream_leave(struct sl_upstream *u, const struct sl_fault *fault, uint64_t delay_ms)
{
    drop_connection(u);
    if (fault != NULL) {
        sl_upstream_note(u, fault);
    }
    sl_upstream_set_step(u, SL_UPSTREAM_WAITING);
    sl_timer_start(u->loop, &u->wait, delay_ms > 0 ? delay_ms : 1);
}

void sl_upstream_fail(struct sl_upstream *u, const struct sl_fault *fault)
{
    u->attempts = u->fault.kind == fault->kind ? u->attempts + 1 : 1;
    bool is_lost = fault->kind == SL_FAULT_LOST || fault->kind == SL_FAULT_PROTO;
    if (u->server != NULL && is_lost && u->relay->service->core != NULL) {
        sl_core_server_suspect(u->relay->service->core, u->server);
    }
    if (fault->kind == SL_FAULT_PURGED && u->server != NULL && u->info.selects_master) {
        struct sl_fault named = *fault;
        sl_upstream_pass_over(u);
        sl_upstream_name_strangers(u, &named);
        sl_upstream_leave(u, &named, 0);
        return;
    }
    sl_upstream_leave(u, fault, sl_fault_delay_ms(fault->kind, u->attempts));
}

/* ---- login and questions ---- */

bool sl_upstream_send(struct sl_upstream *u, struct sl_buf *out)
{
    struct sl_slice bytes = sl_buf_slice(out);
    int rc = sl_conn_write(&u->conn, bytes.data, bytes.len);
    sl_buf_free(out);
    if (rc < 0) {
        sl_upstream_fail_memory(u);
    }
    return rc == SL_OK;
}

static void ask_next(struct sl_upstream *u)
{
    struct sl_buf out = SL_BUF_INIT;
    bool is_dump;
    if (sl_upstream_ask_next(&u->ask, &out, &is_dump) < 0) {
        sl_buf_free(&out);
        sl_upstream_fail_memory(u);
        return;
    }
    if (!sl_upstream_send(u, &out) || !is_dump) {
        return;
    }
    sl_upstream_flow_begin(u);
}

static uint32_t heartbeat_ms(const struct sl_upstream *u)
{
    uint64_t timeout = u->tuning.net_timeout_ms;
    uint64_t wanted = u->info.target.heartbeat_period_ms;
    /* A period that is not shorter than the timeout would end each idle connection. */
    return (uint32_t)(wanted > 0 && wanted <= timeout / 2 ? wanted : timeout / 3);
}

static int make_position(struct sl_upstream *u)
{
    struct sl_gtid_list position = SL_GTID_LIST_INIT;
    sl_buf_clear(&u->position);
    u->ingest.ddl_only = u->tuning.ddl_only;
    int rc = sl_ingest_start(&u->ingest, u->tuning.ddl_only);
    rc = rc < 0 ? rc : sl_gtid_state_position(&u->ingest.state, &position);
    rc = rc < 0 ? rc : sl_gtid_list_text(&position, &u->position);
    rc = rc < 0 ? rc : sl_buf_append(&u->position, "", 1);
    sl_gtid_list_free(&position);
    return rc;
}

static void start_asking(struct sl_upstream *u)
{
    if (make_position(u) < 0) {
        sl_upstream_fail_memory(u);
        return;
    }
    u->heartbeat_ms = heartbeat_ms(u);
    u->ask = (struct sl_upstream_asking){
        .position = (const char *)sl_buf_slice(&u->position).data,
        .heartbeat_ns = (uint64_t)u->heartbeat_ms * 1000000,
        .server_id = (uint32_t)u->settings->server_id,
        .report_host = u->report_host,
        .report_port = u->report_port,
        /* Events that are left out are nowhere durable: they cannot be acknowledged. */
        .wants_semi_sync = u->tuning.acknowledges && !u->tuning.ddl_only,
    };
    u->connects++;
    sl_upstream_set_step(u, SL_UPSTREAM_ASKING);
    ask_next(u);
}

static void login_packet(struct sl_upstream *u, const uint8_t *payload, size_t len, uint8_t seq)
{
    struct sl_buf out = SL_BUF_INIT;
    struct sl_fault fault;
    enum sl_upstream_login_next next;
    if (sl_upstream_login_packet(&u->login, payload, len, seq, &out, &next, &fault) < 0) {
        sl_buf_free(&out);
        sl_upstream_fail(u, &fault);
        return;
    }
    if (!sl_upstream_send(u, &out)) {
        return;
    }
    if (next == SL_LOGIN_DONE) {
        start_asking(u);
    } else if (next == SL_LOGIN_START_TLS &&
               sl_conn_tls_connect(&u->conn, u->tls, u->info.target.host) < 0) {
        sl_upstream_fail_memory(u);
    }
}

static void answer_packet(struct sl_upstream *u, const uint8_t *payload, size_t len)
{
    struct sl_fault fault;
    int rc = sl_upstream_ask_packet(&u->ask, payload, len, &fault);
    if (rc == SL_OK) {
        ask_next(u);
    } else if (rc != SL_EAGAIN) {
        sl_upstream_fail(u, &fault);
    }
}

static bool is_talking(const struct sl_upstream *u)
{
    return u->step == SL_UPSTREAM_LOGIN || u->step == SL_UPSTREAM_ASKING;
}

/* Whole packets of the dialogue before the stream. Returns what was used. */
static size_t take_packets(struct sl_upstream *u, const uint8_t *data, size_t len)
{
    size_t used = 0;
    while (is_talking(u) && len - used >= SL_PACKET_HEADER) {
        const uint8_t *packet = data + used;
        uint32_t payload_len = sl_packet_len(packet);
        if (payload_len > LOGIN_PACKET_MAX) {
            struct sl_fault fault;
            sl_fault_set(&fault, SL_FAULT_PROTO, SL_ER_RELAY_CONNECT,
                         "'%s' does not speak the MariaDB protocol: a packet of %" PRIu32 " bytes",
                         sl_upstream_peer(u), payload_len);
            sl_upstream_fail(u, &fault);
            return len;
        }
        if (len - used < SL_PACKET_HEADER + payload_len) {
            sl_conn_want(&u->conn, SL_PACKET_HEADER + payload_len);
            break;
        }
        used += SL_PACKET_HEADER + payload_len;
        if (u->step == SL_UPSTREAM_LOGIN) {
            login_packet(u, packet + SL_PACKET_HEADER, payload_len, sl_packet_seq(packet));
        } else {
            answer_packet(u, packet + SL_PACKET_HEADER, payload_len);
        }
        if (sl_timer_is_running(&u->wait)) {
            return len; /* it failed */
        }
        if (u->login.wants_tls && u->login.has_greeting && !sl_conn_is_secure(&u->conn)) {
            break; /* what follows is TLS */
        }
    }
    return used;
}

/* ---- connection callbacks ---- */

static void on_connected(struct sl_conn *c)
{
    static const char proxy_unknown[] = "PROXY UNKNOWN\r\n"; /* nobody stands behind us */
    struct sl_upstream *u = upstream_of(c);
    sl_upstream_set_step(u, SL_UPSTREAM_LOGIN);
    if (u->server != NULL && u->server->settings.proxy_protocol) {
        sl_conn_write(c, proxy_unknown, sizeof(proxy_unknown) - 1);
    }
}

static void on_secured(struct sl_conn *c)
{
    struct sl_upstream *u = upstream_of(c);
    struct sl_buf out = SL_BUF_INIT;
    struct sl_fault fault;
    if (sl_upstream_login_secured(&u->login, &out, &fault) < 0) {
        sl_buf_free(&out);
        sl_upstream_fail(u, &fault);
        return;
    }
    sl_upstream_send(u, &out);
}

static size_t on_data(struct sl_conn *c, const uint8_t *data, size_t len)
{
    struct sl_upstream *u = upstream_of(c);
    size_t used = 0;
    if (is_talking(u)) {
        used = take_packets(u, data, len);
    }
    if (u->step == SL_UPSTREAM_STREAMING && used < len) {
        used += sl_upstream_flow_data(u, (uint8_t *)(uintptr_t)data + used, len - used);
    }
    return used;
}

static void on_end(struct sl_conn *c, enum sl_conn_end end)
{
    struct sl_upstream *u = upstream_of(c);
    struct sl_fault fault;
    if (end == SL_CONN_END_TLS) {
        sl_fault_set(&fault, SL_FAULT_TLS, SL_ER_RELAY_TLS, "TLS with '%s' (%s:%u) fails: %s",
                     sl_upstream_peer(u), u->info.target.host, u->info.target.port,
                     sl_conn_error_text(c));
    } else if (end == SL_CONN_END_LIMIT) {
        sl_fault_set(&fault, SL_FAULT_SYSTEM, SL_ER_RELAY_MEMORY, "Out of memory");
    } else {
        bool was_connected = u->step != SL_UPSTREAM_CONNECTING;
        sl_fault_set(&fault, SL_FAULT_LOST, was_connected ? SL_ER_RELAY_LOST : SL_ER_RELAY_CONNECT,
                     "%s '%s' (%s:%u): %s",
                     was_connected ? "Lost the connection to" : "Cannot connect to",
                     sl_upstream_peer(u), u->info.target.host, u->info.target.port,
                     end == SL_CONN_END_EOF ? "the server closed it" : sl_conn_error_text(c));
    }
    sl_upstream_fail(u, &fault);
}

static void on_released(struct sl_conn *c)
{
    struct sl_upstream *u = upstream_of(c);
    u->is_conn_used = false;
    sl_tls_context_unref(u->tls);
    u->tls = NULL;
}

static const struct sl_conn_ops conn_ops = {
    .name = "upstream",
    .on_connected = on_connected,
    .on_secured = on_secured,
    .on_data = on_data,
    .on_end = on_end,
    .on_released = on_released,
};

/* ---- connecting ---- */

static int make_tls(struct sl_upstream *u, struct sl_err *err)
{
    const struct sl_upstream_target *t = &u->info.target;
    sl_tls_context_unref(u->tls);
    u->tls = NULL;
    if (u->server != NULL && u->info.selects_master) {
        u->tls = sl_tls_context_ref(u->server->tls);
        return SL_OK;
    }
    if (!t->ssl) {
        return SL_OK;
    }
    struct sl_tls_config config = {
        .cert = t->ssl_cert,
        .key = t->ssl_key,
        .ca = t->ssl_ca,
        .crl = t->ssl_crl,
        .cipher = t->ssl_cipher,
        .verify_depth = 9,
        .verify_peer = t->ssl_verify_server_cert || t->ssl_ca != NULL,
        .verify_host = t->ssl_verify_server_cert,
    };
    return sl_tls_context_new(&config, &u->tls, err);
}

static void connect_to(struct sl_upstream *u, const struct sockaddr_storage *address, socklen_t len)
{
    struct sl_core *core = u->relay->service->core;
    bool has_local = core != NULL && core->local_address.ss_family == address->ss_family;
    sl_conn_init(&u->conn, u->loop, &conn_ops);
    sl_upstream_login_start(&u->login, u->info.target.user,
                            u->info.target.password != NULL ? u->info.target.password : "",
                            u->tls != NULL);
    int rc = sl_conn_connect(&u->conn, (const struct sockaddr *)address, len,
                             has_local ? (const struct sockaddr *)&core->local_address : NULL,
                             has_local ? core->local_address_len : 0);
    if (rc < 0) {
        struct sl_fault fault;
        sl_fault_set(&fault, SL_FAULT_LOST, SL_ER_RELAY_CONNECT,
                     "Cannot connect to '%s' (%s:%u): %s", sl_upstream_peer(u), u->info.target.host,
                     u->info.target.port, sl_conn_error_text(&u->conn));
        sl_upstream_fail(u, &fault);
        return;
    }
    u->is_conn_used = true;
}

static void resolved(void *arg, const struct sockaddr_storage *address, socklen_t len,
                     const struct sl_err *err)
{
    struct sl_upstream *u = arg;
    u->resolve = NULL;
    if (err->rc == SL_OK) {
        connect_to(u, address, len);
        return;
    }
    struct sl_fault fault;
    sl_fault_set(&fault, SL_FAULT_LOST, SL_ER_RELAY_CONNECT, "%s", err->text);
    sl_upstream_fail(u, &fault);
}

static bool is_ip(const char *host)
{
    uint8_t room[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, room) == 1 || inet_pton(AF_INET6, host, room) == 1;
}

/* The address of a server is known to core; that of CHANGE MASTER is looked up. */
static int find_address(struct sl_upstream *u, struct sockaddr_storage *ret, socklen_t *ret_len,
                        struct sl_err *err)
{
    const struct sl_upstream_target *t = &u->info.target;
    if (u->server != NULL && u->info.selects_master) {
        sl_server_address(u->server, ret, ret_len);
        return *ret_len > 0 ? SL_OK
                            : sl_err_set(err, SL_ENOENT, "server '%s': cannot resolve '%s'",
                                         u->server->name, t->host);
    }
    if (is_ip(t->host)) {
        return sl_resolve(t->host, t->port, ret, ret_len, err);
    }
    int rc = sl_resolve_start(u->loop, t->host, t->port, resolved, u, &u->resolve, err);
    return rc < 0 ? rc : SL_EAGAIN;
}

void sl_upstream_connect(struct sl_upstream *u)
{
    struct sl_err err = SL_ERR_INIT;
    struct sockaddr_storage address;
    socklen_t len = 0;
    sl_upstream_set_step(u, SL_UPSTREAM_CONNECTING);
    int rc = make_tls(u, &err);
    if (rc == SL_OK) {
        rc = find_address(u, &address, &len, &err);
    }
    if (rc == SL_OK) {
        connect_to(u, &address, len);
    } else if (rc != SL_EAGAIN) {
        bool is_tls = rc == SL_ETLS || rc == SL_EINVAL;
        struct sl_fault fault;
        sl_fault_set(&fault, is_tls ? SL_FAULT_TLS : SL_FAULT_LOST,
                     is_tls ? SL_ER_RELAY_TLS : SL_ER_RELAY_CONNECT, "%s", err.text);
        sl_upstream_fail(u, &fault);
    }
}
