/* SPDX-License-Identifier: Apache-2.0 */
/* The heap front: counter, failure hook, odd sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "base/mem.h"

static void test_counts_what_allocates(void **state)
{
    uint64_t start = sl_mem_thread_allocations();
    void *p = sl_malloc(10);
    void *q = sl_calloc(2, 10);
    char *s = sl_strdup("x");
    assert_int_equal(sl_mem_thread_allocations() - start, 3);
    p = sl_realloc(p, 5); /* shrinks */
    assert_int_equal(sl_mem_thread_allocations() - start, 3);
    p = sl_realloc(p, 5000);
    assert_int_equal(sl_mem_thread_allocations() - start, 4);
    sl_free(p);
    sl_free(q);
    sl_free(s);
    sl_free(NULL);
    assert_int_equal(sl_mem_thread_allocations() - start, 4);
}

static void test_fails_the_nth(void **state)
{
    sl_mem_fail_after(2);
    void *p = sl_malloc(1);
    assert_non_null(p);
    assert_null(sl_malloc(1));
    void *q = sl_malloc(1); /* once only */
    assert_non_null(q);
    sl_mem_fail_after(1);
    assert_null(sl_strdup("x"));
    sl_mem_fail_after(1);
    assert_null(sl_calloc(1, 1));
    sl_mem_fail_after(1);
    assert_null(sl_realloc(p, 100000)); /* p stays valid */
    sl_mem_fail_after(1);
    sl_mem_fail_after(0);
    void *r = sl_malloc(1);
    assert_non_null(r);
    sl_free(p);
    sl_free(q);
    sl_free(r);
}

static void test_odd_sizes(void **state)
{
    void *p = sl_malloc(0);
    void *q = sl_malloc(0);
    void *r = sl_calloc(0, 8);
    assert_non_null(p);
    assert_non_null(q);
    assert_non_null(r);
    assert_ptr_not_equal(p, q);
    volatile size_t huge = SIZE_MAX / 2;
    assert_null(sl_calloc(huge, 4)); /* the product overflows */
    p = sl_realloc(p, 0);
    assert_non_null(p);
    sl_free(p);
    sl_free(q);
    sl_free(r);
}

static void test_strings(void **state)
{
    assert_null(sl_strdup(NULL));
    assert_null(sl_strndup(NULL, 3));
    char *s = sl_strndup("abcdef", 3);
    assert_string_equal(s, "abc");
    sl_free(s);
    s = sl_strndup("ab", 30);
    assert_string_equal(s, "ab");
    sl_free(s);
    s = sl_xasprintf("%s-%05d", "x", 42);
    assert_string_equal(s, "x-00042");
    sl_free(s);
    s = sl_xstrdup("copy");
    assert_string_equal(s, "copy");
    sl_free(s);
    assert_null(sl_xstrdup(NULL));
    int *zeroed = sl_xcalloc(4, sizeof(int));
    assert_int_equal(zeroed[3], 0);
    sl_free(zeroed);
}

static void test_wipe(void **state)
{
    char secret[] = "secret";
    sl_wipe(secret, sizeof(secret));
    const char zeros[sizeof(secret)] = {0};
    assert_memory_equal(secret, zeros, sizeof(secret));
    sl_wipe(NULL, 0);
}

static void *allocate_elsewhere(void *arg)
{
    uint64_t *ret_count = arg;
    sl_free(sl_malloc(1));
    *ret_count = sl_mem_thread_allocations();
    return NULL;
}

static void test_threads_are_apart(void **state)
{
    uint64_t start = sl_mem_thread_allocations();
    uint64_t other = 0;
    pthread_t thread;
    sl_mem_fail_after(1); /* ours, not theirs */
    assert_int_equal(pthread_create(&thread, NULL, allocate_elsewhere, &other), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    sl_mem_fail_after(0);
    assert_int_equal(other, 1);
    assert_int_equal(sl_mem_thread_allocations(), start);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_what_allocates),
        cmocka_unit_test(test_fails_the_nth),
        cmocka_unit_test(test_odd_sizes),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_wipe),
        cmocka_unit_test(test_threads_are_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
