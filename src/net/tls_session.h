/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS of one connection. Private to src/net; loop's thread.
 *
 *   socket -> scratch -> sl_tls_input -> SSL_read -> sl_conn_take_input -> on_data
 *   sl_conn_write -> plain -> sl_tls_seal -> SSL_write -> the connection's output -> flush
 */
#ifndef SL_NET_TLS_SESSION_H
#define SL_NET_TLS_SESSION_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"
#include "net/lent.h"
#include "net/tls.h"

struct sl_tls {
    SSL *ssl;
    struct sl_tls_context *ctx;
    struct sl_conn *conn;
    struct sl_lent plain; /* output not yet encrypted */
    const uint8_t *in;    /* ciphertext OpenSSL has not taken yet; only set during sl_tls_input */
    size_t in_len;
    bool is_ready; /* the handshake is done */
    bool is_broken;
    bool notify_sent; /* close_notify */
    char *host;       /* what the certificate must name; may be NULL */
    char error[128];
};

/* Context internals, for the session only. */
SSL_CTX *sl_tls_context_ssl(struct sl_tls_context *ctx);
bool sl_tls_context_is_server(const struct sl_tls_context *ctx);
bool sl_tls_context_verifies_host(const struct sl_tls_context *ctx);
/* The oldest entry of OpenSSL's error queue as text; empties the queue. */
void sl_tls_error_take(char *out, size_t size);

/* Gives the connection its c->tls. SL_ENOMEM or SL_ETLS. Takes its own reference of ctx. */
int sl_tls_session_new(struct sl_conn *c, struct sl_tls_context *ctx, const char *host);
void sl_tls_session_free(struct sl_conn *c);
/* The client's first flight. */
void sl_tls_session_begin(struct sl_conn *c);

/* Feeds ciphertext: goes on with the handshake, gives plaintext to sl_conn_take_input. May call
 * back. */
void sl_tls_input(struct sl_conn *c, const uint8_t *data, size_t len);
/* Encrypts the pending plaintext into the connection's output. Never calls back. */
void sl_tls_seal(struct sl_conn *c);
/* Puts close_notify into the connection's output, once. */
void sl_tls_notify_close(struct sl_conn *c);

#endif
