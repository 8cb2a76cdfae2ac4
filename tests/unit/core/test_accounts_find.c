/* SPDX-License-Identifier: Apache-2.0 */
/* The search: order of host patterns, matching, databases. Expected answers are those of a 10.11
 * server. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/assert.h"
#include "core/accounts_internal.h"

static struct sl_slice text(const char *t)
{
    return sl_slice_text(t);
}

static void address(const char *ip, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, ip, &((struct sockaddr_in *)(void *)ret)->sin_addr) == 1) {
        ret->ss_family = AF_INET;
    } else if (inet_pton(AF_INET6, ip, &((struct sockaddr_in6 *)(void *)ret)->sin6_addr) == 1) {
        ret->ss_family = AF_INET6;
    } else {
        ret->ss_family = AF_UNIX;
    }
}

static void test_like(void **state)
{
    static const struct {
        const char *text, *pattern;
        bool fold, expected;
    } cases[] = {
        {"", "", false, true},
        {"a", "", false, false},
        {"", "%", false, true},
        {"", "_", false, false},
        {"abc", "abc", false, true},
        {"abc", "ABC", false, false},
        {"abc", "ABC", true, true},
        {"abc", "a%", false, true},
        {"abc", "%c", false, true},
        {"abc", "%b%", false, true},
        {"abc", "a_c", false, true},
        {"abc", "a_", false, false},
        {"abc", "____", false, false},
        {"abc", "%%", false, true},
        {"abc", "%_%", false, true},
        {"a_c", "a\\_c", false, true},
        {"abc", "a\\_c", false, false},
        {"a%c", "a\\%c", false, true},
        {"abc", "a\\bc", false, true},
        {"a\\", "a\\", false, true},
        {"aab", "%ab", false, true},
        {"abab", "%ab", false, true},
        {"abcabd", "%ab_", false, true},
        {"abcabd", "%abd%abd", false, false},
        {"mississippi", "m%iss%ip%i", false, true},
        {"mississippi", "m%iss%ix%i", false, false},
        {"aaaaaaaaaaaaaaaaaaaaaaaab", "%a%a%a%a%a%a%a%a%c", false, false},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        if (sl_accounts_like(text(cases[i].text), cases[i].pattern, cases[i].fold) !=
            cases[i].expected) {
            fail_msg("'%s' like '%s'", cases[i].text, cases[i].pattern);
        }
    }
}

static void test_rank(void **state)
{
    static const char *const wild[] = {"127.0.0._", "_________", "127.0.0.%", "127.0.%.1",
                                       "1%",        "%",         "%_%",       "%%"};
    for (size_t i = 0; i < SL_ARRAY_LEN(wild); i++) {
        struct sl_host_rank rank = sl_host_rank_of(wild[i]);
        assert_int_equal(sl_host_rank_compare(rank, rank), 0);
        assert_true(sl_host_rank_compare(sl_host_rank_of("localhost"), rank) < 0);
    }
    assert_int_equal(
        sl_host_rank_compare(sl_host_rank_of("127.0.0.1"), sl_host_rank_of("localhost")), 0);
    assert_int_equal(
        sl_host_rank_compare(sl_host_rank_of("10.0.0.0/255.0.0.0"), sl_host_rank_of("h")), 0);
    assert_int_equal(sl_host_rank_compare(sl_host_rank_of("%%"), sl_host_rank_of("%")), 0);
    assert_true(sl_host_rank_compare(sl_host_rank_of("127.0.0.%"), sl_host_rank_of("127.0.%")) < 0);
    assert_true(sl_host_rank_compare(sl_host_rank_of("127.0.0._"), sl_host_rank_of("127.0.0.%")) <
                0);
    assert_true(sl_host_rank_compare(sl_host_rank_of("%.1"), sl_host_rank_of("%")) < 0);
    assert_true(sl_host_rank_compare(sl_host_rank_of("127._.0.1"), sl_host_rank_of("127.0._.1")) <
                0);
    assert_true(sl_host_rank_compare(sl_host_rank_of("127\\.0"), sl_host_rank_of("12%")) < 0);
}

static void test_netmask(void **state)
{
    struct sl_host_pattern h;
    sl_host_pattern_parse("10.1.2.0/255.255.255.0", &h);
    assert_int_equal(h.net, 0x0a010200);
    assert_int_equal(h.mask, 0xffffff00);
    static const char *const none[] = {"10.1.2.0",
                                       "10.1.2.0/24",
                                       "10.1.2/255.0.0.0",
                                       "10.1.2.256/255.0.0.0",
                                       "%",
                                       "",
                                       "10.1.2.0/255.255.255.0x",
                                       "1.2.3.4/",
                                       "a.b.c.d/255.0.0.0",
                                       "1..2.3/255.0.0.0"};
    for (size_t i = 0; i < SL_ARRAY_LEN(none); i++) {
        sl_host_pattern_parse(none[i], &h);
        assert_int_equal(h.mask, 0);
    }
}

/* --- look-ups --------------------------------------------------------------------------------- */

static void add(struct sl_accounts_builder *b, const char *user, const char *host)
{
    assert_int_equal(sl_accounts_builder_add_global_priv(b, user, host, "{\"access\":0}"), 0);
}

static struct sl_accounts *hosts(void)
{
    struct sl_accounts_builder *b = sl_accounts_builder_new();
    static const char *const of[][2] = {
        {"all", "%"},
        {"net", "10.1.0.0/255.255.0.0"},
        {"net", "10.1.2.3"},
        {"net", "10.%"},
        {"net", "%"},
        {"lit", "10.0.0.1"},
        {"lit", "localhost"},
        {"lit", "10.0.0._"},
        {"lit", "10.0.0.%"},
        {"name", "app1.example.com"},
        {"name", "%.example.com"},
        {"name", "192.168.%"},
        {"six", "2001:db8::1"},
        {"six", "2001:db8::%"},
        {"six", "::1"},
        {"loc", "localhost"},
        {"empty", ""},
        {"mix", "192.168.1.%"},
        {"mix", "db%"},
        {"", "10.9.9.9"},
        {"", "10.9.%"},
        {"wild", "%"},
        {"near", "10.9.9.9"},
        {"two", "10.0.0.1"},
        {"two", "10.0.0.0/255.255.255.0"},
        {"Case", "%"},
        {"case", "10.0.0.1"},
    };
    assert_non_null(b);
    for (size_t i = 0; i < SL_ARRAY_LEN(of); i++) {
        add(b, of[i][0], of[i][1]);
    }
    assert_int_equal(
        sl_accounts_builder_add_global_priv(b, "role", "", "{\"access\":0,\"is_role\":true}"), 0);
    return sl_accounts_build(b);
}

static void test_hosts(void **state)
{
    static const struct {
        /* host pattern; "-" unknown, "?" needs the name; user in front if anonymous */
        const char *user, *ip, *name, *expected;
    } cases[] = {
        {"all", "1.2.3.4", NULL, "%"},
        {"all", "socket", NULL, "%"},
        {"all", "2001:db8::7", NULL, "%"},
        {"net", "10.1.2.3", NULL, "10.1.2.3"},
        {"net", "10.1.2.4", NULL, "10.1.0.0/255.255.0.0"},
        {"net", "10.1.255.255", NULL, "10.1.0.0/255.255.0.0"},
        {"net", "10.2.0.1", NULL, "10.%"},
        {"net", "11.1.2.3", NULL, "%"},
        {"net", "::ffff:10.1.2.4", NULL, "10.1.0.0/255.255.0.0"},
        {"net", "::ffff:10.1.2.3", NULL, "10.1.2.3"},
        {"net", "socket", NULL, "%"},
        {"lit", "10.0.0.1", NULL, "10.0.0.1"},
        {"lit", "10.0.0.2", NULL, "10.0.0._"},
        {"lit", "10.0.0.22", NULL, "10.0.0.%"},
        {"lit", "10.0.1.1", NULL, "-"},
        {"lit", "socket", NULL, "localhost"},
        {"lit", "127.0.0.1", NULL, "localhost"},
        {"lit", "127.0.0.2", NULL, "-"},
        {"lit", "::ffff:10.0.0.1", NULL, "10.0.0.1"},
        {"name", "10.5.5.5", NULL, "?"},
        {"name", "10.5.5.5", "app1.example.com", "app1.example.com"},
        {"name", "10.5.5.5", "APP1.Example.COM", "app1.example.com"},
        {"name", "10.5.5.5", "app2.example.com", "%.example.com"},
        {"name", "10.5.5.5", "example.com", "-"},
        {"name", "10.5.5.5", "", "-"},
        {"name", "192.168.0.1", NULL, "?"},
        {"name", "192.168.0.1", "", "192.168.%"},
        {"name", "192.168.0.1", "app1.example.com", "app1.example.com"},
        {"name", "socket", NULL, "-"},
        {"six", "2001:db8::1", NULL, "2001:db8::1"},
        {"six", "2001:db8::2", NULL, "2001:db8::%"},
        {"six", "2001:db9::2", NULL, "-"},
        {"six", "::1", NULL, "::1"},
        {"six", "10.0.0.1", NULL, "-"},
        {"loc", "socket", NULL, "localhost"},
        {"loc", "127.0.0.1", NULL, "localhost"},
        {"loc", "::1", NULL, "localhost"},
        {"loc", "::ffff:127.0.0.1", NULL, "localhost"},
        {"loc", "10.0.0.1", NULL, "-"},
        {"loc", "10.0.0.1", "localhost.evil.com", "-"},
        {"empty", "10.0.0.1", NULL, "%"},
        {"empty", "socket", NULL, "%"},
        {"mix", "192.168.1.9", NULL, "192.168.1.%"},
        {"mix", "192.168.2.9", NULL, "?"},
        {"mix", "192.168.2.9", "db7", "db%"},
        {"mix", "192.168.2.9", "", "-"},
        {"wild", "10.9.9.9", NULL, "@10.9.9.9"},
        {"wild", "10.9.9.8", NULL, "@10.9.%"},
        {"wild", "10.8.9.8", NULL, "%"},
        {"near", "10.9.9.9", NULL, "10.9.9.9"},
        {"near", "10.9.9.8", NULL, "@10.9.%"},
        {"nobody", "10.9.9.8", NULL, "@10.9.%"},
        {"nobody", "10.9.9.9", NULL, "@10.9.9.9"},
        {"nobody", "10.8.0.1", NULL, "-"},
        {"", "10.9.9.9", NULL, "@10.9.9.9"},
        {"", "10.8.9.9", NULL, "-"},
        {"two", "10.0.0.1", NULL, "10.0.0.1"},
        {"two", "10.0.0.2", NULL, "10.0.0.0/255.255.255.0"},
        {"two", "10.0.1.2", NULL, "-"},
        {"Case", "10.0.0.1", NULL, "%"},
        {"case", "10.0.0.1", NULL, "10.0.0.1"},
        {"case", "10.0.0.2", NULL, "-"},
        {"CASE", "10.0.0.1", NULL, "-"},
        {"role", "10.0.0.1", NULL, "-"},
        {"role", "socket", NULL, "-"},
        {"role", "10.9.9.9", NULL, "@10.9.9.9"},
        {"al", "1.2.3.4", NULL, "-"},
        {"alll", "1.2.3.4", NULL, "-"},
    };
    struct sl_accounts *a = hosts();
    assert_non_null(a);
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        struct sockaddr_storage client;
        char got[128];
        const struct sl_account *account;
        address(cases[i].ip, &client);
        struct sl_account_query q = {.user = text(cases[i].user),
                                     .client = &client,
                                     .host_name = cases[i].name,
                                     .match_host = true};
        enum sl_account_verdict v = sl_accounts_find(a, &q, &account);
        snprintf(got, sizeof(got), "%s%s", account != NULL && account->user[0] == '\0' ? "@" : "",
                 v == SL_ACCOUNT_UNKNOWN      ? "-"
                 : v == SL_ACCOUNT_NEEDS_NAME ? "?"
                                              : account->host);
        if (strcmp(got, cases[i].expected) != 0) {
            fail_msg("'%s' from %s (%s): %s, expected %s", cases[i].user, cases[i].ip,
                     cases[i].name != NULL ? cases[i].name : "?", got, cases[i].expected);
        }
    }
    sl_accounts_unref(a);
}

static void test_options(void **state)
{
    struct sl_accounts *a = hosts();
    struct sockaddr_storage client;
    const struct sl_account *account;
    address("99.9.9.9", &client);
    struct sl_account_query q = {.user = text("lit"), .client = &client, .match_host = false};
    assert_int_equal(sl_accounts_find(a, &q, &account), SL_ACCOUNT_OK);
    q.user = text("role");
    assert_int_equal(sl_accounts_find(a, &q, &account), SL_ACCOUNT_OK); /* as an anonymous one */
    assert_string_equal(account->user, "");

    q = (struct sl_account_query){
        .user = text("name"), .client = &client, .match_host = true, .skip_name_resolve = true};
    assert_int_equal(sl_accounts_find(a, &q, &account), SL_ACCOUNT_UNKNOWN);
    address("127.0.0.1", &client);
    q.user = text("loc");
    assert_int_equal(sl_accounts_find(a, &q, &account), SL_ACCOUNT_UNKNOWN);
    address("socket", &client);
    assert_int_equal(sl_accounts_find(a, &q, &account), SL_ACCOUNT_OK);
    a->skip_name_resolve = true; /* the server's own setting does the same */
    q.skip_name_resolve = false;
    assert_int_equal(sl_accounts_find(a, &q, &account), SL_ACCOUNT_OK);
    address("127.0.0.1", &client);
    assert_int_equal(sl_accounts_find(a, &q, &account), SL_ACCOUNT_UNKNOWN);
    q.user = text("name");
    assert_int_equal(sl_accounts_find(a, &q, &account), SL_ACCOUNT_UNKNOWN);
    address("99.9.9.9", &client);
    assert_int_equal(sl_accounts_find(a, &q, &account), SL_ACCOUNT_UNKNOWN);
    a->skip_name_resolve = false;
    assert_int_equal(sl_accounts_find(a, &q, &account), SL_ACCOUNT_NEEDS_NAME);

    q.user = text("root");
    assert_int_equal(sl_accounts_find(a, &q, &account), SL_ACCOUNT_ROOT_REFUSED);
    assert_null(account);
    q.allow_root = true;
    assert_int_equal(sl_accounts_find(a, &q, &account), SL_ACCOUNT_UNKNOWN);

    const struct sl_account *decoy = sl_accounts_decoy(a, text("stranger"));
    assert_non_null(decoy);
    assert_ptr_equal(decoy, sl_accounts_decoy(a, text("stranger")));
    sl_accounts_unref(a);
}

static void test_states(void **state)
{
    static const struct {
        const char *user, *json;
        bool tls, certificate;
        enum sl_account_verdict expected;
    } cases[] = {
        {"plain", "{}", false, false, SL_ACCOUNT_OK},
        {"lock", "{\"account_locked\":true}", false, false, SL_ACCOUNT_LOCKED},
        {"unlock", "{\"account_locked\":false}", false, false, SL_ACCOUNT_OK},
        {"tls0", "{\"ssl_type\":0}", false, false, SL_ACCOUNT_OK},
        {"tlsm", "{\"ssl_type\":-1}", false, false, SL_ACCOUNT_OK},
        {"tls1", "{\"ssl_type\":1}", false, false, SL_ACCOUNT_NEEDS_TLS},
        {"tls1y", "{\"ssl_type\":1}", true, false, SL_ACCOUNT_OK},
        {"tls2", "{\"ssl_type\":2}", true, false, SL_ACCOUNT_NEEDS_TLS},
        {"tls2y", "{\"ssl_type\":2}", true, true, SL_ACCOUNT_OK},
        {"tls3", "{\"ssl_type\":3,\"x509_subject\":\"/CN=x\"}", true, false, SL_ACCOUNT_NEEDS_TLS},
        {"tlslock", "{\"ssl_type\":1,\"account_locked\":true}", false, false, SL_ACCOUNT_NEEDS_TLS},
        {"locktls", "{\"ssl_type\":1,\"account_locked\":true}", true, false, SL_ACCOUNT_LOCKED},
        {"expired", "{\"password_last_changed\":0}", false, false, SL_ACCOUNT_OK},
    };
    struct sl_accounts_builder *b = sl_accounts_builder_new();
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        assert_int_equal(sl_accounts_builder_add_global_priv(b, cases[i].user, "%", cases[i].json),
                         0);
    }
    struct sl_accounts *a = sl_accounts_build(b);
    struct sockaddr_storage client;
    address("10.0.0.1", &client);
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        const struct sl_account *account;
        struct sl_account_query q = {.user = text(cases[i].user),
                                     .client = &client,
                                     .match_host = true,
                                     .client_has_tls = cases[i].tls,
                                     .client_has_certificate = cases[i].certificate,
                                     .database = text("missing")};
        if (cases[i].expected == SL_ACCOUNT_OK) {
            q.database = text("");
        }
        assert_int_equal(sl_accounts_find(a, &q, &account), cases[i].expected);
        assert_int_equal(account->is_expired, strcmp(cases[i].user, "expired") == 0);
    }
    sl_accounts_unref(a);
}

/* --- databases -------------------------------------------------------------------------------- */

static struct sl_accounts *grants(void)
{
    static const char *const users[][3] = {
        {"glob", "%", "{\"access\":1}"},
        {"temp", "%", "{\"access\":65536}"},
        {"none", "%", "{\"access\":0}"},
        {"show", "%", "{\"access\":16384}"},
        {"super", "%", "{\"access\":32768}"},
        {"all", "%", "{\"access\":18446744073709551615}"},
        {"db", "%", "{}"},
        {"tab", "10.0.0.1", "{}"},
        {"host", "10.0.0.1", "{}"},
        {"roled", "%", "{\"default_role\":\"r1\"}"},
        {"notgranted", "%", "{\"default_role\":\"r1\"}"},
        {"noroleset", "%", "{}"},
        {"loop", "%", "{\"default_role\":\"c1\"}"},
        {"rglob", "%", "{\"default_role\":\"g\"}"},
        {"rhost", "%", "{\"default_role\":\"r1\"}"},
        {"r1", "", "{\"is_role\":true}"},
        {"r2", "", "{\"is_role\":true}"},
        {"r3", "", "{\"is_role\":true}"},
        {"c1", "", "{\"is_role\":true}"},
        {"c2", "", "{\"is_role\":true}"},
        {"g", "", "{\"is_role\":true,\"access\":1}"},
        {"PUBLIC", "", "{\"is_role\":true}"},
        {"r1", "%", "{}"},
    };
    static const char *const dbs[][3] = {
        {"db", "%", "shop"},
        {"db", "%", "a\\_b"},
        {"db", "%", "x%"},
        {"db", "%", "y_"},
        {"host", "%", "any"},
        {"host", "10.0.0.%", "near"},
        {"host", "10.0.0.0/255.255.255.0", "masked"},
        {"host", "10.0.1.%", "far"},
        {"", "%", "everybody"},
        {"", "10.0.0.2", "anon2"},
        {"r3", "", "deep"},
        {"r1", "", "direct"},
        {"c2", "", "ring"},
        {"PUBLIC", "", "public"},
        {"r1", "%", "userr1"},
        {"db", "", "nohost"},
    };
    static const char *const maps[][3] = {
        {"roled", "%", "r1"},     {"r1", "", "r2"},    {"r2", "", "r3"},
        {"loop", "%", "c1"},      {"c1", "", "c2"},    {"c2", "", "c1"},
        {"noroleset", "%", "r1"}, {"rglob", "%", "g"}, {"rhost", "10.0.1.%", "r1"},
    };
    struct sl_accounts_builder *b = sl_accounts_builder_new();
    for (size_t i = 0; i < SL_ARRAY_LEN(users); i++) {
        assert_int_equal(
            sl_accounts_builder_add_global_priv(b, users[i][0], users[i][1], users[i][2]), 0);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(dbs); i++) {
        assert_int_equal(sl_accounts_builder_add_db(b, dbs[i][0], dbs[i][1], dbs[i][2]), 0);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(maps); i++) {
        assert_int_equal(sl_accounts_builder_add_role(b, maps[i][0], maps[i][1], maps[i][2]), 0);
    }
    assert_int_equal(sl_accounts_builder_add_exact_db(b, "tab", "10.0.0.1", "t_1"), 0);
    assert_int_equal(sl_accounts_builder_add_exact_db(b, "r2", "", "exactrole"), 0);
    static const char *const known[] = {"shop",   "a_b",       "axb",  "x1",    "any", "near",
                                        "masked", "everybody", "deep", "mysql", "t_1"};
    for (size_t i = 0; i < SL_ARRAY_LEN(known); i++) {
        assert_int_equal(sl_accounts_builder_add_database(b, known[i]), 0);
    }
    return sl_accounts_build(b);
}

static void test_databases(void **state)
{
    enum {
        OK = SL_ACCOUNT_OK,
        NO = SL_ACCOUNT_DB_DENIED,
        GONE = SL_ACCOUNT_NO_DATABASE
    };
    static const struct {
        const char *user, *db;
        unsigned lower;
        int expected;
    } cases[] = {
        {"glob", "shop", 0, OK},
        {"glob", "nothere", 0, GONE},
        {"temp", "shop", 0, OK},
        {"none", "shop", 0, NO},
        {"none", "nothere", 0, NO},
        {"show", "shop", 0, NO},
        {"super", "shop", 0, NO},
        {"all", "mysql", 0, OK},
        {"none", "", 0, OK},
        {"none", "information_schema", 0, OK},
        {"none", "INFORMATION_SCHEMA", 0, OK},
        {"db", "shop", 0, OK},
        {"db", "SHOP", 0, NO},
        {"db", "SHOP", 1, OK},
        {"db", "a_b", 0, OK},
        {"db", "axb", 0, NO},
        {"db", "x1", 0, OK},
        {"db", "x", 0, GONE},
        {"db", "xyz", 0, GONE},
        {"db", "y", 0, NO},
        {"db", "y1", 0, GONE},
        {"db", "y12", 0, NO},
        {"db", "nohost", 0, NO},
        {"tab", "t_1", 0, OK},
        {"tab", "tx1", 0, NO},
        {"tab", "T_1", 1, OK},
        {"host", "any", 0, OK},
        {"host", "near", 0, OK},
        {"host", "masked", 0, OK},
        {"host", "far", 0, NO},
        {"none", "everybody", 0, OK},
        {"none", "anon2", 0, NO},
        {"none", "public", 0, GONE},
        {"roled", "deep", 0, OK},
        {"roled", "direct", 0, GONE},
        {"roled", "exactrole", 0, GONE},
        {"roled", "shop", 0, NO},
        {"notgranted", "deep", 0, NO},
        {"noroleset", "deep", 0, NO},
        {"loop", "ring", 0, GONE},
        {"loop", "shop", 0, NO},
        {"rglob", "shop", 0, OK},
        {"rglob", "nothere", 0, GONE},
        {"rhost", "deep", 0, NO},
        {"r1", "userr1", 0, GONE},
        {"r1", "deep", 0, NO},
        {"r1", "direct", 0, NO},
    };
    struct sl_accounts *a = grants();
    struct sockaddr_storage client;
    address("10.0.0.1", &client);
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        const struct sl_account *account;
        struct sl_account_query q = {.user = text(cases[i].user),
                                     .client = &client,
                                     .match_host = true,
                                     .database = text(cases[i].db),
                                     .lower_case_table_names = cases[i].lower};
        int v = sl_accounts_find(a, &q, &account);
        if (v != cases[i].expected) {
            fail_msg("'%s' and '%s': %d, expected %d", cases[i].user, cases[i].db, v,
                     cases[i].expected);
        }
    }
    const struct sl_account *account;
    struct sl_account_query q = {.user = text("db"), .client = &client, .match_host = true};
    assert_int_equal(sl_accounts_find(a, &q, &account), SL_ACCOUNT_OK);
    assert_true(sl_accounts_db_is_allowed(a, account, text("shop"), 0));
    assert_false(sl_accounts_db_is_allowed(a, account, text("axb"), 0));
    assert_true(sl_accounts_db_is_allowed(a, account, text("Shop"), 2));
    sl_accounts_unref(a);
}

static void test_empty(void **state)
{
    struct sl_accounts *a = sl_accounts_build(sl_accounts_builder_new());
    struct sockaddr_storage client;
    const struct sl_account *account;
    address("10.0.0.1", &client);
    struct sl_account_query q = {
        .user = text("x"), .client = &client, .match_host = true, .database = text("d")};
    assert_int_equal(sl_accounts_find(a, &q, &account), SL_ACCOUNT_UNKNOWN);
    assert_null(sl_accounts_decoy(a, text("x")));
    assert_int_equal(sl_accounts_count(a), 0);
    assert_null(sl_accounts_at(a, 0, NULL));
    sl_accounts_unref(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_like),      cmocka_unit_test(test_rank),
        cmocka_unit_test(test_netmask),   cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_options),   cmocka_unit_test(test_states),
        cmocka_unit_test(test_databases), cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
