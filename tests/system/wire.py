# SPDX-License-Identifier: Apache-2.0
"""A small raw client of the MariaDB protocol: what libraries hide, the tests must be able to send.

Packet formats: "MariaDB client/server protocol" in the MariaDB documentation.  Native password
login only; results come back as Result objects, server errors as WireError.
"""
import hashlib
import socket
import ssl
import struct

# capability flags
LONG_PASSWORD, FOUND_ROWS, LONG_FLAG, CONNECT_WITH_DB = 1, 2, 4, 8
LOCAL_FILES, PROTOCOL_41, SSL = 0x80, 0x200, 0x800
TRANSACTIONS, SECURE, MULTI_STATEMENTS, MULTI_RESULTS = 0x2000, 0x8000, 1 << 16, 1 << 17
PS_MULTI_RESULTS, PLUGIN_AUTH, CONNECT_ATTRS = 1 << 18, 1 << 19, 1 << 20
DEPRECATE_EOF = 1 << 24
DEFAULT_CAPS = (LONG_PASSWORD | LONG_FLAG | LOCAL_FILES | PROTOCOL_41 | TRANSACTIONS | SECURE |
                MULTI_STATEMENTS | MULTI_RESULTS | PS_MULTI_RESULTS | PLUGIN_AUTH)

# commands
(COM_QUIT, COM_INIT_DB, COM_QUERY, COM_STATISTICS, COM_PING, COM_CHANGE_USER) = (1, 2, 3, 9, 14, 17)
(COM_STMT_PREPARE, COM_STMT_EXECUTE, COM_STMT_SEND_LONG_DATA, COM_STMT_CLOSE, COM_STMT_RESET,
 COM_SET_OPTION, COM_STMT_FETCH) = (22, 23, 24, 25, 26, 27, 28)
COM_RESET_CONNECTION = 31

# status flags
IN_TRANS, AUTOCOMMIT, MORE_RESULTS, CURSOR_EXISTS, LAST_ROW = 1, 2, 8, 64, 128
IN_TRANS_READONLY = 0x2000

TYPE_LONGLONG, TYPE_VAR_STRING, TYPE_LONG_BLOB, TYPE_NULL = 8, 253, 251, 6
MAX_PACKET = 0xFFFFFF


class WireError(Exception):
    def __init__(self, errno, state, message):
        super().__init__('(%d, %s) %s' % (errno, state, message))
        self.errno, self.state, self.message = errno, state, message


class Lost(Exception):
    """The other side closed the connection."""


class Result:
    def __init__(self):
        self.columns = []          # (name, type)
        self.rows = []
        self.affected = 0
        self.insert_id = 0
        self.status = 0
        self.warnings = 0


class Statement:
    def __init__(self, sid, params, columns):
        self.id, self.params, self.columns = sid, params, columns


def native_token(password, scramble):
    if not password:
        return b''
    one = hashlib.sha1(password.encode()).digest()
    two = hashlib.sha1(scramble + hashlib.sha1(one).digest()).digest()
    return bytes(a ^ b for a, b in zip(one, two))


def lenenc(n):
    if n < 251:
        return bytes([n])
    if n < 1 << 16:
        return b'\xfc' + struct.pack('<H', n)
    if n < 1 << 24:
        return b'\xfd' + struct.pack('<I', n)[:3]
    return b'\xfe' + struct.pack('<Q', n)


def lenstr(data):
    return lenenc(len(data)) + data


def read_lenenc(data, at):
    first = data[at]
    if first < 251:
        return first, at + 1
    if first == 251:
        return None, at + 1
    size = {252: 2, 253: 3, 254: 8}[first]
    return int.from_bytes(data[at + 1:at + 1 + size], 'little'), at + 1 + size


def read_lenstr(data, at):
    n, at = read_lenenc(data, at)
    return (None, at) if n is None else (data[at:at + n], at + n)


class Wire:
    def __init__(self, host, port, user='app', password='app', database=None, caps=DEFAULT_CAPS,
                 timeout=60, attrs=None, tls=False, login=True):
        self.sock = socket.create_connection((host, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = bytearray()
        self.seq = 0
        self.local_files = {}
        self.caps = caps | (CONNECT_WITH_DB if database else 0) | (CONNECT_ATTRS if attrs else 0)
        if login:
            self.greet()
            self.login(user, password, database, attrs, tls)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ------------------------------------------------------------------ packets
    def _need(self, n):
        while len(self.buf) < n:
            try:
                got = self.sock.recv(max(65536, n - len(self.buf)))
            except ConnectionError as e:
                raise Lost(str(e)) from e
            if not got:
                raise Lost('connection closed by the other side')
            self.buf += got

    def recv(self):
        """One packet (pieces of 16 MiB joined)."""
        out = b''
        while True:
            self._need(4)
            n = int.from_bytes(self.buf[:3], 'little')
            self.seq = (self.buf[3] + 1) & 255
            self._need(4 + n)
            piece = bytes(self.buf[4:4 + n])
            del self.buf[:4 + n]
            out = out + piece if out else piece
            if n < MAX_PACKET:
                return out

    def send(self, payload):
        out, at = [], 0
        while True:
            piece = payload[at:at + MAX_PACKET]
            out.append(struct.pack('<I', len(piece) | self.seq << 24) + piece)
            self.seq = (self.seq + 1) & 255
            at += len(piece)
            if len(piece) < MAX_PACKET:
                break
        try:
            self.sock.sendall(b''.join(out))
        except ConnectionError as e:
            raise Lost(str(e)) from e

    def command(self, code, payload=b''):
        self.seq = 0
        self.send(bytes([code]) + payload)

    def close(self):
        try:
            self.command(COM_QUIT)
        except (Lost, OSError):
            pass
        self.sock.close()

    # ------------------------------------------------------------------ login
    def greet(self):
        p = self.recv()
        if p[0] == 255:
            raise self.error(p)
        end = p.index(0, 1)
        self.version = p[1:end].decode()
        self.thread_id = struct.unpack_from('<I', p, end + 1)[0]
        scramble = p[end + 5:end + 13]
        low, self.charset, self.status, high = struct.unpack_from('<HBHH', p, end + 14)
        self.server_caps = low | high << 16
        self.scramble = scramble + p[end + 32:end + 44]
        return self

    def login(self, user, password, database=None, attrs=None, tls=False):
        caps = self.caps | (SSL if tls else 0)
        head = struct.pack('<IIB23x', caps, 1 << 30, 45)
        if tls:
            self.send(head)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock)
        body = user.encode() + b'\0' + lenstr(native_token(password, self.scramble))
        if database:
            body += database.encode() + b'\0'
        body += b'mysql_native_password\0'
        if attrs:
            body += lenstr(b''.join(lenstr(k.encode()) + lenstr(v.encode())
                                    for k, v in attrs.items()))
        self.send(head + body)
        self.finish_auth(password)

    def finish_auth(self, password):
        p = self.recv()
        if p[0] == 254:                         # AuthSwitchRequest
            plugin, _, data = p[1:].partition(b'\0')
            if plugin != b'mysql_native_password':
                raise WireError(0, 'HY000', 'asked for ' + plugin.decode())
            self.send(native_token(password, data.rstrip(b'\0')))
            p = self.recv()
        if p[0] == 255:
            raise self.error(p)
        return self.ok(p)

    def change_user(self, user, password, database=''):
        self.command(COM_CHANGE_USER, user.encode() + b'\0' +
                     lenstr(native_token(password, self.scramble))[:255] + database.encode() +
                     b'\0' + struct.pack('<H', 45) + b'mysql_native_password\0')
        return self.finish_auth(password)

    # ------------------------------------------------------------------ replies
    @staticmethod
    def error(p):
        errno = struct.unpack_from('<H', p, 1)[0]
        if p[3:4] == b'#':
            return WireError(errno, p[4:9].decode(), p[9:].decode('utf-8', 'replace'))
        return WireError(errno, '', p[3:].decode('utf-8', 'replace'))

    def ok(self, p):
        r = Result()
        r.affected, at = read_lenenc(p, 1)
        r.insert_id, at = read_lenenc(p, at)
        r.status, r.warnings = struct.unpack_from('<HH', p, at)
        self.status = r.status
        return r

    @staticmethod
    def _column(p):
        at = 0
        for _ in range(4):
            _, at = read_lenstr(p, at)
        name, at = read_lenstr(p, at)
        _, at = read_lenstr(p, at)
        return name.decode(), p[at + 1 + 2 + 4]

    def _is_end(self, p):
        return p[0] == 254 and len(p) < 9 if not self.caps & DEPRECATE_EOF else \
            p[0] == 254 and len(p) < MAX_PACKET

    def _end(self, p, r):
        if self.caps & DEPRECATE_EOF:
            r.status = self.ok(p).status
        else:
            r.warnings, r.status = struct.unpack_from('<HH', p, 1)
            self.status = r.status

    def result(self, binary=False):
        """One result: OK, a result set (rows read to the end), or WireError."""
        p = self.recv()
        if p[0] == 255:
            raise self.error(p)
        if p[0] == 0:
            return self.ok(p)
        if p[0] == 251:
            for piece in self.local_files.get(p[1:].decode(), ()):
                self.send(piece)
            self.send(b'')
            return self.result()
        r = Result()
        count, _ = read_lenenc(p, 0)
        r.columns = [self._column(self.recv()) for _ in range(count)]
        if not self.caps & DEPRECATE_EOF:
            self._end(self.recv(), r)
            if r.status & CURSOR_EXISTS:
                return r
        self.rows(r, binary)
        return r

    def rows(self, r, binary):
        while True:
            p = self.recv()
            if p[0] == 255:
                raise self.error(p)
            if self._is_end(p):
                self._end(p, r)
                return r
            r.rows.append(self._binary_row(p, r.columns) if binary else self._text_row(p, r))

    @staticmethod
    def _text_row(p, r):
        row, at = [], 0
        for _ in r.columns:
            value, at = read_lenstr(p, at)
            row.append(None if value is None else value.decode('utf-8', 'replace'))
        return row

    @staticmethod
    def _binary_row(p, columns):
        fixed = {1: '<b', 2: '<h', 13: '<h', 3: '<i', 9: '<i', 8: '<q', 4: '<f', 5: '<d'}
        nulls = p[1:1 + (len(columns) + 9) // 8]
        row, at = [], 1 + len(nulls)
        for i, (_, kind) in enumerate(columns):
            if nulls[(i + 2) // 8] >> (i + 2) % 8 & 1:
                row.append(None)
            elif kind in fixed:
                row.append(str(struct.unpack_from(fixed[kind], p, at)[0]))
                at += struct.calcsize(fixed[kind])
            elif kind in (7, 10, 11, 12):            # dates: a length byte, kept raw
                row.append(p[at + 1:at + 1 + p[at]])
                at += 1 + p[at]
            else:
                value, at = read_lenstr(p, at)
                row.append(value.decode('utf-8', 'replace'))
        return row

    def results(self, binary=False):
        out = [self.result(binary)]
        while out[-1].status & MORE_RESULTS:
            out.append(self.result(binary))
        return out

    # ------------------------------------------------------------------ commands
    def query(self, text):
        """All results of a statement; the first is what most callers want."""
        self.command(COM_QUERY, text.encode() if isinstance(text, str) else text)
        return self.results()

    def rows_of(self, text):
        return self.query(text)[0].rows

    def value(self, text):
        return self.rows_of(text)[0][0]

    def simple(self, code, payload=b''):
        self.command(code, payload)
        p = self.recv()
        if p[0] == 255:
            raise self.error(p)
        return p if p[0] == 254 else self.ok(p)

    def ping(self):
        return self.simple(COM_PING)

    def init_db(self, name):
        return self.simple(COM_INIT_DB, name.encode())

    def reset_connection(self):
        return self.simple(COM_RESET_CONNECTION)

    def set_option(self, multi):
        return self.simple(COM_SET_OPTION, struct.pack('<H', 0 if multi else 1))

    def statistics(self):
        self.command(COM_STATISTICS)
        return self.recv().decode()

    def prepare(self, text):
        self.command(COM_STMT_PREPARE, text.encode())
        p = self.recv()
        if p[0] == 255:
            raise self.error(p)
        sid, columns, params = struct.unpack_from('<IHH', p, 1)
        for count in (params, columns):
            for _ in range(count):
                self.recv()
            if count and not self.caps & DEPRECATE_EOF:
                self.recv()
        return Statement(sid, params, columns)

    @staticmethod
    def _params(values, long_data=()):
        if not values:
            return b''
        nulls = bytearray((len(values) + 7) // 8)
        types, data = b'', b''
        for i, v in enumerate(values):
            if v is None and i not in long_data:
                nulls[i // 8] |= 1 << i % 8
                types += bytes([TYPE_NULL, 0])
            elif isinstance(v, int):
                types += bytes([TYPE_LONGLONG, 0])
                data += struct.pack('<q', v)
            elif i in long_data:
                types += bytes([TYPE_LONG_BLOB, 0])
            else:
                types += bytes([TYPE_VAR_STRING, 0])
                data += lenstr(v if isinstance(v, bytes) else v.encode())
        return bytes(nulls) + b'\1' + types + data

    def send_execute(self, stmt, values=(), cursor=0, long_data=()):
        sid = stmt.id if isinstance(stmt, Statement) else stmt
        self.command(COM_STMT_EXECUTE, struct.pack('<IBI', sid, cursor, 1) +
                     self._params(values, long_data))

    def execute(self, stmt, values=(), cursor=0, long_data=()):
        self.send_execute(stmt, values, cursor, long_data)
        return self.results(binary=True)

    def fetch(self, stmt, columns, count):
        self.command(COM_STMT_FETCH, struct.pack('<II', stmt.id, count))
        r = Result()
        r.columns = columns
        return self.rows(r, True)

    def long_data(self, stmt, index, data):
        self.command(COM_STMT_SEND_LONG_DATA, struct.pack('<IH', stmt.id, index) + data)

    def stmt_reset(self, stmt):
        return self.simple(COM_STMT_RESET, struct.pack('<I', stmt.id))

    def stmt_close(self, stmt):
        self.command(COM_STMT_CLOSE, struct.pack('<I', stmt.id))
