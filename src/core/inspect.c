/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at sessions from outside their workers: each worker fills one part of the answer
 * (core/ask.h), the asker puts the parts together.
 */
#include "core/inspect.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "core/ask.h"
#include "core/core.h"
#include "core/recorder.h"
#include "core/session.h"
#include "proto/handshake.h"

/* A worker's part of the answer. */
struct part {
    struct sl_session_info *list;
    unsigned count;
};

static uint64_t memory_of(const struct sl_backend *b)
{
    return sizeof *b + b->conn.in.cap + b->conn.out.cap + b->stmt_capacity * sizeof *b->stmts;
}

static void fill_connection(const struct sl_backend *b, struct sl_session_connection_info *ci)
{
    *ci = (struct sl_session_connection_info){0};
    snprintf(ci->server, sizeof ci->server, "%s", b->server->name);
    snprintf(ci->state, sizeof ci->state, "%s", sl_backend_step_text(b->step));
    ci->thread_id = b->thread_id;
    ci->pending = b->queue_count;
    ci->idle_ms = sl_loop_now_ms(b->session->worker->loop) - b->last_used_ms;
    ci->is_primary = sl_status_is_master(sl_server_status(b->server));
    ci->read_bytes = b->conn.in.cap;
    ci->write_bytes = b->conn.out.cap;
    ci->memory_bytes = memory_of(b);
    const char *cipher = sl_conn_tls_cipher(&b->conn);
    snprintf(ci->tls_cipher, sizeof ci->tls_cipher, "%s", cipher ? cipher : "");
}

/* Those to servers; for one to a service those of its inner session. The depth is bounded:
 * SL_CONF_CHAIN_MAX. */
static void fill_connections(const struct sl_session *s, struct sl_session_info *info)
{
    for (unsigned i = 0; i < s->backend_count; i++) {
        const struct sl_backend *b = s->backends[i];
        if (!b) {
            continue;
        }
        info->memory_backends += memory_of(b);
        if (b->inner) {
            info->memory_backends += sizeof *b->inner;
            fill_connections(b->inner, info);
            continue;
        }
        struct sl_session_connection_info *list =
            sl_realloc(info->connections, (info->connection_count + 1) * sizeof *list);
        if (!list) {
            return;
        }
        info->connections = list;
        fill_connection(b, &list[info->connection_count++]);
    }
}

static void fill_attributes(const struct sl_session *s, struct sl_session_info *info)
{
    struct sl_reader r = sl_reader(s->attributes, s->attributes_len);
    struct sl_slice key, value;
    while (info->attribute_count < 128 && sl_attributes_next(&r, &key, &value)) {
        char **list = sl_realloc(info->attributes, (info->attribute_count + 2) * sizeof *list);
        if (!list) {
            return;
        }
        info->attributes = list;
        list[info->attribute_count++] = sl_strndup((const char *)key.data, key.len);
        list[info->attribute_count++] = sl_strndup((const char *)value.data, value.len);
    }
}

static void fill_statement(const struct sl_session *s, const struct sl_trace_entry *e,
                           struct sl_statement_info *info)
{
    info->number = e->number;
    info->received_ms = e->received_ms;
    info->duration_us =
        e->is_complete ? e->duration_us : sl_loop_now_us(s->worker->loop) - e->begun_us;
    info->rows = e->rows;
    info->error_code = e->error_code;
    info->command = e->command;
    info->is_complete = e->is_complete;
    info->is_cut = e->full_len > e->text_len;
    info->text = sl_strndup(e->text ? e->text : "", e->text_len);
    if (e->has_route) {
        struct sl_route_text text = s->ops->route_text(e->route.rule);
        bool names_server = e->route.position >= 0;
        snprintf(info->target, sizeof info->target, "%s", text.target);
        snprintf(info->rule, sizeof info->rule, "%s%s%s", text.rule, names_server ? " on " : "",
                 names_server ? s->service->servers[e->route.position]->name : "");
    }
    info->reply_count = e->reply_count;
    info->more_replies = e->more_replies;
    for (unsigned i = 0; i < e->reply_count; i++) {
        snprintf(info->replies[i].server, sizeof info->replies[i].server, "%s",
                 s->service->servers[e->replies[i].position]->name);
        info->replies[i].duration_us = e->replies[i].duration_us;
        info->replies[i].state = e->replies[i].state;
    }
}

static void fill_statements(const struct sl_session *s, struct sl_session_info *info)
{
    const struct sl_trace *t = &s->recorder->trace;
    info->memory_statements = sizeof *s->recorder + sl_trace_memory(t);
    info->statements = t->count > 0 ? sl_calloc(t->count, sizeof *info->statements) : NULL;
    for (unsigned i = 0; info->statements && i < t->count; i++) {
        fill_statement(s, sl_trace_at(t, i), &info->statements[info->statement_count++]);
    }
}

#define KEPT_MAX 1000 /* statements shown of what a router keeps */

struct kept_list {
    const struct sl_session *session;
    struct sl_session_info *info;
};

static void add_kept(void *arg, const struct sl_kept_statement *kept)
{
    struct kept_list *k = arg;
    struct sl_session_info *info = k->info;
    char buf[SL_TRACE_TEXT_MAX];
    if (info->kept_count == KEPT_MAX) {
        return;
    }
    struct sl_kept_info *list = sl_realloc(info->kept, (info->kept_count + 1) * sizeof *info->kept);
    if (!list) {
        return;
    }
    struct sl_slice text = sl_recorder_shown(k->session, kept->text, buf, sizeof buf);
    info->kept = list;
    list[info->kept_count++] = (struct sl_kept_info){
        .id = kept->id,
        .command = kept->command,
        .result = kept->result,
        .text = sl_strndup((const char *)text.data, SL_MIN(text.len, sizeof buf)),
    };
}

static const char *state_text(const struct sl_session *s)
{
    switch ((enum sl_session_step)s->step) {
    case SL_SESSION_READY:
        return "Session started";
    case SL_SESSION_CLOSING:
        return "Stopping session";
    default:
        return "Session created";
    }
}

static void fill(const struct sl_session *s, struct sl_session_info *info, bool is_only)
{
    uint64_t now = sl_loop_now_ms(s->worker->loop);
    info->id = s->id;
    snprintf(info->service, sizeof info->service, "%s", s->service->name);
    snprintf(info->state, sizeof info->state, "%s", state_text(s));
    snprintf(info->user, sizeof info->user, "%s", s->client_user ? s->client_user : "");
    snprintf(info->database, sizeof info->database, "%s", s->db ? s->db : "");
    sl_address_text(&s->peer, info->remote, sizeof info->remote);
    info->port = sl_address_port(&s->peer);
    info->connected_s = s->connected_s;
    info->idle_s = (double)(now - s->active_ms) / 1000;
    const char *cipher = sl_conn_tls_cipher(&s->client);
    snprintf(info->tls_cipher, sizeof info->tls_cipher, "%s", cipher ? cipher : "");
    info->trx_open = s->trx.is_open;
    info->trx_read_only = s->trx.is_read_only;
    info->autocommit = s->trx.autocommit;
    info->io_activity = s->bytes_moved;
    info->thread = s->worker->index;
    info->is_busy = s->busy || s->held;
    info->is_waiting = s->held;
    snprintf(info->isolation, sizeof info->isolation, "%s",
             s->trx.is_serializable ? "SERIALIZABLE" : "");
    info->memory_client = s->client.in.cap + s->client.out.cap;
    if (s->ops->memory && s->router) {
        info->memory_router = s->ops->memory(s, &info->history_length);
    }
    if (s->recorder) {
        fill_statements(s, info);
    }
    if (is_only && s->ops->each_kept && s->router) {
        s->ops->each_kept(s, add_kept, &(struct kept_list){s, info});
    }
    const char *why = s->ops->why_primary ? s->ops->why_primary(s) : NULL;
    snprintf(info->why_primary, sizeof info->why_primary, "%s", why ? why : "");
    fill_connections(s, info);
    fill_attributes(s, info);
    info->memory_bytes = sizeof *s + s->attributes_len + info->memory_client +
                         info->memory_backends + info->memory_router + info->memory_statements;
}

static bool is_wanted(const struct sl_session *s, uint64_t only_id)
{
    return s->listener && !sl_session_is_inner(s) && (only_id == 0 || s->id == only_id);
}

static void answer_list(struct sl_worker *w, void *part, uint64_t only_id)
{
    struct part *p = part;
    unsigned room = atomic_load(&w->session_count);
    p->list = sl_calloc(room + 1, sizeof *p->list);
    SL_LIST_FOR_EACH (node, &w->sessions) {
        struct sl_session *s = SL_CONTAINER_OF(node, struct sl_session, node);
        if (is_wanted(s, only_id) && p->list && p->count < room) {
            fill(s, &p->list[p->count++], only_id != 0);
        }
    }
}

static void clear_list(void *part)
{
    struct part *p = part;
    sl_inspect_free(p->list, p->count);
}

/* `arg`: seconds until then in the upper half, the id in the lower. */
static void answer_kill(struct sl_worker *w, void *part, uint64_t arg)
{
    struct part *p = part;
    uint64_t id = arg & UINT32_MAX;
    uint64_t ttl_s = arg >> 32;
    SL_LIST_FOR_EACH (node, &w->sessions) {
        struct sl_session *s = SL_CONTAINER_OF(node, struct sl_session, node);
        if (!is_wanted(s, id)) {
            continue;
        }
        if (ttl_s == 0) {
            sl_session_kill(s);
        } else {
            s->ends_at_ms = sl_loop_now_ms(w->loop) + ttl_s * 1000;
        }
        p->count++;
    }
}

int sl_inspect_sessions(struct sl_core *core, uint64_t only_id, struct sl_session_info **ret,
                        unsigned *ret_count)
{
    static const struct sl_question question = {answer_list, clear_list, sizeof(struct part)};
    struct sl_answers *answers;
    *ret = NULL;
    *ret_count = 0;
    int rc = sl_ask(core, &question, only_id, &answers);
    if (rc < 0) {
        return rc;
    }
    unsigned total = 0;
    for (unsigned i = 0; i < core->worker_count; i++) {
        total += ((struct part *)sl_answers_part(answers, i))->count;
    }
    *ret = sl_xcalloc(total + 1, sizeof **ret);
    for (unsigned i = 0; i < core->worker_count; i++) {
        struct part *p = sl_answers_part(answers, i);
        if (p->count > 0) {
            memcpy(*ret + *ret_count, p->list, p->count * sizeof *p->list);
        }
        *ret_count += p->count;
        p->count = 0; /* what the entries own has moved */
    }
    sl_answers_free(answers);
    return SL_OK;
}

static void free_info(struct sl_session_info *info)
{
    sl_free(info->connections);
    for (unsigned k = 0; k < info->attribute_count; k++) {
        sl_free(info->attributes[k]);
    }
    sl_free(info->attributes);
    for (unsigned k = 0; k < info->statement_count; k++) {
        sl_free(info->statements[k].text);
    }
    sl_free(info->statements);
    for (unsigned k = 0; k < info->kept_count; k++) {
        sl_free(info->kept[k].text);
    }
    sl_free(info->kept);
}

void sl_inspect_free(struct sl_session_info *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        free_info(&list[i]);
    }
    sl_free(list);
}

int sl_inspect_kill(struct sl_core *core, uint64_t id, uint32_t ttl_s)
{
    static const struct sl_question question = {answer_kill, NULL, sizeof(struct part)};
    struct sl_answers *answers;
    if (id == 0 || id > UINT32_MAX) { /* 0 would mean all of them; ids have 32 bits */
        return SL_ENOENT;
    }
    int rc = sl_ask(core, &question, (uint64_t)ttl_s << 32 | id, &answers);
    if (rc < 0) {
        return rc;
    }
    unsigned killed = 0;
    for (unsigned i = 0; i < core->worker_count; i++) {
        killed += ((struct part *)sl_answers_part(answers, i))->count;
    }
    sl_answers_free(answers);
    return killed > 0 ? SL_OK : SL_ENOENT;
}
