/* SPDX-License-Identifier: Apache-2.0 */
/* Resource `monitors`, and waiting for a full tick of all of them. Connection's thread. */
#include <string.h>

#include "admin/diag_json.h"
#include "admin/jsonapi.h"
#include "admin/params.h"
#include "admin/resources.h"
#include "base/clock.h"
#include "core/core.h"

#define PATH "monitors"
#define WAIT_MS 10000 /* of monitor_wait, all monitors together */

static json_t *parameters_json(const struct sl_monitor *m)
{
    static const char *const hidden[] = {"servers", NULL};
    const struct sl_module *module = sl_monitor_module(m);
    const void *module_settings = sl_monitor_module_settings(m);
    json_t *o = json_pack("{s:s}", "type", "monitor");
    sl_params_add(o, &sl_settings_monitor, sl_monitor_settings(m), hidden);
    if (module->settings != NULL && module_settings != NULL) {
        sl_params_add(o, module->settings, module_settings, NULL);
    }
    return o;
}

static json_t *attributes_json(struct sl_monitor *m)
{
    bool is_running = sl_monitor_is_running(m);
    json_t *o = json_object();
    json_object_set_new(o, "module", json_string(sl_monitor_module(m)->name));
    json_object_set_new(o, "state", json_string(is_running ? "Running" : "Stopped"));
    json_object_set_new(o, "ticks", json_integer((json_int_t)sl_monitor_ticks(m)));
    json_object_set_new(o, "source", sl_jsonapi_source(sl_monitor_source_file(m), false));
    json_object_set_new(o, "parameters", parameters_json(m));
    if (is_running) {
        struct sl_diag_json d;
        sl_diag_json_begin(&d);
        sl_monitor_diagnostics(m, &d.base);
        json_object_set_new(o, "monitor_diagnostics", sl_diag_json_end(&d));
    }
    return o;
}

static json_t *resource(const struct sl_admin_request *rq, struct sl_monitor *m)
{
    const char *name = sl_monitor_name(m);
    json_t *relations = json_object();
    json_t *servers = json_array();
    for (unsigned i = 0; i < sl_monitor_server_count(m); i++) {
        json_array_append_new(servers,
                              sl_jsonapi_reference(sl_monitor_server(m, i)->name, "servers"));
    }
    sl_jsonapi_relate(rq, relations, PATH, name, "servers", servers);
    json_t *services = json_array();
    for (unsigned i = 0; i < rq->core->service_count; i++) {
        const struct sl_service *s = rq->core->services[i];
        if (s->cluster != NULL && strcmp(s->cluster, name) == 0) {
            json_array_append_new(services, sl_jsonapi_reference(s->name, "services"));
        }
    }
    sl_jsonapi_relate(rq, relations, PATH, name, "services", services);
    return sl_jsonapi_resource(rq, PATH, "monitors", name, attributes_json(m), relations);
}

static struct sl_monitor *find(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_monitor *m = sl_core_monitor(rq->core, rq->args[0]);
    if (m == NULL) {
        sl_admin_fail_unknown(rs, rq->args[0], "monitor");
    }
    return m;
}

void sl_admin_monitors_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < rq->core->monitor_count; i++) {
        json_array_append_new(list, resource(rq, rq->core->monitors[i]));
    }
    sl_jsonapi_many(rq, rs, list);
}

void sl_admin_monitor_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_monitor *m = find(rq, rs);
    if (m != NULL) {
        sl_jsonapi_one(rq, rs, resource(rq, m));
    }
}

void sl_admin_monitor_relation_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_monitor *m = find(rq, rs);
    if (m == NULL) {
        return;
    }
    if (strcmp(rq->args[1], "servers") != 0 && strcmp(rq->args[1], "services") != 0) {
        sl_admin_fail_unknown(rs, rq->args[1], "relationship of monitors");
        return;
    }
    sl_jsonapi_relationship(rq, rs, resource(rq, m), PATH, sl_monitor_name(m), rq->args[1]);
}

void sl_admin_monitors_wait(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    uint64_t deadline = sl_clock_mono_ms() + WAIT_MS;
    rs->status = 200;
    for (unsigned i = 0; i < rq->core->monitor_count; i++) {
        sl_monitor_request_tick(rq->core->monitors[i]);
    }
    for (unsigned i = 0; i < rq->core->monitor_count; i++) {
        struct sl_monitor *m = rq->core->monitors[i];
        uint64_t now = sl_clock_mono_ms();
        if (!sl_monitor_is_running(m)) {
            continue;
        }
        if (now >= deadline || sl_monitor_wait_tick(m, (uint32_t)(deadline - now)) < 0) {
            sl_admin_fail(rs, 400, "monitor %s did not finish a tick within %d s",
                          sl_monitor_name(m), WAIT_MS / 1000);
        }
    }
}
