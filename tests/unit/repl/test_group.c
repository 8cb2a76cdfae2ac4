/* SPDX-License-Identifier: Apache-2.0 */
/* Groups: where they begin and end, for each kind of group a server writes, and broken streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "events.h"
#include "repl/group.h"

static struct sl_group group;

static enum sl_group_step feed(const uint8_t *event, uint32_t len)
{
    enum sl_group_step step;
    assert_int_equal(sl_group_feed(&group, event, len, true, &step), SL_OK);
    return step;
}

static enum sl_group_step feed_gtid(uint64_t seq, uint8_t flags2)
{
    uint8_t event[64];
    return feed(event, make_gtid(event, 7, seq, flags2));
}

static enum sl_group_step feed_type(uint8_t type)
{
    uint8_t event[64];
    return feed(event, make_event(event, type, 0, "12345678", 8));
}

static enum sl_group_step feed_query(const char *sql)
{
    uint8_t event[600];
    return feed(event, make_query(event, false, sql, strlen(sql)));
}

static int reset(void **state)
{
    sl_group_reset(&group);
    return 0;
}

static void test_transaction(void **state)
{
    assert_int_equal(feed(wire_gtid, sizeof wire_gtid), SL_GROUP_BEGIN);
    assert_true(group.is_open);
    assert_int_equal(feed(wire_annotate, sizeof wire_annotate), SL_GROUP_INSIDE);
    assert_int_equal(feed(wire_table_map, sizeof wire_table_map), SL_GROUP_INSIDE);
    assert_int_equal(feed(wire_write_rows, sizeof wire_write_rows), SL_GROUP_INSIDE);
    assert_int_equal(feed(wire_xid, sizeof wire_xid), SL_GROUP_END);
    assert_false(group.is_open);
    assert_int_equal(group.events, 5);
    assert_int_equal(group.gtid.gtid.seq, 5);
    assert_int_equal(feed_gtid(6, SL_GTID_TRANSACTIONAL), SL_GROUP_BEGIN);
    assert_int_equal(group.events, 1);
    assert_int_equal(group.gtid.gtid.seq, 6);
}

static void test_transaction_ended_by_text(void **state)
{
    static const char *const ends[] = {"COMMIT", "commit", "ROLLBACK", "Rollback"};
    static const char *const others[] = {"BEGIN",
                                         "SAVEPOINT `a`",
                                         "ROLLBACK TO `a`",
                                         "COMMIT ",
                                         " COMMIT",
                                         "XA END X'78',X'',1",
                                         "COMMITS",
                                         "",
                                         "create table t(a int)"};
    for (size_t i = 0; i < SL_ARRAY_LEN(ends); i++) {
        assert_int_equal(feed_gtid(i + 1, 0), SL_GROUP_BEGIN);
        for (size_t k = 0; k < SL_ARRAY_LEN(others); k++) {
            assert_int_equal(feed_query(others[k]), SL_GROUP_INSIDE);
        }
        assert_int_equal(feed_query(ends[i]), SL_GROUP_END);
    }
}

/* As binlog_buf_compress() would pack them if they were long enough for it. */
static void test_compressed_end(void **state)
{
    static const uint8_t commit[] = {0x81, 6,    0x78, 0x9c, 0x73, 0xf6, 0xf7, 0xf5,
                                     0xf5, 0x0c, 0x01, 0x00, 0x06, 0x24, 0x01, 0xca};
    static const uint8_t wrong[] = {0x81, 6, 0x78, 0x9c, 0x73, 0xf6, 0xf7, 0xf5};
    uint8_t event[600];
    assert_int_equal(feed_gtid(1, 0), SL_GROUP_BEGIN);
    /* Long texts and other algorithms are not opened. */
    static const uint8_t other[] = {0x91, 6, 1, 2}, long_text[] = {0x82, 1, 0x39, 0x78};
    assert_int_equal(feed(event, make_query(event, true, other, sizeof other)), SL_GROUP_INSIDE);
    assert_int_equal(feed(event, make_query(event, true, long_text, sizeof long_text)),
                     SL_GROUP_INSIDE);
    enum sl_group_step step;
    uint32_t len = make_query(event, true, wrong, sizeof wrong);
    assert_int_equal(sl_group_feed(&group, event, len, true, &step), SL_EPROTO);
    len = make_query(event, true, wrong, 1);
    assert_int_equal(sl_group_feed(&group, event, len, true, &step), SL_EPROTO);
    len = make_query(event, true, wrong, 0);
    assert_int_equal(sl_group_feed(&group, event, len, true, &step), SL_EPROTO);
    assert_int_equal(group.events, 3);
    assert_int_equal(feed(event, make_query(event, true, commit, sizeof commit)), SL_GROUP_END);
}

static void test_standalone(void **state)
{
    assert_int_equal(feed_gtid(1, SL_GTID_STANDALONE | SL_GTID_DDL), SL_GROUP_BEGIN);
    assert_int_equal(feed_query("create table t(a int)"), SL_GROUP_END);
    static const uint8_t prefixes[] = {SL_EVENT_INTVAR,        SL_EVENT_RAND,
                                       SL_EVENT_USER_VAR,      SL_EVENT_TABLE_MAP,
                                       SL_EVENT_ANNOTATE_ROWS, SL_EVENT_BEGIN_LOAD_QUERY,
                                       SL_EVENT_APPEND_BLOCK};
    assert_int_equal(feed_gtid(2, SL_GTID_STANDALONE), SL_GROUP_BEGIN);
    for (size_t i = 0; i < SL_ARRAY_LEN(prefixes); i++) {
        assert_int_equal(feed_type(prefixes[i]), SL_GROUP_INSIDE);
    }
    assert_int_equal(feed_type(SL_EVENT_EXECUTE_LOAD_QUERY), SL_GROUP_END);
    assert_int_equal(group.events, 2 + SL_ARRAY_LEN(prefixes));
    assert_int_equal(feed_gtid(3, SL_GTID_STANDALONE | SL_GTID_COMPLETED_XA), SL_GROUP_BEGIN);
    assert_int_equal(feed_query("XA COMMIT X'78',X'',1"), SL_GROUP_END);
    /* Its text is not looked at. */
    uint8_t event[64];
    assert_int_equal(feed_gtid(4, SL_GTID_STANDALONE), SL_GROUP_BEGIN);
    assert_int_equal(feed(event, make_event(event, SL_EVENT_QUERY_COMPRESSED, 0, "1", 1)),
                     SL_GROUP_END);
}

static void test_xa(void **state)
{
    assert_int_equal(feed_gtid(1, SL_GTID_TRANSACTIONAL | SL_GTID_PREPARED_XA), SL_GROUP_BEGIN);
    assert_int_equal(feed_type(SL_EVENT_TABLE_MAP), SL_GROUP_INSIDE);
    assert_int_equal(feed_type(SL_EVENT_WRITE_ROWS_COMPRESSED), SL_GROUP_INSIDE);
    assert_int_equal(feed_query("XA END X'78',X'',1"), SL_GROUP_INSIDE);
    assert_int_equal(feed_type(SL_EVENT_XA_PREPARE), SL_GROUP_END);
}

static void test_events_of_no_group(void **state)
{
    static const uint8_t types[] = {SL_EVENT_ROTATE,
                                    SL_EVENT_STOP,
                                    SL_EVENT_FORMAT_DESCRIPTION,
                                    SL_EVENT_GTID_LIST,
                                    SL_EVENT_BINLOG_CHECKPOINT,
                                    SL_EVENT_START_ENCRYPTION,
                                    SL_EVENT_HEARTBEAT,
                                    SL_EVENT_INCIDENT};
    for (size_t i = 0; i < SL_ARRAY_LEN(types); i++) {
        bool is_border = i < 3;
        assert_int_equal(feed_type(types[i]), SL_GROUP_OUTSIDE);
        assert_int_equal(feed_gtid(i + 1, 0), SL_GROUP_BEGIN);
        assert_int_equal(feed_type(types[i]), is_border ? SL_GROUP_BROKEN : SL_GROUP_OUTSIDE);
        assert_int_equal(group.is_open, !is_border);
        assert_int_equal(group.events, 1);
        if (!is_border) {
            assert_int_equal(feed_type(SL_EVENT_XID), SL_GROUP_END);
        }
    }
}

static void test_broken(void **state)
{
    static const uint8_t types[] = {SL_EVENT_QUERY_COMPRESSED, SL_EVENT_TABLE_MAP, SL_EVENT_XID,
                                    SL_EVENT_WRITE_ROWS, 250};
    uint8_t event[64];
    assert_int_equal(feed_query("COMMIT"), SL_GROUP_BROKEN);
    for (size_t i = 1; i < SL_ARRAY_LEN(types); i++) {
        assert_int_equal(feed_type(types[i]), SL_GROUP_BROKEN);
        assert_false(group.is_open);
    }
    assert_int_equal(feed(event, make_event(event, 250, SL_EVENT_FLAG_IGNORABLE, "", 0)),
                     SL_GROUP_OUTSIDE);
    assert_int_equal(feed_gtid(1, 0), SL_GROUP_BEGIN);
    assert_int_equal(feed_type(SL_EVENT_TABLE_MAP), SL_GROUP_INSIDE);
    assert_int_equal(feed_gtid(2, 0), SL_GROUP_BROKEN);
    assert_true(group.is_open);
    assert_int_equal(group.gtid.gtid.seq, 2);
    assert_int_equal(group.events, 1);
    assert_int_equal(feed_type(250), SL_GROUP_INSIDE);
    assert_int_equal(feed_type(SL_EVENT_XID), SL_GROUP_END);
}

static void test_no_event(void **state)
{
    uint8_t event[64];
    enum sl_group_step step;
    assert_int_equal(feed_gtid(1, 0), SL_GROUP_BEGIN);
    struct sl_group before = group;
    uint32_t len = make_event(event, SL_EVENT_XID, 0, "12345678", 8);
    assert_int_equal(sl_group_feed(&group, event, len - 1, true, &step), SL_EPROTO);
    assert_int_equal(sl_group_feed(&group, event, 18, false, &step), SL_EPROTO);
    assert_int_equal(sl_group_feed(&group, event, 22, true, &step), SL_EPROTO);
    len = make_event(event, SL_EVENT_GTID, 0, "12345678", 8);
    assert_int_equal(sl_group_feed(&group, event, len, true, &step), SL_EPROTO);
    len = make_event(event, SL_EVENT_QUERY, 0, "12345678", 8);
    assert_int_equal(sl_group_feed(&group, event, len, true, &step), SL_EPROTO);
    assert_memory_equal(&group, &before, sizeof group);
}

static enum sl_group_step feed_long(uint8_t type)
{
    struct sl_event_header h = {.type = type, .length = 20000000};
    return sl_group_feed_long(&group, &h);
}

static void test_long_events(void **state)
{
    feed_gtid(1, SL_GTID_TRANSACTIONAL);
    assert_int_equal(feed_long(SL_EVENT_WRITE_ROWS), SL_GROUP_INSIDE);
    assert_int_equal(feed_long(SL_EVENT_QUERY), SL_GROUP_INSIDE); /* too long for a COMMIT */
    assert_int_equal(feed_type(SL_EVENT_XID), SL_GROUP_END);
    assert_int_equal(feed_long(SL_EVENT_WRITE_ROWS), SL_GROUP_BROKEN);
    feed_gtid(2, SL_GTID_STANDALONE);
    assert_int_equal(feed_long(SL_EVENT_USER_VAR), SL_GROUP_INSIDE);
    assert_int_equal(feed_long(SL_EVENT_GTID_LIST), SL_GROUP_OUTSIDE);
    assert_int_equal(feed_long(SL_EVENT_QUERY), SL_GROUP_END);
    assert_false(group.is_open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_transaction, reset),
        cmocka_unit_test_setup(test_transaction_ended_by_text, reset),
        cmocka_unit_test_setup(test_compressed_end, reset),
        cmocka_unit_test_setup(test_standalone, reset),
        cmocka_unit_test_setup(test_xa, reset),
        cmocka_unit_test_setup(test_events_of_no_group, reset),
        cmocka_unit_test_setup(test_broken, reset),
        cmocka_unit_test_setup(test_no_event, reset),
        cmocka_unit_test_setup(test_long_events, reset),
    };
    return cmocka_run_group_tests_name("repl_group", tests, NULL, NULL);
}
