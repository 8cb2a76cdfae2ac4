/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: headers taken apart, the order of credentials, roles, tokens. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include "admin/auth.h"
#include "admin/hosts.h"
#include "admin_test.h"

#define BASIC_ADMIN "Basic YWRtaW46bWFyaWFkYg==" /* admin:mariadb */
#define BASIC_WRONG "Basic YWRtaW46bWFyaWFkYng=" /* admin:mariadbx */
#define BASIC_BOB "Basic Ym9iOnB3"               /* bob:pw */

static struct sl_auth auth;
static char directory[64];

static int setup(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    char path[96];
    strcpy(directory, "/tmp/test_auth_XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/passwd", directory);
    struct sl_jwt_config jwt = {SL_JWT_AUTO, "maxscale", NULL};
    auth = (struct sl_auth){.is_enabled = true, .token_max_age_s = 86400};
    assert_int_equal(sl_passwd_open(path, &auth.passwd, &err), 0);
    assert_int_equal(sl_passwd_add(auth.passwd, "bob", "pw", SL_ADMIN_ROLE_BASIC, &err), 0);
    assert_int_equal(sl_jwt_keys_new(&jwt, &auth.keys, &err), 0);
    assert_int_equal(sl_hosts_parse("10.0.0.1", &auth.readwrite_hosts, &err), 0);
    assert_int_equal(sl_hosts_parse("10.0.0.0/8", &auth.readonly_hosts, &err), 0);
    return 0;
}

static int teardown(void **state)
{
    char path[96];
    snprintf(path, sizeof path, "%s/passwd", directory);
    sl_hosts_free(auth.readonly_hosts);
    sl_hosts_free(auth.readwrite_hosts);
    sl_jwt_keys_free(auth.keys);
    sl_passwd_close(auth.passwd);
    unlink(path);
    return rmdir(directory);
}

struct outcome {
    bool allowed;
    unsigned status;
    enum sl_admin_role role;
    bool asks_browser; /* WWW-Authenticate */
};

static struct outcome try_from(const char *address, enum sl_admin_method method, const char *path,
                               const char *const *headers)
{
    struct sl_admin_request rq = {
        .method = method, .header = test_header, .header_arg = (void *)(uintptr_t)headers};
    struct sl_admin_response rs = {0};
    rq.peer.ss_family = AF_INET;
    inet_pton(AF_INET, address, &((struct sockaddr_in *)&rq.peer)->sin_addr);
    sl_admin_request_set_path(&rq, path);
    struct outcome o = {
        .allowed = sl_auth_check(&auth, &rq, &rs), .status = rs.status, .role = rq.role};
    for (unsigned i = 0; i < rs.header_count; i++) {
        o.asks_browser = o.asks_browser || strcmp(rs.headers[i].name, "WWW-Authenticate") == 0;
    }
    sl_admin_response_clear(&rs);
    return o;
}

static struct outcome try(enum sl_admin_method method, const char *name, const char *value)
{
    const char *headers[] = {name, value, NULL};
    return try_from("10.0.0.1", method, "servers", headers);
}

static void test_basic(void **state)
{
    assert_true(try(SL_ADMIN_GET, "Authorization", BASIC_ADMIN).allowed);
    assert_true(try(SL_ADMIN_PUT, "Authorization", BASIC_ADMIN).allowed);
    assert_true(try(SL_ADMIN_GET, "Authorization", BASIC_BOB).allowed);
    struct outcome o = try(SL_ADMIN_PUT, "Authorization", BASIC_BOB);
    assert_int_equal(o.status, 401);
    o = try(SL_ADMIN_GET, "Authorization", BASIC_WRONG);
    assert_int_equal(o.status, 401);
    assert_true(o.asks_browser);
    assert_int_equal(try(SL_ADMIN_GET, NULL, NULL).status, 401);
}

static void test_no_window_for_scripts(void **state)
{
    const char *headers[] = {"Authorization", BASIC_WRONG, "X-Requested-With", "XMLHttpRequest",
                             NULL};
    struct outcome o = try_from("10.0.0.1", SL_ADMIN_GET, "servers", headers);
    assert_int_equal(o.status, 401);
    assert_false(o.asks_browser);
}

static void test_tokens(void **state)
{
    char bearer[1024], cookie[1024];
    char *token = sl_jwt_issue(auth.keys, "bob", SL_ADMIN_ROLE_BASIC, time(NULL), 60);
    snprintf(bearer, sizeof bearer, "Bearer %s", token);
    snprintf(cookie, sizeof cookie, "a=b; token_sig=%s; c=d", token);
    assert_true(try(SL_ADMIN_GET, "Authorization", bearer).allowed);
    assert_true(try(SL_ADMIN_GET, "Cookie", cookie).allowed);
    assert_int_equal(try(SL_ADMIN_DELETE, "Authorization", bearer).status, 403);
    assert_int_equal(try(SL_ADMIN_DELETE, "Cookie", cookie).status, 403);
    /* A stale cookie does not keep good credentials out. */
    const char *both[] = {"Cookie", "token_sig=old", "Authorization", BASIC_ADMIN, NULL};
    assert_int_equal(try_from("10.0.0.1", SL_ADMIN_PUT, "servers", both).role, SL_ADMIN_ROLE_ADMIN);
    /* The token dies with the account. */
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_passwd_remove(auth.passwd, "bob", &err), 0);
    assert_int_equal(try(SL_ADMIN_GET, "Authorization", bearer).status, 401);
    sl_free(token);
}

static void test_host_lists(void **state)
{
    const char *headers[] = {"Authorization", BASIC_ADMIN, NULL};
    assert_true(try_from("10.0.0.2", SL_ADMIN_GET, "servers", headers).allowed);
    assert_int_equal(try_from("10.0.0.2", SL_ADMIN_PUT, "servers", headers).status, 401);
    assert_int_equal(try_from("11.0.0.2", SL_ADMIN_GET, "servers", headers).status, 401);
}

static void test_switched_off(void **state)
{
    auth.is_enabled = false;
    assert_true(try(SL_ADMIN_PUT, NULL, NULL).allowed);
    auth.is_enabled = true;
}

static void test_headers_taken_apart(void **state)
{
    char user[32], password[32];
    assert_true(sl_auth_basic_parse(BASIC_BOB, user, sizeof user, password, sizeof password));
    assert_string_equal(user, "bob");
    assert_string_equal(password, "pw");
    assert_true(sl_auth_basic_parse("basic YTpiOmM=", user, sizeof user, password,
                                    sizeof password)); /* a:b:c */
    assert_string_equal(password, "b:c");
    static const char *const bad[] = {"",           "Basic",      "Basic ",      "Basic x",
                                      "Basic ====", "Basic YWI=", "Bearer YTpi", "Basic YQBiOmM="};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (sl_auth_basic_parse(bad[i], user, sizeof user, password, sizeof password)) {
            fail_msg("'%s' was taken", bad[i]);
        }
    }
    assert_false(sl_auth_basic_parse(NULL, user, sizeof user, password, sizeof password));
    assert_false(sl_auth_basic_parse(BASIC_BOB, user, 3, password, sizeof password));
    assert_false(sl_auth_basic_parse(BASIC_BOB, user, sizeof user, password, 2));
}

static void test_cookies(void **state)
{
    char value[16];
    assert_true(sl_auth_cookie_find("x=1;token_sig=abc", SL_AUTH_COOKIE, value, sizeof value));
    assert_string_equal(value, "abc");
    assert_false(sl_auth_cookie_find("xtoken_sig=abc", SL_AUTH_COOKIE, value, sizeof value));
    assert_false(sl_auth_cookie_find("token_sig=", SL_AUTH_COOKIE, value, sizeof value));
    assert_false(
        sl_auth_cookie_find("token_sig=0123456789abcdefgh", SL_AUTH_COOKIE, value, sizeof value));
    assert_false(sl_auth_cookie_find(NULL, SL_AUTH_COOKIE, value, sizeof value));
    assert_false(sl_auth_cookie_find(";;; ;", SL_AUTH_COOKIE, value, sizeof value));
}

static void ask_token(const char *authorization, char *query, struct sl_admin_response *rs,
                      bool is_https)
{
    const char *headers[] = {"Authorization", authorization, NULL};
    struct sl_admin_request rq = {
        .header = test_header, .header_arg = headers, .is_https = is_https};
    rq.peer.ss_family = AF_INET;
    inet_pton(AF_INET, "10.0.0.1", &((struct sockaddr_in *)&rq.peer)->sin_addr);
    sl_admin_request_set_path(&rq, "/v1/auth");
    test_query(&rq, query);
    sl_auth_token(&auth, &rq, rs);
}

static void test_token_endpoint(void **state)
{
    struct sl_admin_response rs = {0};
    char none[] = "";
    ask_token(BASIC_BOB, none, &rs, false);
    assert_int_equal(rs.status, 200);
    assert_non_null(json_string_value(json_object_get(json_object_get(rs.json, "meta"), "token")));
    sl_admin_response_clear(&rs);
    char persist[] = "persist=yes&max-age=50";
    ask_token(BASIC_BOB, persist, &rs, true);
    assert_int_equal(rs.status, 204);
    assert_non_null(
        strstr(rs.headers[0].value, "; Path=/; SameSite=Strict; HttpOnly; Secure; Max-Age=50"));
    sl_admin_response_clear(&rs);
    char odd[] = "persist=yes&max-age=2147483647";
    ask_token(BASIC_BOB, odd, &rs, false);
    assert_null(strstr(rs.headers[0].value, "Max-Age"));
    assert_null(strstr(rs.headers[0].value, "Secure"));
    sl_admin_response_clear(&rs);
    char wrong[] = "";
    ask_token(BASIC_WRONG, wrong, &rs, false);
    assert_int_equal(rs.status, 401);
    assert_int_equal(rs.header_count, 0);
    sl_admin_response_clear(&rs);
    auth.needs_https = true;
    char again[] = "";
    ask_token(BASIC_BOB, again, &rs, false);
    assert_int_equal(rs.status, 401);
    sl_admin_response_clear(&rs);
    char logout[] = "logout=yes";
    ask_token(NULL, logout, &rs, false);
    assert_int_equal(rs.status, 200);
    assert_non_null(strstr(rs.headers[0].value, "token_sig=;"));
    sl_admin_response_clear(&rs);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_basic),      TEST(test_no_window_for_scripts), TEST(test_tokens),
        TEST(test_host_lists), TEST(test_switched_off),          TEST(test_headers_taken_apart),
        TEST(test_cookies),    TEST(test_token_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
