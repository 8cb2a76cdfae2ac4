/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replicas that are opened in the background: all of them when a session starts, those it lacks
 * while it reads. Nothing waits for them, and nothing is lost with them: until such a connection
 * has the session's state its end is no event for the session, only a reason to wait longer.
 *
 * A server that refuses is asked less and less often, and the sessions of a proxy do not come all
 * at once to one that is back.
 */
#include "base/log.h"
#include "router/readwritesplit/request.h"

#define WAIT_MIN_MS 1000
#define WAIT_MAX_MS 60000

static uint64_t now_of(const struct rws *r)
{
    return sl_loop_now_ms(r->session->worker->loop);
}

/* Usable, not connected, with the fewest connections; RWS_NONE. */
static int next_replica(const struct rws *r)
{
    struct sl_server *const *servers = r->session->service->servers;
    int best = RWS_NONE;
    for (int i = 0; i < (int)r->session->backend_count; i++) {
        if (r->session->backends[i] || sl_status_is_master(sl_server_status(servers[i])) ||
            ((r->denied >> i) & 1) || !rws_is_usable_for_reads(r, i)) {
            continue;
        }
        if (best == RWS_NONE ||
            sl_server_connections(servers[i]) < sl_server_connections(servers[best])) {
            best = i;
        }
    }
    return best;
}

static void open_missing(struct rws *r)
{
    uint64_t wanted = (uint64_t)SL_MIN(r->cfg->slave_connections, r->cfg->max_slave_connections);
    for (uint64_t n = rws_replica_connections(r); n < wanted; n++) {
        int position = next_replica(r);
        if (position == RWS_NONE) {
            return;
        }
        if (rws_connect(r, position) == SL_OK) {
            r->renewal.positions |= 1ull << position;
        }
    }
}

void rws_open_replicas(struct rws *r)
{
    r->renewal.wait_ms = WAIT_MIN_MS;
    r->renewal.after_ms = now_of(r) + WAIT_MIN_MS;
    open_missing(r);
}

void rws_renew_replicas(struct rws *r)
{
    uint64_t now_ms = now_of(r);
    if (!r->cfg->lazy_connect && now_ms >= r->renewal.after_ms) {
        r->renewal.after_ms = now_ms + r->renewal.wait_ms;
        open_missing(r);
    }
}

void rws_renew_soon(struct rws *r)
{
    r->renewal.wait_ms = WAIT_MIN_MS;
    r->renewal.after_ms = now_of(r) + r->session->id % WAIT_MIN_MS;
}

void rws_renewal_ready(struct rws *r, const struct sl_backend *b)
{
    uint64_t bit = 1ull << b->position;
    if (r->renewal.positions & bit) {
        r->renewal.positions &= ~bit;
        r->renewal.wait_ms = WAIT_MIN_MS;
    }
}

void rws_renewal_lost(struct rws *r, const struct sl_backend *b)
{
    uint64_t bit = 1ull << b->position;
    if (r->renewal.positions & bit) {
        r->renewal.positions &= ~bit;
        r->renewal.wait_ms = SL_MIN(r->renewal.wait_ms * 2, WAIT_MAX_MS);
        r->renewal.after_ms = now_of(r) + r->renewal.wait_ms;
    }
}
