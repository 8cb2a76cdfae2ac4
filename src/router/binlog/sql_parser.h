/* SPDX-License-Identifier: Apache-2.0 */
/* What sql_grammar.c and sql_select.c share: one token ahead, and where it stopped making sense. */
#ifndef SL_ROUTER_BINLOG_SQL_PARSER_H
#define SL_ROUTER_BINLOG_SQL_PARSER_H

#include "base/assert.h"
#include "base/error.h"
#include "router/binlog/sql_grammar.h"
#include "sql/lexer.h"

struct sl_relay_parser {
    struct sl_lexer lexer;
    struct sl_token token; /* the next one */
    const uint8_t *at_end; /* of the token before it */
    const uint8_t *begin, *end;
    const uint8_t *furthest; /* token that was looked at */
    struct sl_relay_statement *statement;
    unsigned depth; /* SET STATEMENT in each other */
    int rc;         /* SL_ELIMIT, SL_ENOMEM */
};

void sl_parser_next(struct sl_relay_parser *p);
bool sl_parser_is_end(const struct sl_relay_parser *p);
bool sl_parser_is_word(const struct sl_relay_parser *p, const char *word);
/* These move on if it is what was asked for. */
bool sl_parser_take_word(struct sl_relay_parser *p, const char *word);
bool sl_parser_take_op(struct sl_relay_parser *p, int op);
bool sl_parser_take_string(struct sl_relay_parser *p, struct sl_slice *ret);
bool sl_parser_take_number(struct sl_relay_parser *p, uint64_t *ret);
/* True, and rc is set, if there is no room for one more. */
bool sl_parser_full(struct sl_relay_parser *p, unsigned count, unsigned max);

/* A statement that begins with the token that is next. */
bool sl_parser_statement(struct sl_relay_parser *p);
bool sl_parser_limit(struct sl_relay_parser *p);
/* What follows the first words; false: it cannot. */
bool sl_parser_select(struct sl_relay_parser *p);
bool sl_parser_set(struct sl_relay_parser *p);
bool sl_parser_set_statement(struct sl_relay_parser *p);
bool sl_parser_options(struct sl_relay_parser *p);

#endif
