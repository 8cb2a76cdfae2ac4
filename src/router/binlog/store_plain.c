/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors with the plain bytes of a file: one per file, shared by all who read it.
 *
 * Of a plain file it is the file itself, and stays good when the file is compressed, archived or
 * purged meanwhile. Of a compressed one it is a file without a name that the keeper decompresses
 * into; readers get on as far as it has come. The last user closes it, which frees the disk space.
 */
#include "router/binlog/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/assert.h"

enum {
    OPEN_TRIES = 4 /* a file may move between its name being built and being opened */
};

static int open_expanded(struct sl_store *s, struct sl_store_entry *e, struct sl_err *err)
{
    if (s->expanded >= SL_STORE_EXPANDED_MAX) {
        return SL_EAGAIN;
    }
    int fd = sl_store_zstd_scratch(s);
    if (fd < 0) {
        return sl_err_set(err, SL_ESYS, "cannot make a file for decompression in '%s': %s",
                          s->datadir, strerror(errno));
    }
    e->plain_fd = fd;
    e->is_expanded = true;
    s->expanded++;
    atomic_store(&e->plain_size, 0);
    atomic_store(&e->plain_error, 0);
    sl_store_keeper_expand(s, e);
    return SL_OK;
}

static int open_plain(struct sl_store *s, struct sl_store_entry *e, struct sl_err *err)
{
    char path[PATH_MAX];
    for (int i = 0; i < OPEN_TRIES; i++) {
        int rc = sl_store_entry_path(s, e, path, err);
        if (rc < 0) {
            return rc;
        }
        if (strcmp(path + strlen(path) - 4, ".zst") == 0) {
            return open_expanded(s, e, err);
        }
        e->plain_fd = sl_store_io->open(path, O_RDONLY, 0);
        if (e->plain_fd >= 0) {
            atomic_store(&e->plain_size, UINT64_MAX);
            return SL_OK;
        }
        if (errno != ENOENT) {
            break;
        }
    }
    /* It is in the catalogue: not purged, but out of reach. */
    return sl_err_set(err, SL_ESYS, "cannot open '%s': %s", path, strerror(errno));
}

int sl_store_plain_get(struct sl_store *s, struct sl_store_entry *e, int *ret_fd,
                       struct sl_err *err)
{
    pthread_mutex_lock(&s->plain_lock);
    int rc = e->plain_fd < 0 ? open_plain(s, e, err) : SL_OK;
    if (rc == SL_OK) {
        e->plain_users++;
        *ret_fd = e->plain_fd;
    }
    pthread_mutex_unlock(&s->plain_lock);
    return rc;
}

/* Not more than `most` uses may be left before. */
static bool put(struct sl_store *s, struct sl_store_entry *e, uint32_t most)
{
    pthread_mutex_lock(&s->plain_lock);
    sl_assert(e->plain_users > 0);
    bool is_put = e->plain_users <= most, frees_place = false;
    e->plain_users -= is_put;
    if (e->plain_users == 0) {
        sl_store_io->close(e->plain_fd);
        e->plain_fd = -1;
        frees_place = e->is_expanded && s->expanded == SL_STORE_EXPANDED_MAX;
        s->expanded -= e->is_expanded;
        e->is_expanded = false;
    }
    pthread_mutex_unlock(&s->plain_lock);
    if (frees_place && s->on_grown != NULL) {
        s->on_grown(s->arg);
    }
    return is_put;
}

void sl_store_plain_put(struct sl_store *s, struct sl_store_entry *e)
{
    put(s, e, UINT32_MAX);
}

bool sl_store_plain_put_last(struct sl_store *s, struct sl_store_entry *e)
{
    return put(s, e, 1);
}
