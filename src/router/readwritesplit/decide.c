/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which class of target does a statement need? Pure: facts in, target out. The table is section D
 * of docs/internals/readwritesplit.md; the order of the questions below is its reading order.
 */
#include "proto/constants.h"
#include "router/readwritesplit/rwsplit.h"

/* Commands whose target does not depend on SQL. */
static bool decide_command(uint8_t command, enum rws_target *ret)
{
    switch (command) {
    case SL_COM_INIT_DB:
    case SL_COM_PING:
    case SL_COM_RESET_CONNECTION:
    case SL_COM_SET_OPTION:
    case SL_COM_REFRESH:
    case SL_COM_DEBUG:
    case SL_COM_STMT_PREPARE:
    case SL_COM_STMT_RESET:
    case SL_COM_STMT_CLOSE:
        *ret = RWS_TARGET_ALL;
        return true;
    case SL_COM_FIELD_LIST:
        *ret = RWS_TARGET_REPLICA;
        return true;
    case SL_COM_QUERY:
    case SL_COM_STMT_EXECUTE:
    case SL_COM_STMT_BULK_EXECUTE:
    case SL_COM_STMT_SEND_LONG_DATA:
        return false;
    default: /* STATISTICS, PROCESS_INFO, SHUTDOWN, BINLOG_DUMP, ... */
        *ret = RWS_TARGET_PRIMARY;
        return true;
    }
}

#define TRX_CONTROL (SL_SQL_TRX_BEGIN | SL_SQL_TRX_COMMIT | SL_SQL_TRX_ROLLBACK)

/* What must reach every server. A write in the same statement wins (it is for the primary
 * alone). */
static bool is_for_all(const struct rws_facts *f)
{
    /* SET @v = NEXTVAL(s) must be worked out once. */
    if (f->is_multi || (f->type & (SL_SQL_WRITE | SL_SQL_PRIMARY_READ))) {
        return false;
    }
    if (f->type & (SL_SQL_PREPARE | SL_SQL_DEALLOCATE | SL_SQL_AUTOCOMMIT_ON |
                   SL_SQL_AUTOCOMMIT_OFF | SL_SQL_GLOBAL_WRITE)) {
        return true;
    }
    if (f->type & SL_SQL_TRX_NEXT) {
        return false;
    }
    if (f->type & SL_SQL_SESSION_WRITE) {
        return true;
    }
    if (f->type & SL_SQL_USERVAR_WRITE) {
        return f->op == SL_SQL_OP_SET || !f->variables_in_master;
    }
    return false;
}

static bool needs_primary(const struct rws_facts *f)
{
    if (f->is_multi || f->no_replicas || f->reads_temp_table ||
        (f->type & (SL_SQL_WRITE | SL_SQL_PRIMARY_READ | SL_SQL_TRX_NEXT | SL_SQL_CREATE_TEMP))) {
        return true;
    }
    if (f->variables_in_master && (f->type & (SL_SQL_USERVAR_READ | SL_SQL_USERVAR_WRITE))) {
        return true;
    }
    return !(f->type & SL_SQL_READ);
}

enum rws_target rws_decide(const struct rws_facts *f)
{
    enum rws_target target;
    const struct sl_trx *trx = f->trx;
    bool is_command = decide_command(f->command, &target);
    if (is_command && target == RWS_TARGET_ALL) {
        return RWS_TARGET_ALL;
    }
    if (!is_command && is_for_all(f)) {
        return RWS_TARGET_ALL;
    }
    if (f->is_locked) {
        return RWS_TARGET_PRIMARY;
    }
    if (trx->is_open && trx->is_read_only && !f->is_multi) {
        if (f->has_trx_server) {
            return RWS_TARGET_TRX;
        }
        return f->no_replicas ? RWS_TARGET_PRIMARY : RWS_TARGET_REPLICA;
    }
    if (trx->is_open || !trx->autocommit || (f->type & TRX_CONTROL)) {
        return RWS_TARGET_PRIMARY;
    }
    if (is_command) {
        return f->no_replicas ? RWS_TARGET_PRIMARY : target;
    }
    if (needs_primary(f)) {
        return RWS_TARGET_PRIMARY;
    }
    return f->type & SL_SQL_LAST ? RWS_TARGET_LAST : RWS_TARGET_REPLICA;
}

bool rws_belongs_in_history(uint8_t command, uint32_t type, bool is_multi)
{
    switch (command) {
    case SL_COM_INIT_DB:
    case SL_COM_SET_OPTION:
    case SL_COM_STMT_PREPARE:
        return true;
    case SL_COM_QUERY:
        /* SET GLOBAL must not be repeated later; a SELECT that assigns @v must: its effect is
         * the session's. */
        return !is_multi && !((type & SL_SQL_GLOBAL_WRITE) && !(type & SL_SQL_SESSION_WRITE));
    default:
        return false;
    }
}
