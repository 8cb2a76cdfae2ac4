/* SPDX-License-Identifier: Apache-2.0 */
/* Router tcp: the choice of a server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "router/tcp/tcp.h"

#define S(weight, connections)                                                                     \
    {                                                                                              \
        true, 0, weight, connections                                                               \
    }
#define DOWN(weight, connections)                                                                  \
    {                                                                                              \
        false, 0, weight, connections                                                              \
    }
#define BACKUP(weight, connections)                                                                \
    {                                                                                              \
        true, 1, weight, connections                                                               \
    }

static void test_single_choices(void **state)
{
    static const struct {
        enum sl_tcp_balance method;
        struct sl_tcp_candidate list[3];
        int expected;
    } cases[] = {
        {SL_TCP_LEASTCONN, {S(1, 5), S(1, 3), S(1, 4)}, 1},
        {SL_TCP_LEASTCONN, {S(1, 5), DOWN(1, 0), S(1, 4)}, 2},
        {SL_TCP_LEASTCONN, {S(100, 9), S(1, 1), S(1, 1)}, 0},
        {SL_TCP_LEASTCONN, {S(1, 0), S(3, 0), S(1, 0)}, 1}, /* the load after it came counts */
        {SL_TCP_LEASTCONN, {S(0, 0), S(1, 50), S(0, 0)}, 1},
        {SL_TCP_LEASTCONN, {S(0, 0), DOWN(1, 0), S(0, 0)}, -1},
        {SL_TCP_LEASTCONN, {BACKUP(1, 0), S(1, 50), BACKUP(1, 0)}, 1},
        {SL_TCP_LEASTCONN, {BACKUP(1, 2), DOWN(1, 0), BACKUP(1, 1)}, 2},
        {SL_TCP_LEASTCONN, {S(256, UINT32_MAX), S(1, UINT32_MAX), DOWN(1, 0)}, 0},
        {SL_TCP_ROUNDROBIN, {DOWN(1, 0), S(1, 7), DOWN(1, 0)}, 1},
        {SL_TCP_ROUNDROBIN, {DOWN(1, 0), DOWN(1, 0), DOWN(1, 0)}, -1},
        {SL_TCP_ROUNDROBIN, {BACKUP(9, 0), S(1, 0), BACKUP(9, 0)}, 1},
        {SL_TCP_FIRST, {S(1, 99), S(100, 0), S(1, 0)}, 0},
        {SL_TCP_FIRST, {DOWN(1, 0), S(0, 0), S(1, 0)}, 2},
        {SL_TCP_FIRST, {BACKUP(1, 0), DOWN(1, 0), S(1, 0)}, 2},
        {SL_TCP_FIRST, {DOWN(1, 0), DOWN(1, 0), DOWN(1, 0)}, -1},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        struct sl_tcp_balance_state st = {0};
        int got = sl_tcp_balance_choose(cases[i].method, cases[i].list, 3, &st);
        if (got != cases[i].expected) {
            fail_msg("case %zu: %d instead of %d", i, got, cases[i].expected);
        }
    }
}

static void test_nothing_to_choose_from(void **state)
{
    struct sl_tcp_balance_state st = {0};
    for (int m = SL_TCP_LEASTCONN; m <= SL_TCP_FIRST; m++) {
        assert_int_equal(sl_tcp_balance_choose((enum sl_tcp_balance)m, NULL, 0, &st),
                         SL_TCP_NO_SERVER);
    }
}

/* Connections that come and go one by one meet all servers. */
static void test_equals_take_turns(void **state)
{
    struct sl_tcp_candidate list[3] = {S(1, 0), S(1, 0), S(1, 0)};
    struct sl_tcp_balance_state st = {.last = 2};
    for (int i = 0; i < 9; i++) {
        assert_int_equal(sl_tcp_balance_choose(SL_TCP_LEASTCONN, list, 3, &st), i % 3);
    }
}

static void fill(enum sl_tcp_balance method, struct sl_tcp_candidate *list, unsigned count, int n)
{
    struct sl_tcp_balance_state st = {0};
    for (int i = 0; i < n; i++) {
        list[sl_tcp_balance_choose(method, list, count, &st)].connections++;
    }
}

static void test_connections_follow_weights(void **state)
{
    for (int m = SL_TCP_LEASTCONN; m <= SL_TCP_ROUNDROBIN; m++) {
        struct sl_tcp_candidate list[4] = {S(100, 0), S(50, 0), S(256, 0), S(0, 0)};
        fill((enum sl_tcp_balance)m, list, 4, 406);
        assert_int_equal(list[0].connections, 100);
        assert_int_equal(list[1].connections, 50);
        assert_int_equal(list[2].connections, 256);
        assert_int_equal(list[3].connections, 0);
    }
}

/* 2:1 comes as a b a, not as a a b. */
static void test_round_robin_is_smooth(void **state)
{
    struct sl_tcp_candidate list[2] = {S(2, 0), S(1, 0)};
    struct sl_tcp_balance_state st = {0};
    static const int expected[] = {0, 1, 0, 0, 1, 0};
    for (size_t i = 0; i < SL_ARRAY_LEN(expected); i++) {
        assert_int_equal(sl_tcp_balance_choose(SL_TCP_ROUNDROBIN, list, 2, &st), expected[i]);
    }
}

static void test_back_from_the_dead_gets_no_flood(void **state)
{
    struct sl_tcp_candidate list[2] = {S(1, 0), DOWN(1, 0)};
    struct sl_tcp_balance_state st = {0};
    for (int i = 0; i < 100; i++) {
        assert_int_equal(sl_tcp_balance_choose(SL_TCP_ROUNDROBIN, list, 2, &st), 0);
    }
    list[1].can_serve = true;
    int second = 0;
    for (int i = 0; i < 10; i++) {
        second += sl_tcp_balance_choose(SL_TCP_ROUNDROBIN, list, 2, &st);
    }
    assert_int_equal(second, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_choices),
        cmocka_unit_test(test_nothing_to_choose_from),
        cmocka_unit_test(test_equals_take_turns),
        cmocka_unit_test(test_connections_follow_weights),
        cmocka_unit_test(test_round_robin_is_smooth),
        cmocka_unit_test(test_back_from_the_dead_gets_no_flood),
    };
    return cmocka_run_group_tests_name("tcp_balance", tests, NULL, NULL);
}
