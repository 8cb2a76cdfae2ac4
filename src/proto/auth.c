/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mysql_native_password and client_ed25519. See auth.h for the formulas and their source:
 * mariadb.com/kb "Authentication Plugin - ed25519" and "mysql_native_password"; checked by logins
 * to MariaDB 10.11.
 *
 * OpenSSL verifies ed25519 signatures as they are. It cannot make MariaDB's, whose secret scalar
 * comes from the password itself: that half uses curve25519.h for the points and BIGNUM modulo the
 * group order.
 */
#include "proto/auth.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "proto/curve25519.h"

#define SHA512_LEN 64

/* ---- both ---- */

void sl_scramble_generate(uint8_t ret_scramble[SL_SCRAMBLE_LEN])
{
    enum {
        FIRST = 0x21,
        COUNT = 0x7E - 0x21 + 1
    };
    size_t done = 0;
    while (done < SL_SCRAMBLE_LEN) {
        uint8_t raw[2 * SL_SCRAMBLE_LEN];
        sl_rng_bytes(raw, sizeof(raw));
        for (size_t i = 0; i < sizeof(raw) && done < SL_SCRAMBLE_LEN; i++) {
            if (raw[i] < 256 / COUNT * COUNT) { /* else some values would be likelier */
                ret_scramble[done++] = (uint8_t)(FIRST + raw[i] % COUNT);
            }
        }
    }
}

void sl_ed25519_challenge_generate(uint8_t ret_challenge[SL_ED25519_CHALLENGE_LEN])
{
    sl_rng_bytes(ret_challenge, SL_ED25519_CHALLENGE_LEN);
}

bool sl_secret_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

/* ---- native ---- */

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int sl_native_parse_stored(struct sl_slice text, uint8_t ret_h2[SL_HASH_LEN])
{
    if (text.len == 0) {
        return SL_ENOENT;
    }
    if (text.len != 1 + 2 * SL_HASH_LEN || text.data[0] != '*') {
        return SL_EINVAL;
    }
    for (size_t i = 0; i < SL_HASH_LEN; i++) {
        int high = hex_value(text.data[1 + 2 * i]);
        int low = hex_value(text.data[2 + 2 * i]);
        if (high < 0 || low < 0) {
            return SL_EINVAL;
        }
        ret_h2[i] = (uint8_t)(high << 4 | low);
    }
    return SL_OK;
}

void sl_native_format_stored(const uint8_t h2[SL_HASH_LEN], char ret_text[42])
{
    static const char digits[] = "0123456789ABCDEF";
    ret_text[0] = '*';
    for (size_t i = 0; i < SL_HASH_LEN; i++) {
        ret_text[1 + 2 * i] = digits[h2[i] >> 4];
        ret_text[2 + 2 * i] = digits[h2[i] & 15];
    }
    ret_text[41] = '\0';
}

/* SHA-1 can only fail where a crypto policy forbids it. The all-zero digest of that case matches no
 * stored hash, so nobody gets in. */
static void sha1(const void *data, size_t len, uint8_t out[SL_HASH_LEN])
{
    if (EVP_Digest(data, len, out, NULL, EVP_sha1(), NULL) != 1) {
        memset(out, 0, SL_HASH_LEN);
    }
}

void sl_native_hash(struct sl_slice password, uint8_t ret_h1[SL_HASH_LEN],
                    uint8_t ret_h2[SL_HASH_LEN])
{
    uint8_t h1[SL_HASH_LEN];
    sha1(password.data, password.len, h1);
    if (ret_h2) {
        sha1(h1, sizeof(h1), ret_h2);
    }
    if (ret_h1) {
        memcpy(ret_h1, h1, sizeof(h1));
    }
    sl_wipe(h1, sizeof(h1));
}

/* out = in xor SHA1(scramble h2); makes a token from H1 and H1 from a token. */
static void mask(const uint8_t in[SL_HASH_LEN], const uint8_t scramble[SL_SCRAMBLE_LEN],
                 const uint8_t h2[SL_HASH_LEN], uint8_t out[SL_HASH_LEN])
{
    uint8_t text[SL_SCRAMBLE_LEN + SL_HASH_LEN];
    uint8_t digest[SL_HASH_LEN];
    memcpy(text, scramble, SL_SCRAMBLE_LEN);
    memcpy(text + SL_SCRAMBLE_LEN, h2, SL_HASH_LEN);
    sha1(text, sizeof(text), digest);
    for (size_t i = 0; i < SL_HASH_LEN; i++) {
        out[i] = in[i] ^ digest[i];
    }
    sl_wipe(text, sizeof(text));
    sl_wipe(digest, sizeof(digest));
}

void sl_native_token(const uint8_t h1[SL_HASH_LEN], const uint8_t scramble[SL_SCRAMBLE_LEN],
                     uint8_t ret_token[SL_HASH_LEN])
{
    uint8_t h2[SL_HASH_LEN];
    sha1(h1, SL_HASH_LEN, h2);
    mask(h1, scramble, h2, ret_token);
    sl_wipe(h2, sizeof(h2));
}

int sl_native_verify(struct sl_slice token, const uint8_t scramble[SL_SCRAMBLE_LEN],
                     const uint8_t *h2, uint8_t ret_h1[SL_HASH_LEN])
{
    uint8_t h1[SL_HASH_LEN];
    uint8_t check[SL_HASH_LEN];
    bool good;
    memset(ret_h1, 0, SL_HASH_LEN);
    if (token.len != 0 && token.len != SL_HASH_LEN) {
        return SL_EPROTO;
    }
    if (h2 == NULL || token.len == 0) {
        return h2 == NULL && token.len == 0 ? SL_OK : SL_EAUTH;
    }
    mask(token.data, scramble, h2, h1);
    sha1(h1, sizeof(h1), check);
    good = sl_secret_equal(check, h2, SL_HASH_LEN);
    if (good) {
        memcpy(ret_h1, h1, SL_HASH_LEN);
    }
    sl_wipe(h1, sizeof(h1));
    sl_wipe(check, sizeof(check));
    return good ? SL_OK : SL_EAUTH;
}

/* ---- ed25519: stored key ---- */

/* 43 base64 digits hold 258 bits: 32 bytes and two bits that must be zero. */
#define STORED_LEN 43

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int sl_ed25519_parse_stored(struct sl_slice text, uint8_t ret_key[SL_ED25519_KEY_LEN])
{
    uint32_t bits = 0;
    unsigned count = 0;
    size_t out = 0;
    if (text.len != STORED_LEN) {
        return SL_EINVAL;
    }
    for (size_t i = 0; i < STORED_LEN; i++) {
        const char *digit = text.data[i] ? strchr(base64_digits, text.data[i]) : NULL;
        if (digit == NULL) {
            return SL_EINVAL;
        }
        bits = (bits << 6 | (uint32_t)(digit - base64_digits)) & 0xFFFF;
        count += 6;
        if (count >= 8) {
            count -= 8;
            ret_key[out++] = (uint8_t)(bits >> count);
        }
    }
    return (bits & 3) == 0 ? SL_OK : SL_EINVAL;
}

void sl_ed25519_format_stored(const uint8_t key[SL_ED25519_KEY_LEN], char ret_text[44])
{
    uint32_t bits = 0;
    unsigned count = 0;
    size_t in = 0;
    for (size_t i = 0; i < STORED_LEN; i++) {
        if (count < 6) {
            bits = bits << 8 | (in < SL_ED25519_KEY_LEN ? key[in] : 0);
            in++;
            count += 8;
        }
        count -= 6;
        ret_text[i] = base64_digits[bits >> count & 63];
    }
    ret_text[STORED_LEN] = '\0';
}

/* ---- ed25519: signatures ---- */

int sl_ed25519_verify(struct sl_slice signature, const uint8_t key[SL_ED25519_KEY_LEN],
                      const uint8_t challenge[SL_ED25519_CHALLENGE_LEN])
{
    EVP_PKEY *pkey;
    EVP_MD_CTX *ctx;
    int rc = SL_EAUTH;
    if (signature.len != SL_ED25519_SIGNATURE_LEN) {
        return SL_EPROTO;
    }
    pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, SL_ED25519_KEY_LEN);
    ctx = EVP_MD_CTX_new();
    if (pkey && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
        EVP_DigestVerify(ctx, signature.data, signature.len, challenge, SL_ED25519_CHALLENGE_LEN) ==
            1) {
        rc = SL_OK;
    }
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return rc;
}

static int sha512_parts(const struct sl_slice *parts, size_t count, uint8_t out[SHA512_LEN])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha512(), NULL) == 1;
    for (size_t i = 0; ok && i < count; i++) {
        ok = EVP_DigestUpdate(ctx, parts[i].data, parts[i].len) == 1;
    }
    ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? SL_OK : SL_ENOMEM;
}

/* a = clamped first half of SHA512(password), A = a B; the second half seeds the nonce. */
struct keys {
    uint8_t hash[SHA512_LEN];
    uint8_t public_key[SL_ED25519_KEY_LEN];
};

static int make_keys(struct sl_slice password, struct keys *k)
{
    int rc = sha512_parts(&password, 1, k->hash);
    if (rc != SL_OK) {
        return rc;
    }
    k->hash[0] &= 0xF8;
    k->hash[31] &= 0x7F;
    k->hash[31] |= 0x40;
    sl_curve25519_base_multiply(k->hash, k->public_key);
    return SL_OK;
}

int sl_ed25519_public_key(struct sl_slice password, uint8_t ret_key[SL_ED25519_KEY_LEN])
{
    struct keys k;
    int rc = make_keys(password, &k);
    if (rc == SL_OK) {
        memcpy(ret_key, k.public_key, SL_ED25519_KEY_LEN);
    }
    sl_wipe(&k, sizeof(k));
    return rc;
}

/* Numbers modulo L, the order of the base point, 2^252 + 27742...8493 (RFC 8032). */
struct scalars {
    BN_CTX *ctx;
    BIGNUM *order;
    BIGNUM *nonce;
    BIGNUM *hash;
    BIGNUM *secret;
};

static void scalars_free(struct scalars *s)
{
    BN_clear_free(s->nonce);
    BN_clear_free(s->hash);
    BN_clear_free(s->secret);
    BN_free(s->order);
    BN_CTX_free(s->ctx);
}

static bool scalars_init(struct scalars *s)
{
    static const uint8_t order_le[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                         0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                         0,    0,    0,    0,    0,    0,    0,    0,
                                         0,    0,    0,    0,    0,    0,    0,    0x10};
    s->ctx = BN_CTX_secure_new();
    s->order = BN_lebin2bn(order_le, sizeof(order_le), NULL);
    s->nonce = BN_new();
    s->hash = BN_new();
    s->secret = BN_new();
    if (!s->ctx || !s->order || !s->nonce || !s->hash || !s->secret) {
        return false;
    }
    BN_set_flags(s->nonce, BN_FLG_CONSTTIME);
    BN_set_flags(s->secret, BN_FLG_CONSTTIME);
    return true;
}

static bool reduce(struct scalars *s, BIGNUM *to, const uint8_t wide[SHA512_LEN])
{
    return BN_lebin2bn(wide, SHA512_LEN, to) && BN_nnmod(to, to, s->order, s->ctx);
}

/* out = (nonce + hash * secret) mod L */
static bool finish_scalar(struct scalars *s, const uint8_t secret[32], uint8_t out[32])
{
    return BN_lebin2bn(secret, 32, s->secret) && BN_nnmod(s->secret, s->secret, s->order, s->ctx) &&
           BN_mod_mul(s->hash, s->hash, s->secret, s->order, s->ctx) &&
           BN_mod_add(s->hash, s->hash, s->nonce, s->order, s->ctx) &&
           BN_bn2lebinpad(s->hash, out, 32) == 32;
}

int sl_ed25519_sign(struct sl_slice password, const uint8_t challenge[SL_ED25519_CHALLENGE_LEN],
                    uint8_t ret_signature[SL_ED25519_SIGNATURE_LEN])
{
    struct scalars s = {NULL, NULL, NULL, NULL, NULL};
    struct keys k;
    uint8_t wide[SHA512_LEN];
    uint8_t nonce[32];
    struct sl_slice text = sl_slice(challenge, SL_ED25519_CHALLENGE_LEN);
    int rc = SL_ENOMEM;
    if (make_keys(password, &k) != SL_OK || !scalars_init(&s)) {
        goto out;
    }
    if (sha512_parts((struct sl_slice[]){sl_slice(k.hash + 32, 32), text}, 2, wide) != SL_OK ||
        !reduce(&s, s.nonce, wide) || BN_bn2lebinpad(s.nonce, nonce, 32) != 32) {
        goto out;
    }
    sl_curve25519_base_multiply(nonce, ret_signature);
    if (sha512_parts((struct sl_slice[]){sl_slice(ret_signature, 32),
                                         sl_slice(k.public_key, SL_ED25519_KEY_LEN), text},
                     3, wide) != SL_OK ||
        !reduce(&s, s.hash, wide) || !finish_scalar(&s, k.hash, ret_signature + 32)) {
        goto out;
    }
    rc = SL_OK;
out:
    scalars_free(&s);
    sl_wipe(&k, sizeof(k));
    sl_wipe(wide, sizeof(wide));
    sl_wipe(nonce, sizeof(nonce));
    return rc;
}
