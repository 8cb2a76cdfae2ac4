/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Throttling of repeated log messages.
 *
 * Owns one fixed table of recent kinds of messages, guarded by a mutex: it is taken for errors and
 * warnings only, never while writing. Any thread. The table is a set of small buckets; a new kind
 * takes the place of the one in its bucket that began its window first, so memory is bounded and a
 * flood of different messages costs at worst a few unthrottled lines.
 *
 * Life of a kind: counting (window_start .. window_start + window_ms) -> suppressed until quiet_end
 * -> counting again.
 */
#include "base/log_throttle.h"

#include <pthread.h>
#include <string.h>

enum {
    BUCKET_COUNT = 128,
    BUCKET_SLOTS = 4,
};

struct slot {
    uint64_t key; /* 0: free */
    uint64_t window_start;
    uint64_t quiet_end; /* 0: not suppressed */
    uint64_t suppressed;
    uint32_t count;
};

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot table[BUCKET_COUNT][BUCKET_SLOTS];

/* The slot of the key, emptied for it if it had none. */
static struct slot *find(uint64_t key, uint64_t now_ms)
{
    struct slot *bucket = table[key % BUCKET_COUNT];
    struct slot *oldest = &bucket[0];
    for (int i = 0; i < BUCKET_SLOTS; i++) {
        if (bucket[i].key == key) {
            return &bucket[i];
        }
        if (bucket[i].window_start < oldest->window_start) {
            oldest = &bucket[i];
        }
    }
    *oldest = (struct slot){.key = key, .window_start = now_ms};
    return oldest;
}

static struct sl_log_throttle_verdict count_one(const struct sl_log_throttle_limits *limits,
                                                struct slot *s, uint64_t now_ms)
{
    struct sl_log_throttle_verdict verdict = {0};
    if (now_ms < s->quiet_end) {
        s->suppressed++;
        verdict.is_dropped = true;
        return verdict;
    }
    if (s->quiet_end > 0 || now_ms - s->window_start >= limits->window_ms) {
        s->window_start = now_ms;
        s->quiet_end = 0;
        s->count = 0;
    }
    s->count++;
    verdict.suppressed = s->suppressed;
    s->suppressed = 0;
    if (s->count >= limits->count) {
        s->quiet_end = now_ms + limits->suppress_ms;
        verdict.is_last = true;
    }
    return verdict;
}

struct sl_log_throttle_verdict sl_log_throttle_check(const struct sl_log_throttle_limits *limits,
                                                     uint64_t key, uint64_t now_ms)
{
    if (limits->count == 0 || limits->window_ms == 0 || limits->suppress_ms == 0) {
        return (struct sl_log_throttle_verdict){0};
    }
    key += key == 0; /* 0 marks a free slot */
    pthread_mutex_lock(&table_lock);
    struct sl_log_throttle_verdict verdict = count_one(limits, find(key, now_ms), now_ms);
    pthread_mutex_unlock(&table_lock);
    return verdict;
}

void sl_log_throttle_reset(void)
{
    pthread_mutex_lock(&table_lock);
    memset(table, 0, sizeof(table));
    pthread_mutex_unlock(&table_lock);
}
