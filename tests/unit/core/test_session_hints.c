/* SPDX-License-Identifier: Apache-2.0 */
/* Hints from end to end against fake servers: the filter, the session's stack, held statements. */
#include "session_world.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "core/server.h"
#include "proto/handshake.h"

#define HINTS "filters=Hints\n[Hints]\ntype=filter\nmodule=hintfilter\n"

static void test_routes(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, HINTS);
    client_open_all(&w, &c);
    for (unsigned i = 0; i < 2; i++) {
        expect_select_on(&w, &c, "SELECT 1 -- maxscale route to master", "s1");
        expect_select_on(&w, &c, "SELECT 1 # maxscale route to server s2", "s2");
        expect_select_on(&w, &c, "SELECT 1 /* maxscale route to last */", "s2");
        expect_select_on(&w, &c, "SELECT 1 /* maxscale route to server s3 */", "s3");
    }
    struct answer a = client_query(&w, &c, "SELECT * FROM t FOR UPDATE -- maxscale route to slave");
    assert_string_not_equal(a.server, "s1");
    a = client_query(&w, &c, "SELECT 1 -- maxscale route to server nobody");
    assert_string_not_equal(a.server, "s1");
    expect_ok(&w, &c, "INSERT INTO t VALUES (1) -- maxscale route to server s3");
    assert_int_equal(fake_server_count(&w.servers[2], "INSERT"), 1);
    assert_int_equal(world_count(&w, "INSERT"), 1);
    client_close(&c);
    world_down(&w);
}

/* Without the filter comments are comments. */
static void test_no_filter(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    struct answer a = client_query(&w, &c, "SELECT 1 -- maxscale route to master");
    assert_string_not_equal(a.server, "s1");
    client_close(&c);
    world_down(&w);
}

static void test_stack(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, HINTS);
    client_open_all(&w, &c);
    expect_select_on(&w, &c, "SELECT 1 -- maxscale m prepare route to server s2", "s2");
    expect_select_on(&w, &c, "SELECT 1 -- maxscale m begin", "s2");
    expect_select_on(&w, &c, "SELECT 1", "s2");
    expect_select_on(&w, &c, "SELECT 1 -- maxscale begin route to master", "s1");
    expect_select_on(&w, &c, "SELECT 1", "s1");
    expect_select_on(&w, &c, "SELECT 1 -- maxscale end", "s2");
    /* a pool gives the connection to somebody else */
    client_send(&c, SL_COM_RESET_CONNECTION, NULL, 0);
    assert_int_equal(client_wait(&w, &c, SL_COM_RESET_CONNECTION, 60000).kind, SL_REPLY_KIND_OK);
    struct answer first = client_query(&w, &c, "SELECT 1 -- maxscale m begin");
    struct answer second = client_query(&w, &c, "SELECT 1");
    assert_string_not_equal(first.server, second.server); /* the replicas take turns */
    client_close(&c);
    world_down(&w);
}

static void test_transactions(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, HINTS);
    client_open_all(&w, &c);
    expect_ok(&w, &c, "BEGIN -- maxscale route to slave");
    expect_select_on(&w, &c, "SELECT 1 -- maxscale route to slave", "s1");
    expect_ok(&w, &c, "COMMIT -- maxscale route to slave");
    assert_int_equal(fake_server_count(&w.servers[PRIMARY], "COMMIT"), 1);
    expect_ok(&w, &c, "START TRANSACTION READ ONLY -- maxscale route to server s3");
    expect_select_on(&w, &c, "SELECT 1 -- maxscale route to server s2", "s3");
    expect_ok(&w, &c, "COMMIT");
    assert_int_equal(fake_server_count(&w.servers[2], "COMMIT"), 1);
    client_close(&c);
    world_down(&w);
}

/* The statement has to wait for its connection and is routed again: `begin` has counted once. */
static void test_held(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "lazy_connect=true\n" HINTS);
    client_open(&w, &c, CLIENT_CAPABILITIES);
    expect_select_on(&w, &c, "SELECT 1 -- maxscale begin route to server s3", "s3");
    expect_select_on(&w, &c, "SELECT 1 -- maxscale begin route to master", "s1");
    expect_select_on(&w, &c, "SELECT 1 -- maxscale end", "s3");
    struct answer a = client_query(&w, &c, "SELECT 1 -- maxscale end");
    assert_string_not_equal(a.server, "s1");
    assert_int_equal(fake_server_connections(&w.servers[1]), 0);
    client_close(&c);
    world_down(&w);
}

/* A named server that cannot be connected, or dies under the read: somebody else answers. */
static void test_named_server_fails(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "lazy_connect=true\n" HINTS);
    client_open(&w, &c, CLIENT_CAPABILITIES);
    fake_server_kill(&w.servers[2], true);
    expect_select_on(&w, &c, "SELECT 1 -- maxscale route to server s3", "s2");
    fake_server_revive(&w.servers[2]);
    expect_select_on(&w, &c, "SELECT 1 -- maxscale route to server s3", "s3");
    fake_server_break(&w.servers[2], FAKE_CLOSE_BEFORE, "SELECT 2");
    expect_select_on(&w, &c, "SELECT 2 -- maxscale route to server s3", "s2");
    client_close(&c);
    world_down(&w);
}

/* A write that a hint sent to a replica is not run again when the replica dies under it. */
static void test_write_is_sent_once(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, HINTS);
    client_open_all(&w, &c);
    fake_server_break(&w.servers[2], FAKE_CLOSE_BEFORE, "INSERT");
    struct answer a =
        client_query(&w, &c, "INSERT INTO t VALUES (1) -- maxscale route to server s3");
    assert_int_equal(a.code, SL_ER_ERROR_DURING_COMMIT); /* the outcome is unknown */
    assert_int_equal(world_count(&w, "INSERT"), 1);
    client_close(&c);
    world_down(&w);
}

static uint32_t prepare(struct world *w, struct client *c, const char *sql)
{
    client_send(c, SL_COM_STMT_PREPARE, sql, strlen(sql));
    return client_wait(w, c, SL_COM_STMT_PREPARE, 60000).stmt_id;
}

/* The server whose id the execution had: fake ones answer with server * 100 + id. */
static uint64_t executed_on(struct world *w, struct client *c, uint32_t id)
{
    uint8_t arg[9] = {0};
    sl_put_le32(arg, id);
    sl_put_le32(arg + 5, 1);
    client_send(c, SL_COM_STMT_EXECUTE, arg, sizeof arg);
    return client_wait(w, c, SL_COM_STMT_EXECUTE, 60000).affected_rows / 100;
}

static void test_prepared(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, HINTS);
    client_open_all(&w, &c);
    uint32_t hinted = prepare(&w, &c, "SELECT 1 -- maxscale route to server s3");
    uint32_t plain = prepare(&w, &c, "SELECT 2");
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(executed_on(&w, &c, hinted), 3);
    }
    expect_select_on(&w, &c, "SELECT 1 -- maxscale begin route to master", "s1");
    assert_int_equal(executed_on(&w, &c, plain), 1);
    assert_int_equal(executed_on(&w, &c, hinted), 3);
    client_close(&c);
    world_down(&w);
}

/* One allocation for the stack of a session, none for a statement. */
static void test_no_allocation_per_query(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, HINTS);
    client_open_all(&w, &c);
    for (unsigned i = 0; i < SERVERS; i++) {
        w.servers[i].keeps_quiet = true;
    }
    for (unsigned i = 0; i < 50; i++) {
        client_query(&w, &c, "SELECT 1 -- maxscale x begin route to master");
        client_query(&w, &c, "SELECT 1 -- maxscale end");
    }
    uint64_t before = world_allocations(&w);
    for (unsigned i = 0; i < 500; i++) {
        client_query(&w, &c, "SELECT 1 -- maxscale x begin route to master");
        client_query(&w, &c, "SELECT 1 -- maxscale end");
        client_query(&w, &c, "SELECT 1 -- maxscale route to server s3");
    }
    assert_int_equal(world_allocations(&w), before);
    client_close(&c);
    world_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_no_filter),
        cmocka_unit_test(test_stack),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_named_server_fails),
        cmocka_unit_test(test_write_is_sent_once),
        cmocka_unit_test(test_prepared),
        cmocka_unit_test(test_no_allocation_per_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
