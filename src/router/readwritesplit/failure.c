/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failures: a connection is lost, a server refuses, roles move. What may be retried and what ends
 * the session is section E of docs/internals/readwritesplit.md. In short:
 *
 *   a read of which the client has seen nothing       another server runs it (retry_failed_reads)
 *   a session command                                 another connected server's answer is taken
 *   a write that was sent                              never sent again: outcome unknown
 *   a write that the server refused for certain        held, sent again (delayed_retry)
 *   a write that was not sent                          held (delayed_retry), error or end, by
 *                                                      master_failure_mode
 *   an open transaction on the lost server             replay (replay.c), or ends the session
 */
#include <stdio.h>

#include "base/log.h"
#include "core/core.h"
#include "proto/constants.h"
#include "router/readwritesplit/replay.h"

static bool is_error_on_write(const struct rws *r)
{
    return r->cfg->master_failure_mode == SL_ERROR_ON_WRITE;
}

/* It is answered now, without a server. */
static void forget_command(struct rws *r)
{
    rws_drop_saved(r);
    r->is_waiting = false;
    r->held_since_ms = 0;
    r->tried = 0;
}

/* The error of a server in read-only mode: applications know it. */
static void answer_read_only(struct rws *r)
{
    forget_command(r);
    sl_session_answer_error(
        r->session, SL_ER_OPTION_PREVENTS_STATEMENT, NULL,
        "The MariaDB server is running with the --read-only option so it cannot execute "
        "this statement");
}

static void lose_session(struct rws *r, const char *why)
{
    sl_log_warning("Closing the session of '%s': %s", r->session->client_user, why);
    sl_session_fail(r->session, SL_ER_NET_READ_ERROR, "08S01", "%s", why);
}

/* The write was sent and not answered: it may have been carried out. */
static void answer_unknown(struct rws *r, int position)
{
    struct sl_session *s = r->session;
    const char *name = s->service->servers[position]->name;
    sl_count(&sl_session_counters(s)->unknown_outcomes, 1);
    sl_log_warning("Lost server '%s' while it was running a write of '%s': the outcome is unknown",
                   name, s->client_user);
    rws_drop_saved(r);
    r->tried = 0;
    if (is_error_on_write(r) && !s->is_infile) {
        sl_session_answer_error(s, SL_ER_ERROR_DURING_COMMIT, "08007",
                                "outcome unknown: lost server '%s' while it was running the "
                                "statement; it may have been executed or not",
                                name);
        return;
    }
    sl_session_fail(s, SL_ER_ERROR_DURING_COMMIT, "08007",
                    "outcome unknown: lost server '%s' while it was running the statement", name);
}

static bool is_past(const struct rws *r, int64_t limit_ms)
{
    return r->held_since_ms != 0 &&
           sl_loop_now_ms(r->session->worker->loop) - r->held_since_ms > (uint64_t)limit_ms;
}

static bool may_wait_for_primary(const struct rws *r)
{
    return r->cfg->delayed_retry && !is_past(r, r->cfg->delayed_retry_timeout) &&
           (!r->session->trx.is_open || r->session->trx.is_starting) &&
           (r->primary == RWS_NONE || rws_can_change_primary(r, RWS_NONE));
}

/* The Master, if it has just refused the user: that does not get better by waiting. */
static const struct sl_server *denying_primary(const struct rws *r)
{
    uint64_t mask = r->denied & r->tried;
    for (; mask != 0; mask &= mask - 1) {
        const struct sl_server *server = r->session->service->servers[__builtin_ctzll(mask)];
        if (sl_server_status(server) & SL_SERVER_MASTER) {
            return server;
        }
    }
    return NULL;
}

bool rws_primary_denies(struct rws *r)
{
    struct sl_session *s = r->session;
    const struct sl_server *server = denying_primary(r);
    if (!server) {
        return false;
    }
    char text[256];
    snprintf(text, sizeof text,
             "Server '%s', which takes the writes, refused the login of user '%s'", server->name,
             s->client_user);
    if (is_error_on_write(r)) {
        forget_command(r);
        sl_session_answer_error(s, SL_ER_ACCESS_DENIED, NULL, "%s", text);
    } else {
        sl_session_fail(s, SL_ER_ACCESS_DENIED, NULL, "%s", text);
    }
    return true;
}

bool rws_no_primary(struct rws *r, bool is_saved)
{
    if (may_wait_for_primary(r)) {
        return true;
    }
    sl_core_server_suspect(r->session->worker->core,
                           r->session->service->servers[r->primary == RWS_NONE ? 0 : r->primary]);
    if (is_error_on_write(r)) {
        answer_read_only(r);
    } else {
        lose_session(r, "no server takes writes now (there is no usable Master)");
    }
    return false;
}

void rws_no_server(struct rws *r, bool is_saved)
{
    lose_session(r, "no server is available for reads");
}

/* ---- a connection is lost ---- */

struct loss {
    bool owes_client; /* the client's reply was expected from it */
    bool has_started; /* and has partly gone out */
    bool was_primary;
    bool trx_lost;
    int position;
};

static struct loss assess(const struct rws *r, const struct sl_backend *b)
{
    struct loss l = {.was_primary = (int)b->position == r->primary && !rws_is_renewal(r, b),
                     .position = (int)b->position};
    for (unsigned i = 0; i < b->queue_count; i++) {
        const struct sl_expected *e = &b->queue[(b->queue_head + i) % b->queue_capacity];
        if (e->purpose == SL_PURPOSE_CLIENT) {
            l.owes_client = true;
            /* A reply that is done is an earlier one, whose end is being looked at now. */
            l.has_started = i == 0 && b->reply.started && !sl_reply_is_done(&b->reply);
        }
    }
    l.trx_lost = r->session->trx.is_open && r->trx_server == (int)b->position;
    return l;
}

/* The primary is gone and nobody was waiting for it. */
static void lost_idle_primary(struct rws *r)
{
    sl_count(&sl_session_counters(r->session)->lost_primaries, 1);
    if (r->cfg->master_failure_mode == SL_FAIL_INSTANTLY) {
        lose_session(r, "the primary was lost (master_failure_mode=fail_instantly)");
    } else if (r->cfg->strict_tmp_tables && r->temp_tables.count > 0) {
        lose_session(r, "the primary was lost, and temporary tables with it (strict_tmp_tables)");
    } else if (r->used_get_lock) {
        lose_session(r, "the primary was lost, and locks of GET_LOCK() with it");
    } else if (r->locks & RWS_LOCK_TABLES) {
        lose_session(r, "the primary was lost, and locks of LOCK TABLES with it");
    }
}

static struct sl_backend *other_ready(const struct rws *r)
{
    for (unsigned i = 0; i < r->session->backend_count; i++) {
        if (sl_backend_is_ready(r->session->backends[i])) {
            return r->session->backends[i];
        }
    }
    return NULL;
}

/* A session command is not sent again to servers that have it: one of them answers for the lost
 * one. */
static bool take_over(struct rws *r)
{
    struct sl_session *s = r->session;
    uint32_t tag = s->command == SL_COM_STMT_PREPARE ? rws_stmt_tag(r, r->slot) : r->history_id;
    for (unsigned i = 0; i < s->backend_count; i++) {
        struct sl_backend *b = s->backends[i];
        if (sl_backend_is_ready(b) && sl_backend_take_over(b, s->command, tag)) {
            r->position = (int)i;
            return true;
        }
    }
    return false;
}

static void lost_while_running(struct rws *r, const struct loss *l)
{
    struct sl_session *s = r->session;
    if (l->has_started) {
        lose_session(r, "the connection to the server was lost in the middle of a result");
        return;
    }
    bool is_read = r->target == RWS_TARGET_REPLICA || r->target == RWS_TARGET_LAST;
    bool is_session_command = r->target == RWS_TARGET_ALL && (other_ready(r) || r->history_id != 0);
    if (r->target == RWS_TARGET_ALL && take_over(r)) {
        return;
    }
    if ((is_read || is_session_command) && r->saved) {
        sl_count(&sl_session_counters(s)->retried_reads, 1);
        rws_route_saved(r);
        return;
    }
    if (r->is_refused && r->saved) {
        r->is_refused = false;
        rws_route_saved(r);
        return;
    }
    bool is_for_primary = r->target == RWS_TARGET_PRIMARY || r->sends_once;
    if (is_for_primary && (r->type & (SL_SQL_WRITE | SL_SQL_PRIMARY_READ))) {
        answer_unknown(r, l->position);
        if (l->was_primary && s->step == SL_SESSION_READY) {
            lost_idle_primary(r);
        }
        return;
    }
    if (l->was_primary && is_error_on_write(r) && r->target == RWS_TARGET_PRIMARY) {
        answer_read_only(r);
        if (s->step == SL_SESSION_READY) {
            lost_idle_primary(r);
        }
        return;
    }
    lose_session(r, "the connection to the server was lost while it was running a statement");
}

static void note_tried(struct rws *r, const struct sl_backend *b)
{
    uint64_t bit = 1ull << b->position;
    /* not 1049: a new Master may have the CREATE DATABASE still to apply */
    bool is_denied = b->why_code == SL_ER_ACCESS_DENIED || b->why_code == SL_ER_DBACCESS_DENIED;
    r->tried |= bit;
    r->denied = is_denied ? r->denied | bit : r->denied & ~bit;
}

void rws_on_backend_lost(struct sl_session *s, struct sl_backend *b, const char *why)
{
    struct rws *r = s->router;
    struct loss l = assess(r, b);
    rws_renewal_lost(r, b);
    if (r->causal) {
        rws_causal_backend_lost(r, b);
    }
    note_tried(r, b);
    if (rws_replay_on_lost(r, l.position, l.owes_client, l.has_started)) {
        return;
    }
    if (l.trx_lost) {
        lose_session(r, "the connection to the server was lost in the middle of a transaction");
    } else if (l.owes_client) {
        lost_while_running(r, &l);
    } else {
        if (l.was_primary) {
            lost_idle_primary(r);
        }
        bool is_ready = s->step == SL_SESSION_READY;
        if (is_ready && r->is_waiting) {
            rws_route_saved(r);
        } else if (is_ready && s->held) {
            sl_session_unhold(s);
        } else {
            r->tried = 0; /* nothing was going on: the next statement may try it again */
        }
    }
}

/* ---- a server refuses ---- */

static bool means_gone(uint16_t code)
{
    return code == SL_ER_SERVER_SHUTDOWN || code == SL_ER_CONNECTION_KILLED;
}

bool rws_is_not_ready(const struct sl_reply *reply)
{
    return reply->error_code == SL_ER_UNKNOWN_COM &&
           (reply->command == SL_COM_QUERY || reply->command == SL_COM_STMT_EXECUTE ||
            reply->command == SL_COM_STMT_BULK_EXECUTE || reply->command == SL_COM_STMT_FETCH);
}

static bool is_class_40(const struct sl_reply *reply)
{
    return reply->sqlstate[0] == '4' && reply->sqlstate[1] == '0';
}

#define REFUSALS_AT_ONCE 5 /* deadlocks of one autocommitted statement that are tried again */

/* An autocommitted write that the server says it has not carried out. True: it will be sent
 * again. */
static bool retry_refused(struct rws *r, struct sl_backend *b, const struct sl_reply *reply)
{
    struct sl_session *s = r->session;
    uint64_t now_ms = sl_loop_now_ms(s->worker->loop);
    bool is_not_ready = rws_is_not_ready(reply);
    bool is_read_only = reply->error_code == SL_ER_OPTION_PREVENTS_STATEMENT &&
                        r->refusal_is_readonly && (int)b->position == r->primary;
    bool is_deadlock = r->cfg->transaction_replay && r->cfg->transaction_replay_retry_on_deadlock &&
                       is_class_40(reply) && r->refusals < REFUSALS_AT_ONCE;
    if (!(is_not_ready || is_read_only || is_deadlock) || r->target != RWS_TARGET_PRIMARY ||
        !r->saved || s->trx.is_open || s->is_killed || r->may_commit_inside) {
        return false;
    }
    r->refused_since_ms = r->refused_since_ms ? r->refused_since_ms : now_ms;
    if (now_ms - r->refused_since_ms > (uint64_t)r->cfg->delayed_retry_timeout) {
        return false;
    }
    sl_count(&sl_session_counters(s)->retried_writes, 1);
    r->refusals++;
    if (is_deadlock) {
        rws_route_saved(r);
        return true;
    }
    sl_core_server_suspect(s->worker->core, b->server);
    b->reply.started = false; /* the ERR is ours alone: for the client nothing has begun */
    r->is_refused = true;
    sl_backend_lost(b, is_not_ready ? "the node is not ready for queries"
                                    : "the server takes no writes any more");
    return true;
}

bool rws_on_error(struct sl_session *s, struct sl_backend *b, const struct sl_reply *reply)
{
    struct rws *r = s->router;
    if (rws_replay_on_error(r, b, reply) || retry_refused(r, b, reply)) {
        return true;
    }
    bool not_ready = reply->error_code == SL_ER_UNKNOWN_COM && reply->command != SL_COM_SHUTDOWN;
    if (!not_ready && !(means_gone(reply->error_code) && !s->is_killed)) {
        if (reply->error_code == SL_ER_OPTION_PREVENTS_STATEMENT) {
            sl_core_server_suspect(s->worker->core, b->server);
        }
        return false;
    }
    sl_core_server_suspect(s->worker->core, b->server);
    bool is_read = r->target == RWS_TARGET_REPLICA || r->target == RWS_TARGET_LAST;
    if (!is_read || !r->saved || s->trx.is_open) {
        return false; /* not run, says the server: the client may know that too */
    }
    b->reply.started = false; /* the ERR is ours alone: for the client nothing has begun */
    sl_backend_lost(b, not_ready ? "the node is not ready for queries"
                                 : "the server is shutting down");
    return true;
}

/* ---- roles move ---- */

static bool is_idle_here(const struct rws *r, const struct sl_backend *b)
{
    return sl_backend_is_idle(b) && r->trx_server != (int)b->position;
}

/* It has lost its role without having to stop: what is open there may finish. */
static bool is_leaving(const struct sl_server *server)
{
    return atomic_load_explicit(&server->hints, memory_order_relaxed) & SL_SERVER_HINT_LEAVING;
}

static void look_at(struct rws *r, struct sl_backend *b)
{
    uint32_t st = sl_server_status(b->server);
    if (b->server->service) {
        return; /* the inner session lives on, or ends: it is the one that sees the servers */
    }
    if (!(st & SL_SERVER_RUNNING)) {
        sl_backend_lost(b, "the server is down");
    } else if ((st & SL_SERVER_MAINT) || is_leaving(b->server)) {
        if (is_idle_here(r, b)) {
            sl_backend_close(b);
        }
    } else if (!sl_status_is_master(st) && !sl_status_is_slave(st) && !sl_status_is_relay(st)) {
        sl_backend_lost(b, "the server has lost its role");
    }
}

void rws_on_topology(struct sl_session *s)
{
    struct rws *r = s->router;
    for (unsigned i = 0; i < s->backend_count && s->step == SL_SESSION_READY; i++) {
        if (s->backends[i]) {
            look_at(r, s->backends[i]);
        }
    }
    if (s->step != SL_SESSION_READY) {
        return;
    }
    r->tried = 0;
    rws_renew_soon(r);
    if (rws_replay_is_running(r)) {
        rws_replay_wake(r);
    } else if (r->is_waiting) {
        rws_route_saved(r);
    } else if (s->held) {
        sl_session_unhold(s);
    }
}

bool rws_is_connecting(const struct sl_session *s, uint64_t without)
{
    for (unsigned i = 0; i < s->backend_count; i++) {
        bool counts = s->backends[i] && !((without >> i) & 1);
        if (counts && !sl_backend_is_ready(s->backends[i])) {
            return true;
        }
    }
    return false;
}

void rws_on_sweep(struct sl_session *s, uint64_t now_ms)
{
    struct rws *r = s->router;
    if (r->causal) {
        rws_causal_sweep(r, now_ms);
    }
    for (unsigned i = 0; i < s->backend_count; i++) {
        struct sl_backend *b = s->backends[i];
        if (sl_backend_is_ready(b) && is_idle_here(r, b) &&
            (rws_is_too_far_behind(r, (int)i) || is_leaving(b->server))) {
            sl_backend_close(b);
        }
    }
    if (rws_replay_is_running(r)) {
        rws_replay_wake(r);
        return;
    }
    if (r->held_since_ms == 0 || !(r->is_waiting || s->held)) {
        return;
    }
    if (!rws_is_connecting(s, r->renewal.positions)) {
        /* nothing is under way: a server that refused a second ago may be there now */
        r->tried = 0;
    }
    if (r->is_waiting) {
        rws_route_saved(r);
    } else if (s->held) {
        sl_session_unhold(s);
    }
}
