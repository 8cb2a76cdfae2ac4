/* SPDX-License-Identifier: Apache-2.0 */
/* The intrusive list: order, removal (also twice and inside the loop). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int value;
    struct sl_list node;
};

static int sum(struct sl_list *head)
{
    int total = 0;
    SL_LIST_FOR_EACH (it, head) {
        total = total * 10 + SL_CONTAINER_OF(it, struct item, node)->value;
    }
    return total;
}

static void fill(struct sl_list *head, struct item items[3])
{
    sl_list_init(head);
    for (int i = 0; i < 3; i++) {
        items[i].value = i + 1;
        sl_list_init(&items[i].node);
        sl_list_append(head, &items[i].node);
    }
}

static void test_order(void **state)
{
    struct sl_list head;
    struct item items[3];
    fill(&head, items);
    assert_int_equal(sum(&head), 123);
    assert_ptr_equal(sl_list_pop(&head), &items[0].node);
    assert_int_equal(sum(&head), 23);
}

static void test_remove_twice(void **state)
{
    struct sl_list head;
    struct item items[3];
    fill(&head, items);
    sl_list_remove(&items[1].node);
    sl_list_remove(&items[1].node);
    assert_true(sl_list_is_empty(&items[1].node));
    assert_int_equal(sum(&head), 13);
}

static void test_remove_inside_the_loop(void **state)
{
    struct sl_list head;
    struct item items[3];
    fill(&head, items);
    SL_LIST_FOR_EACH (it, &head) {
        sl_list_remove(it);
    }
    assert_true(sl_list_is_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_remove_twice),
        cmocka_unit_test(test_remove_inside_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
