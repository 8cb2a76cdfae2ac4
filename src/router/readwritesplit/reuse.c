/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reuse_prepared_statements: a statement that the client has closed stays prepared on the servers;
 * when the same text is prepared again its id and the copied answer serve once more.
 *
 * Only what is closed serves again: two open statements with one id would share their parameter
 * types and their cursor. What may change the meaning of a text (session state, DDL of this session)
 * makes all entries stale: they are closed when their turn comes. docs/internals/session-history.md.
 *
 *   PREPARE answered -> open --COM_STMT_CLOSE--> kept --same PREPARE--> open ...
 *                        |  stale, cursor, long data   | stale, too many
 *                        v                             v
 *                      closed on the servers         closed on the servers
 *
 * Nothing is closed here while a transaction is open: it may have run the statement.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/map.h"
#include "base/mem.h"
#include "proto/constants.h"
#include "proto/packet.h"
#include "router/readwritesplit/rwsplit.h"

struct entry {
    uint64_t hash;
    uint8_t *answer; /* as the client got it */
    uint32_t len;
    uint32_t slot; /* slot + 1 */
    uint32_t used; /* when it was closed last: the smallest goes first */
    uint8_t mode_bits;
    bool is_stale;
};

struct rws_reuse {
    struct entry entries[RWS_REUSE_MAX];
    uint32_t count;
    uint32_t clock;
    size_t bytes; /* of all answers */
    struct sl_buf copy;
};

static struct rws_stmt *stmt_of(struct rws *r, const struct entry *e)
{
    return rws_stmt_get(r, e->slot);
}

static void remove_entry(struct rws_reuse *u, struct entry *e)
{
    u->bytes -= e->len;
    sl_free(e->answer);
    *e = u->entries[--u->count];
}

static void close_kept(struct rws *r, struct entry *e)
{
    uint32_t slot = e->slot;
    remove_entry(r->reuse, e);
    rws_stmt_close(r, slot);
}

static struct entry *find_slot(struct rws_reuse *u, uint32_t slot)
{
    for (uint32_t i = 0; u && i < u->count; i++) {
        if (u->entries[i].slot == slot) {
            return &u->entries[i];
        }
    }
    return NULL;
}

static void close_stale(struct rws *r)
{
    struct rws_reuse *u = r->reuse;
    for (uint32_t i = 0; !r->session->trx.is_open && i < u->count;) {
        if (u->entries[i].is_stale && stmt_of(r, &u->entries[i])->is_kept) {
            close_kept(r, &u->entries[i]);
        } else {
            i++;
        }
    }
}

/* Room for one more: the kept statement that rested longest goes. */
static bool make_room(struct rws *r)
{
    struct rws_reuse *u = r->reuse;
    while (u->count == RWS_REUSE_MAX || u->bytes > RWS_REUSE_BYTES_MAX) {
        struct entry *oldest = NULL;
        for (uint32_t i = 0; i < u->count; i++) {
            struct entry *e = &u->entries[i];
            if (stmt_of(r, e)->is_kept && (!oldest || e->used < oldest->used)) {
                oldest = e;
            }
        }
        if (!oldest || r->session->trx.is_open) {
            return false;
        }
        close_kept(r, oldest);
    }
    return true;
}

/* ---- PREPARE ---- */

/* The EOF packets in a copied answer tell the state of then. */
static void update_status(const struct sl_session *s, uint8_t *answer, size_t len)
{
    uint16_t now =
        (uint16_t)((s->trx.autocommit ? SL_STATUS_AUTOCOMMIT : 0) |
                   (s->trx.is_open ? SL_STATUS_IN_TRANS : 0) |
                   (s->trx.is_open && s->trx.is_read_only ? SL_STATUS_IN_TRANS_READONLY : 0));
    const uint16_t mask = SL_STATUS_AUTOCOMMIT | SL_STATUS_IN_TRANS | SL_STATUS_IN_TRANS_READONLY;
    for (size_t at = 0; at + SL_PACKET_HEADER < len;) {
        size_t payload_len = sl_packet_len(answer + at);
        uint8_t *payload = answer + at + SL_PACKET_HEADER;
        if (payload_len == 5 && payload[0] == 0xfe) {
            sl_put_le16(payload + 3, (uint16_t)((sl_get_le16(payload + 3) & ~mask) | now));
        }
        at += SL_PACKET_HEADER + payload_len;
    }
}

static bool is_same(struct rws *r, const struct entry *e, const struct sl_request *rq,
                    uint64_t hash)
{
    if (e->is_stale || e->hash != hash || e->mode_bits != r->session->sql_mode_bits ||
        !stmt_of(r, e)->is_kept) {
        return false;
    }
    const struct sl_history_entry *text = sl_history_find_slot(&r->history, e->slot);
    return text && text->len == rq->len && memcmp(text->packet, rq->data, rq->len) == 0;
}

bool rws_reuse_answer(struct rws *r, const struct sl_request *rq)
{
    struct rws_reuse *u = r->reuse;
    if (!u || rq->command != SL_COM_STMT_PREPARE || !rq->is_whole) {
        return false;
    }
    close_stale(r);
    const uint64_t hash = sl_hash(rq->data, rq->len);
    for (uint32_t i = 0; i < u->count; i++) {
        struct entry *e = &u->entries[i];
        if (is_same(r, e, rq, hash)) {
            struct rws_stmt *st = stmt_of(r, e);
            st->is_kept = false;
            st->hint = r->session->hint;
            r->last_slot = e->slot;
            sl_count(&sl_session_counters(r->session)->prepared_reused, 1);
            update_status(r->session, e->answer, e->len);
            sl_session_answer_packets(r->session, e->answer, e->len);
            return true;
        }
    }
    return false;
}

void rws_reuse_prepare(struct rws *r)
{
    if (!r->cfg->reuse_prepared_statements) {
        return;
    }
    if (!r->reuse) {
        r->reuse = sl_calloc(1, sizeof *r->reuse);
    }
    if (r->reuse) {
        sl_buf_clear(&r->reuse->copy);
        r->session->reply_copy = &r->reuse->copy;
    }
}

/* Without memory, or a copy that was too long, the statement simply does not serve again. */
void rws_reuse_prepared(struct rws *r)
{
    struct rws_reuse *u = r->reuse;
    if (!u || r->session->reply_copy != &u->copy || r->slot == 0) {
        return;
    }
    const struct sl_history_entry *text = sl_history_find_slot(&r->history, r->slot);
    const size_t len = sl_buf_len(&u->copy);
    if (!text || len < SL_PACKET_HEADER + 5 || !make_room(r)) {
        return;
    }
    uint8_t *answer = sl_malloc(len);
    if (answer) {
        memcpy(answer, sl_buf_slice(&u->copy).data, len);
        sl_put_le32(answer + SL_PACKET_HEADER + 1, r->slot);
        u->bytes += len;
        u->entries[u->count++] = (struct entry){.hash = sl_hash(text->packet, text->len),
                                                .answer = answer,
                                                .len = (uint32_t)len,
                                                .slot = r->slot,
                                                .mode_bits = r->session->sql_mode_bits};
    }
}

/* ---- the rest of its life ---- */

bool rws_reuse_close(struct rws *r, struct rws_stmt *st)
{
    const uint32_t slot = rws_stmt_slot(r, st);
    struct entry *e = find_slot(r->reuse, slot);
    if (!e) {
        return false;
    }
    if (e->is_stale || st->cursor != RWS_NONE || st->long_data != RWS_NONE) {
        remove_entry(r->reuse, e);
        return false;
    }
    st->is_kept = true;
    e->used = ++r->reuse->clock;
    r->last_slot = r->last_slot == slot ? 0 : r->last_slot;
    return true;
}

#define CHANGES_MEANING                                                                            \
    (SL_SQL_SESSION_WRITE | SL_SQL_IMPLICIT_COMMIT | SL_SQL_CREATE_TEMP | SL_SQL_DROP_TABLE)

void rws_reuse_note(struct rws *r, uint8_t command, uint32_t type, bool is_multi)
{
    bool is_text = command == SL_COM_QUERY || command == SL_COM_STMT_EXECUTE;
    bool changes = command == SL_COM_INIT_DB || (is_text && (is_multi || (type & CHANGES_MEANING)));
    for (uint32_t i = 0; r->reuse && changes && i < r->reuse->count; i++) {
        r->reuse->entries[i].is_stale = true;
    }
}

size_t rws_reuse_memory(const struct rws *r)
{
    return r->reuse ? sizeof *r->reuse + r->reuse->bytes + r->reuse->copy.capacity : 0;
}

void rws_reuse_free(struct rws *r)
{
    struct rws_reuse *u = r->reuse;
    if (!u) {
        return;
    }
    for (uint32_t i = 0; i < u->count; i++) {
        sl_free(u->entries[i].answer);
    }
    sl_buf_free(&u->copy);
    if (r->session->reply_copy == &u->copy) {
        r->session->reply_copy = NULL;
    }
    sl_free(u);
    r->reuse = NULL;
}
