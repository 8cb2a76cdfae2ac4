/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transaction tracker, as stories: each line of a story is a statement, its reply (status flags
 * or an error), and what the tracker must say before and after the reply.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "sql/trx.h"

enum {
    AC = 2,
    IN = 1,
    RO = 0x2000,
    NO_REPLY = 0x10000,
    ERROR = 0x20000
};
enum {
    OPEN = 1,
    STARTING = 2,
    ENDING = 4,
    READ_ONLY = 8,
    XA = 16,
    NEXT = 32
};

struct line {
    const char *sql;
    unsigned before; /* the reply */
    unsigned reply;  /* status flags; NO_REPLY: none yet; ERROR | code */
    unsigned after;
};

static unsigned state_of(const struct sl_trx *t)
{
    return (t->is_open ? OPEN : 0u) | (t->is_starting ? STARTING : 0u) |
           (t->is_ending ? ENDING : 0u) | (t->is_read_only ? READ_ONLY : 0u) |
           (t->is_xa ? XA : 0u) | (t->next_is_set ? NEXT : 0u);
}

static void play(struct sl_trx *t, const struct line *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct line *l = &lines[i];
        struct sl_sql_info info;
        sl_sql_classify((const uint8_t *)l->sql, strlen(l->sql), 0, &info);
        sl_trx_statement(t, &info);
        if (state_of(t) != l->before) {
            print_error("%zu: %s, before the reply: %u not %u\n", i, l->sql, state_of(t),
                        l->before);
        }
        assert_int_equal(state_of(t), l->before);
        if (l->reply & NO_REPLY) {
            continue;
        }
        if (l->reply & ERROR) {
            sl_trx_error(t, (uint16_t)(l->reply & 0xFFFF));
        } else {
            sl_trx_status(t, (uint16_t)l->reply);
        }
        if (state_of(t) != l->after) {
            print_error("%zu: %s, after the reply: %u not %u\n", i, l->sql, state_of(t), l->after);
        }
        assert_int_equal(state_of(t), l->after);
    }
}

#define STORY(name, ...)                                                                           \
    static void name(void **state)                                                                 \
    {                                                                                              \
        static const struct line lines[] = {__VA_ARGS__};                                          \
        struct sl_trx t;                                                                           \
        sl_trx_init(&t, true);                                                                     \
        play(&t, lines, SL_ARRAY_LEN(lines));                                                      \
    }

STORY(autocommit_statements_open_nothing, {"SELECT 1", 0, AC, 0},
      {"INSERT INTO t VALUES (1)", 0, AC, 0}, {"SET NAMES utf8", 0, AC, 0}, {"COMMIT", 0, AC, 0},
      {"ROLLBACK", 0, AC, 0}, {"CREATE TABLE t (a INT)", 0, AC, 0})

STORY(begin_and_commit, {"BEGIN", OPEN | STARTING, AC | IN, OPEN},
      {"SELECT 1", OPEN, AC | IN, OPEN}, {"UPDATE t SET a = 1", OPEN, AC | IN, OPEN},
      {"COMMIT", OPEN | ENDING, AC, 0}, {"SELECT 1", 0, AC, 0})

STORY(begin_inside_a_transaction, {"BEGIN", OPEN | STARTING, AC | IN, OPEN},
      {"START TRANSACTION READ ONLY", OPEN | STARTING | READ_ONLY, AC | IN | RO, OPEN | READ_ONLY},
      {"ROLLBACK", OPEN | ENDING | READ_ONLY, AC, 0})

STORY(savepoints_do_not_end, {"BEGIN", OPEN | STARTING, AC | IN, OPEN},
      {"SAVEPOINT a", OPEN, AC | IN, OPEN}, {"ROLLBACK TO a", OPEN, AC | IN, OPEN},
      {"ROLLBACK", OPEN | ENDING, AC, 0})

STORY(chain_opens_the_next,
      {"START TRANSACTION READ ONLY", OPEN | STARTING | READ_ONLY, AC | IN | RO, OPEN | READ_ONLY},
      {"COMMIT AND CHAIN", OPEN | STARTING | READ_ONLY, AC | IN | RO, OPEN | READ_ONLY},
      {"COMMIT", OPEN | ENDING | READ_ONLY, AC, 0})

STORY(ddl_commits, {"BEGIN", OPEN | STARTING, AC | IN, OPEN},
      {"CREATE TABLE t (a INT)", OPEN | ENDING, AC, 0}, {"BEGIN", OPEN | STARTING, AC | IN, OPEN},
      {"CREATE TEMPORARY TABLE t (a INT)", OPEN, AC | IN, OPEN},
      {"LOCK TABLES t READ", OPEN | ENDING, AC, 0})

STORY(failed_ddl_may_leave_it_open, {"BEGIN", OPEN | STARTING, AC | IN, OPEN},
      {"DROP TABLE nosuch", OPEN | ENDING, ERROR | 1064, OPEN}, {"SELECT 1", OPEN, AC | IN, OPEN},
      {"DROP TABLE nosuch", OPEN | ENDING, ERROR | 1051, OPEN}, {"SELECT 1", OPEN, AC, 0})

STORY(autocommit_off_and_on, {"SET autocommit=0", 0, 0, 0}, {"SET NAMES utf8", 0, 0, 0},
      {"SELECT * FROM t", OPEN | STARTING, IN, OPEN}, {"COMMIT", OPEN | ENDING, 0, 0},
      {"INSERT INTO t VALUES (1)", OPEN | STARTING, IN, OPEN},
      {"SET autocommit=1", OPEN | ENDING, AC, 0}, {"SELECT 1", 0, AC, 0})

STORY(a_query_without_tables_opens_nothing, {"SET autocommit=0", 0, 0, 0},
      {"SELECT 1", OPEN | STARTING, 0, 0})

STORY(autocommit_on_twice_does_not_commit, {"BEGIN", OPEN | STARTING, AC | IN, OPEN},
      {"SET autocommit=1", OPEN, AC | IN, OPEN}, {"SET autocommit=0", OPEN, IN, OPEN},
      {"SET autocommit=1", OPEN | ENDING, AC, 0})

STORY(the_server_overrules, {"CALL p()", 0, AC | IN, OPEN}, {"CALL p()", OPEN, AC, 0},
      {"CALL p()", 0, AC | IN | RO, OPEN | READ_ONLY},
      {"CALL p()", OPEN | READ_ONLY, AC | IN, OPEN}, {"COMMIT", OPEN | ENDING, AC | IN, OPEN})

STORY(pipelined_statements, {"BEGIN", OPEN | STARTING, NO_REPLY, 0},
      {"SELECT 1", OPEN, NO_REPLY, 0}, {"COMMIT", OPEN | ENDING, NO_REPLY, 0},
      {"SELECT 2", 0, AC, 0})

STORY(errors_that_roll_back, {"BEGIN", OPEN | STARTING, AC | IN, OPEN},
      {"UPDATE t SET a = 1", OPEN, ERROR | 1205, OPEN},
      {"UPDATE t SET a = 1", OPEN, ERROR | 1213, 0}, {"BEGIN", OPEN | STARTING, ERROR | 1064, 0},
      {"BEGIN", OPEN | STARTING, AC | IN, OPEN}, {"COMMIT", OPEN | ENDING, ERROR | 1180, 0})

STORY(first_statement_fails_without_autocommit, {"SET autocommit=0", 0, 0, 0},
      {"INSERT INTO t VALUES (1)", OPEN | STARTING, ERROR | 1062, OPEN},
      {"ROLLBACK", OPEN | ENDING, 0, 0})

STORY(xa, {"XA START 'a'", OPEN | STARTING | XA, AC | IN, OPEN | XA},
      {"INSERT INTO t VALUES (1)", OPEN | XA, AC | IN, OPEN | XA},
      {"XA END 'a'", OPEN | XA, AC | IN, OPEN | XA},
      {"XA PREPARE 'a'", OPEN | XA, AC | IN, OPEN | XA},
      {"XA COMMIT 'a'", OPEN | XA | ENDING, AC, 0})

STORY(next_transaction_read_only, {"SET TRANSACTION READ ONLY", NEXT, AC, NEXT},
      {"SET NAMES utf8", NEXT, AC, NEXT},
      {"BEGIN", OPEN | STARTING | READ_ONLY | NEXT, AC | IN | RO, OPEN | READ_ONLY},
      {"COMMIT", OPEN | ENDING | READ_ONLY, AC, 0}, {"BEGIN", OPEN | STARTING, AC | IN, OPEN})

STORY(next_is_used_up_by_one_statement,
      {"SET TRANSACTION ISOLATION LEVEL READ COMMITTED", NEXT, AC, NEXT}, {"SELECT 1", NEXT, AC, 0},
      {"SET TRANSACTION READ ONLY", NEXT, AC, NEXT},
      {"BEGIN", OPEN | STARTING | READ_ONLY | NEXT, NO_REPLY, 0},
      {"SELECT 1", OPEN | READ_ONLY, AC | IN | RO, OPEN | READ_ONLY})

STORY(session_read_only, {"SET SESSION TRANSACTION READ ONLY", 0, AC, 0},
      {"BEGIN", OPEN | STARTING | READ_ONLY, AC | IN | RO, OPEN | READ_ONLY},
      {"COMMIT", OPEN | ENDING | READ_ONLY, AC, 0},
      {"START TRANSACTION READ WRITE", OPEN | STARTING, AC | IN, OPEN},
      {"COMMIT", OPEN | ENDING, AC, 0}, {"SET SESSION tx_read_only=0", 0, AC, 0},
      {"BEGIN", OPEN | STARTING, AC | IN, OPEN})

static void serializable_is_known(void **state)
{
    static const struct line on[] = {
        {"SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", 0, AC, 0}};
    static const struct line next[] = {
        {"SET TRANSACTION ISOLATION LEVEL READ COMMITTED", NEXT, AC, NEXT}};
    static const struct line off[] = {{"SET tx_isolation='READ-COMMITTED'", NEXT, AC, NEXT}};
    struct sl_trx t;

    sl_trx_init(&t, true);
    assert_false(t.is_serializable);
    play(&t, on, 1);
    assert_true(t.is_serializable);
    play(&t, next, 1);
    assert_true(t.is_serializable);
    play(&t, off, 1);
    assert_false(t.is_serializable);
}

static void reset_forgets(void **state)
{
    static const struct line lines[] = {
        {"SET SESSION TRANSACTION READ ONLY", 0, 0, 0},
        {"START TRANSACTION", OPEN | STARTING | READ_ONLY, IN | RO, OPEN | READ_ONLY}};
    struct sl_trx t;

    sl_trx_init(&t, true);
    play(&t, lines, SL_ARRAY_LEN(lines));
    assert_false(t.autocommit);
    sl_trx_reset(&t);
    assert_true(t.autocommit);
    assert_int_equal(state_of(&t), 0);
    assert_false(t.default_read_only);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(autocommit_statements_open_nothing),
        cmocka_unit_test(begin_and_commit),
        cmocka_unit_test(begin_inside_a_transaction),
        cmocka_unit_test(savepoints_do_not_end),
        cmocka_unit_test(chain_opens_the_next),
        cmocka_unit_test(ddl_commits),
        cmocka_unit_test(failed_ddl_may_leave_it_open),
        cmocka_unit_test(autocommit_off_and_on),
        cmocka_unit_test(a_query_without_tables_opens_nothing),
        cmocka_unit_test(autocommit_on_twice_does_not_commit),
        cmocka_unit_test(the_server_overrules),
        cmocka_unit_test(pipelined_statements),
        cmocka_unit_test(errors_that_roll_back),
        cmocka_unit_test(first_statement_fails_without_autocommit),
        cmocka_unit_test(xa),
        cmocka_unit_test(next_transaction_read_only),
        cmocka_unit_test(next_is_used_up_by_one_statement),
        cmocka_unit_test(session_read_only),
        cmocka_unit_test(serializable_is_known),
        cmocka_unit_test(reset_forgets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
