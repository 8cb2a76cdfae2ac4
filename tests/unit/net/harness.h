/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of src/net share: loops in both flush modes, TCP pairs, a recording connection
 * owner, waiting for a condition with a deadline, the descriptor leak check.
 */
#ifndef TESTS_UNIT_NET_HARNESS_H
#define TESTS_UNIT_NET_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "net/conn.h"
#include "net/listener.h"
#include "net/loop.h"

/* An owner that records what happens; a test overrides what it needs. */
struct peer {
    struct sl_conn conn;
    struct peer *other; /* where a relay writes to, or whatever the test likes */
    size_t (*data_hook)(struct peer *p, const uint8_t *data, size_t len); /* NULL: consume all */
    void (*connected_hook)(struct peer *p);
    void (*secured_hook)(struct peer *p);
    void (*writable_hook)(struct peer *p);
    void (*end_hook)(struct peer *p);
    uint64_t received; /* bytes consumed */
    uint64_t expected; /* position in the pattern, for hooks that check it */
    unsigned data_calls, connected, secured, writable, ends, released;
    enum sl_conn_end end;
    size_t last_len;
    uint8_t last[256]; /* the beginning of what on_data was given last */
    long number;
};

static inline struct peer *peer_of(struct sl_conn *c)
{
    return SL_CONTAINER_OF(c, struct peer, conn);
}

static size_t peer_on_data(struct sl_conn *c, const uint8_t *data, size_t len)
{
    struct peer *p = peer_of(c);
    assert_int_equal(p->released, 0);
    p->data_calls++;
    p->last_len = len;
    memcpy(p->last, data, SL_MIN(len, sizeof(p->last)));
    size_t used = p->data_hook != NULL ? p->data_hook(p, data, len) : len;
    p->received += used;
    return used;
}

static void peer_on_connected(struct sl_conn *c)
{
    struct peer *p = peer_of(c);
    p->connected++;
    if (p->connected_hook != NULL) {
        p->connected_hook(p);
    }
}

static void peer_on_secured(struct sl_conn *c)
{
    struct peer *p = peer_of(c);
    p->secured++;
    if (p->secured_hook != NULL) {
        p->secured_hook(p);
    }
}

static void peer_on_writable(struct sl_conn *c)
{
    struct peer *p = peer_of(c);
    assert_int_equal(p->released, 0);
    p->writable++;
    if (p->writable_hook != NULL) {
        p->writable_hook(p);
    }
}

static void peer_on_end(struct sl_conn *c, enum sl_conn_end end)
{
    struct peer *p = peer_of(c);
    assert_int_equal(p->ends, 0);
    assert_int_equal(p->released, 0);
    p->ends++;
    p->end = end;
    if (p->end_hook != NULL) {
        p->end_hook(p);
    }
}

static void peer_on_released(struct sl_conn *c)
{
    assert_int_equal(peer_of(c)->released, 0);
    peer_of(c)->released++;
}

static const struct sl_conn_ops PEER_OPS = {
    .name = "peer",
    .on_connected = peer_on_connected,
    .on_secured = peer_on_secured,
    .on_data = peer_on_data,
    .on_writable = peer_on_writable,
    .on_end = peer_on_end,
    .on_released = peer_on_released,
};

static inline void peer_init(struct peer *p, struct sl_loop *loop)
{
    memset(p, 0, sizeof(*p));
    sl_conn_init(&p->conn, loop, &PEER_OPS);
}

/* cmocka's state of a test: the flush mode. */
static enum sl_flush_mode MODE_RING = SL_FLUSH_AUTO; /* the ring wherever the kernel has one */
static enum sl_flush_mode MODE_SEND = SL_FLUSH_SEND;

#define TEST_IN_BOTH_MODES(f)                                                                      \
    {#f " (ring)", f, NULL, NULL, &MODE_RING},                                                     \
    {                                                                                              \
#f " (send)", f, NULL, NULL, &MODE_SEND                                                    \
    }

static inline struct sl_loop *loop_with(struct sl_loop_config config)
{
    struct sl_loop *loop = NULL;
    struct sl_err err = SL_ERR_INIT;
    if (sl_loop_new(&config, &loop, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    return loop;
}

static inline struct sl_loop *loop_for(void **state)
{
    return loop_with(
        (struct sl_loop_config){.name = "test", .flush_mode = *(enum sl_flush_mode *)*state});
}

/* Nothing may be left behind when a test ends. */
static inline void loop_end(struct sl_loop *loop)
{
    assert_int_equal(sl_loop_stats(loop)->connections, 0);
    assert_int_equal(sl_loop_lent_buffers(loop), 0);
    sl_loop_free(loop);
}

/* Turns the loop until the condition holds; fails after a minute. */
#define RUN_UNTIL(loop, condition)                                                                 \
    do {                                                                                           \
        uint64_t deadline_us_ = sl_clock_mono_us() + 60 * 1000 * 1000;                             \
        while (!(condition)) {                                                                     \
            if (sl_clock_mono_us() > deadline_us_) {                                               \
                fail_msg("line %d: never happened: %s", __LINE__, #condition);                     \
            }                                                                                      \
            sl_loop_turn(loop, 10);                                                                \
        }                                                                                          \
    } while (0)

/* Enough turns for everything already under way on loopback. */
static inline void run_turns(struct sl_loop *loop, int n)
{
    for (int i = 0; i < n; i++) {
        sl_loop_turn(loop, 1);
    }
}

/* Two ends of a loopback TCP connection, non-blocking. */
static inline void tcp_pair(int fds[2])
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&addr, &len), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&addr, len), 0);
    fds[1] = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fds[1] >= 0);
    close(listening);
    for (int i = 0; i < 2; i++) {
        fcntl(fds[i], F_SETFL, O_NONBLOCK);
        sl_socket_set_tcp_options(fds[i]);
    }
}

/* Two connections of the loop that talk to each other. */
static inline void peer_pair(struct sl_loop *loop, struct peer *a, struct peer *b)
{
    int fds[2];
    tcp_pair(fds);
    peer_init(a, loop);
    peer_init(b, loop);
    assert_int_equal(sl_conn_accept(&a->conn, fds[0]), SL_OK);
    assert_int_equal(sl_conn_accept(&b->conn, fds[1]), SL_OK);
}

/* One connection of the loop; returns the other end, a plain socket of the test. */
static inline int peer_and_socket(struct sl_loop *loop, struct peer *p)
{
    int fds[2];
    tcp_pair(fds);
    peer_init(p, loop);
    assert_int_equal(sl_conn_accept(&p->conn, fds[0]), SL_OK);
    return fds[1];
}

static inline void peer_close(struct sl_loop *loop, struct peer *p)
{
    sl_conn_close(&p->conn, false);
    RUN_UNTIL(loop, p->released == 1);
}

/* A stream of bytes that can be checked at any position. */
static inline uint8_t pattern_at(uint64_t position)
{
    return (uint8_t)(position * 31 + (position >> 8) * 7 + (position >> 20));
}

static inline void pattern_fill(uint8_t *out, size_t len, uint64_t position)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = pattern_at(position + i);
    }
}

/* Fails at the first byte that differs. */
static inline void pattern_check(const uint8_t *data, size_t len, uint64_t position)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] != pattern_at(position + i)) {
            fail_msg("byte %llu of the stream is wrong", (unsigned long long)(position + i));
        }
    }
}

static int open_descriptors_before;

static inline int count_descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count;
}

static inline int leak_check_start(void **state)
{
    open_descriptors_before = count_descriptors();
    return 0;
}

static inline int leak_check_end(void **state)
{
    assert_int_equal(count_descriptors(), open_descriptors_before);
    return 0;
}

#endif
