/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in the directories becomes the catalogue.
 *
 * The directory decides, not binlog.index: files may be deleted (oldest first) or compressed by
 * hand while the store is closed. The catalogue is the newest run of files without a gap: a replica
 * must not be led across a file that is missing or cannot be read, so what lies before such a file
 * stays on disk but is not served, and the log says so. Control thread.
 */
#include "router/binlog/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct found {
    uint64_t number;
    bool is_plain, is_compressed;
};

struct finds {
    struct found *file;
    unsigned count, capacity;
};

/* ---- names ---- */

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), end_len = strlen(end);
    return len > end_len && strcmp(name + len - end_len, end) == 0;
}

/* Splits "pbin.000012[.zst]"; false: another kind of name. */
static bool split(const char *name, char base[SL_BINLOG_FILE_NAME_MAX + 1], uint64_t *ret_number,
                  bool *ret_is_compressed)
{
    int n = snprintf(base, SL_BINLOG_FILE_NAME_MAX + 1, "%s", name);
    if (n < 0 || n > SL_BINLOG_FILE_NAME_MAX) {
        return false;
    }
    *ret_is_compressed = ends_with(base, ".zst");
    if (*ret_is_compressed) {
        base[n - 4] = '\0';
    }
    char *dot = strrchr(base, '.');
    if (dot == NULL || dot == base) {
        return false;
    }
    char plain[SL_BINLOG_FILE_NAME_MAX + 1];
    snprintf(plain, sizeof(plain), "%s", base);
    *dot = '\0';
    return sl_store_number_of(base, plain, ret_number);
}

/* The first bytes of a binlog or of a zstd file. A file that cannot be looked at is no other kind of
 * file: a new one must not take its place. */
static int has_magic(const char *dir, const char *name, bool is_compressed, bool *ret,
                     struct sl_err *err)
{
    static const uint8_t magic[2][4] = {{0xfe, 'b', 'i', 'n'}, {0x28, 0xb5, 0x2f, 0xfd}};
    char path[PATH_MAX];
    uint8_t bytes[4];
    int n = snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = n > 0 && (size_t)n < sizeof(path) ? fopen(path, "re") : NULL;
    if (f == NULL) {
        return sl_err_set(err, SL_ESYS, "cannot open '%s/%s': %s", dir, name, strerror(errno));
    }
    *ret = fread(bytes, 1, 4, f) == 4 && memcmp(bytes, magic[is_compressed], 4) == 0;
    fclose(f);
    return SL_OK;
}

static int note(struct finds *all, uint64_t number, bool is_compressed)
{
    if (all->count == all->capacity) {
        unsigned capacity = SL_MAX(2 * all->capacity, 256U);
        void *grown = sl_realloc(all->file, capacity * sizeof(all->file[0]));
        if (grown == NULL) {
            return SL_ENOMEM;
        }
        all->file = grown;
        all->capacity = capacity;
    }
    all->file[all->count++] = (struct found){number, !is_compressed, is_compressed};
    return SL_OK;
}

static int by_number(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Sorts, and makes one of a plain file and its compressed copy. */
static void order(struct finds *all)
{
    if (all->count > 1) {
        qsort(all->file, all->count, sizeof(all->file[0]), by_number);
    }
    unsigned kept = 0;
    for (unsigned i = 0; i < all->count; i++) {
        if (kept > 0 && all->file[kept - 1].number == all->file[i].number) {
            all->file[kept - 1].is_plain |= all->file[i].is_plain;
            all->file[kept - 1].is_compressed |= all->file[i].is_compressed;
        } else {
            all->file[kept++] = all->file[i];
        }
    }
    all->count = kept;
}

/* ---- a directory ---- */

/* A store has one base name: the first one found, or the one it has already. */
static int take_name(struct sl_store *s, const char *dir, const char *name, struct finds *all,
                     struct sl_err *err)
{
    char base[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t number;
    bool is_compressed, is_log;
    if (!split(name, base, &number, &is_compressed)) {
        return SL_OK;
    }
    if (dir == s->archivedir && s->base[0] != '\0' && strcmp(s->base, base) != 0) {
        return SL_OK; /* of a log that was deleted, or of another relay */
    }
    int rc = has_magic(dir, name, is_compressed, &is_log, err);
    if (rc < 0 || !is_log) {
        return rc;
    }
    if (s->base[0] == '\0') {
        memcpy(s->base, base, sizeof(s->base));
    }
    if (strcmp(s->base, base) != 0) {
        return sl_err_set(err, SL_EINVAL,
                          "the directory '%s' has files of two logs, '%.100s' and '%.100s': one "
                          "must be moved away",
                          dir, s->base, base);
    }
    rc = note(all, number, is_compressed);
    return rc < 0 ? sl_err_set(err, rc, "out of memory reading '%s'", dir) : SL_OK;
}

static int list(struct sl_store *s, const char *dir, struct finds *all, struct sl_err *err)
{
    DIR *d = opendir(dir);
    if (d == NULL) {
        return sl_err_set(err, SL_ESYS, "cannot read the directory '%s': %s", dir, strerror(errno));
    }
    int rc = SL_OK;
    for (struct dirent *e = readdir(d); e != NULL && rc == SL_OK; e = readdir(d)) {
        rc = take_name(s, dir, e->d_name, all, err);
    }
    closedir(d);
    order(all);
    return rc;
}

/* What a crash in the middle of something has left, and files without magic that are ours. */
static void tidy(const char *dir, bool removes_all)
{
    DIR *d = opendir(dir);
    if (d == NULL) {
        return;
    }
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char path[PATH_MAX];
        bool is_rest = ends_with(e->d_name, ".new") || ends_with(e->d_name, ".gtidx.tmp") ||
                       strcmp(e->d_name, "binlog.index.tmp") == 0;
        bool is_dot = e->d_name[0] == '.';
        int n = snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (!is_dot && (removes_all || is_rest) && n > 0 && (size_t)n < sizeof(path)) {
            sl_store_io->unlink(path);
        }
    }
    closedir(d);
}

static void drop_if_unwritten(struct sl_store *s, const char *name, uint64_t newest)
{
    char base[SL_BINLOG_FILE_NAME_MAX + 1], path[PATH_MAX];
    uint64_t number;
    bool is_compressed;
    struct stat st;
    int n = snprintf(path, sizeof(path), "%s/%s", s->datadir, name);
    if (split(name, base, &number, &is_compressed) && strcmp(base, s->base) == 0 &&
        number > newest && n > 0 && (size_t)n < sizeof(path) && stat(path, &st) == 0 &&
        st.st_size < SL_BINLOG_MAGIC_LEN) {
        sl_log_warning("binlog file '%s' has nothing in it: deleted", path);
        sl_store_io->unlink(path);
    }
}

/* Files behind the newest that somebody began and never wrote to. */
static void drop_unwritten(struct sl_store *s, uint64_t newest)
{
    DIR *d = opendir(s->datadir);
    for (struct dirent *e = d != NULL ? readdir(d) : NULL; e != NULL; e = readdir(d)) {
        drop_if_unwritten(s, e->d_name, newest);
    }
    if (d != NULL) {
        closedir(d);
    }
}

/* ---- entries ---- */

static int measure(struct sl_store *s, struct sl_store_entry *e, const char *path,
                   struct sl_err *err)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return sl_err_set(err, SL_ESYS, "cannot look at '%s': %s", path, strerror(errno));
    }
    uint64_t log_size = 0, size = (uint64_t)st.st_size;
    e->disk_size = size;
    e->changed_s = (int64_t)st.st_mtime;
    e->finished_ms = -1;
    char index[PATH_MAX];
    int rc = sl_store_index_path(s, e, index, err);
    if (rc < 0) {
        return rc;
    }
    e->has_index = sl_store_index_check(index, &e->head, &log_size, &e->finished_ms) &&
                   (e->is_compressed || log_size == size);
    sl_store_index_measure(s, e);
    if (e->is_compressed) {
        size = log_size;
        rc = e->has_index ? SL_OK : sl_store_zstd_size(path, &size, err);
    }
    atomic_store(&e->size, size);
    return rc;
}

static int load(struct sl_store *s, const struct found *f, bool is_archived,
                struct sl_store_entry **ret, struct sl_err *err)
{
    char path[PATH_MAX];
    struct sl_store_head head;
    const char *dir = is_archived ? s->archivedir : s->datadir;
    int rc = sl_store_path(s, dir, f->number, f->is_plain ? "" : ".zst", path, err);
    if (rc == SL_OK) {
        rc = sl_store_head_read(s, path, !f->is_plain, &head, err);
    }
    if (rc < 0) {
        return rc;
    }
    struct sl_store_entry *e = sl_store_entry_new(f->number, &head);
    if (e == NULL) {
        sl_store_head_free(&head);
        return sl_err_set(err, SL_ENOMEM, "out of memory reading '%s'", path);
    }
    e->is_compressed = !f->is_plain;
    e->is_archived = is_archived;
    atomic_store(&e->is_finished, true);
    rc = measure(s, e, path, err);
    if (rc < 0) {
        sl_store_entry_unref(e);
        return rc;
    }
    *ret = e;
    return SL_OK;
}

/* The last file was being made when the power went: it holds nothing. */
static int drop_torn(struct sl_store *s, const struct found *f, struct sl_err *err)
{
    char path[PATH_MAX];
    int rc = sl_store_path(s, s->datadir, f->number, "", path, err);
    if (rc == SL_OK) {
        sl_log_warning("binlog file '%s' ends inside of its first events: deleted", path);
        sl_store_io->unlink(path);
        s->next_number = f->number; /* no number is left out */
        rc = sl_store_io_sync_dir(s->datadir) != 0 ? sl_store_fail(s, "cannot sync", path, err)
                                                   : SL_OK;
    }
    return rc;
}

static void say_unserved(struct sl_store *s, uint64_t number, const char *why)
{
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    sl_store_file_name(s, number, name);
    sl_log_error("'%s/%s' and what is older is not served: %s", s->datadir, name, why);
}

static int add_or_free(struct sl_store *s, struct sl_store_entry *e)
{
    int rc = sl_store_catalogue_add(s, e);
    if (rc < 0) {
        sl_store_entry_unref(e);
    }
    return rc;
}

/* Newest first, so that the catalogue can be cut at the first gap; turned around at the end. */
static int load_all(struct sl_store *s, const struct finds *all, struct sl_err *err)
{
    for (unsigned i = all->count; i > 0; i--) {
        const struct found *f = &all->file[i - 1];
        struct sl_store_entry *e;
        if (s->count > 0 && f->number + 1 != s->entries[s->count - 1]->number) {
            say_unserved(s, f->number, "a file behind it is missing");
            return SL_OK;
        }
        int rc = load(s, f, false, &e, err);
        if (rc == SL_EAGAIN && s->count == 0 && f->is_plain) {
            rc = drop_torn(s, f, err);
            if (rc < 0) {
                return rc;
            }
            continue;
        }
        if (rc == SL_EAGAIN || rc == SL_EPROTO) {
            if (s->count == 0) {
                return err->rc = SL_EPROTO;
            }
            say_unserved(s, f->number, err->text);
            return SL_OK;
        }
        rc = rc == SL_OK ? add_or_free(s, e) : rc;
        if (rc < 0) {
            return rc;
        }
    }
    return SL_OK;
}

static void turn_around(struct sl_store *s)
{
    for (unsigned i = 0; i < s->count / 2; i++) {
        struct sl_store_entry *e = s->entries[i];
        s->entries[i] = s->entries[s->count - 1 - i];
        s->entries[s->count - 1 - i] = e;
    }
}

int sl_store_scan(struct sl_store *s, struct sl_err *err)
{
    struct finds all = {0};
    struct sl_err own = SL_ERR_INIT;
    err = err != NULL ? err : &own;
    char work[PATH_MAX];
    snprintf(work, sizeof(work), "%s/compression", s->datadir);
    tidy(s->datadir, false);
    tidy(work, true);
    int rc = list(s, s->datadir, &all, err);
    s->next_number = all.count > 0 ? all.file[all.count - 1].number + 1 : 1;
    if (rc == SL_OK && all.count > 0) {
        drop_unwritten(s, s->next_number - 1);
    }
    if (rc == SL_OK) {
        rc = load_all(s, &all, err);
    }
    turn_around(s);
    sl_free(all.file);
    return rc;
}

static int unlink_files(struct sl_store *s, uint64_t number, struct sl_err *err)
{
    static const char *const suffix[] = {"", ".zst", ".gtidx"};
    for (size_t i = 0; i < SL_ARRAY_LEN(suffix); i++) {
        char path[PATH_MAX];
        int rc = sl_store_path(s, s->datadir, number, suffix[i], path, err);
        if (rc < 0) {
            return rc;
        }
        if (sl_store_io->unlink(path) != 0 && errno != ENOENT) {
            return sl_err_set(err, SL_ESYS, "cannot delete '%s': %s", path, strerror(errno));
        }
    }
    return SL_OK;
}

/* Oldest first: what a crash leaves is the end of the log. */
int sl_store_scan_unlink(struct sl_store *s, struct sl_err *err)
{
    struct finds all = {0};
    int rc = list(s, s->datadir, &all, err);
    for (unsigned i = 0; i < all.count && rc == SL_OK; i++) {
        rc = unlink_files(s, all.file[i].number, err);
    }
    sl_free(all.file);
    return rc;
}

/* ---- the archive ---- */

/* Takes `e`, to stand in front of `next`. SL_ENOENT: that is not the first any more. */
static int insert_first(struct sl_store *s, struct sl_store_entry *e,
                        const struct sl_store_entry *next)
{
    pthread_mutex_lock(&s->lock);
    bool is_first = s->count > 0 && s->entries[0] == next;
    if (!is_first) {
        sl_store_entry_unref(e);
    }
    int rc = is_first ? add_or_free(s, e) : SL_ENOENT;
    if (rc == SL_OK) {
        memmove(s->entries + 1, s->entries, (s->count - 1) * sizeof(s->entries[0]));
        s->entries[0] = e;
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static const struct found *find(const struct finds *all, uint64_t number)
{
    struct found key = {.number = number};
    return all->count == 0 ? NULL : bsearch(&key, all->file, all->count, sizeof(key), by_number);
}

/* The number in front of the catalogue's first; 0: there is none. */
static uint64_t number_before(struct sl_store *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t number = s->count > 0 ? s->entries[0]->number - 1 : 0;
    pthread_mutex_unlock(&s->lock);
    return number;
}

static void say_strange(struct sl_store *s, uint64_t number, const char *why)
{
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    sl_store_file_name(s, number, name);
    sl_log_error(
        "'%s/%s' and what is older in the archive is not served: %s, so it is of another log "
        "of that name. Replicas that need older files get error 1236. Move the files of the "
        "other log to another directory",
        s->archivedir, name, why);
}

/* The catalogue's first, for the caller to give back; others may drop it from there meanwhile (PURGE,
 * a log that begins anew). NULL: it is empty. */
static struct sl_store_entry *hold_first(struct sl_store *s)
{
    pthread_mutex_lock(&s->lock);
    struct sl_store_entry *first = s->count > 0 ? s->entries[0] : NULL;
    if (first != NULL) {
        first->refs++;
    }
    pthread_mutex_unlock(&s->lock);
    return first;
}

static void give_back(struct sl_store *s, struct sl_store_entry *e)
{
    pthread_mutex_lock(&s->lock);
    sl_store_entry_unref(e);
    pthread_mutex_unlock(&s->lock);
}

/* The file in front of `next`. SL_ENOENT: it is none of this log, or `next` is gone. */
static int load_archived(struct sl_store *s, const struct found *f,
                         const struct sl_store_entry *next, struct sl_err *err)
{
    struct sl_store_entry *e;
    bool fits = false;
    int rc = load(s, f, true, &e, err);
    if (rc < 0) {
        return rc;
    }
    rc = sl_store_fits(s, e, &next->head.list, &fits, err);
    if (rc == SL_OK && fits) {
        return insert_first(s, e, next);
    }
    sl_store_entry_unref(e); /* nobody else knows it */
    if (rc == SL_OK) {
        say_strange(s, f->number, err->text);
        rc = SL_ENOENT;
    }
    return rc;
}

/* The first of the catalogue gets one in front of it. SL_ENOENT: there is none. */
static int load_before_first(struct sl_store *s, const struct finds *all, struct sl_err *err)
{
    struct sl_store_entry *first = hold_first(s);
    if (first == NULL) {
        return SL_ENOENT;
    }
    const struct found *f = find(all, first->number - 1);
    int rc = f != NULL ? load_archived(s, f, first, err) : SL_ENOENT;
    give_back(s, first);
    return rc;
}

int sl_store_scan_archive(struct sl_store *s, struct sl_err *err)
{
    struct finds all = {0};
    bool may_have = s->archivedir != NULL && number_before(s) > 0;
    int rc = may_have ? list(s, s->archivedir, &all, err) : SL_OK;
    while (rc == SL_OK) {
        rc = may_have ? load_before_first(s, &all, err) : SL_ENOENT;
    }
    rc = rc == SL_ENOENT ? SL_OK : rc;
    sl_free(all.file);
    atomic_store(&s->knows_archive, rc == SL_OK);
    return rc;
}

int sl_store_scan_first_number(struct sl_store *s, uint64_t *ret, struct sl_err *err)
{
    struct finds all = {0};
    pthread_mutex_lock(&s->lock);
    bool archives = s->tuning.archives;
    pthread_mutex_unlock(&s->lock);
    *ret = 1;
    bool is_absent = /* without a base name nothing was ever archived, or it is not known yet */
        s->archivedir == NULL || s->base[0] == '\0' ||
        (!archives && access(s->archivedir, F_OK) != 0 && errno == ENOENT);
    int rc = is_absent ? SL_OK : list(s, s->archivedir, &all, err);
    if (rc == SL_OK && all.count > 0) {
        *ret = all.file[all.count - 1].number + 2;
    }
    sl_free(all.file);
    return rc < 0 ? sl_err_wrap(err, "the numbers of archived files are not known") : SL_OK;
}
