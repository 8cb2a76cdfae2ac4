/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream: what comes from the store goes out, but for the groups that the replica has, the events
 * that it does not want, and with what a primary adds at the ends of files and at positions.
 *
 * Whatever is left out is left out at each delivery to the same replica: one that reconnects inside a
 * group skips as many events as it has, by count.
 */
#include <inttypes.h>

#include <string.h>

#include "base/log.h"
#include "core/service.h"
#include "proto/constants.h"
#include "router/binlog/dump.h"

/* ---- groups ---- */

/* A domain that the log did not know when the replica came: is its position in there by now? */
static bool may_pass_stranger(struct sl_dump *d, uint32_t domain)
{
    const struct sl_gtid *mine = sl_gtid_skip_stranger(&d->skip, domain);
    if (!mine) {
        return true;
    }
    struct sl_gtid_list one = SL_GTID_LIST_INIT, state = SL_GTID_LIST_INIT;
    struct sl_gtid missing;
    enum sl_gtid_verdict verdict = SL_GTID_SERVED;
    int rc = sl_gtid_position_set(&one, *mine);
    if (rc == SL_OK) {
        rc = sl_store_state(d->worker->relay->store, &state);
    }
    if (rc == SL_OK) {
        verdict = sl_gtid_state_judge(&state, &one, d->rs->ignore_duplicates, &missing);
    }
    sl_gtid_list_free(&one);
    sl_gtid_list_free(&state);
    if (rc != SL_OK) {
        sl_dump_fail(d, SL_ER_UNKNOWN_ERROR, "Out of memory");
        return false;
    }
    if (verdict == SL_GTID_AHEAD) {
        sl_dump_fail_ahead(d, missing, true); /* it waits when it comes again */
        return false;
    }
    if (verdict != SL_GTID_SERVED) {
        sl_dump_fail_position(d, verdict, missing);
        return false;
    }
    sl_gtid_skip_know(&d->skip, domain);
    return true;
}

/* Decides about the group that begins. False: the dump has ended. */
static bool begin_group(struct sl_dump *d)
{
    if (!d->is_skipping) {
        return true;
    }
    const struct sl_gtid_event *group = &d->group.gtid;
    enum sl_gtid_skip_verdict verdict;
    struct sl_gtid hole;
    if (!may_pass_stranger(d, group->gtid.domain)) {
        return false;
    }
    if (sl_gtid_skip_begin(&d->skip, group, &verdict, &hole) != SL_OK) {
        sl_dump_fail(d, SL_ER_UNKNOWN_ERROR, "Out of memory");
        return false;
    }
    if (verdict == SL_GTID_SKIP_HOLE) {
        sl_dump_fail(d, SL_ER_MASTER_FATAL,
                     "The binlog on the master is missing the GTID %" PRIu32 "-%" PRIu32 "-%" PRIu64
                     " requested by the slave (even though both a prior and a "
                     "subsequent sequence number does exist), and GTID strict mode is enabled",
                     hole.domain, hole.server_id, hole.seq);
        return false;
    }
    return true;
}

bool sl_dump_settle_skip(struct sl_dump *d, unsigned due, uint32_t log_pos)
{
    int rc = SL_OK;
    if (due & SL_GTID_SKIP_LIST) {
        rc = sl_dump_put_list(d, log_pos, 0);
    }
    if (rc == SL_OK && (due & SL_GTID_SKIP_UNTIL)) {
        rc = sl_dump_put_list(d, log_pos, SL_GTID_LIST_UNTIL_REACHED);
    }
    if (rc != SL_OK) {
        sl_dump_fail(d, SL_ER_UNKNOWN_ERROR, "Out of memory");
        return false;
    }
    if (due & SL_GTID_SKIP_UNTIL) {
        sl_dump_finish(d);
        return false;
    }
    if (sl_gtid_skip_is_over(&d->skip)) {
        sl_gtid_skip_free(&d->skip);
        d->is_skipping = false;
    }
    return true;
}

/* A group that was sent is the replica's now. */
static void note_group(struct sl_dump *d)
{
    if (sl_gtid_position_set(&d->sent, d->group.gtid.gtid) != SL_OK) {
        sl_log_warning("Out of memory for the position of replica %" PRIu32
                       ": files are kept for it "
                       "that it does not need",
                       d->server_id);
    }
}

/* Behind the last event of a group. False: the dump has ended. */
static bool end_group(struct sl_dump *d, bool was_left_out, uint32_t log_pos)
{
    if (!was_left_out) {
        note_group(d);
    }
    return !d->is_skipping || sl_dump_settle_skip(d, sl_gtid_skip_end(&d->skip), log_pos);
}

/* ---- events ---- */

static bool is_left_out(const struct sl_dump *d, const uint8_t *header)
{
    return (d->is_skipping && d->skip.is_leaving_out) ||
           (!d->sends_annotate && sl_event_type(header) == SL_EVENT_ANNOTATE_ROWS) ||
           (d->skips_marked && (sl_get_le16(header + 17) & SL_EVENT_FLAG_SKIP_REPLICATION));
}

/* May the event neither begin nor end a group? Most events are such: the tracker need not look at
 * them. */
static inline bool is_plain(const struct sl_dump *d, uint8_t type)
{
    return d->group.is_open && !(d->group.gtid.flags2 & SL_GTID_STANDALONE) &&
           ((type >= SL_EVENT_TABLE_MAP && type <= SL_EVENT_DELETE_ROWS) ||
            (type >= SL_EVENT_WRITE_ROWS_COMPRESSED && type <= SL_EVENT_DELETE_ROWS_COMPRESSED) ||
            type == SL_EVENT_ANNOTATE_ROWS);
}

static void fail_damaged(struct sl_dump *d, uint64_t offset)
{
    struct sl_err err;
    sl_err_set(&err, SL_EPROTO, "an event at %" PRIu64 " of '%s' is damaged", offset,
               sl_store_reader_file(d->reader));
    sl_dump_fail_store(d, SL_EPROTO, &err);
}

/* One whole event. False: the dump has ended. */
static bool send_event(struct sl_dump *d, const uint8_t *event, uint32_t len, uint64_t offset)
{
    enum sl_group_step step = SL_GROUP_INSIDE;
    if (!is_plain(d, sl_event_type(event)) &&
        sl_group_feed(&d->group, event, len, d->has_crc, &step) != SL_OK) {
        fail_damaged(d, offset);
        return false;
    }
    if (sl_event_type(event) == SL_EVENT_GTID && !begin_group(d)) {
        return false;
    }
    bool left_out = is_left_out(d, event);
    if (!left_out && sl_dump_put(d, event, len, step == SL_GROUP_END) != SL_OK) {
        return false;
    }
    return step != SL_GROUP_END ||
           end_group(d, d->is_skipping && d->skip.is_leaving_out, sl_get_le32(event + 13));
}

static bool send_events(struct sl_dump *d, const struct sl_store_piece *piece)
{
    const uint8_t *p = piece->bytes.data, *end = p + piece->bytes.len;
    uint64_t count = 0;
    while (p < end) {
        uint32_t len = (size_t)(end - p) >= SL_EVENT_HEADER ? sl_event_length(p) : 0;
        uint64_t offset = piece->offset + (uint64_t)(p - piece->bytes.data);
        if (len < SL_EVENT_HEADER || len > (size_t)(end - p)) {
            fail_damaged(d, offset);
            return false;
        }
        if (!send_event(d, p, len, offset)) {
            return false;
        }
        p += len;
        count++;
    }
    sl_count(&d->worker->events_out, count);
    return true;
}

/* The first part of a long event has its header. */
static bool begin_long(struct sl_dump *d, const struct sl_store_piece *piece)
{
    struct sl_event_header h;
    if (piece->bytes.len < SL_EVENT_HEADER ||
        sl_event_header_parse(piece->bytes.data, &h) != SL_OK) {
        fail_damaged(d, piece->offset);
        return false;
    }
    d->ends_part_group = sl_group_feed_long(&d->group, &h) == SL_GROUP_END;
    d->is_part_left_out = is_left_out(d, piece->bytes.data);
    sl_count(&d->worker->events_out, 1);
    return d->is_part_left_out ||
           sl_dump_put_long(d, piece->event_length, d->ends_part_group) == SL_OK;
}

static bool send_part(struct sl_dump *d, const struct sl_store_piece *piece)
{
    if (piece->event_offset == 0) {
        d->part_log_pos =
            piece->bytes.len >= SL_EVENT_HEADER ? sl_get_le32(piece->bytes.data + 13) : 0;
        if (!begin_long(d, piece)) {
            return false;
        }
    }
    if (!d->is_part_left_out && sl_dump_put_part(d, piece->bytes.data, piece->bytes.len) != SL_OK) {
        return false;
    }
    bool is_last = piece->event_offset + piece->bytes.len >= piece->event_length;
    if (!is_last || !d->ends_part_group) {
        return true;
    }
    d->ends_part_group = false;
    return end_group(d, d->is_skipping && d->skip.is_leaving_out, d->part_log_pos);
}

/* ---- files ---- */

int sl_dump_put_description(struct sl_dump *d, bool is_inside, bool has_skipped)
{
    uint8_t event[SL_FDE_MAX];
    struct sl_slice fde = sl_store_reader_fde(d->reader);
    if (fde.len > sizeof event || fde.len < SL_EVENT_HEADER + SL_EVENT_CRC) {
        return SL_EPROTO;
    }
    uint32_t len = (uint32_t)fde.len;
    memcpy(event, fde.data, len);
    sl_fde_clear_in_use(event, len);
    if (is_inside || has_skipped) {
        sl_fde_set_created(event, len, 0);
    }
    if (is_inside) {
        sl_event_set_pos(event, len, 0, true);
    }
    d->has_crc = sl_store_reader_has_crc(d->reader);
    return sl_dump_put(d, event, len, false);
}

/* A server says so as long as the replica's position has not been reached. */
static bool has_pending(const struct sl_dump *d)
{
    return d->is_skipping && sl_gtid_skip_is_pending(&d->skip);
}

static void next_file(struct sl_dump *d)
{
    struct sl_err err = SL_ERR_INIT;
    int rc = sl_store_reader_next_file(d->reader, &err);
    if (rc < 0) {
        sl_dump_fail_store(d, rc, &err);
        return;
    }
    /* With the checksum of the file that was left; sl_dump_put_description() changes it. */
    rc = sl_dump_put_fake_rotate(d, sl_store_reader_file(d->reader), SL_BINLOG_MAGIC_LEN,
                                 d->has_crc);
    if (rc == SL_OK) {
        rc = sl_dump_put_description(d, false, has_pending(d));
    }
    if (rc == SL_EPROTO) {
        fail_damaged(d, SL_BINLOG_MAGIC_LEN);
    }
    /* What is left of a group that its file did not end is gone: the store cuts such groups off. */
    sl_group_reset(&d->group);
}

/* Nothing more to read now may also mean that a compressed file is not there as a whole yet. */
static bool is_at_tail(const struct sl_dump *d)
{
    char file[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t offset;
    return sl_store_tail(d->worker->relay->store, file, &offset) &&
           strcmp(file, sl_store_reader_file(d->reader)) == 0 &&
           sl_store_reader_offset(d->reader) >= offset;
}

static void at_end(struct sl_dump *d)
{
    if (d->is_non_block && is_at_tail(d)) {
        sl_dump_finish(d);
    } else {
        sl_dump_enter(d, SL_DUMP_IDLE);
    }
}

/* ---- one block ---- */

static void note_progress(struct sl_dump *d)
{
    sl_replica_note(d->replica, sl_store_reader_file(d->reader), sl_store_reader_offset(d->reader),
                    &d->sent, d->step == SL_DUMP_IDLE);
}

void sl_dump_read(struct sl_dump *d)
{
    struct sl_conn *client = &sl_dump_session(d)->client;
    struct sl_err err = SL_ERR_INIT;
    struct sl_store_piece piece = {0};
    enum sl_store_step step = SL_STORE_END;
    uint32_t max = sl_conn_pending(client) > 0 ? SL_DUMP_BLOCK_SLOW : SL_DUMP_BLOCK;
    int rc = sl_store_reader_next(d->reader, d->worker->block, max, &step, &piece, &err);
    if (rc < 0) {
        sl_dump_fail_store(d, rc, &err);
        return;
    }
    d->read_len = (uint32_t)piece.bytes.len;
    switch (step) {
    case SL_STORE_EVENTS:
        send_events(d, &piece);
        break;
    case SL_STORE_PART:
        send_part(d, &piece);
        break;
    case SL_STORE_NEXT_FILE:
        next_file(d);
        break;
    case SL_STORE_END:
        at_end(d);
        break;
    }
    if (d->step == SL_DUMP_OVER) {
        return;
    }
    sl_dump_flush(d);
    note_progress(d);
    if (d->step == SL_DUMP_READS && sl_conn_pending(client) > SL_DUMP_UNSENT_MAX &&
        sl_conn_hold_full(client)) {
        sl_dump_enter(d, SL_DUMP_FULL);
    }
}

/* ---- heartbeats ---- */

/* A replica takes no heartbeat of another file than the one it reads (queue_event() in sql/slave.cc),
 * and one that waits for its position was told none yet: so that comes first. The real beginning
 * follows with a ROTATE of its own. */
static int put_waiting_heartbeat(struct sl_dump *d)
{
    uint64_t offset;
    int rc = SL_OK;
    if (d->waits_in[0] == '\0') {
        if (!sl_store_tail(d->worker->relay->store, d->waits_in, &offset)) {
            return SL_OK; /* there is no file */
        }
        rc = sl_dump_put_fake_rotate(d, d->waits_in, SL_BINLOG_MAGIC_LEN, d->rs->checksum_is_crc32);
    }
    return rc == SL_OK ? sl_dump_put_heartbeat(d, d->waits_in, SL_BINLOG_MAGIC_LEN,
                                               d->rs->checksum_is_crc32)
                       : rc;
}

static int put_heartbeat(struct sl_dump *d)
{
    return d->step == SL_DUMP_WAITS
               ? put_waiting_heartbeat(d)
               : sl_dump_put_heartbeat(d, sl_store_reader_file(d->reader),
                                       sl_store_reader_offset(d->reader), d->has_crc);
}

/* While nothing is sent, one each period. The timer is not started anew for each event: it looks when
 * the last one went. */
void sl_dump_heartbeat(struct sl_timer *t, struct sl_loop *loop)
{
    struct sl_dump *d = SL_CONTAINER_OF(t, struct sl_dump, timer);
    uint64_t now = sl_loop_now_ms(loop), due = d->sent_ms + d->heartbeat_ms;
    bool is_taken = sl_conn_pending(&sl_dump_session(d)->client) == 0; /* else they would pile up */
    bool is_quiet = d->step == SL_DUMP_IDLE || d->step == SL_DUMP_WAITS;
    if (is_quiet && is_taken && now >= due) {
        if (put_heartbeat(d) == SL_OK) {
            sl_dump_flush(d);
        }
        due = now + d->heartbeat_ms;
    }
    sl_timer_start(loop, t, due > now ? due - now : d->heartbeat_ms);
}
