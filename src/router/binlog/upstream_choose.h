/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which server to replicate from (select_master), and when to go back to the Master. Pure; any
 * thread.
 *
 * The rule: the first server with the Master role. If that one cannot give the position (it has
 * purged the files, or joined by a state transfer and never had them), another member of its cluster
 * is read until the relay has what the Master can continue. An asynchronous replica is not: it may have
 * groups of its own among those of the Master, which no position shows, and the relay would pass them
 * on as if they were the Master's.
 */
#ifndef SL_ROUTER_BINLOG_UPSTREAM_CHOOSE_H
#define SL_ROUTER_BINLOG_UPSTREAM_CHOOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "repl/gtid_list.h"

struct sl_candidate {
    uint32_t status;     /* enum sl_server_status */
    bool is_passed_over; /* said that it does not have what is needed */
    const void *watched; /* by whom: Joined servers of one monitor are of one cluster */
};

#define SL_CHOOSE_NONE (-1)

/* The index of the server to read from, or SL_CHOOSE_NONE: there is no Master, or the Master and all
 * others are passed over (*ret_is_exhausted). */
int sl_upstream_choose(const struct sl_candidate *c, unsigned count, bool *ret_is_exhausted);

/* Would this one be asked next, were it a member of the Master's cluster? */
bool sl_upstream_is_stranger(const struct sl_candidate *c, unsigned count, unsigned i);

/* Has somebody with the binlog state `state` everything that a server at `position` has, as far as
 * it is of domains that the state knows? False for an empty position. */
bool sl_upstream_has_reached(const struct sl_gtid_list *state, const struct sl_gtid_set *position);

#endif
