/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource `servers`: what is known of each database server, and the states an operator may set.
 *
 * Statistics are sums of the workers' relaxed counters; what a monitor learnt is copied under the
 * server's lock. Connection's thread.
 */
#include <stdio.h>
#include <string.h>

#include "admin/hangup.h"
#include "admin/jsonapi.h"
#include "admin/params.h"
#include "admin/resources.h"
#include "base/assert.h"
#include "core/core.h"

#define KIND "server"
#define PATH "servers"

/* ---- statistics ---- */

#define SUM(s, field) ((json_int_t)sl_server_sum((s), offsetof(struct sl_server_counters, field)))

/* Buckets are powers of ten of seconds, from one microsecond on. */
static json_t *distribution_json(const struct sl_server *s, size_t offset, const char *operation)
{
    static const char *const bounds[SL_HISTOGRAM_BUCKETS] = {
        "0.000001", "0.000010",  "0.000100",   "0.001000",    "0.010000",     "0.100000",
        "1.000000", "10.000000", "100.000000", "1000.000000", "10000.000000", "100000.000000"};
    json_t *rows = json_array();
    for (unsigned b = 0; b < SL_HISTOGRAM_BUCKETS; b++) {
        uint64_t count =
            sl_server_sum(s, offset + offsetof(struct sl_histogram, count) + b * sizeof(uint64_t));
        uint64_t us = sl_server_sum(s, offset + offsetof(struct sl_histogram, total_us) +
                                           b * sizeof(uint64_t));
        json_array_append_new(rows, json_pack("{s:s, s:f, s:I}", "time", bounds[b], "total",
                                              (double)us / 1e6, "count", (json_int_t)count));
    }
    return json_pack("{s:s, s:i, s:o}", "operation", operation, "range_base", 10, "distribution",
                     rows);
}

static json_t *average_json(const struct sl_server *s)
{
    uint64_t ns = atomic_load_explicit(&s->average_ns, memory_order_relaxed);
    static const struct {
        uint64_t limit;
        const char *unit;
    } units[] = {{UINT64_C(1000000000), "s"}, {1000000, "ms"}, {1000, "us"}};
    for (unsigned i = 0; i < SL_ARRAY_LEN(units); i++) {
        if (ns >= units[i].limit) {
            return json_sprintf("%.3g%s", (double)ns / (double)units[i].limit, units[i].unit);
        }
    }
    return json_sprintf("%lluns", (unsigned long long)ns);
}

static json_t *statistics_json(const struct sl_server *s)
{
    json_t *o = json_object();
    json_object_set_new(o, "connections", json_integer(sl_server_connections(s)));
    json_object_set_new(o, "total_connections", json_integer(SUM(s, total_connections)));
    json_object_set_new(
        o, "max_connections",
        json_integer(atomic_load_explicit(&s->max_connections_seen, memory_order_relaxed)));
    json_object_set_new(o, "active_operations", json_integer(sl_server_operations(s)));
    json_object_set_new(o, "routed_packets", json_integer(SUM(s, routed_packets)));
    json_object_set_new(o, "failed_auths", json_integer(SUM(s, failed_auths)));
    static const char *const none[] = {"persistent_connections", "max_pool_size",
                                       "reused_connections", "connection_pool_empty"};
    for (unsigned i = 0; i < SL_ARRAY_LEN(none); i++) {
        json_object_set_new(o, none[i], json_integer(0)); /* there is no pool of free connections */
    }
    json_object_set_new(o, "adaptive_avg_select_time", average_json(s));
    json_t *d = json_object();
    json_object_set_new(
        d, "read", distribution_json(s, offsetof(struct sl_server_counters, read_time), "read"));
    json_object_set_new(
        d, "write", distribution_json(s, offsetof(struct sl_server_counters, write_time), "write"));
    json_object_set_new(o, "response_time_distribution", d);
    return o;
}

/* ---- attributes ---- */

static json_t *parameters_json(const struct sl_server *s)
{
    static const char *const hidden[] = {"protocol", "authenticator", NULL};
    json_t *o = json_object();
    sl_params_add(o, &sl_settings_server, &s->settings, hidden);
    if (s->settings.socket != NULL) {
        json_object_set_new(o, "address", json_null());
        json_object_set_new(o, "port", json_null());
    }
    return o;
}

/* What only a monitor knows. */
static void add_monitored(json_t *o, const struct sl_server_info *info)
{
    json_object_set_new(o, "node_id", json_integer(info->node_id));
    json_object_set_new(o, "master_id", json_integer(info->master_id));
    json_object_set_new(o, "server_id", json_integer(info->server_id));
    json_object_set_new(o, "read_only", json_boolean(info->read_only));
    json_object_set_new(o, "last_event", json_string(info->last_event));
    json_object_set_new(o, "triggered_at",
                        info->triggered_at_s != 0 ? sl_jsonapi_date(info->triggered_at_s)
                                                  : json_string(""));
    json_object_set_new(o, "gtid_current_pos", sl_jsonapi_text(info->gtid_current_pos));
    json_object_set_new(o, "gtid_binlog_pos", sl_jsonapi_text(info->gtid_binlog_pos));
    json_object_set_new(o, "lock_held", json_null());
    json_object_set_new(o, "master_group", json_null());
    json_object_set_new(o, "slave_connections", json_array());
    if (info->is_galera) {
        json_object_set_new(o, "wsrep_recv_queue", json_integer(info->recv_queue));
        json_object_set_new(o, "wsrep_flow_control_paused", json_real(info->flow_control_paused));
    }
}

static json_t *attributes_json(const struct sl_admin_request *rq, struct sl_server *s)
{
    struct sl_server_info info;
    char state[256];
    sl_server_info_get(s, &info);
    sl_status_text(sl_server_status(s), sl_server_connections(s), state, sizeof state);
    json_t *o = json_object();
    json_object_set_new(o, "name", json_string(s->name));
    json_object_set_new(o, "state", json_string(state));
    json_object_set_new(o, "state_details", sl_jsonapi_text(info.state_details));
    json_object_set_new(o, "version_string", sl_jsonapi_text(info.version));
    json_object_set_new(o, "replication_lag", json_integer(info.lag_s));
    json_object_set_new(o, "uptime", json_integer(info.uptime_s));
    if (sl_core_monitor_of(rq->core, s) != NULL) {
        add_monitored(o, &info);
    }
    json_object_set_new(o, "source", sl_jsonapi_source(s->source_file, false));
    json_object_set_new(o, "parameters", parameters_json(s));
    json_object_set_new(o, "statistics", statistics_json(s));
    return o;
}

static bool uses(const struct sl_service *service, const struct sl_server *s)
{
    for (unsigned i = 0; i < service->server_count; i++) {
        if (service->servers[i] == s) {
            return true;
        }
    }
    return false;
}

static json_t *resource(const struct sl_admin_request *rq, struct sl_server *s)
{
    json_t *relations = json_object();
    json_t *services = json_array();
    for (unsigned i = 0; i < rq->core->service_count; i++) {
        if (uses(rq->core->services[i], s)) {
            json_array_append_new(services,
                                  sl_jsonapi_reference(rq->core->services[i]->name, "services"));
        }
    }
    sl_jsonapi_relate(rq, relations, PATH, s->name, "services", services);
    json_t *monitors = json_array();
    const struct sl_monitor *m = sl_core_monitor_of(rq->core, s);
    if (m != NULL) {
        json_array_append_new(monitors, sl_jsonapi_reference(sl_monitor_name(m), "monitors"));
    }
    sl_jsonapi_relate(rq, relations, PATH, s->name, "monitors", monitors);
    return sl_jsonapi_resource(rq, PATH, "servers", s->name, attributes_json(rq, s), relations);
}

/* ---- GET ---- */

/* The server named by the first placeholder; NULL after a 404. */
static struct sl_server *find(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_server *s = sl_core_server(rq->core, rq->args[0]);
    if (s == NULL) {
        sl_admin_fail_unknown(rs, rq->args[0], KIND);
    }
    return s;
}

void sl_admin_servers_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < rq->core->server_count; i++) {
        json_array_append_new(list, resource(rq, rq->core->servers[i]));
    }
    sl_jsonapi_many(rq, rs, list);
}

void sl_admin_server_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_server *s = find(rq, rs);
    if (s != NULL) {
        sl_jsonapi_one(rq, rs, resource(rq, s));
    }
}

void sl_admin_server_relation_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_server *s = find(rq, rs);
    if (s == NULL) {
        return;
    }
    if (strcmp(rq->args[1], "services") != 0 && strcmp(rq->args[1], "monitors") != 0) {
        sl_admin_fail_unknown(rs, rq->args[1], "relationship of servers");
        return;
    }
    sl_jsonapi_relationship(rq, rs, resource(rq, s), PATH, s->name, rq->args[1]);
}

/* ---- PUT set, clear ---- */

static const struct {
    const char *word;
    uint32_t bit;
} states[] = {
    {"maintenance", SL_SERVER_MAINT}, {"maint", SL_SERVER_MAINT},
    {"drain", SL_SERVER_DRAINING},    {"master", SL_SERVER_MASTER},
    {"slave", SL_SERVER_SLAVE},       {"running", SL_SERVER_RUNNING},
    {"synced", SL_SERVER_JOINED},     {"binlogrouter", SL_SERVER_BLR},
    {"blr", SL_SERVER_BLR},
};

/* The bit of ?state=; 0 after a 400. */
static uint32_t wanted_state(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    const char *word = sl_admin_param(rq, "state");
    if (word == NULL) {
        sl_admin_fail(rs, 400, "the parameter 'state' is missing: it names the state to change");
        return 0;
    }
    for (unsigned i = 0; i < SL_ARRAY_LEN(states); i++) {
        if (strcmp(states[i].word, word) == 0) {
            return states[i].bit;
        }
    }
    sl_admin_fail(
        rs, 400,
        "'%s' is not a server state; known are maintenance, drain, master, slave, running, "
        "synced and binlogrouter",
        word);
    return 0;
}

static bool change(struct sl_admin_request *rq, struct sl_admin_response *rs, struct sl_server *s,
                   uint32_t set, uint32_t clear)
{
    struct sl_monitor *m = sl_core_monitor_of(rq->core, s);
    struct sl_err err = SL_ERR_INIT;
    if (m == NULL) {
        sl_server_status_change(s, set, clear);
    } else if (sl_monitor_admin_set(m, s, set, clear, &err) < 0) {
        sl_admin_fail(rs, 400, "%s", err.text);
        return false;
    }
    sl_core_topology_changed(rq->core);
    rs->status = 204;
    return true;
}

void sl_admin_server_set(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_server *s = find(rq, rs);
    uint32_t bit = s != NULL ? wanted_state(rq, rs) : 0;
    if (bit != 0 && change(rq, rs, s, bit, 0) && bit == SL_SERVER_MAINT &&
        sl_admin_param_bool(rq, "force", false)) {
        sl_admin_hangup(rq->core, s);
    }
}

void sl_admin_server_clear(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_server *s = find(rq, rs);
    uint32_t bit = s != NULL ? wanted_state(rq, rs) : 0;
    if (bit != 0) {
        change(rq, rs, s, 0, bit);
    }
}
