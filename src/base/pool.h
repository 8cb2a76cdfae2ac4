/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pool of equally sized objects for one thread: a free list over sl_malloc. Objects are handed out
 * zeroed. At most `keep` free ones are kept; the rest goes back to the heap at once, so that memory
 * follows the load down.
 */
#ifndef SL_BASE_POOL_H
#define SL_BASE_POOL_H

#include <stddef.h>

struct sl_pool {
    size_t object_size;
    size_t keep;
    size_t free_count;
    size_t used_count;
    void *free_list;
};

void sl_pool_init(struct sl_pool *p, size_t object_size, size_t keep);
void *sl_pool_get(struct sl_pool *p);              /* NULL when memory is out */
void *sl_pool_get_dirty(struct sl_pool *p);        /* not zeroed: for byte buffers */
void sl_pool_put(struct sl_pool *p, void *object); /* NULL is a no-op */
void sl_pool_clear(struct sl_pool *p);             /* frees the free ones; none may be in use */

#endif
