/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path and query of a request against the envelope: "path?name=value&..." as the HTTP library hands
 * them over, decoded. Fields, filters and pages are applied to a small collection.
 */
#include <stdlib.h>
#include <string.h>

#include "admin/jsonapi.h"
#include "admin/route.h"

static json_t *rows(const struct sl_admin_request *rq)
{
    json_t *list = json_array();
    for (int i = 0; i < 3; i++) {
        json_t *a = json_pack("{s:i, s:{s:i, s:[i,i]}}", "n", i, "p", "port", i, "l", 1, 2);
        json_t *r = json_object();
        json_t *refs = json_array();
        json_array_append_new(refs, sl_jsonapi_reference("m", "monitors"));
        sl_jsonapi_relate(rq, r, "servers", "s", "monitors", refs);
        json_array_append_new(list, sl_jsonapi_resource(rq, "servers", "servers", "s", a, r));
    }
    return list;
}

static void take_params(struct sl_admin_request *rq, char *query)
{
    char *save = NULL;
    for (char *pair = strtok_r(query, "&", &save);
         pair != NULL && rq->param_count < SL_ADMIN_PARAMS_MAX; pair = strtok_r(NULL, "&", &save)) {
        char *equals = strchr(pair, '=');
        if (equals != NULL) {
            *equals = '\0';
        }
        rq->params[rq->param_count++] =
            (struct sl_admin_param){pair, equals != NULL ? equals + 1 : ""};
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct sl_admin_request rq = {.host = "h"};
    char *text = strndup((const char *)data, size);
    char *query = strchr(text, '?');
    if (query != NULL) {
        *query = '\0';
        take_params(&rq, query + 1);
    }
    if (sl_admin_request_set_path(&rq, text) == 0) {
        struct sl_admin_response rs = {0};
        char methods[128];
        bool exists;
        sl_admin_route_find(&rq, &exists);
        sl_admin_route_methods(&rq, methods, sizeof methods);
        sl_jsonapi_many(&rq, &rs, rows(&rq));
        char *dump = json_dumps(rs.json, JSON_SORT_KEYS);
        free(dump);
        sl_admin_response_clear(&rs);
    }
    free(text);
    return 0;
}
