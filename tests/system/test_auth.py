# SPDX-License-Identifier: Apache-2.0
"""Accounts: the proxy must answer what the server itself would, as far as the client can see."""
import json

import pytest

from sealane import wait_applied, wait_until
from wire import Lost, Wire, WireError

ACCOUNTS = """
CREATE OR REPLACE USER u_any@'%' IDENTIFIED BY 'pw';
CREATE OR REPLACE USER u_local@'127.0.0.1' IDENTIFIED BY 'pw';
CREATE OR REPLACE USER u_net@'127.0.0.0/255.0.0.0' IDENTIFIED BY 'pw';
CREATE OR REPLACE USER u_pattern@'127.%' IDENTIFIED BY 'pw';
CREATE OR REPLACE USER u_else@'10.1.2.3' IDENTIFIED BY 'pw';
CREATE OR REPLACE USER u_empty@'%' IDENTIFIED BY '';
CREATE OR REPLACE USER u_db@'%' IDENTIFIED BY 'pw';
GRANT SELECT ON test.* TO u_db@'%';
CREATE OR REPLACE USER u_wild@'%' IDENTIFIED BY 'pw';
GRANT SELECT ON `te%`.* TO u_wild@'%';
CREATE OR REPLACE USER u_table@'%' IDENTIFIED BY 'pw';
GRANT SELECT ON test.t TO u_table@'%';
CREATE OR REPLACE USER u_locked@'%' IDENTIFIED BY 'pw' ACCOUNT LOCK;
CREATE OR REPLACE USER u_expired@'%' IDENTIFIED BY 'pw' PASSWORD EXPIRE;
CREATE OR REPLACE USER u_tls@'%' IDENTIFIED BY 'pw' REQUIRE SSL;
CREATE OR REPLACE ROLE r_reader;
GRANT SELECT ON test.* TO r_reader;
CREATE OR REPLACE USER u_role@'%' IDENTIFIED BY 'pw';
GRANT r_reader TO u_role@'%';
SET DEFAULT ROLE r_reader FOR u_role@'%';
CREATE OR REPLACE USER u_two@'127.0.0.1' IDENTIFIED BY 'near';
CREATE OR REPLACE USER u_two@'%' IDENTIFIED BY 'far';
CREATE OR REPLACE USER root@'127.0.0.1' IDENTIFIED BY 'rootpw';
GRANT ALL ON *.* TO root@'127.0.0.1';
FLUSH PRIVILEGES
"""


@pytest.fixture
def accounts(cluster, make_sealane):
    cluster.nodes[0].sql('SET @@old_mode=@@old_mode;' + ACCOUNTS)
    wait_applied(cluster.nodes)
    s = make_sealane(cluster, globals_={'users_refresh_time': '0s', 'skip_name_resolve': 'true',
                                        'max_auth_errors_until_block': 0})
    s.wait_healthy()
    return s


def answer(host, port, user, password, database=None):
    """'ok', or the error number of the login."""
    try:
        Wire(host, port, user=user, password=password, database=database).close()
        return 'ok'
    except WireError as e:
        return e.errno


LOGINS = [
    ('u_any', 'pw', None), ('u_any', 'wrong', None), ('u_any', '', None),
    ('u_any', 'pw', 'test'), ('u_any', 'pw', 'no_such_db'), ('u_any', 'pw', 'information_schema'),
    ('u_local', 'pw', None), ('u_net', 'pw', None), ('u_pattern', 'pw', None),
    ('u_else', 'pw', None), ('u_empty', '', None), ('u_empty', 'x', None),
    ('u_db', 'pw', 'test'), ('u_db', 'pw', 'mysql'), ('u_wild', 'pw', 'test'),
    ('u_table', 'pw', 'test'), ('u_table', 'pw', 'mysql'), ('u_locked', 'pw', None),
    ('u_locked', 'wrong', None), ('u_tls', 'pw', None), ('u_role', 'pw', 'test'),
    ('u_role', 'pw', 'mysql'), ('r_reader', '', None), ('u_two', 'near', None),
    ('u_two', 'far', None), ('nobody', 'pw', None), ('', '', None), ('U_ANY', 'pw', None),
    ("u'; --", 'pw', None), ('x' * 80, 'pw', None),
]


def test_the_same_answer_as_the_server(accounts, cluster):
    node = cluster.node('71')
    failures = []
    for login in LOGINS:
        direct = answer(node.ip, node.port, *login)
        proxy = answer('127.0.0.1', accounts.port, *login)
        if proxy != direct:
            failures.append('%s: server %s, proxy %s' % (login, direct, proxy))
    assert not failures, '%d of %d:\n%s' % (len(failures), len(LOGINS), '\n'.join(failures))


def test_expired_password_is_told(accounts, cluster):
    node = cluster.node('71')
    outcome = []
    for host, port in ((node.ip, node.port), ('127.0.0.1', accounts.port)):
        try:
            with Wire(host, port, user='u_expired', password='pw') as c:
                c.query('SELECT 1')
            outcome.append('ok')
        except WireError as e:
            outcome.append(e.errno)
    assert outcome[0] == outcome[1]


def test_root_is_refused_unless_enabled(accounts, cluster, make_sealane):
    assert answer('127.0.0.1', accounts.port, 'root', 'rootpw') == 1045
    # The lab's servers run with skip-name-resolve: root@localhost is no row for a TCP client there.
    s = make_sealane(cluster, service={'enable_root_user': 'true'},
                     globals_={'skip_name_resolve': 'true'})
    s.wait_healthy()
    assert answer('127.0.0.1', s.port, 'root', 'rootpw') == 'ok'


def test_wrong_password_message_names_the_client(accounts):
    with pytest.raises(WireError) as e:
        accounts.wire(user='u_any', password='wrong')
    assert e.value.errno == 1045 and e.value.state == '28000'
    assert "'u_any'@'127.0.0.1'" in e.value.message and 'YES' in e.value.message


def test_new_account_works_at_once(accounts, cluster):
    """A login that fails on the lookup waits for one reload and is tried again, unseen."""
    cluster.nodes[0].sql("CREATE OR REPLACE USER u_new@'%' IDENTIFIED BY 'pw'")
    wait_applied(cluster.nodes)
    assert answer('127.0.0.1', accounts.port, 'u_new', 'pw') == 'ok'
    cluster.nodes[0].sql("DROP USER u_new@'%'")
    wait_until(lambda: answer('127.0.0.1', accounts.port, 'u_new', 'pw') == 1045, 10,
               'the dropped account is refused')


def test_changed_password(accounts, cluster):
    cluster.nodes[0].sql("CREATE OR REPLACE USER u_any@'%' IDENTIFIED BY 'other'")
    wait_applied(cluster.nodes)
    wait_until(lambda: answer('127.0.0.1', accounts.port, 'u_any', 'other') == 'ok', 10,
               'the new password')
    assert answer('127.0.0.1', accounts.port, 'u_any', 'pw') == 1045


def test_host_is_blocked_after_too_many_errors(cluster, make_sealane):
    s = make_sealane(cluster, globals_={'max_auth_errors_until_block': 3})
    s.wait_healthy()
    got = [answer('127.0.0.1', s.port, 'app', 'wrong') for _ in range(5)]
    assert got[:3] == [1045] * 3 and got[-1] == 1129
    assert answer('127.0.0.1', s.port, 'app', 'app') == 1129


def test_logins_nobody_can_judge_do_not_block_the_host(cluster, make_sealane):
    s = make_sealane(cluster, globals_={'max_auth_errors_until_block': 3},
                     server={'port': 1})         # nobody listens there
    assert [answer('127.0.0.1', s.port, 'app', 'app') for _ in range(5)] == [1045] * 5
    assert 'no server has told the user accounts yet' in s.log_text()


@pytest.mark.parametrize('mode', ['error_on_write', 'fail_on_write'])
def test_refused_by_the_primary(cluster, make_sealane, tmp_path, mode):
    """Sealane lets the user in, the Master does not: waiting for it would help nobody."""
    accounts = tmp_path / 'accounts.json'
    accounts.write_text(json.dumps({'user': [
        {'user': 'u_unknown', 'host': '%', 'plugin': 'mysql_native_password',
         'authentication_string': '*D821809F681A40A6E379B50D0463EFAE20BDD122'}]}))   # 'pw'
    s = make_sealane(cluster, service={'user_accounts_file': str(accounts), 'lazy_connect': 'true',
                                       'delayed_retry': 'true', 'delayed_retry_timeout': '600s',
                                       'master_failure_mode': mode})
    s.wait_healthy()
    with s.wire(user='u_unknown', password='pw') as c:
        for _ in range(2 if mode == 'error_on_write' else 1):
            with pytest.raises(WireError) as e:
                c.query('INSERT INTO test.t VALUES (1)')
            assert e.value.errno == 1045 and 'refused the login' in e.value.message, e.value
        if mode != 'error_on_write':
            with pytest.raises(Lost):
                c.query('SELECT 1')


def test_max_connections(cluster, make_sealane):
    s = make_sealane(cluster, service={'max_connections': 2})
    s.wait_healthy()
    with s.wire(), s.wire():
        assert answer('127.0.0.1', s.port, 'app', 'app') == 1040
    wait_until(lambda: answer('127.0.0.1', s.port, 'app', 'app') == 'ok', 5, 'a free place')


def test_wait_timeout(cluster, make_sealane):
    s = make_sealane(cluster, service={'wait_timeout': '1s'})
    s.wait_healthy()
    c = s.wire()
    wait_until(lambda: not s.sessions(), 6, 'the idle session is closed')
    with pytest.raises((Lost, WireError)):
        c.query('SELECT 1')


def tls_paths(cluster):
    d = cluster.dir + '/tls/'
    return {'ssl': 'true', 'ssl_cert': d + 'proxy.pem', 'ssl_key': d + 'proxy.key',
            'ssl_ca': d + 'ca.pem'}


def test_tls_listener(cluster, make_sealane):
    s = make_sealane(cluster, listener=tls_paths(cluster))
    s.wait_healthy()
    cluster.nodes[0].sql("CREATE OR REPLACE USER u_tls@'%' IDENTIFIED BY 'pw'")
    with s.wire(tls=True) as c:
        assert c.sock.version() in ('TLSv1.2', 'TLSv1.3')
        assert len(c.value("SELECT REPEAT('x', 5000000)")) == 5_000_000
    with pytest.raises((WireError, Lost, OSError)):
        s.wire(tls=False)


def test_tls_to_the_servers(cluster, make_sealane):
    d = cluster.dir + '/tls/'
    s = make_sealane(cluster, server={'ssl': 'true', 'ssl_ca': d + 'ca.pem',
                                      'ssl_verify_peer_certificate': 'true'})
    s.wait_healthy()
    with s.wire() as c:
        assert c.rows_of("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1]
