/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User accounts: an immutable copy of what the servers' grant tables say, and the decision who may
 * log in.
 *
 * A service owns an account manager. Its loader thread reads the accounts (dbc) and publishes a new
 * immutable `struct sl_accounts`; workers take a reference at login and drop it. Lookup is pure (no
 * I/O), so it is tested without servers. Facts: docs/internals/accounts.md.
 */
#ifndef SL_CORE_ACCOUNTS_H
#define SL_CORE_ACCOUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/slice.h"

struct sl_server;

enum sl_auth_plugin {
    SL_AUTH_NATIVE, /* mysql_native_password or empty */
    SL_AUTH_ED25519,
    SL_AUTH_PAM,
    SL_AUTH_GSSAPI,
    SL_AUTH_UNIX_SOCKET,
    SL_AUTH_OTHER
};

struct sl_account_auth { /* one alternative of IDENTIFIED VIA a OR b */
    enum sl_auth_plugin plugin;
    const char *plugin_name;
    const char *string; /* authentication_string: "*HEX", base64 key, ... never logged */
};

/* Global privileges that something here asks for. */
enum sl_account_privilege {
    SL_PRIV_SUPER = 1,
    SL_PRIV_RELOAD = 2,
    SL_PRIV_REPLICATION_SLAVE = 4,
    SL_PRIV_BINLOG_MONITOR = 8, /* REPLICATION CLIENT of old */
    SL_PRIV_REPLICATION_SLAVE_ADMIN = 16,
    SL_PRIV_BINLOG_ADMIN = 32,
    SL_PRIV_SLAVE_MONITOR = 64 /* REPLICA MONITOR */
};

struct sl_account {
    const char *user;               /* "" = anonymous */
    const char *host;               /* pattern as in the grant table */
    struct sl_account_auth auth[4]; /* tried in order */
    unsigned auth_count;
    const char *default_role; /* "" = none */
    bool is_locked;
    /* password expired: the server lets it log in and then answers 1820 */
    bool is_expired;
    bool is_super;
    bool has_global_db_access;
    bool has_proxy_grant;
    bool requires_tls; /* REQUIRE SSL or stronger */
    /* REQUIRE X509, ISSUER, SUBJECT or CIPHER; names in the certificate are left to the server */
    bool requires_x509;
    /* enum sl_account_privilege, without those of roles. Where it is from tells no more than
     * is_super (a user_accounts_file): `knows_privileges` is false. */
    uint32_t privileges;
    bool knows_privileges;
};

struct sl_accounts; /* immutable, reference counted */

/* Rows as a loader (or a test, or a user_accounts_file) delivers them. */
struct sl_accounts_builder;
struct sl_accounts_builder *sl_accounts_builder_new(void);
/* One row of mysql.global_priv (user, host, JSON text), or of mysql.user when global_priv cannot
 * be read; see the .c for the variants. */
int sl_accounts_builder_add_global_priv(struct sl_accounts_builder *b, const char *user,
                                        const char *host, const char *priv_json);
/* deep copy */
int sl_accounts_builder_add_account(struct sl_accounts_builder *b, const struct sl_account *account,
                                    bool is_role);
/* mysql.db */
int sl_accounts_builder_add_db(struct sl_accounts_builder *b, const char *user, const char *host,
                               const char *db_pattern);
/* table/column/routine grants */
int sl_accounts_builder_add_exact_db(struct sl_accounts_builder *b, const char *user,
                                     const char *host, const char *db);
/* roles_mapping */
int sl_accounts_builder_add_role(struct sl_accounts_builder *b, const char *user, const char *host,
                                 const char *role);
int sl_accounts_builder_add_proxy(struct sl_accounts_builder *b, const char *user,
                                  const char *host);
/* SHOW DATABASES */
int sl_accounts_builder_add_database(struct sl_accounts_builder *b, const char *db);
/* @@skip_name_resolve of the server: look-ups behave as if the query had asked for it. */
void sl_accounts_builder_set_skip_name_resolve(struct sl_accounts_builder *b);
/* Consumes the builder; NULL when memory is out. Of two rows for the same user@host the first
 * one added counts. */
struct sl_accounts *sl_accounts_build(struct sl_accounts_builder *b);
void sl_accounts_builder_free(struct sl_accounts_builder *b);

struct sl_accounts *sl_accounts_ref(struct sl_accounts *a);
void sl_accounts_unref(struct sl_accounts *a);
unsigned sl_accounts_count(const struct sl_accounts *a);
/* for show dbusers */
const struct sl_account *sl_accounts_at(const struct sl_accounts *a, unsigned i, bool *ret_is_role);

struct sl_account_query {
    struct sl_slice user;
    const struct sockaddr_storage *client; /* AF_UNIX counts as localhost */
    /* reverse DNS name; NULL = not looked up, "" = the client has none */
    const char *host_name;
    struct sl_slice database; /* empty = none */
    bool match_host;
    bool allow_root;
    bool client_has_tls;
    unsigned lower_case_table_names; /* 0, 1, 2 */
    /* as the server option: host names are ignored, localhost is unix sockets only */
    bool skip_name_resolve;
    bool client_has_certificate; /* a verified one: REQUIRE X509 and stronger */
};

enum sl_account_verdict {
    SL_ACCOUNT_OK,           /* go on with the password exchange of account->auth[] */
    SL_ACCOUNT_UNKNOWN,      /* play a dummy exchange, then 1045 */
    SL_ACCOUNT_ROOT_REFUSED, /* likewise 1045, logged */
    SL_ACCOUNT_NEEDS_TLS,    /* 1045 after the exchange, as the server does */
    SL_ACCOUNT_LOCKED,       /* 4151 after a right password */
    SL_ACCOUNT_NO_DATABASE,  /* 1049 after a right password */
    SL_ACCOUNT_DB_DENIED,    /* 1044 after a right password */
    /* a pattern that may be a host name comes before any match by address: resolve the client's
     * name ("" if it has none) and ask again; never returned when host_name is set */
    SL_ACCOUNT_NEEDS_NAME
};

/* First matching account decides, in the server's own order. *ret_account is valid while `a` is
 * referenced; NULL when unknown. */
enum sl_account_verdict sl_accounts_find(const struct sl_accounts *a,
                                         const struct sl_account_query *q,
                                         const struct sl_account **ret_account);
/* Judged by the rows of the account's own host and of '%'; sl_accounts_find judges by the
 * client's address, as the server does. */
bool sl_accounts_db_is_allowed(const struct sl_accounts *a, const struct sl_account *account,
                               struct sl_slice db, unsigned lower_case_table_names);
/* enum sl_account_privilege of the account, of its default role with the roles granted to that, and
 * of PUBLIC. */
uint32_t sl_accounts_privileges(const struct sl_accounts *a, const struct sl_account *account);
/* A stand-in for an unknown user: the same real account for the same name each time, NULL when
 * there are none. The exchange of its plugin is played and then refused (the server does the
 * same: sql/sql_acl.cc, find_mpvio_user). */
const struct sl_account *sl_accounts_decoy(const struct sl_accounts *a, struct sl_slice user);

/* --- the manager: one per service ------------------------------------------------------------- */

struct sl_account_manager;
struct sl_account_manager_config {
    const char *service;         /* for logs */
    const char *user, *password; /* of the service */
    struct sl_server **servers;  /* borrowed; alive until _free */
    unsigned server_count;
    const char *local_address;
    uint32_t timeout_ms; /* auth_connect_timeout */
    /* users_refresh_time: gap between reloads caused by failed logins; 0 none, < 0 never reload */
    int64_t refresh_time_ms;
    int64_t refresh_interval_ms; /* users_refresh_interval, 0 = 24 h */
    const char *accounts_file;   /* user_accounts_file or NULL */
    bool file_only;
};
/* Starts the loader thread: first load at once, retried every second until it succeeds, tried on
 * servers in the order Master, Slave, other running. The thread survives frozen servers
 * (deadlines). */
int sl_account_manager_new(const struct sl_account_manager_config *config,
                           struct sl_account_manager **ret, struct sl_err *err);
void sl_account_manager_free(struct sl_account_manager *m); /* stops and joins the thread */
/* Current accounts with a reference for the caller; NULL before the first load. Any thread. */
struct sl_accounts *sl_account_manager_get(struct sl_account_manager *m);
/* Asks for a reload because a login failed; false when throttled. `done` is called from the
 * loader thread after the load (also a failed one), exactly once, or never when false is
 * returned. Any thread. */
bool sl_account_manager_reload(struct sl_account_manager *m, bool force, void (*done)(void *arg),
                               void *arg);
int64_t sl_account_manager_last_load_s(struct sl_account_manager *m); /* wall clock, 0 = never */

#endif
