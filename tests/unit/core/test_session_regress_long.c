/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prepared statements and commands that are passed on in pieces: defects that were there once. Each
 * test is named after what must not happen.
 */
#include "session_regress.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "core/server.h"
#include "proto/constants.h"
#include "proto/ok.h"
#include "proto/packet.h"

/* The client was stopped while the server did not keep up; that server is lost: the client goes
 * on. */
static void test_paused_client_sleeps_forever_when_its_server_is_lost(void **state)
{
    struct world w;
    struct client c;
    regress_up(&w, &c, "");
    uint32_t id = client_prepare(&w, &c, "INSERT INTO t VALUES (?)");
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
    for (uint64_t end = sl_clock_mono_ms() + 60000; sent < 4 + len;) {
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
    struct answer a = client_wait(&w, &c, SL_COM_STMT_EXECUTE, 60000);
    assert_int_equal(a.kind, SL_REPLY_KIND_ERR);
    assert_int_equal(world_count(&w, "COM_STMT_EXECUTE"), 0);
    expect_ok(&w, &c, "INSERT INTO t VALUES (2)");
    regress_down(&w, &c);
}

/* A PING in the middle of a packet would be taken for a part of it. */
static void test_ping_inside_a_streamed_packet(void **state)
{
    struct world w;
    struct client c;
    regress_up(&w, &c, "connection_keepalive=1s\nforce_connection_keepalive=true\n");
    uint32_t id = client_prepare(&w, &c, "INSERT INTO t VALUES (?)");
    uint8_t head[] = {0, 0, 0, 0, SL_COM_STMT_SEND_LONG_DATA, 0, 0, 0, 0, 0, 0};
    static uint8_t data[REGRESS_BIG];
    memset(data, 'x', sizeof data);
    sl_put_le24(head, 7 + REGRESS_BIG);
    sl_put_le32(head + 5, id);
    assert_int_equal(send(c.fd, head, sizeof head, MSG_NOSIGNAL), sizeof head);
    assert_int_equal(send(c.fd, data, REGRESS_BIG / 2, MSG_NOSIGNAL), REGRESS_BIG / 2);
    world_wait_count(&w, "COM_PING", 6); /* the two others are kept alive, for three sweeps */
    assert_int_equal(fake_server_count(&w.servers[PRIMARY], "COM_PING"), 0);
    assert_int_equal(send(c.fd, data, REGRESS_BIG / 2, MSG_NOSIGNAL), REGRESS_BIG / 2);
    uint8_t exec[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0xfc, 0};
    sl_put_le32(exec, id);
    client_send(&c, SL_COM_STMT_EXECUTE, exec, sizeof exec);
    assert_int_equal(client_wait(&w, &c, SL_COM_STMT_EXECUTE, 60000).kind, SL_REPLY_KIND_OK);
    char text[64];
    snprintf(text, sizeof text, "COM_STMT_SEND_LONG_DATA 101 len %d", 7 + REGRESS_BIG);
    assert_int_equal(fake_server_count(&w.servers[PRIMARY], text), 1);
    regress_down(&w, &c);
}

/* The same for the COM_STMT_CLOSE of a statement whose PREPARE is answered late. */
static void test_close_inside_a_streamed_packet(void **state)
{
    struct world w;
    struct client c;
    regress_up(&w, &c, "");
    uint32_t id = client_prepare(&w, &c, "SELECT ?");
    client_send_execute(&c, id, 5, true);
    assert_int_equal(client_wait(&w, &c, SL_COM_STMT_EXECUTE, 60000).kind, SL_REPLY_KIND_OK);
    world_wait_count(&w, "PREPARE", SERVERS);
    w.servers[1].hold_replies = w.servers[2].hold_replies = true;
    uint32_t gone = client_prepare(&w, &c, "SELECT 'gone'");
    uint8_t arg[4];
    sl_put_le32(arg, gone);
    client_send(&c, SL_COM_STMT_CLOSE, arg, sizeof arg);
    uint8_t head[] = {0, 0, 0, 0, SL_COM_STMT_SEND_LONG_DATA, 0, 0, 0, 0, 0, 0};
    static uint8_t data[REGRESS_BIG];
    memset(data, 'x', sizeof data);
    sl_put_le24(head, 7 + REGRESS_BIG);
    sl_put_le32(head + 5, id);
    assert_int_equal(send(c.fd, head, sizeof head, MSG_NOSIGNAL), sizeof head);
    assert_int_equal(send(c.fd, data, REGRESS_BIG / 2, MSG_NOSIGNAL), REGRESS_BIG / 2);
    for (unsigned i = 0; i < 50; i++) {
        world_pump(&w, 1);
    }
    w.servers[1].hold_replies = w.servers[2].hold_replies = false;
    for (unsigned i = 0; i < 50; i++) {
        world_pump(&w, 1);
    }
    assert_int_equal(send(c.fd, data, REGRESS_BIG / 2, MSG_NOSIGNAL), REGRESS_BIG / 2);
    uint8_t exec[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0xfc, 0};
    sl_put_le32(exec, id);
    client_send(&c, SL_COM_STMT_EXECUTE, exec, sizeof exec);
    assert_int_equal(client_wait(&w, &c, SL_COM_STMT_EXECUTE, 60000).kind, SL_REPLY_KIND_OK);
    assert_int_equal(world_count(&w, "COM_STMT_SEND_LONG_DATA"), 1);
    assert_int_equal(world_count(&w, "COM_STMT_CLOSE"), SERVERS);
    regress_down(&w, &c);
}

/* A session command with a big parameter is not for the primary alone. */
static void test_big_session_execute_reaches_one_server(void **state)
{
    struct world w;
    struct client c;
    regress_up(&w, &c, "");
    uint32_t id = client_prepare(&w, &c, "SET @z=?");
    assert_int_equal(client_execute(&w, &c, id, REGRESS_BIG, true).kind, SL_REPLY_KIND_OK);
    world_wait_count(&w, "COM_STMT_EXECUTE", SERVERS);
    for (unsigned i = 0; i < SERVERS; i++) {
        assert_int_equal(fake_server_count(&w.servers[i], "COM_STMT_EXECUTE"), 1);
    }
    /* Nobody remembers the parameter: no new connection can be made equal. */
    fake_server_kill(&w.servers[1], false);
    world_wait_disconnected(&w, 1);
    fake_server_kill(&w.servers[2], false);
    world_wait_disconnected(&w, 2);
    for (unsigned i = 0; i < 4; i++) {
        expect_select_on(&w, &c, "SELECT @z", "s1");
    }
    assert_int_equal(fake_server_connections(&w.servers[1]), 0);
    regress_down(&w, &c);
}

/* A replica that prepares slowly gets the execution too: the client's next command comes long
 * before its answer. */
static void test_slow_prepare_misses_the_session_execute(void **state)
{
    struct world w;
    struct client c;
    regress_up(&w, &c, "");
    w.servers[1].hold_replies = true;
    uint32_t id = client_prepare(&w, &c, "SET @z=?");
    client_send_execute(&c, id, 5, true);
    assert_true(client_wait(&w, &c, SL_COM_STMT_EXECUTE, 100).is_late);
    w.servers[1].hold_replies = false;
    assert_int_equal(client_wait(&w, &c, SL_COM_STMT_EXECUTE, 60000).kind, SL_REPLY_KIND_OK);
    world_wait_count(&w, "COM_STMT_EXECUTE", SERVERS);
    assert_int_equal(fake_server_count(&w.servers[1], "COM_STMT_EXECUTE"), 1);
    regress_down(&w, &c);
}

/* A replica that could not prepare it lacks the state afterwards. */
static void test_unprepared_replica_is_read_after_the_session_execute(void **state)
{
    struct world w;
    struct client c;
    regress_up(&w, &c, "");
    fake_server_break(&w.servers[1], FAKE_ERR_SYNTAX, "PREPARE");
    uint32_t id = client_prepare(&w, &c, "SET @z=?");
    assert_int_equal(client_execute(&w, &c, id, 5, true).kind, SL_REPLY_KIND_OK);
    for (unsigned i = 0; i < 4; i++) {
        expect_select_on(&w, &c, "SELECT @z", "s3");
    }
    world_wait_connections(&w, 1, 0);
    regress_down(&w, &c);
}

/* Long data of a session command went to all servers; one of them is a new connection without
 * it. */
static void test_session_execute_without_its_long_data(void **state)
{
    for (unsigned lost = 0; lost < 2; lost++) { /* the primary, which decides, or a replica */
        struct world w;
        struct client c;
        regress_up(&w, &c, "");
        uint32_t id = client_prepare(&w, &c, "SET @z=?");
        world_wait_count(&w, "PREPARE", SERVERS);
        uint8_t data[] = {0, 0, 0, 0, 0, 0, 'a', 'b', 'c'};
        sl_put_le32(data, id);
        client_send(&c, SL_COM_STMT_SEND_LONG_DATA, data, sizeof data);
        world_wait_count(&w, "COM_STMT_SEND_LONG_DATA", SERVERS);
        fake_server_kill(&w.servers[lost], false);
        world_wait_disconnected(&w, lost);
        for (unsigned i = 0; i < 3 && lost > 0; i++) { /* makes it connect again */
            expect_select_on(&w, &c, "SELECT 1", NULL);
        }
        uint8_t exec[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0xfc, 0};
        sl_put_le32(exec, id);
        if (lost == 0) {
            expect_ok(&w, &c, "UPDATE t SET a=1");
        }
        client_send(&c, SL_COM_STMT_EXECUTE, exec, sizeof exec);
        struct answer a = client_wait(&w, &c, SL_COM_STMT_EXECUTE, 60000);
        assert_int_equal(a.kind, lost == 0 ? SL_REPLY_KIND_ERR : SL_REPLY_KIND_OK);
        assert_int_equal(fake_server_count(&w.servers[lost], "COM_STMT_EXECUTE"), 0);
        for (unsigned i = 0; i < 4; i++) {
            a = client_query(&w, &c, "SELECT @z");
            assert_int_equal(a.kind, SL_REPLY_KIND_RESULTSET);
            assert_true(lost == 0 || strcmp(a.server, "s3") == 0);
        }
        regress_down(&w, &c);
    }
}

/* But a replica that ran it has the state and may become the primary. */
static void test_unrecoverable_history_forbids_a_connected_primary(void **state)
{
    struct world w;
    struct client c;
    regress_up(&w, &c, "");
    uint32_t id = client_prepare(&w, &c, "SET @z=?");
    assert_int_equal(client_execute(&w, &c, id, 5, true).kind, SL_REPLY_KIND_OK);
    world_wait_count(&w, "COM_STMT_EXECUTE", SERVERS);
    world_status(&w, 0, SL_SERVER_RUNNING | SL_SERVER_SLAVE);
    world_status(&w, 1, SL_SERVER_RUNNING | SL_SERVER_MASTER);
    expect_ok(&w, &c, "INSERT INTO t VALUES (@z)");
    assert_int_equal(fake_server_count(&w.servers[1], "INSERT"), 1);
    regress_down(&w, &c);
}

/* Another server has not seen the types: they are put in, however long the parameter is. */
static void test_big_execute_without_types_on_another_server(void **state)
{
    static const unsigned sizes[] = {5, REGRESS_BIG};
    for (unsigned i = 0; i < SL_ARRAY_LEN(sizes); i++) {
        struct world w;
        struct client c;
        char text[64];
        regress_up(&w, &c, "");
        uint32_t id = client_prepare(&w, &c, "SELECT ?");
        struct answer a = client_execute(&w, &c, id, sizes[i], true);
        assert_true(a.affected_rows == 201 || a.affected_rows == 301);
        expect_ok(&w, &c, "BEGIN");
        a = client_execute(&w, &c, id, sizes[i], false);
        assert_int_equal(a.kind, SL_REPLY_KIND_OK);
        assert_int_equal(a.affected_rows, 101);
        /* command, id, flags, iterations, NULLs, flag, type, length, parameter */
        snprintf(text, sizeof text, "COM_STMT_EXECUTE 101 len %u", 10 + 1 + 1 + 2 + 3 + sizes[i]);
        assert_int_equal(fake_server_count(&w.servers[0], text), 1);
        a = client_execute(&w, &c, id, sizes[i], false); /* now it has */
        assert_int_equal(a.affected_rows, 101);
        assert_int_equal(fake_server_count(&w.servers[0], text), 1);
        expect_ok(&w, &c, "COMMIT");
        regress_down(&w, &c);
    }
}

static void send_packet(struct world *w, struct client *c, uint8_t seq, uint8_t command,
                        uint32_t len)
{
    size_t sent = 0, all = SL_PACKET_HEADER + (size_t)len;
    uint8_t *bytes = test_malloc(all);
    memset(bytes, ' ', all);
    sl_put_le24(bytes, len);
    bytes[3] = seq;
    if (len > 0 && command != 0) {
        bytes[4] = command;
        memcpy(bytes + 5, "INSERT", SL_MIN(len - 1, 6));
    }
    for (uint64_t end = sl_clock_mono_ms() + 60000; sent < all;) {
        assert_true(sl_clock_mono_ms() < end);
        ssize_t n = send(c->fd, bytes + sent, all - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        assert_true(n > 0 || errno == EAGAIN);
        sent += n > 0 ? (size_t)n : 0;
        world_pump(w, 1);
    }
    test_free(bytes);
}

/* No server gets the command, so it is answered here, with the sequence number that follows its
 * last packet, and not before that packet has come. */
static void test_answer_in_the_middle_of_a_long_command(void **state)
{
    static const struct {
        uint8_t command;
        uint32_t last_len; /* of the third packet */
        uint16_t code;
    } cases[] = {{SL_COM_QUERY, 100, SL_ER_OPTION_PREVENTS_STATEMENT},
                 {SL_COM_QUERY, 0, SL_ER_OPTION_PREVENTS_STATEMENT},
                 {0x77, 5, SL_ER_UNKNOWN_COM}};
    struct world w;
    struct client c;
    regress_up(&w, &c, "master_failure_mode=error_on_write\n");
    world_status(&w, PRIMARY, 0);
    for (unsigned i = 0; i < SL_ARRAY_LEN(cases); i++) {
        uint8_t answer[512];
        send_packet(&w, &c, 0, cases[i].command, SL_PACKET_MAX);
        send_packet(&w, &c, 1, 0, SL_PACKET_MAX);
        world_allocations(&w); /* the worker has been there */
        assert_int_equal(recv(c.fd, answer, sizeof answer, MSG_DONTWAIT), -1);
        send_packet(&w, &c, 2, 0, cases[i].last_len);
        struct pollfd p = {c.fd, POLLIN, 0};
        assert_int_equal(poll(&p, 1, 60000), 1);
        assert_true(recv(c.fd, answer, sizeof answer, MSG_DONTWAIT) > 7);
        assert_int_equal(answer[3], 3);
        assert_int_equal(answer[4], 0xff);
        assert_int_equal(sl_get_le16(answer + 5), cases[i].code);
        struct answer a = client_query(&w, &c, "SELECT 1");
        assert_int_equal(a.kind, SL_REPLY_KIND_RESULTSET);
    }
    regress_down(&w, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paused_client_sleeps_forever_when_its_server_is_lost),
        cmocka_unit_test(test_ping_inside_a_streamed_packet),
        cmocka_unit_test(test_close_inside_a_streamed_packet),
        cmocka_unit_test(test_big_session_execute_reaches_one_server),
        cmocka_unit_test(test_slow_prepare_misses_the_session_execute),
        cmocka_unit_test(test_unprepared_replica_is_read_after_the_session_execute),
        cmocka_unit_test(test_session_execute_without_its_long_data),
        cmocka_unit_test(test_unrecoverable_history_forbids_a_connected_primary),
        cmocka_unit_test(test_big_execute_without_types_on_another_server),
        cmocka_unit_test(test_answer_in_the_middle_of_a_long_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
