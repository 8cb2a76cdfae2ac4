/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hint in a comment changes: the rule of the routing table that fits is replaced by one of the
 * hint's, unless the session would break (docs/internals/hints.md). Called for each attempt to send
 * a command, so a server that turned out not to be usable is passed over.
 */
#include "core/server.h"
#include "router/readwritesplit/rwsplit.h"

enum kind {
    KEEPS_ITS_PLACE, /* session state, transactions, cursors, locks: hints are ignored */
    READS,           /* can be run again elsewhere */
    ACTS             /* is run once */
};

static enum kind kind_of(enum rws_rule rule)
{
    switch (rule) {
    case RWS_RULE_READ:
    case RWS_RULE_LAST:
    case RWS_RULE_COMMAND_READ:
    case RWS_RULE_TRX_READ_ONLY_BEGINS:
    case RWS_RULE_TRX_READ_ONLY_PRIMARY:
    case RWS_RULE_NO_REPLICAS:
    case RWS_RULE_TEMP_TABLE:
    case RWS_RULE_VARIABLES:
        return READS;
    case RWS_RULE_WRITE:
    case RWS_RULE_PRIMARY_READ:
    case RWS_RULE_MULTI:
    case RWS_RULE_NOT_A_READ:
        return ACTS;
    default:
        return KEEPS_ITS_PLACE;
    }
}

/* A server that could not prepare the statement. */
static bool is_unprepared(const struct rws *r, const struct rws_stmt *stmt,
                          const struct sl_backend *b)
{
    return stmt && sl_backend_is_ready(b) && sl_backend_is_idle(b) &&
           !rws_backend_knows(b, rws_stmt_slot(r, stmt));
}

/* Lag and rank do not matter: the statement asked for this one. */
static bool is_usable(const struct rws *r, const struct rws_stmt *stmt, int position)
{
    if (position < 0 || ((r->bad | r->tried) >> position) & 1) {
        return false;
    }
    uint32_t st = sl_server_status(r->session->service->servers[position]);
    if (!(sl_status_is_master(st) || sl_status_is_slave(st) || sl_status_is_relay(st))) {
        return false;
    }
    const struct sl_backend *b = r->session->backends[position];
    if (b) {
        return !is_unprepared(r, stmt, b);
    }
    return sl_status_is_connectable(st) && sl_history_is_recoverable(&r->history) &&
           (sl_status_is_master(st) ||
            rws_replica_connections(r) < (uint64_t)r->cfg->max_slave_connections);
}

static bool is_last_there(const struct rws *r)
{
    return r->last != RWS_NONE && r->session->backends[r->last];
}

/* The rule of the hint; the given one if it has none that can be followed now. */
static enum rws_rule rule_of(const struct rws *r, const struct rws_stmt *stmt, enum rws_rule rule,
                             enum kind kind)
{
    switch ((enum sl_hint_target)r->hint.target) {
    case SL_HINT_NONE:
        break;
    case SL_HINT_MASTER:
        return RWS_RULE_HINT_MASTER;
    case SL_HINT_SLAVE:
        return RWS_RULE_HINT_SLAVE;
    case SL_HINT_LAST:
        return kind == READS || is_last_there(r) ? RWS_RULE_HINT_LAST : rule;
    case SL_HINT_SERVER:
        return is_usable(r, stmt, r->hint.server) ? RWS_RULE_HINT_SERVER : rule;
    }
    return rule;
}

/* The primary takes what is written in the usual way: with its rules for failures. */
static bool leads_to_primary(const struct rws *r, enum rws_rule rule)
{
    int position = rule == RWS_RULE_HINT_SERVER ? r->hint.server
                   : rule == RWS_RULE_HINT_LAST ? r->last
                                                : RWS_NONE;
    return position != RWS_NONE && position == rws_select_primary(r);
}

enum rws_target rws_hint_apply(struct rws *r, const struct rws_stmt *stmt, enum rws_rule rule,
                               enum rws_target target)
{
    const struct sl_hint *hint =
        stmt && sl_hint_is_set(&stmt->hint) ? &stmt->hint : &r->session->hint;
    r->sends_once = false;
    r->rule = (uint8_t)rule;
    r->hint = (struct sl_hint){0};
    enum kind kind = sl_hint_is_set(hint) ? kind_of(rule) : KEEPS_ITS_PLACE;
    if (kind == KEEPS_ITS_PLACE) {
        return target;
    }
    r->hint = *hint;
    if (stmt && stmt->long_data != RWS_NONE) {
        r->sends_once = kind == ACTS;
        return RWS_TARGET_REPLICA; /* which follows the data */
    }
    enum rws_rule hinted = rule_of(r, stmt, rule, kind);
    if (hinted == rule) {
        return target;
    }
    r->rule = (uint8_t)hinted;
    target =
        kind == ACTS && leads_to_primary(r, hinted) ? RWS_TARGET_PRIMARY : rws_rule_target(hinted);
    r->sends_once = kind == ACTS && target != RWS_TARGET_PRIMARY;
    return target;
}
