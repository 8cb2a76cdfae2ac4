/* SPDX-License-Identifier: Apache-2.0 */
/* Which groups a replica gets: positions per domain, holes, strangers, UNTIL, starts inside a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repl/gtid_skip.h"

/* Places are given as text; NULL: what is usual. */
struct place {
    const char *position, *until, *log, *list, *start;
    bool is_strict;
};

static void parse_state(const char *text, struct sl_gtid_list *ret)
{
    char copy[256], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", text ? text : "");
    for (char *part = strtok_r(copy, ",", &rest); part; part = strtok_r(NULL, ",", &rest)) {
        struct sl_gtid g;
        assert_int_equal(sl_gtid_parse(sl_slice_text(part), &g), SL_OK);
        assert_int_equal(sl_gtid_state_add(ret, g), SL_OK);
    }
}

static void begin_at(struct sl_gtid_skip *s, const struct place *p)
{
    struct sl_gtid_list position = SL_GTID_LIST_INIT, until = SL_GTID_LIST_INIT,
                        log = SL_GTID_LIST_INIT, list = SL_GTID_LIST_INIT,
                        start = SL_GTID_LIST_INIT;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_gtid_position_parse(sl_slice_text(p->position), &position, &err), SL_OK);
    if (p->until) {
        assert_int_equal(sl_gtid_position_parse(sl_slice_text(p->until), &until, &err), SL_OK);
    }
    parse_state(p->log ? p->log : "7-1-100,9-1-100", &log);
    parse_state(p->list, &list);
    parse_state(p->start, &start);
    struct sl_gtid_skip_start from = {.position = &position,
                                      .until = p->until ? &until : NULL,
                                      .log = &log,
                                      .list = &list,
                                      .start = &start,
                                      .is_strict = p->is_strict};
    assert_int_equal(sl_gtid_skip_init(s, &from), SL_OK);
    struct sl_gtid_list *all[] = {&position, &until, &log, &list, &start};
    for (unsigned i = 0; i < 5; i++) {
        sl_gtid_list_free(all[i]);
    }
}

static struct sl_gtid_event group(const char *text)
{
    struct sl_gtid_event e = {.flags2 = SL_GTID_TRANSACTIONAL};
    assert_int_equal(sl_gtid_parse(sl_slice_text(text), &e.gtid), SL_OK);
    return e;
}

/* One group from begin to end: "-" left out, "+" sent, "H" hole; then what is due: "L", "U". */
static void feed(struct sl_gtid_skip *s, const char *gtid, const char *expect)
{
    enum sl_gtid_skip_verdict verdict;
    struct sl_gtid hole;
    struct sl_gtid_event e = group(gtid);
    char got[8] = "";
    assert_int_equal(sl_gtid_skip_begin(s, &e, &verdict, &hole), SL_OK);
    strcat(got, verdict == SL_GTID_SKIP_SEND ? "+" : verdict == SL_GTID_SKIP_LEAVE_OUT ? "-" : "H");
    if (verdict != SL_GTID_SKIP_HOLE) {
        unsigned due = sl_gtid_skip_end(s);
        strcat(got, due & SL_GTID_SKIP_LIST ? "L" : "");
        strcat(got, due & SL_GTID_SKIP_UNTIL ? "U" : "");
    }
    assert_string_equal(got, expect);
}

static void expect_state(const struct sl_gtid_skip *s, const char *expect)
{
    struct sl_buf text = SL_BUF_INIT;
    assert_int_equal(sl_gtid_list_text(&s->state, &text), SL_OK);
    assert_int_equal(sl_buf_append(&text, "", 1), SL_OK);
    assert_string_equal((const char *)sl_buf_slice(&text).data, expect);
    sl_buf_free(&text);
}

static void test_to_the_position(void **state)
{
    struct sl_gtid_skip s;
    begin_at(&s, &(struct place){.position = "7-1-3,9-1-2"});
    assert_true(s.has_skipped && sl_gtid_skip_is_pending(&s));
    assert_int_equal(sl_gtid_skip_due(&s), 0);
    feed(&s, "7-1-1", "-");
    feed(&s, "9-1-1", "-");
    feed(&s, "7-2-2", "-"); /* of another server, in front of the position: the replica has it */
    feed(&s, "7-1-3", "-L");
    feed(&s, "7-1-4", "+");
    assert_false(sl_gtid_skip_is_over(&s));
    feed(&s, "9-1-2", "-L");
    assert_true(sl_gtid_skip_is_over(&s));
    expect_state(&s, "7-2-2,7-1-4,9-1-2");
    sl_gtid_skip_free(&s);
}

/* A domain that the position does not name is wanted from its first group. */
static void test_new_domain_is_sent(void **state)
{
    struct sl_gtid_skip s;
    begin_at(&s, &(struct place){.position = "7-1-2"});
    feed(&s, "9-1-1", "+");
    feed(&s, "7-1-1", "-");
    feed(&s, "7-1-2", "-L");
    assert_true(sl_gtid_skip_is_over(&s));
    sl_gtid_skip_free(&s);
    begin_at(&s, &(struct place){.position = ""});
    assert_true(sl_gtid_skip_is_over(&s));
    assert_false(s.has_skipped);
    sl_gtid_skip_free(&s);
}

static void test_hole(void **state)
{
    struct sl_gtid_skip s;
    begin_at(&s, &(struct place){.position = "9-1-5"});
    feed(&s, "9-1-4", "-");
    feed(&s, "9-1-6", "+L");
    assert_true(sl_gtid_skip_is_over(&s));
    sl_gtid_skip_free(&s);

    begin_at(&s, &(struct place){.position = "9-1-5", .is_strict = true});
    feed(&s, "9-1-4", "-");
    enum sl_gtid_skip_verdict verdict;
    struct sl_gtid hole = {0};
    struct sl_gtid_event e = group("9-1-6");
    assert_int_equal(sl_gtid_skip_begin(&s, &e, &verdict, &hole), SL_OK);
    assert_int_equal(verdict, SL_GTID_SKIP_HOLE);
    assert_true(hole.domain == 9 && hole.server_id == 1 && hole.seq == 5);
    sl_gtid_skip_free(&s);
}

/* At the border of a file nothing of the domain is to be left out, and no list is due. */
static void test_file_border(void **state)
{
    struct sl_gtid_skip s;
    begin_at(&s, &(struct place){.position = "7-1-3", .list = "7-2-2,7-1-3,9-1-1"});
    assert_true(sl_gtid_skip_is_over(&s));
    assert_false(s.has_skipped);
    sl_gtid_skip_free(&s);
}

/* A start behind groups that the reader has jumped over. */
static void test_start_inside(void **state)
{
    struct sl_gtid_skip s;
    /* 7 is where the replica is: the next group of it is no hole, also when numbers are missing */
    begin_at(&s, &(struct place){.position = "7-1-50,9-1-9",
                                 .list = "7-1-10,9-1-1",
                                 .start = "7-1-50,9-1-7",
                                 .is_strict = true});
    assert_true(s.has_skipped);
    assert_int_equal(sl_gtid_skip_due(&s), SL_GTID_SKIP_LIST);
    assert_int_equal(sl_gtid_skip_due(&s), 0);
    feed(&s, "7-1-52", "+");
    feed(&s, "9-1-8", "-");
    feed(&s, "9-1-9", "-L");
    expect_state(&s, "7-1-52,9-1-9");
    sl_gtid_skip_free(&s);
    /* numbers fell (no strict mode at the primaries): another server's say nothing */
    begin_at(&s, &(struct place){
                     .position = "7-2-5", .until = "7-2-6", .list = "7-1-2", .start = "7-1-7"});
    assert_int_equal(sl_gtid_skip_due(&s), 0);
    feed(&s, "7-2-5", "-L");
    feed(&s, "7-2-6", "+U");
    sl_gtid_skip_free(&s);
}

static void test_until(void **state)
{
    struct sl_gtid_skip s;
    begin_at(&s, &(struct place){.position = "7-1-1", .until = "7-1-3,9-1-2"});
    feed(&s, "7-1-1", "-L");
    feed(&s, "7-1-2", "+");
    feed(&s, "8-1-1", "-"); /* a domain without an end is at its end */
    feed(&s, "7-1-3", "+");
    feed(&s, "7-1-4", "-");
    feed(&s, "9-1-1", "+");
    assert_false(sl_gtid_skip_is_over(&s));
    feed(&s, "9-1-2", "+U");
    expect_state(&s, "7-1-4,8-1-1,9-1-2");
    sl_gtid_skip_free(&s);
    /* the end is missing in the log: the group behind it is not sent */
    begin_at(&s, &(struct place){.position = "", .until = "7-1-3"});
    feed(&s, "7-1-2", "+");
    feed(&s, "7-1-5", "-U");
    sl_gtid_skip_free(&s);
    /* position and end in one group */
    begin_at(&s, &(struct place){.position = "7-1-3", .until = "7-1-3"});
    feed(&s, "7-1-3", "-LU");
    sl_gtid_skip_free(&s);
}

static void test_until_is_behind(void **state)
{
    struct sl_gtid_skip s;
    begin_at(&s, &(struct place){.position = "7-1-3", .until = "7-1-2", .list = "7-1-3"});
    assert_int_equal(sl_gtid_skip_due(&s), SL_GTID_SKIP_UNTIL);
    sl_gtid_skip_free(&s);
    begin_at(&s, &(struct place){.position = "7-1-9", .until = "7-1-5", .start = "7-1-8"});
    assert_int_equal(sl_gtid_skip_due(&s), SL_GTID_SKIP_UNTIL);
    sl_gtid_skip_free(&s);
}

static void test_stranger(void **state)
{
    struct sl_gtid_skip s;
    begin_at(&s, &(struct place){.position = "7-1-1,8-1-5", .log = "7-1-3"});
    assert_null(sl_gtid_skip_stranger(&s, 7));
    const struct sl_gtid *g = sl_gtid_skip_stranger(&s, 8);
    assert_non_null(g);
    assert_int_equal(g->seq, 5);
    assert_true(sl_gtid_skip_is_pending(&s));
    feed(&s, "7-1-1", "-L");
    assert_false(sl_gtid_skip_is_pending(&s)); /* of what the log has */
    assert_false(sl_gtid_skip_is_over(&s));
    sl_gtid_skip_know(&s, 8);
    assert_true(sl_gtid_skip_is_pending(&s));
    assert_null(sl_gtid_skip_stranger(&s, 8));
    feed(&s, "8-1-4", "-");
    feed(&s, "8-1-5", "-L");
    sl_gtid_skip_free(&s);
}

static void test_out_of_memory(void **state)
{
    struct sl_gtid_list position = SL_GTID_LIST_INIT, empty = SL_GTID_LIST_INIT;
    struct sl_err err = SL_ERR_INIT;
    sl_gtid_position_parse(sl_slice_text("7-1-1"), &position, &err);
    struct sl_gtid_skip_start from = {.position = &position,
                                      .until = &position,
                                      .log = &empty,
                                      .list = &position,
                                      .start = &position};
    for (unsigned i = 1; i <= 4; i++) {
        struct sl_gtid_skip s;
        sl_mem_fail_after(i);
        assert_int_equal(sl_gtid_skip_init(&s, &from), SL_ENOMEM);
        sl_gtid_skip_free(&s);
    }
    sl_mem_fail_after(0);
    sl_gtid_list_free(&position);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_to_the_position),
        cmocka_unit_test(test_new_domain_is_sent),
        cmocka_unit_test(test_hole),
        cmocka_unit_test(test_file_border),
        cmocka_unit_test(test_start_inside),
        cmocka_unit_test(test_until),
        cmocka_unit_test(test_until_is_behind),
        cmocka_unit_test(test_stranger),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
