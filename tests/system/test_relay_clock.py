# SPDX-License-Identifier: Apache-2.0
"""The machine's clock is stepped by a year while the relay runs: nobody notices.

libfaketime stands between the relay and its wall clock, and the file it reads says by how much.
The monotonic clock goes on, as it does when ntpd or an operator steps the time.
"""
import glob
import os
import time

import pytest

from relay import (Writer, attach, binlog_pos, healthy, replica_reaches, same_data,
                   same_groups)
from sealane import IS_SANITIZED, wait_until

YEAR = 365 * 86400


@pytest.fixture
def clock(tmp_path, monkeypatch):
    """step(seconds): from now on the relay's wall clock is this much ahead of the machine's."""
    found = glob.glob('/usr/lib/*/faketime/libfaketimeMT.so.1')
    if IS_SANITIZED or not found:
        pytest.skip('needs libfaketime, which does not load beside sanitizers')
    at = tmp_path / 'clock'
    for name, value in (('LD_PRELOAD', found[0]), ('FAKETIME_TIMESTAMP_FILE', str(at)),
                        ('FAKETIME_NO_CACHE', '1'), ('FAKETIME_DONT_FAKE_MONOTONIC', '1'),
                        ('FAKETIME_DONT_RESET', '1'), ('NO_FAKE_STAT', '1')):
        monkeypatch.setenv(name, value)

    def step(seconds):
        new = tmp_path / 'clock.new'
        new.write_text('%+d\n' % seconds)
        os.rename(new, at)                          # it is read at any time, and never empty
    step(0)
    return step


def ahead(relay):
    return int(relay.value('SELECT UNIX_TIMESTAMP()')) - time.time()


def heartbeats(replica):
    return int(replica.sql("SHOW STATUS LIKE 'Slave_received_heartbeats'")[0][1])


@pytest.mark.parametrize('seconds', [YEAR, -YEAR], ids=['ahead', 'back'])
def test_clock_is_stepped(trio, relay_lab, make_relay, clock, seconds):
    primary, a, b = trio
    relay = make_relay(relay_lab, net_timeout='30s', expire_log_duration='2h',
                       expire_log_minimum_files=1, purge_startup_delay='1s',
                       purge_poll_timeout='1s', replica_retention='1h').follow(primary)
    attach(a, relay, '')
    w = Writer(primary)
    w.at_least(20)
    primary.sql('FLUSH BINARY LOGS')
    w.at_least(20)
    relay.catches_up(primary)
    names, connects = relay.names(), relay.log_text().count('Replicating from')
    assert len(names) == 2 and abs(ahead(relay)) < 60
    beats = heartbeats(a)

    clock(seconds)
    wait_until(lambda: abs(ahead(relay) - seconds) < 60, 5, 'the relay sees another time')
    w.at_least(20)
    status = relay.status()
    assert status['Slave_IO_Running'] == 'Yes' and int(status['Seconds_Behind_Master']) < 60, status
    w.stop()
    replica_reaches(a, binlog_pos(primary))
    wait_until(lambda: heartbeats(a) > beats + 2, 15,
               'heartbeats go on')
    assert relay.names() == names, 'purging went by the wall clock'
    assert relay.log_text().count('Replicating from') == connects, 'the relay has reconnected'

    relay.kill()                                    # what is on disk was written at both times
    relay.start()
    attach(b, relay, '')
    for replica in (a, b):
        replica_reaches(replica, binlog_pos(primary))
        same_data(primary, replica)
        wait_until(lambda: healthy(replica), 15, 'replica %s is healthy' % replica.name)
    assert relay.names()[:2] == names
    same_groups(relay, primary)
