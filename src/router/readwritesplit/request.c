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

#include "base/log.h"
#include "base/mem.h"
#include "proto/constants.h"
#include "proto/ok.h"
#include "proto/packet.h"
#include "router/readwritesplit/replay.h"
#include "router/readwritesplit/rwsplit.h"

/* A command understood. */
struct parsed {
    struct sl_sql_info info;
    struct sl_slice sql;   /* text of COM_QUERY and COM_STMT_PREPARE, else empty */
    struct rws_stmt *stmt; /* of the binary protocol, or NULL */
    bool reads_temp_table;
    struct sl_trx before; /* transaction state before this command */
};

/* ---- understanding ---- */

static void parse_query(struct rws *r, struct sl_request *rq, struct parsed *p)
{
    p->sql = sl_slice(rq->data + SL_PACKET_HEADER + 1, rq->len - SL_PACKET_HEADER - 1);
    sl_sql_classify(p->sql.data, p->sql.len, r->session->sql_mode_bits, &p->info);
    if ((p->info.type & SL_SQL_EXECUTE) && !p->info.is_multi) {
        uintptr_t type = (uintptr_t)sl_map_get(&r->text_stmts, p->info.name);
        p->info.type = type ? (uint32_t)type : SL_SQL_WRITE | RWS_TYPE_MAY_COMMIT;
    }
    p->reads_temp_table = rws_temp_tables_read(r, p->sql.data, p->sql.len);
}

/* Text of a prepared statement, from the history that must hold it while it is open. */
static struct sl_slice prepared_text(struct rws *r, uint32_t slot)
{
    struct sl_history_entry *e = sl_history_find_slot(&r->history, slot);
    return e ? sl_slice(e->packet + SL_PACKET_HEADER + 1, e->len - SL_PACKET_HEADER - 1)
             : sl_slice(NULL, 0);
}

/* What the server calls the function that does not know the id (sql/sql_prepare.cc). */
static const char *server_function(uint8_t command)
{
    return command == SL_COM_STMT_FETCH          ? "mysqld_stmt_fetch"
           : command == SL_COM_STMT_RESET        ? "mysqld_stmt_reset"
           : command == SL_COM_STMT_BULK_EXECUTE ? "mysqld_stmt_bulk_execute"
                                                 : "mysqld_stmt_execute";
}

/* Commands that name a statement. False: the id is unknown and the client has been told. */
static bool parse_stmt(struct rws *r, struct sl_request *rq, struct parsed *p)
{
    p->stmt = rws_stmt_get(r, sl_stmt_id(rq->data + SL_PACKET_HEADER));
    if (!p->stmt || p->stmt->is_kept || p->stmt->is_closing) {
        sl_session_answer_error(r->session, SL_ER_UNKNOWN_STMT_HANDLER, NULL,
                                "Unknown prepared statement handler (%u) given to %s",
                                sl_stmt_id(rq->data + SL_PACKET_HEADER),
                                server_function(rq->command));
        return false;
    }
    p->info.type = p->stmt->type;
    p->info.op = p->stmt->op;
    p->info.is_multi = p->stmt->is_multi;
    if (r->temp_tables.count > 0) {
        struct sl_slice text = prepared_text(r, rws_stmt_slot(r, p->stmt));
        p->reads_temp_table = text.len > 0 && rws_temp_tables_read(r, text.data, text.len);
    }
    return true;
}

static bool parse(struct rws *r, struct sl_request *rq, struct parsed *p)
{
    memset(p, 0, sizeof *p);
    if (rq->command == SL_COM_QUERY) {
        parse_query(r, rq, p);
    } else if (rq->command == SL_COM_STMT_PREPARE) {
        p->sql = sl_slice(rq->data + SL_PACKET_HEADER + 1, rq->len - SL_PACKET_HEADER - 1);
    } else if (sl_command_info(rq->command)->flags & SL_COMMAND_STMT_ID) {
        return parse_stmt(r, rq, p);
    }
    return true;
}

static void describe(const struct parsed *p, struct sl_request *rq, struct rws *r,
                     struct rws_command *ret)
{
    *ret = (struct rws_command){.rq = rq,
                                .type = p->info.type,
                                .op = p->info.op,
                                .is_multi = p->info.is_multi,
                                .was_open = p->before.is_open,
                                .stmt = p->stmt,
                                .sql = p->sql};
    if (p->stmt && r->cfg->transaction_replay_checksum == SL_TRX_CHECKSUM_NO_INSERT_ID) {
        ret->sql = prepared_text(r, rws_stmt_slot(r, p->stmt));
    }
}

/* The command is about to go to the server of the open transaction. */
static void record(struct rws *r, struct sl_request *rq, const struct parsed *p, bool is_for_all)
{
    struct rws_command c;
    if (r->cfg->transaction_replay && r->session->trx.is_open) {
        describe(p, rq, r, &c);
        c.is_for_all = is_for_all;
        rws_replay_record(r, &c);
    }
}

static bool is_statement(uint8_t command)
{
    return command == SL_COM_QUERY || command == SL_COM_STMT_EXECUTE ||
           command == SL_COM_STMT_BULK_EXECUTE;
}

static enum rws_target decide(struct rws *r, const struct sl_request *rq, const struct parsed *p)
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
static void save(struct rws *r, const struct sl_request *rq)
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

static void hold(struct rws *r, bool is_saved)
{
    if (r->held_since_ms == 0) {
        sl_count(&sl_session_counters(r->session)->held_statements, 1);
    }
    put_off(r, is_saved);
}

int rws_connect(struct rws *r, int position)
{
    int rc = sl_backend_open(r->session, (unsigned)position);
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

static void note_sent(struct rws *r, struct sl_request *rq, const struct parsed *p,
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
    if (is_statement(rq->command) && p->info.type & (SL_SQL_CREATE_TEMP | SL_SQL_DROP_TABLE)) {
        struct sl_slice text = p->stmt ? prepared_text(r, r->slot) : p->sql;
        rws_temp_tables_note(r, text.data, text.len, p->info.type);
    }
    if (p->stmt && rq->command == SL_COM_STMT_SEND_LONG_DATA) {
        p->stmt->long_data = (int16_t)position;
    } else if (p->stmt && is_statement(rq->command)) {
        p->stmt->long_data = RWS_NONE;
    }
}

static void count_statement(struct rws *r, struct sl_request *rq, const struct parsed *p,
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
    if (is_statement(rq->command) && trx->is_starting) {
        sl_count(trx->is_read_only ? &c->ro_transactions : &c->rw_transactions, 1);
    }
}

/* ---- one server ---- */

/* Is everything there to run this command on the backend now? Otherwise something is under way:
 * wait for it. */
static bool is_ready_for(struct rws *r, struct sl_backend *b, const struct sl_request *rq,
                         const struct parsed *p, bool is_write)
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

static void remember_next_trx(struct rws *r, const struct sl_request *rq, const struct parsed *p)
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

static void answer_not_prepared(struct sl_session *s, const struct sl_backend *b)
{
    sl_session_answer_error(
        s, SL_ER_UNKNOWN_STMT_HANDLER, NULL,
        "The statement could not be prepared on server '%s', which has to run it now",
        b->server->name);
}

static void answer_long_data_lost(struct sl_session *s)
{
    sl_session_answer_error(
        s, SL_ER_NET_READ_ERROR, NULL,
        "Lost the connection to the server that had long data of this statement");
}

/* Must the statement find long data that is not where it would run? Then it must not run. */
static bool has_lost_long_data(const struct rws *r, const struct sl_request *rq,
                               const struct parsed *p, int position)
{
    if (!p->stmt || p->stmt->long_data == RWS_NONE ||
        !(is_statement(rq->command) || rq->command == SL_COM_STMT_SEND_LONG_DATA)) {
        return false;
    }
    const struct sl_backend *b = r->session->backends[position];
    uint32_t slot = rws_stmt_slot(r, p->stmt);
    return position != p->stmt->long_data || !b || !rws_backend_knows(b, slot) ||
           !b->stmts[slot - 1].has_long_data;
}

static void send_one(struct rws *r, struct sl_request *rq, const struct parsed *p,
                     enum rws_target target, int position, bool is_saved)
{
    struct sl_session *s = r->session;
    struct sl_backend *b = s->backends[position];
    bool is_write = target == RWS_TARGET_PRIMARY || r->sends_once;
    target = r->sends_once ? RWS_TARGET_FIXED : target; /* never on another one */
    if (has_lost_long_data(r, rq, p, position)) {
        p->stmt->long_data =
            rq->command == SL_COM_STMT_SEND_LONG_DATA ? p->stmt->long_data : RWS_NONE;
        answer_long_data_lost(s);
        return;
    }
    if (!b && rws_connect(r, position) < 0) {
        r->is_passed_over = true;
        return;
    }
    b = s->backends[position];
    if (!is_ready_for(r, b, rq, p, is_write)) {
        hold(r, is_saved);
        return;
    }
    if (p->stmt && !rws_backend_knows(b, rws_stmt_slot(r, p->stmt))) {
        answer_not_prepared(s, b);
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
        save(r, rq);
    }
    r->may_commit_inside =
        rws_may_commit_inside(p->info.op, p->info.is_multi) || (p->info.type & RWS_TYPE_MAY_COMMIT);
    record(r, rq, p, false);
    r->slot = 0;
    r->history_id = 0;
    count_statement(r, rq, p, target);
    if (rws_send(r, b, rq, SL_PURPOSE_CLIENT, 0) < 0) {
        sl_session_fail(s, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
        return;
    }
    rws_replay_tap_start(r, b);
    b->is_read = (p->info.type & SL_SQL_READ) && !is_write;
    note_sent(r, rq, p, target, position);
    r->held_since_ms = 0;
}

/* To the server of the open transaction, and to no other. */
static void route_transaction(struct rws *r, struct sl_request *rq, const struct parsed *p,
                              enum rws_target target, bool is_saved)
{
    struct sl_session *s = r->session;
    if (!s->backends[r->trx_server]) {
        sl_session_fail(s, SL_ER_NET_READ_ERROR, "08S01",
                        "Lost connection to server '%s' in the middle of a transaction",
                        s->service->servers[r->trx_server]->name);
        return;
    }
    send_one(r, rq, p, target, r->trx_server, is_saved);
}

static void route_primary(struct rws *r, struct sl_request *rq, const struct parsed *p,
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
        route_transaction(r, rq, p, RWS_TARGET_PRIMARY, is_saved);
        return;
    }
    int position = rws_select_primary(r);
    bool is_change = position != r->primary || (position != RWS_NONE && !s->backends[position]);
    if (position == RWS_NONE ||
        (is_change && r->primary != RWS_NONE && !rws_can_change_primary(r, position))) {
        if (rws_no_primary(r, is_saved)) {
            hold(r, is_saved);
        }
        return;
    }
    if (position != r->primary) {
        sl_log_info("The session's primary is now '%s'", s->service->servers[position]->name);
        r->primary = position;
    }
    send_one(r, rq, p, RWS_TARGET_PRIMARY, position, is_saved);
}

static void route_replica(struct rws *r, struct sl_request *rq, const struct parsed *p,
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
        position = rws_select_replica(r, slot);
    }
    if (position == RWS_NONE) {
        if (!r->cfg->delayed_retry) {
            rws_no_server(r, is_saved);
        } else if (rws_no_primary(r, is_saved)) {
            hold(r, is_saved);
        }
        return;
    }
    send_one(r, rq, p, target, position, is_saved);
}

/* ---- all servers ---- */

/*
 * The backend whose reply the client gets: the one that has the open transaction (only its status
 * flags tell the truth about it), else the primary's, else the first. NULL with *ret_wait: one is
 * on its way.
 */
static struct sl_backend *deciding_backend(struct rws *r, bool *ret_wait)
{
    struct sl_session *s = r->session;
    bool is_in_trx = s->trx.is_open && r->trx_server != RWS_NONE && s->backends[r->trx_server];
    int primary = is_in_trx ? r->trx_server : rws_select_primary(r);
    *ret_wait = false;
    if (primary != RWS_NONE && s->backends[primary]) {
        *ret_wait = !sl_backend_is_ready(s->backends[primary]);
        return *ret_wait ? NULL : s->backends[primary];
    }
    struct sl_backend *first = NULL;
    for (unsigned i = 0; i < s->backend_count && !first; i++) {
        *ret_wait |= s->backends[i] != NULL;
        first = sl_backend_is_ready(s->backends[i]) ? s->backends[i] : NULL;
    }
    *ret_wait = *ret_wait && !first;
    return first;
}

/* Nobody is connected: connect somebody, then the command comes again. With lazy_connect the
 * primary gets a connection only from those who write, or if it takes reads. */
static void connect_any(struct rws *r, bool is_saved)
{
    bool is_replica = r->cfg->lazy_connect && !r->cfg->master_accept_reads;
    int position = is_replica ? rws_select_replica(r, 0) : rws_select_primary(r);
    position = position == RWS_NONE ? rws_select_replica(r, 0) : position;
    position = position == RWS_NONE ? rws_select_primary(r) : position;
    if (position == RWS_NONE || rws_connect(r, position) < 0) {
        if (rws_no_primary(r, is_saved)) {
            hold(r, is_saved);
        }
        return;
    }
    hold(r, is_saved);
}

/* A session command run by EXECUTE without parameters goes into the history as text. */
static struct sl_history_entry *remember_execute(struct rws *r, const struct parsed *p)
{
    struct sl_slice text = prepared_text(r, rws_stmt_slot(r, p->stmt));
    if (p->stmt->params > 0 || text.len == 0 || text.len + 1 >= SL_PACKET_MAX) {
        return NULL;
    }
    struct sl_buf packet = SL_BUF_INIT;
    struct sl_history_entry *e = NULL;
    if (sl_packet_build_command(&packet, SL_COM_QUERY, text) == SL_OK) {
        e = sl_history_add(&r->history, sl_buf_slice(&packet).data, sl_buf_len(&packet), 0);
    }
    sl_buf_free(&packet);
    return e;
}

static void remember_command(struct rws *r, struct sl_request *rq, const struct parsed *p)
{
    const struct sl_service_settings *cfg = &r->session->service->settings;
    struct sl_history_entry *e = NULL;
    r->history_id = 0;
    if (rq->command == SL_COM_STMT_PREPARE) {
        e = sl_history_add(&r->history, rq->data, rq->len, r->slot);
    } else if (cfg->disable_sescmd_history &&
               !rws_is_connecting(r->session)) { /* those on their way need it */
        r->history.is_lost |= rws_belongs_in_history(rq->command, p->info.type, p->info.is_multi) ||
                              (p->stmt && is_statement(rq->command));
        return;
    } else if (p->stmt && is_statement(rq->command)) {
        e = remember_execute(r, p);
        /* its parameters are not kept: a new connection could not be made equal */
        r->history.is_lost |= e == NULL;
    } else if (rws_belongs_in_history(rq->command, p->info.type, p->info.is_multi)) {
        e = sl_history_add(&r->history, rq->data, rq->len, 0);
    }
    r->history_id = e ? e->id : 0;
}

/* PREPARE name FROM 'text': what EXECUTE name will be. */
static void remember_text_stmt(struct rws *r, const struct parsed *p)
{
    if (p->info.type & SL_SQL_PREPARE) {
        struct sl_sql_info inner = {.type = SL_SQL_WRITE};
        if (p->info.prepare_text.len > 0) {
            sl_sql_classify(p->info.prepare_text.data, p->info.prepare_text.len,
                            r->session->sql_mode_bits, &inner);
            if (rws_may_commit_inside(inner.op, inner.is_multi)) {
                inner.type |= RWS_TYPE_MAY_COMMIT;
            }
        } else {
            inner.type |= RWS_TYPE_MAY_COMMIT; /* from a variable: it could be anything */
        }
        sl_map_put(&r->text_stmts, p->info.name, (void *)(uintptr_t)inner.type, NULL);
    } else if (p->info.type & SL_SQL_DEALLOCATE) {
        sl_map_remove(&r->text_stmts, p->info.name);
    }
}

static void set_pending_db(struct rws *r, const struct parsed *p)
{
    struct sl_session *s = r->session;
    if (p->info.op == SL_SQL_OP_USE && p->info.name.len > 0) {
        sl_free(s->pending_db);
        s->pending_db = sl_strndup((const char *)p->info.name.data, p->info.name.len);
    }
}

/* Effects on our own state of commands that begin anew. */
static void reset_state(struct rws *r)
{
    sl_history_clear(&r->history);
    rws_reuse_free(r);
    rws_stmts_free(r);
    sl_map_clear(&r->text_stmts);
    sl_map_clear(&r->temp_tables);
    sl_trx_reset(&r->session->trx);
    rws_replay_end(r);
    r->locks = 0;
    r->used_get_lock = false;
    r->trx_server = RWS_NONE;
    r->bad = 0; /* there is no state any more that they could differ in */
    for (unsigned i = 0; i < r->session->backend_count; i++) {
        struct sl_backend *b = r->session->backends[i];
        if (b && b->stmt_capacity > 0) {
            memset(b->stmts, 0, b->stmt_capacity * sizeof *b->stmts);
        }
    }
}

/* Does the command need what the statement has gathered on a server? COM_STMT_RESET does not. */
static bool uses_statement(const struct sl_request *rq, const struct parsed *p)
{
    return p->stmt && (is_statement(rq->command) || rq->command == SL_COM_STMT_SEND_LONG_DATA);
}

static bool can_run(const struct sl_backend *b, const struct rws *r, const struct sl_request *rq,
                    const struct parsed *p)
{
    uint32_t slot = p->stmt ? rws_stmt_slot(r, p->stmt) : 0;
    if (p->stmt && !rws_backend_knows(b, slot)) {
        return false;
    }
    return !uses_statement(rq, p) || p->stmt->long_data == RWS_NONE ||
           b->stmts[slot - 1].has_long_data;
}

/* The servers (bit = position) that can run it: they have the statement, and all of its long
 * data. */
static uint64_t servers_able(const struct rws *r, const struct sl_request *rq,
                             const struct parsed *p)
{
    uint64_t able = 0;
    for (unsigned i = 0; i < r->session->backend_count; i++) {
        struct sl_backend *b = r->session->backends[i];
        able |= (uint64_t)(sl_backend_is_ready(b) && can_run(b, r, rq, p)) << i;
    }
    return able;
}

/* A server whose answer to the PREPARE is still to come would miss the execution. */
static bool is_preparing(const struct rws *r, const struct sl_request *rq, const struct parsed *p)
{
    for (unsigned i = 0; uses_statement(rq, p) && i < r->session->backend_count; i++) {
        struct sl_backend *b = r->session->backends[i];
        if (sl_backend_is_ready(b) && !rws_backend_knows(b, rws_stmt_slot(r, p->stmt)) &&
            !sl_backend_is_idle(b)) {
            return true;
        }
    }
    return false;
}

/* The deciding server cannot run it: another one answers a COM_STMT_RESET, an execution fails.
 * NULL: answered. */
static struct sl_backend *other_that_can(struct rws *r, const struct sl_request *rq,
                                         const struct parsed *p, const struct sl_backend *deciding,
                                         uint64_t able)
{
    struct sl_session *s = r->session;
    if (!uses_statement(rq, p) && able != 0) {
        return s->backends[__builtin_ctzll(able)];
    }
    if (!rws_backend_knows(deciding, rws_stmt_slot(r, p->stmt))) {
        answer_not_prepared(s, deciding);
        return NULL;
    }
    p->stmt->long_data = is_statement(rq->command) ? RWS_NONE : p->stmt->long_data;
    answer_long_data_lost(s);
    return NULL;
}

/* A server that cannot run an execution for all has another state than the session from now on. */
static void give_up_unable(struct rws *r, uint64_t able)
{
    for (int i = 0; i < (int)r->session->backend_count; i++) {
        if (!((able >> i) & 1) && sl_backend_is_ready(r->session->backends[i])) {
            rws_exclude(r, i, "it could not prepare the statement, or lacks its long data");
        }
    }
}

/* False: the session is closing. */
static bool send_all(struct rws *r, struct sl_request *rq, uint64_t able,
                     struct sl_backend *deciding)
{
    struct sl_session *s = r->session;
    uint32_t tag = rq->command == SL_COM_STMT_PREPARE ? rws_stmt_tag(r, r->slot) : r->history_id;
    for (unsigned i = 0; i < s->backend_count; i++) {
        struct sl_backend *b = s->backends[i];
        if (!((able >> i) & 1)) {
            continue;
        }
        enum sl_purpose purpose = b == deciding ? SL_PURPOSE_CLIENT : SL_PURPOSE_IGNORE;
        if (rws_send(r, b, rq, purpose, tag) < 0) {
            sl_session_fail(s, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
            return false;
        }
    }
    return true;
}

/* A PREPARE gets its slot when it is sent, or keeps it when it is sent again. */
static bool open_slot(struct rws *r, const struct parsed *p, bool is_saved)
{
    if (is_saved && r->slot != 0) {
        return true;
    }
    struct sl_sql_info info;
    sl_sql_classify(p->sql.data, p->sql.len, r->session->sql_mode_bits, &info);
    r->slot = rws_stmt_open(r, &info);
    r->last_slot = r->slot;
    if (r->slot == 0) {
        sl_session_fail(r->session, SL_ER_UNKNOWN_ERROR, NULL, "Too many prepared statements");
        return false;
    }
    return true;
}

static void route_all(struct rws *r, struct sl_request *rq, const struct parsed *p, bool is_saved)
{
    struct sl_session *s = r->session;
    if (rq->command == SL_COM_STMT_CLOSE) {
        if (!rws_reuse_close(r, p->stmt) && !rws_replay_defer_close(r, rws_stmt_slot(r, p->stmt))) {
            rws_stmt_close(r, rws_stmt_slot(r, p->stmt));
        }
        return;
    }
    bool wait;
    struct sl_backend *deciding = deciding_backend(r, &wait);
    if (wait || is_preparing(r, rq, p) ||
        (deciding && p->stmt && !is_ready_for(r, deciding, rq, p, false))) {
        hold(r, is_saved);
        return;
    }
    if (!deciding) {
        connect_any(r, is_saved);
        return;
    }
    if (p->stmt && rq->command == SL_COM_STMT_RESET) {
        p->stmt->long_data = RWS_NONE;
    }
    uint64_t able = servers_able(r, rq, p);
    if (!((able >> deciding->position) & 1)) {
        deciding = other_that_can(r, rq, p, deciding, able);
        if (!deciding) {
            return;
        }
    }
    if (is_statement(rq->command)) {
        give_up_unable(r, able);
    }
    if (!is_saved) {
        save(r, rq);
    }
    if (rq->command == SL_COM_STMT_PREPARE) {
        if (!open_slot(r, p, is_saved)) {
            return;
        }
        s->prepare_id = r->slot;
        rws_reuse_prepare(r);
    } else {
        r->slot = 0;
    }
    record(r, rq, p, true);
    if (rq->command == SL_COM_RESET_CONNECTION) {
        reset_state(r);
    } else if (!is_saved) {
        remember_command(r, rq, p);
        remember_text_stmt(r, p);
        set_pending_db(r, p);
    }
    count_statement(r, rq, p, RWS_TARGET_ALL);
    note_sent(r, rq, p, RWS_TARGET_ALL, (int)deciding->position);
    rws_replay_tap_start(r, deciding);
    if (send_all(r, rq, able, deciding)) {
        r->held_since_ms = 0;
        if (r->causal) {
            rws_causal_sent_all(r, rq, able);
        }
    }
}

/* ---- entry ---- */

void rws_lock(struct rws *r, enum rws_lock why)
{
    if (r->locks == 0) {
        sl_count(&sl_session_counters(r->session)->locked_to_primary, 1);
    }
    r->locks |= (uint8_t)why;
}

static void lock_if_strict(struct rws *r, const struct parsed *p)
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

static void dispatch(struct rws *r, struct sl_request *rq, const struct parsed *p,
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
        send_one(r, rq, p, RWS_TARGET_FIXED, p->stmt->cursor, is_saved);
    } else if (target == RWS_TARGET_ALL) {
        route_all(r, rq, p, is_saved);
    } else if (target == RWS_TARGET_PRIMARY) {
        route_primary(r, rq, p, is_saved);
    } else if (target == RWS_TARGET_HINTED) {
        send_one(r, rq, p, RWS_TARGET_REPLICA, r->hint.server, is_saved);
    } else if (target == RWS_TARGET_TRX) {
        route_transaction(r, rq, p, target, is_saved);
    } else {
        route_replica(r, rq, p, target, is_saved);
    }
}

/* optimistic_trx: BEGIN goes to a replica, and what it opens stays there while it may. */
static enum rws_target apply_optimistic(struct rws *r, struct sl_request *rq,
                                        const struct parsed *p, enum rws_target target)
{
    struct rws_command c;
    if (!r->cfg->optimistic_trx || target != RWS_TARGET_PRIMARY) {
        return target;
    }
    if (p->before.is_open) {
        return rws_is_optimistic(r) ? RWS_TARGET_TRX : target;
    }
    describe(p, rq, r, &c);
    if (r->rule != RWS_RULE_TRX_CONTROL || !rws_optimistic_begins(r, &c)) {
        return target;
    }
    r->rule = RWS_RULE_OPTIMISTIC;
    return rws_rule_target(r->rule);
}

/* What causal_reads has to know before a server is chosen. */
static enum rws_causal_step ask_first(struct rws *r, const struct sl_request *rq,
                                      const struct parsed *p, enum rws_target target)
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
    struct parsed p;
    if (!parse(r, rq, &p) || (!is_saved && r->reuse && rws_reuse_answer(r, rq))) {
        return;
    }
    p.before = s->trx;
    if (!is_saved && r->replay) {
        struct rws_command c;
        describe(&p, rq, r, &c);
        if (rws_replay_comes_first(r, &c)) {
            return;
        }
        p.before = s->trx;
    }
    if (r->causal && !is_saved && r->held_since_ms == 0) {
        rws_causal_begin(r);
    }
    if (is_statement(rq->command) && !is_saved) {
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
