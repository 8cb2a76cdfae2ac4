/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor module galeramon: probe -> decide -> publish.
 *
 * Owns one struct sl_galera_node per server (its probe thread writes it, the monitor thread reads
 * it when the frame says the probe answered), the memory of the decisions (monitor thread), and a
 * copy of the last plan for diagnostics and for the donor list (under `lock`).
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/monitor.h"
#include "monitor/galera/decide.h"
#include "monitor/galera/probe.h"

struct galera {
    struct sl_galera_config config;
    bool set_donor_nodes;
    unsigned count;
    struct sl_galera_node *nodes; /* [count] */
    /* refused optional queries that were logged; probe threads */
    _Atomic unsigned noted;

    /* monitor thread */
    struct sl_galera_memory memory;
    struct sl_galera_observation *obs; /* [count] */
    struct sl_galera_plan plan;
    bool is_first_tick;
    struct alias {
        int seen; /* same_as of the last look; -1 none */
        int told;
    } aliases[SL_GALERA_NODES_MAX];

    pthread_mutex_t lock;
    struct sl_galera_plan shown; /* under lock */
    char donor_list[SL_GALERA_DONOR_LIST_MAX];
};

static void free_instance(void *instance)
{
    struct galera *g = instance;
    pthread_mutex_destroy(&g->lock);
    sl_free(g->nodes);
    sl_free(g->obs);
    sl_free(g);
}

static int new_instance(struct sl_monitor *m, void **ret_instance, struct sl_err *err)
{
    const struct sl_galeramon_settings *s = sl_monitor_module_settings(m);
    unsigned count = sl_monitor_server_count(m);
    if (count > SL_GALERA_NODES_MAX) {
        return sl_err_set(err, SL_ELIMIT, "monitor '%s' has %u servers, galeramon takes at most %d",
                          sl_monitor_name(m), count, SL_GALERA_NODES_MAX);
    }
    struct galera *g = sl_calloc(1, sizeof(*g));
    if (!g) {
        return sl_err_set(err, SL_ENOMEM, "no memory for monitor '%s'", sl_monitor_name(m));
    }
    pthread_mutex_init(&g->lock, NULL);
    g->count = count;
    g->nodes = sl_calloc(count + 1, sizeof(*g->nodes));
    g->obs = sl_calloc(count + 1, sizeof(*g->obs));
    if (!g->nodes || !g->obs) {
        free_instance(g);
        return sl_err_set(err, SL_ENOMEM, "no memory for monitor '%s'", sl_monitor_name(m));
    }
    g->config = (struct sl_galera_config){
        .disable_master_failback = s->disable_master_failback,
        .available_when_donor = s->available_when_donor,
        .disable_master_role_setting = s->disable_master_role_setting,
        .use_priority = s->use_priority,
        .root_node_as_master = s->root_node_as_master,
    };
    g->set_donor_nodes = s->set_donor_nodes;
    g->is_first_tick = true;
    sl_galera_memory_init(&g->memory);
    g->shown.master = -1;
    g->shown.choice = SL_GALERA_CHOICE_NONE_JOINED;
    g->shown.cluster_size = -1;
    g->shown.conf_id = -1;
    for (unsigned i = 0; i < count; i++) {
        sl_galera_node_init(&g->nodes[i], &g->noted);
        g->shown.node[i].reason = SL_GALERA_WHY_NO_ANSWER;
        g->aliases[i] = (struct alias){-1, -1};
    }
    *ret_instance = g;
    return SL_OK;
}

/* ---- probe thread ---- */

static void probe(struct sl_monitor *m, void *instance, unsigned i)
{
    struct galera *g = instance;
    char donors[SL_GALERA_DONOR_LIST_MAX] = "";
    if (g->set_donor_nodes) {
        pthread_mutex_lock(&g->lock);
        if (g->shown.node[i].is_joined && g->shown.node[i].is_slave) {
            memcpy(donors, g->donor_list, sizeof(donors));
        }
        pthread_mutex_unlock(&g->lock);
    }
    sl_galera_probe(m, i, &g->nodes[i], donors);
}

/* ---- monitor thread ---- */

/* The roles that the status words carry (from the journal, or from before a restart of the
 * monitor) are the memory to start from: the Master stays where it was. */
static void remember(struct sl_monitor *m, struct galera *g)
{
    for (unsigned i = 0; i < g->count; i++) {
        uint32_t status = sl_server_status(sl_monitor_server(m, i));
        g->memory.node[i].was_joined = status & SL_SERVER_JOINED;
        if (status & SL_SERVER_MASTER) {
            g->memory.master = (int)i;
        }
    }
}

static void collect(struct sl_monitor *m, struct galera *g)
{
    for (unsigned i = 0; i < g->count; i++) {
        const struct sl_server *server = sl_monitor_server(m, i);
        uint32_t status = sl_server_status(server);
        if (sl_monitor_probe_answered(m, i)) {
            g->obs[i] = g->nodes[i].obs;
        } else {
            memset(&g->obs[i], 0, sizeof(g->obs[i]));
            g->obs[i].answer = SL_GALERA_NO_ANSWER;
        }
        g->obs[i].is_maintenance = status & SL_SERVER_MAINT;
        g->obs[i].is_draining = status & SL_SERVER_DRAINING;
        g->obs[i].priority = server->settings.priority;
    }
}

static uint32_t status_bits(const struct sl_galera_node_plan *n)
{
    return (n->is_running ? (uint32_t)SL_SERVER_RUNNING : 0) |
           (n->is_joined ? (uint32_t)SL_SERVER_JOINED : 0) |
           (n->is_master ? (uint32_t)SL_SERVER_MASTER : 0) |
           (n->is_slave ? (uint32_t)SL_SERVER_SLAVE : 0);
}

static int64_t lag_of(const struct galera *g, unsigned i)
{
    const struct sl_galera_node_plan *n = &g->plan.node[i];
    if (n->is_joined) {
        return 0; /* certification keeps members together; lag limits must not exclude them */
    }
    return n->is_slave ? g->nodes[i].lag_s : SL_SERVER_LAG_UNKNOWN;
}

static void explain(struct sl_monitor *m, const struct galera *g, unsigned i)
{
    const struct sl_galera_node_plan *n = &g->plan.node[i];
    char text[256];
    if (n->is_master) {
        snprintf(text, sizeof(text), "%s", sl_galera_choice_text(g->plan.choice));
    } else if (g->plan.master < 0) {
        snprintf(text, sizeof(text), "%s; no Master: %s", n->why,
                 sl_galera_choice_text(g->plan.choice));
    } else {
        snprintf(text, sizeof(text), "%s", n->why);
    }
    sl_monitor_explain(m, i, text);
}

static uint32_t hints_for(const struct galera *g, unsigned i)
{
    const struct sl_galera_node_plan *n = &g->plan.node[i];
    bool is_next =
        g->set_donor_nodes && sl_galera_is_next_donor(g->obs, &g->plan, g->count, i, g->donor_list);
    return (n->is_leaving ? (uint32_t)SL_SERVER_HINT_LEAVING : 0) |
           (n->is_donor || is_next ? (uint32_t)SL_SERVER_HINT_AVOID : 0) |
           (g->obs[i].sends_flow_control ? (uint32_t)SL_SERVER_HINT_FLOW_CONTROL : 0);
}

static void publish(struct sl_monitor *m, struct galera *g, unsigned i)
{
    const struct sl_galera_node_plan *n = &g->plan.node[i];
    struct sl_server_info info;
    if (sl_monitor_probe_answered(m, i)) {
        info = g->nodes[i].info;
        info.lag_s = lag_of(g, i);
        info.hints = hints_for(g, i);
    } else {
        sl_server_info_get(sl_monitor_server(m, i), &info);
        info.lag_s = SL_SERVER_LAG_UNKNOWN;
        info.hints = 0;
    }
    snprintf(info.state_details, sizeof(info.state_details), "%s", n->details);
    sl_monitor_publish(m, i, status_bits(n), &info);
    explain(m, g, i);
}

static void note_cluster(struct galera *g, const char *before)
{
    if (before[0] && g->plan.uuid[0] && strcmp(before, g->plan.uuid) != 0) {
        sl_log_warning("The cluster is now %s instead of %s", g->plan.uuid, before);
    }
}

/* Told once, when two looks in a row say so: status variables are not read in one instant. */
static void note_aliases(struct sl_monitor *m, struct galera *g)
{
    for (unsigned i = 0; i < g->count; i++) {
        struct alias *a = &g->aliases[i];
        int same_as = g->plan.node[i].same_as;
        if (same_as >= 0 && same_as == a->seen && same_as != a->told) {
            sl_log_warning("Servers '%s' and '%s' are one and the same node: it counts once",
                           sl_monitor_server(m, (unsigned)same_as)->name,
                           sl_monitor_server(m, i)->name);
            a->told = same_as;
        }
        a->seen = same_as;
    }
}

static void tick(struct sl_monitor *m, void *instance, uint64_t now_ms)
{
    struct galera *g = instance;
    char before[sizeof(g->memory.uuid)];
    memcpy(before, g->memory.uuid, sizeof(before));
    if (g->is_first_tick) {
        g->is_first_tick = false;
        remember(m, g);
    }
    collect(m, g);
    sl_galera_decide(&g->config, &g->memory, g->obs, g->count, now_ms, &g->plan);
    note_cluster(g, before);
    note_aliases(m, g);
    for (unsigned i = 0; i < g->count; i++) {
        publish(m, g, i);
    }
    pthread_mutex_lock(&g->lock);
    g->shown = g->plan;
    if (g->set_donor_nodes) {
        sl_galera_donor_list(&g->config, g->obs, &g->plan, g->count, g->donor_list,
                             sizeof(g->donor_list));
    }
    pthread_mutex_unlock(&g->lock);
    if (g->plan.wants_look) {
        sl_monitor_request_tick(m);
    }
}

/* ---- any thread ---- */

static void show_server(struct sl_monitor *m, const struct sl_galera_plan *plan, unsigned i,
                        struct sl_diag *out)
{
    struct sl_server *server = sl_monitor_server(m, i);
    struct sl_server_info info;
    sl_server_info_get(server, &info);
    sl_diag_object_begin(out, NULL);
    sl_diag_text(out, "name", server->name);
    sl_diag_text(out, "gtid_current_pos", info.gtid_current_pos[0] ? info.gtid_current_pos : NULL);
    sl_diag_text(out, "gtid_binlog_pos", info.gtid_binlog_pos[0] ? info.gtid_binlog_pos : NULL);
    sl_diag_bool(out, "read_only", info.read_only);
    sl_diag_int(out, "server_id", info.server_id);
    sl_diag_int(out, "master_id", info.master_id);
    sl_diag_text(out, "reason", sl_galera_reason_name(plan->node[i].reason));
    sl_diag_text(out, "explanation", plan->node[i].why);
    sl_diag_int(out, "recv_queue", info.recv_queue);
    sl_diag_real(out, "flow_control_paused", info.flow_control_paused);
    sl_diag_bool(out, "flow_control_sent", info.hints & SL_SERVER_HINT_FLOW_CONTROL);
    sl_diag_bool(out, "avoided_for_reads", info.hints & SL_SERVER_HINT_AVOID);
    sl_diag_end(out);
}

static void diagnostics(struct sl_monitor *m, void *instance, struct sl_diag *out)
{
    struct galera *g = instance;
    struct sl_galera_plan *plan = sl_malloc(sizeof(*plan));
    if (!plan) {
        return;
    }
    pthread_mutex_lock(&g->lock);
    *plan = g->shown;
    pthread_mutex_unlock(&g->lock);
    sl_diag_bool(out, "disable_master_failback", g->config.disable_master_failback);
    sl_diag_bool(out, "disable_master_role_setting", g->config.disable_master_role_setting);
    sl_diag_bool(out, "root_node_as_master", g->config.root_node_as_master);
    sl_diag_bool(out, "use_priority", g->config.use_priority);
    sl_diag_bool(out, "set_donor_nodes", g->set_donor_nodes);
    if (plan->uuid[0]) {
        sl_diag_text(out, "cluster_uuid", plan->uuid);
    }
    if (plan->cluster_size >= 0) {
        sl_diag_int(out, "cluster_size", plan->cluster_size);
    }
    sl_diag_text(out, "master",
                 plan->master >= 0 ? sl_monitor_server(m, (unsigned)plan->master)->name : NULL);
    sl_diag_text(out, "master_reason", sl_galera_choice_text(plan->choice));
    sl_diag_array_begin(out, "server_info");
    for (unsigned i = 0; i < g->count; i++) {
        show_server(m, plan, i, out);
    }
    sl_diag_end(out);
    sl_free(plan);
}

static int admin_check(struct sl_monitor *m, void *instance, unsigned i, uint32_t set,
                       struct sl_err *err)
{
    struct sl_server *server = sl_monitor_server(m, i);
    if ((set & SL_SERVER_DRAINING) && sl_status_is_master(sl_server_status(server))) {
        return sl_err_set(err, SL_ESTATE, "server '%s' is the Master: Draining cannot be set on it",
                          server->name);
    }
    return SL_OK;
}

static const struct sl_monitor_ops ops = {
    .instance_new = new_instance,
    .instance_free = free_instance,
    .tick = tick,
    .probe = probe,
    .diagnostics = diagnostics,
    .admin_check = admin_check,
};

extern const struct sl_module sl_module_galeramon;
const struct sl_module sl_module_galeramon = {
    .name = "galeramon",
    .kind = SL_MODULE_MONITOR,
    .version = "V1.0.0",
    .description = "Monitor of Galera clusters",
    .maturity = "GA",
    .settings = &sl_settings_galeramon,
    .ops = &ops,
};
