/* SPDX-License-Identifier: Apache-2.0 */
/* The envelope: links, relationships, sparse fields, pages, errors. */
#include "admin/jsonapi.h"
#include "admin_test.h"

static void begin(struct sl_admin_request *rq, const char *path, char *query)
{
    *rq = (struct sl_admin_request){.host = "h:1", .method = SL_ADMIN_GET};
    assert_int_equal(sl_admin_request_set_path(rq, path), 0);
    test_query(rq, query);
}

static json_t *row(const struct sl_admin_request *rq, int n)
{
    char id[16];
    snprintf(id, sizeof id, "s%d", n);
    json_t *attributes = json_pack("{s:i, s:{s:i, s:i}}", "n", n, "p", "port", n, "x", 1);
    json_t *relations = json_object();
    json_t *refs = json_array();
    json_array_append_new(refs, sl_jsonapi_reference("m", "monitors"));
    sl_jsonapi_relate(rq, relations, "servers", id, "monitors", refs);
    sl_jsonapi_relate(rq, relations, "servers", id, "services", json_array());
    return sl_jsonapi_resource(rq, "servers", "servers", id, attributes, relations);
}

static const char *text_at(json_t *o, const char *a, const char *b)
{
    return json_string_value(json_object_get(json_object_get(o, a), b));
}

static void test_one(void **state)
{
    struct sl_admin_request rq;
    struct sl_admin_response rs = {0};
    char query[] = "";
    begin(&rq, "/v1/servers/s1/", query);
    sl_jsonapi_one(&rq, &rs, row(&rq, 1));
    assert_int_equal(rs.status, 200);
    assert_string_equal(text_at(rs.json, "links", "self"), "http://h:1/v1/servers/s1/");
    json_t *data = json_object_get(rs.json, "data");
    assert_string_equal(text_at(data, "links", "self"), "http://h:1/v1/servers/s1/");
    json_t *relations = json_object_get(data, "relationships");
    assert_null(json_object_get(relations, "services"));
    json_t *monitors = json_object_get(relations, "monitors");
    assert_string_equal(text_at(monitors, "links", "self"),
                        "http://h:1/v1/servers/s1/relationships/monitors/");
    assert_string_equal(text_at(monitors, "links", "related"), "http://h:1/v1/monitors/");
    sl_admin_response_clear(&rs);
}

static void test_links_without_prefix(void **state)
{
    struct sl_admin_request rq;
    struct sl_admin_response rs = {0};
    char query[] = "";
    begin(&rq, "/servers", query);
    rq.is_https = true;
    sl_jsonapi_many(&rq, &rs, json_array());
    assert_string_equal(text_at(rs.json, "links", "self"), "https://h:1/servers/");
    sl_admin_response_clear(&rs);
}

static void test_fields(void **state)
{
    struct sl_admin_request rq;
    struct sl_admin_response rs = {0};
    char query[] = "fields[servers]=p/port,nix,p/nix/deep";
    begin(&rq, "/v1/servers/s1", query);
    sl_jsonapi_one(&rq, &rs, row(&rq, 1));
    json_t *data = json_object_get(rs.json, "data");
    assert_null(json_object_get(data, "relationships"));
    json_t *expected = json_pack("{s:{s:i}}", "p", "port", 1);
    assert_true(json_equal(json_object_get(data, "attributes"), expected));
    json_decref(expected);
    sl_admin_response_clear(&rs);
}

static void test_fields_of_another_type(void **state)
{
    struct sl_admin_request rq;
    struct sl_admin_response rs = {0};
    char query[] = "fields[services]=p";
    begin(&rq, "/v1/servers/s1", query);
    sl_jsonapi_one(&rq, &rs, row(&rq, 1));
    assert_int_equal(
        json_object_size(json_object_get(json_object_get(rs.json, "data"), "attributes")), 2);
    sl_admin_response_clear(&rs);
}

static void test_fields_that_remove_all(void **state)
{
    struct sl_admin_request rq;
    struct sl_admin_response rs = {0};
    char query[] = "fields[servers]=monitors";
    begin(&rq, "/v1/servers/s1", query);
    sl_jsonapi_one(&rq, &rs, row(&rq, 1));
    json_t *data = json_object_get(rs.json, "data");
    assert_null(json_object_get(data, "attributes"));
    assert_non_null(json_object_get(json_object_get(data, "relationships"), "monitors"));
    sl_admin_response_clear(&rs);
}

static json_t *rows(const struct sl_admin_request *rq, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        json_array_append_new(list, row(rq, i));
    }
    return list;
}

static void test_page(void **state)
{
    struct sl_admin_request rq;
    struct sl_admin_response rs = {0};
    char query[] = "page[size]=2&page[number]=1&fields[servers]=n";
    begin(&rq, "/v1/servers", query);
    sl_jsonapi_many(&rq, &rs, rows(&rq, 5));
    json_t *data = json_object_get(rs.json, "data");
    assert_int_equal(json_array_size(data), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(data, 0), "id")), "s2");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(rs.json, "meta"), "total")),
                     5);
    assert_string_equal(
        text_at(rs.json, "links", "next"),
        "http://h:1/v1/servers/?page%5Bsize%5D=2&page%5Bnumber%5D=2&fields%5Bservers%5D=n");
    assert_non_null(text_at(rs.json, "links", "prev"));
    assert_non_null(text_at(rs.json, "links", "last"));
    sl_admin_response_clear(&rs);
}

static void test_page_borders(void **state)
{
    static const struct {
        const char *query;
        size_t rows;
        bool has_next, has_prev;
    } cases[] = {
        {"page[size]=2", 2, true, false},
        {"page[size]=2&page[number]=2", 1, false, true},
        {"page[size]=2&page[number]=9", 0, false, true},
        {"page[size]=9223372036854775807&page[number]=9223372036854775807", 0, false, true},
        {"page[size]=0", 5, false, false},
        {"page[size]=-1", 5, false, false},
        {"page[size]=x", 5, false, false},
        {"page[number]=1", 5, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_admin_request rq;
        struct sl_admin_response rs = {0};
        char query[128];
        snprintf(query, sizeof query, "%s", cases[i].query);
        begin(&rq, "/v1/servers", query);
        sl_jsonapi_many(&rq, &rs, rows(&rq, 5));
        assert_int_equal(json_array_size(json_object_get(rs.json, "data")), cases[i].rows);
        assert_int_equal(text_at(rs.json, "links", "next") != NULL, cases[i].has_next);
        assert_int_equal(text_at(rs.json, "links", "prev") != NULL, cases[i].has_prev);
        sl_admin_response_clear(&rs);
    }
}

static void test_filter_before_page(void **state)
{
    struct sl_admin_request rq;
    struct sl_admin_response rs = {0};
    char query[] = "filter=/attributes/n=gt(2)&page[size]=1&fields[servers]=p";
    begin(&rq, "/v1/servers", query);
    sl_jsonapi_many(&rq, &rs, rows(&rq, 5));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(rs.json, "meta"), "total")),
                     2);
    sl_admin_response_clear(&rs);
}

static void test_filter_refused(void **state)
{
    struct sl_admin_request rq;
    struct sl_admin_response rs = {0};
    char query[] = "filter=/attributes/n=gt(";
    begin(&rq, "/v1/servers", query);
    sl_jsonapi_many(&rq, &rs, rows(&rq, 1));
    assert_int_equal(rs.status, 400);
    sl_admin_response_clear(&rs);
    sl_jsonapi_one(&rq, &rs, row(&rq, 1));
    assert_int_equal(rs.status, 400);
    sl_admin_response_clear(&rs);
}

static void test_relationship(void **state)
{
    struct sl_admin_request rq;
    struct sl_admin_response rs = {0};
    char query[] = "";
    begin(&rq, "/v1/servers/s1/relationships/services", query);
    sl_jsonapi_relationship(&rq, &rs, row(&rq, 1), "servers", "s1", "services");
    assert_int_equal(rs.status, 200);
    assert_true(json_is_array(json_object_get(rs.json, "data")));
    sl_admin_response_clear(&rs);
    sl_jsonapi_relationship(&rq, &rs, row(&rq, 1), "servers", "s1", "monitors");
    assert_int_equal(json_array_size(json_object_get(rs.json, "data")), 1);
    sl_admin_response_clear(&rs);
}

static void test_errors_gather(void **state)
{
    struct sl_admin_response rs = {0};
    sl_admin_fail(&rs, 400, "one %d", 1);
    sl_admin_fail(&rs, 400, "bad \xff bytes");
    assert_int_equal(json_array_size(json_object_get(rs.json, "errors")), 2);
    sl_admin_response_clear(&rs);
}

static void test_values(void **state)
{
    json_t *date = sl_jsonapi_date(1704439434);
    assert_string_equal(json_string_value(date), "Fri, 05 Jan 2024 07:23:54 GMT");
    json_decref(date);
    assert_true(json_is_null(sl_jsonapi_date(0)));
    assert_true(json_is_null(sl_jsonapi_text("")));
    json_t *odd = sl_jsonapi_text("b\xfc"
                                  "cher");
    assert_string_equal(json_string_value(odd), "b\xef\xbf\xbd"
                                                "cher");
    json_decref(odd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_links_without_prefix),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_fields_of_another_type),
        cmocka_unit_test(test_fields_that_remove_all),
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_page_borders),
        cmocka_unit_test(test_filter_before_page),
        cmocka_unit_test(test_filter_refused),
        cmocka_unit_test(test_relationship),
        cmocka_unit_test(test_errors_gather),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
