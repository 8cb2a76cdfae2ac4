/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readconnroute: one server per session, chosen at its start; commands pass untouched.
 *
 * Before every statement the server is looked at again: when it is not usable any more or has lost
 * the wanted role, the session ends. No retries, no history.
 */
#include "base/log.h"
#include "base/mem.h"
#include "core/session.h"
#include "proto/constants.h"
#include "router/routers.h"

#define NONE (-1)

/* Router state of a session: small enough to be encoded in the pointer (position + 1). */
static int position_of(const struct sl_session *s)
{
    return (int)(uintptr_t)s->router - 1;
}

static const struct sl_readconn_settings *settings_of(const struct sl_session *s)
{
    return s->service->router_settings;
}

static bool has_wanted_role(const struct sl_readconn_settings *cfg, uint32_t status)
{
    int64_t want = cfg->router_options;
    bool is_master = sl_status_is_master(status);
    if ((want & SL_READCONN_MASTER) && is_master) {
        return true;
    }
    if (is_master && !cfg->master_accept_reads) {
        return false;
    }
    return ((want & SL_READCONN_SLAVE) && sl_status_is_slave(status)) ||
           ((want & SL_READCONN_SYNCED) && sl_status_is_joined(status)) ||
           ((want & SL_READCONN_RUNNING) && sl_status_is_usable(status));
}

static bool is_lag_ok(const struct sl_readconn_settings *cfg, const struct sl_server *server,
                      uint32_t status)
{
    int64_t lag = atomic_load_explicit(&server->lag_s, memory_order_relaxed);
    return cfg->max_replication_lag <= 0 || sl_status_is_master(status) ||
           (lag != SL_SERVER_LAG_UNKNOWN && lag < cfg->max_replication_lag / 1000);
}

static bool is_better(const struct sl_server *a, const struct sl_server *b)
{
    if (a->settings.rank != b->settings.rank) {
        return a->settings.rank < b->settings.rank;
    }
    return sl_server_connections(a) < sl_server_connections(b);
}

static int choose(const struct sl_session *s, bool only_master)
{
    const struct sl_readconn_settings *cfg = settings_of(s);
    int best = NONE;
    for (int i = 0; i < (int)s->backend_count; i++) {
        struct sl_server *server = s->service->servers[i];
        uint32_t st = sl_server_status(server);
        bool fits = only_master ? sl_status_is_master(st)
                                : has_wanted_role(cfg, st) && is_lag_ok(cfg, server, st);
        if (fits && sl_status_is_connectable(st) &&
            (best == NONE || is_better(server, s->service->servers[best]))) {
            best = i;
        }
    }
    return best;
}

static int session_open(struct sl_session *s, struct sl_err *err)
{
    int position = choose(s, false);
    if (position == NONE && settings_of(s)->router_options != SL_READCONN_MASTER) {
        position = choose(s, true); /* the primary is the last resort */
    }
    if (position == NONE) {
        return sl_err_set(err, SL_ENOENT, "Service '%s' has no suitable server", s->service->name);
    }
    int rc = sl_backend_open(s, (unsigned)position);
    if (rc < 0) {
        return sl_err_set(err, rc, "Server '%s' cannot be connected: %s",
                          s->service->servers[position]->name, sl_rc_text(rc));
    }
    s->router = (void *)(uintptr_t)(position + 1);
    return SL_OK;
}

static void session_close(struct sl_session *s)
{
    s->router = NULL;
}

static bool is_still_wanted(const struct sl_session *s, const struct sl_server *server)
{
    uint32_t st = sl_server_status(server);
    return sl_status_is_usable(st) &&
           (has_wanted_role(settings_of(s), st) || sl_status_is_master(st));
}

static void on_request(struct sl_session *s, struct sl_request *rq)
{
    struct sl_backend *b = s->backends[position_of(s)];
    if (!b) {
        sl_session_fail(s, SL_ER_NET_READ_ERROR, "08S01", "Lost connection to the server");
        return;
    }
    if (!is_still_wanted(s, b->server)) {
        sl_session_fail(s, SL_ER_NET_READ_ERROR, "08S01", "Server '%s' is not suitable any more",
                        b->server->name);
        return;
    }
    if (!sl_backend_is_ready(b)) {
        sl_session_hold(s);
        return;
    }
    struct sl_service_counters *c = sl_session_counters(s);
    sl_count(&c->queries, 1);
    if (sl_backend_send(b, rq->data, rq->len, SL_PURPOSE_CLIENT, 0) < 0) {
        sl_session_fail(s, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
    }
}

static void on_reply(struct sl_session *s, struct sl_backend *b, const struct sl_reply *reply,
                     uint8_t purpose)
{
}

static void on_backend_ready(struct sl_session *s, struct sl_backend *b)
{
    sl_session_unhold(s);
}

static void on_backend_lost(struct sl_session *s, struct sl_backend *b, const char *why)
{
    if (b->why_code == SL_ER_ACCESS_DENIED || b->why_code == SL_ER_DBACCESS_DENIED ||
        b->why_code == SL_ER_BAD_DB) {
        sl_session_fail(s, b->why_code, NULL, "%s", why);
    } else {
        sl_session_fail(s, SL_ER_NET_READ_ERROR, "08S01", "Lost connection to server '%s': %s",
                        b->server->name, why);
    }
}

static void on_topology(struct sl_session *s)
{
    struct sl_backend *b = s->backends[position_of(s)];
    if (b && !b->server->service && !(sl_server_status(b->server) & SL_SERVER_RUNNING)) {
        sl_backend_lost(b, "the server is down");
    }
}

static int instance_new(struct sl_service *service, void **ret_instance, struct sl_err *err)
{
    *ret_instance = service;
    return SL_OK;
}

static void diagnostics(const struct sl_service *service, struct sl_diag *out)
{
    sl_diag_int(out, "queries", (int64_t)SL_SERVICE_SUM(service, queries));
}

static bool is_choice(const struct sl_service *service, const struct sl_server *server,
                      uint32_t status)
{
    const struct sl_readconn_settings *cfg = service->router_settings;
    return has_wanted_role(cfg, status) && is_lag_ok(cfg, server, status);
}

static const struct sl_router_ops ops = {
    .instance_new = instance_new,
    .is_choice = is_choice,
    .diagnostics = diagnostics,
    .session_open = session_open,
    .session_close = session_close,
    .on_request = on_request,
    .on_reply = on_reply,
    .on_backend_ready = on_backend_ready,
    .on_backend_lost = on_backend_lost,
    .on_topology = on_topology,
};

const struct sl_module sl_module_readconnroute = {
    .name = "readconnroute",
    .kind = SL_MODULE_ROUTER,
    .version = "1.0.0",
    .description = "One server per client connection",
    .maturity = "Beta",
    .settings = &sl_settings_readconnroute,
    .ops = &ops,
};
