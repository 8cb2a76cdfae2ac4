/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_mapping_file: as whom a client's session logs in to the servers.
 *
 * Read once when the listener is made or changed; immutable afterwards. Any thread may ask.
 */
#ifndef SL_CORE_USER_MAPPING_H
#define SL_CORE_USER_MAPPING_H

#include <stdbool.h>

#include "base/error.h"
#include "base/slice.h"

struct sl_secrets;
struct sl_user_mapping;

struct sl_mapped_user {   /* valid as long as the mapping */
    const char *user;     /* name towards the servers */
    const char *password; /* in clear, "" if the file has none; never log it */
    const char *plugin;   /* "mysql_native_password" unless the file says otherwise */
};

/* `secrets` decrypts the file's passwords, NULL: they are plain. 0, SL_EINVAL (content), SL_ESYS
 * (file), SL_ELIMIT, SL_ENOMEM. */
int sl_user_mapping_load(const char *path, const struct sl_secrets *secrets,
                         struct sl_user_mapping **ret, struct sl_err *err);
int sl_user_mapping_parse(struct sl_slice json, const struct sl_secrets *secrets,
                          struct sl_user_mapping **ret, struct sl_err *err);
void sl_user_mapping_free(struct sl_user_mapping *m); /* NULL is a no-op */

/* By name first, then by the Linux groups of the user in the order of the file. A name that
 * nothing maps stands for itself if server_credentials knows it. False: not mapped. Asks the
 * system's user database (may take long if that is remote) only if the file has a group_map and
 * no user_map entry matched. */
bool sl_user_mapping_find(const struct sl_user_mapping *m, struct sl_slice user,
                          struct sl_mapped_user *ret);

#endif
