/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authentication and authorisation of one request. The effective method counts (after
 * X-HTTP-Method-Override).
 *
 *   host lists -> cookie -> bearer token -> Basic -> role
 *
 * A reader who tries to write gets 401 after Basic and 403 after a token, as clients of MaxScale
 * expect. The role of a token's user is looked up anew, so that tokens die with their account.
 * Connection's thread.
 */
#include "admin/auth.h"

#include <netdb.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "admin/hosts.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/listener.h"

#define TOKEN_MAX 4096
#define DEFAULT_MAX_AGE_S 28800
#define CREDENTIALS_MAX 768 /* "user:password" */

/* ---- headers ---- */

/* Decodes base64 (padding included) into a NUL-terminated string; SL_EINVAL when it is none, is too
 * long or holds NULs. */
static int decode_base64(const char *text, char *out, size_t size)
{
    size_t len = strlen(text);
    if (len == 0 || len % 4 != 0 || len / 4 * 3 >= size) {
        return SL_EINVAL;
    }
    int n = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)text, (int)len);
    if (n < 0) {
        return SL_EINVAL;
    }
    n -= (text[len - 1] == '=') +
         (text[len - 2] == '='); /* the decoder counts the padding as bytes */
    out[n] = '\0';
    return strlen(out) == (size_t)n ? SL_OK : SL_EINVAL;
}

bool sl_auth_basic_parse(const char *header, char *ret_user, size_t user_size, char *ret_password,
                         size_t password_size)
{
    char both[CREDENTIALS_MAX];
    ret_user[0] = ret_password[0] = '\0';
    if (header == NULL || strncasecmp(header, "Basic ", 6) != 0 ||
        decode_base64(header + 6, both, sizeof both) < 0) {
        return false;
    }
    const char *colon = strchr(both, ':');
    bool fits =
        colon != NULL && (size_t)(colon - both) < user_size && strlen(colon + 1) < password_size;
    if (fits) {
        snprintf(ret_user, user_size, "%.*s", (int)(colon - both), both);
        snprintf(ret_password, password_size, "%s", colon + 1);
    }
    sl_wipe(both, sizeof both);
    return fits;
}

bool sl_auth_cookie_find(const char *header, const char *name, char *out, size_t size)
{
    size_t name_len = strlen(name);
    while (header != NULL && *header != '\0') {
        header += strspn(header, "; \t");
        size_t len = strcspn(header, ";");
        if (len > name_len && strncmp(header, name, name_len) == 0 && header[name_len] == '=') {
            len -= name_len + 1;
            if (len == 0 || len >= size) {
                return false;
            }
            memcpy(out, header + name_len + 1, len);
            out[len] = '\0';
            return true;
        }
        header += len;
    }
    return false;
}

/* ---- hosts ---- */

static bool host_is_allowed(const struct sl_auth *a, const struct sl_admin_request *rq)
{
    char name[NI_MAXHOST] = "";
    bool needs_name = !a->skip_name_resolve && (sl_hosts_need_name(a->readwrite_hosts) ||
                                                sl_hosts_need_name(a->readonly_hosts));
    if (needs_name) {
        /* Blocks this connection's thread only. */
        sl_address_name(&rq->peer, name, sizeof name);
    }
    const char *known = name[0] != '\0' ? name : NULL;
    return sl_hosts_match(a->readwrite_hosts, &rq->peer, known) ||
           (sl_admin_method_is_read(rq->method) &&
            sl_hosts_match(a->readonly_hosts, &rq->peer, known));
}

/* ---- credentials ---- */

static bool take_token(const struct sl_auth *a, struct sl_admin_request *rq, const char *token)
{
    if (sl_jwt_check(a->keys, token, sl_clock_wall_s(), rq->user, sizeof rq->user) < 0) {
        return false;
    }
    rq->role = sl_passwd_role(a->passwd, rq->user);
    rq->has_token = rq->role != SL_ADMIN_ROLE_NONE;
    return rq->has_token;
}

static bool try_cookie(const struct sl_auth *a, struct sl_admin_request *rq)
{
    char token[TOKEN_MAX];
    return sl_auth_cookie_find(sl_admin_header(rq, "Cookie"), SL_AUTH_COOKIE, token,
                               sizeof token) &&
           take_token(a, rq, token);
}

static bool try_bearer(const struct sl_auth *a, struct sl_admin_request *rq)
{
    const char *header = sl_admin_header(rq, "Authorization");
    return header != NULL && strncasecmp(header, "Bearer ", 7) == 0 && strlen(header) < TOKEN_MAX &&
           take_token(a, rq, header + 7);
}

static bool try_basic(const struct sl_auth *a, struct sl_admin_request *rq)
{
    char password[CREDENTIALS_MAX];
    if (!sl_auth_basic_parse(sl_admin_header(rq, "Authorization"), rq->user, sizeof rq->user,
                             password, sizeof password)) {
        return false;
    }
    rq->role = sl_passwd_check(a->passwd, rq->user, password);
    sl_wipe(password, sizeof password);
    return rq->role != SL_ADMIN_ROLE_NONE;
}

/* ---- refusals ---- */

static void refuse(const struct sl_auth *a, const struct sl_admin_request *rq,
                   struct sl_admin_response *rs, const char *why)
{
    char peer[64];
    sl_address_text(&rq->peer, peer, sizeof peer);
    if (a->logs_failures) {
        sl_log_warning("Authentication failed for '%s'@[%s]. Request: %s /%s: %s",
                       rq->user[0] != '\0' ? rq->user : "-", peer, sl_admin_method_name(rq->method),
                       rq->path, why);
    }
    sl_admin_fail(rs, 401, "access denied");
    /* A browser opens its own login window for this header: not for scripts in a page, and not for
     * the login itself. */
    const char *by = sl_admin_header(rq, "X-Requested-With");
    bool is_script =
        (by != NULL && strcasecmp(by, "XMLHttpRequest") == 0) || strcmp(rq->path, "auth") == 0;
    if (!is_script) {
        sl_admin_response_header(rs, "WWW-Authenticate", "Basic realm=\"maxscale\"");
    }
}

bool sl_auth_check(const struct sl_auth *a, struct sl_admin_request *rq,
                   struct sl_admin_response *rs)
{
    if (!a->is_enabled) {
        rq->role = SL_ADMIN_ROLE_ADMIN;
        return true;
    }
    if (!host_is_allowed(a, rq)) {
        refuse(a, rq, rs, "the host is not allowed");
        return false;
    }
    if (!try_cookie(a, rq) && !try_bearer(a, rq) && !try_basic(a, rq)) {
        refuse(a, rq, rs, "no valid credentials");
        return false;
    }
    if (rq->role == SL_ADMIN_ROLE_ADMIN || sl_admin_method_is_read(rq->method)) {
        return true;
    }
    if (rq->has_token) {
        sl_admin_fail(rs, 403, "user '%s' may read only", rq->user);
    } else {
        refuse(a, rq, rs, "the account may read only");
    }
    return false;
}

/* ---- GET /auth ---- */

static void log_out(struct sl_admin_response *rs)
{
    sl_admin_response_header(rs, "Set-Cookie",
                             SL_AUTH_COOKIE "=; Path=/; SameSite=Strict; HttpOnly; "
                                            "Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0");
    rs->status = 200;
}

/* ?max-age in seconds; 0 when absent or out of range. */
static int64_t asked_max_age(const struct sl_admin_request *rq)
{
    const char *text = sl_admin_param(rq, "max-age");
    char *end;
    long long n = text != NULL ? strtoll(text, &end, 10) : 0;
    return text != NULL && *text != '\0' && *end == '\0' && n > 0 && n < INT32_MAX ? n : 0;
}

void sl_auth_token(const struct sl_auth *a, struct sl_admin_request *rq,
                   struct sl_admin_response *rs)
{
    if (sl_admin_param_bool(rq, "logout", false)) {
        log_out(rs);
        return;
    }
    if (a->is_enabled && !host_is_allowed(a, rq)) {
        refuse(a, rq, rs, "the host is not allowed");
        return;
    }
    if ((a->needs_https && !rq->is_https) || !try_basic(a, rq)) {
        refuse(a, rq, rs,
               a->needs_https && !rq->is_https
                   ? "tokens are given over HTTPS only (admin_secure_gui)"
                   : "no valid credentials");
        return;
    }
    int64_t asked = asked_max_age(rq);
    int64_t age = asked != 0 ? asked : DEFAULT_MAX_AGE_S;
    age = age < a->token_max_age_s ? age : a->token_max_age_s;
    char *token = sl_jwt_issue(a->keys, rq->user, rq->role, sl_clock_wall_s(), age);
    if (token == NULL) {
        sl_admin_fail(rs, 500, "the token cannot be made");
        return;
    }
    if (sl_admin_param_bool(rq, "persist", false)) {
        char max_age[48] = "";
        if (asked != 0) {
            snprintf(max_age, sizeof max_age, "; Max-Age=%lld", (long long)age);
        }
        sl_admin_response_header(rs, "Set-Cookie",
                                 SL_AUTH_COOKIE "=%s; Path=/; SameSite=Strict; HttpOnly%s%s", token,
                                 rq->is_https ? "; Secure" : "", max_age);
        rs->status = 204;
    } else {
        rs->json = json_pack("{s:{s:s}}", "meta", "token", token);
        rs->status = 200;
    }
    sl_free(token);
}
