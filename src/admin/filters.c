/* SPDX-License-Identifier: Apache-2.0 */
/* Resource `filters`: the sections with a filter module, and who uses them. Connection's thread. */
#include <string.h>

#include "admin/jsonapi.h"
#include "admin/params.h"
#include "admin/resources.h"
#include "core/core.h"

#define PATH "filters"

static json_t *attributes_json(const struct sl_filter *f)
{
    json_t *parameters = json_pack("{s:s}", "module", f->module->name);
    json_t *o = json_object();
    json_object_set_new(o, "module", json_string(f->module->name));
    json_object_set_new(o, "source", sl_jsonapi_source(f->source_file, false));
    json_object_set_new(o, "parameters", parameters);
    json_object_set_new(o, "filter_diagnostics", json_null());
    return o;
}

static bool uses(const struct sl_service *s, const struct sl_filter *f)
{
    for (unsigned i = 0; i < s->filter_count; i++) {
        if (s->filters[i] == f) {
            return true;
        }
    }
    return false;
}

static json_t *resource(const struct sl_admin_request *rq, const struct sl_filter *f)
{
    json_t *relations = json_object();
    json_t *services = json_array();
    for (unsigned i = 0; i < rq->core->service_count; i++) {
        const struct sl_service *s = rq->core->services[i];
        if (uses(s, f)) {
            json_array_append_new(services, sl_jsonapi_reference(s->name, "services"));
        }
    }
    sl_jsonapi_relate(rq, relations, PATH, f->name, "services", services);
    return sl_jsonapi_resource(rq, PATH, "filters", f->name, attributes_json(f), relations);
}

static struct sl_filter *find(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_filter *f = sl_core_filter(rq->core, rq->args[0]);
    if (f == NULL) {
        sl_admin_fail_unknown(rs, rq->args[0], "filter");
    }
    return f;
}

json_t *sl_admin_filter_references(const struct sl_service *s)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < s->filter_count; i++) {
        json_array_append_new(list, sl_jsonapi_reference(s->filters[i]->name, "filters"));
    }
    return list;
}

void sl_admin_filters_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < rq->core->filter_count; i++) {
        json_array_append_new(list, resource(rq, &rq->core->filters[i]));
    }
    sl_jsonapi_many(rq, rs, list);
}

void sl_admin_filter_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_filter *f = find(rq, rs);
    if (f != NULL) {
        sl_jsonapi_one(rq, rs, resource(rq, f));
    }
}

void sl_admin_filter_relation_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_filter *f = find(rq, rs);
    if (f != NULL) {
        sl_jsonapi_relationship(rq, rs, resource(rq, f), PATH, f->name, "services");
    }
}
