/* SPDX-License-Identifier: Apache-2.0 */
/* The bound for nested JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json_depth.h"

static bool is_sane(const char *text)
{
    return sl_json_depth_is_sane(text, strlen(text));
}

static void test_depth(void **state)
{
    char text[2 * SL_JSON_DEPTH_MAX + 3] = "";
    memset(text, '[', SL_JSON_DEPTH_MAX);
    assert_true(is_sane(text));
    text[SL_JSON_DEPTH_MAX] = '{';
    assert_false(is_sane(text));
    for (int i = 0; i < SL_JSON_DEPTH_MAX + 1; i++) {
        memcpy(text + 2 * i, i % 2 ? "[]" : "{}", 2); /* beside each other, not inside */
    }
    assert_true(is_sane(text));
}

/* Brackets in strings count nothing, and an escaped quote ends none. */
static void test_strings(void **state)
{
    char text[SL_JSON_DEPTH_MAX + 10] = "[\"\\\"";
    memset(text + 4, '[', SL_JSON_DEPTH_MAX + 1);
    assert_true(is_sane(text));
    memcpy(text + 1, "\"\"[", 3);
    assert_false(is_sane(text));
    assert_true(is_sane("\"\\"));
    assert_true(is_sane(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_depth),
                                       cmocka_unit_test(test_strings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
