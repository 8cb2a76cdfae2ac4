/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transaction replay of one session: what is recorded, and how it is run again. Private to this
 * folder; the rules are in docs/internals/transaction-replay.md.
 *
 *   replay_record.c   the open transaction: log, checksums of replies as they pass
 *   replay.c          the server is lost or refuses: run the log on another one
 *
 * struct rws_replay exists only under transaction_replay, from the session's first transaction on.
 * Invariants: R1 is_pending: the last entry of the log is the command under way, unanswered.
 *             R2 why_not != NULL: the log is empty and stays so until the transaction ends.
 *             R3 step != IDLE: the session is busy with the pending command, or holds the next one.
 */
#ifndef SL_ROUTER_READWRITESPLIT_REPLAY_H
#define SL_ROUTER_READWRITESPLIT_REPLAY_H

#include "router/readwritesplit/replay_log.h"
#include "router/readwritesplit/rwsplit.h"

enum rws_replay_step {
    RWS_REPLAY_IDLE,
    RWS_REPLAY_WAITING, /* for a server */
    RWS_REPLAY_RUNNING
};

/* What the command under way does to the transaction. */
enum rws_ending {
    RWS_ENDING_NOT,
    RWS_ENDING_COMMIT,   /* COMMIT, plain or AND CHAIN */
    RWS_ENDING_IMPLICIT, /* DDL, BEGIN, SET autocommit=1 */
    RWS_ENDING_UNKNOWN,  /* CALL, several statements ..: it may have committed on its way */
    RWS_ENDING_ROLLBACK
};

struct rws_replay {
    struct rws_log log;
    struct rws_hash *hash;
    const char *why_not; /* the transaction cannot be replayed, because .. */
    bool is_recording;   /* a transaction is open (or was until its server was lost) */
    bool has_writes;
    bool has_session_commands;
    bool has_next_trx;      /* it begins with SET TRANSACTION */
    uint32_t history_mark;  /* history entries below were there when it began */
    uint32_t closing_count; /* statements whose COM_STMT_CLOSE has been put off */
    /* the command under way */
    bool is_pending;
    bool is_transient; /* not part of the transaction: leaves the log when answered */
    bool begins_anew;  /* when answered, the next transaction is open */
    bool is_chain;
    uint8_t ending; /* enum rws_ending */
    uint32_t type;  /* its bits */
    /* the reply being hashed */
    uint64_t seen;         /* bytes of it so far */
    const uint8_t *hashed; /* .. within the piece being fed: up to here */
    bool skips_ok;         /* OK packets do not count (not `full`) */
    /* what the client has of the pending command's reply, when its server was lost */
    uint64_t partial_bytes;
    struct rws_checksum partial;
    bool is_partial_wrong;
    /* the run */
    uint8_t step;       /* enum rws_replay_step */
    bool is_held;       /* the command that comes next is held, none is pending */
    bool is_sent;       /* a reply is awaited from the target */
    bool must_reset_id; /* the target may still hold an insert_id of ours */
    bool is_dirty;      /* the target's connection has a part of the transaction in it */
    int target;
    struct rws_log_entry *next;
    uint64_t started_ms;
    uint64_t attempts;
    const char *failed; /* answer this to the command that is held */
};

/* What request.c knows of a command. */
struct rws_command {
    struct sl_request *rq;
    uint32_t type;
    uint8_t op;
    bool is_multi;
    bool is_for_all; /* goes to all servers */
    bool was_open;   /* a transaction was open before it */
    struct rws_stmt *stmt;
    struct sl_slice sql;
};

/* --- replay_record.c -------------------------------------------------------------------------- */

/* Must all of the command's packet be here before it may be sent? The session has been asked. */
bool rws_replay_wants_whole(struct rws *r, const struct sl_request *rq);
/* The command is about to be sent to the transaction's server. */
void rws_replay_record(struct rws *r, const struct rws_command *c);
/* The client's reply is complete, and the session's transaction state is up to date. */
void rws_replay_completed(struct rws *r, struct sl_backend *b, const struct sl_reply *reply);
/* COM_STMT_CLOSE in a transaction: true if it has been put off until its end. */
bool rws_replay_defer_close(struct rws *r, uint32_t slot);
/* The transaction is over: forgets it. */
void rws_replay_end(struct rws *r);
/* From now on it cannot be replayed. */
void rws_replay_give_up(struct rws *r, const char *why);
/* SET insert_id: the next auto-increment value on this connection; 0: as usual. */
void rws_replay_force_id(struct sl_backend *b, uint64_t id);
void rws_replay_tap_start(struct rws *r, struct sl_backend *b);
/* A new connection: its replies will be looked at. */
void rws_replay_watch(struct rws *r, struct sl_backend *b);
size_t rws_replay_on_bytes(struct sl_session *s, struct sl_backend *b, const uint8_t *data,
                           size_t len);
/* May the command commit what came before it, or itself, half-way? */
bool rws_may_commit_inside(uint8_t op, bool is_multi);

/* --- optimistic.c ----------------------------------------------------------------------------- */

/* Does the command begin a transaction that is to begin on a replica? */
bool rws_optimistic_begins(const struct rws *r, const struct rws_command *c);
/* Is the open transaction on a replica because of that? */
bool rws_is_optimistic(const struct rws *r);
/* .. and the command is not for a replica: the transaction has to go on on the primary. */
bool rws_optimistic_must_leave(const struct rws *r, const struct rws_command *c);
/* Rolls it back over there; the expected reply has this tag, which no history entry gets to. */
#define RWS_TAG_ROLLBACK 0x7FFFFFFFu
void rws_optimistic_leave(struct rws *r);

/* --- replay.c --------------------------------------------------------------------------------- */

/* A command arrives: true if a replay has to come first (it is held) or it has been answered. */
bool rws_replay_comes_first(struct rws *r, const struct rws_command *c);
/* A connection is lost. True if the replay deals with it. */
bool rws_replay_on_lost(struct rws *r, int position, bool owes_client, bool has_started);
/* The server answers the client's command with an ERR. True: the client does not get it. */
bool rws_replay_on_error(struct rws *r, struct sl_backend *b, const struct sl_reply *reply);
/* A reply of purpose REPLAY. */
void rws_replay_on_reply(struct rws *r, struct sl_backend *b, const struct sl_reply *reply);
/* Something has happened that a run may have waited for: a reply, a connection. */
void rws_replay_advance(struct rws *r);
/* Roles have moved, or a second has passed. */
void rws_replay_wake(struct rws *r);
static inline bool rws_replay_is_running(const struct rws *r)
{
    return r->replay && r->replay->step != RWS_REPLAY_IDLE;
}
/* The run's target must be brought to this point of the history only; UINT32_MAX: to all of it. */
uint32_t rws_replay_history_limit(const struct rws *r, int position);
/* Would the loss of the command under way leave it open whether the transaction is committed? */
bool rws_replay_is_committing(const struct rws *r);

#endif
