/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of statements: each must be among those given. Names too many are allowed by the
 * contract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "sql/classify.h"

struct found {
    char text[1024];
    size_t stop_after;
    size_t count;
};

static bool collect(void *arg, struct sl_slice db, struct sl_slice table)
{
    struct found *f = arg;
    const size_t used = strlen(f->text);

    snprintf(f->text + used, sizeof(f->text) - used, "%.*s%s%.*s ", (int)db.len,
             db.data != NULL ? (const char *)db.data : "", db.len > 0 ? "." : "", (int)table.len,
             (const char *)table.data);
    f->count++;
    return f->stop_after == 0 || f->count < f->stop_after;
}

static void tables_are_found(void **state)
{
    static const struct {
        const char *sql;
        const char *tables; /* a blank behind each */
    } rows[] = {
        {"SELECT 1", ""},
        {"SELECT * FROM t", "t "},
        {"SELECT * FROM db.t", "db.t "},
        {"SELECT * FROM `d b`.`t t` WHERE a = 1", "d b.t t "},
        {"SELECT * FROM a, b AS x, c y WHERE d IN (1, 2), e", "a b c "},
        {"SELECT * FROM a JOIN b ON a.x = b.x LEFT JOIN d.c USING (x)", "a b d.c "},
        {"SELECT * FROM (SELECT * FROM a) x, b", "a b "},
        {"SELECT * FROM (a, b) JOIN c", "a b c "},
        {"SELECT * FROM a WHERE x IN (SELECT y FROM b WHERE z = 1)", "a b "},
        {"SELECT a FROM t UNION SELECT b FROM u", "t u "},
        {"SELECT * FROM a STRAIGHT_JOIN b", "a b "},
        {"SELECT * FROM t FOR UPDATE", "t "},
        {"SELECT NEXT VALUE FOR s", "s "},
        {"INSERT INTO t (a, b) VALUES (1, 2)", "t "},
        {"INSERT IGNORE t VALUES (1) ON DUPLICATE KEY UPDATE a = 1", "t "},
        {"INSERT INTO t SELECT * FROM u", "t u "},
        {"REPLACE INTO d.t SET a = 1", "d.t "},
        {"UPDATE a, b SET a.x = b.x, a.y = 1 WHERE a.i = 1", "a b "},
        {"UPDATE LOW_PRIORITY t SET a = 1", "t "},
        {"DELETE FROM t WHERE a = 1", "t "},
        {"DELETE a, b FROM a JOIN b", "a b a b "},
        {"DELETE QUICK FROM a USING a JOIN b", "a a b "},
        {"CREATE TEMPORARY TABLE IF NOT EXISTS d.t (a INT)", "d.t "},
        {"CREATE TEMPORARY TABLE t LIKE u", "t u "},
        {"CREATE OR REPLACE TEMPORARY TABLE t AS SELECT 1", "t "},
        {"CREATE OR REPLACE SEQUENCE s", "s "},
        {"REPLACE t VALUES (1)", "t "},
        {"CREATE TABLE t AS SELECT * FROM u", "t u "},
        {"DROP TEMPORARY TABLE IF EXISTS a, d.b, c", "a d.b c "},
        {"DROP TABLE a", "a "},
        {"ALTER TABLE t ADD a INT", "t "},
        {"RENAME TABLE a TO b, c TO d", "a b c d "},
        {"TRUNCATE t", "t "},
        {"TRUNCATE TABLE t", "t "},
        {"LOAD DATA INFILE 'x' INTO TABLE t", "t "},
        {"LOCK TABLES a READ, b WRITE", "a b "},
        {"DESCRIBE t", "t "},
        {"EXPLAIN SELECT * FROM t", "t "},
        {"SHOW COLUMNS FROM t", "t "},
        {"SHOW CREATE TABLE t", "t "},
        {"HANDLER t OPEN", "t "},
        {"CREATE INDEX i ON t (a)", "t "},
        {"SELECT 1; SELECT * FROM t", "t "},
        {"SELECT * FROM text, json", "text json "},
        {"SELECT t.* FROM t", "t "},
        {"WITH a AS (SELECT * FROM b) SELECT * FROM c", "b c "},
        {"SELECT * FROM JSON_TABLE('[]', '$' COLUMNS (a INT PATH '$')) j, t", "t "},
        {"SELECT * FROM { OJ a LEFT JOIN b ON a.x = b.x }, c", "a b c "},
        {"SELECT REPLACE(a, 'x', 'y'), b FROM t", "t "},
        {"SELECT TRUNCATE(a, 1), INSERT(b, 1, 2, c) FROM t", "t "},
        {"SELECT 'FROM x'", ""},
        {"SELECT * FROM /* FROM x */ t -- JOIN y", "t "},
        {"SELECT * FROM", ""},
        {"SELECT * FROM t.", "t "},
    };

    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        struct found f = {.text = ""};
        const char *sql = rows[i].sql;
        assert_true(sl_sql_tables((const uint8_t *)sql, strlen(sql), 0, collect, &f));
        if (strcmp(f.text, rows[i].tables) != 0) {
            print_error("%s: \"%s\" not \"%s\"\n", sql, f.text, rows[i].tables);
        }
        assert_string_equal(f.text, rows[i].tables);
    }
}

static void modes_count(void **state)
{
    struct found f = {.text = ""};
    const char *sql = "SELECT * FROM \"t\"";

    assert_true(sl_sql_tables((const uint8_t *)sql, strlen(sql), SL_SQL_ANSI_QUOTES, collect, &f));
    assert_string_equal(f.text, "t ");
}

static void stops_when_told(void **state)
{
    struct found f = {.text = "", .stop_after = 2};
    const char *sql = "SELECT * FROM a, b, c";

    assert_false(sl_sql_tables((const uint8_t *)sql, strlen(sql), 0, collect, &f));
    assert_string_equal(f.text, "a b ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_found),
        cmocka_unit_test(modes_count),
        cmocka_unit_test(stops_when_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
