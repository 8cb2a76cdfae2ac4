/* SPDX-License-Identifier: Apache-2.0 */
/* OK, EOF, ERR, progress, session state, authentication packets, execute headers; rebuilt where
 * possible. */
#include <stdint.h>
#include <stdlib.h>

#include "base/assert.h"
#include "proto/handshake.h"
#include "proto/ok.h"
#include "proto/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void walk_state(struct sl_slice block)
{
    struct sl_state_iter it = sl_state_iter(block);
    struct sl_state_record rec;
    size_t count = 0;
    while (sl_state_next(&it, &rec)) {
        sl_assert(++count <= block.len);
    }
}

static void check_ok(const uint8_t *data, size_t len)
{
    struct sl_packet_ok ok, again;
    struct sl_buf out = SL_BUF_INIT;
    (void)sl_packet_ok_parse(data, len, false, &ok);
    if (sl_packet_ok_parse(data, len, true, &ok) == SL_OK) {
        walk_state(ok.state);
        if (sl_packet_ok_strip(&out, 1, data, len) == SL_OK) {
            sl_assert(sl_packet_ok_parse(out.data + 4, out.end - 4, false, &again) == SL_OK);
            sl_assert(again.affected_rows == ok.affected_rows);
            sl_assert(sl_slice_equal(again.info, ok.info));
        }
    }
    sl_buf_free(&out);
}

static void check_execute(const uint8_t *data, size_t len)
{
    struct sl_execute_info info, again;
    struct sl_buf out = SL_BUF_INIT;
    uint16_t params = len > 12 ? data[12] : 0;
    if (sl_execute_parse(data, len, params, &info) == SL_OK) {
        sl_assert(sl_execute_build(&out, data, len, &info, 77, sl_slice(NULL, 0)) == SL_OK);
        sl_assert(sl_execute_parse(out.data + 4, out.end - 4, params, &again) == SL_OK);
        sl_assert(again.stmt_id == 77 && again.values_at <= out.end - 4);
        sl_assert(sl_slice_equal(again.types, info.types));
    }
    sl_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct sl_packet_eof eof;
    struct sl_packet_err err;
    struct sl_progress progress;
    struct sl_auth_packet auth;
    uint8_t scramble[SL_SCRAMBLE_LEN];
    uint8_t key[SL_ED25519_KEY_LEN];
    check_ok(data, len);
    check_execute(data, len);
    walk_state(sl_slice(data, len));
    (void)sl_packet_eof_parse(data, len, &eof);
    (void)sl_packet_err_parse(data, len, &err);
    (void)sl_progress_parse(data, len, &progress);
    if (sl_auth_packet_parse(data, len, true, &auth) == SL_OK) {
        (void)sl_auth_switch_scramble(auth.data, scramble);
    }
    (void)sl_native_parse_stored(sl_slice(data, len), scramble);
    (void)sl_ed25519_parse_stored(sl_slice(data, len), key);
    return 0;
}
