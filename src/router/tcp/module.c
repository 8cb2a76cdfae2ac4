/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router tcp: the instance, the operations the core calls, and which servers can be used.
 *
 * The instance is made and freed by the control thread; between that, workers read it. workers[i]
 * is worker i's alone, `balance` is for who holds its lock.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/listener.h"
#include "router/routers.h"
#include "router/tcp/tcp.h"

#define RELAYS_KEPT 64 /* free ones per worker */
#define ROLES (SL_SERVER_MASTER | SL_SERVER_SLAVE | SL_SERVER_RELAY | SL_SERVER_BLR)

/* ---- servers ---- */

bool sl_tcp_can_serve(uint32_t status, const struct sl_tcp_checker *check, bool needs_role)
{
    if (check->kind == SL_TCP_CHECK_MONITOR) {
        return sl_status_is_connectable(status) && (!needs_role || (status & ROLES) != 0);
    }
    uint32_t barred = SL_SERVER_MAINT | SL_SERVER_DRAINING | SL_SERVER_NEED_DNS;
    return (status & barred) == 0 && atomic_load_explicit(&check->is_up, memory_order_acquire);
}

bool sl_tcp_is_down(const struct sl_tcp_instance *inst, unsigned position)
{
    const struct sl_tcp_checker *check = &inst->checks[position];
    if (check->kind == SL_TCP_CHECK_MONITOR) {
        return (sl_server_status(inst->service->servers[position]) & SL_SERVER_RUNNING) == 0;
    }
    return !atomic_load_explicit(&check->is_up, memory_order_acquire);
}

/* A monitor that gives roles once gives them for good: without one, a server is no member (a
 * node without quorum). */
static bool needs_role(struct sl_tcp_instance *inst)
{
    if (atomic_load_explicit(&inst->has_seen_roles, memory_order_relaxed)) {
        return true;
    }
    for (unsigned i = 0; i < inst->service->server_count; i++) {
        if (inst->checks[i].kind == SL_TCP_CHECK_MONITOR &&
            (sl_server_status(inst->service->servers[i]) & ROLES) != 0) {
            atomic_store_explicit(&inst->has_seen_roles, true, memory_order_relaxed);
            return true;
        }
    }
    return false;
}

static bool has_room(const struct sl_server *s, uint32_t connections)
{
    int64_t limit = s->settings.max_routing_connections;
    return limit <= 0 || connections < (uint64_t)limit;
}

int sl_tcp_choose(struct sl_tcp_instance *inst, uint64_t tried)
{
    struct sl_tcp_candidate list[SL_TCP_SERVERS_MAX];
    unsigned count = inst->service->server_count;
    bool with_role = needs_role(inst);
    for (unsigned i = 0; i < count; i++) {
        const struct sl_server *s = inst->service->servers[i];
        uint32_t connections = sl_server_connections(s);
        list[i] = (struct sl_tcp_candidate){
            .can_serve = (tried >> i & 1) == 0 && has_room(s, connections) &&
                         sl_tcp_can_serve(sl_server_status(s), &inst->checks[i], with_role),
            .rank = (uint32_t)s->settings.rank,
            .weight = (uint32_t)s->settings.weight,
            .connections = connections,
        };
    }
    pthread_mutex_lock(&inst->balance_lock);
    int position = sl_tcp_balance_choose((enum sl_tcp_balance)inst->settings->balance, list, count,
                                         &inst->balance);
    pthread_mutex_unlock(&inst->balance_lock);
    return position;
}

/* ---- the instance ---- */

/* Another service before this one already publishes what it finds out about the server. */
static bool is_published_elsewhere(const struct sl_service *service, const struct sl_server *server)
{
    const struct sl_core *core = service->core;
    for (unsigned i = 0; i < core->service_count && core->services[i] != service; i++) {
        const struct sl_service *other = core->services[i];
        const struct sl_tcp_instance *inst = other->instance;
        for (unsigned k = 0; other->router == &sl_module_tcp && inst && k < other->server_count;
             k++) {
            if (other->servers[k] == server && inst->checks[k].publishes) {
                return true;
            }
        }
    }
    return false;
}

static void init_check(struct sl_tcp_instance *inst, unsigned i)
{
    struct sl_tcp_checker *c = &inst->checks[i];
    struct sl_service *service = inst->service;
    struct sl_server *server = service->servers[i];
    bool is_monitored = sl_core_monitor_of(service->core, server) != NULL;
    c->instance = inst;
    c->server = server;
    c->kind = (enum sl_tcp_check)inst->settings->check;
    if (c->kind == SL_TCP_CHECK_MONITOR && !is_monitored) {
        sl_log_notice("Service '%s': server '%s' has no monitor, it is checked by connecting to it "
                      "(check=tcp)",
                      service->name, server->name);
        c->kind = SL_TCP_CHECK_CONNECT;
    }
    c->publishes = c->kind != SL_TCP_CHECK_MONITOR && !is_monitored &&
                   !is_published_elsewhere(service, server);
    c->stop_fd = c->wake_fd = -1;
}

static void init_worker(struct sl_tcp_instance *inst, unsigned i)
{
    struct sl_tcp_worker *tw = &inst->workers[i];
    tw->instance = inst;
    tw->worker = &inst->service->core->workers[i];
    sl_list_init(&tw->relays);
    sl_list_init(&tw->leaving);
    sl_pool_init(&tw->pool, sizeof(struct sl_tcp_relay), RELAYS_KEPT);
}

int sl_tcp_instance_new(struct sl_service *service, struct sl_tcp_instance **ret,
                        struct sl_err *err)
{
    if (service->server_count > SL_TCP_SERVERS_MAX) {
        return sl_err_set(err, SL_ELIMIT, "router=tcp takes at most %d servers",
                          SL_TCP_SERVERS_MAX);
    }
    struct sl_tcp_instance *inst = sl_xcalloc(1, sizeof *inst);
    inst->service = service;
    pthread_mutex_init(&inst->balance_lock, NULL);
    inst->balance.last = service->server_count > 0 ? service->server_count - 1 : 0;
    inst->settings = service->router_settings;
    inst->idle_ms = (uint64_t)(inst->settings->idle_timeout > 0 ? inst->settings->idle_timeout
                                                                : service->settings.wait_timeout);
    inst->checks = sl_xcalloc(service->server_count + 1, sizeof *inst->checks);
    for (unsigned i = 0; i < service->server_count; i++) {
        init_check(inst, i);
    }
    inst->worker_count = service->worker_count;
    /* One set of cache lines per worker: plain calloc does not promise the alignment. */
    inst->workers =
        aligned_alloc(_Alignof(struct sl_tcp_worker), inst->worker_count * sizeof *inst->workers);
    if (inst->workers == NULL) {
        inst->worker_count = 0;
        sl_tcp_instance_free(inst);
        return sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    memset(inst->workers, 0, inst->worker_count * sizeof *inst->workers);
    for (unsigned i = 0; i < inst->worker_count; i++) {
        init_worker(inst, i);
    }
    int rc = sl_tcp_checks_start(inst, err);
    if (rc < 0) {
        sl_tcp_instance_free(inst);
        return rc;
    }
    *ret = inst;
    return SL_OK;
}

void sl_tcp_instance_free(struct sl_tcp_instance *inst)
{
    sl_tcp_checks_stop(inst);
    for (unsigned i = 0; i < inst->worker_count; i++) {
        sl_pool_clear(&inst->workers[i].pool);
    }
    pthread_mutex_destroy(&inst->balance_lock);
    free(inst->workers);
    sl_free(inst->checks);
    sl_free(inst);
}

/* ---- operations ---- */

/* Bytes pass untouched, so TLS is a matter between client and server. */
static void warn_of_tls(const struct sl_service *service)
{
    const struct sl_config *config = service->core->config;
    for (size_t i = 0; config && i < config->listener_count; i++) {
        const struct sl_conf_listener *l = &config->listeners[i];
        if (l->settings.tls.ssl && strcmp(l->service->object.name, service->name) == 0) {
            sl_log_warning("Listener '%s': ssl has no effect with router=tcp: clients speak TLS "
                           "with the servers",
                           l->object.name);
        }
    }
}

static int instance_new(struct sl_service *service, void **ret, struct sl_err *err)
{
    struct sl_tcp_instance *inst = NULL;
    int rc = sl_tcp_instance_new(service, &inst, err);
    if (rc == SL_OK) {
        warn_of_tls(service);
        *ret = inst;
    }
    return rc;
}

static void instance_free(void *instance)
{
    sl_tcp_instance_free(instance);
}

static void diagnostics(const struct sl_service *service, struct sl_diag *out)
{
    const struct sl_tcp_instance *inst = service->instance;
    uint64_t up = 0, down = 0, retries = 0, refused = 0, cut = 0;
    for (unsigned i = 0; i < inst->worker_count; i++) {
        const struct sl_tcp_worker *tw = &inst->workers[i];
        up += atomic_load_explicit(&tw->bytes_to_servers, memory_order_relaxed);
        down += atomic_load_explicit(&tw->bytes_to_clients, memory_order_relaxed);
        retries += atomic_load_explicit(&tw->retries, memory_order_relaxed);
        refused += atomic_load_explicit(&tw->refused, memory_order_relaxed);
        cut += atomic_load_explicit(&tw->cut, memory_order_relaxed);
    }
    sl_diag_int(out, "bytes_to_servers", (int64_t)up);
    sl_diag_int(out, "bytes_to_clients", (int64_t)down);
    sl_diag_int(out, "connect_retries", (int64_t)retries);
    sl_diag_int(out, "refused_connections", (int64_t)refused);
    sl_diag_int(out, "cut_connections", (int64_t)cut);
    sl_diag_object_begin(out, "servers");
    for (unsigned i = 0; i < service->server_count; i++) {
        sl_diag_text(out, service->servers[i]->name, sl_tcp_is_down(inst, i) ? "down" : "up");
    }
    sl_diag_end(out);
}

static void accept_client(struct sl_listener *listener, struct sl_worker *worker, int fd,
                          const struct sockaddr_storage *peer, const struct sockaddr_storage *local)
{
    struct sl_tcp_instance *inst = listener->service->instance;
    sl_tcp_relay_accept(&inst->workers[worker->index], listener, fd, peer, local);
}

static void on_worker_topology(struct sl_service *service, struct sl_worker *worker)
{
    struct sl_tcp_instance *inst = service->instance;
    sl_tcp_relays_cut(&inst->workers[worker->index]);
}

static void on_worker_hangup(struct sl_service *service, struct sl_worker *worker,
                             const struct sl_server *server)
{
    struct sl_tcp_instance *inst = service->instance;
    sl_tcp_relays_hang_up(&inst->workers[worker->index], server);
}

static void worker_end(struct sl_service *service, struct sl_worker *worker)
{
    struct sl_tcp_instance *inst = service->instance;
    sl_tcp_relays_end(&inst->workers[worker->index]);
}

static const struct sl_router_ops ops = {
    .instance_new = instance_new,
    .instance_free = instance_free,
    .diagnostics = diagnostics,
    .accept = accept_client,
    .worker_end = worker_end,
    .on_worker_topology = on_worker_topology,
    .on_worker_hangup = on_worker_hangup,
};

const struct sl_module sl_module_tcp = {
    .name = "tcp",
    .kind = SL_MODULE_ROUTER,
    .version = "1.0.0",
    .description = "Balances connections and relays their bytes, without a login of its own",
    .maturity = "Beta",
    .settings = &sl_settings_tcp,
    .ops = &ops,
};
