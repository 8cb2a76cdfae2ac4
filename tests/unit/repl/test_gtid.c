/* SPDX-License-Identifier: Apache-2.0 */
/* GTIDs: text, comparison domain by domain, the shared position under two writers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "repl/gtid.h"

static struct sl_gtid_set set_of(const char *text)
{
    struct sl_gtid_set set;
    assert_int_equal(sl_gtid_set_parse(sl_slice_text(text), &set), SL_OK);
    return set;
}

static void expect_text(const struct sl_gtid_set *set, const char *expect)
{
    char text[SL_GTID_SET_TEXT_MAX];
    assert_int_equal(sl_gtid_set_text(set, text, sizeof text), strlen(expect));
    assert_string_equal(text, expect);
}

static void test_one(void **state)
{
    struct sl_gtid g;
    assert_int_equal(sl_gtid_parse(sl_slice_text("70-7000-2507"), &g), SL_OK);
    assert_int_equal(g.domain, 70);
    assert_int_equal(g.server_id, 7000);
    assert_int_equal(g.seq, 2507);
    assert_int_equal(sl_gtid_parse(sl_slice_text("4294967295-4294967295-18446744073709551615"), &g),
                     SL_OK);
    assert_true(g.seq == UINT64_MAX);
    static const char *const bad[] = {"",
                                      "1",
                                      "1-2",
                                      "1-2-",
                                      "-1-2-3",
                                      "1-2-3-4",
                                      "1-2-3,",
                                      " 1-2-3",
                                      "1-2-3x",
                                      "4294967296-1-1",
                                      "1-4294967296-1",
                                      "1-1-18446744073709551616",
                                      "a-b-c"};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        assert_int_equal(sl_gtid_parse(sl_slice_text(bad[i]), &g), SL_EPROTO);
    }
}

static void test_list(void **state)
{
    struct sl_gtid_set set = set_of(" 0-1-5 , 70-7000-9,\n0-2-7 ");
    expect_text(&set, "0-2-7,70-7000-9");
    set = set_of("");
    assert_int_equal(set.count, 0);
    expect_text(&set, "");
    set = set_of("  ");
    assert_int_equal(set.count, 0);
    static const char *const bad[] = {"1-2-3,", ",1-2-3", "1-2-3 4-5-6", "1-2-3;4-5-6", ","};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        assert_int_equal(sl_gtid_set_parse(sl_slice_text(bad[i]), &set), SL_EPROTO);
        assert_int_equal(set.count, 0);
    }
}

static void test_text_is_cut_with_its_room(void **state)
{
    struct sl_gtid_set set = set_of("0-1-5,70-7000-9");
    char text[8];
    assert_int_equal(sl_gtid_set_text(&set, text, sizeof text), 7);
    assert_string_equal(text, "0-1-5,7");
    assert_int_equal(sl_gtid_set_text(&set, text, 0), 0);
}

static void test_many_domains(void **state)
{
    struct sl_gtid_set set = set_of("1-1-1,2-1-1,3-1-1,4-1-1,5-1-1,6-1-1,7-1-1,8-1-1");
    assert_int_equal(set.count, SL_GTID_DOMAINS_MAX);
    assert_false(set.is_partial);
    struct sl_gtid_set copy = set;
    assert_true(sl_gtid_set_covers(&copy, &set));
    assert_true(sl_gtid_set_add(&set, (struct sl_gtid){9, 1, 1}));
    assert_true(set.is_partial);
    assert_false(sl_gtid_set_covers(&set, &set)); /* nobody knows what else it holds */
    assert_true(sl_gtid_set_covers(&set, &copy));
    sl_gtid_set_merge(&copy, &set);
    assert_true(copy.is_partial);
}

static void test_covers(void **state)
{
    struct sl_gtid_set none = set_of(""), a = set_of("0-1-5"), b = set_of("0-2-5,1-1-1"),
                       c = set_of("0-1-6");
    assert_true(sl_gtid_set_covers(&none, &none));
    assert_true(sl_gtid_set_covers(&a, &none));
    assert_false(sl_gtid_set_covers(&none, &a));
    assert_true(sl_gtid_set_covers(&b, &a)); /* another server wrote the same number */
    assert_false(sl_gtid_set_covers(&a, &b));
    assert_false(sl_gtid_set_covers(&c, &b));
    assert_true(sl_gtid_set_covers(&c, &a));
    sl_gtid_set_merge(&b, &c);
    expect_text(&b, "0-1-6,1-1-1");
    assert_false(sl_gtid_set_add(&b, (struct sl_gtid){0, 3, 4})); /* never back */
    expect_text(&b, "0-1-6,1-1-1");
}

static void test_shared(void **state)
{
    static struct sl_gtid_shared p;
    struct sl_gtid_set set;
    memset(&p, 0, sizeof p);
    sl_gtid_shared_add(&p, (struct sl_gtid){0, 1, 5});
    sl_gtid_shared_add(&p, (struct sl_gtid){0, 2, 3});
    sl_gtid_shared_add(&p, (struct sl_gtid){70, 7000, 1});
    assert_int_equal(sl_gtid_shared_version(&p), 3);
    sl_gtid_shared_get(&p, &set);
    assert_int_equal(set.count, 2);
    assert_int_equal(set.gtid[0].seq, 5);
    assert_false(set.is_partial);
    for (uint32_t d = 100; d < 100 + SL_GTID_DOMAINS_MAX; d++) {
        sl_gtid_shared_add(&p, (struct sl_gtid){d, 1, 1});
    }
    sl_gtid_shared_get(&p, &set);
    assert_true(set.is_partial);
    set = set_of("0-1-2,9-1-1");
    sl_gtid_shared_replace(&p, &set);
    sl_gtid_shared_get(&p, &set);
    expect_text(&set, "0-1-2,9-1-1"); /* backwards, too */
    assert_false(set.is_partial);
}

static void test_shared_forgets(void **state)
{
    static struct sl_gtid_shared p;
    struct sl_gtid_set set;
    memset(&p, 0, sizeof p);
    for (uint32_t d = 0; d <= SL_GTID_DOMAINS_MAX; d++) {
        sl_gtid_shared_add(&p, (struct sl_gtid){d, 1, 100});
    }
    uint64_t version = sl_gtid_shared_version(&p);
    sl_gtid_shared_forget(&p);
    assert_true(sl_gtid_shared_version(&p) > version);
    sl_gtid_shared_get(&p, &set);
    assert_int_equal(set.count, 0);
    assert_false(set.is_partial);
    sl_gtid_shared_add(&p, (struct sl_gtid){3, 1, 1}); /* smaller than before */
    sl_gtid_shared_get(&p, &set);
    expect_text(&set, "3-1-1");
}

#define MOVES 20000

static void *move(void *arg)
{
    struct sl_gtid_shared *p = arg;
    for (uint64_t i = 1; i <= MOVES; i++) {
        sl_gtid_shared_add(p, (struct sl_gtid){(uint32_t)(i % 3), 1, i});
    }
    return NULL;
}

static void test_shared_by_threads(void **state)
{
    static struct sl_gtid_shared p;
    pthread_t threads[3];
    memset(&p, 0, sizeof p);
    for (size_t i = 0; i < SL_ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, move, &p), 0);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    struct sl_gtid_set set;
    sl_gtid_shared_get(&p, &set);
    assert_int_equal(set.count, 3);
    assert_int_equal(sl_gtid_shared_version(&p), 3 * MOVES);
    struct sl_gtid_set expect = set_of("0-1-19998,1-1-19999,2-1-20000");
    assert_true(sl_gtid_set_covers(&set, &expect));
    assert_true(sl_gtid_set_covers(&expect, &set));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_text_is_cut_with_its_room),
        cmocka_unit_test(test_many_domains),
        cmocka_unit_test(test_covers),
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_shared_forgets),
        cmocka_unit_test(test_shared_by_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
