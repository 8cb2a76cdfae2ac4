/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole files of the control path: read with a bound, written so that a crash or a power cut at any
 * moment leaves either the old content or the new one. Blocking; never on workers. Any thread.
 */
#ifndef SL_BASE_FILE_H
#define SL_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/* The content, NUL-terminated (the length does not count the NUL); the caller frees, and wipes what
 * is secret. SL_ENOENT: there is none. SL_ELIMIT: not a regular file (a pipe would block) of at most
 * `max` bytes. SL_ESYS, SL_ENOMEM. */
int sl_file_read(const char *path, size_t max, char **ret, size_t *ret_len, struct sl_err *err);

struct sl_file_options {
    mode_t mode;
    bool must_be_new;  /* SL_EEXIST when there is a file of that name */
    bool is_for_owner; /* of the two ids, not ours */
    uid_t uid;
    gid_t gid;
};

/* Writes under a temporary name beside `path`, syncs, renames. SL_ESYS, SL_EINVAL (path too long),
 * SL_EEXIST. */
int sl_file_write(const char *path, const char *text, const struct sl_file_options *options,
                  struct sl_err *err);

#endif
