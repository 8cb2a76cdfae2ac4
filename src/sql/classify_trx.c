/* SPDX-License-Identifier: Apache-2.0 */
/* Transaction control: BEGIN, START, COMMIT, ROLLBACK, RELEASE, XA, SET TRANSACTION. */
#include "sql/classify_parts.h"

/* READ ONLY | READ WRITE at the current token. */
static uint32_t access_mode(struct sl_cls *c)
{
    if (!sl_cls_accept(c, SL_W_READ)) {
        return 0;
    }
    if (sl_cls_accept(c, SL_W_ONLY)) {
        return SL_SQL_TRX_READ_ONLY;
    }
    return sl_cls_accept(c, SL_W_WRITE) ? SL_SQL_TRX_READ_WRITE : 0;
}

/* BEGIN [WORK] opens a transaction, BEGIN NOT ATOMIC and (in Oracle mode) any BEGIN a block. */
void sl_cls_begin(struct sl_cls *c)
{
    const bool is_block = (c->lx.mode_bits & SL_SQL_ORACLE) || sl_cls_next_is(c, SL_W_NOT);

    if (is_block) {
        c->type = SL_SQL_WRITE;
        c->op = SL_SQL_OP_COMPOUND;
        sl_cls_body(c);
        return;
    }
    sl_cls_next(c);
    sl_cls_accept(c, SL_W_WORK);
    if (!c->is_at_end) {
        c->type |= SL_SQL_WRITE;
    }
}

/* START TRANSACTION [WITH CONSISTENT SNAPSHOT] [, READ ONLY|WRITE]; else START SLAVE and the like.
 */
void sl_cls_start(struct sl_cls *c)
{
    sl_cls_next(c);
    if (!sl_cls_accept(c, SL_W_TRANSACTION)) {
        return;
    }
    c->type = SL_SQL_TRX_BEGIN;
    c->op = SL_SQL_OP_BEGIN;
    while (!c->is_at_end) {
        const uint32_t mode = access_mode(c);
        c->type |= mode;
        if (mode == 0) {
            sl_cls_next(c);
        }
    }
}

/* [WORK] [AND [NO] CHAIN] [[NO] RELEASE] */
static void completion(struct sl_cls *c)
{
    sl_cls_accept(c, SL_W_WORK);
    if (sl_cls_accept(c, SL_W_AND)) {
        if (!sl_cls_accept(c, SL_W_NO) && sl_cls_is(c, SL_W_CHAIN)) {
            c->type |= SL_SQL_TRX_CHAIN;
        }
    }
    if (!c->is_at_end) {
        sl_cls_skip(c);
    }
}

void sl_cls_commit(struct sl_cls *c)
{
    sl_cls_next(c);
    completion(c);
}

void sl_cls_rollback(struct sl_cls *c)
{
    sl_cls_next(c);
    sl_cls_accept(c, SL_W_WORK);
    if (sl_cls_is(c, SL_W_TO)) {
        c->type = SL_SQL_WRITE;
        c->op = SL_SQL_OP_SAVEPOINT;
        sl_cls_skip(c);
        return;
    }
    completion(c);
}

/* XA END leaves the transaction open: only XA PREPARE, COMMIT or ROLLBACK may follow, and the
 * server reports "in transaction" until the last two (tried with 10.11). */
void sl_cls_xa(struct sl_cls *c)
{
    sl_cls_next(c);
    if (sl_cls_is(c, SL_W_START) || sl_cls_is(c, SL_W_BEGIN)) {
        c->type |= SL_SQL_TRX_BEGIN;
        c->op = SL_SQL_OP_XA_START;
    } else if (sl_cls_is(c, SL_W_END)) {
        c->op = SL_SQL_OP_XA_END;
    } else if (sl_cls_is(c, SL_W_COMMIT)) {
        c->type |= SL_SQL_TRX_COMMIT;
    } else if (sl_cls_is(c, SL_W_ROLLBACK)) {
        c->type |= SL_SQL_TRX_ROLLBACK;
    }
    sl_cls_skip(c);
}

/* ISOLATION LEVEL x */
static void isolation(struct sl_cls *c)
{
    sl_cls_next(c);
    sl_cls_accept(c, SL_W_LEVEL);
    c->type |= SL_SQL_ISOLATION;
    if (sl_cls_is(c, SL_W_SERIALIZABLE)) {
        c->type |= SL_SQL_SERIALIZABLE;
    }
    sl_cls_next(c);
    if (!c->is_at_end && !sl_cls_is_op(c, ',')) { /* READ COMMITTED, REPEATABLE READ */
        sl_cls_next(c);
    }
}

/* SET [GLOBAL|SESSION] TRANSACTION characteristic, ...; the current token is behind TRANSACTION. */
void sl_cls_set_transaction(struct sl_cls *c, enum sl_var_scope scope)
{
    while (!c->is_at_end) {
        if (sl_cls_is(c, SL_W_ISOLATION)) {
            isolation(c);
            continue;
        }
        const uint32_t mode = access_mode(c);
        c->type |= mode;
        if (mode == 0) {
            sl_cls_next(c);
        }
    }
    if (scope == SL_SCOPE_GLOBAL) {
        c->type = SL_SQL_GLOBAL_WRITE;
    } else if (scope == SL_SCOPE_SESSION) {
        c->type |= SL_SQL_SESSION_WRITE;
    } else {
        c->type |= SL_SQL_WRITE | SL_SQL_TRX_NEXT;
    }
}
