# SPDX-License-Identifier: Apache-2.0
"""The server configuration and the accounts of the lab.

The durability settings are light on purpose (no fsync at commit, no doublewrite): lab servers may
lose data when the machine dies, never when a process does.
"""
from .topology import GROUP_PORT, IST_PORT

PROVIDER = '/usr/lib/galera/libgalera_smm.so'

# maxuser, repl_user and monitor_user have the grants of the set-ups that the project follows;
# app is the ordinary application account of the tests.
USERS = """
DELETE FROM mysql.global_priv WHERE User='';
FLUSH PRIVILEGES;
CREATE USER maxuser@'%' IDENTIFIED BY 'SecretP@ssw0rd';
GRANT SELECT ON mysql.* TO maxuser@'%';
GRANT SHOW DATABASES ON *.* TO maxuser@'%';
CREATE USER repl_user@'%' IDENTIFIED BY 'SecretP@ssw0rd';
GRANT SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO repl_user@'%';
GRANT SELECT ON mysql.* TO repl_user@'%';
CREATE USER monitor_user@'%' IDENTIFIED BY 'monitor_user';
GRANT REPLICATION CLIENT, FILE, SUPER, RELOAD, PROCESS, SHOW DATABASES, EVENT ON *.* TO monitor_user@'%';
CREATE USER maxscale@'%' IDENTIFIED BY 'maxscale';
GRANT ALL PRIVILEGES ON *.* TO maxscale@'%' WITH GRANT OPTION;
CREATE USER mariabackup@'localhost' IDENTIFIED BY 'mypassword';
GRANT RELOAD, PROCESS, LOCK TABLES, REPLICATION CLIENT, SELECT ON *.* TO mariabackup@'localhost';
CREATE USER app@'%' IDENTIFIED BY 'app';
GRANT ALL PRIVILEGES ON app.* TO app@'%';
GRANT ALL PRIVILEGES ON dbtest.* TO app@'%';
GRANT ALL PRIVILEGES ON test.* TO app@'%';
GRANT ALL PRIVILEGES ON sbtest.* TO app@'%';
FLUSH PRIVILEGES;
"""

BASE = """[mysqld]
datadir = {home}/data
tmpdir = {home}/tmp
socket = {home}/sock
pid-file = {home}/pid
log-error = {home}/error.log
general_log_file = {home}/general.log
bind-address = {ip}
port = {port}
report-host = {ip}
report-port = {port}
skip-name-resolve
performance_schema = OFF
innodb_buffer_pool_size = 32M
innodb_log_file_size = 16M
innodb_flush_log_at_trx_commit = 0
innodb_doublewrite = 0
sync_binlog = 0
key_buffer_size = 1M
aria_pagecache_buffer_size = 1M
table_open_cache = 200
max_connections = 500
character-set-server = utf8mb4
collation-server = utf8mb4_general_ci
server_id = {server_id}
default_storage_engine = InnoDB
innodb_autoinc_lock_mode = 2
"""

BINLOG = """log_bin = {binlog_name}
log_slave_updates = ON
binlog_format = row
gtid_domain_id = {gtid_domain}
expire_logs_days = 10
"""

# skip_slave_start: a replicating node that crashed must not resume beside its successor
GALERA = """binlog_format = row
skip_slave_start = ON
wsrep_on = ON
wsrep_provider = {provider}
wsrep_cluster_name = {cluster}
wsrep_cluster_address = gcomm://{members}
wsrep_node_address = {ip}
wsrep_node_name = galera-{name}
wsrep_node_incoming_address = {ip}:{port}
wsrep_sst_receive_address = {ip}:{sst_port}
wsrep_sst_method = {sst}
wsrep_sst_auth = mariabackup:mypassword
wsrep_slave_threads = 2
wsrep_provider_options = "gcache.size=32M;gcache.page_size=32M;gmcast.listen_addr=tcp://{ip}:{group_port};ist.recv_addr={ip}:{ist_port};ist.recv_bind={ip}:{ist_port}{provider_options}"
"""

GALERA_GTID = """wsrep_gtid_mode = ON
wsrep_gtid_domain_id = {wsrep_domain}
wsrep_trx_fragment_unit = rows
wsrep_trx_fragment_size = 10000
"""

SEMISYNC = """gtid_strict_mode = ON
rpl_semi_sync_master_enabled = ON
rpl_semi_sync_slave_enabled = ON
rpl_semi_sync_master_timeout = 10000
"""

TLS = """ssl_ca = {tls}/ca.pem
ssl_cert = {tls}/{name}.pem
ssl_key = {tls}/{name}.key
"""

TOOLS = """[mariabackup]
user = mariabackup
password = mypassword
socket = {home}/sock
[client]
socket = {home}/sock
[sst]
sst-log-archive = 0
"""


def render(spec, home, members, options, tls_dir=None):
    """my.cnf of one server.  options: the lab's 'sst', 'provider' and 'set' (see Lab.up)."""
    extra = options.get('provider', '').strip(';')
    values = dict(spec.save(), home=home, provider=PROVIDER, sst=options.get('sst', 'rsync'),
                  members=','.join(members), group_port=GROUP_PORT, ist_port=IST_PORT,
                  provider_options=';' + extra if extra else '', tls=tls_dir,
                  binlog_name='galera-bin' if spec.galera else 'mariadb-bin')
    parts = [BASE]
    if spec.binlog:
        parts.append(BINLOG)
    if spec.galera:
        parts.append(GALERA)
    if spec.wsrep_domain:
        parts.append(GALERA_GTID)
    if spec.semisync:
        parts.append(SEMISYNC)
    if tls_dir:
        parts.append(TLS)
    text = ''.join(p.format(**values) for p in parts)
    for line in options.get('set', ()):
        node, colon, rest = line.partition(':')
        if colon and node.isdigit():            # NODE:key=value is for that node only
            if node != spec.name:
                continue
            line = rest
        text += line.replace('=', ' = ', 1) + '\n'
    # with ssl_cert the state transfer scripts would encrypt as well, which needs stunnel
    return text + TOOLS.format(**values) + ('ssl-mode = DISABLED\n' if tls_dir else '')
