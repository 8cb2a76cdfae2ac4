/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transaction replay against fake servers: deadlocks, session state within the transaction,
 * prepared statements, generated ids, what makes a transaction unfit, limits; and autocommitted
 * writes, which are never sent twice unless a server said that it has not run them.
 */
#include "replay_steps.h"

static uint64_t counted(const struct world *w, size_t offset)
{
    return sl_service_sum(w->core->services[0], offset);
}
#define COUNTED(w, field) counted((w), offsetof(struct sl_service_counters, field))

/* ---- deadlocks ---- */

static void test_deadlock(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY "transaction_replay_retry_on_deadlock=true\n");
    static const char *const at[] = {"INSERT 2", "COMMIT"};
    for (unsigned i = 0; i < SL_ARRAY_LEN(at); i++) {
        expect_ok(&w, &c, "BEGIN");
        expect_ok(&w, &c, "INSERT 1");
        world_forget(&w);
        fake_server_break(&w.servers[0], FAKE_ERR_DEADLOCK, at[i]);
        expect_ok(&w, &c, "INSERT 2");
        expect_ok(&w, &c, "COMMIT");
        if (i == 0) {
            EXPECT_LOG(&w.servers[0], "INSERT 2", "BEGIN", "INSERT 1", "INSERT 2", "COMMIT");
        } else {
            EXPECT_LOG(&w.servers[0], "INSERT 2", "COMMIT", "BEGIN", "INSERT 1", "INSERT 2",
                       "COMMIT");
        }
    }
    assert_int_equal(COUNTED(&w, replays_done), 2);
    world_forget(&w);
    fake_server_break(&w.servers[0], FAKE_ERR_DEADLOCK, "UPDATE");
    expect_ok(&w, &c, "UPDATE t SET a=1"); /* autocommitted: a transaction of one statement */
    assert_int_equal(fake_server_count(&w.servers[0], "UPDATE"), 2);
    assert_int_equal(COUNTED(&w, retried_writes), 1);
    down(&w, &c);
}

static void test_deadlock_while_replaying(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    expect_ok(&w, &c, "BEGIN");
    expect_ok(&w, &c, "INSERT 1");
    fake_server_break(&w.servers[1], FAKE_ERR_DEADLOCK, "INSERT 1");
    world_forget(&w);
    struct answer a = break_at(&w, &c, "INSERT 2", FAKE_RST_BEFORE);
    assert_int_equal(a.kind, SL_REPLY_KIND_OK);
    EXPECT_LOG(&w.servers[1], "BEGIN", "INSERT 1", "BEGIN", "INSERT 1", "INSERT 2");
    assert_int_equal(COUNTED(&w, replay_restarts), 1);
    down(&w, &c);
}

static void test_deadlock_passed_on(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    expect_ok(&w, &c, "BEGIN");
    fake_server_break(&w.servers[0], FAKE_ERR_DEADLOCK, "INSERT");
    struct answer a = client_query(&w, &c, "INSERT 1");
    assert_int_equal(a.code, SL_ER_LOCK_DEADLOCK);
    assert_int_equal(COUNTED(&w, replays_started), 0);
    down(&w, &c);
}

/* ---- session state ---- */

static void test_session_commands_in_their_place(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    expect_ok(&w, &c, "SET @a=0");
    expect_ok(&w, &c, "BEGIN");
    expect_ok(&w, &c, "INSERT 1");
    expect_ok(&w, &c, "SET @a=1");
    expect_ok(&w, &c, "INSERT 2");
    expect_ok(&w, &c, "SET @a=0");
    world_forget(&w);
    struct answer a = break_at(&w, &c, "INSERT 3", FAKE_RST_BEFORE);
    assert_int_equal(a.kind, SL_REPLY_KIND_OK);
    /* a new connection: the old one has @a as it was at the end */
    EXPECT_LOG(&w.servers[1], "SET @warm=1", "SET @a=0", "BEGIN", "INSERT 1", "SET @a=1",
               "INSERT 2", "SET @a=0", "INSERT 3");
    expect_ok(&w, &c, "COMMIT");
    down(&w, &c);
}

/* The lost server was the one that had to answer; another has it in its queue. */
static void test_lost_in_session_command(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    expect_ok(&w, &c, "BEGIN");
    expect_ok(&w, &c, "INSERT 1");
    world_forget(&w);
    struct answer a = break_at(&w, &c, "SET @a=1", FAKE_RST_BEFORE);
    assert_int_equal(a.kind, SL_REPLY_KIND_OK);
    expect_ok(&w, &c, "INSERT 2");
    expect_ok(&w, &c, "COMMIT");
    unsigned n = w.servers[1].logged;
    assert_string_equal(w.servers[1].log[n - 1], "COMMIT");
    assert_string_equal(w.servers[1].log[n - 2], "INSERT 2");
    assert_string_equal(w.servers[1].log[n - 3], "SET @a=1");
    assert_string_equal(w.servers[1].log[n - 4], "INSERT 1");
    down(&w, &c);
}

static void test_read_only_transaction(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    expect_ok(&w, &c, "START TRANSACTION READ ONLY");
    unsigned at = fake_server_count(&w.servers[1], "START") ? 1 : 2;
    expect_select_on(&w, &c, "SELECT 1", same_rows);
    world_forget(&w);
    fake_server_break(&w.servers[at], FAKE_RST_BEFORE, "SELECT 2");
    expect_select_on(&w, &c, "SELECT 2", same_rows);
    EXPECT_LOG(&w.servers[3 - at], "START TRANSACTION READ ONLY", "SELECT 1", "SELECT 2");
    expect_ok(&w, &c, "COMMIT");
    down(&w, &c);
}

static void test_chain(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    expect_ok(&w, &c, "BEGIN");
    expect_ok(&w, &c, "INSERT 1");
    expect_ok(&w, &c, "COMMIT AND CHAIN");
    expect_ok(&w, &c, "INSERT 2");
    world_forget(&w);
    struct answer a = break_at(&w, &c, "INSERT 3", FAKE_RST_BEFORE);
    assert_int_equal(a.kind, SL_REPLY_KIND_OK);
    EXPECT_LOG(&w.servers[1], "START TRANSACTION READ WRITE", "INSERT 2", "INSERT 3");
    down(&w, &c);
}

/* ---- prepared statements ---- */

static void test_prepared(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    uint32_t id = client_prepare(&w, &c, "INSERT INTO t VALUES (?)");
    expect_ok(&w, &c, "BEGIN");
    assert_int_equal(client_execute(&w, &c, id, 5, true).kind, SL_REPLY_KIND_OK);
    assert_int_equal(client_execute(&w, &c, id, 5, false).kind, SL_REPLY_KIND_OK);
    uint8_t close[4];
    sl_put_le32(close, id);
    client_send(&c, SL_COM_STMT_CLOSE, close, sizeof close); /* put off */
    struct answer a = client_execute(&w, &c, id, 5, true);
    assert_int_equal(a.code, SL_ER_UNKNOWN_STMT_HANDLER); /* but not for the client */
    world_forget(&w);
    w.servers[1].rows = 1;
    a = break_at(&w, &c, "INSERT 1", FAKE_RST_BEFORE);
    /* the fake servers return their statement id as affected rows: another one on s2 */
    assert_int_equal(a.code, SL_ER_LOCK_DEADLOCK);
    assert_int_equal(fake_server_count(&w.servers[1], "COM_STMT_EXECUTE"), 1);
    world_wait_count(&w, "COM_STMT_CLOSE", 1); /* s3; the connection to s2 is gone */
    down(&w, &c);
}

static void test_prepared_result_only(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY "transaction_replay_checksum=result_only\n");
    uint32_t id = client_prepare(&w, &c, "INSERT INTO t VALUES (?)");
    expect_ok(&w, &c, "BEGIN");
    for (unsigned i = 0; i < 3; i++) {
        struct answer a = client_execute(&w, &c, id, 5, i == 0);
        assert_int_equal(a.kind, SL_REPLY_KIND_OK);
    }
    uint8_t close[4];
    sl_put_le32(close, id);
    client_send(&c, SL_COM_STMT_CLOSE, close, sizeof close);
    world_forget(&w);
    struct answer a = break_at(&w, &c, "INSERT 1", FAKE_RST_BEFORE);
    assert_int_equal(a.kind, SL_REPLY_KIND_OK);
    assert_int_equal(fake_server_count(&w.servers[1], "COM_STMT_EXECUTE"), 3);
    assert_int_equal(fake_server_count(&w.servers[1], "COM_STMT_CLOSE"), 0);
    expect_ok(&w, &c, "COMMIT");
    world_wait_count(&w, "COM_STMT_CLOSE", 2); /* s2 and s3 */
    down(&w, &c);
}

static void test_lost_in_prepare(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    expect_ok(&w, &c, "BEGIN");
    expect_ok(&w, &c, "INSERT 1");
    fake_server_break(&w.servers[0], FAKE_RST_BEFORE, "PREPARE");
    uint32_t id = client_prepare(&w, &c, "UPDATE t SET a=?");
    move_primary(&w);
    assert_int_equal(client_execute(&w, &c, id, 5, true).kind, SL_REPLY_KIND_OK);
    expect_ok(&w, &c, "COMMIT");
    assert_int_equal(fake_server_count(&w.servers[1], "INSERT 1"), 1);
    down(&w, &c);
}

/* ---- generated values ---- */

static void test_insert_id(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    w.servers[0].insert_id = 100;
    w.servers[1].insert_id = 201;
    expect_ok(&w, &c, "BEGIN");
    struct answer a = client_query(&w, &c, "INSERT 1");
    assert_int_equal(a.insert_id, 100);
    world_forget(&w);
    a = break_at(&w, &c, "INSERT 2", FAKE_RST_BEFORE);
    assert_int_equal(a.kind, SL_REPLY_KIND_OK);
    assert_int_equal(a.insert_id, 201); /* the client has not been told another */
    EXPECT_LOG(&w.servers[1], "BEGIN", "SET insert_id=100", "INSERT 1", "SET insert_id=0",
               "INSERT 2");
    down(&w, &c);
}

/* ---- what cannot be replayed ---- */

static void expect_rolled_back(const char *lines, const char *const *statements, const char *why)
{
    struct world w;
    struct client c;
    up(&w, &c, lines);
    for (; *statements; statements++) {
        expect_ok(&w, &c, *statements);
    }
    world_forget(&w);
    struct answer a = break_at(&w, &c, "INSERT 'lost'", FAKE_RST_BEFORE);
    assert_int_equal(a.code, SL_ER_LOCK_DEADLOCK);
    if (!strstr(a.message, why)) {
        fail_msg("%s", a.message);
    }
    assert_int_equal(COUNTED(&w, replays_failed_refused), 1);
    assert_int_equal(COUNTED(&w, replays_started), 0);
    assert_int_equal(fake_server_count(&w.servers[1], "INSERT"), 0);
    expect_ok(&w, &c, "INSERT 'after'");
    down(&w, &c);
}

static void test_unfit(void **state)
{
    expect_rolled_back(REPLAY "transaction_replay_max_size=30\n",
                       (const char *const[]){"BEGIN", "INSERT 1", "INSERT 'more than 30'", NULL},
                       "transaction_replay_max_size");
    expect_rolled_back(REPLAY, (const char *const[]){"BEGIN", "CALL p()", NULL}, "committed");
    expect_rolled_back(REPLAY, (const char *const[]){"BEGIN", "INSERT 1; COMMIT; BEGIN", NULL},
                       "committed");
    expect_rolled_back(
        REPLAY "strict_tmp_tables=false\n",
        (const char *const[]){"CREATE TEMPORARY TABLE x (a INT)", "BEGIN", "INSERT 1", NULL},
        "temporary tables");
}

/* The next command finds the server gone, and nothing to replay. */
static void test_unfit_while_idle(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    expect_ok(&w, &c, "BEGIN");
    expect_ok(&w, &c, "CALL p()");
    move_primary(&w);
    struct answer a = client_query(&w, &c, "COMMIT");
    assert_int_equal(a.code, SL_ER_LOCK_DEADLOCK);
    expect_ok(&w, &c, "INSERT 1");
    expect_ok(&w, &c, "BEGIN");
    expect_ok(&w, &c, "CALL p()");
    world_status(&w, 1, SL_SERVER_RUNNING | SL_SERVER_SLAVE);
    world_status(&w, 0, SL_SERVER_RUNNING | SL_SERVER_MASTER);
    expect_ok(&w, &c, "ROLLBACK");
    assert_int_equal(fake_server_count(&w.servers[0], "ROLLBACK"), 0);
    down(&w, &c);
}

static void test_locks_end_the_session(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    w.servers[0].rows = 1;
    expect_select_on(&w, &c, "SELECT GET_LOCK('a', 1)", same_rows);
    expect_ok(&w, &c, "BEGIN");
    struct answer a = break_at(&w, &c, "INSERT 1", FAKE_RST_BEFORE);
    assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
    expect_end(&w, &c);
    down(&w, &c);
}

static void test_limit(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY "transaction_replay_timeout=1s\n");
    expect_ok(&w, &c, "BEGIN");
    expect_ok(&w, &c, "INSERT 1");
    world_status(&w, 0, 0);
    struct answer a = client_query(&w, &c, "INSERT 2"); /* no Master anywhere */
    assert_int_equal(a.code, SL_ER_LOCK_DEADLOCK);
    assert_int_equal(COUNTED(&w, replays_failed_limit), 1);
    world_status(&w, 1, SL_SERVER_RUNNING | SL_SERVER_MASTER);
    expect_ok(&w, &c, "INSERT 3");
    down(&w, &c);
}

static void test_client_leaves(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    expect_ok(&w, &c, "BEGIN");
    expect_ok(&w, &c, "INSERT 1");
    fake_server_break(&w.servers[1], FAKE_FREEZE, "INSERT 1");
    fake_server_break(&w.servers[0], FAKE_RST_BEFORE, "INSERT 2");
    client_send_text(&c, "INSERT 2");
    world_wait_count(&w, "INSERT 2", 1);
    move_primary(&w);
    for (unsigned i = 0; i < 5000 && w.servers[1].faults_left > 0; i++) {
        world_pump(&w, 1);
    }
    down(&w, &c);
}

/* ---- autocommitted writes ---- */

static void test_refused_write(void **state)
{
    static const enum fake_fault faults[] = {FAKE_ERR_NOT_READY, FAKE_ERR_READ_ONLY};
    for (unsigned i = 0; i < SL_ARRAY_LEN(faults); i++) {
        struct world w;
        struct client c;
        up(&w, &c, "delayed_retry=true\n");
        struct answer a = break_at(&w, &c, "INSERT 1", faults[i]);
        assert_int_equal(a.kind, SL_REPLY_KIND_OK);
        assert_int_equal(fake_server_count(&w.servers[1], "INSERT 1"), 1);
        assert_int_equal(COUNTED(&w, retried_writes), 1);
        /* what may have run in part is not repeated */
        fake_server_break(&w.servers[1], faults[i], "CALL");
        a = client_query(&w, &c, "CALL p()");
        assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
        assert_int_equal(world_count(&w, "CALL"), 1);
        down(&w, &c);
    }
}

static void test_refused_for_too_long(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c,
       "delayed_retry=true\ndelayed_retry_timeout=1s\nmaster_failure_mode=error_on_write\n");
    fake_server_break(&w.servers[0], FAKE_ERR_READ_ONLY, "INSERT");
    w.servers[0].faults_left = 1000;
    struct answer a = client_query(&w, &c, "INSERT 1");
    assert_int_equal(a.code, SL_ER_OPTION_PREVENTS_STATEMENT);
    down(&w, &c);
}

static void test_write_lost(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, REPLAY);
    struct answer a = break_at(&w, &c, "INSERT 1", FAKE_RST_BEFORE);
    assert_int_equal(a.code, SL_ER_ERROR_DURING_COMMIT);
    assert_non_null(strstr(a.message, "outcome unknown"));
    assert_int_equal(world_count(&w, "INSERT 1"), 1);
    expect_ok(&w, &c, "INSERT 2");
    assert_int_equal(COUNTED(&w, unknown_outcomes), 1);
    down(&w, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadlock),
        cmocka_unit_test(test_deadlock_while_replaying),
        cmocka_unit_test(test_deadlock_passed_on),
        cmocka_unit_test(test_session_commands_in_their_place),
        cmocka_unit_test(test_lost_in_session_command),
        cmocka_unit_test(test_read_only_transaction),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_prepared),
        cmocka_unit_test(test_prepared_result_only),
        cmocka_unit_test(test_lost_in_prepare),
        cmocka_unit_test(test_insert_id),
        cmocka_unit_test(test_unfit),
        cmocka_unit_test(test_unfit_while_idle),
        cmocka_unit_test(test_locks_end_the_session),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_refused_write),
        cmocka_unit_test(test_refused_for_too_long),
        cmocka_unit_test(test_write_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
