/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From one file to the next. The order makes each step safe against a power cut:
 *
 *   1. the new file under a name that nobody looks at: first events, synced
 *   2. ROTATE into the old one, synced (whatever the tuning: only the last file may lose its end)
 *   3. the new file gets its name, the directory is synced
 *   4. the old file's index is finished, binlog.index written: both can be made again
 *
 * A disk that is full shows in 1 or 2, when nothing has happened yet. Writer's thread.
 */
#include "router/binlog/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

/* What a new file needs before the old one may end. */
struct next {
    uint64_t number;
    bool jumps; /* the log does not go on from the old file */
    struct sl_store_entry *entry;
    struct sl_event_crypt *crypt;
    struct sl_gtid_list state;
    char temporary[PATH_MAX], path[PATH_MAX];
    int fd;
};

static void next_free(struct sl_store *s, struct next *n)
{
    if (n->fd >= 0) {
        sl_store_io->close(n->fd);
        sl_store_io->unlink(n->temporary);
    }
    if (n->entry != NULL) {
        sl_store_entry_unref(n->entry);
    }
    sl_event_crypt_free(n->crypt);
    sl_gtid_list_free(&n->state);
}

/* ---- 1. the new file ---- */

static int write_new(struct sl_store *s, struct next *n, const struct sl_buf *bytes,
                     struct sl_err *err)
{
    n->fd = sl_store_io->open(n->temporary, O_RDWR | O_CREAT | O_TRUNC, 0640);
    if (n->fd < 0) {
        return sl_store_fail(s, "cannot create", n->temporary, err);
    }
    if (sl_store_io_write(n->fd, bytes->data + bytes->start, sl_buf_len(bytes), 0, NULL) != 0 ||
        sl_store_io->sync(n->fd) != 0) {
        return sl_store_fail(s, "cannot write", n->temporary, err);
    }
    return SL_OK;
}

/* An archive that is out of reach does not keep an empty store from beginning. */
static uint64_t first_number(struct sl_store *s)
{
    uint64_t number = 1;
    struct sl_err why = SL_ERR_INIT;
    pthread_mutex_lock(&s->lock);
    bool is_empty = s->count == 0;
    pthread_mutex_unlock(&s->lock);
    if (is_empty && sl_store_scan_first_number(s, &number, &why) < 0) {
        sl_log_warning("%s", why.text);
    }
    return number;
}

static int find_place(struct sl_store *s, struct next *n, struct sl_err *err)
{
    uint64_t first = first_number(s);
    pthread_mutex_lock(&s->lock);
    n->jumps = s->has_request && s->count > 0;
    n->number = SL_MAX(s->next_number, first) + (n->jumps ? 1 : 0);
    int rc = sl_gtid_list_copy(&n->state, s->has_request ? &s->request : &s->writer.state);
    bool is_full = s->count >= SL_STORE_FILES_MAX;
    pthread_mutex_unlock(&s->lock);
    if (rc < 0 || is_full) {
        return is_full ? sl_err_set(err, SL_ESTATE, "there are %d binlog files already: purge some",
                                    SL_STORE_FILES_MAX)
                       : sl_err_set(err, rc, "out of memory beginning a binlog file");
    }
    rc = sl_store_path(s, s->datadir, n->number, ".new", n->temporary, err);
    return rc == SL_OK ? sl_store_path(s, s->datadir, n->number, "", n->path, err) : rc;
}

static int prepare(struct sl_store *s, const uint8_t *fde, uint32_t len, struct next *n,
                   struct sl_err *err)
{
    int rc = find_place(s, n, err);
    if (rc < 0) {
        return rc;
    }
    struct sl_buf bytes = SL_BUF_INIT;
    struct sl_store_head head;
    rc = sl_store_head_build(s, fde, len, &n->state, &bytes, &head, err);
    if (rc == SL_OK) {
        rc = sl_store_head_crypt(s, &head, &n->crypt, err);
        n->entry = rc == SL_OK ? sl_store_entry_new(n->number, &head) : NULL;
        sl_store_head_free(&head); /* empty if the entry took it */
    }
    if (rc == SL_OK && n->entry == NULL) {
        rc = sl_err_set(err, SL_ENOMEM, "out of memory beginning a binlog file");
    }
    if (rc == SL_OK) {
        rc = write_new(s, n, &bytes, err);
    }
    sl_buf_free(&bytes);
    return rc;
}

/* ---- 2. the old file ---- */

static int append_rotate(struct sl_store *s, const struct next *n, struct sl_err *err)
{
    struct sl_store_writer *w = &s->writer;
    struct sl_event_header h = {.timestamp = (uint32_t)sl_clock_wall_s(),
                                .server_id = s->server_id};
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    sl_store_file_name(s, n->number, name);
    struct sl_buf event = SL_BUF_INIT;
    int rc = sl_rotate_event_build(&event, &h, name, SL_BINLOG_MAGIC_LEN, w->entry->head.has_crc);
    if (rc < 0) {
        sl_err_set(err, rc, "out of memory ending a binlog file");
    } else {
        rc = sl_store_writer_append(s, event.data + event.start, (uint32_t)sl_buf_len(&event), err);
    }
    sl_buf_free(&event);
    if (rc == SL_OK) {
        w->complete = w->written + sl_buf_len(&w->buf);
    }
    return rc;
}

static int end_old(struct sl_store *s, const struct next *n, struct sl_err *err)
{
    struct sl_store_writer *w = &s->writer;
    if (w->entry == NULL || w->fd < 0 || atomic_load(&w->entry->is_finished)) {
        return SL_OK;
    }
    uint64_t us, before = atomic_load(&w->entry->size);
    int rc = append_rotate(s, n, err);
    if (rc == SL_OK) {
        rc = sl_store_writer_publish(s, true, &us, err);
    }
    if (rc == SL_ELIMIT || rc == SL_ENOMEM) {
        w->complete = before;
        sl_store_abandon(s);
    }
    return rc;
}

/* ---- 3. and 4. ---- */

static void finish_index(struct sl_store *s)
{
    struct sl_store_writer *w = &s->writer;
    struct sl_store_entry *e = w->entry;
    int64_t now_ms = sl_store_clock_ms(s);
    pthread_mutex_lock(&s->index_lock);
    bool has_index =
        w->fd >= 0 && sl_store_index_finish(&w->index, &e->head, atomic_load(&e->size), now_ms);
    pthread_mutex_unlock(&s->index_lock);
    pthread_mutex_lock(&s->lock);
    e->has_index |= has_index;
    e->finished_ms = now_ms;
    e->disk_size = e->is_compressed ? e->disk_size : atomic_load(&e->size);
    pthread_mutex_unlock(&s->lock);
}

/* The new entry becomes the last one. SL_ENOMEM: nothing has changed. */
static int list_new(struct sl_store *s, struct next *n, struct sl_err *err)
{
    struct sl_store_entry *e = n->entry;
    atomic_store(&e->size, e->head.end);
    e->changed_s = sl_clock_wall_s();
    pthread_mutex_lock(&s->lock);
    int rc = sl_store_catalogue_add(s, e);
    if (rc == SL_OK) {
        e->refs++; /* the writer's */
        s->next_number = n->number + 1;
        if (n->jumps) {
            sl_store_catalogue_drop(s, s->count - 1);
        }
        sl_gtid_list_free(&s->state);
        s->state = n->state;
        n->state = (struct sl_gtid_list)SL_GTID_LIST_INIT;
    }
    pthread_mutex_unlock(&s->lock);
    return rc < 0 ? sl_err_set(err, rc, "out of memory beginning a binlog file") : SL_OK;
}

static void leave_old(struct sl_store *s)
{
    struct sl_store_writer *w = &s->writer;
    if (w->entry == NULL) {
        return;
    }
    if (!atomic_load(&w->entry->is_finished)) {
        finish_index(s);
        atomic_store_explicit(&w->entry->is_finished, true, memory_order_release);
    }
    pthread_mutex_lock(&s->lock);
    sl_store_entry_unref(w->entry);
    pthread_mutex_unlock(&s->lock);
    w->entry = NULL;
}

static void enter_new(struct sl_store *s, struct next *n)
{
    struct sl_store_writer *w = &s->writer;
    leave_old(s);
    sl_store_writer_detach(w);
    w->entry = n->entry;
    w->fd = n->fd;
    w->crypt = n->crypt;
    w->written = w->complete = n->entry->head.end;
    n->entry = NULL;
    n->fd = -1;
    n->crypt = NULL;
    char path[PATH_MAX];
    if (sl_store_path(s, s->datadir, w->entry->number, ".gtidx", path, NULL) == SL_OK) {
        pthread_mutex_lock(&s->index_lock);
        sl_store_index_create(&w->index, path, &w->entry->head);
        pthread_mutex_unlock(&s->index_lock);
    }
}

/* The position that was asked for is what the new file begins with. */
static void forget_request(struct sl_store *s)
{
    pthread_mutex_lock(&s->lock);
    bool had = s->has_request;
    s->has_request = false;
    sl_gtid_list_clear(&s->request);
    pthread_mutex_unlock(&s->lock);
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/requested_rpl_state", s->datadir);
    if (had && n > 0 && (size_t)n < sizeof(path)) {
        sl_store_io->unlink(path);
    }
}

static int switch_over(struct sl_store *s, struct next *n, struct sl_err *err)
{
    struct sl_store_writer *w = &s->writer;
    struct sl_gtid_list state = SL_GTID_LIST_INIT;
    if (sl_gtid_list_copy(&state, &n->state) < 0) {
        return sl_err_set(err, SL_ENOMEM, "out of memory beginning a binlog file");
    }
    int rc = SL_OK;
    if (sl_store_io->rename(n->temporary, n->path) != 0 || sl_store_io_sync_dir(s->datadir) != 0) {
        rc = sl_store_fail(s, "cannot name", n->path, err);
    }
    if (rc == SL_OK) {
        rc = list_new(s, n, err);
    }
    if (rc < 0) {
        sl_gtid_list_free(&state);
        return rc;
    }
    sl_gtid_list_free(&w->state);
    w->state = state;
    enter_new(s, n);
    forget_request(s);
    return SL_OK;
}

int sl_store_roll(struct sl_store *s, const uint8_t *fde, uint32_t len, struct sl_err *err)
{
    struct next n = {.fd = -1};
    int rc = prepare(s, fde, len, &n, err);
    if (rc == SL_OK) {
        rc = end_old(s, &n, err);
    }
    if (rc == SL_OK) {
        rc = switch_over(s, &n, err);
        if (rc < 0) { /* the old file has ended already: nothing can be added to it */
            s->writer.is_broken = true;
            rc = SL_ESYS;
        }
    }
    next_free(s, &n);
    if (rc < 0) {
        return rc;
    }
    struct sl_err why = SL_ERR_INIT;
    if (sl_store_list_write(s, &why) < 0) {
        sl_log_warning("%s", why.text);
    }
    atomic_fetch_add_explicit(&s->version, 1, memory_order_release);
    sl_store_keeper_wake(s);
    if (s->on_grown != NULL) {
        s->on_grown(s->arg);
    }
    return SL_OK;
}

int sl_store_roll_if_due(struct sl_store *s, struct sl_err *err)
{
    struct sl_store_writer *w = &s->writer;
    uint64_t max = atomic_load_explicit(&s->max_file_bytes, memory_order_relaxed);
    bool is_asked = atomic_load_explicit(&s->rotates_soon, memory_order_relaxed);
    bool is_long = max > 0 && w->complete >= max;
    if (w->complete <= w->entry->head.end || (!is_asked && !is_long)) {
        return SL_OK;
    }
    uint64_t us;
    int rc = sl_store_writer_publish(s, false, &us, err);
    if (rc < 0) {
        return rc;
    }
    uint8_t fde[SL_FDE_MAX];
    uint32_t len = w->entry->head.fde_len;
    memcpy(fde, w->entry->head.fde, len);
    sl_fde_set_created(fde, len, 0); /* the primary was not started anew */
    rc = sl_store_roll(s, fde, len, err);
    if (rc == SL_OK) {
        atomic_store(&s->rotates_soon, false);
    }
    return rc;
}

/* ---- begin_file ---- */

int sl_store_roll_heal(struct sl_store *s, struct sl_err *err)
{
    struct sl_store_writer *w = &s->writer;
    struct sl_store_entry *e = w->entry;
    sl_store_writer_detach(w);
    w->written = w->complete = e != NULL ? atomic_load(&e->size) : 0;
    pthread_mutex_lock(&s->lock);
    int rc = sl_gtid_list_copy(&w->state, &s->state);
    pthread_mutex_unlock(&s->lock);
    if (rc < 0) {
        return sl_err_set(err, rc, "out of memory");
    }
    if (e != NULL && !atomic_load(&e->is_finished)) {
        char path[PATH_MAX];
        rc = sl_store_path(s, s->datadir, e->number, "", path, err);
        int fd = rc == SL_OK ? sl_store_io->open(path, O_RDWR, 0) : -1;
        if (rc == SL_OK &&
            (fd < 0 || sl_store_io->truncate(fd, (off_t)atomic_load(&e->size)) != 0 ||
             sl_store_io->sync(fd) != 0)) {
            rc = sl_store_fail(s, "cannot cut", path, err);
        }
        if (fd >= 0) {
            sl_store_io->close(fd);
        }
    }
    w->is_broken = rc < 0;
    return rc;
}

/* Equal but for what a primary changes when it sends it again: the position, the flags and the time
 * of its start. */
static bool is_same_fde(const struct sl_store_head *h, const uint8_t *fde, uint32_t len)
{
    const unsigned created = SL_EVENT_HEADER + 2 + 50, behind = created + 4;
    return len == h->fde_len && len > behind + SL_EVENT_CRC && memcmp(h->fde, fde, 13) == 0 &&
           memcmp(h->fde + SL_EVENT_HEADER, fde + SL_EVENT_HEADER, created - SL_EVENT_HEADER) ==
               0 &&
           memcmp(h->fde + behind, fde + behind, len - behind - SL_EVENT_CRC) == 0;
}

static bool can_continue(struct sl_store *s, const uint8_t *fde, uint32_t len)
{
    const struct sl_store_writer *w = &s->writer;
    pthread_mutex_lock(&s->lock);
    bool has_request = s->has_request;
    pthread_mutex_unlock(&s->lock);
    if (w->entry == NULL || w->fd < 0 || atomic_load(&w->entry->is_finished) || has_request) {
        return false;
    }
    const struct sl_store_head *h = &w->entry->head;
    const struct sl_store_key *key = sl_store_key_newest(s);
    bool is_as_wanted = key == NULL ? !h->is_encrypted
                                    : h->is_encrypted && h->cipher == s->cipher &&
                                          h->encryption.key_version == key->version;
    return is_as_wanted && is_same_fde(h, fde, len);
}

/* The base name of an empty store. */
static int take_base(struct sl_store *s, const char *base, struct sl_err *err)
{
    enum {
        BASE_MAX = 200 /* leaves room for number and suffixes in a name of 255 bytes */
    };
    if (s->base[0] != '\0') {
        return SL_OK;
    }
    size_t len = strlen(base);
    if (len == 0 || len > BASE_MAX || base[0] == '.' || strchr(base, '/') != NULL ||
        strchr(base, '\n') != NULL) {
        return sl_err_set(err, SL_EINVAL,
                          "'%.100s' cannot be the base name of binlog files: 1 to %d characters "
                          "without '/', not beginning with '.'",
                          base, BASE_MAX);
    }
    pthread_mutex_lock(&s->lock);
    memcpy(s->base, base, len + 1);
    pthread_mutex_unlock(&s->lock);
    return SL_OK;
}

int sl_store_begin_file(struct sl_store *store, const char *base, const uint8_t *fde, uint32_t len,
                        bool continues, struct sl_err *err)
{
    struct sl_store_writer *w = &store->writer;
    int rc = take_base(store, base, err);
    if (rc == SL_OK && w->is_broken) {
        rc = sl_store_roll_heal(store, err);
    }
    if (rc < 0) {
        return rc;
    }
    uint64_t us;
    sl_store_abandon(store);
    if (w->fd >= 0) {
        bool publishes = w->complete > atomic_load(&w->entry->size);
        rc = sl_store_writer_publish(store, false, &us, err);
        w->has_published |= publishes && rc == SL_OK;
    }
    if (rc == SL_OK && !(continues && can_continue(store, fde, len))) {
        rc = sl_store_roll(store, fde, len, err);
    }
    w->has_begun |= rc == SL_OK;
    return rc;
}
