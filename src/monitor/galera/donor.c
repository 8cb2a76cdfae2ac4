/* SPDX-License-Identifier: Apache-2.0 */
/* set_donor_nodes: which nodes a joiner shall ask first. Pure. */
#include <stdio.h>
#include <string.h>

#include "monitor/galera/decide.h"

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
