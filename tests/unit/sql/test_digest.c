/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical form and digest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "sql/classify.h"
#include "sql/digest.h"

static void canonical_forms(void **state)
{
    static const struct {
        const char *sql;
        const char *want;
    } rows[] = {
        {"", ""},
        {"  SELECT   1 ", "SELECT ?"},
        {"SELECT c FROM sbtest1 WHERE id=5001", "SELECT c FROM sbtest1 WHERE id=?"},
        {"SELECT 'a''b', \"c\", x'41', N'd', 0x41, 1.5e3", "SELECT ?, ?, ?, ?, ?, ?"},
        {"select a\n\tfrom\tt", "select a from t"},
        {"SELECT/* x */1", "SELECT ?"},
        {"SELECT 1 -- x\n, 2 # y", "SELECT ? , ?"},
        {"SELECT a FROM t WHERE b IN (1,2, 3)", "SELECT a FROM t WHERE b IN (?,?, ?)"},
        {"SELECT -5, a-5, (1)-5, 3 - -2", "SELECT ?, a-?, (?)-?, ? - ?"},
        {"SELECT `a`, t2, @v, @@x, ?", "SELECT `a`, t2, @v, @@x, ?"},
        {"SELECT /*! 1, */ 2", "SELECT ?, ?"},
        {"SELECT a1, 1a", "SELECT a1, 1a"},
        {"SET @a := 5", "SET @a := ?"},
        {"BEGIN", "BEGIN"},
    };
    char out[256];

    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        const char *sql = rows[i].sql;
        const size_t len = sl_sql_canonical((const uint8_t *)sql, strlen(sql), 0, out, sizeof(out));
        assert_string_equal(out, rows[i].want);
        assert_int_equal(len, strlen(rows[i].want));
    }
}

static void short_buffers_are_cut(void **state)
{
    const char *sql = "SELECT 12345";
    char out[4] = "xyz";

    assert_int_equal(sl_sql_canonical((const uint8_t *)sql, strlen(sql), 0, out, sizeof(out)), 8);
    assert_string_equal(out, "SEL");
    assert_int_equal(sl_sql_canonical((const uint8_t *)sql, strlen(sql), 0, NULL, 0), 8);
    assert_int_equal(sl_sql_canonical((const uint8_t *)sql, strlen(sql), 0, out, 1), 8);
    assert_string_equal(out, "");
}

static uint64_t digest(const char *sql)
{
    return sl_sql_digest((const uint8_t *)sql, strlen(sql), 0);
}

static void digests(void **state)
{
    char a[3000];
    char b[3000];

    assert_true(digest("SELECT 1") == digest("SELECT  'x' -- y"));
    assert_true(digest("SELECT a") != digest("SELECT b"));
    memset(a, 'a', sizeof(a) - 1);
    a[sizeof(a) - 1] = '\0';
    memcpy(b, a, sizeof(b));
    assert_true(digest(a) == digest(b));
    b[1000] = 'b';
    assert_true(digest(a) != digest(b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_forms),
        cmocka_unit_test(short_buffers_are_cut),
        cmocka_unit_test(digests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
