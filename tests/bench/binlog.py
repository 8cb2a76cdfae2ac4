# SPDX-License-Identifier: Apache-2.0
"""The relay against the server whose log it relays: serving, ingesting, following, looking up.

Both serve the same events to the same readers (binlog_reader.c) in the same run; what is compared
are CPU seconds of the serving process and time, as ratios within a round.
"""
import concurrent.futures
import os
import random
import shutil
import statistics
import struct
import subprocess
import tempfile
import time
import zlib

import binlog_client as bc
from lab import Lab, LabError, sql
from relay import Relay, binlog_pos, covers
from sealane import ROOT, wait_until

READER = os.path.join(ROOT, 'build', 'tests', 'bench', 'bench-binlog-reader')
TITLE = '## Binlog relay'
READERS = 8
FILLERS = 2
SETTINGS = ['innodb_flush_log_at_trx_commit=0', 'innodb_buffer_pool_size=256M',
            'innodb_log_file_size=512M', 'max_binlog_size=128M', 'binlog_cache_size=1M',
            'max_connections=300']
# sysbench's row; ten inserted and ten updated in each transaction: about 6 kB of events
FILL = """CREATE DATABASE app;
CREATE TABLE app.rows0 (id INT PRIMARY KEY AUTO_INCREMENT, k INT NOT NULL, c CHAR(120) NOT NULL,
  pad CHAR(60) NOT NULL);
CREATE TABLE app.rows1 LIKE app.rows0;
CREATE TABLE app.follow LIKE app.rows0;
CREATE PROCEDURE app.fill0(transactions INT)
BEGIN
  DECLARE i INT DEFAULT 0;
  WHILE i < transactions DO
    START TRANSACTION;
    INSERT INTO app.rows0 (k, c, pad) SELECT FLOOR(RAND()*100000), REPEAT(MD5(RAND()), 3),
      MD5(RAND()) FROM seq_1_to_10;
    UPDATE app.rows0 SET k=k+1 ORDER BY id DESC LIMIT 10;
    COMMIT;
    SET i = i+1;
  END WHILE;
END"""


def cpu_s(pid):
    with open('/proc/%d/stat' % pid) as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def read_log(host, port, readers=READERS):
    """All of the log to all readers: bytes sent and seconds."""
    return figures(['read', host, port, readers, ''])


def figures(argv, timeout=600):
    p = subprocess.run([READER] + [str(a) for a in argv], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, timeout=timeout)
    if p.returncode:
        raise LabError('%s: %s' % (argv, p.stderr))
    return [float(x) for x in p.stdout.split()]


class Side:
    """One that serves: the server itself or the relay."""

    def __init__(self, name, host, port, pid):
        self.name, self.host, self.port, self.pid = name, host, port, pid

    def serve(self):
        before = cpu_s(self.pid)
        sent, _, seconds = read_log(self.host, self.port)
        return {'cpu': (cpu_s(self.pid) - before) / (sent / 1e9), 'rate': sent / 1e6 / seconds}

    def follow(self, writer, seconds, rate=350):
        before = cpu_s(self.pid)
        _, p50, p99, worst = figures(['follow', self.host, self.port, READERS, writer.ip,
                                      writer.port, rate, seconds])
        return {'p50': p50 / 1000, 'p99': p99 / 1000, 'max': worst / 1000,
                'cpu': 100 * (cpu_s(self.pid) - before) / seconds}


def fill(node, megabytes):
    """Row events of about this many MB; how many they are."""
    node.sql(FILL)
    node.sql(FILL[FILL.index('CREATE PROCEDURE'):].replace('rows0', 'rows1')
             .replace('fill0', 'fill1'))
    node.sql('CALL app.fill0(200)', timeout=60)
    count = megabytes / log_megabytes(node) * 200 / FILLERS
    with concurrent.futures.ThreadPoolExecutor(FILLERS) as pool:
        list(pool.map(lambda i: node.sql('CALL app.fill%d(%d)' % (i, count), timeout=1200),
                      range(FILLERS)))
    return log_megabytes(node)


def log_megabytes(node):
    return sum(int(row[1]) for row in node.sql('SHOW BINARY LOGS')) / 1e6


class Pages:
    """Files of an ingest before, cut shorter step by step while another one writes as much.

    A guest that reports free memory to its host has lost it, and gets it back page by page at the
    first touch: 1 to 2 CPU seconds per GB that any program pays which writes files, and none that
    reads them.  Pages that have just been set free are still there, and of the sizes wanted.
    """
    STEP, AHEAD = 16 << 20, 48 << 20

    def __init__(self, files):
        self.files, self.given = list(files), 0

    def keep_ahead(self, written):
        while self.files and self.given < written + self.AHEAD:
            size = os.path.getsize(self.files[-1])
            os.truncate(self.files[-1], max(size - self.STEP, 0))
            self.given += min(size, self.STEP)
            if size <= self.STEP:
                self.files.pop()


def stored(relay):
    return sum(os.path.getsize(p) for p in relay.files())


def ingest(relay, node, target, seconds=600, pages=None):
    """From nothing to the server's position: CPU seconds and MB/s."""
    before = cpu_s(relay.process.pid)
    start = time.monotonic()
    relay.follow(node)
    conn = relay.connect()                       # one for all: a login costs the relay more

    def has_all():
        if pages:
            pages.keep_ahead(stored(relay))
        return covers(sql.rows(conn, 'SELECT @@global.gtid_binlog_pos')[0][0], target)

    wait_until(has_all, seconds, 'the relay has everything')
    conn.close()
    took = time.monotonic() - start
    size = stored(relay)
    return {'cpu': (cpu_s(relay.process.pid) - before) / (size / 1e9), 'rate': size / 1e6 / took}


def fresh_relay(work, lab, name, **settings):
    relay = Relay(os.path.join(work, name), lab)
    relay.configure(globals_={'log_info': 'false'}, **settings)
    return relay.start()


def stalled(relay, seconds=5):
    """CPU (percent) and growth of the memory (kB) with readers that do not read."""
    before = relay.rss_kb()
    child = subprocess.Popen([READER, 'stall', relay.host, str(relay.port), str(READERS),
                              str(seconds)], stdout=subprocess.PIPE, text=True)
    child.stdout.readline()
    used = cpu_s(relay.process.pid)
    child.wait()
    child.stdout.close()
    return {'cpu': 100 * (cpu_s(relay.process.pid) - used) / seconds,
            'rss': relay.rss_kb() - before}


# ---------------------------------------------------------------------------- a large store
def sparse_store(directory, files, file_bytes, body_bytes=1 << 20):
    """Binlog files of one large event per group; the bodies are holes.  Positions: all groups."""
    os.makedirs(directory, exist_ok=True)
    seq, names = 0, []
    event_len = bc.HEADER_SIZE + body_bytes + bc.CRC_SIZE
    zeros = bytes(body_bytes)
    for number in range(1, files + 1):
        path = os.path.join(directory, 'big-bin.%06d' % number)
        names.append(path)
        with open(path, 'wb') as f:
            at = 4
            f.write(bc.MAGIC)
            fde = bc.format_description()
            f.write(fde)
            at += len(fde)
            known = ['0-1-%d' % seq] if seq else []
            listed = bc.gtid_list_event(known)
            listed = bc.gtid_list_event(known, log_pos=at + len(listed))
            f.write(listed)
            at += len(listed)
            while at + event_len < file_bytes:
                seq += 1
                g = bc.gtid_event('0-1-%d' % seq, bc.FL_STANDALONE, at + 42)
                f.write(g)
                at += len(g)
                head = bc.HEADER.pack(1700000000, bc.QUERY, 1, event_len, at + event_len, 0)
                f.write(head)
                f.seek(body_bytes, os.SEEK_CUR)
                f.write(struct.pack('<I', zlib.crc32(zeros, zlib.crc32(head))))
                at += event_len
    with open(os.path.join(directory, 'binlog.index'), 'w') as f:
        f.write(''.join(n + '\n' for n in names))
    return seq


def lookups(work, lab, gigabytes, count=40):
    """Milliseconds from the dump request to the first group, at random positions."""
    directory = os.path.join(work, 'big-store')
    last = sparse_store(directory, gigabytes, 1 << 30)
    relay = Relay(os.path.join(work, 'big'), lab)
    relay.configure(datadir=directory, globals_={'log_info': 'false'})
    try:
        relay.start()
        wait_until(lambda: relay.position() == '0-1-%d' % last, 120, 'the store is open')
        first = figures(['locate', relay.host, relay.port,
                         '0-1-%d' % (last - last // gigabytes - 5)])
        wait_until(lambda: is_idle(relay), 60 * gigabytes, 'the files that came without an index '
                   'have one')
        rng = random.Random(1)
        wanted = ['0-1-%d' % rng.randrange(1, last) for _ in range(count)]
        took = figures(['locate', relay.host, relay.port] + wanted)
        return {'median': statistics.median(took) / 1000, 'max': max(took) / 1000,
                'first': max(first) / 1000, 'gigabytes': gigabytes}
    finally:
        relay.abandon()
        shutil.rmtree(directory, ignore_errors=True)


def is_idle(relay, over_s=1):
    """Nothing is made in the background (over_s: a reading of the CPU time has 10 ms)."""
    used = cpu_s(relay.process.pid)
    time.sleep(over_s)
    return cpu_s(relay.process.pid) - used < 0.02 * over_s


# ---------------------------------------------------------------------------- the whole
def run(quick):
    """Everything; a dictionary of figures."""
    work = tempfile.mkdtemp(prefix='sealane-bench-relay-')
    os.chmod(work, 0o755)
    lab = Lab(os.path.join(work, 'lab'))
    relays, out = [], {}
    try:
        lab.up('single', guarded=True, settings=SETTINGS)
        node = lab.nodes[0]
        out['megabytes'] = fill(node, 256 if quick else 1024)
        target = binlog_pos(node)
        for name, synced in (('nosync', '0'), ('sync', '1')):
            first = fresh_relay(work, lab, 'first-' + name, sync_binlog=synced)
            relays.append(first)
            out['first-' + name] = ingest(first, node, target)
            first.abandon()
            relays.remove(first)
            relay = fresh_relay(work, lab, name, sync_binlog=synced)
            relays.append(relay)
            out['ingest-' + name] = ingest(relay, node, target, pages=Pages(first.files()))
            print('ingest, %s: %s, in new memory: %s' % (name, out['ingest-' + name],
                                                         out['first-' + name]), flush=True)
            if name == 'nosync':
                relay.sql('STOP SLAVE')
        out['serve'] = serve_rounds(node, relay, 2 if quick else 5)
        out['rss'] = relay.rss_kb()
        out['stalled'] = stalled(relay)
        out.update(follow_rounds(node, *relays, 5 if quick else 20))
        out['lookup'] = lookups(work, lab, 2 if quick else 20)
        return out
    finally:
        for r in relays:
            r.abandon()
        lab.down(wipe=True)
        shutil.rmtree(work, ignore_errors=True)


def serve_rounds(node, relay, rounds):
    sides = [Side('server', node.ip, node.port, node.pid),
             Side('relay', relay.host, relay.port, relay.process.pid)]
    rows = []
    for number in range(rounds):
        random.shuffle(sides)
        rows.append({s.name: s.serve() for s in sides})
        print('serve, round %d: %s' % (number + 1, rows[-1]), flush=True)
    return rows


def follow_rounds(node, unsynced, synced, seconds):
    for r in (unsynced, synced):
        r.sql('STOP SLAVE')
    out = {'follow-server': Side('server', node.ip, node.port, node.pid).follow(node, seconds)}
    for name, relay in (('follow-sync', synced), ('follow-nosync', unsynced)):
        for r in (unsynced, synced):
            r.sql('STOP SLAVE')
        relay.sql('START SLAVE')
        relay.catches_up(node, 60)
        side = Side(name, relay.host, relay.port, relay.process.pid)
        out[name] = side.follow(node, seconds)
        print('%s: %s' % (name, out[name]), flush=True)
    return out


def ratio(rows, key):
    return statistics.median(r['relay'][key] / r['server'][key] for r in rows)


def median(rows, side, key):
    return statistics.median(r[side][key] for r in rows)


def verdict(value, limit, at_most=True):
    return 'met' if (value <= limit if at_most else value >= limit) else 'missed'


def lines(got):
    """The section of docs/performance.md."""
    serve, own = got['serve'], median(got['serve'], 'server', 'cpu')
    cpu, rate = ratio(serve, 'cpu'), ratio(serve, 'rate')
    ingested, first = got['ingest-sync']['cpu'] / own, got['first-sync']['cpu'] / own
    quick, safe = got['follow-nosync'], got['follow-sync']
    goals = [
        ('CPU per GB served to 8 readers, of the server\'s', '<= 0.70', '%.2f' % cpu,
         verdict(cpu, 0.7)),
        ('throughput to 8 readers, of the server\'s', '>= 1.00', '%.2f' % rate,
         verdict(rate, 1, False)),
        ('CPU per GB ingested (checksums verified, fsync), of the server\'s serving', '<= 2.00',
         '%.2f' % ingested, verdict(ingested, 2)),
        ('the same into memory that the host has to give first (any writer pays for that)',
         '<= 2.00', '%.2f' % first, verdict(first, 2)),
        ('commit to arrival at 8 readers, 350 transactions/s, no fsync: p50', '<= 0.2 ms',
         '%.2f ms' % quick['p50'], verdict(quick['p50'], 0.2)),
        ('the same: p99', '<= 3 ms', '%.2f ms' % quick['p99'], verdict(quick['p99'], 3)),
        ('CPU of the relay meanwhile', '< 8 %', '%.1f %%' % quick['cpu'], verdict(quick['cpu'], 8)),
        ('position looked up in a store of %d GB, slowest' % got['lookup']['gigabytes'], '< 10 ms',
         '%.1f ms' % got['lookup']['max'], verdict(got['lookup']['max'], 10)),
        ('resident memory after serving 8 readers', '< 64 MB', '%.0f MB' % (got['rss'] / 1024),
         verdict(got['rss'], 65536)),
        ('CPU with 8 readers that do not read', '0 %', '%.1f %%' % got['stalled']['cpu'],
         verdict(got['stalled']['cpu'], 1)),
    ]
    out = [TITLE, '',
           '`binlogrouter` against the MariaDB server whose log it relays, %.0f MB of row events '
           '(ten rows inserted and ten updated in a transaction), 8 readers that look at event '
           'headers only. Commit to arrival counts from the moment the writer has its OK.'
           % got['megabytes'], '', '| figure | goal | measured | |', '|---|---|---|---|']
    out += ['| %s | %s | %s | %s |' % g for g in goals]
    out += ['', '| | server | relay |', '|---|---|---|',
            '| CPU seconds per GB served | %.2f | %.2f |' % (own, median(serve, 'relay', 'cpu')),
            '| MB/s to 8 readers | %.0f | %.0f |' % (median(serve, 'server', 'rate'),
                                                     median(serve, 'relay', 'rate')),
            '| CPU seconds per GB ingested, fsync off, on | - | %.2f, %.2f |'
            % (got['ingest-nosync']['cpu'], got['ingest-sync']['cpu']),
            '| the same into memory that the host has to give first | - | %.2f, %.2f |'
            % (got['first-nosync']['cpu'], got['first-sync']['cpu']),
            '| MB/s ingested, fsync off, on | - | %.0f, %.0f |'
            % (got['ingest-nosync']['rate'], got['ingest-sync']['rate'])]
    for key in ('p50', 'p99', 'max'):
        out.append('| commit to arrival, %s, ms (relay: fsync off, on) | %.2f | %.2f, %.2f |'
                   % (key, got['follow-server'][key], quick[key], safe[key]))
    out += ['| CPU %% at 350 transactions/s (relay: fsync off, on) | - | %.1f, %.1f |'
            % (quick['cpu'], safe['cpu']),
            '| position looked up, median and slowest, ms | - | %.2f, %.2f |'
            % (got['lookup']['median'], got['lookup']['max']),
            '| the same at the end of a file of 1 GB that came without an index, ms | - | %.0f |'
            % got['lookup']['first'],
            '| memory growth with 8 stalled readers, kB | - | %d |' % got['stalled']['rss'], '']
    return out
