# SPDX-License-Identifier: Apache-2.0
"""Filter hintfilter on real servers: who serves a statement with a hint in a comment."""
import itertools

import pytest

from sealane import Who, section, wait_until

TAGS = itertools.count(1)
MASTER, REPLICAS = {'71'}, {'72', '73'}


@pytest.fixture
def log(cluster):
    """The general logs of all nodes."""
    who = Who(cluster.nodes)
    yield who
    who.off()


@pytest.fixture
def hinted(cluster, log, make_sealane):
    s = make_sealane(cluster, service={'filters': 'Hints'},
                     extra=section('Hints', type='filter', module='hintfilter'))
    s.wait_healthy()
    return s


class Client:
    """A session that tells which nodes executed each of its statements."""

    def __init__(self, log, conn):
        self.log, self.conn = log, conn

    def ran_on(self, sql, how=None):
        tag = 'tag-%d-' % next(TAGS)
        self.log.mark()
        (how or self.conn.query)(sql.replace('SELECT', 'SELECT /* %s */' % tag, 1)
                                 .replace('INSERT', 'INSERT /* %s */' % tag, 1))
        return wait_until(lambda: self.log.saw(tag), 30, 'somebody runs %s' % sql)


@pytest.fixture
def client(hinted, log):
    with hinted.wire(database='test') as conn:
        yield Client(log, conn)


def test_routes(client):
    assert client.ran_on('SELECT a FROM t -- maxscale route to master') == MASTER
    assert client.ran_on('SELECT a FROM t FOR UPDATE -- maxscale route to slave') <= REPLICAS
    for name in '73', '72', '71':
        assert client.ran_on('SELECT a FROM t # maxscale route to server Galera-%s' % name) \
            == {name}
        assert client.ran_on('SELECT a FROM t /* maxscale route to last */') == {name}
    assert client.ran_on('SELECT a FROM t -- maxscale route to server nobody') <= REPLICAS
    assert client.ran_on('SELECT a FROM t -- maxscale route to master please') <= REPLICAS
    # a Galera replica takes writes: the hint is stronger than the router
    assert client.ran_on('INSERT INTO t (a) VALUES (1) -- maxscale route to server Galera-73') \
        == {'73'}


def test_stack(client):
    assert client.ran_on('SELECT 1 -- maxscale all prepare route to master') <= REPLICAS
    assert client.ran_on('SELECT 1 -- maxscale all begin') == MASTER
    assert client.ran_on('SELECT 2') == MASTER
    assert client.ran_on('SELECT 3 -- maxscale begin route to server Galera-72') == {'72'}
    assert client.ran_on('SELECT 4 -- maxscale end') == MASTER
    assert client.ran_on('SELECT 5 -- maxscale end') <= REPLICAS


def test_transactions_stay_where_they_are(client):
    client.conn.query('BEGIN')
    assert client.ran_on('SELECT a FROM t -- maxscale route to slave') == MASTER
    client.conn.query('COMMIT')
    client.conn.query('START TRANSACTION READ ONLY -- maxscale route to server Galera-73')
    assert client.ran_on('SELECT a FROM t -- maxscale route to server Galera-72') == {'73'}
    client.conn.query('COMMIT')


def test_prepared(client):
    for hint, wanted in ('route to master', MASTER), ('route to server Galera-72', {'72'}):
        def run(sql, hint=hint):
            statement = client.conn.prepare('%s -- maxscale %s' % (sql, hint))
            client.conn.execute(statement, (1,))
            client.conn.stmt_close(statement)
        assert client.ran_on('SELECT a FROM t WHERE id=?', run) == wanted


def test_lag(client):
    """Nobody is less than nothing behind: only the Master is near enough."""
    assert client.ran_on('SELECT 1 -- maxscale max_slave_replication_lag=0') == MASTER
    assert client.ran_on('SELECT 1 -- maxscale max_slave_replication_lag=5') <= REPLICAS


def test_named_server_is_killed(cluster, client):
    # the session has a connection to the one that remains
    assert client.ran_on('SELECT 0 -- maxscale route to server Galera-72') == {'72'}
    assert client.ran_on('SELECT 1 -- maxscale begin route to server Galera-73') == {'73'}
    cluster.nodes[2].kill()
    assert client.ran_on('SELECT 2') == {'72'}             # the session goes on, elsewhere
    cluster.nodes[2].start()
    cluster.nodes[2].sql('SET GLOBAL general_log=ON')
    wait_until(lambda: client.ran_on('SELECT 3') == {'73'}, 30, 'the hint is followed again')


def test_objects(hinted):
    """REST and `list filters` show the filter, and who uses it."""
    row, = hinted.get('/filters')
    assert row['id'] == 'Hints' and row['type'] == 'filters'
    assert row['attributes']['module'] == 'hintfilter'
    assert row['attributes']['parameters']['module'] == 'hintfilter'
    assert row['attributes']['source']['file'] == hinted.config
    assert [d['id'] for d in row['relationships']['services']['data']] == ['Service']
    assert hinted.get('/filters/Hints')['id'] == 'Hints'
    assert hinted.get('/filters/Hints/relationships/services')[0]['id'] == 'Service'
    assert hinted.request('GET', '/filters/nobody')[0] == 404
    filters = hinted.get('/services/Service')['relationships']['filters']['data']
    assert filters == [{'id': 'Hints', 'type': 'filters'}]
    assert hinted.get('/maxscale/modules/hintfilter')['attributes']['module_type'] == 'Filter'
    assert hinted.ctl('list', 'filters', '--tsv').split() == ['Hints', 'Service', 'hintfilter']
    assert 'hintfilter' in hinted.ctl('show', 'filter', 'Hints')


def test_refused(cluster, make_sealane):
    """Another filter module, an unknown parameter, a filter that does not exist, router tcp."""
    def check(wanted, filters='F', **values):
        s = make_sealane(cluster, start=False, service={'filters': filters},
                         extra=section('F', type='filter', **values))
        code, text = s.config_check()
        assert code != 0 and wanted in text, text
    check("filter module 'qlafilter' is not available", module='qlafilter', filebase='/tmp/x')
    check("unknown parameter 'verbose'", module='hintfilter', verbose='1')
    check("there is no such filter", filters='G', module='hintfilter')
    s = make_sealane(cluster, start=False, router='tcp', service={'filters': 'F'},
                     extra=section('F', type='filter', module='hintfilter'))
    code, text = s.config_check()
    assert code != 0 and 'it can have no filters' in text, text
