/* SPDX-License-Identifier: Apache-2.0 */
/* reuse_prepared_statements from end to end against fake servers: what serves again, and what not. */
#include "session_world.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/assert.h"
#include "core/server.h"
#include "proto/handshake.h"

#define REUSE "reuse_prepared_statements=true\n"

static uint32_t prepare(struct world *w, struct client *c, const char *sql)
{
    client_send(c, SL_COM_STMT_PREPARE, sql, strlen(sql));
    return client_wait(w, c, SL_COM_STMT_PREPARE, 60000).stmt_id;
}

static struct answer execute(struct world *w, struct client *c, uint32_t id)
{
    uint8_t arg[9] = {0};
    sl_put_le32(arg, id);
    sl_put_le32(arg + 5, 1);
    client_send(c, SL_COM_STMT_EXECUTE, arg, sizeof arg);
    return client_wait(w, c, SL_COM_STMT_EXECUTE, 60000);
}

static void close_stmt(struct client *c, uint32_t id)
{
    uint8_t arg[4];
    sl_put_le32(arg, id);
    client_send(c, SL_COM_STMT_CLOSE, arg, sizeof arg);
}

static uint64_t reused(struct world *w)
{
    return SL_SERVICE_SUM(w->core->services[0], prepared_reused);
}

static void up(struct world *w, struct client *c, const char *lines)
{
    world_up(w, lines);
    client_open_all(w, c);
}

static void down(struct world *w, struct client *c)
{
    client_close(c);
    world_down(w);
}

static void test_serves_again(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REUSE);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(prepare(&w, &c, "INSERT INTO t VALUES (?)"), 1);
        assert_int_equal(execute(&w, &c, 1).affected_rows, 101);
        close_stmt(&c, 1);
    }
    assert_int_equal(fake_server_count(&w.servers[PRIMARY], "PREPARE"), 1);
    assert_int_equal(reused(&w), 4);
    assert_int_equal(execute(&w, &c, 1).code, SL_ER_UNKNOWN_STMT_HANDLER); /* it is closed */
    close_stmt(&c, 1);                                                     /* twice: nothing */
    assert_int_equal(prepare(&w, &c, "INSERT INTO t VALUES (?) "), 2);     /* another text */
    down(&w, &c);
}

/* Two open statements with one id would share parameter types and cursor. */
static void test_open_ones_are_not_shared(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REUSE);
    assert_int_equal(prepare(&w, &c, "SELECT 1"), 1);
    assert_int_equal(prepare(&w, &c, "SELECT 1"), 2);
    close_stmt(&c, 1);
    assert_int_equal(prepare(&w, &c, "SELECT 1"), 1);
    assert_int_equal(prepare(&w, &c, "SELECT 1"), 3);
    assert_int_equal(reused(&w), 1);
    down(&w, &c);
}

static void test_off(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, "");
    for (unsigned i = 0; i < 3; i++) {
        close_stmt(&c, prepare(&w, &c, "SELECT 1"));
    }
    assert_int_equal(fake_server_count(&w.servers[PRIMARY], "PREPARE"), 3);
    assert_int_equal(reused(&w), 0);
    down(&w, &c);
}

/* The same text may mean something else now. */
static void test_stale(void **state)
{
    static const char *const changes[] = {"SET sql_mode='ANSI'",
                                          "USE other",
                                          "CREATE TABLE u (a INT)",
                                          "DROP TABLE u",
                                          "CREATE TEMPORARY TABLE v (a INT)",
                                          "INSERT INTO t VALUES (1); SET NAMES latin1"};
    struct world w;
    struct client c;
    up(&w, &c, REUSE);
    for (unsigned i = 0; i < SL_ARRAY_LEN(changes); i++) {
        close_stmt(&c, prepare(&w, &c, "SELECT 1"));
        expect_ok(&w, &c, changes[i]);
    }
    assert_int_equal(reused(&w), 0);
    assert_int_equal(fake_server_count(&w.servers[PRIMARY], "PREPARE"), SL_ARRAY_LEN(changes));
    close_stmt(&c, prepare(&w, &c, "SELECT 1"));
    expect_ok(&w, &c, "INSERT INTO t VALUES (1)");
    expect_ok(&w, &c, "BEGIN");
    expect_ok(&w, &c, "COMMIT");
    assert_int_equal(prepare(&w, &c, "SELECT 1"), 1);
    assert_int_equal(reused(&w), 1);
    down(&w, &c);
}

static void test_reset(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REUSE);
    close_stmt(&c, prepare(&w, &c, "SELECT 1"));
    client_send(&c, SL_COM_RESET_CONNECTION, NULL, 0);
    client_wait(&w, &c, SL_COM_RESET_CONNECTION, 60000);
    prepare(&w, &c, "SELECT 1");
    assert_int_equal(reused(&w), 0);
    down(&w, &c);
}

/* A failed PREPARE is asked anew each time. */
static void test_failed(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REUSE);
    for (unsigned i = 0; i < SERVERS; i++) {
        fake_server_break(&w.servers[i], FAKE_ERR_SYNTAX, "PREPARE");
    }
    client_send(&c, SL_COM_STMT_PREPARE, "SELECT 1", 8);
    assert_int_equal(client_wait(&w, &c, SL_COM_STMT_PREPARE, 60000).kind, SL_REPLY_KIND_ERR);
    assert_int_equal(prepare(&w, &c, "SELECT 1"), 1);
    assert_int_equal(reused(&w), 0);
    down(&w, &c);
}

/* A kept statement is part of the state of a new connection. */
static void test_new_connection(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REUSE);
    uint32_t id = prepare(&w, &c, "INSERT INTO t VALUES (1)");
    close_stmt(&c, id);
    fake_server_kill(&w.servers[PRIMARY], false);
    for (unsigned i = 0; i < 60000 && sl_server_connections(w.core->servers[PRIMARY]) > 0; i++) {
        world_pump(&w, 1); /* until the loss is noticed */
    }
    expect_ok(&w, &c, "INSERT INTO t VALUES (2)");
    assert_int_equal(prepare(&w, &c, "INSERT INTO t VALUES (1)"), id);
    assert_int_equal(execute(&w, &c, id).affected_rows, 101);
    assert_int_equal(reused(&w), 1);
    down(&w, &c);
}

static unsigned closed_on(struct world *w, unsigned server)
{
    return fake_server_count(&w->servers[server], "COM_STMT_CLOSE");
}

/* More texts than may be kept: those that rested longest are closed, on the servers too. */
static void test_bound(void **state)
{
    struct world w;
    struct client c;
    char sql[64];
    up(&w, &c, REUSE);
    for (unsigned i = 0; i < 140; i++) {
        snprintf(sql, sizeof sql, "SELECT %u", i);
        close_stmt(&c, prepare(&w, &c, sql));
    }
    close_stmt(&c, prepare(&w, &c, "SELECT 0")); /* one of those that had to go */
    assert_int_equal(reused(&w), 0);
    prepare(&w, &c, "SELECT 139");
    assert_int_equal(reused(&w), 1);
    const unsigned closed = 141 - 128;
    for (unsigned i = 0; i < 5000 && closed_on(&w, PRIMARY) < closed; i++) {
        world_pump(&w, 1);
    }
    assert_int_equal(closed_on(&w, PRIMARY), closed);
    down(&w, &c);
}

/* All are open: nothing can be closed, and what comes more is simply not kept. */
static void test_all_open(void **state)
{
    struct world w;
    struct client c;
    char sql[64];
    up(&w, &c, REUSE);
    for (unsigned i = 0; i < 130; i++) {
        snprintf(sql, sizeof sql, "SELECT %u", i);
        assert_int_equal(prepare(&w, &c, sql), i + 1);
    }
    close_stmt(&c, 130);
    assert_int_equal(prepare(&w, &c, "SELECT 129"), 130);
    assert_int_equal(reused(&w), 0);
    close_stmt(&c, 1);
    assert_int_equal(prepare(&w, &c, "SELECT 0"), 1);
    assert_int_equal(reused(&w), 1);
    down(&w, &c);
}

/* In a transaction nothing is closed for want of room. */
static void test_transaction(void **state)
{
    struct world w;
    struct client c;
    char sql[64];
    up(&w, &c, REUSE);
    for (unsigned i = 0; i < 128; i++) {
        snprintf(sql, sizeof sql, "SELECT %u", i);
        close_stmt(&c, prepare(&w, &c, sql));
    }
    expect_ok(&w, &c, "BEGIN");
    prepare(&w, &c, "SELECT 1000");
    expect_ok(&w, &c, "COMMIT");
    assert_int_equal(closed_on(&w, PRIMARY), 0);
    down(&w, &c);
}

static void test_no_allocation(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REUSE);
    for (unsigned i = 0; i < SERVERS; i++) {
        w.servers[i].keeps_quiet = true;
    }
    uint64_t before = 0;
    for (unsigned i = 0; i < 1000; i++) {
        before = i == 100 ? world_allocations(&w) : before;
        uint32_t id = prepare(&w, &c, "INSERT INTO t VALUES (1)");
        execute(&w, &c, id);
        close_stmt(&c, id);
    }
    assert_int_equal(world_allocations(&w), before);
    down(&w, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serves_again),
        cmocka_unit_test(test_open_ones_are_not_shared),
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_failed),
        cmocka_unit_test(test_new_connection),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_all_open),
        cmocka_unit_test(test_transaction),
        cmocka_unit_test(test_no_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
