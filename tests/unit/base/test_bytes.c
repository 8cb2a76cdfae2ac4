/* SPDX-License-Identifier: Apache-2.0 */
/* Integers in byte arrays: byte order, no sign extension, no neighbour touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"

static const uint8_t sample[] = {0xf1, 0xe2, 0xd3, 0xc4, 0xb5, 0xa6, 0x97, 0x88};

static void test_get(void **state)
{
    assert_int_equal(sl_get_le16(sample), 0xe2f1);
    assert_int_equal(sl_get_le24(sample), 0xd3e2f1);
    assert_int_equal(sl_get_le32(sample), 0xc4d3e2f1);
    assert_true(sl_get_le64(sample) == 0x8897a6b5c4d3e2f1u);
    assert_int_equal(sl_get_be16(sample), 0xf1e2);
}

static void test_put(void **state)
{
    uint8_t out[9];
    memset(out, 0xee, sizeof(out));
    sl_put_le64(out, 0x8897a6b5c4d3e2f1u);
    assert_memory_equal(out, sample, 8);
    assert_int_equal(out[8], 0xee);
    memset(out, 0xee, sizeof(out));
    sl_put_le24(out, 0xffd3e2f1);
    assert_memory_equal(out, sample, 3);
    assert_int_equal(out[3], 0xee);
    sl_put_le32(out, 0xc4d3e2f1);
    assert_memory_equal(out, sample, 4);
    sl_put_le16(out, 0x1234);
    assert_int_equal(out[0], 0x34);
    assert_int_equal(out[1], 0x12);
    sl_put_be16(out, 0xf1e2);
    assert_memory_equal(out, sample, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
