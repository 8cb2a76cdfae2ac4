/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource `modules`: the descriptors of the program's modules with their settings rows, and three
 * that are not modules but whose settings clients read the same way: `maxscale`, `servers` and
 * `mariadbprotocol` (listeners). Constant data. Connection's thread.
 */
#include <string.h>

#include "admin/jsonapi.h"
#include "admin/params.h"
#include "admin/resources.h"
#include "base/assert.h"
#include "core/core.h"

#define PATH "maxscale/modules"

/* Settings that are relationships in REST. */
static const char *const hidden[] = {"servers", "targets", "cluster", "filters", NULL};

static const struct {
    const char *name;
    const char *type;
    const char *description;
    const struct sl_settings *table;
} pseudo[] = {
    {"maxscale", "maxscale", "Global settings", &sl_settings_global},
    {"servers", "servers", "Settings of servers", &sl_settings_server},
    {"mariadbprotocol", "Protocol", "Settings of listeners", &sl_settings_listener},
};

static const struct {
    const char *type;
    const struct sl_settings *common;
} kinds[] = {
    [SL_MODULE_ROUTER] = {"Router", &sl_settings_service},
    [SL_MODULE_MONITOR] = {"Monitor", &sl_settings_monitor},
    [SL_MODULE_FILTER] = {"Filter", &sl_settings_filter},
    [SL_MODULE_AUTH] = {"Authenticator", NULL},
};

static const char *const apis[] = {[SL_MODULE_ROUTER] = "router",
                                   [SL_MODULE_MONITOR] = "monitor",
                                   [SL_MODULE_FILTER] = "filter",
                                   [SL_MODULE_AUTH] = "authenticator"};

static json_t *module_json(const struct sl_admin_request *rq, const struct sl_module *m)
{
    json_t *parameters = json_array();
    if (kinds[m->kind].common != NULL) {
        sl_params_describe(parameters, kinds[m->kind].common, hidden);
    }
    if (m->settings != NULL) {
        sl_params_describe(parameters, m->settings, NULL);
    }
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:[]}", "module_type", kinds[m->kind].type, "api",
                  apis[m->kind], "version", m->version, "maturity", m->maturity, "description",
                  m->description, "parameters", parameters, "commands");
    return sl_jsonapi_resource(rq, PATH, "modules", m->name, o, NULL);
}

static json_t *pseudo_json(const struct sl_admin_request *rq, unsigned i)
{
    json_t *parameters = json_array();
    sl_params_describe(parameters, pseudo[i].table, NULL);
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:o, s:[]}", "module_type", pseudo[i].type,
                          "version", SL_VERSION, "maturity", "GA", "description",
                          pseudo[i].description, "parameters", parameters, "commands");
    return sl_jsonapi_resource(rq, PATH, "modules", pseudo[i].name, o, NULL);
}

void sl_admin_modules_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < SL_ARRAY_LEN(pseudo); i++) {
        json_array_append_new(list, pseudo_json(rq, i));
    }
    for (const struct sl_module *const *m = rq->core->modules; m != NULL && *m != NULL; m++) {
        json_array_append_new(list, module_json(rq, *m));
    }
    sl_jsonapi_many(rq, rs, list);
}

void sl_admin_module_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    const char *name = rq->args[0];
    for (unsigned i = 0; i < SL_ARRAY_LEN(pseudo); i++) {
        if (strcmp(pseudo[i].name, name) == 0) {
            sl_jsonapi_one(rq, rs, pseudo_json(rq, i));
            return;
        }
    }
    for (const struct sl_module *const *m = rq->core->modules; m != NULL && *m != NULL; m++) {
        if (strcmp((*m)->name, name) == 0) {
            sl_jsonapi_one(rq, rs, module_json(rq, *m));
            return;
        }
    }
    sl_admin_fail_unknown(rs, name, "module");
}
