/* SPDX-License-Identifier: Apache-2.0 */
/* Router tcp: the connection log line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "router/tcp/tcp.h"

static struct sl_tcplog sample(const union sl_tcp_address *client)
{
    return (struct sl_tcplog){
        .client = client,
        .listener = "front",
        .service = "galera",
        .server = "mysql-01",
        .accepted_ms = INT64_C(1233922371443),
        .connect_ms = 1,
        .total_ms = 5007,
        .bytes = 212,
        .cause = '-',
        .phase = '-',
        .all = 4,
        .listener_now = 3,
        .service_now = 2,
        .server_now = 1,
    };
}

static void test_v4(void **state)
{
    union sl_tcp_address client = {.v4 = {.sin_family = AF_INET, .sin_port = htons(33313)}};
    inet_pton(AF_INET, "10.0.1.2", &client.v4.sin_addr);
    struct sl_tcplog l = sample(&client);
    char line[SL_TCPLOG_MAX];
    sl_tcplog_render(&l, line, sizeof line);
    assert_string_equal(
        line, "10.0.1.2:33313 [06/Feb/2009:12:12:51.443] front galera/mysql-01 0/1/5007 212 -- "
              "4/3/2/1/0 0/0");
}

static void test_no_server_v6(void **state)
{
    union sl_tcp_address client = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(1)}};
    inet_pton(AF_INET6, "2001:db8::7", &client.v6.sin6_addr);
    struct sl_tcplog l = sample(&client);
    l.server = NULL;
    l.connect_ms = -1;
    l.total_ms = 0;
    l.bytes = 0;
    l.cause = 'S';
    l.phase = 'C';
    l.server_now = 0;
    l.retries = 2;
    l.was_redispatched = true;
    char line[SL_TCPLOG_MAX];
    sl_tcplog_render(&l, line, sizeof line);
    assert_string_equal(
        line, "2001:db8::7:1 [06/Feb/2009:12:12:51.443] front galera/<NOSRV> -1/-1/0 0 SC "
              "4/3/2/0/+2 0/0");
}

static void test_unix_and_short_room(void **state)
{
    union sl_tcp_address client = {.any.sa_family = AF_UNIX};
    struct sl_tcplog l = sample(&client);
    l.bytes = UINT64_MAX;
    char line[40];
    sl_tcplog_render(&l, line, sizeof line);
    assert_int_equal(strlen(line), sizeof line - 1);
    assert_memory_equal(line, "unix:0 [", 8);
}

int main(void)
{
    setenv("TZ", "UTC", 1);
    tzset();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v4),
        cmocka_unit_test(test_no_server_v6),
        cmocka_unit_test(test_unix_and_short_room),
    };
    return cmocka_run_group_tests_name("tcp_tcplog", tests, NULL, NULL);
}
