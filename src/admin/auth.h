/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is asking, and may they? Cookie, bearer token or Basic credentials, in this order; roles;
 * lists of hosts.
 */
#ifndef SL_ADMIN_AUTH_H
#define SL_ADMIN_AUTH_H

#include "admin/jwt.h"
#include "admin/passwd.h"
#include "admin/request.h"

struct sl_hosts;

struct sl_auth {
    bool is_enabled;         /* admin_auth */
    bool logs_failures;      /* admin_log_auth_failures */
    bool needs_https;        /* of GET /auth: admin_secure_gui */
    int64_t token_max_age_s; /* admin_jwt_max_age */
    struct sl_passwd *passwd;
    struct sl_jwt_keys *keys;
    struct sl_hosts *readwrite_hosts, *readonly_hosts;
    bool skip_name_resolve;
};

#define SL_AUTH_COOKIE "token_sig"

/* True: go on; user, role and has_token of the request are set. False: the answer says why not
 * (401, 403). */
bool sl_auth_check(const struct sl_auth *a, struct sl_admin_request *rq,
                   struct sl_admin_response *rs);

/* GET /auth: a token for the Basic credentials of the request, or ?logout=yes. */
void sl_auth_token(const struct sl_auth *a, struct sl_admin_request *rq,
                   struct sl_admin_response *rs);

/* Takes an Authorization header apart. False: not Basic, or not readable. The outputs are wiped on
 * failure. */
bool sl_auth_basic_parse(const char *header, char *ret_user, size_t user_size, char *ret_password,
                         size_t password_size);
/* The value of a cookie in a Cookie header; false when it is not there or does not fit. */
bool sl_auth_cookie_find(const char *header, const char *name, char *out, size_t size);

#endif
