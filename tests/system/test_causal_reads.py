# SPDX-License-Identifier: Apache-2.0
"""causal_reads: what was written is what is read, on members of a cluster and on replicas.

The pairs run with it and, for comparison, without on the same servers, so that "none is stale" cannot
come from a cluster that happened to be fast.  SEALANE_LONG=1 makes 10 000 of them.
"""
import contextlib
import itertools
import os
import statistics
import threading
import time

import pytest

import wire
from sealane import wait_until

LONG = os.environ.get('SEALANE_LONG') == '1'
VALUES = itertools.count(1000, 100000)
PAIRS = 10000 if LONG else 200
TRACK = 1 << 23
CAPS = {'eof': wire.DEFAULT_CAPS, 'deprecate-eof': wire.DEFAULT_CAPS | wire.DEPRECATE_EOF,
        'track': wire.DEFAULT_CAPS | TRACK,
        'track-deprecate-eof': wire.DEFAULT_CAPS | TRACK | wire.DEPRECATE_EOF}


def diagnostics(s):
    return s.get('/services/Service')['attributes']['router_diagnostics']


def failures(s):
    return diagnostics(s)['causal_failures']


class Pairs:
    """Write, then read."""

    def __init__(self, writer, reader, binary=False):
        self.writer, self.reader = writer, reader
        # an UPDATE that changes nothing is no write: nobody else has used these values
        self.times, self.stale, self.value = [], 0, next(VALUES)
        self.statement = reader.prepare('SELECT a FROM t WHERE id = ?') if binary else None

    def read(self):
        if self.statement:
            return self.reader.execute(self.statement, [1])[0].rows[0][0]
        return self.reader.value('SELECT a FROM t WHERE id = 1')

    def one(self):
        self.value += 1
        self.writer.query('UPDATE t SET a = %d WHERE id = 1' % self.value)
        started = time.perf_counter()
        is_stale = self.read() != str(self.value)
        self.times.append(time.perf_counter() - started)
        self.stale += is_stale
        return is_stale

    def run(self, count):
        for _ in range(count):
            self.one()
        return self

    def figures(self):
        times = sorted(t * 1e6 for t in self.times)
        return 'stale %d of %d, read: median %.0f us, 99 %% %.0f us' % (
            self.stale, len(times), statistics.median(times), times[len(times) * 99 // 100])


# ---------------------------------------------------------------------- Galera
@contextlib.contextmanager
def load(lab):
    """Write-sets that take the one applier thread of each node a while, in another table."""
    master = lab.nodes[0]
    master.sql('CREATE TABLE test.big (id INT PRIMARY KEY, a INT);'
               'INSERT INTO test.big SELECT seq, 0 FROM test.seq_1_to_2000')
    stop = threading.Event()

    def work():
        with wire.Wire(master.ip, master.port, database='test') as c:
            while not stop.is_set():
                c.query('UPDATE big SET a = a + 1')
    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()


@pytest.mark.parametrize('mode, protocol', [('local', 'text'), ('local', 'binary'),
                                            ('global', 'text'), ('fast', 'text'),
                                            ('fast_global', 'text'), ('universal', 'binary'),
                                            ('fast_universal', 'text')])
def test_pairs_on_galera(cluster, make_sealane, mode, protocol):
    without = make_sealane(cluster)
    s = make_sealane(cluster, service={'causal_reads': mode})
    without.wait_healthy()
    s.wait_healthy()
    others = mode in ('global', 'fast_global', 'universal', 'fast_universal')
    with load(cluster), without.wire(database='test') as plain, s.wire(database='test') as writer, \
            s.wire(database='test') as second:
        bare = Pairs(plain, plain, protocol == 'binary')
        if LONG:
            bare.run(PAIRS)
        wait_until(bare.one, 180, 'a stale read without causal_reads')
        pairs = Pairs(writer, second if others else writer, protocol == 'binary').run(PAIRS)
    print('none: %s\n%s: %s\n%s' % (bare.figures(), mode, pairs.figures(), diagnostics(s)))
    assert pairs.stale == 0, pairs.figures()


@contextlib.contextmanager
def blocked_appliers(lab):
    """Nothing that is written becomes visible on the replicas, which stay in use (as donors do)."""
    locks = []
    try:
        for n in lab.nodes[1:]:
            n.sql("SET GLOBAL wsrep_sst_method='mariabackup'")
            c = n.connect()
            c.cursor().execute('FLUSH TABLES WITH READ LOCK')
            locks.append(c)
        yield
    finally:
        for c in locks:
            c.close()
        for n in lab.nodes[1:]:
            n.sql("SET GLOBAL wsrep_sst_method='rsync'")


READ = 'SELECT a, @@wsrep_node_name FROM t WHERE id = 1'


def test_what_does_not_arrive_is_read_from_the_primary(cluster, make_sealane):
    s = make_sealane(cluster, service={'causal_reads': 'local', 'causal_reads_timeout': '1s'})
    s.wait_healthy()
    with s.wire(database='test') as c:
        assert c.rows_of(READ)[0][1] != 'galera-71'
        with blocked_appliers(cluster):
            c.query('UPDATE t SET a = 77 WHERE id = 1')
            assert c.rows_of(READ) == [['77', 'galera-71']]
            assert failures(s) >= 1
            c.query('START TRANSACTION READ ONLY')
            assert c.rows_of(READ) == [['77', 'galera-71']]
            c.query('COMMIT')
            st = c.prepare(READ)
            assert c.execute(st)[0].rows == [['77', 'galera-71']]
        wait_until(lambda: c.rows_of(READ)[0][1] != 'galera-71', 30, 'reads are back on replicas')
        assert c.rows_of(READ)[0][0] == '77'


READS_OF_THE_PRIMARY = [['SELECT a FROM t WHERE id = 1 FOR UPDATE'],
                        ['BEGIN', 'SELECT a FROM t WHERE id = 1', 'COMMIT']]


@contextlib.contextmanager
def primaries_that_change(s, times):
    """The role goes from node to node; yields a function that says whether it still does."""
    def work():
        for _ in range(times):
            old = s.master()
            s.set_state(old, 'maintenance')
            wait_until(lambda: s.master() not in (None, old), 10, 'another primary')
            s.set_state(old, 'maintenance', clear=True)
            wait_until(lambda: 'Slave' in s.states()[old] or s.master() == old, 10, 'it is back')
    mover = threading.Thread(target=work)
    mover.start()
    try:
        yield mover.is_alive
    finally:
        mover.join()


@pytest.mark.parametrize('mode', ['local', 'global', 'fast'])
def test_a_primary_that_took_over_has_what_was_written(cluster, make_sealane, mode):
    """The role moves to a node that is still applying: the next statements for it wait."""
    s = make_sealane(cluster, service={'causal_reads': mode})
    s.wait_healthy()
    pairs, stale = 0, []
    with load(cluster), s.wire(database='test') as writer, s.wire(database='test') as other, \
            primaries_that_change(s, 12) as is_moving:
        reader = other if mode == 'global' else writer
        while is_moving():
            value = str(next(VALUES))
            try:
                writer.query('UPDATE t SET a = %s WHERE id = 1' % value)
                rows = [reader.query(text)[-1] for text in READS_OF_THE_PRIMARY[pairs % 2]]
            except wire.WireError as e:
                assert e.errno in (1213, 1205, 1290), e    # both nodes wrote the row; no primary
                continue
            pairs += 1
            if [r.rows for r in rows if r.rows] != [[[value]]]:
                stale.append((pairs, value))
    print('%d pairs, stale: %s, %s' % (pairs, stale, diagnostics(s)))
    assert pairs > 0 and not stale


def test_reads_cost_nothing_while_nobody_writes(cluster, make_sealane):
    s = make_sealane(cluster, service={'causal_reads': 'local'})
    s.wait_healthy()
    with s.wire(database='test') as c:
        for _ in range(20):
            c.query(READ)
        assert diagnostics(s)['causal_waits'] == 0
        c.query('UPDATE t SET a = 5 WHERE id = 1')
        for _ in range(20):
            assert c.rows_of(READ)[0][0] == '5'
        assert 1 <= diagnostics(s)['causal_waits'] <= 2          # once per replica


# ---------------------------------------------------------------------- what the client sees
REPLIES = ["UPDATE t SET a = 1 WHERE id = 2", "UPDATE t SET a = 2 WHERE id = 2",
           "SET autocommit = 1", "USE test", "SELECT a FROM t WHERE id = 2", "DO 1",
           "INSERT INTO t (id, a) VALUES (900, 1) RETURNING a", "DELETE FROM t WHERE id = 900",
           "UPDATE t SET a = 3 WHERE id = 2; SELECT 1; UPDATE t SET a = 4 WHERE id = 2",
           "SELECT 1/0, a FROM t WHERE id = 2", "INSERT INTO t (id) VALUES (1)", "BEGIN",
           "UPDATE t SET a = 5 WHERE id = 2", "COMMIT"]


def raw_reply(conn, text):
    """The packets of a reply with their sequence numbers."""
    packets, receive = [], conn.recv

    def keep():
        p = receive()
        packets.append((conn.seq, p))
        return p
    conn.recv = keep
    try:
        conn.query(text)
    except wire.WireError:
        pass
    finally:
        conn.recv = receive
    return packets


@pytest.mark.parametrize('caps', sorted(CAPS))
def test_replies_are_those_of_the_server(cluster, make_sealane, caps):
    s = make_sealane(cluster, service={'causal_reads': 'local'})
    s.wait_healthy()
    master = cluster.nodes[0]
    with s.wire(database='test', caps=CAPS[caps]) as c, \
            wire.Wire(master.ip, master.port, database='test', caps=CAPS[caps]) as direct:
        expected = [raw_reply(direct, text) for text in REPLIES]
        master.sql('UPDATE test.t SET a = 20 WHERE id = 2')
        for text, expect in zip(REPLIES, expected):
            seen = raw_reply(c, text)
            if caps == 'eof' and 'RETURNING' in text:            # a bit that says "more later"
                expect = [(q, p[:4] + bytes([p[4] & 0xbf]) if p[0] == 254 else p)
                          for q, p in expect]
            assert seen == expect, text


def test_a_client_may_track_gtids_itself(cluster, make_sealane):
    s = make_sealane(cluster, service={'causal_reads': 'local'})
    s.wait_healthy()
    with s.wire(database='test', caps=CAPS['track']) as c:
        assert b'last_gtid' not in raw_reply(c, 'UPDATE t SET a = 61 WHERE id = 1')[0][1]
        c.query("SET SESSION session_track_system_variables='last_gtid'")
        assert b'last_gtid' in raw_reply(c, 'UPDATE t SET a = 62 WHERE id = 1')[0][1]
        assert c.rows_of(READ)[0][0] == '62'
        c.reset_connection()
        c.init_db('test')
        assert b'last_gtid' not in raw_reply(c, 'UPDATE t SET a = 63 WHERE id = 1')[0][1]
        assert Pairs(c, c).run(50).stale == 0


def test_diagnostics_of_the_read_are_its_own(cluster, make_sealane):
    s = make_sealane(cluster, service={'causal_reads': 'local'})
    s.wait_healthy()
    with s.wire(database='test') as c:
        c.query('UPDATE t SET a = 8 WHERE id = 1')
        r = c.query('SELECT SQL_CALC_FOUND_ROWS 1/0, a FROM t ORDER BY id LIMIT 1')[0]
        assert (r.rows, r.warnings) == ([[None, '8']], 1)
        assert c.value('SELECT FOUND_ROWS()') == '3'
        c.query('UPDATE t SET a = 9 WHERE id = 1')
        c.query('SELECT 1/0 FROM t WHERE id = 1')
        assert len(c.rows_of('SHOW WARNINGS')) == 1
        c.query('INSERT INTO t (a) VALUES (10)')
        assert c.value('SELECT COUNT(*) FROM t') == '4'
        assert int(c.value('SELECT LAST_INSERT_ID()')) > 3
        c.query('SET sql_select_limit = 0')                      # must not switch the wait off
        c.query('UPDATE t SET a = 10 WHERE id = 1')
        assert c.value('SELECT a FROM t WHERE id = 1 LIMIT 1') == '10'


# ---------------------------------------------------------------------- replicas
def caught_up(lab):
    at = lab.nodes[0].value('SELECT @@gtid_binlog_pos')
    for n in lab.nodes[1:]:
        wait_until(lambda n=n: n.value('SELECT @@gtid_slave_pos') == at, 20, 'replicas follow')


@pytest.fixture
def replicated(repl3):
    """Primary 41, replicas 42 and 43 that have everything, and the table."""
    primary, replicas = repl3.nodes[0], repl3.nodes[1:]
    primary.sql('CREATE DATABASE IF NOT EXISTS test; DROP TABLE IF EXISTS test.t;'
                'CREATE TABLE test.t (id INT PRIMARY KEY AUTO_INCREMENT, a INT);'
                'INSERT INTO test.t (id, a) VALUES (1, 10)')
    caught_up(repl3)
    yield repl3
    for n in replicas:
        if n.frozen:
            n.thaw()
        n.sql('START SLAVE')


def start(make_sealane, lab, mode, **service):
    """The roles are set by hand: these servers have no monitor."""
    s = make_sealane(lab, service=dict({'causal_reads': mode, 'causal_reads_timeout': '30s'},
                                       **service))
    for name in s.servers('server-'):
        s.set_state(name, 'running')
        s.set_state(name, 'master' if name.endswith('41') else 'slave')
    return s


GIVES_UP = {'causal_reads_timeout': '1s'}        # where replicas are stopped


def sql_threads(lab, verb):
    for n in lab.nodes[1:]:
        n.sql(verb + ' SLAVE SQL_THREAD')


WHERE = 'SELECT a, @@server_id FROM t WHERE id = 1'


@pytest.mark.parametrize('mode', ['local', 'global', 'universal', 'fast', 'fast_universal'])
def test_pairs_on_replicas(replicated, make_sealane, mode):
    without = start(make_sealane, replicated, 'none')
    s = start(make_sealane, replicated, mode)
    with without.wire(database='test') as plain, s.wire(database='test') as c:
        wait_until(Pairs(plain, plain).one, 180, 'a stale read without causal_reads')
        pairs = Pairs(c, c).run(PAIRS)
        print('%s: %s' % (mode, pairs.figures()))
        assert pairs.stale == 0
        seen = {c.rows_of(WHERE)[0][1] for _ in range(10)}
        # nobody monitors these servers, so nobody knows their positions: fast means the primary
        assert seen == {'1'} if mode.startswith('fast') else '1' not in seen


@pytest.mark.parametrize('mode', ['local', 'global', 'universal'])
def test_a_stopped_replica_is_not_read(replicated, make_sealane, mode):
    s = start(make_sealane, replicated, mode, **GIVES_UP)
    with s.wire(database='test') as c:
        c.query('UPDATE t SET a = 11 WHERE id = 1')
        caught_up(replicated)
        wait_until(lambda: c.rows_of(WHERE)[0] in (['11', '2'], ['11', '3']), 20, 'a replica is read')
        sql_threads(replicated, 'STOP')
        c.query('UPDATE t SET a = 12 WHERE id = 1')
        assert c.rows_of(WHERE) == [['12', '1']]
        st = c.prepare(WHERE)
        assert c.execute(st)[0].rows == [['12', '1']]
        c.query('START TRANSACTION READ ONLY')
        assert c.rows_of(WHERE) == [['12', '1']]
        c.query('COMMIT')
        assert failures(s) >= 1
        sql_threads(replicated, 'START')
        wait_until(lambda: c.rows_of(WHERE)[0][1] != '1', 20, 'replicas are read again')


def test_what_the_global_modes_wait_for_can_be_forgotten(replicated, make_sealane):
    s = start(make_sealane, replicated, 'global', **GIVES_UP)
    with s.wire(database='test') as c:
        c.query('UPDATE t SET a = 30 WHERE id = 1')
        caught_up(replicated)
        sql_threads(replicated, 'STOP')
        c.query('UPDATE t SET a = 31 WHERE id = 1')
        assert c.rows_of(WHERE) == [['31', '1']]
        assert diagnostics(s)['last_gtid']
        assert s.ctl('call', 'command', 'readwritesplit', 'reset-gtid', 'Service').strip() == 'OK'
        assert diagnostics(s)['last_gtid'] is None
        assert c.rows_of(WHERE)[0][0] == '30'                    # nothing is waited for
        c.query('UPDATE t SET a = 32 WHERE id = 1')
        assert c.rows_of(WHERE) == [['32', '1']]
        sql_threads(replicated, 'START')


def test_universal_sees_what_others_wrote(replicated, make_sealane):
    s = start(make_sealane, replicated, 'universal')
    with s.wire(database='test') as c:
        for value in range(100, 150):
            replicated.nodes[0].sql('UPDATE test.t SET a = %d WHERE id = 1' % value)
            assert c.rows_of(WHERE)[0][0] == str(value)


def test_timeout_in_a_read_only_transaction(replicated, make_sealane):
    s = start(make_sealane, replicated, 'global', causal_reads_timeout='4s')
    with s.wire(database='test') as c, s.wire(database='test') as other:
        other.query('UPDATE t SET a = 20 WHERE id = 1')
        caught_up(replicated)
        c.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED')
        c.query('START TRANSACTION READ ONLY')
        assert c.rows_of(WHERE)[0][0] == '20'
        sql_threads(replicated, 'STOP')
        other.query('UPDATE t SET a = 21 WHERE id = 1')
        with pytest.raises(wire.WireError) as e:
            c.query(WHERE)
        assert (e.value.errno, e.value.state) == (1792, '25006')
        c.query('COMMIT')
        assert c.rows_of(WHERE) == [['21', '1']]


def test_a_frozen_replica_does_not_hold_the_read(replicated, make_sealane):
    s = start(make_sealane, replicated, 'local', **GIVES_UP)
    with s.wire(database='test') as c:
        c.query('UPDATE t SET a = 30 WHERE id = 1')
        assert c.rows_of(WHERE)[0][0] == '30'
        c.query('UPDATE t SET a = 31 WHERE id = 1')
        for n in replicated.nodes[1:]:
            n.freeze()
        assert c.rows_of(WHERE) == [['31', '1']]


def test_a_write_whose_gtid_comes_late(replicated, make_sealane):
    """INSERT .. RETURNING to a client without DEPRECATE_EOF."""
    s = start(make_sealane, replicated, 'local', **GIVES_UP)
    with s.wire(database='test') as c:
        sql_threads(replicated, 'STOP')
        c.query('INSERT INTO t (id, a) VALUES (2, 40) RETURNING a')
        assert c.value('SELECT a FROM t WHERE id = 2') == '40'
        sql_threads(replicated, 'START')
        c.query('UPDATE t SET a = 41 WHERE id = 2')
        assert c.value('SELECT a FROM t WHERE id = 2') == '41'
        wait_until(lambda: c.rows_of(WHERE)[0][1] != '1', 20, 'replicas are read again')


def test_no_primary_and_no_replica_in_time(replicated, make_sealane):
    s = start(make_sealane, replicated, 'local', **GIVES_UP)
    with s.wire(database='test') as c:
        sql_threads(replicated, 'STOP')
        c.query('UPDATE t SET a = 50 WHERE id = 1')
        s.set_state('server-41', 'master', clear=True)
        s.set_state('server-41', 'slave')
        with pytest.raises(wire.WireError) as e:
            c.query(WHERE)
        assert e.value.errno == 1205
        s.set_state('server-41', 'master')
        assert c.rows_of(WHERE) == [['50', '1']]
