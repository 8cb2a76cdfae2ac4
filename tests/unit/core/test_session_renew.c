/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that read open the replicas they have lost again, against fake servers. */
#include "session_world.h"

#include <string.h>

#include "base/clock.h"
#include "core/server.h"
#include "proto/handshake.h"

#define BACK 2 /* the server that goes and comes: s3 */
#define DEADLINE_MS 20000

/* One read, and time for what goes on besides: the fake servers remember FAKE_LOG statements. */
static struct answer read_one(struct world *w, struct client *c)
{
    struct answer a = client_query(w, c, "SELECT 1");
    assert_int_equal(a.kind, SL_REPLY_KIND_RESULTSET);
    uint64_t end_ms = sl_clock_mono_ms() + 40;
    while (sl_clock_mono_ms() < end_ms) {
        world_pump(w, 5);
    }
    return a;
}

/* Reads until one of them runs on the server. */
static void read_until_on(struct world *w, struct client *c, const char *server)
{
    uint64_t end_ms = sl_clock_mono_ms() + DEADLINE_MS;
    struct answer a;
    do {
        a = read_one(w, c);
    } while (strcmp(a.server, server) != 0 && sl_clock_mono_ms() < end_ms);
    assert_string_equal(a.server, server);
}

/* Reads until the server has been asked for so many connections since the test began. */
static void read_until_asked(struct world *w, struct client *c, unsigned server, unsigned count)
{
    uint64_t end_ms = sl_clock_mono_ms() + DEADLINE_MS;
    while (w->servers[server].accepted < count && sl_clock_mono_ms() < end_ms) {
        read_one(w, c);
    }
    assert_int_equal(w->servers[server].accepted, count);
}

static void read_for(struct world *w, struct client *c, uint64_t duration_ms)
{
    uint64_t end_ms = sl_clock_mono_ms() + duration_ms;
    while (sl_clock_mono_ms() < end_ms) {
        read_one(w, c);
    }
}

/* With the state of the session, and without any change of roles. */
static void test_a_lost_replica_is_read_again(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    expect_ok(&w, &c, "SET @a=1");
    fake_server_kill(&w.servers[BACK], false);
    read_until_on(&w, &c, "s3");
    assert_int_equal(fake_server_count(&w.servers[BACK], "SET @a=1"), 2);
    client_close(&c);
    world_down(&w);
}

static void test_not_more_than_slave_connections(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "slave_connections=1\n");
    client_open(&w, &c, CLIENT_CAPABILITIES);
    read_for(&w, &c, 2200);
    assert_int_equal(
        fake_server_connections(&w.servers[1]) + fake_server_connections(&w.servers[2]), 1);
    client_close(&c);
    world_down(&w);
}

/* At the start, a second later, two seconds later: what comes sooner comes too often. */
static void test_a_server_that_refuses_is_asked_less_often(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    uint64_t started_ms = sl_clock_mono_ms();
    client_open_all(&w, &c);
    w.servers[BACK].login = FAKE_LOGIN_CLOSE;
    fake_server_kill(&w.servers[BACK], false);
    read_until_asked(&w, &c, BACK, 3);
    assert_true(sl_clock_mono_ms() - started_ms >= 3000);
    w.servers[BACK].login = FAKE_LOGIN_OK;
    read_until_on(&w, &c, "s3");
    client_close(&c);
    world_down(&w);
}

static void test_a_server_that_refuses_the_user_is_left_alone(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    w.servers[BACK].login = FAKE_LOGIN_DENIED;
    fake_server_kill(&w.servers[BACK], false);
    read_until_asked(&w, &c, BACK, 2);
    read_for(&w, &c, 2500);
    assert_int_equal(w.servers[BACK].accepted, 2);
    client_close(&c);
    world_down(&w);
}

/* It may have to catch up: it is not given up for the rest of the session. */
static void test_a_server_that_is_behind_is_asked_again(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    expect_ok(&w, &c, "SET ROLE r");
    world_wait_connections(&w, BACK, 1);
    fake_server_break(&w.servers[BACK], FAKE_ERR_SYNTAX, "SET ROLE r");
    fake_server_kill(&w.servers[BACK], false);
    read_until_asked(&w, &c, BACK, 3);
    read_until_on(&w, &c, "s3");
    assert_int_equal(fake_server_count(&w.servers[BACK], "SET ROLE r"), 3);
    client_close(&c);
    world_down(&w);
}

/* The old primary is a replica now: its refusal is no lost primary. */
static void test_the_old_primary_refuses(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "master_failure_mode=fail_instantly\n");
    client_open_all(&w, &c);
    world_status(&w, PRIMARY, SL_SERVER_RUNNING | SL_SERVER_SLAVE | SL_SERVER_MAINT);
    world_wait_connections(&w, PRIMARY, 0);
    w.servers[PRIMARY].login = FAKE_LOGIN_CLOSE;
    world_status(&w, PRIMARY, SL_SERVER_RUNNING | SL_SERVER_SLAVE);
    read_until_asked(&w, &c, PRIMARY, 3);
    client_close(&c);
    world_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lost_replica_is_read_again),
        cmocka_unit_test(test_not_more_than_slave_connections),
        cmocka_unit_test(test_a_server_that_refuses_is_asked_less_often),
        cmocka_unit_test(test_a_server_that_refuses_the_user_is_left_alone),
        cmocka_unit_test(test_a_server_that_is_behind_is_asked_again),
        cmocka_unit_test(test_the_old_primary_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
