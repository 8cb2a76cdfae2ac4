/* SPDX-License-Identifier: Apache-2.0 */
/* Resolving and printing addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "net/listener.h"

static void assert_resolved(const char *host, const char *text)
{
    struct sockaddr_storage addr;
    socklen_t len;
    struct sl_err err = SL_ERR_INIT;
    char out[64];
    if (sl_resolve(host, 3306, &addr, &len, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    sl_address_text(&addr, out, sizeof(out));
    assert_string_equal(out, text);
    assert_int_equal(sl_address_port(&addr), 3306);
    assert_int_equal(len, addr.ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                                    : sizeof(struct sockaddr_in6));
}

static void test_resolve(void **state)
{
    assert_resolved("127.0.0.1", "127.0.0.1");
    assert_resolved("192.0.2.5", "192.0.2.5");
    assert_resolved("::1", "::1");
    assert_resolved("2001:db8::5", "2001:db8::5");
    struct sockaddr_storage addr;
    socklen_t len;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_resolve("no.such.host.invalid", 1, &addr, &len, &err), SL_ENOENT);
    assert_non_null(strstr(err.text, "'no.such.host.invalid'"));
}

static void test_text(void **state)
{
    char out[64];
    struct sockaddr_storage addr = {.ss_family = AF_UNIX};
    sl_address_text(&addr, out, sizeof(out));
    assert_string_equal(out, "localhost");
    assert_int_equal(sl_address_port(&addr), 0);
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr;
    in6->sin6_family = AF_INET6;
    inet_pton(AF_INET6, "::ffff:192.0.2.9", &in6->sin6_addr);
    sl_address_text(&addr, out, sizeof(out));
    assert_string_equal(out, "192.0.2.9");
}

static bool has_name(const char *ip, const char *name)
{
    struct sockaddr_storage addr;
    socklen_t len;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_resolve(ip, 0, &addr, &len, &err), 0);
    return sl_address_has_name(&addr, name);
}

/* The owner of an address chooses its name: that of somebody else, or one that reads like an
 * address, must not count. */
static void test_name_leads_back(void **state)
{
    assert_true(has_name("127.0.0.1", "localhost"));
    assert_false(has_name("192.0.2.5", "localhost"));
    assert_false(has_name("192.0.2.5", "192.0.2.5"));
    assert_false(has_name("::1", "::1"));
    assert_false(has_name("192.0.2.5", "no.such.host.invalid"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_name_leads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
