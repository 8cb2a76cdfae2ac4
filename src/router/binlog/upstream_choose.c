/* SPDX-License-Identifier: Apache-2.0 */
/* The choice of the server to replicate from; contract in the header. */
#include "router/binlog/upstream_choose.h"

#include "core/server.h"

static bool may_stand_in(const struct sl_candidate *c, const struct sl_candidate *master)
{
    return sl_status_is_joined(c->status) && sl_status_is_joined(master->status) &&
           c->watched == master->watched;
}

static int find_master(const struct sl_candidate *c, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (sl_status_is_master(c[i].status)) {
            return (int)i;
        }
    }
    return SL_CHOOSE_NONE;
}

bool sl_upstream_is_stranger(const struct sl_candidate *c, unsigned count, unsigned i)
{
    int master = find_master(c, count);
    bool could_serve = sl_status_is_slave(c[i].status) || sl_status_is_joined(c[i].status);
    return master != SL_CHOOSE_NONE && (unsigned)master != i && could_serve &&
           !may_stand_in(&c[i], &c[master]);
}

int sl_upstream_choose(const struct sl_candidate *c, unsigned count, bool *ret_is_exhausted)
{
    *ret_is_exhausted = false;
    int master = find_master(c, count);
    if (master == SL_CHOOSE_NONE || !c[master].is_passed_over) {
        return master;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!c[i].is_passed_over && may_stand_in(&c[i], &c[master])) {
            return (int)i;
        }
    }
    *ret_is_exhausted = true;
    return SL_CHOOSE_NONE;
}

/* The highest number of the domain; false if the domain is not there. */
static bool find_newest(const struct sl_gtid_list *state, uint32_t domain, uint64_t *ret_seq)
{
    bool is_known = false;
    *ret_seq = 0;
    for (uint32_t i = 0; i < state->count; i++) {
        if (state->gtid[i].domain == domain) {
            is_known = true;
            *ret_seq = state->gtid[i].seq > *ret_seq ? state->gtid[i].seq : *ret_seq;
        }
    }
    return is_known;
}

bool sl_upstream_has_reached(const struct sl_gtid_list *state, const struct sl_gtid_set *position)
{
    for (unsigned i = 0; i < position->count; i++) {
        uint64_t seq;
        if (find_newest(state, position->gtid[i].domain, &seq) && seq < position->gtid[i].seq) {
            return false;
        }
    }
    return position->count > 0;
}
