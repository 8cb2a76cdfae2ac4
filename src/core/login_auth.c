/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The password exchange with a client. Worker threads; pure, but for randomness.
 *
 * Each alternative of an account is a row of `methods`: how it asks and how it checks. A failed one
 * leaves its error and the next is tried; the last error is the answer. Source of order and texts:
 * sql/sql_acl.cc (acl_authenticate, native_password_authenticate), plugin/auth_socket,
 * plugin/auth_ed25519, share errmsg-utf8.txt of MariaDB 10.11.
 */
#include "core/login_auth.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define PLUGIN_NATIVE_CLIENT "mysql_native_password"
#define PLUGIN_ED25519_CLIENT "client_ed25519"

enum password_used {
    USED_NO,
    USED_YES,
    USED_NOT_MENTIONED
};
enum outcome {
    OUTCOME_ASK,
    OUTCOME_RIGHT,
    OUTCOME_WRONG
};

static void deny(struct sl_login *l, uint16_t code, const char *sqlstate)
{
    l->code = code;
    memcpy(l->sqlstate, sqlstate, sizeof(l->sqlstate));
}

/* 1045, or 1698 when the last method had no use for a password. */
static void deny_access(struct sl_login *l)
{
    const struct sl_login_config *c = &l->config;
    if (l->password_used == USED_NOT_MENTIONED) {
        deny(l, 1698, "28000");
        snprintf(l->message, sizeof(l->message), "Access denied for user '%.*s'@'%s'",
                 (int)c->user.len, (const char *)c->user.data, c->client_host);
        return;
    }
    deny(l, 1045, "28000");
    snprintf(l->message, sizeof(l->message),
             "Access denied for user '%.*s'@'%s' (using password: %s)", (int)c->user.len,
             (const char *)c->user.data, c->client_host,
             l->password_used == USED_YES ? "YES" : "NO");
}

/* --- methods ---------------------------------------------------------------------------------- */

static const struct sl_account_auth *current(const struct sl_login *l)
{
    return &l->account->auth[l->alternative];
}

static void ask(struct sl_login *l, const char *plugin, const uint8_t *data, size_t len)
{
    l->switch_plugin = plugin;
    l->switch_len = len;
    memcpy(l->switch_data, data, len);
}

static enum outcome native_begin(struct sl_login *l)
{
    ask(l, PLUGIN_NATIVE_CLIENT, l->config.scramble, SL_SCRAMBLE_LEN);
    return OUTCOME_ASK;
}

static enum outcome native_check(struct sl_login *l, struct sl_slice data)
{
    uint8_t h2[SL_HASH_LEN];
    if (data.len > 0) {
        l->password_used = USED_YES;
    }
    int stored = sl_native_parse_stored(sl_slice_text(current(l)->string), h2);
    if (stored == SL_EINVAL) {
        memset(h2, 0, sizeof(h2)); /* nobody has this one: same work, then refused */
    }
    int rc = sl_native_verify(data, l->config.scramble, stored == SL_ENOENT ? NULL : h2, l->h1);
    sl_wipe(h2, sizeof(h2));
    if (rc == 0 && stored != SL_EINVAL) {
        l->has_h1 = true;
        l->has_password = data.len > 0;
        return OUTCOME_RIGHT;
    }
    sl_wipe(l->h1, sizeof(l->h1));
    if (rc == SL_EPROTO) {
        deny(l, 1043, "08S01");
        snprintf(l->message, sizeof(l->message), "Bad handshake");
    } else {
        deny_access(l);
    }
    return OUTCOME_WRONG;
}

static enum outcome ed25519_begin(struct sl_login *l)
{
    sl_ed25519_challenge_generate(l->challenge);
    ask(l, PLUGIN_ED25519_CLIENT, l->challenge, sizeof(l->challenge));
    return OUTCOME_ASK;
}

static enum outcome ed25519_check(struct sl_login *l, struct sl_slice data)
{
    uint8_t key[SL_ED25519_KEY_LEN];
    l->password_used = USED_YES;
    if (sl_ed25519_parse_stored(sl_slice_text(current(l)->string), key) == 0 &&
        sl_ed25519_verify(data, key, l->challenge) == 0) {
        l->has_password = true;
        return OUTCOME_RIGHT;
    }
    deny_access(l);
    return OUTCOME_WRONG;
}

/* The peer's uid says nothing that could be proved to a backend. */
static enum outcome socket_begin(struct sl_login *l)
{
    l->password_used = USED_NOT_MENTIONED;
    deny_access(l);
    return OUTCOME_WRONG;
}

static enum outcome other_begin(struct sl_login *l)
{
    deny(l, 1524, "HY000");
    snprintf(l->message, sizeof(l->message), "Plugin '%s' is not loaded", current(l)->plugin_name);
    return OUTCOME_WRONG;
}

static const struct {
    enum outcome (*begin)(struct sl_login *l);
    enum outcome (*check)(struct sl_login *l, struct sl_slice data); /* NULL: never asked */
} methods[] = {
    [SL_AUTH_NATIVE] = {native_begin, native_check},
    [SL_AUTH_ED25519] = {ed25519_begin, ed25519_check},
    [SL_AUTH_PAM] = {other_begin, NULL},
    [SL_AUTH_GSSAPI] = {other_begin, NULL},
    [SL_AUTH_UNIX_SOCKET] = {socket_begin, NULL},
    [SL_AUTH_OTHER] = {other_begin, NULL},
};

/* --- the machine ------------------------------------------------------------------------------ */

/* The password was right: now what the account forbids. */
static enum sl_login_step conclude(struct sl_login *l)
{
    const struct sl_login_config *c = &l->config;
    l->plugin = current(l)->plugin;
    switch (c->account == NULL ? SL_ACCOUNT_UNKNOWN : c->verdict) {
    case SL_ACCOUNT_OK:
        return SL_LOGIN_ACCEPTED;
    case SL_ACCOUNT_LOCKED:
        deny(l, 4151, "HY000");
        snprintf(l->message, sizeof(l->message), "Access denied, this account is locked");
        break;
    case SL_ACCOUNT_NO_DATABASE:
        deny(l, 1049, "42000");
        snprintf(l->message, sizeof(l->message), "Unknown database '%.*s'", (int)c->database.len,
                 (const char *)c->database.data);
        break;
    case SL_ACCOUNT_DB_DENIED:
        deny(l, 1044, "42000");
        snprintf(l->message, sizeof(l->message),
                 "Access denied for user '%s'@'%s' to database '%.*s'", c->account->user,
                 c->account->host, (int)c->database.len, (const char *)c->database.data);
        break;
    case SL_ACCOUNT_UNKNOWN:
    case SL_ACCOUNT_ROOT_REFUSED:
    case SL_ACCOUNT_NEEDS_TLS:
    case SL_ACCOUNT_NEEDS_NAME:
        deny_access(l);
        break;
    }
    sl_wipe(l->h1, sizeof(l->h1));
    l->has_h1 = false;
    return SL_LOGIN_DENIED;
}

/* Begins alternatives, from the current one, until one has a question. */
static enum sl_login_step begin(struct sl_login *l)
{
    for (; l->alternative < l->account->auth_count; l->alternative++) {
        enum outcome o = methods[current(l)->plugin].begin(l);
        /* Without CLIENT_PLUGIN_AUTH nothing can be asked. */
        if (o == OUTCOME_ASK && l->config.has_plugin_auth) {
            return SL_LOGIN_SWITCH;
        }
    }
    return SL_LOGIN_DENIED;
}

static enum sl_login_step check(struct sl_login *l, struct sl_slice data)
{
    enum outcome o = methods[current(l)->plugin].check(l, data);
    if (o == OUTCOME_RIGHT) {
        return conclude(l);
    }
    l->alternative++;
    return begin(l);
}

enum sl_login_step sl_login_start(struct sl_login *l, const struct sl_login_config *config)
{
    *l = (struct sl_login){.config = *config};
    sl_assert(config->verdict != SL_ACCOUNT_NEEDS_NAME);
    l->config.auth = (struct sl_slice){NULL, 0};
    l->account = config->account != NULL ? config->account : config->decoy;
    l->password_used = config->auth.len > 0 ? USED_YES : USED_NO;
    deny_access(l);
    if (l->account == NULL || l->account->auth_count == 0) {
        return SL_LOGIN_DENIED;
    }
    l->password_used = USED_NO;
    bool is_native = current(l)->plugin == SL_AUTH_NATIVE;
    if (!is_native && !config->has_plugin_auth) {
        deny(l, 1251, "08004");
        snprintf(l->message, sizeof(l->message),
                 "Client does not support authentication protocol requested by server; consider "
                 "upgrading MariaDB "
                 "client");
        return SL_LOGIN_DENIED;
    }
    /* Native data came with the response if that is what the client did. */
    bool has_answer = !config->has_plugin_auth || config->plugin.len == 0 ||
                      sl_slice_equal_nocase(config->plugin, PLUGIN_NATIVE_CLIENT);
    return is_native && has_answer ? check(l, config->auth) : begin(l);
}

enum sl_login_step sl_login_next(struct sl_login *l, struct sl_slice data)
{
    sl_assert(l->alternative < l->account->auth_count);
    sl_assert(methods[current(l)->plugin].check != NULL);
    return check(l, data);
}

void sl_login_wipe(struct sl_login *l)
{
    sl_wipe(l->h1, sizeof(l->h1));
    sl_wipe(l->challenge, sizeof(l->challenge));
    l->has_h1 = false;
}
