/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router binlogrouter: what its files share; nobody outside includes it.
 *
 *   module.c     instance, settings in force, diagnostics
 *   upstream*.c  the replica session to the primary: own thread and loop
 *   store*.c     the files
 *   dump*.c      replicas that read, on their sessions' workers
 *   replicas.c   who reads, or has read, and how far
 *   sql*.c       statements on the listener
 *   tune.c       settings that change while it runs
 *   report.c     what REST shows
 */
#ifndef SL_ROUTER_BINLOG_RELAY_H
#define SL_ROUTER_BINLOG_RELAY_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/core.h"
#include "core/session.h"
#include "router/binlog/store.h"

struct sl_upstream;
struct sl_replicas;
struct sl_dump;
struct sl_dump_frame;

/* One per worker. */
struct sl_relay_worker {
    struct sl_relay *relay;
    struct sl_worker *worker;
    struct sl_store_block *block; /* for reading; made with the first dump */
    struct sl_dump_frame *frame;  /* a block as packets, likewise */
    struct sl_list dumps;         /* of struct sl_dump.node: all */
    struct sl_list ready;         /* of struct sl_dump.ready_node: may read on */
    struct sl_list over;          /* ... that have ended and are freed soon */
    struct sl_task pump;          /* lets those on `ready` go on after the flush */
    struct sl_message grown;      /* the store has more: dumps that wait go on */
    _Atomic bool grown_pending;
    _Atomic uint32_t dump_count;                           /* 0: nobody is to be woken */
    _Atomic uint64_t bytes_out, events_out, dumps_started; /* written by the worker */
    struct sl_list waits; /* MASTER_GTID_WAIT: of struct sl_relay_wait.node (sql_wait.c) */
    struct sl_message waits_grown;
    _Atomic bool waits_pending;
    _Atomic uint32_t wait_count; /* 0: growth is not told */
} __attribute__((aligned(64)));

struct sl_relay {
    struct sl_service *service;
    struct sl_binlog_settings *settings; /* service->router_settings: as configured, but with the
                                          * server id in force */
    char *datadir;                       /* of the store, in force; master-info.json lies there */
    struct sl_store *store;
    struct sl_upstream *upstream;
    struct sl_replicas *replicas;
    struct sl_relay_worker *workers;
    unsigned worker_count;
    pthread_mutex_t lock; /* protects what follows up to the blank line; held for moments only */
    struct sl_binlog_settings in_force; /* `settings`, and what was changed while running */
    bool is_ending;                     /* the loops go: nothing is posted to workers any more */
    int ask_threads;                    /* that work for statements (sql_ask.c) */
    pthread_cond_t asks_done;

    pthread_mutex_t tuning; /* one change of settings at a time; taken before `lock` */
    /* settings in force that SQL or REST may change while running */
    _Atomic uint64_t ahead_timeout_ms;  /* how long a replica ahead of the log waits: then 1236 */
    _Atomic bool semi_sync_to_replicas; /* what rpl_semi_sync_master_enabled says */
};

static inline struct sl_relay *sl_relay_of(const struct sl_session *s)
{
    return s->service->instance;
}
static inline struct sl_relay_worker *sl_relay_worker_of(const struct sl_session *s)
{
    return &sl_relay_of(s)->workers[s->worker->index];
}

/* ---- upstream.c: the replica side ------------------------------------------------------------ */

enum sl_upstream_step {
    SL_UPSTREAM_STOPPED,
    SL_UPSTREAM_NO_TARGET, /* select_master without a Master, or no host */
    SL_UPSTREAM_CONNECTING,
    SL_UPSTREAM_LOGIN,
    SL_UPSTREAM_ASKING, /* the queries of a replica, up to the dump request */
    SL_UPSTREAM_STREAMING,
    SL_UPSTREAM_WAITING /* after an error */
};

/* CHANGE MASTER; strings are owned by whoever holds the struct. */
struct sl_upstream_target {
    char *host;
    uint16_t port;
    char *user;
    char *password;
    bool ssl, ssl_verify_server_cert;
    char *ssl_ca, *ssl_capath, *ssl_cert, *ssl_crl, *ssl_crlpath, *ssl_key, *ssl_cipher;
    uint32_t heartbeat_period_ms; /* 0: a third of net_timeout */
};
void sl_upstream_target_clear(struct sl_upstream_target *t); /* wipes the password */
int sl_upstream_target_copy(struct sl_upstream_target *to, const struct sl_upstream_target *from);

struct sl_upstream_status {
    enum sl_upstream_step step;
    bool is_wanted;      /* START SLAVE (or select_master) is in force */
    bool selects_master; /* select_master is in force (CHANGE MASTER switches it off) */
    struct sl_upstream_target target; /* a copy without the password; clear it */
    char server_name[64];             /* of the configuration, "" if none */
    uint32_t master_server_id;
    char master_file[SL_BINLOG_FILE_NAME_MAX + 1]; /* the primary's coordinates */
    uint64_t master_pos;
    unsigned last_errno; /* MariaDB code; 0: none */
    char last_error[512];
    int64_t last_error_s;
    uint64_t heartbeats;
    uint32_t heartbeat_period_ms;
    int64_t seconds_behind; /* -1: not known (not streaming) */
    uint64_t bytes_in, events_in, groups_in, groups_dropped, acks_sent, connects;
    uint64_t domains_new; /* alarms: a domain appeared */
    bool is_semi_sync;    /* the primary has the plugin and we said we acknowledge */
    bool is_disk_full;    /* nothing is read from the primary until there is room */
};

/* Settings that change while it runs. */
struct sl_upstream_tuning {
    uint64_t net_timeout_ms;
    bool ddl_only;
    bool acknowledges; /* semi-sync */
};

/* Reads master-info, starts the thread; it begins to work as soon as it is wanted. */
int sl_upstream_new(struct sl_relay *relay, struct sl_upstream **ret, struct sl_err *err);
void sl_upstream_free(struct sl_upstream *u); /* ends the thread; NULL is fine */
void sl_upstream_status(struct sl_upstream *u, struct sl_upstream_status *ret);

/* Requests of the SQL side. They take effect on the upstream's thread; `done` is called there when
 * they have (post a message to your worker from it). The target is copied. */
enum sl_upstream_request {
    SL_UPSTREAM_START,
    SL_UPSTREAM_STOP,
    SL_UPSTREAM_CHANGE,    /* with a target: whole, as it shall be */
    SL_UPSTREAM_RESET,     /* forget the position in the primary's files, keep the target */
    SL_UPSTREAM_RESET_ALL, /* forget the target too; select_master is in force again if configured */
    SL_UPSTREAM_RESET_LOG, /* sl_store_reset(): nobody can start writing meanwhile */
    SL_UPSTREAM_POSITION,  /* sl_store_request_position(), likewise; sl_upstream_ask_position() */
    SL_UPSTREAM_TUNE       /* sl_upstream_tune() */
};
/* A connection that was made with others is left, and made anew. SL_ENOMEM. Any thread. */
int sl_upstream_tune(struct sl_upstream *u, const struct sl_upstream_tuning *t);
struct sl_upstream_tuning sl_upstream_tuning(const struct sl_binlog_settings *t); /* pure */
typedef void sl_upstream_done(void *arg, int rc, const struct sl_err *err);
int sl_upstream_ask(struct sl_upstream *u, enum sl_upstream_request what,
                    const struct sl_upstream_target *target, sl_upstream_done *done, void *arg);
/* SET GLOBAL gtid_slave_pos; NULL: none is asked for any more. Copied. `done` gets SL_EEXIST when the
 * log has that position already. */
int sl_upstream_ask_position(struct sl_upstream *u, const struct sl_gtid_list *position,
                             sl_upstream_done *done, void *arg);
/* The whole target with its password, to change parts of it. Clear it. */
int sl_upstream_target_get(struct sl_upstream *u, struct sl_upstream_target *ret);

/* ---- dump.c: the primary side ---------------------------------------------------------------- */

/* What a session's statements said, and its dump. The session's worker. */
struct sl_relay_session {
    struct sl_session *session;
    bool has_connect_state; /* @slave_connect_state was set, maybe to '' */
    char *connect_state;    /* its text; parsed with the dump request, as a server does */
    char *until;            /* @slave_until_gtid, NULL: none */
    bool strict, ignore_duplicates, skip_replication, wants_semi_sync;
    bool has_checksum, checksum_is_crc32; /* @master_binlog_checksum */
    uint32_t capability;                  /* @mariadb_slave_capability */
    uint64_t heartbeat_ns;                /* @master_heartbeat_period; 0: none */
    struct sl_register_slave registered;  /* server_id 0: not registered; host is in `host` */
    char host[256];
    struct sl_dump *dump; /* NULL: no dump runs */
    /* of sql*.c; at most one of them */
    struct sl_relay_wait *wait;     /* a MASTER_GTID_WAIT */
    struct sl_relay_events *events; /* a SHOW BINLOG EVENTS */
    struct sl_buf warnings;         /* of struct sl_relay_warning: what SHOW WARNINGS shows */
    /* several statements in one query (sql.c): those behind the one that runs */
    uint8_t *script;
    size_t script_len, script_at;
    bool has_more;
    bool more_waits;     /* for room in the socket */
    struct sl_task more; /* runs the next one */
};

/* COM_REGISTER_SLAVE and COM_BINLOG_DUMP (payload behind the command byte) of a client that has the
 * privilege; answers or begins the stream. While it runs, rs->dump is set and session->is_raw. */
void sl_dump_register(struct sl_relay_session *rs, const uint8_t *payload, size_t len);
void sl_dump_start(struct sl_relay_session *rs, const uint8_t *payload, size_t len);
/* While a dump runs: a whole packet of the replica, 0xef first. Anything else ends the session. */
void sl_dump_client_packet(struct sl_relay_session *rs, const uint8_t *payload, size_t len);
void sl_dump_sweep(struct sl_relay_session *rs, uint64_t now_ms); /* about once a second */
void sl_dump_end(struct sl_relay_session *rs);                    /* the session closes */
void sl_dump_on_writable(struct sl_relay_session *rs);            /* the socket has room again */
/* Lists, tasks and messages of a worker; control thread, before the workers run and after they
 * ended. */
void sl_dump_worker_init(struct sl_relay_worker *rw);
void sl_dump_worker_clear(struct sl_relay_worker *rw);
/* ops->worker_end: tells the replicas what a server tells them that shuts down. */
void sl_dump_worker_end(struct sl_relay_worker *rw);
/* The store has grown: posts to the workers that have dumps. Any thread. */
void sl_dump_wake_all(struct sl_relay *relay);

/* ---- replicas.c: registry; one mutex, never held across I/O but its own small file ------------- */

struct sl_replica_info {
    uint32_t server_id;
    char host[256]; /* reported, or the peer's address */
    uint16_t port;
    uint32_t master_id;
    uint64_t session_id; /* 0: not connected */
    char user[81];
    int64_t since_s, last_seen_s;
    char file[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t offset; /* sent up to here */
    uint64_t acked_groups;
    char position[512];            /* GTID position sent so far, text */
    uint64_t bytes_behind;         /* to the published end */
    bool is_semi_sync, is_waiting; /* waits for new events */
};
int sl_replicas_new(const char *datadir, uint64_t remember_ms, struct sl_replicas **ret,
                    struct sl_err *err);
void sl_replicas_free(struct sl_replicas *r); /* after the last session and the store's keeper */
/* How long a replica that has gone still counts; 0: not at all. Any thread. */
void sl_replicas_tune(struct sl_replicas *r, uint64_t remember_ms);
/* All, sorted by server id; the caller frees *ret with sl_free. */
int sl_replicas_list(struct sl_replicas *r, struct sl_replica_info **ret, unsigned *ret_count);
/* For sl_store_config.may_purge. */
bool sl_replicas_may_purge(struct sl_replicas *r, const struct sl_gtid_list *next_list);

/* ---- sql.c: the statements of a listener ------------------------------------------------------ */

/* One COM_QUERY (text without the command byte). Answers now or later. */
void sl_relay_query(struct sl_relay_session *rs, const uint8_t *sql, size_t len);

#endif
