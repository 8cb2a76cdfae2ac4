# SPDX-License-Identifier: Apache-2.0
"""Clients of a relay that ask for more than they take, or for what is not there."""
import os
import re

import pytest

from sealane import IS_SANITIZED, wait_until
from wire import COM_QUERY, Wire, WireError


@pytest.fixture
def relay(single, make_sealane, tmp_path):
    """A relay that replicates from nobody."""
    return make_sealane(single, router='binlogrouter',
                        service={'datadir': tmp_path / 'binlogs', 'server_id': 4000})


def client(relay):
    return wait_until(lambda: Wire('127.0.0.1', relay.port, 'maxscale', 'maxscale'), 60,
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
    """Statements of one query wait for room: their answers would be 20 MB."""
    c = client(relay)
    before, count = rss_kb(relay), 6000
    c.command(COM_QUERY, b'SHOW VARIABLES;' * count)
    other = client(relay)
    for _ in range(count // 2):                  # each is a turn of the loop at least
        other.query('SELECT 1')
    assert IS_SANITIZED or rss_kb(relay) - before < 6000
    other.close()
    assert len(c.results()) == count
    c.close()


def test_reset_master_from_many_sides(relay):
    clients = [client(relay) for _ in range(4)]
    for _ in range(20):
        for c in clients:
            c.command(COM_QUERY, b'RESET MASTER')
        for c in clients:
            c.results()
    assert clients[0].value('SELECT @@gtid_binlog_pos') == ''
    for c in clients:
        c.close()


def test_events_of_a_compressed_file(single, make_sealane, tmp_path):
    """It is expanded while it is shown: to its end, not to what there is at first."""
    relay = make_sealane(single, router='binlogrouter',
                         service={'datadir': tmp_path / 'binlogs', 'server_id': 4000,
                                  'compression_algorithm': 'zstandard',
                                  'number_of_noncompressed_files': 1})
    node, c = single.nodes[0], client(relay)
    node.sql('CREATE DATABASE relay_edges; CREATE TABLE relay_edges.t (b LONGBLOB)')
    try:
        c.query("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%d, MASTER_USER='repl_user', "
                "MASTER_PASSWORD='SecretP@ssw0rd', MASTER_USE_GTID=slave_pos; START SLAVE"
                % (node.ip, node.port))
        for _ in range(2):
            node.sql("INSERT INTO relay_edges.t VALUES (REPEAT('x', 3000000)); FLUSH LOGS")
        name = wait_until(lambda: [n for n in os.listdir(tmp_path / 'binlogs')
                                   if n.endswith('.zst')], 90, 'a compressed file')[0][:-4]
        rows = c.rows_of("SHOW BINLOG EVENTS IN '%s'" % name)
        assert [rows[0][2], rows[-1][2]] == ['Format_desc', 'Rotate'], rows[-1]
    finally:
        node.sql('DROP DATABASE relay_edges')
    c.close()
