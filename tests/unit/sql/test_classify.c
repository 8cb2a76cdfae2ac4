/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classes of statements, as a table: one row says what a group of statements must be. The rows
 * follow the routing table in docs/internals/classifier.md. Details beyond type and op:
 * test_classify_detail.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "sql/classify.h"

struct group {
    const char *what;
    unsigned mode;
    uint32_t type;
    enum sl_sql_op op;
    const char *const *statements;
};

#define G(what, mode, type, op, ...)                                                               \
    {                                                                                              \
        what, mode, type, SL_SQL_OP_##op, (const char *const[])                                    \
        {                                                                                          \
            __VA_ARGS__, NULL                                                                      \
        }                                                                                          \
    }

#define READ SL_SQL_READ
#define WRITE SL_SQL_WRITE
#define PRIMARY (SL_SQL_READ | SL_SQL_PRIMARY_READ)
#define SESSION SL_SQL_SESSION_WRITE
#define COMMITS (SL_SQL_WRITE | SL_SQL_IMPLICIT_COMMIT)
#define UREAD SL_SQL_USERVAR_READ
#define UWRITE SL_SQL_USERVAR_WRITE
#define SYSREAD SL_SQL_SYSVAR_READ

static const struct group groups[] = {
    G("plain reads", 0, READ, SELECT, "SELECT 1", "select 1;", "  SELECT 1 ;  ", "SELECT 1;;;",
      "SELECT c FROM sbtest1 WHERE id=5001", "SELECT * FROM t",
      "SELECT a, b FROM db.t AS x WHERE x.a > 1",
      "SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN 1 AND 100 ORDER BY c",
      "SELECT * FROM a JOIN b USING (id) LEFT JOIN c ON (a.id = c.id)",
      "SELECT * FROM t WHERE a IN (1,2,3) AND (b = 'x' OR NOT (c))",
      "SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u) OR a = ANY (SELECT 2) OR b > ALL (SELECT 3)",
      "SELECT * FROM t USE INDEX (i) FORCE INDEX FOR JOIN (j) IGNORE KEY FOR ORDER BY (k)",
      "SELECT * FROM t PARTITION (p0, p1)",
      "SELECT * FROM t FOR SYSTEM_TIME AS OF TIMESTAMP '2020-01-01'",
      "SELECT * FROM t FOR SYSTEM_TIME ALL", "SELECT * FROM t FOR SYSTEM_TIME BETWEEN (1) AND (2)",
      "SELECT a FROM t GROUP BY (a) HAVING (a > 1) ORDER BY (a) LIMIT 1 OFFSET 2",
      "SELECT SQL_NO_CACHE a FROM t", "SELECT SQL_CALC_FOUND_ROWS (a) FROM t",
      "SELECT HIGH_PRIORITY 1", "SELECT STRAIGHT_JOIN a FROM t", "SELECT DISTINCT (a) FROM t",
      "SELECT ROW(1,2) = ROW(3,4)", "SELECT CASE WHEN (a) THEN (b) ELSE (c) END FROM t",
      "SELECT a DIV (b), a MOD (b), a XOR (b) FROM t",
      "SELECT 'it''s', \"a \"\"b\"\"\", 'back\\'slash'",
      "SELECT x'41', b'01', N'nat', _utf8'x', 0x41, 0b11", "SELECT 1.5, .5, 1e10, 1.5e-3, 5 .5",
      "SELECT `a``b` FROM `t`", "SELECT ?", "SELECT -1, +2, ~3, !4", "SELECT a->b FROM t",
      "(SELECT 1)", "((SELECT 1))", "(SELECT 1) UNION (SELECT 2)",
      "SELECT 1 UNION ALL SELECT 2 EXCEPT SELECT 3 INTERSECT SELECT 4", "VALUES (1,2),(3,4)",
      "TABLE t", "SELECT * FROM t LIMIT (1)", "SELECT 'FOR UPDATE', \"INTO OUTFILE\"",
      "SELECT a INTERVAL FROM t", "SELECT t.update, t.into FROM t", "SELECT * FROM t AS dt (a, b)",
      "SELECT * FROM (SELECT 1) AS dt (a)", "SELECT * FROM (SELECT 1) dt (a)", "SELECT next FROM t",
      "SELECT next value FROM t", "SELECT lock_x FROM t", "SELECT 1 FROM DUAL",
      "SELECT a FROM t WHERE b LIKE ('x') ESCAPE ('y') AND c REGEXP ('z') AND d RLIKE ('w')",
      "SELECT a FROM t WHERE b IS NOT NULL AND c BETWEEN (1) AND (2)",
      "SELECT a FROM t WHERE MATCH (b) AGAINST ('x' IN BOOLEAN MODE)",
      "SELECT a FROM t FETCH FIRST 1 ROWS ONLY", "SELECT 1 LIMIT ROWS EXAMINED 5",
      "SELECT a COLLATE utf8_bin, BINARY (a) FROM t"),
    G("safe functions", 0, READ, SELECT, "SELECT COUNT(*), SUM(a), MIN(b), MAX(c), AVG(d) FROM t",
      "SELECT count(distinct a), group_concat(a ORDER BY b SEPARATOR ',') FROM t",
      "SELECT NOW(), NOW(6)",
      "SELECT CURRENT_TIMESTAMP, CURRENT_TIMESTAMP(6), LOCALTIME(), UTC_DATE()",
      "SELECT UUID(), RAND(), RAND(5)", "SELECT SLEEP(1)", "SELECT BENCHMARK(10, MD5('x'))",
      "SELECT CONNECTION_ID(), USER(), DATABASE(), VERSION()",
      "SELECT SCHEMA(), SESSION_USER(), SYSTEM_USER(), CURRENT_USER(), CURRENT_ROLE()",
      "SELECT MASTER_GTID_WAIT('0-1-2', 1)", "SELECT MASTER_POS_WAIT('x', 1)",
      "SELECT UUID_SHORT(), SYS_GUID()",
      "SELECT CONCAT('a', UPPER('b'), LEFT(c, 1), RIGHT (d, 2)), SUBSTRING(a, 1, 2) FROM t",
      "SELECT REPLACE(a, 'x', 'y'), INSERT(a, 1, 2, 'z'), REPEAT('x', 3), IF(1, 2, 3), "
      "TRUNCATE(1.2, 1)",
      "SELECT REPLACE (a, 'x', 'y'), IF (1, 2, 3)", "SELECT ABS (1)", "SELECT abs\n(1)",
      "SELECT abs/**/(1)",
      "SELECT CAST(a AS CHAR(10)), CAST(b AS DECIMAL(10,2)), CONVERT(c, SIGNED), CONVERT(d USING "
      "utf8mb4) FROM t",
      "SELECT CAST(a AS UNSIGNED), CAST(b AS DATETIME(6)), CAST(c AS NCHAR(5)), CAST(d AS "
      "BINARY(4)) FROM t",
      "SELECT DATE_ADD(a, INTERVAL 1 DAY), DATE(a), TIME(a), YEAR(a), EXTRACT(YEAR FROM a) FROM t",
      "SELECT a + INTERVAL (1) DAY, INTERVAL(1, 2, 3) FROM t",
      "SELECT TIMESTAMPDIFF(DAY, a, b), TIMESTAMP(a) FROM t",
      "SELECT JSON_EXTRACT(a, '$.b'), JSON_VALUE(a, '$'), JSON_ARRAYAGG(b) FROM t",
      "SELECT * FROM JSON_TABLE('[1]', '$[*]' COLUMNS (a INT PATH '$', NESTED PATH '$' COLUMNS (b "
      "VARCHAR(5) PATH '$'))) jt",
      "SELECT ST_AsText(g), ST_Distance(a, b), MBRContains(a, b), POINT(1, 2), X(g), Y(g) FROM t",
      "SELECT ROW_NUMBER() OVER (ORDER BY a), RANK() OVER w, LAG(a, 1) OVER (PARTITION BY b) FROM "
      "t WINDOW w AS (ORDER BY c)",
      "SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY a) OVER (PARTITION BY b) FROM t",
      "SELECT AES_ENCRYPT('a', 'b'), SHA2('a', 256), MD5('x'), PASSWORD('x'), ENCODE('a', 'b')",
      "SELECT INET_ATON('1.2.3.4'), INET6_NTOA(x), IS_IPV4('x') FROM t",
      "SELECT TRIM(LEADING 'x' FROM a) FROM t",
      "SELECT COLUMN_GET(a, 'b' AS CHAR(5)), COLUMN_JSON(a) FROM t",
      "SELECT COALESCE(a, b), IFNULL(a, b), NULLIF(a, b), NVL(a, b) FROM t",
      "SELECT REGEXP_REPLACE(a, 'b', 'c'), FIELD(a, 'b'), ELT(1, 'x'), FIND_IN_SET('a', b) FROM t",
      "SELECT WEIGHT_STRING(a AS CHAR(3)) FROM t",
      "SELECT GET_FORMAT(DATE, 'EUR'), CHAR(65, 66), ASCII('a'), ORD('b')",
      "SELECT FORMAT(1, 2), HEX(1), UNHEX('41'), CONV(1, 10, 2), CRC32('x'), TO_BASE64('x')",
      "SELECT DEFAULT(a), VALUES(b) FROM t", "SELECT mod(5, 3), char(65)",
      "SELECT LAST_VALUE(a) OVER (ORDER BY b), FIRST_VALUE(a) OVER (ORDER BY b), NTH_VALUE(a, 2) "
      "OVER () FROM t"),
    G("ignore_space: a blank before '(' makes no difference", SL_SQL_IGNORE_SPACE, READ, SELECT,
      "SELECT COUNT (*) FROM t", "SELECT NOW ()", "SELECT SUBSTRING (a, 1) FROM t"),
    G("functions only the primary answers right", 0, PRIMARY, SELECT, "SELECT f()", "SELECT f (1)",
      "SELECT db.f(1)", "SELECT `f`(1)", "SELECT `db`.`f` (1)", "SELECT db.abs(1)",
      "SELECT my_udf(a) FROM t", "SELECT count (*) FROM t", "SELECT NOW ()",
      "SELECT 1 FROM t WHERE a = f(b)", "SELECT 1 + f(2) UNION SELECT 3", "SELECT ABS(f(1))",
      "SELECT 2f(1)", "SELECT LAST_INSERT_ID()", "SELECT last_insert_id(5)",
      "SELECT RELEASE_LOCK('a')", "SELECT IS_FREE_LOCK('a')", "SELECT IS_USED_LOCK('a')",
      "SELECT RELEASE_ALL_LOCKS()", "SELECT NEXTVAL(s)", "SELECT LASTVAL(s)", "SELECT SETVAL(s, 5)",
      "SELECT NEXT VALUE FOR s", "SELECT PREVIOUS VALUE FOR s", "SELECT next/**/value for db.s",
      "SELECT s.nextval", "SELECT s.currval FROM dual", "SELECT WSREP_LAST_SEEN_GTID()",
      "SELECT BINLOG_GTID_POS('a', 4)", "SELECT f/**/(1)", "SELECT f -- x\n(1)", "SELECT (1), g(2)",
      "SELECT a.b.c(1)", "SELECT IF(1, f(2), 3)", "SELECT CASE WHEN f(1) THEN 2 END",
      "WITH x AS (SELECT f(1)) SELECT * FROM x", "VALUES (f(1))",
      "SELECT * FROM t WHERE a IN (1,2,3,f(4))", "SELECT 1,2,3, 4f(5)",
      "SELECT ST_NOSUCH(g) FROM t", "SELECT * FROM t PROCEDURE ANALYSE(1, 2)", "SELECT uuid_v7()",
      "SELECT 'a', f(1)", "SELECT 'a' , 1, (f(1))", "SELECT 'a' + f(1)", "SELECT a IN ('b', f(1))",
      "SELECT (1), (f(1))", "SELECT (1) + f(1)", "SELECT 'a' || f(1)", "SELECT ('a') = f(1)",
      "SELECT 1 FROM t WHERE a = 'x' AND f(1)", "SELECT 1 FROM t WHERE (a) AND f(1)",
      "SELECT 1 AS a, f(1)", "SELECT 1, 2 . 5, f(1)"),
    G("locking reads", 0, PRIMARY, SELECT, "SELECT * FROM t FOR UPDATE",
      "SELECT * FROM t LOCK IN SHARE MODE", "SELECT * FROM t FOR SHARE",
      "SELECT * FROM t WHERE a = 1 FOR UPDATE NOWAIT", "SELECT * FROM t FOR UPDATE SKIP LOCKED",
      "SELECT * FROM t FOR UPDATE WAIT 5", "(SELECT * FROM t FOR UPDATE) UNION (SELECT 2)",
      "SELECT * FROM t for\nupdate", "SELECT * FROM t FOR /* x */ UPDATE",
      "WITH a AS (SELECT 1) SELECT * FROM a FOR UPDATE",
      "SELECT * FROM (SELECT * FROM t LOCK IN SHARE MODE) x"),
    G("named lock", 0, PRIMARY | SL_SQL_GET_LOCK, SELECT, "SELECT GET_LOCK('a', 1)",
      "SELECT get_lock ('a', 1)"),
    G("named lock in a write", 0, WRITE | SL_SQL_GET_LOCK, INSERT,
      "INSERT INTO t SELECT GET_LOCK('a', 1)"),
    G("named lock in DO", 0, WRITE | SL_SQL_GET_LOCK, DO, "DO GET_LOCK('a', 1)"),
    G("server of the statement before", 0, READ | SL_SQL_LAST, SELECT, "SELECT FOUND_ROWS()",
      "SELECT ROW_COUNT()", "select found_rows () as n"),
    G("diagnostics of the statement before", 0, READ | SL_SQL_LAST, SHOW, "SHOW WARNINGS",
      "SHOW ERRORS LIMIT 5", "SHOW COUNT(*) WARNINGS", "SHOW COUNT(*) ERRORS", "SHOW PROFILE",
      "SHOW PROFILES"),
    G("get diagnostics", 0, READ | SL_SQL_LAST | UWRITE, OTHER, "GET DIAGNOSTICS @n = NUMBER",
      "GET CURRENT DIAGNOSTICS CONDITION 1 @e = MYSQL_ERRNO, @m = MESSAGE_TEXT"),
    G("into a file", 0, WRITE, SELECT, "SELECT * INTO OUTFILE '/tmp/x' FROM t",
      "SELECT a FROM t INTO DUMPFILE 'x'",
      "SELECT * FROM t INTO OUTFILE 'x' FIELDS TERMINATED BY ','"),
    G("into variables", 0, READ | UWRITE, SELECT, "SELECT 1 INTO @a",
      "SELECT a, b INTO @a, @b FROM t", "SELECT 1 FROM t INTO @`x`"),
    G("user variables read", 0, READ | UREAD, SELECT, "SELECT @a",
      "SELECT * FROM t WHERE a = @`b c`", "SELECT @'x', @\"y\"", "SELECT@a",
      "SELECT a FROM t LIMIT 1 OFFSET 2 UNION SELECT @b", "SELECT @a.b", "SELECT 1 IN (1,2,@c)"),
    G("user variables assigned", 0, READ | UWRITE, SELECT, "SELECT @a := 1", "SELECT @a:=@b:=2",
      "SELECT a FROM t WHERE (@x := a)"),
    G("user variables both", 0, READ | UWRITE | UREAD, SELECT, "SELECT @a := @a + 1 FROM t",
      "SELECT @a, @b := 2"),
    G("system variables", 0, READ | SYSREAD, SELECT, "SELECT @@version",
      "SELECT @@global.a, @@session.b", "SELECT @@local.x", "SELECT @@`sql_mode`",
      "select @@version_comment limit 1", "SELECT @@session . autocommit"),
    G("system variables of the primary", 0, PRIMARY | SYSREAD, SELECT, "SELECT @@identity",
      "SELECT @@last_insert_id", "SELECT @@last_gtid", "SELECT @@session.last_insert_id"),
    G("common table expressions", 0, READ, SELECT, "WITH a AS (SELECT 1) SELECT * FROM a",
      "WITH RECURSIVE a (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a WHERE n < 5) SELECT * FROM "
      "a",
      "WITH a (x, y) AS (SELECT 1, 2), b (z) AS (SELECT 3) SELECT * FROM a, b",
      "WITH a AS (SELECT 1) (SELECT * FROM a)", "WITH `a` (x) AS (SELECT 1) SELECT * FROM a",
      "WITH a AS (SELECT 1) VALUES (1)"),
    G("common table expression in an update", 0, WRITE, UPDATE,
      "WITH a AS (SELECT 1) UPDATE t SET x = 1"),
    G("common table expression in a delete", 0, WRITE, DELETE,
      "WITH a AS (SELECT 1) DELETE FROM t"),

    G("insert", 0, WRITE, INSERT, "INSERT INTO t VALUES (1)",
      "INSERT INTO t (a, b) VALUES (1, 'x;y')", "insert t set a = 1",
      "INSERT INTO t SELECT * FROM u FOR UPDATE", "INSERT IGNORE INTO t VALUES (f(1))",
      "INSERT INTO t VALUES (1) RETURNING a",
      "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a)",
      "INSERT INTO t WITH a AS (SELECT 1) SELECT * FROM a",
      "INSERT DELAYED INTO db.t VALUES ('a''b', \"c\"), ('\\'', -1)", "INSERT INTO t () VALUES ()"),
    G("replace", 0, WRITE, REPLACE, "REPLACE INTO t VALUES (1)", "REPLACE t SET a = 1"),
    G("update", 0, WRITE, UPDATE, "UPDATE t SET a = 1",
      "UPDATE t, u SET t.a = u.b WHERE t.id = u.id", "UPDATE LOW_PRIORITY t SET a = a + 1",
      "UPDATE t SET a = LAST_INSERT_ID(a + 1)"),
    G("delete", 0, WRITE, DELETE, "DELETE FROM t", "DELETE a, b FROM a JOIN b",
      "DELETE FROM a USING a JOIN b", "DELETE HISTORY FROM t"),
    G("DML that reads a variable", 0, WRITE | UREAD, INSERT, "INSERT INTO t VALUES (@a)"),
    G("DML that assigns a variable", 0, WRITE | UWRITE, UPDATE, "UPDATE t SET a = (@b := 1)"),
    G("load", 0, WRITE, LOAD, "LOAD DATA INFILE 'x' INTO TABLE t",
      "LOAD XML INFILE 'x' INTO TABLE t", "LOAD DATA CONCURRENT INFILE 'x' INTO TABLE t"),
    G("load local", 0, WRITE | SL_SQL_LOAD_LOCAL, LOAD, "LOAD DATA LOCAL INFILE 'x' INTO TABLE t",
      "load data low_priority local infile 'x' into table t",
      "LOAD XML LOCAL INFILE 'x' INTO TABLE t"),
    G("call", 0, WRITE, CALL, "CALL p()", "CALL p", "CALL db.p(1, 'a')"),
    G("do", 0, WRITE, DO, "DO 1", "DO SLEEP(1)", "DO RELEASE_LOCK('a')"),
    G("handler", 0, WRITE, HANDLER, "HANDLER t OPEN", "HANDLER t READ FIRST", "HANDLER t CLOSE"),

    G("DDL commits", 0, COMMITS, DDL, "CREATE TABLE t (a INT)",
      "CREATE TABLE IF NOT EXISTS db.t LIKE u", "CREATE OR REPLACE TABLE t (a INT)",
      "CREATE TABLE t SELECT * FROM u", "CREATE INDEX i ON t (a)", "CREATE UNIQUE INDEX i ON t (a)",
      "CREATE DATABASE d", "CREATE SCHEMA d", "CREATE VIEW v AS SELECT 1",
      "CREATE OR REPLACE ALGORITHM=MERGE DEFINER=`a`@`b` VIEW v AS SELECT f(1)",
      "CREATE SEQUENCE s", "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'x')",
      "ALTER TABLE t ADD a INT", "ALTER DATABASE d CHARACTER SET utf8", "ALTER VIEW v AS SELECT 1",
      "ALTER SEQUENCE s RESTART", "ALTER ONLINE TABLE t DROP a", "TRUNCATE TABLE t", "TRUNCATE t",
      "RENAME TABLE a TO b", "DROP DATABASE d", "DROP VIEW v", "DROP INDEX i ON t",
      "DROP PROCEDURE p", "DROP FUNCTION IF EXISTS f", "DROP TRIGGER x", "DROP EVENT e",
      "CREATE FUNCTION f RETURNS STRING SONAME 'x.so'"),
    G("drop table", 0, COMMITS | SL_SQL_DROP_TABLE, DDL, "DROP TABLE t",
      "DROP TABLE IF EXISTS a, b", "DROP TABLES a", "DROP SEQUENCE s"),
    G("temporary tables do not commit", 0, WRITE | SL_SQL_CREATE_TEMP, DDL,
      "CREATE TEMPORARY TABLE t (a INT)", "CREATE OR REPLACE TEMPORARY TABLE t SELECT 1",
      "CREATE TEMPORARY TABLE IF NOT EXISTS t LIKE u", "CREATE TEMPORARY SEQUENCE s",
      "create /* x */ temporary table t (a int)"),
    G("drop temporary table", 0, WRITE | SL_SQL_DROP_TABLE, DDL, "DROP TEMPORARY TABLE t",
      "DROP TEMPORARY TABLE IF EXISTS a, b", "DROP TEMPORARY SEQUENCE s"),
    G("routines are one statement", 0, COMMITS, DDL,
      "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END",
      "CREATE PROCEDURE p() BEGIN IF a THEN SELECT 1; END IF; SELECT 2; END;",
      "CREATE DEFINER=`r`@`h` PROCEDURE p(IN a INT) BEGIN DECLARE x INT; WHILE x DO SET x = 1; END "
      "WHILE; END",
      "CREATE PROCEDURE p() BEGIN CASE a WHEN 1 THEN SELECT 1; ELSE SELECT 2; END CASE; LOOP "
      "SELECT 3; END LOOP; END",
      "CREATE PROCEDURE p() l: BEGIN BEGIN SELECT 1; END; REPEAT SELECT 2; UNTIL 1 END REPEAT; END "
      "l",
      "CREATE PROCEDURE p() BEGIN SELECT CASE WHEN 1 THEN 2 END; SELECT IF(1, 2, 3); END",
      "CREATE PROCEDURE p() BEGIN FOR i IN 1..5 DO SELECT i; END FOR; END",
      "CREATE FUNCTION f() RETURNS INT RETURN 1",
      "CREATE FUNCTION f() RETURNS INT BEGIN RETURN 1; END",
      "CREATE OR REPLACE FUNCTION IF NOT EXISTS f() RETURNS INT BEGIN SET a = 1; RETURN a; END",
      "CREATE AGGREGATE FUNCTION f(x INT) RETURNS INT BEGIN LOOP FETCH GROUP NEXT ROW; END LOOP; "
      "END",
      "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
      "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW BEGIN SET NEW.a = 1; SET NEW.b = 2; END",
      "CREATE TRIGGER x AFTER DELETE ON t FOR EACH ROW IF OLD.a THEN SET @a = 1; END IF",
      "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO BEGIN DELETE FROM t; DELETE FROM u; END",
      "CREATE PROCEDURE p() SELECT ';'", "ALTER EVENT e DO BEGIN SELECT 1; SELECT 2; END",
      "CREATE PROCEDURE p() IF a THEN SELECT 1; SELECT 2; END IF"),
    G("routines in Oracle mode", SL_SQL_ORACLE, COMMITS, DDL,
      "CREATE PROCEDURE p AS x INT; BEGIN SELECT 1; END;",
      "CREATE OR REPLACE PACKAGE b AS PROCEDURE p; FUNCTION f RETURN INT; END;"),
    G("compound", 0, WRITE, COMPOUND, "BEGIN NOT ATOMIC SELECT 1; SELECT 2; END",
      "IF 1 THEN SELECT 1; END IF", "WHILE 0 DO SELECT 1; END WHILE", "LOOP SELECT 1; END LOOP;",
      "REPEAT SELECT 1; UNTIL 1 END REPEAT", "CASE 1 WHEN 1 THEN SELECT 1; END CASE",
      "FOR i IN 1..3 DO SELECT i; END FOR"),
    G("compound in Oracle mode", SL_SQL_ORACLE, WRITE, COMPOUND, "BEGIN SELECT 1; END;", "BEGIN",
      "DECLARE x INT; BEGIN SELECT 1; END"),
    G("labelled block", 0, WRITE, UNKNOWN, "l: BEGIN NOT ATOMIC SELECT 1; SELECT 2; END"),

    G("accounts", 0, COMMITS, GRANT, "GRANT ALL ON *.* TO 'a'@'b'", "REVOKE r FROM u",
      "CREATE USER a@b IDENTIFIED BY 'x'", "CREATE OR REPLACE USER a", "DROP USER IF EXISTS a",
      "ALTER USER a@`b` ACCOUNT LOCK", "RENAME USER a TO b", "CREATE ROLE r", "DROP ROLE r"),
    G("administration that commits", 0, COMMITS, ADMIN, "ANALYZE TABLE t",
      "ANALYZE NO_WRITE_TO_BINLOG TABLE t", "ANALYZE LOCAL TABLES a, b", "OPTIMIZE TABLE t",
      "REPAIR TABLE t", "CHECK TABLE t", "CACHE INDEX t IN c", "LOAD INDEX INTO CACHE t",
      "RESET MASTER", "RESET SLAVE ALL", "INSTALL SONAME 'x'", "UNINSTALL PLUGIN x",
      "BACKUP STAGE START", "BACKUP LOCK t"),
    G("administration", 0, WRITE, ADMIN, "START SLAVE", "STOP ALL SLAVES", "START REPLICA 'x'",
      "CHANGE MASTER TO MASTER_HOST='x'", "PURGE BINARY LOGS TO 'x'", "SHUTDOWN", "BINLOG 'abc'"),
    G("reset query cache", 0, SESSION | SL_SQL_IMPLICIT_COMMIT, ADMIN, "RESET QUERY CACHE"),
    G("flush", 0, COMMITS, FLUSH, "FLUSH TABLES", "FLUSH PRIVILEGES", "FLUSH TABLES WITH READ LOCK",
      "FLUSH LOCAL LOGS"),
    G("lock", 0, COMMITS, LOCK, "LOCK TABLES t READ", "LOCK TABLE a WRITE, b READ"),
    G("unlock", 0, WRITE, UNLOCK, "UNLOCK TABLES"),
    G("checksum", 0, PRIMARY, OTHER, "CHECKSUM TABLE t"),
    G("help", 0, READ, OTHER, "HELP 'contents'"),
    G("signal", 0, WRITE, OTHER, "SIGNAL SQLSTATE '45000'", "RESIGNAL"),

    G("show", 0, READ, SHOW, "SHOW TABLES", "SHOW FULL TABLES FROM d", "SHOW DATABASES LIKE 'x'",
      "SHOW CREATE TABLE t", "SHOW CREATE PROCEDURE p", "SHOW STATUS",
      "SHOW GLOBAL STATUS LIKE 'x'", "SHOW PROCESSLIST", "SHOW FULL PROCESSLIST",
      "SHOW SLAVE STATUS", "SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW COLUMNS FROM t",
      "SHOW FULL FIELDS FROM t", "SHOW GRANTS", "SHOW GRANTS FOR 'a'@'b'", "SHOW ENGINES",
      "SHOW ENGINE INNODB STATUS", "SHOW PLUGINS", "SHOW TRIGGERS", "SHOW EVENTS", "SHOW COLLATION",
      "SHOW CHARACTER SET", "SHOW TABLE STATUS", "SHOW OPEN TABLES", "SHOW FUNCTION STATUS",
      "SHOW PRIVILEGES", "SHOW TABLES WHERE LENGTH(a) > 1", "SHOW CREATE USER a@b"),
    G("show of the primary", 0, PRIMARY, SHOW, "SHOW MASTER STATUS", "SHOW BINLOG STATUS",
      "SHOW BINARY LOGS", "SHOW MASTER LOGS", "SHOW BINLOG EVENTS", "SHOW SLAVE HOSTS",
      "SHOW REPLICA HOSTS", "SHOW INDEX FROM t", "SHOW KEYS FROM t", "SHOW INDEXES IN t",
      "SHOW EXPLAIN FOR 5", "SHOW ANALYZE FOR 5"),
    G("show variables", 0, READ | SYSREAD, SHOW, "SHOW VARIABLES", "SHOW GLOBAL VARIABLES LIKE 'x'",
      "SHOW SESSION VARIABLES", "SHOW LOCAL VARIABLES WHERE 1"),
    G("explain", 0, READ, EXPLAIN, "EXPLAIN SELECT 1", "EXPLAIN UPDATE t SET a = @b",
      "EXPLAIN EXTENDED SELECT f(1)", "EXPLAIN FORMAT=JSON DELETE FROM t",
      "EXPLAIN PARTITIONS SELECT 1", "DESCRIBE t", "DESC t a", "EXPLAIN t", "DESCRIBE SELECT 1",
      "EXPLAIN INSERT INTO t VALUES (1)", "EXPLAIN SELECT * FROM t FOR UPDATE", "ANALYZE SELECT 1",
      "ANALYZE FORMAT=JSON SELECT * FROM t", "EXPLAIN ANALYZE SELECT 1"),
    G("explain of a connection", 0, PRIMARY, EXPLAIN, "EXPLAIN FOR CONNECTION 5",
      "EXPLAIN FORMAT=JSON FOR CONNECTION 5"),
    G("analyze executes", 0, WRITE, EXPLAIN, "ANALYZE UPDATE t SET a = 1",
      "ANALYZE FORMAT=JSON DELETE FROM t", "ANALYZE INSERT INTO t VALUES (1)",
      "EXPLAIN ANALYZE DELETE FROM t"),
    G("analyze of a locking read", 0, PRIMARY, EXPLAIN, "ANALYZE SELECT * FROM t FOR UPDATE"),

    G("set session variables", 0, SESSION, SET, "SET sql_log_bin = 0",
      "SET SESSION wait_timeout = 5", "SET @@wait_timeout = 5", "SET @@session.x = 1",
      "SET LOCAL x = 1", "SET @@local.x = ON", "SET NAMES utf8mb4",
      "SET NAMES utf8 COLLATE utf8_bin", "SET NAMES 'utf8'", "SET CHARACTER SET utf8",
      "SET CHARSET utf8", "SET character_set_client = utf8", "SET a = 1, b = 2",
      "SET timestamp = 5", "SET ROLE r", "SET ROLE NONE", "SET sql_mode = ''",
      "SET sql_mode = 'ANSI'", "SET foreign_key_checks = 0;", "SET x := 1",
      "SET sql_mode = (SELECT 'x')", "SET time_zone = '+00:00', NAMES utf8",
      "SET autocommit = DEFAULT", "SET hot_cache.key_buffer_size = 1"),
    G("set with a system variable", 0, SESSION | SYSREAD, SET,
      "SET sql_mode = CONCAT(@@sql_mode, ',X')", "SET autocommit = @@global.autocommit"),
    G("set global", 0, SL_SQL_GLOBAL_WRITE, SET, "SET GLOBAL max_connections = 5",
      "SET @@global.x = 1", "SET GLOBAL a = 1, b = 2", "SET GLOBAL autocommit = 0",
      "SET GLOBAL TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET GLOBAL TRANSACTION READ ONLY",
      "SET GLOBAL hot.key_buffer_size = 5"),
    G("set mixed", 0, SESSION | SL_SQL_GLOBAL_WRITE, SET, "SET a = 1, GLOBAL b = 2",
      "SET @@global.a = 1, @@session.b = 2", "SET GLOBAL a = 1, SESSION b = 2"),
    G("set user variables", 0, SESSION | UWRITE, SET, "SET @a = 1", "SET @a := 1, @b = 'x'",
      "SET @`x y` = NOW()", "SET @a = (SELECT 1)", "SET @a=1, sql_mode=''"),
    G("set user variables from others", 0, SESSION | UWRITE | UREAD, SET, "SET @a = @b + 1"),
    G("set user variables from the primary", 0, SESSION | UWRITE | SL_SQL_PRIMARY_READ, SET,
      "SET @a = LAST_INSERT_ID()", "SET @a = f(1)", "SET @a = NEXTVAL(s)"),
    G("set accounts", 0, COMMITS, SET, "SET PASSWORD = PASSWORD('x')", "SET PASSWORD FOR a@b = 'x'",
      "SET DEFAULT ROLE r", "SET DEFAULT ROLE r FOR u@h"),
    G("set not understood", 0, WRITE, SET, "SET", "SET PERSIST x = 1", "SET 5", "SET = 1",
      "SET FOO BAR"),
    G("set statement", 0, READ, SELECT, "SET STATEMENT max_statement_time = 1 FOR SELECT 1",
      "SET STATEMENT a = 1, b = 'x' FOR (SELECT 1)"),
    G("set statement for a write", 0, WRITE, UPDATE, "SET STATEMENT a = 1 FOR UPDATE t SET b = 2"),
    G("set statement without one", 0, WRITE, UNKNOWN, "SET STATEMENT a = 1",
      "SET STATEMENT a = 1 FOR"),
    G("autocommit off", 0, SESSION | SL_SQL_AUTOCOMMIT_OFF, SET, "SET autocommit=0",
      "SET AUTOCOMMIT = OFF", "SET autocommit = FALSE", "SET autocommit='off'",
      "SET @@autocommit = 0", "SET @@session.autocommit=0", "SET SESSION autocommit = 0",
      "SET LOCAL autocommit = \"OFF\"", "SET a=1, autocommit=0", "SET autocommit=1, autocommit=0",
      "set `autocommit` = 0", "SET @@SESSION.`autocommit` = Off", "SET NAMES utf8, autocommit=0"),
    G("autocommit on", 0, SESSION | SL_SQL_AUTOCOMMIT_ON, SET, "SET autocommit=1",
      "SET autocommit = ON", "SET @@autocommit = true", "SET @@local.autocommit = 1",
      "SET autocommit=0, autocommit=1", "SET autocommit := 1", "SET/*x*/autocommit=1"),
    G("next transaction read only", 0, WRITE | SL_SQL_TRX_NEXT | SL_SQL_TRX_READ_ONLY, SET,
      "SET TRANSACTION READ ONLY"),
    G("next transaction read write", 0, WRITE | SL_SQL_TRX_NEXT | SL_SQL_TRX_READ_WRITE, SET,
      "SET TRANSACTION READ WRITE"),
    G("next transaction by variable", 0, SESSION | SL_SQL_TRX_NEXT | SL_SQL_TRX_READ_ONLY, SET,
      "SET @@tx_read_only = 1", "SET @@transaction_read_only = ON"),
    G("next isolation", 0, WRITE | SL_SQL_TRX_NEXT | SL_SQL_ISOLATION, SET,
      "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
      "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"),
    G("next isolation and access", 0,
      WRITE | SL_SQL_TRX_NEXT | SL_SQL_ISOLATION | SL_SQL_TRX_READ_ONLY, SET,
      "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY",
      "SET TRANSACTION READ ONLY, ISOLATION LEVEL REPEATABLE READ"),
    G("next serializable", 0, WRITE | SL_SQL_TRX_NEXT | SL_SQL_ISOLATION | SL_SQL_SERIALIZABLE, SET,
      "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
    G("session serializable", 0, SESSION | SL_SQL_ISOLATION | SL_SQL_SERIALIZABLE, SET,
      "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
      "SET LOCAL TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET tx_isolation = 'SERIALIZABLE'",
      "SET SESSION transaction_isolation = 'serializable'",
      "SET @@session.tx_isolation = SERIALIZABLE"),
    G("session isolation", 0, SESSION | SL_SQL_ISOLATION, SET,
      "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
      "SET tx_isolation = 'READ-COMMITTED'"),
    G("session read only", 0, SESSION | SL_SQL_TRX_READ_ONLY, SET,
      "SET SESSION TRANSACTION READ ONLY", "SET tx_read_only = 1",
      "SET SESSION transaction_read_only = ON"),
    G("session read write", 0, SESSION | SL_SQL_TRX_READ_WRITE, SET,
      "SET SESSION TRANSACTION READ WRITE", "SET SESSION tx_read_only = 0"),
    G("use", 0, SESSION, USE, "USE d", "USE `d`", "use d;"),

    G("begin", 0, SL_SQL_TRX_BEGIN, BEGIN, "BEGIN", "begin work", "START TRANSACTION",
      "START TRANSACTION WITH CONSISTENT SNAPSHOT", "BEGIN;", "/* x */ BEGIN -- y"),
    G("begin read only", 0, SL_SQL_TRX_BEGIN | SL_SQL_TRX_READ_ONLY, BEGIN,
      "START TRANSACTION READ ONLY", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
      "START TRANSACTION READ ONLY, WITH CONSISTENT SNAPSHOT"),
    G("begin read write", 0, SL_SQL_TRX_BEGIN | SL_SQL_TRX_READ_WRITE, BEGIN,
      "START TRANSACTION READ WRITE"),
    G("commit", 0, SL_SQL_TRX_COMMIT, COMMIT, "COMMIT", "commit work", "COMMIT AND NO CHAIN",
      "COMMIT RELEASE", "COMMIT NO RELEASE", "COMMIT WORK AND NO CHAIN RELEASE"),
    G("commit and chain", 0, SL_SQL_TRX_COMMIT | SL_SQL_TRX_CHAIN, COMMIT, "COMMIT AND CHAIN",
      "COMMIT WORK AND CHAIN NO RELEASE"),
    G("rollback", 0, SL_SQL_TRX_ROLLBACK, ROLLBACK, "ROLLBACK", "ROLLBACK WORK", "rollback;",
      "ROLLBACK AND NO CHAIN", "ROLLBACK RELEASE"),
    G("rollback and chain", 0, SL_SQL_TRX_ROLLBACK | SL_SQL_TRX_CHAIN, ROLLBACK,
      "ROLLBACK AND CHAIN"),
    G("savepoints", 0, WRITE, SAVEPOINT, "SAVEPOINT a", "ROLLBACK TO a",
      "ROLLBACK WORK TO SAVEPOINT a", "RELEASE SAVEPOINT a"),
    G("xa start", 0, WRITE | SL_SQL_TRX_BEGIN, XA_START, "XA START 'x'", "XA BEGIN 'x', 'y', 1"),
    G("xa end", 0, WRITE, XA_END, "XA END 'x'"),
    G("xa prepare", 0, WRITE, XA, "XA PREPARE 'x'", "XA RECOVER"),
    G("xa commit", 0, WRITE | SL_SQL_TRX_COMMIT, XA, "XA COMMIT 'x'", "XA COMMIT 'x' ONE PHASE"),
    G("xa rollback", 0, WRITE | SL_SQL_TRX_ROLLBACK, XA, "XA ROLLBACK 'x'"),

    G("prepare", 0, SESSION | SL_SQL_PREPARE, PREPARE, "PREPARE s FROM 'SELECT 1'",
      "PREPARE `s` FROM \"SELECT ?\""),
    G("prepare from a variable", 0, SESSION | SL_SQL_PREPARE | UREAD, PREPARE, "PREPARE s FROM @q"),
    G("execute", 0, WRITE | SL_SQL_EXECUTE, EXECUTE, "EXECUTE s", "EXECUTE `s` USING 1, 'x'"),
    G("execute with variables", 0, WRITE | SL_SQL_EXECUTE | UREAD, EXECUTE,
      "EXECUTE s USING @a, @b"),
    G("execute immediate", 0, WRITE, EXECUTE_IMMEDIATE, "EXECUTE IMMEDIATE 'SELECT 1'",
      "EXECUTE IMMEDIATE CONCAT('SELECT', ' 1')"),
    G("deallocate", 0, SESSION | SL_SQL_DEALLOCATE, DEALLOCATE, "DEALLOCATE PREPARE s",
      "DROP PREPARE s"),
    G("kill", 0, WRITE, KILL, "KILL 5", "KILL QUERY 5", "KILL HARD CONNECTION 5",
      "KILL SOFT QUERY ID 5", "KILL USER a", "KILL CONNECTION USER a@b", "KILL 5 + 1"),

    G("empty", 0, READ, EMPTY, "", "   ", ";", ";;", "-- x", "# x\n", "/* x */", "/* x */ ; -- y",
      "/*!50701 SELECT 1 */"),
    G("empty, for some servers", 0, PRIMARY, EMPTY, "/*!999999 x */", "/*M!110000 SELECT 1 */"),
    G("not understood", 0, WRITE, UNKNOWN, "FOO", "123", "'x'", "=", "`select` 1", "\xff\xfe", "@a",
      "SELEC 1", "EXPLAIN_X", "?", "}", "(1)", "(", ")", "()"),
    G("broken text", 0, WRITE, SELECT, "SELECT 'x", "SELECT \"x", "SELECT `x", "SELECT 1 /* x",
      "SELECT 'x\\'", "SELECT 1 /*! + 1", "SELECT 'a''"),

    G("comments", 0, READ, SELECT, "/* x */ SELECT 1", "-- x\nSELECT 1", "--\nSELECT 1",
      "--\tx\nSELECT 1", "# x\nSELECT 1", "SELECT /* FOR UPDATE */ 1", "SELECT 1 -- FOR UPDATE",
      "SELECT 1 # ; DELETE FROM t", "SELECT/**/1", "SELECT /*+ NO_ICP(t) */ 1", "SELECT 1 --1",
      "SELECT 1 /* ; */", "SELECT 1; -- x", "SELECT 1; /* x */ ;", "SELECT 5 * 3 / 2",
      "SELECT 1 --", "/**/SELECT 1/***/"),
    G("executable comments are code", 0, PRIMARY, SELECT, "SELECT * FROM t /*! FOR UPDATE */",
      "SELECT * FROM t /*!40000 FOR UPDATE */", "SELECT * FROM t /*M! FOR UPDATE */",
      "SELECT * FROM t /*!50699 FOR UPDATE */", "SELECT * FROM t /*M!50701 FOR UPDATE */",
      "SELECT * FROM t /*!100100 FOR UPDATE*/", "SELECT * FROM t /*M!100100FOR UPDATE*/",
      "SELECT * FROM t /*!FOR UPDATE*/"),
    G("executable comments MariaDB skips", 0, READ, SELECT,
      "SELECT * FROM t /*!50700 FOR UPDATE */", "SELECT * FROM t /*!80000 FOR UPDATE */",
      "SELECT * FROM t /*!99999 FOR UPDATE */", "SELECT * FROM t /*!50701 FOR /* x */ UPDATE */"),
    G("executable comments that depend on the server", 0, PRIMARY, SELECT,
      "SELECT 1 /*!101100 + 1 */", "SELECT 1 /*M!110400 + 1 */", "SELECT 1 /*!999999 + 1 */"),
    G("dump headers", 0, SESSION, SET, "/*!40101 SET NAMES utf8 */",
      "/*!40101 SET character_set_client = utf8 */;", "/*M!100616 SET NOTE_VERBOSITY=0 */"),
    G("dump header with a variable", 0, SESSION | UWRITE | SYSREAD, SET,
      "/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */"),
    G("executable write", 0, WRITE, INSERT, "/*! INSERT */ INTO t VALUES (1)",
      "INSERT /*!50000 IGNORE */ INTO t VALUES (1)"),

    G("ansi quotes", SL_SQL_ANSI_QUOTES, READ, SELECT, "SELECT \"a\" FROM \"t\"",
      "SELECT 'a;b' FROM \"t;u\"", "SELECT \"\"\"a\""),
    G("ansi quotes: quoted function", SL_SQL_ANSI_QUOTES, PRIMARY, SELECT, "SELECT \"f\"(1)"),
    G("no backslash escapes", SL_SQL_NO_BACKSLASH_ESCAPES, READ, SELECT, "SELECT 'a\\'",
      "SELECT '\\', 'b'"),
    G("no backslash escapes: the rest is code", SL_SQL_NO_BACKSLASH_ESCAPES, PRIMARY, SELECT,
      "SELECT '\\' FROM t FOR UPDATE -- '"),
    G("backslash escapes: the rest is text", 0, READ, SELECT, "SELECT '\\' FROM t FOR UPDATE -- '"),
    G("Oracle mode", SL_SQL_ORACLE, READ, SELECT, "SELECT \"a\" FROM \"t\"",
      "SELECT NVL(a, b), TO_CHAR(c), DECODE(d, 1, 2), CHR(65), LENGTHB(a) FROM t",
      "SELECT COUNT (*) FROM t", "SELECT 1 MINUS SELECT 2",
      "SELECT * FROM a, b WHERE a.x = b.x (+)", "SELECT SYSDATE, ROWNUM FROM t"),
    G("Oracle sequences", SL_SQL_ORACLE, PRIMARY, SELECT, "SELECT s.nextval FROM dual",
      "SELECT s.currval FROM dual"),
};

static void check(const struct group *g, const char *sql, size_t *failures)
{
    struct sl_sql_info info;
    char got[512];
    char want[512];

    sl_sql_classify((const uint8_t *)sql, strlen(sql), g->mode, &info);
    if (info.type == g->type && info.op == g->op && !info.is_multi) {
        return;
    }
    sl_sql_type_text(info.type, got, sizeof(got));
    sl_sql_type_text(g->type, want, sizeof(want));
    print_error("%s: \"%s\"\n  is  %s %s%s\n  not %s %s\n", g->what, sql, sl_sql_op_text(info.op),
                got, info.is_multi ? " (multi)" : "", sl_sql_op_text(g->op), want);
    *failures += 1;
}

static void every_statement_has_its_class(void **state)
{
    size_t failures = 0;
    size_t count = 0;

    for (size_t i = 0; i < SL_ARRAY_LEN(groups); i++) {
        for (const char *const *sql = groups[i].statements; *sql != NULL; sql++) {
            check(&groups[i], *sql, &failures);
            count++;
        }
    }
    print_message("%zu statements\n", count);
    assert_true(count >= 400);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_statement_has_its_class),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
