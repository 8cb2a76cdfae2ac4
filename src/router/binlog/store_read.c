/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers: from a position to a place in a file, and from file to file.
 *
 * A reader owns a place and a share in a file. Any thread; a reader belongs to one.
 */
#include "router/binlog/store_reader.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

/* ---- where a reader is ---- */

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
    return rc == SL_EAGAIN ? SL_OK : rc; /* fd stays -1: tried again by the next call */
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
    if (e == NULL && !atomic_load(&store->knows_archive)) {
        rc = sl_err_set(err, SL_ESYS, "the archived binlog files cannot be read now");
    } else if (e == NULL) {
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
