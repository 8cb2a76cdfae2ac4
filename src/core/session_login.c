/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client logs in: greeting, PROXY header, TLS, handshake response, password exchange; and
 * COM_CHANGE_USER, which is the same exchange again.
 *
 *   greeting sent -> [PROXY header] -> [SSLRequest -> TLS] -> response -> exchange <-> (switch,
 *   answer) -> OK | ERR
 *                                                               ^  |
 *                                        accounts reloaded, or the client's name resolved
 *
 * The verdict comes from core/accounts (who may) and core/login_auth (password); this file moves
 * the packets, session_wait.c waits. A login that fails is tried once more after the accounts were reloaded, so that a
 * freshly made account works.
 */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/auth_block.h"
#include "core/core.h"
#include "core/session.h"
#include "core/session_login.h"
#include "core/session_metadata.h"
#include "core/user_mapping.h"
#include "proto/handshake.h"

#define LOGIN_PACKET_MAX (SL_ATTRIBUTES_MAX + 16384)

void sl_session_login_clear(struct sl_session *s)
{
    struct sl_login_state *l = s->login;
    if (l) {
        sl_login_wipe(&l->login);
        sl_accounts_unref(l->accounts);
        if (l->packet.data) {
            sl_wipe(l->packet.data, l->packet.capacity);
        }
        sl_buf_free(&l->packet);
        sl_free(l);
        s->login = NULL;
    }
}

static void send_packet(struct sl_session *s, struct sl_buf *out, int rc)
{
    if (rc < 0 || sl_conn_write(&s->client, sl_buf_slice(out).data, sl_buf_len(out)) < 0) {
        sl_session_close(s, "out of memory");
    }
    sl_buf_free(out);
}

/* ---- greeting ---- */

/* What a MariaDB 10.6 and later offers; used until a server of the service has shown its own. */
#define CAPABILITIES_ASSUMED                                                                       \
    (0x81FFFFFEull | SL_CAP_PROGRESS | SL_CAP_BULK | SL_CAP_EXTENDED_METADATA)

static uint64_t common_capabilities(const struct sl_service *service)
{
    uint64_t all = CAPABILITIES_ASSUMED;
    for (unsigned i = 0; i < service->reached_count; i++) {
        uint64_t c = atomic_load_explicit(&service->reached[i]->capabilities, memory_order_relaxed);
        all &= c ? c : ~0ull;
    }
    return all;
}

static uint8_t greeting_collation(const struct sl_service *service)
{
    for (unsigned i = 0; i < service->reached_count; i++) {
        struct sl_server_info info;
        sl_server_info_get(service->reached[i], &info);
        if (info.collation_id > 0) {
            return (uint8_t)info.collation_id;
        }
    }
    return 45; /* utf8mb4_general_ci */
}

void sl_session_login_start(struct sl_session *s)
{
    char version[256];
    sl_service_version_text(s->service, version, sizeof version);
    sl_scramble_generate(s->scramble);
    s->capabilities =
        sl_capabilities_offer(common_capabilities(s->service), s->listener->tls ? SL_OFFER_TLS : 0);
    struct sl_greeting g = {.version = sl_slice_text(version),
                            .connection_id = (uint32_t)s->id,
                            .is_mariadb = true,
                            .collation = greeting_collation(s->service),
                            .status = SL_STATUS_AUTOCOMMIT,
                            .capabilities = s->capabilities,
                            .plugin = sl_slice_text(SL_PLUGIN_NATIVE)};
    memcpy(g.scramble, s->scramble, SL_SCRAMBLE_LEN);
    struct sl_buf out = SL_BUF_INIT;
    int rc = sl_greeting_build(&out, &g);
    send_packet(s, &out, rc);
}

void sl_session_login_secured(struct sl_session *s)
{
    if (s->step == SL_SESSION_SECURING) {
        s->step = SL_SESSION_GREETED;
    }
}

/* ---- the end: refused or accepted ---- */

static void deny(struct sl_session *s, uint8_t seq, uint16_t code, const char *sqlstate,
                 const char *text)
{
    struct sl_login_state *l = s->login;
    bool is_denied = code == SL_ER_ACCESS_DENIED || code == SL_ER_ACCESS_DENIED_NO_PASSWORD;
    /* no server has answered so far: no fault of the client's host */
    bool is_unjudged = is_denied && l && !l->accounts;
    sl_count(&sl_session_counters(s)->failed_auths, 1);
    if (s->service->settings.log_auth_warnings) {
        sl_log_warning("Authentication failed for user '%.*s'@[%s] to service '%s': %s%s",
                       l ? (int)l->user.len : 0, l ? (const char *)l->user.data : "",
                       l ? l->host_text : "", s->service->name, text,
                       is_unjudged ? " (no server has told the user accounts yet)" : "");
    }
    struct sl_buf out = SL_BUF_INIT;
    int rc = sl_packet_build_err(&out, seq, code, sqlstate, "%s", text);
    bool keeps_session = l && l->is_change_user;
    if (is_denied && !is_unjudged) {
        sl_auth_block_failed(s->worker, &s->peer);
    }
    send_packet(s, &out, rc);
    if (s->step == SL_SESSION_CLOSING) {
        return;
    }
    if (!keeps_session) {
        sl_session_close(s, NULL);
        return;
    }
    /* A refused COM_CHANGE_USER leaves the old session as it was. */
    s->change_user_fails++;
    sl_session_login_clear(s);
    s->step = SL_SESSION_READY;
    sl_session_command_done(s);
}

static bool set_text(char **field, struct sl_slice text)
{
    sl_free(*field);
    *field = text.len > 0 ? sl_strndup((const char *)text.data, text.len) : NULL;
    return text.len == 0 || *field;
}

/* Who are we on the servers? The client's own name and hash, or what the user mapping says. */
static bool set_credentials(struct sl_session *s)
{
    struct sl_login_state *l = s->login;
    struct sl_credentials *c = &s->credentials;
    if (sl_session_is_inner(s)) { /* it has those of the outer session */
        s->client_user = sl_strndup((const char *)l->user.data, l->user.len);
        return s->client_user && set_text(&s->db, l->database);
    }
    if (c->mapped_password) {
        sl_wipe(c->mapped_password, strlen(c->mapped_password));
        sl_free(c->mapped_password);
        c->mapped_password = NULL;
    }
    sl_free(s->client_user);
    s->client_user = sl_strndup((const char *)l->user.data, l->user.len);
    memcpy(c->h1, l->login.h1, sizeof c->h1);
    c->has_password = l->login.has_h1 && l->login.has_password;
    struct sl_mapped_user mapped;
    bool is_mapped =
        s->listener->mapping && sl_user_mapping_find(s->listener->mapping, l->user, &mapped);
    sl_free(c->user);
    c->user = sl_strdup(is_mapped ? mapped.user : s->client_user);
    if (is_mapped) {
        c->mapped_password = sl_strdup(mapped.password);
        sl_native_hash(sl_slice_text(mapped.password), c->h1, NULL);
        c->has_password = mapped.password[0] != 0;
    }
    return s->client_user && c->user && set_text(&s->db, l->database);
}

static void close_backends(struct sl_session *s)
{
    if (s->ops->session_close) {
        s->ops->session_close(s);
    }
    for (unsigned i = 0; i < s->backend_count; i++) {
        if (s->backends[i]) {
            sl_backend_close(s->backends[i]);
        }
    }
    sl_filters_close(s);
    sl_trx_init(&s->trx, true);
    s->sql_mode_bits =
        (uint8_t)((s->sql_mode_bits & SL_SQL_IGNORE_SPACE) |
                  (s->listener->settings.sql_mode == SL_CONF_SQL_MODE_ORACLE ? SL_SQL_ORACLE : 0));
    s->is_streaming = false;
    s->stream_to = NULL;
}

/* The limit of the servers, for answering as they would. */
static uint32_t max_allowed_packet(const struct sl_service *service)
{
    int64_t least = 0;
    for (unsigned i = 0; i < service->reached_count; i++) {
        struct sl_server_info info;
        sl_server_info_get(service->reached[i], &info);
        if (info.max_allowed_packet > 0 && (least == 0 || info.max_allowed_packet < least)) {
            least = info.max_allowed_packet;
        }
    }
    return least > UINT32_MAX ? 0 : (uint32_t)least;
}

/* With what the client wants to know of the session, if it can take it (connection_metadata). */
static void send_login_ok(struct sl_session *s, uint8_t seq)
{
    struct sl_buf out = SL_BUF_INIT;
    int rc;
    if (s->capabilities & SL_CAP_SESSION_TRACK) {
        struct sl_buf state = SL_BUF_INIT;
        rc = sl_session_metadata_build(s, &state);
        rc = rc < 0
                 ? rc
                 : sl_packet_build_ok_state(&out, seq, SL_STATUS_AUTOCOMMIT, sl_buf_slice(&state));
        sl_buf_free(&state);
    } else {
        rc = sl_packet_build_ok(&out, seq, 0, 0, SL_STATUS_AUTOCOMMIT, 0, NULL);
    }
    send_packet(s, &out, rc);
}

static void accept_login(struct sl_session *s)
{
    struct sl_login_state *l = s->login;
    uint8_t seq = l->seq;
    bool was_change_user = l->is_change_user;
    if (was_change_user) {
        close_backends(s);
    }
    if (!set_credentials(s) || sl_filters_open(s) < 0) {
        sl_session_close(s, "out of memory");
        return;
    }
    sl_auth_block_succeeded(s->worker, &s->peer);
    s->max_allowed_packet = max_allowed_packet(s->service);
    struct sl_err err = SL_ERR_INIT;
    s->step = SL_SESSION_READY;
    if (s->ops->session_open(s, &err) < 0) {
        sl_log_error("Session of '%s' to service '%s' refused: %s", s->client_user,
                     s->service->name, err.text);
        l->is_change_user = false;
        s->step = SL_SESSION_LOGIN;
        deny(s, seq, SL_ER_CON_COUNT, "08004", err.text);
        return;
    }
    sl_log_info("Client '%s'@[%s] logged in to service '%s'", s->client_user, l->host_text,
                s->service->name);
    sl_session_login_clear(s);
    send_login_ok(s, seq);
    if (was_change_user && s->step == SL_SESSION_READY) {
        sl_session_command_done(s);
    }
}

/* ---- the exchange ---- */

static void follow(struct sl_session *s, enum sl_login_step step)
{
    struct sl_login_state *l = s->login;
    struct sl_buf out = SL_BUF_INIT;
    int rc;
    switch (step) {
    case SL_LOGIN_SWITCH:
        l->has_switched = true;
        rc = strcmp(l->login.switch_plugin, SL_PLUGIN_NATIVE) == 0
                 ? sl_auth_switch_native_build(&out, l->seq, l->login.switch_data)
                 : sl_auth_switch_build(&out, l->seq, l->login.switch_plugin,
                                        sl_slice(l->login.switch_data, l->login.switch_len));
        l->seq = (uint8_t)(l->seq + 2); /* the client's answer lies between */
        send_packet(s, &out, rc);
        break;
    case SL_LOGIN_ACCEPTED:
        accept_login(s);
        break;
    case SL_LOGIN_DENIED:
        if (l->login.code == SL_ER_ACCESS_DENIED && !l->has_switched &&
            sl_session_wait_for_reload(s)) {
            return; /* the hash we know may be an old one */
        }
        deny(s, l->seq, l->login.code, l->login.sqlstate, l->login.message);
        break;
    }
}

static enum sl_account_verdict look_up(struct sl_session *s, const struct sl_account **ret)
{
    struct sl_login_state *l = s->login;
    struct sl_account_query q = {
        .user = l->user,
        .client = &s->peer,
        .host_name = l->has_name ? l->host_name : NULL,
        .database = l->database,
        .match_host = s->listener->match_host,
        .allow_root = s->service->settings.enable_root_user,
        .client_has_tls = sl_conn_is_secure(&s->client),
        .skip_name_resolve = s->worker->core->config->global.skip_name_resolve,
        .lower_case_table_names = s->listener->lower_case_table_names,
    };
    *ret = NULL;
    return l->accounts ? sl_accounts_find(l->accounts, &q, ret) : SL_ACCOUNT_UNKNOWN;
}

void sl_session_login_begin(struct sl_session *s)
{
    struct sl_login_state *l = s->login;
    sl_accounts_unref(l->accounts);
    l->accounts = sl_account_manager_get(s->service->accounts);
    const struct sl_account *account;
    enum sl_account_verdict verdict = look_up(s, &account);
    if (verdict == SL_ACCOUNT_NEEDS_NAME) {
        if (sl_session_wait_for_name(s)) {
            return;
        }
        verdict = look_up(s, &account); /* it has no name */
    }
    bool may_be_stale = verdict == SL_ACCOUNT_UNKNOWN || verdict == SL_ACCOUNT_NO_DATABASE ||
                        verdict == SL_ACCOUNT_DB_DENIED;
    if (may_be_stale && sl_session_wait_for_reload(s)) {
        return;
    }
    struct sl_login_config config = {
        .verdict = verdict,
        .account = account,
        .decoy = l->accounts ? sl_accounts_decoy(l->accounts, l->user) : NULL,
        .user = l->user,
        .database = l->database,
        .client_host = l->host_text,
        .scramble = s->scramble,
        .plugin = l->plugin,
        .auth = l->auth,
        .has_plugin_auth = l->has_plugin_auth,
    };
    sl_login_wipe(&l->login);
    follow(s, sl_login_start(&l->login, &config));
}

static struct sl_login_state *new_state(struct sl_session *s, const uint8_t *payload, size_t len)
{
    struct sl_login_state *l = sl_calloc(1, sizeof *l);
    if (!l || sl_buf_append(&l->packet, payload, len) < 0) {
        sl_free(l);
        sl_session_close(s, "out of memory");
        return NULL;
    }
    sl_address_text(&s->peer, l->host_text, sizeof l->host_text);
    s->login = l;
    return l;
}

static void keep_attributes(struct sl_session *s, struct sl_slice block)
{
    sl_free(s->attributes);
    s->attributes = block.len > 0 ? sl_malloc(block.len) : NULL;
    s->attributes_len = s->attributes ? (uint32_t)block.len : 0;
    if (s->attributes) {
        memcpy(s->attributes, block.data, block.len);
    }
}

/* HandshakeResponse41, or the SSLRequest in front of it. */
static void response(struct sl_session *s, const uint8_t *payload, size_t len, uint8_t seq)
{
    if (s->listener->tls && !sl_conn_is_secure(&s->client)) {
        if (!sl_ssl_request_is(payload, len)) {
            deny(s, (uint8_t)(seq + 1), SL_ER_ACCESS_DENIED, "28000",
                 "This listener accepts only TLS connections");
            return;
        }
        s->step = SL_SESSION_SECURING;
        if (sl_conn_tls_accept(&s->client, s->listener->tls) < 0) {
            sl_session_close(s, "TLS could not be started");
        }
        return;
    }
    struct sl_login_state *l = new_state(s, payload, len);
    if (!l) {
        return;
    }
    struct sl_handshake_response r;
    uint16_t code;
    l->seq = (uint8_t)(seq + 1);
    if (sl_handshake_response_parse(sl_buf_slice(&l->packet).data, len, &r, &code) < 0) {
        deny(s, l->seq, code, code == SL_ER_HANDSHAKE ? "08S01" : "",
             code == SL_ER_HANDSHAKE
                 ? "Bad handshake"
                 : "Client does not support authentication protocol requested by server");
        return;
    }
    s->capabilities = sl_capabilities_agree(s->capabilities, r.capabilities);
    s->multi_statements = s->capabilities & SL_CAP_MULTI_STATEMENTS;
    s->sql_mode_bits |= s->capabilities & SL_CAP_IGNORE_SPACE ? SL_SQL_IGNORE_SPACE : 0;
    s->client_max_packet = r.max_packet;
    s->collation = r.collation;
    keep_attributes(s, r.attributes);
    l->user = r.user;
    l->database = r.database;
    l->auth = r.auth;
    l->plugin = r.plugin;
    l->has_plugin_auth = r.capabilities & SL_CAP_PLUGIN_AUTH;
    s->step = SL_SESSION_LOGIN;
    if (sl_session_is_inner(s)) {
        accept_login(s); /* the outer session has proved who it is */
    } else {
        sl_session_login_begin(s);
    }
}

/* COM_CHANGE_USER: always a switch first, as the server does it, since the token was made for
 * who knows which scramble. */
void sl_session_change_user_start(struct sl_session *s, struct sl_request *rq)
{
    struct sl_change_user c;
    struct sl_login_state *l = s->change_user_fails < 3 && rq->is_whole
                                   ? new_state(s, rq->data + SL_PACKET_HEADER, rq->payload_len)
                                   : NULL;
    if (s->step == SL_SESSION_CLOSING) {
        return;
    }
    if (!l || sl_change_user_parse(sl_buf_slice(&l->packet).data, sl_buf_len(&l->packet),
                                   s->capabilities, &c) < 0) {
        sl_session_login_clear(s);
        sl_session_answer_error(s, SL_ER_UNKNOWN_COM, NULL, "Unknown command");
        return;
    }
    l->user = c.user;
    l->database = c.database;
    l->plugin = sl_slice(NULL, 0);
    l->has_plugin_auth = s->capabilities & SL_CAP_PLUGIN_AUTH;
    l->is_change_user = true;
    l->seq = 1;
    if (c.has_collation) {
        s->collation = (uint8_t)c.collation;
    }
    s->busy = true;
    s->step = SL_SESSION_CHANGE_USER;
    s->step_since_ms = sl_loop_now_ms(s->worker->loop);
    /* A plugin that nobody has makes the exchange ask anew. */
    l->plugin = sl_slice_text("-");
    sl_session_login_begin(s);
}

/* ---- packets ---- */

static size_t proxy_header(struct sl_session *s, const uint8_t *data, size_t len)
{
    struct sl_proxy_header h;
    long n = sl_proxy_header_parse(data, len, &h);
    if (n == SL_EAGAIN) {
        return 0;
    }
    if (n < 0) {
        sl_log_warning("Malformed PROXY header");
        sl_session_close(s, "malformed PROXY header");
        return len;
    }
    if (n > 0 && h.has_address) {
        s->peer = h.source;
    }
    s->step = SL_SESSION_GREETED;
    if (n > 0 && sl_auth_block_is_blocked(s->worker, &s->peer)) {
        sl_session_close(s, "the host behind the PROXY header is blocked because of failed logins");
        return len;
    }
    return (size_t)n;
}

static void packet(struct sl_session *s, const uint8_t *payload, size_t len, uint8_t seq)
{
    if (s->step == SL_SESSION_GREETED) {
        response(s, payload, len, seq);
    } else if (s->login && s->login->has_switched) {
        s->login->seq = (uint8_t)(seq + 1);
        follow(s, sl_login_next(&s->login->login, sl_slice(payload, len)));
    } else {
        sl_session_close(s, "unexpected packet while logging in");
    }
}

/* One packet a time; the rest comes again. */
size_t sl_session_login_data(struct sl_session *s, const uint8_t *data, size_t len)
{
    if (s->step == SL_SESSION_PROXY_HEADER) {
        size_t n = proxy_header(s, data, len);
        if (s->step != SL_SESSION_GREETED || n == len) {
            return n;
        }
        return n + sl_session_login_data(s, data + n, len - n);
    }
    if (len < SL_PACKET_HEADER || (s->login && s->login->is_waiting)) {
        return 0;
    }
    uint32_t payload_len = sl_packet_len(data);
    if (payload_len > LOGIN_PACKET_MAX) {
        deny(s, (uint8_t)(sl_packet_seq(data) + 1), SL_ER_HANDSHAKE, "08S01", "Bad handshake");
        return len;
    }
    if (len < SL_PACKET_HEADER + payload_len) {
        sl_conn_want(&s->client, SL_PACKET_HEADER + payload_len);
        return 0;
    }
    packet(s, data + SL_PACKET_HEADER, payload_len, sl_packet_seq(data));
    return SL_PACKET_HEADER + payload_len;
}
