/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Value of one setting -> text, and the words that describe what a setting takes.
 *
 * What is rendered can be parsed again and gives the same value, with two exceptions: passwords are
 * never shown, and durations are shown in ms (as REST clients expect) even where only whole seconds
 * are taken.
 */
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "conf/settings.h"

static const char *const type_names[] = {
    [SL_SETTING_BOOL] = "bool",
    [SL_SETTING_COUNT] = "count",
    [SL_SETTING_INT] = "int",
    [SL_SETTING_SIZE] = "size",
    [SL_SETTING_DURATION] = "duration",
    [SL_SETTING_PERCENT] = "percent",
    [SL_SETTING_ENUM] = "enum",
    [SL_SETTING_MASK] = "enum_mask",
    [SL_SETTING_STRING] = "string",
    [SL_SETTING_PASSWORD] = "password",
    [SL_SETTING_PATH] = "path",
    [SL_SETTING_LIST] = "stringlist",
    [SL_SETTING_PIPE_LIST] = "stringlist",
    [SL_SETTING_REGEX] = "regex",
};

const char *sl_setting_type_name(const struct sl_setting *row)
{
    return type_names[row->type];
}

static const char *name_of_value(const struct sl_setting *row, int64_t value)
{
    for (const struct sl_choice *c = row->choices; c != NULL && c->name != NULL; c++) {
        if (c->value == value) {
            return c->name;
        }
    }
    return NULL;
}

static int render_mask(const struct sl_setting *row, int64_t value, struct sl_buf *out)
{
    const char *whole = name_of_value(row, value);
    if (whole != NULL) {
        return sl_buf_append_text(out, whole);
    }
    int rc = 0;
    const char *separator = "";
    for (const struct sl_choice *c = row->choices; c->name != NULL && rc == 0; c++) {
        if (c->value != 0 && (value & c->value) == c->value) {
            rc = sl_buf_printf(out, "%s%s", separator, c->name);
            separator = ",";
            value &= ~c->value;
        }
    }
    return rc;
}

static int render_number(const struct sl_setting *row, int64_t value, struct sl_buf *out)
{
    static const char *const units[] = {[SL_SETTING_DURATION] = "ms", [SL_SETTING_PERCENT] = "%"};
    const char *word = name_of_value(row, value);
    if (word != NULL) {
        return sl_buf_append_text(out, word);
    }
    const char *unit = (size_t)row->type < SL_ARRAY_LEN(units) ? units[row->type] : NULL;
    return sl_buf_printf(out, "%" PRId64 "%s", value, unit != NULL ? unit : "");
}

static int render_text(const struct sl_setting *row, const char *text, struct sl_buf *out)
{
    if (text == NULL) {
        return 0;
    }
    switch (row->type) {
    case SL_SETTING_PASSWORD:
        return sl_buf_append_text(out, "*****");
    case SL_SETTING_REGEX:
        return sl_buf_printf(out, "/%s/", text);
    default:
        return sl_buf_append_text(out, text);
    }
}

int sl_setting_render(const struct sl_setting *row, const void *object, struct sl_buf *out)
{
    sl_assert(row->alias_of == NULL);
    const void *slot = (const char *)object + row->offset;
    switch (row->type) {
    case SL_SETTING_BOOL:
        return sl_buf_append_text(out, *(const bool *)slot ? "true" : "false");
    case SL_SETTING_MASK:
        return render_mask(row, *(const int64_t *)slot, out);
    case SL_SETTING_COUNT:
    case SL_SETTING_INT:
    case SL_SETTING_SIZE:
    case SL_SETTING_DURATION:
    case SL_SETTING_PERCENT:
    case SL_SETTING_ENUM:
        return render_number(row, *(const int64_t *)slot, out);
    default:
        return render_text(row, *(char *const *)slot, out);
    }
}

/* Names that differ from an earlier row's value only in spelling are left out. */
static int describe_choices(const struct sl_setting *row, const char *intro, struct sl_buf *out)
{
    int rc = sl_buf_append_text(out, intro);
    const char *separator = "";
    for (const struct sl_choice *c = row->choices; c->name != NULL && rc == 0; c++) {
        if (name_of_value(row, c->value) == c->name) {
            rc = sl_buf_printf(out, "%s%s", separator, c->name);
            separator = ", ";
        }
    }
    return rc;
}

static int describe_number(const struct sl_setting *row, const char *what, struct sl_buf *out)
{
    int rc = sl_buf_append_text(out, what);
    bool is_duration = row->type == SL_SETTING_DURATION;
    if (rc == 0 && (row->min != 0 || row->max != 0)) {
        rc = sl_buf_printf(out, " (%" PRId64 "%s..%" PRId64 "%s)", row->min,
                           is_duration ? "ms" : "", row->max, is_duration ? "ms" : "");
    }
    if (rc == 0 && row->choices != NULL) {
        rc = describe_choices(row, ", or ", out);
    }
    return rc;
}

int sl_setting_describe(const struct sl_setting *row, struct sl_buf *out)
{
    static const char *const texts[] = {
        [SL_SETTING_BOOL] = "true, yes, on, 1, false, no, off, 0",
        [SL_SETTING_COUNT] = "a whole number, not negative",
        [SL_SETTING_INT] = "a whole number",
        [SL_SETTING_SIZE] = "a size such as 1000, 64Ki, 10M",
        [SL_SETTING_DURATION] = "a duration such as 2h, 15min, 10s, 500ms",
        [SL_SETTING_PERCENT] = "a percentage such as 80%",
        [SL_SETTING_ENUM] = "one of ",
        [SL_SETTING_MASK] = "one or more of ",
        [SL_SETTING_STRING] = "a text",
        [SL_SETTING_PASSWORD] = "a password",
        [SL_SETTING_PATH] = "a path",
        [SL_SETTING_LIST] = "names separated by commas",
        [SL_SETTING_PIPE_LIST] = "names separated by |",
        [SL_SETTING_REGEX] = "a PCRE2 pattern between slashes",
    };
    const char *text = texts[row->type];
    if (row->type == SL_SETTING_DURATION && (row->flags & SL_SETTING_SECONDS) != 0) {
        text = "a duration in whole seconds such as 2h, 15min, 10s";
    }
    if (row->type == SL_SETTING_ENUM || row->type == SL_SETTING_MASK) {
        return describe_choices(row, text, out);
    }
    return describe_number(row, text, out);
}
