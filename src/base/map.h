/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash map from byte strings to pointers (xxHash, open addressing, grows at 3/4 load). Keys are
 * copied; values belong to the caller. One thread at a time, or read-only from any number.
 */
#ifndef SL_BASE_MAP_H
#define SL_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct sl_map_entry;
struct sl_map {
    struct sl_map_entry *entries;
    size_t capacity;
    size_t count;
    size_t deleted;
};

// clang-format off
#define SL_MAP_INIT {NULL, 0, 0, 0}
// clang-format on

/* NULL when absent. */
void *sl_map_get(const struct sl_map *m, struct sl_slice key);
/* Inserts or replaces; *ret_old (may be NULL) gets the replaced value or NULL. 0 or SL_ENOMEM. */
int sl_map_put(struct sl_map *m, struct sl_slice key, void *value, void **ret_old);
/* Removes and returns the value, or NULL. */
void *sl_map_remove(struct sl_map *m, struct sl_slice key);
/* Iteration in no particular order: *pos starts at 0; false at the end. No change meanwhile. */
bool sl_map_next(const struct sl_map *m, size_t *pos, struct sl_slice *ret_key, void **ret_value);
/* Frees table and keys, not the values. */
void sl_map_clear(struct sl_map *m);

/* Stable 64-bit hash of bytes (XXH3). */
uint64_t sl_hash(const void *data, size_t len);

#endif
