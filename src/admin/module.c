/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource `modules`: the descriptors of the program's modules with their settings rows, and three
 * that are not modules but whose settings clients read the same way: `maxscale`, `servers` and
 * `mariadbprotocol` (listeners). Constant data. And the commands of modules. Connection's thread.
 */
#include <string.h>

#include "admin/diag_json.h"
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

static const char *method_of(const struct sl_module_command *c)
{
    return c->is_read ? "GET" : "POST";
}

static unsigned needed(const struct sl_module_command *c)
{
    unsigned n = 0;
    while (n < c->argument_count && !c->arguments[n].is_optional) {
        n++;
    }
    return n;
}

static json_t *command_json(const struct sl_admin_request *rq, const struct sl_module *m,
                            const struct sl_module_command *c)
{
    json_t *arguments = json_array();
    for (unsigned i = 0; i < c->argument_count; i++) {
        const struct sl_module_argument *a = &c->arguments[i];
        json_t *o =
            json_pack("{s:s, s:b}", "description", a->description, "required", !a->is_optional);
        json_object_set_new(o, "type",
                            a->is_optional ? json_sprintf("[%s]", a->kind) : json_string(a->kind));
        json_array_append_new(arguments, o);
    }
    json_t *o = json_pack("{s:s, s:i, s:i, s:s, s:o}", "method", method_of(c), "arg_min",
                          (int)needed(c), "arg_max", (int)c->argument_count, "description",
                          c->description, "parameters", arguments);
    char path[SL_ADMIN_PATH_MAX];
    snprintf(path, sizeof path, PATH "/%s", m->name);
    return sl_jsonapi_resource(rq, path, "module_command", c->name, o, NULL);
}

static json_t *commands_json(const struct sl_admin_request *rq, const struct sl_module *m)
{
    json_t *list = json_array();
    for (const struct sl_module_command *c = m->commands; c != NULL && c->name != NULL; c++) {
        json_array_append_new(list, command_json(rq, m, c));
    }
    return list;
}

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
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "module_type", kinds[m->kind].type, "api",
                  apis[m->kind], "version", m->version, "maturity", m->maturity, "description",
                  m->description, "parameters", parameters, "commands", commands_json(rq, m));
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

static const struct sl_module *module_of(const struct sl_admin_request *rq, const char *name)
{
    for (const struct sl_module *const *m = rq->core->modules; m != NULL && *m != NULL; m++) {
        if (strcmp((*m)->name, name) == 0) {
            return *m;
        }
    }
    return NULL;
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
    const struct sl_module *m = module_of(rq, name);
    if (m != NULL) {
        sl_jsonapi_one(rq, rs, module_json(rq, m));
        return;
    }
    sl_admin_fail_unknown(rs, name, "module");
}

/* ---- commands ---- */

static const struct sl_module_command *command_of(const struct sl_module *m, const char *name)
{
    for (const struct sl_module_command *c = m->commands; c != NULL && c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

/* Arguments are query parameters without values, in order: ?ARG&ARG. */
static bool take_arguments(const struct sl_admin_request *rq, struct sl_admin_response *rs,
                           const struct sl_module_command *c, const char **args)
{
    unsigned min = needed(c);
    if (rq->param_count < min || rq->param_count > c->argument_count) {
        sl_admin_fail(rs, 400, "'%s' takes %u to %u arguments, %u were given", c->name, min,
                      c->argument_count, rq->param_count);
        return false;
    }
    for (unsigned i = 0; i < rq->param_count; i++) {
        args[i] = rq->params[i].name;
    }
    return true;
}

static void run(const struct sl_admin_request *rq, struct sl_admin_response *rs,
                const struct sl_module_command *c)
{
    const char *args[SL_ADMIN_PARAMS_MAX] = {NULL};
    if (!take_arguments(rq, rs, c, args)) {
        return;
    }
    struct sl_err err = SL_ERR_INIT;
    struct sl_diag_json out;
    sl_diag_json_begin(&out);
    int rc = c->run(rq->core, args, &out.base, &err);
    json_t *meta = sl_diag_json_end(&out);
    if (rc < 0) {
        sl_admin_fail(rs, rc == SL_ENOENT ? 404 : 400, "%s", err.text);
    } else if (json_object_size(meta) == 0) {
        rs->status = 204;
    } else {
        rs->status = 200;
        rs->json = json_pack("{s:O}", "meta", meta);
    }
    json_decref(meta);
}

static void command(const struct sl_admin_request *rq, struct sl_admin_response *rs, bool is_read)
{
    const struct sl_module *m = module_of(rq, rq->args[0]);
    const struct sl_module_command *c = m != NULL ? command_of(m, rq->args[1]) : NULL;
    if (c == NULL) {
        sl_admin_fail(rs, 404, "module '%s' has no command '%s'", rq->args[0], rq->args[1]);
    } else if (c->is_read != is_read) {
        sl_admin_fail(rs, 404, "'%s' is called with %s", c->name, method_of(c));
    } else {
        run(rq, rs, c);
    }
}

void sl_admin_module_read(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    command(rq, rs, true);
}

void sl_admin_module_run(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    command(rq, rs, false);
}
