/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's heap: which blocks are kept, in which order, how many, and what a thread leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/tls_memory.h"

enum {
    READ_BUFFER = 16 * 1024 + 332, /* what OpenSSL 3.0 asks for */
    WRITE_BUFFER = 16 * 1024 + 416,
    KEPT = 4,
    MORE = KEPT + 2
};

static void test_the_last_block_comes_first(void **state)
{
    void *read = OPENSSL_malloc(READ_BUFFER);
    void *write = OPENSSL_malloc(WRITE_BUFFER);
    assert_non_null(read);
    assert_non_null(write);
    assert_ptr_not_equal(read, write);
    OPENSSL_free(read);
    OPENSSL_free(write);
    void *first = OPENSSL_malloc(READ_BUFFER); /* any block serves any of these sizes */
    void *second = OPENSSL_malloc(WRITE_BUFFER);
    assert_ptr_equal(first, write);
    assert_ptr_equal(second, read);
    memset(first, 1, 18 * 1024);
    memset(second, 2, 18 * 1024);
    OPENSSL_free(first);
    OPENSSL_free(second);
}

static void test_no_more_than_some_are_kept(void **state)
{
    void *blocks[MORE];
    for (int i = 0; i < MORE; i++) {
        blocks[i] = OPENSSL_malloc(READ_BUFFER);
        assert_non_null(blocks[i]);
    }
    for (int i = 0; i < MORE; i++) {
        OPENSSL_free(blocks[i]); /* the last two go to the heap: ASan would see a leak */
    }
    for (int i = KEPT - 1; i >= 0; i--) {
        assert_ptr_equal(OPENSSL_malloc(READ_BUFFER), blocks[i]);
    }
    for (int i = 0; i < KEPT; i++) {
        OPENSSL_free(blocks[i]);
    }
}

static void test_other_sizes_are_not_kept(void **state)
{
    static const size_t SIZES[] = {1, 100, 16 * 1024 - 1, 18 * 1024 + 1, 64 * 1024};
    void *block = OPENSSL_malloc(READ_BUFFER);
    OPENSSL_free(block);
    for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
        void *other = OPENSSL_malloc(SIZES[i]);
        assert_non_null(other);
        assert_ptr_not_equal(other, block);
        memset(other, 3, SIZES[i]);
        OPENSSL_free(other);
        OPENSSL_free(NULL);
    }
    void *again = OPENSSL_malloc(READ_BUFFER);
    assert_ptr_equal(again, block);
    OPENSSL_free(again);
}

static void test_a_block_may_grow(void **state)
{
    uint8_t *block = OPENSSL_malloc(READ_BUFFER);
    memset(block, 4, READ_BUFFER);
    block = OPENSSL_realloc(block, 100 * 1024);
    assert_non_null(block);
    assert_int_equal(block[READ_BUFFER - 1], 4);
    OPENSSL_free(block);
    block = OPENSSL_realloc(NULL, 20);
    assert_non_null(block);
    OPENSSL_free(block);
}

static void *use_and_end(void *lent_elsewhere)
{
    void *own = OPENSSL_malloc(READ_BUFFER);
    OPENSSL_free(lent_elsewhere);
    OPENSSL_free(own);
    return own; /* the end of the thread frees both: ASan would see a leak */
}

static void test_a_thread_leaves_nothing(void **state)
{
    pthread_t thread;
    void *block = OPENSSL_malloc(WRITE_BUFFER);
    void *own = NULL;
    assert_int_equal(pthread_create(&thread, NULL, use_and_end, block), 0);
    assert_int_equal(pthread_join(thread, &own), 0);
    assert_ptr_not_equal(own, block);
}

static bool too_late_is_refused; /* found out in main() */

/* In a process where OpenSSL has allocated already. */
static bool is_refused_when_late(void)
{
    pid_t child = fork();
    if (child == 0) {
        OPENSSL_free(OPENSSL_malloc(1));
        _exit(sl_tls_memory_install() ? 1 : 0);
    }
    int status = -1;
    return waitpid(child, &status, 0) == child && status == 0;
}

static void test_too_late(void **state)
{
    assert_true(too_late_is_refused);
}

int main(void)
{
    too_late_is_refused = is_refused_when_late();
    if (!sl_tls_memory_install()) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_block_comes_first),
        cmocka_unit_test(test_no_more_than_some_are_kept),
        cmocka_unit_test(test_other_sizes_are_not_kept),
        cmocka_unit_test(test_a_block_may_grow),
        cmocka_unit_test(test_a_thread_leaves_nothing),
        cmocka_unit_test(test_too_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
