/* SPDX-License-Identifier: Apache-2.0 */
/* EXECUTE and BULK_EXECUTE: ids, types, rebuilding, sizes around 16 MiB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/params.h"

#include "bytes_of.h"

static struct sl_buf raw;

static struct sl_slice bytes(const char *text)
{
    sl_buf_clear(&raw);
    hex_append(&raw, text);
    return sl_buf_slice(&raw);
}

static void test_ids(void **state)
{
    struct sl_slice s = bytes("19 01020304");
    assert_int_equal(sl_stmt_id(s.data), 0x04030201);
    sl_stmt_id_put(raw.data, SL_STMT_ID_LAST);
    assert_int_equal(sl_stmt_id(s.data), SL_STMT_ID_LAST);
    s = bytes("00 08000000 0100 0200 00 0000");
    assert_int_equal(sl_prepare_ok_id(s.data), 8);
    sl_prepare_ok_id_put(raw.data, 9);
    assert_int_equal(sl_prepare_ok_id(s.data), 9);
}

static void test_parse(void **state)
{
    struct sl_execute_info e;
    struct sl_slice s = bytes("17 02000000 01 01000000 02 01 0880 fd00 0700000000000000");
    assert_int_equal(sl_execute_parse(s.data, s.len, 2, &e), SL_OK);
    assert_int_equal(e.stmt_id, 2);
    assert_int_equal(e.flags, SL_EXECUTE_CURSOR);
    assert_int_equal(e.iterations, 1);
    assert_true(e.has_types);
    assert_int_equal(e.types.len, 4);
    assert_int_equal(e.types.data[1], 0x80);
    assert_int_equal(e.nulls.len, 1);
    assert_int_equal(e.values_at, 16);
    for (size_t len = 0; len < 16; len++) {
        assert_int_equal(sl_execute_parse(s.data, len, 2, &e), SL_EAGAIN);
    }
    s = bytes("17 02000000 00 01000000");
    assert_int_equal(sl_execute_parse(s.data, s.len, 0, &e), SL_OK);
    assert_false(e.has_types);
    s = bytes("03 02000000 00 01000000");
    assert_int_equal(sl_execute_parse(s.data, s.len, 0, &e), SL_EPROTO);
    s = bytes("fa 05000000 8000 0800 00 07");
    assert_int_equal(sl_execute_parse(s.data, s.len, 1, &e), SL_OK);
    assert_true(e.is_bulk && e.has_types);
    assert_int_equal(e.values_at, 9);
}

static void test_types_are_put_back(void **state)
{
    struct sl_param_types types = {NULL, 0};
    struct sl_execute_info e;
    struct sl_buf b = SL_BUF_INIT;
    struct sl_slice s = bytes("17 02000000 00 01000000 00 01 0300 fd00 01000000 01'a'");
    assert_int_equal(sl_param_types_slice(&types).len, 0);
    assert_int_equal(sl_execute_parse(s.data, s.len, 2, &e), SL_OK);
    assert_int_equal(sl_param_types_remember(&types, &e), SL_OK);
    s = bytes("17 02000000 00 01000000 02 00 01000000");
    assert_int_equal(sl_execute_parse(s.data, s.len, 2, &e), SL_OK);
    assert_int_equal(sl_param_types_remember(&types, &e), SL_OK); /* keeps the old ones */
    assert_int_equal(sl_execute_build(&b, s.data, s.len, &e, 77, sl_param_types_slice(&types)),
                     SL_OK);
    s = bytes("14000000 17 4d000000 00 01000000 02 01 0300 fd00 01000000");
    assert_true(sl_slice_equal(sl_buf_slice(&b), s));
    assert_int_equal(sl_execute_build(&b, s.data + 4, s.len - 4, &e, 1, sl_slice("abc", 3)),
                     SL_EINVAL);
    sl_param_types_free(&types);
    sl_buf_free(&b);
}

static void test_bulk_types(void **state)
{
    struct sl_execute_info e;
    struct sl_buf b = SL_BUF_INIT;
    struct sl_slice s = bytes("fa 05000000 4000 00 07");
    assert_int_equal(sl_execute_parse(s.data, s.len, 1, &e), SL_OK);
    assert_int_equal(sl_execute_build(&b, s.data, s.len, &e, 6, sl_slice("\1\0", 2)), SL_OK);
    s = bytes("0b000000 fa 06000000 c000 0100 00 07");
    assert_true(sl_slice_equal(sl_buf_slice(&b), s));
    sl_buf_free(&b);
}

/* With the types put in, the payload may need one physical packet more. */
static void test_long_execute(void **state)
{
    uint8_t *payload = calloc(1, SL_PACKET_MAX + 16);
    for (size_t len = SL_PACKET_MAX - 4; len < SL_PACKET_MAX + 4; len++) {
        struct sl_execute_info e;
        struct sl_buf b = SL_BUF_INIT;
        size_t fragments = sl_packet_fragments(len + 2);
        payload[0] = SL_COM_STMT_EXECUTE;
        payload[len - 1] = 0x5a;
        assert_int_equal(sl_execute_parse(payload, len, 1, &e), SL_OK);
        assert_int_equal(sl_execute_build(&b, payload, len, &e, 1, sl_slice("\3\0", 2)), SL_OK);
        assert_int_equal(sl_buf_len(&b), len + 2 + 4 * fragments);
        assert_int_equal(sl_packet_len(b.data), fragments == 1 ? len + 2 : SL_PACKET_MAX);
        if (fragments == 2) {
            assert_int_equal(sl_packet_len(b.data + 4 + SL_PACKET_MAX), len + 2 - SL_PACKET_MAX);
        }
        if (fragments == 1 || len + 2 > SL_PACKET_MAX) {
            assert_int_equal(b.data[b.end - 1], 0x5a);
        }
        payload[len - 1] = 0;
        sl_buf_free(&b);
    }
    free(payload);
}

static void test_no_memory(void **state)
{
    struct sl_param_types types = {NULL, 0};
    struct sl_execute_info e;
    struct sl_buf b = SL_BUF_INIT;
    struct sl_slice s = bytes("17 02000000 00 01000000 00 01 0300 01000000");
    assert_int_equal(sl_execute_parse(s.data, s.len, 1, &e), SL_OK);
    sl_mem_fail_after(1);
    assert_int_equal(sl_param_types_remember(&types, &e), SL_ENOMEM);
    for (uint64_t n = 1; n < 3; n++) {
        sl_mem_fail_after(n);
        assert_int_equal(sl_execute_build(&b, s.data, s.len, &e, 1, sl_slice(NULL, 0)), SL_ENOMEM);
        assert_int_equal(sl_buf_len(&b), 0);
    }
    sl_mem_fail_after(0);
    sl_param_types_free(&types);
    sl_buf_free(&b);
    sl_buf_free(&raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_types_are_put_back),
        cmocka_unit_test(test_bulk_types),
        cmocka_unit_test(test_long_execute),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
