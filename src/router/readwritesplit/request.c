/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command of the client arrives: understand it, decide on a target, select servers, send.
 *
 * When the chosen server is not connected yet the command is held: it stays in the client
 * connection's input and comes again (or, when it is a saved copy that is being retried, the copy
 * waits). A command that comes again is decided anew, so everything before the sending must leave
 * no trace: the transaction state is put back on a hold.
 */
#include <string.h>

#include "base/mem.h"
#include "proto/constants.h"
#include "proto/packet.h"
#include "router/readwritesplit/replay.h"
#include "router/readwritesplit/request.h"

/* ---- copies for a retry ---- */

static bool is_pooled(const struct rws *r)
{
    return r->saved_len <= SL_WORKER_REQUEST_BUFFER;
}

void rws_drop_saved(struct rws *r)
{
    if (!r->saved) {
        return;
    }
    if (is_pooled(r)) {
        sl_pool_put(&r->session->worker->request_buffers, r->saved);
    } else {
        sl_free(r->saved);
    }
    r->saved = NULL;
    r->saved_len = 0;
}

/* Without memory the statement simply cannot be retried. */
void rws_save(struct rws *r, const struct sl_request *rq)
{
    rws_drop_saved(r);
    r->saved_len = (uint32_t)rq->len;
    r->saved =
        is_pooled(r) ? sl_pool_get_dirty(&r->session->worker->request_buffers) : sl_malloc(rq->len);
    if (r->saved) {
        memcpy(r->saved, rq->data, rq->len);
    } else {
        r->saved_len = 0;
    }
}

/* ---- holding ---- */

/* The command comes again when something has happened. */
static void put_off(struct rws *r, bool is_saved)
{
    if (r->held_since_ms == 0) {
        r->held_since_ms = sl_loop_now_ms(r->session->worker->loop);
    }
    if (is_saved) {
        r->is_waiting = true;
    } else {
        sl_session_hold(r->session);
    }
}

void rws_hold(struct rws *r, bool is_saved)
{
    if (r->held_since_ms == 0) {
        sl_count(&sl_session_counters(r->session)->held_statements, 1);
    }
    put_off(r, is_saved);
}

int rws_connect(struct rws *r, int position)
{
    int rc = sl_backend_open(r->session, (unsigned)position);
    r->renewal.positions &= ~(1ull << position);
    if (rc < 0) {
        r->tried |= 1ull << position;
    }
    return rc;
}

bool rws_can_change_primary(const struct rws *r, int position)
{
    const struct sl_trx *trx = &r->session->trx;
    /* A replica that is connected already has the state; a new connection needs the history. */
    bool has_state =
        (position != RWS_NONE && sl_backend_is_ready(r->session->backends[position])) ||
        sl_history_is_recoverable(&r->history);
    return r->cfg->master_reconnection && (!trx->is_open || trx->is_starting) && r->locks == 0 &&
           has_state && !r->used_get_lock &&
           !(r->cfg->strict_tmp_tables && r->temp_tables.count > 0);
}

/* ---- entry ---- */

static enum rws_target decide(struct rws *r, const struct sl_request *rq,
                              const struct rws_parsed *p)
{
    struct rws_facts f = {
        .command = rq->command,
        .type = p->info.type,
        .op = p->info.op,
        .is_multi = p->info.is_multi,
        .reads_temp_table = p->reads_temp_table,
        .has_temp_tables = r->temp_tables.count > 0,
        .is_locked = r->locks != 0,
        .variables_in_master = r->cfg->use_sql_variables_in == SL_VARIABLES_IN_MASTER,
        .no_replicas = r->cfg->max_slave_connections == 0,
        .has_trx_server = r->trx_server != RWS_NONE,
        .trx = &r->session->trx,
    };
    r->rule = (uint8_t)rws_decide(&f);
    return rws_rule_target(r->rule);
}

void rws_lock(struct rws *r, enum rws_lock why)
{
    if (r->locks == 0) {
        sl_count(&sl_session_counters(r->session)->locked_to_primary, 1);
    }
    r->locks |= (uint8_t)why;
}

static void lock_if_strict(struct rws *r, const struct rws_parsed *p)
{
    if (!(r->cfg->strict_multi_stmt || r->cfg->strict_sp_calls)) {
        return;
    }
    if (p->info.is_multi) {
        rws_lock(r, RWS_LOCK_MULTI_STMT);
    }
    if (p->info.op == SL_SQL_OP_CALL) {
        rws_lock(r, RWS_LOCK_SP_CALL);
    }
}

static void dispatch(struct rws *r, struct sl_request *rq, const struct rws_parsed *p,
                     enum rws_target target, bool is_saved)
{
    struct sl_session *s = r->session;
    if (rq->command == SL_COM_STMT_FETCH) {
        if (p->stmt->cursor == RWS_NONE || !s->backends[p->stmt->cursor]) {
            sl_session_answer_error(s, SL_ER_STMT_HAS_NO_OPEN_CURSOR, NULL,
                                    "The statement (%u) has no open cursor",
                                    rws_stmt_slot(r, p->stmt));
            return;
        }
        r->rule = RWS_RULE_CURSOR;
        rws_send_one(r, rq, p, RWS_TARGET_FIXED, p->stmt->cursor, is_saved);
    } else if (target == RWS_TARGET_ALL) {
        rws_route_all(r, rq, p, is_saved);
    } else if (target == RWS_TARGET_PRIMARY) {
        rws_route_primary(r, rq, p, is_saved);
    } else if (target == RWS_TARGET_HINTED) {
        rws_send_one(r, rq, p, RWS_TARGET_REPLICA, r->hint.server, is_saved);
    } else if (target == RWS_TARGET_TRX) {
        rws_route_transaction(r, rq, p, target, is_saved);
    } else {
        rws_route_replica(r, rq, p, target, is_saved);
    }
}

/* optimistic_trx: BEGIN goes to a replica, and what it opens stays there while it may. */
static enum rws_target apply_optimistic(struct rws *r, struct sl_request *rq,
                                        const struct rws_parsed *p, enum rws_target target)
{
    struct rws_command c;
    if (!r->cfg->optimistic_trx || target != RWS_TARGET_PRIMARY) {
        return target;
    }
    if (p->before.is_open) {
        return rws_is_optimistic(r) ? RWS_TARGET_TRX : target;
    }
    rws_describe(p, rq, r, &c);
    if (r->rule != RWS_RULE_TRX_CONTROL || !rws_optimistic_begins(r, &c)) {
        return target;
    }
    r->rule = RWS_RULE_OPTIMISTIC;
    return rws_rule_target(r->rule);
}

/* What causal_reads has to know before a server is chosen. */
static enum rws_causal_step ask_first(struct rws *r, const struct sl_request *rq,
                                      const struct rws_parsed *p, enum rws_target target)
{
    if (target == RWS_TARGET_REPLICA && !rws_causal_asked(r)) {
        return RWS_CAUSAL_AGAIN;
    }
    bool is_for_primary =
        target == RWS_TARGET_PRIMARY ||
        (target == RWS_TARGET_REPLICA && (r->causal->to_primary || !rq->is_whole));
    bool can_wait = !p->before.is_open && sl_command_has_reply(rq->command);
    return is_for_primary && can_wait ? rws_causal_primary(r) : RWS_CAUSAL_GO;
}

static void route(struct rws *r, struct sl_request *rq, bool is_saved)
{
    struct sl_session *s = r->session;
    struct rws_parsed p;
    if (!rws_parse(r, rq, &p) || (!is_saved && r->reuse && rws_reuse_answer(r, rq))) {
        return;
    }
    p.before = s->trx;
    if (!is_saved && r->replay) {
        struct rws_command c;
        rws_describe(&p, rq, r, &c);
        if (rws_replay_comes_first(r, &c)) {
            return;
        }
        p.before = s->trx;
    }
    if (r->causal && !is_saved && r->held_since_ms == 0) {
        rws_causal_begin(r);
    }
    if (rws_is_statement(rq->command) && !is_saved) {
        sl_trx_statement(&s->trx, &p.info);
        lock_if_strict(r, &p);
    }
    if (rq->command == SL_COM_QUERY) {
        s->allows_infile = (p.info.type & SL_SQL_LOAD_LOCAL) || p.info.is_multi;
        if (p.info.set_sql_mode != 0) {
            s->sql_mode_bits = (uint8_t)((s->sql_mode_bits & ~SL_SQL_ORACLE) |
                                         (p.info.set_sql_mode == 1 ? SL_SQL_ORACLE : 0));
        }
    }
    enum rws_target target = decide(r, rq, &p);
    if (!rq->is_whole && target == RWS_TARGET_ALL) {
        if (sl_session_want_whole(s)) {
            s->trx = p.before;
            return;
        }
        /* too long to be copied to everybody: only the primary knows it */
        target = RWS_TARGET_PRIMARY;
        r->rule = RWS_RULE_TOO_LONG;
        rws_lock(r, RWS_LOCK_STATE);
    }
    target = apply_optimistic(r, rq, &p, target);
    const enum rws_rule rule = r->rule;
    enum rws_causal_step step = r->causal ? ask_first(r, rq, &p, target) : RWS_CAUSAL_GO;
    r->is_passed_over = step == RWS_CAUSAL_GO;
    if (step == RWS_CAUSAL_AGAIN) {
        put_off(r, is_saved);
    }
    while (s->step == SL_SESSION_READY && r->is_passed_over) {
        /* each time round excludes one more server */
        r->is_passed_over = false;
        bool is_forced = r->causal && r->causal->to_primary;
        dispatch(r, rq, &p, is_forced ? target : rws_hint_apply(r, p.stmt, rule, target), is_saved);
    }
    if (!is_saved && !s->busy) {
        s->trx = p.before; /* held, or answered without a server: nothing has begun */
    }
}

void rws_on_request(struct sl_session *s, struct sl_request *rq)
{
    route(s->router, rq, false);
}

void rws_route_saved(struct rws *r)
{
    sl_assert(r->saved != NULL);
    r->is_waiting = false;
    struct sl_session *s = r->session;
    struct sl_request rq = {.data = r->saved,
                            .len = r->saved_len,
                            .payload_len = sl_packet_len(r->saved),
                            .command = r->saved[4],
                            .is_whole = true};
    s->next_seq = 1;
    route(r, &rq, true);
}
