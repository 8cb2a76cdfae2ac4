/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failures and session state: defects that were there once. Each test is named after what must not
 * happen.
 */
#include "session_regress.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "core/server.h"
#include "proto/ok.h"

/* ---- the primary is lost ---- */

/* The session ends because of what it had on the primary; its router was on the stack then. */
static void test_idle_primary_lost_uses_freed_session(void **state)
{
    static const struct {
        const char *lines, *sql;
    } cases[] = {{"", "CREATE TEMPORARY TABLE tt (a INT)"},
                 {"", "SELECT GET_LOCK('a', 1)"},
                 {"master_failure_mode=fail_instantly\n", "SELECT 1"},
                 {"master_failure_mode=error_on_write\n", "SELECT GET_LOCK('a', 1)"}};
    for (unsigned i = 0; i < SL_ARRAY_LEN(cases); i++) {
        struct world w;
        struct client c;
        regress_up(&w, &c, cases[i].lines);
        if (i == 0) {
            expect_ok(&w, &c, cases[i].sql);
        } else {
            expect_select_on(&w, &c, cases[i].sql, NULL);
        }
        world_lose_primary(&w);
        expect_end(&w, &c);
        regress_down(&w, &c);
    }
}

/* fail_on_write: the client is told, and then the session ends. */
static void test_write_without_primary_gets_no_error(void **state)
{
    static const char *const statements[] = {"INSERT INTO t VALUES (1)", "BEGIN",
                                             "SELECT 1 FOR UPDATE"};
    for (unsigned i = 0; i < SL_ARRAY_LEN(statements); i++) {
        struct world w;
        struct client c;
        regress_up(&w, &c, "master_failure_mode=fail_on_write\n");
        world_lose_primary(&w);
        world_status(&w, PRIMARY, 0);
        expect_select_on(&w, &c, "SELECT 1", NULL);
        struct answer a = client_query(&w, &c, statements[i]);
        assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
        assert_int_equal(a.code, SL_ER_NET_READ_ERROR);
        expect_end(&w, &c);
        assert_int_equal(world_count(&w, statements[i]), 0);
        regress_down(&w, &c);
    }
}

static void test_read_without_server_gets_no_error(void **state)
{
    struct world w;
    struct client c;
    regress_up(&w, &c, "");
    for (unsigned i = SERVERS; i-- > 0;) {
        fake_server_kill(&w.servers[i], true);
        world_wait_disconnected(&w, i);
        world_status(&w, i, 0);
    }
    struct answer a = client_query(&w, &c, "SELECT 1");
    assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
    expect_end(&w, &c);
    regress_down(&w, &c);
}

/* error_on_write, autocommit=0: the refused INSERT must not count as an open transaction. */
static void test_refused_write_leaves_a_transaction_behind(void **state)
{
    struct world w;
    struct client c;
    regress_up(&w, &c, "master_failure_mode=error_on_write\n");
    expect_ok(&w, &c, "SET autocommit=0");
    world_lose_primary(&w);
    world_status(&w, PRIMARY, 0);
    for (unsigned i = 0; i < 2; i++) {
        struct answer a = client_query(&w, &c, "INSERT INTO t VALUES (1)");
        assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
        assert_int_equal(a.code, SL_ER_OPTION_PREVENTS_STATEMENT);
        assert_false(a.is_closed);
    }
    fake_server_revive(&w.servers[PRIMARY]);
    world_status(&w, PRIMARY, SL_SERVER_RUNNING | SL_SERVER_MASTER);
    world_forget(&w);
    expect_ok(&w, &c, "INSERT INTO t VALUES (2)");
    expect_select_on(&w, &c, "SELECT 1", "s1");
    expect_ok(&w, &c, "COMMIT");
    assert_int_equal(fake_server_count(&w.servers[PRIMARY], "INSERT INTO t VALUES (2)"), 1);
    assert_int_equal(fake_server_count(&w.servers[PRIMARY], "SET autocommit=0"), 1);
    regress_down(&w, &c);
}

/* The old primary lives on as a replica: what was begun there ends there, whatever ends it. */
static void test_chained_rollback_commits_on_the_old_primary(void **state)
{
    static const char *const ends[] = {"ROLLBACK AND CHAIN", "COMMIT AND CHAIN", "BEGIN"};
    for (unsigned i = 0; i < SL_ARRAY_LEN(ends); i++) {
        struct world w;
        struct client c;
        regress_up(&w, &c, "");
        expect_ok(&w, &c, "BEGIN");
        expect_ok(&w, &c, "INSERT INTO t VALUES (1)");
        world_status(&w, 0, SL_SERVER_RUNNING | SL_SERVER_SLAVE);
        world_status(&w, 1, SL_SERVER_RUNNING | SL_SERVER_MASTER);
        world_forget(&w);
        expect_ok(&w, &c, ends[i]);
        assert_int_equal(fake_server_count(&w.servers[0], ends[i]), 1);
        assert_int_equal(world_count(&w, ends[i]), 1);
        assert_int_equal(world_count(&w, "COMMIT"), i == 1);
        expect_ok(&w, &c, "DELETE FROM t"); /* in the chained one */
        assert_int_equal(fake_server_count(&w.servers[0], "DELETE"), 1);
        expect_ok(&w, &c, "ROLLBACK");
        assert_int_equal(world_count(&w, "COMMIT"), i == 1);
        expect_ok(&w, &c, "UPDATE t SET a=1");
        assert_int_equal(fake_server_count(&w.servers[1], "UPDATE"), 1);
        assert_int_equal(world_count(&w, "UPDATE"), 1);
        regress_down(&w, &c);
    }
}

/* ---- session state ---- */

/* disable_sescmd_history: a connection that was not there knows nothing and is not opened. */
static void test_new_connection_lacks_state_without_history(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "disable_sescmd_history=true\nslave_connections=0\n");
    client_open(&w, &c, CLIENT_CAPABILITIES);
    world_wait_connections(&w, PRIMARY, 1);
    expect_ok(&w, &c, "SET @a=5");
    for (unsigned i = 0; i < 3; i++) {
        expect_select_on(&w, &c, "SELECT @a", "s1");
    }
    assert_int_equal(w.servers[1].accepted + w.servers[2].accepted, 0);
    client_close(&c);
    client_open(&w, &c, CLIENT_CAPABILITIES); /* without any state they are */
    struct answer a = client_query(&w, &c, "SELECT 1");
    assert_string_not_equal(a.server, "s1");
    regress_down(&w, &c);
}

/* ... but one that was on its way when the command came gets it. */
static void test_connection_on_its_way_is_lost_without_history(void **state)
{
    struct world w;
    struct client c;
    int listening[SERVERS];
    world_up(&w, "disable_sescmd_history=true\n");
    for (unsigned i = 1; i < SERVERS; i++) { /* connected by the kernel, not greeted yet */
        listening[i] = w.servers[i].listen_fd;
        w.servers[i].listen_fd = -1;
    }
    client_open(&w, &c, CLIENT_CAPABILITIES);
    expect_ok(&w, &c, "SET @a=5");
    for (unsigned i = 1; i < SERVERS; i++) {
        w.servers[i].listen_fd = listening[i];
        world_wait_connections(&w, i, 1);
    }
    world_wait_count(&w, "SET @a=5", SERVERS);
    struct answer a = client_query(&w, &c, "SELECT @a");
    assert_string_not_equal(a.server, "s1");
    expect_ok(&w, &c, "SET @a=6"); /* from now on nobody new knows it all */
    for (unsigned i = 1; i < SERVERS; i++) {
        fake_server_kill(&w.servers[i], false);
        world_wait_disconnected(&w, i);
    }
    for (unsigned i = 0; i < 3; i++) {
        expect_select_on(&w, &c, "SELECT @a", "s1");
    }
    regress_down(&w, &c);
}

/* A temporary table exists on the primary only, also one made by EXECUTE. */
static void test_temporary_table_of_execute_is_read_on_a_replica(void **state)
{
    static const char *const lines[] = {"", "max_sescmd_history=1\nprune_sescmd_history=false\n"};
    for (unsigned i = 0; i < SL_ARRAY_LEN(lines); i++) {
        struct world w;
        struct client c;
        regress_up(&w, &c, lines[i]);
        expect_ok(&w, &c, "SET @a=1"); /* with the second configuration no history is left */
        expect_ok(&w, &c, "SET @b=1");
        uint32_t id = client_prepare(&w, &c, "CREATE TEMPORARY TABLE tb (a INT)");
        assert_int_equal(client_execute(&w, &c, id, 0, false).affected_rows, 101);
        uint32_t read = client_prepare(&w, &c, "SELECT * FROM tb");
        for (unsigned k = 0; k < 3; k++) {
            expect_select_on(&w, &c, "SELECT * FROM tb", "s1");
            assert_int_equal(client_execute(&w, &c, read, 0, false).affected_rows, 102);
        }
        struct answer a = client_query(&w, &c, "SELECT * FROM other");
        assert_string_not_equal(a.server, "s1");
        regress_down(&w, &c);
    }
}

/* A replica whose answer to an earlier SET is still missing gets the client's statement, and then
 * disagrees about the SET: the client must not wait for a server that was given up. */
static void test_given_up_server_owes_the_client_an_answer(void **state)
{
    static const struct {
        const char *sql;
        bool is_retried;
    } cases[] = {{"SELECT 1", true}, {"START TRANSACTION READ ONLY", false}};
    for (unsigned i = 0; i < SL_ARRAY_LEN(cases); i++) {
        struct world w;
        struct client c;
        regress_up(&w, &c, "");
        unsigned other = client_next_replica(&w, &c) == 1 ? 2 : 1;
        fake_server_kill(&w.servers[other], true);
        world_wait_disconnected(&w, other);
        world_status(&w, other, 0);
        unsigned at = other == 1 ? 2 : 1;
        w.servers[at].hold_replies = true;
        fake_server_break(&w.servers[at], FAKE_ERR_SYNTAX, "SET @a");
        expect_ok(&w, &c, "SET @a=1");
        client_send_text(&c, cases[i].sql);
        assert_true(client_wait(&w, &c, SL_COM_QUERY, 100).is_late);
        w.servers[at].hold_replies = false;
        struct answer a = client_wait(&w, &c, SL_COM_QUERY, 60000);
        if (cases[i].is_retried) {
            assert_int_equal(a.kind, SL_REPLY_KIND_RESULTSET);
            assert_string_equal(a.server, "s1");
            expect_ok(&w, &c, "UPDATE t SET a=1");
        } else {
            assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
            expect_end(&w, &c);
        }
        regress_down(&w, &c);
    }
}

/* After a reset all servers have the same state again: none. */
static void test_given_up_server_stays_so_after_a_reset(void **state)
{
    struct world w;
    struct client c;
    regress_up(&w, &c, "");
    fake_server_break(&w.servers[1], FAKE_ERR_SYNTAX, "USE");
    expect_ok(&w, &c, "USE db1");
    world_wait_disconnected(&w, 1);
    fake_server_kill(&w.servers[2], true);
    world_wait_disconnected(&w, 2);
    world_status(&w, 2, 0);
    expect_select_on(&w, &c, "SELECT 1", "s1");
    client_send(&c, SL_COM_RESET_CONNECTION, NULL, 0);
    assert_int_equal(client_wait(&w, &c, SL_COM_RESET_CONNECTION, 60000).kind, SL_REPLY_KIND_OK);
    expect_select_on(&w, &c, "SELECT 1", "s2");
    regress_down(&w, &c);
}

/* A refused database is not the current one, not even after the next command works. */
static void test_refused_database_becomes_current(void **state)
{
    struct world w;
    struct client c;
    regress_up(&w, &c, "");
    client_send(&c, SL_COM_INIT_DB, "good", 4);
    assert_int_equal(client_wait(&w, &c, SL_COM_INIT_DB, 60000).kind, SL_REPLY_KIND_OK);
    expect_ok(&w, &c, "CREATE TEMPORARY TABLE tt (a INT)");
    for (unsigned i = 0; i < SERVERS; i++) {
        fake_server_break(&w.servers[i], FAKE_ERR_SYNTAX, "USE bad");
    }
    assert_int_equal(client_query(&w, &c, "USE bad").kind, SL_REPLY_KIND_ERR);
    expect_ok(&w, &c, "SET @a=1");
    expect_select_on(&w, &c, "SELECT * FROM good.tt", "s1");
    expect_select_on(&w, &c, "SELECT * FROM tt", "s1");
    struct answer a = client_query(&w, &c, "SELECT * FROM bad.tt");
    assert_string_not_equal(a.server, "s1");
    regress_down(&w, &c);
}

/* The same when nobody is there to refuse it but ourselves. */
static void test_database_nobody_was_asked_for_becomes_current(void **state)
{
    struct world w;
    struct client c;
    regress_up(&w, &c, "master_failure_mode=error_on_write\n");
    for (unsigned i = SERVERS; i-- > 0;) {
        fake_server_kill(&w.servers[i], true);
        world_wait_disconnected(&w, i);
        world_status(&w, i, 0);
    }
    client_send(&c, SL_COM_INIT_DB, "bad", 3);
    assert_int_equal(client_wait(&w, &c, SL_COM_INIT_DB, 60000).kind, SL_REPLY_KIND_ERR);
    for (unsigned i = 0; i < SERVERS; i++) {
        fake_server_revive(&w.servers[i]);
        world_status(&w, i,
                     SL_SERVER_RUNNING | (i == PRIMARY ? SL_SERVER_MASTER : SL_SERVER_SLAVE));
    }
    expect_ok(&w, &c, "UPDATE t SET a=1");
    expect_ok(&w, &c, "CREATE TEMPORARY TABLE tt (a INT)");
    expect_select_on(&w, &c, "SELECT * FROM tt", "s1");
    struct answer a = client_query(&w, &c, "SELECT * FROM bad.tt");
    assert_int_equal(a.kind, SL_REPLY_KIND_RESULTSET);
    assert_string_not_equal(a.server, "s1");
    regress_down(&w, &c);
}

/* The deciding server could not prepare the statement: one that could answers the reset. */
static void test_reset_of_a_statement_asks_a_server_without_it(void **state)
{
    for (unsigned somebody = 0; somebody < 2; somebody++) {
        struct world w;
        struct client c;
        uint8_t arg[4];
        regress_up(&w, &c, "");
        fake_server_break(&w.servers[1], FAKE_ERR_SYNTAX, "PREPARE");
        if (!somebody) {
            fake_server_break(&w.servers[2], FAKE_ERR_SYNTAX, "PREPARE");
        }
        uint32_t id = client_prepare(&w, &c, "SELECT 5");
        world_wait_count(&w, "PREPARE", SERVERS);
        world_lose_primary(&w);
        world_status(&w, PRIMARY, 0);
        sl_put_le32(arg, id);
        client_send(&c, SL_COM_STMT_RESET, arg, sizeof arg);
        struct answer a = client_wait(&w, &c, SL_COM_STMT_RESET, 60000);
        assert_int_equal(a.kind, somebody ? SL_REPLY_KIND_OK : SL_REPLY_KIND_ERR);
        assert_false(a.is_closed);
        assert_int_equal(fake_server_count(&w.servers[1], "COM_STMT_RESET"), 0);
        expect_select_on(&w, &c, "SELECT 1", NULL);
        regress_down(&w, &c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_primary_lost_uses_freed_session),
        cmocka_unit_test(test_write_without_primary_gets_no_error),
        cmocka_unit_test(test_read_without_server_gets_no_error),
        cmocka_unit_test(test_refused_write_leaves_a_transaction_behind),
        cmocka_unit_test(test_chained_rollback_commits_on_the_old_primary),
        cmocka_unit_test(test_new_connection_lacks_state_without_history),
        cmocka_unit_test(test_connection_on_its_way_is_lost_without_history),
        cmocka_unit_test(test_temporary_table_of_execute_is_read_on_a_replica),
        cmocka_unit_test(test_given_up_server_owes_the_client_an_answer),
        cmocka_unit_test(test_given_up_server_stays_so_after_a_reset),
        cmocka_unit_test(test_refused_database_becomes_current),
        cmocka_unit_test(test_database_nobody_was_asked_for_becomes_current),
        cmocka_unit_test(test_reset_of_a_statement_asks_a_server_without_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
