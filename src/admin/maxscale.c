/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource `maxscale`: the process, its threads, its log. Thread statistics are the loops' relaxed
 * counters. Connection's thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "admin/jsonapi.h"
#include "admin/params.h"
#include "admin/resources.h"
#include "admin/tune.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/core.h"

#define PATH "maxscale"
#define TICK_US 100000 /* execution times of threads are shown in ticks of 100 ms */

void sl_admin_health_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    rs->status = 200;
}

/* ---- /maxscale ---- */

/* Parameters that are known by name in clients but stand for nothing here keep their documented
 * values. */
static json_t *parameters_json(const struct sl_core *core)
{
    const struct sl_global_settings *g = &core->config->global;
    json_t *o = json_object();
    sl_params_add(o, &sl_settings_global, g, NULL);
    sl_tune_show_global(o, core);
    if (g->threads == 0) {
        json_object_set_new(o, "threads", json_integer(core->worker_count));
    }
    if (g->auth_read_timeout == 0) {
        json_object_set_new(o, "auth_read_timeout", json_string("10000ms"));
    }
    if (g->auth_write_timeout == 0) {
        json_object_set_new(o, "auth_write_timeout", json_string("10000ms"));
    }
    return o;
}

static json_t *system_json(const struct sl_core *core)
{
    struct utsname os;
    uname(&os);
    long page = sysconf(_SC_PAGESIZE);
    json_t *machine = json_pack("{s:I, s:I, s:f, s:I, s:I}", "cores_available",
                                (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "cores_physical",
                                (json_int_t)sysconf(_SC_NPROCESSORS_CONF), "cores_virtual",
                                (double)sysconf(_SC_NPROCESSORS_ONLN), "memory_available",
                                (json_int_t)(sysconf(_SC_PHYS_PAGES) * page), "memory_physical",
                                (json_int_t)(sysconf(_SC_PHYS_PAGES) * page));
    json_t *maxscale = json_pack("{s:I, s:i}", "query_classifier_cache_size",
                                 (json_int_t)core->config->global.query_classifier_cache_size,
                                 "threads", (int)core->worker_count);
    json_t *uts =
        json_pack("{s:s, s:s, s:s, s:s, s:s}", "machine", os.machine, "nodename", os.nodename,
                  "release", os.release, "sysname", os.sysname, "version", os.version);
    return json_pack("{s:o, s:o, s:o}", "machine", machine, "maxscale", maxscale, "os", uts);
}

void sl_admin_maxscale_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    const struct sl_core *core = rq->core;
    json_t *o = json_object();
    json_object_set_new(o, "version", json_string(SL_VERSION));
    json_object_set_new(o, "commit", json_string(SL_COMMIT));
    json_object_set_new(o, "started_at", sl_jsonapi_date(core->started_s));
    json_object_set_new(o, "activated_at", sl_jsonapi_date(core->started_s));
    json_object_set_new(o, "uptime",
                        json_integer((json_int_t)((sl_clock_mono_ms() - core->started_ms) / 1000)));
    json_object_set_new(o, "process_datadir", sl_jsonapi_text(core->config->global.datadir));
    json_object_set_new(o, "config_sync", json_null());
    json_object_set_new(o, "system", system_json(core));
    json_object_set_new(o, "parameters", parameters_json(core));
    json_t *resource = sl_jsonapi_resource(rq, PATH, "maxscale", "maxscale", o, NULL);
    json_object_set_new(resource, "links", json_pack("{s:o}", "self", sl_jsonapi_url(rq, PATH)));
    sl_jsonapi_one(rq, rs, resource);
}

/* ---- /maxscale/threads ---- */

static json_t *stats_json(const struct sl_worker *w)
{
    struct sl_loop_stats copy;
    sl_loop_stats_get(w->loop, &copy);
    const struct sl_loop_stats *s = &copy;
    uint32_t sessions = atomic_load_explicit(&w->session_count, memory_order_relaxed);
    json_t *o = json_object();
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"accepts", s->accepts},
        {"reads", s->reads},
        {"writes", s->writes},
        {"errors", s->errors},
        {"hangups", s->hangups},
        {"avg_event_queue_length", s->turns > 0 ? s->events / s->turns : 0},
        {"max_event_queue_length", 0},
        {"max_exec_time", s->max_turn_us / TICK_US},
        {"max_queue_time", 0},
        {"current_descriptors", s->connections},
        {"total_descriptors", s->accepts},
        {"sessions", sessions},
        {"zombies", 0},
        {"turns", s->turns},
        {"bytes_in", s->bytes_in},
        {"bytes_out", s->bytes_out},
        {"ring_submits", s->ring_submits},
    };
    for (unsigned i = 0; i < SL_ARRAY_LEN(numbers); i++) {
        json_object_set_new(o, numbers[i].name, json_integer((json_int_t)numbers[i].value));
    }
    json_object_set_new(o, "state", json_string("Active"));
    json_object_set_new(o, "listening", json_true());
    json_object_set_new(o, "load",
                        json_pack("{s:i, s:i, s:i}", "last_second", (int)s->load_1s_pct,
                                  "last_minute", (int)s->load_1m_pct, "last_hour",
                                  (int)s->load_1h_pct));
    json_object_set_new(o, "memory",
                        json_pack("{s:i, s:i, s:i, s:i}", "query_classifier", 0, "sessions", 0,
                                  "zombies", 0, "total", 0));
    json_object_set_new(o, "query_classifier_cache",
                        json_pack("{s:i, s:i, s:i, s:i, s:i}", "size", 0, "inserts", 0, "hits", 0,
                                  "misses", 0, "evictions", 0));
    return o;
}

static json_t *thread_json(const struct sl_admin_request *rq, const struct sl_worker *w)
{
    char id[16];
    snprintf(id, sizeof id, "%u", w->index);
    return sl_jsonapi_resource(rq, PATH "/threads", "threads", id,
                               json_pack("{s:o}", "stats", stats_json(w)), NULL);
}

void sl_admin_threads_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < rq->core->worker_count; i++) {
        json_array_append_new(list, thread_json(rq, &rq->core->workers[i]));
    }
    sl_jsonapi_many(rq, rs, list);
}

void sl_admin_thread_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    char *end;
    unsigned long n = strtoul(rq->args[0], &end, 10);
    if (rq->args[0][0] < '0' || rq->args[0][0] > '9' || *end != '\0' ||
        n >= rq->core->worker_count) {
        sl_admin_fail_unknown(rs, rq->args[0], "thread");
        return;
    }
    sl_jsonapi_one(rq, rs, thread_json(rq, &rq->core->workers[n]));
}

/* ---- /maxscale/logs ---- */

void sl_admin_logs_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    static const struct {
        enum sl_log_level level;
        const char *name;
    } levels[] = {{SL_LOG_ALERT, "alert"},   {SL_LOG_ERROR, "error"}, {SL_LOG_WARNING, "warning"},
                  {SL_LOG_NOTICE, "notice"}, {SL_LOG_INFO, "info"},   {SL_LOG_DEBUG, "debug"}};
    static const char *const parameters[] = {"log_debug",    "log_info",       "log_notice",
                                             "log_warning",  "log_throttling", "maxlog",
                                             "ms_timestamp", "syslog"};
    const struct sl_global_settings *g = &rq->core->config->global;
    json_t *on = json_array();
    for (unsigned i = 0; i < SL_ARRAY_LEN(levels); i++) {
        if (sl_log_is_on(levels[i].level)) {
            json_array_append_new(on, json_string(levels[i].name));
        }
    }
    json_t *values = json_object();
    for (unsigned i = 0; i < SL_ARRAY_LEN(parameters); i++) {
        json_object_set_new(
            values, parameters[i],
            sl_params_value(sl_settings_find(&sl_settings_global, parameters[i]), g));
    }
    json_t *o = json_object();
    json_object_set_new(o, "log_file", json_sprintf("%s/maxscale.log", g->logdir));
    json_object_set_new(o, "log_priorities", on);
    json_object_set_new(o, "parameters", values);
    json_t *resource = sl_jsonapi_resource(rq, PATH, "logs", "logs", o, NULL);
    sl_jsonapi_one(rq, rs, resource);
}

void sl_admin_logs_flush(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_err err = SL_ERR_INIT;
    if (sl_log_reopen(&err) < 0) {
        sl_admin_fail(rs, 500, "%s", err.text);
        return;
    }
    rs->status = 204;
}
