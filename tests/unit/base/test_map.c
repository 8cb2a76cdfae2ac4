/* SPDX-License-Identifier: Apache-2.0 */
/* The hash map against a plain model; tombstones; every allocation failing once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"

enum {
    MODEL_SIZE = 512,
};

static struct sl_slice key_of(size_t i, char text[24])
{
    snprintf(text, 24, "key-%zu", i);
    return sl_slice_text(text);
}

static void test_put_get_remove(void **state)
{
    struct sl_map m = SL_MAP_INIT;
    int values[2];
    void *old = values;
    assert_null(sl_map_get(&m, sl_slice_text("a")));
    assert_null(sl_map_remove(&m, sl_slice_text("a")));
    assert_int_equal(sl_map_put(&m, sl_slice_text("a"), &values[0], &old), SL_OK);
    assert_null(old);
    assert_int_equal(sl_map_put(&m, sl_slice_text("a"), &values[1], &old), SL_OK);
    assert_ptr_equal(old, &values[0]);
    assert_int_equal(m.count, 1);
    assert_ptr_equal(sl_map_get(&m, sl_slice_text("a")), &values[1]);
    assert_null(sl_map_get(&m, sl_slice_text("A")));
    assert_ptr_equal(sl_map_remove(&m, sl_slice_text("a")), &values[1]);
    assert_int_equal(m.count, 0);
    sl_map_clear(&m);
}

static void test_keys_are_bytes(void **state)
{
    struct sl_map m = SL_MAP_INIT;
    int values[3];
    assert_int_equal(sl_map_put(&m, sl_slice("", 0), &values[0], NULL), SL_OK);
    assert_int_equal(sl_map_put(&m, sl_slice("\0", 1), &values[1], NULL), SL_OK);
    assert_int_equal(sl_map_put(&m, sl_slice("\0a", 2), &values[2], NULL), SL_OK);
    assert_ptr_equal(sl_map_get(&m, sl_slice(NULL, 0)), &values[0]);
    assert_ptr_equal(sl_map_get(&m, sl_slice("\0", 1)), &values[1]);
    assert_ptr_equal(sl_map_get(&m, sl_slice("\0a", 2)), &values[2]);
    sl_map_clear(&m);
}

static void test_key_is_copied(void **state)
{
    struct sl_map m = SL_MAP_INIT;
    int value;
    char key[] = "volatile";
    assert_int_equal(sl_map_put(&m, sl_slice_text(key), &value, NULL), SL_OK);
    key[0] = 'V';
    assert_ptr_equal(sl_map_get(&m, sl_slice_text("volatile")), &value);
    sl_map_clear(&m);
}

static void check_against_model(const struct sl_map *m, void *const model[MODEL_SIZE])
{
    size_t present = 0;
    for (size_t i = 0; i < MODEL_SIZE; i++) {
        char text[24];
        assert_ptr_equal(sl_map_get(m, key_of(i, text)), model[i]);
        present += model[i] != NULL;
    }
    assert_int_equal(m->count, present);
    assert_true((m->count + m->deleted) * 4 <= m->capacity * 3);
}

static void test_like_a_model(void **state)
{
    static int values[MODEL_SIZE];
    void *model[MODEL_SIZE] = {NULL};
    struct sl_map m = SL_MAP_INIT;
    struct sl_rng rng;
    sl_rng_seed(&rng, 3);
    for (int step = 0; step < 20000; step++) {
        uint64_t r = sl_rng_next(&rng);
        size_t i = r % MODEL_SIZE;
        char text[24];
        if (r >> 32 & 1) {
            void *old;
            assert_int_equal(sl_map_put(&m, key_of(i, text), &values[i], &old), SL_OK);
            assert_ptr_equal(old, model[i]);
            model[i] = &values[i];
        } else {
            assert_ptr_equal(sl_map_remove(&m, key_of(i, text)), model[i]);
            model[i] = NULL;
        }
        if (step % 1000 == 0) {
            check_against_model(&m, model);
        }
    }
    check_against_model(&m, model);
    sl_map_clear(&m);
}

/* One key in, one out, for ever: tombstones must not make the table grow. */
static void test_churn_does_not_grow(void **state)
{
    struct sl_map m = SL_MAP_INIT;
    int value;
    for (size_t i = 0; i < 10000; i++) {
        char text[24];
        assert_int_equal(sl_map_put(&m, key_of(i, text), &value, NULL), SL_OK);
        assert_ptr_equal(sl_map_remove(&m, key_of(i, text)), &value);
    }
    assert_true(m.capacity <= 16);
    sl_map_clear(&m);
}

static void test_iteration_sees_each_once(void **state)
{
    struct sl_map m = SL_MAP_INIT;
    int seen[100] = {0};
    for (size_t i = 0; i < 100; i++) {
        char text[24];
        assert_int_equal(sl_map_put(&m, key_of(i, text), &seen[i], NULL), SL_OK);
    }
    size_t pos = 0;
    struct sl_slice key;
    void *value;
    while (sl_map_next(&m, &pos, &key, &value)) {
        char text[24];
        size_t i = (size_t)((int *)value - seen);
        assert_true(sl_slice_equal(key, key_of(i, text)));
        seen[i]++;
    }
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(seen[i], 1);
    }
    assert_false(sl_map_next(&m, &pos, NULL, NULL));
    sl_map_clear(&m);
    pos = 0;
    assert_false(sl_map_next(&m, &pos, NULL, NULL));
}

/* Puts twenty keys; 0 or the first failure. */
static int fill(struct sl_map *m, int *value)
{
    for (size_t i = 0; i < 20; i++) {
        char text[24];
        int rc = sl_map_put(m, key_of(i, text), value, NULL);
        if (rc != SL_OK) {
            return rc;
        }
    }
    return SL_OK;
}

static void test_each_allocation_may_fail(void **state)
{
    struct sl_map m = SL_MAP_INIT;
    int value;
    uint64_t before = sl_mem_thread_allocations();
    assert_int_equal(fill(&m, &value), SL_OK);
    uint64_t total = sl_mem_thread_allocations() - before;
    assert_true(total > 20);
    sl_map_clear(&m);
    for (uint64_t n = 1; n <= total; n++) {
        sl_mem_fail_after(n);
        assert_int_equal(fill(&m, &value), SL_ENOMEM);
        sl_mem_fail_after(0);
        size_t kept = m.count;
        for (size_t i = 0; i < 20; i++) {
            char text[24];
            assert_ptr_equal(sl_map_get(&m, key_of(i, text)), i < kept ? &value : NULL);
        }
        assert_int_equal(fill(&m, &value), SL_OK); /* usable afterwards */
        assert_int_equal(m.count, 20);
        sl_map_clear(&m);
    }
}

static void test_hash_is_stable(void **state)
{
    /* XXH3_64bits of the empty input, from the test vectors of the xxHash specification. */
    assert_true(sl_hash("", 0) == 0x2d06800538d394c2u);
    assert_true(sl_hash("a", 1) != sl_hash("b", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_get_remove),
        cmocka_unit_test(test_keys_are_bytes),
        cmocka_unit_test(test_key_is_copied),
        cmocka_unit_test(test_like_a_model),
        cmocka_unit_test(test_churn_does_not_grow),
        cmocka_unit_test(test_iteration_sees_each_once),
        cmocka_unit_test(test_each_allocation_may_fail),
        cmocka_unit_test(test_hash_is_stable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
