/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replicas of services that serve some (router binlogrouter): GET /replicas and
 * /services/:name/replicas, and their part of /metrics. Connection's thread.
 *
 * The numbers come from the router's diagnostics: a row of the tables says where in there.
 */
#include "admin/relay.h"

#include <stdio.h>
#include <string.h>

#include "admin/diag_json.h"
#include "admin/jsonapi.h"
#include "admin/resources.h"
#include "base/assert.h"
#include "core/core.h"

#define PATH "replicas"
#define ID_MAX 256

json_t *sl_admin_diagnostics(const struct sl_service *s)
{
    struct sl_diag_json d;
    sl_diag_json_begin(&d);
    if (s->ops->diagnostics != NULL) {
        s->ops->diagnostics(s, &d.base);
    }
    return sl_diag_json_end(&d);
}

/* ---- GET replicas ---- */

static json_int_t server_id_of(const json_t *replica)
{
    return json_integer_value(json_object_get(replica, "server_id"));
}

/* Several may have the same server id: programs that read the log have 0, and one that has just come
 * again stands beside what is remembered of it. The newest of them, the last in the list, counts. */
static bool is_newest(const json_t *list, size_t i)
{
    return i + 1 == json_array_size(list) ||
           server_id_of(json_array_get(list, i + 1)) != server_id_of(json_array_get(list, i));
}

/* Unique: the newest with a server id is named by it alone, the others by their connection, too. */
static void make_id(char *out, size_t size, const struct sl_service *s, const json_t *list,
                    size_t i)
{
    const json_t *replica = json_array_get(list, i);
    const json_t *session = json_object_get(replica, "session_id");
    int n = snprintf(out, size, "%s-%lld", s->name, (long long)server_id_of(replica));
    if (n < 0 || (size_t)n >= size || is_newest(list, i)) {
        return;
    }
    if (json_is_integer(session)) {
        snprintf(out + n, size - (size_t)n, "-%lld", (long long)json_integer_value(session));
    } else {
        snprintf(out + n, size - (size_t)n, "-gone"); /* one of an id at most is remembered */
    }
}

/* One resource: of the service, what the router says as attributes. */
static json_t *replica_json(const struct sl_admin_request *rq, const struct sl_service *s,
                            const char *id, json_t *attributes)
{
    json_t *relationships = json_object();
    json_t *services = json_array();
    json_array_append_new(services, sl_jsonapi_reference(s->name, "services"));
    sl_jsonapi_relate(rq, relationships, PATH, id, "services", services);
    static const char *const times[] = {"since", "last_seen"};
    for (unsigned i = 0; i < SL_ARRAY_LEN(times); i++) {
        json_t *seconds = json_object_get(attributes, times[i]);
        json_object_set_new(attributes, times[i], sl_jsonapi_date(json_integer_value(seconds)));
    }
    return sl_jsonapi_resource(rq, PATH, PATH, id, attributes, relationships);
}

static void add_replicas(const struct sl_admin_request *rq, const struct sl_service *s, json_t *out)
{
    struct sl_diag_json d;
    sl_diag_json_begin(&d);
    sl_diag_array_begin(&d.base, PATH);
    s->ops->replicas(s, &d.base);
    sl_diag_end(&d.base);
    json_t *all = sl_diag_json_end(&d);
    size_t i;
    json_t *one;
    const json_t *list = json_object_get(all, PATH);
    json_array_foreach (list, i, one) {
        char id[ID_MAX];
        make_id(id, sizeof id, s, list, i);
        json_array_append_new(out, replica_json(rq, s, id, json_incref(one)));
    }
    json_decref(all);
}

/* Of all services. */
static json_t *list_replicas(const struct sl_admin_request *rq)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < rq->core->service_count; i++) {
        if (rq->core->services[i]->ops->replicas != NULL) {
            add_replicas(rq, rq->core->services[i], list);
        }
    }
    return list;
}

void sl_admin_replicas_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    sl_jsonapi_many(rq, rs, list_replicas(rq));
}

void sl_admin_replica_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    json_t *list = list_replicas(rq), *one, *found = NULL;
    size_t i;
    json_array_foreach (list, i, one) {
        if (strcmp(json_string_value(json_object_get(one, "id")), rq->args[0]) == 0) {
            found = json_incref(one);
            break;
        }
    }
    json_decref(list);
    if (found == NULL) {
        sl_admin_fail_unknown(rs, rq->args[0], "replica");
        return;
    }
    sl_jsonapi_one(rq, rs, found);
}

void sl_admin_service_replicas_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    const struct sl_service *s = sl_core_service(rq->core, rq->args[0]);
    if (s == NULL) {
        sl_admin_fail_unknown(rs, rq->args[0], "service");
        return;
    }
    if (s->ops->replicas == NULL) {
        sl_admin_fail(rs, 404, "service %s (router %s) has no replicas", s->name, s->router->name);
        return;
    }
    json_t *list = json_array();
    add_replicas(rq, s, list);
    sl_jsonapi_many(rq, rs, list);
}

/* ---- metrics ---- */

struct metric {
    const char *name;
    const char *type;
    const char *help;
    const char *object; /* in the diagnostics; NULL: of a replica */
    const char *field;
    double scale;
};

static const struct metric metrics[] = {
    {"relay_streaming", "gauge", "1 while events come from the primary.", "upstream", "state", 1},
    {"relay_seconds_behind_master", "gauge", "Age of the last event from the primary.", "upstream",
     "seconds_behind_master", 1},
    {"relay_bytes_in_total", "counter", "Bytes received from the primary.", "upstream", "bytes_in",
     1},
    {"relay_events_in_total", "counter", "Events received from the primary.", "upstream",
     "events_in", 1},
    {"relay_groups_in_total", "counter", "Transactions received from the primary.", "upstream",
     "groups_in", 1},
    {"relay_groups_dropped_total", "counter", "Transactions that were there already.", "upstream",
     "groups_dropped", 1},
    {"relay_gtid_domain_new_total", "counter", "GTID domains that appeared unexpectedly.",
     "upstream", "gtid_domain_new", 1},
    {"relay_acks_sent_total", "counter", "Semi-synchronous acknowledgements to the primary.",
     "upstream", "acks_sent", 1},
    {"relay_connects_total", "counter", "Connections to primaries.", "upstream", "connects", 1},
    {"relay_heartbeats_total", "counter", "Heartbeats of the primary.", "upstream", "heartbeats",
     1},
    {"relay_disk_full", "gauge", "1 while there is no room for events.", "store", "disk_full", 1},
    {"relay_files", "gauge", "Binlog files.", "store", "files", 1},
    {"relay_disk_bytes", "gauge", "Bytes of the binlog files on disk.", "store", "disk_bytes", 1},
    {"relay_index_bytes", "gauge", "Bytes of the GTID indexes on disk.", "store", "index_bytes", 1},
    {"relay_stored_bytes_total", "counter", "Bytes written into binlog files.", "store", "bytes",
     1},
    {"relay_syncs_total", "counter", "Times that files were made durable.", "store", "syncs", 1},
    {"relay_sync_seconds_total", "counter", "Time that this took.", "store", "sync_us_total", 1e-6},
    {"relay_sync_seconds_max", "gauge", "Longest time that this took.", "store", "sync_us_max",
     1e-6},
    {"relay_files_purged_total", "counter", "Binlog files deleted.", "store", "purged", 1},
    {"relay_files_archived_total", "counter", "Binlog files archived.", "store", "archived", 1},
    {"relay_files_compressed_total", "counter", "Binlog files compressed.", "store", "compressed",
     1},
    {"relay_dumps", "gauge", "Replicas that are connected.", "downstream", "dumps", 1},
    {"relay_bytes_out_total", "counter", "Bytes sent to replicas.", "downstream", "bytes_out", 1},
    {"relay_events_out_total", "counter", "Events sent to replicas.", "downstream", "events_out",
     1},
    {"relay_replica_connected", "gauge", "1 while the replica is connected.", NULL, "session_id",
     1},
    {"relay_replica_offset_bytes", "gauge", "Offset in its binlog file that the replica got.", NULL,
     "offset", 1},
    {"relay_replica_behind_bytes", "gauge", "Bytes that the replica has not got yet.", NULL,
     "bytes_behind", 1},
    {"relay_replica_acked_groups_total", "counter", "Transactions that the replica acknowledged.",
     NULL, "acked_groups", 1},
};

/* A number, or what stands for one: truth, the state of the upstream, the presence of an id. False:
 * there is none now. */
static bool value_of(const struct metric *m, const json_t *object, double *ret)
{
    const json_t *v = json_object_get(object, m->field);
    if (strcmp(m->field, "session_id") == 0) {
        *ret = json_is_integer(v);
    } else if (json_is_string(v)) {
        *ret = strcmp(json_string_value(v), "streaming") == 0;
    } else if (json_is_boolean(v)) {
        *ret = json_is_true(v);
    } else {
        *ret = json_number_value(v) * m->scale;
    }
    return v != NULL && (!json_is_null(v) || strcmp(m->field, "session_id") == 0);
}

/* No two samples may have the same labels: of several with the same server id the newest is shown. */
static void put_replicas(struct sl_buf *out, const struct metric *m, const char *service,
                         const json_t *diagnostics)
{
    size_t i;
    json_t *replica;
    const json_t *list = json_object_get(diagnostics, PATH);
    json_array_foreach (list, i, replica) {
        double value;
        json_int_t id = server_id_of(replica);
        if (is_newest(list, i) && value_of(m, replica, &value)) {
            sl_buf_printf(out, "sealane_%s{service=\"%s\",server_id=\"%lld\"} %.17g\n", m->name,
                          service, (long long)id, value);
        }
    }
}

void sl_admin_relay_metrics(struct sl_buf *out, const struct sl_core *core)
{
    json_t *all = json_array(); /* per service; null without replicas */
    bool has_any = false;
    for (unsigned i = 0; i < core->service_count; i++) {
        bool is_relay = core->services[i]->ops->replicas != NULL;
        json_array_append_new(all,
                              is_relay ? sl_admin_diagnostics(core->services[i]) : json_null());
        has_any |= is_relay;
    }
    for (size_t r = 0; r < SL_ARRAY_LEN(metrics) && has_any; r++) {
        const struct metric *m = &metrics[r];
        sl_buf_printf(out, "# HELP sealane_%s %s\n# TYPE sealane_%s %s\n", m->name, m->help,
                      m->name, m->type);
        for (unsigned i = 0; i < core->service_count; i++) {
            const char *name = core->services[i]->name;
            const json_t *diagnostics = json_array_get(all, i);
            double value;
            if (m->object == NULL) {
                put_replicas(out, m, name, diagnostics);
            } else if (value_of(m, json_object_get(diagnostics, m->object), &value)) {
                sl_buf_printf(out, "sealane_%s{service=\"%s\"} %.17g\n", m->name, name, value);
            }
        }
    }
    json_decref(all);
}
