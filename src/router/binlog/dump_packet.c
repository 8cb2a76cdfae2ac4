/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events as packets: "00", with semi-sync "ef" and a flag, then the event. Sequence numbers run on
 * from 1 and wrap; behind an event that is to be acknowledged they begin with 1 again. A payload of 16 MiB - 1 or more takes several physical packets, of which only the
 * first has the bytes in front (replication protocol, "Binlog Network Stream").
 *
 * Packets are gathered in the worker's frame, so that a block of the log takes one copy and one send.
 */
#include <string.h>

#include "proto/packet.h"
#include "router/binlog/dump.h"

enum {
    SEMI_SYNC_MAGIC = 0xef,
    FRONT_MAX = 3 /* bytes in front of an event */
};

int sl_dump_flush(struct sl_dump *d)
{
    struct sl_dump_frame *f = d->worker->frame;
    size_t len = f->len;
    if (len == 0) {
        return SL_OK;
    }
    f->len = 0;
    struct sl_session *s = sl_dump_session(d);
    d->sent_ms = sl_loop_now_ms(s->worker->loop);
    s->bytes_moved += len;
    sl_count(&d->worker->bytes_out, len);
    return sl_conn_write(&s->client, f->bytes, len);
}

/* Room for `len` bytes in the frame; what was there goes out first if need be. */
static uint8_t *room(struct sl_dump *d, size_t len)
{
    struct sl_dump_frame *f = d->worker->frame;
    if (__builtin_expect(len > SL_DUMP_FRAME - f->len, 0) && sl_dump_flush(d) != SL_OK) {
        return NULL;
    }
    uint8_t *p = f->bytes + f->len;
    f->len += len;
    return p;
}

int sl_dump_put_raw(struct sl_dump *d, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        size_t n = SL_MIN(len, (size_t)SL_DUMP_FRAME);
        uint8_t *p = room(d, n);
        if (!p) {
            return SL_ENOMEM;
        }
        memcpy(p, bytes, n);
        bytes += n;
        len -= n;
    }
    return SL_OK;
}

/* The replica is to acknowledge the last event of each group. */
static uint8_t *put_front(struct sl_dump *d, uint8_t *p, bool is_group_end)
{
    *p++ = 0;
    if (d->is_semi_sync) {
        d->is_ack_wanted =
            is_group_end &&
            atomic_load_explicit(&d->worker->relay->semi_sync_to_replicas, memory_order_relaxed);
        *p++ = SEMI_SYNC_MAGIC;
        *p++ = d->is_ack_wanted;
    }
    return p;
}

/* An acknowledgement begins a new exchange of packets: it has number 0, what follows here 1 (both
 * sides of a server do so, Repl_semi_sync_slave::slave_reply and flush_net of the primary). */
static inline void end_event(struct sl_dump *d)
{
    if (d->is_ack_wanted) {
        d->is_ack_wanted = false;
        d->seq = 1;
    }
}

static size_t front_len(const struct sl_dump *d)
{
    return d->is_semi_sync ? FRONT_MAX : 1;
}

int sl_dump_put(struct sl_dump *d, const uint8_t *event, uint32_t len, bool is_group_end)
{
    size_t front = front_len(d);
    if (__builtin_expect(len > SL_DUMP_FRAME - SL_PACKET_HEADER - FRONT_MAX, 0)) {
        int rc = sl_dump_put_long(d, len, is_group_end);
        return rc == SL_OK ? sl_dump_put_part(d, event, len) : rc;
    }
    uint8_t *p = room(d, SL_PACKET_HEADER + front + len);
    if (!p) {
        return SL_ENOMEM;
    }
    sl_packet_put_header(p, (uint32_t)(front + len), d->seq++);
    memcpy(put_front(d, p + SL_PACKET_HEADER, is_group_end), event, len);
    end_event(d);
    return SL_OK;
}

/* ---- events longer than the frame ---- */

/* The next physical packet of a logical one; also the empty one behind a payload that ends with a
 * packet of the largest size. */
static int put_next_header(struct sl_dump *d)
{
    uint8_t *p = room(d, SL_PACKET_HEADER);
    if (!p) {
        return SL_ENOMEM;
    }
    d->packet_left = (uint32_t)SL_MIN(d->payload_left, (uint64_t)SL_PACKET_MAX);
    d->is_packet_largest = d->packet_left == SL_PACKET_MAX;
    sl_packet_put_header(p, d->packet_left, d->seq++);
    return SL_OK;
}

static int put_payload(struct sl_dump *d, const uint8_t *bytes, size_t len)
{
    int rc = SL_OK;
    while (len > 0 && rc == SL_OK) {
        size_t n = SL_MIN(len, (size_t)d->packet_left);
        rc = sl_dump_put_raw(d, bytes, n);
        bytes += n;
        len -= n;
        d->packet_left -= (uint32_t)n;
        d->payload_left -= n;
        if (rc == SL_OK && d->packet_left == 0 && d->is_packet_largest) {
            rc = put_next_header(d);
        }
    }
    return rc;
}

int sl_dump_put_long(struct sl_dump *d, uint32_t event_length, bool is_group_end)
{
    uint8_t front[FRONT_MAX];
    size_t len = (size_t)(put_front(d, front, is_group_end) - front);
    d->payload_left = (uint64_t)len + event_length;
    int rc = put_next_header(d);
    return rc == SL_OK ? put_payload(d, front, len) : rc;
}

int sl_dump_put_part(struct sl_dump *d, const uint8_t *bytes, size_t len)
{
    int rc = put_payload(d, bytes, len);
    if (d->payload_left == 0) {
        end_event(d);
    }
    return rc;
}

/* ---- events made here ---- */

static struct sl_event_header artificial(const struct sl_dump *d, uint32_t log_pos)
{
    return (struct sl_event_header){.server_id = (uint32_t)d->worker->relay->settings->server_id,
                                    .log_pos = log_pos,
                                    .flags = SL_EVENT_FLAG_ARTIFICIAL};
}

static int put_made(struct sl_dump *d, struct sl_buf *event, int rc)
{
    if (rc == SL_OK) {
        rc = sl_dump_put(d, sl_buf_slice(event).data, (uint32_t)sl_buf_len(event), false);
    }
    sl_buf_free(event);
    return rc;
}

int sl_dump_put_fake_rotate(struct sl_dump *d, const char *file, uint64_t position, bool has_crc)
{
    struct sl_buf event = SL_BUF_INIT;
    struct sl_event_header h = artificial(d, 0);
    int rc = sl_rotate_event_build(&event, &h, file, position, has_crc);
    return put_made(d, &event, rc);
}

int sl_dump_put_list(struct sl_dump *d, uint32_t log_pos, uint32_t list_flags)
{
    struct sl_buf event = SL_BUF_INIT;
    struct sl_event_header h = artificial(d, log_pos);
    int rc = sl_gtid_list_event_build(&event, &h, &d->skip.state, list_flags, d->has_crc);
    return put_made(d, &event, rc);
}

/* A replica stops when the position is smaller than its own, and takes 0 for nothing said: so beyond
 * the 32 bits of the field it is 0. */
int sl_dump_put_heartbeat(struct sl_dump *d, const char *file, uint64_t offset, bool has_crc)
{
    struct sl_buf event = SL_BUF_INIT;
    int rc = sl_heartbeat_event_build(&event, (uint32_t)d->worker->relay->settings->server_id, file,
                                      offset <= UINT32_MAX ? (uint32_t)offset : 0, has_crc);
    return put_made(d, &event, rc);
}
