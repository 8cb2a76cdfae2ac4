/* SPDX-License-Identifier: Apache-2.0 */
/* One group of the log by its GTID: the time of its first event behind the GTID event. */
#include "store_fixture.h"

static struct fixture f;

static int setup(void **state)
{
    fixture_init(&f);
    return 0;
}

static int teardown(void **state)
{
    fixture_end(&f);
    return 0;
}

/* Of what a group is: its GTID event and the one behind are of different times. */
static void add(uint32_t domain, uint32_t server_id, uint64_t seq, uint32_t len)
{
    struct sl_gtid g = {domain, server_id, seq};
    f.timestamp = 1800000000;
    assert_int_equal(fixture_gtid(&f, g, SL_GTID_TRANSACTIONAL), SL_OK);
    f.timestamp = 1700000000 + (uint32_t)seq + 1000 * server_id;
    assert_int_equal(fixture_rows(&f, g, len), SL_OK);
    f.timestamp = 1800000000;
    assert_int_equal(fixture_xid(&f, g), SL_OK);
}

static int find(uint32_t domain, uint32_t server_id, uint64_t seq, uint32_t *ret)
{
    *ret = 0;
    return sl_store_group_time(f.store, (struct sl_gtid){domain, server_id, seq}, ret);
}

static void expect(uint32_t domain, uint32_t server_id, uint64_t seq)
{
    uint32_t time;
    assert_int_equal(find(domain, server_id, seq, &time), SL_OK);
    assert_int_equal(time, 1700000000 + seq + 1000 * server_id);
}

static void expect_none(uint32_t domain, uint32_t server_id, uint64_t seq)
{
    uint32_t time;
    assert_int_equal(find(domain, server_id, seq, &time), SL_ENOENT);
}

static void fill(void)
{
    fixture_open(&f);
    expect_none(0, 7, 1);
    fixture_begin(&f, true);
    for (uint64_t seq = 1; seq <= 3000; seq++) {
        add(0, 7, seq, 200);
        if (seq % 3 == 0) {
            add(5, 9, seq / 3, 50);
        }
        if (seq == 1000 || seq == 2000) {
            fixture_commit(&f);
            fixture_fde(&f, 1700000000, 1700000000 + (uint32_t)seq, true);
            fixture_begin(&f, false);
        }
    }
    fixture_commit(&f);
    assert_int_equal(fixture_file_count(&f), 3);
}

static void expect_all(void)
{
    static const uint64_t numbers[] = {1, 2, 555, 999, 1000, 1001, 1002, 2000, 2001, 2999, 3000};
    for (size_t i = 0; i < SL_ARRAY_LEN(numbers); i++) {
        expect(0, 7, numbers[i]);
        if (numbers[i] <= 1000) {
            expect(5, 9, numbers[i]);
        }
    }
}

static void test_found(void **state)
{
    fill();
    expect_all();
    expect_none(0, 7, 3001);
    expect_none(0, 8, 5); /* another server's */
    expect_none(1, 7, 5);
    add(0, 7, 3001, 10); /* not published */
    expect_none(0, 7, 3001);
    fixture_commit(&f);
    expect(0, 7, 3001);
}

static void test_encrypted(void **state)
{
    struct sl_store_key key = {.version = 1, .len = 32};
    f.config.keys = &key;
    f.config.key_count = 1;
    f.config.cipher = SL_CIPHER_AES_GCM;
    fill();
    expect_all();
}

/* Two servers write one domain, by turns. */
static void test_two_servers(void **state)
{
    fixture_open(&f);
    fixture_begin(&f, true);
    for (uint64_t seq = 1; seq <= 2000; seq++) {
        add(0, 1 + (uint32_t)(seq / 500), seq, 100);
    }
    fixture_commit(&f);
    for (uint64_t seq = 1; seq <= 2000; seq += 250) {
        expect(0, 1 + (uint32_t)(seq / 500), seq);
    }
    expect_none(0, 1, 750);
}

static void test_large(void **state)
{
    fixture_open(&f);
    fixture_begin(&f, true);
    add(0, 7, 1, 1000000);
    add(0, 7, 2, 700000);
    add(0, 7, 3, 10);
    fixture_commit(&f);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        expect(0, 7, seq);
    }
}

/* What lies behind more log than is read, without an index, is not found. */
static void test_too_far(void **state)
{
    char index[160];
    fixture_open(&f);
    fixture_begin(&f, true);
    add(0, 7, 1, 100);
    add(0, 7, 2, 17 * 1024 * 1024);
    add(0, 7, 3, 100);
    fixture_commit(&f);
    expect(0, 7, 2);
    expect(0, 7, 3);
    snprintf(index, sizeof(index), "%s/pbin.000001.gtidx", f.datadir);
    assert_int_equal(unlink(index), 0);
    expect(0, 7, 2);
    expect_none(0, 7, 3);
}

static void test_purged(void **state)
{
    fill();
    assert_int_equal(sl_store_purge_to(f.store, "pbin.000002", NULL), SL_OK);
    expect_none(0, 7, 1000);
    expect(0, 7, 1001);
}

/* Memory that is out, and a file that is gone, are errors and nothing else. */
static void test_failures(void **state)
{
    uint32_t time;
    fill();
    int rc = SL_ENOMEM;
    for (unsigned i = 1; rc != SL_OK; i++) {
        assert_true(i < 100);
        sl_mem_fail_after(i);
        rc = find(0, 7, 500, &time);
        sl_mem_fail_after(0);
        assert_true(rc == SL_OK || rc == SL_ENOMEM);
    }
    assert_int_equal(time, 1700000500 + 7000);
    fixture_close(&f);
    char path[160];
    fixture_open(&f);
    snprintf(path, sizeof(path), "%s/pbin.000001", f.datadir);
    assert_int_equal(unlink(path), 0);
    assert_true(find(0, 7, 500, &time) < 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_found),   TEST(test_encrypted), TEST(test_two_servers), TEST(test_large),
        TEST(test_too_far), TEST(test_purged),    TEST(test_failures),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
