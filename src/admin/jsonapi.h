/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON:API envelope (jsonapi.org 1.0, in the dialect of MaxScale's REST API): resources,
 * relationships, links, sparse fields, row filters and paging.
 */
#ifndef SL_ADMIN_JSONAPI_H
#define SL_ADMIN_JSONAPI_H

#include "admin/request.h"

/* "http://host:port/v1/<path>/" as a JSON string. */
json_t *sl_jsonapi_url(const struct sl_admin_request *rq, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* RFC 1123 date, or null for 0. */
json_t *sl_jsonapi_date(int64_t wall_s);
/* The string, or null when it is NULL or empty. */
json_t *sl_jsonapi_text(const char *text);
/* `source` of an object: the file it was read from. */
json_t *sl_jsonapi_source(const char *file, bool is_runtime);

/* {id, type, attributes, relationships, links}; takes over the two objects, relationships may be
 * NULL. `path` is the collection ("servers"). */
json_t *sl_jsonapi_resource(const struct sl_admin_request *rq, const char *path, const char *type,
                            const char *id, json_t *attributes, json_t *relationships);
/* {id, type} */
json_t *sl_jsonapi_reference(const char *id, const char *type);
/* relationships[name] = {data, links} of the object at path/id; takes over `data`. Nothing when it
 * has no members. */
void sl_jsonapi_relate(const struct sl_admin_request *rq, json_t *relationships, const char *path,
                       const char *id, const char *name, json_t *data);

/* Answers with one resource or many; take over the JSON. Fields, filters and pages of the request
 * are applied. */
void sl_jsonapi_one(const struct sl_admin_request *rq, struct sl_admin_response *rs,
                    json_t *resource);
void sl_jsonapi_many(const struct sl_admin_request *rq, struct sl_admin_response *rs,
                     json_t *resources);
/* Answers GET path/id/relationships/name from the whole resource: the bare relationship, with empty
 * data when there are no members. Takes over the resource. */
void sl_jsonapi_relationship(const struct sl_admin_request *rq, struct sl_admin_response *rs,
                             json_t *resource, const char *path, const char *id, const char *name);

#endif
