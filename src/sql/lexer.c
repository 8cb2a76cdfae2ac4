/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SQL lexer; see lexer.h. One byte class table drives it: the class of a token's first byte
 * picks the function that finds its end. Words go through a perfect hash made by gen_words.py.
 *
 * Invariants: begin <= text <= end of every token lie inside the text; pos never moves back except
 * in sl_lexer_skip_list, and there not before where it started, so the lexer always ends.
 */
#include "sql/lexer.h"

#include <endian.h>
#include <string.h>

#include "base/assert.h"
#include "sql/scan.h"

enum byte_class {
    B_OTHER, /* an operator of one byte */
    B_SPACE,
    B_WORD,
    B_DIGIT,
    B_QUOTE,
    B_DOUBLE,
    B_BACKTICK,
    B_AT,
    B_DOT,
    B_MINUS,
    B_HASH,
    B_SLASH,
    B_STAR,
    B_COLON,
    B_PARAM
};

#define B_SPACES [' '] = B_SPACE, ['\t' ... '\r'] = B_SPACE
#define B_WORDS                                                                                    \
    ['a' ... 'z'] = B_WORD, ['A' ... 'Z'] = B_WORD, ['_'] = B_WORD, ['$'] = B_WORD,                \
             [0x80 ... 0xFF] = B_WORD
static const uint8_t classes[256] = {
    B_SPACES,           B_WORDS,        ['0' ... '9'] = B_DIGIT, ['\''] = B_QUOTE, ['"'] = B_DOUBLE,
    ['`'] = B_BACKTICK, ['@'] = B_AT,   ['.'] = B_DOT,           ['-'] = B_MINUS,  ['#'] = B_HASH,
    ['/'] = B_SLASH,    ['*'] = B_STAR, [':'] = B_COLON,         ['?'] = B_PARAM,
};
static const bool word_bytes[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true,   ['_'] = true,
    ['$'] = true,         [0x80 ... 0xFF] = true, ['0' ... '9'] = true,
};

struct word_row {
    uint64_t a;
    uint64_t b;
    const char *text;
    uint8_t len;
    uint8_t flags;
};

#include "sql/words_table.h"

#define FOLD64 UINT64_C(0x2020202020202020)
#define HASH_MULTIPLIER UINT64_C(0x9E3779B97F4A7C15)

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static inline uint32_t load32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

/* Setting bit 5 folds the case of letters and keeps apart all other bytes a word can have. */
static inline void word_keys(const uint8_t *p, size_t len, uint64_t *a, uint64_t *b)
{
    if (len >= 8) {
        *a = load64(p) | FOLD64;
        *b = load64(p + len - 8) | FOLD64;
    } else if (len >= 4) {
        *a = load32(p) | (FOLD64 >> 32);
        *b = load32(p + len - 4) | (FOLD64 >> 32);
    } else {
        *a = ((uint64_t)p[0] | (uint64_t)p[len / 2] << 8 | (uint64_t)p[len - 1] << 16) | 0x202020u;
        *b = 0;
    }
}

static bool equal_folded(const uint8_t *p, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((p[i] | 0x20) != ((uint8_t)text[i] | 0x20)) {
            return false;
        }
    }
    return true;
}

enum sl_word sl_word_find(const uint8_t *data, size_t len, uint8_t *ret_flags)
{
    uint64_t a;
    uint64_t b;

    *ret_flags = 0;
    if (len == 0 || len > UINT8_MAX) {
        return SL_W_NONE;
    }
    word_keys(data, len, &a, &b);
    uint64_t h = (a ^ (b << 31 | b >> 33) ^ len) * HASH_MULTIPLIER;
    h = (h ^ h >> 29) * HASH_MULTIPLIER;
    const size_t slot = ((h >> 32) + word_moves[h >> 56]) % SL_ARRAY_LEN(word_slots);
    const struct word_row *row = &word_rows[word_slots[slot]];
    if (row->len != len || row->a != a || row->b != b) {
        return SL_W_NONE;
    }
    if (len > 16 && !equal_folded(data + 8, row->text + 8, len - 16)) {
        return SL_W_NONE;
    }
    *ret_flags = row->flags;
    return (enum sl_word)(row - word_rows);
}

void sl_lexer_init(struct sl_lexer *lx, const uint8_t *sql, size_t len, unsigned mode_bits)
{
    if (mode_bits & SL_SQL_ORACLE) {
        mode_bits |= SL_SQL_ANSI_QUOTES | SL_SQL_IGNORE_SPACE;
    }
    if (sql == NULL) {
        sl_assert(len == 0);
        sql = (const uint8_t *)"";
    }
    *lx = (struct sl_lexer){
        .pos = sql,
        .end = sql + len,
        .mode_bits = mode_bits,
        .last_kind = SL_TOK_END,
        .last_end = sql,
    };
}

static inline bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* The byte n behind the position; 0 behind the end, which is what the server's lexer sees there. */
static inline uint8_t peek(const struct sl_lexer *lx, size_t n)
{
    return (size_t)(lx->end - lx->pos) > n ? lx->pos[n] : 0;
}

static inline const uint8_t *word_end(const uint8_t *p, const uint8_t *end)
{
    while (p < end && word_bytes[*p]) {
        p++;
    }
    return p;
}

/* From behind an opening quote to behind the closing one; a doubled quote is part of the text. */
static const uint8_t *quoted_end(struct sl_lexer *lx, const uint8_t *p, uint8_t quote,
                                 bool has_backslash)
{
    const uint8_t escape = has_backslash ? '\\' : quote;

    for (;;) {
        p = sl_scan_either(p, lx->end, quote, escape);
        if (lx->end - p < 2) {
            lx->is_broken |= p == lx->end || *p != quote;
            return lx->end;
        }
        if (*p == quote && p[1] != quote) {
            return p + 1;
        }
        p += 2;
    }
}

static void lex_quoted(struct sl_lexer *lx, struct sl_token *tok, uint8_t kind, size_t prefix_len)
{
    const uint8_t *open = lx->pos + prefix_len;
    const bool has_backslash =
        kind == SL_TOK_STRING && !(lx->mode_bits & SL_SQL_NO_BACKSLASH_ESCAPES);
    const bool was_broken = lx->is_broken;

    lx->is_broken = false;
    tok->kind = kind;
    tok->end = quoted_end(lx, open + 1, *open, has_backslash);
    tok->text = sl_slice(open + 1, (size_t)(tok->end - open) - (lx->is_broken ? 1 : 2));
    lx->is_broken |= was_broken;
}

/* x'..', b'..' and n'..' are literals; anything else in front of a quote is a word of its own. */
static bool is_literal_prefix(const uint8_t *p, size_t len, const uint8_t *end)
{
    if (len != 1 || p + 1 >= end || p[1] != '\'') {
        return false;
    }
    const uint8_t c = p[0] | 0x20;
    return c == 'x' || c == 'b' || c == 'n';
}

static inline void lex_word(struct sl_lexer *lx, struct sl_token *tok)
{
    const uint8_t *end = word_end(lx->pos, lx->end);
    const size_t len = (size_t)(end - lx->pos);

    if (is_literal_prefix(lx->pos, len, lx->end)) {
        lex_quoted(lx, tok, SL_TOK_STRING, 1);
        return;
    }
    tok->kind = SL_TOK_WORD;
    tok->end = end;
    tok->text = sl_slice(lx->pos, len);
    tok->word = (uint16_t)sl_word_find(lx->pos, len, &tok->word_flags);
    if (tok->is_after_dot) {
        tok->word_flags = 0;
    }
}

static const uint8_t *exponent_end(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *q = p + 1;

    if (p >= end || (*p | 0x20) != 'e') {
        return p;
    }
    if (q < end && (*q == '+' || *q == '-')) {
        q++;
    }
    if (q >= end || !is_digit(*q)) {
        return p;
    }
    while (q < end && is_digit(*q)) {
        q++;
    }
    return q;
}

static bool is_prefixed_number(const uint8_t *p, const uint8_t *end)
{
    if (end - p < 3 || p[0] != '0' || (p[1] != 'x' && p[1] != 'b')) {
        return false;
    }
    for (const uint8_t *q = p + 2; q < end; q++) {
        const uint8_t c = *q | 0x20;
        const bool is_hex = is_digit(*q) || (c >= 'a' && c <= 'f');
        if (p[1] == 'x' ? !is_hex : (*q != '0' && *q != '1')) {
            return false;
        }
    }
    return true;
}

/* A digit may begin a number or a name such as 2fast; the server decides it the same way. */
static void lex_number(struct sl_lexer *lx, struct sl_token *tok)
{
    const uint8_t *p = lx->pos;

    while (p < lx->end && is_digit(*p)) {
        p++;
    }
    if (p < lx->end && word_bytes[*p]) {
        const uint8_t *name_end = word_end(p, lx->end);
        const uint8_t *number_end = exponent_end(p, lx->end);
        if (tok->is_after_dot ||
            (number_end < name_end && !is_prefixed_number(lx->pos, name_end))) {
            lex_word(lx, tok);
            return;
        }
        p = number_end < name_end ? name_end : number_end;
    } else if (p < lx->end && *p == '.' && !tok->is_after_dot) {
        p++;
        while (p < lx->end && is_digit(*p)) {
            p++;
        }
        p = exponent_end(p, lx->end);
    }
    tok->kind = SL_TOK_NUMBER;
    tok->end = p;
    tok->text = sl_slice(lx->pos, (size_t)(p - lx->pos));
}

/* The name of a variable at p: a word or quoted. Gives the position behind it. */
static const uint8_t *variable_name(struct sl_lexer *lx, const uint8_t *p, bool has_dots,
                                    struct sl_slice *ret_name)
{
    const uint8_t *begin = p;

    if (p < lx->end && (*p == '`' || (has_dots && (*p == '\'' || *p == '"')))) {
        struct sl_token name;
        const uint8_t *saved = lx->pos;
        lx->pos = p;
        lex_quoted(lx, &name, *p == '`' ? SL_TOK_QUOTED : SL_TOK_STRING, 0);
        lx->pos = saved;
        *ret_name = name.text;
        return name.end;
    }
    while (p < lx->end && (word_bytes[*p] || (has_dots && *p == '.'))) {
        p++;
    }
    *ret_name = sl_slice(begin, (size_t)(p - begin));
    return p;
}

static const uint8_t *skip_blanks(const uint8_t *p, const uint8_t *end)
{
    while (p < end && classes[*p] == B_SPACE) {
        p++;
    }
    return p;
}

static void lex_sysvar(struct sl_lexer *lx, struct sl_token *tok)
{
    const uint8_t *p = variable_name(lx, skip_blanks(lx->pos + 2, lx->end), false, &tok->text);

    tok->kind = SL_TOK_SYSVAR;
    for (;;) {
        const uint8_t *dot = skip_blanks(p, lx->end);
        if (dot >= lx->end || *dot != '.') {
            break;
        }
        uint8_t flags;
        const enum sl_word scope = sl_word_find(tok->text.data, tok->text.len, &flags);
        if (scope == SL_W_GLOBAL) {
            tok->scope = SL_SCOPE_GLOBAL;
        } else if (scope == SL_W_SESSION || scope == SL_W_LOCAL) {
            tok->scope = SL_SCOPE_SESSION;
        }
        p = variable_name(lx, skip_blanks(dot + 1, lx->end), false, &tok->text);
    }
    tok->end = p;
    tok->word = (uint16_t)sl_word_find(tok->text.data, tok->text.len, &tok->word_flags);
}

/* '@' straight behind a name or a string is the host part of an account: there no variable
 * can stand. */
static bool is_host(const struct sl_lexer *lx)
{
    if (lx->last_end != lx->pos) {
        return false;
    }
    return lx->last_kind == SL_TOK_STRING || lx->last_kind == SL_TOK_QUOTED ||
           (lx->last_kind == SL_TOK_WORD && !(lx->last_flags & SL_WORD_KEYWORD));
}

static void lex_at(struct sl_lexer *lx, struct sl_token *tok)
{
    if (peek(lx, 1) == '@') {
        lex_sysvar(lx, tok);
        return;
    }
    tok->kind = is_host(lx) ? SL_TOK_HOST : SL_TOK_USERVAR;
    tok->end = variable_name(lx, lx->pos + 1, true, &tok->text);
}

static void lex_op(struct sl_lexer *lx, struct sl_token *tok)
{
    tok->kind = SL_TOK_OP;
    tok->op = *lx->pos;
    tok->end = lx->pos + 1;
}

static void lex_line_comment(struct sl_lexer *lx, struct sl_token *tok, size_t mark_len)
{
    const uint8_t *inside = lx->pos + mark_len;
    const uint8_t *end = memchr(inside, '\n', (size_t)(lx->end - inside));

    tok->kind = SL_TOK_COMMENT;
    tok->end = end != NULL ? end : lx->end;
    tok->text = sl_slice(inside, (size_t)(tok->end - inside));
}

static const uint8_t *find_pair(const uint8_t *p, const uint8_t *end, uint8_t first, uint8_t second)
{
    while (end - p >= 2) {
        p = memchr(p, first, (size_t)(end - p) - 1);
        if (p == NULL) {
            return NULL;
        }
        if (p[1] == second) {
            return p;
        }
        p++;
    }
    return NULL;
}

/* From inside a comment that is not code to behind its end. A skipped executable comment may hold
 * one plain comment inside (consume_comment() in the server's sql_lex.cc). */
static const uint8_t *comment_end(struct sl_lexer *lx, const uint8_t *p, bool may_nest)
{
    while (may_nest) {
        const uint8_t *close = find_pair(p, lx->end, '*', '/');
        const uint8_t *open = find_pair(p, close != NULL ? close : lx->end, '/', '*');
        if (open == NULL) {
            break;
        }
        p = comment_end(lx, open + 2, false);
    }
    const uint8_t *close = find_pair(p, lx->end, '*', '/');
    if (close == NULL) {
        lx->is_broken = true;
        return lx->end;
    }
    return close + 2;
}

/* Behind the mark of an executable comment: 5 or 6 digits are a version, anything else is code. */
static uint32_t comment_version(const uint8_t *p, const uint8_t *end, size_t *ret_len)
{
    uint32_t version = 0;
    size_t len = 0;

    while (len < 6 && p + len < end && is_digit(p[len])) {
        version = version * 10 + (p[len] - '0');
        len++;
    }
    *ret_len = len >= 5 ? len : 0;
    return len >= 5 ? version : 0;
}

/*
 * Enters an executable comment, or gives a token for one that the server skips. The rule is that of
 * MariaDB's sql_lex.cc: code if its version is not newer than the server, but versions 50700..99999
 * belong to MySQL and count only with the M mark.
 */
static bool lex_executable(struct sl_lexer *lx, struct sl_token *tok)
{
    const bool is_mariadb = lx->pos[2] == 'M';
    const uint8_t *p = lx->pos + (is_mariadb ? 4 : 3);
    size_t digits;
    const uint32_t version = comment_version(p, lx->end, &digits);
    const bool is_mysql = version >= 50700 && version <= 99999 && !is_mariadb;

    lx->has_executable_comment = true;
    lx->has_version_comment |= version >= SL_SQL_UNSURE_VERSION;
    if (version <= SL_SQL_SERVER_VERSION && !is_mysql) {
        lx->in_executable = true;
        lx->pos = p + digits;
        return false;
    }
    tok->kind = SL_TOK_COMMENT;
    tok->end = comment_end(lx, p, true);
    tok->text = sl_slice(p, (size_t)(tok->end - p));
    return true;
}

/* false: nothing to give, go on at the (moved) position. */
static bool lex_slash(struct sl_lexer *lx, struct sl_token *tok)
{
    if (peek(lx, 1) != '*') {
        lex_op(lx, tok);
        return true;
    }
    if (peek(lx, 2) == '!' || (peek(lx, 2) == 'M' && peek(lx, 3) == '!')) {
        return lex_executable(lx, tok);
    }
    const uint8_t *inside = lx->pos + 2;
    const bool was_broken = lx->is_broken;
    lx->is_broken = false;
    tok->kind = SL_TOK_COMMENT;
    tok->end = comment_end(lx, inside, false);
    tok->text = sl_slice(inside, (size_t)(tok->end - inside) - (lx->is_broken ? 0 : 2));
    lx->is_broken |= was_broken;
    return true;
}

static bool lex_star(struct sl_lexer *lx, struct sl_token *tok)
{
    if (lx->in_executable && peek(lx, 1) == '/') {
        lx->in_executable = false;
        lx->pos += 2;
        return false;
    }
    lex_op(lx, tok);
    return true;
}

static void lex_minus(struct sl_lexer *lx, struct sl_token *tok)
{
    const uint8_t third = peek(lx, 2);

    /* Two minus signs begin a comment only in front of a blank, a control character or the end. */
    if (peek(lx, 1) == '-' && (third <= ' ' || third == 0x7F)) {
        lex_line_comment(lx, tok, 2);
        return;
    }
    lex_op(lx, tok);
}

static void lex_dot(struct sl_lexer *lx, struct sl_token *tok)
{
    const bool is_separator =
        lx->last_end == lx->pos && (lx->last_kind == SL_TOK_WORD || lx->last_kind == SL_TOK_QUOTED);

    if (is_separator || !is_digit(peek(lx, 1))) {
        lex_op(lx, tok);
        return;
    }
    const uint8_t *p = lx->pos + 1;
    while (p < lx->end && is_digit(*p)) {
        p++;
    }
    tok->kind = SL_TOK_NUMBER;
    tok->end = exponent_end(p, lx->end);
    tok->text = sl_slice(lx->pos, (size_t)(tok->end - lx->pos));
}

static void lex_colon(struct sl_lexer *lx, struct sl_token *tok)
{
    lex_op(lx, tok);
    if (peek(lx, 1) == '=') {
        tok->op = SL_OP_ASSIGN;
        tok->end = lx->pos + 2;
    }
}

/* Fills the token at the position; false if there was only something to skip. */
static bool lex_rare(struct sl_lexer *lx, struct sl_token *tok, uint8_t byte_class)
{
    switch (byte_class) {
    case B_QUOTE:
        lex_quoted(lx, tok, SL_TOK_STRING, 0);
        return true;
    case B_DOUBLE:
        lex_quoted(lx, tok, lx->mode_bits & SL_SQL_ANSI_QUOTES ? SL_TOK_QUOTED : SL_TOK_STRING, 0);
        return true;
    case B_BACKTICK:
        lex_quoted(lx, tok, SL_TOK_QUOTED, 0);
        return true;
    case B_AT:
        lex_at(lx, tok);
        return true;
    case B_DOT:
        lex_dot(lx, tok);
        return true;
    case B_MINUS:
        lex_minus(lx, tok);
        return true;
    case B_HASH:
        lex_line_comment(lx, tok, 1);
        return true;
    case B_SLASH:
        return lex_slash(lx, tok);
    case B_STAR:
        return lex_star(lx, tok);
    case B_COLON:
        lex_colon(lx, tok);
        return true;
    case B_PARAM:
        lex_op(lx, tok);
        tok->kind = SL_TOK_PARAM;
        return true;
    default:
        lex_op(lx, tok);
        return true;
    }
}

static void token_clear(const struct sl_lexer *lx, struct sl_token *tok)
{
    tok->kind = SL_TOK_END;
    tok->word_flags = 0;
    tok->scope = SL_SCOPE_NONE;
    tok->is_after_dot = lx->last_kind == SL_TOK_OP && lx->last_op == '.';
    tok->word = SL_W_NONE;
    tok->op = 0;
    tok->begin = lx->pos;
    tok->end = lx->pos;
    tok->text = (struct sl_slice){lx->pos, 0};
}

/* One token or one comment at the position; false at the end of the text. */
static inline bool lex_one(struct sl_lexer *lx, struct sl_token *tok)
{
    for (;;) {
        while (lx->pos < lx->end && classes[*lx->pos] == B_SPACE) {
            lx->pos++;
        }
        token_clear(lx, tok);
        if (lx->pos >= lx->end) {
            lx->is_broken |= lx->in_executable;
            return false;
        }
        const uint8_t byte_class = classes[*lx->pos];
        if (byte_class == B_WORD) {
            lex_word(lx, tok);
            return true;
        }
        if (byte_class == B_DIGIT) {
            lex_number(lx, tok);
            return true;
        }
        if (byte_class == B_OTHER) {
            lex_op(lx, tok);
            return true;
        }
        if (lex_rare(lx, tok, byte_class)) {
            return true;
        }
    }
}

bool sl_lexer_next(struct sl_lexer *lx, struct sl_token *tok)
{
    do {
        if (!lex_one(lx, tok)) {
            return false;
        }
        lx->pos = tok->end;
    } while (tok->kind == SL_TOK_COMMENT && !lx->want_comments);
    if (tok->kind != SL_TOK_COMMENT) {
        lx->last_kind = tok->kind;
        lx->last_flags = tok->word_flags;
        lx->last_op = tok->op;
        lx->last_end = tok->end;
    }
    return true;
}

void sl_lexer_skip_list(struct sl_lexer *lx)
{
    const uint8_t *start = lx->pos;
    const uint8_t *p = sl_scan_list(start, lx->end);

    /* What follows may be a word that begins with digits, or a name behind a dot.
     * Leave it whole. */
    while (p > start && (is_digit(p[-1]) || p[-1] == '.')) {
        p--;
    }
    const uint8_t *last = p;
    while (last > start && classes[last[-1]] == B_SPACE) {
        last--;
    }
    if (last == start) {
        return;
    }
    lx->pos = p;
    lx->last_end = last;
    lx->last_flags = 0;
    lx->last_kind = is_digit(last[-1]) ? SL_TOK_NUMBER : SL_TOK_OP;
    lx->last_op = is_digit(last[-1]) ? 0 : last[-1];
}
