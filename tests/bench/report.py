# SPDX-License-Identifier: Apache-2.0
"""Medians, paired ratios, and the page docs/performance.md."""
import datetime
import os
import platform
import re
import statistics

from targets import TITLES, haproxy_version

# (column, of which scenario, target, against, limit, what)
GOALS = [
    ('cpu', 'point text', 'tcp', 'haproxy', 0.82), ('cpu', 'point text', 'readconnroute',
                                                    'haproxy', 0.90),
    ('cpu', 'point text', 'readwritesplit', 'haproxy', 0.90),
    ('cpu', 'point text', 'rws-send', 'haproxy', 1.00),
    ('cpu', 'point text', 'rws-tls', 'readwritesplit', 1.15),
]


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def paired(rows, target, base, key):
    """Median of target/base over the rounds that have both, with the middle half."""
    ratios = sorted(r[target][key] / r[base][key] for r in rows
                    if target in r and base in r and r[base][key])
    if not ratios:
        return None
    n = len(ratios)
    return statistics.median(ratios), ratios[n // 4], ratios[min(n - 1, 3 * n // 4)]


def machine():
    """The machine in words."""
    with open('/proc/cpuinfo') as f:
        found = re.search(r'model name\s*:\s*(.*)', f.read())
    with open('/proc/meminfo') as f:
        memory = int(f.readline().split()[1]) / (1 << 20)
    with open('/etc/os-release') as f:
        system = re.search(r'PRETTY_NAME="(.*)"', f.read()).group(1)
    return '%d virtual CPUs (%s), %.0f GB of memory, %s, Linux %s' % (
        os.cpu_count(), found.group(1).strip() if found else platform.machine(), memory, system,
        '.'.join(platform.release().split('.')[:2]))


def number(value, form='%.2f'):
    return '-' if value is None else form % value


def scenario_table(name, rows, targets):
    out = ['### %s' % name, '',
           '| target | queries/s | of HAProxy | p99 ms | CPU us/query | user | system | CPU of HAProxy |',
           '|---|---|---|---|---|---|---|---|']
    for t in targets:
        got = [r[t] for r in rows if t in r]
        if not got:
            continue
        qps, cpu = (paired(rows, t, 'haproxy', k) for k in ('qps', 'cpu'))
        out.append('| %s | %s | %s | %s | %s | %s | %s | %s |' % (
            TITLES[t], number(median(g['qps'] for g in got), '%.0f'),
            number(qps and qps[0]), number(median(g['p99'] for g in got)),
            *(number(median(g[k] for g in got) if t != 'direct' else None)
              for k in ('cpu', 'user', 'sys')),
            '%.2f (%.2f-%.2f)' % cpu if cpu and t != 'direct' else '-'))
    return out + ['']


def goal_table(results):
    out = ['## Goals', '', '| figure | clients | goal | measured | |', '|---|---|---|---|---|']
    for key, kind, target, base, limit in GOALS:
        for clients in (16, 64):
            rows = results.get('%s, %d clients' % (kind, clients), [])
            got = paired(rows, target, base, key)
            if got:
                out.append('| CPU per query of %s against %s | %d | <= %.2f | %.2f | %s |' % (
                    TITLES[target], TITLES[base], clients, limit, got[0],
                    'met' if got[0] <= limit else 'missed'))
    return out + ['']


def extra_table(title, unit, values, targets):
    """values: target -> list of figures (one per round)."""
    out = ['### %s' % title, '', '| target | %s |' % unit, '|---|---|']
    out += ['| %s | %s |' % (TITLES[t], number(median(values[t]), '%.1f'))
            for t in targets if values.get(t)]
    return out + ['']


def write(path, results, extras, targets, rounds, seconds, classifier):
    lines = [
        '# Performance', '',
        'Written by `make bench` on %s.' % datetime.date.today().isoformat(), '',
        'Machine: %s. HAProxy %s (`mode tcp`, one thread), sealaned with `threads=1`, three Galera '
        'nodes and sysbench, all on this one machine over loopback, so that everything competes for '
        'the same CPUs.' % (machine(), haproxy_version()), '',
        'Every figure is a median of %d rounds of %g s; in each round all targets ran one after the '
        'other in random order. A ratio is formed within each round; in brackets the middle half of '
        'the ratios. CPU is user and system time of the proxy process with all its threads, from '
        '/proc. Absolute figures of different days or machines must not be compared; the ratios may.'
        % (rounds, seconds), '']
    lines += goal_table(results)
    lines += ['## Queries', '']
    for name, rows in results.items():
        lines += scenario_table(name, rows, targets)
    lines += ['## Connections, memory, streams', '']
    for title, unit, values in extras:
        lines += extra_table(title, unit, values, targets)
    if classifier:
        lines += ['## Classifier', '', '```', classifier.strip(), '```', '']
    with open(path, 'w') as f:
        f.write('\n'.join(lines).rstrip() + '\n')


def section(path, title):
    """The lines of a section, from its title to the next of its level; none if it is not there."""
    with open(path) as f:
        old = f.read().rstrip().split('\n')
    begin = old.index(title) if title in old else len(old)
    end = next((i for i in range(begin + 1, len(old)) if old[i].startswith('## ')), len(old))
    return old[begin:end]


def replace_section(path, title, lines):
    """Puts a section in the place of the old one, or at the end."""
    gone = section(path, title)
    with open(path) as f:
        old = f.read().rstrip().split('\n')
    begin = old.index(title) if gone else len(old)
    parts = (old[:begin], lines, old[begin + len(gone):])
    with open(path, 'w') as f:
        f.write('\n\n'.join('\n'.join(p).strip('\n') for p in parts if p) + '\n')
