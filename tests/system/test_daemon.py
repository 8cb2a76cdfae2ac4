# SPDX-License-Identifier: Apache-2.0
"""The process: background and pid file, signals, user, exit codes, systemd's notifications.

No server is needed: the one in the configuration never answers.
"""
import fcntl
import os
import pwd
import signal
import socket
import stat
import statistics
import subprocess
import time

import pytest

from sealane import LEAST_DEADLINE_S, SEALANED, Sealane, section, wait_until

NOBODY = 'nobody'


class NoLab:
    """In the place of a lab: nothing listens at the configured server."""
    nodes = ()

    @staticmethod
    def clusters():
        return ()


def alive(pid):
    """Whether the process runs (a zombie does not)."""
    try:
        with open('/proc/%d/stat' % pid) as f:
            return f.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def is_stopped(pid):
    """Whether a stop signal has reached all threads of the process."""
    tasks = '/proc/%d/task' % pid
    for task in os.listdir(tasks):
        with open('%s/%s/stat' % (tasks, task)) as f:
            if f.read().rsplit(')', 1)[1].split()[0] != 'T':
                return False
    return True


def has_taken(pid, number):
    """Whether the signal is no longer pending: two that are pending together count as one."""
    with open('/proc/%d/status' % pid) as f:
        pending = [int(line.split()[1], 16) for line in f if line.startswith(('SigPnd', 'ShdPnd'))]
    return not any(mask >> number - 1 & 1 for mask in pending)


class Background(Sealane):
    """sealaned with --daemon: found by its pid file, as an init script does."""

    def __init__(self, directory):
        super().__init__(directory, NoLab)
        self.pid_file = self.dir + '/var/run/maxscale/maxscale.pid'
        self.main_log = self.dir + '/var/log/maxscale/maxscale.log'
        self.pids = []
        self.write_text(self.text())

    def text(self, **globals_):
        return (section('maxscale', threads=1, admin_port=self.admin_port, **globals_)
                + section('away', type='server', address='127.0.0.1', port=1)
                + section('Service', type='service', router='readconnroute', servers='away',
                          user='u', password='p')
                + section('Listener', type='listener', service='Service', address='127.0.0.1',
                          port=self.port))

    def launch(self, *more, user=None, **kw):
        """Exit code and output of the command that starts it."""
        argv = [SEALANED, '--daemon', '-f', self.config, '--basedir', self.dir, *more]
        if user or os.geteuid() == 0:
            argv.append('--user=' + (user or 'root'))
        p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=60, **kw)
        return p.returncode, p.stdout

    def pid(self):
        with open(self.pid_file) as f:
            pid = int(f.read())
        if pid not in self.pids:
            self.pids.append(pid)
        return pid

    def end(self):
        for pid in self.pids:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda pid=pid: not alive(pid), 5, 'the end of %d' % pid)


@pytest.fixture
def background(tmp_path):
    if not os.path.exists(SEALANED):
        pytest.skip('%s is not built' % SEALANED)
    daemon = Background(tmp_path / 'daemon')
    yield daemon
    daemon.end()


@pytest.fixture
def foreground(background):
    """The same configuration with -d, as a child of the test."""
    def start(*more, env=None, stdout=None):
        with open(background.log, 'ab') as out:
            background.process = subprocess.Popen(
                background.argv(*more), stdin=subprocess.DEVNULL, stdout=stdout or out,
                stderr=out, start_new_session=True, env=dict(os.environ, **(env or {})))
        return background
    yield start
    background.abandon()


def test_the_command_returns_when_the_daemon_is_ready(background):
    code, output = background.launch()
    assert code == 0, output
    pid = background.pid()
    assert background.get('/servers'), 'ready means that REST answers at once'
    with open('/proc/%d/stat' % pid) as f:
        fields = f.read().rsplit(')', 1)[1].split()
    assert int(fields[3]) == pid, 'a session of its own: no terminal can take it along'
    for fd in (0, 1, 2):
        assert os.readlink('/proc/%d/fd/%d' % (pid, fd)) == '/dev/null'
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not alive(pid), 10, 'a graceful end')
    assert not os.path.exists(background.pid_file)
    assert 'has stopped' in background.log_text()


def test_a_second_instance_is_refused_by_name_and_the_first_lives_on(background):
    assert background.launch()[0] == 0
    pid = background.pid()
    code, output = background.launch()
    assert code == 1
    assert str(pid) in output and 'maxscale.pid' in output, output
    assert background.pid() == pid and background.get('/servers')


def test_a_pid_file_that_a_crash_left_behind_is_no_obstacle(background):
    assert background.launch()[0] == 0
    first = background.pid()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not alive(first), 5, 'its death')
    assert os.path.exists(background.pid_file)
    code, output = background.launch()
    assert code == 0, output
    assert background.pid() != first


def test_restarts_in_a_row_leave_one_locked_pid_file(background):
    """The next one may open the file just before the one that ends removes it."""
    assert background.launch()[0] == 0
    for _ in range(10):
        old = background.pid()
        os.kill(old, signal.SIGTERM)
        wait_until(lambda: background.launch()[0] == 0, 20, 'the next instance')
        assert background.pid() != old
        with open(background.pid_file) as f, pytest.raises(BlockingIOError):
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_usr1_opens_a_new_log_file_after_a_rotation(background):
    assert background.launch()[0] == 0
    pid = background.pid()
    os.rename(background.main_log, background.main_log + '.1')
    os.kill(pid, signal.SIGUSR1)
    wait_until(lambda: os.path.exists(background.main_log), 5, 'a new log file')
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not alive(pid), 10, 'a graceful end')
    with open(background.main_log) as new, open(background.main_log + '.1') as old:
        assert 'has stopped' in new.read()
        assert 'has stopped' not in old.read()


def test_an_error_while_starting_is_the_exit_code_of_the_command(background):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(('127.0.0.1', background.port))
        taken.listen()
        code, output = background.launch()
    assert code == 1
    assert str(background.port) in output, output
    assert not os.path.exists(background.pid_file)


def test_a_port_of_rest_that_is_taken_is_told(background):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(('127.0.0.1', background.admin_port))
        taken.listen()
        code, output = background.launch()
    assert code == 1
    assert str(background.admin_port) in output, output


@pytest.mark.parametrize('argument, word', [
    ('--no-such-option', 'no-such-option'),
    ('-Z', 'Z'),
    ('--log=printer', 'printer'),
    ('surplus', 'surplus'),
    ('--config=/nonexistent/sealane.cnf', '/nonexistent/sealane.cnf'),
    ('--maxlog=perhaps', 'perhaps'),
    ('--user=no-such-user', 'no-such-user'),
])
def test_wrong_command_lines(background, argument, word):
    if argument.startswith('--user') and os.geteuid() == 0:      # launch() adds a user of its own
        code, output = background.launch(user='no-such-user')
    else:
        code, output = background.launch(argument)
    assert code == 1
    assert word in output, output


@pytest.mark.parametrize('argument', ['--help', '-?', '--version', '-v', '--version-full'])
def test_questions_are_answered_with_success(argument):
    p = subprocess.run([SEALANED, argument], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=60, check=False)
    assert p.returncode == 0 and 'ealane' in p.stdout


@pytest.mark.root
def test_root_has_to_be_asked_for(background):
    p = subprocess.run([SEALANED, '-f', background.config, '--basedir', background.dir],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    assert p.returncode == 1
    assert '--user' in p.stdout


@pytest.mark.root
def test_user_gives_up_every_privilege(background, tmp_path):
    account = pwd.getpwnam(NOBODY)
    for path in (background.dir, background.config):
        os.chown(path, account.pw_uid, account.pw_gid)
    parent = str(tmp_path)                        # pytest's directories are closed to others
    while stat.S_IMODE(os.stat(parent).st_mode) & 0o011 != 0o011:
        os.chmod(parent, stat.S_IMODE(os.stat(parent).st_mode) | 0o011)
        parent = os.path.dirname(parent)
    code, output = background.launch(user=NOBODY)
    assert code == 0, output
    with open('/proc/%d/status' % background.pid()) as f:
        status = dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)
    assert set(status['Uid'].split()) == {str(account.pw_uid)}
    assert set(status['Gid'].split()) == {str(account.pw_gid)}
    assert '0' not in status['Groups'].split()
    assert int(status['CapEff'], 16) == 0 and int(status['CapPrm'], 16) == 0
    assert os.stat(background.main_log).st_uid == account.pw_uid


class Notified:
    """The socket that systemd would listen at."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)

    def messages(self, wanted, deadline_s, count=1):
        """(seconds since now, text) of what came until `wanted` was there `count` times."""
        deadline_s = max(deadline_s, LEAST_DEADLINE_S)
        begun, got = time.monotonic(), []
        while sum(wanted in text for _, text in got) < count:
            left = begun + deadline_s - time.monotonic()
            assert left > 0, 'no %s within %.1f s: %s' % (wanted, deadline_s, got)
            self.socket.settimeout(left)
            try:
                text = self.socket.recv(4096).decode()
            except TimeoutError:
                continue
            got.append((time.monotonic() - begun, text))
        return got

    def has_message(self, seconds):
        """Whether anything comes in that time."""
        self.socket.settimeout(seconds)
        try:
            return bool(self.socket.recv(4096))
        except TimeoutError:
            return False


@pytest.fixture
def notified(tmp_path):
    listener = Notified(tmp_path / 'notify')
    yield listener
    listener.socket.close()


def test_systemd_is_told_what_happens(foreground, notified):
    """READY only when clients can come, a ping in less than half the time allowed, STOPPING."""
    daemon = foreground(env={'NOTIFY_SOCKET': notified.path, 'WATCHDOG_USEC': '1500000'})
    notified.messages('READY=1', 10)
    assert daemon.get('/servers')
    pings = [at for at, text in notified.messages('WATCHDOG=1', 10, count=6)
             if 'WATCHDOG=1' in text]
    gaps = [after - before for before, after in zip(pings, pings[1:])]
    # most of them: one is as long as the machine stalls
    assert statistics.median(gaps) < 1.5, 'idle workers are alive too: %s' % gaps
    daemon.process.send_signal(signal.SIGTERM)
    notified.messages('STOPPING=1', 5)
    assert daemon.process.wait(60) == 0


def test_no_ping_without_a_watchdog(foreground, notified):
    daemon = foreground(env={'NOTIFY_SOCKET': notified.path})
    notified.messages('READY=1', 10)
    daemon.process.send_signal(signal.SIGTERM)
    came = notified.messages('STOPPING=1', 5)
    assert not [text for _, text in came if 'WATCHDOG' in text]
    assert daemon.process.wait(60) == 0


def test_a_daemon_that_does_not_turn_is_not_pinged_for(foreground, notified):
    daemon = foreground(env={'NOTIFY_SOCKET': notified.path, 'WATCHDOG_USEC': '1500000'})
    notified.messages('WATCHDOG=1', 10)
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: is_stopped(daemon.process.pid), 10, 'it stands still')
        while notified.has_message(0.001):       # from before it stood still
            pass
        assert not notified.has_message(2)
    finally:
        daemon.process.send_signal(signal.SIGCONT)
    notified.messages('WATCHDOG=1', 5)
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(60) == 0


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_one_signal_ends_it_gracefully(foreground, number):
    daemon = foreground()
    wait_until(daemon.answering, 10, 'REST answers')
    daemon.process.send_signal(number)
    assert daemon.process.wait(60) == 0
    assert 'has stopped' in daemon.log_text()
    assert not os.path.exists(daemon.pid_file)


def test_hup_changes_nothing(foreground):
    daemon = foreground()
    wait_until(daemon.answering, 10, 'REST answers')
    for _ in range(3):
        daemon.process.send_signal(signal.SIGHUP)
    assert daemon.get('/servers')
    daemon.stop()


@pytest.mark.parametrize('again, times', [(signal.SIGTERM, 1), (signal.SIGINT, 3)])
def test_a_stop_that_hangs_can_be_cut_short(foreground, again, times):
    """A log that nobody reads holds the stop up; a second TERM or a third INT does not wait."""
    out, into = os.pipe()
    try:
        daemon = foreground('--log=stdout', stdout=into)
        wait_until(daemon.answering, 10, 'REST answers')
        os.set_blocking(into, False)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(into, b'x')
        os.set_blocking(into, True)
        daemon.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            daemon.process.wait(0.5)
        for _ in range(times):
            assert daemon.process.poll() is None
            wait_until(lambda: has_taken(daemon.process.pid, signal.SIGTERM) and
                       has_taken(daemon.process.pid, again), 10, 'the signal before is taken')
            daemon.process.send_signal(again)
        assert daemon.process.wait(60) == 1
    finally:
        os.close(out)
        os.close(into)


def test_a_mute_server_holds_the_stop_up_for_one_timeout_at_most(foreground, background):
    """It accepts and says nothing: the probe that waits for it may end in its own time, without
    the attempts that are left."""
    with socket.socket() as mute:
        mute.bind(('127.0.0.1', 0))
        mute.listen()
        background.write_text(
            section('maxscale', threads=1, admin_port=background.admin_port)
            + section('mute', type='server', address='127.0.0.1', port=mute.getsockname()[1])
            + section('Monitor', type='monitor', module='galeramon', servers='mute', user='u',
                      password='p', monitor_interval='100ms', backend_connect_timeout='2s',
                      backend_connect_attempts=100))
        daemon = foreground()
        wait_until(daemon.answering, 15, 'REST answers')
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(60) == 0       # 100 attempts would take 200 s
