/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions from end to end against fake servers: prepared statements, session state, KILL, metadata
 * of the login, and no allocation per query. Each test ends with nothing left.
 */
#include "session_world.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "core/server.h"
#include "proto/ok.h"

/* ---- prepared statements ---- */

static uint32_t prepare(struct world *w, struct client *c, const char *sql)
{
    client_send(c, SL_COM_STMT_PREPARE, sql, strlen(sql));
    struct answer a = client_wait(w, c, SL_COM_STMT_PREPARE, 60000);
    if (a.kind == SL_REPLY_KIND_ERR) {
        return 0;
    }
    return a.stmt_id;
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

static void test_prepared(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    uint32_t read_id = prepare(&w, &c, "SELECT 1");
    uint32_t write_id = prepare(&w, &c, "INSERT INTO t VALUES (1)");
    assert_int_equal(read_id, 1);
    assert_int_equal(write_id, 2);
    struct answer a =
        execute(&w, &c, read_id); /* affected rows: the id on the server that ran it */
    assert_true(a.affected_rows == 201 || a.affected_rows == 301);
    a = execute(&w, &c, write_id);
    assert_int_equal(a.affected_rows, 102);
    a = execute(&w, &c, 77);
    assert_int_equal(a.code, SL_ER_UNKNOWN_STMT_HANDLER);
    close_stmt(&c, read_id);
    assert_int_equal(prepare(&w, &c, "SELECT 2"), 1); /* the slot again */
    a = execute(&w, &c, 1);
    assert_true(a.affected_rows == 203 || a.affected_rows == 303);
    assert_int_equal(world_count(&w, "COM_STMT_CLOSE"), 3);
    /* a new connection knows it too */
    unsigned at = a.affected_rows == 203 ? 1 : 2;
    fake_server_kill(&w.servers[at], false);
    fake_server_kill(&w.servers[at == 1 ? 2 : 1], true);
    a = execute(&w, &c, 1);
    assert_int_equal(a.kind, SL_REPLY_KIND_OK);
    client_close(&c);
    world_down(&w);
}

/* A PREPARE that fails is no statement; one that fails on a replica only runs elsewhere. */
static void test_prepare_fails(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    fake_server_break(&w.servers[0], FAKE_ERR_SYNTAX, "PREPARE");
    assert_int_equal(prepare(&w, &c, "SELECT nonsense"), 0);
    fake_server_break(&w.servers[1], FAKE_ERR_SYNTAX, "PREPARE");
    uint32_t id = prepare(&w, &c, "SELECT 5");
    assert_int_equal(id, 1);
    for (unsigned i = 0; i < 4; i++) {
        struct answer a = execute(&w, &c, id);
        assert_int_equal(a.affected_rows / 100, 3);
    }
    world_wait_connections(&w, 1, 1); /* it is still in use for the rest */
    client_close(&c);
    world_down(&w);
}

/* A replica's answer to PREPARE that comes after the connection was reset belongs to no statement
 * any more. */
static void test_stale_prepare(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    w.servers[1].hold_replies = w.servers[2].hold_replies = true;
    assert_int_equal(prepare(&w, &c, "SELECT 'old'"), 1);
    client_send(&c, SL_COM_RESET_CONNECTION, NULL, 0);
    assert_int_equal(client_wait(&w, &c, SL_COM_RESET_CONNECTION, 60000).kind, SL_REPLY_KIND_OK);
    assert_int_equal(prepare(&w, &c, "SELECT 'new'"), 1);
    w.servers[1].hold_replies = w.servers[2].hold_replies = false;
    struct answer a = execute(&w, &c, 1);
    assert_true(a.affected_rows == 202 || a.affected_rows == 302);
    client_close(&c);
    world_down(&w);
}

/* Long data went to a server that is gone: the execution must not run without it. */
static void test_long_data_lost(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    uint32_t id = prepare(&w, &c, "SELECT ?");
    uint8_t data[] = {0, 0, 0, 0, 0, 0, 'a', 'b', 'c'};
    sl_put_le32(data, id);
    client_send(&c, SL_COM_STMT_SEND_LONG_DATA, data, sizeof data);
    while (world_count(&w, "COM_STMT_SEND_LONG_DATA") == 0) {
        world_pump(&w, 1);
    }
    unsigned at = fake_server_count(&w.servers[1], "COM_STMT_SEND_LONG_DATA") ? 1 : 2;
    fake_server_kill(&w.servers[at], false);
    world_wait_connections(&w, at, 0);
    while (sl_server_connections(w.core->servers[at]) > 0) { /* the proxy has noticed */
        world_pump(&w, 1);
    }
    uint8_t exec[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0xfc, 0};
    sl_put_le32(exec, id);
    client_send(&c, SL_COM_STMT_EXECUTE, exec, sizeof exec);
    struct answer a = client_wait(&w, &c, SL_COM_STMT_EXECUTE, 60000);
    assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
    assert_int_equal(world_count(&w, "COM_STMT_EXECUTE"), 0);
    expect_select_on(&w, &c, "SELECT 1", NULL);
    client_close(&c);
    world_down(&w);
}

/* ---- session commands ---- */

/* The deciding server dies under a session command: the others have run it once, the client gets an
 * answer. */
static void test_session_command_lost(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    fake_server_break(&w.servers[0], FAKE_CLOSE_BEFORE, "SET @n");
    expect_ok(&w, &c, "SET @n=1");
    expect_select_on(&w, &c, "SELECT @n", NULL);
    client_close(&c);
    world_down(&w);
}

/* ... and not twice: a server that has it already answers for the lost one. */
static void test_session_command_taken_over(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    w.servers[1].hold_replies = w.servers[2].hold_replies = true;
    fake_server_break(&w.servers[0], FAKE_RST_BEFORE, "SELECT @n");
    client_send_text(&c, "SELECT @n := @n + 1");
    assert_true(client_wait(&w, &c, SL_COM_QUERY, 200).is_late);
    w.servers[1].hold_replies = w.servers[2].hold_replies = false;
    struct answer a = client_wait(&w, &c, SL_COM_QUERY, 60000);
    assert_int_equal(a.kind, SL_REPLY_KIND_RESULTSET);
    assert_string_equal(a.server, "s2");
    for (unsigned i = 0; i < SERVERS; i++) {
        assert_int_equal(fake_server_count(&w.servers[i], "SELECT @n"), 1);
    }
    client_close(&c);
    world_down(&w);
}

/* A replica that disagrees about a session command is not used again in this session. */
static void test_disagreement(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    fake_server_break(&w.servers[1], FAKE_ERR_SYNTAX, "USE");
    expect_ok(&w, &c, "USE db1");
    world_wait_connections(&w, 1, 0);
    for (unsigned i = 0; i < 4; i++) {
        expect_select_on(&w, &c, "SELECT 1", "s3");
    }
    client_close(&c);
    world_down(&w);
}

/* Pipelined commands are answered in their order. */
static void test_pipeline(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    client_send_text(&c, "SELECT 1");
    client_send_text(&c, "INSERT INTO t VALUES (1)");
    client_send_text(&c, "SET @a=1");
    client_send_text(&c, "SELECT 2 FROM t FOR UPDATE");
    assert_int_equal(client_wait(&w, &c, SL_COM_QUERY, 60000).kind, SL_REPLY_KIND_RESULTSET);
    assert_int_equal(client_wait(&w, &c, SL_COM_QUERY, 60000).kind, SL_REPLY_KIND_OK);
    assert_int_equal(client_wait(&w, &c, SL_COM_QUERY, 60000).kind, SL_REPLY_KIND_OK);
    struct answer a = client_wait(&w, &c, SL_COM_QUERY, 60000);
    assert_string_equal(a.server, "s1");
    client_close(&c);
    world_down(&w);
}

/* A client that vanishes under a running statement: its backends go too, and the statement is
 * killed there. */
static void test_client_vanishes(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    unsigned at = client_next_replica(&w, &c);
    fake_server_break(&w.servers[at], FAKE_FREEZE, "SELECT SLEEP");
    client_send_text(&c, "SELECT SLEEP(1000)");
    while (world_count(&w, "SELECT SLEEP") == 0) {
        world_pump(&w, 1);
    }
    client_close(&c);
    for (unsigned i = 0; i < 60000 && fake_server_count(&w.servers[at], "KILL") == 0; i++) {
        world_pump(&w, 1);
    }
    assert_int_equal(fake_server_count(&w.servers[at], "KILL"), 1);
    world_down(&w);
}

static void test_kill(void **state)
{
    struct world w;
    struct client a, b;
    char sql[64];
    world_up(&w, "");
    client_open(&w, &a, CLIENT_CAPABILITIES);
    client_open(&w, &b, CLIENT_CAPABILITIES);
    snprintf(sql, sizeof sql, "KILL %u", b.id);
    expect_ok(&w, &a, sql);
    assert_true(client_wait(&w, &b, SL_COM_QUERY, 60000).is_closed);
    struct answer r = client_query(&w, &a, "KILL 4000000000");
    assert_int_equal(r.code, SL_ER_NO_SUCH_THREAD);
    assert_int_equal(world_count(&w, "KILL"), 0);
    client_close(&a);
    client_close(&b);
    world_down(&w);
}

static void test_readconnroute(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_at(&w, &c, w.conn_port, CLIENT_CAPABILITIES, NULL);
    struct answer first = client_query(&w, &c, "SELECT 1");
    assert_int_equal(first.kind, SL_REPLY_KIND_RESULTSET);
    assert_string_not_equal(first.server, "s1");
    expect_ok(&w, &c, "INSERT INTO t VALUES (1)");
    unsigned at = (unsigned)(first.server[1] - '1');
    assert_int_equal(fake_server_count(&w.servers[at], "INSERT"), 1);
    fake_server_break(&w.servers[at], FAKE_CUT_ROW, "SELECT 2");
    w.servers[at].rows = 3;
    struct answer a = client_query(&w, &c, "SELECT 2");
    assert_true(a.kind != SL_REPLY_KIND_RESULTSET);
    client_close(&c);
    world_down(&w);
}

/* ---- connection_metadata ---- */

static bool state_has(struct sl_slice block, const char *name, const char *value)
{
    struct sl_state_iter it = sl_state_iter(block);
    struct sl_state_record rec;
    bool found = false;
    while (sl_state_next(&it, &rec)) {
        found |= sl_slice_equal(rec.name, sl_slice_text(name)) &&
                 (!value || sl_slice_equal(rec.value, sl_slice_text(value)));
    }
    assert_false(it.block.failed);
    return found;
}

static void set_info(struct world *w, unsigned server, const char *version, const char *time_zone)
{
    struct sl_server_info info;
    sl_server_info_get(w->core->servers[server], &info);
    snprintf(info.version, sizeof info.version, "%s", version);
    snprintf(info.time_zone, sizeof info.time_zone, "%s", time_zone);
    snprintf(info.tx_isolation, sizeof info.tx_isolation, "REPEATABLE-READ");
    info.max_allowed_packet = 1 << 24;
    sl_server_info_set(w->core->servers[server], &info);
}

static struct sl_packet_ok login_ok(struct world *w, struct client *c, uint64_t capabilities)
{
    struct sl_packet_ok ok;
    client_open(w, c, capabilities);
    struct sl_slice packet = sl_buf_slice(&c->login_ok);
    assert_int_equal(sl_packet_ok_parse(packet.data + 4, packet.len - 4,
                                        capabilities & SL_CAP_SESSION_TRACK, &ok),
                     0);
    return ok;
}

static void test_metadata(void **state)
{
    struct world w;
    struct client c;
    char id[24];
    world_up(&w, "");
    set_info(&w, 0, "10.11.19-MariaDB", "SYSTEM");
    set_info(&w, 1, "11.4.2-MariaDB", "+01:00");
    struct sl_packet_ok ok = login_ok(&w, &c, CLIENT_CAPABILITIES | SL_CAP_SESSION_TRACK);
    assert_true(ok.status & SL_STATUS_SESSION_STATE_CHANGED);
    snprintf(id, sizeof id, "%u", c.id);
    assert_true(state_has(ok.state, "connection_id", id));
    assert_true(state_has(ok.state, "threads_connected", "1"));
    assert_true(state_has(ok.state, "maxscale", NULL));
    assert_true(state_has(ok.state, "character_set_client", "utf8mb4"));
    assert_true(state_has(ok.state, "time_zone", "SYSTEM")); /* of the Master */
    assert_true(state_has(ok.state, "max_allowed_packet", "16777216"));
    assert_true(state_has(ok.state, "tx_isolation", "REPEATABLE-READ"));
    assert_false(state_has(ok.state, "system_time_zone", NULL)); /* not known */
    client_close(&c);
    world_status(&w, 0, SL_SERVER_RUNNING | SL_SERVER_SLAVE);
    world_status(&w, 1, SL_SERVER_RUNNING | SL_SERVER_MASTER);
    ok = login_ok(&w, &c, CLIENT_CAPABILITIES | SL_CAP_SESSION_TRACK);
    assert_true(state_has(ok.state, "transaction_isolation", "REPEATABLE-READ"));
    assert_true(state_has(ok.state, "time_zone", "+01:00"));
    client_close(&c);
    w.core->listeners[0]->settings.connection_metadata = (char[]){"time_zone=auto,colour=blue"};
    ok = login_ok(&w, &c, CLIENT_CAPABILITIES | SL_CAP_SESSION_TRACK);
    assert_true(state_has(ok.state, "colour", "blue"));
    assert_false(state_has(ok.state, "maxscale", NULL));
    client_close(&c);
    ok = login_ok(&w, &c, CLIENT_CAPABILITIES); /* cannot take it */
    assert_false(ok.status & SL_STATUS_SESSION_STATE_CHANGED);
    client_close(&c);
    world_down(&w);
}

/* ---- memory ---- */

static uint64_t grown_by(struct world *w, struct client *c, const char *sql, unsigned count)
{
    uint64_t before = world_allocations(w);
    for (unsigned i = 0; i < count; i++) {
        struct answer a = client_query(w, c, sql);
        assert_true(a.kind == SL_REPLY_KIND_RESULTSET || a.kind == SL_REPLY_KIND_OK);
    }
    return world_allocations(w) - before;
}

static void test_no_allocation_per_query(void **state)
{
    static const char *const statements[] = {"SELECT c FROM sbtest1 WHERE id=50",
                                             "UPDATE t SET k=k+1 WHERE id=1",
                                             "SELECT c FROM sbtest1 WHERE id=50 FOR UPDATE"};
    struct world w;
    struct client c;
    world_up(&w, "slave_selection_criteria=adaptive_routing\n");
    client_open_all(&w, &c);
    for (unsigned i = 0; i < SERVERS; i++) {
        w.servers[i].keeps_quiet = true;
    }
    for (unsigned i = 0; i < SL_ARRAY_LEN(statements); i++) {
        grown_by(&w, &c, statements[i], 50);
        assert_int_equal(grown_by(&w, &c, statements[i], 1000), 0);
    }
    client_close(&c);
    world_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prepared),
        cmocka_unit_test(test_prepare_fails),
        cmocka_unit_test(test_stale_prepare),
        cmocka_unit_test(test_long_data_lost),
        cmocka_unit_test(test_session_command_lost),
        cmocka_unit_test(test_session_command_taken_over),
        cmocka_unit_test(test_disagreement),
        cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_client_vanishes),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_readconnroute),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_no_allocation_per_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
