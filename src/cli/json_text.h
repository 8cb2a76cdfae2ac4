/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as text, in the form that JavaScript programs print: numbers as short as they can be, so
 * that scripts which compare texts see what the original maxctrl prints.
 */
#ifndef SL_CLI_JSON_TEXT_H
#define SL_CLI_JSON_TEXT_H

#include <jansson.h>
#include <stddef.h>

#include "base/buffer.h"

/* Appends the value; an indent of 0 is the compact form on one line. */
void sl_cli_json_text_put(struct sl_buf *out, json_t *value, size_t indent);

/* Appends a scalar as people read it: strings without quotes. */
void sl_cli_json_text_put_plain(struct sl_buf *out, json_t *value);

#endif
