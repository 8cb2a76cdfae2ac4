/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decisions of galeramon. Pure functions over what was seen; nothing here blocks, allocates or
 * reads a clock.
 *
 *   1. the cluster   which wsrep_cluster_state_uuid most nodes share
 *   2. the view      which (conf_id, size) of that cluster is the living one
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

enum {
    STATE_DONOR = 2, /* values of wsrep_local_state */
    STATE_SYNCED = 4,
    NOTABLE_RECV_QUEUE = 16, /* gcs.fc_limit starts there */
    NOTABLE_FLOW_CONTROL_PCT = 5
};

#define NO_CLUSTER_UUID "00000000-0000-0000-0000-000000000000"

/* What one decision works on. */
struct look {
    const struct sl_galera_config *config;
    struct sl_galera_memory *memory;
    const struct sl_galera_observation *obs;
    unsigned count;
    uint64_t now_ms;
    struct sl_galera_plan *plan;
};

/* What the living view tells about a node outside it. */
enum membership {
    IS_OUT,
    IS_IN,
    IS_UNKNOWN
};

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

/* ---- 1. the cluster ---- */

static bool has_cluster(const struct sl_galera_observation *o)
{
    return o->answer == SL_GALERA_ANSWERED && o->has_wsrep && o->uuid[0] &&
           strcmp(o->uuid, NO_CLUSTER_UUID) != 0;
}

/* A live Primary component with a numbered view: what a quorum can be read from. */
static bool has_view(const struct sl_galera_observation *o)
{
    return has_cluster(o) && o->is_primary && o->is_connected && o->conf_id >= 0 &&
           o->cluster_size > 0;
}

/* Most nodes win; then Primary ones; then the cluster it was; then the larger uuid. */
static bool is_better_cluster(const struct look *l, const char *uuid, const unsigned score[2],
                              const char *best, const unsigned best_score[2])
{
    for (int i = 0; i < 2; i++) {
        if (score[i] != best_score[i]) {
            return score[i] > best_score[i];
        }
    }
    bool is_known = strcmp(uuid, l->memory->uuid) == 0;
    bool is_best_known = strcmp(best, l->memory->uuid) == 0;
    return is_known != is_best_known ? is_known : strcmp(uuid, best) > 0;
}

static void find_cluster(struct look *l)
{
    unsigned best_score[2] = {0, 0};
    l->plan->uuid[0] = '\0';
    for (unsigned i = 0; i < l->count; i++) {
        if (!has_cluster(&l->obs[i])) {
            continue;
        }
        const char *uuid = l->obs[i].uuid;
        unsigned score[2] = {0, 0};
        for (unsigned k = 0; k < l->count; k++) {
            bool is_same = has_cluster(&l->obs[k]) && strcmp(l->obs[k].uuid, uuid) == 0;
            score[0] += is_same;
            score[1] += is_same && has_view(&l->obs[k]);
        }
        if (is_better_cluster(l, uuid, score, l->plan->uuid, best_score)) {
            memcpy(l->plan->uuid, uuid, sizeof(l->plan->uuid));
            memcpy(best_score, score, sizeof(score));
        }
    }
    if (l->plan->uuid[0] && strcmp(l->memory->uuid, l->plan->uuid) != 0) {
        memset(&l->memory->view, 0, sizeof(l->memory->view)); /* another cluster counts from anew */
        memcpy(l->memory->uuid, l->plan->uuid, sizeof(l->memory->uuid));
    }
}

static bool is_in_cluster(const struct look *l, unsigned i)
{
    return has_cluster(&l->obs[i]) && strcmp(l->obs[i].uuid, l->plan->uuid) == 0;
}

/* ---- 2. the living view ---- */

static bool is_in_view(const struct look *l, unsigned i, const struct sl_galera_view *v)
{
    const struct sl_galera_observation *o = &l->obs[i];
    return is_in_cluster(l, i) && has_view(o) && !l->memory->node[i].is_past &&
           o->conf_id == v->conf_id && o->cluster_size == v->size;
}

/* Two servers of the configuration may lead to one node (an alias, a forwarded port): within a view
 * an index is one node's. Such a node supports its view once. */
static void find_aliases(struct look *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        const struct sl_galera_observation *o = &l->obs[i];
        l->plan->node[i].same_as = -1;
        for (unsigned k = 0; k < i && has_view(o) && o->local_index >= 0; k++) {
            const struct sl_galera_observation *p = &l->obs[k];
            if (has_view(p) && p->local_index == o->local_index && p->conf_id == o->conf_id &&
                p->cluster_size == o->cluster_size && strcmp(p->uuid, o->uuid) == 0) {
                l->plan->node[i].same_as = (int)k;
                break;
            }
        }
    }
}

/* ---- member lists: wsrep_incoming_addresses, one entry per member in index order ---- */

static bool nth_entry(const char *list, int64_t n, const char **ret, size_t *ret_len)
{
    for (; n > 0; n--) {
        list = strchr(list, ',');
        if (!list) {
            return false;
        }
        list++;
    }
    *ret = list;
    *ret_len = strcspn(list, ",");
    return true;
}

static int64_t count_entries(const char *list, const char *wanted, size_t wanted_len)
{
    const char *entry;
    size_t len;
    int64_t found = 0;
    for (int64_t i = 0; nth_entry(list, i, &entry, &len); i++) {
        found += !wanted || (len == wanted_len && memcmp(entry, wanted, len) == 0);
    }
    return found;
}

/* Is the node listed as a member by somebody in the living view? Its identity is the entry that
 * its own list has at its own index; it must be unique there ("AUTO" and forwarded ports may
 * repeat). */
static enum membership is_listed(const struct look *l, unsigned i, const struct sl_galera_view *v)
{
    const struct sl_galera_observation *o = &l->obs[i];
    const char *me;
    size_t len;
    bool is_known = o->members[0] && o->local_index >= 0 &&
                    count_entries(o->members, NULL, 0) == o->cluster_size &&
                    nth_entry(o->members, o->local_index, &me, &len) && len > 0 &&
                    count_entries(o->members, me, len) == 1;
    if (!is_known) {
        return IS_UNKNOWN;
    }
    enum membership result = IS_UNKNOWN;
    for (unsigned k = 0; k < l->count; k++) {
        const struct sl_galera_observation *p = &l->obs[k];
        if (!is_in_view(l, k, v) || !p->members[0] ||
            count_entries(p->members, NULL, 0) != v->size) {
            continue;
        }
        if (count_entries(p->members, me, len) > 0) {
            return IS_IN;
        }
        result = IS_OUT;
    }
    return result;
}

/* Could `newer` have come out of `older` by quorum, that is, can it hold more than half of its
 * members? Members in common can only be: supporters of `older` that are not seen in `newer`
 * yet, nodes seen in `newer` that `older` does not show, and nodes that are seen in neither. */
static bool can_descend(const struct sl_galera_view *newer, const struct sl_galera_view *older)
{
    int64_t unseen_newer = SL_MAX(newer->size - newer->supporters, 0);
    int64_t unseen_older = SL_MAX(older->size - older->supporters, 0);
    int64_t lagging = SL_MIN(unseen_newer, older->supporters);
    int64_t moved_on = SL_MIN(newer->supporters, unseen_older);
    int64_t elsewhere = SL_MIN(unseen_newer - lagging, unseen_older - moved_on);
    return 2 * (lagging + moved_on + elsewhere) > older->size;
}

/* Do the supporters of `older` count a node as theirs that is in `newer` by now? Then `older` is
 * the past for sure. */
static enum membership counts_as_its_own(const struct look *l, const struct sl_galera_view *older,
                                         const struct sl_galera_view *newer)
{
    enum membership result = IS_UNKNOWN;
    for (unsigned i = 0; i < l->count; i++) {
        enum membership m = is_in_view(l, i, newer) ? is_listed(l, i, older) : IS_UNKNOWN;
        if (m == IS_IN) {
            return IS_IN;
        }
        result = m == IS_OUT ? IS_OUT : result;
    }
    return result;
}

static bool is_successor(const struct look *l, const struct sl_galera_view *newer,
                         const struct sl_galera_view *older)
{
    switch (counts_as_its_own(l, older, newer)) {
    case IS_IN:
        return true;
    case IS_OUT:
        return can_descend(newer, older);
    case IS_UNKNOWN:
        break;
    }
    return can_descend(newer, older) || older->size - older->supporters >= newer->supporters;
}

/* `a` lives and `b` is its past, or a piece split off. */
static bool supersedes(const struct look *l, const struct sl_galera_view *a,
                       const struct sl_galera_view *b)
{
    bool is_newer = a->conf_id > b->conf_id;
    if (a->conf_id != b->conf_id && is_successor(l, is_newer ? a : b, is_newer ? b : a)) {
        return is_newer; /* time went on */
    }
    /* Two components that both call themselves Primary: somebody bootstrapped a piece by hand.
     * The one that more nodes support is the cluster. */
    if (a->supporters != b->supporters) {
        return a->supporters > b->supporters;
    }
    return a->conf_id != b->conf_id ? is_newer : a->size > b->size;
}

/* Time since `since_ms`; a clock that went back counts as no time. */
static uint64_t elapsed_ms(const struct look *l, uint64_t since_ms)
{
    return l->now_ms > since_ms ? l->now_ms - since_ms : 0;
}

/* Gone, or a member of no Primary component? A node that does not answer is neither. */
static bool is_outside(const struct look *l, unsigned i)
{
    const struct sl_galera_observation *o = &l->obs[i];
    return o->answer == SL_GALERA_UNREACHABLE ||
           (o->answer == SL_GALERA_ANSWERED && (!is_in_cluster(l, i) || !has_view(o)));
}

/* A thawed node may be the only one left that claims to be Primary, when those who went on
 * without it fell apart. It is measured by the living view that was seen last. */
static bool is_of_the_past(struct look *l, unsigned i)
{
    const struct sl_galera_observation *o = &l->obs[i];
    const struct sl_galera_view *last = &l->memory->view;
    struct sl_galera_node_memory *mem = &l->memory->node[i];
    if (!is_in_cluster(l, i) || !has_view(o) || last->supporters == 0 ||
        o->conf_id >= last->conf_id || mem->was_outside) {
        mem->past_looks = 0;
        return false;
    }
    struct sl_galera_view mine = {o->conf_id, o->cluster_size, 0};
    for (unsigned k = 0; k < l->count; k++) {
        mine.supporters += is_in_cluster(l, k) && has_view(&l->obs[k]) &&
                           l->plan->node[k].same_as < 0 && l->obs[k].conf_id == mine.conf_id &&
                           l->obs[k].cluster_size == mine.size;
    }
    if (mem->past_looks++ == 0) {
        mem->past_since_ms = l->now_ms;
    }
    /* As in is_successor, without lists: those who could tell are gone. */
    bool is_ancestor = can_descend(last, &mine) || mine.size - mine.supporters >= last->supporters;
    bool is_believed = mem->past_looks > SL_GALERA_PAST_LOOKS &&
                       elapsed_ms(l, mem->past_since_ms) >= SL_GALERA_PAST_MS;
    return is_ancestor && !is_believed;
}

static void find_past(struct look *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        l->memory->node[i].was_outside = l->memory->node[i].was_outside || is_outside(l, i);
        l->memory->node[i].is_past = false;
    }
    for (unsigned i = 0; i < l->count; i++) {
        l->memory->node[i].is_past = is_of_the_past(l, i);
    }
}

/* Who shows an older view later is believed only if it was outside in between, so that it
 * entered that view since. */
static void remember_view(struct look *l, const struct sl_galera_view *v)
{
    if (v->supporters == 0) {
        return;
    }
    struct sl_galera_view *last = &l->memory->view;
    bool is_same = last->conf_id == v->conf_id && last->size == v->size;
    int64_t supporters = is_same ? SL_MAX(last->supporters, v->supporters) : v->supporters;
    *last = (struct sl_galera_view){v->conf_id, v->size, supporters};
    for (unsigned i = 0; i < l->count && !is_same; i++) {
        l->memory->node[i].was_outside = is_outside(l, i);
    }
}

static struct sl_galera_view view_of(const struct look *l, unsigned i)
{
    struct sl_galera_view v = {l->obs[i].conf_id, l->obs[i].cluster_size, 0};
    for (unsigned k = 0; k < l->count; k++) {
        v.supporters += is_in_view(l, k, &v) && l->plan->node[k].same_as < 0;
    }
    return v;
}

static struct sl_galera_view find_view(const struct look *l)
{
    struct sl_galera_view best = {-1, -1, 0};
    for (unsigned i = 0; i < l->count; i++) {
        if (!is_in_cluster(l, i) || !has_view(&l->obs[i]) || l->memory->node[i].is_past) {
            continue;
        }
        struct sl_galera_view v = view_of(l, i);
        bool is_same = v.conf_id == best.conf_id && v.size == best.size;
        if (best.supporters == 0 || (!is_same && supersedes(l, &v, &best))) {
            best = v;
        }
    }
    l->plan->conf_id = best.conf_id;
    l->plan->cluster_size = best.size;
    return best;
}

static enum membership membership_of(const struct look *l, unsigned i,
                                     const struct sl_galera_view *v)
{
    /* All its members were seen, and this node is not among them. */
    return v->supporters >= v->size ? IS_OUT : is_listed(l, i, v);
}

/* ---- 3. joined ---- */

static void explain(struct sl_galera_node_plan *n, enum sl_galera_reason reason)
{
    n->reason = reason;
    snprintf(n->why, sizeof(n->why), "%s", reasons[reason].text);
}

static bool is_donor_in_use(const struct look *l, const struct sl_galera_observation *o)
{
    return o->local_state == STATE_DONOR && l->config->available_when_donor &&
           o->has_nonblocking_sst;
}

/* What the node says about itself. SYNCED: it claims to be fit for use. */
static enum sl_galera_reason own_claim(const struct look *l, const struct sl_galera_observation *o)
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
static void judge_outsider(struct look *l, unsigned i, const struct sl_galera_view *v)
{
    const struct sl_galera_observation *o = &l->obs[i];
    struct sl_galera_node_memory *mem = &l->memory->node[i];
    struct sl_galera_node_plan *n = &l->plan->node[i];
    enum membership m = membership_of(l, i, v);
    if (l->plan->conf_id < 0) {
        /* those who could tell are gone: a member that lags, or the past */
        m = mem->was_joined ? IS_IN : IS_OUT;
    }
    if (mem->suspect_looks == 0) {
        mem->suspect_since_ms = l->now_ms;
    }
    mem->suspect_looks++;
    uint64_t limit_ms = m == IS_IN ? SL_GALERA_LAG_GRACE_MS : SL_GALERA_CONFIRM_MS;
    bool is_confirmed = mem->suspect_looks >= 2 && elapsed_ms(l, mem->suspect_since_ms) >= limit_ms;

    if (m == IS_OUT) {
        explain(n, o->conf_id < v->conf_id ? SL_GALERA_WHY_EXCLUDED : SL_GALERA_WHY_SPLIT);
    } else if (mem->was_joined && !is_confirmed) {
        n->is_joined = true;
        explain(n, m == IS_IN ? SL_GALERA_WHY_CATCHING_UP : SL_GALERA_WHY_SUSPECT);
        l->plan->wants_look = l->plan->wants_look || m == IS_UNKNOWN;
    } else {
        explain(n, SL_GALERA_WHY_STALE);
    }
    size_t len = strlen(n->why);
    snprintf(n->why + len, sizeof(n->why) - len,
             ": it has view %lld of %lld, they have view %lld of %lld", (long long)o->conf_id,
             (long long)o->cluster_size, (long long)v->conf_id, (long long)v->size);
}

static void judge_node(struct look *l, unsigned i, const struct sl_galera_view *v)
{
    const struct sl_galera_observation *o = &l->obs[i];
    struct sl_galera_node_plan *n = &l->plan->node[i];
    enum sl_galera_reason claim = own_claim(l, o);
    n->is_running = o->answer == SL_GALERA_ANSWERED;
    explain(n, claim);
    if (claim == SL_GALERA_WHY_SYNCED && !is_in_cluster(l, i)) {
        explain(n, SL_GALERA_WHY_FOREIGN_CLUSTER);
    } else if (claim == SL_GALERA_WHY_SYNCED && !is_in_view(l, i, v)) {
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
static void judge_donor(struct look *l, unsigned i)
{
    const struct sl_galera_observation *o = &l->obs[i];
    struct sl_galera_node_plan *n = &l->plan->node[i];
    bool is_donor = n->is_running && o->local_state == STATE_DONOR;
    n->is_donor = is_donor && n->is_joined;
    n->is_leaving = is_donor && !n->is_joined && o->is_primary && o->is_ready &&
                    !o->rejects_queries && !o->donor_rejects_queries;
}

static void judge_nodes(struct look *l, const struct sl_galera_view *v)
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

static bool is_candidate(const struct look *l, unsigned i)
{
    return l->plan->node[i].is_joined && !l->obs[i].is_maintenance &&
           !(l->config->use_priority && l->obs[i].priority < 0);
}

/* Rank of a candidate by what it can do; the Master is of the best rank there is. */
static int ability(const struct sl_galera_observation *o)
{
    return (o->read_only ? 0 : 2) + (o->is_draining ? 0 : 1);
}

static int64_t priority_key(const struct look *l, unsigned i)
{
    return l->config->use_priority && l->obs[i].priority > 0 ? l->obs[i].priority : INT64_MAX;
}

/* Order of the configuration decides ties: `a` comes after `b` there. */
static bool is_better_master(const struct look *l, unsigned a, unsigned b)
{
    int64_t key_a = priority_key(l, a);
    int64_t key_b = priority_key(l, b);
    if (key_a != key_b) {
        return key_a < key_b;
    }
    return key_a == INT64_MAX && l->obs[a].local_index < l->obs[b].local_index;
}

static int best_master(const struct look *l)
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

static bool has_joined(const struct look *l)
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
static bool may_stay(const struct look *l, int current, int best)
{
    if (current < 0 || (unsigned)current >= l->count || !is_candidate(l, (unsigned)current) ||
        ability(&l->obs[current]) < ability(&l->obs[best])) {
        return false;
    }
    return l->config->disable_master_failback ||
           priority_key(l, (unsigned)current) == priority_key(l, (unsigned)best);
}

static int choose_master(struct look *l)
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

static void give_roles(struct look *l)
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

static bool is_source_joined(const struct look *l, int64_t source_id)
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
static void find_replicas(struct look *l)
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

static void describe(struct look *l, unsigned i)
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
    struct look l = {config, memory, obs, count, now_ms, ret};
    find_cluster(&l);
    find_aliases(&l);
    find_past(&l);
    struct sl_galera_view v = find_view(&l);
    judge_nodes(&l, v.supporters > 0 ? &v : &memory->view);
    remember_view(&l, &v);
    give_roles(&l);
    find_replicas(&l);
    for (unsigned i = 0; i < count; i++) {
        describe(&l, i);
    }
    sl_assert(ret->master < 0 || ret->node[ret->master].is_joined); /* D1 */
}

/* ---- set_donor_nodes ---- */

static bool has_priorities(const struct sl_galera_config *config,
                           const struct sl_galera_observation *obs,
                           const struct sl_galera_plan *plan, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (config->use_priority && plan->node[i].is_joined && obs[i].priority > 0) {
            return true;
        }
    }
    return false;
}

/* Does a come before b? The likelier the next Master, the later. */
static bool donates_first(const struct sl_galera_observation *a,
                          const struct sl_galera_observation *b, bool by_priority)
{
    int64_t key_a = by_priority && a->priority > 0 ? -a->priority : INT64_MIN;
    int64_t key_b = by_priority && b->priority > 0 ? -b->priority : INT64_MIN;
    return key_a != key_b ? key_a < key_b : a->local_index > b->local_index;
}

void sl_galera_donor_list(const struct sl_galera_config *config,
                          const struct sl_galera_observation *obs,
                          const struct sl_galera_plan *plan, unsigned count, char *out,
                          unsigned size)
{
    unsigned order[SL_GALERA_NODES_MAX];
    unsigned n = 0;
    bool by_priority = has_priorities(config, obs, plan, count);
    out[0] = '\0';
    for (unsigned i = 0; i < count && plan->cluster_size > 1; i++) {
        if (!plan->node[i].is_joined || !plan->node[i].is_slave || !obs[i].node_name[0]) {
            continue;
        }
        unsigned at = n++;
        for (; at > 0 && donates_first(&obs[i], &obs[order[at - 1]], by_priority); at--) {
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    for (unsigned k = 0; k < n; k++) {
        const char *name = obs[order[k]].node_name;
        size_t len = strlen(out);
        int added = snprintf(out + len, size - len, "%s%s", k ? "," : "", name);
        if (added < 0 || (size_t)added >= size - len || strpbrk(name, "'\\,\"")) {
            out[0] = '\0'; /* half a list would be a wrong one */
            return;
        }
    }
}

bool sl_galera_is_next_donor(const struct sl_galera_observation *obs,
                             const struct sl_galera_plan *plan, unsigned count, unsigned i,
                             const char *donor_list)
{
    const char *name = obs[i].node_name;
    size_t len = strlen(name);
    if (len == 0 || strncmp(donor_list, name, len) != 0 || donor_list[len] != ',') {
        return false;
    }
    for (unsigned k = 0; k < count; k++) {
        if (!plan->node[k].is_joined && !obs[k].is_maintenance) {
            return true;
        }
    }
    return false;
}
