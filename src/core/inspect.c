/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at sessions from outside their workers. The collector is reference counted by hand: one
 * reference per worker message and one of the caller, since a caller that gives up must not free
 * what a slow worker still fills.
 */
#include "core/inspect.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "core/core.h"
#include "core/session.h"
#include "proto/handshake.h"

#define WAIT_S 2

struct part {
    struct sl_message message;
    struct collector *collector;
    struct sl_worker *worker;
    struct sl_session_info *list;
    unsigned count;
};

struct collector {
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned refs;
    unsigned waiting;
    uint64_t only_id;
    bool kill;
    unsigned killed;
    unsigned part_count;
    struct part parts[];
};

static void unref(struct collector *c)
{
    pthread_mutex_lock(&c->lock);
    bool is_last = --c->refs == 0;
    pthread_mutex_unlock(&c->lock);
    if (!is_last) {
        return;
    }
    for (unsigned i = 0; i < c->part_count; i++) {
        sl_inspect_free(c->parts[i].list, c->parts[i].count);
    }
    pthread_cond_destroy(&c->done);
    pthread_mutex_destroy(&c->lock);
    sl_free(c);
}

static void fill_connections(const struct sl_session *s, struct sl_session_info *info)
{
    info->connections = sl_calloc(s->backend_count, sizeof *info->connections);
    for (unsigned i = 0; info->connections && i < s->backend_count; i++) {
        const struct sl_backend *b = s->backends[i];
        if (!b) {
            continue;
        }
        struct sl_session_connection_info *ci = &info->connections[info->connection_count++];
        snprintf(ci->server, sizeof ci->server, "%s", b->server->name);
        snprintf(ci->state, sizeof ci->state, "%s", sl_backend_step_text(b->step));
        ci->thread_id = b->thread_id;
        ci->pending = b->queue_count;
        info->memory_bytes +=
            sizeof *b + b->conn.in.cap + b->conn.out.cap + b->stmt_capacity * sizeof *b->stmts;
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

static void fill(const struct sl_session *s, struct sl_session_info *info)
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
    info->memory_bytes = sizeof *s + s->attributes_len + s->client.in.cap + s->client.out.cap;
    if (s->ops->memory) {
        info->memory_bytes += s->ops->memory(s, &info->history_length);
    }
    const char *why = s->ops->why_primary ? s->ops->why_primary(s) : NULL;
    snprintf(info->why_primary, sizeof info->why_primary, "%s", why ? why : "");
    fill_connections(s, info);
    fill_attributes(s, info);
}

static bool is_wanted(const struct sl_session *s, const struct collector *c)
{
    return s->listener && (c->only_id == 0 || s->id == c->only_id);
}

static void collect(struct sl_message *m, struct sl_loop *loop)
{
    struct part *p = SL_CONTAINER_OF(m, struct part, message);
    struct collector *c = p->collector;
    struct sl_worker *w = p->worker;
    unsigned killed = 0;
    unsigned room = atomic_load(&w->session_count);
    p->list = c->kill ? NULL : sl_calloc(room, sizeof *p->list);
    SL_LIST_FOR_EACH (node, &w->sessions) {
        struct sl_session *s = SL_CONTAINER_OF(node, struct sl_session, node);
        if (!is_wanted(s, c)) {
            continue;
        }
        if (c->kill) {
            s->is_killed = true;
            sl_session_close(s, "killed through the admin interface");
            killed++;
        } else if (p->list && p->count < room) {
            fill(s, &p->list[p->count++]);
        }
    }
    pthread_mutex_lock(&c->lock);
    c->killed += killed;
    if (--c->waiting == 0) {
        pthread_cond_signal(&c->done);
    }
    pthread_mutex_unlock(&c->lock);
    unref(c);
}

/* Sends the messages and waits. The caller unrefs. NULL: a worker did not answer. */
static struct collector *run(struct sl_core *core, uint64_t only_id, bool kill, int *ret_rc)
{
    struct collector *c = sl_xcalloc(1, sizeof *c + core->worker_count * sizeof c->parts[0]);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->done, &attr);
    pthread_condattr_destroy(&attr);
    c->only_id = only_id;
    c->kill = kill;
    c->part_count = c->waiting = core->worker_count;
    c->refs = core->worker_count + 1;
    for (unsigned i = 0; i < core->worker_count; i++) {
        c->parts[i].message.run = collect;
        c->parts[i].collector = c;
        c->parts[i].worker = &core->workers[i];
    }
    for (unsigned i = 0; i < core->worker_count; i++) {
        sl_loop_post(core->workers[i].loop, &c->parts[i].message);
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_S;
    int rc = 0;
    pthread_mutex_lock(&c->lock);
    while (c->waiting > 0 && rc == 0) {
        rc = pthread_cond_timedwait(&c->done, &c->lock, &until);
    }
    *ret_rc = c->waiting > 0 ? SL_ETIMEOUT : SL_OK;
    pthread_mutex_unlock(&c->lock);
    return c;
}

int sl_inspect_sessions(struct sl_core *core, uint64_t only_id, struct sl_session_info **ret,
                        unsigned *ret_count)
{
    *ret = NULL;
    *ret_count = 0;
    int rc;
    struct collector *c = run(core, only_id, false, &rc);
    if (rc == SL_OK) {
        unsigned total = 0;
        for (unsigned i = 0; i < c->part_count; i++) {
            total += c->parts[i].count;
        }
        *ret = sl_xcalloc(total + 1, sizeof **ret);
        for (unsigned i = 0; i < c->part_count; i++) {
            struct part *p = &c->parts[i];
            if (p->count > 0) {
                memcpy(*ret + *ret_count, p->list, p->count * sizeof *p->list);
            }
            *ret_count += p->count;
            p->count = 0; /* what the entries own has moved */
        }
    }
    unref(c);
    return rc;
}

void sl_inspect_free(struct sl_session_info *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        sl_free(list[i].connections);
        for (unsigned k = 0; k < list[i].attribute_count; k++) {
            sl_free(list[i].attributes[k]);
        }
        sl_free(list[i].attributes);
    }
    sl_free(list);
}

int sl_inspect_kill(struct sl_core *core, uint64_t id)
{
    int rc;
    struct collector *c = run(core, id, true, &rc);
    if (rc == SL_OK && c->killed == 0) {
        rc = SL_ENOENT;
    }
    unref(c);
    return rc;
}
