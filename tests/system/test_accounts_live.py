# SPDX-License-Identifier: Apache-2.0
"""Our search through the accounts against the decision of a real server.

The program accounts_probe loads the accounts as the service does; for each line it prints our verdict
and what a real login from the same address gave.
"""
import os
import random
import subprocess

import pytest

from sealane import ROOT

PROBE = os.environ.get('ACCOUNTS_PROBE', os.path.join(ROOT, 'build', 'tests', 'unit', 'core', 'accounts_probe'))
PATTERNS = ['%', '127.%', '127.0.%', '127.0.0.%', '127.0.0.1', '127.0.0._', '127._.0.1', '127.0._.1',
            '127.0.0.0/255.255.255.0', '127.1.0.0/255.255.0.0', '127.0.0.0/255.0.0.0', 'localhost', 'local%',
            '%host', '127.%.1', '%.1', '_27.0.0.1', '127.0.0.1_', '%%', '1%1', 'l_calhost', 'LOCALHOST',
            '12_.0.0.1', '%.0.0.%', '127.0.0.2', '127.__.%', '127.1.%', '%.%', '%0%', '1%0%1', '127\\.0.0.1',
            '___.0.0.1', '_________', '%_%', '127.0.%.1', '127.%.0.1', '']
ADDRESSES = ['127.0.0.1', '127.0.0.2', '127.0.0.15', '127.1.0.1', '127.1.2.3', '127.10.0.1', '127.0.3.1',
             '127.200.100.50', 'socket']
CODES = {'unknown': '1045', 'tls': '1045', 'locked': '4151', 'nodb': '1049', 'dbdenied': '1044'}

GRANTS = r"""
CREATE DATABASE d1; CREATE DATABASE d_2; CREATE DATABASE dx2; CREATE DATABASE d3; CREATE DATABASE droled;
CREATE DATABASE dpub; CREATE DATABASE danon; CREATE DATABASE dmask; CREATE TABLE d3.t (a INT);
CREATE USER a_lock@'%' IDENTIFIED BY 'x' ACCOUNT LOCK; CREATE USER a_tls@'%' IDENTIFIED BY 'x' REQUIRE SSL;
CREATE USER a_both@'%' IDENTIFIED BY 'x' REQUIRE SSL ACCOUNT LOCK; CREATE USER a_none@'%' IDENTIFIED BY 'x';
CREATE USER a_db@'%' IDENTIFIED BY 'x'; GRANT SELECT ON d1.* TO a_db@'%';
GRANT SELECT ON `d\_2`.* TO a_db@'%'; GRANT SELECT ON d3.t TO a_db@'%';
CREATE ROLE r1; CREATE ROLE r2; GRANT SELECT ON droled.* TO r2; GRANT r2 TO r1;
CREATE USER a_role@'%' IDENTIFIED BY 'x'; GRANT r1 TO a_role@'%'; SET DEFAULT ROLE r1 FOR a_role@'%';
GRANT SELECT ON dpub.* TO PUBLIC;
CREATE USER a_temp@'%' IDENTIFIED BY 'x'; GRANT CREATE TEMPORARY TABLES ON *.* TO a_temp@'%';
CREATE USER a_super@'%' IDENTIFIED BY 'x'; GRANT SHOW DATABASES, SUPER, PROCESS ON *.* TO a_super@'%';
CREATE USER a_host@'127.0.0.1' IDENTIFIED BY 'x';
INSERT INTO mysql.db (Host, Db, User, Select_priv) VALUES ('%', 'danon', '', 'Y'), ('127.%', 'dmask', 'a_host', 'Y'),
 ('%', 'dx%', 'a_host', 'Y');
FLUSH PRIVILEGES
"""
DATABASES = ['', 'd1', 'd_2', 'dx2', 'd3', 'droled', 'dpub', 'danon', 'dmask', 'missing', 'information_schema',
             'INFORMATION_SCHEMA', 'mysql', 'D1', 'performance_schema']

pytestmark = pytest.mark.skipif(not os.path.exists(PROBE), reason='accounts_probe is not built')


@pytest.fixture(scope='module')
def server(single):
    node = single.nodes[0]
    node.sql("DELETE FROM mysql.global_priv WHERE User = ''")
    node.sql('FLUSH PRIVILEGES')
    return node


def ask(node, lines):
    text = ''.join('\t'.join(line) + '\n' for line in lines)
    r = subprocess.run([PROBE, node.socket, 'root', '', node.ip, str(node.port)], input=text,
                       capture_output=True, text=True, timeout=600)
    assert r.returncode == 0, r.stderr
    return [line.split('\t') for line in r.stdout.splitlines()]


def differences(node, lines):
    """lines: (user, address, host name, database, password)."""
    found = []
    unnamed = ask(node, [(u, a, '-', d, p) for u, a, _, d, p in lines])
    for line, first, second in zip(lines, ask(node, lines), unnamed):
        verdict, account, theirs = second if first[0] == 'name' else first
        ours = account if verdict == 'ok' else CODES.get(verdict, verdict)
        if ours != theirs.replace('1130', '1045'):   # 1130: no account at all matches the host
            found.append((line, ours, theirs))
    return found


@pytest.mark.parametrize('seed', [1, 2, 3])
def test_host_patterns(server, seed):
    rng = random.Random(seed)
    users = {'t%d' % n: rng.sample(PATTERNS, rng.randint(1, 6)) for n in range(30)}
    server.sql("DELETE FROM mysql.global_priv WHERE User = '' OR User LIKE 't%'")
    for user, hosts in list(users.items()) + [('', rng.sample(PATTERNS, 4))]:
        for host in hosts:
            server.sql("INSERT INTO mysql.global_priv VALUES ('%s', '%s', '{\"access\":0}')"
                       % (host.replace('\\', '\\\\'), user))
    server.sql('FLUSH PRIVILEGES')
    try:
        assert differences(server, [(u, a, '?', '', '') for u in list(users) + ['nobody'] for a in ADDRESSES]) == []
    finally:
        server.sql("DELETE FROM mysql.global_priv WHERE User = '' OR User LIKE 't%'")
        server.sql('FLUSH PRIVILEGES')


def test_databases_and_states(server):
    for statement in GRANTS.split(';'):
        server.sql(statement)
    users = ['a_db', 'a_none', 'a_role', 'a_temp', 'a_super', 'a_host', 'a_lock', 'a_tls', 'a_both']
    lines = [(u, a, '-', d, 'x') for u in users for a in ('127.0.0.1', '127.0.0.2', 'socket') for d in DATABASES]
    assert differences(server, lines) == []
