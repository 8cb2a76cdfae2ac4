/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's heap: malloc(3) with a small cache of record buffers in each thread.
 *
 * With SSL_MODE_RELEASE_BUFFERS OpenSSL takes a buffer of some 16.5 KiB for each record and gives
 * it back behind it. malloc has no quick list for that size: it cuts the block out of the heap and
 * merges it again, each time 600 instructions, one tenth of what a short record costs. Here the
 * block given back last is the next one lent, so that all sessions of a worker share the same
 * memory by turns and find it in the CPU's caches.
 *
 *   BLOCK_MIN .. BLOCK_MAX bytes   at most BLOCKS of them wait in a thread, the last one on top
 *   any other size                 malloc(3), free(3)
 *
 * Any thread; a cache belongs to its thread, which frees it when it ends. A block may come back in
 * another thread than the one it was lent in: it is ordinary malloc memory all the time.
 */
#include "net/tls_memory.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    BLOCK_MIN = 16 * 1024, /* a record's plaintext */
    BLOCK_MAX = 18 * 1024, /* with header, padding, tag: every cached block has room for this */
    BLOCK_SLACK = 64,      /* malloc's rounding */
    BLOCKS = 4             /* one for reading and one for writing are out at the same time */
};

struct cache {
    void *blocks[BLOCKS];
    unsigned count;
    bool is_watched; /* empty_cache() runs when the thread ends */
    bool is_closed;  /* it has run */
};

static _Thread_local struct cache cache;
static pthread_key_t end_of_thread;

static void empty_cache(void *value)
{
    struct cache *c = value;
    c->is_closed = true;
    while (c->count > 0) {
        free(c->blocks[--c->count]);
    }
}

static void *take(size_t size, const char *file, int line)
{
    if (size < BLOCK_MIN || size > BLOCK_MAX) {
        return malloc(size);
    }
    return cache.count > 0 ? cache.blocks[--cache.count] : malloc(BLOCK_MAX);
}

static void *resize(void *ptr, size_t size, const char *file, int line)
{
    return realloc(ptr, size);
}

static bool is_block(void *ptr)
{
    size_t size = malloc_usable_size(ptr);
    return size >= BLOCK_MAX && size < BLOCK_MAX + BLOCK_SLACK;
}

static bool keep(struct cache *c, void *ptr)
{
    if (c->count == BLOCKS || c->is_closed) {
        return false;
    }
    if (!c->is_watched && pthread_setspecific(end_of_thread, c) != 0) {
        return false;
    }
    c->is_watched = true;
    c->blocks[c->count++] = ptr;
    return true;
}

static void give(void *ptr, const char *file, int line)
{
    if (!is_block(ptr) || !keep(&cache, ptr)) {
        free(ptr);
    }
}

bool sl_tls_memory_install(void)
{
    if (pthread_key_create(&end_of_thread, empty_cache) != 0) {
        return false;
    }
    if (CRYPTO_set_mem_functions(take, resize, give) != 1) {
        pthread_key_delete(end_of_thread);
        return false;
    }
    return true;
}
