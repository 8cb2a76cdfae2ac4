/* SPDX-License-Identifier: Apache-2.0 */
/* Connections over real sockets, each test with the ring and with send(2). */
#include "harness.h"

#include <arpa/inet.h>
#include <sys/un.h>

static size_t echo(struct peer *p, const uint8_t *data, size_t len)
{
    sl_conn_write(&p->conn, data, len);
    return len;
}

static size_t check_pattern(struct peer *p, const uint8_t *data, size_t len)
{
    pattern_check(data, len, p->expected);
    p->expected += len;
    return len;
}

static void close_now(struct peer *p)
{
    sl_conn_close(&p->conn, false);
}

static void write_pattern(struct peer *p, size_t total, size_t piece)
{
    uint8_t *bytes = malloc(piece);
    for (size_t done = 0; done < total; done += piece) {
        size_t n = SL_MIN(piece, total - done);
        pattern_fill(bytes, n, done);
        assert_int_equal(sl_conn_write(&p->conn, bytes, n), SL_OK);
    }
    free(bytes);
}

static void test_echo(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a, b;
    peer_pair(loop, &a, &b);
    b.data_hook = echo;
    a.data_hook = check_pattern;
    write_pattern(&a, 10, 10);
    RUN_UNTIL(loop, a.received == 10);
    a.expected = 0;
    a.received = 0;
    write_pattern(&a, 3 * 1000 * 1000, 777);
    RUN_UNTIL(loop, a.received == 3 * 1000 * 1000);
    peer_close(loop, &a);
    RUN_UNTIL(loop, b.ends == 1);
    assert_int_equal(b.end, SL_CONN_END_EOF);
    peer_close(loop, &b);
    loop_end(loop);
}

enum {
    MANY = 64
};

static void test_many_in_one_turn(void **state)
{
    struct sl_loop *loop = loop_for(state);
    static struct peer a[MANY], b[MANY];
    for (int i = 0; i < MANY; i++) {
        peer_pair(loop, &a[i], &b[i]);
        a[i].data_hook = b[i].data_hook = echo;
    }
    run_turns(loop, 2);
    uint64_t submits = sl_loop_stats(loop)->ring_submits;
    uint64_t writes = sl_loop_stats(loop)->writes;
    for (int i = 0; i < MANY; i++) {
        sl_conn_write(&a[i].conn, "ping", 4);
    }
    sl_loop_turn(loop, 0);
    assert_int_equal(sl_loop_stats(loop)->writes - writes, MANY);
    assert_int_equal(sl_loop_stats(loop)->ring_submits - submits, sl_loop_has_ring(loop) ? 1 : 0);
    for (int i = 0; i < MANY; i++) {
        RUN_UNTIL(loop, a[i].received >= 800);
    }
    /* No receive in vain: one per message, give or take those that met in one. */
    assert_true(sl_loop_stats(loop)->reads <= sl_loop_stats(loop)->writes + 2 * MANY);
    for (int i = 0; i < MANY; i++) {
        sl_conn_close(&a[i].conn, false);
        sl_conn_close(&b[i].conn, false);
    }
    RUN_UNTIL(loop, sl_loop_stats(loop)->connections == 0);
    loop_end(loop);
}

static void test_more_dirty_than_the_ring_holds(void **state)
{
    struct sl_loop *loop = loop_for(state);
    enum {
        COUNT = 1100
    };
    struct peer *a = calloc(COUNT, sizeof(*a));
    struct peer *b = calloc(COUNT, sizeof(*b));
    for (int i = 0; i < COUNT; i++) {
        peer_pair(loop, &a[i], &b[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        sl_conn_write(&a[i].conn, "x", 1);
    }
    sl_loop_turn(loop, 0);
    assert_int_equal(sl_loop_stats(loop)->writes, COUNT);
    for (int i = 0; i < COUNT; i++) {
        RUN_UNTIL(loop, b[i].received == 1);
        sl_conn_close(&a[i].conn, false);
        sl_conn_close(&b[i].conn, false);
    }
    RUN_UNTIL(loop, sl_loop_stats(loop)->connections == 0);
    loop_end(loop);
    free(a);
    free(b);
}

static void test_idle_owns_no_buffer(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a, b;
    peer_pair(loop, &a, &b);
    b.data_hook = echo;
    sl_conn_write(&a.conn, "ping", 4);
    assert_int_equal(sl_loop_lent_buffers(loop), 1);
    RUN_UNTIL(loop, a.received == 4);
    run_turns(loop, 1);
    assert_int_equal(sl_loop_lent_buffers(loop), 0);
    assert_true(sizeof(struct sl_conn) <= 160);

    /* In the steady state nothing is allocated. */
    uint64_t allocations = sl_mem_thread_allocations();
    for (int i = 0; i < 1000; i++) {
        sl_conn_write(&a.conn, "ping", 4);
        RUN_UNTIL(loop, a.received == 4u * (unsigned)(i + 2));
    }
    assert_int_equal(sl_mem_thread_allocations(), allocations);
    peer_close(loop, &a);
    peer_close(loop, &b);
    loop_end(loop);
}

/* --- large results ---------------------------------------------------------------------------- */

static size_t relay_pending_max;

static size_t relay(struct peer *p, const uint8_t *data, size_t len)
{
    sl_conn_write(&p->other->conn, data, len);
    relay_pending_max = SL_MAX(relay_pending_max, sl_conn_pending(&p->other->conn));
    if (sl_conn_is_full(&p->other->conn)) {
        sl_conn_pause(&p->conn);
    }
    return len;
}

static void resume_other(struct peer *p)
{
    sl_conn_resume(&p->other->conn);
}

static void test_slow_reader_of_a_large_result(void **state)
{
    struct sl_loop *loop = loop_for(state);
    const uint64_t total = 100 * 1000 * 1000;
    struct peer server_side, client_side;
    int server = peer_and_socket(loop, &server_side);
    int client = peer_and_socket(loop, &client_side);
    server_side.other = &client_side;
    client_side.other = &server_side;
    server_side.data_hook = relay;
    client_side.writable_hook = resume_other;
    relay_pending_max = 0;

    static uint8_t out[256 * 1024], in[64 * 1024];
    uint64_t sent = 0, got = 0;
    uint64_t deadline_us = sl_clock_mono_us() + 60 * 1000 * 1000;
    for (unsigned turn = 0; got < total && sl_clock_mono_us() < deadline_us; turn++) {
        size_t piece = SL_MIN(sizeof(out), total - sent);
        pattern_fill(out, SL_MIN(piece, (size_t)4096), sent);
        /* The pattern is checked on every 16th piece only: it is slower than the relay. */
        bool is_checked = sent % (16 * sizeof(out)) == 0;
        ssize_t n = piece > 0 ? send(server, out, is_checked ? SL_MIN(piece, (size_t)4096) : piece,
                                     MSG_DONTWAIT | MSG_NOSIGNAL)
                              : 0;
        sent += n > 0 ? (uint64_t)n : 0;
        sl_loop_turn(loop, 0);
        n = recv(client, in, turn % 3 == 0 ? sizeof(in) : 20000, MSG_DONTWAIT);
        got += n > 0 ? (uint64_t)n : 0;
    }
    assert_true(got == total);
    assert_true(relay_pending_max <= (64 + 128) * 1024);
    assert_true(client_side.writable > 0);
    assert_true(sl_loop_stats(loop)->short_sends > 0);
    run_turns(loop, 2);
    assert_int_equal(sl_loop_lent_buffers(loop), 0);
    close(server);
    close(client);
    peer_close(loop, &server_side);
    peer_close(loop, &client_side);
    loop_end(loop);
}

static void test_short_sends_keep_the_order(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a, second;
    int fd = peer_and_socket(loop, &a);
    int second_fd = peer_and_socket(loop, &second);
    int small = 4096;
    setsockopt(a.conn.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    uint64_t written = 0, got = 0;
    struct sl_rng rng;
    sl_rng_seed(&rng, 4711);
    static uint8_t bytes[70 * 1024];
    while (got < 3 * 1000 * 1000) {
        if (written < 3 * 1000 * 1000 && sl_conn_pending(&a.conn) < 300 * 1024) {
            size_t n = sl_rng_next(&rng) % (written % 5 == 0 ? sizeof(bytes) : 3000) + 1;
            pattern_fill(bytes, n, written);
            assert_int_equal(sl_conn_write(&a.conn, bytes, n), SL_OK);
            written += n;
        }
        sl_conn_write(&second.conn, "y", 1); /* a second dirty one, so that the ring is used */
        sl_loop_turn(loop, 0);
        ssize_t n = recv(fd, bytes, sl_rng_next(&rng) % 9000 + 1, MSG_DONTWAIT);
        if (n > 0) {
            pattern_check(bytes, (size_t)n, got);
            got += (uint64_t)n;
        }
        n = recv(second_fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        (void)n;
    }
    assert_true(sl_loop_stats(loop)->short_sends > 10);
    while (got < written) {
        sl_loop_turn(loop, 0);
        ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        got += n > 0 ? (uint64_t)n : 0;
    }
    run_turns(loop, 2);
    assert_int_equal(sl_conn_pending(&a.conn), 0);
    assert_int_equal(sl_loop_lent_buffers(loop), 0);
    assert_false(sl_conn_is_full(&a.conn));
    assert_int_equal(a.writable > 0, 1);
    close(fd);
    close(second_fd);
    peer_close(loop, &a);
    peer_close(loop, &second);
    loop_end(loop);
}

static void test_read_budget_lets_others_in(void **state)
{
    struct sl_loop *loop = loop_with((struct sl_loop_config){
        .flush_mode = *(enum sl_flush_mode *)*state, .read_budget = 32 * 1024});
    struct peer flooded, other;
    int flood = peer_and_socket(loop, &flooded);
    int single = peer_and_socket(loop, &other);
    static uint8_t bytes[1024 * 1024];
    pattern_fill(bytes, sizeof(bytes), 0);
    flooded.data_hook = check_pattern;
    run_turns(loop, 2);
    ssize_t sent = send(flood, bytes, sizeof(bytes), MSG_DONTWAIT);
    assert_true(sent > 128 * 1024);
    assert_int_equal(send(single, "x", 1, 0), 1);
    usleep(2000);
    sl_loop_turn(loop, 10);
    assert_true(flooded.received <= 64 * 1024); /* the budget is checked between two receives */
    assert_int_equal(other.received, 1);
    RUN_UNTIL(loop, flooded.received == (uint64_t)sent); /* no further event was needed */
    close(flood);
    close(single);
    peer_close(loop, &flooded);
    peer_close(loop, &other);
    loop_end(loop);
}

/* --- input ------------------------------------------------------------------------------------ */

static size_t take_words(struct peer *p, const uint8_t *data, size_t len)
{
    size_t used = 0;
    while (len - used >= 8) { /* words of eight bytes */
        assert_memory_equal(data + used, "12345678", 8);
        used += 8;
        p->number++;
    }
    return used;
}

static void test_leftover_comes_again(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a;
    int fd = peer_and_socket(loop, &a);
    a.data_hook = take_words;
    for (int i = 0; i < 80; i++) {
        assert_int_equal(send(fd, &"12345678"[i % 8], 1, 0), 1);
        RUN_UNTIL(loop, a.data_calls == (unsigned)i + 1);
    }
    assert_int_equal(a.number, 10);
    assert_int_equal(sl_loop_lent_buffers(loop), 0);
    send(fd, "1234", 4, 0);
    RUN_UNTIL(loop, a.data_calls == 81);
    assert_int_equal(sl_loop_lent_buffers(loop), 1);
    run_turns(loop, 3);
    assert_int_equal(a.data_calls, 81); /* not again with the same bytes alone */
    close(fd);
    RUN_UNTIL(loop, a.ends == 1);
    peer_close(loop, &a);
    loop_end(loop);
}

static size_t want_all(struct peer *p, const uint8_t *data, size_t len)
{
    if (len < (size_t)p->number) {
        sl_conn_want(&p->conn, (uint32_t)p->number);
        return 0;
    }
    pattern_check(data, (size_t)p->number, 0);
    return (size_t)p->number;
}

static void test_collecting_a_large_packet_is_linear(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a;
    int fd = peer_and_socket(loop, &a);
    const size_t total = 16 * 1024 * 1024;
    a.number = (long)total;
    a.data_hook = want_all;
    uint8_t *bytes = malloc(total);
    pattern_fill(bytes, total, 0);
    uint64_t allocations = sl_mem_thread_allocations();
    size_t sent = 0;
    while (a.received < total) {
        ssize_t n = send(fd, bytes + sent, SL_MIN(total - sent, (size_t)100000), MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        sl_loop_turn(loop, 0);
    }
    assert_int_equal(a.data_calls, 2);
    assert_true(sl_mem_thread_allocations() - allocations < 24);
    assert_int_equal(sl_loop_lent_buffers(loop), 0);
    /* An EOF ends the waiting: what is there is shown before on_end. */
    send(fd, bytes, 5, 0);
    RUN_UNTIL(loop, a.data_calls == 3);
    send(fd, bytes + 5, 5, 0);
    shutdown(fd, SHUT_WR);
    RUN_UNTIL(loop, a.ends == 1);
    assert_int_equal(a.data_calls, 4);
    assert_int_equal(a.last_len, 10);
    free(bytes);
    close(fd);
    peer_close(loop, &a);
    loop_end(loop);
}

static size_t take_one_and_pause(struct peer *p, const uint8_t *data, size_t len)
{
    assert_false(sl_conn_is_paused(&p->conn));
    p->number = data[0];
    sl_conn_pause(&p->conn);
    return 1;
}

static void test_pause_and_resume(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a;
    int fd = peer_and_socket(loop, &a);
    a.data_hook = take_one_and_pause;
    send(fd, "abc", 3, 0);
    RUN_UNTIL(loop, a.number == 'a');
    send(fd, "d", 1, 0);
    run_turns(loop, 3);
    assert_int_equal(a.data_calls, 1);
    for (int i = 1; i < 4; i++) {
        sl_conn_resume(&a.conn);
        assert_int_equal(a.data_calls, i); /* never from inside the call */
        RUN_UNTIL(loop, a.number == 'a' + i);
    }
    sl_conn_resume(&a.conn);
    run_turns(loop, 3);
    assert_int_equal(a.data_calls, 4);
    assert_int_equal(a.received, 4);
    close(fd);
    RUN_UNTIL(loop, a.ends == 1);
    peer_close(loop, &a);
    loop_end(loop);
}

static void test_eof_while_paused_is_seen_at_once(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a;
    int fd = peer_and_socket(loop, &a);
    a.data_hook = take_one_and_pause;
    send(fd, "abc", 3, 0);
    RUN_UNTIL(loop, a.number == 'a');
    close(fd);
    RUN_UNTIL(loop, a.ends == 1);
    assert_int_equal(a.end, SL_CONN_END_EOF);
    assert_int_equal(a.data_calls, 1);
    sl_conn_resume(&a.conn); /* the rest may still be had */
    RUN_UNTIL(loop, a.number == 'b');
    peer_close(loop, &a);

    /* The same when statement and FIN arrive together: paused from inside on_data. */
    fd = peer_and_socket(loop, &a);
    a.data_hook = take_one_and_pause;
    send(fd, "abc", 3, 0);
    close(fd);
    usleep(2000);
    RUN_UNTIL(loop, a.ends == 1);
    assert_int_equal(a.data_calls, 1);
    peer_close(loop, &a);

    /* And when the FIN came first and the owner pauses later. */
    fd = peer_and_socket(loop, &a);
    sl_conn_pause(&a.conn);
    shutdown(fd, SHUT_WR);
    RUN_UNTIL(loop, a.ends == 1);
    close(fd);
    peer_close(loop, &a);
    loop_end(loop);
}

/* --- ends ------------------------------------------------------------------------------------- */

static void test_half_close(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a, b;
    peer_pair(loop, &a, &b);
    write_pattern(&a, 500000, 1000);
    sl_conn_shutdown_write(&a.conn);
    sl_conn_write(&a.conn, "dropped", 7);
    b.data_hook = check_pattern;
    RUN_UNTIL(loop, b.ends == 1);
    assert_int_equal(b.end, SL_CONN_END_EOF);
    assert_int_equal(b.received, 500000);
    /* The other direction still works. */
    write_pattern(&b, 200000, 999);
    a.data_hook = check_pattern;
    RUN_UNTIL(loop, a.received == 200000);
    assert_int_equal(a.ends, 0);
    sl_conn_close(&b.conn, true);
    RUN_UNTIL(loop, a.ends == 1);
    peer_close(loop, &a);
    RUN_UNTIL(loop, b.released == 1);
    loop_end(loop);
}

static void reset_socket(int fd)
{
    struct linger off = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
    close(fd);
}

static void test_reset(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a;
    int fd = peer_and_socket(loop, &a);
    run_turns(loop, 1);
    reset_socket(fd);
    RUN_UNTIL(loop, a.ends == 1);
    assert_int_equal(a.end, SL_CONN_END_ERROR);
    assert_int_equal(sl_conn_errno(&a.conn), ECONNRESET);
    assert_string_equal(sl_conn_error_text(&a.conn), "Connection reset by peer");
    assert_int_equal(sl_conn_write(&a.conn, "x", 1), SL_OK);
    assert_int_equal(sl_conn_pending(&a.conn), 0);
    peer_close(loop, &a);

    /* While paused, and with output under way. */
    fd = peer_and_socket(loop, &a);
    sl_conn_pause(&a.conn);
    write_pattern(&a, 10 * 1000 * 1000, 100000);
    run_turns(loop, 2);
    assert_true(sl_conn_is_full(&a.conn));
    reset_socket(fd);
    RUN_UNTIL(loop, a.ends == 1);
    assert_int_equal(a.end, SL_CONN_END_ERROR);
    assert_int_equal(sl_conn_pending(&a.conn), 0);
    peer_close(loop, &a);
    loop_end(loop);
}

/* A source that lets no more than one piece wait: told when even the last byte has gone. */
static void test_hold_full(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a;
    int fd = peer_and_socket(loop, &a);
    run_turns(loop, 1);
    assert_false(sl_conn_hold_full(&a.conn)); /* nothing is unsent */
    sl_conn_write(&a.conn, "x", 1);
    assert_false(sl_conn_is_full(&a.conn));
    assert_true(sl_conn_hold_full(&a.conn));
    RUN_UNTIL(loop, a.writable == 1);
    assert_int_equal(sl_conn_pending(&a.conn), 0);
    assert_false(sl_conn_is_full(&a.conn));
    run_turns(loop, 2);
    assert_int_equal(a.writable, 1);
    peer_close(loop, &a);
    assert_false(sl_conn_hold_full(&a.conn));
    close(fd);
    loop_end(loop);
}

static void test_last_words_before_a_write_error(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a;
    int fd = peer_and_socket(loop, &a);
    run_turns(loop, 1);
    /* The server says why and closes, with our bytes unread: our next send meets a reset. */
    send(fd, "too many connections", 20, 0);
    close(fd);
    usleep(2000);
    sl_conn_write(&a.conn, "login", 5);
    RUN_UNTIL(loop, a.ends == 1);
    assert_int_equal(a.received, 20);
    peer_close(loop, &a);
    loop_end(loop);
}

static void connect_to(struct peer *p, uint16_t port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    assert_int_equal(sl_conn_connect(&p->conn, (struct sockaddr *)&addr, sizeof(addr), NULL, 0),
                     SL_OK);
    assert_int_equal(p->connected + p->ends, 0);
}

/* A listening socket of the test; backlog 0 makes it hang from the second client on. */
static int listen_on(uint16_t *ret_port, int backlog)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(fd, backlog), 0);
    getsockname(fd, (struct sockaddr *)&addr, &len);
    *ret_port = ntohs(addr.sin_port);
    return fd;
}

static void test_connect(void **state)
{
    struct sl_loop *loop = loop_for(state);
    uint16_t port;
    int listening = listen_on(&port, 8);
    struct peer a;
    peer_init(&a, loop);
    connect_to(&a, port);
    sl_conn_write(&a.conn, "early", 5); /* leaves when the connection is there */
    RUN_UNTIL(loop, a.connected == 1);
    char text[64], bytes[8];
    sl_conn_peer_text(&a.conn, text, sizeof(text));
    assert_true(strncmp(text, "127.0.0.1:", 10) == 0);
    int fd = accept(listening, NULL, NULL);
    run_turns(loop, 1);
    assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 5);
    close(fd);
    RUN_UNTIL(loop, a.ends == 1);
    peer_close(loop, &a);
    close(listening);

    /* Now nobody listens there. */
    peer_init(&a, loop);
    connect_to(&a, port);
    RUN_UNTIL(loop, a.ends == 1);
    assert_int_equal(a.end, SL_CONN_END_ERROR);
    assert_int_equal(sl_conn_errno(&a.conn), ECONNREFUSED);
    assert_int_equal(a.connected, 0);
    peer_close(loop, &a);
    loop_end(loop);
}

static void test_close_while_connecting(void **state)
{
    struct sl_loop *loop = loop_for(state);
    uint16_t port;
    int listening = listen_on(&port, 0);
    struct peer a[4];
    for (int i = 0; i < 4; i++) {
        peer_init(&a[i], loop);
        connect_to(&a[i], port);
        sl_conn_write(&a[i].conn, "never", 5);
    }
    run_turns(loop, 5);
    assert_int_equal(a[3].connected, 0); /* its SYN is not answered */
    for (int i = 0; i < 4; i++) {
        sl_conn_close(&a[i].conn, true);
    }
    RUN_UNTIL(loop, sl_loop_stats(loop)->connections == 0);
    assert_int_equal(a[3].released, 1);
    assert_int_equal(a[3].ends, 0);
    close(listening);
    loop_end(loop);
}

static void test_connect_to_missing_unix_socket(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
    struct peer a;
    peer_init(&a, loop);
    assert_int_equal(sl_conn_connect(&a.conn, (struct sockaddr *)&addr, sizeof(addr), NULL, 0),
                     SL_ESYS);
    assert_int_equal(sl_conn_errno(&a.conn), ENOENT);
    loop_end(loop);
}

static void test_close_with_flush_sends_all(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a, b;
    peer_pair(loop, &a, &b);
    b.data_hook = check_pattern;
    write_pattern(&a, 5 * 1000 * 1000, 12345);
    assert_true(sl_conn_pending(&a.conn) > 0);
    sl_conn_write(&b.conn, "unread by a", 11);
    sl_conn_close(&a.conn, true);
    sl_conn_close(&a.conn, true);
    sl_conn_write(&a.conn, "dropped", 7);
    RUN_UNTIL(loop, b.ends == 1);
    assert_int_equal(b.end, SL_CONN_END_EOF);
    assert_int_equal(b.received, 5 * 1000 * 1000);
    assert_int_equal(a.released, 1);
    assert_int_equal(a.ends + a.data_calls + a.writable, 0); /* nothing but on_released */
    peer_close(loop, &b);
    loop_end(loop);
}

static void test_close_drops_what_nobody_reads(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a, b;
    int fd = peer_and_socket(loop, &a);
    int second_fd = peer_and_socket(loop, &b);
    write_pattern(&a, 20 * 1000 * 1000, 100000);
    write_pattern(&b, 20 * 1000 * 1000, 100000);
    uint64_t start_ms = sl_clock_mono_ms();
    sl_conn_close(&a.conn, true);
    sl_conn_close(&b.conn, true);
    run_turns(loop, 5);
    assert_int_equal(a.released, 0);
    sl_conn_close(&b.conn, false); /* changed its mind */
    run_turns(loop, 1);
    assert_int_equal(b.released, 1);
    RUN_UNTIL(loop, a.released == 1);
    assert_true(sl_clock_mono_ms() - start_ms > 4000);
    close(fd);
    close(second_fd);
    loop_end(loop);
}

/* --- closing inside callbacks ----------------------------------------------------------------- */

static size_t close_both_in_data(struct peer *p, const uint8_t *data, size_t len)
{
    sl_conn_close(&p->other->conn, false);
    sl_conn_close(&p->conn, false);
    return p->number % 2 == 0 ? len : 0;
}

static void close_both(struct peer *p)
{
    sl_conn_close(&p->conn, false);
    sl_conn_close(&p->other->conn, false);
}

static void test_close_in_data(void **state)
{
    struct sl_loop *loop = loop_for(state);
    for (int i = 0; i < 4; i++) {
        struct peer a, b, c;
        int fd = peer_and_socket(loop, &a);
        peer_pair(loop, &b, &c);
        a.number = i;
        a.other = &b;
        a.data_hook = close_both_in_data;
        b.end_hook = c.end_hook = close_now;
        /* b has an event in the same turn, before or after a. */
        sl_conn_write(&c.conn, "x", 1);
        run_turns(loop, 1);
        send(fd, "x", 1, 0);
        RUN_UNTIL(loop, a.released && b.released && c.released);
        assert_int_equal(a.data_calls, 1);
        close(fd);
    }
    loop_end(loop);
}

static void test_close_in_end_and_connected(void **state)
{
    struct sl_loop *loop = loop_for(state);
    uint16_t port;
    int listening = listen_on(&port, 8);
    struct peer a, b;
    peer_init(&a, loop);
    a.connected_hook = close_now;
    connect_to(&a, port);
    RUN_UNTIL(loop, a.released == 1);
    assert_int_equal(a.ends, 0);
    close(listening);
    peer_init(&a, loop);
    a.end_hook = close_now;
    connect_to(&a, port);
    RUN_UNTIL(loop, a.released == 1);
    peer_pair(loop, &a, &b);
    a.other = &b;
    a.end_hook = close_both;
    sl_conn_shutdown_write(&b.conn);
    RUN_UNTIL(loop, a.released == 1 && b.released == 1);
    loop_end(loop);
}

static void test_close_in_writable(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a, b, c, d;
    peer_pair(loop, &a, &b);
    peer_pair(loop, &c, &d);
    a.other = &c;
    c.other = &a;
    a.writable_hook = c.writable_hook = close_both; /* both are dirty in the same flush */
    int small = 65536; /* the kernel takes only a part of what follows, whatever its limits are */
    setsockopt(a.conn.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    setsockopt(c.conn.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    b.end_hook = d.end_hook = close_now;
    /* A kernel that knows loopback as fast takes 4 MB at once: then nothing would ever be full. */
    static const int room = 64 * 1024;
    setsockopt(a.conn.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    setsockopt(c.conn.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    write_pattern(&a, 4 * 1000 * 1000, 50000);
    write_pattern(&c, 4 * 1000 * 1000, 50000);
    RUN_UNTIL(loop, a.released && b.released && c.released && d.released);
    assert_int_equal(a.writable + c.writable, 1);
    loop_end(loop);
}

static void free_peer(struct sl_conn *c)
{
    (*(int *)(void *)peer_of(c)->other)++;
    free(peer_of(c));
}

static void test_owner_frees_itself_when_released(void **state)
{
    struct sl_loop *loop = loop_for(state);
    static struct sl_conn_ops ops;
    ops = PEER_OPS;
    ops.on_released = free_peer;
    int freed = 0;
    for (int i = 0; i < 50; i++) {
        int fds[2];
        tcp_pair(fds);
        for (int k = 0; k < 2; k++) {
            struct peer *p = calloc(1, sizeof(*p));
            sl_conn_init(&p->conn, loop, &ops);
            p->other = (void *)&freed;
            p->end_hook = close_now;
            p->data_hook = echo;
            assert_int_equal(sl_conn_accept(&p->conn, fds[k]), SL_OK);
            sl_conn_write(&p->conn, "x", 1);
            if (k == 1) {
                sl_conn_close(&p->conn, i % 2 == 0);
            }
        }
    }
    RUN_UNTIL(loop, freed == 100);
    loop_end(loop);
}

/* --- memory ----------------------------------------------------------------------------------- */

static void test_out_of_memory_ends_one_connection(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a, b;
    peer_pair(loop, &a, &b);
    run_turns(loop, 1);
    sl_mem_fail_after(1);
    assert_int_equal(sl_conn_write(&a.conn, "x", 1), SL_ENOMEM);
    sl_mem_fail_after(0);
    assert_int_equal(a.ends, 0);
    RUN_UNTIL(loop, a.ends == 1);
    assert_int_equal(a.end, SL_CONN_END_LIMIT);
    assert_false(sl_conn_is_open(&a.conn));
    peer_close(loop, &a);
    RUN_UNTIL(loop, b.ends == 1);
    peer_close(loop, &b);

    /* For kept input. */
    int fd = peer_and_socket(loop, &a);
    a.data_hook = take_words;
    run_turns(loop, 1);
    send(fd, "123", 3, 0);
    usleep(2000);
    sl_mem_fail_after(1);
    sl_loop_turn(loop, 100);
    sl_mem_fail_after(0);
    if (a.ends == 0) { /* the pool had one left from above */
        static uint8_t bytes[40000];
        memset(bytes, '1', sizeof(bytes));
        a.data_hook = want_all;
        a.number = sizeof(bytes);
        sl_mem_fail_after(1);
        send(fd, bytes, sizeof(bytes), 0);
        RUN_UNTIL(loop, a.ends == 1);
        sl_mem_fail_after(0);
    }
    assert_int_equal(a.end, SL_CONN_END_LIMIT);
    close(fd);
    peer_close(loop, &a);
    loop_end(loop);
}

static void test_reserve_and_commit(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a, b;
    peer_init(&a, loop);
    assert_null(sl_conn_reserve(&a.conn, 10)); /* never opened */
    peer_pair(loop, &a, &b);
    b.data_hook = check_pattern;
    uint64_t written = 0;
    for (int i = 0; i < 200; i++) {
        uint8_t *room = sl_conn_reserve(&a.conn, 1000);
        assert_non_null(room);
        pattern_fill(room, (size_t)i, written);
        sl_conn_commit(&a.conn, (size_t)i);
        written += (uint64_t)i;
    }
    RUN_UNTIL(loop, b.received == written);
    sl_conn_shutdown_write(&a.conn);
    assert_non_null(sl_conn_reserve(&a.conn, 10));
    sl_conn_commit(&a.conn, 10); /* dropped */
    RUN_UNTIL(loop, b.ends == 1);
    assert_int_equal(b.received, written);
    peer_close(loop, &a);
    peer_close(loop, &b);
    loop_end(loop);
}

/* --- everything at once ----------------------------------------------------------------------- */

enum {
    STRESS_PAIRS = 20,
    STRESS_BYTES = 400 * 1000
};
static struct sl_rng stress_rng;

static size_t take_some(struct peer *p, const uint8_t *data, size_t len)
{
    uint64_t r = sl_rng_next(&stress_rng);
    bool is_last = p->expected + len == STRESS_BYTES; /* nothing would bring these bytes again */
    size_t used = r % 4 == 0 && !is_last ? r / 7 % (len + 1) : len;
    pattern_check(data, used, p->expected);
    p->expected += used;
    if (r % 5 == 1) {
        sl_conn_pause(&p->conn);
    } else if (used < len) {
        /* One more than is left: only what must come anyway may be wanted. */
        sl_conn_want(&p->conn,
                     (uint32_t)SL_MIN(len - used + 1 + r % 100, STRESS_BYTES - p->expected));
    }
    return used;
}

static void test_random_pieces_pauses_and_wants(void **state)
{
    struct sl_loop *loop = loop_for(state);
    static struct peer a[STRESS_PAIRS], b[STRESS_PAIRS];
    static uint8_t bytes[30000];
    sl_rng_seed(&stress_rng, 99);
    for (int i = 0; i < STRESS_PAIRS; i++) {
        peer_pair(loop, &a[i], &b[i]);
        a[i].data_hook = b[i].data_hook = take_some;
    }
    unsigned finished = 0;
    uint64_t deadline_us = sl_clock_mono_us() + 60 * 1000 * 1000;
    while (finished < 2 * STRESS_PAIRS) {
        assert_true(sl_clock_mono_us() < deadline_us);
        finished = 0;
        for (int i = 0; i < 2 * STRESS_PAIRS; i++) {
            struct peer *p = i % 2 ? &a[i / 2] : &b[i / 2];
            size_t room = STRESS_BYTES - (size_t)p->number;
            size_t n = sl_rng_next(&stress_rng) % sizeof(bytes);
            n = SL_MIN(n, room);
            if (n > 0 && !sl_conn_is_full(&p->conn)) {
                pattern_fill(bytes, n, (uint64_t)p->number);
                sl_conn_write(&p->conn, bytes, n);
                p->number += (long)n;
            }
            if (sl_rng_next(&stress_rng) % 2 == 0) {
                sl_conn_resume(&p->conn);
            }
            finished += p->expected == STRESS_BYTES;
        }
        sl_loop_turn(loop, 0);
    }
    for (int i = 0; i < STRESS_PAIRS; i++) {
        sl_conn_close(&a[i].conn, true);
        sl_conn_close(&b[i].conn, true);
    }
    RUN_UNTIL(loop, sl_loop_stats(loop)->connections == 0);
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_BOTH_MODES(test_echo),
        TEST_IN_BOTH_MODES(test_many_in_one_turn),
        TEST_IN_BOTH_MODES(test_more_dirty_than_the_ring_holds),
        TEST_IN_BOTH_MODES(test_idle_owns_no_buffer),
        TEST_IN_BOTH_MODES(test_slow_reader_of_a_large_result),
        TEST_IN_BOTH_MODES(test_short_sends_keep_the_order),
        TEST_IN_BOTH_MODES(test_read_budget_lets_others_in),
        TEST_IN_BOTH_MODES(test_leftover_comes_again),
        TEST_IN_BOTH_MODES(test_collecting_a_large_packet_is_linear),
        TEST_IN_BOTH_MODES(test_pause_and_resume),
        TEST_IN_BOTH_MODES(test_eof_while_paused_is_seen_at_once),
        TEST_IN_BOTH_MODES(test_half_close),
        TEST_IN_BOTH_MODES(test_reset),
        TEST_IN_BOTH_MODES(test_hold_full),
        TEST_IN_BOTH_MODES(test_last_words_before_a_write_error),
        TEST_IN_BOTH_MODES(test_connect),
        TEST_IN_BOTH_MODES(test_close_while_connecting),
        TEST_IN_BOTH_MODES(test_connect_to_missing_unix_socket),
        TEST_IN_BOTH_MODES(test_close_with_flush_sends_all),
        TEST_IN_BOTH_MODES(test_close_in_data),
        TEST_IN_BOTH_MODES(test_close_in_end_and_connected),
        TEST_IN_BOTH_MODES(test_close_in_writable),
        TEST_IN_BOTH_MODES(test_owner_frees_itself_when_released),
        TEST_IN_BOTH_MODES(test_out_of_memory_ends_one_connection),
        TEST_IN_BOTH_MODES(test_reserve_and_commit),
        TEST_IN_BOTH_MODES(test_random_pieces_pauses_and_wants),
        {"test_close_drops_what_nobody_reads", test_close_drops_what_nobody_reads, NULL, NULL,
         &MODE_RING},
    };
    return cmocka_run_group_tests(tests, leak_check_start, leak_check_end);
}
