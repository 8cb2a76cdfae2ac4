/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who reads, and who has read until a while ago and will come back: what they still need is not
 * purged.
 *
 *   workers    attach, note (once per block of events that was sent), detach
 *   keeper     asks whether a file may go
 *   own thread writes <datadir>/replicas, at most every SAVE_MS: a position that is old there keeps
 *              files too long, never too short
 *
 * One mutex, held for copies only. A line of the file that cannot be read is left out with a
 * warning (replicas_line.h).
 */
#include "router/binlog/replicas.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "router/binlog/replicas_line.h"

#define SAVE_MS 5000
#define REMEMBERED_MAX 1024                 /* replicas that have gone; the oldest goes first */
#define FILE_MAX ((size_t)64 * 1024 * 1024) /* bytes of the file that are read */

struct sl_replica {
    struct sl_list node;
    struct sl_replicas *registry;
    struct sl_replica_info info; /* position and bytes_behind are made when asked for */
    struct sl_gtid_list position;
    bool has_position; /* something was noted */
    bool is_lasting;
    unsigned worker;
    int64_t gone_ms; /* monotonic; before the boot: negative */
};

struct sl_replicas {
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct sl_list replicas; /* those that have gone stand in the order in which they went */
    struct sl_store *store;  /* of the last one that attached */
    char *path;
    uint64_t remember_ms;
    bool is_dirty, is_stopping, has_thread;
    pthread_t thread;
};

#define FOR_EACH(it, r)                                                                            \
    for (struct sl_replica *it##_next = NULL, *it = of((r)->replicas.next);                        \
         &it->node != &(r)->replicas && (it##_next = of(it->node.next), true); it = it##_next)

static struct sl_replica *of(struct sl_list *node)
{
    return SL_CONTAINER_OF(node, struct sl_replica, node);
}

static bool is_connected(const struct sl_replica *p)
{
    return p->info.session_id != 0;
}

static void drop(struct sl_replica *p)
{
    sl_list_remove(&p->node);
    sl_gtid_list_free(&p->position);
    sl_free(p);
}

/* With the lock. */
static void touch(struct sl_replicas *r)
{
    if (!r->is_dirty) {
        r->is_dirty = true;
        pthread_cond_signal(&r->change);
    }
}

/* ---- those that have gone ---- */

static void forget_expired(struct sl_replicas *r)
{
    int64_t now = (int64_t)sl_clock_mono_ms();
    FOR_EACH(p, r)
    {
        if (!is_connected(p) && now - p->gone_ms >= (int64_t)r->remember_ms) {
            sl_log_notice("Replica %" PRIu32 " (%s) has been away for too long: its position is "
                          "not kept any more",
                          p->info.server_id, p->info.host);
            drop(p);
            touch(r);
        }
    }
}

static void forget_same(struct sl_replicas *r, const struct sl_replica *but)
{
    FOR_EACH(p, r)
    {
        if (p != but && !is_connected(p) && p->info.server_id == but->info.server_id) {
            drop(p);
        }
    }
}

static void forget_oldest(struct sl_replicas *r)
{
    unsigned count = 0;
    struct sl_replica *oldest = NULL;
    FOR_EACH(p, r)
    {
        if (!is_connected(p)) {
            count++;
            oldest = oldest ? oldest : p;
        }
    }
    if (count > REMEMBERED_MAX) {
        drop(oldest);
    }
}

/* ---- dumps ---- */

static struct sl_replica *find(struct sl_replicas *r, uint32_t server_id, bool connected)
{
    FOR_EACH(p, r)
    {
        if (p->info.server_id == server_id && is_connected(p) == connected) {
            return p;
        }
    }
    return NULL;
}

/* All that read with this id, one that is being thrown out already included. With the lock. */
static int list_older(struct sl_replicas *r, uint32_t server_id, struct sl_replica_older **ret,
                      unsigned *ret_count)
{
    *ret = NULL;
    *ret_count = 0;
    FOR_EACH(p, r)
    {
        if (server_id == 0 || !is_connected(p) || p->info.server_id != server_id) {
            continue;
        }
        struct sl_replica_older *grown = sl_realloc(*ret, (*ret_count + 1) * sizeof *grown);
        if (!grown) {
            sl_free(*ret);
            *ret = NULL;
            return SL_ENOMEM;
        }
        *ret = grown;
        grown[(*ret_count)++] = (struct sl_replica_older){p->info.session_id, p->worker};
    }
    return SL_OK;
}

int sl_replicas_attach(struct sl_replicas *r, const struct sl_replica_start *start,
                       struct sl_replica **ret, struct sl_replica_older **ret_older,
                       unsigned *ret_count)
{
    struct sl_replica *p = sl_calloc(1, sizeof *p);
    if (!p) {
        return SL_ENOMEM;
    }
    p->registry = r;
    p->is_lasting = start->is_lasting && start->server_id != 0;
    p->worker = start->worker;
    p->info = (struct sl_replica_info){.server_id = start->server_id,
                                       .port = start->port,
                                       .master_id = start->master_id,
                                       .session_id = start->session_id,
                                       .since_s = sl_clock_wall_s(),
                                       .is_semi_sync = start->is_semi_sync};
    sl_replica_word_copy(p->info.host, sizeof p->info.host, start->host);
    sl_replica_word_copy(p->info.user, sizeof p->info.user, start->user);
    pthread_mutex_lock(&r->lock);
    if (list_older(r, start->server_id, ret_older, ret_count) < 0) {
        pthread_mutex_unlock(&r->lock);
        sl_free(p);
        return SL_ENOMEM;
    }
    r->store = start->store;
    sl_list_append(&r->replicas, &p->node);
    pthread_mutex_unlock(&r->lock);
    *ret = p;
    return SL_OK;
}

void sl_replica_note(struct sl_replica *p, const char *file, uint64_t offset,
                     const struct sl_gtid_list *sent, bool is_waiting)
{
    struct sl_replicas *r = p->registry;
    pthread_mutex_lock(&r->lock);
    if (strcmp(p->info.file, file) != 0) {
        snprintf(p->info.file, sizeof p->info.file, "%s", file);
    }
    p->info.offset = offset;
    p->info.is_waiting = is_waiting;
    /* When memory is out the old one stays, which protects more. */
    if (sl_gtid_list_reserve(&p->position, sent->count) == SL_OK) {
        sl_gtid_list_copy(&p->position, sent);
    }
    if (p->is_lasting) {
        if (!p->has_position) {
            forget_same(r, p); /* what was remembered of it has done its duty */
        }
        touch(r);
    }
    p->has_position = true;
    pthread_mutex_unlock(&r->lock);
}

void sl_replica_acknowledge(struct sl_replica *p)
{
    pthread_mutex_lock(&p->registry->lock);
    p->info.acked_groups++;
    pthread_mutex_unlock(&p->registry->lock);
}

void sl_replica_detach(struct sl_replica *p)
{
    if (!p) {
        return;
    }
    struct sl_replicas *r = p->registry;
    pthread_mutex_lock(&r->lock);
    p->info.session_id = 0;
    p->info.is_waiting = false;
    p->info.last_seen_s = sl_clock_wall_s();
    p->gone_ms = (int64_t)sl_clock_mono_ms();
    struct sl_replica *newer = find(r, p->info.server_id, true);
    if (!p->is_lasting || !p->has_position || r->remember_ms == 0 ||
        (newer && newer->has_position)) {
        drop(p);
    } else {
        forget_same(r, p);
        sl_list_remove(&p->node);
        sl_list_append(&r->replicas, &p->node);
        forget_oldest(r);
        touch(r);
    }
    pthread_mutex_unlock(&r->lock);
}

/* ---- questions ---- */

bool sl_replicas_may_purge(struct sl_replicas *r, const struct sl_gtid_list *next_list)
{
    bool may = true;
    pthread_mutex_lock(&r->lock);
    forget_expired(r);
    FOR_EACH(p, r)
    {
        may = may && (!p->has_position || sl_gtid_file_covers(next_list, &p->position));
    }
    pthread_mutex_unlock(&r->lock);
    return may;
}

static void put_position(struct sl_replica_info *info, const struct sl_gtid_list *position)
{
    struct sl_buf text = SL_BUF_INIT;
    if (sl_gtid_list_text(position, &text) == SL_OK) {
        size_t len = sl_buf_len(&text);
        const char *from = (const char *)sl_buf_slice(&text).data;
        if (len >= sizeof info->position) { /* as many whole GTIDs as there is room for */
            len = sizeof info->position - 1;
            while (len > 0 && from[len] != ',') {
                len--;
            }
        }
        snprintf(info->position, sizeof info->position, "%.*s", (int)len, from ? from : "");
    }
    sl_buf_free(&text);
}

static void put_behind(struct sl_replica_info *info, const struct sl_store_file *files,
                       unsigned count)
{
    bool is_found = false;
    for (unsigned i = 0; i < count; i++) {
        if (is_found) {
            info->bytes_behind += files[i].size;
        } else if (strcmp(files[i].name, info->file) == 0) {
            is_found = true;
            info->bytes_behind = files[i].size > info->offset ? files[i].size - info->offset : 0;
        }
    }
}

static int compare_id(const void *left, const void *right)
{
    const struct sl_replica_info *a = left, *b = right;
    if (a->server_id != b->server_id) {
        return a->server_id < b->server_id ? -1 : 1;
    }
    return a->session_id < b->session_id ? -1 : a->session_id > b->session_id;
}

int sl_replicas_list(struct sl_replicas *r, struct sl_replica_info **ret, unsigned *ret_count)
{
    *ret = NULL;
    *ret_count = 0;
    pthread_mutex_lock(&r->lock);
    forget_expired(r);
    unsigned count = 0;
    FOR_EACH(p, r)
    {
        count++;
    }
    struct sl_store *store = r->store;
    struct sl_replica_info *infos = sl_calloc(count ? count : 1, sizeof *infos);
    unsigned n = 0;
    FOR_EACH(p, r)
    {
        if (infos) {
            infos[n] = p->info;
            put_position(&infos[n], &p->position);
            infos[n].last_seen_s = is_connected(p) ? sl_clock_wall_s() : p->info.last_seen_s;
            n++;
        }
    }
    pthread_mutex_unlock(&r->lock);
    if (!infos) {
        return SL_ENOMEM;
    }
    struct sl_store_file *files = NULL;
    unsigned file_count = 0;
    if (n > 0 && store && sl_store_files(store, &files, &file_count) == SL_OK) {
        for (unsigned i = 0; i < n; i++) {
            put_behind(&infos[i], files, file_count);
        }
        sl_free(files);
    }
    qsort(infos, n, sizeof *infos, compare_id);
    *ret = infos;
    *ret_count = n;
    return SL_OK;
}

void sl_replicas_tune(struct sl_replicas *r, uint64_t remember_ms)
{
    pthread_mutex_lock(&r->lock);
    r->remember_ms = remember_ms;
    forget_expired(r);
    pthread_mutex_unlock(&r->lock);
}

/* ---- the file ---- */

/* With the lock. 0 or SL_ENOMEM. */
static int write_text(struct sl_replicas *r, struct sl_buf *out)
{
    int rc = SL_OK;
    FOR_EACH(p, r)
    {
        if (rc == SL_OK && p->is_lasting && p->has_position) {
            p->info.last_seen_s = is_connected(p) ? sl_clock_wall_s() : p->info.last_seen_s;
            rc = sl_replica_line_put(out, &p->info, &p->position);
        }
    }
    return rc;
}

static void save(struct sl_replicas *r)
{
    struct sl_buf text = SL_BUF_INIT;
    pthread_mutex_lock(&r->lock);
    r->is_dirty = false;
    int rc = write_text(r, &text);
    pthread_mutex_unlock(&r->lock);
    if (rc == SL_OK) {
        rc = sl_buf_append(&text, "", 1);
    }
    struct sl_err err = SL_ERR_INIT;
    const struct sl_file_options options = {.mode = 0600};
    if (rc == SL_OK) {
        rc = sl_file_write(r->path, (const char *)sl_buf_slice(&text).data, &options, &err);
    } else {
        sl_err_set(&err, rc, "%s", sl_rc_text(rc));
    }
    if (rc < 0) {
        sl_log_error("The positions of replicas cannot be kept for a restart: %s", err.text);
    }
    sl_buf_free(&text);
}

static void *saver(void *arg)
{
    struct sl_replicas *r = arg;
    pthread_mutex_lock(&r->lock);
    while (!r->is_stopping || r->is_dirty) {
        if (!r->is_dirty) {
            pthread_cond_wait(&r->change, &r->lock);
            continue;
        }
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += SAVE_MS / 1000;
        pthread_mutex_unlock(&r->lock);
        save(r);
        pthread_mutex_lock(&r->lock);
        while (!r->is_stopping &&
               pthread_cond_timedwait(&r->change, &r->lock, &until) != ETIMEDOUT) {
        }
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static int load_line(struct sl_replicas *r, char *line)
{
    struct sl_replica *p = sl_calloc(1, sizeof *p);
    int rc = p ? sl_replica_line_parse(line, &p->info, &p->position) : SL_ENOMEM;
    if (rc < 0) {
        sl_free(p);
        return rc;
    }
    p->registry = r;
    p->is_lasting = p->has_position = true;
    int64_t age_s = sl_clock_wall_s() - p->info.last_seen_s;
    p->gone_ms = (int64_t)sl_clock_mono_ms() - (age_s > 0 ? age_s : 0) * 1000;
    sl_list_append(&r->replicas, &p->node);
    return SL_OK;
}

static int load(struct sl_replicas *r, struct sl_err *err)
{
    char *text = NULL, *rest = NULL;
    size_t len = 0;
    int rc = sl_file_read(r->path, FILE_MAX, &text, &len, err);
    if (rc == SL_ENOENT) {
        return SL_OK;
    }
    if (rc < 0) {
        return sl_err_wrap(err, "The positions of replicas cannot be read");
    }
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (load_line(r, line) < 0) {
            sl_log_warning("%s: a line that is none of a replica is left out", r->path);
        }
    }
    sl_free(text);
    return SL_OK;
}

/* ---- life ---- */

static int start_thread(struct sl_replicas *r, struct sl_err *err)
{
    int rc = pthread_create(&r->thread, NULL, saver, r);
    if (rc != 0) {
        return sl_err_set(err, SL_ESYS, "cannot start the thread that keeps replicas: %s",
                          strerror(rc));
    }
    r->has_thread = true;
    return SL_OK;
}

int sl_replicas_new(const char *datadir, uint64_t remember_ms, struct sl_replicas **ret,
                    struct sl_err *err)
{
    struct sl_replicas *r = sl_xcalloc(1, sizeof *r);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->change, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&r->lock, NULL);
    sl_list_init(&r->replicas);
    r->path = sl_xasprintf("%s/replicas", datadir);
    r->remember_ms = remember_ms;
    int rc = load(r, err);
    if (rc == SL_OK) {
        forget_expired(r);
        rc = start_thread(r, err);
    }
    if (rc < 0) {
        sl_replicas_free(r);
        return rc;
    }
    *ret = r;
    return SL_OK;
}

void sl_replicas_free(struct sl_replicas *r)
{
    if (!r) {
        return;
    }
    pthread_mutex_lock(&r->lock);
    r->is_stopping = true;
    pthread_cond_signal(&r->change);
    pthread_mutex_unlock(&r->lock);
    if (r->has_thread) {
        pthread_join(r->thread, NULL);
    }
    FOR_EACH(p, r)
    {
        drop(p);
    }
    pthread_cond_destroy(&r->change);
    pthread_mutex_destroy(&r->lock);
    sl_free(r->path);
    sl_free(r);
}
