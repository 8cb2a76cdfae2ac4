/* SPDX-License-Identifier: Apache-2.0 */
/* optimistic_trx against fake servers: what each of them is told. s1 is the Master. */
#include "replay_steps.h"

#define OPTIMISTIC "optimistic_trx=true\nmaster_failure_mode=error_on_write\n"

/* The replica that has begun the transaction. */
static struct fake_server *begun_on(struct world *w)
{
    for (unsigned i = 1; i < SERVERS; i++) {
        if (fake_server_count(&w->servers[i], "BEGIN") > 0) {
            return &w->servers[i];
        }
    }
    fail_msg("no replica has begun a transaction");
    return NULL;
}

static void test_reads_stay(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, OPTIMISTIC);
    for (unsigned i = 0; i < 3; i++) {
        world_forget(&w);
        expect_ok(&w, &c, "BEGIN");
        expect_select_on(&w, &c, "SELECT 1", same_rows);
        expect_select_on(&w, &c, "SELECT 2", same_rows);
        expect_ok(&w, &c, i == 1 ? "ROLLBACK" : "COMMIT");
        EXPECT_LOG(begun_on(&w), "BEGIN", "SELECT 1", "SELECT 2", i == 1 ? "ROLLBACK" : "COMMIT");
        assert_int_equal(w.servers[PRIMARY].logged, 0);
    }
    down(&w, &c);
}

static void test_write_moves(void **state)
{
    static const char *const writes[] = {"INSERT 1", "SELECT 3 FOR UPDATE", "SELECT f(1)"};
    for (unsigned i = 0; i < SL_ARRAY_LEN(writes); i++) {
        struct world w;
        struct client c;
        up(&w, &c, OPTIMISTIC);
        world_forget(&w);
        expect_ok(&w, &c, "BEGIN");
        expect_select_on(&w, &c, "SELECT 1", same_rows);
        struct answer a = client_query(&w, &c, writes[i]);
        assert_true(a.kind == SL_REPLY_KIND_OK || a.kind == SL_REPLY_KIND_RESULTSET);
        expect_select_on(&w, &c, "SELECT 2", same_rows);
        expect_ok(&w, &c, "COMMIT");
        EXPECT_LOG(&w.servers[PRIMARY], "BEGIN", "SELECT 1", writes[i], "SELECT 2", "COMMIT");
        EXPECT_LOG(begun_on(&w), "BEGIN", "SELECT 1", "ROLLBACK");
        world_forget(&w);
        expect_ok(&w, &c, "BEGIN"); /* the next one begins on a replica again */
        expect_ok(&w, &c, "COMMIT");
        assert_int_equal(w.servers[PRIMARY].logged, 0);
        down(&w, &c);
    }
}

/* The primary shows other rows than the client has seen: rolled back, the session lives. */
static void test_results_differ(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, OPTIMISTIC);
    w.servers[PRIMARY].alias = "other";
    expect_ok(&w, &c, "BEGIN");
    expect_select_on(&w, &c, "SELECT 1", same_rows);
    struct answer a = client_query(&w, &c, "INSERT 1");
    assert_int_equal(a.code, SL_ER_LOCK_DEADLOCK);
    assert_int_equal(world_count(&w, "INSERT"), 0);
    expect_ok(&w, &c, "INSERT 2");
    down(&w, &c);
}

static void test_replica_lost(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, OPTIMISTIC);
    world_forget(&w);
    expect_ok(&w, &c, "BEGIN");
    expect_select_on(&w, &c, "SELECT 1", same_rows);
    fake_server_break(begun_on(&w), FAKE_CLOSE_BEFORE, "SELECT 2");
    expect_select_on(&w, &c, "SELECT 2", same_rows);
    expect_ok(&w, &c, "INSERT 1");
    expect_ok(&w, &c, "COMMIT");
    EXPECT_LOG(&w.servers[PRIMARY], "BEGIN", "SELECT 1", "SELECT 2", "INSERT 1", "COMMIT");
    down(&w, &c);
}

/* Without its ROLLBACK the replica would serve later reads from the transaction's snapshot. */
static void test_rollback_fails(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, OPTIMISTIC);
    world_forget(&w);
    expect_ok(&w, &c, "BEGIN");
    struct fake_server *replica = begun_on(&w);
    fake_server_break(replica, FAKE_ERR_SYNTAX, "ROLLBACK");
    expect_ok(&w, &c, "INSERT 1");
    expect_ok(&w, &c, "COMMIT");
    for (unsigned i = 0; i < 5000 && fake_server_connections(replica) > 0; i++) {
        world_pump(&w, 1);
    }
    assert_int_equal(fake_server_connections(replica), 0);
    down(&w, &c);
}

static void test_session_state(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, OPTIMISTIC);
    expect_ok(&w, &c, "BEGIN");
    expect_ok(&w, &c, "SET @x=1");
    expect_ok(&w, &c, "INSERT 1");
    expect_ok(&w, &c, "COMMIT");
    assert_int_equal(fake_server_count(&w.servers[PRIMARY], "INSERT 1"), 1);
    assert_int_equal(fake_server_count(&w.servers[PRIMARY], "COMMIT"), 1);
    down(&w, &c);
}

static void begins_on_primary(struct world *w, struct client *c, const char *begin)
{
    world_forget(w);
    expect_ok(w, c, begin);
    assert_int_equal(fake_server_count(&w->servers[PRIMARY], begin), 1);
    expect_ok(w, c, "COMMIT");
}

static void test_not_used(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, OPTIMISTIC);
    expect_ok(&w, &c, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
    begins_on_primary(&w, &c, "BEGIN"); /* only the primary knows of it */
    expect_ok(&w, &c, "CREATE TEMPORARY TABLE v (a INT)");
    begins_on_primary(&w, &c, "BEGIN");
    expect_ok(&w, &c, "DROP TEMPORARY TABLE v");
    expect_ok(&w, &c, "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE");
    begins_on_primary(&w, &c, "BEGIN");
    down(&w, &c);
    up(&w, &c, REPLAY);
    begins_on_primary(&w, &c, "BEGIN");
    down(&w, &c);
}

static void test_read_only_transaction(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, OPTIMISTIC);
    world_forget(&w);
    expect_ok(&w, &c, "START TRANSACTION READ ONLY");
    expect_select_on(&w, &c, "SELECT f(1)", same_rows);
    expect_ok(&w, &c, "COMMIT");
    assert_int_equal(w.servers[PRIMARY].logged, 0);
    down(&w, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_stay),     cmocka_unit_test(test_write_moves),
        cmocka_unit_test(test_results_differ), cmocka_unit_test(test_replica_lost),
        cmocka_unit_test(test_rollback_fails), cmocka_unit_test(test_session_state),
        cmocka_unit_test(test_not_used),       cmocka_unit_test(test_read_only_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
