/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the tests of admin: cmocka, requests without a socket, and a small core put together by
 * hand. */
#ifndef TEST_ADMIN_TEST_H
#define TEST_ADMIN_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/admin_state.h"
#include "admin/request.h"
#include "base/mem.h"
#include "core/core.h"

/* Headers of a request without a socket: name, value, ..., NULL. */
static inline const char *test_header(const struct sl_admin_request *rq, const char *name)
{
    for (const char *const *h = rq->header_arg; h != NULL && *h != NULL; h += 2) {
        if (strcasecmp(h[0], name) == 0) {
            return h[1];
        }
    }
    return NULL;
}

/* "a=b&c=d" without any decoding; the text must outlive the request. */
static inline void test_query(struct sl_admin_request *rq, char *query)
{
    char *save = NULL;
    for (char *pair = strtok_r(query, "&", &save); pair != NULL;
         pair = strtok_r(NULL, "&", &save)) {
        char *equals = strchr(pair, '=');
        if (equals != NULL) {
            *equals = '\0';
        }
        rq->params[rq->param_count++] =
            (struct sl_admin_param){pair, equals != NULL ? equals + 1 : ""};
    }
}

struct test_core {
    struct sl_core core;
    struct sl_config config;
    struct sl_server *servers[2];
    struct sl_service service;
    struct sl_service *services[1];
    struct sl_listener listener;
    struct sl_listener *listeners[1];
    struct sl_service_counters counters;
    char datadir[64];
};

static void test_router_diagnostics(const struct sl_service *s, struct sl_diag *out)
{
    sl_diag_int(out, "queries", 7);
}

static const struct sl_router_ops test_router_ops = {.diagnostics = test_router_diagnostics};
static const struct sl_module test_router = {.name = "readconnroute",
                                             .kind = SL_MODULE_ROUTER,
                                             .version = "1.0.0",
                                             .description = "for tests",
                                             .maturity = "Beta",
                                             .settings = &sl_settings_readconnroute,
                                             .ops = &test_router_ops};
static const struct sl_module *const test_modules[] = {&test_router, NULL};

/* Two unmonitored servers db1 and db2, service S with listener L, no workers. */
static inline struct test_core *test_core_new(void)
{
    struct test_core *t = sl_xcalloc(1, sizeof *t);
    struct sl_err err = SL_ERR_INIT;
    sl_settings_defaults(&sl_settings_global, &t->config.global);
    snprintf(t->datadir, sizeof t->datadir, "/tmp/test_admin_XXXXXX");
    assert_non_null(mkdtemp(t->datadir));
    sl_free(t->config.global.datadir);
    t->config.global.datadir = sl_xstrdup(t->datadir);
    t->config.global.admin_secure_gui = false;
    t->core.config = &t->config;
    t->core.modules = test_modules;
    static const char *const names[] = {"db1", "db2"};
    for (unsigned i = 0; i < 2; i++) {
        struct sl_server_settings settings = {0};
        sl_settings_defaults(&sl_settings_server, &settings);
        settings.address = sl_xstrdup("127.0.0.1");
        settings.port = 3306 + i;
        settings.monitorpw = sl_xstrdup("secret");
        assert_int_equal(sl_server_new(names[i], &settings, i, 1, &t->servers[i], &err), 0);
        sl_settings_clear(&sl_settings_server, &settings);
    }
    t->core.servers = t->servers;
    t->core.server_count = 2;
    t->service = (struct sl_service){.core = &t->core,
                                     .name = sl_xstrdup("S"),
                                     .router = &test_router,
                                     .ops = &test_router_ops,
                                     .servers = t->servers,
                                     .server_count = 2,
                                     .counters = &t->counters,
                                     .worker_count = 1,
                                     .started_s = 1700000000};
    sl_settings_defaults(&sl_settings_service, &t->service.settings);
    t->service.settings.password = sl_xstrdup("secret");
    t->service.router_settings = sl_xcalloc(1, sl_settings_readconnroute.struct_size);
    sl_settings_defaults(&sl_settings_readconnroute, t->service.router_settings);
    t->services[0] = &t->service;
    t->core.services = t->services;
    t->core.service_count = 1;
    t->listener = (struct sl_listener){.name = sl_xstrdup("L"), .service = &t->service};
    sl_settings_defaults(&sl_settings_listener, &t->listener.settings);
    t->listener.settings.port = 4006;
    atomic_store(&t->listener.is_listening, true);
    t->listeners[0] = &t->listener;
    t->core.listeners = t->listeners;
    t->core.listener_count = 1;
    t->core.started_s = 1700000000;
    return t;
}

static inline void test_core_free(struct test_core *t)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", t->datadir);
    assert_int_equal(system(command), 0);
    for (unsigned i = 0; i < 2; i++) {
        sl_server_free(t->servers[i]);
    }
    sl_settings_clear(&sl_settings_global, &t->config.global);
    sl_settings_clear(&sl_settings_service, &t->service.settings);
    sl_settings_clear(&sl_settings_readconnroute, t->service.router_settings);
    sl_free(t->service.router_settings);
    sl_settings_clear(&sl_settings_listener, &t->listener.settings);
    sl_free(t->service.name);
    sl_free(t->listener.name);
    sl_free(t);
}

#endif
