/* SPDX-License-Identifier: Apache-2.0 */
/* Networks of PROXY headers, the greeting's version text, sums over workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "core/service.h"

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage s = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&s;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&s;
    if (strcmp(text, "unix") == 0) {
        s.ss_family = AF_UNIX;
    } else if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        s.ss_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
        s.ss_family = AF_INET6;
    }
    return s;
}

struct network_row {
    const char *networks;
    const char *peer;
    bool matches;
};

static const struct network_row network_rows[] = {
    {"10.0.0.1", "10.0.0.1", true},
    {"10.0.0.1", "10.0.0.2", false},
    {"10.0.0.1", "::ffff:10.0.0.1", true},
    {"10.0.0.0/8", "10.255.1.2", true},
    {"10.0.0.0/8", "11.0.0.1", false},
    {"192.168.4.0/23", "192.168.5.9", true},
    {"192.168.4.0/23", "192.168.6.9", false},
    {"192.168.4.0/31", "192.168.4.1", true},
    {"192.168.4.0/32", "192.168.4.1", false},
    {"0.0.0.0/0", "8.8.8.8", true},
    {"0.0.0.0/0", "2001:db8::1", false},
    {"::/0", "2001:db8::1", true},
    {"::/0", "8.8.8.8", true},
    {"2001:db8::/33", "2001:db8:7fff::1", true},
    {"2001:db8::/33", "2001:db8:8000::1", false},
    {"::1", "::1", true},
    {"::1", "127.0.0.1", false},
    {"*", "8.8.8.8", true},
    {"*", "::1", true},
    {"*", "unix", true},
    {"localhost", "unix", true},
    {"localhost", "127.0.0.1", false},
    {"10.0.0.1", "unix", false},
    {"10.0.0.1,localhost", "unix", true},
    {"10.0.0.1,10.0.0.5,::1", "10.0.0.5", true},
};

static void test_networks(void **state)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(network_rows); i++) {
        const struct network_row *row = &network_rows[i];
        struct sl_proxy_networks *n;
        struct sl_err err = SL_ERR_INIT;
        if (sl_proxy_networks_parse(row->networks, &n, &err) < 0) {
            fail_msg("%s", err.text);
        }
        struct sockaddr_storage peer = address(row->peer);
        if (sl_proxy_networks_match(n, &peer) != row->matches) {
            fail_msg("'%s' and %s", row->networks, row->peer);
        }
        sl_proxy_networks_free(n);
    }
}

static void test_bad_networks(void **state)
{
    static const char *const bad[] = {"10.0.0.0/33",  "::/129",      "10.0.0",
                                      "example.com",  "10.0.0.0/",   "10.0.0.0/x",
                                      "10.0.0.0/8/8", "10.0.0.0/-1", "10.0.0.1;10.0.0.2"};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        struct sl_proxy_networks *n;
        struct sl_err err = SL_ERR_INIT;
        if (sl_proxy_networks_parse(bad[i], &n, &err) >= 0) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_null(n);
        assert_true(err.text[0] != 0);
    }
    struct sl_proxy_networks *n;
    char many[2048] = "";
    for (unsigned i = 0; i < 65; i++) {
        snprintf(many + strlen(many), sizeof many - strlen(many), "%s10.0.0.%u", i ? "," : "", i);
    }
    assert_int_equal(sl_proxy_networks_parse(many, &n, NULL), SL_ELIMIT);
    assert_int_equal(sl_proxy_networks_parse("", &n, NULL), SL_OK);
    assert_null(n);
    assert_int_equal(sl_proxy_networks_parse(NULL, &n, NULL), SL_OK);
    assert_null(n);
}

struct version_row {
    const char *own;
    const char *servers[2];
    const char *text;
};

static const struct version_row version_rows[] = {
    {NULL, {NULL, NULL}, "5.5.5-10.6.0-MariaDB-sealane"},
    {NULL, {"10.11.19-MariaDB-log", NULL}, "5.5.5-10.11.19-MariaDB-log"},
    {NULL, {"10.11.19-MariaDB", "10.6.5-MariaDB"}, "5.5.5-10.6.5-MariaDB"},
    {NULL, {"10.6.5-MariaDB", "11.4.2-MariaDB"}, "5.5.5-10.6.5-MariaDB"},
    {NULL, {"11.4.2-MariaDB", NULL}, "11.4.2-MariaDB"},
    {"10.5.1-MariaDB", {"11.4.2-MariaDB", NULL}, "5.5.5-10.5.1-MariaDB"},
    {"5.7.40", {"10.11.19-MariaDB", NULL}, "5.7.40"},
    {"8.0.30", {NULL, NULL}, "8.0.30"},
    {"5.5.5-10.4.2-MariaDB", {NULL, NULL}, "5.5.5-10.4.2-MariaDB"},
    {"", {"10.11.19-MariaDB", NULL}, "5.5.5-10.11.19-MariaDB"},
};

static void test_version_text(void **state)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(version_rows); i++) {
        const struct version_row *row = &version_rows[i];
        struct sl_server *servers[2];
        struct sl_service service = {.reached = servers, .reached_count = 2};
        struct sl_server_settings settings = {.address = (char[]){"127.0.0.1"}, .port = 3306};
        service.settings.version_string = (char *)row->own;
        for (unsigned k = 0; k < 2; k++) {
            struct sl_server_info info;
            assert_int_equal(sl_server_new("s", &settings, k, 1, &servers[k], NULL), 0);
            sl_server_info_get(servers[k], &info);
            snprintf(info.version, sizeof info.version, "%s",
                     row->servers[k] ? row->servers[k] : "");
            sl_server_info_set(servers[k], &info);
        }
        char text[256];
        sl_service_version_text(&service, text, sizeof text);
        assert_string_equal(text, row->text);
        sl_server_free(servers[0]);
        sl_server_free(servers[1]);
    }
}

static void test_sums(void **state)
{
    static struct sl_service_counters counters[3];
    struct sl_service service = {.counters = counters, .worker_count = 3};
    for (unsigned i = 0; i < 3; i++) {
        sl_count(&counters[i].queries, 10 + i);
        sl_count(&counters[i].route_all, 1);
    }
    assert_int_equal(SL_SERVICE_SUM(&service, queries), 33);
    assert_int_equal(SL_SERVICE_SUM(&service, route_all), 3);
    assert_int_equal(SL_SERVICE_SUM(&service, retried_reads), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_bad_networks),
        cmocka_unit_test(test_version_text),
        cmocka_unit_test(test_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
