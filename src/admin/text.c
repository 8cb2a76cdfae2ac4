/* SPDX-License-Identifier: Apache-2.0 */
/* Text as JSON, see the header. No state; any thread. */
#include "admin/text.h"

#include <stdbool.h>

#include "base/buffer.h"

#define REPLACEMENT "\xef\xbf\xbd"

static bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* RFC 3629, section 4: no overlong forms, no surrogates, nothing behind U+10FFFF. */
size_t sl_text_utf8_len(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80) {
        return p[0] != '\0';
    }
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        return is_tail(p[1]) ? 2 : 0;
    }
    if ((p[0] & 0xf0) == 0xe0) {
        bool is_good =
            is_tail(p[1]) && (p[0] != 0xe0 || p[1] >= 0xa0) && (p[0] != 0xed || p[1] < 0xa0);
        return is_good && is_tail(p[2]) ? 3 : 0;
    }
    if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        bool is_good =
            is_tail(p[1]) && (p[0] != 0xf0 || p[1] >= 0x90) && (p[0] != 0xf4 || p[1] < 0x90);
        return is_good && is_tail(p[2]) && is_tail(p[3]) ? 4 : 0;
    }
    return 0;
}

json_t *sl_text_json(const char *text)
{
    json_t *value = json_string(text);
    if (value != NULL) {
        return value;
    }
    struct sl_buf clean = SL_BUF_INIT;
    while (*text != '\0') {
        size_t len = sl_text_utf8_len(text);
        int rc =
            len > 0 ? sl_buf_append(&clean, text, len) : sl_buf_append_text(&clean, REPLACEMENT);
        if (rc < 0) {
            break;
        }
        text += len > 0 ? len : 1;
    }
    struct sl_slice s = sl_buf_slice(&clean);
    value = *text == '\0' ? json_stringn((const char *)s.data, s.len) : NULL;
    sl_buf_free(&clean);
    return value;
}
