# SPDX-License-Identifier: Apache-2.0
"""A small application: threads that write and read through the proxy and note what they suffer."""
import threading
import time

from . import sql

INSERT = 'INSERT INTO demo.orders (worker, item, node) VALUES (%d, %d, @@wsrep_node_name)'
READ = 'SELECT COUNT(*), @@wsrep_node_name FROM demo.orders'


class Worker(threading.Thread):
    """One session; it reconnects only when the connection is lost."""

    def __init__(self, number, host, port, stop):
        super().__init__(daemon=True)
        self.number, self.host, self.port = number, host, port
        self.stop_event = stop
        self.written = 0
        self.reads = 0
        self.errors = []           # (time, text)
        self.lost = 0              # connections lost
        self.longest = (0.0, 0.0)  # longest statement: (seconds, when it began)
        self.read_from = {}
        self.slowest_read = 0.0
        self.conn = None

    def _connect(self):
        self.conn = sql.connect(host=self.host, port=self.port, user='app', password='app',
                                database='demo', timeout=60)

    def _timed(self, text):
        start = time.monotonic()
        rows = sql.rows(self.conn, text)
        took = time.monotonic() - start
        self.longest = max(self.longest, (took, start))
        return rows, took

    def _turn(self):
        if self.conn is None:
            self._connect()
        self._timed(INSERT % (self.number, self.written))
        self.written += 1
        rows, took = self._timed(READ)
        self.reads += 1
        self.slowest_read = max(self.slowest_read, took)
        node = rows[0][1]
        self.read_from[node] = self.read_from.get(node, 0) + 1

    def run(self):
        while not self.stop_event.is_set():
            try:
                self._turn()
            except sql.Error as e:
                self.errors.append((time.monotonic(), '%s: %s' % (e.args[0], e.args[-1])))
                try:
                    self.conn.ping(reconnect=False)
                except (sql.Error, AttributeError):
                    self.lost += 1
                    self.conn = None
                self.stop_event.wait(0.1)
            self.stop_event.wait(0.005)
        if self.conn:
            self.conn.close()


class Workload:
    def __init__(self, host, port, threads):
        self.stop_event = threading.Event()
        self.workers = [Worker(i, host, port, self.stop_event) for i in range(threads)]

    def start(self):
        for w in self.workers:
            w.start()

    def stop(self):
        self.stop_event.set()
        for w in self.workers:
            w.join(70)

    def written(self):
        return sum(w.written for w in self.workers)

    def reads(self):
        return sum(w.reads for w in self.workers)

    def errors(self):
        return sorted(e for w in self.workers for e in w.errors)

    def lost(self):
        return sum(w.lost for w in self.workers)

    def longest(self):
        return max(w.longest[0] for w in self.workers)

    def read_from(self):
        total = {}
        for w in self.workers:
            for node, n in w.read_from.items():
                total[node] = total.get(node, 0) + n
        return dict(sorted(total.items()))
