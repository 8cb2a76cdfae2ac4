/* SPDX-License-Identifier: Apache-2.0 */
/* Folding of lists in canonical text; see form.h. One pass, left to right, into another buffer. */
#include "sql/form.h"

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "base/map.h"
#include "sql/digest.h"

#define MORE ", ..."
#define MORE_LEN 5

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (unsigned char)c >= 0x80;
}

static size_t skip_blanks(const char *text, size_t at, size_t end)
{
    while (at < end && text[at] == ' ') {
        at++;
    }
    return at;
}

/* Behind `,` and the blanks around it, or `at` if there is no comma. */
static size_t skip_comma(const char *text, size_t at, size_t end)
{
    size_t comma = skip_blanks(text, at, end);
    return comma < end && text[comma] == ',' ? skip_blanks(text, comma + 1, end) : at;
}

static bool is_value(const char *text, size_t at, size_t end)
{
    return at < end && text[at] == '?' && (at + 1 == end || !is_name_byte(text[at + 1]));
}

/* Behind `?, ?, ?`; *ret_count gets how many. At the end of a cut text the list may end anyhow. */
static size_t skip_values(const char *text, size_t at, size_t end, unsigned *ret_count)
{
    *ret_count = 0;
    size_t behind = at;
    while (is_value(text, at, end)) {
        behind = at + 1;
        ++*ret_count;
        at = skip_comma(text, behind, end);
        if (at == behind) {
            break;
        }
        behind = at == end ? end : behind;
    }
    return behind;
}

/* Behind `(?, ?)`, or `at` if there is no such row. A row that the text's end cuts is one. */
static size_t skip_row(const char *text, size_t at, size_t end)
{
    unsigned count;
    if (at >= end || text[at] != '(') {
        return at;
    }
    size_t inside = skip_blanks(text, at + 1, end);
    size_t behind = skip_blanks(text, skip_values(text, inside, end, &count), end);
    if (behind == end) {
        return end;
    }
    return count > 0 && text[behind] == ')' ? behind + 1 : at;
}

/* Behind the rows that follow `at`, each with a comma in front. */
static size_t skip_rows(const char *text, size_t at, size_t end)
{
    for (;;) {
        size_t next = skip_comma(text, at, end);
        if (next == at) {
            return at;
        }
        size_t behind = next == end ? end : skip_row(text, next, end);
        if (behind == next && next != end) {
            return at;
        }
        at = behind;
    }
}

/* Behind a quoted name, the quotes included. */
static size_t skip_quoted(const char *text, size_t at, size_t end)
{
    const char *close = memchr(text + at + 1, text[at], end - at - 1);
    return close ? (size_t)(close - text) + 1 : end;
}

struct fold {
    const char *text;
    size_t end;
    size_t in; /* next byte to read */
    char *out;
    size_t size;
    size_t used;
};

static void put(struct fold *f, const char *data, size_t len)
{
    len = SL_MIN(len, f->size - f->used);
    memcpy(f->out + f->used, data, len);
    f->used += len;
}

static void copy(struct fold *f, size_t until)
{
    put(f, f->text + f->in, until - f->in);
    f->in = until;
}

static void fold_values(struct fold *f)
{
    unsigned count;
    size_t behind = skip_values(f->text, f->in, f->end, &count);
    copy(f, f->in + 1);
    if (count > 1) {
        put(f, MORE, MORE_LEN);
        f->in = behind;
    }
}

/* A bracket: of a row of values, then of rows of values behind it, or of anything else. */
static void fold_rows(struct fold *f)
{
    unsigned count;
    size_t row_end = skip_row(f->text, f->in, f->end);
    size_t first = skip_blanks(f->text, f->in + 1, f->end);
    if (row_end == f->in) {
        copy(f, f->in + 1);
        return;
    }
    size_t last = skip_rows(f->text, row_end, f->end);
    skip_values(f->text, first, f->end, &count);
    put(f, count > 1 ? "(?" MORE ")" : "(?)", count > 1 ? 3 + MORE_LEN : 3);
    if (last > row_end) {
        put(f, MORE, MORE_LEN);
    }
    f->in = last;
}

/* Behind the bytes that need no look. */
static size_t skip_plain(const char *text, size_t at, size_t end)
{
    while (at < end && text[at] != '(' && text[at] != '?' && text[at] != '`' && text[at] != '"') {
        at++;
    }
    return at;
}

size_t sl_sql_fold_lists(const char *text, size_t len, char *out, size_t size)
{
    struct fold f = {.text = text, .end = len, .out = out, .size = size};
    while (f.in < f.end) {
        copy(&f, skip_plain(text, f.in, f.end));
        if (f.in == f.end) {
            break;
        }
        if (text[f.in] == '(') {
            fold_rows(&f);
        } else if (is_value(text, f.in, f.end)) {
            fold_values(&f);
        } else {
            copy(&f, text[f.in] == '?' ? f.in + 1 : skip_quoted(text, f.in, f.end));
        }
    }
    return f.used;
}

uint64_t sl_sql_form(const uint8_t *sql, size_t len, unsigned mode_bits, char out[SL_SQL_FORM_ROOM],
                     size_t *ret_len)
{
    char raw[SL_SQL_FORM_ROOM];
    size_t full = sl_sql_canonical(sql, SL_MIN(len, (size_t)SL_SQL_FORM_LEXED_MAX), mode_bits, raw,
                                   sizeof raw);
    size_t there = SL_MIN(full, sizeof raw - 1);
    there = sl_sql_fold_lists(raw, there, out, SL_SQL_FORM_ROOM);
    while (there > 0 && (out[there - 1] == ';' || out[there - 1] == ' ')) {
        there--; /* with or without them it is the same statement */
    }
    *ret_len = there;
    return sl_hash(out, there);
}
