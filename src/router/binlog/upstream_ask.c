/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The questions of a replica; contract in the header. A table: what to send, the shape of the answer,
 * which errors do no harm, what to make of the value.
 *
 * Strict mode on and ignore_duplicates off: a primary that cannot continue exactly where we are says
 * so, instead of going on with the next group it has.
 */
#include "router/binlog/upstream_ask.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "proto/constants.h"
#include "proto/ok.h"
#include "repl/event.h"

enum phase {
    PHASE_FIRST,   /* the first packet of a reply */
    PHASE_COLUMNS, /* definitions and their EOF */
    PHASE_ROWS
};

enum shape {
    SHAPE_OK,
    SHAPE_ROW,
    SHAPE_STREAM
};

#define TOLERATES_NONE 0
#define TOLERATES_ALL 0xFFFFFFFF
#define ER_UNKNOWN_SYSTEM_VARIABLE 1193
#define COLUMNS_MAX 16

struct question {
    const char *sql; /* what is sent; with `write`, which makes the packet, only its name */
    int (*write)(const struct sl_upstream_asking *a, struct sl_buf *out);
    enum shape shape;
    uint32_t tolerates; /* code of an ERR that does no harm */
    bool (*is_asked)(const struct sl_upstream_asking *a);
    /* False: the answer is no good, *fault tells. NULL: nothing to look at. */
    bool (*accept)(struct sl_upstream_asking *a, struct sl_fault *fault);
};

static int put_query(struct sl_buf *out, const char *sql)
{
    return sl_packet_build_command(out, SL_COM_QUERY, sl_slice_text(sql));
}

/* ---- packets ---- */

static int write_heartbeat(const struct sl_upstream_asking *a, struct sl_buf *out)
{
    char sql[96];
    snprintf(sql, sizeof(sql), "SET @master_heartbeat_period= %" PRIu64, a->heartbeat_ns);
    return put_query(out, sql);
}

static int write_position(const struct sl_upstream_asking *a, struct sl_buf *out)
{
    struct sl_buf sql = SL_BUF_INIT;
    int rc = sl_buf_printf(&sql, "SET @slave_connect_state='%s'", a->position);
    if (rc == SL_OK) {
        rc = sl_packet_build_command(out, SL_COM_QUERY, sl_buf_slice(&sql));
    }
    sl_buf_free(&sql);
    return rc;
}

/* A payload of repl/event.c as a packet. */
static int put_payload(struct sl_buf *out, struct sl_buf *payload, int rc)
{
    if (rc == SL_OK) {
        struct sl_writer w = sl_writer_buf(out);
        sl_write_packet(&w, 0, sl_buf_slice(payload));
        rc = sl_writer_finish(&w);
    }
    sl_buf_free(payload);
    return rc;
}

static int write_register(const struct sl_upstream_asking *a, struct sl_buf *out)
{
    struct sl_buf payload = SL_BUF_INIT;
    return put_payload(
        out, &payload,
        sl_register_slave_build(&payload, a->server_id, a->report_host, a->report_port));
}

static int write_dump(const struct sl_upstream_asking *a, struct sl_buf *out)
{
    struct sl_buf payload = SL_BUF_INIT;
    return put_payload(out, &payload,
                       sl_binlog_dump_build(&payload, a->server_id, SL_BINLOG_MAGIC_LEN,
                                            SL_DUMP_ANNOTATE_ROWS, ""));
}

/* ---- conditions ---- */

static bool has_heartbeat(const struct sl_upstream_asking *a)
{
    return a->heartbeat_ns > 0;
}
static bool has_checksums(const struct sl_upstream_asking *a)
{
    return a->has_checksum_question;
}
static bool wants_semi_sync(const struct sl_upstream_asking *a)
{
    return a->wants_semi_sync;
}
static bool has_semi_sync(const struct sl_upstream_asking *a)
{
    return a->has_semi_sync;
}

/* ---- answers ---- */

static bool accept_time(struct sl_upstream_asking *a, struct sl_fault *fault)
{
    a->primary_time_s = a->has_row ? strtoll(a->value, NULL, 10) : 0;
    return true;
}

static bool accept_server_id(struct sl_upstream_asking *a, struct sl_fault *fault)
{
    char *end = a->value;
    unsigned long long id = a->has_row ? strtoull(a->value, &end, 10) : 0;
    if (end == a->value || *end != '\0' || id > UINT32_MAX) {
        sl_fault_set(fault, SL_FAULT_PROTO, SL_ER_RELAY_FATAL,
                     "The primary does not tell its server_id: '%s'", a->value);
        return false;
    }
    a->primary_server_id = (uint32_t)id;
    if (a->primary_server_id == a->server_id) {
        sl_fault_set(fault, SL_FAULT_SERVER_ID, SL_ER_RELAY_FATAL,
                     "server_id=%" PRIu32
                     " of this service is the primary's, too; set server_id to a "
                     "number that no server of the topology has",
                     a->server_id);
        return false;
    }
    return true;
}

static bool accept_checksum_set(struct sl_upstream_asking *a, struct sl_fault *fault)
{
    a->has_checksum_question = true;
    return true;
}

static bool accept_checksum(struct sl_upstream_asking *a, struct sl_fault *fault)
{
    a->is_crc32 = a->has_row && strcmp(a->value, "CRC32") == 0;
    if (!a->is_crc32 && strcmp(a->value, "NONE") != 0) {
        sl_fault_set(fault, SL_FAULT_REFUSED, SL_ER_RELAY_FATAL,
                     "The primary's binlog_checksum is '%s'; CRC32 and NONE are known", a->value);
        return false;
    }
    return true;
}

static bool accept_domain(struct sl_upstream_asking *a, struct sl_fault *fault)
{
    if (!a->has_row) {
        sl_fault_set(fault, SL_FAULT_REFUSED, SL_ER_RELAY_FATAL,
                     "The primary does not know GTIDs: is it a MariaDB server?");
    }
    return a->has_row;
}

static bool accept_semi_sync(struct sl_upstream_asking *a, struct sl_fault *fault)
{
    a->has_semi_sync = a->has_row; /* ON or OFF: it can be switched on later */
    return true;
}

static bool has_place(const struct sl_upstream_asking *a)
{
    return a->has_semi_sync && a->place_file[0] != '\0';
}

/* File and position came with the row (take_place). It was asked before the GTIDs: what is committed
 * in between makes them differ, and is sent. */
static bool accept_reached(struct sl_upstream_asking *a, struct sl_fault *fault)
{
    struct sl_gtid_list ours = SL_GTID_LIST_INIT, theirs = SL_GTID_LIST_INIT;
    struct sl_err err;
    /* A list that was cut says nothing about the domains behind the cut. */
    a->has_all = a->has_row && strlen(a->value) < SL_UPSTREAM_VALUE_MAX &&
                 sl_gtid_position_parse(sl_slice_text(a->position), &ours, &err) == SL_OK &&
                 sl_gtid_position_parse(sl_slice_text(a->value), &theirs, &err) == SL_OK &&
                 theirs.count > 0;
    for (uint32_t i = 0; i < theirs.count; i++) {
        const struct sl_gtid *g = sl_gtid_position_find(&ours, theirs.gtid[i].domain);
        a->has_all &=
            g != NULL && g->seq == theirs.gtid[i].seq && g->server_id == theirs.gtid[i].server_id;
    }
    sl_gtid_list_free(&ours);
    sl_gtid_list_free(&theirs);
    return true;
}

/* clang-format off */
static const struct question questions[] = {
    {"SET NAMES latin1", NULL, SHAPE_OK, TOLERATES_ALL, NULL, NULL},
    {"SELECT UNIX_TIMESTAMP()", NULL, SHAPE_ROW, TOLERATES_ALL, NULL, accept_time},
    {"SHOW VARIABLES LIKE 'SERVER_ID'", NULL, SHAPE_ROW, TOLERATES_NONE, NULL, accept_server_id},
    {"SET @master_heartbeat_period", write_heartbeat, SHAPE_OK, TOLERATES_NONE, has_heartbeat, NULL},
    {"SET @master_binlog_checksum= @@global.binlog_checksum", NULL, SHAPE_OK,
     ER_UNKNOWN_SYSTEM_VARIABLE, NULL, accept_checksum_set},
    {"SELECT @master_binlog_checksum", NULL, SHAPE_ROW, TOLERATES_NONE, has_checksums,
     accept_checksum},
    {"SET @mariadb_slave_capability=4", NULL, SHAPE_OK, TOLERATES_NONE, NULL, NULL},
    {"SELECT @@GLOBAL.gtid_domain_id", NULL, SHAPE_ROW, TOLERATES_NONE, NULL, accept_domain},
    {"SET @slave_connect_state", write_position, SHAPE_OK, TOLERATES_NONE, NULL, NULL},
    {"SET @slave_gtid_strict_mode=1", NULL, SHAPE_OK, TOLERATES_NONE, NULL, NULL},
    {"SET @slave_gtid_ignore_duplicates=0", NULL, SHAPE_OK, TOLERATES_NONE, NULL, NULL},
    {"COM_REGISTER_SLAVE", write_register, SHAPE_OK, TOLERATES_NONE, NULL, NULL},
    {"SHOW VARIABLES LIKE 'rpl_semi_sync_master_enabled'", NULL, SHAPE_ROW, TOLERATES_ALL,
     wants_semi_sync, accept_semi_sync},
    {"SET @rpl_semi_sync_slave= 1", NULL, SHAPE_OK, TOLERATES_NONE, has_semi_sync, NULL},
    {"SHOW MASTER STATUS", NULL, SHAPE_ROW, TOLERATES_ALL, has_semi_sync, NULL},
    {"SELECT @@GLOBAL.gtid_binlog_pos", NULL, SHAPE_ROW, TOLERATES_ALL, has_place, accept_reached},
    {"COM_BINLOG_DUMP", write_dump, SHAPE_STREAM, TOLERATES_NONE, NULL, NULL},
};
/* clang-format on */

static bool applies(const struct sl_upstream_asking *a)
{
    const struct question *q = &questions[a->step];
    return q->is_asked == NULL || q->is_asked(a);
}

int sl_upstream_ask_next(struct sl_upstream_asking *a, struct sl_buf *out, bool *ret_is_dump)
{
    while (!applies(a)) {
        a->step++; /* the last one always applies */
    }
    const struct question *q = &questions[a->step];
    a->phase = PHASE_FIRST;
    a->has_row = false;
    a->value[0] = '\0';
    *ret_is_dump = q->shape == SHAPE_STREAM;
    return q->write != NULL ? q->write(a, out) : put_query(out, q->sql);
}

/* ---- replies ---- */

static int not_understood(struct sl_fault *fault, const struct question *q)
{
    return sl_fault_set(fault, SL_FAULT_PROTO, SL_ER_RELAY_FATAL,
                        "The reply to '%s' is not understood", q->sql);
}

static int complete(struct sl_upstream_asking *a, struct sl_fault *fault)
{
    const struct question *q = &questions[a->step];
    if (q->accept != NULL && !q->accept(a, fault)) {
        return SL_EPROTO;
    }
    a->step++;
    return SL_OK;
}

static int refused(struct sl_upstream_asking *a, const uint8_t *payload, size_t len,
                   struct sl_fault *fault)
{
    const struct question *q = &questions[a->step];
    struct sl_packet_err err;
    if (sl_packet_err_parse(payload, len, &err) < 0) {
        return not_understood(fault, q);
    }
    if (q->tolerates != TOLERATES_ALL && q->tolerates != err.code) {
        return sl_fault_from_server(fault, q->sql, err.code, err.message);
    }
    a->step++; /* nothing learnt */
    return SL_OK;
}

/* The first two columns of SHOW MASTER STATUS. */
static void take_place(struct sl_upstream_asking *a, struct sl_slice file, struct sl_slice position)
{
    char number[24] = "";
    if (file.len > SL_BINLOG_FILE_NAME_MAX || position.len >= sizeof(number)) {
        return;
    }
    memcpy(a->place_file, file.data, file.len);
    a->place_file[file.len] = '\0';
    memcpy(number, position.data, position.len);
    a->place_pos = strtoull(number, NULL, 10);
}

/* The last column of the first row is the value of all other questions. */
static int take_row(struct sl_upstream_asking *a, const uint8_t *payload, size_t len)
{
    struct sl_reader r = sl_reader(payload, len);
    struct sl_slice value = sl_slice("", 0), first[2] = {value, value};
    bool is_there = false;
    for (unsigned i = 0; i < a->columns; i++) {
        is_there = sl_read_column(&r, &value);
        if (i < SL_ARRAY_LEN(first) && is_there) {
            first[i] = value;
        }
    }
    if (r.failed) {
        return SL_EPROTO;
    }
    if (strcmp(questions[a->step].sql, "SHOW MASTER STATUS") == 0) {
        take_place(a, first[0], first[1]);
    }
    if (is_there && !a->has_row) {
        a->has_row = true;
        size_t n = value.len < SL_UPSTREAM_VALUE_MAX ? value.len : SL_UPSTREAM_VALUE_MAX;
        memcpy(a->value, value.data, n);
        a->value[n] = '\0';
    }
    return SL_EAGAIN;
}

static int take_first(struct sl_upstream_asking *a, const uint8_t *payload, size_t len,
                      struct sl_fault *fault)
{
    const struct question *q = &questions[a->step];
    if (q->shape == SHAPE_OK) {
        return payload[0] == SL_FIRST_OK ? complete(a, fault) : not_understood(fault, q);
    }
    if (len != 1 || payload[0] == 0 || payload[0] > COLUMNS_MAX) {
        return not_understood(fault, q);
    }
    a->columns = payload[0];
    a->columns_left = a->columns;
    a->phase = PHASE_COLUMNS;
    return SL_EAGAIN;
}

int sl_upstream_ask_packet(struct sl_upstream_asking *a, const uint8_t *payload, size_t len,
                           struct sl_fault *fault)
{
    sl_assert(a->step < SL_ARRAY_LEN(questions));
    const struct question *q = &questions[a->step];
    if (len == 0) {
        return not_understood(fault, q);
    }
    if (payload[0] == SL_FIRST_ERR) {
        return refused(a, payload, len, fault);
    }
    if (a->phase == PHASE_FIRST) {
        return take_first(a, payload, len, fault);
    }
    bool is_eof = payload[0] == SL_FIRST_EOF && len < 9;
    if (a->phase == PHASE_COLUMNS) {
        if (is_eof != (a->columns_left == 0)) {
            return not_understood(fault, q);
        }
        a->columns_left -= !is_eof;
        a->phase = is_eof ? PHASE_ROWS : PHASE_COLUMNS;
        return SL_EAGAIN;
    }
    if (is_eof) {
        return complete(a, fault);
    }
    int rc = take_row(a, payload, len);
    return rc == SL_EPROTO ? not_understood(fault, q) : rc;
}
