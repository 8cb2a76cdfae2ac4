/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accounts of the REST interface, kept in <datadir>/passwd.
 *
 * A JSON array of {name, account, password (crypt(3)), created, last_update, last_login}. While
 * there is no file, the account admin/mariadb exists; the first change writes the file. All
 * functions: any thread.
 */
#ifndef SL_ADMIN_PASSWD_H
#define SL_ADMIN_PASSWD_H

#include <jansson.h>
#include <stdbool.h>

#include "admin/request.h"
#include "base/error.h"

struct sl_passwd;

/* Reads the file. SL_EINVAL, SL_ESYS with *err when it exists and cannot be used. */
int sl_passwd_open(const char *path, struct sl_passwd **ret, struct sl_err *err);
void sl_passwd_close(struct sl_passwd *p);

/* The role of the account, SL_ADMIN_ROLE_NONE when name or password are wrong. Takes equally long
 * for unknown names. */
enum sl_admin_role sl_passwd_check(struct sl_passwd *p, const char *name, const char *password);
/* The account's role without a password (a token names it); NONE when it is gone. */
enum sl_admin_role sl_passwd_role(struct sl_passwd *p, const char *name);

/* Changes are written before they return; on error nothing is changed. SL_EEXIST, SL_ENOENT,
 * SL_ESTATE (the last administrator), SL_EINVAL, SL_ESYS. */
int sl_passwd_add(struct sl_passwd *p, const char *name, const char *password,
                  enum sl_admin_role role, struct sl_err *err);
int sl_passwd_change(struct sl_passwd *p, const char *name, const char *password,
                     struct sl_err *err);
int sl_passwd_remove(struct sl_passwd *p, const char *name, struct sl_err *err);

/* Accounts as JSON objects {name, account, created, last_update, last_login} (times in seconds or
 * null), all or the one of that name (NULL when there is none). */
json_t *sl_passwd_list(struct sl_passwd *p);
json_t *sl_passwd_one(struct sl_passwd *p, const char *name);

#endif
