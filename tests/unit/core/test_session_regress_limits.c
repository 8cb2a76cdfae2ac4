/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logins, KILL, limits and shutdown: defects that were there once. Each test is named after what
 * must not happen.
 */
#include "session_regress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/mem.h"
#include "core/accounts.h"
#include "core/server.h"
#include "core/service.h"
#include "core/session.h"
#include "core/worker.h"
#include "proto/handshake.h"
#include "proto/ok.h"

/* ---- the worker's side ---- */

struct visit {
    struct sl_message message;
    struct sl_worker *worker;
    void (*look)(struct sl_session *s);
    sem_t done;
};

static void on_visit(struct sl_message *m, struct sl_loop *loop)
{
    struct visit *v = SL_CONTAINER_OF(m, struct visit, message);
    SL_LIST_FOR_EACH (node, &v->worker->sessions) {
        v->look(SL_CONTAINER_OF(node, struct sl_session, node));
    }
    sem_post(&v->done);
}

/* Shows all sessions to a function, on their own thread. */
static void visit_sessions(struct world *w, void (*look)(struct sl_session *s))
{
    struct visit v = {.message.run = on_visit, .worker = &w->core->workers[0], .look = look};
    sem_init(&v.done, 0, 0);
    sl_loop_post(v.worker->loop, &v.message);
    sem_wait(&v.done);
    sem_destroy(&v.done);
}

static void pump_for(struct world *w, unsigned ms)
{
    for (uint64_t end = sl_clock_mono_ms() + ms; sl_clock_mono_ms() < end;) {
        world_pump(w, 5);
    }
}

/* ---- clients that do not behave ---- */

static void dial(struct client *c, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *c = (struct client){.capabilities = CLIENT_CAPABILITIES};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&a, sizeof a), 0);
}

/* The next packet with its header; 0 at the end of the connection. Fails the test after a minute. */
static size_t take_packet(struct world *w, struct client *c, uint8_t *out, size_t size)
{
    uint64_t deadline = sl_clock_mono_ms() + 60000;
    for (;;) {
        struct sl_slice s = sl_buf_slice(&c->in);
        if (s.len >= 4 && s.len >= 4 + (size_t)sl_get_le24(s.data)) {
            size_t len = 4 + (size_t)sl_get_le24(s.data);
            assert_true(len <= size);
            memcpy(out, s.data, len);
            sl_buf_consume(&c->in, len);
            return len;
        }
        uint8_t bytes[4096];
        ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            return 0;
        }
        if (n > 0) {
            assert_int_equal(sl_buf_append(&c->in, bytes, (size_t)n), 0);
        }
        assert_true(sl_clock_mono_ms() < deadline);
        world_pump(w, 1);
    }
}

static void send_bytes(struct client *c, const void *data, size_t len)
{
    assert_int_equal(send(c->fd, data, len, MSG_NOSIGNAL), len);
}

static void build_response(struct sl_buf *out, const char *user, const char *auth)
{
    struct sl_handshake_response r = {.capabilities = CLIENT_CAPABILITIES,
                                      .max_packet = 1 << 24,
                                      .collation = 45,
                                      .user = sl_slice_text(user),
                                      .auth = sl_slice_text(auth),
                                      .plugin = sl_slice_text(SL_PLUGIN_NATIVE)};
    assert_int_equal(sl_handshake_response_build(out, 1, &r), 0);
}

/* Asks to become the same user again; the proxy wants a token then. */
static void start_change_user(struct world *w, struct client *c)
{
    static const uint8_t arg[] = "u\0\0\0\x2d\0mysql_native_password";
    uint8_t packet[256];
    client_send(c, SL_COM_CHANGE_USER, arg, sizeof arg);
    assert_true(take_packet(w, c, packet, sizeof packet) > 0);
    assert_int_equal(packet[3], 1);
    assert_int_equal(packet[4], 0xfe);
}

/* Sends the same bytes again and again, reads nothing. True if the proxy stopped taking them before
 * `limit` bytes. */
static bool is_stopped(struct world *w, struct client *c, const void *data, size_t len,
                       size_t limit)
{
    size_t sent = 0;
    struct pollfd p = {c->fd, POLLOUT, 0};
    while (sent < limit) {
        if (poll(&p, 1, 500) == 0) {
            return true;
        }
        size_t at = sent % len;
        ssize_t n = send(c->fd, (const char *)data + at, len - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN) {
            return true; /* sent away: that is a bound too */
        }
        sent += n > 0 ? (size_t)n : 0;
        world_pump(w, 0);
    }
    return false;
}

/* ---- COM_CHANGE_USER ---- */

/* readconnroute: the server dies in the middle of COM_CHANGE_USER, which then fails. */
static void test_change_user_without_a_server_ends_the_daemon(void **state)
{
    struct world w;
    struct client c;
    uint8_t packet[256];
    static const uint8_t wrong[] = "\x14\0\0\x02"
                                   "xxxxxxxxxxxxxxxxxxxx";
    world_up(&w, "");
    client_open_at(&w, &c, w.conn_port, CLIENT_CAPABILITIES, NULL);
    struct answer a = client_query(&w, &c, "SELECT 1");
    unsigned at = (unsigned)(a.server[1] - '1');
    start_change_user(&w, &c);
    fake_server_kill(&w.servers[at], true);
    for (unsigned i = 0; i < 1000 && sl_server_connections(w.core->servers[at]) > 0; i++) {
        world_pump(&w, 1);
    }
    assert_int_equal(sl_server_connections(w.core->servers[at]), 0);
    send(c.fd, wrong, sizeof wrong - 1, MSG_NOSIGNAL);
    if (take_packet(&w, &c, packet, sizeof packet) > 0) {
        assert_int_equal(packet[4], 0xff);
        a = client_query(&w, &c, "SELECT 2");
        assert_true(a.kind == SL_REPLY_KIND_ERR || a.is_closed);
    }
    client_close(&c);
    fake_server_revive(&w.servers[at]);
    client_open_at(&w, &c, w.conn_port, CLIENT_CAPABILITIES, NULL);
    expect_select_on(&w, &c, "SELECT 3", NULL);
    client_close(&c);
    world_down(&w);
}

/* ... and readwritesplit: the session goes on, with a new connection. */
static void test_refused_change_user_loses_the_session(void **state)
{
    struct world w;
    struct client c;
    uint8_t packet[256];
    static const uint8_t wrong[] = "\x14\0\0\x02"
                                   "xxxxxxxxxxxxxxxxxxxx";
    world_up(&w, "");
    client_open_all(&w, &c);
    start_change_user(&w, &c);
    fake_server_kill(&w.servers[PRIMARY], false);
    fake_server_kill(&w.servers[1], false);
    world_wait_disconnected(&w, PRIMARY);
    world_wait_disconnected(&w, 1);
    send_bytes(&c, wrong, sizeof wrong - 1);
    assert_true(take_packet(&w, &c, packet, sizeof packet) > 0);
    assert_int_equal(packet[4], 0xff);
    world_forget(&w);
    expect_ok(&w, &c, "INSERT INTO t VALUES (@warm)");
    assert_string_equal(w.servers[PRIMARY].log[0], "SET @warm=1");
    client_close(&c);
    world_down(&w);
}

static void test_command_behind_the_login_answer_is_forgotten(void **state)
{
    struct world w;
    struct client c;
    uint8_t packet[256];
    struct sl_buf out = SL_BUF_INIT;
    static const uint8_t query[] = "\x0a\0\0\0\x03SELECT 42";
    static const uint8_t token_and_query[] = "\0\0\0\x02"
                                             "\x0a\0\0\0\x03SELECT 43";
    world_up(&w, "");
    dial(&c, w.port);
    assert_true(take_packet(&w, &c, packet, sizeof packet) > 0);
    build_response(&out, "u", "");
    assert_int_equal(sl_buf_append(&out, query, sizeof query - 1), 0);
    send_bytes(&c, sl_buf_slice(&out).data, sl_buf_len(&out));
    sl_buf_free(&out);
    assert_true(take_packet(&w, &c, packet, sizeof packet) > 0);
    assert_int_equal(packet[4], 0);
    assert_int_equal(client_wait(&w, &c, SL_COM_QUERY, 60000).kind, SL_REPLY_KIND_RESULTSET);
    start_change_user(&w, &c);
    send_bytes(&c, token_and_query, sizeof token_and_query - 1);
    assert_true(take_packet(&w, &c, packet, sizeof packet) > 0);
    assert_int_equal(packet[4], 0);
    assert_int_equal(packet[3], 3);
    assert_int_equal(client_wait(&w, &c, SL_COM_QUERY, 60000).kind, SL_REPLY_KIND_RESULTSET);
    assert_int_equal(world_count(&w, "SELECT 43"), 1);
    client_close(&c);
    world_down(&w);
}

static void age_step(struct sl_session *s)
{
    s->step_since_ms -= 9000;
}

static void test_change_user_waits_forever(void **state)
{
    struct world w;
    struct client c;
    uint8_t packet[256];
    world_up(&w, "");
    client_open_all(&w, &c);
    visit_sessions(&w, age_step); /* an old session: its COM_CHANGE_USER has its own 10 s */
    visit_sessions(&w, age_step);
    start_change_user(&w, &c);
    pump_for(&w, 1500);
    visit_sessions(&w, age_step);
    assert_int_equal(take_packet(&w, &c, packet, sizeof packet), 0);
    client_close(&c);
    world_down(&w);
}

/* ---- KILL ---- */

/* A greeting's id is also the id that a server gave to another session. */
static void test_kill_hits_two_sessions(void **state)
{
    static const char *const statements[] = {"KILL", "KILL QUERY"};
    for (unsigned i = 0; i < SL_ARRAY_LEN(statements); i++) {
        struct world w;
        struct client victim, other, asker;
        char sql[64];
        world_up(&w, "");
        client_open_all(&w, &other); /* ids 1001 on its servers */
        atomic_store(&w.core->next_session_id, 1001);
        client_open(&w, &victim, CLIENT_CAPABILITIES);
        client_open(&w, &asker, CLIENT_CAPABILITIES);
        assert_int_equal(victim.id, 1001);
        expect_ok(&w, &victim, "SET @a=1");
        expect_ok(&w, &asker, "SET @a=1");
        snprintf(sql, sizeof sql, "%s %u", statements[i], victim.id);
        expect_ok(&w, &asker, sql);
        pump_for(&w, 50);
        expect_ok(&w, &other, "INSERT INTO t VALUES (1)");
        if (i == 0) {
            assert_true(client_wait(&w, &victim, SL_COM_QUERY, 60000).is_closed);
        } else {
            expect_ok(&w, &victim, "INSERT INTO t VALUES (1)");
        }
        /* The asker has a connection with such an id itself: still the greeting wins. */
        expect_ok(&w, &asker, "INSERT INTO t VALUES (1)");
        client_close(&victim);
        client_close(&other);
        client_close(&asker);
        world_down(&w);
    }
}

static void test_kill_takes_the_asker_for_its_victim(void **state)
{
    struct world w;
    struct client victim, asker;
    world_up(&w, "");
    client_open_all(&w, &asker);
    atomic_store(&w.core->next_session_id, 1001);
    client_open(&w, &victim, CLIENT_CAPABILITIES);
    assert_int_equal(victim.id, 1001);
    expect_ok(&w, &asker, "KILL 1001");
    assert_true(client_wait(&w, &victim, SL_COM_QUERY, 60000).is_closed);
    expect_ok(&w, &asker, "INSERT INTO t VALUES (1)");
    struct answer a = client_query(&w, &asker, "KILL 1001"); /* now it is a server's id, our own */
    assert_int_equal(a.code, SL_ER_CONNECTION_KILLED);
    assert_true(client_wait(&w, &asker, SL_COM_QUERY, 60000).is_closed);
    client_close(&victim);
    client_close(&asker);
    world_down(&w);
}

/* ---- limits ---- */

static size_t largest_output;

static void note_output(struct sl_session *s)
{
    largest_output = SL_MAX(largest_output, sl_conn_pending(&s->client));
}

/* Commands that no server is needed for, and the client does not read the answers. */
static void test_unread_local_answers_take_all_memory(void **state)
{
    struct world w;
    struct client c;
    static uint8_t commands[1000 * 5];
    world_up(&w, "");
    client_open_all(&w, &c);
    for (size_t i = 0; i < sizeof commands; i += 5) {
        memcpy(commands + i, "\1\0\0\0\x05", 5); /* COM_CREATE_DB of old: unknown */
    }
    assert_true(is_stopped(&w, &c, commands, sizeof commands, 50000000));
    largest_output = 0;
    visit_sessions(&w, note_output);
    assert_in_range(largest_output, 1, 1 << 20);
    client_close(&c);
    world_down(&w);
}

static sem_t loader_is_stuck, loader_may_go;

static void hold_loader(void *arg)
{
    sem_post(&loader_is_stuck);
    sem_wait(&loader_may_go);
}

/* A login waits for the accounts to be read again, which takes its time. */
static void test_input_of_a_waiting_login_takes_all_memory(void **state)
{
    struct world w;
    struct client c;
    uint8_t packet[256];
    static uint8_t zeros[100000];
    struct sl_buf out = SL_BUF_INIT;
    world_up(&w, "");
    sem_init(&loader_is_stuck, 0, 0);
    sem_init(&loader_may_go, 0, 0);
    assert_true(sl_account_manager_reload(w.core->services[0]->accounts, true, hold_loader, NULL));
    sem_wait(&loader_is_stuck);
    dial(&c, w.port);
    assert_true(take_packet(&w, &c, packet, sizeof packet) > 0);
    build_response(&out, "nobody", "");
    send_bytes(&c, sl_buf_slice(&out).data, sl_buf_len(&out));
    sl_buf_free(&out);
    assert_true(is_stopped(&w, &c, zeros, sizeof zeros, 200000000));
    assert_int_equal(recv(c.fd, packet, 1, MSG_DONTWAIT), -1); /* it waits still */
    assert_int_equal(errno, EAGAIN);
    sem_post(&loader_may_go);
    assert_true(take_packet(&w, &c, packet, sizeof packet) > 0);
    assert_int_equal(packet[4], 0xff);
    client_close(&c);
    world_down(&w);
    sem_destroy(&loader_is_stuck);
    sem_destroy(&loader_may_go);
}

static void age_activity(struct sl_session *s)
{
    s->active_ms -= 100000;
}

/* wait_timeout is about clients that rest, not about statements that last. */
static void test_wait_timeout_counts_the_statement(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "wait_timeout=50s\n");
    client_open_all(&w, &c);
    w.servers[PRIMARY].hold_replies = true;
    client_send_text(&c, "UPDATE t SET a=1");
    assert_true(client_wait(&w, &c, SL_COM_QUERY, 50).is_late);
    visit_sessions(&w, age_activity);
    assert_true(client_wait(&w, &c, SL_COM_QUERY, 1300).is_late); /* a sweep */
    w.servers[PRIMARY].hold_replies = false;
    assert_int_equal(client_wait(&w, &c, SL_COM_QUERY, 60000).kind, SL_REPLY_KIND_OK);
    pump_for(&w, 1300);
    expect_ok(&w, &c, "UPDATE t SET a=2");
    visit_sessions(&w, age_activity);
    assert_true(client_wait(&w, &c, SL_COM_QUERY, 60000).is_closed);
    client_close(&c);
    world_down(&w);
}

/* Failed logins behind a PROXY header are the true client's, not the balancer's; and it is its next
 * login that is refused. */
static void test_blocked_host_hides_behind_a_proxy_header(void **state)
{
    static const char bad[] = "PROXY TCP4 10.1.2.3 127.0.0.1 1000 2000\r\n";
    static const char good[] = "PROXY TCP4 10.1.2.4 127.0.0.1 1000 2000\r\n";
    struct world w;
    struct client c;
    uint8_t packet[512];
    unsigned denied = 0;
    struct sl_err err = SL_ERR_INIT;
    world_up(&w, "");
    assert_int_equal(
        sl_proxy_networks_parse("127.0.0.1", &w.core->listeners[0]->proxy_networks, &err), 0);
    for (unsigned i = 0; i < 12; i++) {
        struct sl_buf out = SL_BUF_INIT;
        dial(&c, w.port);
        assert_true(take_packet(&w, &c, packet, sizeof packet) > 0);
        assert_int_equal(sl_buf_append(&out, i == 11 ? good : bad, sizeof bad - 1), 0);
        build_response(&out, "u", i == 11 ? "" : "xxxxxxxxxxxxxxxxxxxx");
        send_bytes(&c, sl_buf_slice(&out).data, sl_buf_len(&out));
        sl_buf_free(&out);
        size_t n = take_packet(&w, &c, packet, sizeof packet);
        denied += n > 7 && packet[4] == 0xff && sl_get_le16(packet + 5) == SL_ER_ACCESS_DENIED;
        if (i == 11) {
            assert_int_equal(packet[4], 0);
        }
        client_close(&c);
    }
    assert_int_equal(denied, 10);
    world_down(&w);
}

/* ---- shutdown ---- */

static void test_shutdown_waits_for_frozen_servers(void **state)
{
    struct world w;
    struct client c[3];
    char command[128], sql[1000];
    world_up(&w, "");
    client_open_all(&w, &c[0]);
    client_open(&w, &c[1], CLIENT_CAPABILITIES);
    client_open(&w, &c[2], CLIENT_CAPABILITIES);
    expect_select_on(&w, &c[1], "SELECT 1", NULL);
    expect_select_on(&w, &c[2], "SELECT 1", NULL);
    int small = 4096;
    assert_int_equal(setsockopt(c[1].fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    w.servers[1].rows = w.servers[2].rows = 6000; /* each with the statement in it */
    memcpy(sql, "SELECT '", 8);
    memset(sql + 8, 'x', sizeof sql - 9);
    sql[sizeof sql - 1] = '\'';
    client_send(&c[1], SL_COM_QUERY, sql, sizeof sql);
    uint64_t deadline = sl_clock_mono_ms() + 60000;
    for (largest_output = 0; largest_output == 0;) { /* a client that does not take its result */
        assert_true(sl_clock_mono_ms() < deadline);
        pump_for(&w, 50);
        visit_sessions(&w, note_output);
    }
    for (unsigned i = 0; i < SERVERS; i++) {
        w.servers[i].hold_replies = true;
    }
    client_send_text(&c[0], "UPDATE t SET a=1");
    client_send_text(&c[2], "BEGIN");
    pump_for(&w, 50);
    uint64_t began = sl_clock_mono_ms();
    sl_core_stop(w.core); /* nobody pumps: the servers are frozen */
    assert_in_range(sl_clock_mono_ms() - began, 0, 30000); /* nothing here ends before a minute */
    for (unsigned i = 0; i < SL_ARRAY_LEN(c); i++) {
        client_close(&c[i]);
    }
    for (unsigned i = 0; i < SERVERS; i++) {
        fake_server_stop(&w.servers[i]);
    }
    snprintf(command, sizeof command, "rm -rf '%s'", w.dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_change_user_without_a_server_ends_the_daemon),
        cmocka_unit_test(test_refused_change_user_loses_the_session),
        cmocka_unit_test(test_command_behind_the_login_answer_is_forgotten),
        cmocka_unit_test(test_change_user_waits_forever),
        cmocka_unit_test(test_kill_hits_two_sessions),
        cmocka_unit_test(test_kill_takes_the_asker_for_its_victim),
        cmocka_unit_test(test_unread_local_answers_take_all_memory),
        cmocka_unit_test(test_input_of_a_waiting_login_takes_all_memory),
        cmocka_unit_test(test_wait_timeout_counts_the_statement),
        cmocka_unit_test(test_blocked_host_hides_behind_a_proxy_header),
        cmocka_unit_test(test_shutdown_waits_for_frozen_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
