/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_accounts_file: accounts that an administrator writes into a JSON file, in addition to, or in
 * place of, those of the servers. Loader thread.
 *
 *   {"user": [{"user": "u", "host": "%", "password": "*HASH", ...}], "db": [...], "roles_mapping":
 *   [...]}
 *
 * Keys and their meaning: MaxScale 24.02 configuration guide, user_accounts_file. Rows of the
 * servers are added first and win over rows of the file with the same user@host
 * (sl_accounts_build).
 */
#include <string.h>

#include "base/assert.h"
#include "base/file.h"
#include "base/mem.h"
#include "core/accounts_internal.h"

#define FILE_MAX (64u << 20)

static const char *text_or(const struct sl_json_row *row, const char *key, const char *fallback)
{
    const char *text = sl_json_row_text(row, key);
    return text != NULL ? text : fallback;
}

static int on_user(void *arg, const struct sl_json_row *row, struct sl_err *err)
{
    bool is_role = sl_json_row_bool(row, "is_role");
    struct sl_account account = {
        .user = sl_json_row_text(row, "user"),
        .host = text_or(row, "host", ""),
        .default_role = text_or(row, "default_role", ""),
        .is_super = sl_json_row_bool(row, "super_priv"),
        .privileges = sl_json_row_bool(row, "super_priv") ? SL_PRIV_SUPER : 0,
        .has_global_db_access = sl_json_row_bool(row, "global_db_priv"),
        .has_proxy_grant = sl_json_row_bool(row, "proxy_priv"),
        .auth_count = is_role ? 0 : 1,
    };
    if (account.user == NULL) {
        return sl_err_set(err, SL_EINVAL, "'user' is missing");
    }
    if (!is_role && sl_json_row_text(row, "host") == NULL) {
        return sl_err_set(err, SL_EINVAL, "'host' is missing");
    }
    struct sl_account_auth *auth = &account.auth[0];
    auth->plugin_name = text_or(row, "plugin", "");
    auth->plugin = sl_account_plugin_by_name(auth->plugin_name);
    auth->string = text_or(row, "authentication_string", "");
    if (auth->string[0] == '\0') {
        auth->string = text_or(row, "password", "");
    }
    if (auth->plugin_name[0] == '\0') {
        auth->plugin_name = "mysql_native_password";
    }
    int rc = sl_accounts_builder_add_account(arg, &account, is_role);
    return rc == 0 ? 0 : sl_err_set(err, rc, "%s", sl_rc_text(rc));
}

static int on_db(void *arg, const struct sl_json_row *row, struct sl_err *err)
{
    const char *user = sl_json_row_text(row, "user");
    const char *db = sl_json_row_text(row, "db");
    if (user == NULL || db == NULL) {
        return sl_err_set(err, SL_EINVAL, "'%s' is missing", user == NULL ? "user" : "db");
    }
    int rc = sl_accounts_builder_add_db(arg, user, text_or(row, "host", ""), db);
    return rc == 0 ? 0 : sl_err_set(err, rc, "%s", sl_rc_text(rc));
}

static int on_role(void *arg, const struct sl_json_row *row, struct sl_err *err)
{
    const char *user = sl_json_row_text(row, "user");
    const char *role = sl_json_row_text(row, "role");
    if (user == NULL || role == NULL) {
        return sl_err_set(err, SL_EINVAL, "'%s' is missing", user == NULL ? "user" : "role");
    }
    int rc = sl_accounts_builder_add_role(arg, user, text_or(row, "host", ""), role);
    return rc == 0 ? 0 : sl_err_set(err, rc, "%s", sl_rc_text(rc));
}

int sl_accounts_file_parse(struct sl_slice text, struct sl_accounts_builder *b, struct sl_err *err)
{
    static const struct {
        const char *name;
        int (*on_row)(void *arg, const struct sl_json_row *row, struct sl_err *err);
    } arrays[] = {{"user", on_user}, {"db", on_db}, {"roles_mapping", on_role}};
    for (unsigned i = 0; i < SL_ARRAY_LEN(arrays); i++) {
        int rc = sl_json_rows(text, arrays[i].name, arrays[i].on_row, b, err);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int sl_accounts_file_load(const char *path, struct sl_accounts_builder *b, struct sl_err *err)
{
    char *text;
    size_t len;
    int rc = sl_file_read(path, FILE_MAX, &text, &len, err);
    if (rc != 0) {
        return rc == SL_ENOENT ? SL_ESYS : rc;
    }
    rc = sl_accounts_file_parse(sl_slice(text, len), b, err);
    if (rc != 0) {
        sl_err_wrap(err, "user accounts file '%s'", path);
    }
    sl_wipe(text, len);
    sl_free(text);
    return rc;
}
