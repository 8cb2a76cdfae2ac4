/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole sealaned in the test process: three fake servers s1 (Master), s2, s3 (Slaves), a
 * readwritesplit service and a readconnroute one, a real worker thread, and clients that check
 * every packet they get. Built from a configuration text by sl_config_load() and sl_core_start(),
 * as the daemon does it. No monitor: the test sets the status bits.
 */
#ifndef TESTS_UNIT_CORE_SESSION_WORLD_H
#define TESTS_UNIT_CORE_SESSION_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/core.h"
#include "fake_server.h"
#include "proto/reply.h"

#define SERVERS 3
#define PRIMARY 0

struct world {
    struct fake_server servers[SERVERS];
    struct sl_core *core;
    uint16_t port;      /* of the readwritesplit listener */
    uint16_t conn_port; /* of the readconnroute one */
    char dir[64];
    uint64_t worker_allocations;
};

/* What came back for one command. */
struct answer {
    enum sl_reply_kind kind; /* NONE: nothing complete came */
    uint16_t code;
    uint16_t status;
    uint64_t affected_rows;
    uint64_t insert_id;
    uint32_t stmt_id;
    uint64_t rows;
    char server[32]; /* first column of the rows */
    char message[256];
    bool is_closed; /* the connection ended */
    bool is_late;   /* nothing within the time */
};

struct client {
    int fd;
    struct sl_buf in;
    uint64_t capabilities;
    uint32_t id;
    struct sl_buf login_ok; /* the whole OK packet */
};

/* `router_lines`: additional lines of the readwritesplit service. */
void world_up(struct world *w, const char *router_lines);
void world_up_with(struct world *w, const char *global_lines, const char *router_lines);
void world_down(struct world *w);
void world_pump(struct world *w, int timeout_ms);
/* Sets the status word and tells the sessions. */
void world_status(struct world *w, unsigned server, uint32_t status);
/* Waits until server has so many logged in connections; fails the test after a minute. */
void world_wait_connections(struct world *w, unsigned server, unsigned count);
/* Allocations of the worker's thread so far. */
uint64_t world_allocations(struct world *w);

#define CLIENT_CAPABILITIES                                                                        \
    (SL_CAP_LONG_FLAG | SL_CAP_PROTOCOL_41 | SL_CAP_TRANSACTIONS | SL_CAP_SECURE_CONNECTION |      \
     SL_CAP_PLUGIN_AUTH | SL_CAP_MULTI_STATEMENTS | SL_CAP_MULTI_RESULTS)

/* Logs in; the OK is kept. Fails the test if refused, unless ret_error. */
void client_open(struct world *w, struct client *c, uint64_t capabilities);
void client_open_at(struct world *w, struct client *c, uint16_t port, uint64_t capabilities,
                    struct answer *ret_error);
void client_close(struct client *c);
void client_send(struct client *c, uint8_t command, const void *arg, size_t len);
void client_send_text(struct client *c, const char *sql);
struct answer client_wait(struct world *w, struct client *c, uint8_t command, unsigned timeout_ms);
struct answer client_query(struct world *w, struct client *c, const char *sql);
/* The statement must work; which server it ran on, by the log of the fake ones (SELECT: by its
 * result). */
void expect_select_on(struct world *w, struct client *c, const char *sql, const char *server);
void expect_ok(struct world *w, struct client *c, const char *sql);
/* A client whose three backends are ready. */
void client_open_all(struct world *w, struct client *c);
/* The position of the replica that gets the next read: the one that did not get this one. */
unsigned client_next_replica(struct world *w, struct client *c);
unsigned world_count(const struct world *w, const char *prefix);
void world_forget(struct world *w);

#endif
