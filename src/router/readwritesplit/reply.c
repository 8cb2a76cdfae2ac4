/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reply is complete, or a new connection is ready: keep the session's state equal on all servers.
 *
 * The deciding server's result of a session command is the right one; a server that answers
 * otherwise (OK where the other failed) has a different state and is not used again in this
 * session. Results that come in before the deciding one are remembered in the history entry.
 */
#include "base/log.h"
#include "base/mem.h"
#include "proto/constants.h"
#include "router/readwritesplit/replay.h"

static bool owes_client(const struct sl_backend *b)
{
    for (unsigned i = 0; i < b->queue_count; i++) {
        if (b->queue[(b->queue_head + i) % b->queue_capacity].purpose == SL_PURPOSE_CLIENT) {
            return true;
        }
    }
    return false;
}

/* A command of the client that it has got already, behind the one it disagrees about, meets what
 * it would meet if the connection broke. */
void rws_exclude(struct rws *r, int position, const char *why)
{
    struct sl_backend *b = r->session->backends[position];
    r->bad |= 1ull << position;
    sl_log_warning(
        "Server '%s' answers a session command differently (%s); it is not used in this session "
        "any more",
        r->session->service->servers[position]->name, why);
    bool is_replayed = rws_replay_is_running(r) && r->replay->target == position;
    if (b && (owes_client(b) || is_replayed)) {
        sl_backend_lost(b, "it has another state than the session");
        return;
    }
    if (b) {
        sl_backend_close(b);
    }
    if (r->session->trx.is_open && r->trx_server == position) {
        sl_session_fail(r->session, SL_ER_NET_READ_ERROR, "08S01",
                        "Server '%s' had to be given up in the middle of a transaction",
                        r->session->service->servers[position]->name);
    }
}

static enum sl_history_result result_of(const struct sl_reply *reply)
{
    return reply->kind == SL_REPLY_KIND_ERR ? SL_HISTORY_ERR : SL_HISTORY_OK;
}

/* A PREPARE that fails on a replica only (a temporary table, say) costs nothing: the statement
 * runs elsewhere. */
static bool must_agree(const struct sl_history_entry *e)
{
    return e->command != SL_COM_STMT_PREPARE;
}

static void decide_result(struct rws *r, struct sl_history_entry *e, const struct sl_reply *reply)
{
    e->result = (uint8_t)result_of(reply);
    uint64_t differing = e->result == SL_HISTORY_OK ? e->early_err : e->early_ok;
    if (!must_agree(e)) {
        return;
    }
    for (int i = 0; i < (int)r->session->backend_count; i++) {
        if ((differing >> i) & 1) {
            rws_exclude(r, i, "before the deciding server");
        }
    }
}

/* A reply that the client does not get. */
static void compare(struct rws *r, struct sl_backend *b, uint32_t tag, const struct sl_reply *reply)
{
    struct sl_history_entry *e = tag & RWS_TAG_PREPARE ? NULL : sl_history_find(&r->history, tag);
    if (!e || !must_agree(e)) {
        return;
    }
    if (e->result == SL_HISTORY_PENDING) {
        *(result_of(reply) == SL_HISTORY_OK ? &e->early_ok : &e->early_err) |= 1ull << b->position;
    } else if (e->result != result_of(reply) && rws_is_renewal(r, b)) {
        /* a server that has just come back may have to catch up first */
        sl_backend_lost(b, "it answers a session command differently");
    } else if (e->result != result_of(reply)) {
        rws_exclude(r, (int)b->position,
                    reply->kind == SL_REPLY_KIND_ERR ? b->why : "OK instead of an error");
    }
}

/* The tag of the reply that has just been taken from the queue: it is still in its slot. */
static uint32_t tag_of(const struct sl_backend *b)
{
    unsigned at = (b->queue_head + b->queue_capacity - 1u) % b->queue_capacity;
    return b->queue[at].tag;
}

/* LOCK TABLES holds on the primary alone, and under it the session sees the locked tables only. A
 * LOCK TABLES that fails has released the locks before it; so does a transaction that begins. */
static void update_table_locks(struct rws *r, const struct sl_reply *reply)
{
    bool is_done = reply->kind != SL_REPLY_KIND_ERR;
    if (r->op == SL_SQL_OP_LOCK && is_done) {
        r->locks |= RWS_LOCK_TABLES;
    } else if (r->op == SL_SQL_OP_LOCK ||
               (is_done && (r->op == SL_SQL_OP_UNLOCK || (r->type & SL_SQL_TRX_BEGIN)))) {
        r->locks &= (uint8_t)~RWS_LOCK_TABLES;
    }
}

static void update_locks(struct rws *r)
{
    if (r->session->trx.is_serializable) {
        if (!(r->locks & RWS_LOCK_SERIALIZABLE)) {
            rws_lock(r, RWS_LOCK_SERIALIZABLE);
        }
    } else {
        r->locks &= (uint8_t)~RWS_LOCK_SERIALIZABLE;
    }
}

static void client_reply(struct rws *r, struct sl_backend *b, const struct sl_reply *reply)
{
    struct sl_session *s = r->session;
    uint32_t tag = tag_of(b);
    if (r->causal) {
        rws_causal_client_reply(r, b, reply);
    }
    r->last = (int)b->position;
    r->tried = 0;
    r->held_since_ms = 0;
    if (reply->command == SL_COM_STMT_PREPARE) {
        rws_stmt_prepared(r, b, reply, tag);
        struct sl_history_entry *e = sl_history_find(&r->history, r->history_id);
        if (e) {
            decide_result(r, e, reply);
        }
        if (reply->kind == SL_REPLY_KIND_ERR && r->slot != 0) {
            rws_stmt_close(r, r->slot);
        } else {
            rws_reuse_prepared(r);
        }
    } else if (r->history_id != 0) {
        struct sl_history_entry *e = sl_history_find(&r->history, r->history_id);
        if (e) {
            decide_result(r, e, reply);
        }
    }
    if (reply->command == SL_COM_STMT_EXECUTE && r->slot != 0) {
        struct rws_stmt *st = rws_stmt_get(r, r->slot);
        if (st) {
            st->cursor =
                (int16_t)(reply->status & SL_STATUS_CURSOR_EXISTS ? (int)b->position : RWS_NONE);
        }
    }
    if (b->is_read) {
        rws_adaptive_sample(r, (int)b->position, sl_loop_now_us(s->worker->loop) - b->sent_us);
    }
    if (r->replay) {
        rws_replay_completed(r, b, reply);
    }
    if (!s->trx.is_open) {
        r->trx_server = r->optimistic_on = RWS_NONE;
    } else if (r->sends_once && r->trx_server == RWS_NONE) {
        r->trx_server = (int)b->position; /* BEGIN hidden in what a hint sent there */
    }
    r->refused_since_ms = 0;
    r->refusals = 0;
    if (!s->trx.next_is_set && r->next_trx) {
        sl_free(r->next_trx);
        r->next_trx = NULL;
    }
    r->history_id = 0;
    rws_drop_saved(r);
    update_table_locks(r, reply);
    update_locks(r);
}

/* Something that a held command may have waited for has happened. */
static void go_on(struct rws *r)
{
    if (r->session->step != SL_SESSION_READY) {
        return;
    }
    if (rws_replay_is_running(r)) {
        rws_replay_advance(r);
    } else if (r->is_waiting) {
        rws_route_saved(r);
    } else if (r->session->held) {
        sl_session_unhold(r->session);
    }
}

void rws_on_reply(struct sl_session *s, struct sl_backend *b, const struct sl_reply *reply,
                  uint8_t purpose)
{
    struct rws *r = s->router;
    if (purpose == SL_PURPOSE_CLIENT) {
        client_reply(r, b, reply);
        return;
    }
    if (purpose == SL_PURPOSE_REPLAY) {
        rws_replay_on_reply(r, b, reply);
        return;
    }
    if (purpose == SL_PURPOSE_PROBE) {
        rws_causal_answered(r, b, reply, tag_of(b));
    }
    if (purpose == SL_PURPOSE_INTERNAL && tag_of(b) == RWS_TAG_ROLLBACK &&
        reply->kind == SL_REPLY_KIND_ERR) {
        sl_backend_close(b); /* later reads there would see the transaction's snapshot */
    }
    if (purpose == SL_PURPOSE_INTERNAL || purpose == SL_PURPOSE_PROBE) {
        go_on(r);
        return;
    }
    uint32_t tag = tag_of(b);
    if (purpose == SL_PURPOSE_HISTORY) {
        sl_assert(b->history_left > 0);
        b->history_left--;
    }
    if (reply->command == SL_COM_STMT_PREPARE) {
        rws_stmt_prepared(r, b, reply, tag);
    } else {
        compare(r, b, tag, reply);
    }
    if (purpose == SL_PURPOSE_HISTORY && b->history_left == 0 && sl_backend_is_ready(b)) {
        rws_renewal_ready(r, b);
    }
    go_on(r);
}

/* The state of the session, in one batch, before anything else. */
static bool replay_history(struct rws *r, struct sl_backend *b)
{
    uint32_t limit = rws_replay_history_limit(r, (int)b->position);
    SL_LIST_FOR_EACH (node, &r->history.entries) {
        struct sl_history_entry *e = SL_CONTAINER_OF(node, struct sl_history_entry, node);
        if (e->slot == 0 && e->id >= limit) {
            continue; /* it comes again in its place within the transaction */
        }
        uint32_t tag = e->slot ? rws_stmt_tag(r, e->slot) : e->id;
        if (sl_backend_send(b, e->packet, e->len, SL_PURPOSE_HISTORY, tag) < 0) {
            return false;
        }
        b->history_left++;
    }
    bool is_primary = (int)b->position == r->primary;
    if (is_primary && r->next_trx && r->session->trx.next_is_set) {
        if (sl_backend_send(b, r->next_trx, r->next_trx_len, SL_PURPOSE_HISTORY, 0) < 0) {
            return false;
        }
        b->history_left++;
    }
    return true;
}

void rws_on_backend_ready(struct sl_session *s, struct sl_backend *b)
{
    struct rws *r = s->router;
    if (r->causal) {
        rws_causal_backend_ready(r, b);
    }
    rws_replay_watch(r, b);
    if (!sl_history_is_recoverable(&r->history) || !replay_history(r, b)) {
        r->bad |= 1ull << b->position;
        sl_backend_close(b);
    } else if (b->history_left == 0) {
        rws_renewal_ready(r, b);
    }
    go_on(r);
}
