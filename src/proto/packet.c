/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the reader and the writer that are too long to be inlined. See packet.h. */
#include "proto/packet.h"

#include "base/assert.h"

uint64_t sl_read_lenenc_long(struct sl_reader *r)
{
    uint8_t first = sl_read_u8(r);
    if (r->failed || first < 0xFB) {
        return first;
    }
    if (first == 0xFC) {
        return sl_read_u16(r);
    }
    if (first == 0xFD) {
        return sl_read_u24(r);
    }
    if (first == 0xFE) {
        return sl_read_u64(r);
    }
    r->failed = true;
    r->at = r->end;
    return 0;
}

bool sl_read_column(struct sl_reader *r, struct sl_slice *ret)
{
    if (r->at < r->end && *r->at == SL_FIRST_NULL) {
        r->at++;
        *ret = sl_slice(NULL, 0);
        return false;
    }
    *ret = sl_read_lestr(r);
    return true;
}

struct sl_slice sl_read_nulstr(struct sl_reader *r)
{
    size_t left = sl_reader_left(r);
    const uint8_t *nul = left > 0 ? memchr(r->at, 0, left) : NULL;
    struct sl_slice s;
    if (nul == NULL) {
        r->failed = true;
        r->at = r->end;
        return sl_slice(NULL, 0);
    }
    s = sl_slice(r->at, (size_t)(nul - r->at));
    r->at = nul + 1;
    return s;
}

struct sl_slice sl_read_nulstr_or_rest(struct sl_reader *r)
{
    size_t left = sl_reader_left(r);
    if (left == 0 || memchr(r->at, 0, left) == NULL) {
        return sl_read_rest(r);
    }
    return sl_read_nulstr(r);
}

struct sl_writer sl_writer_array(void *array, size_t capacity)
{
    uint8_t *p = array;
    return (struct sl_writer){.base = p, .at = p, .end = p + capacity};
}

struct sl_writer sl_writer_buf(struct sl_buf *buf)
{
    struct sl_writer w = {.buf = buf};
    if (buf->data) {
        w.base = buf->data + buf->end;
        w.at = w.base;
        w.end = buf->data + buf->capacity;
    }
    return w;
}

bool sl_writer_grow(struct sl_writer *w, size_t more)
{
    size_t done;
    if (w->rc != SL_OK) {
        return false;
    }
    if (w->buf == NULL) {
        w->rc = SL_ELIMIT;
        return false;
    }
    /* What is written must be committed first: the buffer may move only what it knows of. */
    done = (size_t)(w->at - w->base);
    if (done > 0) {
        sl_buf_commit(w->buf, done);
    }
    w->flushed += done;
    w->base = w->at = w->end = w->buf->data ? w->buf->data + w->buf->end : NULL;
    w->rc = sl_buf_reserve(w->buf, SL_MAX(more, (size_t)64));
    if (w->rc != SL_OK) {
        return false;
    }
    w->base = w->at = w->buf->data + w->buf->end;
    w->end = w->buf->data + w->buf->capacity;
    return true;
}

void sl_write_zeros(struct sl_writer *w, size_t n)
{
    uint8_t *p = sl_write_room(w, n);
    if (p) {
        memset(p, 0, n);
    }
}

void sl_write_lenenc(struct sl_writer *w, uint64_t v)
{
    if (v < 0xFB) {
        sl_write_u8(w, (uint8_t)v);
    } else if (v <= 0xFFFF) {
        sl_write_u8(w, 0xFC);
        sl_write_u16(w, (uint16_t)v);
    } else if (v <= 0xFFFFFF) {
        sl_write_u8(w, 0xFD);
        sl_write_u24(w, (uint32_t)v);
    } else {
        sl_write_u8(w, 0xFE);
        sl_write_u64(w, v);
    }
}

void sl_write_lestr(struct sl_writer *w, struct sl_slice s)
{
    sl_write_lenenc(w, s.len);
    sl_write_bytes(w, s.data, s.len);
}

void sl_write_nulstr(struct sl_writer *w, struct sl_slice s)
{
    sl_write_bytes(w, s.data, s.len > 0 ? strnlen((const char *)s.data, s.len) : 0);
    sl_write_u8(w, 0);
}

size_t sl_write_packet_begin(struct sl_writer *w)
{
    size_t begin = sl_writer_len(w);
    (void)sl_write_room(w, SL_PACKET_HEADER);
    return begin;
}

void sl_write_packet_end(struct sl_writer *w, size_t begin, uint8_t seq)
{
    size_t payload;
    if (w->rc != SL_OK) {
        return;
    }
    sl_assert(sl_writer_len(w) >= begin + SL_PACKET_HEADER);
    payload = sl_writer_len(w) - begin - SL_PACKET_HEADER;
    if (payload >= SL_PACKET_MAX) {
        w->rc = SL_ELIMIT;
        return;
    }
    /* Flushed bytes lie right in front of base, so one expression serves both places. */
    sl_packet_put_header(w->at - sl_writer_len(w) + begin, (uint32_t)payload, seq);
}

uint8_t sl_write_packet(struct sl_writer *w, uint8_t seq, struct sl_slice payload)
{
    size_t done = 0;
    size_t piece;
    do {
        uint8_t *header = sl_write_room(w, SL_PACKET_HEADER);
        piece = SL_MIN(payload.len - done, (size_t)SL_PACKET_MAX);
        if (header == NULL) {
            return seq;
        }
        sl_packet_put_header(header, (uint32_t)piece, seq++);
        sl_write_bytes(w, piece > 0 ? payload.data + done : NULL, piece);
        done += piece;
    } while (piece == SL_PACKET_MAX);
    return seq;
}

int sl_writer_finish(struct sl_writer *w)
{
    if (w->buf == NULL) {
        return w->rc;
    }
    if (w->rc != SL_OK) {
        w->buf->end -= w->flushed;
        return w->rc;
    }
    if (w->at > w->base) {
        sl_buf_commit(w->buf, (size_t)(w->at - w->base));
    }
    return SL_OK;
}
