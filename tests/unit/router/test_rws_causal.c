/* SPDX-License-Identifier: Apache-2.0 */
/* causal_reads: the questions, the meaning of answers (captures of 10.11), and which servers are
 * fresh enough. */
#include "rws_fixture.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/error.h"

static struct sl_gtid_set set_of(const char *text)
{
    struct sl_gtid_set set;
    assert_int_equal(sl_gtid_set_parse(sl_slice_text(text), &set), SL_OK);
    return set;
}

static void expect_question(enum rws_causal_question question, const char *gtids,
                            int64_t timeout_ms, const char *text)
{
    uint8_t packet[RWS_CAUSAL_PACKET_MAX];
    struct sl_gtid_set set = set_of(gtids);
    size_t len = rws_causal_packet(packet, question, &set, timeout_ms);
    assert_int_equal(len, 5 + strlen(text));
    assert_int_equal(sl_get_le24(packet), len - 4);
    assert_int_equal(packet[3], 0);
    assert_int_equal(packet[4], 3);
    assert_memory_equal(packet + 5, text, strlen(text));
}

static void test_questions(void **state)
{
    expect_question(RWS_ASK_REPLICA, "0-1-5", 10000,
                    "SELECT MASTER_GTID_WAIT('0-1-5',10.000) AS a LIMIT 1");
    expect_question(RWS_ASK_REPLICA, "0-1-5,70-7000-9", 1050,
                    "SELECT MASTER_GTID_WAIT('0-1-5,70-7000-9',1.050) AS a LIMIT 1");
    expect_question(RWS_ASK_NODE, "", 10000,
                    "SET STATEMENT wsrep_sync_wait=1 FOR SELECT 1 AS a LIMIT 1");
    expect_question(RWS_ASK_POSITION, "", 0, "SELECT @@gtid_current_pos AS a LIMIT 1");
}

static void test_the_longest_question_fits(void **state)
{
    struct sl_gtid_set set = {0};
    uint8_t packet[RWS_CAUSAL_PACKET_MAX];
    for (uint32_t i = 0; i < SL_GTID_DOMAINS_MAX; i++) {
        sl_gtid_set_add(&set, (struct sl_gtid){UINT32_MAX - i, UINT32_MAX, UINT64_MAX});
    }
    assert_true(rws_causal_packet(packet, RWS_ASK_REPLICA, &set, INT32_MAX) < sizeof packet);
}

/* A text result set of one column: count, definition, (EOF), row, end. */
static size_t result(uint8_t *out, const char *value, bool deprecate_eof)
{
    static const uint8_t head[] = {1, 0, 0, 1, 1, 4, 0, 0, 2, 3, 'd', 'e', 'f'};
    static const uint8_t eof[] = {5, 0, 0, 3, 0xfe, 0, 0, 2, 0};
    static const uint8_t end[] = {7, 0, 0, 4, 0xfe, 0, 0, 2, 0, 0, 0};
    size_t n = 0, len = value ? strlen(value) : 0;
    memcpy(out, head, sizeof head);
    n += sizeof head;
    if (!deprecate_eof) {
        memcpy(out + n, eof, sizeof eof);
        n += sizeof eof;
    }
    sl_put_le24(out + n, (uint32_t)len + 1);
    out[n + 3] = 4;
    out[n + 4] = value ? (uint8_t)len : 0xfb;
    memcpy(out + n + 5, value ? value : "", len);
    n += 5 + len;
    memcpy(out + n, deprecate_eof ? end : eof, deprecate_eof ? sizeof end : sizeof eof);
    return n + (deprecate_eof ? sizeof end : sizeof eof);
}

static bool says(enum rws_causal_question question, const char *value)
{
    uint8_t reply[256];
    struct sl_gtid_set ignored;
    bool a =
        rws_causal_judge(question, sl_slice(reply, result(reply, value, false)), false, &ignored);
    bool b =
        rws_causal_judge(question, sl_slice(reply, result(reply, value, true)), true, &ignored);
    assert_int_equal(a, b);
    return a;
}

static void test_answers(void **state)
{
    assert_true(says(RWS_ASK_REPLICA, "0"));
    assert_false(says(RWS_ASK_REPLICA, "-1"));
    assert_false(says(RWS_ASK_REPLICA, NULL));
    assert_false(says(RWS_ASK_REPLICA, ""));
    assert_true(says(RWS_ASK_NODE, "1"));
    assert_false(says(RWS_ASK_NODE, "0"));
    assert_true(says(RWS_ASK_POSITION, "0-1-5,70-7000-9"));
    assert_true(says(RWS_ASK_POSITION, "")); /* nothing was ever written */
    assert_false(says(RWS_ASK_POSITION, "0-1"));
    assert_false(says(RWS_TELL_TRACKING, "0"));
}

static void test_a_position_is_read(void **state)
{
    uint8_t reply[256];
    struct sl_gtid_set position;
    size_t len = result(reply, "0-1-5,70-7000-9", false);
    assert_true(rws_causal_judge(RWS_ASK_POSITION, sl_slice(reply, len), false, &position));
    assert_int_equal(position.count, 2);
    assert_int_equal(position.gtid[1].seq, 9);
}

static void test_no_answer(void **state)
{
    static const uint8_t err[] = {9, 0, 0, 1, 0xff, 0xb5, 0x04, '#', 'H', 'Y', '0', '0', '0'};
    static const uint8_t ok[] = {7, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0};
    static const uint8_t empty[] = {1, 0,    0, 1, 1, 4, 0, 0, 2, 3, 'd',  'e', 'f', 5, 0, 0,
                                    3, 0xfe, 0, 0, 2, 0, 5, 0, 0, 4, 0xfe, 0,   0,   2, 0};
    struct sl_gtid_set ignored;
    assert_false(rws_causal_judge(RWS_ASK_REPLICA, sl_slice(err, sizeof err), false, &ignored));
    assert_false(rws_causal_judge(RWS_ASK_REPLICA, sl_slice(ok, sizeof ok), false, &ignored));
    assert_false(rws_causal_judge(RWS_ASK_REPLICA, sl_slice(empty, sizeof empty), false, &ignored));
    uint8_t reply[256];
    size_t len = result(reply, "0", false);
    for (size_t cut = 0; cut + 9 < len; cut++) { /* the end behind the row need not be there */
        assert_false(rws_causal_judge(RWS_ASK_REPLICA, sl_slice(reply, cut), false, &ignored));
    }
}

static void test_tracking_statements(void **state)
{
    static const char *const yes[] = {"set session_track_system_variables='*'",
                                      "SET @@SESSION.SESSION_TRACK_SYSTEM_VARIABLES = ''"};
    bool wants_gtid;
    static const char *const no[] = {"set autocommit=1", "set session_track_schema=1", "", "s"};
    for (size_t i = 0; i < SL_ARRAY_LEN(yes); i++) {
        assert_true(rws_causal_changes_tracking(sl_slice_text(yes[i]), &wants_gtid));
        assert_int_equal(wants_gtid, i == 0);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(no); i++) {
        assert_false(rws_causal_changes_tracking(sl_slice_text(no[i]), &wants_gtid));
    }
}

/* ---- which servers ---- */

static struct rws_causal_shared shared;

static struct rws_causal *open_causal(struct fixture *f, enum sl_causal_reads mode)
{
    memset(&shared, 0, sizeof shared);
    f->cfg.causal_reads = mode;
    f->cfg.causal_reads_timeout = 10000;
    assert_int_equal(rws_causal_open(&f->r, &shared), SL_OK);
    return f->r.causal;
}

static int teardown_causal(void **state)
{
    struct fixture *f = *state;
    sl_free(f->r.causal);
    return teardown(state);
}

static void server_is_at(struct fixture *f, unsigned i, const char *gtids)
{
    struct sl_gtid_set set = set_of(gtids);
    sl_gtid_shared_replace(&f->servers[i]->position, &set);
}

static void test_none_costs_nothing(void **state)
{
    struct fixture *f = *state;
    assert_null(open_causal(f, SL_CAUSAL_NONE));
    assert_false(f->session->wants_state);
    assert_null(open_causal(f, SL_CAUSAL_NONE));
    assert_non_null(open_causal(f, SL_CAUSAL_LOCAL));
    assert_true(f->session->wants_state);
}

static void test_fast_wants_servers_that_have_it(void **state)
{
    struct fixture *f = *state;
    struct rws_causal *c = open_causal(f, SL_CAUSAL_FAST);
    connect_all(f);
    assert_true(rws_is_usable_for_reads(&f->r, 1)); /* nothing was written */
    c->position = set_of("0-1-5");
    server_is_at(f, 1, "0-1-4,70-1-9");
    server_is_at(f, 2, "0-1-5");
    assert_false(rws_is_usable_for_reads(&f->r, 1));
    assert_true(rws_is_usable_for_reads(&f->r, 2));
    assert_false(rws_is_usable_for_reads(&f->r, 3)); /* nobody knows where it is */
    assert_true(rws_is_usable_for_reads(&f->r, 0));  /* the primary */
    assert_int_equal(rws_select_replica(&f->r, 0), 2);
    c->is_unknown = true;
    assert_int_equal(rws_select_replica(&f->r, 0), 0);
}

static void test_global_takes_what_others_wrote(void **state)
{
    struct fixture *f = *state;
    struct rws_causal *c = open_causal(f, SL_CAUSAL_FAST_GLOBAL);
    connect_all(f);
    server_is_at(f, 1, "0-1-5");
    sl_gtid_shared_add(&shared.position, (struct sl_gtid){0, 1, 6});
    rws_causal_begin(&f->r);
    assert_int_equal(c->position.gtid[0].seq, 6);
    assert_int_equal(rws_select_replica(&f->r, 0), 0);
    server_is_at(f, 1, "0-1-6");
    assert_int_equal(rws_select_replica(&f->r, 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_the_longest_question_fits),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_a_position_is_read),
        cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_tracking_statements),
        cmocka_unit_test_setup_teardown(test_none_costs_nothing, setup, teardown_causal),
        cmocka_unit_test_setup_teardown(test_fast_wants_servers_that_have_it, setup,
                                        teardown_causal),
        cmocka_unit_test_setup_teardown(test_global_takes_what_others_wrote, setup,
                                        teardown_causal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
