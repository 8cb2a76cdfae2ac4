/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables for people (boxes) and for scripts (tab separated).
 *
 * Cells are added row by row; a cell may have several lines. The table owns its cells.
 */
#ifndef SL_CLI_TABLE_H
#define SL_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

struct sl_cli_style {
    bool is_tsv;
    bool is_coloured;
    size_t width; /* of the terminal, 0 when there is none: long lines are not cut then */
};

#define SL_CLI_GREY "\033[90m"
#define SL_CLI_CYAN "\033[36m"
#define SL_CLI_GREEN "\033[32m"
#define SL_CLI_YELLOW "\033[33m"
#define SL_CLI_RED "\033[31m"
#define SL_CLI_NO_COLOUR "\033[39m"

enum sl_cli_table_kind {
    SL_CLI_TABLE_LIST, /* the first row is the header: coloured, left out of tab separated output */
    SL_CLI_TABLE_SHOW, /* no header, the first column holds the keys */
};

struct sl_cli_table {
    enum sl_cli_table_kind kind;
    size_t column_count;
    size_t cell_count;
    size_t capacity;
    char **cells;
};

void sl_cli_table_init(struct sl_cli_table *t, enum sl_cli_table_kind kind, size_t column_count);
void sl_cli_table_free(struct sl_cli_table *t);

/* Takes the cell over (heap). Control characters other than line ends become '?', so that data from
 * a server cannot steer the terminal. */
void sl_cli_table_add(struct sl_cli_table *t, char *cell);

/* Appends the table, each line ended. The last row must be complete. */
void sl_cli_table_put(const struct sl_cli_table *t, const struct sl_cli_style *style,
                      struct sl_buf *out);

/* Appends `text`, in a colour if the style has colours. */
void sl_cli_table_put_coloured(struct sl_buf *out, const struct sl_cli_style *style,
                               const char *colour, const char *text);

#endif
