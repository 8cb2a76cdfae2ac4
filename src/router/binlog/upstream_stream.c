/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of a dump to events; contract in the header. Owns the copy of an event in pieces.
 *
 * Two ways: a whole packet in the bytes given is an item at once (all but one or two of each receive
 * go there); anything else goes through header[] and part until it is whole.
 */
#include "router/binlog/upstream_stream.h"

#include "repl/event.h"

enum {
    KEEP_BYTES = 1 << 20, /* memory of a larger event is given back when the event is done */
    PREFIX_MAX = 3,       /* 00 ef flag */
    ACK_MARK = 0xEF
};

void sl_stream_start(struct sl_stream *s, bool has_ack_header)
{
    sl_stream_free(s);
    s->has_ack_header = has_ack_header;
    s->seq = 1;
}

void sl_stream_free(struct sl_stream *s)
{
    sl_buf_free(&s->part);
    *s = (struct sl_stream){.part = SL_BUF_INIT};
}

void sl_stream_taken(struct sl_stream *s)
{
    if (!s->is_whole) {
        s->seq++; /* it lay in the caller's bytes */
        return;
    }
    s->is_whole = false;
    if (s->part.capacity > KEEP_BYTES) {
        sl_buf_free(&s->part);
    } else {
        sl_buf_clear(&s->part);
    }
}

/* What a whole payload is. */
static int interpret(struct sl_stream *s, uint8_t *payload, size_t len, struct sl_stream_item *ret)
{
    if (len > 0 && payload[0] == SL_FIRST_OK) {
        size_t prefix = s->has_ack_header ? PREFIX_MAX : 1;
        if (len < prefix + SL_EVENT_HEADER || (s->has_ack_header && payload[1] != ACK_MARK)) {
            return SL_EPROTO;
        }
        s->wants_ack = s->has_ack_header && (payload[2] & 1) != 0;
        *ret = (struct sl_stream_item){SL_STREAM_EVENT, payload + prefix, (uint32_t)(len - prefix),
                                       s->wants_ack};
        return SL_OK;
    }
    if (len > 0 && payload[0] == SL_FIRST_ERR) {
        *ret = (struct sl_stream_item){SL_STREAM_ERR, payload, (uint32_t)len, false};
        return SL_OK;
    }
    if (len > 0 && len < 9 && payload[0] == SL_FIRST_EOF) {
        *ret = (struct sl_stream_item){SL_STREAM_EOF, payload, (uint32_t)len, false};
        return SL_OK;
    }
    return SL_EPROTO;
}

/* Is it the number that comes next? */
static bool is_next(struct sl_stream *s, uint8_t seq)
{
    if (seq != s->seq && seq == 1 && s->wants_ack) {
        s->seq = 1;
    }
    return seq == s->seq;
}

static int begin_packet(struct sl_stream *s)
{
    uint32_t len = sl_packet_len(s->header);
    if (!is_next(s, sl_packet_seq(s->header)) ||
        sl_buf_len(&s->part) + len > (size_t)SL_EVENT_MAX + PREFIX_MAX) {
        return SL_EPROTO;
    }
    s->seq++;
    s->header_len = 0;
    s->is_in_packet = true;
    s->is_continued = len == SL_PACKET_MAX;
    s->packet_left = len;
    return sl_buf_reserve(&s->part, len);
}

/* The next bytes of what is copied together. Returns how many, or an error. */
static long take_piece(struct sl_stream *s, const uint8_t *data, size_t len)
{
    if (!s->is_in_packet) {
        size_t n = SL_PACKET_HEADER - (size_t)s->header_len;
        n = n < len ? n : len;
        memcpy(s->header + s->header_len, data, n);
        s->header_len += (uint8_t)n;
        int rc = s->header_len == SL_PACKET_HEADER ? begin_packet(s) : SL_OK;
        return rc < 0 ? rc : (long)n;
    }
    size_t n = s->packet_left < len ? s->packet_left : len;
    int rc = sl_buf_append(&s->part, data, n);
    s->packet_left -= (uint32_t)n;
    return rc < 0 ? rc : (long)n;
}

static bool ends_packet(struct sl_stream *s)
{
    if (!s->is_in_packet || s->packet_left > 0) {
        return false;
    }
    s->is_in_packet = false;
    return !s->is_continued;
}

static int assemble(struct sl_stream *s, const uint8_t *data, size_t len, size_t *ret_used,
                    struct sl_stream_item *ret)
{
    size_t used = 0;
    while (!s->is_whole) {
        if (ends_packet(s)) {
            s->is_whole = true;
            break;
        }
        if (used == len) {
            *ret_used = used;
            *ret = (struct sl_stream_item){.kind = SL_STREAM_MORE};
            return SL_OK;
        }
        long n = take_piece(s, data + used, len - used);
        if (n < 0) {
            return (int)n;
        }
        used += (size_t)n;
    }
    *ret_used = used;
    if (sl_buf_len(&s->part) == 0) { /* maybe without memory */
        return SL_EPROTO;
    }
    return interpret(s, s->part.data + s->part.start, sl_buf_len(&s->part), ret);
}

int sl_stream_next(struct sl_stream *s, uint8_t *data, size_t len, size_t *ret_used,
                   struct sl_stream_item *ret)
{
    bool is_fresh =
        !s->is_in_packet && !s->is_whole && s->header_len == 0 && sl_buf_len(&s->part) == 0;
    if (!is_fresh || len < SL_PACKET_HEADER) {
        return assemble(s, data, len, ret_used, ret);
    }
    uint32_t payload_len = sl_packet_len(data);
    if (payload_len == SL_PACKET_MAX || len - SL_PACKET_HEADER < payload_len) {
        return assemble(s, data, len, ret_used, ret);
    }
    if (!is_next(s, sl_packet_seq(data))) {
        return SL_EPROTO;
    }
    int rc = interpret(s, data + SL_PACKET_HEADER, payload_len, ret);
    *ret_used = SL_PACKET_HEADER + payload_len;
    return rc;
}
