/* SPDX-License-Identifier: Apache-2.0 */
/* Which server is read from, and when the relay has caught up with one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/server.h"
#include "router/binlog/upstream_choose.h"

#define MASTER (SL_SERVER_RUNNING | SL_SERVER_MASTER)
#define SLAVE (SL_SERVER_RUNNING | SL_SERVER_SLAVE)
#define SYNCED (SL_SERVER_RUNNING | SL_SERVER_JOINED)
#define CLUSTER_MASTER (MASTER | SL_SERVER_JOINED)

static bool is_exhausted;

static int choose(uint32_t a, bool a_lacks, uint32_t b, bool b_lacks, uint32_t c, bool c_lacks)
{
    const struct sl_candidate all[] = {{a, a_lacks, NULL}, {b, b_lacks, NULL}, {c, c_lacks, NULL}};
    return sl_upstream_choose(all, 3, &is_exhausted);
}

static void test_master(void **state)
{
    assert_int_equal(choose(SLAVE, false, MASTER, false, SLAVE, false), 1);
    assert_int_equal(choose(MASTER, false, MASTER, false, SLAVE, false), 0);
    assert_int_equal(choose(SLAVE, false, SYNCED, false, SLAVE, false), SL_CHOOSE_NONE);
    assert_false(is_exhausted);
    assert_int_equal(choose(MASTER | SL_SERVER_MAINT, false, SLAVE, false, 0, false),
                     SL_CHOOSE_NONE);
    assert_int_equal(sl_upstream_choose(NULL, 0, &is_exhausted), SL_CHOOSE_NONE);
}

static void test_stand_in(void **state)
{
    assert_int_equal(choose(SYNCED, false, CLUSTER_MASTER, true, SYNCED, false), 0);
    assert_int_equal(choose(SYNCED, true, CLUSTER_MASTER, true, SLAVE | SYNCED, false), 2);
    assert_int_equal(choose(0, false, CLUSTER_MASTER, true, SL_SERVER_RUNNING, false),
                     SL_CHOOSE_NONE);
    assert_true(is_exhausted);
    assert_int_equal(choose(SYNCED, true, CLUSTER_MASTER, true, SYNCED, true), SL_CHOOSE_NONE);
    assert_true(is_exhausted);
    /* Nobody stands in for a Master that is not there. */
    assert_int_equal(choose(SYNCED, false, SYNCED, true, SYNCED, false), SL_CHOOSE_NONE);
    assert_false(is_exhausted);
}

/* Who is not of the Master's cluster may have groups of its own. */
static void test_strangers(void **state)
{
    assert_int_equal(choose(SLAVE, false, MASTER, true, SLAVE, false), SL_CHOOSE_NONE);
    assert_true(is_exhausted);
    /* a replica of a cluster, a cluster behind a single Master */
    assert_int_equal(choose(SLAVE, false, CLUSTER_MASTER, true, SYNCED, false), 2);
    assert_int_equal(choose(SYNCED, false, MASTER, true, SYNCED, false), SL_CHOOSE_NONE);
    assert_true(is_exhausted);
    /* another cluster, with a monitor of its own */
    int here, there;
    struct sl_candidate all[] = {{SYNCED, false, &there},
                                 {CLUSTER_MASTER, true, &here},
                                 {SLAVE, false, &here},
                                 {SYNCED, false, &here},
                                 {SL_SERVER_RUNNING, false, &here}};
    assert_int_equal(sl_upstream_choose(all, 5, &is_exhausted), 3);
    assert_true(sl_upstream_is_stranger(all, 5, 0));
    assert_false(sl_upstream_is_stranger(all, 5, 1));
    assert_true(sl_upstream_is_stranger(all, 5, 2));
    assert_false(sl_upstream_is_stranger(all, 5, 3));
    assert_false(sl_upstream_is_stranger(all, 5, 4)); /* nobody would ask it */
    all[1].status = SYNCED;
    assert_false(sl_upstream_is_stranger(all, 5, 2)); /* there is no Master */
}

static void test_reached(void **state)
{
    struct sl_gtid_list log = SL_GTID_LIST_INIT;
    struct sl_gtid_set theirs = {0};
    assert_int_equal(sl_gtid_state_add(&log, (struct sl_gtid){7, 1, 10}), SL_OK);
    assert_int_equal(sl_gtid_state_add(&log, (struct sl_gtid){7, 2, 8}), SL_OK);
    assert_false(sl_upstream_has_reached(&log, &theirs)); /* nothing is known */
    sl_gtid_set_add(&theirs, (struct sl_gtid){7, 2, 10});
    assert_true(sl_upstream_has_reached(&log, &theirs));
    sl_gtid_set_add(&theirs, (struct sl_gtid){9, 2, 1}); /* a domain that we never saw */
    assert_true(sl_upstream_has_reached(&log, &theirs));
    sl_gtid_set_add(&theirs, (struct sl_gtid){7, 2, 11});
    assert_false(sl_upstream_has_reached(&log, &theirs));
    sl_gtid_list_free(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_master),
        cmocka_unit_test(test_stand_in),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
