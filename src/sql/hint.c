/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routing hints in comments; see hint.h. The lexer finds the comments, so what looks like one inside
 * a string is none. Facts: MaxScale 24.02 documentation, page Hintfilter.
 *
 * Invariants: in_force[0 .. min(depth, SL_HINT_DEPTH_MAX)) is filled; depth counts what did not fit
 * too, so that each `end` ends what its `begin` began.
 */
#include "sql/hint.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sql/lexer.h"

static const char mark[] = "maxscale";

struct named {
    char name[SL_HINT_NAME_MAX + 1];
    struct sl_hint hint;
};

struct sl_hint_stack {
    uint32_t depth;
    uint32_t name_count;
    struct sl_hint in_force[SL_HINT_DEPTH_MAX];
    struct named names[SL_HINT_NAMES_MAX];
};

void sl_hint_stack_free(struct sl_hint_stack *stack)
{
    sl_free(stack);
}

/* ---- one comment ---- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next word, or "="; empty at the end. */
static struct sl_slice next_word(struct sl_slice *rest)
{
    while (rest->len > 0 && is_blank(rest->data[0])) {
        *rest = sl_slice(rest->data + 1, rest->len - 1);
    }
    size_t n = 0;
    while (n < rest->len && !is_blank(rest->data[n]) && rest->data[n] != '=') {
        n++;
    }
    n = n == 0 && rest->len > 0 ? 1 : n;
    struct sl_slice word = sl_slice(rest->data, n);
    *rest = sl_slice(rest->data + n, rest->len - n);
    return word;
}

static bool is(struct sl_slice word, const char *text)
{
    return sl_slice_equal(word, sl_slice_text(text));
}

static bool parse_seconds(struct sl_slice word, uint32_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < word.len; i++) {
        if (word.data[i] < '0' || word.data[i] > '9' || value > UINT32_MAX) {
            return false;
        }
        value = value * 10 + (word.data[i] - '0');
    }
    *ret = (uint32_t)value;
    return word.len > 0 && value <= UINT32_MAX;
}

static bool parse_route(struct sl_slice *rest, struct sl_hint_line *ret)
{
    static const struct {
        const char *word;
        enum sl_hint_target target;
    } targets[] = {{"master", SL_HINT_MASTER},
                   {"slave", SL_HINT_SLAVE},
                   {"last", SL_HINT_LAST},
                   {"server", SL_HINT_SERVER}};
    if (!is(next_word(rest), "to")) {
        return false;
    }
    struct sl_slice word = next_word(rest);
    for (size_t i = 0; i < SL_ARRAY_LEN(targets); i++) {
        if (is(word, targets[i].word)) {
            ret->target = (uint8_t)targets[i].target;
        }
    }
    if (ret->target == SL_HINT_SERVER) {
        ret->server = next_word(rest);
        return ret->server.len > 0 && !is(ret->server, "=");
    }
    return ret->target != SL_HINT_NONE;
}

/* HINT: a route, or a parameter; `word` is its first word. */
static bool parse_hint(struct sl_slice word, struct sl_slice *rest, struct sl_hint_line *ret)
{
    ret->has_hint = true;
    if (is(word, "route")) {
        return parse_route(rest, ret);
    }
    return is(word, "max_slave_replication_lag") && is(next_word(rest), "=") &&
           parse_seconds(next_word(rest), &ret->lag_s);
}

static bool is_begin(struct sl_slice word)
{
    return is(word, "begin") || is(word, "start");
}

/* NAME prepare HINT, NAME begin [HINT]. */
static bool parse_named(struct sl_slice name, struct sl_slice *rest, struct sl_hint_line *ret)
{
    struct sl_slice verb = next_word(rest);
    struct sl_slice word = next_word(rest);
    ret->name = name;
    ret->action = is(verb, "prepare") ? SL_HINT_PREPARE : SL_HINT_BEGIN;
    if (is(name, "=") || !(is(verb, "prepare") || is_begin(verb))) {
        return false;
    }
    if (word.len == 0) {
        return ret->action == SL_HINT_BEGIN;
    }
    return parse_hint(word, rest, ret);
}

static bool parse_body(struct sl_slice *rest, struct sl_hint_line *ret)
{
    struct sl_slice word = next_word(rest);
    if (is(word, "end") || is(word, "stop")) {
        ret->action = SL_HINT_END;
        return true;
    }
    if (is_begin(word)) {
        ret->action = SL_HINT_BEGIN;
        return parse_hint(next_word(rest), rest, ret);
    }
    if (is(word, "route") || is(word, "max_slave_replication_lag")) {
        ret->action = SL_HINT_APPLY;
        return parse_hint(word, rest, ret);
    }
    return parse_named(word, rest, ret);
}

bool sl_hint_parse(struct sl_slice comment, struct sl_hint_line *ret)
{
    struct sl_slice rest = comment;
    *ret = (struct sl_hint_line){.action = SL_HINT_APPLY};
    return is(next_word(&rest), mark) && parse_body(&rest, ret) && next_word(&rest).len == 0;
}

/* ---- the stack ---- */

struct reader {
    struct sl_hint_stack **stack;
    sl_hint_server_at *server_at;
    void *arg;
    struct sl_hint own;
    bool has_own;
};

static struct sl_hint resolve(const struct reader *r, const struct sl_hint_line *line)
{
    struct sl_hint h = {.target = line->target};
    if (!line->has_hint) {
        return h;
    }
    if (line->target == SL_HINT_SERVER) {
        int at = r->server_at(r->arg, line->server);
        h.server = (int16_t)(at < 0 || at > INT16_MAX ? -1 : at);
    } else if (line->target == SL_HINT_NONE) {
        h.has_lag = true;
        h.lag_s = line->lag_s;
    }
    return h;
}

static struct sl_hint_stack *need_stack(struct reader *r)
{
    if (!*r->stack) {
        *r->stack = sl_calloc(1, sizeof **r->stack);
    }
    return *r->stack;
}

static struct named *find_name(struct sl_hint_stack *stack, struct sl_slice name)
{
    for (uint32_t i = 0; i < stack->name_count; i++) {
        if (sl_slice_equal(name, sl_slice_text(stack->names[i].name))) {
            return &stack->names[i];
        }
    }
    return NULL;
}

static void define(struct sl_hint_stack *stack, struct sl_slice name, struct sl_hint hint)
{
    struct named *n = find_name(stack, name);
    if (!n) {
        bool has_nul = memchr(name.data, 0, name.len) != NULL;
        if (stack->name_count == SL_HINT_NAMES_MAX || name.len > SL_HINT_NAME_MAX || has_nul) {
            return;
        }
        n = &stack->names[stack->name_count++];
        memcpy(n->name, name.data, name.len);
        n->name[name.len] = 0;
    }
    n->hint = hint;
}

static void push(struct sl_hint_stack *stack, struct sl_hint hint)
{
    if (stack->depth < SL_HINT_DEPTH_MAX) {
        stack->in_force[stack->depth] = hint;
    }
    stack->depth += stack->depth < UINT32_MAX;
}

static void begin(struct sl_hint_stack *stack, const struct sl_hint_line *line, struct sl_hint hint)
{
    if (line->name.len > 0 && line->has_hint) {
        define(stack, line->name, hint);
    } else if (line->name.len > 0) {
        const struct named *n = find_name(stack, line->name);
        hint = n ? n->hint : hint;
    }
    push(stack, hint);
}

/* Several comments of one statement: the later target counts, but nothing changes the master. */
static void apply(struct reader *r, struct sl_hint hint)
{
    r->has_own = true;
    if (hint.target != SL_HINT_NONE && r->own.target != SL_HINT_MASTER) {
        r->own.target = hint.target;
        r->own.server = hint.server;
    }
    if (hint.has_lag) {
        r->own.has_lag = true;
        r->own.lag_s = hint.lag_s;
    }
}

static void take(struct reader *r, struct sl_slice comment)
{
    struct sl_hint_line line;
    if (!sl_hint_parse(comment, &line)) {
        return;
    }
    struct sl_hint hint = resolve(r, &line);
    if (line.action == SL_HINT_APPLY) {
        apply(r, hint);
    } else if (line.action == SL_HINT_END) {
        if (*r->stack && (*r->stack)->depth > 0) {
            (*r->stack)->depth--;
        }
    } else if (!need_stack(r)) {
        return;
    } else if (line.action == SL_HINT_PREPARE) {
        define(*r->stack, line.name, hint);
    } else {
        begin(*r->stack, &line, hint);
    }
}

struct sl_hint sl_hints_in_force(const struct sl_hint_stack *stack)
{
    if (!stack || stack->depth == 0) {
        return (struct sl_hint){0};
    }
    uint32_t top = stack->depth < SL_HINT_DEPTH_MAX ? stack->depth : SL_HINT_DEPTH_MAX;
    return stack->in_force[top - 1];
}

struct sl_hint sl_hints_read(struct sl_hint_stack **stack, const uint8_t *sql, size_t len,
                             unsigned mode_bits, sl_hint_server_at *server_at, void *arg)
{
    struct reader r = {.stack = stack, .server_at = server_at, .arg = arg};
    /* most statements have none: no need to look at their tokens */
    if (len > 0 && memmem(sql, len, mark, sizeof mark - 1)) {
        struct sl_lexer lx;
        struct sl_token tok;
        sl_lexer_init(&lx, sql, len, mode_bits);
        lx.want_comments = true;
        while (sl_lexer_next(&lx, &tok)) {
            if (tok.kind == SL_TOK_COMMENT) {
                take(&r, tok.text);
            }
        }
    }
    return r.has_own ? r.own : sl_hints_in_force(*stack);
}
