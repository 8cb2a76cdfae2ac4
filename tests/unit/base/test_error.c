/* SPDX-License-Identifier: Apache-2.0 */
/* Result codes as text; the error object: setting, wrapping, cutting, aliasing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/error.h"

static void test_rc_text(void **state)
{
    assert_string_equal(sl_rc_text(SL_OK), "ok");
    assert_string_equal(sl_rc_text(SL_ENOMEM), "out of memory");
    assert_string_equal(sl_rc_text(SL_ESTATE), "not possible in this state");
    assert_string_equal(sl_rc_text(SL_ESTATE - 1), "unknown error");
    assert_string_equal(sl_rc_text(1), "unknown error");
}

static void test_set_and_wrap(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_err_set(&err, SL_EINVAL, "bad '%s'", "x"), SL_EINVAL);
    assert_int_equal(sl_err_wrap(&err, "line %d", 7), SL_EINVAL);
    assert_int_equal(err.rc, SL_EINVAL);
    assert_string_equal(err.text, "line 7: bad 'x'");
}

static void test_null_object(void **state)
{
    assert_int_equal(sl_err_set(NULL, SL_ESYS, "x"), SL_ESYS);
    assert_int_equal(sl_err_wrap(NULL, "x"), SL_OK);
}

static void test_long_text_is_cut(void **state)
{
    char big[3000];
    memset(big, 'a', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    struct sl_err err = SL_ERR_INIT;
    sl_err_set(&err, SL_ELIMIT, "%s", big);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    sl_err_wrap(&err, "short");
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    assert_memory_equal(err.text, "short: aaa", 10);
    sl_err_wrap(&err, "%s", big);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    sl_err_set(&err, SL_EINVAL, "tail");
    sl_err_wrap(&err, "%.1022s", big);
    assert_int_equal(err.text[1022], ':');
    assert_int_equal(strlen(err.text), 1023);
}

static void test_own_text_as_argument(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    sl_err_set(&err, SL_EINVAL, "inner");
    sl_err_set(&err, SL_ESYS, "outer (%s)", err.text);
    assert_string_equal(err.text, "outer (inner)");
    assert_int_equal(err.rc, SL_ESYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rc_text),
        cmocka_unit_test(test_set_and_wrap),
        cmocka_unit_test(test_null_object),
        cmocka_unit_test(test_long_text_is_cut),
        cmocka_unit_test(test_own_text_as_argument),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
