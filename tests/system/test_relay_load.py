# SPDX-License-Identifier: Apache-2.0
"""The relay between a primary under sysbench and its replicas, all of them real servers.

What is asserted holds on any machine: nobody stops, nothing is missing, memory does not grow with
the load.  How far each was behind, and what the relay used, is printed.  SEALANE_LONG=1: ten
replicas for ten minutes.
"""
import re
import shutil
import subprocess
import threading

import pytest

import relay as relay_helpers
from conftest import make_lab
from relay import LONG, attach, binlog_pos, replica_reaches, slave_status
from sealane import IS_SANITIZED

SECONDS = 600 if LONG else 8
TABLES = 4


@pytest.fixture(scope='module')
def crowd(work):
    yield from make_lab(work, 'repl11' if LONG else 'repl3', directory='relay-load',
                        settings=relay_helpers.SETTINGS)


def sysbench(node, *what):
    return ['sysbench', 'oltp_write_only', '--db-driver=mysql', '--mysql-host=' + node.ip,
            '--mysql-port=%d' % node.port, '--mysql-user=maxscale', '--mysql-password=maxscale',
            '--mysql-db=sbtest', '--tables=%d' % TABLES, '--table-size=5000', *what]


def last_number(position):
    return int(position.rsplit('-', 1)[1])


class Watcher(threading.Thread):
    """Once a second: by how many transactions the relay and each replica are behind the primary."""

    def __init__(self, relay, primary, replicas):
        super().__init__(daemon=True)
        self.relay, self.primary, self.replicas = relay, primary, replicas
        self.ending, self.error = threading.Event(), None
        self.at_relay, self.at_replicas, self.seconds, self.rss = [], [], [], []

    def run(self):
        try:
            self._sample()                                   # once at least
            while not self.ending.wait(1):
                self._sample()
        except Exception as e:                               # told when the watcher is stopped
            self.error = e

    def _sample(self):
        # the follower is asked first: what comes between the two answers counts as being behind
        at = last_number(self.relay.position())
        self.at_relay.append(last_number(binlog_pos(self.primary)) - at)
        for n in self.replicas:
            at = last_number(n.value('SELECT @@global.gtid_slave_pos'))
            self.at_replicas.append(last_number(binlog_pos(self.primary)) - at)
            behind = slave_status(n)['Seconds_Behind_Master']
            assert behind is not None, slave_status(n)
            self.seconds.append(int(behind))
        self.rss.append(self.relay.rss_kb())

    def stop(self):
        self.ending.set()
        self.join(120)
        assert not self.is_alive(), 'the watcher hangs'
        if self.error:
            raise self.error
        return self


def quantiles(values):
    values = sorted(values)
    return 'median %d, 99 %% %d, max %d' % (values[len(values) // 2],
                                           values[len(values) * 99 // 100], values[-1])


@pytest.mark.slow
def test_real_replicas_under_sysbench(crowd, make_relay):
    if not shutil.which('sysbench'):
        pytest.skip('sysbench is not installed')
    primary, replicas = crowd.nodes[0], crowd.nodes[1:]
    for n in crowd.nodes:
        relay_helpers.clean(n)
    primary.sql('CREATE DATABASE IF NOT EXISTS sbtest')
    relay = make_relay(crowd).follow(primary)
    for n in replicas:
        attach(n, relay, '')
    subprocess.run(sysbench(primary, 'prepare'), check=True, stdout=subprocess.DEVNULL)
    for n in replicas:
        replica_reaches(n, binlog_pos(primary))
    watcher, used = Watcher(relay, primary, replicas), sum(relay.cpu_s())
    watcher.start()
    p = subprocess.run(sysbench(primary, '--threads=8', '--rate=%d' % (200 if LONG else 100),
                                '--time=%d' % SECONDS, '--mysql-ignore-errors=1213', 'run'),
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       timeout=SECONDS + 300)
    used = sum(relay.cpu_s()) - used
    watcher.stop()
    assert p.returncode == 0, p.stdout
    print('%d replicas, %s; transactions behind: relay %s, replicas %s; Seconds_Behind_Master %s; '
          'relay: RSS %d to %d kB, CPU %.1f %% of a core'
          % (len(replicas), re.search(r'transactions: .*', p.stdout).group(),
             quantiles(watcher.at_relay), quantiles(watcher.at_replicas),
             quantiles(watcher.seconds), min(watcher.rss), max(watcher.rss), 100 * used / SECONDS))
    assert IS_SANITIZED or max(watcher.rss) < 64 << 10
    tables = 'CHECKSUM TABLE ' + ', '.join('sbtest.sbtest%d' % i for i in range(1, TABLES + 1))
    for n in replicas:
        replica_reaches(n, binlog_pos(primary))
        assert n.sql(tables) == primary.sql(tables), n.name
    assert relay_helpers.server_groups(primary) == relay.groups()
