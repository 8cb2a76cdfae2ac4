/* SPDX-License-Identifier: Apache-2.0 */
/* TLS contexts (OpenSSL 3): made by the control thread, shared by workers, reference counted. */
#ifndef SL_NET_TLS_H
#define SL_NET_TLS_H

#include <stdbool.h>

#include "base/error.h"

struct sl_tls_context;

struct sl_tls_config {
    const char *cert; /* PEM files; NULL or "" = none */
    const char *key;
    const char *ca;
    const char *crl;
    const char *cipher;    /* TLS <= 1.2 */
    unsigned version_mask; /* SL_TLS_V10.. bits; 0 = all that OpenSSL allows */
    int verify_depth;
    bool verify_peer;
    bool verify_host; /* client side */
    bool is_server;   /* listener (needs cert and key) or client side */
};

enum {
    SL_TLS_V10 = 1,
    SL_TLS_V11 = 2,
    SL_TLS_V12 = 4,
    SL_TLS_V13 = 8
};

/* SL_ETLS or SL_EINVAL with a text that names the file and OpenSSL's reason. Also refuses a key
 * that does not match, and certificates whose extended key usage forbids the role. The result
 * has one reference. */
int sl_tls_context_new(const struct sl_tls_config *config, struct sl_tls_context **ret_ctx,
                       struct sl_err *err);
struct sl_tls_context *sl_tls_context_ref(struct sl_tls_context *ctx); /* NULL gives NULL */
void sl_tls_context_unref(struct sl_tls_context *ctx);                 /* NULL is a no-op */

#endif
