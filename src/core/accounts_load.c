/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the grant tables of one server into a builder. Loader thread; blocking, with the deadlines
 * of the connection.
 *
 * One row of `tables` per grant table: the statement, what a result row becomes, and what is lost
 * without it. A table that may not be read is a gap, not an error: only the accounts themselves
 * must be readable, from mysql.global_priv (10.4 and later, all alternatives of an account) or else
 * from mysql.user (the first alternative only).
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "core/accounts_internal.h"
#include "dbc/dbc.h"

struct table {
    const char *sql;
    int (*add)(struct sl_accounts_builder *b, const char *user, const char *host,
               const char *value);
    const char *grant;  /* the privilege that is needed */
    const char *effect; /* of its absence */
};

static int add_proxy(struct sl_accounts_builder *b, const char *user, const char *host,
                     const char *value)
{
    return sl_accounts_builder_add_proxy(b, user, host);
}

static int add_database(struct sl_accounts_builder *b, const char *db, const char *host,
                        const char *value)
{
    return sl_accounts_builder_add_database(b, db);
}

static const struct table tables[SL_GAP_COUNT] = {
    [SL_GAP_GLOBAL_PRIV] =
        {"SELECT User, Host, Priv FROM mysql.global_priv", sl_accounts_builder_add_global_priv,
         "SELECT ON mysql.global_priv",
         "accounts with several authentication methods, and locked ones, are not fully known"},
    [SL_GAP_DB] = {"SELECT User, Host, Db FROM mysql.db", sl_accounts_builder_add_db,
                   "SELECT ON mysql.db", "grants on databases are not known"},
    [SL_GAP_TABLES_PRIV] = {"SELECT DISTINCT User, Host, Db FROM mysql.tables_priv",
                            sl_accounts_builder_add_exact_db, "SELECT ON mysql.tables_priv",
                            "grants on tables are not known"},
    [SL_GAP_COLUMNS_PRIV] = {"SELECT DISTINCT User, Host, Db FROM mysql.columns_priv",
                             sl_accounts_builder_add_exact_db, "SELECT ON mysql.columns_priv",
                             "grants on columns are not known"},
    [SL_GAP_PROCS_PRIV] = {"SELECT DISTINCT User, Host, Db FROM mysql.procs_priv",
                           sl_accounts_builder_add_exact_db, "SELECT ON mysql.procs_priv",
                           "grants on routines are not known"},
    [SL_GAP_PROXIES_PRIV] = {"SELECT DISTINCT User, Host, Proxied_user FROM mysql.proxies_priv "
                             "WHERE Proxied_user <> ''",
                             add_proxy, "SELECT ON mysql.proxies_priv",
                             "PROXY grants are not known"},
    [SL_GAP_ROLES_MAPPING] = {"SELECT User, Host, Role FROM mysql.roles_mapping",
                              sl_accounts_builder_add_role, "SELECT ON mysql.roles_mapping",
                              "databases granted through roles are not known"},
    [SL_GAP_SHOW_DATABASES] = {"SHOW DATABASES", add_database, "SHOW DATABASES ON *.*",
                               "the existence of databases is left to the servers"},
};

/* Access refused: command, table, column, database, special privilege (MariaDB error codes). */
static bool is_refusal(unsigned number)
{
    return number == 1142 || number == 1143 || number == 1044 || number == 1227 || number == 1370;
}

#define ERROR_NO_SUCH_TABLE 1146 /* an old server: there is nothing of that kind */

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

static int add_rows(struct sl_dbc_result *r, const struct table *t, struct sl_accounts_builder *b,
                    unsigned *skipped, struct sl_err *err)
{
    while (sl_dbc_next(r)) {
        int rc = t->add(b, or_empty(sl_dbc_value(r, 0)), or_empty(sl_dbc_value(r, 1)),
                        or_empty(sl_dbc_value(r, 2)));
        if (rc == SL_EINVAL) {
            ++*skipped;
        } else if (rc != 0) {
            return sl_err_set(err, rc, "user accounts: %s", sl_rc_text(rc));
        }
    }
    return 0;
}

/* --- mysql.user, for those who may not read global_priv --------------------------------------- */

static bool is_yes(const struct sl_dbc_result *r, const char *column)
{
    int i = sl_dbc_column_index(r, column);
    const char *value = i < 0 ? NULL : sl_dbc_value(r, (unsigned)i);
    return value != NULL && (value[0] == 'Y' || value[0] == 'y');
}

static const char *text_at(const struct sl_dbc_result *r, const char *column)
{
    int i = sl_dbc_column_index(r, column);
    return i < 0 ? "" : or_empty(sl_dbc_value(r, (unsigned)i));
}

static bool has_global_db_access(const struct sl_dbc_result *r)
{
    static const char *const columns[] = {
        "Select_priv",         "Insert_priv",           "Update_priv",
        "Delete_priv",         "Create_priv",           "Drop_priv",
        "Grant_priv",          "References_priv",       "Index_priv",
        "Alter_priv",          "Create_tmp_table_priv", "Lock_tables_priv",
        "Execute_priv",        "Create_view_priv",      "Show_view_priv",
        "Create_routine_priv", "Alter_routine_priv",    "Event_priv",
        "Trigger_priv",        "Delete_history_priv",
    };
    for (unsigned i = 0; i < SL_ARRAY_LEN(columns); i++) {
        if (is_yes(r, columns[i])) {
            return true;
        }
    }
    return false;
}

/* The newer privileges have no column in mysql.user: SUPER stands for them. */
static uint32_t privileges_of(const struct sl_dbc_result *r)
{
    static const struct {
        const char *column;
        uint32_t privilege;
    } columns[] = {
        {"Reload_priv", SL_PRIV_RELOAD},
        {"Super_priv", SL_PRIV_SUPER},
        {"Repl_slave_priv", SL_PRIV_REPLICATION_SLAVE},
        {"Repl_client_priv", SL_PRIV_BINLOG_MONITOR},
    };
    uint32_t all = 0;
    for (unsigned i = 0; i < SL_ARRAY_LEN(columns); i++) {
        all |= is_yes(r, columns[i].column) ? columns[i].privilege : 0;
    }
    return all;
}

static int add_user_row(struct sl_accounts_builder *b, const struct sl_dbc_result *r)
{
    const char *ssl_type = text_at(r, "ssl_type");
    struct sl_account account = {
        .user = text_at(r, "User"),
        .host = text_at(r, "Host"),
        .default_role = text_at(r, "default_role"),
        .is_locked = is_yes(r, "account_locked"),
        .is_expired = is_yes(r, "password_expired"),
        .is_super = is_yes(r, "Super_priv"),
        .privileges = privileges_of(r),
        .knows_privileges = true,
        .has_global_db_access = has_global_db_access(r),
        .requires_tls = ssl_type[0] != '\0',
        .requires_x509 = ssl_type[0] != '\0' && strcmp(ssl_type, "ANY") != 0,
        .auth_count = 1,
    };
    struct sl_account_auth *auth = &account.auth[0];
    auth->plugin_name = text_at(r, "plugin");
    auth->plugin = sl_account_plugin_by_name(auth->plugin_name);
    auth->string = text_at(r, "authentication_string");
    if (auth->string[0] == '\0' && auth->plugin == SL_AUTH_NATIVE) {
        auth->string = text_at(r, "Password");
    }
    return sl_accounts_builder_add_account(b, &account, is_yes(r, "is_role"));
}

static int load_user_table(struct sl_dbc *dbc, struct sl_accounts_builder *b, const char *grantee,
                           struct sl_err *err)
{
    struct sl_dbc_result *r = NULL;
    int rc = sl_dbc_query(dbc, "SELECT * FROM mysql.user", &r, err);
    if (rc == SL_EINVAL && is_refusal(sl_dbc_errno(dbc))) {
        return sl_err_set(
            err, rc,
            "%s may read neither mysql.global_priv nor mysql.user: GRANT SELECT ON mysql.* TO %s",
            grantee, grantee);
    }
    while (rc == 0 && r != NULL && sl_dbc_next(r)) {
        rc = add_user_row(b, r);
        if (rc != 0) {
            sl_err_set(err, rc, "user accounts: %s", sl_rc_text(rc));
        }
    }
    sl_dbc_result_free(r);
    return rc;
}

/* --- one server ------------------------------------------------------------------------------- */

static int load_table(struct sl_dbc *dbc, enum sl_accounts_gap which, struct sl_accounts_builder *b,
                      struct sl_accounts_load_report *report, struct sl_err *err)
{
    struct sl_dbc_result *r = NULL;
    int rc = sl_dbc_query(dbc, tables[which].sql, &r, err);
    if (rc == SL_EINVAL &&
        (is_refusal(sl_dbc_errno(dbc)) || sl_dbc_errno(dbc) == ERROR_NO_SUCH_TABLE)) {
        report->gaps |= is_refusal(sl_dbc_errno(dbc)) ? 1u << which : 0;
        return SL_ENOENT;
    }
    if (rc == 0 && r != NULL) {
        rc = add_rows(r, &tables[which], b, &report->skipped, err);
    }
    sl_dbc_result_free(r);
    return rc;
}

static int ask_identity(struct sl_dbc *dbc, struct sl_accounts_load_report *report,
                        struct sl_err *err)
{
    struct sl_dbc_result *r = NULL;
    int rc = sl_dbc_query(dbc, "SELECT CURRENT_USER()", &r, err);
    snprintf(report->grantee, sizeof(report->grantee), "CURRENT_USER()");
    if (rc == 0 && r != NULL && sl_dbc_next(r)) {
        const char *name = or_empty(sl_dbc_value(r, 0));
        const char *at = strrchr(name, '@');
        if (at != NULL) {
            snprintf(report->grantee, sizeof(report->grantee), "'%.*s'@'%s'", (int)(at - name),
                     name, at + 1);
        }
    }
    sl_dbc_result_free(r);
    return rc;
}

/* The host names of its accounts mean nothing then, so they must not let anybody in here. */
static int ask_skip_name_resolve(struct sl_dbc *dbc, struct sl_accounts_builder *b,
                                 struct sl_err *err)
{
    struct sl_dbc_result *r = NULL;
    int rc = sl_dbc_query(dbc, "SELECT @@skip_name_resolve", &r, err);
    if (rc == 0 && r != NULL && sl_dbc_next(r) && strcmp(or_empty(sl_dbc_value(r, 0)), "1") == 0) {
        sl_accounts_builder_set_skip_name_resolve(b);
    }
    sl_dbc_result_free(r);
    return rc;
}

/* Without the privilege the list is there but short, and nothing says so; the server's own list
 * of grants does. Global privileges of an active role count too, as SHOW GRANTS prints them. */
static int may_see_databases(struct sl_dbc *dbc, bool *ret, struct sl_err *err)
{
    struct sl_dbc_result *r = NULL;
    int rc = sl_dbc_query(dbc, "SHOW GRANTS", &r, err);
    *ret = false;
    while (rc == 0 && r != NULL && sl_dbc_next(r)) {
        const char *grant = or_empty(sl_dbc_value(r, 0));
        const char *on = strstr(grant, " ON *.* ");
        const char *show = strstr(grant, "SHOW DATABASES");
        if (on != NULL &&
            ((show != NULL && show < on) || strncmp(grant, "GRANT ALL PRIVILEGES", 20) == 0)) {
            *ret = true;
        }
    }
    sl_dbc_result_free(r);
    return rc;
}

int sl_accounts_load_tables(struct sl_dbc *dbc, struct sl_accounts_builder *b,
                            struct sl_accounts_load_report *report, struct sl_err *err)
{
    bool sees_databases;
    *report = (struct sl_accounts_load_report){.gaps = 0};
    int rc = sl_dbc_query(dbc, "SET sql_mode = ''", NULL, err);
    if (rc == 0) {
        rc = ask_identity(dbc, report, err);
    }
    if (rc == 0) {
        rc = ask_skip_name_resolve(dbc, b, err);
    }
    if (rc == 0) {
        rc = load_table(dbc, SL_GAP_GLOBAL_PRIV, b, report, err);
        rc = rc == SL_ENOENT ? load_user_table(dbc, b, report->grantee, err) : rc;
    }
    for (unsigned i = SL_GAP_DB; rc == 0 && i < SL_GAP_SHOW_DATABASES; i++) {
        rc = load_table(dbc, i, b, report, err);
        rc = rc == SL_ENOENT ? 0 : rc;
    }
    if (rc == 0) {
        rc = may_see_databases(dbc, &sees_databases, err);
    }
    if (rc == 0 && !sees_databases) {
        report->gaps |= 1u << SL_GAP_SHOW_DATABASES;
    } else if (rc == 0) {
        rc = load_table(dbc, SL_GAP_SHOW_DATABASES, b, report, err);
        rc = rc == SL_ENOENT ? 0 : rc;
    }
    return rc;
}

void sl_accounts_gap_text(enum sl_accounts_gap gap, const char *grantee, char *out, size_t size)
{
    snprintf(out, size, "%s: GRANT %s TO %s", tables[gap].effect, tables[gap].grant, grantee);
}
