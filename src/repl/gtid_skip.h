/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which groups a replica gets that starts by GTID: the ones of each domain behind its position, and
 * with START SLAVE UNTIL the ones up to there. A primary starts at the beginning of a file, or
 * somewhere behind, and leaves out groups until all domains have come to where the replica is.
 *
 * The caller walks the log group by group:
 *
 *      sl_gtid_skip_begin()  at each GTID event: is the group sent?
 *      sl_gtid_skip_end()    behind the last event of each: is an artificial GTID_LIST due?
 *
 * until sl_gtid_skip_is_over(). Rules: sql/sql_repl.cc of MariaDB, send_event_to_slave() and
 * gtid_find_binlog_file(). One deviation: where a replica that is not strict starts in a hole, a
 * server inserts the list into the group behind it, here it comes after that group. A replica that
 * reconnects counts the events of a group, so nothing is put into one.
 *
 * Pure; owned by one thread.
 */
#ifndef SL_REPL_GTID_SKIP_H
#define SL_REPL_GTID_SKIP_H

#include "repl/event.h"
#include "repl/gtid_list.h"

struct sl_gtid_skip {
    struct sl_gtid_list pending; /* GTIDs of the replica's position that have not come by yet */
    /* ... of domains that the log did not have when the replica came; see sl_gtid_skip_stranger() */
    struct sl_gtid_list strangers;
    struct sl_gtid_list until; /* where domains end that have not come to it yet */
    struct sl_gtid_list state; /* of the log up to here: content of artificial GTID_LISTs */
    bool is_strict, has_until;
    bool has_skipped;    /* the first file holds something that the replica has */
    bool is_leaving_out; /* inside a group that is not sent */
    bool is_list_due;    /* behind this group: a domain has come to its position */
    bool is_until_due;   /* behind this group all domains are at their end */
};

struct sl_gtid_skip_start {
    const struct sl_gtid_list *position; /* of the replica */
    const struct sl_gtid_list *until;    /* NULL: without end */
    const struct sl_gtid_list *log;      /* state of the whole log now */
    const struct sl_gtid_list *list;     /* GTID_LIST of the file */
    const struct sl_gtid_list *start;    /* state of the log at the place in the file, or empty */
    bool is_strict;
};

/* *s need not be initialised, and is to be freed also after a failure. SL_ENOMEM. */
int sl_gtid_skip_init(struct sl_gtid_skip *s, const struct sl_gtid_skip_start *from);
void sl_gtid_skip_free(struct sl_gtid_skip *s);

/* What is due before the first group, or behind the one that has ended; may be both. */
enum sl_gtid_skip_due {
    SL_GTID_SKIP_LIST = 1, /* an artificial GTID_LIST of `state` */
    SL_GTID_SKIP_UNTIL = 2 /* ... with SL_GTID_LIST_UNTIL_REACHED, and the end of the stream */
};
unsigned sl_gtid_skip_due(struct sl_gtid_skip *s);
/* As long as not: begin, end. */
static inline bool sl_gtid_skip_is_over(const struct sl_gtid_skip *s)
{
    return s->pending.count == 0 && !s->has_until && !s->is_leaving_out && !s->is_list_due;
}
/* Is there anything still that the replica has? Strangers do not count. */
static inline bool sl_gtid_skip_is_pending(const struct sl_gtid_skip *s)
{
    return s->pending.count > s->strangers.count;
}

/* The replica's GTID if the group is the first one of a domain that the log did not know at the
 * start: the caller judges it with the log's state of now, once. Else NULL. */
const struct sl_gtid *sl_gtid_skip_stranger(const struct sl_gtid_skip *s, uint32_t domain);
void sl_gtid_skip_know(struct sl_gtid_skip *s, uint32_t domain);

enum sl_gtid_skip_verdict {
    SL_GTID_SKIP_SEND,
    SL_GTID_SKIP_LEAVE_OUT,
    SL_GTID_SKIP_HOLE /* strict: the replica's GTID is missing in the log, it is not served */
};
/* *ret_hole: that GTID. SL_ENOMEM. */
int sl_gtid_skip_begin(struct sl_gtid_skip *s, const struct sl_gtid_event *group,
                       enum sl_gtid_skip_verdict *ret, struct sl_gtid *ret_hole);
/* Returns what is due now. */
unsigned sl_gtid_skip_end(struct sl_gtid_skip *s);

#endif
