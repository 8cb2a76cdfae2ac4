/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router binlogrouter: the system variables there are, for SELECT @@x, SHOW VARIABLES and as values.
 * The names are the server's; those without a meaning here have the value that clients expect.
 * Parameters of the router are variables too.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "router/binlog/sql.h"
#include "router/binlog/tune.h"

typedef int get(struct sl_relay_session *rs, struct sl_buf *out);

static int get_position(struct sl_relay_session *rs, struct sl_buf *out)
{
    return sl_store_position_text(sl_relay_of(rs->session)->store, out);
}

static int get_state(struct sl_relay_session *rs, struct sl_buf *out)
{
    struct sl_gtid_list state = SL_GTID_LIST_INIT;
    int rc = sl_store_state(sl_relay_of(rs->session)->store, &state);
    rc = rc < 0 ? rc : sl_gtid_list_text(&state, out);
    sl_gtid_list_free(&state);
    return rc;
}

static int get_server_id(struct sl_relay_session *rs, struct sl_buf *out)
{
    return sl_buf_printf(out, "%lld", (long long)sl_relay_of(rs->session)->settings->server_id);
}

static int get_version(struct sl_relay_session *rs, struct sl_buf *out)
{
    char text[256];
    sl_service_version_text(rs->session->service, text, sizeof text);
    return sl_buf_append_text(out, strncmp(text, "5.5.5-", 6) == 0 ? text + 6 : text);
}

static int get_hostname(struct sl_relay_session *rs, struct sl_buf *out)
{
    char name[256] = "";
    gethostname(name, sizeof name - 1);
    return sl_buf_append_text(out, name);
}

static int get_port(struct sl_relay_session *rs, struct sl_buf *out)
{
    return sl_buf_printf(out, "%u", sl_listener_socket_port(rs->session->listener->socket));
}

static int get_datadir(struct sl_relay_session *rs, struct sl_buf *out)
{
    return sl_buf_printf(out, "%s/", sl_relay_of(rs->session)->datadir);
}

static int get_basename(struct sl_relay_session *rs, struct sl_buf *out)
{
    char file[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t offset;
    struct sl_relay *relay = sl_relay_of(rs->session);
    if (!sl_store_tail(relay->store, file, &offset)) {
        return SL_OK;
    }
    char *dot = strrchr(file, '.');
    if (dot) {
        *dot = 0;
    }
    return sl_buf_printf(out, "%s/%s", relay->datadir, file);
}

static int get_time_zone(struct sl_relay_session *rs, struct sl_buf *out)
{
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    return sl_buf_append_text(out, tm.tm_zone);
}

static int64_t milliseconds_of(struct sl_relay_session *rs, const char *name)
{
    struct sl_binlog_settings t;
    sl_relay_in_force(sl_relay_of(rs->session), &t);
    const struct sl_setting *row = sl_settings_find(&sl_settings_binlogrouter, name);
    int64_t ms;
    memcpy(&ms, (const char *)&t + row->offset, sizeof ms);
    sl_settings_clear(&sl_settings_binlogrouter, &t);
    return ms;
}

static int milliseconds_as_s(struct sl_relay_session *rs, const char *name, struct sl_buf *out)
{
    return sl_buf_printf(out, "%lld", (long long)milliseconds_of(rs, name) / 1000);
}

static int get_net_timeout(struct sl_relay_session *rs, struct sl_buf *out)
{
    return milliseconds_as_s(rs, "net_timeout", out);
}

static int get_expire(struct sl_relay_session *rs, struct sl_buf *out)
{
    return milliseconds_as_s(rs, "expire_log_duration", out);
}

static int get_expire_days(struct sl_relay_session *rs, struct sl_buf *out)
{
    return sl_buf_printf(out, "%.6f",
                         (double)milliseconds_of(rs, "expire_log_duration") / 86400000);
}

/* A parameter of the router: `fixed` and `get` NULL. Sorted by name. */
static const struct variable {
    const char *name;
    const char *fixed;
    get *get;
} variables[] = {
    {"archivedir", NULL, NULL},
    {"auto_increment_increment", "1", NULL},
    {"auto_increment_offset", "1", NULL},
    {"autocommit", "1", NULL},
    {"binlog_annotate_row_events", "1", NULL},
    {"binlog_checksum", "CRC32", NULL},
    {"binlog_expire_logs_seconds", NULL, get_expire},
    {"binlog_format", "ROW", NULL},
    {"binlog_row_image", "FULL", NULL},
    {"binlog_row_metadata", "NO_LOG", NULL},
    {"character_set_client", "utf8", NULL},
    {"character_set_connection", "utf8", NULL},
    {"character_set_database", "utf8mb4", NULL},
    {"character_set_results", "utf8", NULL},
    {"character_set_server", "utf8mb4", NULL},
    {"collation_connection", "utf8_general_ci", NULL},
    {"collation_database", "utf8mb4_general_ci", NULL},
    {"collation_server", "utf8mb4_general_ci", NULL},
    {"compression_algorithm", NULL, NULL},
    {"datadir", NULL, get_datadir},
    {"ddl_only", NULL, NULL},
    {"encryption_cipher", NULL, NULL},
    {"encryption_key_id", NULL, NULL},
    {"event_scheduler", "OFF", NULL},
    {"expiration_mode", NULL, NULL},
    {"expire_log_duration", NULL, NULL},
    {"expire_log_minimum_files", NULL, NULL},
    {"expire_logs_days", NULL, get_expire_days},
    {"gtid_ahead_timeout", NULL, NULL},
    {"gtid_binlog_pos", NULL, get_position},
    {"gtid_binlog_state", NULL, get_state},
    {"gtid_current_pos", NULL, get_position},
    {"gtid_domain_id", "0", NULL},
    {"gtid_ignore_duplicates", "0", NULL},
    {"gtid_slave_pos", NULL, get_position},
    {"gtid_strict_mode", "0", NULL},
    {"hostname", NULL, get_hostname},
    {"init_connect", "", NULL},
    {"interactive_timeout", "28800", NULL},
    {"license", "Apache-2.0", NULL},
    {"log_bin", "1", NULL},
    {"log_bin_basename", NULL, get_basename},
    {"log_slave_updates", "1", NULL},
    {"lower_case_table_names", "0", NULL},
    {"max_allowed_packet", "16777216", NULL},
    {"max_binlog_size", NULL, NULL},
    {"net_buffer_length", "16384", NULL},
    {"net_read_timeout", "30", NULL},
    {"net_timeout", NULL, NULL},
    {"net_write_timeout", "60", NULL},
    {"number_of_noncompressed_files", NULL, NULL},
    {"performance_schema", "0", NULL},
    {"port", NULL, get_port},
    {"protocol_version", "10", NULL},
    {"purge_poll_timeout", NULL, NULL},
    {"purge_startup_delay", NULL, NULL},
    {"query_cache_size", "1048576", NULL},
    {"query_cache_type", "OFF", NULL},
    {"read_only", "1", NULL},
    {"replica_retention", NULL, NULL},
    {"rpl_semi_sync_master_enabled", NULL, NULL},
    {"rpl_semi_sync_slave_enabled", NULL, NULL},
    {"select_master", NULL, NULL},
    {"server_id", NULL, get_server_id},
    {"skip_networking", "0", NULL},
    {"slave_net_timeout", NULL, get_net_timeout},
    {"sql_mode", "", NULL},
    {"sync_binlog", NULL, NULL},
    {"system_time_zone", NULL, get_time_zone},
    {"time_zone", "SYSTEM", NULL},
    {"transaction_isolation", "REPEATABLE-READ", NULL},
    {"tx_isolation", "REPEATABLE-READ", NULL},
    {"tx_read_only", "0", NULL},
    {"version", NULL, get_version},
    {"version_comment", "Sealane binlog relay", NULL},
    {"wait_timeout", "28800", NULL},
};

/* Whose 0 and 1 SHOW VARIABLES calls OFF and ON. */
static const char *const switches[] = {
    "autocommit",
    "binlog_annotate_row_events",
    "gtid_ignore_duplicates",
    "gtid_strict_mode",
    "log_bin",
    "log_slave_updates",
    "performance_schema",
    "read_only",
    "skip_networking",
    "tx_read_only",
};

static const struct variable *find(struct sl_slice name)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(variables); i++) {
        if (sl_slice_equal_nocase(name, variables[i].name)) {
            return &variables[i];
        }
    }
    return NULL;
}

static int render(struct sl_relay_session *rs, const struct variable *v, struct sl_buf *out)
{
    if (v->fixed) {
        return sl_buf_append_text(out, v->fixed);
    }
    if (v->get) {
        return v->get(rs, out);
    }
    struct sl_binlog_settings t;
    sl_relay_in_force(sl_relay_of(rs->session), &t);
    const struct sl_setting *row = sl_settings_find(&sl_settings_binlogrouter, v->name);
    bool is;
    int rc;
    if (row->type == SL_SETTING_BOOL) {
        memcpy(&is, (const char *)&t + row->offset, sizeof is);
        rc = sl_buf_append_text(out, is ? "1" : "0");
    } else {
        rc = sl_setting_render(row, &t, out);
    }
    sl_settings_clear(&sl_settings_binlogrouter, &t);
    return rc;
}

bool sl_relay_variable(struct sl_relay_session *rs, struct sl_slice name, struct sl_buf *out)
{
    sl_buf_clear(out);
    const struct variable *v = find(name);
    return v && render(rs, v, out) == SL_OK;
}

/* ---- SHOW VARIABLES, SHOW STATUS ---- */

static const struct sl_resultset_column name_and_value[] = {{.name = "Variable_name"},
                                                            {.name = "Value"}};

static bool is_switch(const char *name)
{
    const struct sl_setting *row = sl_settings_find(&sl_settings_binlogrouter, name);
    for (size_t i = 0; i < SL_ARRAY_LEN(switches); i++) {
        if (strcmp(switches[i], name) == 0) {
            return true;
        }
    }
    return row && row->type == SL_SETTING_BOOL;
}

const char *sl_relay_text(struct sl_buf *b)
{
    if (sl_buf_reserve(b, 1) < 0) {
        return "";
    }
    b->data[b->end] = 0;
    return (const char *)b->data + b->start;
}

void sl_relay_show_variables(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    struct sl_relay_rows rows;
    struct sl_buf value = SL_BUF_INIT;
    sl_relay_rows_begin(&rows, rs, name_and_value, SL_ARRAY_LEN(name_and_value));
    for (size_t i = 0; i < SL_ARRAY_LEN(variables); i++) {
        const char *name = variables[i].name;
        if (!sl_relay_statement_wants(st, name)) {
            continue;
        }
        sl_buf_clear(&value);
        render(rs, &variables[i], &value);
        const char *text = sl_relay_text(&value);
        if (is_switch(name)) {
            text = strcmp(text, "1") == 0 ? "ON" : "OFF";
        }
        sl_relay_rows_add(&rows, (const char *[]){name, text});
    }
    sl_relay_rows_end(&rows);
    sl_buf_free(&value);
}

static void add_status(struct sl_relay_rows *rows, const struct sl_relay_statement *st,
                       const char *name, uint64_t n)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    if (sl_relay_statement_wants(st, name)) {
        sl_relay_rows_add(rows, (const char *[]){name, text});
    }
}

static void add_status_text(struct sl_relay_rows *rows, const struct sl_relay_statement *st,
                            const char *name, const char *text)
{
    if (sl_relay_statement_wants(st, name)) {
        sl_relay_rows_add(rows, (const char *[]){name, text});
    }
}

void sl_relay_show_status(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    struct sl_relay *relay = sl_relay_of(rs->session);
    struct sl_upstream_status up;
    struct sl_store_stats store;
    sl_upstream_status(relay->upstream, &up);
    sl_store_stats(relay->store, &store);
    uint64_t out = 0;
    for (unsigned i = 0; i < relay->worker_count; i++) {
        out += atomic_load_explicit(&relay->workers[i].bytes_out, memory_order_relaxed);
    }
    struct sl_relay_rows rows;
    sl_relay_rows_begin(&rows, rs, name_and_value, SL_ARRAY_LEN(name_and_value));
    add_status(&rows, st, "Binlog_bytes_written", store.bytes);
    add_status(&rows, st, "Binlog_commits", store.groups);
    add_status(&rows, st, "Binlog_group_commits", store.syncs);
    add_status(&rows, st, "Bytes_received", up.bytes_in);
    add_status(&rows, st, "Bytes_sent", out);
    add_status(&rows, st, "Rpl_semi_sync_slave_send_ack", up.acks_sent);
    add_status_text(&rows, st, "Rpl_semi_sync_slave_status", up.is_semi_sync ? "ON" : "OFF");
    add_status(&rows, st, "Slave_connections", up.connects);
    add_status(&rows, st, "Slave_heartbeat_period", up.heartbeat_period_ms / 1000);
    add_status(&rows, st, "Slave_received_heartbeats", up.heartbeats);
    add_status_text(&rows, st, "Slave_running", up.step == SL_UPSTREAM_STREAMING ? "ON" : "OFF");
    const char *cipher = sl_conn_tls_cipher(&rs->session->client);
    const char *version = sl_conn_tls_version(&rs->session->client);
    add_status_text(&rows, st, "Ssl_cipher", cipher ? cipher : "");
    add_status_text(&rows, st, "Ssl_version", version ? version : "");
    add_status(&rows, st, "Threads_connected", sl_service_connections(rs->session->service));
    add_status(&rows, st, "Uptime", (uint64_t)(time(NULL) - rs->session->service->started_s));
    sl_relay_rows_end(&rows);
    sl_upstream_target_clear(&up.target);
}
