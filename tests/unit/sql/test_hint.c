/* SPDX-License-Identifier: Apache-2.0 */
/* Hints: the grammar as a table, several comments of a statement, the stack and its bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sql/classify.h"
#include "sql/hint.h"

/* The servers are called s0 to s9. */
static int server_at(void *arg, struct sl_slice name)
{
    return name.len == 2 && name.data[0] == 's' ? name.data[1] - '0' : -1;
}

static struct sl_hint read_in(struct sl_hint_stack **stack, const char *sql)
{
    return sl_hints_read(stack, (const uint8_t *)sql, strlen(sql), 0, server_at, NULL);
}

/* As text: "M", "S", "L", "3" (a server), "?" (an unknown one), with "<5" for a lag; "" for none. */
static const char *text_of(struct sl_hint h)
{
    static char out[32];
    char target[8] = "";
    switch ((enum sl_hint_target)h.target) {
    case SL_HINT_NONE:
        break;
    case SL_HINT_MASTER:
        strcpy(target, "M");
        break;
    case SL_HINT_SLAVE:
        strcpy(target, "S");
        break;
    case SL_HINT_LAST:
        strcpy(target, "L");
        break;
    case SL_HINT_SERVER:
        snprintf(target, sizeof target, h.server < 0 ? "?" : "%d", h.server);
        break;
    }
    snprintf(out, sizeof out, h.has_lag ? "%s<%u" : "%s", target, h.lag_s);
    return out;
}

static void expect(struct sl_hint_stack **stack, const char *sql, const char *wanted)
{
    const char *got = text_of(read_in(stack, sql));
    if (strcmp(got, wanted) != 0) {
        fail_msg("%s: '%s', expected '%s'", sql, got, wanted);
    }
}

static void test_one_statement(void **state)
{
    static const char *const rows[][2] = {
        {"SELECT 1 -- maxscale route to master", "M"},
        {"SELECT 1 -- maxscale route to slave\n", "S"},
        {"SELECT 1 # maxscale route to last", "L"},
        {"SELECT 1 #maxscale route to last", "L"},
        {"SELECT /* maxscale route to server s3 */ 1", "3"},
        {"/*maxscale route to server s3*/ SELECT 1", "3"},
        {"SELECT 1 --\tmaxscale\troute  to\tmaster\t", "M"},
        {"SELECT 1 -- maxscale max_slave_replication_lag=5", "<5"},
        {"SELECT 1 -- maxscale max_slave_replication_lag = 4294967295", "<4294967295"},
        {"SELECT 1 -- maxscale route to server nobody", "?"},
        /* void */
        {"SELECT 1", ""},
        {"SELECT 1 --maxscale route to master", ""},
        {"SELECT 1 -- route to master", ""},
        {"SELECT 1 -- maxscale", ""},
        {"SELECT 1 -- maxscale route", ""},
        {"SELECT 1 -- maxscale route to", ""},
        {"SELECT 1 -- maxscale route to server", ""},
        {"SELECT 1 -- maxscale route to server =", ""},
        {"SELECT 1 -- maxscale route to replica", ""},
        {"SELECT 1 -- maxscale route to master now", ""},
        {"SELECT 1 -- maxscale route to server s3 s4", ""},
        {"SELECT 1 -- maxscale route master", ""},
        {"SELECT 1 -- maxscale ROUTE TO MASTER", ""},
        {"SELECT 1 -- MaxScale route to master", ""},
        {"SELECT 1 -- maxscale route to Master", ""},
        {"SELECT 1 -- maxscaleroute to master", ""},
        {"SELECT 1 -- maxscale max_replication_lag=5", ""},
        {"SELECT 1 -- maxscale max_slave_replication_lag=", ""},
        {"SELECT 1 -- maxscale max_slave_replication_lag 5", ""},
        {"SELECT 1 -- maxscale max_slave_replication_lag=5s", ""},
        {"SELECT 1 -- maxscale max_slave_replication_lag=-1", ""},
        {"SELECT 1 -- maxscale max_slave_replication_lag=4294967296", ""},
        {"SELECT 1 -- maxscale max_slave_replication_lag=99999999999999999999999", ""},
        {"SELECT 1 -- maxscale ccr=match", ""},
        {"SELECT 1 -- maxscale begin", ""},
        {"SELECT 1 -- maxscale = begin route to master", ""},
        {"SELECT 1 -- maxscale x prepare", ""},
        {"SELECT 1 -- maxscale x finish route to master", ""},
        {"SELECT 1 -- maxscale end now", ""},
        {"SELECT '-- maxscale route to master'", ""},
        {"SELECT `/* maxscale route to master */`", ""},
        {"SELECT 1 /*! maxscale route to master */", ""},
        {"SELECT 1 /*!999999 maxscale route to master */", ""},
        /* several */
        {"SELECT 1 /* maxscale route to slave */ -- maxscale route to last", "L"},
        {"SELECT 1 /* maxscale route to master */ -- maxscale route to slave", "M"},
        {"/* maxscale route to slave */ SELECT 1 # maxscale max_slave_replication_lag=9", "S<9"},
        {"/* nothing */ SELECT 1 /* maxscale nonsense */ # maxscale route to slave", "S"},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        struct sl_hint_stack *stack = NULL;
        expect(&stack, rows[i][0], rows[i][1]);
        assert_null(stack); /* statements of their own need none */
    }
}

static void test_sql_mode(void **state)
{
    static const char sql[] = "SELECT '\\' -- maxscale route to master";
    struct sl_hint_stack *stack = NULL;
    struct sl_hint h = sl_hints_read(&stack, (const uint8_t *)sql, sizeof sql - 1,
                                     SL_SQL_NO_BACKSLASH_ESCAPES, server_at, NULL);
    assert_int_equal(h.target, SL_HINT_MASTER);
    expect(&stack, sql, ""); /* with backslashes the string does not end */
}

static void test_stack(void **state)
{
    struct sl_hint_stack *stack = NULL;
    expect(&stack, "SELECT 1 -- maxscale end", "");
    expect(&stack, "SELECT 1 -- maxscale begin route to master", "M");
    expect(&stack, "SELECT 1", "M");
    expect(&stack, "SELECT 1 -- maxscale route to slave", "S");
    expect(&stack, "SELECT 1 -- maxscale route to server nobody", "?");
    expect(&stack, "SELECT 1 -- maxscale start route to server s2", "2");
    assert_string_equal(text_of(sl_hints_in_force(stack)), "2");
    expect(&stack, "SELECT 1 -- maxscale end", "M");
    expect(&stack, "SELECT 1 -- maxscale begin max_slave_replication_lag=3", "<3");
    expect(&stack, "SELECT 1 -- maxscale stop", "M");
    expect(&stack, "SELECT 1 -- maxscale stop it", "M");
    expect(&stack, "SELECT 1 -- maxscale end", "");
    expect(&stack, "SELECT 1 -- maxscale end", "");
    assert_string_equal(text_of(sl_hints_in_force(stack)), "");
    sl_hint_stack_free(stack);
}

static void test_names(void **state)
{
    struct sl_hint_stack *stack = NULL;
    expect(&stack, "SELECT 1 -- maxscale x prepare route to server s4", "");
    expect(&stack, "SELECT 1", "");
    expect(&stack, "SELECT 1 -- maxscale x begin", "4");
    expect(&stack, "SELECT 1 -- maxscale y start route to slave", "S");
    expect(&stack, "SELECT 1 -- maxscale end", "4");
    expect(&stack, "SELECT 1 -- maxscale y begin", "S");
    expect(&stack, "SELECT 1 -- maxscale end", "4");
    expect(&stack, "SELECT 1 -- maxscale nobody begin", "");
    expect(&stack, "SELECT 1 -- maxscale end", "4");
    expect(&stack, "SELECT 1 -- maxscale x prepare route to master", "4");
    expect(&stack, "SELECT 1 -- maxscale x begin", "M");
    sl_hint_stack_free(stack);
}

/* Beyond the depth a begin is only counted. */
static void test_depth(void **state)
{
    struct sl_hint_stack *stack = NULL;
    char sql[64];
    for (int i = 0; i < SL_HINT_DEPTH_MAX + 3; i++) {
        snprintf(sql, sizeof sql, "SELECT 1 -- maxscale begin route to server s%d", i % 10);
        read_in(&stack, sql);
    }
    const int last = (SL_HINT_DEPTH_MAX - 1) % 10;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sl_hints_in_force(stack).server, last);
        read_in(&stack, "SELECT 1 -- maxscale end");
    }
    assert_int_equal(sl_hints_in_force(stack).server, last);
    read_in(&stack, "SELECT 1 -- maxscale end");
    assert_int_equal(sl_hints_in_force(stack).server, last - 1);
    sl_hint_stack_free(stack);
}

static void test_too_many_names(void **state)
{
    struct sl_hint_stack *stack = NULL;
    char sql[128];
    for (int i = 0; i < SL_HINT_NAMES_MAX + 1; i++) {
        snprintf(sql, sizeof sql, "SELECT 1 -- maxscale n%d prepare route to slave", i);
        read_in(&stack, sql);
    }
    snprintf(sql, sizeof sql, "SELECT 1 -- maxscale n%d begin", SL_HINT_NAMES_MAX - 1);
    expect(&stack, sql, "S");
    snprintf(sql, sizeof sql, "SELECT 1 -- maxscale n%d begin", SL_HINT_NAMES_MAX);
    expect(&stack, sql, "");
    sl_hint_stack_free(stack);
}

static void test_long_name(void **state)
{
    struct sl_hint_stack *stack = NULL;
    expect(&stack, "SELECT 1 -- maxscale a123456789012345678901234567890 prepare route to last",
           "");
    expect(&stack, "SELECT 1 -- maxscale a123456789012345678901234567890 begin", "L");
    expect(&stack, "SELECT 1 -- maxscale b1234567890123456789012345678901 begin route to slave",
           "S");
    expect(&stack, "SELECT 1 -- maxscale b1234567890123456789012345678901 begin", "");
    sl_hint_stack_free(stack);
}

static void test_no_memory(void **state)
{
    struct sl_hint_stack *stack = NULL;
    sl_mem_fail_after(1);
    struct sl_hint h = read_in(&stack, "SELECT 1 -- maxscale begin route to master");
    sl_mem_fail_after(0);
    assert_false(sl_hint_is_set(&h));
    assert_null(stack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_statement), cmocka_unit_test(test_sql_mode),
        cmocka_unit_test(test_stack),         cmocka_unit_test(test_names),
        cmocka_unit_test(test_depth),         cmocka_unit_test(test_too_many_names),
        cmocka_unit_test(test_long_name),     cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
