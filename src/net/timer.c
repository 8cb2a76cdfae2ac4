/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers: a hierarchical wheel of 1 ms ticks.
 *
 * Time is read as a number with base-64 digits. A timer sits on the level of the highest digit in
 * which its expiry differs from the wheel's time, in the slot of its own digit there:
 *
 *   level 0   same up to the last digit: slot = the millisecond of its expiry, exact
 *   level 1   slot of 64 ms; spread over level 0 when the wheel's time enters it
 *   level n   slot of 64^n ms; spread over the lower levels likewise
 *
 * Invariants:
 *   I1  on each level only slots behind the wheel's own digit are in use, so nothing wraps around
 *   I2  the lowest occupied level holds the next thing to do, in its lowest occupied slot
 *   I3  a timer on a list has expires_ms != 0
 * Stopping only unlinks the timer; the slot's bit is cleared when the wheel next looks at it.
 * Owned by the loop and its thread.
 */
#include "net/timer_wheel.h"

#include "base/assert.h"
#include "net/loop_private.h"

/* Longer delays are cut to this (34 years), so that the highest level always suffices. */
static const uint64_t MAX_DELAY_MS = UINT64_C(1) << 40;

static unsigned digit(uint64_t ms, unsigned level)
{
    return (unsigned)(ms >> (level * SL_WHEEL_BITS)) & (SL_WHEEL_SLOTS - 1);
}

static unsigned level_of(uint64_t now_ms, uint64_t expires_ms)
{
    uint64_t differ = now_ms ^ expires_ms;
    return (unsigned)(63 - __builtin_clzll(differ)) / SL_WHEEL_BITS;
}

void sl_wheel_init(struct sl_wheel *w, uint64_t now_ms)
{
    w->now_ms = now_ms;
    for (unsigned level = 0; level < SL_WHEEL_LEVELS; level++) {
        w->occupied[level] = 0;
        for (unsigned slot = 0; slot < SL_WHEEL_SLOTS; slot++) {
            sl_list_init(&w->slots[level][slot]);
        }
    }
}

void sl_wheel_insert(struct sl_wheel *w, struct sl_timer *t, uint64_t expires_ms)
{
    if (expires_ms <= w->now_ms) {
        expires_ms = w->now_ms + 1;
    }
    unsigned level = level_of(w->now_ms, expires_ms);
    sl_assert(level < SL_WHEEL_LEVELS);
    unsigned slot = digit(expires_ms, level);
    t->expires_ms = expires_ms;
    w->occupied[level] |= UINT64_C(1) << slot;
    sl_list_append(&w->slots[level][slot], &t->node);
}

/* The lowest slot of the level that really holds a timer, or -1. */
static int first_slot(struct sl_wheel *w, unsigned level)
{
    while (w->occupied[level] != 0) {
        int slot = __builtin_ctzll(w->occupied[level]);
        if (!sl_list_is_empty(&w->slots[level][slot])) {
            return slot;
        }
        w->occupied[level] &= w->occupied[level] - 1;
    }
    return -1;
}

/* As sl_wheel_next_ms, and tells the slot. */
static uint64_t find_next(struct sl_wheel *w, unsigned *ret_level, unsigned *ret_slot)
{
    for (unsigned level = 0; level < SL_WHEEL_LEVELS; level++) {
        int slot = first_slot(w, level);
        if (slot >= 0) {
            unsigned shift = level * SL_WHEEL_BITS;
            uint64_t above = w->now_ms >> shift >> SL_WHEEL_BITS << SL_WHEEL_BITS;
            *ret_level = level;
            *ret_slot = (unsigned)slot;
            return (above | (uint64_t)slot) << shift;
        }
    }
    return UINT64_MAX;
}

uint64_t sl_wheel_next_ms(struct sl_wheel *w)
{
    unsigned level = 0, slot = 0;
    return find_next(w, &level, &slot);
}

void sl_wheel_advance(struct sl_wheel *w, uint64_t now_ms, struct sl_list *expired)
{
    unsigned level = 0, slot = 0;
    for (;;) {
        uint64_t next_ms = find_next(w, &level, &slot);
        if (next_ms > now_ms) {
            break;
        }
        sl_assert(next_ms > w->now_ms);
        w->now_ms = next_ms;
        struct sl_list *list = &w->slots[level][slot];
        while (!sl_list_is_empty(list)) {
            struct sl_list *node = sl_list_pop(list);
            struct sl_timer *t = SL_CONTAINER_OF(node, struct sl_timer, node);
            if (t->expires_ms <= next_ms) {
                sl_list_append(expired, node);
            } else {
                sl_wheel_insert(w, t, t->expires_ms);
            }
        }
    }
    if (now_ms > w->now_ms) {
        w->now_ms = now_ms;
    }
}

void sl_timer_init(struct sl_timer *t, void (*fire)(struct sl_timer *t, struct sl_loop *loop))
{
    sl_list_init(&t->node);
    t->expires_ms = 0;
    t->fire = fire;
}

void sl_timer_start(struct sl_loop *loop, struct sl_timer *t, uint64_t delay_ms)
{
    sl_list_remove(&t->node);
    sl_wheel_insert(&loop->wheel, t, sl_loop_now_ms(loop) + SL_MIN(delay_ms, MAX_DELAY_MS));
}

void sl_timer_stop(struct sl_timer *t)
{
    sl_list_remove(&t->node);
    t->expires_ms = 0;
}

bool sl_timer_is_running(const struct sl_timer *t)
{
    return t->expires_ms != 0;
}

void sl_timers_run(struct sl_loop *loop)
{
    /* Collected first, fired then: a timer may stop or restart any other one, on the list or
     * not. */
    struct sl_list expired;
    sl_list_init(&expired);
    sl_wheel_advance(&loop->wheel, sl_loop_now_ms(loop), &expired);
    while (!sl_list_is_empty(&expired)) {
        struct sl_timer *t = SL_CONTAINER_OF(sl_list_pop(&expired), struct sl_timer, node);
        t->expires_ms = 0;
        t->fire(t, loop);
    }
}
