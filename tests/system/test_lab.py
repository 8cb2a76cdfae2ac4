# SPDX-License-Identifier: Apache-2.0
"""The lab itself: two beside each other, life and death of nodes, nothing left behind."""
import os
import subprocess
import sys

import pytest

from lab import Lab, LabError
from lab.node import process_state
from sealane import ROOT, wait_until
from wire import Wire

pytestmark = pytest.mark.lab


def test_two_labs_beside_each_other_and_clean_end(work):
    labs = [Lab(os.path.join(work, 'pair%d' % i)) for i in range(2)]
    try:
        for lab in labs:
            lab.up('single')
        assert labs[0].net != labs[1].net
        one, two = (lab.node('91') for lab in labs)
        one.sql('CREATE DATABASE here')
        assert two.sql("SHOW DATABASES LIKE 'here'") == []
        pids = [one.pid, two.pid]
    finally:
        for lab in labs:
            lab.down(wipe=True)
    assert not any(process_state(p, work) for p in pids)
    assert not any(os.path.exists(lab.dir) for lab in labs)


def test_guard_cleans_up_after_a_killed_caller(work):
    where = os.path.join(work, 'orphan')
    text = ("import sys; sys.path.insert(0, %r)\nfrom lab import Lab\nl = Lab(%r)\n"
            "l.up('single', guarded=True)\nprint(l.nodes[0].pid, flush=True)\n"
            "sys.stdin.read()" % (ROOT, where))
    p = subprocess.Popen([sys.executable, '-c', text], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
    pid = int(p.stdout.readline())
    p.kill()
    p.wait()
    wait_until(lambda: not os.path.exists(where), 60, 'the guard removed the lab')
    assert process_state(pid, where) is None


def test_unknown_names_are_refused(work):
    lab = Lab(os.path.join(work, 'none'))
    with pytest.raises(LabError, match='galera3'):
        lab.up('galera9')
    with pytest.raises(LabError, match='no node 5'):
        lab.node(5)


def test_freeze_kill_and_start(cluster):
    node = cluster.node('73')
    node.freeze()
    assert node.frozen
    node.thaw()
    assert not node.frozen
    node.kill()
    assert node.pid is None
    node.start()
    wait_until(node.ready, 60, 'Synced')
    assert node.value('SELECT COUNT(*) FROM test.t') == '3'


@pytest.mark.root
def test_partition_and_heal(cluster):
    node = cluster.node('73')
    cluster.partition(['73'])
    wait_until(lambda: node.wsrep()['wsrep_cluster_status'] != 'Primary', 60, 'cut off')
    cluster.heal()
    wait_until(node.ready, 90, 'back')


def test_replicas_replicate(repl3):
    repl3.node('41').sql('CREATE DATABASE IF NOT EXISTS seen')
    for name in ('42', '43'):
        wait_until(lambda n=name: repl3.node(n).sql("SHOW DATABASES LIKE 'seen'"), 60, 'copied')


def test_wire_client_talks_to_a_real_server(cluster):
    """The raw client is a test tool: prove it against the server first."""
    n = cluster.node('71')
    with Wire(n.ip, n.port, database='test') as c:
        assert c.value('SELECT 1+1') == '2'
        assert [r.rows for r in c.query('SELECT 1; SELECT 2')] == [[['1']], [['2']]]
        s = c.prepare('SELECT id, a, ? FROM t WHERE id <= ? ORDER BY id')
        assert c.execute(s, ['x', 2])[0].rows == [['1', '10', 'x'], ['2', '20', 'x']]
        assert c.execute(s, [None, 1])[0].rows == [['1', '10', None]]
        c.stmt_reset(s)
        cursor = c.execute(s, ['y', 3], cursor=1)[0]
        assert len(c.fetch(s, cursor.columns, 2).rows) == 2
        c.stmt_close(s)
        big = c.prepare('SELECT LENGTH(?)')
        for _ in range(4):
            c.long_data(big, 0, b'z' * 5_000_000)
        assert c.execute(big, [None], long_data=[0])[0].rows == [['20000000']]
        assert len(c.value("SELECT REPEAT('a', 40000000)")) == 40_000_000
        c.init_db('information_schema')
        assert c.value('SELECT DATABASE()') == 'information_schema'
        c.reset_connection()
        c.change_user('maxscale', 'maxscale', 'test')
        assert c.value('SELECT CURRENT_USER()') == 'maxscale@%'
        c.ping()
        assert 'Uptime' in c.statistics()
        c.set_option(True)
