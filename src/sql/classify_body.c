/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routine bodies and compound statements: where does the statement end, when it holds others?
 * Counts blocks from what opens them to their END; not a parser of the statements inside.
 */
#include "sql/classify_parts.h"

/* Does the word, at the start of a statement, open a block that an END closes? */
static bool opens_block(struct sl_cls *c)
{
    if (c->tok.kind != SL_TOK_WORD || c->tok.is_after_dot) {
        return false;
    }
    switch (c->tok.word) {
    case SL_W_BEGIN:
    case SL_W_LOOP:
    case SL_W_WHILE:
    case SL_W_REPEAT:
        return true;
    case SL_W_FOR:
        return !sl_cls_next_is(c, SL_W_UPDATE) && !sl_cls_next_is(c, SL_W_EACH);
    case SL_W_IF: /* CREATE PROCEDURE IF NOT EXISTS */
        return !sl_cls_next_is(c, SL_W_NOT) && !sl_cls_next_is(c, SL_W_EXISTS);
    default:
        return false;
    }
}

/* Is the next statement of a block about to begin behind the current token? */
static bool starts_statement(const struct sl_cls *c, size_t blocks)
{
    if (c->tok.kind == SL_TOK_OP) {
        /* ')' closes the parameters of a routine */
        return c->tok.op == ';' || c->tok.op == ':' || c->tok.op == '>' ||
               (c->tok.op == ')' && blocks == 0);
    }
    if (sl_cls_is(c, SL_W_ROW)) { /* FOR EACH ROW */
        return blocks == 0;
    }
    return sl_cls_is(c, SL_W_BEGIN) || sl_cls_is(c, SL_W_THEN) || sl_cls_is(c, SL_W_ELSE) ||
           sl_cls_is(c, SL_W_DO) || sl_cls_is(c, SL_W_LOOP) || sl_cls_is(c, SL_W_REPEAT) ||
           sl_cls_is(c, SL_W_ATOMIC);
}

/*
 * Blocks nest; ';' ends the whole only outside all of them. Oracle mode declares variables in front
 * of BEGIN, with ';' between them: there the rest of the text is taken as one statement.
 */
void sl_cls_body(struct sl_cls *c)
{
    const bool is_oracle = (c->lx.mode_bits & SL_SQL_ORACLE) != 0;
    size_t blocks = 0;
    bool is_start = true;

    while (c->tok.kind != SL_TOK_END) {
        if (sl_token_is_op(&c->tok, ';') && blocks == 0 && !is_oracle) {
            c->is_at_end = true;
            return;
        }
        c->is_at_end = false;
        if (sl_cls_is(c, SL_W_END)) {
            blocks -= blocks > 0;
            sl_lexer_next(&c->lx, &c->tok);
            is_start = false;
            if (!sl_cls_is(c, SL_W_CASE) && !opens_block(c)) {
                continue;
            }
        } else { /* not the IF of END IF and the like */
            const bool is_block = is_start && opens_block(c);
            blocks += is_block || sl_cls_is(c, SL_W_CASE) || sl_cls_is(c, SL_W_BEGIN);
            is_start = starts_statement(c, blocks);
        }
        sl_lexer_next(&c->lx, &c->tok);
    }
    c->is_at_end = true;
}
