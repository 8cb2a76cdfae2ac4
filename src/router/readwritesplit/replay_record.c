/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open transaction is written down while it runs: commands before they are sent, checksums as
 * the replies pass. Owns the log; on the session's worker.
 *
 * The checksum leaves out how a statement was run (STATUS_VOLATILE): on_end is called for each
 * packet with a status, within the bytes that on_bytes gets right afterwards, so `hashed` moves
 * along in one pass and the result does not depend on how the bytes were cut.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/constants.h"
#include "router/readwritesplit/replay.h"

#define STATUS_VOLATILE                                                                            \
    (SL_STATUS_NO_GOOD_INDEX | SL_STATUS_NO_INDEX | SL_STATUS_QUERY_WAS_SLOW |                     \
     SL_STATUS_METADATA_CHANGED)
#define CLOSING_MAX 256 /* statements whose close is put off */

bool rws_may_commit_inside(uint8_t op, bool is_multi)
{
    return is_multi || op == SL_SQL_OP_CALL || op == SL_SQL_OP_COMPOUND ||
           op == SL_SQL_OP_EXECUTE_IMMEDIATE || op == SL_SQL_OP_UNKNOWN;
}

/* ---- beginning and end ---- */

static struct rws_replay *get(struct rws *r)
{
    if (!r->replay) {
        struct rws_replay *rp = sl_calloc(1, sizeof *rp);
        if (!rp) {
            return NULL;
        }
        rp->hash = rws_hash_new();
        rp->target = RWS_NONE;
        rws_log_init(&rp->log, &r->session->worker->request_buffers, SL_WORKER_REQUEST_BUFFER,
                     (size_t)r->cfg->transaction_replay_max_size);
        r->replay = rp;
    }
    return r->replay;
}

void rws_replay_free(struct rws *r)
{
    if (r->replay) {
        rws_log_clear(&r->replay->log);
        rws_hash_free(r->replay->hash);
        sl_free(r->replay);
        r->replay = NULL;
    }
}

size_t rws_replay_memory(const struct rws *r)
{
    return r->replay ? sizeof *r->replay + 640 + r->replay->log.memory : 0;
}

void rws_replay_give_up(struct rws *r, const char *why)
{
    struct rws_replay *rp = r->replay;
    rws_log_clear(&rp->log);
    rp->why_not = why;
    r->session->taps_replies = false;
}

static void close_deferred(struct rws *r)
{
    for (uint32_t i = 0; r->replay->closing_count > 0 && i < r->stmt_capacity; i++) {
        if (r->stmts[i].in_use && r->stmts[i].is_closing) {
            r->replay->closing_count--;
            rws_stmt_close(r, i + 1);
        }
    }
    r->replay->closing_count = 0;
}

void rws_replay_end(struct rws *r)
{
    struct rws_replay *rp = r->replay;
    if (!rp) {
        return;
    }
    rws_log_clear(&rp->log);
    close_deferred(r);
    struct rws_log log = rp->log;
    struct rws_hash *hash = rp->hash;
    *rp = (struct rws_replay){.log = log, .hash = hash, .target = RWS_NONE};
    r->history.pinned_below = 0;
    r->session->taps_replies = false;
}

bool rws_replay_defer_close(struct rws *r, uint32_t slot)
{
    struct rws_replay *rp = r->replay;
    if (!rp || !rp->is_recording || rp->why_not) {
        return false;
    }
    if (rp->closing_count >= CLOSING_MAX) {
        rws_replay_give_up(r, "it has closed too many prepared statements");
        return false;
    }
    r->stmts[slot - 1].is_closing = true;
    rp->closing_count++;
    return true;
}

/* ---- recording ---- */

bool rws_replay_wants_whole(struct rws *r, const struct sl_request *rq)
{
    const struct rws_replay *rp = r->replay;
    if (!r->cfg->transaction_replay || rq->is_whole || !r->session->trx.is_open ||
        (rp && (rp->why_not || !rws_log_has_room(&rp->log, rq->payload_len))) ||
        rq->payload_len > (uint64_t)r->cfg->transaction_replay_max_size) {
        return false;
    }
    return sl_session_want_whole(r->session);
}

/* State that the transaction builds on and that is lost with the server. */
static const char *why_not_at_all(const struct rws *r)
{
    if (r->used_get_lock) {
        return "the session holds locks of GET_LOCK()";
    }
    if (r->temp_tables.count > 0) {
        return "the session had temporary tables before";
    }
    if (r->locks & ~RWS_LOCK_SERIALIZABLE) {
        return "the session is locked to the primary";
    }
    return sl_history_is_recoverable(&r->history) ? NULL : "the session's history is lost";
}

static void add_next_trx(struct rws *r)
{
    struct rws_log_entry *e;
    if (!r->next_trx || !r->session->trx.next_is_used) {
        return;
    }
    if (rws_log_add(&r->replay->log, r->next_trx, r->next_trx_len, &e) < 0) {
        rws_replay_give_up(r, "memory is out");
        return;
    }
    e->has_reply = true;
    e->is_unchecked = true;
    r->replay->has_next_trx = true;
}

static void begin(struct rws *r)
{
    struct rws_replay *rp = r->replay;
    rws_replay_end(r);
    rp->is_recording = true;
    rp->history_mark = r->history.next_id;
    r->history.pinned_below = r->history.next_id;
    rp->why_not = why_not_at_all(r);
    if (!rp->why_not) {
        add_next_trx(r);
    }
}

static uint8_t ending_of(const struct rws *r, const struct rws_command *c)
{
    const struct sl_trx *trx = &r->session->trx;
    if (rws_may_commit_inside(c->op, c->is_multi) || (c->type & RWS_TYPE_MAY_COMMIT)) {
        return RWS_ENDING_UNKNOWN;
    }
    if (c->type & SL_SQL_TRX_ROLLBACK) {
        return RWS_ENDING_ROLLBACK;
    }
    if (c->type & SL_SQL_TRX_COMMIT) {
        return RWS_ENDING_COMMIT;
    }
    bool ends = trx->is_ending || (c->was_open && trx->is_starting);
    return ends ? RWS_ENDING_IMPLICIT : RWS_ENDING_NOT;
}

static bool is_statement(uint8_t command)
{
    return command == SL_COM_QUERY || command == SL_COM_STMT_EXECUTE ||
           command == SL_COM_STMT_BULK_EXECUTE;
}

/* Commands that are part of what the transaction has done. */
static bool belongs_to_transaction(uint8_t command)
{
    return is_statement(command) || command == SL_COM_STMT_SEND_LONG_DATA ||
           command == SL_COM_STMT_FETCH || command == SL_COM_STMT_RESET ||
           command == SL_COM_INIT_DB || command == SL_COM_SET_OPTION;
}

static const char *why_not_this(const struct rws *r, const struct rws_command *c)
{
    if (!c->rq->is_whole) {
        return "a command was too long to be kept";
    }
    if (c->type & SL_SQL_LOAD_LOCAL) {
        return "it has loaded a file of the client";
    }
    if (r->session->trx.is_xa || c->op == SL_SQL_OP_XA) {
        return "it is an XA transaction";
    }
    if (c->type & SL_SQL_GET_LOCK) {
        return "it has taken locks with GET_LOCK()";
    }
    return NULL;
}

/* An execution without parameter types would get those of a later one: they are put in. */
static int add_execute(struct rws *r, const struct rws_command *c, struct rws_log_entry **ret)
{
    const struct rws_stmt *st = c->stmt;
    const uint8_t *payload = c->rq->data + SL_PACKET_HEADER;
    size_t len = c->rq->len - SL_PACKET_HEADER;
    uint32_t slot = rws_stmt_slot(r, st);
    struct sl_execute_info info;
    struct sl_buf out = SL_BUF_INIT;
    bool lacks_types =
        is_statement(c->rq->command) && st->params > 0 && st->types.params == st->params &&
        sl_execute_parse(payload, len, st->params, &info) == SL_OK && !info.has_types;
    int rc;
    if (lacks_types) {
        rc = sl_execute_build(&out, payload, len, &info, slot, sl_param_types_slice(&st->types));
        rc = rc < 0 ? rc
                    : rws_log_add(&r->replay->log, sl_buf_slice(&out).data, sl_buf_len(&out), ret);
    } else {
        rc = rws_log_add(&r->replay->log, c->rq->data, c->rq->len, ret);
    }
    sl_buf_free(&out);
    if (rc == SL_OK) {
        sl_stmt_id_put((*ret)->packet + SL_PACKET_HEADER, slot);
    }
    return rc;
}

static void count_locked_out(struct rws *r, int rc)
{
    if (rc == SL_ELIMIT) {
        sl_count(&sl_session_counters(r->session)->trx_max_size_exceeded, 1);
        sl_log_warning("A transaction is longer than transaction_replay_max_size (%lld bytes): "
                       "it would not survive the loss of its server",
                       (long long)r->cfg->transaction_replay_max_size);
    }
    rws_replay_give_up(r, rc == SL_ELIMIT ? "it is longer than transaction_replay_max_size"
                                          : "memory is out");
}

/* A one-row insert that is run again gets the id that the client has been told. The server keeps
 * the value until an auto-increment uses it (handler::ha_release_auto_increment in its source), so
 * it is taken back before the next statement, but for one that asks about the insert. */
void rws_replay_force_id(struct sl_backend *b, uint64_t id)
{
    uint8_t packet[64] = {0};
    int n = snprintf((char *)packet + 5, sizeof packet - 5, "SET insert_id=%" PRIu64, id);
    sl_put_le24(packet, (uint32_t)n + 1);
    packet[4] = SL_COM_QUERY;
    sl_backend_send(b, packet, (size_t)n + 5, SL_PURPOSE_INTERNAL, 0);
}

static void reset_id(struct rws *r, const struct rws_command *c)
{
    struct rws_replay *rp = r->replay;
    struct sl_backend *b = r->trx_server == RWS_NONE ? NULL : r->session->backends[r->trx_server];
    if (rp->must_reset_id && !(c->type & SL_SQL_LAST)) {
        rp->must_reset_id = false;
        if (sl_backend_is_ready(b)) {
            rws_replay_force_id(b, 0);
        }
    }
}

static void add(struct rws *r, const struct rws_command *c)
{
    struct rws_replay *rp = r->replay;
    const char *why = why_not_this(r, c);
    if (why) {
        rws_replay_give_up(r, why);
        return;
    }
    struct rws_log_entry *e = NULL;
    int rc = c->stmt ? add_execute(r, c, &e) : rws_log_add(&rp->log, c->rq->data, c->rq->len, &e);
    if (rc < 0) {
        count_locked_out(r, rc);
        return;
    }
    e->has_reply = sl_command_has_reply(c->rq->command);
    e->asks_last = (c->type & SL_SQL_LAST) != 0;
    e->hides_insert = r->cfg->transaction_replay_checksum == SL_TRX_CHECKSUM_NO_INSERT_ID &&
                      c->sql.len > 0 && rws_names_insert_id(c->sql);
    rp->has_session_commands |= c->is_for_all && belongs_to_transaction(c->rq->command) &&
                                c->rq->command != SL_COM_STMT_RESET;
}

void rws_replay_record(struct rws *r, const struct rws_command *c)
{
    const struct sl_trx *trx = &r->session->trx;
    if (!r->cfg->transaction_replay || !trx->is_open) {
        return;
    }
    struct rws_replay *rp = get(r);
    if (!rp || !rp->hash) {
        rws_replay_free(r);
        return;
    }
    if (!rp->is_recording) {
        begin(r);
    }
    if (rp->is_pending && !rp->why_not) {
        rws_log_drop_last(&rp->log); /* the same once more, on another server */
    }
    reset_id(r, c);
    rp->type = c->type;
    rp->ending = is_statement(c->rq->command) ? ending_of(r, c) : RWS_ENDING_NOT;
    rp->is_transient = !belongs_to_transaction(c->rq->command);
    rp->is_chain = (c->type & SL_SQL_TRX_CHAIN) != 0;
    rp->begins_anew = c->was_open && trx->is_starting;
    rp->is_pending = sl_command_has_reply(c->rq->command);
    rp->partial_bytes = 0;
    if (!rp->why_not) {
        add(r, c);
    }
}

/* ---- the reply ---- */

void rws_replay_tap_start(struct rws *r, struct sl_backend *b)
{
    struct rws_replay *rp = r->replay;
    if (!rp || rp->why_not || !(rp->is_pending || rp->is_sent)) {
        return;
    }
    r->session->taps_replies = true;
    rp->seen = 0;
    rp->hashed = NULL;
    rp->is_partial_wrong = false;
    rp->skips_ok = r->cfg->transaction_replay_checksum != SL_TRX_CHECKSUM_FULL;
    rws_hash_start(rp->hash);
}

/* Hashes up to `end`; stops at the place where the client's part ends to compare it. */
static void hash_up_to(struct rws_replay *rp, const uint8_t *end, bool counts)
{
    size_t len = (size_t)(end - rp->hashed);
    if (rp->seen < rp->partial_bytes && rp->seen + len >= rp->partial_bytes && !rp->is_sent) {
        size_t n = (size_t)(rp->partial_bytes - rp->seen);
        if (counts) {
            rws_hash_add(rp->hash, rp->hashed, n);
        }
        struct rws_checksum now = rws_hash_value(rp->hash);
        rp->is_partial_wrong = !rws_checksum_is_equal(&now, &rp->partial);
        rp->seen += n;
        rp->hashed += n;
        len -= n;
    }
    if (counts) {
        rws_hash_add(rp->hash, rp->hashed, len);
    }
    rp->seen += len;
    rp->hashed = end;
}

/* The id in a PREPARE-OK, whose packet is whole in the first piece, is the server's own. */
static void skip_prepare_id(struct rws_replay *rp, const struct sl_backend *b)
{
    if (b->reply.command == SL_COM_STMT_PREPARE && rp->seen == 0 && b->piece[4] == 0) {
        hash_up_to(rp, b->piece + 5, true);
        hash_up_to(rp, b->piece + 9, false);
    }
}

static bool is_tapped(const struct rws *r, const struct sl_backend *b)
{
    enum sl_purpose purpose = sl_backend_purpose(b);
    return r->session->taps_replies &&
           (purpose == SL_PURPOSE_CLIENT || purpose == SL_PURPOSE_REPLAY);
}

/* An OK or EOF packet within the piece. */
static void on_end(void *arg, struct sl_slice payload)
{
    struct sl_backend *b = arg;
    struct rws *r = b->session->router;
    if (!r || !r->replay || !is_tapped(r, b)) {
        return;
    }
    struct rws_replay *rp = r->replay;
    if (!rp->hashed) {
        rp->hashed = b->piece;
        skip_prepare_id(rp, b);
    }
    if (rp->skips_ok && payload.data[0] == 0) {
        hash_up_to(rp, payload.data - SL_PACKET_HEADER, true);
        hash_up_to(rp, payload.data + payload.len, false);
        return;
    }
    size_t at = rws_status_offset(payload.data, payload.len);
    if (at > 0) {
        uint8_t status[2];
        sl_put_le16(status, (uint16_t)(sl_get_le16(payload.data + at) & ~STATUS_VOLATILE));
        hash_up_to(rp, payload.data + at, true);
        rws_hash_add(rp->hash, status, sizeof status);
        hash_up_to(rp, payload.data + at + 2, false);
    }
}

static void on_err(void *arg, const struct sl_reply *reply, struct sl_slice message)
{
    struct sl_backend *b = arg;
    struct rws *r = b->session->router;
    if (r) {
        /* "--read-only", since 10.5 "--read_only" in some of the texts */
        r->refusal_is_readonly = memmem(message.data, message.len, "read-only", 9) != NULL ||
                                 memmem(message.data, message.len, "read_only", 9) != NULL;
    }
}

void rws_replay_watch(struct rws *r, struct sl_backend *b)
{
    if (r->cfg->delayed_retry) {
        b->reply.arg = b;
        b->reply.on_error = on_err;
        b->reply.on_end = r->cfg->transaction_replay ? on_end : NULL;
    }
}

size_t rws_replay_on_bytes(struct sl_session *s, struct sl_backend *b, const uint8_t *data,
                           size_t len)
{
    struct rws *r = s->router;
    struct rws_replay *rp = r->replay;
    if (!rp) {
        return 0;
    }
    uint64_t before = rp->hashed ? 0 : rp->seen;
    if (!rp->hashed) {
        rp->hashed = data;
        skip_prepare_id(rp, b);
    } else {
        before = rp->seen - (uint64_t)(rp->hashed - data);
    }
    hash_up_to(rp, data + len, true);
    rp->hashed = NULL;
    if (rp->is_sent || rp->partial_bytes <= before) {
        return 0;
    }
    bool is_short = sl_reply_is_done(&b->reply) && rp->seen < rp->partial_bytes;
    if (rp->is_partial_wrong || is_short) {
        rp->is_partial_wrong = true;
        sl_backend_lost(b, "the repeated statement returns another result");
        return len;
    }
    return (size_t)SL_MIN((uint64_t)len, rp->partial_bytes - before);
}

/* ---- the reply is complete ---- */

static void note_reply(struct rws *r, const struct sl_reply *reply)
{
    struct rws_replay *rp = r->replay;
    struct rws_log_entry *e = rp->log.last;
    bool is_error = reply->kind == SL_REPLY_KIND_ERR;
    if (rp->is_transient) {
        rws_log_drop_last(&rp->log);
        return;
    }
    e->checksum = rws_hash_value(rp->hash);
    e->was_error = is_error;
    e->was_in_trans = reply->has_status && (reply->status & SL_STATUS_IN_TRANS);
    e->is_unchecked |= e->hides_insert && !is_error;
    if (reply->kind == SL_REPLY_KIND_OK && reply->units == 1 && reply->affected_rows == 1) {
        e->insert_id = reply->last_insert_id;
    }
}

/* The command has ended one transaction and begun the next: that one's log starts with BEGIN. */
static void begin_next(struct rws *r)
{
    struct rws_replay *rp = r->replay;
    static const char *const texts[] = {"START TRANSACTION READ WRITE",
                                        "START TRANSACTION READ ONLY"};
    const char *text = texts[r->session->trx.is_read_only];
    uint8_t packet[64] = {0};
    size_t len = strlen(text);
    bool is_chain = rp->is_chain, had_next_trx = rp->has_next_trx;
    struct rws_log_entry *last = rp->log.last, *e;
    uint8_t *copy = is_chain || !last ? NULL : sl_malloc(last->len);
    size_t copy_len = copy ? last->len : 0;
    if (copy) {
        memcpy(copy, last->packet, copy_len);
    } else {
        sl_put_le24(packet, (uint32_t)len + 1);
        packet[4] = SL_COM_QUERY;
        memcpy(packet + 5, text, len);
    }
    begin(r);
    if (is_chain && had_next_trx && !rp->why_not) {
        rws_replay_give_up(r, "it is chained to one with its own SET TRANSACTION");
    }
    if (!rp->why_not) {
        int rc = copy ? rws_log_add(&rp->log, copy, copy_len, &e)
                      : rws_log_add(&rp->log, packet, len + 5, &e);
        if (rc < 0) {
            rws_replay_give_up(r, "memory is out");
        } else {
            e->has_reply = true;
            e->is_unchecked = true;
            e->was_in_trans = true;
        }
    }
    sl_free(copy);
}

void rws_replay_completed(struct rws *r, struct sl_backend *b, const struct sl_reply *reply)
{
    struct rws_replay *rp = r->replay;
    if (!rp || !rp->is_recording) {
        return;
    }
    bool was_pending = rp->is_pending;
    bool is_error = reply->kind == SL_REPLY_KIND_ERR;
    rp->is_pending = false;
    r->session->taps_replies = false;
    rp->started_ms = 0;
    rp->attempts = 0;
    if (!r->session->trx.is_open) {
        rws_replay_end(r);
        return;
    }
    if (!was_pending) {
        return;
    }
    if (!rp->why_not) {
        note_reply(r, reply);
    }
    rp->has_writes |= (rp->type & (SL_SQL_WRITE | SL_SQL_PRIMARY_READ)) != 0;
    if (rp->ending == RWS_ENDING_UNKNOWN) {
        rws_replay_give_up(r, rp->why_not ? rp->why_not
                                          : "a statement in it may have committed on its way");
    } else if (rp->begins_anew && !is_error) {
        begin_next(r);
    }
}
