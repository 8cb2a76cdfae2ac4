/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which Galera cluster lives, and which of the views that its nodes show is the one of now: steps 1
 * and 2 of decide.c, pure like it.
 *
 * A view supersedes another if it can have come out of it by quorum. Nodes that were stopped or cut
 * off show the view of their past; who shows one is not believed before it was outside in between,
 * or has insisted for SL_GALERA_PAST_MS.
 */
#include "monitor/galera/view.h"

#include <string.h>

#include "base/assert.h"

#define NO_CLUSTER_UUID "00000000-0000-0000-0000-000000000000"

/* ---- the cluster ---- */

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
static bool is_better_cluster(const struct sl_galera_look *l, const char *uuid,
                              const unsigned score[2], const char *best,
                              const unsigned best_score[2])
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

void sl_galera_find_cluster(struct sl_galera_look *l)
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

bool sl_galera_is_in_cluster(const struct sl_galera_look *l, unsigned i)
{
    return has_cluster(&l->obs[i]) && strcmp(l->obs[i].uuid, l->plan->uuid) == 0;
}

/* ---- the living view ---- */

bool sl_galera_is_in_view(const struct sl_galera_look *l, unsigned i,
                          const struct sl_galera_view *v)
{
    const struct sl_galera_observation *o = &l->obs[i];
    return sl_galera_is_in_cluster(l, i) && has_view(o) && !l->memory->node[i].is_past &&
           o->conf_id == v->conf_id && o->cluster_size == v->size;
}

/* Two servers of the configuration may lead to one node (an alias, a forwarded port): within a view
 * an index is one node's. Such a node supports its view once. */
void sl_galera_find_aliases(struct sl_galera_look *l)
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
static enum sl_galera_membership is_listed(const struct sl_galera_look *l, unsigned i,
                                           const struct sl_galera_view *v)
{
    const struct sl_galera_observation *o = &l->obs[i];
    const char *me;
    size_t len;
    bool is_known = o->members[0] && o->local_index >= 0 &&
                    count_entries(o->members, NULL, 0) == o->cluster_size &&
                    nth_entry(o->members, o->local_index, &me, &len) && len > 0 &&
                    count_entries(o->members, me, len) == 1;
    if (!is_known) {
        return SL_GALERA_UNKNOWN;
    }
    enum sl_galera_membership result = SL_GALERA_UNKNOWN;
    for (unsigned k = 0; k < l->count; k++) {
        const struct sl_galera_observation *p = &l->obs[k];
        if (!sl_galera_is_in_view(l, k, v) || !p->members[0] ||
            count_entries(p->members, NULL, 0) != v->size) {
            continue;
        }
        if (count_entries(p->members, me, len) > 0) {
            return SL_GALERA_IN;
        }
        result = SL_GALERA_OUT;
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
static enum sl_galera_membership counts_as_its_own(const struct sl_galera_look *l,
                                                   const struct sl_galera_view *older,
                                                   const struct sl_galera_view *newer)
{
    enum sl_galera_membership result = SL_GALERA_UNKNOWN;
    for (unsigned i = 0; i < l->count; i++) {
        enum sl_galera_membership m =
            sl_galera_is_in_view(l, i, newer) ? is_listed(l, i, older) : SL_GALERA_UNKNOWN;
        if (m == SL_GALERA_IN) {
            return SL_GALERA_IN;
        }
        result = m == SL_GALERA_OUT ? SL_GALERA_OUT : result;
    }
    return result;
}

static bool is_successor(const struct sl_galera_look *l, const struct sl_galera_view *newer,
                         const struct sl_galera_view *older)
{
    switch (counts_as_its_own(l, older, newer)) {
    case SL_GALERA_IN:
        return true;
    case SL_GALERA_OUT:
        return can_descend(newer, older);
    case SL_GALERA_UNKNOWN:
        break;
    }
    return can_descend(newer, older) || older->size - older->supporters >= newer->supporters;
}

/* `a` lives and `b` is its past, or a piece split off. */
static bool supersedes(const struct sl_galera_look *l, const struct sl_galera_view *a,
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

/* Gone, or a member of no Primary component? A node that does not answer is neither. */
static bool is_outside(const struct sl_galera_look *l, unsigned i)
{
    const struct sl_galera_observation *o = &l->obs[i];
    return o->answer == SL_GALERA_UNREACHABLE ||
           (o->answer == SL_GALERA_ANSWERED && (!sl_galera_is_in_cluster(l, i) || !has_view(o)));
}

/* A thawed node may be the only one left that claims to be Primary, when those who went on
 * without it fell apart. It is measured by the living view that was seen last. */
static bool is_of_the_past(struct sl_galera_look *l, unsigned i)
{
    const struct sl_galera_observation *o = &l->obs[i];
    const struct sl_galera_view *last = &l->memory->view;
    struct sl_galera_node_memory *mem = &l->memory->node[i];
    if (!sl_galera_is_in_cluster(l, i) || !has_view(o) || last->supporters == 0 ||
        o->conf_id >= last->conf_id || mem->was_outside) {
        mem->past_looks = 0;
        return false;
    }
    struct sl_galera_view mine = {o->conf_id, o->cluster_size, 0};
    for (unsigned k = 0; k < l->count; k++) {
        mine.supporters += sl_galera_is_in_cluster(l, k) && has_view(&l->obs[k]) &&
                           l->plan->node[k].same_as < 0 && l->obs[k].conf_id == mine.conf_id &&
                           l->obs[k].cluster_size == mine.size;
    }
    if (mem->past_looks++ == 0) {
        mem->past_since_ms = l->now_ms;
    }
    /* As in is_successor, without lists: those who could tell are gone. */
    bool is_ancestor = can_descend(last, &mine) || mine.size - mine.supporters >= last->supporters;
    bool is_believed = mem->past_looks > SL_GALERA_PAST_LOOKS &&
                       sl_galera_elapsed_ms(l, mem->past_since_ms) >= SL_GALERA_PAST_MS;
    return is_ancestor && !is_believed;
}

void sl_galera_find_past(struct sl_galera_look *l)
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
void sl_galera_remember_view(struct sl_galera_look *l, const struct sl_galera_view *v)
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

static struct sl_galera_view view_of(const struct sl_galera_look *l, unsigned i)
{
    struct sl_galera_view v = {l->obs[i].conf_id, l->obs[i].cluster_size, 0};
    for (unsigned k = 0; k < l->count; k++) {
        v.supporters += sl_galera_is_in_view(l, k, &v) && l->plan->node[k].same_as < 0;
    }
    return v;
}

struct sl_galera_view sl_galera_find_view(const struct sl_galera_look *l)
{
    struct sl_galera_view best = {-1, -1, 0};
    for (unsigned i = 0; i < l->count; i++) {
        if (!sl_galera_is_in_cluster(l, i) || !has_view(&l->obs[i]) || l->memory->node[i].is_past) {
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

enum sl_galera_membership sl_galera_membership_of(const struct sl_galera_look *l, unsigned i,
                                                  const struct sl_galera_view *v)
{
    /* All its members were seen, and this node is not among them. */
    return v->supporters >= v->size ? SL_GALERA_OUT : is_listed(l, i, v);
}
