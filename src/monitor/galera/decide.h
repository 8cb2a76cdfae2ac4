/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What galeramon decides: from one look at all nodes to their roles. Pure: no I/O, no clock, no
 * allocation.
 *
 *   observations (one per monitored server, taken concurrently) + memory of earlier looks + now ->
 *   plan
 *
 * The reasoning is in docs/internals/galera-monitor.md.
 */
#ifndef SL_MONITOR_GALERA_DECIDE_H
#define SL_MONITOR_GALERA_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SL_GALERA_NODES_MAX = 64, /* monitored servers */
    /* bytes of wsrep_incoming_addresses; a longer list is not used */
    SL_GALERA_MEMBERS_MAX = 1024,
    SL_GALERA_TEXT_MAX = 160,
    /* an older view without proof is believed stale after this, and two looks */
    SL_GALERA_CONFIRM_MS = 500,
    SL_GALERA_LAG_GRACE_MS = 5000, /* a known member may be behind a view change for so long */
    SL_GALERA_PAST_MS = 60000,     /* nobody goes on claiming a dead view for so long ... */
    SL_GALERA_PAST_LOOKS = 20,     /* ... and so many looks (clocks may jump) */
    /* an answer that took longer may be older than the others: look again */
    SL_GALERA_SLOW_ANSWER_MS = 1000
};

enum sl_galera_answer {
    SL_GALERA_NO_ANSWER,   /* nothing within the deadline */
    SL_GALERA_UNREACHABLE, /* refused, reset, no route */
    SL_GALERA_AUTH_FAILED, /* login refused */
    SL_GALERA_ANSWERED
};

/* One look at one node. Strings that were not reported are empty, numbers -1. */
struct sl_galera_observation {
    enum sl_galera_answer answer;
    uint32_t latency_ms; /* how long the answer took */
    bool is_maintenance; /* the admin's wish */
    bool is_draining;
    int64_t priority; /* of the server's settings */

    bool has_wsrep;             /* Galera is switched on here */
    bool is_primary;            /* wsrep_cluster_status is Primary */
    bool is_ready;              /* wsrep_ready */
    bool is_connected;          /* wsrep_connected */
    bool is_desynced;           /* wsrep_desync, set by hand */
    bool rejects_queries;       /* wsrep_reject_queries is ALL or ALL_KILL */
    bool donor_rejects_queries; /* wsrep_sst_donor_rejects_queries */
    bool has_nonblocking_sst;   /* wsrep_sst_method is mariabackup or xtrabackup */
    int local_state;            /* wsrep_local_state */
    int64_t local_index;        /* -1: not a member or unreadable */
    int64_t cluster_size;
    int64_t conf_id; /* wsrep_cluster_conf_id; -1 while non-Primary */
    int64_t recv_queue;
    double flow_control_pct; /* share of the time since the last look; -1 unknown */
    bool sends_flow_control; /* it made the cluster wait since the last look */
    char uuid[40];           /* wsrep_cluster_state_uuid */
    char state_comment[64];
    char members[SL_GALERA_MEMBERS_MAX]; /* wsrep_incoming_addresses */
    char node_name[64];

    int64_t server_id;
    /* server_id of its replication source when the SQL thread runs; -1 none */
    int64_t source_id;
    bool read_only;
};

struct sl_galera_config {
    bool disable_master_failback;
    bool available_when_donor;
    bool disable_master_role_setting;
    bool use_priority;
    bool root_node_as_master;
};

/* What is remembered from look to look. */
struct sl_galera_memory {
    int master;    /* index of the Master, -1 none */
    char uuid[40]; /* of the cluster, "" unknown */
    /* The living view that was seen last, with the nodes seen in it; 0 supporters: none yet. */
    struct sl_galera_view {
        int64_t conf_id;
        int64_t size;       /* as its members say */
        int64_t supporters; /* nodes that say so */
    } view;
    struct sl_galera_node_memory {
        bool was_joined;
        /* since `view` was first seen: it was gone, or in no Primary component */
        bool was_outside;
        /* its view is older than `view`, and it did not enter it since */
        bool is_past;
        uint64_t past_since_ms;
        unsigned past_looks;
        uint64_t suspect_since_ms; /* its view has been older than the cluster's since then */
        unsigned suspect_looks;    /* so many looks in a row; 0 = not suspect */
    } node[SL_GALERA_NODES_MAX];
};

/* Why a node is or is not in use: name (for machines) and text (for humans). */
#define SL_GALERA_REASON_LIST(X)                                                                   \
    X(SYNCED, "synced", "synced member of the cluster")                                            \
    X(NO_ANSWER, "no_answer", "no answer within the deadline")                                     \
    X(UNREACHABLE, "unreachable", "cannot be reached")                                             \
    X(AUTH_FAILED, "auth_failed", "login of the monitor user refused")                             \
    X(NOT_GALERA, "not_galera", "Galera is not switched on")                                       \
    X(NON_PRIMARY, "non_primary", "its component is not Primary")                                  \
    X(NOT_CONNECTED, "not_connected", "not connected to the group")                                \
    X(NOT_READY, "not_ready", "wsrep_ready is OFF")                                                \
    X(NOT_SYNCED, "not_synced", "not synced")                                                      \
    X(DESYNCED, "desynced", "wsrep_desync is ON")                                                  \
    X(REJECTS_QUERIES, "rejects_queries", "wsrep_reject_queries is set")                           \
    X(DONOR_REJECTS, "donor_rejects_queries", "wsrep_sst_donor_rejects_queries is set")            \
    X(BAD_INDEX, "bad_index", "no valid wsrep_local_index")                                        \
    X(FOREIGN_CLUSTER, "foreign_cluster", "member of another cluster")                             \
    X(EXCLUDED, "excluded", "the cluster went on without it")                                      \
    X(STALE, "stale", "its view of the cluster stays older than that of the others")               \
    X(SPLIT, "split", "in a split-off component")                                                  \
    X(SUSPECT, "suspect", "its view is older than that of the others, being confirmed")            \
    X(CATCHING_UP, "catching_up", "member that is still applying the last view change")            \
    X(REPLICA, "replica", "asynchronous replica of a cluster member")

enum sl_galera_reason {
#define SL_GALERA_REASON_ENUM(name, word, text) SL_GALERA_WHY_##name,
    SL_GALERA_REASON_LIST(SL_GALERA_REASON_ENUM)
#undef SL_GALERA_REASON_ENUM
    SL_GALERA_REASON_COUNT
};

/* Why this node is the Master, or why nobody is. */
#define SL_GALERA_CHOICE_LIST(X)                                                                   \
    X(KEPT, "kept", "stays Master while it is healthy")                                            \
    X(STICKY, "sticky", "stays Master although a better candidate exists")                         \
    X(PRIORITY, "priority", "best priority")                                                       \
    X(INDEX, "index", "lowest index")                                                              \
    X(ROOT, "root", "root node")                                                                   \
    X(NONE_JOINED, "none_joined", "no synced node is available")                                   \
    X(NONE_ALLOWED, "none_allowed", "priorities forbid every synced node")                         \
    X(ROOT_MISSING, "root_missing", "the root node is not available")                              \
    X(ROLES_OFF, "roles_off", "disable_master_role_setting")

enum sl_galera_choice {
#define SL_GALERA_CHOICE_ENUM(name, word, text) SL_GALERA_CHOICE_##name,
    SL_GALERA_CHOICE_LIST(SL_GALERA_CHOICE_ENUM)
#undef SL_GALERA_CHOICE_ENUM
    SL_GALERA_CHOICE_COUNT
};

struct sl_galera_plan {
    int master; /* index or -1 */
    enum sl_galera_choice choice;
    char uuid[40];        /* of the cluster, "" unknown */
    int64_t conf_id;      /* of its view, -1 unknown */
    int64_t cluster_size; /* -1 unknown */
    bool wants_look;      /* look again soon: something awaits confirmation */
    struct sl_galera_node_plan {
        bool is_running;
        bool is_joined;
        bool is_slave;
        bool is_master;
        int same_as;     /* an earlier server that leads to the same node; -1 none */
        bool is_donor;   /* in use nevertheless */
        bool is_leaving; /* not in use, but it still runs statements: what is open may finish */
        enum sl_galera_reason reason;
        char why[SL_GALERA_TEXT_MAX];     /* the reason with its particulars */
        char details[SL_GALERA_TEXT_MAX]; /* state_details for users, "" = nothing notable */
    } node[SL_GALERA_NODES_MAX];
};

void sl_galera_memory_init(struct sl_galera_memory *memory);

/* Fills *ret and moves *memory on. count <= SL_GALERA_NODES_MAX. */
void sl_galera_decide(const struct sl_galera_config *config, struct sl_galera_memory *memory,
                      const struct sl_galera_observation *obs, unsigned count, uint64_t now_ms,
                      struct sl_galera_plan *ret);

const char *sl_galera_reason_name(enum sl_galera_reason reason);
const char *sl_galera_choice_name(enum sl_galera_choice choice);
const char *sl_galera_choice_text(enum sl_galera_choice choice);

/* The value of wsrep_sst_donor for set_donor_nodes: names of the joined Slaves, the next
 * candidate for Master last. Empty when nothing is to be set (one-node cluster, no Slave, a name
 * that cannot be quoted, too long). */
void sl_galera_donor_list(const struct sl_galera_config *config,
                          const struct sl_galera_observation *obs,
                          const struct sl_galera_plan *plan, unsigned count, char *out,
                          unsigned size);

/* Is a node away that would, coming back, take its state from node i, the first of several in the
 * donor list? */
bool sl_galera_is_next_donor(const struct sl_galera_observation *obs,
                             const struct sl_galera_plan *plan, unsigned count, unsigned i,
                             const char *donor_list);

#endif
