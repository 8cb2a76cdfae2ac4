/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings of the monitor modules.
 *
 * Facts: MaxScale 24.02 documentation, pages galeramon and mariadbmon. Constant data; any thread.
 */
#include "conf/rows.h"

#define T sl_galeramon_settings
static const struct sl_setting galeramon_rows[] = {
    ROW(disable_master_failback, BOOL, RT, "false",
        "Keep the Master while it is healthy, even when a better candidate returns."),
    ROW(available_when_donor, BOOL, RT, "false",
        "A donor stays in use when its SST method does not block it."),
    ROW(disable_master_role_setting, BOOL, RT, "false",
        "Nodes are only Synced; no Master, no Slave."),
    ROW(use_priority, BOOL, RT, "false", "The servers' priority decides who is Master."),
    ROW(root_node_as_master, BOOL, RT, "false",
        "Only the node with wsrep_local_index 0 may be Master."),
    ROW(set_donor_nodes, BOOL, RT, "false",
        "Set wsrep_sst_donor so that replicas are donors first."),
    SL_SETTINGS_END,
};
#undef T
const struct sl_settings sl_settings_galeramon = {"galeramon", galeramon_rows,
                                                  sizeof(struct sl_galeramon_settings), 0};

static const struct sl_choice master_conditions[] = {
    {"none", 0},
    {"connecting_slave", SL_COND_CONNECTING_SLAVE},
    {"connected_slave", SL_COND_CONNECTED_SLAVE},
    {"running_slave", SL_COND_RUNNING_SLAVE},
    {"primary_monitor_master", SL_COND_PRIMARY_MONITOR_MASTER},
    {"disk_space_ok", SL_COND_DISK_SPACE_OK},
    {NULL, 0},
};

static const struct sl_choice slave_conditions[] = {
    {"none", 0},
    {"linked_master", SL_COND_LINKED_MASTER},
    {"running_master", SL_COND_RUNNING_MASTER},
    {"writable_master", SL_COND_WRITABLE_MASTER},
    {"primary_monitor_master", SL_COND_PRIMARY_MONITOR_MASTER},
    {"disk_space_ok", SL_COND_DISK_SPACE_OK},
    {NULL, 0},
};

static const struct sl_choice coop_locks[] = {
    {"none", SL_COOP_NONE},
    {"majority_of_all", SL_COOP_MAJORITY_OF_ALL},
    {"majority_of_running", SL_COOP_MAJORITY_OF_RUNNING},
    {NULL, 0},
};

#define T sl_mariadbmon_settings
static const struct sl_setting mariadbmon_rows[] = {
    ROW(assume_unique_hostnames, BOOL, RT, "true",
        "Replication sources are found by host and port."),
    CHOICE(master_conditions, MASK, RT, "primary_monitor_master,disk_space_ok", master_conditions,
           "What a Master must fulfil."),
    CHOICE(slave_conditions, MASK, RT, "none", slave_conditions, "What a Slave must fulfil."),
    RANGE(failcount, COUNT, RT, "5", 0, NUMBER_MAX,
          "Looks without a primary before anything is done."),
    ROW(enforce_writable_master, BOOL, RT, "false", "Switch read_only off on the primary."),
    ROW(enforce_read_only_slaves, BOOL, RT, "false", "Switch read_only on on replicas."),
    ROW(enforce_read_only_servers, BOOL, RT, "false",
        "Switch read_only on on every server but the primary."),
    ROW(maintenance_on_low_disk_space, BOOL, RT, "true",
        "Put servers with full disks into maintenance."),
    ROW(switchover_on_low_disk_space, BOOL, RT, "false",
        "Switch over when the primary's disk is full."),
    ROW(auto_failover, BOOL, RT, "false", "Promote a replica when the primary is gone."),
    ROW(auto_rejoin, BOOL, RT, "false", "Make returning servers replicas of the primary."),
    ROW(enforce_simple_topology, BOOL, RT, "false",
        "Assume one primary and its replicas, and enforce it."),
    ROW(failover_timeout, DURATION, RT | SECONDS, "90s", "Longest failover."),
    ROW(switchover_timeout, DURATION, RT | SECONDS, "90s", "Longest switchover."),
    ROW(verify_master_failure, BOOL, RT, "true", "Ask the replicas whether the primary is gone."),
    ROW(master_failure_timeout, DURATION, RT | SECONDS, "10s",
        "Silence of the primary towards its replicas that proves it gone."),
    ROW(servers_no_promotion, LIST, RT, NULL, "Servers never promoted automatically."),
    ROW(replication_user, STRING, RT, NULL, "User of replication; the monitor's when empty."),
    ROW(replication_password, PASSWORD, RT, NULL, "Password of replication_user."),
    ROW(replication_master_ssl, BOOL, RT, "false", "Replicate with TLS."),
    ROW(replication_custom_options, STRING, RT, NULL, "Appended to CHANGE MASTER TO."),
    ROW(promotion_sql_file, PATH, RT | SL_SETTING_READABLE, NULL,
        "Statements run on a promoted server."),
    ROW(demotion_sql_file, PATH, RT | SL_SETTING_READABLE, NULL,
        "Statements run on a demoted server."),
    ROW(handle_events, BOOL, RT, "true", "Move enabled events with the primary."),
    CHOICE(cooperative_monitoring_locks, ENUM, RT, "none", coop_locks,
           "How several proxies agree on who acts."),
    RANGE(script_max_replication_lag, INT, RT, "-1", -1, NUMBER_MAX,
          "Lag in seconds that raises an event; -1: none."),
    ROW(ssh_user, STRING, 0, NULL, "User for backups over ssh."),
    ROW(ssh_keyfile, PATH, SL_SETTING_READABLE, NULL, "Key of ssh_user."),
    ROW(ssh_check_host_key, BOOL, RT, "true", "Demand known host keys."),
    ROW(ssh_timeout, DURATION, RT | SECONDS, "10s", "Longest ssh connect."),
    RANGE(ssh_port, COUNT, RT, "22", 1, PORT_MAX, "Port of ssh."),
    RANGE(rebuild_port, COUNT, RT, "4444", 1, PORT_MAX, "Port for backup streams."),
    ROW(mariabackup_use_memory, STRING, RT, "1G", "Memory for mariabackup --prepare."),
    RANGE(mariabackup_parallel, COUNT, RT, "1", 1, 1000, "Threads of mariabackup."),
    ROW(backup_storage_address, STRING, RT, NULL, "Host that keeps backups."),
    ROW(backup_storage_path, STRING, RT, NULL, "Directory for backups on that host."),
    RANGE(cs_admin_port, COUNT, RT, "8640", 1, PORT_MAX, "ColumnStore only."),
    ROW(cs_admin_api_key, STRING, RT, NULL, "ColumnStore only."),
    ROW(cs_admin_base_path, STRING, RT, "/cmapi/0.4.0", "ColumnStore only."),
    SL_SETTINGS_END,
};
#undef T
const struct sl_settings sl_settings_mariadbmon = {"mariadbmon", mariadbmon_rows,
                                                   sizeof(struct sl_mariadbmon_settings), 0};
