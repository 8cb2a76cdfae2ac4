/* SPDX-License-Identifier: Apache-2.0 */
/* Prepared statements on the wire. See params.h. */
#include "proto/params.h"

#include "base/assert.h"
#include "base/mem.h"

#define ID_AT 1 /* offset of the statement id, in commands and in PREPARE-OK alike */

uint32_t sl_stmt_id(const uint8_t *payload)
{
    return sl_get_le32(payload + ID_AT);
}

void sl_stmt_id_put(uint8_t *payload, uint32_t id)
{
    sl_put_le32(payload + ID_AT, id);
}

uint32_t sl_prepare_ok_id(const uint8_t *payload)
{
    return sl_get_le32(payload + ID_AT);
}

void sl_prepare_ok_id_put(uint8_t *payload, uint32_t id)
{
    sl_put_le32(payload + ID_AT, id);
}

static void parse_single(struct sl_reader *r, struct sl_execute_info *e)
{
    e->flags = sl_read_u8(r);
    e->iterations = sl_read_u32(r);
    if (e->params > 0) {
        e->nulls = sl_read_bytes(r, ((size_t)e->params + 7) / 8);
        e->has_types = sl_read_u8(r) == 1;
    }
}

static void parse_bulk(struct sl_reader *r, struct sl_execute_info *e)
{
    e->is_bulk = true;
    e->flags = sl_read_u16(r);
    e->has_types = (e->flags & SL_BULK_TYPES) != 0;
}

int sl_execute_parse(const uint8_t *payload, size_t len, uint16_t params,
                     struct sl_execute_info *ret)
{
    struct sl_reader r = sl_reader(payload, len);
    uint8_t command = sl_read_u8(&r);
    *ret = (struct sl_execute_info){.stmt_id = sl_read_u32(&r), .params = params};
    if (command == SL_COM_STMT_EXECUTE) {
        parse_single(&r, ret);
    } else if (command == SL_COM_STMT_BULK_EXECUTE) {
        parse_bulk(&r, ret);
    } else if (!r.failed) {
        return SL_EPROTO;
    }
    if (ret->has_types) {
        ret->types = sl_read_bytes(&r, 2 * (size_t)params);
    }
    if (r.failed) {
        return SL_EAGAIN;
    }
    ret->values_at = len - sl_reader_left(&r);
    return SL_OK;
}

/* The command up to its values. */
static void write_front(struct sl_writer *w, const struct sl_execute_info *info, uint32_t stmt_id,
                        struct sl_slice types)
{
    bool has_types = types.len > 0;
    sl_write_u8(w, info->is_bulk ? SL_COM_STMT_BULK_EXECUTE : SL_COM_STMT_EXECUTE);
    sl_write_u32(w, stmt_id);
    if (info->is_bulk) {
        sl_write_u16(w,
                     (uint16_t)((info->flags & ~SL_BULK_TYPES) | (has_types ? SL_BULK_TYPES : 0)));
    } else {
        sl_write_u8(w, (uint8_t)info->flags);
        sl_write_u32(w, info->iterations);
        if (info->params > 0) {
            sl_write_bytes(w, info->nulls.data, info->nulls.len);
            sl_write_u8(w, has_types ? 1 : 0);
        }
    }
    sl_write_bytes(w, types.data, types.len);
}

/* Cuts head and tail, one logical payload, into physical packets. */
static void write_joined(struct sl_writer *w, struct sl_slice head, struct sl_slice tail)
{
    size_t total = head.len + tail.len;
    size_t at = 0;
    uint8_t seq = 0;
    size_t piece;
    do {
        uint8_t *header = sl_write_room(w, SL_PACKET_HEADER);
        size_t from_head = SL_MIN(at < head.len ? head.len - at : 0, (size_t)SL_PACKET_MAX);
        piece = SL_MIN(total - at, (size_t)SL_PACKET_MAX);
        if (header == NULL) {
            return;
        }
        sl_packet_put_header(header, (uint32_t)piece, seq++);
        if (from_head > 0) {
            sl_write_bytes(w, head.data + at, from_head);
        }
        if (piece > from_head) {
            sl_write_bytes(w, tail.data + (at + from_head - head.len), piece - from_head);
        }
        at += piece;
    } while (piece == SL_PACKET_MAX);
}

int sl_execute_build(struct sl_buf *buf, const uint8_t *payload, size_t len,
                     const struct sl_execute_info *info, uint32_t stmt_id, struct sl_slice types)
{
    struct sl_buf front = SL_BUF_INIT;
    struct sl_writer w = sl_writer_buf(&front);
    int rc;
    if (info->has_types) {
        types = info->types;
    }
    if (types.len != 0 && types.len != 2 * (size_t)info->params) {
        return SL_EINVAL;
    }
    sl_assert(info->values_at <= len);
    write_front(&w, info, stmt_id, types);
    rc = sl_writer_finish(&w);
    if (rc == SL_OK) {
        w = sl_writer_buf(buf);
        write_joined(&w, sl_buf_slice(&front),
                     sl_slice(payload + info->values_at, len - info->values_at));
        rc = sl_writer_finish(&w);
    }
    sl_buf_free(&front);
    return rc;
}

int sl_param_types_remember(struct sl_param_types *t, const struct sl_execute_info *info)
{
    if (!info->has_types || info->types.len == 0) {
        return SL_OK;
    }
    if (info->params > t->params || t->data == NULL) {
        uint8_t *data = sl_realloc(t->data, info->types.len);
        if (data == NULL) {
            return SL_ENOMEM;
        }
        t->data = data;
    }
    memcpy(t->data, info->types.data, info->types.len);
    t->params = info->params;
    return SL_OK;
}

struct sl_slice sl_param_types_slice(const struct sl_param_types *t)
{
    return sl_slice(t->data, t->data ? 2 * (size_t)t->params : 0);
}

void sl_param_types_free(struct sl_param_types *t)
{
    sl_free(t->data);
    *t = (struct sl_param_types){NULL, 0};
}
