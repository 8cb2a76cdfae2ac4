/* SPDX-License-Identifier: Apache-2.0 */
/* The diagnostics sink: every kind of value, nesting. */
#include <math.h>

#include "admin/diag_json.h"
#include "admin_test.h"

static void test_all_kinds(void **state)
{
    struct sl_diag_json d;
    sl_diag_json_begin(&d);
    sl_diag_text(&d.base, "t", "x");
    sl_diag_text(&d.base, "none", NULL);
    sl_diag_int(&d.base, "i", -5);
    sl_diag_real(&d.base, "r", 0.5);
    sl_diag_real(&d.base, "inf", INFINITY);
    sl_diag_bool(&d.base, "b", true);
    sl_diag_array_begin(&d.base, "list");
    sl_diag_object_begin(&d.base, NULL);
    sl_diag_int(&d.base, "n", 1);
    sl_diag_end(&d.base);
    sl_diag_text(&d.base, NULL, "item");
    sl_diag_end(&d.base);
    sl_diag_int(&d.base, "after", 2);
    json_t *got = sl_diag_json_end(&d);
    json_t *expected =
        json_loads("{\"t\":\"x\",\"none\":null,\"i\":-5,\"r\":0.5,\"inf\":null,\"b\":true,"
                   "\"list\":[{\"n\":1},\"item\"],\"after\":2}",
                   0, NULL);
    assert_true(json_equal(got, expected));
    json_decref(got);
    json_decref(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_kinds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
