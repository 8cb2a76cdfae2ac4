/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive doubly linked circular list. The head is a node too; a node that is on no list points
 * to itself (after sl_list_init or sl_list_remove), so removing twice is harmless.
 */
#ifndef SL_BASE_LIST_H
#define SL_BASE_LIST_H

#include <stdbool.h>

#include "base/assert.h"

struct sl_list {
    struct sl_list *next;
    struct sl_list *prev;
};

static inline void sl_list_init(struct sl_list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool sl_list_is_empty(const struct sl_list *l)
{
    return l->next == l;
}

static inline void sl_list_append(struct sl_list *head, struct sl_list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void sl_list_remove(struct sl_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    sl_list_init(node);
}

/* Removes and returns the first node; the list must not be empty. */
static inline struct sl_list *sl_list_pop(struct sl_list *head)
{
    struct sl_list *node = head->next;
    sl_assert(node != head);
    sl_list_remove(node);
    return node;
}

/* Safe against removal of `it` inside the loop, not of its successor. */
#define SL_LIST_FOR_EACH(it, head)                                                                 \
    for (struct sl_list *it = (head)->next, *it##_next = it->next; it != (head);                   \
         it = it##_next, it##_next = it->next)

#endif
