/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings of the [maxscale] section.
 *
 * Facts: MaxScale 24.02 documentation, configuration guide and REST API guide. Constant data; any
 * thread.
 */
#include <syslog.h>

#include "conf/rows.h"

#define DIRECTORY SL_SETTING_DIRECTORY
#define SECRET_PATH (RT | SL_SETTING_READABLE)

static const struct sl_choice threads_auto[] = {{"auto", 0}, {NULL, 0}};

static const struct sl_choice dump_statements[] = {
    {"never", SL_DUMP_NEVER},
    {"on_close", SL_DUMP_ON_CLOSE},
    {"on_error", SL_DUMP_ON_ERROR},
    {NULL, 0},
};

static const struct sl_choice facilities[] = {
    {"LOG_AUTH", LOG_AUTH},     {"LOG_AUTHPRIV", LOG_AUTHPRIV}, {"LOG_CRON", LOG_CRON},
    {"LOG_DAEMON", LOG_DAEMON}, {"LOG_FTP", LOG_FTP},           {"LOG_KERN", LOG_KERN},
    {"LOG_LOCAL0", LOG_LOCAL0}, {"LOG_LOCAL1", LOG_LOCAL1},     {"LOG_LOCAL2", LOG_LOCAL2},
    {"LOG_LOCAL3", LOG_LOCAL3}, {"LOG_LOCAL4", LOG_LOCAL4},     {"LOG_LOCAL5", LOG_LOCAL5},
    {"LOG_LOCAL6", LOG_LOCAL6}, {"LOG_LOCAL7", LOG_LOCAL7},     {"LOG_LPR", LOG_LPR},
    {"LOG_MAIL", LOG_MAIL},     {"LOG_NEWS", LOG_NEWS},         {"LOG_SYSLOG", LOG_SYSLOG},
    {"LOG_USER", LOG_USER},     {"LOG_UUCP", LOG_UUCP},         {NULL, 0},
};

static const struct sl_choice levels[] = {
    {"LOG_EMERG", LOG_EMERG}, {"LOG_ALERT", LOG_ALERT},     {"LOG_CRIT", LOG_CRIT},
    {"LOG_ERR", LOG_ERR},     {"LOG_WARNING", LOG_WARNING}, {"LOG_NOTICE", LOG_NOTICE},
    {"LOG_INFO", LOG_INFO},   {"LOG_DEBUG", LOG_DEBUG},     {NULL, 0},
};

static const struct sl_choice key_managers[] = {
    {"none", SL_KEYS_NONE},
    {"file", SL_KEYS_FILE},
    {"kmip", SL_KEYS_KMIP},
    {"vault", SL_KEYS_VAULT},
    {NULL, 0},
};

static const struct sl_choice jwt_algorithms[] = {
    {"auto", SL_JWT_AUTO},   {"HS256", SL_JWT_HS256},
    {"HS384", SL_JWT_HS384}, {"HS512", SL_JWT_HS512},
    {"RS256", SL_JWT_RS256}, {"RS384", SL_JWT_RS384},
    {"RS512", SL_JWT_RS512}, {"ES256", SL_JWT_ES256},
    {"ES384", SL_JWT_ES384}, {"ES512", SL_JWT_ES512},
    {"PS256", SL_JWT_PS256}, {"PS384", SL_JWT_PS384},
    {"PS512", SL_JWT_PS512}, {"ED25519", SL_JWT_ED25519},
    {"ED448", SL_JWT_ED448}, {NULL, 0},
};

#define T sl_global_settings
static const struct sl_setting global_rows[] = {
    /* threads and load */
    ROW_AS("threads", threads, COUNT, RT, "auto", 1, 4096, threads_auto,
           "Worker threads; auto: one per CPU."),
    RANGE(threads_max, COUNT, 0, "256", 1, 4096, "Upper limit of threads."),
    ROW(rebalance_period, DURATION, RT | FUTURE | SL_SETTING_NO_UNIT_MS, "0s",
        "How often the load of threads is compared; 0: never."),
    RANGE(rebalance_threshold, COUNT, RT | FUTURE, "20", 5, 100,
          "Difference of load that moves sessions."),
    RANGE(rebalance_window, COUNT, RT | FUTURE, "10", 1, 60, "Seconds the load is averaged over."),
    ROW(auto_tune, LIST, FUTURE, NULL, "Settings taken from the servers' own."),
    ROW(writeq_high_water, SIZE, RT, "64Ki",
        "Bytes waiting for a peer above which no more is read; 0: no limit."),
    ROW(writeq_low_water, SIZE, RT, "1Ki", "Bytes waiting below which reading goes on."),
    ROW(max_read_amount, SIZE, 0, "0",
        "Most bytes read from a connection in one turn; 0: the built-in budget."),
    ROW(query_classifier_cache_size, SIZE, RT | DEPRECATED, NULL,
        "Ignored: classification needs no cache."),
    ROW(query_classifier, STRING, DEPRECATED, NULL, "Ignored."),
    ROW(query_classifier_args, STRING, DEPRECATED, NULL, "Ignored."),
    /* connections and accounts */
    ROW(skip_name_resolve, BOOL, RT, "false", "Never look up the names of clients."),
    RANGE(auth_connect_timeout, DURATION, RT | SECONDS, "10s", 1000, INT64_C(86400000),
          "Longest time to load accounts from a server, and to connect to one that has no "
          "monitor."),
    ROW(auth_read_timeout, DURATION, RT | SECONDS | DEPRECATED, NULL, "Ignored."),
    ROW(auth_write_timeout, DURATION, RT | SECONDS | DEPRECATED, NULL, "Ignored."),
    RANGE(query_retries, COUNT, 0, "1", 0, 1000,
          "Retries of the proxy's own queries after network errors."),
    ROW(query_retry_timeout, DURATION, RT | SECONDS, "5s", "Longest time for these retries."),
    ROW(passive, BOOL, RT, "false", "Change nothing on servers by itself."),
    ROW(local_address, STRING, 0, NULL, "Source address of connections to servers."),
    ROW(users_refresh_time, DURATION, RT | SECONDS | SL_SETTING_SIGNED, "30s",
        "Least time between reloads of accounts after failed logins; negative: no such reloads."),
    ROW(users_refresh_interval, DURATION, RT | SECONDS, "0s",
        "Reload accounts that often; 0: only when needed."),
    RANGE(max_auth_errors_until_block, COUNT, RT, "10", 0, NUMBER_MAX,
          "Failed logins that block a host for a minute; 0: never."),
    CHOICE(sql_mode, ENUM, 0, "default", sl_choices_sql_mode, "SQL dialect sessions start with."),
    /* logs */
    RANGE(retain_last_statements, COUNT, RT, "0", 0, NUMBER_MAX,
          "Statements kept per session, at most 1000."),
    RANGE(query_digests, COUNT, RT, "0", 0, 10000,
          "Forms of statements that each worker counts; 0: none."),
    CHOICE(dump_last_statements, ENUM, RT, "never", dump_statements,
           "When kept statements are logged."),
    RANGE(session_trace, COUNT, RT | FUTURE, "0", 0, NUMBER_MAX, "Log lines kept per session."),
    ROW(session_trace_match, REGEX, RT | FUTURE, NULL, "Log the kept lines when one matches."),
    ROW(ms_timestamp, BOOL, RT, "false", "Milliseconds in log lines."),
    ROW(syslog, BOOL, RT, "false", "Log to syslog."),
    ROW(maxlog, BOOL, RT, "true", "Log to the log file."),
    ROW(log_warning, BOOL, RT, "true", "Log warnings."),
    ROW(log_notice, BOOL, RT, "true", "Log notices."),
    ROW(log_info, BOOL, RT, "false", "Log info messages."),
    ROW(log_debug, BOOL, RT, "false", "Log debug messages."),
    ROW(log_warn_super_user, BOOL, FUTURE, "false", "Warn when a user with SUPER logs in."),
    RANGE(log_augmentation, COUNT, 0, "0", 0, 1, "1: function names in log lines."),
    ROW(log_throttling, STRING, RT, "10,1000ms,10000ms",
        "count,window,time: so many equal messages within the window are silenced for that time."),
    ROW(core_file, BOOL, 0, "true", "Write a core file after a crash."),
    ROW(debug, STRING, FUTURE, NULL, "Switches for tests."),
    ROW_AS("event.authentication_failure.facility", event_authentication_failure_facility, ENUM,
           RT | FUTURE, "LOG_USER", 0, 0, facilities, "Syslog facility of failed logins."),
    ROW_AS("event.authentication_failure.level", event_authentication_failure_level, ENUM,
           RT | FUTURE, "LOG_WARNING", 0, 0, levels, "Syslog level of failed logins."),
    /* keys */
    CHOICE(key_manager, ENUM, RT, "none", key_managers, "Where encryption keys come from."),
    ROW_AS("file.keyfile", file_keyfile, PATH, SECRET_PATH, NULL, 0, 0, NULL,
           "Keys of key_manager=file."),
    ROW_AS("kmip.host", kmip_host, STRING, RT | FUTURE, NULL, 0, 0, NULL,
           "Host of key_manager=kmip."),
    ROW_AS("kmip.port", kmip_port, COUNT, RT | FUTURE, "0", 0, PORT_MAX, NULL, "Its port."),
    ROW_AS("kmip.cert", kmip_cert, PATH, SECRET_PATH | FUTURE, NULL, 0, 0, NULL,
           "Client certificate for it."),
    ROW_AS("kmip.key", kmip_key, PATH, SECRET_PATH | FUTURE, NULL, 0, 0, NULL,
           "Key of that certificate."),
    ROW_AS("kmip.ca", kmip_ca, PATH, SECRET_PATH | FUTURE, NULL, 0, 0, NULL,
           "Authority of its certificate."),
    ROW_AS("vault.token", vault_token, PASSWORD, RT | FUTURE, NULL, 0, 0, NULL,
           "Token of key_manager=vault."),
    ROW_AS("vault.host", vault_host, STRING, RT | FUTURE, "localhost", 0, 0, NULL, "Its host."),
    ROW_AS("vault.port", vault_port, COUNT, RT | FUTURE, "8200", 1, PORT_MAX, NULL, "Its port."),
    ROW_AS("vault.ca", vault_ca, PATH, SECRET_PATH | FUTURE, NULL, 0, 0, NULL,
           "Authority of its certificate."),
    ROW_AS("vault.tls", vault_tls, BOOL, RT | FUTURE, "true", 0, 0, NULL, "Use TLS to it."),
    ROW_AS("vault.mount", vault_mount, STRING, RT | FUTURE, "secret", 0, 0, NULL,
           "Its secret engine."),
    ROW_AS("vault.timeout", vault_timeout, DURATION, RT | FUTURE, "30s", 0, 0, NULL,
           "Longest wait for it."),
    ROW(secretsdir, PATH, DIRECTORY, NULL, "Directory of .secrets; datadir when empty."),
    /* directories */
    ROW(logdir, PATH, DIRECTORY, "/var/log/maxscale", "Logs."),
    ROW(datadir, PATH, DIRECTORY, "/var/lib/maxscale", "Data."),
    ROW(libdir, PATH, DIRECTORY, "/usr/lib/x86_64-linux-gnu/maxscale", "Libraries."),
    ROW(sharedir, PATH, DIRECTORY, "/usr/share/maxscale", "Shared files."),
    ROW(cachedir, PATH, DIRECTORY, "/var/cache/maxscale", "Cached files."),
    ROW(piddir, PATH, DIRECTORY, "/var/run/maxscale", "Pid file."),
    ROW(execdir, PATH, DIRECTORY, "/usr/bin", "Programs."),
    ROW(connector_plugindir, PATH, DIRECTORY, NULL,
        "Connector plugins; <libdir>/plugin when empty."),
    ROW(persistdir, PATH, DIRECTORY, "/var/lib/maxscale/maxscale.cnf.d",
        "Changes made at runtime."),
    ROW(module_configdir, PATH, DIRECTORY, "/etc/maxscale.modules.d",
        "Where relative paths of parameters start."),
    ROW(language, PATH, DIRECTORY, "/var/lib/maxscale", "Unused; kept for old files."),
    /* configuration */
    ROW(load_persisted_configs, BOOL, 0, "true", "Load changes made at runtime when starting."),
    ROW(persist_runtime_changes, BOOL, 0, "true", "Keep changes made at runtime."),
    ROW(substitute_variables, BOOL, 0, "false",
        "Values that start with $ are environment variables."),
    ROW(skip_permission_checks, BOOL, DEPRECATED, "false", "Ignored."),
    /* REST and GUI */
    ROW(admin_enabled, BOOL, 0, "true", "Offer the REST API."),
    ROW(admin_gui, BOOL, 0, "true", "Offer the GUI."),
    ROW(admin_secure_gui, BOOL, 0, "true", "GUI only over HTTPS."),
    ROW(admin_host, STRING, 0, "127.0.0.1", "Address of the REST API."),
    RANGE(admin_port, COUNT, 0, "8989", 1, PORT_MAX, "Port of the REST API."),
    ROW(admin_auth, BOOL, 0, "true", "The REST API demands a login."),
    ROW(admin_ssl_key, PATH, SECRET_PATH, NULL, "Private key of the REST API."),
    ROW(admin_ssl_cert, PATH, SECRET_PATH, NULL, "Certificate of the REST API."),
    ROW(admin_ssl_ca, PATH, SL_SETTING_READABLE, NULL, "Authority of client certificates."),
    ALIAS("admin_ssl_ca_cert", "admin_ssl_ca"),
    CHOICE(admin_ssl_version, MASK, 0, "MAX", sl_choices_tls_version,
           "TLS versions of the REST API."),
    ROW(admin_log_auth_failures, BOOL, RT, "true", "Log failed logins to the REST API."),
    ROW(admin_pam_readwrite_service, STRING, FUTURE, NULL, "PAM service of administrators."),
    ROW(admin_pam_readonly_service, STRING, FUTURE, NULL, "PAM service of readers."),
    ROW(admin_readwrite_hosts, LIST, 0, "%", "Hosts that may change things through the REST API."),
    ROW(admin_readonly_hosts, LIST, 0, "%", "Hosts that may read through the REST API."),
    CHOICE(admin_jwt_algorithm, ENUM, 0, "auto", jwt_algorithms, "Signature of tokens."),
    ROW(admin_jwt_key, STRING, FUTURE, NULL, "Key of the key_manager that signs tokens."),
    RANGE(admin_jwt_max_age, DURATION, RT, "24h", 1000, INT64_C(315360000000),
          "Longest life of a token."),
    ROW(admin_jwt_issuer, STRING, 0, "maxscale", "Issuer named in tokens."),
    ROW(admin_oidc_url, STRING, RT | FUTURE, NULL, "Accept tokens of that OpenID provider."),
    ROW(admin_verify_url, STRING, FUTURE, NULL, "Let that URL verify tokens."),
    ROW(admin_audit, BOOL, RT, "false", "Log calls of the REST API."),
    ROW(admin_audit_file, PATH, RT, NULL, "File of that log; <logdir>/admin_audit.csv when empty."),
    ROW(admin_audit_exclude_methods, LIST, RT, NULL, "Methods left out of that log."),
    /* several proxies */
    ROW(config_sync_cluster, STRING, RT | FUTURE, NULL,
        "Monitor through whose servers proxies share changes."),
    ROW(config_sync_user, STRING, RT | FUTURE, NULL, "User for that."),
    ROW(config_sync_password, PASSWORD, RT | FUTURE, NULL, "Password of config_sync_user."),
    ROW(config_sync_db, STRING, FUTURE, "mysql", "Database of the shared table."),
    ROW(config_sync_interval, DURATION, RT | FUTURE | SECONDS, "5s", "How often it is read."),
    ROW(config_sync_timeout, DURATION, RT | FUTURE | SECONDS, "10s", "Longest wait for it."),
    SL_SETTINGS_END,
};
#undef T
const struct sl_settings sl_settings_global = {"maxscale", global_rows,
                                               sizeof(struct sl_global_settings), 0};
