/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings of servers, services, listeners, monitors and filters that do not depend on a module.
 *
 * Facts: MaxScale 24.02 documentation, configuration guide. Constant data; any thread.
 */
#include "conf/rows.h"

const struct sl_choice sl_choices_tls_version[] = {
    {"MAX", SL_TLS_VERSION_MAX},    {"TLSv10", SL_TLS_VERSION_10},
    {"TLSv11", SL_TLS_VERSION_11},  {"TLSv12", SL_TLS_VERSION_12},
    {"TLSv13", SL_TLS_VERSION_13},  {"TLSv1.0", SL_TLS_VERSION_10},
    {"TLSv1.1", SL_TLS_VERSION_11}, {"TLSv1.2", SL_TLS_VERSION_12},
    {"TLSv1.3", SL_TLS_VERSION_13}, {NULL, 0},
};

const struct sl_choice sl_choices_rank[] = {
    {"primary", SL_RANK_PRIMARY},
    {"secondary", SL_RANK_SECONDARY},
    {NULL, 0},
};

const struct sl_choice sl_choices_sql_mode[] = {
    {"default", SL_CONF_SQL_MODE_DEFAULT},
    {"oracle", SL_CONF_SQL_MODE_ORACLE},
    {NULL, 0},
};

static const struct sl_choice accounts_usage[] = {
    {"add_when_load_ok", SL_ACCOUNTS_ADD_WHEN_LOAD_OK},
    {"file_only_always", SL_ACCOUNTS_FILE_ONLY_ALWAYS},
    {NULL, 0},
};

static const struct sl_choice protocols[] = {
    {"mariadb", SL_PROTOCOL_MARIADB},
    {"mariadbprotocol", SL_PROTOCOL_MARIADB},
    {"mariadbclient", SL_PROTOCOL_MARIADB},
    {"mysqlclient", SL_PROTOCOL_MARIADB},
    {"postgresql", SL_PROTOCOL_POSTGRESQL},
    {"postgresprotocol", SL_PROTOCOL_POSTGRESQL},
    {"nosqlprotocol", SL_PROTOCOL_NOSQL},
    {"cdc", SL_PROTOCOL_CDC},
    {NULL, 0},
};

static const struct sl_choice events[] = {
    {"all", SL_EVENT_ALL},
    {"master_down", SL_EVENT_MASTER_DOWN},
    {"master_up", SL_EVENT_MASTER_UP},
    {"slave_down", SL_EVENT_SLAVE_DOWN},
    {"slave_up", SL_EVENT_SLAVE_UP},
    {"server_down", SL_EVENT_SERVER_DOWN},
    {"server_up", SL_EVENT_SERVER_UP},
    {"synced_down", SL_EVENT_SYNCED_DOWN},
    {"synced_up", SL_EVENT_SYNCED_UP},
    {"donor_down", SL_EVENT_DONOR_DOWN},
    {"donor_up", SL_EVENT_DONOR_UP},
    {"lost_master", SL_EVENT_LOST_MASTER},
    {"lost_slave", SL_EVENT_LOST_SLAVE},
    {"lost_synced", SL_EVENT_LOST_SYNCED},
    {"lost_donor", SL_EVENT_LOST_DONOR},
    {"new_master", SL_EVENT_NEW_MASTER},
    {"new_slave", SL_EVENT_NEW_SLAVE},
    {"new_synced", SL_EVENT_NEW_SYNCED},
    {"new_donor", SL_EVENT_NEW_DONOR},
    {NULL, 0},
};

#define T sl_server_settings
static const struct sl_setting server_rows[] = {
    ROW(address, STRING, RT, NULL, "Host name or IP address of the server."),
    RANGE(port, COUNT, RT, "3306", 1, PORT_MAX, "Port of the server."),
    ROW(socket, PATH, RT, NULL, "Unix socket of the server, instead of address."),
    ROW(private_address, STRING, RT | FUTURE, NULL,
        "Address used between the servers for replication."),
    RANGE(extra_port, COUNT, RT, "0", 0, PORT_MAX,
          "The server's extra_port, tried first by monitors and account loading."),
    ROW(monitoruser, STRING, RT, NULL, "User of the monitor on this server."),
    ROW(monitorpw, PASSWORD, RT, NULL, "Password of monitoruser."),
    RANGE(persistpoolmax, COUNT, RT | FUTURE, "0", 0, NUMBER_MAX,
          "Free connections kept for later sessions."),
    ROW(persistmaxtime, DURATION, RT | FUTURE | SECONDS, "0s",
        "Longest time a free connection is kept."),
    RANGE(max_routing_connections, COUNT, RT, "0", 0, NUMBER_MAX,
          "Most connections of sessions to this server; 0: no limit."),
    ROW(proxy_protocol, BOOL, RT, "false",
        "Tell the server the client's address with a PROXY header."),
    ROW(disk_space_threshold, STRING, RT | FUTURE, NULL, "Disk limits, path:percent,..."),
    CHOICE(rank, ENUM, RT, "primary", sl_choices_rank,
           "Servers of rank secondary serve only when none of rank primary can."),
    ROW(priority, INT, RT, "0",
        "galeramon with use_priority: the smallest positive one becomes Master."),
    RANGE(weight, COUNT, RT, "100", 0, 256, "Share of connections in router tcp; 0: no new ones."),
    ROW(replication_custom_options, STRING, RT | FUTURE, NULL,
        "Appended to CHANGE MASTER TO on this server."),
    ROW(protocol, STRING, DEPRECATED, NULL, "Ignored: servers speak the MariaDB protocol."),
    ROW(authenticator, STRING, DEPRECATED, NULL, "Ignored."),
    TLS_ROWS(tls.),
    SL_SETTINGS_END,
};
#undef T
const struct sl_settings sl_settings_server = {"server", server_rows,
                                               sizeof(struct sl_server_settings), 0};

#define T sl_service_settings
static const struct sl_setting service_rows[] = {
    ROW(router, STRING, SL_SETTING_MANDATORY, NULL, "Router module of the service."),
    ROW(servers, LIST, RT, NULL, "Servers of the service."),
    ROW(targets, LIST, RT, NULL, "Servers and other services that the service routes to."),
    ROW(cluster, STRING, RT, NULL, "Monitor whose servers the service uses."),
    ROW(filters, PIPE_LIST, RT, NULL, "Filters, first to last, separated by |."),
    ROW(user, STRING, RT, NULL, "User that loads the accounts from the servers."),
    ROW(password, PASSWORD, RT, NULL, "Password of user."),
    ALIAS("passwd", "password"),
    ROW(enable_root_user, BOOL, RT, "false", "Let root log in."),
    ROW(version_string, STRING, RT | SL_SETTING_QUOTED, NULL, "Server version told to clients."),
    RANGE(max_connections, COUNT, RT, "0", 0, NUMBER_MAX, "Most clients at a time; 0: no limit."),
    ROW(wait_timeout, DURATION, RT | SECONDS, "0s", "Close sessions idle for that long; 0: never."),
    ALIAS("connection_timeout", "wait_timeout"),
    ROW(net_write_timeout, DURATION, RT | SECONDS, "0s",
        "Close clients that take nothing for that long; 0: never."),
    ROW(connection_keepalive, DURATION, RT | SECONDS, "300s",
        "Ping server connections idle for that long; 0: never."),
    ROW(force_connection_keepalive, BOOL, RT, "false",
        "Ping even when the client is idle as well."),
    RANGE(max_sescmd_history, COUNT, RT, "50", 0, NUMBER_MAX,
          "Session commands kept to set up new server connections."),
    ROW(prune_sescmd_history, BOOL, RT, "true",
        "Forget the oldest session command when there are too many."),
    ROW(disable_sescmd_history, BOOL, RT, "false",
        "Keep no session commands; then no server connection can be replaced."),
    ROW(idle_session_pool_time, DURATION, RT | FUTURE | SL_SETTING_SIGNED | SL_SETTING_NO_UNIT_MS,
        "-1s", "Lend connections of sessions idle for that long; negative: never."),
    ROW(multiplex_timeout, DURATION, RT | FUTURE | SECONDS, "60s",
        "Longest wait for a lent connection."),
    RANGE(retain_last_statements, INT, RT, "-1", -1, NUMBER_MAX,
          "Statements kept per session; -1: as the global setting."),
    ROW(session_trace, BOOL, RT | FUTURE, "false", "Keep a log per session."),
    CHOICE(rank, ENUM, RT, "primary", sl_choices_rank, "Rank as a target of another service."),
    ROW(user_accounts_file, PATH, SL_SETTING_READABLE, NULL, "JSON file with more accounts."),
    CHOICE(user_accounts_file_usage, ENUM, 0, "add_when_load_ok", accounts_usage,
           "Whether the file replaces the accounts of the servers."),
    ROW(log_debug, BOOL, RT | FUTURE, "false", "Log debug messages of this service."),
    ROW(log_info, BOOL, RT | FUTURE, "false", "Log info messages of this service."),
    ROW(log_notice, BOOL, RT | FUTURE, "false", "Log notices of this service."),
    ROW(log_warning, BOOL, RT | FUTURE, "false", "Log warnings of this service."),
    ROW(log_auth_warnings, BOOL, RT, "true", "Log failed logins."),
    ROW(auth_all_servers, BOOL, RT | DEPRECATED, "false", "Ignored."),
    ROW(strip_db_esc, BOOL, RT | DEPRECATED, "true",
        "Ignored: escapes in database names are always understood."),
    ROW(session_track_trx_state, BOOL, RT | DEPRECATED, "false",
        "Ignored: the state comes from the server's status flags."),
    ROW(localhost_match_wildcard_host, BOOL, RT | DEPRECATED, "true", "Ignored."),
    SL_SETTINGS_END,
};
#undef T
const struct sl_settings sl_settings_service = {"service", service_rows,
                                                sizeof(struct sl_service_settings), 0};

#define T sl_listener_settings
static const struct sl_setting listener_rows[] = {
    ROW(service, STRING, SL_SETTING_MANDATORY, NULL, "Service that clients of this listener use."),
    CHOICE(protocol, ENUM, SL_SETTING_NOCASE, "mariadb", protocols, "Protocol of the clients."),
    ROW(address, STRING, 0, "::", "Address to listen on."),
    RANGE(port, COUNT, 0, NULL, 1, PORT_MAX, "Port to listen on."),
    ROW(socket, PATH, 0, NULL, "Unix socket to listen on, instead of a port."),
    ROW(authenticator, LIST, 0, NULL, "Authentication modules: mariadbauth, ed25519auth."),
    ROW(authenticator_options, STRING, 0, NULL,
        "Options of the authentication modules, key=value,..."),
    CHOICE(sql_mode, ENUM, RT, "default", sl_choices_sql_mode, "SQL dialect sessions start with."),
    ROW(proxy_protocol_networks, LIST, RT, NULL,
        "Networks that may send a PROXY header; * for all."),
    ROW(connection_init_sql_file, PATH, RT | SL_SETTING_READABLE, NULL,
        "Statements run on each new server connection."),
    ROW(user_mapping_file, PATH, RT | SL_SETTING_READABLE, NULL,
        "JSON file that maps users to other accounts."),
    ROW(connection_metadata, LIST, RT,
        "character_set_client=auto,character_set_connection=auto,character_set_results=auto,max_"
        "allowed_packet=auto,"
        "system_time_zone=auto,time_zone=auto,tx_isolation=auto,maxscale=auto",
        "System variables told to the client when it logs in."),
    ROW_AS("mariadbprotocol.allow_replication", mariadbprotocol_allow_replication, BOOL, RT, "true",
           0, 0, NULL, "Let replicas fetch binlogs through this listener."),
    TLS_ROWS(tls.),
    ROW_AS("ssl_crl", tls.ssl_crl, PATH, RT | SL_SETTING_READABLE, NULL, 0, 0, NULL,
           "Certificate revocation list, PEM."),
    SL_SETTINGS_END,
};
#undef T
const struct sl_settings sl_settings_listener = {"listener", listener_rows,
                                                 sizeof(struct sl_listener_settings), 0};

#define T sl_monitor_settings
static const struct sl_setting monitor_rows[] = {
    ROW(module, STRING, SL_SETTING_MANDATORY, NULL, "Monitor module."),
    ROW(servers, LIST, RT | SL_SETTING_MANDATORY, NULL,
        "Servers to watch; the order decides ties."),
    ROW(user, STRING, RT | SL_SETTING_MANDATORY, NULL, "User of the monitor."),
    ROW(password, PASSWORD, RT | SL_SETTING_MANDATORY, NULL, "Password of user."),
    ALIAS("passwd", "password"),
    RANGE(monitor_interval, DURATION, RT | SL_SETTING_NO_UNIT_MS, "2s", 100, INT64_C(86400000),
          "Time from the start of one look at the servers to the next."),
    RANGE(backend_connect_timeout, DURATION, RT | SECONDS, "3s", 1000, INT64_C(86400000),
          "Longest time to connect to a server, also for sessions."),
    RANGE(backend_read_timeout, DURATION, RT | SECONDS, "3s", 1000, INT64_C(86400000),
          "Longest wait for an answer."),
    RANGE(backend_write_timeout, DURATION, RT | SECONDS, "3s", 1000, INT64_C(86400000),
          "Longest time to send a statement."),
    RANGE(backend_connect_attempts, COUNT, RT, "1", 1, 1000,
          "Tries to connect before a server counts as down."),
    ROW(disk_space_threshold, STRING, RT | FUTURE, NULL, "Disk limits, path:percent,..."),
    ROW(disk_space_check_interval, DURATION, RT | FUTURE, "0s",
        "How often disks are checked; 0: never."),
    ROW(script, STRING, RT | FUTURE, NULL, "Command run when a server's state changes."),
    ROW(script_timeout, DURATION, RT | FUTURE | SECONDS, "90s", "Longest run of the script."),
    CHOICE(events, MASK, RT | FUTURE, "all", events, "Events that run the script."),
    ROW(journal_max_age, DURATION, RT | SECONDS, "28800s", "Older journals are not used at start."),
    SL_SETTINGS_END,
};
#undef T
const struct sl_settings sl_settings_monitor = {"monitor", monitor_rows,
                                                sizeof(struct sl_monitor_settings), 0};

#define T sl_filter_settings
static const struct sl_setting filter_rows[] = {
    ROW(module, STRING, SL_SETTING_MANDATORY, NULL, "Filter module."),
    SL_SETTINGS_END,
};
#undef T
const struct sl_settings sl_settings_filter = {"filter", filter_rows,
                                               sizeof(struct sl_filter_settings), 0};

#define T sl_tls_settings
static const struct sl_setting tls_rows[] = {
    TLS_ROWS(),
    ROW(ssl_crl, PATH, RT | SL_SETTING_READABLE, NULL, "Certificate revocation list, PEM."),
    SL_SETTINGS_END,
};
#undef T
const struct sl_settings sl_settings_tls = {"tls", tls_rows, sizeof(struct sl_tls_settings), 0};
