/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The password exchange with a client, as a pure state machine: what to send next, and the verdict.
 *
 * It does what the server does (sql/sql_acl.cc, acl_authenticate): the alternatives of the account
 * are tried in their order, what the account forbids (TLS missing, locked, database) is said only
 * after a right password, and an unknown user gets the exchange of a real account which then fails.
 * No I/O, no allocation; the session sends and receives.
 *
 *   sl_login_start() --> SWITCH: send AuthSwitch(switch_plugin, switch_data), then
 *   sl_login_next(answer) --> ... --> ACCEPTED | DENIED
 */
#ifndef SL_CORE_LOGIN_AUTH_H
#define SL_CORE_LOGIN_AUTH_H

#include "core/accounts.h"
#include "proto/auth.h"

enum sl_login_step {
    SL_LOGIN_SWITCH,   /* send switch_plugin and switch_data, wait for the answer */
    SL_LOGIN_ACCEPTED, /* h1 is there if has_h1 */
    SL_LOGIN_DENIED    /* send the error: code, sqlstate, message */
};

/* All pointers stay valid until the exchange has ended, `auth` only during sl_login_start(). */
struct sl_login_config {
    enum sl_account_verdict verdict;  /* of sl_accounts_find, not NEEDS_NAME */
    const struct sl_account *account; /* NULL if it found none */
    /* sl_accounts_decoy(), used if account is NULL; may be NULL too */
    const struct sl_account *decoy;
    struct sl_slice user, database; /* as the client sent them */
    const char *client_host;        /* host name or address, for messages */
    const uint8_t *scramble;        /* SL_SCRAMBLE_LEN bytes of our greeting */
    struct sl_slice plugin;         /* the client's, empty if it named none */
    struct sl_slice auth;           /* its first answer */
    bool has_plugin_auth;           /* CLIENT_PLUGIN_AUTH */
};

struct sl_login {
    struct sl_login_config config;
    const struct sl_account *account; /* the one whose exchange is played */
    unsigned alternative;             /* index in account->auth[] */
    uint8_t challenge[SL_ED25519_CHALLENGE_LEN];
    uint8_t password_used; /* enum of login_auth.c */

    /* SWITCH */
    const char *switch_plugin;
    uint8_t switch_data[SL_ED25519_CHALLENGE_LEN];
    /* without the final NUL that native has on the wire: sl_auth_switch_native_build() */
    size_t switch_len;

    /* ACCEPTED */
    enum sl_auth_plugin plugin; /* what the client proved its identity with */
    uint8_t h1[SL_HASH_LEN];    /* as good as the password: sl_login_wipe() */
    bool has_h1;                /* native; zeros for an empty password */
    bool has_password;

    /* DENIED */
    uint16_t code;
    char sqlstate[6];
    char message[512];
};

enum sl_login_step sl_login_start(struct sl_login *l, const struct sl_login_config *config);
/* `data`: the client's answer to the switch, raw. */
enum sl_login_step sl_login_next(struct sl_login *l, struct sl_slice data);
void sl_login_wipe(struct sl_login *l);

#endif
