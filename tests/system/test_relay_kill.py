# SPDX-License-Identifier: Apache-2.0
"""Relay, primary and replica are killed under load; nothing is missing, nothing comes twice.

SEALANE_LONG=1 makes it a hundred kills of the relay and fifty rounds of semi-synchronous ones.
"""
import functools
import os
import random
import re
import threading

import pytest

import binlog_client as bc
from lab import sql
from relay import (LONG, Writer, attach, binlog_files, binlog_pos, healthy, replica_reaches,
                   same_data, same_groups)
from sealane import wait_until

ER_NO_SUCH_THREAD = 1094


@pytest.fixture
def rng(request):
    seed = random.randrange(1 << 30)
    print('seed %d' % seed)
    return random.Random(seed)


def moment(rng, most_s):
    """A random moment from now."""
    threading.Event().wait(rng.uniform(0, most_s))


def settle(primary, relay, *replicas, torn=False):
    """The load has ended: everybody has everything, without any help."""
    relay.catches_up(primary)
    for r in replicas:
        replica_reaches(r, binlog_pos(primary))
        same_data(primary, r)
        wait_until(lambda r=r: healthy(r), 30, 'replica %s is healthy' % r.name)
    same_groups(relay, primary, torn=torn)


def test_relay_killed_at_random_moments(relay, trio, rng):
    primary, a, b = trio
    attach(a, relay, '')
    attach(b, relay, '', use='current_pos')
    w = Writer(primary, seed=rng.randrange(1000))
    for i in range(100 if LONG else 10):
        moment(rng, 0.4)
        relay.kill()
        moment(rng, 0.1)
        if i % 3 == 0:
            primary.sql('FLUSH BINARY LOGS')
        relay.start(wait=bool(i % 2))       # half of the kills meet a relay that is starting
    relay.wait_accounts()
    w.at_least(20)
    w.stop()
    settle(primary, relay, a, b)


def test_replica_killed(relay, trio, rng):
    primary, a, b = trio
    attach(a, relay, '')
    attach(b, relay, '')
    replica_reaches(a, binlog_pos(primary))      # a server killed in DDL does not know that it was done
    w = Writer(primary, seed=rng.randrange(1000))
    for _ in range(10 if LONG else 2):
        moment(rng, 0.5)
        a.kill()
        a.start()
    w.at_least(20)
    w.stop()
    settle(primary, relay, a, b)


def test_primary_killed(relay, trio, rng):
    primary, a, _ = trio
    attach(a, relay, '')
    w = Writer(primary, seed=rng.randrange(1000))
    for _ in range(10 if LONG else 2):
        moment(rng, 0.5)
        primary.kill()
        primary.start()
        w.at_least(10)
    w.stop()
    settle(primary, relay, a, torn=True)


def test_everything_killed_at_once(relay, trio, rng):
    primary, a, _ = trio
    attach(a, relay, '')
    replica_reaches(a, binlog_pos(primary))
    w = Writer(primary, seed=rng.randrange(1000))
    for _ in range(5 if LONG else 1):
        moment(rng, 0.5)
        victims = [relay, primary, a]
        rng.shuffle(victims)
        for v in victims:
            v.kill()
        for v in victims:
            v.start(wait=False)
        for node in (primary, a):
            node.wait()
        relay.wait_accounts()
        w.at_least(10)
    w.stop()
    settle(primary, relay, a, torn=True)


def kill(at, thread):
    try:
        at('KILL %s' % thread)
    except sql.Error as e:
        if e.args[0] != ER_NO_SUCH_THREAD:       # it was ending by itself
            raise


def test_stream_cut_in_the_middle(relay, trio, rng):
    """The primary ends dump connections under load, the relay those of its replicas."""
    primary, a, _ = trio
    attach(a, relay, '')
    w = Writer(primary, seed=rng.randrange(1000))
    for _ in range(30 if LONG else 6):
        moment(rng, 0.2)
        for node, at in ((primary, primary.sql), (a, relay.sql)):
            for row in at('SHOW PROCESSLIST'):
                if row[4] == 'Binlog Dump':
                    kill(at, row[0])
    w.at_least(20)
    w.stop()
    settle(primary, relay, a)


def test_the_role_moves(trio, relay_lab, make_relay):
    """select_master: the relay follows the Master, wherever it is, and goes on by GTID."""
    primary, a, second = trio
    relay = make_relay(relay_lab, servers=[primary, second], select_master='true',
                       net_timeout='3s')
    relay.make_master(primary)
    relay_lab.link(second, primary, position='')
    attach(a, relay, '')
    for number in range(4 if LONG else 2):
        w = Writer(primary, seed=number)
        w.at_least(30)
        w.stop()
        last = binlog_pos(primary)
        replica_reaches(second, last)
        second.sql('STOP SLAVE; RESET SLAVE ALL')
        relay.make_master(second, primary)
        primary, second = second, primary
        primary.sql("INSERT INTO d.t (tag) VALUES ('%d moved')" % number)
        relay.catches_up(primary)
        wait_until(lambda: relay.status()['Master_Host'] == primary.ip, 30, 'the new primary shows')
        relay_lab.link(second, primary)
    w = Writer(primary, seed=77)
    w.at_least(30)
    w.stop()
    relay.catches_up(primary)
    replica_reaches(a, binlog_pos(primary))
    same_data(primary, a)
    wait_until(lambda: healthy(a), 30, 'the replica is healthy')
    assert list(relay.groups()) == list(bc.Groups().read_files(binlog_files(primary)).groups)


def test_primary_dies_and_the_other_takes_over(trio, relay_lab, make_relay):
    """kill -9 of the node being read; its successor had everything (semi-synchronously)."""
    primary, a, second = trio
    relay = make_relay(relay_lab, servers=[primary, second], select_master='true',
                       net_timeout='3s')
    relay.make_master(primary)
    relay_lab.link(second, primary, position='')
    attach(a, relay, '')
    w = Writer(primary)
    w.at_least(30)
    w.stop()
    replica_reaches(second, binlog_pos(primary))
    primary.kill()
    second.sql('STOP SLAVE; RESET SLAVE ALL')
    relay.make_master(second, primary)
    w = Writer(second, seed=5)
    w.at_least(30)
    w.stop()
    relay.catches_up(second)
    replica_reaches(a, binlog_pos(second))
    same_data(second, a)
    assert list(relay.groups()) == list(bc.Groups().read_files(binlog_files(second)).groups)


# ---------------------------------------------------------------------------- semi-sync
def semi_sync(primary, lab, on):
    """At once and for the next start; it waits for ever, so that nothing is acknowledged alone."""
    settings = ['41:rpl_semi_sync_master_enabled=ON', '41:rpl_semi_sync_master_timeout=3600000',
                '41:sync_binlog=1']
    lab.options['set'] = [s for s in lab.options['set'] if s not in settings]
    if on:
        lab.options['set'] += settings
        primary.sql('SET GLOBAL rpl_semi_sync_master_timeout=3600000;'
                    'SET GLOBAL rpl_semi_sync_master_enabled=ON')
    elif primary.pid:
        primary.sql('SET GLOBAL rpl_semi_sync_master_enabled=OFF;'
                    'SET GLOBAL rpl_semi_sync_master_timeout=10000')


@pytest.fixture
def semi_synchronous(trio, relay_lab, make_relay):
    """A primary whose commits wait for the relay and nobody else."""
    primary = trio[0]
    relay = make_relay(relay_lab, rpl_semi_sync_slave_enabled='true').follow(primary)
    relay.catches_up(primary)
    semi_sync(primary, relay_lab, True)
    wait_until(lambda: semi_status(primary, 'clients') == '1', 60, 'the relay is a semi-sync replica')
    yield primary, relay
    semi_sync(primary, relay_lab, False)


def semi_status(primary, what):
    return primary.sql("SHOW STATUS LIKE 'Rpl_semi_sync_master_%s'" % what)[0][1]


@functools.lru_cache(maxsize=100)
def tags_in(path, size, torn=False):
    """Tags in the complete groups of a file; it was this long."""
    groups = bc.Groups().read_files([path], torn=torn).groups
    return set(re.findall(rb"'(s\d+-\d+)'", b'\0'.join(b''.join(e) for e in groups.values())))


def missing(relay, acknowledged, torn=False):
    """Tags that no group of the relay's files has; torn: the last file may end in the middle."""
    *whole, last = relay.files()
    found = tags_in(last, os.path.getsize(last), torn).union(
        *(tags_in(path, os.path.getsize(path)) for path in whole))
    return [tag for tag in acknowledged if tag.encode() not in found]


def test_semi_sync_waits_for_the_relay(semi_synchronous):
    primary, relay = semi_synchronous
    w = Writer(primary)
    w.at_least(30)
    relay.kill()
    at_kill = len(w.acknowledged)
    wait_until(lambda: waiting(primary), 30, 'a commit waits for its acknowledgement')
    assert len(w.acknowledged) <= at_kill + 1
    assert missing(relay, w.acknowledged, True) == []
    relay.start()
    w.at_least(20)
    w.stop()
    assert semi_status(primary, 'status') == 'ON' and semi_status(primary, 'no_tx') == '0'
    relay.catches_up(primary)
    same_groups(relay, primary)


def waiting(primary):
    return [r for r in primary.sql('SHOW PROCESSLIST') if 'semi-sync ACK' in str(r[6])]


def test_semi_sync_kills_in_turn(semi_synchronous, trio, rng):
    """What was acknowledged is in the relay's files at the moment of each kill."""
    primary, relay = semi_synchronous
    writers = [Writer(primary, seed=i, rate=100) for i in range(3)]
    for n in range(50 if LONG else 5):
        for w in writers:
            w.at_least(3)
        moment(rng, 0.2)
        if n % 2 == 0:
            relay.kill()
            known = [tag for w in writers for tag in list(w.acknowledged)]
            assert missing(relay, known, True) == []
            relay.start()
        else:
            primary.kill()
            known = [tag for w in writers for tag in list(w.acknowledged)]
            wait_until(lambda: missing(relay, known, True) == [], 30, 'all acknowledged is there')
            primary.start()
    for w in writers:
        w.at_least(3)
        w.stop()
    relay.catches_up(primary)
    assert missing(relay, [tag for w in writers for tag in w.acknowledged]) == []
    same_groups(relay, primary, torn=True)
