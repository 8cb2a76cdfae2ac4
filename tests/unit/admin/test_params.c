/* SPDX-License-Identifier: Apache-2.0 */
/* Settings rows as JSON, over the real tables. */
#include "admin/params.h"
#include "admin_test.h"

static json_t *value(const struct sl_settings *table, void *object, const char *name,
                     const char *text)
{
    struct sl_err err = SL_ERR_INIT;
    const struct sl_setting *row = sl_settings_find(table, name);
    assert_non_null(row);
    if (text != NULL && sl_setting_parse(row, object, text, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return sl_params_value(row, object);
}

static void check(const struct sl_settings *table, const char *name, const char *text,
                  const char *json)
{
    void *object = sl_xcalloc(1, table->struct_size);
    sl_settings_defaults(table, object);
    json_t *got = value(table, object, name, text);
    json_t *expected = json_loads(json, JSON_DECODE_ANY, NULL);
    if (!json_equal(got, expected)) {
        char *dump = json_dumps(got, JSON_ENCODE_ANY);
        fail_msg("%s=%s gives %s, not %s", name, text != NULL ? text : "(default)", dump, json);
    }
    json_decref(got);
    json_decref(expected);
    sl_settings_clear(table, object);
    sl_free(object);
}

static void test_types(void **state)
{
    check(&sl_settings_server, "port", NULL, "3306");
    check(&sl_settings_server, "persistmaxtime", "10s", "\"10000ms\"");
    check(&sl_settings_server, "address", NULL, "null");
    check(&sl_settings_server, "monitorpw", "x", "\"*****\"");
    check(&sl_settings_server, "monitorpw", NULL, "null");
    check(&sl_settings_server, "rank", NULL, "\"primary\"");
    check(&sl_settings_server, "ssl_version", NULL, "\"MAX\"");
    check(&sl_settings_server, "proxy_protocol", "true", "true");
    check(&sl_settings_server, "disk_space_threshold", "/data:80,*:60", "{\"/data\":80,\"*\":60}");
    check(&sl_settings_service, "idle_session_pool_time", NULL, "\"-1000ms\"");
    check(&sl_settings_global, "writeq_high_water", "1Mi", "1048576");
    check(&sl_settings_global, "log_throttling", "5,2000ms,3s",
          "{\"count\":5,\"window\":2000,\"suppress\":3000}");
    check(&sl_settings_global, "auto_tune", NULL, "[]");
    check(&sl_settings_global, "admin_audit_exclude_methods", "GET, HEAD", "[\"GET\",\"HEAD\"]");
    check(&sl_settings_global, "threads", NULL, "\"auto\"");
    check(&sl_settings_global, "threads", "3", "3");
    check(&sl_settings_monitor, "events", NULL, "\"all\"");
    check(&sl_settings_monitor, "events", "master_down,new_slave", "\"master_down,new_slave\"");
    check(&sl_settings_readconnroute, "router_options", "master", "\"master\"");
}

static void test_tables(void **state)
{
    static const char *const hidden[] = {"servers", NULL};
    struct sl_monitor_settings settings = {0};
    sl_settings_defaults(&sl_settings_monitor, &settings);
    json_t *o = json_object();
    sl_params_add(o, &sl_settings_monitor, &settings, hidden);
    assert_null(json_object_get(o, "servers"));
    assert_non_null(json_object_get(o, "monitor_interval"));
    json_decref(o);
    sl_settings_clear(&sl_settings_monitor, &settings);
}

static void test_nested_names(void **state)
{
    struct sl_global_settings settings = {0};
    sl_settings_defaults(&sl_settings_global, &settings);
    json_t *o = json_object();
    sl_params_add(o, &sl_settings_global, &settings, NULL);
    assert_string_equal(json_string_value(json_object_get(json_object_get(o, "vault"), "host")),
                        "localhost");
    assert_null(json_object_get(o, "vault.host"));
    json_decref(o);
    sl_settings_clear(&sl_settings_global, &settings);
}

static const json_t *described(const json_t *list, const char *name)
{
    size_t i;
    json_t *row;
    json_array_foreach (list, i, row) {
        if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0) {
            return row;
        }
    }
    return NULL;
}

static void expect(const json_t *row, const char *json)
{
    json_t *copy = json_deep_copy(row);
    json_object_del(copy, "description");
    json_t *expected = json_loads(json, 0, NULL);
    assert_non_null(expected);
    if (!json_equal(copy, expected)) {
        char *dump = json_dumps(copy, 0);
        fail_msg("%s, not %s", dump, json);
    }
    json_decref(copy);
    json_decref(expected);
}

static void test_descriptions(void **state)
{
    json_t *list = json_array();
    sl_params_describe(list, &sl_settings_service, NULL);
    expect(described(list, "router"),
           "{\"name\":\"router\",\"type\":\"module\",\"mandatory\":true,\"modifiable\":false}");
    expect(described(list, "wait_timeout"),
           "{\"name\":\"wait_timeout\",\"type\":\"duration\",\"mandatory\":false,"
           "\"modifiable\":true,\"default_value\":\"0ms\",\"unit\":\"s\"}");
    expect(described(list, "enable_root_user"),
           "{\"name\":\"enable_root_user\",\"type\":\"bool\",\"mandatory\":false,"
           "\"modifiable\":true,\"default_value\":false}");
    expect(described(list, "user"),
           "{\"name\":\"user\",\"type\":\"string\",\"mandatory\":false,\"modifiable\":true}");
    assert_null(described(list, "passwd")); /* an old name */
    json_array_clear(list);
    sl_params_describe(list, &sl_settings_server, NULL);
    expect(described(list, "rank"),
           "{\"name\":\"rank\",\"type\":\"enum\",\"mandatory\":false,\"modifiable\":true,"
           "\"default_value\":\"primary\",\"enum_values\":[\"primary\",\"secondary\"]}");
    /* TLSv1.2 is another spelling of TLSv12. */
    assert_int_equal(
        json_array_size(json_object_get(described(list, "ssl_version"), "enum_values")), 5);
    assert_true(json_is_true(json_object_get(described(list, "protocol"), "deprecated")));
    json_decref(list);
}

static void test_all_tables_can_be_described(void **state)
{
    const struct sl_settings *tables[] = {
        &sl_settings_global,        &sl_settings_server,    &sl_settings_service,
        &sl_settings_listener,      &sl_settings_monitor,   &sl_settings_readwritesplit,
        &sl_settings_readconnroute, &sl_settings_tcp,       &sl_settings_binlogrouter,
        &sl_settings_galeramon,     &sl_settings_mariadbmon};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        json_t *list = json_array();
        sl_params_describe(list, tables[i], NULL);
        assert_true(json_array_size(list) > 0);
        json_decref(list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_nested_names),
        cmocka_unit_test(test_descriptions),
        cmocka_unit_test(test_all_tables_can_be_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
