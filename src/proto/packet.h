/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framing and primitive fields of the client/server protocol: one bounded reader, one bounded
 * writer.
 *
 *   physical packet:  u24 payload length | u8 sequence | payload (0 .. 0xFFFFFF bytes)
 *   logical packet:   physical ones of 0xFFFFFF bytes, ended by the first shorter one (may be
 * empty)
 *
 * Both objects stick to their first failure: a reader past its end returns zeros and empty slices,
 * a writer without room drops what comes. So callers read or write a whole packet and check once.
 * Nothing here blocks, reads a clock or owns memory; only a writer on a struct sl_buf allocates.
 * Source of the layout: mariadb.com/kb "0-packet" and "protocol data types".
 */
#ifndef SL_PROTO_PACKET_H
#define SL_PROTO_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/slice.h"

#define SL_PACKET_HEADER 4
#define SL_PACKET_MAX 0xFFFFFFu

/* First bytes that mean something in a reply or an authentication round. */
enum sl_packet_first {
    SL_FIRST_OK = 0x00,
    SL_FIRST_AUTH_MORE = 0x01,
    SL_FIRST_NULL = 0xFB, /* NULL in a text row; LOCAL INFILE as the first byte of a reply */
    SL_FIRST_EOF = 0xFE,
    SL_FIRST_ERR = 0xFF
};

/* ---- header ---- */

static inline uint32_t sl_packet_len(const uint8_t *header)
{
    return sl_get_le24(header);
}

static inline uint8_t sl_packet_seq(const uint8_t *header)
{
    return header[3];
}

static inline void sl_packet_put_header(uint8_t *header, uint32_t payload_len, uint8_t seq)
{
    sl_put_le24(header, payload_len);
    header[3] = seq;
}

/* Number of physical packets (sequence numbers) that a logical payload of this size takes. */
static inline size_t sl_packet_fragments(size_t payload_len)
{
    return payload_len / SL_PACKET_MAX + 1;
}

/* Bytes that a length-encoded integer takes. */
static inline size_t sl_lenenc_size(uint64_t v)
{
    return v < 0xFB ? 1 : v <= 0xFFFF ? 3 : v <= 0xFFFFFF ? 4 : 9;
}

/* ---- reader ---- */

struct sl_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct sl_reader sl_reader(const void *data, size_t len)
{
    const uint8_t *p = data;
    return (struct sl_reader){p, len > 0 ? p + len : p, false};
}

static inline struct sl_reader sl_reader_slice(struct sl_slice s)
{
    return sl_reader(s.data, s.len);
}

static inline size_t sl_reader_left(const struct sl_reader *r)
{
    return (size_t)(r->end - r->at);
}

/* The next `n` bytes and moves on; NULL (and failed) if there are fewer. */
static inline const uint8_t *sl_read_take(struct sl_reader *r, uint64_t n)
{
    const uint8_t *p = r->at;
    if (__builtin_expect(r->failed || n > sl_reader_left(r), 0)) {
        r->failed = true;
        r->at = r->end;
        return NULL;
    }
    if (n > 0) {
        r->at += n;
    }
    return p;
}

static inline uint8_t sl_read_u8(struct sl_reader *r)
{
    const uint8_t *p = sl_read_take(r, 1);
    return p ? p[0] : 0;
}

static inline uint16_t sl_read_u16(struct sl_reader *r)
{
    const uint8_t *p = sl_read_take(r, 2);
    return p ? sl_get_le16(p) : 0;
}

static inline uint32_t sl_read_u24(struct sl_reader *r)
{
    const uint8_t *p = sl_read_take(r, 3);
    return p ? sl_get_le24(p) : 0;
}

static inline uint32_t sl_read_u32(struct sl_reader *r)
{
    const uint8_t *p = sl_read_take(r, 4);
    return p ? sl_get_le32(p) : 0;
}

static inline uint64_t sl_read_u64(struct sl_reader *r)
{
    const uint8_t *p = sl_read_take(r, 8);
    return p ? sl_get_le64(p) : 0;
}

/* Length-encoded integer of more than one byte, or a failure (0xFB and 0xFF start none). */
uint64_t sl_read_lenenc_long(struct sl_reader *r);

static inline uint64_t sl_read_lenenc(struct sl_reader *r)
{
    if (__builtin_expect(r->at < r->end && *r->at < 0xFB, 1)) {
        return *r->at++;
    }
    return sl_read_lenenc_long(r);
}

static inline struct sl_slice sl_read_bytes(struct sl_reader *r, uint64_t n)
{
    const uint8_t *p = sl_read_take(r, n);
    return p ? sl_slice(p, (size_t)n) : sl_slice(NULL, 0);
}

/* Length-encoded string. */
static inline struct sl_slice sl_read_lestr(struct sl_reader *r)
{
    return sl_read_bytes(r, sl_read_lenenc(r));
}

/* Column of a text row: false for SQL NULL (one byte 0xFB), else *ret is the value. */
bool sl_read_column(struct sl_reader *r, struct sl_slice *ret);

/* String up to a NUL, which is read but not part of the slice. Fails without a NUL. */
struct sl_slice sl_read_nulstr(struct sl_reader *r);

/* As before, but the end of the packet ends the string too (older clients leave the last NUL
 * out). */
struct sl_slice sl_read_nulstr_or_rest(struct sl_reader *r);

static inline struct sl_slice sl_read_rest(struct sl_reader *r)
{
    return sl_read_bytes(r, sl_reader_left(r));
}

/* ---- writer ---- */

/* Writes into an array of the caller, or behind the readable bytes of a buffer, which then must
 * not be touched otherwise until sl_writer_finish(). */
struct sl_writer {
    uint8_t *base;
    uint8_t *at;
    uint8_t *end;
    struct sl_buf *buf; /* grows; NULL for an array */
    size_t flushed;     /* bytes before base that are of this writer (buffer only) */
    int rc;             /* SL_OK or the first failure */
};

struct sl_writer sl_writer_array(void *array, size_t capacity);
struct sl_writer sl_writer_buf(struct sl_buf *buf);

static inline size_t sl_writer_len(const struct sl_writer *w)
{
    return w->flushed + (size_t)(w->at - w->base);
}

/* Slow path of sl_write_room(): grows the buffer or fails. */
bool sl_writer_grow(struct sl_writer *w, size_t more);

/* Room for `n` bytes, or NULL once the writer failed. Advances. */
static inline uint8_t *sl_write_room(struct sl_writer *w, size_t n)
{
    uint8_t *p;
    if (__builtin_expect(w->rc != SL_OK || n > (size_t)(w->end - w->at), 0)) {
        if (!sl_writer_grow(w, n)) {
            return NULL;
        }
    }
    p = w->at;
    w->at += n;
    return p;
}

static inline void sl_write_u8(struct sl_writer *w, uint8_t v)
{
    uint8_t *p = sl_write_room(w, 1);
    if (p) {
        p[0] = v;
    }
}

static inline void sl_write_u16(struct sl_writer *w, uint16_t v)
{
    uint8_t *p = sl_write_room(w, 2);
    if (p) {
        sl_put_le16(p, v);
    }
}

static inline void sl_write_u24(struct sl_writer *w, uint32_t v)
{
    uint8_t *p = sl_write_room(w, 3);
    if (p) {
        sl_put_le24(p, v);
    }
}

static inline void sl_write_u32(struct sl_writer *w, uint32_t v)
{
    uint8_t *p = sl_write_room(w, 4);
    if (p) {
        sl_put_le32(p, v);
    }
}

static inline void sl_write_u64(struct sl_writer *w, uint64_t v)
{
    uint8_t *p = sl_write_room(w, 8);
    if (p) {
        sl_put_le64(p, v);
    }
}

static inline void sl_write_bytes(struct sl_writer *w, const void *data, size_t len)
{
    uint8_t *p = sl_write_room(w, len);
    if (p && len > 0) {
        memcpy(p, data, len);
    }
}

void sl_write_zeros(struct sl_writer *w, size_t n);
void sl_write_lenenc(struct sl_writer *w, uint64_t v);
void sl_write_lestr(struct sl_writer *w, struct sl_slice s);
/* The slice up to its first NUL, and a NUL. */
void sl_write_nulstr(struct sl_writer *w, struct sl_slice s);

/* Leaves room for a packet header; returns its place for sl_write_packet_end(). */
size_t sl_write_packet_begin(struct sl_writer *w);
/* Fills the header in. A payload of SL_PACKET_MAX bytes or more fails the writer with SL_ELIMIT. */
void sl_write_packet_end(struct sl_writer *w, size_t begin, uint8_t seq);
/* A whole logical payload, cut into physical packets. Returns the sequence number after the
 * last. */
uint8_t sl_write_packet(struct sl_writer *w, uint8_t seq, struct sl_slice payload);

/* Ends the work. 0: everything is in the array or committed to the buffer. SL_ENOMEM (buffer) or
 * SL_ELIMIT (array too small, packet too long): the buffer is as it was before. */
int sl_writer_finish(struct sl_writer *w);

#endif
