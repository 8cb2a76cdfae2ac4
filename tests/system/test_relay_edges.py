# SPDX-License-Identifier: Apache-2.0
"""Clients of a relay that ask for more than they take, or for what is not there."""
import re

import pytest

from sealane import wait_until
from wire import COM_QUERY, Wire, WireError


@pytest.fixture
def relay(single, make_sealane, tmp_path):
    """A relay that replicates from nobody."""
    return make_sealane(single, router='binlogrouter',
                        service={'datadir': tmp_path / 'binlogs', 'server_id': 4000})


def client(relay):
    return wait_until(lambda: Wire('127.0.0.1', relay.port, 'maxscale', 'maxscale'), 10,
                      'accounts are there')


def rss_kb(relay):
    with open('/proc/%d/status' % relay.process.pid) as f:
        return int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1))


def test_an_error_shows_nothing_of_other_statements(relay):
    """What came before in the same buffer may be another client's password."""
    c = client(relay)
    for _ in range(5):
        c.query("SELECT '%s'" % ('SECRET' * 2000))
        with pytest.raises(WireError) as e:
            c.query(r"CHANGE MASTER TO MASTER_NOSUCH='a\n'")
        assert e.value.errno == 1064 and 'MASTER_NOSUCH' in e.value.message
        assert 'SECRET' not in e.value.message
    c.close()


def test_answers_that_nobody_takes(relay):
    """Statements of one query wait for room: their answers would be 40 MB."""
    c = client(relay)
    before, count = rss_kb(relay), 12000
    c.command(COM_QUERY, b'SHOW VARIABLES;' * count)
    other = client(relay)
    for _ in range(200):
        other.query('SELECT 1')
    assert rss_kb(relay) - before < 10000
    other.close()
    assert len(c.results()) == count
    c.close()
