/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readwritesplit: reads to replicas, writes to the primary, session state to all. Private to this
 * folder.
 *
 *   decide.c    pure: what class of target does a statement need? (table D of
 *               docs/internals/readwritesplit.md)
 *   hints.c     a hint in a comment changes the target
 *   select.c    which server of that class, among those connected and connectable
 *   request*.c  a command arrives: decide, select, send, or hold it until a connection is there
 *   prepared.c  prepared statements: our ids, each server's ids, parameter types
 *   reuse.c     a prepared statement serves again after its close
 *   reply.c     a reply is complete: history results, statement ids, measurements
 *   causal*.c   causal_reads: reads that wait for what was written
 *   failure.c   a connection is lost, a server refuses, roles move: retry, answer, or end the
 *               session
 *   optimistic.c  a transaction begins on a replica
 *   replay*.c   transaction replay (replay.h)
 *
 * One struct rws per session, on the session's worker.
 */
#ifndef SL_ROUTER_READWRITESPLIT_RWSPLIT_H
#define SL_ROUTER_READWRITESPLIT_RWSPLIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "conf/tables.h"
#include "core/history.h"
#include "core/session.h"
#include "proto/params.h"
#include "router/readwritesplit/causal.h"

#define RWS_NONE (-1)
#define RWS_SERVERS_MAX 64 /* positions are bits of a mask */

/* Why everything goes to the primary. */
enum rws_lock {
    RWS_LOCK_MULTI_STMT = 1,
    RWS_LOCK_SP_CALL = 2,
    RWS_LOCK_SERIALIZABLE = 4,
    RWS_LOCK_STATE = 8,  /* only the primary has some of the session's state */
    RWS_LOCK_TABLES = 16 /* LOCK TABLES: until they are released */
};

enum rws_target {
    RWS_TARGET_PRIMARY,
    RWS_TARGET_REPLICA,
    RWS_TARGET_ALL,
    RWS_TARGET_LAST,
    RWS_TARGET_TRX,   /* the server of the open READ ONLY transaction */
    RWS_TARGET_FIXED, /* one certain server: cursor, long data */
    RWS_TARGET_HINTED /* the server that a hint names */
};

/* Why a statement goes where it goes. Each has one target; the texts are in decide.c. */
enum rws_rule {
    RWS_RULE_NONE,
    RWS_RULE_COMMAND_ALL,
    RWS_RULE_PREPARE,
    RWS_RULE_AUTOCOMMIT,
    RWS_RULE_GLOBAL,
    RWS_RULE_SESSION_STATE,
    RWS_RULE_USERVAR,
    RWS_RULE_LOCKED,
    RWS_RULE_TRX_READ_ONLY,
    RWS_RULE_TRX_READ_ONLY_PRIMARY,
    RWS_RULE_TRX_READ_ONLY_BEGINS,
    RWS_RULE_TRX_CONTROL,
    RWS_RULE_TRX_OPEN,
    RWS_RULE_AUTOCOMMIT_OFF,
    RWS_RULE_COMMAND_PRIMARY,
    RWS_RULE_COMMAND_READ,
    RWS_RULE_MULTI,
    RWS_RULE_NO_REPLICAS,
    RWS_RULE_TEMP_TABLE,
    RWS_RULE_WRITE,
    RWS_RULE_PRIMARY_READ,
    RWS_RULE_TRX_NEXT,
    RWS_RULE_VARIABLES,
    RWS_RULE_NOT_A_READ,
    RWS_RULE_LAST,
    RWS_RULE_READ,
    /* not of rws_decide(): request.c knows them */
    RWS_RULE_TOO_LONG,
    RWS_RULE_CURSOR,
    RWS_RULE_LONG_DATA,
    RWS_RULE_CAUSAL,
    RWS_RULE_LOCKED_MULTI,
    RWS_RULE_LOCKED_CALL,
    RWS_RULE_LOCKED_SERIALIZABLE,
    RWS_RULE_LOCKED_STATE,
    RWS_RULE_LOCKED_TABLES,
    /* of rws_hint_apply() */
    RWS_RULE_HINT_MASTER,
    RWS_RULE_HINT_SLAVE,
    RWS_RULE_HINT_LAST,
    RWS_RULE_HINT_SERVER,
    RWS_RULE_OPTIMISTIC, /* optimistic.c */
    RWS_RULE_COUNT
};

/* In the type bits of a text PREPARE: what it runs may commit on its way. */
#define RWS_TYPE_MAY_COMMIT (1u << 31)

/* A binary prepared statement of the client; slot i has the id i + 1. */
struct rws_stmt {
    uint32_t type; /* enum sl_sql_type bits of the prepared text; 0 = free slot */
    uint8_t op;
    bool is_multi;
    bool in_use;
    bool is_kept;    /* the client has closed it; it serves again (reuse.c) */
    bool is_closing; /* the client has closed it; kept until the transaction ends (replay) */
    uint16_t generation;
    uint16_t params;
    int16_t cursor;      /* position that holds the open cursor, or RWS_NONE */
    int16_t long_data;   /* position that got SEND_LONG_DATA, or RWS_NONE */
    struct sl_hint hint; /* in force at the PREPARE */
    struct sl_param_types types;
};

/* Median windows for adaptive routing, one per server; allocated only for that criterion. */
#define RWS_SAMPLES 9
struct rws_samples {
    uint32_t sample_us[RWS_SAMPLES];
    uint8_t count;
    uint64_t median_sum_us;
    uint32_t median_count;
};

/* What the sessions of a service share. */
struct rws_instance {
    struct rws_causal_shared causal;
};

/* Replicas that are opened in the background, renew.c. */
struct rws_renewal {
    uint64_t after_ms;  /* not before */
    uint32_t wait_ms;   /* until the next time; grows while servers refuse */
    uint64_t positions; /* connections opened by it that have not the session's state yet */
};

struct rws {
    struct sl_session *session;
    const struct sl_rwsplit_settings *cfg;
    int primary;       /* position of the server that last was our primary, or RWS_NONE */
    int trx_server;    /* of an open transaction, or RWS_NONE */
    int last;          /* of the previous statement */
    int optimistic_on; /* the replica on which optimistic_trx has begun one, or RWS_NONE */
    uint8_t locks;     /* enum rws_lock */
    bool used_get_lock;
    bool is_waiting;     /* a saved command waits for a connection (session is busy) */
    bool is_passed_over; /* the chosen server could not even be tried: choose again */
    bool next_trx_sent;  /* SET TRANSACTION is pending on the primary */
    /* servers whose state cannot be made equal: never again in this session */
    uint64_t bad;
    uint64_t tried;         /* servers that failed for the command in progress */
    uint64_t denied;        /* servers that refused the user when they were tried last */
    uint64_t held_since_ms; /* 0 = nothing is held or waiting */
    struct rws_renewal renewal;
    uint32_t write_order;
    /* the command in progress */
    uint32_t type;
    uint8_t op;
    uint8_t target;      /* enum rws_target */
    uint8_t rule;        /* enum rws_rule */
    bool sends_once;     /* a hint sends it to a replica, and it is no plain read */
    struct sl_hint hint; /* that counts for it */
    int position;        /* that answers the client, RWS_NONE if none yet */
    uint32_t history_id; /* of a session command, 0 otherwise */
    uint32_t slot;       /* of a PREPARE/EXECUTE, slot + 1, 0 otherwise */
    uint8_t *saved;      /* copy for a retry; from the worker's pool if it fits */
    uint32_t saved_len;
    struct sl_history history;
    struct rws_stmt *stmts;
    uint32_t stmt_capacity;
    uint16_t stmt_generation;  /* grows with each PREPARE of the session, also over resets */
    struct rws_reuse *reuse;   /* reuse_prepared_statements only, from the first PREPARE on */
    uint32_t last_slot;        /* of the last PREPARE, slot + 1; 0 if it failed */
    struct sl_map text_stmts;  /* PREPARE name: type bits as a number in the pointer */
    struct sl_map temp_tables; /* "db.table" */
    uint8_t *next_trx;         /* SET TRANSACTION packet */
    uint32_t next_trx_len;
    uint64_t synced_ms;          /* adaptive routing: when the samples were folded in last */
    struct rws_samples *samples; /* [server_count], adaptive routing only */
    struct rws_causal *causal;   /* NULL with causal_reads=none */
    struct rws_replay *replay;   /* transaction_replay only, from the first transaction on */
    /* an autocommitted statement that a server has refused for certain */
    bool may_commit_inside;   /* it may have committed on its way all the same */
    bool is_refused;          /* the connection was given up because of the refusal */
    bool refusal_is_readonly; /* the last ERR spoke of read-only */
    uint64_t refused_since_ms;
    uint32_t refusals;
};

struct rws_replay;
void rws_replay_free(struct rws *r);
size_t rws_replay_memory(const struct rws *r);

/* --- decide.c: pure --------------------------------------------------------------------------- */

struct rws_facts {
    uint8_t command;
    uint32_t type;
    uint8_t op;
    bool is_multi;
    bool reads_temp_table;
    bool has_temp_tables;
    bool is_locked;           /* to the primary */
    bool variables_in_master; /* use_sql_variables_in=master */
    bool no_replicas;         /* max_slave_connections=0 */
    bool has_trx_server;
    const struct sl_trx *trx; /* after sl_trx_statement() */
};
/* The first rule that fits. */
enum rws_rule rws_decide(const struct rws_facts *f);
enum rws_target rws_rule_target(enum rws_rule rule);
const char *rws_rule_text(enum rws_rule rule); /* for the session inspector; static */
/* Must a session command with these bits be replayed on new connections? */
bool rws_belongs_in_history(uint8_t command, uint32_t type, bool is_multi);

/* --- hints.c ---------------------------------------------------------------------------------- */

/* What the hint of a command makes of its rule and target; sets rule, sends_once and hint. `stmt`
 * may be NULL. */
enum rws_target rws_hint_apply(struct rws *r, const struct rws_stmt *stmt, enum rws_rule rule,
                               enum rws_target target);

/* --- renew.c ---------------------------------------------------------------------------------- */

/* Opens replicas up to slave_connections, those with the fewest connections first; nothing waits
 * for them. */
void rws_open_replicas(struct rws *r);
/* The same for a session that reads: a replica that is back is read again by sessions that were
 * open before. Once a second at most, and less often while servers refuse. */
void rws_renew_replicas(struct rws *r);
/* Roles have moved: within a second, each session in its own part of it. */
void rws_renew_soon(struct rws *r);
/* The connection has the session's state, or is lost. Nothing if it was not opened here. */
void rws_renewal_ready(struct rws *r, const struct sl_backend *b);
void rws_renewal_lost(struct rws *r, const struct sl_backend *b);
static inline bool rws_is_renewal(const struct rws *r, const struct sl_backend *b)
{
    return (r->renewal.positions >> b->position) & 1;
}

/* --- select.c --------------------------------------------------------------------------------- */

/* Position of the server that should take writes now: the session's own while it is good, else
 * the best Master; RWS_NONE. */
int rws_select_primary(const struct rws *r);
/* Position of the best server for a read. `slot` != 0: must know this prepared statement if
 * connected. RWS_NONE. */
int rws_select_replica(const struct rws *r, uint32_t slot);
bool rws_is_usable_for_reads(const struct rws *r, int position);
unsigned rws_replica_connections(const struct rws *r);
/* So far behind that even an open connection is given up. */
bool rws_is_too_far_behind(const struct rws *r, int position);

/* --- adaptive.c ------------------------------------------------------------------------------- */

void rws_adaptive_sample(struct rws *r, int position, uint64_t us);
void rws_adaptive_sync(struct rws *r, uint64_t now_ms);

/* --- request*.c ------------------------------------------------------------------------------- */

void rws_on_request(struct sl_session *s, struct sl_request *rq);
/* Routes the saved copy again (after a loss or when a connection got ready). */
void rws_route_saved(struct rws *r);
void rws_drop_saved(struct rws *r);
/* Sends one packet of the client to a backend with its own statement id; purpose and tag as
 * given. SL_E*. */
int rws_send(struct rws *r, struct sl_backend *b, struct sl_request *rq, enum sl_purpose purpose,
             uint32_t tag);
int rws_connect(struct rws *r, int position);
/* Ends the READ ONLY transaction that the replica of the session has open. */
void rws_end_elsewhere(struct rws *r);
/* The session is locked to the primary from now on. */
void rws_lock(struct rws *r, enum rws_lock why);
/* May the session's primary become the server at `position` (RWS_NONE: some server, later)? */
bool rws_can_change_primary(const struct rws *r, int position);

/* --- prepared.c ------------------------------------------------------------------------------- */

#define RWS_TAG_PREPARE 0x80000000u
/* slot + 1, 0 = out of memory */
uint32_t rws_stmt_open(struct rws *r, const struct sl_sql_info *info);
void rws_stmt_close(struct rws *r, uint32_t slot);
struct rws_stmt *rws_stmt_get(struct rws *r, uint32_t id); /* by the client's id, NULL if unknown */
uint32_t rws_stmt_slot(const struct rws *r, const struct rws_stmt *st);
uint32_t rws_stmt_tag(const struct rws *r, uint32_t slot);
/* A PREPARE-OK or ERR of any purpose arrived on a backend. */
void rws_stmt_prepared(struct rws *r, struct sl_backend *b, const struct sl_reply *reply,
                       uint32_t tag);
bool rws_backend_knows(const struct sl_backend *b, uint32_t slot);
void rws_stmts_free(struct rws *r);
/* Must the whole packet be here, since parameter types have to be put in that this server has
 * not seen? */
bool rws_stmt_needs_whole(struct rws *r, const struct sl_backend *b, const struct sl_request *rq);
/* COM_STMT_EXECUTE and relatives to a backend, with its id and, if it lacks them, the types. */
int rws_stmt_send(struct rws *r, struct sl_backend *b, struct sl_request *rq,
                  enum sl_purpose purpose, uint32_t tag);

/* --- reuse.c ---------------------------------------------------------------------------------- */

#define RWS_REUSE_MAX 128             /* statements of a session that may serve again */
#define RWS_REUSE_BYTES_MAX (1 << 20) /* of their answers; one more may exceed it */

struct rws_reuse;
/* A PREPARE of a text that is kept: answers it. False: it has to be sent. */
bool rws_reuse_answer(struct rws *r, const struct sl_request *rq);
/* A PREPARE is about to be sent; the client has got its answer, which was no error. */
void rws_reuse_prepare(struct rws *r);
void rws_reuse_prepared(struct rws *r);
/* COM_STMT_CLOSE. True: the statement is kept; false: it has to be closed. */
bool rws_reuse_close(struct rws *r, struct rws_stmt *st);
/* A command is sent that may change what a text means. */
void rws_reuse_note(struct rws *r, uint8_t command, uint32_t type, bool is_multi);
void rws_reuse_free(struct rws *r);
size_t rws_reuse_memory(const struct rws *r);

/* --- temp_tables.c ---------------------------------------------------------------------------- */

void rws_temp_tables_note(struct rws *r, const uint8_t *sql, size_t len, uint32_t type);
bool rws_temp_tables_read(struct rws *r, const uint8_t *sql, size_t len);

/* --- reply.c, failure.c ----------------------------------------------------------------------- */

void rws_on_reply(struct sl_session *s, struct sl_backend *b, const struct sl_reply *reply,
                  uint8_t purpose);
/* Gives a server up for the rest of the session: it has another state. */
void rws_exclude(struct rws *r, int position, const char *why);
void rws_on_backend_ready(struct sl_session *s, struct sl_backend *b);
bool rws_on_error(struct sl_session *s, struct sl_backend *b, const struct sl_reply *reply);
void rws_on_backend_lost(struct sl_session *s, struct sl_backend *b, const char *why);
void rws_on_topology(struct sl_session *s);
void rws_on_sweep(struct sl_session *s, uint64_t now_ms);
/* 1047 to a statement: a Galera node outside the primary component. (To another command: the server
 * does not know it.) */
bool rws_is_not_ready(const struct sl_reply *reply);
/* Is some connection on its way? `without`: bits of positions that do not count. */
bool rws_is_connecting(const struct sl_session *s, uint64_t without);
/* The command in progress needs a primary and there is none. True if it is held or waits for
 * one. */
bool rws_no_primary(struct rws *r, bool is_saved);
/* A write that the Master's refusal of its user has stopped: true, it is answered. */
bool rws_primary_denies(struct rws *r);
/* The command in progress needs a replica or any server and there is none. */
void rws_no_server(struct rws *r, bool is_saved);

#endif
