/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings of the router modules.
 *
 * Facts: MaxScale 24.02 documentation, pages readwritesplit, readconnroute and binlogrouter. Router
 * tcp is our own; its words are HAProxy's where there is one. Constant data; any thread.
 */
#include "conf/rows.h"

static const struct sl_choice failure_modes[] = {
    {"fail_instantly", SL_FAIL_INSTANTLY},
    {"fail_on_write", SL_FAIL_ON_WRITE},
    {"error_on_write", SL_ERROR_ON_WRITE},
    {NULL, 0},
};

static const struct sl_choice variables_in[] = {
    {"all", SL_VARIABLES_IN_ALL},
    {"master", SL_VARIABLES_IN_MASTER},
    {NULL, 0},
};

static const struct sl_choice selections[] = {
    {"least_current_operations", SL_SELECT_LEAST_CURRENT_OPERATIONS},
    {"adaptive_routing", SL_SELECT_ADAPTIVE_ROUTING},
    {"least_behind_master", SL_SELECT_LEAST_BEHIND_MASTER},
    {"least_global_connections", SL_SELECT_LEAST_GLOBAL_CONNECTIONS},
    {"least_router_connections", SL_SELECT_LEAST_ROUTER_CONNECTIONS},
    {NULL, 0},
};

static const struct sl_choice trx_checksums[] = {
    {"full", SL_TRX_CHECKSUM_FULL},
    {"result_only", SL_TRX_CHECKSUM_RESULT_ONLY},
    {"no_insert_id", SL_TRX_CHECKSUM_NO_INSERT_ID},
    {NULL, 0},
};

static const struct sl_choice causal_reads[] = {
    {"none", SL_CAUSAL_NONE},
    {"local", SL_CAUSAL_LOCAL},
    {"global", SL_CAUSAL_GLOBAL},
    {"fast", SL_CAUSAL_FAST},
    {"fast_global", SL_CAUSAL_FAST_GLOBAL},
    {"universal", SL_CAUSAL_UNIVERSAL},
    {"fast_universal", SL_CAUSAL_FAST_UNIVERSAL},
    /* it was a boolean once */
    {"false", SL_CAUSAL_NONE},
    {"off", SL_CAUSAL_NONE},
    {"no", SL_CAUSAL_NONE},
    {"0", SL_CAUSAL_NONE},
    {"true", SL_CAUSAL_LOCAL},
    {"on", SL_CAUSAL_LOCAL},
    {"yes", SL_CAUSAL_LOCAL},
    {"1", SL_CAUSAL_LOCAL},
    {NULL, 0},
};

#define T sl_rwsplit_settings
static const struct sl_setting rwsplit_rows[] = {
    RANGE(max_slave_connections, COUNT, RT, "255", 0, NUMBER_MAX,
          "Most replica connections of a session; 0: reads go to the primary."),
    RANGE(slave_connections, COUNT, RT, "255", 0, NUMBER_MAX,
          "Replica connections opened when a session starts."),
    ROW(max_replication_lag, DURATION, RT | SECONDS, "0s",
        "Replicas further behind get no reads; 0: no limit."),
    ALIAS("max_slave_replication_lag", "max_replication_lag"),
    RANGE(max_receive_queue, COUNT, RT, "0", 0, NUMBER_MAX,
          "Galera nodes with so many write-sets waiting get no reads; 0: no limit."),
    CHOICE(use_sql_variables_in, ENUM, RT, "all", variables_in,
           "Where statements with user variables run."),
    CHOICE(slave_selection_criteria, ENUM, RT | SL_SETTING_NOCASE, "least_current_operations",
           selections, "How the server of a read is chosen."),
    ROW(master_accept_reads, BOOL, RT, "false", "The primary takes its share of reads."),
    CHOICE(master_failure_mode, ENUM, RT, "fail_on_write", failure_modes,
           "What a session does without a primary."),
    ROW(master_reconnection, BOOL, RT, "true", "A session may move to another primary."),
    ROW(strict_multi_stmt, BOOL, RT, "false",
        "After a multi-statement query all goes to the primary."),
    ROW(strict_sp_calls, BOOL, RT, "false", "After CALL all goes to the primary."),
    ROW(strict_tmp_tables, BOOL, RT, "true",
        "Losing the primary ends a session with temporary tables."),
    ROW(retry_failed_reads, BOOL, RT, "true", "A read that lost its server runs again on another."),
    ROW(delayed_retry, BOOL, RT, "false", "Hold statements that have no server, and try again."),
    ROW(delayed_retry_timeout, DURATION, RT | SECONDS, "10s", "Longest time a statement is held."),
    ROW(transaction_replay, BOOL, RT, "false",
        "Run an interrupted transaction again on another server."),
    ROW(transaction_replay_max_size, SIZE, RT, "1Mi", "Most SQL kept of one transaction."),
    ROW(transaction_replay_timeout, DURATION, RT | SECONDS, "30s",
        "Longest time for a replay; 0: count attempts instead."),
    RANGE(transaction_replay_attempts, COUNT, RT, "5", 0, NUMBER_MAX,
          "Attempts when there is no timeout."),
    ROW(transaction_replay_retry_on_deadlock, BOOL, RT, "false", "Replay after a deadlock too."),
    ROW(transaction_replay_retry_on_mismatch, BOOL, RT, "false",
        "Replay again when results differ."),
    ROW(transaction_replay_safe_commit, BOOL, RT, "true", "Never replay once COMMIT was sent."),
    CHOICE(transaction_replay_checksum, ENUM, RT, "full", trx_checksums,
           "Which results must be equal."),
    ROW(optimistic_trx, BOOL, RT, "false", "Start transactions on a replica."),
    CHOICE(causal_reads, ENUM, RT, "none", causal_reads,
           "Reads see earlier writes, on replicas too."),
    ROW(causal_reads_timeout, DURATION, RT | SECONDS, "10s",
        "Longest wait for a replica to catch up."),
    ROW(lazy_connect, BOOL, RT, "false", "Open server connections when they are needed."),
    ROW(reuse_prepared_statements, BOOL, RT, "false",
        "Prepare the same text only once per session."),
    SL_SETTINGS_END,
};
#undef T
const struct sl_settings sl_settings_readwritesplit = {
    "readwritesplit", rwsplit_rows, sizeof(struct sl_rwsplit_settings),
    SL_SETTINGS_NEEDS_SERVERS | SL_SETTINGS_CHAINS};

static const struct sl_choice readconn_options[] = {
    {"master", SL_READCONN_MASTER},
    {"slave", SL_READCONN_SLAVE},
    {"synced", SL_READCONN_SYNCED},
    {"running", SL_READCONN_RUNNING},
    {NULL, 0},
};

#define T sl_readconn_settings
static const struct sl_setting readconn_rows[] = {
    CHOICE(router_options, MASK, RT, "running", readconn_options,
           "States of a server that sessions may use."),
    ROW(master_accept_reads, BOOL, RT, "true",
        "The primary may be chosen for states other than master."),
    ROW(max_replication_lag, DURATION, RT | SECONDS, "0s",
        "Replicas further behind are not chosen; 0: no limit."),
    SL_SETTINGS_END,
};
#undef T
const struct sl_settings sl_settings_readconnroute = {
    "readconnroute", readconn_rows, sizeof(struct sl_readconn_settings),
    SL_SETTINGS_NEEDS_SERVERS | SL_SETTINGS_CHAINS};

static const struct sl_choice balances[] = {
    {"leastconn", SL_TCP_LEASTCONN},
    {"roundrobin", SL_TCP_ROUNDROBIN},
    {"first", SL_TCP_FIRST},
    {NULL, 0},
};

static const struct sl_choice checks[] = {
    {"monitor", SL_TCP_CHECK_MONITOR},
    {"tcp", SL_TCP_CHECK_CONNECT},
    {"greeting", SL_TCP_CHECK_GREETING},
    {"login", SL_TCP_CHECK_LOGIN},
    {NULL, 0},
};

static const struct sl_choice send_proxy[] = {
    {"off", SL_TCP_PROXY_OFF},
    {"v1", SL_TCP_PROXY_V1},
    {"v2", SL_TCP_PROXY_V2},
    {NULL, 0},
};

#define T sl_tcp_settings
static const struct sl_setting tcp_rows[] = {
    CHOICE(balance, ENUM, RT, "leastconn", balances, "How the server of a connection is chosen."),
    CHOICE(check, ENUM, RT, "monitor", checks,
           "How servers are found healthy: by their monitor, or by an own check."),
    RANGE(check_interval, DURATION, RT | SL_SETTING_NO_UNIT_MS, "2s", 100, INT64_C(86400000),
          "Time between two own checks."),
    ROW(check_user, STRING, RT, NULL, "User of check=login; the service's user when empty."),
    ROW(check_password, PASSWORD, RT, NULL, "Password of check_user."),
    CHOICE(send_proxy, ENUM, RT, "off", send_proxy, "PROXY header sent to the servers."),
    RANGE(connect_timeout, DURATION, RT, "5s", 1, INT64_C(86400000),
          "Longest time to connect to a server."),
    ROW(idle_timeout, DURATION, RT, "0s",
        "Close connections without traffic for that long; 0: never."),
    ROW(tcplog, BOOL, RT, "false",
        "Log each connection when it ends, with the fields of HAProxy's tcplog."),
    SL_SETTINGS_END,
};
#undef T
const struct sl_settings sl_settings_tcp = {"tcp", tcp_rows, sizeof(struct sl_tcp_settings),
                                            SL_SETTINGS_NEEDS_SERVERS | SL_SETTINGS_NO_LOGIN};

static const struct sl_choice expirations[] = {
    {"purge", SL_BINLOG_PURGE},
    {"archive", SL_BINLOG_ARCHIVE},
    {NULL, 0},
};

static const struct sl_choice compressions[] = {
    {"none", SL_BINLOG_PLAIN},
    {"zstandard", SL_BINLOG_ZSTANDARD},
    {NULL, 0},
};

static const struct sl_choice ciphers[] = {
    {"AES_GCM", SL_BINLOG_AES_GCM},
    {"AES_CBC", SL_BINLOG_AES_CBC},
    {"AES_CTR", SL_BINLOG_AES_CTR},
    {NULL, 0},
};

static const struct sl_choice server_ids[] = {{"auto", 0}, {NULL, 0}};

#define T sl_binlog_settings
static const struct sl_setting binlog_rows[] = {
    ROW(datadir, PATH, 0, NULL, "Where the binlogs are; <global datadir>/binlogs when empty."),
    ROW(archivedir, PATH, SL_SETTING_READABLE, NULL, "Where expired binlogs go in mode archive."),
    ROW_AS("server_id", server_id, COUNT, 0, "auto", 1, INT64_C(4294967295), server_ids,
           "Server id of the relay; auto: made from the machine, its name and datadir."),
    RANGE(net_timeout, DURATION, RT | SECONDS, "10s", 1000, INT64_C(86400000),
          "Network timeout towards the primary."),
    ROW(select_master, BOOL, 0, "false", "Replicate from whichever server is Master."),
    CHOICE(expiration_mode, ENUM, RT, "purge", expirations, "What happens to expired binlogs."),
    ROW(expire_log_duration, DURATION, RT, "0s", "Age at which binlogs expire; 0: never."),
    RANGE(expire_log_minimum_files, COUNT, RT, "2", 0, NUMBER_MAX,
          "Binlogs that stay whatever their age."),
    CHOICE(compression_algorithm, ENUM, RT, "none", compressions,
           "Compression of finished binlogs."),
    RANGE(number_of_noncompressed_files, COUNT, RT, "2", 0, NUMBER_MAX,
          "Newest binlogs that stay plain."),
    ROW(ddl_only, BOOL, RT, "false", "Keep only DDL."),
    ROW(encryption_key_id, STRING, 0, NULL, "Key of the key_manager that encrypts binlogs."),
    CHOICE(encryption_cipher, ENUM, 0, "AES_GCM", ciphers, "Cipher of encrypted binlogs."),
    ROW(rpl_semi_sync_slave_enabled, BOOL, RT, "false",
        "Acknowledge events of a semi-synchronous primary."),
    ROW(rpl_semi_sync_master_enabled, BOOL, RT, "false",
        "Ask semi-synchronous replicas to acknowledge."),
    ROW(purge_startup_delay, DURATION, 0, "2min", "First purge after the start."),
    ROW(purge_poll_timeout, DURATION, RT, "2min", "Next purge when nothing could be purged."),
    ROW(sync_binlog, BOOL, RT, "true",
        "Make events durable before they are acknowledged and sent on."),
    ROW(max_binlog_size, SIZE, RT, "0",
        "Begin a new binlog when one got that long; 0: where the primary does."),
    ROW(replica_retention, DURATION, RT, "24h",
        "So long a replica that went away keeps what it still needs from being purged."),
    ROW(gtid_ahead_timeout, DURATION, RT, "10s",
        "So long a replica that is ahead of the log waits for it before it is told."),
    SL_SETTINGS_END,
};
#undef T
const struct sl_settings sl_settings_binlogrouter = {
    "binlogrouter", binlog_rows, sizeof(struct sl_binlog_settings), SL_SETTINGS_NEEDS_SERVERS};
