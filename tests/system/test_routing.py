# SPDX-License-Identifier: Apache-2.0
"""Which node serves what: the table of routing_cases.py, and what a table cannot say."""
import hashlib
import itertools
import os

import pytest

import wire
from conftest import repair
from routing_cases import SESSIONS
from sealane import Who, wait_until

TAGS = itertools.count(1)
SETUP = """
CREATE FUNCTION test.f1(x INT) RETURNS INT DETERMINISTIC RETURN x;
CREATE SEQUENCE test.s1 NOCACHE;
CREATE PROCEDURE test.p1() SELECT 1;
CREATE PROCEDURE test.p_commit() COMMIT;
CREATE PROCEDURE test.p_begin() START TRANSACTION;
GRANT ALL ON test.* TO app@'%'; GRANT RELOAD, BINLOG MONITOR, PROCESS ON *.* TO app@'%';
"""


def tagged(text, tag):
    """The tag goes behind the first word, so that it survives in every log entry."""
    head, space, rest = text.partition(' ')
    if text.startswith(('/*', '(')) or not space:
        return text.rstrip(';') + ' /* %s */' % tag
    return '%s /* %s */ %s' % (head, tag, rest)


@pytest.fixture(scope='module')
def routed(galera3):
    """The general logs of all nodes, on for this module."""
    repair(galera3)                              # the module before may have left a node dead
    who = Who(galera3.nodes)
    yield who
    who.off()


@pytest.fixture
def prepared(cluster, routed):
    master = cluster.nodes[0]
    for statement in SETUP.strip().split('\n'):
        master.sql('USE test; ' + statement)
    for n in cluster.nodes:
        wait_until(lambda n=n: n.sql("SHOW PROCEDURE STATUS LIKE 'p_begin'") and
                   'RELOAD' in n.value("SHOW GRANTS FOR app@'%'"), 30, 'DDL everywhere')
        n.sql('SET GLOBAL general_log=ON')
    return cluster


def run_step(conn, step, tag):
    """Send one step; the WireError it ended with, or None."""
    _, how, text = step[:3]
    try:
        if how == 'q':
            conn.query(tagged(text, tag))
        else:
            statement = conn.prepare(tagged(text, tag))
            conn.execute(statement, step[3])
            conn.stmt_close(statement)
    except wire.WireError as e:
        return e
    return None


def check(step, seen, ro_node, error):
    where, text = step[0], step[2]
    master, replicas = {'71'}, {'72', '73'}
    if where in 'Et':
        assert error, '%s: expected an error' % text
    elif where != '-':
        assert not error, '%s: %s' % (text, error)
    if where in 'ME':
        assert seen == master, '%s: served by %s, not by the Master alone' % (text, seen)
    elif where == 'R':
        assert len(seen) == 1 and seen <= replicas, '%s: served by %s' % (text, seen)
    elif where == 'A':
        assert seen == master | replicas, '%s: reached %s only' % (text, seen)
    elif where in 'tT':
        assert len(seen) == 1 and seen <= replicas, '%s: served by %s' % (text, seen)
        assert ro_node in (None, seen), '%s: moved from %s to %s' % (text, ro_node, seen)


@pytest.mark.parametrize('settings', sorted({tuple(s[1].items()) for s in SESSIONS}),
                         ids=lambda s: ','.join('%s=%s' % kv for kv in s) or 'default')
def test_table(prepared, routed, make_sealane, settings):
    s = make_sealane(prepared, service=dict(settings))
    s.wait_healthy()
    failures, checked = [], 0
    for name, wanted, steps in SESSIONS:
        if tuple(wanted.items()) != settings:
            continue
        with s.wire(database='test') as conn:
            ro_node = None
            for step in steps:
                tag = 'tag-%d-' % next(TAGS)
                routed.mark()
                error = run_step(conn, step, tag)
                seen = routed.saw(tag)
                if step[0] == 'A':              # the replicas' replies are not waited for
                    seen = set(seen) if len(seen) == 3 else eventually(routed, tag)
                try:
                    check(step, seen, ro_node, error)
                except AssertionError as e:
                    failures.append('%s: %s' % (name, e))
                ro_node = seen if step[0] in 'tT' else None
                checked += 1
    assert not failures, '%d of %d:\n%s' % (len(failures), checked, '\n'.join(failures))


def eventually(routed, tag):
    try:
        wait_until(lambda: len(routed.saw(tag)) == 3, 30, 'all nodes')
    except AssertionError:
        pass
    return routed.saw(tag)


def test_table_is_large_enough():
    assert sum(len(steps) for _, _, steps in SESSIONS) >= 150


# ---------------------------------------------------------------------- beyond the table
def node_of(conn, text='SELECT @@wsrep_node_name'):
    return conn.value(text)


def test_reads_use_both_replicas(sealane):
    seen = set()
    conns = [sealane.wire() for _ in range(8)]

    def are_both():                              # one may take its time to let the sessions in
        seen.update(node_of(c) for c in conns for _ in range(10))
        return len(seen) > 1
    wait_until(are_both, 30, 'reads on two servers')
    for c in conns:
        c.close()
    assert seen == {'galera-72', 'galera-73'}


def test_master_accepts_reads(cluster, make_sealane):
    s = make_sealane(cluster, service={'master_accept_reads': 'true'})
    s.wait_healthy()
    with s.wire() as a, s.wire() as b, s.wire() as c:
        seen = set()

        def are_both():
            seen.update(node_of(x) for _ in range(30) for x in (a, b, c))
            return 'galera-71' in seen and len(seen) > 1
        wait_until(are_both, 30, 'reads on the Master and on another')


def test_own_writes_are_visible_in_the_transaction(sealane):
    with sealane.wire(database='test') as c:
        c.query('BEGIN')
        c.query('INSERT INTO t (id, a) VALUES (500, 1)')
        assert c.value('SELECT a FROM t WHERE id = 500') == '1'
        c.query('ROLLBACK')
        assert c.rows_of('SELECT a FROM t WHERE id = 500') == []


def test_prepared_statement_on_all_nodes(sealane):
    """One client id, a different id on every node."""
    with sealane.wire(database='test') as c:
        statements = [c.prepare('SELECT @@wsrep_node_name, %d, ?' % i) for i in range(20)]
        for i, s in enumerate(statements):
            row = c.execute(s, [i])[0].rows[0]
            assert row[0] in ('galera-72', 'galera-73') and row[1:] == [str(i), str(i)]
        c.query('BEGIN')
        for i, s in enumerate(statements):
            assert c.execute(s, ['x'])[0].rows[0] == ['galera-71', str(i), 'x']
        c.query('COMMIT')
        for s in statements:
            c.stmt_close(s)
        with pytest.raises(wire.WireError) as e:
            c.execute(statements[0], [1])
        assert e.value.errno == 1243


def test_cursor_and_fetch(sealane):
    with sealane.wire(database='test') as c:
        s = c.prepare('SELECT id FROM t ORDER BY id')
        r = c.execute(s, cursor=1)[0]
        assert r.status & wire.CURSOR_EXISTS
        assert [x[0] for x in c.fetch(s, r.columns, 2).rows] == ['1', '2']
        last = c.fetch(s, r.columns, 5)
        assert [x[0] for x in last.rows] == ['3']
        c.stmt_reset(s)


def test_long_data_goes_with_its_execute(sealane):
    with sealane.wire(database='test') as c:
        s = c.prepare('INSERT INTO t (id, b) VALUES (?, ?)')
        for i in range(3):
            c.long_data(s, 1, b'x' * 1_000_000)
        c.execute(s, [700, None], long_data=[1])
        assert c.value('SELECT LENGTH(b) FROM t WHERE id = 700 FOR UPDATE') == '3000000'


def test_change_user_and_reset(sealane):
    with sealane.wire(database='test') as c:
        c.query('SET @v = 5')
        assert c.value('SELECT @v') == '5'
        c.reset_connection()
        assert c.value('SELECT @v') is None
        c.query('SET @v = 6')
        c.change_user('maxscale', 'maxscale', 'mysql')
        for _ in range(4):
            assert c.rows_of('SELECT @v, DATABASE(), CURRENT_USER()') == \
                [[None, 'mysql', 'maxscale@%']]
        c.init_db('test')
        assert {c.value('SELECT DATABASE()') for _ in range(4)} == {'test'}


def test_set_option_turns_multi_statements_off(sealane):
    with sealane.wire() as c:
        c.set_option(False)
        with pytest.raises(wire.WireError) as e:
            c.query('SELECT 1; SELECT 2')
        assert e.value.errno == 1064
        c.set_option(True)
        assert len(c.query('SELECT 1; SELECT 2')) == 2


def test_session_state_reaches_later_connections(cluster, make_sealane):
    """History: what was set before a replica connection existed must hold on it as well."""
    s = make_sealane(cluster, service={'slave_connections': '1'})
    s.wait_healthy()
    with s.wire(database='test') as c:
        c.query('SET @who = "me"')
        c.query('SET sql_mode = "ANSI_QUOTES"')
        c.query("PREPARE stmt FROM 'SELECT 17'")
        first = node_of(c)
        s.set_state('Galera-' + first[-2:], 'maintenance')
        wait_until(lambda: node_of(c) != first, 30, 'another replica')
        assert c.rows_of('SELECT @who, @@sql_mode, DATABASE()') == [['me', 'ANSI_QUOTES', 'test']]
        assert c.value('EXECUTE stmt') == '17'
        s.set_state('Galera-' + first[-2:], 'maintenance', clear=True)


def test_load_data_local(sealane, tmp_path):
    lines = b''.join(b'%d\t%d\n' % (i, i * 2) for i in range(1000, 51000))
    with sealane.wire(database='test') as c:
        c.local_files['x.tsv'] = [lines[i:i + 100_000] for i in range(0, len(lines), 100_000)]
        r = c.query("LOAD DATA LOCAL INFILE 'x.tsv' INTO TABLE t (id, a)")[0]
        assert r.affected == 50000
        assert c.value('SELECT COUNT(*) FROM t WHERE id >= 1000 FOR UPDATE') == '50000'


@pytest.mark.parametrize('size', [16_777_200, 16_777_214, 16_777_215, 16_777_216, 40_000_000])
def test_big_rows_and_statements(sealane, size):
    """Around and above one packet of 16 MiB, in both directions."""
    with sealane.wire(database='test', timeout=90) as c:
        assert len(c.value("SELECT REPEAT('a', %d)" % size)) == size
        c.query('DELETE FROM t WHERE id = 900')
        text = b"INSERT INTO t (id, b) VALUES (900, '" + b'z' * size + b"')"
        c.query(text)
        assert c.value('SELECT LENGTH(b) FROM t WHERE id = 900 FOR UPDATE') == str(size)


def test_40_mb_parameter(sealane):
    value = os.urandom(1 << 20) * 40
    with sealane.wire(database='test', timeout=90) as c:
        s = c.prepare('INSERT INTO t (id, b) VALUES (901, ?)')
        c.execute(s, [value])
        assert c.value('SELECT MD5(b) FROM t WHERE id = 901 FOR UPDATE') == \
            hashlib.md5(value).hexdigest()


def test_kill_query_with_the_id_of_the_greeting(sealane):
    with sealane.wire() as victim, sealane.wire() as other:
        victim.command(wire.COM_QUERY, b'SELECT SLEEP(600)')
        wait_until(lambda: any(n.sql("SELECT 1 FROM information_schema.processlist "
                                     "WHERE info LIKE 'SELECT SLEEP%'")
                               for n in sealane.lab.nodes), 30, 'the statement runs')
        other.query('KILL QUERY %d' % victim.thread_id)
        with pytest.raises(wire.WireError) as e:
            victim.results()
        assert e.value.errno == 1317             # as the server says it: ER_QUERY_INTERRUPTED
        assert victim.value('SELECT 1') == '1'


def test_kill_with_the_id_of_connection_id(cluster, make_sealane):
    """One connection to one server for each session: ids of different servers may be equal."""
    s = make_sealane(cluster, service={'max_slave_connections': '0'})
    s.wait_healthy()
    with s.wire() as victim, s.wire() as other:
        other.query('KILL %s' % victim.value('SELECT CONNECTION_ID()'))
        with pytest.raises((wire.WireError, wire.Lost, OSError)):
            victim.query('SELECT 1')
        with pytest.raises(wire.WireError) as e:
            other.query('KILL 4000000000')
        assert e.value.errno == 1094
        assert other.value('SELECT 1') == '1'


def test_a_client_that_vanishes_frees_its_servers(sealane):
    c = sealane.wire()
    c.command(wire.COM_QUERY, b'SELECT SLEEP(600) /* vanish */')

    def running():
        return [n.name for n in sealane.lab.nodes
                if n.sql("SELECT 1 FROM information_schema.processlist WHERE info LIKE "
                         "'%vanish%' AND info NOT LIKE '%processlist%'")]
    wait_until(running, 30, 'the statement runs')
    c.sock.close()
    wait_until(lambda: not running(), 30, 'the statement was ended')
