# SPDX-License-Identifier: Apache-2.0
"""The REST interface on a running daemon in front of real servers."""
import base64
import csv
import re
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request

import pytest

from sealane import wait_until

pytestmark = pytest.mark.usefixtures('cluster')


def attributes(sealane, path):
    return sealane.get(path)['attributes']


def test_servers_tell_what_the_monitor_knows(sealane):
    for s in sealane.get('/servers'):
        a = s['attributes']
        assert a['state'].endswith('Synced, Running')
        assert a['version_string'].startswith('10.')
        assert a['parameters']['address'].startswith('127.')
        assert a['parameters']['monitorpw'] is None
        assert isinstance(a['node_id'], int) and isinstance(a['read_only'], bool)
        assert a['gtid_current_pos'] is None or re.match(r'\d+-\d+-\d+', a['gtid_current_pos'])
        assert [m['id'] for m in s['relationships']['monitors']['data']] == ['Monitor']
        assert [m['id'] for m in s['relationships']['services']['data']] == ['Service']


def test_every_link_leads_somewhere(sealane):
    """All `self` links of all resources can be read, and give the resource they were found in."""
    seen = set()

    def walk(value):
        if isinstance(value, dict):
            for k, v in value.items():
                if k in ('self', 'related') and isinstance(v, str):
                    seen.add(v)
                walk(v)
        elif isinstance(value, list):
            for v in value:
                walk(v)
    for path in ('/servers', '/services', '/listeners', '/monitors', '/filters', '/maxscale',
                 '/maxscale/threads', '/maxscale/modules', '/users', '/maxscale/logs'):
        code, body = sealane.request('GET', path)
        assert code == 200, path
        walk(body)
    assert len(seen) > 30
    for link in seen:
        path = link.split('/v1', 1)[1]
        code, _ = sealane.request('GET', path)
        # A log's own link is below /maxscale/logs, which is its collection; that of a command of a
        # module is where it is called, some by POST.
        assert code == 200 or path == '/maxscale/logs/logs/' or (
            path.startswith('/maxscale/modules/') and path.strip('/').count('/') == 3), (code, link)


def test_commands_of_modules(sealane):
    listed = attributes(sealane, '/maxscale/modules/readwritesplit')['commands']
    assert [(c['id'], c['attributes']['method'], c['attributes']['arg_min'],
             c['attributes']['arg_max'], c['attributes']['parameters'][0]['type'])
            for c in listed] == [('reset-gtid', 'POST', 1, 1, 'SERVICE')]
    base = '/maxscale/modules/readwritesplit/'
    assert sealane.request('POST', base + 'reset-gtid?Service')[0] == 204
    for method, path, code, word in (
            ('GET', base + 'reset-gtid?Service', 404, 'POST'),
            ('POST', base + 'reset-gtid', 400, '0 were given'),
            ('POST', base + 'reset-gtid?Service&Service', 400, '2 were given'),
            ('POST', base + 'reset-gtid?No', 404, "'No'"),
            ('POST', base + 'rest-gtid?Service', 404, "'rest-gtid'"),
            ('POST', '/maxscale/modules/tcp/reset-gtid?Service', 404, "'tcp'"),
            ('POST', '/maxscale/modules/no/reset-gtid?Service', 404, "'no'")):
        got, body = sealane.request(method, path)
        assert got == code and word in body['errors'][0]['detail'], (path, got, body)
    assert sealane.ctl('call', 'command', 'readwritesplit', 'reset-gtid', 'Service').strip() == 'OK'


def test_maintenance_with_force_moves_sessions(sealane, cluster):
    with sealane.wire() as c:
        c.query('SELECT 1')
        sid = str(sealane.sessions()[0]['id'])
        replicas = set(list(sealane.servers())[1:])
        busy = wait_until(lambda: replicas & {
            k['server'] for k in attributes(sealane, '/sessions/' + sid)['connections']
            if k['state'] == 'ready'}, 30, 'the session has a connection to a replica')
        victim = min(busy)
        code, body = sealane.request('PUT', '/servers/%s/set?state=maintenance&force=yes' % victim)
        assert code == 204, body
        assert 'Maintenance' in sealane.states()[victim]
        wait_until(lambda: attributes(sealane, '/servers/' + victim)
                   ['statistics']['connections'] == 0, 30, 'connections closed')
        c.query('SELECT 1')
        sealane.set_state(victim, 'maintenance', clear=True)
        assert 'Maintenance' not in sealane.states()[victim]


def test_monitored_servers_take_no_roles(sealane):
    name = list(sealane.servers())[0]
    code, body = sealane.request('PUT', '/servers/%s/set?state=master' % name)
    assert code == 400 and name in body['errors'][0]['detail']
    code, body = sealane.request('PUT', '/servers/%s/set?state=odd' % name)
    assert code == 400 and 'odd' in body['errors'][0]['detail']


def test_sessions(sealane):
    with sealane.wire() as c:
        c.query('USE test')
        rows = sealane.sessions()
        assert len(rows) == 1
        a = rows[0]['attributes']
        assert a['state'] == 'Session started'
        assert a['remote'] == '127.0.0.1' and a['port'] > 0
        assert a['database'] == 'test'
        assert rows[0]['relationships']['services']['data'][0]['id'] == 'Service'
        code, _ = sealane.request('DELETE', '/sessions/%s' % rows[0]['id'])
        assert code == 200
        wait_until(lambda: not sealane.sessions(), 30, 'the session ended')
    with sealane.wire() as c:
        path = '/sessions/%s' % sealane.sessions()[0]['id']
        assert sealane.request('DELETE', path + '?ttl=600')[0] == 200
        assert sealane.request('DELETE', path + '?ttl=soon')[0] == 400
        c.query('SELECT 1')                      # ten minutes are not over
        assert sealane.request('DELETE', path + '?ttl=1')[0] == 200
        wait_until(lambda: not sealane.sessions(), 30, 'the session ended after its time')
    assert sealane.request('DELETE', '/sessions/4294967296')[0] == 404
    code, body = sealane.request('DELETE', '/sessions/999999')
    assert code == 404 and body['errors']


def test_accounts_and_roles(sealane):
    new = {'data': {'id': 'reader', 'attributes': {'password': 'pw', 'account': 'basic'}}}
    name = list(sealane.servers())[0]
    assert sealane.request('POST', '/users/inet', new)[0] == 204
    reader = {'user': 'reader', 'password': 'pw'}
    assert sealane.request('GET', '/servers', **reader)[0] == 200
    assert sealane.request('PUT', '/servers/%s/set?state=drain' % name, **reader)[0] == 401
    assert sealane.request('GET', '/servers', user='reader', password='no')[0] == 401
    assert sealane.request('DELETE', '/users/inet/admin')[0] == 400
    assert sealane.request('DELETE', '/users/inet/reader')[0] == 204
    assert sealane.request('GET', '/servers', **reader)[0] == 401


def https(s, lab, *certificate):
    """Status of a request over TLS, with a client certificate if one is given; 0: no connection."""
    context = ssl.create_default_context(cafile=lab.dir + '/tls/ca.pem')
    context.check_hostname = False
    if certificate:
        context.load_cert_chain(*certificate)
    token = base64.b64encode(b'admin:mariadb').decode()
    request = urllib.request.Request('https://127.0.0.1:%d/v1/servers' % s.admin_port,
                                     headers={'Authorization': 'Basic ' + token})
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return answer.status
    except urllib.error.HTTPError as e:
        return e.code
    except OSError:
        return 0


def test_client_certificates(cluster, make_sealane, run, tmp_path):
    """admin_ssl_ca: none need be shown, one that is shown must be good."""
    tls, own = cluster.dir + '/tls/', str(tmp_path / 'own')
    s = make_sealane(cluster, start=False, globals_={
        'admin_ssl_key': tls + 'proxy.key', 'admin_ssl_cert': tls + 'proxy.pem',
        'admin_ssl_ca': tls + 'ca.pem'})
    s.start(wait=False)
    wait_until(lambda: https(s, cluster) == 200, 30, 'no certificate is fine')
    assert https(s, cluster, tls + 'client.pem', tls + 'client.key') == 200
    run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj',
         '/CN=stranger', '-keyout', own + '.key', '-out', own + '.pem'])
    assert https(s, cluster, own + '.pem', own + '.key') == 401


def test_tokens(cluster, make_sealane):
    s = make_sealane(cluster, globals_={'admin_secure_gui': 'false'})
    code, body = s.request('GET', '/auth')
    assert code == 200
    bearer = {'Authorization': 'Bearer ' + body['meta']['token']}
    assert s.request('GET', '/servers', headers=bearer)[0] == 200
    assert s.request('GET', '/servers', headers={'Authorization': 'Bearer x.y.z'})[0] == 401


def test_filters_fields_pages(sealane):
    name = list(sealane.servers())[1]
    quoted = urllib.parse.quote('/id="%s"' % name)
    rows = sealane.get('/servers?filter=%s&fields[servers]=state' % quoted)
    assert [r['id'] for r in rows] == [name] and list(rows[0]['attributes']) == ['state']
    code, body = sealane.request('GET', '/servers?page[size]=2')
    assert len(body['data']) == 2 and body['meta']['total'] == 3 and 'next' in body['links']
    code, body = sealane.request('GET', '/servers?filter=' + urllib.parse.quote('/id=eq('))
    assert code == 400


def test_bad_requests(sealane):
    for method, path in (('GET', '/nix'), ('GET', '/servers/nix'), ('PUT', '/servers/nix/set?state=drain'),
                         ('GET', '/monitors/nix'), ('GET', '/sessions/0'), ('GET', '/maxscale/threads/99')):
        code, body = sealane.request(method, path)
        assert code == 404 and body['errors'][0]['detail'], (method, path)
    assert sealane.request('POST', '/servers')[0] == 405


def test_audit(cluster, make_sealane, tmp_path):
    path = tmp_path / 'audit.csv'
    s = make_sealane(cluster, globals_={'admin_audit': 'true', 'admin_audit_file': str(path),
                                        'admin_audit_exclude_methods': 'GET'})
    s.wait_healthy()
    s.request('PUT', '/servers/Galera-72/set?state=nonsense')
    s.request('POST', '/users/inet', {'data': {'id': 'eve', 'type': 'inet',
                                               'attributes': {'password': 's3cret',
                                                              'account': 'basic'}}})
    s.request('GET', '/servers', user='eve', password='wrong')
    # the line is written behind the answer
    wait_until(lambda: 'GET' in path.read_text(), 30, 'the refused call in the file')
    with open(path, newline='') as file:
        lines = list(csv.DictReader(file))
    assert [(x['Method'], x['URI'], x['Response code']) for x in lines] == [
        ('PUT', '/v1/servers/Galera-72/set?state=nonsense', '400'),
        ('POST', '/v1/users/inet', '204'), ('GET', '/v1/servers', '401')]
    assert [x['User'] for x in lines[:2]] == ['admin', 'admin']
    assert {x['Host'] for x in lines} == {'127.0.0.1'}
    assert '****' in lines[1]['Body'] and 's3cret' not in path.read_text()


def test_metrics(sealane):
    with sealane.wire() as c:
        for _ in range(10):
            c.query('SELECT a FROM test.t')
    code, text = sealane.request('GET', '/metrics')
    assert code == 200
    names = set()
    for line in text.splitlines():
        if line.startswith('# TYPE '):
            name = line.split()[2]
            assert name not in names, 'TYPE of %s twice' % name
            names.add(name)
        elif not line.startswith('#'):
            assert re.match(r'^sealane_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[0-9.e+-]+$', line), line
    reads = re.findall(r'sealane_server_statements_total\{server="[^"]+",kind="read"\} (\d+)', text)
    assert sum(map(int, reads)) >= 10
    counted = re.findall(r'sealane_statement_seconds_count\{server="[^"]+",kind="read"\} (\d+)', text)
    assert sum(map(int, counted)) >= 10


def test_many_readers_while_sessions_come_and_go(sealane):
    """Eight readers of everything at once; nothing breaks."""
    problems = []

    def read():
        try:
            for path in ('/sessions', '/servers', '/services', '/maxscale/threads') * 10:
                sealane.get(path)
        except Exception as e:
            problems.append(e)
    threads = [threading.Thread(target=read) for _ in range(8)]
    for t in threads:
        t.start()
    for _ in range(30):
        with sealane.wire() as c:
            c.query('SELECT 1')
    for t in threads:
        t.join(120)
    assert not problems and not any(t.is_alive() for t in threads)
