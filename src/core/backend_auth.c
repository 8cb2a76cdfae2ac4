/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging in to a server as the client: greeting, TLS, handshake response, authentication rounds.
 *
 * The client's password is not known; H1 = SHA1(password), recovered from the client's own login,
 * is enough for mysql_native_password. An account that the server wants by another plugin needs a
 * user mapping with its password (ed25519); else the login fails with a text that says so.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "core/core.h"
#include "core/session.h"
#include "proto/handshake.h"

#define AUTH_PACKET_MAX 65536 /* a greeting, switch or OK is far smaller */
#define AUTH_ROUNDS_MAX 8

/* Makes the login fail; keeps the server's code for the client's ERR. */
static void refuse(struct sl_backend *b, uint16_t code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void refuse(struct sl_backend *b, uint16_t code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(b->why, sizeof b->why, fmt, args);
    va_end(args);
    b->why_code = code;
    sl_backend_lost(b, b->why);
}

/* The server's own ERR while logging in. */
static void refused_by_server(struct sl_backend *b, const struct sl_packet_err *err)
{
    struct sl_session *s = b->session;
    sl_log_warning("Server '%s' refused the login of '%s': %u %.*s", b->server->name,
                   s->credentials.user ? s->credentials.user : "", err->code, (int)err->message.len,
                   (const char *)err->message.data);
    if (err->code == SL_ER_ACCESS_DENIED || err->code == SL_ER_DBACCESS_DENIED) {
        sl_count(&sl_backend_counters(b)->failed_auths, 1);
        for (const struct sl_backend *at = b; at; at = at->session->outer) {
            sl_account_manager_reload(at->session->service->accounts, false, NULL, NULL);
        }
    } else if (err->code == SL_ER_HOST_IS_BLOCKED) {
        sl_log_error(
            "Server '%s' has blocked this host (1129): set to Maintenance. Run FLUSH HOSTS there, "
            "then clear it",
            b->server->name);
        sl_server_status_change(b->server, SL_SERVER_MAINT, 0);
        sl_core_topology_changed(s->worker->core);
    }
    refuse(b, err->code, "%.*s", (int)err->message.len, (const char *)err->message.data);
}

static struct sl_handshake_response response_of(struct sl_backend *b)
{
    struct sl_session *s = b->session;
    unsigned flags = (b->server->tls ? SL_REQUEST_TLS : 0) | (s->db ? SL_REQUEST_DB : 0) |
                     (s->wants_state ? SL_REQUEST_SESSION_TRACK : 0);
    struct sl_handshake_response r = {
        .max_packet = s->client_max_packet,
        .collation = s->collation,
        .user = sl_slice_text(s->credentials.user ? s->credentials.user : ""),
        .database = s->db ? sl_slice_text(s->db) : sl_slice(NULL, 0),
        .plugin = sl_slice_text(SL_PLUGIN_NATIVE),
        .attributes = sl_slice(s->attributes, s->attributes_len),
    };
    r.capabilities = sl_capabilities_request(s->capabilities, b->server_capabilities, flags);
    return r;
}

/* The answer to a native or ed25519 challenge. Returns its length, or -1 if it cannot be given. */
static long make_token(struct sl_backend *b, bool is_ed25519, struct sl_slice challenge,
                       uint8_t out[SL_ED25519_SIGNATURE_LEN])
{
    const struct sl_credentials *c = &b->session->credentials;
    if (is_ed25519) {
        if (!c->mapped_password || challenge.len < SL_ED25519_CHALLENGE_LEN) {
            return -1;
        }
        return sl_ed25519_sign(sl_slice_text(c->mapped_password), challenge.data, out) == SL_OK
                   ? SL_ED25519_SIGNATURE_LEN
                   : -1;
    }
    if (!c->has_password) {
        return 0;
    }
    uint8_t scramble[SL_SCRAMBLE_LEN];
    if (sl_auth_switch_scramble(challenge, scramble) < 0) {
        return -1;
    }
    sl_native_token(c->h1, scramble, out);
    return SL_HASH_LEN;
}

static void send_response(struct sl_backend *b, uint8_t seq)
{
    struct sl_handshake_response r = response_of(b);
    uint8_t token[SL_ED25519_SIGNATURE_LEN];
    long n = make_token(b, false, sl_slice(b->scramble, SL_SCRAMBLE_LEN), token);
    r.auth = sl_slice(token, n > 0 ? (size_t)n : 0);
    struct sl_buf out = SL_BUF_INIT;
    if (sl_handshake_response_build(&out, seq, &r) < 0 ||
        sl_conn_write(&b->conn, sl_buf_slice(&out).data, sl_buf_len(&out)) < 0) {
        refuse(b, 0, "out of memory while logging in");
    } else {
        b->step = SL_BACKEND_AUTHENTICATING;
        b->reply.deprecate_eof = (r.capabilities & SL_CAP_DEPRECATE_EOF) != 0;
        b->reply.session_track = (r.capabilities & SL_CAP_SESSION_TRACK) != 0;
        b->reply.stop_at_state = b->session->wants_state && b->reply.session_track;
    }
    sl_buf_free(&out);
    sl_wipe(token, sizeof token);
}

static void greeting(struct sl_backend *b, const uint8_t *payload, size_t len)
{
    struct sl_greeting g;
    struct sl_packet_err err;
    int rc = sl_greeting_parse(payload, len, &g, &err);
    if (rc == SL_EAUTH) {
        refused_by_server(b, &err);
        return;
    }
    if (rc < 0) {
        refuse(b, 0, "the server's greeting is not understood (is it a MariaDB server?)");
        return;
    }
    struct sl_session *s = b->session;
    b->thread_id = g.connection_id;
    b->server_capabilities = g.capabilities;
    atomic_store_explicit(&b->server->capabilities, g.capabilities, memory_order_relaxed);
    memcpy(b->scramble, g.scramble, SL_SCRAMBLE_LEN);
    struct sl_handshake_response r = response_of(b);
    uint64_t missing =
        sl_capabilities_shape(s->capabilities) & ~sl_capabilities_shape(r.capabilities);
    if (missing) {
        refuse(b, 0, "the server lacks protocol features that were promised to the client (0x%llx)",
               (unsigned long long)missing);
        return;
    }
    if (!b->server->tls) {
        send_response(b, 1);
        return;
    }
    if ((g.capabilities & SL_CAP_SSL) == 0) {
        refuse(b, 0, "the server does not offer TLS, which its configuration demands");
        return;
    }
    struct sl_buf out = SL_BUF_INIT;
    if (sl_ssl_request_build(&out, 1, &r) < 0 ||
        sl_conn_write(&b->conn, sl_buf_slice(&out).data, sl_buf_len(&out)) < 0 ||
        sl_conn_tls_connect(&b->conn, b->server->tls, b->server->settings.address) < 0) {
        refuse(b, 0, "TLS could not be started");
    } else {
        b->step = SL_BACKEND_SECURING;
    }
    sl_buf_free(&out);
}

void sl_backend_auth_secured(struct sl_backend *b)
{
    if (b->step == SL_BACKEND_SECURING) {
        send_response(b, 2);
    }
}

static void auth_switch(struct sl_backend *b, const struct sl_auth_packet *p, uint8_t seq)
{
    bool is_native = sl_slice_equal(p->plugin, sl_slice_text(SL_PLUGIN_NATIVE));
    bool is_ed25519 = sl_slice_equal(p->plugin, sl_slice_text(SL_PLUGIN_ED25519));
    uint8_t token[SL_ED25519_SIGNATURE_LEN];
    long n = is_native || is_ed25519 ? make_token(b, is_ed25519, p->data, token) : -1;
    if (n < 0) {
        refuse(b, SL_ER_ACCESS_DENIED,
               "server '%s' wants plugin '%.*s' for '%s', which needs the password; give it in the "
               "listener's "
               "user_mapping_file",
               b->server->name, (int)p->plugin.len, (const char *)p->plugin.data,
               b->session->credentials.user ? b->session->credentials.user : "");
        return;
    }
    struct sl_buf out = SL_BUF_INIT;
    if (sl_auth_answer_build(&out, seq, sl_slice(token, (size_t)n)) < 0 ||
        sl_conn_write(&b->conn, sl_buf_slice(&out).data, sl_buf_len(&out)) < 0) {
        refuse(b, 0, "out of memory while logging in");
    }
    sl_buf_free(&out);
    sl_wipe(token, sizeof token);
}

static void auth_packet(struct sl_backend *b, const uint8_t *payload, size_t len, uint8_t seq)
{
    struct sl_auth_packet p;
    if (++b->auth_rounds > AUTH_ROUNDS_MAX ||
        sl_auth_packet_parse(payload, len, b->reply.session_track, &p) < 0) {
        refuse(b, 0, "the server's login dialogue is not understood");
        return;
    }
    switch ((enum sl_auth_packet_kind)p.kind) {
    case SL_AUTH_PACKET_OK:
        b->reply.on_error = NULL;
        sl_backend_authenticated(b);
        break;
    case SL_AUTH_PACKET_ERR:
        refused_by_server(b, &p.err);
        break;
    case SL_AUTH_PACKET_SWITCH:
        auth_switch(b, &p, (uint8_t)(seq + 1));
        break;
    case SL_AUTH_PACKET_OLD_SWITCH:
        refuse(b, SL_ER_NOT_SUPPORTED_AUTH_MODE, "the server wants the pre-4.1 password format");
        break;
    case SL_AUTH_PACKET_DATA:
        refuse(b, SL_ER_ACCESS_DENIED, "the server asks questions that only the client can answer");
        break;
    }
}

/* Whole packets only: they are small. */
size_t sl_backend_auth_data(struct sl_backend *b, const uint8_t *data, size_t len)
{
    if (len < SL_PACKET_HEADER) {
        return 0;
    }
    uint32_t payload_len = sl_packet_len(data);
    if (payload_len == 0 || payload_len > AUTH_PACKET_MAX) {
        refuse(b, 0, "the server sent a login packet of %u bytes", payload_len);
        return len;
    }
    if (len < SL_PACKET_HEADER + payload_len) {
        sl_conn_want(&b->conn, SL_PACKET_HEADER + payload_len);
        return 0;
    }
    const uint8_t *payload = data + SL_PACKET_HEADER;
    if (b->step == SL_BACKEND_GREETING) {
        greeting(b, payload, payload_len);
    } else {
        auth_packet(b, payload, payload_len, sl_packet_seq(data));
    }
    return b->step == SL_BACKEND_CLOSED ? len : SL_PACKET_HEADER + payload_len;
}
