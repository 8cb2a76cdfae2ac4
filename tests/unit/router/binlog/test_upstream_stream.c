/* SPDX-License-Identifier: Apache-2.0 */
/* Packets to events: whole, cut at every byte, over several packets, refused, not taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "repl/event.h"
#include "router/binlog/upstream_stream.h"

enum {
    BIG = 0xFFFFFF + 5000
};

static struct sl_stream stream;

static int reset(void **state)
{
    sl_stream_start(&stream, false);
    return 0;
}

static int release(void **state)
{
    sl_stream_free(&stream);
    return 0;
}

/* A packet with a payload of `len` bytes that begins with `first`, then a pattern. */
static size_t put(uint8_t *out, uint8_t seq, uint8_t first, size_t len)
{
    sl_packet_put_header(out, (uint32_t)len, seq);
    for (size_t i = 0; i < len; i++) {
        out[SL_PACKET_HEADER + i] = (uint8_t)(i * 7 + len);
    }
    out[SL_PACKET_HEADER] = first;
    return SL_PACKET_HEADER + len;
}

static struct sl_stream_item next(uint8_t *data, size_t len, size_t *ret_used)
{
    struct sl_stream_item item;
    assert_int_equal(sl_stream_next(&stream, data, len, ret_used, &item), SL_OK);
    return item;
}

static void check_event(const struct sl_stream_item *item, size_t payload_len)
{
    assert_int_equal(item->kind, SL_STREAM_EVENT);
    assert_int_equal(item->len, payload_len - 1);
    for (size_t i = 1; i < payload_len; i += 97) {
        assert_int_equal(item->bytes[i - 1], (uint8_t)(i * 7 + payload_len));
    }
}

static void test_whole(void **state)
{
    uint8_t data[512];
    size_t len = put(data, 1, 0, 30), used;
    len += put(data + len, 2, 0, 40);
    struct sl_stream_item item = next(data, len, &used);
    check_event(&item, 30);
    assert_ptr_equal(item.bytes, data + 5); /* where it lies */
    assert_int_equal(used, 34);
    sl_stream_taken(&stream);
    item = next(data + used, len - used, &used);
    check_event(&item, 40);
    sl_stream_taken(&stream);
    item = next(data + len, 0, &used);
    assert_int_equal(item.kind, SL_STREAM_MORE);
}

static void test_not_taken(void **state)
{
    uint8_t data[512];
    size_t len = put(data, 1, 0, 30), used;
    next(data, len, &used);
    assert_false(sl_stream_is_held(&stream));
    struct sl_stream_item item = next(data, len, &used); /* given again */
    check_event(&item, 30);
    assert_int_equal(used, len);
    /* In pieces: held here. */
    item = next(data, 10, &used);
    assert_int_equal(item.kind, SL_STREAM_MORE);
    assert_int_equal(used, 10);
    item = next(data + 10, len - 10, &used);
    check_event(&item, 30);
    assert_true(sl_stream_is_held(&stream));
    assert_int_equal(used, len - 10);
    item = next(data, 0, &used);
    check_event(&item, 30);
    assert_int_equal(used, 0);
    sl_stream_taken(&stream);
    assert_false(sl_stream_is_held(&stream));
    put(data, 2, 0, 30);
    item = next(data, len, &used);
    check_event(&item, 30);
}

/* Three packets, cut at every pair of places. */
static void test_cut_everywhere(void **state)
{
    uint8_t data[256];
    size_t len = put(data, 1, 0, 25);
    len += put(data + len, 2, 0, 33);
    len += put(data + len, 3, 0, 21);
    const size_t sizes[] = {25, 33, 21};
    for (size_t a = 0; a <= len; a++) {
        for (size_t b = a; b <= len; b++) {
            sl_stream_start(&stream, false);
            const size_t ends[] = {a, b, len};
            size_t at = 0, events = 0;
            for (unsigned piece = 0; piece < 3;) {
                size_t used;
                struct sl_stream_item item = next(data + at, ends[piece] - at, &used);
                at += used;
                if (item.kind == SL_STREAM_MORE) {
                    assert_int_equal(at, ends[piece]);
                    piece++;
                    continue;
                }
                check_event(&item, sizes[events++]);
                sl_stream_taken(&stream);
            }
            assert_int_equal(events, 3);
        }
    }
}

/* An event of more than 16 MiB: two packets, of which only the first has the leading 00. */
static void test_large(void **state)
{
    uint8_t *payload = sl_malloc(BIG), *wire = sl_malloc(BIG + 100);
    assert_non_null(payload);
    assert_non_null(wire);
    memset(payload, 'x', BIG);
    payload[0] = 0;
    payload[BIG - 1] = 'e';
    sl_packet_put_header(wire, 0xFFFFFF, 1);
    memcpy(wire + 4, payload, 0xFFFFFF);
    sl_packet_put_header(wire + 4 + 0xFFFFFF, BIG - 0xFFFFFF, 2);
    memcpy(wire + 8 + 0xFFFFFF, payload + 0xFFFFFF, BIG - 0xFFFFFF);
    size_t len = BIG + 8, at = 0, used;
    len += put(wire + len, 3, 0, 30);
    struct sl_stream_item item = {.kind = SL_STREAM_MORE};
    while (item.kind == SL_STREAM_MORE) {
        size_t n = len - at < 65536 ? len - at : 65536;
        item = next(wire + at, n, &used);
        at += used;
    }
    assert_int_equal(item.kind, SL_STREAM_EVENT);
    assert_int_equal(item.len, BIG - 1);
    assert_memory_equal(item.bytes, payload + 1, BIG - 1);
    sl_stream_taken(&stream);
    assert_null(stream.part.data); /* so much is not kept */
    item = next(wire + at, len - at, &used);
    check_event(&item, 30);
    sl_free(payload);
    sl_free(wire);
}

/* Exactly 0xFFFFFF bytes: an empty packet follows. */
static void test_exactly_full(void **state)
{
    uint8_t *wire = sl_calloc(1, 0xFFFFFF + 8);
    assert_non_null(wire);
    sl_packet_put_header(wire, 0xFFFFFF, 1);
    sl_packet_put_header(wire + 4 + 0xFFFFFF, 0, 2);
    size_t used;
    struct sl_stream_item item = next(wire, 0xFFFFFF + 4, &used);
    assert_int_equal(item.kind, SL_STREAM_MORE);
    item = next(wire + used, 4, &used);
    assert_int_equal(item.kind, SL_STREAM_EVENT);
    assert_int_equal(item.len, 0xFFFFFF - 1);
    sl_free(wire);
}

static void test_semi_sync(void **state)
{
    uint8_t data[64];
    size_t used;
    sl_stream_start(&stream, true);
    size_t len = put(data, 1, 0, 30);
    data[5] = 0xef;
    data[6] = 1;
    struct sl_stream_item item = next(data, len, &used);
    assert_int_equal(item.len, 27);
    assert_true(item.wants_ack);
    assert_ptr_equal(item.bytes, data + 7);
    data[6] = 0;
    item = next(data, len, &used);
    assert_false(item.wants_ack);
    data[5] = 0;
    assert_int_equal(sl_stream_next(&stream, data, len, &used, &item), SL_EPROTO);
}

/* Behind an event to acknowledge the numbers begin again; behind others they do not. */
static void test_numbers_begin_again(void **state)
{
    uint8_t data[64], one[64];
    size_t used, len = put(data, 1, 0, 30);
    struct sl_stream_item item;
    data[5] = 0xef;
    for (unsigned i = 0; i < 3; i++) { /* 1 2 | 1 2 | 1 2 */
        data[3] = 1;
        data[6] = 0;
        if (i == 0) {
            sl_stream_start(&stream, true);
        }
        item = next(data, i == 1 ? 2 : len, &used); /* also in pieces */
        if (i == 1) {
            item = next(data + 2, len - 2, &used);
        }
        assert_false(item.wants_ack);
        sl_stream_taken(&stream);
        memcpy(one, data, len);
        assert_int_equal(sl_stream_next(&stream, one, len, &used, &item), SL_EPROTO);
        data[3] = 2;
        data[6] = 1;
        item = next(data, len, &used);
        assert_true(item.wants_ack);
        sl_stream_taken(&stream);
    }
    data[3] = 3; /* or go on */
    item = next(data, len, &used);
    assert_true(item.wants_ack);
}

static void test_ends(void **state)
{
    uint8_t data[64] = {5, 0, 0, 1, 0xfe, 0, 0, 2, 0};
    size_t used;
    struct sl_stream_item item = next(data, 9, &used);
    assert_int_equal(item.kind, SL_STREAM_EOF);
    data[4] = 0xff;
    item = next(data, 9, &used);
    assert_int_equal(item.kind, SL_STREAM_ERR);
    assert_int_equal(item.len, 5);
    item = next(data, 6, &used); /* in pieces */
    assert_int_equal(item.kind, SL_STREAM_MORE);
    item = next(data + 6, 3, &used);
    assert_int_equal(item.kind, SL_STREAM_ERR);
}

static void test_nonsense(void **state)
{
    uint8_t data[64];
    size_t used, len = put(data, 2, 0, 30); /* wrong sequence number */
    struct sl_stream_item item;
    assert_int_equal(sl_stream_next(&stream, data, len, &used, &item), SL_EPROTO);
    assert_int_equal(sl_stream_next(&stream, data, 3, &used, &item), SL_OK);
    assert_int_equal(sl_stream_next(&stream, data + 3, len - 3, &used, &item), SL_EPROTO);
    sl_stream_start(&stream, false);
    len = put(data, 1, 0x33, 30); /* no such packet */
    assert_int_equal(sl_stream_next(&stream, data, len, &used, &item), SL_EPROTO);
    len = put(data, 1, 0, 10); /* shorter than any event */
    assert_int_equal(sl_stream_next(&stream, data, len, &used, &item), SL_EPROTO);
    len = put(data, 1, 0xfe, 30); /* no EOF is so long */
    assert_int_equal(sl_stream_next(&stream, data, len, &used, &item), SL_EPROTO);
    sl_packet_put_header(data, 0, 1); /* empty */
    assert_int_equal(sl_stream_next(&stream, data, 4, &used, &item), SL_EPROTO);
}

static void test_no_memory(void **state)
{
    uint8_t data[64];
    size_t used, len = put(data, 1, 0, 30);
    struct sl_stream_item item;
    sl_mem_fail_after(1);
    assert_int_equal(sl_stream_next(&stream, data, len - 1, &used, &item), SL_ENOMEM);
    sl_mem_fail_after(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole, reset, release),
        cmocka_unit_test_setup_teardown(test_not_taken, reset, release),
        cmocka_unit_test_setup_teardown(test_cut_everywhere, reset, release),
        cmocka_unit_test_setup_teardown(test_large, reset, release),
        cmocka_unit_test_setup_teardown(test_exactly_full, reset, release),
        cmocka_unit_test_setup_teardown(test_semi_sync, reset, release),
        cmocka_unit_test_setup_teardown(test_numbers_begin_again, reset, release),
        cmocka_unit_test_setup_teardown(test_ends, reset, release),
        cmocka_unit_test_setup_teardown(test_nonsense, reset, release),
        cmocka_unit_test_setup_teardown(test_no_memory, reset, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
