/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is an archived file the one in front of the log's first, or of another log that had the same name?
 *
 * A file begins with the state of the log (GTID_LIST), which is the state at the end of the file before it.
 * That end is index entry + the groups behind it: some 64 kB are read. Where that cannot be done (no
 * index of a long file, a compressed file, damage) the file is refused if it has what the next one lacks, else
 * trusted. Control thread or keeper, while others purge: the caller holds what `next` is of.
 */
#include "router/binlog/store_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"

enum {
    FIT_READ_MAX = 16 * 1024 * 1024 /* bytes of one file */
};

/* The first of `list` that `state` does not have; NULL: it has all. */
static const struct sl_gtid *find_lacking(const struct sl_gtid_list *state,
                                          const struct sl_gtid_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (!sl_gtid_state_has(state, list->gtid[i])) {
            return &list->gtid[i];
        }
    }
    return NULL;
}

/* The state behind the last complete group. SL_EAGAIN: not without reading too much. */
static int walk_end(struct sl_store *s, struct sl_store_entry *e, uint64_t from,
                    struct sl_gtid_list *state, struct sl_err *err)
{
    struct sl_store_walk walk;
    struct sl_store_walked walked;
    char path[PATH_MAX];
    uint64_t size = atomic_load(&e->size);
    if (e->is_compressed || size - from > FIT_READ_MAX) {
        return SL_EAGAIN;
    }
    int rc = sl_store_entry_path(s, e, path, err);
    int fd = rc == SL_OK ? sl_store_io->open(path, O_RDONLY, 0) : -1;
    if (fd < 0) {
        return rc < 0 ? rc : sl_store_fail(s, "cannot open", path, err);
    }
    rc = sl_store_walk_init(&walk, s, &e->head, fd, from, size, err);
    if (rc == SL_OK) {
        rc = sl_store_walk_groups(&walk, &e->head, state, NULL, &walked, err);
        sl_store_walk_free(&walk);
        rc = rc == SL_OK && walked.is_damaged ? SL_EAGAIN : rc;
    }
    sl_store_io->close(fd);
    return rc;
}

/* As much of the file's end as is cheap; *ret_is_end: all of it. */
static int find_end(struct sl_store *s, struct sl_store_entry *e, const struct sl_gtid_list *next,
                    struct sl_gtid_list *state, bool *ret_is_end, struct sl_err *err)
{
    char path[PATH_MAX];
    uint64_t from = e->head.end;
    struct sl_gtid_list position = SL_GTID_LIST_INIT;
    int rc = sl_store_index_path(s, e, path, err);
    if (rc == SL_OK && sl_gtid_state_position(next, &position) < 0) {
        rc = sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    if (rc == SL_OK) { /* without an index: the file's beginning */
        rc = sl_store_index_find(path, &e->head, &position, atomic_load(&e->size), &from, state);
        rc = rc == SL_ENOMEM ? sl_err_set(err, rc, "out of memory") : SL_OK;
    }
    sl_gtid_list_free(&position);
    if (rc == SL_OK) {
        rc = walk_end(s, e, from, state, err);
    }
    *ret_is_end = rc == SL_OK;
    return rc == SL_EAGAIN ? SL_OK : rc;
}

int sl_store_fits(struct sl_store *s, struct sl_store_entry *e, const struct sl_gtid_list *next,
                  bool *ret, struct sl_err *err)
{
    struct sl_gtid_list state = SL_GTID_LIST_INIT;
    bool is_end;
    int rc = find_end(s, e, next, &state, &is_end, err);
    const struct sl_gtid *more = rc == SL_OK ? find_lacking(next, &state) : NULL;
    const struct sl_gtid *less =
        rc == SL_OK && is_end && more == NULL ? find_lacking(&state, next) : NULL;
    const struct sl_gtid *odd = more != NULL ? more : less;
    *ret = odd == NULL;
    if (odd != NULL) {
        sl_err_set(err, SL_EPROTO,
                   "it %s group %" PRIu32 "-%" PRIu32 "-%" PRIu64 ", and the next file begins %s",
                   more != NULL ? "has" : "ends before", odd->domain, odd->server_id, odd->seq,
                   more != NULL ? "without" : "behind that");
    }
    sl_gtid_list_free(&state);
    return rc;
}
