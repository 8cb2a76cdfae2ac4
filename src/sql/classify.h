/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The classifier: what does a statement do, as far as routing and session state care?
 *
 * One pass of the lexer over the text, no allocation, no cache. It errs on the safe side: what it
 * does not know is a write. The table it implements is section D of docs/internals/classifier.md.
 */
#ifndef SL_SQL_CLASSIFY_H
#define SL_SQL_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum sl_sql_mode_bits {
    SL_SQL_ANSI_QUOTES = 1, /* "x" is an identifier */
    SL_SQL_NO_BACKSLASH_ESCAPES = 2,
    SL_SQL_ORACLE = 4,
    SL_SQL_IGNORE_SPACE = 8
};

/* What the statement does; several bits may be set. */
enum sl_sql_type {
    SL_SQL_READ = 1 << 0,  /* returns data, changes nothing */
    SL_SQL_WRITE = 1 << 1, /* changes data, or may */
    /* a read that only the primary answers right: FOR UPDATE, LAST_INSERT_ID(), sequences, lock
     * functions, unknown functions, SHOW MASTER STATUS ... */
    SL_SQL_PRIMARY_READ = 1 << 2,
    SL_SQL_SESSION_WRITE = 1 << 3, /* changes session state: must reach every backend */
    SL_SQL_USERVAR_READ = 1 << 4,
    SL_SQL_USERVAR_WRITE = 1 << 5, /* SET @v=, SELECT @v:=, SELECT .. INTO @v */
    SL_SQL_SYSVAR_READ = 1 << 6,
    SL_SQL_GLOBAL_WRITE = 1 << 7, /* SET GLOBAL: to every backend, never into the history */
    SL_SQL_TRX_BEGIN = 1 << 8,
    SL_SQL_TRX_COMMIT = 1 << 9,
    SL_SQL_TRX_ROLLBACK = 1 << 10, /* the whole transaction, not TO SAVEPOINT */
    /* with BEGIN: READ ONLY; with SET [SESSION] TRANSACTION: the access mode */
    SL_SQL_TRX_READ_ONLY = 1 << 11,
    SL_SQL_TRX_READ_WRITE = 1 << 12,
    SL_SQL_TRX_NEXT = 1 << 13,  /* SET TRANSACTION ...: for the next transaction only */
    SL_SQL_TRX_CHAIN = 1 << 14, /* COMMIT/ROLLBACK AND CHAIN */
    SL_SQL_AUTOCOMMIT_ON = 1 << 15,
    SL_SQL_AUTOCOMMIT_OFF = 1 << 16,
    SL_SQL_IMPLICIT_COMMIT = 1 << 17, /* DDL, LOCK TABLES, ...: ends an open transaction */
    SL_SQL_CREATE_TEMP = 1 << 18,
    SL_SQL_DROP_TABLE = 1 << 19, /* may drop a temporary table */
    SL_SQL_PREPARE = 1 << 20,    /* text PREPARE name FROM '...' */
    SL_SQL_EXECUTE = 1 << 21,    /* text EXECUTE name */
    SL_SQL_DEALLOCATE = 1 << 22,
    /* FOUND_ROWS(), ROW_COUNT(): asks the server of the previous statement */
    SL_SQL_LAST = 1 << 23,
    SL_SQL_GET_LOCK = 1 << 24, /* GET_LOCK() was called */
    SL_SQL_LOAD_LOCAL = 1 << 25,
    SL_SQL_SERIALIZABLE = 1 << 26, /* SET [SESSION] TRANSACTION ISOLATION LEVEL SERIALIZABLE */
    SL_SQL_ISOLATION = 1 << 27     /* SET ... ISOLATION LEVEL, any level */
};

enum sl_sql_op {
    SL_SQL_OP_UNKNOWN,
    SL_SQL_OP_EMPTY,
    SL_SQL_OP_SELECT,
    SL_SQL_OP_INSERT,
    SL_SQL_OP_REPLACE,
    SL_SQL_OP_UPDATE,
    SL_SQL_OP_DELETE,
    SL_SQL_OP_LOAD,
    SL_SQL_OP_CALL,
    SL_SQL_OP_SHOW,
    SL_SQL_OP_EXPLAIN,
    SL_SQL_OP_SET,
    SL_SQL_OP_USE,
    SL_SQL_OP_DDL,
    SL_SQL_OP_BEGIN,
    SL_SQL_OP_COMMIT,
    SL_SQL_OP_ROLLBACK,
    SL_SQL_OP_SAVEPOINT,
    SL_SQL_OP_XA_START,
    SL_SQL_OP_XA_END,
    SL_SQL_OP_XA,
    SL_SQL_OP_LOCK,
    SL_SQL_OP_UNLOCK,
    SL_SQL_OP_PREPARE,
    SL_SQL_OP_EXECUTE,
    SL_SQL_OP_EXECUTE_IMMEDIATE,
    SL_SQL_OP_DEALLOCATE,
    SL_SQL_OP_KILL,
    SL_SQL_OP_DO,
    SL_SQL_OP_HANDLER,
    SL_SQL_OP_GRANT,
    SL_SQL_OP_FLUSH,
    SL_SQL_OP_ADMIN,
    SL_SQL_OP_COMPOUND,
    SL_SQL_OP_OTHER,
    SL_SQL_OP_COUNT
};

enum sl_kill_flags {
    SL_KILL_QUERY = 1,
    SL_KILL_SOFT = 2,
    SL_KILL_HARD = 4,
    SL_KILL_USER = 8,
    SL_KILL_QUERY_ID = 16
};

struct sl_sql_info {
    uint32_t type; /* enum sl_sql_type bits */
    uint8_t op;    /* enum sl_sql_op */
    /* more than one statement in the text (a trailing ';' does not count) */
    bool is_multi;
    bool has_executable_comment;
    /* PREPARE/EXECUTE/DEALLOCATE name; USE database; KILL USER name; SET ROLE: points into the
     * text, quotes removed where that needs no copy */
    struct sl_slice name;
    /* PREPARE .. FROM 'text': the literal's inside, still escaped; empty if FROM @v */
    struct sl_slice prepare_text;
    char prepare_quote;   /* the quote character around prepare_text */
    uint64_t kill_id;     /* KILL */
    uint8_t kill_flags;   /* enum sl_kill_flags */
    uint8_t set_sql_mode; /* SET sql_mode=...: 0 none, 1 oracle, 2 other */
};

/* Classifies len bytes of SQL. Never fails: what cannot be understood is a WRITE with op
 * UNKNOWN. Any thread. */
void sl_sql_classify(const uint8_t *sql, size_t len, unsigned mode_bits, struct sl_sql_info *ret);

/* Calls `each` with every table reference of the statement (unquoted; db empty when not given).
 * Used only while a session has temporary tables, so it may be slower. For CREATE TEMPORARY
 * TABLE and DROP TABLE the created/dropped names come too. Returns false when `each` returned
 * false (stops early). */
typedef bool sl_sql_on_table(void *arg, struct sl_slice db, struct sl_slice table);
bool sl_sql_tables(const uint8_t *sql, size_t len, unsigned mode_bits, sl_sql_on_table *each,
                   void *arg);

/* For `type` bits and ops as text (logs, REST): fills out with "READ|SYSVAR_READ"; returns out. */
const char *sl_sql_type_text(uint32_t type, char *out, size_t size);
const char *sl_sql_op_text(enum sl_sql_op op);

#endif
