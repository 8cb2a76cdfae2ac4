# SPDX-License-Identifier: Apache-2.0
"""Statements on the relay's listener: what managers, connectors and tools send, column for column
as a server answers."""
import os
import re
import subprocess

import pytest

from lab import sql
from relay import (PASSWORD, SERVER_ID, USER, Writer, attach, binlog_pos, covers, replica_reaches,
                   same_data, slave_status)
from sealane import wait_until
from wire import WireError


@pytest.fixture
def idle(trio, relay_lab, make_relay):
    """A relay that was told nothing yet."""
    return make_relay(relay_lab)


def fails(relay, text, code, words=(), **login):
    with pytest.raises(sql.Error) as e:
        relay.sql(text, **login)
    assert e.value.args[0] == code, (text, e.value)
    for w in words:
        assert w.lower() in e.value.args[1].lower(), (text, e.value)
    return e.value.args[1]


def change(node, more=''):
    return ("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%d, MASTER_USER='%s', "
            "MASTER_PASSWORD='%s', MASTER_USE_GTID=slave_pos%s"
            % (node.ip, node.port, USER, PASSWORD, more))


def columns(results):
    return [names for names, _ in results]


# ---------------------------------------------------------------------------- as a server
@pytest.mark.parametrize('text', ['SHOW SLAVE STATUS', 'SHOW ALL SLAVES STATUS',
                                  'SHOW MASTER STATUS', 'SHOW BINARY LOGS', 'SHOW MASTER LOGS',
                                  'SHOW SLAVE HOSTS', 'SHOW BINLOG EVENTS LIMIT 2',
                                  "SHOW VARIABLES LIKE 'server_id'",
                                  "SHOW GLOBAL VARIABLES LIKE 'gtid%'", 'SHOW PROCESSLIST',
                                  'SELECT @@server_id', 'SELECT VERSION()',
                                  'SELECT @@global.gtid_slave_pos AS p'])
def test_columns_of_a_server(relay, trio, text):
    relay.catches_up(trio[0])
    assert columns(relay.results(text)) == columns(trio[1].results(text))


def test_slave_status_of_a_healthy_relay(relay, trio):
    primary = trio[0]
    w = Writer(primary)
    w.at_least(30)
    w.stop()
    relay.catches_up(primary)
    s = wait_until(lambda: [s for s in [relay.status()] if s['Seconds_Behind_Master'] == '0'], 30,
                   'no second behind')[0]
    file, pos = primary.sql('SHOW MASTER STATUS')[0][:2]
    want = {'Master_Host': primary.ip, 'Master_Port': str(primary.port), 'Master_User': USER,
            'Slave_IO_Running': 'Yes', 'Slave_SQL_Running': 'Yes', 'Master_Log_File': file,
            'Read_Master_Log_Pos': pos, 'Exec_Master_Log_Pos': pos, 'Last_IO_Errno': '0',
            'Last_IO_Error': '', 'Last_Errno': '0', 'Using_Gtid': 'Slave_Pos',
            'Gtid_IO_Pos': binlog_pos(primary), 'Master_Server_Id': '1',
            'Seconds_Behind_Master': '0', 'Until_Condition': 'None'}
    assert {k: s[k] for k in want} == want
    (names, rows), = relay.results('SHOW ALL SLAVES STATUS')
    every = dict(zip(names, rows[0]))
    assert every['Connection_name'] == '' and every['Gtid_Slave_Pos'] == binlog_pos(primary)
    assert relay.sql('SHOW MASTER STATUS')[0][0] == relay.names()[-1]
    assert [[os.path.basename(p), str(os.path.getsize(p))] for p in relay.files()] == \
        relay.sql('SHOW BINARY LOGS')
    assert [os.path.basename(p) for p in relay.index()] == relay.names()


def test_values_of_variables(relay, trio):
    relay.catches_up(trio[0])
    pos = binlog_pos(trio[0])
    for name in ('gtid_slave_pos', 'gtid_current_pos', 'gtid_binlog_pos'):
        assert relay.value('SELECT @@' + name) == pos
        assert relay.value('SELECT @@GLOBAL.%s' % name) == pos
        assert relay.sql("SHOW VARIABLES LIKE '%s'" % name) == [[name, pos]]
    assert relay.value('SELECT @@server_id') == str(SERVER_ID)
    assert relay.value('SELECT @@read_only') == '1'
    assert re.match(r'\d+\.\d+\.\d+-MariaDB', relay.value('SELECT @@version'))
    row = relay.sql('SELECT UNIX_TIMESTAMP(), @@version_comment, @@global.gtid_domain_id, '
                    '@@lower_case_table_names AS l LIMIT 1')[0]
    assert len(row) == 4 and int(row[0]) > 1700000000 and row[2:] == ['0', '0']
    everything = dict(relay.sql('SHOW VARIABLES'))
    assert everything['server_id'] == str(SERVER_ID) and 'gtid_binlog_pos' in everything
    assert dict(relay.sql("SHOW VARIABLES LIKE 'gtid%'")).keys() <= everything.keys()
    assert relay.sql("SHOW VARIABLES LIKE 'no_such_variable'") == []
    assert relay.sql('/*!40101 SELECT 1, -2, 1.5, 1e5, 0x41 */') == \
        [['1', '-2', '1.5', '1e5', '0x41']]
    relay.sql('SET GLOBAL binlog_expire_logs_seconds=43200')
    assert dict(relay.sql("SHOW VARIABLES LIKE '%expire_log%'")) == {
        'binlog_expire_logs_seconds': '43200', 'expire_log_duration': '43200000ms',
        'expire_log_minimum_files': '2', 'expire_logs_days': '0.500000'}


def test_gtid_wait(relay, trio):
    primary = trio[0]
    relay.catches_up(primary)
    domain, server, seq = binlog_pos(primary).split('-')
    following = '%s-%s-%d' % (domain, server, int(seq) + 1)
    assert relay.value("SELECT MASTER_GTID_WAIT('%s', 1)" % binlog_pos(primary)) == '0'
    assert relay.value("SELECT MASTER_GTID_WAIT('%s', 0.2)" % following) == '-1'
    conn = relay.connect(timeout=120)
    with conn.cursor() as cur:
        primary.sql("INSERT INTO d.t (tag) VALUES ('awaited')")
        cur.execute("SELECT MASTER_GTID_WAIT('%s', 100)" % following)
        assert str(cur.fetchone()[0]) == '0'
    conn.close()


def test_binlog_events(relay, trio):
    primary = trio[0]
    w = Writer(primary)
    w.at_least(10)
    w.stop()
    relay.catches_up(primary)

    def data(rows):
        return [(r[2], r[3], r[5]) for r in rows
                if r[2] not in ('Format_desc', 'Gtid_list', 'Binlog_checkpoint', 'Rotate')]
    ours = relay.sql("SHOW BINLOG EVENTS IN '%s'" % relay.names()[0])
    theirs = primary.sql("SHOW BINLOG EVENTS IN '%s'" % primary.sql('SHOW BINARY LOGS')[0][0])
    assert [r[:2] for r in data(ours)] == [r[:2] for r in data(theirs)]
    assert ours[0][2] == 'Format_desc' and ours[0][1] == '4' and ours[1][2] == 'Gtid_list'
    some = relay.sql("SHOW BINLOG EVENTS IN '%s' FROM %s LIMIT 1, 3" % (relay.names()[0], ours[3][1]))
    assert some == ours[4:7]
    fails(relay, "SHOW BINLOG EVENTS IN 'nothing.000001'", 1220)


# ---------------------------------------------------------------------------- changing things
def test_a_life_of_statements(idle, trio):
    """START without settings, CHANGE, START, what running forbids, RESET, START again."""
    primary = trio[0]
    text = fails(idle, 'START SLAVE', 1200)
    assert 'host' in text.lower() or 'MASTER_HOST' in text
    assert idle.sql('SHOW SLAVE STATUS') == []       # as at a server that is no replica
    idle.sql('STOP SLAVE')
    idle.sql(change(primary))
    s = idle.status()
    assert s['Master_Host'] == primary.ip and s['Slave_IO_Running'] == 'No'
    idle.sql('START SLAVE')
    idle.catches_up(primary)
    idle.sql('START SLAVE')                          # runs already: a warning
    fails(idle, change(primary), 1198)
    fails(idle, 'RESET SLAVE', 1198)
    fails(idle, "SET GLOBAL gtid_slave_pos='0-1-1'", 1198)
    idle.sql('STOP SLAVE')
    wait_until(lambda: idle.status()['Slave_IO_Running'] == 'No', 5, 'stopped')
    primary.sql("INSERT INTO d.t (tag) VALUES ('meanwhile')")
    idle.sql("CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=1")
    assert idle.status()['Master_Port'] == '1'
    idle.sql('START SLAVE')
    wait_until(lambda: idle.status()['Last_IO_Errno'] in ('2003', '2002'), 10, 'cannot connect')
    assert idle.status()['Slave_IO_Running'] == 'Connecting'
    idle.sql('STOP SLAVE')
    idle.sql("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%d" % (primary.ip, primary.port))
    idle.sql('START SLAVE')
    idle.catches_up(primary)
    assert idle.status()['Last_IO_Errno'] == '0'
    idle.sql('STOP SLAVE; RESET SLAVE ALL')
    assert idle.sql('SHOW SLAVE STATUS') == []
    fails(idle, 'START SLAVE', 1200)


def test_what_a_manager_sends(idle, trio):
    """Switchover of a manager: names in quotes, everything again from scratch."""
    primary, other, _ = trio
    idle.follow(primary)
    idle.catches_up(primary)
    idle.lab.link(other, primary, position='')
    replica_reaches(other, binlog_pos(primary))
    other.sql('STOP SLAVE; RESET SLAVE ALL')
    for statement in ("SET @@session.autocommit=1", "SHOW ALL SLAVES STATUS", "STOP SLAVE ''",
                      "RESET SLAVE '' ALL", "CHANGE MASTER '' TO MASTER_HOST='%s', MASTER_PORT=%d, "
                      "MASTER_USER='%s', MASTER_PASSWORD='%s', MASTER_USE_GTID=current_pos, "
                      "MASTER_SSL=0" % (other.ip, other.port, USER, PASSWORD), "START SLAVE ''"):
        idle.sql(statement)
    other.sql("INSERT INTO d.t (tag) VALUES ('after the switch')")
    idle.catches_up(other)
    assert idle.status()['Master_Host'] == other.ip


@pytest.mark.parametrize('option', ["MASTER_LOG_FILE='a.000001'", 'MASTER_LOG_POS=4',
                                    "RELAY_LOG_FILE='a'", 'RELAY_LOG_POS=4', 'MASTER_DELAY=5',
                                    'IGNORE_DOMAIN_IDS=(1)', 'DO_DOMAIN_IDS=(1)',
                                    'IGNORE_SERVER_IDS=(7)', 'MASTER_USE_GTID=no'])
def test_options_that_a_relay_has_not(idle, trio, option):
    """Refused by name; what was set before stays."""
    idle.sql(change(trio[0]))
    before = idle.status()
    with pytest.raises(sql.Error) as e:
        idle.sql("CHANGE MASTER TO MASTER_HOST='elsewhere', " + option)
    assert e.value.args[0] in (1198, 1064, 1235)
    assert option.split('=')[0].lower() in e.value.args[1].lower(), e.value
    assert idle.status() == before


def test_errors_of_statements(relay, trio):
    relay.catches_up(trio[0])
    fails(relay, 'SELECT * FROM mysql.user', 1064)
    fails(relay, 'INSERT INTO d.t VALUES (1)', 1064)
    fails(relay, "SET PASSWORD = PASSWORD('x')", 1235, ['accounts'])
    fails(relay, 'SET GLOBAL max_binlog_size=100', 1231, ['max_binlog_size', '4096'])
    fails(relay, "PURGE BINARY LOGS TO 'nothing.000099'", 1373)
    relay.sql('STOP SLAVE')
    fails(relay, 'CHANGE MASTER TO MASTER_NOSUCH=1', 1064, ['MASTER_NOSUCH'])
    for text in ('abc', '1-2', '1-2-3-4', '1-1-x'):
        fails(relay, "SET GLOBAL gtid_slave_pos='%s'" % text, 1941)
    fails(relay, "SET GLOBAL gtid_slave_pos='0-1-2,0-3-4'", 1943)
    for text in ('SET NAMES utf8mb4', "SET SESSION sql_mode=''", 'SET autocommit=1', 'COMMIT',
                 'SELECT 1', 'SET @a=1'):
        relay.sql(text)


def test_where_to_begin(idle, trio):
    """SET gtid_slave_pos on an empty relay: nothing before it is fetched."""
    primary = trio[0]
    w = Writer(primary)
    w.at_least(20)
    w.stop()
    position = binlog_pos(primary)
    idle.sql("SET GLOBAL gtid_slave_pos='%s'" % position)
    assert idle.value('SELECT @@gtid_slave_pos') == position
    idle.kill()
    idle.start()                                     # it is remembered
    idle.follow(primary)
    primary.sql("INSERT INTO d.t (tag) VALUES ('first')")
    idle.catches_up(primary)
    assert list(idle.groups()) == [binlog_pos(primary)]
    with idle.binlog_client() as c:
        c.hello(position='')
        c.dump()
        with pytest.raises(WireError) as e:
            c.until_group(binlog_pos(primary))
        assert e.value.errno == 1236


def test_purge_and_reset(relay, trio):
    primary, a, _ = trio
    for i in range(4):
        primary.sql("INSERT INTO d.t (tag) VALUES ('%d'); FLUSH BINARY LOGS" % i)
    relay.catches_up(primary)
    wait_until(lambda: len(relay.names()) == 5, 10, 'five files')
    names = relay.names()
    relay.sql("PURGE BINARY LOGS TO '%s'" % names[2])
    assert relay.names() == names[2:]
    wait_until(lambda: [os.path.basename(p) for p in relay.index()] == names[2:], 5,
               'the index names what is there')
    wait_until(lambda: not os.path.exists(os.path.join(relay.datadir, names[0])), 5, 'it is gone')
    relay.sql("PURGE MASTER LOGS BEFORE '2020-01-01 00:00:00'")
    assert relay.names() == names[2:]
    attach(a, relay, None, start=False)
    a.sql("SET GLOBAL gtid_slave_pos='%s'; START SLAVE" % binlog_pos(primary))
    relay.sql('PURGE BINARY LOGS BEFORE NOW()')
    assert relay.names()[-1] == names[-1]
    wait_until(lambda: slave_status(a)['Slave_IO_Running'] == 'Yes', 10, 'the replica goes on')


def test_settings_survive(idle, trio):
    """After kill -9 the relay goes on as it was told, stopped or started, without its password on
    the disk."""
    primary = trio[0]
    idle.follow(primary, 'MASTER_HEARTBEAT_PERIOD=1.5')
    idle.catches_up(primary)
    idle.kill()
    idle.start()
    primary.sql("INSERT INTO d.t (tag) VALUES ('x')")
    idle.catches_up(primary)
    for name in os.listdir(idle.datadir):
        path = os.path.join(idle.datadir, name)
        if os.path.isfile(path):
            with open(path, 'rb') as f:
                assert PASSWORD.encode() not in f.read(), name
            if 'master-info' in name:
                assert os.stat(path).st_mode & 0o077 == 0
    idle.sql('STOP SLAVE')
    idle.kill()
    idle.start()
    s = idle.status()
    assert s['Slave_IO_Running'] == 'No' and s['Master_Host'] == primary.ip
    idle.sql('START SLAVE')
    primary.sql("INSERT INTO d.t (tag) VALUES ('y')")
    idle.catches_up(primary)
    assert PASSWORD not in idle.log_text()


# ---------------------------------------------------------------------------- who may
def test_privileges(relay, trio):
    relay.catches_up(trio[0])
    fails(relay, 'STOP SLAVE', 1227, user=USER, password=PASSWORD)
    fails(relay, 'SHOW SLAVE STATUS', 1045, user='app', password='wrong')
    with relay.binlog_client(user='app', password='app') as c:
        with pytest.raises(WireError) as e:
            c.hello(position='')
            c.dump()
            c.next()
        assert e.value.errno in (1045, 1227)         # as the command that is refused first


# ---------------------------------------------------------------------------- programs
def program(argv, relay):
    p = subprocess.run([argv[0], '-h', relay.host, '-P', str(relay.port), '-umaxscale',
                        '-pmaxscale'] + argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=120)
    return p.returncode, p.stdout


def test_programs(relay, trio):
    relay.catches_up(trio[0])
    code, text = program(['mariadb', '-e', r'SHOW SLAVE STATUS\G SHOW BINARY LOGS; SELECT 1'], relay)
    assert code == 0 and 'Slave_IO_Running: Yes' in text and relay.names()[0] in text
    code, text = program(['mariadb-admin', 'ping'], relay)
    assert code == 0 and 'alive' in text
    code, text = program(['mariadb-dump', '--master-data', 'd'], relay)
    assert code != 0 and '1049' in text and "Unknown database 'd'" in text, text
    code, text = program(['mariadb-admin', 'processlist'], relay)
    assert code == 0, text


def test_rest_and_sealanectl(relay, trio):
    primary, a, _ = trio
    attach(a, relay, '')
    replica_reaches(a, binlog_pos(primary))
    d = relay.get('/services/Replication-Proxy')['attributes']['router_diagnostics']
    assert d['gtid_io_pos'] == binlog_pos(primary)
    assert d['current_binlog'] == relay.names()[-1]
    assert d['master_config']['host'] == primary.ip and 'password' not in d['master_config']
    text = wait_until(lambda: [text for text in [relay.ctl('list', 'replicas')]
                               if binlog_pos(primary) in text], 30, 'the replica shows')[0]
    assert '2' in text
    # Two that read with one server id are two resources, each found by its id.
    with relay.binlog_client() as one, relay.binlog_client() as two:
        for c in (one, two):
            c.hello(position='')
            c.dump(server_id=0)
            c.next()
        ids = [r['id'] for r in relay.get('/replicas')]
        assert len(ids) == len(set(ids)) == 3, ids
        for i in ids:
            assert relay.get('/replicas/' + i)['id'] == i
    code, body = relay.request('GET', '/replicas/nobody')
    assert code == 404, body
    assert 'binlogrouter' in relay.ctl('list', 'services')
    code, body = relay.request('GET', '/metrics')
    assert code in (200, 404), body


def test_settings_change_while_it_runs(relay, trio):
    code, body = relay.request('PATCH', '/services/Replication-Proxy', {'data': {'attributes': {
        'parameters': {'expire_log_duration': '72h', 'expire_log_minimum_files': 3,
                       'sync_binlog': False}}}})
    assert code == 204, (code, body)
    now = relay.get('/services/Replication-Proxy')['attributes']['parameters']
    assert now['expire_log_minimum_files'] == 3
    trio[0].sql("INSERT INTO d.t (tag) VALUES ('x')")
    relay.catches_up(trio[0])


def test_select_master_and_change_master(trio, relay_lab, make_relay):
    """CHANGE MASTER wins over select_master until RESET SLAVE ALL, even after a restart."""
    primary, other, a = trio
    relay = make_relay(relay_lab, servers=[primary, other], select_master='true')
    relay.make_master(primary)
    relay.catches_up(primary)
    attach(a, relay, '')
    relay_lab.link(other, primary, position='')
    replica_reaches(other, binlog_pos(primary))
    relay.sql('STOP SLAVE')
    relay.sql("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%d" % (other.ip, other.port))
    relay.sql('START SLAVE')
    primary.sql("INSERT INTO d.t (tag) VALUES ('through the other one')")
    relay.catches_up(primary)
    assert relay.status()['Master_Host'] == other.ip
    replica_reaches(a, binlog_pos(primary))
    same_data(primary, a)
    relay.kill()
    relay.start()
    relay.make_master(primary)
    primary.sql("INSERT INTO d.t (tag) VALUES ('again')")
    relay.catches_up(primary)
    assert relay.status()['Master_Host'] == other.ip
    relay.sql('STOP SLAVE')
    relay.sql('RESET SLAVE ALL')
    relay.sql('START SLAVE')
    wait_until(lambda: relay.status()['Master_Host'] == primary.ip, 15,
               'the Master is selected again')
    assert covers(relay.position(), binlog_pos(primary))
