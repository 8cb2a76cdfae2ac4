/* SPDX-License-Identifier: Apache-2.0 */
/* Greeting, handshake response and COM_CHANGE_USER: what parses must survive building and parsing
 * again. Byte 0 chooses. */
#include <stdint.h>
#include <stdlib.h>

#include "base/assert.h"
#include "proto/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_greeting(const uint8_t *data, size_t len)
{
    struct sl_greeting g, again;
    struct sl_packet_err err;
    struct sl_buf out = SL_BUF_INIT;
    if (sl_greeting_parse(data, len, &g, &err) == SL_OK) {
        (void)sl_version_number(g.version);
        sl_assert(sl_greeting_build(&out, &g) == SL_OK);
        sl_assert(sl_greeting_parse(out.data + 4, out.end - 4, &again, &err) == SL_OK);
        sl_assert(again.capabilities == g.capabilities);
        sl_assert(sl_slice_equal(again.version, g.version));
        sl_assert(sl_slice_equal(again.plugin, g.plugin));
        sl_assert(memcmp(again.scramble, g.scramble, SL_SCRAMBLE_LEN) == 0);
    }
    sl_buf_free(&out);
}

static void check_response(const uint8_t *data, size_t len)
{
    struct sl_handshake_response r, again;
    struct sl_buf out = SL_BUF_INIT;
    uint16_t code;
    (void)sl_ssl_request_is(data, len);
    if (sl_handshake_response_parse(data, len, &r, &code) == SL_OK) {
        r.capabilities |= SL_CAP_AUTH_LENENC;
        sl_assert(sl_handshake_response_build(&out, 1, &r) == SL_OK);
        sl_assert(sl_handshake_response_parse(out.data + 4, out.end - 4, &again, &code) == SL_OK);
        sl_assert(sl_slice_equal(again.user, r.user) && sl_slice_equal(again.auth, r.auth));
        sl_assert(sl_slice_equal(again.database, r.database));
        sl_assert(sl_slice_equal(again.plugin, r.plugin));
        sl_assert(sl_slice_equal(again.attributes, r.attributes));
    } else {
        sl_assert(code == SL_ER_HANDSHAKE || code == SL_ER_NOT_SUPPORTED_AUTH_MODE);
    }
    sl_buf_free(&out);
}

static void check_change_user(const uint8_t *data, size_t len, uint64_t capabilities)
{
    struct sl_change_user c, again;
    struct sl_buf out = SL_BUF_INIT;
    if (sl_change_user_parse(data, len, capabilities, &c) == SL_OK && c.auth.len <= 0xFF) {
        capabilities |= SL_CAP_SECURE_CONNECTION | SL_CAP_PLUGIN_AUTH | SL_CAP_CONNECT_ATTRS;
        sl_assert(sl_change_user_build(&out, capabilities, &c) == SL_OK);
        sl_assert(sl_change_user_parse(out.data + 4, out.end - 4, capabilities, &again) == SL_OK);
        sl_assert(sl_slice_equal(again.user, c.user) && sl_slice_equal(again.auth, c.auth));
        sl_assert(sl_slice_equal(again.database, c.database));
        sl_assert(sl_slice_equal(again.plugin, c.plugin));
        sl_assert(sl_slice_equal(again.attributes, c.attributes));
    }
    sl_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    switch (data[0] % 4) {
    case 0:
        check_greeting(data + 1, len - 1);
        break;
    case 1:
        check_response(data + 1, len - 1);
        break;
    case 2:
        check_change_user(data + 1, len - 1, UINT64_MAX);
        break;
    default:
        check_change_user(data + 1, len - 1, SL_CAP_PROTOCOL_41);
        break;
    }
    return 0;
}
