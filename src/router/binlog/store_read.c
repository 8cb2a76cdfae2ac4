/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers: from a position to a place in a file, and from there on in pieces of whole events.
 *
 * A reader owns a place and a share in a file, no buffer (but for an encrypted event that is larger
 * than a block). It reads into the block of its thread: readers that are at the same place find the
 * bytes there already. Of a block it is remembered how far its events are whole, so that a block is
 * walked once, whoever reads it.
 */
#include "router/binlog/store_internal.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

struct sl_store_block {
    uint64_t entry_id; /* 0: nothing in it */
    uint64_t start;    /* stored offset of the first byte */
    uint32_t len;      /* stored bytes */
    uint32_t whole;    /* of them, in whole events */
    bool is_sealed;    /* the events are in `plain`, not in `data` */
    uint8_t *data;
    struct sl_buf plain;
};

struct sl_store_reader {
    struct sl_store *store;
    struct sl_store_entry *entry; /* a reference, counted in readers and plain_users */
    int fd;                       /* the entry's */
    uint64_t offset;
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    struct sl_event_crypt *crypt;    /* NULL: plain file */
    bool checks_place;               /* the next event must know that it stands at `offset` */
    uint32_t part_length, part_done; /* of an event that is given in parts; 0: none */
    uint32_t part_stored;            /* its stored length */
    struct sl_buf part;              /* of an encrypted file: the event */
    struct sl_gtid_list start;
};

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

/* ---- where a reader is ---- */

/* The end of what can be read now: the published end, or what is decompressed already. */
static uint64_t readable(const struct sl_store_reader *r, uint64_t *ret_size)
{
    *ret_size = atomic_load_explicit(&r->entry->size, memory_order_acquire);
    uint64_t plain = atomic_load_explicit(&r->entry->plain_size, memory_order_acquire);
    return SL_MIN(*ret_size, plain);
}

static void leave(struct sl_store_reader *r)
{
    if (r->entry == NULL) {
        return;
    }
    if (r->fd >= 0) {
        sl_store_plain_put(r->store, r->entry);
    }
    pthread_mutex_lock(&r->store->lock);
    r->entry->readers--;
    sl_store_entry_unref(r->entry);
    pthread_mutex_unlock(&r->store->lock);
    sl_event_crypt_free(r->crypt);
    sl_buf_free(&r->part);
    r->entry = NULL;
    r->fd = -1;
    r->crypt = NULL;
    r->part_length = r->part_done = 0;
    sl_gtid_list_clear(&r->start);
}

/* The entry's reference and count were taken under the lock that found it. */
static int enter(struct sl_store_reader *r, struct sl_store_entry *e, struct sl_err *err)
{
    r->entry = e;
    r->fd = -1;
    r->offset = e->head.events_at;
    sl_store_file_name(r->store, e->number, r->name);
    int rc = sl_store_head_crypt(r->store, &e->head, &r->crypt, err);
    if (rc == SL_OK) {
        rc = sl_store_plain_get(r->store, e, &r->fd, err);
    }
    if (rc < 0) {
        r->fd = -1;
    }
    return rc;
}

/* Under `lock`. */
static struct sl_store_entry *use(struct sl_store_entry *e)
{
    e->refs++;
    e->readers++;
    return e;
}

static int new_reader(struct sl_store *s, struct sl_store_reader **ret, struct sl_err *err)
{
    struct sl_store_reader *r = sl_calloc(1, sizeof(*r));
    if (r == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory reading the binlog");
    }
    r->store = s;
    r->fd = -1;
    *ret = r;
    return SL_OK;
}

/* ---- by position ---- */

/* The newest file that the position may start in; NULL: purged. */
static struct sl_store_entry *find_file(struct sl_store *s, const struct sl_gtid_list *position)
{
    struct sl_store_entry *found = NULL;
    pthread_mutex_lock(&s->lock);
    for (unsigned i = s->count; i > 0 && found == NULL; i--) {
        if (sl_gtid_file_covers(&s->entries[i - 1]->head.list, position)) {
            found = use(s->entries[i - 1]);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return found;
}

static int seek(struct sl_store_reader *r, const struct sl_gtid_list *position, struct sl_err *err)
{
    struct sl_store_entry *e = r->entry;
    char path[PATH_MAX];
    uint64_t offset = e->head.end, limit = atomic_load(&e->size);
    int rc = sl_store_index_path(r->store, e, path, err);
    if (rc < 0) {
        return rc;
    }
    bool is_growing = !atomic_load_explicit(&e->is_finished, memory_order_acquire);
    if (is_growing) {
        pthread_mutex_lock(&r->store->index_lock);
    }
    rc = sl_store_index_find(path, &e->head, position, limit, &offset, &r->start);
    if (is_growing) {
        pthread_mutex_unlock(&r->store->index_lock);
    }
    if (rc == SL_ENOMEM) {
        return sl_err_set(err, rc, "out of memory reading the binlog");
    }
    if (rc < 0 && !is_growing) {
        sl_store_index_is_bad(r->store, e);
    }
    if (offset > e->head.end) {
        r->offset = offset;
    } else {
        sl_gtid_list_clear(&r->start);
    }
    return SL_OK;
}

int sl_store_reader_open(struct sl_store *store, const struct sl_gtid_list *position,
                         struct sl_store_reader **ret, struct sl_err *err)
{
    struct sl_store_reader *r = NULL;
    int rc = new_reader(store, &r, err);
    if (rc < 0) {
        return rc;
    }
    struct sl_store_entry *e = find_file(store, position);
    if (e == NULL) {
        rc = sl_err_set(err, SL_ENOENT, "no binlog file begins at or before the position");
    } else {
        rc = enter(r, e, err);
    }
    if (rc == SL_OK) {
        rc = seek(r, position, err);
    }
    if (rc < 0) {
        sl_store_reader_free(r);
        return rc;
    }
    *ret = r;
    return SL_OK;
}

/* ---- by file and offset ---- */

static struct sl_store_entry *find_name(struct sl_store *s, const char *file)
{
    uint64_t number = 0;
    pthread_mutex_lock(&s->lock);
    int at = file[0] == '\0'                              ? (s->count > 0 ? 0 : -1)
             : sl_store_number_of(s->base, file, &number) ? sl_store_catalogue_find(s, number)
                                                          : -1;
    struct sl_store_entry *e = at >= 0 ? use(s->entries[at]) : NULL;
    pthread_mutex_unlock(&s->lock);
    return e;
}

int sl_store_reader_open_at(struct sl_store *store, const char *file, uint64_t offset,
                            struct sl_store_reader **ret, struct sl_err *err)
{
    struct sl_store_reader *r = NULL;
    int rc = new_reader(store, &r, err);
    if (rc < 0) {
        return rc;
    }
    struct sl_store_entry *e = find_name(store, file);
    if (e == NULL) {
        rc = sl_err_set(err, SL_ENOENT, "there is no binlog file '%.255s'", file);
    } else {
        rc = enter(r, e, err);
    }
    if (rc == SL_OK && (offset < SL_BINLOG_MAGIC_LEN || offset > atomic_load(&e->size))) {
        rc =
            sl_err_set(err, SL_EINVAL, "offset %llu is outside of '%.255s': 4 to %llu",
                       (unsigned long long)offset, file, (unsigned long long)atomic_load(&e->size));
    }
    if (rc < 0) {
        sl_store_reader_free(r);
        return rc;
    }
    r->checks_place = offset > r->offset;
    r->offset = SL_MAX(offset, r->offset);
    *ret = r;
    return SL_OK;
}

void sl_store_reader_free(struct sl_store_reader *r)
{
    if (r != NULL) {
        leave(r);
        sl_gtid_list_free(&r->start);
        sl_free(r);
    }
}

/* ---- what a reader tells ---- */

const char *sl_store_reader_file(const struct sl_store_reader *r)
{
    return r->name;
}

uint64_t sl_store_reader_offset(const struct sl_store_reader *r)
{
    return r->offset;
}

struct sl_slice sl_store_reader_fde(const struct sl_store_reader *r)
{
    return sl_slice(r->entry->head.fde, r->entry->head.fde_len);
}

const struct sl_gtid_list *sl_store_reader_list(const struct sl_store_reader *r)
{
    return &r->entry->head.list;
}

struct sl_slice sl_store_reader_list_event(const struct sl_store_reader *r)
{
    return sl_slice(r->entry->head.list_event, r->entry->head.list_event_len);
}

const struct sl_gtid_list *sl_store_reader_start(const struct sl_store_reader *r)
{
    return &r->start;
}

bool sl_store_reader_has_crc(const struct sl_store_reader *r)
{
    return r->entry->head.has_crc;
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
    bool is_there = b->entry_id == r->entry->id && !b->is_sealed && r->offset >= b->start &&
                    r->offset < b->start + b->whole;
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

static int unseal(const struct sl_store_reader *r, const uint8_t *data, uint32_t len,
                  uint64_t offset, struct sl_buf *out, struct sl_err *err)
{
    int rc = sl_event_crypt_open(r->crypt, data, len, offset, out);
    if (rc == SL_ENOMEM) {
        return sl_err_set(err, rc, "out of memory reading the binlog");
    }
    return rc < 0 ? damaged(r, "an event cannot be decrypted", err) : SL_OK;
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

static int unseal_large(struct sl_store_reader *r, struct sl_err *err)
{
    struct sl_buf stored = SL_BUF_INIT;
    int rc = sl_buf_reserve(&stored, r->part_stored);
    if (rc < 0) {
        rc = sl_err_set(err, rc, "out of memory reading an event of %u bytes", r->part_stored);
    } else {
        rc = read_at(r, stored.data, r->part_stored, r->offset, err);
    }
    if (rc == SL_OK) {
        rc = unseal(r, stored.data, r->part_stored, r->offset, &r->part, err);
    }
    sl_buf_free(&stored);
    if (rc == SL_OK) {
        rc = check_place(r, r->part.data + r->part.start, r->part_stored, err);
    }
    r->part_length = rc == SL_OK ? (uint32_t)sl_buf_len(&r->part) : 0;
    return rc;
}

static int give_sealed_part(struct sl_store_reader *r, uint32_t max, enum sl_store_step *ret_step,
                            struct sl_store_piece *ret)
{
    uint32_t len = SL_MIN(max, r->part_length - r->part_done);
    bool is_last = r->part_done + len == r->part_length;
    give(r, r->part.data + r->part.start + r->part_done, len, is_last ? r->part_stored : 0, ret);
    ret->event_length = r->part_length;
    ret->event_offset = r->part_done;
    r->part_done += len;
    if (is_last) {
        r->part_length = 0; /* the bytes stay until the next call */
    }
    *ret_step = SL_STORE_PART;
    return SL_OK;
}

static int next_sealed(struct sl_store_reader *r, struct sl_store_block *b, uint32_t max,
                       enum sl_store_step *ret_step, struct sl_store_piece *ret, struct sl_err *err)
{
    uint64_t size, limit = readable(r, &size);
    if (r->part_length > 0) {
        return give_sealed_part(r, SL_MIN(max, SL_STORE_BLOCK_SIZE), ret_step, ret);
    }
    sl_buf_free(&r->part);
    bool is_there = b->entry_id == r->entry->id && b->is_sealed && r->offset == b->start &&
                    sl_buf_len(&b->plain) <= max;
    int rc = is_there ? SL_OK : fill(r, b, limit, SL_STORE_BLOCK_SIZE, err);
    if (rc == SL_OK && !is_there && b->whole == 0) {
        rc = begin_large(r, b, limit, size, err);
        rc = rc == SL_OK ? unseal_large(r, err) : rc;
        return rc == SL_OK ? give_sealed_part(r, SL_MIN(max, SL_STORE_BLOCK_SIZE), ret_step, ret)
                           : rc;
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
    if (r->offset >= readable(r, &size)) {
        return at_end(r, ret_step, err);
    }
    int rc = r->crypt != NULL ? next_sealed(r, block, max_bytes, ret_step, ret, err)
                              : next_plain(r, block, max_bytes, ret_step, ret, err);
    return rc == SL_EAGAIN ? at_end(r, ret_step, err) : rc;
}

int sl_store_reader_next_file(struct sl_store_reader *r, struct sl_err *err)
{
    struct sl_store *s = r->store;
    pthread_mutex_lock(&s->lock);
    int at = sl_store_catalogue_find(s, r->entry->number + 1);
    struct sl_store_entry *next = at >= 0 ? use(s->entries[at]) : NULL;
    pthread_mutex_unlock(&s->lock);
    if (next == NULL) {
        return sl_err_set(err, SL_ENOENT, "the binlog does not go on behind '%s'",
                          sl_store_reader_file(r));
    }
    leave(r);
    r->checks_place = false;
    return enter(r, next, err);
}
