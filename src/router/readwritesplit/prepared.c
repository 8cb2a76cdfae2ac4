/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Binary prepared statements. The client knows slot + 1 as the id; each server has its own id for
 * the slot.
 *
 * A reply to PREPARE may arrive after the client closed the statement (only the deciding server's
 * reply is waited for), when the slot may even belong to another statement. So each statement of a
 * session has a number, its generation, which the tag of an expected PREPARE reply carries: a stale
 * one is closed on that server at once.
 *
 *   tag: bit 31 = PREPARE | bits 20..30 generation | bits 0..19 slot
 */
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "proto/constants.h"
#include "proto/packet.h"
#include "router/readwritesplit/rwsplit.h"

#define SLOT_BITS 20
#define SLOT_MAX (1u << SLOT_BITS)
#define GENERATION_MASK 0x7FFu
#define SLOTS_FIRST 8

static bool grow(struct rws *r)
{
    uint32_t capacity = r->stmt_capacity ? r->stmt_capacity * 2 : SLOTS_FIRST;
    if (capacity > SLOT_MAX) {
        return false;
    }
    struct rws_stmt *stmts = sl_realloc(r->stmts, capacity * sizeof *stmts);
    if (!stmts) {
        return false;
    }
    memset(stmts + r->stmt_capacity, 0, (capacity - r->stmt_capacity) * sizeof *stmts);
    r->stmts = stmts;
    r->stmt_capacity = capacity;
    return true;
}

uint32_t rws_stmt_open(struct rws *r, const struct sl_sql_info *info)
{
    uint32_t slot = 0;
    while (slot < r->stmt_capacity && r->stmts[slot].in_use) {
        slot++;
    }
    if (slot == r->stmt_capacity && !grow(r)) {
        return 0;
    }
    struct rws_stmt *st = &r->stmts[slot];
    *st = (struct rws_stmt){.type = info->type,
                            .op = info->op,
                            .is_multi = info->is_multi,
                            .in_use = true,
                            .generation = ++r->stmt_generation,
                            .hint = r->session->hint,
                            .cursor = RWS_NONE,
                            .long_data = RWS_NONE};
    return slot + 1;
}

struct rws_stmt *rws_stmt_get(struct rws *r, uint32_t id)
{
    if (id == SL_STMT_ID_LAST) {
        id = r->last_slot;
    }
    if (id == 0 || id > r->stmt_capacity || !r->stmts[id - 1].in_use) {
        return NULL;
    }
    return &r->stmts[id - 1];
}

uint32_t rws_stmt_slot(const struct rws *r, const struct rws_stmt *st)
{
    return (uint32_t)(st - r->stmts) + 1;
}

uint32_t rws_stmt_tag(const struct rws *r, uint32_t slot)
{
    sl_assert(slot > 0 && slot <= r->stmt_capacity);
    uint32_t generation = r->stmts[slot - 1].generation & GENERATION_MASK;
    return RWS_TAG_PREPARE | generation << SLOT_BITS | (slot - 1);
}

static void send_close(struct sl_backend *b, uint32_t id)
{
    uint8_t packet[9] = {5, 0, 0, 0, SL_COM_STMT_CLOSE};
    sl_put_le32(packet + 5, id);
    sl_backend_send(b, packet, sizeof packet, SL_PURPOSE_INTERNAL, 0);
}

bool rws_backend_knows(const struct sl_backend *b, uint32_t slot)
{
    return slot <= b->stmt_capacity && b->stmts[slot - 1].id != 0;
}

void rws_stmt_close(struct rws *r, uint32_t slot)
{
    struct rws_stmt *st = &r->stmts[slot - 1];
    for (unsigned i = 0; i < r->session->backend_count; i++) {
        struct sl_backend *b = r->session->backends[i];
        if (sl_backend_is_ready(b) && rws_backend_knows(b, slot)) {
            send_close(b, b->stmts[slot - 1].id);
            b->stmts[slot - 1] = (struct sl_backend_stmt){0};
        }
    }
    sl_param_types_free(&st->types);
    st->in_use = false;
    st->type = 0;
    sl_history_close_slot(&r->history, slot);
    if (r->last_slot == slot) {
        r->last_slot = 0;
    }
}

static bool remember(struct sl_backend *b, uint32_t slot, uint32_t id)
{
    if (slot > b->stmt_capacity) {
        uint32_t capacity = SL_MAX(slot, SL_MAX(b->stmt_capacity * 2, (uint32_t)SLOTS_FIRST));
        struct sl_backend_stmt *stmts = sl_realloc(b->stmts, capacity * sizeof *stmts);
        if (!stmts) {
            return false;
        }
        memset(stmts + b->stmt_capacity, 0, (capacity - b->stmt_capacity) * sizeof *stmts);
        b->stmts = stmts;
        b->stmt_capacity = capacity;
    }
    if (b->stmts[slot - 1].id != 0) {
        send_close(b, b->stmts[slot - 1].id); /* prepared twice after a retry */
    }
    b->stmts[slot - 1] = (struct sl_backend_stmt){.id = id};
    return true;
}

void rws_stmt_prepared(struct rws *r, struct sl_backend *b, const struct sl_reply *reply,
                       uint32_t tag)
{
    uint32_t slot = (tag & (SLOT_MAX - 1)) + 1;
    if (reply->kind == SL_REPLY_KIND_ERR) {
        return;
    }
    bool is_current =
        slot <= r->stmt_capacity && r->stmts[slot - 1].in_use && rws_stmt_tag(r, slot) == tag;
    if (!is_current || !remember(b, slot, reply->stmt_id)) {
        send_close(b, reply->stmt_id);
        return;
    }
    r->stmts[slot - 1].params = reply->params;
}

void rws_stmts_free(struct rws *r)
{
    for (uint32_t i = 0; i < r->stmt_capacity; i++) {
        sl_param_types_free(&r->stmts[i].types);
    }
    sl_free(r->stmts);
    r->stmts = NULL;
    r->stmt_capacity = 0;
    r->last_slot = 0;
}

/* An execution without types on a server that never saw them: put the remembered ones in. */
static int send_with_types(struct sl_backend *b, struct sl_request *rq,
                           const struct sl_execute_info *info, const struct rws_stmt *st,
                           uint32_t id, enum sl_purpose purpose, uint32_t tag)
{
    struct sl_buf out = SL_BUF_INIT;
    int rc = sl_execute_build(&out, rq->data + SL_PACKET_HEADER, rq->len - SL_PACKET_HEADER, info,
                              id, sl_param_types_slice(&st->types));
    if (rc == SL_OK) {
        rc = sl_backend_send(b, sl_buf_slice(&out).data, sl_buf_len(&out), purpose, tag);
    }
    sl_buf_free(&out);
    return rc;
}

bool rws_stmt_needs_whole(struct rws *r, const struct sl_backend *b, const struct sl_request *rq)
{
    const uint8_t *payload = rq->data + SL_PACKET_HEADER;
    const struct rws_stmt *st = rws_stmt_get(r, sl_stmt_id(payload));
    struct sl_execute_info info;
    return st && st->params > 0 &&
           (rq->command == SL_COM_STMT_EXECUTE || rq->command == SL_COM_STMT_BULK_EXECUTE) &&
           !b->stmts[rws_stmt_slot(r, st) - 1].has_types &&
           sl_execute_parse(payload, rq->len - SL_PACKET_HEADER, st->params, &info) == SL_OK &&
           !info.has_types;
}

int rws_stmt_send(struct rws *r, struct sl_backend *b, struct sl_request *rq,
                  enum sl_purpose purpose, uint32_t tag)
{
    const uint8_t *payload = rq->data + SL_PACKET_HEADER;
    struct rws_stmt *st = rws_stmt_get(r, sl_stmt_id(payload));
    sl_assert(st != NULL);
    uint32_t slot = rws_stmt_slot(r, st);
    struct sl_backend_stmt *known = &b->stmts[slot - 1];
    sl_assert(known->id != 0);
    bool is_execute = rq->command == SL_COM_STMT_EXECUTE || rq->command == SL_COM_STMT_BULK_EXECUTE;
    struct sl_execute_info info;
    if (is_execute && st->params > 0 &&
        sl_execute_parse(payload, rq->len - SL_PACKET_HEADER, st->params, &info) == SL_OK) {
        if (info.has_types) {
            sl_param_types_remember(&st->types, &info);
            known->has_types = true;
        } else if (!known->has_types && rq->is_whole && st->types.params == st->params) {
            known->has_types = true;
            return send_with_types(b, rq, &info, st, known->id, purpose, tag);
        }
    }
    known->has_long_data = rq->command == SL_COM_STMT_SEND_LONG_DATA;
    /* The id is changed in the copy that goes out. */
    uint8_t head[SL_PACKET_HEADER + 5];
    memcpy(head, rq->data, sizeof head);
    sl_stmt_id_put(head + SL_PACKET_HEADER, known->id);
    int rc = sl_backend_send(b, head, sizeof head, purpose, tag);
    return rc < 0 || rq->len == sizeof head
               ? rc
               : sl_backend_send_more(b, rq->data + sizeof head, rq->len - sizeof head);
}
