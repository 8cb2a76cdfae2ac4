/* SPDX-License-Identifier: Apache-2.0 */
/* What the classifier gives beyond type and op: names, KILL, PREPARE, sql_mode, several
 * statements. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "sql/classify.h"

static struct sl_sql_info classify(const char *sql)
{
    struct sl_sql_info info;

    sl_sql_classify((const uint8_t *)sql, strlen(sql), 0, &info);
    return info;
}

static void assert_slice(struct sl_slice s, const char *text)
{
    assert_int_equal(s.len, strlen(text));
    assert_memory_equal(s.data, text, s.len);
}

static void kill_forms(void **state)
{
    static const struct {
        const char *sql;
        uint64_t id;
        uint8_t flags;
        const char *name;
    } rows[] = {
        {"KILL 5", 5, 0, ""},
        {"KILL CONNECTION 18446744073709551615", UINT64_MAX, 0, ""},
        {"KILL 18446744073709551616", 0, 0, ""},
        {"KILL QUERY 7;", 7, SL_KILL_QUERY, ""},
        {"kill soft query 7", 7, SL_KILL_QUERY | SL_KILL_SOFT, ""},
        {"KILL HARD 7", 7, SL_KILL_HARD, ""},
        {"KILL QUERY ID 9", 9, SL_KILL_QUERY | SL_KILL_QUERY_ID, ""},
        {"KILL USER 'a b'", 0, SL_KILL_USER, "a b"},
        {"KILL QUERY USER `x`@`y`", 0, SL_KILL_USER | SL_KILL_QUERY, "x"},
        {"KILL HARD CONNECTION USER bob", 0, SL_KILL_USER | SL_KILL_HARD, "bob"},
        {"KILL @a", 0, 0, ""},
    };

    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        const struct sl_sql_info info = classify(rows[i].sql);
        assert_int_equal(info.op, SL_SQL_OP_KILL);
        assert_true(info.kill_id == rows[i].id);
        assert_int_equal(info.kill_flags, rows[i].flags);
        assert_slice(info.name, rows[i].name);
    }
}

static void names(void **state)
{
    static const struct {
        const char *sql;
        const char *name;
    } rows[] = {
        {"USE d", "d"},
        {"USE `my db`", "my db"},
        {"PREPARE s FROM 'x'", "s"},
        {"EXECUTE s2 USING 1", "s2"},
        {"DEALLOCATE PREPARE `s 3`", "s 3"},
        {"DROP PREPARE s", "s"},
        {"SET ROLE r", "r"},
        {"SET ROLE 'r'", "r"},
        {"SELECT 1", ""},
        {"EXECUTE IMMEDIATE 'x'", ""},
    };

    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        assert_slice(classify(rows[i].sql).name, rows[i].name);
    }
}

static void prepare_text(void **state)
{
    static const struct {
        const char *sql;
        const char *text;
        char quote;
    } rows[] = {
        {"PREPARE s FROM 'SELECT ''1'''", "SELECT ''1''", '\''},
        {"PREPARE s FROM \"SELECT ?\";", "SELECT ?", '"'},
        {"PREPARE s FROM @a", "", 0},
        {"PREPARE s FROM CONCAT('a', 'b')", "", 0},
        {"PREPARE s FROM 'a' 'b'", "", 0},
        {"PREPARE s FROM N'a'", "", 0},
        {"EXECUTE IMMEDIATE 'SELECT 1'", "SELECT 1", '\''},
        {"EXECUTE IMMEDIATE 'SELECT ?' USING 5", "SELECT ?", '\''},
        {"PREPARE s FROM", "", 0},
    };

    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        const struct sl_sql_info info = classify(rows[i].sql);
        assert_slice(info.prepare_text, rows[i].text);
        assert_int_equal(info.prepare_quote, rows[i].quote);
    }
}

static void sql_mode(void **state)
{
    static const struct {
        const char *sql;
        uint8_t mode;
    } rows[] = {
        {"SET sql_mode = 'ORACLE'", 1},
        {"SET sql_mode = oracle", 1},
        {"SET @@session.sql_mode='ANSI,oracle'", 1},
        {"SET sql_mode = 'oracle ,ANSI'", 1},
        {"SET sql_mode = ''", 2},
        {"SET sql_mode = DEFAULT", 2},
        {"SET sql_mode = @@sql_mode", 2},
        {"SET GLOBAL sql_mode = 'ORACLE'", 0},
        {"SET a = 1, sql_mode = ORACLE", 1},
        {"SET NAMES utf8", 0},
    };

    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        assert_int_equal(classify(rows[i].sql).set_sql_mode, rows[i].mode);
    }
}

static void several_statements(void **state)
{
    static const struct {
        const char *sql;
        uint32_t type;
    } rows[] = {
        {"SELECT 1; SELECT 2", SL_SQL_WRITE},
        {"SELECT 1;;SELECT 2;", SL_SQL_WRITE},
        {"BEGIN; INSERT INTO t VALUES (1); COMMIT", SL_SQL_WRITE | SL_SQL_TRX_COMMIT},
        {"COMMIT; BEGIN", SL_SQL_WRITE | SL_SQL_TRX_BEGIN},
        {"START TRANSACTION READ ONLY; COMMIT", SL_SQL_WRITE | SL_SQL_TRX_COMMIT},
        {"BEGIN; DROP TABLE t", SL_SQL_WRITE | SL_SQL_IMPLICIT_COMMIT | SL_SQL_DROP_TABLE},
        {"SET autocommit=0; SET autocommit=1",
         SL_SQL_WRITE | SL_SQL_SESSION_WRITE | SL_SQL_AUTOCOMMIT_ON},
        {"SET @a=1; SELECT @a",
         SL_SQL_WRITE | SL_SQL_SESSION_WRITE | SL_SQL_USERVAR_WRITE | SL_SQL_USERVAR_READ},
        {"CREATE PROCEDURE p() BEGIN SELECT 1; END; SELECT 2",
         SL_SQL_WRITE | SL_SQL_IMPLICIT_COMMIT},
        {"CREATE PROCEDURE p() SELECT 1; DROP TABLE t",
         SL_SQL_WRITE | SL_SQL_IMPLICIT_COMMIT | SL_SQL_DROP_TABLE},
        {"SELECT ';' ; SELECT 2", SL_SQL_WRITE},
        {"SELECT 1; FOO", SL_SQL_WRITE},
        {"FOO; SELECT 1", SL_SQL_WRITE},
    };

    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        const struct sl_sql_info info = classify(rows[i].sql);
        assert_true(info.is_multi);
        assert_int_equal(info.type, rows[i].type);
    }
    assert_int_equal(classify("SELECT 1; DROP TABLE t").op, SL_SQL_OP_SELECT);
    assert_false(classify("SELECT 1; -- x").is_multi);
}

static void executable_comments_are_reported(void **state)
{
    assert_true(classify("SELECT /*! 1 */").has_executable_comment);
    assert_true(classify("SELECT /*!50701 1 */").has_executable_comment);
    assert_true(classify("SELECT /*M!100100 1 */").has_executable_comment);
    assert_false(classify("SELECT /* ! */ 1").has_executable_comment);
    assert_false(classify("SELECT '/*! 1 */'").has_executable_comment);
}

static void deep_nesting_ends(void **state)
{
    char sql[4096] = "";

    for (size_t i = 0; i < 100; i++) {
        strcat(sql, "SET STATEMENT a=1 FOR ");
    }
    strcat(sql, "SELECT 1");
    assert_int_equal(classify(sql).type, SL_SQL_WRITE);
    memset(sql, '(', sizeof(sql) - 1);
    assert_int_equal(classify(sql).type, SL_SQL_WRITE);
}

static void no_text_at_all(void **state)
{
    struct sl_sql_info info;

    sl_sql_classify(NULL, 0, 0, &info);
    assert_int_equal(info.op, SL_SQL_OP_EMPTY);
}

static void texts(void **state)
{
    char out[64];

    assert_string_equal(sl_sql_type_text(SL_SQL_READ | SL_SQL_SYSVAR_READ, out, sizeof(out)),
                        "READ|SYSVAR_READ");
    assert_string_equal(sl_sql_type_text(SL_SQL_ISOLATION, out, sizeof(out)), "ISOLATION");
    assert_string_equal(sl_sql_type_text(0, out, sizeof(out)), "");
    assert_string_equal(sl_sql_type_text(UINT32_MAX, out, 8), "READ|WR");
    assert_string_equal(sl_sql_op_text(SL_SQL_OP_OTHER), "OTHER");
    assert_string_equal(sl_sql_op_text(SL_SQL_OP_COUNT), "UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kill_forms),
        cmocka_unit_test(names),
        cmocka_unit_test(prepare_text),
        cmocka_unit_test(sql_mode),
        cmocka_unit_test(several_statements),
        cmocka_unit_test(executable_comments_are_reported),
        cmocka_unit_test(deep_nesting_ends),
        cmocka_unit_test(no_text_at_all),
        cmocka_unit_test(texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
