/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of last statements: order, sizes, answers of several servers, cuts, secrets, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "core/trace.h"

static struct sl_trace_entry *add(struct sl_trace *t, const char *text)
{
    struct sl_trace_entry *e = sl_trace_begin(t, 3, 1000, 50);
    sl_trace_text(e, sl_slice_text(text));
    return e;
}

static void expect_texts(const struct sl_trace *t, const char *newest_first)
{
    char got[64] = "";
    for (unsigned i = 0; i < t->count; i++) {
        const struct sl_trace_entry *e = sl_trace_at(t, i);
        strncat(got, e->text, e->text_len);
    }
    assert_string_equal(got, newest_first);
    assert_null(sl_trace_at(t, t->count));
}

static void test_ring(void **state)
{
    struct sl_trace t = {0};
    assert_int_equal(sl_trace_resize(&t, 3), SL_OK);
    expect_texts(&t, "");
    for (const char *const *s = (const char *const[]){"a", "b", "c", "d", "e", NULL}; *s; s++) {
        add(&t, *s);
    }
    expect_texts(&t, "edc");
    assert_int_equal(sl_trace_at(&t, 0)->number, 5);
    assert_int_equal(sl_trace_resize(&t, 2), SL_OK);
    expect_texts(&t, "ed");
    add(&t, "f");
    expect_texts(&t, "fe");
    assert_int_equal(sl_trace_resize(&t, 4), SL_OK);
    add(&t, "g");
    add(&t, "h");
    add(&t, "i");
    expect_texts(&t, "ihgf");
    assert_int_equal(sl_trace_resize(&t, 0), SL_OK);
    expect_texts(&t, "");
    assert_int_equal(sl_trace_memory(&t), 0);
}

static void test_text_is_cut(void **state)
{
    static char text[SL_TRACE_TEXT_MAX + 500];
    memset(text, 'x', sizeof text);
    struct sl_trace t = {0};
    sl_trace_resize(&t, 1);
    struct sl_trace_entry *e = sl_trace_begin(&t, 3, 0, 0);
    sl_trace_text(e, sl_slice(text, sizeof text));
    assert_int_equal(e->text_len, SL_TRACE_TEXT_MAX);
    assert_int_equal(e->full_len, sizeof text);
    sl_trace_clear(&t);
}

/* Once the buffers have grown, nothing is allocated. */
static void test_no_allocation(void **state)
{
    struct sl_trace t = {0};
    sl_trace_resize(&t, 4);
    for (unsigned i = 0; i < 8; i++) {
        add(&t, "SELECT c FROM sbtest1 WHERE id=5001 AND k BETWEEN 1 AND 1000000 ORDER BY c");
    }
    uint64_t before = sl_mem_thread_allocations();
    for (unsigned i = 0; i < 1000; i++) {
        sl_trace_end(add(&t, "SELECT c FROM sbtest1 WHERE id=5001"), 60);
    }
    assert_int_equal(sl_mem_thread_allocations(), before);
    sl_trace_clear(&t);
}

static void test_answers(void **state)
{
    struct sl_trace t = {0};
    sl_trace_resize(&t, 8);
    struct sl_trace_entry *set = add(&t, "SET NAMES x");
    for (unsigned p = 0; p < 3; p++) {
        sl_trace_sent(set, p);
    }
    sl_trace_replied(&t, 0, false, 150);
    sl_trace_end(set, 150);
    struct sl_trace_entry *read = add(&t, "SELECT 1");
    sl_trace_sent(read, 2);
    sl_trace_replied(&t, 2, true, 170); /* of the SET: the older one first */
    assert_int_equal(set->replies[2].state, SL_TRACE_ERROR);
    assert_int_equal(set->replies[2].duration_us, 120);
    assert_int_equal(read->replies[0].state, SL_TRACE_PENDING);
    sl_trace_lost(&t, 2, 180);
    assert_int_equal(read->replies[0].state, SL_TRACE_LOST);
    sl_trace_sent(read, 1); /* retried */
    sl_trace_replied(&t, 1, false, 190);
    assert_int_equal(set->replies[1].state, SL_TRACE_OK);
    sl_trace_replied(&t, 1, false, 190);
    assert_int_equal(read->replies[1].state, SL_TRACE_OK);
    sl_trace_end(read, 190);
    assert_true(read->is_complete);
    assert_int_equal(read->duration_us, 140);
    sl_trace_replied(&t, 5, false, 200); /* nobody waits for that */
    sl_trace_clear(&t);
}

static void test_too_many_servers(void **state)
{
    struct sl_trace t = {0};
    sl_trace_resize(&t, 1);
    struct sl_trace_entry *e = add(&t, "SET NAMES x");
    for (unsigned p = 0; p < SL_TRACE_SERVERS_MAX + 300; p++) {
        sl_trace_sent(e, p);
    }
    assert_int_equal(e->reply_count, SL_TRACE_SERVERS_MAX);
    assert_int_equal(e->more_replies, 255);
    sl_trace_clear(&t);
}

static void test_secrets(void **state)
{
    assert_true(sl_trace_is_secret(sl_slice_text("SET PASSWORD='x'")));
    assert_true(sl_trace_is_secret(sl_slice_text("create user a Identified by 'x'")));
    assert_true(sl_trace_is_secret(sl_slice_text("CHANGE MASTER TO MASTER_PASSWORD='x'")));
    assert_false(sl_trace_is_secret(sl_slice_text("SELECT pass, word FROM t")));
    assert_false(sl_trace_is_secret(sl_slice_text("passwor")));
    assert_false(sl_trace_is_secret(sl_slice_text("")));
}

static void test_no_memory(void **state)
{
    struct sl_trace t = {0};
    sl_mem_fail_after(1);
    assert_int_equal(sl_trace_resize(&t, 4), SL_ENOMEM);
    sl_mem_fail_after(0);
    assert_int_equal(t.capacity, 0);
    assert_int_equal(sl_trace_resize(&t, 1), SL_OK);
    sl_mem_fail_after(1);
    struct sl_trace_entry *e = add(&t, "SELECT 1");
    sl_mem_fail_after(0);
    assert_int_equal(e->text_len, 0);
    add(&t, "SELECT 1");
    expect_texts(&t, "SELECT 1");
    sl_trace_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_text_is_cut),
        cmocka_unit_test(test_no_allocation),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_too_many_servers),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
