/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server over a real loopback socket, in front of a core put together by hand. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin_test.h"

#define AUTH "Authorization: Basic YWRtaW46bWFyaWFkYg==\r\n"

static struct test_core *core;
static struct sl_admin *admin;
static uint16_t port;

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    getsockname(fd, (struct sockaddr *)&a, &len);
    close(fd);
    return ntohs(a.sin_port);
}

static int setup(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    core = test_core_new();
    port = free_port();
    core->config.global.admin_port = port;
    if (sl_admin_start(&core->core, &admin, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return 0;
}

static int teardown(void **state)
{
    sl_admin_stop(admin);
    test_core_free(core);
    return 0;
}

/* Sends the text and returns all that comes back until the server closes; static. */
static char *talk(const char *request, size_t len)
{
    static char answer[512 * 1024];
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {60, 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(fd, request + sent, len - sent, MSG_NOSIGNAL);
        if (n <= 0) {
            break; /* the server refused early */
        }
        sent += (size_t)n;
    }
    size_t got = 0;
    ssize_t n;
    while (got < sizeof answer - 1 &&
           (n = recv(fd, answer + got, sizeof answer - 1 - got, 0)) > 0) {
        got += (size_t)n;
    }
    answer[got] = '\0';
    close(fd);
    return answer;
}

static char *ask(const char *method, const char *path, const char *headers, const char *body)
{
    char request[4096];
    snprintf(request, sizeof request,
             "%s %s HTTP/1.1\r\nHost: h:%u\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s",
             method, path, port, strlen(body), headers, body);
    return talk(request, strlen(request));
}

static int status_of(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : -1;
}

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    return end != NULL ? end + 4 : "";
}

static void test_get(void **state)
{
    char *answer = ask("GET", "/v1/servers/db1", AUTH, "");
    assert_int_equal(status_of(answer), 200);
    assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(answer, "Cache-Control: no-cache\r\n"));
    assert_non_null(strstr(answer, "X-Frame-Options: Deny\r\n"));
    assert_non_null(strstr(answer, "X-XSS-Protection: 1\r\n"));
    assert_non_null(strstr(answer, "Referrer-Policy: same-origin\r\n"));
    assert_non_null(strstr(answer, "ETag: \""));
    assert_non_null(strstr(answer, "Last-Modified: "));
    assert_non_null(strstr(answer, "Date: "));
    assert_non_null(strstr(answer, "\n            \"name\": \"db1\""));
    json_t *o = json_loads(body_of(answer), 0, NULL);
    assert_non_null(o);
    json_decref(o);
}

static void test_compact(void **state)
{
    char *answer = ask(
        "GET", "/v1/servers?pretty=no&fields%5Bservers%5D=name&filter=/id%3D%22db2%22", AUTH, "");
    assert_int_equal(status_of(answer), 200);
    char expected[512];
    snprintf(expected, sizeof expected,
             "{\"data\":[{\"attributes\":{\"name\":\"db2\"},\"id\":\"db2\",\"links\":{\"self\":"
             "\"http://h:%u/v1/servers/db2/\"},"
             "\"type\":\"servers\"}],\"links\":{\"self\":\"http://h:%u/v1/servers/\"}}",
             port, port);
    assert_string_equal(body_of(answer), expected);
}

static void test_no_credentials(void **state)
{
    char *answer = ask("GET", "/v1/servers", "", "");
    assert_int_equal(status_of(answer), 401);
    assert_non_null(strstr(answer, "WWW-Authenticate: Basic realm=\"maxscale\"\r\n"));
    assert_int_equal(status_of(ask("GET", "/metrics", "", "")), 401);
    assert_int_equal(status_of(ask("GET", "/v1", "", "")), 200);
}

static void test_head_and_etag(void **state)
{
    char *answer = ask("HEAD", "/v1/listeners", AUTH, "");
    assert_int_equal(status_of(answer), 200);
    assert_string_equal(body_of(answer), "");
    char tag[64] = "", headers[256];
    assert_int_equal(sscanf(strstr(answer, "ETag: "), "ETag: %63[^\r]", tag), 1);
    snprintf(headers, sizeof headers, AUTH "If-None-Match: %s\r\n", tag);
    answer = ask("GET", "/v1/listeners", headers, "");
    assert_int_equal(status_of(answer), 304);
    assert_string_equal(body_of(answer), "");
    snprintf(headers, sizeof headers, AUTH "If-Match: %s\r\n", tag);
    assert_int_equal(status_of(ask("PUT", "/v1/servers/db1/set?state=running", headers, "")), 204);
    assert_int_equal(status_of(ask("PUT", "/v1/servers/db1/set?state=slave", headers, "")), 412);
}

static void test_method_override(void **state)
{
    assert_int_equal(status_of(ask("POST", "/v1/servers/db1/set?state=running",
                                   AUTH "X-HTTP-Method-Override: PUT\r\n", "")),
                     204);
    assert_int_equal(
        status_of(ask("GET", "/v1/servers/db1", AUTH "X-HTTP-Method-Override: put\r\n", "")), 405);
    assert_int_equal(status_of(ask("BREW", "/v1/servers", AUTH, "")), 405);
}

static void test_limits(void **state)
{
    char path[8192];
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[3000] = '\0';
    char request[8400];
    int len = snprintf(request, sizeof request,
                       "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" AUTH "\r\n", path);
    assert_int_equal(status_of(talk(request, (size_t)len)), 404);
    size_t size = 2 * 1024 * 1024;
    char *big = calloc(1, size);
    len = snprintf(big, size,
                   "POST /v1/users/inet HTTP/1.1\r\nHost: h\r\nConnection: "
                   "close\r\nContent-Length: 1800000\r\n" AUTH "\r\n");
    memset(big + len, ' ', 1800000);
    assert_int_equal(status_of(talk(big, (size_t)len + 1800000)), 413);
    memset(big, 'x', 200000);
    memcpy(big, "GET / HTTP/1.1\r\nX: ", 19);
    memcpy(big + 200000, "\r\n\r\n", 5);
    int status = status_of(talk(big, 200004));
    assert_true(status == 431 || status == 413 || status == 414 || status == -1);
    char *p = big + sprintf(big, "GET /v1/servers?a=1");
    for (int i = 0; i < 100; i++) {
        p += sprintf(p, "&p%d=1", i);
    }
    p += sprintf(p, " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" AUTH "\r\n");
    assert_int_equal(status_of(talk(big, (size_t)(p - big))), 400);
    free(big);
}

static void test_strange_bytes(void **state)
{
    assert_int_equal(status_of(ask("GET", "/v1/servers/%ff%fe", AUTH, "")), 404);
    assert_int_equal(status_of(ask("GET", "/v1/servers?filter=/id%3D%22%ff%22", AUTH, "")), 400);
    char *answer = ask("GET", "/v1/servers/%0d%0aSet-Cookie:x", AUTH, "");
    assert_int_equal(status_of(answer), 404);
    assert_null(strstr(answer, "\r\nSet-Cookie:x"));
    assert_int_equal(status_of(talk("GARBAGE\r\n\r\n", 11)) < 500, true);
}

/* "db1%00x" is not "db1", and "%00" behind a collection does not mean the collection. */
static void test_nul_in_a_path(void **state)
{
    assert_int_equal(status_of(ask("GET", "/v1/servers/db1%00x", AUTH, "")), 404);
    assert_int_equal(status_of(ask("GET", "/v1/servers/%00", AUTH, "")), 404);
    assert_int_equal(status_of(ask("PUT", "/v1/servers/db1/set?state=running%00x", AUTH, "")), 400);
    assert_int_equal(status_of(ask("GET", "/v1/servers/%64b1", AUTH, "")), 200);
}

/* Nobody may keep a thread busy with a body that has no end. */
static void test_endless_body(void **state)
{
    size_t size = 64 * 1024 * 1024;
    char *big = calloc(1, size);
    int len = snprintf(big, size,
                       "POST /v1/users/inet HTTP/1.1\r\nHost: h\r\nContent-Length: "
                       "9000000000\r\n" AUTH "\r\n");
    memset(big + len, ' ', size - (size_t)len);
    assert_string_equal(talk(big, size), "");
    free(big);
}

/* Must not need more stack than the connection's thread has. */
static void test_deep_body(void **state)
{
    char deep[3000];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_int_equal(status_of(ask("POST", "/v1/users/inet", AUTH, deep)), 400);
}

static void test_hostile_host_header(void **state)
{
    char request[512];
    int len = snprintf(
        request, sizeof request,
        "GET /v1/listeners HTTP/1.1\r\nHost: a/<script>\r\nConnection: close\r\n" AUTH "\r\n");
    char *answer = talk(request, (size_t)len);
    assert_int_equal(status_of(answer), 200);
    assert_null(strstr(answer, "<script>"));
}

static void test_metrics(void **state)
{
    char *answer = ask("GET", "/metrics", AUTH, "");
    assert_int_equal(status_of(answer), 200);
    assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_non_null(strstr(answer, "sealane_server_state{server=\"db1\",state=\"running\"} 0\n"));
    assert_non_null(strstr(
        answer, "sealane_statement_seconds_bucket{server=\"db2\",kind=\"write\",le=\"+Inf\"} 0\n"));
    assert_non_null(
        strstr(answer, "sealane_service_connections{service=\"S\",router=\"readconnroute\"} 0\n"));
}

static void test_port_in_use(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_admin *second;
    assert_int_equal(sl_admin_start(&core->core, &second, &err), SL_ESYS);
    assert_non_null(strstr(err.text, "cannot listen"));
}

static void test_switched_off(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_admin *none = (void *)1;
    core->config.global.admin_enabled = false;
    assert_int_equal(sl_admin_start(&core->core, &none, &err), 0);
    assert_null(none);
    sl_admin_stop(none);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_get),
        TEST(test_compact),
        TEST(test_no_credentials),
        TEST(test_head_and_etag),
        TEST(test_method_override),
        TEST(test_limits),
        TEST(test_strange_bytes),
        TEST(test_nul_in_a_path),
        TEST(test_endless_body),
        TEST(test_deep_body),
        TEST(test_hostile_host_header),
        TEST(test_metrics),
        TEST(test_port_in_use),
        TEST(test_switched_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
