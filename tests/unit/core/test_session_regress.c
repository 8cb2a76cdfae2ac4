/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routing and failures: defects that were there once. Each test is named after what must not happen.
 */
#include "session_world.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "core/server.h"
#include "core/service.h"
#include "proto/ok.h"

#define BIG 60000 /* bytes of a parameter: such a command is passed on before all of it is here */

/* ---- helpers ---- */

static void up(struct world *w, struct client *c, const char *router_lines)
{
    world_up(w, router_lines);
    client_open_all(w, c);
    world_forget(w);
}

static void down(struct world *w, struct client *c)
{
    client_close(c);
    world_down(w);
}

static void expect_end(struct world *w, struct client *c)
{
    assert_true(client_wait(w, c, SL_COM_QUERY, 5000).is_closed);
}

/* The proxy has noticed that nothing connects it with the server. */
static void wait_disconnected(struct world *w, unsigned server)
{
    uint64_t deadline = sl_clock_mono_ms() + 5000;
    while (sl_server_connections(w->core->servers[server]) > 0) {
        assert_true(sl_clock_mono_ms() < deadline);
        world_pump(w, 1);
    }
}

static void wait_count(struct world *w, const char *prefix, unsigned count)
{
    uint64_t deadline = sl_clock_mono_ms() + 5000;
    while (world_count(w, prefix) < count) {
        assert_true(sl_clock_mono_ms() < deadline);
        world_pump(w, 1);
    }
}

static void lose_primary(struct world *w)
{
    fake_server_kill(&w->servers[PRIMARY], true);
    wait_disconnected(w, PRIMARY);
}

static uint32_t prepare(struct world *w, struct client *c, const char *sql)
{
    client_send(c, SL_COM_STMT_PREPARE, sql, strlen(sql));
    struct answer a = client_wait(w, c, SL_COM_STMT_PREPARE, 5000);
    assert_true(a.stmt_id != 0);
    return a.stmt_id;
}

/* An execution with one string parameter of so many bytes (0: no parameter at all). */
static void send_execute(struct client *c, uint32_t id, unsigned bytes, bool with_types)
{
    static uint8_t arg[BIG + 32];
    memset(arg, 0, 32);
    sl_put_le32(arg, id);
    sl_put_le32(arg + 5, 1);
    size_t at = 9;
    if (bytes > 0) {
        at++; /* no NULLs */
        arg[at++] = with_types;
        if (with_types) {
            sl_put_le16(arg + at, 0xfd);
            at += 2;
        }
        arg[at++] = 0xfc; /* length in two bytes */
        sl_put_le16(arg + at, (uint16_t)bytes);
        at += 2;
        memset(arg + at, 'p', bytes);
        at += bytes;
    }
    uint8_t head[5] = {0, 0, 0, 0, SL_COM_STMT_EXECUTE};
    sl_put_le24(head, (uint32_t)at + 1);
    assert_int_equal(send(c->fd, head, sizeof head, MSG_NOSIGNAL), sizeof head);
    size_t first = SL_MIN(at, (size_t)5000);
    assert_int_equal(send(c->fd, arg, first, MSG_NOSIGNAL), first);
    if (at > first) {
        usleep(20000); /* so that the proxy sees the beginning alone */
        assert_int_equal(send(c->fd, arg + first, at - first, MSG_NOSIGNAL), at - first);
    }
}

static struct answer execute(struct world *w, struct client *c, uint32_t id, unsigned bytes,
                             bool with_types)
{
    send_execute(c, id, bytes, with_types);
    return client_wait(w, c, SL_COM_STMT_EXECUTE, 5000);
}


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
        up(&w, &c, cases[i].lines);
        if (i == 0) {
            expect_ok(&w, &c, cases[i].sql);
        } else {
            expect_select_on(&w, &c, cases[i].sql, NULL);
        }
        lose_primary(&w);
        expect_end(&w, &c);
        down(&w, &c);
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
        up(&w, &c, "master_failure_mode=fail_on_write\n");
        lose_primary(&w);
        world_status(&w, PRIMARY, 0);
        expect_select_on(&w, &c, "SELECT 1", NULL);
        struct answer a = client_query(&w, &c, statements[i]);
        assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
        assert_int_equal(a.code, SL_ER_SERVER_LOST);
        expect_end(&w, &c);
        assert_int_equal(world_count(&w, statements[i]), 0);
        down(&w, &c);
    }
}

static void test_read_without_server_gets_no_error(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, "");
    for (unsigned i = SERVERS; i-- > 0;) {
        fake_server_kill(&w.servers[i], true);
        wait_disconnected(&w, i);
        world_status(&w, i, 0);
    }
    struct answer a = client_query(&w, &c, "SELECT 1");
    assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
    expect_end(&w, &c);
    down(&w, &c);
}

/* error_on_write, autocommit=0: the refused INSERT must not count as an open transaction. */
static void test_refused_write_leaves_a_transaction_behind(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, "master_failure_mode=error_on_write\n");
    expect_ok(&w, &c, "SET autocommit=0");
    lose_primary(&w);
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
    down(&w, &c);
}

/* The old primary lives on as a replica: what was begun there ends there, whatever ends it. */
static void test_chained_rollback_commits_on_the_old_primary(void **state)
{
    static const char *const ends[] = {"ROLLBACK AND CHAIN", "COMMIT AND CHAIN", "BEGIN"};
    for (unsigned i = 0; i < SL_ARRAY_LEN(ends); i++) {
        struct world w;
        struct client c;
        up(&w, &c, "");
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
        down(&w, &c);
    }
}

/* ---- long commands ---- */

/* The client was stopped while the server did not keep up; the server is lost: the client goes on. */
static void test_paused_client_sleeps_forever_when_its_server_is_lost(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, "");
    uint32_t id = prepare(&w, &c, "INSERT INTO t VALUES (?)");
    size_t len = 15000000, sent = 0;
    uint8_t *bytes = malloc(4 + len);
    assert_non_null(bytes);
    memset(bytes, 'l', 4 + len);
    sl_put_le24(bytes, (uint32_t)len);
    bytes[3] = 0;
    bytes[4] = SL_COM_STMT_SEND_LONG_DATA;
    sl_put_le32(bytes + 5, id);
    sl_put_le16(bytes + 9, 0);
    struct pollfd p = {c.fd, POLLOUT, 0};
    while (sent < 4 + len && poll(&p, 1, 300) > 0) { /* nobody pumps the server */
        ssize_t n = send(c.fd, bytes + sent, 4 + len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        assert_true(n > 0 || errno == EAGAIN);
        sent += n > 0 ? (size_t)n : 0;
    }
    bool was_stopped = sent < 4 + len;
    fake_server_kill(&w.servers[PRIMARY], false);
    for (uint64_t end = sl_clock_mono_ms() + 10000; sent < 4 + len;) {
        assert_true(sl_clock_mono_ms() < end);
        ssize_t n = send(c.fd, bytes + sent, 4 + len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        assert_true(n > 0 || errno == EAGAIN);
        sent += n > 0 ? (size_t)n : 0;
        world_pump(&w, 1);
    }
    free(bytes);
    assert_true(was_stopped);
    uint8_t exec[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0xfc, 0};
    sl_put_le32(exec, id);
    client_send(&c, SL_COM_STMT_EXECUTE, exec, sizeof exec);
    struct answer a = client_wait(&w, &c, SL_COM_STMT_EXECUTE, 5000);
    assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
    assert_int_equal(world_count(&w, "COM_STMT_EXECUTE"), 0);
    expect_ok(&w, &c, "INSERT INTO t VALUES (2)");
    down(&w, &c);
}

/* A PING in the middle of a packet would be taken for a part of it. */
static void test_ping_inside_a_streamed_packet(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, "");
    uint32_t id = prepare(&w, &c, "INSERT INTO t VALUES (?)");
    w.core->services[0]->settings.connection_keepalive = 1; /* ms */
    w.core->services[0]->settings.force_connection_keepalive = true;
    uint8_t head[] = {0, 0, 0, 0, SL_COM_STMT_SEND_LONG_DATA, 0, 0, 0, 0, 0, 0};
    static uint8_t data[BIG];
    memset(data, 'x', sizeof data);
    sl_put_le24(head, 7 + BIG);
    sl_put_le32(head + 5, id);
    assert_int_equal(send(c.fd, head, sizeof head, MSG_NOSIGNAL), sizeof head);
    assert_int_equal(send(c.fd, data, BIG / 2, MSG_NOSIGNAL), BIG / 2);
    for (uint64_t end = sl_clock_mono_ms() + 2500; sl_clock_mono_ms() < end;) {
        world_pump(&w, 10);
    }
    assert_true(world_count(&w, "COM_PING") > 0); /* the others are kept alive */
    assert_int_equal(fake_server_count(&w.servers[PRIMARY], "COM_PING"), 0);
    assert_int_equal(send(c.fd, data, BIG / 2, MSG_NOSIGNAL), BIG / 2);
    w.core->services[0]->settings.connection_keepalive = 0;
    uint8_t exec[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0xfc, 0};
    sl_put_le32(exec, id);
    client_send(&c, SL_COM_STMT_EXECUTE, exec, sizeof exec);
    assert_int_equal(client_wait(&w, &c, SL_COM_STMT_EXECUTE, 5000).kind, SL_REPLY_KIND_OK);
    char text[64];
    snprintf(text, sizeof text, "COM_STMT_SEND_LONG_DATA 101 len %d", 7 + BIG);
    assert_int_equal(fake_server_count(&w.servers[PRIMARY], text), 1);
    down(&w, &c);
}

/* The same for the COM_STMT_CLOSE of a statement whose PREPARE is answered late. */
static void test_close_inside_a_streamed_packet(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, "");
    uint32_t id = prepare(&w, &c, "SELECT ?");
    send_execute(&c, id, 5, true);
    assert_int_equal(client_wait(&w, &c, SL_COM_STMT_EXECUTE, 5000).kind, SL_REPLY_KIND_OK);
    wait_count(&w, "PREPARE", SERVERS);
    w.servers[1].hold_replies = w.servers[2].hold_replies = true;
    uint32_t gone = prepare(&w, &c, "SELECT 'gone'");
    uint8_t arg[4];
    sl_put_le32(arg, gone);
    client_send(&c, SL_COM_STMT_CLOSE, arg, sizeof arg);
    uint8_t head[] = {0, 0, 0, 0, SL_COM_STMT_SEND_LONG_DATA, 0, 0, 0, 0, 0, 0};
    static uint8_t data[BIG];
    memset(data, 'x', sizeof data);
    sl_put_le24(head, 7 + BIG);
    sl_put_le32(head + 5, id);
    assert_int_equal(send(c.fd, head, sizeof head, MSG_NOSIGNAL), sizeof head);
    assert_int_equal(send(c.fd, data, BIG / 2, MSG_NOSIGNAL), BIG / 2);
    for (unsigned i = 0; i < 50; i++) {
        world_pump(&w, 1);
    }
    w.servers[1].hold_replies = w.servers[2].hold_replies = false;
    for (unsigned i = 0; i < 50; i++) {
        world_pump(&w, 1);
    }
    assert_int_equal(send(c.fd, data, BIG / 2, MSG_NOSIGNAL), BIG / 2);
    uint8_t exec[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0xfc, 0};
    sl_put_le32(exec, id);
    client_send(&c, SL_COM_STMT_EXECUTE, exec, sizeof exec);
    assert_int_equal(client_wait(&w, &c, SL_COM_STMT_EXECUTE, 5000).kind, SL_REPLY_KIND_OK);
    assert_int_equal(world_count(&w, "COM_STMT_SEND_LONG_DATA"), 1);
    assert_int_equal(world_count(&w, "COM_STMT_CLOSE"), SERVERS);
    down(&w, &c);
}

/* A session command with a big parameter is not for the primary alone. */
static void test_big_session_execute_reaches_one_server(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, "");
    uint32_t id = prepare(&w, &c, "SET @z=?");
    assert_int_equal(execute(&w, &c, id, BIG, true).kind, SL_REPLY_KIND_OK);
    wait_count(&w, "COM_STMT_EXECUTE", SERVERS);
    for (unsigned i = 0; i < SERVERS; i++) {
        assert_int_equal(fake_server_count(&w.servers[i], "COM_STMT_EXECUTE"), 1);
    }
    /* Nobody remembers the parameter: no new connection can be made equal. */
    fake_server_kill(&w.servers[1], false);
    wait_disconnected(&w, 1);
    fake_server_kill(&w.servers[2], false);
    wait_disconnected(&w, 2);
    for (unsigned i = 0; i < 4; i++) {
        expect_select_on(&w, &c, "SELECT @z", "s1");
    }
    assert_int_equal(fake_server_connections(&w.servers[1]), 0);
    down(&w, &c);
}

/* A replica that prepares slowly gets the execution too: the client's next command comes long before its answer. */
static void test_slow_prepare_misses_the_session_execute(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, "");
    w.servers[1].hold_replies = true;
    uint32_t id = prepare(&w, &c, "SET @z=?");
    send_execute(&c, id, 5, true);
    assert_true(client_wait(&w, &c, SL_COM_STMT_EXECUTE, 100).is_late);
    w.servers[1].hold_replies = false;
    assert_int_equal(client_wait(&w, &c, SL_COM_STMT_EXECUTE, 5000).kind, SL_REPLY_KIND_OK);
    wait_count(&w, "COM_STMT_EXECUTE", SERVERS);
    assert_int_equal(fake_server_count(&w.servers[1], "COM_STMT_EXECUTE"), 1);
    down(&w, &c);
}

/* A replica that could not prepare it lacks the state afterwards. */
static void test_unprepared_replica_is_read_after_the_session_execute(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, "");
    fake_server_break(&w.servers[1], FAKE_ERR_SYNTAX, "PREPARE");
    uint32_t id = prepare(&w, &c, "SET @z=?");
    assert_int_equal(execute(&w, &c, id, 5, true).kind, SL_REPLY_KIND_OK);
    for (unsigned i = 0; i < 4; i++) {
        expect_select_on(&w, &c, "SELECT @z", "s3");
    }
    world_wait_connections(&w, 1, 0);
    down(&w, &c);
}

/* Long data of a session command went to all servers; one of them is a new connection without it. */
static void test_session_execute_without_its_long_data(void **state)
{
    for (unsigned lost = 0; lost < 2; lost++) { /* the primary, which decides, or a replica */
        struct world w;
        struct client c;
        up(&w, &c, "");
        uint32_t id = prepare(&w, &c, "SET @z=?");
        wait_count(&w, "PREPARE", SERVERS);
        uint8_t data[] = {0, 0, 0, 0, 0, 0, 'a', 'b', 'c'};
        sl_put_le32(data, id);
        client_send(&c, SL_COM_STMT_SEND_LONG_DATA, data, sizeof data);
        wait_count(&w, "COM_STMT_SEND_LONG_DATA", SERVERS);
        fake_server_kill(&w.servers[lost], false);
        wait_disconnected(&w, lost);
        for (unsigned i = 0; i < 3 && lost > 0; i++) { /* makes it connect again */
            expect_select_on(&w, &c, "SELECT 1", NULL);
        }
        uint8_t exec[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0xfc, 0};
        sl_put_le32(exec, id);
        if (lost == 0) {
            expect_ok(&w, &c, "UPDATE t SET a=1");
        }
        client_send(&c, SL_COM_STMT_EXECUTE, exec, sizeof exec);
        struct answer a = client_wait(&w, &c, SL_COM_STMT_EXECUTE, 5000);
        assert_int_equal(a.kind, lost == 0 ? SL_REPLY_KIND_ERR : SL_REPLY_KIND_OK);
        assert_int_equal(fake_server_count(&w.servers[lost], "COM_STMT_EXECUTE"), 0);
        for (unsigned i = 0; i < 4; i++) {
            a = client_query(&w, &c, "SELECT @z");
            assert_int_equal(a.kind, SL_REPLY_KIND_RESULTSET);
            assert_true(lost == 0 || strcmp(a.server, "s3") == 0);
        }
        down(&w, &c);
    }
}

/* But a replica that ran it has the state and may become the primary. */
static void test_unrecoverable_history_forbids_a_connected_primary(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, "");
    uint32_t id = prepare(&w, &c, "SET @z=?");
    assert_int_equal(execute(&w, &c, id, 5, true).kind, SL_REPLY_KIND_OK);
    wait_count(&w, "COM_STMT_EXECUTE", SERVERS);
    world_status(&w, 0, SL_SERVER_RUNNING | SL_SERVER_SLAVE);
    world_status(&w, 1, SL_SERVER_RUNNING | SL_SERVER_MASTER);
    expect_ok(&w, &c, "INSERT INTO t VALUES (@z)");
    assert_int_equal(fake_server_count(&w.servers[1], "INSERT"), 1);
    down(&w, &c);
}

/* Another server has not seen the types: they are put in, however long the parameter is. */
static void test_big_execute_without_types_on_another_server(void **state)
{
    static const unsigned sizes[] = {5, BIG};
    for (unsigned i = 0; i < SL_ARRAY_LEN(sizes); i++) {
        struct world w;
        struct client c;
        char text[64];
        up(&w, &c, "");
        uint32_t id = prepare(&w, &c, "SELECT ?");
        struct answer a = execute(&w, &c, id, sizes[i], true);
        assert_true(a.affected_rows == 201 || a.affected_rows == 301);
        expect_ok(&w, &c, "BEGIN");
        a = execute(&w, &c, id, sizes[i], false);
        assert_int_equal(a.kind, SL_REPLY_KIND_OK);
        assert_int_equal(a.affected_rows, 101);
        /* command, id, flags, iterations, NULLs, flag, type, length, parameter */
        snprintf(text, sizeof text, "COM_STMT_EXECUTE 101 len %u", 10 + 1 + 1 + 2 + 3 + sizes[i]);
        assert_int_equal(fake_server_count(&w.servers[0], text), 1);
        a = execute(&w, &c, id, sizes[i], false); /* now it has */
        assert_int_equal(a.affected_rows, 101);
        assert_int_equal(fake_server_count(&w.servers[0], text), 1);
        expect_ok(&w, &c, "COMMIT");
        down(&w, &c);
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
    down(&w, &c);
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
    wait_count(&w, "SET @a=5", SERVERS);
    struct answer a = client_query(&w, &c, "SELECT @a");
    assert_string_not_equal(a.server, "s1");
    expect_ok(&w, &c, "SET @a=6"); /* from now on nobody new knows it all */
    for (unsigned i = 1; i < SERVERS; i++) {
        fake_server_kill(&w.servers[i], false);
        wait_disconnected(&w, i);
    }
    for (unsigned i = 0; i < 3; i++) {
        expect_select_on(&w, &c, "SELECT @a", "s1");
    }
    down(&w, &c);
}

/* A temporary table exists on the primary only, also one made by EXECUTE. */
static void test_temporary_table_of_execute_is_read_on_a_replica(void **state)
{
    static const char *const lines[] = {"", "max_sescmd_history=1\nprune_sescmd_history=false\n"};
    for (unsigned i = 0; i < SL_ARRAY_LEN(lines); i++) {
        struct world w;
        struct client c;
        up(&w, &c, lines[i]);
        expect_ok(&w, &c, "SET @a=1"); /* with the second configuration no history is left */
        expect_ok(&w, &c, "SET @b=1");
        uint32_t id = prepare(&w, &c, "CREATE TEMPORARY TABLE tb (a INT)");
        assert_int_equal(execute(&w, &c, id, 0, false).affected_rows, 101);
        uint32_t read = prepare(&w, &c, "SELECT * FROM tb");
        for (unsigned k = 0; k < 3; k++) {
            expect_select_on(&w, &c, "SELECT * FROM tb", "s1");
            assert_int_equal(execute(&w, &c, read, 0, false).affected_rows, 102);
        }
        struct answer a = client_query(&w, &c, "SELECT * FROM other");
        assert_string_not_equal(a.server, "s1");
        down(&w, &c);
    }
}

/* A replica whose answer to an earlier SET is still missing gets the client's statement, and then disagrees about the
 * SET: the client must not wait for a server that was given up. */
static void test_given_up_server_owes_the_client_an_answer(void **state)
{
    static const struct {
        const char *sql;
        bool is_retried;
    } cases[] = {{"SELECT 1", true}, {"START TRANSACTION READ ONLY", false}};
    for (unsigned i = 0; i < SL_ARRAY_LEN(cases); i++) {
        struct world w;
        struct client c;
        up(&w, &c, "");
        unsigned other = client_next_replica(&w, &c) == 1 ? 2 : 1;
        fake_server_kill(&w.servers[other], true);
        wait_disconnected(&w, other);
        world_status(&w, other, 0);
        unsigned at = other == 1 ? 2 : 1;
        w.servers[at].hold_replies = true;
        fake_server_break(&w.servers[at], FAKE_ERR_SYNTAX, "SET @a");
        expect_ok(&w, &c, "SET @a=1");
        client_send_text(&c, cases[i].sql);
        assert_true(client_wait(&w, &c, SL_COM_QUERY, 100).is_late);
        w.servers[at].hold_replies = false;
        struct answer a = client_wait(&w, &c, SL_COM_QUERY, 5000);
        if (cases[i].is_retried) {
            assert_int_equal(a.kind, SL_REPLY_KIND_RESULTSET);
            assert_string_equal(a.server, "s1");
            expect_ok(&w, &c, "UPDATE t SET a=1");
        } else {
            assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
            expect_end(&w, &c);
        }
        down(&w, &c);
    }
}

/* After a reset all servers have the same state again: none. */
static void test_given_up_server_stays_so_after_a_reset(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, "");
    fake_server_break(&w.servers[1], FAKE_ERR_SYNTAX, "USE");
    expect_ok(&w, &c, "USE db1");
    wait_disconnected(&w, 1);
    fake_server_kill(&w.servers[2], true);
    wait_disconnected(&w, 2);
    world_status(&w, 2, 0);
    expect_select_on(&w, &c, "SELECT 1", "s1");
    client_send(&c, SL_COM_RESET_CONNECTION, NULL, 0);
    assert_int_equal(client_wait(&w, &c, SL_COM_RESET_CONNECTION, 5000).kind, SL_REPLY_KIND_OK);
    expect_select_on(&w, &c, "SELECT 1", "s2");
    down(&w, &c);
}

/* A refused database is not the current one, not even after the next command works. */
static void test_refused_database_becomes_current(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, "");
    client_send(&c, SL_COM_INIT_DB, "good", 4);
    assert_int_equal(client_wait(&w, &c, SL_COM_INIT_DB, 5000).kind, SL_REPLY_KIND_OK);
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
    down(&w, &c);
}

/* The same when nobody is there to refuse it but ourselves. */
static void test_database_nobody_was_asked_for_becomes_current(void **state)
{
    struct world w;
    struct client c;
    up(&w, &c, "master_failure_mode=error_on_write\n");
    for (unsigned i = SERVERS; i-- > 0;) {
        fake_server_kill(&w.servers[i], true);
        wait_disconnected(&w, i);
        world_status(&w, i, 0);
    }
    client_send(&c, SL_COM_INIT_DB, "bad", 3);
    assert_int_equal(client_wait(&w, &c, SL_COM_INIT_DB, 5000).kind, SL_REPLY_KIND_ERR);
    for (unsigned i = 0; i < SERVERS; i++) {
        fake_server_revive(&w.servers[i]);
        world_status(&w, i, SL_SERVER_RUNNING | (i == PRIMARY ? SL_SERVER_MASTER : SL_SERVER_SLAVE));
    }
    expect_ok(&w, &c, "UPDATE t SET a=1");
    expect_ok(&w, &c, "CREATE TEMPORARY TABLE tt (a INT)");
    expect_select_on(&w, &c, "SELECT * FROM tt", "s1");
    struct answer a = client_query(&w, &c, "SELECT * FROM bad.tt");
    assert_int_equal(a.kind, SL_REPLY_KIND_RESULTSET);
    assert_string_not_equal(a.server, "s1");
    down(&w, &c);
}

/* The deciding server could not prepare the statement: one that could answers the reset. */
static void test_reset_of_a_statement_asks_a_server_without_it(void **state)
{
    for (unsigned somebody = 0; somebody < 2; somebody++) {
        struct world w;
        struct client c;
        uint8_t arg[4];
        up(&w, &c, "");
        fake_server_break(&w.servers[1], FAKE_ERR_SYNTAX, "PREPARE");
        if (!somebody) {
            fake_server_break(&w.servers[2], FAKE_ERR_SYNTAX, "PREPARE");
        }
        uint32_t id = prepare(&w, &c, "SELECT 5");
        wait_count(&w, "PREPARE", SERVERS);
        lose_primary(&w);
        world_status(&w, PRIMARY, 0);
        sl_put_le32(arg, id);
        client_send(&c, SL_COM_STMT_RESET, arg, sizeof arg);
        struct answer a = client_wait(&w, &c, SL_COM_STMT_RESET, 5000);
        assert_int_equal(a.kind, somebody ? SL_REPLY_KIND_OK : SL_REPLY_KIND_ERR);
        assert_false(a.is_closed);
        assert_int_equal(fake_server_count(&w.servers[1], "COM_STMT_RESET"), 0);
        expect_select_on(&w, &c, "SELECT 1", NULL);
        down(&w, &c);
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
        cmocka_unit_test(test_paused_client_sleeps_forever_when_its_server_is_lost),
        cmocka_unit_test(test_ping_inside_a_streamed_packet),
        cmocka_unit_test(test_close_inside_a_streamed_packet),
        cmocka_unit_test(test_big_session_execute_reaches_one_server),
        cmocka_unit_test(test_slow_prepare_misses_the_session_execute),
        cmocka_unit_test(test_unprepared_replica_is_read_after_the_session_execute),
        cmocka_unit_test(test_session_execute_without_its_long_data),
        cmocka_unit_test(test_unrecoverable_history_forbids_a_connected_primary),
        cmocka_unit_test(test_big_execute_without_types_on_another_server),
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
