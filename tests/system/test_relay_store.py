# SPDX-License-Identifier: Apache-2.0
"""The relay's disk: full and back, the archive away and back, files damaged or gone; many replicas
under a write load."""
import os
import re
import subprocess
import threading

import pytest

import binlog_client as bc
from relay import (LONG, attach, binlog_files, binlog_pos, replica_reaches, same_data,
                   same_groups)
from sealane import IS_SANITIZED, SEALANED, wait_until

READER = os.path.join(os.path.dirname(os.path.realpath(SEALANED)), '..', '..', 'tests', 'bench',
                      'bench-binlog-reader')


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own for the store, and a function that sets its size."""
    path = tmp_path / 'disk'
    path.mkdir()
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', str(path)], check=True)

    def resize(size):
        subprocess.run(['mount', '-o', 'remount,size=' + size, str(path)], check=True)
    yield str(path), resize
    subprocess.run(['umount', '-l', str(path)], check=True)


@pytest.mark.root
def test_disk_full_and_back(trio, relay_lab, make_relay, small_disk):
    """It says so, serves what it has, and goes on by itself when there is room."""
    primary, a, _ = trio
    path, resize = small_disk
    relay = make_relay(relay_lab, datadir=path + '/binlogs').follow(primary)
    attach(a, relay, '')
    primary.sql("INSERT INTO d.t (tag) VALUES ('before')")
    relay.catches_up(primary)
    before = binlog_pos(primary)
    for i in range(12):
        primary.sql("INSERT INTO d.t (tag, b) VALUES ('big', REPEAT('%d', 1000000))" % (i % 10))
    last = binlog_pos(primary)

    def told():
        text = str(relay.status()['Last_IO_Error']) + relay.log_text()
        return re.search(r'full|no space', text, re.I)
    wait_until(told, 20, 'the relay says that the disk is full')
    assert covers_not(relay, last)
    with relay.binlog_client() as c:
        c.hello(position='')
        c.dump()
        c.until_group(before)
    resize('100m')
    relay.catches_up(primary)
    replica_reaches(a, last)
    same_data(primary, a)
    same_groups(relay, primary)
    wait_until(lambda: relay.status()['Last_IO_Errno'] == '0', 10, 'no error is left')


def covers_not(relay, position):
    return int(relay.position().split('-')[2]) < int(position.split('-')[2])


@pytest.mark.root
def test_killed_while_the_disk_is_full(trio, relay_lab, make_relay, small_disk):
    primary, a, _ = trio
    path, resize = small_disk
    relay = make_relay(relay_lab, datadir=path + '/binlogs').follow(primary)
    relay.catches_up(primary)
    for i in range(12):
        primary.sql("INSERT INTO d.t (tag, b) VALUES ('big', REPEAT('%d', 1000000))" % (i % 10))
    wait_until(lambda: re.search(r'full|no space', relay.log_text(), re.I), 20, 'the disk is full')
    relay.kill()
    relay.start()
    attach(a, relay, '')
    resize('100m')
    relay.catches_up(primary)
    replica_reaches(a, binlog_pos(primary))
    same_data(primary, a)
    same_groups(relay, primary)


def test_archive_gone_and_back(trio, relay_lab, make_relay, tmp_path):
    primary, a, _ = trio
    archive, away = tmp_path / 'archive', tmp_path / 'away'
    archive.mkdir()
    relay = make_relay(relay_lab, expiration_mode='archive', archivedir=str(archive),
                       expire_log_duration='1s', expire_log_minimum_files=1,
                       purge_startup_delay='1s', purge_poll_timeout='1s').follow(primary)
    relay.catches_up(primary)
    os.rename(archive, away)
    for i in range(3):
        primary.sql("INSERT INTO d.t (tag) VALUES ('%d'); FLUSH BINARY LOGS" % i)
    relay.catches_up(primary)
    wait_until(lambda: len(relay.names()) == 4, 30, 'four files')
    wait_until(lambda: str(archive) in relay.log_text(), 30, 'it says that the archive is away')
    assert len(relay.files()) == 4                   # and keeps everything
    os.rename(away, archive)
    wait_until(lambda: len(relay.files()) == 1, 20, 'the archive gets the files')
    attach(a, relay, '')
    replica_reaches(a, binlog_pos(primary))
    same_data(primary, a)


def files_of(relay, primary, count=3):
    for i in range(count - 1):
        primary.sql("INSERT INTO d.t (tag) VALUES ('%d'); FLUSH BINARY LOGS" % i)
    primary.sql("INSERT INTO d.t (tag) VALUES ('last')")
    relay.catches_up(primary)
    wait_until(lambda: len(relay.names()) == count, 10, '%d files' % count)


def everything(relay):
    with relay.binlog_client() as c:
        c.hello(position='')
        c.dump(flags=bc.NON_BLOCK | bc.SEND_ANNOTATE).until_end()
        return c.groups.groups


@pytest.mark.parametrize('cut', [1, 5, 30, 200])
def test_torn_tail(relay, trio, cut):
    """The last file ends in the middle of something: cut back to a group and fetched again."""
    primary = trio[0]
    files_of(relay, primary)
    relay.kill()
    path = relay.files()[-1]
    size = os.path.getsize(path)
    with open(path, 'r+b') as f:
        f.truncate(max(0, size - cut))
    relay.start()
    relay.catches_up(primary)
    same_groups(relay, primary)


@pytest.mark.parametrize('what', ['garbage behind', 'zeros behind', 'a new file', 'an empty file'])
def test_tails_of_other_kinds(relay, trio, what):
    primary = trio[0]
    files_of(relay, primary)
    relay.kill()
    path = relay.files()[-1]
    if what == 'an empty file':
        open(path[:-6] + '%06d' % (int(path[-6:]) + 1), 'w').close()
    elif what == 'a new file':
        with open(path[:-6] + '%06d' % (int(path[-6:]) + 1), 'wb') as f:
            f.write(bc.MAGIC + bc.format_description()[:60])
    else:
        with open(path, 'ab') as f:
            f.write(os.urandom(300) if 'garbage' in what else bytes(5000))
    relay.start()
    relay.catches_up(primary)
    primary.sql("INSERT INTO d.t (tag) VALUES ('after')")
    relay.catches_up(primary)
    same_groups(relay, primary)
    assert everything(relay) == bc.Groups().read_files(binlog_files(primary)).groups


def test_indexes_gone_or_wrong(relay, trio):
    """They are made again; the positions they give are right."""
    primary = trio[0]
    files_of(relay, primary)
    relay.kill()
    for name in os.listdir(relay.datadir):
        path = os.path.join(relay.datadir, name)
        if name == 'binlog.index' or name.endswith('000001.gtidx'):
            os.unlink(path)
        elif name.endswith('.gtidx'):
            with open(path, 'r+b') as f:
                f.write(os.urandom(40))
    relay.start()
    relay.catches_up(primary)
    same_groups(relay, primary)
    want = list(bc.Groups().read_files(binlog_files(primary)).groups)
    for i, gtid in enumerate(want):
        with relay.binlog_client() as c:
            c.hello(position=gtid)
            c.dump(flags=3).until_end()
            assert list(c.groups.groups) == want[i + 1:]
    assert len(relay.index()) == 3


def test_two_relays_in_one_directory(relay, trio, relay_lab, make_relay):
    """The second one does not start, and says why."""
    relay.catches_up(trio[0])
    second = make_relay(relay_lab, start=False, datadir=relay.datadir)
    second.start(wait=False)
    code = second.process.wait(60)
    assert code != 0 and relay.datadir in second.log_text()
    second.process = None
    trio[0].sql("INSERT INTO d.t (tag) VALUES ('still')")
    relay.catches_up(trio[0])


# ---------------------------------------------------------------------------- load
def test_ten_replicas_under_load(relay, trio):
    """Ten readers besides a real replica; lag, memory and CPU, which are printed."""
    primary, a, _ = trio
    if not os.path.exists(READER):
        pytest.skip('bench-binlog-reader is not built')
    primary.sql('CREATE DATABASE app; CREATE TABLE app.follow (id INT PRIMARY KEY AUTO_INCREMENT, '
                'k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL)')
    relay.catches_up(primary)
    attach(a, relay, '')
    replica_reaches(a, binlog_pos(primary))
    seconds = 600 if LONG else 6
    before, cpu, peak = relay.rss_kb(), sum(relay.cpu_s()), [0]
    done = threading.Event()

    def watch():
        while not done.wait(0.2):
            peak[0] = max(peak[0], relay.rss_kb())
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        p = subprocess.run([READER, 'follow', relay.host, str(relay.port), '10', primary.ip,
                            str(primary.port), '350', str(seconds)], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=seconds + 300,
                           env={**os.environ, 'ASAN_OPTIONS': 'detect_leaks=0'})  # a tool, ends at once
    finally:
        done.set()
        watcher.join()
    used = sum(relay.cpu_s()) - cpu
    assert p.returncode == 0, p.stderr
    count, p50, p99, worst = map(int, p.stdout.split())
    print('%d arrivals, p50 %d us, p99 %d us, max %d us, RSS %d to %d kB, CPU %.1f %%'
          % (count, p50, p99, worst, before, peak[0], 100 * used / seconds))
    assert count == 10 * 350 * seconds
    assert IS_SANITIZED or peak[0] < 64 << 10
    replica_reaches(a, binlog_pos(primary))
    assert a.sql('CHECKSUM TABLE app.follow') == primary.sql('CHECKSUM TABLE app.follow')
    primary.sql('SET SESSION sql_log_bin=0; DROP DATABASE app')
    a.sql('STOP SLAVE; SET SESSION sql_log_bin=0; DROP DATABASE app')
