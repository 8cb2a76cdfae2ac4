/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements counted by their form: a hash table of fixed size, one per worker and written by it
 * alone. Pure.
 *
 * When the table is full, the row that was not used for longest among DIGESTS_LOOK makes room, and
 * what it counted goes to the row `others`: sums stay right whatever is thrown out. Rows are only
 * read by the worker itself, which copies them for whoever asks (inspect.c).
 */
#ifndef SL_CORE_DIGESTS_H
#define SL_CORE_DIGESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "core/latency.h"

#define SL_DIGESTS_MAX 10000    /* of one worker, whatever the setting says */
#define SL_DIGEST_TEXT_MAX 1024 /* bytes kept of a form */
#define SL_DIGESTS_NONE UINT32_MAX

struct sl_digest_numbers {
    uint64_t count;
    uint64_t errors;
    uint64_t rows;  /* of result sets */
    uint64_t bytes; /* of replies */
    uint64_t total_us;
    uint64_t max_us;
    uint64_t first_us; /* monotonic; first and last use */
    uint64_t last_us;
    struct sl_latency latency;
};

struct sl_digest_row {
    uint64_t hash;
    const char *service; /* name; outlives the table; NULL: of `others` */
    struct sl_digest_numbers n;
    uint32_t text_len;
    uint32_t text_capacity;
    bool is_cut;
    char *text;
};

struct sl_digests {
    uint32_t capacity;
    uint32_t count;
    uint32_t slot_mask;
    uint32_t hand;   /* where the search for a row to throw out goes on */
    uint32_t *slots; /* row + 1, 0 = free; linear probing */
    struct sl_digest_row *rows;
    struct sl_digest_row others;
    uint64_t thrown_out;
};

/* One statement that has ended. */
struct sl_digest_sample {
    uint64_t us;
    uint64_t now_us;
    uint64_t rows;
    uint64_t bytes;
    bool is_error;
};

/* NULL when memory is out. capacity: 1 to SL_DIGESTS_MAX. */
struct sl_digests *sl_digests_new(uint32_t capacity);
void sl_digests_free(struct sl_digests *d);
/* Forgets all rows. */
void sl_digests_reset(struct sl_digests *d);

/* Index of the row, which is made if it is not there. */
uint32_t sl_digests_find(struct sl_digests *d, uint64_t hash, const char *service,
                         struct sl_slice text, uint64_t now_us);
/* The same, but SL_DIGESTS_NONE if it is not there. */
uint32_t sl_digests_lookup(const struct sl_digests *d, uint64_t hash, const char *service);
/* Counts it in the row, or in `others` if the row has become another one meanwhile. */
void sl_digests_add(struct sl_digests *d, uint32_t row, uint64_t hash,
                    const struct sl_digest_sample *sample);

void sl_digest_numbers_merge(struct sl_digest_numbers *to, const struct sl_digest_numbers *from);

#endif
