/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing of monitor journals. Runs on the monitor's thread (write) and on the thread
 * that starts the monitor (read). Owns no state.
 *
 * Invariants: J1 the file under its final name is always complete (base/file.h); J2 a journal is
 * used completely or not at all.
 */
#include "core/journal.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/assert.h"
#include "base/file.h"
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

int sl_journal_write(const struct sl_journal *j, const uint32_t *status, int64_t now_s,
                     struct sl_err *err)
{
    char *text = render(j, status, now_s);
    if (!text) {
        return sl_err_set(err, SL_ENOMEM, "no memory to write journal '%s'", j->path);
    }
    const struct sl_file_options options = {.mode = 0640};
    int rc = sl_file_write(j->path, text, &options, err);
    free(text);
    return rc;
}

/* ---- read ---- */

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
    int rc = sl_file_read(j->path, SL_JOURNAL_MAX_BYTES, &text, &len, err);
    if (rc < 0) {
        return rc == SL_ELIMIT ? SL_EINVAL : rc;
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
