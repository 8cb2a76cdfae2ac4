/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing a store: the directory, its lock, the recovery of the last file.
 *
 * Finished files are trusted: rolling to the next one has synced them. Of the last one, everything
 * behind the last index entry that is known to be on disk is read and verified, and the file ends
 * behind the last complete group then. Control thread.
 */
#include "router/binlog/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    DOWNTIME_MAX_MS = 3600 * 1000, /* of the time the store was closed that counts for ages */
};

/* ---- recovery ---- */

static int cut(struct sl_store *s, struct sl_store_writer *w, const char *path,
               const struct sl_store_walked *walked, uint64_t size, struct sl_err *err)
{
    if (!walked->is_damaged) {
        return SL_OK;
    }
    sl_log_warning(
        "binlog file '%s': %llu bytes behind the last complete group at %llu are cut off "
        "(%s)",
        path, (unsigned long long)(size - walked->end), (unsigned long long)walked->end,
        walked->why.text[0] ? walked->why.text : "an unfinished group");
    s->stats.torn_bytes += size - walked->end;
    if (sl_store_io->truncate(w->fd, (off_t)walked->end) != 0) {
        return sl_store_fail(s, "cannot cut", path, err);
    }
    return sl_store_io->sync(w->fd) != 0 ? sl_store_fail(s, "cannot sync", path, err) : SL_OK;
}

static int state_of(struct sl_store_writer *w, const struct sl_store_head *h)
{
    int rc = sl_gtid_list_copy(&w->state, &h->list);
    for (uint32_t i = 0; i < w->index.touched.count && rc == SL_OK; i++) {
        rc = sl_gtid_state_add(&w->state, w->index.touched.gtid[i]);
    }
    return rc;
}

/* Walks from the index' last good entry on; w->fd is open. */
static int walk_tail(struct sl_store *s, struct sl_store_entry *e, uint64_t size,
                     struct sl_store_walked *walked, struct sl_err *err)
{
    struct sl_store_writer *w = &s->writer;
    struct sl_store_walk walk;
    char path[PATH_MAX];
    uint64_t from = e->head.end;
    int rc = sl_store_index_path(s, e, path, err);
    if (rc < 0) {
        return rc;
    }
    sl_store_index_continue(&w->index, path, &e->head, size, &from);
    rc = state_of(w, &e->head);
    if (rc < 0) {
        return sl_err_set(err, rc, "out of memory");
    }
    rc = sl_store_walk_init(&walk, s, &e->head, w->fd, from, size, err);
    if (rc == SL_OK) {
        rc = sl_store_walk_groups(&walk, &e->head, &w->state, &w->index, walked, err);
    }
    sl_store_walk_free(&walk);
    return rc;
}

static void settle(struct sl_store *s, struct sl_store_entry *e,
                   const struct sl_store_walked *walked)
{
    struct sl_store_writer *w = &s->writer;
    sl_store_index_flush(&w->index, true);
    sl_store_index_measure(s, e);
    w->written = w->complete = walked->end;
    atomic_store(&e->size, walked->end);
    e->disk_size = walked->end;
    if (walked->is_rotated) {
        e->finished_ms = e->finished_ms < 0 ? sl_store_clock_ms(s) : e->finished_ms;
        e->has_index = sl_store_index_finish(&w->index, &e->head, walked->end, e->finished_ms);
        sl_store_writer_detach(w);
        return;
    }
    atomic_store(&e->is_finished, false);
    w->entry = e;
    e->refs++;
    if (e->head.is_encrypted && walked->is_damaged) {
        sl_store_writer_detach(w); /* the nonces of what was cut must not be used again */
    }
}

static int recover_plain(struct sl_store *s, struct sl_store_entry *e, const char *path,
                         struct sl_err *err)
{
    struct sl_store_writer *w = &s->writer;
    struct sl_store_walked walked;
    struct stat st;
    w->fd = sl_store_io->open(path, O_RDWR, 0);
    if (w->fd < 0 || fstat(w->fd, &st) != 0) {
        return sl_store_fail(s, "cannot open", path, err);
    }
    /* It is served from now on, and entries of the index will say that it is on disk. */
    if (sl_store_io->sync(w->fd) != 0) {
        return sl_store_fail(s, "cannot sync", path, err);
    }
    int rc = sl_store_head_crypt(s, &e->head, &w->crypt, err);
    if (rc == SL_OK) {
        rc = walk_tail(s, e, (uint64_t)st.st_size, &walked, err);
    }
    if (rc == SL_OK) {
        rc = cut(s, w, path, &walked, (uint64_t)st.st_size, err);
    }
    if (rc == SL_OK) {
        settle(s, e, &walked);
    }
    return rc;
}

/* The last file was compressed (by hand): all of it is read for the state. */
static int recover_compressed(struct sl_store *s, struct sl_store_entry *e, const char *path,
                              struct sl_err *err)
{
    struct sl_store_walk walk;
    struct sl_store_walked walked;
    int fd = -1;
    int rc = sl_store_zstd_expand_now(s, path, atomic_load(&e->size), &fd, err);
    if (rc < 0) {
        return rc;
    }
    rc = sl_gtid_list_copy(&s->writer.state, &e->head.list);
    if (rc == SL_OK) {
        rc = sl_store_walk_init(&walk, s, &e->head, fd, e->head.end, atomic_load(&e->size), err);
    }
    if (rc == SL_OK) {
        rc = sl_store_walk_groups(&walk, &e->head, &s->writer.state, NULL, &walked, err);
        sl_store_walk_free(&walk);
    }
    sl_store_io->close(fd);
    if (rc == SL_OK && walked.is_damaged) {
        rc = sl_err_set(err, SL_EPROTO, "%s", walked.why.text);
    }
    return rc;
}

int sl_store_recover(struct sl_store *s, struct sl_err *err)
{
    if (s->count == 0) {
        return SL_OK;
    }
    struct sl_store_entry *e = s->entries[s->count - 1];
    char path[PATH_MAX];
    int rc = sl_store_entry_path(s, e, path, err);
    if (rc == SL_OK) {
        rc =
            e->is_compressed ? recover_compressed(s, e, path, err) : recover_plain(s, e, path, err);
        rc = rc < 0 ? sl_err_wrap(err, "binlog file '%s'", path) : SL_OK;
    }
    if (rc == SL_OK && sl_gtid_list_copy(&s->state, &s->writer.state) < 0) {
        rc = sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    return rc;
}

/* ---- open ---- */

static int lock_dir(struct sl_store *s, struct sl_err *err)
{
    s->lock_fd = sl_store_io->open(s->datadir, O_RDONLY | O_DIRECTORY, 0);
    if (s->lock_fd < 0) {
        return sl_err_set(err, SL_ESYS, "cannot open the directory '%s': %s", s->datadir,
                          strerror(errno));
    }
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return sl_err_set(err, errno == EWOULDBLOCK ? SL_EEXIST : SL_ESYS,
                          "cannot lock the directory '%s': %s", s->datadir,
                          errno == EWOULDBLOCK ? "another process uses it" : strerror(errno));
    }
    return SL_OK;
}

static int copy_config(struct sl_store *s, const struct sl_store_config *c)
{
    s->name = sl_strdup(c->name);
    s->datadir = sl_strdup(c->datadir);
    s->archivedir = sl_strdup(c->archivedir);
    s->keys = c->key_count > 0 ? sl_malloc(c->key_count * sizeof(s->keys[0])) : NULL;
    if (s->name == NULL || s->datadir == NULL || (c->archivedir != NULL && !s->archivedir) ||
        (c->key_count > 0 && s->keys == NULL)) {
        return SL_ENOMEM;
    }
    if (c->key_count > 0) {
        memcpy(s->keys, c->keys, c->key_count * sizeof(s->keys[0]));
    }
    s->key_count = c->key_count;
    s->server_id = c->server_id;
    s->cipher = c->cipher;
    s->on_grown = c->on_grown;
    s->may_purge = c->may_purge;
    s->arg = c->arg;
    s->tuning = c->tuning;
    atomic_store(&s->is_synced, c->tuning.is_synced);
    atomic_store(&s->max_file_bytes, c->tuning.max_file_bytes);
    return SL_OK;
}

/* Ages go on where the newest finished file left them; a file without a time is young. */
static void set_clock(struct sl_store *s)
{
    int64_t newest_ms = 0, changed_s = sl_clock_wall_s();
    for (unsigned i = 0; i < s->count; i++) {
        newest_ms = SL_MAX(newest_ms, s->entries[i]->finished_ms);
        changed_s = s->entries[i]->changed_s;
    }
    int64_t away_ms = (sl_clock_wall_s() - changed_s) * 1000;
    away_ms = SL_MIN(SL_MAX(away_ms, 0), DOWNTIME_MAX_MS);
    s->clock_base_ms =
        newest_ms > 0 ? (uint64_t)(newest_ms + away_ms) : (uint64_t)sl_clock_wall_ms();
    s->clock_start_ms = sl_clock_mono_ms();
    for (unsigned i = 0; i < s->count; i++) {
        if (s->entries[i]->finished_ms <= 0) {
            s->entries[i]->finished_ms = (int64_t)s->clock_base_ms;
        }
    }
}

static int open_store(struct sl_store *s, struct sl_err *err)
{
    char work[PATH_MAX];
    int n = snprintf(work, sizeof(work), "%s/compression", s->datadir);
    if (n < 0 || (size_t)n >= sizeof(work)) {
        return sl_err_set(err, SL_EINVAL, "the path '%.100s...' is too long", s->datadir);
    }
    char failed[PATH_MAX];
    if (sl_store_io_make_dir(work, failed) != 0) {
        return sl_err_set(err, SL_ESYS, "cannot make the directory '%s': %s", failed,
                          strerror(errno));
    }
    int rc = sl_store_archive_check(s, err);
    if (rc == SL_OK) {
        rc = lock_dir(s, err);
    }
    if (rc == SL_OK) {
        rc = sl_store_scan(s, err);
    }
    if (rc == SL_OK) {
        set_clock(s);
        rc = sl_store_recover(s, err);
    }
    if (rc == SL_OK) {
        rc = sl_store_request_load(s, err);
    }
    if (rc == SL_OK) {
        rc = sl_store_list_write(s, err);
    }
    if (rc < 0) {
        return rc;
    }
    struct sl_err why = SL_ERR_INIT;
    if (sl_store_scan_archive(s, &why) < 0) {
        sl_log_warning("%s; the archived binlog files are not there for now", why.text);
    }
    return sl_store_keeper_start(s, err);
}

int sl_store_open(const struct sl_store_config *config, struct sl_store **ret, struct sl_err *err)
{
    struct sl_err own = SL_ERR_INIT;
    err = err != NULL ? err : &own;
    struct sl_store *s = sl_calloc(1, sizeof(*s));
    if (s == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory opening a binlog store");
    }
    s->lock_fd = s->writer.fd = s->writer.index.fd = -1;
    s->next_number = 1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->plain_lock, NULL);
    pthread_mutex_init(&s->index_lock, NULL);
    pthread_mutex_init(&s->list_lock, NULL);
    int rc = copy_config(s, config);
    rc = rc < 0 ? sl_err_set(err, rc, "out of memory opening a binlog store") : open_store(s, err);
    if (rc < 0) {
        sl_store_close(s);
        return rc;
    }
    *ret = s;
    return SL_OK;
}

/* Under `lock`. */
static void drop_all(struct sl_store *s)
{
    if (s->writer.entry != NULL) {
        sl_store_entry_unref(s->writer.entry);
        s->writer.entry = NULL;
    }
    sl_store_catalogue_drop(s, s->count);
}

void sl_store_close(struct sl_store *store)
{
    if (store == NULL) {
        return;
    }
    sl_store_keeper_stop(store);
    sl_store_writer_free(&store->writer);
    pthread_mutex_lock(&store->lock);
    drop_all(store);
    pthread_mutex_unlock(&store->lock);
    sl_free(store->entries);
    if (store->lock_fd >= 0) {
        sl_store_io->close(store->lock_fd);
    }
    if (store->keys != NULL) {
        sl_wipe(store->keys, store->key_count * sizeof(store->keys[0]));
    }
    sl_gtid_list_free(&store->state);
    sl_gtid_list_free(&store->request);
    pthread_mutex_destroy(&store->lock);
    pthread_mutex_destroy(&store->plain_lock);
    pthread_mutex_destroy(&store->index_lock);
    pthread_mutex_destroy(&store->list_lock);
    sl_free(store->keys);
    sl_free(store->name);
    sl_free(store->datadir);
    sl_free(store->archivedir);
    sl_free(store);
}

/* ---- reset ---- */

/* Under `lock`. */
static int check_unread(const struct sl_store *s, struct sl_err *err)
{
    unsigned readers = 0;
    for (unsigned i = 0; i < s->count; i++) {
        readers += s->entries[i]->readers;
    }
    return readers == 0 ? SL_OK
                        : sl_err_set(err, SL_ESTATE,
                                     "%u readers use the binlog files: stop the replicas, or KILL "
                                     "their connections first",
                                     readers);
}

static int reset(struct sl_store *s, uint64_t first_number, struct sl_err *err)
{
    if (check_unread(s, err) < 0) {
        return SL_ESTATE;
    }
    int rc = sl_store_scan_unlink(s, err);
    if (rc < 0) {
        return rc;
    }
    drop_all(s);
    sl_gtid_list_clear(&s->state);
    sl_gtid_list_clear(&s->request);
    s->has_request = false;
    s->next_number = first_number;
    s->keeper.archive_to = 0;
    s->base[0] = '\0';
    return SL_OK;
}

int sl_store_reset(struct sl_store *store, struct sl_err *err)
{
    pthread_mutex_lock(&store->lock);
    int rc = check_unread(store, err); /* the keeper may be at work for them */
    pthread_mutex_unlock(&store->lock);
    if (rc < 0) {
        return rc;
    }
    uint64_t first;
    sl_store_keeper_stop(store);
    rc = sl_store_scan_first_number(store, &first, err);
    if (rc == SL_OK) {
        pthread_mutex_lock(&store->lock);
        rc = reset(store, first, err); /* under the lock: no reader may open a file meanwhile */
        pthread_mutex_unlock(&store->lock);
    }
    if (rc == SL_OK) {
        sl_store_writer_free(&store->writer);
        store->writer = (struct sl_store_writer){.fd = -1, .index.fd = -1};
        atomic_fetch_add(&store->version, 1);
        sl_store_request_save(store, NULL, NULL);
        rc = sl_store_list_write(store, err);
    }
    int again = sl_store_keeper_start(store, err);
    return rc < 0 ? rc : again;
}
