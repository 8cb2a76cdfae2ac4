/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The form under which statements are counted: the canonical text with lists of values folded, so
 * that statements that differ in how many values they have share it.
 *
 *   INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')   ->  INSERT INTO t VALUES (?, ...), ...
 *   SELECT a FROM t WHERE id IN (1, 2, 3)               ->  SELECT a FROM t WHERE id IN (?, ...)
 */
#ifndef SL_SQL_FORM_H
#define SL_SQL_FORM_H

#include <stddef.h>
#include <stdint.h>

#define SL_SQL_FORM_LEXED_MAX 65536 /* bytes of a statement that are looked at */
#define SL_SQL_FORM_ROOM 8192       /* of the buffer, before lists are folded */

/* Writes the form into out (not terminated), its length into *ret_len; returns its hash. Neither
 * fails nor allocates. Needs 8 kB of stack. Any thread. */
uint64_t sl_sql_form(const uint8_t *sql, size_t len, unsigned mode_bits, char out[SL_SQL_FORM_ROOM],
                     size_t *ret_len);

/* Folds the lists of canonical text, cut to size; returns the length. */
size_t sl_sql_fold_lists(const char *text, size_t len, char *out, size_t size);

#endif
