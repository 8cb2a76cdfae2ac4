/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timer wheel behind sl_timer_start(): eight levels of 64 slots, one tick a millisecond.
 *
 * Private to src/net. Owned by one loop, used by its thread only. It has no clock of its own.
 */
#ifndef SL_NET_TIMER_WHEEL_H
#define SL_NET_TIMER_WHEEL_H

#include <stdint.h>

#include "base/list.h"
#include "net/loop.h"

enum {
    SL_WHEEL_BITS = 6,
    SL_WHEEL_SLOTS = 1 << SL_WHEEL_BITS,
    SL_WHEEL_LEVELS = 8
};

struct sl_wheel {
    uint64_t now_ms;                    /* every timer up to this tick has been collected */
    uint64_t occupied[SL_WHEEL_LEVELS]; /* a bit per slot; may be set for a slot emptied since */
    struct sl_list slots[SL_WHEEL_LEVELS][SL_WHEEL_SLOTS];
};

void sl_wheel_init(struct sl_wheel *w, uint64_t now_ms);

/* Puts a timer that is on no list into the wheel; it expires at `expires_ms`, or with the next tick
 * when that has passed. O(1). */
void sl_wheel_insert(struct sl_wheel *w, struct sl_timer *t, uint64_t expires_ms);

/* The next tick at which something must be done: a timer expires, or a slot of a higher level is
 * spread over the lower ones. UINT64_MAX when there is no timer. */
uint64_t sl_wheel_next_ms(struct sl_wheel *w);

/* Moves on to now_ms; the timers that expired meanwhile are appended to `expired`, in order. */
void sl_wheel_advance(struct sl_wheel *w, uint64_t now_ms, struct sl_list *expired);

#endif
