/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's catalogue: which files there are, the published state, and the questions about them.
 *
 * Everything here runs on any thread and holds `lock` only over memory.
 */
#include "router/binlog/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

/* ---- entries ---- */

struct sl_store_entry *sl_store_entry_new(uint64_t number, struct sl_store_head *head)
{
    static _Atomic uint64_t last_id;
    struct sl_store_entry *e = sl_calloc(1, sizeof(*e));
    if (e == NULL) {
        return NULL;
    }
    e->id = atomic_fetch_add(&last_id, 1) + 1;
    e->number = number;
    e->head = *head;
    *head = (struct sl_store_head){0};
    e->refs = 1;
    e->plain_fd = -1;
    return e;
}

void sl_store_entry_unref(struct sl_store_entry *e)
{
    if (--e->refs == 0) {
        sl_assert(e->plain_fd < 0);
        sl_store_head_free(&e->head);
        sl_free(e);
    }
}

/* ---- the array; under `lock` ---- */

int sl_store_catalogue_add(struct sl_store *s, struct sl_store_entry *e)
{
    if (s->count == s->capacity) {
        unsigned capacity = SL_MAX(2 * s->capacity, 64U);
        void *grown = sl_realloc(s->entries, capacity * sizeof(s->entries[0]));
        if (grown == NULL) {
            return SL_ENOMEM;
        }
        s->entries = grown;
        s->capacity = capacity;
    }
    s->entries[s->count++] = e;
    return SL_OK;
}

void sl_store_catalogue_drop(struct sl_store *s, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        s->entries[i]->is_gone = true;
        sl_store_entry_unref(s->entries[i]);
    }
    s->count -= count;
    if (s->count > 0) { /* an empty catalogue may have no array at all */
        memmove(s->entries, s->entries + count, s->count * sizeof(s->entries[0]));
    }
}

int sl_store_catalogue_find(struct sl_store *s, uint64_t number)
{
    if (s->count == 0 || number < s->entries[0]->number ||
        number > s->entries[s->count - 1]->number) {
        return -1;
    }
    return (int)(number - s->entries[0]->number); /* no number is missing */
}

/* ---- names ---- */

bool sl_store_number_of(const char *base, const char *name, uint64_t *ret)
{
    size_t len = strlen(base);
    if (strncmp(name, base, len) != 0 || name[len] != '.') {
        return false;
    }
    const char *digits = name + len + 1;
    size_t count = strspn(digits, "0123456789");
    if (count < 6 || count > 18 || digits[count] != '\0') {
        return false;
    }
    *ret = 0;
    for (size_t i = 0; i < count; i++) {
        *ret = *ret * 10 + (uint64_t)(digits[i] - '0');
    }
    return *ret > 0;
}

void sl_store_file_name(const struct sl_store *s, uint64_t number,
                        char out[SL_BINLOG_FILE_NAME_MAX + 1])
{
    /* sl_store_begin_file() and the scan take no base that is too long for this. */
    snprintf(out, SL_BINLOG_FILE_NAME_MAX + 1, "%.230s.%06llu", s->base,
             (unsigned long long)number);
}

int sl_store_path(const struct sl_store *s, const char *dir, uint64_t number, const char *suffix,
                  char out[PATH_MAX], struct sl_err *err)
{
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    sl_store_file_name(s, number, name);
    int n = snprintf(out, PATH_MAX, "%s/%s%s", dir, name, suffix);
    if (n < 0 || n >= PATH_MAX) {
        return sl_err_set(err, SL_EINVAL, "the path '%.100s...' is too long", out);
    }
    return SL_OK;
}

int sl_store_entry_path(struct sl_store *s, struct sl_store_entry *e, char out[PATH_MAX],
                        struct sl_err *err)
{
    pthread_mutex_lock(&s->lock);
    const char *dir = e->is_archived ? s->archivedir : s->datadir;
    const char *suffix = e->is_compressed ? ".zst" : "";
    pthread_mutex_unlock(&s->lock);
    return sl_store_path(s, dir, e->number, suffix, out, err);
}

int sl_store_index_path(struct sl_store *s, struct sl_store_entry *e, char out[PATH_MAX],
                        struct sl_err *err)
{
    pthread_mutex_lock(&s->lock);
    const char *dir = e->is_archived ? s->archivedir : s->datadir;
    pthread_mutex_unlock(&s->lock);
    return sl_store_path(s, dir, e->number, ".gtidx", out, err);
}

void sl_store_index_measure(struct sl_store *s, struct sl_store_entry *e)
{
    char path[PATH_MAX];
    struct stat st;
    bool is_there = sl_store_index_path(s, e, path, NULL) == SL_OK && stat(path, &st) == 0;
    pthread_mutex_lock(&s->lock);
    e->index_size = is_there ? (uint64_t)st.st_size : 0;
    pthread_mutex_unlock(&s->lock);
}

static int list_build(struct sl_store *s, struct sl_buf *text)
{
    int rc = SL_OK;
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < s->count && rc == SL_OK; i++) {
        const struct sl_store_entry *e = s->entries[i];
        char name[SL_BINLOG_FILE_NAME_MAX + 1];
        sl_store_file_name(s, e->number, name);
        if (!e->is_archived) {
            rc = sl_buf_printf(text, "%s/%s%s\n", s->datadir, name, e->is_compressed ? ".zst" : "");
        }
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int sl_store_list_write(struct sl_store *s, struct sl_err *err)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/binlog.index", s->datadir);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        return sl_err_set(err, SL_EINVAL, "the path '%.100s...' is too long", path);
    }
    struct sl_buf text = SL_BUF_INIT;
    pthread_mutex_lock(&s->list_lock); /* an older list must not take the place of a newer one */
    int rc = list_build(s, &text);
    struct sl_slice bytes = sl_buf_slice(&text);
    if (rc < 0) {
        sl_err_set(err, rc, "out of memory writing '%s'", path);
    } else if (sl_store_io_replace(s->datadir, path, bytes.data, bytes.len) != 0) {
        rc = sl_store_fail(s, "cannot write", path, err);
    }
    pthread_mutex_unlock(&s->list_lock);
    sl_buf_free(&text);
    return rc;
}

int sl_store_fail(struct sl_store *s, const char *what, const char *path, struct sl_err *err)
{
    bool is_full = errno == ENOSPC || errno == EDQUOT;
    if (is_full) {
        pthread_mutex_lock(&s->lock);
        s->stats.is_full = true;
        pthread_mutex_unlock(&s->lock);
    }
    return sl_err_set(err, is_full ? SL_ELIMIT : SL_ESYS, "%s '%s': %s", what, path,
                      strerror(errno));
}

/* ---- keys, clock ---- */

const struct sl_store_key *sl_store_key_find(const struct sl_store *s, uint32_t version)
{
    for (unsigned i = 0; i < s->key_count; i++) {
        if (s->keys[i].version == version) {
            return &s->keys[i];
        }
    }
    return NULL;
}

const struct sl_store_key *sl_store_key_newest(const struct sl_store *s)
{
    const struct sl_store_key *newest = NULL;
    for (unsigned i = 0; i < s->key_count; i++) {
        if (newest == NULL || s->keys[i].version > newest->version) {
            newest = &s->keys[i];
        }
    }
    return newest;
}

int64_t sl_store_clock_ms(const struct sl_store *s)
{
    return (int64_t)(s->clock_base_ms + sl_clock_mono_ms() - s->clock_start_ms);
}

/* ---- questions ---- */

uint64_t sl_store_version(const struct sl_store *store)
{
    return atomic_load_explicit(&store->version, memory_order_acquire);
}

int sl_store_state(struct sl_store *store, struct sl_gtid_list *ret)
{
    pthread_mutex_lock(&store->lock);
    int rc = sl_gtid_list_copy(ret, store->has_request ? &store->request : &store->state);
    pthread_mutex_unlock(&store->lock);
    return rc;
}

int sl_store_position_text(struct sl_store *store, struct sl_buf *out)
{
    sl_buf_clear(out);
    struct sl_gtid_list position = SL_GTID_LIST_INIT;
    pthread_mutex_lock(&store->lock);
    int rc =
        sl_gtid_state_position(store->has_request ? &store->request : &store->state, &position);
    pthread_mutex_unlock(&store->lock);
    if (rc == SL_OK) {
        rc = sl_gtid_list_text(&position, out);
    }
    sl_gtid_list_free(&position);
    return rc;
}

static void describe(const struct sl_store *s, const struct sl_store_entry *e,
                     struct sl_store_file *ret)
{
    *ret = (struct sl_store_file){
        .number = e->number,
        .size = atomic_load(&e->size),
        .disk_size = e->disk_size,
        .changed_s = e->changed_s,
        .is_current = !atomic_load(&e->is_finished),
        .is_compressed = e->is_compressed,
        .is_archived = e->is_archived,
        .is_encrypted = e->head.is_encrypted,
        .readers = e->readers,
    };
    if (ret->is_current) {
        ret->disk_size = ret->size;
    }
    sl_store_file_name(s, e->number, ret->name);
}

int sl_store_files(struct sl_store *store, struct sl_store_file **ret, unsigned *ret_count)
{
    pthread_mutex_lock(&store->lock);
    unsigned count = store->count;
    struct sl_store_file *files = sl_calloc(count + 1, sizeof(*files));
    for (unsigned i = 0; files != NULL && i < count; i++) {
        describe(store, store->entries[i], &files[i]);
    }
    pthread_mutex_unlock(&store->lock);
    if (files == NULL) {
        return SL_ENOMEM;
    }
    *ret = files;
    *ret_count = count;
    return SL_OK;
}

bool sl_store_tail(struct sl_store *store, char name[SL_BINLOG_FILE_NAME_MAX + 1],
                   uint64_t *ret_offset)
{
    pthread_mutex_lock(&store->lock);
    bool has = store->count > 0 && !store->entries[store->count - 1]->is_archived;
    if (has) {
        const struct sl_store_entry *e = store->entries[store->count - 1];
        sl_store_file_name(store, e->number, name);
        *ret_offset = atomic_load(&e->size);
    }
    pthread_mutex_unlock(&store->lock);
    return has;
}

void sl_store_stats(struct sl_store *store, struct sl_store_stats *ret)
{
    pthread_mutex_lock(&store->lock);
    *ret = store->stats;
    ret->files = store->count;
    ret->disk_bytes = ret->index_bytes = 0;
    for (unsigned i = 0; i < store->count; i++) {
        const struct sl_store_entry *e = store->entries[i];
        bool is_current = !atomic_load(&e->is_finished);
        ret->index_bytes += e->is_archived ? 0 : e->index_size;
        ret->disk_bytes += e->is_archived ? 0 : is_current ? atomic_load(&e->size) : e->disk_size;
    }
    pthread_mutex_unlock(&store->lock);
}

void sl_store_tune(struct sl_store *store, const struct sl_store_tuning *tuning)
{
    pthread_mutex_lock(&store->lock);
    store->tuning = *tuning;
    pthread_mutex_unlock(&store->lock);
    atomic_store(&store->is_synced, tuning->is_synced);
    atomic_store(&store->max_file_bytes, tuning->max_file_bytes);
    sl_store_keeper_wake(store);
}

void sl_store_rotate_soon(struct sl_store *store)
{
    atomic_store(&store->rotates_soon, true);
}
