/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of what follows SELECT, SET and CHANGE MASTER TO. See sql_grammar.h. */
#include <string.h>

#include "router/binlog/sql_parser.h"

#define NESTING_MAX 8 /* SET STATEMENT ... FOR SET STATEMENT ... */

/* ---- values ---- */

static bool take_as(struct sl_relay_parser *p, enum sl_relay_value_kind kind,
                    struct sl_relay_value *ret)
{
    ret->kind = (uint8_t)kind;
    ret->text = p->token.text;
    sl_parser_next(p);
    return true;
}

/* The number with the sign in front of it. */
static bool signed_number(struct sl_relay_parser *p, struct sl_relay_value *ret)
{
    const uint8_t *begin = p->token.begin;
    if (!sl_parser_take_op(p, '-')) {
        sl_parser_take_op(p, '+');
        begin = p->token.begin;
    }
    if (p->token.kind != SL_TOK_NUMBER) {
        return false;
    }
    const uint8_t *end = p->token.end;
    take_as(p, SL_RELAY_NUMBER, ret);
    ret->text = sl_slice(begin, (size_t)(end - begin));
    return true;
}

/* A value that is one thing: no operators. */
static bool value(struct sl_relay_parser *p, struct sl_relay_value *ret)
{
    *ret = (struct sl_relay_value){.scope = p->token.scope};
    switch (p->token.kind) {
    case SL_TOK_STRING:
        ret->kind = SL_RELAY_STRING;
        return sl_parser_take_string(p, &ret->text);
    case SL_TOK_NUMBER:
    case SL_TOK_OP:
        return signed_number(p, ret);
    case SL_TOK_SYSVAR:
        return take_as(p, SL_RELAY_SYSVAR, ret);
    case SL_TOK_USERVAR:
        return take_as(p, SL_RELAY_USERVAR, ret);
    case SL_TOK_WORD:
        return take_as(p, sl_parser_is_word(p, "null") ? SL_RELAY_NULL : SL_RELAY_WORD, ret);
    case SL_TOK_QUOTED:
        return take_as(p, SL_RELAY_WORD, ret);
    default:
        return false;
    }
}

/* ---- SELECT ---- */

static bool arguments(struct sl_relay_parser *p, struct sl_relay_column *c)
{
    if (sl_parser_take_op(p, ')')) {
        return true;
    }
    do {
        if (sl_parser_full(p, c->argument_count, SL_RELAY_ARGUMENTS_MAX) ||
            !value(p, &c->arguments[c->argument_count])) {
            return false;
        }
        c->argument_count++;
    } while (sl_parser_take_op(p, ','));
    return sl_parser_take_op(p, ')');
}

static bool alias(struct sl_relay_parser *p, struct sl_relay_column *c)
{
    bool is_said = sl_parser_take_word(p, "as");
    bool is_reserved = sl_parser_is_word(p, "from") || sl_parser_is_word(p, "limit");
    if ((p->token.kind == SL_TOK_WORD && (is_said || !is_reserved)) ||
        p->token.kind == SL_TOK_QUOTED) {
        c->title = p->token.text;
        sl_parser_next(p);
        return true;
    }
    if (p->token.kind == SL_TOK_STRING) {
        return sl_parser_take_string(p, &c->title);
    }
    return !is_said;
}

static bool column(struct sl_relay_parser *p)
{
    struct sl_relay_statement *st = p->statement;
    if (sl_parser_full(p, st->column_count, SL_RELAY_COLUMNS_MAX)) {
        return false;
    }
    struct sl_relay_column *c = &st->columns[st->column_count];
    const uint8_t *begin = p->token.begin;
    if (!value(p, &c->value)) {
        return false;
    }
    if (c->value.kind == SL_RELAY_WORD && sl_parser_take_op(p, '(')) {
        c->value.kind = SL_RELAY_CALL;
        if (!arguments(p, c)) {
            return false;
        }
    }
    c->title = sl_slice(begin, (size_t)(p->at_end - begin));
    if (c->value.kind == SL_RELAY_STRING) {
        c->title = c->value.text;
    }
    st->column_count++;
    return alias(p, c);
}

bool sl_parser_select(struct sl_relay_parser *p)
{
    static const char *const hints[] = {"all", "distinct", "sql_no_cache", "sql_cache",
                                        "high_priority"};
    for (unsigned i = 0; i < SL_ARRAY_LEN(hints); i++) {
        sl_parser_take_word(p, hints[i]);
    }
    do {
        if (!column(p)) {
            return false;
        }
    } while (sl_parser_take_op(p, ','));
    if (sl_parser_take_word(p, "from") && !sl_parser_take_word(p, "dual")) {
        return false;
    }
    return sl_parser_limit(p);
}

/* ---- SET ---- */

static bool is_assign(const struct sl_relay_parser *p)
{
    return sl_token_is_op(&p->token, '=') || sl_token_is_op(&p->token, SL_OP_ASSIGN);
}

/* Does what follows a value belong to the same expression? */
static bool is_end_of_value(const struct sl_relay_parser *p)
{
    return sl_parser_is_end(p) || sl_token_is_op(&p->token, ',') ||
           sl_token_is_op(&p->token, ';') || sl_parser_is_word(p, "for");
}

/* To the end of an expression, whatever it is: its brackets must be balanced. */
static bool skip_expression(struct sl_relay_parser *p)
{
    unsigned open = 0;
    while (!sl_parser_is_end(p) && (open > 0 || !is_end_of_value(p))) {
        open += sl_token_is_op(&p->token, '(');
        if (sl_token_is_op(&p->token, ')') && open-- == 0) {
            return false;
        }
        sl_parser_next(p);
    }
    return open == 0;
}

static bool expression(struct sl_relay_parser *p, struct sl_relay_value *ret)
{
    const uint8_t *begin = p->token.begin;
    if (is_end_of_value(p)) {
        return false;
    }
    if (!sl_token_is_op(&p->token, '(') && value(p, ret) && is_end_of_value(p)) {
        return true;
    }
    if (p->rc < 0 || !skip_expression(p)) {
        return false;
    }
    *ret = (struct sl_relay_value){.kind = SL_RELAY_OTHER,
                                   .text = sl_slice(begin, (size_t)(p->at_end - begin))};
    return true;
}

static uint8_t scope(struct sl_relay_parser *p)
{
    if (sl_parser_take_word(p, "global")) {
        return SL_SCOPE_GLOBAL;
    }
    return sl_parser_take_word(p, "session") || sl_parser_take_word(p, "local") ? SL_SCOPE_SESSION
                                                                                : SL_SCOPE_NONE;
}

/* NAMES x [COLLATE y], CHARACTER SET x, [GLOBAL] TRANSACTION ...: taken and not kept. */
static bool is_charset(struct sl_relay_parser *p, bool *ret_good)
{
    bool is = sl_parser_take_word(p, "names") || sl_parser_take_word(p, "charset");
    if (!is && sl_parser_take_word(p, "character")) {
        is = true;
        *ret_good = sl_parser_take_word(p, "set");
        if (!*ret_good) {
            return true;
        }
    }
    if (is) {
        struct sl_relay_value unused;
        *ret_good = value(p, &unused);
        if (*ret_good && sl_parser_take_word(p, "collate")) {
            *ret_good = value(p, &unused);
        }
    }
    return is;
}

static bool assignment(struct sl_relay_parser *p)
{
    struct sl_relay_statement *st = p->statement;
    bool is_good = true;
    if (sl_parser_full(p, st->setting_count, SL_RELAY_SETTINGS_MAX)) {
        return false;
    }
    if (is_charset(p, &is_good)) {
        return is_good;
    }
    struct sl_relay_setting s = {.scope = scope(p)};
    if (sl_parser_take_word(p, "transaction")) {
        while (!sl_parser_is_end(p) && !sl_token_is_op(&p->token, ';')) {
            sl_parser_next(p);
        }
        return true;
    }
    s.is_user = p->token.kind == SL_TOK_USERVAR;
    if (p->token.kind == SL_TOK_SYSVAR) {
        s.scope = p->token.scope;
    } else if (!s.is_user && p->token.kind != SL_TOK_WORD && p->token.kind != SL_TOK_QUOTED) {
        return false;
    }
    s.name = p->token.text;
    sl_parser_next(p);
    if (!is_assign(p)) {
        return false;
    }
    sl_parser_next(p);
    if (!expression(p, &s.value)) {
        return false;
    }
    st->settings[st->setting_count++] = s;
    return true;
}

static bool assignments(struct sl_relay_parser *p)
{
    do {
        if (!assignment(p)) {
            return false;
        }
    } while (sl_parser_take_op(p, ','));
    return true;
}

bool sl_parser_set(struct sl_relay_parser *p)
{
    return assignments(p);
}

/* SET STATEMENT a=b, ... FOR statement: the settings mean nothing here. */
bool sl_parser_set_statement(struct sl_relay_parser *p)
{
    struct sl_relay_statement *st = p->statement;
    if (++p->depth > NESTING_MAX || !assignments(p) || !sl_parser_is_word(p, "for")) {
        return false;
    }
    sl_parser_next(p);
    st->setting_count = 0;
    return !sl_parser_is_end(p) && sl_parser_statement(p);
}

/* ---- CHANGE MASTER TO ---- */

/* (1, 2, 3) */
static bool list(struct sl_relay_parser *p, struct sl_relay_value *ret)
{
    const uint8_t *begin = p->token.begin;
    if (!sl_parser_take_op(p, '(')) {
        return false;
    }
    while (p->token.kind == SL_TOK_NUMBER || sl_token_is_op(&p->token, ',')) {
        sl_parser_next(p);
    }
    if (!sl_parser_take_op(p, ')')) {
        return false;
    }
    *ret = (struct sl_relay_value){.kind = SL_RELAY_OTHER,
                                   .text = sl_slice(begin, (size_t)(p->at_end - begin))};
    return true;
}

static bool option(struct sl_relay_parser *p)
{
    struct sl_relay_statement *st = p->statement;
    if (sl_parser_full(p, st->setting_count, SL_RELAY_SETTINGS_MAX) ||
        p->token.kind != SL_TOK_WORD) {
        return false;
    }
    struct sl_relay_setting *s = &st->settings[st->setting_count];
    s->name = p->token.text;
    sl_parser_next(p);
    if (!sl_parser_take_op(p, '=') || (!list(p, &s->value) && !value(p, &s->value))) {
        return false;
    }
    st->setting_count++;
    return true;
}

bool sl_parser_options(struct sl_relay_parser *p)
{
    do {
        if (!option(p)) {
            return false;
        }
    } while (sl_parser_take_op(p, ','));
    return true;
}
