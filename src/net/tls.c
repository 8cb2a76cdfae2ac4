/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS contexts: certificates, keys and rules of a listener or a server, as an OpenSSL SSL_CTX.
 *
 * Made by the control thread; workers hold references and make sessions of it (tls_session.c), so a
 * reload of certificates is a new context: running sessions keep the old one until they end.
 */
#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "net/tls_session.h"

struct sl_tls_context {
    SSL_CTX *ssl;
    atomic_uint refs;
    bool is_server;
    bool verify_host;
};

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

void sl_tls_error_take(char *out, size_t size)
{
    unsigned long code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    if (reason != NULL) {
        snprintf(out, size, "%s", reason);
    } else if (code != 0) {
        ERR_error_string_n(code, out, size); /* system errors have no reason string */
    } else {
        snprintf(out, size, "unexpected end");
    }
    ERR_clear_error();
}

static int fail(struct sl_err *err, const char *what, const char *file)
{
    char reason[160];
    sl_tls_error_take(reason, sizeof(reason));
    return sl_err_set(err, SL_ETLS, "%s '%s': %s", what, file, reason);
}

static int set_versions(SSL_CTX *ssl, unsigned mask, struct sl_err *err)
{
    static const struct {
        unsigned bit;
        int version;
        uint64_t off;
    } VERSIONS[] = {
        {SL_TLS_V10, TLS1_VERSION, SSL_OP_NO_TLSv1},
        {SL_TLS_V11, TLS1_1_VERSION, SSL_OP_NO_TLSv1_1},
        {SL_TLS_V12, TLS1_2_VERSION, SSL_OP_NO_TLSv1_2},
        {SL_TLS_V13, TLS1_3_VERSION, SSL_OP_NO_TLSv1_3},
    };
    if (mask == 0) {
        return SL_OK;
    }
    int min = 0;
    for (size_t i = 0; i < SL_ARRAY_LEN(VERSIONS); i++) {
        if ((mask & VERSIONS[i].bit) == 0) {
            SSL_CTX_set_options(ssl, VERSIONS[i].off);
        } else if (min == 0) {
            min = VERSIONS[i].version;
        }
    }
    if (min == 0 || SSL_CTX_set_min_proto_version(ssl, min) != 1) {
        return sl_err_set(err, SL_EINVAL, "No usable TLS version is allowed");
    }
    if (min < TLS1_2_VERSION) {
        /* OpenSSL 3 allows SHA-1 signatures, which these versions need, at level 0 only
         * (SSL_CTX_set_security_level(3)). */
        SSL_CTX_set_security_level(ssl, 0);
    }
    return SL_OK;
}

/* Extended key usage, when the certificate has any, must allow the role it is given. */
static int check_usage(SSL_CTX *ssl, const struct sl_tls_config *config, struct sl_err *err)
{
    X509 *cert = SSL_CTX_get0_certificate(ssl);
    if ((X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) == 0) {
        return SL_OK;
    }
    uint32_t needed = config->is_server ? XKU_SSL_SERVER : XKU_SSL_CLIENT;
    if ((X509_get_extended_key_usage(cert) & (needed | XKU_ANYEKU)) == 0) {
        return sl_err_set(err, SL_ETLS,
                          "Certificate '%s' may not be used for a TLS %s: its extended key usage "
                          "lacks %s",
                          config->cert, config->is_server ? "listener" : "client",
                          config->is_server ? "serverAuth" : "clientAuth");
    }
    return SL_OK;
}

static int load_own(SSL_CTX *ssl, const struct sl_tls_config *config, struct sl_err *err)
{
    if (is_set(config->cert) != is_set(config->key)) {
        return sl_err_set(err, SL_EINVAL, "A TLS certificate needs a key and vice versa");
    }
    if (!is_set(config->cert)) {
        return config->is_server
                   ? sl_err_set(err, SL_EINVAL, "A TLS listener needs a certificate and a key")
                   : SL_OK;
    }
    if (SSL_CTX_use_certificate_chain_file(ssl, config->cert) != 1) {
        return fail(err, "Cannot use TLS certificate", config->cert);
    }
    if (SSL_CTX_use_PrivateKey_file(ssl, config->key, SSL_FILETYPE_PEM) != 1) {
        /* Loading the key checks it against the certificate. */
        return fail(err, "Cannot use TLS private key", config->key);
    }
    if (SSL_CTX_check_private_key(ssl) != 1) {
        return fail(err, "TLS private key does not match the certificate", config->key);
    }
    return check_usage(ssl, config, err);
}

static int load_trust(SSL_CTX *ssl, const struct sl_tls_config *config, struct sl_err *err)
{
    if (is_set(config->ca)) {
        if (SSL_CTX_load_verify_file(ssl, config->ca) != 1) {
            return fail(err, "Cannot use TLS certificate authority", config->ca);
        }
        if (config->is_server) {
            SSL_CTX_set_client_CA_list(ssl, SSL_load_client_CA_file(config->ca));
        }
    } else if (config->verify_peer) {
        SSL_CTX_set_default_verify_paths(ssl);
    }
    if (is_set(config->crl)) {
        X509_STORE *store = SSL_CTX_get_cert_store(ssl);
        X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
        if (lookup == NULL || X509_load_crl_file(lookup, config->crl, X509_FILETYPE_PEM) < 1) {
            return fail(err, "Cannot use TLS revocation list", config->crl);
        }
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    }
    return SL_OK;
}

static void set_verification(SSL_CTX *ssl, const struct sl_tls_config *config)
{
    int mode = SSL_VERIFY_NONE;
    if (config->verify_peer) {
        mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT | SSL_VERIFY_CLIENT_ONCE;
    } else if (config->is_server && is_set(config->ca)) {
        /* Asked for, not demanded: accounts with REQUIRE X509 need one, others do not. */
        mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE;
    }
    SSL_CTX_set_verify(ssl, mode, NULL);
    if (config->verify_depth > 0) {
        SSL_CTX_set_verify_depth(ssl, config->verify_depth);
    }
}

static int configure(SSL_CTX *ssl, const struct sl_tls_config *config, struct sl_err *err)
{
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    static const unsigned char ID[] = "sealane";
    SSL_CTX_set_session_id_context(ssl, ID, sizeof(ID) - 1);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* tickets need no memory here */
    int rc = set_versions(ssl, config->version_mask, err);
    if (rc == SL_OK && is_set(config->cipher) &&
        SSL_CTX_set_cipher_list(ssl, config->cipher) != 1) {
        rc = fail(err, "Cannot use TLS cipher list", config->cipher);
    }
    if (rc == SL_OK) {
        rc = load_own(ssl, config, err);
    }
    if (rc == SL_OK) {
        rc = load_trust(ssl, config, err);
    }
    if (rc == SL_OK) {
        set_verification(ssl, config);
    }
    return rc;
}

int sl_tls_context_new(const struct sl_tls_config *config, struct sl_tls_context **ret_ctx,
                       struct sl_err *err)
{
    ERR_clear_error();
    struct sl_tls_context *ctx = sl_calloc(1, sizeof(*ctx));
    SSL_CTX *ssl = SSL_CTX_new(config->is_server ? TLS_server_method() : TLS_client_method());
    int rc;
    if (ctx == NULL || ssl == NULL) {
        rc = sl_err_set(err, SL_ENOMEM, "No memory for a TLS context");
    } else {
        rc = configure(ssl, config, err);
    }
    ERR_clear_error();
    if (rc != SL_OK) {
        SSL_CTX_free(ssl);
        sl_free(ctx);
        return rc;
    }
    ctx->ssl = ssl;
    ctx->is_server = config->is_server;
    ctx->verify_host = config->verify_host && !config->is_server;
    atomic_init(&ctx->refs, 1);
    *ret_ctx = ctx;
    return SL_OK;
}

struct sl_tls_context *sl_tls_context_ref(struct sl_tls_context *ctx)
{
    if (ctx != NULL) {
        atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
    }
    return ctx;
}

void sl_tls_context_unref(struct sl_tls_context *ctx)
{
    if (ctx != NULL && atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel) == 1) {
        SSL_CTX_free(ctx->ssl);
        sl_free(ctx);
    }
}

SSL_CTX *sl_tls_context_ssl(struct sl_tls_context *ctx)
{
    return ctx->ssl;
}

bool sl_tls_context_is_server(const struct sl_tls_context *ctx)
{
    return ctx->is_server;
}

bool sl_tls_context_verifies_host(const struct sl_tls_context *ctx)
{
    return ctx->verify_host;
}
