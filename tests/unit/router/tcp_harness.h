/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of router tcp share: a core with one worker and a few servers, which are listening
 * sockets of the test; clients are plain sockets of the test.
 */
#ifndef TESTS_UNIT_ROUTER_TCP_HARNESS_H
#define TESTS_UNIT_ROUTER_TCP_HARNESS_H

#include "../net/harness.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>

#include "core/core.h"
#include "core/monitor.h"
#include "router/tcp/tcp.h"

enum {
    HOSTS = 3
};

struct world {
    struct sl_core core;
    struct sl_worker worker;
    struct sl_service service;
    struct sl_service *services[1];
    struct sl_service_counters service_counters[1];
    struct sl_tcp_settings settings;
    struct sl_server *servers[HOSTS];
    struct sl_monitor *monitors[1];
    struct sl_tcp_instance *instance;
    struct sl_tcp_worker *tw;
    struct sl_listener *listener; /* of the clients; NULL as a rule */
    int listening[HOSTS];
};

static int dummy_new(struct sl_monitor *m, void **ret, struct sl_err *err)
{
    *ret = m;
    return SL_OK;
}

static void dummy_free(void *instance)
{
}

static const struct sl_monitor_ops dummy_ops = {.instance_new = dummy_new,
                                                .instance_free = dummy_free};
static const struct sl_module dummy_monitor = {.name = "dummy",
                                               .kind = SL_MODULE_MONITOR,
                                               .settings = &sl_settings_galeramon,
                                               .ops = &dummy_ops};

static inline int listen_on_loopback(uint16_t *ret_port, int backlog)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    *ret_port = ntohs(addr.sin_port);
    return fd;
}

static inline void world_add_server(struct world *w, unsigned i)
{
    static const char *const names[HOSTS] = {"db1", "db2", "db3"};
    struct sl_server_settings settings = {0};
    struct sl_err err = SL_ERR_INIT;
    uint16_t port = 0;
    sl_settings_defaults(&sl_settings_server, &settings);
    w->listening[i] = listen_on_loopback(&port, 16);
    sl_free(settings.address);
    settings.address = sl_strdup("127.0.0.1");
    settings.port = port;
    assert_int_equal(sl_server_new(names[i], &settings, i, 1, &w->servers[i], &err), SL_OK);
    sl_settings_clear(&sl_settings_server, &settings);
    assert_int_equal(sl_server_resolve(w->servers[i], &err), SL_OK);
}

static inline void world_add_monitor(struct world *w)
{
    struct sl_monitor_settings settings = {0};
    struct sl_galeramon_settings module_settings = {0};
    struct sl_err err = SL_ERR_INIT;
    sl_settings_defaults(&sl_settings_monitor, &settings);
    sl_settings_defaults(&sl_settings_galeramon, &module_settings);
    struct sl_monitor_config config = {.name = "monitor",
                                       .module = &dummy_monitor,
                                       .settings = &settings,
                                       .module_settings = &module_settings,
                                       .servers = w->servers,
                                       .server_count = HOSTS,
                                       .datadir = "/nonexistent"};
    assert_int_equal(sl_monitor_new(&config, &w->monitors[0], &err), SL_OK);
    sl_settings_clear(&sl_settings_monitor, &settings);
    sl_settings_clear(&sl_settings_galeramon, &module_settings);
    w->core.monitors = w->monitors;
    w->core.monitor_count = 1;
}

/* Servers, a monitor that has seen all of them as replicas, and a service; change what the test
 * needs, then world_open(). */
static inline struct world *world_new(void **state, bool has_monitor)
{
    struct world *w = sl_xcalloc(1, sizeof *w);
    signal(SIGPIPE, SIG_IGN);
    w->worker.loop = loop_for(state);
    w->worker.core = &w->core;
    w->core.workers = NULL; /* no topology messages: the tests cut by hand */
    for (unsigned i = 0; i < HOSTS; i++) {
        world_add_server(w, i);
        if (has_monitor) {
            sl_server_status_change(w->servers[i], SL_SERVER_RUNNING | SL_SERVER_SLAVE, 0);
        }
    }
    w->core.servers = w->servers;
    w->core.server_count = HOSTS;
    if (has_monitor) {
        world_add_monitor(w);
    }
    sl_settings_defaults(&sl_settings_tcp, &w->settings);
    w->settings.balance = SL_TCP_FIRST;
    w->services[0] = &w->service;
    w->core.services = w->services;
    w->core.service_count = 1;
    w->service.core = &w->core;
    w->service.name = (char *)"service";
    w->service.router_settings = &w->settings;
    w->service.servers = w->servers;
    w->service.server_count = HOSTS;
    w->service.counters = w->service_counters;
    w->service.worker_count = 1;
    return w;
}

static inline void world_open(struct world *w)
{
    struct sl_err err = SL_ERR_INIT;
    w->core.workers = &w->worker;
    assert_int_equal(sl_tcp_instance_new(&w->service, &w->instance, &err), SL_OK);
    w->service.instance = w->instance;
    w->tw = &w->instance->workers[0];
}

static inline void world_free(struct world *w)
{
    sl_tcp_relays_end(w->tw);
    assert_true(sl_list_is_empty(&w->tw->relays) && sl_list_is_empty(&w->tw->leaving));
    assert_int_equal(sl_service_connections(&w->service), 0);
    sl_tcp_instance_free(w->instance);
    loop_end(w->worker.loop);
    if (w->monitors[0]) {
        sl_monitor_free(w->monitors[0]);
    }
    for (unsigned i = 0; i < HOSTS; i++) {
        assert_int_equal(sl_server_connections(w->servers[i]), 0);
        sl_server_free(w->servers[i]);
        if (w->listening[i] >= 0) {
            close(w->listening[i]);
        }
    }
    sl_settings_clear(&sl_settings_tcp, &w->settings);
    sl_free(w);
}

/* A client connects; returns its end. */
static inline int world_client(struct world *w)
{
    int fds[2];
    tcp_pair(fds);
    struct sockaddr_storage peer = {0}, local = {0};
    socklen_t len = sizeof peer;
    assert_int_equal(getpeername(fds[1], (struct sockaddr *)&peer, &len), 0);
    len = sizeof local;
    assert_int_equal(getsockname(fds[1], (struct sockaddr *)&local, &len), 0);
    sl_tcp_relay_accept(w->tw, w->listener, fds[1], &peer, &local);
    return fds[0];
}

/* The server's end of the next connection it gets. */
static inline int world_server(struct world *w, unsigned i)
{
    int fd = -1;
    RUN_UNTIL(w->worker.loop,
              (fd = accept4(w->listening[i], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0);
    sl_socket_set_tcp_options(fd);
    return fd;
}

/* Nobody listens there any more. */
static inline void world_close_server(struct world *w, unsigned i)
{
    close(w->listening[i]);
    w->listening[i] = -1;
}

/* Waits until `text` has arrived on the socket. */
static inline void expect_text(struct world *w, int fd, const char *text)
{
    char got[256];
    size_t have = 0, want = strlen(text);
    assert_true(want < sizeof got);
    ssize_t n;
    RUN_UNTIL(w->worker.loop, ((n = recv(fd, got + have, want - have, 0)) > 0 ? (have += (size_t)n)
                                                                              : have) == want);
    assert_memory_equal(got, text, want);
}

/* Waits for FIN or reset on the socket; counts what came before. */
static inline uint64_t expect_end(struct world *w, int fd)
{
    static char waste[65536];
    uint64_t total = 0;
    ssize_t n;
    RUN_UNTIL(w->worker.loop, (n = recv(fd, waste, sizeof waste, 0)) == 0 ||
                                  (n < 0 && errno != EAGAIN) ||
                                  (total += n > 0 ? (uint64_t)n : 0, false));
    return total;
}

static inline void send_text(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
}

#endif
