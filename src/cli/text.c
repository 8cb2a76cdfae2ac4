/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of the CLI, see text.h. One thread.
 */
#include "cli/text.h"

#include <ctype.h>
#include <locale.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"

#define NEAREST_BYTES_MAX 64

void sl_cli_locale_set(void)
{
    setlocale(LC_TIME, "");
    setlocale(LC_CTYPE, "C.UTF-8");
}

void sl_cli_text_put_bytes(struct sl_buf *b, const void *data, size_t len)
{
    sl_assert(sl_buf_append(b, data, len) == SL_OK);
}

void sl_cli_text_put(struct sl_buf *b, const char *text)
{
    sl_cli_text_put_bytes(b, text, strlen(text));
}

void sl_cli_text_putf(struct sl_buf *b, const char *fmt, ...)
{
    va_list args;
    va_list again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    sl_assert(len >= 0 && sl_buf_reserve(b, (size_t)len + 1) == SL_OK);
    vsnprintf((char *)b->data + b->end, (size_t)len + 1, fmt, again);
    sl_buf_commit(b, (size_t)len);
    va_end(again);
    va_end(args);
}

char *sl_cli_text_copy(const char *text, size_t len)
{
    char *copy = sl_strndup(text, len);
    sl_assert(copy != NULL);
    return copy;
}

char *sl_cli_text_take(struct sl_buf *b)
{
    size_t len = sl_buf_len(b);
    char *text = sl_xcalloc(len + 1, 1);
    if (len > 0) {
        memcpy(text, b->data + b->start, len);
    }
    sl_buf_free(b);
    return text;
}

void sl_cli_text_tame(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++) {
        if (*p == '\t') {
            *p = ' ';
        } else if ((*p < 0x20 && *p != '\n') || *p == 0x7f) {
            *p = '?';
        } else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) {
            *p = p[1] = '?';
        }
    }
}

/* Length of the character at `text`, its width in *ret_width. */
static size_t measure(const char *text, size_t len, size_t *ret_width)
{
    wchar_t c;
    mbstate_t state = {0};
    size_t n = mbrtowc(&c, text, len, &state);
    if (n == 0 || n > len) { /* NUL, broken or cut short */
        *ret_width = 1;
        return 1;
    }
    int width = wcwidth(c);
    *ret_width = width < 0 ? 1 : (size_t)width;
    return n;
}

size_t sl_cli_text_width(const char *text, size_t len)
{
    size_t sum = 0;
    for (size_t i = 0; i < len;) {
        size_t width;
        i += measure(text + i, len - i, &width);
        sum += width;
    }
    return sum;
}

size_t sl_cli_text_fit(const char *text, size_t width)
{
    size_t len = strlen(text);
    size_t used = 0;
    for (size_t i = 0; i < len;) {
        size_t w;
        size_t n = measure(text + i, len - i, &w);
        if (used + w > width) {
            return i;
        }
        used += w;
        i += n;
    }
    return len;
}

void sl_cli_text_put_encoded(struct sl_buf *b, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if ((*p < 0x80 && isalnum(*p)) || strchr("-._~", *p) != NULL) {
            sl_cli_text_put_bytes(b, p, 1);
        } else {
            sl_cli_text_putf(b, "%%%02X", *p);
        }
    }
}

/* Levenshtein distance; words longer than the limit are far away. */
static size_t distance(const char *a, const char *b)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    size_t row[NEAREST_BYTES_MAX + 1];
    if (a_len > NEAREST_BYTES_MAX || b_len > NEAREST_BYTES_MAX) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];
            size_t changed = diagonal + (a[i - 1] != b[j - 1]);
            row[j] = SL_MIN(changed, 1 + SL_MIN(above, row[j - 1]));
            diagonal = above;
        }
    }
    return row[b_len];
}

const char *sl_cli_text_nearest(const char *word, const char *const *known)
{
    const char *best = NULL;
    size_t len = strlen(word);
    size_t best_distance = SL_MAX(len / 3, 1) + 1; /* from here on it is no help */
    for (; *known != NULL; known++) {
        bool is_start = len >= 3 && strncmp(word, *known, len) == 0;
        size_t d = is_start ? 1 : distance(word, *known);
        if (d < best_distance) {
            best_distance = d;
            best = *known;
        }
    }
    return best;
}
