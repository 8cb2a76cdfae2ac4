/* SPDX-License-Identifier: Apache-2.0 */
/* The table of routes, and requests run through it against a core put together by hand. */
#include "admin/hosts.h"
#include "admin/route.h"
#include "admin_test.h"

static struct test_core *core;
static struct sl_admin admin;

static int setup(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    char path[96];
    core = test_core_new();
    snprintf(path, sizeof path, "%s/passwd", core->datadir);
    admin = (struct sl_admin){.core = &core->core};
    sl_stamps_init(&admin.stamps, 1700000000);
    assert_int_equal(sl_passwd_open(path, &admin.auth.passwd, &err), 0);
    return 0;
}

static int teardown(void **state)
{
    sl_passwd_close(admin.auth.passwd);
    sl_stamps_clear(&admin.stamps);
    test_core_free(core);
    return 0;
}

/* Runs a request; the answer's JSON (or NULL) is the caller's. */
static unsigned run(enum sl_admin_method method, const char *url, const char *body, json_t **ret)
{
    struct sl_admin_request rq = {
        .admin = &admin, .core = &core->core, .method = method, .host = "h"};
    struct sl_admin_response rs = {0};
    char copy[512];
    snprintf(copy, sizeof copy, "%s", url);
    char *query = strchr(copy, '?');
    if (query != NULL) {
        *query = '\0';
        test_query(&rq, query + 1);
    }
    assert_int_equal(sl_admin_request_set_path(&rq, copy), 0);
    rq.raw_body = body;
    rq.raw_body_len = body != NULL ? strlen(body) : 0;
    sl_admin_route_run(&rq, &rs);
    unsigned status = rs.status;
    assert_int_not_equal(status, 0);
    if (ret != NULL) {
        *ret = json_incref(rs.json);
    }
    if (status >= 400) {
        assert_true(json_array_size(json_object_get(rs.json, "errors")) > 0);
    }
    json_decref(rq.body);
    sl_admin_response_clear(&rs);
    return status;
}

static void test_statuses(void **state)
{
    static const struct {
        enum sl_admin_method method;
        const char *url, *body;
        unsigned status;
    } rows[] = {
        {SL_ADMIN_GET, "/", NULL, 200},
        {SL_ADMIN_GET, "/v1", NULL, 200},
        {SL_ADMIN_GET, "/v1/servers", NULL, 200},
        {SL_ADMIN_HEAD, "/v1/servers", NULL, 200},
        {SL_ADMIN_GET, "/servers/db1/", NULL, 200},
        {SL_ADMIN_GET, "/v1/servers/db3", NULL, 404},
        {SL_ADMIN_GET, "/v1/servers/db1/relationships/services", NULL, 200},
        {SL_ADMIN_GET, "/v1/servers/db1/relationships/monitors", NULL, 200},
        {SL_ADMIN_GET, "/v1/servers/db1/relationships/listeners", NULL, 404},
        {SL_ADMIN_GET, "/v1/services", NULL, 200},
        {SL_ADMIN_GET, "/v1/services/S", NULL, 200},
        {SL_ADMIN_GET, "/v1/services/X", NULL, 404},
        {SL_ADMIN_GET, "/v1/services/S/relationships/filters", NULL, 200},
        {SL_ADMIN_GET, "/v1/services/S/relationships/x", NULL, 404},
        {SL_ADMIN_GET, "/v1/services/S/listeners", NULL, 200},
        {SL_ADMIN_GET, "/v1/services/S/listeners/L", NULL, 200},
        {SL_ADMIN_GET, "/v1/services/S/listeners/X", NULL, 404},
        {SL_ADMIN_POST, "/v1/services/S/reload", NULL, 400}, /* no accounts */
        {SL_ADMIN_GET, "/v1/listeners/L", NULL, 200},
        {SL_ADMIN_GET, "/v1/listeners/L/relationships/services", NULL, 200},
        {SL_ADMIN_GET, "/v1/monitors", NULL, 200},
        {SL_ADMIN_GET, "/v1/monitors/M", NULL, 404},
        {SL_ADMIN_GET, "/v1/filters", NULL, 200},
        {SL_ADMIN_GET, "/v1/filters/F", NULL, 404},
        {SL_ADMIN_GET, "/v1/sessions", NULL, 200},
        {SL_ADMIN_GET, "/v1/sessions/1", NULL, 404},
        {SL_ADMIN_GET, "/v1/sessions/x", NULL, 404},
        {SL_ADMIN_GET, "/v1/sessions/99999999999999999999", NULL, 404},
        {SL_ADMIN_DELETE, "/v1/sessions/1", NULL, 404},
        {SL_ADMIN_GET, "/v1/maxscale", NULL, 200},
        {SL_ADMIN_GET, "/v1/maxscale/threads", NULL, 200},
        {SL_ADMIN_GET, "/v1/maxscale/threads/0", NULL, 404},
        {SL_ADMIN_GET, "/v1/maxscale/logs", NULL, 200},
        {SL_ADMIN_GET, "/v1/maxscale/modules", NULL, 200},
        {SL_ADMIN_GET, "/v1/maxscale/modules/readconnroute", NULL, 200},
        {SL_ADMIN_GET, "/v1/maxscale/modules/maxscale", NULL, 200},
        {SL_ADMIN_GET, "/v1/maxscale/modules/nix", NULL, 404},
        {SL_ADMIN_GET, "/v1/maxscale/debug/monitor_wait", NULL, 200},
        {SL_ADMIN_GET, "/v1/users", NULL, 200},
        {SL_ADMIN_GET, "/v1/users/unix", NULL, 200},
        {SL_ADMIN_GET, "/v1/users/inet/admin", NULL, 200},
        {SL_ADMIN_GET, "/metrics", NULL, 200},
        {SL_ADMIN_GET, "/v1/nix", NULL, 404},
        {SL_ADMIN_GET, "/v1/servers//db1/x", NULL, 404},
        {SL_ADMIN_POST, "/v1/listeners", NULL, 405},
        {SL_ADMIN_DELETE, "/v1/nix", NULL, 404},
        {SL_ADMIN_OPTIONS, "/v1/servers", NULL, 200},
        {SL_ADMIN_OPTIONS, "/v1/nix", NULL, 404},
        {SL_ADMIN_PUT, "/v1/servers/db1/set", NULL, 400},
        {SL_ADMIN_PUT, "/v1/servers/db1/set?state=odd", NULL, 400},
        {SL_ADMIN_PUT, "/v1/servers/db3/set?state=master", NULL, 404},
        {SL_ADMIN_POST, "/v1/users/inet", NULL, 400},
        {SL_ADMIN_POST, "/v1/users/inet", "{", 400},
        {SL_ADMIN_POST, "/v1/users/inet", "[]", 400},
        {SL_ADMIN_POST, "/v1/users/inet",
         "{\"data\":{\"id\":\"b\",\"attributes\":{\"password\":\"p\",\"account\":\"x\"}}}", 400},
        {SL_ADMIN_POST, "/v1/users/inet",
         "{\"data\":{\"id\":\"b\",\"attributes\":{\"password\":\"p\",\"account\":\"basic\"}}}",
         204},
        {SL_ADMIN_POST, "/v1/users/inet",
         "{\"data\":{\"id\":\"b\",\"attributes\":{\"password\":\"p\",\"account\":\"basic\"}}}",
         400},
        {SL_ADMIN_PATCH, "/v1/users/inet/b", "{\"data\":{\"attributes\":{\"password\":\"q\"}}}",
         204},
        {SL_ADMIN_PATCH, "/v1/users/inet/c", "{\"data\":{\"attributes\":{\"password\":\"q\"}}}",
         404},
        {SL_ADMIN_PATCH, "/v1/users/inet/b", "{\"data\":{\"attributes\":{}}}", 400},
        {SL_ADMIN_DELETE, "/v1/users/inet/admin", NULL, 400},
        {SL_ADMIN_DELETE, "/v1/users/inet/b", NULL, 204},
        {SL_ADMIN_DELETE, "/v1/users/inet/b", NULL, 404},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned status = run(rows[i].method, rows[i].url, rows[i].body, NULL);
        if (status != rows[i].status) {
            fail_msg("%s %s: %u, not %u", sl_admin_method_name(rows[i].method), rows[i].url, status,
                     rows[i].status);
        }
    }
}

static void test_server_states(void **state)
{
    json_t *o;
    assert_int_equal(run(SL_ADMIN_PUT, "/servers/db1/set?state=running", NULL, NULL), 204);
    assert_int_equal(run(SL_ADMIN_PUT, "/servers/db1/set?state=master", NULL, NULL), 204);
    assert_int_equal(run(SL_ADMIN_GET, "/servers/db1", NULL, &o), 200);
    json_t *attributes = json_object_get(json_object_get(o, "data"), "attributes");
    assert_string_equal(json_string_value(json_object_get(attributes, "state")), "Master, Running");
    assert_null(json_object_get(attributes, "node_id")); /* not monitored */
    json_decref(o);
    assert_int_equal(run(SL_ADMIN_PUT, "/servers/db1/set?state=maint&force=yes", NULL, NULL), 204);
    assert_true(sl_server_status(core->servers[0]) & SL_SERVER_MAINT);
    assert_int_equal(run(SL_ADMIN_PUT, "/servers/db1/clear?state=maintenance", NULL, NULL), 204);
    assert_false(sl_server_status(core->servers[0]) & SL_SERVER_MAINT);
}

/* Every object at `path` has these keys with these JSON types: s i r b n(ull) o a, ? may be null.
 */
static void has_keys(const json_t *o, const char *where, const char *keys)
{
    char copy[2048];
    snprintf(copy, sizeof copy, "%s", keys);
    char *save = NULL;
    for (char *word = strtok_r(copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
        char *type = strchr(word, ':');
        *type++ = '\0';
        const json_t *v = json_object_get(o, word);
        bool good = v != NULL &&
                    ((*type == 's' && json_is_string(v)) || (*type == 'i' && json_is_integer(v)) ||
                     (*type == 'r' && json_is_real(v)) || (*type == 'b' && json_is_boolean(v)) ||
                     (*type == 'o' && json_is_object(v)) || (*type == 'a' && json_is_array(v)) ||
                     ((*type == 'n' || type[1] == '?') && json_is_null(v)));
        if (!good) {
            fail_msg("%s: %s should be %s", where, word, type);
        }
    }
}

static void check_tree(const char *url, const char *below, const char *keys)
{
    json_t *o;
    assert_int_equal(run(SL_ADMIN_GET, url, NULL, &o), 200);
    const json_t *at = json_object_get(json_object_get(o, "data"), "attributes");
    char copy[128];
    snprintf(copy, sizeof copy, "%s", below);
    char *save = NULL;
    for (char *word = strtok_r(copy, "/", &save); word != NULL; word = strtok_r(NULL, "/", &save)) {
        at = json_object_get(at, word);
    }
    has_keys(at, url, keys);
    json_decref(o);
}

static void test_golden_trees(void **state)
{
    check_tree("/servers/db1", "",
               "name:s state:s state_details:s? version_string:s? replication_lag:i uptime:i "
               "source:o parameters:o statistics:o");
    check_tree("/servers/db1", "parameters",
               "address:s port:i socket:s? private_address:s? extra_port:i priority:i "
               "monitoruser:s? monitorpw:s "
               "replication_custom_options:s? persistpoolmax:i persistmaxtime:s proxy_protocol:b "
               "disk_space_threshold:o? rank:s "
               "max_routing_connections:i ssl:b ssl_cert:s? ssl_key:s? ssl_ca:s? ssl_cipher:s? "
               "ssl_version:s "
               "ssl_cert_verify_depth:i ssl_verify_peer_certificate:b ssl_verify_peer_host:b");
    check_tree(
        "/servers/db1", "statistics",
        "connections:i total_connections:i max_connections:i active_operations:i routed_packets:i "
        "failed_auths:i "
        "persistent_connections:i max_pool_size:i reused_connections:i connection_pool_empty:i "
        "adaptive_avg_select_time:s response_time_distribution:o");
    check_tree("/servers/db1", "statistics/response_time_distribution/read",
               "operation:s range_base:i distribution:a");
    check_tree("/services/S", "",
               "router:s state:s started:s connections:i total_connections:i statistics:o "
               "listeners:a users:a "
               "users_last_update:s? source:o router_diagnostics:o parameters:o");
    check_tree("/services/S", "statistics",
               "connections:i total_connections:i max_connections:i active_operations:i "
               "routed_packets:i failed_auths:i "
               "max_sescmd_history_length:i avg_sescmd_history_length:r max_session_lifetime:i "
               "avg_session_lifetime:r");
    check_tree("/services/S", "router_diagnostics", "queries:i");
    check_tree("/services/S", "parameters",
               "type:s router:s? user:s? password:s auth_all_servers:b connection_keepalive:s "
               "disable_sescmd_history:b "
               "enable_root_user:b force_connection_keepalive:b idle_session_pool_time:s "
               "localhost_match_wildcard_host:b "
               "log_auth_warnings:b log_debug:b log_info:b log_notice:b log_warning:b "
               "max_connections:i max_sescmd_history:i "
               "multiplex_timeout:s net_write_timeout:s prune_sescmd_history:b rank:s "
               "retain_last_statements:i session_trace:b "
               "strip_db_esc:b user_accounts_file:s? user_accounts_file_usage:s version_string:s? "
               "wait_timeout:s "
               "router_options:s master_accept_reads:b max_replication_lag:s");
    check_tree("/listeners/L", "", "state:s source:o parameters:o");
    check_tree("/listeners/L", "parameters",
               "type:s service:s? protocol:s address:s port:i socket:s? authenticator:s? "
               "authenticator_options:s? "
               "connection_init_sql_file:s? connection_metadata:a proxy_protocol_networks:s? "
               "sql_mode:s user_mapping_file:s? "
               "ssl:b ssl_crl:s? MariaDBProtocol:o");
    check_tree("/maxscale", "",
               "version:s commit:s started_at:s activated_at:s uptime:i process_datadir:s "
               "config_sync:n system:o parameters:o");
    check_tree(
        "/maxscale", "system/machine",
        "cores_available:i cores_physical:i cores_virtual:r memory_available:i memory_physical:i");
    check_tree("/maxscale", "parameters",
               "admin_audit:b admin_audit_exclude_methods:a admin_auth:b admin_enabled:b "
               "admin_gui:b admin_host:s "
               "admin_jwt_algorithm:s admin_jwt_issuer:s admin_jwt_key:s? admin_jwt_max_age:s "
               "admin_port:i "
               "auth_connect_timeout:s auth_read_timeout:s auth_write_timeout:s auto_tune:a "
               "log_throttling:o threads:i "
               "users_refresh_time:s writeq_high_water:i skip_name_resolve:b sql_mode:s passive:b");
    check_tree("/maxscale/logs", "", "log_file:s log_priorities:a parameters:o");
    check_tree("/maxscale/modules/readconnroute", "",
               "module_type:s api:s version:s maturity:s description:s parameters:a commands:a");
    check_tree("/users/inet/admin", "", "name:s account:s created:s? last_update:s? last_login:s?");
}

static void test_module_types(void **state)
{
    json_t *o;
    assert_int_equal(run(SL_ADMIN_GET, "/maxscale/modules/servers", NULL, &o), 200);
    const json_t *a = json_object_get(json_object_get(o, "data"), "attributes");
    assert_string_equal(json_string_value(json_object_get(a, "module_type")), "servers");
    assert_null(json_object_get(a, "api"));
    json_decref(o);
}

static void test_stopping(void **state)
{
    atomic_store(&admin.is_stopping, true);
    assert_int_equal(run(SL_ADMIN_GET, "/v1/servers", NULL, NULL), 503);
    atomic_store(&admin.is_stopping, false);
}

static void test_options(void **state)
{
    struct sl_admin_request rq = {.method = SL_ADMIN_OPTIONS};
    char methods[128];
    sl_admin_request_set_path(&rq, "/v1/users/inet/x");
    sl_admin_route_methods(&rq, methods, sizeof methods);
    assert_string_equal(methods, "GET, HEAD, OPTIONS, PATCH, DELETE");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_statuses),     TEST(test_server_states),
                                       TEST(test_golden_trees), TEST(test_module_types),
                                       TEST(test_stopping),     TEST(test_options)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
