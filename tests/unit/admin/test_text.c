/* SPDX-License-Identifier: Apache-2.0 */
/* Text that need not be UTF-8, as JSON. */
#include "admin/text.h"
#include "admin_test.h"

static void expect(const char *text, const char *json)
{
    json_t *value = sl_text_json(text);
    assert_string_equal(json_string_value(value), json);
    json_decref(value);
}

static void test_good_text_is_kept(void **state)
{
    expect("", "");
    expect("plain", "plain");
    expect("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
}

#define BAD "\xef\xbf\xbd"

static void test_other_bytes_are_replaced(void **state)
{
    expect("latin \xe4", "latin " BAD);
    expect("\xff\xfe", BAD BAD);
    expect("cut \xe2\x82", "cut " BAD BAD);
    expect("cut \xf0\x9f\x98", "cut " BAD BAD BAD);
    expect("overlong \xc0\xaf \xe0\x80\xaf", "overlong " BAD BAD " " BAD BAD BAD);
    expect("surrogate \xed\xa0\x80", "surrogate " BAD BAD BAD);
    expect("too large \xf4\x90\x80\x80", "too large " BAD BAD BAD BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good_text_is_kept),
                                       cmocka_unit_test(test_other_bytes_are_replaced)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
