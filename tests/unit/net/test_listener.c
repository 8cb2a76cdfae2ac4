/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: TCP and unix, several loops, running out of descriptors. */
#include "harness.h"

#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

struct door {
    unsigned accepted;
    int fds[600];
    struct sockaddr_storage peer, local;
};

static void on_accept(void *arg, struct sl_loop *loop, int fd, const struct sockaddr_storage *peer,
                      const struct sockaddr_storage *local)
{
    struct door *d = arg;
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    d->fds[d->accepted++] = fd;
    d->peer = *peer;
    d->local = *local;
}

static void door_close(struct door *d)
{
    for (unsigned i = 0; i < d->accepted; i++) {
        close(d->fds[i]);
    }
    d->accepted = 0;
}

static struct sl_listener_socket *open_listener(const char *address, uint16_t port,
                                                const char *path, unsigned count)
{
    struct sl_listener_socket *s = NULL;
    struct sl_err err = SL_ERR_INIT;
    if (sl_listener_socket_new(address, port, path, count, &s, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    return s;
}

static int connect_tcp(int family, uint16_t port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_port = htons(port)};
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = family == AF_INET ? connect(fd, (struct sockaddr *)&in, sizeof(in))
                               : connect(fd, (struct sockaddr *)&in6, sizeof(in6));
    if (rc < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void test_tcp(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct sl_err err = SL_ERR_INIT;
    struct door d = {0};
    char text[64];
    struct sl_listener_socket *s = open_listener("127.0.0.1", 0, NULL, 1);
    uint16_t port = sl_listener_socket_port(s);
    assert_int_equal(sl_listener_socket_start(s, 0, loop, on_accept, &d, &err), SL_OK);
    int fd = connect_tcp(AF_INET, port);
    RUN_UNTIL(loop, d.accepted == 1);
    sl_address_text(&d.peer, text, sizeof(text));
    assert_string_equal(text, "127.0.0.1");
    assert_int_equal(sl_address_port(&d.local), port);
    int value = 0;
    socklen_t len = sizeof(value);
    getsockopt(d.fds[0], SOL_SOCKET, SO_KEEPALIVE, &value, &len);
    assert_int_not_equal(value, 0);
    assert_int_equal(sl_loop_stats(loop)->accepts, 1);
    sl_listener_socket_stop(s, 0, loop);
    sl_listener_socket_stop(s, 0, loop); /* harmless */
    close(fd);
    fd = connect_tcp(AF_INET, port); /* still bound: waits in the backlog */
    run_turns(loop, 3);
    assert_int_equal(d.accepted, 1);
    assert_int_equal(sl_listener_socket_start(s, 0, loop, on_accept, &d, &err), SL_OK);
    RUN_UNTIL(loop, d.accepted == 2);
    sl_listener_socket_stop(s, 0, loop);
    sl_listener_socket_free(s);
    assert_int_equal(connect_tcp(AF_INET, port), -1);
    close(fd);
    door_close(&d);
    loop_end(loop);
}

static void test_dual_stack(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct sl_err err = SL_ERR_INIT;
    struct door d = {0};
    struct sl_listener_socket *s = open_listener("::", 0, NULL, 1);
    assert_int_equal(sl_listener_socket_start(s, 0, loop, on_accept, &d, &err), SL_OK);
    int four = connect_tcp(AF_INET, sl_listener_socket_port(s));
    assert_true(four >= 0);
    RUN_UNTIL(loop, d.accepted == 1);
    assert_int_equal(d.peer.ss_family, AF_INET);
    assert_int_equal(d.local.ss_family, AF_INET);
    int six = connect_tcp(AF_INET6, sl_listener_socket_port(s));
    if (six >= 0) { /* a machine may have no IPv6 */
        RUN_UNTIL(loop, d.accepted == 2);
        assert_int_equal(d.peer.ss_family, AF_INET6);
        close(six);
    }
    close(four);
    door_close(&d);
    sl_listener_socket_stop(s, 0, loop);
    sl_listener_socket_free(s);
    loop_end(loop);
}

static void test_every_loop_gets_clients(void **state)
{
    enum {
        LOOPS = 3,
        CLIENTS = 150
    };
    struct sl_loop *loops[LOOPS];
    static struct door doors[LOOPS];
    int clients[CLIENTS];
    struct sl_err err = SL_ERR_INIT;
    struct sl_listener_socket *s = open_listener("127.0.0.1", 0, NULL, LOOPS);
    for (unsigned i = 0; i < LOOPS; i++) {
        loops[i] = loop_for(state);
        assert_int_equal(sl_listener_socket_start(s, i, loops[i], on_accept, &doors[i], &err),
                         SL_OK);
    }
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = connect_tcp(AF_INET, sl_listener_socket_port(s));
    }
    unsigned sum = 0;
    for (unsigned i = 0; i < LOOPS; i++) {
        run_turns(loops[i], 5);
        assert_true(doors[i].accepted > 0);
        sum += doors[i].accepted;
    }
    assert_int_equal(sum, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        close(clients[i]);
    }
    for (unsigned i = 0; i < LOOPS; i++) {
        sl_listener_socket_stop(s, i, loops[i]);
        door_close(&doors[i]);
        loop_end(loops[i]);
    }
    sl_listener_socket_free(s);
}

static void test_accept_budget(void **state)
{
    enum {
        CLIENTS = 100
    };
    struct sl_loop *loop = loop_for(state);
    struct sl_err err = SL_ERR_INIT;
    static struct door d;
    int clients[CLIENTS];
    struct sl_listener_socket *s = open_listener("127.0.0.1", 0, NULL, 1);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = connect_tcp(AF_INET, sl_listener_socket_port(s));
    }
    sl_listener_socket_start(s, 0, loop, on_accept, &d, &err);
    sl_loop_turn(loop, 100);
    assert_int_equal(d.accepted, 64);
    sl_loop_turn(loop, 100);
    assert_int_equal(d.accepted, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        close(clients[i]);
    }
    door_close(&d);
    sl_listener_socket_stop(s, 0, loop);
    sl_listener_socket_free(s);
    loop_end(loop);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void test_unix_socket(void **state)
{
    struct sl_loop *loops[2] = {loop_for(state), loop_for(state)};
    struct sl_err err = SL_ERR_INIT;
    static struct door d;
    char path[64], text[64];
    unsigned turns = 0;
    struct stat st;
    snprintf(path, sizeof(path), "/tmp/sealane-test-%d.sock", (int)getpid());
    /* A stale file is replaced ... */
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(stale, (struct sockaddr *)&addr, sizeof(addr)), 0);
    close(stale);
    struct sl_listener_socket *s = open_listener(NULL, 0, path, 2);
    /* ... one in use is not. */
    struct sl_listener_socket *second = NULL;
    assert_int_equal(sl_listener_socket_new(NULL, 0, path, 1, &second, &err), SL_ESYS);
    assert_non_null(strstr(err.text, path));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(sl_listener_socket_start(s, i, loops[i], on_accept, &d, &err), SL_OK);
    }
    sl_loop_turn(loops[0], 100); /* the client that looked whether the file is stale */
    assert_int_equal(d.accepted, 1);
    door_close(&d);
    for (int i = 0; i < 10; i++) {
        int fd = connect_unix(path);
        assert_true(fd >= 0);
        while (d.accepted <= (unsigned)i && turns < 10000) { /* the kernel chooses the loop */
            sl_loop_turn(loops[turns++ % 2], 1);
        }
        assert_int_equal(d.accepted, i + 1);
        close(fd);
    }
    assert_int_equal(d.peer.ss_family, AF_UNIX);
    sl_address_text(&d.peer, text, sizeof(text));
    assert_string_equal(text, "localhost");
    for (unsigned i = 0; i < 2; i++) {
        sl_listener_socket_stop(s, i, loops[i]);
        loop_end(loops[i]);
    }
    door_close(&d);
    sl_listener_socket_free(s);
    assert_int_equal(stat(path, &st), -1);
}

static void test_errors_name_the_address(void **state)
{
    struct sl_listener_socket *s = open_listener("127.0.0.1", 0, NULL, 1);
    struct sl_listener_socket *other = NULL;
    struct sl_err err = SL_ERR_INIT;
    char long_path[300];
    /* A socket without SO_REUSEPORT holds the port. */
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bind(fd, (struct sockaddr *)&addr, len);
    listen(fd, 1);
    getsockname(fd, (struct sockaddr *)&addr, &len);
    assert_int_equal(
        sl_listener_socket_new("127.0.0.1", ntohs(addr.sin_port), NULL, 1, &other, &err), SL_ESYS);
    assert_non_null(strstr(err.text, "127.0.0.1:"));
    assert_non_null(strstr(err.text, "in use"));
    close(fd);
    assert_int_equal(sl_listener_socket_new("no.such.host.invalid", 1, NULL, 1, &other, &err),
                     SL_ENOENT);
    assert_non_null(strstr(err.text, "no.such.host.invalid"));
    memset(long_path, 'x', sizeof(long_path));
    long_path[0] = '/';
    long_path[299] = '\0';
    assert_int_equal(sl_listener_socket_new(NULL, 0, long_path, 1, &other, &err), SL_EINVAL);
    assert_int_equal(sl_listener_socket_new(NULL, 0, "/nonexistent/x", 1, &other, &err), SL_ESYS);
    sl_listener_socket_free(s);
    sl_listener_socket_free(NULL);
}

static void test_out_of_descriptors(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct sl_err err = SL_ERR_INIT;
    static struct door d;
    d.accepted = 0;
    struct sl_listener_socket *s = open_listener("127.0.0.1", 0, NULL, 1);
    sl_listener_socket_start(s, 0, loop, on_accept, &d, &err);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int second = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                               .sin_port = htons(sl_listener_socket_port(s))};
    struct rlimit old, tight;
    getrlimit(RLIMIT_NOFILE, &old);
    tight = old;
    tight.rlim_cur = (rlim_t)second + 1; /* every number below is taken */
    setrlimit(RLIMIT_NOFILE, &tight);
    int fill[64], filled = 0;
    while (filled < 64 && (fill[filled] = dup(0)) >= 0) {
        filled++;
    }
    assert_int_equal(connect(client, (struct sockaddr *)&addr, sizeof(addr)), 0);
    run_turns(loop, 3);
    assert_int_equal(d.accepted, 0);
    char byte;
    assert_true(recv(client, &byte, 1, 0) <= 0); /* told, not left hanging */
    assert_true(sl_loop_stats(loop)->errors > 0);
    setrlimit(RLIMIT_NOFILE, &old);
    for (int i = 0; i < filled; i++) {
        close(fill[i]);
    }
    assert_int_equal(connect(second, (struct sockaddr *)&addr, sizeof(addr)), 0);
    RUN_UNTIL(loop, d.accepted == 1);
    close(client);
    close(second);
    door_close(&d);
    sl_listener_socket_stop(s, 0, loop);
    sl_listener_socket_free(s);
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_BOTH_MODES(test_tcp),
        {"test_dual_stack", test_dual_stack, NULL, NULL, &MODE_SEND},
        {"test_every_loop_gets_clients", test_every_loop_gets_clients, NULL, NULL, &MODE_SEND},
        {"test_accept_budget", test_accept_budget, NULL, NULL, &MODE_SEND},
        {"test_unix_socket", test_unix_socket, NULL, NULL, &MODE_SEND},
        cmocka_unit_test(test_errors_name_the_address),
        {"test_out_of_descriptors", test_out_of_descriptors, NULL, NULL, &MODE_SEND},
    };
    return cmocka_run_group_tests(tests, leak_check_start, leak_check_end);
}
