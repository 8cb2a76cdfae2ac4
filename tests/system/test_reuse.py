# SPDX-License-Identifier: Apache-2.0
"""reuse_prepared_statements on real servers: the answer that serves again, and what it runs."""
import struct

import pytest

import wire
from sealane import wait_until

TEXT = 'SELECT a, b FROM t WHERE id=? AND a>?'


@pytest.fixture
def reusing(cluster, make_sealane):
    s = make_sealane(cluster, service={'reuse_prepared_statements': 'true'})
    s.wait_healthy()
    return s


def reused(s):
    return s.get('/services/Service')['attributes']['router_diagnostics'][
        'prepared_statements_reused']


def raw_prepare(conn, text):
    """All packets of the answer to a PREPARE."""
    conn.command(wire.COM_STMT_PREPARE, text.encode())
    packets = [conn.recv()]
    columns, params = struct.unpack_from('<HH', packets[0], 5)
    has_eof = not conn.caps & wire.DEPRECATE_EOF
    for count in (params, columns):
        packets += [conn.recv() for _ in range(count + (1 if count and has_eof else 0))]
    return packets


def close(conn, packets):
    conn.stmt_close(wire.Statement(struct.unpack_from('<I', packets[0], 1)[0], 0, 0))


@pytest.mark.parametrize('caps', [wire.DEFAULT_CAPS & ~wire.DEPRECATE_EOF,
                                  wire.DEFAULT_CAPS | wire.DEPRECATE_EOF], ids=['eof', 'no eof'])
def test_answers_are_equal(cluster, reusing, caps):
    assert 'reuse_prepared_statements' not in reusing.log_text()
    with reusing.wire(database='test', caps=caps) as conn:
        first = raw_prepare(conn, TEXT)
        close(conn, first)
        assert raw_prepare(conn, TEXT) == first
        assert reused(reusing) == 1
        close(conn, first)
        conn.query('BEGIN')
        again = raw_prepare(conn, TEXT)
        statuses = {struct.unpack_from('<H', p, 3)[0] for p in again[1:]
                    if len(p) == 5 and p[0] == 254}
        assert all(status & wire.IN_TRANS for status in statuses)
        assert bool(statuses) == (not caps & wire.DEPRECATE_EOF)
        conn.query('COMMIT')


def test_runs_again(cluster, reusing):
    """Prepare, execute, close, as many applications do: reads on replicas, writes on the primary."""
    with reusing.wire(database='test') as conn:
        for i in range(20):
            insert = conn.prepare('INSERT INTO t (id, a) VALUES (?, ?)')
            conn.execute(insert, (100 + i, i))
            conn.stmt_close(insert)
            select = conn.prepare(TEXT)
            assert conn.execute(select, (1, 0))[0].rows == [['10', None]]
            conn.stmt_close(select)
        assert conn.value('SELECT COUNT(*) FROM t WHERE id>=100 FOR UPDATE') == '20'
        assert reused(reusing) == 38


def test_database_changes_the_meaning(cluster, reusing):
    cluster.nodes[0].sql('CREATE OR REPLACE DATABASE other; CREATE TABLE other.t (a INT);'
                         "INSERT INTO other.t VALUES (99); GRANT ALL ON other.* TO app@'%'")
    for node in cluster.nodes:
        wait_until(lambda n=node: n.value('SELECT a FROM other.t', user='app', password='app') == '99',
                   30, 'the other database on all')
    with reusing.wire(database='test') as conn:
        for database, wanted in ('test', '10'), ('other', '99'), ('test', '10'):
            conn.init_db(database)
            conn.query('BEGIN')
            statement = conn.prepare('SELECT a FROM t ORDER BY a LIMIT 1')
            assert conn.execute(statement)[0].rows == [[wanted]]
            conn.stmt_close(statement)
            conn.query('COMMIT')
    cluster.nodes[0].sql("DROP DATABASE other; REVOKE ALL ON other.* FROM app@'%'")


def test_table_changes(cluster, reusing):
    """The session's own DDL: the next PREPARE tells the new columns."""
    with reusing.wire(database='test') as conn:
        conn.query('CREATE TABLE u (x INT)')
        first = conn.prepare('SELECT * FROM u FOR UPDATE')
        conn.stmt_close(first)
        conn.query('ALTER TABLE u ADD COLUMN y INT')
        assert conn.prepare('SELECT * FROM u FOR UPDATE').columns == first.columns + 1


def test_primary_killed(cluster, reusing):
    """A statement that is kept exists on the new primary too."""
    with reusing.wire(database='test', timeout=60) as conn:
        text = 'INSERT INTO t (id, a) VALUES (?, 1)'
        insert = conn.prepare(text)
        conn.execute(insert, (200,))
        conn.stmt_close(insert)
        cluster.nodes[0].kill()
        wait_until(lambda: {n.wsrep()['wsrep_cluster_size'] for n in cluster.nodes[1:]} == {'2'},
                   60, 'the others are a cluster without it')
        reusing.wait_states({'Galera-72': {'Master'}}, 60)
        again = conn.prepare(text)
        assert again.id == insert.id and reused(reusing) == 1
        conn.execute(again, (201,))
        assert conn.value('SELECT COUNT(*) FROM t WHERE id IN (200, 201) FOR UPDATE') == '2'
