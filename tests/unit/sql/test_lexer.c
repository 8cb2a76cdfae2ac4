/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of the lexer, written as kind:text; comments and quotes as the server sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "sql/lexer.h"

static const char *const kinds[] = {"END", "W", "Q", "S", "N", "@", "@@", "H", "?", "O", "C"};

static void tokens(const char *sql, size_t len, unsigned mode, bool want_comments, char *out,
                   size_t size)
{
    struct sl_lexer lx;
    struct sl_token tok;
    size_t used = 0;

    out[0] = '\0';
    sl_lexer_init(&lx, (const uint8_t *)sql, len, mode);
    lx.want_comments = want_comments;
    while (sl_lexer_next(&lx, &tok)) {
        if (tok.kind == SL_TOK_OP) {
            used += (size_t)snprintf(out + used, size - used, "%.*s ", (int)(tok.end - tok.begin),
                                     (const char *)tok.begin);
        } else {
            used += (size_t)snprintf(out + used, size - used, "%s:%.*s ", kinds[tok.kind],
                                     (int)tok.text.len, (const char *)tok.text.data);
        }
    }
}

static void tokens_are_cut(void **state)
{
    static const struct {
        const char *sql;
        unsigned mode;
        const char *want;
    } rows[] = {
        {"SELECT a.b", 0, "W:SELECT W:a . W:b "},
        {"'a''b' \"c\\\"d\"", 0, "S:a''b S:c\\\"d "},
        {"'a\\' x", SL_SQL_NO_BACKSLASH_ESCAPES, "S:a\\ W:x "},
        {"\"a\"", SL_SQL_ANSI_QUOTES, "Q:a "},
        {"\"a\"", SL_SQL_ORACLE, "Q:a "},
        {"`a``b`", 0, "Q:a``b "},
        {"x'41' X'42' b'1' n'x' _utf8'y' xy'z'", 0, "S:41 S:42 S:1 S:x W:_utf8 S:y W:xy S:z "},
        {"1 1.5 .5 1e5 1e+5 1.e-2 0x1F 0b01 1a 0xg 1ex", 0,
         "N:1 N:1.5 N:.5 N:1e5 N:1e+5 N:1.e-2 N:0x1F N:0b01 W:1a W:0xg W:1ex "},
        {"t.1a t .5", 0, "W:t . W:1a W:t N:.5 "},
        {"@a @`b c` @'d' @\"e\" @a.b$c", 0, "@:a @:b c @:d @:e @:a.b$c "},
        {"@@a @@global.b @@`c` @@session . d", 0, "@@:a @@:b @@:c @@:d "},
        {"'u'@'h' u@h `u`@`h` SELECT@v", 0, "S:u H:h W:u H:h Q:u H:h W:SELECT @:v "},
        {"a:=1 b:c", 0, "W:a := N:1 W:b : W:c "},
        {"? - -- x", 0, "?: - "},
        {"1--1", 0, "N:1 - - N:1 "},
        {"a--", 0, "W:a "},
        {"a # b\nc", 0, "W:a W:c "},
        {"a/*b*/c", 0, "W:a W:c "},
        {"a/*!b*/c", 0, "W:a W:b W:c "},
        {"a/*!40000b*/c", 0, "W:a W:b W:c "},
        {"a/*!400000b*/c", 0, "W:a W:c "},
        {"a/*!50700 b*/c", 0, "W:a W:c "},
        {"a/*M!50700 b*/c", 0, "W:a W:b W:c "},
        {"a/*m!50700 b*/c", 0, "W:a W:c "},
        {"a/*!50701 b /* c */ d */ e", 0, "W:a W:e "},
        {"a*/b", 0, "W:a * / W:b "},
        {"a/*/b*/c", 0, "W:a W:c "},
        {"caf\xc3\xa9", 0, "W:caf\xc3\xa9 "},
    };
    char out[512];

    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        tokens(rows[i].sql, strlen(rows[i].sql), rows[i].mode, false, out, sizeof(out));
        assert_string_equal(out, rows[i].want);
    }
}

static void comments_on_demand(void **state)
{
    const char *sql = "a /* b */ -- c\n # d";
    char out[128];

    tokens(sql, strlen(sql), 0, true, out, sizeof(out));
    assert_string_equal(out, "W:a C: b  C: c C: d ");
}

static bool is_broken(const char *sql)
{
    struct sl_lexer lx;
    struct sl_token tok;

    sl_lexer_init(&lx, (const uint8_t *)sql, strlen(sql), 0);
    while (sl_lexer_next(&lx, &tok)) {
    }
    return lx.is_broken;
}

static void broken_text_is_noticed(void **state)
{
    static const char *const broken[] = {"'a",   "\"a", "`a",  "/* a", "'a\\'", "/*! a",
                                         "'a''", "x'",  "@'a", "/*",   "/*/",   "'"};
    static const char *const whole[] = {"'a'", "/**/", "/*! a */", "''''", "@a", "", "-- '", "# '"};

    for (size_t i = 0; i < SL_ARRAY_LEN(broken); i++) {
        assert_true(is_broken(broken[i]));
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(whole); i++) {
        assert_false(is_broken(whole[i]));
    }
}

static void words_are_found(void **state)
{
    static const struct {
        const char *text;
        enum sl_word word;
        uint8_t flags;
    } rows[] = {
        {"select", SL_W_SELECT, SL_WORD_KEYWORD | SL_WORD_RESERVED},
        {"SeLeCt", SL_W_SELECT, SL_WORD_KEYWORD | SL_WORD_RESERVED},
        {"if", SL_W_IF, SL_WORD_SAFE | SL_WORD_KEYWORD | SL_WORD_RESERVED},
        {"st_geometrycollectionfromtext", SL_W_ST_GEOMETRYCOLLECTIONFROMTEXT, SL_WORD_SAFE},
        {"st_geometrycollectionfromtexT", SL_W_ST_GEOMETRYCOLLECTIONFROMTEXT, SL_WORD_SAFE},
        {"st_geometryxollectionfromtext", SL_W_NONE, 0},
        {"get_lock", SL_W_GET_LOCK, SL_WORD_PRIMARY | SL_WORD_LOCK},
        {"selec", SL_W_NONE, 0},
        {"selects", SL_W_NONE, 0},
        {"x", SL_W_X, SL_WORD_SAFE},
    };

    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        uint8_t flags = 0xFF;
        const char *text = rows[i].text;
        assert_int_equal(sl_word_find((const uint8_t *)text, strlen(text), &flags), rows[i].word);
        assert_int_equal(flags, rows[i].flags);
    }
}

/* Skipping a list must not change what comes behind it. */
static void lists_are_skipped(void **state)
{
    static const struct {
        const char *sql;
        const char *rest;
    } rows[] = {
        {"1, 2, 3, 4f(5)", "4f(5)"},
        {"1,2,'a'", "'a'"},
        {"1, 2) AND", "AND"},
        {"abc", "abc"},
        {"1,2,3", "3"},
        {"1, .5e3", ".5e3"},
        {"12345678901234567890", "12345678901234567890"},
        {"1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, -1", "-1"},
        {"1,0123456789012345678x", "0123456789012345678x"},
        {"", ""},
    };

    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        struct sl_lexer lx;
        sl_lexer_init(&lx, (const uint8_t *)rows[i].sql, strlen(rows[i].sql), 0);
        sl_lexer_skip_list(&lx);
        assert_string_equal((const char *)lx.pos, rows[i].rest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_cut),         cmocka_unit_test(comments_on_demand),
        cmocka_unit_test(broken_text_is_noticed), cmocka_unit_test(words_are_found),
        cmocka_unit_test(lists_are_skipped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
