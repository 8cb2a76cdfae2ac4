/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files: bounds, what is no file, replacing and creating. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"

static char directory[64];
static char path[128];

static int setup(void **state)
{
    strcpy(directory, "/tmp/test_file_XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/f", directory);
    return 0;
}

static int teardown(void **state)
{
    unlink(path);
    assert_int_equal(rmdir(directory), 0); /* nothing is left beside the file */
    return 0;
}

static void expect(const char *content)
{
    char *text = NULL;
    size_t len = 0;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_file_read(path, 100, &text, &len, &err), 0);
    assert_int_equal(len, strlen(content));
    assert_string_equal(text, content);
    sl_free(text);
}

static mode_t mode_of_file(void)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void test_replace(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    const struct sl_file_options private_file = {.mode = 0600};
    const struct sl_file_options shared_file = {.mode = 0640};
    assert_int_equal(sl_file_write(path, "one", &private_file, &err), 0);
    expect("one");
    assert_int_equal(mode_of_file(), 0600);
    assert_int_equal(sl_file_write(path, "", &shared_file, &err), 0);
    expect("");
    assert_int_equal(mode_of_file(), 0640);
}

static void test_must_be_new(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    const struct sl_file_options options = {.mode = 0400, .must_be_new = true};
    assert_int_equal(sl_file_write(path, "one", &options, &err), 0);
    assert_int_equal(sl_file_write(path, "two", &options, &err), SL_EEXIST);
    assert_non_null(strstr(err.text, path));
    expect("one");
    assert_int_equal(mode_of_file(), 0400);
}

static void test_read_limits(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    const struct sl_file_options options = {.mode = 0600};
    char *text = NULL;
    size_t len;
    assert_int_equal(sl_file_read(path, 100, &text, &len, &err), SL_ENOENT);
    assert_int_equal(sl_file_write(path, "12345", &options, &err), 0);
    assert_int_equal(sl_file_read(path, 4, &text, &len, &err), SL_ELIMIT);
    assert_int_equal(sl_file_read(directory, 100, &text, &len, &err), SL_ELIMIT);
    assert_null(text);
}

/* Nobody writes into it: opening it must not wait for that. */
static void test_pipe_does_not_block(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    char *text = NULL;
    size_t len;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(sl_file_read(path, 100, &text, &len, &err), SL_ELIMIT);
}

static void test_failures(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    const struct sl_file_options options = {.mode = 0600};
    char longer[5000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(sl_file_write(longer, "x", &options, &err), SL_EINVAL);
    assert_int_equal(sl_file_write("/nonexistent/f", "x", &options, &err), SL_ESYS);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(sl_file_write(path, "x", &options, &err), SL_ESYS); /* a directory */
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(sl_file_write(path, "12345", &options, &err), 0);
    char *text = NULL;
    size_t len;
    sl_mem_fail_after(1);
    assert_int_equal(sl_file_read(path, 100, &text, &len, &err), SL_ENOMEM);
    sl_mem_fail_after(0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_replace),     TEST(test_must_be_new),
        TEST(test_read_limits), TEST(test_pipe_does_not_block),
        TEST(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
