/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session of readwritesplit made of bare structs, for tests that need no loop: servers, a
 * service, backends that exist but are connected to nothing. Position 0 is the Master, the others
 * are Slaves.
 */
#ifndef TESTS_UNIT_ROUTER_RWS_FIXTURE_H
#define TESTS_UNIT_ROUTER_RWS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/server.h"
#include "router/readwritesplit/rwsplit.h"

#define COUNT 4
#define MASTER (SL_SERVER_RUNNING | SL_SERVER_MASTER)
#define SLAVE (SL_SERVER_RUNNING | SL_SERVER_SLAVE)

struct fixture {
    struct sl_server *servers[COUNT];
    struct sl_service service;
    struct sl_rwsplit_settings cfg;
    struct sl_session *session;
    struct sl_backend backends[COUNT];
    struct rws r;
};

static inline void status(struct fixture *f, unsigned i, uint32_t st)
{
    sl_server_status_change(f->servers[i], st, ~st);
}

static inline void lag(struct fixture *f, unsigned i, int64_t seconds)
{
    atomic_store(&f->servers[i]->lag_s, seconds);
}

static inline void connect_to(struct fixture *f, unsigned i)
{
    f->backends[i].step = SL_BACKEND_READY;
    f->backends[i].server = f->servers[i];
    f->backends[i].session = f->session;
    f->backends[i].position = i;
    f->session->backends[i] = &f->backends[i];
}

static inline void connect_all(struct fixture *f)
{
    for (unsigned i = 0; i < COUNT; i++) {
        connect_to(f, i);
    }
}

static inline int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    f.session = sl_xcalloc(1, sizeof *f.session + COUNT * sizeof f.session->backends[0]);
    f.session->service = &f.service;
    f.session->backend_count = COUNT;
    f.session->router = &f.r;
    f.service.servers = f.servers;
    f.service.server_count = COUNT;
    for (unsigned i = 0; i < COUNT; i++) {
        struct sl_server_settings settings = {.address = (char[]){"127.0.0.1"}, .port = 3306};
        char name[8];
        snprintf(name, sizeof name, "s%u", i);
        assert_int_equal(sl_server_new(name, &settings, i, 1, &f.servers[i], NULL), 0);
        status(&f, i, i == 0 ? MASTER : SLAVE);
        lag(&f, i, 0);
    }
    f.cfg = (struct sl_rwsplit_settings){
        .max_slave_connections = 255, .slave_connections = 255, .master_reconnection = true};
    f.r = (struct rws){.session = f.session,
                       .cfg = &f.cfg,
                       .primary = RWS_NONE,
                       .trx_server = RWS_NONE,
                       .last = RWS_NONE,
                       .position = RWS_NONE};
    sl_history_init(&f.r.history, 50, true);
    *state = &f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    sl_history_clear(&f->r.history);
    rws_stmts_free(&f->r);
    for (unsigned i = 0; i < COUNT; i++) {
        sl_free(f->backends[i].stmts);
        sl_server_free(f->servers[i]);
    }
    sl_free(f->session);
    return 0;
}

#endif
