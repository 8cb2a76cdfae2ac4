/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which server? Candidates are compared group by group, within the best group by the criterion's
 * score, ties by the least recently written connection. Reads only atomics of the servers: nothing
 * here locks or allocates.
 */
#include "core/server.h"
#include "router/readwritesplit/rwsplit.h"

#define LAG_DISCARD_MIN_S 300
#define GROUPS 4 /* by state of the connection */

static struct sl_server *server_at(const struct rws *r, int position)
{
    return r->session->service->servers[position];
}

static bool is_excluded(const struct rws *r, int position)
{
    return ((r->bad | r->tried) >> position) & 1;
}

static int64_t rank_of(const struct rws *r, int position)
{
    return server_at(r, position)->settings.rank;
}

/* May the session use this server as its primary: connected and still a usable Master, or
 * connectable. */
static bool can_be_primary(const struct rws *r, int position)
{
    uint32_t st = sl_server_status(server_at(r, position));
    if (is_excluded(r, position) || !sl_status_is_master(st)) {
        return false;
    }
    return sl_backend_is_ready(r->session->backends[position]) || sl_status_is_connectable(st);
}

int rws_select_primary(const struct rws *r)
{
    if (r->primary != RWS_NONE && can_be_primary(r, r->primary)) {
        return r->primary;
    }
    int best = RWS_NONE;
    for (int i = 0; i < (int)r->session->backend_count; i++) {
        if (!can_be_primary(r, i)) {
            continue;
        }
        if (best == RWS_NONE || rank_of(r, i) < rank_of(r, best) ||
            (rank_of(r, i) == rank_of(r, best) &&
             sl_server_connections(server_at(r, i)) < sl_server_connections(server_at(r, best)))) {
            best = i;
        }
    }
    return best;
}

static bool is_lag_ok(const struct rws *r, int position, uint32_t status)
{
    int64_t limit_s = r->hint.has_lag ? r->hint.lag_s : r->cfg->max_replication_lag / 1000;
    bool has_limit = limit_s > 0 || r->hint.has_lag;
    if (!has_limit || sl_status_is_master(status)) {
        return true;
    }
    int64_t lag = atomic_load_explicit(&server_at(r, position)->lag_s, memory_order_relaxed);
    return lag != SL_SERVER_LAG_UNKNOWN && lag < limit_s;
}

bool rws_is_too_far_behind(const struct rws *r, int position)
{
    const struct sl_server *server = server_at(r, position);
    int64_t limit_s = r->cfg->max_replication_lag / 1000;
    int64_t lag = atomic_load_explicit(&server->lag_s, memory_order_relaxed);
    return limit_s > 0 && !sl_status_is_master(sl_server_status(server)) &&
           lag != SL_SERVER_LAG_UNKNOWN && lag > SL_MAX(2 * limit_s, (int64_t)LAG_DISCARD_MIN_S);
}

unsigned rws_replica_connections(const struct rws *r)
{
    unsigned n = 0;
    for (int i = 0; i < (int)r->session->backend_count; i++) {
        n += r->session->backends[i] && !sl_status_is_master(sl_server_status(server_at(r, i)));
    }
    return n;
}

/* Lowest rank that has a usable server with a role; sessions follow the rank of their primary. */
static int64_t current_rank(const struct rws *r)
{
    if (r->primary != RWS_NONE && can_be_primary(r, r->primary)) {
        return rank_of(r, r->primary);
    }
    int64_t best = SL_RANK_SECONDARY;
    for (int i = 0; i < (int)r->session->backend_count; i++) {
        uint32_t st = sl_server_status(server_at(r, i));
        if ((sl_status_is_master(st) || sl_status_is_slave(st)) && rank_of(r, i) < best) {
            best = rank_of(r, i);
        }
    }
    return best;
}

static bool has_hint(const struct rws *r, int position, enum sl_server_hint hint)
{
    return atomic_load_explicit(&server_at(r, position)->hints, memory_order_relaxed) & hint;
}

/* The lag of a Galera node: what it has received and not applied yet. A node that has asked the
 * others to wait is over the limit, whatever the length was when the monitor looked. */
static bool is_queue_ok(const struct rws *r, int position, uint32_t status)
{
    const struct sl_server *server = server_at(r, position);
    if (r->cfg->max_receive_queue <= 0 || sl_status_is_master(status) ||
        !atomic_load_explicit(&server->is_galera, memory_order_relaxed)) {
        return true;
    }
    int32_t queue = atomic_load_explicit(&server->recv_queue, memory_order_relaxed);
    return queue >= 0 && queue < r->cfg->max_receive_queue &&
           !has_hint(r, position, SL_SERVER_HINT_FLOW_CONTROL);
}

/* rank: the one that sessions use now (current_rank). */
static bool is_usable(const struct rws *r, int position, uint32_t st, int64_t rank)
{
    if (is_excluded(r, position) ||
        !(sl_status_is_master(st) || sl_status_is_slave(st) || sl_status_is_relay(st)) ||
        !is_lag_ok(r, position, st) || !is_queue_ok(r, position, st) ||
        rank_of(r, position) != rank || (r->causal && !rws_causal_is_fresh(r, position))) {
        return false;
    }
    if (r->session->backends[position]) {
        return true;
    }
    return sl_status_is_connectable(st) && sl_history_is_recoverable(&r->history) &&
           (sl_status_is_master(st) ||
            rws_replica_connections(r) < (uint64_t)r->cfg->max_slave_connections);
}

bool rws_is_usable_for_reads(const struct rws *r, int position)
{
    return is_usable(r, position, sl_server_status(server_at(r, position)), current_rank(r));
}

/* Smaller is better: connected and idle, still busy with an ignored session command, connecting,
 * not yet connected; then those that the monitor would spare (donors); and the primary only when
 * nothing else is left, unless it accepts reads. */
static int group_of(const struct rws *r, int position, uint32_t st, uint32_t slot)
{
    const struct sl_backend *b = r->session->backends[position];
    int group;
    if (sl_backend_is_ready(b)) {
        bool is_idle = sl_backend_is_idle(b);
        if (slot && !rws_backend_knows(b, slot)) {
            if (is_idle) {
                return -1; /* it failed to prepare the statement */
            }
            /* its PREPARE is under way: worth the wait, rather than a read on the primary */
            group = 2;
        } else {
            group = is_idle ? 0 : 1;
        }
    } else {
        group = b ? 2 : 3;
    }
    if (sl_status_is_master(st) && !r->cfg->master_accept_reads) {
        return group + 2 * GROUPS;
    }
    return has_hint(r, position, SL_SERVER_HINT_AVOID) ? group + GROUPS : group;
}

static uint64_t score_of(const struct rws *r, int position)
{
    const struct sl_server *server = server_at(r, position);
    switch ((enum sl_slave_selection)r->cfg->slave_selection_criteria) {
    case SL_SELECT_ADAPTIVE_ROUTING:
        return atomic_load_explicit(&server->average_ns, memory_order_relaxed) *
               (sl_server_operations(server) + 1ull);
    case SL_SELECT_LEAST_BEHIND_MASTER: {
        int64_t lag = atomic_load_explicit(&server->lag_s, memory_order_relaxed);
        return lag == SL_SERVER_LAG_UNKNOWN ? UINT64_MAX : (uint64_t)lag;
    }
    case SL_SELECT_LEAST_GLOBAL_CONNECTIONS:
    case SL_SELECT_LEAST_ROUTER_CONNECTIONS:
        return sl_server_connections(server);
    case SL_SELECT_LEAST_CURRENT_OPERATIONS:
        break;
    }
    return sl_server_operations(server);
}

/* Of two with the same score: the connection least recently written to; of two that are not
 * connected (lazy_connect), the server with fewer connections. */
static bool wins_tie(const struct rws *r, int position, int best)
{
    const struct sl_backend *a = r->session->backends[position];
    const struct sl_backend *b = r->session->backends[best];
    if (!a && !b) {
        return sl_server_connections(server_at(r, position)) <
               sl_server_connections(server_at(r, best));
    }
    return (a ? a->write_order : 0) < (b ? b->write_order : 0);
}

int rws_select_replica(const struct rws *r, uint32_t slot)
{
    int best = RWS_NONE, best_group = 0;
    uint64_t best_score = 0;
    const int64_t rank = current_rank(r);
    for (int i = 0; i < (int)r->session->backend_count; i++) {
        uint32_t st = sl_server_status(server_at(r, i));
        if (!is_usable(r, i, st, rank)) {
            continue;
        }
        int group = group_of(r, i, st, slot);
        if (group < 0 || (best != RWS_NONE && group > best_group)) {
            continue;
        }
        uint64_t score = score_of(r, i);
        if (best == RWS_NONE || group < best_group || score < best_score ||
            (score == best_score && wins_tie(r, i, best))) {
            best = i;
            best_group = group;
            best_score = score;
        }
    }
    return best;
}
