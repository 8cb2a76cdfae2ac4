/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables a statement names. Not a parser: it knows behind which words a table name is expected
 * and follows comma lists. It may give a name too many (an alias, a column behind a FROM inside
 * EXTRACT), never one too few; callers compare with the few temporary tables of a session.
 *
 * Doubled quotes inside a quoted name are given as they stand in the text.
 */
#include "sql/classify.h"

#include "sql/lexer.h"

struct walk {
    struct sl_lexer lx;
    struct sl_token tok;
    sl_sql_on_table *each;
    void *arg;
    uint64_t lists; /* bit per bracket depth (the deepest share one): in a list of tables? */
    unsigned depth;
    bool is_expected; /* a table name may come next */
    uint16_t last_word;
    uint16_t first_word; /* of the statement */
};

static uint64_t depth_bit(const struct walk *w)
{
    return UINT64_C(1) << (w->depth < 63 ? w->depth : 63);
}

static void in_list_set(struct walk *w, bool value)
{
    w->lists = value ? w->lists | depth_bit(w) : w->lists & ~depth_bit(w);
}

/* A table name comes behind these. */
static bool expects_table(const struct walk *w, uint16_t word)
{
    switch (word) {
    case SL_W_UPDATE: /* not FOR UPDATE, not ON DUPLICATE KEY UPDATE */
        return w->last_word != SL_W_FOR && w->last_word != SL_W_KEY;
    case SL_W_ON: /* CREATE INDEX i ON t, CREATE TRIGGER .. ON t; not JOIN .. ON */
        return w->first_word == SL_W_CREATE || w->first_word == SL_W_DROP;
    case SL_W_LIKE:
        return w->first_word == SL_W_CREATE;
    case SL_W_REPLACE: /* not CREATE OR REPLACE TEMPORARY TABLE t */
        return w->last_word != SL_W_OR;
    case SL_W_USING: /* DELETE .. USING t; not JOIN .. USING (a) */
        return w->first_word == SL_W_DELETE;
    case SL_W_FROM:
    case SL_W_JOIN:
    case SL_W_STRAIGHT_JOIN:
    case SL_W_INTO:
    case SL_W_TABLE:
    case SL_W_TABLES:
    case SL_W_REFERENCES:
    case SL_W_TRUNCATE:
    case SL_W_DESCRIBE:
    case SL_W_DESC:
    case SL_W_EXPLAIN:
    case SL_W_HANDLER:
    case SL_W_SEQUENCE:
    case SL_W_DELETE:
    case SL_W_INSERT:
    case SL_W_TO:
    case SL_W_FOR: /* NEXT VALUE FOR s */
        return true;
    default:
        return false;
    }
}

/* Words between such a word and the name. */
static bool is_filler(uint16_t word)
{
    switch (word) {
    case SL_W_IF:
    case SL_W_NOT:
    case SL_W_EXISTS:
    case SL_W_LOW_PRIORITY:
    case SL_W_HIGH_PRIORITY:
    case SL_W_DELAYED:
    case SL_W_QUICK:
    case SL_W_IGNORE:
    case SL_W_LATERAL:
        return true;
    default:
        return false;
    }
}

/* A list of tables ends at these. */
static bool ends_list(uint16_t word)
{
    switch (word) {
    case SL_W_WHERE:
    case SL_W_SET:
    case SL_W_SELECT:
    case SL_W_VALUES:
    case SL_W_GROUP:
    case SL_W_ORDER:
    case SL_W_HAVING:
    case SL_W_LIMIT:
    case SL_W_UNION:
    case SL_W_EXCEPT:
    case SL_W_INTERSECT:
        return true;
    default:
        return false;
    }
}

/* name or db.name at the current token; leaves the token behind it current. */
static bool emit(struct walk *w)
{
    struct sl_slice db = {NULL, 0};
    struct sl_slice table = w->tok.text;
    bool has_more = sl_lexer_next(&w->lx, &w->tok);

    if (has_more && sl_token_is_op(&w->tok, '.')) {
        has_more = sl_lexer_next(&w->lx, &w->tok);
        if (has_more && w->tok.kind != SL_TOK_OP) { /* not t.* */
            db = table;
            table = w->tok.text;
            sl_lexer_next(&w->lx, &w->tok);
        }
    }
    w->is_expected = false;
    w->last_word = SL_W_NONE;
    in_list_set(w, true);
    return w->each(w->arg, db, table);
}

static bool is_table_name(const struct walk *w)
{
    if (w->tok.kind == SL_TOK_QUOTED) {
        return true;
    }
    return w->tok.kind == SL_TOK_WORD && !(w->tok.word_flags & SL_WORD_RESERVED) &&
           !(w->is_expected && is_filler(w->tok.word)) && w->tok.word != SL_W_JSON_TABLE;
}

static void operator_seen(struct walk *w)
{
    switch (w->tok.op) {
    case '(': /* a query or a join in brackets is a member of the list around it */
        if (w->last_word == SL_W_INSERT || w->last_word == SL_W_REPLACE ||
            w->last_word == SL_W_TRUNCATE) { /* the functions of these names */
            w->is_expected = false;
        }
        if (w->is_expected) {
            in_list_set(w, true);
        }
        w->depth++;
        in_list_set(w, false);
        break;
    case ')':
        w->depth -= w->depth > 0;
        w->is_expected = false;
        break;
    case ',':
        w->is_expected = (w->lists & depth_bit(w)) != 0;
        break;
    case '{': /* { OJ a LEFT JOIN b } */
        if (w->is_expected) {
            sl_lexer_next(&w->lx, &w->tok);
        }
        break;
    case ';':
        w->depth = 0;
        w->lists = 0;
        w->first_word = SL_W_NONE;
        w->is_expected = false;
        break;
    default:
        w->is_expected = false;
        break;
    }
    w->last_word = SL_W_NONE;
}

static void word_seen(struct walk *w)
{
    const uint16_t word = w->tok.word;

    if (w->first_word == SL_W_NONE) {
        w->first_word = word;
    }
    if (word == SL_W_JSON_TABLE) { /* no table, but a member of the list of tables */
        in_list_set(w, w->is_expected);
        w->is_expected = false;
    } else if (ends_list(word)) {
        in_list_set(w, false);
        w->is_expected = false;
    } else if (expects_table(w, word)) {
        w->is_expected = true;
    } else if (!is_filler(word)) {
        w->is_expected = false;
    }
    w->last_word = word;
}

bool sl_sql_tables(const uint8_t *sql, size_t len, unsigned mode_bits, sl_sql_on_table *each,
                   void *arg)
{
    struct walk w = {.each = each, .arg = arg};

    sl_lexer_init(&w.lx, sql, len, mode_bits);
    sl_lexer_next(&w.lx, &w.tok);
    while (w.tok.kind != SL_TOK_END) {
        const bool is_start_word =
            w.tok.kind == SL_TOK_WORD && !w.tok.is_after_dot && expects_table(&w, w.tok.word);
        if (w.is_expected && is_table_name(&w) && !(is_start_word && w.tok.word == SL_W_TABLES)) {
            if (!emit(&w)) {
                return false;
            }
            continue;
        }
        if (w.tok.kind == SL_TOK_OP) {
            operator_seen(&w);
        } else if (w.tok.kind == SL_TOK_WORD && !w.tok.is_after_dot) {
            word_seen(&w);
        } else {
            w.is_expected = false;
        }
        sl_lexer_next(&w.lx, &w.tok);
    }
    return true;
}
