/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router binlogrouter: SELECT of variables, literals and the functions below. MASTER_GTID_WAIT and
 * BINLOG_GTID_POS take their time: they are selected alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "router/binlog/sql.h"

#define TIME_TEXT 32

/* Appends the value. 0, SL_ENOMEM. */
typedef int call(struct sl_relay_session *rs, const struct sl_relay_column *c, struct sl_buf *out);

static int unix_timestamp(struct sl_relay_session *rs, const struct sl_relay_column *c,
                          struct sl_buf *out)
{
    return sl_buf_printf(out, "%lld", (long long)sl_clock_wall_s());
}

static int now(struct sl_relay_session *rs, const struct sl_relay_column *c, struct sl_buf *out)
{
    time_t t = (time_t)sl_clock_wall_s();
    struct tm tm;
    char text[TIME_TEXT];
    localtime_r(&t, &tm);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
    return sl_buf_append_text(out, text);
}

static int version(struct sl_relay_session *rs, const struct sl_relay_column *c, struct sl_buf *out)
{
    struct sl_buf text = SL_BUF_INIT;
    sl_relay_variable(rs, sl_slice_text("version"), &text);
    int rc = sl_buf_append(out, sl_buf_slice(&text).data, sl_buf_len(&text));
    sl_buf_free(&text);
    return rc;
}

static int user(struct sl_relay_session *rs, const struct sl_relay_column *c, struct sl_buf *out)
{
    char peer[128];
    sl_conn_peer_text(&rs->session->client, peer, sizeof peer);
    char *colon = strrchr(peer, ':');
    if (colon) {
        *colon = 0;
    }
    return sl_buf_printf(out, "%s@%s", rs->session->client_user ? rs->session->client_user : "",
                         strcmp(peer, "unix") == 0 ? "localhost" : peer);
}

static int connection_id(struct sl_relay_session *rs, const struct sl_relay_column *c,
                         struct sl_buf *out)
{
    return sl_buf_printf(out, "%llu", (unsigned long long)rs->session->id);
}

static int zero(struct sl_relay_session *rs, const struct sl_relay_column *c, struct sl_buf *out)
{
    return sl_buf_append_text(out, "0");
}

static int one(struct sl_relay_session *rs, const struct sl_relay_column *c, struct sl_buf *out)
{
    return sl_buf_append_text(out, "1");
}

static int concat(struct sl_relay_session *rs, const struct sl_relay_column *c, struct sl_buf *out)
{
    int rc = SL_OK;
    for (unsigned i = 0; i < c->argument_count && rc == SL_OK; i++) {
        bool is_null;
        struct sl_buf part = SL_BUF_INIT;
        rc = sl_relay_value_text(rs, &c->arguments[i], &part, &is_null);
        rc = rc < 0 ? rc : sl_buf_append(out, sl_buf_slice(&part).data, sl_buf_len(&part));
        sl_buf_free(&part);
    }
    return rc;
}

static const struct function {
    const char *name;
    uint8_t type;
    call *call; /* NULL: the value is NULL */
} functions[] = {
    {"version", 0, version},
    {"unix_timestamp", SL_TYPE_LONGLONG, unix_timestamp},
    {"now", 0, now},
    {"sysdate", 0, now},
    {"current_timestamp", 0, now},
    {"localtimestamp", 0, now},
    {"user", 0, user},
    {"session_user", 0, user},
    {"system_user", 0, user},
    {"current_user", 0, user},
    {"current_role", 0, NULL},
    {"connection_id", SL_TYPE_LONGLONG, connection_id},
    {"database", 0, NULL},
    {"schema", 0, NULL},
    {"concat", 0, concat},
    {"last_insert_id", SL_TYPE_LONGLONG, zero},
    {"row_count", SL_TYPE_LONGLONG, zero},
    {"found_rows", SL_TYPE_LONGLONG, zero},
    {"true", SL_TYPE_LONGLONG, one},
    {"false", SL_TYPE_LONGLONG, zero},
};

static const struct function *find(struct sl_slice name)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(functions); i++) {
        if (sl_slice_equal_nocase(name, functions[i].name)) {
            return &functions[i];
        }
    }
    return NULL;
}

/* Words that are functions without brackets. */
static bool is_bare(struct sl_slice word)
{
    static const char *const bare[] = {"current_timestamp", "localtimestamp", "current_user",
                                       "current_role",      "true",           "false"};
    for (size_t i = 0; i < SL_ARRAY_LEN(bare); i++) {
        if (sl_slice_equal_nocase(word, bare[i])) {
            return true;
        }
    }
    return false;
}

/* ---- values ---- */

#define SHOWN_MAX 64 /* bytes of a name that an error shows */

static void answer_unknown(struct sl_relay_session *rs, const struct sl_relay_value *v)
{
    int len = (int)SL_MIN(v->text.len, (size_t)SHOWN_MAX);
    const char *name = (const char *)v->text.data;
    if (v->kind == SL_RELAY_CALL && (sl_slice_equal_nocase(v->text, "master_gtid_wait") ||
                                     sl_slice_equal_nocase(v->text, "binlog_gtid_pos"))) {
        sl_session_answer_error(rs->session, 1235, "42000",
                                "A binlog relay doesn't yet support '%.*s with other columns'", len,
                                name);
    } else if (v->kind == SL_RELAY_SYSVAR) {
        sl_session_answer_error(rs->session, 1193, "HY000", "Unknown system variable '%.*s'", len,
                                name);
    } else if (v->kind == SL_RELAY_CALL) {
        sl_session_answer_error(rs->session, 1305, "42000", "FUNCTION %.*s does not exist", len,
                                name);
    } else {
        sl_session_answer_error(rs->session, 1054, "42S22", "Unknown column '%.*s' in 'SELECT'",
                                len, name);
    }
}

/* What the replica's own SETs left; others were not kept. */
static bool user_variable(struct sl_relay_session *rs, struct sl_slice name, struct sl_buf *out)
{
    if (sl_slice_equal_nocase(name, "master_binlog_checksum")) {
        bool is_none = rs->has_checksum && !rs->checksum_is_crc32;
        return sl_buf_append_text(out, is_none ? "NONE" : "CRC32") == SL_OK;
    }
    if (sl_slice_equal_nocase(name, "slave_connect_state") && rs->has_connect_state) {
        return sl_buf_append_text(out, rs->connect_state ? rs->connect_state : "") == SL_OK;
    }
    if (sl_slice_equal_nocase(name, "mariadb_slave_capability") && rs->capability > 0) {
        return sl_buf_printf(out, "%u", rs->capability) == SL_OK;
    }
    if (sl_slice_equal_nocase(name, "master_heartbeat_period") && rs->heartbeat_ns > 0) {
        return sl_buf_printf(out, "%llu", (unsigned long long)rs->heartbeat_ns) == SL_OK;
    }
    return false;
}

int sl_relay_value_text(struct sl_relay_session *rs, const struct sl_relay_value *v,
                        struct sl_buf *out, bool *ret_null)
{
    const struct function *f;
    *ret_null = false;
    switch (v->kind) {
    case SL_RELAY_STRING:
    case SL_RELAY_NUMBER:
        return sl_buf_append(out, v->text.data, v->text.len);
    case SL_RELAY_NULL:
        *ret_null = true;
        return SL_OK;
    case SL_RELAY_USERVAR:
        *ret_null = !user_variable(rs, v->text, out);
        return SL_OK;
    case SL_RELAY_SYSVAR:
        if (sl_relay_variable(rs, v->text, out)) {
            return SL_OK;
        }
        break;
    default:
        f = is_bare(v->text) ? find(v->text) : NULL;
        if (f) {
            *ret_null = f->call == NULL;
            return f->call ? f->call(rs, NULL, out) : SL_OK;
        }
        break;
    }
    answer_unknown(rs, v);
    return SL_ENOENT;
}

/* 1e5, 0x41 and 1.5 are answered as text, as they were written. */
static bool is_integer(struct sl_slice number)
{
    size_t at = number.len > 0 && (number.data[0] == '-' || number.data[0] == '+');
    while (at < number.len && number.data[at] >= '0' && number.data[at] <= '9') {
        at++;
    }
    return at == number.len && number.len <= 18;
}

static uint8_t type_of(const struct sl_relay_value *v)
{
    const struct function *f =
        v->kind == SL_RELAY_CALL || v->kind == SL_RELAY_WORD ? find(v->text) : NULL;
    return f ? f->type : v->kind == SL_RELAY_NUMBER && is_integer(v->text) ? SL_TYPE_LONGLONG : 0;
}

/* One column into `out`. As sl_relay_value_text(). */
static int evaluate(struct sl_relay_session *rs, const struct sl_relay_column *c,
                    struct sl_buf *out, bool *ret_null)
{
    if (c->value.kind != SL_RELAY_CALL) {
        return sl_relay_value_text(rs, &c->value, out, ret_null);
    }
    const struct function *f = find(c->value.text);
    if (!f) {
        answer_unknown(rs, &c->value);
        return SL_ENOENT;
    }
    *ret_null = f->call == NULL;
    return f->call ? f->call(rs, c, out) : SL_OK;
}

/* ---- those that take their time ---- */

/* Decimal seconds as milliseconds; at most a year. */
static int64_t milliseconds(struct sl_slice text)
{
    char number[24];
    snprintf(number, sizeof number, "%.*s", (int)SL_MIN(text.len, sizeof number - 1),
             (const char *)text.data);
    double s = strtod(number, NULL);
    return s <= 0 ? 0 : s > 31536000 ? INT64_C(31536000000) : (int64_t)(s * 1000);
}

/* True if the statement was one of them, and it is answered or will be. */
static bool slow(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    const struct sl_relay_column *c = &st->columns[0];
    const struct sl_relay_value *args = c->arguments;
    bool is_wait = sl_slice_equal_nocase(c->value.text, "master_gtid_wait");
    bool is_position = sl_slice_equal_nocase(c->value.text, "binlog_gtid_pos");
    if (st->column_count != 1 || c->value.kind != SL_RELAY_CALL || (!is_wait && !is_position)) {
        return false;
    }
    bool is_good = is_wait ? c->argument_count >= 1 && c->argument_count <= 2
                           : c->argument_count == 2 && args[1].kind == SL_RELAY_NUMBER;
    if (!is_good || args[0].kind != SL_RELAY_STRING) {
        sl_session_answer_error(rs->session, 1582, "42000",
                                "Incorrect parameter count or type in the call to native function "
                                "'%s'",
                                is_wait ? "MASTER_GTID_WAIT" : "BINLOG_GTID_POS");
    } else if (is_wait) {
        bool has_timeout = c->argument_count == 2 && args[1].kind == SL_RELAY_NUMBER;
        sl_relay_wait_start(rs, args[0].text, has_timeout ? milliseconds(args[1].text) : -1,
                            c->title);
    } else {
        char number[24];
        snprintf(number, sizeof number, "%.*s", (int)SL_MIN(args[1].text.len, sizeof number - 1),
                 (const char *)args[1].text.data);
        sl_relay_gtid_at(rs, args[0].text, strtoull(number, NULL, 10), c->title);
    }
    return true;
}

/* ---- SELECT ---- */

struct row {
    struct sl_buf titles, values; /* texts, each with a NUL behind it */
    size_t title_at[SL_RELAY_COLUMNS_MAX], value_at[SL_RELAY_COLUMNS_MAX];
    bool is_null[SL_RELAY_COLUMNS_MAX];
    uint8_t type[SL_RELAY_COLUMNS_MAX];
};

static int fill(struct sl_relay_session *rs, const struct sl_relay_statement *st, struct row *row)
{
    struct sl_buf value = SL_BUF_INIT;
    int rc = SL_OK;
    for (unsigned i = 0; i < st->column_count && rc == SL_OK; i++) {
        const struct sl_relay_column *c = &st->columns[i];
        sl_buf_clear(&value);
        rc = evaluate(rs, c, &value, &row->is_null[i]);
        row->type[i] = type_of(&c->value);
        row->title_at[i] = sl_buf_len(&row->titles);
        row->value_at[i] = sl_buf_len(&row->values);
        rc = rc < 0 ? rc : sl_buf_append(&row->titles, c->title.data, c->title.len);
        rc = rc < 0 ? rc : sl_buf_append(&row->titles, "", 1);
        rc = rc < 0 ? rc
                    : sl_buf_append(&row->values, sl_buf_slice(&value).data, sl_buf_len(&value));
        rc = rc < 0 ? rc : sl_buf_append(&row->values, "", 1);
    }
    sl_buf_free(&value);
    return rc;
}

static void answer(struct sl_relay_session *rs, const struct sl_relay_statement *st,
                   const struct row *row)
{
    struct sl_resultset_column columns[SL_RELAY_COLUMNS_MAX];
    const char *cells[SL_RELAY_COLUMNS_MAX];
    const char *titles = (const char *)sl_buf_slice(&row->titles).data;
    const char *values = (const char *)sl_buf_slice(&row->values).data;
    for (unsigned i = 0; i < st->column_count; i++) {
        columns[i] =
            (struct sl_resultset_column){.name = titles + row->title_at[i], .type = row->type[i]};
        cells[i] = row->is_null[i] ? NULL : values + row->value_at[i];
    }
    struct sl_relay_rows rows;
    sl_relay_rows_begin(&rows, rs, columns, st->column_count);
    if (!st->has_limit || (st->limit > 0 && st->limit_offset == 0)) {
        sl_relay_rows_add(&rows, cells);
    }
    sl_relay_rows_end(&rows);
}

void sl_relay_select(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    if (slow(rs, st)) {
        return;
    }
    struct row *row = sl_calloc(1, sizeof *row);
    int rc = row ? fill(rs, st, row) : SL_ENOMEM;
    if (rc == SL_OK) {
        answer(rs, st, row);
    } else if (rc != SL_ENOENT) {
        sl_session_fail(rs->session, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
    }
    if (row) {
        sl_buf_free(&row->titles);
        sl_buf_free(&row->values);
        sl_free(row);
    }
}
