/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transaction is run again on another server, or on the same one after a deadlock. What may be
 * replayed and why: docs/internals/transaction-replay.md. On the session's worker.
 *
 *            lost, refused                  target ready                  all equal
 *   IDLE --------------------> WAITING <---------------> RUNNING -----------------------> IDLE
 *                              (no server)  lost, refused          last command to the client
 *                                    |                 |
 *                                    +-- limit --------+-- mismatch --> 40001 to the client
 *
 * One command at a time, since one that fails may have ended the transaction on the server.
 */
#include "base/log.h"
#include "core/core.h"
#include "proto/constants.h"
#include "router/readwritesplit/replay.h"

#define ATTEMPTS_AT_ONCE 5 /* in a row; each further one waits for the next sweep */

static uint64_t now_ms(const struct rws *r)
{
    return sl_loop_now_ms(r->session->worker->loop);
}

/* ---- giving up ---- */

/* The session has lost more than the transaction. */
static bool has_lost_state(const struct rws *r)
{
    return r->used_get_lock || (r->locks & ~RWS_LOCK_SERIALIZABLE) ||
           !sl_history_is_recoverable(&r->history) ||
           (r->cfg->strict_tmp_tables && r->temp_tables.count > 0);
}

/* No transaction is open any more, for nobody. */
static void forget_transaction(struct rws *r)
{
    struct sl_session *s = r->session;
    struct rws_replay *rp = r->replay;
    if (rp->step != RWS_REPLAY_IDLE && rp->target != RWS_NONE && s->backends[rp->target] &&
        (rp->is_dirty || rp->is_sent)) {
        sl_backend_close(s->backends[rp->target]);
    }
    if (rp->is_pending && s->command == SL_COM_STMT_PREPARE && r->slot != 0) {
        rws_stmt_close(r, r->slot);
        r->slot = 0;
    }
    rws_replay_end(r);
    sl_trx_status(&s->trx, s->trx.autocommit ? SL_STATUS_AUTOCOMMIT : 0);
    r->trx_server = RWS_NONE;
    r->history_id = 0;
    rws_drop_saved(r);
    r->is_waiting = false;
    r->held_since_ms = 0;
    r->tried = 0;
}

static void answer_rolled_back(struct rws *r, const char *why)
{
    sl_session_answer_error(r->session, SL_ER_LOCK_DEADLOCK, "40001",
                            "The transaction was rolled back: its server was lost, and it could "
                            "not be replayed: %s; try restarting transaction",
                            why);
}

/* The client is told that the transaction is rolled back; `why` is a literal. */
static void give_up(struct rws *r, const char *why)
{
    struct sl_session *s = r->session;
    bool is_held = r->replay->is_held;
    sl_log_warning("A transaction of '%s' is rolled back, not replayed: %s", s->client_user, why);
    bool must_end = has_lost_state(r) || s->is_mid_packet || s->is_infile;
    forget_transaction(r);
    if (must_end) {
        sl_session_fail(s, SL_ER_NET_READ_ERROR, "08S01",
                        "lost the server in the middle of a transaction: %s", why);
    } else if (is_held) {
        r->replay->failed = why;
        sl_session_unhold(s);
    } else {
        answer_rolled_back(r, why);
    }
}

static void give_up_unknown(struct rws *r, int position)
{
    struct sl_session *s = r->session;
    const char *name = s->service->servers[position]->name;
    sl_count(&sl_session_counters(s)->unknown_outcomes, 1);
    sl_log_warning("Lost server '%s' while it was committing a transaction of '%s': the outcome "
                   "is unknown",
                   name, s->client_user);
    bool must_end = has_lost_state(r) || s->is_mid_packet || s->is_infile;
    forget_transaction(r);
    if (must_end) {
        sl_session_fail(s, SL_ER_ERROR_DURING_COMMIT, "08007",
                        "outcome unknown: lost server '%s' while it was committing", name);
        return;
    }
    sl_session_answer_error(s, SL_ER_ERROR_DURING_COMMIT, "08007",
                            "outcome unknown: lost server '%s' while it was committing; the "
                            "transaction may be committed or rolled back",
                            name);
}

/* ROLLBACK: the loss of the connection has done it. */
static void answer_rollback(struct rws *r)
{
    forget_transaction(r);
    sl_session_answer_ok(r->session);
}

/* ---- limits ---- */

static bool is_over_limit(const struct rws *r)
{
    const struct rws_replay *rp = r->replay;
    int64_t limit_ms = r->cfg->transaction_replay_timeout;
    uint64_t so_far_ms = now_ms(r) - rp->started_ms;
    if (limit_ms > 0) {
        return so_far_ms > (uint64_t)limit_ms;
    }
    return rp->attempts >= (uint64_t)r->cfg->transaction_replay_attempts ||
           so_far_ms > (uint64_t)r->cfg->delayed_retry_timeout;
}

/* ---- the run ---- */

static int select_target(const struct rws *r)
{
    return r->session->trx.is_read_only && r->cfg->max_slave_connections > 0
               ? rws_select_replica(r, 0)
               : rws_select_primary(r);
}

/* A connection without anything of the transaction in it. */
static bool is_clean(const struct rws *r, int position)
{
    const struct rws_replay *rp = r->replay;
    return !rp->has_session_commands && !(rp->is_dirty && position == rp->target);
}

static void attempt(struct rws *r)
{
    struct sl_session *s = r->session;
    struct rws_replay *rp = r->replay;
    int position;
    rp->step = RWS_REPLAY_WAITING;
    rp->is_sent = false;
    if (is_over_limit(r)) {
        sl_count(&sl_session_counters(s)->replays_failed_limit, 1);
        give_up(r, "no server took it within transaction_replay_timeout or _attempts");
        return;
    }
    while ((position = select_target(r)) != RWS_NONE) {
        if (s->backends[position] && !is_clean(r, position)) {
            sl_backend_close(s->backends[position]);
        }
        if (s->backends[position] || rws_connect(r, position) == SL_OK) {
            break; /* otherwise it is among those tried */
        }
    }
    if (position == RWS_NONE) {
        return;
    }
    rp->attempts++;
    rp->step = RWS_REPLAY_RUNNING;
    rp->target = position;
    rp->is_dirty = false;
    rp->must_reset_id = false;
    rp->next = rp->log.first;
    r->trx_server = position;
    rws_replay_advance(r);
}

/* `why` is for the log; NULL: nothing has gone wrong. */
static void start(struct rws *r, bool is_held, const char *why)
{
    struct rws_replay *rp = r->replay;
    if (rp->started_ms == 0) {
        rp->started_ms = now_ms(r);
        rp->attempts = 0;
        sl_count(&sl_session_counters(r->session)->replays_started, 1);
        if (why) {
            sl_log_warning("Replaying a transaction: %s", why);
        }
    }
    r->optimistic_on = RWS_NONE;
    rp->is_held = is_held;
    rp->is_dirty = rp->is_dirty || is_held;
    attempt(r);
}

/* Once more from the first command. */
static void restart(struct rws *r)
{
    sl_count(&sl_session_counters(r->session)->replay_restarts, 1);
    if (r->replay->attempts < ATTEMPTS_AT_ONCE || is_over_limit(r)) {
        attempt(r);
    } else {
        r->replay->step = RWS_REPLAY_WAITING;
        r->replay->is_sent = false;
    }
}

static void mismatch(struct rws *r)
{
    struct rws_replay *rp = r->replay;
    sl_count(&sl_session_counters(r->session)->replay_mismatches, 1);
    rp->is_dirty = true;
    if (r->cfg->transaction_replay_retry_on_mismatch && !is_over_limit(r)) {
        restart(r);
        return;
    }
    sl_count(&sl_session_counters(r->session)->replays_failed_mismatch, 1);
    give_up(r, "a statement returned another result than the first time");
}

static bool names_statement(uint8_t command)
{
    return (sl_command_info(command)->flags & SL_COMMAND_STMT_ID) != 0;
}

/* Sends one command of the log. False: the session is closing. */
static bool send_entry(struct rws *r, struct sl_backend *b, const struct rws_log_entry *e,
                       enum sl_purpose purpose, uint32_t tag)
{
    struct sl_request rq = {.data = e->packet,
                            .len = e->len,
                            .payload_len = sl_packet_len(e->packet),
                            .command = e->command,
                            .is_whole = true};
    struct rws_replay *rp = r->replay;
    if (rp->must_reset_id && !e->asks_last) {
        rp->must_reset_id = false;
        rws_replay_force_id(b, 0);
    }
    if (e->insert_id != 0) {
        rp->must_reset_id = true;
        rws_replay_force_id(b, e->insert_id);
    }
    if (rws_send(r, b, &rq, purpose, tag) < 0) {
        sl_session_fail(r->session, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
        return false;
    }
    return true;
}

/* Cursors and long data are now where the transaction is. */
static void move_statements(struct rws *r, int to)
{
    for (uint32_t i = 0; i < r->stmt_capacity; i++) {
        struct rws_stmt *st = &r->stmts[i];
        const struct sl_backend *b = r->session->backends[to];
        bool has_long_data = rws_backend_knows(b, i + 1) && b->stmts[i].has_long_data;
        if (st->in_use && st->cursor != RWS_NONE) {
            st->cursor = (int16_t)to;
        }
        if (st->in_use && st->long_data != RWS_NONE && has_long_data) {
            st->long_data = (int16_t)to;
        }
    }
}

/* All is as it was: the command that was interrupted, or the next one. */
static void resume(struct rws *r, struct sl_backend *b)
{
    struct sl_session *s = r->session;
    struct rws_replay *rp = r->replay;
    rp->step = RWS_REPLAY_IDLE;
    rp->is_dirty = false;
    r->held_since_ms = 0;
    sl_count(&sl_session_counters(s)->replays_done, 1);
    sl_log_info("The transaction is replayed on '%s' (%u commands)", b->server->name,
                rp->log.count);
    move_statements(r, rp->target);
    if (!s->trx.is_read_only) {
        r->primary = rp->target;
    }
    if (rp->is_held) {
        rp->is_held = false;
        rp->started_ms = 0;
        sl_session_unhold(s);
        return;
    }
    uint32_t tag = s->command == SL_COM_STMT_PREPARE ? rws_stmt_tag(r, r->slot) : r->history_id;
    if (send_entry(r, b, rp->log.last, SL_PURPOSE_CLIENT, tag)) {
        r->position = rp->target;
        rws_replay_tap_start(r, b);
    }
}

/* Can the command be sent now? Its statement may still be on its way to being prepared there. */
static bool is_ready_for(const struct sl_backend *b, const struct rws_log_entry *e)
{
    return !names_statement(e->command) || sl_backend_is_idle(b) ||
           rws_backend_knows(b, sl_stmt_id(e->packet + SL_PACKET_HEADER));
}

static bool is_unprepared(const struct sl_backend *b, const struct rws_log_entry *e)
{
    return names_statement(e->command) &&
           !rws_backend_knows(b, sl_stmt_id(e->packet + SL_PACKET_HEADER));
}

void rws_replay_advance(struct rws *r)
{
    struct rws_replay *rp = r->replay;
    while (rp->step == RWS_REPLAY_RUNNING && !rp->is_sent) {
        struct sl_backend *b = r->session->backends[rp->target];
        struct rws_log_entry *e = rp->next;
        if (!sl_backend_is_ready(b) || b->history_left > 0 || (e && !is_ready_for(b, e))) {
            return;
        }
        if (e && is_unprepared(b, e)) {
            mismatch(r);
            return;
        }
        if (!e || (rp->is_pending && e == rp->log.last)) {
            resume(r, b);
            return;
        }
        rp->is_dirty = true;
        rp->next = e->next;
        rp->is_sent = e->has_reply;
        if (!send_entry(r, b, e, e->has_reply ? SL_PURPOSE_REPLAY : SL_PURPOSE_INTERNAL, 0)) {
            return;
        }
        rws_replay_tap_start(r, b);
    }
}

/* ---- replies of the run ---- */

static bool is_deadlock(const struct sl_reply *reply)
{
    return reply->sqlstate[0] == '4' && reply->sqlstate[1] == '0';
}

/* The server cannot go on with any transaction. */
static bool is_out_of_service(const struct rws *r, const struct sl_reply *reply)
{
    switch (reply->error_code) {
    case SL_ER_UNKNOWN_COM:
        return rws_is_not_ready(reply);
    case SL_ER_SERVER_SHUTDOWN:
    case SL_ER_CONNECTION_KILLED:
    case SL_ER_ERROR_DURING_COMMIT:
        return true;
    case SL_ER_OPTION_PREVENTS_STATEMENT:
        return r->refusal_is_readonly;
    default:
        return false;
    }
}

static bool is_equal(const struct rws_replay *rp, const struct rws_log_entry *e,
                     const struct sl_reply *reply)
{
    bool is_error = reply->kind == SL_REPLY_KIND_ERR;
    bool is_in_trans = reply->has_status && (reply->status & SL_STATUS_IN_TRANS);
    struct rws_checksum now = rws_hash_value(rp->hash);
    return is_error == e->was_error && (is_in_trans == e->was_in_trans || e->is_unchecked) &&
           (e->is_unchecked || rws_checksum_is_equal(&now, &e->checksum));
}

void rws_replay_on_reply(struct rws *r, struct sl_backend *b, const struct sl_reply *reply)
{
    struct rws_replay *rp = r->replay;
    if (!rp || rp->step != RWS_REPLAY_RUNNING || !rp->is_sent || (int)b->position != rp->target) {
        return; /* of a run that is over */
    }
    const struct rws_log_entry *e = rp->next ? rp->next->prev : rp->log.last;
    rp->is_sent = false;
    r->session->taps_replies = false;
    if (is_equal(rp, e, reply)) {
        rws_replay_advance(r);
        return;
    }
    bool is_error = reply->kind == SL_REPLY_KIND_ERR && !e->was_error;
    if (is_error && is_out_of_service(r, reply)) {
        sl_core_server_suspect(r->session->worker->core, b->server);
        sl_backend_lost(b, "it refused a transaction's replay");
    } else if (is_error && is_deadlock(reply)) {
        rp->is_dirty = rp->has_session_commands;
        restart(r);
    } else {
        mismatch(r);
    }
}

/* ---- what sets it off ---- */

bool rws_replay_is_committing(const struct rws *r)
{
    const struct rws_replay *rp = r->replay;
    if (!rp->is_pending) {
        return false;
    }
    switch ((enum rws_ending)rp->ending) {
    case RWS_ENDING_COMMIT:
        return rp->has_writes && (r->cfg->transaction_replay_safe_commit || rp->why_not);
    case RWS_ENDING_IMPLICIT:
        return rp->has_writes || (rp->type & SL_SQL_WRITE);
    case RWS_ENDING_UNKNOWN:
        return true;
    case RWS_ENDING_NOT:
    case RWS_ENDING_ROLLBACK:
        break;
    }
    return false;
}

/* How much of the reply has gone out, if this server came further than the one before it. */
static void note_partial(struct rws_replay *rp, bool has_started)
{
    if (has_started && rp->seen >= rp->partial_bytes) {
        rp->partial_bytes = rp->seen;
        rp->partial = rws_hash_value(rp->hash);
    }
}

static void lost_pending(struct rws *r, int position, bool has_started)
{
    struct rws_replay *rp = r->replay;
    struct sl_service_counters *c = sl_session_counters(r->session);
    r->session->taps_replies = false;
    if (rws_replay_is_committing(r)) {
        give_up_unknown(r, position);
    } else if (rp->ending == RWS_ENDING_ROLLBACK && !rp->is_chain) {
        answer_rollback(r);
    } else if (rp->why_not || r->session->is_infile) {
        sl_count(&c->replays_failed_refused, 1);
        give_up(r, rp->why_not ? rp->why_not : "it was loading a file of the client");
    } else if (rp->is_partial_wrong) {
        mismatch(r);
    } else {
        note_partial(rp, has_started);
        start(r, false, "the connection to the server was lost");
    }
}

bool rws_replay_on_lost(struct rws *r, int position, bool owes_client, bool has_started)
{
    struct rws_replay *rp = r->replay;
    if (!rp || !rp->is_recording || r->session->is_killed) {
        return false;
    }
    if (rp->step != RWS_REPLAY_IDLE) {
        if (position == rp->target) {
            rp->is_dirty = false;
            restart(r);
        }
        return true;
    }
    if (r->trx_server != position || !r->session->trx.is_open) {
        return false;
    }
    if (owes_client && rp->is_pending) {
        lost_pending(r, position, has_started);
    } else if (!owes_client) {
        /* the next command will find the server gone */
        sl_count(&sl_session_counters(r->session)->lost_primaries, 1);
    } else {
        return false;
    }
    return true;
}

/* A refusal after which the command has certainly not been carried out. */
static bool is_certain(const struct rws_replay *rp, const struct sl_reply *reply)
{
    bool is_commit = rp->ending == RWS_ENDING_COMMIT || rp->ending == RWS_ENDING_IMPLICIT;
    if (rp->ending == RWS_ENDING_UNKNOWN) {
        return false;
    }
    return !is_commit || reply->error_code == SL_ER_UNKNOWN_COM || is_deadlock(reply) ||
           (rp->ending == RWS_ENDING_COMMIT &&
            reply->error_code == SL_ER_OPTION_PREVENTS_STATEMENT);
}

bool rws_replay_on_error(struct rws *r, struct sl_backend *b, const struct sl_reply *reply)
{
    struct rws_replay *rp = r->replay;
    if (!rp || !rp->is_pending || rp->why_not || r->session->is_killed ||
        r->trx_server != (int)b->position || !is_certain(rp, reply)) {
        return false;
    }
    if (is_out_of_service(r, reply)) {
        sl_core_server_suspect(r->session->worker->core, b->server);
        b->reply.started = false; /* the ERR is ours alone: for the client nothing has begun */
        if (rp->ending != RWS_ENDING_ROLLBACK) {
            rp->ending = RWS_ENDING_NOT; /* refused: nothing is open about it */
        }
        sl_backend_lost(b, "it refuses to go on with a transaction");
        return true;
    }
    if (!is_deadlock(reply) || !r->cfg->transaction_replay_retry_on_deadlock) {
        return false;
    }
    rp->target = (int)b->position;
    rp->is_dirty = rp->has_session_commands;
    start(r, false, "a deadlock has rolled it back");
    return true;
}

/* Is the transaction's server unable to finish it? A Galera node may, whatever its role. */
static bool has_lost_server(const struct rws *r)
{
    struct sl_session *s = r->session;
    if (!s->backends[r->trx_server]) {
        return true;
    }
    uint32_t st = sl_server_status(s->service->servers[r->trx_server]);
    return !rws_is_optimistic(r) && !s->trx.is_read_only && !sl_status_is_master(st) &&
           !(st & SL_SERVER_JOINED) && sl_status_is_slave(st);
}

static bool answer_failed(struct rws *r, const struct rws_command *c)
{
    struct rws_replay *rp = r->replay;
    if (!rp->failed || !sl_command_has_reply(c->rq->command)) {
        return false;
    }
    const char *why = rp->failed;
    rp->failed = NULL;
    if ((c->type & SL_SQL_TRX_ROLLBACK) && !(c->type & SL_SQL_TRX_CHAIN)) {
        sl_session_answer_ok(r->session);
    } else {
        answer_rolled_back(r, why);
    }
    return true;
}

bool rws_replay_comes_first(struct rws *r, const struct rws_command *c)
{
    struct rws_replay *rp = r->replay;
    if (!rp || answer_failed(r, c)) {
        return rp != NULL;
    }
    if (rp->step != RWS_REPLAY_IDLE) {
        sl_session_hold(r->session);
        return true;
    }
    bool leaves = rws_optimistic_must_leave(r, c);
    if (!rp->is_recording || r->trx_server == RWS_NONE || !(leaves || has_lost_server(r)) ||
        c->rq->command == SL_COM_RESET_CONNECTION || c->rq->command == SL_COM_STMT_CLOSE) {
        return false;
    }
    if (leaves) {
        rws_optimistic_leave(r);
        rp->target = RWS_NONE;
    } else if (r->session->backends[r->trx_server]) {
        sl_backend_close(r->session->backends[r->trx_server]);
    }
    bool is_rollback =
        (c->type & SL_SQL_TRX_ROLLBACK) && !(c->type & SL_SQL_TRX_CHAIN) && !has_lost_state(r);
    if (is_rollback) {
        answer_rollback(r);
        return true;
    }
    sl_session_hold(r->session);
    rp->is_held = true;
    if (rp->why_not) {
        sl_count(&sl_session_counters(r->session)->replays_failed_refused, 1);
        give_up(r, rp->why_not);
    } else {
        start(r, true, leaves ? NULL : "its server is gone or takes no writes any more");
    }
    /* It may be over already: then the command is not held, and goes on now. */
    bool is_over = r->session->step == SL_SESSION_READY && !r->session->held;
    return !is_over || answer_failed(r, c);
}

void rws_replay_wake(struct rws *r)
{
    r->tried = 0;
    if (r->replay->step == RWS_REPLAY_WAITING) {
        attempt(r);
    } else if (is_over_limit(r) && r->cfg->transaction_replay_timeout > 0) {
        r->replay->is_dirty = true;
        attempt(r);
    } else {
        rws_replay_advance(r);
    }
}

uint32_t rws_replay_history_limit(const struct rws *r, int position)
{
    const struct rws_replay *rp = r->replay;
    bool is_target = rp && rp->step == RWS_REPLAY_RUNNING && rp->target == position;
    return is_target && rp->has_session_commands ? rp->history_mark : UINT32_MAX;
}
