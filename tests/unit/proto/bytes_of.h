/* SPDX-License-Identifier: Apache-2.0 */
/* Test helper: bytes written as hex digits, 'text' in quotes; anything else is ignored. */
#ifndef SL_TEST_BYTES_OF_H
#define SL_TEST_BYTES_OF_H

#include <ctype.h>

#include "base/buffer.h"
#include "proto/packet.h"

static inline void hex_append(struct sl_buf *b, const char *text)
{
    while (*text) {
        if (*text == '\'') {
            const char *end = strchr(text + 1, '\'');
            assert_int_equal(sl_buf_append(b, text + 1, (size_t)(end - text - 1)), SL_OK);
            text = end + 1;
        } else if (isxdigit((unsigned char)text[0]) && isxdigit((unsigned char)text[1])) {
            char digits[3] = {text[0], text[1], 0};
            uint8_t byte = (uint8_t)strtoul(digits, NULL, 16);
            assert_int_equal(sl_buf_append(b, &byte, 1), SL_OK);
            text += 2;
        } else {
            text++;
        }
    }
}

/* A packet around such bytes. */
static inline void packet_append(struct sl_buf *b, uint8_t *seq, const char *text)
{
    struct sl_buf payload = SL_BUF_INIT;
    struct sl_writer w;
    hex_append(&payload, text);
    w = sl_writer_buf(b);
    *seq = sl_write_packet(&w, *seq, sl_buf_slice(&payload));
    assert_int_equal(sl_writer_finish(&w), SL_OK);
    sl_buf_free(&payload);
}

/* Packets separated by '|', numbered from `seq` on. */
static inline void packets_append(struct sl_buf *b, uint8_t seq, const char *text)
{
    char part[4096];
    while (*text) {
        size_t len = strcspn(text, "|");
        assert_true(len < sizeof(part));
        memcpy(part, text, len);
        part[len] = '\0';
        packet_append(b, &seq, part);
        text += len + (text[len] == '|');
    }
}

static inline void assert_slice(struct sl_slice s, const char *text)
{
    assert_int_equal(s.len, strlen(text));
    if (s.len > 0) {
        assert_memory_equal(s.data, text, s.len);
    }
}

#endif
