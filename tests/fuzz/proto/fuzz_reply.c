/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reply tracker on anything: byte 0 is the command, byte 1 the modes and how the rest is cut.
 * Checks: consumed <= given; progress once `need` bytes are there; the cuts do not change the
 * outcome.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "proto/ok.h"
#include "proto/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void on_state(void *arg, struct sl_slice block)
{
    struct sl_state_iter it = sl_state_iter(block);
    struct sl_state_record rec;
    size_t *sum = arg;
    while (sl_state_next(&it, &rec)) {
        *sum += rec.name.len + rec.value.len;
    }
}

static void on_error(void *arg, const struct sl_reply *r, struct sl_slice message)
{
    size_t *sum = arg;
    *sum += message.len + r->error_code;
}

static void start(struct sl_reply *r, uint8_t command, uint8_t modes, size_t *sum)
{
    memset(r, 0, sizeof(*r));
    r->deprecate_eof = modes & 1;
    r->session_track = modes & 2;
    r->cache_metadata = modes & 4;
    r->on_state = on_state;
    r->on_error = on_error;
    r->arg = sum;
    sl_reply_start(r, command);
}

/* `step` 0: all at once; else pieces of 1..step bytes, by a small generator. */
static size_t run(struct sl_reply *r, const uint8_t *data, size_t len, unsigned step)
{
    size_t at = 0;
    size_t seen = 0;
    uint32_t random = step;
    while (r->state != SL_REPLY_DONE && r->state != SL_REPLY_BROKEN && seen < len) {
        size_t more = len;
        size_t used;
        uint8_t *copy;
        if (step > 0) {
            random = random * 1664525 + 1013904223;
            more = 1 + (random >> 16) % step;
        }
        seen = more > len - seen ? len : seen + more;
        do {
            size_t have = seen - at;
            uint8_t before = r->state;
            copy = malloc(have > 0 ? have : 1);
            memcpy(copy, data + at, have);
            used = sl_reply_feed(r, copy, have);
            free(copy);
            sl_assert(used <= have);
            at += used;
            if (r->state == SL_REPLY_INFILE) {
                sl_reply_infile_sent(r);
                continue;
            }
            if (before != SL_REPLY_DONE && r->state != SL_REPLY_DONE &&
                r->state != SL_REPLY_BROKEN) {
                sl_assert(r->need > have - used);
            }
            break;
        } while (at < seen);
    }
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct sl_reply whole, cut;
    size_t sum_whole = 0;
    size_t sum_cut = 0;
    size_t used;
    if (len < 2) {
        return 0;
    }
    start(&whole, data[0], data[1], &sum_whole);
    used = run(&whole, data + 2, len - 2, 0);
    start(&cut, data[0], data[1], &sum_cut);
    sl_assert(run(&cut, data + 2, len - 2, 1 + data[1] / 8) == used);
    sl_assert(whole.state == cut.state && whole.kind == cut.kind && whole.rows == cut.rows);
    sl_assert(whole.next_seq == cut.next_seq && whole.bytes == cut.bytes && whole.bytes == used);
    sl_assert(whole.units == cut.units && whole.status == cut.status && whole.skip == cut.skip);
    sl_assert(whole.broken_why == cut.broken_why && sum_whole == sum_cut);
    return 0;
}
