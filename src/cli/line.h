/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command line taken apart: words (the command and its arguments) and options, which may stand
 * anywhere. "--" ends the options. A word such as -5 is no option.
 */
#ifndef SL_CLI_LINE_H
#define SL_CLI_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/options.h"

struct sl_cli_given {
    const struct sl_cli_option *option;
    char *value;
};

struct sl_cli_line {
    char **words;
    size_t word_count;
    struct sl_cli_given *given; /* in order; a later one wins */
    size_t given_count;
};

/* Takes `count` arguments (without the program's name) apart. 0, or SL_EINVAL with the reason in
 * *error; the line is to be freed in both cases. */
int sl_cli_line_parse(struct sl_cli_line *line, size_t count, const char *const *args,
                      struct sl_buf *error);
void sl_cli_line_free(struct sl_cli_line *line);

/* Splits a text typed in interactive mode: blanks part words, quotes and backslashes protect them.
 * The caller frees the words and the array. SL_EINVAL: a quote is not closed. */
int sl_cli_line_split(const char *text, char ***ret_words, size_t *ret_count, struct sl_buf *error);

/* The value given for an option, else its standard value, which may be NULL. */
const char *sl_cli_line_text(const struct sl_cli_line *line, const char *option);
bool sl_cli_line_is_on(const struct sl_cli_line *line, const char *option);
/* The value given for an option, NULL when it was not given. */
const char *sl_cli_line_given(const struct sl_cli_line *line, const char *option);

#endif
