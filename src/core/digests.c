/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements counted by their form; see the header.
 *
 * Invariants: each of rows[0..count-1] is in exactly one slot; no free slot lies between a row's
 * home slot and the slot that it is in.
 */
#include "core/digests.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define DIGESTS_LOOK 8 /* rows of which the oldest is thrown out */
#define TEXT_MIN 64

struct sl_digests *sl_digests_new(uint32_t capacity)
{
    sl_assert(capacity > 0 && capacity <= SL_DIGESTS_MAX);
    uint32_t slots = 4;
    while (slots < capacity * 2) {
        slots *= 2;
    }
    struct sl_digests *d = sl_calloc(1, sizeof *d);
    if (!d) {
        return NULL;
    }
    d->capacity = capacity;
    d->slot_mask = slots - 1;
    d->slots = sl_calloc(slots, sizeof *d->slots);
    d->rows = sl_calloc(capacity, sizeof *d->rows);
    if (!d->slots || !d->rows) {
        sl_digests_free(d);
        return NULL;
    }
    return d;
}

void sl_digests_free(struct sl_digests *d)
{
    if (!d) {
        return;
    }
    for (uint32_t i = 0; d->rows && i < d->capacity; i++) {
        sl_free(d->rows[i].text);
    }
    sl_free(d->rows);
    sl_free(d->slots);
    sl_free(d);
}

void sl_digests_reset(struct sl_digests *d)
{
    memset(d->slots, 0, (d->slot_mask + 1) * sizeof *d->slots);
    d->count = d->hand = 0;
    d->thrown_out = 0;
    d->others = (struct sl_digest_row){0};
}

static uint32_t home_of(const struct sl_digests *d, uint64_t hash, const char *service)
{
    uint64_t mixed = (hash ^ ((uintptr_t)service >> 4)) * UINT64_C(0x9E3779B185EBCA87);
    return (uint32_t)(mixed >> 32) & d->slot_mask;
}

/* The slot of the row, or the free one where it belongs. */
static uint32_t slot_of(const struct sl_digests *d, uint64_t hash, const char *service)
{
    uint32_t slot = home_of(d, hash, service);
    while (d->slots[slot] != 0) {
        const struct sl_digest_row *row = &d->rows[d->slots[slot] - 1];
        if (row->hash == hash && row->service == service) {
            break;
        }
        slot = (slot + 1) & d->slot_mask;
    }
    return slot;
}

/* Frees a slot and moves up those behind it that would not be found any more. */
static void free_slot(struct sl_digests *d, uint32_t hole)
{
    d->slots[hole] = 0;
    for (uint32_t i = (hole + 1) & d->slot_mask; d->slots[i] != 0; i = (i + 1) & d->slot_mask) {
        const struct sl_digest_row *row = &d->rows[d->slots[i] - 1];
        uint32_t home = home_of(d, row->hash, row->service);
        if (((i - home) & d->slot_mask) >= ((i - hole) & d->slot_mask)) {
            d->slots[hole] = d->slots[i];
            d->slots[i] = 0;
            hole = i;
        }
    }
}

void sl_digest_numbers_merge(struct sl_digest_numbers *to, const struct sl_digest_numbers *from)
{
    if (from->count == 0) {
        return;
    }
    to->first_us = to->count == 0 ? from->first_us : SL_MIN(to->first_us, from->first_us);
    to->last_us = SL_MAX(to->last_us, from->last_us);
    to->count += from->count;
    to->errors += from->errors;
    to->rows += from->rows;
    to->bytes += from->bytes;
    to->total_us += from->total_us;
    to->max_us = SL_MAX(to->max_us, from->max_us);
    sl_latency_merge(&to->latency, &from->latency);
}

/* A row that can be used anew. */
static uint32_t throw_out(struct sl_digests *d)
{
    uint32_t oldest = d->hand;
    for (uint32_t i = 0; i < DIGESTS_LOOK; i++) {
        uint32_t at = (d->hand + i) % d->capacity;
        if (d->rows[at].n.last_us < d->rows[oldest].n.last_us) {
            oldest = at;
        }
    }
    d->hand = (d->hand + DIGESTS_LOOK) % d->capacity;
    struct sl_digest_row *row = &d->rows[oldest];
    free_slot(d, slot_of(d, row->hash, row->service));
    sl_digest_numbers_merge(&d->others.n, &row->n);
    d->thrown_out++;
    return oldest;
}

/* Without memory there is none; the hash still tells the row apart. */
static void set_text(struct sl_digest_row *row, struct sl_slice text)
{
    uint32_t len = (uint32_t)SL_MIN(text.len, (size_t)SL_DIGEST_TEXT_MAX);
    if (len > row->text_capacity) {
        uint32_t capacity = TEXT_MIN;
        while (capacity < len) {
            capacity *= 2;
        }
        sl_free(row->text);
        row->text = sl_malloc(capacity);
        row->text_capacity = row->text ? capacity : 0;
    }
    row->text_len = row->text ? len : 0;
    row->is_cut = text.len > len;
    if (row->text_len > 0) {
        memcpy(row->text, text.data, len);
    }
}

uint32_t sl_digests_lookup(const struct sl_digests *d, uint64_t hash, const char *service)
{
    return d->slots[slot_of(d, hash, service)] - 1; /* a free slot gives SL_DIGESTS_NONE */
}

uint32_t sl_digests_find(struct sl_digests *d, uint64_t hash, const char *service,
                         struct sl_slice text, uint64_t now_us)
{
    uint32_t there = sl_digests_lookup(d, hash, service);
    if (there != SL_DIGESTS_NONE) {
        return there;
    }
    bool is_full = d->count == d->capacity;
    uint32_t at = is_full ? throw_out(d) : d->count;
    struct sl_digest_row *row = &d->rows[at];
    *row = (struct sl_digest_row){
        .hash = hash,
        .service = service,
        .n.last_us = now_us, /* or it would be the next one to go */
        .text = row->text,
        .text_capacity = row->text_capacity,
    };
    set_text(row, text);
    d->count += !is_full;
    d->slots[slot_of(d, hash, service)] = at + 1; /* throwing out may have moved the slot */
    return at;
}

void sl_digests_add(struct sl_digests *d, uint32_t row, uint64_t hash,
                    const struct sl_digest_sample *sample)
{
    bool is_there = row < d->count && d->rows[row].hash == hash;
    struct sl_digest_numbers *n = is_there ? &d->rows[row].n : &d->others.n;
    if (n->count++ == 0) {
        n->first_us = sample->now_us;
    }
    n->last_us = sample->now_us;
    n->errors += sample->is_error;
    n->rows += sample->rows;
    n->bytes += sample->bytes;
    n->total_us += sample->us;
    n->max_us = SL_MAX(n->max_us, sample->us);
    sl_latency_add(&n->latency, sample->us);
}
