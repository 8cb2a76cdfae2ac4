/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource `sessions`: asked of the workers by message (core/inspect.h). Connection's thread.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/jsonapi.h"
#include "admin/resources.h"
#include "admin/text.h"
#include "base/clock.h"
#include "core/core.h"
#include "core/history.h"
#include "core/inspect.h"
#include "proto/constants.h"

#define PATH "sessions"
#define TTL_DIGITS_MAX 9
#define NAMES_MS 3000 /* for look-ups of one answer; a slow resolver must not hold it up for long */

/* ISO 8601 in local time, with milliseconds, as MaxScale writes it. */
static json_t *local_time_json(int64_t ms)
{
    char text[40];
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    localtime_r(&seconds, &tm);
    size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + len, sizeof text - len, ".%03d", (int)(ms % 1000));
    return json_string(text);
}

static json_t *responses_json(const struct sl_statement_info *q)
{
    static const char *const states[] = {
        [SL_TRACE_PENDING] = "pending",
        [SL_TRACE_OK] = "ok",
        [SL_TRACE_ERROR] = "error",
        [SL_TRACE_LOST] = "lost",
    };
    json_t *list = json_array();
    for (unsigned i = 0; i < q->reply_count; i++) {
        const struct sl_statement_reply_info *r = &q->replies[i];
        json_t *o = json_pack("{s:s, s:s}", "server", r->server, "state", states[r->state]);
        if (r->state != SL_TRACE_PENDING) {
            json_object_set_new(o, "duration", json_integer((json_int_t)r->duration_us / 1000));
            json_object_set_new(o, "duration_us", json_integer((json_int_t)r->duration_us));
        }
        json_array_append_new(list, o);
    }
    return list;
}

/* One of the last statements: MaxScale's members, then ours. */
static json_t *query_json(const struct sl_statement_info *q)
{
    json_t *o = json_object();
    json_object_set_new(o, "command", json_string(sl_command_info(q->command)->name));
    json_object_set_new(o, "statement", sl_text_json(q->text));
    json_object_set_new(o, "received", local_time_json(q->received_ms));
    if (q->is_complete) {
        json_object_set_new(o, "completed",
                            local_time_json(q->received_ms + (int64_t)(q->duration_us / 1000)));
    }
    json_object_set_new(o, "responses", responses_json(q));
    json_object_set_new(o, "number", json_integer((json_int_t)q->number));
    json_object_set_new(o, "duration_us", json_integer((json_int_t)q->duration_us));
    json_object_set_new(o, "rows", json_integer((json_int_t)q->rows));
    json_object_set_new(o, "error", q->error_code ? json_integer(q->error_code) : json_null());
    json_object_set_new(o, "truncated", json_boolean(q->is_cut));
    json_object_set_new(o, "target", sl_jsonapi_text(q->target));
    json_object_set_new(o, "rule", sl_jsonapi_text(q->rule));
    return o;
}

static json_t *queries_json(const struct sl_session_info *s)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < s->statement_count; i++) {
        json_array_append_new(list, query_json(&s->statements[i]));
    }
    return list;
}

/* What the router keeps of the session: prepared statements, or session commands. */
static json_t *kept_json(const struct sl_session_info *s, bool is_prepared)
{
    static const char *const results[] = {
        [SL_HISTORY_PENDING] = "pending", [SL_HISTORY_OK] = "ok", [SL_HISTORY_ERR] = "error"};
    json_t *list = json_array();
    for (unsigned i = 0; i < s->kept_count; i++) {
        const struct sl_kept_info *k = &s->kept[i];
        if ((k->id != 0) != is_prepared) {
            continue;
        }
        json_t *o = json_pack("{s:s, s:s, s:o}", "command", sl_command_info(k->command)->name,
                              "result", results[k->result], "statement", sl_text_json(k->text));
        if (is_prepared) {
            json_object_set_new(o, "id", json_integer(k->id));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *connections_json(const struct sl_session_info *s)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < s->connection_count; i++) {
        const struct sl_session_connection_info *c = &s->connections[i];
        json_array_append_new(list, json_pack("{s:I, s:s, s:s, s:s, s:i, s:b, s:f}",
                                              "connection_id", (json_int_t)c->thread_id, "server",
                                              c->server, "cipher", c->tls_cipher, "state", c->state,
                                              "pending_replies", (int)c->pending, "primary",
                                              c->is_primary, "idle", (double)c->idle_ms / 1000));
    }
    return list;
}

static json_t *client_json(const struct sl_session_info *s)
{
    json_t *attributes = s->attribute_count > 0 ? json_object() : json_null();
    for (unsigned i = 0; i + 1 < s->attribute_count; i += 2) {
        if (s->attributes[i] != NULL && s->attributes[i + 1] != NULL) {
            json_t *name = sl_text_json(s->attributes[i]);
            json_object_set_new(attributes, json_string_value(name),
                                sl_text_json(s->attributes[i + 1]));
            json_decref(name);
        }
    }
    json_t *o = json_object();
    json_object_set_new(o, "cipher", json_string(s->tls_cipher));
    json_object_set_new(o, "connection_attributes", attributes);
    json_object_set_new(o, "sescmd_history_len", json_integer((json_int_t)s->history_length));
    json_object_set_new(o, "sescmd_history_stored_metadata", json_integer(0));
    json_object_set_new(o, "sescmd_history_stored_responses",
                        json_integer((json_int_t)s->history_length));
    return o;
}

static json_t *buffers_json(uint64_t read, uint64_t write, uint64_t misc)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "readq", (json_int_t)read, "writeq", (json_int_t)write,
                     "misc", (json_int_t)misc, "total", (json_int_t)(read + write + misc));
}

/* Router and session structures have no place of their own among MaxScale's: they are in total. */
static json_t *memory_json(const struct sl_session_info *s)
{
    json_t *backends = json_object();
    for (unsigned i = 0; i < s->connection_count; i++) {
        const struct sl_session_connection_info *c = &s->connections[i];
        json_object_set_new(backends, c->server,
                            buffers_json(c->read_bytes, c->write_bytes,
                                         c->memory_bytes - c->read_bytes - c->write_bytes));
    }
    json_t *buffers = json_pack("{s:o, s:o, s:I}", "backends", backends, "client",
                                buffers_json(0, 0, s->memory_client), "total",
                                (json_int_t)(s->memory_backends + s->memory_client));
    return json_pack("{s:o, s:i, s:I, s:I, s:I, s:i}", "connection_buffers", buffers,
                     "exec_metadata", 0, "last_queries", (json_int_t)s->memory_statements,
                     "sescmd_history", (json_int_t)s->memory_router, "total",
                     (json_int_t)s->memory_bytes, "variables", 0);
}

/* The names of one answer (?rdns=true). Neighbours in the list often come from one host. */
struct names {
    uint64_t deadline_ms; /* 0: addresses are wanted */
    char remote[sizeof((struct sl_session_info *)0)->remote];
    char name[NI_MAXHOST]; /* of `remote`, "" without */
};

static struct names names_of(const struct sl_admin_request *rq)
{
    bool is_wanted =
        sl_admin_param_bool(rq, "rdns", false) && !rq->core->config->global.skip_name_resolve;
    return (struct names){.deadline_ms = is_wanted ? sl_clock_mono_ms() + NAMES_MS : 0};
}

static void look_up(struct names *n, const char *remote)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct addrinfo *address = NULL;
    snprintf(n->remote, sizeof n->remote, "%s", remote);
    if (getaddrinfo(remote, NULL, &hints, &address) != 0 ||
        getnameinfo(address->ai_addr, address->ai_addrlen, n->name, sizeof n->name, NULL, 0,
                    NI_NAMEREQD) != 0) {
        n->name[0] = '\0';
    }
    if (address != NULL) {
        freeaddrinfo(address);
    }
}

/* The client's name; its address when there is none or the time for names is over. Blocks this
 * thread. */
static json_t *remote_json(struct names *n, const char *remote)
{
    bool is_known = n->deadline_ms != 0 && strcmp(n->remote, remote) == 0;
    if (!is_known && sl_clock_mono_ms() < n->deadline_ms) {
        look_up(n, remote);
        is_known = true;
    }
    return sl_text_json(is_known && n->name[0] != '\0' ? n->name : remote);
}

static json_t *parameters_json(const struct sl_admin_request *rq)
{
    const struct sl_global_settings *g = &rq->core->config->global;
    return json_pack("{s:b, s:b, s:b, s:b, s:b}", "log_debug", g->log_debug, "log_error", 1,
                     "log_info", g->log_info, "log_notice", g->log_notice, "log_warning",
                     g->log_warning);
}

static json_t *resource(const struct sl_admin_request *rq, const struct sl_session_info *s,
                        struct names *names)
{
    char id[24];
    snprintf(id, sizeof id, "%llu", (unsigned long long)s->id);
    int64_t alive_s = sl_clock_wall_s() - s->connected_s;
    json_t *o = json_object();
    json_object_set_new(o, "state", json_string(s->state));
    json_object_set_new(o, "user", sl_jsonapi_text(s->user));
    json_object_set_new(o, "remote", remote_json(names, s->remote));
    json_object_set_new(o, "port", json_integer(s->port));
    json_object_set_new(o, "database", sl_text_json(s->database));
    json_object_set_new(o, "connected", sl_jsonapi_date(s->connected_s));
    json_object_set_new(o, "seconds_alive", json_real((double)(alive_s > 0 ? alive_s : 0)));
    json_object_set_new(o, "idle", json_real(s->idle_s));
    json_object_set_new(o, "io_activity", json_integer((json_int_t)s->io_activity));
    json_object_set_new(o, "connections", connections_json(s));
    json_object_set_new(o, "client", client_json(s));
    json_object_set_new(o, "memory", memory_json(s));
    json_object_set_new(o, "parameters", parameters_json(rq));
    json_object_set_new(o, "queries", queries_json(s));
    json_object_set_new(o, "history", kept_json(s, false));
    json_object_set_new(o, "prepared_statements", kept_json(s, true));
    json_object_set_new(o, "thread", json_integer(s->thread));
    json_object_set_new(o, "activity",
                        json_string(s->is_waiting ? "waiting for a server"
                                    : s->is_busy  ? "executing"
                                                  : "idle"));
    json_object_set_new(o, "log", json_array());
    json_object_set_new(o, "locked_to_primary", sl_jsonapi_text(s->why_primary));
    json_object_set_new(o, "transaction",
                        json_string(!s->trx_open       ? "none"
                                    : s->trx_read_only ? "read only"
                                                       : "read write"));
    json_object_set_new(o, "autocommit", json_boolean(s->autocommit));
    json_t *relations = json_object();
    json_t *services = json_array();
    json_array_append_new(services, sl_jsonapi_reference(s->service, "services"));
    sl_jsonapi_relate(rq, relations, PATH, id, "services", services);
    const struct sl_service *service = sl_core_service(rq->core, s->service);
    if (service != NULL) {
        sl_jsonapi_relate(rq, relations, PATH, id, "filters", sl_admin_filter_references(service));
    }
    return sl_jsonapi_resource(rq, PATH, "sessions", id, o, relations);
}

/* A session id; 0 after a 404. */
static uint64_t wanted_id(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    char *end;
    errno = 0;
    unsigned long long id = strtoull(rq->args[0], &end, 10);
    if (rq->args[0][0] < '0' || rq->args[0][0] > '9' || *end != '\0' || errno != 0 || id == 0) {
        sl_admin_fail_unknown(rs, rq->args[0], "session");
        return 0;
    }
    return id;
}

static void fail_timeout(struct sl_admin_response *rs)
{
    sl_admin_fail(rs, 503, "a worker thread did not answer in time");
}

/* The one session of the path; NULL after an error answer. */
static json_t *find(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_session_info *list = NULL;
    unsigned count = 0;
    uint64_t id = wanted_id(rq, rs);
    if (id == 0) {
        return NULL;
    }
    if (sl_inspect_sessions(rq->core, id, &list, &count) < 0) {
        fail_timeout(rs);
        return NULL;
    }
    struct names names = names_of(rq);
    json_t *found = count > 0 ? resource(rq, &list[0], &names) : NULL;
    sl_inspect_free(list, count);
    if (found == NULL) {
        sl_admin_fail_unknown(rs, rq->args[0], "session");
    }
    return found;
}

void sl_admin_sessions_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_session_info *list = NULL;
    unsigned count = 0;
    if (sl_inspect_sessions(rq->core, 0, &list, &count) < 0) {
        fail_timeout(rs);
        return;
    }
    struct names names = names_of(rq);
    json_t *rows = json_array();
    for (unsigned i = 0; i < count; i++) {
        json_array_append_new(rows, resource(rq, &list[i], &names));
    }
    sl_inspect_free(list, count);
    sl_jsonapi_many(rq, rs, rows);
}

void sl_admin_session_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    json_t *found = find(rq, rs);
    if (found != NULL) {
        sl_jsonapi_one(rq, rs, found);
    }
}

void sl_admin_session_relation_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    json_t *found = find(rq, rs);
    if (found == NULL) {
        return;
    }
    if (strcmp(rq->args[1], "services") != 0 && strcmp(rq->args[1], "filters") != 0) {
        json_decref(found);
        sl_admin_fail_unknown(rs, rq->args[1], "relationship of sessions");
        return;
    }
    sl_jsonapi_relationship(rq, rs, found, PATH, rq->args[0], rq->args[1]);
}

/* ?ttl in seconds; false after a 400. */
static bool wanted_ttl(struct sl_admin_request *rq, struct sl_admin_response *rs, uint32_t *ret)
{
    const char *text = sl_admin_param(rq, "ttl");
    size_t len = text != NULL ? strlen(text) : 0;
    if (len > TTL_DIGITS_MAX || (len > 0 && strspn(text, "0123456789") != len)) {
        sl_admin_fail(rs, 400, "'%s' is no ttl: a number of seconds with at most %d digits", text,
                      TTL_DIGITS_MAX);
        return false;
    }
    *ret = len > 0 ? (uint32_t)strtoul(text, NULL, 10) : 0;
    return true;
}

void sl_admin_session_delete(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    uint32_t ttl_s;
    uint64_t id = wanted_id(rq, rs);
    if (id == 0 || !wanted_ttl(rq, rs, &ttl_s)) {
        return;
    }
    int rc = sl_inspect_kill(rq->core, id, ttl_s);
    if (rc == SL_ENOENT) {
        sl_admin_fail_unknown(rs, rq->args[0], "session");
    } else if (rc < 0) {
        fail_timeout(rs);
    } else {
        rs->status = 200;
    }
}
