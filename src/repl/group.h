/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a group of events begins and ends. A group is a GTID event and what belongs to it:
 *   transaction  GTID, ..., XID or XA_PREPARE or QUERY "COMMIT"/"ROLLBACK"
 *   standalone   GTID, [INTVAR, RAND, USER_VAR, TABLE_MAP, ANNOTATE ...], one real event
 * (sql/slave.cc, sql_repl.cc of MariaDB). Pure; one thread.
 */
#ifndef SL_REPL_GROUP_H
#define SL_REPL_GROUP_H

#include "repl/event.h"

struct sl_group {
    bool is_open;              /* inside a group */
    struct sl_gtid_event gtid; /* of the open or the last group */
    uint32_t events;           /* of the open group so far */
};

enum sl_group_step {
    SL_GROUP_OUTSIDE, /* the event belongs to no group (ROTATE, FORMAT_DESCRIPTION, ...) */
    SL_GROUP_BEGIN,   /* a GTID event: the group is open now */
    SL_GROUP_INSIDE,
    SL_GROUP_END,   /* the event is the last one of its group, which is complete now */
    SL_GROUP_BROKEN /* a group before the event is incomplete, and closed now. The event is
                     *   a GTID: it opens a new group all the same;
                     *   a ROTATE, STOP or FORMAT_DESCRIPTION inside of a group;
                     *   one that only groups have, outside of one */
};

void sl_group_reset(struct sl_group *g);
/* One whole event. SL_EPROTO: it cannot be parsed; SL_ENOMEM: for opening a short QUERY_COMPRESSED.
 * Nothing has changed then. */
int sl_group_feed(struct sl_group *g, const uint8_t *event, uint32_t len, bool has_crc,
                  enum sl_group_step *ret);
/* One event too long to be held, by its header. What ends a transaction is short, so that its body
 * does not matter. */
enum sl_group_step sl_group_feed_long(struct sl_group *g, const struct sl_event_header *h);

#endif
