# SPDX-License-Identifier: Apache-2.0
"""The routing table of the tests: statements in sessions, and which node must have seen each.

A session is (name, service settings, steps); a step is (where, how, statement [, values]).
where:  M  the Master alone          R  one replica, not the Master
        A  the Master and every replica the session has open
        T  the replica that the session's read-only transaction started on
        E  like M, and the server's answer is an error; t: like T, and an error
        -  not checked (set-up)
how:    q  COM_QUERY      p  COM_STMT_PREPARE + EXECUTE (binary protocol)
Each statement gets a comment with a unique tag, which is then looked for in the general logs of all
nodes.
"""

READS = (
    'SELECT 1', 'SELECT * FROM t', 'SELECT COUNT(*) FROM t WHERE id > 1',
    'SELECT a, SUM(id) FROM t GROUP BY a HAVING SUM(id) > 0 ORDER BY a LIMIT 2',
    'SELECT t1.id FROM t t1 JOIN t t2 ON t1.id = t2.id',
    'SELECT id FROM t WHERE id IN (SELECT MAX(id) FROM t)',
    'SELECT 1 UNION SELECT 2', 'SELECT 1 UNION ALL SELECT id FROM t', '(SELECT id FROM t)',
    'WITH c AS (SELECT id FROM t) SELECT * FROM c',
    'SELECT NOW(), UUID(), RAND(), VERSION(), DATABASE(), USER(), CONNECTION_ID()',
    'SELECT CONCAT(id, "x"), UPPER("a"), SUBSTRING("abc", 2), LENGTH("x") FROM t',
    'SELECT IF(id > 1, 1, 2), COALESCE(a, 0), CASE a WHEN 10 THEN 1 ELSE 2 END FROM t',
    'SELECT JSON_EXTRACT(\'{"a":1}\', "$.a"), MD5("x"), CAST("1" AS SIGNED)',
    'SELECT ROW_NUMBER() OVER (ORDER BY id) FROM t', 'SELECT SLEEP(0)', 'SELECT BENCHMARK(1, 1)',
    'SELECT "FOR UPDATE"', "SELECT 'it''s; INSERT INTO t'", 'SELECT `id` FROM `t`',
    'SELECT /* INSERT */ 1', 'SELECT /*!99999 1, */ 2', 'SELECT DISTINCT a FROM t',
    'SELECT SQL_NO_CACHE id FROM t', 'SELECT @@version', 'SELECT @@session.autocommit',
    'SELECT @@global.server_id', 'SHOW VARIABLES LIKE "version"', 'SHOW GLOBAL VARIABLES LIKE "port"',
    'SHOW STATUS LIKE "Uptime"', 'SHOW TABLES', 'SHOW DATABASES', 'SHOW CREATE TABLE t',
    'DESCRIBE t', 'EXPLAIN SELECT * FROM t', 'SHOW PROCESSLIST', 'VALUES (1), (2)',
)

WRITES = (
    'INSERT INTO t (a) VALUES (4)', 'INSERT INTO t (a) SELECT a FROM t LIMIT 1',
    'UPDATE t SET a = a + 1 WHERE id = 1', 'DELETE FROM t WHERE id > 1000',
    'REPLACE INTO t (id, a) VALUES (1, 10)',
    'INSERT INTO t (id, a) VALUES (1, 1) ON DUPLICATE KEY UPDATE a = 10',
    'WITH c AS (SELECT 1 AS x) SELECT x FROM c FOR UPDATE',
    'SELECT * FROM t FOR UPDATE', 'SELECT * FROM t WHERE id = 1 LOCK IN SHARE MODE',
    'SELECT LAST_INSERT_ID()', 'SELECT @@identity', 'SELECT @@last_insert_id',
    'SELECT @@last_gtid', 'SELECT GET_LOCK("l1", 0)', 'SELECT RELEASE_LOCK("l1")',
    'SELECT IS_FREE_LOCK("l1")', 'SELECT IS_USED_LOCK("l1")', 'SELECT f1(1)',
    'SELECT NEXTVAL(s1)', 'SELECT NEXT VALUE FOR s1', 'DO 1', 'CALL p1()',
    'CREATE TABLE IF NOT EXISTS t2 (x INT)', 'ALTER TABLE t2 ADD COLUMN y INT',
    'CREATE INDEX i2 ON t2 (x)', 'RENAME TABLE t2 TO t3', 'TRUNCATE TABLE t3',
    'ANALYZE TABLE t', 'CHECK TABLE t', 'OPTIMIZE TABLE t3', 'DROP TABLE t3',
    'CREATE VIEW v1 AS SELECT 1', 'DROP VIEW v1', 'SHOW INDEX FROM t', 'SHOW WARNINGS',
    'SHOW ERRORS', '/*! INSERT INTO t (a) VALUES (5) */', 'HANDLER t OPEN', 'HANDLER t CLOSE',
    'SHOW MASTER STATUS', 'UNLOCK TABLES', 'EXECUTE IMMEDIATE "SELECT 1"',
    'FLUSH STATUS', 'BEGIN NOT ATOMIC SELECT 1; END',
)

# the last two because of streaming replication and Galera
BROKEN = ('SELEC 1', 'INSERT INTO no_such_table VALUES (1)', 'LOCK TABLES t READ',
          'XA START "x1"')

PREPARED_READS = ('SELECT ?', 'SELECT * FROM t WHERE id = ?', 'SELECT COUNT(*) FROM t WHERE a > ?',
                  'SELECT id FROM t WHERE a IN (?, 20)', 'SELECT CONCAT(?, "x")',
                  'SELECT id FROM t LIMIT ?', 'SELECT /* in */ ? + 1')
PREPARED_WRITES = ('INSERT INTO t (a) VALUES (?)', 'UPDATE t SET a = ? WHERE id = 1',
                   'DELETE FROM t WHERE id = ? + 100000', 'REPLACE INTO t (id, a) VALUES (1, ?)',
                   'SELECT a FROM t WHERE id = ? FOR UPDATE', 'SELECT f1(?)',
                   'SELECT LAST_INSERT_ID(), ?', 'DO ? + 1')

RO = 'START TRANSACTION READ ONLY'
SESSIONS = [
    ('reads', {}, [('R', 'q', s) for s in READS]),
    ('writes', {}, [('M', 'q', s) for s in WRITES]),
    ('broken', {}, [('E', 'q', s) for s in BROKEN]),
    ('prepared reads', {}, [('R', 'p', s, [2]) for s in PREPARED_READS]),
    ('prepared writes', {}, [('M', 'p', s, [2]) for s in PREPARED_WRITES]),
    ('transaction', {}, [
        ('R', 'q', 'SELECT 1'), ('M', 'q', 'BEGIN'), ('M', 'q', 'SELECT 1'),
        ('M', 'p', 'SELECT ?', [1]), ('M', 'q', 'UPDATE t SET a = 1 WHERE id = 2'),
        ('M', 'q', 'SELECT @@version'), ('M', 'q', 'SHOW TABLES'), ('M', 'q', 'COMMIT'),
        ('R', 'q', 'SELECT 2')]),
    ('rollback', {}, [
        ('M', 'q', 'START TRANSACTION'), ('M', 'q', 'SELECT * FROM t'), ('M', 'q', 'ROLLBACK'),
        ('R', 'q', 'SELECT * FROM t')]),
    ('chained and savepoints', {}, [
        ('M', 'q', 'BEGIN'), ('M', 'q', 'SAVEPOINT s'), ('M', 'q', 'ROLLBACK TO SAVEPOINT s'),
        ('M', 'q', 'SELECT 1'), ('M', 'q', 'COMMIT AND CHAIN'), ('M', 'q', 'SELECT 1'),
        ('M', 'q', 'COMMIT AND NO CHAIN'), ('R', 'q', 'SELECT 1')]),
    ('implicit commit ends it', {}, [
        ('M', 'q', 'BEGIN'), ('M', 'q', 'SELECT 1'), ('M', 'q', 'CREATE TABLE ic (x INT)'),
        ('R', 'q', 'SELECT 1'), ('M', 'q', 'DROP TABLE ic')]),
    ('prepared BEGIN', {}, [
        ('-', 'p', 'BEGIN', []), ('M', 'q', 'SELECT 1'), ('-', 'p', 'COMMIT', []),
        ('R', 'q', 'SELECT 1')]),
    ('procedure that commits', {}, [
        ('M', 'q', 'BEGIN'), ('M', 'q', 'CALL p_commit()'), ('R', 'q', 'SELECT 1')]),
    ('procedure that begins', {}, [
        ('M', 'q', 'CALL p_begin()'), ('M', 'q', 'SELECT 1'), ('M', 'q', 'ROLLBACK'),
        ('R', 'q', 'SELECT 1')]),
    ('read only transaction', {}, [
        ('T', 'q', RO), ('T', 'q', 'SELECT 1'), ('T', 'p', 'SELECT ?', [1]),
        ('t', 'q', 'SELECT * FROM t FOR UPDATE'), ('T', 'q', 'SELECT * FROM t'),
        ('T', 'q', 'COMMIT'), ('M', 'q', 'INSERT INTO t (a) VALUES (6)')]),
    ('autocommit off', {}, [
        ('A', 'q', 'SET autocommit=0'), ('M', 'q', 'SELECT 1'),
        ('M', 'q', 'UPDATE t SET a = 3 WHERE id = 3'), ('M', 'q', 'COMMIT'),
        ('M', 'q', 'SELECT 1'), ('A', 'q', 'SET autocommit=1'), ('R', 'q', 'SELECT 1')]),
    ('autocommit off, other spellings', {}, [
        ('A', 'q', 'SET SESSION autocommit = OFF'), ('M', 'q', 'SELECT 1'),
        ('A', 'q', 'SET @@autocommit = ON'), ('R', 'q', 'SELECT 1')]),
    ('session transaction mode', {}, [
        ('A', 'q', 'SET SESSION TRANSACTION READ ONLY'), ('T', 'q', 'START TRANSACTION'),
        ('T', 'q', 'SELECT 1'), ('T', 'q', 'COMMIT'),
        ('A', 'q', 'SET SESSION TRANSACTION READ WRITE'), ('M', 'q', 'BEGIN'),
        ('M', 'q', 'COMMIT')]),
    ('one-shot SET TRANSACTION', {}, [
        ('M', 'q', 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED'), ('M', 'q', 'BEGIN'),
        ('M', 'q', 'SELECT 1'), ('M', 'q', 'COMMIT'), ('R', 'q', 'SELECT 1')]),
    ('session commands', {}, [
        ('A', 'q', 'SET NAMES utf8mb4'), ('A', 'q', 'SET CHARACTER SET utf8mb4'),
        ('A', 'q', 'SET sql_mode = ""'), ('A', 'q', 'SET SESSION wait_timeout = 600'),
        ('A', 'q', 'USE test'), ('A', 'q', 'SET @a = 1, @b = 2'), ('A', 'q', 'SET ROLE NONE'),
        ('R', 'q', 'SELECT @@wait_timeout')]),
    ('user variables, all', {'use_sql_variables_in': 'all'}, [
        ('A', 'q', 'SET @v = 42'), ('R', 'q', 'SELECT @v'), ('A', 'q', 'SELECT @w := 7'),
        ('R', 'q', 'SELECT @v + @w'), ('A', 'q', 'SELECT COUNT(*) INTO @n FROM t'),
        ('M', 'q', 'INSERT INTO t (a) VALUES (@v)'), ('M', 'q', 'UPDATE t SET a = (@x := 1) WHERE id = 1')]),
    ('user variables, master', {'use_sql_variables_in': 'master'}, [
        ('A', 'q', 'SET @v = 42'), ('M', 'q', 'SELECT @v'), ('M', 'q', 'SELECT @w := 7'),
        ('M', 'q', 'SELECT COUNT(*) INTO @n FROM t'), ('R', 'q', 'SELECT 1')]),
    ('temporary tables', {}, [
        ('M', 'q', 'CREATE TEMPORARY TABLE tmp1 (x INT)'), ('M', 'q', 'SELECT * FROM tmp1'),
        ('M', 'q', 'SELECT t.id FROM t JOIN tmp1 ON t.id = tmp1.x'),
        ('M', 'q', 'SELECT * FROM test.tmp1'), ('M', 'q', 'INSERT INTO tmp1 VALUES (1)'),
        ('R', 'q', 'SELECT * FROM t'), ('M', 'q', 'DROP TEMPORARY TABLE tmp1'),
        ('R', 'q', 'SELECT 1 FROM t')]),
    ('temporary table over a table', {}, [
        ('M', 'q', 'CREATE TEMPORARY TABLE t (id INT)'), ('M', 'q', 'SELECT id FROM t'),
        ('M', 'q', 'DROP TABLE t'), ('R', 'q', 'SELECT id FROM t')]),
    ('text prepared statements', {}, [
        ('A', 'q', 'PREPARE r FROM "SELECT ? + 1"'), ('A', 'q', 'SET @p = 1'),
        ('R', 'q', 'EXECUTE r USING @p'),
        ('A', 'q', 'PREPARE w FROM "INSERT INTO t (a) VALUES (?)"'),
        ('M', 'q', 'EXECUTE w USING @p'), ('A', 'q', 'DEALLOCATE PREPARE r'),
        ('A', 'q', 'DEALLOCATE PREPARE w')]),
    ('multi-statements', {}, [
        ('M', 'q', 'SELECT 1; SELECT 2'), ('R', 'q', 'SELECT 1'), ('R', 'q', 'SELECT 1;'),
        ('M', 'q', 'SELECT 1; INSERT INTO t (a) VALUES (8)'), ('R', 'q', 'SELECT ";"')]),
    ('strict multi-statements', {'strict_multi_stmt': 'true'}, [
        ('M', 'q', 'SELECT 1; SELECT 2'), ('M', 'q', 'SELECT 1')]),
    ('strict CALL', {'strict_sp_calls': 'true'}, [
        ('M', 'q', 'CALL p1()'), ('M', 'q', 'SELECT 1')]),
    ('lax CALL', {}, [('M', 'q', 'CALL p1()'), ('R', 'q', 'SELECT 1')]),
    ('found rows', {}, [
        ('R', 'q', 'SELECT SQL_CALC_FOUND_ROWS id FROM t LIMIT 1'), ('R', 'q', 'SELECT FOUND_ROWS()')]),
    ('no replica connections', {'max_slave_connections': '0'}, [
        ('M', 'q', 'SELECT 1'), ('M', 'q', 'SELECT * FROM t'), ('M', 'p', 'SELECT ?', [1])]),
]
