/* SPDX-License-Identifier: Apache-2.0 */
/* Comparison of borrowed bytes. Owns nothing; any thread; independent of the locale. */
#include "base/slice.h"

static inline uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool sl_slice_equal_nocase(struct sl_slice a, const char *text)
{
    for (size_t i = 0; i < a.len; i++) {
        /* A shorter text ends here: its NUL equals no byte but an embedded NUL of the slice. */
        if (text[i] == '\0' || lower(a.data[i]) != lower((uint8_t)text[i])) {
            return false;
        }
    }
    return text[a.len] == '\0';
}
