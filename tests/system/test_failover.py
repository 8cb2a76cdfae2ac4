# SPDX-License-Identifier: Apache-2.0
"""Nodes die, freeze, come back, are drained: what the sessions notice."""
import collections
import os
import re
import shutil
import subprocess
import threading
import time

import pytest

import load
from sealane import checksums, wait_applied, wait_until
from wire import WireError


def equal_rows(cluster):
    counts = {n.value('SELECT COUNT(*) FROM test.t') for n in cluster.nodes if n.pid}
    return len(counts) == 1


def wait_for_equal(cluster, table):
    """The table has the same rows on all nodes; otherwise tells how they differ."""
    try:
        wait_until(lambda: len({checksums(n, table)[0] for n in cluster.nodes}) == 1, 20, table)
    except AssertionError:
        rows = {n.name: {tuple(r) for r in n.sql('SELECT * FROM ' + table)} for n in cluster.nodes}
        common = set.intersection(*rows.values())
        pytest.fail('%s differs: %s' % (table, {
            name: '%d rows, %d of its own: %s' % (len(r), len(r - common), sorted(r - common)[:5])
            for name, r in rows.items()}))


def writes_go_on(work, more=30, deadline_s=60):
    at = work.done()
    wait_until(lambda: work.done() > at + more, deadline_s, 'work goes on')


def all_go_on(work, more=2):
    """Each session has ended that many more statements: the last of them began after this call."""
    at = [s.done for s in work.sessions]
    wait_until(lambda: all(s.done >= was + more for s, was in zip(work.sessions, at)), 60,
               'every session goes on')


@pytest.mark.slow
def test_master_killed_under_load_and_restarted(sealane, cluster, capsys):
    with load.Load(sealane.port, load.write, 8) as work:
        all_go_on(work)
        cluster.node('71').kill()
        sealane.wait_states({'Galera-72': 'Master, Synced, Running', 'Galera-71': 'Down'})
        all_go_on(work)
        over = time.monotonic()
        writes_go_on(work, 200)
        meanwhile = [e for e in work.errors() if e[0] > over]
        cluster.node('71').start()
        sealane.wait_states({'Galera-71': 'Master, Synced, Running'}, 120)
        all_go_on(work)
    with capsys.disabled():
        print('\n  longest pause %.2f s, errors %s, connections lost %d'
              % (work.longest(), work.errors_by_number(), work.lost()))
    assert work.lost() == 0, work.errors()[:5]
    # error_on_write: errors for who has a write in flight or comes before the next Master is there
    assert not meanwhile, meanwhile
    assert set(work.errors_by_number()) <= {1180, 1290}, work.errors()[:20]
    wait_until(lambda: equal_rows(cluster), 60, 'all nodes equal')
    stored = int(cluster.node('72').value('SELECT COUNT(*) FROM test.t')) - 3
    assert stored >= work.done()


class Sysbench(threading.Thread):
    """oltp_read_write until told to end. sysbench 1.0.20 uses a closed handle to connect again after a lost
    connection (seen: a crash, and a loop of connects that never log in). So a lost connection is not
    among the errors it ignores: it ends, and is started again, as a supervisor would."""

    IGNORED = '1020,1047,1180,1205,1213,1290,1317'

    def __init__(self, port, threads, seconds):
        super().__init__(daemon=True)
        self.end = time.monotonic() + seconds
        self.threads, self.port = threads, port
        self.lines, self.starts = [], 0

    def run(self):
        while self.end - time.monotonic() >= 1:
            self.starts += 1
            p = subprocess.Popen(
                ['sysbench', 'oltp_read_write', '--db-driver=mysql', '--mysql-host=127.0.0.1',
                 '--mysql-port=%d' % self.port, '--mysql-user=app', '--mysql-password=app',
                 '--mysql-db=test', '--tables=4', '--table-size=2000', '--report-interval=1',
                 '--threads=%d' % self.threads, '--mysql-ignore-errors=' + self.IGNORED,
                 '--db-ps-mode=disable', '--time=%d' % (self.end - time.monotonic()), 'run'],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for line in p.stdout:
                self.lines.append((time.monotonic(), line))
            if p.wait() != 0:
                time.sleep(0.2)                  # a supervisor's pause, not a wait for a state

    def sum_of(self, pattern):
        return sum(float(m.group(1)) for _, line in self.lines
                   for m in [re.search(pattern, line)] if m)

    def done(self):
        return self.sum_of(r'tps: ([0-9.]+)')

    def stop(self):
        self.join(max(0, self.end - time.monotonic()) + 60)
        assert not self.is_alive(), 'sysbench hangs: %s' % self.lines[-3:]

    def report(self):
        text = ''.join(line for _, line in self.lines)
        numbers = collections.Counter(re.findall(r'errno = (\d+)|error (\d+)', text))
        return '%d transactions, %d errors ignored, %d reconnects, %d starts, %s' % (
            self.done(), self.sum_of(r'err/s: ([0-9.]+)'), self.sum_of(r'reconn/s: ([0-9.]+)'),
            self.starts, dict(numbers))


class PythonClients(load.Load):
    def __init__(self, port, threads, seconds):
        super().__init__(port, load.oltp, threads)
        self.end = time.monotonic() + seconds

    def start(self):
        self.__enter__()

    def stop(self):
        wait_until(lambda: time.monotonic() >= self.end, 120, 'the end of the run')
        super().stop()

    def report(self):
        return '%d transactions, errors %s, connections lost %d' % (
            self.done(), self.errors_by_number(), self.lost())


@pytest.mark.slow
@pytest.mark.parametrize('clients', [Sysbench, PythonClients])
def test_oltp_through_the_death_of_the_master(sealane, cluster, capsys, clients):
    """oltp_read_write with 16 clients; the Master is killed in the first third and back in the last.

    Sessions inside a transaction on it end; four more sessions that only autocommit must go on without losing
    their connection, as soon as the cluster itself takes writes again (a direct client of the next node tells when).
    SEALANE_LONG=1: 60 s instead of 30.
    """
    if clients is Sysbench and not shutil.which('sysbench'):
        pytest.skip('sysbench is not installed')
    seconds = 60 if os.environ.get('SEALANE_LONG') else 30
    load.make_oltp_tables(cluster.nodes[0])
    for n in cluster.nodes:
        # With 0, the lab's value, the killed node came back without one row of a transaction that was being committed
        # at that moment and that the others have (2 of 3 runs): redo that only the process had. With 2: none of 3.
        n.sql('SET GLOBAL innodb_flush_log_at_trx_commit=2')
    next_node = cluster.node('72')
    work = clients(sealane.port, 16, seconds)
    started = time.monotonic()
    work.start()
    with load.Load(sealane.port, load.write, 4) as outside, \
            load.Load(next_node.port, load.write, 1, next_node.ip) as direct:
        wait_until(lambda: time.monotonic() > started + seconds / 3, seconds, 'a third of the time')
        before = work.done()
        assert before > 0 and outside.done() > 0
        cluster.node('71').kill()
        killed = time.monotonic()
        wait_until(lambda: direct.resumed(killed + 0.2), 30, 'the cluster takes writes again')
        writes_go_on(outside)
        wait_until(lambda: time.monotonic() > started + seconds * 2 / 3, seconds, 'two thirds')
        cluster.node('71').start(wait=False)
        work.stop()
        cluster.node('71').wait()
        sealane.wait_healthy(120)
        writes_go_on(outside)
    ours, theirs = outside.resumed(killed + 0.2), direct.resumed(killed + 0.2)
    # how long the cluster took writes and we did not: a write that hangs counts little
    usable = sum(min(took, 0.05) for s in direct.sessions for start, took in s.samples
                 if theirs < start + took < ours)
    with capsys.disabled():
        print('\n  %s: %s\n  outside transactions: %d writes, errors %s, connections lost %d; writes went '
              'on after %.2f s, %.2f s after those of a direct client, which was writing for %.2f s of them'
              % (clients.__name__, work.report(), outside.done(), outside.errors_by_number(),
                 outside.lost(), ours - killed, ours - theirs, usable))
    assert work.done() > before, 'nothing after the kill'
    assert outside.lost() == 0, outside.errors()[:5]
    assert usable < 0.5 + 0.5                    # half a second for a busy machine with two cores
    if clients is PythonClients:
        wanted = work.done() + outside.done() + direct.done()
        wait_until(lambda: int(next_node.value('SELECT COUNT(*) FROM test.t')) - 3 >= wanted, 30,
                   'all that was acknowledged is applied here')
    tables = ['test.t'] + ['test.sbtest%d' % i for i in range(1, 5)]
    for table in tables:
        wait_for_equal(cluster, table)
    for n in cluster.nodes:                      # the daemon still runs: only ended sessions count
        wait_until(lambda n=n: not n.sql("SELECT id, info FROM information_schema.processlist "
                                         "WHERE user = 'app'"), 15, 'no connection left on ' + n.name)


@pytest.mark.slow
def test_open_transaction_does_not_continue_elsewhere(sealane, cluster):
    """Without replay a transaction that lost its server must end in an error, never half done."""
    with sealane.wire(database='test', timeout=60) as c:
        c.query('BEGIN')
        c.query('INSERT INTO t (id, a) VALUES (800, 1)')
        cluster.node('71').kill()
        with pytest.raises(Exception):
            c.query('INSERT INTO t (id, a) VALUES (801, 1)')
            c.query('COMMIT')
    sealane.wait_states({'Galera-72': {'Master'}}, 10)
    node = cluster.node('72')
    wait_until(lambda: node.value('SELECT COUNT(*) FROM test.t WHERE id IN (800, 801)') == '0',
               15, 'nothing of it is stored')


def test_replica_killed_is_not_noticed_by_readers(sealane, cluster):
    with load.Load(sealane.port, load.read, 8) as work:
        all_go_on(work)
        cluster.node('72').kill()
        sealane.wait_states({'Galera-72': 'Down'})
        all_go_on(work)
    assert work.errors() == []


class Awake:
    """Seconds since it was made in which this machine went on: of a pause, PAUSE_S count."""
    PAUSE_S = 0.25

    def __init__(self):
        self.last, self.seconds = time.monotonic(), 0

    def tick(self):
        now = time.monotonic()
        self.seconds += min(now - self.last, self.PAUSE_S)
        self.last = now


READ_TIMEOUT_S = 5                                  # backend_read_timeout's default


@pytest.mark.slow
def test_frozen_replica(sealane, cluster, capsys):
    """Detected after backend_read_timeout (5 s); until then only those hang that have asked it."""
    with load.Load(sealane.port, load.read, 8) as work:
        all_go_on(work)
        writes_go_on(work, 1000)
        before = work.percentile(0.99)
        frozen = time.monotonic()
        cluster.node('73').freeze()
        awake = Awake()
        wait_until(lambda: awake.tick() or 'Running' not in sealane.states()['Galera-73'], 30,
                   '73 is down')
        detected = time.monotonic()
        all_go_on(work)                             # also those that hung
        quarter = (detected - frozen) / 4
        busy = [s for s in work.sessions if any(frozen + quarter < at and at + t < detected - quarter
                                                for at, t in s.samples)]
        after = sorted(t for s in busy for at, t in s.samples if frozen < at < detected)
        cluster.node('73').thaw()
    assert awake.seconds < 2 * READ_TIMEOUT_S       # one timeout and an interval, not two
    assert busy, 'every session hung on the frozen node'
    with capsys.disabled():
        print('\n  detected after %.2f s; %d of 8 sessions went on, p99 of theirs %.1f ms, before %.1f ms'
              % (detected - frozen, len(busy), after[int(len(after) * .99)] * 1000, before * 1000))
    assert after[int(len(after) * .99)] < 0.5
    assert work.errors() == []


@pytest.mark.slow
def test_frozen_master(sealane, cluster, capsys):
    """Detected after backend_read_timeout (5 s); readers notice nothing, writers go on."""
    with load.Load(sealane.port, load.read, 4) as readers, \
            load.Load(sealane.port, load.write, 4) as writers:
        all_go_on(writers)
        writes_go_on(readers, 1000)
        before = readers.percentile(0.99)
        cluster.node('71').freeze()
        frozen = time.monotonic()
        awake = Awake()
        all_go_on(readers, 20)
        wait_until(lambda: awake.tick() or sealane.master() == 'Galera-72', 30, '72 is the Master')
        took = time.monotonic() - frozen
        meanwhile = readers.percentile(0.99, since=frozen)
        all_go_on(readers)
        all_go_on(writers)
        cluster.node('71').thaw()
    with capsys.disabled():
        print('\n  detected after %.2f s; p99 of readers %.1f ms, before %.1f ms; writers: errors %s, '
              'longest pause %.2f s' % (took, meanwhile * 1000, before * 1000,
                                        writers.errors_by_number(), writers.longest()))
    assert awake.seconds < 2 * READ_TIMEOUT_S
    assert readers.errors() == []
    assert meanwhile < 0.5


@pytest.mark.slow
def test_thawed_node_that_lies_gets_no_reads(sealane, cluster):
    """A node that slept through its expulsion still says Synced; its old view gives it away."""
    node = cluster.node('73')
    node.freeze()
    wait_until(lambda: cluster.node('71').wsrep()['wsrep_cluster_size'] == '2', 20, 'expelled')
    cluster.node('71').sql('INSERT INTO test.t (id, a) VALUES (999, 1)')
    wait_applied([cluster.node('72')])
    sealane.wait_states({'Galera-73': 'Down'})
    with sealane.wire(database='test') as c:
        node.thaw()
        end = time.monotonic() + 3
        while time.monotonic() < end:
            assert c.value('SELECT COUNT(*) FROM t WHERE id = 999') == '1', 'stale read'
    sealane.wait_states({'Galera-73': 'Slave, Synced, Running'}, 90)


@pytest.mark.root
@pytest.mark.slow
def test_node_cut_off_from_the_group_is_not_used(sealane, cluster):
    cluster.partition(['73'])
    # the two that remain are a component of their own a moment later
    sealane.wait_states({'Galera-71': 'Master, Synced, Running', 'Galera-73': 'Running',
                         'Galera-72': 'Slave, Synced, Running'})
    with sealane.wire() as c:
        assert {c.value('SELECT @@wsrep_node_name') for _ in range(10)} == {'galera-72'}
    cluster.heal()
    sealane.wait_healthy(90)


def test_maintenance_and_drain(sealane):
    with sealane.wire() as c, load.Load(sealane.port, load.read, 4) as work:
        writes_go_on(work, 100)
        sealane.set_state('Galera-72', 'maintenance')
        sealane.wait_states({'Galera-72': 'Maintenance, Running'}, 3)
        wait_until(lambda: {c.value('SELECT @@wsrep_node_name') for _ in range(10)} ==
                   {'galera-73'}, 5, 'no reads on 72')
        sealane.set_state('Galera-72', 'maintenance', clear=True)
        sealane.wait_states({'Galera-72': 'Slave, Synced, Running'}, 3)
        sealane.set_state('Galera-73', 'drain')
        wait_until(lambda: sealane.states()['Galera-73'].split(',')[0] in ('Draining', 'Drained'),
                   3, 'draining')
        with sealane.wire() as new:
            assert {new.value('SELECT @@wsrep_node_name') for _ in range(10)} == {'galera-72'}
        sealane.set_state('Galera-73', 'drain', clear=True)
    assert work.errors() == []


def test_master_in_maintenance_moves_writes(sealane):
    with load.Load(sealane.port, load.write, 4) as work:
        writes_go_on(work)
        sealane.set_state('Galera-71', 'maintenance')
        sealane.wait_states({'Galera-72': 'Master, Synced, Running'}, 3)
        writes_go_on(work)
        sealane.set_state('Galera-71', 'maintenance', clear=True)
        sealane.wait_healthy()
        writes_go_on(work)
    assert work.errors() == []


def test_all_masters_gone(cluster, make_sealane):
    """error_on_write: reads go on, a write gets 1290 and the session lives."""
    s = make_sealane(cluster, monitor={'disable_master_role_setting': 'true'})
    s.wait_states({'Galera-71': 'Synced, Running'}, 10)
    with pytest.raises(Exception), s.wire() as c:
        c.query('SELECT 1')                      # no Slave either: nothing to connect to
    s2 = make_sealane(cluster, start=False)
    s2.write(service={'master_failure_mode': 'error_on_write'})
    s2.start()
    s2.wait_healthy()
    with s2.wire(database='test') as c:
        for name in ('Galera-71', 'Galera-72'):
            s2.set_state(name, 'maintenance')
        s2.wait_states({'Galera-73': 'Master, Synced, Running'}, 5)
        c.query('INSERT INTO t (a) VALUES (1)')
        s2.set_state('Galera-73', 'maintenance')
        s2.wait_states({'Galera-73': 'Maintenance, Running'}, 5)
        with pytest.raises(WireError) as e:
            c.query('INSERT INTO t (a) VALUES (1)')
        assert e.value.errno == 1290
        for name in ('Galera-71', 'Galera-72', 'Galera-73'):
            s2.set_state(name, 'maintenance', clear=True)
        s2.wait_healthy()
        c.query('INSERT INTO t (a) VALUES (1)')


@pytest.mark.parametrize('mode', ['fail_instantly', 'fail_on_write'])
def test_failure_modes(cluster, make_sealane, mode):
    s = make_sealane(cluster, service={'master_failure_mode': mode,
                                       'master_reconnection': 'false'})
    s.wait_healthy()
    with s.wire(database='test', timeout=20) as c:
        c.query('SELECT 1')
        cluster.node('71').kill()
        s.wait_states({'Galera-72': {'Master'}}, 10)
        if mode == 'fail_on_write':
            assert c.value('SELECT 1') == '1'
        with pytest.raises(Exception):
            c.query('INSERT INTO t (a) VALUES (1)')
            c.query('SELECT 1')
