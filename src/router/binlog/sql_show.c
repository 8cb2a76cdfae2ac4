/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router binlogrouter: SHOW. Columns, their order and the words in them are those of MariaDB 10.11
 * (seen on 10.11.19), so that what reads a server's answers reads these. Values are what they say;
 * what a relay does not have is empty or 0.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "router/binlog/sql.h"

#define NUMBER_TEXT 24

static const char *number(char out[NUMBER_TEXT], uint64_t n)
{
    snprintf(out, NUMBER_TEXT, "%llu", (unsigned long long)n);
    return out;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* ---- SHOW SLAVE STATUS ---- */

/* Everything that a row is made from. */
struct slave {
    struct sl_upstream_status up;
    struct sl_store_stats store;
    char relay_file[SL_BINLOG_FILE_NAME_MAX + 1];
    char port[NUMBER_TEXT], master_pos[NUMBER_TEXT], relay_pos[NUMBER_TEXT], space[NUMBER_TEXT];
    char error_number[NUMBER_TEXT], behind[NUMBER_TEXT], server_id[NUMBER_TEXT];
    char events[NUMBER_TEXT], groups[NUMBER_TEXT], heartbeats[NUMBER_TEXT], period[NUMBER_TEXT];
    struct sl_buf position;
    const char *position_text;
};

static const char *io_state(const struct slave *s)
{
    static const char *const texts[] = {
        [SL_UPSTREAM_STOPPED] = "",
        [SL_UPSTREAM_NO_TARGET] = "Waiting for a server with the Master role",
        [SL_UPSTREAM_CONNECTING] = "Connecting to master",
        [SL_UPSTREAM_LOGIN] = "Connecting to master",
        [SL_UPSTREAM_ASKING] = "Requesting binlog dump",
        [SL_UPSTREAM_STREAMING] = "Waiting for master to send event",
        [SL_UPSTREAM_WAITING] = "Reconnecting after a failed master event read",
    };
    return s->up.is_disk_full ? "Waiting for room on the disk" : texts[s->up.step];
}

static const char *io_running(const struct slave *s)
{
    return !s->up.is_wanted ? "No" : s->up.step == SL_UPSTREAM_STREAMING ? "Yes" : "Connecting";
}

static const char *sql_running(const struct slave *s)
{
    return s->up.is_wanted ? "Yes" : "No";
}

static const char *sql_state(const struct slave *s)
{
    return s->up.is_wanted ? "Slave has read all relay log; waiting for more updates" : "";
}

static const char *yes_no(bool is)
{
    return is ? "Yes" : "No";
}

/* A column: a function or a fixed text. */
struct slave_column {
    const char *name;
    uint8_t type;
    const char *(*get)(const struct slave *s);
    const char *fixed; /* NULL without get: SQL NULL */
};

#define TARGET_TEXT(field)                                                                         \
    static const char *get_##field(const struct slave *s)                                          \
    {                                                                                              \
        return or_empty(s->up.target.field);                                                       \
    }
TARGET_TEXT(host)
TARGET_TEXT(user)
TARGET_TEXT(ssl_ca)
TARGET_TEXT(ssl_capath)
TARGET_TEXT(ssl_cert)
TARGET_TEXT(ssl_cipher)
TARGET_TEXT(ssl_key)
TARGET_TEXT(ssl_crl)
TARGET_TEXT(ssl_crlpath)
#undef TARGET_TEXT

#define OWN_TEXT(field)                                                                            \
    static const char *get_##field(const struct slave *s)                                          \
    {                                                                                              \
        return s->field;                                                                           \
    }
OWN_TEXT(port)
OWN_TEXT(master_pos)
OWN_TEXT(relay_file)
OWN_TEXT(relay_pos)
OWN_TEXT(space)
OWN_TEXT(error_number)
OWN_TEXT(server_id)
OWN_TEXT(events)
OWN_TEXT(groups)
OWN_TEXT(heartbeats)
OWN_TEXT(period)
OWN_TEXT(position_text)
#undef OWN_TEXT

static const char *get_master_file(const struct slave *s)
{
    return s->up.master_file;
}

static const char *get_error(const struct slave *s)
{
    return s->up.last_errno ? s->up.last_error : "";
}

static const char *get_behind(const struct slave *s)
{
    return s->up.seconds_behind < 0 ? NULL : s->behind;
}

static const char *get_ssl(const struct slave *s)
{
    return yes_no(s->up.target.ssl);
}

static const char *get_verify(const struct slave *s)
{
    return yes_no(s->up.target.ssl_verify_server_cert);
}

#define TEXT(name, get)                                                                            \
    {                                                                                              \
        name, 0, get, NULL                                                                         \
    }
#define COUNT(name, get)                                                                           \
    {                                                                                              \
        name, SL_TYPE_LONGLONG, get, NULL                                                          \
    }
#define ALWAYS(name, text)                                                                         \
    {                                                                                              \
        name, 0, NULL, text                                                                        \
    }
#define ZERO(name)                                                                                 \
    {                                                                                              \
        name, SL_TYPE_LONGLONG, NULL, "0"                                                          \
    }

/* The first two and the last six are of SHOW ALL SLAVES STATUS only. */
#define ALL_FRONT 2
#define ALL_BACK 6
static const struct slave_column slave_columns[] = {
    ALWAYS("Connection_name", ""),
    TEXT("Slave_SQL_State", sql_state),
    TEXT("Slave_IO_State", io_state),
    TEXT("Master_Host", get_host),
    TEXT("Master_User", get_user),
    COUNT("Master_Port", get_port),
    {"Connect_Retry", SL_TYPE_LONGLONG, NULL, "1"},
    TEXT("Master_Log_File", get_master_file),
    COUNT("Read_Master_Log_Pos", get_master_pos),
    TEXT("Relay_Log_File", get_relay_file),
    COUNT("Relay_Log_Pos", get_relay_pos),
    TEXT("Relay_Master_Log_File", get_master_file),
    TEXT("Slave_IO_Running", io_running),
    TEXT("Slave_SQL_Running", sql_running),
    ALWAYS("Replicate_Do_DB", ""),
    ALWAYS("Replicate_Ignore_DB", ""),
    ALWAYS("Replicate_Do_Table", ""),
    ALWAYS("Replicate_Ignore_Table", ""),
    ALWAYS("Replicate_Wild_Do_Table", ""),
    ALWAYS("Replicate_Wild_Ignore_Table", ""),
    COUNT("Last_Errno", get_error_number),
    TEXT("Last_Error", get_error),
    ZERO("Skip_Counter"),
    COUNT("Exec_Master_Log_Pos", get_master_pos),
    COUNT("Relay_Log_Space", get_space),
    ALWAYS("Until_Condition", "None"),
    ALWAYS("Until_Log_File", ""),
    ZERO("Until_Log_Pos"),
    TEXT("Master_SSL_Allowed", get_ssl),
    TEXT("Master_SSL_CA_File", get_ssl_ca),
    TEXT("Master_SSL_CA_Path", get_ssl_capath),
    TEXT("Master_SSL_Cert", get_ssl_cert),
    TEXT("Master_SSL_Cipher", get_ssl_cipher),
    TEXT("Master_SSL_Key", get_ssl_key),
    COUNT("Seconds_Behind_Master", get_behind),
    TEXT("Master_SSL_Verify_Server_Cert", get_verify),
    COUNT("Last_IO_Errno", get_error_number),
    TEXT("Last_IO_Error", get_error),
    ZERO("Last_SQL_Errno"),
    ALWAYS("Last_SQL_Error", ""),
    ALWAYS("Replicate_Ignore_Server_Ids", ""),
    COUNT("Master_Server_Id", get_server_id),
    TEXT("Master_SSL_Crl", get_ssl_crl),
    TEXT("Master_SSL_Crlpath", get_ssl_crlpath),
    ALWAYS("Using_Gtid", "Slave_Pos"),
    TEXT("Gtid_IO_Pos", get_position_text),
    ALWAYS("Replicate_Do_Domain_Ids", ""),
    ALWAYS("Replicate_Ignore_Domain_Ids", ""),
    ALWAYS("Parallel_Mode", "conservative"),
    ZERO("SQL_Delay"),
    {"SQL_Remaining_Delay", SL_TYPE_LONGLONG, NULL, NULL},
    TEXT("Slave_SQL_Running_State", sql_state),
    ZERO("Slave_DDL_Groups"),
    ZERO("Slave_Non_Transactional_Groups"),
    COUNT("Slave_Transactional_Groups", get_groups),
    ALWAYS("Replicate_Rewrite_DB", ""),
    ZERO("Retried_transactions"),
    ALWAYS("Max_relay_log_size", "1073741824"),
    COUNT("Executed_log_entries", get_events),
    COUNT("Slave_received_heartbeats", get_heartbeats),
    TEXT("Slave_heartbeat_period", get_period),
    TEXT("Gtid_Slave_Pos", get_position_text),
};
#define SLAVE_COLUMNS SL_ARRAY_LEN(slave_columns)

static void gather(const struct sl_relay *relay, struct slave *s)
{
    uint64_t offset = 0;
    sl_upstream_status(relay->upstream, &s->up);
    sl_store_stats(relay->store, &s->store);
    if (!sl_store_tail(relay->store, s->relay_file, &offset)) {
        s->relay_file[0] = 0;
    }
    number(s->port, s->up.target.port);
    number(s->master_pos, s->up.master_pos);
    number(s->relay_pos, offset);
    number(s->space, s->store.disk_bytes);
    number(s->error_number, s->up.last_errno);
    number(s->behind, s->up.seconds_behind < 0 ? 0 : (uint64_t)s->up.seconds_behind);
    number(s->server_id, s->up.master_server_id);
    number(s->events, s->up.events_in);
    number(s->groups, s->up.groups_in);
    number(s->heartbeats, s->up.heartbeats);
    snprintf(s->period, sizeof s->period, "%u.%03u", s->up.heartbeat_period_ms / 1000,
             s->up.heartbeat_period_ms % 1000);
    sl_store_position_text(relay->store, &s->position);
    s->position_text = sl_relay_text(&s->position);
}

static void show_slave(struct sl_relay_session *rs, size_t from, size_t to)
{
    struct slave s;
    memset(&s, 0, sizeof s);
    gather(sl_relay_of(rs->session), &s);
    struct sl_resultset_column columns[SLAVE_COLUMNS];
    const char *cells[SLAVE_COLUMNS];
    for (size_t i = from; i < to; i++) {
        const struct slave_column *c = &slave_columns[i];
        columns[i - from] = (struct sl_resultset_column){.name = c->name, .type = c->type};
        cells[i - from] = c->get ? c->get(&s) : c->fixed;
    }
    struct sl_relay_rows rows;
    sl_relay_rows_begin(&rows, rs, columns, to - from);
    /* Nothing was configured: no connection, as on a server. */
    if (s.up.target.host || s.up.selects_master) {
        sl_relay_rows_add(&rows, cells);
    }
    sl_relay_rows_end(&rows);
    sl_upstream_target_clear(&s.up.target);
    sl_buf_free(&s.position);
}

void sl_relay_show_slave(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    show_slave(rs, ALL_FRONT, SLAVE_COLUMNS - ALL_BACK);
}

void sl_relay_show_all_slaves(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    show_slave(rs, 0, SLAVE_COLUMNS);
}

/* ---- logs ---- */

void sl_relay_show_master(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    static const struct sl_resultset_column columns[] = {{.name = "File"},
                                                         {"Position", SL_TYPE_LONGLONG, 0, 0},
                                                         {.name = "Binlog_Do_DB"},
                                                         {.name = "Binlog_Ignore_DB"}};
    char file[SL_BINLOG_FILE_NAME_MAX + 1], position[NUMBER_TEXT];
    uint64_t offset;
    struct sl_relay_rows rows;
    sl_relay_rows_begin(&rows, rs, columns, SL_ARRAY_LEN(columns));
    if (sl_store_tail(sl_relay_of(rs->session)->store, file, &offset)) {
        sl_relay_rows_add(&rows, (const char *[]){file, number(position, offset), "", ""});
    }
    sl_relay_rows_end(&rows);
}

static void out_of_memory(struct sl_relay_session *rs)
{
    sl_session_fail(rs->session, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
}

void sl_relay_show_logs(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    static const struct sl_resultset_column columns[] = {{.name = "Log_name"},
                                                         {"File_size", SL_TYPE_LONGLONG, 0, 0}};
    struct sl_store_file *files;
    unsigned count;
    if (sl_store_files(sl_relay_of(rs->session)->store, &files, &count) < 0) {
        out_of_memory(rs);
        return;
    }
    struct sl_relay_rows rows;
    sl_relay_rows_begin(&rows, rs, columns, SL_ARRAY_LEN(columns));
    for (unsigned i = 0; i < count; i++) {
        char size[NUMBER_TEXT];
        sl_relay_rows_add(&rows, (const char *[]){files[i].name, number(size, files[i].size)});
    }
    sl_relay_rows_end(&rows);
    sl_free(files);
}

/* ---- replicas ---- */

void sl_relay_show_hosts(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    static const struct sl_resultset_column columns[] = {{"Server_id", SL_TYPE_LONGLONG, 0, 0},
                                                         {.name = "Host"},
                                                         {"Port", SL_TYPE_LONGLONG, 0, 0},
                                                         {"Master_id", SL_TYPE_LONGLONG, 0, 0}};
    struct sl_relay *relay = sl_relay_of(rs->session);
    struct sl_replica_info *list;
    unsigned count;
    if (sl_replicas_list(relay->replicas, &list, &count) < 0) {
        out_of_memory(rs);
        return;
    }
    struct sl_relay_rows rows;
    sl_relay_rows_begin(&rows, rs, columns, SL_ARRAY_LEN(columns));
    char id[NUMBER_TEXT], port[NUMBER_TEXT], master[NUMBER_TEXT];
    number(master, (uint64_t)relay->settings->server_id);
    for (unsigned i = 0; i < count; i++) {
        if (list[i].session_id != 0) {
            sl_relay_rows_add(&rows, (const char *[]){number(id, list[i].server_id), list[i].host,
                                                      number(port, list[i].port), master});
        }
    }
    sl_relay_rows_end(&rows);
    sl_free(list);
}

/* Those that dump, and who asks. */
void sl_relay_show_processes(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    static const struct sl_resultset_column columns[] = {
        {"Id", SL_TYPE_LONGLONG, 0, 0},
        {.name = "User"},
        {.name = "Host"},
        {.name = "db"},
        {.name = "Command"},
        {"Time", SL_TYPE_LONGLONG, 0, 0},
        {.name = "State"},
        {.name = "Info"},
        {.name = "Progress"},
    };
    struct sl_replica_info *list;
    unsigned count;
    if (sl_replicas_list(sl_relay_of(rs->session)->replicas, &list, &count) < 0) {
        out_of_memory(rs);
        return;
    }
    struct sl_relay_rows rows;
    sl_relay_rows_begin(&rows, rs, columns, SL_ARRAY_LEN(columns));
    char id[NUMBER_TEXT], time[NUMBER_TEXT], host[300];
    for (unsigned i = 0; i < count; i++) {
        const struct sl_replica_info *r = &list[i];
        if (r->session_id == 0) {
            continue;
        }
        snprintf(host, sizeof host, "%s:%u", r->host, r->port);
        number(time, (uint64_t)SL_MAX(sl_clock_wall_s() - r->since_s, 0));
        sl_relay_rows_add(
            &rows,
            (const char *[]){number(id, r->session_id), r->user, host, NULL, "Binlog Dump", time,
                             r->is_waiting ? "Master has sent all binlog to slave; waiting for "
                                             "more updates"
                                           : "Sending binlog event to slave",
                             NULL, "0.000"});
    }
    sl_conn_peer_text(&rs->session->client, host, sizeof host);
    sl_relay_rows_add(&rows,
                      (const char *[]){number(id, rs->session->id),
                                       or_empty(rs->session->client_user), host, rs->session->db,
                                       "Query", "0", "starting", "SHOW PROCESSLIST", "0.000"});
    sl_relay_rows_end(&rows);
    sl_free(list);
}

/* ---- small ones ---- */

void sl_relay_show_warnings(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    static const struct sl_resultset_column columns[] = {
        {.name = "Level"}, {"Code", SL_TYPE_LONGLONG, 0, 0}, {.name = "Message"}};
    struct sl_relay_rows rows;
    sl_relay_rows_begin(&rows, rs, columns, SL_ARRAY_LEN(columns));
    const uint8_t *at = sl_buf_slice(&rs->warnings).data;
    for (unsigned i = 0; i < sl_relay_warning_count(rs); i++) {
        struct sl_relay_warning w;
        char code[NUMBER_TEXT];
        memcpy(&w, at + i * sizeof w, sizeof w);
        sl_relay_rows_add(
            &rows, (const char *[]){w.is_note ? "Note" : "Warning", number(code, w.code), w.text});
    }
    sl_relay_rows_end(&rows);
}

void sl_relay_show_databases(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    static const struct sl_resultset_column columns[] = {{.name = "Database"}};
    sl_relay_rows_none(rs, columns, SL_ARRAY_LEN(columns));
}

void sl_relay_show_tables(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    static const struct sl_resultset_column columns[] = {{.name = "Tables"},
                                                         {.name = "Table_type"}};
    sl_relay_rows_none(rs, columns, st->has_option ? 2 : 1);
}
