/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All options of the CLI, one row each: global ones, which are also the keys of the defaults file,
 * and those of single commands.
 */
#ifndef SL_CLI_OPTIONS_H
#define SL_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

enum sl_cli_option_kind {
    SL_CLI_OPTION_FLAG,  /* --x, --no-x, --x=true, --x false */
    SL_CLI_OPTION_TEXT,  /* takes the next word */
    SL_CLI_OPTION_COUNT, /* the same, a whole number from 0 */
};

struct sl_cli_option {
    const char *name;
    char letter; /* 0: no short form */
    enum sl_cli_option_kind kind;
    bool is_global;
    const char *standard; /* value when not given, NULL: none */
    const char *help;
};

/* Ends with a row without a name. */
extern const struct sl_cli_option sl_cli_options[];

/* By name (with `len` bytes) or, with one byte, by letter. NULL when unknown. */
const struct sl_cli_option *sl_cli_option_find(const char *name, size_t len);
const struct sl_cli_option *sl_cli_option_find_letter(char letter);

/* Appends what is known to be wrong with the name of an option: "Unknown option `..`" and the
 * nearest one. `name` is without dashes. */
void sl_cli_option_put_unknown(struct sl_buf *error, const char *name, size_t len);

/* Whether `value` may be given to the option; says why not otherwise. */
bool sl_cli_option_accepts(const struct sl_cli_option *option, const char *value,
                           struct sl_buf *error);

#endif
