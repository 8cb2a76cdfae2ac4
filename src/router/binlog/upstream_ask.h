/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a replica asks its primary before the dump: the questions in order, and the checks of the
 * replies (replication-protocol.md 1.2; sql/slave.cc get_master_version_and_clock). Sans-I/O:
 * payloads in, packets out. One thread.
 *
 * The link is in EOF mode without session tracking (upstream_login.c asks for neither).
 */
#ifndef SL_ROUTER_BINLOG_UPSTREAM_ASK_H
#define SL_ROUTER_BINLOG_UPSTREAM_ASK_H

#include "base/buffer.h"
#include "base/slice.h"
#include "repl/event.h"
#include "router/binlog/upstream_fault.h"

#define SL_UPSTREAM_VALUE_MAX 2048 /* bytes of an answer that are looked at */

struct sl_upstream_asking {
    /* to be set before the start */
    const char *position; /* borrowed: "D-S-N,..." */
    uint64_t heartbeat_ns;
    uint32_t server_id; /* ours */
    const char *report_host;
    uint16_t report_port;
    bool wants_semi_sync;
    /* learnt */
    int64_t primary_time_s; /* UNIX_TIMESTAMP() there; 0: not told */
    uint32_t primary_server_id;
    bool has_checksum_question; /* the primary knows checksums */
    bool is_crc32;
    bool has_semi_sync; /* the plugin is there, and we said that we acknowledge */
    /* All of the primary's log up to this place is here already: it can be acknowledged at once. A
     * commit may be waiting for that, and nothing else would end its wait. */
    bool has_all;
    char place_file[SL_BINLOG_FILE_NAME_MAX + 1]; /* "" until it is told */
    uint64_t place_pos;
    /* progress */
    unsigned step;
    uint8_t phase;
    uint8_t columns;
    uint8_t columns_left;
    bool has_row;
    char value[SL_UPSTREAM_VALUE_MAX + 1];
};

/* Appends the packet of the next question. *ret_is_dump: it was the dump request, all is asked. 0 or
 * SL_ENOMEM. */
int sl_upstream_ask_next(struct sl_upstream_asking *a, struct sl_buf *out, bool *ret_is_dump);
/* One packet of the reply. SL_EAGAIN: more are to come; 0: the answer is complete and good, ask the
 * next; else *fault tells. */
int sl_upstream_ask_packet(struct sl_upstream_asking *a, const uint8_t *payload, size_t len,
                           struct sl_fault *fault);

#endif
