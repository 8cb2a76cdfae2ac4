/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table printer.
 *
 *     ┌────────┬───────┐      widths: the widest line of any cell in the column,
 *     │ Server │ State │      plus one blank left and right
 *     ├────────┼───────┤      <- between every two rows
 *     │ db1    │ Down  │
 *     └────────┴───────┘
 *
 * Not libsmartcols: it has no rules between rows (only a line separator, which knows no columns),
 * and it counts width by the locale of the environment, which in cron and Ansible is "C".
 */
#include "cli/table.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "cli/text.h"

/* Corners and crossings of the three kinds of rules: left, middle, right. */
static const char *const RULE_TOP[] = {"┌", "┬", "┐"};
static const char *const RULE_MIDDLE[] = {"├", "┼", "┤"};
static const char *const RULE_BOTTOM[] = {"└", "┴", "┘"};

void sl_cli_table_init(struct sl_cli_table *t, enum sl_cli_table_kind kind, size_t column_count)
{
    sl_assert(column_count > 0);
    *t = (struct sl_cli_table){.kind = kind, .column_count = column_count};
}

void sl_cli_table_free(struct sl_cli_table *t)
{
    for (size_t i = 0; i < t->cell_count; i++) {
        sl_free(t->cells[i]);
    }
    sl_free(t->cells);
    t->cells = NULL;
    t->cell_count = t->capacity = 0;
}

void sl_cli_table_add(struct sl_cli_table *t, char *cell)
{
    if (t->cell_count == t->capacity) {
        t->capacity = t->capacity == 0 ? 64 : t->capacity * 2;
        t->cells = sl_realloc(t->cells, t->capacity * sizeof(*t->cells));
        sl_assert(t->cells != NULL);
    }
    sl_cli_text_tame(cell);
    t->cells[t->cell_count++] = cell;
}

void sl_cli_table_put_coloured(struct sl_buf *out, const struct sl_cli_style *style,
                               const char *colour, const char *text)
{
    if (style->is_coloured && *text != '\0') {
        sl_cli_text_put(out, colour);
        sl_cli_text_put(out, text);
        sl_cli_text_put(out, SL_CLI_NO_COLOUR);
    } else {
        sl_cli_text_put(out, text);
    }
}

/* Length of the first line of a cell. */
static size_t line_len(const char *cell)
{
    return strcspn(cell, "\n");
}

static size_t cell_width(const char *cell)
{
    size_t widest = 0;
    for (const char *p = cell;; p++) {
        size_t len = line_len(p);
        widest = SL_MAX(widest, sl_cli_text_width(p, len));
        p += len;
        if (*p == '\0') {
            return widest;
        }
    }
}

static void put_rule(const struct sl_cli_table *t, const struct sl_cli_style *style,
                     const size_t *widths, const char *const *ends, struct sl_buf *out)
{
    struct sl_buf rule = SL_BUF_INIT;
    for (size_t c = 0; c < t->column_count; c++) {
        sl_cli_text_put(&rule, c == 0 ? ends[0] : ends[1]);
        for (size_t i = 0; i < widths[c] + 2; i++) {
            sl_cli_text_put(&rule, "─");
        }
    }
    sl_cli_text_put(&rule, ends[2]);
    char *text = sl_cli_text_take(&rule);
    sl_cli_table_put_coloured(out, style, SL_CLI_GREY, text);
    sl_cli_text_put(out, "\n");
    sl_free(text);
}

/* One line of one cell, padded; moves *rest behind it, to NULL at the end of the cell. */
static void put_line(const char **rest, size_t width, const struct sl_cli_style *style,
                     const char *colour, struct sl_buf *out)
{
    size_t len = *rest == NULL ? 0 : line_len(*rest);
    size_t used = 0;
    if (len > 0) {
        char *text = sl_cli_text_copy(*rest, len);
        used = sl_cli_text_width(text, len);
        if (colour != NULL) {
            sl_cli_table_put_coloured(out, style, colour, text);
        } else {
            sl_cli_text_put(out, text);
        }
        sl_free(text);
    }
    for (; used < width; used++) {
        sl_cli_text_put(out, " ");
    }
    if (*rest != NULL) {
        *rest = (*rest)[len] == '\n' ? *rest + len + 1 : NULL;
    }
}

static void put_row(const struct sl_cli_table *t, const struct sl_cli_style *style,
                    const size_t *widths, size_t row, struct sl_buf *out)
{
    const char **rest = sl_xcalloc(t->column_count, sizeof(*rest));
    memcpy(rest, t->cells + row * t->column_count, t->column_count * sizeof(*rest));
    bool is_header = t->kind == SL_CLI_TABLE_LIST && row == 0;
    bool has_more = true;
    while (has_more) {
        has_more = false;
        for (size_t c = 0; c < t->column_count; c++) {
            bool is_key = is_header || (t->kind == SL_CLI_TABLE_SHOW && c == 0);
            sl_cli_table_put_coloured(out, style, SL_CLI_GREY, "│");
            sl_cli_text_put(out, " ");
            put_line(&rest[c], widths[c], style, is_key ? SL_CLI_CYAN : NULL, out);
            sl_cli_text_put(out, " ");
            has_more |= rest[c] != NULL;
        }
        sl_cli_table_put_coloured(out, style, SL_CLI_GREY, "│");
        sl_cli_text_put(out, "\n");
    }
    sl_free(rest);
}

static void put_box(const struct sl_cli_table *t, const struct sl_cli_style *style,
                    struct sl_buf *out)
{
    size_t *widths = sl_xcalloc(t->column_count, sizeof(*widths));
    for (size_t i = 0; i < t->cell_count; i++) {
        size_t *width = &widths[i % t->column_count];
        *width = SL_MAX(*width, cell_width(t->cells[i]));
    }
    for (size_t row = 0; row < t->cell_count / t->column_count; row++) {
        put_rule(t, style, widths, row == 0 ? RULE_TOP : RULE_MIDDLE, out);
        put_row(t, style, widths, row, out);
    }
    put_rule(t, style, widths, RULE_BOTTOM, out);
    sl_free(widths);
}

/* Trimmed, runs of white space as one blank. */
static void put_flat(const char *cell, struct sl_buf *out)
{
    bool has_text = false;
    while (*(cell += strspn(cell, " \n")) != '\0') {
        size_t len = strcspn(cell, " \n");
        sl_cli_text_put(out, has_text ? " " : "");
        sl_cli_text_put_bytes(out, cell, len);
        has_text = true;
        cell += len;
    }
}

static void put_tsv(const struct sl_cli_table *t, struct sl_buf *out)
{
    size_t first = t->kind == SL_CLI_TABLE_LIST ? t->column_count : 0;
    for (size_t i = first; i < t->cell_count; i++) {
        put_flat(t->cells[i], out);
        sl_cli_text_put(out, (i + 1) % t->column_count == 0 ? "\n" : "\t");
    }
}

void sl_cli_table_put(const struct sl_cli_table *t, const struct sl_cli_style *style,
                      struct sl_buf *out)
{
    sl_assert(t->cell_count % t->column_count == 0);
    if (style->is_tsv) {
        put_tsv(t, out);
    } else if (t->cell_count > 0) {
        put_box(t, style, out);
    }
}
