/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of one transaction; see the header. Owns its pages. Runs on the session's worker. */
#include "router/readwritesplit/replay_log.h"

#include <string.h>
#include <strings.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "proto/packet.h"

struct rws_page {
    struct rws_page *older;
    size_t used; /* of data */
    size_t size; /* of the whole page */
    uint8_t data[] __attribute__((aligned(16)));
};

void rws_log_init(struct rws_log *log, struct sl_pool *pool, size_t page_size, size_t limit)
{
    *log = (struct rws_log){.pool = pool, .page_size = page_size, .limit = limit};
}

/* ---- pages ---- */

static size_t room_of(const struct rws_page *page)
{
    return page->size - sizeof *page - page->used;
}

static struct rws_page *new_page(struct rws_log *log, size_t wanted)
{
    bool is_pooled = sizeof(struct rws_page) + wanted <= log->page_size;
    size_t size = is_pooled ? log->page_size : sizeof(struct rws_page) + wanted;
    struct rws_page *page = is_pooled ? sl_pool_get_dirty(log->pool) : sl_malloc(size);
    if (!page) {
        return NULL;
    }
    *page = (struct rws_page){.older = log->pages, .size = size};
    log->pages = page;
    log->memory += size;
    return page;
}

static void drop_page(struct rws_log *log)
{
    struct rws_page *page = log->pages;
    log->pages = page->older;
    log->memory -= page->size;
    if (page->size == log->page_size) {
        sl_pool_put(log->pool, page);
    } else {
        sl_free(page);
    }
}

/* ---- entries ---- */

static size_t size_of(size_t packet_len)
{
    return (sizeof(struct rws_log_entry) + packet_len + 15) & ~(size_t)15;
}

bool rws_log_has_room(const struct rws_log *log, size_t len)
{
    return len <= log->limit && log->bytes <= log->limit - len;
}

int rws_log_add(struct rws_log *log, const void *packet, size_t len, struct rws_log_entry **ret)
{
    size_t size = size_of(len);
    if (!rws_log_has_room(log, len)) {
        return SL_ELIMIT;
    }
    struct rws_page *page = log->pages;
    if (!page || room_of(page) < size) {
        page = new_page(log, size);
    }
    if (!page) {
        return SL_ENOMEM;
    }
    struct rws_log_entry *e = (struct rws_log_entry *)(page->data + page->used);
    page->used += size;
    *e = (struct rws_log_entry){.prev = log->last,
                                .len = (uint32_t)len,
                                .command = ((const uint8_t *)packet)[4],
                                .page = page};
    memcpy(e->packet, packet, len);
    *(log->last ? &log->last->next : &log->first) = e;
    log->last = e;
    log->count++;
    log->bytes += len;
    *ret = e;
    return SL_OK;
}

void rws_log_drop_last(struct rws_log *log)
{
    struct rws_log_entry *e = log->last;
    sl_assert(e != NULL && e->page == log->pages);
    log->last = e->prev;
    *(log->last ? &log->last->next : &log->first) = NULL;
    log->count--;
    log->bytes -= e->len;
    log->pages->used -= size_of(e->len);
    if (log->pages->used == 0) {
        drop_page(log);
    }
}

void rws_log_clear(struct rws_log *log)
{
    while (log->pages) {
        drop_page(log);
    }
    log->first = log->last = NULL;
    log->count = 0;
    log->bytes = 0;
}

/* ---- checksums ---- */

struct rws_hash {
    XXH3_state_t *state; /* aligned as it must be, within `memory` */
    uint8_t memory[sizeof(XXH3_state_t) + 64];
};

struct rws_hash *rws_hash_new(void)
{
    struct rws_hash *h = sl_malloc(sizeof *h);
    if (h) {
        h->state = (XXH3_state_t *)(((uintptr_t)h->memory + 63) & ~(uintptr_t)63);
        XXH3_INITSTATE(h->state);
        rws_hash_start(h);
    }
    return h;
}

void rws_hash_free(struct rws_hash *h)
{
    sl_free(h);
}

void rws_hash_start(struct rws_hash *h)
{
    XXH3_128bits_reset(h->state);
}

void rws_hash_add(struct rws_hash *h, const void *data, size_t len)
{
    XXH3_128bits_update(h->state, data, len);
}

struct rws_checksum rws_hash_value(const struct rws_hash *h)
{
    XXH128_hash_t v = XXH3_128bits_digest(h->state);
    return (struct rws_checksum){{v.low64, v.high64}};
}

bool rws_checksum_is_equal(const struct rws_checksum *a, const struct rws_checksum *b)
{
    return a->word[0] == b->word[0] && a->word[1] == b->word[1];
}

/* ---- looking into packets and texts ---- */

/* MariaDB documentation, "OK_Packet" and "EOF_Packet": an EOF is fe, warnings, status; an OK begins
 * with two length-encoded numbers. */
size_t rws_status_offset(const uint8_t *payload, size_t len)
{
    if (len > 0 && payload[0] == 0xfe && len < 7) {
        return len == 5 ? 3 : 0;
    }
    struct sl_reader in = sl_reader(payload, len);
    (void)sl_read_u8(&in);
    (void)sl_read_lenenc(&in);
    (void)sl_read_lenenc(&in);
    return in.failed || sl_reader_left(&in) < 2 ? 0 : len - sl_reader_left(&in);
}

static bool contains(struct sl_slice s, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= s.len; i++) {
        if (strncasecmp((const char *)s.data + i, word, n) == 0) {
            return true;
        }
    }
    return false;
}

bool rws_names_insert_id(struct sl_slice sql)
{
    return contains(sql, "insert_id") || contains(sql, "@@identity") || contains(sql, "returning");
}
