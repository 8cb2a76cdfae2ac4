/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router tcp: own checks of servers, for those who have no monitor.
 *
 * One thread per server and service, blocking with deadlines, so that a frozen server delays
 * nobody. A thread owns its hysteresis; it publishes is_up (and Running in the server's status, if
 * nobody else does) and tells the workers. Three kinds: a connection is accepted; the greeting of
 * protocol version 10 comes (MariaDB documentation, "Connection", initial handshake packet); a
 * login succeeds.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "dbc/dbc.h"
#include "net/listener.h"
#include "router/tcp/tcp.h"

#define FIRST_RESULT_MS 3000 /* longest wait for it at start */
#define PROTOCOL_VERSION 10
#define GREETING_HEAD 5 /* packet header and protocol version */

/* ---- hysteresis ---- */

bool sl_tcp_hysteresis_add(struct sl_tcp_hysteresis *h, bool is_good)
{
    if (!h->is_known) {
        *h = (struct sl_tcp_hysteresis){.is_known = true, .is_up = is_good};
        return true;
    }
    if (is_good == h->is_up) {
        h->against = 0;
        return false;
    }
    h->against++;
    if (h->against < (h->is_up ? SL_TCP_CHECK_FALL : SL_TCP_CHECK_RISE)) {
        return false;
    }
    h->is_up = is_good;
    h->against = 0;
    return true;
}

/* ---- one check ---- */

/* Waits for events on fd. SL_OK, SL_ETIMEOUT (also when the thread shall end) or SL_ESYS. */
static int wait_for(const struct sl_tcp_checker *c, int fd, short events, uint64_t deadline_ms)
{
    for (;;) {
        uint64_t now = sl_clock_mono_ms();
        struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = c->stop_fd, .events = POLLIN}};
        int n = now >= deadline_ms ? 0 : poll(fds, 2, (int)(deadline_ms - now));
        if (n == 0 || (n > 0 && fds[1].revents != 0)) {
            return SL_ETIMEOUT;
        }
        if (n > 0) {
            return SL_OK;
        }
        if (errno != EINTR) {
            return SL_ESYS;
        }
    }
}

static int bind_local(const struct sl_core *core, int fd, const struct sockaddr_storage *addr)
{
    if (core->local_address.ss_family == AF_UNSPEC ||
        core->local_address.ss_family != addr->ss_family) {
        return 0;
    }
    return bind(fd, (const struct sockaddr *)&core->local_address, core->local_address_len);
}

/* A connected socket, or a negative code. */
static int open_socket(const struct sl_tcp_checker *c, uint64_t deadline_ms, struct sl_err *err)
{
    struct sockaddr_storage addr;
    socklen_t addr_len;
    sl_server_address(c->server, &addr, &addr_len);
    int fd = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return sl_err_set(err, SL_ESYS, "no socket: %s", strerror(errno));
    }
    int rc = SL_OK;
    int error = 0;
    socklen_t error_len = sizeof error;
    if (bind_local(c->instance->service->core, fd, &addr) < 0) {
        rc = sl_err_set(err, SL_ESYS, "cannot use local_address: %s", strerror(errno));
    } else if (connect(fd, (struct sockaddr *)&addr, addr_len) < 0 && errno != EINPROGRESS) {
        rc = sl_err_set(err, SL_ESYS, "%s", strerror(errno));
    } else if (wait_for(c, fd, POLLOUT, deadline_ms) < 0) {
        rc = sl_err_set(err, SL_ETIMEOUT, "the connection is not accepted in time");
    } else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) < 0 || error != 0) {
        rc = sl_err_set(err, SL_ESYS, "%s", strerror(error));
    }
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}

static int check_connect(struct sl_tcp_checker *c, uint64_t deadline_ms, struct sl_err *err)
{
    int fd = open_socket(c, deadline_ms, err);
    if (fd < 0) {
        return fd;
    }
    close(fd);
    return SL_OK;
}

static int check_greeting(struct sl_tcp_checker *c, uint64_t deadline_ms, struct sl_err *err)
{
    int fd = open_socket(c, deadline_ms, err);
    if (fd < 0) {
        return fd;
    }
    uint8_t head[GREETING_HEAD];
    size_t have = 0;
    int rc = SL_OK;
    while (rc == SL_OK && have < sizeof head) {
        rc = wait_for(c, fd, POLLIN, deadline_ms);
        ssize_t n = rc == SL_OK ? recv(fd, head + have, sizeof head - have, 0) : 0;
        if (rc < 0) {
            sl_err_set(err, rc, "no greeting in time");
        } else if (n > 0) {
            have += (size_t)n;
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            rc = sl_err_set(err, SL_ECLOSED, "the connection ended before the greeting");
        }
    }
    if (rc == SL_OK && (sl_get_le24(head) == 0 || head[3] != 0 || head[4] != PROTOCOL_VERSION)) {
        rc = sl_err_set(err, SL_EPROTO, "the greeting is an error or of another protocol");
    }
    close(fd);
    return rc;
}

static int check_login(struct sl_tcp_checker *c, uint64_t deadline_ms, struct sl_err *err)
{
    const struct sl_tcp_settings *t = c->instance->settings;
    const struct sl_service *service = c->instance->service;
    const struct sl_server_settings *s = &c->server->settings;
    char host[64];
    struct sockaddr_storage addr;
    socklen_t addr_len;
    sl_server_address(c->server, &addr, &addr_len);
    sl_address_text(&addr, host, sizeof host);
    bool has_own_user = t->check_user != NULL && t->check_user[0] != '\0';
    uint32_t timeout_ms = (uint32_t)(deadline_ms - sl_clock_mono_ms());
    const struct sl_config *config = service->core->config;
    struct sl_dbc_config dbc_config;
    sl_server_dbc_config(c->server, &dbc_config);
    dbc_config.host = s->tls.ssl_verify_peer_host ? s->address : host;
    dbc_config.extra_port = 0; /* the port that clients use is the one to be checked */
    dbc_config.local_address = config ? config->global.local_address : NULL;
    dbc_config.user = has_own_user ? t->check_user : service->settings.user;
    dbc_config.password = has_own_user ? t->check_password : service->settings.password;
    dbc_config.connect_timeout_ms = timeout_ms;
    dbc_config.read_timeout_ms = timeout_ms;
    dbc_config.write_timeout_ms = timeout_ms;
    dbc_config.cancel_fd = c->stop_fd;
    struct sl_dbc *dbc = NULL;
    int rc = sl_dbc_connect(&dbc_config, &dbc, err);
    sl_dbc_close(dbc);
    return rc;
}

int sl_tcp_check_run(struct sl_tcp_checker *c, uint32_t timeout_ms, struct sl_err *err)
{
    static int (*const kinds[])(struct sl_tcp_checker *, uint64_t, struct sl_err *) = {
        [SL_TCP_CHECK_CONNECT] = check_connect,
        [SL_TCP_CHECK_GREETING] = check_greeting,
        [SL_TCP_CHECK_LOGIN] = check_login,
    };
    sl_assert(c->kind != SL_TCP_CHECK_MONITOR && (size_t)c->kind < SL_ARRAY_LEN(kinds));
    if ((sl_server_status(c->server) & SL_SERVER_NEED_DNS) != 0) {
        return sl_err_set(err, SL_ENOENT, "its name cannot be resolved");
    }
    return kinds[c->kind](c, sl_clock_mono_ms() + timeout_ms, err);
}

/* ---- the thread ---- */

static void publish(struct sl_tcp_checker *c, const struct sl_err *why)
{
    bool is_up = c->hysteresis.is_up;
    atomic_store_explicit(&c->is_up, is_up, memory_order_release);
    if (c->publishes) {
        sl_server_status_change(c->server, is_up ? SL_SERVER_RUNNING : 0,
                                is_up ? 0 : SL_SERVER_RUNNING);
    }
    if (is_up) {
        sl_log_notice("Server '%s' is up", c->server->name);
    } else {
        sl_log_warning("Server '%s' is down: %s", c->server->name, why->text);
    }
    sl_core_topology_changed(c->instance->service->core);
}

static uint32_t timeout_of(const struct sl_tcp_settings *t)
{
    return (uint32_t)SL_MIN(t->check_interval, t->connect_timeout);
}

/* Until the next check. False when the thread shall end. */
static bool pause_between(struct sl_tcp_checker *c)
{
    struct pollfd fds[2] = {{.fd = c->stop_fd, .events = POLLIN},
                            {.fd = c->wake_fd, .events = POLLIN}};
    poll(fds, 2, (int)c->instance->settings->check_interval);
    if ((fds[1].revents & POLLIN) != 0) {
        uint64_t count;
        ssize_t n = read(c->wake_fd, &count, sizeof count);
        (void)n; /* non-blocking; what matters is that it is empty now */
    }
    return (fds[0].revents & POLLIN) == 0;
}

static bool is_stopping(const struct sl_tcp_checker *c)
{
    struct pollfd stop = {.fd = c->stop_fd, .events = POLLIN};
    return poll(&stop, 1, 0) > 0;
}

static void *thread_main(void *arg)
{
    struct sl_tcp_checker *c = arg;
    sl_log_module_set("tcp");
    sl_log_scope_set(c->instance->service->name);
    do {
        struct sl_err err = SL_ERR_INIT;
        int rc = sl_tcp_check_run(c, timeout_of(c->instance->settings), &err);
        if (is_stopping(c)) {
            break; /* the check was cut short: its result means nothing */
        }
        if (sl_tcp_hysteresis_add(&c->hysteresis, rc == SL_OK)) {
            publish(c, &err);
        }
        atomic_fetch_add(&c->rounds, 1);
    } while (pause_between(c));
    if (c->kind == SL_TCP_CHECK_LOGIN) {
        sl_dbc_thread_end();
    }
    return NULL;
}

void sl_tcp_check_wake(struct sl_tcp_checker *c)
{
    if (c->is_started) {
        uint64_t one = 1;
        ssize_t n = write(c->wake_fd, &one, sizeof one);
        (void)n; /* can fail only when it is set already */
    }
}

static int start(struct sl_tcp_checker *c, struct sl_err *err)
{
    c->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->stop_fd < 0 || c->wake_fd < 0) {
        return sl_err_set(err, SL_ESYS, "no descriptor for the checks: %s", strerror(errno));
    }
    int rc = pthread_create(&c->thread, NULL, thread_main, c);
    if (rc != 0) {
        return sl_err_set(err, SL_ESYS, "cannot start a check thread: %s", strerror(rc));
    }
    c->is_started = true;
    return SL_OK;
}

/* So that the first client finds servers; one that does not answer is waited for by nobody else. */
static void wait_first(struct sl_tcp_instance *inst)
{
    uint64_t deadline = sl_clock_mono_ms() + FIRST_RESULT_MS;
    for (unsigned i = 0; i < inst->service->server_count; i++) {
        while (inst->checks[i].is_started && atomic_load(&inst->checks[i].rounds) == 0 &&
               sl_clock_mono_ms() < deadline) {
            poll(NULL, 0, 5);
        }
    }
}

int sl_tcp_checks_start(struct sl_tcp_instance *inst, struct sl_err *err)
{
    for (unsigned i = 0; i < inst->service->server_count; i++) {
        struct sl_tcp_checker *c = &inst->checks[i];
        int rc = c->kind == SL_TCP_CHECK_MONITOR ? SL_OK : start(c, err);
        if (rc < 0) {
            return rc;
        }
    }
    wait_first(inst);
    return SL_OK;
}

void sl_tcp_checks_stop(struct sl_tcp_instance *inst)
{
    for (unsigned i = 0; i < inst->service->server_count; i++) {
        if (inst->checks[i].is_started) {
            uint64_t one = 1;
            ssize_t n = write(inst->checks[i].stop_fd, &one, sizeof one);
            (void)n; /* the first write to an eventfd cannot fail */
        }
    }
    for (unsigned i = 0; i < inst->service->server_count; i++) {
        struct sl_tcp_checker *c = &inst->checks[i];
        if (c->is_started) {
            pthread_join(c->thread, NULL);
            c->is_started = false;
        }
        if (c->kind != SL_TCP_CHECK_MONITOR) {
            if (c->stop_fd >= 0) {
                close(c->stop_fd);
            }
            if (c->wake_fd >= 0) {
                close(c->wake_fd);
            }
        }
    }
}
