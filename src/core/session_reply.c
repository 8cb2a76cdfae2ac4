/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies: finds their ends in a server's bytes, forwards what the client is waiting for, drops or
 * compares the rest.
 *
 * Bytes are forwarded as they arrive. An ERR that is the whole reply is shown to the router first,
 * which may keep it from the client (retry elsewhere). Back-pressure: when the client's output is
 * full, reading from this backend stops until it has drained.
 */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/core.h"
#include "core/kill.h"
#include "core/recorder.h"
#include "core/session.h"
#include "proto/constants.h"
#include "proto/ok.h"

/* A server that is not waiting for anything talks: an ERR before it closes, or nonsense. Either
 * way it is over; nothing of it may reach a client that is not waiting for a reply. */
static void unsolicited(struct sl_backend *b, const uint8_t *data, size_t len)
{
    if (len > 7 && data[4] == 0xff) {
        b->why_code = sl_get_le16(data + 5);
        size_t skip = len > 13 && data[7] == '#' ? 13 : 7;
        size_t end = SL_MIN(len, (size_t)sl_get_le24(data) + 4);
        snprintf(b->why, sizeof b->why, "server said: %u %.*s", b->why_code,
                 (int)(end > skip ? end - skip : 0), (const char *)data + skip);
        sl_backend_lost(b, b->why);
        return;
    }
    sl_log_warning("Server '%s' sent %zu bytes nobody asked for; closing the connection",
                   b->server->name, len);
    sl_backend_lost(b, "the server sent data without being asked");
}

static void copy_reply(struct sl_session *s, const uint8_t *data, size_t len)
{
    if (sl_buf_len(s->reply_copy) + len > SL_REPLY_COPY_MAX ||
        sl_buf_append(s->reply_copy, data, len) < 0) {
        s->reply_copy = NULL;
    }
}

static void note_forwarded(struct sl_backend *b, const uint8_t *data, size_t len)
{
    struct sl_session *s = b->session;
    const struct sl_reply *r = &b->reply;
    if (s->reply_copy) {
        copy_reply(s, data, len);
    }
    s->bytes_moved += len;
    s->next_seq = r->next_seq;
    s->is_mid_packet = r->skip != 0 || r->in_fragment;
    if (sl_conn_is_full(&s->client)) {
        b->is_paused_for_client = true;
        sl_conn_pause(&b->conn);
    }
}

/* The answer to a PREPARE, with our id of the statement in place of the server's. */
static int write_prepared(struct sl_session *s, const uint8_t *data, size_t len)
{
    uint8_t *out = sl_conn_reserve(&s->client, len);
    if (!out) {
        return SL_ENOMEM;
    }
    memcpy(out, data, len);
    sl_put_le32(out + 5, s->prepare_id);
    sl_conn_commit(&s->client, len);
    return SL_OK;
}

static int forward(struct sl_backend *b, const uint8_t *data, size_t len, bool is_first)
{
    struct sl_session *s = b->session;
    bool is_prepared =
        s->prepare_id && is_first && b->reply.command == SL_COM_STMT_PREPARE && data[4] == 0;
    int rc = is_prepared ? write_prepared(s, data, len) : sl_conn_write(&s->client, data, len);
    if (rc == SL_OK) {
        note_forwarded(b, data, len);
    }
    return rc;
}

/* A packet that tells more of the session's state than the client asked for goes out without. */
static int forward_hiding(struct sl_backend *b, const uint8_t *data, size_t len, bool is_first)
{
    struct sl_session *s = b->session;
    bool asked = s->capabilities & SL_CAP_SESSION_TRACK;
    size_t head = len - b->reply.state_len;
    int rc = head > 0 ? forward(b, data, head, is_first) : SL_OK;
    uint8_t *out = rc < 0 ? NULL : sl_conn_reserve(&s->client, len - head);
    if (!out) {
        return rc < 0 ? rc : SL_ENOMEM;
    }
    size_t n = sl_packet_ok_hide(out, data + head, len - head, asked ? s->hidden_variable : NULL);
    sl_conn_commit(&s->client, n);
    note_forwarded(b, out, n);
    return SL_OK;
}

static int pass_on(struct sl_backend *b, const uint8_t *data, size_t len, bool is_first)
{
    const struct sl_session *s = b->session;
    bool hides =
        b->reply.state_len > 0 && (s->hidden_variable || !(s->capabilities & SL_CAP_SESSION_TRACK));
    return hides ? forward_hiding(b, data, len, is_first) : forward(b, data, len, is_first);
}

/* What a finished reply to the client's own command tells about the session. */
static void learn(struct sl_backend *b)
{
    struct sl_session *s = b->session;
    const struct sl_reply *r = &b->reply;
    if (r->kind == SL_REPLY_KIND_ERR) {
        sl_trx_error(&s->trx, r->error_code);
    } else if (r->has_status) {
        sl_trx_status(&s->trx, r->status);
        s->sql_mode_bits =
            (uint8_t)((s->sql_mode_bits & ~3u) |
                      (r->status & SL_STATUS_ANSI_QUOTES ? SL_SQL_ANSI_QUOTES : 0) |
                      (r->status & SL_STATUS_NO_BACKSLASH_ESCAPES ? SL_SQL_NO_BACKSLASH_ESCAPES
                                                                  : 0));
        if (r->status & SL_STATUS_DB_DROPPED) {
            sl_free(s->db);
            s->db = NULL;
        }
    }
    if (s->pending_db) {
        if (r->kind == SL_REPLY_KIND_OK) {
            sl_free(s->db);
            s->db = s->pending_db;
        } else {
            sl_free(s->pending_db);
        }
        s->pending_db = NULL;
    }
}

static void measure(struct sl_backend *b)
{
    struct sl_server_counters *c = sl_backend_counters(b);
    uint64_t us = sl_loop_now_us(b->session->worker->loop) - b->sent_us;
    if (b->is_measuring) {
        b->is_measuring = false;
        sl_count32(&c->operations, -1);
    }
    sl_histogram_add(b->is_read ? &c->read_time : &c->write_time, us);
    sl_count(b->is_read ? &c->reads : &c->writes, 1);
}

static void finish_init(struct sl_backend *b)
{
    struct sl_session *s = b->session;
    if (b->reply.kind == SL_REPLY_KIND_ERR || b->reply.kind == SL_REPLY_KIND_RESULTSET) {
        sl_log_error("connection_init_sql_file: a statement failed on server '%s': %s",
                     b->server->name,
                     b->reply.kind == SL_REPLY_KIND_ERR ? b->why : "it returned a result set");
        sl_backend_lost(b, "connection_init_sql failed");
        return;
    }
    if (b->queue_count == 0) {
        b->step = SL_BACKEND_READY;
        s->ops->on_backend_ready(s, b);
    }
}

/* The reply at the head of the queue is complete; its bytes have been forwarded or dropped. */
static void finish(struct sl_backend *b, bool was_swallowed)
{
    struct sl_session *s = b->session;
    struct sl_expected e = b->queue[b->queue_head];
    b->queue_head = (uint16_t)((b->queue_head + 1) % b->queue_capacity);
    b->queue_count--;
    if (s->recorder) {
        sl_recorder_replied(b, e.purpose, was_swallowed);
    }
    if (e.purpose == SL_PURPOSE_INIT) {
        finish_init(b);
    } else if (e.purpose == SL_PURPOSE_CLIENT) {
        measure(b);
        if (!was_swallowed) {
            learn(b);
            if (s->shows_ids) {
                sl_kill_learn(b);
            }
            bool is_fatal = b->reply.kind == SL_REPLY_KIND_ERR &&
                            b->reply.error_code == SL_ER_NET_PACKET_TOO_LARGE;
            s->ops->on_reply(s, b, &b->reply, e.purpose);
            sl_session_command_done(s);
            if (is_fatal) {
                /* as the server does */
                sl_session_close(s, "packet bigger than max_allowed_packet");
            }
        }
    } else {
        s->ops->on_reply(s, b, &b->reply, e.purpose);
    }
    if (b->step != SL_BACKEND_CLOSED && b->queue_count > 0 && sl_reply_is_done(&b->reply)) {
        sl_backend_start_reply(b);
    }
}

/* The server wants a file from the client. */
static void begin_infile(struct sl_backend *b, enum sl_purpose purpose)
{
    struct sl_session *s = b->session;
    if (purpose == SL_PURPOSE_CLIENT && s->allows_infile) {
        s->is_infile = true;
        s->stream_to = b;
        if (sl_conn_is_paused(&s->client)) {
            sl_conn_resume(&s->client);
        }
        return;
    }
    uint8_t empty[4] = {0, 0, 0, b->reply.next_seq};
    sl_conn_write(&b->conn, empty, sizeof empty);
    sl_reply_infile_sent(&b->reply);
}

/* True if the reply just finished is one ERR of which the client has seen nothing. */
static bool is_bare_error(const struct sl_reply *r, size_t fed)
{
    return sl_reply_is_done(r) && r->kind == SL_REPLY_KIND_ERR && r->bytes == fed;
}

/* The router looks at the bytes. Returns how many at the front are not for the client. */
static size_t tap(struct sl_backend *b, enum sl_purpose purpose, const uint8_t *data, size_t n)
{
    struct sl_session *s = b->session;
    bool is_wanted = purpose == SL_PURPOSE_CLIENT || purpose == SL_PURPOSE_REPLAY;
    return is_wanted && n > 0 ? s->ops->on_bytes(s, b, data, n) : 0;
}

/* One step: feeds, forwards, finishes. Returns bytes used; 0 means more are needed. */
static size_t feed(struct sl_backend *b, const uint8_t *data, size_t len)
{
    struct sl_session *s = b->session;
    struct sl_reply *r = &b->reply;
    enum sl_purpose purpose = sl_backend_purpose(b);
    bool is_first = !r->started;
    bool asked_file = r->state == SL_REPLY_INFILE;
    b->piece = data;
    size_t n = sl_reply_feed(r, data, len);
    if (r->state == SL_REPLY_BROKEN) {
        sl_log_error("Server '%s' sent an invalid reply to command %u: %s", b->server->name,
                     r->command, r->broken_why ? r->broken_why : "?");
        sl_backend_lost(b, "the server sent an invalid reply");
        return len;
    }
    bool swallowed = false;
    size_t skip = s->taps_replies ? tap(b, purpose, data, n) : 0;
    if (b->step == SL_BACKEND_CLOSED) {
        return len; /* the router gave it up */
    }
    if (purpose == SL_PURPOSE_CLIENT && n > skip) {
        bool is_ours = r->state == SL_REPLY_INFILE && !s->allows_infile;
        if (is_bare_error(r, n) && s->ops->on_error && s->ops->on_error(s, b, r)) {
            swallowed = true;
        } else if (!is_ours && pass_on(b, data + skip, n - skip, is_first && skip == 0) < 0) {
            sl_session_close(s, "out of memory");
            return len;
        }
    }
    if (purpose == SL_PURPOSE_PROBE && s->ops->on_probe) {
        s->ops->on_probe(s, b, data, n);
    }
    if (b->step == SL_BACKEND_CLOSED) {
        return len; /* the router gave it up */
    }
    if (sl_reply_is_done(r)) {
        finish(b, swallowed);
    } else if (r->state == SL_REPLY_INFILE && !asked_file) {
        begin_infile(b, purpose);
    }
    return n;
}

size_t sl_session_backend_data(struct sl_backend *b, const uint8_t *data, size_t len)
{
    struct sl_session *s = b->session;
    size_t used = 0;
    while (used < len && b->step != SL_BACKEND_CLOSED && !b->is_paused_for_client) {
        if (b->queue_count == 0) {
            unsolicited(b, data + used, len - used);
            return len;
        }
        size_t n = feed(b, data + used, len - used);
        used += n;
        if (n == 0) {
            sl_conn_want(&b->conn, b->reply.need);
            break;
        }
    }
    b->last_used_ms = sl_loop_now_ms(s->worker->loop);
    return used;
}
