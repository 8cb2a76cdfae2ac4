/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource `services`. Statistics are sums of the workers' relaxed counters; accounts are looked at
 * through a reference of our own. Connection's thread.
 */
#include <string.h>

#include "admin/jsonapi.h"
#include "admin/params.h"
#include "admin/relay.h"
#include "admin/resources.h"
#include "admin/tune.h"
#include "admin/text.h"
#include "base/assert.h"
#include "core/core.h"

#define PATH "services"

static const char *const hidden[] = {"servers", "targets", "cluster", "filters", NULL};

/* ---- attributes ---- */

static json_t *statistics_json(const struct sl_service *s)
{
    uint64_t closed = SL_SERVICE_SUM(s, closed_sessions);
    uint64_t lifetime = SL_SERVICE_SUM(s, closed_lifetime_s);
    uint64_t history = 0;
    uint64_t operations = 0;
    for (unsigned i = 0; i < s->worker_count; i++) {
        uint64_t max =
            atomic_load_explicit(&s->counters[i].history_length_max, memory_order_relaxed);
        history = SL_MAX(history, max);
    }
    for (unsigned i = 0; i < s->server_count; i++) {
        operations += sl_server_operations(s->servers[i]);
    }
    json_t *o = json_object();
    json_object_set_new(o, "connections", json_integer(sl_service_connections(s)));
    json_object_set_new(o, "total_connections",
                        json_integer((json_int_t)SL_SERVICE_SUM(s, total_connections)));
    json_object_set_new(
        o, "max_connections",
        json_integer(atomic_load_explicit(&s->connection_peak, memory_order_relaxed)));
    json_object_set_new(o, "active_operations", json_integer((json_int_t)operations));
    json_object_set_new(o, "routed_packets",
                        json_integer((json_int_t)SL_SERVICE_SUM(s, routed_packets)));
    json_object_set_new(o, "failed_auths",
                        json_integer((json_int_t)SL_SERVICE_SUM(s, failed_auths)));
    json_object_set_new(o, "max_sescmd_history_length", json_integer((json_int_t)history));
    json_object_set_new(o, "avg_sescmd_history_length", json_real(0));
    json_object_set_new(o, "max_session_lifetime", json_integer(0));
    json_object_set_new(o, "avg_session_lifetime",
                        json_real(closed > 0 ? (double)lifetime / (double)closed : 0));
    return o;
}

static json_t *account_json(const struct sl_account *a)
{
    json_t *o = json_object();
    json_object_set_new(o, "user", sl_text_json(a->user));
    json_object_set_new(o, "host", sl_text_json(a->host));
    json_object_set_new(o, "plugin",
                        sl_text_json(a->auth_count > 0 && a->auth[0].plugin_name != NULL
                                         ? a->auth[0].plugin_name
                                         : ""));
    json_object_set_new(o, "ssl", json_boolean(a->requires_tls));
    json_object_set_new(o, "super_priv", json_boolean(a->is_super));
    json_object_set_new(o, "global_priv", json_boolean(a->has_global_db_access));
    json_object_set_new(o, "proxy_priv", json_boolean(a->has_proxy_grant));
    json_object_set_new(o, "default_role",
                        sl_text_json(a->default_role != NULL ? a->default_role : ""));
    return o;
}

static json_t *users_json(const struct sl_service *s)
{
    json_t *list = json_array();
    struct sl_accounts *accounts = s->accounts != NULL ? sl_account_manager_get(s->accounts) : NULL;
    if (accounts == NULL) {
        return list;
    }
    for (unsigned i = 0; i < sl_accounts_count(accounts); i++) {
        bool is_role;
        const struct sl_account *a = sl_accounts_at(accounts, i, &is_role);
        if (!is_role) {
            json_array_append_new(list, account_json(a));
        }
    }
    sl_accounts_unref(accounts);
    return list;
}

static json_t *parameters_json(const struct sl_service *s)
{
    json_t *o = json_pack("{s:s}", "type", "service");
    sl_params_add(o, &sl_settings_service, &s->settings, hidden);
    sl_tune_show_service(o, s);
    return o;
}

static json_t *listeners_json(const struct sl_admin_request *rq, const struct sl_service *s)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < rq->core->listener_count; i++) {
        if (rq->core->listeners[i]->service == s) {
            json_array_append_new(list, sl_admin_listener_json(rq, rq->core->listeners[i]));
        }
    }
    return list;
}

/* Started while a listener takes clients, as MaxScale has it. */
static const char *state_of(const struct sl_admin_request *rq, const struct sl_service *s)
{
    bool has_listener = false;
    for (unsigned i = 0; i < rq->core->listener_count; i++) {
        const struct sl_listener *l = rq->core->listeners[i];
        if (l->service == s) {
            has_listener = true;
            if (atomic_load(&l->is_listening)) {
                return "Started";
            }
        }
    }
    return has_listener ? "Stopped" : "Started";
}

static json_t *attributes_json(const struct sl_admin_request *rq, struct sl_service *s)
{
    json_t *o = json_object();
    json_t *statistics = statistics_json(s);
    json_object_set_new(o, "router", json_string(s->router->name));
    json_object_set_new(o, "state", json_string(state_of(rq, s)));
    json_object_set_new(o, "started", sl_jsonapi_date(s->started_s));
    json_object_set(o, "connections", json_object_get(statistics, "connections"));
    json_object_set(o, "total_connections", json_object_get(statistics, "total_connections"));
    json_object_set_new(o, "statistics", statistics);
    json_object_set_new(o, "listeners", listeners_json(rq, s));
    json_object_set_new(o, "users", users_json(s));
    json_object_set_new(
        o, "users_last_update",
        sl_jsonapi_date(s->accounts != NULL ? sl_account_manager_last_load_s(s->accounts) : 0));
    json_object_set_new(o, "source", sl_jsonapi_source(s->source_file, false));
    json_object_set_new(o, "router_diagnostics", sl_admin_diagnostics(s));
    json_object_set_new(o, "parameters", parameters_json(s));
    return o;
}

/* ---- relationships ---- */

static json_t *relationships_json(const struct sl_admin_request *rq, const struct sl_service *s)
{
    json_t *o = json_object();
    json_t *servers = json_array();
    json_t *services = json_array();
    for (unsigned i = 0; i < s->server_count; i++) {
        const char *type = s->servers[i]->service != NULL ? "services" : "servers";
        json_array_append_new(s->servers[i]->service != NULL ? services : servers,
                              sl_jsonapi_reference(s->servers[i]->name, type));
    }
    sl_jsonapi_relate(rq, o, PATH, s->name, "servers", servers);
    sl_jsonapi_relate(rq, o, PATH, s->name, "services", services);
    json_t *monitors = json_array();
    if (s->cluster != NULL) {
        json_array_append_new(monitors, sl_jsonapi_reference(s->cluster, "monitors"));
    }
    sl_jsonapi_relate(rq, o, PATH, s->name, "monitors", monitors);
    sl_jsonapi_relate(rq, o, PATH, s->name, "filters", sl_admin_filter_references(s));
    json_t *listeners = json_array();
    for (unsigned i = 0; i < rq->core->listener_count; i++) {
        if (rq->core->listeners[i]->service == s) {
            json_array_append_new(listeners,
                                  sl_jsonapi_reference(rq->core->listeners[i]->name, "listeners"));
        }
    }
    sl_jsonapi_relate(rq, o, PATH, s->name, "listeners", listeners);
    return o;
}

static json_t *resource(const struct sl_admin_request *rq, struct sl_service *s)
{
    return sl_jsonapi_resource(rq, PATH, "services", s->name, attributes_json(rq, s),
                               relationships_json(rq, s));
}

/* ---- GET ---- */

static struct sl_service *find(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_service *s = sl_core_service(rq->core, rq->args[0]);
    if (s == NULL) {
        sl_admin_fail_unknown(rs, rq->args[0], "service");
    }
    return s;
}

void sl_admin_services_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < rq->core->service_count; i++) {
        json_array_append_new(list, resource(rq, rq->core->services[i]));
    }
    sl_jsonapi_many(rq, rs, list);
}

void sl_admin_service_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_service *s = find(rq, rs);
    if (s != NULL) {
        sl_jsonapi_one(rq, rs, resource(rq, s));
    }
}

void sl_admin_service_relation_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    static const char *const names[] = {"servers", "services", "filters", "monitors", "listeners"};
    struct sl_service *s = find(rq, rs);
    if (s == NULL) {
        return;
    }
    for (unsigned i = 0; i < SL_ARRAY_LEN(names); i++) {
        if (strcmp(names[i], rq->args[1]) == 0) {
            sl_jsonapi_relationship(rq, rs, resource(rq, s), PATH, s->name, names[i]);
            return;
        }
    }
    sl_admin_fail_unknown(rs, rq->args[1], "relationship of services");
}

void sl_admin_service_listeners_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_service *s = find(rq, rs);
    if (s != NULL) {
        sl_jsonapi_many(rq, rs, listeners_json(rq, s));
    }
}

void sl_admin_service_listener_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_service *s = find(rq, rs);
    if (s == NULL) {
        return;
    }
    const struct sl_listener *l = sl_core_listener(rq->core, rq->args[1]);
    if (l == NULL || l->service != s) {
        sl_admin_fail(rs, 404, "%s is not a listener of service %s", rq->args[1], s->name);
        return;
    }
    sl_jsonapi_one(rq, rs, sl_admin_listener_json(rq, l));
}

/* ---- POST reload ---- */

static void reload_done(void *arg)
{
}

void sl_admin_service_reload(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_service *s = find(rq, rs);
    if (s == NULL) {
        return;
    }
    if (s->accounts == NULL) {
        sl_admin_fail(rs, 400, "service %s (router %s) has no user accounts to reload", s->name,
                      s->router->name);
        return;
    }
    if (!sl_account_manager_reload(s->accounts, true, reload_done, NULL)) {
        sl_admin_fail(rs, 503, "too many reloads of service %s wait already", s->name);
        return;
    }
    rs->status = 204;
}
