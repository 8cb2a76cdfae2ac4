/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A database server as everybody in the process sees it.
 *
 *   identity    immutable after start (name, settings)
 *   status      one atomic word of bits, written by the server's monitor thread (roles, Running)
 *               and by the control
 *               thread (Maintenance, Draining), read by every worker. When the Master moves, the
 *               monitor clears the old one before it sets the new one: nobody ever sees two.
 *   info        what the monitor last learnt (GTIDs, version, lag ...): under info_lock, read by
 *               admin and at login
 *   counters    per worker, relaxed, padded: no cache line is shared by workers that count
 */
#ifndef SL_CORE_SERVER_H
#define SL_CORE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"
#include "conf/tables.h"
#include "core/diag.h"
#include "repl/gtid.h"

struct sl_dbc_config;
struct sl_service;
struct sl_tls_context;

/* Bits and their meaning: MaxScale's, so that journals and scripts agree. */
enum sl_server_status {
    SL_SERVER_RUNNING = 1 << 0,
    SL_SERVER_MAINT = 1 << 1,
    SL_SERVER_AUTH_ERROR = 1 << 2,
    SL_SERVER_MASTER = 1 << 3,
    SL_SERVER_SLAVE = 1 << 4,
    SL_SERVER_DRAINING = 1 << 5,
    SL_SERVER_DISK_FULL = 1 << 6,
    SL_SERVER_NEED_DNS = 1 << 7,
    SL_SERVER_RELAY = 1 << 11,
    SL_SERVER_BLR = 1 << 12,
    SL_SERVER_JOINED = 1 << 20
};

#define SL_SERVER_LAG_UNKNOWN (-1)
#define SL_HISTOGRAM_BUCKETS 12 /* <= 1us, 10us, ... powers of ten up to 100000 s */

struct sl_histogram {
    _Atomic uint64_t count[SL_HISTOGRAM_BUCKETS];
    _Atomic uint64_t total_us[SL_HISTOGRAM_BUCKETS];
};

/* One per worker; written by that worker only (relaxed), read by any. */
struct sl_server_counters {
    _Atomic uint32_t connections; /* open now */
    _Atomic uint32_t operations;  /* statements in flight */
    _Atomic uint64_t total_connections;
    _Atomic uint64_t routed_packets;
    _Atomic uint64_t reads, writes; /* statements by what they did */
    _Atomic uint64_t failed_auths;
    struct sl_histogram read_time, write_time;
} __attribute__((aligned(64)));

/* What a monitor knows beyond roles, for routers to heed. */
enum sl_server_hint {
    SL_SERVER_HINT_LEAVING = 1,     /* has lost its role, but what is open may finish */
    SL_SERVER_HINT_AVOID = 2,       /* reads rather elsewhere: it is a donor, or the next one */
    SL_SERVER_HINT_FLOW_CONTROL = 4 /* holds the cluster up: it cannot keep pace */
};

/* What a monitor learnt; strings are fixed arrays so that copying is simple. */
struct sl_server_info {
    char version[128];          /* "10.11.19-MariaDB-log", "" = never seen */
    char gtid_current_pos[512]; /* "" = none */
    char gtid_binlog_pos[512];
    /* galeramon: wsrep state comment unless Synced, "Master Stickiness", flow control ... */
    char state_details[256];
    char last_event[32];    /* "master_up", ... */
    int64_t triggered_at_s; /* wall clock of last_event */
    int64_t node_id;        /* server_id, or wsrep_local_index for Galera; -1 = unknown */
    int64_t server_id;      /* -1 = unknown */
    int64_t master_id;      /* server_id of its replication source, -1 = none */
    int64_t uptime_s;
    int64_t lag_s;   /* SL_SERVER_LAG_UNKNOWN or seconds */
    int64_t ping_us; /* round trip of the last probe */
    int64_t max_connections;
    int64_t recv_queue;         /* wsrep_local_recv_queue, -1 = not Galera */
    double flow_control_paused; /* wsrep_flow_control_paused, -1 = not Galera */
    char charset_client[64], charset_connection[64], charset_results[64], time_zone[64],
        system_time_zone[64], tx_isolation[32];
    int64_t max_allowed_packet;
    int64_t collation_id; /* of character_set_server, for greetings; 0 = unknown */
    uint32_t hints;       /* enum sl_server_hint */
    bool read_only;
    bool is_galera;
    bool is_monitored;
};

struct sl_server {
    char *name;
    struct sl_server_settings settings;
    unsigned index;             /* position in the configuration: ties */
    struct sl_tls_context *tls; /* NULL without TLS */
    _Atomic uint32_t status;
    _Atomic int64_t lag_s; /* copy of info.lag_s for workers */
    /* more copies for workers: of info.is_galera, recv_queue and hints, and the newer of
     * gtid_current_pos and gtid_binlog_pos */
    _Atomic bool is_galera;
    _Atomic int32_t recv_queue;
    _Atomic uint32_t hints;
    struct sl_gtid_shared position;
    /* adaptive_routing: shared moving average of select time */
    _Atomic uint64_t average_ns;
    _Atomic uint64_t ping_us;
    _Atomic uint64_t capabilities; /* of its greeting; 0 = never connected */
    pthread_mutex_t info_lock;     /* protects info, address; held for copies only */
    struct sl_server_info info;
    struct sockaddr_storage address; /* resolved; valid unless NEED_DNS */
    socklen_t address_len;
    unsigned worker_count;
    struct sl_server_counters *counters; /* [worker_count] */
    _Atomic uint32_t max_connections_seen;
    char *source_file;
    /* those allowed, as libmariadb takes them; empty = all */
    char tls_versions[40];
    /* NULL: a server. Else it stands for this service as a target of others (core/target.h) */
    struct sl_service *service;
};

/* Takes a deep copy of the settings. The address is resolved by sl_server_resolve (blocking).
 * Control thread. */
int sl_server_new(const char *name, const struct sl_server_settings *settings, unsigned index,
                  unsigned worker_count, struct sl_server **ret, struct sl_err *err);
void sl_server_free(struct sl_server *s);

/* The context that the `ssl` settings of a server or listener ask for; *ret is NULL when they
 * ask for none. */
int sl_server_tls_new(const struct sl_tls_settings *settings, bool is_server,
                      struct sl_tls_context **ret, struct sl_err *err);

/* Sets what every control connection to the server needs: address, PROXY header, TLS; the rest
 * to zero. The texts belong to the server. */
void sl_server_dbc_config(const struct sl_server *s, struct sl_dbc_config *ret);

/* (Re-)resolves; clears or sets NEED_DNS. Blocking: control thread. */
int sl_server_resolve(struct sl_server *s, struct sl_err *err);
void sl_server_address(struct sl_server *s, struct sockaddr_storage *ret, socklen_t *ret_len);

static inline uint32_t sl_server_status(const struct sl_server *s)
{
    return atomic_load_explicit(&s->status, memory_order_acquire);
}
/* Sets `set` and clears `clear` in one step; returns the old word. Any thread. */
uint32_t sl_server_status_change(struct sl_server *s, uint32_t set, uint32_t clear);

/* Derived predicates over a status word (monitors.md A.1). */

/* Running, not Maintenance, and (role: one bit of the word, or 0) in that role. */
static inline bool sl_status_has(uint32_t st, uint32_t role)
{
    return (st & (SL_SERVER_RUNNING | SL_SERVER_MAINT | role)) == (SL_SERVER_RUNNING | role);
}

static inline bool sl_status_is_usable(uint32_t st)
{
    return sl_status_has(st, 0);
}

static inline bool sl_status_is_master(uint32_t st)
{
    return sl_status_has(st, SL_SERVER_MASTER);
}

static inline bool sl_status_is_slave(uint32_t st)
{
    return sl_status_has(st, SL_SERVER_SLAVE);
}

static inline bool sl_status_is_relay(uint32_t st)
{
    return sl_status_has(st, SL_SERVER_RELAY);
}

static inline bool sl_status_is_joined(uint32_t st)
{
    return sl_status_has(st, SL_SERVER_JOINED);
}

/* Usable, not Draining, its name resolved. */
static inline bool sl_status_is_connectable(uint32_t st)
{
    return sl_status_is_usable(st) && !(st & (SL_SERVER_DRAINING | SL_SERVER_NEED_DNS));
}

/* "Master, Synced, Running" in MaxScale's fixed order; `connections` decides Draining or
 * Drained. */
void sl_status_text(uint32_t st, uint32_t connections, char *out, size_t size);

/* Sums over workers. Any thread. */
uint32_t sl_server_connections(const struct sl_server *s);
uint32_t sl_server_operations(const struct sl_server *s);
/* Of any 64-bit counter of struct sl_server_counters, by its offset. */
uint64_t sl_server_sum(const struct sl_server *s, size_t counter_offset);

void sl_server_info_get(struct sl_server *s, struct sl_server_info *ret);
/* also lag_s, ping_us copies */
void sl_server_info_set(struct sl_server *s, const struct sl_server_info *info);

void sl_histogram_add(struct sl_histogram *h, uint64_t us); /* one writer */

#endif
