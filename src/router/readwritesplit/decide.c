/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which class of target does a statement need, and by which rule? Pure: facts in, rule out; a rule
 * has one target. The table is section D of docs/internals/readwritesplit.md; the order of the
 * questions below is its reading order.
 */
#include "proto/constants.h"
#include "router/readwritesplit/rwsplit.h"

/* A rule: where it sends, and how the session inspector puts it. */
static const struct {
    enum rws_target target;
    const char *text;
} rules[] = {
    [RWS_RULE_NONE] = {RWS_TARGET_PRIMARY, "not decided yet"},
    [RWS_RULE_COMMAND_ALL] = {RWS_TARGET_ALL, "command that every server has to know"},
    [RWS_RULE_PREPARE] = {RWS_TARGET_ALL, "prepared statement: every server gets it"},
    [RWS_RULE_AUTOCOMMIT] = {RWS_TARGET_ALL, "autocommit: every server gets it"},
    [RWS_RULE_GLOBAL] = {RWS_TARGET_ALL, "SET GLOBAL: every server gets it"},
    [RWS_RULE_SESSION_STATE] = {RWS_TARGET_ALL, "session state: every server gets it"},
    [RWS_RULE_USERVAR] = {RWS_TARGET_ALL, "user variable: every server gets it"},
    [RWS_RULE_LOCKED] = {RWS_TARGET_PRIMARY, "locked to the primary"},
    [RWS_RULE_TRX_READ_ONLY] = {RWS_TARGET_TRX, "READ ONLY transaction open"},
    [RWS_RULE_TRX_READ_ONLY_PRIMARY] = {RWS_TARGET_PRIMARY,
                                        "READ ONLY transaction; temporary tables or no replicas"},
    [RWS_RULE_TRX_READ_ONLY_BEGINS] = {RWS_TARGET_REPLICA, "begins a READ ONLY transaction"},
    [RWS_RULE_TRX_CONTROL] = {RWS_TARGET_PRIMARY, "begins or ends a transaction"},
    [RWS_RULE_TRX_OPEN] = {RWS_TARGET_PRIMARY, "transaction open"},
    [RWS_RULE_AUTOCOMMIT_OFF] = {RWS_TARGET_PRIMARY, "autocommit is off"},
    [RWS_RULE_COMMAND_PRIMARY] = {RWS_TARGET_PRIMARY, "command for the primary"},
    [RWS_RULE_COMMAND_READ] = {RWS_TARGET_REPLICA, "command that only reads"},
    [RWS_RULE_MULTI] = {RWS_TARGET_PRIMARY, "several statements in one text"},
    [RWS_RULE_NO_REPLICAS] = {RWS_TARGET_PRIMARY, "max_slave_connections=0"},
    [RWS_RULE_TEMP_TABLE] = {RWS_TARGET_PRIMARY, "reads a temporary table"},
    [RWS_RULE_WRITE] = {RWS_TARGET_PRIMARY, "write"},
    [RWS_RULE_PRIMARY_READ] = {RWS_TARGET_PRIMARY,
                               "read that only the primary answers right (locking read, function)"},
    [RWS_RULE_TRX_NEXT] = {RWS_TARGET_PRIMARY, "sets up the next transaction"},
    [RWS_RULE_VARIABLES] = {RWS_TARGET_PRIMARY, "user variable, use_sql_variables_in=master"},
    [RWS_RULE_NOT_A_READ] = {RWS_TARGET_PRIMARY, "not known to be a read"},
    [RWS_RULE_LAST] = {RWS_TARGET_LAST, "asks about the statement before it"},
    [RWS_RULE_READ] = {RWS_TARGET_REPLICA, "read outside a transaction"},
    [RWS_RULE_TOO_LONG] = {RWS_TARGET_PRIMARY, "session state too long to be sent to every server"},
    [RWS_RULE_CURSOR] = {RWS_TARGET_FIXED, "cursor open"},
    [RWS_RULE_LONG_DATA] = {RWS_TARGET_FIXED, "long data sent"},
    [RWS_RULE_CAUSAL] = {RWS_TARGET_REPLICA,
                         "no replica has caught up: the primary (causal_reads)"},
    [RWS_RULE_LOCKED_MULTI] = {RWS_TARGET_PRIMARY, "locked: strict_multi_stmt"},
    [RWS_RULE_LOCKED_CALL] = {RWS_TARGET_PRIMARY, "locked: strict_sp_calls"},
    [RWS_RULE_LOCKED_SERIALIZABLE] = {RWS_TARGET_PRIMARY, "locked: isolation level SERIALIZABLE"},
    [RWS_RULE_LOCKED_STATE] = {RWS_TARGET_PRIMARY,
                               "locked: only the primary has all of the session's state"},
    [RWS_RULE_LOCKED_TABLES] = {RWS_TARGET_PRIMARY, "locked: LOCK TABLES"},
    [RWS_RULE_HINT_MASTER] = {RWS_TARGET_PRIMARY, "hint: route to master"},
    [RWS_RULE_HINT_SLAVE] = {RWS_TARGET_REPLICA, "hint: route to slave"},
    [RWS_RULE_HINT_LAST] = {RWS_TARGET_LAST, "hint: route to last"},
    [RWS_RULE_HINT_SERVER] = {RWS_TARGET_HINTED, "hint: route to server"},
    [RWS_RULE_OPTIMISTIC] = {RWS_TARGET_REPLICA, "begins a transaction, optimistic_trx"},
};
_Static_assert(SL_ARRAY_LEN(rules) == RWS_RULE_COUNT, "a text for each rule");

enum rws_target rws_rule_target(enum rws_rule rule)
{
    return rules[rule].target;
}

const char *rws_rule_text(enum rws_rule rule)
{
    return rules[rule].text;
}

/* Commands whose target does not depend on SQL; NONE: it does. */
static enum rws_rule decide_command(uint8_t command)
{
    switch (command) {
    case SL_COM_INIT_DB:
    case SL_COM_PING:
    case SL_COM_RESET_CONNECTION:
    case SL_COM_SET_OPTION:
    case SL_COM_REFRESH:
    case SL_COM_DEBUG:
    case SL_COM_STMT_RESET:
    case SL_COM_STMT_CLOSE:
        return RWS_RULE_COMMAND_ALL;
    case SL_COM_STMT_PREPARE:
        return RWS_RULE_PREPARE;
    case SL_COM_FIELD_LIST:
        return RWS_RULE_COMMAND_READ;
    case SL_COM_QUERY:
    case SL_COM_STMT_EXECUTE:
    case SL_COM_STMT_BULK_EXECUTE:
    case SL_COM_STMT_SEND_LONG_DATA:
        return RWS_RULE_NONE;
    default: /* STATISTICS, PROCESS_INFO, SHUTDOWN, BINLOG_DUMP, ... */
        return RWS_RULE_COMMAND_PRIMARY;
    }
}

#define TRX_CONTROL (SL_SQL_TRX_BEGIN | SL_SQL_TRX_COMMIT | SL_SQL_TRX_ROLLBACK)

/* What must reach every server. A write in the same statement wins (it is for the primary
 * alone). */
static enum rws_rule decide_all(const struct rws_facts *f)
{
    /* SET @v = NEXTVAL(s) must be worked out once. */
    if (f->is_multi || (f->type & (SL_SQL_WRITE | SL_SQL_PRIMARY_READ))) {
        return RWS_RULE_NONE;
    }
    if (f->type & (SL_SQL_PREPARE | SL_SQL_DEALLOCATE)) {
        return RWS_RULE_PREPARE;
    }
    if (f->type & (SL_SQL_AUTOCOMMIT_ON | SL_SQL_AUTOCOMMIT_OFF)) {
        return RWS_RULE_AUTOCOMMIT;
    }
    if (f->type & SL_SQL_GLOBAL_WRITE) {
        return RWS_RULE_GLOBAL;
    }
    if (f->type & SL_SQL_TRX_NEXT) {
        return RWS_RULE_NONE;
    }
    bool is_user_variable =
        (f->type & SL_SQL_USERVAR_WRITE) && (f->op == SL_SQL_OP_SET || !f->variables_in_master);
    if (f->type & SL_SQL_SESSION_WRITE) {
        return is_user_variable ? RWS_RULE_USERVAR : RWS_RULE_SESSION_STATE;
    }
    return is_user_variable ? RWS_RULE_USERVAR : RWS_RULE_NONE;
}

/* A statement outside transactions that is for the primary; NONE: it is not. */
static enum rws_rule decide_primary(const struct rws_facts *f)
{
    if (f->is_multi) {
        return RWS_RULE_MULTI;
    }
    if (f->type & (SL_SQL_WRITE | SL_SQL_CREATE_TEMP)) {
        return f->type & SL_SQL_TRX_NEXT ? RWS_RULE_TRX_NEXT : RWS_RULE_WRITE;
    }
    if (f->type & (SL_SQL_PRIMARY_READ | SL_SQL_TRX_NEXT)) {
        return f->type & SL_SQL_TRX_NEXT ? RWS_RULE_TRX_NEXT : RWS_RULE_PRIMARY_READ;
    }
    if (f->reads_temp_table) {
        return RWS_RULE_TEMP_TABLE;
    }
    if (f->variables_in_master && (f->type & (SL_SQL_USERVAR_READ | SL_SQL_USERVAR_WRITE))) {
        return RWS_RULE_VARIABLES;
    }
    if (f->no_replicas) {
        return RWS_RULE_NO_REPLICAS;
    }
    return f->type & SL_SQL_READ ? RWS_RULE_NONE : RWS_RULE_NOT_A_READ;
}

/* Transactions; NONE: the statement has nothing to do with one. */
static enum rws_rule decide_trx(const struct rws_facts *f)
{
    const struct sl_trx *trx = f->trx;
    if (trx->is_open && trx->is_read_only && !f->is_multi) {
        if (f->has_trx_server) {
            return RWS_RULE_TRX_READ_ONLY;
        }
        return f->no_replicas || f->has_temp_tables ? RWS_RULE_TRX_READ_ONLY_PRIMARY
                                                    : RWS_RULE_TRX_READ_ONLY_BEGINS;
    }
    if (f->type & TRX_CONTROL) {
        return RWS_RULE_TRX_CONTROL;
    }
    if (trx->is_open && (f->has_trx_server || trx->autocommit)) {
        return RWS_RULE_TRX_OPEN;
    }
    return trx->is_open || !trx->autocommit ? RWS_RULE_AUTOCOMMIT_OFF : RWS_RULE_NONE;
}

enum rws_rule rws_decide(const struct rws_facts *f)
{
    enum rws_rule command = decide_command(f->command);
    if (rules[command].target == RWS_TARGET_ALL) {
        return command;
    }
    enum rws_rule rule = command == RWS_RULE_NONE ? decide_all(f) : RWS_RULE_NONE;
    if (rule != RWS_RULE_NONE) {
        return rule;
    }
    if (f->is_locked) {
        return RWS_RULE_LOCKED;
    }
    rule = decide_trx(f);
    if (rule != RWS_RULE_NONE) {
        return rule;
    }
    if (command != RWS_RULE_NONE) {
        return f->no_replicas ? RWS_RULE_COMMAND_PRIMARY : command;
    }
    rule = decide_primary(f);
    if (rule != RWS_RULE_NONE) {
        return rule;
    }
    return f->type & SL_SQL_LAST ? RWS_RULE_LAST : RWS_RULE_READ;
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
