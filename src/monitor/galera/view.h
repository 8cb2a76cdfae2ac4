/* SPDX-License-Identifier: Apache-2.0 */
/* What one decision works on, and the part of it that finds the living view (view.c). Only
 * decide.c and view.c include this. */
#ifndef SL_MONITOR_GALERA_VIEW_H
#define SL_MONITOR_GALERA_VIEW_H

#include "monitor/galera/decide.h"

/* What one decision works on. */
struct sl_galera_look {
    const struct sl_galera_config *config;
    struct sl_galera_memory *memory;
    const struct sl_galera_observation *obs;
    unsigned count;
    uint64_t now_ms;
    struct sl_galera_plan *plan;
};

/* What the living view tells about a node outside it. */
enum sl_galera_membership {
    SL_GALERA_OUT,
    SL_GALERA_IN,
    SL_GALERA_UNKNOWN
};

/* Time since `since_ms`; a clock that went back counts as no time. */
static inline uint64_t sl_galera_elapsed_ms(const struct sl_galera_look *l, uint64_t since_ms)
{
    return l->now_ms > since_ms ? l->now_ms - since_ms : 0;
}

/* In this order: each needs what the ones before it wrote into the plan and the memory. */
void sl_galera_find_cluster(struct sl_galera_look *l);
void sl_galera_find_aliases(struct sl_galera_look *l);
/* Marks in the memory who shows a view of the past. */
void sl_galera_find_past(struct sl_galera_look *l);
/* The living view; 0 supporters: there is none. */
struct sl_galera_view sl_galera_find_view(const struct sl_galera_look *l);
void sl_galera_remember_view(struct sl_galera_look *l, const struct sl_galera_view *v);

bool sl_galera_is_in_cluster(const struct sl_galera_look *l, unsigned i);
bool sl_galera_is_in_view(const struct sl_galera_look *l, unsigned i,
                          const struct sl_galera_view *v);
/* Does the living view count node `i`, which shows another one, as its member? */
enum sl_galera_membership sl_galera_membership_of(const struct sl_galera_look *l, unsigned i,
                                                  const struct sl_galera_view *v);

#endif
