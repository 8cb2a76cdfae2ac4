/* SPDX-License-Identifier: Apache-2.0 */
/* The table of digests: sums whatever is thrown out, the hash table's invariants, no allocation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "core/digests.h"

static const char service_a[] = "A", service_b[] = "B";

static uint32_t count(struct sl_digests *d, uint64_t hash, const char *service, uint64_t now_us)
{
    char text[32];
    snprintf(text, sizeof text, "SELECT %llu", (unsigned long long)hash);
    uint32_t row = sl_digests_find(d, hash, service, sl_slice_text(text), now_us);
    struct sl_digest_sample sample = {.us = 10, .now_us = now_us, .rows = 1, .bytes = 100};
    sl_digests_add(d, row, hash, &sample);
    return row;
}

static uint64_t total(const struct sl_digests *d)
{
    uint64_t sum = d->others.n.count;
    for (uint32_t i = 0; i < d->count; i++) {
        sum += d->rows[i].n.count;
    }
    return sum;
}

static void test_rows(void **state)
{
    struct sl_digests *d = sl_digests_new(10);
    uint32_t a = count(d, 1, service_a, 100);
    assert_int_equal(count(d, 1, service_a, 200), a);
    assert_int_not_equal(count(d, 1, service_b, 300), a);
    struct sl_digest_sample slow = {.us = 5000, .now_us = 400, .is_error = true};
    sl_digests_add(d, a, 1, &slow);
    const struct sl_digest_numbers *n = &d->rows[a].n;
    assert_int_equal(n->count, 3);
    assert_int_equal(n->errors, 1);
    assert_int_equal(n->rows, 2);
    assert_int_equal(n->bytes, 200);
    assert_int_equal(n->total_us, 5020);
    assert_int_equal(n->max_us, 5000);
    assert_int_equal(n->first_us, 100);
    assert_int_equal(n->last_us, 400);
    assert_int_equal(d->rows[a].text_len, strlen("SELECT 1"));
    assert_int_equal(sl_digests_lookup(d, 1, service_a), a);
    assert_int_equal(sl_digests_lookup(d, 2, service_a), SL_DIGESTS_NONE);
    sl_digests_reset(d);
    assert_int_equal(sl_digests_lookup(d, 1, service_a), SL_DIGESTS_NONE);
    assert_int_equal(total(d), 0);
    sl_digests_free(d);
}

/* Full: the row that rested longest goes, the others stay, and nothing is lost from the sums. */
static void test_full(void **state)
{
    struct sl_digests *d = sl_digests_new(8);
    for (uint64_t h = 1; h <= 8; h++) {
        count(d, h, service_a, h == 3 ? 1 : 100 + h);
    }
    count(d, 9, service_a, 500);
    assert_int_equal(sl_digests_lookup(d, 3, service_a), SL_DIGESTS_NONE);
    for (uint64_t h = 1; h <= 9; h++) {
        assert_true(h == 3 || sl_digests_lookup(d, h, service_a) != SL_DIGESTS_NONE);
    }
    assert_int_equal(d->others.n.count, 1);
    assert_int_equal(d->thrown_out, 1);
    assert_int_equal(total(d), 9);
    /* a statement whose row went while it ran */
    struct sl_digest_sample sample = {.us = 1, .now_us = 600};
    sl_digests_add(d, sl_digests_lookup(d, 9, service_a), 3, &sample);
    assert_int_equal(d->others.n.count, 2);
    sl_digests_free(d);
}

/* Against a plain list, with many collisions and replacements. */
static void test_random(void **state)
{
    struct sl_digests *d = sl_digests_new(64);
    struct sl_rng rng;
    sl_rng_seed(&rng, 7);
    for (uint64_t i = 1; i <= 50000; i++) {
        count(d, sl_rng_next(&rng) % 200, sl_rng_next(&rng) % 2 ? service_a : service_b, i);
        if (i % 500 == 0) {
            for (uint32_t r = 0; r < d->count; r++) {
                assert_int_equal(sl_digests_lookup(d, d->rows[r].hash, d->rows[r].service), r);
            }
            assert_int_equal(total(d), i);
        }
    }
    assert_true(d->thrown_out > 0);
    uint64_t before = sl_mem_thread_allocations();
    for (uint64_t i = 0; i < 1000; i++) {
        count(d, sl_rng_next(&rng) % 200, service_a, 60000 + i);
    }
    assert_int_equal(sl_mem_thread_allocations(), before);
    sl_digests_free(d);
}

static void test_long_text(void **state)
{
    static char text[3000];
    memset(text, 'x', sizeof text);
    struct sl_digests *d = sl_digests_new(1);
    uint32_t row = sl_digests_find(d, 1, service_a, sl_slice(text, sizeof text), 0);
    assert_int_equal(d->rows[row].text_len, SL_DIGEST_TEXT_MAX);
    assert_true(d->rows[row].is_cut);
    row = sl_digests_find(d, 2, service_a, sl_slice(text, 10), 0);
    assert_int_equal(d->rows[row].text_len, 10);
    assert_false(d->rows[row].is_cut);
    sl_digests_free(d);
}

static void test_no_memory(void **state)
{
    for (uint64_t n = 1; n <= 3; n++) {
        sl_mem_fail_after(n);
        struct sl_digests *none = sl_digests_new(16);
        sl_mem_fail_after(0);
        assert_null(none);
    }
    struct sl_digests *d = sl_digests_new(16);
    sl_mem_fail_after(1);
    uint32_t row = count(d, 1, service_a, 1);
    sl_mem_fail_after(0);
    assert_int_equal(d->rows[row].text_len, 0);
    assert_int_equal(total(d), 1);
    sl_digests_free(d);
    sl_digests_free(NULL);
}

static void test_merge(void **state)
{
    struct sl_digest_numbers a = {.count = 2, .first_us = 50, .last_us = 60, .max_us = 9};
    struct sl_digest_numbers b = {.count = 1, .first_us = 10, .last_us = 20, .max_us = 30};
    struct sl_digest_numbers sum = {0}, none = {0};
    sl_digest_numbers_merge(&sum, &a);
    sl_digest_numbers_merge(&sum, &b);
    sl_digest_numbers_merge(&sum, &none);
    assert_int_equal(sum.count, 3);
    assert_int_equal(sum.first_us, 10);
    assert_int_equal(sum.last_us, 60);
    assert_int_equal(sum.max_us, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_full),
        cmocka_unit_test(test_random),    cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
