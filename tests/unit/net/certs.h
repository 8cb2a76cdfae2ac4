/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for the TLS tests: made with OpenSSL, written as PEM files into a fresh
 * directory. */
#ifndef TESTS_UNIT_NET_CERTS_H
#define TESTS_UNIT_NET_CERTS_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cert {
    EVP_PKEY *key;
    X509 *x509;
};

static char cert_dir[64];

static inline const char *cert_path(const char *name)
{
    static char paths[64][128];
    static unsigned next;
    char *path = paths[next++ % 64];
    snprintf(path, sizeof(paths[0]), "%s/%s", cert_dir, name);
    return path;
}

static inline void cert_dir_make(void)
{
    snprintf(cert_dir, sizeof(cert_dir), "/tmp/sealane-test-XXXXXX");
    if (mkdtemp(cert_dir) == NULL) {
        abort();
    }
}

static inline void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    if (e == NULL) {
        abort();
    }
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
}

/* issuer NULL: an authority that signs itself. usage and host may be NULL. */
static inline struct cert cert_make(const char *name, long serial, const struct cert *issuer,
                                    const char *usage, const char *host)
{
    struct cert c = {EVP_EC_gen("P-256"), X509_new()};
    X509_set_version(c.x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c.x509), serial);
    X509_gmtime_adj(X509_getm_notBefore(c.x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(c.x509), 3600);
    X509_set_pubkey(c.x509, c.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c.x509), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509 *parent = issuer != NULL ? issuer->x509 : c.x509;
    X509_set_issuer_name(c.x509, X509_get_subject_name(parent));
    if (issuer == NULL) {
        add_extension(c.x509, parent, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(c.x509, parent, NID_key_usage, "keyCertSign,cRLSign");
    }
    if (usage != NULL) {
        add_extension(c.x509, parent, NID_ext_key_usage, usage);
    }
    if (host != NULL) {
        add_extension(c.x509, parent, NID_subject_alt_name, host);
    }
    X509_sign(c.x509, issuer != NULL ? issuer->key : c.key, EVP_sha256());
    return c;
}

static inline void cert_write(const struct cert *c, const char *name)
{
    char file[64];
    snprintf(file, sizeof(file), "%s.crt", name);
    FILE *out = fopen(cert_path(file), "w");
    PEM_write_X509(out, c->x509);
    fclose(out);
    snprintf(file, sizeof(file), "%s.key", name);
    out = fopen(cert_path(file), "w");
    PEM_write_PrivateKey(out, c->key, NULL, NULL, 0, NULL, NULL);
    fclose(out);
}

/* A revocation list of `issuer` with one serial number (0: none). */
static inline void crl_write(const struct cert *issuer, long serial, const char *name)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -60), *later = X509_gmtime_adj(NULL, 3600);
    X509_CRL_set_version(crl, 1);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509));
    X509_CRL_set1_lastUpdate(crl, now);
    X509_CRL_set1_nextUpdate(crl, later);
    if (serial != 0) {
        X509_REVOKED *revoked = X509_REVOKED_new();
        ASN1_INTEGER *number = ASN1_INTEGER_new();
        ASN1_INTEGER_set(number, serial);
        X509_REVOKED_set_serialNumber(revoked, number);
        X509_REVOKED_set_revocationDate(revoked, now);
        X509_CRL_add0_revoked(crl, revoked);
        ASN1_INTEGER_free(number);
    }
    X509_CRL_sort(crl);
    X509_CRL_sign(crl, issuer->key, EVP_sha256());
    FILE *out = fopen(cert_path(name), "w");
    PEM_write_X509_CRL(out, crl);
    fclose(out);
    ASN1_TIME_free(now);
    ASN1_TIME_free(later);
    X509_CRL_free(crl);
}

static inline void cert_free(struct cert *c)
{
    EVP_PKEY_free(c->key);
    X509_free(c->x509);
}

/* ca, server (localhost, 127.0.0.1), client, other-ca with a server of its own, and lists. */
static inline int certs_start(void **state)
{
    cert_dir_make();
    struct cert ca = cert_make("Test CA", 1, NULL, NULL, NULL);
    struct cert other = cert_make("Other CA", 2, NULL, NULL, NULL);
    struct cert server = cert_make("server", 3, &ca, "serverAuth", "DNS:db.example,IP:127.0.0.1");
    struct cert client = cert_make("client", 4, &ca, "clientAuth", NULL);
    struct cert stranger = cert_make("stranger", 5, &other, NULL, "DNS:db.example");
    cert_write(&ca, "ca");
    cert_write(&other, "other");
    cert_write(&server, "server");
    cert_write(&client, "client");
    cert_write(&stranger, "stranger");
    crl_write(&ca, 0, "empty.crl");
    crl_write(&ca, 3, "server.crl");
    crl_write(&ca, 4, "client.crl");
    FILE *out = fopen(cert_path("garbage.crt"), "w");
    fputs("this is no certificate\n", out);
    fclose(out);
    cert_free(&ca);
    cert_free(&other);
    cert_free(&server);
    cert_free(&client);
    cert_free(&stranger);
    return 0;
}

static inline int certs_end(void **state)
{
    static const char *FILES[] = {"ca.crt",       "ca.key",       "other.crt",  "other.key",
                                  "server.crt",   "server.key",   "client.crt", "client.key",
                                  "stranger.crt", "stranger.key", "empty.crl",  "server.crl",
                                  "client.crl",   "garbage.crt"};
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        unlink(cert_path(FILES[i]));
    }
    return rmdir(cert_dir);
}

#endif
