/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encrypted passwords: the key file `.secrets` and the cipher.
 *
 * File: JSON with `description`, `maxscale_version`, `encryption_cipher` ("EVP_aes_256_cbc") and
 * `encryption_key` (64 hex digits); a regular file with mode 0400. An encrypted password is the
 * upper-case hex of a random 16-byte IV and the AES-256-CBC (PKCS padding) ciphertext. Source:
 * MaxScale 24.02 configuration guide, "Encrypting passwords". Keys and passwords are wiped before
 * their memory goes back. Control thread.
 */
#ifndef SL_CONF_SECRETS_H
#define SL_CONF_SECRETS_H

#include <stdbool.h>

#include "base/error.h"

#define SL_SECRETS_FILE ".secrets"
#define SL_SECRETS_DEFAULT_DIR "/var/lib/maxscale"

struct sl_secrets;

/* Reads <dir>/.secrets. No such file: 0 and *ret = NULL. SL_EINVAL: wrong mode, kind or content;
 * SL_ESYS; SL_ENOMEM. */
int sl_secrets_load(const char *dir, struct sl_secrets **ret, struct sl_err *err);
void sl_secrets_free(struct sl_secrets *s); /* NULL is fine */

/* Writes a fresh key to <dir>/.secrets, owned by `owner` (NULL: nobody else). SL_EEXIST: there is
 * one already. */
int sl_secrets_create(const char *dir, const char *owner, struct sl_err *err);

/* *ret: hex text, the caller frees. */
int sl_secrets_encrypt(const struct sl_secrets *s, const char *plain, char **ret,
                       struct sl_err *err);
/* *ret: the password, the caller wipes and frees. Text that cannot be a ciphertext is copied as it
 * is; text that looks like one but does not decrypt is SL_EINVAL. */
int sl_secrets_decrypt(const struct sl_secrets *s, const char *text, char **ret,
                       struct sl_err *err);

/* Only hex digits, and as many as IV and whole cipher blocks need? */
bool sl_secrets_looks_encrypted(const char *text);

#endif
