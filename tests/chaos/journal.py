# SPDX-License-Identifier: Apache-2.0
"""What every operation came to, as its client saw it.

An operation is *acknowledged* (the deciding statement, an autocommit write or COMMIT, was answered
with OK), *failed* (certainly not done: it ended before the deciding statement was sent, or with an
error that says so) or *unknown* (anything else: the client cannot tell).
"""
import collections
import json
import threading
import time

ACKNOWLEDGED, FAILED, UNKNOWN = 'acknowledged', 'failed', 'unknown'

# Errors of the deciding statement that promise that nothing was done: 1047 and 1290 refuse to run
# it, the others roll back (1020 and 1213 conflicts, 1205 lock wait, 1792 read-only transaction).
CERTAIN = {1020, 1047, 1205, 1213, 1290, 1792}
CUT = 0                                          # "error number" of a connection that was cut


class Operation:
    """One operation of a worker; `decisive` is set just before the deciding statement is sent."""

    def __init__(self, worker, kind, ident):
        self.worker, self.kind, self.ident = worker, kind, ident
        self.started = time.monotonic()
        self.took = 0.0
        self.decisive = False
        self.rolled_back = False
        self.statement = ''
        self.outcome, self.errno, self.text = None, None, ''
        self.data = {}

    def end(self, errno=None, text=''):
        """errno None: no error; CUT: the connection was cut."""
        self.took = time.monotonic() - self.started
        self.errno, self.text = errno, text
        if errno is None:
            self.outcome = FAILED if self.rolled_back else ACKNOWLEDGED
        elif not self.decisive or errno in CERTAIN:
            self.outcome = FAILED
        else:
            self.outcome = UNKNOWN

    def __str__(self):
        return '%s %s (worker %d, %s)%s' % (
            self.kind, self.ident, self.worker, self.outcome,
            ' [%s at %s: %s]' % (self.errno, self.statement, self.text) if self.text else '')


class Journal:
    def __init__(self):
        self.began = time.monotonic()
        self.operations = []
        self.events = []                         # (time, text): what was done to the servers
        self.violations = []                     # (time, text): seen while running
        self.cuts = 0                            # connections cut, also between operations
        self.refused = collections.Counter()     # logins refused, by error number
        self.stale = 0                           # reads outside transactions that missed own writes
        self.reads = 0
        self.lock = threading.Lock()

    def add(self, operation):
        self.operations.append(operation)        # list.append is atomic

    def event(self, text):
        self.events.append((time.monotonic() - self.began, text))

    def violation(self, text):
        self.violations.append((time.monotonic() - self.began, text))

    def count(self, name, by=1):
        with self.lock:
            setattr(self, name, getattr(self, name) + by)

    def by_outcome(self, outcome):
        return [o for o in self.operations if o.outcome == outcome]

    def errors(self):
        """Errors that clients saw, by number; deliberate rollbacks are none."""
        return collections.Counter(o.errno for o in self.operations if o.errno is not None)

    def longest(self):
        return max((o.took for o in self.operations), default=0.0)

    def save(self, path):
        """One JSON object per line: operations and events in the order of time."""
        lines = [dict(at=o.started - self.began, took=o.took, worker=o.worker, kind=o.kind,
                      id=o.ident, outcome=o.outcome, errno=o.errno, text=o.text,
                      statement=o.statement, **o.data) for o in self.operations]
        lines += [dict(at=at, event=text) for at, text in self.events]
        lines += [dict(at=at, violation=text) for at, text in self.violations]
        with open(path, 'w') as f:
            for line in sorted(lines, key=lambda x: x['at']):
                f.write(json.dumps(line) + '\n')
