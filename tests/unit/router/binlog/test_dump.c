/* SPDX-License-Identifier: Apache-2.0 */
/* What a replica gets: where it starts, what is left out, files, heartbeats, semi-sync, the end. */
#include "relay_world.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

static struct world w;

static int up(void **state)
{
    world_up(&w);
    return 0;
}

static int down(void **state)
{
    world_down(&w);
    return 0;
}

static uint32_t created_of(const struct event *e)
{
    return sl_get_le32(e->data + SL_EVENT_HEADER + 2 + 50);
}

/* An artificial GTID_LIST with that content. */
static void expect_list(struct replica *r, const char *content, uint32_t flags, uint32_t log_pos)
{
    struct event e = replica_expect(r, SL_EVENT_GTID_LIST);
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_buf text = SL_BUF_INIT;
    assert_int_equal(e.h.flags, SL_EVENT_FLAG_ARTIFICIAL);
    assert_int_equal(e.h.timestamp, 0);
    assert_true(sl_event_crc_is_right(e.data, e.len));
    assert_int_equal(sl_get_le32(e.data + SL_EVENT_HEADER) & 0xf0000000u, flags);
    assert_int_equal(sl_gtid_list_event_parse(e.data, e.len, true, &list), SL_OK);
    assert_int_equal(sl_gtid_list_text(&list, &text), SL_OK);
    assert_int_equal(sl_buf_append(&text, "", 1), SL_OK);
    assert_string_equal((const char *)sl_buf_slice(&text).data, content);
    if (log_pos != 0) {
        assert_int_equal(e.h.log_pos, log_pos);
    }
    sl_buf_free(&text);
    sl_gtid_list_free(&list);
}

static void test_from_the_beginning(void **state)
{
    world_file(&w, true, 1234);
    world_group(&w, "7-1-1", 1, 100);
    world_group(&w, "7-1-2", 3, 1000);
    world_commit(&w);
    w.says.connect_state = "";
    struct replica r;
    replica_start(&w, &r, 2);
    struct event e = replica_expect(&r, SL_EVENT_ROTATE);
    e = replica_expect(&r, SL_EVENT_FORMAT_DESCRIPTION);
    assert_int_equal(created_of(&e), 1234);
    assert_int_equal(e.h.log_pos, 4 + e.len);
    e = replica_expect(&r, SL_EVENT_GTID_LIST);
    assert_int_equal(e.h.flags, 0);
    assert_int_equal(replica_expect_group(&r, "7-1-1"), 1);
    assert_int_equal(replica_expect_group(&r, "7-1-2"), 3);
    assert_true(replica_is_quiet(&r, 20));
    /* more groups than sequence numbers, one commit each */
    for (unsigned i = 3; i < 300; i++) {
        char gtid[32];
        snprintf(gtid, sizeof gtid, "7-1-%u", i);
        world_group(&w, gtid, 1, 10);
        world_commit(&w);
        assert_int_equal(replica_expect_group(&r, gtid), 1);
    }
    replica_close(&r);
}

static void test_position(void **state)
{
    world_file(&w, true, 1234);
    for (unsigned i = 1; i <= 3; i++) {
        char gtid[2][32];
        snprintf(gtid[0], sizeof gtid[0], "7-1-%u", i);
        snprintf(gtid[1], sizeof gtid[1], "9-4-%u", i);
        world_group(&w, gtid[0], 1, 100);
        world_ddl(&w, gtid[1], 50);
    }
    world_commit(&w);
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t end;
    assert_true(sl_store_tail(w.store, name, &end));
    w.says.connect_state = "9-4-3,7-1-2";
    struct replica r;
    replica_start(&w, &r, 2);
    replica_expect(&r, SL_EVENT_ROTATE);
    struct event e = replica_expect(&r, SL_EVENT_FORMAT_DESCRIPTION);
    assert_int_equal(created_of(&e), 0); /* temporary tables stay */
    assert_int_equal(e.h.log_pos, 4 + e.len);
    assert_true(sl_event_crc_is_right(e.data, e.len));
    replica_expect(&r, SL_EVENT_GTID_LIST);
    expect_list(&r, "7-1-2,9-4-1", 0, 0);
    replica_expect_group(&r, "7-1-3");
    expect_list(&r, "7-1-3,9-4-3", 0, (uint32_t)end);
    assert_true(replica_is_quiet(&r, 20));
    world_ddl(&w, "9-4-4", 10);
    world_commit(&w);
    replica_expect_group(&r, "9-4-4");
    replica_close(&r);
}

/* Far into a file: the index jumps, the stream is the same. */
static void test_position_in_a_long_file(void **state)
{
    world_file(&w, true, 0);
    char gtid[32];
    for (unsigned i = 1; i <= 2000; i++) {
        snprintf(gtid, sizeof gtid, "7-1-%u", i);
        world_group(&w, gtid, 2, 500);
    }
    world_ddl(&w, "9-1-1", 10);
    world_commit(&w);
    static const unsigned positions[] = {1, 500, 1000, 1001, 1002, 1999, 2000};
    w.says.strict = true;
    for (unsigned k = 0; k < 7; k++) {
        char position[32], list[48];
        snprintf(position, sizeof position, "7-1-%u", positions[k]);
        w.says.connect_state = position;
        struct replica r;
        replica_start(&w, &r, 2);
        replica_expect_start(&r, "pbin.000001");
        snprintf(list, sizeof list, "7-1-%u", positions[k]);
        expect_list(&r, list, 0, 0);
        for (unsigned i = positions[k] + 1; i <= 2000; i++) {
            snprintf(gtid, sizeof gtid, "7-1-%u", i);
            assert_int_equal(replica_expect_group(&r, gtid), 2);
        }
        replica_expect_group(&r, "9-1-1");
        assert_true(replica_is_quiet(&r, 5));
        replica_close(&r);
    }
}

static void test_left_out(void **state)
{
    world_file(&w, true, 0);
    world_group(&w, "7-1-1", 1, 100);
    world_group_flagged(&w, "7-1-2", SL_EVENT_FLAG_SKIP_REPLICATION);
    world_group(&w, "7-1-3", 1, 100);
    world_commit(&w);
    w.says.connect_state = "";
    w.says.skip_replication = true;
    struct replica r;
    replica_open(&w, &r);
    replica_dump(&r, "", 4, 0, 2);
    replica_expect_start(&r, "pbin.000001");
    for (unsigned i = 0; i < 2; i++) {
        replica_expect(&r, SL_EVENT_GTID);
        replica_expect(&r, SL_EVENT_TABLE_MAP); /* no ANNOTATE_ROWS: it was not asked for */
        replica_expect(&r, SL_EVENT_WRITE_ROWS);
        replica_expect(&r, SL_EVENT_XID);
    }
    assert_true(replica_is_quiet(&r, 20));
    replica_close(&r);
}

static void expect_next_file(struct replica *r, const char *file)
{
    struct event e = replica_expect(r, SL_EVENT_ROTATE);
    assert_int_equal(e.h.flags, 0);
    replica_expect_start(r, file);
}

static void test_files(void **state)
{
    world_file(&w, true, 0);
    world_group(&w, "7-1-1", 1, 100);
    world_file(&w, true, 0);
    world_group(&w, "7-1-2", 1, 100);
    world_commit(&w);
    w.says.connect_state = "";
    struct replica r;
    replica_start(&w, &r, 2);
    replica_expect_start(&r, "pbin.000001");
    replica_expect_group(&r, "7-1-1");
    expect_next_file(&r, "pbin.000002");
    replica_expect_group(&r, "7-1-2");
    world_file(&w, true, 0);
    expect_next_file(&r, "pbin.000003");
    replica_close(&r);
    /* at a file's border nothing of it is skipped */
    w.says.connect_state = "7-1-1";
    replica_start(&w, &r, 2);
    replica_expect_start(&r, "pbin.000002");
    replica_expect_group(&r, "7-1-2");
    replica_close(&r);
}

/* A file without checksums: the fake ROTATE behind it has none, the next description's rule. */
static void test_checksums_change(void **state)
{
    world_file(&w, false, 0);
    world_group(&w, "7-1-1", 1, 100);
    world_file(&w, true, 0);
    w.says.connect_state = "";
    w.says.checksum_none = true;
    struct replica r;
    replica_start(&w, &r, 2);
    struct event e = replica_expect(&r, SL_EVENT_ROTATE);
    assert_int_equal(e.len, SL_EVENT_HEADER + 8 + strlen("pbin.000001"));
    e = replica_expect(&r, SL_EVENT_FORMAT_DESCRIPTION);
    assert_true(sl_event_crc_is_right(e.data, e.len));
    replica_expect(&r, SL_EVENT_GTID_LIST);
    replica_expect(&r, SL_EVENT_GTID);
    replica_expect(&r, SL_EVENT_ANNOTATE_ROWS);
    replica_expect(&r, SL_EVENT_TABLE_MAP);
    replica_expect(&r, SL_EVENT_WRITE_ROWS);
    replica_expect(&r, SL_EVENT_XID);
    replica_expect(&r, SL_EVENT_ROTATE);
    e = replica_expect(&r, SL_EVENT_ROTATE);
    assert_int_equal(e.h.flags, SL_EVENT_FLAG_ARTIFICIAL);
    assert_int_equal(e.len, SL_EVENT_HEADER + 8 + strlen("pbin.000002"));
    replica_expect(&r, SL_EVENT_FORMAT_DESCRIPTION);
    e = replica_expect(&r, SL_EVENT_GTID_LIST);
    assert_true(sl_event_crc_is_right(e.data, e.len));
    replica_close(&r);
}

static void test_non_block(void **state)
{
    world_file(&w, true, 0);
    world_group(&w, "7-1-1", 1, 100);
    world_commit(&w);
    w.says.connect_state = "";
    struct replica r;
    replica_open(&w, &r);
    for (unsigned i = 0; i < 2; i++) { /* the session goes on with commands */
        replica_dump(&r, "", 4, SL_DUMP_NON_BLOCK | SL_DUMP_ANNOTATE_ROWS, 0);
        replica_expect_start(&r, "pbin.000001");
        replica_expect_group(&r, "7-1-1");
        replica_expect_eof(&r);
    }
    replica_close(&r);
}

static void test_until(void **state)
{
    world_file(&w, true, 0);
    for (unsigned i = 1; i < 6; i++) {
        char gtid[32];
        snprintf(gtid, sizeof gtid, "7-1-%u", i);
        world_group(&w, gtid, 1, 100);
    }
    world_commit(&w);
    w.says.connect_state = "7-1-1";
    w.says.until = "7-1-3";
    struct replica r;
    replica_start(&w, &r, 2);
    replica_expect_start(&r, "pbin.000001");
    expect_list(&r, "7-1-1", 0, 0);
    replica_expect_group(&r, "7-1-2");
    replica_expect_group(&r, "7-1-3");
    expect_list(&r, "7-1-3", SL_GTID_LIST_UNTIL_REACHED, 0);
    replica_expect_eof(&r);
    replica_close(&r);
    /* It is further than that, or somewhere else: there is nothing to wait for or to refuse. */
    static const char *const beyond[] = {"7-1-9", "7-8-2"};
    for (unsigned i = 0; i < 2; i++) {
        w.says.connect_state = beyond[i];
        replica_start(&w, &r, 2);
        replica_expect_start(&r, "pbin.000001"); /* the list says that the end is reached */
        replica_expect_eof(&r);
        replica_close(&r);
    }
    w.says.connect_state = "7-1-8";
    w.says.until = "7-1-9"; /* which is ahead too: it waits */
    replica_start(&w, &r, 2);
    assert_true(replica_is_quiet(&r, 5));
    replica_close(&r);
}

static void test_file_and_position(void **state)
{
    world_file(&w, true, 77);
    world_group(&w, "7-1-1", 1, 100);
    world_commit(&w);
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t middle;
    assert_true(sl_store_tail(w.store, name, &middle));
    world_group(&w, "7-1-2", 1, 100);
    world_commit(&w);
    struct replica r;
    replica_open(&w, &r);
    replica_dump(&r, "pbin.000001", (uint32_t)middle, SL_DUMP_ANNOTATE_ROWS, 2);
    struct event e = replica_expect(&r, SL_EVENT_ROTATE);
    assert_int_equal(sl_get_le64(e.data + SL_EVENT_HEADER), middle);
    e = replica_expect(&r, SL_EVENT_FORMAT_DESCRIPTION);
    assert_int_equal(created_of(&e), 0);
    assert_int_equal(e.h.log_pos, 0);
    assert_true(sl_event_crc_is_right(e.data, e.len));
    replica_expect_group(&r, "7-1-2");
    replica_close(&r);
    /* from the oldest file's beginning */
    replica_open(&w, &r);
    replica_dump(&r, "", 4, SL_DUMP_ANNOTATE_ROWS, 2);
    replica_expect(&r, SL_EVENT_ROTATE);
    e = replica_expect(&r, SL_EVENT_FORMAT_DESCRIPTION);
    assert_int_equal(created_of(&e), 77);
    replica_expect(&r, SL_EVENT_GTID_LIST);
    replica_expect_group(&r, "7-1-1");
    replica_expect_group(&r, "7-1-2");
    replica_close(&r);
}

static void test_heartbeats(void **state)
{
    world_file(&w, true, 0);
    world_group(&w, "7-1-1", 1, 100);
    world_commit(&w);
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t end;
    assert_true(sl_store_tail(w.store, name, &end));
    w.says.connect_state = "";
    w.says.heartbeat_ns = 20 * 1000 * 1000;
    struct replica r;
    replica_start(&w, &r, 2);
    replica_expect_start(&r, "pbin.000001");
    replica_expect_group(&r, "7-1-1");
    for (unsigned i = 0; i < 5; i++) {
        struct event e = replica_expect(&r, SL_EVENT_HEARTBEAT);
        assert_int_equal(e.h.log_pos, end);
        assert_int_equal(e.h.flags, 0);
        assert_int_equal(e.h.timestamp, 0);
        assert_memory_equal(e.data + SL_EVENT_HEADER, "pbin.000001", 11);
        assert_true(sl_event_crc_is_right(e.data, e.len));
    }
    replica_close(&r);
}

static void acknowledge(struct replica *r, const char *bytes, size_t len)
{
    uint8_t packet[64] = {(uint8_t)len, 0, 0, 0};
    memcpy(packet + 4, bytes, len);
    assert_int_equal(send(r->fd, packet, 4 + len, MSG_NOSIGNAL), 4 + len);
}

static struct sl_replica_info info_of(uint32_t server_id)
{
    struct sl_replica_info *all, found = {0};
    unsigned count;
    assert_int_equal(sl_replicas_list(w.relay->replicas, &all, &count), SL_OK);
    for (unsigned i = 0; i < count; i++) {
        found = all[i].server_id == server_id ? all[i] : found;
    }
    sl_free(all);
    return found;
}

static void test_semi_sync(void **state)
{
    world_file(&w, true, 0);
    w.says.connect_state = "";
    w.says.semi_sync = true;
    struct replica r;
    replica_start(&w, &r, 2);
    replica_expect_start(&r, "pbin.000001");
    world_group(&w, "7-1-1", 1, 100);
    world_commit(&w);
    static const uint8_t types[] = {SL_EVENT_GTID, SL_EVENT_ANNOTATE_ROWS, SL_EVENT_TABLE_MAP,
                                    SL_EVENT_WRITE_ROWS, SL_EVENT_XID};
    for (unsigned i = 0; i < 5; i++) { /* semi-sync is off here: the bytes are there all the same */
        assert_int_equal(replica_expect(&r, types[i]).ack, 0);
    }
    atomic_store(&w.relay->semi_sync_to_replicas, true);
    world_group(&w, "7-1-2", 1, 100);
    world_ddl(&w, "7-1-3", 10);
    world_ddl(&w, "7-1-4", 20000000);
    world_commit(&w);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(replica_expect(&r, types[i]).ack, types[i] == SL_EVENT_XID);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(replica_expect(&r, SL_EVENT_GTID).ack, 0);
        assert_int_equal(replica_expect(&r, SL_EVENT_QUERY).ack, 1);
    }
    world_group(&w, "7-1-5", 1, 10);
    world_commit(&w);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(replica_expect(&r, types[i]).ack, types[i] == SL_EVENT_XID);
    }
    acknowledge(&r, "\xef\1\0\0\0\0\0\0\0pbin.000001", 20);
    acknowledge(&r, "\xef\2\0\0\0\0\0\0\0pbin.000001", 20);
    WORLD_WAIT(info_of(2).acked_groups >= 2);
    assert_int_equal(info_of(2).acked_groups, 2);
    assert_true(info_of(2).is_semi_sync);
    acknowledge(&r, "\x03select 1", 9); /* that is none */
    struct sl_slice p;
    assert_false(replica_packet(&r, &p));
    replica_close(&r);
}

static void test_shutdown_says_eof(void **state)
{
    world_file(&w, true, 0);
    w.says.connect_state = "";
    struct replica r;
    replica_start(&w, &r, 2);
    replica_expect_start(&r, "pbin.000001");
    for (unsigned i = 0; i < w.core->worker_count; i++) {
        sl_worker_request_stop(&w.core->workers[i]);
    }
    replica_expect_eof(&r);
    struct sl_slice p;
    assert_false(replica_packet(&r, &p));
    replica_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_from_the_beginning, up, down),
        cmocka_unit_test_setup_teardown(test_position, up, down),
        cmocka_unit_test_setup_teardown(test_position_in_a_long_file, up, down),
        cmocka_unit_test_setup_teardown(test_left_out, up, down),
        cmocka_unit_test_setup_teardown(test_files, up, down),
        cmocka_unit_test_setup_teardown(test_checksums_change, up, down),
        cmocka_unit_test_setup_teardown(test_non_block, up, down),
        cmocka_unit_test_setup_teardown(test_until, up, down),
        cmocka_unit_test_setup_teardown(test_file_and_position, up, down),
        cmocka_unit_test_setup_teardown(test_heartbeats, up, down),
        cmocka_unit_test_setup_teardown(test_semi_sync, up, down),
        cmocka_unit_test_setup_teardown(test_shutdown_says_eof, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
