# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the system tests.

One Galera cluster of three serves most tests; the fixture `cluster` heals it before each of them,
so a test may kill and freeze as it likes.  The labs end with the test run in whatever way that ends
(lab.guard).
"""
import os
import sys
import tempfile
import shutil
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(os.path.dirname(HERE))]

import relay as relay_helpers                             # noqa: E402  (paths first)
from lab import Lab, LabError                             # noqa: E402
from sealane import Sealane, SEALANED, wait_until         # noqa: E402


def pytest_configure(config):
    config.addinivalue_line('markers', 'slow: takes more than ten seconds')
    config.addinivalue_line('markers', 'lab: tests of the lab itself, no daemon needed')
    config.addinivalue_line('markers', 'root: needs root')


def pytest_collection_modifyitems(config, items):
    for item in items:
        if 'root' in item.keywords and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason='needs root'))


@pytest.fixture(scope='session')
def work():
    path = tempfile.mkdtemp(prefix='sealane-test-')
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def make_lab(work, name, directory=None, **kw):
    lab = Lab(os.path.join(work, directory or name))
    try:
        lab.up(name, guarded=True, **kw)
        yield lab
    finally:
        lab.down(wipe=True)


@pytest.fixture(scope='session')
def galera3(work):
    yield from make_lab(work, 'galera3', use_tls=True, settings=['max_allowed_packet=64M'])


@pytest.fixture(scope='session')
def repl3(work):
    yield from make_lab(work, 'repl3')


@pytest.fixture(scope='session')
def single(work):
    yield from make_lab(work, 'single')


def is_whole(lab):
    """All nodes are Synced in the same view. A node just thawed may still show the view it slept in."""
    said = [n.wsrep() if n.ready() else {} for n in lab.nodes]
    return len({(w.get('wsrep_cluster_conf_id'), w.get('wsrep_cluster_size')) for w in said}) == 1 \
        and said[0].get('wsrep_cluster_size') == str(len(lab.nodes))


def begin_again(lab):
    """The first node alone, the others with empty data directories: for a group that stays apart."""
    for n in lab.nodes:
        n.kill()
    lab.nodes[0].start(bootstrap=True)
    for n in lab.nodes[1:]:
        n.fill(None)
        n.start()


def gather(lab):
    """Start the dead nodes and wait for all in one cluster."""
    if not any(n.pid for n in lab.nodes):
        lab.nodes[0].start(bootstrap=True)
    for n in lab.nodes:
        if not n.pid:
            n.start()
    wait_until(lambda: is_whole(lab), 60, 'all nodes in one cluster')


def repair(lab):
    """Bring every node of a Galera lab back to Synced, starting the dead ones."""
    if lab.cuts:
        lab.heal()
    for n in lab.nodes:
        if n.frozen:
            n.thaw()
    try:
        gather(lab)
    except (AssertionError, LabError):           # after a long pause some groups never recover
        begin_again(lab)
        wait_until(lambda: is_whole(lab), 180, 'all nodes in one cluster')
    for n in lab.nodes:
        n.sql('SET GLOBAL read_only=OFF; SET GLOBAL wsrep_desync=OFF;'
              'SET GLOBAL general_log=OFF; SET GLOBAL wsrep_reject_queries=NONE')


@pytest.fixture
def cluster(galera3):
    """The Galera lab, healthy, with an empty database `test` and the account app@'%'."""
    def fill():                                  # a view that is about to change answers 1047
        repair(galera3)
        galera3.nodes[0].sql('DROP DATABASE IF EXISTS test; CREATE DATABASE test;'
                             'CREATE TABLE test.t (id INT PRIMARY KEY AUTO_INCREMENT, a INT, '
                             'b LONGBLOB); INSERT INTO test.t (id, a) VALUES (1,10),(2,20),(3,30)')
        return True
    wait_until(fill, 180, 'a healthy cluster with its data')
    # without the wait the rows may be those of the test before
    for n in galera3.nodes[1:]:
        wait_until(lambda n=n: n.value('SET SESSION wsrep_sync_wait=1; '
                                       'SELECT COUNT(*) FROM test.t') == '3', 60, 'data on all')
    return galera3


def client_connections(node):
    """Connections to a node that are not the lab's and not the server's own."""
    return node.sql("SELECT id, user, host, command, info FROM information_schema.processlist "
                    "WHERE user NOT IN ('root', 'system user', 'event_scheduler', 'repl_user') "
                    "AND command <> 'Binlog Dump'")


def no_leaks(lab):
    for n in lab.nodes:
        if n.pid and not n.frozen and n.ready(synced=False):
            wait_until(lambda n=n: not client_connections(n), 60,
                       'no connection left on %s' % n.name)


@pytest.fixture
def make_sealane(tmp_path, request):
    """Factory of daemons: make(lab, **write) starts one; all are stopped and checked at the end."""
    if not os.path.exists(SEALANED):
        pytest.skip('%s is not built' % SEALANED)
    made = []

    def make(lab, start=True, **config):
        s = Sealane(tmp_path / ('sealane%d' % len(made)), lab)
        made.append(s)
        s.write(**config)
        if start:
            s.start()
        return s
    yield make
    failed = getattr(request.node, 'failed', False)
    try:
        for s in made:
            if failed:
                print(s.tail(80))
            s.stop()
        for lab in {id(s.lab): s.lab for s in made}.values():
            no_leaks(lab)
    finally:
        for s in made:
            s.abandon()


@pytest.fixture(scope='session')
def relay_lab(work):
    """Three plain servers: a primary and what tests of the binlog relay make replicas."""
    yield from make_lab(work, 'repl3', settings=relay_helpers.SETTINGS, directory='relay3',
                        use_tls=True)


@pytest.fixture
def trio(relay_lab):
    """The servers of relay_lab with empty binlogs; the primary with an empty database d."""
    for n in relay_lab.nodes:
        relay_helpers.clean(n)
    relay_lab.nodes[0].sql(relay_helpers.TABLES)
    yield relay_lab.nodes
    relay_helpers.Writer.end_all()               # of a test that failed


@pytest.fixture
def make_relay(tmp_path, request):
    """Factory: make(lab, **configure) starts a relay; all are stopped and checked at the end."""
    if not os.path.exists(SEALANED):
        pytest.skip('%s is not built' % SEALANED)
    made = []

    def make(lab, start=True, **config):
        r = relay_helpers.Relay(tmp_path / ('relay%d' % len(made)), lab)
        made.append(r)
        r.configure(**config)
        if start:
            r.start()
        return r
    yield make
    try:
        for r in made:
            if getattr(request.node, 'failed', False):
                print(r.tail(80))
            r.stop()
    finally:
        for r in made:
            r.abandon()


@pytest.fixture
def relay(trio, relay_lab, make_relay):
    """A relay that follows the primary."""
    return make_relay(relay_lab).follow(trio[0])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        item.failed = True


@pytest.fixture
def sealane(cluster, make_sealane):
    """readwritesplit over the healthy cluster, states known."""
    s = make_sealane(cluster)
    s.wait_healthy()
    return s


@pytest.fixture(scope='session')
def run():
    """Run a program, return its output, fail with it."""
    def call(argv, timeout=300, **kw):
        p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=timeout, errors='replace', **kw)
        assert p.returncode == 0, '%s\n%s' % (' '.join(argv), p.stdout[-4000:])
        return p.stdout
    return call
