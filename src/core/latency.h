/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A latency histogram: four buckets for each power of two of microseconds, so that a percentile is
 * off by a quarter of its value at most. Pure; one writer, no atomics.
 */
#ifndef SL_CORE_LATENCY_H
#define SL_CORE_LATENCY_H

#include <stdint.h>

#define SL_LATENCY_BUCKETS 124 /* up to 2^32 us, about 71 minutes; the last one takes the rest */

struct sl_latency {
    uint32_t count[SL_LATENCY_BUCKETS];
};

unsigned sl_latency_bucket(uint64_t us);
/* The smallest value of the bucket; that of SL_LATENCY_BUCKETS is the end of the last one. */
uint64_t sl_latency_bound(unsigned bucket);
void sl_latency_add(struct sl_latency *l, uint64_t us);
void sl_latency_merge(struct sl_latency *to, const struct sl_latency *from);
/* The value that `percent` of the values do not exceed, by interpolation, never above max_us. 0
 * without values. */
uint64_t sl_latency_percentile(const struct sl_latency *l, unsigned percent, uint64_t max_us);

#endif
