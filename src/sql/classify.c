/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The classifier: statement dispatch, queries, expressions, several statements in one text.
 *
 * A table keyed by the first word says what a statement is; the few that need more than their first
 * word have a handler (classify_set.c, classify_trx.c, classify_ddl.c, classify_admin.c). What is
 * left of the statement is then scanned for what an expression can do: variables, functions, locks.
 * What is not in the table, or is not understood, is a write.
 */
#include "sql/classify.h"

#include "base/assert.h"
#include "sql/classify_parts.h"

enum {
    DEPTH_MAX = 8
}; /* SET STATEMENT .. FOR EXPLAIN ..: statements inside statements */

struct statement_row {
    uint32_t type;
    uint8_t op;
    sl_cls_handler *handler;
};

static sl_cls_handler query, with;

#define WRITES SL_SQL_WRITE
#define COMMITS (SL_SQL_WRITE | SL_SQL_IMPLICIT_COMMIT)

/* "Implicit commit" as MariaDB 10.11 does it: CF_AUTO_COMMIT_TRANS in sql/sql_parse.cc. */
static const struct statement_row statements[SL_WORDS_COUNT] = {
    [SL_W_SELECT] = {SL_SQL_READ, SL_SQL_OP_SELECT, query},
    [SL_W_VALUES] = {SL_SQL_READ, SL_SQL_OP_SELECT, query},
    [SL_W_TABLE] = {SL_SQL_READ, SL_SQL_OP_SELECT, query},
    [SL_W_WITH] = {SL_SQL_READ, SL_SQL_OP_SELECT, with},
    [SL_W_INSERT] = {WRITES, SL_SQL_OP_INSERT, NULL},
    [SL_W_REPLACE] = {WRITES, SL_SQL_OP_REPLACE, NULL},
    [SL_W_UPDATE] = {WRITES, SL_SQL_OP_UPDATE, NULL},
    [SL_W_DELETE] = {WRITES, SL_SQL_OP_DELETE, NULL},
    [SL_W_CALL] = {WRITES, SL_SQL_OP_CALL, NULL},
    [SL_W_DO] = {WRITES, SL_SQL_OP_DO, NULL},
    [SL_W_HANDLER] = {WRITES, SL_SQL_OP_HANDLER, NULL},
    [SL_W_LOAD] = {WRITES, SL_SQL_OP_LOAD, sl_cls_load},
    [SL_W_IMPORT] = {WRITES, SL_SQL_OP_LOAD, NULL},

    [SL_W_SET] = {0, SL_SQL_OP_SET, sl_cls_set},
    [SL_W_USE] = {SL_SQL_SESSION_WRITE, SL_SQL_OP_USE, sl_cls_use},
    [SL_W_SHOW] = {SL_SQL_READ, SL_SQL_OP_SHOW, sl_cls_show},
    [SL_W_EXPLAIN] = {SL_SQL_READ, SL_SQL_OP_EXPLAIN, sl_cls_explain},
    [SL_W_DESCRIBE] = {SL_SQL_READ, SL_SQL_OP_EXPLAIN, sl_cls_explain},
    [SL_W_DESC] = {SL_SQL_READ, SL_SQL_OP_EXPLAIN, sl_cls_explain},
    [SL_W_ANALYZE] = {0, SL_SQL_OP_EXPLAIN, sl_cls_analyze},
    [SL_W_HELP] = {SL_SQL_READ, SL_SQL_OP_OTHER, NULL},
    [SL_W_CHECKSUM] = {SL_SQL_READ | SL_SQL_PRIMARY_READ, SL_SQL_OP_OTHER, NULL},
    [SL_W_GET] = {SL_SQL_READ | SL_SQL_LAST, SL_SQL_OP_OTHER, sl_cls_get},

    [SL_W_BEGIN] = {SL_SQL_TRX_BEGIN, SL_SQL_OP_BEGIN, sl_cls_begin},
    [SL_W_START] = {WRITES, SL_SQL_OP_ADMIN, sl_cls_start},
    [SL_W_COMMIT] = {SL_SQL_TRX_COMMIT, SL_SQL_OP_COMMIT, sl_cls_commit},
    [SL_W_ROLLBACK] = {SL_SQL_TRX_ROLLBACK, SL_SQL_OP_ROLLBACK, sl_cls_rollback},
    [SL_W_SAVEPOINT] = {WRITES, SL_SQL_OP_SAVEPOINT, NULL},
    [SL_W_RELEASE] = {WRITES, SL_SQL_OP_SAVEPOINT, NULL},
    [SL_W_XA] = {WRITES, SL_SQL_OP_XA, sl_cls_xa},
    [SL_W_LOCK] = {COMMITS, SL_SQL_OP_LOCK, NULL},
    [SL_W_UNLOCK] = {WRITES, SL_SQL_OP_UNLOCK, NULL},

    [SL_W_CREATE] = {COMMITS, SL_SQL_OP_DDL, sl_cls_create},
    [SL_W_DROP] = {COMMITS, SL_SQL_OP_DDL, sl_cls_drop},
    [SL_W_ALTER] = {COMMITS, SL_SQL_OP_DDL, sl_cls_alter},
    [SL_W_TRUNCATE] = {COMMITS, SL_SQL_OP_DDL, NULL},
    [SL_W_RENAME] = {COMMITS, SL_SQL_OP_DDL, sl_cls_alter},
    [SL_W_GRANT] = {COMMITS, SL_SQL_OP_GRANT, sl_cls_skip},
    [SL_W_REVOKE] = {COMMITS, SL_SQL_OP_GRANT, sl_cls_skip},

    [SL_W_PREPARE] = {SL_SQL_SESSION_WRITE | SL_SQL_PREPARE, SL_SQL_OP_PREPARE, sl_cls_prepare},
    [SL_W_EXECUTE] = {WRITES, SL_SQL_OP_EXECUTE, sl_cls_execute},
    [SL_W_DEALLOCATE] = {SL_SQL_SESSION_WRITE | SL_SQL_DEALLOCATE, SL_SQL_OP_DEALLOCATE,
                         sl_cls_deallocate},
    [SL_W_KILL] = {WRITES, SL_SQL_OP_KILL, sl_cls_kill},

    [SL_W_FLUSH] = {COMMITS, SL_SQL_OP_FLUSH, NULL},
    [SL_W_RESET] = {COMMITS, SL_SQL_OP_ADMIN, sl_cls_reset},
    [SL_W_OPTIMIZE] = {COMMITS, SL_SQL_OP_ADMIN, NULL},
    [SL_W_REPAIR] = {COMMITS, SL_SQL_OP_ADMIN, NULL},
    [SL_W_CHECK] = {COMMITS, SL_SQL_OP_ADMIN, NULL},
    [SL_W_CACHE] = {COMMITS, SL_SQL_OP_ADMIN, NULL},
    [SL_W_BACKUP] = {COMMITS, SL_SQL_OP_ADMIN, NULL},
    [SL_W_INSTALL] = {COMMITS, SL_SQL_OP_ADMIN, NULL},
    [SL_W_UNINSTALL] = {COMMITS, SL_SQL_OP_ADMIN, NULL},
    [SL_W_STOP] = {WRITES, SL_SQL_OP_ADMIN, NULL},
    [SL_W_SHUTDOWN] = {WRITES, SL_SQL_OP_ADMIN, NULL},
    [SL_W_PURGE] = {WRITES, SL_SQL_OP_ADMIN, NULL},
    [SL_W_CHANGE] = {WRITES, SL_SQL_OP_ADMIN, NULL},
    [SL_W_BINLOG] = {WRITES, SL_SQL_OP_ADMIN, NULL},
    [SL_W_SIGNAL] = {WRITES, SL_SQL_OP_OTHER, NULL},
    [SL_W_RESIGNAL] = {WRITES, SL_SQL_OP_OTHER, NULL},

    /* Compound statements outside stored programs. */
    [SL_W_DECLARE] = {WRITES, SL_SQL_OP_COMPOUND, sl_cls_body},
    [SL_W_IF] = {WRITES, SL_SQL_OP_COMPOUND, sl_cls_body},
    [SL_W_CASE] = {WRITES, SL_SQL_OP_COMPOUND, sl_cls_body},
    [SL_W_LOOP] = {WRITES, SL_SQL_OP_COMPOUND, sl_cls_body},
    [SL_W_WHILE] = {WRITES, SL_SQL_OP_COMPOUND, sl_cls_body},
    [SL_W_REPEAT] = {WRITES, SL_SQL_OP_COMPOUND, sl_cls_body},
    [SL_W_FOR] = {WRITES, SL_SQL_OP_COMPOUND, sl_cls_body},
};

bool sl_cls_next(struct sl_cls *c)
{
    if (c->is_at_end) {
        return false;
    }
    c->is_at_end = !sl_lexer_next(&c->lx, &c->tok) || sl_token_is_op(&c->tok, ';');
    return !c->is_at_end;
}

bool sl_cls_accept(struct sl_cls *c, enum sl_word word)
{
    if (!sl_cls_is(c, word)) {
        return false;
    }
    sl_cls_next(c);
    return true;
}

bool sl_cls_next_is(struct sl_cls *c, enum sl_word word)
{
    struct sl_lexer ahead = c->lx;
    struct sl_token tok;

    return !c->is_at_end && sl_lexer_next(&ahead, &tok) && sl_token_is_word(&tok, word);
}

void sl_cls_skip(struct sl_cls *c)
{
    while (sl_cls_next(c)) {
    }
}

/* Is '(' the next token? *ret_adjacent: without anything in between. */
static bool is_call(const struct sl_cls *c, bool *ret_adjacent)
{
    const uint8_t *p = c->lx.pos;

    *ret_adjacent = p < c->lx.end && *p == '(';
    while (p < c->lx.end && (*p == ' ' || (*p >= '\t' && *p <= '\r'))) {
        p++;
    }
    if (p >= c->lx.end || (*p != '(' && *p != '/' && *p != '-' && *p != '#')) {
        return false;
    }
    if (*p == '(') {
        /* Oracle's outer join: a.x = b.x (+) */
        return !((c->lx.mode_bits & SL_SQL_ORACLE) && c->lx.end - p >= 3 && p[1] == '+' &&
                 p[2] == ')');
    }
    struct sl_lexer ahead = c->lx;
    struct sl_token tok;
    return sl_lexer_next(&ahead, &tok) && sl_token_is_op(&tok, '(');
}

/* The name in the current token is called. */
static void called(struct sl_cls *c, bool is_adjacent)
{
    const uint8_t flags = c->tok.word_flags;

    if (flags & SL_WORD_LAST) {
        c->type |= SL_SQL_LAST;
    } else if (flags & SL_WORD_PRIMARY) {
        c->type |= SL_SQL_PRIMARY_READ | (flags & SL_WORD_LOCK ? SL_SQL_GET_LOCK : 0u);
    } else if (flags & SL_WORD_SAFE) {
        const bool must_touch =
            (flags & SL_WORD_ADJACENT) && !(c->lx.mode_bits & SL_SQL_IGNORE_SPACE);
        if (must_touch && !is_adjacent) {
            c->type |= SL_SQL_PRIMARY_READ;
        }
    } else if (!(flags & SL_WORD_KEYWORD)) {
        c->type |= SL_SQL_PRIMARY_READ; /* a stored function or UDF */
    }
}

/* SELECT .. INTO OUTFILE | DUMPFILE | @v */
static void into(struct sl_cls *c)
{
    struct sl_lexer ahead = c->lx;
    struct sl_token tok;

    if (!sl_lexer_next(&ahead, &tok)) {
        return;
    }
    if (sl_token_is_word(&tok, SL_W_OUTFILE) || sl_token_is_word(&tok, SL_W_DUMPFILE)) {
        c->type |= SL_SQL_WRITE;
    }
    while (tok.kind == SL_TOK_USERVAR) {
        c->type |= SL_SQL_USERVAR_WRITE;
        c->lx = ahead;
        if (!sl_lexer_next(&ahead, &tok) || !sl_token_is_op(&tok, ',') ||
            !sl_lexer_next(&ahead, &tok)) {
            return;
        }
    }
}

static void for_lock(struct sl_cls *c)
{
    if (sl_cls_next_is(c, SL_W_UPDATE) || sl_cls_next_is(c, SL_W_SHARE)) {
        c->type |= SL_SQL_PRIMARY_READ;
    }
}

/* NEXT VALUE FOR s, PREVIOUS VALUE FOR s */
static void sequence_value(struct sl_cls *c)
{
    struct sl_lexer ahead = c->lx;
    struct sl_token tok;

    if (sl_lexer_next(&ahead, &tok) && sl_token_is_word(&tok, SL_W_VALUE) &&
        sl_lexer_next(&ahead, &tok) && sl_token_is_word(&tok, SL_W_FOR)) {
        c->type |= SL_SQL_PRIMARY_READ;
    }
}

static void word(struct sl_cls *c)
{
    switch (c->tok.word) {
    case SL_W_FOR:
        for_lock(c);
        break;
    case SL_W_LOCK:
        if (sl_cls_next_is(c, SL_W_IN)) {
            c->type |= SL_SQL_PRIMARY_READ;
        }
        break;
    case SL_W_INTO:
        into(c);
        break;
    case SL_W_NEXT:
    case SL_W_PREVIOUS:
        sequence_value(c);
        break;
    default:
        break;
    }
}

static void user_variable(struct sl_cls *c)
{
    struct sl_lexer ahead = c->lx;
    struct sl_token tok;

    if (sl_lexer_next(&ahead, &tok) && sl_token_is_op(&tok, SL_OP_ASSIGN)) {
        c->type |= SL_SQL_USERVAR_WRITE;
        c->lx = ahead;
    } else {
        c->type |= SL_SQL_USERVAR_READ;
    }
}

static void system_variable(struct sl_cls *c)
{
    c->type |= SL_SQL_SYSVAR_READ;
    if (c->tok.word == SL_W_IDENTITY || c->tok.word == SL_W_LAST_INSERT_ID ||
        c->tok.word == SL_W_LAST_GTID) {
        c->type |= SL_SQL_PRIMARY_READ;
    }
}

void sl_cls_expression_token(struct sl_cls *c, bool is_name_list)
{
    bool is_adjacent;

    switch (c->tok.kind) {
    case SL_TOK_WORD:
        if (c->tok.is_after_dot) {
            if (c->tok.word == SL_W_NEXTVAL || c->tok.word == SL_W_CURRVAL) {
                c->type |= SL_SQL_PRIMARY_READ;
            }
        } else if (c->tok.word != SL_W_NONE) {
            word(c);
        }
        if (!is_name_list && is_call(c, &is_adjacent)) {
            called(c, is_adjacent);
        }
        break;
    case SL_TOK_QUOTED:
        if (!is_name_list && is_call(c, &is_adjacent)) {
            c->type |= SL_SQL_PRIMARY_READ;
        }
        break;
    case SL_TOK_USERVAR:
        user_variable(c);
        break;
    case SL_TOK_SYSVAR:
        system_variable(c);
        break;
    default:
        break;
    }
}

/* Behind AS or ')' a name is an alias: what follows in brackets are names of columns. Behind a
 * string no call can stand either: JSON_TABLE(a, '$' COLUMNS (..)). */
static bool is_alias_next(const struct sl_cls *c)
{
    /* The lexer's last token, not ours: it may have skipped a list. */
    return c->lx.last_kind == SL_TOK_STRING ||
           (c->lx.last_kind == SL_TOK_OP && c->lx.last_op == ')') || sl_cls_is(c, SL_W_AS);
}

void sl_cls_scan(struct sl_cls *c)
{
    bool is_alias = false;

    while (!c->is_at_end) {
        sl_cls_expression_token(c, is_alias);
        if (c->tok.kind == SL_TOK_NUMBER || c->tok.kind == SL_TOK_STRING ||
            c->tok.kind == SL_TOK_OP) {
            sl_lexer_skip_list(&c->lx);
        }
        is_alias = is_alias_next(c);
        sl_cls_next(c);
    }
}

static void query(struct sl_cls *c)
{
    sl_cls_next(c);
    sl_cls_scan(c);
}

/* WITH [RECURSIVE] name [(columns)] AS (query), ... then the statement itself. */
static void with(struct sl_cls *c)
{
    size_t depth = 0;

    while (sl_cls_next(c)) {
        if (sl_cls_is_op(c, '(')) {
            depth++;
        } else if (sl_cls_is_op(c, ')')) {
            depth -= depth > 0;
        } else if (depth == 0 && c->tok.kind == SL_TOK_WORD &&
                   (c->tok.word_flags & SL_WORD_KEYWORD) && statements[c->tok.word].op != 0) {
            sl_cls_statement(c);
            return;
        }
        sl_cls_expression_token(c, depth == 0);
    }
}

void sl_cls_statement(struct sl_cls *c)
{
    while (sl_cls_is_op(c, '(')) { /* (SELECT ..) UNION (SELECT ..) */
        sl_cls_next(c);
    }
    const struct statement_row *row =
        c->tok.kind == SL_TOK_WORD && !c->is_at_end ? &statements[c->tok.word] : &statements[0];

    if (row->op == SL_SQL_OP_UNKNOWN || ++c->depth > DEPTH_MAX) {
        c->type |= SL_SQL_WRITE;
        c->op = SL_SQL_OP_UNKNOWN;
        /* <<label>> or label: in front of a block */
        sl_cls_body(c);
        return;
    }
    c->type |= row->type;
    c->op = row->op;
    if (row->handler != NULL) {
        row->handler(c);
    } else {
        sl_cls_next(c);
    }
    sl_cls_scan(c);
}

#define TRX_ENDS (SL_SQL_TRX_COMMIT | SL_SQL_TRX_ROLLBACK | SL_SQL_IMPLICIT_COMMIT)
#define TRX_BITS (SL_SQL_TRX_BEGIN | TRX_ENDS | SL_SQL_TRX_CHAIN)
#define AUTOCOMMIT_BITS (SL_SQL_AUTOCOMMIT_ON | SL_SQL_AUTOCOMMIT_OFF)
#define ACCESS_BITS (SL_SQL_TRX_READ_ONLY | SL_SQL_TRX_READ_WRITE)

/* Adds one statement's bits to those before it: of beginnings and ends of transactions, and of
 * autocommit, the last one counts. */
static uint32_t add_statement(uint32_t all, uint32_t one)
{
    if (one & TRX_BITS) {
        all &= ~(uint32_t)(TRX_BITS | (all & SL_SQL_TRX_BEGIN ? ACCESS_BITS : 0));
    }
    if (one & AUTOCOMMIT_BITS) {
        all &= ~(uint32_t)AUTOCOMMIT_BITS;
    }
    return all | one;
}

/* Moves to the first token of the next statement, past empty ones; false if there is none. */
static bool next_statement(struct sl_cls *c)
{
    while (sl_token_is_op(&c->tok, ';')) {
        c->is_at_end = false;
        sl_lexer_next(&c->lx, &c->tok);
    }
    c->is_at_end = c->tok.kind == SL_TOK_END;
    return !c->is_at_end;
}

static void finish(struct sl_cls *c, uint32_t type)
{
    struct sl_sql_info *info = c->info;

    if (info->is_multi || c->lx.is_broken) {
        type |= SL_SQL_WRITE;
    }
    if ((type & SL_SQL_READ) && c->lx.has_version_comment) {
        type |= SL_SQL_PRIMARY_READ;
    }
    if (type & SL_SQL_WRITE) {
        /* Nothing to add to a write; and INTO t (a, b) looked like a call of t. */
        type &= ~(uint32_t)(SL_SQL_READ | SL_SQL_PRIMARY_READ);
    }
    info->type = type;
    info->has_executable_comment = c->lx.has_executable_comment;
}

void sl_sql_classify(const uint8_t *sql, size_t len, unsigned mode_bits, struct sl_sql_info *ret)
{
    struct sl_cls c;
    uint32_t type = 0;

    *ret = (struct sl_sql_info){.type = SL_SQL_READ, .op = SL_SQL_OP_EMPTY};
    sl_lexer_init(&c.lx, sql, len, mode_bits);
    c.info = ret;
    c.tok.kind = SL_TOK_OP;
    c.tok.op = ';';
    for (bool is_first = true; next_statement(&c); is_first = false) {
        c.type = 0;
        c.op = SL_SQL_OP_UNKNOWN;
        c.depth = 0;
        ret->is_multi |= !is_first;
        sl_cls_statement(&c);
        if (is_first) {
            ret->op = c.op;
            type = c.type;
        } else {
            type = add_statement(type, c.type);
        }
    }
    finish(&c, ret->op == SL_SQL_OP_EMPTY ? SL_SQL_READ : type);
}
