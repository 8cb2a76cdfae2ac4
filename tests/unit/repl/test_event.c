/* SPDX-License-Identifier: Apache-2.0 */
/* Events: real ones of a server are read, ours are byte for byte what a server makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "events.h"

static void expect_bytes(const struct sl_buf *b, const void *expect, size_t len)
{
    struct sl_slice got = sl_buf_slice(b);
    assert_int_equal(got.len, len);
    assert_memory_equal(got.data, expect, len);
}

/* ---- header, checksums ---- */

static void test_header(void **state)
{
    struct sl_event_header h;
    uint8_t copy[SL_EVENT_HEADER];
    assert_int_equal(sl_event_header_parse(wire_gtid, &h), SL_OK);
    assert_int_equal(h.timestamp, 0x6b00117e);
    assert_int_equal(h.type, SL_EVENT_GTID);
    assert_int_equal(h.server_id, 1);
    assert_int_equal(h.length, sizeof wire_gtid);
    assert_int_equal(h.log_pos, 0x3de);
    assert_int_equal(h.flags, 8);
    assert_int_equal(sl_event_type(wire_gtid), SL_EVENT_GTID);
    assert_int_equal(sl_event_length(wire_gtid), sizeof wire_gtid);
    sl_event_header_put(copy, &h);
    assert_memory_equal(copy, wire_gtid, sizeof copy);
    h.length = SL_EVENT_HEADER - 1;
    sl_event_header_put(copy, &h);
    assert_int_equal(sl_event_header_parse(copy, &h), SL_EPROTO);
    h.length = SL_EVENT_MAX + 1;
    sl_event_header_put(copy, &h);
    assert_int_equal(sl_event_header_parse(copy, &h), SL_EPROTO);
}

static void test_type_text(void **state)
{
    assert_string_equal(sl_event_type_text(SL_EVENT_QUERY), "Query");
    assert_string_equal(sl_event_type_text(SL_EVENT_DELETE_ROWS_COMPRESSED_V2),
                        "Delete_rows_compressed");
    assert_string_equal(sl_event_type_text(0), "Unknown");
    assert_string_equal(sl_event_type_text(255), "Unknown");
}

static void test_crc_of_wire(void **state)
{
#define WIRE(x)                                                                                    \
    {                                                                                              \
        x, sizeof(x)                                                                               \
    }
    static const struct {
        const uint8_t *event;
        uint32_t len;
    } all[] = {WIRE(wire_rotate_fake), WIRE(wire_gtid), WIRE(wire_annotate),  WIRE(wire_table_map),
               WIRE(wire_write_rows),  WIRE(wire_xid),  WIRE(wire_heartbeat), WIRE(wire_gtid_list)};
#undef WIRE
    for (size_t i = 0; i < SL_ARRAY_LEN(all); i++) {
        uint8_t copy[128];
        uint32_t len = all[i].len;
        assert_int_equal(sl_event_length(all[i].event), len);
        assert_true(sl_event_crc_is_right(all[i].event, len));
        memcpy(copy, all[i].event, len);
        sl_event_crc_put(copy, len);
        assert_memory_equal(copy, all[i].event, len);
        copy[SL_EVENT_HEADER] ^= 1;
        assert_false(sl_event_crc_is_right(copy, len));
        uint32_t crc = sl_event_crc_add(0, all[i].event, 7);
        crc = sl_event_crc_add(crc, NULL, 0);
        crc = sl_event_crc_add(crc, all[i].event + 7, len - 7 - SL_EVENT_CRC);
        assert_int_equal(crc, sl_get_le32(all[i].event + len - SL_EVENT_CRC));
    }
    assert_false(sl_event_crc_is_right(wire_xid, SL_EVENT_HEADER + SL_EVENT_CRC - 1));
}

/* log_pos moved on: the checksum is that of the whole event, short or long. */
static void test_set_pos(void **state)
{
    static const uint32_t lengths[] = {
        23,    24,    100,    8191,    8192,          8193,          5000,    65535,
        65536, 65537, 100003, 1 << 20, (1 << 20) + 1, (1 << 24) - 1, 1 << 24, (1 << 24) + 77};
    uint8_t *event = malloc((1 << 24) + 100);
    assert_non_null(event);
    for (size_t i = 0; i < SL_ARRAY_LEN(lengths); i++) {
        uint32_t len = lengths[i];
        for (uint32_t k = 0; k < len; k++) {
            event[k] = (uint8_t)(k * 2654435761u >> 24);
        }
        event[4] = SL_EVENT_WRITE_ROWS;
        sl_event_crc_put(event, len);
        static const uint32_t positions[] = {0, 1, 0x80000000, 0xffffffff, 4711, 4711};
        for (size_t k = 0; k < SL_ARRAY_LEN(positions); k++) {
            sl_event_set_pos(event, len, positions[k], true);
            assert_int_equal(sl_get_le32(event + 13), positions[k]);
            assert_true(sl_event_crc_is_right(event, len));
        }
        sl_event_set_pos(event, len, 12, false);
        assert_int_equal(sl_get_le32(event + 13), 12);
    }
    free(event);
}

/* ---- bodies ---- */

static void test_fde(void **state)
{
    uint8_t event[SL_FDE_MAX + 8], before[SL_FDE_MAX];
    struct sl_err err = SL_ERR_INIT;
    struct sl_fde fde;
    uint32_t len = make_fde(event, 1);
    memcpy(before, event, len);
    assert_int_equal(sl_fde_parse(event, len, &fde, &err), SL_OK);
    assert_int_equal(fde.created, 1700000000);
    assert_true(fde.has_crc);
    assert_string_equal(fde.server_version, "10.11.19-MariaDB-log");

    event[17] |= SL_EVENT_FLAG_IN_USE; /* not part of the checksum */
    assert_true(sl_event_crc_is_right(event, len));
    event[60] ^= 1;
    assert_false(sl_event_crc_is_right(event, len));
    event[60] ^= 1;
    sl_fde_clear_in_use(event, len);
    assert_memory_equal(event, before, len);
    sl_fde_set_created(event, len, 0);
    assert_true(sl_event_crc_is_right(event, len));
    assert_int_equal(sl_fde_parse(event, len, &fde, &err), SL_OK);
    assert_int_equal(fde.created, 0);

    len = make_fde(event, 0);
    assert_int_equal(sl_fde_parse(event, len, &fde, &err), SL_OK);
    assert_false(fde.has_crc);
}

static void expect_bad_fde(uint8_t *event, uint32_t len, const char *part)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_fde fde;
    assert_int_equal(sl_fde_parse(event, len, &fde, &err), SL_EPROTO);
    assert_non_null(strstr(err.text, part));
}

static void test_fde_bad(void **state)
{
    uint8_t event[SL_FDE_MAX + 8] = {0};
    expect_bad_fde(event, make_fde(event, 2), "algorithm 2");
    uint32_t len = make_fde(event, 1);
    expect_bad_fde(event, SL_EVENT_HEADER + 57 + SL_EVENT_CRC, "of 80 bytes");
    expect_bad_fde(event, 3, "of 3 bytes");
    expect_bad_fde(event, SL_FDE_MAX + 1, "of 1025 bytes");
    event[SL_EVENT_HEADER] = 3;
    expect_bad_fde(event, len, "format 3");
    len = make_fde(event, 1);
    event[SL_EVENT_HEADER + 56] = 13;
    expect_bad_fde(event, len, "headers of 13 bytes");
}

static void test_gtid_event(void **state)
{
    struct sl_gtid_event g;
    assert_int_equal(sl_gtid_event_parse(wire_gtid, sizeof wire_gtid, true, &g), SL_OK);
    assert_int_equal(g.gtid.domain, 7);
    assert_int_equal(g.gtid.server_id, 1);
    assert_int_equal(g.gtid.seq, 5);
    assert_int_equal(g.flags2, 0x0c);
    assert_int_equal(sl_gtid_event_parse(wire_gtid, sizeof wire_gtid - 1, true, &g), SL_EPROTO);
    assert_int_equal(sl_gtid_event_parse(wire_gtid, sizeof wire_gtid - 4, false, &g), SL_OK);
    assert_int_equal(sl_gtid_event_parse(wire_gtid, sizeof wire_gtid - 5, false, &g), SL_EPROTO);
    assert_int_equal(sl_gtid_event_parse(wire_gtid, 20, true, &g), SL_EPROTO);
}

static void test_rotate(void **state)
{
    struct sl_rotate_event r;
    uint8_t event[512], body[8 + 256];
    assert_int_equal(sl_rotate_event_parse(wire_rotate_fake, sizeof wire_rotate_fake, true, &r),
                     SL_OK);
    assert_int_equal(r.position, 4);
    assert_true(sl_slice_equal(r.file, sl_slice_text("pbin.000001")));
    memset(body, 'x', sizeof body);
    assert_int_equal(
        sl_rotate_event_parse(event, make_event(event, SL_EVENT_ROTATE, 0, body, 263), true, &r),
        SL_OK);
    assert_int_equal(
        sl_rotate_event_parse(event, make_event(event, SL_EVENT_ROTATE, 0, body, 264), true, &r),
        SL_EPROTO);
    assert_int_equal(
        sl_rotate_event_parse(event, make_event(event, SL_EVENT_ROTATE, 0, body, 8), true, &r),
        SL_EPROTO);
    body[20] = 0;
    assert_int_equal(
        sl_rotate_event_parse(event, make_event(event, SL_EVENT_ROTATE, 0, body, 40), true, &r),
        SL_EPROTO);
    assert_int_equal(sl_rotate_event_parse(event, 10, true, &r), SL_EPROTO);
}

static void test_gtid_list_event(void **state)
{
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    assert_int_equal(sl_gtid_list_event_parse(wire_gtid_list, sizeof wire_gtid_list, true, &list),
                     SL_OK);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.gtid[0].domain, 7);
    assert_int_equal(list.gtid[0].server_id, 1);
    assert_int_equal(list.gtid[0].seq, 7);
    assert_int_equal(
        sl_gtid_list_event_parse(wire_gtid_list, sizeof wire_gtid_list - 1, true, &list),
        SL_EPROTO);
    assert_int_equal(list.count, 0);
    assert_int_equal(sl_gtid_list_event_parse(wire_gtid_list, 26, true, &list), SL_EPROTO);
    uint8_t event[64] = {0}, body[8] = {0};
    sl_put_le32(body, SL_GTID_LIST_MAX + 1);
    assert_int_equal(sl_gtid_list_event_parse(
                         event, make_event(event, SL_EVENT_GTID_LIST, 0, body, 8), true, &list),
                     SL_EPROTO);
    sl_gtid_list_free(&list);
    sl_mem_fail_after(1);
    assert_int_equal(sl_gtid_list_event_parse(wire_gtid_list, sizeof wire_gtid_list, true, &list),
                     SL_ENOMEM);
    sl_gtid_list_free(&list);
}

static void test_query(void **state)
{
    uint8_t event[600];
    struct sl_slice db, sql;
    uint32_t len = make_query(event, false, "drop table t", 12);
    assert_int_equal(sl_query_event_parse(event, len, true, &db, &sql), SL_OK);
    assert_true(sl_slice_equal(db, sl_slice_text("d1")));
    assert_true(sl_slice_equal(sql, sl_slice_text("drop table t")));
    assert_int_equal(sl_query_event_parse(event, len - 12, true, &db, &sql), SL_OK);
    assert_int_equal(sql.len, 0);
    assert_int_equal(sl_query_event_parse(event, len - 13, true, &db, &sql), SL_EPROTO);
    assert_int_equal(sl_query_event_parse(event, 35, true, &db, &sql), SL_EPROTO);
    assert_int_equal(sl_query_event_parse(event, 22, true, &db, &sql), SL_EPROTO);
    event[SL_EVENT_HEADER + 13 + 5 + 2] = 'x'; /* no NUL behind the database */
    assert_int_equal(sl_query_event_parse(event, len, true, &db, &sql), SL_EPROTO);
}

/* ---- events made here ---- */

static void test_build_like_server(void **state)
{
    struct sl_buf out = SL_BUF_INIT;
    struct sl_event_header h = {.server_id = 1, .flags = SL_EVENT_FLAG_ARTIFICIAL};
    assert_int_equal(sl_rotate_event_build(&out, &h, "pbin.000001", 4, true), SL_OK);
    expect_bytes(&out, wire_rotate_fake, sizeof wire_rotate_fake);
    sl_buf_clear(&out);
    assert_int_equal(sl_heartbeat_event_build(&out, 1, "pbin.000002", 0x25e, true), SL_OK);
    expect_bytes(&out, wire_heartbeat, sizeof wire_heartbeat);
    sl_buf_clear(&out);
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    assert_int_equal(sl_gtid_state_add(&list, (struct sl_gtid){7, 1, 7}), SL_OK);
    h.log_pos = 0x238;
    assert_int_equal(sl_gtid_list_event_build(&out, &h, &list, 0, true), SL_OK);
    expect_bytes(&out, wire_gtid_list, sizeof wire_gtid_list);
    sl_gtid_list_free(&list);
    sl_buf_free(&out);
}

static void test_build_gtid_list(void **state)
{
    struct sl_buf out = SL_BUF_INIT;
    struct sl_event_header h = {.server_id = 1};
    struct sl_gtid_list list = SL_GTID_LIST_INIT, again = SL_GTID_LIST_INIT;
    assert_int_equal(sl_gtid_list_event_build(&out, &h, &list, 0, true), SL_OK);
    assert_int_equal(sl_buf_len(&out), 29); /* two bytes of padding, as a server has */
    assert_int_equal(sl_gtid_list_event_parse(out.data, 29, true, &again), SL_OK);
    assert_int_equal(again.count, 0);
    sl_buf_clear(&out);
    assert_int_equal(sl_gtid_state_add(&list, (struct sl_gtid){9, 1, 3}), SL_OK);
    assert_int_equal(sl_gtid_state_add(&list, (struct sl_gtid){7, 1, UINT64_MAX}), SL_OK);
    assert_int_equal(sl_gtid_list_event_build(&out, &h, &list, SL_GTID_LIST_UNTIL_REACHED, false),
                     SL_OK);
    assert_int_equal(sl_buf_len(&out), 19 + 4 + 32);
    assert_int_equal(out.data[22], 0x10);
    assert_int_equal(sl_gtid_list_event_parse(out.data, 19 + 4 + 32, false, &again), SL_OK);
    assert_int_equal(again.count, 2);
    assert_memory_equal(again.gtid, list.gtid, 2 * sizeof *list.gtid);
    sl_gtid_list_free(&list);
    sl_gtid_list_free(&again);
    sl_buf_free(&out);
}

static void test_start_encryption(void **state)
{
    struct sl_buf out = SL_BUF_INIT;
    struct sl_event_header h = {.server_id = 1};
    struct sl_start_encryption body = {1, 0x01020304, "nonce of 12"}, again;
    assert_int_equal(sl_start_encryption_event_build(&out, &h, &body, true), SL_OK);
    uint32_t len = (uint32_t)sl_buf_len(&out);
    assert_int_equal(len, 40); /* as a server's */
    assert_true(sl_event_crc_is_right(out.data, len));
    assert_int_equal(sl_start_encryption_parse(out.data, len, true, &again), SL_OK);
    assert_int_equal(again.scheme, 1);
    assert_int_equal(again.key_version, 0x01020304);
    assert_memory_equal(again.nonce, body.nonce, SL_BINLOG_NONCE_LEN);
    assert_int_equal(sl_start_encryption_parse(out.data, len, false, &again), SL_EPROTO);
    assert_int_equal(sl_start_encryption_parse(out.data, 20, true, &again), SL_EPROTO);
    sl_buf_free(&out);
}

static void test_build_no_memory(void **state)
{
    struct sl_buf out = SL_BUF_INIT;
    struct sl_event_header h = {.server_id = 1};
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_start_encryption body = {0};
    sl_mem_fail_after(1);
    assert_int_equal(sl_rotate_event_build(&out, &h, "f", 4, true), SL_ENOMEM);
    sl_mem_fail_after(1);
    assert_int_equal(sl_gtid_list_event_build(&out, &h, &list, 0, true), SL_ENOMEM);
    sl_mem_fail_after(1);
    assert_int_equal(sl_heartbeat_event_build(&out, 1, "f", 4, true), SL_ENOMEM);
    sl_mem_fail_after(1);
    assert_int_equal(sl_start_encryption_event_build(&out, &h, &body, true), SL_ENOMEM);
    sl_mem_fail_after(1);
    assert_int_equal(sl_semi_sync_ack_build(&out, 4, "f"), SL_ENOMEM);
    sl_mem_fail_after(1);
    assert_int_equal(sl_register_slave_build(&out, 1, "h", 1), SL_ENOMEM);
    sl_mem_fail_after(1);
    assert_int_equal(sl_binlog_dump_build(&out, 1, 4, 2, "f"), SL_ENOMEM);
    assert_int_equal(sl_buf_len(&out), 0);
}

/* ---- commands ---- */

static void test_register_slave(void **state)
{
    /* What a 10.11 replica sent, and one with all texts. */
    static const uint8_t wire[] = {0x15, 2, 0, 0, 0, 0, 0, 0, 0x51, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t full[] = {9,   0,    0,    0, 2, 'h', 'h', 1, 'u', 3, 'p', 'w',
                                   'd', 0xea, 0x0c, 1, 0, 0,   0,   5, 0,   0, 0};
    struct sl_register_slave r;
    assert_int_equal(sl_register_slave_parse(wire + 1, sizeof wire - 1, &r), SL_OK);
    assert_int_equal(r.server_id, 2);
    assert_int_equal(r.port, 0xf51);
    assert_int_equal(r.master_id, 0);
    assert_int_equal(r.host.len, 0);
    assert_int_equal(sl_register_slave_parse(full, sizeof full, &r), SL_OK);
    assert_int_equal(r.server_id, 9);
    assert_true(sl_slice_equal(r.host, sl_slice_text("hh")));
    assert_int_equal(r.port, 3306);
    assert_int_equal(r.master_id, 5);
    for (size_t i = 0; i < sizeof full; i++) {
        assert_int_equal(sl_register_slave_parse(full, i, &r), SL_EPROTO);
    }
    struct sl_buf out = SL_BUF_INIT;
    assert_int_equal(sl_register_slave_build(&out, 2, "", 0xf51), SL_OK);
    expect_bytes(&out, wire, sizeof wire);
    sl_buf_clear(&out);
    assert_int_equal(sl_register_slave_build(&out, 2, "relay", 4008), SL_OK);
    assert_int_equal(sl_register_slave_parse(out.data + 1, sl_buf_len(&out) - 1, &r), SL_OK);
    assert_true(sl_slice_equal(r.host, sl_slice_text("relay")));
    assert_int_equal(r.port, 4008);
    sl_buf_free(&out);
}

static void test_binlog_dump(void **state)
{
    static const uint8_t wire[] = {0x12, 0xa2, 0x23, 0x31, 1,   2,   0,   2,   0,   0,   0,
                                   'p',  'b',  'i',  'n',  '.', '0', '0', '0', '0', '0', '2'};
    struct sl_binlog_dump d;
    struct sl_buf out = SL_BUF_INIT;
    assert_int_equal(
        sl_binlog_dump_build(&out, 2, 0x013123a2, SL_DUMP_ANNOTATE_ROWS, "pbin.000002"), SL_OK);
    expect_bytes(&out, wire, sizeof wire);
    assert_int_equal(sl_binlog_dump_parse(wire + 1, sizeof wire - 1, &d), SL_OK);
    assert_int_equal(d.position, 0x013123a2);
    assert_int_equal(d.flags, SL_DUMP_ANNOTATE_ROWS);
    assert_int_equal(d.server_id, 2);
    assert_true(sl_slice_equal(d.file, sl_slice_text("pbin.000002")));
    assert_int_equal(sl_binlog_dump_parse(wire + 1, 10, &d), SL_OK);
    assert_int_equal(d.file.len, 0);
    assert_int_equal(sl_binlog_dump_parse(wire + 1, 9, &d), SL_EPROTO);
    uint8_t room[10 + 300];
    memset(room, 'x', sizeof room);
    assert_int_equal(sl_binlog_dump_parse(room, 10 + 255, &d), SL_OK);
    assert_int_equal(sl_binlog_dump_parse(room, 10 + 256, &d), SL_EPROTO);
    room[12] = '\0'; /* a client that ends the name */
    assert_int_equal(sl_binlog_dump_parse(room, sizeof room, &d), SL_OK);
    assert_int_equal(d.file.len, 2);
    sl_buf_free(&out);
}

static void test_semi_sync_ack(void **state)
{
    static const uint8_t wire[] = {0xef, 0x87, 0x33, 0x31, 1,   0,   0,   0,   0,   'p',
                                   'b',  'i',  'n',  '.',  '0', '0', '0', '0', '0', '2'};
    struct sl_semi_sync_ack a;
    struct sl_buf out = SL_BUF_INIT;
    assert_int_equal(sl_semi_sync_ack_build(&out, 0x01313387, "pbin.000002"), SL_OK);
    expect_bytes(&out, wire, sizeof wire);
    assert_int_equal(sl_semi_sync_ack_parse(wire, sizeof wire, &a), SL_OK);
    assert_int_equal(a.position, 0x01313387);
    assert_true(sl_slice_equal(a.file, sl_slice_text("pbin.000002")));
    assert_int_equal(sl_semi_sync_ack_parse(wire, 9, &a), SL_EPROTO);
    assert_int_equal(sl_semi_sync_ack_parse(wire + 1, sizeof wire - 1, &a), SL_EPROTO);
    sl_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_type_text),
        cmocka_unit_test(test_crc_of_wire),
        cmocka_unit_test(test_set_pos),
        cmocka_unit_test(test_fde),
        cmocka_unit_test(test_fde_bad),
        cmocka_unit_test(test_gtid_event),
        cmocka_unit_test(test_rotate),
        cmocka_unit_test(test_gtid_list_event),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_build_like_server),
        cmocka_unit_test(test_build_gtid_list),
        cmocka_unit_test(test_start_encryption),
        cmocka_unit_test(test_build_no_memory),
        cmocka_unit_test(test_register_slave),
        cmocka_unit_test(test_binlog_dump),
        cmocka_unit_test(test_semi_sync_ack),
    };
    return cmocka_run_group_tests_name("repl_event", tests, NULL, NULL);
}
