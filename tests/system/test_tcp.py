# SPDX-License-Identifier: Apache-2.0
"""router=tcp in the place of HAProxy: two Galera nodes behind `balance leastconn`, weights and checks."""
import re
import socket
import threading

import pymysql
import pytest

from conftest import make_lab, repair
from sealane import section, wait_until

# Two nodes have no majority when one dies; the one that is left goes on, as people with two nodes want it.
PROVIDER = 'pc.ignore_sb=true'
NAMES = {'mysql-01': '21', 'mysql-02': '22'}
LINE = re.compile(r'notice : .*?([0-9.]+):(\d+) \[(\d\d/\w{3}/\d{4}:[\d:.]+)\] (\S+) ([^/\s]+)/(\S+) '
                  r'(-?\d+)/(-?\d+)/(\d+) (\d+) ([-\w]{2}) (\d+)/(\d+)/(\d+)/(\d+)/(\+?\d+) 0/0$', re.M)


@pytest.fixture(scope='module')
def galera2(work):
    yield from make_lab(work, 'galera2', provider=PROVIDER,
                        settings=['proxy_protocol_networks=127.0.0.1/32', 'max_allowed_packet=64M'])


@pytest.fixture
def pair(galera2):
    repair(galera2)
    return galera2


def write(s, service=None, weights=(1, 1), extra=''):
    """The HAProxy configuration of the seed, translated line by line."""
    text = section('maxscale', threads=2, admin_port=s.admin_port, log_info='true')
    for (name, node), weight in zip(NAMES.items(), weights):
        n = s.lab.node(node)
        text += section(name, type='server', address=n.ip, port=n.port, weight=weight)
    values = {'type': 'service', 'router': 'tcp', 'servers': ','.join(NAMES), 'balance': 'leastconn',
              'check': 'tcp', 'check_interval': '300ms', 'tcplog': 'true'}
    text += section('galera_cluster_backend', **dict(values, **(service or {})))
    text += section('mariadb_cluster_frontend', type='listener', service='galera_cluster_backend',
                    address='127.0.0.1', port=s.port)
    if extra:
        text += extra + 'port=%d\n' % s.port
    s.write_text(text)


@pytest.fixture
def proxy(pair, make_sealane):
    def make(**config):
        s = make_sealane(pair, start=False)
        write(s, **config)
        s.start()
        s.wait_states({name: 'Running' for name in NAMES})
        return s
    return make


def connect(s, **kw):
    return pymysql.connect(host='127.0.0.1', port=s.port, user='app', password='app', connect_timeout=30,
                           read_timeout=60, **kw)


def value(conn, text):
    with conn.cursor() as c:
        c.execute(text)
        return c.fetchall()[0][0]


def node_of(conn):
    return value(conn, "SELECT REGEXP_SUBSTR(@@wsrep_node_name, '[0-9]+$')")


def by_node(conns):
    out = {}
    for c in conns:
        out.setdefault(node_of(c), []).append(c)
    return out


def wait_lost(conn):
    """A client that waits for nothing notices that its connection ends."""
    conn._sock.settimeout(60)
    try:
        assert conn._sock.recv(1) == b''
    except ConnectionResetError:
        pass


def close(conns):
    for c in conns:
        try:
            c.close()
        except pymysql.Error:
            pass


def log_lines(s):
    return LINE.findall(s.log_text())


def test_node_killed_clients_cut_others_unaffected(proxy, pair):
    s = proxy()
    conns = [connect(s) for _ in range(10)]
    groups = by_node(conns)
    assert {k: len(v) for k, v in groups.items()} == {'21': 5, '22': 5}
    stop, done, errors = threading.Event(), [0], []

    def work(conn):
        try:
            while not stop.is_set():
                value(conn, 'SELECT 1')
                done[0] += 1
        except Exception as e:                   # any error at all fails the test
            errors.append(e)
    thread = threading.Thread(target=work, args=(groups['21'][0],))
    thread.start()
    pair.node('22').kill()
    for c in groups['22']:
        wait_lost(c)
    before = done[0]
    wait_until(lambda: errors or done[0] > before + 10, 30, 'the others work meanwhile')
    s.wait_states({'mysql-02': 'Down'}, 30)
    again = [connect(s) for _ in range(5)]
    assert set(by_node(again)) == {'21'}
    stop.set()
    thread.join()
    assert not errors, errors
    for c in groups['21'][1:]:
        assert node_of(c) == '21'

    pair.node('22').start()
    s.wait_states({'mysql-02': 'Running'}, 60)
    back = [connect(s) for _ in range(10)]
    assert len(by_node(back)['22']) == 10        # the one with the fewest connections
    close(conns + again + back)
    wait_until(lambda: len(log_lines(s)) == 25, 30, 'a line for each connection\n' + s.tail())
    lines = log_lines(s)
    assert {(x[3], x[4]) for x in lines} == {('mariadb_cluster_frontend', 'galera_cluster_backend')}
    assert {x[10] for x in lines if x[5] == 'mysql-01'} == {'--'}
    assert {x[10] for x in lines if x[5] == 'mysql-02'} <= {'--', 'SD', 'DD'}
    assert all(int(x[9]) > 50 and int(x[8]) >= int(x[7]) >= 0 for x in lines)


@pytest.mark.parametrize('kind', ['greeting', 'login'])
def test_frozen_node_is_left(proxy, pair, kind):
    """A frozen server still accepts connections: only a check that listens to it finds out."""
    s = proxy(service={'check': kind, 'check_user': 'maxuser', 'check_password': 'SecretP@ssw0rd'})
    conns = [connect(s) for _ in range(4)]
    groups = by_node(conns)
    pair.node('22').freeze()
    for c in groups['22']:
        wait_lost(c)
    s.wait_states({'mysql-02': 'Down', 'mysql-01': 'Running'}, 30)
    pair.node('22').thaw()
    s.wait_states({'mysql-02': 'Running'}, 60)
    close(conns)


def test_monitor_finds_the_healthy(cluster, make_sealane):
    s = make_sealane(cluster, router='tcp', service={'tcplog': 'true'})
    s.wait_healthy()
    conns = [connect(s) for _ in range(6)]
    groups = by_node(conns)
    assert {k: len(v) for k, v in groups.items()} == {'71': 2, '72': 2, '73': 2}
    s.set_state('Galera-72', 'maintenance')
    more = [connect(s) for _ in range(4)]
    assert set(by_node(more)) == {'71', '73'}
    assert node_of(groups['72'][0]) == '72'      # who is there may stay
    cluster.node('73').freeze()
    for c in groups['73']:
        wait_lost(c)
    assert node_of(groups['71'][0]) == '71'
    cluster.node('73').thaw()
    s.set_state('Galera-72', 'maintenance', clear=True)
    close(conns + more)


def test_forced_maintenance_cuts(proxy, pair):
    s = proxy()
    conns = [connect(s) for _ in range(8)]
    groups = by_node(conns)
    assert {k: len(v) for k, v in groups.items()} == {'21': 4, '22': 4}
    s.ctl('set', 'server', 'mysql-02', 'maintenance', '--force')
    for c in groups['22']:
        wait_lost(c)
    for c in groups['21']:
        assert node_of(c) == '21'
    again = [connect(s) for _ in range(3)]
    assert set(by_node(again)) == {'21'}
    wait_until(lambda: {x[10] for x in log_lines(s) if x[5] == 'mysql-02'} == {'KD'}, 30,
               'lines of the clients that were cut\n' + s.tail())
    s.ctl('clear', 'server', 'mysql-02', 'maintenance')
    close(conns + again)


def test_listeners_with_the_same_port(proxy, pair):
    """Which listener a client came through is not a matter of the port."""
    s = proxy(extra=section('second', type='listener', service='galera_cluster_backend',
                            address='127.0.0.9'))
    conn = pymysql.connect(host='127.0.0.9', port=s.port, user='app', password='app')
    conn.close()
    connect(s).close()
    wait_until(lambda: len(log_lines(s)) == 2, 30, 'a line for each\n' + s.tail())
    assert {x[3] for x in log_lines(s)} == {'second', 'mariadb_cluster_frontend'}


@pytest.mark.parametrize('balance', ['leastconn', 'roundrobin'])
def test_weights(proxy, pair, balance):
    s = proxy(weights=(30, 10), service={'balance': balance})
    conns = [connect(s) for _ in range(12)]
    assert {k: len(v) for k, v in by_node(conns).items()} == {'21': 9, '22': 3}
    close(conns)


def test_first_and_refused(proxy, pair):
    """A connection that a server refuses goes to the next one, before any check has noticed."""
    s = proxy(service={'balance': 'first', 'check_interval': '1h', 'connect_timeout': '30s'})
    conn = connect(s)
    assert node_of(conn) == '21'
    conn.close()
    pair.node('21').stop()
    conn = connect(s)
    assert node_of(conn) == '22'
    conn.close()
    wait_until(lambda: [x[15] for x in log_lines(s)] == ['0', '+1'], 30, 'the retry in the log\n' + s.tail())
    pair.node('21').start()


@pytest.mark.parametrize('version', ['v1', 'v2'])
def test_processlist_shows_the_client(proxy, pair, version):
    s = proxy(service={'send_proxy': version})
    source = socket.create_connection(('127.0.0.1', s.port), source_address=('127.5.6.7', 0))
    ip, port = source.getsockname()
    conn = pymysql.connect(host='127.0.0.1', port=s.port, user='app', password='app', defer_connect=True)
    conn.connect(source)
    host = value(conn, 'SELECT host FROM information_schema.processlist WHERE id = CONNECTION_ID()')
    assert host == '%s:%d' % (ip, port)
    conn.close()


def test_tls_is_between_client_and_server(cluster, make_sealane):
    s = make_sealane(cluster, router='tcp')
    s.wait_healthy()
    conn = connect(s, ssl={'ca': cluster.dir + '/tls/ca.pem', 'check_hostname': False})
    assert value(conn, "SELECT variable_value FROM information_schema.session_status "
                       "WHERE variable_name = 'Ssl_version'").startswith('TLS')
    conn.close()


def test_large_results_and_parameters(proxy, pair):
    s = proxy()
    conn = connect(s, max_allowed_packet=64 << 20)
    for mb in (1, 40):
        with conn.cursor() as c:
            c.execute("SELECT MD5(REPEAT('x', %d << 20)), REPEAT('x', %d << 20)" % (mb, mb))
            digest, text = c.fetchone()
            assert len(text) == mb << 20
            c.execute("SELECT MD5('%s')" % text)
            assert c.fetchone()[0] == digest
    conn.close()

    def told():
        return s.get('/services/galera_cluster_backend')['attributes']['router_diagnostics']
    wait_until(lambda: min(told()['bytes_to_clients'], told()['bytes_to_servers']) > 41 << 20, 30,
               'what went through is counted')
    assert told()['servers'] == {name: 'up' for name in NAMES}


def test_stop_with_open_connections(proxy, pair):
    s = proxy()
    conns = [connect(s) for _ in range(20)]
    s.stop()
    for c in conns:
        wait_lost(c)
    close(conns)
