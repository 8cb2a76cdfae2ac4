/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of encrypted events: any bytes are opened or refused (mode and place in the first two
 * bytes), and any bytes made an event survive being sealed and opened.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "repl/event_crypt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_any(struct sl_event_crypt *c, const uint8_t *data, uint32_t len, uint64_t offset)
{
    struct sl_buf out = SL_BUF_INIT, again = SL_BUF_INIT;
    if (sl_event_crypt_open(c, data, len, offset, &out) == SL_OK) {
        uint32_t plain = (uint32_t)sl_buf_len(&out);
        sl_assert(sl_event_crypt_stored(c, plain) == len);
        sl_assert(sl_event_crypt_seal(c, out.data, plain, offset, &again) == SL_OK);
        sl_assert(sl_buf_len(&again) == len && memcmp(again.data, data, len) == 0);
    } else {
        sl_assert(sl_buf_len(&out) == 0);
    }
    sl_buf_free(&out);
    sl_buf_free(&again);
}

static void there_and_back(struct sl_event_crypt *c, uint8_t *event, uint32_t len, uint64_t offset)
{
    struct sl_buf stored = SL_BUF_INIT, plain = SL_BUF_INIT;
    sl_put_le32(event + 9, len);
    sl_event_set_pos(event, len, (uint32_t)(offset + sl_event_crypt_stored(c, len)), false);
    sl_assert(sl_event_crypt_seal(c, event, len, offset, &stored) == SL_OK);
    sl_assert(sl_event_crypt_open(c, stored.data, (uint32_t)sl_buf_len(&stored), offset, &plain) ==
              SL_OK);
    sl_assert(sl_buf_len(&plain) == len && memcmp(plain.data, event, len) == 0);
    sl_buf_free(&stored);
    sl_buf_free(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[32] = "a key of thirty-two bytes, just";
    static const uint8_t nonce[SL_BINLOG_NONCE_LEN] = "twelve bytes";
    if (size < 2 + SL_EVENT_HEADER) {
        return 0;
    }
    struct sl_event_crypt *c;
    uint32_t len = (uint32_t)size - 2;
    uint64_t offset = (uint64_t)data[1] << 26;
    sl_assert(sl_event_crypt_new(data[0] % 3, key, 16 + data[0] / 3 % 3 * 8, nonce, &c, NULL) ==
              SL_OK);
    uint8_t *event = malloc(len); /* exactly as long: a byte beyond is seen */
    sl_assert(event);
    memcpy(event, data + 2, len);
    open_any(c, event, len, offset);
    there_and_back(c, event, len, offset);
    free(event);
    sl_event_crypt_free(c);
    return 0;
}
