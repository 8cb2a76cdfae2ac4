/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decisions of galeramon. Pure functions over what was seen; nothing here blocks, allocates or
 * reads a clock.
 *
 *   1. the cluster   which wsrep_cluster_state_uuid most nodes share (view.c)
 *   2. the view      which (conf_id, size) of that cluster is the living one (view.c)
 *   3. joined        who is a synced member of it; who claims so with an older view
 *   4. the Master    who of the joined; it stays where it is while healthy
 *   5. replicas      asynchronous replicas of joined nodes
 *
 * Facts about Galera: a Primary component numbers its views (wsrep_cluster_conf_id) upwards; a new
 * view holds more than half of the one before it, unless somebody bootstraps by hand (Galera
 * documentation: "Quorum components", "Resetting the quorum"; status variables page). A node that
 * was stopped keeps reporting its last view for seconds after it runs again.
 *
 * Invariants: D1 at most one node gets Master, and it is joined. D2 only nodes that answered get
 * any role. D3 a node whose component is not Primary gets none. D4 a node outside the living view
 * never gains a role; it may keep one only while SUSPECT or CATCHING_UP, both bounded in time.
 */
#include "monitor/galera/decide.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "monitor/galera/view.h"

enum {
    STATE_DONOR = 2, /* values of wsrep_local_state */
    STATE_SYNCED = 4,
    NOTABLE_RECV_QUEUE = 16, /* gcs.fc_limit starts there */
    NOTABLE_FLOW_CONTROL_PCT = 5
};

#define NO_CLUSTER_UUID "00000000-0000-0000-0000-000000000000"

static const struct {
    const char *name, *text;
} reasons[] = {
#define SL_GALERA_REASON_ROW(name, word, text) {word, text},
    SL_GALERA_REASON_LIST(SL_GALERA_REASON_ROW)
#undef SL_GALERA_REASON_ROW
};

static const struct {
    const char *name, *text;
} choices[] = {
#define SL_GALERA_CHOICE_ROW(name, word, text) {word, text},
    SL_GALERA_CHOICE_LIST(SL_GALERA_CHOICE_ROW)
#undef SL_GALERA_CHOICE_ROW
};

const char *sl_galera_reason_name(enum sl_galera_reason reason)
{
    sl_assert(reason < SL_GALERA_REASON_COUNT);
    return reasons[reason].name;
}

const char *sl_galera_choice_name(enum sl_galera_choice choice)
{
    sl_assert(choice < SL_GALERA_CHOICE_COUNT);
    return choices[choice].name;
}

const char *sl_galera_choice_text(enum sl_galera_choice choice)
{
    sl_assert(choice < SL_GALERA_CHOICE_COUNT);
    return choices[choice].text;
}

void sl_galera_memory_init(struct sl_galera_memory *memory)
{
    memset(memory, 0, sizeof(*memory));
    memory->master = -1;
}
/* ---- 3. joined ---- */

static void explain(struct sl_galera_node_plan *n, enum sl_galera_reason reason)
{
    n->reason = reason;
    snprintf(n->why, sizeof(n->why), "%s", reasons[reason].text);
}

static bool is_donor_in_use(const struct sl_galera_look *l, const struct sl_galera_observation *o)
{
    return o->local_state == STATE_DONOR && l->config->available_when_donor &&
           o->has_nonblocking_sst;
}

/* What the node says about itself. SYNCED: it claims to be fit for use. */
static enum sl_galera_reason own_claim(const struct sl_galera_look *l,
                                       const struct sl_galera_observation *o)
{
    const struct {
        bool is_true;
        enum sl_galera_reason reason;
    } rows[] = {
        {o->answer == SL_GALERA_NO_ANSWER, SL_GALERA_WHY_NO_ANSWER},
        {o->answer == SL_GALERA_UNREACHABLE, SL_GALERA_WHY_UNREACHABLE},
        {o->answer == SL_GALERA_AUTH_FAILED, SL_GALERA_WHY_AUTH_FAILED},
        {!o->has_wsrep, SL_GALERA_WHY_NOT_GALERA},
        {!o->is_primary || o->conf_id < 0, SL_GALERA_WHY_NON_PRIMARY},
        {!o->is_connected, SL_GALERA_WHY_NOT_CONNECTED},
        {!o->is_ready, SL_GALERA_WHY_NOT_READY},
        {o->local_state != STATE_SYNCED && !is_donor_in_use(l, o), SL_GALERA_WHY_NOT_SYNCED},
        {o->is_desynced, SL_GALERA_WHY_DESYNCED},
        {o->rejects_queries, SL_GALERA_WHY_REJECTS_QUERIES},
        {o->donor_rejects_queries, SL_GALERA_WHY_DONOR_REJECTS},
        {o->local_index < 0, SL_GALERA_WHY_BAD_INDEX},
    };
    for (unsigned i = 0; i < SL_ARRAY_LEN(rows); i++) {
        if (rows[i].is_true) {
            return rows[i].reason;
        }
    }
    return SL_GALERA_WHY_SYNCED;
}

/* D4: the node claims to be fit but is outside the living view. May it keep what it has a little
 * longer? */
static void judge_outsider(struct sl_galera_look *l, unsigned i, const struct sl_galera_view *v)
{
    const struct sl_galera_observation *o = &l->obs[i];
    struct sl_galera_node_memory *mem = &l->memory->node[i];
    struct sl_galera_node_plan *n = &l->plan->node[i];
    enum sl_galera_membership m = sl_galera_membership_of(l, i, v);
    if (l->plan->conf_id < 0) {
        /* those who could tell are gone: a member that lags, or the past */
        m = mem->was_joined ? SL_GALERA_IN : SL_GALERA_OUT;
    }
    if (mem->suspect_looks == 0) {
        mem->suspect_since_ms = l->now_ms;
    }
    mem->suspect_looks++;
    uint64_t limit_ms = m == SL_GALERA_IN ? SL_GALERA_LAG_GRACE_MS : SL_GALERA_CONFIRM_MS;
    bool is_confirmed =
        mem->suspect_looks >= 2 && sl_galera_elapsed_ms(l, mem->suspect_since_ms) >= limit_ms;

    if (m == SL_GALERA_OUT) {
        explain(n, o->conf_id < v->conf_id ? SL_GALERA_WHY_EXCLUDED : SL_GALERA_WHY_SPLIT);
    } else if (mem->was_joined && !is_confirmed) {
        n->is_joined = true;
        explain(n, m == SL_GALERA_IN ? SL_GALERA_WHY_CATCHING_UP : SL_GALERA_WHY_SUSPECT);
        l->plan->wants_look = l->plan->wants_look || m == SL_GALERA_UNKNOWN;
    } else {
        explain(n, SL_GALERA_WHY_STALE);
    }
    size_t len = strlen(n->why);
    snprintf(n->why + len, sizeof(n->why) - len,
             ": it has view %lld of %lld, they have view %lld of %lld", (long long)o->conf_id,
             (long long)o->cluster_size, (long long)v->conf_id, (long long)v->size);
}

static void judge_node(struct sl_galera_look *l, unsigned i, const struct sl_galera_view *v)
{
    const struct sl_galera_observation *o = &l->obs[i];
    struct sl_galera_node_plan *n = &l->plan->node[i];
    enum sl_galera_reason claim = own_claim(l, o);
    n->is_running = o->answer == SL_GALERA_ANSWERED;
    explain(n, claim);
    if (claim == SL_GALERA_WHY_SYNCED && !sl_galera_is_in_cluster(l, i)) {
        explain(n, SL_GALERA_WHY_FOREIGN_CLUSTER);
    } else if (claim == SL_GALERA_WHY_SYNCED && !sl_galera_is_in_view(l, i, v)) {
        judge_outsider(l, i, v);
        return;
    } else if (claim == SL_GALERA_WHY_SYNCED) {
        n->is_joined = true;
    } else if (claim == SL_GALERA_WHY_NOT_SYNCED) {
        snprintf(n->why, sizeof(n->why), "its state is %.60s",
                 o->state_comment[0] ? o->state_comment : "unknown");
    }
    l->memory->node[i].suspect_looks = 0;
}

/* A node that was desynced by hand, or is a donor that is not to be used, still reads and
 * writes. */
static void judge_donor(struct sl_galera_look *l, unsigned i)
{
    const struct sl_galera_observation *o = &l->obs[i];
    struct sl_galera_node_plan *n = &l->plan->node[i];
    bool is_donor = n->is_running && o->local_state == STATE_DONOR;
    n->is_donor = is_donor && n->is_joined;
    n->is_leaving = is_donor && !n->is_joined && o->is_primary && o->is_ready &&
                    !o->rejects_queries && !o->donor_rejects_queries;
}

static void judge_nodes(struct sl_galera_look *l, const struct sl_galera_view *v)
{
    for (unsigned i = 0; i < l->count; i++) {
        judge_node(l, i, v);
        judge_donor(l, i);
        l->memory->node[i].was_joined = l->plan->node[i].is_joined;
        /* A slow answer may describe a later moment than the quick ones: a node that was stopped
         * meanwhile would look as fresh as its peers did before. */
        if (l->obs[i].answer == SL_GALERA_ANSWERED &&
            l->obs[i].latency_ms > SL_GALERA_SLOW_ANSWER_MS) {
            l->plan->wants_look = true;
        }
    }
}

/* ---- 4. the Master ---- */

static bool is_candidate(const struct sl_galera_look *l, unsigned i)
{
    return l->plan->node[i].is_joined && !l->obs[i].is_maintenance &&
           !(l->config->use_priority && l->obs[i].priority < 0);
}

/* Rank of a candidate by what it can do; the Master is of the best rank there is. */
static int ability(const struct sl_galera_observation *o)
{
    return (o->read_only ? 0 : 2) + (o->is_draining ? 0 : 1);
}

static int64_t priority_key(const struct sl_galera_look *l, unsigned i)
{
    return l->config->use_priority && l->obs[i].priority > 0 ? l->obs[i].priority : INT64_MAX;
}

/* Order of the configuration decides ties: `a` comes after `b` there. */
static bool is_better_master(const struct sl_galera_look *l, unsigned a, unsigned b)
{
    int64_t key_a = priority_key(l, a);
    int64_t key_b = priority_key(l, b);
    if (key_a != key_b) {
        return key_a < key_b;
    }
    return key_a == INT64_MAX && l->obs[a].local_index < l->obs[b].local_index;
}

static int best_master(const struct sl_galera_look *l)
{
    int best = -1;
    for (unsigned i = 0; i < l->count; i++) {
        if (!is_candidate(l, i)) {
            continue;
        }
        int mine = ability(&l->obs[i]);
        int theirs = best < 0 ? -1 : ability(&l->obs[best]);
        if (mine > theirs || (mine == theirs && is_better_master(l, i, (unsigned)best))) {
            best = (int)i;
        }
    }
    return best;
}

static bool has_joined(const struct sl_galera_look *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        if (l->plan->node[i].is_joined && !l->obs[i].is_maintenance) {
            return true;
        }
    }
    return false;
}

/* Healthy and as able as the best: then only a better priority can move the Master, and failback
 * may forbid that. */
static bool may_stay(const struct sl_galera_look *l, int current, int best)
{
    if (current < 0 || (unsigned)current >= l->count || !is_candidate(l, (unsigned)current) ||
        ability(&l->obs[current]) < ability(&l->obs[best])) {
        return false;
    }
    return l->config->disable_master_failback ||
           priority_key(l, (unsigned)current) == priority_key(l, (unsigned)best);
}

static int choose_master(struct sl_galera_look *l)
{
    const struct sl_galera_config *c = l->config;
    int current = l->memory->master;
    int best = best_master(l);
    if (c->disable_master_role_setting) {
        l->plan->choice = SL_GALERA_CHOICE_ROLES_OFF;
        return -1;
    }
    if (best < 0) {
        l->plan->choice =
            has_joined(l) ? SL_GALERA_CHOICE_NONE_ALLOWED : SL_GALERA_CHOICE_NONE_JOINED;
        return -1;
    }
    if (c->root_node_as_master && !c->use_priority && !c->disable_master_failback) {
        bool is_root = l->obs[best].local_index == 0;
        l->plan->choice = is_root ? SL_GALERA_CHOICE_ROOT : SL_GALERA_CHOICE_ROOT_MISSING;
        return is_root ? best : -1;
    }
    if (may_stay(l, current, best)) {
        bool is_sticky =
            c->disable_master_failback && is_better_master(l, (unsigned)best, (unsigned)current);
        l->plan->choice = is_sticky ? SL_GALERA_CHOICE_STICKY : SL_GALERA_CHOICE_KEPT;
        return current;
    }
    l->plan->choice = priority_key(l, (unsigned)best) != INT64_MAX ? SL_GALERA_CHOICE_PRIORITY
                                                                   : SL_GALERA_CHOICE_INDEX;
    return best;
}

static void give_roles(struct sl_galera_look *l)
{
    int master = choose_master(l);
    l->plan->master = master;
    /* While nobody is Master the last one is remembered: when all come back together it stays
     * where it was. */
    if (master >= 0 || l->config->disable_master_role_setting) {
        l->memory->master = master;
    }
    if (l->config->disable_master_role_setting) {
        return;
    }
    for (unsigned i = 0; i < l->count; i++) {
        struct sl_galera_node_plan *n = &l->plan->node[i];
        n->is_master = (int)i == master;
        n->is_slave = n->is_joined && !n->is_master;
    }
}

/* ---- 5. replicas ---- */

static bool is_source_joined(const struct sl_galera_look *l, int64_t source_id)
{
    for (unsigned i = 0; i < l->count; i++) {
        if (l->plan->node[i].is_joined && l->obs[i].server_id == source_id) {
            return true;
        }
    }
    return false;
}

/* A server that replicates from a joined node serves reads, unless it is a sick node of the
 * cluster itself. */
static void find_replicas(struct sl_galera_look *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        const struct sl_galera_observation *o = &l->obs[i];
        struct sl_galera_node_plan *n = &l->plan->node[i];
        bool is_fit =
            n->reason == SL_GALERA_WHY_NOT_GALERA || n->reason == SL_GALERA_WHY_FOREIGN_CLUSTER;
        if (n->is_running && is_fit && o->source_id > 0 && is_source_joined(l, o->source_id)) {
            n->is_slave = true;
            explain(n, SL_GALERA_WHY_REPLICA);
        }
    }
}

/* ---- what users see ---- */

static void add_detail(struct sl_galera_node_plan *n, const char *text)
{
    size_t len = strlen(n->details);
    snprintf(n->details + len, sizeof(n->details) - len, "%s%s", len ? ", " : "", text);
}

/* Words for a node that claims Synced and is not in use nevertheless. */
static const char *hidden_defect(enum sl_galera_reason reason)
{
    static const char *const words[SL_GALERA_REASON_COUNT] = {
        [SL_GALERA_WHY_NOT_CONNECTED] = "Not connected",
        [SL_GALERA_WHY_NOT_READY] = "Not ready",
        [SL_GALERA_WHY_DESYNCED] = "Desynced",
        [SL_GALERA_WHY_REJECTS_QUERIES] = "Rejects queries",
        [SL_GALERA_WHY_DONOR_REJECTS] = "Rejects queries as donor",
        [SL_GALERA_WHY_BAD_INDEX] = "No index",
        [SL_GALERA_WHY_FOREIGN_CLUSTER] = "Other cluster",
        [SL_GALERA_WHY_EXCLUDED] = "Stale view",
        [SL_GALERA_WHY_STALE] = "Stale view",
        [SL_GALERA_WHY_SPLIT] = "Split-off component",
        [SL_GALERA_WHY_SUSPECT] = "Older view",
        [SL_GALERA_WHY_CATCHING_UP] = "Catching up",
    };
    return words[reason];
}

static void describe(struct sl_galera_look *l, unsigned i)
{
    const struct sl_galera_observation *o = &l->obs[i];
    struct sl_galera_node_plan *n = &l->plan->node[i];
    char text[80];
    if (!n->is_running || !o->has_wsrep) {
        return;
    }
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(o->state_comment, ":"), o->state_comment);
    if (text[0] && strcmp(text, "Synced") != 0) {
        add_detail(n, text);
    }
    if (!o->is_primary) {
        add_detail(n, "Non-Primary");
    } else if (o->local_state == STATE_SYNCED && hidden_defect(n->reason)) {
        add_detail(n, hidden_defect(n->reason));
    }
    if (n->is_master && l->plan->choice == SL_GALERA_CHOICE_STICKY) {
        add_detail(n, "Master Stickiness");
    }
    if (o->flow_control_pct >= NOTABLE_FLOW_CONTROL_PCT) {
        snprintf(text, sizeof(text), "Flow control %.0f%%", o->flow_control_pct);
        add_detail(n, text);
    }
    if (o->recv_queue >= NOTABLE_RECV_QUEUE) {
        snprintf(text, sizeof(text), "recv queue %lld", (long long)o->recv_queue);
        add_detail(n, text);
    }
}

void sl_galera_decide(const struct sl_galera_config *config, struct sl_galera_memory *memory,
                      const struct sl_galera_observation *obs, unsigned count, uint64_t now_ms,
                      struct sl_galera_plan *ret)
{
    sl_assert(count <= SL_GALERA_NODES_MAX);
    memset(ret, 0, sizeof(*ret));
    struct sl_galera_look l = {config, memory, obs, count, now_ms, ret};
    sl_galera_find_cluster(&l);
    sl_galera_find_aliases(&l);
    sl_galera_find_past(&l);
    struct sl_galera_view v = sl_galera_find_view(&l);
    judge_nodes(&l, v.supporters > 0 ? &v : &memory->view);
    sl_galera_remember_view(&l, &v);
    give_roles(&l);
    find_replicas(&l);
    for (unsigned i = 0; i < count; i++) {
        describe(&l, i);
    }
    sl_assert(ret->master < 0 || ret->node[ret->master].is_joined); /* D1 */
}
