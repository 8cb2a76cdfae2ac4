# SPDX-License-Identifier: Apache-2.0
"""lazy_connect on real servers: who is connected when, and what survives."""
import pytest

import wire
from conftest import client_connections
from sealane import wait_until


def connected(cluster):
    """Numbers of the nodes to which clients of the proxy are connected."""
    return {n.name for n in cluster.nodes
            for row in client_connections(n) if row[1] == 'app'}


@pytest.fixture
def lazy(cluster, make_sealane):
    s = make_sealane(cluster, service={'lazy_connect': 'true'})
    s.wait_healthy()
    return s


def test_connections_open_when_needed(cluster, lazy):
    assert 'lazy_connect' not in lazy.log_text()          # no warning: the setting has an effect
    with lazy.wire(database='test') as conn:
        assert connected(cluster) == set()
        assert conn.value('SELECT a FROM t WHERE id=1') == '10'
        assert len(connected(cluster)) == 1 and connected(cluster) <= {'72', '73'}
        conn.query("SET @x=7")
        conn.query('INSERT INTO t (a) VALUES (40)')
        assert '71' in connected(cluster) and len(connected(cluster)) == 2
        conn.query('BEGIN')                               # the primary has got @x since
        assert conn.value('SELECT @x') == '7'
        conn.query('COMMIT')


def test_passwords_are_checked_all_the_same(cluster, lazy):
    with pytest.raises(wire.WireError) as e:
        lazy.wire(password='wrong')
    assert e.value.errno == 1045
    assert connected(cluster) == set()


def test_session_command_goes_to_a_replica(cluster, lazy):
    with lazy.wire() as conn:
        conn.init_db('test')
        assert len(connected(cluster)) == 1 and connected(cluster) <= {'72', '73'}
        conn.query('INSERT INTO t (a) VALUES (40)')       # USE has reached the primary too


def test_prepared_before_anything_is_connected(cluster, lazy):
    with lazy.wire(database='test') as conn:
        insert = conn.prepare('INSERT INTO t (id, a) VALUES (?, ?)')
        select = conn.prepare('SELECT a FROM t WHERE id=?')
        conn.execute(insert, (100, 5))
        for n in cluster.nodes:
            wait_until(lambda n=n: n.value('SELECT COUNT(*) FROM test.t') == '4', 10, 'the row')
        assert conn.execute(select, (100,))[0].rows == [['5']]


def test_replica_killed_in_the_middle(cluster, lazy):
    """The only connection is lost; the next statements open others, with the session's state."""
    with lazy.wire(database='test') as conn:
        conn.query('SET @x=1')
        conn.value('SELECT @x')
        first, = connected(cluster)
        next(n for n in cluster.nodes if n.name == first).kill()
        wait_until(lambda: conn.value('SELECT @x') == '1', 60, 'a read elsewhere')
        assert conn.value('SELECT @x + a FROM t WHERE id=1') == '11'
