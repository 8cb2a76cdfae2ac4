/* SPDX-License-Identifier: Apache-2.0 */
/* The INI dialect: every rule of conf/ini.h, good and bad. */
#include "conf_test.h"

struct parsed {
    struct sl_conf_sections sections;
    struct sl_conf_report report;
};

static void parse_bytes(struct parsed *p, const char *text, size_t len)
{
    memset(p, 0, sizeof(*p));
    sl_ini_parse("test.cnf", sl_slice(text, len), &p->sections, &p->report);
}

static void parse(struct parsed *p, const char *text)
{
    parse_bytes(p, text, strlen(text));
}

static void clear(struct parsed *p)
{
    sl_conf_sections_clear(&p->sections);
    sl_conf_report_clear(&p->report);
}

static const char *value(const struct parsed *p, size_t section, const char *key)
{
    const struct sl_conf_entry *e = sl_conf_section_find(&p->sections.items[section], key);
    return e != NULL ? e->value : NULL;
}

static void test_sections_and_lines(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p,
          "# head\n\n[one]\na=1\n  # indented comment\nb = two words \r\n[two]\nc=x=y\nd\ne=\n");
    assert_int_equal(p.report.count, 0);
    assert_int_equal(p.sections.count, 2);
    assert_string_equal(p.sections.items[0].name, "one");
    assert_int_equal(p.sections.items[0].line, 3);
    assert_string_equal(value(&p, 0, "a"), "1");
    assert_string_equal(value(&p, 0, "b"), "two words");
    assert_int_equal(sl_conf_section_find(&p.sections.items[0], "b")->line, 6);
    assert_string_equal(value(&p, 1, "c"), "x=y");
    assert_string_equal(value(&p, 1, "d"), "");
    assert_string_equal(value(&p, 1, "e"), "");
    assert_null(value(&p, 1, "a"));
    clear(&p);
}

static void test_continuation(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[s]\nservers=a,\n  b,\n# comment between\n\tc\n\n  ,d\nnext=1\n");
    assert_int_equal(p.report.count, 0);
    assert_string_equal(value(&p, 0, "servers"), "a,b,c,d");
    assert_int_equal(sl_conf_section_find(&p.sections.items[0], "servers")->line, 2);
    assert_string_equal(value(&p, 0, "next"), "1");
    clear(&p);
    parse(&p, "[s]\na=1\n  bcd=2\n");
    assert_string_equal(value(&p, 0, "a"), "1bcd=2");
    assert_true(report_has(&p.report, false, 3, "starts with a blank"));
    clear(&p);
    parse(&p, "[s]\n   a=1\n"); /* nothing to continue yet */
    assert_string_equal(value(&p, 0, "a"), "1");
    clear(&p);
}

static void test_repeated_keys(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[s]\na=1\na=2\nb=3\na=4\n c\n[t]\na=5\n");
    assert_string_equal(value(&p, 0, "a"), "12");
    assert_string_equal(value(&p, 0, "b"), "3");
    assert_string_equal(value(&p, 1, "a"), "5");
    assert_int_equal(p.report.warning_count, 1);
    assert_int_equal(p.report.error_count, 1);
    assert_true(report_has(&p.report, true, 5, "'a' is set twice, first in line 2"));
    clear(&p);
}

static void test_global_names(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[MaxScale]\na=1\n[SEALANE]\nb=1\n");
    assert_string_equal(p.sections.items[0].name, "maxscale");
    assert_string_equal(p.sections.items[1].name, "maxscale");
    clear(&p);
}

static void test_bad_lines(void **state)
{
    static const struct {
        const char *text;
        const char *error;
    } rows[] = {
        {"a=1\n", "before the first [section]"},
        {"[s\na=1\n", "']' is missing"},
        {"[s] x\na=1\n", "unexpected text"},
        {"[]\n", "needs a name"},
        {"[a b]\nx=1\n", "may not contain blanks"},
        {"[@@x]\nx=1\n", "reserved"},
        {"[s]\n=1\n", "no name before '='"},
        {"[s]\npassword sesame\n", "'=' is missing behind 'password'"},
        {"[s]\npassword: sesame\n also sesame\n", "'=' is missing behind 'password'"},
        {"password=sesame\n", "'password' stands before the first [section]"},
        {"password : sesame\n", "'password' stands before the first [section]"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct parsed p;
        parse(&p, rows[i].text);
        assert_int_equal(p.report.error_count, 1);
        assert_true(report_has(&p.report, true, 0, rows[i].error));
        assert_false(report_has(&p.report, true, 0, "sesame")); /* no message shows a password */
        clear(&p);
    }
}

static void test_odd_name_warns(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[caf\xc3\xa9]\na=1\n[a+b]\n[A.b_c~d-9]\n");
    assert_int_equal(p.report.error_count, 0);
    assert_int_equal(p.report.warning_count, 2);
    assert_int_equal(p.sections.count, 3);
    clear(&p);
}

static void test_limits(void **state)
{
    (void)state;
    struct parsed p;
    char *text = malloc(SL_INI_LINE_MAX + 100);
    int head = sprintf(text, "[s]\na=");
    memset(text + head, 'x', SL_INI_LINE_MAX);
    parse_bytes(&p, text, (size_t)head + SL_INI_LINE_MAX - 2);
    assert_int_equal(p.report.error_count, 0);
    assert_int_equal(strlen(value(&p, 0, "a")), SL_INI_LINE_MAX - 2);
    clear(&p);
    parse_bytes(&p, text, (size_t)head + SL_INI_LINE_MAX - 1);
    assert_true(report_has(&p.report, true, 2, "longer than 16777216"));
    clear(&p);
    for (size_t len = SL_INI_SECTION_NAME_MAX; len <= SL_INI_SECTION_NAME_MAX + 1; len++) {
        text[0] = '[';
        memset(text + 1, 'n', len);
        text[1 + len] = ']';
        parse_bytes(&p, text, len + 2);
        assert_int_equal(p.report.error_count, len - SL_INI_SECTION_NAME_MAX);
        clear(&p);
    }
    free(text);
    parse_bytes(&p, "[s]\na=\0b\nc=1\n", 13);
    assert_true(report_has(&p.report, true, 2, "NUL"));
    assert_string_equal(value(&p, 0, "c"), "1");
    clear(&p);
    parse(&p, "\xef\xbb\xbf[s]\na=1");
    assert_int_equal(p.report.count, 0);
    assert_string_equal(value(&p, 0, "a"), "1");
    clear(&p);
}

static void test_report_is_bounded(void **state)
{
    (void)state;
    struct parsed p;
    char *text = malloc(2 * 3000 + 1);
    for (int i = 0; i < 3000; i++) {
        memcpy(text + 2 * i, "a\n", 2);
    }
    parse_bytes(&p, text, 2 * 3000);
    assert_int_equal(p.report.error_count, 3000);
    assert_int_equal(p.report.count, SL_CONF_REPORT_MAX);
    clear(&p);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sections_and_lines),
        cmocka_unit_test(test_continuation),
        cmocka_unit_test(test_repeated_keys),
        cmocka_unit_test(test_global_names),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_odd_name_warns),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_report_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
