/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archiving a file: copied, synced, compared, named, and only then deleted here. It stays in the
 * catalogue and is read where it is now.
 *
 * A file of that name in the archive that is equal is taken as the copy (the last attempt got that
 * far); one that differs is not touched, and the file stays here. So the archive must never be the
 * data directory itself, where each file is its own copy. Keeper's thread.
 */
#include "router/binlog/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"

enum {
    COPY_SIZE = 1024 * 1024
};

int sl_store_archive_check(const struct sl_store *s, struct sl_err *err)
{
    struct stat data, archive;
    bool is_same = s->archivedir != NULL && stat(s->archivedir, &archive) == 0 &&
                   stat(s->datadir, &data) == 0 && archive.st_dev == data.st_dev &&
                   archive.st_ino == data.st_ino;
    return is_same
               ? sl_err_set(err, SL_EINVAL,
                            "archivedir '%s' is the data directory '%s': it must be another one",
                            s->archivedir, s->datadir)
               : SL_OK;
}

/* Copies (to >= 0) or reads a file; size and CRC of what was read. */
static int read_through(struct sl_store *s, const char *path, int to, uint64_t *ret_size,
                        uint32_t *ret_crc, struct sl_err *err)
{
    uint8_t *data = sl_malloc(COPY_SIZE);
    int from = sl_store_io->open(path, O_RDONLY, 0);
    int rc = data == NULL ? sl_err_set(err, SL_ENOMEM, "out of memory")
             : from < 0   ? sl_store_fail(s, "cannot open", path, err)
                          : SL_OK;
    *ret_size = 0;
    *ret_crc = 0;
    ssize_t n = 1;
    while (rc == SL_OK && n > 0) {
        n = pread(from, data, COPY_SIZE, (off_t)*ret_size);
        if (n < 0) {
            rc = sl_store_fail(s, "cannot read", path, err);
            break;
        }
        if (to >= 0 && sl_store_io_write(to, data, (size_t)n, *ret_size, NULL) != 0) {
            rc = sl_err_set(err, SL_ESYS, "cannot write the copy of '%s': %s", path,
                            strerror(errno));
        }
        *ret_size += (uint64_t)n;
        *ret_crc = sl_event_crc_add(*ret_crc, data, (size_t)n);
        if (rc == SL_OK && !sl_store_keeper_goes_on(s, *ret_size)) {
            rc = sl_err_set(err, SL_ESTATE, "interrupted");
        }
    }
    if (from >= 0) {
        sl_store_io->close(from);
    }
    sl_free(data);
    return rc;
}

static int copy_to(struct sl_store *s, const char *from, const char *to, uint64_t *size,
                   uint32_t *crc, struct sl_err *err)
{
    int fd = sl_store_io->open(to, O_RDWR | O_CREAT | O_TRUNC, 0640);
    if (fd < 0) {
        return sl_err_set(err, SL_ESYS, "cannot create '%s': %s", to, strerror(errno));
    }
    int rc = read_through(s, from, fd, size, crc, err);
    if (rc == SL_OK && sl_store_io->sync(fd) != 0) {
        rc = sl_err_set(err, SL_ESYS, "cannot sync '%s': %s", to, strerror(errno));
    }
    if (rc == SL_OK) {
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* what is compared comes from the disk */
    }
    sl_store_io->close(fd);
    return rc;
}

static int compare(struct sl_store *s, const char *from, const char *to, uint64_t size,
                   uint32_t crc, struct sl_err *err)
{
    uint64_t copy_size;
    uint32_t copy_crc;
    int rc = read_through(s, to, -1, &copy_size, &copy_crc, err);
    if (rc == SL_OK && (copy_size != size || copy_crc != crc)) {
        rc = sl_err_set(err, SL_EEXIST, "'%s' is another file than '%s'", to, from);
    }
    return rc;
}

/* `from` is at `to` afterwards, whole and on disk. */
static int copy(struct sl_store *s, const char *from, const char *to, struct sl_err *err)
{
    uint64_t size;
    uint32_t crc;
    char work[PATH_MAX];
    int n = snprintf(work, sizeof(work), "%s.archiving", to);
    if (n < 0 || (size_t)n >= sizeof(work)) {
        return sl_err_set(err, SL_EINVAL, "the path '%.100s...' is too long", to);
    }
    int rc;
    if (access(to, F_OK) == 0) {
        rc = read_through(s, from, -1, &size, &crc, err);
        return rc == SL_OK ? compare(s, from, to, size, crc, err) : rc;
    }
    rc = copy_to(s, from, work, &size, &crc, err);
    if (rc == SL_OK) {
        rc = compare(s, from, work, size, crc, err);
    }
    if (rc == SL_OK &&
        (sl_store_io->rename(work, to) != 0 || sl_store_io_sync_dir(s->archivedir) != 0)) {
        rc = sl_err_set(err, SL_ESYS, "cannot name '%s': %s", to, strerror(errno));
    }
    if (rc < 0) {
        sl_store_io->unlink(work);
    }
    return rc;
}

/* Look-ups in the archived file need it; without it they are slow. */
static void copy_index(struct sl_store *s, struct sl_store_entry *e)
{
    char from[PATH_MAX], to[PATH_MAX];
    uint64_t size;
    uint32_t crc;
    if (sl_store_path(s, s->datadir, e->number, ".gtidx", from, NULL) == SL_OK &&
        sl_store_path(s, s->archivedir, e->number, ".gtidx", to, NULL) == SL_OK) {
        copy_to(s, from, to, &size, &crc, NULL);
    }
}

static void move(struct sl_store *s, struct sl_store_entry *e)
{
    pthread_mutex_lock(&s->lock);
    e->is_archived = true;
    s->stats.archived++;
    pthread_mutex_unlock(&s->lock);
}

int sl_store_archive(struct sl_store *s, struct sl_store_entry *e, struct sl_err *err)
{
    char from[PATH_MAX], to[PATH_MAX], index[PATH_MAX];
    const char *suffix = e->is_compressed ? ".zst" : ""; /* the keeper alone changes it */
    int rc = sl_store_archive_check(s, err); /* a mount or link may have come since the start */
    if (rc == SL_OK) {
        rc = sl_store_path(s, s->datadir, e->number, suffix, from, err);
    }
    if (rc == SL_OK) {
        rc = sl_store_path(s, s->archivedir, e->number, suffix, to, err);
    }
    if (rc == SL_OK) {
        rc = sl_store_index_path(s, e, index, err);
    }
    if (rc == SL_OK) {
        rc = copy(s, from, to, err);
    }
    if (rc < 0) {
        return rc;
    }
    copy_index(s, e);
    move(s, e);
    rc = sl_store_list_write(s, err);
    sl_store_io->unlink(from);
    sl_store_io->unlink(index);
    return rc;
}
