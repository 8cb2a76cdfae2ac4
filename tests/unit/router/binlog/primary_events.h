/* SPDX-License-Identifier: Apache-2.0 */
/* The stream of a primary, made by hand: events with positions and checksums. For tests. */
#ifndef TESTS_UNIT_ROUTER_BINLOG_PRIMARY_EVENTS_H
#define TESTS_UNIT_ROUTER_BINLOG_PRIMARY_EVENTS_H

#include <string.h>

#include "base/buffer.h"
#include "base/assert.h"
#include "base/mem.h"
#include "proto/packet.h"
#include "repl/event.h"

/* Events one after the other; each is also an entry of at[]. */
struct stream {
    struct sl_buf bytes;
    size_t at[512], len[512];
    unsigned count;
    uint32_t pos; /* of the next event in the primary's file */
    bool has_crc;
};

static inline void stream_add(struct stream *s, uint8_t type, uint16_t flags, const void *body,
                              size_t body_len, bool moves)
{
    bool has_crc = s->has_crc || type == SL_EVENT_FORMAT_DESCRIPTION;
    uint32_t len = (uint32_t)(SL_EVENT_HEADER + body_len + (has_crc ? SL_EVENT_CRC : 0));
    sl_assert(sl_buf_reserve(&s->bytes, len) == SL_OK && s->count < 512);
    uint8_t *p = s->bytes.data + s->bytes.end;
    s->pos += moves ? len : 0;
    struct sl_event_header h = {.timestamp = moves ? 1700000000 : 0,
                                .server_id = 1,
                                .length = len,
                                .log_pos = moves ? s->pos : 0,
                                .flags = flags,
                                .type = type};
    sl_event_header_put(p, &h);
    if (body_len > 0) {
        memcpy(p + SL_EVENT_HEADER, body, body_len);
    }
    if (has_crc) {
        sl_event_crc_put(p, len);
    }
    s->at[s->count] = s->bytes.end - s->bytes.start;
    s->len[s->count++] = len;
    sl_buf_commit(&s->bytes, len);
}

static inline uint8_t *stream_event(struct stream *s, unsigned i)
{
    return s->bytes.data + s->bytes.start + s->at[i];
}

static inline void stream_rotate(struct stream *s, const char *file)
{
    uint8_t body[64] = {4};
    memcpy(body + 8, file, strlen(file));
    s->pos = 4;
    stream_add(s, SL_EVENT_ROTATE, SL_EVENT_FLAG_ARTIFICIAL, body, 8 + strlen(file), false);
}

static inline void stream_fde(struct stream *s)
{
    uint8_t body[57 + 171 + 1] = {0};
    sl_put_le16(body, 4);
    memcpy(body + 2, "10.11.19-MariaDB-log", 20);
    body[56] = SL_EVENT_HEADER;
    body[sizeof body - 1] = s->has_crc;
    stream_add(s, SL_EVENT_FORMAT_DESCRIPTION, 0, body, sizeof body, true);
}

static inline void stream_gtid(struct stream *s, uint32_t domain, uint64_t seq, uint8_t flags2)
{
    uint8_t body[19] = {0};
    sl_put_le64(body, seq);
    sl_put_le32(body + 8, domain);
    body[12] = flags2;
    stream_add(s, SL_EVENT_GTID, 0, body, sizeof body, true);
}

/* A transaction with one row event of `size` bytes. */
static inline void stream_transaction(struct stream *s, uint32_t domain, uint64_t seq, size_t size)
{
    uint8_t *row = sl_xcalloc(1, size + 1);
    memset(row, (int)seq, size);
    stream_gtid(s, domain, seq, SL_GTID_TRANSACTIONAL);
    stream_add(s, SL_EVENT_TABLE_MAP, 0, "12345678", 8, true);
    stream_add(s, SL_EVENT_WRITE_ROWS, 0, row, size, true);
    stream_add(s, SL_EVENT_XID, 0, "87654321", 8, true);
    sl_free(row);
}

static inline void stream_query(struct stream *s, const char *sql)
{
    uint8_t body[256] = {0};
    memcpy(body + 13, "\0", 1); /* no database, no status */
    memcpy(body + 14, sql, strlen(sql));
    stream_add(s, SL_EVENT_QUERY, 0, body, 14 + strlen(sql), true);
}

static inline void stream_ddl(struct stream *s, uint32_t domain, uint64_t seq)
{
    stream_gtid(s, domain, seq, SL_GTID_STANDALONE | SL_GTID_DDL);
    stream_query(s, "create table t (a int)");
}

static inline void stream_heartbeat(struct stream *s, const char *file)
{
    stream_add(s, SL_EVENT_HEARTBEAT, 0, file, strlen(file), false);
}

static inline void stream_free(struct stream *s)
{
    sl_buf_free(&s->bytes);
}

/* As packets of a dump, from `seq` on. */
static inline void stream_packets(const struct stream *s, unsigned from, uint8_t seq,
                                  struct sl_buf *out)
{
    for (unsigned i = from; i < s->count; i++) {
        struct sl_buf payload = SL_BUF_INIT;
        struct sl_writer w = sl_writer_buf(out);
        sl_assert(sl_buf_append(&payload, "", 1) == SL_OK);
        sl_assert(sl_buf_append(&payload, s->bytes.data + s->bytes.start + s->at[i], s->len[i]) ==
                  SL_OK);
        seq = sl_write_packet(&w, seq, sl_buf_slice(&payload));
        sl_assert(sl_writer_finish(&w) == SL_OK);
        sl_buf_free(&payload);
    }
}

#endif
