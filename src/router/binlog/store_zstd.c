/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zstd: files in and out. Memory: one input and one output buffer of the library's sizes and its
 * window, whatever the file's size. Owns nothing between calls; the keeper's thread, or the control
 * thread while the store is being opened.
 */
#include "router/binlog/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/assert.h"
#include "base/mem.h"

enum {
    LEVEL = 3,
    PROGRESS_STEP = 4 * 1024 * 1024 /* bytes between two calls of `progress` */
};

/* One file being transformed into another. */
struct job {
    int from, to;
    uint64_t read, written, told;
    uint64_t most; /* bytes that may come out of it */
    uint8_t *in_data, *out_data;
    size_t in_size, out_size;
    sl_store_progress *progress;
    void *arg;
};

static int job_open(struct job *j, const char *path, size_t in_size, size_t out_size,
                    struct sl_err *err)
{
    j->in_size = in_size;
    j->out_size = out_size;
    j->in_data = sl_malloc(in_size);
    j->out_data = sl_malloc(out_size);
    j->from = sl_store_io->open(path, O_RDONLY, 0);
    if (j->in_data == NULL || j->out_data == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory for '%s'", path);
    }
    return j->from < 0 ? sl_err_set(err, errno == ENOENT ? SL_ENOENT : SL_ESYS,
                                    "cannot open '%s': %s", path, strerror(errno))
                       : SL_OK;
}

static void job_close(struct job *j)
{
    if (j->from >= 0) {
        sl_store_io->close(j->from);
    }
    sl_free(j->in_data);
    sl_free(j->out_data);
}

static int read_more(struct job *j, const char *path, size_t *ret_len, struct sl_err *err)
{
    ssize_t n;
    do {
        n = pread(j->from, j->in_data, j->in_size, (off_t)j->read);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return sl_err_set(err, SL_ESYS, "cannot read '%s': %s", path, strerror(errno));
    }
    j->read += (uint64_t)n;
    *ret_len = (size_t)n;
    return SL_OK;
}

static int write_more(struct sl_store *s, struct job *j, size_t len, const char *path,
                      struct sl_err *err)
{
    if (len > j->most - j->written) {
        return sl_err_set(
            err, SL_EPROTO,
            "'%s' is damaged: more comes out of it than the %llu bytes it should have", path,
            (unsigned long long)j->most);
    }
    if (j->to >= 0 && sl_store_io_write(j->to, j->out_data, len, j->written, NULL) != 0) {
        return sl_store_fail(s, "cannot write what comes of", path, err);
    }
    j->written += len;
    if (j->progress != NULL && j->written - j->told >= PROGRESS_STEP) {
        j->told = j->written;
        if (!j->progress(j->arg, j->written)) {
            return sl_err_set(err, SL_ESTATE, "interrupted");
        }
    }
    return SL_OK;
}

/* ---- decompression ---- */

static int expand_piece(struct sl_store *s, struct job *j, ZSTD_DStream *stream, size_t len,
                        const char *path, size_t *ret_more, struct sl_err *err)
{
    ZSTD_inBuffer in = {j->in_data, len, 0};
    bool is_full = true;
    while (in.pos < in.size || is_full) {
        ZSTD_outBuffer out = {j->out_data, j->out_size, 0};
        *ret_more = ZSTD_decompressStream(stream, &out, &in);
        if (ZSTD_isError(*ret_more)) {
            return sl_err_set(err, SL_EPROTO, "'%s' is damaged: %s", path,
                              ZSTD_getErrorName(*ret_more));
        }
        is_full = out.pos == out.size && *ret_more != 0;
        int rc = write_more(s, j, out.pos, path, err);
        if (rc < 0) {
            return rc;
        }
    }
    return SL_OK;
}

/* to < 0: only counts. */
static int expand(struct sl_store *s, struct job *j, const char *path, struct sl_err *err)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    int rc = job_open(j, path, ZSTD_DStreamInSize(), ZSTD_DStreamOutSize(), err);
    if (rc == SL_OK && stream == NULL) {
        rc = sl_err_set(err, SL_ENOMEM, "out of memory for '%s'", path);
    }
    size_t len = 1, more = 0;
    while (rc == SL_OK && len > 0) {
        rc = read_more(j, path, &len, err);
        if (rc == SL_OK && len > 0) {
            rc = expand_piece(s, j, stream, len, path, &more, err);
        }
    }
    if (rc == SL_OK && more != 0) {
        rc = sl_err_set(err, SL_EPROTO, "'%s' is damaged: it ends too early", path);
    }
    ZSTD_freeDStream(stream);
    job_close(j);
    return rc;
}

int sl_store_zstd_expand(struct sl_store *s, const char *path, int to, uint64_t size,
                         sl_store_progress *progress, void *arg, struct sl_err *err)
{
    struct job j = {.from = -1, .to = to, .most = size, .progress = progress, .arg = arg};
    int rc = expand(s, &j, path, err);
    if (rc == SL_OK && progress != NULL) {
        progress(arg, j.written);
    }
    return rc;
}

int sl_store_zstd_size(const char *path, uint64_t *ret, struct sl_err *err)
{
    uint8_t bytes[32];
    int fd = sl_store_io->open(path, O_RDONLY, 0);
    ssize_t n = fd >= 0 ? pread(fd, bytes, sizeof(bytes), 0) : -1;
    if (fd >= 0) {
        sl_store_io->close(fd);
    }
    unsigned long long size = ZSTD_getFrameContentSize(bytes, n > 0 ? (size_t)n : 0);
    if (size != ZSTD_CONTENTSIZE_UNKNOWN && size != ZSTD_CONTENTSIZE_ERROR) {
        *ret = size;
        return SL_OK;
    }
    struct job j = {.from = -1, .to = -1, .most = UINT64_MAX};
    int rc = expand(NULL, &j, path, err);
    *ret = j.written;
    return rc;
}

int sl_store_zstd_count(struct sl_store *s, const char *path, uint64_t *ret, struct sl_err *err)
{
    struct job j = {
        .from = -1, .to = -1, .most = UINT64_MAX, .progress = sl_store_keeper_goes_on, .arg = s};
    int rc = expand(s, &j, path, err);
    *ret = j.written;
    return rc;
}

int sl_store_zstd_scratch(const struct sl_store *s)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/compression/expanded.XXXXXX", s->datadir);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) {
        unlink(path);
    }
    return fd;
}

int sl_store_zstd_expand_now(struct sl_store *s, const char *path, uint64_t size, int *ret_fd,
                             struct sl_err *err)
{
    int fd = sl_store_zstd_scratch(s);
    if (fd < 0) {
        return sl_store_fail(s, "cannot make a file for decompression in", s->datadir, err);
    }
    int rc = sl_store_zstd_expand(s, path, fd, size, NULL, NULL, err);
    if (rc < 0) {
        sl_store_io->close(fd);
        return rc;
    }
    *ret_fd = fd;
    return SL_OK;
}

/* ---- compression ---- */

static int compress_piece(struct sl_store *s, struct job *j, ZSTD_CStream *stream, size_t len,
                          const char *path, struct sl_err *err)
{
    ZSTD_inBuffer in = {j->in_data, len, 0};
    size_t left = 1;
    while (len > 0 ? in.pos < in.size : left > 0) {
        ZSTD_outBuffer out = {j->out_data, j->out_size, 0};
        left = ZSTD_compressStream2(stream, &out, &in, len > 0 ? ZSTD_e_continue : ZSTD_e_end);
        if (ZSTD_isError(left)) {
            return sl_err_set(err, SL_ESYS, "cannot compress '%s': %s", path,
                              ZSTD_getErrorName(left));
        }
        int rc = write_more(s, j, out.pos, path, err);
        if (rc < 0) {
            return rc;
        }
    }
    return SL_OK;
}

static int compress(struct sl_store *s, struct job *j, const char *path, struct sl_err *err)
{
    struct stat st;
    ZSTD_CStream *stream = ZSTD_createCStream();
    int rc = job_open(j, path, ZSTD_CStreamInSize(), ZSTD_CStreamOutSize(), err);
    if (rc == SL_OK && stream == NULL) {
        rc = sl_err_set(err, SL_ENOMEM, "out of memory for '%s'", path);
    }
    if (rc == SL_OK && fstat(j->from, &st) == 0) {
        ZSTD_CCtx_setParameter(stream, ZSTD_c_compressionLevel, LEVEL);
        ZSTD_CCtx_setParameter(stream, ZSTD_c_checksumFlag, 1);
        ZSTD_CCtx_setPledgedSrcSize(stream, (unsigned long long)st.st_size);
    }
    size_t len = 1;
    while (rc == SL_OK && len > 0) {
        rc = read_more(j, path, &len, err);
        if (rc == SL_OK) {
            rc = compress_piece(s, j, stream, len, path, err);
        }
    }
    ZSTD_freeCStream(stream);
    job_close(j);
    return rc;
}

int sl_store_zstd_compress(struct sl_store *s, const char *path, const char *to,
                           sl_store_progress *progress, void *arg, struct sl_err *err)
{
    struct job j = {.from = -1, .most = UINT64_MAX, .progress = progress, .arg = arg};
    j.to = sl_store_io->open(to, O_RDWR | O_CREAT | O_TRUNC, 0640);
    if (j.to < 0) {
        return sl_store_fail(s, "cannot create", to, err);
    }
    int rc = compress(s, &j, path, err);
    if (rc == SL_OK && sl_store_io->sync(j.to) != 0) {
        rc = sl_store_fail(s, "cannot sync", to, err);
    }
    sl_store_io->close(j.to);
    if (rc < 0) {
        sl_store_io->unlink(to);
    }
    return rc;
}
