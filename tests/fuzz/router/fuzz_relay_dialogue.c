/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of what a primary may send to the relay. The first byte chooses:
 *   even  packets of a dump: cut at every few bytes they give the same events as in one piece
 *   odd   the login and the answers to a replica's questions: whatever they are, each is taken or
 *         refused with a text
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "router/binlog/upstream_ask.h"
#include "router/binlog/upstream_login.h"
#include "router/binlog/upstream_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint64_t items, bytes;
    uint32_t sum;
    int rc;
};

static struct seen play(const uint8_t *data, size_t size, size_t piece, bool has_ack_header)
{
    struct sl_stream s = {.part = SL_BUF_INIT};
    struct seen seen = {0};
    uint8_t *copy = sl_malloc(size + 1);
    sl_assert(copy != NULL);
    memcpy(copy, data, size);
    sl_stream_start(&s, has_ack_header);
    for (size_t at = 0, end = 0; end < size && seen.rc == SL_OK;) {
        end = size - end < piece ? size : end + piece;
        while (seen.rc == SL_OK) {
            struct sl_stream_item item;
            size_t used = 0;
            seen.rc = sl_stream_next(&s, copy + at, end - at, &used, &item);
            at += seen.rc == SL_OK ? used : 0;
            if (seen.rc != SL_OK || item.kind == SL_STREAM_MORE) {
                break;
            }
            seen.items++;
            seen.bytes += item.len;
            for (uint32_t i = 0; i < item.len; i++) {
                seen.sum = seen.sum * 31 + item.bytes[i];
            }
            sl_stream_taken(&s);
        }
        sl_assert(seen.rc != SL_OK || at == end);
    }
    sl_stream_free(&s);
    sl_free(copy);
    return seen;
}

static void check_stream(const uint8_t *data, size_t size)
{
    for (int has_ack_header = 0; has_ack_header < 2; has_ack_header++) {
        struct seen whole = play(data, size, size, has_ack_header);
        for (size_t piece = 1; piece < 12; piece += 5) {
            struct seen cut = play(data, size, piece, has_ack_header);
            sl_assert(cut.items == whole.items && cut.bytes == whole.bytes && cut.sum == whole.sum);
        }
    }
}

/* Payloads: u8 length, bytes. False at the end. */
static bool next_payload(const uint8_t **data, size_t *size, const uint8_t **ret, size_t *ret_len)
{
    if (*size == 0) {
        return false;
    }
    size_t len = **data < *size - 1 ? **data : *size - 1;
    *ret = *data + 1;
    *ret_len = len;
    *data += 1 + len;
    *size -= 1 + len;
    return true;
}

static void check_dialogue(const uint8_t *data, size_t size)
{
    struct sl_upstream_login login;
    struct sl_upstream_asking ask = {.position = "7-1-5",
                                     .heartbeat_ns = 1,
                                     .server_id = 4711,
                                     .report_host = "relay",
                                     .wants_semi_sync = true};
    struct sl_buf out = SL_BUF_INIT;
    struct sl_fault fault = {0};
    enum sl_upstream_login_next next = SL_LOGIN_MORE;
    const uint8_t *payload;
    size_t len;
    int rc = SL_OK;
    bool is_dump = false;
    sl_upstream_login_start(&login, "repl", "secret", false);
    while (rc == SL_OK && next == SL_LOGIN_MORE && next_payload(&data, &size, &payload, &len)) {
        rc = sl_upstream_login_packet(&login, payload, len, 0, &out, &next, &fault);
        sl_assert(rc == SL_OK || fault.text[0] != '\0');
    }
    rc = SL_OK;
    sl_buf_clear(&out);
    while ((rc == SL_OK || rc == SL_EAGAIN) && next_payload(&data, &size, &payload, &len)) {
        if (rc == SL_OK) {
            sl_assert(sl_upstream_ask_next(&ask, &out, &is_dump) == SL_OK);
        }
        if (is_dump) {
            break;
        }
        rc = sl_upstream_ask_packet(&ask, payload, len, &fault);
        sl_assert(rc == SL_OK || rc == SL_EAGAIN || fault.text[0] != '\0');
    }
    sl_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    if (data[0] % 2) {
        check_dialogue(data + 1, size - 1);
    } else {
        check_stream(data + 1, size - 1);
    }
    return 0;
}
