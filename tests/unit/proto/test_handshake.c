/* SPDX-License-Identifier: Apache-2.0 */
/* The connection phase, with captures of MariaDB 10.11. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/handshake.h"

#include "bytes_of.h"

/* The greeting of 10.11.19 as it was on the wire. */
#define GREETING                                                                                   \
    "0a '5.5.5-10.11.19-MariaDB-0+deb12u1-log' 00 08000000 343a657025634467 00 feff 08 0200 ff81"  \
    " 15 000000000000 1d000000 5c755b49387a233a3b592d73 00 'mysql_native_password' 00"
#define TOKEN "4c14f6325a2b06530bb09f1ea104ae7b78259bf9"
#define ZEROS_19 "00000000000000000000000000000000000000"
/* The response of the mariadb client, attributes shortened. */
#define RESPONSE                                                                                   \
    "84a2bf00 00000010 21" ZEROS_19 "1d000000 'nat' 00 14" TOKEN "'mysql_native_password' 00"

static struct sl_buf raw;

static struct sl_slice bytes(const char *text)
{
    sl_buf_clear(&raw);
    hex_append(&raw, text);
    return sl_buf_slice(&raw);
}

static void test_greeting_parse(void **state)
{
    struct sl_greeting g;
    struct sl_packet_err err;
    struct sl_slice s = bytes(GREETING);
    assert_int_equal(sl_greeting_parse(s.data, s.len, &g, &err), SL_OK);
    assert_true(g.is_mariadb);
    assert_true(g.capabilities == 0x1d81fffffeULL);
    assert_int_equal(g.connection_id, 8);
    assert_int_equal(g.collation, 8);
    assert_int_equal(g.status, 2);
    assert_slice(g.version, "5.5.5-10.11.19-MariaDB-0+deb12u1-log");
    assert_slice(g.plugin, "mysql_native_password");
    assert_memory_equal(g.scramble, "4:ep%cDg\\u[I8z#:;Y-s", 20);
    /* up to the plugin name every cut is noticed */
    for (size_t len = 0; len < s.len - 22; len++) {
        assert_int_equal(sl_greeting_parse(s.data, len, &g, &err), SL_EPROTO);
    }
    raw.data[0] = 9;
    assert_int_equal(sl_greeting_parse(s.data, s.len, &g, &err), SL_EPROTO);
}

/* Bit 0 set: MySQL, and the four bytes mean nothing. */
static void test_greeting_of_mysql(void **state)
{
    struct sl_greeting g;
    struct sl_packet_err err;
    struct sl_slice s = bytes("0a '8.0.36' 00 08000000 343a657025634467 00 ffff ff 0200 ffdf 15"
                              "000000000000 1d000000 5c755b4938 7a233a3b592d73 00"
                              "'caching_sha2_password' 00");
    assert_int_equal(sl_greeting_parse(s.data, s.len, &g, &err), SL_OK);
    assert_false(g.is_mariadb);
    assert_true(g.capabilities == 0xdfffffffULL);
    assert_slice(g.plugin, SL_PLUGIN_SHA2);
}

static void test_greeting_err(void **state)
{
    struct sl_greeting g;
    struct sl_packet_err err;
    struct sl_slice s = bytes("ff 10 04 'Too many connections'");
    assert_int_equal(sl_greeting_parse(s.data, s.len, &g, &err), SL_EAUTH);
    assert_int_equal(err.code, SL_ER_CON_COUNT);
    assert_string_equal(err.sqlstate, "");
    s = bytes("ff 6a 04 '#HY000Host is not allowed'");
    assert_int_equal(sl_greeting_parse(s.data, s.len, &g, &err), SL_EAUTH);
    assert_string_equal(err.sqlstate, "HY000");
    assert_slice(err.message, "Host is not allowed");
    s = bytes("ff 6a");
    assert_int_equal(sl_greeting_parse(s.data, s.len, &g, &err), SL_EPROTO);
}

static void test_greeting_build(void **state)
{
    struct sl_greeting g;
    struct sl_packet_err err;
    struct sl_buf b = SL_BUF_INIT;
    struct sl_slice s = bytes(GREETING);
    assert_int_equal(sl_greeting_parse(s.data, s.len, &g, &err), SL_OK);
    assert_int_equal(sl_greeting_build(&b, &g), SL_OK);
    assert_int_equal(sl_packet_len(b.data), s.len);
    assert_int_equal(sl_packet_seq(b.data), 0);
    assert_memory_equal(b.data + 4, s.data, s.len);
    sl_buf_free(&b);
}

static void test_version_number(void **state)
{
    assert_int_equal(sl_version_number(sl_slice_text("5.5.5-10.11.19-MariaDB-log")), 101119);
    assert_int_equal(sl_version_number(sl_slice_text("11.4.3-MariaDB")), 110403);
    assert_int_equal(sl_version_number(sl_slice_text("8.0.36")), 80036);
    assert_int_equal(sl_version_number(sl_slice_text("5.5.5")), 50505);
    assert_int_equal(sl_version_number(sl_slice_text("10")), 100000);
    assert_int_equal(sl_version_number(sl_slice_text("foo")), 0);
    assert_int_equal(sl_version_number(sl_slice_text("")), 0);
}

static void test_ssl_request(void **state)
{
    struct sl_handshake_response r = {0};
    struct sl_buf b = SL_BUF_INIT;
    struct sl_slice s = bytes("84aabe00 00000010 2d" ZEROS_19 "1d000000");
    assert_true(sl_ssl_request_is(s.data, s.len));
    assert_false(sl_ssl_request_is(s.data, s.len - 1));
    r.capabilities = 0x1d00bea284ULL;
    r.max_packet = 0x10000000;
    r.collation = 45;
    assert_int_equal(sl_ssl_request_build(&b, 1, &r), SL_OK);
    assert_int_equal(sl_buf_len(&b), 36);
    assert_memory_equal(b.data + 4, s.data, 32);
    raw.data[1] &= (uint8_t)~0x08;
    assert_false(sl_ssl_request_is(s.data, s.len));
    sl_buf_free(&b);
}

static void test_response_parse(void **state)
{
    struct sl_handshake_response r;
    struct sl_reader pairs;
    struct sl_slice key, value;
    uint16_t code;
    struct sl_slice s = bytes(RESPONSE "18 03'_os'05'Linux' 08'progname'04'test'");
    assert_int_equal(sl_handshake_response_parse(s.data, s.len, &r, &code), SL_OK);
    assert_int_equal(code, 0);
    assert_true(r.capabilities == 0x1d00bfa284ULL);
    assert_int_equal(r.max_packet, 0x10000000);
    assert_int_equal(r.collation, 33);
    assert_slice(r.user, "nat");
    assert_int_equal(r.auth.len, 20);
    assert_slice(r.plugin, "mysql_native_password");
    pairs = sl_reader_slice(r.attributes);
    assert_true(sl_attributes_next(&pairs, &key, &value));
    assert_slice(key, "_os");
    assert_slice(value, "Linux");
    assert_true(sl_attributes_next(&pairs, &key, &value));
    assert_slice(value, "test");
    assert_false(sl_attributes_next(&pairs, &key, &value));
    /* every cut that leaves something out is an error 1043, but for optional last fields */
    for (size_t len = 2; len < 32 + 4 + 21; len++) {
        assert_int_equal(sl_handshake_response_parse(s.data, len, &r, &code), SL_EPROTO);
        assert_int_equal(code, SL_ER_HANDSHAKE);
    }
    for (size_t len = 0; len <= s.len; len++) {
        (void)sl_handshake_response_parse(s.data, len, &r, &code);
    }
}

static void test_response_variants(void **state)
{
    struct sl_handshake_response r;
    uint16_t code;
    /* bit 0: extended bits are void */
    struct sl_slice s = bytes("85a2bf00 00000010 21" ZEROS_19 "1d000000 'nat' 00 00 'x' 00");
    assert_int_equal(sl_handshake_response_parse(s.data, s.len, &r, &code), SL_OK);
    assert_true(r.capabilities == 0xbfa285);
    /* u8 length with a database */
    s = bytes("08820800 00000010 21" ZEROS_19 "00000000 'u' 00 03'abc' 'db' 00 'plug'");
    assert_int_equal(sl_handshake_response_parse(s.data, s.len, &r, &code), SL_OK);
    assert_slice(r.auth, "abc");
    assert_slice(r.database, "db");
    assert_slice(r.plugin, "plug");
    /* NUL-terminated */
    s = bytes("00020000 00000010 21" ZEROS_19 "00000000 'u' 00 'tok' 00");
    assert_int_equal(sl_handshake_response_parse(s.data, s.len, &r, &code), SL_OK);
    assert_slice(r.auth, "tok");
    /* older than 4.1 */
    s = bytes("0500 000010 'user' 00");
    assert_int_equal(sl_handshake_response_parse(s.data, s.len, &r, &code), SL_EPROTO);
    assert_int_equal(code, SL_ER_NOT_SUPPORTED_AUTH_MODE);
    /* a length of 2^64 - 1 */
    s = bytes("84a2bf00 00000010 21" ZEROS_19 "1d000000 'nat' 00 feffffffffffffffff");
    assert_int_equal(sl_handshake_response_parse(s.data, s.len, &r, &code), SL_EPROTO);
    /* pairs must lie inside the attribute block */
    s = bytes(RESPONSE "05 03'_os'05");
    assert_int_equal(sl_handshake_response_parse(s.data, s.len, &r, &code), SL_EPROTO);
}

static void test_attribute_limit(void **state)
{
    for (size_t len = 65000; len < 66000; len += 200) {
        struct sl_buf attributes = SL_BUF_INIT;
        struct sl_buf b = SL_BUF_INIT;
        char *value = calloc(1, len);
        struct sl_handshake_response r = {.capabilities = 0xbfa284, .user = sl_slice_text("u")};
        struct sl_handshake_response got;
        uint16_t code;
        assert_int_equal(
            sl_attributes_append(&attributes, sl_slice_text("k"), sl_slice(value, len)), SL_OK);
        r.attributes = sl_buf_slice(&attributes);
        assert_int_equal(sl_handshake_response_build(&b, 1, &r), SL_OK);
        assert_int_equal(sl_handshake_response_parse(b.data + 4, b.end - 4, &got, &code),
                         r.attributes.len <= SL_ATTRIBUTES_MAX ? SL_OK : SL_EPROTO);
        sl_buf_free(&b);
        sl_buf_free(&attributes);
        free(value);
    }
}

static void test_response_build(void **state)
{
    struct sl_handshake_response r;
    struct sl_buf b = SL_BUF_INIT;
    uint16_t code;
    struct sl_slice s = bytes(RESPONSE "0a 03'_os'05'Linux'");
    assert_int_equal(sl_handshake_response_parse(s.data, s.len, &r, &code), SL_OK);
    assert_int_equal(sl_handshake_response_build(&b, 1, &r), SL_OK);
    assert_int_equal(sl_packet_len(b.data), s.len);
    assert_memory_equal(b.data + 4, s.data, s.len);
    sl_buf_clear(&b);
    r.capabilities &= ~(uint64_t)SL_CAP_AUTH_LENENC;
    r.auth.len = 256;
    assert_int_equal(sl_handshake_response_build(&b, 1, &r), SL_ELIMIT);
    assert_int_equal(sl_buf_len(&b), 0);
    sl_buf_free(&b);
}

static void auth_packet(const char *text, struct sl_auth_packet *p)
{
    struct sl_slice s = bytes(text);
    assert_int_equal(sl_auth_packet_parse(s.data, s.len, true, p), SL_OK);
}

static void test_auth_packets(void **state)
{
    struct sl_auth_packet p;
    uint8_t scramble[SL_SCRAMBLE_LEN];
    auth_packet("00 00 00 02 40 00 00 00 05 01 03 02 'd1'", &p);
    assert_int_equal(p.kind, SL_AUTH_PACKET_OK);
    assert_int_equal(p.ok.state.len, 5);
    auth_packet("ff 15 04 '#28000Access denied'", &p);
    assert_int_equal(p.kind, SL_AUTH_PACKET_ERR);
    assert_int_equal(p.err.code, 1045);
    auth_packet("fe 'mysql_native_password' 00 '01234567890123456789' 00", &p);
    assert_int_equal(p.kind, SL_AUTH_PACKET_SWITCH);
    assert_slice(p.plugin, SL_PLUGIN_NATIVE);
    assert_int_equal(sl_auth_switch_scramble(p.data, scramble), SL_OK);
    assert_memory_equal(scramble, "01234567890123456789", 20);
    auth_packet("fe 'client_ed25519' 00 '01234567890123456789012345678901'", &p);
    assert_int_equal(p.data.len, 32);
    assert_int_equal(sl_auth_switch_scramble(p.data, scramble), SL_EPROTO);
    auth_packet("fe 'dialog' 00", &p);
    assert_slice(p.plugin, SL_PLUGIN_DIALOG);
    assert_int_equal(p.data.len, 0);
    auth_packet("fe 'dialog' 00 04 'Password, please:'", &p);
    assert_int_equal(p.data.len, 18);
    auth_packet("fe", &p);
    assert_int_equal(p.kind, SL_AUTH_PACKET_OLD_SWITCH);
    auth_packet("01 04", &p);
    assert_int_equal(p.kind, SL_AUTH_PACKET_DATA);
    assert_int_equal(p.data.len, 1);
    auth_packet("03 'Are you sure ?'", &p);
    assert_int_equal(p.kind, SL_AUTH_PACKET_DATA);
    assert_int_equal(p.data.len, 15);
    auth_packet("", &p);
    assert_int_equal(p.kind, SL_AUTH_PACKET_DATA);
}

static void test_auth_builders(void **state)
{
    struct sl_buf b = SL_BUF_INIT;
    struct sl_slice s;
    sl_auth_switch_native_build(&b, 2, (const uint8_t *)"01234567890123456789");
    s = bytes("2c000002 fe 'mysql_native_password' 00 '01234567890123456789' 00");
    assert_true(sl_slice_equal(sl_buf_slice(&b), s));
    sl_buf_clear(&b);
    sl_auth_more_build(&b, 3, sl_slice("\4x", 2));
    sl_auth_more_build(&b, 4, sl_slice("\377", 1));
    sl_auth_more_build(&b, 5, sl_slice("\1", 1));
    sl_auth_answer_build(&b, 6, sl_slice("", 0));
    s = bytes("02000003 04'x' 02000004 01 ff 02000005 01 01 00000006");
    assert_true(sl_slice_equal(sl_buf_slice(&b), s));
    sl_buf_free(&b);
}

static void test_change_user(void **state)
{
    struct sl_change_user c, again;
    struct sl_buf b = SL_BUF_INIT;
    uint64_t caps = SL_CAP_SECURE_CONNECTION | SL_CAP_PLUGIN_AUTH | SL_CAP_CONNECT_ATTRS;
    struct sl_slice s = bytes("11 'nat' 00 14" TOKEN "'d1' 00 ff00 'mysql_native_password' 00"
                              "0a 03'_os'05'Linux'");
    assert_int_equal(sl_change_user_parse(s.data, s.len, caps, &c), SL_OK);
    assert_slice(c.user, "nat");
    assert_int_equal(c.auth.len, 20);
    assert_slice(c.database, "d1");
    assert_true(c.has_collation);
    assert_int_equal(c.collation, 255);
    assert_slice(c.plugin, "mysql_native_password");
    assert_int_equal(c.attributes.len, 10);
    assert_int_equal(sl_change_user_build(&b, caps, &c), SL_OK);
    assert_memory_equal(b.data + 4, s.data, s.len);
    for (size_t len = 0; len < s.len; len++) {
        (void)sl_change_user_parse(s.data, len, caps, &again);
    }
    s = bytes("11 'nat' 00 00 00");
    assert_int_equal(sl_change_user_parse(s.data, s.len, caps, &c), SL_OK);
    assert_false(c.has_collation);
    s = bytes("11 'nat' 00 14 01");
    assert_int_equal(sl_change_user_parse(s.data, s.len, caps, &c), SL_EPROTO);
    s = bytes("03 'nat' 00");
    assert_int_equal(sl_change_user_parse(s.data, s.len, caps, &c), SL_EPROTO);
    sl_buf_free(&b);
    sl_buf_free(&raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greeting_parse),  cmocka_unit_test(test_greeting_of_mysql),
        cmocka_unit_test(test_greeting_err),    cmocka_unit_test(test_greeting_build),
        cmocka_unit_test(test_version_number),  cmocka_unit_test(test_ssl_request),
        cmocka_unit_test(test_response_parse),  cmocka_unit_test(test_response_variants),
        cmocka_unit_test(test_attribute_limit), cmocka_unit_test(test_response_build),
        cmocka_unit_test(test_auth_packets),    cmocka_unit_test(test_auth_builders),
        cmocka_unit_test(test_change_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
