/* SPDX-License-Identifier: Apache-2.0 */
/* Which server: roles, ranks, caps, lag, draining and maintenance, groups, criteria and ties. */
#include "rws_fixture.h"

/* ---- the primary ---- */

static void test_primary(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(rws_select_primary(&f->r), 0);
    status(f, 0, 0);
    assert_int_equal(rws_select_primary(&f->r), RWS_NONE);
    status(f, 2, MASTER);
    assert_int_equal(rws_select_primary(&f->r), 2);
    f->r.tried = 1 << 2;
    assert_int_equal(rws_select_primary(&f->r), RWS_NONE);
    f->r.tried = 0;
    f->r.bad = 1 << 2;
    assert_int_equal(rws_select_primary(&f->r), RWS_NONE);
}

static void test_primary_stays(void **state)
{
    struct fixture *f = *state;
    status(f, 1, MASTER); /* two of them, as with several monitors */
    sl_count32(&f->servers[0]->counters[0].connections, 5);
    assert_int_equal(rws_select_primary(&f->r), 1); /* fewer connections */
    f->r.primary = 0;
    assert_int_equal(rws_select_primary(&f->r), 0); /* the session's own while it is good */
    status(f, 0, SLAVE);
    assert_int_equal(rws_select_primary(&f->r), 1);
}

static void test_primary_by_rank(void **state)
{
    struct fixture *f = *state;
    status(f, 1, MASTER);
    f->servers[0]->settings.rank = SL_RANK_SECONDARY;
    assert_int_equal(rws_select_primary(&f->r), 1);
    status(f, 1, 0);
    assert_int_equal(rws_select_primary(&f->r), 0);
    f->r.primary = 0;
    status(f, 1, MASTER);
    assert_int_equal(rws_select_primary(&f->r),
                     0); /* a session stays on the second rank while that is valid */
}

static void test_primary_draining_and_maintenance(void **state)
{
    struct fixture *f = *state;
    status(f, 0, MASTER | SL_SERVER_DRAINING);
    assert_int_equal(rws_select_primary(&f->r), RWS_NONE); /* no new connections */
    connect_to(f, 0);
    assert_int_equal(rws_select_primary(&f->r), 0); /* those that exist go on */
    status(f, 0, MASTER | SL_SERVER_MAINT);
    assert_int_equal(rws_select_primary(&f->r), RWS_NONE);
}

/* ---- reads ---- */

static void test_replica_before_primary(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    assert_int_equal(rws_select_replica(&f->r, 0), 1);
    sl_count32(&f->servers[1]->counters[0].operations, 1);
    sl_count32(&f->servers[2]->counters[0].operations, 1);
    sl_count32(&f->servers[3]->counters[0].operations, 1);
    assert_int_not_equal(rws_select_replica(&f->r, 0), 0); /* busy replicas still come first */
    f->cfg.master_accept_reads = true;
    assert_int_equal(rws_select_replica(&f->r, 0), 0);
    f->cfg.master_accept_reads = false;
    for (unsigned i = 1; i < COUNT; i++) {
        status(f, i, 0);
    }
    assert_int_equal(rws_select_replica(&f->r, 0), 0); /* nothing else is left */
    status(f, 0, 0);
    assert_int_equal(rws_select_replica(&f->r, 0), RWS_NONE);
}

static void test_groups(void **state)
{
    struct fixture *f = *state;
    connect_to(f, 3);
    assert_int_equal(rws_select_replica(&f->r, 0), 3); /* connected before not connected */
    sl_count32(&f->servers[3]->counters[0].operations, 9);
    assert_int_equal(rws_select_replica(&f->r, 0), 3); /* whatever the scores */
    connect_to(f, 2);
    f->backends[2].step = SL_BACKEND_AUTHENTICATING;
    assert_int_equal(rws_select_replica(&f->r, 0), 3);
    status(f, 3, 0);
    assert_int_equal(rws_select_replica(&f->r, 0), 2); /* on its way before not begun */
    connect_to(f, 2);
    connect_to(f, 1);
    f->backends[1].queue_count = 1; /* an ignored session command is still running there */
    sl_count32(&f->servers[2]->counters[0].operations, 5);
    assert_int_equal(rws_select_replica(&f->r, 0), 2);
}

static void test_ties(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    for (uint32_t i = 0; i < 9; i++) { /* the least recently written takes its turn */
        int at = rws_select_replica(&f->r, 0);
        assert_int_equal(at, 1 + (int)(i % 3));
        f->backends[at].write_order = ++f->r.write_order;
    }
}

static void test_criteria(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    sl_count32(&f->servers[1]->counters[0].operations, 2);
    sl_count32(&f->servers[2]->counters[0].operations, 1);
    sl_count32(&f->servers[3]->counters[0].operations, 3);
    f->cfg.slave_selection_criteria = SL_SELECT_LEAST_CURRENT_OPERATIONS;
    assert_int_equal(rws_select_replica(&f->r, 0), 2);

    sl_count32(&f->servers[1]->counters[0].connections, 7);
    sl_count32(&f->servers[2]->counters[0].connections, 8);
    sl_count32(&f->servers[3]->counters[0].connections, 6);
    f->cfg.slave_selection_criteria = SL_SELECT_LEAST_GLOBAL_CONNECTIONS;
    assert_int_equal(rws_select_replica(&f->r, 0), 3);
    f->cfg.slave_selection_criteria = SL_SELECT_LEAST_ROUTER_CONNECTIONS;
    assert_int_equal(rws_select_replica(&f->r, 0), 3);

    lag(f, 1, 5);
    lag(f, 2, SL_SERVER_LAG_UNKNOWN);
    lag(f, 3, 9);
    f->cfg.slave_selection_criteria = SL_SELECT_LEAST_BEHIND_MASTER;
    assert_int_equal(rws_select_replica(&f->r, 0), 1);

    atomic_store(&f->servers[1]->average_ns, 1000); /* x 3 */
    atomic_store(&f->servers[2]->average_ns, 1600); /* x 2 */
    atomic_store(&f->servers[3]->average_ns, 700);  /* x 4: the shortest wait */
    f->cfg.slave_selection_criteria = SL_SELECT_ADAPTIVE_ROUTING;
    assert_int_equal(rws_select_replica(&f->r, 0), 3);
}

static void test_lag(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    f->cfg.max_replication_lag = 10000;
    lag(f, 1, 10); /* must be below */
    lag(f, 2, SL_SERVER_LAG_UNKNOWN);
    lag(f, 3, 9);
    assert_int_equal(rws_select_replica(&f->r, 0), 3);
    lag(f, 3, 11);
    assert_int_equal(rws_select_replica(&f->r, 0), 0); /* the primary has none */
    assert_false(rws_is_too_far_behind(&f->r, 3));
    lag(f, 3, 301); /* more than twice the limit and more than 300 s */
    assert_true(rws_is_too_far_behind(&f->r, 3));
    assert_false(rws_is_too_far_behind(&f->r, 2));
    f->cfg.max_replication_lag = 200000;
    assert_false(rws_is_too_far_behind(&f->r, 3));
    lag(f, 3, 401);
    assert_true(rws_is_too_far_behind(&f->r, 3));
    f->cfg.max_replication_lag = 0;
    assert_false(rws_is_too_far_behind(&f->r, 3));
    assert_int_equal(rws_select_replica(&f->r, 0), 1);
}

static void node(struct fixture *f, unsigned i, int32_t queue, uint32_t hints)
{
    atomic_store(&f->servers[i]->is_galera, true);
    atomic_store(&f->servers[i]->recv_queue, queue);
    atomic_store(&f->servers[i]->hints, hints);
}

static void test_receive_queue(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    node(f, 0, 99, SL_SERVER_HINT_FLOW_CONTROL);
    node(f, 1, 10, 0); /* must be below */
    node(f, 2, -1, 0);
    node(f, 3, 9, 0);
    assert_int_equal(rws_select_replica(&f->r, 0), 1); /* no limit */
    f->cfg.max_receive_queue = 10;
    assert_int_equal(rws_select_replica(&f->r, 0), 3);
    node(f, 3, 0, SL_SERVER_HINT_FLOW_CONTROL); /* it holds the others up */
    assert_int_equal(rws_select_replica(&f->r, 0), 0);
    atomic_store(&f->servers[2]->is_galera, false); /* an asynchronous replica has no queue */
    assert_int_equal(rws_select_replica(&f->r, 0), 2);
}

static void test_donors_come_last(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    node(f, 1, 0, SL_SERVER_HINT_AVOID);
    node(f, 2, 0, SL_SERVER_HINT_AVOID);
    assert_int_equal(rws_select_replica(&f->r, 0), 3);
    node(f, 3, 0, SL_SERVER_HINT_AVOID);
    assert_int_equal(rws_select_replica(&f->r, 0), 1); /* but before the primary */
    f->cfg.master_accept_reads = true;
    assert_int_equal(rws_select_replica(&f->r, 0), 0);
}

static void test_ranks(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    f->servers[1]->settings.rank = SL_RANK_SECONDARY;
    f->servers[2]->settings.rank = SL_RANK_SECONDARY;
    assert_int_equal(rws_select_replica(&f->r, 0), 3);
    status(f, 3, 0);
    assert_int_equal(rws_select_replica(&f->r, 0), 0); /* the other rank is no alternative */
    status(f, 0, 0);
    assert_int_equal(rws_select_replica(&f->r, 0), 1); /* nobody of the first rank is left */
}

static void test_draining_and_maintenance(void **state)
{
    struct fixture *f = *state;
    status(f, 1, SLAVE | SL_SERVER_DRAINING);
    status(f, 2, SLAVE | SL_SERVER_MAINT);
    assert_int_equal(rws_select_replica(&f->r, 0), 3);
    connect_to(f, 1);
    connect_to(f, 2);
    assert_true(rws_is_usable_for_reads(&f->r, 1)); /* connected already */
    assert_false(rws_is_usable_for_reads(&f->r, 2));
    status(f, 3, SLAVE | SL_SERVER_NEED_DNS);
    assert_false(rws_is_usable_for_reads(&f->r, 3));
    status(f, 3, SL_SERVER_RUNNING); /* no role */
    assert_false(rws_is_usable_for_reads(&f->r, 3));
    status(f, 3, SL_SERVER_RUNNING | SL_SERVER_RELAY);
    assert_true(rws_is_usable_for_reads(&f->r, 3));
}

static void test_replica_cap(void **state)
{
    struct fixture *f = *state;
    f->cfg.max_slave_connections = 1;
    connect_to(f, 2);
    assert_int_equal(rws_replica_connections(&f->r), 1);
    assert_false(rws_is_usable_for_reads(&f->r, 1));
    assert_true(rws_is_usable_for_reads(&f->r, 2));
    assert_true(rws_is_usable_for_reads(&f->r, 0)); /* the primary does not count */
    f->r.tried = 1 << 2;
    assert_int_equal(rws_select_replica(&f->r, 0), 0);
    f->cfg.max_slave_connections = 0;
    f->session->backends[2] = NULL;
    f->r.tried = 0;
    assert_int_equal(rws_select_replica(&f->r, 0), 0);
}

static void test_lost_history(void **state)
{
    struct fixture *f = *state;
    connect_to(f, 3);
    f->r.history.is_lost = true;
    assert_false(rws_is_usable_for_reads(&f->r, 1)); /* a new connection could not be made equal */
    assert_true(rws_is_usable_for_reads(&f->r, 3));
}

/* A prepared statement runs where it is known; where its PREPARE is still running is better than
 * nowhere. */
static void test_prepared_statement(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    struct sl_backend_stmt known[1] = {{.id = 7}};
    f->backends[2].stmts = known;
    f->backends[2].stmt_capacity = 1;
    sl_count32(&f->servers[2]->counters[0].operations, 9);
    assert_int_equal(rws_select_replica(&f->r, 1), 2);
    status(f, 2, 0);
    assert_int_equal(rws_select_replica(&f->r, 1),
                     RWS_NONE); /* failed to prepare everywhere else */
    f->backends[3].queue_count = 1;
    assert_int_equal(rws_select_replica(&f->r, 1), 3);
    f->backends[2].stmts = NULL;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_primary),
        T(test_primary_stays),
        T(test_primary_by_rank),
        T(test_primary_draining_and_maintenance),
        T(test_replica_before_primary),
        T(test_groups),
        T(test_ties),
        T(test_criteria),
        T(test_lag),
        T(test_receive_queue),
        T(test_donors_come_last),
        T(test_ranks),
        T(test_draining_and_maintenance),
        T(test_replica_cap),
        T(test_lost_history),
        T(test_prepared_statement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
