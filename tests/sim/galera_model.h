/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of a Galera cluster, good enough to lie to a monitor as real ones do (measured on MariaDB
 * 10.11 with Galera 26.4): views with numbers, expulsion 6 s after a member fell silent, a node
 * that was stopped goes on telling its last view for 6 s after it runs again, views become visible
 * on each node at slightly different times, and a node with much to apply shows a view change
 * seconds late.
 */
#ifndef TESTS_SIM_GALERA_MODEL_H
#define TESTS_SIM_GALERA_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "monitor/galera/decide.h"

enum {
    MODEL_NODES_MAX = 7,
    MODEL_STEP_MS = 50,
    MODEL_SUSPECT_MS = 6000,
    MODEL_REJOIN_MS = 1000
};

enum model_lists {
    LISTS_GOOD,
    LISTS_AUTO,
    LISTS_NONE
};

struct model_view {
    int64_t conf_id;  /* -1: non-Primary */
    uint32_t members; /* bit per node */
};

struct model_node {
    bool is_up;
    bool is_frozen;
    int side;                /* nodes on different sides do not hear each other */
    struct model_view group; /* what its group layer knows */
    struct model_view shown; /* what its status variables say */
    uint64_t show_at_ms;     /* when shown becomes group */
    int state;               /* wsrep_local_state */
    uint64_t synced_at_ms;   /* state becomes 4 then */
    uint64_t donor_until_ms;
    uint64_t alone_since_ms; /* non-Primary since, 0 = it is not */
    uint64_t silent_ms[MODEL_NODES_MAX];
    bool is_desynced;
    bool read_only;
    bool is_cut_off; /* the monitor cannot reach it */
};

struct model {
    struct sl_rng rng;
    uint64_t now_ms;
    unsigned count;
    enum model_lists lists;
    bool has_big_transactions;
    uint32_t order[MODEL_NODES_MAX]; /* order of node UUIDs: decides wsrep_local_index */
    struct model_view last_primary;
    struct model_node node[MODEL_NODES_MAX];
};

uint64_t model_random(struct model *w, uint64_t below);
bool model_chance(struct model *w, unsigned percent);

void model_init(struct model *w, uint64_t seed, unsigned count);
void model_run(struct model *w, uint64_t ms);
void model_kill(struct model *w, unsigned i);
void model_leave(struct model *w, unsigned i); /* clean stop */
void model_start(struct model *w, unsigned i);
void model_freeze(struct model *w, unsigned i);
void model_thaw(struct model *w, unsigned i);
/* Ends every fault. */
void model_heal(struct model *w);

/* What a query of the node says now. */
void model_observe(const struct model *w, unsigned i, struct sl_galera_observation *ret);

/* Is there a Primary component, newer than what the node shows, that does not hold the node? */
bool model_is_excluded(const struct model *w, unsigned i);

#endif
