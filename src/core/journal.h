/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A monitor's journal: the last known status of its servers, so that a restarted daemon starts from
 * what it knew instead of from nothing.
 *
 * A JSON file <datadir>/<monitor>_journal.json with module, maxscale_version, timestamp and
 * servers[] {name, status}. It is replaced atomically, so a reader sees the old or the new one. A
 * file that is not exactly ours is refused.
 */
#ifndef SL_CORE_JOURNAL_H
#define SL_CORE_JOURNAL_H

#include <stdint.h>

#include "base/error.h"

#define SL_JOURNAL_VERSION 240204 /* the format (and release) we are compatible with */
#define SL_JOURNAL_MAX_BYTES (1 << 20)

struct sl_journal {
    const char *path;
    const char *module;       /* "galeramon" */
    const char *const *names; /* servers, in the order of the configuration */
    unsigned count;
};

/* Writes status[count] under a temporary name, syncs, renames over `path`. Blocking. SL_ESYS,
 * SL_ENOMEM. */
int sl_journal_write(const struct sl_journal *j, const uint32_t *status, int64_t now_s,
                     struct sl_err *err);

/* Fills status[count]; nothing is touched on failure. SL_ENOENT: there is none. SL_ESTATE: a
 * good journal of another configuration, or too old. SL_EINVAL: not a journal (half-written,
 * foreign). SL_ESYS. AUTH_ERROR and NEED_DNS are dropped: both are found out again at once. */
int sl_journal_read(const struct sl_journal *j, uint32_t *status, int64_t now_s, int64_t max_age_s,
                    struct sl_err *err);

#endif
