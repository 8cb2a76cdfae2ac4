/* SPDX-License-Identifier: Apache-2.0 */
/* Conditional requests: tags, dates, two writers. */
#include "admin/stamps.h"
#include "admin_test.h"

static struct sl_stamps stamps;

static int setup(void **state)
{
    sl_stamps_init(&stamps, 1700000000);
    return 0;
}

static int teardown(void **state)
{
    sl_stamps_clear(&stamps);
    return 0;
}

static const char *sent(const struct sl_admin_response *rs, const char *name)
{
    for (unsigned i = 0; i < rs->header_count; i++) {
        if (strcmp(rs->headers[i].name, name) == 0) {
            return rs->headers[i].value;
        }
    }
    return NULL;
}

/* Reads `path` with one header; the tag of the answer into `tag`. */
static bool read_known(const char *path, const char *name, const char *value, char *tag)
{
    const char *headers[] = {name, value, NULL};
    struct sl_admin_request rq = {.header = test_header, .header_arg = headers};
    struct sl_admin_response rs = {0};
    sl_admin_request_set_path(&rq, path);
    rq.stamp = sl_stamps_look(&stamps, rq.path);
    bool known = sl_stamps_is_known(&rq, &rs, "body", 4);
    if (tag != NULL) {
        strcpy(tag, sent(&rs, "ETag"));
    }
    sl_admin_response_clear(&rs);
    return known;
}

static bool may_write(const char *path, const char *name, const char *value)
{
    const char *headers[] = {name, value, NULL};
    struct sl_admin_request rq = {.header = test_header, .header_arg = headers};
    struct sl_admin_response rs = {0};
    sl_admin_request_set_path(&rq, path);
    bool allowed = sl_stamps_allow_write(&stamps, &rq, true, &rs);
    assert_int_equal(rs.status, allowed ? 0 : 412);
    sl_admin_response_clear(&rs);
    return allowed;
}

static void test_none_match(void **state)
{
    char tag[64], list[128];
    assert_false(read_known("servers", NULL, NULL, tag));
    assert_true(read_known("servers", "If-None-Match", tag, NULL));
    assert_true(read_known("servers", "If-None-Match", "*", NULL));
    snprintf(list, sizeof list, "\"x\", W/%s", tag);
    assert_true(read_known("servers", "If-None-Match", list, NULL));
    assert_false(read_known("servers", "If-None-Match", "\"1-0\"", NULL));
    assert_false(read_known("servers", "If-None-Match", "\"1-", NULL));
    sl_stamps_touch(&stamps, "servers/db1/set", 1700000100);
    assert_false(read_known("servers", "If-None-Match", tag, NULL));
}

static void test_two_writers(void **state)
{
    char tag[64];
    read_known("servers/db1", NULL, NULL, tag);
    assert_true(may_write("servers/db1/set", "If-Match", tag));
    sl_stamps_touch(&stamps, "servers/db1/set", 1700000100);
    assert_false(may_write("servers/db1/set", "If-Match", tag));
    assert_true(may_write("servers/db1/set", "If-Match", "*"));
    assert_true(may_write("servers/db1/set", NULL, NULL));
}

static void test_dates(void **state)
{
    static const char start[] = "Tue, 14 Nov 2023 22:13:20 GMT";
    assert_true(read_known("servers/db1", "If-Modified-Since", start, NULL));
    assert_false(read_known("servers/db1", "If-Modified-Since", "yesterday", NULL));
    assert_true(may_write("servers/db1", "If-Unmodified-Since", start));
    sl_stamps_touch(&stamps, "servers/db1/set", 1700000100);
    assert_false(read_known("servers/db1", "If-Modified-Since", start, NULL));
    assert_false(read_known("servers", "If-Modified-Since", start, NULL));
    assert_true(read_known("servers/db2", "If-Modified-Since", start, NULL));
    assert_true(read_known("services", "If-Modified-Since", start, NULL));
    assert_false(may_write("servers/db1", "If-Unmodified-Since", start));
    assert_int_equal(sl_stamps_look(&stamps, "servers/db1").modified_s, 1700000100);
}

/* Both have read the same state, and both are checked before the first one has written. */
static void test_two_writers_at_once(void **state)
{
    char tag[64];
    read_known("servers/db1", NULL, NULL, tag);
    assert_true(may_write("servers/db1/set", "If-Match", tag));
    assert_false(may_write("servers/db1/clear", "If-Match", tag));
}

/* An answer that was made before a write must not carry the tag of the state after it. */
static void test_read_crossed_by_a_write(void **state)
{
    struct sl_admin_request rq = {.stamp = sl_stamps_look(&stamps, "servers")};
    struct sl_admin_response rs = {0};
    sl_stamps_touch(&stamps, "servers/db1/set", 1700000100);
    assert_false(sl_stamps_is_known(&rq, &rs, "body", 4));
    assert_string_equal(sent(&rs, "Last-Modified"), "Tue, 14 Nov 2023 22:13:20 GMT");
    assert_false(may_write("servers/db1/set", "If-Match", sent(&rs, "ETag")));
    sl_admin_response_clear(&rs);
}

static void test_bounded(void **state)
{
    char path[32];
    for (unsigned i = 0; i < SL_STAMPS_MAX + 100; i++) {
        snprintf(path, sizeof path, "a/%u", i);
        sl_stamps_touch(&stamps, path, 1700000100);
    }
    assert_int_equal(stamps.times.count, SL_STAMPS_MAX);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_none_match), TEST(test_two_writers),         TEST(test_dates),
        TEST(test_bounded),    TEST(test_two_writers_at_once), TEST(test_read_crossed_by_a_write)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
