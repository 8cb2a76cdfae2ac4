/* SPDX-License-Identifier: Apache-2.0 */
/* One look at one Galera node, on that node's probe thread: queries in, an observation and
 * server facts out. */
#ifndef SL_MONITOR_GALERA_PROBE_H
#define SL_MONITOR_GALERA_PROBE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/monitor.h"
#include "core/server.h"
#include "monitor/galera/decide.h"

enum {
    SL_GALERA_DONOR_LIST_MAX = 1024
};

/* What is known of a node from look to look. Belongs to the probe thread while it probes, else
 * to the monitor thread. */
struct sl_galera_node {
    struct sl_galera_observation obs;
    struct sl_server_info info;
    int64_t lag_s; /* of its replication, SL_SERVER_LAG_UNKNOWN without */
    /* the connection these belong to */
    uint64_t connection_id; /* 0 = none yet */
    unsigned refused;       /* optional queries the server refused on it: a bit each */
    /* for the share of flow control between two looks */
    int64_t paused_ns;   /* -1 = unknown */
    int64_t pauses_sent; /* times it made the cluster wait, ever; -1 = unknown */
    uint64_t paused_at_us;
    char collation_server[64]; /* the name that info.collation_id was looked up for */
    char collation_wanted[64];
    char sst_donor[SL_GALERA_DONOR_LIST_MAX];
    _Atomic unsigned *noted; /* shared by the nodes of a monitor: refusals that were logged */
};

void sl_galera_node_init(struct sl_galera_node *node, _Atomic unsigned *noted);

/* Fills node->obs and node->info. donor_list is what wsrep_sst_donor ought to be, NULL or "" =
 * leave it. */
void sl_galera_probe(struct sl_monitor *m, unsigned server_index, struct sl_galera_node *node,
                     const char *donor_list);

#endif
