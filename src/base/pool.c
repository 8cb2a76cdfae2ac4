/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pool of equal objects: a list of free ones, linked through their own first bytes.
 *
 *   free_list -> [next|.......] -> [next|.......] -> NULL
 *
 * Owned and used by one thread. Invariants: free_count is the length of the list and <= keep;
 * used_count is the number handed out. Under AddressSanitizer the free objects are poisoned behind
 * the link, so that a use after sl_pool_put() is found as if the object had gone to the heap.
 */
#include "base/pool.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(ptr, size) ((void)(ptr), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(ptr, size) ((void)(ptr), (void)(size))
#endif

struct link {
    struct link *next;
};

void sl_pool_init(struct sl_pool *p, size_t object_size, size_t keep)
{
    sl_assert(object_size > 0);
    *p = (struct sl_pool){
        .object_size = SL_MAX(object_size, sizeof(struct link)),
        .keep = keep,
    };
}

static void *pop(struct sl_pool *p)
{
    struct link *l = p->free_list;
    p->free_list = l->next;
    p->free_count--;
    ASAN_UNPOISON_MEMORY_REGION(l, p->object_size);
    return l;
}

void *sl_pool_get_dirty(struct sl_pool *p)
{
    void *object = p->free_list ? pop(p) : sl_malloc(p->object_size);
    if (object) {
        p->used_count++;
    }
    return object;
}

void *sl_pool_get(struct sl_pool *p)
{
    void *object = sl_pool_get_dirty(p);
    if (object) {
        memset(object, 0, p->object_size);
    }
    return object;
}

void sl_pool_put(struct sl_pool *p, void *object)
{
    if (!object) {
        return;
    }
    sl_assert(p->used_count > 0);
    p->used_count--;
    if (p->free_count >= p->keep) {
        sl_free(object);
        return;
    }
    struct link *l = object;
    l->next = p->free_list;
    p->free_list = l;
    p->free_count++;
    ASAN_POISON_MEMORY_REGION((char *)object + sizeof(*l), p->object_size - sizeof(*l));
}

void sl_pool_clear(struct sl_pool *p)
{
    sl_assert(p->used_count == 0);
    while (p->free_list) {
        sl_free(pop(p));
    }
}
