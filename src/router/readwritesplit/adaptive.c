/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adaptive routing: how long does a read take on each server?
 *
 *   statement  -> window of 9 samples per session and server -> its median
 *   at most every 250 ms a session folds the mean of its medians into the server's shared moving
 *   average
 *
 * The average's weight is 1/8 of the new value; when the new value is less than half the old one
 * the step is 1/2, so that a recovered server returns quickly. An estimate that nobody refreshes
 * fades by 1/8: otherwise a server that was slow once would never be asked again. Before the first
 * sample the monitor's round trip stands in.
 */
#include <stdlib.h>

#include "core/server.h"
#include "router/readwritesplit/rwsplit.h"

#define SYNC_MS 250

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void rws_adaptive_sample(struct rws *r, int position, uint64_t us)
{
    if (!r->samples) {
        return;
    }
    struct rws_samples *w = &r->samples[position];
    w->sample_us[w->count++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    if (w->count == RWS_SAMPLES) {
        qsort(w->sample_us, RWS_SAMPLES, sizeof w->sample_us[0], compare);
        w->median_sum_us += w->sample_us[RWS_SAMPLES / 2];
        w->median_count++;
        w->count = 0;
    }
}

static void fold(struct sl_server *server, uint64_t new_ns)
{
    uint64_t old = atomic_load_explicit(&server->average_ns, memory_order_relaxed);
    uint64_t next;
    if (old == 0) {
        next = new_ns;
    } else if (new_ns < old / 2) {
        next = (old + new_ns) / 2;
    } else {
        next = old - old / 8 + new_ns / 8;
    }
    atomic_store_explicit(&server->average_ns, next, memory_order_relaxed);
}

static void sync_server(struct sl_server *server, struct rws_samples *w)
{
    uint64_t old = atomic_load_explicit(&server->average_ns, memory_order_relaxed);
    if (w->median_count > 0) {
        fold(server, w->median_sum_us * 1000 / w->median_count);
        w->median_sum_us = 0;
        w->median_count = 0;
    } else if (old == 0) {
        fold(server, atomic_load_explicit(&server->ping_us, memory_order_relaxed) * 1000);
    } else if (w->count == 0) {
        atomic_store_explicit(&server->average_ns, old - old / 8, memory_order_relaxed);
    }
}

void rws_adaptive_sync(struct rws *r, uint64_t now_ms)
{
    if (!r->samples || now_ms - r->synced_ms < SYNC_MS) {
        return;
    }
    r->synced_ms = now_ms;
    for (unsigned i = 0; i < r->session->backend_count; i++) {
        sync_server(r->session->service->servers[i], &r->samples[i]);
    }
}
