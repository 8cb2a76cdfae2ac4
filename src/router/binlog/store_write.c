/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer: events into the last file, durable, then visible.
 *
 *   published            complete          written             written + buf
 *       | complete groups    | the open group ...                   |
 *       | not synced yet     |        (`written` may be anywhere from `published` on)
 *
 * Only complete groups are written by a commit; the open one goes to the file when the buffer is
 * full, and is cut off if it does not come to its end. One thread.
 */
#include "router/binlog/store_internal.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"

static uint64_t published(const struct sl_store_writer *w)
{
    return atomic_load_explicit(&w->entry->size, memory_order_relaxed);
}

void sl_store_writer_detach(struct sl_store_writer *w)
{
    if (w->fd >= 0) {
        sl_store_io->close(w->fd);
        w->fd = -1;
    }
    sl_event_crypt_free(w->crypt);
    w->crypt = NULL;
    sl_buf_clear(&w->buf);
    sl_store_index_close(&w->index);
    w->is_in_group = false;
    w->groups = 0;
}

void sl_store_writer_free(struct sl_store_writer *w)
{
    sl_store_writer_detach(w);
    sl_buf_free(&w->buf);
    sl_buf_free(&w->sealed);
    sl_gtid_list_free(&w->state);
}

/* ---- to the file ---- */

static int refuse(struct sl_store *s, const char *what, struct sl_err *err)
{
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    sl_store_file_name(s, s->writer.entry->number, name);
    int rc = sl_store_fail(s, what, name, err);
    s->writer.is_broken |= rc == SL_ESYS;
    return rc;
}

/* The buffer's bytes up to the offset `end`. SL_ELIMIT: they stay in the buffer. */
static int flush(struct sl_store *s, uint64_t end, struct sl_err *err)
{
    struct sl_store_writer *w = &s->writer;
    if (end <= w->written) {
        return SL_OK;
    }
    size_t len = (size_t)(end - w->written);
    sl_assert(len <= sl_buf_len(&w->buf));
    if (sl_store_io_write(w->fd, w->buf.data + w->buf.start, len, w->written, NULL) != 0) {
        return refuse(s, "cannot write to the binlog file", err);
    }
    sl_buf_consume(&w->buf, len);
    w->written = end;
    return SL_OK;
}

static int write_direct(struct sl_store *s, const uint8_t *data, size_t len, struct sl_err *err)
{
    struct sl_store_writer *w = &s->writer;
    int rc = flush(s, w->written + sl_buf_len(&w->buf), err);
    if (rc < 0) {
        return rc;
    }
    if (sl_store_io_write(w->fd, data, len, w->written, NULL) != 0) {
        return refuse(s, "cannot write to the binlog file", err);
    }
    w->written += len;
    return SL_OK;
}

/* The stored bytes of one event; they are copied or written. */
static int store_bytes(struct sl_store *s, const uint8_t *data, size_t len, struct sl_err *err)
{
    struct sl_store_writer *w = &s->writer;
    if (len > SL_STORE_DIRECT) {
        return write_direct(s, data, len, err);
    }
    int rc = SL_OK;
    if (sl_buf_len(&w->buf) + len > SL_STORE_SPILL) {
        rc = flush(s, w->written + sl_buf_len(&w->buf), err);
    }
    if (rc == SL_OK && sl_buf_append(&w->buf, data, len) < 0) {
        rc = sl_err_set(err, SL_ENOMEM, "out of memory storing an event");
    }
    return rc;
}

int sl_store_writer_append(struct sl_store *s, uint8_t *event, uint32_t len, struct sl_err *err)
{
    struct sl_store_writer *w = &s->writer;
    uint64_t at = w->written + sl_buf_len(&w->buf);
    uint32_t stored = w->crypt != NULL ? sl_event_crypt_stored(w->crypt, len) : len;
    sl_event_set_pos(event, len, (uint32_t)(at + stored), w->entry->head.has_crc);
    if (w->crypt == NULL) {
        return store_bytes(s, event, len, err);
    }
    sl_buf_clear(&w->sealed);
    int rc = sl_event_crypt_seal(w->crypt, event, len, at, &w->sealed);
    if (rc < 0) {
        return sl_err_set(err, rc, "cannot encrypt an event of %u bytes: %s", len, sl_rc_text(rc));
    }
    rc = store_bytes(s, w->sealed.data + w->sealed.start, sl_buf_len(&w->sealed), err);
    if (w->sealed.capacity > SL_STORE_SPILL) {
        sl_buf_free(&w->sealed);
    }
    return rc;
}

/* ---- durable, visible ---- */

static int sync_log(struct sl_store *s, bool always, uint64_t *ret_us, struct sl_err *err)
{
    *ret_us = 0;
    if (!always && !atomic_load_explicit(&s->is_synced, memory_order_relaxed)) {
        return SL_OK;
    }
    uint64_t start = sl_clock_mono_us();
    if (sl_store_io->sync_data(s->writer.fd) != 0) {
        /* What of the file is on disk now is unknown, and a second sync would not tell. */
        refuse(s, "cannot sync the binlog file", err);
        s->writer.is_broken = true;
        return SL_ESYS;
    }
    *ret_us = SL_MAX(sl_clock_mono_us() - start, 1U);
    return SL_OK;
}

static void count_published(struct sl_store *s, uint64_t sync_us)
{
    struct sl_store_writer *w = &s->writer;
    s->stats.groups += w->groups;
    s->stats.bytes += w->complete - published(w);
    s->stats.is_full = false;
    s->stats.syncs += sync_us > 0;
    s->stats.sync_us_total += sync_us;
    s->stats.sync_us_max = SL_MAX(s->stats.sync_us_max, sync_us);
    w->entry->changed_s = sl_clock_wall_s();
    w->groups = 0;
}

static int make_visible(struct sl_store *s, uint64_t sync_us, struct sl_err *err)
{
    struct sl_store_writer *w = &s->writer;
    pthread_mutex_lock(&s->lock);
    int rc = sl_gtid_list_copy(&s->state, &w->state);
    if (rc == SL_OK) {
        count_published(s, sync_us);
        atomic_store_explicit(&w->entry->size, w->complete, memory_order_release);
    }
    pthread_mutex_unlock(&s->lock);
    if (rc < 0) {
        return sl_err_set(err, rc, "out of memory publishing a group");
    }
    atomic_fetch_add_explicit(&s->version, 1, memory_order_release);
    return SL_OK;
}

static void flush_index(struct sl_store *s, bool is_synced)
{
    struct sl_store_index *x = &s->writer.index;
    if (sl_buf_len(&x->queue) == 0) {
        return;
    }
    pthread_mutex_lock(&s->index_lock);
    sl_store_index_flush(x, is_synced);
    pthread_mutex_unlock(&s->index_lock);
    sl_store_index_measure(s, s->writer.entry);
}

int sl_store_writer_publish(struct sl_store *s, bool always, uint64_t *ret_us, struct sl_err *err)
{
    struct sl_store_writer *w = &s->writer;
    *ret_us = 0;
    if (w->complete <= published(w)) {
        return SL_OK;
    }
    int rc = flush(s, w->complete, err);
    if (rc == SL_OK) {
        rc = sync_log(s, always, ret_us, err);
    }
    if (rc == SL_OK) {
        rc = make_visible(s, *ret_us, err);
    }
    if (rc < 0) {
        return rc;
    }
    flush_index(s, *ret_us > 0);
    if (s->on_grown != NULL) {
        s->on_grown(s->arg);
    }
    return SL_OK;
}

/* ---- the contract ---- */

bool sl_store_has_file(const struct sl_store *store)
{
    return store->writer.has_begun;
}

bool sl_store_has_uncommitted(const struct sl_store *store)
{
    const struct sl_store_writer *w = &store->writer;
    return w->has_begun && (w->has_published || w->complete > published(w));
}

static int is_writable(const struct sl_store_writer *w, struct sl_err *err)
{
    if (!w->has_begun) {
        return sl_err_set(err, SL_ESTATE, "no binlog file was begun");
    }
    if (w->is_broken) {
        return sl_err_set(err, SL_ESYS, "writing has failed before: a new file must be begun");
    }
    return SL_OK;
}

/* The file goes on with the next one before a group begins. */
static int before_group(struct sl_store *s, struct sl_err *err)
{
    struct sl_store_writer *w = &s->writer;
    w->has_published |= w->complete > published(w);
    return sl_store_roll_if_due(s, err);
}

static int note_step(struct sl_store *s, enum sl_group_step step, const struct sl_group *group,
                     struct sl_err *err)
{
    struct sl_store_writer *w = &s->writer;
    uint64_t end = w->written + sl_buf_len(&w->buf);
    if (step == SL_GROUP_OUTSIDE) {
        w->complete = w->is_in_group ? w->complete : end;
        return SL_OK;
    }
    if (step != SL_GROUP_END) {
        w->is_in_group = true;
        return SL_OK;
    }
    if (sl_gtid_state_add(&w->state, group->gtid.gtid) < 0) {
        return sl_err_set(err, SL_ENOMEM, "out of memory storing a group");
    }
    sl_store_index_group(&w->index, &w->entry->head, group->gtid.gtid, end);
    w->is_in_group = false;
    w->complete = end;
    w->groups++;
    return SL_OK;
}

int sl_store_add(struct sl_store *store, uint8_t *event, uint32_t len, enum sl_group_step step,
                 const struct sl_group *group, struct sl_err *err)
{
    int rc = is_writable(&store->writer, err);
    if (rc < 0) {
        return rc;
    }
    if (step == SL_GROUP_BROKEN) {
        sl_store_abandon(store);
        if (sl_event_type(event) != SL_EVENT_GTID) {
            return sl_err_set(err, SL_EPROTO, "an event of type %u stands outside of a group",
                              sl_event_type(event));
        }
    }
    bool is_first = step == SL_GROUP_BEGIN || step == SL_GROUP_BROKEN;
    rc = is_first ? before_group(store, err) : SL_OK;
    if (rc == SL_OK) {
        rc = sl_store_writer_append(store, event, len, err);
    }
    return rc == SL_OK ? note_step(store, step, group, err) : rc;
}

int sl_store_commit(struct sl_store *store, uint64_t *ret_synced_us, struct sl_err *err)
{
    struct sl_store_writer *w = &store->writer;
    *ret_synced_us = 0;
    int rc = is_writable(w, err);
    if (rc == SL_OK) {
        rc = sl_store_writer_publish(store, false, ret_synced_us, err);
    }
    if (rc < 0) {
        return rc;
    }
    w->has_published = false;
    rc = w->is_in_group ? SL_OK : sl_store_roll_if_due(store, err);
    return rc == SL_ELIMIT ? SL_OK : rc; /* the file just gets longer */
}

bool sl_store_abandon_all(struct sl_store *store)
{
    struct sl_store_writer *w = &store->writer;
    /* Two events at one offset of an encrypted file would have one nonce: the file ends here. */
    bool was_sealed = w->crypt != NULL && w->written > w->complete;
    sl_store_abandon(store);
    bool had = sl_store_has_uncommitted(store);
    w->is_broken |= had || was_sealed; /* begin_file goes back to the published end */
    return had;
}

void sl_store_abandon(struct sl_store *store)
{
    struct sl_store_writer *w = &store->writer;
    if (w->fd < 0) {
        return;
    }
    if (w->complete >= w->written) {
        w->buf.end = w->buf.start + (size_t)(w->complete - w->written);
    } else {
        sl_buf_clear(&w->buf);
        w->is_broken |= sl_store_io->truncate(w->fd, (off_t)w->complete) != 0;
        w->written = w->complete;
    }
    w->is_in_group = false;
}
