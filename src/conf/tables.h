/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings tables of every kind of object, and the structs they fill.
 *
 * A field has the name of its parameter (a dot becomes an underscore). Types follow from the row's
 * type (conf/settings.h): numbers, sizes, durations in milliseconds, enums and masks are int64_t.
 * The tables of router and monitor modules live here too, so that the modules, the config check and
 * REST read one text. Facts about names, types and defaults: MaxScale 24.02 documentation
 * (configuration guide, readwritesplit, readconnroute, binlogrouter, galeramon, mariadbmon pages);
 * router `tcp` and `weight` are our own.
 */
#ifndef SL_CONF_TABLES_H
#define SL_CONF_TABLES_H

#include "conf/settings.h"

/* ---- values of enums and masks ---- */

enum sl_tls_version_bit { /* ssl_version, admin_ssl_version: the exact set of protocols to offer */
    SL_TLS_VERSION_10 = 1,
    SL_TLS_VERSION_11 = 2,
    SL_TLS_VERSION_12 = 4,
    SL_TLS_VERSION_13 = 8,
    SL_TLS_VERSION_MAX = 15 /* whatever the library offers by default */
};

enum sl_conf_rank {
    SL_RANK_PRIMARY,
    SL_RANK_SECONDARY
};
enum sl_conf_sql_mode {
    SL_CONF_SQL_MODE_DEFAULT,
    SL_CONF_SQL_MODE_ORACLE
};
enum sl_conf_protocol {
    SL_PROTOCOL_MARIADB,
    SL_PROTOCOL_POSTGRESQL, /* known by name, not available */
    SL_PROTOCOL_NOSQL,
    SL_PROTOCOL_CDC
};
enum sl_conf_accounts_usage {
    SL_ACCOUNTS_ADD_WHEN_LOAD_OK,
    SL_ACCOUNTS_FILE_ONLY_ALWAYS
};
enum sl_conf_dump_statements {
    SL_DUMP_NEVER,
    SL_DUMP_ON_CLOSE,
    SL_DUMP_ON_ERROR
};
enum sl_conf_key_manager {
    SL_KEYS_NONE,
    SL_KEYS_FILE,
    SL_KEYS_KMIP,
    SL_KEYS_VAULT
};
enum sl_conf_jwt_algorithm {
    SL_JWT_AUTO,
    SL_JWT_HS256,
    SL_JWT_HS384,
    SL_JWT_HS512,
    SL_JWT_RS256,
    SL_JWT_RS384,
    SL_JWT_RS512,
    SL_JWT_ES256,
    SL_JWT_ES384,
    SL_JWT_ES512,
    SL_JWT_PS256,
    SL_JWT_PS384,
    SL_JWT_PS512,
    SL_JWT_ED25519,
    SL_JWT_ED448
};

enum sl_master_failure_mode {
    SL_FAIL_INSTANTLY,
    SL_FAIL_ON_WRITE,
    SL_ERROR_ON_WRITE
};
enum sl_sql_variables_in {
    SL_VARIABLES_IN_ALL,
    SL_VARIABLES_IN_MASTER
};
enum sl_slave_selection {
    SL_SELECT_LEAST_CURRENT_OPERATIONS,
    SL_SELECT_ADAPTIVE_ROUTING,
    SL_SELECT_LEAST_BEHIND_MASTER,
    SL_SELECT_LEAST_GLOBAL_CONNECTIONS,
    SL_SELECT_LEAST_ROUTER_CONNECTIONS
};
enum sl_trx_checksum {
    SL_TRX_CHECKSUM_FULL,
    SL_TRX_CHECKSUM_RESULT_ONLY,
    SL_TRX_CHECKSUM_NO_INSERT_ID
};
enum sl_causal_reads {
    SL_CAUSAL_NONE,
    SL_CAUSAL_LOCAL,
    SL_CAUSAL_GLOBAL,
    SL_CAUSAL_FAST,
    SL_CAUSAL_FAST_GLOBAL,
    SL_CAUSAL_UNIVERSAL,
    SL_CAUSAL_FAST_UNIVERSAL
};

enum sl_readconn_option { /* router_options, a mask */
    SL_READCONN_MASTER = 1,
    SL_READCONN_SLAVE = 2,
    SL_READCONN_SYNCED = 4,
    SL_READCONN_RUNNING = 8
};

enum sl_tcp_balance {
    SL_TCP_LEASTCONN,
    SL_TCP_ROUNDROBIN,
    SL_TCP_FIRST
};
enum sl_tcp_check {
    SL_TCP_CHECK_MONITOR,
    SL_TCP_CHECK_CONNECT,
    SL_TCP_CHECK_GREETING,
    SL_TCP_CHECK_LOGIN
};
enum sl_tcp_send_proxy {
    SL_TCP_PROXY_OFF,
    SL_TCP_PROXY_V1,
    SL_TCP_PROXY_V2
};

enum sl_conf_event { /* monitor `events`, a mask */
    SL_EVENT_MASTER_DOWN = 1 << 0,
    SL_EVENT_MASTER_UP = 1 << 1,
    SL_EVENT_SLAVE_DOWN = 1 << 2,
    SL_EVENT_SLAVE_UP = 1 << 3,
    SL_EVENT_SERVER_DOWN = 1 << 4,
    SL_EVENT_SERVER_UP = 1 << 5,
    SL_EVENT_SYNCED_DOWN = 1 << 6,
    SL_EVENT_SYNCED_UP = 1 << 7,
    SL_EVENT_DONOR_DOWN = 1 << 8,
    SL_EVENT_DONOR_UP = 1 << 9,
    SL_EVENT_LOST_MASTER = 1 << 10,
    SL_EVENT_LOST_SLAVE = 1 << 11,
    SL_EVENT_LOST_SYNCED = 1 << 12,
    SL_EVENT_LOST_DONOR = 1 << 13,
    SL_EVENT_NEW_MASTER = 1 << 14,
    SL_EVENT_NEW_SLAVE = 1 << 15,
    SL_EVENT_NEW_SYNCED = 1 << 16,
    SL_EVENT_NEW_DONOR = 1 << 17,
    SL_EVENT_RELAY = 1 << 18, /* relay and blr events: only through `all` */
    SL_EVENT_BLR = 1 << 19,
    SL_EVENT_ALL = (1 << 20) - 1
};

enum sl_master_condition { /* mariadbmon master_conditions, slave_conditions: masks */
    SL_COND_CONNECTING_SLAVE = 1 << 0,
    SL_COND_CONNECTED_SLAVE = 1 << 1,
    SL_COND_RUNNING_SLAVE = 1 << 2,
    SL_COND_PRIMARY_MONITOR_MASTER = 1 << 3,
    SL_COND_DISK_SPACE_OK = 1 << 4,
    SL_COND_LINKED_MASTER = 1 << 5,
    SL_COND_RUNNING_MASTER = 1 << 6,
    SL_COND_WRITABLE_MASTER = 1 << 7
};
enum sl_coop_locks {
    SL_COOP_NONE,
    SL_COOP_MAJORITY_OF_ALL,
    SL_COOP_MAJORITY_OF_RUNNING
};
enum sl_binlog_expiration {
    SL_BINLOG_PURGE,
    SL_BINLOG_ARCHIVE
};
enum sl_binlog_compression {
    SL_BINLOG_PLAIN,
    SL_BINLOG_ZSTANDARD
};
enum sl_binlog_cipher {
    SL_BINLOG_AES_GCM,
    SL_BINLOG_AES_CBC,
    SL_BINLOG_AES_CTR
};

/* ---- structs ---- */

struct sl_tls_settings {
    bool ssl;
    char *ssl_key;
    char *ssl_cert;
    char *ssl_ca;
    int64_t ssl_version; /* mask of enum sl_tls_version_bit */
    char *ssl_cipher;
    int64_t ssl_cert_verify_depth;
    bool ssl_verify_peer_certificate;
    bool ssl_verify_peer_host;
    char *ssl_crl; /* listeners only */
};

struct sl_global_settings {
    /* threads and load */
    int64_t threads; /* 0 = auto */
    int64_t threads_max;
    int64_t rebalance_period;
    int64_t rebalance_threshold;
    int64_t rebalance_window;
    char *auto_tune;
    int64_t writeq_high_water;
    int64_t writeq_low_water;
    int64_t max_read_amount;
    int64_t query_classifier_cache_size;
    char *query_classifier;
    char *query_classifier_args;
    /* connections and accounts */
    bool skip_name_resolve;
    int64_t auth_connect_timeout;
    int64_t auth_read_timeout;
    int64_t auth_write_timeout;
    int64_t query_retries;
    int64_t query_retry_timeout;
    bool passive;
    char *local_address;
    int64_t users_refresh_time; /* negative: never reload because of a failed login */
    int64_t users_refresh_interval;
    int64_t max_auth_errors_until_block;
    int64_t sql_mode; /* enum sl_conf_sql_mode */
    /* logs */
    int64_t retain_last_statements;
    int64_t query_digests;
    int64_t dump_last_statements;
    int64_t session_trace;
    char *session_trace_match;
    bool ms_timestamp;
    bool syslog;
    bool maxlog;
    bool log_warning;
    bool log_notice;
    bool log_info;
    bool log_debug;
    bool log_warn_super_user;
    int64_t log_augmentation;
    char *log_throttling; /* sl_conf_throttling_parse() */
    bool core_file;
    char *debug;
    int64_t event_authentication_failure_facility; /* as in syslog.h */
    int64_t event_authentication_failure_level;
    /* keys */
    int64_t key_manager; /* enum sl_conf_key_manager */
    char *file_keyfile;
    char *kmip_host;
    int64_t kmip_port;
    char *kmip_cert;
    char *kmip_key;
    char *kmip_ca;
    char *vault_token;
    char *vault_host;
    int64_t vault_port;
    char *vault_ca;
    bool vault_tls;
    char *vault_mount;
    int64_t vault_timeout;
    char *secretsdir; /* NULL: datadir */
    /* directories */
    char *logdir;
    char *datadir;
    char *libdir;
    char *sharedir;
    char *cachedir;
    char *piddir;
    char *execdir;
    char *connector_plugindir; /* NULL: <libdir>/plugin */
    char *persistdir;
    char *module_configdir;
    char *language;
    /* configuration */
    bool load_persisted_configs;
    bool persist_runtime_changes;
    bool substitute_variables;
    bool skip_permission_checks;
    /* REST and GUI */
    bool admin_enabled;
    bool admin_gui;
    bool admin_secure_gui;
    char *admin_host;
    int64_t admin_port;
    bool admin_auth;
    char *admin_ssl_key;
    char *admin_ssl_cert;
    char *admin_ssl_ca;
    int64_t admin_ssl_version; /* mask of enum sl_tls_version_bit */
    bool admin_log_auth_failures;
    char *admin_pam_readwrite_service;
    char *admin_pam_readonly_service;
    char *admin_readwrite_hosts;
    char *admin_readonly_hosts;
    int64_t admin_jwt_algorithm; /* enum sl_conf_jwt_algorithm */
    char *admin_jwt_key;
    int64_t admin_jwt_max_age;
    char *admin_jwt_issuer;
    char *admin_oidc_url;
    char *admin_verify_url;
    bool admin_audit;
    char *admin_audit_file; /* NULL: <logdir>/admin_audit.csv */
    char *admin_audit_exclude_methods;
    /* several proxies */
    char *config_sync_cluster;
    char *config_sync_user;
    char *config_sync_password;
    char *config_sync_db;
    int64_t config_sync_interval;
    int64_t config_sync_timeout;
};

struct sl_server_settings {
    char *address;
    int64_t port;
    char *socket;
    char *private_address;
    int64_t extra_port; /* 0: none */
    char *monitoruser;
    char *monitorpw;
    int64_t persistpoolmax;
    int64_t persistmaxtime;
    int64_t max_routing_connections;
    bool proxy_protocol;
    char *disk_space_threshold;
    int64_t rank; /* enum sl_conf_rank */
    int64_t priority;
    int64_t weight; /* router tcp: 0 takes no new connections */
    char *replication_custom_options;
    char *protocol;
    char *authenticator;
    struct sl_tls_settings tls;
};

struct sl_service_settings {
    char *router;
    char *servers;
    char *targets;
    char *cluster;
    char *filters;
    char *user;
    char *password;
    bool enable_root_user;
    char *version_string;
    int64_t max_connections;
    int64_t wait_timeout;
    int64_t net_write_timeout;
    int64_t connection_keepalive;
    bool force_connection_keepalive;
    int64_t max_sescmd_history;
    bool prune_sescmd_history;
    bool disable_sescmd_history;
    int64_t idle_session_pool_time;
    int64_t multiplex_timeout;
    int64_t retain_last_statements; /* -1: as the global one */
    bool session_trace;
    int64_t rank;
    char *user_accounts_file;
    int64_t user_accounts_file_usage; /* enum sl_conf_accounts_usage */
    bool log_debug;
    bool log_info;
    bool log_notice;
    bool log_warning;
    bool log_auth_warnings;
    bool auth_all_servers;
    bool strip_db_esc;
    bool session_track_trx_state;
    bool localhost_match_wildcard_host;
};

struct sl_listener_settings {
    char *service;
    int64_t protocol; /* enum sl_conf_protocol */
    char *address;
    int64_t port; /* 0: not set */
    char *socket;
    char *authenticator;
    char *authenticator_options;
    int64_t sql_mode; /* enum sl_conf_sql_mode */
    char *proxy_protocol_networks;
    char *connection_init_sql_file;
    char *user_mapping_file;
    char *connection_metadata;
    bool mariadbprotocol_allow_replication;
    struct sl_tls_settings tls;
};

struct sl_monitor_settings {
    char *module;
    char *servers;
    char *user;
    char *password;
    int64_t monitor_interval;
    int64_t backend_connect_timeout;
    int64_t backend_read_timeout;
    int64_t backend_write_timeout;
    int64_t backend_connect_attempts;
    char *disk_space_threshold;
    int64_t disk_space_check_interval;
    char *script;
    int64_t script_timeout;
    int64_t events; /* mask of enum sl_conf_event */
    int64_t journal_max_age;
};

struct sl_filter_settings {
    char *module;
};

struct sl_rwsplit_settings {
    int64_t max_slave_connections;
    int64_t slave_connections;
    int64_t max_replication_lag;      /* 0: off */
    int64_t max_receive_queue;        /* 0: off */
    int64_t use_sql_variables_in;     /* enum sl_sql_variables_in */
    int64_t slave_selection_criteria; /* enum sl_slave_selection */
    bool master_accept_reads;
    int64_t master_failure_mode; /* enum sl_master_failure_mode */
    bool master_reconnection;
    bool strict_multi_stmt;
    bool strict_sp_calls;
    bool strict_tmp_tables;
    bool retry_failed_reads;
    bool delayed_retry;
    int64_t delayed_retry_timeout;
    bool transaction_replay;
    int64_t transaction_replay_max_size;
    int64_t transaction_replay_timeout;
    int64_t transaction_replay_attempts;
    bool transaction_replay_retry_on_deadlock;
    bool transaction_replay_retry_on_mismatch;
    bool transaction_replay_safe_commit;
    int64_t transaction_replay_checksum; /* enum sl_trx_checksum */
    bool optimistic_trx;
    int64_t causal_reads; /* enum sl_causal_reads */
    int64_t causal_reads_timeout;
    bool lazy_connect;
    bool reuse_prepared_statements;
};

struct sl_readconn_settings {
    int64_t router_options; /* mask of enum sl_readconn_option */
    bool master_accept_reads;
    int64_t max_replication_lag;
};

struct sl_tcp_settings {
    int64_t balance; /* enum sl_tcp_balance */
    int64_t check;   /* enum sl_tcp_check */
    int64_t check_interval;
    char *check_user; /* check=login: NULL means the service's user */
    char *check_password;
    int64_t send_proxy; /* enum sl_tcp_send_proxy */
    int64_t connect_timeout;
    int64_t idle_timeout; /* 0: off */
    bool tcplog;
};

struct sl_binlog_settings {
    char *datadir; /* NULL: <global datadir>/binlogs */
    char *archivedir;
    int64_t server_id; /* 0: made from the machine and the datadir */
    int64_t net_timeout;
    bool select_master;
    int64_t expiration_mode; /* enum sl_binlog_expiration */
    int64_t expire_log_duration;
    int64_t expire_log_minimum_files;
    int64_t compression_algorithm; /* enum sl_binlog_compression */
    int64_t number_of_noncompressed_files;
    bool ddl_only;
    char *encryption_key_id;
    int64_t encryption_cipher; /* enum sl_binlog_cipher */
    bool rpl_semi_sync_slave_enabled;
    bool rpl_semi_sync_master_enabled;
    int64_t purge_startup_delay;
    int64_t purge_poll_timeout;
    bool sync_binlog;
    int64_t max_binlog_size;    /* 0: files end where the primary's do */
    int64_t replica_retention;  /* of replicas that are not connected */
    int64_t gtid_ahead_timeout; /* a replica ahead of the log waits so long */
};

struct sl_galeramon_settings {
    bool disable_master_failback;
    bool available_when_donor;
    bool disable_master_role_setting;
    bool use_priority;
    bool root_node_as_master;
    bool set_donor_nodes;
};

struct sl_mariadbmon_settings {
    bool assume_unique_hostnames;
    int64_t master_conditions; /* mask of enum sl_master_condition */
    int64_t slave_conditions;
    int64_t failcount;
    bool enforce_writable_master;
    bool enforce_read_only_slaves;
    bool enforce_read_only_servers;
    bool maintenance_on_low_disk_space;
    bool switchover_on_low_disk_space;
    bool auto_failover;
    bool auto_rejoin;
    bool enforce_simple_topology;
    int64_t failover_timeout;
    int64_t switchover_timeout;
    bool verify_master_failure;
    int64_t master_failure_timeout;
    char *servers_no_promotion;
    char *replication_user;
    char *replication_password;
    bool replication_master_ssl;
    char *replication_custom_options;
    char *promotion_sql_file;
    char *demotion_sql_file;
    bool handle_events;
    int64_t cooperative_monitoring_locks; /* enum sl_coop_locks */
    int64_t script_max_replication_lag;
    char *ssh_user;
    char *ssh_keyfile;
    bool ssh_check_host_key;
    int64_t ssh_timeout;
    int64_t ssh_port;
    int64_t rebuild_port;
    char *mariabackup_use_memory; /* as mariabackup takes it */
    int64_t mariabackup_parallel;
    char *backup_storage_address;
    char *backup_storage_path;
    int64_t cs_admin_port;
    char *cs_admin_api_key;
    char *cs_admin_base_path;
};

/* ---- tables ---- */

extern const struct sl_settings sl_settings_global, sl_settings_server, sl_settings_service,
    sl_settings_listener, sl_settings_monitor, sl_settings_filter, sl_settings_tls;
/* Router modules. */
extern const struct sl_settings sl_settings_readwritesplit, sl_settings_readconnroute,
    sl_settings_tcp, sl_settings_binlogrouter;
/* Monitor modules. */
extern const struct sl_settings sl_settings_galeramon, sl_settings_mariadbmon;

#endif
