/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How busy a loop is: the share of time spent outside epoll_wait over the last second, minute,
 * hour.
 *
 * A figure is finished with the first turn after its second is over; the loop wakes at least once a
 * second for that. The minute is the mean of the last 60 seconds, the hour that of the last 60
 * minutes. Loop's thread; readers use the relaxed counters.
 */
#include "base/assert.h"
#include "net/loop_private.h"

enum {
    SECOND_US = 1000 * 1000
};

static uint32_t mean(const uint32_t *values, uint32_t taken)
{
    uint32_t count = SL_MIN(taken, 60u);
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += values[i];
    }
    return count > 0 ? sum / count : 0;
}

static void publish(uint32_t *field, uint32_t value)
{
    __atomic_store_n(field, value, __ATOMIC_RELAXED);
}

static void finish_second(struct sl_loop *loop, uint64_t now_us)
{
    struct sl_load *load = &loop->load;
    uint64_t busy_us = loop->stats.busy_us - load->second_busy_us;
    uint64_t all_us = now_us - load->second_start_us;
    uint32_t pct = (uint32_t)SL_MIN(100 * busy_us / all_us, 100u);

    load->seconds_pct[load->second_count++ % 60] = pct;
    publish(&loop->stats.load_1s_pct, pct);
    publish(&loop->stats.load_1m_pct, mean(load->seconds_pct, load->second_count));
    if (load->second_count % 60 == 0) {
        load->minutes_pct[load->minute_count++ % 60] = loop->stats.load_1m_pct;
    }
    publish(&loop->stats.load_1h_pct, load->minute_count > 0
                                          ? mean(load->minutes_pct, load->minute_count)
                                          : loop->stats.load_1m_pct);
    load->second_start_us = now_us;
    load->second_busy_us = loop->stats.busy_us;
    SL_LOOP_COUNT(loop, tick, 1);
}

void sl_load_start(struct sl_loop *loop, uint64_t now_us)
{
    loop->load.second_start_us = now_us;
    loop->load.second_busy_us = loop->stats.busy_us;
}

void sl_load_turn(struct sl_loop *loop, uint64_t start_us, uint64_t end_us)
{
    uint64_t turn_us = end_us - start_us;
    SL_LOOP_COUNT(loop, busy_us, turn_us);
    if (turn_us > loop->stats.max_turn_us) {
        __atomic_store_n(&loop->stats.max_turn_us, turn_us, __ATOMIC_RELAXED);
    }
    if (end_us - loop->load.second_start_us >= SECOND_US) {
        finish_second(loop, end_us);
    }
}
