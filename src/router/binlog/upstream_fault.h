/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What went wrong on the replica side, what it means, and how long to wait. Pure; any thread.
 *
 * Codes and texts of a primary: replication-protocol.md 6 and 7; sql/sql_repl.cc.
 */
#ifndef SL_ROUTER_BINLOG_UPSTREAM_FAULT_H
#define SL_ROUTER_BINLOG_UPSTREAM_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

enum sl_fault_kind {
    SL_FAULT_NONE,
    SL_FAULT_LOST,      /* refused, reset, silent, ended, shut down: try again */
    SL_FAULT_PROTO,     /* what it sent makes no sense: try again, maybe elsewhere */
    SL_FAULT_DENIED,    /* account or privilege */
    SL_FAULT_TLS,       /* settings or certificate */
    SL_FAULT_SERVER_ID, /* ours is 0, the default, or one of the topology's */
    SL_FAULT_DUPLICATE, /* another replica has our server id */
    SL_FAULT_PURGED,    /* that server no longer has what we need */
    SL_FAULT_AHEAD,     /* that server does not have what we have, yet or ever */
    SL_FAULT_DIVERGED,  /* that server has something else in its place */
    SL_FAULT_REFUSED,   /* another error that will not go away by itself */
    SL_FAULT_STORE,     /* our own files */
    SL_FAULT_SYSTEM     /* memory, threads */
};

/* Codes that a replica shows for what it finds itself. */
enum {
    SL_ER_RELAY_CONNECT = 2003,   /* CR_CONN_HOST_ERROR */
    SL_ER_RELAY_LOST = 2013,      /* CR_SERVER_LOST */
    SL_ER_RELAY_TLS = 2026,       /* CR_SSL_CONNECTION_ERROR */
    SL_ER_RELAY_FATAL = 1593,     /* ER_SLAVE_FATAL_ERROR */
    SL_ER_RELAY_READ = 1595,      /* ER_SLAVE_RELAY_LOG_WRITE_FAILURE: stream cannot be taken */
    SL_ER_RELAY_PURGED = 1236,    /* ER_MASTER_FATAL_ERROR_READING_BINLOG */
    SL_ER_RELAY_DUPLICATE = 4052, /* ER_SLAVE_SAME_ID */
    SL_ER_RELAY_ORDER = 1950,     /* ER_GTID_STRICT_OUT_OF_ORDER */
    SL_ER_RELAY_MEMORY = 1041     /* ER_OUT_OF_RESOURCES */
};

struct sl_fault {
    enum sl_fault_kind kind;
    unsigned code; /* MariaDB's; 0 with NONE */
    char text[512];
};

/* Sets all three; returns a negative SL_E* so that `return sl_fault_set(..)` reads well. */
int sl_fault_set(struct sl_fault *f, enum sl_fault_kind kind, unsigned code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* An ERR packet's code and text. `where` says what was being done ("login", ...). */
int sl_fault_from_server(struct sl_fault *f, const char *where, unsigned code,
                         struct sl_slice message);
enum sl_fault_kind sl_fault_classify(unsigned code, struct sl_slice message);

/* How long to wait before the next attempt, `attempts` (>= 1) having failed like this one after
 * another. */
uint64_t sl_fault_delay_ms(enum sl_fault_kind kind, unsigned attempts);

enum {
    SL_FAULT_DELAY_MS = 1000,
    SL_FAULT_SLOW_DELAY_MS = 10000,
    SL_FAULT_QUICK_ATTEMPTS = 10 /* of those that may well go away: a node that lags behind */
};

#endif
