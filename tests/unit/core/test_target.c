/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services as targets: what state they have, and sessions through two levels, against fake servers.
 *
 *   outer (readwritesplit) --> split (readwritesplit) --> s1 (Master) s2 s3
 *                          '-> conn (readconnroute, slave) --> s2 s3
 */
#include "core/target.h"
#include "session_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/inspect.h"
#include "proto/constants.h"
#include "router/routers.h"

/* ---- states ---- */

#define R SL_SERVER_RUNNING
#define MASTER (R | SL_SERVER_MASTER | SL_SERVER_JOINED)
#define SLAVE (R | SL_SERVER_SLAVE | SL_SERVER_JOINED)
#define DRAIN SL_SERVER_DRAINING
#define MAINT SL_SERVER_MAINT

enum {
    SPLIT = -1 /* readwritesplit; else the router_options of readconnroute */
};

struct state_row {
    int router;
    uint32_t words[3];
    uint32_t expected;
};

static const struct state_row state_rows[] = {
    {SPLIT, {0, 0, 0}, 0},
    {SPLIT, {R, 0, 0}, R},
    {SPLIT, {MASTER, SLAVE, SLAVE}, MASTER},
    {SPLIT, {0, SLAVE, SLAVE}, SLAVE},
    {SPLIT, {0, R | SL_SERVER_SLAVE, 0}, R | SL_SERVER_SLAVE},
    {SPLIT, {MASTER | MAINT, SLAVE, 0}, SLAVE},
    {SPLIT, {MASTER | MAINT, SLAVE | MAINT, 0}, R | MAINT},
    {SPLIT, {MAINT, MAINT, MAINT}, 0},
    {SPLIT, {MASTER | DRAIN, SLAVE, 0}, SLAVE},
    {SPLIT, {MASTER | DRAIN, SLAVE | DRAIN, 0}, MASTER | DRAIN},
    {SPLIT, {MASTER | SL_SERVER_NEED_DNS, SLAVE, 0}, SLAVE},
    {SL_READCONN_MASTER, {MASTER, SLAVE, SLAVE}, MASTER},
    {SL_READCONN_MASTER, {0, SLAVE, SLAVE}, SLAVE},
    {SL_READCONN_SLAVE, {MASTER, SLAVE, SLAVE}, SLAVE},
    {SL_READCONN_SLAVE, {MASTER, 0, 0}, SLAVE},
    {SL_READCONN_SLAVE, {0, 0, R}, R},
    {SL_READCONN_RUNNING, {MASTER, SLAVE, 0}, SLAVE},
    {SL_READCONN_RUNNING, {MASTER, 0, 0}, MASTER},
    {SL_READCONN_RUNNING, {MASTER, MASTER, 0}, MASTER},
};

static void test_states(void **state)
{
    struct sl_server_settings settings = {.address = (char *)(uintptr_t) "127.0.0.1"};
    struct sl_server *servers[3];
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(sl_server_new("s", &settings, i, 1, &servers[i], NULL), 0);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(state_rows); i++) {
        const struct state_row *row = &state_rows[i];
        struct sl_readconn_settings readconn = {.router_options = row->router,
                                                .master_accept_reads = true};
        struct sl_service s = {.servers = servers, .server_count = 3};
        s.ops = row->router == SPLIT ? sl_module_readwritesplit.ops : sl_module_readconnroute.ops;
        s.router_settings = &readconn;
        for (unsigned k = 0; k < 3; k++) {
            sl_server_status_change(servers[k], row->words[k], ~row->words[k]);
        }
        if (sl_target_status(&s) != row->expected) {
            fail_msg("row %zu: 0x%x, not 0x%x", i, sl_target_status(&s), row->expected);
        }
    }
    for (unsigned i = 0; i < 3; i++) {
        sl_server_free(servers[i]);
    }
}

/* ---- sessions ---- */

struct chain {
    struct world w;
    uint16_t port; /* of outer */
    struct client c;
    char accounts[64];
};

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void write_accounts(struct chain *x)
{
    static const char text[] =
        "{\"user\":[{\"user\":\"u\",\"host\":\"%\",\"global_db_priv\":true}]}";
    snprintf(x->accounts, sizeof x->accounts, "/tmp/sealane-target-XXXXXX");
    int fd = mkstemp(x->accounts);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void up(struct chain *x, const char *outer_lines)
{
    char text[1024];
    x->port = free_port();
    write_accounts(x);
    snprintf(text, sizeof text,
             "\n[outer]\ntype=service\nrouter=readwritesplit\ntargets=split,conn\nuser=u\n"
             "password=x\nuser_accounts_file=%s\n"
             "user_accounts_file_usage=file_only_always\n%s\n"
             "[outer-listener]\ntype=listener\nservice=outer\naddress=127.0.0.1\nport=%u\n",
             x->accounts, outer_lines, x->port);
    world_up(&x->w, text);
    client_open_at(&x->w, &x->c, x->port, CLIENT_CAPABILITIES, NULL);
}

static void down(struct chain *x)
{
    client_close(&x->c);
    world_down(&x->w);
    unlink(x->accounts);
}

static uint32_t word_of(struct chain *x, const char *service)
{
    return sl_server_status(sl_core_service(x->w.core, service)->stand_in);
}

static void test_both_levels(void **state)
{
    struct chain x;
    up(&x, "");
    expect_ok(&x.w, &x.c, "INSERT INTO t VALUES (1)");
    assert_int_equal(fake_server_count(&x.w.servers[PRIMARY], "INSERT"), 1);
    struct answer r = client_query(&x.w, &x.c, "SELECT 1");
    assert_int_equal(r.kind, SL_REPLY_KIND_RESULTSET);
    assert_string_not_equal(r.server, "s1");
    const struct sl_service *outer = sl_core_service(x.w.core, "outer");
    assert_int_equal(outer->server_count, 2);
    assert_int_equal(outer->reached_count, 3);
    assert_null(outer->stand_in);
    assert_int_equal(sl_server_connections(outer->servers[0]), 1);
    down(&x);
}

static void test_states_follow(void **state)
{
    struct chain x;
    up(&x, "");
    assert_int_equal(word_of(&x, "split"), R | SL_SERVER_MASTER);
    assert_int_equal(word_of(&x, "conn"), R | SL_SERVER_SLAVE);
    world_status(&x.w, PRIMARY, 0);
    assert_int_equal(word_of(&x, "split"), R | SL_SERVER_SLAVE);
    world_status(&x.w, 1, R | SL_SERVER_MASTER);
    assert_int_equal(word_of(&x, "split"), R | SL_SERVER_MASTER);
    world_status(&x.w, 1, 0);
    world_status(&x.w, 2, 0);
    assert_int_equal(word_of(&x, "conn"), 0);
    struct sl_server *s2 = x.w.core->servers[1], *s3 = x.w.core->servers[2];
    atomic_store(&s2->lag_s, 3);
    world_status(&x.w, 1, R | SL_SERVER_SLAVE);
    struct sl_server *conn = sl_core_service(x.w.core, "conn")->stand_in;
    assert_int_equal(atomic_load(&conn->lag_s), 3);
    atomic_store(&s3->lag_s, 7);
    world_status(&x.w, 2, R | SL_SERVER_SLAVE);
    assert_int_equal(atomic_load(&conn->lag_s), 7);
    atomic_store(&s2->lag_s, SL_SERVER_LAG_UNKNOWN);
    assert_false(sl_targets_refresh(x.w.core)); /* no word has changed */
    assert_int_equal(atomic_load(&conn->lag_s), SL_SERVER_LAG_UNKNOWN);
    down(&x);
}

/* One session for the tools, with the connections to servers. */
static void test_one_session_is_seen(void **state)
{
    struct chain x;
    up(&x, "");
    expect_ok(&x.w, &x.c, "INSERT INTO t VALUES (1)");
    client_query(&x.w, &x.c, "SELECT 1");
    struct sl_session_info *list;
    unsigned count;
    assert_int_equal(sl_inspect_sessions(x.w.core, 0, &list, &count), SL_OK);
    assert_int_equal(count, 1);
    assert_int_equal(list[0].id, x.c.id);
    assert_string_equal(list[0].service, "outer");
    for (unsigned i = 0; i < list[0].connection_count; i++) {
        assert_int_equal(list[0].connections[i].server[0], 's');
        assert_int_equal(strlen(list[0].connections[i].server), 2);
    }
    sl_inspect_free(list, count);
    /* inner sessions cannot be ended by themselves */
    for (uint64_t id = x.c.id + 1; id < x.c.id + 3; id++) {
        assert_int_equal(sl_inspect_kill(x.w.core, id, 0), SL_ENOENT);
    }
    assert_int_equal(sl_inspect_kill(x.w.core, x.c.id, 0), SL_OK);
    assert_true(client_wait(&x.w, &x.c, SL_COM_QUERY, 60000).is_closed);
    down(&x);
}

/* The thread that served the last read: of the connection that comes last, conn's. */
static unsigned thread_of(struct chain *x, const struct client *c)
{
    struct sl_session_info *list;
    unsigned count;
    assert_int_equal(sl_inspect_sessions(x->w.core, c->id, &list, &count), SL_OK);
    assert_int_equal(count, 1);
    unsigned thread = (unsigned)list[0].connections[list[0].connection_count - 1].thread_id;
    sl_inspect_free(list, count);
    return thread;
}

/* What a server told the client is its id; the numbers of inner sessions are nobody's. */
static void test_kill(void **state)
{
    struct chain x;
    struct client victim;
    char sql[64];
    up(&x, "");
    x.w.servers[PRIMARY].accepted = 1000;
    x.w.servers[1].accepted = 2000;
    x.w.servers[2].accepted = 3000;
    client_open_at(&x.w, &victim, x.port, CLIENT_CAPABILITIES, NULL);
    client_query(&x.w, &victim, "SELECT CONNECTION_ID()");
    for (uint32_t id = victim.id + 1; id < victim.id + 3; id++) {
        snprintf(sql, sizeof sql, "KILL %u", id);
        assert_int_equal(client_query(&x.w, &x.c, sql).code, SL_ER_NO_SUCH_THREAD);
    }
    expect_ok(&x.w, &victim, "INSERT INTO t VALUES (1)");
    snprintf(sql, sizeof sql, "KILL QUERY %u", thread_of(&x, &victim));
    assert_int_equal(client_query(&x.w, &x.c, sql).code, 0);
    expect_ok(&x.w, &victim, "INSERT INTO t VALUES (1)");
    snprintf(sql, sizeof sql, "KILL %u", thread_of(&x, &victim));
    assert_int_equal(client_query(&x.w, &x.c, sql).code, 0);
    assert_true(client_wait(&x.w, &victim, SL_COM_QUERY, 60000).is_closed);
    expect_ok(&x.w, &x.c, "INSERT INTO t VALUES (1)");
    client_close(&victim);
    down(&x);
}

/* The list that a service has shown is that of one of its servers: its numbers are meant. */
static void test_kill_from_a_list(void **state)
{
    struct chain x;
    struct client victim;
    char sql[64];
    up(&x, "");
    x.w.servers[1].accepted = 2000;
    x.w.servers[2].accepted = 3000;
    client_open_at(&x.w, &victim, x.port, CLIENT_CAPABILITIES, NULL);
    client_query(&x.w, &victim, "SELECT 1");
    client_query(&x.w, &x.c, "SELECT id FROM information_schema.processlist");
    snprintf(sql, sizeof sql, "KILL %u", victim.id); /* on the list it would be a stranger's */
    struct answer r = client_query(&x.w, &x.c, sql);
    assert_int_equal(r.code, SL_ER_NO_SUCH_THREAD);
    assert_true(strstr(r.message, "server 's2'") != NULL ||
                strstr(r.message, "server 's3'") != NULL);
    expect_ok(&x.w, &victim, "INSERT INTO t VALUES (1)");
    client_close(&victim);
    down(&x);
}

/* A lost server ends the inner session, and the outer router retries the read. */
static void test_a_read_is_retried(void **state)
{
    struct chain x;
    up(&x, "");
    struct answer r = client_query(&x.w, &x.c, "SELECT 1");
    unsigned at = strcmp(r.server, "s2") == 0 ? 1 : 2;
    x.w.servers[at].fault = FAKE_CLOSE_BEFORE;
    x.w.servers[at].fault_text = "SELECT 2";
    x.w.servers[at].faults_left = 1;
    r = client_query(&x.w, &x.c, "SELECT 2");
    assert_int_equal(r.kind, SL_REPLY_KIND_RESULTSET);
    expect_ok(&x.w, &x.c, "INSERT INTO t VALUES (1)");
    down(&x);
}

static void test_nothing_is_allocated_for_a_query(void **state)
{
    struct chain x;
    up(&x, "");
    for (unsigned i = 0; i < SERVERS; i++) {
        x.w.servers[i].keeps_quiet = true;
    }
    uint64_t before = 0;
    for (unsigned i = 0; i < 120; i++) {
        before = i == 20 ? world_allocations(&x.w) : before;
        expect_ok(&x.w, &x.c, "INSERT INTO t VALUES (1)");
        client_query(&x.w, &x.c, "SELECT 1");
    }
    assert_int_equal(world_allocations(&x.w), before);
    down(&x);
}

/* No descriptors left: the connection to the service fails, the daemon goes on. */
static void test_no_descriptors(void **state)
{
    struct chain x;
    struct rlimit limit, none;
    up(&x, "lazy_connect=true\n");
    getrlimit(RLIMIT_NOFILE, &limit);
    none = (struct rlimit){3, limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    struct answer r = client_query(&x.w, &x.c, "INSERT INTO t VALUES (1)");
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_true(r.is_closed || r.code != 0);
    client_close(&x.c);
    client_open_at(&x.w, &x.c, x.port, CLIENT_CAPABILITIES, NULL);
    expect_ok(&x.w, &x.c, "INSERT INTO t VALUES (1)");
    down(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_both_levels),
        cmocka_unit_test(test_states_follow),
        cmocka_unit_test(test_one_session_is_seen),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_kill_from_a_list),
        cmocka_unit_test(test_a_read_is_retried),
        cmocka_unit_test(test_nothing_is_allocated_for_a_query),
        cmocka_unit_test(test_no_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
