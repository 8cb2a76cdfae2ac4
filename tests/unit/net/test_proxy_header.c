/* SPDX-License-Identifier: Apache-2.0 */
/* PROXY protocol headers: all variants, every prefix, malformed ones, both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "net/listener.h"
#include "net/proxy_header.h"

static struct sockaddr_storage make_address(const char *ip, uint16_t port)
{
    struct sockaddr_storage addr = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&addr;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr;
    if (inet_pton(AF_INET, ip, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
    } else {
        assert_int_equal(inet_pton(AF_INET6, ip, &in6->sin6_addr), 1);
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
    }
    return addr;
}

static void assert_address(const struct sockaddr_storage *addr, const char *ip, uint16_t port)
{
    char text[64];
    sl_address_text(addr, text, sizeof(text));
    assert_string_equal(text, ip);
    assert_int_equal(sl_address_port(addr), port);
}

/* The whole is recognised with bytes behind it, every proper prefix asks for more. */
static void assert_header(const void *bytes, size_t len, struct sl_proxy_header *ret)
{
    uint8_t data[256];
    memset(data, 'x', sizeof(data));
    memcpy(data, bytes, len);
    for (size_t n = 0; n < len; n++) {
        assert_int_equal(sl_proxy_header_parse(data, n, ret), SL_EAGAIN);
    }
    assert_int_equal(sl_proxy_header_parse(data, len, ret), len);
    assert_int_equal(sl_proxy_header_parse(data, sizeof(data), ret), len);
}

static void test_round_trip(void **state)
{
    static const char *IPS[][2] = {{"192.0.2.17", "198.51.100.255"},
                                   {"2001:db8::17", "2001:db8:1:2:3:4:5:6"}};
    for (int i = 0; i < 2; i++) {
        struct sockaddr_storage from = make_address(IPS[i][0], 65535),
                                to = make_address(IPS[i][1], 1);
        struct sl_proxy_header h;
        char v1[108];
        uint8_t v2[52];
        size_t len = sl_proxy_header_build_v1((struct sockaddr *)&from, (struct sockaddr *)&to, v1);
        assert_header(v1, len, &h);
        assert_true(h.has_address);
        assert_address(&h.source, IPS[i][0], 65535);
        assert_address(&h.destination, IPS[i][1], 1);
        len = sl_proxy_header_build_v2((struct sockaddr *)&from, (struct sockaddr *)&to, v2);
        assert_int_equal(len, i == 0 ? 28 : 52);
        assert_header(v2, len, &h);
        assert_true(h.has_address);
        assert_address(&h.source, IPS[i][0], 65535);
        assert_address(&h.destination, IPS[i][1], 1);
    }
}

static void test_exact_bytes(void **state)
{
    struct sockaddr_storage from = make_address("127.0.0.1", 258),
                            to = make_address("127.0.0.2", 3306);
    char v1[108];
    uint8_t v2[52];
    size_t len = sl_proxy_header_build_v1((struct sockaddr *)&from, (struct sockaddr *)&to, v1);
    assert_int_equal(len, strlen("PROXY TCP4 127.0.0.1 127.0.0.2 258 3306\r\n"));
    assert_memory_equal(v1, "PROXY TCP4 127.0.0.1 127.0.0.2 258 3306\r\n", len);
    len = sl_proxy_header_build_v2((struct sockaddr *)&from, (struct sockaddr *)&to, v2);
    static const uint8_t EXPECTED[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49,
                                       0x54, 0x0a, 0x21, 0x11, 0x00, 0x0c, 127,  0,    0,    1,
                                       127,  0,    0,    2,    0x01, 0x02, 0x0c, 0xea};
    assert_int_equal(len, sizeof(EXPECTED));
    assert_memory_equal(v2, EXPECTED, len);
}

static void test_longest_v1(void **state)
{
    static const char *IP = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    struct sockaddr_storage addr = make_address(IP, 65535);
    char v1[108];
    struct sl_proxy_header h;
    size_t len = sl_proxy_header_build_v1((struct sockaddr *)&addr, (struct sockaddr *)&addr, v1);
    assert_int_equal(len, 104);
    assert_header(v1, len, &h);
}

static void test_without_addresses(void **state)
{
    struct sockaddr_storage four = make_address("127.0.0.1", 1), six = make_address("::1", 2);
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    const struct sockaddr *pairs[][2] = {
        {NULL, NULL},
        {(struct sockaddr *)&four, NULL},
        {(struct sockaddr *)&four, (struct sockaddr *)&six},
        {(struct sockaddr *)&local, (struct sockaddr *)&local},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(pairs); i++) {
        char v1[108];
        uint8_t v2[52];
        struct sl_proxy_header h;
        size_t len = sl_proxy_header_build_v1(pairs[i][0], pairs[i][1], v1);
        assert_int_equal(len, 15);
        assert_memory_equal(v1, "PROXY UNKNOWN\r\n", len);
        assert_header(v1, len, &h);
        assert_false(h.has_address);
        len = sl_proxy_header_build_v2(pairs[i][0], pairs[i][1], v2);
        assert_int_equal(len, 16);
        assert_header(v2, len, &h);
        assert_false(h.has_address);
    }
    struct sl_proxy_header h;
    assert_header("PROXY UNKNOWN ffff::1 2 anything 4\r\n", 36, &h);
    assert_false(h.has_address);
}

static void test_v2_extras(void **state)
{
    uint8_t v2[16 + 12 + 7];
    struct sockaddr_storage addr = make_address("192.0.2.1", 5);
    struct sl_proxy_header h;
    sl_proxy_header_build_v2((struct sockaddr *)&addr, (struct sockaddr *)&addr, v2);
    v2[15] = 12 + 7; /* type-length-values behind the addresses are skipped */
    memcpy(v2 + 28, "\x04\x00\x04zzzz", 7);
    assert_header(v2, sizeof(v2), &h);
    assert_address(&h.source, "192.0.2.1", 5);
    static const uint8_t OTHERS[] = {0x00, 0x12, 0x22, 0x31, 0x32}; /* unspecified, UDP, unix */
    for (size_t i = 0; i < sizeof(OTHERS); i++) {
        v2[13] = OTHERS[i];
        assert_header(v2, sizeof(v2), &h);
        assert_false(h.has_address);
    }
    v2[12] = 0x20; /* LOCAL: a health check of the sender; addresses are not to be used */
    v2[13] = 0x11;
    assert_header(v2, sizeof(v2), &h);
    assert_false(h.has_address);
}

static void test_no_header(void **state)
{
    static const char *BYTES[] = {"\x55\x00\x00\x01", "PROXZ",     "PROXY\t",
                                  "GET / HTTP",       "\r\n\r\nx", "\r\n\r\n\x01"};
    struct sl_proxy_header h;
    for (size_t i = 0; i < SL_ARRAY_LEN(BYTES); i++) {
        size_t len = i == 0 ? 4 : strlen(BYTES[i]);
        assert_int_equal(sl_proxy_header_parse((const uint8_t *)BYTES[i], len, &h), 0);
    }
}

static void test_malformed(void **state)
{
    static const char *LINES[] = {
        "PROXY \r\n",
        "PROXY \n",
        "PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n",
        "PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 123456\r\n",
        "PROXY TCP4 1.1.1.300 2.2.2.2 1 2\r\n",
        "PROXY TCP4 ::1 ::2 1 2\r\n",
        "PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2x\r\n",
        "PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n",
    };
    struct sl_proxy_header h;
    for (size_t i = 0; i < SL_ARRAY_LEN(LINES); i++) {
        assert_int_equal(sl_proxy_header_parse((const uint8_t *)LINES[i], strlen(LINES[i]), &h),
                         SL_EPROTO);
        assert_false(h.has_address);
    }
    uint8_t data[200];
    memset(data, ' ', sizeof(data));
    memcpy(data, "PROXY UNKNOWN", 13); /* too long a line */
    assert_int_equal(sl_proxy_header_parse(data, 106, &h), SL_EAGAIN);
    assert_int_equal(sl_proxy_header_parse(data, 107, &h), SL_EPROTO);
    memcpy(data, "PROXY TCP4 1.1.1.1\0 2.2.2.2 1 2\r\n", 33);
    assert_int_equal(sl_proxy_header_parse(data, 33, &h), SL_EPROTO);
}

static void test_malformed_v2(void **state)
{
    static const struct {
        uint8_t command, family;
        uint16_t len;
    } BAD[] = {{0x11, 0x11, 12}, {0x22, 0x11, 12}, {0x2f, 0x11, 12},   {0x21, 0x11, 11},
               {0x21, 0x21, 35}, {0x21, 0x21, 12}, {0x21, 0x11, 5000}, {0x20, 0x00, 65535}};
    uint8_t data[16] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
    struct sl_proxy_header h;
    for (size_t i = 0; i < SL_ARRAY_LEN(BAD); i++) {
        data[12] = BAD[i].command;
        data[13] = BAD[i].family;
        data[14] = (uint8_t)(BAD[i].len >> 8);
        data[15] = (uint8_t)BAD[i].len;
        assert_int_equal(sl_proxy_header_parse(data, sizeof(data), &h), SL_EPROTO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_exact_bytes),
        cmocka_unit_test(test_longest_v1), cmocka_unit_test(test_without_addresses),
        cmocka_unit_test(test_v2_extras),  cmocka_unit_test(test_no_header),
        cmocka_unit_test(test_malformed),  cmocka_unit_test(test_malformed_v2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
