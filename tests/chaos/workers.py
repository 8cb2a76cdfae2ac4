# SPDX-License-Identifier: Apache-2.0
"""The application under torture: sessions whose every operation can be checked afterwards.

No write is idempotent and none is protected by a unique key that would hide a second execution:
an id that is appended twice counts to 2, a transfer done twice moves the money twice.
"""
import random
import threading
import time

from journal import ACKNOWLEDGED, CUT, Operation
from wire import Lost, Wire, WireError

ACCOUNTS, BALANCE = 40, 1000
TABLES = ('accounts', 'transfers', 'appends', 'receipts', 'counters')
SCHEMA = """
CREATE DATABASE IF NOT EXISTS test;
DROP TABLE IF EXISTS test.accounts, test.transfers, test.appends, test.receipts, test.counters;
CREATE TABLE test.accounts (id INT PRIMARY KEY, balance BIGINT NOT NULL);
CREATE TABLE test.transfers (id VARCHAR(40) PRIMARY KEY, source INT, target INT, amount INT, n INT);
CREATE TABLE test.appends (id VARCHAR(40) PRIMARY KEY, trx VARCHAR(40), n INT, KEY (trx));
CREATE TABLE test.receipts (pk BIGINT PRIMARY KEY AUTO_INCREMENT, id VARCHAR(40), KEY (id));
CREATE TABLE test.counters (worker INT PRIMARY KEY, n INT NOT NULL);
INSERT INTO test.accounts SELECT seq, %d FROM test.seq_1_to_%d;
INSERT INTO test.counters SELECT seq - 1, 0 FROM test.seq_1_to_64;
""" % (BALANCE, ACCOUNTS)
APPEND = "INSERT INTO appends VALUES ('%s', '%s', 1) ON DUPLICATE KEY UPDATE n = n + 1"
TRANSFER = ("INSERT INTO transfers VALUES ('%s', %d, %d, %d, 1) "
            "ON DUPLICATE KEY UPDATE n = n + 1")


class Worker(threading.Thread):
    """One client. Its choices come from its own generator, so that a seed means one sequence."""

    def __init__(self, number, seed, journal, port, causal):
        super().__init__(daemon=True)
        self.number, self.journal, self.port, self.causal = number, journal, port, causal
        self.rng = random.Random('%s/%d' % (seed, number))
        self.end = threading.Event()
        self.conn = self.statement = None
        self.serial = 0
        self.operation = None

    # ------------------------------------------------------------------ life
    def run(self):
        kinds = [(self.append, 6), (self.receipt, 3), (self.count, 2), (self.batch, 4),
                 (self.transfer, 8), (self.total, 3), (self.state, 1)]
        names, weights = zip(*kinds)
        while not self.end.is_set():
            self.once(self.rng.choices(names, weights)[0])
        self.drop()

    def once(self, kind):
        if not self.conn and not self.connect():
            self.end.wait(0.2)
            return
        self.serial += 1
        op = Operation(self.number, kind.__name__, '%d-%d' % (self.number, self.serial))
        self.operation = op
        try:
            kind(op)
            op.end()
        except WireError as e:
            op.end(e.errno, e.message)
            self.clean()
        except (Lost, OSError) as e:
            op.end(CUT, repr(e))
            self.journal.count('cuts')
            self.drop()
        self.operation = None
        self.journal.add(op)
        if op.errno is not None:
            self.end.wait(0.02)

    def connect(self):
        try:
            self.conn = Wire('127.0.0.1', self.port, database='test', timeout=90)
            self.conn.query("SET @me = %d, SESSION lock_wait_timeout = 30" % self.number)
            self.statement = None
            return True
        except WireError as e:
            self.journal.refused[e.errno] += 1
        except (Lost, OSError):
            self.journal.refused[CUT] += 1
        self.drop()
        return False

    def drop(self):
        if self.conn:
            self.conn.close()
            self.conn = None

    def clean(self):
        """After an error: no transaction may be left open, whatever the error meant."""
        try:
            self.conn.query('ROLLBACK')
            self.conn.query('SET autocommit=1')
        except WireError:
            self.drop()
        except (Lost, OSError):
            self.journal.count('cuts')
            self.drop()

    # ------------------------------------------------------------------ statements
    def ask(self, text):
        self.operation.statement = text
        return self.conn.query(text)[0]

    def decide(self, text):
        """The statement after which the operation is done."""
        self.operation.decisive = True
        return self.ask(text)

    def must(self, truth, text, *values):
        if not truth:
            self.journal.violation('%s: %s' % (self.operation, text % values))

    def begin(self):
        if self.rng.random() < 0.15:
            self.ask('SET autocommit=0')
        else:
            self.ask('BEGIN')

    def commit(self, op):
        if self.rng.random() < 0.05:
            self.ask('ROLLBACK')
            op.rolled_back = True
        else:
            self.decide('COMMIT')
        if self.conn.status & 2 == 0:            # SERVER_STATUS_AUTOCOMMIT
            self.ask_quietly('SET autocommit=1')

    def ask_quietly(self, text):
        """After the deciding statement an error changes nothing about the outcome."""
        try:
            self.conn.query(text)
        except (WireError, Lost, OSError):
            self.drop()

    # ------------------------------------------------------------------ operations
    def append(self, op):
        op.data['ids'] = [op.ident]
        if self.rng.random() < 0.4:
            if not self.statement:
                op.statement = 'PREPARE'
                self.statement = self.conn.prepare(
                    'INSERT INTO appends VALUES (?, ?, 1) ON DUPLICATE KEY UPDATE n = n + 1')
            op.statement, op.decisive = 'EXECUTE', True
            self.conn.execute(self.statement, [op.ident, op.ident])
        else:
            self.decide(APPEND % (op.ident, op.ident))
        self.read_own(op.ident)

    def read_own(self, ident):
        """Reads go to replicas: what they miss is counted, or with causal reads a violation."""
        try:
            rows = self.conn.query("SELECT n FROM appends WHERE id = '%s'" % ident)[0].rows
        except WireError as e:
            self.journal.add(self.failed_read(e.errno, e.message))
            return
        except (Lost, OSError) as e:
            self.journal.add(self.failed_read(CUT, repr(e)))
            self.journal.count('cuts')
            self.drop()
            return
        self.journal.count('reads')
        if not rows:
            self.journal.count('stale')
            self.must(not self.causal, 'causal read of %s found nothing', ident)
        else:
            self.must(rows[0][0] == '1', 'id %s counts %s', ident, rows[0][0])

    def failed_read(self, errno, text):
        op = Operation(self.number, 'read_own', self.operation.ident)
        op.statement = 'SELECT'
        op.end(errno, text)
        return op

    def receipt(self, op):
        """An automatic key: a second execution makes a second row."""
        self.decide("INSERT INTO receipts (id) VALUES ('%s')" % op.ident)

    def count(self, op):
        self.decide('UPDATE counters SET n = n + 1 WHERE worker = %d' % self.number)

    def batch(self, op):
        """Several ids in one transaction: all of them or none, and seen inside it."""
        size = self.rng.randint(1, 4)
        op.data['ids'] = ids = ['%s.%d' % (op.ident, i) for i in range(size)]
        self.begin()
        for ident in ids:
            self.ask(APPEND % (ident, op.ident))
        seen = self.ask("SELECT COUNT(*), SUM(n) FROM appends WHERE trx = '%s'" % op.ident).rows
        self.must(seen == [[str(size)] * 2], '%d ids written, %s seen inside', size, seen)
        self.commit(op)

    def transfer(self, op):
        source, target = sorted(self.rng.sample(range(1, ACCOUNTS + 1), 2))
        amount = self.rng.randint(-50, 50)
        op.data.update(source=source, target=target, amount=amount)
        locking = self.rng.random() < 0.5
        self.begin()
        if locking:
            before = self.ask('SELECT id, balance FROM accounts WHERE id IN (%d, %d) ORDER BY id '
                              'FOR UPDATE' % (source, target)).rows
        self.ask('UPDATE accounts SET balance = balance - %d WHERE id = %d' % (amount, source))
        self.ask('UPDATE accounts SET balance = balance + %d WHERE id = %d' % (amount, target))
        if locking:
            after = self.ask('SELECT id, balance FROM accounts WHERE id IN (%d, %d) ORDER BY id'
                             % (source, target)).rows
            wanted = [[before[0][0], str(int(before[0][1]) - amount)],
                      [before[1][0], str(int(before[1][1]) + amount)]]
            self.must(after == wanted, 'read %s inside, expected %s', after, wanted)
        self.ask(TRANSFER % (op.ident, source, target, amount))
        self.commit(op)

    def total(self, op):
        """Whoever answers: money is neither made nor lost in any snapshot."""
        both = self.rng.random() < 0.3
        if both:
            self.ask('START TRANSACTION READ ONLY')
        text = 'SELECT COUNT(*), SUM(balance) FROM accounts'
        for _ in range(2 if both else 1):
            rows = self.ask(text).rows
            self.must(rows == [[str(ACCOUNTS), str(ACCOUNTS * BALANCE)]], 'total is %s', rows)
        if both:
            self.ask('COMMIT')

    def state(self, op):
        """What the session set must be there on whatever server it has come to."""
        rows = self.ask('SELECT @me, @@lock_wait_timeout, DATABASE()').rows
        self.must(rows == [[str(self.number), '30', 'test']], 'session state is %s', rows)


def is_write(operation):
    return operation.kind in ('append', 'receipt', 'count', 'batch', 'transfer')


class Crew:
    """All workers of a run."""

    def __init__(self, size, seed, journal, port, causal=False):
        self.journal = journal
        self.workers = [Worker(i, seed, journal, port, causal) for i in range(size)]

    def start(self):
        for w in self.workers:
            w.start()

    def acknowledged(self):
        return sum(o.outcome == ACKNOWLEDGED for o in self.journal.operations)

    def stop(self, deadline_s=120):
        """Lets the operations in progress end; one that does not is a violation."""
        for w in self.workers:
            w.end.set()
        end = time.monotonic() + deadline_s
        for w in self.workers:
            w.join(max(0.1, end - time.monotonic()))
            if w.is_alive():
                self.journal.violation('hangs: %s' % w.operation)
