/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select_master: two servers, each a primary on loopback, whose states the test sets. The relay reads
 * from the Master, moves when the role does, and borrows another server while the Master lacks files.
 */
#include "upstream_world.h"

#include "conf/settings.h"

struct pair {
    struct world *w;
    struct primary *second;
    struct sl_server *servers[2];
};

static struct sl_server *make_server(const char *name, unsigned index, uint16_t port)
{
    struct sl_server_settings settings = {0};
    struct sl_err err = SL_ERR_INIT;
    struct sl_server *server;
    sl_settings_defaults(&sl_settings_server, &settings);
    sl_free(settings.address);
    settings.address = sl_strdup("127.0.0.1");
    settings.port = port;
    assert_int_equal(sl_server_new(name, &settings, index, 1, &server, &err), SL_OK);
    sl_settings_clear(&sl_settings_server, &settings);
    assert_int_equal(sl_server_resolve(server, &err), SL_OK);
    return server;
}

static int setup_pair(void **state)
{
    struct pair *p = sl_xcalloc(1, sizeof(*p));
    setup(state);
    p->w = *state;
    p->second = primary_new(&p->w->stream);
    p->second->server_id = 2;
    p->servers[0] = make_server("one", 0, p->w->primary->port);
    p->servers[1] = make_server("two", 1, p->second->port);
    p->w->service.servers = p->servers;
    p->w->service.server_count = 2;
    p->w->service.settings.user = (char *)"repl";
    p->w->service.settings.password = (char *)"secret";
    p->w->settings.select_master = true;
    *state = p;
    return 0;
}

static int teardown_pair(void **state)
{
    struct pair *p = *state;
    void *world = p->w;
    sl_upstream_free(p->w->upstream);
    p->w->upstream = NULL;
    primary_free(p->second);
    teardown(&world);
    sl_server_free(p->servers[0]);
    sl_server_free(p->servers[1]);
    sl_free(p);
    return 0;
}

static void set_role(struct pair *p, unsigned i, uint32_t role)
{
    sl_server_status_change(p->servers[i], SL_SERVER_RUNNING | role,
                            (SL_SERVER_MASTER | SL_SERVER_SLAVE) & ~role);
}

static void run_both(struct pair *p)
{
    primary_start(p->w->primary);
    primary_start(p->second);
    start(p->w);
}

static bool reads_from(struct pair *p, const char *name)
{
    struct sl_upstream_status s = status(p->w);
    return s.step == SL_UPSTREAM_STREAMING && strcmp(s.server_name, name) == 0;
}

static void test_follows_the_role(void **state)
{
    struct pair *p = *state;
    run_both(p);
    WAIT_FOR(status(p->w).step == SL_UPSTREAM_NO_TARGET);
    assert_non_null(strstr(status(p->w).last_error, "No server of the service is Master"));
    set_role(p, 0, SL_SERVER_MASTER);
    set_role(p, 1, SL_SERVER_SLAVE);
    WAIT_FOR(reads_from(p, "one"));
    WAIT_FOR(published(p->w) == GROUPS);
    set_role(p, 0, SL_SERVER_SLAVE);
    set_role(p, 1, SL_SERVER_MASTER);
    WAIT_FOR(reads_from(p, "two"));
    assert_string_equal(p->second->asked, "7-1-6");
    assert_int_equal(status(p->w).master_server_id, 1); /* as the events say */
    /* Nobody is: it is left, and nothing is read. */
    set_role(p, 1, 0);
    WAIT_FOR(status(p->w).step == SL_UPSTREAM_NO_TARGET);
    check_groups(p->w, GROUPS);
}

/* CHANGE MASTER switches it off, RESET SLAVE ALL on again; both outlive a restart. */
static void test_switched_off(void **state)
{
    struct pair *p = *state;
    set_role(p, 0, SL_SERVER_MASTER);
    run_both(p);
    WAIT_FOR(reads_from(p, "one"));
    assert_int_equal(ask(p->w, SL_UPSTREAM_STOP, NULL, NULL), SL_OK);
    struct sl_upstream_target t = {.host = (char *)"127.0.0.1",
                                   .port = p->second->port,
                                   .user = (char *)"repl",
                                   .password = (char *)"secret"};
    assert_int_equal(ask(p->w, SL_UPSTREAM_CHANGE, &t, NULL), SL_OK);
    assert_false(status(p->w).selects_master);
    assert_int_equal(ask(p->w, SL_UPSTREAM_START, NULL, NULL), SL_OK);
    WAIT_FOR(reads_from(p, "two")); /* known by its address */
    sl_upstream_free(p->w->upstream);
    start(p->w);
    WAIT_FOR(reads_from(p, "two"));
    assert_int_equal(ask(p->w, SL_UPSTREAM_STOP, NULL, NULL), SL_OK);
    assert_int_equal(ask(p->w, SL_UPSTREAM_RESET_ALL, NULL, NULL), SL_OK);
    assert_true(status(p->w).selects_master);
    assert_int_equal(ask(p->w, SL_UPSTREAM_START, NULL, NULL), SL_OK);
    WAIT_FOR(reads_from(p, "one"));
}

static void purged(struct pair *p)
{
    p->w->primary->err_at = 13; /* the dump */
    p->w->primary->err_code = 1236;
    p->w->primary->err_text = "Could not find GTID state requested by slave in any binlog files.";
}

/* The Master has purged what is needed: the other one helps out, until the Master can go on. */
static void test_purged(void **state)
{
    struct pair *p = *state;
    struct sl_gtid_set has = {0};
    purged(p);
    set_role(p, 0, SL_SERVER_MASTER | SL_SERVER_JOINED);
    set_role(p, 1, SL_SERVER_SLAVE | SL_SERVER_JOINED);
    /* What the monitor sees of the Master is further than the log gets. */
    sl_gtid_set_add(&has, (struct sl_gtid){7, 1, GROUPS + 1});
    sl_gtid_shared_replace(&p->servers[0]->position, &has);
    run_both(p);
    WAIT_FOR(reads_from(p, "two"));
    WAIT_FOR(published(p->w) == GROUPS);
    assert_int_equal(atomic_load(&p->w->primary->connections), 1);
    p->w->primary->err_at = 0;
    has.gtid[0].seq = GROUPS; /* now the log has it all */
    sl_gtid_shared_replace(&p->servers[0]->position, &has);
    WAIT_FOR(reads_from(p, "one"));
    check_groups(p->w, GROUPS);
}

/* ... but not an asynchronous replica, which may have something else: it is named and left alone. */
static void test_purged_without_cluster(void **state)
{
    struct pair *p = *state;
    purged(p);
    set_role(p, 0, SL_SERVER_MASTER);
    set_role(p, 1, SL_SERVER_SLAVE);
    run_both(p);
    WAIT_FOR(status(p->w).last_errno == 1236 && status(p->w).step == SL_UPSTREAM_WAITING);
    assert_non_null(strstr(status(p->w).last_error, "in any binlog files"));
    assert_non_null(strstr(status(p->w).last_error, "Not read instead"));
    assert_non_null(strstr(status(p->w).last_error, "'two'"));
    assert_null(strstr(status(p->w).last_error, "'one',"));
    assert_int_equal(atomic_load(&p->second->connections), 0);
    assert_int_equal(published(p->w), 0);
    /* Once it is known to be a member, it helps out. */
    set_role(p, 0, SL_SERVER_MASTER | SL_SERVER_JOINED);
    set_role(p, 1, SL_SERVER_SLAVE | SL_SERVER_JOINED);
    WAIT_FOR(reads_from(p, "two"));
    WAIT_FOR(published(p->w) == GROUPS);
}

/* Refused for good by one: the move of the role is not waited out. */
static void test_moves_while_waiting(void **state)
{
    struct pair *p = *state;
    p->w->primary->err_at = 12;
    p->w->primary->err_code = 1227;
    set_role(p, 0, SL_SERVER_MASTER);
    run_both(p);
    WAIT_FOR(status(p->w).last_errno == 1227);
    set_role(p, 0, SL_SERVER_SLAVE);
    set_role(p, 1, SL_SERVER_MASTER);
    WAIT_FOR(reads_from(p, "two"));
    WAIT_FOR(status(p->w).last_errno == 0);
}

/* What the monitor sees: high for a while, then low for a while. */
static bool was_told_to_go_back(struct pair *p)
{
    struct sl_gtid_set has = {0};
    bool is_low = sl_clock_mono_ms() / 4000 % 2 == 0;
    sl_gtid_set_add(&has, (struct sl_gtid){7, 1, is_low ? 2 : GROUPS});
    sl_gtid_shared_replace(&p->servers[0]->position, &has);
    return status(p->w).last_errno == SL_ER_RELAY_ORDER;
}

/* The log of the server is reset, and the stream does not tell. */
static void test_log_is_reset(void **state)
{
    struct pair *p = *state;
    set_role(p, 0, SL_SERVER_MASTER);
    run_both(p);
    WAIT_FOR(published(p->w) == GROUPS);
    WAIT_FOR(was_told_to_go_back(p));
    assert_non_null(strstr(status(p->w).last_error, "server 'one' had 7-1-6, and has 7-1-2 now"));
    /* It stays, whatever the server says when it is asked again, and when it serves again. */
    p->w->primary->err_code = SL_ER_RELAY_FATAL;
    p->w->primary->err_text = "not in the master's binlog";
    atomic_store(&p->w->primary->err_at, 13); /* the dump */
    WAIT_FOR(strstr(status(p->w).last_error, "not in the master's binlog") != NULL);
    assert_int_equal(status(p->w).last_errno, SL_ER_RELAY_ORDER);
    assert_non_null(strstr(status(p->w).last_error, "server 'one' had 7-1-6"));
    atomic_store(&p->w->primary->err_at, 0);
    WAIT_FOR(reads_from(p, "one"));
    assert_int_equal(status(p->w).last_errno, SL_ER_RELAY_ORDER);
}

static void test_id_of_the_topology(void **state)
{
    struct pair *p = *state;
    struct sl_server_info info;
    sl_server_info_get(p->servers[1], &info);
    info.server_id = 4711;
    sl_server_info_set(p->servers[1], &info);
    set_role(p, 0, SL_SERVER_MASTER);
    run_both(p);
    WAIT_FOR(status(p->w).last_errno == SL_ER_RELAY_FATAL);
    assert_non_null(strstr(status(p->w).last_error, "that of server 'two'"));
    assert_int_equal(atomic_load(&p->w->primary->connections), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_pair, teardown_pair)
    const struct CMUnitTest tests[] = {
        TEST(test_follows_the_role),
        TEST(test_switched_off),
        TEST(test_purged),
        TEST(test_moves_while_waiting),
        TEST(test_purged_without_cluster),
        TEST(test_id_of_the_topology),
        TEST(test_log_is_reset),
    };
    struct sl_log_config quiet = {.path = "/dev/null", .to_file = true, .level_mask = UINT32_MAX};
    struct sl_err err = SL_ERR_INIT;
    sl_log_open(&quiet, &err);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
