/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What readers get: pieces of whole events, out of the block of their thread.
 *
 * A reader owns no buffer. It reads into the block of its thread: readers that are at the same
 * place find the bytes there already. Of a block it is remembered how far its events are whole, so
 * that a block is walked once, whoever reads it. An encrypted event that is larger than a block is
 * decrypted in pieces: twice if it has a tag, since nothing of it is given before the tag is right.
 * The reader's thread.
 */
#include "router/binlog/store_reader.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

/* ---- blocks ---- */

int sl_store_block_new(struct sl_store_block **ret)
{
    struct sl_store_block *b = sl_calloc(1, sizeof(*b));
    uint8_t *data = sl_malloc(SL_STORE_BLOCK_SIZE);
    if (b == NULL || data == NULL) {
        sl_free(b);
        sl_free(data);
        return SL_ENOMEM;
    }
    b->data = data;
    *ret = b;
    return SL_OK;
}

void sl_store_block_free(struct sl_store_block *b)
{
    if (b != NULL) {
        sl_buf_free(&b->plain);
        sl_free(b->data);
        sl_free(b);
    }
}

/* Bytes of the whole events at `data` that fit into `max`. */
static uint32_t whole_events(const uint8_t *data, uint32_t len, uint32_t max)
{
    uint32_t at = 0;
    while (len - at >= SL_EVENT_HEADER) {
        uint32_t event = sl_event_length(data + at);
        if (event < SL_EVENT_HEADER || event > len - at || event > max - at) {
            break;
        }
        at += event;
    }
    return at;
}

static int damaged(const struct sl_store_reader *r, const char *what, struct sl_err *err)
{
    return sl_err_set(err, SL_EPROTO, "binlog file '%s' at offset %llu: %s", r->name,
                      (unsigned long long)r->offset, what);
}

static int read_at(const struct sl_store_reader *r, void *data, uint32_t len, uint64_t offset,
                   struct sl_err *err)
{
    int rc = sl_store_io_read(r->fd, data, len, offset);
    if (rc == 0) {
        return SL_OK;
    }
    int why = rc > 0 ? EIO : errno;
    damaged(r, rc > 0 ? "the file has become shorter" : strerror(why), err);
    if (err != NULL) {
        err->rc = SL_ESYS;
    }
    return SL_ESYS;
}

/* The stored bytes from the reader's place on. */
static int fill(const struct sl_store_reader *r, struct sl_store_block *b, uint64_t limit,
                uint32_t max, struct sl_err *err)
{
    uint32_t len = (uint32_t)SL_MIN((uint64_t)max, limit - r->offset);
    b->entry_id = 0;
    int rc = read_at(r, b->data, len, r->offset, err);
    if (rc == SL_OK) {
        b->start = r->offset;
        b->len = len;
        b->whole = whole_events(b->data, len, len);
        b->is_sealed = false;
        b->entry_id = r->entry->id;
    }
    return rc;
}

/* The end of what can be read now: the published end, or what is decompressed already. */
static uint64_t readable(const struct sl_store_reader *r, uint64_t *ret_size)
{
    *ret_size = atomic_load_explicit(&r->entry->size, memory_order_acquire);
    uint64_t plain = atomic_load_explicit(&r->entry->plain_size, memory_order_acquire);
    return SL_MIN(*ret_size, plain);
}

/* ---- pieces ---- */

static int at_end(const struct sl_store_reader *r, enum sl_store_step *ret_step, struct sl_err *err)
{
    *ret_step = SL_STORE_END;
    int failed = atomic_load(&r->entry->plain_error);
    if (failed != 0) {
        damaged(r, strerror(failed), err);
        return SL_ESYS;
    }
    if (!atomic_load_explicit(&r->entry->is_finished, memory_order_acquire) ||
        r->offset < atomic_load_explicit(&r->entry->size, memory_order_acquire)) {
        return SL_OK;
    }
    struct sl_store *s = r->store;
    pthread_mutex_lock(&s->lock);
    bool has_next = s->count > 0 && s->entries[s->count - 1]->number > r->entry->number;
    pthread_mutex_unlock(&s->lock);
    *ret_step = has_next ? SL_STORE_NEXT_FILE : SL_STORE_END;
    return SL_OK;
}

static void give(struct sl_store_reader *r, const uint8_t *data, uint32_t len, uint64_t stored,
                 struct sl_store_piece *ret)
{
    *ret = (struct sl_store_piece){.bytes = sl_slice(data, len), .offset = r->offset};
    r->offset += stored;
}

/* Was the place the reader was sent to the beginning of an event? */
static int check_place(struct sl_store_reader *r, const uint8_t *event, uint32_t stored,
                       struct sl_err *err)
{
    struct sl_event_header h;
    if (!r->checks_place) {
        return SL_OK;
    }
    if (sl_event_header_parse(event, &h) < 0 || h.log_pos != (uint32_t)(r->offset + stored)) {
        return damaged(r, "no event begins there", err);
    }
    r->checks_place = false;
    return SL_OK;
}

/* The next part of a large event in a plain file. */
static int give_part(struct sl_store_reader *r, struct sl_store_block *b, uint32_t max,
                     uint64_t limit, enum sl_store_step *ret_step, struct sl_store_piece *ret,
                     struct sl_err *err)
{
    bool is_there =
        b->entry_id == r->entry->id && r->offset >= b->start && r->offset < b->start + b->len;
    int rc = is_there ? SL_OK : fill(r, b, limit, SL_STORE_BLOCK_SIZE, err);
    if (rc < 0) {
        return rc;
    }
    uint32_t at = (uint32_t)(r->offset - b->start);
    uint32_t len = SL_MIN(SL_MIN(b->len - at, max), r->part_length - r->part_done);
    give(r, b->data + at, len, len, ret);
    ret->event_length = r->part_length;
    ret->event_offset = r->part_done;
    r->part_done += len;
    if (r->part_done == r->part_length) {
        r->part_length = r->part_done = 0;
    }
    *ret_step = SL_STORE_PART;
    return SL_OK;
}

/* No whole event stands at the place: a large one, one that is not decompressed yet, or damage. */
static int begin_large(struct sl_store_reader *r, const struct sl_store_block *b, uint64_t limit,
                       uint64_t size, struct sl_err *err)
{
    uint32_t len = b->len >= SL_EVENT_HEADER ? sl_event_length(b->data) : 0;
    if (b->len < SL_EVENT_HEADER && limit < size) {
        return SL_EAGAIN;
    }
    if (len < SL_EVENT_HEADER || len > size - r->offset) {
        return damaged(r, "an event of impossible length", err);
    }
    if (len > limit - r->offset) {
        return SL_EAGAIN;
    }
    sl_assert(len > b->len);
    r->part_length = r->part_stored = len;
    r->part_done = 0;
    return SL_OK;
}

static int next_plain(struct sl_store_reader *r, struct sl_store_block *b, uint32_t max,
                      enum sl_store_step *ret_step, struct sl_store_piece *ret, struct sl_err *err)
{
    uint64_t size, limit = readable(r, &size);
    if (r->part_length > 0) {
        return give_part(r, b, max, limit, ret_step, ret, err);
    }
    /* A place that was asked for may lie inside of an event: what stands there is read anew. */
    bool is_there = b->entry_id == r->entry->id && !b->is_sealed && !r->checks_place &&
                    r->offset >= b->start && r->offset < b->start + b->whole;
    int rc = is_there ? SL_OK : fill(r, b, limit, SL_STORE_BLOCK_SIZE, err);
    if (rc < 0) {
        return rc;
    }
    if (b->whole == 0) {
        rc = begin_large(r, b, limit, size, err);
    }
    if (rc == SL_OK) {
        const uint8_t *event = b->data + (r->offset - b->start);
        rc = check_place(r, event, sl_event_length(event), err);
    }
    if (rc < 0) {
        r->part_length = 0;
        return rc;
    }
    if (b->whole == 0) {
        return give_part(r, b, max, limit, ret_step, ret, err);
    }
    const uint8_t *data = b->data + (r->offset - b->start);
    uint32_t len = (uint32_t)(b->start + b->whole - r->offset);
    if (len > max) {
        uint32_t fits = whole_events(data, len, max);
        len = fits > 0 ? fits : sl_event_length(data);
    }
    give(r, data, len, len, ret);
    *ret_step = SL_STORE_EVENTS;
    return SL_OK;
}

/* ---- pieces of encrypted files ---- */

static int unsealed(const struct sl_store_reader *r, int rc, struct sl_err *err)
{
    if (rc == SL_ENOMEM) {
        return sl_err_set(err, rc, "out of memory reading the binlog");
    }
    return rc < 0 ? damaged(r, "an event cannot be decrypted", err) : SL_OK;
}

static int unseal(const struct sl_store_reader *r, const uint8_t *data, uint32_t len,
                  uint64_t offset, struct sl_buf *out, struct sl_err *err)
{
    return unsealed(r, sl_event_crypt_open(r->crypt, data, len, offset, out), err);
}

/* The whole events in the block, decrypted, at most `max` bytes or one event. */
static int unseal_block(struct sl_store_reader *r, struct sl_store_block *b, uint32_t max,
                        struct sl_err *err)
{
    uint32_t len = whole_events(b->data, b->whole, max);
    len = len > 0 ? len : sl_event_length(b->data);
    sl_buf_clear(&b->plain);
    uint64_t id = b->entry_id;
    b->entry_id = 0;
    for (uint32_t at = 0; at < len;) {
        uint32_t event = sl_event_length(b->data + at);
        int rc = unseal(r, b->data + at, event, b->start + at, &b->plain, err);
        if (rc < 0) {
            return rc;
        }
        at += event;
    }
    b->len = b->whole = len;
    b->is_sealed = true;
    b->entry_id = id;
    return check_place(r, b->plain.data + b->plain.start, sl_event_length(b->data), err);
}

/* The next stored bytes of a large event, decrypted, in the block: `max` at most. */
static int unseal_piece(struct sl_store_reader *r, struct sl_store_block *b, uint32_t max,
                        struct sl_err *err)
{
    const struct sl_event_crypt_long e = {r->offset, r->part_stored, r->part_length};
    uint32_t most = SL_MIN(max, SL_STORE_BLOCK_SIZE) - SL_EVENT_CRYPT_END;
    uint32_t left = r->part_stored - r->part_read;
    uint32_t len = left <= most                        ? left
                   : left - most >= SL_EVENT_CRYPT_END ? most
                                                       : most - SL_EVENT_CRYPT_END;
    b->entry_id = 0;
    sl_buf_clear(&b->plain);
    int rc = read_at(r, b->data, len, r->offset + r->part_read, err);
    if (rc < 0) {
        return rc;
    }
    rc = sl_event_crypt_open_piece(r->crypt, &e, b->data, len, r->part_read, &b->plain);
    r->part_read += len;
    return unsealed(r, rc, err);
}

/* Damage is told before the first byte is given. */
static int verify_large(struct sl_store_reader *r, struct sl_store_block *b, struct sl_err *err)
{
    int rc = SL_OK;
    if (sl_event_crypt_has_tag(r->crypt)) {
        while (rc == SL_OK && r->part_read < r->part_stored) {
            rc = unseal_piece(r, b, SL_STORE_BLOCK_SIZE, err);
        }
        r->part_read = 0;
    }
    return rc;
}

static int measure_large(struct sl_store_reader *r, struct sl_err *err)
{
    struct sl_event_crypt_long e = {.offset = r->offset, .stored = r->part_stored};
    uint8_t end[SL_EVENT_CRYPT_END];
    int rc = read_at(r, end, sizeof(end), r->offset + r->part_stored - sizeof(end), err);
    if (rc == SL_OK) {
        rc = unsealed(r, sl_event_crypt_measure(r->crypt, &e, end), err);
    }
    r->part_length = rc == SL_OK ? e.plain : 0;
    r->part_read = 0;
    return rc;
}

static int give_sealed_part(struct sl_store_reader *r, struct sl_store_block *b, uint32_t max,
                            enum sl_store_step *ret_step, struct sl_store_piece *ret,
                            struct sl_err *err)
{
    int rc = unseal_piece(r, b, max, err);
    uint32_t len = (uint32_t)sl_buf_len(&b->plain);
    bool is_last = r->part_read == r->part_stored;
    if (rc == SL_OK && r->part_done == 0) {
        rc = check_place(r, b->plain.data + b->plain.start, r->part_stored, err);
    }
    if (rc == SL_OK &&
        (is_last ? len != r->part_length - r->part_done : len >= r->part_length - r->part_done)) {
        rc = damaged(r, "an event of another length than its end tells", err);
    }
    if (rc < 0) {
        r->part_length = 0;
        return rc;
    }
    give(r, b->plain.data + b->plain.start, len, is_last ? r->part_stored : 0, ret);
    ret->event_length = r->part_length;
    ret->event_offset = r->part_done;
    r->part_done += len;
    r->part_length = is_last ? 0 : r->part_length;
    *ret_step = SL_STORE_PART;
    return SL_OK;
}

/* The event at the reader's place does not fit into a block. */
static int begin_sealed(struct sl_store_reader *r, struct sl_store_block *b, uint64_t limit,
                        uint64_t size, struct sl_err *err)
{
    int rc = begin_large(r, b, limit, size, err);
    if (rc == SL_OK) {
        rc = measure_large(r, err);
    }
    if (rc == SL_OK) {
        rc = verify_large(r, b, err);
    }
    r->part_length = rc == SL_OK ? r->part_length : 0;
    return rc;
}

static int next_sealed(struct sl_store_reader *r, struct sl_store_block *b, uint32_t max,
                       enum sl_store_step *ret_step, struct sl_store_piece *ret, struct sl_err *err)
{
    uint64_t size, limit = readable(r, &size);
    if (r->part_length > 0) {
        return give_sealed_part(r, b, max, ret_step, ret, err);
    }
    bool is_there = b->entry_id == r->entry->id && b->is_sealed && r->offset == b->start &&
                    sl_buf_len(&b->plain) <= max;
    int rc = is_there ? SL_OK : fill(r, b, limit, SL_STORE_BLOCK_SIZE, err);
    if (rc == SL_OK && !is_there && b->whole == 0) {
        rc = begin_sealed(r, b, limit, size, err);
        return rc == SL_OK ? give_sealed_part(r, b, max, ret_step, ret, err) : rc;
    }
    if (rc == SL_OK && !is_there) {
        rc = unseal_block(r, b, max, err);
    }
    if (rc == SL_OK) {
        give(r, b->plain.data + b->plain.start, (uint32_t)sl_buf_len(&b->plain), b->len, ret);
        *ret_step = SL_STORE_EVENTS;
    }
    return rc;
}

/* ---- on and on ---- */

int sl_store_reader_next(struct sl_store_reader *r, struct sl_store_block *block,
                         uint32_t max_bytes, enum sl_store_step *ret_step,
                         struct sl_store_piece *ret, struct sl_err *err)
{
    uint64_t size;
    *ret = (struct sl_store_piece){0};
    int rc = r->fd < 0 ? sl_store_plain_get(r->store, r->entry, &r->fd, err) : SL_OK;
    if (rc < 0) {
        *ret_step = SL_STORE_END;
        return rc == SL_EAGAIN ? SL_OK : rc;
    }
    if (r->offset >= readable(r, &size)) {
        return at_end(r, ret_step, err);
    }
    rc = r->crypt != NULL ? next_sealed(r, block, max_bytes, ret_step, ret, err)
                          : next_plain(r, block, max_bytes, ret_step, ret, err);
    return rc == SL_EAGAIN ? at_end(r, ret_step, err) : rc;
}
