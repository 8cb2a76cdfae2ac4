/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks: they go forward, and dates are formatted the same in every locale. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "base/clock.h"

static void test_monotonic(void **state)
{
    uint64_t last = sl_clock_mono_us();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = sl_clock_mono_us();
        assert_true(now >= last);
        last = now;
    }
    assert_true(sl_clock_mono_ms() >= last / 1000);
    assert_true(sl_clock_mono_ms() - last / 1000 < 60000);
}

static void test_wall(void **state)
{
    int64_t now = (int64_t)time(NULL);
    assert_in_range(sl_clock_wall_s() - now, 0, 60);
}

static void test_rfc1123(void **state)
{
    static const struct {
        int64_t wall_s;
        const char *text;
    } rows[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, /* the example of RFC 9110 */
        {1704439434, "Fri, 05 Jan 2024 07:23:54 GMT"},
        {1709164800, "Thu, 29 Feb 2024 00:00:00 GMT"},
        {4102444799, "Thu, 31 Dec 2099 23:59:59 GMT"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[30];
        sl_clock_format_rfc1123(rows[i].wall_s, text, sizeof(text));
        assert_string_equal(text, rows[i].text);
    }
}

static void test_rfc1123_small_room(void **state)
{
    char text[4];
    sl_clock_format_rfc1123(0, text, sizeof(text));
    assert_string_equal(text, "Thu");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_monotonic),
        cmocka_unit_test(test_wall),
        cmocka_unit_test(test_rfc1123),
        cmocka_unit_test(test_rfc1123_small_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
