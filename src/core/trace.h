/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last statements of a session: a ring of entries, the newest replacing the oldest. Pure; one
 * per session, on its worker. Nothing is allocated once every entry's text buffer has grown to what
 * its statements need.
 */
#ifndef SL_CORE_TRACE_H
#define SL_CORE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define SL_TRACE_TEXT_MAX 4096       /* bytes kept of a statement */
#define SL_TRACE_STATEMENTS_MAX 1000 /* kept per session, whatever the setting says */
#define SL_TRACE_SERVERS_MAX 8       /* of one statement whose answers are kept */
#define SL_TRACE_LOOK_BACK 16        /* statements whose late answers are still taken */

enum sl_trace_reply_state {
    SL_TRACE_PENDING,
    SL_TRACE_OK,
    SL_TRACE_ERROR,
    SL_TRACE_LOST /* the connection broke, or the statement was sent elsewhere */
};

struct sl_trace_reply {
    uint16_t position; /* of the server in the service */
    uint8_t state;     /* enum sl_trace_reply_state */
    uint64_t duration_us;
};

/* How the router chose. `position`: the server that the rule names, or -1. */
struct sl_route {
    uint8_t rule; /* the router's */
    int16_t position;
};

struct sl_trace_entry {
    uint64_t number; /* of the statement in its session, from 1 */
    int64_t received_ms;
    uint64_t begun_us; /* monotonic */
    uint64_t duration_us;
    uint64_t rows;
    uint16_t error_code; /* of the answer, 0 = none */
    uint8_t command;
    bool is_complete;
    bool has_route;
    struct sl_route route;
    uint8_t reply_count;
    uint8_t more_replies; /* servers beyond SL_TRACE_SERVERS_MAX */
    struct sl_trace_reply replies[SL_TRACE_SERVERS_MAX];
    uint32_t text_len;
    uint32_t full_len; /* of the statement before it was cut */
    uint32_t text_capacity;
    char *text;
};

struct sl_trace {
    struct sl_trace_entry *entries; /* [capacity] */
    unsigned capacity;
    unsigned count;
    unsigned newest; /* index; meaningless while count is 0 */
    uint64_t next_number;
};

/* Changes the number of entries and keeps the newest ones; 0 frees all. SL_ENOMEM: as before. */
int sl_trace_resize(struct sl_trace *t, unsigned capacity);
void sl_trace_clear(struct sl_trace *t);

/* A new entry in place of the oldest. Only with a capacity. */
struct sl_trace_entry *sl_trace_begin(struct sl_trace *t, uint8_t command, int64_t received_ms,
                                      uint64_t now_us);
/* Copies the text, cut. Without memory there is none. */
void sl_trace_text(struct sl_trace_entry *e, struct sl_slice text);
/* The statement goes to this server. For the client's answer, one that was pending is given up. */
void sl_trace_sent(struct sl_trace_entry *e, unsigned position);
/* A server has answered the oldest statement that it still owes an answer for. */
void sl_trace_replied(struct sl_trace *t, unsigned position, bool is_error, uint64_t now_us);
/* It will not answer any more. */
void sl_trace_lost(struct sl_trace *t, unsigned position, uint64_t now_us);
void sl_trace_end(struct sl_trace_entry *e, uint64_t now_us);

/* The i-th newest entry, NULL beyond. */
struct sl_trace_entry *sl_trace_at(const struct sl_trace *t, unsigned i);
size_t sl_trace_memory(const struct sl_trace *t);

/* True if the text may hold a password: it must not be shown as it is. */
bool sl_trace_is_secret(struct sl_slice text);

#endif
