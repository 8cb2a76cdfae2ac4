/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's bytes become commands: framing, refusal of what no server would take, routing, and
 * the passing on of commands that are too long to be held.
 */
#include "base/mem.h"
#include "core/filter.h"
#include "core/recorder.h"
#include "core/session.h"
#include "proto/constants.h"
#include "proto/packet.h"

#define RAW_PACKET_MAX 1024 /* of a client whose packets are no commands */

void sl_session_command_done(struct sl_session *s)
{
    if (s->recorder) {
        sl_recorder_end(s);
    }
    s->busy = false;
    s->is_mid_packet = false;
    s->prepare_id = 0;
    s->reply_copy = NULL;
    /* idle from now on, not since the command came */
    s->active_ms = sl_loop_now_ms(s->worker->loop);
    sl_free(s->pending_db);
    s->pending_db = NULL;
    if (s->step == SL_SESSION_READY && !s->held && sl_conn_is_paused(&s->client)) {
        sl_conn_resume(&s->client);
    }
}

void sl_session_begin(struct sl_session *s)
{
    s->busy = true;
}

void sl_session_hold(struct sl_session *s)
{
    s->held = true;
    s->is_streaming = false;
    sl_conn_pause(&s->client);
}

void sl_session_unhold(struct sl_session *s)
{
    if (s->held) {
        s->held = false;
        sl_conn_resume(&s->client);
    }
}

bool sl_session_want_whole(struct sl_session *s)
{
    s->wants_whole = s->is_streaming && !s->stream_more;
    return s->wants_whole;
}

/* May the command be routed before all its bytes are here? Only those whose target does not
 * depend on their end. */
static bool is_streamable(uint8_t command)
{
    return command == SL_COM_STMT_EXECUTE || command == SL_COM_STMT_BULK_EXECUTE ||
           command == SL_COM_STMT_SEND_LONG_DATA;
}

#define STREAM_FRONT 4096 /* bytes of a streamable command that are wanted before it is routed */

/* How many bytes must be here before the command can be routed. */
static size_t bytes_wanted(uint8_t command, uint32_t payload_len)
{
    size_t whole = SL_PACKET_HEADER + (size_t)payload_len;
    return is_streamable(command) ? SL_MIN(whole, (size_t)STREAM_FRONT) : whole;
}

/* Errors after which the server closes too. True if the packet is refused. */
static bool refuse_packet(struct sl_session *s, const uint8_t *data, uint32_t payload_len)
{
    if (s->is_raw) {
        if (payload_len > 0 && payload_len <= RAW_PACKET_MAX) {
            return false;
        }
        sl_session_close(s, "the client sent a packet that it must not send now");
        return true;
    }
    if (sl_packet_seq(data) != 0) {
        s->next_seq = 0;
        s->command = SL_COM_QUERY;
        sl_session_answer_error(s, SL_ER_NET_PACKETS_OUT_OF_ORDER, NULL,
                                "Got packets out of order");
        sl_session_close(s, "packets out of order");
        return true;
    }
    if (s->max_allowed_packet && payload_len > s->max_allowed_packet) {
        s->next_seq = 1;
        s->command = SL_COM_QUERY;
        sl_session_answer_error(s, SL_ER_NET_PACKET_TOO_LARGE, NULL,
                                "Got a packet bigger than 'max_allowed_packet' bytes");
        sl_session_close(s, "packet bigger than max_allowed_packet");
        return true;
    }
    return false;
}

static void route(struct sl_session *s, struct sl_request *rq)
{
    if (s->is_raw) {
        s->ops->on_request(s, rq);
        return;
    }
    const struct sl_command_info *info = sl_command_info(rq->command);
    if (!(info->flags & SL_COMMAND_KNOWN)) {
        sl_session_answer_error(s, SL_ER_UNKNOWN_COM, NULL, "Unknown command");
        return;
    }
    if (rq->payload_len < info->min_payload) {
        sl_session_answer_error(s, SL_ER_MALFORMED_PACKET, NULL, "Malformed communication packet");
        return;
    }
    if (sl_recorder_is_wanted(s)) {
        sl_recorder_begin(s, rq);
    }
    if (!sl_session_local_command(s, rq)) {
        sl_count(&sl_session_counters(s)->routed_packets, 1);
        if (s->filters && !s->is_filtered) {
            sl_filters_run(s, rq);
        }
        s->is_routing = true;
        s->ops->on_request(s, rq);
        s->is_routing = false;
        s->is_filtered = s->held || s->wants_whole;
    }
    if (s->recorder) {
        sl_recorder_routed(s);
    }
}

/* One command from the front of the input. Returns the bytes consumed, 0 if more are needed or
 * it is held. */
static size_t command(struct sl_session *s, const uint8_t *data, size_t len)
{
    if (len < SL_PACKET_HEADER) {
        return 0;
    }
    uint32_t payload_len = sl_packet_len(data);
    if (refuse_packet(s, data, payload_len)) {
        return len;
    }
    if (payload_len == 0) {
        s->next_seq = 1;
        s->command = SL_COM_QUERY;
        sl_session_answer_error(s, SL_ER_UNKNOWN_COM, NULL, "Unknown command");
        return SL_PACKET_HEADER;
    }
    size_t wanted = len > SL_PACKET_HEADER ? bytes_wanted(data[4], payload_len) : 5;
    if (len < wanted) {
        sl_conn_want(&s->client, (uint32_t)wanted);
        return 0;
    }
    size_t whole = SL_PACKET_HEADER + (size_t)payload_len;
    size_t used = SL_MIN(len, whole);
    struct sl_request rq = {.data = data,
                            .len = used,
                            .payload_len = payload_len,
                            .command = data[4],
                            .is_whole = used == whole && payload_len < SL_PACKET_MAX};
    s->command = rq.command;
    s->next_seq = 1;
    s->is_mid_packet = false;
    s->is_streaming = !rq.is_whole;
    s->stream_left = (uint32_t)(whole - used);
    s->stream_more = payload_len == SL_PACKET_MAX;
    s->stream_to = NULL;
    s->wants_whole = false;
    route(s, &rq);
    if (s->wants_whole) {
        s->is_streaming = false;
        sl_conn_want(&s->client, (uint32_t)whole);
        return 0;
    }
    if (s->held) {
        return 0;
    }
    return used;
}

static void pass_on(struct sl_session *s, const uint8_t *data, size_t len)
{
    if (s->stream_to && sl_backend_send_more(s->stream_to, data, len) < 0) {
        sl_session_close(s, "out of memory");
    }
}

/* The rest of a long command, or of a LOCAL INFILE: packets go on to the backend that has the
 * beginning. */
static size_t stream(struct sl_session *s, const uint8_t *data, size_t len)
{
    if (s->stream_left == 0) {
        if (len < SL_PACKET_HEADER) {
            return 0;
        }
        uint32_t payload_len = sl_packet_len(data);
        s->stream_left = payload_len;
        s->stream_more = s->is_infile ? payload_len > 0 : payload_len == SL_PACKET_MAX;
        s->next_seq = (uint8_t)(sl_packet_seq(data) + 1);
        pass_on(s, data, SL_PACKET_HEADER);
        if (payload_len == 0 && s->is_infile) {
            s->is_infile = false;
            if (s->stream_to) {
                s->stream_to->reply.next_seq = s->next_seq;
                sl_reply_infile_sent(&s->stream_to->reply);
            }
        }
        s->is_streaming = s->stream_left > 0 || s->stream_more;
        return SL_PACKET_HEADER;
    }
    size_t n = SL_MIN(len, (size_t)s->stream_left);
    pass_on(s, data, n);
    s->stream_left -= (uint32_t)n;
    if (!s->is_infile) {
        s->is_streaming = s->stream_left > 0 || s->stream_more;
    }
    return n;
}

/* Commands as long as there are any and the previous one is answered. */
size_t sl_session_commands(struct sl_session *s, const uint8_t *data, size_t len)
{
    size_t used = 0;
    while (used < len && s->step == SL_SESSION_READY) {
        size_t n;
        if (s->is_streaming || s->is_infile) {
            if (s->stream_to && sl_conn_is_full(&s->stream_to->conn)) {
                sl_conn_pause(&s->client);
                break;
            }
            n = stream(s, data + used, len - used);
            if (s->late_answer && !s->is_streaming) {
                sl_session_send_late_answer(s);
            }
        } else if (s->busy || s->held || (!s->is_raw && sl_conn_is_full(&s->client))) {
            sl_conn_pause(&s->client);
            break;
        } else {
            n = command(s, data + used, len - used);
        }
        if (n == 0) {
            break;
        }
        used += n;
    }
    return used;
}
