/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The envelope around every answer, and what the query string may ask of it.
 *
 * The order is: row filters, then the page, then sparse fields, so that a filter may look at a
 * field that is not shown. Facts: MaxScale 24.02 documentation, REST API guide ("Common Request
 * Parameters"). No state; any thread.
 */
#include "admin/jsonapi.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/filter.h"
#include "admin/text.h"
#include "base/clock.h"
#include "base/error.h"

/* ---- small values ---- */

static json_t *make_url(const struct sl_admin_request *rq, const char *path, const char *query)
{
    return json_sprintf("%s://%s/%s%s%s%s", rq->is_https ? "https" : "http", rq->host,
                        rq->has_prefix ? "v1/" : "", path, path[0] != '\0' ? "/" : "", query);
}

json_t *sl_jsonapi_url(const struct sl_admin_request *rq, const char *fmt, ...)
{
    char path[SL_ADMIN_PATH_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(path, sizeof path, fmt, args);
    va_end(args);
    return make_url(rq, path, "");
}

json_t *sl_jsonapi_date(int64_t wall_s)
{
    if (wall_s == 0) {
        return json_null();
    }
    char text[64];
    sl_clock_format_rfc1123(wall_s, text, sizeof text);
    return json_string(text);
}

json_t *sl_jsonapi_text(const char *text)
{
    json_t *value = text != NULL && text[0] != '\0' ? sl_text_json(text) : NULL;
    return value != NULL ? value : json_null();
}

json_t *sl_jsonapi_source(const char *file, bool is_runtime)
{
    return json_pack("{s:o, s:s}", "file", sl_jsonapi_text(file), "type",
                     is_runtime ? "runtime" : "static");
}

/* ---- resources ---- */

json_t *sl_jsonapi_resource(const struct sl_admin_request *rq, const char *path, const char *type,
                            const char *id, json_t *attributes, json_t *relationships)
{
    json_t *o = json_object();
    json_object_set_new(o, "id", json_string(id));
    json_object_set_new(o, "type", json_string(type));
    json_object_set_new(o, "attributes", attributes);
    if (relationships != NULL) {
        json_object_set_new(o, "relationships", relationships);
    }
    json_object_set_new(o, "links",
                        json_pack("{s:o}", "self", sl_jsonapi_url(rq, "%s/%s", path, id)));
    return o;
}

json_t *sl_jsonapi_reference(const char *id, const char *type)
{
    return json_pack("{s:s, s:s}", "id", id, "type", type);
}

static json_t *relation(const struct sl_admin_request *rq, const char *path, const char *id,
                        const char *name, json_t *data)
{
    return json_pack("{s:o, s:{s:o, s:o}}", "data", data, "links", "self",
                     sl_jsonapi_url(rq, "%s/%s/relationships/%s", path, id, name), "related",
                     sl_jsonapi_url(rq, "%s", name));
}

void sl_jsonapi_relate(const struct sl_admin_request *rq, json_t *relationships, const char *path,
                       const char *id, const char *name, json_t *data)
{
    if (json_array_size(data) == 0) {
        json_decref(data);
        return;
    }
    json_object_set_new(relationships, name, relation(rq, path, id, name, data));
}

/* ---- sparse fields ---- */

/* Copies the value at "a/b" of `from` to the same place of `to`. Arrays are not descended into. */
static void copy_path(json_t *to, const json_t *from, char *path)
{
    char *save = NULL;
    char *part = strtok_r(path, "/", &save);
    while (part != NULL) {
        char *next = strtok_r(NULL, "/", &save);
        json_t *value = json_object_get(from, part);
        if (value == NULL) {
            return;
        }
        if (next == NULL) {
            json_object_set(to, part, value);
            return;
        }
        json_t *below = json_object_get(to, part);
        if (below == NULL) {
            below = json_object();
            json_object_set_new(to, part, below);
        }
        to = below;
        from = value;
        part = next;
    }
}

/* Removes the branches that copy_path() opened and found nothing for. */
static void drop_empty(json_t *made, const json_t *from)
{
    const char *key;
    json_t *value;
    void *tmp;
    json_object_foreach_safe (made, tmp, key, value) {
        const json_t *origin = json_object_get(from, key);
        if (!json_is_object(value) || value == origin) {
            continue;
        }
        drop_empty(value, origin);
        if (json_object_size(value) == 0) {
            json_object_del(made, key);
        }
    }
}

static void keep_fields(json_t *resource, const char *section, const char *list)
{
    json_t *from = json_object_get(resource, section);
    if (from == NULL) {
        return;
    }
    json_t *to = json_object();
    char *copy = strdup(list);
    char *save = NULL;
    for (char *path = copy != NULL ? strtok_r(copy, ",", &save) : NULL; path != NULL;
         path = strtok_r(NULL, ",", &save)) {
        copy_path(to, from, path);
    }
    free(copy);
    drop_empty(to, from);
    if (json_object_size(to) > 0) {
        json_object_set_new(resource, section, to);
    } else {
        json_decref(to);
        json_object_del(resource, section);
    }
}

static void apply_fields(const struct sl_admin_request *rq, json_t *resource)
{
    char name[128];
    const char *type = json_string_value(json_object_get(resource, "type"));
    snprintf(name, sizeof name, "fields[%s]", type != NULL ? type : "");
    const char *list = sl_admin_param(rq, name);
    if (list != NULL) {
        keep_fields(resource, "attributes", list);
        keep_fields(resource, "relationships", list);
    }
}

/* ---- row filters ---- */

/* Replaces *rows by those that match. SL_EINVAL with *err. */
static int apply_filters(const struct sl_admin_request *rq, json_t **rows, struct sl_err *err)
{
    struct sl_filter *filter = NULL;
    int rc = sl_filter_new(rq->params, rq->param_count, &filter, err);
    if (rc < 0 || filter == NULL) {
        return rc;
    }
    json_t *kept = json_array();
    size_t i;
    json_t *row;
    json_array_foreach (*rows, i, row) {
        if (sl_filter_matches(filter, row)) {
            json_array_append(kept, row);
        }
    }
    sl_filter_free(filter);
    json_decref(*rows);
    *rows = kept;
    return SL_OK;
}

/* ---- paging ---- */

static int64_t positive_number(const char *text)
{
    char *end;
    long long n = text != NULL ? strtoll(text, &end, 10) : 0;
    return text != NULL && *text != '\0' && *end == '\0' && n > 0 ? n : 0;
}

static void append_encoded(struct sl_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                        (c >= 'A' && c <= 'Z') || strchr("-._~", c) != NULL;
        sl_buf_printf(out, is_plain ? "%c" : "%%%02X", c);
    }
}

static json_t *page_url(const struct sl_admin_request *rq, int64_t size, int64_t number)
{
    struct sl_buf query = SL_BUF_INIT;
    sl_buf_printf(&query, "?page%%5Bsize%%5D=%lld&page%%5Bnumber%%5D=%lld", (long long)size,
                  (long long)number);
    for (unsigned i = 0; i < rq->param_count; i++) {
        const struct sl_admin_param *p = &rq->params[i];
        if (strncmp(p->name, "page[", 5) != 0) {
            sl_buf_append_text(&query, "&");
            append_encoded(&query, p->name);
            sl_buf_append_text(&query, "=");
            append_encoded(&query, p->value);
        }
    }
    json_t *url = NULL;
    if (sl_buf_append(&query, "", 1) == SL_OK) {
        url = make_url(rq, rq->path, (const char *)query.data + query.start);
    }
    sl_buf_free(&query);
    return url;
}

/* Cuts the page out of the rows and describes it. */
static void apply_page(const struct sl_admin_request *rq, json_t *answer, json_t **rows)
{
    int64_t size = positive_number(sl_admin_param(rq, "page[size]"));
    if (size == 0) {
        return;
    }
    int64_t total = (int64_t)json_array_size(*rows);
    int64_t number = positive_number(sl_admin_param(rq, "page[number]"));
    int64_t last = total > 0 ? (total - 1) / size : 0;
    json_t *page = json_array();
    /* `number` beyond the last page gives an empty one; compared by division so that the product
     * cannot overflow. */
    for (int64_t i = 0; number <= last && i < size && number * size + i < total; i++) {
        json_array_append(page, json_array_get(*rows, (size_t)(number * size + i)));
    }
    json_decref(*rows);
    *rows = page;
    json_t *links = json_object_get(answer, "links");
    json_object_set_new(links, "self", page_url(rq, size, number));
    json_object_set_new(links, "first", page_url(rq, size, 0));
    json_object_set_new(links, "last", page_url(rq, size, last));
    if (number < last) {
        json_object_set_new(links, "next", page_url(rq, size, number + 1));
    }
    if (number > 0) {
        json_object_set_new(links, "prev", page_url(rq, size, number - 1));
    }
    json_object_set_new(answer, "meta", json_pack("{s:I}", "total", (json_int_t)total));
}

/* ---- answers ---- */

static json_t *envelope(const struct sl_admin_request *rq)
{
    return json_pack("{s:{s:o}}", "links", "self", make_url(rq, rq->path, ""));
}

void sl_jsonapi_one(const struct sl_admin_request *rq, struct sl_admin_response *rs,
                    json_t *resource)
{
    if (sl_filter_is_asked(rq->params, rq->param_count)) {
        json_decref(resource);
        sl_admin_fail(rs, 400,
                      "'%s' is a single resource: a filter is possible on collections only",
                      rq->path);
        return;
    }
    apply_fields(rq, resource);
    rs->status = 200;
    rs->json = envelope(rq);
    json_object_set_new(rs->json, "data", resource);
}

void sl_jsonapi_many(const struct sl_admin_request *rq, struct sl_admin_response *rs,
                     json_t *resources)
{
    struct sl_err err = SL_ERR_INIT;
    if (apply_filters(rq, &resources, &err) < 0) {
        json_decref(resources);
        sl_admin_fail(rs, 400, "%s", err.text);
        return;
    }
    rs->status = 200;
    rs->json = envelope(rq);
    apply_page(rq, rs->json, &resources);
    size_t i;
    json_t *row;
    json_array_foreach (resources, i, row) {
        apply_fields(rq, row);
    }
    json_object_set_new(rs->json, "data", resources);
}

void sl_jsonapi_relationship(const struct sl_admin_request *rq, struct sl_admin_response *rs,
                             json_t *resource, const char *path, const char *id, const char *name)
{
    json_t *found = json_object_get(json_object_get(resource, "relationships"), name);
    rs->status = 200;
    rs->json = found != NULL ? json_incref(found) : relation(rq, path, id, name, json_array());
    json_decref(resource);
}
