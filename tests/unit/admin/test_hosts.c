/* SPDX-License-Identifier: Apache-2.0 */
/* Host lists: networks, patterns, names. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "admin/hosts.h"
#include "admin_test.h"

static bool match(const char *list, const char *address, const char *name)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_hosts *h;
    struct sockaddr_storage peer = {0};
    assert_int_equal(sl_hosts_parse(list, &h, &err), 0);
    if (strchr(address, ':') != NULL) {
        peer.ss_family = AF_INET6;
        inet_pton(AF_INET6, address, &((struct sockaddr_in6 *)&peer)->sin6_addr);
    } else {
        peer.ss_family = AF_INET;
        inet_pton(AF_INET, address, &((struct sockaddr_in *)&peer)->sin_addr);
    }
    bool matches = sl_hosts_match(h, &peer, name);
    sl_hosts_free(h);
    return matches;
}

static void test_match(void **state)
{
    static const struct {
        const char *list, *address, *name;
        bool expected;
    } rows[] = {
        {"%", "10.1.2.3", NULL, true},
        {"*", "::1", NULL, true},
        {"", "10.1.2.3", NULL, false},
        {"10.1.2.3", "10.1.2.3", NULL, true},
        {"10.1.2.3", "10.1.2.4", NULL, false},
        {"10.0.0.0/8", "10.200.2.4", NULL, true},
        {"10.0.0.0/8", "11.0.0.1", NULL, false},
        {"10.128.0.0/9", "10.127.0.1", NULL, false},
        {"0.0.0.0/0", "1.2.3.4", NULL, true},
        {"10.0.0.0/8", "::ffff:10.1.1.1", NULL, true},
        {"2001:db8::/33", "2001:db8:7fff::1", NULL, true},
        {"2001:db8::/33", "2001:db8:8000::1", NULL, false},
        {"10.0.0.0/8, ::1", "::1", NULL, true},
        {"10.1.%", "10.1.9.9", NULL, true},
        {"10.1._.1", "10.1.9.1", NULL, true},
        {"10.1._.1", "10.1.99.1", NULL, false},
        {"%.example.com", "10.1.1.1", "a.Example.com", true},
        {"%.example.com", "10.1.1.1", "a.example.org", false},
        {"%.example.com", "10.1.1.1", NULL, false},
        {"%a%b%", "10.1.1.1", "xxaxxbxx", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (match(rows[i].list, rows[i].address, rows[i].name) != rows[i].expected) {
            fail_msg("'%s' and %s (%s)", rows[i].list, rows[i].address,
                     rows[i].name != NULL ? rows[i].name : "-");
        }
    }
}

static void test_bad_networks(void **state)
{
    static const char *const lists[] = {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x",
                                        "a/8",         "::/129",    "1.1.1.1/-1"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct sl_err err = SL_ERR_INIT;
        struct sl_hosts *h;
        assert_int_equal(sl_hosts_parse(lists[i], &h, &err), SL_EINVAL);
    }
}

static void test_names_are_needed(void **state)
{
    static const struct {
        const char *list;
        bool expected;
    } rows[] = {{"%", false}, {"10.1.%", false}, {"10.0.0.0/8", false}, {"%.example.com", true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sl_err err = SL_ERR_INIT;
        struct sl_hosts *h;
        assert_int_equal(sl_hosts_parse(rows[i].list, &h, &err), 0);
        assert_int_equal(sl_hosts_need_name(h), rows[i].expected);
        sl_hosts_free(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_match),
                                       cmocka_unit_test(test_bad_networks),
                                       cmocka_unit_test(test_names_are_needed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
