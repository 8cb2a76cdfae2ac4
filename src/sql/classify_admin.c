/* SPDX-License-Identifier: Apache-2.0 */
/* SHOW, EXPLAIN, ANALYZE, KILL, LOAD, RESET, USE, GET DIAGNOSTICS and prepared statements as text.
 */
#include "sql/classify_parts.h"

struct show_row {
    uint16_t word;
    uint16_t next; /* SL_W_NONE: any */
    uint32_t type;
};

/* SHOWs that are more than a read anywhere. The first row that fits counts. */
static const struct show_row show_rows[] = {
    {SL_W_MASTER, SL_W_NONE, SL_SQL_PRIMARY_READ},
    {SL_W_BINLOG, SL_W_NONE, SL_SQL_PRIMARY_READ},
    {SL_W_BINARY, SL_W_NONE, SL_SQL_PRIMARY_READ},
    {SL_W_SLAVE, SL_W_HOSTS, SL_SQL_PRIMARY_READ},
    {SL_W_REPLICA, SL_W_HOSTS, SL_SQL_PRIMARY_READ},
    {SL_W_INDEX, SL_W_NONE, SL_SQL_PRIMARY_READ},
    {SL_W_INDEXES, SL_W_NONE, SL_SQL_PRIMARY_READ},
    {SL_W_KEYS, SL_W_NONE, SL_SQL_PRIMARY_READ},
    {SL_W_EXPLAIN, SL_W_NONE, SL_SQL_PRIMARY_READ}, /* names a connection of one server */
    {SL_W_ANALYZE, SL_W_NONE, SL_SQL_PRIMARY_READ},
    {SL_W_WARNINGS, SL_W_NONE, SL_SQL_LAST},
    {SL_W_ERRORS, SL_W_NONE, SL_SQL_LAST},
    {SL_W_COUNT, SL_W_NONE, SL_SQL_LAST}, /* SHOW COUNT(*) WARNINGS */
    {SL_W_PROFILE, SL_W_NONE, SL_SQL_LAST},
    {SL_W_PROFILES, SL_W_NONE, SL_SQL_LAST},
    {SL_W_VARIABLES, SL_W_NONE, SL_SQL_SYSVAR_READ},
};

void sl_cls_show(struct sl_cls *c)
{
    sl_cls_next(c);
    while (sl_cls_is(c, SL_W_GLOBAL) || sl_cls_is(c, SL_W_SESSION) || sl_cls_is(c, SL_W_LOCAL) ||
           sl_cls_is(c, SL_W_FULL) || sl_cls_is(c, SL_W_EXTENDED)) {
        sl_cls_next(c);
    }
    for (size_t i = 0; i < sizeof(show_rows) / sizeof(show_rows[0]); i++) {
        const struct show_row *row = &show_rows[i];
        if (sl_cls_is(c, (enum sl_word)row->word) &&
            (row->next == SL_W_NONE || sl_cls_next_is(c, (enum sl_word)row->next))) {
            c->type |= row->type;
            break;
        }
    }
    if (sl_cls_is(c, SL_W_GRANTS) || sl_cls_is(c, SL_W_CREATE)) {
        sl_cls_skip(c);
    }
    sl_cls_next(c); /* the kind itself is no call: SHOW COUNT(*) */
}

/* EXPLAIN only plans, so nothing inside counts; with ANALYZE the statement is executed. */
void sl_cls_explain(struct sl_cls *c)
{
    while (sl_cls_next(c)) {
        if (sl_cls_is(c, SL_W_ANALYZE)) {
            c->type = 0;
            sl_cls_analyze(c);
            return;
        }
        if (sl_cls_is(c, SL_W_FOR) && sl_cls_next_is(c, SL_W_CONNECTION)) {
            c->type |= SL_SQL_PRIMARY_READ;
            break;
        }
        if (sl_cls_is(c, SL_W_FORMAT)) { /* FORMAT = JSON */
            sl_cls_next(c);
            sl_cls_next(c);
        } else if (!sl_cls_is(c, SL_W_EXTENDED) && !sl_cls_is(c, SL_W_PARTITIONS)) {
            break;
        }
    }
    sl_cls_skip(c);
}

/* ANALYZE TABLE writes statistics; ANALYZE [FORMAT=x] <statement> executes the statement. */
void sl_cls_analyze(struct sl_cls *c)
{
    sl_cls_next(c);
    if (sl_cls_is(c, SL_W_NO_WRITE_TO_BINLOG) || sl_cls_is(c, SL_W_LOCAL)) {
        sl_cls_next(c);
    }
    if (sl_cls_is(c, SL_W_TABLE) || sl_cls_is(c, SL_W_TABLES)) {
        c->type |= SL_SQL_WRITE | SL_SQL_IMPLICIT_COMMIT;
        c->op = SL_SQL_OP_ADMIN;
        return;
    }
    if (sl_cls_accept(c, SL_W_FORMAT)) {
        sl_cls_next(c);
        sl_cls_next(c);
    }
    sl_cls_statement(c);
    c->op = SL_SQL_OP_EXPLAIN;
}

static bool parse_number(struct sl_slice text, uint64_t *ret)
{
    uint64_t value = 0;

    for (size_t i = 0; i < text.len; i++) {
        const unsigned digit = text.data[i] - (unsigned)'0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *ret = value;
    return text.len > 0;
}

/* KILL [HARD|SOFT] [CONNECTION|QUERY [ID]] [USER name | number] */
void sl_cls_kill(struct sl_cls *c)
{
    struct sl_sql_info *info = c->info;

    sl_cls_next(c);
    if (sl_cls_accept(c, SL_W_HARD)) {
        info->kill_flags |= SL_KILL_HARD;
    } else if (sl_cls_accept(c, SL_W_SOFT)) {
        info->kill_flags |= SL_KILL_SOFT;
    }
    if (!sl_cls_accept(c, SL_W_CONNECTION) && sl_cls_accept(c, SL_W_QUERY)) {
        info->kill_flags |= SL_KILL_QUERY;
        if (sl_cls_accept(c, SL_W_ID)) {
            info->kill_flags |= SL_KILL_QUERY_ID;
        }
    }
    if (sl_cls_accept(c, SL_W_USER)) {
        info->kill_flags |= SL_KILL_USER;
        if (sl_cls_is_name(c)) {
            info->name = c->tok.text;
        }
    } else if (!c->is_at_end && c->tok.kind == SL_TOK_NUMBER) {
        parse_number(c->tok.text, &info->kill_id);
    }
    sl_cls_skip(c);
}

/* LOAD DATA|XML [LOW_PRIORITY|CONCURRENT] [LOCAL] INFILE ..; LOAD INDEX INTO CACHE .. */
void sl_cls_load(struct sl_cls *c)
{
    sl_cls_next(c);
    if (sl_cls_is(c, SL_W_INDEX)) {
        c->type |= SL_SQL_IMPLICIT_COMMIT;
        c->op = SL_SQL_OP_ADMIN;
        return;
    }
    while (sl_cls_next(c) && !sl_cls_is(c, SL_W_INFILE)) {
        if (sl_cls_is(c, SL_W_LOCAL)) {
            c->type |= SL_SQL_LOAD_LOCAL;
        }
    }
}

/* RESET QUERY CACHE concerns each server's own cache; the others are for the primary. */
void sl_cls_reset(struct sl_cls *c)
{
    sl_cls_next(c);
    if (sl_cls_is(c, SL_W_QUERY)) {
        c->type = SL_SQL_SESSION_WRITE | SL_SQL_IMPLICIT_COMMIT;
    }
    sl_cls_skip(c);
}

void sl_cls_use(struct sl_cls *c)
{
    sl_cls_next(c);
    if (sl_cls_is_name(c)) {
        c->info->name = c->tok.text;
    }
    sl_cls_skip(c);
}

/* GET [CURRENT] DIAGNOSTICS @a = NUMBER, ..: variables set from the last statement's warnings. */
void sl_cls_get(struct sl_cls *c)
{
    while (sl_cls_next(c)) {
        if (c->tok.kind == SL_TOK_USERVAR) {
            c->type |= SL_SQL_USERVAR_WRITE;
        }
    }
}

/* The text of PREPARE .. FROM or EXECUTE IMMEDIATE, when it is one literal. */
static void prepare_text(struct sl_cls *c)
{
    if (c->is_at_end || c->tok.kind != SL_TOK_STRING || (*c->tok.begin | 0x20) >= 'a') {
        return;
    }
    const struct sl_token literal = c->tok;
    sl_cls_next(c);
    if (c->is_at_end || sl_cls_is(c, SL_W_USING)) {
        c->info->prepare_text = literal.text;
        c->info->prepare_quote = (char)*literal.begin;
    }
}

static void statement_name(struct sl_cls *c)
{
    if (!c->is_at_end && (c->tok.kind == SL_TOK_WORD || c->tok.kind == SL_TOK_QUOTED)) {
        c->info->name = c->tok.text;
        sl_cls_next(c);
    }
}

void sl_cls_prepare(struct sl_cls *c)
{
    sl_cls_next(c);
    statement_name(c);
    if (sl_cls_accept(c, SL_W_FROM)) {
        prepare_text(c);
    }
}

void sl_cls_execute(struct sl_cls *c)
{
    sl_cls_next(c);
    if (sl_cls_accept(c, SL_W_IMMEDIATE)) {
        c->op = SL_SQL_OP_EXECUTE_IMMEDIATE;
        prepare_text(c);
        return;
    }
    c->type |= SL_SQL_EXECUTE;
    statement_name(c);
}

/* At DEALLOCATE or at DROP's PREPARE. */
void sl_cls_deallocate(struct sl_cls *c)
{
    sl_cls_next(c);
    sl_cls_accept(c, SL_W_PREPARE);
    statement_name(c);
}
