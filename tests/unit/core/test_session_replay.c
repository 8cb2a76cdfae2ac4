/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transaction replay against fake servers: the primary is lost at every step of a transaction, and
 * s2 takes over. What each server was told is compared statement by statement. Rows carry the
 * server's name unless an alias is set: that is how results are made to differ.
 */
#include "replay_steps.h"

static void test_lost_in_the_middle(void **state)
{
    static const enum fake_fault faults[] = {
        FAKE_CLOSE_BEFORE,  FAKE_RST_BEFORE,   FAKE_CUT_HEADER,   FAKE_GARBAGE,
        FAKE_ERR_NOT_READY, FAKE_ERR_SHUTDOWN, FAKE_ERR_READ_ONLY};
    for (unsigned i = 0; i < SL_ARRAY_LEN(faults); i++) {
        struct world w;
        struct client c;
        up(&w, &c, REPLAY);
        expect_ok(&w, &c, "BEGIN");
        expect_ok(&w, &c, "INSERT 1");
        expect_select_on(&w, &c, "SELECT 1", same_rows);
        world_forget(&w);
        struct answer a = break_at(&w, &c, "INSERT 2", faults[i]);
        if (a.kind != SL_REPLY_KIND_OK) {
            fail_msg("fault %d: %u %s", faults[i], a.code, a.message);
        }
        assert_true(a.status & SL_STATUS_IN_TRANS);
        expect_ok(&w, &c, "COMMIT");
        EXPECT_LOG(&w.servers[1], "BEGIN", "INSERT 1", "SELECT 1", "INSERT 2", "COMMIT");
        assert_int_equal(SL_SERVICE_SUM(w.core->services[0], replays_started), 1);
        assert_int_equal(SL_SERVICE_SUM(w.core->services[0], replays_done), 1);
        expect_select_on(&w, &c, "SELECT 'after'", NULL);
        down(&w, &c);
    }
}

static void test_lost_while_idle(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    expect_ok(&w, &c, "BEGIN");
    expect_ok(&w, &c, "INSERT 1");
    world_forget(&w);
    world_lose_primary(&w);
    world_status(&w, 0, 0);
    world_status(&w, 1, SL_SERVER_RUNNING | SL_SERVER_MASTER);
    expect_ok(&w, &c, "COMMIT");
    EXPECT_LOG(&w.servers[1], "BEGIN", "INSERT 1", "COMMIT");
    assert_int_equal(SL_SERVICE_SUM(w.core->services[0], replays_done), 1);
    down(&w, &c);
}

/* A demoted server of a replicated set is left although it still answers. */
static void test_primary_moves_in_transaction(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    expect_ok(&w, &c, "BEGIN");
    expect_ok(&w, &c, "INSERT 1");
    world_forget(&w);
    move_primary(&w);
    expect_ok(&w, &c, "INSERT 2");
    expect_ok(&w, &c, "COMMIT");
    EXPECT_LOG(&w.servers[1], "BEGIN", "INSERT 1", "INSERT 2", "COMMIT");
    assert_int_equal(fake_server_count(&w.servers[0], "COMMIT"), 0);
    down(&w, &c);
}

static void test_lost_in_begin(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    struct answer a = break_at(&w, &c, "START TRANSACTION", FAKE_RST_BEFORE);
    assert_int_equal(a.kind, SL_REPLY_KIND_OK);
    assert_true(a.status & SL_STATUS_IN_TRANS);
    expect_ok(&w, &c, "INSERT 1");
    expect_ok(&w, &c, "COMMIT");
    assert_int_equal(fake_server_count(&w.servers[1], "INSERT 1"), 1);
    down(&w, &c);
}

static void test_autocommit_off(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    expect_ok(&w, &c, "SET autocommit=0");
    world_forget(&w);
    struct answer a = break_at(&w, &c, "INSERT 1", FAKE_RST_BEFORE);
    assert_int_equal(a.kind, SL_REPLY_KIND_OK);
    expect_ok(&w, &c, "COMMIT");
    EXPECT_LOG(&w.servers[1], "INSERT 1", "COMMIT");
    down(&w, &c);
}

/* ---- COMMIT ---- */

static void test_commit_lost(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    expect_ok(&w, &c, "BEGIN");
    expect_ok(&w, &c, "INSERT 1");
    world_forget(&w);
    struct answer a = break_at(&w, &c, "COMMIT", FAKE_RST_BEFORE);
    assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
    assert_int_equal(a.code, SL_ER_ERROR_DURING_COMMIT);
    assert_non_null(strstr(a.message, "outcome unknown"));
    assert_int_equal(fake_server_count(&w.servers[1], "INSERT"), 0);
    assert_int_equal(SL_SERVICE_SUM(w.core->services[0], unknown_outcomes), 1);
    expect_ok(&w, &c, "INSERT 2"); /* the session lives, without a transaction */
    assert_int_equal(fake_server_count(&w.servers[1], "INSERT 2"), 1);
    down(&w, &c);
}

/* Refused for certain: another server does it. */
static void test_commit_refused(void **state)
{
    static const enum fake_fault faults[] = {FAKE_ERR_NOT_READY, FAKE_ERR_READ_ONLY};
    for (unsigned i = 0; i < SL_ARRAY_LEN(faults); i++) {
        struct world w;
        struct client c;
        up(&w, &c, REPLAY);
        expect_ok(&w, &c, "BEGIN");
        expect_ok(&w, &c, "INSERT 1");
        world_forget(&w);
        struct answer a = break_at(&w, &c, "COMMIT", faults[i]);
        assert_int_equal(a.kind, SL_REPLY_KIND_OK);
        EXPECT_LOG(&w.servers[1], "BEGIN", "INSERT 1", "COMMIT");
        down(&w, &c);
    }
}

/* The shutdown may have come after the commit: the client gets the server's error. */
static void test_commit_shutdown(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    expect_ok(&w, &c, "BEGIN");
    expect_ok(&w, &c, "INSERT 1");
    struct answer a = break_at(&w, &c, "COMMIT", FAKE_ERR_SHUTDOWN);
    assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
    assert_int_equal(fake_server_count(&w.servers[1], "INSERT"), 0);
    down(&w, &c);
}

static void test_unsafe_commit(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY "transaction_replay_safe_commit=false\n");
    expect_ok(&w, &c, "BEGIN");
    expect_ok(&w, &c, "INSERT 1");
    world_forget(&w);
    struct answer a = break_at(&w, &c, "COMMIT", FAKE_RST_BEFORE);
    assert_int_equal(a.kind, SL_REPLY_KIND_OK);
    EXPECT_LOG(&w.servers[1], "BEGIN", "INSERT 1", "COMMIT");
    down(&w, &c);
}

static void test_commit_of_reads(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    expect_ok(&w, &c, "BEGIN");
    expect_select_on(&w, &c, "SELECT 1", same_rows);
    struct answer a = break_at(&w, &c, "COMMIT", FAKE_RST_BEFORE);
    assert_int_equal(a.kind, SL_REPLY_KIND_OK);
    assert_false(a.status & SL_STATUS_IN_TRANS);
    down(&w, &c);
}

static void test_rollback_lost(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    expect_ok(&w, &c, "BEGIN");
    expect_ok(&w, &c, "INSERT 1");
    struct answer a = break_at(&w, &c, "ROLLBACK", FAKE_RST_BEFORE);
    assert_int_equal(a.kind, SL_REPLY_KIND_OK);
    assert_int_equal(a.status & (SL_STATUS_IN_TRANS | SL_STATUS_AUTOCOMMIT), SL_STATUS_AUTOCOMMIT);
    assert_int_equal(fake_server_count(&w.servers[1], "INSERT"), 0);
    expect_ok(&w, &c, "INSERT 2");
    down(&w, &c);
}

/* DDL commits: nothing before it may run again. */
static void test_implicit_commit(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    expect_ok(&w, &c, "SET autocommit=0");
    expect_ok(&w, &c, "INSERT 1");
    expect_ok(&w, &c, "COMMIT");
    expect_ok(&w, &c, "INSERT 2");
    world_forget(&w);
    struct answer a = break_at(&w, &c, "INSERT 3", FAKE_RST_BEFORE);
    assert_int_equal(a.kind, SL_REPLY_KIND_OK);
    EXPECT_LOG(&w.servers[1], "INSERT 2", "INSERT 3");
    expect_ok(&w, &c, "BEGIN"); /* commits, and begins */
    expect_ok(&w, &c, "INSERT 4");
    world_forget(&w);
    fake_server_break(&w.servers[1], FAKE_RST_BEFORE, "CREATE TABLE");
    client_send_text(&c, "CREATE TABLE x (a INT)");
    a = client_wait(&w, &c, SL_COM_QUERY, 60000);
    assert_int_equal(a.code, SL_ER_ERROR_DURING_COMMIT);
    assert_int_equal(fake_server_count(&w.servers[1], "INSERT"), 0);
    down(&w, &c);
}

/* ---- results ---- */

static void test_mismatch(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    w.servers[0].alias = NULL;
    expect_ok(&w, &c, "BEGIN");
    expect_select_on(&w, &c, "SELECT 1", "s1");
    expect_ok(&w, &c, "INSERT 1");
    struct answer a = break_at(&w, &c, "INSERT 2", FAKE_RST_BEFORE);
    assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
    assert_int_equal(a.code, SL_ER_LOCK_DEADLOCK);
    assert_int_equal(fake_server_count(&w.servers[1], "INSERT"), 0);
    assert_int_equal(SL_SERVICE_SUM(w.core->services[0], replays_failed_mismatch), 1);
    expect_ok(&w, &c, "INSERT 3");
    assert_int_equal(fake_server_count(&w.servers[1], "INSERT 3"), 1);
    down(&w, &c);
}

/* The same when a command finds its server gone: it is that command that gets the error. */
static void test_mismatch_of_held(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    w.servers[0].alias = NULL;
    expect_ok(&w, &c, "BEGIN");
    expect_select_on(&w, &c, "SELECT 1", "s1");
    move_primary(&w);
    world_forget(&w);
    struct answer a = client_query(&w, &c, "INSERT 1");
    assert_int_equal(a.code, SL_ER_LOCK_DEADLOCK);
    assert_int_equal(world_count(&w, "INSERT 1"), 0);
    expect_ok(&w, &c, "INSERT 2");
    down(&w, &c);
}

static void test_mismatch_retried(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c,
       REPLAY "transaction_replay_retry_on_mismatch=true\n"
              "transaction_replay_timeout=0s\ntransaction_replay_attempts=3\n");
    w.servers[0].alias = NULL;
    expect_ok(&w, &c, "BEGIN");
    expect_select_on(&w, &c, "SELECT 1", "s1");
    struct answer a = break_at(&w, &c, "INSERT 2", FAKE_RST_BEFORE);
    assert_int_equal(a.code, SL_ER_LOCK_DEADLOCK);
    assert_int_equal(fake_server_count(&w.servers[1], "SELECT 1"), 3);
    down(&w, &c);
}

static void test_rest_of_a_result(void **state)
{
    static const enum fake_fault cuts[] = {FAKE_CUT_COUNT,       FAKE_CUT_DEFINITION,
                                           FAKE_CUT_DEFINITIONS, FAKE_CUT_ROW,
                                           FAKE_CUT_ROWS,        FAKE_RST_ROW};
    static const uint64_t modes[] = {CLIENT_CAPABILITIES,
                                     CLIENT_CAPABILITIES | SL_CAP_DEPRECATE_EOF};
    for (unsigned i = 0; i < 2 * SL_ARRAY_LEN(cuts); i++) {
        struct world w;
        struct client c;
        world_up(&w, REPLAY);
        for (unsigned k = 0; k < SERVERS; k++) {
            w.servers[k].alias = same_rows;
            w.servers[k].rows = 50;
        }
        client_open(&w, &c, modes[i & 1]);
        for (unsigned k = 0; k < SERVERS; k++) {
            world_wait_connections(&w, k, 1);
        }
        expect_ok(&w, &c, "BEGIN");
        expect_ok(&w, &c, "INSERT 1");
        struct answer a = break_at(&w, &c, "SELECT 'cut'", cuts[i / 2]);
        if (a.kind != SL_REPLY_KIND_RESULTSET || a.rows != 50) {
            fail_msg("cut %d: kind %d, %u %s", cuts[i / 2], a.kind, a.code, a.message);
        }
        expect_ok(&w, &c, "COMMIT");
        assert_int_equal(fake_server_count(&w.servers[1], "INSERT 1"), 1);
        down(&w, &c);
    }
}

/* The part that the client has is not what the other server says: it must not get the rest. */
static void test_rest_differs(void **state)
{
    static const enum fake_fault cuts[] = {FAKE_CUT_ROW, FAKE_CUT_ROWS};
    for (unsigned i = 0; i < SL_ARRAY_LEN(cuts); i++) {
        struct world w;
        struct client c;
        up(&w, &c, REPLAY);
        w.servers[0].alias = "ROW";
        w.servers[0].rows = 50;
        w.servers[1].rows = 50;
        expect_ok(&w, &c, "BEGIN");
        struct answer a = break_at(&w, &c, "SELECT 'cut'", cuts[i]);
        assert_true(a.kind == SL_REPLY_KIND_ERR || a.is_closed);
        assert_int_equal(SL_SERVICE_SUM(w.core->services[0], replay_mismatches), 1);
        down(&w, &c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_in_the_middle),
        cmocka_unit_test(test_lost_while_idle),
        cmocka_unit_test(test_primary_moves_in_transaction),
        cmocka_unit_test(test_lost_in_begin),
        cmocka_unit_test(test_autocommit_off),
        cmocka_unit_test(test_commit_lost),
        cmocka_unit_test(test_commit_refused),
        cmocka_unit_test(test_commit_shutdown),
        cmocka_unit_test(test_unsafe_commit),
        cmocka_unit_test(test_commit_of_reads),
        cmocka_unit_test(test_rollback_lost),
        cmocka_unit_test(test_implicit_commit),
        cmocka_unit_test(test_mismatch),
        cmocka_unit_test(test_mismatch_of_held),
        cmocka_unit_test(test_mismatch_retried),
        cmocka_unit_test(test_rest_of_a_result),
        cmocka_unit_test(test_rest_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
