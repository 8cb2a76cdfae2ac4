/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file event by event, each one verified: recovery of the last file, and making an index anew.
 *
 * Reads in blocks; an event that does not fit into one is gathered in a buffer of its size. One
 * thread; owns the buffers, not the descriptor.
 */
#include "router/binlog/store_internal.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

int sl_store_walk_init(struct sl_store_walk *w, const struct sl_store *s,
                       const struct sl_store_head *h, int fd, uint64_t offset, uint64_t end,
                       struct sl_err *err)
{
    *w = (struct sl_store_walk){.fd = fd, .offset = offset, .end = end, .has_crc = h->has_crc};
    w->block = sl_malloc(SL_STORE_BLOCK_SIZE);
    if (w->block == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    return sl_store_head_crypt(s, h, &w->crypt, err);
}

void sl_store_walk_free(struct sl_store_walk *w)
{
    sl_event_crypt_free(w->crypt);
    sl_free(w->block);
    sl_buf_free(&w->large);
    sl_buf_free(&w->plain);
    *w = (struct sl_store_walk){.fd = -1};
}

/* `need` bytes at the offset, in the block; NULL with errno: not readable. */
static uint8_t *look(struct sl_store_walk *w, uint32_t need)
{
    if (w->offset >= w->block_at && w->offset + need <= w->block_at + w->block_len) {
        return w->block + (w->offset - w->block_at);
    }
    uint64_t len = SL_MIN((uint64_t)SL_STORE_BLOCK_SIZE, w->end - w->offset);
    w->block_at = w->offset;
    w->block_len = 0;
    int rc = sl_store_io_read(w->fd, w->block, (size_t)len, w->offset);
    if (rc != 0) {
        errno = rc > 0 ? EIO : errno; /* shorter than fstat said */
        return NULL;
    }
    w->block_len = (uint32_t)len;
    return w->block;
}

static uint8_t *gather(struct sl_store_walk *w, uint32_t len)
{
    sl_buf_free(&w->large);
    if (sl_buf_reserve(&w->large, len) < 0) {
        errno = ENOMEM;
        return NULL;
    }
    int rc = sl_store_io_read(w->fd, w->large.data, len, w->offset);
    errno = rc > 0 ? EIO : errno;
    return rc == 0 ? w->large.data : NULL;
}

static int unreadable(const struct sl_store_walk *w, struct sl_err *err)
{
    return sl_err_set(err, errno == ENOMEM ? SL_ENOMEM : SL_ESYS, "cannot read at offset %llu: %s",
                      (unsigned long long)w->offset, strerror(errno));
}

static int damaged(const struct sl_store_walk *w, const char *what, struct sl_err *err)
{
    return sl_err_set(err, SL_EPROTO, "damaged at offset %llu: %s", (unsigned long long)w->offset,
                      what);
}

/* The stored event at the offset. */
static int load(struct sl_store_walk *w, uint8_t **ret, uint32_t *ret_len, struct sl_err *err)
{
    uint64_t left = w->end - w->offset;
    if (left < SL_EVENT_HEADER) {
        return damaged(w, "incomplete event", err);
    }
    const uint8_t *data = look(w, SL_EVENT_HEADER);
    if (data == NULL) {
        return unreadable(w, err);
    }
    uint32_t len = sl_event_length(data);
    if (len < SL_EVENT_HEADER || len > SL_EVENT_MAX + SL_STORE_SPILL) {
        return damaged(w, "impossible length of an event", err);
    }
    if (len > left) {
        return damaged(w, "incomplete event", err);
    }
    *ret = len <= SL_STORE_BLOCK_SIZE ? look(w, len) : gather(w, len);
    *ret_len = len;
    return *ret != NULL ? SL_OK : unreadable(w, err);
}

static int unseal(struct sl_store_walk *w, uint8_t **event, uint32_t *len, struct sl_err *err)
{
    sl_buf_clear(&w->plain);
    int rc = sl_event_crypt_open(w->crypt, *event, *len, w->offset, &w->plain);
    if (rc < 0) {
        return rc == SL_ENOMEM ? sl_err_set(err, rc, "out of memory")
                               : damaged(w, "cannot be decrypted", err);
    }
    *event = w->plain.data + w->plain.start;
    *len = (uint32_t)sl_buf_len(&w->plain);
    return SL_OK;
}

int sl_store_walk_next(struct sl_store_walk *w, uint8_t **ret_event, uint32_t *ret_len,
                       struct sl_err *err)
{
    if (w->offset >= w->end) {
        return SL_ENOENT;
    }
    uint32_t stored = 0;
    int rc = load(w, ret_event, &stored, err);
    *ret_len = stored;
    if (rc == SL_OK && w->crypt != NULL) {
        rc = unseal(w, ret_event, ret_len, err);
    }
    if (rc < 0) {
        return rc;
    }
    struct sl_event_header h;
    if (*ret_len < SL_EVENT_HEADER || sl_event_header_parse(*ret_event, &h) < 0 ||
        h.length != *ret_len) {
        return damaged(w, "impossible event", err);
    }
    if (w->has_crc && !sl_event_crc_is_right(*ret_event, *ret_len)) {
        return damaged(w, "wrong checksum", err);
    }
    /* Without checksums this is what tells our bytes from others. */
    if (h.log_pos != (uint32_t)(w->offset + stored)) {
        return damaged(w, "the event belongs elsewhere", err);
    }
    w->offset += stored;
    return SL_OK;
}

/* ---- groups ---- */

static int note_group(const struct sl_store_walk *w, const struct sl_store_head *h,
                      const struct sl_group *g, struct sl_gtid_list *state,
                      struct sl_store_index *index)
{
    if (index != NULL) {
        sl_store_index_group(index, h, g->gtid.gtid, w->offset);
        sl_store_index_flush(index, true); /* look-ups use what is there already */
    }
    return state != NULL ? sl_gtid_state_add(state, g->gtid.gtid) : SL_OK;
}

/* One event. *ret_ends: it is the end of something whole. */
static int step_over(struct sl_store_walk *w, struct sl_group *g, enum sl_group_step *ret_step,
                     bool *ret_is_rotate, struct sl_err *err)
{
    uint8_t *event;
    uint32_t len;
    uint64_t at = w->offset;
    int rc = sl_store_walk_next(w, &event, &len, err);
    if (rc < 0) {
        return rc;
    }
    *ret_is_rotate = sl_event_type(event) == SL_EVENT_ROTATE;
    rc = sl_group_feed(g, event, len, w->has_crc, ret_step);
    if (rc < 0 || *ret_step == SL_GROUP_BROKEN) {
        w->offset = at;
        return damaged(w, "an event outside of its group, or a group without its end", err);
    }
    return SL_OK;
}

int sl_store_walk_groups(struct sl_store_walk *w, const struct sl_store_head *h,
                         struct sl_gtid_list *state, struct sl_store_index *index,
                         struct sl_store_walked *ret, struct sl_err *err)
{
    struct sl_group g;
    sl_group_reset(&g);
    *ret = (struct sl_store_walked){.end = w->offset};
    int rc = SL_OK;
    while (rc == SL_OK && !ret->is_rotated) {
        enum sl_group_step step;
        rc = step_over(w, &g, &step, &ret->is_rotated, err != NULL ? err : &ret->why);
        if (rc == SL_OK && step == SL_GROUP_END) {
            rc = note_group(w, h, &g, state, index);
        }
        if (rc == SL_OK && (step == SL_GROUP_END || step == SL_GROUP_OUTSIDE)) {
            ret->end = w->offset;
        }
    }
    if (rc == SL_EPROTO && err != NULL) {
        ret->why = *err;
    }
    ret->is_damaged = rc == SL_EPROTO || w->end > ret->end;
    return rc == SL_ENOENT || rc == SL_EPROTO ? SL_OK : rc;
}
