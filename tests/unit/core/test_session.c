/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions from end to end against fake servers: routing, loss of a server in each state of a
 * reply, retries, failover. Each test ends with nothing left (world_down) and runs under ASan.
 */
#include "session_world.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "core/server.h"
#include "proto/handshake.h"
#include "proto/ok.h"

static const char *const other_replica[] = {[1] = "s3", [2] = "s2"};

static void test_routing(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    for (unsigned i = 0; i < 4; i++) {
        struct answer a = client_query(&w, &c, "SELECT 1");
        assert_true(strcmp(a.server, "s2") == 0 || strcmp(a.server, "s3") == 0);
    }
    expect_select_on(&w, &c, "SELECT * FROM t FOR UPDATE", "s1");
    expect_ok(&w, &c, "INSERT INTO t VALUES (1)");
    assert_int_equal(fake_server_count(&w.servers[0], "INSERT"), 1);
    assert_int_equal(world_count(&w, "INSERT"), 1);
    expect_ok(&w, &c, "BEGIN");
    expect_select_on(&w, &c, "SELECT 2", "s1");
    expect_ok(&w, &c, "COMMIT");
    expect_ok(&w, &c, "START TRANSACTION READ ONLY");
    struct answer a = client_query(&w, &c, "SELECT 3");
    char replica[32];
    memcpy(replica, a.server, sizeof replica);
    assert_string_not_equal(replica, "s1");
    for (unsigned i = 0; i < 3; i++) {
        expect_select_on(&w, &c, "SELECT 4", replica);
    }
    expect_ok(&w, &c, "COMMIT");
    client_close(&c);
    world_down(&w);
}

/* Session state in a READ ONLY transaction: the transaction's server decides, and stays. */
static void test_set_in_read_only_transaction(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    expect_ok(&w, &c, "START TRANSACTION READ ONLY");
    struct answer a = client_query(&w, &c, "SELECT 1");
    char replica[32];
    memcpy(replica, a.server, sizeof replica);
    expect_ok(&w, &c, "SET @x=2");
    for (unsigned i = 0; i < 4; i++) {
        expect_select_on(&w, &c, "SELECT 1", replica);
    }
    world_forget(&w);
    expect_ok(&w, &c, "COMMIT");
    assert_int_equal(fake_server_count(&w.servers[replica[1] - '1'], "COMMIT"), 1);
    assert_int_equal(world_count(&w, "COMMIT"), 1);
    client_close(&c);
    world_down(&w);
}

/* BEGIN ends the READ ONLY transaction: also over there, or its snapshot would serve later
 * reads. */
static void test_begin_in_read_only_transaction(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    expect_ok(&w, &c, "START TRANSACTION READ ONLY");
    unsigned at = client_next_replica(&w, &c) == 2 ? 1 : 2; /* where it is open */
    world_forget(&w);
    expect_ok(&w, &c, "BEGIN");
    assert_int_equal(fake_server_count(&w.servers[PRIMARY], "BEGIN"), 1);
    for (unsigned i = 0; i < 60000 && fake_server_count(&w.servers[at], "COMMIT") == 0; i++) {
        world_pump(&w, 1);
    }
    assert_int_equal(fake_server_count(&w.servers[at], "COMMIT"), 1);
    expect_select_on(&w, &c, "SELECT 1", "s1");
    expect_ok(&w, &c, "COMMIT");
    assert_int_equal(fake_server_count(&w.servers[PRIMARY], "COMMIT"), 1);
    client_close(&c);
    world_down(&w);
}

/* ---- a server breaks in each state of a reply ---- */

enum expectation {
    RETRIED, /* the client sees a result of the other replica, the session lives */
    BROKEN,  /* an ERR in place of the rest, or the end of the connection; never rows of two servers
              */
    PASSED,  /* the server's own ERR reaches the client, the session lives */
    HELD     /* nothing yet */
};

struct fault_case {
    enum fake_fault fault;
    enum expectation read;  /* autocommit read on a replica */
    enum expectation write; /* on the primary */
};

static const struct fault_case fault_cases[] = {
    {FAKE_CLOSE_BEFORE, RETRIED, BROKEN},  {FAKE_RST_BEFORE, RETRIED, BROKEN},
    {FAKE_CUT_HEADER, RETRIED, BROKEN},    {FAKE_CUT_COUNT, BROKEN, BROKEN},
    {FAKE_CUT_DEFINITION, BROKEN, BROKEN}, {FAKE_CUT_DEFINITIONS, BROKEN, BROKEN},
    {FAKE_CUT_ROW, BROKEN, BROKEN},        {FAKE_CUT_ROWS, BROKEN, BROKEN},
    {FAKE_RST_ROW, BROKEN, BROKEN},        {FAKE_GARBAGE, RETRIED, BROKEN},
    {FAKE_GARBAGE_MIDDLE, BROKEN, BROKEN}, {FAKE_BAD_SEQUENCE, RETRIED, BROKEN},
    {FAKE_ERR_NOT_READY, RETRIED, PASSED}, {FAKE_ERR_SHUTDOWN, RETRIED, PASSED},
    {FAKE_ERR_SYNTAX, PASSED, PASSED},     {FAKE_ERR_READ_ONLY, PASSED, PASSED},
};

static void check(const struct fault_case *f, enum expectation expected, const struct answer *a)
{
    bool ok = false;
    switch (expected) {
    case RETRIED:
        ok = a->kind == SL_REPLY_KIND_RESULTSET && !a->is_closed;
        break;
    case PASSED:
        ok = a->kind == SL_REPLY_KIND_ERR && !a->is_closed;
        break;
    case BROKEN:
        ok = a->kind == SL_REPLY_KIND_ERR || (a->kind == SL_REPLY_KIND_NONE && a->is_closed);
        break;
    case HELD:
        ok = a->is_late;
        break;
    }
    if (!ok) {
        fail_msg("fault %d, expectation %d: kind %d code %u closed %d late %d %s", f->fault,
                 expected, a->kind, a->code, a->is_closed, a->is_late, a->message);
    }
}

static void test_read_fault(struct world *w, const struct fault_case *f, uint64_t capabilities)
{
    struct client c;
    client_open(w, &c, capabilities);
    for (unsigned i = 0; i < SERVERS; i++) {
        world_wait_connections(w, i, 1);
        w->servers[i].rows = 3;
    }
    unsigned at = client_next_replica(w, &c);
    fake_server_break(&w->servers[at], f->fault, "SELECT 'fault'");
    fake_server_break(&w->servers[at == 1 ? 2 : 1], FAKE_NONE, "");
    w->servers[at == 1 ? 2 : 1].faults_left = 0;
    struct answer a = client_query(w, &c, "SELECT 'fault'");
    check(f, f->read, &a);
    assert_int_equal(w->servers[at].faults_left, 0); /* it was met */
    if (f->read == RETRIED) {
        assert_string_equal(a.server, other_replica[at]);
        assert_int_equal(a.rows, 3);
    }
    if (f->read != BROKEN) {
        expect_select_on(w, &c, "SELECT 'after'", NULL);
        expect_ok(w, &c, "UPDATE t SET a=1");
    } else if (!a.is_closed) {
        a = client_wait(w, &c, SL_COM_QUERY, 60000);
        assert_true(a.is_closed);
    }
    client_close(&c);
    for (unsigned i = 0; i < SERVERS; i++) {
        world_wait_connections(w, i, 0);
    }
    world_forget(w);
}

static void test_read_faults(void **state)
{
    struct world w;
    world_up(&w, "");
    for (unsigned i = 0; i < SL_ARRAY_LEN(fault_cases); i++) {
        test_read_fault(&w, &fault_cases[i], CLIENT_CAPABILITIES);
        test_read_fault(&w, &fault_cases[i], CLIENT_CAPABILITIES | SL_CAP_DEPRECATE_EOF);
    }
    world_down(&w);
}

/* A write is sent once, whatever happens. */
static void test_write_faults(void **state)
{
    struct world w;
    world_up(&w, "");
    for (unsigned i = 0; i < SL_ARRAY_LEN(fault_cases); i++) {
        const struct fault_case *f = &fault_cases[i];
        struct client c;
        client_open(&w, &c, CLIENT_CAPABILITIES);
        world_wait_connections(&w, PRIMARY, 1);
        fake_server_break(&w.servers[PRIMARY], f->fault, "SELECT 'w'");
        struct answer a = client_query(&w, &c, "SELECT 'w' FROM t FOR UPDATE");
        check(f, f->write, &a);
        assert_int_equal(world_count(&w, "SELECT 'w'"), 1);
        client_close(&c);
        for (unsigned k = 0; k < SERVERS; k++) {
            world_wait_connections(&w, k, 0);
        }
        world_forget(&w);
    }
    world_down(&w);
}

static void test_write_faults_error_on_write(void **state)
{
    static const enum fake_fault faults[] = {FAKE_CLOSE_BEFORE, FAKE_RST_BEFORE, FAKE_CUT_HEADER,
                                             FAKE_GARBAGE};
    struct world w;
    world_up(&w, "master_failure_mode=error_on_write\n");
    for (unsigned i = 0; i < SL_ARRAY_LEN(faults); i++) {
        struct client c;
        client_open_all(&w, &c);
        fake_server_break(&w.servers[PRIMARY], faults[i], "UPDATE");
        struct answer a = client_query(&w, &c, "UPDATE t SET a=1");
        assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
        assert_int_equal(a.code, SL_ER_ERROR_DURING_COMMIT); /* it may have run */
        assert_non_null(strstr(a.message, "outcome unknown"));
        assert_int_equal(world_count(&w, "UPDATE"), 1);
        expect_select_on(&w, &c, "SELECT 1", NULL);
        expect_ok(&w, &c, "UPDATE t SET a=2"); /* connected again */
        client_close(&c);
        for (unsigned k = 0; k < SERVERS; k++) {
            world_wait_connections(&w, k, 0);
        }
        world_forget(&w);
    }
    world_down(&w);
}

/* Bytes that nobody asked for never reach a client; the connection they came on is given up. */
static void test_unasked_reply(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    unsigned at = client_next_replica(&w, &c);
    fake_server_break(&w.servers[at], FAKE_TWO_REPLIES, "SELECT 'twice'");
    struct answer a = client_query(&w, &c, "SELECT 'twice'");
    assert_int_equal(a.kind, SL_REPLY_KIND_RESULTSET);
    world_wait_connections(&w, at, 0);
    for (unsigned i = 0; i < 4; i++) {
        a = client_query(&w, &c, "SELECT 'once'");
        assert_int_equal(a.kind, SL_REPLY_KIND_RESULTSET);
        assert_int_equal(a.rows, 1);
    }
    client_close(&c);
    world_down(&w);
}

/* ---- logging in to servers ---- */

static void test_bad_logins(void **state)
{
    struct world w;
    world_up(&w, "");
    static const enum fake_login logins[] = {FAKE_LOGIN_GARBAGE, FAKE_LOGIN_DENIED,
                                             FAKE_LOGIN_CLOSE};
    for (unsigned i = 0; i < SL_ARRAY_LEN(logins); i++) {
        struct client c;
        w.servers[1].login = logins[i];
        client_open(&w, &c, CLIENT_CAPABILITIES);
        for (unsigned k = 0; k < 5; k++) {
            expect_select_on(&w, &c, "SELECT 1", "s3");
        }
        expect_ok(&w, &c, "DELETE FROM t");
        client_close(&c);
    }
    w.servers[1].login = FAKE_LOGIN_OK;
    world_down(&w);
}

static void test_silent_server_delays_nobody(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    w.servers[1].login = FAKE_LOGIN_SILENT;
    client_open(&w, &c, CLIENT_CAPABILITIES);
    world_wait_connections(&w, 0, 1);
    world_wait_connections(&w, 2, 1);
    for (unsigned k = 0; k < 5; k++) {
        expect_select_on(&w, &c, "SELECT 1", "s3");
        expect_ok(&w, &c, "DELETE FROM t");
        expect_ok(&w, &c, "SET @a=1");
    }
    client_close(&c);
    world_down(&w);
}

/* It has no monitor: auth_connect_timeout says how long one waits for it. */
static void test_silent_primary_is_given_up(void **state)
{
    struct world w;
    struct client c;
    world_up_with(&w, "auth_connect_timeout=1s", "master_failure_mode=error_on_write\n");
    w.servers[PRIMARY].login = FAKE_LOGIN_SILENT;
    client_open(&w, &c, CLIENT_CAPABILITIES);
    client_send_text(&c, "INSERT INTO t VALUES (1)");
    struct answer a = client_wait(&w, &c, SL_COM_QUERY, 60000);
    assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
    assert_false(a.is_closed);
    struct answer r = client_query(&w, &c, "SELECT 1");
    assert_int_equal(r.kind, SL_REPLY_KIND_RESULTSET);
    w.servers[PRIMARY].login = FAKE_LOGIN_OK;
    client_close(&c);
    world_down(&w);
}

static void test_all_down(void **state)
{
    struct world w;
    struct client c;
    struct answer a = {0};
    world_up(&w, "");
    for (unsigned i = 0; i < SERVERS; i++) {
        world_status(&w, i, 0);
    }
    client_open_at(&w, &c, w.port, CLIENT_CAPABILITIES, &a);
    assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
    client_close(&c);
    world_down(&w);
}

/* ---- failover ---- */

static void test_primary_moves(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    expect_ok(&w, &c, "SET @v=7");
    expect_ok(&w, &c, "INSERT INTO t VALUES (1)");
    fake_server_kill(&w.servers[0], true);
    world_status(&w, 0, 0);
    world_status(&w, 1, SL_SERVER_RUNNING | SL_SERVER_MASTER);
    world_forget(&w);
    expect_ok(&w, &c, "INSERT INTO t VALUES (2)");
    assert_int_equal(fake_server_count(&w.servers[1], "INSERT"), 1);
    for (unsigned i = 0; i < 3; i++) {
        expect_select_on(&w, &c, "SELECT 1", "s3");
    }
    fake_server_revive(&w.servers[0]);
    world_status(&w, 0, SL_SERVER_RUNNING | SL_SERVER_SLAVE);
    world_forget(&w);
    for (unsigned i = 0; i < 20 && fake_server_count(&w.servers[0], "SELECT") == 0; i++) {
        fake_server_break(&w.servers[2], FAKE_CLOSE_BEFORE, "SELECT");
        expect_select_on(&w, &c, "SELECT 1", NULL);
    }
    /* the state was replayed before the read */
    assert_int_equal(fake_server_count(&w.servers[0], "SET @v=7"), 1);
    assert_string_equal(w.servers[0].log[w.servers[0].logged - 1], "SELECT 1");
    client_close(&c);
    world_down(&w);
}

static void test_delayed_retry(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "delayed_retry=true\ndelayed_retry_timeout=20s\n");
    client_open_all(&w, &c);
    world_status(&w, 0, 0);
    client_send_text(&c, "INSERT INTO t VALUES (1)");
    struct answer a = client_wait(&w, &c, SL_COM_QUERY, 300);
    assert_true(a.is_late);
    world_status(&w, 2, SL_SERVER_RUNNING | SL_SERVER_MASTER);
    a = client_wait(&w, &c, SL_COM_QUERY, 60000);
    assert_int_equal(a.kind, SL_REPLY_KIND_OK);
    assert_int_equal(fake_server_count(&w.servers[2], "INSERT"), 1);
    assert_int_equal(world_count(&w, "INSERT"), 1);
    client_close(&c);
    world_down(&w);
}

static void test_transaction_lost(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    expect_ok(&w, &c, "BEGIN");
    fake_server_break(&w.servers[0], FAKE_CLOSE_BEFORE, "SELECT");
    struct answer a = client_query(&w, &c, "SELECT 1");
    assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
    a = client_wait(&w, &c, SL_COM_QUERY, 60000);
    assert_true(a.is_closed);
    assert_int_equal(world_count(&w, "SELECT 1"), 1);
    client_close(&c);
    world_down(&w);
}

/* A limit on connections: the server is passed over, the statement is not lost. */
static void test_connection_refused_locally(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "slave_connections=0\n");
    w.core->servers[1]->settings.max_routing_connections = 1;
    sl_count32(&w.core->servers[1]->counters[0].connections, 1);
    client_open(&w, &c, CLIENT_CAPABILITIES);
    sl_count32(&w.core->servers[2]->counters[0].operations, 5); /* so that s2 is tried first */
    expect_select_on(&w, &c, "SELECT 1", "s3");
    sl_count32(&w.core->servers[2]->counters[0].operations, -5);
    sl_count32(&w.core->servers[1]->counters[0].connections, -1);
    client_close(&c);
    world_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routing),
        cmocka_unit_test(test_set_in_read_only_transaction),
        cmocka_unit_test(test_begin_in_read_only_transaction),
        cmocka_unit_test(test_read_faults),
        cmocka_unit_test(test_write_faults),
        cmocka_unit_test(test_write_faults_error_on_write),
        cmocka_unit_test(test_unasked_reply),
        cmocka_unit_test(test_bad_logins),
        cmocka_unit_test(test_silent_server_delays_nobody),
        cmocka_unit_test(test_silent_primary_is_given_up),
        cmocka_unit_test(test_all_down),
        cmocka_unit_test(test_primary_moves),
        cmocka_unit_test(test_delayed_retry),
        cmocka_unit_test(test_transaction_lost),
        cmocka_unit_test(test_connection_refused_locally),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
