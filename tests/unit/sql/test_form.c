/* SPDX-License-Identifier: Apache-2.0 */
/* Forms of statements: what is folded, what is not, cut texts, and that no literal survives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "sql/classify.h"
#include "sql/form.h"

struct row {
    const char *sql;
    const char *form;
};

static const struct row rows[] = {
    {"SELECT 1", "SELECT ?"},
    {"SELECT 1 ; ", "SELECT ?"},
    {"SELECT c FROM sbtest1 WHERE id=5001", "SELECT c FROM sbtest1 WHERE id=?"},
    {"SELECT a FROM t WHERE id IN (1)", "SELECT a FROM t WHERE id IN (?)"},
    {"SELECT a FROM t WHERE id IN (1,2)", "SELECT a FROM t WHERE id IN (?, ...)"},
    {"SELECT a FROM t WHERE id IN ( 1, 'b' , x'00' )", "SELECT a FROM t WHERE id IN (?, ...)"},
    {"INSERT INTO t VALUES (1, 2)", "INSERT INTO t VALUES (?, ...)"},
    {"INSERT INTO t VALUES (1,2),(3,4)", "INSERT INTO t VALUES (?, ...), ..."},
    {"INSERT INTO t VALUES (1), (2) , (3)", "INSERT INTO t VALUES (?), ..."},
    {"INSERT INTO t (a, b) VALUES (?, ?), (?, ?) ON DUPLICATE KEY UPDATE a=1",
     "INSERT INTO t (a, b) VALUES (?, ...), ... ON DUPLICATE KEY UPDATE a=?"},
    {"INSERT INTO t VALUES (1, NOW()), (2, NOW())", "INSERT INTO t VALUES (?, NOW()), (?, NOW())"},
    {"SELECT f(1, a, 2)", "SELECT f(?, a, ?)"},
    {"SELECT f(a, 1, 2, 3)", "SELECT f(a, ?, ...)"},
    {"SELECT 1 LIMIT 10, 20", "SELECT ? LIMIT ?, ..."},
    {"SELECT `(?, ?)` FROM `a?`", "SELECT `(?, ?)` FROM `a?`"},
    {"SELECT (1), a", "SELECT (?), a"},
    {"SELECT ()", "SELECT ()"},
    {"", ""},
    {";", ""},
};

static const char *form_of(const char *sql, unsigned mode_bits, uint64_t *ret_hash)
{
    static char out[SL_SQL_FORM_ROOM + 1];
    size_t len;
    uint64_t hash = sl_sql_form((const uint8_t *)sql, strlen(sql), mode_bits, out, &len);
    out[len] = 0;
    if (ret_hash) {
        *ret_hash = hash;
    }
    return out;
}

static void test_forms(void **state)
{
    for (unsigned i = 0; i < SL_ARRAY_LEN(rows); i++) {
        assert_string_equal(form_of(rows[i].sql, 0, NULL), rows[i].form);
    }
}

static void test_hash(void **state)
{
    uint64_t two, many, other;
    form_of("SELECT a FROM t WHERE id IN (1,2)", 0, &two);
    form_of("SELECT a FROM t WHERE id IN (7, 8, 9, 10)", 0, &many);
    form_of("SELECT b FROM t WHERE id IN (7, 8, 9, 10)", 0, &other);
    assert_true(two == many);
    assert_true(two != other);
}

/* Whatever the length of an INSERT, it has one form; also when the text is cut in a row. */
static void test_long_lists(void **state)
{
    static char sql[200000];
    uint64_t first = 0;
    for (unsigned count = 2; count < 9000; count = count * 3 / 2) {
        size_t len = (size_t)sprintf(sql, "INSERT INTO t VALUES ");
        for (unsigned i = 0; i < count; i++) {
            len += (size_t)sprintf(sql + len, "%s(%u, 'text %u')", i ? ", " : "", i, i);
        }
        uint64_t hash;
        const char *form = form_of(sql, 0, &hash);
        assert_string_equal(form, "INSERT INTO t VALUES (?, ...), ...");
        first = first ? first : hash;
        assert_true(hash == first);
    }
}

/* A text cut at any byte: no crash, and never longer than the room. */
static void test_cut_anywhere(void **state)
{
    const char *sql = "INSERT INTO t (a) VALUES (1, 'x'), (2, 'y'), (NULL, 'z'); SELECT `q?`";
    char out[SL_SQL_FORM_ROOM];
    for (size_t len = 0; len <= strlen(sql); len++) {
        size_t used;
        sl_sql_form((const uint8_t *)sql, len, 0, out, &used);
        assert_true(used <= sizeof out);
    }
    const char *text = "(?, ?), (?, ?), ? , ?";
    for (size_t size = 0; size < 20; size++) {
        assert_true(sl_sql_fold_lists(text, strlen(text), out, size) <= size);
    }
}

static void test_no_secrets(void **state)
{
    static const char *const statements[] = {
        "SET PASSWORD = PASSWORD('topsecret')",
        "SET PASSWORD FOR 'a'@'b' = 'topsecret'",
        "CREATE USER a IDENTIFIED BY 'topsecret'",
        "CREATE USER a@'%' IDENTIFIED VIA ed25519 USING PASSWORD('topsecret')",
        "ALTER USER a IDENTIFIED BY \"topsecret\"",
        "GRANT ALL ON *.* TO a IDENTIFIED BY 'topsecret'",
        "CHANGE MASTER TO MASTER_PASSWORD='topsecret', MASTER_USER='x'",
        "PREPARE s FROM 'SET PASSWORD = ''topsecret'''",
        "EXECUTE IMMEDIATE \"SET PASSWORD='topsecret'\"",
        "SET PASSWORD = 'topsecret",
        "SET PASSWORD = N'topsecret'",
        "SET PASSWORD = _utf8'topsecret'",
        "/* x */ set/**/password='topsecret' -- topsecret",
        "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (PASSWORD 'topsecret')",
    };
    for (unsigned i = 0; i < SL_ARRAY_LEN(statements); i++) {
        assert_null(strstr(form_of(statements[i], 0, NULL), "topsecret"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),      cmocka_unit_test(test_hash),
        cmocka_unit_test(test_long_lists), cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_no_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
