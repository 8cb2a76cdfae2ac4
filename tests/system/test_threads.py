# SPDX-License-Identifier: Apache-2.0
"""Several workers under load while everything else goes on: what a thread sanitizer should watch.

It says little on the ordinary programs; `tests/run --tsan` runs it for half a minute on those built
with TSan, whose reports fail the test when the daemon is stopped.
"""
import os
import threading
import time

import pytest

import load
from sealane import wait_until
from wire import Lost, Wire, WireError

SECONDS = 30 if os.environ.get('SEALANE_LONG') else 6
ROUTES = ('/servers', '/services', '/sessions', '/listeners', '/monitors', '/maxscale/threads',
          '/maxscale', '/servers/Galera-72', '/services/Service')


def come_and_go(conn, session):
    """A session of its own, with prepared statements and a session command."""
    with Wire(*session.address, database='test', timeout=60) as other:
        other.query('SET @a = %d' % session.done)
        other.query('SELECT @a, COUNT(*) FROM t')
    load.write(conn, session)


def watch(sealane, stop, seen):
    """What exporters and administrators do meanwhile."""
    turn = 0
    while not stop.is_set() or turn % 2:         # ends with the drain cleared
        for route in ROUTES:
            sealane.get(route)
        assert sealane.request('GET', '/metrics')[0] == 200
        turn += 1
        code, _ = sealane.request('PUT', '/servers/Galera-73/%s?state=drain'
                                  % ('set' if turn % 2 else 'clear'))
        assert code in (204, 400)                # 400: it is the Master for a moment
        try:
            with Wire('127.0.0.1', sealane.port, timeout=30) as conn:
                conn.query('SELECT SLEEP(0)')
        except (WireError, Lost, OSError):
            pass                                 # while the cluster holds still
        seen.append(turn)
        stop.wait(0.1)
    seen.append('ended')


@pytest.mark.slow
def test_workers_monitor_and_rest_under_load(cluster, make_sealane):
    s = make_sealane(cluster, globals_={'threads': 4, 'log_info': 'false'},
                     service={'retain_last_statements': '5'})
    s.wait_healthy()
    stop, seen = threading.Event(), []
    watcher = threading.Thread(target=watch, args=(s, stop, seen), daemon=True)
    watcher.start()
    with load.Load(s.port, load.transaction, 6) as trx, load.Load(s.port, load.read, 4) as reads, \
            load.Load(s.port, come_and_go, 4) as short:
        end = time.monotonic() + SECONDS
        wait_until(lambda: trx.done() > 30 and reads.done() > 30 and short.done() > 10, 120, 'load')
        cluster.node('72').kill()
        s.wait_states({'Galera-72': 'Down'}, 60)
        at = reads.done(), trx.done()
        wait_until(lambda: reads.done() > at[0] + 10 and trx.done() > at[1] + 5, 120, 'it goes on')
        cluster.node('72').start()
        s.wait_states({'Galera-72': 'Slave, Synced, Running'}, 120)
        wait_until(lambda: time.monotonic() > end, SECONDS + 60, 'the end of the load')
    stop.set()
    watcher.join(120)
    assert seen[-1] == 'ended' and len(seen) > 3
