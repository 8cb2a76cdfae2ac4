/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the admin interface wants to know about sessions, gathered from the workers without stopping
 * them: a message goes to each worker, each fills its part, the caller waits with a deadline.
 */
#ifndef SL_CORE_INSPECT_H
#define SL_CORE_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

struct sl_core;

struct sl_session_connection_info {
    char server[256];
    uint64_t thread_id; /* on the server */
    char state[24];     /* "ready", "connecting", ... */
    uint32_t pending;   /* replies outstanding */
};

struct sl_session_info {
    uint64_t id;
    char service[256];
    char state[64]; /* "Session started", "Stopping session", ... */
    char user[132];
    char remote[64]; /* address without port; "localhost" for unix sockets */
    uint16_t port;
    char database[256];
    int64_t connected_s; /* wall clock */
    double idle_s;
    char tls_cipher[64];  /* "" without TLS */
    char why_primary[96]; /* "" or why it is locked to the primary */
    bool trx_open, trx_read_only, autocommit;
    uint64_t memory_bytes; /* estimate: structures, history, buffers */
    uint64_t history_length;
    uint64_t io_activity; /* bytes moved in the last 30 s */
    unsigned connection_count;
    struct sl_session_connection_info *connections;
    unsigned attribute_count; /* pairs: name, value, name, value ... */
    char **attributes;
};

/* All sessions, or the one with `only_id` != 0. 0 with a list that the caller frees, SL_ETIMEOUT
 * when a worker did not answer in 2 s. Any thread but a worker. */
int sl_inspect_sessions(struct sl_core *core, uint64_t only_id, struct sl_session_info **ret,
                        unsigned *ret_count);
void sl_inspect_free(struct sl_session_info *list, unsigned count);

/* Ends a session (DELETE /sessions/:id); SL_ENOENT. Any thread but a worker. */
int sl_inspect_kill(struct sl_core *core, uint64_t id);

#endif
