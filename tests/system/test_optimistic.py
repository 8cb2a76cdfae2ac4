# SPDX-License-Identifier: Apache-2.0
"""optimistic_trx on real servers: transactions that only read stay on a replica."""
import pytest

from sealane import Who, wait_until

MASTER, REPLICAS = {'71'}, {'72', '73'}


@pytest.fixture
def log(cluster):
    """The general logs of all nodes."""
    who = Who(cluster.nodes)
    yield who
    who.off()


@pytest.fixture
def conn(cluster, log, make_sealane):
    s = make_sealane(cluster, service={'optimistic_trx': 'true'})
    s.wait_healthy()
    assert 'optimistic_trx' not in s.log_text()
    with s.wire(database='test') as conn:
        wait_until(lambda: sum(c['connection_id'] > 0 for c in
                               s.sessions()[0]['attributes']['connections']) == 3, 30,
                   'all connections')
        yield conn


def test_reads_stay_on_a_replica(conn, log):
    log.mark()
    conn.query('BEGIN /* tag-a */')
    assert conn.value('SELECT /* tag-a */ a FROM t WHERE id=1') == '10'
    conn.query('COMMIT /* tag-a */')
    assert len(log.saw('tag-a')) == 1 and log.saw('tag-a') <= REPLICAS


def test_a_write_moves_to_the_primary(conn, log):
    log.mark()
    conn.query('BEGIN /* tag-b */')
    assert conn.value('SELECT /* tag-b */ a FROM t WHERE id=1') == '10'
    conn.query('UPDATE /* tag-c */ t SET a=11 WHERE id=1')
    assert conn.value('SELECT /* tag-c */ a FROM t WHERE id=1') == '11'
    conn.query('COMMIT /* tag-c */')
    assert log.saw('tag-c') == MASTER
    assert MASTER < log.saw('tag-b') and len(log.saw('tag-b')) == 2
    assert conn.value('SELECT a FROM t WHERE id=1 FOR UPDATE') == '11'


def test_what_was_read_has_changed(cluster, conn):
    """The primary would answer otherwise than the replica has: the client may try again."""
    conn.query('BEGIN')
    assert conn.value('SELECT a FROM t WHERE id=2') == '20'
    cluster.nodes[0].sql('UPDATE test.t SET a=21 WHERE id=2')
    with pytest.raises(Exception) as e:
        conn.query('UPDATE t SET a=a+1 WHERE id=2')
    assert e.value.errno == 1213
    conn.query('BEGIN')
    conn.query('UPDATE t SET a=a+1 WHERE id=2')
    conn.query('COMMIT')
    assert conn.value('SELECT a FROM t WHERE id=2 FOR UPDATE') == '22'


def test_replica_killed_in_the_middle(cluster, conn, log):
    log.mark()
    conn.query('BEGIN /* tag-d */')
    assert conn.value('SELECT a FROM t WHERE id=3') == '30'
    first, = log.saw('tag-d')
    next(n for n in cluster.nodes if n.name == first).kill()
    conn.query('UPDATE t SET a=31 WHERE id=3')
    conn.query('COMMIT')
    assert conn.value('SELECT a FROM t WHERE id=3 FOR UPDATE') == '31'
