/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router binlogrouter: walks through a binlog file for a statement: SHOW BINLOG EVENTS, which shows
 * what it meets, and BINLOG_GTID_POS, which counts GTIDs up to an offset.
 *
 * A walk goes on piece by piece at the end of a loop turn, so that a long file delays nobody, and
 * rests while the client does not take its rows. It owns its reader and its block.
 */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "router/binlog/sql.h"

#define PIECE 65536
#define LATER_MS 10
#define ER_WHEN_EXECUTING 1220
#define LIST_TEXT_MAX 65536 /* bytes of a GTID list that are shown */

struct sl_relay_events {
    struct sl_relay_session *rs;
    struct sl_task task;
    struct sl_timer later; /* looks again */
    struct sl_store_reader *reader;
    struct sl_store_block *block;
    bool is_position; /* BINLOG_GTID_POS */
    bool has_begun;   /* the columns are on their way */
    bool has_crc;
    uint64_t offset; /* of the next event */
    struct sl_buf info;
    /* SHOW BINLOG EVENTS */
    struct sl_relay_rows rows;
    uint64_t skip, left;
    /* BINLOG_GTID_POS */
    struct sl_gtid_list state;
    uint64_t target;
    char *title;
};

static void free_walk(struct sl_relay_events *w)
{
    sl_task_cancel(&w->task);
    sl_timer_stop(&w->later);
    w->rs->events = NULL;
    sl_store_reader_free(w->reader);
    sl_store_block_free(w->block);
    sl_buf_free(&w->info);
    sl_buf_free(&w->rows.buf);
    sl_gtid_list_free(&w->state);
    sl_free(w->title);
    sl_free(w);
}

void sl_relay_events_end(struct sl_relay_session *rs)
{
    if (rs->events) {
        free_walk(rs->events);
    }
}

/* Rows that are ready go to the client. False: out of memory. */
static bool flush(struct sl_relay_events *w)
{
    struct sl_relay_rows *r = &w->rows;
    if (!w->has_begun) {
        return true;
    }
    bool is_good = sl_writer_finish(&r->set.writer) == SL_OK &&
                   sl_conn_write(&w->rs->session->client, sl_buf_slice(&r->buf).data,
                                 sl_buf_len(&r->buf)) == SL_OK;
    sl_buf_clear(&r->buf);
    r->set.writer = sl_writer_buf(&r->buf);
    return is_good;
}

static void fail(struct sl_relay_events *w, uint16_t code, const char *text)
{
    struct sl_relay_session *rs = w->rs;
    flush(w); /* rows that are ready have numbers: the error's follows theirs */
    if (w->has_begun) {
        rs->session->next_seq = w->rows.set.seq;
    }
    free_walk(w);
    sl_session_answer_error(rs->session, code, "HY000", "%s", text);
}

/* ---- what an event says ---- */

typedef int describe(struct sl_relay_events *w, const uint8_t *event, uint32_t len);

static int describe_format(struct sl_relay_events *w, const uint8_t *event, uint32_t len)
{
    struct sl_fde fde;
    if (sl_fde_parse(event, len, &fde, NULL) < 0) {
        return SL_OK;
    }
    return sl_buf_printf(&w->info, "Server ver: %s, Binlog ver: 4", fde.server_version);
}

static int describe_gtid(struct sl_relay_events *w, const uint8_t *event, uint32_t len)
{
    struct sl_gtid_event g;
    if (sl_gtid_event_parse(event, len, w->has_crc, &g) < 0) {
        return SL_OK;
    }
    const char *front = g.flags2 & SL_GTID_STANDALONE    ? ""
                        : g.flags2 & SL_GTID_PREPARED_XA ? "XA START "
                                                         : "BEGIN ";
    return sl_buf_printf(&w->info, "%sGTID %u-%u-%llu", front, g.gtid.domain, g.gtid.server_id,
                         (unsigned long long)g.gtid.seq);
}

static int describe_list(struct sl_relay_events *w, const uint8_t *event, uint32_t len)
{
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_buf text = SL_BUF_INIT;
    int rc = SL_OK;
    if (sl_gtid_list_event_parse(event, len, w->has_crc, &list) == SL_OK) {
        rc = sl_gtid_list_text(&list, &text);
        rc = rc < 0 ? rc
                    : sl_buf_printf(&w->info, "[%.*s]",
                                    (int)SL_MIN(sl_buf_len(&text), (size_t)LIST_TEXT_MAX),
                                    (const char *)sl_buf_slice(&text).data);
    }
    sl_buf_free(&text);
    sl_gtid_list_free(&list);
    return rc;
}

static int describe_query(struct sl_relay_events *w, const uint8_t *event, uint32_t len)
{
    struct sl_slice db, sql;
    if (sl_query_event_parse(event, len, w->has_crc, &db, &sql) < 0) {
        return SL_OK;
    }
    int rc = SL_OK;
    if (db.len > 0) {
        rc = sl_buf_printf(&w->info, "use `%.*s`; ", (int)db.len, (const char *)db.data);
    }
    return rc < 0 ? rc : sl_buf_append(&w->info, sql.data, sql.len);
}

static int describe_rotate(struct sl_relay_events *w, const uint8_t *event, uint32_t len)
{
    struct sl_rotate_event r;
    if (sl_rotate_event_parse(event, len, w->has_crc, &r) < 0) {
        return SL_OK;
    }
    return sl_buf_printf(&w->info, "%.*s;pos=%llu", (int)r.file.len, (const char *)r.file.data,
                         (unsigned long long)r.position);
}

/* The body without the checksum. */
static struct sl_slice body_of(const struct sl_relay_events *w, const uint8_t *event, uint32_t len)
{
    uint32_t around = SL_EVENT_HEADER + (w->has_crc ? 4 : 0);
    return sl_slice(event + SL_EVENT_HEADER, len > around ? len - around : 0);
}

static int describe_xid(struct sl_relay_events *w, const uint8_t *event, uint32_t len)
{
    struct sl_slice body = body_of(w, event, len);
    return body.len < 8 ? SL_OK
                        : sl_buf_printf(&w->info, "COMMIT /* xid=%llu */",
                                        (unsigned long long)sl_get_le64(body.data));
}

static int describe_annotate(struct sl_relay_events *w, const uint8_t *event, uint32_t len)
{
    struct sl_slice body = body_of(w, event, len);
    return sl_buf_append(&w->info, body.data, body.len);
}

static uint64_t table_id(struct sl_slice body)
{
    return sl_get_le32(body.data) | (uint64_t)sl_get_le16(body.data + 4) << 32;
}

/* u48 id, u16 flags, then length and text of database and table, each with a NUL behind it. */
static int describe_table(struct sl_relay_events *w, const uint8_t *event, uint32_t len)
{
    struct sl_slice body = body_of(w, event, len);
    size_t db_len = body.len > 8 ? body.data[8] : 0;
    size_t at = 9 + db_len + 1;
    if (at >= body.len || at + 1 + body.data[at] > body.len) {
        return SL_OK;
    }
    return sl_buf_printf(&w->info, "table_id: %llu (%.*s.%.*s)", (unsigned long long)table_id(body),
                         (int)db_len, (const char *)body.data + 9, body.data[at],
                         (const char *)body.data + at + 1);
}

static int describe_rows(struct sl_relay_events *w, const uint8_t *event, uint32_t len)
{
    struct sl_slice body = body_of(w, event, len);
    if (body.len < 8) {
        return SL_OK;
    }
    return sl_buf_printf(&w->info, "table_id: %llu%s", (unsigned long long)table_id(body),
                         sl_get_le16(body.data + 6) & 1 ? " flags: STMT_END_F" : "");
}

static const struct {
    uint8_t first, last; /* event types */
    describe *describe;
} descriptions[] = {
    {SL_EVENT_QUERY, SL_EVENT_QUERY, describe_query},
    {SL_EVENT_ROTATE, SL_EVENT_ROTATE, describe_rotate},
    {SL_EVENT_FORMAT_DESCRIPTION, SL_EVENT_FORMAT_DESCRIPTION, describe_format},
    {SL_EVENT_XID, SL_EVENT_XID, describe_xid},
    {SL_EVENT_TABLE_MAP, SL_EVENT_TABLE_MAP, describe_table},
    {SL_EVENT_WRITE_ROWS, SL_EVENT_DELETE_ROWS, describe_rows},
    {SL_EVENT_WRITE_ROWS_V2, SL_EVENT_DELETE_ROWS_V2, describe_rows},
    {SL_EVENT_ANNOTATE_ROWS, SL_EVENT_ANNOTATE_ROWS, describe_annotate},
    {SL_EVENT_GTID, SL_EVENT_GTID, describe_gtid},
    {SL_EVENT_GTID_LIST, SL_EVENT_GTID_LIST, describe_list},
    {SL_EVENT_WRITE_ROWS_COMPRESSED, SL_EVENT_DELETE_ROWS_COMPRESSED, describe_rows},
};

/* ---- one event ---- */

/* Where the event at `offset` ends: log_pos has the low half of it. */
static uint64_t end_of(uint64_t offset, const struct sl_event_header *h)
{
    uint64_t end = (offset & ~(uint64_t)UINT32_MAX) | h->log_pos;
    end += end <= offset ? UINT64_C(1) << 32 : 0;
    return h->log_pos == 0 ? offset + h->length : end;
}

static void begin(struct sl_relay_events *w)
{
    static const struct sl_resultset_column columns[] = {
        {.name = "Log_name"},
        {"Pos", SL_TYPE_LONGLONG, 0, 0},
        {.name = "Event_type"},
        {"Server_id", SL_TYPE_LONGLONG, 0, 0},
        {.name = "End_log_pos", .type = SL_TYPE_LONGLONG},
        {.name = "Info"}};
    if (!w->has_begun) {
        w->has_begun = true;
        sl_relay_rows_begin(&w->rows, w->rs, columns, SL_ARRAY_LEN(columns));
    }
}

static int show(struct sl_relay_events *w, const uint8_t *event, uint32_t there, uint64_t end,
                const struct sl_event_header *h)
{
    int rc = SL_OK;
    sl_buf_clear(&w->info);
    for (size_t i = 0; i < SL_ARRAY_LEN(descriptions) && there == h->length; i++) {
        if (h->type >= descriptions[i].first && h->type <= descriptions[i].last) {
            rc = descriptions[i].describe(w, event, there);
        }
    }
    char pos[24], id[24], next[24];
    snprintf(pos, sizeof pos, "%llu", (unsigned long long)w->offset);
    snprintf(id, sizeof id, "%u", h->server_id);
    snprintf(next, sizeof next, "%llu", (unsigned long long)end);
    begin(w);
    struct sl_slice cells[] = {sl_slice_text(sl_store_reader_file(w->reader)),
                               sl_slice_text(pos),
                               sl_slice_text(sl_event_type_text(h->type)),
                               sl_slice_text(id),
                               sl_slice_text(next),
                               sl_buf_slice(&w->info)};
    if (!cells[5].data) {
        cells[5] = sl_slice_text("");
    }
    sl_resultset_row(&w->rows.set, cells);
    return rc;
}

/* An event of which `there` bytes are here. SL_OK; SL_EEXIST: that was enough; SL_ENOMEM,
 * SL_EPROTO. */
static int meet(struct sl_relay_events *w, const uint8_t *event, uint32_t there)
{
    struct sl_event_header h;
    struct sl_gtid_event g;
    if (there < SL_EVENT_HEADER || sl_event_header_parse(event, &h) < 0) {
        return SL_EPROTO;
    }
    int rc = SL_OK;
    uint64_t end = end_of(w->offset, &h);
    if (w->is_position) {
        if (w->offset >= w->target) {
            return SL_EEXIST;
        }
        if (h.type == SL_EVENT_GTID && sl_gtid_event_parse(event, there, w->has_crc, &g) == 0) {
            rc = sl_gtid_state_add(&w->state, g.gtid);
        }
    } else if (w->skip > 0) {
        w->skip--;
    } else if (w->left == 0) {
        return SL_EEXIST;
    } else {
        w->left--;
        rc = show(w, event, there, end, &h);
    }
    w->offset = end;
    return rc;
}

static int meet_piece(struct sl_relay_events *w, enum sl_store_step step,
                      const struct sl_store_piece *piece)
{
    const uint8_t *at = piece->bytes.data, *end = at + piece->bytes.len;
    if (step == SL_STORE_PART) {
        return piece->event_offset == 0 ? meet(w, at, (uint32_t)piece->bytes.len) : SL_OK;
    }
    int rc = SL_OK;
    while (at < end && rc == SL_OK) {
        uint32_t len = end - at >= SL_EVENT_HEADER ? sl_event_length(at) : 0;
        if (len < SL_EVENT_HEADER || len > (size_t)(end - at)) {
            return SL_EPROTO;
        }
        rc = meet(w, at, len);
        at += len;
    }
    return rc;
}

/* ---- the walk ---- */

/* One column and row. */
static void answer_position(struct sl_relay_session *rs, struct sl_slice title, const char *cell)
{
    char *name = sl_strndup((const char *)title.data, title.len);
    struct sl_resultset_column column = {.name = name ? name : ""};
    struct sl_relay_rows rows;
    sl_relay_rows_begin(&rows, rs, &column, 1);
    sl_relay_rows_add(&rows, &cell);
    sl_relay_rows_end(&rows);
    sl_free(name);
}

static void finish_position(struct sl_relay_events *w, bool is_boundary)
{
    struct sl_relay_session *rs = w->rs;
    struct sl_gtid_list position = SL_GTID_LIST_INIT;
    struct sl_buf text = SL_BUF_INIT;
    char *title = w->title;
    w->title = NULL;
    int rc = sl_gtid_state_position(&w->state, &position);
    rc = rc < 0 ? rc : sl_gtid_list_text(&position, &text);
    free_walk(w);
    if (rc < 0) {
        sl_session_fail(rs->session, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
    } else {
        answer_position(rs, sl_slice_text(title), is_boundary ? sl_relay_text(&text) : NULL);
    }
    sl_free(title);
    sl_buf_free(&text);
    sl_gtid_list_free(&position);
}

static void finish(struct sl_relay_events *w)
{
    if (w->is_position) {
        finish_position(w, w->offset == w->target);
        return;
    }
    begin(w);
    struct sl_relay_rows rows = w->rows;
    w->rows.buf = (struct sl_buf)SL_BUF_INIT;
    rows.set.writer.buf = &rows.buf;
    free_walk(w);
    sl_relay_rows_end(&rows);
}

static void stop(struct sl_relay_events *w, int rc, const struct sl_err *err)
{
    char text[256];
    if (rc == SL_ENOMEM) {
        fail(w, SL_ER_UNKNOWN_ERROR, "Out of memory");
    } else if (w->is_position) {
        finish_position(w, false); /* no event begins there */
    } else {
        snprintf(text, sizeof text,
                 "Error when executing command SHOW BINLOG EVENTS: Wrong offset or I/O error%s%.*s",
                 err->text[0] ? ": " : "", 150, err->text);
        fail(w, ER_WHEN_EXECUTING, text);
    }
}

static void look_again(struct sl_timer *t, struct sl_loop *loop)
{
    sl_loop_defer(loop, &SL_CONTAINER_OF(t, struct sl_relay_events, later)->task);
}

/* There is no more to read now, but will be: the keeper expands the compressed file. */
static bool is_expanding(const struct sl_relay_events *w)
{
    char file[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t offset;
    return sl_store_tail(sl_relay_of(w->rs->session)->store, file, &offset) &&
           strcmp(file, sl_store_reader_file(w->reader)) != 0;
}

static void go_on(struct sl_task *task, struct sl_loop *loop)
{
    struct sl_relay_events *w = SL_CONTAINER_OF(task, struct sl_relay_events, task);
    struct sl_session *s = w->rs->session;
    enum sl_store_step step = SL_STORE_END;
    struct sl_store_piece piece = {0};
    struct sl_err err = SL_ERR_INIT;
    if (s->step == SL_SESSION_CLOSING) {
        return; /* it ends with the session */
    }
    int rc = sl_store_reader_next(w->reader, w->block, PIECE, &step, &piece, &err);
    bool is_data = rc == SL_OK && (step == SL_STORE_EVENTS || step == SL_STORE_PART);
    if (is_data) {
        if (step == SL_STORE_EVENTS || piece.event_offset == 0) {
            w->offset = piece.offset;
        }
        rc = meet_piece(w, step, &piece);
    }
    if (rc == SL_OK && step == SL_STORE_END && is_expanding(w)) {
        sl_timer_start(loop, &w->later, LATER_MS);
    } else if (rc == SL_EEXIST || (rc == SL_OK && !is_data)) {
        finish(w);
    } else if (rc < 0) {
        stop(w, rc, &err);
    } else if (!flush(w)) {
        sl_session_close(s, "out of memory");
    } else if (!sl_conn_is_full(&s->client)) {
        sl_loop_defer(loop, &w->task);
    }
}

void sl_relay_events_go_on(struct sl_relay_session *rs)
{
    sl_loop_defer(rs->session->worker->loop, &rs->events->task);
}

/* ---- beginnings ---- */

/* NULL: the error was answered. */
static struct sl_relay_events *new_walk(struct sl_relay_session *rs, struct sl_store_reader *reader)
{
    struct sl_relay_events *w = sl_calloc(1, sizeof *w);
    if (!w || sl_store_block_new(&w->block) < 0) {
        sl_free(w);
        sl_store_reader_free(reader);
        sl_session_fail(rs->session, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
        return NULL;
    }
    w->rs = rs;
    w->reader = reader;
    w->offset = SL_BINLOG_MAGIC_LEN;
    w->has_crc = sl_store_reader_has_crc(reader);
    w->task.run = go_on;
    sl_timer_init(&w->later, look_again);
    sl_list_init(&w->task.node);
    rs->events = w;
    return w;
}

static int open_at(struct sl_relay_session *rs, struct sl_slice file, uint64_t offset,
                   struct sl_store_reader **ret)
{
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    struct sl_err err = SL_ERR_INIT;
    if (file.len >= sizeof name) {
        return SL_ENOENT;
    }
    memcpy(name, file.data ? (const char *)file.data : "", file.len);
    name[file.len] = 0;
    return sl_store_reader_open_at(sl_relay_of(rs->session)->store, name, offset, ret, &err);
}

void sl_relay_show_events(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    struct sl_store_reader *reader = NULL;
    uint64_t from =
        st->has_from ? SL_MAX(st->from, (uint64_t)SL_BINLOG_MAGIC_LEN) : SL_BINLOG_MAGIC_LEN;
    int rc = open_at(rs, st->text, from, &reader);
    if (rc < 0) {
        sl_session_answer_error(rs->session, ER_WHEN_EXECUTING, "HY000",
                                "Error when executing command SHOW BINLOG EVENTS: %s",
                                rc == SL_ENOENT ? "Could not find target log"
                                                : "Wrong offset or I/O error");
        return;
    }
    struct sl_relay_events *w = new_walk(rs, reader);
    if (!w) {
        return;
    }
    w->skip = st->limit_offset;
    w->left = st->has_limit ? st->limit : UINT64_MAX;
    sl_session_begin(rs->session);
    struct sl_slice fde = sl_store_reader_fde(reader);
    if (from == SL_BINLOG_MAGIC_LEN && meet(w, fde.data, (uint32_t)fde.len) != SL_OK) {
        finish(w); /* LIMIT 0 */
        return;
    }
    sl_loop_defer(rs->session->worker->loop, &w->task);
}

void sl_relay_gtid_at(struct sl_relay_session *rs, struct sl_slice file, uint64_t offset,
                      struct sl_slice title)
{
    struct sl_store_reader *reader = NULL;
    struct sl_relay_events *w = NULL;
    int rc = open_at(rs, file, SL_BINLOG_MAGIC_LEN, &reader);
    if (rc == SL_ENOENT || (rc == SL_OK && offset < SL_BINLOG_MAGIC_LEN)) {
        sl_store_reader_free(reader);
        answer_position(rs, title, NULL);
        return;
    }
    if (rc < 0) {
        sl_session_answer_error(rs->session, SL_ER_UNKNOWN_ERROR, NULL, "%s", sl_rc_text(rc));
        return;
    }
    w = new_walk(rs, reader);
    if (!w) {
        return;
    }
    w->is_position = true;
    w->target = offset;
    w->title = sl_strndup((const char *)title.data, title.len);
    sl_session_begin(rs->session);
    if (!w->title || sl_gtid_list_copy(&w->state, sl_store_reader_list(reader)) < 0) {
        free_walk(w);
        sl_session_fail(rs->session, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
        return;
    }
    w->offset = sl_store_reader_offset(reader);
    if (w->offset >= offset) { /* at or before the first event */
        w->offset = offset;
        finish_position(w, true);
        return;
    }
    sl_loop_defer(rs->session->worker->loop, &w->task);
}
