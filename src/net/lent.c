/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lent buffers: see lent.h.
 *
 * Invariant: cap is 0 (no memory), one of the class sizes (memory of that pool), or more than the
 * largest class (memory of the heap); so cap alone says where to give it back.
 */
#include "net/lent.h"

#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"

/* keep: about 1 to 2 MiB a class and worker stay with the pool when traffic calms down. */
static const struct {
    uint32_t size;
    uint32_t keep;
} CLASSES[SL_LENT_CLASSES] = {
    {4 * 1024, 256},
    {16 * 1024, 64},
    {64 * 1024, 32},
};

void sl_lender_init(struct sl_lender *l)
{
    for (unsigned i = 0; i < SL_LENT_CLASSES; i++) {
        sl_pool_init(&l->pools[i], CLASSES[i].size, CLASSES[i].keep);
    }
}

void sl_lender_clear(struct sl_lender *l)
{
    for (unsigned i = 0; i < SL_LENT_CLASSES; i++) {
        sl_pool_clear(&l->pools[i]);
    }
}

size_t sl_lender_used(const struct sl_lender *l)
{
    size_t used = 0;
    for (unsigned i = 0; i < SL_LENT_CLASSES; i++) {
        used += l->pools[i].used_count;
    }
    return used;
}

static unsigned class_for(uint32_t size)
{
    unsigned i = 0;
    while (i < SL_LENT_CLASSES && CLASSES[i].size < size) {
        i++;
    }
    return i;
}

void sl_lent_release(struct sl_lender *l, struct sl_lent *b)
{
    if (b->cap != 0) {
        unsigned i = class_for(b->cap);
        if (i < SL_LENT_CLASSES) {
            sl_pool_put(&l->pools[i], b->data);
        } else {
            sl_free(b->data);
        }
    }
    *b = (struct sl_lent){NULL, 0, 0, 0};
}

/* Replaces the memory by one of at least `need` bytes. */
static int grow(struct sl_lender *l, struct sl_lent *b, uint32_t need)
{
    uint32_t len = sl_lent_len(b);
    struct sl_lent bigger = {NULL, 0, len, 0};
    need = SL_MAX(need, b->cap + 1);
    unsigned i = class_for(need);
    if (i < SL_LENT_CLASSES) {
        bigger.cap = CLASSES[i].size;
        bigger.data = sl_pool_get_dirty(&l->pools[i]);
    } else {
        bigger.cap = SL_MIN(SL_MAX(need, 2 * b->cap), SL_LENT_MAX);
        bigger.data = sl_malloc(bigger.cap);
    }
    if (bigger.data == NULL) {
        return SL_ENOMEM;
    }
    if (len > 0) {
        memcpy(bigger.data, b->data + b->start, len);
    }
    sl_lent_release(l, b);
    *b = bigger;
    return SL_OK;
}

int sl_lent_reserve(struct sl_lender *l, struct sl_lent *b, size_t more)
{
    if (more <= b->cap - b->end) {
        return SL_OK;
    }
    uint32_t len = sl_lent_len(b);
    if (more > SL_LENT_MAX - len) {
        return SL_ENOMEM;
    }
    uint32_t need = len + (uint32_t)more;
    /* Moving to the front pays only when it frees at least as much as it moves; else O(n) is
     * lost. */
    if (need <= b->cap && b->start >= len) {
        memmove(b->data, b->data + b->start, len);
        b->start = 0;
        b->end = len;
        return SL_OK;
    }
    return grow(l, b, need);
}

int sl_lent_append(struct sl_lender *l, struct sl_lent *b, const void *data, size_t len)
{
    int rc = sl_lent_reserve(l, b, len);
    if (rc == SL_OK && len > 0) {
        memcpy(b->data + b->end, data, len);
        b->end += (uint32_t)len;
    }
    return rc;
}

void sl_lent_consume(struct sl_lender *l, struct sl_lent *b, size_t len)
{
    sl_assert(len <= sl_lent_len(b));
    b->start += (uint32_t)len;
    if (b->start == b->end) {
        sl_lent_release(l, b);
    }
}
