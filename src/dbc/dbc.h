/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control-plane SQL client over libmariadb: the only place that sees mysql.h.
 *
 * Blocking calls with deadlines, for probe threads, the user-account loader and other control
 * threads; never for workers. One connection belongs to one thread at a time.
 */
#ifndef SL_DBC_DBC_H
#define SL_DBC_DBC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct sl_dbc;
struct sl_dbc_result;

struct sl_dbc_config {
    const char *host; /* or NULL with socket */
    uint16_t port;
    /* tried first when not 0; falls back to port when refused or full */
    uint16_t extra_port;
    const char *socket;
    const char *local_address; /* NULL = any */
    const char *user;
    const char *password;
    const char *database; /* NULL = none */
    uint32_t connect_timeout_ms;
    uint32_t read_timeout_ms;
    uint32_t write_timeout_ms;
    bool proxy_header; /* send "PROXY UNKNOWN" before the handshake */
    bool tls;
    const char *tls_cert, *tls_key, *tls_ca, *tls_cipher, *tls_version;
    bool tls_verify_peer, tls_verify_host;
    /* an eventfd: once readable, every call in progress fails with SL_ETIMEOUT at once; 0 = none */
    int cancel_fd;
};

/* Timeouts are exact to a few milliseconds, also against a server that is frozen or never says a
 * word; 0 = no limit. The deadline of a call covers the whole call (a statement: sending and its
 * complete result). Only the resolver may take longer when `host` is a name. tls_version: "MAX" or
 * NULL, or a list like "TLSv1.2,TLSv1.3" ("TLSv12" works too).
 *
 * Connects within connect_timeout_ms. On failure: SL_EAUTH (access denied: 1045, 1698, 4151,
 * 1044 ...), SL_ETIMEOUT, SL_ESYS (refused, unreachable, reset), SL_ETLS, SL_ELIMIT (1040, 1129,
 * 1203, 1226), SL_EPROTO; text names server, code, reason, never the password. */
int sl_dbc_connect(const struct sl_dbc_config *config, struct sl_dbc **ret, struct sl_err *err);
/* NULL is a no-op; never blocks for long, also on a frozen server */
void sl_dbc_close(struct sl_dbc *dbc);

/* COM_PING within the read timeout. */
int sl_dbc_ping(struct sl_dbc *dbc, struct sl_err *err);

/* Runs one statement; *ret is NULL for statements without a result set (pass NULL to discard).
 * SL_ESYS or SL_ETIMEOUT: the connection is unusable; SL_EINVAL: the server refused the
 * statement, sl_dbc_errno() tells the code, the connection is good. */
int sl_dbc_query(struct sl_dbc *dbc, const char *sql, struct sl_dbc_result **ret,
                 struct sl_err *err);

/* The whole result is in memory. */
/* to the next row; the first call goes to the first */
bool sl_dbc_next(struct sl_dbc_result *r);
/* NUL-terminated; NULL for SQL NULL or no such column */
const char *sl_dbc_value(const struct sl_dbc_result *r, unsigned column);
/* -1 if absent; case-insensitive */
int sl_dbc_column_index(const struct sl_dbc_result *r, const char *name);
void sl_dbc_result_free(struct sl_dbc_result *r);

/* MariaDB error code of the last call, 0 = none */
unsigned sl_dbc_errno(const struct sl_dbc *dbc);
/* "10.11.19-MariaDB-..." without the 5.5.5- prefix */
const char *sl_dbc_version(const struct sl_dbc *dbc);
uint64_t sl_dbc_thread_id(const struct sl_dbc *dbc);

/* Once per process / per thread around any use (libmariadb's own needs). */
int sl_dbc_library_init(void);
void sl_dbc_library_end(void);
void sl_dbc_thread_end(void);

#endif
