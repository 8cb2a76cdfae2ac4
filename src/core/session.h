/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session: one client connection, its protocol state, and its connections to servers. Born and
 * dying on one worker.
 *
 *      client bytes                                                   server bytes
 *   ---------------> session_command.c: frames commands -> router.on_request -> backend.c
 *   ------------->
 *   <--------------- session_reply.c: tracks and forwards replies <-------- backend.c
 *   <-------------
 *
 * One command of the client is in progress at a time (`busy`); pipelined ones wait in the client
 * connection's input.
 *
 * Contract with the router: on_request gets each command that the session does not answer itself
 * and does exactly one of
 *   - sl_backend_send(.., SL_PURPOSE_CLIENT, ..) to one backend (and SL_PURPOSE_IGNORE to others),
 *     which makes the session busy until the reply has gone to the client; for a command without
 *     reply nothing becomes busy;
 *   - sl_session_answer_error() / sl_session_answer_ok();
 *   - sl_session_hold(): it cannot be routed now; the same command is presented again after
 *     sl_session_unhold();
 *   - sl_session_close().
 * A command whose bytes are not all there (rq->is_whole false) may go to one backend only; the
 * session passes the rest on to it.
 */
#ifndef SL_CORE_SESSION_H
#define SL_CORE_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/list.h"
#include "core/backend.h"
#include "core/service.h"
#include "core/worker.h"
#include "net/conn.h"
#include "net/proxy_header.h"
#include "sql/hint.h"
#include "sql/trx.h"

struct sl_login_state;
struct sl_recorder;

/* Ids of server threads that a client was shown and that are remembered, for its KILL. */
#define SL_SESSION_TOLD_MAX 4

enum sl_session_step {
    SL_SESSION_PROXY_HEADER, /* waiting for a PROXY header */
    SL_SESSION_GREETED,      /* waiting for SSLRequest or HandshakeResponse */
    SL_SESSION_SECURING,
    SL_SESSION_LOGIN,       /* password exchange, maybe waiting for an account reload */
    SL_SESSION_READY,       /* commands */
    SL_SESSION_CHANGE_USER, /* COM_CHANGE_USER dialogue */
    SL_SESSION_GHOST,       /* no client: a helper that kills statements on servers */
    SL_SESSION_CLOSING
};

#define SL_REPLY_COPY_MAX 65536 /* bytes of a reply that are copied for the router */

struct sl_request {
    const uint8_t *data;  /* from the packet header on */
    size_t len;           /* bytes that are there */
    uint32_t payload_len; /* of the first packet */
    uint8_t command;
    bool is_whole; /* all of the logical command is in data */
};

/* What is needed to log in to servers as this client. */
struct sl_credentials {
    char *user;     /* on the servers (after user mapping) */
    uint8_t h1[20]; /* SHA1(password); wiped */
    bool has_password;
    /* plain, from a user mapping: for ed25519 accounts; NULL otherwise; wiped */
    char *mapped_password;
};

struct sl_session {
    struct sl_conn client;
    struct sl_list node; /* worker->sessions */
    struct sl_worker *worker;
    struct sl_service *service;
    struct sl_listener *listener;    /* NULL for ghosts */
    const struct sl_router_ops *ops; /* service->ops, or a ghost's own */
    void *router;                    /* the router's session */
    uint64_t id;
    uint8_t step;
    bool busy; /* a command is in progress */
    /* the router could not route the command in the client's input */
    bool held;
    bool is_streaming;     /* the rest of the current command goes to stream_to */
    bool is_infile;        /* client packets are a LOCAL INFILE */
    bool multi_statements; /* COM_SET_OPTION or capability */
    bool is_killed;
    /* the client has got only part of a packet: no ERR can be sent */
    bool is_mid_packet;
    bool is_routing; /* inside ops->on_request: the client waits for an answer */
    /* the router needs all of the command's packet before it can route it */
    bool wants_whole;
    /* the filters have seen the command in the client's input: it comes again */
    bool is_filtered;
    bool allows_infile; /* the command in progress may ask for a local file */
    bool taps_replies;  /* the router's: ops->on_bytes wants to see them */
    /* the router's: no commands from now on; each packet of the client, whatever its first byte,
     * goes to ops->on_request (at most 1 KiB), also while the output is full, and is not answered.
     * wait_timeout and net_write_timeout do not count. */
    bool is_raw;
    /* the router's, set before a backend is opened: session tracking is asked of the servers
     * whatever the client asked for, and ... */
    bool wants_state;
    /* ... a client that did ask does not hear of this variable; NULL: of all */
    const char *hidden_variable;
    uint8_t command;       /* in progress or last */
    uint8_t next_seq;      /* sequence number of our next packet to the client */
    uint8_t sql_mode_bits; /* enum sl_sql_mode_bits */
    uint8_t collation;     /* id of the login, low byte */
    /* For KILL (kill.c): enum sl_sql_thread_ids of the command in progress ... */
    uint8_t shows_ids;
    uint8_t prepared_ids; /* ... and of what was ever prepared */
    uint8_t told_next;    /* where the next one goes in told[] */
    uint16_t listed;      /* server whose process list was shown last: its position + 1 */
    uint32_t told[SL_SESSION_TOLD_MAX]; /* what CONNECTION_ID() returned; 0 = none */
    uint16_t change_user_fails;
    uint64_t capabilities; /* negotiated with the client */
    uint32_t client_max_packet;
    uint32_t stream_left;         /* payload bytes of the current packet still to come */
    bool stream_more;             /* ... and another packet of the same command follows */
    struct sl_backend *stream_to; /* NULL: the rest is dropped */
    uint8_t *late_answer; /* a packet of ours; it waits for the end of the client's command */
    struct sl_trx trx;
    struct sl_credentials credentials;
    char *client_user;   /* as the client called itself */
    char *db;            /* current database, NULL = none */
    char *pending_db;    /* of a USE or INIT_DB in progress */
    uint8_t *attributes; /* connection attributes as received */
    uint32_t attributes_len;
    uint8_t scramble[20];
    struct sockaddr_storage peer;
    struct sl_login_state *login; /* while logging in */
    struct sl_recorder *recorder; /* of the inspector; NULL: nothing is recorded */
    int64_t connected_s;
    uint64_t active_ms; /* last activity of the client */
    uint64_t step_since_ms;
    uint64_t ends_at_ms;     /* the admin's wish (DELETE with ttl); 0: none */
    uint64_t stuck_since_ms; /* net_write_timeout: output has been this long since then */
    size_t stuck_bytes;
    uint64_t bytes_moved;
    struct sl_list waiting_node; /* auth: on the worker's list while waiting for accounts */
    uint32_t live_conns;         /* not yet released: client + backends */
    uint32_t max_allowed_packet; /* of the servers; 0 = unknown */
    /* the router's: put into the PREPARE-OK of the command in progress; 0 = as the server says */
    uint32_t prepare_id;
    /* the router's, for one reply: what the client gets is appended. NULL again when it became longer
     * than SL_REPLY_COPY_MAX, when memory ran out, and with the end of the command */
    struct sl_buf *reply_copy;
    struct sl_hint hint; /* of the command in progress, from a filter; zero: none */
    /* id of the session of the client behind it all: its own, unless it is an inner session */
    uint64_t origin_id;
    /* an inner session: the backend that is its client, until either closes (core/target.h) */
    struct sl_backend *outer;
    void **filters; /* [service->filter_count]: each filter's own; NULL without filters */
    unsigned backend_count;
    struct sl_backend *backends[]; /* [service->server_count], NULL = not connected */
};

/* --- for routers ------------------------------------------------------------------------------ */

/* Ends the client's command with an ERR (or OK). Only while it is in progress and no byte of a
 * reply has gone out. If the client is still sending the command, the packet goes out behind the
 * last of it, as a server's would. */
void sl_session_answer_error(struct sl_session *s, uint16_t code, const char *sqlstate,
                             const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void sl_session_answer_ok(struct sl_session *s);
/* With packets as they are, sequence numbers from 1 on. */
void sl_session_answer_packets(struct sl_session *s, const void *packets, size_t len);

/* See the contract above. `unhold` presents the command again at the next turn. */
void sl_session_hold(struct sl_session *s);
void sl_session_unhold(struct sl_session *s);

/* Inside on_request, for a command that is not whole: it comes again when all of its packet is
 * here. False: it takes several packets, that is more than will be kept. */
bool sl_session_want_whole(struct sl_session *s);

/* Marks a retained command as in progress although nothing was sent yet (the router waits for a
 * connection and will send its own copy). */
void sl_session_begin(struct sl_session *s);

/* Closes client and backends; the session is freed when all are released. `why` goes to the log
 * at info level (NULL: nothing). */
void sl_session_close(struct sl_session *s, const char *why);
/* The same, after telling the client: an ERR if the protocol allows one now. */
void sl_session_fail(struct sl_session *s, uint16_t code, const char *sqlstate, const char *fmt,
                     ...) __attribute__((format(printf, 4, 5)));

struct sl_service_counters *sl_session_counters(struct sl_session *s);
struct sl_server_counters *sl_backend_counters(struct sl_backend *b);

/* --- within core ------------------------------------------------------------------------------ */

void sl_session_accept(struct sl_listener *l, struct sl_worker *w, int fd,
                       const struct sockaddr_storage *peer);
/* Makes the inner session of a backend to a service (core/target.h) with `fd` as its client.
 * SL_OK, SL_ENOMEM, SL_ESYS, SL_ELIMIT (max_connections); the descriptor is closed on failure. */
int sl_session_new_inner(struct sl_backend *outer, int fd);
static inline bool sl_session_is_inner(const struct sl_session *s)
{
    return s->origin_id != s->id;
}
/* session_login.c */
size_t sl_session_login_data(struct sl_session *s, const uint8_t *data, size_t len);
void sl_session_login_start(struct sl_session *s);
void sl_session_login_secured(struct sl_session *s);
void sl_session_login_clear(struct sl_session *s);
/* session_command.c: commands as long as there are any and the previous one is answered; returns
 * the bytes used */
size_t sl_session_commands(struct sl_session *s, const uint8_t *data, size_t len);
/* session_answer.c: the command that was answered before its end is all here */
void sl_session_send_late_answer(struct sl_session *s);
/* session_local.c; true = handled */
bool sl_session_local_command(struct sl_session *s, struct sl_request *rq);
void sl_session_change_user_start(struct sl_session *s, struct sl_request *rq);
/* session_reply.c */
size_t sl_session_backend_data(struct sl_backend *b, const uint8_t *data, size_t len);
void sl_session_command_done(struct sl_session *s);
/* Closes it as an administrator's KILL does. */
void sl_session_kill(struct sl_session *s);
void sl_session_sweep(struct sl_session *s, uint64_t now_ms);
void sl_session_conn_released(struct sl_session *s);
/* A closing session whose peers do not take their last bytes: drops them. */
void sl_session_abort(struct sl_session *s);
/* A session without a client for helpers: credentials are copied from `like`. NULL when memory
 * is out. */
struct sl_session *sl_session_new_ghost(struct sl_session *like, const struct sl_router_ops *ops);

#endif
