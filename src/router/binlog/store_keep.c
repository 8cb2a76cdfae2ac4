/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper: a thread of the store for what takes long. In this order of urgency
 *
 *   decompress what readers wait for        also in the middle of the rest
 *   delete what was purged by hand
 *   make missing indexes
 *   purge or archive, compress              store_purge.c
 *
 * It sleeps until somebody wakes it or something is due. What fails is tried again after `poll_ms`
 * and is told by the statistics.
 */
#include "router/binlog/store_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"

/* What keeps the keeper from its work is logged when it changes. */
static void note(struct sl_store *s, const struct sl_err *why)
{
    const char *text = why->text;
    pthread_mutex_lock(&s->lock);
    bool is_new = strncmp(s->stats.keeper_error, text, sizeof(s->stats.keeper_error) - 1) != 0;
    snprintf(s->stats.keeper_error, sizeof(s->stats.keeper_error), "%.255s", text);
    pthread_mutex_unlock(&s->lock);
    if (is_new && text[0] != '\0') {
        sl_log_warning("%s; trying again later", text);
    }
}

/* ---- decompression for readers ---- */

void sl_store_keeper_expand(struct sl_store *s, struct sl_store_entry *e)
{
    struct sl_store_keeper *k = &s->keeper;
    sl_assert(k->expand_count < SL_STORE_EXPANDED_MAX);
    k->expand[k->expand_count++] = e;
    e->plain_users++;
    pthread_mutex_lock(&s->lock);
    e->refs++;
    pthread_mutex_unlock(&s->lock);
    sl_store_keeper_wake(s);
}

struct expansion {
    struct sl_store *store;
    struct sl_store_entry *entry;
};

/* Readers may go as far as it has come. */
static bool expand_on(void *arg, uint64_t bytes)
{
    struct expansion *x = arg;
    struct sl_store *s = x->store;
    atomic_store_explicit(&x->entry->plain_size, bytes, memory_order_release);
    pthread_mutex_lock(&s->plain_lock);
    bool is_wanted = x->entry->plain_users > 1;
    pthread_mutex_unlock(&s->plain_lock);
    if (s->on_grown != NULL) {
        s->on_grown(s->arg);
    }
    return is_wanted && !atomic_load(&s->keeper.stops);
}

static void fail_readers(struct sl_store *s, struct sl_store_entry *e, int error)
{
    atomic_store(&e->plain_error, error);
    if (s->on_grown != NULL) {
        s->on_grown(s->arg);
    }
}

/* A reader came just when it had been given up for want of one. Use and reference stay. */
static void expand_again(struct sl_store *s, struct sl_store_entry *e)
{
    pthread_mutex_lock(&s->plain_lock);
    s->keeper.expand[s->keeper.expand_count++] = e; /* where it was taken from there is room */
    pthread_mutex_unlock(&s->plain_lock);
}

static void expand(struct sl_store *s, struct sl_store_entry *e)
{
    char path[PATH_MAX];
    struct sl_err err = SL_ERR_INIT;
    struct expansion x = {s, e};
    int rc = sl_store_entry_path(s, e, path, &err);
    if (rc == SL_OK) {
        rc = sl_store_zstd_expand(s, path, e->plain_fd, atomic_load(&e->size), expand_on, &x, &err);
    }
    if (rc == SL_OK && atomic_load(&e->plain_size) != atomic_load(&e->size)) {
        rc = sl_err_set(&err, SL_EPROTO, "'%s' has another size than it should", path);
    }
    if (rc < 0 && rc != SL_ESTATE) {
        sl_log_error("%s", err.text);
        fail_readers(s, e, rc == SL_ELIMIT ? ENOSPC : EIO);
    }
    bool is_interrupted = rc == SL_ESTATE && atomic_load(&s->keeper.stops);
    bool is_given_up = rc == SL_ESTATE && !is_interrupted;
    if (is_interrupted) {
        fail_readers(s, e, ECANCELED);
    }
    if (is_given_up && !sl_store_plain_put_last(s, e)) {
        expand_again(s, e);
        return;
    }
    if (!is_given_up) {
        sl_store_plain_put(s, e);
    }
    pthread_mutex_lock(&s->lock);
    sl_store_entry_unref(e);
    pthread_mutex_unlock(&s->lock);
}

static void expand_all(struct sl_store *s)
{
    struct sl_store_keeper *k = &s->keeper;
    pthread_mutex_lock(&s->plain_lock);
    while (k->expand_count > 0) {
        struct sl_store_entry *e = k->expand[0];
        k->expand_count--;
        memmove(k->expand, k->expand + 1, k->expand_count * sizeof(k->expand[0]));
        pthread_mutex_unlock(&s->plain_lock);
        expand(s, e);
        pthread_mutex_lock(&s->plain_lock);
    }
    pthread_mutex_unlock(&s->plain_lock);
}

bool sl_store_keeper_goes_on(void *store, uint64_t bytes)
{
    struct sl_store *s = store;
    expand_all(s);
    return !atomic_load(&s->keeper.stops);
}

/* ---- what was purged ---- */

void sl_store_unlink(struct sl_store *s, struct sl_store_entry *e)
{
    char path[PATH_MAX];
    if (sl_store_entry_path(s, e, path, NULL) == SL_OK) {
        sl_store_io->unlink(path);
    }
    if (sl_store_index_path(s, e, path, NULL) == SL_OK) {
        sl_store_io->unlink(path);
    }
}

static struct sl_store_entry *next_doomed(struct sl_store *s)
{
    struct sl_store_keeper *k = &s->keeper;
    pthread_mutex_lock(&s->lock);
    struct sl_store_entry *e = k->doomed;
    if (e != NULL) {
        k->doomed = e->next_doomed;
        e->next_doomed = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    return e;
}

static void delete_doomed(struct sl_store *s, struct sl_err *why)
{
    bool had = false;
    for (struct sl_store_entry *e = next_doomed(s); e != NULL; e = next_doomed(s)) {
        if (!had) {
            sl_store_list_write(s, why);
        }
        had = true;
        sl_store_unlink(s, e);
        pthread_mutex_lock(&s->lock);
        s->stats.purged++;
        sl_store_entry_unref(e);
        pthread_mutex_unlock(&s->lock);
    }
}

/* ---- indexes ---- */

void sl_store_index_is_bad(struct sl_store *s, struct sl_store_entry *e)
{
    pthread_mutex_lock(&s->lock);
    bool had = e->has_index;
    e->has_index = false;
    pthread_mutex_unlock(&s->lock);
    if (had) {
        sl_store_keeper_wake(s);
    }
}

/* A finished file without a good index that was not tried yet. */
static struct sl_store_entry *next_unindexed(struct sl_store *s)
{
    struct sl_store_entry *found = NULL;
    pthread_mutex_lock(&s->lock);
    for (unsigned i = s->count; i > 0 && found == NULL; i--) {
        struct sl_store_entry *e = s->entries[i - 1];
        if (!e->has_index && !e->index_was_tried && atomic_load(&e->is_finished)) {
            e->index_was_tried = true;
            e->refs++;
            found = e;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return found;
}

static int build_index(struct sl_store *s, struct sl_store_entry *e, int fd, struct sl_err *err)
{
    struct sl_store_index index = {.fd = -1};
    struct sl_store_walk walk;
    struct sl_store_walked walked;
    char path[PATH_MAX];
    int rc = sl_store_index_path(s, e, path, err);
    if (rc < 0) {
        return rc;
    }
    /* What is good of the one that is there stays: a crash just before its end costs little. */
    uint64_t from, size = atomic_load(&e->size);
    if (sl_store_index_continue(&index, path, &e->head, size, &from) < 0) {
        return sl_err_set(err, SL_ESYS, "cannot create '%s': %s", path, strerror(errno));
    }
    rc = sl_store_walk_init(&walk, s, &e->head, fd, from, size, err);
    if (rc == SL_OK) {
        rc = sl_store_walk_groups(&walk, &e->head, NULL, &index, &walked, err);
    }
    sl_store_walk_free(&walk);
    bool is_good = rc == SL_OK && sl_store_index_finish(&index, &e->head, size, e->finished_ms);
    sl_store_index_close(&index);
    if (rc == SL_OK && walked.is_damaged) {
        return sl_err_set(err, SL_EPROTO, "%s", walked.why.text);
    }
    pthread_mutex_lock(&s->lock);
    e->has_index = is_good;
    pthread_mutex_unlock(&s->lock);
    sl_store_index_measure(s, e);
    return rc;
}

static void make_index(struct sl_store *s, struct sl_store_entry *e)
{
    struct sl_err err = SL_ERR_INIT;
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    sl_store_file_name(s, e->number, name);
    int fd = -1;
    int rc = sl_store_plain_get(s, e, &fd, &err);
    if (rc == SL_OK) {
        expand_all(s);
        bool is_whole = atomic_load(&e->plain_size) >= atomic_load(&e->size);
        rc = is_whole ? build_index(s, e, fd, &err) : SL_EAGAIN; /* interrupted, or told already */
        sl_store_plain_put(s, e);
    }
    if (rc < 0 && rc != SL_EAGAIN) {
        sl_log_warning("no GTID index for binlog file '%s', look-ups in it are slow: %s", name,
                       err.text);
    } else if (rc == SL_OK) {
        sl_log_info("GTID index of binlog file '%s' was made anew", name);
    }
    pthread_mutex_lock(&s->lock);
    sl_store_entry_unref(e);
    pthread_mutex_unlock(&s->lock);
}

static void make_indexes(struct sl_store *s)
{
    struct sl_store_entry *e = next_unindexed(s);
    while (e != NULL) {
        make_index(s, e);
        e = sl_store_keeper_goes_on(s, 0) ? next_unindexed(s) : NULL;
    }
}

/* ---- the archive ---- */

/* Its files belong into the catalogue; an archive that was not there is looked for again. */
static void look_into_archive(struct sl_store *s, uint64_t *due_ms, struct sl_err *why)
{
    if (atomic_load(&s->knows_archive)) {
        return;
    }
    if (sl_store_scan_archive(s, why) < 0) {
        *due_ms = sl_clock_mono_ms() + SL_STORE_ARCHIVE_POLL_MS;
    } else if (s->on_grown != NULL) {
        s->on_grown(s->arg);
    }
}

/* ---- the thread ---- */

static void work(struct sl_store *s, uint64_t *due_ms)
{
    struct sl_err why = SL_ERR_INIT;
    expand_all(s);
    look_into_archive(s, due_ms, &why);
    delete_doomed(s, &why);
    make_indexes(s);
    if (!atomic_load(&s->keeper.stops)) {
        sl_store_purge_run(s, due_ms, &why);
    }
    if (!atomic_load(&s->keeper.stops)) {
        sl_store_compress_run(s, due_ms, &why);
    }
    note(s, &why);
}

static void sleep_until(struct sl_store *s, uint64_t due_ms)
{
    struct sl_store_keeper *k = &s->keeper;
    struct timespec at = {.tv_sec = (time_t)(due_ms / 1000),
                          .tv_nsec = (long)(due_ms % 1000) * 1000000};
    pthread_mutex_lock(&s->lock);
    int rc = 0;
    while (!k->is_awake && rc == 0) {
        rc = due_ms == UINT64_MAX ? pthread_cond_wait(&k->wake, &s->lock)
                                  : pthread_cond_timedwait(&k->wake, &s->lock, &at);
    }
    k->is_awake = false;
    pthread_mutex_unlock(&s->lock);
}

static void *thread_main(void *arg)
{
    struct sl_store *s = arg;
    sl_log_module_set("binlogrouter");
    sl_log_scope_set(s->name);
    while (!atomic_load(&s->keeper.stops)) {
        uint64_t due_ms = UINT64_MAX;
        work(s, &due_ms);
        sleep_until(s, due_ms);
    }
    expand_all(s); /* lets go of what waits: it stops at once */
    delete_doomed(s, NULL);
    return NULL;
}

void sl_store_keeper_wake(struct sl_store *s)
{
    struct sl_store_keeper *k = &s->keeper;
    pthread_mutex_lock(&s->lock);
    k->is_awake = true;
    if (k->is_running) {
        pthread_cond_signal(&k->wake);
    }
    pthread_mutex_unlock(&s->lock);
}

int sl_store_keeper_start(struct sl_store *s, struct sl_err *err)
{
    struct sl_store_keeper *k = &s->keeper;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&k->wake, &attr);
    pthread_condattr_destroy(&attr);
    atomic_store(&k->stops, false);
    k->is_awake = true;
    k->start_ms = sl_clock_mono_ms();
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the control thread's */
    int rc = pthread_create(&k->thread, NULL, thread_main, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        pthread_cond_destroy(&k->wake);
        return sl_err_set(err, SL_ESYS, "cannot start the keeper of the binlog: %s", strerror(rc));
    }
    pthread_mutex_lock(&s->lock);
    k->is_running = true;
    pthread_mutex_unlock(&s->lock);
    return SL_OK;
}

void sl_store_keeper_stop(struct sl_store *s)
{
    struct sl_store_keeper *k = &s->keeper;
    if (!k->is_running) {
        return;
    }
    atomic_store(&k->stops, true);
    sl_store_keeper_wake(s);
    pthread_join(k->thread, NULL);
    pthread_mutex_lock(&s->lock);
    k->is_running = false;
    pthread_mutex_unlock(&s->lock);
    pthread_cond_destroy(&k->wake);
}
