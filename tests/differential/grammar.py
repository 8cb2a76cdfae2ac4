# SPDX-License-Identifier: Apache-2.0
"""Random streams of statements and protocol commands from a seed.

Streams are valid often enough to get somewhere and wrong often enough to see errors: both sides
must give the same error.  Nothing whose answer depends on time, chance or the connection is asked.

Left out because readwritesplit documents it (docs/internals/session-history.md, "Where it errs"),
when `several` servers are behind the proxy:
  * session state set by procedures or by one of several statements in one text;
  * temporary tables made there;
  * variables assigned by statements that write or read tables, and by GET DIAGNOSTICS;
  * the warnings of a statement before the previous one: a statement without tables leaves those of
    its server alone, and that may be another one;
  * reads of variables that are OUT parameters of procedures (strict_sp_calls is there for them);
  * SET autocommit=1 in a READ ONLY transaction: the server lets the next BEGIN be READ ONLY too,
    unless another statement comes between, and that may go to a replica;
  * COM_RESET_CONNECTION and COM_CHANGE_USER: on that connection the server does not wait for
    earlier writes any more (wsrep_sync_wait); COM_FIELD_LIST, which never does;
  * LAST_INSERT_ID() in a READ ONLY transaction, which runs on a replica;
  * @@insert_id: an INSERT uses it up, where it runs;
  * what SHOW tells of one server (SERVER_OWN);
  * KILL in a transaction, which ends it on a Galera node; the proxy answers KILL itself.
"""
import random

COLUMNS = ['INT', 'BIGINT UNSIGNED', 'VARCHAR(200)', 'DECIMAL(20,6)', 'DOUBLE', 'DATE',
           'DATETIME(6)', 'TIME(3)', 'LONGBLOB', 'LONGTEXT', "ENUM('a','b','c')", 'BIT(9)',
           'YEAR', "SET('x','y')", 'TINYINT', 'CHAR(10)', 'JSON', 'FLOAT', 'VARBINARY(50)']
NAMES = ['t0', 't1', 't2', 't3']
TEMPORARY = ['tmp0', 'tmp1', 't0']               # t0: a temporary table may hide a real one
STATEMENTS = ['s0', 's1', 's2', 's3']
LITERALS = ['NULL', '0', '1', '-1', "'a'", "''", "'2024-02-29'", '3.14', '1e10', "x'00ff10'",
            "'it''s'", "'\\\\'", '18446744073709551615', "b'101'", "'žluťoučký'", 'TRUE',
            "'2020-01-01 10:20:30.5'", "'{\"a\": [1, 2]}'", "REPEAT('z', 300)", '@a', '@b']
SESSION = ["sql_mode=''", "sql_mode='STRICT_ALL_TABLES,NO_ZERO_DATE'", "sql_mode='ANSI_QUOTES'",
           'sql_mode=DEFAULT', 'SESSION group_concat_max_len=5', 'group_concat_max_len=100000',
           "time_zone='+05:00'", "time_zone='UTC'", 'timestamp=1600000000', 'NAMES utf8mb4',
           'NAMES latin1', 'character_set_results=NULL', 'CHARACTER SET utf8mb4',
           'div_precision_increment=9', 'sql_select_limit=3', 'sql_select_limit=DEFAULT',
           'lc_time_names=de_DE', '@@max_sort_length=100', 'sql_auto_is_null=1', 'autocommit=1',
           'autocommit=0', 'SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
           'TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'SESSION no_such_variable=1',
           'SESSION TRANSACTION READ WRITE', 'max_recursive_iterations=50', 'sql_quote_show_create=0',
           'SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'note_verbosity=1', 'sql_notes=0',
           'sql_notes=1', 'max_error_count=2', 'max_error_count=64', 'insert_id=77',
           'old_mode=DEFAULT', 'SESSION sql_log_bin=DEFAULT', "character_set_client=latin1",
           'collation_connection=utf8mb4_bin', 'sql_big_selects=1', 'foreign_key_checks=0']
SYSTEM = ['@@sql_mode', '@@group_concat_max_len', '@@time_zone', '@@autocommit',
          '@@character_set_client', '@@character_set_results', '@@tx_isolation', '@@sql_select_limit',
          '@@collation_connection', '@@lc_time_names', '@@insert_id', '@@identity', '@@version',
          '@@warning_count', '@@error_count', '@@max_allowed_packet', '@@in_transaction',
          '@@session.tx_read_only', '@@no_such']
SHOW = ['SHOW WARNINGS', 'SHOW ERRORS', 'SHOW COUNT(*) WARNINGS', 'SHOW WARNINGS LIMIT 1', 'SHOW TABLES',
        'SHOW CREATE TABLE %s', 'SHOW COLUMNS FROM %s', 'SHOW FULL COLUMNS FROM %s', 'DESCRIBE %s',
        "SHOW VARIABLES LIKE 'sql_mode'", "SHOW SESSION VARIABLES LIKE 'char%%'", 'SHOW KEYS FROM %s WHERE 0',
        'SHOW CREATE PROCEDURE p0', 'CHECKSUM TABLE %s', 'CHECK TABLE %s', 'SHOW CHARACTER SET',
        'SHOW COLLATION', 'SHOW ENGINES', 'SHOW PRIVILEGES', 'SHOW GRANTS', 'SHOW FULL TABLES',
        'SHOW CREATE DATABASE {db}', 'SHOW TRIGGERS', 'HELP "select"']
WRONG = ['SELEC 1', 'SELECT FROM', "SELECT 'open", 'SELECT * FROM nowhere', 'SELECT nothing FROM t0',
         'INSERT INTO t0 (id) VALUES (1), (1)', "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='žal', MYSQL_ERRNO=5555",
         "SIGNAL SQLSTATE '01000'", 'DROP TABLE nowhere', 'USE no_such_db', 'CALL no_such()', '',
         'SELECT (SELECT 1 UNION SELECT 2)', 'SELECT ST_GeomFromText("x")', ';', '/* only */', '-- x',
         'SELECT 18446744073709551615 + 1', 'SELECT EXP(1000)', 'KILL 4294967295', 'SET @x = (', 'BEGIN;',
         'SELECT CAST("x" AS INT)', 'ROLLBACK TO nothing', 'GRANT SELECT ON *.* TO nobody@x', 'DO SLEEP(0)',
         'SELECT 1/0', 'CREATE TABLE t0 (a INT)', 'ALTER TABLE t0 DROP COLUMN nothing', 'EXPLAIN SELECT 1',
         'XA COMMIT "x"', 'RELEASE SAVEPOINT nothing', 'DEALLOCATE PREPARE nothing', 'EXECUTE nothing',
         "SELECT * FROM t0 WHERE id = 'x' AND nosuch()", 'LOCK TABLES t0 READ', 'UNLOCK TABLES',
         'SELECT _utf8mb4 X\'ff\'', '\0', 'SELECT 1;', 'SELECT 1; ', 'SELECT\n1 -- x', 'select /*! 1 */',
         '/*!50000 SELECT 2 */', '/*M!100000 SELECT 3 */', 'SELECT `a', '(SELECT 1)', '((SELECT 2))', 'TABLE t0',
         'VALUES (1,2),(3,4)', 'HANDLER t0 OPEN', 'HANDLER t0 READ FIRST', 'HANDLER t0 CLOSE', 'DO 1, 2',
         'ANALYZE FORMAT=JSON SELECT', 'SELECT "\\\\"', "SELECT 'a' 'b'", 'SELECT 1 INTO OUTFILE "/nowhere/x"']
# what SHOW tells of a server's own: diagnostics, counters in memory, sums with streaming replication
SERVER_OWN = ('WARNINGS', 'ERRORS', 'CREATE TABLE', 'CHECKSUM')
# text, number of parameters
BINARY = [('SELECT ?', 1), ('SELECT ?, ?, ?', 3), ('INSERT INTO t0 (id, c0) VALUES (?, ?)', 2),
          ('SELECT * FROM t0 WHERE id > ? ORDER BY id', 1), ('SELECT * FROM t1 ORDER BY id', 0),
          ('REPLACE INTO t1 (id, c0) VALUES (?, ?)', 2), ('SELECT seq FROM seq_1_to_50', 0), ('BEGIN', 0),
          ('COMMIT', 0), ('SELECT LENGTH(?), ?', 2), ('CALL p0(?, ?)', 2), ('CALL p3(?)', 1), ('SELEC ?', 0),
          ('UPDATE t0 SET c0 = ? WHERE id = ?', 2), ('SELECT 1 FROM nowhere', 0), ('SET @a = ?', 1),
          ('SHOW WARNINGS', 0), ('SELECT @a, @b', 0), ('DELETE FROM t0 WHERE id = ?', 1), ('SELECT 1; SELECT 2', 0),
          ('SET autocommit = ?', 1), ('SELECT * FROM tmp0', 0), ('DO ?', 1), ('SHOW TABLES', 0),
          ('SELECT ? INTO @b', 1), ('SELECT @@sql_mode', 0), ('CALL p2()', 0), ('USE {db}', 0), ('', 0)]
PROCEDURES = {
    'p0': 'CREATE PROCEDURE p0(IN n INT, OUT o INT) BEGIN SELECT n AS first; SELECT seq FROM seq_1_to_3; '
          'SET o = n * 2; SELECT o; END',
    'p1': 'CREATE PROCEDURE p1(n INT) BEGIN DECLARE i INT DEFAULT 0; WHILE i < n DO SET i = i + 1; '
          'INSERT INTO t0 (id) VALUES (1000 + i) ON DUPLICATE KEY UPDATE id = id; END WHILE; END',
    'p2': "CREATE PROCEDURE p2() BEGIN SELECT 1; SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='inside'; "
          'SELECT 2; END',
    'p3': 'CREATE PROCEDURE p3(n INT) BEGIN SELECT n, REPEAT("y", n); SELECT 1/0; SHOW WARNINGS; END',
    'p4': 'CREATE PROCEDURE p4() BEGIN START TRANSACTION; SELECT 1; COMMIT; SELECT 2; END',
}


class Grammar:
    def __init__(self, seed, several):
        self.rng = random.Random(seed)
        self.several = several
        self.show_texts, self.wrong_texts, self.binary_texts = SHOW, WRONG, BINARY
        self.system = SYSTEM
        if several:
            self.show_texts = [t for t in SHOW if not any(w in t for w in SERVER_OWN)]
            # a CREATE that a node refuses under LOCK TABLES is carried out by the others
            self.wrong_texts = [t for t in WRONG if 'KILL' not in t and 'LOCK TABLES' not in t]
            self.binary_texts = [b for b in BINARY if 'WARN' not in b[0]]
            self.system = [v for v in SYSTEM if not v.endswith('_count') and v != '@@insert_id']
        self.tables = {}                         # name -> column types (c0, c1, ..)
        self.prepared = {}                       # binary name -> (text, number of parameters)

    def pick(self, values):
        return self.rng.choice(values)

    def chance(self, share):
        return self.rng.random() < share

    # ------------------------------------------------------------------ streams
    def stream(self, length):
        steps = [('query', 'SET NAMES utf8mb4')]
        for name in NAMES[:2]:
            steps.append(('query', self.create_table(name)))
        for name in self.rng.sample(list(PROCEDURES), 2):
            steps.append(('query', PROCEDURES[name]))
        kinds = [(self.insert, 10), (self.select, 22), (self.change, 6), (self.ddl, 3), (self.show, 6),
                 (self.wrong, 5), (self.transaction, 9), (self.session, 5), (self.variables, 6),
                 (self.temporary, 4), (self.text_prepared, 5), (self.binary, 14), (self.commands, 5),
                 (self.several_texts, 4), (self.call, 4), (self.infile, 2), (self.large, 2),
                 (self.burst, 2), (self.last_things, 4)]
        makers, weights = zip(*kinds)
        while len(steps) < length:
            made = self.rng.choices(makers, weights)[0]()
            steps += made if isinstance(made, list) else [made]
        return steps

    # ------------------------------------------------------------------ parts
    def table(self):
        name = self.pick(list(self.tables) or NAMES) if self.chance(0.95) else self.pick(NAMES)
        return '{db}.' + name if self.chance(0.1) else name

    def own_table(self):
        """A table that has the same rows on every server at any moment."""
        return '(SELECT 7 AS id) AS one' if self.several else self.table()

    def columns_of(self, table):
        return self.tables.get(table.replace('{db}.', ''), ['INT'])

    def column(self, table):
        return self.pick(['id'] + ['c%d' % i for i in range(len(self.columns_of(table)))])

    def literal(self):
        if self.chance(0.4):
            return str(self.rng.randint(-5, 60))
        return self.pick(LITERALS)

    def create_table(self, name):
        types = [self.pick(COLUMNS) for _ in range(self.rng.randint(1, 5))]
        self.tables[name] = types
        key = self.pick(['INT PRIMARY KEY', 'INT PRIMARY KEY AUTO_INCREMENT'])
        return 'CREATE OR REPLACE TABLE %s (id %s, %s)' % (
            name, key, ', '.join('c%d %s' % x for x in enumerate(types)))

    def condition(self, table):
        c = self.column(table)
        return self.pick(['%s = %s' % (c, self.literal()), '%s > %s' % (c, self.literal()),
                          'id IN (1, 2, %d)' % self.rng.randint(3, 90), '%s IS NULL' % c,
                          'id BETWEEN %d AND 50' % self.rng.randint(0, 50), '1', '0',
                          "%s LIKE '%%a%%'" % c, 'id %% %d = 0' % self.rng.randint(1, 5)])

    # ------------------------------------------------------------------ statements
    def insert(self):
        t = self.table()
        c = self.column(t)
        rows = ', '.join('(%d, %s)' % (self.rng.randint(1, 90), self.literal())
                         for _ in range(self.rng.randint(1, 6)))
        verb = self.pick(['INSERT', 'INSERT', 'INSERT IGNORE', 'REPLACE'])
        text = '%s INTO %s (id, %s) VALUES %s' % (verb, t, c if c != 'id' else 'c0', rows)
        if verb == 'INSERT' and self.chance(0.4):
            text += ' ON DUPLICATE KEY UPDATE id = id + 100'
        if self.chance(0.1):
            text = '%s INTO %s (c0) VALUES (%s)' % (verb, t, self.literal())
        if self.chance(0.1):
            text = 'INSERT IGNORE INTO %s (id) SELECT seq FROM seq_%d_to_%d' % (
                t, self.rng.randint(1, 50), self.rng.randint(51, 400))
        return ('query', text + (' RETURNING *' if self.chance(0.1) else ''))

    def change(self):
        t = self.table()
        return ('query', self.pick([
            'UPDATE %s SET %s = %s WHERE %s' % (t, self.column(t), self.literal(), self.condition(t)),
            'UPDATE IGNORE %s SET c0 = %s ORDER BY id LIMIT 3' % (t, self.literal()),
            'DELETE FROM %s WHERE %s' % (t, self.condition(t)),
            'DELETE FROM %s ORDER BY id LIMIT 2 RETURNING id' % t,
            'UPDATE %s a JOIN %s b USING (id) SET a.c0 = b.c0' % (t, self.table())]))

    def select_text(self):
        t, u = self.table(), self.table()
        c = self.column(t)
        where = self.condition(t)
        return self.pick([
            'SELECT * FROM %s WHERE %s ORDER BY id' % (t, where),
            'SELECT %s, COUNT(*), MIN(id) FROM %s GROUP BY 1 ORDER BY 1, 3' % (c, t),
            'SELECT COUNT(*), SUM(id), AVG(id), GROUP_CONCAT(id ORDER BY id) FROM %s' % t,
            'SELECT a.id, b.id FROM %s a LEFT JOIN %s b ON a.id = b.id + 1 ORDER BY 1, 2' % (t, u),
            'SELECT id FROM %s UNION SELECT id FROM %s ORDER BY 1 LIMIT %d' % (t, u, self.rng.randint(0, 9)),
            'WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT * FROM n'
            % self.rng.randint(1, 200),
            'SELECT id, ROW_NUMBER() OVER (ORDER BY id) FROM %s ORDER BY id' % t,
            'SELECT %s' % ', '.join(self.literal() for _ in range(self.rng.randint(1, 30))),
            'SELECT %s AS x FROM DUAL WHERE 0' % self.literal(),
            'SELECT SQL_CALC_FOUND_ROWS * FROM %s ORDER BY id LIMIT 2' % t,
            'SELECT id FROM %s WHERE %s ORDER BY id FOR UPDATE' % (t, where),
            'SELECT id FROM %s ORDER BY id LOCK IN SHARE MODE' % t,
            'SELECT JSON_ARRAYAGG(id) FROM (SELECT id FROM %s ORDER BY id) x' % t,
            'SELECT MD5(%s), HEX(%s), LENGTH(%s)' % (self.literal(), self.literal(), self.literal()),
            'SELECT CAST(%s AS %s)' % (self.literal(), self.pick(['DATE', 'INT', 'DECIMAL(5,2)', 'BINARY(4)'])),
            'SELECT 1/0, %s + 1' % self.literal(),
            'SELECT RAND(3), PI(), FORMAT(12345.678, 2), DATE_FORMAT("2024-05-06", "%%W %%M")'.replace('%%', '%'),
            'SELECT * FROM %s PROCEDURE ANALYSE()' % t,
            'SELECT /* %s */ 1' % ('c' * self.rng.randint(0, 3000)),
            'SELECT REPEAT("w", %d), seq FROM seq_1_to_%d' % (self.rng.randint(0, 3000), self.rng.randint(1, 300)),
            'SELECT EXISTS (SELECT 1 FROM %s WHERE %s) AS e' % (t, where),
            'SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1',
            'SELECT DATABASE(), USER() LIKE "f%", SCHEMA()',
            'SELECT * FROM %s NATURAL JOIN %s ORDER BY 1' % (t, u)])

    def select(self):
        return ('query', self.select_text())

    def ddl(self):
        t = self.table()
        return ('query', self.pick([
            self.create_table(self.pick(NAMES)),
            'ALTER TABLE %s ADD COLUMN IF NOT EXISTS c0 INT DEFAULT 5' % t,
            'CREATE INDEX i%d ON %s (id)' % (self.rng.randint(0, 3), t),
            'TRUNCATE TABLE %s' % t, 'CREATE OR REPLACE VIEW v0 AS SELECT id FROM %s' % t,
            'SELECT * FROM v0 ORDER BY 1', 'DROP VIEW IF EXISTS v0',
            'CREATE OR REPLACE TRIGGER g0 BEFORE UPDATE ON t0 FOR EACH ROW SET NEW.id = NEW.id',
            'CREATE OR REPLACE FUNCTION f0(a INT) RETURNS INT DETERMINISTIC RETURN a + 1',
            'SELECT f0(%d)' % self.rng.randint(0, 9), 'CREATE OR REPLACE SEQUENCE q0',
            'SELECT NEXT VALUE FOR q0', 'CREATE TABLE IF NOT EXISTS t0 (id INT)',
            'DROP TABLE IF EXISTS nowhere', 'RENAME TABLE t1 TO t9, t9 TO t1',
            'CREATE DATABASE {db}']))

    def show(self):
        text = self.pick(self.show_texts)
        return ('query', text % self.table() if '%s' in text else text.replace('%%', '%'))

    def wrong(self):
        return ('query', self.pick(self.wrong_texts))

    def transaction(self):
        if self.chance(0.1):
            inside = [self.pick([self.select, self.select, self.show, self.insert])()
                      for _ in range(self.rng.randint(0, 3))]
            end = self.pick(['COMMIT', 'ROLLBACK', 'BEGIN', 'COMMIT AND CHAIN'])
            chained = [('query', 'COMMIT')] if 'CHAIN' in end and self.several else []
            return [('query', 'START TRANSACTION READ ONLY'), *inside, ('query', end), *chained]
        return self.transaction_text()

    def transaction_text(self):
        return ('query', self.pick([
            'BEGIN', 'START TRANSACTION', 'COMMIT', 'COMMIT', 'ROLLBACK',
            'START TRANSACTION WITH CONSISTENT SNAPSHOT', 'SAVEPOINT a', 'ROLLBACK TO a', 'RELEASE SAVEPOINT a',
            'SAVEPOINT b', 'ROLLBACK TO SAVEPOINT b', 'COMMIT AND CHAIN', 'ROLLBACK AND NO CHAIN', 'BEGIN WORK',
            'START TRANSACTION READ WRITE', 'SET autocommit=0', 'SET autocommit=1', 'COMMIT WORK']))

    def session(self):
        return ('query', 'SET ' + ', '.join(self.rng.sample(SESSION, self.pick([1, 1, 1, 2]))))

    def variables(self):
        v, w = self.pick('abc'), self.pick('abc')
        return ('query', self.pick([
            'SET @%s = %s' % (v, self.literal()), 'SET @%s = 1, @%s := %s' % (v, w, self.literal()),
            'SELECT @%s, @%s' % (v, w), 'SELECT @%s := %s' % (v, self.literal()),
            'SELECT %s, %s INTO @%s, @c' % (self.literal(), self.literal(), self.pick('ab')),
            'SET @%s = (SELECT MAX(id) FROM %s)' % (v, self.own_table()),
            'SELECT COUNT(*) INTO @%s FROM %s' % (v, self.own_table()),
            'SET @%s = REPEAT("v", %d)' % (v, self.rng.randint(0, 20000)),
            'SELECT %s' % ', '.join(self.rng.sample(self.system[:-1], 3)),
            'SELECT ' + self.pick(self.system),
            'SELECT id FROM %s WHERE id > @%s ORDER BY id' % (self.table(), v)]))

    def temporary(self):
        t = self.pick(TEMPORARY)
        steps = [('query', self.pick(['CREATE TEMPORARY TABLE %s (id INT PRIMARY KEY, x TEXT)' % t,
                                      'CREATE OR REPLACE TEMPORARY TABLE %s AS SELECT 1 AS id, "k" AS x' % t]))]
        for _ in range(self.rng.randint(0, 3)):
            steps.append(('query', self.pick(['INSERT INTO %s (id) VALUES (5), (6)', 'SELECT * FROM %s',
                                              'SELECT COUNT(*) FROM %s', 'SHOW COLUMNS FROM %s']) % t))
        if t == 't0' or self.chance(0.5):
            steps.append(('query', 'DROP TEMPORARY TABLE %s' % t))
        return steps

    def text_prepared(self):
        s = self.pick(STATEMENTS)
        return ('query', self.pick([
            "PREPARE %s FROM '%s'" % (s, self.pick(['SELECT ?, 1', 'SELECT 1', 'INSERT INTO t0 (id) VALUES (?)',
                                                    'SELECT * FROM t1 ORDER BY id', 'SELEC', 'SET @a = ?',
                                                    'UPDATE t0 SET id = id WHERE id = ?'])),
            "PREPARE %s FROM @c" % s, 'EXECUTE %s' % s, 'EXECUTE %s USING @a' % s, 'EXECUTE %s USING @a, @b' % s,
            'EXECUTE %s USING 5' % s, 'DEALLOCATE PREPARE %s' % s, 'DROP PREPARE %s' % s,
            "EXECUTE IMMEDIATE 'SELECT ?' USING %d" % self.rng.randint(0, 99),
            "EXECUTE IMMEDIATE 'INSERT INTO t0 (id) VALUES (91)'"]))

    def call(self):
        return ('query', self.pick(['CALL p0(%d, @out)' % self.rng.randint(0, 9), 'CALL p1(%d)' % self.rng.randint(0, 9),
                                    'CALL p2()', 'CALL p3(%d)' % self.rng.randint(0, 5000), 'CALL p4()',
                                    'CALL p0(1, 2)', 'CALL p0(1)']))

    def several_texts(self):
        """Several statements in one text; without session state if that would stay unknown."""
        makers = [self.select, self.insert, self.change, self.show, self.wrong]
        if not self.several:
            makers += [self.session, self.variables, self.transaction_text, self.call]
        texts = [self.pick(makers)()[1] for _ in range(self.rng.randint(2, 5))]
        if self.several:                         # these leave something behind
            texts = [t for t in texts if not any(w in t for w in ('@', 'LOCK', 'HANDLER', 'BEGIN', 'USE'))]
        return ('query', '; '.join(texts) + self.pick(['', ';', '; ', ';;']))

    def last_things(self):
        """What the previous statement left behind; FOUND_ROWS() means something after SELECT only."""
        if self.chance(0.2):
            return [('query', 'SELECT SQL_CALC_FOUND_ROWS * FROM (SELECT 1 UNION SELECT 2 UNION '
                              'SELECT 3) x LIMIT %d' % self.rng.randint(1, 4)),
                    ('query', 'SELECT FOUND_ROWS()')]
        if self.chance(0.3):
            return [('query', 'SELECT 1/0, CAST("%d x" AS INT) FROM seq_1_to_%d'
                     % (self.rng.randint(0, 9), self.rng.randint(1, 100))),
                    ('query', self.pick(['SHOW WARNINGS', 'SHOW COUNT(*) WARNINGS', 'SHOW ERRORS']))]
        after = ['SELECT LAST_INSERT_ID()', 'SELECT ROW_COUNT()', 'SELECT LAST_INSERT_ID(7)',
                 'SELECT @@identity']
        if not self.several:
            after += ['SHOW WARNINGS', 'SHOW COUNT(*) ERRORS', 'GET DIAGNOSTICS @a = NUMBER']
        end = [('query', 'COMMIT')] if self.several else []
        return end + [self.pick([self.insert, self.change, self.select])(),
                      ('query', self.pick(after))]

    def large(self):
        size = self.pick([16000, 70000, 300000, 1100000])
        return self.pick([
            ('query', 'SELECT REPEAT("L", %d)' % size),
            ('query', 'SELECT seq, REPEAT("r", 100) FROM seq_1_to_%d' % (size // 120)),
            ('query', 'SELECT LENGTH("%s")' % ('q' * size)),
            ('query', 'SELECT %s' % ', '.join('%d AS k%d' % (i, i) for i in range(1000))),
            ('query', 'REPLACE INTO t0 (id, c0) VALUES (3, "%s")' % ('Q' * size))])

    def burst(self):
        makers = [self.select, self.insert, self.variables, self.show, self.transaction_text,
                  self.session]
        return ('burst', [self.pick(makers)()[1] for _ in range(self.rng.randint(2, 6))])

    def infile(self):
        t = self.table()
        rows = [b'%d\t%s\n' % (self.rng.randint(1, 500), self.pick([b'1', b'x', b'\\N', b'"q"']))
                for _ in range(self.rng.randint(0, 300))]
        data, step = b''.join(rows), self.pick([50, 1000, 100000])
        pieces = [data[i:i + step] for i in range(0, len(data), step)]
        return ('query', 'LOAD DATA LOCAL INFILE "f" %sINTO TABLE %s (id, c0)'
                % (self.pick(['', 'REPLACE ', 'IGNORE ']), t), pieces)

    # ------------------------------------------------------------------ commands
    def commands(self):
        steps = [('ping',), ('init_db', '{db}'), ('init_db', 'no_such_db'), ('init_db', ''),
                 ('statistics',), ('set_option', 0), ('set_option', 1), ('set_option', 9),
                 ('query', 'USE {db}'), ('command', 0x20), ('command', 0x7e, b'abc')]
        if not self.several:
            steps += [('reset_connection',), ('change_user', '{db}'), ('field_list', self.table())]
        return self.pick(steps)

    def value(self):
        kind = self.pick(['tiny', 'short', 'int', 'big', 'ubig', 'double', 'float', 'string', 'blob',
                          'decimal', 'varchar', 'datetime', 'date', 'time', 'string'])
        if self.chance(0.15):
            return (kind, None)
        values = {'ubig': 1 << 63, 'double': 1.5, 'float': 0.25, 'decimal': b'12.340',
                  'datetime': (2024, 2, 29, 1, 2, 3, 4), 'date': (1999, 12, 31), 'time': (1, 2, 3, 4, 5, 6)}
        if kind in ('string', 'blob', 'varchar'):
            size = self.pick([0, 1, 250, 251, 70000])
            return (kind, bytes([self.rng.randint(32, 126)]) * size)
        return (kind, values.get(kind, self.rng.randint(-100, 100)))

    def binary(self):
        s = self.pick(STATEMENTS)
        if s not in self.prepared or self.chance(0.2):
            self.prepared[s] = self.pick(self.binary_texts)
            return [('prepare', s, self.prepared[s][0]), self.execution(s)]
        return self.pick([self.execution, self.execution, self.execution, self.cursor, self.long, self.end])(s)

    def execution(self, s):
        return ('execute', s, [self.value() for _ in range(self.prepared[s][1])])

    def cursor(self, s):
        steps = [('execute', s, [self.value() for _ in range(self.prepared[s][1])], 1)]
        return steps + [('fetch', s, self.pick([0, 1, 5, 1000])) for _ in range(self.rng.randint(1, 4))]

    def long(self, s):
        """A statement prepared anew: the server converts long data wrongly (it reads memory that was
        never set) when an execution before had another type for that parameter."""
        text, count = self.prepared[s]
        if not count:
            return ('reset', s)
        at = self.rng.randrange(count)
        steps = [('prepare', s, text)]
        steps += [('long_data', s, at, b'd' * self.pick([0, 1, 5000, 100000]))
                 for _ in range(self.rng.randint(1, 3))]
        if self.chance(0.2):
            return steps + [('reset', s)]
        return steps + [('execute', s, [self.value() for _ in range(count)], 0, True, (at,))]

    def end(self, s):
        if self.chance(0.6):
            return [('reset', s)] + ([('fetch', s, 1)] if self.chance(0.3) else [])
        del self.prepared[s]
        return [('close', s)]
