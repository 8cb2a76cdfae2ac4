/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups whose numbers the log has already: a repeat, or a history that began anew? Upstream thread; no
 * socket, no clock.
 *
 * A Galera node that crashed logs again what its InnoDB had lost, as it came from the node that wrote it: the
 * statements have the times of the first time, by the clock of that node (10.11.19, Galera 26.4.23; clocks an
 * hour apart). Only the times of the GTID and the XID event differ: on the node that wrote the group they are that
 * of COMMIT, elsewhere that of its last statement. A primary whose log was reset (RESET MASTER, a state set
 * back) gives numbers away again, for groups that nobody has.
 *
 * So the time of the first event behind the GTID event tells, if it is compared with the one in the log. The log
 * is read for the first group of a connection that is dropped, and for each that is younger than everything
 * seen since the start and than the connection. If the log cannot tell, the younger one is new.
 *
 * Both are dropped, since a log holds a number of a server once; the second is an alarm that stays until
 * replication is started anew.
 */
/* A server (10.11 seen) whose log is reset under a dump does not tell it: the stream stands, with
 * heartbeats. So what the monitor sees of that server is watched, too. */
#ifndef SL_ROUTER_BINLOG_UPSTREAM_BACK_H
#define SL_ROUTER_BINLOG_UPSTREAM_BACK_H

#include "repl/gtid_list.h"

struct sl_going_back {
    uint32_t
        newest;    /* of what was stored since the start, and of the connections' begins; 0: none */
    bool is_told;  /* on this connection: that groups are dropped */
    bool is_alarm; /* on this connection, likewise */
    char text[512]; /* the alarm; "" if there is none */
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
/* ... or dropped. timestamp: of the first event behind the GTID event. Has the log to be asked for the
 * time of that group before sl_going_back_dropped() is called? False: there is nothing to tell. */
bool sl_going_back_asks(const struct sl_going_back *b, uint32_t timestamp);
/* `state` has the group, in_log is its time in the log (NULL: not known). Logs the first one, and makes the
 * alarm. */
void sl_going_back_dropped(struct sl_going_back *b, const struct sl_gtid_list *state,
                           struct sl_gtid gtid, uint32_t timestamp, const uint32_t *in_log);

#endif
