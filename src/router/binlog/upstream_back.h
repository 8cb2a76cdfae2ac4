/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups whose numbers the log has already: a repeat, or a history that began anew? Upstream thread; no
 * socket, no clock.
 *
 * A Galera node that crashed logs groups a second time, with the times of the first. A primary whose
 * log was reset (RESET MASTER, a state set back) gives numbers away again, for groups that nobody has:
 * their times are later than everything in the log, and later than the connection began. Both are
 * dropped, since a log holds a number of a server once; the second is an alarm that stays until replication
 * is started anew.
 */
/* A server (10.11 seen) whose log is reset under a dump does not tell it: the stream stands, with
 * heartbeats. So what the monitor sees of that server is watched, too. */
#ifndef SL_ROUTER_BINLOG_UPSTREAM_BACK_H
#define SL_ROUTER_BINLOG_UPSTREAM_BACK_H

#include "repl/gtid_list.h"

struct sl_going_back {
    uint32_t newest; /* no group of the log is younger, by the primary's clock; 0: not known */
    bool is_told;    /* on this connection: that groups are dropped */
    bool is_alarm;   /* on this connection, likewise */
    char text[512];  /* the alarm; "" if there is none */
    /* what the monitor saw of the server that is read */
    const void *server;
    struct sl_gtid_set seen;
    uint64_t version; /* of the reading looked at last */
    unsigned lower;   /* so many readings in a row less than `seen` */
};

enum {
    SL_GOING_BACK_LOOKS = 2 /* readings: a position may be read while it is being written */
};

/* A new connection to a primary whose clock says now_s; 0: not known. */
void sl_going_back_begin(struct sl_going_back *b, int64_t now_s);
/* Replication is started by somebody: there is no alarm any more, and what was seen before is no
 * measure. */
void sl_going_back_forget(struct sl_going_back *b);
/* What a monitor last read of the server that is read from; `version` grows with each reading. True:
 * numbers of the server have just gone back, and the alarm was made. */
bool sl_going_back_look(struct sl_going_back *b, const void *server, const char *name,
                        const struct sl_gtid_set *position, uint64_t version);
/* A group of that time is stored ... */
static inline void sl_going_back_stored(struct sl_going_back *b, uint32_t timestamp)
{
    b->newest = timestamp > b->newest ? timestamp : b->newest;
}
/* ... or dropped, because `state` has it. Logs the first one, and makes the alarm. */
void sl_going_back_dropped(struct sl_going_back *b, const struct sl_gtid_list *state,
                           struct sl_gtid gtid, uint32_t timestamp);

#endif
