/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a KILL means. Two sessions have the same two thread ids on the replicas, the other way
 * round, as it is with real servers that count by themselves:
 *
 *           s2     s3
 *     a    1011   1021
 *     b    1021   1011
 */
#include "session_world.h"

#include <stdio.h>
#include <string.h>

#include "proto/constants.h"

struct sessions {
    struct world w;
    struct client a, b, asker;
};

/* Opens a client whose connections get the ids after these; `before` clients are there already. */
static void open_with(struct sessions *x, struct client *c, unsigned before, unsigned s2,
                      unsigned s3)
{
    x->w.servers[1].accepted = s2;
    x->w.servers[2].accepted = s3;
    client_open(&x->w, c, CLIENT_CAPABILITIES);
    for (unsigned i = 0; i < SERVERS; i++) {
        world_wait_connections(&x->w, i, before + 1);
    }
}

static void up(struct sessions *x)
{
    world_up(&x->w, "");
    open_with(x, &x->a, 0, 10, 20);
    open_with(x, &x->b, 1, 20, 10);
    open_with(x, &x->asker, 2, 100, 100);
}

static void down(struct sessions *x)
{
    client_close(&x->a);
    client_close(&x->b);
    client_close(&x->asker);
    world_down(&x->w);
}

/* The session asks for its id; what a real server would have said: a's id on it. */
static unsigned ask(struct sessions *x, struct client *c)
{
    struct answer r = client_query(&x->w, c, "SELECT CONNECTION_ID()");
    assert_int_equal(r.kind, SL_REPLY_KIND_RESULTSET);
    bool is_s2 = strcmp(r.server, "s2") == 0;
    return is_s2 == (c == &x->a) ? 1011 : 1021;
}

/* Asks until both replicas have answered. */
static void ask_both(struct sessions *x, struct client *c)
{
    unsigned seen = 0;
    for (unsigned i = 0; i < 20 && seen != 3; i++) {
        seen |= ask(x, c) == 1011 ? 1 : 2;
    }
    assert_int_equal(seen, 3);
}

static struct answer kill_id(struct sessions *x, const char *what, unsigned id)
{
    char sql[64];
    snprintf(sql, sizeof sql, "%s %u", what, id);
    return client_query(&x->w, &x->asker, sql);
}

static void expect_alive(struct sessions *x, struct client *c)
{
    expect_ok(&x->w, c, "INSERT INTO t VALUES (1)");
}

static void expect_dead(struct sessions *x, struct client *c)
{
    assert_true(client_wait(&x->w, c, SL_COM_QUERY, 60000).is_closed);
}

static void expect_refused(struct sessions *x, struct answer r, const char *words)
{
    assert_int_equal(r.code, SL_ER_NO_SUCH_THREAD);
    assert_non_null(strstr(r.message, words));
    expect_alive(x, &x->a);
    expect_alive(x, &x->b);
}

/* Nobody asked: the number fits both. */
static void test_unasked_ids_are_ambiguous(void **state)
{
    struct sessions x;
    up(&x);
    expect_refused(&x, kill_id(&x, "KILL", 1011), "any of 2 sessions");
    expect_refused(&x, kill_id(&x, "KILL", 4711), "Unknown thread id");
    down(&x);
}

static void test_the_one_that_asked_is_meant(void **state)
{
    struct sessions x;
    up(&x);
    unsigned id = ask(&x, &x.a);
    assert_int_equal(kill_id(&x, "KILL QUERY", id).code, 0);
    expect_alive(&x, &x.a);
    assert_int_equal(kill_id(&x, "KILL", id).code, 0);
    expect_dead(&x, &x.a);
    expect_alive(&x, &x.b);
    down(&x);
}

/* The server that told the id is gone, its number lives on in another session. */
static void test_a_told_id_outlives_its_connection(void **state)
{
    struct sessions x;
    up(&x);
    unsigned id = ask(&x, &x.b);
    unsigned at = id == 1021 ? 1 : 2;
    fake_server_kill(&x.w.servers[at], true);
    world_wait_connections(&x.w, at, 0);
    expect_alive(&x, &x.b);
    assert_int_equal(kill_id(&x, "KILL", id).code, 0);
    expect_dead(&x, &x.b);
    expect_alive(&x, &x.a);
    down(&x);
}

static void test_two_that_were_told_the_same(void **state)
{
    struct sessions x;
    up(&x);
    ask_both(&x, &x.a);
    ask_both(&x, &x.b);
    expect_refused(&x, kill_id(&x, "KILL", 1011), "any of 2 sessions");
    expect_refused(&x, kill_id(&x, "KILL", 1021), "any of 2 sessions");
    down(&x);
}

/* a was told the id, another session was greeted with it. */
static void test_told_and_greeted(void **state)
{
    struct sessions x;
    struct client greeted;
    up(&x);
    unsigned id = ask(&x, &x.a);
    atomic_store(&x.w.core->next_session_id, id);
    client_open(&x.w, &greeted, CLIENT_CAPABILITIES);
    assert_int_equal(greeted.id, id);
    expect_refused(&x, kill_id(&x, "KILL", id), "any of 2 sessions");
    expect_alive(&x, &greeted);
    client_close(&greeted);
    down(&x);
}

/* The asker has seen one server's process list: the number is that server's. */
static void test_the_list_seen_last(void **state)
{
    struct sessions x;
    up(&x);
    struct answer r = client_query(&x.w, &x.asker, "SELECT id FROM information_schema.processlist");
    bool is_s2 = strcmp(r.server, "s2") == 0;
    assert_int_equal(kill_id(&x, "KILL", 1011).code, 0);
    expect_dead(&x, is_s2 ? &x.a : &x.b);
    expect_alive(&x, is_s2 ? &x.b : &x.a);
    down(&x);
}

/* A number of the list that is no session's there: a direct connection's, whoever else has it. */
static void test_a_stranger_on_the_list(void **state)
{
    struct sessions x;
    up(&x);
    client_query(&x.w, &x.asker, "SELECT id FROM information_schema.processlist");
    expect_refused(&x, kill_id(&x, "KILL", x.a.id), "which was asked for last");
    expect_refused(&x, kill_id(&x, "KILL QUERY", x.b.id), "which was asked for last");
    down(&x);
}

static void test_the_asker_itself(void **state)
{
    struct sessions x;
    char sql[64];
    up(&x);
    snprintf(sql, sizeof sql, "KILL %u", ask(&x, &x.a));
    assert_int_equal(client_query(&x.w, &x.a, sql).code, SL_ER_CONNECTION_KILLED);
    expect_dead(&x, &x.a);
    snprintf(sql, sizeof sql, "KILL QUERY %u", x.b.id);
    assert_int_equal(client_query(&x.w, &x.b, sql).code, SL_ER_QUERY_INTERRUPTED);
    expect_alive(&x, &x.b);
    down(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unasked_ids_are_ambiguous),
        cmocka_unit_test(test_the_one_that_asked_is_meant),
        cmocka_unit_test(test_a_told_id_outlives_its_connection),
        cmocka_unit_test(test_two_that_were_told_the_same),
        cmocka_unit_test(test_told_and_greeted),
        cmocka_unit_test(test_the_list_seen_last),
        cmocka_unit_test(test_a_stranger_on_the_list),
        cmocka_unit_test(test_the_asker_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
