/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole files; contract in the header. Owns nothing between calls.
 *
 *   write: temporary file -> owner, mode -> content -> fsync -> rename (or link) -> fsync directory
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

/* ---- read ---- */

static int read_all(int fd, char *text, size_t size, size_t *ret_len)
{
    size_t len = 0;
    while (len < size) {
        ssize_t n = read(fd, text + len, size - len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return SL_ESYS;
        }
        if (n == 0) {
            break; /* it shrank */
        }
        len += (size_t)n;
    }
    *ret_len = len;
    return SL_OK;
}

static int read_open(int fd, const char *path, size_t max, char **ret, size_t *ret_len,
                     struct sl_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return sl_err_set(err, SL_ESYS, "cannot read '%s': %s", path, strerror(errno));
    }
    if (!S_ISREG(st.st_mode) || (size_t)st.st_size > max) {
        return sl_err_set(err, SL_ELIMIT, "'%s' is not a regular file of at most %zu bytes", path,
                          max);
    }
    size_t size = (size_t)st.st_size;
    char *text = sl_malloc(size + 1);
    if (text == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory reading '%s'", path);
    }
    if (read_all(fd, text, size, ret_len) < 0) {
        int rc = sl_err_set(err, SL_ESYS, "cannot read '%s': %s", path, strerror(errno));
        sl_free(text);
        return rc;
    }
    text[*ret_len] = '\0';
    *ret = text;
    return SL_OK;
}

int sl_file_read(const char *path, size_t max, char **ret, size_t *ret_len, struct sl_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return sl_err_set(err, errno == ENOENT ? SL_ENOENT : SL_ESYS, "cannot open '%s': %s", path,
                          strerror(errno));
    }
    int rc = read_open(fd, path, max, ret, ret_len, err);
    close(fd);
    return rc;
}

/* ---- write ---- */

static int write_all(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return -1;
        }
        text += n;
        len -= (size_t)n;
    }
    return fsync(fd);
}

static int fill(int fd, const char *text, const struct sl_file_options *o)
{
    if ((o->is_for_owner && fchown(fd, o->uid, o->gid) != 0) || fchmod(fd, o->mode) != 0) {
        return -1;
    }
    return write_all(fd, text);
}

/* link(2), unlike rename(2), replaces nothing. */
static int give_name(const char *temporary, const char *path, bool must_be_new)
{
    if (!must_be_new) {
        return rename(temporary, path);
    }
    return link(temporary, path) == 0 ? unlink(temporary) : -1;
}

/* The new name survives a power cut only once the directory is on disk, too. A directory that
 * cannot be synced (some network file systems) is no reason to fail. */
static void sync_directory(const char *path)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof(dir), "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash != NULL) {
        slash[slash == dir ? 1 : 0] = '\0';
    }
    int fd = open(slash != NULL ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

int sl_file_write(const char *path, const char *text, const struct sl_file_options *options,
                  struct sl_err *err)
{
    char temporary[PATH_MAX];
    int n = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    if (n < 0 || (size_t)n >= sizeof(temporary)) {
        return sl_err_set(err, SL_EINVAL, "the path '%.100s...' is too long", path);
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return sl_err_set(err, SL_ESYS, "cannot write '%s': %s", path, strerror(errno));
    }
    int rc = fill(fd, text, options);
    int saved_errno = errno;
    close(fd);
    if (rc == 0) {
        rc = give_name(temporary, path, options->must_be_new);
        saved_errno = errno;
    }
    if (rc != 0) {
        unlink(temporary);
        return sl_err_set(err, saved_errno == EEXIST ? SL_EEXIST : SL_ESYS, "cannot write '%s': %s",
                          path, strerror(saved_errno));
    }
    sync_directory(path);
    return SL_OK;
}
