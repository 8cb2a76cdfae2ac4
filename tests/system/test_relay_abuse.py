# SPDX-License-Identifier: Apache-2.0
"""Readers and operators who behave badly, all at once, while the primary writes.

They start and stop replication, kill each other, leave in the middle of everything, read nothing,
send rubbish.  The relay must live, keep its log whole and end when it is told to.
SEALANE_LONG=1 makes it two minutes.
"""
import os
import random
import socket
import struct
import threading
import time

import binlog_client as bc
from relay import LONG, Writer, attach, binlog_pos, replica_reaches, same_data
from sealane import wait_until
from wire import COM_QUERY, Lost, Wire, WireError

SECONDS = 120 if LONG else 12
ENOUGH, MOST_SECONDS = 50, SECONDS + 120         # on a machine that is busy with other things
ADMIN = ['STOP SLAVE', 'START SLAVE', 'START SLAVE', 'SHOW SLAVE STATUS', 'SHOW BINLOG EVENTS',
         'FLUSH LOGS', 'SHOW BINARY LOGS', "SELECT MASTER_GTID_WAIT('0-1-99999', 0.3)",
         "SELECT MASTER_GTID_WAIT('0-1-99999')", 'PURGE BINARY LOGS BEFORE "2001-01-01"',
         'SHOW PROCESSLIST', "SELECT BINLOG_GTID_POS('mariadb-bin.000001', 100000)",
         'STOP SLAVE; START SLAVE; SHOW SLAVE STATUS; SELECT 1', "SET GLOBAL gtid_slave_pos='0-1-1'",
         "SET GLOBAL expire_log_duration='3h'", 'SET GLOBAL rpl_semi_sync_master_enabled=0',
         'SET GLOBAL rpl_semi_sync_master_enabled=1', 'SHOW SLAVE HOSTS', 'RESET SLAVE']
PATHS = ['/services/Replication-Proxy', '/services', '/replicas', '/sessions', '/metrics']


class Crowd:
    """Threads that repeat something until the time is over and enough was done; `broken` is what
    must not be."""

    def __init__(self, relay):
        self.relay, self.began = relay, time.monotonic()
        self.broken, self.done = [], 0
        self.threads = []

    def add(self, what, seed):
        rng = random.Random(seed)

        def run():
            while not self.is_over():
                try:
                    what(rng)
                    self.done += 1
                except bc.Broken as e:                       # the stream itself is wrong
                    self.broken.append('%s: %s' % (what.__name__, e))
                    return
                except (WireError, Lost, OSError):
                    pass                                     # killed by one of the others
        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def is_over(self):
        passed = time.monotonic() - self.began
        return passed > (SECONDS if self.done > ENOUGH else MOST_SECONDS)

    def join(self):
        for t in self.threads:
            t.join(MOST_SECONDS + 60)
            assert not t.is_alive(), 'a client hangs'

    def leave(self, rng, sock):
        if rng.random() < .5:                                # with a reset
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        sock.close()

    def operator(self, rng):
        c = Wire('127.0.0.1', self.relay.port, 'maxscale', 'maxscale', timeout=10)
        try:
            for _ in range(rng.randrange(1, 6)):
                text = rng.choice(ADMIN)
                c.command(COM_QUERY, text.encode())
                if rng.random() < .4 or text.endswith("99999')"):
                    threading.Event().wait(rng.random() * .02)
                    return
                c.results()
        finally:
            self.leave(rng, c.sock)

    def reader(self, rng):
        c = bc.BinlogClient('127.0.0.1', self.relay.port, timeout=5)
        c.groups.strict = False
        try:
            is_semi = rng.random() < .3
            c.hello(server_id=rng.choice((rng.randrange(100, 106), 77)),
                    position=rng.choice((None, '', '0-1-%d' % rng.randrange(1, 300),
                                         '0-1-99999999')),
                    heartbeat_s=rng.choice((.05, 1, 0)), strict=rng.randrange(2),
                    semi_sync=is_semi)
            c.dump(flags=rng.choice((2, 3, 0, 1)))
            end = time.monotonic() + rng.random() * 2
            if rng.random() < .3:
                threading.Event().wait(end - time.monotonic())          # does not read
            while time.monotonic() < end:
                event = c.next(2)
                if event is None:
                    break
                if is_semi and event.wants_ack:
                    c.ack(event)
            if rng.random() < .2:
                c.sock.sendall(os.urandom(rng.randrange(1, 3000)))
        finally:
            self.leave(rng, c.sock)

    def killer(self, rng):
        for path in PATHS:
            self.relay.request('GET', path)
        ids = [d['id'] for d in self.relay.request('GET', '/sessions')[1]['data']]
        if ids and rng.random() < .5:
            self.relay.request('DELETE', '/sessions/' + rng.choice(ids))
        with Wire('127.0.0.1', self.relay.port, 'maxscale', 'maxscale', timeout=10) as c:
            rows = c.rows_of('SHOW PROCESSLIST')
            if rows:
                c.query('KILL %s' % rng.choice(rows)[0])
        threading.Event().wait(.1)


def test_everybody_behaves_badly(trio, relay_lab, make_relay):
    seed = random.randrange(1 << 30)
    print('seed %d' % seed)
    primary, a, _ = trio
    relay = make_relay(relay_lab, globals_={'threads': 3}, rpl_semi_sync_master_enabled='true',
                       compression_algorithm='zstandard', number_of_noncompressed_files=1,
                       purge_startup_delay='1s', purge_poll_timeout='1s',
                       gtid_ahead_timeout='1s').follow(primary)
    relay.catches_up(primary)                # SET gtid_slave_pos is for a log that is empty
    w = Writer(primary, seed=seed % 1000, rate=100)
    crowd = Crowd(relay)
    for n, what in enumerate([crowd.operator] * 2 + [crowd.reader] * 6 + [crowd.killer]):
        crowd.add(what, seed + n)
    crowd.join()
    w.stop()
    assert not crowd.broken, crowd.broken
    assert crowd.done > ENOUGH and relay.process.poll() is None, relay.tail()
    wait_until(lambda: not relay.sessions(), 60, 'what the operators have sent is done')

    def is_told():                           # an operator may have reset its source
        relay.sql('STOP SLAVE')
        return relay.follow(primary)
    wait_until(is_told, 60, 'the relay follows the primary')
    relay.catches_up(primary)
    attach(a, relay, '')
    replica_reaches(a, binlog_pos(primary))
    same_data(primary, a)
    pending = [relay.binlog_client() for _ in range(4)]
    for n, c in enumerate(pending):
        c.hello(server_id=200 + n, position='')
        c.dump()
    waiting = [Wire('127.0.0.1', relay.port, 'maxscale', 'maxscale') for _ in range(3)]
    for c, text in zip(waiting, (ADMIN[8], 'STOP SLAVE; START SLAVE', 'PURGE BINARY LOGS BEFORE NOW()')):
        c.command(COM_QUERY, text.encode())
    relay.stop()
