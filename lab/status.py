# SPDX-License-Identifier: Apache-2.0
"""What one node says about itself, as a dictionary for `lab status` and the tests."""
import re

from . import sql

STATUS = ('wsrep_cluster_status', 'wsrep_cluster_size', 'wsrep_local_state',
          'wsrep_local_state_comment', 'wsrep_local_index', 'wsrep_ready', 'wsrep_connected',
          'wsrep_last_committed', 'wsrep_cluster_conf_id', 'wsrep_desync_count',
          'rpl_semi_sync_master_status', 'rpl_semi_sync_slave_status',
          'rpl_semi_sync_master_clients')
VARIABLES = ('gtid_binlog_pos', 'gtid_current_pos', 'gtid_slave_pos', 'read_only', 'wsrep_desync',
             'wsrep_reject_queries', 'wsrep_sst_donor_rejects_queries')
REPLICA = ('Connection_name', 'Master_Host', 'Master_Port', 'Slave_IO_Running',
           'Slave_SQL_Running', 'Using_Gtid', 'Gtid_IO_Pos', 'Seconds_Behind_Master',
           'Last_IO_Errno', 'Last_IO_Error', 'Last_SQL_Errno', 'Last_SQL_Error')


def _quoted(names):
    return ','.join("'%s'" % n for n in names)


def of(node, timeout=4):
    pid = node.pid
    if not pid:
        return {'alive': False}
    out = {'alive': True, 'pid': pid, 'frozen': node.frozen}
    with open('/proc/%d/status' % pid) as f:
        out['rss_mb'] = round(int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1)) / 1024)
    try:
        status, variables, replicas = node.results(
            'SHOW GLOBAL STATUS WHERE Variable_name IN (%s);'
            'SHOW GLOBAL VARIABLES WHERE Variable_name IN (%s);'
            'SHOW ALL SLAVES STATUS' % (_quoted(STATUS), _quoted(VARIABLES)), timeout)
    except sql.Error as e:
        out['error'] = str(e)
        return out
    for name, value in status[1] + variables[1]:
        if node.spec.galera or not name.lower().startswith('wsrep'):
            out[name.lower()] = value
    if replicas[1]:
        out['slaves'] = [{k: v for k, v in zip(replicas[0], row) if k in REPLICA}
                         for row in replicas[1]]
    return out
