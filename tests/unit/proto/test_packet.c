/* SPDX-License-Identifier: Apache-2.0 */
/* Reader and writer: every length form, every short input, growth, rollback, fragments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/packet.h"

#include "bytes_of.h"

static void test_lenenc(void **state)
{
    static const uint64_t values[] = {0,         1,          0xFA,       0xFB,
                                      0xFC,      0xFFFF,     0x10000,    0xFFFFFF,
                                      0x1000000, 0xFFFFFFFF, 1ULL << 40, UINT64_MAX};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        uint8_t bytes[16];
        struct sl_writer w = sl_writer_array(bytes, sizeof(bytes));
        size_t len;
        sl_write_lenenc(&w, values[i]);
        len = sl_writer_len(&w);
        assert_int_equal(sl_writer_finish(&w), SL_OK);
        assert_int_equal(len, sl_lenenc_size(values[i]));
        for (size_t cut = 0; cut <= len; cut++) {
            struct sl_reader r = sl_reader(bytes, cut);
            uint64_t v = sl_read_lenenc(&r);
            assert_int_equal(r.failed, cut < len);
            assert_true(v == (cut < len ? 0 : values[i]));
        }
    }
    for (unsigned first = 0xFB; first <= 0xFF; first += 4) {
        uint8_t bytes[9] = {(uint8_t)first};
        struct sl_reader r = sl_reader(bytes, 9);
        assert_int_equal(sl_read_lenenc(&r), 0);
        assert_true(r.failed);
    }
}

static void test_reader_integers(void **state)
{
    const uint8_t b[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
    struct sl_reader r = sl_reader(b, sizeof(b));
    assert_int_equal(sl_read_u8(&r), 1);
    assert_int_equal(sl_read_u16(&r), 0x0302);
    assert_int_equal(sl_read_u24(&r), 0x060504);
    assert_int_equal(sl_read_u32(&r), 0x0a090807);
    assert_true(sl_read_u64(&r) == 0x1211100f0e0d0c0bULL);
    assert_false(r.failed);
    assert_int_equal(sl_reader_left(&r), 0);
    assert_int_equal(sl_read_u8(&r), 0);
    assert_true(r.failed);
    assert_int_equal(sl_read_u64(&r), 0);
}

static void test_reader_strings(void **state)
{
    const char b[] = "\3abcdef\0gh\xfb\xfe\xff\xff\xff\xff\xff\xff\xff\xff";
    struct sl_reader r = sl_reader(b, sizeof(b) - 1);
    struct sl_slice s;
    assert_slice(sl_read_lestr(&r), "abc");
    assert_slice(sl_read_nulstr(&r), "def");
    assert_slice(sl_read_bytes(&r, 2), "gh");
    assert_false(sl_read_column(&r, &s));
    assert_null(s.data);
    assert_false(r.failed);
    assert_slice(sl_read_lestr(&r), ""); /* a length of 2^64 - 1 */
    assert_true(r.failed);
    r = sl_reader("xy", 2);
    assert_slice(sl_read_nulstr_or_rest(&r), "xy");
    assert_false(r.failed);
    assert_slice(sl_read_nulstr_or_rest(&r), "");
    assert_false(r.failed);
    sl_read_nulstr(&r);
    assert_true(r.failed);
    r = sl_reader(NULL, 0);
    assert_slice(sl_read_rest(&r), "");
    assert_false(r.failed);
    r = sl_reader("\1z", 2);
    assert_true(sl_read_column(&r, &s));
    assert_slice(s, "z");
}

static void test_writer_on_an_array(void **state)
{
    uint8_t b[8];
    struct sl_writer w = sl_writer_array(b, 8);
    size_t begin = sl_write_packet_begin(&w);
    sl_write_u8(&w, 1);
    sl_write_u24(&w, 0x040302);
    sl_write_packet_end(&w, begin, 9);
    assert_int_equal(sl_writer_len(&w), 8);
    assert_int_equal(sl_writer_finish(&w), SL_OK);
    assert_memory_equal(b, "\4\0\0\11\1\2\3\4", 8);
    sl_write_u8(&w, 1);
    assert_int_equal(sl_writer_finish(&w), SL_ELIMIT);
    sl_write_zeros(&w, 100);
    assert_int_equal(sl_writer_len(&w), 8);
}

static void test_writer_on_a_buffer(void **state)
{
    struct sl_buf b = SL_BUF_INIT;
    struct sl_writer w;
    uint8_t big[3000];
    size_t begin;
    memset(big, 'x', sizeof(big));
    assert_int_equal(sl_buf_append_text(&b, "0123456789"), SL_OK);
    sl_buf_consume(&b, 5);
    w = sl_writer_buf(&b);
    for (int i = 0; i < 50; i++) {
        begin = sl_write_packet_begin(&w);
        sl_write_bytes(&w, big, (size_t)i * 50);
        sl_write_u16(&w, 0x1234);
        sl_write_packet_end(&w, begin, (uint8_t)i);
    }
    assert_int_equal(sl_writer_finish(&w), SL_OK);
    assert_memory_equal(b.data + b.start, "56789", 5);
    sl_buf_consume(&b, 5);
    for (int i = 0; i < 50; i++) {
        const uint8_t *p = b.data + b.start;
        assert_int_equal(sl_packet_len(p), i * 50 + 2);
        assert_int_equal(sl_packet_seq(p), i);
        assert_int_equal(sl_get_le16(p + 4 + i * 50), 0x1234);
        sl_buf_consume(&b, sl_packet_len(p) + 4);
    }
    assert_int_equal(sl_buf_len(&b), 0);
    sl_buf_free(&b);
}

/* Each allocation fails once: the buffer is as before, or all is there. */
static void test_writer_rolls_back(void **state)
{
    for (uint64_t n = 1; n < 10; n++) {
        struct sl_buf b = SL_BUF_INIT;
        struct sl_writer w;
        int rc;
        assert_int_equal(sl_buf_append_text(&b, "before"), SL_OK);
        sl_mem_fail_after(n);
        w = sl_writer_buf(&b);
        for (int i = 0; i < 300; i++) {
            sl_write_zeros(&w, 17);
        }
        rc = sl_writer_finish(&w);
        sl_mem_fail_after(0);
        assert_int_equal(sl_buf_len(&b), rc == SL_OK ? 6 + 300 * 17 : 6);
        assert_memory_equal(b.data + b.start, "before", 6);
        assert_true(rc == SL_OK || rc == SL_ENOMEM);
        sl_buf_free(&b);
    }
}

static void test_fragments(void **state)
{
    const size_t sizes[] = {
        0, 1, SL_PACKET_MAX - 1, SL_PACKET_MAX, SL_PACKET_MAX + 1, 2 * (size_t)SL_PACKET_MAX};
    uint8_t *payload = calloc(1, 2 * (size_t)SL_PACKET_MAX);
    for (size_t i = 0; i < 6; i++) {
        struct sl_buf b = SL_BUF_INIT;
        struct sl_writer w = sl_writer_buf(&b);
        size_t left = sizes[i];
        uint8_t next = sl_write_packet(&w, 254, sl_slice(payload, sizes[i]));
        uint8_t seq = 254;
        const uint8_t *p;
        assert_int_equal(sl_writer_finish(&w), SL_OK);
        assert_int_equal((uint8_t)(next - 254), sl_packet_fragments(sizes[i]));
        for (p = b.data; p < b.data + b.end; p += 4 + sl_packet_len(p)) {
            assert_int_equal(sl_packet_seq(p), seq++);
            assert_int_equal(sl_packet_len(p), left < SL_PACKET_MAX ? left : SL_PACKET_MAX);
            left -= sl_packet_len(p);
        }
        assert_int_equal(left, 0);
        assert_int_equal(seq, next);
        sl_buf_free(&b);
    }
    free(payload);
}

static void test_packet_end_refuses_long_payloads(void **state)
{
    struct sl_buf b = SL_BUF_INIT;
    struct sl_writer w = sl_writer_buf(&b);
    size_t begin = sl_write_packet_begin(&w);
    sl_write_zeros(&w, SL_PACKET_MAX);
    sl_write_packet_end(&w, begin, 0);
    assert_int_equal(sl_writer_finish(&w), SL_ELIMIT);
    assert_int_equal(sl_buf_len(&b), 0);
    sl_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lenenc),
        cmocka_unit_test(test_reader_integers),
        cmocka_unit_test(test_reader_strings),
        cmocka_unit_test(test_writer_on_an_array),
        cmocka_unit_test(test_writer_on_a_buffer),
        cmocka_unit_test(test_writer_rolls_back),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_packet_end_refuses_long_payloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
