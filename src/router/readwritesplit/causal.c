/* SPDX-License-Identifier: Apache-2.0 */
/*
 * causal_reads of a session: what has been written, which server has it, and waiting.
 *
 * A question goes out right in front of the read, on the same connection. When its answer is bad, the
 * read's own reply is still to come and the client has seen nothing: that reply is disowned, and the
 * kept copy of the read goes to the primary.
 *
 * Invariants: waiting_on is a server whose answer to `tag` is outstanding, or RWS_NONE. A question in
 *             front of a read outside a transaction is sent only if that read is kept.
 */
#include "router/readwritesplit/causal.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "core/server.h"
#include "proto/constants.h"
#include "proto/ok.h"
#include "router/readwritesplit/rwsplit.h"

/* How long beyond the timeout a replica may take to say so, before it counts as frozen. The time of
 * wsrep_sync_wait is the provider's: there only our clock counts. */
#define SILENCE_MS 1000

static bool is_fast(const struct rws *r)
{
    return r->cfg->causal_reads == SL_CAUSAL_FAST ||
           r->cfg->causal_reads == SL_CAUSAL_FAST_GLOBAL ||
           r->cfg->causal_reads == SL_CAUSAL_FAST_UNIVERSAL;
}

static bool is_global(const struct rws *r)
{
    return r->cfg->causal_reads == SL_CAUSAL_GLOBAL ||
           r->cfg->causal_reads == SL_CAUSAL_FAST_GLOBAL;
}

static bool is_universal(const struct rws *r)
{
    return r->cfg->causal_reads == SL_CAUSAL_UNIVERSAL ||
           r->cfg->causal_reads == SL_CAUSAL_FAST_UNIVERSAL;
}

static struct sl_server *server_at(const struct rws *r, int position)
{
    return r->session->service->servers[position];
}

static bool is_galera(const struct rws *r, int position)
{
    return atomic_load_explicit(&server_at(r, position)->is_galera, memory_order_relaxed);
}

/* What it has written it also reads; and MASTER_GTID_WAIT() would not end there. */
static bool is_primary(const struct rws *r, int position)
{
    uint32_t st = sl_server_status(server_at(r, position));
    return (st & SL_SERVER_MASTER) || (position == r->primary && !(st & SL_SERVER_SLAVE));
}

/* Who certainly has what was written: a primary. In a cluster the role may move to a node that is
 * still applying what another one committed, so there it is the node of the last write: nodes
 * commit in one order, and it has everything that was acknowledged before. */
static bool is_source(const struct rws *r, int position)
{
    if (!is_galera(r, position)) {
        return is_primary(r, position);
    }
    const struct rws_causal *c = r->causal;
    return position == (is_global(r)
                            ? atomic_load_explicit(&c->shared->writer, memory_order_acquire)
                            : c->writer);
}

/* May its reply tell what was written? A node may have lost the primary's role while it ran the
 * statement. */
static bool is_writable(const struct rws *r, int position)
{
    return is_primary(r, position) || (is_galera(r, position) && !(r->type & SL_SQL_READ));
}

int rws_causal_open(struct rws *r, struct rws_causal_shared *shared)
{
    if (r->cfg->causal_reads == SL_CAUSAL_NONE) {
        return SL_OK;
    }
    struct rws_causal *c =
        sl_calloc(1, sizeof *c + r->session->backend_count * sizeof c->server[0]);
    if (!c) {
        return SL_ENOMEM;
    }
    c->shared = shared;
    c->waiting_on = RWS_NONE;
    c->version = 1;
    c->writer = RWS_NONE;
    r->causal = c;
    r->session->wants_state = true;
    r->session->hidden_variable = "last_gtid";
    return SL_OK;
}

/* ---- what has been written ---- */

/* The global modes: what all sessions of the service have written. */
static void refresh(struct rws *r)
{
    struct rws_causal *c = r->causal;
    uint64_t version = sl_gtid_shared_version(&c->shared->position) + 1;
    if (!is_global(r) || version == c->version) {
        return;
    }
    sl_gtid_shared_get(&c->shared->position, &c->position);
    c->is_unknown = atomic_load_explicit(&c->shared->is_unknown, memory_order_acquire);
    c->version = version;
}

/* Before the position moves: who sees the new position sees this. */
static void share_writer(struct rws_causal *c)
{
    if (atomic_load_explicit(&c->shared->writer, memory_order_relaxed) != c->writer) {
        atomic_store_explicit(&c->shared->writer, c->writer, memory_order_release);
    }
}

static void note_gtid(struct rws *r, int writer, struct sl_gtid gtid)
{
    struct rws_causal *c = r->causal;
    c->has_news = true;
    c->writer = writer;
    if (!atomic_load_explicit(&c->shared->has_gtids, memory_order_relaxed)) {
        atomic_store_explicit(&c->shared->has_gtids, true, memory_order_relaxed);
    }
    if (is_global(r)) {
        if (atomic_load_explicit(&c->shared->is_unknown, memory_order_relaxed)) {
            atomic_store_explicit(&c->shared->is_unknown, false, memory_order_release);
        }
        share_writer(c);
        sl_gtid_shared_add(&c->shared->position, gtid);
    } else {
        c->is_unknown = false;
        sl_gtid_set_add(&c->position, gtid);
        c->version++;
    }
}

/* Something may have been written, and nobody tells which GTID it has. */
static void note_unknown(struct rws *r, int writer)
{
    struct rws_causal *c = r->causal;
    c->writer = writer;
    if (is_global(r)) {
        share_writer(c);
        atomic_store_explicit(&c->shared->is_unknown, true, memory_order_release);
        atomic_fetch_add(&c->shared->position.version, 1);
    } else {
        c->is_unknown = true;
        c->version++;
    }
}

void rws_causal_forget(struct rws_causal_shared *shared)
{
    atomic_store_explicit(&shared->is_unknown, false, memory_order_relaxed);
    sl_gtid_shared_forget(&shared->position);
}

void rws_causal_shared_init(struct rws_causal_shared *shared)
{
    atomic_init(&shared->writer, RWS_NONE);
}

static void on_state(void *arg, struct sl_slice block)
{
    struct sl_backend *b = arg;
    struct rws *r = b->session->router;
    if (!r || !r->causal || sl_backend_purpose(b) != SL_PURPOSE_CLIENT ||
        !is_writable(r, (int)b->position)) {
        return;
    }
    struct sl_state_iter it = sl_state_iter(block);
    struct sl_state_record record;
    struct sl_gtid gtid;
    while (sl_state_next(&it, &record)) {
        if (record.type == SL_STATE_SYSTEM_VARIABLE &&
            sl_slice_equal(record.name, sl_slice_text("last_gtid")) &&
            sl_gtid_parse(record.value, &gtid) == SL_OK) {
            note_gtid(r, (int)b->position, gtid);
        }
    }
}

/* Statements that may commit something and end in an ERR, which tells no GTID. */
static bool may_commit_and_fail(uint8_t op)
{
    return op == SL_SQL_OP_CALL || op == SL_SQL_OP_COMPOUND || op == SL_SQL_OP_EXECUTE_IMMEDIATE ||
           op == SL_SQL_OP_UNKNOWN;
}

/* The primary's reply told no GTID: can it have committed something all the same? */
static bool is_silent_write(const struct rws *r, const struct sl_backend *b,
                            const struct sl_reply *reply)
{
    if (reply->kind == SL_REPLY_KIND_ERR) {
        return may_commit_and_fail(r->op) && !(r->type & SL_SQL_READ);
    }
    if (!reply->deprecate_eof && reply->kind == SL_REPLY_KIND_RESULTSET &&
        (reply->status & SL_STATUS_SESSION_STATE_CHANGED)) {
        return true; /* an EOF has no room for it; a later OK will tell */
    }
    bool is_write = r->type & (SL_SQL_WRITE | SL_SQL_TRX_COMMIT | SL_SQL_IMPLICIT_COMMIT |
                               SL_SQL_PRIMARY_READ | SL_SQL_AUTOCOMMIT_ON);
    /* Galera replicates without a binary log, too; then nobody ever tells one */
    return is_write && !r->session->trx.is_open && is_galera(r, (int)b->position) &&
           !atomic_load_explicit(&r->causal->shared->has_gtids, memory_order_relaxed);
}

void rws_causal_client_reply(struct rws *r, const struct sl_backend *b,
                             const struct sl_reply *reply)
{
    struct rws_causal *c = r->causal;
    if (!c->has_news && is_writable(r, (int)b->position) && is_silent_write(r, b, reply)) {
        note_unknown(r, (int)b->position);
    }
    c->has_news = false;
    c->to_primary = false;
    c->probe = c->barrier = RWS_PROBE_NONE;
}

/* ---- asking ---- */

static bool ask(struct rws *r, struct sl_backend *b, enum rws_causal_question question,
                const struct sl_gtid_set *wanted)
{
    struct rws_causal *c = r->causal;
    uint8_t packet[RWS_CAUSAL_PACKET_MAX];
    size_t len = rws_causal_packet(packet, question, wanted, r->cfg->causal_reads_timeout);
    if (sl_backend_send(b, packet, len, SL_PURPOSE_PROBE, c->tag + 1) < 0) {
        return false;
    }
    c->tag++;
    c->question = (uint8_t)question;
    c->waiting_on = (int)b->position;
    c->asked_version = c->version;
    c->since_ms = sl_loop_now_ms(r->session->worker->loop);
    c->reply_len = 0;
    return true;
}

static void tell_tracking(struct sl_backend *b)
{
    uint8_t packet[RWS_CAUSAL_PACKET_MAX];
    size_t len = rws_causal_packet(packet, RWS_TELL_TRACKING, NULL, 0);
    sl_backend_send(b, packet, len, SL_PURPOSE_INTERNAL, 0);
}

void rws_causal_backend_ready(struct rws *r, struct sl_backend *b)
{
    r->causal->server[b->position].reached = 0;
    r->causal->server[b->position].is_deaf = false;
    b->reply.on_state = on_state;
    b->reply.arg = b;
    tell_tracking(b);
}

/* A client that chooses itself what is tracked gets what it has chosen; COM_RESET_CONNECTION ends
 * the tracking. */
void rws_causal_sent_all(struct rws *r, const struct sl_request *rq, uint64_t servers)
{
    struct sl_slice sql = sl_slice(rq->data + SL_PACKET_HEADER + 1, rq->len - SL_PACKET_HEADER - 1);
    bool is_reset = rq->command == SL_COM_RESET_CONNECTION, wants_gtid = false;
    bool is_set = rq->command == SL_COM_QUERY && r->op == SL_SQL_OP_SET &&
                  rws_causal_changes_tracking(sql, &wants_gtid);
    if (!is_set && !is_reset) {
        return;
    }
    r->session->hidden_variable = wants_gtid ? NULL : "last_gtid";
    for (unsigned i = 0; i < r->session->backend_count; i++) {
        struct sl_backend *b = r->session->backends[i];
        if (((servers >> i) & 1) && sl_backend_is_ready(b)) {
            r->causal->server[i].is_deaf |= is_reset;
            tell_tracking(b);
        }
    }
}

void rws_causal_begin(struct rws *r)
{
    r->causal->to_primary = false;
    r->causal->probe = r->causal->barrier = RWS_PROBE_NONE;
    refresh(r);
}

bool rws_causal_asked(struct rws *r)
{
    struct rws_causal *c = r->causal;
    int position = rws_select_primary(r);
    if (!is_universal(r) || c->probe == RWS_PROBE_DONE || c->to_primary) {
        return true;
    }
    if (position == RWS_NONE) {
        c->to_primary = true;
        return true;
    }
    if (is_galera(r, position) && !is_fast(r)) {
        return true; /* the barrier needs no position */
    }
    struct sl_backend *b = r->session->backends[position];
    if (!b && rws_connect(r, position) < 0) {
        c->to_primary = true;
        return true;
    }
    if (c->probe == RWS_PROBE_NONE && sl_backend_is_ready(b)) {
        if (!ask(r, b, RWS_ASK_POSITION, NULL)) {
            c->to_primary = true;
            return true;
        }
        c->probe = RWS_PROBE_RUNNING;
    }
    return false;
}

/* Was it asked since the last write, or was nothing written? */
static bool was_reached(const struct rws *r, int position)
{
    const struct rws_causal *c = r->causal;
    bool is_nothing = c->position.count == 0 && !c->is_unknown;
    return is_nothing || c->server[position].reached == c->version;
}

/* Is the server known to have what the read must see? */
static bool has_reached(const struct rws *r, int position)
{
    bool is_primary_now = is_primary(r, position);
    if ((is_primary_now && is_source(r, position)) || (is_fast(r) && !is_primary_now)) {
        return true;
    }
    if (is_universal(r) && is_galera(r, position) && !is_primary_now) {
        return false; /* others may have written since */
    }
    return was_reached(r, position);
}

static bool is_behind(const struct rws *r, int position)
{
    const struct rws_causal *c = r->causal;
    struct sl_gtid_set there;
    if (c->is_unknown || c->position.count == 0) {
        return c->is_unknown || c->position.is_partial;
    }
    sl_gtid_shared_get(&server_at(r, position)->position, &there);
    return !sl_gtid_set_covers(&there, &c->position);
}

bool rws_causal_is_fresh(const struct rws *r, int position)
{
    if (is_primary(r, position)) {
        return true;
    }
    if (is_fast(r)) {
        return !is_behind(r, position);
    }
    uint64_t until_ms = r->causal->server[position].avoid_until_ms;
    return until_ms == 0 || has_reached(r, position) ||
           sl_loop_now_ms(r->session->worker->loop) >= until_ms;
}

static bool wants_to_see(const struct sl_request *rq, uint32_t type)
{
    return sl_command_has_reply(rq->command) && rq->command != SL_COM_STMT_FETCH &&
           !(type & (SL_SQL_TRX_COMMIT | SL_SQL_TRX_ROLLBACK | SL_SQL_LAST));
}

/* ---- errors of our own ---- */

static const char cannot_move[] =
    "The replica has not caught up (causal_reads), and the read cannot move to another server";

static void answer(struct rws *r, uint16_t code, const char *text)
{
    rws_drop_saved(r);
    r->is_waiting = false;
    r->held_since_ms = 0;
    r->tried = 0;
    r->causal->to_primary = false;
    r->causal->probe = r->causal->barrier = RWS_PROBE_NONE;
    sl_session_answer_error(r->session, code, NULL, "%s", text);
}

/* The statement in progress needs another server than this one. */
static enum rws_causal_step move_on(struct rws *r, uint8_t target)
{
    if (target != RWS_TARGET_REPLICA) {
        answer(r, SL_ER_LOCK_WAIT_TIMEOUT, cannot_move);
        return RWS_CAUSAL_ANSWERED;
    }
    r->causal->to_primary = true;
    return RWS_CAUSAL_AGAIN;
}

enum rws_causal_step rws_causal_before(struct rws *r, const struct sl_request *rq, uint32_t type,
                                       uint8_t target, struct sl_backend *b)
{
    struct rws_causal *c = r->causal;
    int position = (int)b->position;
    if (!wants_to_see(rq, type) || has_reached(r, position)) {
        return RWS_CAUSAL_GO;
    }
    bool is_inside = target == RWS_TARGET_TRX;
    bool is_node = is_galera(r, position);
    bool can_ask = is_node || (!c->is_unknown && !c->position.is_partial);
    if (is_inside && (!can_ask || is_node)) {
        return RWS_CAUSAL_GO; /* wsrep_sync_wait has no effect inside a transaction */
    }
    if (is_node && c->server[position].is_deaf) {
        sl_backend_close(b); /* a new connection has the session's state, and listens */
        return RWS_CAUSAL_AGAIN;
    }
    if (!can_ask || (!rq->is_whole && target == RWS_TARGET_REPLICA) ||
        !ask(r, b, is_node ? RWS_ASK_NODE : RWS_ASK_REPLICA, &c->position)) {
        return move_on(r, target);
    }
    sl_count(&sl_session_counters(r->session)->causal_waits, 1);
    return RWS_CAUSAL_GO;
}

void rws_causal_no_primary(struct rws *r)
{
    answer(r, SL_ER_LOCK_WAIT_TIMEOUT,
           "No replica is known to have caught up (causal_reads), and there is no primary to read "
           "from");
}

static enum rws_causal_step ask_primary(struct rws *r, int position)
{
    struct rws_causal *c = r->causal;
    struct sl_backend *b = r->session->backends[position];
    if (b && c->server[position].is_deaf) {
        if (!sl_backend_is_idle(b)) {
            return RWS_CAUSAL_AGAIN; /* a session command still runs there */
        }
        sl_backend_close(b);
        b = NULL;
    }
    if (!b && rws_connect(r, position) < 0) {
        return RWS_CAUSAL_GO; /* who routes the statement finds the same */
    }
    b = r->session->backends[position];
    if (c->barrier == RWS_PROBE_NONE && sl_backend_is_ready(b)) {
        if (!ask(r, b, RWS_ASK_NODE, NULL)) {
            return RWS_CAUSAL_GO; /* out of memory: so is the statement */
        }
        sl_count(&sl_session_counters(r->session)->causal_waits, 1);
        c->barrier = RWS_PROBE_RUNNING;
    }
    return RWS_CAUSAL_AGAIN;
}

enum rws_causal_step rws_causal_primary(struct rws *r)
{
    int position = rws_select_primary(r);
    if (position == RWS_NONE || !is_galera(r, position) || is_source(r, position) ||
        was_reached(r, position)) {
        return RWS_CAUSAL_GO;
    }
    if (r->causal->barrier == RWS_PROBE_FAILED) {
        answer(r, SL_ER_LOCK_WAIT_TIMEOUT,
               "The new primary has not caught up with what was written before (causal_reads)");
        return RWS_CAUSAL_ANSWERED;
    }
    return ask_primary(r, position);
}

/* ---- answers ---- */

/* The read behind the question must not be answered by this server. */
static void give_up(struct rws *r, struct sl_backend *b)
{
    struct sl_session *s = r->session;
    if (!sl_backend_disown(b)) {
        return; /* the client has its answer, or none is due: it was lost in the meantime */
    }
    r->causal->server[b->position].avoid_until_ms =
        sl_loop_now_ms(s->worker->loop) + (uint64_t)r->cfg->causal_reads_timeout;
    sl_count(&sl_session_counters(s)->causal_failures, 1);
    sl_log_info("Server '%s' has not caught up within causal_reads_timeout", b->server->name);
    if (r->target == RWS_TARGET_TRX) {
        answer(r, SL_ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION,
               "Causal read timed out while in a read-only transaction, cannot move the read to "
               "the primary");
    } else if (r->saved) {
        if (s->trx.is_starting && r->trx_server == (int)b->position) {
            rws_end_elsewhere(r); /* it begins there all the same, when it gets that far */
            r->trx_server = RWS_NONE;
        }
        r->causal->to_primary = true;
        rws_route_saved(r);
    } else {
        answer(r, SL_ER_LOCK_WAIT_TIMEOUT, cannot_move);
    }
}

static void not_reached(struct rws *r, struct sl_backend *b)
{
    if (r->causal->barrier == RWS_PROBE_RUNNING) {
        r->causal->barrier = RWS_PROBE_FAILED;
        sl_count(&sl_session_counters(r->session)->causal_failures, 1);
    } else if (b) {
        give_up(r, b);
    }
}

void rws_causal_on_probe(struct sl_session *s, struct sl_backend *b, const uint8_t *data,
                         size_t len)
{
    struct rws *r = s->router;
    struct rws_causal *c = r->causal;
    if (!c || c->waiting_on != (int)b->position || b->queue[b->queue_head].tag != c->tag) {
        return;
    }
    if (len > sizeof c->reply - c->reply_len) {
        c->reply_len = sizeof c->reply; /* cut: it will not be understood */
        c->reply[0] = 0;
        return;
    }
    memcpy(c->reply + c->reply_len, data, len);
    c->reply_len = (uint16_t)(c->reply_len + len);
}

void rws_causal_answered(struct rws *r, struct sl_backend *b, const struct sl_reply *reply,
                         uint32_t tag)
{
    struct rws_causal *c = r->causal;
    struct sl_gtid_set position;
    if (!c || c->waiting_on != (int)b->position || c->tag != tag) {
        return; /* it was given up */
    }
    c->waiting_on = RWS_NONE;
    bool is_good =
        rws_causal_judge((enum rws_causal_question)c->question, sl_slice(c->reply, c->reply_len),
                         reply->deprecate_eof, &position);
    if (c->question == RWS_ASK_POSITION) {
        c->probe = RWS_PROBE_DONE;
        c->to_primary = !is_good;
        if (is_good) {
            c->position = position;
            c->version++;
        }
    } else if (is_good) {
        c->server[b->position].reached = c->asked_version;
        c->barrier = RWS_PROBE_NONE;
    } else {
        not_reached(r, b);
    }
}

void rws_causal_backend_lost(struct rws *r, const struct sl_backend *b)
{
    struct rws_causal *c = r->causal;
    if (c->waiting_on != (int)b->position) {
        return;
    }
    c->waiting_on = RWS_NONE;
    if (c->probe == RWS_PROBE_RUNNING) {
        c->probe = RWS_PROBE_NONE;
    }
    if (c->barrier == RWS_PROBE_RUNNING) {
        c->barrier = RWS_PROBE_NONE;
    }
}

void rws_causal_sweep(struct rws *r, uint64_t now_ms)
{
    struct rws_causal *c = r->causal;
    uint64_t limit_ms =
        (uint64_t)r->cfg->causal_reads_timeout + (c->question == RWS_ASK_NODE ? 0 : SILENCE_MS);
    if (c->waiting_on == RWS_NONE || now_ms - c->since_ms < limit_ms) {
        return;
    }
    struct sl_backend *b = r->session->backends[c->waiting_on];
    c->waiting_on = RWS_NONE;
    if (c->question == RWS_ASK_POSITION) {
        c->probe = RWS_PROBE_DONE;
        c->to_primary = true;
    } else {
        not_reached(r, b);
    }
}
