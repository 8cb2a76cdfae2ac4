/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource `digests` (ours): forms of statements with counts and times, asked of the workers by
 * message and added up (core/inspect_digests.c). Connection's thread.
 *
 *   ?sort=COLUMN   falling order of a number below; total_us when not given
 *   ?limit=N       only the first N of them
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/jsonapi.h"
#include "admin/resources.h"
#include "admin/text.h"
#include "base/mem.h"
#include "core/core.h"
#include "core/inspect.h"

#define PATH "maxscale/digests"
#define OTHERS "(others)"

static uint64_t percentile(const struct sl_digest_info *d, unsigned percent)
{
    return sl_latency_percentile(&d->n.latency, percent, d->n.max_us);
}

static uint64_t get_count(const struct sl_digest_info *d)
{
    return d->n.count;
}
static uint64_t get_errors(const struct sl_digest_info *d)
{
    return d->n.errors;
}
static uint64_t get_rows(const struct sl_digest_info *d)
{
    return d->n.rows;
}
static uint64_t get_bytes(const struct sl_digest_info *d)
{
    return d->n.bytes;
}
static uint64_t get_total(const struct sl_digest_info *d)
{
    return d->n.total_us;
}
static uint64_t get_average(const struct sl_digest_info *d)
{
    return d->n.count > 0 ? d->n.total_us / d->n.count : 0;
}
static uint64_t get_p50(const struct sl_digest_info *d)
{
    return percentile(d, 50);
}
static uint64_t get_p95(const struct sl_digest_info *d)
{
    return percentile(d, 95);
}
static uint64_t get_p99(const struct sl_digest_info *d)
{
    return percentile(d, 99);
}
static uint64_t get_max(const struct sl_digest_info *d)
{
    return d->n.max_us;
}
static uint64_t get_last(const struct sl_digest_info *d)
{
    return (uint64_t)d->last_ms;
}

typedef uint64_t getter(const struct sl_digest_info *d);
static const struct {
    const char *name;
    getter *get;
} numbers[] = {
    {"total_us", get_total}, {"count", get_count},    {"errors", get_errors}, {"rows", get_rows},
    {"bytes", get_bytes},    {"avg_us", get_average}, {"p50_us", get_p50},    {"p95_us", get_p95},
    {"p99_us", get_p99},     {"max_us", get_max},
};

static json_t *histogram_json(const struct sl_latency *l)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < SL_LATENCY_BUCKETS; i++) {
        if (l->count[i] > 0) {
            json_array_append_new(list, json_pack("{s:I, s:I}", "below_us",
                                                  (json_int_t)sl_latency_bound(i + 1), "count",
                                                  (json_int_t)l->count[i]));
        }
    }
    return list;
}

static json_t *resource(const struct sl_admin_request *rq, const struct sl_digest_info *d)
{
    char digest[20], id[320];
    bool is_others = d->service == NULL;
    snprintf(digest, sizeof digest, "%016" PRIx64, d->hash);
    snprintf(id, sizeof id, "%s@%s", digest, is_others ? OTHERS : d->service);
    json_t *o = json_object();
    json_object_set_new(o, "digest", is_others ? json_string(OTHERS) : json_string(digest));
    json_object_set_new(o, "service", sl_jsonapi_text(d->service));
    json_object_set_new(o, "text",
                        is_others ? json_string("statements thrown out of full tables")
                                  : sl_text_json(d->text));
    json_object_set_new(o, "truncated", json_boolean(d->is_cut));
    for (unsigned i = 0; i < SL_ARRAY_LEN(numbers); i++) {
        json_object_set_new(o, numbers[i].name, json_integer((json_int_t)numbers[i].get(d)));
    }
    json_object_set_new(o, "first_seen", sl_jsonapi_date(d->first_ms / 1000));
    json_object_set_new(o, "last_seen", sl_jsonapi_date(d->last_ms / 1000));
    json_object_set_new(o, "histogram", histogram_json(&d->n.latency));
    return sl_jsonapi_resource(rq, PATH, "digests", id, o, NULL);
}

/* What is sorted: a digest and its number. */
struct ranked {
    uint64_t value;
    const struct sl_digest_info *digest;
};

static int compare(const void *va, const void *vb)
{
    const struct ranked *a = va, *b = vb;
    if (a->value != b->value) {
        return a->value > b->value ? -1 : 1;
    }
    return a->digest < b->digest ? -1 : 1;
}

/* NULL after a 400. */
static getter *wanted_order(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    const char *name = sl_admin_param(rq, "sort");
    if (name == NULL) {
        return get_total;
    }
    for (unsigned i = 0; i < SL_ARRAY_LEN(numbers); i++) {
        if (strcmp(numbers[i].name, name) == 0) {
            return numbers[i].get;
        }
    }
    if (strcmp(name, "last_seen") == 0) {
        return get_last;
    }
    sl_admin_fail(rs, 400,
                  "sort=%s: not one of total_us, count, errors, rows, bytes, avg_us, p50_us, "
                  "p95_us, p99_us, max_us, last_seen",
                  name);
    return NULL;
}

/* False after a 400. */
static bool wanted_limit(struct sl_admin_request *rq, struct sl_admin_response *rs,
                         unsigned *ret_limit)
{
    const char *text = sl_admin_param(rq, "limit");
    char *end;
    *ret_limit = UINT32_MAX;
    if (text == NULL) {
        return true;
    }
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || n == 0 || n > UINT32_MAX) {
        sl_admin_fail(rs, 400, "limit=%s: not a number of 1 or more", text);
        return false;
    }
    *ret_limit = (unsigned)n;
    return true;
}

static json_t *sorted(const struct sl_admin_request *rq, const struct sl_digest_list *list,
                      getter *get, unsigned limit)
{
    json_t *rows = json_array();
    struct ranked *ranked = sl_xcalloc(list->count + 1, sizeof *ranked);
    for (unsigned i = 0; i < list->count; i++) {
        ranked[i] = (struct ranked){get(&list->rows[i]), &list->rows[i]};
    }
    qsort(ranked, list->count, sizeof *ranked, compare);
    for (unsigned i = 0; i < list->count && i < limit; i++) {
        json_array_append_new(rows, resource(rq, ranked[i].digest));
    }
    sl_free(ranked);
    return rows;
}

void sl_admin_digests_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_digest_list list;
    unsigned limit;
    getter *get = wanted_order(rq, rs);
    if (get == NULL || !wanted_limit(rq, rs, &limit)) {
        return;
    }
    if (sl_inspect_digests(rq->core, &list) < 0) {
        sl_admin_fail(rs, 503, "a worker thread did not answer in time");
        return;
    }
    json_t *rows = sorted(rq, &list, get, limit);
    json_int_t thrown_out = (json_int_t)list.thrown_out;
    sl_inspect_digests_clear(&list);
    sl_jsonapi_many(rq, rs, rows);
    if (rs->status == 200) {
        json_t *meta = json_object_get(rs->json, "meta");
        if (meta == NULL) {
            meta = json_object();
            json_object_set_new(rs->json, "meta", meta);
        }
        json_object_set_new(meta, "query_digests",
                            json_integer(atomic_load(&rq->core->query_digests)));
        json_object_set_new(meta, "thrown_out", json_integer(thrown_out));
    }
}

void sl_admin_digests_delete(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    if (sl_inspect_digests_reset(rq->core) < 0) {
        sl_admin_fail(rs, 503, "a worker thread did not answer in time");
        return;
    }
    rs->status = 204;
}
