/* SPDX-License-Identifier: Apache-2.0 */
/* What dumps tell the registry of replicas; its users outside of dump*.c find relay.h enough. */
#ifndef SL_ROUTER_BINLOG_REPLICAS_H
#define SL_ROUTER_BINLOG_REPLICAS_H

#include "router/binlog/relay.h"

struct sl_replica; /* one dump, or one that has gone and is remembered */

struct sl_replica_start {
    uint32_t server_id; /* 0: nobody in particular, does not throw anybody out */
    const char *host;
    uint16_t port;
    uint32_t master_id;
    uint64_t session_id;
    unsigned worker; /* index of the session's */
    const char *user;
    bool is_semi_sync;
    bool is_lasting;        /* registered and reads on: remembered when it has gone */
    struct sl_store *store; /* what it reads */
};

/* A session that another one takes the place of: the same server_id reads twice. */
struct sl_replica_older {
    uint64_t session_id;
    unsigned worker;
};

/* Strings are copied. *ret_older: all sessions that read with the same server_id, one that is on its
 * way out may still be among them; free it with sl_free. 0 or SL_ENOMEM. Any thread; so are all
 * here. */
int sl_replicas_attach(struct sl_replicas *r, const struct sl_replica_start *start,
                       struct sl_replica **ret, struct sl_replica_older **ret_older,
                       unsigned *ret_count);
/* Everything before `offset` of `file` was sent; `sent` is the GTID position at that place. Copies,
 * no I/O. */
void sl_replica_note(struct sl_replica *replica, const char *file, uint64_t offset,
                     const struct sl_gtid_list *sent, bool is_waiting);
void sl_replica_acknowledge(struct sl_replica *replica);
/* The session ends: forgotten, or remembered for a while. NULL is fine. */
void sl_replica_detach(struct sl_replica *replica);

#endif
