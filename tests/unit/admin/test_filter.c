/* SPDX-License-Identifier: Apache-2.0 */
/* Row filters: expressions, pointers, JSONPath, and how they combine. */
#include "admin/filter.h"
#include "admin_test.h"

static bool expr(const char *text, const char *json)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_filter_expr *e;
    assert_int_equal(sl_filter_expr_parse(text, &e, &err), 0);
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    bool matches = sl_filter_expr_matches(e, value);
    json_decref(value);
    sl_filter_expr_free(e);
    return matches;
}

static void test_expressions(void **state)
{
    static const struct {
        const char *text, *json;
        bool expected;
    } rows[] = {
        {"\"a\"", "\"a\"", true},
        {"\"a\"", "\"b\"", false},
        {"5", "5", true},
        {"5", "5.0", true},
        {"5", "\"5\"", false},
        {"true", "true", true},
        {"null", "null", true},
        {"eq(\"a\")", "\"a\"", true},
        {" eq ( 5 ) ", "5", true},
        {"ne(5)", "6", true},
        {"ne(5)", "\"x\"", true},
        {"lt(5)", "4", true},
        {"lt(5)", "5", false},
        {"le(5)", "5", true},
        {"gt(5)", "5.5", true},
        {"ge(5)", "4", false},
        {"lt(5)", "\"4\"", false},
        {"gt(\"a\")", "\"b\"", true},
        {"gt(true)", "false", false},
        {"and(gt(1),lt(5))", "3", true},
        {"and(gt(1),lt(5))", "7", false},
        {"or(eq(1),eq(2),eq(3))", "3", true},
        {"or(1,2)", "3", false},
        {"not(eq(1),eq(2))", "3", true},
        {"not(eq(1),eq(2))", "2", false},
        {"not(and(gt(1),not(eq(3))))", "3", true},
        {"[1,2]", "[1,2]", true},
        {"{\"a\":1}", "{\"a\":1}", true},
        {"eq(\")\")", "\")\"", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (expr(rows[i].text, rows[i].json) != rows[i].expected) {
            fail_msg("%s on %s", rows[i].text, rows[i].json);
        }
    }
}

static void test_bad_expressions(void **state)
{
    static const char *const texts[] = {"",       "x",          "eq(",       "eq()",
                                        "eq(5",   "and()",      "and(eq(1)", "5 6",
                                        "eq(5))", "or(eq(1),)", "nor(5)",    "\"a"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sl_err err = SL_ERR_INIT;
        struct sl_filter_expr *e;
        if (sl_filter_expr_parse(texts[i], &e, &err) == 0) {
            fail_msg("'%s' was taken", texts[i]);
        }
        assert_true(err.text[0] != '\0');
    }
}

static void test_depth_is_bounded(void **state)
{
    char text[1200] = "";
    for (unsigned i = 0; i < 200; i++) {
        strcat(text, "not(");
    }
    struct sl_err err = SL_ERR_INIT;
    struct sl_filter_expr *e;
    assert_int_equal(sl_filter_expr_parse(text, &e, &err), SL_ELIMIT);
    strcpy(text, "or(1");
    for (unsigned i = 0; i < 100; i++) {
        strcat(text, ",1");
    }
    assert_int_equal(sl_filter_expr_parse(text, &e, &err), SL_ELIMIT);
}

static const char document[] =
    "{\"id\":\"db1\",\"attributes\":{\"state\":\"Down\",\"a/b\":1,\"m~n\":2,"
    "\"list\":[{\"x\":1},{\"x\":2},{\"x\":3}],\"p\":{\"port\":3306}}}";

static bool path(bool is_pointer, const char *text, const char *wanted)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_filter_path *p;
    struct sl_filter_expr *e;
    int rc = is_pointer ? sl_filter_pointer_parse(text, &p, &err)
                        : sl_filter_jsonpath_parse(text, &p, &err);
    if (rc != 0) {
        fail_msg("%s: %s", text, err.text);
    }
    assert_int_equal(sl_filter_expr_parse(wanted, &e, &err), 0);
    json_t *root = json_loads(document, 0, NULL);
    bool found = sl_filter_path_any(p, root, e);
    json_decref(root);
    sl_filter_expr_free(e);
    sl_filter_path_free(p);
    return found;
}

static void test_pointers(void **state)
{
    assert_true(path(true, "/id", "\"db1\""));
    assert_true(path(true, "id", "\"db1\""));
    assert_true(path(true, "/attributes/p/port", "3306"));
    assert_true(path(true, "/attributes/list/1/x", "2"));
    assert_true(path(true, "/attributes/a~1b", "1"));
    assert_true(path(true, "/attributes/m~0n", "2"));
    assert_false(path(true, "/attributes/nix", "null"));
    assert_false(path(true, "/attributes/list/9/x", "2"));
    assert_false(path(true, "/attributes/list/1y/x", "2"));
}

static void test_jsonpaths(void **state)
{
    assert_true(path(false, "$.id", "\"db1\""));
    assert_true(path(false, "id", "\"db1\""));
    assert_true(path(false, "$.attributes.p.port", "gt(3000)"));
    assert_true(path(false, "attributes['state']", "\"Down\""));
    assert_true(path(false, "$[\"attributes\"][\"a/b\"]", "1"));
    assert_true(path(false, "$.attributes.list[0].x", "1"));
    assert_true(path(false, "$.attributes.list[0,2].x", "3"));
    assert_false(path(false, "$.attributes.list[0, 1].x", "3"));
    assert_true(path(false, "$.attributes.list[*].x", "3"));
    assert_true(path(false, "$.attributes.*", "\"Down\""));
    assert_true(path(false, "$.*.state", "\"Down\""));
    assert_false(path(false, "$.attributes.list[*].y", "3"));
}

static void test_bad_jsonpaths(void **state)
{
    static const char *const texts[] = {"$.",    "$[", "$['a", "$['a'", "$[x]",
                                        "$[1,]", "$x", "$..a", "$[-1]", "a[0]b"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sl_err err = SL_ERR_INIT;
        struct sl_filter_path *p;
        if (sl_filter_jsonpath_parse(texts[i], &p, &err) == 0) {
            fail_msg("'%s' was taken", texts[i]);
        }
    }
}

static bool query(const char *text)
{
    struct sl_admin_request rq = {0};
    char copy[512];
    snprintf(copy, sizeof copy, "%s", text);
    test_query(&rq, copy);
    struct sl_err err = SL_ERR_INIT;
    struct sl_filter *f;
    assert_int_equal(sl_filter_new(rq.params, rq.param_count, &f, &err), 0);
    json_t *root = json_loads(document, 0, NULL);
    bool matches = f == NULL || sl_filter_matches(f, root);
    json_decref(root);
    sl_filter_free(f);
    return matches;
}

static void test_several_filters(void **state)
{
    assert_true(query("pretty=true"));
    assert_true(query("filter=/id=\"db1\""));
    assert_false(query("filter=/id=\"db2\""));
    assert_true(query("filter=/id=\"db1\"&filter[$.attributes.state]=\"Down\""));
    assert_false(query("filter=/id=\"db1\"&filter[$.attributes.state]=\"Up\""));
    assert_true(query("filter=nothing to compare"));
    assert_true(query("filter[attributes.state]=or(eq(\"Down\"),eq(\"Up\"))"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expressions),      cmocka_unit_test(test_bad_expressions),
        cmocka_unit_test(test_depth_is_bounded), cmocka_unit_test(test_pointers),
        cmocka_unit_test(test_jsonpaths),        cmocka_unit_test(test_bad_jsonpaths),
        cmocka_unit_test(test_several_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
