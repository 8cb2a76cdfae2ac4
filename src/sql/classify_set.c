/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SET in all its forms. A SET is a list of assignments; each adds its own bits, so that a mixed
 * list is the sum of its parts. GLOBAL or SESSION in front of one holds for those behind it too,
 * which is what MariaDB does (tried with 10.11).
 */
#include "sql/classify_parts.h"

struct assignment {
    struct sl_slice name;
    enum sl_word word;
    enum sl_var_scope scope;
    bool has_at;           /* written as @@name */
    struct sl_token value; /* first token of the value */
    bool is_simple;        /* the value is that one token */
};

enum truth {
    TRUTH_UNKNOWN,
    TRUTH_NO,
    TRUTH_YES
};

static bool text_is(struct sl_slice text, const char *word)
{
    return sl_slice_equal_nocase(text, word);
}

/* How the server reads a boolean: 0 1 ON OFF TRUE FALSE, quoted or not. */
static enum truth truth_of(const struct assignment *a)
{
    const struct sl_slice t = a->value.text;

    if (!a->is_simple || (a->value.kind != SL_TOK_WORD && a->value.kind != SL_TOK_NUMBER &&
                          a->value.kind != SL_TOK_STRING && a->value.kind != SL_TOK_QUOTED)) {
        return TRUTH_UNKNOWN;
    }
    if (text_is(t, "0") || text_is(t, "off") || text_is(t, "false")) {
        return TRUTH_NO;
    }
    if (text_is(t, "1") || text_is(t, "on") || text_is(t, "true")) {
        return TRUTH_YES;
    }
    return TRUTH_UNKNOWN;
}

static bool mode_list_has_oracle(struct sl_slice list)
{
    size_t begin = 0;

    for (size_t i = 0; i <= list.len; i++) {
        if (i == list.len || list.data[i] == ',') {
            struct sl_slice part = sl_slice(list.data + begin, i - begin);
            while (part.len > 0 && part.data[part.len - 1] == ' ') {
                part.len--;
            }
            if (text_is(part, "oracle")) {
                return true;
            }
            begin = i + 1;
        }
    }
    return false;
}

static void set_autocommit(struct sl_cls *c, const struct assignment *a)
{
    switch (truth_of(a)) {
    case TRUTH_NO:
        c->type &= ~(uint32_t)SL_SQL_AUTOCOMMIT_ON;
        c->type |= SL_SQL_AUTOCOMMIT_OFF;
        break;
    case TRUTH_YES:
        c->type &= ~(uint32_t)SL_SQL_AUTOCOMMIT_OFF;
        c->type |= SL_SQL_AUTOCOMMIT_ON;
        break;
    case TRUTH_UNKNOWN: /* the server's status flags will tell */
        break;
    }
}

/* SET @@tx_read_only=1 holds for the next transaction only, SET tx_read_only=1 for the session
 * (10.11). */
static void set_access_mode(struct sl_cls *c, const struct assignment *a)
{
    const enum truth is_read_only = truth_of(a);

    if (a->has_at && a->scope == SL_SCOPE_NONE) {
        c->type |= SL_SQL_TRX_NEXT;
    }
    if (is_read_only != TRUTH_UNKNOWN) {
        c->type |= is_read_only == TRUTH_YES ? SL_SQL_TRX_READ_ONLY : SL_SQL_TRX_READ_WRITE;
    }
}

static void set_isolation(struct sl_cls *c, const struct assignment *a)
{
    const bool is_serializable = a->is_simple && text_is(a->value.text, "serializable");

    if (a->has_at && a->scope == SL_SCOPE_NONE) {
        c->type |= SL_SQL_TRX_NEXT;
    }
    c->type |= SL_SQL_ISOLATION | (is_serializable ? SL_SQL_SERIALIZABLE : 0u);
}

static void set_session_variable(struct sl_cls *c, const struct assignment *a)
{
    c->type |= SL_SQL_SESSION_WRITE;
    switch (a->word) {
    case SL_W_AUTOCOMMIT:
        set_autocommit(c, a);
        break;
    case SL_W_TX_READ_ONLY:
    case SL_W_TRANSACTION_READ_ONLY:
        set_access_mode(c, a);
        break;
    case SL_W_TX_ISOLATION:
    case SL_W_TRANSACTION_ISOLATION:
        set_isolation(c, a);
        break;
    case SL_W_SQL_MODE:
        c->info->set_sql_mode = c->info->set_sql_mode == 0 ? 2 : c->info->set_sql_mode;
        if (a->value.kind == SL_TOK_STRING || a->value.kind == SL_TOK_QUOTED ||
            a->value.kind == SL_TOK_WORD) {
            c->info->set_sql_mode = mode_list_has_oracle(a->value.text) ? 1 : 2;
        }
        break;
    default:
        break;
    }
}

/* Runs over the value up to ',' outside brackets, the end, or FOR when it ends SET STATEMENT. */
static void scan_value(struct sl_cls *c, struct assignment *a, bool ends_at_for)
{
    size_t depth = 0;
    size_t count = 0;

    a->value = c->tok;
    while (!c->is_at_end) {
        if (depth == 0 && (sl_cls_is_op(c, ',') || (ends_at_for && sl_cls_is(c, SL_W_FOR)))) {
            break;
        }
        depth += sl_cls_is_op(c, '(');
        depth -= sl_cls_is_op(c, ')') && depth > 0;
        sl_cls_expression_token(c, false);
        count++;
        sl_cls_next(c);
    }
    a->is_simple = count == 1;
}

/* [GLOBAL|SESSION|LOCAL] name; false when the text is none. The token behind it becomes current. */
static bool variable_name(struct sl_cls *c, struct assignment *a, enum sl_var_scope *scope)
{
    if (sl_cls_accept(c, SL_W_GLOBAL)) {
        *scope = SL_SCOPE_GLOBAL;
    } else if (sl_cls_accept(c, SL_W_SESSION) || sl_cls_accept(c, SL_W_LOCAL)) {
        *scope = SL_SCOPE_SESSION;
    }
    a->has_at = c->tok.kind == SL_TOK_SYSVAR;
    if (c->is_at_end ||
        (!a->has_at && c->tok.kind != SL_TOK_WORD && c->tok.kind != SL_TOK_QUOTED)) {
        return false;
    }
    a->scope = a->has_at ? (enum sl_var_scope)c->tok.scope : *scope;
    do { /* structured names: hot_cache.key_buffer_size */
        uint8_t flags;
        a->name = c->tok.text;
        a->word = sl_word_find(c->tok.text.data, c->tok.text.len, &flags);
        sl_cls_next(c);
    } while (sl_cls_is_op(c, '.') && sl_cls_next(c));
    return true;
}

static bool accept_assign(struct sl_cls *c)
{
    if (!sl_cls_is_op(c, '=') && !sl_cls_is_op(c, SL_OP_ASSIGN)) {
        return false;
    }
    sl_cls_next(c);
    return true;
}

/* NAMES x [COLLATE y], CHARACTER SET x, CHARSET x */
static bool is_charset(struct sl_cls *c)
{
    if (sl_cls_is(c, SL_W_NAMES) || sl_cls_is(c, SL_W_CHARSET)) {
        return true;
    }
    return (sl_cls_is(c, SL_W_CHARACTER) || sl_cls_is(c, SL_W_CHAR)) && sl_cls_next_is(c, SL_W_SET);
}

/* One element of the list; false if it is not understood. */
static bool assign(struct sl_cls *c, enum sl_var_scope *scope)
{
    struct assignment a = {.scope = SL_SCOPE_NONE};

    if (c->tok.kind == SL_TOK_USERVAR) {
        sl_cls_next(c);
        c->type |= SL_SQL_SESSION_WRITE | SL_SQL_USERVAR_WRITE;
        if (!accept_assign(c)) {
            return false;
        }
        scan_value(c, &a, false);
        return true;
    }
    if (is_charset(c)) {
        c->type |= SL_SQL_SESSION_WRITE;
        scan_value(c, &a, false);
        return true;
    }
    if (!variable_name(c, &a, scope) || !accept_assign(c)) {
        return false;
    }
    scan_value(c, &a, false);
    if (a.scope == SL_SCOPE_GLOBAL) {
        c->type |= SL_SQL_GLOBAL_WRITE;
    } else {
        set_session_variable(c, &a);
    }
    return true;
}

/* SET STATEMENT a = 1, b = 2 FOR <statement>: what counts is the statement. */
static void set_statement(struct sl_cls *c)
{
    while (!c->is_at_end && !sl_cls_is(c, SL_W_FOR)) {
        struct assignment a;
        scan_value(c, &a, true);
        if (!sl_cls_is(c, SL_W_FOR)) {
            sl_cls_next(c);
        }
    }
    sl_cls_next(c);
    sl_cls_statement(c);
}

static void set_role(struct sl_cls *c)
{
    c->type |= SL_SQL_SESSION_WRITE;
    if (sl_cls_is_name(c)) {
        c->info->name = c->tok.text;
    }
    sl_cls_skip(c);
}

/* The forms that are no list of assignments; false if it is a list. */
static bool special_form(struct sl_cls *c)
{
    if (sl_cls_is(c, SL_W_PASSWORD) ||
        (sl_cls_is(c, SL_W_DEFAULT) && sl_cls_next_is(c, SL_W_ROLE))) {
        c->type |= SL_SQL_WRITE | SL_SQL_IMPLICIT_COMMIT; /* changes an account; commits (10.11) */
        sl_cls_skip(c);
        return true;
    }
    if (sl_cls_accept(c, SL_W_STATEMENT)) {
        set_statement(c);
        return true;
    }
    if (sl_cls_accept(c, SL_W_ROLE)) {
        set_role(c);
        return true;
    }
    if (sl_cls_accept(c, SL_W_TRANSACTION)) {
        sl_cls_set_transaction(c, SL_SCOPE_NONE);
        return true;
    }
    if (sl_cls_next_is(c, SL_W_TRANSACTION) &&
        (sl_cls_is(c, SL_W_GLOBAL) || sl_cls_is(c, SL_W_SESSION) || sl_cls_is(c, SL_W_LOCAL))) {
        const enum sl_var_scope scope =
            sl_cls_is(c, SL_W_GLOBAL) ? SL_SCOPE_GLOBAL : SL_SCOPE_SESSION;
        sl_cls_next(c);
        sl_cls_next(c);
        sl_cls_set_transaction(c, scope);
        return true;
    }
    return false;
}

void sl_cls_set(struct sl_cls *c)
{
    enum sl_var_scope scope = SL_SCOPE_NONE;

    sl_cls_next(c);
    if (special_form(c)) {
        return;
    }
    do {
        if (!assign(c, &scope)) {
            c->type |= SL_SQL_WRITE;
            return;
        }
    } while (sl_cls_is_op(c, ',') && sl_cls_next(c));
    if (!c->is_at_end) {
        c->type |= SL_SQL_WRITE;
    }
}
