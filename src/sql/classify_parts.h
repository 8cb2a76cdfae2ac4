/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the classifier share; nobody else includes it. A handler is called with the
 * statement's first word in `tok`, sets bits of info, and leaves the lexer anywhere inside the
 * statement: the caller runs on to its end, scanning what is left.
 */
#ifndef SL_SQL_CLASSIFY_PARTS_H
#define SL_SQL_CLASSIFY_PARTS_H

#include "sql/classify.h"
#include "sql/lexer.h"

struct sl_cls {
    struct sl_lexer lx;
    struct sl_token tok;      /* the current token */
    struct sl_sql_info *info; /* of the whole text */
    uint32_t type;            /* of the current statement */
    uint8_t op;
    bool is_at_end; /* the current token is the end of the statement */
    uint8_t depth;  /* of statements inside statements */
};

/* The next token; false at ';' or the end of the text (and from then on). */
bool sl_cls_next(struct sl_cls *c);
/* If the current token is that word, moves on. */
bool sl_cls_accept(struct sl_cls *c, enum sl_word word);
/* Is the next token this word? The current one stays. */
bool sl_cls_next_is(struct sl_cls *c, enum sl_word word);
static inline bool sl_cls_is(const struct sl_cls *c, enum sl_word word)
{
    return !c->is_at_end && sl_token_is_word(&c->tok, word);
}
static inline bool sl_cls_is_op(const struct sl_cls *c, int op)
{
    return !c->is_at_end && sl_token_is_op(&c->tok, op);
}
/* A name or a string. */
static inline bool sl_cls_is_name(const struct sl_cls *c)
{
    return !c->is_at_end && (c->tok.kind == SL_TOK_WORD || c->tok.kind == SL_TOK_QUOTED ||
                             c->tok.kind == SL_TOK_STRING);
}

/* What the current token says by itself: variables, function calls, FOR UPDATE, INTO ... Adds to
 * type. May consume more tokens; the last one it used is then the current one. */
void sl_cls_expression_token(struct sl_cls *c, bool is_name_list);
/* The same for all tokens up to the end of the statement, the current one included. */
void sl_cls_scan(struct sl_cls *c);
/* Up to the end, looking at nothing. */
void sl_cls_skip(struct sl_cls *c);
/* Classifies the statement that begins at the current token. */
void sl_cls_statement(struct sl_cls *c);
/* Runs through a routine body or compound statement, whose ';' do not end it. */
void sl_cls_body(struct sl_cls *c);

typedef void sl_cls_handler(struct sl_cls *c);

sl_cls_handler sl_cls_set;

sl_cls_handler sl_cls_begin, sl_cls_start, sl_cls_commit, sl_cls_rollback, sl_cls_release,
    sl_cls_xa;
void sl_cls_set_transaction(struct sl_cls *c, enum sl_var_scope scope);

sl_cls_handler sl_cls_create, sl_cls_drop, sl_cls_alter;

sl_cls_handler sl_cls_show, sl_cls_explain, sl_cls_analyze, sl_cls_kill, sl_cls_load, sl_cls_reset,
    sl_cls_prepare, sl_cls_execute, sl_cls_deallocate, sl_cls_use, sl_cls_get;

#endif
