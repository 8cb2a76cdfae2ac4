# SPDX-License-Identifier: Apache-2.0
"""Who may stand behind a relay, and from where it may begin: real servers and raw replicas."""
import os
import shutil
import signal
import subprocess
import time

import pytest

import binlog_client as bc
from lab import sql
from relay import (LONG, PASSWORD, SERVER_ID, USER, Writer, attach, binlog_files, binlog_pos,
                   binlog_text, covers, healthy, io_error, replica_reaches, same_data,
                   same_groups, slave_status)
from sealane import npm_install, wait_until
from wire import Lost, WireError

TRANSACTIONS = 600 if LONG else 120
# A client that gets no answer hangs up without a word.
LEFT = "Closing session of '%s': the client said goodbye" % USER


def write(primary, count=TRANSACTIONS, **kw):
    w = Writer(primary, **kw)
    w.at_least(count)
    w.stop()
    assert not w.errors, w.errors[:3]
    return w


def fill_files(primary, relay, files=4, per_file=10):
    """Several files of some groups each; the GTID position at the end of each."""
    ends = []
    for i in range(files):
        write(primary, per_file, seed=100 + i)
        ends.append(binlog_pos(primary))
        if i < files - 1:
            primary.sql('FLUSH BINARY LOGS')
    relay.catches_up(primary)
    wait_until(lambda: len(relay.names()) == files, 10, '%d files at the relay' % files)
    return ends


def is_healthy(node):
    wait_until(lambda: healthy(node), 30, 'replica %s is healthy' % node.name)


def gtid(position, by):
    d, s, n = position.split('-')
    return '%s-%s-%d' % (d, s, int(n) + by)


# ---------------------------------------------------------------------------- the stream itself
def test_the_stream_of_a_primary(relay, trio):
    primary = trio[0]
    fill_files(primary, relay, 3)
    with relay.binlog_client() as c:
        began = int(time.time())
        said = c.hello(position='', heartbeat_s=0.3)
        assert int(said['server_id']) == int(relay.value('SELECT @@server_id'))
        assert began <= int(said['time']) <= time.time() and said['checksum'] == 'CRC32'
        c.dump()
        first, fde, glist = c.next(), c.next(), c.next()
        assert (first.type, first.time, first.log_pos, first.flags) == (bc.ROTATE, 0, 0, 0x20)
        assert first.rotate() == (relay.names()[0], 4)
        assert fde.type == bc.FDE and not fde.flags & bc.IN_USE
        assert glist.type == bc.GTID_LIST and glist.gtid_list() == []
        kinds = [e.type for e in c.until_group(binlog_pos(primary))]
        assert kinds.count(bc.FDE) == 2                 # the second and third file
        beat = c.next()
        while beat.type != bc.HEARTBEAT:
            beat = c.next()
        assert beat.body.decode() == c.file == relay.names()[-1]
        assert beat.log_pos == c.pos and beat.time == 0 and beat.flags == 0
        same = bc.Groups().read_files(binlog_files(primary)).groups
        assert c.groups.groups == same if relay.process else list(c.groups.groups) == list(same)
        primary.sql("INSERT INTO d.t (tag) VALUES ('live')")
        c.until_group(binlog_pos(primary))


def test_positions_by_gtid(relay, trio):
    """From each position a replica gets exactly what it lacks, wherever it lies in a file."""
    primary = trio[0]
    ends = fill_files(primary, relay, 3)
    last = binlog_pos(primary)
    total = int(last.split('-')[2])
    begins = {0, 1, 2, total - 1, total} | {int(e.split('-')[2]) + i for e in ends
                                            for i in (-1, 0, 1)}
    for n in sorted(x for x in begins if x <= total):
        with relay.binlog_client() as c:
            c.hello(position='0-1-%d' % n if n else '')
            c.dump(flags=bc.NON_BLOCK | bc.SEND_ANNOTATE).until_end()
            assert list(c.groups.groups) == ['0-1-%d' % i for i in range(n + 1, total + 1)], n


def test_positions_by_file(relay, trio):
    primary = trio[0]
    fill_files(primary, relay, 2)
    for name, path in zip(relay.names(), relay.files()):
        events = list(bc.read_file(path))
        for e in (events[1], events[len(events) // 2 - 1], events[-2]):
            with relay.binlog_client() as c:
                c.hello()
                c.dump(name, e.log_pos, bc.NON_BLOCK | bc.SEND_ANNOTATE)
                rotate, fde = c.next(), c.next()
                assert rotate.rotate() == (name, e.log_pos)
                assert fde.type == bc.FDE and fde.log_pos == 0
                got = c.next()
                want = events[events.index(e) + 1]
                assert got.raw == want.raw


def refused(relay, code, file='', pos=4, deadline_s=60, **hello):
    """What a dump ends with; the error's message."""
    with relay.binlog_client() as c:
        c.hello(**hello)
        c.dump(file, pos)
        with pytest.raises(WireError) as e:
            end = time.monotonic() + deadline_s
            while time.monotonic() < end:
                c.next(deadline_s)
        assert e.value.errno == code, e.value
        return e.value.message


def test_refusals_in_the_words_of_a_primary(relay, trio):
    primary = trio[0]
    ends = fill_files(primary, relay, 3)
    relay.sql("PURGE BINARY LOGS TO '%s'" % relay.names()[1])
    wait_until(lambda: len(relay.names()) == 2, 10, 'the first file is gone')
    purged = 'Could not find GTID state requested by slave in any binlog files. Probably the ' \
             'slave state is too old and required binlog files have been purged.'
    assert refused(relay, 1236, position='') == purged
    assert refused(relay, 1236, position=gtid(ends[0], -1)) == purged
    diverged = refused(relay, 1236, position='0-9-%s' % gtid(ends[1], -1).split('-')[2])
    assert diverged.startswith('Error: connecting slave requested to start from GTID 0-9-') and \
        'it probably means that the slave has diverged' in diverged
    assert 'GTID list' in refused(relay, 1941, position='0-1')
    assert 'duplicate domain id 0' in refused(relay, 1943, position='0-1-3,0-2-4')
    assert refused(relay, 1236, file='none.000001') == \
        'Could not find first log file name in binary log index file'
    name = relay.names()[1]
    assert 'impossible position' in refused(relay, 1236, file=name, pos=99999999)
    assert 'checksum' in refused(relay, 1236, position=ends[1], checksum=None)


def test_ahead_of_the_relay(trio, relay_lab, make_relay):
    """A replica that is ahead waits; when the relay stays behind it is told what a primary says."""
    primary = trio[0]
    relay = make_relay(relay_lab, gtid_ahead_timeout='600s').follow(primary)
    relay.catches_up(primary)
    relay.sql('STOP SLAVE')
    primary.sql("INSERT INTO d.t (tag) VALUES ('a')")
    ahead = binlog_pos(primary)
    with relay.binlog_client() as c:
        c.hello(position=ahead)
        c.dump()
        relay.sql('START SLAVE')                   # the relay gets there: the dump begins
        relay.reaches(ahead)
        primary.sql("INSERT INTO d.t (tag) VALUES ('b')")
        c.until_group(binlog_pos(primary))
        assert list(c.groups.groups) == [binlog_pos(primary)]


def test_a_replica_ahead_is_told(trio, relay_lab, make_relay):
    primary = trio[0]
    relay = make_relay(relay_lab, gtid_ahead_timeout='1s').follow(primary)
    relay.catches_up(primary)
    text = refused(relay, 1236, position='0-1-999999')
    assert text == "Error: connecting slave requested to start from GTID 0-1-999999, which is " \
                   "not in the master's binlog"


def test_a_late_relay_is_asked_again(trio, relay_lab, make_relay):
    """A relay that cannot know whether the replica is ahead stops nobody for good."""
    primary = trio[0]
    relay = make_relay(relay_lab, gtid_ahead_timeout='1s').follow(primary)
    relay.catches_up(primary)
    primary.kill()
    wait_until(lambda: relay.status()['Slave_IO_Running'] == 'Connecting', 10, 'the primary is gone')
    assert 'GTID 0-1-999999 yet' in refused(relay, 1105, position='0-1-999999')
    assert 'diverged' in refused(relay, 1236, position='0-77-1')


def test_a_relay_that_begins_anew(trio, relay_lab, make_relay):
    """Its files are gone, and it reads all of them again: replicas need no hand."""
    primary, a, _ = trio
    relay = make_relay(relay_lab, gtid_ahead_timeout='1s').follow(primary)
    for i in range(20):
        primary.sql('FLUSH LOGS; INSERT INTO d.t (tag) VALUES (%d)' % i)
    attach(a, relay)
    replica_reaches(a, binlog_pos(primary))
    relay.stop()
    shutil.rmtree(relay.datadir)
    relay.start()
    wait_until(lambda: 'no binlog files yet' in relay.log_text()[relay.starts_at:], 20,
               'the replica has asked the empty relay')
    relay.follow(primary)
    primary.sql("INSERT INTO d.t (tag) VALUES ('b')")
    replica_reaches(a, binlog_pos(primary))
    wait_until(lambda: healthy(a), 10, 'the replica reads')


def test_purged_and_diverged_at_a_real_replica(relay, trio):
    primary, a, b = trio
    fill_files(primary, relay, 3)
    relay.sql("PURGE BINARY LOGS TO '%s'" % relay.names()[1])
    wait_until(lambda: len(relay.names()) == 2, 10, 'the first file is gone')
    attach(a, relay, '')
    attach(b, relay, '0-77-5')
    assert 'Could not find GTID state requested by slave in any binlog files' in io_error(a, 1236)
    assert 'probably means that the slave has diverged' in io_error(b, 1236)


def test_heartbeats_while_it_waits(trio, relay_lab, make_relay):
    """A replica ahead of the relay is not left without a sign of life, and goes on in the end."""
    primary, a, _ = trio
    relay = make_relay(relay_lab, gtid_ahead_timeout='600s').follow(primary)
    relay.catches_up(primary)
    attach(a, relay, '0-1-9999', start=False)
    a.sql('CHANGE MASTER TO MASTER_HEARTBEAT_PERIOD=0.2; START SLAVE')

    def heartbeats():
        status = dict(a.sql("SHOW STATUS LIKE 'Slave_received_heartbeats'"))
        return int(status['Slave_received_heartbeats'])
    before = heartbeats()
    wait_until(lambda: heartbeats() >= before + 5, 15, 'heartbeats')
    assert healthy(a), slave_status(a)
    # It has no tables, and gets what comes behind its position.
    primary.sql('SET SESSION gtid_seq_no=9999; CREATE DATABASE left_out; CREATE DATABASE e')
    replica_reaches(a, binlog_pos(primary))
    assert healthy(a), slave_status(a)
    names = [r[0] for r in a.sql('SHOW DATABASES')]
    assert 'e' in names and 'left_out' not in names
    a.sql('STOP SLAVE; SET SESSION sql_log_bin=0; DROP DATABASE e')
    primary.sql('DROP DATABASE left_out; DROP DATABASE e')


# ---------------------------------------------------------------------------- real replicas
def test_empty_position_and_a_chain(relay, trio):
    primary, a, b = trio
    write(primary)
    relay.catches_up(primary)
    attach(a, relay, '')
    attach(b, relay, '', use='current_pos')
    write(primary, 50, seed=2)
    for n in (a, b):
        replica_reaches(n, binlog_pos(primary))
        same_data(primary, n)
        is_healthy(n)
    same_groups(relay, primary)
    s = wait_until(lambda: [s for s in [slave_status(a)] if s['Seconds_Behind_Master'] == '0'], 30,
                   'the replica is not behind')[0]
    assert s['Master_Log_File'] == relay.names()[-1] and s['Using_Gtid'] == 'Slave_Pos'
    hosts = relay.sql('SHOW SLAVE HOSTS')
    assert {h[0] for h in hosts} >= {'2', '3'}, hosts


def test_a_replica_that_changes_over(relay, trio):
    """From the primary to the relay and back: GTIDs are the same, so nothing is lost or doubled."""
    primary, a, _ = trio
    relay.catches_up(primary)
    relay.lab.link(a, primary, position='')
    write(primary, 60)
    replica_reaches(a, binlog_pos(primary))
    for use in ('slave_pos', 'current_pos'):
        attach(a, relay, None, use)
        write(primary, 60, seed=3)
        replica_reaches(a, binlog_pos(primary))
    relay.lab.link(a, primary)
    write(primary, 60, seed=4)
    replica_reaches(a, binlog_pos(primary))
    same_data(primary, a)
    is_healthy(a)


def test_file_and_position(relay, trio):
    primary, a, _ = trio
    write(primary, 40)
    relay.catches_up(primary)
    attach(a, relay, '', use='no', options="MASTER_LOG_FILE='%s', MASTER_LOG_POS=4"
           % relay.names()[0])
    primary.sql('FLUSH BINARY LOGS')
    write(primary, 40, seed=2)
    relay.catches_up(primary)

    def there():
        s = slave_status(a)
        assert s['Last_SQL_Errno'] == '0', s['Last_SQL_Error']
        return a.value("SELECT COUNT(*) FROM d.t") == primary.value('SELECT COUNT(*) FROM d.t')
    wait_until(there, 60, 'the rows arrive by file and position')
    same_data(primary, a)
    s = slave_status(a)
    assert s['Using_Gtid'] == 'No' and s['Master_Log_File'] == relay.names()[-1]
    a.sql('STOP SLAVE; START SLAVE')                # resumes by file and position
    write(primary, 10, seed=3)
    wait_until(there, 60, 'the rows arrive after a restart of the replica')
    is_healthy(a)


def test_parallel_replication(relay, trio):
    primary, a, _ = trio
    a.sql("SET GLOBAL slave_parallel_threads=4; SET GLOBAL slave_parallel_mode='optimistic'")
    attach(a, relay, '')
    writers = [Writer(primary, seed=10 + i) for i in range(3)]
    for w in writers:
        w.at_least(60)
    for w in writers:
        w.stop()
    replica_reaches(a, binlog_pos(primary))
    same_data(primary, a)
    same_groups(relay, primary)


def test_extra_domains(relay, trio):
    """Domains that the replica lacks come from their first event, those the relay lacks do not
    matter, and each domain goes on from where the replica is."""
    primary, a, _ = trio
    attach(a, relay, '77-7-7', options='IGNORE_DOMAIN_IDS=(78)')
    conn = primary.connect()
    for i in range(30):
        sql.rows(conn, "SET SESSION gtid_domain_id=%d; INSERT INTO d.t (tag) VALUES ('d%d')"
                 % (i % 3, i))
    conn.close()
    position = binlog_pos(primary)
    assert len(position.split(',')) == 3
    relay.reaches(position)
    replica_reaches(a, position)
    same_data(primary, a)
    assert covers(a.value('SELECT @@global.gtid_slave_pos'), '77-7-7')
    with relay.binlog_client() as c:
        c.groups.strict = False
        c.hello(position='0-1-5,2-1-10')
        c.dump(flags=3).until_end()
        want = [g for g in relay.groups() if not covers('0-1-5,2-1-10', g)]
        assert list(c.groups.groups) == want and any(g.startswith('1-') for g in want)


def test_filters_of_a_replica(relay, trio):
    """By table, by database, by domain and by the mark of a session: as behind a primary."""
    primary, a, _ = trio
    a.sql("STOP ALL SLAVES; SET GLOBAL replicate_wild_ignore_table='d.m%'; "
          "SET GLOBAL replicate_ignore_db='hidden'; "
          "SET GLOBAL replicate_events_marked_for_skip='FILTER_ON_MASTER'")
    try:
        attach(a, relay, '', options='IGNORE_DOMAIN_IDS=(5)')
        primary.sql("CREATE DATABASE hidden; USE hidden; CREATE TABLE hidden.h (a INT); "
                    "INSERT INTO hidden.h VALUES (1); USE d; INSERT INTO d.m (tag) VALUES ('m'); "
                    "INSERT INTO d.t (tag) VALUES ('seen'); "
                    "SET SESSION gtid_domain_id=5; INSERT INTO d.t (tag) VALUES ('domain'); "
                    "SET SESSION gtid_domain_id=0, skip_replication=1; "
                    "INSERT INTO d.t (tag) VALUES ('marked'); SET SESSION skip_replication=0; "
                    "INSERT INTO d.t (tag) VALUES ('last')")
        replica_reaches(a, binlog_pos(primary))
        assert a.sql('SELECT tag FROM d.t ORDER BY id') == [['seen'], ['last']]
        assert a.sql("SHOW DATABASES LIKE 'hidden'") == []
        is_healthy(a)
        same_groups(relay, primary)
    finally:
        a.sql("STOP ALL SLAVES; SET GLOBAL replicate_wild_ignore_table=''; "
              "SET GLOBAL replicate_ignore_db=''; "
              "SET GLOBAL replicate_events_marked_for_skip='REPLICATE'")
        primary.sql('SET SESSION sql_log_bin=0; DROP DATABASE hidden')


def test_tls_on_both_sides(trio, relay_lab, make_relay):
    primary, a, _ = trio
    d = relay_lab.dir + '/tls/'
    relay = make_relay(relay_lab, listener={'ssl': 'true', 'ssl_cert': d + 'proxy.pem',
                                            'ssl_key': d + 'proxy.key', 'ssl_ca': d + 'ca.pem'})
    relay.sql = tls_sql(relay, d + 'ca.pem')
    relay.follow(primary, "MASTER_SSL=1, MASTER_SSL_CA='%sca.pem', "
                          "MASTER_SSL_VERIFY_SERVER_CERT=1" % d)
    write(primary, 60)
    attach(a, relay, '', options="MASTER_SSL=1, MASTER_SSL_CA='%sca.pem', "
                                 "MASTER_SSL_VERIFY_SERVER_CERT=1" % d)
    replica_reaches(a, binlog_pos(primary))
    same_data(primary, a)
    dumps = "SELECT COUNT(*) FROM information_schema.processlist WHERE command='Binlog Dump'"
    wait_until(lambda: primary.value(dumps) == '1', 60, 'nobody else reads from the primary')
    assert dict(zip(*relay_status(relay)))['Master_SSL_Allowed'] == 'Yes'
    with pytest.raises((WireError, Lost, OSError, sql.Error)):
        relay.binlog_client().hello()                # without TLS nobody is let in


def tls_connection(relay, ca):
    return sql.pymysql.connect(host=relay.host, port=relay.port, user='maxscale',
                               password='maxscale', ssl={'ca': ca}, connect_timeout=60,
                               conv=dict(sql.pymysql.converters.encoders), autocommit=True)


def tls_sql(relay, ca):
    def call(text):
        conn = relay.conn = tls_connection(relay, ca)
        try:
            return sql.rows(conn, text)
        finally:
            conn.close()
    relay.tls_ca = ca
    return call


def relay_status(relay):
    conn = tls_connection(relay, relay.tls_ca)
    try:
        (names, rows), = sql.results(conn, 'SHOW SLAVE STATUS')
        return names, rows[0]
    finally:
        conn.close()


# ---------------------------------------------------------------------------- kinds of events
ZOO = """SET SESSION binlog_format=STATEMENT;
SET @v='user variable', @n=17, @r=1.5, @null=NULL;
INSERT INTO d.t (tag, k) VALUES (@v, @n), (CONCAT('a', @r), @null);
INSERT INTO d.m (tag) VALUES (RAND()), (LAST_INSERT_ID());
INSERT INTO d.t (tag, k) VALUES ('insert id', LAST_INSERT_ID());
CREATE TEMPORARY TABLE d.tmp (a INT); INSERT INTO d.tmp VALUES (1), (2);
INSERT INTO d.t (tag, k) SELECT 'tmp', a FROM d.tmp; DROP TEMPORARY TABLE d.tmp;
SET SESSION binlog_format=ROW;
XA START 'one'; INSERT INTO d.t (tag) VALUES ('xa'); XA END 'one'; XA PREPARE 'one';
XA COMMIT 'one';
XA START 'two'; INSERT INTO d.t (tag) VALUES ('xa rolled back'); XA END 'two'; XA PREPARE 'two';
XA ROLLBACK 'two';
XA START 'three'; INSERT INTO d.t (tag) VALUES ('one phase'); XA END 'three';
XA COMMIT 'three' ONE PHASE;
SET SESSION binlog_alter_two_phase=1;
ALTER TABLE d.t ADD COLUMN c INT; ALTER TABLE d.t DROP COLUMN c;
BEGIN; INSERT INTO d.t (tag) VALUES ('s1'); SAVEPOINT a; INSERT INTO d.t (tag) VALUES ('s2');
ROLLBACK TO a; INSERT INTO d.t (tag) VALUES ('s3'); COMMIT;
BEGIN; INSERT INTO d.t (tag) VALUES ('mixed'); INSERT INTO d.m (tag) VALUES ('stays'); ROLLBACK;
INSERT INTO d.m (tag) VALUES ('row'), ('event');
SET SESSION binlog_row_image=MINIMAL; UPDATE d.t SET k=5 WHERE tag='s1'; DELETE FROM d.t LIMIT 1;
CREATE TABLE d.copy AS SELECT id, tag FROM d.t;
CREATE SEQUENCE d.q; SELECT NEXTVAL(d.q); TRUNCATE d.copy; DROP TABLE d.copy;
SET SESSION skip_replication=1; INSERT INTO d.t (tag) VALUES ('marked');
SET SESSION skip_replication=0;
SET STATEMENT binlog_annotate_row_events=0 FOR INSERT INTO d.t (tag) VALUES ('no annotation');
CREATE PROCEDURE d.p() BEGIN INSERT INTO d.t (tag) VALUES ('by procedure'); END;
CALL d.p(); ANALYZE TABLE d.t; GRANT SELECT ON d.* TO app@'%'"""


def zoo(primary, tmp_path):
    """At least one of each kind of event that a server writes."""
    data = tmp_path / 'rows.txt'
    data.write_text(''.join('loaded %d\n' % i for i in range(20000)))
    os.chmod(data, 0o644)
    os.chmod(tmp_path, 0o755)
    primary.sql(ZOO)
    login = dict(user='maxscale', password='maxscale')
    conn = sql.pymysql.connect(host=primary.ip, port=primary.port, autocommit=True,
                               local_infile=True, **login)
    with conn.cursor() as cur:
        cur.execute('SET SESSION binlog_format=STATEMENT')
        cur.execute("LOAD DATA LOCAL INFILE '%s' INTO TABLE d.m (tag)" % data)
    conn.close()


def test_every_kind_of_event(relay, trio, tmp_path):
    primary, a, _ = trio
    attach(a, relay, '')
    zoo(primary, tmp_path)
    primary.sql('SET GLOBAL log_bin_compress=ON')
    zoo_compressed(primary)
    replica_reaches(a, binlog_pos(primary))
    same_data(primary, a)
    same_groups(relay, primary)
    kinds = {e.type for f in relay.files() for e in bc.read_file(f)}
    assert {bc.INTVAR, bc.RAND, bc.USER_VAR, bc.XA_PREPARE, bc.ANNOTATE, bc.QUERY_COMPRESSED,
            bc.WRITE_COMPRESSED, 17, 18} <= kinds, kinds
    assert binlog_text(relay.files()) == binlog_text(binlog_files(primary))
    with relay.binlog_client() as c:                 # marked groups are left out on request
        c.groups.strict = False
        c.hello(position='')
        c.query('SET skip_replication=1')
        c.dump(flags=3).until_end()
        assert not any(b'marked' in b''.join(g) for g in c.groups.groups.values())


def zoo_compressed(primary):
    primary.sql("INSERT INTO d.t (tag, b) VALUES ('big', REPEAT('compress me ', 20000));"
                "UPDATE d.t SET b=REPEAT('other', 5000) WHERE tag='big';"
                "DELETE FROM d.t WHERE tag='big';"
                "CREATE TABLE d.long1 (a INT COMMENT '%s')" % ('c' * 1000))


@pytest.mark.parametrize('megabytes', [16, 40])
def test_events_larger_than_a_packet(relay, trio, megabytes):
    primary, a, _ = trio
    primary.sql("INSERT INTO d.t (tag, b) VALUES ('huge', REPEAT('0123456789abcdef', %d))"
                % (megabytes << 16), timeout=180)
    primary.sql("INSERT INTO d.t (tag) VALUES ('after')")
    relay.catches_up(primary)
    attach(a, relay, '')
    replica_reaches(a, binlog_pos(primary))
    same_data(primary, a)
    same_groups(relay, primary)


def test_a_primary_without_checksums(relay, trio):
    """NONE, back to CRC32, and a replica that reads across all the changes."""
    primary, a, _ = trio
    for algorithm in ('NONE', 'CRC32', 'NONE'):
        primary.sql('SET GLOBAL binlog_checksum=' + algorithm)
        write(primary, 20, seed=ord(algorithm[0]))
        relay.catches_up(primary)
    attach(a, relay, '')
    write(primary, 20, seed=9)
    replica_reaches(a, binlog_pos(primary))
    same_data(primary, a)
    same_groups(relay, primary)
    assert binlog_text(relay.files()) == binlog_text(binlog_files(primary))
    with relay.binlog_client() as c:
        c.hello(position='', checksum='NONE')
        c.dump(flags=3).until_end()
        assert covers(binlog_pos(primary), next(reversed(c.groups.groups)))


# ---------------------------------------------------------------------------- kinds of files
KEYS = '1;00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n'


@pytest.mark.parametrize('cipher', ['AES_GCM', 'AES_CBC', 'AES_CTR'])
def test_encrypted_store(trio, relay_lab, make_relay, tmp_path, cipher):
    primary, a, _ = trio
    keys = tmp_path / 'keys'
    keys.write_text(KEYS)
    os.chmod(keys, 0o600)
    relay = make_relay(relay_lab, globals_={'key_manager': 'file', 'file.keyfile': str(keys)},
                       encryption_key_id='1', encryption_cipher=cipher).follow(primary)
    primary.sql("INSERT INTO d.t (tag, b) VALUES ('x', REPEAT('plainly readable text ', 1000))")
    write(primary, 40)
    relay.catches_up(primary)
    primary.sql('FLUSH BINARY LOGS')
    attach(a, relay, '')
    write(primary, 20, seed=2)
    relay.catches_up(primary)
    relay.kill()
    relay.start()                                    # the tail of an encrypted file is recovered
    write(primary, 20, seed=3)
    replica_reaches(a, binlog_pos(primary))
    same_data(primary, a)
    for path in relay.files():
        with open(path, 'rb') as f:
            data = f.read()
        assert data[:4] == bc.MAGIC
        for text in (b'plainly readable', b'INSERT INTO d.t'):
            at = data.find(text)
            assert at < 0, '%s: %r at %d: %r' % (path, text, at, data[at - 60:at + 100])
    with relay.binlog_client() as c:
        c.hello(position='')
        c.dump(flags=3).until_end()
        assert c.groups.groups == bc.Groups().read_files(binlog_files(primary)).groups


def test_archived_files_are_read(trio, relay_lab, make_relay, tmp_path):
    primary, a, _ = trio
    archive = tmp_path / 'archive'
    archive.mkdir()
    relay = make_relay(relay_lab, expiration_mode='archive', archivedir=str(archive),
                       expire_log_duration='1s', expire_log_minimum_files=1,
                       purge_startup_delay='1s', purge_poll_timeout='1s').follow(primary)
    fill_files(primary, relay, 3)
    wait_until(lambda: len(relay.files()) == 1, 20, 'old files went to the archive')
    assert len(os.listdir(archive)) >= 2
    attach(a, relay, '')
    replica_reaches(a, binlog_pos(primary))
    same_data(primary, a)


def test_compressed_files_are_read(trio, relay_lab, make_relay):
    primary, a, _ = trio
    relay = make_relay(relay_lab, compression_algorithm='zstandard',
                       number_of_noncompressed_files=1).follow(primary)
    fill_files(primary, relay, 4)

    def compressed():
        return sum(n.endswith('.zst') for n in os.listdir(relay.datadir)) == 3
    wait_until(compressed, 20, 'three files are compressed')
    assert len(relay.names()) == 4
    attach(a, relay, '')
    write(primary, 10, seed=7)
    replica_reaches(a, binlog_pos(primary))
    same_data(primary, a)
    relay.kill()
    relay.start()
    with relay.binlog_client() as c:
        c.hello(position='')
        c.dump(flags=3).until_end()
        assert c.groups.groups == bc.Groups().read_files(binlog_files(primary)).groups


# ---------------------------------------------------------------------------- tools
def remote(relay, *more):
    return ['--read-from-remote-server', '--host=' + relay.host, '--port=%d' % relay.port,
            '--user=' + USER, '--password=' + PASSWORD, *more]


def raw_events(data):
    """The bytes of a file, IN_USE of its FORMAT_DESCRIPTION left out."""
    return data[:21] + bytes([data[21] & ~bc.IN_USE]) + data[22:]


def test_mariadb_binlog(relay, trio, tmp_path, run):
    primary = trio[0]
    fill_files(primary, relay, 3)
    first, last = relay.names()[0], relay.names()[-1]
    want = binlog_text(binlog_files(primary))
    assert binlog_text(relay.files()) == want
    assert binlog_text(remote(relay, '--to-last-log', first)) == want
    middle = gtid(binlog_pos(primary), -7)
    text = binlog_text(remote(relay, '--start-position=' + middle, '--to-last-log', first))
    assert [t for t in text if ' GTID 0-' in t] == [t for t in want if ' GTID 0-' in t][-7:]
    copy = tmp_path / 'copy'
    copy.mkdir()
    run(['mariadb-binlog', '--raw', '--result-file=%s/' % copy, '--to-last-log'] +
        remote(relay, first))
    for path in relay.files():
        with open(path, 'rb') as a, open(copy / os.path.basename(path), 'rb') as b:
            assert raw_events(a.read()) == raw_events(b.read()), path
    assert os.path.exists(copy / last)


def test_mariadb_binlog_that_never_stops(relay, trio, tmp_path):
    primary = trio[0]
    fill_files(primary, relay, 2)
    copy = tmp_path / 'copy'
    copy.mkdir()
    child = subprocess.Popen(['mariadb-binlog', '--raw', '--stop-never',
                              '--stop-never-slave-server-id=99', '--result-file=%s/' % copy] +
                             remote(relay, relay.names()[0]), stderr=subprocess.PIPE)
    try:
        write(primary, 20, seed=5)
        primary.sql('FLUSH BINARY LOGS')
        write(primary, 20, seed=6)
        last = binlog_pos(primary)

        def there():
            assert child.poll() is None, child.stderr.read()
            got = sorted(str(copy / n) for n in os.listdir(copy))
            return last in bc.Groups().read_files(got, torn=True).groups
        wait_until(there, 60, 'the copy of the log has the last group')
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(60)
        child.stderr.close()


# ---------------------------------------------------------------------------- connections
def dumps(relay):
    return [r for r in relay.sql('SHOW PROCESSLIST') if r[4] == 'Binlog Dump']


def test_kill_of_a_dump(relay, trio):
    with relay.binlog_client() as c:
        c.hello(position='')
        c.dump()
        c.until_group(binlog_pos(trio[0]))
        relay.sql('KILL %d' % c.thread_id)
        with pytest.raises((Lost, WireError)):
            while True:
                c.next()


def test_same_server_id_twice(relay, trio):
    """The older one has to go, with an error that a replica takes as a reason to come again."""
    with relay.binlog_client() as old, relay.binlog_client() as new:
        for c in (old, new):
            c.hello(server_id=55, position='')
            c.dump()
            c.until_group(binlog_pos(trio[0]))
        with pytest.raises(WireError) as e:
            while True:
                old.next()
        assert e.value.errno == 4052
        trio[0].sql("INSERT INTO d.t (tag) VALUES ('new one goes on')")
        new.until_group(binlog_pos(trio[0]))


@pytest.mark.parametrize('asks', ['false', 'true'])
def test_semi_sync_replicas(trio, relay_lab, make_relay, asks):
    """A replica that asked for it finds the header in front of each event; whether it shall
    acknowledge is a setting of the relay."""
    primary, a, _ = trio
    relay = make_relay(relay_lab, rpl_semi_sync_master_enabled=asks).follow(primary)
    with relay.binlog_client() as c:
        assert c.hello(position='', semi_sync=True)['semi_sync'] == ('ON' if asks == 'true' else
                                                                     'OFF')
        c.dump()
        write(primary, 30)
        events = c.until_group(binlog_pos(primary), ack=True)
        assert any(e.wants_ack for e in events) == (asks == 'true')
    a.sql('SET GLOBAL rpl_semi_sync_slave_enabled=ON, rpl_semi_sync_slave_kill_conn_timeout=60')
    try:
        attach(a, relay, '')
        write(primary, 30, seed=2)
        replica_reaches(a, binlog_pos(primary))
        wait_until(lambda: LEFT in relay.log_text(), 30, 'the first reader has gone')
        gone = relay.log_text().count(LEFT)
        a.sql('STOP SLAVE', timeout=120)             # sends KILL for its dump, with a session of its own
        wait_until(lambda: relay.log_text().count(LEFT) > gone, 30, 'the KILL was answered')
        same_data(primary, a)
    finally:
        a.sql('STOP SLAVE; SET GLOBAL rpl_semi_sync_slave_enabled=OFF,'
              ' rpl_semi_sync_slave_kill_conn_timeout=DEFAULT')
    assert 'error' not in a_log(relay)


def a_log(relay):
    return '\n'.join(line for line in relay.log_text().splitlines() if ' error ' in line)


def test_until(relay, trio):
    primary, a, _ = trio
    write(primary, 30)
    stop = gtid(binlog_pos(primary), -10)
    relay.catches_up(primary)
    attach(a, relay, '', start=False)
    a.sql("START SLAVE UNTIL master_gtid_pos='%s'" % stop)
    wait_until(lambda: slave_status(a)['Slave_SQL_Running'] == 'No', 15, 'the replica stops')
    assert a.value('SELECT @@global.gtid_slave_pos') == stop
    assert slave_status(a)['Last_SQL_Errno'] == '0'


def test_the_server_ids_that_are_in_use(relay, trio):
    """A replica with the relay's own id is told so by itself; the relay shows its own id."""
    assert relay.value('SELECT @@server_id') == str(SERVER_ID)
    assert relay.sql("SHOW VARIABLES LIKE 'server_id'") == [['server_id', str(SERVER_ID)]]


ZONGJI = """
const ZongJi = require('@vlasky/zongji'), mysql = require('@vlasky/mysql');
const login = {host: '%(host)s', port: %(port)d, user: 'repl_user', password: 'SecretP@ssw0rd'};
const z = new ZongJi(login);
z.ctrlConnection.destroy();                      // it asks for columns, which only a server knows
z.ctrlConnection = mysql.createConnection(
    {host: '%(primary)s', port: %(primary_port)d, user: 'maxscale', password: 'maxscale'});
z.connection.query('SET @mariadb_slave_capability=4');
z.on('error', e => { console.log('error', e.message); process.exit(1); });
z.on('binlog', e => {
  if (e.getEventName() === 'writerows')
    for (const r of e.rows) {
      console.log(r.tag);
      if (r.tag === 'the end') process.exit(0);
    }
});
z.start({filename: '%(file)s', position: 4, includeEvents: ['tablemap', 'writerows', 'rotate']});
"""


def test_zongji(relay, trio, tmp_path):
    """A CDC reader of the npm registry, told to say that it knows GTID events."""
    primary = trio[0]
    npm_install(tmp_path, '@vlasky/zongji@0.5.9')
    w = write(primary, 30)
    primary.sql("FLUSH BINARY LOGS; INSERT INTO d.t (tag) VALUES ('the end')")
    relay.catches_up(primary)
    p = subprocess.run(['node', '-e', ZONGJI % {
        'host': relay.host, 'port': relay.port, 'primary': primary.ip,
        'primary_port': primary.port, 'file': relay.names()[0]}], cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180)
    assert p.stdout.split('\n')[:-1] == w.acknowledged + ['the end'], p.stdout[-1000:]
