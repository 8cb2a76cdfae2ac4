# SPDX-License-Identifier: Apache-2.0
"""Transaction replay on a Galera cluster: the node that runs a transaction is lost at each step of it."""
import contextlib
import threading

import pytest

from conftest import repair
from sealane import wait_until
from wire import Lost, WireError

pytestmark = pytest.mark.slow
REPLAY = {'transaction_replay': 'true', 'transaction_replay_retry_on_deadlock': 'true',
          'slave_selection_criteria': 'ADAPTIVE_ROUTING'}
# a frozen node is not noticed before it is killed
PATIENT = {'backend_connect_timeout': '60s', 'backend_read_timeout': '60s'}


@pytest.fixture(scope='module', autouse=True)
def whole_again(galera3):
    """The next file finds all nodes."""
    yield
    repair(galera3)


@pytest.fixture
def replaying(cluster, make_sealane):
    """Factory: a healthy daemon with the service of the seed and more settings."""
    def make(monitor=None, **service):
        s = make_sealane(cluster, service=dict(REPLAY, retain_last_statements=5, **service),
                         monitor=monitor)
        s.wait_healthy()
        return s
    return make


def counters(s):
    return s.get('/services/Service')['attributes']['router_diagnostics']


class Later(threading.Thread):
    """Something that blocks, done aside; result() gives its value or raises what it raised."""

    def __init__(self, work):
        super().__init__(daemon=True)
        self.work, self.value, self.raised = work, None, None
        self.start()

    def run(self):
        try:
            self.value = self.work()
        except Exception as e:
            self.raised = e

    def result(self, timeout=60):
        self.join(timeout)
        assert not self.is_alive(), 'no answer'
        if self.raised:
            raise self.raised
        return self.value


def runs_on(node, text):
    """Does the node run a statement of app with this text now?"""
    return node.sql("SELECT 1 FROM information_schema.processlist WHERE user='app' AND "
                    "info LIKE '%s%%' AND info NOT LIKE '%%processlist%%'" % text)


def is_pending(s, conn, text):
    """Has the last statement of the session this text, and is it sent and not answered?"""
    last = s.get('/sessions/%d' % conn.thread_id)['attributes']['queries'][0]
    return last['statement'] == text and [r['state'] for r in last['responses']] == ['pending']


@contextlib.contextmanager
def lost(cluster, name='71'):
    """The node gives no more answers to anybody; it is dead at the end."""
    node = cluster.node(name)
    node.freeze()
    yield node
    node.thaw()
    node.kill()


def stored(cluster, where, name='72'):
    """How many such rows there are: the node has first applied what was committed anywhere."""
    return wait_until(lambda: cluster.node(name).value(
        'SET SESSION wsrep_sync_wait=1; SELECT COUNT(*) FROM test.t WHERE ' + where, timeout=60),
        90, 'rows of node ' + name)


def test_killed_before_the_first_statement(replaying, cluster):
    s = replaying()
    with s.wire(database='test', timeout=60) as c:
        c.query('SELECT 1')
        cluster.node('71').kill()
        c.query('BEGIN')
        c.query('INSERT INTO t (a) VALUES (1001)')
        c.query('COMMIT')
    assert stored(cluster, 'a=1001') == '1'


@pytest.mark.parametrize('protocol', ['text', 'prepared'])
def test_killed_in_the_middle(replaying, cluster, protocol):
    """Auto-increment values, user variables and rows read before are what the client has seen."""
    s = replaying()
    with s.wire(database='test', timeout=60) as c:
        insert = c.prepare('INSERT INTO t (a) VALUES (?)') if protocol == 'prepared' else None

        def put(n):
            if insert:
                return c.execute(insert, [n])[0]
            return c.query('INSERT INTO t (a) VALUES (%d)' % n)[0]
        c.query('SET @before=5')
        c.query('BEGIN')
        first = put(1001).insert_id
        assert c.rows_of('SELECT a FROM t WHERE id <= 3 FOR UPDATE') == [['10'], ['20'], ['30']]
        c.query('SET @before=6')
        if insert:
            c.stmt_close(insert)                 # kept until the transaction is over
            insert = c.prepare('INSERT INTO t (a) VALUES (?)')
        second = put(1002).insert_id
        cluster.node('71').kill()
        assert c.value('SELECT @before') == '6'
        assert c.rows_of('SELECT id, a FROM t WHERE a > 1000 ORDER BY a') == \
            [[str(first), '1001'], [str(second), '1002']]
        put(1003)
        c.query('COMMIT')
        assert c.value('SELECT @@in_transaction') == '0'
    assert stored(cluster, 'a IN (1001, 1002, 1003)') == '3'
    assert counters(s)['replayed_transactions'] == 1


def test_killed_while_a_statement_runs(replaying, cluster):
    s = replaying()
    with s.wire(database='test', timeout=60) as c:
        c.query('BEGIN')
        c.query('INSERT INTO t (a) VALUES (1001)')
        answer = Later(lambda: c.value("SELECT SLEEP(IF(@@wsrep_node_name='galera-71', 600, 0))"))
        wait_until(lambda: runs_on(cluster.node('71'), 'SELECT SLEEP'), 30, 'it runs')
        cluster.node('71').kill()
        assert answer.result() == '0'
        c.query('COMMIT')
    assert stored(cluster, 'a=1001') == '1'


def test_killed_in_the_middle_of_a_result(replaying, cluster):
    """100 000 rows: the client stops reading, its node dies, and the rest comes from another one."""
    s = replaying()
    with s.wire(database='test', timeout=60) as c:
        c.query('BEGIN')
        c.query('INSERT INTO t (a) VALUES (1001)')
        c.command(3, b"SELECT seq, REPEAT('x', 200) FROM seq_1_to_100000")
        wait_until(lambda: runs_on(cluster.node('71'), 'SELECT seq'), 30, 'it runs')
        cluster.node('71').kill()
        rows = c.result().rows
        assert [int(r[0]) for r in rows] == list(range(1, 100001))
        assert {r[1] for r in rows} == {'x' * 200}
        c.query('COMMIT')
    assert stored(cluster, 'a=1001') == '1'
    assert counters(s)['replayed_transactions'] == 1


def test_lost_between_commit_and_its_answer(replaying, cluster):
    """Nobody knows whether it is committed: the client is told so, and nothing is done twice."""
    s = replaying(monitor=PATIENT)               # the COMMIT is sent before the loss is noticed
    with s.wire(database='test', timeout=60) as c:
        c.query('BEGIN')
        c.query('INSERT INTO t (a) VALUES (1001)')
        cluster.node('71').freeze()
        answer = Later(lambda: c.query('COMMIT'))
        wait_until(lambda: is_pending(s, c, 'COMMIT'), 30, 'it is on its way')
        cluster.node('71').kill()
        with pytest.raises(WireError) as e:
            answer.result()
        assert (e.value.errno, e.value.state) == (1180, '08007')
        assert 'outcome unknown' in e.value.message
        c.query('INSERT INTO t (a) VALUES (1002)')
    assert stored(cluster, 'a=1002') == '1'
    assert int(stored(cluster, 'a=1001')) <= 1
    said = counters(s)
    assert (said['unknown_outcomes'], said['replayed_transactions']) == (1, 0)


def test_unsafe_commit_is_repeated(replaying, cluster):
    s = replaying(transaction_replay_safe_commit='false')
    with s.wire(database='test', timeout=60) as c:
        c.query('BEGIN')
        c.query('INSERT INTO t (a) VALUES (1001)')
        with lost(cluster):
            c.query('COMMIT')
    assert int(stored(cluster, 'a=1001')) >= 1


def test_lost_during_prepare(replaying, cluster):
    s = replaying()
    with s.wire(database='test', timeout=60) as c:
        c.query('BEGIN')
        c.query('INSERT INTO t (a) VALUES (1001)')
        with lost(cluster):
            insert = c.prepare('INSERT INTO t (a) VALUES (?)')
            c.execute(insert, [1002])
            c.query('COMMIT')
    assert stored(cluster, 'a IN (1001, 1002)') == '2'


def test_killed_during_load_data_local(replaying, cluster):
    """The file is not kept: the session ends, and not a row of it is stored."""
    s = replaying()
    with s.wire(database='test', timeout=60) as c:
        c.query('BEGIN')
        c.command(3, b"LOAD DATA LOCAL INFILE 'rows' INTO TABLE t (a)")
        assert c.recv()[0] == 251
        c.send(b'1001\n' * 1000)
        wait_until(lambda: runs_on(cluster.node('71'), 'LOAD DATA'), 30, 'it runs')
        cluster.node('71').kill()
        with pytest.raises((WireError, Lost, OSError)):
            raise c.error(c.recv())
    s.wait_states({'Galera-72': 'Master, Synced, Running'}, 60)

    def write():
        with s.wire(database='test', timeout=60) as c:
            return c.query('INSERT INTO t (a) VALUES (1002)')
    wait_until(write, 60, 'writes work')
    assert stored(cluster, 'a=1001') == '0'


def test_deadlock(replaying, cluster):
    """A transaction on another node wins; ours is run again and the client sees nothing."""
    s = replaying()
    with s.wire(database='test', timeout=60) as c:
        for ending, other in ('SELECT 1', 110), ('COMMIT', 211):
            c.query('BEGIN')
            c.query('UPDATE t SET a=a+1 WHERE id=1')
            cluster.node('72').sql('SET SESSION wsrep_sync_wait=15;'
                                   'UPDATE test.t SET a=a+100 WHERE id=1')
            assert stored(cluster, 'id=1 AND a=%d' % other, '71') == '1'
            c.query(ending)
            if ending != 'COMMIT':
                c.query('COMMIT')
    assert stored(cluster, 'id=1 AND a=212') == '1'
    assert counters(s)['replayed_transactions'] == 2


def test_other_results_are_refused(replaying, cluster):
    s = replaying()
    with s.wire(database='test', timeout=60) as c:
        c.query('BEGIN')
        assert c.value('SELECT @@wsrep_node_name') == 'galera-71'
        c.query('INSERT INTO t (a) VALUES (1001)')
        cluster.node('71').kill()
        with pytest.raises(WireError) as e:
            c.query('INSERT INTO t (a) VALUES (1002)')
        assert (e.value.errno, e.value.state) == (1213, '40001')
        assert c.value('SELECT @@in_transaction') == '0'
        c.query('INSERT INTO t (a) VALUES (1003)')
    assert stored(cluster, 'a IN (1001, 1002)') == '0'
    assert stored(cluster, 'a=1003') == '1'
    said = counters(s)
    assert (said['replay_mismatches'], said['replays_failed_mismatch']) == (1, 1)
    code, text = s.request('GET', '/metrics')
    assert code != 200 or 'sealane_service_replays_failed_mismatch_total{service="Service"} 1' in text


def test_too_long(replaying, cluster):
    s = replaying(transaction_replay_max_size='1000')
    with s.wire(database='test', timeout=60) as c:
        c.query('BEGIN')
        for n in range(40):
            c.query('INSERT INTO t (a) VALUES (%d)' % (1000 + n))
        cluster.node('71').kill()
        with pytest.raises(WireError) as e:
            c.query('COMMIT')
        assert e.value.errno == 1213 and 'max_size' in e.value.message
    assert stored(cluster, 'a >= 1000') == '0'
    assert counters(s)['trx_max_size_exceeded'] == 1


def test_autocommitted_write_on_a_dying_node(replaying, cluster):
    s = replaying()
    with s.wire(database='test', timeout=60) as c:
        c.query('INSERT INTO t (a) VALUES (1000)')
        with cluster.node('71').connect() as own, own.cursor() as cursor:
            cursor.execute('BEGIN; SELECT * FROM test.t FOR UPDATE')
            answer = Later(lambda: c.query('INSERT INTO t (a) VALUES (1001)'))
            wait_until(lambda: runs_on(cluster.node('71'), 'INSERT'), 30, 'it runs')
            with lost(cluster), pytest.raises(WireError) as e:
                answer.result()
        assert (e.value.errno, e.value.state) == (1180, '08007')
        c.query('INSERT INTO t (a) VALUES (1002)')
    assert int(stored(cluster, 'a=1001')) <= 1
    assert stored(cluster, 'a=1002') == '1'


def test_refusing_node(replaying, cluster):
    """1047: nothing has been done there, so another node does it, in a transaction or not."""
    s = replaying()
    with s.wire(database='test', timeout=60) as c:
        c.query('BEGIN')
        c.query('INSERT INTO t (a) VALUES (1001)')
        cluster.node('71').sql('SET GLOBAL wsrep_reject_queries=ALL')
        answer = Later(lambda: c.query('COMMIT'))
        s.set_state('Galera-71', 'maintenance')
        answer.result()
        s.set_state('Galera-71', 'maintenance', clear=True)
    with s.wire(database='test', timeout=60) as c:
        answer = Later(lambda: c.query('INSERT INTO t (a) VALUES (1002)'))
        s.set_state('Galera-71', 'maintenance')
        answer.result()
    assert stored(cluster, 'a IN (1001, 1002)') == '2'
    s.set_state('Galera-71', 'maintenance', clear=True)
