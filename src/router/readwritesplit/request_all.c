/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands for all servers: session commands, PREPARE, executions of prepared session commands.
 * One server's reply goes to the client, those of the others are compared with it (reply.c). What
 * later connections must repeat goes into the history.
 */
#include <string.h>

#include "base/mem.h"
#include "proto/constants.h"
#include "proto/ok.h"
#include "proto/packet.h"
#include "router/readwritesplit/replay.h"
#include "router/readwritesplit/request.h"

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
            rws_hold(r, is_saved);
        }
        return;
    }
    rws_hold(r, is_saved);
}

/* A session command run by EXECUTE without parameters goes into the history as text. */
static struct sl_history_entry *remember_execute(struct rws *r, const struct rws_parsed *p)
{
    struct sl_slice text = rws_prepared_text(r, rws_stmt_slot(r, p->stmt));
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

static void remember_command(struct rws *r, struct sl_request *rq, const struct rws_parsed *p)
{
    const struct sl_service_settings *cfg = &r->session->service->settings;
    struct sl_history_entry *e = NULL;
    r->history_id = 0;
    if (rq->command == SL_COM_STMT_PREPARE) {
        e = sl_history_add(&r->history, rq->data, rq->len, r->slot);
    } else if (cfg->disable_sescmd_history &&
               !rws_is_connecting(r->session, 0)) { /* those on their way need it */
        r->history.is_lost |= rws_belongs_in_history(rq->command, p->info.type, p->info.is_multi) ||
                              (p->stmt && rws_is_statement(rq->command));
        return;
    } else if (p->stmt && rws_is_statement(rq->command)) {
        e = remember_execute(r, p);
        /* its parameters are not kept: a new connection could not be made equal */
        r->history.is_lost |= e == NULL;
    } else if (rws_belongs_in_history(rq->command, p->info.type, p->info.is_multi)) {
        e = sl_history_add(&r->history, rq->data, rq->len, 0);
    }
    r->history_id = e ? e->id : 0;
}

/* PREPARE name FROM 'text': what EXECUTE name will be. */
static void remember_text_stmt(struct rws *r, const struct rws_parsed *p)
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

static void set_pending_db(struct rws *r, const struct rws_parsed *p)
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
static bool uses_statement(const struct sl_request *rq, const struct rws_parsed *p)
{
    return p->stmt && (rws_is_statement(rq->command) || rq->command == SL_COM_STMT_SEND_LONG_DATA);
}

static bool can_run(const struct sl_backend *b, const struct rws *r, const struct sl_request *rq,
                    const struct rws_parsed *p)
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
                             const struct rws_parsed *p)
{
    uint64_t able = 0;
    for (unsigned i = 0; i < r->session->backend_count; i++) {
        struct sl_backend *b = r->session->backends[i];
        able |= (uint64_t)(sl_backend_is_ready(b) && can_run(b, r, rq, p)) << i;
    }
    return able;
}

/* A server whose answer to the PREPARE is still to come would miss the execution. */
static bool is_preparing(const struct rws *r, const struct sl_request *rq,
                         const struct rws_parsed *p)
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
                                         const struct rws_parsed *p,
                                         const struct sl_backend *deciding, uint64_t able)
{
    struct sl_session *s = r->session;
    if (!uses_statement(rq, p) && able != 0) {
        return s->backends[__builtin_ctzll(able)];
    }
    if (!rws_backend_knows(deciding, rws_stmt_slot(r, p->stmt))) {
        rws_answer_not_prepared(s, deciding);
        return NULL;
    }
    p->stmt->long_data = rws_is_statement(rq->command) ? RWS_NONE : p->stmt->long_data;
    rws_answer_long_data_lost(s);
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
static bool open_slot(struct rws *r, const struct rws_parsed *p, bool is_saved)
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

void rws_route_all(struct rws *r, struct sl_request *rq, const struct rws_parsed *p, bool is_saved)
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
        (deciding && p->stmt && !rws_is_ready_for(r, deciding, rq, p, false))) {
        rws_hold(r, is_saved);
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
    if (rws_is_statement(rq->command)) {
        give_up_unable(r, able);
    }
    if (!is_saved) {
        rws_save(r, rq);
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
    rws_record(r, rq, p, true);
    if (rq->command == SL_COM_RESET_CONNECTION) {
        reset_state(r);
    } else if (!is_saved) {
        remember_command(r, rq, p);
        remember_text_stmt(r, p);
        set_pending_db(r, p);
    }
    rws_count_statement(r, rq, p, RWS_TARGET_ALL);
    rws_note_sent(r, rq, p, RWS_TARGET_ALL, (int)deciding->position);
    rws_replay_tap_start(r, deciding);
    if (send_all(r, rq, able, deciding)) {
        r->held_since_ms = 0;
        if (r->causal) {
            rws_causal_sent_all(r, rq, able);
        }
    }
}
