# SPDX-License-Identifier: Apache-2.0
"""Two Galera clusters and a relay between them, as users set it up: the nodes of the first die while
they are read, and replication never needs a hand."""
import os
import random

import pytest

import binlog_client as bc
from conftest import make_lab
from lab import sql
from relay import (LONG, PASSWORD, USER, Relay, binlog_files, binlog_pos, binlog_text, covers,
                   healthy, slave_status)
from sealane import wait_applied, wait_until

SECTION = """
[Replication-Proxy]
type=service
router=binlogrouter
servers=%s
expire_log_duration=72h
expire_log_minimum_files=3
select_master=true
user=repl_user
password=SecretP@ssw0rd
datadir=%s

[Replication-Listener]
type=listener
service=Replication-Proxy
protocol=MariaDBClient
port=%d
address=0.0.0.0
"""


@pytest.fixture(scope='module')
def two_clusters(work):
    yield from make_lab(work, 'galera2x3', directory='relay2x3',
                        settings=['innodb_flush_log_at_trx_commit=2'])


@pytest.fixture(scope='module')
def site(two_clusters, work):
    """The relay of the first cluster's site, configured with the section that users copy."""
    relay = Relay(os.path.join(work, 'relay-site'), two_clusters)
    nodes = two_clusters.nodes[:3]
    relay.configure(servers=nodes, monitor={'use_priority': 'true'})
    with open(relay.config) as f:
        text = f.read()
    relay.write_text(text[:text.index('[Replication-Proxy]')] + SECTION % (
        ','.join('Galera-' + n.name for n in nodes), relay.datadir, relay.port))
    relay.start()
    yield relay
    try:
        relay.stop()
    finally:
        relay.abandon()


def test_as_it_is_set_up(site, two_clusters):
    first, dr = two_clusters['71'], two_clusters['81']
    first.sql("CREATE DATABASE dbtest; USE dbtest; CREATE TABLE dbtest.tab (id SERIAL, c1 VARCHAR(100)); "
              "SET SESSION wsrep_trx_fragment_size=0; INSERT INTO dbtest.tab (c1) "
              "SELECT CONCAT('column ', seq) FROM seq_1_to_2244")
    site.catches_up(first)
    dr.sql("SET GLOBAL gtid_slave_pos=''")
    dr.sql("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%d, MASTER_USER='%s', "
           "MASTER_PASSWORD='%s', MASTER_USE_GTID=current_pos, MASTER_CONNECT_RETRY=1"
           % (site.host, site.port, USER, PASSWORD))
    dr.sql('START SLAVE')
    arrives(two_clusters, 'dbtest.tab', '2244')
    s = wait_until(lambda: [s for s in [slave_status(dr)]
                            if s['Slave_IO_State'] == 'Waiting for master to send event'], 30,
                   'the replica has nothing to do')[0]
    assert (s['Slave_IO_Running'], s['Slave_SQL_Running'], s['Last_IO_Errno'],
            s['Last_SQL_Errno']) == ('Yes', 'Yes', '0', '0')
    assert s['Using_Gtid'] == 'Current_Pos' and s['Master_Log_File'].startswith('galera-bin.')
    assert covers(s['Gtid_IO_Pos'], binlog_pos(first))
    services = site.ctl('list', 'services')
    assert 'Replication-Proxy' in services and 'binlogrouter' in services


def arrives(lab, table, count, deadline_s=90):
    """The rows are on all three nodes of the second cluster."""
    for name in ('81', '82', '83'):
        def there(n=lab[name]):
            s = slave_status(lab['81'])
            assert s.get('Last_SQL_Errno') in ('0', None), s['Last_SQL_Error']
            return n.value('SELECT COUNT(*) FROM ' + table) == count
        wait_until(there, deadline_s, '%s rows of %s on %s' % (count, table, name))


def test_files_are_the_primarys(site, two_clusters):
    """Listed, in an index, and mariadb-binlog reads the same from them as from the node's own: the
    node that is read, since a Query event has a number that each node counts for itself."""
    host = site.status()['Master_Host']
    first, = [n for n in two_clusters.nodes if n.ip == host]
    site.catches_up(first)
    assert [os.path.basename(p) for p in site.files()] == site.names()
    assert [os.path.basename(p) for p in site.index()] == site.names()
    assert {'binlog.index'} <= set(os.listdir(site.datadir))
    assert any('master-info' in n for n in os.listdir(site.datadir))
    assert binlog_text(site.files()) == binlog_text(binlog_files(first))
    ours = site.groups(strict=False)
    assert ours == bc.Groups(strict=False).read_files(binlog_files(first)).groups


class Load:
    """Increments and inserts on whichever node lives; what was acknowledged is counted."""

    def __init__(self, lab):
        self.lab, self.done, self.number = lab, [], 0

    def write(self, count):
        nodes, last = list(self.lab.nodes[:3]), None
        goal = len(self.done) + count

        def some():
            nonlocal last
            for node in nodes:
                try:
                    conn = node.connect(timeout=5)
                    try:
                        while len(self.done) < goal:
                            self.number += 1
                            sql.rows(conn, 'INSERT INTO dbtest.w (id, a) VALUES (%d, 0); UPDATE '
                                     'dbtest.w SET a=a+1 WHERE id > %d'
                                     % (self.number, self.number - 3))
                            self.done.append(self.number)
                        return True
                    finally:
                        conn.close()
                except (sql.Error, OSError) as e:
                    last = e
            return False
        wait_until(some, 90, '%d writes on the first cluster' % count)


def test_nodes_that_are_read_die(site, two_clusters):
    """kill -9 of the node being read, again and again; also of the relay and of the replica's feed."""
    seed = random.randrange(1 << 30)
    print('seed %d' % seed)
    rng = random.Random(seed)
    two_clusters['71'].sql('CREATE TABLE dbtest.w (id INT PRIMARY KEY, a INT)')
    load = Load(two_clusters)
    load.write(30)
    site.catches_up(two_clusters['71'])
    for number in range(6 if LONG else 2):
        read = site.status()['Master_Host']
        node = next(n for n in two_clusters.nodes[:3] if n.ip == read)
        load.write(rng.randrange(5, 40))
        node.kill()
        load.write(30)
        alive = next(n for n in two_clusters.nodes[:3] if n.pid)
        site.catches_up(alive)
        wait_until(lambda: site.status()['Master_Host'] != read, 30, 'another node is read')
        if number % 2:
            site.kill()
            site.start()
        node.start()
        load.write(10)
        site.catches_up(alive)
    wait_applied(two_clusters.nodes[:3])         # whichever of them was written to
    first = next(n for n in two_clusters.nodes[:3] if n.pid)
    arrives(two_clusters, 'dbtest.w', first.value('SELECT COUNT(*) FROM dbtest.w'))
    wait_until(lambda: sums(two_clusters['81']) == sums(first), 60, 'equal tables')
    seen = {int(i) for i, in first.sql('SELECT id FROM dbtest.w')}
    assert set(load.done) <= seen
    wait_until(lambda: healthy(two_clusters['81']), 30, 'the replica is healthy')
    site.groups()                                    # no group twice, no gap, none torn


def sums(node):
    return node.sql('SET SESSION wsrep_trx_fragment_size=0; CHECKSUM TABLE dbtest.tab, dbtest.w')


def test_a_node_that_joined_has_no_history(site, two_clusters):
    """The Master has new binlogs only, since it joined by SST: a relay that needs history is fed by
    a node that has it."""
    joined = two_clusters['72']
    position = binlog_pos(two_clusters['71'])
    joined.stop()
    joined.fill(None)
    joined.start()
    relay = Relay(site.dir + '-second', two_clusters)
    relay.configure(servers=two_clusters.nodes[:3], monitor={'use_priority': 'true'},
                    select_master='true', server_id=4321)
    with open(relay.config) as f:
        text = f.read()
    relay.write_text(text.replace('[Galera-72]\n', '[Galera-72]\npriority=1\n'))
    try:
        relay.start()
        wait_until(lambda: relay.master() == 'Galera-72', 60, '72 is Master')
        relay.reaches(position)
        assert list(relay.groups(strict=False)) == list(site.groups(strict=False))
        relay.stop()
    finally:
        relay.abandon()
