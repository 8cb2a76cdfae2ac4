/* SPDX-License-Identifier: Apache-2.0 */
/* File operations of the store; contract in the header. Owns nothing. Any thread. */
#include "router/binlog/store_io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_file(const char *path, int flags, mode_t mode)
{
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static ssize_t write_at(int fd, const void *data, size_t len, off_t offset)
{
    ssize_t n;
    do {
        n = pwrite(fd, data, len, offset);
    } while (n < 0 && errno == EINTR);
    return n;
}

static int truncate_to(int fd, off_t length)
{
    int rc;
    do {
        rc = ftruncate(fd, length);
    } while (rc != 0 && errno == EINTR);
    return rc;
}

const struct sl_store_io sl_store_io_system = {
    .open = open_file,
    .close = close,
    .pwrite = write_at,
    .truncate = truncate_to,
    .sync_data = fdatasync,
    .sync = fsync,
    .rename = rename,
    .unlink = unlink,
};

const struct sl_store_io *sl_store_io = &sl_store_io_system;

int sl_store_io_write(int fd, const void *data, size_t len, uint64_t offset, size_t *ret_done)
{
    const uint8_t *bytes = data;
    size_t done = 0;
    int rc = 0;
    while (done < len && rc == 0) {
        ssize_t n = sl_store_io->pwrite(fd, bytes + done, len - done, (off_t)(offset + done));
        if (n == 0) {
            errno = ENOSPC;
        }
        if (n <= 0) {
            rc = -1;
        } else {
            done += (size_t)n;
        }
    }
    if (ret_done != NULL) {
        *ret_done = done;
    }
    return rc;
}

int sl_store_io_read(int fd, void *data, size_t len, uint64_t offset)
{
    uint8_t *bytes = data;
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, bytes + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        if (n == 0) {
            return 1;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int sl_store_io_sync_dir(const char *path)
{
    int fd = sl_store_io->open(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) {
        return -1;
    }
    int rc = sl_store_io->sync(fd);
    int saved = errno;
    sl_store_io->close(fd);
    errno = saved;
    return rc != 0 && (saved == EINVAL || saved == ENOTSUP) ? 0 : rc;
}

/* What is above it is there. */
static int make_one(char *path)
{
    if (mkdir(path, 0750) != 0) {
        return errno == EEXIST ? 0 : -1;
    }
    char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path) {
        return sl_store_io_sync_dir(slash == NULL ? "." : "/");
    }
    *slash = '\0';
    int rc = sl_store_io_sync_dir(path);
    *slash = '/';
    return rc;
}

int sl_store_io_make_dir(const char *path, char part[PATH_MAX])
{
    int n = snprintf(part, PATH_MAX, "%s", path);
    if (n <= 0 || n >= PATH_MAX) {
        errno = n <= 0 ? ENOENT : ENAMETOOLONG;
        return -1;
    }
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (make_one(part) != 0) {
            return -1;
        }
        *slash = '/';
    }
    return make_one(part);
}

static int fill(const char *path, const void *data, size_t len)
{
    int fd = sl_store_io->open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    if (fd < 0) {
        return -1;
    }
    int rc = sl_store_io_write(fd, data, len, 0, NULL);
    if (rc == 0) {
        rc = sl_store_io->sync(fd);
    }
    int saved = errno;
    sl_store_io->close(fd);
    errno = saved;
    return rc;
}

int sl_store_io_replace(const char *dir, const char *path, const void *data, size_t len)
{
    char temporary[PATH_MAX];
    int n = snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    if (n < 0 || (size_t)n >= sizeof(temporary)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (fill(temporary, data, len) != 0 || sl_store_io->rename(temporary, path) != 0) {
        int saved = errno;
        sl_store_io->unlink(temporary);
        errno = saved;
        return -1;
    }
    return sl_store_io_sync_dir(dir);
}
