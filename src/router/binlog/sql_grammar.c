/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statements of a relay's listener: a table of what they begin with, and a function for what may
 * follow. The words of MariaDB's grammar (sql/sql_yacc.yy of the documentation's pages "SHOW ...",
 * "CHANGE MASTER TO", "PURGE BINARY LOGS"), as far as a server without tables can have an answer.
 * What follows SELECT and SET is in sql_select.c.
 */
#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "router/binlog/sql_parser.h"

/* ---- tokens ---- */

void sl_parser_next(struct sl_relay_parser *p)
{
    p->at_end = p->token.end ? p->token.end : p->lexer.pos;
    sl_lexer_next(&p->lexer, &p->token);
    if (p->token.kind != SL_TOK_END && (!p->furthest || p->token.begin > p->furthest)) {
        p->furthest = p->token.begin;
    }
}

bool sl_parser_is_end(const struct sl_relay_parser *p)
{
    return p->token.kind == SL_TOK_END;
}

bool sl_parser_is_word(const struct sl_relay_parser *p, const char *word)
{
    return p->token.kind == SL_TOK_WORD && sl_slice_equal_nocase(p->token.text, word);
}

bool sl_parser_take_word(struct sl_relay_parser *p, const char *word)
{
    bool is = sl_parser_is_word(p, word);
    if (is) {
        sl_parser_next(p);
    }
    return is;
}

bool sl_parser_take_op(struct sl_relay_parser *p, int op)
{
    bool is = sl_token_is_op(&p->token, op);
    if (is) {
        sl_parser_next(p);
    }
    return is;
}

/* What a backslash and the character behind it stand for: MariaDB documentation, "String
 * Literals". */
static uint8_t unescape(uint8_t c)
{
    switch (c) {
    case '0':
        return 0;
    case 'b':
        return '\b';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'Z':
        return 26;
    default:
        return c;
    }
}

/* The value of the string token: a slice of the text if nothing in it is escaped. */
static bool string_value(struct sl_relay_parser *p, struct sl_slice *ret)
{
    struct sl_slice raw = p->token.text;
    uint8_t quote = raw.data > p->token.begin ? raw.data[-1] : '\'';
    *ret = raw;
    if (!memchr(raw.data, '\\', raw.len) && !memchr(raw.data, quote, raw.len)) {
        return true;
    }
    struct sl_relay_statement *st = p->statement;
    if (!st->memory) {
        st->memory = sl_malloc((size_t)(p->lexer.end - p->begin) + 1);
        if (!st->memory) {
            p->rc = SL_ENOMEM;
            return false;
        }
    }
    uint8_t *out = st->memory + st->memory_used;
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        bool is_escape = raw.data[i] == '\\' && i + 1 < raw.len && raw.data[i + 1] != '%' &&
                         raw.data[i + 1] != '_'; /* those two are left to LIKE */
        bool is_double = raw.data[i] == quote && i + 1 < raw.len && raw.data[i + 1] == quote;
        i += is_escape || is_double;
        out[n++] = is_escape ? unescape(raw.data[i]) : raw.data[i];
    }
    st->memory_used += n;
    *ret = sl_slice(out, n);
    return true;
}

bool sl_parser_take_string(struct sl_relay_parser *p, struct sl_slice *ret)
{
    if (p->token.kind != SL_TOK_STRING || !string_value(p, ret)) {
        return false;
    }
    sl_parser_next(p);
    return true;
}

bool sl_parser_take_number(struct sl_relay_parser *p, uint64_t *ret)
{
    struct sl_slice s = p->token.text;
    uint64_t n = 0;
    if (p->token.kind != SL_TOK_NUMBER || s.len == 0) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (!isdigit(s.data[i]) || n > (UINT64_MAX - 9) / 10) {
            return false;
        }
        n = n * 10 + (uint64_t)(s.data[i] - '0');
    }
    *ret = n;
    sl_parser_next(p);
    return true;
}

bool sl_parser_full(struct sl_relay_parser *p, unsigned count, unsigned max)
{
    if (count < max) {
        return false;
    }
    p->rc = SL_ELIMIT;
    return true;
}

/* ---- what may follow ---- */

static bool nothing(struct sl_relay_parser *p)
{
    return true;
}

static bool anything(struct sl_relay_parser *p)
{
    while (!sl_parser_is_end(p) && !sl_token_is_op(&p->token, ';')) {
        sl_parser_next(p);
    }
    return true;
}

/* [FOR CHANNEL 'name'], as MariaDB takes it since 10.7 */
static bool channel(struct sl_relay_parser *p)
{
    if (!sl_parser_take_word(p, "for")) {
        return true;
    }
    return sl_parser_take_word(p, "channel") && sl_parser_take_string(p, &p->statement->connection);
}

/* [IO_THREAD | SQL_THREAD] [UNTIL ...] */
static bool threads(struct sl_relay_parser *p)
{
    bool has_io = false, has_sql = false;
    do {
        bool io = sl_parser_take_word(p, "io_thread");
        bool sql = !io && sl_parser_take_word(p, "sql_thread");
        has_io |= io;
        has_sql |= sql;
        if (!io && !sql && (has_io || has_sql)) {
            return false;
        }
    } while ((has_io || has_sql) && sl_parser_take_op(p, ','));
    p->statement->only_sql = has_sql && !has_io;
    if (sl_parser_take_word(p, "until")) {
        p->statement->has_until = true;
        return anything(p);
    }
    return channel(p);
}

bool sl_parser_limit(struct sl_relay_parser *p)
{
    struct sl_relay_statement *st = p->statement;
    if (!sl_parser_take_word(p, "limit")) {
        return true;
    }
    st->has_limit = true;
    if (!sl_parser_take_number(p, &st->limit)) {
        return false;
    }
    if (sl_parser_take_op(p, ',')) {
        st->limit_offset = st->limit;
        return sl_parser_take_number(p, &st->limit);
    }
    return !sl_parser_take_word(p, "offset") || sl_parser_take_number(p, &st->limit_offset);
}

/* [IN 'file'] [FROM pos] [LIMIT ...] */
static bool events(struct sl_relay_parser *p)
{
    struct sl_relay_statement *st = p->statement;
    if (sl_parser_take_word(p, "in") && !sl_parser_take_string(p, &st->text)) {
        return false;
    }
    st->has_from = sl_parser_take_word(p, "from");
    if (st->has_from && !sl_parser_take_number(p, &st->from)) {
        return false;
    }
    return sl_parser_limit(p);
}

static bool add_pattern(struct sl_relay_parser *p, bool is_like)
{
    struct sl_relay_statement *st = p->statement;
    struct sl_slice text;
    if (sl_parser_full(p, st->pattern_count, SL_RELAY_PATTERNS_MAX) ||
        !sl_parser_take_string(p, &text)) {
        return false;
    }
    st->patterns[st->pattern_count++] = (struct sl_relay_pattern){is_like, text};
    return true;
}

/* Variable_name = 'x' | LIKE 'x' | IN ('x', ...) */
static bool condition(struct sl_relay_parser *p)
{
    bool is_name = p->token.kind == SL_TOK_WORD || p->token.kind == SL_TOK_QUOTED;
    if (!is_name || !(sl_slice_equal_nocase(p->token.text, "variable_name") ||
                      sl_slice_equal_nocase(p->token.text, "database"))) {
        return false;
    }
    sl_parser_next(p);
    if (sl_parser_take_op(p, '=')) {
        return add_pattern(p, false);
    }
    if (sl_parser_take_word(p, "like")) {
        return add_pattern(p, true);
    }
    if (!sl_parser_take_word(p, "in") || !sl_parser_take_op(p, '(')) {
        return false;
    }
    do {
        if (!add_pattern(p, false)) {
            return false;
        }
    } while (sl_parser_take_op(p, ','));
    return sl_parser_take_op(p, ')');
}

/* [LIKE 'x'] or [WHERE condition OR condition ...] */
static bool filter(struct sl_relay_parser *p)
{
    if (sl_parser_take_word(p, "like")) {
        return add_pattern(p, true);
    }
    if (!sl_parser_take_word(p, "where")) {
        return true;
    }
    do {
        bool is_nested = sl_parser_take_op(p, '(');
        if (!condition(p) || (is_nested && !sl_parser_take_op(p, ')'))) {
            return false;
        }
    } while (sl_parser_take_word(p, "or"));
    return true;
}

static bool file(struct sl_relay_parser *p)
{
    return sl_parser_take_string(p, &p->statement->text);
}

static bool interval(struct sl_relay_parser *p)
{
    static const struct {
        const char *name;
        enum sl_relay_unit unit;
    } units[] = {
        {"second", SL_RELAY_SECOND}, {"minute", SL_RELAY_MINUTE}, {"hour", SL_RELAY_HOUR},
        {"day", SL_RELAY_DAY},       {"week", SL_RELAY_WEEK},     {"month", SL_RELAY_MONTH},
        {"year", SL_RELAY_YEAR},
    };
    struct sl_relay_time *t = &p->statement->time;
    uint64_t n = 0;
    struct sl_slice text;
    if (!sl_parser_take_word(p, "interval")) {
        return false;
    }
    if (p->token.kind == SL_TOK_STRING) {
        if (!sl_parser_take_string(p, &text) || text.len == 0 || text.len > 9) {
            return false;
        }
        for (size_t i = 0; i < text.len; i++) {
            if (!isdigit(text.data[i])) {
                return false;
            }
            n = n * 10 + (uint64_t)(text.data[i] - '0');
        }
    } else if (!sl_parser_take_number(p, &n) || n > 999999999) {
        return false;
    }
    t->amount = (int64_t)n;
    for (unsigned i = 0; i < SL_ARRAY_LEN(units); i++) {
        if (sl_parser_take_word(p, units[i].name)) {
            t->unit = units[i].unit;
            return true;
        }
    }
    return false;
}

/* NOW(), CURRENT_TIMESTAMP, ... */
static bool now(struct sl_relay_parser *p)
{
    static const char *const names[] = {"now", "sysdate", "current_timestamp", "localtimestamp"};
    for (unsigned i = 0; i < SL_ARRAY_LEN(names); i++) {
        if (sl_parser_take_word(p, names[i])) {
            p->statement->time.is_now = true;
            return !sl_parser_take_op(p, '(') || sl_parser_take_op(p, ')');
        }
    }
    return false;
}

static bool number_as_text(struct sl_relay_parser *p)
{
    uint64_t unused;
    p->statement->time.text = p->token.text;
    return sl_parser_take_number(p, &unused);
}

/* A date and time, or one that is reckoned from now. */
static bool moment(struct sl_relay_parser *p)
{
    struct sl_relay_time *t = &p->statement->time;
    if (p->token.kind == SL_TOK_STRING) {
        return sl_parser_take_string(p, &t->text);
    }
    if (p->token.kind == SL_TOK_NUMBER) {
        return number_as_text(p);
    }
    if (sl_parser_take_word(p, "from_unixtime")) {
        t->is_unix = true;
        return sl_parser_take_op(p, '(') && number_as_text(p) && sl_parser_take_op(p, ')');
    }
    if (sl_parser_take_word(p, "date_sub") || sl_parser_take_word(p, "subdate")) {
        return sl_parser_take_op(p, '(') && now(p) && sl_parser_take_op(p, ',') && interval(p) &&
               sl_parser_take_op(p, ')');
    }
    return now(p) && (!sl_parser_take_op(p, '-') || interval(p));
}

static bool database(struct sl_relay_parser *p)
{
    bool is = p->token.kind == SL_TOK_WORD || p->token.kind == SL_TOK_QUOTED;
    p->statement->text = p->token.text;
    sl_parser_next(p);
    return is;
}

/* ---- what they begin with ---- */

/* In `begin`: words in any case; a|b is one of them; ?a may be missing; $ is an optional 'name'.
 * The first row that fits counts. */
static const struct {
    const char *begin;
    uint8_t kind;
    bool (*rest)(struct sl_relay_parser *p);
} statements[] = {
    {"select", SL_RELAY_SELECT, sl_parser_select},
    {"set statement", SL_RELAY_NOTHING, sl_parser_set_statement},
    {"set", SL_RELAY_SET, sl_parser_set},
    {"show ?global|session|local variables", SL_RELAY_SHOW_VARIABLES, filter},
    {"show ?global|session|local status", SL_RELAY_SHOW_STATUS, filter},
    {"show slave|replica $ status", SL_RELAY_SHOW_SLAVE, channel},
    {"show all slaves|replicas status", SL_RELAY_SHOW_ALL_SLAVES, nothing},
    {"show master|binlog status", SL_RELAY_SHOW_MASTER, nothing},
    {"show binary|master logs", SL_RELAY_SHOW_LOGS, nothing},
    {"show binlog events", SL_RELAY_SHOW_EVENTS, events},
    {"show slave|replica hosts", SL_RELAY_SHOW_HOSTS, nothing},
    {"show ?full processlist", SL_RELAY_SHOW_PROCESSES, nothing},
    {"show warnings|errors", SL_RELAY_SHOW_WARNINGS, sl_parser_limit},
    {"show databases|schemas", SL_RELAY_SHOW_DATABASES, filter},
    {"show ?full tables", SL_RELAY_SHOW_TABLES, anything},
    {"change master $ to", SL_RELAY_CHANGE_MASTER, sl_parser_options},
    {"start slave|replica $", SL_RELAY_START_SLAVE, threads},
    {"start all slaves|replicas", SL_RELAY_START_SLAVE, nothing},
    {"stop slave|replica $", SL_RELAY_STOP_SLAVE, threads},
    {"stop all slaves|replicas", SL_RELAY_STOP_SLAVE, nothing},
    {"reset slave|replica $ ?all", SL_RELAY_RESET_SLAVE, channel},
    {"reset master", SL_RELAY_RESET_MASTER, nothing},
    {"purge binary|master logs to", SL_RELAY_PURGE_TO, file},
    {"purge binary|master logs before", SL_RELAY_PURGE_BEFORE, moment},
    {"flush ?no_write_to_binlog|local ?binary logs", SL_RELAY_FLUSH_LOGS, nothing},
    {"flush", SL_RELAY_NOTHING, anything},
    {"begin ?work", SL_RELAY_NOTHING, nothing},
    {"start transaction", SL_RELAY_NOTHING, anything},
    {"commit", SL_RELAY_NOTHING, anything},
    {"rollback", SL_RELAY_NOTHING, anything},
    {"use", SL_RELAY_USE, database},
    {"unlock tables", SL_RELAY_NOTHING, nothing},
    {"do", SL_RELAY_NOTHING, anything},
};

/* One word of `begin`, which may be a choice. */
static bool take_choice(struct sl_relay_parser *p, const char *choice, size_t len)
{
    for (const char *end = choice + len; choice < end;) {
        const char *bar = memchr(choice, '|', (size_t)(end - choice));
        size_t n = (size_t)((bar ? bar : end) - choice);
        char word[32];
        memcpy(word, choice, n);
        word[n] = 0;
        if (sl_parser_take_word(p, word)) {
            return true;
        }
        choice += n + 1;
    }
    return false;
}

static bool begins(struct sl_relay_parser *p, const char *begin)
{
    while (*begin) {
        size_t len = strcspn(begin, " ");
        if (*begin == '$') {
            bool is_name = p->token.kind == SL_TOK_STRING;
            if (is_name && !sl_parser_take_string(p, &p->statement->connection)) {
                return false;
            }
        } else if (*begin == '?') {
            p->statement->has_option |= take_choice(p, begin + 1, len - 1);
        } else if (!take_choice(p, begin, len)) {
            return false;
        }
        begin += len + (begin[len] == ' ');
    }
    return true;
}

bool sl_parser_statement(struct sl_relay_parser *p)
{
    /* Not the text alone: the first word may stand in an executable comment. */
    const struct sl_lexer lexer = p->lexer;
    const struct sl_token token = p->token;
    for (unsigned i = 0; i < SL_ARRAY_LEN(statements) && p->rc == SL_OK; i++) {
        struct sl_relay_statement *st = p->statement;
        p->lexer = lexer;
        p->token = token;
        st->has_option = false;
        st->connection = sl_slice(NULL, 0);
        st->memory_used = 0;
        if (begins(p, statements[i].begin)) {
            p->statement->kind = statements[i].kind;
            return statements[i].rest(p);
        }
    }
    return false;
}

int sl_relay_statement_parse(const uint8_t *sql, size_t len, struct sl_relay_statement *ret)
{
    memset(ret, 0, sizeof *ret);
    struct sl_relay_parser p = {.statement = ret, .begin = sql, .end = sql + len};
    sl_lexer_init(&p.lexer, sql, len, 0);
    sl_parser_next(&p);
    while (sl_token_is_op(&p.token, ';')) {
        sl_parser_next(&p);
    }
    if (sl_parser_is_end(&p) && !p.lexer.is_broken) {
        ret->kind = SL_RELAY_EMPTY;
        return SL_OK;
    }
    bool is_good = sl_parser_statement(&p);
    bool is_behind = false;
    while (is_good && sl_parser_take_op(&p, ';')) {
        is_behind = true;
    }
    if (is_good && is_behind && !sl_parser_is_end(&p)) {
        ret->rest = sl_slice(p.token.begin, (size_t)(p.end - p.token.begin));
        return SL_OK;
    }
    if (is_good && sl_parser_is_end(&p) && !p.lexer.is_broken) {
        return SL_OK;
    }
    const uint8_t *near = sl_parser_is_end(&p) && is_good ? p.end : p.furthest;
    if (!is_good && sl_parser_is_end(&p)) {
        near = p.end; /* it ends too early */
    }
    near = near ? near : p.end;
    ret->near = sl_slice(near, (size_t)(p.end - near));
    return p.rc < 0 ? p.rc : SL_EPROTO;
}

void sl_relay_statement_clear(struct sl_relay_statement *st)
{
    sl_free(st->memory);
    st->memory = NULL;
}

/* ---- patterns ---- */

bool sl_relay_like(struct sl_slice text, struct sl_slice pattern)
{
    size_t t = 0, p = 0, star = SIZE_MAX, mark = 0;
    while (t < text.len) {
        bool is_escape = p + 1 < pattern.len && pattern.data[p] == '\\';
        uint8_t want = p < pattern.len ? pattern.data[p + is_escape] : 0;
        if (p < pattern.len && !is_escape && want == '%') {
            star = p++;
            mark = t;
        } else if (p < pattern.len &&
                   ((!is_escape && want == '_') || tolower(want) == tolower(text.data[t]))) {
            p += 1 + is_escape;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '%') {
        p++;
    }
    return p == pattern.len;
}

bool sl_relay_statement_wants(const struct sl_relay_statement *st, const char *name)
{
    for (unsigned i = 0; i < st->pattern_count; i++) {
        const struct sl_relay_pattern *pattern = &st->patterns[i];
        if (pattern->is_like ? sl_relay_like(sl_slice_text(name), pattern->text)
                             : sl_slice_equal_nocase(pattern->text, name)) {
            return true;
        }
    }
    return st->pattern_count == 0;
}
