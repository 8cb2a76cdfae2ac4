/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Canonical form of a statement: literals become '?', comments go, blanks collapse to one,
 * everything else stays as written. Statements that differ in their values only share it, and its
 * hash.
 */
#ifndef SL_SQL_DIGEST_H
#define SL_SQL_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/* Writes the canonical form of len bytes to out, cut to out_size - 1 bytes and NUL-terminated (out
 * may be NULL if out_size is 0). Returns its full length, like snprintf. Never longer than len. Any
 * thread. */
size_t sl_sql_canonical(const uint8_t *sql, size_t len, unsigned mode_bits, char *out,
                        size_t out_size);

/* Stable 64-bit hash of the canonical form, whatever its length; needs no buffer. */
uint64_t sl_sql_digest(const uint8_t *sql, size_t len, unsigned mode_bits);

#endif
