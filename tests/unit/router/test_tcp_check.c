/* SPDX-License-Identifier: Apache-2.0 */
/* Router tcp: own checks against listening sockets of the test, without a monitor. */
#include "tcp_harness.h"

static void test_hysteresis(void **state)
{
    static const char results[] = "+-+--+---+-++-+++";
    static const char states[] = "UUUUUUUUDDDDUUUUU";
    struct sl_tcp_hysteresis h = {0};
    for (size_t i = 0; results[i] != 0; i++) {
        bool was_up = h.is_up, was_known = h.is_known;
        bool is_news = sl_tcp_hysteresis_add(&h, results[i] == '+');
        assert_int_equal(h.is_up ? 'U' : 'D', states[i]);
        assert_int_equal(is_news, !was_known || h.is_up != was_up);
    }
    h = (struct sl_tcp_hysteresis){0};
    assert_true(sl_tcp_hysteresis_add(&h, false)); /* the first result counts at once */
    assert_false(h.is_up);
}

static void set_check(struct world *w, enum sl_tcp_check kind)
{
    w->settings.check = kind;
    w->settings.check_interval = 100;
    w->settings.connect_timeout = 5000;
}

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        for (int tries_ = 0; !(condition); tries_++) {                                             \
            if (tries_ > 12000) {                                                                  \
                fail_msg("line %d: never happened: %s", __LINE__, #condition);                     \
            }                                                                                      \
            poll(NULL, 0, 5);                                                                      \
        }                                                                                          \
    } while (0)

static bool is_running(const struct world *w, unsigned i)
{
    return (sl_server_status(w->servers[i]) & SL_SERVER_RUNNING) != 0;
}

/* check=monitor for servers without one becomes check=tcp. */
static void test_connect(void **state)
{
    struct world *w = world_new(state, false);
    set_check(w, SL_TCP_CHECK_MONITOR);
    world_close_server(w, 1);
    world_open(w);
    WAIT_FOR(is_running(w, 0) && is_running(w, 2));
    assert_false(is_running(w, 1));
    int client = world_client(w);
    /* The checks are in the queue of accepted connections, too: the client's is the one that
     * says something. */
    send_text(client, "me");
    sl_loop_turn(w->worker.loop, 50);
    assert_int_equal(sl_server_connections(w->servers[0]), 1);

    world_close_server(w, 0);
    WAIT_FOR(!is_running(w, 0));
    RUN_UNTIL(w->worker.loop, sl_service_connections(&w->service) == 0);
    close(client);
    world_free(w);
}

/* A server goes down for its third bad check and comes back for its second good one. */
static void test_down_and_up(void **state)
{
    struct world *w = world_new(state, false);
    set_check(w, SL_TCP_CHECK_CONNECT);
    world_open(w);
    WAIT_FOR(is_running(w, 2));
    uint16_t port = (uint16_t)w->servers[2]->settings.port;
    world_close_server(w, 2);
    WAIT_FOR(!is_running(w, 2));
    assert_true(sl_tcp_is_down(w->instance, 2));
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(fd, 16), 0);
    w->listening[2] = fd;
    WAIT_FOR(is_running(w, 2));
    assert_false(sl_tcp_is_down(w->instance, 2));
    world_free(w);
}

/* What a server of the test says to whom it accepts. */
struct talker {
    int listening;
    const void *text;
    size_t len;
    _Atomic bool must_stop;
    pthread_t thread;
};

static void *talk(void *arg)
{
    struct talker *t = arg;
    while (!atomic_load(&t->must_stop)) {
        int fd = accept4(t->listening, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            poll(NULL, 0, 2);
            continue;
        }
        ssize_t n = send(fd, t->text, t->len, MSG_NOSIGNAL);
        (void)n;
        close(fd);
    }
    return NULL;
}

/* db1 greets, db2 says ERR, db3 says nothing. */
static void test_greeting(void **state)
{
    static const char greeting[] = "\x0a\0\0\0\x0a"
                                   "5.5.5-10.11";
    static const char error[] = "\x07\0\0\0\xff\x10\x04"
                                "full";
    struct world *w = world_new(state, false);
    set_check(w, SL_TCP_CHECK_GREETING);
    struct talker talkers[2] = {
        {.listening = w->listening[0], .text = greeting, .len = sizeof greeting},
        {.listening = w->listening[1], .text = error, .len = sizeof error}};
    for (int i = 0; i < 2; i++) {
        pthread_create(&talkers[i].thread, NULL, talk, &talkers[i]);
    }
    world_open(w);
    WAIT_FOR(is_running(w, 0));
    assert_true(!is_running(w, 1) && !is_running(w, 2));
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_tcp_check_run(&w->instance->checks[1], 30000, &err), SL_EPROTO);
    assert_int_equal(sl_tcp_check_run(&w->instance->checks[2], 50, &err), SL_ETIMEOUT);
    for (int i = 0; i < 2; i++) {
        atomic_store(&talkers[i].must_stop, true);
        pthread_join(talkers[i].thread, NULL);
    }
    world_free(w);
}

/* A login waits for a silent server; the end does not wait for it. */
static void test_stop_is_quick(void **state)
{
    struct world *w = world_new(state, false);
    w->settings.check = SL_TCP_CHECK_LOGIN;
    w->settings.check_user = sl_strdup("nobody");
    w->settings.check_interval = 60000;
    w->settings.connect_timeout = 60000;
    world_open(w); /* gives up waiting for first results */
    assert_false(is_running(w, 0));
    uint64_t start = sl_clock_mono_ms();
    world_free(w);
    assert_true(sl_clock_mono_ms() - start < 30000);
}

static void test_admin_words_count(void **state)
{
    struct world *w = world_new(state, false);
    set_check(w, SL_TCP_CHECK_CONNECT);
    world_open(w);
    WAIT_FOR(is_running(w, 0) && is_running(w, 1) && is_running(w, 2));
    assert_int_equal(sl_tcp_choose(w->instance, 0), 0);
    sl_server_status_change(w->servers[0], SL_SERVER_MAINT, 0);
    assert_int_equal(sl_tcp_choose(w->instance, 0), 1);
    assert_int_equal(sl_tcp_choose(w->instance, 2), 2);
    sl_server_status_change(w->servers[2], SL_SERVER_DRAINING, 0);
    assert_int_equal(sl_tcp_choose(w->instance, 2), SL_TCP_NO_SERVER);
    assert_false(sl_tcp_is_down(w->instance, 0)); /* clients of a server in maintenance stay */
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hysteresis),
        TEST_IN_BOTH_MODES(test_connect),
        cmocka_unit_test_prestate(test_down_and_up, &MODE_RING),
        cmocka_unit_test_prestate(test_greeting, &MODE_RING),
        cmocka_unit_test_prestate(test_stop_is_quick, &MODE_RING),
        cmocka_unit_test_prestate(test_admin_words_count, &MODE_RING),
    };
    return cmocka_run_group_tests_name("tcp_check", tests, leak_check_start, leak_check_end);
}
