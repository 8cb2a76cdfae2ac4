/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router binlogrouter: statements of the listener. Parsed by sql_grammar.c, answered by the function
 * in the table below; docs/binlog-relay.md lists them.
 */
#include "router/binlog/sql.h"

#include <string.h>

#include "base/mem.h"

static void answer_nothing(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    sl_relay_answer_ok(rs);
}

static void use(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    sl_relay_use_database(rs, st->text);
}

static void answer_empty(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    sl_session_answer_error(rs->session, 1065, "42000", "Query was empty");
}

#define ADMIN (SL_PRIV_SUPER | SL_PRIV_REPLICATION_SLAVE_ADMIN)

/* `any_of`: privileges of which one is needed, 0: none is. */
static const struct {
    sl_relay_run *run;
    uint32_t any_of;
} statements[SL_RELAY_KIND_COUNT] = {
    [SL_RELAY_NOTHING] = {answer_nothing, 0},
    [SL_RELAY_EMPTY] = {answer_empty, 0},
    [SL_RELAY_CHANGE_MASTER] = {sl_relay_change_master, ADMIN},
    [SL_RELAY_START_SLAVE] = {sl_relay_start_slave, ADMIN},
    [SL_RELAY_STOP_SLAVE] = {sl_relay_stop_slave, ADMIN},
    [SL_RELAY_RESET_SLAVE] = {sl_relay_reset_slave, ADMIN | SL_PRIV_RELOAD},
    [SL_RELAY_RESET_MASTER] = {sl_relay_reset_master, SL_PRIV_SUPER | SL_PRIV_RELOAD},
    [SL_RELAY_SHOW_SLAVE] = {sl_relay_show_slave, 0},
    [SL_RELAY_SHOW_ALL_SLAVES] = {sl_relay_show_all_slaves, 0},
    [SL_RELAY_SHOW_MASTER] = {sl_relay_show_master, 0},
    [SL_RELAY_SHOW_LOGS] = {sl_relay_show_logs, 0},
    [SL_RELAY_SHOW_EVENTS] = {sl_relay_show_events,
                              SL_PRIV_SUPER | SL_PRIV_REPLICATION_SLAVE | SL_PRIV_BINLOG_MONITOR},
    [SL_RELAY_SHOW_HOSTS] = {sl_relay_show_hosts, 0},
    [SL_RELAY_SHOW_VARIABLES] = {sl_relay_show_variables, 0},
    [SL_RELAY_SHOW_STATUS] = {sl_relay_show_status, 0},
    [SL_RELAY_SHOW_PROCESSES] = {sl_relay_show_processes, 0},
    [SL_RELAY_SHOW_WARNINGS] = {sl_relay_show_warnings, 0},
    [SL_RELAY_SHOW_DATABASES] = {sl_relay_show_databases, 0},
    [SL_RELAY_SHOW_TABLES] = {sl_relay_show_tables, 0},
    [SL_RELAY_PURGE_TO] = {sl_relay_purge_to, SL_PRIV_SUPER | SL_PRIV_BINLOG_ADMIN},
    [SL_RELAY_PURGE_BEFORE] = {sl_relay_purge_before, SL_PRIV_SUPER | SL_PRIV_BINLOG_ADMIN},
    [SL_RELAY_FLUSH_LOGS] = {sl_relay_flush_logs, SL_PRIV_SUPER | SL_PRIV_RELOAD},
    [SL_RELAY_USE] = {use, 0},
    [SL_RELAY_SET] = {sl_relay_set, 0},
    [SL_RELAY_SELECT] = {sl_relay_select, 0},
};

static void run(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    if (st->connection.len > 0) {
        sl_session_answer_error(rs->session, 1617, "HY000", "There is no master connection '%.*s'",
                                (int)SL_MIN(st->connection.len, (size_t)64),
                                (const char *)st->connection.data);
        return;
    }
    if (st->kind != SL_RELAY_SHOW_WARNINGS) {
        sl_buf_clear(&rs->warnings);
    }
    if (statements[st->kind].any_of == 0 || sl_relay_may(rs, statements[st->kind].any_of)) {
        statements[st->kind].run(rs, st);
    }
}

/* ---- one statement after the other ---- */

static void run_text(struct sl_relay_session *rs, const uint8_t *sql, size_t len);

static void run_next(struct sl_task *task, struct sl_loop *loop)
{
    struct sl_relay_session *rs = SL_CONTAINER_OF(task, struct sl_relay_session, more);
    if (rs->session->step != SL_SESSION_CLOSING) {
        run_text(rs, rs->script + rs->script_at, rs->script_len - rs->script_at);
    }
}

void sl_relay_script_init(struct sl_relay_session *rs)
{
    sl_list_init(&rs->more.node);
    rs->more.run = run_next;
}

void sl_relay_script_end(struct sl_relay_session *rs)
{
    sl_task_cancel(&rs->more);
    sl_free(rs->script);
    rs->script = NULL;
    rs->script_len = rs->script_at = 0;
    rs->has_more = rs->more_waits = false;
}

void sl_relay_script_go_on(struct sl_relay_session *rs)
{
    if (rs->more_waits) {
        rs->more_waits = false;
        sl_loop_defer(rs->session->worker->loop, &rs->more);
    }
}

uint16_t sl_relay_status(const struct sl_relay_session *rs)
{
    return SL_STATUS_AUTOCOMMIT | (rs->has_more ? SL_STATUS_MORE_RESULTS : 0);
}

void sl_relay_answered(struct sl_relay_session *rs, const struct sl_buf *packets, uint8_t next_seq)
{
    struct sl_session *s = rs->session;
    if (!rs->has_more) {
        sl_session_answer_packets(s, sl_buf_slice(packets).data, sl_buf_len(packets));
    } else if (sl_conn_write(&s->client, sl_buf_slice(packets).data, sl_buf_len(packets)) < 0) {
        sl_session_close(s, "out of memory");
    } else {
        s->next_seq = next_seq;
        sl_session_begin(s);
        rs->more_waits = sl_conn_is_full(&s->client);
        if (!rs->more_waits) {
            sl_loop_defer(s->worker->loop, &rs->more);
        }
    }
}

/* What is behind the statement is kept, because the query's bytes go when it is answered. */
static int keep_rest(struct sl_relay_session *rs, struct sl_slice rest)
{
    rs->has_more = rest.len > 0;
    if (rest.len == 0) {
        return SL_OK;
    }
    if (!rs->session->multi_statements) {
        return SL_EPROTO;
    }
    if (rs->script) {
        rs->script_at = rs->script_len - rest.len;
        return SL_OK;
    }
    rs->script = sl_malloc(rest.len);
    if (!rs->script) {
        return SL_ENOMEM;
    }
    memcpy(rs->script, rest.data, rest.len);
    rs->script_len = rest.len;
    return SL_OK;
}

static void run_text(struct sl_relay_session *rs, const uint8_t *sql, size_t len)
{
    struct sl_relay_statement *st = sl_malloc(sizeof *st); /* 30 kB: too much for a stack */
    if (!st) {
        sl_session_fail(rs->session, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
        return;
    }
    int rc = sl_relay_statement_parse(sql, len, st);
    if (rc == SL_OK) {
        rc = keep_rest(rs, st->rest);
        st->near = st->rest;
    }
    if (rc == SL_OK) {
        run(rs, st);
    } else if (rc == SL_EPROTO) {
        sl_relay_answer_syntax(rs, st->near);
    } else {
        sl_session_answer_error(rs->session, SL_ER_UNKNOWN_ERROR, NULL,
                                rc == SL_ELIMIT ? "The statement has too many parts"
                                                : "Out of memory");
    }
    sl_relay_statement_clear(st);
    sl_free(st);
}

void sl_relay_query(struct sl_relay_session *rs, const uint8_t *sql, size_t len)
{
    sl_relay_script_end(rs); /* of a query that ended with an error */
    run_text(rs, sql, len);
}
