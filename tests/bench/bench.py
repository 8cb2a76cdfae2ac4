# SPDX-License-Identifier: Apache-2.0
"""Ratios against HAProxy in one run, on real servers; writes docs/performance.md.

  tests/bench/run [--quick] [--rounds N] [--seconds S] [--only TARGET,...] [--no-write]
  tests/bench/run --relay [--quick] [--no-write]        the binlog relay alone
"""
import argparse
import glob
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import binlog
import report
import wire
from lab import Lab, LabError
from sealane import ROOT
from targets import MAKERS, Target
from wire import Wire

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE_SIZE = 10000

# name, sysbench script, ps mode, clients
SCENARIOS = [
    ('point text, 1 clients', 'oltp_point_select', 'disable', 1),
    ('point text, 16 clients', 'oltp_point_select', 'disable', 16),
    ('point text, 64 clients', 'oltp_point_select', 'disable', 64),
    ('point prepared, 16 clients', 'oltp_point_select', 'auto', 16),
    ('point prepared, 64 clients', 'oltp_point_select', 'auto', 64),
    ('read-write, 16 clients', 'oltp_read_write', 'disable', 16),
]
QUICK = [SCENARIOS[1], SCENARIOS[2]]
TLS_ONLY_IN = 'point text'


def sysbench(target, script, clients, seconds, *more, ps='disable'):
    argv = ['sysbench', script, '--db-driver=mysql', '--mysql-host=' + target.host,
            '--mysql-port=%d' % target.port, '--mysql-user=app', '--mysql-password=app',
            '--mysql-db=sbtest', '--mysql-ssl=' + ('on' if target.tls else 'off'),
            '--threads=%d' % clients, '--time=%g' % seconds, '--percentile=99',
            '--mysql-ignore-errors=1213', '--rand-type=uniform'] + list(more)
    if script.startswith('oltp'):
        argv += ['--db-ps-mode=' + ps, '--tables=1', '--table-size=%d' % TABLE_SIZE]
        argv += ['--skip-trx'] if 'point' in script else []
    return argv


def call(argv, **kw):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    if p.returncode:
        raise LabError('%s\n%s' % (' '.join(argv), p.stdout[-2000:]))
    return p.stdout


def figure(pattern, text):
    found = re.search(pattern, text)
    if not found:
        raise LabError('sysbench printed something unexpected:\n' + text)
    return float(found.group(1))


def measure(target, script, ps, clients, seconds, cwd):
    """One run: queries/s, p99, CPU microseconds per query of the proxy.

    The first second (connecting, TLS handshakes, warming up) does not count: sysbench starts its
    figures anew at the checkpoint, and that is when the CPU is read first.
    """
    argv = sysbench(target, script, clients, seconds + 1, '--report-checkpoints=1', 'run', ps=ps)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          cwd=cwd) as child:
        head = []
        for line in child.stdout:
            head.append(line)
            if 'Checkpoint report' in line:
                break
        before = target.cpu()
        text = child.stdout.read()
    after = target.cpu()
    if child.returncode:
        raise LabError('%s\n%s' % (' '.join(argv), (''.join(head) + text)[-2000:]))
    target.check()
    text = text[text.rindex('SQL statistics'):]   # the last report: since the checkpoint
    queries = figure(r'total:\s+(\d+)', text)
    user, system = ((b - a) * 1e6 / queries for a, b in zip(before, after))
    return {'qps': figure(r'queries:\s+\d+\s+\(([\d.]+) per sec', text),
            'p99': figure(r'99th percentile:\s+([\d.]+)', text),
            'cpu': user + system, 'user': user, 'sys': system}


def run_queries(targets, scenarios, rounds, seconds, cwd):
    results = {s[0]: [] for s in scenarios}
    for number in range(1, rounds + 1):
        for name, script, ps, clients in scenarios:
            row, order = {}, list(targets)
            random.shuffle(order)
            for t in order:
                if t.tls and not name.startswith(TLS_ONLY_IN):
                    continue
                row[t.name] = measure(t, script, ps, clients, seconds, cwd)
            results[name].append(row)
            base = row.get('haproxy')
            print('round %d  %-27s %s' % (number, name, '  '.join(
                '%s %.2f' % (k, v['cpu'] / base['cpu']) for k, v in row.items()
                if base and base['cpu'] and k not in ('direct', 'haproxy'))), flush=True)
    return results


def connections(target, seconds, cwd):
    """Connections per second: connect, one statement, disconnect, from 16 clients."""
    path = os.path.join(HERE, 'connect.lua')
    text = call(sysbench(target, path, 16, seconds, 'run'), cwd=cwd)
    return (figure(r'total number of events:\s+(\d+)', text) /
            figure(r'total time:\s+([\d.]+)s', text))


def idle_memory(target, sessions):
    """kB of resident memory per idle session that has run a read and a write transaction."""
    held = []

    def open_more(count):
        for _ in range(count):
            c = Wire(target.host, target.port, database='sbtest', tls=target.tls)
            for text in ('SELECT 1', 'BEGIN', 'COMMIT'):
                c.query(text)
            held.append(c)
    try:
        open_more(100)                            # pools and heap have grown to their first size
        before = target.rss_kb()
        open_more(sessions)
        return (target.rss_kb() - before) / sessions
    finally:
        for c in held:
            c.close()


def stream(target, megabytes):
    """MB/s of one large result, and CPU seconds of the proxy per GB."""
    with Wire(target.host, target.port, database='sbtest', timeout=120, tls=target.tls) as c:
        before, start = target.cpu(), time.monotonic()
        c.command(wire.COM_QUERY, b"SELECT REPEAT('x', 1000000) FROM seq_1_to_%d" % megabytes)
        ends = 0
        while ends < 2:                           # EOF of the columns, EOF of the rows
            p = c.recv()
            if p[0] == 255:
                raise Wire.error(p)
            ends += p[0] == 254 and len(p) < 9
        took = time.monotonic() - start
        used = sum(target.cpu()) - sum(before)
    return megabytes / took, used * 1000 / megabytes


def run_extras(targets, rounds, seconds, sessions, cwd):
    rate, memory, speed, cost = {}, {}, {}, {}
    for _ in range(rounds):
        order = list(targets)
        random.shuffle(order)
        for t in order:
            rate.setdefault(t.name, []).append(connections(t, seconds, cwd)
                                               if not t.tls else None)
            got = stream(t, 100)
            speed.setdefault(t.name, []).append(got[0])
            if t.pid:
                cost.setdefault(t.name, []).append(got[1])
    for t in targets:
        if t.pid:
            memory[t.name] = [idle_memory(t, sessions)]
    return [('Connections per second (connect, one statement, disconnect; 16 clients)', 'per s',
             rate),
            ('Memory of an idle session (RSS growth over %d sessions)' % sessions, 'kB', memory),
            ('One result of 100 MB', 'MB/s', speed),
            ('The same: CPU of the proxy', 's per GB', cost)]


def classifier_bench():
    """Output of the C micro benchmark of the classifier, if it was built."""
    for path in glob.glob(os.path.join(ROOT, 'build', 'tests', 'bench', '*classif*')):
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return call([path])
    return ''


def prepare(lab, work):
    node = lab.nodes[0]
    node.sql('CREATE DATABASE sbtest')
    call(sysbench(Target('node', node.ip, node.port), 'oltp_point_select', 1, 1, 'prepare'))
    # sysbench --mysql-ssl takes these names from its working directory
    for source, name in (('ca.pem', 'cacert.pem'), ('client.pem', 'client-cert.pem'),
                         ('client.key', 'client-key.pem')):
        shutil.copy(os.path.join(lab.dir, 'tls', source), os.path.join(work, name))


def arguments():
    ap = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    ap.add_argument('--quick', action='store_true', help='2 rounds of 2 s, fewer scenarios')
    ap.add_argument('--rounds', type=int)
    ap.add_argument('--seconds', type=float)
    ap.add_argument('--only', default='', help='targets, comma separated (haproxy is added)')
    ap.add_argument('--no-extras', action='store_true', help='queries only')
    ap.add_argument('--relay', action='store_true', help='the binlog relay and nothing else')
    ap.add_argument('--no-relay', action='store_true', help='all but the binlog relay')
    ap.add_argument('--no-write', action='store_true', help='leave docs/performance.md alone')
    a = ap.parse_args()
    a.rounds = a.rounds or (2 if a.quick else 5)
    a.seconds = a.seconds or (2 if a.quick else 3)
    return a


def raise_limits():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))


def page(a, work):
    """The page that this run writes; a copy of it when the real one shall stay as it is."""
    real = os.path.join(ROOT, 'docs', 'performance.md')
    if not a.no_write:
        return real
    return shutil.copy(real, work)


def main():
    a = arguments()
    raise_limits()
    code = 0 if a.relay else queries(a)
    if a.no_relay or a.only:
        return code
    return relay(a) or code


def relay(a):
    work = tempfile.mkdtemp(prefix='sealane-bench-')
    try:
        path = page(a, work)
        report.replace_section(path, binlog.TITLE, binlog.lines(binlog.run(a.quick)))
        with open(path) as f:
            text = f.read()
        print('\n' + text[text.index(binlog.TITLE):])
        return 0
    except (LabError, AssertionError) as e:
        print('bench: %s' % e, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(work, ignore_errors=True)


def queries(a):
    """The routers between clients and servers."""
    names = [n for n in MAKERS if not a.only or n == 'haproxy' or n in a.only.split(',')]
    work = tempfile.mkdtemp(prefix='sealane-bench-')
    os.chmod(work, 0o755)
    lab, targets = Lab(os.path.join(work, 'lab')), []
    try:
        lab.up('galera3', guarded=True, use_tls=True,
               settings=['max_connections=6000', 'open_files_limit=30000', 'back_log=500'])
        prepare(lab, work)
        for name in names:
            targets.append(MAKERS[name](lab, work))
        scenarios = QUICK if a.quick else SCENARIOS
        results = run_queries(targets, scenarios, a.rounds, a.seconds, work)
        extras = [] if a.no_extras else run_extras(targets, 1 if a.quick else 3, a.seconds,
                                                   200 if a.quick else 1000, work)
        path = page(a, work)
        old = report.section(path, binlog.TITLE)
        report.write(path, results, extras, names, a.rounds, a.seconds, classifier_bench())
        if old:
            report.replace_section(path, binlog.TITLE, old)
        with open(path) as f:
            print('\n' + f.read())
        return 0
    except (LabError, AssertionError) as e:
        print('bench: %s' % e, file=sys.stderr)
        return 1
    finally:
        for t in targets:
            try:
                t.stop()
            except (AssertionError, OSError, subprocess.SubprocessError) as e:
                print('bench: %s' % e, file=sys.stderr)
        lab.down(wipe=True)
        shutil.rmtree(work, ignore_errors=True)
