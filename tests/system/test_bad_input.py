# SPDX-License-Identifier: Apache-2.0
"""Bytes that nobody should send, from clients and from servers: clear errors, no mix-ups, no crash."""
import concurrent.futures
import os
import random
import socket
import struct

import pytest

import fake
import wire
from lab import net
from sealane import section, wait_until
from wire import Lost, Wire, WireError


def raw(s):
    """A connection that has read the greeting and not logged in."""
    return Wire('127.0.0.1', s.port, login=False).greet()


def say_all(sock, data):
    """These bytes and the end of them; the other side may close after the first that it dislikes."""
    try:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def still_works(s):
    with s.wire() as c:
        assert c.value('SELECT 1') == '1'


def ends_with_error_or_close(c):
    """The proxy may tell what is wrong, or ask for a password the usual way; then it must close."""
    try:
        while True:
            p = c.recv()
            assert p[0] in (255, 254), 'unexpected answer %r' % p[:40]     # ERR, AuthSwitchRequest
    except TimeoutError:
        pytest.fail('it does not close')
    except (Lost, OSError):
        pass


HANDSHAKES = {
    'empty packet': b'\0\0\0\1',
    'one byte': b'\1\0\0\1x',
    'wrong sequence': struct.pack('<I', 4 | 9 << 24) + b'abcd',
    'absurd length, then nothing': b'\xff\xff\xff\1',
    'zeros': struct.pack('<I', 200 | 1 << 24) + b'\0' * 200,
    'ones': struct.pack('<I', 200 | 1 << 24) + b'\xff' * 200,
    'user name without end': struct.pack('<I', 132 | 1 << 24) +
    struct.pack('<IIB23x', wire.DEFAULT_CAPS, 1 << 24, 45) + b'u' * 100,
    'token longer than the packet': struct.pack('<I', 39 | 1 << 24) +
    struct.pack('<IIB23x', wire.DEFAULT_CAPS, 1 << 24, 45) + b'app\0\xfaxx',
    'http': b'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    'tls hello on a plain port': b'\x16\x03\x01\x02\0\1\0\1\xfc\3\3' + b'\0' * 500,
}


@pytest.mark.parametrize('name', HANDSHAKES)
def test_bad_handshakes(sealane, name):
    c = raw(sealane)
    say_all(c.sock, HANDSHAKES[name])
    ends_with_error_or_close(c)
    c.sock.close()
    still_works(sealane)


def test_random_handshakes(sealane):
    rng = random.Random(11)
    for _ in range(150):
        c = raw(sealane)
        body = rng.randbytes(rng.randrange(0, 300))
        say_all(c.sock, fake.packet(body, 1))
        ends_with_error_or_close(c)
        c.sock.close()
    still_works(sealane)


def test_70_kb_of_attributes(sealane):
    """The server's limit is 64 kB: more is a bad handshake there, too."""
    def login(count):
        return Wire('127.0.0.1', sealane.port, attrs={'k%d' % i: 'v' * 70 for i in range(count)})
    with pytest.raises(WireError) as e:
        login(1000)
    assert e.value.errno == 1043 and e.value.state == '08S01'
    with login(800) as c:
        assert c.value('SELECT 1') == '1'


def test_slow_login_does_not_hold_others(sealane):
    body = fake.packet(struct.pack('<IIB23x', wire.DEFAULT_CAPS, 1 << 24, 45) + b'app\0', 1)
    for i in range(1, 21):
        c = raw(sealane)                         # one for each length: a login may take ten seconds
        for byte in body[:i]:
            c.sock.sendall(bytes([byte]))
        still_works(sealane)
        c.sock.close()


def test_statement_byte_by_byte(sealane):
    with sealane.wire() as c:
        for byte in fake.packet(b'\3SELECT 42', 0):
            c.sock.sendall(bytes([byte]))
        assert c.result().rows == [['42']]


def test_unknown_and_broken_commands(sealane):
    """An unknown command gets an error, a broken one an error or the end, and nobody else cares."""
    with sealane.wire() as c:
        # 250 is COM_STMT_BULK_EXECUTE: known, but nothing without a statement id
        for code, errno in ((200, 1047), (77, 1047), (250, 1835)):
            c.command(code)
            with pytest.raises(WireError) as e:
                c.result()
            assert e.value.errno == errno
        assert c.value('SELECT 1') == '1'
    for code, payload in ((wire.COM_STMT_EXECUTE, b''), (wire.COM_STMT_EXECUTE, b'\1\0'),
                          (wire.COM_STMT_FETCH, b'\1'), (wire.COM_CHANGE_USER, b'app'),
                          (wire.COM_SET_OPTION, b''), (wire.COM_STMT_RESET, b'')):
        c = sealane.wire()
        c.command(code, payload)
        try:
            with pytest.raises(WireError):
                c.result()
        except Lost:
            pass
        c.sock.close()
    still_works(sealane)


def test_wrong_sequence_number_in_a_command(sealane):
    c = sealane.wire()
    c.sock.sendall(fake.packet(b'\3SELECT 1', 5))
    ends_with_error_or_close(c)
    still_works(sealane)


def test_unknown_statement_ids(sealane):
    with sealane.wire() as c:
        for sid in (0, 1, 4711, 0xfffffffe):
            with pytest.raises(WireError) as e:
                c.execute(sid)
            assert e.value.errno == 1243
        c.command(wire.COM_STMT_CLOSE, struct.pack('<I', 4711))
        assert c.value('SELECT 1') == '1'


def test_statement_above_max_allowed_packet(sealane, cluster):
    """64 MB is the servers' limit: the same error as from the server, or the end of the session."""
    c = sealane.wire(timeout=180)
    try:
        c.query(b'SELECT LENGTH("' + b'x' * 70_000_000 + b'")')
        pytest.fail('the server would refuse this')
    except WireError as e:
        assert e.errno == 1153
    except (Lost, OSError):
        pass
    still_works(sealane)


def test_random_commands(sealane):
    rng = random.Random(5)
    for _ in range(100):
        c = sealane.wire()
        command = rng.choice((2, 3, 17, 22, 23, 24, 25, 26, 27, 28, 31, 250))
        say_all(c.sock, fake.packet(bytes([command]) + rng.randbytes(rng.randrange(40)), 0))
        try:
            while True:
                c.recv()
        except (Lost, OSError):
            c.sock.close()
    still_works(sealane)


def test_many_half_open_connections(sealane):
    socks = [socket.create_connection(('127.0.0.1', sealane.port)) for _ in range(300)]
    still_works(sealane)
    for s in socks:
        s.close()
    wait_until(lambda: not sealane.sessions(), 10, 'no session is left')


# ---------------------------------------------------------------------- servers
GARBAGE_GREETINGS = {
    'nothing': b'',
    'random': bytes(random.Random(3).randbytes(300)),
    'protocol 9': fake.packet(b'\t5.0\0', 0),
    'cut': fake.packet(fake.GREETING, 0)[:30],
    'error': fake.packet(b'\xff' + struct.pack('<H', 1040) + b'Too many connections', 0),
    'http': b'HTTP/1.0 400 Bad Request\r\n\r\n',
}


@pytest.fixture
def two_servers(cluster, make_sealane):
    """Make a daemon over 71 (Master, real) and a fake server that is set to Slave by hand."""
    made = []

    def make(**kw):
        ip = cluster.nodes[0].ip.rsplit('.', 1)[0] + '.77'
        made.append(fake.FakeServer(ip, net.free_port(ip, 33070), **kw))
        port = made[-1].sock.getsockname()[1]
        master = cluster.nodes[0]
        s = make_sealane(cluster, start=False)
        text = section('maxscale', threads=1, admin_port=s.admin_port)
        text += section('real', type='server', address=master.ip, port=master.port)
        text += section('fake', type='server', address=ip, port=port)
        text += section('Service', type='service', router='readwritesplit', servers='real,fake',
                        user='maxuser', password='SecretP@ssw0rd', retry_failed_reads='true',
                        master_failure_mode='error_on_write')
        text += section('Listener', type='listener', service='Service', address='127.0.0.1',
                        port=s.port)
        s.write_text(text)
        s.start()
        for server, state in (('real', 'running'), ('real', 'master'), ('fake', 'running'),
                              ('fake', 'slave')):
            s.set_state(server, state)
        wait_until(lambda: s.wire().close() is None, 10, 'logins work')
        return s, made[-1]
    yield make
    for f in made:
        f.close()


def outcome(s, i):
    """Answer of SELECT 'k<i>': it must be its own, or an error."""
    try:
        with s.wire() as c:
            assert c.rows_of("SELECT 'k%d'" % i) == [['k%d' % i]], 'a mixed-up result'
            return 'ok'
    except (WireError, Lost, OSError) as e:
        return e


def outcomes(s, count=4):
    """Of that many sessions at the same time: a server that says nothing costs each the same wait."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda i: outcome(s, i), range(count)))


@pytest.mark.parametrize('name', GARBAGE_GREETINGS)
def test_garbage_greeting(two_servers, name):
    s, _ = two_servers(greeting=GARBAGE_GREETINGS[name])
    assert outcomes(s) == ['ok'] * 4             # the Master answers instead
    with s.wire(database='test') as c:
        assert c.rows_of('SELECT 5 FOR UPDATE') == [['5']]


def text_result(value):
    """A whole text result of one column and one row."""
    column = b''.join(wire.lenstr(x) for x in (b'def', b'', b'', b'', b'x', b'')) + \
        b'\x0c' + struct.pack('<HIBHB2x', 45, 100, 253, 0, 0)
    eof = b'\xfe\0\0\2\0'
    return b''.join(fake.packet(p, i + 1) for i, p in enumerate(
        (b'\1', column, eof, wire.lenstr(value), eof)))


def statement_value(command):
    return command.split(b"'")[1] if b"'" in command else b''


def cut(at):
    def reply(command):
        whole = text_result(statement_value(command))
        return whole[:at] if command[:1] == b'\3' and b"'k" in command else fake.packet(fake.OK, 1)
    return reply


REPLIES = {
    'reset': lambda c: None if b"'k" in c else fake.packet(fake.OK, 1),
    'garbage': lambda c: os.urandom(200) if b"'k" in c else fake.packet(fake.OK, 1),
    'huge column count': lambda c: fake.packet(b'\xfe' + b'\xff' * 8, 1)
    if b"'k" in c else fake.packet(fake.OK, 1),
    'wrong sequence': lambda c: fake.packet(fake.OK, 99) if b"'k" in c
    else fake.packet(fake.OK, 1),
    'two replies': lambda c: text_result(statement_value(c)) * 2 if b"'k" in c
    else fake.packet(fake.OK, 1),
    'error without state': lambda c: fake.packet(b'\xff' + struct.pack('<H', 1105) + b'odd', 1)
    if b"'k" in c else fake.packet(fake.OK, 1),
}


@pytest.mark.parametrize('name', REPLIES)
def test_garbage_reply(two_servers, name):
    s, _ = two_servers(reply=REPLIES[name])
    outcomes(s)
    with s.wire() as c:
        assert c.rows_of('SELECT 5 FOR UPDATE') == [['5']]


@pytest.mark.parametrize('at', [1, 4, 6, 30, 60, 70])
def test_reply_that_stops_in_the_middle(two_servers, at):
    """The rest never comes and the connection is cut when the server ends."""
    def reply(command):
        part = cut(at)(command)
        if b"'k" in command:
            server.close()
        return part
    s, server = two_servers(reply=reply)
    with s.wire() as c:
        c.sock.settimeout(2)
        try:
            assert c.rows_of("SELECT 'k'") == [['k']]
        except (WireError, Lost, OSError):
            pass
    with s.wire() as c:
        assert c.rows_of('SELECT 5 FOR UPDATE') == [['5']]


# ---------------------------------------------------------------------- REST
@pytest.mark.parametrize('data', [b'GET / HTTP/9.9\r\n\r\n', b'\0\xff' * 500, b'POST /v1/servers',
                                  b'GET /v1/servers/' + b'a' * 100000 + b' HTTP/1.1\r\n\r\n',
                                  b'GET /v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n'],
                         ids=['version', 'binary', 'unfinished', 'long', 'outside'])
def test_rest_garbage(sealane, data):
    with socket.create_connection(('127.0.0.1', sealane.admin_port), 60) as sock:
        say_all(sock, data)
        answer = b''
        try:
            while got := sock.recv(65536):
                answer += got
        except ConnectionResetError:             # closed with bytes of ours unread
            pass
    assert b'root:' not in answer
    assert sealane.states()
