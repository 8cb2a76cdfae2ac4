# SPDX-License-Identifier: Apache-2.0
"""Reads heed what a Galera node says about itself: its queue, being a donor, leaving."""
import contextlib

from conftest import client_connections
from sealane import wait_applied, wait_until

WHERE = 'SELECT @@wsrep_node_name'
REPLICAS = {'galera-72', 'galera-73'}


@contextlib.contextmanager
def donors(nodes):
    """FLUSH TABLES WITH READ LOCK: the node says Donor/Desynced, and applies nothing."""
    locks = []
    try:
        for n in nodes:
            n.sql("SET GLOBAL wsrep_sst_method='mariabackup'")
            c = n.connect()
            c.cursor().execute('FLUSH TABLES WITH READ LOCK')
            locks.append(c)
        yield
    finally:
        for c in locks:
            c.close()
        for n in nodes:
            n.sql("SET GLOBAL wsrep_sst_method='rsync'")


def info(s, name):
    servers = s.get('/monitors/Monitor')['attributes']['monitor_diagnostics']['server_info']
    return next(x for x in servers if x['name'] == name)


def seen(conn, count=12):
    return {conn.value(WHERE) for _ in range(count)}


def reads_everywhere(conn):
    """The session has its connections to both replicas."""
    wait_until(lambda: seen(conn) == REPLICAS, 30, 'both replicas are read')


def app_connections(node):
    return [row[0] for row in client_connections(node) if row[1] == 'app']


def write(cluster, count):
    for _ in range(count):
        cluster.nodes[0].sql('INSERT INTO test.t (a) VALUES (1)')


def test_a_long_queue_gets_no_reads(cluster, make_sealane):
    s = make_sealane(cluster, service={'max_receive_queue': '10'})
    unlimited = make_sealane(cluster)
    s.wait_healthy()
    unlimited.wait_healthy()
    with s.wire() as c, unlimited.wire() as d:
        reads_everywhere(c)
        with donors(cluster.nodes[1:]):
            write(cluster, 15)
            for x in (s, unlimited):
                wait_until(lambda x=x: all(info(x, 'Galera-' + n.name)['recv_queue'] >= 10
                                           for n in cluster.nodes[1:]), 10, 'the queue is seen')
            assert seen(c) == {'galera-71'}
            assert seen(d) <= REPLICAS
        wait_until(lambda: seen(c) == REPLICAS, 20, 'they have caught up and are read again')


def test_a_donor_gets_no_reads_while_there_are_others(cluster, make_sealane):
    s = make_sealane(cluster)
    s.wait_healthy()
    with s.wire() as c:
        reads_everywhere(c)
        with donors(cluster.nodes[1:2]):
            wait_until(lambda: info(s, 'Galera-72')['avoided_for_reads'], 10, 'the donor is seen')
            assert seen(c) == {'galera-73'}
            with donors(cluster.nodes[2:]):
                wait_until(lambda: info(s, 'Galera-73')['avoided_for_reads'], 10, 'both')
                assert seen(c) <= REPLICAS                        # rather than the primary
        wait_until(lambda: seen(c) == REPLICAS, 20, 'both are read again')


def test_desync_lets_transactions_finish(cluster, make_sealane):
    s = make_sealane(cluster)
    s.wait_healthy()
    master = cluster.nodes[0]
    with s.wire(database='test') as c:
        c.query('BEGIN')
        c.query('UPDATE t SET a = 71 WHERE id = 1')
        master.sql('SET GLOBAL wsrep_desync=ON')
        wait_until(lambda: s.master() not in (None, 'Galera-71'), 10, 'another Master')
        assert c.value(WHERE) == 'galera-71'
        c.query('UPDATE t SET a = 72 WHERE id = 1')
        c.query('COMMIT')
        wait_applied(cluster.nodes)              # nobody waits for that here: causal_reads is off
        assert c.value('SELECT a FROM t WHERE id = 1 FOR UPDATE') == '72'
        c.query('INSERT INTO t (a) VALUES (5)')
        c.query('BEGIN')
        assert c.value(WHERE) != 'galera-71'
        c.query('COMMIT')
        master.sql('SET GLOBAL wsrep_desync=OFF')


def test_reject_queries_gets_nothing(cluster, make_sealane):
    s = make_sealane(cluster)
    s.wait_healthy()
    with s.wire() as c:
        cluster.nodes[1].sql('SET GLOBAL wsrep_reject_queries=ALL')
        try:
            for _ in range(30):                                   # also before the monitor looks
                c.value('SELECT COUNT(*) FROM test.t')
            s.wait_states({'Galera-72': 'Running'})
            assert seen(c) == {'galera-73'}
        finally:
            cluster.nodes[1].sql('SET GLOBAL wsrep_reject_queries=NONE')


def test_open_sessions_read_a_replica_that_is_back(cluster, make_sealane):
    """A session that has lost a connection does not stay with the replicas it has left."""
    s = make_sealane(cluster)
    s.wait_healthy()
    with s.wire() as c:
        c.query('SET @kept = 7')
        reads_everywhere(c)
        node = cluster.node('72')
        for number in app_connections(node):
            node.sql('KILL %s' % number)
        wait_until(lambda: seen(c) == REPLICAS, 20, 'both are read after a KILL')
        s.set_state('Galera-72', 'maintenance')
        wait_until(lambda: not app_connections(node), 20, 'the idle connection is closed')
        assert seen(c) == {'galera-73'}
        s.set_state('Galera-72', 'maintenance', clear=True)
        wait_until(lambda: seen(c) == REPLICAS, 20, 'both are read after the maintenance')
        assert {c.value('SELECT @kept') for _ in range(12)} == {'7'}
