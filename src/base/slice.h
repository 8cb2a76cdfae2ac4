/* SPDX-License-Identifier: Apache-2.0 */
/* A view of bytes that somebody else owns. Never NUL-terminated by contract. */
#ifndef SL_BASE_SLICE_H
#define SL_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct sl_slice {
    const uint8_t *data;
    size_t len;
};

static inline struct sl_slice sl_slice(const void *data, size_t len)
{
    return (struct sl_slice){data, len};
}

static inline struct sl_slice sl_slice_text(const char *text)
{
    return (struct sl_slice){(const uint8_t *)text, strlen(text)};
}

static inline bool sl_slice_equal(struct sl_slice a, struct sl_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* ASCII case-insensitive comparison with a literal. */
bool sl_slice_equal_nocase(struct sl_slice a, const char *text);

#endif
