/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the admin interface wants to know about sessions, gathered from the workers without stopping
 * them: a message goes to each worker, each fills its part, the caller waits with a deadline.
 */
#ifndef SL_CORE_INSPECT_H
#define SL_CORE_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/digests.h"
#include "core/trace.h"

struct sl_core;

struct sl_session_connection_info {
    char server[256];
    uint64_t thread_id;  /* on the server */
    char state[24];      /* "ready", "connecting", ... */
    char tls_cipher[64]; /* "" without TLS */
    bool is_primary;     /* the server is Master now */
    uint32_t pending;    /* replies outstanding */
    uint64_t idle_ms;
    uint64_t memory_bytes;
    uint32_t read_bytes, write_bytes; /* of its buffers */
};

struct sl_statement_reply_info {
    char server[64];
    uint64_t duration_us;
    uint8_t state; /* enum sl_trace_reply_state */
};

/* One of the last statements. */
struct sl_statement_info {
    uint64_t number;
    int64_t received_ms;  /* wall clock */
    uint64_t duration_us; /* so far, while it is not complete */
    uint64_t rows;
    uint16_t error_code;
    uint8_t command;
    bool is_complete;
    bool is_cut;     /* the text is longer than what was kept */
    char target[32]; /* "" if the router does not tell */
    char rule[128];
    unsigned reply_count;
    unsigned more_replies;
    struct sl_statement_reply_info replies[SL_TRACE_SERVERS_MAX];
    char *text;
};

/* A session command or prepared statement that the router keeps. */
struct sl_kept_info {
    uint32_t id; /* of a prepared statement, 0: a session command */
    uint8_t command;
    uint8_t result; /* enum sl_history_result */
    char *text;
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
    unsigned thread;
    bool is_busy;       /* a command is in progress */
    bool is_waiting;    /* ... but waits for a connection */
    char isolation[16]; /* "SERIALIZABLE" or "" */
    /* an estimate of the session's memory, and its parts */
    uint64_t memory_bytes;
    uint64_t memory_client, memory_backends, memory_router, memory_statements;
    uint64_t history_length;
    uint64_t io_activity; /* bytes moved in the last 30 s */
    unsigned connection_count;
    struct sl_session_connection_info *connections;
    unsigned attribute_count; /* pairs: name, value, name, value ... */
    char **attributes;
    unsigned statement_count; /* newest first */
    struct sl_statement_info *statements;
    unsigned kept_count; /* only of one session that was asked for by id */
    struct sl_kept_info *kept;
};

/* A form of statements, of all workers together. */
struct sl_digest_info {
    uint64_t hash;
    char *service; /* NULL: what was thrown out of full tables */
    char *text;
    bool is_cut;
    struct sl_digest_numbers n;
    int64_t first_ms, last_ms; /* wall clock */
};

struct sl_digest_list {
    struct sl_digest_info *rows;
    unsigned count;
    uint64_t thrown_out;
};

/* All sessions, or the one with `only_id` != 0. 0 with a list that the caller frees, SL_ETIMEOUT
 * when a worker did not answer in 2 s. Any thread but a worker. */
int sl_inspect_sessions(struct sl_core *core, uint64_t only_id, struct sl_session_info **ret,
                        unsigned *ret_count);
void sl_inspect_free(struct sl_session_info *list, unsigned count);

/* Digests of all workers, added up. 0 with a list to be cleared by the caller, SL_ETIMEOUT. Any
 * thread but a worker. */
int sl_inspect_digests(struct sl_core *core, struct sl_digest_list *ret);
void sl_inspect_digests_clear(struct sl_digest_list *list);
/* Forgets them. */
int sl_inspect_digests_reset(struct sl_core *core);

/* Ends a session (DELETE /sessions/:id), now or after ttl_s seconds; SL_ENOENT, SL_ETIMEOUT. Any
 * thread but a worker. */
int sl_inspect_kill(struct sl_core *core, uint64_t id, uint32_t ttl_s);

#endif
