# SPDX-License-Identifier: Apache-2.0
"""Ready-made data directories, kept in the user's cache so that a second `up` takes a second.

Two kinds: a plain one (accounts only), and one per Galera cluster that already carries the
cluster's uuid and position.  A grastate.dat alone is not enough for the latter (the server refuses
a state that InnoDB does not confirm), so a node is bootstrapped once and stopped cleanly.  The
cache key holds the server's version and everything that shaped the content.
"""
import dataclasses
import fcntl
import hashlib
import os
import shutil
import subprocess

from . import files
from .errors import LabError
from .node import MARIADBD, Node


def cache_dir():
    base = os.environ.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache')
    return os.path.join(base, 'sealane-lab')


def _key(*parts):
    version = subprocess.run([MARIADBD, '--version'], stdout=subprocess.PIPE, text=True).stdout
    return hashlib.sha256('\n'.join((version,) + parts).encode()).hexdigest()[:16]


def _cached(name, make):
    """Path of the cached directory `name`, made by make(new directory) if it is not there."""
    base = cache_dir()
    os.makedirs(base, exist_ok=True)
    path = os.path.join(base, name)
    with open(path + '.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            fresh = path + '.new'
            shutil.rmtree(fresh, ignore_errors=True)
            make(fresh)
            os.rename(fresh, path)
    return path


def plain(lab):
    """An initialised data directory with the lab's accounts."""
    def make(target):
        work = os.path.join(lab.dir, 'template')
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work + '/tmp')
        with open(work + '/users.sql', 'w') as f:
            f.write(files.USERS)
        user = ['--user=root'] if lab.root else []
        p = subprocess.run(
            ['mariadb-install-db', '--no-defaults', '--datadir=' + work + '/data',
             '--skip-test-db', '--auth-root-authentication-method=normal', '--skip-name-resolve',
             '--innodb-log-file-size=16M', '--innodb-buffer-pool-size=32M',
             '--tmpdir=' + work + '/tmp', '--extra-file=' + work + '/users.sql'] + user,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if p.returncode:
            raise LabError('mariadb-install-db failed:\n' + p.stdout[-3000:])
        shutil.move(work + '/data', target)
        shutil.rmtree(work)
    return _cached('plain-' + _key(files.USERS), make)


def galera(lab, node):
    """A data directory that is a member of the cluster's history already (needs IST only)."""
    def make(target):
        spec = dataclasses.replace(node.spec, name='template-' + node.spec.cluster, binlog=False)
        maker = Node(lab, spec)
        maker.fill(plain(lab))
        options, lab.options = lab.options, dict(lab.options, tls=False, set=[])
        try:    # the template serves labs with and without certificates and settings
            maker.start(bootstrap=True)
        finally:
            maker.stop()
            lab.options = options
        for name in ('galera.cache', 'gvwstate.dat'):
            if os.path.exists(maker.path('data', name)):
                os.unlink(maker.path('data', name))
        maker.edit_grastate(False)
        shutil.move(maker.path('data'), target)
        shutil.rmtree(maker.home)
    text = '%s %s %s' % (node.spec.cluster, node.spec.server_id, node.spec.wsrep_domain)
    return _cached('galera-%s-%s' % (node.spec.cluster, _key(files.USERS, files.GALERA, text)),
                   make)
