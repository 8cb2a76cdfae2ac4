/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What session_login.c and session_wait.c share: the state of a login that is under way. It lives
 * from the response to the verdict; owned by the session, touched by its worker only.
 */
#ifndef SL_CORE_SESSION_LOGIN_H
#define SL_CORE_SESSION_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "core/login_auth.h"
#include "core/name_lookup.h"

struct sl_session;

struct sl_login_state {
    struct sl_login login;
    struct sl_accounts *accounts; /* referenced while the exchange runs */
    struct sl_buf packet;         /* payload of the response: the slices below point into it */
    struct sl_slice user, database, auth, plugin;
    bool has_plugin_auth;
    bool is_change_user;
    bool is_waiting; /* for a reload or a name; input rests */
    bool has_reloaded;
    bool has_switched;
    bool has_name;
    char host_name[SL_NAME_MAX];
    char host_text[256]; /* name or address, for messages */
    uint8_t seq;         /* of our next packet */
};

/* Starts the exchange, or starts it again with new accounts or the client's name. */
void sl_session_login_begin(struct sl_session *s);

/* True: input rests, and the login begins again when the accounts have been read, once a login. */
bool sl_session_wait_for_reload(struct sl_session *s);
/* True: input rests, and the login begins again when the name is known or known to be missing. */
bool sl_session_wait_for_name(struct sl_session *s);

#endif
