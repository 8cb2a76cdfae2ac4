/* SPDX-License-Identifier: Apache-2.0 */
/* TLS over connections, both sides ours, or one of them a socket of the test that misbehaves. */
#include "certs.h"
#include "harness.h"

#include "net/tls.h"

static struct sl_tls_context *context(struct sl_tls_config config)
{
    struct sl_tls_context *ctx = NULL;
    struct sl_err err = SL_ERR_INIT;
    if (sl_tls_context_new(&config, &ctx, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    return ctx;
}

static struct sl_tls_config server_config(void)
{
    return (struct sl_tls_config){
        .is_server = true, .cert = cert_path("server.crt"), .key = cert_path("server.key")};
}

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

static void end_pair(struct sl_loop *loop, struct peer *a, struct peer *b)
{
    sl_conn_close(&a->conn, false);
    sl_conn_close(&b->conn, false);
    RUN_UNTIL(loop, a->released && b->released);
}

/* A handshake with the given settings; tells how both ended. */
static void shake(struct sl_loop *loop, struct peer *client, struct peer *server,
                  struct sl_tls_config client_side, struct sl_tls_config server_side,
                  const char *host)
{
    struct sl_tls_context *cctx = context(client_side), *sctx = context(server_side);
    peer_pair(loop, client, server);
    assert_int_equal(sl_conn_tls_accept(&server->conn, sctx), SL_OK);
    assert_int_equal(sl_conn_tls_connect(&client->conn, cctx, host), SL_OK);
    sl_tls_context_unref(cctx);
    sl_tls_context_unref(sctx);
    sl_conn_write(&client->conn, "early", 5); /* waits for the handshake */
    RUN_UNTIL(loop, (client->secured || client->ends) && (server->secured || server->ends));
}

static void test_echo_in_each_version(void **state)
{
    static const struct {
        unsigned mask;
        const char *name;
    } VERSIONS[] = {{SL_TLS_V12, "TLSv1.2"}, {SL_TLS_V13, "TLSv1.3"}, {0, "TLSv1.3"}};
    for (size_t i = 0; i < SL_ARRAY_LEN(VERSIONS); i++) {
        struct sl_loop *loop = loop_for(state);
        struct peer a, b;
        struct sl_tls_config server_side = server_config();
        server_side.version_mask = VERSIONS[i].mask;
        shake(loop, &a, &b, (struct sl_tls_config){0}, server_side, "db.example");
        assert_true(sl_conn_is_secure(&a.conn) && sl_conn_is_secure(&b.conn));
        assert_string_equal(sl_conn_tls_version(&a.conn), VERSIONS[i].name);
        assert_non_null(sl_conn_tls_cipher(&b.conn));
        RUN_UNTIL(loop, b.received == 5);
        b.data_hook = echo;
        a.data_hook = check_pattern;
        write_pattern(&a, 2 * 1000 * 1000, 700);
        RUN_UNTIL(loop, a.received == 2 * 1000 * 1000);
        run_turns(loop, 3);
        assert_int_equal(sl_loop_lent_buffers(loop), 0);
        /* A flush at close carries data and close_notify. */
        a.expected = 0;
        write_pattern(&b, 300000, 10000);
        sl_conn_close(&b.conn, true);
        RUN_UNTIL(loop, a.ends == 1);
        assert_int_equal(a.end, SL_CONN_END_EOF);
        assert_int_equal(a.received, 2300000);
        end_pair(loop, &a, &b);
        loop_end(loop);
    }
}

static void test_versions_that_do_not_meet(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a, b;
    struct sl_tls_config server_side = server_config();
    server_side.version_mask = SL_TLS_V13;
    shake(loop, &a, &b, (struct sl_tls_config){.version_mask = SL_TLS_V12}, server_side, NULL);
    assert_int_equal(b.end, SL_CONN_END_TLS);
    assert_int_equal(a.end, SL_CONN_END_TLS); /* it got the alert */
    assert_non_null(strstr(sl_conn_error_text(&a.conn), "alert"));
    assert_int_equal(a.secured + b.secured, 0);
    end_pair(loop, &a, &b);
    loop_end(loop);
}

static void test_verification(void **state)
{
    const char *ca = cert_path("ca.crt"), *other = cert_path("other.crt");
    const char *cert = cert_path("client.crt"), *key = cert_path("client.key");
    const char *empty = cert_path("empty.crl"), *revoked = cert_path("client.crl");
    struct sl_tls_config demands = server_config();
    demands.ca = ca;
    demands.verify_peer = true;
    struct sl_tls_config asks = server_config();
    asks.ca = ca;
    struct sl_tls_config revokes = demands;
    revokes.crl = revoked;
    struct sl_tls_config revokes_none = demands;
    revokes_none.crl = empty;
    const struct {
        struct sl_tls_config client, server;
        const char *host;
        bool client_ok, server_ok;
    } CASES[] = {
        {{.ca = ca, .verify_peer = true}, server_config(), "db.example", true, true},
        {{.ca = ca, .verify_peer = true}, server_config(), "wrong.example", true, true},
        {{.ca = other, .verify_peer = true}, server_config(), "db.example", false, false},
        {{.ca = other}, server_config(), "db.example", true, true},
        {{.ca = ca, .verify_peer = true, .verify_host = true},
         server_config(),
         "db.example",
         true,
         true},
        {{.ca = ca, .verify_peer = true, .verify_host = true},
         server_config(),
         "127.0.0.1",
         true,
         true},
        {{.ca = ca, .verify_peer = true, .verify_host = true}, server_config(), NULL, true, true},
        {{.verify_host = true}, server_config(), "db.example", true, true},
        {{0}, asks, NULL, true, true},
        {{.cert = cert, .key = key}, demands, NULL, true, true},
        {{.cert = cert, .key = key}, revokes_none, NULL, true, true},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(CASES); i++) {
        struct sl_loop *loop = loop_for(state);
        struct peer a, b;
        shake(loop, &a, &b, CASES[i].client, CASES[i].server, CASES[i].host);
        if (a.secured != CASES[i].client_ok || b.secured != CASES[i].server_ok) {
            fail_msg("case %zu: %s / %s", i, sl_conn_error_text(&a.conn),
                     sl_conn_error_text(&b.conn));
        }
        end_pair(loop, &a, &b);
        loop_end(loop);
    }
    /* Refused by the client for the name, by the server for the client's certificate: with TLS 1.3
     * the other side may believe the handshake is done before it hears of it. */
    struct peer a, b;
    struct sl_loop *loop = loop_for(state);
    static const char *WRONG[] = {"wrong.example", "127.0.0.2"};
    for (int i = 0; i < 2; i++) {
        shake(loop, &a, &b, (struct sl_tls_config){.verify_host = true}, server_config(), WRONG[i]);
        assert_int_equal(a.end, SL_CONN_END_TLS);
        assert_int_equal(a.secured, 0);
        assert_non_null(strstr(sl_conn_error_text(&a.conn), "host name"));
        end_pair(loop, &a, &b);
    }
    const struct {
        struct sl_tls_config client, server;
        const char *text;
    } REFUSED[] = {
        {{0}, demands, "certificate"},
        {{.cert = cert, .key = key}, revokes, "revoked"},
        {{.cert = cert_path("stranger.crt"), .key = cert_path("stranger.key")}, demands, "issuer"},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(REFUSED); i++) {
        shake(loop, &a, &b, REFUSED[i].client, REFUSED[i].server, NULL);
        assert_int_equal(b.secured, 0);
        assert_int_equal(b.end, SL_CONN_END_TLS);
        if (strstr(sl_conn_error_text(&b.conn), REFUSED[i].text) == NULL) {
            fail_msg("%s", sl_conn_error_text(&b.conn));
        }
        RUN_UNTIL(loop, a.ends == 1);
        assert_int_equal(a.end, SL_CONN_END_TLS);
        end_pair(loop, &a, &b);
    }
    loop_end(loop);
}

/* --- the way MariaDB does it: some clear bytes, then TLS -------------------------------------- */

static struct sl_tls_context *upgrade_context;

/* Consumes "TLS!" and goes on in TLS; what came behind it is ciphertext. */
static size_t upgrade(struct peer *p, const uint8_t *data, size_t len)
{
    if (sl_conn_is_secure(&p->conn)) {
        sl_conn_write(&p->conn, data, len);
        return len;
    }
    if (len < 4) {
        return 0;
    }
    assert_memory_equal(data, "TLS!", 4);
    sl_conn_write(&p->conn, "ok..", 4); /* leaves in clear */
    assert_int_equal(sl_conn_tls_accept(&p->conn, upgrade_context), SL_OK);
    return 4;
}

/* Carries bytes between two sockets one by one (or as they come), so that both sides get them in
 * every possible split. */
static void carry(struct sl_loop *loop, int from, int to, size_t piece, size_t *count)
{
    uint8_t bytes[4096];
    ssize_t n;
    while ((n = recv(from, bytes, piece, MSG_DONTWAIT)) > 0) {
        assert_int_equal(send(to, bytes, (size_t)n, MSG_NOSIGNAL), n);
        *count += (size_t)n;
        sl_loop_turn(loop, 0);
    }
}

static void check_upgrade(struct sl_loop *loop, size_t piece)
{
    struct peer client, server;
    int client_fd = peer_and_socket(loop, &client);
    int server_fd = peer_and_socket(loop, &server);
    struct sl_tls_context *client_context = context((struct sl_tls_config){0});
    server.data_hook = upgrade;
    sl_conn_write(&client.conn, "TLS!", 4);
    size_t to_server = 0, to_client = 0;
    uint8_t ok[4];
    /* The client does not wait: its ClientHello may arrive together with the request. */
    sl_conn_pause(&client.conn);
    RUN_UNTIL(loop, recv(client_fd, ok, 4, MSG_PEEK | MSG_DONTWAIT) == 4);
    assert_int_equal(sl_conn_tls_connect(&client.conn, client_context, "db.example"), SL_OK);
    sl_conn_resume(&client.conn);
    sl_conn_write(&client.conn, "hello, server", 13); /* held back until the handshake is done */
    run_turns(loop, 2);
    uint64_t deadline_us = sl_clock_mono_us() + 60 * 1000 * 1000;
    bool clear_seen = false;
    while (client.received < 13) {
        assert_true(sl_clock_mono_us() < deadline_us);
        carry(loop, client_fd, server_fd, piece, &to_server);
        if (!clear_seen && recv(server_fd, ok, 4, MSG_PEEK | MSG_DONTWAIT) == 4) {
            assert_int_equal(recv(server_fd, ok, 4, 0), 4);
            assert_memory_equal(ok, "ok..", 4);
            clear_seen = true;
        }
        if (clear_seen) {
            carry(loop, server_fd, client_fd, piece, &to_client);
        }
        sl_loop_turn(loop, 1);
    }
    assert_memory_equal(client.last + client.last_len - 1, "r", 1);
    assert_int_equal(server.secured, 1);
    assert_int_equal(client.secured, 1);
    assert_true(to_server > 100 && to_client > 500);
    sl_tls_context_unref(client_context);
    close(client_fd);
    close(server_fd);
    RUN_UNTIL(loop, client.ends && server.ends);
    assert_int_equal(client.end, SL_CONN_END_EOF); /* without close_notify: as databases do */
    end_pair(loop, &client, &server);
}

static void test_upgrade_in_every_split(void **state)
{
    struct sl_loop *loop = loop_for(state);
    upgrade_context = context(server_config());
    static const size_t PIECES[] = {1, 2, 3, 7, 100, 4096};
    for (size_t i = 0; i < SL_ARRAY_LEN(PIECES); i++) {
        check_upgrade(loop, PIECES[i]);
    }
    sl_tls_context_unref(upgrade_context);
    loop_end(loop);
}

static void test_garbage(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct sl_tls_context *ctx = context(server_config());
    struct sl_rng rng;
    sl_rng_seed(&rng, 3);
    for (int i = 0; i < 60; i++) {
        struct peer a;
        uint8_t bytes[2000];
        int fd = peer_and_socket(loop, &a);
        assert_int_equal(sl_conn_tls_accept(&a.conn, ctx), SL_OK);
        size_t len = sl_rng_next(&rng) % sizeof(bytes) + 1;
        for (size_t k = 0; k < len; k++) {
            bytes[k] = (uint8_t)sl_rng_next(&rng);
        }
        if (i % 2 == 0 && len > 5) { /* a plausible record header */
            memcpy(bytes, "\x16\x03\x01\x00\x40", 5);
        }
        send(fd, bytes, len, 0);
        shutdown(fd, SHUT_WR);
        RUN_UNTIL(loop, a.ends == 1);
        assert_int_equal(a.end, SL_CONN_END_TLS);
        assert_true(strlen(sl_conn_error_text(&a.conn)) > 10);
        assert_int_equal(a.data_calls + a.secured, 0);
        close(fd);
        peer_close(loop, &a);
    }
    /* Garbage in the middle of an established session. */
    struct peer client, server;
    shake(loop, &client, &server, (struct sl_tls_config){0}, server_config(), NULL);
    RUN_UNTIL(loop, server.received == 5);
    assert_int_equal(send(client.conn.fd, "garbage garbage", 15, 0), 15);
    RUN_UNTIL(loop, server.ends == 1);
    assert_int_equal(server.end, SL_CONN_END_TLS);
    RUN_UNTIL(loop, client.ends == 1); /* it got an alert */
    end_pair(loop, &client, &server);
    sl_tls_context_unref(ctx);
    loop_end(loop);
}

static void close_now(struct peer *p)
{
    sl_conn_close(&p->conn, true);
}

static size_t close_in_data(struct peer *p, const uint8_t *data, size_t len)
{
    sl_conn_close(&p->conn, p->number != 0);
    return 0;
}

static void test_close_in_callbacks(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct sl_tls_context *cctx = context((struct sl_tls_config){0});
    struct sl_tls_context *sctx = context(server_config());
    for (int i = 0; i < 6; i++) {
        struct peer a, b;
        peer_pair(loop, &a, &b);
        a.end_hook = b.end_hook = close_now;
        a.number = b.number = i % 2;
        if (i / 2 == 0) {
            a.secured_hook = close_now;
        } else if (i / 2 == 1) {
            b.secured_hook = close_now;
        } else {
            b.data_hook = close_in_data;
        }
        assert_int_equal(sl_conn_tls_accept(&b.conn, sctx), SL_OK);
        assert_int_equal(sl_conn_tls_connect(&a.conn, cctx, NULL), SL_OK);
        sl_conn_write(&a.conn, "hello", 5);
        RUN_UNTIL(loop, a.released && b.released);
    }
    /* Closed with a flush before the handshake could be done: nobody waits for it. */
    struct peer a;
    int fd = peer_and_socket(loop, &a);
    assert_int_equal(sl_conn_tls_connect(&a.conn, cctx, NULL), SL_OK);
    sl_conn_write(&a.conn, "hello", 5);
    sl_conn_close(&a.conn, true);
    RUN_UNTIL(loop, a.released == 1);
    close(fd);
    assert_int_equal(sl_conn_tls_accept(&a.conn, sctx), SL_ESTATE);
    sl_tls_context_unref(cctx);
    sl_tls_context_unref(sctx);
    loop_end(loop);
}

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

/* source socket -> in (clear) -> out (TLS) -> client (TLS), which stops reading now and then. */
static void test_large_result_to_a_slow_reader(void **state)
{
    struct sl_loop *loop = loop_for(state);
    const uint64_t total = 10 * 1000 * 1000;
    struct peer in, out, client;
    shake(loop, &client, &out, (struct sl_tls_config){0}, server_config(), NULL);
    RUN_UNTIL(loop, out.received == 5);
    int source = peer_and_socket(loop, &in);
    int small = 64 * 1024;
    setsockopt(out.conn.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    setsockopt(client.conn.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    in.other = &out;
    out.other = &in;
    in.data_hook = relay;
    out.writable_hook = resume_other;
    client.data_hook = check_pattern;
    relay_pending_max = 0;
    static uint8_t bytes[128 * 1024];
    uint64_t sent = 0;
    uint64_t deadline_us = sl_clock_mono_us() + 60 * 1000 * 1000;
    for (unsigned turn = 0; client.received < total; turn++) {
        assert_true(sl_clock_mono_us() < deadline_us);
        size_t piece = SL_MIN(sizeof(bytes), total - sent);
        pattern_fill(bytes, piece, sent);
        ssize_t n = piece > 0 ? send(source, bytes, piece, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
        sent += n > 0 ? (uint64_t)n : 0;
        if (turn % 100 == 50 && sent < total) {
            sl_conn_pause(&client.conn);
        } else if (sl_conn_is_full(&out.conn) || sent == total) {
            sl_conn_resume(&client.conn);
        }
        sl_loop_turn(loop, 0);
    }
    assert_true(relay_pending_max <= (64 + 128) * 1024);
    assert_true(out.writable > 0);
    close(source);
    peer_close(loop, &in);
    end_pair(loop, &client, &out);
    loop_end(loop);
}

static void test_half_close_and_pause(void **state)
{
    struct sl_loop *loop = loop_for(state);
    struct peer a, b;
    shake(loop, &a, &b, (struct sl_tls_config){0}, server_config(), NULL);
    RUN_UNTIL(loop, b.received == 5);
    sl_conn_pause(&b.conn);
    write_pattern(&a, 60000, 1000);
    run_turns(loop, 5);
    assert_int_equal(b.received, 5);
    sl_conn_resume(&b.conn);
    b.data_hook = check_pattern;
    RUN_UNTIL(loop, b.received == 60005);
    sl_conn_shutdown_write(&a.conn);
    RUN_UNTIL(loop, b.ends == 1);
    assert_int_equal(b.end, SL_CONN_END_EOF);
    end_pair(loop, &a, &b);
    loop_end(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_BOTH_MODES(test_echo_in_each_version),
        TEST_IN_BOTH_MODES(test_versions_that_do_not_meet),
        TEST_IN_BOTH_MODES(test_verification),
        TEST_IN_BOTH_MODES(test_upgrade_in_every_split),
        TEST_IN_BOTH_MODES(test_garbage),
        TEST_IN_BOTH_MODES(test_close_in_callbacks),
        TEST_IN_BOTH_MODES(test_large_result_to_a_slow_reader),
        TEST_IN_BOTH_MODES(test_half_close_and_pause),
    };
    certs_start(NULL);
    int failed = cmocka_run_group_tests(tests, leak_check_start, leak_check_end);
    certs_end(NULL);
    return failed;
}
