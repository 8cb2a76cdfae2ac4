/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of the primary into the store: checksum, sanity, groups, what is dropped, and what is to be
 * acknowledged. No socket, no clock; the store is all it touches. Upstream thread.
 *
 * Rules: docs/internals/binlog-relay.md, "What is written", "Refused and dropped".
 * A group is in the store whole or not at all, and once: what was given of a group that does not end
 * is abandoned, and fetched again by the next connection.
 */
#ifndef SL_ROUTER_BINLOG_UPSTREAM_INGEST_H
#define SL_ROUTER_BINLOG_UPSTREAM_INGEST_H

#include "repl/group.h"
#include "router/binlog/store.h"
#include "router/binlog/upstream_back.h"

struct sl_ingest {
    struct sl_store *store;
    bool ddl_only;
    /* of this connection */
    bool has_crc;            /* events end in a checksum */
    bool has_file;           /* a FORMAT_DESCRIPTION was taken */
    bool is_dropping;        /* the open group is not stored */
    bool is_repeat;          /* ... since the log has it; which one it is the next event tells */
    bool is_offered;         /* the event given was judged already, the store had no room for it */
    bool was_empty;          /* the log was empty: whatever domain comes first is expected */
    bool is_settled;         /* ... until the stream has caught up once */
    enum sl_group_step step; /* of the event offered */
    struct sl_event_header header; /* of the event offered, as it came */
    struct sl_group group;
    struct sl_gtid_list state; /* all groups up to here, stored or left out */
    uint32_t next_log_pos;     /* inside a group: where the event before ended; 0: not known */
    uint32_t server_id;        /* of the primary, as its stream says */
    char file[SL_BINLOG_FILE_NAME_MAX + 1]; /* the primary's coordinates */
    uint64_t pos;
    uint32_t last_timestamp; /* of the newest event, the primary's clock */
    /* the last position to acknowledge, once what is before it is durable */
    bool has_ack;
    uint64_t ack_pos;
    char ack_file[SL_BINLOG_FILE_NAME_MAX + 1];
    struct sl_going_back back;
    /* since the start */
    uint64_t events, groups, groups_dropped, groups_left_out, heartbeats, domains_new;
};

void sl_ingest_init(struct sl_ingest *in, struct sl_store *store);
void sl_ingest_free(struct sl_ingest *in);

/* A new connection: takes the state of the store. keeps_left_out: groups that were seen but left out
 * (ddl_only) count as had. SL_ENOMEM. */
int sl_ingest_start(struct sl_ingest *in, bool keeps_left_out);
/* What was said before the dump: are checksums on (for events before the first
 * FORMAT_DESCRIPTION)? */
void sl_ingest_begin(struct sl_ingest *in, bool has_crc);

/* One event as it came; changed in place. wants_ack: semi-sync. 0; SL_ELIMIT: the disk is full,
 * nothing was taken, give the same event again; SL_EPROTO with text: the connection is of no use;
 * SL_ESYS, SL_ENOMEM of the store. */
int sl_ingest_event(struct sl_ingest *in, uint8_t *event, uint32_t len, bool wants_ack,
                    struct sl_err *err);
/* The connection ended: the open group is abandoned, and what is complete but not committed. */
void sl_ingest_end(struct sl_ingest *in);

#endif
