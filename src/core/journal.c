/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing of monitor journals. Runs on the monitor's thread (write) and on the thread
 * that starts the monitor (read). Owns no state.
 *
 * Invariants: J1 the file under its final name is always complete (temporary file, fsync, rename,
 * fsync of the directory); J2 a journal is used completely or not at all.
 */
#include "core/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/assert.h"
#include "base/mem.h"
#include "core/server.h"

/* ---- write ---- */

static char *render(const struct sl_journal *j, const uint32_t *status, int64_t now_s)
{
    json_t *servers = json_array();
    for (unsigned i = 0; i < j->count && servers; i++) {
        json_t *row = json_pack("{s:s, s:I}", "name", j->names[i], "status", (json_int_t)status[i]);
        if (json_array_append_new(servers, row) != 0) {
            json_decref(servers);
            servers = NULL;
        }
    }
    json_t *root = servers ? json_pack("{s:s, s:I, s:I, s:o}", "module", j->module,
                                       "maxscale_version", (json_int_t)SL_JOURNAL_VERSION,
                                       "timestamp", (json_int_t)now_s, "servers", servers)
                           : NULL;
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    return text;
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return SL_ESYS;
        }
        data += n;
        len -= (size_t)n;
    }
    return SL_OK;
}

/* The rename survives a power cut only once the directory is on disk, too. A directory that
 * cannot be synced (some network file systems) is no reason to fail. */
static void sync_directory(const char *path)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof(dir), "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash) {
        slash[slash == dir ? 1 : 0] = '\0';
    }
    int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

static int write_file(const char *path, const char *text, struct sl_err *err)
{
    char temporary[PATH_MAX];
    int n = snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    if (n < 0 || (size_t)n >= sizeof(temporary)) {
        return sl_err_set(err, SL_EINVAL, "the path of journal '%s' is too long", path);
    }
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) {
        return sl_err_set(err, SL_ESYS, "cannot create '%s': %s", temporary, strerror(errno));
    }
    int rc = write_all(fd, text, strlen(text));
    if (rc == SL_OK && fsync(fd) != 0) {
        rc = SL_ESYS;
    }
    int saved_errno = errno;
    close(fd);
    if (rc == SL_OK && rename(temporary, path) != 0) {
        saved_errno = errno;
        rc = SL_ESYS;
    }
    if (rc < 0) {
        unlink(temporary);
        return sl_err_set(err, rc, "cannot write '%s': %s", path, strerror(saved_errno));
    }
    sync_directory(path);
    return SL_OK;
}

int sl_journal_write(const struct sl_journal *j, const uint32_t *status, int64_t now_s,
                     struct sl_err *err)
{
    char *text = render(j, status, now_s);
    if (!text) {
        return sl_err_set(err, SL_ENOMEM, "no memory to write journal '%s'", j->path);
    }
    int rc = write_file(j->path, text, err);
    free(text);
    return rc;
}

/* ---- read ---- */

static int read_file(const char *path, char **ret_text, size_t *ret_len, struct sl_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return sl_err_set(err, errno == ENOENT ? SL_ENOENT : SL_ESYS, "cannot open '%s': %s", path,
                          strerror(errno));
    }
    struct stat st;
    int rc = SL_OK;
    char *text = NULL;
    size_t len = 0;
    if (fstat(fd, &st) != 0) {
        rc = sl_err_set(err, SL_ESYS, "cannot read '%s': %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > SL_JOURNAL_MAX_BYTES) {
        rc = sl_err_set(err, SL_EINVAL, "'%s' is not a journal: %s", path,
                        S_ISREG(st.st_mode) ? "empty or too large" : "not a regular file");
    } else if (!(text = sl_malloc((size_t)st.st_size))) {
        rc = sl_err_set(err, SL_ENOMEM, "no memory to read '%s'", path);
    }
    while (rc == SL_OK && len < (size_t)st.st_size) {
        ssize_t n = read(fd, text + len, (size_t)st.st_size - len);
        if (n <= 0) {
            rc = sl_err_set(err, SL_ESYS, "cannot read '%s': %s", path,
                            n == 0 ? "it shrank" : strerror(errno));
        } else {
            len += (size_t)n;
        }
    }
    close(fd);
    if (rc < 0) {
        sl_free(text);
        return rc;
    }
    *ret_text = text;
    *ret_len = len;
    return SL_OK;
}

static int check_servers(const struct sl_journal *j, const json_t *servers, uint32_t *status,
                         struct sl_err *err)
{
    if (json_array_size(servers) != j->count) {
        return sl_err_set(err, SL_ESTATE, "journal '%s' is of another list of servers", j->path);
    }
    for (unsigned i = 0; i < j->count; i++) {
        const json_t *row = json_array_get(servers, i);
        const char *name = json_string_value(json_object_get(row, "name"));
        const json_t *word = json_object_get(row, "status");
        if (!name || !json_is_integer(word) || json_integer_value(word) < 0 ||
            json_integer_value(word) > UINT32_MAX) {
            return sl_err_set(err, SL_EINVAL,
                              "'%s' is not a journal: server %u has no name or status", j->path, i);
        }
        if (strcmp(name, j->names[i]) != 0) {
            return sl_err_set(err, SL_ESTATE,
                              "journal '%s' is of another list of servers: '%s' instead of '%s'",
                              j->path, name, j->names[i]);
        }
        status[i] = (uint32_t)json_integer_value(word) &
                    ~(uint32_t)(SL_SERVER_AUTH_ERROR | SL_SERVER_NEED_DNS);
    }
    return SL_OK;
}

static int check_root(const struct sl_journal *j, const json_t *root, int64_t now_s,
                      int64_t max_age_s, struct sl_err *err)
{
    const char *module = json_string_value(json_object_get(root, "module"));
    const json_t *version = json_object_get(root, "maxscale_version");
    const json_t *timestamp = json_object_get(root, "timestamp");
    if (!module || !json_is_integer(version) || !json_is_integer(timestamp) ||
        !json_is_array(json_object_get(root, "servers"))) {
        return sl_err_set(err, SL_EINVAL, "'%s' is not a journal: a field is missing", j->path);
    }
    if (strcmp(module, j->module) != 0) {
        return sl_err_set(err, SL_ESTATE, "journal '%s' is of module '%.64s'", j->path, module);
    }
    if (json_integer_value(version) != SL_JOURNAL_VERSION) {
        return sl_err_set(err, SL_ESTATE, "journal '%s' is of version %lld, not %d", j->path,
                          (long long)json_integer_value(version), SL_JOURNAL_VERSION);
    }
    /* A time stamp from the future (the clock was set back) has an unknown age. */
    int64_t written_s = json_integer_value(timestamp);
    if (written_s < 0 || written_s > now_s || now_s - written_s > max_age_s) {
        return sl_err_set(err, SL_ESTATE, "journal '%s' is %lld seconds old, allowed are 0 to %lld",
                          j->path, (long long)(now_s - SL_MAX(written_s, 0)), (long long)max_age_s);
    }
    return SL_OK;
}

int sl_journal_read(const struct sl_journal *j, uint32_t *status, int64_t now_s, int64_t max_age_s,
                    struct sl_err *err)
{
    char *text = NULL;
    size_t len = 0;
    int rc = read_file(j->path, &text, &len, err);
    if (rc < 0) {
        return rc;
    }
    json_error_t why;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    sl_free(text);
    uint32_t *found = sl_calloc(j->count ? j->count : 1, sizeof(*found));
    if (!root || !json_is_object(root)) {
        rc = sl_err_set(err, SL_EINVAL, "'%s' is not a journal: %s", j->path,
                        root ? "not an object" : why.text);
    } else if (!found) {
        rc = sl_err_set(err, SL_ENOMEM, "no memory to read '%s'", j->path);
    } else {
        rc = check_root(j, root, now_s, max_age_s, err);
        if (rc == SL_OK) {
            rc = check_servers(j, json_object_get(root, "servers"), found, err);
        }
    }
    if (rc == SL_OK) {
        memcpy(status, found, j->count * sizeof(*status));
    }
    sl_free(found);
    json_decref(root);
    return rc;
}
