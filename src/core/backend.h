/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of a session to one server: connect, TLS, authenticate, then commands and their
 * replies.
 *
 *   CONNECTING -> GREETING -> (SECURING) -> AUTHENTICATING -> INIT -> READY -> CLOSED
 *
 * Replies come in the order of the commands; the queue holds what is expected: the command byte (it
 * decides the shape of the reply) and the purpose (who wants it). Lives on the session's worker;
 * memory belongs to the session and is given back when the connection is released.
 */
#ifndef SL_CORE_BACKEND_H
#define SL_CORE_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "net/conn.h"
#include "proto/reply.h"

struct sl_session;
struct sl_server;

enum sl_backend_step {
    SL_BACKEND_CONNECTING,
    SL_BACKEND_GREETING, /* waiting for the server's greeting */
    SL_BACKEND_SECURING, /* TLS handshake */
    SL_BACKEND_AUTHENTICATING,
    SL_BACKEND_INIT, /* connection_init_sql */
    SL_BACKEND_READY,
    SL_BACKEND_CLOSED /* lost or closed; waits for its release */
};

/* Who wants a reply. */
enum sl_purpose {
    SL_PURPOSE_CLIENT, /* forwarded to the client */
    /* a session command whose reply another backend delivers; OK/ERR is compared */
    SL_PURPOSE_IGNORE,
    SL_PURPOSE_HISTORY,  /* replay of the session's state on a new connection */
    SL_PURPOSE_INIT,     /* connection_init_sql */
    SL_PURPOSE_REPLAY,   /* a statement of a transaction that is run again: shown to on_bytes */
    SL_PURPOSE_INTERNAL, /* keep-alive ping, ROLLBACK of an orphaned transaction, ...: dropped */
    SL_PURPOSE_PROBE     /* the router's own question: it gets the bytes (on_probe) */
};

struct sl_expected {
    uint8_t command;
    uint8_t purpose;
    /* the command takes several packets: the reply's first sequence number is not 1 */
    bool any_seq;
    uint32_t tag; /* the router's: history id, statement slot */
};

/* A prepared statement on one server. */
struct sl_backend_stmt {
    uint32_t id;        /* the server's; 0 = not prepared there */
    bool has_types;     /* the server has seen the parameter types */
    bool has_long_data; /* the server has got SEND_LONG_DATA for the next execution */
};

#define SL_BACKEND_QUEUE_INLINE 4

struct sl_backend {
    struct sl_conn conn;
    struct sl_session *session;
    struct sl_server *server;
    /* of the server in the service's list, and in session->backends */
    unsigned position;
    uint8_t step;
    bool is_counted;           /* in the server's connection counter */
    bool is_measuring;         /* sent_us belongs to the running client statement */
    bool is_read;              /* ... which is a read */
    bool is_paused_for_client; /* reading stopped until the client takes its output */
    uint8_t auth_rounds;
    uint16_t queue_count; /* replies expected, the current one included */
    uint16_t queue_head;
    uint16_t queue_capacity;
    struct sl_expected *queue; /* inline_queue or allocated */
    struct sl_expected inline_queue[SL_BACKEND_QUEUE_INLINE];
    struct sl_reply reply; /* of queue[head] */
    const uint8_t *piece;  /* the bytes being fed to it */
    uint64_t thread_id;    /* of the server's greeting: CONNECTION_ID() there */
    uint64_t server_capabilities;
    uint8_t scramble[20]; /* of the server's greeting */
    uint64_t sent_us;
    uint64_t last_used_ms;  /* for keep-alive */
    uint64_t step_since_ms; /* for deadlines */
    uint16_t history_left;  /* the router's: history replies still to come */
    /* the router's: what this server knows of each prepared statement slot */
    struct sl_backend_stmt *stmts;
    uint32_t stmt_capacity;
    /* the server stands for a service: the session at the other end, until either closes */
    struct sl_session *inner;
    uint32_t write_order; /* the router's: when it was last written to */
    char why[160];        /* last error text, for logs and the client's ERR */
    uint16_t why_code;    /* MariaDB code of a refusal, 0 = none */
};

/* Opens a connection to the server for the session and puts it into session->backends[position].
 * SL_OK: on_backend_ready or on_backend_lost follows, never from inside this call. SL_ESYS,
 * SL_ENOMEM, SL_ELIMIT (max_routing_connections): not started. */
int sl_backend_open(struct sl_session *s, unsigned position);

/* Closes it without telling the router; a clean one says COM_QUIT. A statement still running
 * there is killed on the server (core/kill.h). The slot in session->backends is empty
 * afterwards. */
void sl_backend_close(struct sl_backend *b);

/* Sends a whole command (header included; several packets for one logical command) and expects
 * its reply. SL_OK or SL_ENOMEM. */
int sl_backend_send(struct sl_backend *b, const void *packet, size_t len, enum sl_purpose purpose,
                    uint32_t tag);
/* More bytes of the command sent last. */
int sl_backend_send_more(struct sl_backend *b, const void *data, size_t len);

/* A command whose reply nobody was to get (SL_PURPOSE_IGNORE) becomes the client's, because the
 * backend that should have answered is lost. False if no such reply is expected here, or if it
 * has begun already. */
bool sl_backend_take_over(struct sl_backend *b, uint8_t command, uint32_t tag);

/* The reply to the client's command, expected here, is dropped when it comes: the router answers
 * in another way. Only before any of it has come; else, or if none is expected, false. */
bool sl_backend_disown(struct sl_backend *b);

static inline bool sl_backend_is_ready(const struct sl_backend *b)
{
    return b && b->step == SL_BACKEND_READY;
}
/* No reply outstanding. */
static inline bool sl_backend_is_idle(const struct sl_backend *b)
{
    return b->queue_count == 0;
}
/* The purpose of the reply being received; only when not idle. */
enum sl_purpose sl_backend_purpose(const struct sl_backend *b);

/* For core itself. */
void sl_backend_lost(struct sl_backend *b, const char *why);
void sl_backend_start_reply(struct sl_backend *b);
void sl_backend_authenticated(struct sl_backend *b);
/* backend_auth.c */
size_t sl_backend_auth_data(struct sl_backend *b, const uint8_t *data, size_t len);
void sl_backend_auth_secured(struct sl_backend *b);
const char *sl_backend_step_text(enum sl_backend_step step);

#endif
