/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic of the authentication plugins that the proxy can carry out: mysql_native_password and
 * client_ed25519. Comparisons take constant time; temporary secrets are wiped. No state, any
 * thread.
 *
 *   native   H1 = SHA1(pw), H2 = SHA1(H1), stored "*" hex(H2), token = H1 xor SHA1(scramble H2).
 *            A proxy that knows H2 gets H1 from a good token and can log in anywhere with it: H1 is
 *            as good as the password, never log it.
 *   ed25519  key = SHA512(pw) without a seed, else as RFC 8032; stored base64(A) of 43 characters.
 *            A good signature proves the password but gives nothing to log in elsewhere with.
 */
#ifndef SL_PROTO_AUTH_H
#define SL_PROTO_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define SL_SCRAMBLE_LEN 20
#define SL_HASH_LEN 20 /* H1, H2 and the token */
#define SL_ED25519_KEY_LEN 32
#define SL_ED25519_CHALLENGE_LEN 32
#define SL_ED25519_SIGNATURE_LEN 64

/* Printable bytes 0x21..0x7E from the kernel's generator: old clients take it as a C string. */
void sl_scramble_generate(uint8_t ret_scramble[SL_SCRAMBLE_LEN]);
/* Random challenge of ed25519 (any byte values). */
void sl_ed25519_challenge_generate(uint8_t ret_challenge[SL_ED25519_CHALLENGE_LEN]);

/* Equal without an early exit. */
bool sl_secret_equal(const void *a, const void *b, size_t len);

/* Stored hash "*<40 hex digits>" of the grant tables. 0; SL_ENOENT if the text is empty (no
 * password); SL_EINVAL for anything else ("invalid", ...): nobody can log in. */
int sl_native_parse_stored(struct sl_slice text, uint8_t ret_h2[SL_HASH_LEN]);
/* "*<40 hex digits>" and a NUL. */
void sl_native_format_stored(const uint8_t h2[SL_HASH_LEN], char ret_text[42]);
/* Either result may be NULL. */
void sl_native_hash(struct sl_slice password, uint8_t ret_h1[SL_HASH_LEN],
                    uint8_t ret_h2[SL_HASH_LEN]);
/* The token for a server's scramble. */
void sl_native_token(const uint8_t h1[SL_HASH_LEN], const uint8_t scramble[SL_SCRAMBLE_LEN],
                     uint8_t ret_token[SL_HASH_LEN]);
/* Checks a client's token against the stored hash. h2 NULL: the account has no password. On
 * success ret_h1 holds H1 (zeros for an empty password). 0; SL_EAUTH: wrong; SL_EPROTO: neither 0
 * nor 20 bytes, to be answered by ERR 1043. */
int sl_native_verify(struct sl_slice token, const uint8_t scramble[SL_SCRAMBLE_LEN],
                     const uint8_t *h2, uint8_t ret_h1[SL_HASH_LEN]);

/* Public key from the grant tables (43 characters base64, no padding). 0 or SL_EINVAL. */
int sl_ed25519_parse_stored(struct sl_slice text, uint8_t ret_key[SL_ED25519_KEY_LEN]);
/* 43 characters and a NUL. */
void sl_ed25519_format_stored(const uint8_t key[SL_ED25519_KEY_LEN], char ret_text[44]);
/* 0; SL_EAUTH: wrong signature; SL_EPROTO: not 64 bytes. */
int sl_ed25519_verify(struct sl_slice signature, const uint8_t key[SL_ED25519_KEY_LEN],
                      const uint8_t challenge[SL_ED25519_CHALLENGE_LEN]);
/* 0 or SL_ENOMEM. Tens of microseconds. */
int sl_ed25519_sign(struct sl_slice password, const uint8_t challenge[SL_ED25519_CHALLENGE_LEN],
                    uint8_t ret_signature[SL_ED25519_SIGNATURE_LEN]);
int sl_ed25519_public_key(struct sl_slice password, uint8_t ret_key[SL_ED25519_KEY_LEN]);

#endif
