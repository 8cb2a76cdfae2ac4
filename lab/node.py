# SPDX-License-Identifier: Apache-2.0
"""One server process: its home directory, its start, its end and its state.

A node is found again through HOME/lab.pid, and a pid counts only while its command line names
HOME/my.cnf: nothing that is not ours is ever signalled, even long after a crash of the caller.
"""
import os
import re
import shutil
import signal
import subprocess
import time

from . import files, sql
from .errors import LabError

MARIADBD = shutil.which('mariadbd', path='/usr/sbin:/usr/bin:/usr/local/sbin') or 'mariadbd'
ZERO_UUID = '00000000-0000-0000-0000-000000000000'


def process_state(pid, marker):
    """State letter of /proc/PID/stat, or None if it is gone or its command line lacks marker."""
    try:
        with open('/proc/%d/cmdline' % pid) as f:
            if marker not in f.read():
                return None
        with open('/proc/%d/stat' % pid) as f:
            state = f.read().rsplit(')', 1)[1].split()[0]
    except OSError:
        return None
    return None if state in 'ZX' else state


def read_pid(path):
    try:
        with open(path) as f:
            return int(f.read())
    except (OSError, ValueError):
        return None


class Node:
    def __init__(self, lab, spec):
        self.lab = lab
        self.spec = spec
        self.name = spec.name
        self.ip = spec.ip
        self.port = spec.port
        self.home = os.path.join(lab.dir, spec.name)
        self.socket = self.home + '/sock'
        self.child = None

    # ------------------------------------------------------------------ files
    def path(self, *parts):
        return os.path.join(self.home, *parts)

    def fill(self, source):
        """New data directory: a copy of source, or an empty one (then the node needs SST)."""
        os.makedirs(self.home, exist_ok=True)
        os.chmod(self.home, 0o755)
        for name in ('data', 'tmp'):
            shutil.rmtree(self.path(name), ignore_errors=True)
        for name in ('error.log', 'out.log', 'general.log'):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))
        os.makedirs(self.path('tmp'))
        if source:
            subprocess.run(['cp', '-a', '--reflink=auto', source, self.path('data')], check=True)
        else:
            os.makedirs(self.path('data'))
        self.own(self.home)

    def own(self, path):
        if self.lab.root:
            subprocess.run(['chown', '-R', '%d:%d' % (self.spec.uid, self.spec.uid), path],
                           check=True)

    def edit_grastate(self, bootstrap):
        path = self.path('data', 'grastate.dat')
        if not os.path.exists(path):
            return
        with open(path) as f:
            text = f.read()
        with open(path, 'w') as f:
            f.write(re.sub(r'safe_to_bootstrap: \d', 'safe_to_bootstrap: %d' % bootstrap, text))

    def write_config(self):
        members = [n.ip for n in self.lab.nodes if n.spec.cluster == self.spec.cluster]
        tls = os.path.join(self.lab.dir, 'tls') if self.lab.options.get('tls') else None
        with open(self.path('my.cnf'), 'w') as f:
            f.write(files.render(self.spec, self.home, members or [self.ip], self.lab.options,
                                 tls))
        os.chmod(self.path('my.cnf'), 0o644)

    # ------------------------------------------------------------------ state
    @property
    def pid(self):
        """pid of this node's mariadbd, or None."""
        if self.child and self.child.poll() is None:
            return self.child.pid                # its command line is not there right after exec
        pid = read_pid(self.path('lab.pid'))
        return pid if pid and process_state(pid, self.path('my.cnf')) else None

    @property
    def frozen(self):
        pid = self.pid
        return bool(pid) and process_state(pid, self.path('my.cnf')) in ('T', 't')

    def connect(self, user=None, password='', database=None, timeout=30):
        """A PyMySQL connection: root over the unix socket, or the given user over TCP."""
        if user:
            return sql.connect(host=self.ip, port=self.port, user=user, password=password,
                               database=database, timeout=timeout)
        return sql.connect(socket=self.socket, database=database, timeout=timeout)

    def results(self, text, timeout=30, **login):
        conn = self.connect(timeout=timeout, **login)
        try:
            return sql.results(conn, text)
        finally:
            conn.close()

    def sql(self, text, timeout=30, **login):
        """Run SQL (also several statements); the rows of all results as lists of strings."""
        return [row for _, part in self.results(text, timeout, **login) for row in part]

    def value(self, text, timeout=30, **login):
        return self.sql(text, timeout, **login)[0][0]

    def wsrep(self, timeout=5):
        return {k: v for k, v in self.sql("SHOW GLOBAL STATUS LIKE 'wsrep_%'", timeout)}

    def ready(self, synced=True):
        """Does it answer, and (Galera) is it Synced in a Primary component?"""
        if not os.path.exists(self.socket):
            return False
        try:
            if not (self.spec.galera and synced):
                self.sql('SELECT 1', timeout=5)
                return True
            status = self.wsrep()
            return (status.get('wsrep_local_state') == '4'
                    and status.get('wsrep_cluster_status') == 'Primary'
                    and status.get('wsrep_ready') == 'ON')
        except sql.Error:
            return False

    def tail(self, lines=30):
        text = []
        for name in ('out.log', 'error.log'):
            try:
                with open(self.path(name), errors='replace') as f:
                    text += f.readlines()
            except OSError:
                pass                             # not started yet
        return ''.join(text[-lines:])

    # ------------------------------------------------------------------ start
    def _identity(self):
        if not self.lab.root:
            return {}
        return dict(user=self.spec.uid, group=self.spec.uid, extra_groups=[])

    def recover_position(self):
        """After a crash: the position in InnoDB, which lets the node rejoin by IST."""
        try:
            with open(self.path('data', 'grastate.dat')) as f:
                text = f.read()
        except OSError:
            return None
        if not re.search(r'seqno:\s*-1', text) or ZERO_UUID in text:
            return None
        log = self.path('tmp', 'recover.log')
        p = subprocess.run([MARIADBD, '--defaults-file=' + self.path('my.cnf'),
                            '--wsrep-recover', '--log-error=' + log], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, errors='replace',
                           **self._identity())
        text = p.stdout
        if os.path.exists(log):
            with open(log, errors='replace') as f:
                text += f.read()
            os.unlink(log)
        found = re.findall(r'Recovered position:?\s*(\S+)', text)
        return found[-1] if found else None

    def spawn(self, bootstrap=False):
        """Start the process; returns at once."""
        if self.pid:
            return
        self.write_config()
        command = [MARIADBD, '--defaults-file=' + self.path('my.cnf')]
        if self.spec.galera:
            if bootstrap:
                self.edit_grastate(True)
                command.append('--wsrep-new-cluster')
            position = self.recover_position()
            if position:
                command.append('--wsrep_start_position=' + position)
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        env = dict(os.environ, PATH='/usr/sbin:/usr/bin:/sbin:/bin', HOME=self.home)
        with open(self.path('out.log'), 'a') as out:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=out, cwd=self.home, start_new_session=True,
                                          env=env, **self._identity())
        with open(self.path('lab.pid'), 'w') as f:
            f.write(str(self.child.pid))

    def wait(self, timeout=180, synced=True):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if not self.pid:
                raise LabError('node %s died:\n%s' % (self.name, self.tail(12)))
            if self.ready(synced):
                return
            time.sleep(0.05)
        raise LabError('node %s is not ready after %d s:\n%s'
                       % (self.name, timeout, self.tail(12)))

    def start(self, bootstrap=False, wait=True, timeout=180):
        """A joiner can wait for ever for a transfer that a pause has cut off: it gets a second try."""
        self.spawn(bootstrap)
        if not wait:
            return
        if self.spec.galera and not bootstrap:
            try:
                self.wait(timeout / 2)
                return
            except LabError:
                self.kill()
                self.spawn()
        self.wait(timeout)

    # ------------------------------------------------------------------ end
    def signal(self, number):
        pid = self.pid
        if not pid:
            return False
        os.kill(pid, number)
        return True

    def wait_gone(self, timeout=180):
        """Wait for the end of the process; a process that does not end in time is killed."""
        end = time.monotonic() + timeout
        while self.pid and time.monotonic() < end:
            time.sleep(0.02)
        if self.signal(signal.SIGKILL):
            while self.pid:
                time.sleep(0.02)

    def kill(self):
        done = self.signal(signal.SIGKILL)
        self.wait_gone()
        return done

    def terminate(self):
        """Ask for a clean stop without waiting for it."""
        if self.frozen:
            self.signal(signal.SIGCONT)
        return self.signal(signal.SIGTERM)

    def stop(self):
        done = self.terminate()
        self.wait_gone()
        return done

    def _settle(self, frozen):
        """A stop or continue signal takes effect a moment after kill() returned."""
        end = time.monotonic() + 30
        while self.pid and self.frozen != frozen and time.monotonic() < end:
            time.sleep(0.005)

    def freeze(self):
        done = self.signal(signal.SIGSTOP)
        self._settle(True)
        return done

    def thaw(self):
        done = self.signal(signal.SIGCONT)
        self._settle(False)
        return done
