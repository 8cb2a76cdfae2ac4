# SPDX-License-Identifier: Apache-2.0
"""KILL with ids of server threads, where the three nodes' ids overlap."""
import pytest

import wire
from sealane import wait_until

ASK = 'SELECT CONNECTION_ID()'


def next_id(node):
    """The id that the node gives to the next connection."""
    return int(node.value(ASK)) + 1


def stagger(nodes):
    """Open and close connections until each node is one ahead of the one before."""
    def done():
        ids = [next_id(n) - i for i, n in enumerate(nodes)]
        for i, n in enumerate(nodes):
            for _ in range(max(ids) - ids[i]):
                n.value(ASK)
        ids = [next_id(n) - i for i, n in enumerate(nodes)]
        return len(set(ids)) == 1
    wait_until(done, 30, 'the nodes count one behind the other')


def threads_of(node):
    """Ids of the connections of clients."""
    return {t for t, in node.sql("SELECT id FROM information_schema.processlist WHERE user='app'")}


@pytest.fixture
def sessions(sealane):
    """Six sessions on all nodes: each has ids that its neighbours have on other nodes."""
    nodes, made = sealane.lab.nodes, []

    def close():
        while made:
            made.pop().close()

    def overlapping():
        """Somebody else's connection in between (a monitor's new one) spoils the order."""
        close()
        wait_until(lambda: not any(threads_of(n) for n in nodes), 60, 'no connection is left')
        stagger(nodes)
        made.extend(sealane.wire() for _ in range(6))
        wait_until(lambda: all(len(threads_of(n)) == 6 for n in nodes), 60, 'all are connected')
        return len(set.intersection(*map(threads_of, nodes))) == 4
    try:
        wait_until(overlapping, 300, 'sessions with ids in common')
        yield made
    finally:
        close()


def nodes_with(sealane, thread):
    return [n.name for n in sealane.lab.nodes
            if n.sql("SELECT 1 FROM information_schema.processlist WHERE id=%s AND user='app'"
                     % thread)]


def is_dead(conn):
    try:
        conn.query('SELECT 1')
    except (wire.WireError, wire.Lost, OSError):
        return True
    return False


def prepared_id(conn):
    return conn.execute(conn.prepare(ASK), [])[0].rows[0][0]


@pytest.mark.parametrize('ask', [lambda c: c.value(ASK), prepared_id], ids=['text', 'prepared'])
def test_the_session_that_asked_dies_and_no_other(sealane, sessions, ask):
    victim, killer = sessions[2], sessions[5]
    thread = ask(victim)
    assert len(nodes_with(sealane, thread)) > 1
    killer.query('KILL %s' % thread)
    assert is_dead(victim)
    assert [is_dead(c) for c in sessions if c is not victim] == [False] * 5


def test_kill_query_hits_the_statement_of_the_one_that_asked(sealane, sessions):
    victim, bystander, killer = sessions[1], sessions[3], sessions[5]
    thread = victim.value(ASK)
    victim.command(wire.COM_QUERY, b'SELECT SLEEP(90) /* victim */')
    bystander.command(wire.COM_QUERY, b'SELECT SLEEP(10) /* bystander */')
    wait_until(lambda: sum(len(n.sql("SELECT 1 FROM information_schema.processlist "
                                     "WHERE info LIKE 'SELECT SLEEP%'"))
                           for n in sealane.lab.nodes) == 2, 30, 'both statements run')
    killer.query('KILL QUERY %s' % thread)
    with pytest.raises(wire.WireError) as e:
        victim.results()
    assert e.value.errno == 1317
    assert bystander.results()[0].rows == [['0']]
    assert victim.value('SELECT 1') == '1'


def test_an_id_that_nobody_asked_for_kills_nobody(sealane, sessions):
    """The same thread id is in use on three nodes by three sessions, and none was told it."""
    in_use = set.intersection(*map(threads_of, sealane.lab.nodes))
    greeted = {str(c.thread_id) for c in sessions}
    assert in_use - greeted
    for thread in in_use - greeted:
        with pytest.raises(wire.WireError) as e:
            sessions[5].query('KILL %s' % thread)
        assert e.value.errno == 1094 and 'could mean any of 3 sessions' in e.value.message
    assert [is_dead(c) for c in sessions] == [False] * 6
