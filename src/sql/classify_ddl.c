/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CREATE, DROP, ALTER, RENAME. All commit an open transaction but those on temporary tables, which
 * matter in another way: a session with temporary tables reads them on the primary only.
 */
#include "sql/classify_parts.h"

static void set_account_op(struct sl_cls *c)
{
    if (sl_cls_is(c, SL_W_USER) || sl_cls_is(c, SL_W_ROLE)) {
        c->op = SL_SQL_OP_GRANT;
    }
    sl_cls_skip(c);
}

static bool is_routine(const struct sl_cls *c)
{
    return sl_cls_is(c, SL_W_PROCEDURE) || sl_cls_is(c, SL_W_FUNCTION) ||
           sl_cls_is(c, SL_W_TRIGGER) || sl_cls_is(c, SL_W_EVENT) || sl_cls_is(c, SL_W_PACKAGE);
}

/* What a CREATE makes is said by one of these, after OR REPLACE, DEFINER=.., AGGREGATE and the
 * like. */
static bool is_object(const struct sl_cls *c)
{
    static const uint16_t objects[] = {
        SL_W_TABLE,    SL_W_SEQUENCE, SL_W_USER,  SL_W_ROLE,   SL_W_VIEW,
        SL_W_DATABASE, SL_W_SCHEMA,   SL_W_INDEX, SL_W_SERVER,
    };

    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
        if (sl_cls_is(c, (enum sl_word)objects[i])) {
            return true;
        }
    }
    return false;
}

void sl_cls_create(struct sl_cls *c)
{
    bool is_temporary = false;

    while (sl_cls_next(c) && !is_object(c) && !is_routine(c)) {
        is_temporary |= sl_cls_is(c, SL_W_TEMPORARY);
    }
    if (is_routine(c)) {
        sl_cls_next(c);
        sl_cls_body(c);
        return;
    }
    if (is_temporary) {
        c->type &= ~(uint32_t)SL_SQL_IMPLICIT_COMMIT;
        c->type |= SL_SQL_CREATE_TEMP;
    }
    if (sl_cls_is(c, SL_W_TABLE)) { /* the columns may be a query with functions and variables */
        return;
    }
    set_account_op(c);
}

void sl_cls_drop(struct sl_cls *c)
{
    bool is_temporary = false;

    sl_cls_next(c);
    if (sl_cls_is(c, SL_W_PREPARE)) {
        c->type = SL_SQL_SESSION_WRITE | SL_SQL_DEALLOCATE;
        c->op = SL_SQL_OP_DEALLOCATE;
        sl_cls_deallocate(c);
        return;
    }
    is_temporary = sl_cls_accept(c, SL_W_TEMPORARY);
    if (sl_cls_is(c, SL_W_TABLE) || sl_cls_is(c, SL_W_TABLES) || sl_cls_is(c, SL_W_SEQUENCE)) {
        c->type |= SL_SQL_DROP_TABLE;
    }
    if (is_temporary) {
        c->type &= ~(uint32_t)SL_SQL_IMPLICIT_COMMIT;
    }
    set_account_op(c);
}

void sl_cls_alter(struct sl_cls *c)
{
    while (sl_cls_next(c) && !is_object(c) && !is_routine(c)) {
    }
    if (is_routine(c)) { /* ALTER EVENT .. DO <body> */
        sl_cls_next(c);
        sl_cls_body(c);
        return;
    }
    set_account_op(c);
}
