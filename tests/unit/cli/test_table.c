/* SPDX-License-Identifier: Apache-2.0 */
/* The table printer, colours, width of text, percent encoding, nearest words, cut lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/mem.h"
#include "cli/field.h"
#include "cli/table.h"
#include "cli/text.h"

static void check_table(const char *const *cells, size_t count, size_t columns,
                        enum sl_cli_table_kind kind, const struct sl_cli_style *style,
                        const char *wanted)
{
    struct sl_cli_table table;
    struct sl_buf out = SL_BUF_INIT;
    sl_cli_table_init(&table, kind, columns);
    for (size_t i = 0; i < count; i++) {
        sl_cli_table_add(&table, sl_xstrdup(cells[i]));
    }
    sl_cli_table_put(&table, style, &out);
    char *text = sl_cli_text_take(&out);
    assert_string_equal(text, wanted);
    sl_free(text);
    sl_cli_table_free(&table);
}

static const struct sl_cli_style PLAIN = {0};
static const struct sl_cli_style TSV = {.is_tsv = true};
static const struct sl_cli_style COLOURED = {.is_coloured = true};

static void test_list(void **state)
{
    const char *cells[] = {"A", "Bee", "x\ny", "", "é", "日本語"};
    check_table(cells, 6, 2, SL_CLI_TABLE_LIST, &PLAIN,
                "┌───┬────────┐\n│ A │ Bee    │\n├───┼────────┤\n│ x │        │\n│ y │        │\n"
                "├───┼────────┤\n│ é │ 日本語 │\n└───┴────────┘\n");
    check_table(cells, 6, 2, SL_CLI_TABLE_LIST, &TSV, "x y\t\né\t日本語\n");
    check_table(cells, 2, 2, SL_CLI_TABLE_LIST, &PLAIN, "┌───┬─────┐\n│ A │ Bee │\n└───┴─────┘\n");
    check_table(cells, 2, 2, SL_CLI_TABLE_LIST, &TSV, "");
}

static void test_show(void **state)
{
    const char *cells[] = {"Key", "  a \n\n b\tc ", "K2", "\033[2J\x7f\xc2\x9b"};
    check_table(cells, 4, 2, SL_CLI_TABLE_SHOW, &TSV, "Key\ta b c\nK2\t?[2J???\n");
    check_table(cells + 2, 2, 2, SL_CLI_TABLE_SHOW, &PLAIN,
                "┌────┬─────────┐\n│ K2 │ ?[2J??? │\n└────┴─────────┘\n");
}

static void test_colours(void **state)
{
    const char *cells[] = {"A", "x"};
    check_table(cells, 2, 1, SL_CLI_TABLE_LIST, &COLOURED,
                "\033[90m┌───┐\033[39m\n\033[90m│\033[39m \033[36mA\033[39m \033[90m│\033[39m\n"
                "\033[90m├───┤\033[39m\n\033[90m│\033[39m x \033[90m│\033[39m\n"
                "\033[90m└───┘\033[39m\n");
    check_table(cells, 2, 2, SL_CLI_TABLE_SHOW, &COLOURED,
                "\033[90m┌───┬───┐\033[39m\n\033[90m│\033[39m \033[36mA\033[39m "
                "\033[90m│\033[39m x \033[90m│\033[39m\n\033[90m└───┴───┘\033[39m\n");
}

static void test_width(void **state)
{
    assert_int_equal(sl_cli_text_width("abc", 3), 3);
    assert_int_equal(sl_cli_text_width("é", 2), 1);
    assert_int_equal(sl_cli_text_width("日本", 6), 4);
    assert_int_equal(sl_cli_text_width("e\xcc\x81", 3), 1); /* combining accent */
    assert_int_equal(sl_cli_text_width("\xff\xe6", 2), 2);  /* broken */
    assert_int_equal(sl_cli_text_fit("abc", 2), 2);
    assert_int_equal(sl_cli_text_fit("日本", 3), 3);
    assert_int_equal(sl_cli_text_fit("ab", 9), 2);
}

static void test_encoding(void **state)
{
    struct sl_buf out = SL_BUF_INIT;
    sl_cli_text_put_encoded(&out, "a-Z_0.~/ ?%é");
    char *text = sl_cli_text_take(&out);
    assert_string_equal(text, "a-Z_0.~%2F%20%3F%25%C3%A9");
    sl_free(text);
}

static void test_nearest(void **state)
{
    static const char *const WORDS[] = {"servers", "services", "sessions", NULL};
    assert_string_equal(sl_cli_text_nearest("servrs", WORDS), "servers");
    assert_string_equal(sl_cli_text_nearest("service", WORDS), "services");
    assert_null(sl_cli_text_nearest("threads", WORDS));
    assert_null(sl_cli_text_nearest("", WORDS));
    char long_word[200];
    memset(long_word, 's', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = '\0';
    assert_null(sl_cli_text_nearest(long_word, WORDS));
}

/* Lines of arrays are cut to the terminal less keys and borders, but never below 30. */
static void test_cut_lines(void **state)
{
    static const struct sl_cli_field FIELDS[] = {{"Key", "v"}};
    struct sl_cli_style style = {.width = 45};
    json_t *object = json_pack("{s:[s,s]}", "v", "0123456789012345678901234567890123456789", "x");
    assert_int_equal(sl_cli_field_room(FIELDS, 1, &PLAIN), 0);
    assert_int_equal(sl_cli_field_room(FIELDS, 1, &style), 35);
    style.width = 20;
    size_t room = sl_cli_field_room(FIELDS, 1, &style);
    assert_int_equal(room, 30);
    char *cell = sl_cli_field_show_cell(&FIELDS[0], object, &style, room);
    assert_string_equal(cell, "012345678901234567890123456...\nx");
    sl_free(cell);
    cell = sl_cli_field_show_cell(&FIELDS[0], object, &TSV, 0);
    assert_string_equal(cell, "0123456789012345678901234567890123456789, x");
    sl_free(cell);
    json_decref(object);
}

static int set_up(void **state)
{
    sl_cli_locale_set();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),      cmocka_unit_test(test_show),
        cmocka_unit_test(test_colours),   cmocka_unit_test(test_width),
        cmocka_unit_test(test_encoding),  cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_cut_lines),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
