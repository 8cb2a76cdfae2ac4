/* SPDX-License-Identifier: Apache-2.0 */
/* The loader thread, fed from a file: first load, reloads, throttle, waiters, failures, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/clock.h"
#include "core/accounts_internal.h"

#define WAIT_MS 60000

static char path[64];

static void write_file(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
    snprintf(path, sizeof(path), "/tmp/sealane-accounts-%d.json", (int)getpid());
    write_file("{\"user\":[{\"user\":\"a\",\"host\":\"%\"}]}");
    return 0;
}

static int teardown(void **state)
{
    return unlink(path);
}

static struct sl_account_manager *start(int64_t refresh_time_ms)
{
    struct sl_account_manager *m = NULL;
    struct sl_err err = SL_ERR_INIT;
    struct sl_account_manager_config config = {.service = "test",
                                               .user = "u",
                                               .password = "p",
                                               .timeout_ms = 1000,
                                               .refresh_time_ms = refresh_time_ms,
                                               .accounts_file = path,
                                               .file_only = true};
    assert_int_equal(sl_account_manager_new(&config, &m, &err), 0);
    return m;
}

static unsigned wait_for_first(struct sl_account_manager *m)
{
    uint64_t deadline = sl_clock_mono_ms() + WAIT_MS;
    struct sl_accounts *a;
    while ((a = sl_account_manager_get(m)) == NULL && sl_clock_mono_ms() < deadline) {
        usleep(1000);
    }
    assert_non_null(a);
    unsigned count = sl_accounts_count(a);
    sl_accounts_unref(a);
    return count;
}

static _Atomic unsigned calls;

static void on_done(void *arg)
{
    atomic_fetch_add(&calls, 1);
}

static void wait_calls(unsigned n)
{
    uint64_t deadline = sl_clock_mono_ms() + WAIT_MS;
    while (atomic_load(&calls) < n && sl_clock_mono_ms() < deadline) {
        usleep(1000);
    }
    assert_int_equal(atomic_load(&calls), n);
}

static void test_reload_and_throttle(void **state)
{
    struct sl_account_manager *m = start(60000);
    assert_int_equal(wait_for_first(m), 1);
    assert_true(sl_account_manager_last_load_s(m) > 0);
    write_file("{\"user\":[{\"user\":\"a\",\"host\":\"%\"},{\"user\":\"b\",\"host\":\"%\"}]}");
    atomic_store(&calls, 0);
    for (unsigned i = 1; i <= 4; i++) { /* five loads with the first: not throttled before */
        assert_true(sl_account_manager_reload(m, false, on_done, NULL));
        wait_calls(i);
    }
    assert_int_equal(wait_for_first(m), 2);
    assert_false(sl_account_manager_reload(m, false, on_done, NULL));
    assert_true(sl_account_manager_reload(m, true, on_done, NULL));
    wait_calls(5);
    sl_account_manager_free(m);
    assert_int_equal(atomic_load(&calls), 5);
}

static void test_failure_keeps_the_old(void **state)
{
    struct sl_account_manager *m = start(0);
    atomic_store(&calls, 0);
    wait_for_first(m);
    struct sl_accounts *old = sl_account_manager_get(m);
    write_file("garbage");
    assert_true(sl_account_manager_reload(m, false, on_done, NULL));
    wait_calls(1);
    struct sl_accounts *now = sl_account_manager_get(m);
    assert_ptr_equal(old, now);
    sl_accounts_unref(now);
    sl_account_manager_free(m);
    assert_true(sl_accounts_count(old) >= 1); /* outlives the manager */
    sl_accounts_unref(old);
}

static void test_never_reload(void **state)
{
    write_file("{}");
    struct sl_account_manager *m = start(-1);
    assert_int_equal(wait_for_first(m), 0);
    assert_false(sl_account_manager_reload(m, false, on_done, NULL));
    atomic_store(&calls, 0);
    assert_true(sl_account_manager_reload(m, true, on_done, NULL));
    wait_calls(1);
    sl_account_manager_free(m);
    sl_account_manager_free(NULL);
}

/* Every accepted waiter is called exactly once, whatever ends first. */
static void test_waiters_at_the_end(void **state)
{
    struct sl_account_manager *m = start(0);
    unsigned accepted = 0;
    atomic_store(&calls, 0);
    for (int i = 0; i < 20000; i++) {
        accepted += sl_account_manager_reload(m, false, on_done, NULL) ? 1 : 0;
    }
    sl_account_manager_free(m);
    assert_true(accepted > 0);
    assert_int_equal(atomic_load(&calls), accepted);
}

static void test_no_server(void **state)
{
    struct sl_account_manager *m = NULL;
    struct sl_err err = SL_ERR_INIT;
    struct sl_account_manager_config config = {
        .service = "test", .user = "u", .password = "p", .timeout_ms = 1000};
    assert_int_equal(sl_account_manager_new(&config, &m, &err), 0);
    atomic_store(&calls, 0);
    assert_true(sl_account_manager_reload(m, false, on_done, NULL));
    wait_calls(1);
    assert_null(sl_account_manager_get(m));
    assert_int_equal(sl_account_manager_last_load_s(m), 0);
    sl_account_manager_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reload_and_throttle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failure_keeps_the_old, setup, teardown),
        cmocka_unit_test_setup_teardown(test_never_reload, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waiters_at_the_end, setup, teardown),
        cmocka_unit_test(test_no_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
