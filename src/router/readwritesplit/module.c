/* SPDX-License-Identifier: Apache-2.0 */
/* The module: descriptor, opening and closing sessions, diagnostics. */
#include "base/log.h"
#include "base/mem.h"
#include "core/core.h"
#include "core/service.h"
#include "proto/constants.h"
#include "proto/packet.h"
#include "router/readwritesplit/replay.h"
#include "router/routers.h"

/* A connection that is opened late needs the history, and has to be allowed. */
static void check_lazy(const struct sl_service *service, struct sl_rwsplit_settings *cfg)
{
    if (cfg->lazy_connect && service->settings.disable_sescmd_history) {
        sl_log_warning("Service '%s': lazy_connect is off because disable_sescmd_history is on",
                       service->name);
        cfg->lazy_connect = false;
    }
    if (!cfg->lazy_connect) {
        return;
    }
    if (!cfg->master_reconnection || cfg->master_failure_mode == SL_FAIL_INSTANTLY) {
        sl_log_warning("Service '%s': lazy_connect needs master_reconnection=true and a "
                       "master_failure_mode other than fail_instantly; both are set",
                       service->name);
    }
    cfg->master_reconnection = true;
    if (cfg->master_failure_mode == SL_FAIL_INSTANTLY) {
        cfg->master_failure_mode = SL_FAIL_ON_WRITE;
    }
}

/* What a replay cannot do without. */
static void imply_for_replay(const struct sl_service *service, struct sl_rwsplit_settings *cfg)
{
    if (service->settings.disable_sescmd_history) {
        sl_log_warning("Service '%s': transaction_replay is off because disable_sescmd_history is "
                       "on: a new connection would not have the session's state",
                       service->name);
        cfg->transaction_replay = false;
        return;
    }
    cfg->delayed_retry = true;
    cfg->master_reconnection = true;
    cfg->delayed_retry_timeout =
        SL_MAX(cfg->delayed_retry_timeout, cfg->transaction_replay_timeout);
    if (cfg->master_failure_mode == SL_FAIL_INSTANTLY) {
        cfg->master_failure_mode = SL_FAIL_ON_WRITE;
    }
}

/* It is a use of replays, and a replica may not know what causal reads have to see. */
static void check_optimistic(const struct sl_service *service, struct sl_rwsplit_settings *cfg)
{
    bool can_be = cfg->transaction_replay && cfg->causal_reads == SL_CAUSAL_NONE;
    if (cfg->optimistic_trx && !can_be) {
        sl_log_warning("Service '%s': optimistic_trx is off because %s", service->name,
                       cfg->transaction_replay ? "causal_reads is on"
                                               : "transaction_replay is not possible");
    }
    cfg->optimistic_trx &= can_be;
}

static int instance_new(struct sl_service *service, void **ret_instance, struct sl_err *err)
{
    struct sl_rwsplit_settings *cfg = service->router_settings;
    if (service->server_count > RWS_SERVERS_MAX) {
        return sl_err_set(err, SL_ELIMIT,
                          "service '%s' has %u servers, readwritesplit takes at most %d",
                          service->name, service->server_count, RWS_SERVERS_MAX);
    }
    if (service->settings.disable_sescmd_history && cfg->master_reconnection) {
        sl_log_warning(
            "Service '%s': master_reconnection is off because disable_sescmd_history is on",
            service->name);
        cfg->master_reconnection = false;
    }
    check_lazy(service, cfg);
    cfg->transaction_replay |= cfg->optimistic_trx;
    if (cfg->transaction_replay) {
        imply_for_replay(service, cfg);
    }
    check_optimistic(service, cfg);
    struct rws_instance *instance = sl_calloc(1, sizeof *instance);
    if (!instance) {
        return sl_err_set(err, SL_ENOMEM, "no memory for service '%s'", service->name);
    }
    rws_causal_shared_init(&instance->causal);
    *ret_instance = instance;
    return SL_OK;
}

static void instance_free(void *instance)
{
    sl_free(instance);
}

static void free_state(struct rws *r)
{
    rws_replay_free(r);
    rws_drop_saved(r);
    sl_history_clear(&r->history);
    rws_reuse_free(r);
    rws_stmts_free(r);
    sl_map_clear(&r->text_stmts);
    sl_map_clear(&r->temp_tables);
    sl_free(r->next_trx);
    sl_free(r->samples);
    sl_free(r->causal);
    sl_free(r);
}

static bool has_any(const struct sl_session *s)
{
    for (unsigned i = 0; i < s->backend_count; i++) {
        if (s->backends[i]) {
            return true;
        }
    }
    return false;
}

/* What lazy_connect puts off: is there anything to connect to? */
static bool can_connect_any(const struct rws *r)
{
    return rws_select_primary(r) != RWS_NONE || rws_select_replica(r, 0) != RWS_NONE;
}

/* False with *err: fail_instantly, and there is no primary. */
static bool open_connections(struct rws *r, struct sl_err *err)
{
    int primary = rws_select_primary(r);
    if (primary != RWS_NONE && rws_connect(r, primary) == SL_OK) {
        r->primary = primary;
    } else if (r->cfg->master_failure_mode == SL_FAIL_INSTANTLY) {
        sl_err_set(err, SL_ENOENT,
                   "No usable Master is known (master_failure_mode=fail_instantly)");
        return false;
    }
    rws_open_replicas(r);
    return true;
}

static int refuse_session(struct rws *r)
{
    r->session->router = NULL;
    free_state(r);
    return SL_ENOENT;
}

static int session_open(struct sl_session *s, struct sl_err *err)
{
    struct rws *r = sl_calloc(1, sizeof *r);
    if (!r) {
        return sl_err_set(err, SL_ENOMEM, "Out of memory");
    }
    r->session = s;
    r->cfg = s->service->router_settings;
    r->optimistic_on = RWS_NONE;
    r->primary = r->trx_server = r->last = r->position = RWS_NONE;
    sl_history_init(&r->history, (uint32_t)s->service->settings.max_sescmd_history,
                    s->service->settings.prune_sescmd_history);
    if (r->cfg->slave_selection_criteria == SL_SELECT_ADAPTIVE_ROUTING) {
        r->samples = sl_calloc(s->backend_count, sizeof *r->samples);
    }
    s->router = r;
    struct rws_instance *instance = s->service->instance;
    if (rws_causal_open(r, &instance->causal) < 0) {
        sl_err_set(err, SL_ENOMEM, "Out of memory");
        return refuse_session(r);
    }
    if (!r->cfg->lazy_connect && !open_connections(r, err)) {
        return refuse_session(r);
    }
    bool has_server = r->cfg->lazy_connect ? can_connect_any(r) : has_any(s);
    if (!has_server && !r->cfg->delayed_retry) {
        sl_err_set(err, SL_ENOENT, "Service '%s' has no server that could be connected",
                   s->service->name);
        return refuse_session(r);
    }
    return SL_OK;
}

static void session_close(struct sl_session *s)
{
    struct rws *r = s->router;
    if (r) {
        struct sl_service_counters *c = sl_session_counters(s);
        if (r->history.total > atomic_load_explicit(&c->history_length_max, memory_order_relaxed)) {
            atomic_store_explicit(&c->history_length_max, r->history.total, memory_order_relaxed);
        }
        s->router = NULL;
        free_state(r);
    }
}

static const char *why_primary(const struct sl_session *s)
{
    const struct rws *r = s->router;
    if (!r || r->locks == 0) {
        return NULL;
    }
    if (r->locks & RWS_LOCK_SERIALIZABLE) {
        return "isolation level SERIALIZABLE";
    }
    if (r->locks & RWS_LOCK_STATE) {
        return "a session command too long to be sent to every server";
    }
    if (r->locks & RWS_LOCK_TABLES) {
        return "LOCK TABLES";
    }
    return r->locks & RWS_LOCK_SP_CALL ? "a stored procedure was called (strict_sp_calls)"
                                       : "a multi-statement was run (strict_multi_stmt)";
}

static enum rws_rule lock_rule(uint8_t locks)
{
    if (locks & RWS_LOCK_SERIALIZABLE) {
        return RWS_RULE_LOCKED_SERIALIZABLE;
    }
    if (locks & RWS_LOCK_STATE) {
        return RWS_RULE_LOCKED_STATE;
    }
    return locks & RWS_LOCK_SP_CALL ? RWS_RULE_LOCKED_CALL : RWS_RULE_LOCKED_MULTI;
}

static void route(const struct sl_session *s, struct sl_route *ret)
{
    const struct rws *r = s->router;
    bool is_in_trx = r->rule == RWS_RULE_TRX_OPEN || r->rule == RWS_RULE_TRX_READ_ONLY;
    bool is_hinted = r->rule == RWS_RULE_HINT_SERVER;
    *ret = (struct sl_route){
        .rule = r->rule == RWS_RULE_LOCKED ? (uint8_t)lock_rule(r->locks) : r->rule,
        .position = (int16_t)(is_in_trx   ? r->trx_server
                              : is_hinted ? r->hint.server
                                          : RWS_NONE),
    };
}

static struct sl_route_text route_text(uint8_t rule)
{
    static const char *const targets[] = {
        [RWS_TARGET_PRIMARY] = "primary",
        [RWS_TARGET_REPLICA] = "replica",
        [RWS_TARGET_ALL] = "all servers",
        [RWS_TARGET_LAST] = "server of the last statement",
        [RWS_TARGET_TRX] = "server of the transaction",
        [RWS_TARGET_FIXED] = "server that has it",
        [RWS_TARGET_HINTED] = "server of the hint",
    };
    return (struct sl_route_text){targets[rws_rule_target(rule)], rws_rule_text(rule)};
}

static struct sl_slice statement_text(const struct sl_session *s, uint32_t id)
{
    struct rws *r = s->router;
    const struct rws_stmt *st = rws_stmt_get(r, id);
    const struct sl_history_entry *e =
        st ? sl_history_find_slot(&r->history, rws_stmt_slot(r, st)) : NULL;
    return e ? sl_slice(e->packet + SL_PACKET_HEADER + 1, e->len - SL_PACKET_HEADER - 1)
             : sl_slice(NULL, 0);
}

static void each_kept(const struct sl_session *s, sl_router_on_kept *each, void *arg)
{
    const struct rws *r = s->router;
    SL_LIST_FOR_EACH (node, &r->history.entries) {
        const struct sl_history_entry *e = SL_CONTAINER_OF(node, struct sl_history_entry, node);
        struct sl_kept_statement kept = {
            .id = e->slot,
            .command = e->command,
            .result = e->result,
            .text = sl_slice(e->packet + SL_PACKET_HEADER + 1, e->len - SL_PACKET_HEADER - 1),
        };
        each(arg, &kept);
    }
}

static struct sl_route_text explain(const struct sl_service *service,
                                    const struct sl_sql_info *info)
{
    const struct sl_rwsplit_settings *cfg = service ? service->router_settings : NULL;
    struct sl_trx trx;
    sl_trx_init(&trx, true);
    sl_trx_statement(&trx, info);
    struct rws_facts f = {
        .command = SL_COM_QUERY,
        .type = info->type,
        .op = info->op,
        .is_multi = info->is_multi,
        .variables_in_master = cfg && cfg->use_sql_variables_in == SL_VARIABLES_IN_MASTER,
        .no_replicas = cfg && cfg->max_slave_connections == 0,
        .trx = &trx,
    };
    return route_text((uint8_t)rws_decide(&f));
}

static size_t memory(const struct sl_session *s, uint64_t *ret_history_length)
{
    const struct rws *r = s->router;
    if (!r) {
        return 0;
    }
    *ret_history_length = r->history.total;
    return sizeof *r + r->history.bytes + r->stmt_capacity * sizeof *r->stmts + r->saved_len +
           rws_reuse_memory(r) + rws_replay_memory(r) +
           (r->samples ? s->backend_count * sizeof *r->samples : 0) +
           (r->causal ? sizeof *r->causal + s->backend_count * sizeof r->causal->server[0] : 0);
}

static void server_statistics(const struct sl_service *service, struct sl_diag *out)
{
    sl_diag_array_begin(out, "server_query_statistics");
    for (unsigned i = 0; i < service->server_count; i++) {
        const struct sl_server *server = service->servers[i];
        uint64_t reads = 0, writes = 0;
        for (unsigned w = 0; w < server->worker_count; w++) {
            reads += atomic_load_explicit(&server->counters[w].reads, memory_order_relaxed);
            writes += atomic_load_explicit(&server->counters[w].writes, memory_order_relaxed);
        }
        sl_diag_object_begin(out, NULL);
        sl_diag_text(out, "id", server->name);
        sl_diag_int(out, "total", (int64_t)(reads + writes));
        sl_diag_int(out, "read", (int64_t)reads);
        sl_diag_int(out, "write", (int64_t)writes);
        sl_diag_end(out);
    }
    sl_diag_end(out);
}

/* last_gtid is what the global modes know; the others know one for each session. */
static void causal_statistics(const struct sl_service *service, struct sl_diag *out)
{
    const struct sl_rwsplit_settings *cfg = service->router_settings;
    const struct rws_instance *instance = service->instance;
    if (cfg->causal_reads == SL_CAUSAL_NONE) {
        return;
    }
    struct sl_gtid_set position;
    char text[SL_GTID_SET_TEXT_MAX];
    sl_gtid_shared_get(&instance->causal.position, &position);
    sl_gtid_set_text(&position, text, sizeof text);
    sl_diag_text(out, "last_gtid", text[0] ? text : NULL);
    sl_diag_int(out, "causal_waits", (int64_t)SL_SERVICE_SUM(service, causal_waits));
    sl_diag_int(out, "causal_failures", (int64_t)SL_SERVICE_SUM(service, causal_failures));
}

static void diagnostics(const struct sl_service *service, struct sl_diag *out)
{
    sl_diag_int(out, "queries", (int64_t)SL_SERVICE_SUM(service, queries));
    sl_diag_int(out, "route_master", (int64_t)SL_SERVICE_SUM(service, route_primary));
    sl_diag_int(out, "route_slave", (int64_t)SL_SERVICE_SUM(service, route_replica));
    sl_diag_int(out, "route_all", (int64_t)SL_SERVICE_SUM(service, route_all));
    sl_diag_int(out, "rw_transactions", (int64_t)SL_SERVICE_SUM(service, rw_transactions));
    sl_diag_int(out, "ro_transactions", (int64_t)SL_SERVICE_SUM(service, ro_transactions));
    sl_diag_int(out, "replayed_transactions", (int64_t)SL_SERVICE_SUM(service, replays_done));
    sl_diag_int(out, "trx_max_size_exceeded",
                (int64_t)SL_SERVICE_SUM(service, trx_max_size_exceeded));
    sl_diag_int(out, "retried_reads", (int64_t)SL_SERVICE_SUM(service, retried_reads));
    sl_diag_int(out, "held_statements", (int64_t)SL_SERVICE_SUM(service, held_statements));
    sl_diag_int(out, "lost_primaries", (int64_t)SL_SERVICE_SUM(service, lost_primaries));
    const struct sl_rwsplit_settings *cfg = service->router_settings;
    if (cfg->reuse_prepared_statements) {
        sl_diag_int(out, "prepared_statements_reused",
                    (int64_t)SL_SERVICE_SUM(service, prepared_reused));
    }
    causal_statistics(service, out);
    sl_diag_int(out, "replays_started", (int64_t)SL_SERVICE_SUM(service, replays_started));
    sl_diag_int(out, "replay_mismatches", (int64_t)SL_SERVICE_SUM(service, replay_mismatches));
    sl_diag_int(out, "replay_restarts", (int64_t)SL_SERVICE_SUM(service, replay_restarts));
    sl_diag_int(out, "replays_failed_mismatch",
                (int64_t)SL_SERVICE_SUM(service, replays_failed_mismatch));
    sl_diag_int(out, "replays_failed_limit",
                (int64_t)SL_SERVICE_SUM(service, replays_failed_limit));
    sl_diag_int(out, "replays_failed_refused",
                (int64_t)SL_SERVICE_SUM(service, replays_failed_refused));
    sl_diag_int(out, "unknown_outcomes", (int64_t)SL_SERVICE_SUM(service, unknown_outcomes));
    sl_diag_int(out, "retried_writes", (int64_t)SL_SERVICE_SUM(service, retried_writes));
    sl_diag_int(out, "locked_to_primary", (int64_t)SL_SERVICE_SUM(service, locked_to_primary));
    server_statistics(service, out);
}

/* After the servers' replication was set up anew, their GTIDs may begin again with small numbers. */
static int reset_gtid(struct sl_core *core, const char *const *args, struct sl_diag *out,
                      struct sl_err *err)
{
    (void)out;
    const struct sl_service *service = sl_core_service(core, args[0]);
    if (!service || service->router != &sl_module_readwritesplit) {
        return sl_err_set(err, SL_ENOENT, "'%s' is not a service of readwritesplit", args[0]);
    }
    struct rws_instance *instance = service->instance;
    rws_causal_forget(&instance->causal);
    sl_log_notice("Service '%s' has forgotten the GTIDs that causal_reads waited for",
                  service->name);
    return SL_OK;
}

static const struct sl_module_argument service_argument[] = {{"SERVICE", "The service", false}};

static const struct sl_module_command commands[] = {
    {"reset-gtid", "Forget the GTIDs that the global modes of causal_reads wait for", false,
     service_argument, 1, reset_gtid},
    {NULL},
};

static const struct sl_router_ops ops = {
    .on_probe = rws_causal_on_probe,
    .instance_new = instance_new,
    .instance_free = instance_free,
    .diagnostics = diagnostics,
    .session_open = session_open,
    .session_close = session_close,
    .on_request = rws_on_request,
    .on_reply = rws_on_reply,
    .on_error = rws_on_error,
    .on_bytes = rws_replay_on_bytes,
    .on_backend_ready = rws_on_backend_ready,
    .on_backend_lost = rws_on_backend_lost,
    .on_topology = rws_on_topology,
    .on_sweep = rws_on_sweep,
    .why_primary = why_primary,
    .memory = memory,
    .route = route,
    .route_text = route_text,
    .statement_text = statement_text,
    .each_kept = each_kept,
    .explain = explain,
};

const struct sl_module sl_module_readwritesplit = {
    .name = "readwritesplit",
    .kind = SL_MODULE_ROUTER,
    .version = "1.0.0",
    .description = "Reads to replicas, writes to the primary",
    .maturity = "Beta",
    .settings = &sl_settings_readwritesplit,
    .ops = &ops,
    .commands = commands,
};
