/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PATCH of /maxscale and /services/:name: the settings of the session inspector, which are in force
 * at once, for sessions with their next command, and until the daemon ends; and those of routers that
 * can change theirs. Every other setting is refused by name. All values are checked before the first
 * one is taken. Connection's thread.
 */
#include "admin/tune.h"

#include <string.h>

#include "admin/resources.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/core.h"
#include "core/recorder.h"

static const char *const global_names[] = {"retain_last_statements", "dump_last_statements",
                                           "query_digests", NULL};
static const char *const service_names[] = {"retain_last_statements", NULL};

static bool is_in(const char *name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (strcmp(*names, name) == 0) {
            return true;
        }
    }
    return false;
}

/* A JSON value as the configuration file would have it; the caller frees. NULL: no such type. */
static char *text_of(const struct sl_setting *row, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        return sl_xstrdup(json_string_value(value));
    case JSON_INTEGER:
        return sl_xasprintf("%lld", (long long)json_integer_value(value));
    case JSON_TRUE:
        return sl_xstrdup("true");
    case JSON_FALSE:
        return sl_xstrdup("false");
    case JSON_NULL:
        return sl_xstrdup(row->default_text ? row->default_text : "");
    default:
        return NULL;
    }
}

/* One value into the settings. False: an error was added to the answer. */
static bool take(struct sl_admin_response *rs, const struct sl_settings *table,
                 const char *const *names, const char *name, const json_t *value, void *settings)
{
    struct sl_err err = SL_ERR_INIT;
    const struct sl_setting *row = sl_settings_find(table, name);
    if (row == NULL) {
        sl_admin_fail(rs, 400, "'%s' is not a parameter of '%s'", name, table->name);
        return false;
    }
    if (!is_in(name, names)) {
        sl_admin_fail(rs, 400, "'%s' cannot be changed while sealaned runs", name);
        return false;
    }
    char *text = text_of(row, value);
    int rc = text != NULL
                 ? sl_setting_parse(row, settings, text, &err)
                 : sl_err_set(&err, SL_EINVAL,
                              "%s: expected a string, a number, a truth value or null", name);
    if (rc < 0) {
        sl_admin_fail(rs, 400, "%s", err.text);
    }
    sl_free(text);
    return rc == SL_OK;
}

/* The parameters of the body; NULL: the answer tells that there are none. */
static json_t *parameters_of(const struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    json_t *data = json_object_get(rq->body, "data");
    json_t *parameters = json_object_get(json_object_get(data, "attributes"), "parameters");
    if (!json_is_object(parameters)) {
        sl_admin_fail(rs, 400, "the body has no object at /data/attributes/parameters");
        return NULL;
    }
    return parameters;
}

/* All parameters of the body into the settings. False: the answer tells what is wrong. */
static bool take_all(const struct sl_admin_request *rq, struct sl_admin_response *rs,
                     const struct sl_settings *table, const char *const *names, void *settings)
{
    json_t *parameters = parameters_of(rq, rs);
    bool is_good = parameters != NULL;
    const char *name;
    json_t *value;
    json_object_foreach (parameters, name, value) {
        is_good &= take(rs, table, names, name, value, settings);
    }
    return is_good;
}

void sl_admin_maxscale_change(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_core *core = rq->core;
    struct sl_global_settings settings = {0};
    sl_settings_defaults(&sl_settings_global, &settings);
    settings.retain_last_statements = atomic_load(&core->retain_last_statements);
    settings.dump_last_statements = atomic_load(&core->dump_last_statements);
    settings.query_digests = atomic_load(&core->query_digests);
    if (take_all(rq, rs, &sl_settings_global, global_names, &settings)) {
        atomic_store(&core->retain_last_statements, settings.retain_last_statements);
        atomic_store(&core->dump_last_statements, settings.dump_last_statements);
        atomic_store(&core->query_digests, (uint32_t)settings.query_digests);
        sl_recorder_configure(core);
        rs->status = 204;
    }
    sl_settings_clear(&sl_settings_global, &settings);
}

/* ---- services ---- */

/* The settings of a service and of its router, while new values are taken. */
struct service_change {
    struct sl_service *service;
    struct sl_service_settings own;
    void *routers; /* NULL: the router cannot change its own */
    void *before;  /* a copy of `routers` before anything was taken */
};

static const char *const nothing[] = {NULL};

static bool take_of_service(struct service_change *c, struct sl_admin_response *rs,
                            const char *name, const json_t *value)
{
    const struct sl_settings *table = c->service->router->settings;
    const struct sl_setting *row = table != NULL ? sl_settings_find(table, name) : NULL;
    if (row == NULL) {
        return take(rs, &sl_settings_service, service_names, name, value, &c->own);
    }
    bool may_change = c->routers != NULL && (row->flags & SL_SETTING_RUNTIME) != 0;
    const char *const names[] = {name, NULL};
    return take(rs, table, may_change ? names : nothing, name, value, c->routers);
}

/* False: the answer tells what is wrong. */
static bool take_service(const struct sl_admin_request *rq, struct sl_admin_response *rs,
                         struct service_change *c)
{
    json_t *parameters = parameters_of(rq, rs);
    bool is_good = parameters != NULL;
    const char *name;
    json_t *value;
    json_object_foreach (parameters, name, value) {
        is_good &= take_of_service(c, rs, name, value);
    }
    return is_good;
}

static void set_service(const struct sl_admin_request *rq, struct sl_admin_response *rs,
                        struct service_change *c)
{
    struct sl_err err = SL_ERR_INIT;
    if (c->routers != NULL &&
        c->service->ops->settings_set(c->service, c->before, c->routers, &err) < 0) {
        sl_admin_fail(rs, 400, "%s", err.text);
        return;
    }
    atomic_store(&c->service->retain_last_statements, c->own.retain_last_statements);
    sl_recorder_configure(rq->core);
    rs->status = 204;
}

/* Another copy; NULL: memory is out. Free with free_routers(). */
static void *copy_of(const struct sl_service *service, const void *settings)
{
    void *copy = sl_calloc(1, service->router->settings->struct_size);
    if (copy != NULL && sl_settings_copy(service->router->settings, copy, settings) < 0) {
        sl_free(copy);
        return NULL;
    }
    return copy;
}

/* The router's settings in force; NULL: they do not change, or memory is out. Free with
 * free_routers(). */
static void *copy_routers(const struct sl_service *service)
{
    if (service->ops->settings_get == NULL) {
        return NULL;
    }
    void *copy = sl_calloc(1, service->router->settings->struct_size);
    if (copy != NULL && service->ops->settings_get(service, copy) < 0) {
        sl_free(copy);
        return NULL;
    }
    return copy;
}

static void free_routers(const struct sl_service *service, void *copy)
{
    if (copy != NULL) {
        sl_settings_clear(service->router->settings, copy);
        sl_free(copy);
    }
}

void sl_admin_service_change(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct service_change c = {.service = sl_core_service(rq->core, rq->args[0])};
    if (c.service == NULL) {
        sl_admin_fail_unknown(rs, rq->args[0], "service");
        return;
    }
    sl_settings_defaults(&sl_settings_service, &c.own);
    c.own.retain_last_statements = atomic_load(&c.service->retain_last_statements);
    c.routers = copy_routers(c.service);
    c.before = c.routers != NULL ? copy_of(c.service, c.routers) : NULL;
    if (c.routers != NULL && c.before == NULL) {
        sl_admin_fail(rs, 500, "out of memory");
    } else if (take_service(rq, rs, &c)) {
        set_service(rq, rs, &c);
    }
    free_routers(c.service, c.before);
    free_routers(c.service, c.routers);
    sl_settings_clear(&sl_settings_service, &c.own);
}

void sl_tune_show_global(json_t *parameters, const struct sl_core *core)
{
    struct sl_global_settings settings = {
        .retain_last_statements = atomic_load(&core->retain_last_statements),
        .dump_last_statements = atomic_load(&core->dump_last_statements),
        .query_digests = atomic_load(&core->query_digests),
    };
    for (const char *const *name = global_names; *name != NULL; name++) {
        json_object_set_new(
            parameters, *name,
            sl_params_value(sl_settings_find(&sl_settings_global, *name), &settings));
    }
}

void sl_tune_show_service(json_t *parameters, const struct sl_service *service)
{
    json_object_set_new(parameters, "retain_last_statements",
                        json_integer(atomic_load(&service->retain_last_statements)));
    if (service->router->settings == NULL || service->router_settings == NULL) {
        return;
    }
    void *in_force = copy_routers(service);
    sl_params_add(parameters, service->router->settings,
                  in_force != NULL ? in_force : service->router_settings, NULL);
    free_routers(service, in_force);
}
