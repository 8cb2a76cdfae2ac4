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
#include "core/inspect.h"

#define PATH "sessions"
#define NAMES_MS 3000 /* for look-ups of one answer; a slow resolver must not hold it up for long */

static json_t *connections_json(const struct sl_session_info *s)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < s->connection_count; i++) {
        const struct sl_session_connection_info *c = &s->connections[i];
        json_array_append_new(list,
                              json_pack("{s:I, s:s, s:s, s:s, s:i}", "connection_id",
                                        (json_int_t)c->thread_id, "server", c->server, "cipher", "",
                                        "state", c->state, "pending_replies", (int)c->pending));
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

/* There is one estimate per session; the places are kept so that clients find them. */
static json_t *memory_json(const struct sl_session_info *s)
{
    return json_pack("{s:{s:{}, s:{s:i, s:i, s:i, s:i}, s:i}, s:i, s:i, s:i, s:I, s:i}",
                     "connection_buffers", "backends", "client", "misc", 0, "readq", 0, "total", 0,
                     "writeq", 0, "total", 0, "exec_metadata", 0, "last_queries", 0,
                     "sescmd_history", 0, "total", (json_int_t)s->memory_bytes, "variables", 0);
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
    json_object_set_new(o, "queries", json_array());
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

void sl_admin_session_delete(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    uint64_t id = wanted_id(rq, rs);
    if (id == 0) {
        return;
    }
    int rc = sl_inspect_kill(rq->core, id);
    if (rc == SL_ENOENT) {
        sl_admin_fail_unknown(rs, rq->args[0], "session");
    } else if (rc < 0) {
        fail_timeout(rs);
    } else {
        rs->status = 200;
    }
}
