/* SPDX-License-Identifier: Apache-2.0 */
/* Resource `listeners`. Reads what is immutable after start and one flag. Connection's thread. */
#include <string.h>

#include "admin/jsonapi.h"
#include "admin/params.h"
#include "admin/resources.h"
#include "core/core.h"

#define PATH "listeners"

static json_t *parameters_json(const struct sl_listener *l)
{
    json_t *o = json_pack("{s:s}", "type", "listener");
    sl_params_add(o, &sl_settings_listener, &l->settings, NULL);
    if (l->settings.protocol == SL_PROTOCOL_MARIADB) {
        /* The module's name as clients know it; files write it in any case. */
        json_object_set_new(o, "protocol", json_string("MariaDBProtocol"));
        json_object_set(o, "MariaDBProtocol", json_object_get(o, "mariadbprotocol"));
    }
    json_object_del(o, "mariadbprotocol");
    if (l->settings.socket != NULL) {
        json_object_set_new(o, "port", json_null());
    }
    return o;
}

json_t *sl_admin_listener_json(const struct sl_admin_request *rq, const struct sl_listener *l)
{
    json_t *attributes = json_object();
    json_object_set_new(attributes, "state",
                        json_string(atomic_load(&l->is_listening) ? "Running" : "Stopped"));
    json_object_set_new(attributes, "source", sl_jsonapi_source(l->source_file, false));
    json_object_set_new(attributes, "parameters", parameters_json(l));
    json_t *relations = json_object();
    json_t *services = json_array();
    json_array_append_new(services, sl_jsonapi_reference(l->service->name, "services"));
    sl_jsonapi_relate(rq, relations, PATH, l->name, "services", services);
    json_t *o = sl_jsonapi_resource(rq, PATH, "listeners", l->name, attributes, relations);
    json_object_del(o, "links"); /* as in MaxScale: listeners have none of their own */
    return o;
}

static const struct sl_listener *find(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    const struct sl_listener *l = sl_core_listener(rq->core, rq->args[0]);
    if (l == NULL) {
        sl_admin_fail_unknown(rs, rq->args[0], "listener");
    }
    return l;
}

void sl_admin_listeners_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < rq->core->listener_count; i++) {
        json_array_append_new(list, sl_admin_listener_json(rq, rq->core->listeners[i]));
    }
    sl_jsonapi_many(rq, rs, list);
}

void sl_admin_listener_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    const struct sl_listener *l = find(rq, rs);
    if (l != NULL) {
        sl_jsonapi_one(rq, rs, sl_admin_listener_json(rq, l));
    }
}

void sl_admin_listener_relation_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    const struct sl_listener *l = find(rq, rs);
    if (l == NULL) {
        return;
    }
    if (strcmp(rq->args[1], "services") != 0) {
        sl_admin_fail_unknown(rs, rq->args[1], "relationship of listeners");
        return;
    }
    sl_jsonapi_relationship(rq, rs, sl_admin_listener_json(rq, l), PATH, l->name, "services");
}
