/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte buffers lent to connections while bytes are in flight, and the loop's lender of them.
 *
 *      data        data+start        data+end        data+cap
 *       | done      | bytes           | room          |
 *
 * Small ones come from pools of 4, 16 and 64 KiB, larger ones from the heap. A buffer without bytes
 * should be given back at once (sl_lent_release): that is what keeps idle connections small.
 * Private to src/net; one thread.
 */
#ifndef SL_NET_LENT_H
#define SL_NET_LENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"

enum {
    SL_LENT_CLASSES = 3
};

/* No buffer grows beyond this: one packet may be as large as the server's largest
 * max_allowed_packet (1 GiB, MariaDB's documentation of that variable), plus headers. */
#define SL_LENT_MAX ((uint32_t)0x42000000)

struct sl_lent {
    uint8_t *data;
    uint32_t start;
    uint32_t end;
    uint32_t cap;
};

struct sl_lender {
    struct sl_pool pools[SL_LENT_CLASSES];
};

void sl_lender_init(struct sl_lender *l);
void sl_lender_clear(struct sl_lender *l); /* every buffer must have come back */
/* Buffers out of the pools at the moment (larger ones are not counted). */
size_t sl_lender_used(const struct sl_lender *l);

static inline uint32_t sl_lent_len(const struct sl_lent *b)
{
    return b->end - b->start;
}

/* Makes room for `more` bytes behind the last one. 0 or SL_ENOMEM. Growing doubles, so that
 * collecting n bytes costs O(n). */
int sl_lent_reserve(struct sl_lender *l, struct sl_lent *b, size_t more);
/* 0 or SL_ENOMEM: nothing appended. */
int sl_lent_append(struct sl_lender *l, struct sl_lent *b, const void *data, size_t len);
/* Drops bytes from the front; gives the memory back when none is left. */
void sl_lent_consume(struct sl_lender *l, struct sl_lent *b, size_t len);
/* Gives the memory back. */
void sl_lent_release(struct sl_lender *l, struct sl_lent *b);

#endif
