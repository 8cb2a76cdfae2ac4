/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sql*.c files share: answers, warnings, rights, requests that take their time.
 *
 *   sql_grammar.c, sql_select.c  text -> statement (pure)
 *   sql.c                        which function answers, who may
 *   sql_answer.c                 result sets, errors, warnings
 *   sql_show.c, sql_slave.c      SHOW; CHANGE MASTER, START, STOP, RESET, PURGE, FLUSH
 *   sql_set.c                    SET
 *   sql_values.c                 system variables; SHOW VARIABLES, SHOW STATUS
 *   sql_functions.c              SELECT and its functions
 *   sql_wait.c, sql_events.c     MASTER_GTID_WAIT; SHOW BINLOG EVENTS, BINLOG_GTID_POS
 *   sql_ask.c                    what another thread does, answered when it is done
 *
 * All on the session's worker unless a function says otherwise.
 */
#ifndef SL_ROUTER_BINLOG_SQL_H
#define SL_ROUTER_BINLOG_SQL_H

#include "proto/constants.h"
#include "proto/ok.h"
#include "router/binlog/relay.h"
#include "router/binlog/sql_grammar.h"

/* Of a new session, and of one that closes. */
void sl_relay_script_init(struct sl_relay_session *rs);
void sl_relay_script_end(struct sl_relay_session *rs);
void sl_relay_script_go_on(struct sl_relay_session *rs); /* there is room in the socket */

typedef void sl_relay_run(struct sl_relay_session *rs, const struct sl_relay_statement *st);

/* ---- answers ---- */

struct sl_relay_rows {
    struct sl_relay_session *rs;
    struct sl_buf buf;
    struct sl_resultset set;
};
void sl_relay_rows_begin(struct sl_relay_rows *r, struct sl_relay_session *rs,
                         const struct sl_resultset_column *columns, size_t count);
/* NULL is SQL NULL; as many as there are columns. */
void sl_relay_rows_add(struct sl_relay_rows *r, const char *const *cells);
/* Sends what there is; ends the command. */
void sl_relay_rows_end(struct sl_relay_rows *r);
/* A result set without rows. */
void sl_relay_rows_none(struct sl_relay_session *rs, const struct sl_resultset_column *columns,
                        size_t count);

#define SL_RELAY_WARNINGS_MAX 64

struct sl_relay_warning {
    uint16_t code;
    bool is_note;
    char text[250];
};
/* For SHOW WARNINGS; counted in the OK of the statement. */
void sl_relay_warn(struct sl_relay_session *rs, bool is_note, uint16_t code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
unsigned sl_relay_warning_count(const struct sl_relay_session *rs);
void sl_relay_answer_ok(struct sl_relay_session *rs);
/* The statement is answered with these packets, the last sequence number being next_seq - 1: ends
 * the command, or goes on with the next statement of the same query. */
void sl_relay_answered(struct sl_relay_session *rs, const struct sl_buf *packets, uint8_t next_seq);
/* Server status for OK and EOF packets. */
uint16_t sl_relay_status(const struct sl_relay_session *rs);
/* There are no databases: 1049, so that mariadb-dump and the like are told at once; but for those
 * that clients choose without need. */
void sl_relay_use_database(struct sl_relay_session *rs, struct sl_slice name);
/* 1064 near this. */
void sl_relay_answer_syntax(struct sl_relay_session *rs, struct sl_slice near);

/* ---- rights ---- */

/* Has the account one of these (enum sl_account_privilege)? Answers 1227 if not. */
bool sl_relay_may(struct sl_relay_session *rs, uint32_t any_of);

/* ---- statements ---- */

sl_relay_run sl_relay_show_slave, sl_relay_show_all_slaves, sl_relay_show_master,
    sl_relay_show_logs, sl_relay_show_hosts, sl_relay_show_processes, sl_relay_show_warnings,
    sl_relay_show_databases, sl_relay_show_tables, sl_relay_show_variables, sl_relay_show_status,
    sl_relay_show_events;
sl_relay_run sl_relay_change_master, sl_relay_start_slave, sl_relay_stop_slave,
    sl_relay_reset_slave, sl_relay_reset_master, sl_relay_purge_to, sl_relay_purge_before,
    sl_relay_flush_logs;
sl_relay_run sl_relay_set, sl_relay_select;

/* Seconds since the epoch in the time zone of this machine; false: it is not a time. `now_s` is what
 * NOW() is. Pure but for the time zone. */
bool sl_relay_time_value(const struct sl_relay_time *t, int64_t now_s, int64_t *ret_s);

/* ---- variables and functions ---- */

/* The text of @@name into `out` (cleared before). False: there is no such variable. */
bool sl_relay_variable(struct sl_relay_session *rs, struct sl_slice name, struct sl_buf *out);
/* A value that is not a call. 0; SL_ENOENT: the error was answered; SL_ENOMEM. *ret_null: NULL. */
int sl_relay_value_text(struct sl_relay_session *rs, const struct sl_relay_value *v,
                        struct sl_buf *out, bool *ret_null);
/* NUL-terminated text of a buffer; valid until it changes. Never NULL. */
const char *sl_relay_text(struct sl_buf *b);

/* ---- what takes its time: sql_ask.c ---- */

/* One thing that another thread does for a session, which waits (busy). */
struct sl_relay_ask {
    struct sl_message message;
    struct sl_worker *worker;
    struct sl_relay *relay;
    uint64_t session_id;
    /* Another thread's; NULL: the upstream does it. */
    int (*work)(struct sl_relay_ask *a, struct sl_err *err);
    /* On the worker, with the session if it is still there and waits: answers it. */
    void (*finish)(struct sl_relay_session *rs, struct sl_relay_ask *a);
    struct sl_gtid_list position;
    bool has_position;
    int64_t time_s;
    char file[SL_BINLOG_FILE_NAME_MAX + 1];
    int rc;
    struct sl_err err;
};
/* A new one for this session; NULL: the error was answered. */
struct sl_relay_ask *sl_relay_ask_new(struct sl_relay_session *rs,
                                      void (*finish)(struct sl_relay_session *rs,
                                                     struct sl_relay_ask *a));
/* Hands it over and marks the session busy; a failure is answered. `target` for CHANGE only. */
void sl_relay_ask_upstream(struct sl_relay_session *rs, struct sl_relay_ask *a,
                           enum sl_upstream_request what, const struct sl_upstream_target *target);
void sl_relay_ask_position(struct sl_relay_session *rs, struct sl_relay_ask *a);
void sl_relay_ask_thread(struct sl_relay_session *rs, struct sl_relay_ask *a);
/* Waits until no thread works for a session. Control thread, workers have stopped. */
void sl_relay_asks_end(struct sl_relay *relay);

/* ---- MASTER_GTID_WAIT: sql_wait.c ---- */

void sl_relay_waits_init(struct sl_relay_worker *rw);
/* The store has grown: waiting sessions look again. Any thread; under relay->lock. */
void sl_relay_waits_wake(struct sl_relay *relay);
/* Answers now or later. timeout_ms < 0: for ever. */
void sl_relay_wait_start(struct sl_relay_session *rs, struct sl_slice position, int64_t timeout_ms,
                         struct sl_slice title);
void sl_relay_wait_end(struct sl_relay_session *rs); /* the session closes; NULL is fine */

/* ---- walks through a file: sql_events.c ---- */

/* BINLOG_GTID_POS(file, offset): answers later. */
void sl_relay_gtid_at(struct sl_relay_session *rs, struct sl_slice file, uint64_t offset,
                      struct sl_slice title);
void sl_relay_events_go_on(struct sl_relay_session *rs); /* there is room in the socket */
void sl_relay_events_end(struct sl_relay_session *rs);   /* the session closes; NULL is fine */

#endif
