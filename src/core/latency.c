/* SPDX-License-Identifier: Apache-2.0 */
/* Latency histograms; see the header. */
#include "core/latency.h"

#include "base/assert.h"

#define SUB_BITS 2
#define SUB (1u << SUB_BITS) /* buckets for each power of two */

unsigned sl_latency_bucket(uint64_t us)
{
    if (us < SUB) {
        return (unsigned)us;
    }
    unsigned exponent = 63u - (unsigned)__builtin_clzll(us);
    unsigned bucket =
        (exponent - SUB_BITS + 1) * SUB + (unsigned)((us >> (exponent - SUB_BITS)) & (SUB - 1));
    return SL_MIN(bucket, SL_LATENCY_BUCKETS - 1u);
}

uint64_t sl_latency_bound(unsigned bucket)
{
    if (bucket < SUB) {
        return bucket;
    }
    unsigned shift = bucket / SUB - 1;
    return (uint64_t)(SUB + bucket % SUB) << shift;
}

void sl_latency_add(struct sl_latency *l, uint64_t us)
{
    l->count[sl_latency_bucket(us)]++;
}

void sl_latency_merge(struct sl_latency *to, const struct sl_latency *from)
{
    for (unsigned i = 0; i < SL_LATENCY_BUCKETS; i++) {
        to->count[i] += from->count[i];
    }
}

uint64_t sl_latency_percentile(const struct sl_latency *l, unsigned percent, uint64_t max_us)
{
    uint64_t total = 0, below = 0;
    for (unsigned i = 0; i < SL_LATENCY_BUCKETS; i++) {
        total += l->count[i];
    }
    uint64_t wanted = (total * percent + 99) / 100;
    for (unsigned i = 0; total > 0 && i < SL_LATENCY_BUCKETS; i++) {
        if (below + l->count[i] >= wanted && l->count[i] > 0) {
            uint64_t from = sl_latency_bound(i);
            uint64_t width = sl_latency_bound(i + 1) - from;
            uint64_t value = from + width * (wanted - below) / l->count[i];
            return SL_MIN(value, max_us);
        }
        below += l->count[i];
    }
    return 0;
}
