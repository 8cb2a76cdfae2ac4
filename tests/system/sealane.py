# SPDX-License-Identifier: Apache-2.0
"""Helpers of the system tests: the daemon under test, waiting with a deadline, who served what."""
import base64
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

from lab import net
from wire import Wire

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SEALANED = os.path.abspath(os.environ.get('SEALANED') or os.path.join(ROOT, 'bin', 'sealaned'))
SEALANECTL = os.path.abspath(os.environ.get('SEALANECTL')
                             or os.path.join(ROOT, 'bin', 'sealanectl'))
REPORTS = re.compile(r'(ERROR: (Address|Leak|Thread)Sanitizer|runtime error:|'
                     r'WARNING: ThreadSanitizer|assertion .*failed)', re.I)
# Below the range of outgoing connections, also the last of 1500; test runs beside each other seldom
# meet.
PORTS = itertools.count(random.randrange(10000, 22000), 7)


class Dead(AssertionError):
    """The daemon ended: no use to wait any longer."""


# A deadline costs nothing where things work, and machines stall for seconds.
LEAST_DEADLINE_S = 30


def wait_until(test, deadline_s, what):
    """Call test() until it returns something true; that value.  Fails with `what` in words.

    The last call begins after the deadline: a pause of this process ends no wait.
    """
    deadline_s = max(deadline_s, LEAST_DEADLINE_S)
    end = time.monotonic() + deadline_s
    last = None
    while True:
        is_last = time.monotonic() > end
        try:
            value = test()
            if value:
                return value
            last = value
        except Dead:
            raise
        except Exception as e:                   # a server that is away is a reason to wait
            last = e
        if is_last:
            raise AssertionError('not within %.1f s: %s (last: %r)' % (deadline_s, what, last))
        time.sleep(0.02)


# Memory that was given back stays with a sanitizer for a while: sizes of the process tell nothing.
IS_SANITIZED = 'ASAN_OPTIONS' in os.environ

NPM = ['npm', 'install', '--silent', '--no-audit', '--no-fund', '--fetch-retries=0',
       '--fetch-timeout=20000']
npm_failures = []                                # a registry that is out of reach is asked once


def npm_install(where, *packages):
    """Packages of the npm registry in a directory; skips the test if there is no npm, no registry."""
    import pytest                                # the benchmark uses this file without it
    for program in ('npm', 'node'):
        if not shutil.which(program):
            pytest.skip(program + ' is not installed')
    if not npm_failures:
        try:
            p = subprocess.run([*NPM, *packages], cwd=where, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, timeout=180)
            if p.returncode:
                npm_failures.append('npm install does not work here: ' + p.stdout[-200:])
        except subprocess.TimeoutExpired:
            npm_failures.append('npm install does not end here')
    if npm_failures:
        pytest.skip(npm_failures[0])


def wait_applied(nodes):
    """Members of a cluster have all that was committed before, on whichever of them."""
    for n in nodes:
        n.sql('SET SESSION wsrep_sync_wait=15; SELECT COUNT(*) FROM mysql.global_priv')


def checksums(node, *tables):
    """CHECKSUM TABLE of each; streaming replication has to be off in the session that asks."""
    rows = node.sql('SET SESSION wsrep_trx_fragment_size=0; CHECKSUM TABLE ' + ', '.join(tables))
    assert all(sum_ is not None for _, sum_ in rows), rows
    return [sum_ for _, sum_ in rows]


# Of a monitor: for tests in which a server says nothing, and the time until that is noticed is lost.
# All others have time for a server that is held up.
SHORT_TIMEOUTS = dict.fromkeys(('backend_connect_timeout', 'backend_read_timeout',
                                'backend_write_timeout'), '1s')


def section(name, **values):
    return '[%s]\n%s\n' % (name, ''.join('%s=%s\n' % (k, v) for k, v in values.items()))


class Sealane:
    """One sealaned process with its own directories, ports and log."""

    def __init__(self, directory, lab):
        self.dir = str(directory)
        self.lab = lab
        self.process = None
        self.log = os.path.join(self.dir, 'sealaned.log')
        self.config = os.path.join(self.dir, 'maxscale.cnf')
        self.port = net.free_port('127.0.0.1', next(PORTS))
        self.admin_port = net.free_port('127.0.0.1', next(PORTS))
        self.expect_reports = False
        os.makedirs(self.dir, exist_ok=True)

    # ------------------------------------------------------------------ configuration
    def servers(self, prefix='Galera-'):
        return {prefix + n.name: n for n in self.lab.nodes}

    def write(self, router='readwritesplit', monitor=None, service=None, listener=None,
              globals_=None, prefix=None, server=None, extra=''):
        """A configuration in the seed's shape; dictionaries add to or replace its values."""
        galera = bool(self.lab.clusters())
        prefix = prefix or ('Galera-' if galera else 'server-')
        names = self.servers(prefix)
        joined = ','.join(names)
        text = section('maxscale', **dict({'threads': 1, 'admin_port': self.admin_port,
                                           'log_info': 'true'}, **(globals_ or {})))
        for rank, (name, node) in enumerate(names.items(), 1):
            text += section(name, **dict({'type': 'server', 'address': node.ip,
                                          'port': node.port, 'priority': rank},
                                         **(server or {})))
        if galera:
            text += section('Monitor', **dict(
                {'type': 'monitor', 'module': 'galeramon', 'servers': joined, 'user': 'maxuser',
                 'password': 'SecretP@ssw0rd', 'monitor_interval': '300ms',
                 'use_priority': 'true', 'available_when_donor': 'true',
                 'backend_connect_timeout': '5s', 'backend_read_timeout': '5s',
                 'backend_write_timeout': '5s'}, **(monitor or {})))
        values = {'type': 'service', 'router': router, 'servers': joined, 'user': 'maxuser',
                  'password': 'SecretP@ssw0rd'}
        if router == 'readwritesplit':
            values.update(master_reconnection='true', master_failure_mode='error_on_write')
        text += section('Service', **dict(values, **(service or {})))
        text += section('Listener', **dict({'type': 'listener', 'service': 'Service',
                                            'address': '127.0.0.1', 'port': self.port},
                                           **(listener or {})))
        self.write_text(text + extra)

    def write_text(self, text):
        with open(self.config, 'w') as f:
            f.write(text)
        os.chmod(self.config, 0o600)

    # ------------------------------------------------------------------ process
    def argv(self, *more):
        argv = [SEALANED, '-d', '-f', self.config, '--basedir', self.dir] + list(more)
        return argv + ['--user=root'] if os.geteuid() == 0 else argv

    def start(self, wait=True):
        with open(self.log, 'ab') as out:
            self.process = subprocess.Popen(self.argv(), stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out, start_new_session=True)
        if wait:
            wait_until(self.answering, 60, 'sealaned answers on its REST port\n' + self.tail())
        return self

    def answering(self):
        if self.process.poll() is not None:
            raise Dead('sealaned ended with %s:\n%s' % (self.process.returncode, self.tail()))
        return self.get('/servers') is not None

    def stop(self, deadline_s=60):
        """SIGTERM; asserts a clean end without sanitizer reports."""
        if not self.process:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(deadline_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError('sealaned did not stop in %d s:\n%s'
                                     % (deadline_s, self.tail())) from None
        code, self.process = self.process.returncode, None
        assert code == 0, 'sealaned ended with %s:\n%s' % (code, self.tail(60))
        text = self.log_text()
        found = REPORTS.search(text)
        assert not found, 'report in the log:\n' + text[found.start():found.start() + 4000]

    def abandon(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def config_check(self):
        """Exit code and output of --config-check."""
        p = subprocess.run(self.argv('--config-check'), stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=60)
        return p.returncode, p.stdout + self.log_text()

    def log_text(self):
        """What the daemon printed, and its log file."""
        out = ''
        for path in (self.log, self.dir + '/var/log/maxscale/maxscale.log',
                     self.dir + '/maxscale.log'):
            try:
                with open(path, errors='replace') as f:
                    out += f.read()
            except OSError:
                pass
        return out

    def tail(self, lines=30):
        return '\n'.join(self.log_text().splitlines()[-lines:])

    def cpu_s(self):
        """User and system seconds used so far, all threads."""
        with open('/proc/%d/stat' % self.process.pid) as f:
            fields = f.read().rsplit(')', 1)[1].split()
        tick = os.sysconf('SC_CLK_TCK')
        return int(fields[11]) / tick, int(fields[12]) / tick

    # ------------------------------------------------------------------ REST and CLI
    def request(self, method, path, body=None, user='admin', password='mariadb', headers=None):
        """Status code and decoded body of one REST request."""
        token = base64.b64encode(('%s:%s' % (user, password)).encode()).decode()
        req = urllib.request.Request('http://127.0.0.1:%d/v1%s' % (self.admin_port, path),
                                     method=method,
                                     data=json.dumps(body).encode() if body else None,
                                     headers=dict({'Authorization': 'Basic ' + token},
                                                  **(headers or {})))
        try:
            with urllib.request.urlopen(req, timeout=60) as answer:
                code, text = answer.status, answer.read()
        except urllib.error.HTTPError as e:
            code, text = e.code, e.read()
        try:
            return code, json.loads(text) if text else None
        except ValueError:
            return code, text.decode()

    def get(self, path):
        code, body = self.request('GET', path)
        assert code == 200, '%s: %s %s' % (path, code, body)
        return body['data']

    def states(self):
        return {s['id']: s['attributes']['state'] for s in self.get('/servers')}

    def master(self):
        found = [k for k, v in self.states().items() if 'Master' in v.split(', ')]
        return found[0] if len(found) == 1 else None

    def wait_states(self, wanted, deadline_s=60):
        """wanted: server -> state string (exact) or a set of words that must be there."""
        def fits():
            now = self.states()
            return all(now[k] == v if isinstance(v, str) else v <= set(now[k].split(', '))
                       for k, v in wanted.items())
        try:
            wait_until(fits, deadline_s, 'states %s' % wanted)
        except AssertionError as e:
            raise AssertionError('%s\nnow: %s\n%s' % (e, self.states(), self.tail())) from None

    def wait_healthy(self, deadline_s=60):
        names = list(self.servers())
        want = {names[0]: 'Master, Synced, Running'}
        want.update({n: 'Slave, Synced, Running' for n in names[1:]})
        self.wait_states(want, deadline_s)

    def ctl(self, *args, check=True):
        p = subprocess.run([SEALANECTL, '-h', '127.0.0.1:%d' % self.admin_port] + list(args),
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=60)
        if check:
            assert p.returncode == 0, 'sealanectl %s: %s' % (args, p.stderr)
            return p.stdout
        return p

    def set_state(self, server, state, clear=False):
        code, body = self.request('PUT', '/servers/%s/%s?state=%s'
                                  % (server, 'clear' if clear else 'set', state))
        assert code == 204, (code, body)

    def sessions(self):
        return self.get('/sessions')

    # ------------------------------------------------------------------ clients
    def wire(self, **kw):
        return Wire('127.0.0.1', self.port, **kw)

    def reload_users(self):
        code, body = self.request('POST', '/services/Service/reload')
        assert code in (204, 404, 405), (code, body)


class Who:
    """Which nodes saw a statement: a comment tag looked for in the general logs of all nodes."""
    KINDS = ('Query|Execute|Prepare|Init DB|Field List|Quit|Connect|Close stmt|Reset stmt|'
             'Long Data|Fetch|Ping|Change user|Set option|Statistics|Reset connection')
    LINE = re.compile(r'^(?:\d{6}\s+\d?\d:\d\d:\d\d)?\s*(\d+)\s(%s)\t?(.*)' % KINDS)

    def __init__(self, nodes):
        self.nodes = nodes
        self.at = {}
        for n in nodes:
            n.sql('SET GLOBAL general_log=ON')
        self.mark()

    def off(self):
        for n in self.nodes:
            if n.pid:
                n.sql('SET GLOBAL general_log=OFF')

    def mark(self):
        for n in self.nodes:
            path = n.path('general.log')
            self.at[n.name] = os.path.getsize(path) if os.path.exists(path) else 0

    def entries(self, node):
        """(thread, kind, text) since mark()."""
        with open(node.path('general.log'), errors='replace') as f:
            f.seek(self.at[node.name])
            text = f.read()
        out = []
        for line in text.splitlines():
            m = self.LINE.match(line)
            if m:
                out.append([m.group(1), m.group(2), m.group(3)])
            elif out:
                out[-1][2] += '\n' + line
        return out

    def saw(self, tag, kinds=('Query', 'Execute')):
        """Names of the nodes that executed a statement with this tag."""
        return {n.name for n in self.nodes
                for _, kind, text in self.entries(n) if kind in kinds and tag in text}
