/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The growable byte buffer.
 *
 * One thread at a time. Invariant: start <= end <= capacity, and data is NULL only if capacity is
 * 0. Bytes move to the front only when that is cheap against what was consumed since, so that a
 * long queue drained in small steps costs linear time.
 */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"

enum {
    CAPACITY_MIN = 256,
    CHEAP_MOVE = 16 * 1024,
};

bool sl_buf_is_sane(const struct sl_buf *b)
{
    return b->start <= b->end && b->end <= b->capacity && (b->data || b->capacity == 0);
}

static int grow(struct sl_buf *b, size_t need)
{
    size_t capacity = SL_MAX(b->capacity, (size_t)CAPACITY_MIN);
    while (capacity < need) {
        if (capacity > SIZE_MAX / 2) {
            return SL_ENOMEM;
        }
        capacity *= 2;
    }
    uint8_t *data = sl_realloc(b->data, capacity);
    if (!data) {
        return SL_ENOMEM;
    }
    b->data = data;
    b->capacity = capacity;
    return SL_OK;
}

int sl_buf_reserve(struct sl_buf *b, size_t more)
{
    sl_assert(sl_buf_is_sane(b));
    size_t len = sl_buf_len(b);
    if (more <= b->capacity - b->end) {
        return SL_OK;
    }
    bool is_cheap = b->start >= len || len <= CHEAP_MOVE;
    if (b->start > 0 && is_cheap) {
        memmove(b->data, b->data + b->start, len);
        b->start = 0;
        b->end = len;
        if (more <= b->capacity - b->end) {
            return SL_OK;
        }
    }
    if (more > SIZE_MAX - b->end) {
        return SL_ENOMEM;
    }
    return grow(b, b->end + more);
}

void sl_buf_commit(struct sl_buf *b, size_t len)
{
    sl_assert(len <= b->capacity - b->end);
    b->end += len;
}

int sl_buf_append(struct sl_buf *b, const void *data, size_t len)
{
    int rc = sl_buf_reserve(b, len);
    if (rc == SL_OK && len > 0) {
        memcpy(b->data + b->end, data, len);
        b->end += len;
    }
    return rc;
}

int sl_buf_append_text(struct sl_buf *b, const char *text)
{
    return sl_buf_append(b, text, strlen(text));
}

int sl_buf_printf(struct sl_buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0) {
        return SL_EINVAL;
    }
    /* Room for the NUL that vsnprintf writes; it is not committed. */
    int rc = sl_buf_reserve(b, (size_t)len + 1);
    if (rc == SL_OK) {
        va_start(args, fmt);
        vsnprintf((char *)b->data + b->end, (size_t)len + 1, fmt, args);
        va_end(args);
        b->end += (size_t)len;
    }
    return rc;
}

void sl_buf_consume(struct sl_buf *b, size_t len)
{
    sl_assert(len <= sl_buf_len(b));
    b->start += len;
    if (b->start == b->end) {
        sl_buf_clear(b);
    }
}

void sl_buf_clear(struct sl_buf *b)
{
    b->start = 0;
    b->end = 0;
}

void sl_buf_free(struct sl_buf *b)
{
    sl_free(b->data);
    *b = (struct sl_buf)SL_BUF_INIT;
}
