/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable contiguous byte buffer with a read cursor.
 *
 *      data            data+start          data+end          data+capacity
 *       | already read  | readable bytes    | free room        |
 *
 * Invariant (sl_buf_is_sane): start <= end <= capacity. An empty buffer may own memory; call
 * sl_buf_free() to give it back. Owned and used by one thread at a time.
 */
#ifndef SL_BASE_BUFFER_H
#define SL_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct sl_buf {
    uint8_t *data;
    size_t start;
    size_t end;
    size_t capacity;
};

// clang-format off
#define SL_BUF_INIT {NULL, 0, 0, 0}
// clang-format on

static inline size_t sl_buf_len(const struct sl_buf *b)
{
    return b->end - b->start;
}

static inline struct sl_slice sl_buf_slice(const struct sl_buf *b)
{
    return sl_slice(b->data ? b->data + b->start : NULL, b->end - b->start);
}

bool sl_buf_is_sane(const struct sl_buf *b);

/* Makes room for `more` bytes behind the readable ones (moves them to the front or grows,
 * doubling). 0 or SL_ENOMEM. The pointer to write to is data + end; call sl_buf_commit()
 * afterwards. */
int sl_buf_reserve(struct sl_buf *b, size_t more);
void sl_buf_commit(struct sl_buf *b, size_t len);

/* Appends; 0 or SL_ENOMEM (nothing appended then). */
int sl_buf_append(struct sl_buf *b, const void *data, size_t len);
int sl_buf_append_text(struct sl_buf *b, const char *text);
int sl_buf_printf(struct sl_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Drops `len` readable bytes from the front. */
void sl_buf_consume(struct sl_buf *b, size_t len);

/* Forgets the content, keeps the memory. */
void sl_buf_clear(struct sl_buf *b);

/* Gives the memory back; the buffer is empty and usable afterwards. */
void sl_buf_free(struct sl_buf *b);

#endif
