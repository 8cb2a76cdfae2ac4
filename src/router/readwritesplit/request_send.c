/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands for one server: the one of the open transaction, the primary, or a replica. What is sent
 * is noted in the session's state only then; until that moment the command can still be held.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "proto/constants.h"
#include "proto/packet.h"
#include "router/readwritesplit/replay.h"
#include "router/readwritesplit/request.h"

/* ---- sending ---- */

int rws_send(struct rws *r, struct sl_backend *b, struct sl_request *rq, enum sl_purpose purpose,
             uint32_t tag)
{
    b->write_order = ++r->write_order;
    if (sl_command_info(rq->command)->flags & SL_COMMAND_STMT_ID) {
        return rws_stmt_send(r, b, rq, purpose, tag);
    }
    return sl_backend_send(b, rq->data, rq->len, purpose, tag);
}

/* BEGIN inside a READ ONLY transaction of a replica goes to the primary; what it ends implicitly
 * is over there. */
void rws_end_elsewhere(struct rws *r)
{
    static const uint8_t commit[] = {7, 0, 0, 0, SL_COM_QUERY, 'C', 'O', 'M', 'M', 'I', 'T'};
    struct sl_backend *b = r->trx_server == RWS_NONE ? NULL : r->session->backends[r->trx_server];
    if (sl_backend_is_ready(b)) {
        sl_backend_send(b, commit, sizeof commit, SL_PURPOSE_INTERNAL, 0);
    }
}

void rws_note_sent(struct rws *r, struct sl_request *rq, const struct rws_parsed *p,
                   enum rws_target target, int position)
{
    struct sl_session *s = r->session;
    r->type = p->info.type;
    r->op = p->info.op;
    r->target = (uint8_t)target;
    r->position = position;
    r->slot = p->stmt ? rws_stmt_slot(r, p->stmt) : r->slot;
    if (s->trx.is_starting && target != RWS_TARGET_ALL && r->trx_server != position) {
        rws_end_elsewhere(r);
    }
    if (s->trx.is_starting && target != RWS_TARGET_ALL &&
        !(p->before.is_open && r->trx_server == position)) {
        r->optimistic_on = r->rule == RWS_RULE_OPTIMISTIC ? position : RWS_NONE;
    }
    if (s->trx.is_open) {
        r->trx_server = target == RWS_TARGET_ALL ? r->trx_server : position;
    }
    if (r->reuse) {
        rws_reuse_note(r, rq->command, p->info.type, p->info.is_multi);
    }
    if (p->info.type & SL_SQL_GET_LOCK) {
        r->used_get_lock = true;
    }
    if (rws_is_statement(rq->command) && p->info.type & (SL_SQL_CREATE_TEMP | SL_SQL_DROP_TABLE)) {
        struct sl_slice text = p->stmt ? rws_prepared_text(r, r->slot) : p->sql;
        rws_temp_tables_note(r, text.data, text.len, p->info.type);
    }
    if (p->stmt && rq->command == SL_COM_STMT_SEND_LONG_DATA) {
        p->stmt->long_data = (int16_t)position;
    } else if (p->stmt && rws_is_statement(rq->command)) {
        p->stmt->long_data = RWS_NONE;
    }
}

void rws_count_statement(struct rws *r, struct sl_request *rq, const struct rws_parsed *p,
                         enum rws_target target)
{
    struct sl_service_counters *c = sl_session_counters(r->session);
    sl_count(&c->queries, 1);
    if (target == RWS_TARGET_ALL) {
        sl_count(&c->route_all, 1);
    } else if (target == RWS_TARGET_PRIMARY) {
        sl_count(&c->route_primary, 1);
    } else {
        sl_count(&c->route_replica, 1);
    }
    const struct sl_trx *trx = &r->session->trx;
    if (rws_is_statement(rq->command) && trx->is_starting) {
        sl_count(trx->is_read_only ? &c->ro_transactions : &c->rw_transactions, 1);
    }
}

/* Is everything there to run this command on the backend now? Otherwise something is under way:
 * wait for it. */
bool rws_is_ready_for(struct rws *r, struct sl_backend *b, const struct sl_request *rq,
                      const struct rws_parsed *p, bool is_write)
{
    if (!sl_backend_is_ready(b)) {
        return false;
    }
    if (!rq->is_whole && !sl_backend_is_idle(b)) {
        /* the late answer to a PREPARE could make us say something between its pieces */
        return false;
    }
    if (p->stmt && !rws_backend_knows(b, rws_stmt_slot(r, p->stmt)) && !sl_backend_is_idle(b)) {
        return false; /* its PREPARE has not been answered yet */
    }
    return !is_write || b->history_left == 0; /* a write waits until the state is proved equal */
}

static void remember_next_trx(struct rws *r, const struct sl_request *rq,
                              const struct rws_parsed *p)
{
    if ((p->info.type & SL_SQL_TRX_NEXT) && rq->command == SL_COM_QUERY) {
        sl_free(r->next_trx);
        r->next_trx = sl_malloc(rq->len);
        r->next_trx_len = r->next_trx ? (uint32_t)rq->len : 0;
        if (r->next_trx) {
            memcpy(r->next_trx, rq->data, rq->len);
        }
    }
}

void rws_answer_not_prepared(struct sl_session *s, const struct sl_backend *b)
{
    sl_session_answer_error(
        s, SL_ER_UNKNOWN_STMT_HANDLER, NULL,
        "The statement could not be prepared on server '%s', which has to run it now",
        b->server->name);
}

void rws_answer_long_data_lost(struct sl_session *s)
{
    sl_session_answer_error(
        s, SL_ER_NET_READ_ERROR, NULL,
        "Lost the connection to the server that had long data of this statement");
}

/* Must the statement find long data that is not where it would run? Then it must not run. */
static bool has_lost_long_data(const struct rws *r, const struct sl_request *rq,
                               const struct rws_parsed *p, int position)
{
    if (!p->stmt || p->stmt->long_data == RWS_NONE ||
        !(rws_is_statement(rq->command) || rq->command == SL_COM_STMT_SEND_LONG_DATA)) {
        return false;
    }
    const struct sl_backend *b = r->session->backends[position];
    uint32_t slot = rws_stmt_slot(r, p->stmt);
    return position != p->stmt->long_data || !b || !rws_backend_knows(b, slot) ||
           !b->stmts[slot - 1].has_long_data;
}

void rws_send_one(struct rws *r, struct sl_request *rq, const struct rws_parsed *p,
                  enum rws_target target, int position, bool is_saved)
{
    struct sl_session *s = r->session;
    struct sl_backend *b = s->backends[position];
    bool is_write = target == RWS_TARGET_PRIMARY || r->sends_once;
    target = r->sends_once ? RWS_TARGET_FIXED : target; /* never on another one */
    if (has_lost_long_data(r, rq, p, position)) {
        p->stmt->long_data =
            rq->command == SL_COM_STMT_SEND_LONG_DATA ? p->stmt->long_data : RWS_NONE;
        rws_answer_long_data_lost(s);
        return;
    }
    if (!b && rws_connect(r, position) < 0) {
        r->is_passed_over = true;
        return;
    }
    b = s->backends[position];
    if (!rws_is_ready_for(r, b, rq, p, is_write)) {
        rws_hold(r, is_saved);
        return;
    }
    if (p->stmt && !rws_backend_knows(b, rws_stmt_slot(r, p->stmt))) {
        rws_answer_not_prepared(s, b);
        return;
    }
    if ((p->stmt && !rq->is_whole && rws_stmt_needs_whole(r, b, rq) && sl_session_want_whole(s)) ||
        (!rq->is_whole && rws_replay_wants_whole(r, rq))) {
        return;
    }
    if (r->causal && !is_write) {
        enum rws_causal_step step = rws_causal_before(r, rq, p->info.type, (uint8_t)target, b);
        if (step != RWS_CAUSAL_GO) {
            r->is_passed_over = step == RWS_CAUSAL_AGAIN;
            return;
        }
    }
    remember_next_trx(r, rq, p);
    /* a write for the case that the server refuses it */
    bool is_wanted = is_write ? r->cfg->delayed_retry : r->cfg->retry_failed_reads || r->causal;
    bool may_move = !s->trx.is_open || (!is_write && rws_causal_is_waiting(r->causal));
    bool is_retryable = is_wanted && rq->is_whole && may_move && target != RWS_TARGET_FIXED &&
                        sl_command_has_reply(rq->command);
    if (is_retryable && !is_saved) {
        rws_save(r, rq);
    }
    r->may_commit_inside =
        rws_may_commit_inside(p->info.op, p->info.is_multi) || (p->info.type & RWS_TYPE_MAY_COMMIT);
    rws_record(r, rq, p, false);
    r->slot = 0;
    r->history_id = 0;
    rws_count_statement(r, rq, p, target);
    if (rws_send(r, b, rq, SL_PURPOSE_CLIENT, 0) < 0) {
        sl_session_fail(s, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
        return;
    }
    rws_replay_tap_start(r, b);
    b->is_read = (p->info.type & SL_SQL_READ) && !is_write;
    rws_note_sent(r, rq, p, target, position);
    r->held_since_ms = 0;
}

/* To the server of the open transaction, and to no other. */
void rws_route_transaction(struct rws *r, struct sl_request *rq, const struct rws_parsed *p,
                           enum rws_target target, bool is_saved)
{
    struct sl_session *s = r->session;
    if (!s->backends[r->trx_server]) {
        sl_session_fail(s, SL_ER_NET_READ_ERROR, "08S01",
                        "Lost connection to server '%s' in the middle of a transaction",
                        s->service->servers[r->trx_server]->name);
        return;
    }
    rws_send_one(r, rq, p, target, r->trx_server, is_saved);
}

void rws_route_primary(struct rws *r, struct sl_request *rq, const struct rws_parsed *p,
                       bool is_saved)
{
    struct sl_session *s = r->session;
    /* What is open stays where it is, also when the statement ends it and begins another (BEGIN,
     * .. AND CHAIN). Only a READ ONLY transaction of a replica may be left by BEGIN: nothing in
     * it can be lost. */
    bool may_leave = p->before.is_read_only &&
                     !(p->info.type & (SL_SQL_TRX_COMMIT | SL_SQL_TRX_ROLLBACK)) &&
                     s->trx.is_starting;
    if (p->before.is_open && r->trx_server != RWS_NONE && !may_leave) {
        rws_route_transaction(r, rq, p, RWS_TARGET_PRIMARY, is_saved);
        return;
    }
    int position = rws_select_primary(r);
    bool is_change = position != r->primary || (position != RWS_NONE && !s->backends[position]);
    if (position == RWS_NONE ||
        (is_change && r->primary != RWS_NONE && !rws_can_change_primary(r, position))) {
        if (!rws_primary_denies(r) && rws_no_primary(r, is_saved)) {
            rws_hold(r, is_saved);
        }
        return;
    }
    if (position != r->primary) {
        sl_log_info("The session's primary is now '%s'", s->service->servers[position]->name);
        r->primary = position;
    }
    rws_send_one(r, rq, p, RWS_TARGET_PRIMARY, position, is_saved);
}

void rws_route_replica(struct rws *r, struct sl_request *rq, const struct rws_parsed *p,
                       enum rws_target target, bool is_saved)
{
    if (r->samples) {
        rws_adaptive_sync(r, sl_loop_now_ms(r->session->worker->loop));
    }
    uint32_t slot = p->stmt ? rws_stmt_slot(r, p->stmt) : 0;
    int position = RWS_NONE;
    if (target == RWS_TARGET_LAST && r->last != RWS_NONE && r->session->backends[r->last]) {
        position = r->last;
    } else if (p->stmt && p->stmt->long_data != RWS_NONE) {
        position = p->stmt->long_data;
        target = RWS_TARGET_FIXED;
        r->rule = RWS_RULE_LONG_DATA;
    } else if (r->causal && r->causal->to_primary) {
        position = rws_select_primary(r);
        r->rule = RWS_RULE_CAUSAL;
        if (position == RWS_NONE && !r->cfg->delayed_retry) {
            rws_causal_no_primary(r);
            return;
        }
    } else {
        rws_renew_replicas(r);
        position = rws_select_replica(r, slot);
    }
    if (position == RWS_NONE) {
        if (!r->cfg->delayed_retry) {
            rws_no_server(r, is_saved);
        } else if (rws_no_primary(r, is_saved)) {
            rws_hold(r, is_saved);
        }
        return;
    }
    rws_send_one(r, rq, p, target, position, is_saved);
}
