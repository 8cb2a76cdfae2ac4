/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings tables as a whole: find, defaults, clear, copy, nearest name.
 *
 * Parsing and rendering of one value are in setting_parse.c and setting_render.c. No state; any
 * thread.
 */
#include "conf/settings.h"

#include <ctype.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "conf/setting_parse.h"

#define NEAREST_NAME_MAX 64 /* longer words are compared up to here */

static bool is_text(const struct sl_setting *row)
{
    return row->type >= SL_SETTING_STRING;
}

const struct sl_setting *sl_settings_find(const struct sl_settings *s, const char *name)
{
    for (const struct sl_setting *row = s->rows; row->name != NULL; row++) {
        if (strcmp(row->name, name) == 0) {
            return row;
        }
    }
    return NULL;
}

void sl_settings_defaults(const struct sl_settings *s, void *object)
{
    for (const struct sl_setting *row = s->rows; row->name != NULL; row++) {
        if (row->alias_of != NULL || row->default_text == NULL) {
            continue;
        }
        struct sl_err err = SL_ERR_INIT;
        if (sl_setting_parse(row, object, row->default_text, &err) != 0) {
            sl_panic(__FILE__, __LINE__, __func__, err.text);
        }
    }
}

static void clear_value(const struct sl_setting *row, void *slot)
{
    char **text = slot;
    if (!is_text(row) || *text == NULL) {
        return;
    }
    if (row->type == SL_SETTING_PASSWORD) {
        sl_wipe(*text, strlen(*text));
    }
    sl_free(*text);
    *text = NULL;
}

void sl_settings_clear(const struct sl_settings *s, void *object)
{
    for (const struct sl_setting *row = s->rows; row->name != NULL; row++) {
        if (row->alias_of == NULL) {
            clear_value(row, (char *)object + row->offset);
        }
    }
}

int sl_settings_copy(const struct sl_settings *s, void *to, const void *from)
{
    for (const struct sl_setting *row = s->rows; row->name != NULL; row++) {
        if (row->alias_of != NULL) {
            continue;
        }
        void *slot = (char *)to + row->offset;
        const void *source = (const char *)from + row->offset;
        if (row->type == SL_SETTING_BOOL) {
            *(bool *)slot = *(const bool *)source;
        } else if (!is_text(row)) {
            *(int64_t *)slot = *(const int64_t *)source;
        } else if (*(char *const *)source != NULL) {
            *(char **)slot = sl_strdup(*(char *const *)source);
            if (*(char **)slot == NULL) {
                sl_settings_clear(s, to);
                return SL_ENOMEM;
            }
        }
    }
    return 0;
}

static bool equal_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool sl_setting_is_default(const struct sl_setting *row, const void *object)
{
    sl_assert(row->alias_of == NULL);
    union sl_setting_value value;
    memset(&value, 0, sizeof(value));
    struct sl_err err = SL_ERR_INIT;
    if (row->default_text != NULL &&
        sl_setting_parse_slot(row, &value, row->default_text, &err) != 0) {
        sl_panic(__FILE__, __LINE__, __func__, err.text);
    }
    const void *slot = (const char *)object + row->offset;
    if (row->type == SL_SETTING_BOOL) {
        return *(const bool *)slot == value.truth;
    }
    if (!is_text(row)) {
        return *(const int64_t *)slot == value.number;
    }
    bool is_equal = equal_text(*(char *const *)slot, value.text);
    clear_value(row, &value);
    return is_equal;
}

/* Optimal string alignment distance (insert, delete, replace, swap of neighbours), letter case
 * ignored. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t rows[3][NEAREST_NAME_MAX + 1];
    size_t a_len = strnlen(a, NEAREST_NAME_MAX);
    size_t b_len = strnlen(b, NEAREST_NAME_MAX);
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b_len; j++) {
        before[j] = 0;
        last[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            int x = tolower((unsigned char)a[i - 1]);
            int y = tolower((unsigned char)b[j - 1]);
            size_t best = SL_MIN(last[j] + 1, now[j - 1] + 1);
            best = SL_MIN(best, last[j - 1] + (x == y ? 0 : 1));
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2])) {
                best = SL_MIN(best, before[j - 2] + 1);
            }
            now[j] = best;
        }
        size_t *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b_len];
}

const char *sl_nearest_name(const char *text, const char *(*item)(const void *list, size_t i),
                            const void *list)
{
    size_t limit =
        1 + strnlen(text, NEAREST_NAME_MAX) / 4; /* more changes than that: another word */
    const char *best = NULL;
    const char *name;
    for (size_t i = 0; (name = item(list, i)) != NULL; i++) {
        size_t distance = edit_distance(text, name);
        if (distance <= limit && distance < strlen(name)) {
            best = name;
            limit = distance == 0 ? 0 : distance - 1;
            if (distance == 0) {
                break;
            }
        }
    }
    return best;
}

static const char *row_name(const void *list, size_t i)
{
    return ((const struct sl_setting *)list)[i].name;
}

const char *sl_settings_nearest(const struct sl_settings *s, const char *name)
{
    return sl_nearest_name(name, row_name, s->rows);
}
