/* SPDX-License-Identifier: Apache-2.0 */
/* What a hint makes of a rule: the table of docs/internals/hints.md, server by server. */
#include "rws_fixture.h"

#include "base/assert.h"

static struct sl_hint to(enum sl_hint_target target)
{
    return (struct sl_hint){.target = (uint8_t)target};
}

static struct sl_hint to_server(int position)
{
    return (struct sl_hint){.target = SL_HINT_SERVER, .server = (int16_t)position};
}

/* Applies the hint of the session to a rule; the target. */
static enum rws_target apply(struct fixture *f, enum rws_rule rule)
{
    return rws_hint_apply(&f->r, NULL, rule, rws_rule_target(rule));
}

static void test_no_hint(void **state)
{
    struct fixture *f = *state;
    for (int rule = 0; rule < RWS_RULE_COUNT; rule++) {
        f->r.sends_once = true;
        assert_int_equal(apply(f, (enum rws_rule)rule), rws_rule_target((enum rws_rule)rule));
        assert_int_equal(f->r.rule, rule);
        assert_false(f->r.sends_once);
    }
}

/* What would break the session stays where it is, whatever the hint. */
static void test_ignored(void **state)
{
    static const enum rws_rule rules[] = {
        RWS_RULE_COMMAND_ALL,  RWS_RULE_PREPARE,        RWS_RULE_AUTOCOMMIT,
        RWS_RULE_GLOBAL,       RWS_RULE_SESSION_STATE,  RWS_RULE_USERVAR,
        RWS_RULE_LOCKED,       RWS_RULE_TRX_READ_ONLY,  RWS_RULE_TRX_CONTROL,
        RWS_RULE_TRX_OPEN,     RWS_RULE_AUTOCOMMIT_OFF, RWS_RULE_TRX_NEXT,
        RWS_RULE_TOO_LONG,     RWS_RULE_CURSOR,         RWS_RULE_COMMAND_PRIMARY,
        RWS_RULE_LOCKED_MULTI, RWS_RULE_LOCKED_CALL,    RWS_RULE_LOCKED_SERIALIZABLE,
        RWS_RULE_LOCKED_STATE,
    };
    struct fixture *f = *state;
    connect_all(f);
    f->r.last = 2;
    for (enum sl_hint_target t = SL_HINT_MASTER; t <= SL_HINT_SERVER; t++) {
        f->session->hint = (struct sl_hint){(uint8_t)t, true, 3, 5};
        for (size_t i = 0; i < SL_ARRAY_LEN(rules); i++) {
            assert_int_equal(apply(f, rules[i]), rws_rule_target(rules[i]));
            assert_int_equal(f->r.rule, rules[i]);
            assert_false(f->r.hint.has_lag);
        }
    }
}

static void test_classes(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    f->session->hint = to(SL_HINT_MASTER);
    assert_int_equal(apply(f, RWS_RULE_READ), RWS_TARGET_PRIMARY);
    assert_int_equal(f->r.rule, RWS_RULE_HINT_MASTER);
    f->session->hint = to(SL_HINT_SLAVE);
    assert_int_equal(apply(f, RWS_RULE_READ), RWS_TARGET_REPLICA);
    assert_false(f->r.sends_once);
    assert_int_equal(apply(f, RWS_RULE_NO_REPLICAS), RWS_TARGET_REPLICA);
    assert_int_equal(apply(f, RWS_RULE_WRITE), RWS_TARGET_REPLICA);
    assert_true(f->r.sends_once); /* never run again elsewhere */
    assert_int_equal(apply(f, RWS_RULE_PRIMARY_READ), RWS_TARGET_REPLICA);
    assert_true(f->r.sends_once);
    assert_int_equal(apply(f, RWS_RULE_TRX_READ_ONLY_BEGINS), RWS_TARGET_REPLICA);
}

static void test_last(void **state)
{
    struct fixture *f = *state;
    f->session->hint = to(SL_HINT_LAST);
    assert_int_equal(apply(f, RWS_RULE_READ), RWS_TARGET_LAST);
    assert_int_equal(apply(f, RWS_RULE_WRITE), RWS_TARGET_PRIMARY); /* there was none */
    assert_int_equal(f->r.rule, RWS_RULE_WRITE);
    connect_all(f);
    f->r.last = 2;
    assert_int_equal(apply(f, RWS_RULE_WRITE), RWS_TARGET_LAST);
    assert_true(f->r.sends_once);
    f->r.last = 0;
    assert_int_equal(apply(f, RWS_RULE_WRITE), RWS_TARGET_PRIMARY);
    assert_false(f->r.sends_once);
}

static void expect_named(struct fixture *f, bool is_followed)
{
    assert_int_equal(apply(f, RWS_RULE_READ), is_followed ? RWS_TARGET_HINTED : RWS_TARGET_REPLICA);
    assert_int_equal(f->r.rule, is_followed ? RWS_RULE_HINT_SERVER : RWS_RULE_READ);
}

static void test_named_server(void **state)
{
    struct fixture *f = *state;
    f->session->hint = to_server(2);
    expect_named(f, true); /* not connected, connectable */
    f->r.tried = 1u << 2;
    expect_named(f, false);
    f->r.tried = 0;
    f->r.bad = 1u << 2;
    expect_named(f, false);
    f->r.bad = 0;
    status(f, 2, SLAVE | SL_SERVER_MAINT);
    expect_named(f, false);
    connect_to(f, 2);
    status(f, 2, SL_SERVER_RUNNING); /* no role */
    expect_named(f, false);
    status(f, 2, SLAVE);
    lag(f, 2, 1000);
    f->cfg.max_replication_lag = 1000;
    expect_named(f, true); /* asked for by name: the lag does not matter */
    f->session->hint = to_server(-1);
    expect_named(f, false);
}

static void test_named_server_for_writes(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    f->session->hint = to_server(3);
    assert_int_equal(apply(f, RWS_RULE_WRITE), RWS_TARGET_HINTED);
    assert_true(f->r.sends_once);
    f->session->hint = to_server(0);
    assert_int_equal(apply(f, RWS_RULE_WRITE), RWS_TARGET_PRIMARY);
    assert_int_equal(f->r.rule, RWS_RULE_HINT_SERVER);
    assert_false(f->r.sends_once);
}

static void test_connection_limits(void **state)
{
    struct fixture *f = *state;
    connect_to(f, 0);
    connect_to(f, 1);
    f->cfg.max_slave_connections = 1;
    f->session->hint = to_server(2);
    expect_named(f, false);
    f->session->hint = to_server(1);
    expect_named(f, true);
    f->session->backends[0] = NULL;
    f->session->hint = to_server(0);
    expect_named(f, true); /* the limit is for replicas */
    f->r.history.is_lost = true;
    expect_named(f, false);
}

static void test_lag(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    lag(f, 1, 10);
    lag(f, 2, 4);
    lag(f, 3, SL_SERVER_LAG_UNKNOWN);
    f->session->hint = (struct sl_hint){.has_lag = true, .lag_s = 5};
    assert_int_equal(apply(f, RWS_RULE_READ), RWS_TARGET_REPLICA);
    assert_int_equal(f->r.rule, RWS_RULE_READ);
    assert_int_equal(rws_select_replica(&f->r, 0), 2);
    f->session->hint.lag_s = 4;
    apply(f, RWS_RULE_READ);
    assert_int_equal(rws_select_replica(&f->r, 0), 0); /* nobody is that near: the primary */
    f->session->hint.lag_s = 0;
    apply(f, RWS_RULE_READ);
    assert_int_equal(rws_select_replica(&f->r, 0), 0);
    f->session->hint.lag_s = 11; /* replaces the service's limit */
    f->cfg.max_replication_lag = 3000;
    f->backends[2].write_order = 1;
    apply(f, RWS_RULE_READ);
    assert_int_equal(rws_select_replica(&f->r, 0), 1);
    f->session->hint = (struct sl_hint){0};
    apply(f, RWS_RULE_READ);
    assert_int_equal(rws_select_replica(&f->r, 0), 0);
}

static void test_prepared(void **state)
{
    struct fixture *f = *state;
    struct sl_sql_info info = {.type = SL_SQL_READ};
    connect_all(f);
    f->session->hint = to(SL_HINT_MASTER); /* of the PREPARE */
    struct rws_stmt *st = rws_stmt_get(&f->r, rws_stmt_open(&f->r, &info));
    f->session->hint = to(SL_HINT_SLAVE); /* in force at the execution */
    assert_int_equal(rws_hint_apply(&f->r, st, RWS_RULE_READ, RWS_TARGET_REPLICA),
                     RWS_TARGET_PRIMARY);
    f->session->hint = to(SL_HINT_NONE);
    st = rws_stmt_get(&f->r, rws_stmt_open(&f->r, &info));
    f->session->hint = to(SL_HINT_MASTER);
    assert_int_equal(rws_hint_apply(&f->r, st, RWS_RULE_READ, RWS_TARGET_REPLICA),
                     RWS_TARGET_PRIMARY);
    f->session->hint = to_server(2); /* connected, idle, and does not know the statement */
    assert_int_equal(rws_hint_apply(&f->r, st, RWS_RULE_READ, RWS_TARGET_REPLICA),
                     RWS_TARGET_REPLICA);
    assert_int_equal(f->r.rule, RWS_RULE_READ);
    st->long_data = 1; /* the execution follows its data */
    assert_int_equal(rws_hint_apply(&f->r, st, RWS_RULE_WRITE, RWS_TARGET_PRIMARY),
                     RWS_TARGET_REPLICA);
    assert_true(f->r.sends_once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_hint, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ignored, setup, teardown),
        cmocka_unit_test_setup_teardown(test_classes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_last, setup, teardown),
        cmocka_unit_test_setup_teardown(test_named_server, setup, teardown),
        cmocka_unit_test_setup_teardown(test_named_server_for_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connection_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lag, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prepared, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
