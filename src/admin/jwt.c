/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens over libjwt. The algorithm is fixed at start and a token that names another one is
 * refused, so that nobody can present an unsigned token, or a public key as an HMAC secret.
 *
 * libjwt 1.10 knows HS*, RS* and ES*. `auto` means HS256 with a random key: with it tokens end with
 * the process, as they do in MaxScale without TLS.
 */
#include "admin/jwt.h"

#include <errno.h>
#include <jwt.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/rng.h"
#include "conf/tables.h"

#define HMAC_KEY_BYTES 64

struct sl_jwt_keys {
    jwt_alg_t algorithm;
    char *issuer;
    unsigned char *sign_key; /* random bytes, or PEM */
    int sign_len;
    unsigned char *check_key;
    int check_len;
};

static const struct {
    int64_t setting;
    jwt_alg_t algorithm;
    bool needs_pem;
} algorithms[] = {
    {SL_JWT_AUTO, JWT_ALG_HS256, false},  {SL_JWT_HS256, JWT_ALG_HS256, false},
    {SL_JWT_HS384, JWT_ALG_HS384, false}, {SL_JWT_HS512, JWT_ALG_HS512, false},
    {SL_JWT_RS256, JWT_ALG_RS256, true},  {SL_JWT_RS384, JWT_ALG_RS384, true},
    {SL_JWT_RS512, JWT_ALG_RS512, true},  {SL_JWT_ES256, JWT_ALG_ES256, true},
    {SL_JWT_ES384, JWT_ALG_ES384, true},  {SL_JWT_ES512, JWT_ALG_ES512, true},
};

static int find_algorithm(int64_t setting)
{
    for (unsigned i = 0; i < SL_ARRAY_LEN(algorithms); i++) {
        if (algorithms[i].setting == setting) {
            return (int)i;
        }
    }
    return SL_ENOTSUP;
}

static void set_hmac_key(struct sl_jwt_keys *k)
{
    k->sign_key = sl_xcalloc(1, HMAC_KEY_BYTES);
    sl_rng_bytes(k->sign_key, HMAC_KEY_BYTES);
    k->sign_len = HMAC_KEY_BYTES;
    k->check_key = sl_xcalloc(1, HMAC_KEY_BYTES);
    memcpy(k->check_key, k->sign_key, HMAC_KEY_BYTES);
    k->check_len = HMAC_KEY_BYTES;
}

/* The public half of a private key, PEM; the caller frees. NULL: the text is no private key that
 * can be used without a passphrase (an empty one is offered, or the library would ask for it on the
 * terminal). */
static char *public_pem(const char *key_pem)
{
    char no_passphrase[] = "";
    char *out = NULL;
    BIO *in = BIO_new_mem_buf(key_pem, -1);
    EVP_PKEY *key = in != NULL ? PEM_read_bio_PrivateKey(in, NULL, NULL, no_passphrase) : NULL;
    BIO *to = key != NULL ? BIO_new(BIO_s_mem()) : NULL;
    if (to != NULL && PEM_write_bio_PUBKEY(to, key) == 1) {
        char *data;
        long len = BIO_get_mem_data(to, &data);
        out = sl_strndup(data, (size_t)len);
    }
    BIO_free(to);
    EVP_PKEY_free(key);
    BIO_free(in);
    return out;
}

static void set_pem_keys(struct sl_jwt_keys *k, const char *key_pem)
{
    k->sign_key = (unsigned char *)sl_xstrdup(key_pem);
    k->sign_len = (int)strlen(key_pem);
    k->check_key = (unsigned char *)public_pem(key_pem);
    k->check_len = k->check_key != NULL ? (int)strlen((char *)k->check_key) : 0;
}

int sl_jwt_keys_new(const struct sl_jwt_config *config, struct sl_jwt_keys **ret,
                    struct sl_err *err)
{
    int i = find_algorithm(config->algorithm);
    if (i < 0) {
        return sl_err_set(err, SL_ENOTSUP,
                          "admin_jwt_algorithm: PS and Ed algorithms are not available; use auto, "
                          "HS*, RS* or ES*");
    }
    if (algorithms[i].needs_pem && config->key_pem == NULL) {
        return sl_err_set(err, SL_EINVAL,
                          "admin_jwt_algorithm: %s needs admin_ssl_key and admin_ssl_cert",
                          jwt_alg_str(algorithms[i].algorithm));
    }
    struct sl_jwt_keys *k = sl_xcalloc(1, sizeof *k);
    k->algorithm = algorithms[i].algorithm;
    k->issuer = sl_xstrdup(config->issuer != NULL ? config->issuer : "");
    if (algorithms[i].needs_pem) {
        set_pem_keys(k, config->key_pem);
    } else {
        set_hmac_key(k);
    }
    char *probe = sl_jwt_issue(k, "probe", SL_ADMIN_ROLE_BASIC, 0, 1);
    char user[16];
    bool works = probe != NULL && sl_jwt_check(k, probe, 0, user, sizeof user) == SL_OK;
    sl_free(probe);
    if (!works) {
        sl_jwt_keys_free(k);
        return sl_err_set(err, SL_EINVAL,
                          "admin_jwt_algorithm: %s does not work with the key in admin_ssl_key",
                          jwt_alg_str(algorithms[i].algorithm));
    }
    *ret = k;
    return SL_OK;
}

static void free_key(unsigned char *key, int len)
{
    if (key != NULL) {
        sl_wipe(key, (size_t)len);
        sl_free(key);
    }
}

void sl_jwt_keys_free(struct sl_jwt_keys *k)
{
    if (k == NULL) {
        return;
    }
    free_key(k->sign_key, k->sign_len);
    free_key(k->check_key, k->check_len);
    sl_free(k->issuer);
    sl_free(k);
}

static int fill(const struct sl_jwt_keys *k, jwt_t *jwt, const char *user, enum sl_admin_role role,
                int64_t now_s, int64_t max_age_s)
{
    int rc = jwt_add_grant(jwt, "iss", k->issuer);
    rc = rc != 0 ? rc : jwt_add_grant(jwt, "sub", user);
    rc = rc != 0 ? rc : jwt_add_grant(jwt, "aud", user);
    rc = rc != 0 ? rc : jwt_add_grant_int(jwt, "iat", now_s);
    rc = rc != 0 ? rc : jwt_add_grant_int(jwt, "exp", now_s + max_age_s);
    rc = rc != 0 ? rc
                 : jwt_add_grant(jwt, "account", role == SL_ADMIN_ROLE_ADMIN ? "admin" : "basic");
    return rc != 0 ? rc : jwt_set_alg(jwt, k->algorithm, k->sign_key, k->sign_len);
}

char *sl_jwt_issue(const struct sl_jwt_keys *k, const char *user, enum sl_admin_role role,
                   int64_t now_s, int64_t max_age_s)
{
    jwt_t *jwt = NULL;
    if (jwt_new(&jwt) != 0) {
        return NULL;
    }
    char *made = fill(k, jwt, user, role, now_s, max_age_s) == 0 ? jwt_encode_str(jwt) : NULL;
    char *token = sl_strdup(made);
    free(made);
    jwt_free(jwt);
    return token;
}

/* Claims of a token whose signature is right. */
static int check_claims(const struct sl_jwt_keys *k, jwt_t *jwt, int64_t now_s, char *ret_user,
                        size_t user_size)
{
    const char *issuer = jwt_get_grant(jwt, "iss");
    const char *user = jwt_get_grant(jwt, "sub");
    errno = 0;
    long expires = jwt_get_grant_int(jwt, "exp");
    if (jwt_get_alg(jwt) != k->algorithm || issuer == NULL || strcmp(issuer, k->issuer) != 0 ||
        user == NULL || strlen(user) >= user_size || errno != 0 || expires <= now_s) {
        return SL_EAUTH;
    }
    snprintf(ret_user, user_size, "%s", user);
    return SL_OK;
}

int sl_jwt_check(const struct sl_jwt_keys *k, const char *token, int64_t now_s, char *ret_user,
                 size_t user_size)
{
    jwt_t *jwt = NULL;
    if (k->check_key == NULL || jwt_decode(&jwt, token, k->check_key, k->check_len) != 0) {
        return SL_EAUTH;
    }
    int rc = check_claims(k, jwt, now_s, ret_user, user_size);
    jwt_free(jwt);
    return rc;
}
