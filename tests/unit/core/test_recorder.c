/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sessions record, end to end against fake servers: statements with their routes, servers and
 * rules, digests, switching on and off while a session lives, secrets, and no allocation.
 */
#include <stdio.h>
#include <string.h>

#include "core/inspect.h"
#include "core/recorder.h"
#include "proto/constants.h"
#include "session_world.h"

static void record(struct world *w, int64_t statements, uint32_t digests)
{
    atomic_store(&w->core->retain_last_statements, statements);
    atomic_store(&w->core->query_digests, digests);
    sl_recorder_configure(w->core);
}

static struct sl_session_info *look(struct world *w, struct client *c)
{
    struct sl_session_info *list;
    unsigned count;
    assert_int_equal(sl_inspect_sessions(w->core, c->id, &list, &count), SL_OK);
    assert_int_equal(count, 1);
    return list;
}

static void expect(const struct sl_session_info *s, unsigned i, const char *text,
                   const char *target, const char *rule)
{
    assert_true(i < s->statement_count);
    assert_string_equal(s->statements[i].text, text);
    assert_string_equal(s->statements[i].target, target);
    assert_string_equal(s->statements[i].rule, rule);
    assert_true(s->statements[i].is_complete);
}

static void test_statements(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "strict_multi_stmt=true\n");
    client_open_all(&w, &c);
    expect_select_on(&w, &c, "SELECT 0", NULL);
    struct sl_session_info *s = look(&w, &c);
    assert_int_equal(s->statement_count, 0);
    sl_inspect_free(s, 1);
    record(&w, 5, 0);
    expect_select_on(&w, &c, "SELECT 1", NULL);
    expect_ok(&w, &c, "INSERT INTO t VALUES (1)");
    expect_ok(&w, &c, "BEGIN");
    expect_select_on(&w, &c, "SELECT 2", "s1");
    expect_ok(&w, &c, "COMMIT");
    expect_ok(&w, &c, "SET NAMES utf8mb4");
    s = look(&w, &c);
    assert_int_equal(s->statement_count, 5); /* SELECT 1 has gone */
    expect(s, 0, "SET NAMES utf8mb4", "all servers", "session state: every server gets it");
    assert_int_equal(s->statements[0].reply_count, SERVERS);
    expect(s, 1, "COMMIT", "primary", "begins or ends a transaction");
    expect(s, 2, "SELECT 2", "primary", "transaction open on s1");
    assert_int_equal(s->statements[2].reply_count, 1);
    assert_string_equal(s->statements[2].replies[0].server, "s1");
    assert_int_equal(s->statements[2].replies[0].state, SL_TRACE_OK);
    assert_int_equal(s->statements[2].rows, 1);
    expect(s, 4, "INSERT INTO t VALUES (1)", "primary", "write");
    assert_int_equal(s->statements[0].number, 6);
    assert_true(s->memory_statements > 0);
    assert_int_equal(s->kept_count, 2); /* client_open_all() sends one, too */
    assert_string_equal(s->kept[1].text, "SET NAMES utf8mb4");
    sl_inspect_free(s, 1);
    expect_ok(&w, &c, "DO 1; DO 2");
    expect_select_on(&w, &c, "SELECT 3", "s1");
    s = look(&w, &c);
    expect(s, 0, "SELECT 3", "primary", "locked: strict_multi_stmt");
    sl_inspect_free(s, 1);
    client_close(&c);
    world_down(&w);
}

static void test_errors(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    record(&w, 5, 10);
    for (unsigned i = 0; i < SERVERS; i++) {
        fake_server_break(&w.servers[i], FAKE_ERR_SYNTAX, "UPDATE");
    }
    client_query(&w, &c, "UPDATE t SET a=1");
    client_query(&w, &c, "KILL 987654321");
    struct sl_session_info *s = look(&w, &c);
    assert_int_equal(s->statements[0].error_code, SL_ER_NO_SUCH_THREAD);
    assert_int_equal(s->statements[0].reply_count, 0);
    assert_true(s->statements[1].error_code != 0);
    assert_int_equal(s->statements[1].replies[0].state, SL_TRACE_ERROR);
    sl_inspect_free(s, 1);
    struct sl_digest_list list;
    assert_int_equal(sl_inspect_digests(w.core, &list), SL_OK);
    assert_int_equal(list.count, 2);
    for (unsigned i = 0; i < list.count; i++) {
        assert_int_equal(list.rows[i].n.errors, 1);
    }
    sl_inspect_digests_clear(&list);
    client_close(&c);
    world_down(&w);
}

/* A read that is retried shows both servers. */
static void test_retry(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    record(&w, 3, 0);
    unsigned at = client_next_replica(&w, &c);
    fake_server_break(&w.servers[at], FAKE_CLOSE_BEFORE, "SELECT 'fault'");
    w.servers[at == 1 ? 2 : 1].faults_left = 0;
    expect_select_on(&w, &c, "SELECT 'fault'", NULL);
    struct sl_session_info *s = look(&w, &c);
    expect(s, 0, "SELECT 'fault'", "replica", "read outside a transaction");
    assert_int_equal(s->statements[0].reply_count, 2);
    assert_string_equal(s->statements[0].replies[0].server, w.servers[at].name);
    assert_int_equal(s->statements[0].replies[0].state, SL_TRACE_LOST);
    assert_int_equal(s->statements[0].replies[1].state, SL_TRACE_OK);
    assert_int_equal(s->statements[0].error_code, 0);
    sl_inspect_free(s, 1);
    client_close(&c);
    world_down(&w);
}

static void test_secrets(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    record(&w, 5, 10);
    client_query(&w, &c, "SET PASSWORD = PASSWORD('topsecret')");
    client_query(&w, &c, "CREATE USER a IDENTIFIED BY \"topsecret\"");
    struct sl_session_info *s = look(&w, &c);
    assert_string_equal(s->statements[0].text, "CREATE USER a IDENTIFIED BY ?");
    assert_string_equal(s->statements[1].text, "SET PASSWORD = PASSWORD(?)");
    sl_inspect_free(s, 1);
    struct sl_digest_list list;
    assert_int_equal(sl_inspect_digests(w.core, &list), SL_OK);
    for (unsigned i = 0; i < list.count; i++) {
        assert_null(strstr(list.rows[i].text, "topsecret"));
    }
    assert_int_equal(list.count, 2);
    sl_inspect_digests_clear(&list);
    client_close(&c);
    world_down(&w);
}

static const struct sl_digest_info *find(const struct sl_digest_list *list, const char *text)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (strcmp(list->rows[i].text, text) == 0) {
            return &list->rows[i];
        }
    }
    fail_msg("no digest '%s'", text);
    return NULL;
}

static void test_digests(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    record(&w, 0, 10);
    for (unsigned i = 0; i < 10; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT a FROM t WHERE id=%u", i);
        expect_select_on(&w, &c, sql, NULL);
    }
    client_send(&c, SL_COM_STMT_PREPARE, "SELECT b FROM t", 15);
    struct answer a = client_wait(&w, &c, SL_COM_STMT_PREPARE, 60000);
    uint8_t execute[9] = {(uint8_t)a.stmt_id, 0, 0, 0, 0, 1, 0, 0, 0};
    for (unsigned i = 0; i < 3; i++) {
        client_send(&c, SL_COM_STMT_EXECUTE, execute, sizeof execute);
        a = client_wait(&w, &c, SL_COM_STMT_EXECUTE, 60000);
        assert_int_equal(a.kind, SL_REPLY_KIND_OK);
    }
    struct sl_digest_list list;
    assert_int_equal(sl_inspect_digests(w.core, &list), SL_OK);
    const struct sl_digest_info *row = find(&list, "SELECT a FROM t WHERE id=?");
    assert_int_equal(row->n.count, 10);
    assert_int_equal(row->n.rows, 10);
    assert_true(row->n.bytes > 100);
    assert_true(row->last_ms >= row->first_ms && row->first_ms > 1000000000000);
    assert_string_equal(row->service, w.core->services[0]->name);
    assert_int_equal(find(&list, "SELECT b FROM t")->n.count, 3);
    sl_inspect_digests_clear(&list);
    assert_int_equal(sl_inspect_digests_reset(w.core), SL_OK);
    assert_int_equal(sl_inspect_digests(w.core, &list), SL_OK);
    assert_int_equal(list.count, 0);
    sl_inspect_digests_clear(&list);
    client_close(&c);
    world_down(&w);
}

/* On, with another size, off: each from the session's next command on. */
static void test_changes(void **state)
{
    static const int64_t kept[] = {2, 5, 1, 0, 3};
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    for (unsigned i = 0; i < SL_ARRAY_LEN(kept); i++) {
        record(&w, kept[i], i % 2 ? 10 : 20);
        for (unsigned n = 0; n < 6; n++) {
            expect_select_on(&w, &c, "SELECT 1", NULL);
        }
        struct sl_session_info *s = look(&w, &c);
        assert_int_equal(s->statement_count, kept[i]);
        sl_inspect_free(s, 1);
    }
    record(&w, 0, 0);
    expect_select_on(&w, &c, "SELECT 1", NULL);
    struct sl_session_info *s = look(&w, &c);
    assert_int_equal(s->memory_statements, 0);
    sl_inspect_free(s, 1);
    atomic_store(&w.core->services[0]->retain_last_statements, 2); /* of the service alone */
    sl_recorder_configure(w.core);
    expect_select_on(&w, &c, "SELECT 1", NULL);
    s = look(&w, &c);
    assert_int_equal(s->statement_count, 1);
    sl_inspect_free(s, 1);
    client_close(&c);
    world_down(&w);
}

static void test_no_allocation_per_query(void **state)
{
    struct world w;
    struct client c;
    world_up(&w, "");
    client_open_all(&w, &c);
    record(&w, 10, 100);
    for (unsigned i = 0; i < SERVERS; i++) {
        w.servers[i].keeps_quiet = true;
    }
    uint64_t before = 0;
    for (unsigned i = 0; i < 500; i++) {
        before = i == 100 ? world_allocations(&w) : before;
        client_query(&w, &c, "SELECT c FROM sbtest1 WHERE id=50");
        client_query(&w, &c, "UPDATE t SET k=k+1 WHERE id=1");
    }
    assert_int_equal(world_allocations(&w), before);
    client_close(&c);
    world_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_digests),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_no_allocation_per_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
