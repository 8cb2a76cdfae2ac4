/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS of one connection over a BIO of our own: OpenSSL reads from the chunk just received and
 * writes into the connection's output buffer, so that both directions use the common receive and
 * flush code.
 *
 * Invariants:
 *   I1  after sl_tls_input() OpenSSL has taken the whole chunk; a partial record is kept by OpenSSL
 *   I2  plaintext waits in `plain` while the handshake runs and while the socket is blocked
 *   I3  OpenSSL's error queue is empty before and after each use: it belongs to the thread. Reads
 *       and writes that succeed or want more leave nothing in it, so only failures clear it (a
 *       clear per record was 5 % of the cost of TLS)
 * Loop's thread.
 */
#include "net/tls_session.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "net/loop_private.h"

static BIO_METHOD *chunk_method;
static pthread_once_t chunk_method_once = PTHREAD_ONCE_INIT;

static int read_chunk(BIO *bio, char *out, int size)
{
    struct sl_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (tls->in_len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = SL_MIN((size_t)size, tls->in_len);
    memcpy(out, tls->in, n);
    tls->in += n;
    tls->in_len -= n;
    return (int)n;
}

static int write_chunk(BIO *bio, const char *data, int size)
{
    struct sl_tls *tls = BIO_get_data(bio);
    struct sl_conn *c = tls->conn;
    BIO_clear_retry_flags(bio);
    if (sl_conn_has(c, SL_CONN_WRITE_DEAD)) {
        return size;
    }
    if (sl_lent_append(&c->loop->lender, &c->out, data, (size_t)size) != SL_OK) {
        return -1;
    }
    return size;
}

static long control_chunk(BIO *bio, int command, long number, void *ptr)
{
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static void make_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sealane");
    if (method != NULL) {
        BIO_meth_set_read(method, read_chunk);
        BIO_meth_set_write(method, write_chunk);
        BIO_meth_set_ctrl(method, control_chunk);
    }
    chunk_method = method;
}

static bool is_ip(const char *host)
{
    uint8_t binary[16];
    return inet_pton(AF_INET, host, binary) == 1 || inet_pton(AF_INET6, host, binary) == 1;
}

int sl_tls_session_new(struct sl_conn *c, struct sl_tls_context *ctx, const char *host)
{
    pthread_once(&chunk_method_once, make_method);
    struct sl_loop *loop = c->loop;
    if (loop->plain_scratch == NULL) {
        loop->plain_scratch = sl_malloc(SL_LOOP_SCRATCH);
    }
    struct sl_tls *tls = sl_calloc(1, sizeof(*tls));
    SSL *ssl = SSL_new(sl_tls_context_ssl(ctx));
    BIO *bio = chunk_method != NULL ? BIO_new(chunk_method) : NULL;
    char *host_copy = sl_strdup(host);
    if (tls == NULL || ssl == NULL || bio == NULL || loop->plain_scratch == NULL ||
        (host != NULL && host_copy == NULL)) {
        BIO_free(bio);
        SSL_free(ssl);
        sl_free(host_copy);
        sl_free(tls);
        ERR_clear_error();
        return SL_ENOMEM;
    }
    tls->ssl = ssl;
    tls->ctx = sl_tls_context_ref(ctx);
    tls->conn = c;
    tls->host = host_copy;
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    if (sl_tls_context_is_server(ctx)) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
        if (host != NULL && !is_ip(host)) {
            SSL_set_tlsext_host_name(ssl, host); /* only a hint to the server: may fail */
            ERR_clear_error();
        }
    }
    c->tls = tls;
    return SL_OK;
}

void sl_tls_session_free(struct sl_conn *c)
{
    struct sl_tls *tls = c->tls;
    if (tls == NULL) {
        return;
    }
    sl_lent_release(&c->loop->lender, &tls->plain);
    SSL_free(tls->ssl);
    ERR_clear_error();
    sl_tls_context_unref(tls->ctx);
    sl_free(tls->host);
    sl_free(tls);
    c->tls = NULL;
}

/* Notes the reason. Calls nothing back. */
static void break_session(struct sl_conn *c, const char *doing)
{
    struct sl_tls *tls = c->tls;
    char reason[96];
    sl_tls_error_take(reason, sizeof(reason));
    long verify = SSL_get_verify_result(tls->ssl);
    if (!tls->is_ready && verify != X509_V_OK) {
        snprintf(reason, sizeof(reason), "%s", X509_verify_cert_error_string(verify));
    }
    snprintf(tls->error, sizeof(tls->error), "TLS %s failed: %s", doing, reason);
    tls->is_broken = true;
    SL_LOOP_COUNT(c->loop, errors, 1);
}

static void fail(struct sl_conn *c, const char *doing)
{
    break_session(c, doing);
    sl_flush_now(c); /* the alert */
    sl_conn_end(c, SL_CONN_END_TLS);
}

/* The name in the server's certificate. Also done when the chain is not verified. */
static bool host_matches(struct sl_tls *tls)
{
    if (tls->host == NULL || !sl_tls_context_verifies_host(tls->ctx)) {
        return true;
    }
    X509 *cert = SSL_get0_peer_certificate(tls->ssl);
    if (cert == NULL) {
        return true;
    }
    return is_ip(tls->host) ? X509_check_ip_asc(cert, tls->host, 0) == 1
                            : X509_check_host(cert, tls->host, 0, 0, NULL) == 1;
}

/* True when the handshake is done (now). */
static bool shake_hands(struct sl_conn *c)
{
    struct sl_tls *tls = c->tls;
    int rc = SSL_do_handshake(tls->ssl);
    if (rc != 1) {
        if (SSL_get_error(tls->ssl, rc) != SSL_ERROR_WANT_READ) {
            fail(c, "handshake");
        }
        return false;
    }
    if (!host_matches(tls)) {
        fail(c, "check of the server's host name");
        return false;
    }
    tls->is_ready = true;
    if (sl_conn_pending(c) > 0) {
        sl_conn_mark_dirty(c);
    }
    if (c->ops->on_secured != NULL) {
        c->ops->on_secured(c);
    }
    return true;
}

/* Nothing is left to decrypt. Asking here is cheaper than one more SSL_read that says the same. */
static bool is_used_up(const struct sl_tls *tls)
{
    return tls->in_len == 0 && SSL_has_pending(tls->ssl) == 0;
}

/* Decrypts until the chunk is used up or the scratch is full. Returns the plaintext's length;
 * *ret_error: SSL_ERROR_NONE to be called again, SSL_ERROR_WANT_READ when the chunk is used up, or
 * what SSL_read failed with. */
static size_t decrypt(struct sl_conn *c, int *ret_error)
{
    uint8_t *out = c->loop->plain_scratch;
    size_t filled = 0;
    *ret_error = SSL_ERROR_NONE;
    while (filled < SL_LOOP_SCRATCH && *ret_error == SSL_ERROR_NONE) {
        int n = SSL_read(c->tls->ssl, out + filled, (int)(SL_LOOP_SCRATCH - filled));
        if (n <= 0) {
            *ret_error = SSL_get_error(c->tls->ssl, n);
        } else {
            filled += (size_t)n;
            *ret_error = is_used_up(c->tls) ? SSL_ERROR_WANT_READ : SSL_ERROR_NONE;
        }
    }
    return filled;
}

static void read_records(struct sl_conn *c)
{
    int error = SSL_ERROR_NONE;
    while (c->state == SL_CONN_OPEN && error == SSL_ERROR_NONE) {
        size_t len = decrypt(c, &error);
        if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ &&
            error != SSL_ERROR_ZERO_RETURN) {
            break_session(c, "read");
        }
        if (len > 0) {
            sl_conn_take_input(c, c->loop->plain_scratch, len);
        }
    }
    if (c->state != SL_CONN_OPEN) {
        return;
    }
    if (error == SSL_ERROR_ZERO_RETURN) {
        sl_conn_reach_eof(c);
    } else if (c->tls->is_broken) {
        sl_flush_now(c);
        sl_conn_end(c, SL_CONN_END_TLS);
    }
}

void sl_tls_input(struct sl_conn *c, const uint8_t *data, size_t len)
{
    struct sl_tls *tls = c->tls;
    if (tls->is_broken) {
        return;
    }
    tls->in = data;
    tls->in_len = len;
    bool is_ready = tls->is_ready;
    if (!is_ready) {
        is_ready = shake_hands(c);
        ERR_clear_error();
    }
    if (is_ready) {
        read_records(c);
    }
    tls->in = NULL;
    tls->in_len = 0;
    /* Handshake messages, key updates, alerts. */
    if (sl_lent_len(&c->out) > 0 && c->state == SL_CONN_OPEN) {
        sl_conn_mark_dirty(c);
    }
}

void sl_tls_session_begin(struct sl_conn *c)
{
    int rc = SSL_do_handshake(c->tls->ssl);
    if (rc != 1 && SSL_get_error(c->tls->ssl, rc) != SSL_ERROR_WANT_READ) {
        break_session(c, "handshake");
        sl_conn_mark_ready(c);
    }
    ERR_clear_error();
    sl_conn_mark_dirty(c);
}

void sl_tls_seal(struct sl_conn *c)
{
    struct sl_tls *tls = c->tls;
    uint32_t len = sl_lent_len(&tls->plain);
    if (!tls->is_ready || tls->is_broken || len == 0) {
        return;
    }
    /* One call for the whole turn: OpenSSL makes records of 16 KiB. The BIO never blocks. */
    int n = SSL_write(tls->ssl, tls->plain.data + tls->plain.start, (int)len);
    if (n != (int)len) {
        break_session(c, "write");
        ERR_clear_error();
        sl_conn_drop_output(c);
        sl_conn_mark_ready(c);
        return;
    }
    sl_lent_release(&c->loop->lender, &tls->plain);
}

void sl_tls_notify_close(struct sl_conn *c)
{
    struct sl_tls *tls = c->tls;
    if (tls->is_ready && !tls->is_broken && !tls->notify_sent) {
        tls->notify_sent = true;
        SSL_shutdown(tls->ssl);
        ERR_clear_error();
    }
}
