/* SPDX-License-Identifier: Apache-2.0 */
/* Events into the store: whole groups once, whatever comes. The store is one in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fake_store.h"
#include "primary_events.h"
#include "router/binlog/upstream_ingest.h"
#include "router/binlog/upstream_stream.h"

static struct sl_store *store;
static struct sl_ingest in;
static struct stream s;
static struct sl_err err;

static void begin(bool has_crc)
{
    assert_int_equal(sl_ingest_start(&in, false), SL_OK);
    sl_ingest_begin(&in, has_crc);
}

static int setup(void **state)
{
    store = fake_store_new();
    sl_ingest_init(&in, store);
    s = (struct stream){.bytes = SL_BUF_INIT, .has_crc = true, .pos = 4};
    begin(true);
    stream_rotate(&s, "pbin.000003");
    stream_fde(&s);
    return 0;
}

static int teardown(void **state)
{
    sl_ingest_free(&in);
    stream_free(&s);
    fake_store_free(store);
    return 0;
}

/* A copy, since the store changes it; the same one if it was not taken. */
static int feed(unsigned i)
{
    static uint8_t event[4096];
    if (!in.is_offered) {
        memcpy(event, stream_event(&s, i), s.len[i]);
    }
    return sl_ingest_event(&in, event, (uint32_t)s.len[i], false, &err);
}

static void feed_all(void)
{
    for (unsigned i = 0; i < s.count; i++) {
        assert_int_equal(feed(i), SL_OK);
    }
}

static void commit(void)
{
    uint64_t us;
    assert_int_equal(sl_store_commit(store, &us, &err), SL_OK);
}

static void test_groups(void **state)
{
    stream_transaction(&s, 7, 1, 100);
    stream_ddl(&s, 7, 2);
    stream_transaction(&s, 9, 1, 10);
    stream_heartbeat(&s, "pbin.000003");
    feed_all();
    commit();
    assert_int_equal(store->files, 1);
    assert_string_equal(store->base, "pbin");
    assert_int_equal(store->published_count, 3);
    assert_int_equal(store->published[0].events, 4);
    assert_int_equal(store->published[1].events, 2);
    assert_int_equal(store->published[2].gtid.domain, 9);
    assert_int_equal(in.groups, 3);
    assert_int_equal(in.heartbeats, 1);
    assert_string_equal(in.file, "pbin.000003");
    assert_int_equal(in.pos, s.pos);
    assert_int_equal(in.server_id, 1);
    assert_int_equal(in.domains_new, 0); /* the log was empty */
}

/* The primary's own bookkeeping is not stored, and does not disturb a group. */
static void test_left_out(void **state)
{
    stream_gtid(&s, 7, 1, SL_GTID_TRANSACTIONAL);
    uint32_t pos = s.pos;
    stream_add(&s, SL_EVENT_GTID_LIST, SL_EVENT_FLAG_ARTIFICIAL, "\0\0\0\0\0\0", 6, false);
    s.pos = pos;
    stream_add(&s, SL_EVENT_WRITE_ROWS, 0, "123456", 6, true);
    stream_add(&s, SL_EVENT_XID, 0, "87654321", 8, true);
    stream_add(&s, SL_EVENT_BINLOG_CHECKPOINT, 0, "\0\0\0\0", 4, true);
    stream_add(&s, SL_EVENT_STOP, 0, "", 0, true);
    feed_all();
    commit();
    assert_int_equal(store->published_count, 1);
    assert_int_equal(store->published[0].events, 3);
    assert_int_equal(in.pos, s.pos);
}

static void test_rotate(void **state)
{
    uint8_t body[] = {4, 0, 0, 0, 0, 0, 0, 0, 'p', 'b', 'i', 'n', '.', '0', '0', '4'};
    stream_transaction(&s, 7, 1, 10);
    stream_add(&s, SL_EVENT_ROTATE, 0, body, sizeof(body), true);
    stream_rotate(&s, "pbin.004");
    stream_fde(&s);
    stream_transaction(&s, 7, 2, 10);
    feed_all();
    commit();
    assert_int_equal(store->files, 2);
    assert_int_equal(store->published_count, 2);
    assert_string_equal(in.file, "pbin.004");
}

/* A primary that crashed inside of a group goes on in the next file. */
static void test_cut_by_file(void **state)
{
    stream_transaction(&s, 7, 1, 10);
    stream_gtid(&s, 7, 2, SL_GTID_TRANSACTIONAL);
    stream_add(&s, SL_EVENT_TABLE_MAP, 0, "12345678", 8, true);
    stream_rotate(&s, "pbin.000004");
    stream_fde(&s);
    stream_transaction(&s, 7, 2, 10);
    feed_all();
    commit();
    assert_int_equal(store->abandoned, 1);
    assert_int_equal(store->published_count, 2);
    assert_int_equal(store->published[1].events, 4);
}

static void expect_broken(unsigned i, const char *part)
{
    for (unsigned k = 0; k < i; k++) {
        assert_int_equal(feed(k), SL_OK);
    }
    assert_int_equal(feed(i), SL_EPROTO);
    assert_non_null(strstr(err.text, part));
    commit();
    sl_ingest_end(&in);
    assert_false(store->is_in_group);
}

static void test_gtid_in_group(void **state)
{
    stream_transaction(&s, 7, 1, 10);
    stream_gtid(&s, 7, 2, SL_GTID_TRANSACTIONAL);
    stream_gtid(&s, 7, 3, SL_GTID_TRANSACTIONAL);
    expect_broken(s.count - 1, "not complete");
    assert_int_equal(store->published_count, 1);
}

static void test_no_group(void **state)
{
    stream_add(&s, SL_EVENT_XID, 0, "87654321", 8, true);
    expect_broken(s.count - 1, "belongs to no group");
}

static void test_no_fde(void **state)
{
    s.count = 1;
    s.pos = 4;
    stream_transaction(&s, 7, 1, 10);
    expect_broken(1, "FORMAT_DESCRIPTION");
}

/* One event of a group is missing: positions tell. */
static void test_hole(void **state)
{
    stream_transaction(&s, 7, 1, 10);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(feed(i), SL_OK);
    }
    assert_int_equal(feed(5), SL_EPROTO);
    assert_non_null(strstr(err.text, "missing"));
    sl_ingest_end(&in);
    commit();
    assert_int_equal(store->published_count, 0);
}

static void test_order(void **state)
{
    stream_transaction(&s, 7, 1, 10);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(feed(i), SL_OK);
    }
    assert_int_equal(feed(4), SL_EPROTO);
}

/* Each bit of each event of a group is guarded by the checksum, or by the header. */
static void test_damage(void **state)
{
    stream_transaction(&s, 7, 1, 40);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(feed(i), SL_OK);
    }
    for (unsigned i = 2; i < s.count; i++) {
        for (size_t k = 0; k < s.len[i]; k++) {
            uint8_t *event = stream_event(&s, i);
            event[k] ^= 0x10;
            assert_int_equal(feed(i), SL_EPROTO);
            event[k] ^= 0x10;
        }
        assert_int_equal(feed(i), SL_OK);
    }
    commit();
    assert_int_equal(store->published_count, 1);
}

static void test_short(void **state)
{
    uint8_t event[10] = {0};
    assert_int_equal(sl_ingest_event(&in, event, sizeof(event), false, &err), SL_EPROTO);
    assert_int_equal(sl_ingest_event(&in, stream_event(&s, 0), (uint32_t)s.len[0] - 1, false, &err),
                     SL_EPROTO);
}

static void test_no_checksums(void **state)
{
    stream_free(&s);
    s = (struct stream){.bytes = SL_BUF_INIT, .has_crc = false, .pos = 4};
    begin(false);
    stream_rotate(&s, "pbin.000001");
    stream_fde(&s);
    stream_transaction(&s, 7, 1, 10);
    feed_all();
    commit();
    assert_int_equal(store->published_count, 1);
}

/* A crashed Galera node logs groups a second time. */
static void test_twice(void **state)
{
    stream_transaction(&s, 7, 1, 10);
    stream_transaction(&s, 7, 2, 10);
    stream_transaction(&s, 7, 1, 10);
    stream_transaction(&s, 7, 2, 10);
    stream_transaction(&s, 7, 3, 10);
    feed_all();
    commit();
    assert_int_equal(store->published_count, 3);
    assert_int_equal(in.groups_dropped, 2);
    /* The next connection knows it, too. */
    begin(true);
    feed_all();
    commit();
    assert_int_equal(store->published_count, 3);
    assert_int_equal(in.groups_dropped, 7);
}

static void set_time(unsigned first, uint32_t timestamp)
{
    for (unsigned i = first; i < s.count; i++) {
        sl_put_le32(stream_event(&s, i), timestamp);
        sl_event_crc_put(stream_event(&s, i), (uint32_t)s.len[i]);
    }
}

/* Feeds what comes from event `first` on, which is of that time. */
static void feed_at(unsigned first, uint32_t timestamp)
{
    set_time(first, timestamp);
    for (unsigned i = first; i < s.count; i++) {
        assert_int_equal(feed(i), SL_OK);
    }
}

/* The log tells which groups are repeats, whatever clocks say. */
static void test_repeats_of_other_clocks(void **state)
{
    sl_going_back_begin(&in.back, 0);
    stream_transaction(&s, 7, 1, 10);
    feed_all();
    unsigned first = s.count;
    stream_transaction(&s, 7, 2, 10);
    feed_at(first, 1700003600); /* written by a node whose clock is an hour ahead */
    first = s.count;
    stream_transaction(&s, 7, 3, 10);
    feed_at(first, 1700000100);
    commit();
    /* Started anew: what was stored before is not known any more but from the log. */
    in.back = (struct sl_going_back){0};
    begin(true);
    sl_going_back_begin(&in.back, 1700000200);
    assert_int_equal(feed(0), SL_OK);
    assert_int_equal(feed(1), SL_OK);
    for (unsigned i = 2; i < s.count; i++) {
        assert_int_equal(feed(i), SL_OK);
    }
    assert_string_equal(in.back.text, "");
    assert_true(in.back.is_told);
    assert_int_equal(store->times, 2); /* of the first, and of the one that is ahead */
    assert_int_equal(in.groups_dropped, 3);
    /* GTID and XID may have another time than the first ones: COMMIT came later there. */
    begin(true);
    sl_going_back_begin(&in.back, 1700000200);
    in.back.is_told = false;
    assert_int_equal(feed(0), SL_OK);
    assert_int_equal(feed(1), SL_OK);
    set_time(s.count - 1, 1700000101);
    uint8_t *gtid = stream_event(&s, s.count - 4);
    sl_put_le32(gtid, 1700000101);
    sl_event_crc_put(gtid, (uint32_t)s.len[s.count - 4]);
    for (unsigned i = s.count - 4; i < s.count; i++) {
        assert_int_equal(feed(i), SL_OK);
    }
    assert_string_equal(in.back.text, "");
    assert_true(in.back.is_told);
}

/* A clock that was set back does not hide that numbers are given away again. */
static void test_anew_with_older_clock(void **state)
{
    sl_going_back_begin(&in.back, 0);
    stream_transaction(&s, 7, 1, 10);
    stream_transaction(&s, 7, 2, 10);
    feed_all();
    commit();
    unsigned first = s.count;
    stream_transaction(&s, 7, 1, 10);
    feed_at(first, 1600000000);
    assert_non_null(strstr(in.back.text, "writes 7-1-1 anew"));
    first = s.count;
    stream_transaction(&s, 7, 2, 10);
    feed_at(first, 1600000001);
    assert_int_equal(store->times, 1); /* told is told */
    assert_int_equal(in.groups_dropped, 2);
}

/* A group that cannot be found is a repeat unless it is younger than everything. */
static void test_log_does_not_tell(void **state)
{
    sl_going_back_begin(&in.back, 1700000000);
    stream_transaction(&s, 7, 1, 10);
    feed_all();
    commit();
    store->time_rc = SL_ESYS;
    unsigned first = s.count;
    stream_transaction(&s, 7, 1, 10);
    feed_at(first, 1700000000);
    assert_string_equal(in.back.text, "");
    first = s.count;
    stream_transaction(&s, 7, 1, 10);
    feed_at(first, 1700000001);
    assert_non_null(strstr(in.back.text, "writes 7-1-1 anew"));
}

/* What a repeat is not: younger than all of the log. */
static void test_numbers_go_back(void **state)
{
    sl_going_back_begin(&in.back, 0);
    stream_transaction(&s, 7, 1, 10);
    stream_transaction(&s, 7, 2, 10);
    stream_transaction(&s, 7, 3, 10);
    stream_transaction(&s, 7, 1, 10); /* as old as the first time */
    feed_all();
    assert_string_equal(in.back.text, "");
    assert_true(in.back.is_told);
    unsigned first = s.count;
    stream_transaction(&s, 7, 2, 10);
    set_time(first, 1700000001);
    for (unsigned i = first; i < s.count; i++) {
        assert_int_equal(feed(i), SL_OK);
    }
    assert_non_null(strstr(in.back.text, "domain 7 went back: the log has 7-1-3, "));
    assert_non_null(strstr(in.back.text, "writes 7-1-2 anew"));
    commit();
    assert_int_equal(store->published_count, 3);
    assert_int_equal(in.groups_dropped, 2);
    /* A later one does not take its place, a later connection does not end it; START SLAVE does. */
    stream_transaction(&s, 7, 3, 10);
    set_time(s.count - 4, 1700000002);
    for (unsigned i = s.count - 4; i < s.count; i++) {
        assert_int_equal(feed(i), SL_OK);
    }
    assert_non_null(strstr(in.back.text, "writes 7-1-2 anew"));
    sl_going_back_begin(&in.back, 1700000003);
    assert_non_null(strstr(in.back.text, "writes 7-1-2 anew"));
    sl_going_back_forget(&in.back);
    /* Purged here, but older than the connection: a node that has come back repeats what it wrote before. */
    store->time_rc = SL_ENOENT;
    begin(true);
    for (unsigned i = s.count - 4; i < s.count; i++) {
        set_time(i, 1700000003);
    }
    assert_int_equal(feed(0), SL_OK);
    assert_int_equal(feed(1), SL_OK);
    for (unsigned i = s.count - 4; i < s.count; i++) {
        assert_int_equal(feed(i), SL_OK);
    }
    assert_string_equal(in.back.text, "");
    assert_true(in.back.is_told);
}

static bool look(struct sl_going_back *b, const void *server, const char *text)
{
    static uint64_t version;
    struct sl_gtid_set position;
    assert_int_equal(sl_gtid_set_parse(sl_slice_text(text), &position), SL_OK);
    version++;
    bool is_back = sl_going_back_look(b, server, "one", &position, version);
    assert_false(sl_going_back_look(b, server, "one", &position, version)); /* seen already */
    return is_back;
}

static void test_server_goes_back(void **state)
{
    struct sl_going_back b = {0};
    int one = 1, two = 2;
    assert_false(look(&b, &one, "7-1-5"));
    assert_false(look(&b, &one, "7-1-9,8-1-4"));
    assert_false(look(&b, &one, "7-1-9,8-2-3")); /* another server's number may be lower */
    assert_false(look(&b, &one, ""));            /* it does not answer */
    assert_false(look(&b, &one, "7-1-1"));       /* once is no proof */
    assert_false(look(&b, &one, "7-1-9"));
    assert_false(look(&b, &one, "7-1-1"));
    assert_true(look(&b, &one, "7-1-2"));
    assert_non_null(strstr(b.text, "domain 7 went back: server 'one' had 7-1-9, and has 7-1-2"));
    assert_false(look(&b, &one, "7-1-2"));
    /* set back while replication stood, by somebody who then started it */
    sl_going_back_forget(&b);
    assert_string_equal(b.text, "");
    assert_false(look(&b, &one, "7-1-1"));
    assert_false(look(&b, &one, "7-1-1"));
    assert_false(look(&b, &two, "7-1-1")); /* another server is just behind */
    assert_false(look(&b, &two, "7-1-1"));
    assert_false(look(&b, &two, "7-1-1"));
}

static void test_new_domain(void **state)
{
    stream_transaction(&s, 7, 1, 10);
    feed_all();
    commit();
    begin(true);
    stream_transaction(&s, 0, 1, 10);
    stream_transaction(&s, 0, 2, 10);
    feed_all();
    commit();
    assert_int_equal(in.domains_new, 1);
    assert_int_equal(store->published_count, 3);
}

static void test_ddl_only(void **state)
{
    in.ddl_only = true;
    stream_transaction(&s, 7, 1, 10);
    stream_ddl(&s, 7, 2);
    stream_transaction(&s, 7, 3, 10);
    feed_all();
    commit();
    assert_int_equal(store->published_count, 1);
    assert_int_equal(store->published[0].gtid.seq, 2);
    assert_int_equal(in.groups_left_out, 2);
    /* What was left out is not asked for again, until the relay starts anew. */
    assert_int_equal(sl_ingest_start(&in, true), SL_OK);
    assert_int_equal(sl_gtid_state_last(&in.state, 7)->seq, 3);
    assert_int_equal(sl_ingest_start(&in, false), SL_OK);
    assert_int_equal(sl_gtid_state_last(&in.state, 7)->seq, 2);
}

/* The disk is full at each event in turn: the same event comes again, nothing is lost or doubled. */
static void test_full_at_each(void **state)
{
    stream_transaction(&s, 7, 1, 10);
    stream_ddl(&s, 7, 2);
    stream_transaction(&s, 7, 2, 10); /* a double one */
    stream_transaction(&s, 7, 3, 10);
    store->add_once_rc = SL_ELIMIT;
    for (unsigned i = 0; i < s.count; i++) {
        store->fail_add_at = (int)store->adds + 1;
        store->add_rc =
            sl_event_type(stream_event(&s, i)) == SL_EVENT_FORMAT_DESCRIPTION ? SL_ELIMIT : 0;
        int rc = feed(i);
        store->add_rc = 0;
        while (rc == SL_ELIMIT) {
            rc = feed(i);
        }
        assert_int_equal(rc, SL_OK);
    }
    commit();
    assert_int_equal(store->published_count, 3);
    assert_int_equal(store->published[0].events, 4);
    assert_int_equal(store->published[1].events, 2);
    assert_int_equal(store->published[2].events, 4);
    assert_int_equal(store->files, 1);
    assert_int_equal(in.pos, s.pos);
}

static void test_ack(void **state)
{
    stream_transaction(&s, 7, 1, 10);
    for (unsigned i = 0; i < s.count; i++) {
        assert_false(in.has_ack);
        assert_int_equal(
            sl_ingest_event(&in, stream_event(&s, i), (uint32_t)s.len[i], i == s.count - 1, &err),
            SL_OK);
    }
    assert_true(in.has_ack);
    assert_int_equal(in.ack_pos, s.pos);
    assert_string_equal(in.ack_file, "pbin.000003");
}

/* Positions of 32 bits in a file of more. */
static void test_beyond_4g(void **state)
{
    stream_transaction(&s, 7, 1, 10);
    feed_all();
    in.pos = UINT64_C(0x1FFFFFF00);
    s.pos = 0xFFFFFF00;
    unsigned first = s.count;
    stream_transaction(&s, 7, 2, 300);
    for (unsigned i = first; i < s.count; i++) {
        assert_int_equal(feed(i), SL_OK);
    }
    assert_int_equal(in.pos, UINT64_C(0x200000000) + s.pos);
}

static void test_no_memory(void **state)
{
    stream_transaction(&s, 7, 1, 10);
    for (unsigned i = 0; i < s.count - 1; i++) {
        assert_int_equal(feed(i), SL_OK);
    }
    sl_mem_fail_after(1);
    assert_int_equal(feed(s.count - 1), SL_ENOMEM);
    sl_mem_fail_after(0);
    sl_ingest_end(&in);
}

/* Packets in two pieces, cut at `cut`; then nothing more comes. */
static void play(const struct sl_buf *wire, size_t cut, size_t end)
{
    struct sl_stream packets = {.part = SL_BUF_INIT};
    uint8_t *bytes = sl_malloc(end + 1);
    size_t at = 0, used;
    memcpy(bytes, wire->data + wire->start, end);
    sl_stream_start(&packets, false);
    while (at < end) {
        struct sl_stream_item item;
        size_t piece_end = at < cut ? cut : end;
        assert_int_equal(sl_stream_next(&packets, bytes + at, piece_end - at, &used, &item), SL_OK);
        at += used;
        if (item.kind == SL_STREAM_EVENT) {
            assert_int_equal(sl_ingest_event(&in, item.bytes, item.len, false, &err), SL_OK);
            sl_stream_taken(&packets);
        }
    }
    sl_stream_free(&packets);
    sl_free(bytes);
    commit();
    sl_ingest_end(&in);
}

/* The connection is lost at each byte; the next one sends all from the beginning, as a primary that
 * has no index might: every group is there once, whole. */
static void test_lost_at_each_byte(void **state)
{
    struct sl_buf wire = SL_BUF_INIT;
    for (unsigned i = 1; i <= 3; i++) {
        stream_transaction(&s, 7, i, 11);
        stream_ddl(&s, 9, i);
    }
    stream_packets(&s, 0, 1, &wire);
    size_t len = sl_buf_len(&wire);
    for (size_t cut = 0; cut <= len; cut++) {
        store->published_count = 0;
        sl_gtid_list_clear(&store->state);
        begin(true);
        play(&wire, cut, cut);
        assert_false(store->is_in_group);
        begin(true);
        play(&wire, cut, len);
        assert_int_equal(store->published_count, 6);
        for (unsigned i = 0; i < 6; i++) {
            assert_int_equal(store->published[i].gtid.seq, i / 2 + 1);
            assert_int_equal(store->published[i].events, i % 2 ? 2 : 4);
        }
    }
    sl_buf_free(&wire);
}

/* Complete groups wait for room when the connection ends: they are forgotten, and come again. */
static void test_full_and_again(void **state)
{
    stream_transaction(&s, 7, 1, 100);
    stream_ddl(&s, 7, 2);
    feed_all();
    uint64_t us;
    store->commit_rc = SL_ELIMIT;
    assert_int_equal(sl_store_commit(store, &us, &err), SL_ELIMIT);
    sl_ingest_end(&in);
    store->commit_rc = 0;
    begin(true);
    assert_int_equal(in.state.count, 0);
    feed_all();
    commit();
    assert_int_equal(store->published_count, 2);
    assert_int_equal(in.groups_dropped, 0);
}

/* What the store has lost is asked for again, also when groups that were left out are not. */
static void test_lost_with_ddl_only(void **state)
{
    stream_transaction(&s, 7, 1, 100);
    stream_ddl(&s, 7, 2);
    in.ddl_only = true;
    feed_all();
    uint64_t us;
    store->commit_rc = SL_ESYS;
    assert_int_equal(sl_store_commit(store, &us, &err), SL_ESYS);
    sl_ingest_end(&in);
    store->commit_rc = 0;
    assert_int_equal(sl_ingest_start(&in, true), SL_OK);
    sl_ingest_begin(&in, true);
    feed_all();
    commit();
    assert_int_equal(store->published_count, 1);
    assert_int_equal(store->published[0].gtid.seq, 2);
}

/* More GTIDs than a GTID_LIST may have are not taken: the files could not be read any more. */
static void test_too_many_servers(void **state)
{
    stream_transaction(&s, 7, 1, 100);
    assert_int_equal(feed(0), SL_OK);
    assert_int_equal(feed(1), SL_OK);
    for (uint32_t i = 0; i < SL_GTID_LIST_MAX; i++) {
        assert_int_equal(sl_gtid_state_add(&in.state, (struct sl_gtid){i, 1, 1}), SL_OK);
    }
    assert_int_equal(feed(2), SL_EPROTO);
    assert_non_null(strstr(err.text, "65536 pairs"));
    assert_int_equal(store->adds, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_groups),
        TEST(test_left_out),
        TEST(test_rotate),
        TEST(test_cut_by_file),
        TEST(test_gtid_in_group),
        TEST(test_no_group),
        TEST(test_no_fde),
        TEST(test_hole),
        TEST(test_order),
        TEST(test_damage),
        TEST(test_short),
        TEST(test_no_checksums),
        TEST(test_twice),
        TEST(test_new_domain),
        TEST(test_ddl_only),
        TEST(test_numbers_go_back),
        TEST(test_repeats_of_other_clocks),
        TEST(test_anew_with_older_clock),
        TEST(test_log_does_not_tell),
        TEST(test_server_goes_back),
        TEST(test_too_many_servers),
        TEST(test_full_at_each),
        TEST(test_full_and_again),
        TEST(test_lost_with_ddl_only),
        TEST(test_lost_at_each_byte),
        TEST(test_ack),
        TEST(test_beyond_4g),
        TEST(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
