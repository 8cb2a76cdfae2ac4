# SPDX-License-Identifier: Apache-2.0
"""Primaries and replicas that lie: the relay does not crash, says what is wrong, and its files
hold nothing but whole groups, each once."""
import os
import random
import re
import socket
import struct

import pytest

import binlog_client as bc
import wire
from fake import packet
from fake_primary import GREETING, NAME, FakeLog, FakePrimary, error
from lab import net, sql
from relay import (LONG, PASSWORD, USER, attach, binlog_pos, replica_reaches, same_data,
                   slave_status)
from sealane import IS_SANITIZED, PORTS, wait_until
from wire import Lost, WireError


# A relay that does not leave a primary for being slow: the one reason to leave is what it sent.
PATIENT = {'net_timeout': '120s'}


@pytest.fixture
def fakes(relay_lab, make_relay):
    """Factory: fakes(log, ...) -> the fake primary and a relay that replicates from it."""
    made = []

    def make(log, follow=True, settings=None, **kw):
        fake = FakePrimary(net.free_port('127.0.0.1', next(PORTS)), log, **kw)
        made.append(fake)
        relay = make_relay(relay_lab, **dict({'net_timeout': '2s'}, **(settings or {})))
        if follow:
            relay.change_master('127.0.0.1', fake.port)
        return fake, relay
    yield make
    for f in made:
        f.close()
        assert not f.failures, f.failures


def intact(relay, log, position=None):
    """The relay has the groups of the log, also after a restart, and serves them."""
    relay.reaches(position or log.pos())
    want = log.contents()
    for again in (False, True):
        if again:
            relay.kill()
            relay.start()
            wait_until(lambda: set(relay.position().split(',')) == set(log.pos().split(',')), 30,
                       'the position after a restart')
        assert relay.groups(strict=False) == want
    with relay.binlog_client() as c:
        c.groups.strict = False
        c.hello(position='')
        c.dump(flags=bc.NON_BLOCK | bc.SEND_ANNOTATE).until_end()
        assert c.groups.groups == want


def error_shows(relay, words, deadline_s=60):
    """Last_IO_Error says it, or said it before the relay came right again (the log keeps it)."""
    def shown():
        text = str(relay.status()['Last_IO_Error']) + relay.log_text()
        return all(w.lower() in text.lower() for w in words)
    wait_until(shown, deadline_s, 'an error that tells %s' % (words,))


# ---------------------------------------------------------------------------- primaries
def test_a_fake_primary_is_good_enough(fakes):
    """Nothing is spoilt: the tests below mean what they say."""
    fake, relay = fakes(FakeLog().add_many(1, 50))
    intact(relay, fake.log)
    assert relay.status()['Master_Server_Id'] == '1'


def flipped(raw, at):
    return raw[:at] + bytes([raw[at] ^ 0x40]) + raw[at + 1:]


def longer(raw, by):
    length, = struct.unpack_from('<I', raw, 9)
    return raw[:9] + struct.pack('<I', length + by & 0xffffffff) + raw[13:]


SPOILT = {
    'a flipped bit': (lambda e: [e[0], flipped(e[1], 30), e[2]], ['checksum']),
    'a flipped checksum': (lambda e: [e[0], e[1], flipped(e[2], len(e[2]) - 1)], ['checksum']),
    'a length too long': (lambda e: [e[0], longer(e[1], 1), e[2]], ['bytes', 'header']),
    'a length too short': (lambda e: [e[0], longer(e[1], -5), e[2]], ['bytes', 'header']),
    'a length of 4 GiB': (lambda e: [e[0], longer(e[1], -len(e[1]) - 1), e[2]], ['bytes', 'header']),
    'an event of 5 bytes': (lambda e: [e[0], e[1][:5], e[2]], ['the stream behind']),
    'an empty event': (lambda e: [e[0], b'', e[2]], ['the stream behind']),
    'no GTID': (lambda e: e[1:], ['no group']),
    'no end': (lambda e: e[:2], ['not complete']),
    'the end twice': (lambda e: e + e[2:], ['no group']),
    'the GTID twice': (lambda e: e[:1] + e, ['not complete']),
}


@pytest.mark.parametrize('what', SPOILT)
def test_spoilt_events(fakes, what):
    """The third group is spoilt on the first connection; the relay asks again and gets it right."""
    spoil, words = SPOILT[what]

    def stream(d):
        d.preamble()
        for gtid, events in d.log.after(d.position):
            d.send(*(spoil(events) if gtid == '0-1-3' and d.number == 1 else events))
        d.idle()
    fake, relay = fakes(FakeLog().add_many(1, 9), stream=stream, settings=PATIENT)
    intact(relay, fake.log)
    assert fake.dumps >= 2
    error_shows(relay, words)


def test_groups_that_come_twice_are_dropped(fakes):
    """As a Galera node does that crashed: GTIDs it had logged are logged again."""
    log = FakeLog().add_many(1, 20)

    def stream(d):
        d.preamble()
        for i, (_, events) in enumerate(log.after(d.position)):
            d.send(*events)
            for _, old in log.groups[max(0, i - 5):i + 1] if i % 7 == 3 else ():
                d.send(*old)
        d.idle()
    fake, relay = fakes(log, stream=stream, settings=PATIENT)
    intact(relay, log)
    assert fake.dumps <= 2                        # dropping them is no reason to reconnect


def test_a_domain_that_appears(fakes):
    """The wsrep domain turned into 0: kept, with an alarm that names it."""
    log = FakeLog().add_many(1, 5, domain=70)
    log.add_many(1, 2, domain=0)

    def stream(d):
        d.preamble()
        for gtid, events in d.log.after(d.position):
            if gtid == '0-1-1':                  # what comes before is history
                d.send(bc.heartbeat(NAME, d.log.end))
            d.send(*events)
        d.idle()
    fake, relay = fakes(log, stream=stream)
    intact(relay, log)
    text = relay.log_text()
    assert re.search(r'(warning|error).*domain 0 .*0-1-1', text), relay.tail()


def test_a_primary_that_falls_silent(fakes):
    def stream(d):
        d.preamble()
        groups = d.log.after(d.position)
        for _, events in groups[:3] if d.number == 1 else groups:
            d.send(*events)
        d.send(bc.heartbeat('fake-bin.000001', d.log.end))
        d.silent() if d.number == 1 else d.idle()
    fake, relay = fakes(FakeLog().add_many(1, 9), stream=stream)
    intact(relay, fake.log)


def test_errors_at_each_question(fakes):
    """Whatever question is refused: it shows or does not matter, and the next time all is well."""
    refused = [0]

    def answer(number, text):
        return packet(error(1105, 'not now: question %d' % number), 1) \
            if number == refused[0] else None
    fake, relay = fakes(FakeLog().add_many(1, 9), answer=answer, follow=False, settings=PATIENT)
    relay.change_master('127.0.0.1', fake.port, start=False)
    shown = 0
    for number in range(12):
        refused[0] = number
        dumps = fake.dumps
        relay.sql('START SLAVE')
        wait_until(lambda: fake.dumps > dumps or 'not now' in relay.status()['Last_IO_Error'], 60,
                   'question %d has been asked' % number)
        shown += 'question %d' % number in relay.status()['Last_IO_Error']
        relay.sql('STOP SLAVE')
    assert shown >= 4
    refused[0] = -1
    relay.sql('START SLAVE')
    intact(relay, fake.log)


def test_refused_with_1236(fakes):
    text = 'Could not find GTID state requested by slave in any binlog files. Probably the slave ' \
           'state is too old and required binlog files have been purged.'
    _, relay = fakes(FakeLog(), stream=lambda d: d.packet(error(1236, text)))

    def shown():                                 # while it asks again it shows the error, and "Yes"
        s = relay.status()
        return s['Last_IO_Errno'] == '1236' and s['Slave_IO_Running'] != 'Yes' and s
    assert text in wait_until(shown, 60, 'error 1236 shows')['Last_IO_Error']


@pytest.mark.parametrize('greeting', [b'', b'\0' * 40, os.urandom(64), packet(b'\n5.5', 0),
                                      packet(error(1040, 'Too many connections'), 0),
                                      b'HTTP/1.1 400 Bad Request\r\n\r\n', b'\xff\xff\xff\x00abc',
                                      packet(b'\x09old\0' + b'\0' * 20, 0)],
                         ids=['nothing', 'zeros', 'random', 'short', 'error', 'http', 'endless',
                              'version 9'])
def test_greetings(fakes, greeting):
    log = FakeLog().add_many(1, 3)
    fake, relay = fakes(log, greeting=greeting)
    wait_until(lambda: fake.accepted >= 1 and relay.status()['Last_IO_Errno'] != '0', 60,
               'the error shows')
    fake.greeting = packet(GREETING, 0)
    intact(relay, log)


def test_cut_anywhere(fakes):
    """FIN after a random number of bytes, dozens of times: nothing lost, nothing twice."""
    seed = random.randrange(1 << 30)
    print('seed %d' % seed)
    rng = random.Random(seed)
    log = FakeLog()
    for n in range(1, 400):
        log.add('0-1-%d' % n, b'z' * rng.choice([5, 50, 500, 20000]))

    def stream(d):
        if d.number > (200 if LONG else 8):
            d.all()
            return d.idle()
        left = rng.randrange(200, 60000)
        real = d.conn

        class Cut:
            def sendall(self, data):
                nonlocal left
                real.sendall(data[:left])
                left -= len(data)
                if left <= 0:
                    raise ConnectionError
        d.conn = Cut()
        d.all()
    fake, relay = fakes(log, stream=stream)
    relay.reaches(log.pos())
    intact(relay, log)


def test_an_event_without_end(fakes):
    """A packet that promises 16 MiB again and again is given up at a bound, not kept in memory."""
    def stream(d):
        d.preamble()
        if d.number > 1:
            d.rest()
            return d.idle()
        head = bc.HEADER.pack(1700000000, bc.WRITE_ROWS, 1, 0x7fffffff, 0, 0)
        for i in range(80):
            d.packet((b'\0' + head if i == 0 else b'').ljust(0xffffff, b'e'))
    fake, relay = fakes(FakeLog().add_many(1, 3), stream=stream)
    wait_until(lambda: fake.dumps >= 2, 180, 'the relay gives the packet up')
    intact(relay, fake.log)


def test_the_relays_own_server_id(fakes):
    _, relay = fakes(FakeLog(server_id=4000).add_many(1, 3))
    error_shows(relay, ['server_id', '4000'])
    assert relay.status()['Slave_IO_Running'] != 'Yes' and relay.position() == ''


def test_wrong_password(fakes):
    fake, relay = fakes(FakeLog().add_many(1, 3),
                        auth=packet(error(1045, "Access denied for user 'repl_user'", '28000'), 2))
    s = wait_until(lambda: [s for s in [relay.status()] if s['Last_IO_Errno'] == '1045'], 60,
                   'error 1045 shows')[0]
    assert 'Access denied' in s['Last_IO_Error']
    assert PASSWORD not in relay.log_text() and PASSWORD not in str(s)
    for name in os.listdir(relay.datadir):
        path = os.path.join(relay.datadir, name)
        if os.path.isfile(path):
            with open(path, 'rb') as f:
                assert PASSWORD.encode() not in f.read(), name


# ---------------------------------------------------------------------------- replicas
def streaming(relay, primary, **hello):
    c = relay.binlog_client()
    c.hello(position='', **hello)
    c.dump()
    c.until_group(binlog_pos(primary))
    return c


def still_works(relay, primary):
    with streaming(relay, primary, server_id=98) as c:
        primary.sql("INSERT INTO d.t (tag) VALUES ('works')")
        c.until_group(binlog_pos(primary))


@pytest.mark.parametrize('data', [b'\0\0\0\0', os.urandom(50), packet(b'\xef', 0),
                                  packet(b'\xefshort', 0), packet(b'\x03SELECT 1', 0),
                                  packet(b'\xef' + b'\xff' * 8 + b'no-such-file.999999', 0),
                                  packet(b'\xef' + b'\0' * 8 + b'\0' * 600, 0), b'\xff\xff\xff\0'],
                         ids=['empty', 'random', 'bare', 'short', 'query', 'nonsense', 'long',
                              'half'])
@pytest.mark.parametrize('semi', [False, True], ids=['plain', 'semi'])
def test_bytes_during_a_dump(relay, trio, data, semi):
    primary = trio[0]
    relay.catches_up(primary)
    c = streaming(relay, primary, semi_sync=semi)
    c.sock.sendall(data)
    primary.sql("INSERT INTO d.t (tag) VALUES ('x')")
    try:
        c.until_group(binlog_pos(primary))       # either goes on, or is thrown out
    except (Lost, WireError):
        pass
    c.sock.close()
    still_works(relay, primary)


def test_commands_that_are_cut_short(relay, trio):
    relay.catches_up(trio[0])
    whole = struct.pack('<IHI', 4, 2, 97) + relay.names()[0].encode()
    for command, payload in ((bc.COM_BINLOG_DUMP, whole), (bc.COM_REGISTER_SLAVE, b'\1\0\0\0\xff'),
                             (bc.COM_REGISTER_SLAVE, b'\1\0\0\0\0\0\0' + b'\0' * 10)):
        for n in range(0, min(len(payload), 12)):
            c = relay.binlog_client()
            c.command(command, payload[:n])
            c.sock.settimeout(10)
            try:
                c.recv()
            except (Lost, TimeoutError, WireError):
                pass
            c.sock.close()
    still_works(relay, trio[0])


def test_positions_without_end(relay, trio):
    relay.catches_up(trio[0])
    for text in (','.join('%d-1-1' % i for i in range(20000)), '-' * 50000, '1-1-1,' * 3000,
                 '0-1-99999999999999999999999', "0-1-1'", '4294967296-1-1', ' 0 - 1 - 1 '):
        with relay.binlog_client() as c:
            try:
                c.hello(position=text)
                c.dump(flags=bc.NON_BLOCK)
                c.next()
            except (Lost, WireError):
                pass
    still_works(relay, trio[0])


def test_replicas_that_never_read(relay, trio):
    """They hold their socket buffers and nothing else, and nobody waits for them."""
    primary, a, _ = trio
    relay.catches_up(primary)
    small = relay.rss_kb()
    stuck = []
    for i in range(8):
        c = relay.binlog_client()
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.hello(server_id=200 + i, position='', heartbeat_s=1)
        c.dump()
        stuck.append(c)
    primary.sql('BEGIN;' + "INSERT INTO d.t (tag, b) VALUES ('x', REPEAT('y', 4000000));" * 12 +
                'COMMIT', timeout=180)
    attach(a, relay, '')
    relay.catches_up(primary)
    replica_reaches(a, binlog_pos(primary))
    same_data(primary, a)
    assert IS_SANITIZED or relay.rss_kb() - small < 40000
    used = sum(relay.cpu_s())
    wait_until(lambda: slave_status(a)['Slave_IO_Running'] == 'Yes', 30, 'the replica goes on')
    assert sum(relay.cpu_s()) - used < 1
    for c in stuck:
        c.sock.close()


def test_half_a_login(relay, trio):
    conns = []
    for n in (0, 1, 3, 4, 20):
        s = socket.create_connection((relay.host, relay.port), 60)
        s.recv(1000)
        s.sendall(packet(b'\x85\xa6\x3f\x20' + b'\0' * 60, 1)[:n])
        conns.append(s)
    still_works(relay, trio[0])
    for s in conns:
        s.close()


def test_commands_that_a_relay_does_not_know(relay, trio):
    for code in list(range(4, 32)) + [0x80, 0xfa, 0xfe]:
        if code in (wire.COM_PING, bc.COM_BINLOG_DUMP, bc.COM_REGISTER_SLAVE):
            continue
        c = relay.binlog_client()
        c.command(code, b'\1\0\0\0junk')
        c.sock.settimeout(10)
        try:
            c.recv() if code not in (wire.COM_STMT_CLOSE, wire.COM_STMT_SEND_LONG_DATA) else None
        except (Lost, TimeoutError):
            pass
        c.sock.close()
    still_works(relay, trio[0])


def test_statements_of_no_sense(relay):
    seed = random.randrange(1 << 30)
    print('seed %d' % seed)
    rng = random.Random(seed)
    words = ("CHANGE MASTER TO MASTER_HOST = 'a' , MASTER_PORT 0 99999999999 SHOW SLAVE STATUS ALL "
             "SLAVES HOSTS BINARY LOGS PURGE BEFORE SET GLOBAL @@ @x gtid_slave_pos := ( ) ; -- /* "
             "*/ ' \" ` \\ SELECT LIMIT 1 NULL STATEMENT FOR RESET START STOP BINLOG EVENTS IN FROM "
             "VARIABLES LIKE '%' \0 \xff KILL FLUSH").split(' ')
    conn = relay.connect()
    for _ in range(3000 if LONG else 400):
        text = ' '.join(rng.choice(words) for _ in range(rng.randrange(1, 12)))
        try:
            sql.rows(conn, text)
        except sql.pymysql.err.OperationalError as e:
            assert e.args[0] not in (2006, 2013), text
        except sql.Error:
            pass
    conn.close()
    assert relay.status()['Master_User'] in (USER, '')
