/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records what a store does to its files, and makes the directories as a power cut may leave them.
 *
 * Each file that is created gets a number; writes and truncations belong to the number, names to
 * the directory. On disk for sure is what a sync of the file (for data) or of its directory (for
 * names) has covered. Of the rest, a cut keeps
 *
 *   NOTHING     none of it
 *   ALL         all of it (a killed process), the last write maybe in part
 *   PREFIX      what came before a random moment
 *   PAGES       any 4 KiB pages of data, any truncations; names up to a random moment
 *   SCATTER     as PAGES, and any names
 */
#ifndef TEST_STORE_RECORDER_H
#define TEST_STORE_RECORDER_H

#include <dirent.h>
#include <pthread.h>

#include "base/rng.h"
#include "router/binlog/store_io.h"
#include "store_fixture.h"

enum recorder_kind {
    OP_CREATE,
    OP_WRITE,
    OP_TRUNCATE,
    OP_SYNC,
    OP_SYNC_DIR,
    OP_RENAME,
    OP_UNLINK,
    OP_DURABLE /* the store has said that groups up to `offset` are durable */
};

enum recorder_loss {
    LOSE_NOTHING_KEPT,
    LOSE_NONE,
    LOSE_SUFFIX,
    LOSE_PAGES,
    LOSE_SCATTERED,
    LOSS_COUNT
};

struct recorder_op {
    enum recorder_kind kind;
    int file;        /* CREATE, WRITE, TRUNCATE, SYNC */
    char *path, *to; /* CREATE, RENAME, UNLINK, SYNC_DIR */
    uint8_t *data;
    size_t len;
    uint64_t offset;
};

enum {
    RECORDER_FILES = 4096,
    RECORDER_FDS = 1024,
    RECORDER_PAGE = 4096
};

static struct {
    pthread_mutex_t lock;
    struct recorder_op *ops;
    size_t count, capacity;
    size_t loaded; /* operations that made what was there at the beginning: no cut in them */
    int files;
    int of_fd[RECORDER_FDS]; /* file number + 1; 0: none */
    char *dir_of_fd[RECORDER_FDS];
    /* names as they are now */
    char *name[RECORDER_FILES];
    int file_of_name[RECORDER_FILES];
    unsigned names;
} rec = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline struct recorder_op *recorder_add(enum recorder_kind kind)
{
    if (rec.count == rec.capacity) {
        rec.capacity = rec.capacity ? 2 * rec.capacity : 1024;
        rec.ops = realloc(rec.ops, rec.capacity * sizeof(rec.ops[0]));
    }
    struct recorder_op *op = &rec.ops[rec.count++];
    *op = (struct recorder_op){.kind = kind, .file = -1};
    return op;
}

static inline int recorder_name_find(const char *path)
{
    for (unsigned i = 0; i < rec.names; i++) {
        if (strcmp(rec.name[i], path) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static inline void recorder_name_remove(int at)
{
    free(rec.name[at]);
    rec.names--;
    rec.name[at] = rec.name[rec.names];
    rec.file_of_name[at] = rec.file_of_name[rec.names];
}

static inline void recorder_name_set(const char *path, int file)
{
    int at = recorder_name_find(path);
    if (at < 0) {
        assert_true(rec.names < RECORDER_FILES);
        at = (int)rec.names++;
        rec.name[at] = strdup(path);
    }
    rec.file_of_name[at] = file;
}

static inline int recorder_open(const char *path, int flags, mode_t mode)
{
    pthread_mutex_lock(&rec.lock);
    int at = recorder_name_find(path);
    int fd = sl_store_io_system.open(path, flags, mode);
    if (fd >= 0) {
        assert_true(fd < RECORDER_FDS);
        rec.of_fd[fd] = 0;
        if (flags & O_DIRECTORY) {
            free(rec.dir_of_fd[fd]);
            rec.dir_of_fd[fd] = strdup(path);
        } else if (at < 0 && (flags & O_CREAT)) {
            struct recorder_op *op = recorder_add(OP_CREATE);
            op->path = strdup(path);
            op->file = rec.files++;
            recorder_name_set(path, op->file);
            rec.of_fd[fd] = op->file + 1;
        } else if (at >= 0) {
            rec.of_fd[fd] = rec.file_of_name[at] + 1;
        }
        if (at >= 0 && (flags & O_TRUNC)) {
            struct recorder_op *op = recorder_add(OP_TRUNCATE);
            op->file = rec.file_of_name[at];
        }
    }
    pthread_mutex_unlock(&rec.lock);
    return fd;
}

static inline int recorder_close(int fd)
{
    pthread_mutex_lock(&rec.lock);
    rec.of_fd[fd] = 0;
    free(rec.dir_of_fd[fd]);
    rec.dir_of_fd[fd] = NULL;
    int rc = close(fd);
    pthread_mutex_unlock(&rec.lock);
    return rc;
}

static inline ssize_t recorder_pwrite(int fd, const void *data, size_t len, off_t offset)
{
    pthread_mutex_lock(&rec.lock);
    if (rec.of_fd[fd] > 0) {
        struct recorder_op *op = recorder_add(OP_WRITE);
        op->file = rec.of_fd[fd] - 1;
        op->data = malloc(len);
        memcpy(op->data, data, len);
        op->len = len;
        op->offset = (uint64_t)offset;
    }
    ssize_t n = pwrite(fd, data, len, offset);
    pthread_mutex_unlock(&rec.lock);
    return n;
}

static inline int recorder_truncate(int fd, off_t length)
{
    pthread_mutex_lock(&rec.lock);
    if (rec.of_fd[fd] > 0) {
        struct recorder_op *op = recorder_add(OP_TRUNCATE);
        op->file = rec.of_fd[fd] - 1;
        op->offset = (uint64_t)length;
    }
    int rc = ftruncate(fd, length);
    pthread_mutex_unlock(&rec.lock);
    return rc;
}

static inline int recorder_sync(int fd)
{
    pthread_mutex_lock(&rec.lock);
    if (rec.of_fd[fd] > 0) {
        recorder_add(OP_SYNC)->file = rec.of_fd[fd] - 1;
    } else if (rec.dir_of_fd[fd] != NULL) {
        recorder_add(OP_SYNC_DIR)->path = strdup(rec.dir_of_fd[fd]);
    }
    pthread_mutex_unlock(&rec.lock);
    return 0;
}

static inline int recorder_rename(const char *from, const char *to)
{
    pthread_mutex_lock(&rec.lock);
    int rc = rename(from, to);
    int at = recorder_name_find(from);
    if (rc == 0 && at >= 0) {
        struct recorder_op *op = recorder_add(OP_RENAME);
        op->path = strdup(from);
        op->to = strdup(to);
        op->file = rec.file_of_name[at];
        recorder_name_set(to, op->file);
        recorder_name_remove(recorder_name_find(from));
    }
    pthread_mutex_unlock(&rec.lock);
    return rc;
}

static inline int recorder_unlink(const char *path)
{
    pthread_mutex_lock(&rec.lock);
    int rc = unlink(path);
    int at = recorder_name_find(path);
    if (rc == 0 && at >= 0) {
        recorder_add(OP_UNLINK)->path = strdup(path);
        recorder_name_remove(at);
    }
    pthread_mutex_unlock(&rec.lock);
    return rc;
}

static const struct sl_store_io recorder_io = {
    .open = recorder_open,
    .close = recorder_close,
    .pwrite = recorder_pwrite,
    .truncate = recorder_truncate,
    .sync_data = recorder_sync,
    .sync = recorder_sync,
    .rename = recorder_rename,
    .unlink = recorder_unlink,
};

static inline int recorder_no_sync(int fd)
{
    return 0;
}

/* For the checks behind a cut: everything real, nothing synced. */
static inline struct sl_store_io recorder_fast_io(void)
{
    struct sl_store_io io = sl_store_io_system;
    io.sync = io.sync_data = recorder_no_sync;
    return io;
}

static inline void recorder_durable(uint64_t seq)
{
    pthread_mutex_lock(&rec.lock);
    recorder_add(OP_DURABLE)->offset = seq;
    pthread_mutex_unlock(&rec.lock);
}

static inline void recorder_clear(void)
{
    for (size_t i = 0; i < rec.count; i++) {
        free(rec.ops[i].path);
        free(rec.ops[i].to);
        free(rec.ops[i].data);
    }
    while (rec.names > 0) {
        recorder_name_remove(0);
    }
    free(rec.ops);
    rec.ops = NULL;
    rec.count = rec.capacity = rec.loaded = 0;
    rec.files = 0;
}

/* What is in the directory already is on disk. */
static inline void recorder_load(const char *dir)
{
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char path[512];
        struct stat st;
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
            continue;
        }
        int fd = open(path, O_RDONLY);
        assert_true(fd >= 0);
        struct recorder_op *op = recorder_add(OP_CREATE);
        op->path = strdup(path);
        int file = op->file = rec.files++;
        recorder_name_set(path, file);
        op = recorder_add(OP_WRITE);
        op->file = file;
        op->len = (size_t)st.st_size;
        op->data = malloc(op->len + 1);
        assert_int_equal(read(fd, op->data, op->len), (ssize_t)op->len);
        close(fd);
        recorder_add(OP_SYNC)->file = file;
    }
    recorder_add(OP_SYNC_DIR)->path = strdup(dir);
    rec.loaded = rec.count;
    closedir(d);
}

/* ---- a cut ---- */

struct recorder_file {
    uint8_t *data;
    size_t len, capacity;
};

struct recorder_cut {
    struct sl_rng *rng;
    enum recorder_loss loss;
    size_t at;    /* operations before the cut */
    size_t until; /* SUFFIX: what was not synced is kept up to here */
    struct recorder_file file[RECORDER_FILES];
    char *name[RECORDER_FILES];
    int of_name[RECORDER_FILES];
    unsigned names;
};

static inline void recorder_size(struct recorder_file *f, size_t len)
{
    if (len > f->capacity) {
        f->data = realloc(f->data, 2 * len);
        f->capacity = 2 * len;
    }
    if (len > f->len) {
        memset(f->data + f->len, 0, len - f->len);
    }
    f->len = len;
}

static inline void recorder_put(struct recorder_file *f, const struct recorder_op *op, size_t from,
                                size_t len)
{
    size_t end = (size_t)op->offset + from + len;
    recorder_size(f, end > f->len ? end : f->len);
    if (len > 0) { /* a file without a byte has no memory either */
        memcpy(f->data + op->offset + from, op->data + from, len);
    }
}

static inline bool recorder_toss(struct recorder_cut *c)
{
    return sl_rng_next(c->rng) >> 63;
}

/* Is operation `i` on disk for sure? */
static inline bool recorder_is_synced(const struct recorder_cut *c, size_t i)
{
    const struct recorder_op *op = &rec.ops[i];
    bool is_name = op->kind == OP_CREATE || op->kind == OP_RENAME || op->kind == OP_UNLINK;
    for (size_t k = i + 1; k < c->at; k++) {
        const struct recorder_op *later = &rec.ops[k];
        if (!is_name && later->kind == OP_SYNC && later->file == op->file) {
            return true;
        }
        if (is_name && later->kind == OP_SYNC_DIR) {
            const char *path = op->to != NULL ? op->to : op->path;
            size_t len = strlen(later->path);
            if (strncmp(path, later->path, len) == 0 && strchr(path + len + 1, '/') == NULL) {
                return true;
            }
        }
    }
    return false;
}

static inline void recorder_write(struct recorder_cut *c, size_t i)
{
    const struct recorder_op *op = &rec.ops[i];
    struct recorder_file *f = &c->file[op->file];
    bool is_last = i + 1 == c->at;
    if (recorder_is_synced(c, i) || c->loss == LOSE_SUFFIX) {
        recorder_put(f, op, 0, op->len);
    } else if (c->loss == LOSE_NONE) {
        recorder_put(f, op, 0, is_last ? (size_t)(sl_rng_next(c->rng) % (op->len + 1)) : op->len);
    } else {
        for (size_t from = 0; from < op->len;) {
            size_t page = RECORDER_PAGE - (size_t)((op->offset + from) % RECORDER_PAGE);
            size_t len = SL_MIN(page, op->len - from);
            if (recorder_toss(c)) {
                recorder_put(f, op, from, len);
            }
            from += len;
        }
    }
}

static inline int recorder_cut_find(const struct recorder_cut *c, const char *path)
{
    for (unsigned i = 0; i < c->names; i++) {
        if (strcmp(c->name[i], path) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static inline void recorder_cut_set(struct recorder_cut *c, char *path, int file)
{
    int at = recorder_cut_find(c, path);
    at = at < 0 ? (int)c->names++ : at;
    c->name[at] = path;
    c->of_name[at] = file;
}

static inline void recorder_cut_remove(struct recorder_cut *c, const char *path)
{
    int at = recorder_cut_find(c, path);
    if (at >= 0) {
        c->names--;
        c->name[at] = c->name[c->names];
        c->of_name[at] = c->of_name[c->names];
    }
}

static inline void recorder_apply(struct recorder_cut *c, size_t i)
{
    struct recorder_op *op = &rec.ops[i];
    switch (op->kind) {
    case OP_CREATE:
        recorder_cut_set(c, op->path, op->file);
        break;
    case OP_RENAME:
        /* A name that is on disk for sure has its file, whatever became of the name before. */
        if (recorder_cut_find(c, op->path) >= 0 || recorder_is_synced(c, i)) {
            recorder_cut_remove(c, op->path);
            recorder_cut_set(c, op->to, op->file);
        }
        break;
    case OP_UNLINK:
        recorder_cut_remove(c, op->path);
        break;
    case OP_TRUNCATE:
        recorder_size(&c->file[op->file], (size_t)op->offset);
        break;
    case OP_WRITE:
        recorder_write(c, i);
        break;
    default:
        break;
    }
}

static inline bool recorder_is_kept(struct recorder_cut *c, size_t i, size_t names_until)
{
    const struct recorder_op *op = &rec.ops[i];
    bool is_name = op->kind == OP_CREATE || op->kind == OP_RENAME || op->kind == OP_UNLINK;
    switch (c->loss) {
    case LOSE_NOTHING_KEPT:
        return false;
    case LOSE_NONE:
        return true;
    case LOSE_SUFFIX:
        return i < c->until;
    case LOSE_PAGES:
        return is_name ? i < names_until : op->kind == OP_WRITE || recorder_toss(c);
    default:
        return op->kind == OP_WRITE || recorder_toss(c);
    }
}

static inline void recorder_store(const struct recorder_cut *c, unsigned i)
{
    int fd = open(c->name[i], O_WRONLY | O_CREAT | O_TRUNC, 0640);
    assert_true(fd >= 0);
    const struct recorder_file *f = &c->file[c->of_name[i]];
    assert_int_equal(write(fd, f->data, f->len), (ssize_t)f->len);
    close(fd);
}

static inline void recorder_empty(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e = d != NULL ? readdir(d) : NULL; e != NULL; e = readdir(d)) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        unlink(path);
    }
    if (d != NULL) {
        closedir(d);
    }
}

static inline size_t recorder_moment(struct sl_rng *rng)
{
    return rec.loaded + sl_rng_next(rng) % (rec.count - rec.loaded + 1);
}

/* The directories as a cut behind the first `at` operations may leave them. Returns what was said to
 * be durable. */
static inline uint64_t recorder_cut(size_t at, enum recorder_loss loss, struct sl_rng *rng,
                                    const char *const *dirs)
{
    struct recorder_cut *c = calloc(1, sizeof(*c));
    c->rng = rng;
    c->loss = loss;
    c->at = at;
    c->until = at > 0 ? sl_rng_next(rng) % at : 0;
    size_t names_until = at > 0 ? sl_rng_next(rng) % at : 0;
    uint64_t durable = 0;
    for (size_t i = 0; i < at; i++) {
        if (rec.ops[i].kind == OP_DURABLE) {
            durable = rec.ops[i].offset;
        } else if (recorder_is_synced(c, i) || recorder_is_kept(c, i, names_until)) {
            recorder_apply(c, i);
        }
    }
    for (unsigned i = 0; dirs[i] != NULL; i++) {
        recorder_empty(dirs[i]);
    }
    for (unsigned i = 0; i < c->names; i++) {
        recorder_store(c, i);
    }
    for (int i = 0; i < RECORDER_FILES; i++) {
        free(c->file[i].data);
    }
    free(c);
    return durable;
}

#endif
