/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of a dump to events: bytes in, whole events out. Pure; one thread.
 *
 *   physical packet   u24 length | u8 sequence | payload
 *   logical payload   physical ones of 0xFFFFFF bytes, ended by a shorter one
 *                     00 [ef flag] event | ff ERR | fe EOF
 *
 * A semi-synchronous primary counts packets anew, from 1, behind each event that it wants to be
 * acknowledged (repl_semisync_master.cc, flush_net).
 *
 * An event that lies whole in the bytes given is handed out where it lies; only one that is cut by
 * the end of the bytes, or that takes several packets, is copied together. Nothing is left
 * unconsumed but an event that the caller does not take.
 * (replication-protocol.md 2.1 and 2.4; MariaDB documentation "Replication Protocol")
 */
#ifndef SL_ROUTER_BINLOG_UPSTREAM_STREAM_H
#define SL_ROUTER_BINLOG_UPSTREAM_STREAM_H

#include "base/buffer.h"
#include "base/error.h"
#include "proto/packet.h"

enum sl_stream_kind {
    SL_STREAM_MORE, /* all bytes are used up */
    SL_STREAM_EVENT,
    SL_STREAM_ERR, /* the primary ends the stream: `bytes` is the ERR payload */
    SL_STREAM_EOF  /* ... or says that it ends */
};

struct sl_stream_item {
    enum sl_stream_kind kind;
    uint8_t *bytes; /* valid until the next call, or until the caller's bytes go */
    uint32_t len;
    bool wants_ack; /* semi-sync: to be acknowledged once it is durable */
};

struct sl_stream {
    bool has_ack_header; /* every event has `ef flag` in front */
    uint8_t seq;         /* of the next packet */
    bool wants_ack;      /* the item given last: numbers may begin again behind it */
    bool is_whole;       /* `part` is an item that was not taken yet */
    bool is_in_packet;
    bool is_continued; /* the packet in progress has another one behind it */
    uint8_t header_len;
    uint8_t header[SL_PACKET_HEADER];
    uint32_t packet_left;
    struct sl_buf part; /* payload so far */
};

/* The stream begins with sequence number 1: the reply to COM_BINLOG_DUMP. */
void sl_stream_start(struct sl_stream *s, bool has_ack_header);
void sl_stream_free(struct sl_stream *s);

/* The next item of `data`. *ret_used: how many bytes it took. 0; SL_EPROTO (sequence number, unknown
 * packet, longer than an event can be), SL_ENOMEM. After an item call sl_stream_taken(), then again
 * with the bytes behind it. An item that is not taken is given again by the next call; with
 * sl_stream_is_held() its bytes are kept here and used up, else they are still the caller's and must
 * be given again. */
int sl_stream_next(struct sl_stream *s, uint8_t *data, size_t len, size_t *ret_used,
                   struct sl_stream_item *ret);
void sl_stream_taken(struct sl_stream *s);
static inline bool sl_stream_is_held(const struct sl_stream *s)
{
    return s->is_whole;
}
/* The bytes ended inside of an event? */
static inline bool sl_stream_is_inside(const struct sl_stream *s)
{
    return sl_buf_len(&s->part) > 0;
}

#endif
