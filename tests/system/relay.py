# SPDX-License-Identifier: Apache-2.0
"""Helpers of the relay's tests: the daemon as binlogrouter, replicas behind it, a write load.

One lab of three plain servers serves all of them: 41 is the primary, 42 and 43 are replicas of
whatever the test makes them.  Each test begins with empty binlogs everywhere (the fixtures are in
conftest.py).
"""
import os
import random
import re
import subprocess
import threading
import time

import binlog_client as bc
from lab import sql
from sealane import Sealane, section, wait_until

LONG = os.environ.get('SEALANE_LONG') == '1'
SERVER_ID = 4000
DEADLINE_S = 90                                  # for everybody to have everything
USER, PASSWORD = 'repl_user', 'SecretP@ssw0rd'
# flush=2: what a killed process had committed is there again, without an fsync per commit
SETTINGS = ['rpl_semi_sync_master_enabled=OFF', 'rpl_semi_sync_slave_enabled=OFF',
            'innodb_flush_log_at_trx_commit=2', 'max_allowed_packet=64M',
            'slave_max_allowed_packet=128M']


class Relay(Sealane):
    """A sealaned with one service Replication-Proxy, as the set-ups that users follow name it."""

    def __init__(self, directory, lab):
        super().__init__(directory, lab)
        self.datadir = os.path.join(self.dir, 'binlogs')
        self.host = '127.0.0.1'
        self.starts_at = 0

    def configure(self, servers=None, listener=None, globals_=None, monitor=None, extra='',
                  **service):
        """servers: lab nodes (default: the first); service: settings, None leaves one out."""
        nodes = servers or self.lab.nodes[:1]
        galera = nodes[0].spec.galera
        prefix = 'Galera-' if galera else 'server-'
        names = ','.join(prefix + n.name for n in nodes)
        text = section('maxscale', **dict({'threads': 1, 'admin_port': self.admin_port,
                                           'log_info': 'true'}, **(globals_ or {})))
        for n in nodes:
            text += section(prefix + n.name, type='server', address=n.ip, port=n.port)
        if galera:
            text += section('Monitor', **dict(
                {'type': 'monitor', 'module': 'galeramon', 'servers': names, 'user': 'maxuser',
                 'password': 'SecretP@ssw0rd', 'monitor_interval': '300ms',
                 'backend_connect_timeout': '5s', 'backend_read_timeout': '5s',
                 'backend_write_timeout': '5s'}, **(monitor or {})))
        values = {'type': 'service', 'router': 'binlogrouter', 'servers': names, 'user': USER,
                  'password': PASSWORD, 'datadir': self.datadir, 'server_id': SERVER_ID}
        values.update(service)
        self.datadir = values['datadir']
        text += section('Replication-Proxy',
                        **{k: v for k, v in values.items() if v is not None})
        text += section('Replication-Listener', **dict(
            {'type': 'listener', 'service': 'Replication-Proxy', 'protocol': 'MariaDBClient',
             'address': '127.0.0.1', 'port': self.port}, **(listener or {})))
        self.write_text(text + extra)
        return self

    # ------------------------------------------------------------------ process
    def start(self, wait=True):
        self.starts_at = len(self.log_text())
        super().start(wait)
        if wait and any(n.pid for n in self.lab.nodes):
            self.wait_accounts()
        return self

    def wait_accounts(self):
        """Nobody is let in before a server has told the accounts; too many tries block the host."""
        wait_until(lambda: 'user accounts and roles, read from' in
                   self.log_text()[self.starts_at:], DEADLINE_S, 'the accounts are known')

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def rss_kb(self):
        with open('/proc/%d/status' % self.process.pid) as f:
            return int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1))

    # ------------------------------------------------------------------ SQL
    def connect(self, user='maxscale', password='maxscale', timeout=60):
        return sql.connect(host=self.host, port=self.port, user=user, password=password,
                           timeout=timeout)

    def results(self, text, **login):
        conn = self.connect(**login)
        try:
            return sql.results(conn, text)
        finally:
            conn.close()

    def sql(self, text, **login):
        return [row for _, part in self.results(text, **login) for row in part]

    def value(self, text):
        return self.sql(text)[0][0]

    def status(self):
        (names, rows), = self.results('SHOW SLAVE STATUS')
        assert len(rows) == 1, rows
        return dict(zip(names, rows[0]))

    def change_master(self, host, port, user=USER, password=PASSWORD, more='', start=True):
        self.sql("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%d, MASTER_USER='%s', "
                 "MASTER_PASSWORD='%s', MASTER_USE_GTID=slave_pos%s"
                 % (host, port, user, password, ', ' + more if more else ''))
        if start:
            self.sql('START SLAVE')
        return self

    def follow(self, node, more=''):
        return self.change_master(node.ip, node.port, more=more)

    def position(self):
        return self.value('SELECT @@global.gtid_binlog_pos')

    def reaches(self, position, deadline_s=DEADLINE_S):
        """Waits until the relay has this position (durably: what it says is what it serves)."""
        def there():
            assert self.process.poll() is None, 'sealaned died:\n' + self.tail()
            return covers(self.position(), position)
        try:
            wait_until(there, deadline_s, 'the relay has ' + position)
        except AssertionError as e:
            raise AssertionError('%s\n%s\n%s' % (e, self.safe_status(), self.tail())) from None

    def safe_status(self):
        try:
            return {k: v for k, v in self.status().items() if v}
        except (sql.Error, AssertionError, ValueError) as e:
            return 'no status: %s' % e

    def catches_up(self, node, deadline_s=DEADLINE_S):
        self.reaches(binlog_pos(node), deadline_s)

    def make_master(self, node, old=None):
        """What a monitor would say; none of them looks after plain replication."""
        if old:
            self.set_state('server-' + old.name, 'master', clear=True)
        for state in ('running', 'master'):
            self.set_state('server-' + node.name, state)

    # ------------------------------------------------------------------ files
    def index(self):
        with open(os.path.join(self.datadir, 'binlog.index')) as f:
            return f.read().split()

    def files(self):
        """Paths of the plain binlog files, oldest first."""
        found = [n for n in os.listdir(self.datadir) if re.fullmatch(r'.+\.\d{6,}', n)]
        return [os.path.join(self.datadir, n)
                for n in sorted(found, key=lambda n: int(n.rsplit('.', 1)[1]))]

    def names(self):
        return [row[0] for row in self.sql('SHOW BINARY LOGS')]

    def groups(self, **kw):
        return bc.Groups(**kw).read_files(self.files()).groups

    # ------------------------------------------------------------------ raw clients
    def binlog_client(self, **kw):
        return bc.BinlogClient(self.host, self.port, **kw)


def covers(position, wanted):
    have = {d: int(n) for d, _, n in (g.split('-') for g in position.split(',') if g)}
    return all(have.get(d, -1) >= int(n)
               for d, _, n in (g.split('-') for g in wanted.split(',') if g))


def binlog_pos(node):
    return node.value('SELECT @@global.gtid_binlog_pos')


# ---------------------------------------------------------------------------- servers
def binlog_files(node):
    """Paths of a server's binlog files, oldest first."""
    return [node.path('data', row[0]) for row in node.sql('SHOW BINARY LOGS')]


def server_groups(node, **kw):
    return bc.Groups(**kw).read_files(binlog_files(node)).groups


def slave_status(node):
    (names, rows), = node.results('SHOW SLAVE STATUS')
    return dict(zip(names, rows[0])) if rows else {}


def attach(node, relay, position='', use='slave_pos', options='', start=True):
    """Makes a server a replica of the relay; it has to need no other help."""
    text = 'STOP ALL SLAVES;'
    if position is not None:
        text += "SET GLOBAL gtid_slave_pos='%s';" % position
    text += ("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%d, MASTER_USER='%s', "
             "MASTER_PASSWORD='%s', MASTER_CONNECT_RETRY=1, MASTER_HEARTBEAT_PERIOD=1%s%s"
             % (relay.host, relay.port, USER, PASSWORD,
                ', MASTER_USE_GTID=' + use if use else '', ', ' + options if options else ''))
    node.sql(text + ('; START SLAVE' if start else ''))


def replica_reaches(node, position, deadline_s=DEADLINE_S):
    def there():
        s = slave_status(node)
        bad = s.get('Last_SQL_Errno') not in ('0', None) or s.get('Last_IO_Errno') == '1236'
        if bad:
            raise Stopped('replica %s: %s %s' % (node.name, s['Last_SQL_Error'],
                                                  s['Last_IO_Error']))
        return covers(node.value('SELECT @@global.gtid_slave_pos'), position)
    try:
        wait_until(there, deadline_s, 'replica %s is at %s' % (node.name, position))
    except AssertionError as e:
        s = slave_status(node) if node.pid else {}
        raise AssertionError('%s\n%s' % (e, {k: v for k, v in s.items() if v})) from None


class Stopped(AssertionError):
    """A replica that stopped with an error does not go on by itself."""


def healthy(node):
    s = slave_status(node)
    return (s['Slave_IO_Running'] == 'Yes' and s['Slave_SQL_Running'] == 'Yes'
            and s['Last_IO_Errno'] == '0' and s['Last_SQL_Errno'] == '0')


def io_error(node, code, deadline_s=DEADLINE_S):
    """Waits for the IO thread to stop with this error; its text."""
    def stopped():
        s = slave_status(node)
        return s['Last_IO_Errno'] == str(code) and s['Slave_IO_Running'] == 'No' and s
    return wait_until(stopped, deadline_s, 'IO error %d at %s: %s'
                      % (code, node.name, slave_status(node)))['Last_IO_Error']


def clean(node):
    """No replication, no databases of tests, empty binlogs, no position."""
    if node.frozen:
        node.thaw()
    if not node.pid:
        node.start()
    node.sql('STOP ALL SLAVES; RESET SLAVE ALL; SET GLOBAL read_only=OFF; '
             'SET SESSION sql_log_bin=0; DROP DATABASE IF EXISTS d; '
             'SET GLOBAL rpl_semi_sync_master_enabled=OFF; '
             'SET GLOBAL slave_parallel_threads=0; SET GLOBAL max_binlog_size=1073741824; '
             'SET GLOBAL log_bin_compress=OFF; SET GLOBAL binlog_checksum=CRC32; '
             "RESET MASTER; SET GLOBAL gtid_slave_pos=''")


TABLES = """CREATE DATABASE d;
CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, tag VARCHAR(40), k INT, b LONGBLOB);
CREATE TABLE d.m (id INT PRIMARY KEY AUTO_INCREMENT, tag VARCHAR(40)) ENGINE=MyISAM"""


# ---------------------------------------------------------------------------- load
class Writer(threading.Thread):
    """Transactions of several kinds at a server until stopped; knows which were acknowledged."""
    running = []

    def __init__(self, node, seed=1, rate=0, kinds='plain'):
        super().__init__(daemon=True)
        self.node, self.rng, self.rate, self.kinds = node, random.Random(seed), rate, kinds
        self.tag, self.number = 's%d' % seed, 0
        self.acknowledged, self.errors = [], []
        self.ending = threading.Event()
        self.running.append(self)
        self.start()

    def run(self):
        conn, began, done = None, time.monotonic(), 0
        while not self.ending.is_set():
            try:
                conn = conn or self.node.connect(timeout=60)
                self._transaction(conn)
                done += 1
            except (sql.Error, OSError) as e:
                self.errors.append(e)
                conn = None
                self.ending.wait(0.05)
            if self.rate:
                self.ending.wait(max(0, began + done / self.rate - time.monotonic()))

    def _transaction(self, conn):
        self.number += 1
        n, tag = self.number, '%s-%d' % (self.tag, self.number)
        with conn.cursor() as cur:
            if self.kinds == 'plain' or n % 20:
                cur.execute('BEGIN')
                cur.execute('INSERT INTO d.t (tag, k, b) VALUES (%s, 0, %s)',
                            (tag, 'x' * (300000 if n % 100 == 50 else self.rng.randrange(400))))
                cur.execute('UPDATE d.t SET k=k+1 ORDER BY id DESC LIMIT %s',
                            (self.rng.randrange(1, 4),))
                cur.execute('COMMIT')
            elif n % 60 == 40:
                cur.execute('CREATE TABLE IF NOT EXISTS d.x%d (a INT)' % (n % 7))
                cur.execute('DROP TABLE d.x%d' % (n % 7))
                return
            else:
                cur.execute('INSERT INTO d.m (tag) VALUES (%s)', (tag,))
                return
        self.acknowledged.append(tag)

    @classmethod
    def end_all(cls):
        while cls.running:
            cls.running.pop().ending.set()

    def at_least(self, count, deadline_s=DEADLINE_S):
        """Waits until this many more transactions were acknowledged."""
        goal = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= goal, deadline_s,
                   '%d transactions more (errors: %s)' % (count, self.errors[-2:]))

    def stop(self):
        self.ending.set()
        self.join(120)
        assert not self.is_alive(), 'the writer hangs'
        return self


def table_sums(node, tables=('d.t', 'd.m')):
    rows = node.sql('CHECKSUM TABLE ' + ', '.join(tables))
    counts = [node.value('SELECT COUNT(*) FROM ' + t) for t in tables]
    return rows, counts


def same_data(primary, replica):
    ours, theirs = table_sums(primary), table_sums(replica)
    assert ours == theirs, '%s: %s, %s: %s' % (primary.name, ours, replica.name, theirs)


def same_groups(relay, primary, torn=False):
    """The relay's files have the primary's groups: all, once, in order, byte for byte."""
    ours = relay.groups()
    theirs = bc.Groups().read_files(binlog_files(primary), torn=torn).groups
    assert list(ours) == list(theirs)
    for gtid, events in theirs.items():
        assert ours[gtid] == events, 'group %s differs' % gtid


# ---------------------------------------------------------------------------- mariadb-binlog
LEVEL = re.compile(r'^(# at \d+|#\d{6} .*(Start: binlog|Rotate to|Gtid list|Binlog checkpoint|'
                   r'Stop|Format desc).*|# Warning: this binlog is either in use.*|ROLLBACK.*|'
                   r'BINLOG .*|/\*M?!.*|DELIMITER.*|# End of log file|# The rest.*|'
                   r'# Number of rows.*|# rollback at.*|SET @@session.*)$')


def binlog_text(argv):
    """What mariadb-binlog prints about the data: no positions, nothing about files."""
    p = subprocess.run(['mariadb-binlog', '-vv', '--base64-output=decode-rows'] + list(argv),
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       errors='replace', timeout=180)
    assert p.returncode == 0, '%s\n%s' % (argv, p.stderr[-2000:])
    out = []
    for line in p.stdout.splitlines():
        if LEVEL.match(line):
            continue
        line = re.sub(r'end_log_pos \d+ ?', '', line)
        line = re.sub(r'SQL_LOAD_MB-[0-9a-f-]+', 'SQL_LOAD_MB', line)
        out.append(re.sub(r' CRC32 0x[0-9a-f]+', '', line))
    return out
