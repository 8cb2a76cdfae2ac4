/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands and of error states. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/constants.h"

static void test_every_byte_has_an_entry(void **state)
{
    for (unsigned c = 0; c < 256; c++) {
        const struct sl_command_info *info = sl_command_info((uint8_t)c);
        assert_non_null(info->name);
        assert_true(info->min_payload >= 1);
        if (info->flags & SL_COMMAND_STMT_ID) {
            assert_true(info->min_payload >= 5);
        }
    }
    assert_string_equal(sl_command_info(SL_COM_QUERY)->name, "COM_QUERY");
    assert_string_equal(sl_command_info(0xfe)->name, "COM_UNKNOWN");
}

static void test_commands_without_reply(void **state)
{
    for (unsigned c = 0; c < 256; c++) {
        bool silent = c == SL_COM_QUIT || c == SL_COM_STMT_CLOSE || c == SL_COM_STMT_SEND_LONG_DATA;
        assert_int_equal(sl_command_has_reply((uint8_t)c), !silent);
    }
}

/* Bytes that MariaDB 10.11 answers by 1047. */
static void test_unknown_commands(void **state)
{
    const uint8_t unknown[] = {0x00, 0x05, 0x06, 0x0b, 0x0f, 0x10, 0x13, 0x14,
                               0x1d, 0x1e, 0x20, 0xfb, 0xfc, 0xfd, 0xfe, 0xff};
    for (size_t i = 0; i < sizeof(unknown); i++) {
        assert_int_equal(sl_command_info(unknown[i])->flags & SL_COMMAND_KNOWN, 0);
    }
    assert_true(sl_command_info(SL_COM_STMT_BULK_EXECUTE)->flags & SL_COMMAND_KNOWN);
}

static void test_error_states(void **state)
{
    assert_string_equal(sl_server_error_sqlstate(1045), "28000");
    assert_string_equal(sl_server_error_sqlstate(1213), "40001");
    assert_string_equal(sl_server_error_sqlstate(9999), "HY000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_has_an_entry),
        cmocka_unit_test(test_commands_without_reply),
        cmocka_unit_test(test_unknown_commands),
        cmocka_unit_test(test_error_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
