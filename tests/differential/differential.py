# SPDX-License-Identifier: Apache-2.0
"""Differential fuzzing: the same streams of statements straight to a server and through sealaned.

Every reply is compared byte for byte, packet numbers included; what may differ and why is listed
in player.py and grammar.py.  Both sides use the same server (and with Galera the proxy also its
replicas, which wait for the writes they have to show), each in a database of its own.

  tests/differential/run --seconds 600 [--seed N] [--topology single|galera]
  tests/differential/run --stream SEED          one stream again, and the shortest form that differs

Exit code: 0 all equal, 1 differences were found, 2 a server died (that is not the proxy's doing).
"""
import argparse
import os
import random
import shutil
import sys
import tempfile
import time

import wire
from grammar import Grammar
from lab import Lab
from player import Side
from sealane import SEALANED, Sealane, wait_applied, wait_until
from wire import Lost

LENGTH = 60                                      # steps of a stream
DIRECT, PROXIED = 'fz_d', 'fz_p'
TOPOLOGIES = {'single': 'single', 'galera': 'galera3'}
SETUP = ("CREATE OR REPLACE USER fuzz@'%' IDENTIFIED BY 'fuzz';"
         "GRANT ALL ON `fz\\_%`.* TO fuzz@'%'; GRANT SELECT ON test.* TO fuzz@'%'")
# A replica that is read waits for what was written before. Streaming replication forbids statements
# or not, depending on whether the connection has been through COM_CHANGE_USER. A CREATE FUNCTION that
# a Galera node refuses to an account without SUPER exists on the other nodes all the same.
SETTINGS = {'max_allowed_packet': 64 << 20, 'wsrep_sync_wait': 15, 'wsrep_trx_fragment_size': 0,
            'log_bin_trust_function_creators': 1}
# Of the monitor: no server is lost here, and one that is held up shall not be taken for lost.
PATIENT = dict.fromkeys(('backend_connect_timeout', 'backend_read_timeout',
                         'backend_write_timeout'), '60s')
PLAIN = wire.DEFAULT_CAPS
CAPS = [PLAIN, PLAIN | wire.DEPRECATE_EOF, PLAIN | wire.FOUND_ROWS, PLAIN & ~wire.MULTI_STATEMENTS]


class Difference(Exception):
    def __init__(self, steps, index, direct, proxied):
        super().__init__('step %d' % index)
        self.steps, self.index, self.direct, self.proxied = steps, index, direct, proxied

    def signature(self):
        return self.steps[self.index][0]


def cut(text, size=400):
    return text if len(text) <= size else '%s... (%d)' % (text[:size], len(text))


def describe(packets, at):
    if isinstance(packets, str):
        return packets
    if at >= len(packets):
        return 'no packet %d' % at
    return '#%d %s' % (packets[at][0], cut(repr(packets[at][1])))


class ServerDied(Exception):
    """mariadbd crashed under a stream: nothing can be compared any more."""


class Pair:
    """The two addresses, and the streams that are played on them."""

    def __init__(self, lab, sealane):
        self.lab, self.node, self.sealane = lab, lab.nodes[0], sealane
        self.before = {n.name: {k: n.value('SELECT @@GLOBAL.%s' % k) for k in SETTINGS}
                       for n in lab.nodes}
        for n in lab.nodes:
            n.sql(''.join('SET GLOBAL %s=%s;' % x for x in SETTINGS.items()))
        self.node.sql(SETUP)
        self.applied()

    def applied(self):
        """A login does not wait for what was written before, whatever wsrep_sync_wait says."""
        if self.lab.clusters():
            wait_applied(self.lab.nodes)

    def restore(self):
        for n in self.lab.nodes:
            n.sql(''.join('SET GLOBAL %s=%s;' % x for x in self.before[n.name].items()))
        self.node.sql('DROP USER fuzz; DROP DATABASE IF EXISTS %s; DROP DATABASE IF EXISTS %s'
                      % (DIRECT, PROXIED))

    def sides(self, seed):
        for n in self.lab.nodes:
            if not n.pid:
                raise ServerDied('server %s died before stream %s:\n%s' % (n.name, seed, n.tail(60)))
        self.node.sql(''.join('DROP DATABASE IF EXISTS %s; CREATE DATABASE %s;' % (d, d)
                              for d in (DIRECT, PROXIED)))
        self.applied()
        caps = random.Random(seed).choice(CAPS)
        return (Side(self.node.ip, self.node.port, 'fuzz', DIRECT, caps),
                Side('127.0.0.1', self.sealane.port, 'fuzz', PROXIED, caps))

    @staticmethod
    def answer(side, step):
        try:
            return side.play(step)
        except (Lost, ConnectionError) as e:
            return 'connection lost after %d packets: %s' % (len(side.conn.packets), e)
        except OSError as e:
            return 'no answer after %d packets: %r' % (len(side.conn.packets), e)

    def play(self, seed, steps):
        direct, proxied = self.sides(seed)
        try:
            for i, step in enumerate(steps):
                one, two = self.answer(direct, step), self.answer(proxied, step)
                if one != two and not (isinstance(one, str) and isinstance(two, str)):
                    raise Difference(steps, i, one, two)
                if isinstance(one, str):
                    return                       # both ended
        finally:
            direct.close()
            proxied.close()

    def shrink(self, seed, difference, deadline_s=60):
        """The same kind of difference in fewer steps."""
        end = time.monotonic() + deadline_s
        best = difference
        steps = best.steps[:best.index + 1]
        size = len(steps) // 2
        while size >= 1:
            at = 0
            while at < len(steps) - 1 and time.monotonic() < end:
                fewer = steps[:at] + steps[min(at + size, len(steps) - 1):]
                try:
                    self.play(seed, fewer)
                    at += size
                except Difference as d:
                    if d.signature() != best.signature():
                        at += size
                        continue
                    best, steps = d, d.steps[:d.index + 1]
            size //= 2
        return best


def tell(seed, difference):
    print('---- stream %s differs at step %d' % (seed, difference.index))
    for i, step in enumerate(difference.steps[:difference.index + 1]):
        print('  %3d %s' % (i, cut(repr(step), 300)))
    one, two = difference.direct, difference.proxied
    at = 0
    if not isinstance(one, str) and not isinstance(two, str):
        print('  packets: direct %d, proxy %d' % (len(one), len(two)))
        while at < min(len(one), len(two)) and one[at] == two[at]:
            at += 1
    print('  packet %d direct: %s\n  packet %d proxy:  %s'
          % (at, describe(one, at), at, describe(two, at)), flush=True)


class Fuzz:
    """Streams with seeds SEED/0, SEED/1, ... for some time."""

    def __init__(self, lab, sealane, several):
        self.pair, self.several = Pair(lab, sealane), several
        self.streams = self.steps = 0
        self.found = []

    def steps_of(self, seed):
        return Grammar(seed, self.several).stream(LENGTH)

    def one(self, seed, shrink=True):
        steps = self.steps_of(seed)
        self.streams += 1
        self.steps += len(steps)
        try:
            self.pair.play(seed, steps)
        except Difference as d:
            try:
                d = self.pair.shrink(seed, d) if shrink else d
            finally:                             # told even if the servers cannot be used any more
                tell(seed, d)
                self.found.append((seed, d))

    def go(self, seed, seconds, most=10, streams=None, least=1):
        """At least so many streams, however slow the servers are."""
        end = time.monotonic() + seconds
        number = 0
        while ((time.monotonic() < end or number < least) and len(self.found) < most
               and number != streams):
            self.one('%s/%d' % (seed, number))
            number += 1


def start(work, topology):
    """A lab and a daemon in front of it, ready."""
    lab = Lab(os.path.join(work, 'lab'))
    lab.up(TOPOLOGIES[topology], guarded=True)
    sealane = Sealane(os.path.join(work, 'sealane'), lab)
    return lab, sealane


def ready(lab, sealane, topology):
    sealane.write(monitor=PATIENT)
    sealane.start()
    if topology == 'single':
        for state in ('running', 'master'):
            sealane.set_state('server-' + lab.nodes[0].name, state)
    else:
        sealane.wait_healthy()
    fuzz = Fuzz(lab, sealane, topology != 'single')
    sealane.reload_users()
    wait_until(lambda: not sealane.wire(user='fuzz', password='fuzz').close(), 60, 'account known')
    return fuzz


def main():
    p = argparse.ArgumentParser(description='Compares replies of a server with and without proxy.')
    p.add_argument('--seconds', type=float, default=60)
    p.add_argument('--seed', type=int, default=random.randrange(1 << 31))
    p.add_argument('--topology', choices=list(TOPOLOGIES), default='single')
    p.add_argument('--stream', help='play this one stream (SEED/NUMBER)')
    p.add_argument('--most', type=int, default=10, help='end after that many differences')
    args = p.parse_args()
    print('sealaned: %s' % SEALANED, flush=True)
    work = tempfile.mkdtemp(prefix='sealane-differential-')
    os.chmod(work, 0o755)
    lab, sealane = start(work, args.topology)
    try:
        fuzz = ready(lab, sealane, args.topology)
        if args.stream:
            fuzz.one(args.stream)
        else:
            fuzz.go(args.seed, args.seconds, args.most)
        sealane.stop()
    except ServerDied as e:
        print(e)
        return 2
    finally:
        sealane.abandon()
        lab.down(wipe=True)
        shutil.rmtree(work, ignore_errors=True)
    print('seed %s: %d streams, %d steps, %d differences'
          % (args.stream or args.seed, fuzz.streams, fuzz.steps, len(fuzz.found)))
    return 1 if fuzz.found else 0


if __name__ == '__main__':
    sys.exit(main())
