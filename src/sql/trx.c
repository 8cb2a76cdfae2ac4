/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transaction state of a session; see trx.h.
 *
 *            BEGIN, XA START, first statement with autocommit=0
 *   closed ------------------------------------------------------> open (is_starting)
 *      ^                                                             |
 *      |  reply, or the next statement            COMMIT, ROLLBACK,  |
 *      +------------------------- open (is_ending) <-----------------+
 *                                                   DDL, autocommit=1
 * A statement that ends a transaction still belongs to it, so is_open stays until its reply. The
 * server's status flags overrule the guess. When in doubt (errors carry no status) the transaction
 * stays open: that costs a read on the primary, the other mistake would break isolation.
 */
#include "sql/trx.h"

#include "base/assert.h"

/* Status flags of OK and EOF packets (MariaDB documentation, "OK_Packet", server status flags). */
enum {
    STATUS_IN_TRANS = 0x0001,
    STATUS_AUTOCOMMIT = 0x0002,
    STATUS_IN_TRANS_READONLY = 0x2000
};

/* The server has rolled the whole transaction back when it sends one of these: deadlock, the XA
 * rollback codes, failed commit and rollback (MariaDB documentation, "MariaDB Error Codes"). */
static const uint16_t ending_errors[] = {
    1180, /* ER_ERROR_DURING_COMMIT */
    1181, /* ER_ERROR_DURING_ROLLBACK */
    1213, /* ER_LOCK_DEADLOCK */
    1402, /* ER_XA_RBROLLBACK */
    1613, /* ER_XA_RBTIMEOUT */
    1614, /* ER_XA_RBDEADLOCK */
};

#define ACCESS_BITS (SL_SQL_TRX_READ_ONLY | SL_SQL_TRX_READ_WRITE)
#define DATA_BITS (SL_SQL_READ | SL_SQL_WRITE | SL_SQL_PRIMARY_READ)

void sl_trx_init(struct sl_trx *t, bool autocommit)
{
    *t = (struct sl_trx){.autocommit = autocommit, .initial_autocommit = autocommit};
}

void sl_trx_reset(struct sl_trx *t)
{
    sl_trx_init(t, t->initial_autocommit);
}

static void close_trx(struct sl_trx *t)
{
    t->is_open = false;
    t->is_read_only = false;
    t->is_starting = false;
    t->is_ending = false;
    t->is_xa = false;
}

static void open_trx(struct sl_trx *t, const struct sl_sql_info *info)
{
    bool is_read_only = t->next_is_set ? t->next_read_only : t->default_read_only;

    if ((info->type & SL_SQL_TRX_BEGIN) && (info->type & ACCESS_BITS)) {
        is_read_only = (info->type & SL_SQL_TRX_READ_ONLY) != 0;
    }
    t->is_open = true;
    t->is_starting = true;
    t->is_ending = false;
    t->is_read_only = is_read_only;
    t->is_xa = info->op == SL_SQL_OP_XA_START;
    t->next_is_used = t->next_is_set;
}

/* SET [SESSION] TRANSACTION and the variables behind it. */
static void set_characteristics(struct sl_trx *t, uint32_t type)
{
    if (type & SL_SQL_TRX_NEXT) {
        if (!t->next_is_set) {
            t->next_read_only = t->default_read_only;
        }
        t->next_is_set = true;
        if (type & ACCESS_BITS) {
            t->next_read_only = (type & SL_SQL_TRX_READ_ONLY) != 0;
        }
        return;
    }
    if (type & ACCESS_BITS) {
        t->default_read_only = (type & SL_SQL_TRX_READ_ONLY) != 0;
    }
    if (type & SL_SQL_ISOLATION) {
        t->is_serializable = (type & SL_SQL_SERIALIZABLE) != 0;
    }
}

static void set_autocommit(struct sl_trx *t, uint32_t type)
{
    if (type & SL_SQL_AUTOCOMMIT_OFF) {
        t->autocommit = false;
        return;
    }
    /* Only the change from 0 to 1 commits (tried with MariaDB 10.11). */
    t->is_ending |= t->is_open && !t->autocommit && !t->is_xa;
    t->autocommit = true;
}

/* COMMIT or ROLLBACK. AND CHAIN opens the next one with the same access mode. */
static void end_trx(struct sl_trx *t, uint32_t type)
{
    if (type & SL_SQL_TRX_CHAIN) {
        t->is_open = true;
        t->is_starting = true;
    } else {
        t->is_ending = t->is_open;
    }
}

/* Statements that look at data open a transaction when autocommit is 0; those about the session or
 * the server do not. */
static bool opens_implicitly(const struct sl_trx *t, const struct sl_sql_info *info)
{
    if (t->autocommit || t->is_open || !(info->type & DATA_BITS)) {
        return false;
    }
    switch (info->op) {
    case SL_SQL_OP_EMPTY:
    case SL_SQL_OP_SET:
    case SL_SQL_OP_UNLOCK:
    case SL_SQL_OP_KILL:
    case SL_SQL_OP_ADMIN:
    case SL_SQL_OP_SAVEPOINT:
        return false;
    default:
        return true;
    }
}

void sl_trx_statement(struct sl_trx *t, const struct sl_sql_info *info)
{
    const uint32_t type = info->type;

    if (t->is_ending) { /* pipelined: the reply that would close it is still to come */
        close_trx(t);
    }
    t->is_starting = false;
    if (t->next_is_used) {
        t->next_is_set = false;
        t->next_is_used = false;
    }
    if (type & (SL_SQL_AUTOCOMMIT_ON | SL_SQL_AUTOCOMMIT_OFF)) {
        set_autocommit(t, type);
    }
    if (type & SL_SQL_TRX_BEGIN) {
        open_trx(t, info);
    } else if (type & (SL_SQL_TRX_COMMIT | SL_SQL_TRX_ROLLBACK)) {
        end_trx(t, type);
    } else if (type & SL_SQL_IMPLICIT_COMMIT) {
        t->is_ending |= t->is_open && !t->is_xa;
    } else if (type & (ACCESS_BITS | SL_SQL_ISOLATION | SL_SQL_TRX_NEXT)) {
        set_characteristics(t, type);
    } else if (opens_implicitly(t, info)) {
        open_trx(t, info);
    } else if ((type & DATA_BITS) && !t->is_open) {
        t->next_is_used = t->next_is_set; /* an autocommitted statement is a transaction, too */
    }
}

static void finish_statement(struct sl_trx *t)
{
    t->is_starting = false;
    t->is_ending = false;
    if (t->next_is_used) {
        t->next_is_set = false;
        t->next_is_used = false;
    }
}

void sl_trx_status(struct sl_trx *t, uint16_t server_status)
{
    t->autocommit = (server_status & STATUS_AUTOCOMMIT) != 0;
    finish_statement(t);
    if (server_status & STATUS_IN_TRANS) {
        t->is_open = true;
        t->is_read_only = (server_status & STATUS_IN_TRANS_READONLY) != 0;
    } else {
        close_trx(t);
    }
}

void sl_trx_error(struct sl_trx *t, uint16_t error_code)
{
    const bool was_starting = t->is_starting;

    finish_statement(t);
    for (size_t i = 0; i < SL_ARRAY_LEN(ending_errors); i++) {
        if (ending_errors[i] == error_code) {
            close_trx(t);
            return;
        }
    }
    if (was_starting && t->autocommit) { /* a failed BEGIN has opened nothing */
        close_trx(t);
    }
}
