/* SPDX-License-Identifier: Apache-2.0 */
/* Router tcp: relays over real sockets, each test with the ring and with send(2). */
#include "tcp_harness.h"

static void test_both_ways(void **state)
{
    struct world *w = world_new(state, true);
    world_open(w);
    int client = world_client(w);
    int server = world_server(w, 0);
    assert_int_equal(sl_server_connections(w->servers[0]), 1);
    assert_int_equal(sl_service_connections(&w->service), 1);
    send_text(server, "greeting");
    expect_text(w, client, "greeting");
    send_text(client, "statement");
    expect_text(w, server, "statement");
    run_turns(w->worker.loop, 3);
    uint64_t allocations = sl_mem_thread_allocations();
    for (int i = 0; i < 100; i++) {
        send_text(client, "select");
        expect_text(w, server, "select");
        send_text(server, "result");
        expect_text(w, client, "result");
    }
    assert_int_equal(sl_mem_thread_allocations(), allocations);
    assert_int_equal(w->tw->bytes_to_servers, 9 + 600);
    assert_int_equal(w->tw->bytes_to_clients, 8 + 600);
    assert_int_equal(SL_SERVICE_SUM(&w->service, total_connections), 1);
    close(client);
    expect_end(w, server);
    close(server);
    RUN_UNTIL(w->worker.loop, sl_service_connections(&w->service) == 0);
    world_free(w);
}

/* What the client sends before its server is connected is not lost, also when another server
 * must be tried. */
static void test_refused_then_next(void **state)
{
    struct world *w = world_new(state, true);
    world_close_server(w, 0);
    world_open(w);
    int client = world_client(w);
    send_text(client, "early");
    int server = world_server(w, 1);
    expect_text(w, server, "early");
    assert_int_equal(w->tw->retries, 1);
    assert_int_equal(sl_server_connections(w->servers[0]), 0);
    assert_int_equal(sl_server_connections(w->servers[1]), 1);
    close(client);
    close(server);
    world_free(w);
}

/* A dying server may still accept. */
static void test_dropped_then_next(void **state)
{
    struct world *w = world_new(state, true);
    world_open(w);
    int client = world_client(w);
    close(world_server(w, 0));
    int server = world_server(w, 1);
    send_text(server, "hello");
    expect_text(w, client, "hello");
    assert_int_equal(w->tw->retries, 1);
    close(client);
    close(server);
    world_free(w);
}

static void test_nobody_there(void **state)
{
    struct world *w = world_new(state, true);
    for (unsigned i = 0; i < HOSTS; i++) {
        world_close_server(w, i);
    }
    w->settings.tcplog = true;
    world_open(w);
    int client = world_client(w);
    assert_int_equal(expect_end(w, client), 0);
    assert_int_equal(w->tw->retries, HOSTS - 1);
    assert_int_equal(w->tw->refused, 1);
    close(client);
    world_free(w);
}

static void test_statuses(void **state)
{
    struct world *w = world_new(state, true);
    world_open(w);
    sl_server_status_change(w->servers[0], SL_SERVER_MAINT, 0);
    sl_server_status_change(w->servers[1], 0, SL_SERVER_SLAVE); /* no role: no member */
    int client = world_client(w);
    int server = world_server(w, 2);
    sl_server_status_change(w->servers[2], SL_SERVER_DRAINING, 0);
    int refused = world_client(w);
    expect_end(w, refused);
    send_text(server, "still");
    expect_text(w, client, "still");
    close(refused);
    close(client);
    close(server);
    world_free(w);
}

/* A monitor that gives no roles at all. */
static void test_no_roles_needed(void **state)
{
    struct world *w = world_new(state, true);
    for (unsigned i = 0; i < HOSTS; i++) {
        sl_server_status_change(w->servers[i], 0, SL_SERVER_SLAVE);
    }
    world_open(w);
    int client = world_client(w);
    close(world_server(w, 0));
    close(client);
    run_turns(w->worker.loop, 3);
    world_free(w);
}

static void test_cut_when_down(void **state)
{
    struct world *w = world_new(state, true);
    w->settings.balance = SL_TCP_ROUNDROBIN;
    w->settings.tcplog = true;
    world_open(w);
    int clients[HOSTS], servers[HOSTS];
    for (unsigned i = 0; i < HOSTS; i++) {
        clients[i] = world_client(w);
        servers[i] = world_server(w, i);
        send_text(servers[i], "hi");
        expect_text(w, clients[i], "hi");
    }
    sl_tcp_relays_cut(w->tw);
    run_turns(w->worker.loop, 3);
    assert_int_equal(sl_service_connections(&w->service), HOSTS);
    sl_server_status_change(w->servers[1], 0, SL_SERVER_RUNNING);
    sl_tcp_relays_cut(w->tw);
    expect_end(w, clients[1]);
    assert_int_equal(w->tw->cut, 1);
    assert_int_equal(sl_service_connections(&w->service), HOSTS - 1);
    send_text(clients[0], "alive");
    expect_text(w, servers[0], "alive");
    for (unsigned i = 0; i < HOSTS; i++) {
        close(clients[i]);
        close(servers[i]);
    }
    world_free(w);
}

/* The admin wants a server empty: its clients go, the others do not notice. */
static void test_hang_up(void **state)
{
    struct world *w = world_new(state, true);
    w->settings.balance = SL_TCP_ROUNDROBIN;
    world_open(w);
    int clients[HOSTS], servers[HOSTS];
    for (unsigned i = 0; i < HOSTS; i++) {
        clients[i] = world_client(w);
        servers[i] = world_server(w, i);
        send_text(servers[i], "hi");
        expect_text(w, clients[i], "hi");
    }
    sl_server_status_change(w->servers[1], SL_SERVER_MAINT, 0);
    sl_tcp_relays_cut(w->tw);
    run_turns(w->worker.loop, 3);
    assert_int_equal(sl_service_connections(&w->service), HOSTS);
    sl_tcp_relays_hang_up(w->tw, w->servers[1]);
    expect_end(w, clients[1]);
    assert_int_equal(w->tw->cut, 1);
    assert_int_equal(sl_service_connections(&w->service), HOSTS - 1);
    for (unsigned i = 0; i < HOSTS; i++) {
        close(clients[i]);
        close(servers[i]);
    }
    world_free(w);
}

/* It was connecting there: another server takes the client. */
static void test_hang_up_while_connecting(void **state)
{
    struct world *w = world_new(state, true);
    world_open(w);
    int client = world_client(w);
    sl_server_status_change(w->servers[0], SL_SERVER_MAINT, 0);
    sl_tcp_relays_hang_up(w->tw, w->servers[0]);
    int server = world_server(w, 1);
    send_text(server, "hello");
    expect_text(w, client, "hello");
    assert_int_equal(w->tw->retries, 1);
    assert_int_equal(w->tw->cut, 0);
    close(client);
    close(server);
    world_free(w);
}

static void test_server_dies(void **state)
{
    struct world *w = world_new(state, true);
    world_open(w);
    int client = world_client(w);
    int server = world_server(w, 0);
    send_text(server, "last words");
    struct linger reset = {.l_onoff = 1};
    expect_text(w, client, "last words");
    setsockopt(server, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(server);
    assert_int_equal(expect_end(w, client), 0);
    assert_int_equal(w->tw->retries, 0);
    close(client);
    world_free(w);
}

/* ---- half close ---- */

static void test_client_half_close(void **state)
{
    struct world *w = world_new(state, true);
    world_open(w);
    int client = world_client(w);
    int server = world_server(w, 0);
    send_text(server, "greeting");
    expect_text(w, client, "greeting");
    send_text(client, "last");
    shutdown(client, SHUT_WR);
    expect_text(w, server, "last");
    assert_int_equal(expect_end(w, server), 0);
    send_text(server, "answer");
    expect_text(w, client, "answer");
    close(server);
    assert_int_equal(expect_end(w, client), 0);
    RUN_UNTIL(w->worker.loop, sl_service_connections(&w->service) == 0);
    close(client);
    world_free(w);
}

static void test_server_half_close(void **state)
{
    struct world *w = world_new(state, true);
    world_open(w);
    int client = world_client(w);
    int server = world_server(w, 0);
    send_text(server, "bye");
    shutdown(server, SHUT_WR);
    expect_text(w, client, "bye");
    assert_int_equal(expect_end(w, client), 0);
    send_text(client, "one more");
    expect_text(w, server, "one more");
    close(client);
    assert_int_equal(expect_end(w, server), 0);
    RUN_UNTIL(w->worker.loop, sl_service_connections(&w->service) == 0);
    close(server);
    world_free(w);
}

/* ---- back-pressure ---- */

enum {
    BULK = 24 * 1024 * 1024,
    PIECE = 256 * 1024
};

/* Sends as much of the pattern as the socket takes. */
static uint64_t push(int fd, uint64_t sent)
{
    static uint8_t bytes[PIECE];
    size_t n = SL_MIN((uint64_t)PIECE, BULK - sent);
    pattern_fill(bytes, n, sent);
    ssize_t done = n > 0 ? send(fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    return sent + (done > 0 ? (uint64_t)done : 0);
}

static uint64_t pull(int fd, uint64_t received)
{
    static uint8_t bytes[PIECE];
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) {
        pattern_check(bytes, (size_t)n, received);
    }
    return received + (n > 0 ? (uint64_t)n : 0);
}

static struct sl_tcp_relay *only_relay(struct world *w)
{
    return SL_CONTAINER_OF(w->tw->relays.next, struct sl_tcp_relay, node);
}

/* from sends BULK bytes and its FIN while nobody reads at `to`: nothing is lost, memory stays
 * bounded. */
static void slow_reader(struct world *w, int from, int to, struct sl_conn *out)
{
    uint64_t sent = 0, received = 0, idle_turns = 0;
    while (idle_turns < 20) {
        uint64_t before = sent;
        sent = push(from, sent);
        sl_loop_turn(w->worker.loop, 0);
        idle_turns = sent == before ? idle_turns + 1 : 0;
        assert_true(sl_conn_pending(out) <= 256 * 1024);
    }
    assert_true(sent < BULK);
    while (received < BULK) {
        if (sent < BULK && (sent = push(from, sent)) == BULK) {
            shutdown(from, SHUT_WR);
        }
        sl_loop_turn(w->worker.loop, 0);
        received = pull(to, received);
        assert_true(sl_conn_pending(out) <= 256 * 1024);
    }
    assert_int_equal(expect_end(w, to), 0);
}

static void test_slow_client(void **state)
{
    struct world *w = world_new(state, true);
    world_open(w);
    int client = world_client(w);
    int server = world_server(w, 0);
    slow_reader(w, server, client, &only_relay(w)->client);
    send_text(client, "thanks");
    expect_text(w, server, "thanks");
    close(client);
    close(server);
    RUN_UNTIL(w->worker.loop, sl_service_connections(&w->service) == 0);
    world_free(w);
}

static void test_slow_server(void **state)
{
    struct world *w = world_new(state, true);
    world_open(w);
    int client = world_client(w);
    int server = world_server(w, 0);
    send_text(server, "go");
    expect_text(w, client, "go");
    slow_reader(w, client, server, &only_relay(w)->server);
    send_text(server, "thanks");
    expect_text(w, client, "thanks");
    close(server);
    close(client);
    RUN_UNTIL(w->worker.loop, sl_service_connections(&w->service) == 0);
    world_free(w);
}

/* The client is killed while a large result waits for it. */
static void test_client_vanishes_in_bulk(void **state)
{
    struct world *w = world_new(state, true);
    world_open(w);
    int client = world_client(w);
    int server = world_server(w, 0);
    uint64_t sent = 0;
    for (int i = 0; i < 200; i++) {
        sent = push(server, sent);
        sl_loop_turn(w->worker.loop, 0);
    }
    close(client);
    expect_end(w, server);
    RUN_UNTIL(w->worker.loop, sl_service_connections(&w->service) == 0);
    close(server);
    world_free(w);
}

/* ---- time ---- */

/* A server whose backlog is full does not answer: the next one is tried after connect_timeout. */
static void test_connect_timeout(void **state)
{
    struct world *w = world_new(state, true);
    w->settings.connect_timeout = 100;
    struct sockaddr_storage addr;
    socklen_t len;
    sl_server_address(w->servers[0], &addr, &len);
    listen(w->listening[0], 0);
    int fillers[4];
    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(fillers[i], (struct sockaddr *)&addr, len);
    }
    usleep(20 * 1000);
    world_open(w);
    uint64_t start = sl_loop_now_ms(w->worker.loop); /* of the last turn: the timer begins there */
    int client = world_client(w);
    int server = world_server(w, 1);
    assert_in_range(sl_clock_mono_ms() - start, 100, 60000);
    send_text(server, "hi");
    expect_text(w, client, "hi");
    /* A client that leaves while it waits for its server. */
    int impatient = world_client(w);
    run_turns(w->worker.loop, 2);
    assert_int_equal(sl_service_connections(&w->service), 2);
    close(impatient);
    RUN_UNTIL(w->worker.loop, sl_service_connections(&w->service) == 1);
    close(client);
    close(server);
    for (int i = 0; i < 4; i++) {
        close(fillers[i]);
    }
    world_free(w);
}

static void test_idle_timeout(void **state)
{
    struct world *w = world_new(state, true);
    w->settings.idle_timeout = 3000;
    world_open(w);
    int client = world_client(w);
    int server = world_server(w, 0);
    send_text(server, "hi");
    expect_text(w, client, "hi");
    uint64_t start = sl_clock_mono_ms();
    while (sl_clock_mono_ms() - start < 4000) { /* traffic keeps it */
        send_text(client, "x");
        expect_text(w, server, "x");
        sl_loop_turn(w->worker.loop, 20);
    }
    assert_int_equal(sl_service_connections(&w->service), 1);
    expect_end(w, client);
    expect_end(w, server);
    close(client);
    close(server);
    world_free(w);
}

/* ---- the rest ---- */

static void test_max_connections(void **state)
{
    struct world *w = world_new(state, true);
    w->service.settings.max_connections = 1;
    world_open(w);
    int client = world_client(w);
    int server = world_server(w, 0);
    int second = world_client(w);
    expect_end(w, second);
    assert_int_equal(w->tw->refused, 1);
    close(second);
    close(client);
    close(server);
    world_free(w);
}

static void test_proxy_headers(void **state)
{
    for (int version = SL_TCP_PROXY_V1; version <= SL_TCP_PROXY_V2; version++) {
        struct world *w = world_new(state, true);
        w->settings.send_proxy = version;
        world_open(w);
        int client = world_client(w);
        int server = world_server(w, 0);
        struct sockaddr_in own, peer;
        socklen_t len = sizeof own;
        getsockname(client, (struct sockaddr *)&own, &len);
        getpeername(client, (struct sockaddr *)&peer, &len);
        if (version == SL_TCP_PROXY_V1) {
            char line[128];
            snprintf(line, sizeof line, "PROXY TCP4 127.0.0.1 127.0.0.1 %u %u\r\n",
                     ntohs(own.sin_port), ntohs(peer.sin_port));
            expect_text(w, server, line);
        } else {
            uint8_t header[28];
            ssize_t n;
            RUN_UNTIL(w->worker.loop,
                      (n = recv(server, header, sizeof header, 0)) == (ssize_t)sizeof header);
            assert_memory_equal(header, "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", 16);
            assert_memory_equal(header + 24, &own.sin_port, 2);
        }
        send_text(client, "after");
        expect_text(w, server, "after");
        close(client);
        close(server);
        world_free(w);
    }
}

/* The client is a proxy: its header is taken off and the address in it is passed on. */
static void test_header_of_a_proxy(void **state)
{
    struct world *w = world_new(state, true);
    struct sl_listener listener = {.name = (char *)"front", .service = &w->service};
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_proxy_networks_parse("127.0.0.0/8", &listener.proxy_networks, &err), SL_OK);
    w->settings.send_proxy = SL_TCP_PROXY_V1;
    w->settings.connect_timeout = 200;
    world_open(w);
    w->listener = &listener;
    static const char header[] = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 3306\r\n";
    int client = world_client(w);
    send_text(client, "PROXY TCP4 192.0.2.7");
    run_turns(w->worker.loop, 3);
    assert_int_equal(sl_server_connections(w->servers[0]), 0);
    send_text(client, " 192.0.2.1 4711 3306\r\nearly");
    int server = world_server(w, 0);
    expect_text(w, server, header);
    expect_text(w, server, "early");
    send_text(client, "later");
    expect_text(w, server, "later");

    int silent = world_client(w); /* waits for a greeting: gets its server when the time is over */
    int second = world_server(w, 0);
    int wrong = world_client(w);
    send_text(wrong, "PROXY TCP4 nonsense\r\n");
    expect_end(w, wrong);
    close(wrong);
    close(silent);
    close(second);
    close(client);
    close(server);
    world_free(w);
    sl_proxy_networks_free(listener.proxy_networks);
}

static void test_end_of_worker(void **state)
{
    struct world *w = world_new(state, true);
    world_open(w);
    int clients[20], servers[20];
    for (int i = 0; i < 20; i++) {
        clients[i] = world_client(w);
        servers[i] = world_server(w, 0);
    }
    sl_tcp_relays_end(w->tw);
    assert_true(sl_list_is_empty(&w->tw->leaving));
    for (int i = 0; i < 20; i++) {
        close(clients[i]);
        close(servers[i]);
    }
    world_free(w);
}

/* Every allocation on the way of a connection fails once. */
static void test_out_of_memory(void **state)
{
    for (uint64_t n = 1; n < 6; n++) {
        struct world *w = world_new(state, true);
        world_open(w);
        sl_mem_fail_after(n);
        int client = world_client(w);
        run_turns(w->worker.loop, 5);
        send(client, "data", 4, MSG_NOSIGNAL);
        run_turns(w->worker.loop, 5);
        sl_mem_fail_after(0);
        close(client);
        run_turns(w->worker.loop, 5);
        world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_BOTH_MODES(test_both_ways),
        TEST_IN_BOTH_MODES(test_refused_then_next),
        TEST_IN_BOTH_MODES(test_dropped_then_next),
        TEST_IN_BOTH_MODES(test_nobody_there),
        TEST_IN_BOTH_MODES(test_statuses),
        TEST_IN_BOTH_MODES(test_no_roles_needed),
        TEST_IN_BOTH_MODES(test_cut_when_down),
        TEST_IN_BOTH_MODES(test_hang_up),
        TEST_IN_BOTH_MODES(test_hang_up_while_connecting),
        TEST_IN_BOTH_MODES(test_server_dies),
        TEST_IN_BOTH_MODES(test_client_half_close),
        TEST_IN_BOTH_MODES(test_server_half_close),
        TEST_IN_BOTH_MODES(test_slow_client),
        TEST_IN_BOTH_MODES(test_slow_server),
        TEST_IN_BOTH_MODES(test_client_vanishes_in_bulk),
        TEST_IN_BOTH_MODES(test_connect_timeout),
        TEST_IN_BOTH_MODES(test_idle_timeout),
        TEST_IN_BOTH_MODES(test_max_connections),
        TEST_IN_BOTH_MODES(test_proxy_headers),
        TEST_IN_BOTH_MODES(test_header_of_a_proxy),
        TEST_IN_BOTH_MODES(test_end_of_worker),
        TEST_IN_BOTH_MODES(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("tcp_relay", tests, leak_check_start, leak_check_end);
}
