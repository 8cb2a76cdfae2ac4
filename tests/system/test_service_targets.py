# SPDX-License-Identifier: Apache-2.0
"""Services as targets of services: three levels in front of a Galera cluster.

    port --> RO (readconnroute) --> RW (readwritesplit) --> Service (readwritesplit) --> 71 72 73
    port ---------------------------^                 '--> Replicas (readconnroute) --> 72 73
"""
import itertools
import random
import threading

import pytest

import wire
from conftest import client_connections
from lab import net
from load import Load
from sealane import PORTS, Who, section, wait_until

TAGS = itertools.count(1)
LOGIN = {'user': 'maxuser', 'password': 'SecretP@ssw0rd'}
WAITS = {'delayed_retry': 'true', 'delayed_retry_timeout': '30s', 'master_reconnection': 'true',
         'master_failure_mode': 'fail_on_write'}
ROWS = 20000


class Chain:
    """The daemon of the picture, and whom a statement has reached."""

    def __init__(self, make_sealane, cluster, inner=None, outer=None):
        self.ro_port = net.free_port('127.0.0.1', next(PORTS))
        servers = ','.join('Galera-' + n.name for n in cluster.nodes)
        extra = section('Replicas', type='service', router='readconnroute', servers=servers,
                        router_options='slave', **LOGIN)
        extra += section('RW', type='service', router='readwritesplit', targets='Service,Replicas',
                         **dict(LOGIN, **dict(WAITS, **(outer or {}))))
        extra += section('RO', type='service', router='readconnroute', targets='RW', **LOGIN)
        extra += section('RO-Listener', type='listener', service='RO', address='127.0.0.1',
                         port=self.ro_port)
        self.sealane = make_sealane(cluster, service=dict(WAITS, **(inner or {})),
                                    listener={'service': 'RW'}, extra=extra)
        self.sealane.wait_healthy()
        self.who = Who(cluster.nodes)

    def conn(self, **kw):
        return self.sealane.wire(**dict({'database': 'test', 'timeout': 60}, **kw))

    def third_level(self, **kw):
        return wire.Wire('127.0.0.1', self.ro_port, **dict({'database': 'test', 'timeout': 60}, **kw))

    def served(self, run):
        """Nodes that executed the statement that run(tag) sends."""
        tag = '/*t%d.%d*/' % (next(TAGS), random.randrange(1 << 30))
        run(tag)
        return self.who.saw(tag)

    def counts(self):
        return {s['id']: s['attributes']['connections'] for s in self.sealane.get('/services')}


@pytest.fixture
def make_chain(make_sealane, cluster):
    made = []

    def make(**kw):
        made.append(Chain(make_sealane, cluster, **kw))
        return made[-1]
    yield make
    for chain in made:
        chain.who.off()
        wait_until(lambda c=chain: not any(c.counts().values()), 15, 'no session is left')


@pytest.fixture
def chain(make_chain):
    return make_chain()


REPLICAS = {'72', '73'}


def test_reads_and_writes_arrive_where_they_belong(chain):
    with chain.conn() as c, chain.third_level() as third:
        for conn in (c, third):
            assert chain.served(lambda t: conn.query(t + 'INSERT INTO t (a) VALUES (1)')) == {'71'}
            assert chain.served(lambda t: conn.query('SELECT 1' + t)) <= REPLICAS
            assert chain.served(lambda t: conn.query(
                'SELECT a FROM t WHERE id=1 FOR UPDATE' + t)) == {'71'}
        c.query('SET @x=5')                                # state reaches both branches
        assert chain.served(lambda t: c.query('SET @y=6' + t)) >= {'71'}
        assert c.value('SELECT @x + @y') == '11'
        c.init_db('information_schema')
        assert c.value('SELECT DATABASE()') == 'information_schema'


def test_transactions_stay_together(chain, cluster):
    with chain.third_level() as c:
        c.query('BEGIN')
        assert chain.served(lambda t: c.query('INSERT INTO t (a) VALUES (777)' + t)) == {'71'}
        assert chain.served(lambda t: c.query('SELECT COUNT(*) FROM t' + t)) == {'71'}
        c.query('ROLLBACK')
        assert c.value('SELECT COUNT(*) FROM t WHERE a=777') == '0'
        c.query('SET autocommit=0')
        assert chain.served(lambda t: c.query('INSERT INTO t (a) VALUES (778)' + t)) == {'71'}
        assert chain.served(lambda t: c.query('SELECT COUNT(*) FROM t' + t)) == {'71'}
        c.query('COMMIT')
    assert cluster.node('71').value('SELECT COUNT(*) FROM test.t WHERE a=778') == '1'


def test_prepared_statements(chain):
    with chain.third_level() as c:
        insert = c.prepare('INSERT INTO t (a) VALUES (?)')
        select = c.prepare('SELECT a FROM t WHERE id=?')
        assert chain.served(lambda t: c.query('SELECT 2' + t)) <= REPLICAS
        for n in range(20):
            c.execute(insert, (n,))
            assert c.execute(select, (2,))[0].rows == [['20']]
        c.stmt_close(insert)
        c.reset_connection()
        with pytest.raises(wire.WireError):
            c.execute(select, (2,))
        assert c.value('SELECT a FROM t WHERE id=3') == '30'


def test_big_results_and_big_statements(chain):
    """Back-pressure passes through: a client that does not read makes nobody collect."""
    with chain.third_level() as c:
        big = 'SELECT REPEAT("x", 1000), seq FROM seq_1_to_%d' % ROWS
        rows = c.rows_of(big)
        assert len(rows) == ROWS and rows[-1] == ['x' * 1000, str(ROWS)]
        blob = 'y' * (17 << 20)                            # more than one packet
        assert c.value("SELECT LENGTH('%s')" % blob) == str(len(blob))
        c.command(wire.COM_QUERY, big.encode())
        session, = chain.sealane.sessions()
        assert wait_until(lambda: chain.sealane.sessions()[0]['attributes']['memory']['total'], 30,
                          'its memory') < 4 << 20, session
        assert len(c.results()[0].rows) == ROWS


def test_wrong_password_and_strange_database_are_refused_outside(chain, cluster):
    for make in (chain.conn, chain.third_level):
        with pytest.raises(wire.WireError) as e:
            make(password='wrong')
        assert e.value.errno == 1045
        with pytest.raises(wire.WireError) as e:
            make(database='nothing')
        assert e.value.errno == 1044
    wait_until(lambda: chain.counts() == {'Service': 0, 'Replicas': 0, 'RW': 0, 'RO': 0}, 30,
               'no session')
    with chain.conn() as c:
        with pytest.raises(wire.WireError) as e:
            c.change_user('app', 'wrong')
        assert e.value.errno == 1045
        c.change_user('app', 'app', 'test')
        assert c.value('SELECT a FROM t WHERE id=1') == '10'


def test_a_dropped_account_is_refused(make_chain, cluster):
    """The server refuses it, behind three levels: the outermost service reads the accounts again."""
    at_once = {'delayed_retry': 'false'}
    chain = make_chain(inner=at_once, outer=at_once)
    node = cluster.node('71')
    node.sql("CREATE USER newcomer IDENTIFIED BY 'secret'; GRANT ALL ON test.* TO newcomer")

    def error():
        try:
            with chain.third_level(user='newcomer', password='secret') as c:
                c.value('SELECT a FROM t WHERE id=1')
        except wire.WireError as e:
            return e.errno
        except (wire.Lost, OSError):
            return -1
        return 0
    try:
        wait_until(lambda: error() == 0, 60, 'the new account works')
    finally:
        node.sql('DROP USER newcomer')
    wait_until(lambda: error() == 1045 and not any(
        u['user'] == 'newcomer' for u in chain.sealane.get('/services/RO')['attributes']['users']),
        60, 'it is unknown at the door')


def test_timeouts_of_inner_services_end_nobody(make_chain):
    chain = make_chain(inner={'wait_timeout': '1s'})
    with chain.conn() as c:
        c.query('SET @x=5')
        thread = c.value('SELECT CONNECTION_ID() FROM t WHERE id=1 FOR UPDATE')
        wait_until(lambda: chain.sealane.sessions()[0]['attributes']['idle'] > 2.5, 30, 'idle')
        assert c.value('SELECT CONNECTION_ID() FROM t WHERE id=1 FOR UPDATE') == thread


def test_load_data_local(chain):
    lines = b''.join(b'%d\t%d\n' % (i, i * 2) for i in range(1000, 51000))
    with chain.third_level() as c:
        c.local_files['x.tsv'] = [lines[i:i + 100_000] for i in range(0, len(lines), 100_000)]
        r = c.query("LOAD DATA LOCAL INFILE 'x.tsv' INTO TABLE t (id, a)")[0]
        assert r.affected == 50000
        assert c.value('SELECT COUNT(*) FROM t WHERE id >= 1000 FOR UPDATE') == '50000'


def test_what_the_tools_show(chain):
    s = chain.sealane
    with chain.third_level() as c:
        wait_until(lambda: c.value('SELECT 1') and chain.counts() ==
                   {'Service': 1, 'Replicas': 1, 'RW': 1, 'RO': 1}, 30, 'a session at each level')
        session, = s.sessions()
        assert session['relationships']['services']['data'][0]['id'] == 'RO'
        path = '/sessions/' + session['id']
        wait_until(lambda: {x['server'] for x in s.get(path)['attributes']['connections']} ==
                   {'Galera-71', 'Galera-72', 'Galera-73'}, 30, 'all servers are shown')
    rw = s.get('/services/RW')['relationships']
    assert [x['id'] for x in rw['services']['data']] == ['Service', 'Replicas']
    assert 'servers' not in rw
    assert s.get('/services/RW/relationships/services')
    assert set(s.states()) == {'Galera-71', 'Galera-72', 'Galera-73'}
    lines = [line.split('\t') for line in s.ctl('--tsv', 'list', 'services').splitlines()]
    assert ['RO', 'readconnroute', 'RW'] in [[x[0], x[1], x[4]] for x in lines]
    assert 'RW' in s.ctl('show', 'service', 'RO')


@pytest.mark.parametrize('kind', ['QUERY', 'CONNECTION'])
def test_kill(chain, cluster, kind):
    """By the id of a server's thread, which the client learnt through three levels."""
    with chain.third_level() as victim, chain.third_level() as bystander, chain.conn() as killer:
        thread = victim.value('SELECT CONNECTION_ID()')
        victim.command(wire.COM_QUERY, b'SELECT SLEEP(600) + COUNT(*) FROM t FOR UPDATE')
        wait_until(lambda: cluster.node('71').sql(
            "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(600)%'"),
            30, 'it runs')
        killer.query('KILL %s %s' % (kind, thread))
        if kind == 'QUERY':
            with pytest.raises(wire.WireError) as e:
                victim.results()
            assert e.value.errno == 1317
            assert victim.value('SELECT a FROM t WHERE id=1') == '10'
        else:
            with pytest.raises((wire.WireError, wire.Lost, OSError)):
                victim.results()
        wait_until(lambda: not cluster.node('71').sql(
            "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(600)%'"),
            30, 'it has stopped on the server')
        assert bystander.value('SELECT a FROM t WHERE id=1') == '10'


def test_delete_session(chain, cluster):
    s = chain.sealane
    with chain.third_level() as c:
        c.query('BEGIN')
        c.query('UPDATE t SET a=11 WHERE id=1')
        session, = s.sessions()
        code, _ = s.request('DELETE', '/sessions/' + session['id'])
        assert code == 200
        with pytest.raises((wire.WireError, wire.Lost, OSError)):
            c.value('SELECT 1')
    wait_until(lambda: not any(row[1] == 'app' for n in cluster.nodes
                               for row in client_connections(n)), 60, 'all closed')
    assert cluster.node('71').value('SELECT a FROM test.t WHERE id=1') == '10'


def test_a_client_that_vanishes_frees_its_locks(chain, cluster):
    c = chain.third_level()
    c.query('BEGIN')
    c.query('UPDATE t SET a=11 WHERE id=1')
    c.command(wire.COM_QUERY, b'SELECT SLEEP(600) FROM t WHERE id=1 FOR UPDATE')
    wait_until(lambda: cluster.node('71').sql(
        "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(600)%'"),
        30, 'it runs')
    c.sock.close()
    with chain.conn() as other:
        other.query('SET innodb_lock_wait_timeout=55')
        other.query('UPDATE t SET a=12 WHERE id=1')
    assert cluster.node('71').value('SELECT a FROM test.t WHERE id=1') == '12'


def test_max_connections_of_the_inner_service(make_chain):
    chain = make_chain(inner={'max_connections': 1})
    with chain.conn() as c:
        c.query('INSERT INTO t (a) VALUES (1)')
        with chain.conn() as other:                         # reads work, its writes cannot
            assert other.value('SELECT a FROM t WHERE id=1') == '10'
            assert chain.counts()['Service'] == 1
    wait_until(lambda: chain.counts()['Service'] == 0, 30, 'the place is free again')
    with chain.conn() as c:
        c.query('INSERT INTO t (a) VALUES (1)')


def test_drain(chain, cluster):
    """A replica that drains gets no new reads, the primary no new writes; nobody sees an error."""
    s = chain.sealane
    with chain.third_level() as c:
        s.set_state('Galera-73', 'drain')
        with chain.conn() as new:
            assert chain.served(lambda t: new.query('SELECT 1' + t)) == {'72'}
        s.set_state('Galera-73', 'drain', clear=True)
        c.query('INSERT INTO t (a) VALUES (1)')
        s.set_state('Galera-71', 'maintenance')
        wait_until(lambda: s.master() == 'Galera-72', 30, 'another Master')
        assert chain.served(lambda t: c.query('INSERT INTO t (a) VALUES (2)' + t)) == {'72'}
        s.set_state('Galera-71', 'maintenance', clear=True)


@pytest.mark.slow
def test_node_killed_under_sessions(make_chain, cluster):
    """Replay on both levels: no session ends, no error, nothing is lost or done twice."""
    replay = {'transaction_replay': 'true', 'transaction_replay_timeout': '60s'}
    chain = make_chain(inner=replay, outer=replay)
    cluster.nodes[0].sql('CREATE TABLE test.log (id VARCHAR(40) PRIMARY KEY)')
    told, lock = [], threading.Lock()

    def turn(conn, session):
        name = '%x' % random.getrandbits(100)
        conn.query('BEGIN')
        conn.query("INSERT INTO log VALUES ('%s')" % name)
        assert conn.value("SELECT COUNT(*) FROM log WHERE id='%s'" % name) == '1'
        conn.query('COMMIT')
        with lock:
            told.append(name)
        conn.value('SELECT COUNT(*) FROM log')

    def done(more):
        target = len(told) + more
        wait_until(lambda: len(told) >= target, 120, '%d more transactions' % more)

    with Load(chain.sealane.port, turn, 4) as load:
        done(100)
        cluster.node('71').kill()
        done(100)
        cluster.node('71').start()
        chain.sealane.wait_healthy(120)
        done(100)
        cluster.node('73').kill()
        done(100)
    errors = [e for s in load.sessions for e in s.errors]
    # a COMMIT on its way when the node died has no known outcome: that may be said (1180, and the
    # session goes on with another connection), anything else may not
    assert all(errno == 1180 for _, errno, _ in errors), errors
    rows = wait_until(lambda: cluster.node('72').sql(
        'SET SESSION wsrep_sync_wait=1; SELECT id FROM test.log', timeout=60), 90, 'all that is applied')
    kept = {row[0] for row in rows}
    assert set(told) <= kept
    assert len(kept) <= len(told) + len(errors)


def test_servers_and_services_mixed(make_sealane, cluster):
    """Reads go to the server that is a target itself, writes through the service."""
    s = make_sealane(cluster, service=WAITS, listener={'service': 'Mixed'},
                     extra=section('Mixed', type='service', router='readwritesplit',
                                   targets='Galera-73,Service', **LOGIN, **WAITS))
    s.wait_healthy()
    who = Who(cluster.nodes)
    try:
        with s.wire(database='test') as c:
            c.query('INSERT INTO t (a) VALUES (/*mixed-w*/ 1)')
            c.query('SELECT /*mixed-r*/ 1')
        assert who.saw('/*mixed-w*/') == {'71'} and who.saw('/*mixed-r*/') == {'73'}
    finally:
        who.off()
    shown = s.get('/services/Mixed')['relationships']
    assert [x['id'] for x in shown['servers']['data']] == ['Galera-73']
    assert [x['id'] for x in shown['services']['data']] == ['Service']


def test_end_with_sessions_open(make_sealane, cluster):
    """The daemon stops while sessions of three levels are busy: a clean end."""
    chain = Chain(make_sealane, cluster)
    chain.who.off()
    conns = [chain.third_level() for _ in range(5)] + [chain.conn() for _ in range(5)]
    for c in conns[::2]:
        c.command(wire.COM_QUERY, b'SELECT SLEEP(20)')
    chain.sealane.stop()
    for c in conns:
        c.sock.close()


@pytest.mark.parametrize('targets, text', [
    ({'RW': 'RO', 'RO': 'RW'}, "services are targets of each other: 'RW' -> 'RO' -> 'RW'"),
    ({'RW': 'RW'}, "names the service itself"),
    ({'RW': 'Servce'}, "'targets' names 'Servce', but there is no such server or service, did you mean 'Service'"),
    ({'RW': 'Bytes'}, "a service with router 'tcp' cannot be a target"),
])
def test_configurations_that_are_refused(make_sealane, cluster, targets, text):
    extra = section('Bytes', type='service', router='tcp', servers='Galera-71')
    for name, value in targets.items():
        extra += section(name, type='service', router='readwritesplit', targets=value, **LOGIN)
    s = make_sealane(cluster, start=False, extra=extra)
    code, output = s.config_check()
    assert code != 0 and text in output
