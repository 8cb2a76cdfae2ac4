/* SPDX-License-Identifier: Apache-2.0 */
/* Statements of a relay's listener: what is understood, what is not and where it stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "router/binlog/sql_grammar.h"
#include "sql/lexer.h"

static struct sl_relay_statement st;

static int parse(const char *sql)
{
    sl_relay_statement_clear(&st);
    return sl_relay_statement_parse((const uint8_t *)sql, strlen(sql), &st);
}

static int release(void **state)
{
    sl_relay_statement_clear(&st);
    return 0;
}

static void expect_text(struct sl_slice s, const char *text)
{
    assert_int_equal(s.len, strlen(text));
    assert_memory_equal(s.data ? s.data : (const uint8_t *)"", text, s.len);
}

static void kinds(void **state)
{
    static const struct {
        const char *sql;
        enum sl_relay_statement_kind kind;
    } rows[] = {
        {"", SL_RELAY_EMPTY},
        {" ; ", SL_RELAY_EMPTY},
        {"/* nothing */", SL_RELAY_EMPTY},
        {"/*!40101 SET NAMES utf8 */", SL_RELAY_SET},
        {"/*!40101 SELECT @@server_id*/;", SL_RELAY_SELECT},
        {"SET STATEMENT a=1 FOR /*M!100100 SHOW SLAVE STATUS */", SL_RELAY_SHOW_SLAVE},
        {"start slave", SL_RELAY_START_SLAVE},
        {"START REPLICA '';", SL_RELAY_START_SLAVE},
        {"start all slaves", SL_RELAY_START_SLAVE},
        {"start slave io_thread, sql_thread", SL_RELAY_START_SLAVE},
        {"STOP SLAVE ''", SL_RELAY_STOP_SLAVE},
        {"stop all replicas", SL_RELAY_STOP_SLAVE},
        {"RESET SLAVE '' ALL", SL_RELAY_RESET_SLAVE},
        {"reset master", SL_RELAY_RESET_MASTER},
        {"show slave status", SL_RELAY_SHOW_SLAVE},
        {"SHOW REPLICA STATUS", SL_RELAY_SHOW_SLAVE},
        {"SHOW ALL SLAVES STATUS", SL_RELAY_SHOW_ALL_SLAVES},
        {"show master status", SL_RELAY_SHOW_MASTER},
        {"show binlog status", SL_RELAY_SHOW_MASTER},
        {"show  binary\tlogs", SL_RELAY_SHOW_LOGS},
        {"show master logs", SL_RELAY_SHOW_LOGS},
        {"show slave hosts", SL_RELAY_SHOW_HOSTS},
        {"show full processlist", SL_RELAY_SHOW_PROCESSES},
        {"show warnings limit 5", SL_RELAY_SHOW_WARNINGS},
        {"show global status like 'Ssl%'", SL_RELAY_SHOW_STATUS},
        {"show databases", SL_RELAY_SHOW_DATABASES},
        {"flush logs", SL_RELAY_FLUSH_LOGS},
        {"flush no_write_to_binlog binary logs", SL_RELAY_FLUSH_LOGS},
        {"flush privileges", SL_RELAY_NOTHING},
        {"begin", SL_RELAY_NOTHING},
        {"START TRANSACTION READ ONLY", SL_RELAY_NOTHING},
        {"commit", SL_RELAY_NOTHING},
        {"use `test`", SL_RELAY_USE},
        {"set names latin1", SL_RELAY_SET},
        {"set statement max_statement_time=1 for show slave status", SL_RELAY_SHOW_SLAVE},
        {"SET STATEMENT a=1, b='x' FOR SELECT @@server_id", SL_RELAY_SELECT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (parse(rows[i].sql) != SL_OK || st.kind != rows[i].kind) {
            fail_msg("%s: kind %u", rows[i].sql, st.kind);
        }
    }
}

static void refused(void **state)
{
    static const char *const rows[][2] = {
        {"select 1 from t", "t"},
        {"insert into t values (1)", "insert into t values (1)"},
        {"show foo bar", "foo bar"},
        {"start slave nonsense", "nonsense"},
        {"start slave io_thread sql_thread", "sql_thread"},
        {"change master to", ""},
        {"change master to master_host='x' master_port=1", "master_port=1"},
        {"show binlog events from 10 limit 1,", ""},
        {"show variables like", ""},
        {"select 'unterminated", ""},
        {"reset slave foo", "foo"},
        {"set a = )", ")"},
        {"set a = (1", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (parse(rows[i][0]) != SL_EPROTO) {
            fail_msg("%s was understood", rows[i][0]);
        }
        if (rows[i][1][0]) {
            expect_text(st.near, rows[i][1]);
        }
    }
}

static void names_of_connections(void **state)
{
    assert_int_equal(parse("stop slave 'a''b\\'c'"), SL_OK);
    expect_text(st.connection, "a'b'c");
    assert_int_equal(parse("show slave 'q' status"), SL_OK);
    expect_text(st.connection, "q");
    assert_int_equal(parse("reset slave all for channel 'x'"), SL_OK);
    assert_true(st.has_option);
    expect_text(st.connection, "x");
    assert_int_equal(parse("reset slave"), SL_OK);
    assert_false(st.has_option);
}

static void change_master(void **state)
{
    assert_int_equal(parse("CHANGE MASTER '' TO MASTER_HOST='127.0.0.1', master_port = 3306 ,"
                           "MASTER_USER='u', MASTER_PASSWORD='p\\'w', MASTER_USE_GTID=slave_pos,"
                           "master_heartbeat_period=1.5, IGNORE_SERVER_IDS=(1,2)"),
                     SL_OK);
    assert_int_equal(st.setting_count, 7);
    expect_text(st.settings[0].name, "MASTER_HOST");
    expect_text(st.settings[0].value.text, "127.0.0.1");
    expect_text(st.settings[1].value.text, "3306");
    expect_text(st.settings[3].value.text, "p'w");
    assert_int_equal(st.settings[4].value.kind, SL_RELAY_WORD);
    expect_text(st.settings[5].value.text, "1.5");
    expect_text(st.settings[6].value.text, "(1,2)");
}

/* As replicas of several versions write them. */
static void handshake(void **state)
{
    assert_int_equal(parse("SET @master_heartbeat_period= 30000001024"), SL_OK);
    assert_true(st.settings[0].is_user);
    expect_text(st.settings[0].name, "master_heartbeat_period");
    expect_text(st.settings[0].value.text, "30000001024");
    assert_int_equal(parse("set @master_binlog_checksum = @@GLOBAL . binlog_checksum"), SL_OK);
    assert_int_equal(parse("SET @master_binlog_checksum= @@global.binlog_checksum"), SL_OK);
    assert_int_equal(st.settings[0].value.kind, SL_RELAY_SYSVAR);
    expect_text(st.settings[0].value.text, "binlog_checksum");
    assert_int_equal(parse("SET @slave_connect_state=''"), SL_OK);
    assert_int_equal(st.settings[0].value.kind, SL_RELAY_STRING);
    expect_text(st.settings[0].value.text, "");
    assert_int_equal(parse("SET @rpl_semi_sync_slave= 1, @b:=2"), SL_OK);
    assert_int_equal(st.setting_count, 2);
    assert_int_equal(parse("SELECT @@GLOBAL.gtid_domain_id"), SL_OK);
    assert_int_equal(st.columns[0].value.scope, SL_SCOPE_GLOBAL);
}

static void set_of_connectors(void **state)
{
    assert_int_equal(parse("set autocommit=1, session_track_schema=1, sql_mode = "
                           "concat(@@sql_mode,',STRICT_TRANS_TABLES')"),
                     SL_OK);
    assert_int_equal(st.setting_count, 3);
    assert_int_equal(st.settings[2].value.kind, SL_RELAY_OTHER);
    assert_int_equal(parse("SET GLOBAL gtid_slave_pos = '0-1-1,1-2-3'"), SL_OK);
    assert_int_equal(st.settings[0].scope, SL_SCOPE_GLOBAL);
    assert_int_equal(parse("set @@global.sync_binlog=off"), SL_OK);
    assert_int_equal(st.settings[0].scope, SL_SCOPE_GLOBAL);
    expect_text(st.settings[0].name, "sync_binlog");
    assert_int_equal(parse("set names 'utf8mb4' collate utf8mb4_bin, character set latin1"), SL_OK);
    assert_int_equal(parse("set session transaction isolation level read committed"), SL_OK);
    assert_int_equal(parse("set a = 1 + 2, b = -3"), SL_OK);
    expect_text(st.settings[0].value.text, "1 + 2");
    expect_text(st.settings[1].value.text, "-3");
}

static void select_lists(void **state)
{
    assert_int_equal(parse("SELECT @@Server_Id AS `id`, version() v, 'it''s', -1, NULL, "
                           "@@session.wait_timeout, MASTER_GTID_WAIT('0-1-1', 2.5) LIMIT 1"),
                     SL_OK);
    assert_int_equal(st.column_count, 7);
    expect_text(st.columns[0].value.text, "Server_Id");
    expect_text(st.columns[0].title, "id");
    expect_text(st.columns[1].title, "v");
    expect_text(st.columns[2].title, "it's");
    expect_text(st.columns[3].title, "-1");
    assert_int_equal(st.columns[4].value.kind, SL_RELAY_NULL);
    expect_text(st.columns[5].title, "@@session.wait_timeout");
    assert_int_equal(st.columns[6].argument_count, 2);
    expect_text(st.columns[6].arguments[1].text, "2.5");
    assert_true(st.has_limit);
    assert_int_equal(parse("select @@`server_id`, current_user"), SL_OK);
    expect_text(st.columns[0].value.text, "server_id");
}

static void several(void **state)
{
    assert_int_equal(parse("stop slave; reset slave all;"), SL_OK);
    assert_int_equal(st.kind, SL_RELAY_STOP_SLAVE);
    expect_text(st.rest, "reset slave all;");
    assert_int_equal(parse("set a='x;y';; ;"), SL_OK);
    expect_text(st.rest, "");
}

static void too_many_parts(void **state)
{
    char sql[2048] = "select 1";
    for (unsigned i = 0; i < SL_RELAY_COLUMNS_MAX; i++) {
        strcat(sql, ",1");
    }
    assert_int_equal(parse(sql), SL_ELIMIT);
}

static void patterns(void **state)
{
    assert_int_equal(parse("SHOW VARIABLES LIKE 'SERVER\\_ID'"), SL_OK);
    assert_true(sl_relay_statement_wants(&st, "server_id"));
    assert_false(sl_relay_statement_wants(&st, "serverxid"));
    assert_int_equal(parse("SHOW GLOBAL VARIABLES WHERE Variable_name = 'a' OR variable_name LIKE "
                           "'gtid%' OR Variable_name IN ('x', 'y')"),
                     SL_OK);
    assert_true(sl_relay_statement_wants(&st, "A"));
    assert_true(sl_relay_statement_wants(&st, "gtid_slave_pos"));
    assert_true(sl_relay_statement_wants(&st, "y"));
    assert_false(sl_relay_statement_wants(&st, "b"));
    assert_int_equal(parse("SHOW VARIABLES"), SL_OK);
    assert_true(sl_relay_statement_wants(&st, "anything"));
    struct sl_slice text = sl_slice_text("mississippi");
    assert_true(sl_relay_like(text, sl_slice_text("m%iss%pi")));
    assert_true(sl_relay_like(text, sl_slice_text("%")));
    assert_true(sl_relay_like(text, sl_slice_text("MISS_SSIPPI")));
    assert_false(sl_relay_like(text, sl_slice_text("m%x")));
    assert_false(sl_relay_like(text, sl_slice_text("")));
}

static void purges(void **state)
{
    assert_int_equal(parse("PURGE BINARY LOGS TO 'pbin.000004'"), SL_OK);
    assert_int_equal(st.kind, SL_RELAY_PURGE_TO);
    expect_text(st.text, "pbin.000004");
    assert_int_equal(parse("purge master logs before '2024-02-29 10:00:00'"), SL_OK);
    expect_text(st.time.text, "2024-02-29 10:00:00");
    assert_int_equal(parse("purge binary logs before now() - interval 3 day"), SL_OK);
    assert_true(st.time.is_now);
    assert_int_equal(st.time.amount, 3);
    assert_int_equal(st.time.unit, SL_RELAY_DAY);
    assert_int_equal(parse("purge binary logs before DATE_SUB(NOW(), INTERVAL '2' MONTH)"), SL_OK);
    assert_int_equal(st.time.unit, SL_RELAY_MONTH);
    assert_int_equal(parse("purge binary logs before from_unixtime(1700000000)"), SL_OK);
    assert_true(st.time.is_unix);
}

static void events(void **state)
{
    assert_int_equal(parse("SHOW BINLOG EVENTS IN 'f' FROM 256 LIMIT 2, 3"), SL_OK);
    expect_text(st.text, "f");
    assert_int_equal(st.from, 256);
    assert_int_equal(st.limit_offset, 2);
    assert_int_equal(st.limit, 3);
    assert_int_equal(parse("show binlog events limit 3 offset 2"), SL_OK);
    assert_int_equal(st.limit_offset, 2);
    assert_int_equal(parse("show binlog events from 99999999999999999999999"), SL_EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),
        cmocka_unit_test(refused),
        cmocka_unit_test(names_of_connections),
        cmocka_unit_test(change_master),
        cmocka_unit_test(handshake),
        cmocka_unit_test(set_of_connectors),
        cmocka_unit_test(select_lists),
        cmocka_unit_test(several),
        cmocka_unit_test(too_many_parts),
        cmocka_unit_test(patterns),
        cmocka_unit_test(purges),
        cmocka_unit_test(events),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
