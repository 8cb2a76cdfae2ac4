# SPDX-License-Identifier: Apache-2.0
"""`make demo`: a real Galera cluster of three behind sealaned survives the death of its primary.

Everything runs below one temporary directory and on 127.0.0.0/8; nothing is left behind, also after
Ctrl-C, an error, or the death of this program (lab.guard).
"""
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from . import net, sql
from .cluster import Lab
from .errors import LabError
from .workload import Workload

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SEALANED = os.path.abspath(os.environ.get('SEALANED') or os.path.join(ROOT, 'bin', 'sealaned'))
SEALANECTL = os.path.abspath(os.environ.get('SEALANECTL')
                             or os.path.join(ROOT, 'bin', 'sealanectl'))
LISTENER_PORT, ADMIN_PORT = 4007, 8989
THREADS = 8

CONFIG_HEAD = """[maxscale]
threads=auto
admin_port={admin}

# List of servers in the Cluster
"""

CONFIG_SERVER = """[Galera-{name}]
type=server
address={ip}
port={port}
protocol=MariaDBBackend
priority={priority}

"""

CONFIG_TAIL = """# Monitoring for the Galera server nodes
[Galera-Monitor]
type=monitor
module=galeramon
servers=Galera-71,Galera-72,Galera-73
user=maxuser
password=SecretP@ssw0rd
monitor_interval=2000
use_priority=true
available_when_donor=true

# Galera Read/Write Splitter service
[Galera-RW-Service]
type=service
router=readwritesplit
servers=Galera-71,Galera-72,Galera-73
user=maxuser
password=SecretP@ssw0rd
master_reconnection=true
transaction_replay=true
transaction_replay_retry_on_deadlock=true
master_failure_mode=error_on_write
slave_selection_criteria=ADAPTIVE_ROUTING

# Galera cluster listener
[Galera-Listener]
type=listener
service=Galera-RW-Service
protocol=MariaDBClient
port={port}
address=127.0.0.1
"""


def heading(text):
    print('\n%s\n%s' % (text, '-' * len(text)), flush=True)


def say(text):
    print(text, flush=True)


class Demo:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='sealane-demo-')
        os.chmod(self.dir, 0o755)
        self.lab = Lab(self.dir)
        self.base = os.path.join(self.dir, 'proxy')
        self.log = os.path.join(self.base, 'sealaned.out')
        self.daemon = None
        self.port = net.free_port('127.0.0.1', LISTENER_PORT)
        self.admin = net.free_port('127.0.0.1', ADMIN_PORT)
        self.work = None

    # ------------------------------------------------------------------ the parts
    def start_cluster(self):
        heading('1. A Galera cluster of three')
        seconds = self.lab.up('galera3', guarded=True)
        say('Three real mariadbd processes, %s, started in %.1f s:'
            % (self.lab.nodes[0].value('SELECT VERSION()'), seconds))
        for n in self.lab.nodes:
            say('  galera-%s  %s:%d  pid %d' % (n.name, n.ip, n.port, n.pid))
        self.lab.nodes[0].sql(
            "CREATE DATABASE demo; CREATE TABLE demo.orders (id BIGINT AUTO_INCREMENT PRIMARY KEY,"
            " worker INT, item INT, node VARCHAR(40), at TIMESTAMP(3) DEFAULT NOW(3));"
            "GRANT ALL ON demo.* TO app@'%'")

    def start_daemon(self):
        heading('2. sealaned in front of it')
        os.makedirs(self.base)
        config = os.path.join(self.base, 'maxscale.cnf')
        text = CONFIG_HEAD.format(admin=self.admin)
        for i, n in enumerate(self.lab.nodes, 1):
            text += CONFIG_SERVER.format(name=n.name, ip=n.ip, port=n.port, priority=i)
        with open(config, 'w') as f:
            f.write(text + CONFIG_TAIL.format(port=self.port))
        for what, wanted, got in (('listener', LISTENER_PORT, self.port),
                                  ('REST', ADMIN_PORT, self.admin)):
            if wanted != got:
                say('Port %d is taken on this machine: the %s uses %d.' % (wanted, what, got))
        argv = [SEALANED, '-d', '-f', config, '--basedir', self.base]
        if os.geteuid() == 0:
            argv.append('--user=root')
        self.daemon = self.lab.attach('sealaned', argv, self.log)
        self.wait_states({'Galera-71': 'Master, Synced, Running',
                          'Galera-72': 'Slave, Synced, Running',
                          'Galera-73': 'Slave, Synced, Running'}, 30)
        say('Configuration: %s' % config)
        self.tables('servers', 'services', 'listeners')

    def tables(self, *kinds):
        for kind in kinds:
            say('\n$ sealanectl list %s' % kind)
            p = subprocess.run([SEALANECTL, '-h', '127.0.0.1:%d' % self.admin, 'list', kind],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if p.returncode:
                raise LabError('sealanectl list %s failed: %s' % (kind, p.stdout))
            print(p.stdout.rstrip(), flush=True)

    def show_routing(self):
        heading('3. Who serves what, through port %d' % self.port)
        conn = self.connect()
        statements = (
            "INSERT INTO orders (worker, item, node) VALUES (-1, 1, @@wsrep_node_name)",
            "SELECT @@wsrep_node_name",
            "SELECT @@wsrep_node_name",
            "SELECT @@wsrep_node_name FOR UPDATE",
            "BEGIN",
            "SELECT @@wsrep_node_name",
            "UPDATE orders SET node = @@wsrep_node_name WHERE worker = -1",
            "COMMIT",
            "START TRANSACTION READ ONLY",
            "SELECT @@wsrep_node_name",
            "COMMIT",
        )
        try:
            for text in statements:
                rows = sql.rows(conn, text)
                shown = text if len(text) <= 72 else text[:69] + '...'
                say('  %-74s %s' % (shown, 'served by ' + rows[0][0] if rows else 'OK'))
            wrote = sql.rows(conn, 'SELECT node FROM orders WHERE worker = -1 FOR UPDATE')[0][0]
            say('The INSERT and the UPDATE noted the node that executed them: %s' % wrote)
        finally:
            conn.close()

    def kill_master(self):
        heading('4. The primary dies under load')
        self.work = Workload('127.0.0.1', self.port, THREADS)
        self.work.start()
        self.wait(lambda: self.work.written() > 200, 30, 'the workload to write 200 rows')
        before = (self.work.written(), self.work.reads())
        master = self.master()
        node = self.lab.node(master.split('-')[1])
        say('%d sessions insert and read without pause: %d rows written, %d reads so far.'
            % ((THREADS,) + before))
        say('$ kill -9 %d        # %s, the Master' % (node.pid, master))
        killed = time.monotonic()
        node.kill()
        new = self.wait(lambda: self.master() not in (None, master) and self.master(), 30,
                        'another Master')
        say('%5.1f s  %s is the Master now.' % (time.monotonic() - killed, new))
        at = self.work.written()
        self.wait(lambda: self.work.written() > at + THREADS, 60, 'writes to go on')
        say('%5.1f s  Writes go on. (Galera itself holds them until it has given the dead node up: '
            'evs.suspect_timeout, 5 s.)' % (time.monotonic() - killed))
        at = self.work.written()
        self.wait(lambda: self.work.written() > at + 200, 60, '200 more rows')
        self.tables('servers')
        return node, killed

    def bring_back(self, node, killed):
        heading('5. The old node returns')
        start = time.monotonic()
        node.start()
        self.wait_states({'Galera-' + node.name: {'Synced', 'Running'}}, 60)
        say('galera-%s was started again and is Synced after %.1f s.'
            % (node.name, time.monotonic() - start))
        self.wait(lambda: self.master() == 'Galera-71', 30, 'priority 1 to be Master again')
        at = self.work.written()
        self.wait(lambda: self.work.written() > at + 100, 60, '100 more rows')
        self.work.stop()
        self.tables('servers')

    def verdict(self):
        heading('6. What the clients saw')
        w = self.work
        errors = w.errors()
        say('  rows written       %d' % w.written())
        say('  reads              %d (%s)' % (w.reads(), ', '.join(
            '%s %d' % kv for kv in w.read_from().items())))
        say('  longest pause      %.1f s' % w.longest())
        say('  connections lost   %d of %d' % (w.lost(), THREADS))
        say('  errors             %d' % len(errors))
        kinds = {}
        for _, text in errors:
            kinds[text] = kinds.get(text, 0) + 1
        for text, n in sorted(kinds.items(), key=lambda kv: -kv[1])[:5]:
            say('    %4d x %s' % (n, text))
        counts = {}

        def equal():
            for n in self.lab.nodes:
                counts[n.name] = n.sql('SELECT COUNT(*), COALESCE(SUM(CRC32(CONCAT(worker, ":", '
                                       'item))), 0) FROM demo.orders WHERE worker >= 0')[0]
            return len({tuple(c) for c in counts.values()}) == 1
        self.wait(equal, 20, 'all nodes to hold the same rows')
        say('  rows on the nodes  %s' % ', '.join(
            'galera-%s %s' % (k, v[0]) for k, v in counts.items()))
        stored = int(next(iter(counts.values()))[0])
        if stored < w.written():
            raise LabError('%d acknowledged rows are missing' % (w.written() - stored))
        extra = stored - w.written()
        say('  Every acknowledged row is there, and the nodes are equal%s.' % (
            '' if not extra else '; %d more were stored whose answer got lost' % extra))

    def invite(self):
        heading('Your turn')
        ctl = 'bin/sealanectl' if self.admin == ADMIN_PORT else \
            'bin/sealanectl -h 127.0.0.1:%d' % self.admin
        say('The cluster and sealaned keep running until you press Enter. In another terminal:\n')
        for line in ('mariadb -h 127.0.0.1 -P %d -u app -papp demo' % self.port,
                     '  SELECT @@wsrep_node_name;          -- a replica',
                     '  BEGIN; SELECT @@wsrep_node_name;   -- the Master',
                     ctl + ' list servers',
                     ctl + ' set server Galera-72 maintenance',
                     ctl + ' show service Galera-RW-Service',
                     'lab/lab --dir %s kill 71      # then: start 71' % self.dir,
                     'lab/lab --dir %s freeze 72    # then: thaw 72' % self.dir,
                     'tail -f %s' % self.log_files()[-1]):
            say('  ' + line)
        try:
            input('\nEnter ends the demo. ')
        except EOFError:
            pass

    # ------------------------------------------------------------------ helpers
    def connect(self):
        return sql.connect(host='127.0.0.1', port=self.port, user='app', password='app',
                           database='demo', timeout=30)

    def states(self):
        token = base64.b64encode(b'admin:mariadb').decode()
        req = urllib.request.Request('http://127.0.0.1:%d/v1/servers' % self.admin,
                                     headers={'Authorization': 'Basic ' + token})
        with urllib.request.urlopen(req, timeout=5) as answer:
            data = json.load(answer)['data']
        return {s['id']: s['attributes']['state'] for s in data}

    def master(self):
        for name, state in self.states().items():
            if state.startswith('Master'):
                return name
        return None

    def wait(self, test, deadline_s, what):
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            if self.daemon and self.daemon.poll() is not None:
                raise LabError('sealaned ended with code %s' % self.daemon.returncode)
            try:
                value = test()
                if value:
                    return value
            except (sql.Error, OSError, urllib.error.URLError, ValueError):
                pass                              # not up yet, or just going down
            time.sleep(0.05)
        raise LabError('waited %d s in vain for %s' % (deadline_s, what))

    def wait_states(self, wanted, deadline_s):
        def fits():
            now = self.states()
            return all(now.get(k) == v if isinstance(v, str)
                       else v <= set(now.get(k, '').split(', ')) for k, v in wanted.items())
        self.wait(fits, deadline_s, 'the states %s' % wanted)

    def run(self):
        start = time.monotonic()
        self.start_cluster()
        self.start_daemon()
        self.show_routing()
        node, killed = self.kill_master()
        self.bring_back(node, killed)
        self.verdict()
        say('\nThe story took %.0f s.' % (time.monotonic() - start))
        if sys.stdin.isatty() and sys.stdout.isatty():
            self.invite()

    def clean(self):
        if self.work:
            self.work.stop_event.set()
        code = 0
        if self.daemon and self.daemon.poll() is None:
            self.daemon.terminate()
            try:
                code = self.daemon.wait(10)
            except subprocess.TimeoutExpired:
                say('sealaned did not end within 10 s')
                code = 1
        self.lab.down(wipe=True)
        shutil.rmtree(self.dir, ignore_errors=True)
        return code

    def log_files(self):
        """What sealaned printed, and its log file if it writes one."""
        found = [self.log]
        for path, _, names in os.walk(self.base):
            found += [os.path.join(path, n) for n in names if n == 'maxscale.log']
        return found

    def show_log(self):
        lines = []
        for path in self.log_files():
            if os.path.exists(path):
                with open(path, errors='replace') as f:
                    lines += f.readlines()
        if lines:
            print('\nEnd of the log of sealaned:\n' + ''.join(lines[-40:]), file=sys.stderr)


def main():
    for program in (SEALANED, SEALANECTL):
        if not os.access(program, os.X_OK):
            print('demo: %s is missing; run make first' % program, file=sys.stderr)
            return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))   # clean up as for Ctrl-C
    demo = Demo()
    code = 1
    try:
        demo.run()
        code = 0
    except KeyboardInterrupt:
        print('\nInterrupted.', file=sys.stderr)
        code = 130
    except (LabError, sql.Error, OSError) as e:
        print('\ndemo: %s' % e, file=sys.stderr)
        demo.show_log()
    finally:
        ended = demo.clean()
    if ended and code == 0:
        print('demo: sealaned ended with code %s' % ended, file=sys.stderr)
        return 1
    return code


if __name__ == '__main__':
    sys.exit(main())
