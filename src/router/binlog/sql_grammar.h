/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statements of a relay's listener: text -> struct sl_relay_statement. Pure; any thread; no
 * allocation but one for strings with escapes. Fuzzed (tests/fuzz/router/fuzz_relay_sql.c).
 *
 * Slices point into the text, or into the statement's own memory.
 */
#ifndef SL_ROUTER_BINLOG_SQL_GRAMMAR_H
#define SL_ROUTER_BINLOG_SQL_GRAMMAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* More parts than these in one statement are refused. */
#define SL_RELAY_COLUMNS_MAX 128  /* of a SELECT */
#define SL_RELAY_SETTINGS_MAX 128 /* of a SET or CHANGE MASTER */
#define SL_RELAY_PATTERNS_MAX 64  /* of a WHERE */
#define SL_RELAY_ARGUMENTS_MAX 4  /* of a function */

enum sl_relay_statement_kind {
    SL_RELAY_NOTHING, /* answered with OK */
    SL_RELAY_EMPTY,   /* no statement at all */
    SL_RELAY_CHANGE_MASTER,
    SL_RELAY_START_SLAVE,
    SL_RELAY_STOP_SLAVE,
    SL_RELAY_RESET_SLAVE,
    SL_RELAY_RESET_MASTER,
    SL_RELAY_SHOW_SLAVE,
    SL_RELAY_SHOW_ALL_SLAVES,
    SL_RELAY_SHOW_MASTER,
    SL_RELAY_SHOW_LOGS,
    SL_RELAY_SHOW_EVENTS,
    SL_RELAY_SHOW_HOSTS,
    SL_RELAY_SHOW_VARIABLES,
    SL_RELAY_SHOW_STATUS,
    SL_RELAY_SHOW_PROCESSES,
    SL_RELAY_SHOW_WARNINGS,
    SL_RELAY_SHOW_DATABASES,
    SL_RELAY_SHOW_TABLES,
    SL_RELAY_PURGE_TO,
    SL_RELAY_PURGE_BEFORE,
    SL_RELAY_FLUSH_LOGS,
    SL_RELAY_USE,
    SL_RELAY_SET,
    SL_RELAY_SELECT,
    SL_RELAY_KIND_COUNT
};

enum sl_relay_value_kind {
    SL_RELAY_STRING,
    SL_RELAY_NUMBER, /* text with its sign */
    SL_RELAY_NULL,
    SL_RELAY_WORD, /* ON, DEFAULT, latin1, ... */
    SL_RELAY_SYSVAR,
    SL_RELAY_USERVAR,
    SL_RELAY_CALL,  /* of a function: columns of a SELECT only */
    SL_RELAY_OTHER, /* SET: an expression; CHANGE MASTER: a list in brackets */
};

struct sl_relay_value {
    uint8_t kind;  /* enum sl_relay_value_kind */
    uint8_t scope; /* SYSVAR: enum sl_var_scope */
    struct sl_slice text;
};

struct sl_relay_column {
    struct sl_relay_value value; /* CALL: text is the name */
    struct sl_relay_value arguments[SL_RELAY_ARGUMENTS_MAX];
    uint8_t argument_count;
    struct sl_slice title; /* alias, or the text as it was written */
};

struct sl_relay_setting {
    bool is_user; /* @name */
    uint8_t scope;
    struct sl_slice name;
    struct sl_relay_value value;
};

struct sl_relay_pattern {
    bool is_like; /* % and _ mean something */
    struct sl_slice text;
};

enum sl_relay_unit {
    SL_RELAY_SECOND = 1,
    SL_RELAY_MINUTE = 60,
    SL_RELAY_HOUR = 3600,
    SL_RELAY_DAY = 86400,
    SL_RELAY_WEEK = 604800,
    SL_RELAY_MONTH = -1,
    SL_RELAY_YEAR = -12
};

struct sl_relay_time {
    bool is_now;  /* else `text`: "YYYY-MM-DD hh:mm:ss", parts of it, or YYYYMMDDhhmmss */
    bool is_unix; /* `text` is seconds since the epoch */
    struct sl_slice text;
    int64_t amount; /* to go back, in units */
    int32_t unit;   /* enum sl_relay_unit */
};

struct sl_relay_statement {
    uint8_t kind;    /* enum sl_relay_statement_kind */
    bool has_option; /* RESET SLAVE .. ALL; SHOW FULL TABLES */
    bool only_sql;   /* START/STOP SLAVE SQL_THREAD */
    bool has_until;
    bool has_limit, has_from;
    struct sl_slice connection; /* 'name' of a connection */
    struct sl_slice text;       /* PURGE TO, SHOW BINLOG EVENTS IN, USE */
    uint64_t from, limit_offset, limit;
    struct sl_relay_time time;
    unsigned column_count, setting_count, pattern_count;
    struct sl_relay_column columns[SL_RELAY_COLUMNS_MAX];
    struct sl_relay_setting settings[SL_RELAY_SETTINGS_MAX];
    /* SHOW .. LIKE/WHERE: rows whose name fits one of them; none: all rows */
    struct sl_relay_pattern patterns[SL_RELAY_PATTERNS_MAX];
    struct sl_slice rest; /* the statements behind it; empty: there is none */
    struct sl_slice near; /* after a failure: where it stopped making sense */
    uint8_t *memory;
    size_t memory_used;
};

/* 0; SL_EPROTO: not in the grammar; SL_ELIMIT: too many parts; SL_ENOMEM. Clear *ret in any case. */
int sl_relay_statement_parse(const uint8_t *sql, size_t len, struct sl_relay_statement *ret);
void sl_relay_statement_clear(struct sl_relay_statement *st);

/* Does the name fit one of the statement's patterns (or are there none)? Letter case is ignored. */
bool sl_relay_statement_wants(const struct sl_relay_statement *st, const char *name);
/* SQL LIKE with escape '\', letters in any case. */
bool sl_relay_like(struct sl_slice text, struct sl_slice pattern);

#endif
