# SPDX-License-Identifier: Apache-2.0
"""A primary of the tests' own making: answers what a replica asks, streams what the test says.

FakeLog is an endless binlog in memory; a test may send its events as they are or spoilt.
"""
import re
import struct
import threading

import binlog_client as bc
from fake import OK, SCRAMBLE, FakeServer, packet
from wire import lenstr

NAME = 'fake-bin.000001'
# no DEPRECATE_EOF: results end as a replica expects them
GREETING = (b'\n5.5.5-10.11.6-MariaDB-log\0' + struct.pack('<I', 7) + SCRAMBLE[:8] + b'\0' +
            struct.pack('<HBHH', 0xf7fe, 45, 2, 0x000f) + bytes([21]) + b'\0' * 6 +
            struct.pack('<I', 0) + SCRAMBLE[8:] + b'\0mysql_native_password\0')
EOF = b'\xfe\0\0\2\0'


def error(code, text, state='HY000'):
    return b'\xff' + struct.pack('<H', code) + b'#' + state.encode() + text.encode()


def result(*row):
    """One row of text columns, as packets from sequence number 1."""
    column = (lenstr(b'def') + b'\0\0\0' + lenstr(b'x') + b'\0' +
              bytes([12]) + struct.pack('<HIBHB', 45, 1024, 253, 0, 0) + b'\0\0')
    parts = [bytes([len(row)])] + [column] * len(row) + [EOF]
    parts += [b''.join(lenstr(str(v).encode()) for v in row), EOF]
    return b''.join(packet(p, i + 1) for i, p in enumerate(parts))


class FakeLog:
    """Groups with right positions and checksums; `spoil` is left to whoever sends them."""

    def __init__(self, server_id=1, crc=True):
        self.server_id, self.crc = server_id, crc
        self.fde = bc.format_description(server_id, crc=crc)
        self.list = self._placed(bc.gtid_list_event((), server_id, crc=crc), 4 + len(self.fde))
        self.end = 4 + len(self.fde) + len(self.list)
        self.groups = []                         # (gtid, events)

    @staticmethod
    def _placed(raw, at, crc=True):
        e = bc.Event(raw, crc)
        return bc.event(e.type, e.body, e.server_id, at + len(raw), e.flags, e.time, e.has_crc)

    def add(self, gtid, sql=b'INSERT INTO d.t (tag) VALUES (1)', flags=0):
        """A group; its GTID keeps the number given, whatever that is."""
        server, crc = int(gtid.split('-')[1]), self.crc
        events = [bc.gtid_event(gtid, flags, crc=crc)]
        if flags & bc.FL_STANDALONE:
            events.append(bc.query_event(sql, server, crc=crc))
        else:
            events += [bc.query_event(sql, server, crc=crc), bc.xid_event(7, server, crc=crc)]
        out = []
        for raw in events:
            out.append(self._placed(raw, self.end, crc))
            self.end += len(raw)
        self.groups.append((gtid, out))
        return self

    def add_many(self, first, last, server=1, domain=0, size=20):
        for n in range(first, last + 1):
            self.add('%d-%d-%d' % (domain, server, n), b'q' * size)
        return self

    def after(self, position):
        have = {g.split('-')[0]: int(g.split('-')[2]) for g in position.split(',') if g}
        return [(g, e) for g, e in self.groups
                if int(g.split('-')[2]) > have.get(g.split('-')[0], -1)]

    def contents(self):
        return {g: [bc.Event(e, self.crc).content() for e in events] for g, events in self.groups}

    def pos(self):
        last = {}
        for g, _ in self.groups:
            last[g.split('-')[0]] = g
        return ','.join(last.values())


class Dump:
    """One dump connection at the fake primary, in the test's hands."""

    def __init__(self, conn, number, position, log):
        self.conn, self.number, self.position, self.log = conn, number, position, log
        self.seq = 0

    def packet(self, payload):
        self.seq += 1
        self.conn.sendall(packet(payload, self.seq))

    def send(self, *events):
        for raw in events:
            self.packet(b'\0' + raw)

    def preamble(self, name=NAME):
        self.send(bc.rotate(name, 4, self.log.server_id, crc=self.log.crc), self.log.fde,
                  self.log.list)

    def rest(self):
        """All that the replica lacks."""
        for _, events in self.log.after(self.position):
            self.send(*events)

    def all(self):
        self.preamble()
        self.rest()

    def idle(self, period_s=0.3):
        """Heartbeats until the other side goes away."""
        while not self.gone(period_s):
            self.send(bc.heartbeat(NAME, self.log.end, self.log.server_id, self.log.crc))

    def silent(self):
        while not self.gone(60):
            pass

    def gone(self, timeout_s):
        """Did the other side close within this time?  What it sends is thrown away."""
        self.conn.settimeout(timeout_s)
        try:
            return not self.conn.recv(4096)
        except TimeoutError:
            return False
        finally:
            self.conn.settimeout(None)


class FakePrimary(FakeServer):
    """stream(dump) is called for each COM_BINLOG_DUMP, in the connection's thread.

    answer(number, question): packets instead of the usual reply to this COM_QUERY, or None; number
    counts the questions of the connection from 0.  b'' closes.
    """

    def __init__(self, port, log, stream=None, answer=None, greeting=packet(GREETING, 0),
                 auth=packet(OK, 2)):
        self.log = log
        self.stream = stream or (lambda d: (d.all(), d.idle()))
        self.answer = answer or (lambda number, question: None)
        self.dumps, self.questions, self.failures = 0, [], []
        self.lock = threading.Lock()
        super().__init__('127.0.0.1', port, greeting, auth)
        self.port = port

    def _serve(self, conn):
        try:
            with conn:
                conn.sendall(self.greeting)
                self._packet(conn)
                conn.sendall(self.auth)
                self._talk(conn)
        except OSError:
            pass

    def _talk(self, conn):
        said, number = {}, 0
        while True:
            command = self._packet(conn)
            if command[:1] == b'\1':
                return
            if command[0] == bc.COM_BINLOG_DUMP:
                return self._dump(conn, said.get('position', ''))
            reply = None
            if command[:1] == b'\3':
                text = command[1:].decode('utf-8', 'replace')
                self.questions.append(text)
                reply = self.answer(number, text)
                number += 1
                if reply == b'':
                    return
                reply = reply or self._usual(text, said)
            conn.sendall(reply or packet(OK, 1))

    def _dump(self, conn, position):
        with self.lock:
            self.dumps += 1
            number = self.dumps
        try:
            self.stream(Dump(conn, number, position, self.log))
        except OSError:
            pass
        except Exception as e:                   # a bug of the test, not of the relay
            self.failures.append(e)
            raise

    def _usual(self, text, said):
        low = ' '.join(text.lower().split())
        found = re.search(r"@slave_connect_state\s*=\s*'([^']*)'", text, re.I)
        if found:
            said['position'] = found.group(1)
        if low.startswith('set'):
            return packet(OK, 1)
        found = re.match(r"show (?:global )?variables like '(.*)'", low)
        if found:
            value = {'server_id': self.log.server_id, 'rpl_semi_sync_master_enabled': 'OFF',
                     'binlog_checksum': 'CRC32' if self.log.crc else 'NONE'}
            return result(found.group(1), value.get(found.group(1), '1'))
        value = {'unix_timestamp': 1700000000, 'checksum': 'CRC32' if self.log.crc else 'NONE',
                 'server_id': self.log.server_id, 'domain_id': 0, 'version':
                 '10.11.6-MariaDB-log', 'gtid': self.log.pos()}
        return result(next((v for k, v in value.items() if k in low), 1))
