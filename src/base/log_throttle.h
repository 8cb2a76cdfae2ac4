/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides whether a repeated log message is written. Internal to base/log.c (a file of its own so
 * that it can be tested with a clock of the test's choosing). Any thread.
 */
#ifndef SL_BASE_LOG_THROTTLE_H
#define SL_BASE_LOG_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

struct sl_log_throttle_limits {
    uint32_t count;       /* the count-th message within ... */
    uint32_t window_ms;   /* ... this time is the last one written ... */
    uint32_t suppress_ms; /* ... for so long */
};

struct sl_log_throttle_verdict {
    bool is_dropped;     /* say nothing */
    bool is_last;        /* say it, and that the following ones will be suppressed */
    uint64_t suppressed; /* messages of this kind that were dropped since the last one written */
};

/* Counts one message of the kind `key` at `now_ms` (monotonic). Any limit of 0 lets all pass. */
struct sl_log_throttle_verdict sl_log_throttle_check(const struct sl_log_throttle_limits *limits,
                                                     uint64_t key, uint64_t now_ms);

/* Forgets all counts. */
void sl_log_throttle_reset(void);

#endif
