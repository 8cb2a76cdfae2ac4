/* SPDX-License-Identifier: Apache-2.0 */
/* What is offered to clients and asked of backends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/handshake.h"

#define SERVER_10_11 0x1d81fffffeULL
#define CLI_10_11 0x1d00bfa284ULL

static void test_offer(void **state)
{
    uint64_t never = SL_CAP_MYSQL | SL_CAP_COMPRESS | SL_CAP_OPTIONAL_METADATA | SL_CAP_ZSTD |
                     SL_CAP_QUERY_ATTRIBUTES | SL_CAP_MULTI_FACTOR | SL_CAP_COM_MULTI |
                     SL_CAP_CACHE_METADATA;
    uint64_t all = sl_capabilities_offer(UINT64_MAX, SL_OFFER_TLS);
    assert_true((all & never) == 0);
    assert_true(all & SL_CAP_SSL);
    assert_true(all & SL_CAP_BULK);
    assert_true(all & SL_CAP_CONNECT_ATTRS);
    assert_false(sl_capabilities_offer(UINT64_MAX, 0) & SL_CAP_SSL);
    assert_false(sl_capabilities_offer(UINT64_MAX, SL_OFFER_NO_LOCAL_FILES) & SL_CAP_LOCAL_FILES);
    assert_false(sl_capabilities_offer(UINT64_MAX, SL_OFFER_NO_SESSION_TRACK) &
                 SL_CAP_SESSION_TRACK);
    assert_false(sl_capabilities_offer(UINT64_MAX, SL_OFFER_NO_BULK) & SL_CAP_BULK);
    assert_true(sl_capabilities_offer(0, 0) & SL_CAP_PROTOCOL_41);
    assert_true(sl_capabilities_shape(sl_capabilities_offer(0, SL_OFFER_TLS)) == 0);
    assert_false(sl_capabilities_offer(SERVER_10_11, 0) & SL_CAP_BULK_UNIT_RESULTS);
}

static void test_agree(void **state)
{
    uint64_t offered = sl_capabilities_offer(SERVER_10_11, 0);
    uint64_t agreed = sl_capabilities_agree(offered, CLI_10_11);
    assert_true((agreed & ~offered) == 0);
    assert_true(agreed & SL_CAP_EXTENDED_METADATA);
    assert_false(agreed & SL_CAP_DEPRECATE_EOF);
    agreed = sl_capabilities_agree(offered, CLI_10_11 | SL_CAP_MYSQL);
    assert_true(agreed >> 32 == 0);
}

static void test_request_has_the_clients_shape(void **state)
{
    uint64_t offered = sl_capabilities_offer(SERVER_10_11, 0);
    const uint64_t clients[] = {CLI_10_11, 0x8038a205, UINT64_MAX, 0x1ffffffffe, 0x8200};
    for (size_t i = 0; i < 5; i++) {
        uint64_t agreed = sl_capabilities_agree(offered, clients[i]);
        uint64_t asked = sl_capabilities_request(agreed, SERVER_10_11, SL_REQUEST_DB);
        assert_true(sl_capabilities_shape(asked) == sl_capabilities_shape(agreed));
        assert_false(asked & SL_CAP_MYSQL);
        assert_false(asked & SL_CAP_COMPRESS);
        assert_true(asked & SL_CAP_CONNECT_WITH_DB);
        assert_true(asked & SL_CAP_PLUGIN_AUTH);
        assert_int_equal((asked ^ agreed) & SL_CAP_FOUND_ROWS, 0);
    }
}

static void test_request_flags(void **state)
{
    uint64_t agreed = sl_capabilities_agree(sl_capabilities_offer(SERVER_10_11, 0), 0x8200);
    uint64_t asked =
        sl_capabilities_request(agreed, SERVER_10_11 | SL_CAP_SSL,
                                SL_REQUEST_TLS | SL_REQUEST_SESSION_TRACK | SL_REQUEST_ATTRIBUTES);
    assert_true(asked & SL_CAP_SSL);
    assert_true(asked & SL_CAP_SESSION_TRACK);
    assert_true(asked & SL_CAP_CONNECT_ATTRS);
    asked = sl_capabilities_request(agreed, SL_CAP_PROTOCOL_41, SL_REQUEST_SESSION_TRACK);
    assert_false(asked & SL_CAP_SESSION_TRACK);
    asked = sl_capabilities_request(agreed, SERVER_10_11, 0);
    assert_false(asked & SL_CAP_CONNECT_WITH_DB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offer),
        cmocka_unit_test(test_agree),
        cmocka_unit_test(test_request_has_the_clients_shape),
        cmocka_unit_test(test_request_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
