/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of the CLI: growing strings that end the program when memory is out (a command line tool
 * has nothing better to do), display width of UTF-8, percent encoding, the nearest known word.
 */
#ifndef SL_CLI_TEXT_H
#define SL_CLI_TEXT_H

#include <stddef.h>

#include "base/buffer.h"

/* UTF-8 for the tables whatever the environment says, times as the environment says. */
void sl_cli_locale_set(void);

void sl_cli_text_put(struct sl_buf *b, const char *text);
void sl_cli_text_put_bytes(struct sl_buf *b, const void *data, size_t len);
void sl_cli_text_putf(struct sl_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The content as a string of its own, which the caller frees; the buffer is empty afterwards. */
char *sl_cli_text_take(struct sl_buf *b);

/* As sl_strndup, but never NULL. */
char *sl_cli_text_copy(const char *text, size_t len);

/* Tabs become blanks; control characters but line ends (C0, DEL and, in UTF-8, C1) become '?', so
 * that data from a server cannot steer the terminal. */
void sl_cli_text_tame(char *text);

/* Cells that `len` bytes of UTF-8 take on a terminal. Broken sequences count one a byte. */
size_t sl_cli_text_width(const char *text, size_t len);

/* Number of bytes at the start of `text` that fit into `width` cells. */
size_t sl_cli_text_fit(const char *text, size_t width);

/* Appends a path segment or query value, everything but unreserved characters encoded. */
void sl_cli_text_put_encoded(struct sl_buf *b, const char *text);

/* The word of the NULL-terminated list that is nearest to `word`, NULL when none is near. */
const char *sl_cli_text_nearest(const char *word, const char *const *known);

#endif
