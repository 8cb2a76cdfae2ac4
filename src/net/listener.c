/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets and accepting.
 *
 *   TCP    one socket per loop with SO_REUSEPORT: the kernel spreads new clients over them
 *   unix   one socket in all loops with EPOLLEXCLUSIVE: one waiting loop is woken per client
 *
 * Level-triggered: what one turn leaves over (64 clients at most) the next one takes. Out of
 * descriptors: a spare one is given up to accept and close the client, so that it gets an answer
 * instead of hanging in the backlog; then accepting rests for a moment. Bound by the control
 * thread; each acceptor is used by its loop's thread only.
 */
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/loop_private.h"

enum {
    ACCEPTS_PER_TURN = 64,
    BACKLOG = 4096, /* the kernel cuts it to net.core.somaxconn */
    REST_MS = 100,  /* without descriptors or memory */
    LOG_EVERY_MS = 60 * 1000
};

struct acceptor {
    struct sl_watch watch;
    struct sl_timer rest_timer;
    struct sl_listener_socket *owner;
    struct sl_loop *loop; /* NULL: not accepting */
    sl_on_accept *on_accept;
    void *arg;
    int spare_fd;
    uint64_t logged_ms; /* when the lack of descriptors was logged last; 0 = never */
};

struct sl_listener_socket {
    bool is_unix;
    uint16_t port;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    char name[300]; /* for messages */
    unsigned count;
    struct acceptor acceptors[];
};

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int bind_tcp(const struct sockaddr_storage *addr, socklen_t len)
{
    static const int ON = 1, OFF = 0;
    int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (addr->ss_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &OFF, sizeof(OFF));
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &ON, sizeof(ON));
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &ON, sizeof(ON)) < 0 ||
        bind(fd, (const struct sockaddr *)addr, len) < 0 || listen(fd, BACKLOG) < 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);
    return getsockname(fd, (struct sockaddr *)&addr, &len) == 0 ? sl_address_port(&addr) : 0;
}

static void set_port(struct sockaddr_storage *addr, uint16_t port)
{
    if (addr->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)addr)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)addr)->sin_port = htons(port);
    }
}

/* One socket per acceptor, all on the same port (the first one chooses it when it is 0). */
static int open_tcp(struct sl_listener_socket *s, const char *address, uint16_t port,
                    struct sl_err *err)
{
    struct sockaddr_storage addr;
    socklen_t len;
    int rc = sl_resolve(address, port, &addr, &len, err);
    if (rc != SL_OK) {
        return rc;
    }
    for (unsigned i = 0; i < s->count; i++) {
        int fd = bind_tcp(&addr, len);
        if (fd < 0 && i == 0 && strcmp(address, "::") == 0 &&
            (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
            rc = sl_resolve("0.0.0.0", port, &addr, &len, err);
            fd = rc == SL_OK ? bind_tcp(&addr, len) : -1;
        }
        if (fd < 0) {
            return sl_err_set(err, SL_ESYS, "Cannot listen on %s: %s", s->name, strerror(errno));
        }
        s->acceptors[i].watch.fd = fd;
        if (i == 0) {
            s->port = bound_port(fd);
            set_port(&addr, s->port);
        }
    }
    return SL_OK;
}

/* A socket file nobody listens on any more. */
static bool is_stale(const struct sockaddr_un *addr)
{
    struct stat st;
    if (stat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    bool stale =
        connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static int open_unix(struct sl_listener_socket *s, const char *path, struct sl_err *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(addr.sun_path)) {
        return sl_err_set(err, SL_EINVAL, "Cannot listen on %s: the path is longer than %zu bytes",
                          s->name, sizeof(addr.sun_path) - 1);
    }
    memcpy(addr.sun_path, path, strlen(path));
    if (is_stale(&addr)) {
        unlink(path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool is_bound = fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
    if (is_bound) {
        snprintf(s->path, sizeof(s->path), "%s", path);
    }
    /* As the server does: who may connect is decided by the login. */
    if (!is_bound || chmod(path, 0777) < 0 || listen(fd, BACKLOG) < 0) {
        int error = errno;
        if (fd >= 0) {
            close(fd);
        }
        return sl_err_set(err, SL_ESYS, "Cannot listen on %s: %s", s->name, strerror(error));
    }
    for (unsigned i = 0; i < s->count; i++) {
        s->acceptors[i].watch.fd = fd;
    }
    return SL_OK;
}

int sl_listener_socket_new(const char *address, uint16_t port, const char *path,
                           unsigned loop_count, struct sl_listener_socket **ret, struct sl_err *err)
{
    sl_assert(loop_count > 0);
    struct sl_listener_socket *s = sl_calloc(1, sizeof(*s) + loop_count * sizeof(struct acceptor));
    if (s == NULL) {
        return sl_err_set(err, SL_ENOMEM, "No memory for a listener");
    }
    s->count = loop_count;
    s->is_unix = path != NULL && path[0] != '\0';
    for (unsigned i = 0; i < loop_count; i++) {
        s->acceptors[i].owner = s;
        s->acceptors[i].watch.fd = -1;
        s->acceptors[i].spare_fd = -1;
    }
    int rc;
    if (s->is_unix) {
        snprintf(s->name, sizeof(s->name), "unix socket '%s'", path);
        rc = open_unix(s, path, err);
    } else {
        const char *host = address != NULL && address[0] != '\0' ? address : "::";
        snprintf(s->name, sizeof(s->name), strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
        rc = open_tcp(s, host, port, err);
    }
    if (rc != SL_OK) {
        sl_listener_socket_free(s);
        return rc;
    }
    *ret = s;
    return SL_OK;
}

static int watch_socket(struct acceptor *a, struct sl_err *err)
{
    return sl_watch_add(a->loop, &a->watch, a->owner->is_unix ? EPOLLIN | EPOLLEXCLUSIVE : EPOLLIN,
                        err);
}

static void rest_is_over(struct sl_timer *t, struct sl_loop *loop)
{
    struct acceptor *a = SL_CONTAINER_OF(t, struct acceptor, rest_timer);
    struct sl_err err = SL_ERR_INIT;
    if (a->spare_fd < 0) {
        a->spare_fd = open_spare();
    }
    if (watch_socket(a, &err) != SL_OK) {
        sl_timer_start(loop, t, REST_MS);
    }
}

/* Descriptors or memory ran out. */
static void take_a_rest(struct acceptor *a, int error)
{
    struct sl_loop *loop = a->loop;
    SL_LOOP_COUNT(loop, errors, 1);
    if (a->spare_fd >= 0 && (error == EMFILE || error == ENFILE)) {
        close(a->spare_fd);
        int fd = accept4(a->watch.fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            close(fd);
        }
        a->spare_fd = open_spare();
    }
    uint64_t now_ms = sl_loop_now_ms(loop);
    if (a->logged_ms == 0 || now_ms - a->logged_ms >= LOG_EVERY_MS) {
        a->logged_ms = now_ms;
        sl_log_error("Cannot accept clients on %s: %s", a->owner->name, strerror(error));
    }
    sl_watch_remove(loop, &a->watch);
    sl_timer_start(loop, &a->rest_timer, REST_MS);
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* An IPv4 client of a dual-stack socket is an IPv4 client: for accounts, networks, PROXY
 * headers. */
static void unmap(struct sockaddr_storage *addr)
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
    if (addr->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        return;
    }
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = in6->sin6_port};
    memcpy(&in.sin_addr, &in6->sin6_addr.s6_addr[12], sizeof(in.sin_addr));
    memset(addr, 0, sizeof(*addr));
    memcpy(addr, &in, sizeof(in));
}

static void accept_clients(struct sl_watch *w, struct sl_loop *loop, uint32_t events)
{
    struct acceptor *a = SL_CONTAINER_OF(w, struct acceptor, watch);
    for (int i = 0; i < ACCEPTS_PER_TURN && a->loop != NULL; i++) {
        struct sockaddr_storage peer = {0}, local = {0};
        socklen_t peer_len = sizeof(peer), local_len = sizeof(local);
        int fd = accept4(w->fd, (struct sockaddr *)&peer, &peer_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (is_shortage(errno)) {
                take_a_rest(a, errno);
                return;
            }
            if (errno == EAGAIN) {
                return;
            }
            continue; /* that client has gone already: accept(2) passes its errors on */
        }
        getsockname(fd, (struct sockaddr *)&local, &local_len);
        unmap(&peer);
        unmap(&local);
        if (a->owner->is_unix) {
            peer.ss_family = AF_UNIX;
        } else {
            sl_socket_set_tcp_options(fd);
        }
        SL_LOOP_COUNT(loop, accepts, 1);
        a->on_accept(a->arg, loop, fd, &peer, &local);
    }
}

int sl_listener_socket_start(struct sl_listener_socket *s, unsigned index, struct sl_loop *loop,
                             sl_on_accept *on_accept, void *arg, struct sl_err *err)
{
    sl_assert(index < s->count);
    struct acceptor *a = &s->acceptors[index];
    sl_assert(a->loop == NULL);
    a->loop = loop;
    a->on_accept = on_accept;
    a->arg = arg;
    a->watch.on_ready = accept_clients;
    sl_timer_init(&a->rest_timer, rest_is_over);
    int rc = watch_socket(a, err);
    if (rc != SL_OK) {
        a->loop = NULL;
        return rc;
    }
    a->spare_fd = open_spare();
    return SL_OK;
}

void sl_listener_socket_stop(struct sl_listener_socket *s, unsigned index, struct sl_loop *loop)
{
    sl_assert(index < s->count);
    struct acceptor *a = &s->acceptors[index];
    if (a->loop == NULL) {
        return;
    }
    sl_assert(a->loop == loop);
    if (sl_timer_is_running(&a->rest_timer)) {
        sl_timer_stop(&a->rest_timer);
    } else {
        sl_watch_remove(loop, &a->watch);
    }
    a->loop = NULL;
    if (a->spare_fd >= 0) {
        close(a->spare_fd);
        a->spare_fd = -1;
    }
}

void sl_listener_socket_free(struct sl_listener_socket *s)
{
    if (s == NULL) {
        return;
    }
    for (unsigned i = 0; i < s->count; i++) {
        sl_assert(s->acceptors[i].loop == NULL);
        if (s->acceptors[i].watch.fd >= 0 && (i == 0 || !s->is_unix)) {
            close(s->acceptors[i].watch.fd);
        }
    }
    if (s->path[0] != '\0') {
        unlink(s->path);
    }
    sl_free(s);
}

uint16_t sl_listener_socket_port(const struct sl_listener_socket *s)
{
    return s->port;
}
