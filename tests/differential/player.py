# SPDX-License-Identifier: Apache-2.0
"""Plays a step of a stream on one connection and gives back the reply, packet by packet.

A step is data: ('query', text), ('execute', name, values, ...).  A reply is a list of packets as
(sequence number, payload), read to the end of the reply and not interpreted further.

What may differ between the two connections, and is made equal here (normalize()):
  * the name of the database: each side has its own, of the same length;
  * the statement id in the answer to COM_STMT_PREPARE and in the texts of errors 1243 and 1421;
  * the text of COM_STATISTICS (uptime and counts of the server);
  * warnings left behind by errors that the proxy answers itself (1243 and 1421: statement ids are
    its own; 1047 for an unknown command): its server knows nothing of them.  A statement that
    clears warnings follows on both sides;
  * user variables that were never set: a statement that only mentions one changes the metadata of
    later reads on its server; so they are set when a session begins;
  * the row number in errors of CALL: the server's counter still holds what the statement before left.
"""
import re
import struct

import wire
from wire import (COM_CHANGE_USER, COM_INIT_DB, COM_PING, COM_QUERY, COM_RESET_CONNECTION,
                  COM_SET_OPTION, COM_STATISTICS, COM_STMT_CLOSE, COM_STMT_EXECUTE, COM_STMT_FETCH,
                  COM_STMT_PREPARE, COM_STMT_RESET, COM_STMT_SEND_LONG_DATA, CURSOR_EXISTS,
                  MORE_RESULTS, lenstr, native_token, read_lenenc)

COM_FIELD_LIST = 4
NOT_THERE = 0x7ffffff0                           # an id that no server gives
DATABASE = 'fz_0'                                # what both names become
UNKNOWN_STATEMENT = (b'\xff\xdb\x04', b'\xff\x8d\x05')      # ERR 1243, no cursor: ERR 1421
OURS = UNKNOWN_STATEMENT + (b'\xff\x17\x04', b'\xff\x46\x04')    # ERR 1047; KILL: ERR 1094
CONVERSION = (b'\xff\xf0\x04', b'\xffV\x05')                       # ERR 1264, 1366
KEY_FLAGS = 0x400e                               # PRI_KEY, UNIQUE_KEY, MULTIPLE_KEY, PART_KEY
INDEX_FLAGS = 0x30                               # SERVER_QUERY_NO_GOOD_INDEX_USED, .._NO_INDEX_USED
CREATED = re.compile(rb'20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d\d')
OK, EOF, ERR, LOCAL_INFILE = 0x00, 0xfe, 0xff, 0xfb
# types of parameters that are not strings: type code, struct format
FIXED = {'tiny': (1, '<b'), 'short': (2, '<h'), 'int': (3, '<i'), 'big': (8, '<q'),
         'ubig': (0x8008, '<Q'), 'double': (5, '<d'), 'float': (4, '<f')}
STRINGS = {'string': 253, 'blob': 252, 'decimal': 246, 'varchar': 15}


class Recorder(wire.Wire):
    """A raw client that notes every packet it gets."""

    def __init__(self, *args, **kw):
        self.packets = []
        super().__init__(*args, **kw)

    def recv(self):
        payload = super().recv()
        self.packets.append((self.seq, payload))
        return payload


def parameter(kind, value):
    """(type, bytes) of one value; bytes None for NULL."""
    if value is None:
        return (6, None)
    if kind in FIXED:
        code, form = FIXED[kind]
        return (code, struct.pack(form, value))
    if kind == 'datetime':
        year, month, day, hour, minute, second, micro = value
        return (12, struct.pack('<BHBBBBBI', 11, year, month, day, hour, minute, second, micro))
    if kind == 'date':
        return (10, struct.pack('<BHBB', 4, *value))
    if kind == 'time':
        return (11, struct.pack('<BBIBBBI', 12, *value))
    return (STRINGS[kind], lenstr(value))


class Side:
    """One of the two connections."""

    def __init__(self, host, port, user, database, caps):
        self.database = database
        self.user, self.password = user, user
        self.conn = Recorder(host, port, user, user, database, caps)
        self.ids = {}                            # name -> statement id of this side
        self.initialize()

    def close(self):
        self.conn.close()

    def initialize(self):
        self.ids.clear()
        self.conn.query('SET @a = 1, @b = 2, @c = 3')

    # ------------------------------------------------------------------ one step
    def play(self, step):
        self.conn.packets = []
        getattr(self, 'do_' + step[0])(*step[1:])
        reply = [self.normalize(step, i, p) for i, p in enumerate(self.conn.packets)]
        if step[0] in ('reset_connection', 'change_user') and reply[-1][1][0] == OK:
            self.initialize()
        if any(p[:3] in OURS for _, p in reply):
            self.do_query('SELECT 1 FROM information_schema.engines LIMIT 0')
        return reply

    @staticmethod
    def without_opinions(index, payload):
        """The optimizer's use of indexes depends on when the server counted rows in the background.
        The first packet of a reply may be an OK; later ones that begin like one may be rows."""
        is_end = payload[0] == EOF and (len(payload) == 5 or payload[1:3] == b'\0\0')
        if not is_end and not (payload[0] == OK and index == 0 and len(payload) >= 7):
            return payload
        at = 3
        if len(payload) >= 7:                    # an OK, maybe with the header of an EOF
            _, at = read_lenenc(payload, 1)
            _, at = read_lenenc(payload, at)
        return payload[:at] + bytes([payload[at] & ~INDEX_FLAGS]) + payload[at + 1:]

    @staticmethod
    def without_keys(payload):
        """A column of a join shows its keys if it comes from the table, not if from a temporary one:
        which, the optimizer decides by statistics."""
        at = 0
        for _ in range(6):                       # catalog, database, two tables, two names
            size, at = read_lenenc(payload, at)
            at += size
        at += 1 + 2 + 4 + 1                      # length of what follows, charset, width, type
        flags = int.from_bytes(payload[at:at + 2], 'little') & ~KEY_FLAGS
        return payload[:at] + flags.to_bytes(2, 'little') + payload[at + 2:]

    def normalize(self, step, index, packet):
        seq, payload = packet
        if 'JOIN' in repr(step[1:]) and payload.startswith(b'\x03def' + lenstr(self.database.encode())):
            payload = self.without_keys(payload)
        if step[0] != 'prepare':                 # what a FETCH begins with is a row
            payload = self.without_opinions(index + (step[0] == 'fetch'), payload)
        if 'SHOW TRIGGERS' in repr(step[1:]):
            payload = CREATED.sub(b'TIME', payload)
        payload = payload.replace(self.database.encode(), DATABASE.encode())
        if step[0] == 'prepare' and index == 0 and payload[0] == OK:
            payload = payload[:1] + b'****' + payload[5:]
        elif payload[:3] in UNKNOWN_STATEMENT:
            payload = re.sub(rb'\(\d+\)', b'(N)', payload)
        elif payload[:3] in CONVERSION:
            payload = re.sub(rb' at row \d+$', b' at row N', payload)
        elif step[0] == 'statistics':
            payload = payload[:6]
        return seq, payload

    def named(self, text):
        return text.replace('{db}', self.database).encode()

    # ------------------------------------------------------------------ replies
    def end_of(self, payload):
        """Status flags if this ends columns or rows, else None."""
        if payload[0] != EOF or len(payload) >= wire.MAX_PACKET:
            return None
        if self.conn.caps & wire.DEPRECATE_EOF:
            return self.status_of_ok(payload)
        return struct.unpack_from('<H', payload, 3)[0] if len(payload) < 9 else None

    @staticmethod
    def status_of_ok(payload):
        _, at = read_lenenc(payload, 1)
        _, at = read_lenenc(payload, at)
        return struct.unpack_from('<H', payload, at)[0]

    def rows(self):
        while True:
            p = self.conn.recv()
            if p[0] == ERR:
                return 0
            status = self.end_of(p)
            if status is not None:
                return status

    def results(self, infile=()):
        """All results of a query or an execution."""
        status = MORE_RESULTS
        while status & MORE_RESULTS:
            p = self.conn.recv()
            if p[0] == ERR:
                return
            if p[0] == OK:
                status = self.status_of_ok(p)
            elif p[0] == LOCAL_INFILE:
                for piece in infile:
                    self.conn.send(piece)
                self.conn.send(b'')
            else:
                status = self.result_set(read_lenenc(p, 0)[0])

    def result_set(self, columns):
        for _ in range(columns):
            self.conn.recv()
        if not self.conn.caps & wire.DEPRECATE_EOF:
            status = self.end_of(self.conn.recv())
            if status & CURSOR_EXISTS:
                return status
        return self.rows()

    # ------------------------------------------------------------------ steps
    def do_query(self, text, infile=()):
        self.conn.command(COM_QUERY, self.named(text))
        self.results(infile)

    def do_burst(self, texts):
        """Several commands at once, as connectors do that pipeline."""
        packets = [self.named(t) for t in texts]
        self.conn.sock.sendall(b''.join(struct.pack('<IB', len(p) + 1, COM_QUERY) + p
                                        for p in packets))
        for _ in packets:
            self.results()

    def do_prepare(self, name, text):
        self.conn.command(COM_STMT_PREPARE, self.named(text))
        p = self.conn.recv()
        if p[0] == ERR:
            return
        self.ids[name], columns, params = struct.unpack_from('<IHH', p, 1)
        for count in (params, columns):
            for _ in range(count):
                self.conn.recv()
            if count and not self.conn.caps & wire.DEPRECATE_EOF:
                self.conn.recv()

    def id_of(self, name):
        return self.ids.get(name, NOT_THERE)

    def do_execute(self, name, values=(), cursor=0, types=True, long_data=()):
        nulls = bytearray((len(values) + 7) // 8)
        head, data = b'', b''
        for i, (kind, value) in enumerate(values):
            code, raw = parameter(kind, value)
            if i in long_data:
                code, raw = STRINGS['blob'], b''
            if raw is None:
                nulls[i // 8] |= 1 << i % 8
            else:
                data += raw
            head += struct.pack('<H', code)
        tail = bytes(nulls) + (b'\1' + head if types else b'\0') + data if values else b''
        self.conn.command(COM_STMT_EXECUTE,
                          struct.pack('<IBI', self.id_of(name), cursor, 1) + tail)
        self.results()

    def do_long_data(self, name, index, data):
        self.conn.command(COM_STMT_SEND_LONG_DATA,
                          struct.pack('<IH', self.id_of(name), index) + data)

    def do_fetch(self, name, count):
        self.conn.command(COM_STMT_FETCH, struct.pack('<II', self.id_of(name), count))
        self.rows()

    def do_reset(self, name):
        self.one(COM_STMT_RESET, struct.pack('<I', self.id_of(name)))

    def do_close(self, name):
        self.conn.command(COM_STMT_CLOSE, struct.pack('<I', self.id_of(name)))
        self.ids.pop(name, None)

    def one(self, code, payload=b''):
        self.conn.command(code, payload)
        self.conn.recv()

    def do_ping(self):
        self.one(COM_PING)

    def do_init_db(self, name):
        self.one(COM_INIT_DB, self.named(name))

    def do_set_option(self, value):
        self.one(COM_SET_OPTION, struct.pack('<H', value))

    def do_statistics(self):
        self.one(COM_STATISTICS)

    def do_command(self, code, payload=b''):
        self.one(code, payload)

    def do_reset_connection(self):
        self.one(COM_RESET_CONNECTION)

    def do_change_user(self, database):
        self.conn.command(COM_CHANGE_USER, self.user.encode() + b'\0' +
                          lenstr(native_token(self.password, self.conn.scramble)) +
                          self.named(database) + b'\0' + struct.pack('<H', 45) +
                          b'mysql_native_password\0')
        p = self.conn.recv()
        if p[0] == EOF:                          # AuthSwitchRequest: a new scramble, not compared
            del self.conn.packets[-1]
            self.conn.scramble = p[1:].partition(b'\0')[2].rstrip(b'\0')
            self.conn.send(native_token(self.password, self.conn.scramble))
            p = self.conn.recv()
        self.conn.packets = [(0, p)]

    def do_field_list(self, table):
        self.conn.command(COM_FIELD_LIST, self.named(table) + b'\0')
        self.rows()
