/* SPDX-License-Identifier: Apache-2.0 */
/* Logging in to the primary; contract in the header. The password is never in a text. */
#include "router/binlog/upstream_login.h"

#include <string.h>

#include "base/mem.h"

#define AUTH_ROUNDS_MAX 8
#define MAX_PACKET (1u << 30) /* slave_max_allowed_packet's maximum */
#define COLLATION_LATIN1 8

static int no_memory(struct sl_fault *fault)
{
    sl_fault_set(fault, SL_FAULT_SYSTEM, SL_ER_RELAY_MEMORY, "out of memory while logging in");
    return SL_ENOMEM;
}

void sl_upstream_login_start(struct sl_upstream_login *l, const char *user, const char *password,
                             bool wants_tls)
{
    *l = (struct sl_upstream_login){.user = user, .password = password, .wants_tls = wants_tls};
}

static struct sl_handshake_response response_of(const struct sl_upstream_login *l)
{
    return (struct sl_handshake_response){
        .capabilities =
            sl_capabilities_request(0, l->server_capabilities, l->wants_tls ? SL_REQUEST_TLS : 0),
        .max_packet = MAX_PACKET,
        .collation = COLLATION_LATIN1,
        .user = sl_slice_text(l->user),
        .plugin = sl_slice_text(SL_PLUGIN_NATIVE),
    };
}

static long native_token(const struct sl_upstream_login *l, const uint8_t scramble[SL_SCRAMBLE_LEN],
                         uint8_t out[SL_ED25519_SIGNATURE_LEN])
{
    if (l->password[0] == '\0') {
        return 0;
    }
    uint8_t h1[SL_HASH_LEN];
    sl_native_hash(sl_slice_text(l->password), h1, NULL);
    sl_native_token(h1, scramble, out);
    sl_wipe(h1, sizeof(h1));
    return SL_HASH_LEN;
}

/* The answer to a switch; its length, or -1: that plugin is not known here, or its challenge is
 * short. */
static long switch_token(const struct sl_upstream_login *l, const struct sl_auth_packet *p,
                         uint8_t out[SL_ED25519_SIGNATURE_LEN])
{
    if (sl_slice_equal(p->plugin, sl_slice_text(SL_PLUGIN_ED25519))) {
        bool ok = p->data.len >= SL_ED25519_CHALLENGE_LEN &&
                  sl_ed25519_sign(sl_slice_text(l->password), p->data.data, out) == SL_OK;
        return ok ? SL_ED25519_SIGNATURE_LEN : -1;
    }
    uint8_t scramble[SL_SCRAMBLE_LEN];
    if (!sl_slice_equal(p->plugin, sl_slice_text(SL_PLUGIN_NATIVE)) ||
        sl_auth_switch_scramble(p->data, scramble) < 0) {
        return -1;
    }
    return native_token(l, scramble, out);
}

static int respond(struct sl_upstream_login *l, uint8_t seq, struct sl_buf *out,
                   struct sl_fault *fault)
{
    struct sl_handshake_response r = response_of(l);
    uint8_t token[SL_ED25519_SIGNATURE_LEN];
    long n = native_token(l, l->scramble, token);
    r.auth = sl_slice(token, (size_t)n);
    int rc = sl_handshake_response_build(out, seq, &r);
    sl_wipe(token, sizeof(token));
    return rc < 0 ? no_memory(fault) : SL_OK;
}

int sl_upstream_login_secured(struct sl_upstream_login *l, struct sl_buf *out,
                              struct sl_fault *fault)
{
    return respond(l, 2, out, fault);
}

static int greet(struct sl_upstream_login *l, const uint8_t *payload, size_t len,
                 struct sl_buf *out, enum sl_upstream_login_next *ret, struct sl_fault *fault)
{
    struct sl_greeting g;
    struct sl_packet_err err;
    int rc = sl_greeting_parse(payload, len, &g, &err);
    if (rc == SL_EAUTH) {
        return sl_fault_from_server(fault, "Connecting", err.code, err.message);
    }
    if (rc < 0) {
        return sl_fault_set(fault, SL_FAULT_PROTO, SL_ER_RELAY_CONNECT,
                            "The greeting is not understood: is it a MariaDB server?");
    }
    l->has_greeting = true;
    l->server_capabilities = g.capabilities;
    l->connection_id = g.connection_id;
    l->version = sl_version_number(g.version);
    memcpy(l->scramble, g.scramble, SL_SCRAMBLE_LEN);
    if (!l->wants_tls) {
        return respond(l, 1, out, fault);
    }
    if ((g.capabilities & SL_CAP_SSL) == 0) {
        return sl_fault_set(fault, SL_FAULT_TLS, SL_ER_RELAY_TLS,
                            "The server does not offer TLS, which the settings demand");
    }
    struct sl_handshake_response r = response_of(l);
    *ret = SL_LOGIN_START_TLS;
    return sl_ssl_request_build(out, 1, &r) < 0 ? no_memory(fault) : SL_OK;
}

static int answer_switch(struct sl_upstream_login *l, const struct sl_auth_packet *p, uint8_t seq,
                         struct sl_buf *out, struct sl_fault *fault)
{
    uint8_t token[SL_ED25519_SIGNATURE_LEN];
    long n = switch_token(l, p, token);
    if (n < 0) {
        return sl_fault_set(fault, SL_FAULT_DENIED, 1251,
                            "The server wants authentication plugin '%.*s' for user '%s'; "
                            "mysql_native_password and ed25519 can be used",
                            (int)p->plugin.len, (const char *)p->plugin.data, l->user);
    }
    int rc = sl_auth_answer_build(out, seq, sl_slice(token, (size_t)n));
    sl_wipe(token, sizeof(token));
    return rc < 0 ? no_memory(fault) : SL_OK;
}

int sl_upstream_login_packet(struct sl_upstream_login *l, const uint8_t *payload, size_t len,
                             uint8_t seq, struct sl_buf *out, enum sl_upstream_login_next *ret,
                             struct sl_fault *fault)
{
    *ret = SL_LOGIN_MORE;
    if (!l->has_greeting) {
        return greet(l, payload, len, out, ret, fault);
    }
    struct sl_auth_packet p;
    if (++l->rounds > AUTH_ROUNDS_MAX || sl_auth_packet_parse(payload, len, false, &p) < 0) {
        return sl_fault_set(fault, SL_FAULT_PROTO, SL_ER_RELAY_CONNECT,
                            "The server's login dialogue is not understood");
    }
    switch ((enum sl_auth_packet_kind)p.kind) {
    case SL_AUTH_PACKET_OK:
        *ret = SL_LOGIN_DONE;
        return SL_OK;
    case SL_AUTH_PACKET_ERR:
        return sl_fault_from_server(fault, "Login", p.err.code, p.err.message);
    case SL_AUTH_PACKET_SWITCH:
        return answer_switch(l, &p, (uint8_t)(seq + 1), out, fault);
    case SL_AUTH_PACKET_OLD_SWITCH:
    case SL_AUTH_PACKET_DATA:
        break;
    }
    return sl_fault_set(fault, SL_FAULT_DENIED, 1251,
                        "The server asks user '%s' for a login method other than "
                        "mysql_native_password and ed25519",
                        l->user);
}
