/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files go, and when: purged or archived by age, on request, compressed.
 *
 * A file's age is counted from its end on the store's own clock, which is written into its index.
 * That clock goes on by the monotonic time while the store is open and by at most an hour for the
 * time it was closed, so neither a wall clock that jumps nor one that was wrong when the machine
 * started can make all files old at once; they only get old later. Files go oldest first, one after
 * the other, and none while it is read; by age none that a replica needs. Keeper's thread but for the
 * requests.
 */
#include "router/binlog/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"

/* What is known of the oldest file that is not archived; `entry` and `next` are references. */
struct candidate {
    struct sl_store_entry *entry, *next;
    bool archives, is_asked, is_in_use;
    uint64_t wait_ms; /* until it is old enough; UINT64_MAX: it stays */
};

static void earlier(uint64_t *due_ms, uint64_t wait_ms)
{
    if (wait_ms != UINT64_MAX) {
        *due_ms = SL_MIN(*due_ms, sl_clock_mono_ms() + wait_ms);
    }
}

/* Index of the oldest file that is not archived. Under `lock`. */
static unsigned first_live(const struct sl_store *s)
{
    unsigned i = 0;
    while (i < s->count && s->entries[i]->is_archived) {
        i++;
    }
    return i;
}

/* Does somebody read it, or something older? Under `lock`. */
static bool is_in_use(const struct sl_store *s, unsigned last)
{
    bool is_used = false;
    for (unsigned i = 0; i <= last; i++) {
        is_used |= s->entries[i]->readers > 0;
    }
    return is_used;
}

static uint64_t wait_for_age(const struct sl_store *s, const struct sl_store_entry *e,
                             unsigned live)
{
    if (s->tuning.expire_ms == 0 || live <= SL_MAX(s->tuning.minimum_files, 1U)) {
        return UINT64_MAX;
    }
    int64_t age_ms = sl_store_clock_ms(s) - e->finished_ms;
    uint64_t age = age_ms > 0 ? (uint64_t)age_ms : 0;
    uint64_t open_ms = sl_clock_mono_ms() - s->keeper.start_ms;
    uint64_t wait_ms = age < s->tuning.expire_ms ? s->tuning.expire_ms - age : 0;
    uint64_t delay_ms =
        open_ms < s->tuning.startup_delay_ms ? s->tuning.startup_delay_ms - open_ms : 0;
    return SL_MAX(wait_ms, delay_ms);
}

/* False: there is none that could ever go. */
static bool pick(struct sl_store *s, struct candidate *c)
{
    pthread_mutex_lock(&s->lock);
    unsigned at = first_live(s);
    bool is_there = at + 1 < s->count && atomic_load(&s->entries[at]->is_finished);
    if (is_there) {
        struct sl_store_entry *e = s->entries[at];
        c->entry = e;
        c->next = s->entries[at + 1];
        c->archives = s->tuning.archives && s->archivedir != NULL;
        c->is_asked = c->archives && e->number < s->keeper.archive_to;
        c->is_in_use = is_in_use(s, at);
        c->wait_ms = c->is_asked ? 0 : wait_for_age(s, e, s->count - at);
        c->entry->refs++;
        c->next->refs++;
    }
    pthread_mutex_unlock(&s->lock);
    return is_there;
}

static void let_go(struct sl_store *s, struct candidate *c)
{
    pthread_mutex_lock(&s->lock);
    sl_store_entry_unref(c->entry);
    sl_store_entry_unref(c->next);
    pthread_mutex_unlock(&s->lock);
}

/* Takes it (and what is archived before it) out of the catalogue. False: somebody reads it now. */
static bool take_out(struct sl_store *s, struct sl_store_entry *e)
{
    pthread_mutex_lock(&s->lock);
    unsigned at = first_live(s);
    bool is_it = at < s->count && s->entries[at] == e && !is_in_use(s, at);
    if (is_it) {
        sl_store_catalogue_drop(s, at + 1);
        s->stats.purged++;
    }
    pthread_mutex_unlock(&s->lock);
    return is_it;
}

static int purge(struct sl_store *s, struct candidate *c, struct sl_err *err)
{
    if (c->archives) {
        return sl_store_archive(s, c->entry, err);
    }
    if (!take_out(s, c->entry)) {
        return SL_EAGAIN;
    }
    /* The list first: a file that is in it but not there would be missed by whoever reads it. */
    int rc = sl_store_list_write(s, err);
    sl_store_unlink(s, c->entry);
    return rc;
}

/* One file. SL_EAGAIN: not now. */
static int purge_one(struct sl_store *s, struct candidate *c, uint64_t poll_ms, uint64_t *due_ms,
                     struct sl_err *err)
{
    if (c->wait_ms > 0) {
        earlier(due_ms, c->wait_ms);
        return SL_EAGAIN;
    }
    bool is_needed =
        !c->is_asked && s->may_purge != NULL && !s->may_purge(s->arg, &c->next->head.list);
    int rc = c->is_in_use || is_needed ? SL_EAGAIN : purge(s, c, err);
    if (rc < 0) {
        earlier(due_ms, poll_ms);
    }
    return rc;
}

void sl_store_purge_run(struct sl_store *s, uint64_t *ret_due_ms, struct sl_err *why)
{
    struct sl_err err = SL_ERR_INIT;
    struct candidate c;
    int rc = SL_OK;
    pthread_mutex_lock(&s->lock);
    uint64_t poll_ms = SL_MAX(s->tuning.poll_ms, 1U);
    pthread_mutex_unlock(&s->lock);
    while (rc == SL_OK && !atomic_load(&s->keeper.stops) && pick(s, &c)) {
        rc = purge_one(s, &c, poll_ms, ret_due_ms, &err);
        let_go(s, &c);
    }
    if (rc < 0 && rc != SL_EAGAIN && rc != SL_ESTATE) {
        *why = err;
    }
}

/* ---- on request ---- */

/* Files below `number`, up to the first one that is used. False: none. Under `lock`. */
static bool doom(struct sl_store *s, uint64_t number)
{
    struct sl_store_keeper *k = &s->keeper;
    bool has_any = false;
    for (unsigned at = first_live(s); at + 1 < s->count && s->entries[at]->number < number;
         at = first_live(s)) {
        struct sl_store_entry *e = s->entries[at];
        if (is_in_use(s, at) || !atomic_load(&e->is_finished)) {
            return has_any;
        }
        e->refs++;
        has_any = true;
        sl_store_catalogue_drop(s, at + 1);
        if (k->doomed == NULL) {
            k->doomed = e;
        } else {
            k->doomed_last->next_doomed = e;
        }
        k->doomed_last = e;
    }
    return has_any;
}

/* True: the list has become shorter. Under `lock`. */
static bool purge_below(struct sl_store *s, uint64_t number)
{
    if (s->tuning.archives && s->archivedir != NULL) {
        s->keeper.archive_to = SL_MAX(s->keeper.archive_to, number);
        return false;
    }
    return doom(s, number);
}

/* Whoever reads binlog.index after the answer finds nothing that is gone. A list that cannot be
 * written is the keeper's: it tries before it deletes, and tells. */
static void purged(struct sl_store *s, bool has_any)
{
    if (has_any) {
        sl_store_list_write(s, NULL);
    }
    sl_store_keeper_wake(s);
}

int sl_store_purge_to(struct sl_store *store, const char *file, struct sl_err *err)
{
    uint64_t number;
    pthread_mutex_lock(&store->lock);
    bool is_there = sl_store_number_of(store->base, file, &number) &&
                    sl_store_catalogue_find(store, number) >= 0;
    bool has_any = is_there && purge_below(store, number);
    pthread_mutex_unlock(&store->lock);
    if (!is_there) {
        return sl_err_set(err, SL_ENOENT, "there is no binlog file '%.255s'", file);
    }
    purged(store, has_any);
    return SL_OK;
}

int sl_store_purge_before(struct sl_store *store, int64_t time_s, struct sl_err *err)
{
    pthread_mutex_lock(&store->lock);
    unsigned at = first_live(store);
    while (at + 1 < store->count && store->entries[at]->changed_s < time_s) {
        at++;
    }
    bool has_any = at < store->count && purge_below(store, store->entries[at]->number);
    pthread_mutex_unlock(&store->lock);
    purged(store, has_any);
    return SL_OK;
}

/* ---- compression ---- */

/* The oldest plain file that may be compressed; a reference. Encrypted ones do not get smaller. */
static struct sl_store_entry *next_plain(struct sl_store *s)
{
    struct sl_store_entry *found = NULL;
    pthread_mutex_lock(&s->lock);
    unsigned keep = SL_MAX(s->tuning.plain_files, 1U);
    unsigned end = s->tuning.compresses && s->count > keep ? s->count - keep : 0;
    for (unsigned i = first_live(s); i < end && found == NULL; i++) {
        struct sl_store_entry *e = s->entries[i];
        if (!e->is_compressed && !e->head.is_encrypted && atomic_load(&e->is_finished)) {
            e->refs++;
            found = e;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return found;
}

/* The compressed file takes the place of the plain one. False: it was purged meanwhile. */
static bool replace(struct sl_store *s, struct sl_store_entry *e, uint64_t disk_size)
{
    pthread_mutex_lock(&s->lock);
    bool is_there = !e->is_gone;
    if (is_there) {
        e->is_compressed = true;
        e->disk_size = disk_size;
        s->stats.compressed++;
    }
    pthread_mutex_unlock(&s->lock);
    return is_there;
}

static int adopt(struct sl_store *s, struct sl_store_entry *e, const char *plain, const char *work,
                 struct sl_err *err)
{
    char path[PATH_MAX];
    struct stat st;
    int rc = sl_store_path(s, s->datadir, e->number, ".zst", path, err);
    if (rc < 0) {
        return rc;
    }
    if (stat(work, &st) != 0 || sl_store_io->rename(work, path) != 0 ||
        sl_store_io_sync_dir(s->datadir) != 0) {
        return sl_store_fail(s, "cannot name", path, err);
    }
    if (!replace(s, e, (uint64_t)st.st_size)) {
        sl_store_io->unlink(path);
        return SL_OK;
    }
    rc = sl_store_list_write(s, err);
    sl_store_io->unlink(plain);
    return rc;
}

/* What was written is read back: the frame's checksum tells. */
static int verify(struct sl_store *s, const struct sl_store_entry *e, const char *work,
                  struct sl_err *err)
{
    uint64_t size = 0;
    int rc = sl_store_zstd_count(s, work, &size, err);
    if (rc == SL_OK && size != atomic_load(&e->size)) {
        rc = sl_err_set(err, SL_EPROTO, "'%s' has another size than it should", work);
    }
    return rc;
}

static int compress(struct sl_store *s, struct sl_store_entry *e, struct sl_err *err)
{
    char plain[PATH_MAX], work[PATH_MAX], name[SL_BINLOG_FILE_NAME_MAX + 1];
    sl_store_file_name(s, e->number, name);
    int rc = sl_store_entry_path(s, e, plain, err);
    int n = snprintf(work, sizeof(work), "%s/compression/%s.compressing", s->datadir, name);
    if (rc < 0 || n < 0 || (size_t)n >= sizeof(work)) {
        return rc < 0 ? rc : sl_err_set(err, SL_EINVAL, "the path '%.100s...' is too long", work);
    }
    rc = sl_store_zstd_compress(s, plain, work, sl_store_keeper_goes_on, s, err);
    if (rc == SL_OK) {
        rc = verify(s, e, work, err);
    }
    if (rc == SL_OK) {
        rc = adopt(s, e, plain, work, err);
    }
    if (rc < 0) {
        sl_store_io->unlink(work);
    }
    return rc;
}

void sl_store_compress_run(struct sl_store *s, uint64_t *ret_due_ms, struct sl_err *why)
{
    struct sl_err err = SL_ERR_INIT;
    int rc = SL_OK;
    struct sl_store_entry *e = next_plain(s);
    while (rc == SL_OK && e != NULL) {
        rc = compress(s, e, &err);
        pthread_mutex_lock(&s->lock);
        sl_store_entry_unref(e);
        uint64_t poll_ms = SL_MAX(s->tuning.poll_ms, 1U);
        pthread_mutex_unlock(&s->lock);
        e = rc == SL_OK ? next_plain(s) : NULL;
        if (rc < 0 && rc != SL_ESTATE) {
            *why = err;
            earlier(ret_due_ms, poll_ms);
        }
    }
}
