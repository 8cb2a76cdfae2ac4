/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON of user accounts: rows of mysql.global_priv and the JSON files that an administrator writes.
 *
 * The only file of this layer, beside the journal, that knows jansson. Everything parsed here comes
 * from a server or a file: nothing in it is trusted, and no value (they hold password hashes) is
 * ever put into a message.
 *
 * Keys of a global_priv row: sql/sql_acl.cc, class User_table_json. Account locking, expiry and TLS
 * columns are read as the server reads them.
 */
#include <jansson.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/json_depth.h"
#include "base/mem.h"
#include "core/accounts_internal.h"

#define SECONDS_PER_DAY 86400

/* Bits of `access`: sql/privilege.h. */
static const struct {
    uint64_t bit;
    uint32_t privilege; /* enum sl_account_privilege */
} access_bits[] = {
    {UINT64_C(1) << 6, SL_PRIV_RELOAD},
    {UINT64_C(1) << 15, SL_PRIV_SUPER},
    {UINT64_C(1) << 19, SL_PRIV_REPLICATION_SLAVE},
    {UINT64_C(1) << 20, SL_PRIV_BINLOG_MONITOR},
    {UINT64_C(1) << 34, SL_PRIV_REPLICATION_SLAVE_ADMIN},
    {UINT64_C(1) << 36, SL_PRIV_BINLOG_ADMIN},
    {UINT64_C(1) << 38, SL_PRIV_SLAVE_MONITOR},
};

/* Any of these, held globally, opens every database: sql/privilege.h, DB_ACLS. SELECT 0, INSERT
 * 1, UPDATE 2, DELETE 3, CREATE 4, DROP 5, GRANT 10, REFERENCES 11, INDEX 12, ALTER 13, CREATE
 * TEMPORARY TABLES 16, LOCK TABLES 17, EXECUTE 18, CREATE VIEW 21, SHOW VIEW 22, CREATE ROUTINE
 * 23, ALTER ROUTINE 24, EVENT 26, TRIGGER 27, DELETE HISTORY 29. */
#define ACCESS_DATABASE UINT64_C(0x2de73c3f)

static const struct {
    const char *name;
    enum sl_auth_plugin plugin;
} plugins[] = {
    {"", SL_AUTH_NATIVE},
    {"mysql_native_password", SL_AUTH_NATIVE},
    {"ed25519", SL_AUTH_ED25519},
    {"pam", SL_AUTH_PAM},
    {"pam_v1", SL_AUTH_PAM},
    {"gssapi", SL_AUTH_GSSAPI},
    {"unix_socket", SL_AUTH_UNIX_SOCKET},
    {"auth_socket", SL_AUTH_UNIX_SOCKET},
};

enum sl_auth_plugin sl_account_plugin_by_name(const char *name)
{
    for (unsigned i = 0; i < SL_ARRAY_LEN(plugins); i++) {
        if (strcasecmp(name, plugins[i].name) == 0) {
            return plugins[i].plugin;
        }
    }
    return SL_AUTH_OTHER;
}

void sl_account_apply_access(struct sl_account *account, uint64_t access)
{
    for (unsigned i = 0; i < SL_ARRAY_LEN(access_bits); i++) {
        account->privileges |= (access & access_bits[i].bit) != 0 ? access_bits[i].privilege : 0;
    }
    account->knows_privileges = true;
    account->is_super = (account->privileges & SL_PRIV_SUPER) != 0;
    account->has_global_db_access = (access & ACCESS_DATABASE) != 0;
}

/* --- values ----------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? json_string_value(value) : "";
}

/* All numbers are read as reals (JSON_DECODE_INT_AS_REAL), because
 * {"access":18446744073709551615} fits no signed integer; the known bits and times are far below
 * 2^53, where reals are exact. */
static uint64_t bits_of(const json_t *object, const char *key)
{
    double real = json_number_value(json_object_get(object, key));
    return real >= 18446744073709551615.0 ? UINT64_MAX : real > 0 ? (uint64_t)real : 0;
}

static int64_t number_of(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(object, key);
    double real = json_is_number(value) ? json_number_value(value) : (double)fallback;
    return real > -9e18 && real < 9e18 ? (int64_t)real : fallback;
}

/* --- mysql.global_priv ------------------------------------------------------------------------ */

static void add_auth(struct sl_account *account, const json_t *source)
{
    if (account->auth_count < SL_ACCOUNT_AUTH_MAX) {
        struct sl_account_auth *auth = &account->auth[account->auth_count++];
        auth->plugin_name = text_of(source, "plugin");
        auth->plugin = sl_account_plugin_by_name(auth->plugin_name);
        auth->string = text_of(source, "authentication_string");
        if (auth->plugin_name[0] == '\0') {
            auth->plugin_name = "mysql_native_password";
        }
    }
}

/* An empty object among the alternatives stands for the pair at the top. */
static void read_auth(struct sl_account *account, const json_t *row)
{
    const json_t *alternatives = json_object_get(row, "auth_or");
    if (!json_is_array(alternatives) || json_array_size(alternatives) == 0) {
        add_auth(account, row);
        return;
    }
    for (size_t i = 0; i < json_array_size(alternatives); i++) {
        const json_t *one = json_array_get(alternatives, i);
        add_auth(account, json_object_size(one) == 0 ? row : one);
    }
}

/* "password_last_changed":0 is PASSWORD EXPIRE; a lifetime counts in days. The server's default
 * lifetime is not known here, and not needed: the server itself answers 1820. */
static bool is_expired(const json_t *row)
{
    int64_t changed = number_of(row, "password_last_changed", -1);
    int64_t lifetime = number_of(row, "password_lifetime", -1);
    if (changed == 0) {
        return true;
    }
    return changed > 0 && lifetime > 0 &&
           (sl_clock_wall_s() - changed) / SECONDS_PER_DAY >= lifetime;
}

int sl_accounts_builder_add_global_priv(struct sl_accounts_builder *b, const char *user,
                                        const char *host, const char *priv_json)
{
    size_t len = strlen(priv_json);
    json_t *row = sl_json_depth_is_sane(priv_json, len)
                      ? json_loadb(priv_json, len, JSON_DECODE_INT_AS_REAL, NULL)
                      : NULL;
    if (!json_is_object(row)) {
        json_decref(row);
        return SL_EINVAL;
    }
    struct sl_account account = {.user = user, .host = host};
    /* enum SSL_type of sql/structs.h: -1, 0 none, 1 any, 2 x509, 3 named */
    int64_t ssl_type = number_of(row, "ssl_type", 0);
    account.requires_tls = ssl_type > 0;
    account.requires_x509 = ssl_type > 1;
    account.is_locked = json_is_true(json_object_get(row, "account_locked"));
    account.is_expired = is_expired(row);
    account.default_role = text_of(row, "default_role");
    sl_account_apply_access(&account, bits_of(row, "access"));
    read_auth(&account, row);
    int rc =
        sl_accounts_builder_add_account(b, &account, json_is_true(json_object_get(row, "is_role")));
    json_decref(row);
    return rc;
}

/* --- files ------------------------------------------------------------------------------------ */

struct sl_json_row {
    const json_t *object;
};

const char *sl_json_row_text(const struct sl_json_row *row, const char *key)
{
    return json_string_value(json_object_get(row->object, key));
}

bool sl_json_row_bool(const struct sl_json_row *row, const char *key)
{
    const json_t *value = json_object_get(row->object, key);
    if (json_is_string(value)) {
        return strcasecmp(json_string_value(value), "Y") == 0 ||
               strcasecmp(json_string_value(value), "true") == 0;
    }
    return json_is_true(value) || (json_is_number(value) && json_number_value(value) != 0);
}

static int walk(const json_t *array, const char *array_name,
                int (*on_row)(void *arg, const struct sl_json_row *row, struct sl_err *err),
                void *arg, struct sl_err *err)
{
    if (!json_is_array(array)) {
        return sl_err_set(err, SL_EINVAL, "'%s' is not an array", array_name);
    }
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct sl_json_row row = {json_array_get(array, i)};
        if (!json_is_object(row.object)) {
            return sl_err_set(err, SL_EINVAL, "element %zu of '%s' is not an object", i,
                              array_name);
        }
        int rc = on_row(arg, &row, err);
        if (rc != 0) {
            return sl_err_wrap(err, "element %zu of '%s'", i, array_name);
        }
    }
    return 0;
}

int sl_json_rows(struct sl_slice text, const char *array_name,
                 int (*on_row)(void *arg, const struct sl_json_row *row, struct sl_err *err),
                 void *arg, struct sl_err *err)
{
    json_error_t where = {.line = 0};
    if (!sl_json_depth_is_sane((const char *)text.data, text.len)) {
        return sl_err_set(err, SL_EINVAL, "JSON is nested deeper than %d", SL_JSON_DEPTH_MAX);
    }
    json_t *root = json_loadb((const char *)text.data, text.len, JSON_DECODE_INT_AS_REAL, &where);
    if (root == NULL) {
        return sl_err_set(err, SL_EINVAL, "not valid JSON, line %d column %d", where.line,
                          where.column);
    }
    int rc = 0;
    if (!json_is_object(root)) {
        rc = sl_err_set(err, SL_EINVAL, "not a JSON object");
    } else if (json_object_get(root, array_name) != NULL) {
        rc = walk(json_object_get(root, array_name), array_name, on_row, arg, err);
    }
    json_decref(root);
    return rc;
}
