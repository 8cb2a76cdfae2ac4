# SPDX-License-Identifier: Apache-2.0
"""The session inspector: last statements with their routes, digests, classification."""
import json
import threading
import urllib.parse

import pytest

from sealane import wait_until
from wire import WireError


@pytest.fixture
def inspected(cluster, make_sealane):
    s = make_sealane(cluster, globals_={'retain_last_statements': 20, 'query_digests': 100,
                                        'threads': 2, 'dump_last_statements': 'on_close'},
                     service={'strict_multi_stmt': 'true'})
    s.wait_healthy()
    return s


def attributes(s, wire):
    return s.get('/sessions/%d' % wire.thread_id)['attributes']


def queries(s, wire):
    return attributes(s, wire)['queries']


def digests(s, params=''):
    return {d['attributes']['text']: d['attributes'] for d in s.get('/maxscale/digests' + params)}


def test_routes_and_rules(inspected):
    names = list(inspected.servers())
    with inspected.wire(database='test') as c:
        wait_until(lambda: [k['state'] for k in attributes(inspected, c)['connections']]
                   == ['ready'] * 3, 30, 'all servers are connected')
        c.query('SET @x=1')
        c.query('SELECT a FROM t WHERE id=1')
        c.query('INSERT INTO t (a) VALUES (7)')
        c.query('BEGIN')
        c.query('SELECT a FROM t WHERE id=2')
        c.query('COMMIT')
        st = c.prepare('SELECT b FROM t WHERE id=?')
        c.execute(st, (1,))
        with pytest.raises(WireError):
            c.query('SELECT nothing FROM nowhere')
        found = {q['statement']: q for q in queries(inspected, c)}
        read = found['SELECT a FROM t WHERE id=1']
        assert (read['target'], read['rule']) == ('replica', 'read outside a transaction')
        assert [r['server'] in names[1:] for r in read['responses']] == [True]
        assert read['rows'] == 1 and read['completed'] >= read['received']
        write = found['INSERT INTO t (a) VALUES (7)']
        assert (write['target'], write['rule']) == ('primary', 'write')
        in_trx = found['SELECT a FROM t WHERE id=2']
        assert in_trx['rule'] == 'transaction open on ' + names[0]
        assert in_trx['responses'][0]['server'] == names[0]
        executed = [q for q in queries(inspected, c) if q['command'] == 'COM_STMT_EXECUTE']
        assert executed[0]['statement'] == 'SELECT b FROM t WHERE id=?'
        assert found['SELECT nothing FROM nowhere']['error'] in (1054, 1146)
        wait_until(lambda: all(r['state'] == 'ok' for q in queries(inspected, c)
                               for r in q['responses'] if q['statement'] == 'SET @x=1'),
                   30, 'every server has answered the SET')
        a = attributes(inspected, c)
        assert {r['server'] for q in a['queries'] if q['statement'] == 'SET @x=1'
                for r in q['responses']} == set(names)
        assert [h['statement'] for h in a['history']] == ['SET @x=1']
        assert [p['statement'] for p in a['prepared_statements']] == ['SELECT b FROM t WHERE id=?']
        assert a['memory']['last_queries'] > 0 and a['activity'] == 'idle'
        shown = inspected.ctl('show', 'session', str(c.thread_id))
        assert 'read outside a transaction -> replica' in shown and 'SELECT b FROM t' in shown
        assert names[0] + ': Master, ready' in shown


def test_a_lock_is_told(inspected):
    with inspected.wire(database='test') as c:
        c.query('DO 1; DO 2')
        c.query('SELECT 1')
        assert queries(inspected, c)[0]['rule'] == 'locked: strict_multi_stmt'
        assert 'strict_multi_stmt' in attributes(inspected, c)['locked_to_primary']
        assert 'strict_multi_stmt' in inspected.ctl('show', 'session', str(c.thread_id))


def test_a_running_statement(inspected, cluster):
    with inspected.wire(database='test') as c:
        c.query('SELECT 1')
        worker = threading.Thread(target=lambda: c.query("SELECT GET_LOCK('inspector', 60)"))
        with cluster.nodes[0].connect() as own:
            with own.cursor() as cursor:
                cursor.execute("SELECT GET_LOCK('inspector', 60)")
                worker.start()
                try:
                    wait_until(lambda: [r['state'] for q in queries(inspected, c)
                                        if q['statement'].endswith('60)')
                                        for r in q['responses']] == ['pending'], 30, 'it is sent')
                    now = queries(inspected, c)[0]
                    assert now['statement'].endswith('60)') and 'completed' not in now
                    assert 'GET_LOCK' in inspected.ctl('list', 'queries')
                finally:
                    cursor.execute("SELECT RELEASE_LOCK('inspector')")
        worker.join(30)
        wait_until(lambda: 'completed' in queries(inspected, c)[0], 30, 'it is complete')


def test_a_server_that_dies_is_seen(inspected, cluster):
    """A read that was retried tells both servers."""
    names = list(inspected.servers())
    with inspected.wire(database='test', timeout=60) as c:
        c.query('SELECT 1')
        victim = queries(inspected, c)[0]['responses'][0]['server']
        node = cluster.nodes[names.index(victim)]
        others = [n for n in names if n != victim]
        failed = []

        def retried():
            return [q['responses'] for q in queries(inspected, c)
                    if len(q['responses']) > 1 and q['responses'][0]['server'] == victim]

        def reads():
            """Until the victim has got one, which it would not answer for a long time."""
            try:
                while not retried():
                    c.query("SELECT SLEEP(IF(@@wsrep_node_name='galera-%s', 600, 0))" % node.name)
            except Exception as e:               # any error at all fails the test
                failed.append(e)
        waiting = threading.Thread(target=reads, daemon=True)
        waiting.start()
        try:
            wait_until(lambda: node.sql("SELECT 1 FROM information_schema.processlist WHERE "
                                        "user='app' AND info LIKE 'SELECT SLEEP%'"),
                       30, 'the victim reads')
            node.freeze()
            waiting.join(60)
        finally:
            node.thaw()
        assert not waiting.is_alive() and not failed, failed
        assert retried()[0][0]['state'] == 'lost'
        assert retried()[0][1]['server'] in others


def test_passwords_are_nowhere(inspected):
    with inspected.wire(database='test') as c:
        for text in ("SET PASSWORD FOR nobody@'%' = PASSWORD('t0psecret')",
                     "CREATE USER gone@'%' IDENTIFIED BY 't0psecret'",
                     "PREPARE s FROM 'SET PASSWORD FOR nobody = PASSWORD(''t0psecret'')'",
                     "SET STATEMENT sql_mode='' FOR SELECT PASSWORD('t0psecret')",
                     "SET PASSWORD FOR nobody = 't0psecret"):
            try:
                c.query(text)
            except WireError:
                pass
        sid = c.thread_id
        everything = json.dumps(inspected.get('/sessions/%d' % sid)) + \
            json.dumps(inspected.get('/maxscale/digests')) + \
            inspected.ctl('show', 'session', str(sid))
        assert 'PASSWORD' in everything and 't0psecret' not in everything
    wait_until(lambda: inspected.log_text().count('Stmt ') == 5, 30, 'the dump of the statements')
    assert 't0psecret' not in inspected.log_text()


def test_digests(inspected):
    clients = [inspected.wire(database='test') for _ in range(4)]
    try:
        for i in range(25):
            for c in clients:
                c.query('SELECT a FROM t WHERE id=%d' % i)
        for rows in (2, 3, 50):
            clients[0].query('INSERT INTO t (a) VALUES ' + ','.join('(%d)' % n for n in range(rows)))
        with pytest.raises(WireError):
            clients[0].query('SELECT a FROM missing WHERE id=1')
        st = clients[1].prepare('SELECT b FROM t WHERE id=?')
        for _ in range(5):
            clients[1].execute(st, (1,))
    finally:
        for c in clients:
            c.close()
    found = digests(inspected)
    read = found['SELECT a FROM t WHERE id=?']
    assert read['count'] == 100 and read['errors'] == 0 and read['service'] == 'Service'
    assert 0 < read['p50_us'] <= read['p95_us'] <= read['p99_us'] <= read['max_us']
    assert read['total_us'] >= read['max_us'] and read['rows'] == 12
    assert sum(b['count'] for b in read['histogram']) == 100
    assert found['INSERT INTO t (a) VALUES (?), ...']['count'] == 3
    assert found['SELECT a FROM missing WHERE id=?']['errors'] == 1
    assert found['SELECT b FROM t WHERE id=?']['count'] == 5
    assert [d['attributes']['count'] for d in
            inspected.get('/maxscale/digests?sort=count&limit=1')] == [100]
    only = inspected.get('/maxscale/digests?filter=/attributes/errors=gt(0)')
    assert [d['attributes']['text'] for d in only] == ['SELECT a FROM missing WHERE id=?']
    for bad in ('sort=name', 'limit=0', 'limit=x'):
        assert inspected.request('GET', '/maxscale/digests?' + bad)[0] == 400
    rows = inspected.ctl('--tsv', 'list', 'digests', '--sort=count').splitlines()
    assert rows[0].split('\t')[2] == '100' and len(rows[0].split('\t')) == 13
    assert inspected.ctl('clear', 'digests').strip() == 'OK'
    assert digests(inspected) == {}


def test_digests_are_bounded(inspected):
    """Statements that are each another one: the table keeps its size, the sums stay right."""
    with inspected.wire(database='test') as c:
        for i in range(400):
            c.query('SELECT 1 AS name_%d' % i)
    rows = inspected.get('/maxscale/digests')
    assert len(rows) <= 201                       # two workers and the row of what was thrown out
    assert sum(d['attributes']['count'] for d in rows) == 400
    assert any(d['attributes']['digest'] == '(others)' for d in rows)


def test_classify(inspected):
    def classify(sql):
        path = '/maxscale/query_classifier/classify?sql=' + urllib.parse.quote(sql)
        return inspected.get(path)['attributes']
    a = classify("SELECT f(a), NOW() FROM db.t WHERE id = 'x'")
    assert a['parse_result'] == 'Parser::Result::PARSED'
    assert a['operation'] == 'sql::OP_SELECT' and 'sql::TYPE_READ' in a['type_mask']
    assert a['canonical'] == 'SELECT f(a), NOW() FROM db.t WHERE id = ?'
    assert [f['name'] for f in a['functions']] == ['f', 'NOW'] and a['has_where_clause']
    assert a['tables'] == ['db.t'] and a['routing'][0]['target'] == 'primary'
    assert classify('SELECT 1')['routing'] == [
        {'service': 'Service', 'router': 'readwritesplit', 'target': 'replica',
         'rule': 'read outside a transaction'}]
    for sql, operation in (('CREATE TABLE a (b INT)', 'CREATE_TABLE'), ('DROP TABLE a', 'DROP_TABLE'),
                           ('REVOKE ALL ON *.* FROM a', 'REVOKE'), ('USE x', 'CHANGE_DB'),
                           ("LOAD DATA LOCAL INFILE 'x' INTO TABLE a", 'LOAD_LOCAL'),
                           ('SET TRANSACTION READ ONLY', 'SET_TRANSACTION')):
        assert classify(sql)['operation'] == 'sql::OP_' + operation
    assert classify('gibberish')['parse_result'] == 'Parser::Result::INVALID'
    assert inspected.request('GET', '/maxscale/query_classifier/classify')[0] == 400


def test_changes_while_running(sealane):
    """On, off and bounded by the service's own value, for a session that is open meanwhile."""
    def patch(path, **parameters):
        return sealane.request('PATCH', path, {'data': {'attributes': {'parameters': parameters}}})

    def parameters(path):
        return sealane.get(path)['attributes']['parameters']
    with sealane.wire(database='test') as c:
        assert sealane.ctl('alter', 'maxscale', 'retain_last_statements=3',
                           'query_digests=10').strip() == 'OK'
        for i in range(5):
            c.query('SELECT %d' % i)
        assert [q['statement'] for q in queries(sealane, c)] == ['SELECT 4', 'SELECT 3', 'SELECT 2']
        assert digests(sealane)['SELECT ?']['count'] == 5
        assert parameters('/maxscale')['retain_last_statements'] == 3
        assert sealane.ctl('alter', 'service', 'Service', 'retain_last_statements=1').strip() == 'OK'
        assert parameters('/services/Service')['retain_last_statements'] == 1
        c.query('SELECT 5')
        assert [q['statement'] for q in queries(sealane, c)] == ['SELECT 5']
        for path, bad in (('/maxscale', {'query_digests': 1000000}), ('/maxscale', {'threads': 2}),
                          ('/maxscale', {'nothing': 1}), ('/maxscale', {'query_digests': []}),
                          ('/maxscale', {'query_digests': 5, 'dump_last_statements': 'often'}),
                          ('/services/Service', {'retain_last_statements': -2})):
            code, body = patch(path, **bad)
            assert code == 400 and list(bad)[-1] in body['errors'][-1]['detail'], (bad, body)
        assert patch('/services/None', retain_last_statements=1)[0] == 404
        assert parameters('/maxscale')['query_digests'] == 10
        assert patch('/maxscale', retain_last_statements=None, query_digests=0)[0] == 204
        assert patch('/services/Service', retain_last_statements=None)[0] == 204
        c.query('SELECT 6')
        assert queries(sealane, c) == [] and digests(sealane) == {}


def test_off_is_off(sealane):
    with sealane.wire(database='test') as c:
        c.query('SELECT 1')
        assert queries(sealane, c) == [] and sealane.get('/maxscale/digests') == []
    p = sealane.ctl('list', 'digests', check=False)
    assert p.returncode == 1 and 'query_digests' in p.stderr
