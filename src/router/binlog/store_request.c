/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The position that was asked for: kept in a file beside the log until the log covers it. `lock`
 * guards it in memory; the file is written while the writer stands.
 */
#include "router/binlog/store_internal.h"

#include <limits.h>
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"

enum {
    REQUEST_MAX = 4 * 1024 * 1024 /* bytes of requested_rpl_state */
};

static bool is_covered(const struct sl_store *s, const struct sl_gtid_list *position)
{
    for (uint32_t i = 0; i < position->count; i++) {
        if (!sl_gtid_state_has(&s->state, position->gtid[i])) {
            return false;
        }
    }
    return true;
}

static int request_path(const struct sl_store *s, char out[PATH_MAX], struct sl_err *err)
{
    int n = snprintf(out, PATH_MAX, "%s/requested_rpl_state", s->datadir);
    return n < 0 || n >= PATH_MAX ? sl_err_set(err, SL_EINVAL, "the path of the store is too long")
                                  : SL_OK;
}

int sl_store_request_load(struct sl_store *s, struct sl_err *err)
{
    char path[PATH_MAX], *text = NULL;
    size_t len = 0;
    int rc = request_path(s, path, err);
    if (rc == SL_OK) {
        rc = sl_file_read(path, REQUEST_MAX, &text, &len, err);
    }
    if (rc < 0) {
        return rc == SL_ENOENT ? SL_OK : rc;
    }
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' ')) {
        len--;
    }
    rc = sl_gtid_position_parse(sl_slice(text, len), &s->request, err);
    sl_free(text);
    if (rc < 0) {
        return sl_err_wrap(err, "'%s'", path);
    }
    s->has_request = !is_covered(s, &s->request);
    if (!s->has_request) {
        sl_gtid_list_clear(&s->request);
        sl_store_io->unlink(path);
    }
    return SL_OK;
}

int sl_store_request_save(struct sl_store *s, const struct sl_gtid_list *position,
                          struct sl_err *err)
{
    char path[PATH_MAX];
    int rc = request_path(s, path, err);
    if (rc < 0) {
        return rc;
    }
    if (position == NULL) {
        sl_store_io->unlink(path);
        return SL_OK;
    }
    struct sl_buf text = SL_BUF_INIT;
    if (sl_gtid_list_text(position, &text) < 0 || sl_buf_append_text(&text, "\n") < 0) {
        rc = sl_err_set(err, SL_ENOMEM, "out of memory");
    } else if (sl_store_io_replace(s->datadir, path, text.data + text.start, sl_buf_len(&text)) !=
               0) {
        rc = sl_store_fail(s, "cannot write", path, err);
    }
    sl_buf_free(&text);
    return rc;
}

int sl_store_request_position(struct sl_store *store, const struct sl_gtid_list *position,
                              struct sl_err *err)
{
    pthread_mutex_lock(&store->lock);
    bool has_log = store->count > 0;
    bool has_it = position != NULL && has_log && is_covered(store, position);
    pthread_mutex_unlock(&store->lock);
    if (has_it) {
        return sl_err_set(err, SL_ESTATE, "the binlog has that position already");
    }
    if (position != NULL && position->count == 0) {
        position = NULL; /* from the beginning: what an empty log does anyway */
    }
    int rc = sl_store_request_save(store, position, err);
    if (rc < 0) {
        return rc;
    }
    pthread_mutex_lock(&store->lock);
    sl_gtid_list_clear(&store->request);
    rc = position != NULL ? sl_gtid_list_copy(&store->request, position) : SL_OK;
    store->has_request = position != NULL && rc == SL_OK;
    pthread_mutex_unlock(&store->lock);
    return rc < 0 ? sl_err_set(err, rc, "out of memory") : SL_OK;
}
