/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash map from byte strings to pointers: open addressing, linear probing, tombstones.
 *
 * Owns the table and the copies of the keys, never the values. One thread at a time (readers alone
 * may be many). Invariants:
 *   I1  capacity is 0 or a power of two;
 *   I2  count + deleted <= 3/4 of capacity, so that every probe ends at an empty entry;
 *   I3  an entry is empty (key NULL), deleted (key == &tombstone) or holds a key of its own.
 */
#include "base/map.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"

enum {
    CAPACITY_MIN = 8,
};

struct sl_map_entry {
    uint64_t hash;
    uint8_t *key;
    size_t key_len;
    void *value;
};

static uint8_t tombstone;

static inline bool is_used(const struct sl_map_entry *e)
{
    return e->key && e->key != &tombstone;
}

uint64_t sl_hash(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}

static struct sl_map_entry *find(const struct sl_map *m, struct sl_slice key, uint64_t hash)
{
    if (m->capacity == 0) {
        return NULL;
    }
    size_t mask = m->capacity - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct sl_map_entry *e = &m->entries[i];
        if (!e->key) {
            return NULL;
        }
        if (is_used(e) && e->hash == hash && sl_slice_equal(sl_slice(e->key, e->key_len), key)) {
            return e;
        }
    }
}

/* The first entry of the probe sequence that holds nothing. I2 says there is one. */
static struct sl_map_entry *find_room(struct sl_map_entry *entries, size_t capacity, uint64_t hash)
{
    size_t mask = capacity - 1;
    size_t i = hash & mask;
    while (is_used(&entries[i])) {
        i = (i + 1) & mask;
    }
    return &entries[i];
}

/* Room for one more. A table that is full of tombstones is rebuilt at its size. */
static int make_room(struct sl_map *m)
{
    if ((m->count + m->deleted + 1) * 4 <= m->capacity * 3) {
        return SL_OK;
    }
    size_t capacity = SL_MAX(m->capacity, (size_t)CAPACITY_MIN);
    if ((m->count + 1) * 2 > capacity) {
        capacity *= 2;
    }
    struct sl_map_entry *entries = sl_calloc(capacity, sizeof(*entries));
    if (!entries) {
        return SL_ENOMEM;
    }
    for (size_t i = 0; i < m->capacity; i++) {
        if (is_used(&m->entries[i])) {
            *find_room(entries, capacity, m->entries[i].hash) = m->entries[i];
        }
    }
    sl_free(m->entries);
    m->entries = entries;
    m->capacity = capacity;
    m->deleted = 0;
    return SL_OK;
}

void *sl_map_get(const struct sl_map *m, struct sl_slice key)
{
    const struct sl_map_entry *e = find(m, key, sl_hash(key.data, key.len));
    return e ? e->value : NULL;
}

static int insert(struct sl_map *m, struct sl_slice key, uint64_t hash, void *value)
{
    uint8_t *copy = sl_malloc(key.len);
    if (!copy) {
        return SL_ENOMEM;
    }
    if (make_room(m) != SL_OK) {
        sl_free(copy);
        return SL_ENOMEM;
    }
    if (key.len > 0) {
        memcpy(copy, key.data, key.len);
    }
    struct sl_map_entry *e = find_room(m->entries, m->capacity, hash);
    if (e->key) {
        m->deleted--;
    }
    *e = (struct sl_map_entry){.hash = hash, .key = copy, .key_len = key.len, .value = value};
    m->count++;
    return SL_OK;
}

int sl_map_put(struct sl_map *m, struct sl_slice key, void *value, void **ret_old)
{
    uint64_t hash = sl_hash(key.data, key.len);
    struct sl_map_entry *e = find(m, key, hash);
    if (ret_old) {
        *ret_old = e ? e->value : NULL;
    }
    if (e) {
        e->value = value;
        return SL_OK;
    }
    return insert(m, key, hash, value);
}

void *sl_map_remove(struct sl_map *m, struct sl_slice key)
{
    struct sl_map_entry *e = find(m, key, sl_hash(key.data, key.len));
    if (!e) {
        return NULL;
    }
    void *value = e->value;
    sl_free(e->key);
    *e = (struct sl_map_entry){.key = &tombstone};
    m->count--;
    m->deleted++;
    return value;
}

bool sl_map_next(const struct sl_map *m, size_t *pos, struct sl_slice *ret_key, void **ret_value)
{
    while (*pos < m->capacity) {
        const struct sl_map_entry *e = &m->entries[(*pos)++];
        if (!is_used(e)) {
            continue;
        }
        if (ret_key) {
            *ret_key = sl_slice(e->key, e->key_len);
        }
        if (ret_value) {
            *ret_value = e->value;
        }
        return true;
    }
    return false;
}

void sl_map_clear(struct sl_map *m)
{
    for (size_t i = 0; i < m->capacity; i++) {
        if (is_used(&m->entries[i])) {
            sl_free(m->entries[i].key);
        }
    }
    sl_free(m->entries);
    *m = (struct sl_map)SL_MAP_INIT;
}
