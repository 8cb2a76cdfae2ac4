/* SPDX-License-Identifier: Apache-2.0 */
/* The file with defaults: where it is looked for, its mode, its dialect, what it may not say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/config.h"
#include "cli/settings.h"
#include "cli/text.h"

static char home[] = "/tmp/test_cli_config.XXXXXX";

static char *path_of(const char *name)
{
    return sl_xasprintf("%s/%s", home, name);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    char *path = path_of(name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
    sl_free(path);
}

static void remove_file(const char *name)
{
    char *path = path_of(name);
    unlink(path);
    sl_free(path);
}

/* Loads as `program` with the arguments; the reason of a failure is the caller's. */
static int load(const char *program, const char *option, struct sl_cli_line *line,
                struct sl_cli_line *defaults, char **ret_error)
{
    struct sl_buf error = SL_BUF_INIT;
    assert_int_equal(sl_cli_line_parse(line, option != NULL, &option, &error), SL_OK);
    int rc = sl_cli_config_load(line, program, defaults, &error);
    *ret_error = sl_cli_text_take(&error);
    return rc;
}

static void check_user(const char *program, const char *option, const char *user)
{
    struct sl_cli_line line;
    struct sl_cli_line defaults;
    char *error;
    int rc = load(program, option, &line, &defaults, &error);
    assert_string_equal(error, "");
    assert_int_equal(rc, SL_OK);
    assert_string_equal(sl_cli_line_text(&defaults, "user"), user);
    sl_free(error);
    sl_cli_line_free(&line);
    sl_cli_line_free(&defaults);
}

static void check_refusal(const char *option, const char *part)
{
    struct sl_cli_line line;
    struct sl_cli_line defaults;
    char *error;
    assert_int_equal(load("maxctrl", option, &line, &defaults, &error), SL_EINVAL);
    if (strstr(error, part) == NULL) {
        fail_msg("%s", error);
    }
    sl_free(error);
    sl_cli_line_free(&line);
    sl_cli_line_free(&defaults);
}

static void test_places(void **state)
{
    check_user("maxctrl", NULL, "admin"); /* no file at all */
    write_file(".maxctrl.cnf", "[maxctrl]\nuser=m\n", 0600);
    check_user("maxctrl", NULL, "m");
    check_user("sealanectl", NULL, "m");
    write_file(".sealanectl.cnf", "[sealanectl]\nu=s\n", 0600);
    check_user("maxctrl", NULL, "m");
    check_user("sealanectl", NULL, "s");
    write_file("other.cnf", "[maxctrl]\nuser=o\n", 0400);
    check_user("maxctrl", "--config=~/other.cnf", "o");
    remove_file("other.cnf");
    check_refusal("--config=~/other.cnf", "No such file or directory");
    check_refusal("--config=~/other.txt", "the name must end in .cnf");
    remove_file(".sealanectl.cnf");
    remove_file(".maxctrl.cnf");
}

static const struct {
    mode_t mode;
    bool is_fine;
} MODES[] = {{0600, true},  {0400, true},  {0640, true},  {0440, true}, {0644, false},
             {0660, false}, {0601, false}, {0604, false}, {0610, false}};

static void test_modes(void **state)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(MODES); i++) {
        write_file(".maxctrl.cnf", "[maxctrl]\nuser=m\n", MODES[i].mode);
        if (MODES[i].is_fine) {
            check_user("maxctrl", NULL, "m");
        } else {
            check_refusal("-q", "others can use it");
        }
        remove_file(".maxctrl.cnf");
    }
}

static const struct {
    const char *text;
    const char *part;
} WRONG[] = {
    {"user=m\n", "there is no section [maxctrl]"},
    {"[other]\nuser=m\n", "there is no section [maxctrl]"},
    {"", "there is no section [maxctrl]"},
    {"[maxctrl]\n-u=m\n", "`-u`: options are written without dashes (line 2)"},
    {"[maxctrl]\n\n--user=m\n", "without dashes (line 3)"},
    {"[maxctrl]\nusr=m\n", "Unknown option `usr`, did you mean `--user`? (line 2)"},
    {"[maxctrl]\nrdns=true\n", "Unknown option `rdns`"},
    {"[maxctrl]\nconfig=x.cnf\n", "Unknown option `config`"},
    {"[maxctrl]\ntsv=perhaps\n", "Option `--tsv` is true or false, not `perhaps` (line 2)"},
};

static void test_wrong(void **state)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(WRONG); i++) {
        write_file(".maxctrl.cnf", WRONG[i].text, 0600);
        check_refusal("-q", WRONG[i].part);
    }
    remove_file(".maxctrl.cnf");
}

/* Comments, quotes, keys without values, other sections; the command line wins. */
static void test_settings(void **state)
{
    struct sl_cli_line line;
    struct sl_cli_line defaults;
    struct sl_cli_settings settings;
    struct sl_buf error = SL_BUF_INIT;
    char *why;
    write_file(".maxctrl.cnf",
               "; comment\n[x]\nnonsense\n[maxctrl]\n# comment\n u = bob \np=\"a b\"\ntsv\r\n"
               "timeout=2m\nhosts=a,[::1],[::1]:1\nskip-sync=true\n",
               0600);
    assert_int_equal(load("maxctrl", "--user=alice", &line, &defaults, &why), SL_OK);
    assert_int_equal(sl_cli_settings_build(&settings, &line, &defaults, &error), SL_OK);
    assert_string_equal(settings.user, "alice");
    assert_string_equal(settings.password, "a b");
    assert_true(settings.style.is_tsv);
    assert_true(settings.skips_sync);
    assert_true(settings.verifies_server);
    assert_false(settings.is_quiet);
    assert_int_equal(settings.timeout_ms, 120000);
    assert_int_equal(settings.host_count, 3);
    assert_string_equal(settings.hosts[0], "a:8989");
    assert_string_equal(settings.hosts[1], "[::1]:8989");
    assert_string_equal(settings.hosts[2], "[::1]:1");
    sl_cli_settings_free(&settings);
    sl_cli_line_free(&line);
    sl_cli_line_free(&defaults);
    sl_free(why);
    remove_file(".maxctrl.cnf");
}

static const struct {
    const char *text;
    long ms; /* -1: refused */
} TIMEOUTS[] = {{"10", 10},  {"10ms", 10}, {"2s", 2000}, {"3m", 180000}, {"1h", 3600000},
                {"0", 0},    {"", -1},     {"s", -1},    {"-1", -1},     {"1d", -1},
                {"1 s", -1}, {"25h", -1},  {"1.5s", -1}, {" 1", -1}};

static void test_timeouts(void **state)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(TIMEOUTS); i++) {
        struct sl_cli_line line;
        struct sl_cli_line defaults = {0};
        struct sl_cli_settings settings;
        struct sl_buf error = SL_BUF_INIT;
        const char *args[] = {"-t", TIMEOUTS[i].text};
        assert_int_equal(sl_cli_line_parse(&line, 2, args, &error), SL_OK);
        int rc = sl_cli_settings_build(&settings, &line, &defaults, &error);
        assert_int_equal(rc, TIMEOUTS[i].ms < 0 ? SL_EINVAL : SL_OK);
        assert_int_equal(settings.timeout_ms, TIMEOUTS[i].ms < 0 ? 0 : TIMEOUTS[i].ms);
        sl_buf_free(&error);
        sl_cli_settings_free(&settings);
        sl_cli_line_free(&line);
    }
}

static int set_up(void **state)
{
    return mkdtemp(home) == NULL || setenv("HOME", home, 1) != 0;
}

static int tear_down(void **state)
{
    return rmdir(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),   cmocka_unit_test(test_modes),
        cmocka_unit_test(test_wrong),    cmocka_unit_test(test_settings),
        cmocka_unit_test(test_timeouts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
