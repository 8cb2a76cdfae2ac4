/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transaction state of a session: guessed from the statement before it is routed, then corrected by
 * the server's status flags when its reply is complete. Pure; one per session.
 */
#ifndef SL_SQL_TRX_H
#define SL_SQL_TRX_H

#include <stdbool.h>
#include <stdint.h>

#include "sql/classify.h"

struct sl_trx {
    bool autocommit;   /* @@autocommit of the session */
    bool is_open;      /* a transaction is open (explicit, implicit or XA) */
    bool is_read_only; /* ... and it is READ ONLY */
    bool is_starting;  /* the statement being routed opens it */
    bool is_ending;    /* the statement being routed ends it */
    bool is_xa;
    bool default_read_only; /* SET SESSION TRANSACTION READ ONLY */
    bool next_is_set;       /* SET TRANSACTION seen; applies to the next one */
    bool next_read_only;
    bool is_serializable; /* session isolation level */
    bool next_is_used; /* the statement being routed uses up SET TRANSACTION; gone with its reply */
    bool initial_autocommit; /* what sl_trx_reset goes back to */
};

void sl_trx_init(struct sl_trx *t, bool autocommit);
/* Before routing. */
void sl_trx_statement(struct sl_trx *t, const struct sl_sql_info *info);
/* After a complete reply of the server that decides (status of its last OK/EOF). */
void sl_trx_status(struct sl_trx *t, uint16_t server_status);
/* After an ERR reply: error codes that end the transaction (1213, 1614, 1180, ...) close it. */
void sl_trx_error(struct sl_trx *t, uint16_t error_code);
/* COM_CHANGE_USER, COM_RESET_CONNECTION. */
void sl_trx_reset(struct sl_trx *t);

#endif
