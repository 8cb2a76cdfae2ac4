# SPDX-License-Identifier: Apache-2.0
"""Random positions in random histories, asked of a primary and of the relay behind it.

Both must send the same groups with the same content and end in the same way, errors and their
texts included.  SEALANE_LONG=1 asks more.
"""
import random

import pytest

import binlog_client as bc
from relay import LONG
from sealane import wait_until
from wire import Lost, WireError

DOMAINS, SERVERS = (0, 7, 9), (1, 2, 3)
NON_BLOCK = 3                                   # with the flags of a replica by GTID
POSITIONS = 1000 if LONG else 150


class Answer:
    """What one dump request brought: group names in order, their bytes, and how it ended."""

    def __init__(self, host, port, position, **hello):
        client = bc.BinlogClient(host, port)
        client.groups.strict = False
        self.order = []
        try:
            client.hello(server_id=500, position=position, register=False, **hello)
            client.dump(flags=NON_BLOCK)
            self.end = self._read(client)
        except WireError as e:
            self.end = (e.errno, e.message)
        except Lost:
            self.end = 'lost'
        finally:
            client.close()
        self.groups = dict(client.groups.groups)

    def _read(self, client):
        while True:
            event = client.next()
            if event is None:
                return 'end'
            if event.type == bc.GTID:
                self.order.append(event.gtid()[0])
            client.groups.feed(event)

    def differs(self, other):
        """None, or what is not the same, in words."""
        if self.end != other.end:
            return 'ends: %s, %s' % (self.end, other.end)
        if self.order != other.order:
            at = next((i for i, (a, b) in enumerate(zip(self.order, other.order)) if a != b),
                      min(len(self.order), len(other.order)))
            return 'group %d of %d, %d: %s, %s' % (at, len(self.order), len(other.order),
                                                   self.order[at:at + 3], other.order[at:at + 3])
        changed = [g for g in self.groups if self.groups[g] != other.groups.get(g)]
        return 'content of %s' % changed[:3] if changed else None


def write_history(primary, rng, groups=200):
    """Three domains, three servers, gaps in the numbers, files of all lengths."""
    last = {}
    with primary.connect() as conn, conn.cursor() as cur:
        conn.autocommit(True)
        for n in range(groups):
            domain, server = rng.choice(DOMAINS), rng.choice(SERVERS)
            last[domain] = last.get(domain, 100) + rng.choice((1, 1, 1, 2, 4))
            cur.execute('SET gtid_domain_id=%d, server_id=%d' % (domain, server))
            cur.execute('SET gtid_seq_no=%d' % last[domain])     # judged by the domain in force
            kind = rng.random()
            if kind < .1:
                cur.execute('CREATE TABLE IF NOT EXISTS d.y%d (a INT)' % n)
            elif kind < .2:
                cur.execute("INSERT INTO d.m (tag) VALUES ('x')")
            else:
                cur.execute("INSERT INTO d.t (tag, b) VALUES ('x', REPEAT('y', %s))",
                            (rng.choice((10, 100, 5000, 20000)),))
            if rng.random() < .04:
                cur.execute('FLUSH BINARY LOGS')


def random_position(rng, by_domain):
    """Some domains, each at a group that exists or its last; at most one part is wrong, because
    which of two mistakes a server tells depends on the order of its hash."""
    parts = [rng.choice((rng.choice(groups), rng.choice(groups), groups[-1]))
             for groups in by_domain.values() if rng.random() < .85]
    if parts and rng.random() < .4:
        at = rng.randrange(len(parts))
        domain, server, number = parts[at].split('-')
        parts[at] = rng.choice(('%s-%s-%d' % (domain, server, int(number) + 1),
                                '%s-%d-%s' % (domain, rng.choice((1, 2, 3, 8)), number)))
    elif rng.random() < .2:
        parts.append('55-1-3')
    rng.shuffle(parts)
    return ','.join(parts)


def test_positions_asked_of_both(trio, relay_lab, make_relay):
    seed = random.randrange(1 << 30)
    print('seed %d' % seed)
    rng, primary = random.Random(seed), trio[0]
    relay = make_relay(relay_lab, gtid_ahead_timeout='0s').follow(primary)
    write_history(primary, rng)
    relay.catches_up(primary)

    def both(position, **hello):
        return (Answer(primary.ip, primary.port, position, **hello),
                Answer(relay.host, relay.port, position, **hello))
    theirs, ours = both('')
    assert theirs.differs(ours) is None and len(ours.order) == len(theirs.order) > 150
    by_domain = {}
    for group in theirs.order:
        by_domain.setdefault(group.split('-')[0], []).append(group)
    found = []
    for _ in range(POSITIONS):
        hello = {'strict': rng.randrange(2), 'duplicates': rng.randrange(2), 'until': None}
        if rng.random() < .3:
            hello['until'] = ','.join(rng.choice(g) for g in by_domain.values()
                                      if rng.random() < .8)
        position = random_position(rng, by_domain)
        theirs, ours = both(position, **hello)
        difference = theirs.differs(ours)
        if difference:
            found.append('%s %s: %s' % (position, hello, difference))
    assert not found, '%d:\n%s' % (len(found), '\n'.join(found[:10]))
