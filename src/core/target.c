/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services as targets: stand-ins, their states, connections to them. See the header.
 *
 * The status words of stand-ins are written under core->targets_lock only, inner services first, so
 * that the last one to have the lock has seen every change that anybody announced. Each word
 * changes in one step.
 */
#include "core/target.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "core/backend.h"
#include "core/core.h"
#include "core/session.h"

#define DERIVED_BITS                                                                               \
    (SL_SERVER_RUNNING | SL_SERVER_MAINT | SL_SERVER_MASTER | SL_SERVER_SLAVE |                    \
     SL_SERVER_DRAINING | SL_SERVER_JOINED)

/* ---- making ---- */

int sl_target_new(struct sl_service *s, const struct sl_conf_service *conf, unsigned index,
                  struct sl_err *err)
{
    if (!conf->is_target) {
        return SL_OK;
    }
    struct sl_server_settings settings = {.rank = conf->settings.rank};
    int rc = sl_server_new(s->name, &settings, index, s->worker_count, &s->stand_in, err);
    if (rc < 0) {
        return rc;
    }
    s->stand_in->service = s;
    struct sl_listener *l = sl_xcalloc(1, sizeof *l);
    l->name = s->name;
    l->service = s;
    l->settings.mariadbprotocol_allow_replication = true; /* the outer session has asked its own */
    s->inner_listener = l;
    return SL_OK;
}

void sl_target_free(struct sl_service *s)
{
    sl_server_free(s->stand_in);
    sl_free(s->inner_listener);
}

static void add_reached(struct sl_service *s, struct sl_server *server)
{
    for (unsigned i = 0; i < s->reached_count; i++) {
        if (s->reached[i] == server) {
            return;
        }
    }
    s->reached[s->reached_count++] = server;
}

static void link_service(struct sl_core *c, struct sl_service *s,
                         const struct sl_conf_service *conf)
{
    s->servers = sl_xcalloc(conf->target_count + 1, sizeof *s->servers);
    s->reached = sl_xcalloc(c->server_count + 1, sizeof *s->reached);
    for (size_t i = 0; i < conf->target_count; i++) {
        const char *name = conf->targets[i]->name;
        bool is_service = conf->targets[i]->kind == SL_CONF_SERVICE;
        struct sl_service *inner = is_service ? sl_core_service(c, name) : NULL;
        struct sl_server *target = inner ? inner->stand_in : sl_core_server(c, name);
        s->servers[s->server_count++] = target;
        for (unsigned k = 0; inner && k < inner->reached_count; k++) {
            add_reached(s, inner->reached[k]);
        }
        if (!inner) {
            add_reached(s, target);
        }
    }
}

void sl_targets_link(struct sl_core *core)
{
    for (unsigned length = 1; length <= SL_CONF_CHAIN_MAX; length++) {
        for (unsigned i = 0; i < core->service_count; i++) {
            const struct sl_conf_service *conf = &core->config->services[i];
            if (conf->chain_length == length) {
                link_service(core, core->services[i], conf);
            }
        }
    }
}

/* ---- states ---- */

struct view {
    unsigned seen, masters, replicas, choices, choice_masters;
    bool has_joined;
    bool is_galera;
    int64_t lag_s;
    int32_t recv_queue;
    uint64_t ping_us; /* the slowest */
    uint32_t hints;   /* that all of them have */
};

static void look_at(struct view *v, const struct sl_service *s, const struct sl_server *server,
                    uint32_t st)
{
    bool is_master = sl_status_is_master(st);
    bool is_replica = !is_master && (sl_status_is_slave(st) || sl_status_is_relay(st));
    v->seen++;
    v->is_galera &= atomic_load_explicit(&server->is_galera, memory_order_relaxed);
    v->hints &= atomic_load_explicit(&server->hints, memory_order_relaxed);
    v->has_joined |= (is_master || is_replica) && sl_status_is_joined(st);
    v->masters += is_master;
    v->replicas += is_replica;
    if (!(is_master || is_replica) || (s->ops->is_choice && !s->ops->is_choice(s, server, st))) {
        return;
    }
    v->ping_us = SL_MAX(v->ping_us, atomic_load_explicit(&server->ping_us, memory_order_relaxed));
    v->choices++;
    v->choice_masters += is_master;
    if (is_replica) {
        int64_t lag = atomic_load_explicit(&server->lag_s, memory_order_relaxed);
        bool is_known = lag != SL_SERVER_LAG_UNKNOWN && v->lag_s != SL_SERVER_LAG_UNKNOWN;
        v->lag_s = is_known ? SL_MAX(lag, v->lag_s) : SL_SERVER_LAG_UNKNOWN;
        v->recv_queue =
            SL_MAX(v->recv_queue, atomic_load_explicit(&server->recv_queue, memory_order_relaxed));
    }
}

/* The targets that a new session could connect to; without any, the usable ones. */
static struct view look(const struct sl_service *s, bool *ret_is_draining)
{
    struct view v = {0};
    for (int pass = 0; pass < 2 && v.seen == 0; pass++) {
        v = (struct view){.is_galera = true, .hints = UINT32_MAX, .recv_queue = -1};
        *ret_is_draining = pass > 0;
        for (unsigned i = 0; i < s->server_count; i++) {
            uint32_t st = sl_server_status(s->servers[i]);
            if (pass == 0 ? sl_status_is_connectable(st) : sl_status_is_usable(st)) {
                look_at(&v, s, s->servers[i], st);
            }
        }
    }
    return v;
}

/* Master: a write sent there arrives at a Master, whichever server is chosen. */
static uint32_t role_of(const struct sl_service *s, const struct view *v)
{
    bool has_master =
        s->ops->is_choice ? v->choices > 0 && v->choices == v->choice_masters : v->masters > 0;
    return has_master ? SL_SERVER_MASTER : v->masters + v->replicas > 0 ? SL_SERVER_SLAVE : 0;
}

static uint32_t all_in_maintenance(const struct sl_service *s)
{
    const uint32_t both = SL_SERVER_RUNNING | SL_SERVER_MAINT;
    for (unsigned i = 0; i < s->server_count; i++) {
        if ((sl_server_status(s->servers[i]) & both) == both) {
            return both;
        }
    }
    return 0;
}

static uint32_t word_of(const struct sl_service *s, const struct view *v, bool is_draining)
{
    if (v->seen == 0) {
        return all_in_maintenance(s);
    }
    return SL_SERVER_RUNNING | role_of(s, v) | (is_draining ? SL_SERVER_DRAINING : 0) |
           (v->has_joined ? SL_SERVER_JOINED : 0);
}

uint32_t sl_target_status(const struct sl_service *s)
{
    bool is_draining = false;
    struct view v = look(s, &is_draining);
    return word_of(s, &v, is_draining);
}

static bool refresh(struct sl_service *s)
{
    struct sl_server *t = s->stand_in;
    bool is_draining = false;
    struct view v = look(s, &is_draining);
    uint32_t now = word_of(s, &v, is_draining);
    atomic_store_explicit(&t->lag_s, v.lag_s, memory_order_relaxed);
    atomic_store_explicit(&t->is_galera, v.seen > 0 && v.is_galera, memory_order_relaxed);
    atomic_store_explicit(&t->ping_us, v.ping_us, memory_order_relaxed);
    atomic_store_explicit(&t->recv_queue, v.recv_queue, memory_order_relaxed);
    atomic_store_explicit(&t->hints, v.seen > 0 ? v.hints : 0, memory_order_relaxed);
    uint32_t old = sl_server_status_change(t, now, DERIVED_BITS & ~now);
    if (old == now) {
        return false;
    }
    char was[128], is[128];
    sl_status_text(old, 1, was, sizeof was);
    sl_status_text(now, 1, is, sizeof is);
    sl_log_notice("Service '%s' as a target of others: [%s] -> [%s]", s->name, was, is);
    return true;
}

bool sl_targets_refresh(struct sl_core *core)
{
    if (!atomic_load(&core->has_service_targets)) {
        return false;
    }
    bool has_changed = false;
    pthread_mutex_lock(&core->targets_lock);
    for (unsigned length = 1; length <= SL_CONF_CHAIN_MAX; length++) {
        for (unsigned i = 0; i < core->service_count; i++) {
            struct sl_service *s = core->services[i];
            if (s->stand_in && s->chain_length == length) {
                has_changed = refresh(s) || has_changed;
            }
        }
    }
    pthread_mutex_unlock(&core->targets_lock);
    return has_changed;
}

/* ---- connections ---- */

int sl_target_connect(struct sl_backend *b)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0) {
        return SL_ESYS;
    }
    int rc = sl_session_new_inner(b, fds[1]);
    if (rc < 0) {
        close(fds[0]);
        return rc;
    }
    rc = sl_conn_accept(&b->conn, fds[0]);
    if (rc < 0 && b->inner) { /* it sees the end of the socket */
        b->inner->outer = NULL;
        b->inner = NULL;
    }
    return rc;
}
