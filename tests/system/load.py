# SPDX-License-Identifier: Apache-2.0
"""Load from threads, with the latency of every statement, for the failover tests."""
import threading
import time

from wire import Lost, Wire, WireError


class Session(threading.Thread):
    """One session that repeats turn(conn) until stopped; it reconnects only when it was cut."""

    def __init__(self, port, turn, stop):
        super().__init__(daemon=True)
        self.port, self.turn, self.stop_event = port, turn, stop
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
                    conn = Wire('127.0.0.1', self.port, database='test', timeout=60)
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
    def __init__(self, port, turn, sessions):
        self.stop_event = threading.Event()
        self.sessions = [Session(port, turn, self.stop_event) for _ in range(sessions)]

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
