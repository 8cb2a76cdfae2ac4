/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines taken apart: words, options anywhere, joined letters, flags in all their forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/line.h"
#include "cli/text.h"

/* `text` is split first; words are joined with "|" for the comparison. */
static int parse(const char *text, struct sl_cli_line *line, char **ret_words, char **ret_error)
{
    struct sl_buf error = SL_BUF_INIT;
    struct sl_buf joined = SL_BUF_INIT;
    char **words;
    size_t count;
    assert_int_equal(sl_cli_line_split(text, &words, &count, &error), SL_OK);
    int rc = sl_cli_line_parse(line, count, (const char *const *)words, &error);
    for (size_t i = 0; i < line->word_count; i++) {
        sl_cli_text_putf(&joined, "%s%s", i > 0 ? "|" : "", line->words[i]);
    }
    for (size_t i = 0; i < count; i++) {
        sl_free(words[i]);
    }
    sl_free(words);
    *ret_words = sl_cli_text_take(&joined);
    *ret_error = sl_cli_text_take(&error);
    return rc;
}

/* line, words, an option and its value (NULL: none) */
static const struct {
    const char *line;
    const char *words;
    const char *option;
    const char *value;
} TAKEN[] = {
    {"", "", "hosts", "127.0.0.1:8989"},
    {"list servers", "list|servers", "tsv", "false"},
    {"--tsv list servers", "list|servers", "tsv", "true"},
    {"list --tsv servers", "list|servers", "tsv", "true"},
    {"list servers --tsv=false", "list|servers", "tsv", "false"},
    {"list servers --tsv false", "list|servers", "tsv", "false"},
    {"list servers --tsv --no-tsv", "list|servers", "tsv", "false"},
    {"list servers --no-tls-verify-server-cert", "list|servers", "tls-verify-server-cert", "false"},
    {"list servers -n=false", "list|servers", "tls-verify-server-cert", "false"},
    {"list -h a:1,b:2 servers", "list|servers", "hosts", "a:1,b:2"},
    {"list -ha:1 servers", "list|servers", "hosts", "a:1"},
    {"list -h=a:1 servers", "list|servers", "hosts", "a:1"},
    {"list --hosts=a:1 servers", "list|servers", "hosts", "a:1"},
    {"-qs list servers", "list|servers", "quiet", "true"},
    {"-qs list servers", "list|servers", "secure", "true"},
    {"-qsh a list servers", "list|servers", "hosts", "a"},
    {"-p '' list servers", "list|servers", "password", ""},
    {"--password='' list servers", "list|servers", "password", ""},
    {"-u a -u b x", "x", "user", "b"},
    {"-p -secret x", "x", "password", "-secret"},
    {"call -5 - x", "call|-5|-|x", "quiet", "false"},
    {"call -- --tsv -x", "call|--tsv|-x", "tsv", "false"},
    {"destroy session 1 --ttl 5", "destroy|session|1", "ttl", "5"},
    {"destroy session 1", "destroy|session|1", "ttl", NULL},
    {"--help list servers", "list|servers", "help", "true"},
};

static void test_taken(void **state)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(TAKEN); i++) {
        struct sl_cli_line line;
        char *words;
        char *error;
        assert_int_equal(parse(TAKEN[i].line, &line, &words, &error), SL_OK);
        assert_string_equal(words, TAKEN[i].words);
        const char *value = sl_cli_line_text(&line, TAKEN[i].option);
        if (TAKEN[i].value == NULL) {
            assert_null(value);
        } else {
            assert_string_equal(value, TAKEN[i].value);
        }
        sl_free(words);
        sl_free(error);
        sl_cli_line_free(&line);
    }
}

static const struct {
    const char *line;
    const char *error;
} REFUSED[] = {
    {"--nope", "Unknown option `nope`"},
    {"--no-nope", "Unknown option `no-nope`"},
    {"--secur", "Unknown option `secur`, did you mean `--secure`?"},
    {"--s", "Unknown option `s`"},
    {"--no-tsv=true", "Unknown option `no-tsv`"},
    {"-qx", "Unknown option `x`"},
    {"-u", "Option `--user` needs a value"},
    {"--tsv=", "Option `--tsv` is true or false, not ``"},
    {"--ttl x", "Option `--ttl` is a whole number from 0, not `x`"},
    {"--ttl 99999999999", "Option `--ttl` is a whole number from 0, not `99999999999`"},
};

static void test_refused(void **state)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(REFUSED); i++) {
        struct sl_cli_line line;
        char *words;
        char *error;
        assert_int_equal(parse(REFUSED[i].line, &line, &words, &error), SL_EINVAL);
        assert_string_equal(error, REFUSED[i].error);
        sl_free(words);
        sl_free(error);
        sl_cli_line_free(&line);
    }
}

static void check_split(const char *text, int wanted_rc, const char *wanted)
{
    struct sl_buf error = SL_BUF_INIT;
    struct sl_buf joined = SL_BUF_INIT;
    char **words;
    size_t count;
    assert_int_equal(sl_cli_line_split(text, &words, &count, &error), wanted_rc);
    for (size_t i = 0; i < count; i++) {
        sl_cli_text_putf(&joined, "<%s>", words[i]);
        sl_free(words[i]);
    }
    sl_free(words);
    char *all = sl_cli_text_take(&joined);
    assert_string_equal(all, wanted);
    sl_free(all);
    sl_buf_free(&error);
}

static void test_split(void **state)
{
    check_split("", SL_OK, "");
    check_split("  \t\n", SL_OK, "");
    check_split("a b\tc\r\n", SL_OK, "<a><b><c>");
    check_split("a 'b c' \"d 'e\" f\\ g", SL_OK, "<a><b c><d 'e><f g>");
    check_split("x'y z'w '' \"\"", SL_OK, "<xy zw><><>");
    check_split("'\\' \"\\\"\" \\", SL_OK, "<\\><\"><\\>");
    check_split("a 'b c", SL_EINVAL, "<a><b c>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
