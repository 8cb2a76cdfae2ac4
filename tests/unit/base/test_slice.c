/* SPDX-License-Identifier: Apache-2.0 */
/* Comparison of slices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"

static void test_equal(void **state)
{
    assert_true(sl_slice_equal(sl_slice(NULL, 0), sl_slice("", 0)));
    assert_true(sl_slice_equal(sl_slice_text("abc"), sl_slice("abcd", 3)));
    assert_false(sl_slice_equal(sl_slice_text("abc"), sl_slice_text("abd")));
    assert_false(sl_slice_equal(sl_slice_text("abc"), sl_slice_text("ab")));
}

static void test_equal_nocase(void **state)
{
    static const struct {
        const char *data;
        size_t len;
        const char *text;
        bool is_equal;
    } rows[] = {
        {"", 0, "", true},
        {"a", 1, "", false},
        {"", 0, "a", false},
        {"SeLeCt", 6, "select", true},
        {"select", 6, "SELECT", true},
        {"selec", 5, "select", false},
        {"select", 6, "selec", false},
        {"a\0b", 3, "a", false},
        {"a\0", 2, "a", false},
        {"@", 1, "`", false},
        {"[", 1, "{", false},
        {"\xc3", 1, "\xe3", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(sl_slice_equal_nocase(sl_slice(rows[i].data, rows[i].len), rows[i].text),
                         rows[i].is_equal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_equal_nocase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
