/* SPDX-License-Identifier: Apache-2.0 */
/* The object pool: reuse, zeroing, the bound on kept objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
#include "base/pool.h"

static void test_reuses_and_zeroes(void **state)
{
    struct sl_pool p;
    sl_pool_init(&p, 64, 4);
    char *a = sl_pool_get(&p);
    assert_non_null(a);
    memset(a, 0xff, 64);
    sl_pool_put(&p, a);
    uint64_t before = sl_mem_thread_allocations();
    char *b = sl_pool_get(&p);
    assert_ptr_equal(a, b);
    assert_int_equal(sl_mem_thread_allocations(), before);
    const char zeros[64] = {0};
    assert_memory_equal(b, zeros, 64);
    sl_pool_put(&p, b);
    sl_pool_clear(&p);
}

static void test_keeps_no_more_than_asked(void **state)
{
    struct sl_pool p;
    sl_pool_init(&p, 16, 2);
    void *objects[5];
    for (int i = 0; i < 5; i++) {
        objects[i] = sl_pool_get_dirty(&p);
        assert_non_null(objects[i]);
    }
    assert_int_equal(p.used_count, 5);
    for (int i = 0; i < 5; i++) {
        sl_pool_put(&p, objects[i]);
    }
    assert_int_equal(p.used_count, 0);
    assert_int_equal(p.free_count, 2);
    sl_pool_put(&p, NULL);
    sl_pool_clear(&p);
    assert_int_equal(p.free_count, 0);
}

static void test_small_objects(void **state)
{
    struct sl_pool p;
    sl_pool_init(&p, 1, 8);
    char *a = sl_pool_get(&p);
    char *b = sl_pool_get(&p);
    assert_non_null(a);
    assert_non_null(b);
    sl_pool_put(&p, a);
    sl_pool_put(&p, b);
    assert_ptr_equal(sl_pool_get(&p), b);
    assert_ptr_equal(sl_pool_get(&p), a);
    sl_pool_put(&p, a);
    sl_pool_put(&p, b);
    sl_pool_clear(&p);
}

static void test_out_of_memory(void **state)
{
    struct sl_pool p;
    sl_pool_init(&p, 16, 1);
    sl_mem_fail_after(1);
    assert_null(sl_pool_get(&p));
    assert_int_equal(p.used_count, 0);
    sl_pool_put(&p, sl_pool_get(&p));
    sl_pool_clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reuses_and_zeroes),
        cmocka_unit_test(test_keeps_no_more_than_asked),
        cmocka_unit_test(test_small_objects),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
