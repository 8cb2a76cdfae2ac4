/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens: signed claims of who logged in (RFC 7519), made and checked with one key that lives as
 * long as the process (HS*), or with the private key of the REST interface (RS*, ES*). All
 * functions: any thread.
 */
#ifndef SL_ADMIN_JWT_H
#define SL_ADMIN_JWT_H

#include <stdint.h>

#include "admin/request.h"
#include "base/error.h"

struct sl_jwt_keys;

struct sl_jwt_config {
    int64_t algorithm; /* enum sl_conf_jwt_algorithm */
    const char *issuer;
    const char *key_pem; /* private key of the REST interface; NULL without TLS */
};

/* SL_ENOTSUP, SL_EINVAL with *err: the algorithm is not available or does not go with the key. */
int sl_jwt_keys_new(const struct sl_jwt_config *config, struct sl_jwt_keys **ret,
                    struct sl_err *err);
void sl_jwt_keys_free(struct sl_jwt_keys *k);

/* A token for the user, valid for so long; the caller frees with sl_free(). NULL: memory is out. */
char *sl_jwt_issue(const struct sl_jwt_keys *k, const char *user, enum sl_admin_role role,
                   int64_t now_s, int64_t max_age_s);
/* Checks algorithm, signature, issuer and expiry. SL_OK fills user; SL_EAUTH. */
int sl_jwt_check(const struct sl_jwt_keys *k, const char *token, int64_t now_s, char *ret_user,
                 size_t user_size);

#endif
