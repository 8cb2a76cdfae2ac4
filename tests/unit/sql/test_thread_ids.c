/* SPDX-License-Identifier: Apache-2.0 */
/* Which statements show ids of server threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/slice.h"
#include "sql/thread_ids.h"

#define OWN SL_SQL_THREAD_IDS_OWN
#define LIST SL_SQL_THREAD_IDS_LIST

static const struct {
    const char *sql;
    unsigned ids;
} cases[] = {
    {"", 0},
    {"_", 0},
    {"SELECT 1", 0},
    {"SELECT c FROM sbtest1 WHERE id=50", 0},
    {"SELECT connection_name, row_id, object_schema FROM t", 0},
    {"SELECT CONNECTION_ID()", OWN},
    {"select connection_id ( ), 1", OWN},
    {"SELECT 1 WHERE a_b = Connection_Id()", OWN},
    {"SELECT @@pseudo_thread_id", OWN},
    {"SELECT @@session.PSEUDO_THREAD_ID", OWN},
    {"SELECT thread_id FROM t", 0},
    {"SELECT connection_i", 0},
    {"SHOW PROCESSLIST", LIST},
    {" \n show full processlist", LIST},
    {"SHOW TABLES LIKE 'connection'", 0},
    {"SELECT 'SHOW PROCESSLIST'", 0},
    {"SELECT id FROM information_schema.processlist", LIST},
    {"SELECT id FROM `INFORMATION_SCHEMA`.`PROCESSLIST`", LIST},
    {"SELECT id FROM information_schema.tables", 0},
    {"SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID()", OWN | LIST},
};

static void test_cases(void **state)
{
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_slice sql = sl_slice_text(cases[i].sql);
        unsigned ids = sl_sql_thread_ids(sql.data, sql.len);
        if (ids != cases[i].ids) {
            fail_msg("%s: %u instead of %u", cases[i].sql, ids, cases[i].ids);
        }
    }
}

/* Only so many bytes are looked at, and none behind the end. */
static void test_bounds(void **state)
{
    static const char tail[] = " CONNECTION_ID()";
    uint8_t sql[SL_SQL_THREAD_IDS_MAX + sizeof tail];
    memset(sql, 'x', sizeof sql);
    memcpy(sql + SL_SQL_THREAD_IDS_MAX, tail, sizeof tail - 1);
    assert_int_equal(sl_sql_thread_ids(sql, sizeof sql), 0);
    memcpy(sql + SL_SQL_THREAD_IDS_MAX - 14, tail, sizeof tail - 1);
    assert_int_equal(sl_sql_thread_ids(sql, sizeof sql), OWN);
    for (size_t len = 0; len < 13; len++) { /* "CONNECTION_ID" cut anywhere */
        uint8_t *cut = test_malloc(len + 1);
        memcpy(cut, tail + 1, len);
        assert_int_equal(sl_sql_thread_ids(cut, len), 0);
        test_free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
