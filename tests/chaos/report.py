# SPDX-License-Identifier: Apache-2.0
"""The figures of a run: on the terminal, and as a row of docs/reliability.md."""
import collections
import datetime
import os
import re

from journal import ACKNOWLEDGED, CUT, FAILED, UNKNOWN
from sealane import ROOT
from workers import is_write

PAGE = os.path.join(ROOT, 'docs', 'reliability.md')
HEAD = ('| topology | replay | causal_reads | date | seconds | seed | faults | writes acknowledged | errors '
        '| unknown | lost | doubled | failed but there | torn or wrong sum | unequal nodes | violations '
        '| stale | longest operation, s |')
BEGIN, END = '<!-- rows written by tests/chaos/run -->', '<!-- end of rows -->'


def numbers(counter):
    if not counter:
        return 'none'
    return ', '.join('%s x %d' % ('cut' if k == CUT else k, n)
                     for k, n in sorted(counter.items(), key=lambda x: -x[1]))


def figures(run):
    """(name, value) of everything counted."""
    j, f = run.journal, run.findings
    writes = [o for o in j.operations if is_write(o)]
    by = {x: sum(o.outcome == x for o in writes) for x in (ACKNOWLEDGED, FAILED, UNKNOWN)}
    rolled = sum(o.rolled_back for o in writes)
    rows = [('operations', len(j.operations)),
            ('writes acknowledged', by[ACKNOWLEDGED]),
            ('writes rolled back on purpose', rolled),
            ('writes failed', by[FAILED] - rolled),
            ('writes of unknown outcome', by[UNKNOWN]),
            ('errors seen by clients', sum(j.errors().values())),
            ('errors by number', numbers(j.errors())),
            ('logins refused', numbers(j.refused)),
            ('connections cut', j.cuts),
            ('reads after own write', '%d, %d of them stale' % (j.reads, j.stale)),
            ('longest operation', '%.1f s' % j.longest()),
            ('faults', ', '.join('%s x %d' % x for x in sorted(run.nemesis.done.items())))]
    return rows + [(name + ' (must be 0)', f.count(name)) for name in f.NAMES]


def show(run):
    for at, text in run.journal.events:
        print('%8.1f  %s' % (at, text))
    kinds = collections.Counter((o.kind, o.outcome, o.errno, o.statement.split(' ')[0])
                                for o in run.journal.operations if o.errno is not None)
    for (kind, outcome, errno, statement), n in sorted(kinds.items(), key=str):
        print('  %-10s %-8s %5s at %-8s %d' % (kind, outcome, errno or 'cut', statement, n))
    print('topology %s, replay %s, causal_reads %s, seed %d' % (
        run.topology, 'on' if run.replay else 'off', run.causal or 'none', run.seed))
    for name, value in figures(run):
        print('  %-36s %s' % (name, value))
    for line in run.findings.lines():
        print(line)


def row(run, seconds):
    j, f = run.journal, run.findings
    writes = [o for o in j.operations if is_write(o)]
    unknown = sum(o.outcome == UNKNOWN for o in writes)
    cells = [run.topology, 'on' if run.replay else 'off', run.causal or 'none',
             str(datetime.date.today()), '%d' % seconds, run.seed, sum(run.nemesis.done.values()),
             sum(o.outcome == ACKNOWLEDGED for o in writes), sum(j.errors().values()), unknown,
             f.count('lost'), f.count('doubled'), f.count('failed but there'),
             f.count('wrong balances') + f.count('torn transactions'), f.count('unequal nodes'),
             f.count('violations while running'), '%d of %d' % (j.stale, j.reads),
             '%.1f' % j.longest()]
    return '| ' + ' | '.join(map(str, cells)) + ' |'


def write(run, seconds):
    """Replaces the row of this topology, replay and causal mode."""
    with open(PAGE) as page:
        text = page.read()
    head, rows, tail = re.match('(.*%s\n)(.*)(%s.*)' % (re.escape(BEGIN), re.escape(END)), text,
                                re.S).groups()
    new = row(run, seconds)
    key = new.split('|')[1:4]
    kept = [r for r in rows.splitlines() if r.startswith('|') and r.split('|')[1:4] != key
            and r != HEAD and not r.startswith('|---')]
    rule = '|---' * HEAD.count(' | ') + '|---|'
    with open(PAGE, 'w') as page:
        page.write(head + '\n'.join([HEAD, rule] + sorted(kept + [new])) + '\n' + tail)
