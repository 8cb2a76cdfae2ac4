/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes are a table; the first row that fits wins, so fixed words stand before placeholders. HEAD
 * runs as GET.
 *
 *   known path? -> OPTIONS -> authentication -> conditions -> body -> handler -> stamp
 *
 * The path is looked up first only to know which paths are open; an unknown path is told to those
 * who may read.
 */
#include "admin/route.h"

#include <stdio.h>
#include <string.h>

#include "admin/admin_state.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/json_depth.h"

static const struct sl_admin_route routes[] = {
    {SL_ADMIN_GET, "", sl_admin_health_get, SL_ADMIN_OPEN},
    {SL_ADMIN_GET, "auth", sl_admin_auth_get, SL_ADMIN_OPEN},
    {SL_ADMIN_GET, "metrics", sl_admin_metrics_get, 0},

    {SL_ADMIN_GET, "servers", sl_admin_servers_get, 0},
    {SL_ADMIN_GET, "servers/:server", sl_admin_server_get, 0},
    {SL_ADMIN_GET, "servers/:server/relationships/:kind", sl_admin_server_relation_get, 0},
    {SL_ADMIN_PUT, "servers/:server/set", sl_admin_server_set, 0},
    {SL_ADMIN_PUT, "servers/:server/clear", sl_admin_server_clear, 0},

    {SL_ADMIN_GET, "services", sl_admin_services_get, 0},
    {SL_ADMIN_GET, "services/:service", sl_admin_service_get, 0},
    {SL_ADMIN_PATCH, "services/:service", sl_admin_service_change, SL_ADMIN_BODY},
    {SL_ADMIN_GET, "services/:service/relationships/:kind", sl_admin_service_relation_get, 0},
    {SL_ADMIN_GET, "services/:service/listeners", sl_admin_service_listeners_get, 0},
    {SL_ADMIN_GET, "services/:service/listeners/:listener", sl_admin_service_listener_get, 0},
    {SL_ADMIN_GET, "services/:service/replicas", sl_admin_service_replicas_get, 0},
    {SL_ADMIN_GET, "replicas", sl_admin_replicas_get, 0},
    {SL_ADMIN_GET, "replicas/:replica", sl_admin_replica_get, 0},
    {SL_ADMIN_POST, "services/:service/reload", sl_admin_service_reload, SL_ADMIN_NO_CHANGE},

    {SL_ADMIN_GET, "listeners", sl_admin_listeners_get, 0},
    {SL_ADMIN_GET, "listeners/:listener", sl_admin_listener_get, 0},
    {SL_ADMIN_GET, "listeners/:listener/relationships/:kind", sl_admin_listener_relation_get, 0},

    {SL_ADMIN_GET, "monitors", sl_admin_monitors_get, 0},
    {SL_ADMIN_GET, "monitors/:monitor", sl_admin_monitor_get, 0},
    {SL_ADMIN_GET, "monitors/:monitor/relationships/:kind", sl_admin_monitor_relation_get, 0},

    {SL_ADMIN_GET, "filters", sl_admin_filters_get, 0},
    {SL_ADMIN_GET, "filters/:filter", sl_admin_filter_get, 0},
    {SL_ADMIN_GET, "filters/:filter/relationships/services", sl_admin_filter_relation_get, 0},

    {SL_ADMIN_GET, "sessions", sl_admin_sessions_get, 0},
    {SL_ADMIN_GET, "sessions/:session", sl_admin_session_get, 0},
    {SL_ADMIN_GET, "sessions/:session/relationships/:kind", sl_admin_session_relation_get, 0},
    {SL_ADMIN_DELETE, "sessions/:session", sl_admin_session_delete, SL_ADMIN_NO_CHANGE},

    {SL_ADMIN_GET, "maxscale", sl_admin_maxscale_get, 0},
    {SL_ADMIN_PATCH, "maxscale", sl_admin_maxscale_change, SL_ADMIN_BODY},
    {SL_ADMIN_GET, "maxscale/threads", sl_admin_threads_get, 0},
    {SL_ADMIN_GET, "maxscale/threads/:thread", sl_admin_thread_get, 0},
    {SL_ADMIN_GET, "maxscale/logs", sl_admin_logs_get, 0},
    {SL_ADMIN_POST, "maxscale/logs/flush", sl_admin_logs_flush, SL_ADMIN_NO_CHANGE},
    {SL_ADMIN_GET, "maxscale/digests", sl_admin_digests_get, 0},
    {SL_ADMIN_DELETE, "maxscale/digests", sl_admin_digests_delete, SL_ADMIN_NO_CHANGE},
    {SL_ADMIN_GET, "maxscale/query_classifier", sl_admin_classifier_get, 0},
    {SL_ADMIN_GET, "maxscale/query_classifier/classify", sl_admin_classify_get, 0},
    {SL_ADMIN_GET, "maxscale/modules", sl_admin_modules_get, 0},
    {SL_ADMIN_GET, "maxscale/modules/:module", sl_admin_module_get, 0},
    {SL_ADMIN_GET, "maxscale/modules/:module/:command", sl_admin_module_read, 0},
    {SL_ADMIN_POST, "maxscale/modules/:module/:command", sl_admin_module_run, SL_ADMIN_NO_CHANGE},
    {SL_ADMIN_GET, "maxscale/debug/monitor_wait", sl_admin_monitors_wait, 0},

    {SL_ADMIN_GET, "users", sl_admin_users_get, 0},
    {SL_ADMIN_GET, "users/inet", sl_admin_users_inet_get, 0},
    {SL_ADMIN_GET, "users/unix", sl_admin_users_unix_get, 0},
    {SL_ADMIN_GET, "users/inet/:user", sl_admin_user_get, 0},
    {SL_ADMIN_POST, "users/inet", sl_admin_user_create, SL_ADMIN_BODY},
    {SL_ADMIN_PATCH, "users/inet/:user", sl_admin_user_change, SL_ADMIN_BODY},
    {SL_ADMIN_DELETE, "users/inet/:user", sl_admin_user_delete, 0},
};

/* ---- matching ---- */

static bool path_matches(const struct sl_admin_route *route, struct sl_admin_request *rq)
{
    const char *p = route->pattern;
    unsigned arg = 0;
    for (unsigned i = 0; i < rq->segment_count; i++) {
        size_t len = strcspn(p, "/");
        if (len == 0) {
            return false;
        }
        if (*p == ':') {
            sl_assert(arg < SL_ADMIN_ARGS_MAX);
            rq->args[arg++] = rq->segments[i];
        } else if (strlen(rq->segments[i]) != len || strncmp(rq->segments[i], p, len) != 0) {
            return false;
        }
        p += len;
        p += *p == '/';
    }
    return *p == '\0';
}

const struct sl_admin_route *sl_admin_route_find(struct sl_admin_request *rq, bool *ret_path_exists)
{
    enum sl_admin_method method = rq->method == SL_ADMIN_HEAD ? SL_ADMIN_GET : rq->method;
    *ret_path_exists = false;
    for (unsigned i = 0; i < SL_ARRAY_LEN(routes); i++) {
        if (!path_matches(&routes[i], rq)) {
            continue;
        }
        *ret_path_exists = true;
        if (routes[i].method == method) {
            return &routes[i];
        }
    }
    return NULL;
}

void sl_admin_route_methods(struct sl_admin_request *rq, char *out, size_t size)
{
    bool has[SL_ADMIN_METHOD_COUNT] = {[SL_ADMIN_OPTIONS] = true};
    for (unsigned i = 0; i < SL_ARRAY_LEN(routes); i++) {
        if (path_matches(&routes[i], rq)) {
            has[routes[i].method] = true;
        }
    }
    has[SL_ADMIN_HEAD] = has[SL_ADMIN_GET];
    out[0] = '\0';
    for (unsigned m = 0; m < SL_ADMIN_METHOD_COUNT; m++) {
        if (has[m]) {
            size_t len = strlen(out);
            snprintf(out + len, size - len, "%s%s", len > 0 ? ", " : "",
                     sl_admin_method_name((enum sl_admin_method)m));
        }
    }
}

/* ---- running ---- */

static void answer_options(struct sl_admin_request *rq, struct sl_admin_response *rs,
                           bool path_exists)
{
    char methods[128];
    if (!path_exists) {
        sl_admin_fail(rs, 404, "there is nothing at /%s", rq->path);
        return;
    }
    sl_admin_route_methods(rq, methods, sizeof methods);
    sl_admin_response_header(rs, "Allow", "%s", methods);
    sl_admin_response_header(rs, "Accept", "%s", methods);
    rs->status = 200;
}

static void answer_no_route(struct sl_admin_request *rq, struct sl_admin_response *rs,
                            bool path_exists)
{
    char methods[128];
    if (!path_exists) {
        sl_admin_fail(rs, 404, "there is nothing at /%s", rq->path);
        return;
    }
    sl_admin_route_methods(rq, methods, sizeof methods);
    sl_admin_response_header(rs, "Allow", "%s", methods);
    sl_admin_fail(rs, 405, "/%s does not take %s, only %s", rq->path,
                  sl_admin_method_name(rq->method), methods);
}

/* False: the answer is 400. */
static bool parse_body(struct sl_admin_request *rq, struct sl_admin_response *rs,
                       const struct sl_admin_route *route)
{
    if (rq->raw_body_len == 0) {
        if (route->flags & SL_ADMIN_BODY) {
            sl_admin_fail(rs, 400, "%s /%s needs a JSON body", sl_admin_method_name(rq->method),
                          rq->path);
            return false;
        }
        return true;
    }
    if (!sl_json_depth_is_sane(rq->raw_body, rq->raw_body_len)) {
        sl_admin_fail(rs, 400, "the body is nested deeper than %d", SL_JSON_DEPTH_MAX);
        return false;
    }
    json_error_t je;
    rq->body = json_loadb(rq->raw_body, rq->raw_body_len, 0, &je);
    if (rq->body == NULL) {
        sl_admin_fail(rs, 400, "the body is no valid JSON, line %d, column %d: %s", je.line,
                      je.column, je.text);
        return false;
    }
    return true;
}

static void run_handler(struct sl_admin_request *rq, struct sl_admin_response *rs,
                        const struct sl_admin_route *route)
{
    struct sl_stamps *stamps = &rq->admin->stamps;
    if (sl_admin_method_is_read(rq->method)) {
        rq->stamp = sl_stamps_look(stamps, rq->path);
        route->handler(rq, rs);
        return;
    }
    bool changes = !(route->flags & SL_ADMIN_NO_CHANGE);
    if (!sl_stamps_allow_write(stamps, rq, changes, rs) || !parse_body(rq, rs, route)) {
        return;
    }
    route->handler(rq, rs);
    if (rs->status < 300 && changes) {
        sl_stamps_touch(stamps, rq->path, sl_clock_wall_s());
    }
}

void sl_admin_route_run(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    bool path_exists;
    if (atomic_load(&rq->admin->is_stopping)) {
        sl_admin_fail(rs, 503, "sealaned is shutting down");
        return;
    }
    const struct sl_admin_route *route = sl_admin_route_find(rq, &path_exists);
    bool is_open = route != NULL && (route->flags & SL_ADMIN_OPEN);
    if (!is_open && !sl_auth_check(&rq->admin->auth, rq, rs)) {
        return;
    }
    if (rq->method == SL_ADMIN_OPTIONS) {
        answer_options(rq, rs, path_exists);
    } else if (route == NULL) {
        answer_no_route(rq, rs, path_exists);
    } else {
        run_handler(rq, rs, route);
    }
}
