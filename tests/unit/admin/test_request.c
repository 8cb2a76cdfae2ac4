/* SPDX-License-Identifier: Apache-2.0 */
/* Paths, methods, parameters, headers of answers. */
#include "admin_test.h"

static void test_paths(void **state)
{
    static const struct {
        const char *path, *normal;
        bool has_prefix;
        unsigned segments;
    } rows[] = {
        {"/", "", false, 0},
        {"/v1", "", true, 0},
        {"/v1/", "", true, 0},
        {"/v1/servers", "servers", true, 1},
        {"/servers///", "servers", false, 1},
        {"//v1//servers/db1/", "servers/db1", true, 2},
        {"/v1x/servers", "v1x/servers", false, 2},
        {"/servers//db1", "servers//db1", false, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sl_admin_request rq = {0};
        assert_int_equal(sl_admin_request_set_path(&rq, rows[i].path), 0);
        assert_string_equal(rq.path, rows[i].normal);
        assert_int_equal(rq.has_prefix, rows[i].has_prefix);
        assert_int_equal(rq.segment_count, rows[i].segments);
    }
}

static void test_path_limits(void **state)
{
    struct sl_admin_request rq = {0};
    char path[SL_ADMIN_PATH_MAX + 16];
    memset(path, 'a', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_int_equal(sl_admin_request_set_path(&rq, path), SL_EINVAL);
    assert_int_equal(sl_admin_request_set_path(&rq, "/1/2/3/4/5/6/7/8/9/10/11/12/13"), SL_EINVAL);
}

static void test_methods(void **state)
{
    for (unsigned m = 0; m < SL_ADMIN_METHOD_COUNT; m++) {
        assert_int_equal(sl_admin_method_of(sl_admin_method_name(m)), m);
    }
    assert_int_equal(sl_admin_method_of("get"), SL_ADMIN_METHOD_COUNT);
    assert_true(sl_admin_method_is_read(SL_ADMIN_HEAD));
    assert_false(sl_admin_method_is_read(SL_ADMIN_PUT));
}

static void test_bools(void **state)
{
    struct sl_admin_request rq = {0};
    char query[] = "a=YES&b=0&c=maybe&d";
    test_query(&rq, query);
    assert_true(sl_admin_param_bool(&rq, "a", false));
    assert_false(sl_admin_param_bool(&rq, "b", true));
    assert_true(sl_admin_param_bool(&rq, "c", true));
    assert_false(sl_admin_param_bool(&rq, "d", false));
    assert_true(sl_admin_param_bool(&rq, "e", true));
}

static void test_headers_are_clean(void **state)
{
    struct sl_admin_response rs = {0};
    sl_admin_response_header(&rs, "X", "%s", "a\r\nSet-Cookie: b");
    assert_int_equal(rs.header_count, 0);
    sl_admin_response_header(&rs, "X", "%s", "ok");
    assert_int_equal(rs.header_count, 1);
    sl_admin_response_clear(&rs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_path_limits),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_bools),
        cmocka_unit_test(test_headers_are_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
