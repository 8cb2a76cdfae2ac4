# SPDX-License-Identifier: Apache-2.0
"""Load from threads, with the latency of every statement, for the failover tests."""
import collections
import random
import threading
import time

from wire import Lost, Wire, WireError


class Session(threading.Thread):
    """One session that repeats turn(conn) until stopped; it reconnects only when it was cut."""

    def __init__(self, address, turn, stop):
        super().__init__(daemon=True)
        self.address, self.turn, self.stop_event = address, turn, stop
        self.samples = []          # (start, seconds)
        self.errors = []           # (time, errno, text)
        self.lost = 0
        self.done = 0

    def run(self):
        conn = None
        while not self.stop_event.is_set():
            start = time.monotonic()
            try:
                if conn is None:
                    conn = Wire(*self.address, database='test', timeout=60)
                self.turn(conn, self)
                self.samples.append((start, time.monotonic() - start))
                self.done += 1
            except WireError as e:
                self.errors.append((time.monotonic(), e.errno, str(e)))
                self.stop_event.wait(0.05)
            except (Lost, OSError) as e:
                self.errors.append((time.monotonic(), 0, repr(e)))
                self.lost += 1
                conn = None
                self.stop_event.wait(0.1)
        if conn:
            conn.close()


class Load:
    def __init__(self, port, turn, sessions, host='127.0.0.1'):
        self.stop_event = threading.Event()
        self.sessions = [Session((host, port), turn, self.stop_event) for _ in range(sessions)]

    def __enter__(self):
        for s in self.sessions:
            s.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stop_event.set()
        for s in self.sessions:
            s.join(70)

    def done(self):
        return sum(s.done for s in self.sessions)

    def lost(self):
        return sum(s.lost for s in self.sessions)

    def errors(self):
        return sorted(e for s in self.sessions for e in s.errors)

    def percentile(self, share, since=0.0, until=float('inf')):
        got = sorted(took for s in self.sessions for start, took in s.samples
                     if since <= start <= until)
        return got[int(len(got) * share)] if got else None

    def errors_by_number(self):
        """How many of each; 0 stands for a lost connection."""
        return dict(collections.Counter(number for _, number, _ in self.errors()))

    def resumed(self, after):
        """When the first statement that began after that moment, or hung at it, had succeeded."""
        return min((start + took for s in self.sessions for start, took in s.samples
                    if start + took > after), default=None)

    def longest(self):
        return max((took for s in self.sessions for _, took in s.samples), default=0)


def write(conn, session):
    conn.query('INSERT INTO t (a) VALUES (%d)' % session.done)


def read(conn, session):
    conn.query('SELECT COUNT(*) FROM t')


def transaction(conn, session):
    try:
        conn.query('BEGIN')
        conn.query('INSERT INTO t (a) VALUES (1)')
        conn.query('COMMIT')
    except WireError:
        conn.query('ROLLBACK')
        raise


def oltp(conn, session):
    """The transaction of sysbench oltp_read_write on its tables, and one row in `t` as a receipt."""
    table = 'sbtest%d' % random.randint(1, 4)
    key = random.randint(1, 2000)
    try:
        conn.query('BEGIN')
        for _ in range(10):
            conn.query('SELECT c FROM %s WHERE id = %d' % (table, random.randint(1, 2000)))
        conn.query('SELECT SUM(k) FROM %s WHERE id BETWEEN %d AND %d' % (table, key, key + 99))
        conn.query('UPDATE %s SET k = k + 1 WHERE id = %d' % (table, key))
        conn.query('DELETE FROM %s WHERE id = %d' % (table, key))
        conn.query("INSERT INTO %s (id, k, c, pad) VALUES (%d, %d, 'c', 'p')" % (table, key, key))
        conn.query('INSERT INTO t (a) VALUES (%d)' % session.done)
        conn.query('COMMIT')
    except WireError:
        conn.query('ROLLBACK')
        raise


def make_oltp_tables(node, tables=4, rows=2000):
    """The tables of `sysbench oltp_*  prepare`."""
    for i in range(1, tables + 1):
        node.sql("CREATE TABLE test.sbtest%d (id INT PRIMARY KEY AUTO_INCREMENT, k INT NOT NULL "
                 "DEFAULT 0, c CHAR(120) NOT NULL DEFAULT '', pad CHAR(60) NOT NULL DEFAULT '', "
                 "KEY k_%d (k)); INSERT INTO test.sbtest%d SELECT seq, seq, MD5(seq), 'pad' "
                 "FROM test.seq_1_to_%d" % (i, i, i, rows))
