/* SPDX-License-Identifier: Apache-2.0 */
/* lazy_connect: which statement opens which connection, against fake servers. */
#include "session_world.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "core/server.h"
#include "proto/handshake.h"

#define LAZY "lazy_connect=true\n"

static unsigned open_connections(struct world *w)
{
    unsigned n = 0;
    for (unsigned i = 0; i < SERVERS; i++) {
        n += fake_server_connections(&w->servers[i]);
    }
    return n;
}

static void test_nothing_before_the_first_statement(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, LAZY);
    client_open(&w, &c, CLIENT_CAPABILITIES);
    world_pump(&w, 50);
    assert_int_equal(open_connections(&w), 0);
    expect_ok(&w, &c, "INSERT INTO t VALUES (1)");
    assert_int_equal(fake_server_connections(&w.servers[PRIMARY]), 1);
    assert_int_equal(open_connections(&w), 1);
    struct answer a = client_query(&w, &c, "SELECT 1");
    assert_string_not_equal(a.server, "s1");
    assert_int_equal(open_connections(&w), 2);
    client_close(&c);
    world_down(&w);
}

/* Sessions that open their one replica late spread over the replicas all the same. */
static void test_replicas_share(void **state)
{
    struct world w;
    struct client c[4];
    world_up(&w, LAZY);
    for (unsigned i = 0; i < SL_ARRAY_LEN(c); i++) {
        client_open(&w, &c[i], CLIENT_CAPABILITIES);
        client_query(&w, &c[i], "SELECT 1");
    }
    assert_int_equal(fake_server_connections(&w.servers[PRIMARY]), 0);
    assert_int_equal(fake_server_connections(&w.servers[1]), 2);
    assert_int_equal(fake_server_connections(&w.servers[2]), 2);
    for (unsigned i = 0; i < SL_ARRAY_LEN(c); i++) {
        client_close(&c[i]);
    }
    world_down(&w);
}

/* A session command that comes first opens a replica; what is opened later gets the state. */
static void test_session_command_first(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, LAZY);
    client_open(&w, &c, CLIENT_CAPABILITIES);
    expect_ok(&w, &c, "SET sql_mode=''");
    assert_int_equal(fake_server_connections(&w.servers[PRIMARY]), 0);
    assert_int_equal(open_connections(&w), 1);
    expect_ok(&w, &c, "INSERT INTO t VALUES (1)");
    assert_int_equal(fake_server_count(&w.servers[PRIMARY], "SET sql_mode=''"), 1);
    client_close(&c);
    world_down(&w);
}

static void test_session_command_first_on_the_primary(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, LAZY "master_accept_reads=true\n");
    client_open(&w, &c, CLIENT_CAPABILITIES);
    expect_ok(&w, &c, "SET sql_mode=''");
    assert_int_equal(fake_server_connections(&w.servers[PRIMARY]), 1);
    assert_int_equal(open_connections(&w), 1);
    client_close(&c);
    world_down(&w);
}

/* A statement prepared on the one server there was runs on the primary, which is opened for it. */
static void test_prepared(void **state)
{
    static const char sql[] = "INSERT INTO t VALUES (1)";
    struct world w;
    struct client c;
    world_up(&w, LAZY);
    client_open(&w, &c, CLIENT_CAPABILITIES);
    client_send(&c, SL_COM_STMT_PREPARE, sql, sizeof sql - 1);
    struct answer a = client_wait(&w, &c, SL_COM_STMT_PREPARE, 60000);
    assert_int_equal(fake_server_connections(&w.servers[PRIMARY]), 0);
    uint8_t arg[9] = {0};
    sl_put_le32(arg, a.stmt_id);
    sl_put_le32(arg + 5, 1);
    client_send(&c, SL_COM_STMT_EXECUTE, arg, sizeof arg);
    a = client_wait(&w, &c, SL_COM_STMT_EXECUTE, 60000);
    assert_int_equal(a.affected_rows, 101);
    client_close(&c);
    world_down(&w);
}

static void test_transaction_first(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, LAZY);
    client_open(&w, &c, CLIENT_CAPABILITIES);
    expect_ok(&w, &c, "BEGIN");
    expect_select_on(&w, &c, "SELECT 1", "s1");
    expect_ok(&w, &c, "COMMIT");
    assert_int_equal(open_connections(&w), 1);
    client_close(&c);
    world_down(&w);
}

/* fail_instantly would refuse a session without a primary: with lazy_connect nobody has looked. */
static void test_no_primary(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, LAZY "master_failure_mode=fail_instantly\n");
    world_status(&w, PRIMARY, SL_SERVER_RUNNING);
    client_open(&w, &c, CLIENT_CAPABILITIES);
    struct answer a = client_query(&w, &c, "SELECT 1");
    assert_string_not_equal(a.server, "s1");
    a = client_query(&w, &c, "INSERT INTO t VALUES (1)");
    assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
    client_close(&c);
    world_down(&w);
}

static void test_no_server(void **state)
{
    struct world w;
    struct client c;
    struct answer a;
    world_up(&w, LAZY);
    for (unsigned i = 0; i < SERVERS; i++) {
        world_status(&w, i, 0);
    }
    client_open_at(&w, &c, w.port, CLIENT_CAPABILITIES, &a);
    assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
    client_close(&c);
    world_down(&w);
}

/* The first statement's server refuses to be connected: the next one serves it. */
static void test_connecting_fails(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, LAZY);
    client_open(&w, &c, CLIENT_CAPABILITIES);
    fake_server_kill(&w.servers[1], true);
    expect_select_on(&w, &c, "SELECT 1", "s3");
    expect_select_on(&w, &c, "SELECT 1", "s3");
    client_close(&c);
    world_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_before_the_first_statement),
        cmocka_unit_test(test_replicas_share),
        cmocka_unit_test(test_session_command_first),
        cmocka_unit_test(test_session_command_first_on_the_primary),
        cmocka_unit_test(test_prepared),
        cmocka_unit_test(test_transaction_first),
        cmocka_unit_test(test_no_primary),
        cmocka_unit_test(test_no_server),
        cmocka_unit_test(test_connecting_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
