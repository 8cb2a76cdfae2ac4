/* SPDX-License-Identifier: Apache-2.0 */
/* The last words of a failing process: message and backtrace on stderr, then SIGABRT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"

/* Runs `body` in a child with stderr in a pipe; returns the wait status, output in text. */
static int run_child(void (*body)(void), char *text, size_t size)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(pipe_fds[1], STDERR_FILENO);
        body();
        _exit(0);
    }
    close(pipe_fds[1]);
    size_t len = 0;
    ssize_t n;
    while (len < size - 1 && (n = read(pipe_fds[0], text + len, size - 1 - len)) > 0) {
        len += (size_t)n;
    }
    text[len] = '\0';
    close(pipe_fds[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void fail_with_context(void)
{
    /* cmocka catches SIGABRT in the parent's image of the process; here the default is wanted. */
    signal(SIGABRT, SIG_DFL);
    sl_log_session_set(42);
    sl_log_module_set("readwritesplit");
    volatile int two = 2;
    sl_assert(two == 3);
}

static void pass(void)
{
    volatile int two = 2;
    sl_assert(two == 2);
}

static void test_failure_reports_and_aborts(void **state)
{
    char text[16384];
    int status = run_child(fail_with_context, text, sizeof(text));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "alert  : (42) [readwritesplit]; panic: two == 3 in "));
    assert_non_null(strstr(text, "fail_with_context() at "));
    assert_non_null(strstr(text, "[0x")); /* at least one frame */
}

static void test_true_condition_is_silent(void **state)
{
    char text[256];
    int status = run_child(pass, text, sizeof(text));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_string_equal(text, "");
}

static void test_container_of(void **state)
{
    struct outer {
        int before;
        int inner;
    } o = {1, 2};
    int *inner = &o.inner;
    assert_ptr_equal(SL_CONTAINER_OF(inner, struct outer, inner), &o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failure_reports_and_aborts),
        cmocka_unit_test(test_true_condition_is_silent),
        cmocka_unit_test(test_container_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
