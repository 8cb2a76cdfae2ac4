/* SPDX-License-Identifier: Apache-2.0 */
/* Session command history: last copies, the limit with and without pruning, prepared statements,
 * results. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "core/history.h"
#include "proto/constants.h"

static size_t packet(uint8_t out[128], uint8_t command, const char *text)
{
    size_t len = strlen(text);
    sl_put_le24(out, (uint32_t)len + 1);
    out[3] = 0;
    out[4] = command;
    memcpy(out + 5, text, len);
    return len + 5;
}

static uint32_t add(struct sl_history *h, const char *text)
{
    uint8_t p[128];
    size_t len = packet(p, SL_COM_QUERY, text);
    struct sl_history_entry *e = sl_history_add(h, p, len, 0);
    return e ? e->id : 0;
}

static uint32_t add_prepare(struct sl_history *h, const char *text, uint32_t slot)
{
    uint8_t p[128];
    size_t len = packet(p, SL_COM_STMT_PREPARE, text);
    struct sl_history_entry *e = sl_history_add(h, p, len, slot);
    assert_non_null(e);
    assert_int_equal(e->command, SL_COM_STMT_PREPARE);
    return e->id;
}

static void expect(struct sl_history *h, const char *joined)
{
    char got[512] = "";
    size_t at = 0, bytes = 0;
    unsigned count = 0;
    SL_LIST_FOR_EACH (node, &h->entries) {
        struct sl_history_entry *e = SL_CONTAINER_OF(node, struct sl_history_entry, node);
        at += (size_t)snprintf(got + at, sizeof got - at, "%s%.*s", at ? "|" : "", (int)e->len - 5,
                               (const char *)e->packet + 5);
        bytes += sizeof *e + e->len;
        count++;
    }
    assert_string_equal(got, joined);
    assert_int_equal(h->bytes, bytes);
    assert_int_equal(h->total, count);
}

static void test_order_and_last_copies(void **state)
{
    struct sl_history h;
    sl_history_init(&h, 10, true);
    expect(&h, "");
    assert_int_equal(add(&h, "SET a=1"), 1);
    assert_int_equal(add(&h, "SET b=1"), 2);
    assert_int_equal(add(&h, "SET a=1"), 3);
    expect(&h, "SET b=1|SET a=1");
    add(&h, "SET A=1"); /* another text is another statement */
    expect(&h, "SET b=1|SET a=1|SET A=1");
    assert_int_equal(h.count, 3);
    assert_null(sl_history_find(&h, 1));
    assert_non_null(sl_history_find(&h, 3));
    sl_history_clear(&h);
    expect(&h, "");
    assert_int_equal(add(&h, "SET c=1"), 5); /* ids are never used again */
    sl_history_clear(&h);
}

static void test_same_text_of_another_command(void **state)
{
    struct sl_history h;
    uint8_t p[128];
    sl_history_init(&h, 10, true);
    add(&h, "db");
    size_t len = packet(p, SL_COM_INIT_DB, "db");
    assert_non_null(sl_history_add(&h, p, len, 0));
    assert_int_equal(h.count, 2);
    sl_history_clear(&h);
}

static void test_pruning(void **state)
{
    struct sl_history h;
    sl_history_init(&h, 3, true);
    add_prepare(&h, "SELECT 1", 1);
    for (unsigned i = 0; i < 20; i++) {
        char text[32];
        snprintf(text, sizeof text, "SET a=%u", i);
        assert_true(add(&h, text) > 0);
        assert_true(h.count <= 3);
    }
    expect(&h, "SELECT 1|SET a=17|SET a=18|SET a=19");
    assert_true(sl_history_is_recoverable(&h));
    sl_history_clear(&h);
}

static void test_limit_without_pruning(void **state)
{
    struct sl_history h;
    sl_history_init(&h, 2, false);
    add(&h, "SET a=1");
    add(&h, "SET b=1");
    add(&h, "SET a=1"); /* a copy takes no room */
    assert_true(sl_history_is_recoverable(&h));
    add(&h, "SET c=1");
    assert_false(sl_history_is_recoverable(&h));
    assert_int_equal(add(&h, "SET d=1"), 0);
    sl_history_clear(&h);
    assert_true(sl_history_is_recoverable(&h)); /* RESET CONNECTION, CHANGE USER */
    assert_true(add(&h, "SET d=1") > 0);
    sl_history_clear(&h);
}

static void test_limit_of_nothing(void **state)
{
    struct sl_history h;
    sl_history_init(&h, 0, true);
    assert_int_equal(add(&h, "SET a=1"), 0);
    expect(&h, "");
    assert_true(sl_history_is_recoverable(&h));
    add_prepare(&h, "SELECT 1", 1);
    assert_int_equal(h.total, 1);
    sl_history_clear(&h);
}

static void test_prepared(void **state)
{
    struct sl_history h;
    sl_history_init(&h, 10, true);
    uint32_t first = add_prepare(&h, "SELECT 1", 1);
    uint32_t second = add_prepare(&h, "SELECT 1", 2); /* the same text twice: two statements */
    assert_int_not_equal(first, second);
    assert_int_equal(h.count, 0);
    assert_int_equal(sl_history_find_slot(&h, 2)->id, second);
    assert_null(sl_history_find_slot(&h, 3));
    sl_history_close_slot(&h, 1);
    sl_history_close_slot(&h, 1);
    assert_null(sl_history_find_slot(&h, 1));
    expect(&h, "SELECT 1");
    sl_history_clear(&h);
}

static void test_results(void **state)
{
    struct sl_history h;
    sl_history_init(&h, 10, true);
    uint32_t id = add(&h, "SET a=1");
    assert_int_equal(sl_history_find(&h, id)->result, SL_HISTORY_PENDING);
    sl_history_result(&h, id, SL_HISTORY_ERR);
    assert_int_equal(sl_history_find(&h, id)->result, SL_HISTORY_ERR);
    sl_history_result(&h, 99, SL_HISTORY_OK); /* gone meanwhile: no harm */
    sl_history_clear(&h);
}

static void test_out_of_memory(void **state)
{
    struct sl_history h;
    sl_history_init(&h, 10, true);
    add(&h, "SET a=1");
    sl_mem_fail_after(1);
    assert_int_equal(add(&h, "SET b=1"), 0);
    sl_mem_fail_after(0);
    assert_false(sl_history_is_recoverable(&h)); /* an incomplete state must not be replayed */
    sl_history_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_last_copies),
        cmocka_unit_test(test_same_text_of_another_command),
        cmocka_unit_test(test_pruning),
        cmocka_unit_test(test_limit_without_pruning),
        cmocka_unit_test(test_limit_of_nothing),
        cmocka_unit_test(test_prepared),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
