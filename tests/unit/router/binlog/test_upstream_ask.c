/* SPDX-License-Identifier: Apache-2.0 */
/* The questions of a replica: their order, good and bad answers, an ERR to each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "proto/ok.h"
#include "router/binlog/upstream_ask.h"

static struct sl_upstream_asking ask;
static struct sl_fault fault;
static struct sl_buf out;
static bool is_dump;

static int reset(void **state)
{
    ask = (struct sl_upstream_asking){.position = "7-1-5",
                                      .heartbeat_ns = 3333000000,
                                      .server_id = 4711,
                                      .report_host = "relay",
                                      .report_port = 4008};
    sl_buf_free(&out);
    return 0;
}

static int release(void **state)
{
    sl_buf_free(&out);
    return 0;
}

/* The text of the next COM_QUERY; "" for another command. */
static const char *next(void)
{
    static char text[2 * SL_UPSTREAM_VALUE_MAX];
    sl_buf_clear(&out);
    assert_int_equal(sl_upstream_ask_next(&ask, &out, &is_dump), SL_OK);
    const uint8_t *p = sl_buf_slice(&out).data;
    size_t len = sl_buf_len(&out);
    assert_int_equal(sl_packet_len(p), len - 4);
    assert_int_equal(sl_packet_seq(p), 0);
    size_t n = p[4] == 3 ? len - 5 : 0;
    memcpy(text, p + 5, n);
    text[n] = '\0';
    return text;
}

static int feed(const void *payload, size_t len)
{
    return sl_upstream_ask_packet(&ask, payload, len, &fault);
}

static int say_ok(void)
{
    return feed("\0\0\0\2\0\0\0", 7);
}

static int say_err(uint16_t code)
{
    uint8_t p[64] = {0xff, (uint8_t)code, (uint8_t)(code >> 8), '#', 'H', 'Y', '0', '0', '0', 'n',
                     'o'};
    return feed(p, 11);
}

/* A result of one row; the values after each other. */
static int say_row(const char *a, const char *b)
{
    uint8_t row[128];
    size_t len = 0;
    const char *const values[] = {a, b};
    uint8_t count = b != NULL ? 2 : 1;
    assert_int_equal(feed(&count, 1), SL_EAGAIN);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(feed("\3def\0\0\0\1x\0\14\10\0\5\0\0\0\375\0\0\0\0\0", 22), SL_EAGAIN);
        row[len] = (uint8_t)strlen(values[i]);
        memcpy(row + len + 1, values[i], row[len]);
        len += 1 + row[len];
    }
    assert_int_equal(feed("\376\0\0\2\0", 5), SL_EAGAIN);
    assert_int_equal(feed(row, len), SL_EAGAIN);
    return feed("\376\0\0\2\0", 5);
}

static int say_nothing(void)
{
    assert_int_equal(feed("\1", 1), SL_EAGAIN);
    assert_int_equal(feed("\3def", 4), SL_EAGAIN);
    assert_int_equal(feed("\376\0\0\2\0", 5), SL_EAGAIN);
    return feed("\376\0\0\2\0", 5);
}

/* What a 10.11 primary says to it. */
static int answer(const char *sql)
{
    if (strstr(sql, "SERVER_ID") != NULL) {
        return say_row("server_id", "1");
    }
    if (strstr(sql, "rpl_semi_sync_master_enabled") != NULL) {
        return say_row("rpl_semi_sync_master_enabled", "ON");
    }
    if (strcmp(sql, "SHOW MASTER STATUS") == 0) {
        return say_row("pbin.000003", "4711");
    }
    if (strstr(sql, "gtid_binlog_pos") != NULL) {
        return say_row("7-1-5", NULL);
    }
    if (strncmp(sql, "SELECT", 6) != 0) {
        return say_ok();
    }
    return say_row(strstr(sql, "UNIX") != NULL       ? "1795277000"
                   : strstr(sql, "checksum") != NULL ? "CRC32"
                                                     : "0",
                   NULL);
}

static void test_dialogue(void **state)
{
    static const char *const order[] = {
        "SET NAMES latin1",
        "SELECT UNIX_TIMESTAMP()",
        "SHOW VARIABLES LIKE 'SERVER_ID'",
        "SET @master_heartbeat_period= 3333000000",
        "SET @master_binlog_checksum= @@global.binlog_checksum",
        "SELECT @master_binlog_checksum",
        "SET @mariadb_slave_capability=4",
        "SELECT @@GLOBAL.gtid_domain_id",
        "SET @slave_connect_state='7-1-5'",
        "SET @slave_gtid_strict_mode=1",
        "SET @slave_gtid_ignore_duplicates=0",
    };
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        assert_string_equal(next(), order[i]);
        assert_int_equal(answer(order[i]), SL_OK);
    }
    next(); /* COM_REGISTER_SLAVE */
    assert_int_equal(sl_buf_slice(&out).data[4], 0x15);
    assert_int_equal(sl_get_le32(sl_buf_slice(&out).data + 5), 4711);
    assert_false(is_dump);
    assert_int_equal(say_ok(), SL_OK);
    next();
    static const uint8_t dump[] = {11, 0, 0, 0, 0x12, 4, 0, 0, 0, 2, 0, 0x67, 0x12, 0, 0};
    assert_true(is_dump);
    assert_int_equal(sl_buf_len(&out), sizeof(dump));
    assert_memory_equal(sl_buf_slice(&out).data, dump, sizeof(dump));
    assert_int_equal(ask.primary_time_s, 1795277000);
    assert_int_equal(ask.primary_server_id, 1);
    assert_true(ask.is_crc32);
    assert_false(ask.has_semi_sync);
}

static void test_semi_sync(void **state)
{
    ask.wants_semi_sync = true;
    const char *sql = next();
    while (strstr(sql, "rpl_semi_sync") == NULL) {
        assert_int_equal(answer(sql), SL_OK);
        sql = next();
    }
    assert_string_equal(sql, "SHOW VARIABLES LIKE 'rpl_semi_sync_master_enabled'");
    assert_int_equal(answer(sql), SL_OK);
    assert_string_equal(next(), "SET @rpl_semi_sync_slave= 1");
    assert_int_equal(say_ok(), SL_OK);
    assert_string_equal(next(), "SHOW MASTER STATUS");
    assert_int_equal(say_row("pbin.000003", "4711"), SL_OK);
    assert_string_equal(next(), "SELECT @@GLOBAL.gtid_binlog_pos");
    assert_int_equal(say_row("7-1-5", NULL), SL_OK);
    next();
    assert_true(is_dump);
    assert_true(ask.has_semi_sync);
    assert_true(ask.has_all);
    assert_string_equal(ask.place_file, "pbin.000003");
    assert_int_equal(ask.place_pos, 4711);
}

/* What is here is acknowledged at once only if it is all that the primary has. */
static void test_not_all_is_here(void **state)
{
    static const char *const positions[] = {"7-1-6", "7-2-5", "7-1-5,8-1-1", "7-1-4", "nonsense"};
    for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
        reset(NULL);
        ask.wants_semi_sync = true;
        const char *sql = next();
        while (strstr(sql, "gtid_binlog_pos") == NULL) {
            assert_int_equal(answer(sql), SL_OK);
            sql = next();
        }
        assert_int_equal(say_row(positions[i], NULL), SL_OK);
        next();
        assert_true(is_dump);
        assert_false(ask.has_all);
    }
}

/* Of a list that is too long to be kept, all that is kept is here; a domain behind it is not. */
static void test_a_long_list_is_not_believed(void **state)
{
    static char ours[SL_UPSTREAM_VALUE_MAX + 1];
    static uint8_t row[SL_UPSTREAM_VALUE_MAX + 16];
    for (unsigned i = 0; i < SL_UPSTREAM_VALUE_MAX / 16; i++) {
        bool is_last = i + 1 == SL_UPSTREAM_VALUE_MAX / 16;
        snprintf(ours + 16 * i, 17, "%u-1-1%s", 1000000000 + i, is_last ? "00" : "0,");
    }
    assert_int_equal(strlen(ours), SL_UPSTREAM_VALUE_MAX);
    size_t len = SL_UPSTREAM_VALUE_MAX + 7;
    row[0] = 0xfc; /* a length of two bytes */
    row[1] = (uint8_t)len;
    row[2] = (uint8_t)(len >> 8);
    memcpy(row + 3, ours, SL_UPSTREAM_VALUE_MAX);
    memcpy(row + 3 + SL_UPSTREAM_VALUE_MAX, ",99-1-1", 7);
    ask.position = ours;
    ask.wants_semi_sync = true;
    const char *sql = next();
    while (strstr(sql, "gtid_binlog_pos") == NULL) {
        assert_int_equal(answer(sql), SL_OK);
        sql = next();
    }
    assert_int_equal(feed("\1", 1), SL_EAGAIN);
    assert_int_equal(feed("\3def", 4), SL_EAGAIN);
    assert_int_equal(feed("\376\0\0\2\0", 5), SL_EAGAIN);
    assert_int_equal(feed(row, len + 3), SL_EAGAIN);
    assert_int_equal(feed("\376\0\0\2\0", 5), SL_OK);
    assert_false(ask.has_all);
}

/* Without the plugin it goes on without acknowledging. */
static void test_no_semi_sync(void **state)
{
    ask.wants_semi_sync = true;
    const char *sql = next();
    while (strstr(sql, "rpl_semi_sync") == NULL) {
        assert_int_equal(answer(sql), SL_OK);
        sql = next();
    }
    assert_int_equal(say_nothing(), SL_OK);
    next();
    assert_true(is_dump);
    assert_false(ask.has_semi_sync);
}

static void test_no_checksums(void **state)
{
    const char *sql = next();
    while (strstr(sql, "SET @master_binlog_checksum") == NULL) {
        assert_int_equal(answer(sql), SL_OK);
        sql = next();
    }
    assert_int_equal(say_err(1193), SL_OK); /* a server that has none */
    assert_string_equal(next(), "SET @mariadb_slave_capability=4");
    assert_false(ask.is_crc32);
}

static void go_to(const char *part)
{
    const char *sql = next();
    while (strstr(sql, part) == NULL) {
        assert_int_equal(answer(sql), SL_OK);
        sql = next();
    }
}

static void test_bad_values(void **state)
{
    go_to("SERVER_ID");
    assert_true(say_row("server_id", "4711") < 0);
    assert_int_equal(fault.kind, SL_FAULT_SERVER_ID);
    assert_non_null(strstr(fault.text, "4711"));
    reset(NULL);
    go_to("SERVER_ID");
    assert_true(say_row("server_id", "one") < 0);
    assert_int_equal(fault.kind, SL_FAULT_PROTO);
    reset(NULL);
    go_to("SERVER_ID");
    assert_true(say_nothing() < 0);
    reset(NULL);
    go_to("SELECT @master_binlog_checksum");
    assert_true(say_row("CRC64", NULL) < 0);
    assert_int_equal(fault.kind, SL_FAULT_REFUSED);
    reset(NULL);
    go_to("SELECT @master_binlog_checksum");
    assert_int_equal(say_row("NONE", NULL), SL_OK);
    assert_false(ask.is_crc32);
    reset(NULL);
    go_to("gtid_domain_id");
    assert_true(say_nothing() < 0);
}

/* An ERR to each question in turn: it goes on, or says what was refused. */
static void test_err_to_each(void **state)
{
    static const bool is_tolerated[] = {true,  true,  false, false, false, false, false, false,
                                        false, false, false, false, true,  false, true,  true};
    unsigned count = 0;
    for (unsigned which = 0;; which++) {
        reset(NULL);
        ask.wants_semi_sync = true;
        for (unsigned i = 0; i < which; i++) {
            const char *sql = next();
            assert_int_equal(sql[0] != '\0' ? answer(sql) : say_ok(), SL_OK);
        }
        const char *sql = next();
        if (is_dump) {
            break;
        }
        count++;
        int rc = say_err(1227);
        assert_int_equal(rc == SL_OK, is_tolerated[which]);
        if (rc < 0) {
            assert_int_equal(fault.code, 1227);
            assert_int_equal(fault.kind, SL_FAULT_DENIED);
            assert_memory_equal(fault.text, sql[0] != '\0' ? sql : "COM_REGISTER", 12);
        }
    }
    assert_int_equal(count, 16);
}

static void test_nonsense(void **state)
{
    next();
    assert_true(feed("", 0) < 0);
    assert_true(feed("\1", 1) < 0); /* a result where OK belongs */
    assert_int_equal(fault.kind, SL_FAULT_PROTO);
    reset(NULL);
    go_to("UNIX");
    assert_true(say_ok() < 0);
    reset(NULL);
    go_to("UNIX");
    assert_true(feed("\144", 1) < 0); /* a hundred columns */
    reset(NULL);
    go_to("UNIX");
    assert_int_equal(feed("\2", 1), SL_EAGAIN);
    assert_int_equal(feed("\3def", 4), SL_EAGAIN);
    assert_true(feed("\376\0\0\2\0", 5) < 0); /* EOF before the second column */
    reset(NULL);
    go_to("UNIX");
    assert_int_equal(feed("\1", 1), SL_EAGAIN);
    assert_int_equal(feed("\3def", 4), SL_EAGAIN);
    assert_int_equal(feed("\376\0\0\2\0", 5), SL_EAGAIN);
    assert_true(feed("\12ab", 3) < 0); /* a value that is not there */
    reset(NULL);
    next();
    assert_true(feed("\377", 1) < 0); /* half an ERR */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_dialogue, reset, release),
        cmocka_unit_test_setup_teardown(test_semi_sync, reset, release),
        cmocka_unit_test_setup_teardown(test_not_all_is_here, reset, release),
        cmocka_unit_test_setup_teardown(test_a_long_list_is_not_believed, reset, release),
        cmocka_unit_test_setup_teardown(test_no_semi_sync, reset, release),
        cmocka_unit_test_setup_teardown(test_no_checksums, reset, release),
        cmocka_unit_test_setup_teardown(test_bad_values, reset, release),
        cmocka_unit_test_setup_teardown(test_err_to_each, reset, release),
        cmocka_unit_test_setup_teardown(test_nonsense, reset, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
