/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queries of galeramon, and what their answers mean.
 *
 * Two queries carry everything that decides (SHOW GLOBAL STATUS, SHOW GLOBAL VARIABLES); any
 * account that may log in can run them, also on a node outside the Primary component. The rest is
 * optional: a query that the account may not run is reported once and left out until the next
 * connection.
 * Names: Galera status variables and MariaDB system variables pages of the MariaDB documentation.
 *
 * Invariant: obs is complete before the probe ends; a probe that failed leaves only obs.answer.
 */
#include "monitor/galera/probe.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "dbc/dbc.h"

enum {
    NOBODY = -1
};

enum value_kind {
    KIND_INT,     /* int64_t; what does not fit (Galera prints "none" as 2^64-1) is -1 */
    KIND_SMALL,   /* int */
    KIND_ON,      /* bool: ON, YES or 1 */
    KIND_PRIMARY, /* bool: "Primary" */
    KIND_REJECT,  /* bool: anything but NONE */
    KIND_SST,     /* bool: a method that leaves the donor usable */
    KIND_TEXT     /* char[size] */
};

struct value_row {
    const char *name;
    enum value_kind kind;
    size_t offset; /* in struct sl_galera_node */
    size_t size;
};

#define AT(field) offsetof(struct sl_galera_node, field)
#define TEXT_AT(field)                                                                             \
    offsetof(struct sl_galera_node, field), sizeof(((struct sl_galera_node *)0)->field)

static const struct value_row status_rows[] = {
    {"wsrep_local_state", KIND_SMALL, AT(obs.local_state), 0},
    {"wsrep_local_state_comment", KIND_TEXT, TEXT_AT(obs.state_comment)},
    {"wsrep_local_index", KIND_INT, AT(obs.local_index), 0},
    {"wsrep_cluster_size", KIND_INT, AT(obs.cluster_size), 0},
    {"wsrep_cluster_conf_id", KIND_INT, AT(obs.conf_id), 0},
    {"wsrep_cluster_status", KIND_PRIMARY, AT(obs.is_primary), 0},
    {"wsrep_cluster_state_uuid", KIND_TEXT, TEXT_AT(obs.uuid)},
    {"wsrep_ready", KIND_ON, AT(obs.is_ready), 0},
    {"wsrep_connected", KIND_ON, AT(obs.is_connected), 0},
    {"wsrep_local_recv_queue", KIND_INT, AT(obs.recv_queue), 0},
    {"wsrep_flow_control_paused_ns", KIND_INT, AT(paused_ns), 0},
    {"wsrep_flow_control_sent", KIND_INT, AT(pauses_sent), 0},
    {"wsrep_incoming_addresses", KIND_TEXT, TEXT_AT(obs.members)},
    {"Uptime", KIND_INT, AT(info.uptime_s), 0},
};

static const struct value_row variable_rows[] = {
    {"wsrep_on", KIND_ON, AT(obs.has_wsrep), 0},
    {"wsrep_desync", KIND_ON, AT(obs.is_desynced), 0},
    {"wsrep_reject_queries", KIND_REJECT, AT(obs.rejects_queries), 0},
    {"wsrep_sst_donor_rejects_queries", KIND_ON, AT(obs.donor_rejects_queries), 0},
    {"wsrep_sst_method", KIND_SST, AT(obs.has_nonblocking_sst), 0},
    {"wsrep_sst_donor", KIND_TEXT, TEXT_AT(sst_donor)},
    {"wsrep_node_name", KIND_TEXT, TEXT_AT(obs.node_name)},
    {"server_id", KIND_INT, AT(obs.server_id), 0},
    {"read_only", KIND_ON, AT(obs.read_only), 0},
    {"gtid_current_pos", KIND_TEXT, TEXT_AT(info.gtid_current_pos)},
    {"gtid_binlog_pos", KIND_TEXT, TEXT_AT(info.gtid_binlog_pos)},
    {"version", KIND_TEXT, TEXT_AT(info.version)},
    {"max_connections", KIND_INT, AT(info.max_connections), 0},
    {"max_allowed_packet", KIND_INT, AT(info.max_allowed_packet), 0},
    {"character_set_client", KIND_TEXT, TEXT_AT(info.charset_client)},
    {"character_set_connection", KIND_TEXT, TEXT_AT(info.charset_connection)},
    {"character_set_results", KIND_TEXT, TEXT_AT(info.charset_results)},
    {"collation_server", KIND_TEXT, TEXT_AT(collation_wanted)},
    {"time_zone", KIND_TEXT, TEXT_AT(info.time_zone)},
    {"system_time_zone", KIND_TEXT, TEXT_AT(info.system_time_zone)},
    {"tx_isolation", KIND_TEXT, TEXT_AT(info.tx_isolation)},
    {"transaction_isolation", KIND_TEXT, TEXT_AT(info.tx_isolation)}, /* its name from 11.1 on */
};

enum optional_query {
    QUERY_REPLICATION,
    QUERY_COLLATION,
    QUERY_DONOR
};
static const char *const optional_purpose[] = {
    [QUERY_REPLICATION] = "SHOW ALL SLAVES STATUS (replication from outside is not shown)",
    [QUERY_COLLATION] = "SHOW COLLATION (greetings use the default collation)",
    [QUERY_DONOR] = "SET GLOBAL wsrep_sst_donor (set_donor_nodes has no effect)",
};

/* ---- values ---- */

static int64_t parse_int(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    return end == text || *end || errno || v > INT64_MAX || text[0] == '-' ? NOBODY : (int64_t)v;
}

static bool is_on(const char *text)
{
    return strcasecmp(text, "ON") == 0 || strcasecmp(text, "YES") == 0 || strcmp(text, "1") == 0;
}

static bool is_nonblocking_sst(const char *text)
{
    return strcasecmp(text, "mariabackup") == 0 || strcasecmp(text, "xtrabackup") == 0 ||
           strcasecmp(text, "xtrabackup-v2") == 0;
}

static void store(struct sl_galera_node *node, const struct value_row *row, const char *text)
{
    void *at = (char *)node + row->offset;
    switch (row->kind) {
    case KIND_INT:
        *(int64_t *)at = parse_int(text);
        break;
    case KIND_SMALL:
        *(int *)at = (int)SL_MIN(parse_int(text), INT32_MAX);
        break;
    case KIND_ON:
        *(bool *)at = is_on(text);
        break;
    case KIND_PRIMARY:
        *(bool *)at = strcasecmp(text, "Primary") == 0;
        break;
    case KIND_REJECT:
        *(bool *)at = strcasecmp(text, "NONE") != 0 && text[0];
        break;
    case KIND_SST:
        *(bool *)at = is_nonblocking_sst(text);
        break;
    case KIND_TEXT: {
        /* A member list that is cut would name the wrong members: none is better. Other texts
         * are for display. */
        bool is_list = row->offset == AT(obs.members) || row->offset == AT(sst_donor);
        snprintf((char *)at, row->size, "%s", is_list && strlen(text) >= row->size ? "" : text);
        break;
    }
    }
}

static const struct value_row *find_row(const struct value_row *rows, size_t count,
                                        const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

/* SHOW GLOBAL STATUS or VARIABLES of exactly the rows' names. */
static int show(struct sl_dbc *dbc, const char *what, const struct value_row *rows, size_t count,
                struct sl_galera_node *node, struct sl_err *err)
{
    char sql[2048];
    int len = snprintf(sql, sizeof(sql), "SHOW GLOBAL %s WHERE Variable_name IN (", what);
    for (size_t i = 0; i < count; i++) {
        len += snprintf(sql + len, sizeof(sql) - (size_t)len, "%s'%s'", i ? "," : "", rows[i].name);
        sl_assert((size_t)len < sizeof(sql) - 2);
    }
    sql[len++] = ')';
    sql[len] = '\0';
    struct sl_dbc_result *r = NULL;
    int rc = sl_dbc_query(dbc, sql, &r, err);
    while (rc == SL_OK && r && sl_dbc_next(r)) {
        const char *name = sl_dbc_value(r, 0);
        const char *value = sl_dbc_value(r, 1);
        const struct value_row *row = name && value ? find_row(rows, count, name) : NULL;
        if (row) {
            store(node, row, value);
        }
    }
    sl_dbc_result_free(r);
    return rc;
}

/* ---- optional queries ---- */

/* 0 with *ret (may be NULL), SL_ENOTSUP when the server refuses it, or the connection is lost
 * (other codes). */
static int ask(struct sl_dbc *dbc, struct sl_galera_node *node, enum optional_query which,
               const char *sql, struct sl_dbc_result **ret, struct sl_err *err)
{
    if (node->refused & (1U << which)) {
        return SL_ENOTSUP;
    }
    int rc = sl_dbc_query(dbc, sql, ret, err);
    if (rc != SL_EINVAL) {
        return rc;
    }
    node->refused |= 1U << which;
    if (!(atomic_fetch_or(node->noted, 1U << which) & (1U << which))) {
        sl_log_notice("The monitor user may not run %s: %s", optional_purpose[which], err->text);
    }
    return SL_ENOTSUP;
}

static int64_t column_int(const struct sl_dbc_result *r, const char *name)
{
    int column = sl_dbc_column_index(r, name);
    const char *text = column < 0 ? NULL : sl_dbc_value(r, (unsigned)column);
    return text ? parse_int(text) : NOBODY;
}

static int ask_replication(struct sl_dbc *dbc, struct sl_galera_node *node, struct sl_err *err)
{
    struct sl_dbc_result *r = NULL;
    int rc = ask(dbc, node, QUERY_REPLICATION, "SHOW ALL SLAVES STATUS", &r, err);
    while (rc == SL_OK && r && sl_dbc_next(r)) {
        int column = sl_dbc_column_index(r, "Slave_SQL_Running");
        const char *running = column < 0 ? NULL : sl_dbc_value(r, (unsigned)column);
        int64_t source = column_int(r, "Master_Server_Id");
        if (running && strcasecmp(running, "Yes") == 0 && source > 0) {
            node->obs.source_id = source;
            node->lag_s = column_int(r, "Seconds_Behind_Master");
            break;
        }
    }
    sl_dbc_result_free(r);
    return rc;
}

/* The id that greetings carry; asked again only when the name changes. */
static int ask_collation(struct sl_dbc *dbc, struct sl_galera_node *node, struct sl_err *err)
{
    const char *name = node->collation_wanted;
    if (!name[0] || strcmp(name, node->collation_server) == 0 || strpbrk(name, "'\\")) {
        return SL_OK;
    }
    char sql[160];
    snprintf(sql, sizeof(sql), "SHOW COLLATION WHERE Collation = '%s'", name);
    struct sl_dbc_result *r = NULL;
    int rc = ask(dbc, node, QUERY_COLLATION, sql, &r, err);
    if (rc == SL_OK) {
        int64_t id = r && sl_dbc_next(r) ? column_int(r, "Id") : 0;
        node->info.collation_id = SL_MAX(id, 0);
        memcpy(node->collation_server, name, sizeof(node->collation_server));
    }
    sl_dbc_result_free(r);
    return rc;
}

static int push_donors(struct sl_dbc *dbc, struct sl_galera_node *node, const char *list,
                       struct sl_err *err)
{
    if (!list || !list[0] || strcmp(list, node->sst_donor) == 0) {
        return SL_OK;
    }
    char sql[SL_GALERA_DONOR_LIST_MAX + 64];
    /* names that need quoting never get here */
    snprintf(sql, sizeof(sql), "SET GLOBAL wsrep_sst_donor = '%s'", list);
    int rc = ask(dbc, node, QUERY_DONOR, sql, NULL, err);
    if (rc == SL_OK) {
        sl_log_info("wsrep_sst_donor of this node is now '%s'", list);
    }
    return rc;
}

/* ---- a look ---- */

void sl_galera_node_init(struct sl_galera_node *node, _Atomic unsigned *noted)
{
    memset(node, 0, sizeof(*node));
    node->noted = noted;
    node->paused_ns = NOBODY;
    node->pauses_sent = NOBODY;
    node->lag_s = SL_SERVER_LAG_UNKNOWN;
    node->info.node_id = NOBODY;
    node->info.server_id = NOBODY;
    node->info.master_id = NOBODY;
    node->info.lag_s = SL_SERVER_LAG_UNKNOWN;
    node->info.recv_queue = NOBODY;
    node->info.flow_control_paused = NOBODY;
}

static void clear_observation(struct sl_galera_observation *o)
{
    memset(o, 0, sizeof(*o));
    o->answer = SL_GALERA_NO_ANSWER;
    o->local_state = NOBODY;
    o->local_index = NOBODY;
    o->cluster_size = NOBODY;
    o->conf_id = NOBODY;
    o->recv_queue = NOBODY;
    o->flow_control_pct = NOBODY;
    o->server_id = NOBODY;
    o->source_id = NOBODY;
}

/* paused_ns counts up since the server started (or FLUSH STATUS): the share is the growth over
 * the time between looks. */
static void note_flow_control(struct sl_galera_node *node, int64_t before_ns, uint64_t now_us)
{
    uint64_t passed_us = now_us - node->paused_at_us;
    if (before_ns >= 0 && node->paused_ns >= before_ns && node->paused_at_us && passed_us > 0) {
        double pct = (double)(node->paused_ns - before_ns) / (10.0 * (double)passed_us);
        node->obs.flow_control_pct = SL_MIN(pct, 100.0);
    }
    node->paused_at_us = now_us;
}

static void finish_info(struct sl_galera_node *node)
{
    const struct sl_galera_observation *o = &node->obs;
    struct sl_server_info *info = &node->info;
    info->node_id = o->local_index;
    info->server_id = o->server_id;
    info->master_id = o->source_id;
    info->read_only = o->read_only;
    info->is_galera = o->has_wsrep;
    info->recv_queue = o->has_wsrep ? o->recv_queue : NOBODY;
    info->flow_control_paused = o->flow_control_pct < 0 ? NOBODY : o->flow_control_pct / 100;
    if (!info->gtid_current_pos[0]) {
        memcpy(info->gtid_current_pos, info->gtid_binlog_pos, sizeof(info->gtid_current_pos));
    }
}

static int look(struct sl_dbc *dbc, struct sl_galera_node *node, const char *donor_list,
                struct sl_err *err)
{
    int64_t paused_before_ns = node->paused_ns;
    int64_t sent_before = node->pauses_sent;
    clear_observation(&node->obs);
    node->paused_ns = NOBODY;
    node->pauses_sent = NOBODY;
    node->lag_s = SL_SERVER_LAG_UNKNOWN;
    uint64_t start_us = sl_clock_mono_us();
    int rc = show(dbc, "STATUS", status_rows, SL_ARRAY_LEN(status_rows), node, err);
    uint64_t now_us = sl_clock_mono_us();
    node->info.ping_us = (int64_t)(now_us - start_us);
    if (rc == SL_OK) {
        note_flow_control(node, paused_before_ns, now_us);
        node->obs.sends_flow_control = sent_before >= 0 && node->pauses_sent > sent_before;
        rc = show(dbc, "VARIABLES", variable_rows, SL_ARRAY_LEN(variable_rows), node, err);
    }
    if (rc == SL_OK) {
        rc = ask_replication(dbc, node, err);
    }
    if (rc == SL_OK || rc == SL_ENOTSUP) {
        rc = ask_collation(dbc, node, err);
    }
    if (rc == SL_OK || rc == SL_ENOTSUP) {
        rc = push_donors(dbc, node, donor_list, err);
    }
    node->obs.has_wsrep = node->obs.has_wsrep && node->obs.local_state >= 0;
    return rc == SL_ENOTSUP ? SL_OK : rc;
}

static enum sl_galera_answer answer_of(int rc)
{
    return rc == SL_EAUTH      ? SL_GALERA_AUTH_FAILED
           : rc == SL_ETIMEOUT ? SL_GALERA_NO_ANSWER
                               : SL_GALERA_UNREACHABLE;
}

void sl_galera_probe(struct sl_monitor *m, unsigned server_index, struct sl_galera_node *node,
                     const char *donor_list)
{
    uint64_t start_ms = sl_clock_mono_ms();
    struct sl_err err = SL_ERR_INIT;
    int rc;
    bool is_old;
    do {
        struct sl_dbc *dbc = sl_monitor_dbc(m, server_index, &err);
        if (!dbc) {
            clear_observation(&node->obs);
            node->obs.answer = answer_of(err.rc);
            return;
        }
        is_old = node->connection_id == sl_dbc_thread_id(dbc);
        if (!is_old) {
            node->connection_id = sl_dbc_thread_id(dbc);
            node->refused = 0;
        }
        rc = look(dbc, node, donor_list, &err);
        if (rc < 0) {
            sl_monitor_dbc_broken(m, server_index);
            node->connection_id = 0;
        }
        /* Somebody may have killed just our connection: the server is lost only if a new one
         * fails, too. */
    } while (rc < 0 && rc != SL_ETIMEOUT && is_old && !sl_monitor_is_stopping(m));

    if (rc < 0) {
        clear_observation(&node->obs);
        node->obs.answer = answer_of(rc);
        return;
    }
    node->obs.answer = SL_GALERA_ANSWERED;
    node->obs.latency_ms = (uint32_t)SL_MIN(sl_clock_mono_ms() - start_ms, (uint64_t)UINT32_MAX);
    finish_info(node);
}
