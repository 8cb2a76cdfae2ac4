/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Insides of user accounts, shared by accounts*.c and their tests only.
 *
 * The published object is one block of memory: header, tables, hash index, strings. Tables are
 * sorted by user name, so that all rows of one name are neighbours; a `struct sl_account_group`
 * says where they are.
 */
#ifndef SL_CORE_ACCOUNTS_INTERNAL_H
#define SL_CORE_ACCOUNTS_INTERNAL_H

#include <stdatomic.h>

#include "core/accounts.h"

#define SL_ACCOUNTS_ROWS_MAX (4u << 20)   /* rows of one table; more is refused with SL_ELIMIT */
#define SL_ACCOUNTS_TEXT_MAX (256u << 20) /* bytes of all distinct strings */
#define SL_ACCOUNT_AUTH_MAX 4             /* alternatives kept of IDENTIFIED VIA ... OR ... */
#define SL_ACCOUNT_ROLES_MAX 256          /* roles followed from one default role */

/* How many strings a host pattern can match, as a key: smaller sorts first. */
struct sl_host_rank {
    uint32_t magnitude, second, third, prefix;
};

struct sl_host_pattern {
    const char *text;
    uint32_t net, mask; /* of "ip/netmask", host byte order; mask 0 = not of that form */
};

struct sl_account_entry {
    struct sl_account account;
    struct sl_host_pattern host;
    struct sl_host_rank rank;
};

/* a grant on a database: by pattern (mysql.db) or exact (table, column, routine grants) */
struct sl_account_db_row {
    struct sl_host_pattern host;
    const char *db;
};

/* roles_mapping: grantee is a user (host set) or a role (host empty) */
struct sl_account_role_row {
    struct sl_host_pattern host;
    const char *role;
};

struct sl_account_range {
    uint32_t at, count;
};

struct sl_account_group { /* everything that is stored under one name */
    const char *name;
    uint32_t name_len;
    struct sl_account_range accounts; /* users in the order of the server's search */
    struct sl_account_range dbs, exact_dbs, roles;
    /* entry of the role of that name, SL_ACCOUNT_NO_ROLE = none */
    uint32_t role;
};
#define SL_ACCOUNT_NO_ROLE UINT32_MAX

struct sl_accounts {
    _Atomic uint32_t refs;
    uint32_t entry_count; /* users, then roles */
    uint32_t user_count;
    uint32_t group_count;
    uint32_t database_count;
    uint32_t slot_mask;     /* slots - 1; slots is a power of two */
    bool has_databases;     /* false: the list of databases is not known */
    bool skip_name_resolve; /* the server they are from ignores names of clients */
    struct sl_account_entry *entries;
    struct sl_account_group *groups; /* sorted by name */
    struct sl_account_db_row *dbs;
    struct sl_account_db_row *exact_dbs;
    struct sl_account_role_row *roles;
    const char **databases; /* sorted bytewise */
    uint32_t *slots;        /* hash of name -> group + 1, 0 = free */
};

/* accounts_find.c: pure pieces, tested one by one */
void sl_host_pattern_parse(const char *text, struct sl_host_pattern *ret);
struct sl_host_rank sl_host_rank_of(const char *pattern);
/* < 0: a is more specific */
int sl_host_rank_compare(struct sl_host_rank a, struct sl_host_rank b);
/* SQL LIKE with escape '\', bytewise; `fold` ignores the case of ASCII letters. */
bool sl_accounts_like(struct sl_slice text, const char *pattern, bool fold);
const struct sl_account_group *sl_accounts_group(const struct sl_accounts *a, struct sl_slice name);

/* accounts_priv.c: JSON, kept in one place */
enum sl_auth_plugin sl_account_plugin_by_name(const char *name);
/* What `access` bits of a global_priv row mean. */
void sl_account_apply_access(struct sl_account *account, uint64_t access);

struct sl_json_row; /* one object of an array */
/* NULL when absent or not a string */
const char *sl_json_row_text(const struct sl_json_row *row, const char *key);
/* true, "Y", "y", 1 */
bool sl_json_row_bool(const struct sl_json_row *row, const char *key);
/* Parses `text` as an object and calls on_row for each object in its array `array_name` (absent:
 * none). on_row returns 0 or an error that stops the walk. Anything that is not of this shape is
 * SL_EINVAL. */
int sl_json_rows(struct sl_slice text, const char *array_name,
                 int (*on_row)(void *arg, const struct sl_json_row *row, struct sl_err *err),
                 void *arg, struct sl_err *err);
/* accounts_file.c: adds what a user_accounts_file says. */
int sl_accounts_file_load(const char *path, struct sl_accounts_builder *b, struct sl_err *err);
int sl_accounts_file_parse(struct sl_slice text, struct sl_accounts_builder *b, struct sl_err *err);

/* accounts_load.c: reads the grant tables over one connection. */
struct sl_dbc;
enum sl_accounts_gap { /* what the service user may not read; each is worth one warning */
    SL_GAP_GLOBAL_PRIV,
    SL_GAP_DB,
    SL_GAP_TABLES_PRIV,
    SL_GAP_COLUMNS_PRIV,
    SL_GAP_PROCS_PRIV,
    SL_GAP_PROXIES_PRIV,
    SL_GAP_ROLES_MAPPING,
    SL_GAP_SHOW_DATABASES,
    SL_GAP_COUNT
};
struct sl_accounts_load_report {
    uint32_t gaps;     /* bit per sl_accounts_gap */
    unsigned skipped;  /* rows that could not be understood */
    char grantee[256]; /* 'user'@'host' of the service user as the server sees it */
};
/* 0; SL_EINVAL: the accounts cannot be read (text has the GRANT that is missing), SL_ESYS,
 * SL_ETIMEOUT, SL_ENOMEM, SL_ELIMIT. */
int sl_accounts_load_tables(struct sl_dbc *dbc, struct sl_accounts_builder *b,
                            struct sl_accounts_load_report *report, struct sl_err *err);
/* What is missing, why it matters and the statement that cures it. */
void sl_accounts_gap_text(enum sl_accounts_gap gap, const char *grantee, char *out, size_t size);

/* accounts.c: rows that the builder skips are counted, not fatal */
unsigned sl_accounts_builder_count(const struct sl_accounts_builder *b);

#endif
