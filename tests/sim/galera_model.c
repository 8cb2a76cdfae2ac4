/* SPDX-License-Identifier: Apache-2.0 */
/* The model of a Galera cluster; see the header. Single-threaded, deterministic for a seed. */
#include "galera_model.h"

#include <stdio.h>
#include <string.h>

uint64_t model_random(struct model *w, uint64_t below)
{
    return below ? sl_rng_next(&w->rng) % below : 0;
}

bool model_chance(struct model *w, unsigned percent)
{
    return model_random(w, 100) < percent;
}

static bool runs(const struct model_node *n)
{
    return n->is_up && !n->is_frozen;
}

static bool hears(const struct model *w, unsigned i, unsigned j)
{
    return runs(&w->node[i]) && runs(&w->node[j]) && w->node[i].side == w->node[j].side;
}

static bool is_same_view(struct model_view a, struct model_view b)
{
    return a.conf_id == b.conf_id && a.members == b.members;
}

/* The group layer of the members learns a view; each shows it after a delay of its own. */
static void install(struct model *w, struct model_view v)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct model_node *n = &w->node[i];
        if (!(v.members & (1U << i))) {
            continue;
        }
        bool is_lagging = w->has_big_transactions && n->group.conf_id >= 0 && v.conf_id >= 0 &&
                          model_chance(w, 5);
        n->group = v;
        n->show_at_ms =
            w->now_ms + (is_lagging ? 500 + model_random(w, 6500) : model_random(w, 150));
        memset(n->silent_ms, 0, sizeof(n->silent_ms));
        if (v.conf_id >= 0) {
            n->alone_since_ms = 0;
            w->last_primary = v;
        } else if (!n->alone_since_ms) {
            n->alone_since_ms = w->now_ms;
        }
    }
}

static uint32_t heard_members(const struct model *w, unsigned i)
{
    uint32_t mask = 0;
    for (unsigned j = 0; j < w->count; j++) {
        bool is_with_me =
            j == i || (hears(w, i, j) && is_same_view(w->node[i].group, w->node[j].group));
        if ((w->node[i].group.members & (1U << j)) && is_with_me) {
            mask |= 1U << j;
        }
    }
    return mask;
}

/* Who has been silent for too long is voted out by those who still hear each other. */
static void expel(struct model *w, unsigned i)
{
    struct model_node *n = &w->node[i];
    uint32_t heard = heard_members(w, i);
    bool must_change = false;
    for (unsigned j = 0; j < w->count; j++) {
        bool is_silent = (n->group.members & ~heard) & (1U << j);
        n->silent_ms[j] = is_silent ? n->silent_ms[j] + MODEL_STEP_MS : 0;
        must_change = must_change || n->silent_ms[j] > MODEL_SUSPECT_MS;
    }
    if (must_change) {
        bool has_quorum = n->group.conf_id >= 0 &&
                          2 * __builtin_popcount(heard) > __builtin_popcount(n->group.members);
        install(w, (struct model_view){has_quorum ? n->group.conf_id + 1 : -1, heard});
    }
}

static bool is_older_order(const struct model *w, unsigned a, unsigned b)
{
    return w->order[a] < w->order[b];
}

/* A node outside finds a Primary component that hears it, and joins it. */
static void join(struct model *w, unsigned i)
{
    struct model_node *n = &w->node[i];
    if (!runs(n) || n->group.conf_id >= 0 || !n->alone_since_ms ||
        w->now_ms - n->alone_since_ms < MODEL_REJOIN_MS) {
        return;
    }
    for (unsigned j = 0; j < w->count; j++) {
        struct model_view v = w->node[j].group;
        if (j == i || !hears(w, i, j) || v.conf_id < 0 || heard_members(w, j) != v.members) {
            continue; /* the component is busy voting somebody out */
        }
        v.members |= 1U << i;
        v.conf_id++;
        n->state = 1;
        n->synced_at_ms = w->now_ms + 100 + model_random(w, 3000);
        w->node[j].donor_until_ms = model_chance(w, 50) ? n->synced_at_ms : 0;
        if (model_chance(w, 50)) {
            w->order[i] = (uint32_t)sl_rng_next(&w->rng); /* a new UUID: indexes are dealt anew */
        }
        install(w, v);
        return;
    }
}

/* All components lost their quorum: when enough members of the last Primary component meet
 * again, it goes on. */
static void reform(struct model *w)
{
    uint32_t meeting = 0;
    int side = -1;
    for (unsigned i = 0; i < w->count; i++) {
        const struct model_node *n = &w->node[i];
        if (n->is_up && n->group.conf_id >= 0) {
            return; /* one lives, or may still believe so */
        }
        bool is_ready =
            runs(n) && n->alone_since_ms && w->now_ms - n->alone_since_ms >= MODEL_REJOIN_MS;
        if (is_ready && (side < 0 || side == n->side)) {
            side = n->side;
            meeting |= 1U << i;
        }
    }
    uint32_t old = w->last_primary.members & meeting;
    if (2 * __builtin_popcount(old) > __builtin_popcount(w->last_primary.members)) {
        install(w, (struct model_view){w->last_primary.conf_id + 1, meeting});
    }
}

static void step(struct model *w)
{
    w->now_ms += MODEL_STEP_MS;
    for (unsigned i = 0; i < w->count; i++) {
        struct model_node *n = &w->node[i];
        if (!runs(n)) {
            continue;
        }
        expel(w, i);
        if (w->now_ms >= n->show_at_ms) {
            n->shown = n->group;
        }
        if (n->state != 4 && n->group.conf_id >= 0 && w->now_ms >= n->synced_at_ms) {
            n->state = 4;
        }
    }
    for (unsigned i = 0; i < w->count; i++) {
        join(w, i);
    }
    reform(w);
}

void model_run(struct model *w, uint64_t ms)
{
    uint64_t until_ms = w->now_ms + ms;
    while (w->now_ms < until_ms) {
        step(w);
    }
}

void model_init(struct model *w, uint64_t seed, unsigned count)
{
    memset(w, 0, sizeof(*w));
    sl_rng_seed(&w->rng, seed);
    w->now_ms = 1000000;
    w->count = count;
    struct model_view v = {1 + (int64_t)model_random(w, 50), (1U << count) - 1};
    w->last_primary = v;
    for (unsigned i = 0; i < count; i++) {
        w->order[i] = (uint32_t)sl_rng_next(&w->rng);
        w->node[i].is_up = true;
        w->node[i].state = 4;
        w->node[i].group = w->node[i].shown = v;
    }
}

void model_kill(struct model *w, unsigned i)
{
    w->node[i].is_up = false;
    w->node[i].is_frozen = false;
}

/* A clean stop tells the others at once; they need no vote. */
void model_leave(struct model *w, unsigned i)
{
    struct model_view v = w->node[i].group;
    bool was_member = v.conf_id >= 0 && heard_members(w, i) == v.members;
    model_kill(w, i);
    v.members &= ~(1U << i);
    if (was_member && v.members) {
        v.conf_id++;
        install(w, v);
    }
}

void model_start(struct model *w, unsigned i)
{
    struct model_node *n = &w->node[i];
    if (n->is_up) {
        return;
    }
    *n = (struct model_node){.is_up = true, .side = n->side, .state = 0, .read_only = n->read_only};
    n->group = n->shown = (struct model_view){-1, 1U << i};
    n->alone_since_ms = w->now_ms;
}

void model_freeze(struct model *w, unsigned i)
{
    w->node[i].is_frozen = w->node[i].is_up;
}

void model_thaw(struct model *w, unsigned i)
{
    w->node[i].is_frozen = false;
}

void model_heal(struct model *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct model_node *n = &w->node[i];
        model_thaw(w, i);
        n->side = 0;
        n->is_cut_off = false;
        n->is_desynced = false;
        n->read_only = false;
        model_start(w, i);
    }
}

static int64_t index_of(const struct model *w, uint32_t members, unsigned i)
{
    int64_t index = 0;
    for (unsigned j = 0; j < w->count; j++) {
        bool is_before = is_older_order(w, j, i) || (w->order[j] == w->order[i] && j < i);
        index += (members & (1U << j)) && j != i && is_before;
    }
    return index;
}

static void list_members(const struct model *w, const struct model_view *v, char *out, size_t size)
{
    int64_t n = __builtin_popcount(v->members);
    out[0] = '\0';
    for (int64_t at = 0; at < n && w->lists != LISTS_NONE; at++) {
        for (unsigned j = 0; j < w->count; j++) {
            size_t len = strlen(out);
            if (!(v->members & (1U << j)) || index_of(w, v->members, j) != at) {
                continue;
            }
            if (w->lists == LISTS_AUTO) {
                snprintf(out + len, size - len, "%sAUTO", at ? "," : "");
            } else {
                snprintf(out + len, size - len, "%s10.0.0.%u:3306", at ? "," : "", j + 1);
            }
        }
    }
}

void model_observe(const struct model *w, unsigned i, struct sl_galera_observation *ret)
{
    const struct model_node *n = &w->node[i];
    memset(ret, 0, sizeof(*ret));
    if (!n->is_up) {
        ret->answer = SL_GALERA_UNREACHABLE;
        return;
    }
    if (n->is_frozen || n->is_cut_off) {
        ret->answer = SL_GALERA_NO_ANSWER;
        return;
    }
    bool is_primary = n->shown.conf_id >= 0;
    int state = !is_primary ? 0 : w->now_ms < n->donor_until_ms && n->state == 4 ? 2 : n->state;
    ret->answer = SL_GALERA_ANSWERED;
    ret->latency_ms = 2;
    ret->has_wsrep = true;
    ret->is_primary = is_primary;
    ret->is_ready = is_primary && state >= 2;
    ret->is_connected = true;
    ret->is_desynced = n->is_desynced;
    ret->has_nonblocking_sst = true;
    ret->local_state = state;
    ret->local_index = is_primary && state == 1 ? -1 : index_of(w, n->shown.members, i);
    ret->cluster_size = __builtin_popcount(n->shown.members);
    ret->conf_id = n->shown.conf_id;
    ret->flow_control_pct = -1;
    snprintf(ret->uuid, sizeof(ret->uuid), "6a1f0f6e-c62b-11ef-9f0e-0123456789ab");
    snprintf(ret->state_comment, sizeof(ret->state_comment), "%s", state == 4 ? "Synced" : "Other");
    list_members(w, &n->shown, ret->members, sizeof(ret->members));
    ret->server_id = 7000;
    ret->source_id = -1;
    ret->read_only = n->read_only;
}

bool model_is_excluded(const struct model *w, unsigned i)
{
    for (unsigned j = 0; j < w->count; j++) {
        const struct model_view *v = &w->node[j].group;
        if (w->node[j].is_up && v->conf_id > w->node[i].shown.conf_id &&
            !(v->members & (1U << i))) {
            return true;
        }
    }
    return false;
}
