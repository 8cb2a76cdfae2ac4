# SPDX-License-Identifier: Apache-2.0
"""A replica of the tests' own: login, the queries of a replica, dump, and a parser of binlog events.

The parser reads streams and files alike, and a builder makes events, for servers that lie.  Layouts:
"Replication protocol" and "Binlog event header" in the MariaDB documentation.
"""
import collections
import struct
import zlib

from wire import MAX_PACKET, Lost, Wire

MAGIC = b'\xfebin'
HEADER = struct.Struct('<IBIIIH')
HEADER_SIZE, CRC_SIZE = 19, 4

QUERY, STOP, ROTATE, INTVAR, FDE, XID, USER_VAR, TABLE_MAP = 2, 3, 4, 5, 15, 16, 14, 19
RAND, WRITE_ROWS, UPDATE_ROWS, DELETE_ROWS, HEARTBEAT, XA_PREPARE = 13, 23, 24, 25, 27, 38
ANNOTATE, CHECKPOINT, GTID, GTID_LIST, START_ENCRYPTION = 160, 161, 162, 163, 164
QUERY_COMPRESSED, WRITE_COMPRESSED, UPDATE_COMPRESSED, DELETE_COMPRESSED = 165, 166, 167, 168

IN_USE, ARTIFICIAL = 0x01, 0x20
FL_STANDALONE, FL_DDL = 1, 32
PART_OF_STANDALONE = {INTVAR, RAND, USER_VAR, TABLE_MAP, ANNOTATE}
# Events that speak of one server's files and not of its data.
FILE_LEVEL = {STOP, ROTATE, FDE, HEARTBEAT, CHECKPOINT, GTID_LIST, START_ENCRYPTION}

COM_BINLOG_DUMP, COM_REGISTER_SLAVE = 0x12, 0x15
NON_BLOCK, SEND_ANNOTATE = 1, 2


class Broken(AssertionError):
    """What was received or read is not a binlog."""


class Event:
    """One event; `raw` is all of it, `has_crc` says whether the last four bytes are its checksum."""
    __slots__ = ('time', 'type', 'server_id', 'length', 'log_pos', 'flags', 'raw', 'has_crc',
                 'wants_ack')

    def __init__(self, raw, has_crc):
        if len(raw) < HEADER_SIZE:
            raise Broken('an event of %d bytes' % len(raw))
        (self.time, self.type, self.server_id, self.length, self.log_pos,
         self.flags) = HEADER.unpack_from(raw)
        if self.length != len(raw):
            raise Broken('event type %d says length %d and has %d'
                         % (self.type, self.length, len(raw)))
        self.raw, self.wants_ack = raw, False
        self.has_crc = has_crc or self.type == FDE

    @property
    def body(self):
        return self.raw[HEADER_SIZE:len(self.raw) - CRC_SIZE if self.has_crc else None]

    def check(self):
        """The checksum must be right; that of a FORMAT_DESCRIPTION is made without IN_USE."""
        if not self.has_crc:
            return
        raw = self.raw
        if self.type == FDE and self.flags & IN_USE:
            raw = raw[:17] + struct.pack('<H', self.flags & ~IN_USE) + raw[19:]
        want, = struct.unpack_from('<I', raw, len(raw) - CRC_SIZE)
        if zlib.crc32(raw[:-CRC_SIZE]) != want:
            raise Broken('checksum of event type %d at %d' % (self.type, self.log_pos))

    def is_artificial(self):
        return bool(self.flags & ARTIFICIAL) or self.type == HEARTBEAT

    def fde_algorithm(self):
        """0: the file has no checksums, 1: CRC32."""
        return self.raw[-CRC_SIZE - 1]

    def rotate(self):
        return self.body[8:].decode(), struct.unpack_from('<Q', self.raw, HEADER_SIZE)[0]

    def gtid(self):
        seq, domain, flags = struct.unpack_from('<QIB', self.raw, HEADER_SIZE)
        return '%d-%d-%d' % (domain, self.server_id, seq), flags

    def gtid_list(self):
        n = struct.unpack_from('<I', self.raw, HEADER_SIZE)[0] & 0x0fffffff
        return ['%d-%d-%d' % struct.unpack_from('<IIQ', self.raw, HEADER_SIZE + 4 + 16 * i)
                for i in range(n)]

    def query(self):
        """The SQL text of a QUERY event."""
        body = self.body
        db_len, _, status_len = struct.unpack_from('<BHH', body, 8)
        return body[13 + status_len + db_len + 1:]

    def ends_group(self, standalone):
        if self.type in (XID, XA_PREPARE):
            return True
        if standalone:
            return self.type not in PART_OF_STANDALONE
        return self.type == QUERY and self.query() in (b'COMMIT', b'ROLLBACK')

    def content(self):
        """What must be the same wherever the event is stored: all but log_pos and checksum."""
        end = len(self.raw) - CRC_SIZE if self.has_crc else len(self.raw)
        return self.raw[:9] + self.raw[17:end]


# ---------------------------------------------------------------------------- making events
def event(kind, body, server_id=1, log_pos=0, flags=0, time=1700000000, crc=True):
    raw = HEADER.pack(time, kind, server_id, HEADER_SIZE + len(body) + (CRC_SIZE if crc else 0),
                      log_pos, flags) + body
    return raw + struct.pack('<I', zlib.crc32(raw)) if crc else raw


def format_description(server_id=1, version=b'10.11.6-MariaDB-log', crc=True, created=0):
    lengths = bytearray(171)
    for kind, n in {QUERY: 13, ROTATE: 8, TABLE_MAP: 8, 23: 8, 24: 8, 25: 8, 26: 2, 161: 4,
                    162: 19, 163: 4, 165: 13, 166: 8, 167: 8, 168: 8, 169: 10, 170: 10,
                    171: 10, 1: 56, 6: 0, 8: 18, 9: 0, 10: 8, 17: 4, 18: 26, 15: 84,
                    30: 10, 31: 10, 32: 10}.items():
        lengths[kind - 1] = n
    body = (struct.pack('<H', 4) + version.ljust(50, b'\0') + struct.pack('<IB', created, 19) +
            bytes(lengths) + bytes([1 if crc else 0]))
    return event(FDE, body, server_id, 4 + HEADER_SIZE + len(body) + CRC_SIZE)


def rotate(name, pos=4, server_id=1, artificial=True, crc=True):
    return event(ROTATE, struct.pack('<Q', pos) + name.encode(), server_id, 0,
                 ARTIFICIAL if artificial else 0, 0 if artificial else 1700000000, crc)


def gtid_event(gtid, flags=0x0c, log_pos=0, crc=True, time=1700000000):
    domain, server, seq = map(int, gtid.split('-'))
    return event(GTID, struct.pack('<QIB', seq, domain, flags) + b'\0' * 6, server, log_pos, 8,
                 time, crc)


def query_event(sql, server_id=1, db=b'', log_pos=0, crc=True):
    body = struct.pack('<IIBHH', 7, 0, len(db), 0, 0) + db + b'\0' + sql
    return event(QUERY, body, server_id, log_pos, 0, crc=crc)


def xid_event(number, server_id=1, log_pos=0, crc=True):
    return event(XID, struct.pack('<Q', number), server_id, log_pos, crc=crc)


def gtid_list_event(gtids=(), server_id=1, log_pos=0, crc=True, flags=0):
    body = struct.pack('<I', len(gtids))
    for g in gtids:
        body += struct.pack('<IIQ', *map(int, g.split('-')))
    return event(GTID_LIST, body + (b'' if gtids else b'\0\0'), server_id, log_pos, flags, crc=crc)


def heartbeat(name, pos, server_id=1, crc=True):
    return event(HEARTBEAT, name.encode(), server_id, pos, 0, 0, crc)


# ---------------------------------------------------------------------------- reading files
def read_file(path, check=True, torn=False):
    """The events of a binlog file, in order.  torn: an incomplete last event just ends it."""
    with open(path, 'rb') as f:
        data = f.read()
    if data[:4] != MAGIC:
        raise Broken('%s begins with %r' % (path, data[:4]))
    at, crc = 4, True
    while at < len(data):
        length = struct.unpack_from('<I', data, at + 9)[0] if at + HEADER_SIZE <= len(data) else 0
        if length < HEADER_SIZE or at + length > len(data):
            if torn:
                return
            raise Broken('%s: cut event at %d of %d' % (path, at, len(data)))
        e = Event(data[at:at + length], crc)
        if e.type == FDE:
            crc = bool(e.fde_algorithm())
        if check:
            e.check()
            if e.log_pos != (at + length) & 0xffffffff:
                raise Broken('%s: log_pos %d of the event that ends at %d'
                             % (path, e.log_pos, at + length))
        yield e
        at += length


class Groups:
    """Collects groups from events: gtid -> contents of its events.  Complains as a checker does."""

    def __init__(self, strict=True):
        self.groups = collections.OrderedDict()
        self.last = {}                  # domain -> sequence number
        self.strict = strict
        self.open = None
        self.standalone = False

    def feed(self, e):
        if e.type in FILE_LEVEL or e.is_artificial():
            if self.open and e.type not in (HEARTBEAT, GTID_LIST, ROTATE, FDE, CHECKPOINT):
                raise Broken('event type %d inside group %s' % (e.type, self.open))
            return None
        if e.type == GTID:
            return self._begin(e)
        if not self.open:
            raise Broken('event type %d outside of a group, after %s'
                         % (e.type, next(reversed(self.groups), 'nothing')))
        self.groups[self.open].append(e.content())
        if not e.ends_group(self.standalone):
            return None
        done, self.open = self.open, None
        return done

    def _begin(self, e):
        gtid, flags = e.gtid()
        if self.open:
            raise Broken('group %s begins inside group %s' % (gtid, self.open))
        if gtid in self.groups:
            raise Broken('group %s comes twice' % gtid)
        domain, _, seq = map(int, gtid.split('-'))
        if self.strict and domain in self.last and seq != self.last[domain] + 1:
            raise Broken('after %d in domain %d comes %s' % (self.last[domain], domain, gtid))
        self.last[domain] = seq
        self.open, self.standalone = gtid, bool(flags & FL_STANDALONE)
        self.groups[gtid] = [e.content()]

    def read_files(self, paths, torn=False):
        for path in paths:
            for e in read_file(path, torn=torn):
                self.feed(e)
            if torn and self.open:      # a killed server's file may end inside a group
                del self.groups[self.open]
                domain, _, seq = map(int, self.open.split('-'))
                self.last[domain] = seq - 1         # its number is given again
                self.open = None
        return self


# ---------------------------------------------------------------------------- the client
class BinlogClient(Wire):
    """Talks as a replica does.  `events` counts what came, `file` is where the stream says it is."""

    def __init__(self, host, port, user='repl_user', password='SecretP@ssw0rd', **kw):
        super().__init__(host, port, user, password, **kw)
        self.file, self.pos, self.crc, self.semi_sync = '', 0, False, False
        self.groups = Groups()
        self.heartbeats = 0
        self.number = 1                 # of the next packet

    def hello(self, server_id=99, position=None, heartbeat_s=5, checksum='CRC32', capability=4,
              strict=0, duplicates=0, semi_sync=False, register=True, until=None):
        """The queries of a replica up to the dump; position None: no GTID."""
        self.server_id = server_id
        said = {}
        said['time'] = self.value('SELECT UNIX_TIMESTAMP()')
        said['server_id'] = self.rows_of("SHOW VARIABLES LIKE 'SERVER_ID'")[0][1]
        self.query('SET @master_heartbeat_period= %d' % int(heartbeat_s * 1e9))
        if checksum:
            self.query("SET @master_binlog_checksum= '%s'" % checksum if checksum != 'CRC32' else
                       'SET @master_binlog_checksum= @@global.binlog_checksum')
            said['checksum'] = self.value('SELECT @master_binlog_checksum')
            self.crc = said['checksum'] == 'CRC32'
        self.query('SET @mariadb_slave_capability=%d' % capability)
        if position is not None:
            said['domain'] = self.value('SELECT @@GLOBAL.gtid_domain_id')
            self.query("SET @slave_connect_state='%s'" % position)
            self.query('SET @slave_gtid_strict_mode=%d' % strict)
            self.query('SET @slave_gtid_ignore_duplicates=%d' % duplicates)
            if until is not None:
                self.query("SET @slave_until_gtid='%s'" % until)
        if register:
            self.simple(COM_REGISTER_SLAVE, struct.pack('<I', server_id) + b'\0\0\0' +
                        struct.pack('<HII', 3306, 0, 0))
        if semi_sync:
            said['semi_sync'] = self.rows_of(
                "SHOW VARIABLES LIKE 'rpl_semi_sync_master_enabled'")[0][1]
            self.query('SET @rpl_semi_sync_slave= 1')
            self.semi_sync = True
        return said

    def dump(self, file='', pos=4, flags=SEND_ANNOTATE, server_id=None):
        self.command(COM_BINLOG_DUMP, struct.pack(
            '<IHI', pos, flags, self.server_id if server_id is None else server_id) +
            file.encode())
        self.number = 1
        return self

    def next(self, timeout_s=60):
        """The next event; None at an EOF packet.  WireError, Lost, or a socket's timeout."""
        self.sock.settimeout(timeout_s)
        p = self.recv()
        number = (self.seq - 1 - len(p) // MAX_PACKET) & 255
        if number != self.number:
            raise Broken('packet number %d instead of %d' % (number, self.number))
        self.number = self.seq
        if p[0] == 255:
            raise self.error(p)
        if p[0] == 254 and len(p) < 9:
            return None
        if p[0] != 0:
            raise Broken('a packet that begins with %d' % p[0])
        wants, at = False, 1
        if self.semi_sync:
            if p[1] != 0xef:
                raise Broken('no semi-sync header')
            wants, at = bool(p[2]), 3
            self.number = 1 if wants else self.number    # the acknowledgement has number 0
        e = Event(p[at:], self.crc)
        e.wants_ack = wants
        self._follow(e)
        return e

    def _follow(self, e):
        e.check()
        if e.type == FDE:
            self.crc = bool(e.fde_algorithm())
        elif e.type == ROTATE:
            self.file, self.pos = e.rotate()
        elif e.type == HEARTBEAT:
            self.heartbeats += 1
        if e.log_pos and e.type not in (ROTATE, HEARTBEAT):
            self.pos = e.log_pos

    def ack(self, e):
        self.seq = 0
        self.send(b'\xef' + struct.pack('<Q', e.log_pos) + self.file.encode())

    def until_group(self, gtid, deadline_s=60, ack=False):
        """Reads (and collects) up to the end of this group; the events read."""
        out = []
        while True:
            e = self.next(deadline_s)
            if e is None:
                raise Lost('end of the stream before %s' % gtid)
            out.append(e)
            if ack and e.wants_ack:
                self.ack(e)
            if self.groups.feed(e) == gtid:
                return out

    def until_end(self, deadline_s=60):
        """Everything up to the EOF packet (a dump with NON_BLOCK)."""
        out = []
        while True:
            e = self.next(deadline_s)
            if e is None:
                return out
            self.groups.feed(e)
            out.append(e)
