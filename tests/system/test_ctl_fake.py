# SPDX-License-Identifier: Apache-2.0
"""sealanectl against a REST API made of files: streams, exit codes, failures of the network,
several hosts, passwords, interactive mode.  Needs no servers and no daemon."""
import base64
import fcntl
import http.server
import os
import pty
import re
import resource
import signal
import socket
import ssl
import subprocess
import termios
import threading
import time

import pytest

from sealane import SEALANECTL, ROOT

DATA = os.path.join(ROOT, 'tests', 'unit', 'cli', 'data')


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def answer(self, code, body=b'', **headers):
        self.send_response(code)
        self.send_header('Content-Length', str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), value)
        self.end_headers()
        self.wfile.write(body)

    def handle_any(self):
        api = self.server.api
        length = int(self.headers.get('Content-Length') or 0)
        body = self.rfile.read(length).decode()
        path = self.path[len('/v1/'):]
        api.requests.append((self.command, path, body))
        wanted = 'Basic ' + base64.b64encode(api.login.encode()).decode()
        if self.headers.get('Authorization') != wanted:
            return self.answer(401, b'{"errors": [{"detail": "Access denied"}]}')
        if api.delay_s:
            time.sleep(api.delay_s)
        if api.garbage:
            return self.answer(200, b'<html>')
        if self.command != 'GET':
            if path == 'servers/x/set?state=y':
                return self.answer(400, b'{"errors": [{"detail": "y is no state"}]}')
            return self.answer(204, Mxs_Warning='static object')
        name = os.path.join(DATA, re.sub('[/?=]', '_', path) + '.json')
        if path and not os.path.exists(name):
            return self.answer(404)
        return self.answer(200, open(name, 'rb').read() if path else b'')

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = handle_any

    def log_message(self, *args):
        pass


class Api:
    def __init__(self, certificate=None):
        self.requests, self.login, self.delay_s, self.garbage = [], 'admin:mariadb', 0, False
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.server.api = self
        self.host = '127.0.0.1:%d' % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def api():
    fake = Api()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    return tmp_path


def ctl(*args, program=SEALANECTL, stdin=''):
    return subprocess.run([program, *args], input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=30)


def read_all(terminal):
    """What was written to a terminal that nobody has open any more."""
    text = b''
    while True:
        try:
            text += os.read(terminal, 65536)
        except OSError:                          # EIO: the end
            return text


def expected(name):
    with open(os.path.join(DATA, 'expected', name)) as f:
        return f.read()


def test_table_and_tsv(api, home):
    p = ctl('-h', api.host, 'list', 'servers')
    assert (p.returncode, p.stdout, p.stderr) == (0, expected('list_servers.txt'), '')
    p = ctl('list', 'servers', '--tsv', '--hosts=' + api.host)
    assert (p.returncode, p.stdout, p.stderr) == (0, expected('list_servers.tsv'), '')


def test_quiet(api, home):
    p = ctl('-q', '-h', api.host, 'list', 'servers')
    assert (p.returncode, p.stdout, p.stderr) == (0, '', '')
    p = ctl('-q', '-h', api.host, 'show', 'server', 'nosuch')
    assert p.returncode == 1 and '404' in p.stderr


def test_warning_is_for_terminals(api, home):
    p = ctl('-h', api.host, 'rotate', 'logs')
    assert (p.returncode, p.stdout, p.stderr) == (0, 'OK\n', '')
    assert api.requests == [('POST', 'maxscale/logs/flush', '')]


def test_errors(api, home):
    p = ctl('-h', api.host, 'set', 'server', 'x', 'y')
    assert p.returncode == 1 and p.stdout == ''
    assert p.stderr == ('Error: Server at %s responded with 400 Bad Request to '
                        '`PUT servers/x/set?state=y`\n{\n    "errors": [\n        {\n'
                        '            "detail": "y is no state"\n        }\n    ]\n}\n' % api.host)
    p = ctl('-h', api.host, 'show', 'server', 'nosuch')
    assert p.stderr.endswith('404 Not Found to `GET servers/nosuch`\n')
    p = ctl('-h', api.host, '-p', 'wrong', 'list', 'servers')
    assert p.returncode == 1 and '401 Unauthorized' in p.stderr
    api.garbage = True
    p = ctl('-h', api.host, 'list', 'servers')
    assert p.returncode == 1 and 'not JSON' in p.stderr


def test_network_failures(api, home):
    p = ctl('-h', '127.0.0.1:1', 'list', 'servers')
    assert p.returncode == 1 and p.stderr.startswith('Error: Could not connect to 127.0.0.1:1')
    api.delay_s = 60
    p = ctl('-h', api.host, '-t', '100ms', 'list', 'servers')
    assert p.returncode == 1 and 'timed out after 100 ms' in p.stderr
    with socket.create_server(('127.0.0.1', 0)) as s:
        threading.Thread(target=lambda: s.accept()[0].close(), daemon=True).start()
        p = ctl('-h', '127.0.0.1:%d' % s.getsockname()[1], 'list', 'servers')
    assert p.returncode == 1 and '--secure' in p.stderr


@pytest.mark.parametrize('args', [
    ('show', 'server', 'Galera-71'), ('list', 'servers'), ('api', 'get', 'servers'),
    ('show', 'modules'), ('--help',), ('--version',)])
def test_output_that_cannot_be_written_is_an_error(api, home, args):
    with open('/dev/full', 'w') as full:
        p = subprocess.run([SEALANECTL, '-h', api.host, *args], stdin=subprocess.DEVNULL,
                           stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
    assert p.returncode == 1 and 'Cannot write the output' in p.stderr, p


def test_a_server_cannot_steer_the_terminal(home):
    """Escape sequences in the status line, in a warning, and as C1 characters in JSON."""
    csi = b'\xc2\x9b'

    def serve(listener):
        for body, status in ((b'{"a": "%s2J\x7f"}' % csi, b'200 OK'),
                             (b'{"errors": ["%s"]}' % csi, b'400 \x1b[2J' + csi + b'31m')):
            peer = listener.accept()[0]
            peer.recv(65536)
            peer.sendall(b'HTTP/1.1 %s\r\nMxs-Warning: \x1b[2J%s\r\nContent-Length: %d\r\n'
                         b'Connection: close\r\n\r\n%s' % (status, csi, len(body), body))
            peer.close()

    with socket.create_server(('127.0.0.1', 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        host = '127.0.0.1:%d' % listener.getsockname()[1]
        for code in (0, 1):
            master, slave = pty.openpty()
            p = subprocess.run([SEALANECTL, '-h', host, 'api', 'get', 'x'], stdin=slave,
                               stdout=slave, stderr=slave, timeout=30)
            os.close(slave)
            shown = read_all(master)
            os.close(master)
            assert p.returncode == code and shown
            ours = re.sub(rb'\x1b\[(31|33|39)m', b'', shown)      # colours of our own
            assert b'\x1b' not in ours and csi not in ours and b'\x7f' not in ours, shown
            assert b'\\u009b' in ours, shown


def test_tls(home):
    pem = str(home / 'server.pem')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-nodes', '-subj', '/CN=test',
                    '-pkeyopt', 'ec_paramgen_curve:P-256', '-addext', 'subjectAltName=IP:127.0.0.1',
                    '-days', '2', '-keyout', pem, '-out', pem + '.crt'], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(pem, 'a') as key, open(pem + '.crt') as crt:
        key.write(crt.read())
    api = Api(pem)
    try:
        p = ctl('-s', '-h', api.host, '--tls-ca-cert', pem + '.crt', 'list', 'filters', '--tsv')
        assert (p.returncode, p.stdout) == (0, expected('list_filters.tsv')), p.stderr
        p = ctl('-s', '-h', api.host, 'list', 'filters')
        assert p.returncode == 1 and 'certificate' in p.stderr
        p = ctl('-s', '-h', api.host, '--no-tls-verify-server-cert', 'list', 'filters', '--tsv')
        assert p.returncode == 0
        p = ctl('-h', api.host, 'list', 'filters')
        assert p.returncode == 1 and '--secure' in p.stderr
    finally:
        api.server.shutdown()
        api.server.server_close()


def test_proxies_are_ignored_for_loopback(api, home, monkeypatch):
    monkeypatch.setenv('http_proxy', 'http://127.0.0.1:1')
    monkeypatch.setenv('no_proxy', 'example.org')
    assert ctl('-h', api.host, 'list', 'servers').returncode == 0


def test_several_hosts(api, home):
    p = ctl('-h', '%s,%s' % (api.host, api.host), 'list', 'servers', '--tsv')
    assert p.stdout == (api.host + '\n' + expected('list_servers.tsv')) * 2
    del api.requests[:]
    p = ctl('-h', api.host + ',127.0.0.1:1', 'rotate', 'logs')
    assert p.returncode == 1 and p.stdout == '' and '127.0.0.1:1' in p.stderr
    assert [r[0] for r in api.requests] == ['GET']


def test_password_from_stdin(api, home):
    api.login = 'bob:s e:c"ret'
    p = ctl('-h', api.host, '-u', 'bob', '-p', '', 'list', 'monitors', '--tsv',
            stdin='s e:c"ret\nmore\n')
    assert (p.returncode, p.stderr) == (0, '')
    p = ctl('-h', api.host, '-u', 'bob', '--password=', '--tsv',
            stdin='s e:c"ret\nlist monitors\n')
    assert (p.returncode, p.stdout) == (0, expected('list_monitors.tsv'))


def test_the_terminal_echoes_again_after_ctrl_c_at_the_password(home):
    master, slave = pty.openpty()
    p = subprocess.Popen(
        [SEALANECTL, '-p', '', 'list', 'servers'], stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    text = b''
    while b'password: ' not in text:
        text += os.read(master, 4096)
    assert not termios.tcgetattr(slave)[3] & termios.ECHO
    os.write(master, b'\x03')
    assert p.wait(timeout=30) == -signal.SIGINT
    assert termios.tcgetattr(slave)[3] & termios.ECHO
    os.close(slave)
    os.close(master)


def test_defaults_files(api, home):
    (home / '.maxctrl.cnf').write_text('[maxctrl]\nhosts=%s\ntsv\n' % api.host)
    (home / '.maxctrl.cnf').chmod(0o600)
    assert ctl('list', 'servers').stdout == expected('list_servers.tsv')
    os.symlink(SEALANECTL, home / 'maxctrl')
    assert ctl('list', 'servers', program=str(home / 'maxctrl')).returncode == 0
    (home / '.maxctrl.cnf').chmod(0o644)
    p = ctl('list', 'servers')
    assert p.returncode == 1 and 'mode 644' in p.stderr


def test_interactive_pipe(api, home):
    p = ctl('-h', api.host, '--tsv',
            stdin='list monitors\n\nlist nonsense\nlist servers --tsv\nshow "server" nosuch\n'
                  'list filters\nquit\nlist servers\n')
    lines = p.stdout.split('\n')
    assert p.returncode == 0 and p.stderr == ''
    assert lines[0] == expected('list_monitors.tsv').strip('\n')
    assert lines[1].startswith('Error: Unknown command `list nonsense`')
    assert lines[2] == 'Error: Global options cannot be changed here: --tsv'
    assert '404' in lines[3]
    assert '\n'.join(lines[4:]) == expected('list_filters.tsv')


def test_terminal(api, home):
    """Colours, warnings, prompt and line editing."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(SEALANECTL, ['sealanectl', '-h', api.host],
                  {'HOME': str(home), 'TERM': 'xterm', 'PATH': os.environ['PATH']})
    text = b''

    def read_until(mark):
        nonlocal text
        while mark not in text:
            text += os.read(fd, 4096)

    read_until(b'sealanectl: ')
    os.write(fd, b'rotate logs\n')
    read_until(b'Warning:\x1b[39m static object')
    read_until(b'\x1b[32mOK\x1b[39m')
    os.write(fd, b'list filters\n')
    read_until(b'\x1b[36mFilter\x1b[39m')
    read_until('┘'.encode())
    os.write(fd, b'exit\n')
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(fd)


def test_start_is_fast(home):
    """Processor time, and of ten starts the best: a busy machine must not fail the test."""
    def used():
        r = resource.getrusage(resource.RUSAGE_CHILDREN)
        return r.ru_utime + r.ru_stime
    best = 1.0
    for _ in range(10):
        before = used()
        ctl('--version')
        best = min(best, used() - before)
    assert best < 0.05, best
