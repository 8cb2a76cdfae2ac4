/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a module is: a const descriptor with a name users know, settings rows, counters and
 * operations. The daemon holds the one list of them (src/daemon/modules.c); nothing registers
 * itself.
 */
#ifndef SL_CORE_MODULE_H
#define SL_CORE_MODULE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"
#include "conf/settings.h"
#include "base/slice.h"
#include "core/diag.h"
#include "core/trace.h"

struct sl_listener;
struct sl_server;
struct sl_service;
struct sl_session;
struct sl_backend;
struct sl_request;
struct sl_reply;
struct sl_worker;
struct sl_monitor;
struct sl_sql_info;

enum sl_module_kind {
    SL_MODULE_ROUTER,
    SL_MODULE_MONITOR,
    SL_MODULE_FILTER,
    SL_MODULE_AUTH
};

/* What a rule of a router means, in words; static. */
struct sl_route_text {
    const char *target; /* "primary", "replica", "all servers", ... */
    const char *rule;
};

/* A statement that a router keeps for its session. */
struct sl_kept_statement {
    uint32_t id; /* of a prepared statement, as the client knows it; 0: a session command */
    uint8_t command;
    uint8_t result; /* enum sl_history_result */
    struct sl_slice text;
};
typedef void sl_router_on_kept(void *arg, const struct sl_kept_statement *kept);

/* A router of statements. Session callbacks run on the session's worker. */
struct sl_router_ops {
    /* Control thread, at start. */
    int (*instance_new)(struct sl_service *service, void **ret_instance, struct sl_err *err);
    void (*instance_free)(void *instance);
    /* Before instance_free: the workers have stopped and their loops go next. The router's own
     * threads must not post to them any more. Control thread. May be NULL. */
    void (*instance_stop)(void *instance);
    /* Behind the version in the greeting; NULL: nothing. */
    const char *version_suffix;
    /* Replicas may log in, whatever mariadbprotocol.allow_replication of the listener says. */
    bool serves_replicas;
    /* For GET /services: fields of router_diagnostics. Any thread. */
    void (*diagnostics)(const struct sl_service *service, struct sl_diag *out);

    /* Who replicates from the service, connected or not: an object for each into the array that
     * was begun. NULL: it serves no replicas. Any thread. */
    void (*replicas)(const struct sl_service *service, struct sl_diag *out);
    /* Settings of the module that change while it runs (flag RUNTIME): a copy of those in force,
     * to be cleared with sl_settings_clear(); and a change: what differs between `from` and `to`, all of
     * it or nothing, while what others change meanwhile stays. Both or none. Any thread. */
    int (*settings_get)(const struct sl_service *service, void *ret);
    int (*settings_set)(struct sl_service *service, const void *from, const void *to,
                        struct sl_err *err);

    /* Bytes only: the router takes the accepted socket and never comes to the functions below
     * (router=tcp). */
    void (*accept)(struct sl_listener *listener, struct sl_worker *worker, int fd,
                   const struct sockaddr_storage *peer, const struct sockaddr_storage *local);

    /* ... and ends what it has on this worker: the loop has stopped, two more turns follow. On
     * the worker's thread. May be NULL. */
    void (*worker_end)(struct sl_service *service, struct sl_worker *worker);

    /* Some server's status changed: for routers that keep their own list of connections. On the
     * worker's thread. May be NULL. */
    void (*on_worker_topology)(struct sl_service *service, struct sl_worker *worker);
    /* All connections to the server end now: the admin said so. On the worker's thread. May be
     * NULL if they are backends of sessions. */
    void (*on_worker_hangup)(struct sl_service *service, struct sl_worker *worker,
                             const struct sl_server *server);

    /* The client is authenticated. SL_OK: the session lives; else it is refused with the error
     * text. */
    int (*session_open)(struct sl_session *s, struct sl_err *err);
    void (*session_close)(struct sl_session *s);
    /* A command of the client; see core/session.h for the contract. */
    void (*on_request)(struct sl_session *s, struct sl_request *rq);
    /* A reply is complete (state DONE) on a backend; `forwarded` says whether the client got it. */
    void (*on_reply)(struct sl_session *s, struct sl_backend *b, const struct sl_reply *reply,
                     uint8_t purpose);
    /* A server answered the client's command with an ERR and nothing of the reply has been
     * forwarded yet. True: the router deals with it (retries elsewhere, treats the connection as
     * lost); the client does not get it. May be NULL. */
    bool (*on_error)(struct sl_session *s, struct sl_backend *b, const struct sl_reply *reply);
    /* Bytes of a reply with SL_PURPOSE_PROBE, in order and before its on_reply. May be NULL. */
    void (*on_probe)(struct sl_session *s, struct sl_backend *b, const uint8_t *data, size_t len);
    /* The next bytes of a reply that is the client's or has purpose REPLAY, while the session has
     * `taps_replies` set. Returns how many at the front the client must not get. It may give the
     * backend up. May be NULL if no session sets the flag. */
    size_t (*on_bytes)(struct sl_session *s, struct sl_backend *b, const uint8_t *data, size_t len);
    /* A backend is authenticated and can take commands. */
    void (*on_backend_ready)(struct sl_session *s, struct sl_backend *b);
    /* A backend connection is gone (refused, reset, killed, protocol error); it is closing
     * already. */
    void (*on_backend_lost)(struct sl_session *s, struct sl_backend *b, const char *why);
    /* Some server's status changed (roles moved, went down, maintenance). */
    void (*on_topology)(struct sl_session *s);
    /* The client took its output: there is room again (net/conn.h on_writable). May be NULL. */
    void (*on_writable)(struct sl_session *s);
    /* About once a second: deadlines of held statements. May be NULL. */
    void (*on_sweep)(struct sl_session *s, uint64_t now_ms);
    /* Why the session is locked to the primary, or NULL; bytes it keeps. For the session
     * inspector. May be NULL. */
    const char *(*why_primary)(const struct sl_session *s);
    size_t (*memory)(const struct sl_session *s, uint64_t *ret_history_length);
    /* How it chose for the command in progress, and what such a rule means (any thread). Both or
     * none. */
    void (*route)(const struct sl_session *s, struct sl_route *ret);
    struct sl_route_text (*route_text)(uint8_t rule);
    /* Text of a prepared statement by the client's id; empty if it is unknown. May be NULL. */
    struct sl_slice (*statement_text)(const struct sl_session *s, uint32_t id);
    /* Session commands and open prepared statements, oldest first. May be NULL. */
    void (*each_kept)(const struct sl_session *s, sl_router_on_kept *each, void *arg);
    /* Could a new session of the service end up on this server, with reads and writes alike? Says
     * what the service is as a target of others. NULL: it sends writes to a Master by itself. Any
     * thread. */
    bool (*is_choice)(const struct sl_service *service, const struct sl_server *server,
                      uint32_t status);
    /* Where a statement would go in a session that has no state yet. May be NULL. Any thread. */
    struct sl_route_text (*explain)(const struct sl_service *service,
                                    const struct sl_sql_info *info);
};

/* A filter; see core/filter.h. On the session's worker. */
struct sl_filter_ops {
    /* A command of the client on its way to the router. `*state`: this filter's pointer in this
     * session, NULL at first. */
    void (*on_request)(struct sl_session *s, void **state, const struct sl_request *rq);
    /* The end of a state that is not NULL. */
    void (*session_close)(void *state);
};

struct sl_monitor_ops {
    int (*instance_new)(struct sl_monitor *m, void **ret_instance, struct sl_err *err);
    void (*instance_free)(void *instance);
    /* One tick on the monitor's thread: observations of all servers are in; decide, act,
     * publish. */
    void (*tick)(struct sl_monitor *m, void *instance, uint64_t now_ms);
    /* A probe on a server's own thread: fills the module's observation of this server. */
    void (*probe)(struct sl_monitor *m, void *instance, unsigned server_index);
    void (*diagnostics)(struct sl_monitor *m, void *instance, struct sl_diag *out);
    /* May the admin set these bits on the server? SL_ESTATE with text when not. Optional. Admin
     * thread. */
    int (*admin_check)(struct sl_monitor *m, void *instance, unsigned server_index, uint32_t set,
                       struct sl_err *err);
};

struct sl_core;

/* The kind names an object for the one who calls it: SERVICE, SERVER, MONITOR, FILTER, SESSION,
 * STRING, BOOLEAN. */
struct sl_module_argument {
    const char *kind;
    const char *description;
    bool is_optional; /* only optional ones may follow */
};

/* A command of a module for administrators: /maxscale/modules/:module/:command?ARG&ARG. */
struct sl_module_command {
    const char *name; /* NULL ends a list of commands */
    const char *description;
    bool is_read; /* called by GET, else by POST */
    const struct sl_module_argument *arguments;
    unsigned argument_count;
    /* `args` has argument_count entries, NULL for optional ones that were left out. What it tells
     * goes into `out`. Any admin thread. SL_ENOENT, SL_EINVAL, SL_ESTATE ... with text. */
    int (*run)(struct sl_core *core, const char *const *args, struct sl_diag *out,
               struct sl_err *err);
};

struct sl_module {
    const char *name;
    enum sl_module_kind kind;
    const char *version;
    const char *description;
    const char *maturity; /* "GA", "Beta" */
    const struct sl_settings *settings;
    const void *ops; /* struct sl_router_ops, sl_filter_ops or sl_monitor_ops */
    const struct sl_module_command *commands; /* NULL: none */
};

#endif
