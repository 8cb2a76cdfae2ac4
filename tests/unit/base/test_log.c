/* SPDX-License-Identifier: Apache-2.0 */
/* The log: layout of a line, context, levels, files and their rotation, many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    THREADS = 8,
    LINES_EACH = 2000,
};

static char dir[64];
static char path[128];

static int setup(void **state)
{
    snprintf(dir, sizeof(dir), "/tmp/sealane-test-log-XXXXXX");
    if (!mkdtemp(dir)) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/log", dir);
    return 0;
}

static int teardown(void **state)
{
    sl_log_close();
    sl_log_session_set(0);
    sl_log_module_set(NULL);
    sl_log_scope_set(NULL);
    char old[160];
    snprintf(old, sizeof(old), "%s.1", path);
    unlink(path);
    unlink(old);
    return rmdir(dir);
}

static struct sl_log_config config(void)
{
    return (struct sl_log_config){
        .path = path,
        .to_file = true,
        .level_mask = 1u << SL_LOG_WARNING | 1u << SL_LOG_NOTICE,
    };
}

static void open_log(struct sl_log_config c)
{
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_log_open(&c, &err), SL_OK);
}

/* The whole file, terminated; the caller frees. */
static char *content_of(const char *name)
{
    int fd = open(name, O_RDONLY);
    assert_true(fd >= 0);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    char *text = sl_xcalloc(1, (size_t)st.st_size + 1);
    assert_int_equal(read(fd, text, (size_t)st.st_size), st.st_size);
    close(fd);
    return text;
}

static void assert_matches(const char *text, const char *pattern)
{
    regex_t re;
    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&re, text, 0, NULL, 0) != 0) {
        fail_msg("'%s' does not match '%s'", text, pattern);
    }
    regfree(&re);
}

static void assert_log(const char *pattern)
{
    char *text = content_of(path);
    assert_matches(text, pattern);
    sl_free(text);
}

#define STAMP "[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}"

static void test_plain_line(void **state)
{
    open_log(config());
    sl_log_notice("answer is %d", 42);
    assert_log("^" STAMP "   notice : answer is 42\n$");
}

static void test_context(void **state)
{
    static const struct {
        uint64_t session;
        const char *module;
        const char *scope;
        const char *expected;
    } rows[] = {
        {17, "galeramon", "Galera-Monitor", "(17) [galeramon] (Galera-Monitor); m\n"},
        {17, NULL, NULL, "(17); m\n"},
        {0, "galeramon", NULL, "[galeramon]; m\n"},
        {0, NULL, "server1", "(server1); m\n"},
        {UINT64_MAX, NULL, "s", "(18446744073709551615) (s); m\n"},
    };
    open_log(config());
    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        sl_log_session_set(rows[i].session);
        sl_log_module_set(rows[i].module);
        sl_log_scope_set(rows[i].scope);
        sl_log_warning("m");
        char *text = content_of(path);
        assert_non_null(strstr(text, rows[i].expected));
        sl_free(text);
    }
}

static void test_context_is_given_back(void **state)
{
    assert_null(sl_log_module_set("a"));
    assert_string_equal(sl_log_module_set("b"), "a");
    assert_null(sl_log_scope_set("x"));
    assert_string_equal(sl_log_scope_set(NULL), "x");
}

static void test_one_message_is_one_line(void **state)
{
    open_log(config());
    sl_log_notice("a\nb\r\n\tc\x1b[31m\n\n");
    assert_log("notice : a b   c \\[31m\n$");
}

static void test_long_message_is_cut(void **state)
{
    char *big = sl_xcalloc(1, 20001);
    memset(big, 'x', 20000);
    open_log(config());
    sl_log_notice("%s", big);
    char *text = content_of(path);
    assert_int_equal(strlen(text), 8192);
    assert_string_equal(text + 8192 - 5, "x...\n");
    sl_free(text);
    sl_free(big);
}

static void test_options(void **state)
{
    struct sl_log_config c = config();
    c.ms_timestamp = true;
    c.with_function = true;
    open_log(c);
    sl_log_notice("m");
    assert_log("^" STAMP "\\.[0-9]{3}   notice : \\(test_options\\): m\n$");
}

static int times_evaluated;

static int evaluate(void)
{
    return ++times_evaluated;
}

static void test_levels(void **state)
{
    struct sl_log_config c = config();
    c.level_mask = 0;
    open_log(c);
    sl_log_alert("1");
    sl_log_error("2");
    sl_log_warning("3");
    sl_log_notice("4");
    sl_log_info("5%d", evaluate());
    sl_log_debug("6%d", evaluate());
    assert_int_equal(times_evaluated, 0);
    assert_log("^" STAMP "   alert  : 1\n" STAMP "   error  : 2\n$");
    sl_log_set_level_mask(1u << SL_LOG_INFO);
    sl_log_info("5%d", evaluate());
    assert_true(sl_log_is_on(SL_LOG_INFO));
    assert_false(sl_log_is_on(SL_LOG_NOTICE));
    assert_log("info   : 51\n$");
}

static void test_errno_survives(void **state)
{
    open_log(config());
    errno = EBADF;
    sl_log_notice("m");
    assert_int_equal(errno, EBADF);
}

static void test_throttling(void **state)
{
    struct sl_log_config c = config();
    c.throttle_count = 2;
    c.throttle_window_ms = 60000;
    c.throttle_suppress_ms = 60000;
    open_log(c);
    for (int i = 0; i < 10; i++) {
        sl_log_warning("number %d", i);
        sl_log_notice("notice");
    }
    sl_log_scope_set("other");
    sl_log_warning("number %d", 77);
    sl_log_error("%s", "one text");
    sl_log_error("%s", "another text");
    char *text = content_of(path);
    assert_matches(text, "number 0\n");
    assert_matches(text, "number 1 \\(similar messages are suppressed for 60000 ms\\)\n");
    assert_null(strstr(text, "number 2"));
    assert_matches(text, "\\(other\\); number 77\n");
    assert_matches(text, "one text\n.*another text\n");
    assert_matches(text, "(notice : notice\n.*){10}");
    sl_free(text);
}

static void test_reopen_after_rotation(void **state)
{
    char old[160];
    snprintf(old, sizeof(old), "%s.1", path);
    open_log(config());
    int fd = sl_log_descriptor();
    sl_log_notice("before");
    assert_int_equal(rename(path, old), 0);
    sl_log_notice("still the old file");
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_log_reopen(&err), SL_OK);
    assert_int_equal(sl_log_descriptor(), fd);
    sl_log_notice("after");
    assert_log("^" STAMP "   notice : after\n$");
    char *text = content_of(old);
    assert_matches(text, "before\n.*still the old file\n$");
    sl_free(text);
}

static void test_bad_path_changes_nothing(void **state)
{
    open_log(config());
    struct sl_log_config bad = config();
    bad.path = "/nonexistent/dir/log";
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_log_open(&bad, &err), SL_ESYS);
    assert_matches(err.text, "'/nonexistent/dir/log': No such file or directory");
    sl_mem_fail_after(1);
    bad = config();
    assert_int_equal(sl_log_open(&bad, &err), SL_ENOMEM);
    sl_log_notice("m");
    assert_log("notice : m\n$");
}

static void test_file_off(void **state)
{
    open_log(config());
    struct sl_log_config c = config();
    c.to_file = false;
    open_log(c);
    assert_int_equal(sl_log_descriptor(), -1);
    sl_log_error("nowhere");
    assert_log("^$");
    assert_int_equal(sl_log_reopen(NULL), SL_OK);
}

static void test_crash_line(void **state)
{
    struct sl_log_config c = config();
    c.ms_timestamp = true;
    open_log(c);
    sl_log_session_set(9);
    sl_log_notice("a");
    int saved = dup(STDERR_FILENO);
    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
    sl_log_crash("the\nend");
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(null);
    char *text = content_of(path);
    const char *second = strchr(text, '\n') + 1;
    assert_matches(second, "^" STAMP "\\.[0-9]{3}   alert  : \\(9\\); the end\n$");
    assert_memory_equal(text, second, strlen("2026-11-20 12:00")); /* the same clock and zone */
    sl_free(text);
}

static void *write_many(void *arg)
{
    uint64_t id = (uint64_t)(uintptr_t)arg;
    sl_log_session_set(id);
    for (int i = 0; i < LINES_EACH; i++) {
        sl_log_notice("thread %d line %d of a message of some length", (int)id, i);
    }
    return NULL;
}

static void test_threads_and_reopening(void **state)
{
    open_log(config());
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, (void *)(i + 1)), 0);
    }
    for (int i = 0; i < 50; i++) {
        assert_int_equal(sl_log_reopen(NULL), SL_OK);
        sl_log_set_level_mask(1u << SL_LOG_NOTICE | (i % 2) << SL_LOG_INFO);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    char *text = content_of(path);
    int lines = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, lines++) {
        *end = '\0';
        int session;
        int thread;
        assert_int_equal(sscanf(line + 19, "   notice : (%d); thread %d", &session, &thread), 2);
        assert_int_equal(session, thread);
        assert_string_equal(end - strlen("some length"), "some length");
    }
    assert_int_equal(lines, THREADS * LINES_EACH);
    sl_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plain_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_context, setup, teardown),
        cmocka_unit_test_setup_teardown(test_context_is_given_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_message_is_one_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_message_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_options, setup, teardown),
        cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errno_survives, setup, teardown),
        cmocka_unit_test_setup_teardown(test_throttling, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reopen_after_rotation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_path_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_crash_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads_and_reopening, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
