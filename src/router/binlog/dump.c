/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dumps: the two commands that make one, its end, and how a worker shares its time among its dumps.
 *
 * A round lets each dump that has something to read and room for it go on by one block. Dumps at the
 * same place of the log find the block read already, and because all start the next one at its end
 * they stay together. More rounds follow after the flush, so that other sessions have their turn.
 *
 * Thread: the session's worker; sl_dump_wake_all() is for any.
 */
#include "router/binlog/dump.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "core/service.h"
#include "proto/constants.h"
#include "proto/ok.h"

#define CAPABILITY_GTID 4 /* MARIA_SLAVE_CAPABILITY_GTID, MariaDB 10.0 */
#define SHORT_READS_MAX 3 /* in one round */
#define NS_PER_MS 1000000

/* ---- lists ---- */

void sl_dump_enter(struct sl_dump *d, enum sl_dump_step step)
{
    d->step = step;
    sl_list_remove(&d->ready_node);
    if (step == SL_DUMP_READS) {
        sl_list_append(&d->worker->ready, &d->ready_node);
        sl_loop_defer(d->worker->worker->loop, &d->worker->pump);
    }
}

static void free_dump(struct sl_dump *d)
{
    sl_list_remove(&d->node);
    sl_free(d);
}

/* Everything but the memory, which may still be in use on the stack. */
static void leave(struct sl_dump *d)
{
    sl_dump_enter(d, SL_DUMP_OVER);
    sl_timer_stop(&d->timer);
    sl_store_reader_free(d->reader);
    d->reader = NULL;
    sl_replica_detach(d->replica);
    d->replica = NULL;
    sl_gtid_skip_free(&d->skip);
    sl_gtid_list_free(&d->position);
    sl_gtid_list_free(&d->until);
    sl_gtid_list_free(&d->sent);
    sl_list_remove(&d->node);
    atomic_fetch_sub(&d->worker->dump_count, 1);
    d->rs->dump = NULL;
    sl_list_append(&d->worker->over, &d->node);
}

static void free_over(struct sl_relay_worker *rw)
{
    while (!sl_list_is_empty(&rw->over)) {
        free_dump(SL_CONTAINER_OF(rw->over.next, struct sl_dump, node));
    }
}

/* ---- the end ---- */

/* The last packet; then the session takes commands again. Inside an event nothing can be said. */
static void end_with(struct sl_dump *d, struct sl_buf *packet, int rc)
{
    struct sl_session *s = sl_dump_session(d);
    bool is_inside = d->payload_left > 0; /* of an event: the replica takes all that comes for it */
    sl_dump_flush(d);
    if (rc == SL_OK && !is_inside) {
        rc = sl_conn_write(&s->client, sl_buf_slice(packet).data, sl_buf_len(packet));
    }
    sl_buf_free(packet);
    leave(d);
    s->is_raw = false;
    if (rc != SL_OK || is_inside) {
        sl_session_close(s, rc != SL_OK ? "out of memory" : "its dump ends inside an event");
    } else {
        sl_session_command_done(s);
    }
}

void sl_dump_fail(struct sl_dump *d, uint16_t code, const char *fmt, ...)
{
    struct sl_buf packet = SL_BUF_INIT;
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    sl_log_warning("Replica %" PRIu32 " of '%s' is not served any more: %u, %s", d->server_id,
                   d->rs->session->client_user ? d->rs->session->client_user : "", code, text);
    int rc = sl_packet_build_err(&packet, d->seq++, code, "HY000", "%s", text);
    end_with(d, &packet, rc);
}

void sl_dump_fail_between(struct sl_dump *d, uint16_t code, const char *text, uint64_t event_at,
                          uint64_t byte_at)
{
    const char *file = d->reader ? sl_store_reader_file(d->reader) : d->file;
    sl_dump_fail(d, code,
                 "%s; the first event '%s' at %" PRIu64
                 ", the last event read from '%s' at %" PRIu64
                 ", the last byte read from '%s' at %" PRIu64 ".",
                 text, d->file[0] ? d->file : ".", d->offset, file, event_at, file, byte_at);
}

void sl_dump_fail_at(struct sl_dump *d, uint16_t code, const char *text)
{
    uint64_t offset = d->reader ? sl_store_reader_offset(d->reader) : SL_BINLOG_MAGIC_LEN;
    sl_dump_fail_between(d, code, text, offset, offset);
}

void sl_dump_fail_position(struct sl_dump *d, enum sl_gtid_verdict verdict, struct sl_gtid missing)
{
    sl_dump_fail(
        d, SL_ER_MASTER_FATAL,
        "Error: connecting slave requested to start from GTID %" PRIu32 "-%" PRIu32 "-%" PRIu64
        ", which is not in the master's binlog%s",
        missing.domain, missing.server_id, missing.seq,
        verdict == SL_GTID_DIVERGED
            ? ". Since the master's binlog contains GTIDs with higher sequence numbers, it "
              "probably means that the slave has diverged due to executing extra erroneous "
              "transactions"
            : "");
}

void sl_dump_fail_store(struct sl_dump *d, int rc, const struct sl_err *err)
{
    bool is_lasting = rc != SL_ENOMEM && rc != SL_ESYS;
    if (!d->is_by_gtid && rc == SL_EPROTO && d->reader &&
        sl_store_reader_offset(d->reader) == d->offset) {
        sl_dump_fail_at(d, SL_ER_MASTER_FATAL,
                        "binlog truncated in the middle of event; consider out of disk space on "
                        "master");
        return;
    }
    sl_dump_fail(d, is_lasting ? SL_ER_MASTER_FATAL : SL_ER_UNKNOWN_ERROR, "%s", err->text);
}

void sl_dump_finish(struct sl_dump *d)
{
    struct sl_buf packet = SL_BUF_INIT;
    bool deprecate_eof = (sl_dump_session(d)->capabilities & SL_CAP_DEPRECATE_EOF) != 0;
    int rc = sl_packet_build_eof(&packet, d->seq++, deprecate_eof, SL_STATUS_AUTOCOMMIT, 0);
    end_with(d, &packet, rc);
}

/* ---- rounds ---- */

static bool may_go_on(const struct sl_dump *d)
{
    const struct sl_session *s = sl_dump_session(d);
    return s->step == SL_SESSION_READY && sl_conn_is_open(&s->client);
}

/* A short piece is followed by the end of the log: to be seen now, not in another round. */
static void go_on(struct sl_dump *d)
{
    for (unsigned i = 0; i < SHORT_READS_MAX && d->step == SL_DUMP_READS; i++) {
        if (!may_go_on(d)) {
            sl_dump_enter(d, SL_DUMP_FULL); /* the connection ends */
            return;
        }
        sl_dump_read(d);
        if (d->read_len >= SL_DUMP_BLOCK_SLOW) {
            break;
        }
    }
}

static void run_round(struct sl_relay_worker *rw)
{
    struct sl_list batch;
    sl_list_init(&batch);
    while (!sl_list_is_empty(&rw->ready)) {
        sl_list_append(&batch, sl_list_pop(&rw->ready));
    }
    while (!sl_list_is_empty(&batch)) {
        struct sl_dump *d = SL_CONTAINER_OF(sl_list_pop(&batch), struct sl_dump, ready_node);
        sl_log_session_set(sl_dump_session(d)->id);
        go_on(d);
        if (d->step == SL_DUMP_READS) {
            sl_dump_enter(d, SL_DUMP_READS);
        }
        sl_log_session_set(0);
    }
    free_over(rw);
}

static void pump(struct sl_task *t, struct sl_loop *loop)
{
    run_round(SL_CONTAINER_OF(t, struct sl_relay_worker, pump));
}

static void on_grown(struct sl_message *m, struct sl_loop *loop)
{
    struct sl_relay_worker *rw = SL_CONTAINER_OF(m, struct sl_relay_worker, grown);
    atomic_store(&rw->grown_pending, false);
    SL_LIST_FOR_EACH (node, &rw->dumps) {
        struct sl_dump *d = SL_CONTAINER_OF(node, struct sl_dump, node);
        if (d->step == SL_DUMP_IDLE) {
            sl_dump_enter(d, SL_DUMP_READS);
        } else if (d->step == SL_DUMP_WAITS && may_go_on(d)) {
            sl_dump_begin(d);
        }
    }
    run_round(rw);
}

void sl_dump_wake_all(struct sl_relay *relay)
{
    for (unsigned i = 0; i < relay->worker_count; i++) {
        struct sl_relay_worker *rw = &relay->workers[i];
        if (atomic_load(&rw->dump_count) > 0 && !atomic_exchange(&rw->grown_pending, true)) {
            sl_loop_post(rw->worker->loop, &rw->grown);
        }
    }
}

/* ---- the same server_id twice ---- */

struct eviction {
    struct sl_message message;
    struct sl_relay_worker *worker;
    uint64_t session_id;
};

static void evict(struct sl_message *m, struct sl_loop *loop)
{
    struct eviction *e = SL_CONTAINER_OF(m, struct eviction, message);
    SL_LIST_FOR_EACH (node, &e->worker->dumps) {
        struct sl_dump *d = SL_CONTAINER_OF(node, struct sl_dump, node);
        struct sl_session *s = sl_dump_session(d);
        if (s->id == e->session_id) {
            sl_dump_fail_at(d, SL_ER_SLAVE_SAME_ID,
                            "A slave with the same server_uuid/server_id is already connected");
            sl_session_close(s, "another replica with its server_id has come");
            break;
        }
    }
    sl_free(e);
}

/* The older one goes, as with a server: the newer may be the same replica, whose old connection
 * nobody has seen break. */
static void evict_older(struct sl_relay *relay, const struct sl_replica_older *older)
{
    struct eviction *e = sl_calloc(1, sizeof *e);
    if (e) {
        e->message.run = evict;
        e->worker = &relay->workers[older->worker];
        e->session_id = older->session_id;
        sl_loop_post(e->worker->worker->loop, &e->message);
    }
}

/* ---- commands ---- */

void sl_dump_register(struct sl_relay_session *rs, const uint8_t *payload, size_t len)
{
    struct sl_session *s = rs->session;
    struct sl_register_slave reg;
    if (sl_register_slave_parse(payload, len, &reg) != SL_OK) {
        sl_session_answer_error(s, SL_ER_MALFORMED_PACKET, NULL, "Malformed COM_REGISTER_SLAVE");
        return;
    }
    if (reg.host.len > 0) {
        snprintf(rs->host, sizeof rs->host, "%.*s", (int)reg.host.len, (const char *)reg.host.data);
    } else {
        sl_address_text(&s->peer, rs->host, sizeof rs->host);
    }
    rs->registered = reg;
    rs->registered.host = sl_slice_text(rs->host);
    sl_session_answer_ok(s);
}

/* With the codes of a server; false: answered. */
static bool parse_list(struct sl_relay_session *rs, const char *text, struct sl_gtid_list *ret)
{
    struct sl_err err = SL_ERR_INIT;
    int rc = sl_gtid_position_parse(sl_slice_text(text), ret, &err);
    if (rc != SL_OK) {
        uint16_t code = rc == SL_EEXIST   ? SL_ER_GTID_DUPLICATE
                        : rc == SL_ENOMEM ? SL_ER_UNKNOWN_ERROR
                                          : SL_ER_GTID_STATE;
        sl_session_answer_error(rs->session, code, "HY000", "%s", err.text);
    }
    return rc == SL_OK;
}

static bool parse_position(struct sl_relay_session *rs, struct sl_dump *d)
{
    d->is_by_gtid = rs->has_connect_state;
    if (!d->is_by_gtid) {
        return true;
    }
    d->has_until = rs->until != NULL;
    return parse_list(rs, rs->connect_state ? rs->connect_state : "", &d->position) &&
           (!d->has_until || parse_list(rs, rs->until, &d->until));
}

static bool make_buffers(struct sl_relay_worker *rw)
{
    if (!rw->frame) {
        rw->frame = sl_malloc(sizeof *rw->frame);
        if (rw->frame) {
            rw->frame->len = 0;
        }
    }
    return rw->frame && (rw->block || sl_store_block_new(&rw->block) == SL_OK);
}

static int attach(struct sl_dump *d)
{
    const struct sl_relay_session *rs = d->rs;
    struct sl_session *s = rs->session;
    struct sl_relay *relay = d->worker->relay;
    char peer[256];
    sl_address_text(&s->peer, peer, sizeof peer);
    bool is_registered = rs->registered.server_id != 0;
    struct sl_replica_start start = {.server_id = d->server_id,
                                     .host = is_registered ? rs->host : peer,
                                     .port = rs->registered.port,
                                     .master_id = rs->registered.master_id,
                                     .session_id = s->id,
                                     .worker = s->worker->index,
                                     .user = s->client_user,
                                     .is_semi_sync = rs->wants_semi_sync,
                                     .is_lasting = is_registered && !d->is_non_block,
                                     .store = relay->store};
    struct sl_replica_older *older;
    unsigned count;
    int rc = sl_replicas_attach(relay->replicas, &start, &d->replica, &older, &count);
    for (unsigned i = 0; rc == SL_OK && i < count; i++) {
        evict_older(relay, &older[i]);
    }
    if (rc == SL_OK) {
        sl_free(older);
    }
    return rc;
}

static void set_request(struct sl_dump *d, const struct sl_binlog_dump *request)
{
    const struct sl_relay_session *rs = d->rs;
    uint64_t now = sl_loop_now_ms(d->worker->worker->loop);
    snprintf(d->file, sizeof d->file, "%.*s", (int)request->file.len,
             (const char *)request->file.data);
    d->offset = request->position;
    d->server_id = request->server_id;
    d->is_non_block = (request->flags & SL_DUMP_NON_BLOCK) != 0;
    d->sends_annotate = (request->flags & SL_DUMP_ANNOTATE_ROWS) != 0;
    d->skips_marked = rs->skip_replication;
    d->is_semi_sync = rs->wants_semi_sync;
    d->heartbeat_ms = rs->heartbeat_ns / NS_PER_MS + (rs->heartbeat_ns % NS_PER_MS != 0);
    d->sent_ms = now;
    d->waits_until_ms = now + atomic_load(&d->worker->relay->ahead_timeout_ms);
    d->seq = 1;
}

static void start(struct sl_dump *d)
{
    struct sl_relay_worker *rw = d->worker;
    struct sl_session *s = sl_dump_session(d);
    d->rs->dump = d;
    s->is_raw = true;
    sl_list_append(&rw->dumps, &d->node);
    atomic_fetch_add(&rw->dump_count, 1); /* before anything is read: no growth is missed */
    sl_count(&rw->dumps_started, 1);
    sl_log_info("Replica %" PRIu32 " reads from %s%s%s", d->server_id,
                d->is_by_gtid ? "GTID position '" : "file '",
                d->is_by_gtid ? (d->rs->connect_state ? d->rs->connect_state : "") : d->file, "'");
    sl_dump_begin(d);
}

void sl_dump_start(struct sl_relay_session *rs, const uint8_t *payload, size_t len)
{
    struct sl_session *s = rs->session;
    struct sl_relay_worker *rw = sl_relay_worker_of(s);
    struct sl_binlog_dump request;
    free_over(rw);
    if (sl_binlog_dump_parse(payload, len, &request) != SL_OK ||
        request.file.len > SL_BINLOG_FILE_NAME_MAX) {
        sl_session_answer_error(s, SL_ER_MALFORMED_PACKET, NULL, "Malformed COM_BINLOG_DUMP");
        return;
    }
    if (rs->capability < CAPABILITY_GTID) {
        sl_session_answer_error(s, SL_ER_MASTER_FATAL, "HY000",
                                "The replica does not know MariaDB's GTID events "
                                "(@mariadb_slave_capability is %" PRIu32 ", at least %d is needed)",
                                rs->capability, CAPABILITY_GTID);
        return;
    }
    struct sl_dump *d = make_buffers(rw) ? sl_calloc(1, sizeof *d) : NULL;
    if (!d) {
        sl_session_answer_error(s, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
        return;
    }
    d->rs = rs;
    d->worker = rw;
    sl_list_init(&d->node);
    sl_list_init(&d->ready_node);
    sl_timer_init(&d->timer, sl_dump_heartbeat);
    set_request(d, &request);
    if (!parse_position(rs, d)) {
        sl_gtid_list_free(&d->position);
        sl_gtid_list_free(&d->until);
        sl_free(d);
    } else if (attach(d) != SL_OK) {
        sl_gtid_list_free(&d->position);
        sl_gtid_list_free(&d->until);
        sl_free(d);
        sl_session_answer_error(s, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
    } else {
        start(d);
    }
}

/* ---- while it runs ---- */

void sl_dump_client_packet(struct sl_relay_session *rs, const uint8_t *payload, size_t len)
{
    struct sl_semi_sync_ack ack;
    if (rs->wants_semi_sync && sl_semi_sync_ack_parse(payload, len, &ack) == SL_OK) {
        sl_replica_acknowledge(rs->dump->replica);
        return;
    }
    sl_session_close(rs->session, len == 1 && payload[0] == SL_COM_QUIT
                                      ? "the client said goodbye"
                                      : "a packet of a replica is none of its acknowledgements");
}

void sl_dump_on_writable(struct sl_relay_session *rs)
{
    if (rs->dump && rs->dump->step == SL_DUMP_FULL) {
        sl_dump_enter(rs->dump, SL_DUMP_READS);
    }
}

void sl_dump_sweep(struct sl_relay_session *rs, uint64_t now_ms)
{
    struct sl_dump *d = rs->dump;
    if (d && d->step == SL_DUMP_WAITS && now_ms >= d->waits_until_ms) {
        sl_dump_begin(d);
    }
}

void sl_dump_end(struct sl_relay_session *rs)
{
    if (rs->dump) {
        struct sl_relay_worker *rw = rs->dump->worker;
        leave(rs->dump);
        free_over(rw);
    }
}

/* ---- workers ---- */

void sl_dump_worker_init(struct sl_relay_worker *rw)
{
    sl_list_init(&rw->dumps);
    sl_list_init(&rw->ready);
    sl_list_init(&rw->over);
    sl_list_init(&rw->pump.node);
    rw->pump.run = pump;
    rw->grown.run = on_grown;
}

void sl_dump_worker_clear(struct sl_relay_worker *rw)
{
    free_over(rw);
    sl_store_block_free(rw->block);
    sl_free(rw->frame);
    rw->block = NULL;
    rw->frame = NULL;
}

void sl_dump_worker_end(struct sl_relay_worker *rw)
{
    sl_task_cancel(&rw->pump);
    SL_LIST_FOR_EACH (node, &rw->dumps) {
        struct sl_dump *d = SL_CONTAINER_OF(node, struct sl_dump, node);
        if (d->payload_left == 0 && may_go_on(d)) {
            sl_dump_finish(d);
        }
    }
}
