/* SPDX-License-Identifier: Apache-2.0 */
/* Positions and states of any number of domains; who may be served, and from which file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "repl/gtid_list.h"

static struct sl_gtid gtid_of(const char *text)
{
    struct sl_gtid g;
    assert_int_equal(sl_gtid_parse(sl_slice_text(text), &g), SL_OK);
    return g;
}

/* Entries appended as they stand in the text. */
static struct sl_gtid_list raw_of(const char *text)
{
    struct sl_gtid_list l = SL_GTID_LIST_INIT;
    char *copy = strdup(text), *rest = copy;
    for (char *one; (one = strsep(&rest, ",")) && *one;) {
        assert_int_equal(sl_gtid_list_reserve(&l, 1), SL_OK);
        l.gtid[l.count++] = gtid_of(one);
    }
    free(copy);
    return l;
}

static struct sl_gtid_list state_of(const char *text)
{
    struct sl_gtid_list l = raw_of(text);
    assert_int_equal(sl_gtid_state_order(&l), SL_OK);
    return l;
}

static struct sl_gtid_list position_of(const char *text)
{
    struct sl_gtid_list l = SL_GTID_LIST_INIT;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_gtid_position_parse(sl_slice_text(text), &l, &err), SL_OK);
    return l;
}

static void expect_text(const struct sl_gtid_list *l, const char *expect)
{
    struct sl_buf out = SL_BUF_INIT;
    assert_int_equal(sl_gtid_list_text(l, &out), SL_OK);
    assert_int_equal(sl_buf_append(&out, "", 1), SL_OK);
    assert_string_equal((const char *)out.data, expect);
    sl_buf_free(&out);
}

/* ---- positions ---- */

static void test_position_text(void **state)
{
    static const char *const good[][2] = {
        {"", ""},
        {"  ", ""},
        {"7-1-3", "7-1-3"},
        {" 7-1-3 , 4-2-1\n", "4-2-1,7-1-3"},
        {"4294967295-4294967295-18446744073709551615,0-0-0",
         "0-0-0,4294967295-4294967295-18446744073709551615"},
    };
    static const char *const bad[] = {",",       "7-1-3,",  ",7-1-3",      "7-1-3,,4-2-1",
                                      "7-1",     "7-1-3-4", "7-1-3 4-2-1", "x",
                                      "7-1-3,x", "7-1-3\0,"};
    struct sl_gtid_list l = SL_GTID_LIST_INIT;
    struct sl_err err = SL_ERR_INIT;
    for (size_t i = 0; i < SL_ARRAY_LEN(good); i++) {
        l = position_of(good[i][0]);
        expect_text(&l, good[i][1]);
        sl_gtid_list_free(&l);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(bad) - 1; i++) {
        assert_int_equal(sl_gtid_position_parse(sl_slice_text(bad[i]), &l, &err), SL_EPROTO);
        assert_string_equal(err.text, "Could not parse GTID list");
        assert_int_equal(l.count, 0);
    }
    assert_int_equal(sl_gtid_position_parse(sl_slice("7-1-3\0", 6), &l, &err), SL_EPROTO);
    sl_gtid_list_free(&l);
}

static void test_position_duplicate(void **state)
{
    struct sl_gtid_list l = SL_GTID_LIST_INIT;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_gtid_position_parse(sl_slice_text("7-1-3,9-1-1,7-2-4"), &l, &err),
                     SL_EEXIST);
    assert_string_equal(err.text, "GTID 7-2-4 and 7-1-3 conflict (duplicate domain id 7)");
    assert_int_equal(l.count, 0);
    assert_int_equal(sl_gtid_position_parse(sl_slice_text("7-1-3,7-1-3"), &l, &err), SL_EEXIST);
    sl_gtid_list_free(&l);
}

static void test_position_many(void **state)
{
    struct sl_buf text = SL_BUF_INIT;
    struct sl_gtid_list l = SL_GTID_LIST_INIT;
    struct sl_err err = SL_ERR_INIT;
    for (unsigned i = SL_GTID_LIST_MAX; i > 0; i--) {
        assert_int_equal(sl_buf_printf(&text, "%s%u-1-%u", sl_buf_len(&text) ? "," : "", i, i),
                         SL_OK);
    }
    assert_int_equal(sl_gtid_position_parse(sl_buf_slice(&text), &l, &err), SL_OK);
    assert_int_equal(l.count, SL_GTID_LIST_MAX);
    for (unsigned i = 1; i <= SL_GTID_LIST_MAX; i++) {
        assert_int_equal(sl_gtid_position_find(&l, i)->seq, i);
    }
    assert_int_equal(sl_buf_append_text(&text, ",0-1-1"), SL_OK);
    assert_int_equal(sl_gtid_position_parse(sl_buf_slice(&text), &l, &err), SL_EPROTO);
    sl_gtid_list_free(&l);
    sl_buf_free(&text);
}

static void test_position_set(void **state)
{
    struct sl_gtid_list l = SL_GTID_LIST_INIT;
    static const char *const steps[][2] = {{"7-1-3", "7-1-3"},
                                           {"4294967295-1-1", "7-1-3,4294967295-1-1"},
                                           {"0-5-9", "0-5-9,7-1-3,4294967295-1-1"},
                                           {"7-2-1", "0-5-9,7-2-1,4294967295-1-1"}};
    assert_null(sl_gtid_position_find(&l, 7));
    for (size_t i = 0; i < SL_ARRAY_LEN(steps); i++) {
        assert_int_equal(sl_gtid_position_set(&l, gtid_of(steps[i][0])), SL_OK);
        expect_text(&l, steps[i][1]);
    }
    assert_int_equal(sl_gtid_position_find(&l, UINT32_MAX)->seq, 1);
    assert_null(sl_gtid_position_find(&l, 6));
    struct sl_gtid_list copy = SL_GTID_LIST_INIT;
    assert_int_equal(sl_gtid_list_copy(&copy, &l), SL_OK);
    expect_text(&copy, steps[3][1]);
    assert_int_equal(sl_gtid_list_copy(&copy, &copy), SL_OK);
    expect_text(&copy, steps[3][1]);
    sl_gtid_list_clear(&l);
    assert_int_equal(sl_gtid_list_copy(&copy, &l), SL_OK);
    expect_text(&copy, "");
    sl_gtid_list_free(&l);
    sl_gtid_list_free(&copy);
}

/* ---- states ---- */

static void test_state_add(void **state)
{
    struct sl_gtid_list l = SL_GTID_LIST_INIT;
    static const char *const steps[][2] = {{"7-1-3", "7-1-3"},
                                           {"7-2-4", "7-1-3,7-2-4"},
                                           {"4294967295-1-1", "7-1-3,7-2-4,4294967295-1-1"},
                                           {"7-1-5", "7-2-4,7-1-5,4294967295-1-1"},
                                           {"0-9-1", "0-9-1,7-2-4,7-1-5,4294967295-1-1"},
                                           {"7-1-6", "0-9-1,7-2-4,7-1-6,4294967295-1-1"},
                                           {"7-2-2", "0-9-1,7-1-6,7-2-2,4294967295-1-1"}};
    for (size_t i = 0; i < SL_ARRAY_LEN(steps); i++) {
        assert_int_equal(sl_gtid_state_add(&l, gtid_of(steps[i][0])), SL_OK);
        expect_text(&l, steps[i][1]);
    }
    assert_true(sl_gtid_state_has(&l, gtid_of("7-1-6")));
    assert_true(sl_gtid_state_has(&l, gtid_of("7-1-1")));
    assert_false(sl_gtid_state_has(&l, gtid_of("7-1-7")));
    assert_false(sl_gtid_state_has(&l, gtid_of("7-3-1")));
    assert_false(sl_gtid_state_has(&l, gtid_of("8-1-1")));
    assert_true(sl_gtid_state_knows_domain(&l, 0));
    assert_false(sl_gtid_state_knows_domain(&l, 1));
    assert_int_equal(sl_gtid_state_last(&l, 7)->server_id, 2);
    assert_null(sl_gtid_state_last(&l, 8));
    struct sl_gtid_list position = SL_GTID_LIST_INIT;
    assert_int_equal(sl_gtid_state_position(&l, &position), SL_OK);
    expect_text(&position, "0-9-1,7-2-2,4294967295-1-1");
    uint64_t allocations = sl_mem_thread_allocations();
    assert_int_equal(sl_gtid_state_add(&l, gtid_of("0-9-2")), SL_OK);
    assert_true(sl_mem_thread_allocations() == allocations);
    sl_gtid_list_free(&position);
    sl_gtid_list_free(&l);
}

static void test_state_order(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"9-33-1000,9-1-1005,7-1-35", "7-1-35,9-33-1000,9-1-1005"},
        {"7-1-3,9-1-1,7-2-4", "7-1-3,7-2-4,9-1-1"},
        {"7-1-3,7-2-4,7-1-5", "7-2-4,7-1-5"},
        {"7-1-5,7-2-4,7-1-3", "7-2-4,7-1-3"}, /* the last mention counts */
        {"7-1-3,7-1-3", "7-1-3"},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        struct sl_gtid_list l = state_of(cases[i][0]);
        expect_text(&l, cases[i][1]);
        sl_gtid_list_free(&l);
    }
}

/* ---- may it be served? ---- */

static void test_judge(void **state)
{
    static const struct {
        const char *state, *position;
        bool ignore_duplicates;
        enum sl_gtid_verdict verdict;
        const char *missing;
    } cases[] = {
        {"7-1-10", "", false, SL_GTID_SERVED, NULL},
        {"", "7-1-10", false, SL_GTID_SERVED, NULL}, /* an unknown domain */
        {"7-1-10", "7-1-10", false, SL_GTID_SERVED, NULL},
        {"7-1-10", "7-1-1,8-1-1", false, SL_GTID_SERVED, NULL},
        {"7-1-10", "7-1-11", false, SL_GTID_AHEAD, "7-1-11"},
        {"7-1-10", "7-1-11", true, SL_GTID_SERVED, NULL},
        {"7-1-7", "7-9-5", false, SL_GTID_DIVERGED, "7-9-5"},
        {"7-1-7", "7-9-7", false, SL_GTID_DIVERGED, "7-9-7"},
        {"7-1-7", "7-9-7", true, SL_GTID_DIVERGED, "7-9-7"},
        {"7-1-7", "7-9-8", false, SL_GTID_AHEAD, "7-9-8"},
        /* An old primary that wrote on after the new one took over. */
        {"7-1-100,7-2-120", "7-1-100", false, SL_GTID_SERVED, NULL},
        {"7-1-100,7-2-120", "7-1-101", false, SL_GTID_DIVERGED, "7-1-101"},
        {"7-1-100,7-2-120", "7-1-121", false, SL_GTID_AHEAD, "7-1-121"},
        {"7-1-100,7-2-120", "7-2-3", false, SL_GTID_SERVED, NULL},
        /* Numbers went down: the last one written is what counts. */
        {"7-1-1000,7-2-5", "7-3-6", false, SL_GTID_AHEAD, "7-3-6"},
        {"3-1-1,7-1-7", "3-1-1,7-2-1", false, SL_GTID_DIVERGED, "7-2-1"},
        {"3-1-1,5-1-1,7-1-7", "3-1-2,5-1-2,7-2-1", false, SL_GTID_DIVERGED, "7-2-1"},
        {"3-1-1,5-1-1,7-1-7", "3-1-1,5-1-2,7-1-8", false, SL_GTID_AHEAD, "5-1-2"},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        struct sl_gtid_list known = state_of(cases[i].state);
        struct sl_gtid_list position = position_of(cases[i].position);
        struct sl_gtid missing = {0};
        assert_int_equal(
            sl_gtid_state_judge(&known, &position, cases[i].ignore_duplicates, &missing),
            cases[i].verdict);
        if (cases[i].missing) {
            struct sl_gtid expect = gtid_of(cases[i].missing);
            assert_memory_equal(&missing, &expect, sizeof missing);
        }
        sl_gtid_list_free(&known);
        sl_gtid_list_free(&position);
    }
}

static void test_file_covers(void **state)
{
    static const struct {
        const char *list, *position;
        bool covers;
    } cases[] = {
        {"", "", true}, /* the very first file */
        {"", "7-1-35", true},
        {"7-1-35", "", false},
        {"7-1-35", "9-1-1", false},
        {"7-1-35", "7-1-34", false},
        {"7-1-35", "7-1-35", true},
        {"7-1-35", "7-1-36,9-1-1", true},
        {"9-33-1000,9-1-1005,7-1-35", "9-33-1000,7-1-35", false}, /* seen at a 10.11 */
        {"9-33-1000,9-1-1005,7-1-35", "9-1-1005,7-1-35", true},
        {"9-33-1000,9-1-1005,7-1-35", "9-33-1001,7-1-35", true},
        {"9-33-1000,9-1-1005,7-1-35", "9-33-999,7-1-35", false},
        {"9-33-1000,9-1-1005,7-1-35", "9-5-1,7-1-35", true}, /* 9-5 wrote nothing before the file */
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        struct sl_gtid_list list = state_of(cases[i].list);
        struct sl_gtid_list position = position_of(cases[i].position);
        assert_int_equal(sl_gtid_file_covers(&list, &position), cases[i].covers);
        sl_gtid_list_free(&list);
        sl_gtid_list_free(&position);
    }
}

/* ---- memory ---- */

static void test_no_memory(void **state)
{
    struct sl_gtid_list l = SL_GTID_LIST_INIT, other = SL_GTID_LIST_INIT;
    struct sl_err err = SL_ERR_INIT;
    struct sl_buf out = SL_BUF_INIT;
    sl_mem_fail_after(1);
    assert_int_equal(sl_gtid_position_parse(sl_slice_text("7-1-3"), &l, &err), SL_ENOMEM);
    for (int n = 1; n <= 3; n++) { /* two entries, and sorting them */
        sl_gtid_list_free(&l);
        sl_mem_fail_after((uint64_t)n);
        assert_int_equal(sl_gtid_position_parse(sl_slice_text("7-1-3,9-1-1"), &l, &err), SL_ENOMEM);
        assert_int_equal(l.count, 0);
    }
    sl_gtid_list_free(&l);
    sl_mem_fail_after(1);
    assert_int_equal(sl_gtid_position_set(&l, gtid_of("7-1-3")), SL_ENOMEM);
    sl_mem_fail_after(1);
    assert_int_equal(sl_gtid_state_add(&l, gtid_of("7-1-3")), SL_ENOMEM);
    l = raw_of("9-1-1,7-1-3");
    sl_mem_fail_after(1);
    assert_int_equal(sl_gtid_list_copy(&other, &l), SL_ENOMEM);
    sl_mem_fail_after(1);
    assert_int_equal(sl_gtid_state_position(&l, &other), SL_ENOMEM);
    sl_mem_fail_after(1);
    assert_int_equal(sl_gtid_list_text(&l, &out), SL_ENOMEM);
    assert_int_equal(sl_buf_len(&out), 0);
    sl_mem_fail_after(1);
    assert_int_equal(sl_gtid_state_order(&l), SL_ENOMEM);
    assert_int_equal(l.count, 0);
    assert_int_equal(sl_gtid_list_reserve(&l, UINT32_MAX), SL_ENOMEM);
    sl_gtid_list_free(&l);
    sl_gtid_list_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_position_text), cmocka_unit_test(test_position_duplicate),
        cmocka_unit_test(test_position_many), cmocka_unit_test(test_position_set),
        cmocka_unit_test(test_state_add),     cmocka_unit_test(test_state_order),
        cmocka_unit_test(test_judge),         cmocka_unit_test(test_file_covers),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests_name("repl_gtid_list", tests, NULL, NULL);
}
