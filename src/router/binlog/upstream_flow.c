/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dump that flows in. Upstream thread.
 *
 *   bytes -> packets (upstream_stream.c) -> events (upstream_ingest.c) -> store
 *   end of turn: one commit of all that came, then the acknowledgement
 *
 * A full disk: the event that did not fit stays where it is, the socket is not read, once a second it
 * is tried again (sl_upstream_try_room). The connection cannot time out meanwhile.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "router/binlog/upstream_internal.h"

static void stop_reading(struct sl_upstream *u, const struct sl_err *err)
{
    if (!u->is_full) {
        u->is_full = true;
        sl_log_error(
            "%s. Nothing is read from the primary until there is room; replicas are served "
            "what is there",
            err->text);
    }
    u->has_room_now = false;
    sl_conn_pause(&u->conn);
    sl_upstream_publish(u);
}

static void fail_ingest(struct sl_upstream *u, int rc, const struct sl_err *err)
{
    struct sl_fault fault;
    if (rc == SL_EPROTO) {
        sl_fault_set(&fault, SL_FAULT_PROTO, SL_ER_RELAY_READ, "%s", err->text);
    } else if (rc == SL_ENOMEM) {
        sl_fault_set(&fault, SL_FAULT_SYSTEM, SL_ER_RELAY_MEMORY, "Out of memory");
    } else {
        sl_fault_set(&fault, SL_FAULT_STORE, SL_ER_RELAY_READ, "%s", err->text);
    }
    sl_upstream_fail(u, &fault);
}

/* The primary ended it by an ERR or EOF packet. */
static void end_by_primary(struct sl_upstream *u, const struct sl_stream_item *item)
{
    struct sl_fault fault;
    struct sl_packet_err err;
    if (item->kind == SL_STREAM_ERR && sl_packet_err_parse(item->bytes, item->len, &err) == SL_OK) {
        sl_fault_from_server(&fault, "The primary ends the stream", err.code, err.message);
    } else {
        sl_fault_set(&fault, SL_FAULT_LOST, SL_ER_RELAY_LOST,
                     "The primary has ended the stream (it shuts down, or the dump was killed)");
    }
    sl_upstream_fail(u, &fault);
}

/* Stays until replication is started anew, whatever else comes and goes. */
static void tell_going_back(struct sl_upstream *u)
{
    struct sl_fault fault;
    if (u->ingest.back.text[0] != '\0' && u->fault.code != SL_ER_RELAY_ORDER) {
        sl_fault_set(&fault, SL_FAULT_DIVERGED, SL_ER_RELAY_ORDER, "%s", u->ingest.back.text);
        sl_upstream_note(u, &fault);
    }
}

void sl_upstream_recover(struct sl_upstream *u)
{
    if (u->is_flowing) {
        tell_going_back(u);
        return;
    }
    u->fault = (struct sl_fault){.kind = SL_FAULT_NONE};
    u->attempts = 0;
    u->is_flowing = true;
    sl_log_notice("Replicating from '%s' (%s:%u, server_id %" PRIu32 ") from position '%s'%s",
                  sl_upstream_peer(u), u->info.target.host, u->info.target.port,
                  u->ask.primary_server_id, u->ask.position,
                  u->has_semi_sync ? ", semi-synchronously" : "");
    tell_going_back(u);
}

/* What shows that the stream can be used: a whole group, or that there is none to come. */
static uint64_t progress_of(const struct sl_ingest *in)
{
    return in->groups + in->groups_dropped + in->groups_left_out + in->heartbeats;
}

/* True: go on with the next item. `err` is the caller's: to clear 1 kB for each event would cost a
 * tenth of the user time. */
static bool take_item(struct sl_upstream *u, const struct sl_stream_item *item, struct sl_err *err)
{
    if (item->kind != SL_STREAM_EVENT) {
        end_by_primary(u, item);
        return false;
    }
    int rc = sl_ingest_event(&u->ingest, item->bytes, item->len, item->wants_ack, err);
    if (rc == SL_ELIMIT) {
        stop_reading(u, err);
    } else if (rc < 0) {
        fail_ingest(u, rc, err);
    }
    return rc == SL_OK;
}

static void fail_framing(struct sl_upstream *u, int rc)
{
    struct sl_fault fault;
    if (rc == SL_ENOMEM) {
        sl_upstream_fail_memory(u);
        return;
    }
    sl_fault_set(&fault, SL_FAULT_PROTO, SL_ER_RELAY_READ,
                 "The stream behind %s:%" PRIu64 " is no sequence of packets", u->ingest.file,
                 u->ingest.pos);
    sl_upstream_fail(u, &fault);
}

/* Returns what was used. The bytes are the loop's scratch memory, or what the connection kept: nobody
 * reads them once they are used, so the store may change positions and checksums in place. */
static size_t take_stream(struct sl_upstream *u, uint8_t *data, size_t len)
{
    size_t used = 0;
    struct sl_err err = SL_ERR_INIT;
    sl_loop_defer(u->loop, &u->commit);
    while (u->step == SL_UPSTREAM_STREAMING && !sl_conn_is_paused(&u->conn)) {
        struct sl_stream_item item;
        size_t n;
        int rc = sl_stream_next(&u->stream, data + used, len - used, &n, &item);
        if (rc < 0) {
            fail_framing(u, rc);
            return len;
        }
        if (item.kind == SL_STREAM_MORE) {
            return len;
        }
        if (!take_item(u, &item, &err)) {
            return u->step != SL_UPSTREAM_STREAMING ? len
                   : sl_stream_is_held(&u->stream)  ? used + n
                                                    : used; /* given again */
        }
        sl_stream_taken(&u->stream);
        used += n;
    }
    return used;
}

static void acknowledge(struct sl_upstream *u)
{
    if (!u->ingest.has_ack) {
        return;
    }
    struct sl_buf payload = SL_BUF_INIT, out = SL_BUF_INIT;
    int rc = sl_semi_sync_ack_build(&payload, u->ingest.ack_pos, u->ingest.ack_file);
    if (rc == SL_OK) {
        struct sl_writer w = sl_writer_buf(&out);
        sl_write_packet(&w, 0, sl_buf_slice(&payload));
        rc = sl_writer_finish(&w);
    }
    sl_buf_free(&payload);
    u->ingest.has_ack = false;
    if (rc < 0) {
        sl_buf_free(&out);
        sl_upstream_fail_memory(u);
        return;
    }
    u->acks_sent += sl_upstream_send(u, &out);
}

/* The end of a turn: one sync for all groups that came in it. */
static void commit_turn(struct sl_task *t, struct sl_loop *loop)
{
    struct sl_upstream *u = SL_CONTAINER_OF(t, struct sl_upstream, commit);
    struct sl_err err = SL_ERR_INIT;
    uint64_t synced_us;
    if (u->step != SL_UPSTREAM_STREAMING) {
        return;
    }
    if (sl_store_has_file(u->relay->store)) {
        int rc = sl_store_commit(u->relay->store, &synced_us, &err);
        if (rc == SL_ELIMIT) {
            stop_reading(u, &err);
            return;
        }
        if (rc < 0) {
            fail_ingest(u, rc, &err);
            return;
        }
    }
    acknowledge(u);
    if ((int64_t)u->ingest.last_timestamp + SL_UPSTREAM_SETTLED_S >= sl_upstream_primary_now_s(u)) {
        u->ingest.is_settled = true;
    }
    sl_upstream_publish(u);
}

void sl_upstream_try_room(struct sl_upstream *u)
{
    if (u->has_room_now) {
        u->is_full = false;
        sl_log_notice("There is room on the disk again: replication goes on");
        return;
    }
    struct sl_err err = SL_ERR_INIT;
    uint64_t synced_us;
    int rc = sl_store_has_file(u->relay->store) ? sl_store_commit(u->relay->store, &synced_us, &err)
                                                : SL_OK;
    if (rc == SL_ELIMIT) {
        return;
    }
    if (rc < 0) {
        fail_ingest(u, rc, &err);
        return;
    }
    u->has_room_now = true;
    u->last_input_ms = sl_loop_now_ms(u->loop);
    sl_conn_resume(&u->conn);
}

void sl_upstream_flow_init(struct sl_upstream *u)
{
    sl_list_init(&u->commit.node);
    u->commit.run = commit_turn;
    sl_ingest_init(&u->ingest, u->relay->store);
}

int64_t sl_upstream_primary_now_s(const struct sl_upstream *u)
{
    return ((int64_t)sl_loop_now_ms(u->loop) + u->clock_ahead_ms) / 1000;
}

void sl_upstream_flow_begin(struct sl_upstream *u)
{
    u->has_semi_sync = u->ask.has_semi_sync;
    int64_t primary_now_s = u->ask.primary_time_s != 0 ? u->ask.primary_time_s : sl_clock_wall_s();
    u->clock_ahead_ms = primary_now_s * 1000 - (int64_t)sl_loop_now_ms(u->loop);
    u->last_input_ms = sl_loop_now_ms(u->loop);
    u->is_full = false;
    u->is_flowing = false;
    u->stuck_since_ms = 0;
    sl_stream_start(&u->stream, u->has_semi_sync);
    sl_ingest_begin(&u->ingest, u->ask.is_crc32);
    sl_going_back_begin(&u->ingest.back, u->ask.primary_time_s);
    if (u->ask.has_all) { /* goes out with the first bytes of the stream */
        u->ingest.has_ack = true;
        u->ingest.ack_pos = u->ask.place_pos;
        memcpy(u->ingest.ack_file, u->ask.place_file, sizeof(u->ingest.ack_file));
    }
    sl_upstream_set_step(u, SL_UPSTREAM_STREAMING);
}

size_t sl_upstream_flow_data(struct sl_upstream *u, uint8_t *data, size_t len)
{
    uint64_t events = u->ingest.events, progress = progress_of(&u->ingest);
    u->last_input_ms = sl_loop_now_ms(u->loop);
    size_t used = take_stream(u, data, len);
    u->bytes_in += used;
    if (u->ingest.events != events) {
        u->last_event_ms = u->last_input_ms;
    }
    if (u->step == SL_UPSTREAM_STREAMING && progress_of(&u->ingest) != progress) {
        sl_upstream_recover(u);
    }
    return used;
}

/* Keeps complete groups, drops the rest. */
void sl_upstream_flow_end(struct sl_upstream *u)
{
    struct sl_err err = SL_ERR_INIT;
    uint64_t synced_us;
    sl_task_cancel(&u->commit);
    if (sl_store_has_uncommitted(u->relay->store)) {
        /* What fails here is not lost: it is asked for again. */
        sl_store_commit(u->relay->store, &synced_us, &err);
    }
    sl_ingest_end(&u->ingest);
    sl_stream_free(&u->stream);
    u->is_full = false;
    u->is_flowing = false;
    u->stuck_since_ms = 0;
    u->has_semi_sync = false;
}
