/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the text of a statement to its target: classifier, transaction tracker and rws_decide()
 * together. The rows are section D of docs/internals/readwritesplit.md. Each group has six letters,
 * one for each situation:
 *
 *   1 no transaction
 *   2 in a read/write transaction
 *   3 in a READ ONLY transaction (its server is known)
 *   4 use_sql_variables_in=master     (4..6: no transaction)
 *   5 max_slave_connections=0
 *   6 locked to the primary
 *
 *   P primary   R replica   A all   L server of the last statement   T server of the transaction
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "proto/constants.h"
#include "router/readwritesplit/rwsplit.h"

struct group {
    const char *targets;
    const char *const *statements;
};

#define G(targets, ...)                                                                            \
    {                                                                                              \
        targets, (const char *const[])                                                             \
        {                                                                                          \
            __VA_ARGS__, NULL                                                                      \
        }                                                                                          \
    }

static const struct group groups[] = {
    /* plain reads */
    G("RPTRPP", "SELECT 1", "select 1;", "SELECT c FROM sbtest1 WHERE id=5001",
      "SELECT * FROM a JOIN b USING (id)",
      "SELECT DISTINCT c FROM t WHERE id BETWEEN 1 AND 100 ORDER BY c", "(SELECT 1)",
      "(SELECT 1) UNION (SELECT 2)", "SELECT 1 UNION ALL SELECT 2", "VALUES (1,2),(3,4)", "TABLE t",
      "WITH c AS (SELECT 1) SELECT * FROM c",
      "WITH RECURSIVE c AS (SELECT 1 UNION SELECT 2) SELECT * FROM c", "SELECT 'FOR UPDATE'",
      "SELECT `for update` FROM t", "SELECT * FROM t WHERE a = 'x;y'", "/* comment */ SELECT 1",
      "-- comment\nSELECT 1", "# comment\nSELECT 1", "SELECT /* FOR UPDATE */ 1",
      "SELECT * FROM t WHERE a IN (SELECT b FROM u)", "SELECT ?",
      "SELECT a FROM t LIMIT 10 OFFSET 5", "SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1", "", ";",
      "/* nothing */"),
    /* built-in functions that only read */
    G("RPTRPP", "SELECT COUNT(*) FROM t", "SELECT NOW()", "SELECT UUID()", "SELECT RAND()",
      "SELECT SLEEP(0)", "SELECT BENCHMARK(1, 1)", "SELECT CONNECTION_ID()", "SELECT USER()",
      "SELECT CURRENT_USER()", "SELECT DATABASE()", "SELECT VERSION()",
      "SELECT MASTER_GTID_WAIT('0-1-1', 1)", "SELECT CONCAT('a', 'b')", "SELECT MD5('a')",
      "SELECT MAX(a), MIN(b), SUM(c), AVG(d) FROM t", "SELECT JSON_EXTRACT(j, '$.a') FROM t",
      "SELECT ST_AsText(g) FROM t", "SELECT DATE_FORMAT(NOW(), '%Y')",
      "SELECT AES_ENCRYPT('a', 'b')", "SELECT ROW_NUMBER() OVER (ORDER BY a) FROM t",
      "SELECT LAG(a) OVER (ORDER BY b) FROM t", "SELECT IFNULL(a, 1) FROM t",
      "SELECT COALESCE(a, b) FROM t", "SELECT NVL(a, 1) FROM t", "SELECT GROUP_CONCAT(a) FROM t",
      "SELECT CAST(a AS CHAR) FROM t", "SELECT SUBSTRING(a, 1, 2) FROM t",
      "SELECT LEFT(a, 1) FROM t"),
    /* reads that take locks */
    G("PPTPPP", "SELECT * FROM t FOR UPDATE", "SELECT * FROM t WHERE id=1 FOR UPDATE",
      "SELECT * FROM t FOR UPDATE NOWAIT", "SELECT * FROM t FOR UPDATE SKIP LOCKED",
      "SELECT * FROM t LOCK IN SHARE MODE", "SELECT * FROM t FOR UPDATE WAIT 5",
      "(SELECT * FROM t FOR UPDATE)"),
    /* into files of the server */
    G("PPTPPP", "SELECT * FROM t INTO OUTFILE '/tmp/x'", "SELECT a INTO OUTFILE '/tmp/x' FROM t",
      "SELECT a FROM t INTO DUMPFILE '/tmp/x'"),
    /* into variables, and assignments: every server must have them */
    G("AAAPAA", "SELECT a INTO @v FROM t", "SELECT a FROM t INTO @v", "SELECT 1, 2 INTO @a, @b",
      "SELECT @v := 1", "SELECT @v:=a FROM t", "SELECT @a := @b", "SELECT (@r := @r + 1) FROM t"),
    /* reading variables */
    G("RPTPPP", "SELECT @v", "SELECT * FROM t WHERE a = @v", "SELECT @a, @b",
      "SELECT a FROM t LIMIT 1 UNION SELECT @v"),
    /* what only the primary knows */
    G("PPTPPP", "SELECT my_func(1)", "SELECT db.my_func(1)", "SELECT LAST_INSERT_ID()",
      "SELECT @@identity", "SELECT @@last_insert_id", "SELECT @@last_gtid", "SELECT NEXTVAL(s)",
      "SELECT NEXT VALUE FOR s", "SELECT PREVIOUS VALUE FOR s", "SELECT LASTVAL(s)",
      "SELECT SETVAL(s, 5)", "SELECT * FROM t WHERE a = udf(b)", "SELECT LAST_INSERT_ID(id) FROM t",
      "SELECT 1 FROM t WHERE unknown_function() > 0"),
    G("PPTPPP", "SELECT GET_LOCK('a', 1)", "SELECT RELEASE_LOCK('a')", "SELECT IS_FREE_LOCK('a')",
      "SELECT IS_USED_LOCK('a')", "SELECT RELEASE_ALL_LOCKS()"),
    /* system variables */
    G("RPTRPP", "SELECT @@version", "SELECT @@global.max_connections", "SELECT @@session.sql_mode",
      "SELECT @@server_id, @@hostname", "SHOW VARIABLES", "SHOW GLOBAL VARIABLES LIKE 'a%'",
      "SHOW SESSION VARIABLES", "SELECT @@autocommit"),
    /* about the statement before */
    G("LPTLPP", "SELECT FOUND_ROWS()", "SELECT ROW_COUNT()", "SHOW WARNINGS", "SHOW ERRORS",
      "SHOW COUNT(*) WARNINGS"),
    /* writes */
    G("PPTPPP", "INSERT INTO t VALUES (1)", "INSERT INTO t SELECT * FROM u",
      "INSERT IGNORE INTO t SET a=1", "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a=2",
      "INSERT INTO t VALUES (1) RETURNING id", "REPLACE INTO t VALUES (1)", "UPDATE t SET a=1",
      "UPDATE t, u SET t.a=u.b", "DELETE FROM t", "DELETE FROM t WHERE a=1 RETURNING a",
      "DELETE t FROM t JOIN u", "WITH c AS (SELECT 1) UPDATE t SET a=1",
      "WITH c AS (SELECT 1) DELETE FROM t", "LOAD DATA INFILE 'x' INTO TABLE t",
      "LOAD DATA LOCAL INFILE 'x' INTO TABLE t", "LOAD XML LOCAL INFILE 'x' INTO TABLE t",
      "CALL p()", "CALL db.p(1, @a)", "DO 1", "DO SLEEP(1)", "HANDLER t OPEN",
      "HANDLER t READ FIRST", "HANDLER t CLOSE", "INSERT INTO t VALUES (@v)", "UPDATE t SET a = @v",
      "UPDATE t SET a = (@v := 1)", "INSERT INTO t VALUES (@v := 2)"),
    /* definitions and administration */
    G("PPTPPP", "CREATE TABLE t (a INT)", "CREATE TABLE t LIKE u", "CREATE TABLE t AS SELECT 1",
      "CREATE OR REPLACE TABLE t (a INT)", "CREATE DATABASE d", "CREATE INDEX i ON t (a)",
      "CREATE VIEW v AS SELECT 1", "CREATE FUNCTION f() RETURNS INT RETURN 1",
      "CREATE PROCEDURE p() BEGIN SELECT 1; END",
      "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @a=1", "CREATE SEQUENCE s",
      "CREATE USER u", "CREATE ROLE r", "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
      "CREATE TEMPORARY TABLE t (a INT)", "CREATE TEMPORARY TABLE t AS SELECT 1",
      "ALTER TABLE t ADD b INT", "ALTER TABLE t ENGINE=InnoDB",
      "ALTER DATABASE d CHARACTER SET utf8mb4", "DROP TABLE t", "DROP TABLE IF EXISTS t, u",
      "DROP TEMPORARY TABLE t", "DROP DATABASE d", "DROP VIEW v", "DROP USER u", "TRUNCATE TABLE t",
      "TRUNCATE t", "RENAME TABLE a TO b", "GRANT SELECT ON *.* TO u",
      "REVOKE SELECT ON *.* FROM u", "ANALYZE TABLE t", "CHECK TABLE t", "OPTIMIZE TABLE t",
      "REPAIR TABLE t", "FLUSH TABLES", "FLUSH PRIVILEGES", "FLUSH TABLES WITH READ LOCK",
      "LOCK TABLES t WRITE", "LOCK TABLES t READ", "UNLOCK TABLES", "RESET MASTER",
      "INSTALL SONAME 'x'", "PURGE BINARY LOGS TO 'x'", "CHANGE MASTER TO MASTER_HOST='x'",
      "START SLAVE", "STOP SLAVE", "KILL 5", "SHUTDOWN", "BACKUP STAGE START"),
    /* XA and savepoints */
    G("PPPPPP", "XA START 'a'", "XA BEGIN 'a'"),
    G("PPTPPP", "XA END 'a'", "XA PREPARE 'a'", "XA COMMIT 'a'", "XA ROLLBACK 'a'", "XA RECOVER",
      "SAVEPOINT s", "ROLLBACK TO SAVEPOINT s", "ROLLBACK TO s", "RELEASE SAVEPOINT s"),
    /* SHOW and friends */
    G("RPTRPP", "SHOW TABLES", "SHOW DATABASES", "SHOW STATUS", "SHOW PROCESSLIST",
      "SHOW CREATE TABLE t", "SHOW COLUMNS FROM t", "SHOW SLAVE STATUS", "SHOW REPLICA STATUS",
      "SHOW ALL SLAVES STATUS", "SHOW ENGINES", "SHOW GRANTS", "DESCRIBE t", "DESC t",
      "EXPLAIN SELECT 1", "EXPLAIN UPDATE t SET a=1", "ANALYZE SELECT 1", "SHOW TABLE STATUS",
      "SHOW CHARACTER SET", "SHOW COLLATION", "SHOW PLUGINS", "HELP 'x'"),
    G("PPTPPP", "SHOW MASTER STATUS", "SHOW BINLOG STATUS", "SHOW BINARY LOGS", "SHOW MASTER LOGS",
      "SHOW INDEX FROM t", "SHOW INDEXES FROM t", "SHOW KEYS FROM t", "ANALYZE UPDATE t SET a=1"),
    /* session state */
    G("AAAAAA", "SET sql_mode=''", "SET SESSION sql_mode='ANSI'", "SET @@sql_mode=''",
      "SET @@session.sql_mode=''", "SET NAMES utf8mb4", "SET NAMES 'latin1' COLLATE 'latin1_bin'",
      "SET CHARACTER SET utf8", "SET CHARSET utf8", "SET ROLE r", "SET ROLE NONE", "USE db",
      "use `db`", "RESET QUERY CACHE", "SET LOCAL wait_timeout=5", "SET a=1, b=2",
      "SET time_zone='+00:00'", "SET @@session.time_zone='+00:00', @a=1"),
    G("AAAAAA", "SET @v=1", "SET @a=1, @b=2", "SET @a:=5", "SET @v=@w+1", "SET @v=NOW()",
      "SET @v=CONCAT('a','b')"),
    G("AAAAAA", "SET GLOBAL max_connections=5", "SET @@global.max_connections=5"),
    G("AAAAAA", "SET autocommit=0", "SET autocommit=1", "SET @@autocommit=0",
      "SET SESSION autocommit=ON", "SET autocommit=OFF"),
    G("AAAAAA", "SET SESSION TRANSACTION READ ONLY", "SET SESSION TRANSACTION READ WRITE",
      "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
      "SET SESSION tx_isolation='SERIALIZABLE'",
      "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
    G("AAAAAA", "PREPARE s FROM 'SELECT 1'", "PREPARE s FROM @v", "DEALLOCATE PREPARE s",
      "DROP PREPARE s"),
    /* SET that only the primary can do */
    G("PPTPPP", "SET PASSWORD='x'", "SET PASSWORD FOR u=PASSWORD('x')", "SET DEFAULT ROLE r",
      "SET @v=LAST_INSERT_ID()", "SET @v=my_func()", "SET @v=NEXTVAL(s)",
      "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET TRANSACTION READ ONLY",
      "SET TRANSACTION READ WRITE", "SET @@tx_read_only=1"),
    /* transactions */
    G("PPPPPP", "BEGIN", "START TRANSACTION", "BEGIN WORK", "START TRANSACTION READ WRITE",
      "START TRANSACTION WITH CONSISTENT SNAPSHOT"),
    G("PPTPPP", "COMMIT", "ROLLBACK", "COMMIT WORK", "ROLLBACK AND CHAIN", "COMMIT AND CHAIN",
      "COMMIT RELEASE"),
    G("RTTRPP", "START TRANSACTION READ ONLY",
      "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"),
    /* text of prepared statements is not known here: unknown is a write */
    G("PPTPPP", "EXECUTE s", "EXECUTE s USING @a", "EXECUTE IMMEDIATE 'SELECT 1'"),
    /* several statements, and what is not understood */
    G("PPPPPP", "SELECT 1; SELECT 2", "SET @a=1; SELECT @a", "SELECT 1; UPDATE t SET a=1",
      "USE db; SELECT 1", "INSERT INTO t VALUES (1); SELECT LAST_INSERT_ID()"),
    G("PPTPPP", "nonsense", "SELEC 1", "{", "BEGIN NOT ATOMIC SELECT 1; END",
      "IF 1 THEN SELECT 1; END IF"),
    /* executable comments count */
    G("PPTPPP", "SELECT 1 /*! FOR UPDATE */", "/*! INSERT INTO t VALUES (1) */",
      "/*M! UPDATE t SET a=1 */"),
    G("RPTRPP", "SELECT /*! SQL_NO_CACHE */ 1"),
};

enum situation {
    NO_TRX,
    RW_TRX,
    RO_TRX,
    VARS_MASTER,
    NO_REPLICAS,
    LOCKED,
    SITUATIONS
};

static void enter(struct sl_trx *trx, const char *sql, uint16_t status)
{
    struct sl_sql_info info;
    sl_sql_classify((const uint8_t *)sql, strlen(sql), 0, &info);
    sl_trx_statement(trx, &info);
    sl_trx_status(trx, status);
}

static enum rws_target target_of(const struct rws_facts *f)
{
    return rws_rule_target(rws_decide(f));
}

static char letter(enum rws_target target)
{
    static const char letters[] = {
        [RWS_TARGET_PRIMARY] = 'P', [RWS_TARGET_REPLICA] = 'R', [RWS_TARGET_ALL] = 'A',
        [RWS_TARGET_LAST] = 'L',    [RWS_TARGET_TRX] = 'T',     [RWS_TARGET_FIXED] = 'F'};
    return letters[target];
}

static void set_up(enum situation at, struct sl_trx *trx, struct rws_facts *f)
{
    sl_trx_init(trx, true);
    *f = (struct rws_facts){.trx = trx};
    if (at == RW_TRX) {
        enter(trx, "BEGIN", SL_STATUS_AUTOCOMMIT | SL_STATUS_IN_TRANS);
        f->has_trx_server = true;
    } else if (at == RO_TRX) {
        enter(trx, "START TRANSACTION READ ONLY",
              SL_STATUS_AUTOCOMMIT | SL_STATUS_IN_TRANS | SL_STATUS_IN_TRANS_READONLY);
        f->has_trx_server = true;
    }
    f->variables_in_master = at == VARS_MASTER;
    f->no_replicas = at == NO_REPLICAS;
    f->is_locked = at == LOCKED;
}

static char decide_text(const char *sql, enum situation at)
{
    struct sl_trx trx;
    struct rws_facts f;
    struct sl_sql_info info;
    set_up(at, &trx, &f);
    sl_sql_classify((const uint8_t *)sql, strlen(sql), 0, &info);
    sl_trx_statement(&trx, &info);
    f.command = SL_COM_QUERY;
    f.type = info.type;
    f.op = info.op;
    f.is_multi = info.is_multi;
    return letter(target_of(&f));
}

static void test_statements(void **state)
{
    unsigned rows = 0, wrong = 0;
    for (unsigned g = 0; g < SL_ARRAY_LEN(groups); g++) {
        for (const char *const *sql = groups[g].statements; *sql; sql++, rows++) {
            char got[SITUATIONS + 1] = {0};
            for (enum situation at = NO_TRX; at < SITUATIONS; at++) {
                got[at] = decide_text(*sql, at);
            }
            if (strcmp(got, groups[g].targets) != 0) {
                print_error("%s: %s, expected %s\n", *sql, got, groups[g].targets);
                wrong++;
            }
        }
    }
    assert_int_equal(wrong, 0);
    assert_true(rows >= 250);
}

struct command_row {
    uint8_t command;
    const char *targets;
};

static const struct command_row command_rows[] = {
    {SL_COM_INIT_DB, "AAAAAA"},          {SL_COM_PING, "AAAAAA"},
    {SL_COM_RESET_CONNECTION, "AAAAAA"}, {SL_COM_SET_OPTION, "AAAAAA"},
    {SL_COM_REFRESH, "AAAAAA"},          {SL_COM_DEBUG, "AAAAAA"},
    {SL_COM_STMT_PREPARE, "AAAAAA"},     {SL_COM_STMT_RESET, "AAAAAA"},
    {SL_COM_STMT_CLOSE, "AAAAAA"},       {SL_COM_FIELD_LIST, "RPTRPP"},
    {SL_COM_STATISTICS, "PPTPPP"},       {SL_COM_PROCESS_INFO, "PPTPPP"},
    {SL_COM_SHUTDOWN, "PPTPPP"},         {SL_COM_CREATE_DB, "PPTPPP"},
    {SL_COM_DROP_DB, "PPTPPP"},          {SL_COM_TIME, "PPTPPP"},
    {SL_COM_BINLOG_DUMP, "PPTPPP"},      {SL_COM_REGISTER_SLAVE, "PPTPPP"},
};

static void test_commands(void **state)
{
    for (unsigned i = 0; i < SL_ARRAY_LEN(command_rows); i++) {
        for (enum situation at = NO_TRX; at < SITUATIONS; at++) {
            struct sl_trx trx;
            struct rws_facts f;
            set_up(at, &trx, &f);
            f.command = command_rows[i].command;
            char got = letter(target_of(&f));
            if (got != command_rows[i].targets[at]) {
                fail_msg("command %u, situation %d: %c", f.command, at, got);
            }
        }
    }
}

/* EXECUTE and its relatives go where the prepared text would. */
static void test_prepared_class(void **state)
{
    static const uint8_t commands[] = {SL_COM_STMT_EXECUTE, SL_COM_STMT_BULK_EXECUTE,
                                       SL_COM_STMT_SEND_LONG_DATA};
    for (unsigned i = 0; i < SL_ARRAY_LEN(commands); i++) {
        struct sl_trx trx;
        struct rws_facts f;
        set_up(NO_TRX, &trx, &f);
        f.command = commands[i];
        f.type = SL_SQL_READ;
        assert_int_equal(target_of(&f), RWS_TARGET_REPLICA);
        f.type = SL_SQL_WRITE;
        assert_int_equal(target_of(&f), RWS_TARGET_PRIMARY);
    }
}

static void test_autocommit_off(void **state)
{
    struct sl_trx trx;
    struct rws_facts f;
    set_up(NO_TRX, &trx, &f);
    enter(&trx, "SET autocommit=0", 0);
    f.command = SL_COM_QUERY;
    f.type = SL_SQL_READ;
    assert_int_equal(target_of(&f), RWS_TARGET_PRIMARY);
    f.type = SL_SQL_SESSION_WRITE;
    assert_int_equal(target_of(&f), RWS_TARGET_ALL);
    enter(&trx, "SET autocommit=1", SL_STATUS_AUTOCOMMIT);
    f.type = SL_SQL_READ;
    assert_int_equal(target_of(&f), RWS_TARGET_REPLICA);
}

/* A transaction that SET (SESSION) TRANSACTION has made read-only. */
static void test_read_only_by_default(void **state)
{
    static const char *const makers[] = {"SET SESSION TRANSACTION READ ONLY",
                                         "SET TRANSACTION READ ONLY"};
    for (unsigned i = 0; i < SL_ARRAY_LEN(makers); i++) {
        struct sl_trx trx;
        struct rws_facts f;
        struct sl_sql_info info;
        set_up(NO_TRX, &trx, &f);
        enter(&trx, makers[i], SL_STATUS_AUTOCOMMIT);
        sl_sql_classify((const uint8_t *)"BEGIN", 5, 0, &info);
        sl_trx_statement(&trx, &info);
        f.command = SL_COM_QUERY;
        f.type = info.type;
        f.op = info.op;
        assert_int_equal(target_of(&f), RWS_TARGET_REPLICA);
    }
}

static void test_temp_table_read(void **state)
{
    struct sl_trx trx;
    struct rws_facts f;
    set_up(NO_TRX, &trx, &f);
    f.command = SL_COM_QUERY;
    f.type = SL_SQL_READ;
    f.reads_temp_table = true;
    assert_int_equal(target_of(&f), RWS_TARGET_PRIMARY);
}

/* Why a statement goes there: what the session inspector shows. */
struct rule_row {
    const char *sql;
    enum situation at;
    enum rws_rule rule;
};

static const struct rule_row rule_rows[] = {
    {"SELECT 1", NO_TRX, RWS_RULE_READ},
    {"SELECT 1", RW_TRX, RWS_RULE_TRX_OPEN},
    {"SELECT 1", RO_TRX, RWS_RULE_TRX_READ_ONLY},
    {"SELECT 1", NO_REPLICAS, RWS_RULE_NO_REPLICAS},
    {"SELECT 1", LOCKED, RWS_RULE_LOCKED},
    {"SELECT @a", NO_TRX, RWS_RULE_READ},
    {"SELECT @a", VARS_MASTER, RWS_RULE_VARIABLES},
    {"SELECT 1 FOR UPDATE", NO_TRX, RWS_RULE_PRIMARY_READ},
    {"SELECT FOUND_ROWS()", NO_TRX, RWS_RULE_LAST},
    {"INSERT INTO t VALUES (1)", NO_TRX, RWS_RULE_WRITE},
    {"INSERT INTO t VALUES (1)", RW_TRX, RWS_RULE_TRX_OPEN},
    {"SELECT 1; SELECT 2", NO_TRX, RWS_RULE_MULTI},
    {"BEGIN", NO_TRX, RWS_RULE_TRX_CONTROL},
    {"COMMIT", RW_TRX, RWS_RULE_TRX_CONTROL},
    {"START TRANSACTION READ ONLY", NO_TRX, RWS_RULE_TRX_READ_ONLY_BEGINS},
    {"START TRANSACTION READ ONLY", NO_REPLICAS, RWS_RULE_TRX_READ_ONLY_PRIMARY},
    {"SET autocommit=0", NO_TRX, RWS_RULE_AUTOCOMMIT},
    {"SET NAMES utf8mb4", NO_TRX, RWS_RULE_SESSION_STATE},
    {"SET NAMES utf8mb4", LOCKED, RWS_RULE_SESSION_STATE},
    {"SET @a=1", NO_TRX, RWS_RULE_USERVAR},
    {"SET GLOBAL max_connections=10", NO_TRX, RWS_RULE_GLOBAL},
    {"SET TRANSACTION READ ONLY", NO_TRX, RWS_RULE_TRX_NEXT},
    {"PREPARE s FROM 'SELECT 1'", NO_TRX, RWS_RULE_PREPARE},
    {"what is this", NO_TRX, RWS_RULE_WRITE},
};

static void test_rules(void **state)
{
    for (unsigned i = 0; i < SL_ARRAY_LEN(rule_rows); i++) {
        const struct rule_row *row = &rule_rows[i];
        struct sl_trx trx;
        struct rws_facts f;
        struct sl_sql_info info;
        set_up(row->at, &trx, &f);
        sl_sql_classify((const uint8_t *)row->sql, strlen(row->sql), 0, &info);
        sl_trx_statement(&trx, &info);
        f.command = SL_COM_QUERY;
        f.type = info.type;
        f.op = info.op;
        f.is_multi = info.is_multi;
        enum rws_rule rule = rws_decide(&f);
        if (rule != row->rule) {
            fail_msg("%s, situation %d: %s", row->sql, row->at, rws_rule_text(rule));
        }
    }
    for (enum rws_rule rule = 0; rule < RWS_RULE_COUNT; rule++) {
        assert_non_null(rws_rule_text(rule));
    }
}

static void test_history(void **state)
{
    assert_true(rws_belongs_in_history(SL_COM_INIT_DB, 0, false));
    assert_true(rws_belongs_in_history(SL_COM_SET_OPTION, 0, false));
    assert_true(rws_belongs_in_history(SL_COM_STMT_PREPARE, 0, false));
    assert_true(rws_belongs_in_history(SL_COM_QUERY, SL_SQL_SESSION_WRITE, false));
    assert_true(rws_belongs_in_history(SL_COM_QUERY, SL_SQL_READ | SL_SQL_USERVAR_WRITE, false));
    assert_true(
        rws_belongs_in_history(SL_COM_QUERY, SL_SQL_GLOBAL_WRITE | SL_SQL_SESSION_WRITE, false));
    assert_false(rws_belongs_in_history(SL_COM_QUERY, SL_SQL_GLOBAL_WRITE, false));
    assert_false(rws_belongs_in_history(SL_COM_QUERY, SL_SQL_SESSION_WRITE, true));
    assert_false(rws_belongs_in_history(SL_COM_PING, 0, false));
    assert_false(rws_belongs_in_history(SL_COM_STMT_RESET, 0, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_prepared_class),
        cmocka_unit_test(test_autocommit_off),
        cmocka_unit_test(test_read_only_by_default),
        cmocka_unit_test(test_temp_table_read),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
