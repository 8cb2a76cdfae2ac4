/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session command history: the statements that make up a session's state (SET, USE, PREPARE ...),
 * so that a new connection can be brought to the same state. Pure; one per session, owned by a
 * router.
 *
 * Rules (docs/internals/session-history.md): identical statements keep only their last copy; beyond
 * `limit` the oldest that may go is dropped when pruning is on, otherwise the state can no longer
 * be recovered; binary PREPAREs neither count nor are pruned while they are open.
 */
#ifndef SL_CORE_HISTORY_H
#define SL_CORE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

enum sl_history_result {
    SL_HISTORY_PENDING,
    SL_HISTORY_OK,
    SL_HISTORY_ERR
};

struct sl_history_entry {
    struct sl_list node;
    uint32_t id;   /* grows; never 0 */
    uint32_t slot; /* statement slot + 1 of a binary PREPARE, else 0 */
    uint8_t command;
    uint8_t result; /* enum sl_history_result */
    uint32_t len;
    uint64_t hash;
    uint64_t early_ok; /* servers (bit = position) that answered before the deciding one */
    uint64_t early_err;
    uint8_t packet[]; /* with header, as sent */
};

struct sl_history {
    struct sl_list entries; /* oldest first */
    uint32_t count;         /* without binary PREPAREs */
    uint32_t total;
    uint32_t limit;
    uint32_t next_id;
    bool prune;
    /* entries with a smaller id are kept when the same runs again: a transaction that may be
     * replayed began with them */
    uint32_t pinned_below;
    bool is_lost; /* over the limit without pruning: cannot be recovered */
    size_t bytes;
};

void sl_history_init(struct sl_history *h, uint32_t limit, bool prune);
void sl_history_clear(struct sl_history *h);

/* Stores a copy of the packet; returns its entry, NULL when memory is out (is_lost is set then)
 * or, but for binary PREPAREs, when it is lost already. */
struct sl_history_entry *sl_history_add(struct sl_history *h, const void *packet, size_t len,
                                        uint32_t slot);
/* The recorded result of an entry, by id; a failed statement is kept too: a replica must fail
 * alike. */
void sl_history_result(struct sl_history *h, uint32_t id, enum sl_history_result result);
struct sl_history_entry *sl_history_find(struct sl_history *h, uint32_t id);
/* COM_STMT_CLOSE: forgets the PREPARE of a slot. */
void sl_history_close_slot(struct sl_history *h, uint32_t slot);
struct sl_history_entry *sl_history_find_slot(struct sl_history *h, uint32_t slot);
bool sl_history_is_recoverable(const struct sl_history *h);

#endif
