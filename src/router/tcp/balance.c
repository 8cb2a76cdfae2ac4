/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router tcp: the choice of a server. Pure functions over arrays; the only memory is the balance
 * state.
 */
#include "base/assert.h"
#include "router/tcp/tcp.h"

static bool is_candidate(const struct sl_tcp_candidate *c, uint32_t rank)
{
    return c->can_serve && c->weight > 0 && c->rank == rank;
}

/* The load a server would have with one more connection, compared without division. */
static bool is_less_loaded(const struct sl_tcp_candidate *a, const struct sl_tcp_candidate *b)
{
    return ((uint64_t)a->connections + 1) * b->weight < ((uint64_t)b->connections + 1) * a->weight;
}

/* Equals take turns, else short connections would all meet at the first server. */
static int least_connections(const struct sl_tcp_candidate *list, unsigned count, uint32_t rank,
                             struct sl_tcp_balance_state *state)
{
    int best = SL_TCP_NO_SERVER;
    for (unsigned n = 1; n <= count; n++) {
        unsigned i = (state->last + n) % count;
        if (is_candidate(&list[i], rank) &&
            (best == SL_TCP_NO_SERVER || is_less_loaded(&list[i], &list[best]))) {
            best = (int)i;
        }
    }
    if (best != SL_TCP_NO_SERVER) {
        state->last = (unsigned)best;
    }
    return best;
}

/* Everybody is credited its weight, the richest serves and pays the sum of all: connections
 * follow the weights and are spread evenly in time. */
static int round_robin(const struct sl_tcp_candidate *list, unsigned count, uint32_t rank,
                       struct sl_tcp_balance_state *state)
{
    int best = SL_TCP_NO_SERVER;
    int64_t total = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!is_candidate(&list[i], rank)) {
            state->credit[i] = 0; /* nobody saves up while it is away */
            continue;
        }
        state->credit[i] += list[i].weight;
        total += list[i].weight;
        if (best == SL_TCP_NO_SERVER || state->credit[i] > state->credit[best]) {
            best = (int)i;
        }
    }
    if (best != SL_TCP_NO_SERVER) {
        state->credit[best] -= total;
    }
    return best;
}

static int first(const struct sl_tcp_candidate *list, unsigned count, uint32_t rank,
                 struct sl_tcp_balance_state *state)
{
    for (unsigned i = 0; i < count; i++) {
        if (is_candidate(&list[i], rank)) {
            return (int)i;
        }
    }
    return SL_TCP_NO_SERVER;
}

int sl_tcp_balance_choose(enum sl_tcp_balance method, const struct sl_tcp_candidate *list,
                          unsigned count, struct sl_tcp_balance_state *state)
{
    static int (*const methods[])(const struct sl_tcp_candidate *, unsigned, uint32_t,
                                  struct sl_tcp_balance_state *) = {
        [SL_TCP_LEASTCONN] = least_connections,
        [SL_TCP_ROUNDROBIN] = round_robin,
        [SL_TCP_FIRST] = first,
    };
    sl_assert(count <= SL_TCP_SERVERS_MAX && (size_t)method < SL_ARRAY_LEN(methods));
    uint32_t rank = UINT32_MAX;
    for (unsigned i = 0; i < count; i++) {
        if (is_candidate(&list[i], list[i].rank)) {
            rank = SL_MIN(rank, list[i].rank);
        }
    }
    return rank == UINT32_MAX ? SL_TCP_NO_SERVER : methods[method](list, count, rank, state);
}
