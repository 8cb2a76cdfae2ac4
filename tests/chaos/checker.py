# SPDX-License-Identifier: Apache-2.0
"""Compares what the clients were told with what every node holds."""
import collections
import time

from journal import ACKNOWLEDGED, FAILED
from workers import ACCOUNTS, BALANCE, TABLES, is_write

SHOWN = 5                                        # examples of each kind of finding


class Findings:
    """Figures that must be 0, with examples."""

    NAMES = ('lost', 'doubled', 'failed but there', 'torn transactions', 'wrong balances',
             'unequal nodes', 'violations while running')

    def __init__(self):
        self.of = {name: [] for name in self.NAMES}

    def add(self, name, text):
        self.of[name].append(text)

    def count(self, name):
        return len(self.of[name])

    def clean(self):
        return not any(self.of.values())

    def lines(self):
        for name, texts in self.of.items():
            for text in texts[:SHOWN]:
                yield '%s: %s' % (name, text)
            if len(texts) > SHOWN:
                yield '%s: ... %d in all' % (name, len(texts))


def rows_of(node, table):
    order = {'receipts': 'id, pk', 'counters': 'worker'}.get(table, 'id')
    return [tuple(r) for r in node.sql('SELECT * FROM test.%s ORDER BY %s' % (table, order), 60)]


def content(nodes, deadline_s=60):
    """Tables of each node: waits until all have the same, or gives what they have at the end."""
    end = time.monotonic() + deadline_s
    while True:
        got = {n.name: {t: rows_of(n, t) for t in TABLES} for n in nodes}
        first = next(iter(got.values()))
        if all(other == first for other in got.values()) or time.monotonic() > end:
            return got
        time.sleep(0.2)


def compare(findings, got):
    names = list(got)
    for other in names[1:]:
        for t in TABLES:
            one, two = set(got[names[0]][t]), set(got[other][t])
            if one != two:
                findings.add('unequal nodes', '%s: only on %s %s, only on %s %s'
                             % (t, names[0], sorted(one - two)[:3], other, sorted(two - one)[:3]))


def present(tables):
    """operation id -> how often it was carried out, by table; ids of a batch have their own."""
    return {
        'append': {r[0]: int(r[2]) for r in tables['appends']},
        'batch': {r[0]: int(r[2]) for r in tables['appends']},
        'transfer': {r[0]: int(r[4]) for r in tables['transfers']},
        'receipt': collections.Counter(r[1] for r in tables['receipts']),
    }


def check_each(findings, operations, tables):
    done = present(tables)
    for op in operations:
        if op.kind not in done:
            continue
        times = [done[op.kind].get(i, 0) for i in op.data.get('ids', [op.ident])]
        if max(times) > 1:
            findings.add('doubled', '%s: %s times' % (op, max(times)))
        if op.outcome == ACKNOWLEDGED and min(times) == 0:
            findings.add('lost', str(op))
        elif op.outcome == FAILED and max(times) > 0:
            findings.add('failed but there', str(op))
        elif len(set(t > 0 for t in times)) > 1:
            findings.add('torn transactions', '%s: %s' % (op, times))


def check_counters(findings, operations, tables):
    """Blind increments: as many as were acknowledged, and at most the unknown ones more."""
    least, most = collections.Counter(), collections.Counter()
    for op in operations:
        if op.kind == 'count' and op.outcome != FAILED:
            most[op.worker] += 1
            least[op.worker] += op.outcome == ACKNOWLEDGED
    for worker, n in ((int(r[0]), int(r[1])) for r in tables['counters']):
        if n < least[worker]:
            findings.add('lost', 'counter %d is %d, %d acknowledged' % (worker, n, least[worker]))
        elif n > most[worker]:
            findings.add('doubled', 'counter %d is %d, at most %d were sent'
                         % (worker, n, most[worker]))


def check_balances(findings, tables):
    """The sum is constant, and each account is what the transfers that are there make of it."""
    wanted = {i: BALANCE for i in range(1, ACCOUNTS + 1)}
    for _, source, target, amount, _ in tables['transfers']:
        wanted[int(source)] -= int(amount)
        wanted[int(target)] += int(amount)
    balances = {int(r[0]): int(r[1]) for r in tables['accounts']}
    if sum(balances.values()) != ACCOUNTS * BALANCE:
        findings.add('wrong balances', 'sum is %d' % sum(balances.values()))
    for i, balance in balances.items():
        if balance != wanted[i]:
            findings.add('wrong balances', 'account %d has %d, its transfers make %d'
                         % (i, balance, wanted[i]))


def check(journal, nodes):
    findings = Findings()
    for at, text in journal.violations:
        findings.add('violations while running', '%.1f s: %s' % (at, text))
    got = content(nodes)
    compare(findings, got)
    tables = next(iter(got.values()))
    writes = [o for o in journal.operations if is_write(o)]
    check_each(findings, writes, tables)
    check_counters(findings, writes, tables)
    check_balances(findings, tables)
    return findings
