/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulation of galeramon's decisions: sim-galera [--seeds N] [--seed S] [-v]
 *
 * Each seed is a history: a cluster, a configuration, and faults (kill, clean stop, freeze, thaw,
 * partitions, lost and slow answers, desync, read_only, maintenance, clock steps, restarts of the
 * manager with and without its journal). At every tick the invariants are checked; at the end all
 * faults stop and the cluster must have a Master again. A seed that fails prints itself; the same
 * seed fails the same way.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "galera_model.h"

enum {
    TICKS = 120,
    QUIET_MS = 45000,
    LAST_TICKS = 3,
    JITTER_MS = 400
};

struct sim {
    uint64_t seed;
    struct model w;
    struct sl_galera_config config;
    struct sl_galera_memory memory;
    struct sl_galera_observation obs[MODEL_NODES_MAX];
    struct sl_galera_plan plan;
    unsigned monitored; /* the first so many nodes */
    int64_t priority[MODEL_NODES_MAX];
    bool is_maintenance[MODEL_NODES_MAX];
    uint64_t fault_until_ms[8][MODEL_NODES_MAX]; /* [fault_kind]; 0 = not active */
    uint64_t clock_offset_ms;
    int last_master;
    bool has_clock_stepped;
    /* ground truth carried from tick to tick */
    /* excluded, seen together with the newer view; 0 = not */
    uint64_t stale_since_ms[MODEL_NODES_MAX];
    unsigned stale_ticks[MODEL_NODES_MAX];
    uint64_t older_since_ms[MODEL_NODES_MAX]; /* shows an older view than somebody else */
    bool was_joined[MODEL_NODES_MAX];
    /* what the node showed last; 0 = it was gone or outside since */
    int64_t last_seen_view[MODEL_NODES_MAX];
    int64_t newest_living_view;
    unsigned tick;
    bool is_verbose;
    bool has_failed;
};

static void fail(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct sim *s, const char *fmt, ...)
{
    if (s->has_failed) {
        return;
    }
    s->has_failed = true;
    printf("seed %llu, tick %u, t=%.2f s: ", (unsigned long long)s->seed, s->tick,
           (double)s->w.now_ms / 1000.0);
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    for (unsigned i = 0; i < s->monitored; i++) {
        const struct sl_galera_observation *o = &s->obs[i];
        printf(
            "   node %u: answer %d primary %d state %d index %lld view %lld/%lld%s%s -> %s%s%s\n",
            i, o->answer, o->is_primary, o->local_state, (long long)o->local_index,
            (long long)o->conf_id, (long long)o->cluster_size, o->read_only ? " read_only" : "",
            o->is_maintenance ? " maint" : "", s->plan.node[i].is_master ? "Master " : "",
            s->plan.node[i].is_slave ? "Slave " : "", s->plan.node[i].why);
    }
}

/* ---- faults ---- */

enum fault_kind {
    KILL,
    LEAVE,
    FREEZE,
    CUT,
    DESYNC,
    READ_ONLY,
    MAINTENANCE,
    UNSEEN,
    FAULT_COUNT
};

static void begin_fault(struct sim *s, enum fault_kind kind, unsigned i)
{
    struct model_node *n = &s->w.node[i];
    switch (kind) {
    case KILL:
        model_kill(&s->w, i);
        break;
    case LEAVE:
        model_leave(&s->w, i);
        break;
    case FREEZE:
        model_freeze(&s->w, i);
        break;
    case CUT:
        n->side = 1;
        break;
    case DESYNC:
        n->is_desynced = true;
        break;
    case READ_ONLY:
        n->read_only = true;
        break;
    case MAINTENANCE:
        s->is_maintenance[i] = true;
        break;
    case UNSEEN:
        n->is_cut_off = true;
        break;
    case FAULT_COUNT:
        break;
    }
}

static void end_fault(struct sim *s, enum fault_kind kind, unsigned i)
{
    struct model_node *n = &s->w.node[i];
    switch (kind) {
    case KILL:
    case LEAVE:
        model_start(&s->w, i);
        break;
    case FREEZE:
        model_thaw(&s->w, i);
        break;
    case CUT:
        n->side = 0;
        break;
    case DESYNC:
        n->is_desynced = false;
        break;
    case READ_ONLY:
        n->read_only = false;
        break;
    case MAINTENANCE:
        s->is_maintenance[i] = false;
        break;
    case UNSEEN:
        n->is_cut_off = false;
        break;
    case FAULT_COUNT:
        break;
    }
}

/* Freezing is what lies are made of: it is drawn more often than the rest. */
static void fault(struct sim *s)
{
    struct model *w = &s->w;
    unsigned i = (unsigned)model_random(w, w->count);
    enum fault_kind kind =
        model_chance(w, 30) ? FREEZE : (enum fault_kind)model_random(w, FAULT_COUNT);
    if (model_chance(w, 10)) {
        s->clock_offset_ms += model_random(w, 120000);
        s->has_clock_stepped = true;
    }
    if (!s->fault_until_ms[kind][i]) {
        s->fault_until_ms[kind][i] = w->now_ms + 500 + model_random(w, 20000);
        begin_fault(s, kind, i);
    }
}

static void end_faults(struct sim *s, bool all)
{
    for (unsigned kind = 0; kind < FAULT_COUNT; kind++) {
        for (unsigned i = 0; i < s->w.count; i++) {
            uint64_t *until_ms = &s->fault_until_ms[kind][i];
            if (*until_ms && (all || s->w.now_ms >= *until_ms)) {
                *until_ms = 0;
                end_fault(s, (enum fault_kind)kind, i);
            }
        }
    }
}

static void restart_manager(struct sim *s)
{
    bool has_journal = model_chance(&s->w, 50);
    int master = s->last_master;
    sl_galera_memory_init(&s->memory);
    s->newest_living_view = 0;
    s->memory.master = has_journal ? master : -1;
    s->last_master = has_journal ? master : -1;
    for (unsigned i = 0; i < s->monitored; i++) {
        s->memory.node[i].was_joined = has_journal && s->was_joined[i];
        s->was_joined[i] = s->memory.node[i].was_joined;
        s->older_since_ms[i] = 0;
        s->stale_since_ms[i] = 0;
    }
}

/* ---- a look ---- */

static void observe(struct sim *s)
{
    struct model *w = &s->w;
    int slow = model_chance(w, 2) ? (int)model_random(w, s->monitored) : -1;
    uint64_t slow_ms = 1050 + model_random(w, 1900);
    for (unsigned i = 0; i < s->monitored; i++) {
        if (model_chance(w, 10)) {
            model_run(w, MODEL_STEP_MS); /* answers are not from one moment */
        }
        model_observe(w, i, &s->obs[i]);
        if (model_chance(w, 1)) {
            memset(&s->obs[i], 0, sizeof(s->obs[i])); /* lost */
        }
    }
    if (slow >= 0) {
        model_run(w, slow_ms);
        model_observe(w, (unsigned)slow, &s->obs[slow]);
        s->obs[slow].latency_ms = (uint32_t)slow_ms;
    }
    for (unsigned i = 0; i < s->monitored; i++) {
        s->obs[i].is_maintenance = s->is_maintenance[i];
        s->obs[i].priority = s->priority[i];
    }
}

/* ---- invariants: written against the model and the observations, not against decide.c ---- */

static bool is_claiming(const struct sim *s, unsigned i)
{
    const struct sl_galera_observation *o = &s->obs[i];
    bool is_state_ok =
        o->local_state == 4 || (o->local_state == 2 && s->config.available_when_donor);
    return o->answer == SL_GALERA_ANSWERED && o->is_primary && o->is_ready && is_state_ok &&
           !o->is_desynced && o->local_index >= 0;
}

static int64_t newest_view(const struct sim *s)
{
    int64_t newest = -1;
    for (unsigned i = 0; i < s->monitored; i++) {
        if (s->obs[i].answer == SL_GALERA_ANSWERED && s->obs[i].conf_id > newest) {
            newest = s->obs[i].conf_id;
        }
    }
    return newest;
}

static void check_roles(struct sim *s)
{
    unsigned masters = 0;
    for (unsigned i = 0; i < s->monitored; i++) {
        const struct sl_galera_node_plan *n = &s->plan.node[i];
        masters += n->is_master;
        if ((n->is_master || n->is_slave || n->is_joined) && !is_claiming(s, i)) {
            fail(s, "node %u has a role but is not a synced node of a Primary component", i);
        }
        if (n->is_master && (n->is_slave || !n->is_joined || s->is_maintenance[i])) {
            fail(s, "node %u is Master and must not be", i);
        }
    }
    if (masters > 1 || (masters == 1) != (s->plan.master >= 0)) {
        fail(s, "%u Masters", masters);
    }
}

/* Are all members of the view seen? */
static bool is_whole(const struct sim *s, int64_t conf_id)
{
    int64_t seen = 0;
    int64_t size = -1;
    for (unsigned i = 0; i < s->monitored; i++) {
        if (s->obs[i].answer == SL_GALERA_ANSWERED && s->obs[i].conf_id == conf_id) {
            seen++;
            size = s->obs[i].cluster_size;
        }
    }
    return seen > 0 && seen == size;
}

/* A node that the cluster went on without, seen together with somebody of the newer view. */
static void check_stale(struct sim *s)
{
    int64_t newest = newest_view(s);
    for (unsigned i = 0; i < s->monitored; i++) {
        bool is_stale = is_claiming(s, i) && s->obs[i].conf_id < newest &&
                        model_is_excluded(&s->w, i) &&
                        s->obs[i].conf_id == s->w.node[i].shown.conf_id;
        if (!is_stale) {
            s->stale_since_ms[i] = 0;
            s->stale_ticks[i] = 0;
            continue;
        }
        if (!s->stale_since_ms[i]) {
            s->stale_since_ms[i] = s->w.now_ms;
        }
        s->stale_ticks[i]++;
        uint64_t age_ms = s->w.now_ms - s->stale_since_ms[i];
        bool is_proven =
            s->stale_ticks[i] >= 2 && (s->w.lists == LISTS_GOOD || is_whole(s, newest));
        if (s->plan.node[i].is_joined && !s->was_joined[i]) {
            fail(s, "node %u was expelled and gained a role", i);
        }
        bool is_confirmed = s->stale_ticks[i] >= 3 && age_ms > SL_GALERA_CONFIRM_MS + JITTER_MS;
        if ((is_proven || is_confirmed) && s->plan.node[i].is_joined) {
            fail(s, "node %u was expelled and still has a role after %u looks, %llu ms", i,
                 s->stale_ticks[i], (unsigned long long)age_ms);
        }
    }
}

/* A node that never left its view gains nothing by it once a newer one was the cluster, even if
 * nobody else is left. */
static void check_past(struct sim *s)
{
    for (unsigned i = 0; i < s->monitored; i++) {
        const struct sl_galera_observation *o = &s->obs[i];
        bool is_same =
            o->answer == SL_GALERA_ANSWERED && o->conf_id > 0 && o->conf_id == s->last_seen_view[i];
        if (is_same && !s->was_joined[i] && s->plan.node[i].is_joined &&
            o->conf_id < s->newest_living_view && model_is_excluded(&s->w, i)) {
            fail(s, "node %u gained a role with a view of the past", i);
        }
        if (o->answer != SL_GALERA_NO_ANSWER) {
            s->last_seen_view[i] =
                o->answer == SL_GALERA_ANSWERED && o->conf_id > 0 ? o->conf_id : 0;
        }
    }
    if (s->plan.conf_id > s->newest_living_view) {
        s->newest_living_view = s->plan.conf_id;
    }
}

/* A member whose view is current, or late by less than the confirmation, keeps what it has: no
 * flapping on view changes. */
static void check_steady(struct sim *s)
{
    int64_t newest =
        newest_view(s) > s->newest_living_view ? newest_view(s) : s->newest_living_view;
    for (unsigned i = 0; i < s->monitored; i++) {
        bool is_older = s->obs[i].conf_id < newest;
        if (!is_older || !is_claiming(s, i)) {
            s->older_since_ms[i] = 0;
        } else if (!s->older_since_ms[i]) {
            s->older_since_ms[i] = s->w.now_ms;
        }
        uint64_t age_ms = is_older && s->older_since_ms[i] ? s->w.now_ms - s->older_since_ms[i] : 0;
        uint64_t limit_ms =
            s->w.lists == LISTS_GOOD ? SL_GALERA_LAG_GRACE_MS : SL_GALERA_CONFIRM_MS;
        bool must_stay = is_claiming(s, i) && !model_is_excluded(&s->w, i) && s->was_joined[i] &&
                         age_ms < limit_ms && !s->has_clock_stepped;
        if (must_stay && !s->plan.node[i].is_joined) {
            fail(s, "node %u is a healthy member and lost its roles", i);
        }
        s->was_joined[i] = s->plan.node[i].is_joined;
    }
}

static bool outranks(const struct sim *s, unsigned a, unsigned b)
{
    int64_t pa = s->config.use_priority && s->priority[a] > 0 ? s->priority[a] : INT64_MAX;
    int64_t pb = s->config.use_priority && s->priority[b] > 0 ? s->priority[b] : INT64_MAX;
    return pa < pb;
}

static void check_master_moves(struct sim *s)
{
    int old = s->last_master;
    int new = s->plan.master;
    s->last_master = new >= 0 ? new : old;
    if (s->config.disable_master_role_setting && new >= 0) {
        fail(s, "a Master although roles are off");
    }
    if (s->config.root_node_as_master && !s->config.use_priority &&
        !s->config.disable_master_failback) {
        if (new >= 0 && s->obs[new].local_index != 0) {
            fail(s, "the Master is not the root node");
        }
        return;
    }
    if (new >= 0 && s->obs[new].read_only) {
        for (unsigned i = 0; i < s->monitored; i++) {
            bool is_allowed = !s->config.use_priority || s->priority[i] >= 0;
            if (s->plan.node[i].is_joined && !s->is_maintenance[i] && !s->obs[i].read_only &&
                is_allowed) {
                fail(s, "the Master is read_only, node %u is not", i);
            }
        }
    }
    if (s->config.disable_master_role_setting || old < 0 || new == old) {
        return;
    }
    bool is_healthy = s->plan.node[old].is_joined && !s->is_maintenance[old] &&
                      !s->obs[old].read_only && !(s->config.use_priority && s->priority[old] < 0);
    bool is_outranked =
        new >= 0 && outranks(s, (unsigned)new, (unsigned)old) && !s->config.disable_master_failback;
    if (is_healthy && !is_outranked) {
        fail(s, "the Master moved from %d to %d although it is healthy", old, new);
    }
}

static void print_tick(const struct sim *s)
{
    printf("%8.2f", (double)s->w.now_ms / 1000.0);
    for (unsigned i = 0; i < s->monitored; i++) {
        const struct sl_galera_node_plan *n = &s->plan.node[i];
        printf(" | %c %lld/%lld %s",
               n->is_master    ? 'M'
               : n->is_slave   ? 'S'
               : n->is_running ? 'r'
                               : '-',
               (long long)s->obs[i].conf_id, (long long)s->obs[i].cluster_size,
               sl_galera_reason_name(n->reason));
    }
    printf("\n");
}

static void tick(struct sim *s)
{
    s->tick++;
    observe(s);
    sl_galera_decide(&s->config, &s->memory, s->obs, s->monitored, s->w.now_ms + s->clock_offset_ms,
                     &s->plan);
    if (s->is_verbose) {
        print_tick(s);
    }
    check_roles(s);
    check_stale(s);
    check_past(s);
    check_steady(s);
    check_master_moves(s);
    s->has_clock_stepped = false;
    end_faults(s, false);
    model_run(&s->w, s->plan.wants_look ? 100 : 1000 + model_random(&s->w, 2000));
}

/* Faults have stopped: everybody is a member again and somebody is Master. */
static void check_recovery(struct sim *s)
{
    end_faults(s, true);
    model_heal(&s->w);
    model_run(&s->w, QUIET_MS);
    s->w.has_big_transactions = false;
    model_run(&s->w, QUIET_MS);
    for (int i = 0; i < LAST_TICKS; i++) {
        tick(s);
    }
    bool may_lack_master = s->config.disable_master_role_setting;
    bool has_allowed = false;
    for (unsigned i = 0; i < s->monitored; i++) {
        has_allowed = has_allowed || !s->config.use_priority || s->priority[i] >= 0;
        bool is_donor = s->obs[i].local_state == 2;
        bool is_lost = s->obs[i].answer != SL_GALERA_ANSWERED;
        may_lack_master = may_lack_master || is_donor || is_lost;
        if (!s->plan.node[i].is_joined && !is_donor && !is_lost) {
            fail(s, "node %u did not come back", i);
        }
    }
    bool is_root_rule = s->config.root_node_as_master && s->monitored < s->w.count;
    if (s->plan.master < 0 && !may_lack_master && has_allowed && !is_root_rule) {
        fail(s, "no Master although all faults stopped");
    }
}

static void set_up(struct sim *s, uint64_t seed)
{
    struct model *w = &s->w;
    s->seed = seed;
    model_init(w, seed * 0x9e3779b97f4a7c15ULL + 1, 2 + (unsigned)(seed % 4));
    w->lists = (enum model_lists)model_random(w, 3);
    w->has_big_transactions = model_chance(w, 30);
    s->monitored = w->count - (w->count > 3 && model_chance(w, 25));
    s->config = (struct sl_galera_config){
        .disable_master_failback = model_chance(w, 20),
        .available_when_donor = model_chance(w, 30),
        .disable_master_role_setting = model_chance(w, 5),
        .use_priority = model_chance(w, 30),
        .root_node_as_master = model_chance(w, 10),
    };
    for (unsigned i = 0; i < s->monitored; i++) {
        s->priority[i] = (int64_t)model_random(w, 5) - 1;
    }
    sl_galera_memory_init(&s->memory);
    s->last_master = -1;
}

static bool run_seed(uint64_t seed, bool is_verbose)
{
    static struct sim s;
    memset(&s, 0, sizeof(s));
    s.is_verbose = is_verbose;
    set_up(&s, seed);
    unsigned fault_percent = 5 + (unsigned)model_random(&s.w, 30);
    for (unsigned i = 0; i < TICKS && !s.has_failed; i++) {
        if (model_chance(&s.w, fault_percent)) {
            fault(&s);
        }
        if (model_chance(&s.w, 1)) {
            restart_manager(&s);
        }
        tick(&s);
    }
    if (!s.has_failed) {
        check_recovery(&s);
    }
    return !s.has_failed;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 1000;
    uint64_t first = 1;
    bool is_verbose = false;
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--seeds") == 0 && has_value) {
            seeds = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0 && has_value) {
            first = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "-v") == 0) {
            is_verbose = true;
        } else {
            fprintf(stderr, "usage: %s [--seeds N] [--seed S] [-v]\n", argv[0]);
            return 2;
        }
    }
    unsigned failed = 0;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        failed += !run_seed(seed, is_verbose);
    }
    printf("%llu seeds from %llu, %u failed\n", (unsigned long long)seeds,
           (unsigned long long)first, failed);
    return failed ? 1 : 0;
}
