# SPDX-License-Identifier: Apache-2.0
"""Groups that come a second time: repeats of a Galera node that crashed, and numbers given away anew.

A node that loses the end of its InnoDB log but not that of its binlog logs the same groups again when
it has rejoined.  They have the times of the first time, by the clock of the node that wrote them; the
relay tells them from new groups by that, whatever clocks say.
"""
import collections
import contextlib
import glob
import os

import pytest

import binlog_client as bc
from conftest import make_lab
from relay import Relay, binlog_files, binlog_pos
from sealane import wait_applied, wait_until


@contextlib.contextmanager
def clock(offset):
    """Servers that are started inside of it have another wall clock."""
    found = glob.glob('/usr/lib/*/faketime/libfaketimeMT.so.1')
    if not found:
        pytest.skip('needs libfaketime')
    env = {'LD_PRELOAD': found[0], 'FAKETIME': offset, 'FAKETIME_DONT_FAKE_MONOTONIC': '1',
           'NO_FAKE_STAT': '1'}
    os.environ.update(env)
    try:
        yield
    finally:
        for name in env:
            del os.environ[name]


@pytest.fixture
def forgetful(work):
    """A cluster whose node 71 loses what InnoDB did when it is killed, and 73 is an hour ahead."""
    for lab in make_lab(work, 'galera3', directory='relog',
                        settings=['71:innodb_flush_log_at_timeout=2700']):
        with clock('+1h'):
            lab['73'].stop()
            lab['73'].start()
        yield lab


def write(lab, count):
    for i in range(count):
        for n in lab.nodes:
            if n.pid:
                n.sql("INSERT INTO d.t (tag) VALUES ('%s-%d')" % (n.name, i))


def logged(node):
    """gtid -> the times of its events, each time that it was logged."""
    found, times = collections.OrderedDict(), None
    for path in binlog_files(node):
        for e in bc.read_file(path, torn=True):
            if e.type == bc.GTID:
                times = []
                found.setdefault(e.gtid()[0], []).append(times)
            if e.type not in bc.FILE_LEVEL:
                times.append(e.time)
    return found


def test_a_crashed_node_repeats(forgetful, make_relay):
    read, other, ahead = forgetful.nodes
    read.sql('CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, tag TEXT)')
    wait_applied(forgetful.nodes)
    # a connection that is made anew brings the repeats anew
    relay = make_relay(forgetful, servers=forgetful.nodes, net_timeout='120s').follow(read)
    write(forgetful, 10)
    relay.catches_up(read)
    relay.kill()                                     # what it has seen it knows from its log now
    read.kill()
    write(forgetful, 3)
    read.start()
    relay.start()
    ahead.sql("INSERT INTO d.t (tag) VALUES ('last')")
    relay.reaches(binlog_pos(ahead))
    wait_applied(forgetful.nodes)

    again = {g: times for g, times in logged(read).items() if len(times) > 1}
    assert len(again) > 20, 'nothing was logged twice: nothing was tested'
    for gtid, (first, second) in again.items():      # GTID and XID: when COMMIT came, or before
        assert first[1:-1] == second[1:-1] and second[0] <= first[0], (gtid, first, second)
    assert max(first[1] for first, _ in again.values()) > int(
        read.value('SELECT UNIX_TIMESTAMP()')) + 3000, 'no group of the clock ahead was repeated'
    text = relay.log_text()
    assert text.count('came a second time: dropped') == len(again)
    assert 'are dropped as repeats' in text and 'went back' not in text
    assert relay.status()['Last_IO_Errno'] == '0'
    ours, theirs = relay.groups(strict=False), bc.Groups(strict=False)
    theirs = theirs.read_files(binlog_files(other)).groups
    assert list(ours) == list(theirs)                # none missing, none twice
    wait_until(lambda: relay.status()['Slave_IO_Running'] == 'Yes', 10, 'it goes on')


def test_numbers_are_given_anew(trio, relay):
    """It is told although the primary's clock was set back meanwhile."""
    primary = trio[0]
    for i in range(10):
        primary.sql("INSERT INTO d.t (tag) VALUES ('%d')" % i)
    relay.catches_up(primary)
    position = binlog_pos(primary)
    primary.sql("SET GLOBAL gtid_strict_mode=OFF")
    try:
        primary.sql("SET timestamp=1600000000; SET SESSION gtid_seq_no=5; "
                    "INSERT INTO d.t (tag) VALUES ('anew')")
        wait_until(lambda: relay.status()['Last_IO_Errno'] == '1950', 10, 'the alarm')
    finally:
        primary.sql("SET GLOBAL gtid_strict_mode=ON")
    error = relay.status()['Last_IO_Error']
    assert 'the log has %s, and the primary writes 0-1-5 anew' % position in error
    assert relay.position() == position
