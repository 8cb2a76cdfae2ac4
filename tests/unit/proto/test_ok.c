/* SPDX-License-Identifier: Apache-2.0 */
/* OK, EOF, ERR and session state, with captures of MariaDB 10.11. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/ok.h"

#include "bytes_of.h"

static struct sl_buf raw;

static struct sl_slice bytes(const char *text)
{
    sl_buf_clear(&raw);
    hex_append(&raw, text);
    return sl_buf_slice(&raw);
}

static int ok(const char *text, bool track, struct sl_packet_ok *ret)
{
    struct sl_slice s = bytes(text);
    return sl_packet_ok_parse(s.data, s.len, track, ret);
}

static void test_ok_parse(void **state)
{
    struct sl_packet_ok p;
    assert_int_equal(ok("00 00 00 02 00 00 00", true, &p), SL_OK);
    assert_int_equal(p.status, 2);
    assert_false(p.has_state);
    assert_int_equal(ok("00 02 fc e803 02 00 03 00 0a'Records: 2'", false, &p), SL_OK);
    assert_int_equal(p.affected_rows, 2);
    assert_int_equal(p.last_insert_id, 1000);
    assert_int_equal(p.warnings, 3);
    assert_slice(p.info, "Records: 2");
    assert_int_equal(ok("00 00 00 02 00 00 00 'Records'", false, &p),
                     SL_OK); /* as MySQL documents */
    assert_slice(p.info, "Records");
    assert_int_equal(ok("00 00 00 02 00 00", false, &p), SL_EPROTO);
    assert_int_equal(ok("01 00 00 02 00 00 00", false, &p), SL_EPROTO);
    assert_int_equal(ok("", false, &p), SL_EPROTO);
    assert_int_equal(ok("00 00 00 02 00 00 00 05 01", true, &p), SL_EPROTO);
}

static void expect_state(const char *text, const char *expect)
{
    struct sl_packet_ok p;
    struct sl_state_iter it;
    struct sl_state_record rec;
    struct sl_buf out = SL_BUF_INIT;
    assert_int_equal(ok(text, true, &p), SL_OK);
    assert_true(p.has_state);
    it = sl_state_iter(p.state);
    while (sl_state_next(&it, &rec)) {
        sl_buf_printf(&out, "%d:%.*s=%.*s;", rec.type, (int)rec.name.len,
                      rec.name.len ? (const char *)rec.name.data : "", (int)rec.value.len,
                      rec.value.len ? (const char *)rec.value.data : "");
    }
    assert_false(it.block.failed);
    assert_slice(sl_buf_slice(&out), expect);
    sl_buf_free(&out);
}

/* What a packet with this payload becomes. */
static void expect_hidden(const char *text, const char *variable, const char *expect)
{
    struct sl_buf in = SL_BUF_INIT, wanted = SL_BUF_INIT;
    packets_append(&in, 5, text);
    packets_append(&wanted, 5, expect);
    uint8_t *out = sl_malloc(sl_buf_len(&in)); /* exactly: ASan sees a byte too many */
    size_t len = sl_packet_ok_hide(out, sl_buf_slice(&in).data, sl_buf_len(&in), variable);
    assert_int_equal(len, sl_buf_len(&wanted));
    assert_memory_equal(out, sl_buf_slice(&wanted).data, len);
    sl_free(out);
    sl_buf_free(&in);
    sl_buf_free(&wanted);
}

static void test_hide(void **state)
{
    const char *insert = "00 01 20 02 40 00 00 00 13 00 11 09'last_gtid' 06'7-1-55'";
    expect_hidden(insert, NULL, "00 01 20 02 00 00 00");
    expect_hidden(insert, "last_gtid", "00 01 20 02 00 00 00");
    expect_hidden(insert, "autocommit", insert);
    /* others stay, in their order; the text too */
    expect_hidden("fe 00 00 02 40 00 00 01'x' 27 00 0f 0a'autocommit' 03'OFF'"
                  "00 0f 09'last_gtid' 04'1-11' 01 03 02'd1'",
                  "last_gtid",
                  "fe 00 00 02 40 00 00 01'x' 16 00 0f 0a'autocommit' 03'OFF' 01 03 02'd1'");
    expect_hidden("00 00 00 02 40 00 00 01'x' 00", NULL, "00 00 00 02 00 00 00 01'x'");
    expect_hidden("00 fc e803 02 02 40 01 00 00 13 00 11 09'last_gtid' 06'7-1-55'", "last_gtid",
                  "00 fc e803 02 02 00 01 00");
    expect_hidden("fe 00 00 22 40", NULL, "fe 00 00 22 00");
    expect_hidden("00 00 00 02 40 00 00 05", NULL, "00 00 00 02 40 00 00 05"); /* malformed */
}

static void test_state_block(void **state)
{
    expect_state("00 00 00 00 40 00 00 00 11 00 0f 0a'autocommit' 03'OFF'", "0:autocommit=OFF;");
    expect_state("00 00 00 01 40 00 00 00 05 01 03 02'd1'", "1:=d1;");
    expect_state("00 01 20 02 40 00 00 00 13 00 11 09'last_gtid' 06'7-1-55'",
                 "0:last_gtid=7-1-55;");
    expect_state("00 00 00 02 40 00 00 12'Statement prepared' 04 02 02 01 31", "2:=1;");
    expect_state("00 00 00 03 40 00 00 00 0b 05 09 08'T_______'", "5:=T_______;");
    expect_state("00 00 00 0a 40 00 00 00 00", "");
}

static void test_state_oddities(void **state)
{
    /* empty value; empty text; unknown type; two variables in one record; GTIDs of MySQL */
    expect_state("00 00 00 02 40 00 00 00 05 00 03 01'a' 00", "0:a=;");
    expect_state("00 00 00 02 40 00 00 00 03 04 01 00", "4:=;");
    expect_state("00 00 00 02 40 00 00 00 05 77 03 'abc'", "119:=abc;");
    expect_state("00 00 00 02 40 00 00 00 0a 00 08 01'a'01'1' 01'b'01'2'", "0:a=1;0:b=2;");
    expect_state("00 00 00 02 40 00 00 00 05 03 03 'xyz'", "3:=xyz;");
}

static void test_malformed_state(void **state)
{
    const char *blocks[] = {"00",       "00 05 01", "00 03 05'ab'",          "01 02 05'a'",
                            "05 01 09", "01 00",    "00 fe 0000000000000080"};
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        struct sl_state_iter it = sl_state_iter(bytes(blocks[i]));
        struct sl_state_record rec;
        while (sl_state_next(&it, &rec)) {
        }
        assert_true(it.block.failed);
        assert_false(sl_state_next(&it, &rec));
    }
}

static void test_eof_and_err(void **state)
{
    struct sl_packet_eof eof;
    struct sl_packet_err err;
    struct sl_slice s = bytes("fe 01 00 02 40");
    assert_int_equal(sl_packet_eof_parse(s.data, s.len, &eof), SL_OK);
    assert_int_equal(eof.warnings, 1);
    assert_int_equal(eof.status, 0x4002);
    assert_int_equal(sl_packet_eof_parse(s.data, 4, &eof), SL_EPROTO);
    s = bytes("fe 00 00 00 00 00 00 00 00");
    assert_int_equal(sl_packet_eof_parse(s.data, s.len, &eof), SL_EPROTO);
    s = bytes("ff 10 04 'Too many connections'");
    assert_int_equal(sl_packet_err_parse(s.data, s.len, &err), SL_OK);
    assert_int_equal(err.code, SL_ER_CON_COUNT);
    assert_string_equal(err.sqlstate, "");
    assert_slice(err.message, "Too many connections");
    s = bytes("ff 15 04 '#28000Access denied'");
    assert_int_equal(sl_packet_err_parse(s.data, s.len, &err), SL_OK);
    assert_string_equal(err.sqlstate, "28000");
    assert_slice(err.message, "Access denied");
    s = bytes("ff 15 04 '#28'");
    assert_int_equal(sl_packet_err_parse(s.data, s.len, &err), SL_OK);
    assert_slice(err.message, "#28");
    assert_int_equal(sl_packet_err_parse(s.data, 2, &err), SL_EPROTO);
    assert_int_equal(sl_packet_err_parse((const uint8_t *)"\0\0\0", 3, &err), SL_EPROTO);
}

static void test_progress(void **state)
{
    struct sl_progress p;
    struct sl_slice s = bytes("ff ff ff 01 01 02 9a0200 11'copy to tmp table'");
    assert_int_equal(sl_progress_parse(s.data, s.len, &p), SL_OK);
    assert_int_equal(p.stage, 1);
    assert_int_equal(p.max_stage, 2);
    assert_int_equal(p.progress_mpct, 666);
    assert_slice(p.text, "copy to tmp table");
    assert_int_equal(sl_progress_parse(s.data, s.len - 1, &p), SL_EPROTO);
    s = bytes("ff 15 04 01 01 02 9a0200 00");
    assert_int_equal(sl_progress_parse(s.data, s.len, &p), SL_EPROTO);
}

static void test_strip(void **state)
{
    struct sl_buf out = SL_BUF_INIT;
    struct sl_slice s = bytes("00 01 02 02 40 03 00 02'hi' 05 01 03 02'd1'");
    assert_int_equal(sl_packet_ok_strip(&out, 7, s.data, s.len), SL_OK);
    s = bytes("0a000007 00 01 02 02 00 03 00 02'hi'");
    assert_true(sl_slice_equal(s, sl_buf_slice(&out)));
    assert_int_equal(sl_packet_ok_strip(&out, 7, s.data, 3), SL_EPROTO);
    assert_int_equal(sl_buf_len(&out), s.len);
    sl_buf_free(&out);
}

static void expect_packet(struct sl_buf *b, const char *text)
{
    assert_true(sl_slice_equal(sl_buf_slice(b), bytes(text)));
    sl_buf_clear(b);
}

static void test_builders(void **state)
{
    struct sl_buf b = SL_BUF_INIT;
    sl_packet_build_ok(&b, 1, 2, 300, 2, 1, "x");
    expect_packet(&b, "0b000001 00 02 fc2c01 0200 0100 01'x'");
    sl_packet_build_ok(&b, 1, 0, 0, 0x4002, 0, NULL);
    expect_packet(&b, "07000001 00 00 00 0200 0000");
    sl_packet_build_eof(&b, 1, false, 2, 1);
    expect_packet(&b, "05000001 fe 0100 0200");
    sl_packet_build_eof(&b, 1, true, 2, 1);
    expect_packet(&b, "07000001 fe 00 00 0200 0100");
    sl_packet_build_err(&b, 3, SL_ER_ACCESS_DENIED, NULL, "no %s", "way");
    expect_packet(&b, "0f000003 ff 1504 '#28000no way'");
    sl_packet_build_err(&b, 0, SL_ER_CON_COUNT, "", "full");
    expect_packet(&b, "07000000 ff 1004 'full'");
    sl_packet_build_command(&b, SL_COM_QUERY, sl_slice_text("do 1"));
    expect_packet(&b, "05000000 03 'do 1'");
    sl_packet_build_command(&b, SL_COM_PING, sl_slice(NULL, 0));
    expect_packet(&b, "01000000 0e");
    sl_buf_free(&b);
}

static void test_err_message_is_cut(void **state)
{
    struct sl_buf b = SL_BUF_INIT;
    sl_packet_build_err(&b, 1, 1105, NULL, "%0600d", 1);
    assert_int_equal(sl_packet_len(b.data), 9 + 511);
    sl_buf_free(&b);
}

static void test_long_commands(void **state)
{
    uint8_t *arg = calloc(1, SL_PACKET_MAX + 1);
    for (size_t len = SL_PACKET_MAX - 2; len <= SL_PACKET_MAX + 1; len++) {
        struct sl_buf b = SL_BUF_INIT;
        size_t fragments = len + 1 < SL_PACKET_MAX ? 1 : 2;
        assert_int_equal(sl_packet_build_command(&b, SL_COM_QUERY, sl_slice(arg, len)), SL_OK);
        assert_int_equal(sl_buf_len(&b), len + 1 + 4 * fragments);
        assert_int_equal(b.data[4], SL_COM_QUERY);
        if (fragments == 2) {
            assert_int_equal(sl_packet_len(b.data), SL_PACKET_MAX);
            assert_int_equal(sl_packet_len(b.data + 4 + SL_PACKET_MAX), len + 1 - SL_PACKET_MAX);
            assert_int_equal(sl_packet_seq(b.data + 4 + SL_PACKET_MAX), 1);
        }
        sl_buf_free(&b);
    }
    free(arg);
}

static void test_no_memory(void **state)
{
    struct sl_buf b = SL_BUF_INIT;
    sl_mem_fail_after(1);
    assert_int_equal(sl_packet_build_ok(&b, 1, 0, 0, 0, 0, NULL), SL_ENOMEM);
    sl_mem_fail_after(1);
    assert_int_equal(sl_packet_build_err(&b, 1, 1045, NULL, "x"), SL_ENOMEM);
    sl_mem_fail_after(0);
    assert_int_equal(sl_buf_len(&b), 0);
    sl_buf_free(&b);
    sl_buf_free(&raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ok_parse),
        cmocka_unit_test(test_state_block),
        cmocka_unit_test(test_hide),
        cmocka_unit_test(test_state_oddities),
        cmocka_unit_test(test_malformed_state),
        cmocka_unit_test(test_eof_and_err),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_strip),
        cmocka_unit_test(test_builders),
        cmocka_unit_test(test_err_message_is_cut),
        cmocka_unit_test(test_long_commands),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
