/* SPDX-License-Identifier: Apache-2.0 */
/* Session command history; the rules are in the header. */
#include "core/history.h"

#include <string.h>

#include "base/assert.h"
#include "base/map.h"
#include "base/mem.h"

void sl_history_init(struct sl_history *h, uint32_t limit, bool prune)
{
    *h = (struct sl_history){.limit = limit, .prune = prune, .next_id = 1};
    sl_list_init(&h->entries);
}

static struct sl_history_entry *entry_of(struct sl_list *node)
{
    return SL_CONTAINER_OF(node, struct sl_history_entry, node);
}

static void drop(struct sl_history *h, struct sl_history_entry *e)
{
    sl_list_remove(&e->node);
    h->total--;
    h->count -= e->slot == 0;
    h->bytes -= sizeof *e + e->len;
    sl_free(e);
}

void sl_history_clear(struct sl_history *h)
{
    SL_LIST_FOR_EACH (node, &h->entries) {
        drop(h, entry_of(node));
    }
    h->is_lost = false;
}

/* An identical statement executed again replaces its old copy. */
static void drop_same(struct sl_history *h, uint64_t hash, const void *packet, size_t len)
{
    SL_LIST_FOR_EACH (node, &h->entries) {
        struct sl_history_entry *e = entry_of(node);
        if (e->slot == 0 && e->id >= h->pinned_below && e->hash == hash && e->len == len &&
            memcmp(e->packet, packet, len) == 0) {
            drop(h, e);
            return;
        }
    }
}

static void enforce_limit(struct sl_history *h)
{
    if (h->count <= h->limit) {
        return;
    }
    if (!h->prune) {
        h->is_lost = true;
        return;
    }
    SL_LIST_FOR_EACH (node, &h->entries) {
        struct sl_history_entry *e = entry_of(node);
        if (e->slot == 0) {
            drop(h, e);
            return;
        }
    }
}

struct sl_history_entry *sl_history_add(struct sl_history *h, const void *packet, size_t len,
                                        uint32_t slot)
{
    if (h->is_lost && slot == 0) {
        return NULL; /* texts of open statements are needed all the same */
    }
    uint64_t hash = sl_hash(packet, len);
    if (slot == 0) {
        drop_same(h, hash, packet, len);
    }
    struct sl_history_entry *e = sl_malloc(sizeof *e + len);
    if (!e) {
        h->is_lost = true;
        return NULL;
    }
    *e = (struct sl_history_entry){.id = h->next_id++,
                                   .slot = slot,
                                   .command = ((const uint8_t *)packet)[4],
                                   .result = SL_HISTORY_PENDING,
                                   .len = (uint32_t)len,
                                   .hash = hash};
    memcpy(e->packet, packet, len);
    sl_list_append(&h->entries, &e->node);
    h->total++;
    h->count += slot == 0;
    h->bytes += sizeof *e + len;
    uint32_t id = e->id;
    enforce_limit(h);
    return sl_history_find(h, id); /* a limit of 0 keeps nothing */
}

struct sl_history_entry *sl_history_find(struct sl_history *h, uint32_t id)
{
    /* The newest entries are asked for most. */
    for (struct sl_list *node = h->entries.prev; node != &h->entries; node = node->prev) {
        if (entry_of(node)->id == id) {
            return entry_of(node);
        }
    }
    return NULL;
}

void sl_history_result(struct sl_history *h, uint32_t id, enum sl_history_result result)
{
    struct sl_history_entry *e = sl_history_find(h, id);
    if (e) {
        e->result = (uint8_t)result;
    }
}

struct sl_history_entry *sl_history_find_slot(struct sl_history *h, uint32_t slot)
{
    sl_assert(slot != 0);
    SL_LIST_FOR_EACH (node, &h->entries) {
        if (entry_of(node)->slot == slot) {
            return entry_of(node);
        }
    }
    return NULL;
}

void sl_history_close_slot(struct sl_history *h, uint32_t slot)
{
    struct sl_history_entry *e = sl_history_find_slot(h, slot);
    if (e) {
        drop(h, e);
    }
}

bool sl_history_is_recoverable(const struct sl_history *h)
{
    return !h->is_lost;
}
