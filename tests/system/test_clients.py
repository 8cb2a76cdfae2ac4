# SPDX-License-Identifier: Apache-2.0
"""Clients that people use, through the proxy: with and without TLS."""
import os
import shutil
import subprocess
import textwrap

import pymysql
import pytest

from sealane import checksums, npm_install, wait_applied, wait_until

BIG = 5_000_000


@pytest.fixture
def tls_sealane(cluster, make_sealane):
    d = cluster.dir + '/tls/'
    s = make_sealane(cluster, listener={'ssl': 'true', 'ssl_cert': d + 'proxy.pem',
                                        'ssl_key': d + 'proxy.key', 'ssl_ca': d + 'ca.pem'})
    s.wait_healthy()
    return s


@pytest.fixture(params=['plain', 'tls'])
def endpoint(request):
    """The proxy with a plain or a TLS listener."""
    return request.getfixturevalue('sealane' if request.param == 'plain' else 'tls_sealane'), \
        request.param == 'tls'


def need(*programs):
    for p in programs:
        if not shutil.which(p):
            pytest.skip('%s is not installed' % p)


def cli(s, tls, *more):
    return ['mariadb', '--no-defaults', '-h', '127.0.0.1', '-P', str(s.port), '-uapp', '-papp',
            '--max-allowed-packet=64M'] + (['--ssl'] if tls else ['--skip-ssl']) + list(more)


def test_mariadb_cli(endpoint, run):
    s, tls = endpoint
    text = run(cli(s, tls, '-t', 'test', '-e', 'SELECT * FROM t; SHOW TABLES; \\s'))
    assert '|  1 |   10 |' in text and '| t ' in text
    assert ('Cipher in use' in text) == tls
    assert run(cli(s, tls, '-N', 'test', '-e',
                   "SELECT LENGTH(REPEAT('x', %d))" % BIG)).strip() == str(BIG)


def test_pymysql(endpoint, cluster):
    s, tls = endpoint
    extra = {'ssl': {'ca': cluster.dir + '/tls/ca.pem'}} if tls else {}
    with pymysql.connect(host='127.0.0.1', port=s.port, user='app', password='app',
                         database='test', autocommit=False, **extra) as conn:
        with conn.cursor() as cur:
            cur.execute('INSERT INTO t (a, b) VALUES (%s, %s)', (77, b'\x00\xff' * 1000))
            assert cur.lastrowid
            cur.execute('SELECT a, b FROM t WHERE id = %s', (cur.lastrowid,))
            assert cur.fetchone() == (77, b'\x00\xff' * 1000)
            conn.rollback()
            cur.execute('SELECT COUNT(*) FROM t WHERE a = 77')
            assert cur.fetchone() == (0,)
            cur.execute("SELECT REPEAT('y', %s)", (BIG,))
            assert len(cur.fetchone()[0]) == BIG


def test_dump_and_restore(sealane, cluster, run, tmp_path):
    with sealane.wire(database='test') as c:
        c.query('INSERT INTO t (a, b) SELECT seq, REPEAT("q", 1000) FROM seq_1_to_5000')
    cluster.nodes[0].sql("GRANT RELOAD, PROCESS ON *.* TO app@'%'; "
                         "GRANT ALL ON copy.* TO app@'%'; CREATE OR REPLACE DATABASE copy")
    wait_applied(cluster.nodes)
    sealane.reload_users()
    dump = tmp_path / 'dump.sql'
    with open(dump, 'w') as f:
        subprocess.run(['mariadb-dump', '--no-defaults', '-h', '127.0.0.1', '-P',
                        str(sealane.port), '-uapp', '-papp', '--single-transaction',
                        '--skip-add-locks', 'test'],   # no LOCK TABLES in streaming replication
                       stdout=f, check=True, timeout=180)
    with open(dump) as f:
        run(cli(sealane, False, 'copy'), stdin=f)
    for n in cluster.nodes:
        wait_until(lambda n=n: len(set(checksums(n, 'copy.t', 'test.t'))) == 1, 10,
                   'the copy on %s' % n.name)
    cluster.nodes[0].sql('DROP DATABASE copy')


@pytest.mark.parametrize('mode', ['auto', 'disable'])
def test_sysbench(sealane, cluster, run, mode):
    need('sysbench')
    base = ['sysbench', '--db-driver=mysql', '--mysql-host=127.0.0.1',
            '--mysql-port=%d' % sealane.port, '--mysql-user=app', '--mysql-password=app',
            '--mysql-db=test', '--tables=2', '--table-size=1000', '--threads=8', '--time=4',
            '--mysql-ignore-errors=1213', '--db-ps-mode=' + mode]
    run(base + ['oltp_read_write', 'prepare'])
    wait_applied(cluster.nodes)
    text = run(base + ['oltp_read_write', 'run'])
    assert 'FATAL' not in text
    run(base + ['oltp_read_write', 'cleanup'])


PHP = """
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
$m = mysqli_init();
%(ssl)s
$m->real_connect('127.0.0.1', 'app', 'app', 'test', %(port)d, null, %(flag)s);
$m->begin_transaction();
$s = $m->prepare('INSERT INTO t (a, b) VALUES (?, ?)');
$a = 5; $b = str_repeat('p', 3000000); $s->bind_param('is', $a, $b); $s->execute();
$id = $s->insert_id;
$m->commit();
$s = $m->prepare('SELECT a, LENGTH(b) FROM t WHERE id = ? FOR UPDATE');
$s->bind_param('i', $id); $s->execute();
print_r($s->get_result()->fetch_row());
echo strlen($m->query("SELECT REPEAT('x', %(big)d)")->fetch_row()[0]);
"""


def test_php_mysqli(endpoint, run):
    need('php')
    s, tls = endpoint
    if 'mysqli' not in run(['php', '-m']):
        pytest.skip('php-mysql is not installed')
    text = run(['php', '-d', 'memory_limit=256M', '-r', PHP % {
        'port': s.port, 'big': BIG, 'flag':
        'MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT' if tls else '0',
        'ssl': "$m->ssl_set(null, null, '%s/tls/ca.pem', null, null);" % s.lab.dir if tls else ''}])
    assert '[0] => 5' in text and '3000000' in text and text.endswith(str(BIG))


PERL = """
use DBI;
my $d = DBI->connect('DBI:MariaDB:database=test;host=127.0.0.1;port=%(port)d%(ssl)s', 'app', 'app',
    { RaiseError => 1, AutoCommit => 0, mariadb_server_prepare => %(server)d });
my $s = $d->prepare('INSERT INTO t (a, b) VALUES (?, ?)');
$s->execute(6, 'p' x 3000000);
$d->commit;
print join(',', $d->selectrow_array('SELECT a, LENGTH(b) FROM t WHERE a = ? FOR UPDATE', undef, 6)), "\\n";
$d->rollback;
print length(($d->selectrow_array("SELECT REPEAT('x', %(big)d)"))[0]);
$d->disconnect;
"""


@pytest.mark.parametrize('server', [0, 1])
def test_perl_dbd_mariadb(endpoint, run, server):
    need('perl')
    if subprocess.run(['perl', '-MDBD::MariaDB', '-e', '1'], stderr=subprocess.DEVNULL).returncode:
        pytest.skip('DBD::MariaDB is not installed')
    s, tls = endpoint
    text = run(['perl', '-e', PERL % {'port': s.port, 'big': BIG, 'server': server,
                                      'ssl': ';mariadb_ssl=1;mariadb_ssl_ca_file=%s/tls/ca.pem'
                                      % s.lab.dir if tls else ''}])
    assert '6,3000000' in text and text.endswith(str(BIG))


JAVA = """
import java.sql.*;
public class T {
    public static void main(String[] a) throws Exception {
        try (Connection c = DriverManager.getConnection(
                "jdbc:mariadb://127.0.0.1:%(port)d/test?user=app&password=app%(options)s")) {
            c.setAutoCommit(false);
            PreparedStatement p = c.prepareStatement("INSERT INTO t (a, b) VALUES (?, ?)");
            for (int i = 0; i < 50; i++) {
                p.setInt(1, 4000 + i); p.setBytes(2, new byte[1000]); p.addBatch();
            }
            p.executeBatch();
            c.commit();
            p = c.prepareStatement("SELECT COUNT(*) FROM t WHERE a >= ? AND a < 4050 FOR UPDATE");
            p.setInt(1, 4000);
            ResultSet r = p.executeQuery(); r.next();
            System.out.println("rows " + r.getInt(1));
            c.rollback();
            r = c.createStatement().executeQuery("SELECT REPEAT('x', %(big)d)"); r.next();
            System.out.println("big " + r.getString(1).length());
        }
    }
}
"""
JAR = '/usr/share/java/mariadb-java-client.jar'


@pytest.mark.parametrize('prepared', ['false', 'true'])
def test_connector_j(endpoint, run, tmp_path, prepared):
    need('java', 'javac')
    if not os.path.exists(JAR):
        pytest.skip('libmariadb-java is not installed')
    s, tls = endpoint
    options = '&useServerPrepStmts=' + prepared
    options += '&useSSL=true&trustServerCertificate=true&sslMode=trust' if tls else ''
    (tmp_path / 'T.java').write_text(JAVA % {'port': s.port, 'big': BIG, 'options': options})
    run(['javac', 'T.java'], cwd=tmp_path)
    text = run(['java', '-cp', '%s:%s' % (JAR, tmp_path), 'T'])
    assert 'rows 50' in text and 'big %d' % BIG in text


NODE = """
(async () => {
  const m = require('%(module)s');
  const c = await m.createConnection({host: '127.0.0.1', port: %(port)d, user: 'app',
      password: 'app', database: 'test', ssl: %(ssl)s});
  await c.beginTransaction();
  await c.execute('INSERT INTO t (a, b) VALUES (?, ?)', [9, 'n'.repeat(1000000)]);
  await c.commit();
  console.log(JSON.stringify(await c.query('SELECT a, LENGTH(b) AS l FROM t WHERE a = 9 FOR UPDATE')));
  const r = await c.query("SELECT LENGTH(REPEAT('x', %(big)d)) AS l");
  console.log(JSON.stringify(r));
  await c.end();
})().catch(e => { console.error(e); process.exit(1); });
"""


@pytest.fixture(scope='session')
def node_modules(work):
    """The two npm clients, installed once."""
    where = os.path.join(work, 'npm')
    os.makedirs(where)
    npm_install(where, 'mysql2@3', 'mariadb@3')
    return where


@pytest.mark.parametrize('module', ['mysql2/promise', 'mariadb'])
def test_npm_clients(endpoint, run, node_modules, module):
    s, tls = endpoint
    script = textwrap.dedent(NODE % {'module': module, 'port': s.port, 'big': BIG,
                                     'ssl': '{rejectUnauthorized: false}' if tls else 'undefined'
                                     if module.startswith('mysql2') else 'false'})
    text = run(['node', '-e', script], cwd=node_modules)
    assert '1000000' in text and str(BIG) in text
