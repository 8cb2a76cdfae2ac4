/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of GTIDs without a bound on the number of domains: the position of a replica (one GTID per
 * domain, sorted by domain) and the state of a binlog (the newest sequence number per domain and
 * server, sorted by domain, the one written last at the end of its domain's run as GTID_LIST events
 * have it). Finding a domain is a binary search; adding to a domain that is known allocates nothing.
 *
 * Owned by one thread. Facts: MariaDB documentation "Global Transaction ID" and
 * "Gtid_list_log_event"; sql/rpl_gtid.cc for the rules of acceptance.
 */
#ifndef SL_REPL_GTID_LIST_H
#define SL_REPL_GTID_LIST_H

#include "base/buffer.h"
#include "base/error.h"
#include "repl/gtid.h"

/* More entries than this in one list, from the wire or a file, are refused. */
#define SL_GTID_LIST_MAX 65536

struct sl_gtid_list {
    struct sl_gtid *gtid;
    uint32_t count;
    uint32_t capacity;
};

// clang-format off
#define SL_GTID_LIST_INIT {NULL, 0, 0}
// clang-format on

void sl_gtid_list_free(struct sl_gtid_list *l); /* empty and usable afterwards */
void sl_gtid_list_clear(struct sl_gtid_list *l);
/* Room for `more` entries behind the last. 0 or SL_ENOMEM. */
int sl_gtid_list_reserve(struct sl_gtid_list *l, uint32_t more);
int sl_gtid_list_copy(struct sl_gtid_list *to, const struct sl_gtid_list *from); /* or SL_ENOMEM */
/* Text "D-S-N,..." in the list's order; "" when empty. 0 or SL_ENOMEM. */
int sl_gtid_list_text(const struct sl_gtid_list *l, struct sl_buf *out);

/* ---- positions: one GTID per domain ---- */

/* SL_EPROTO: not a list (a server's error 1941); SL_EEXIST: two GTIDs of one domain, err has the
 * text of error 1943. *ret is empty on failure. */
int sl_gtid_position_parse(struct sl_slice text, struct sl_gtid_list *ret, struct sl_err *err);
/* NULL if the domain is not there. */
const struct sl_gtid *sl_gtid_position_find(const struct sl_gtid_list *position, uint32_t domain);
/* Sets the domain's GTID, whatever was there. 0 or SL_ENOMEM. */
int sl_gtid_position_set(struct sl_gtid_list *position, struct sl_gtid gtid);
void sl_gtid_position_remove(struct sl_gtid_list *position, uint32_t domain);

/* ---- states: one GTID per (domain, server) ---- */

/* The group was written: its GTID takes the place of its server's and is the domain's last one now.
 * 0 or SL_ENOMEM. */
int sl_gtid_state_add(struct sl_gtid_list *state, struct sl_gtid gtid);
/* Makes a state of entries that were appended in the order in which a GTID_LIST event gives them.
 * 0 or SL_ENOMEM (the list is empty then). */
int sl_gtid_state_order(struct sl_gtid_list *l);
/* Is the group in there already (same domain and server, sequence number not higher)? */
bool sl_gtid_state_has(const struct sl_gtid_list *state, struct sl_gtid gtid);
bool sl_gtid_state_knows_domain(const struct sl_gtid_list *state, uint32_t domain);
/* The one written last of the domain; NULL if the domain is not there. */
const struct sl_gtid *sl_gtid_state_last(const struct sl_gtid_list *state, uint32_t domain);
/* The last one of each domain: gtid_binlog_pos. 0 or SL_ENOMEM. */
int sl_gtid_state_position(const struct sl_gtid_list *state, struct sl_gtid_list *ret);

/* May a replica at `position` be served by a binlog with `state`? (The rules of a server.)
 * AHEAD and DIVERGED: *ret_gtid is the GTID that is not there; DIVERGED goes before AHEAD. */
enum sl_gtid_verdict {
    SL_GTID_SERVED,
    SL_GTID_AHEAD,   /* beyond the last one of its domain */
    SL_GTID_DIVERGED /* its server never wrote that number here, although others got further */
};
enum sl_gtid_verdict sl_gtid_state_judge(const struct sl_gtid_list *state,
                                         const struct sl_gtid_list *position,
                                         bool ignore_duplicates, struct sl_gtid *ret_gtid);

/* Can a replica at `position` start in a file whose GTID_LIST is `list`? As a server decides it. */
bool sl_gtid_file_covers(const struct sl_gtid_list *list, const struct sl_gtid_list *position);

#endif
