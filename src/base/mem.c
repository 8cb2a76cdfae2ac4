/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heap: malloc(3) with a per-thread counter and a failure hook in front.
 *
 * Owns two thread-local numbers and no memory; any thread. The counter is what tests read to prove
 * that the data path allocates nothing per query, the hook what they use to walk every failure
 * path.
 */
#include "base/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static _Thread_local uint64_t allocation_count;
static _Thread_local uint64_t fail_countdown;

/* Counts an allocation; false when the hook wants this one to fail. */
static inline bool count_one(void)
{
    allocation_count++;
    return __builtin_expect(fail_countdown == 0, 1) || --fail_countdown != 0;
}

void *sl_malloc(size_t size)
{
    return count_one() ? malloc(size ? size : 1) : NULL;
}

void *sl_calloc(size_t count, size_t size)
{
    size_t total;
    if (!count_one() || __builtin_mul_overflow(count, size, &total)) {
        return NULL;
    }
    return calloc(1, total ? total : 1);
}

void *sl_realloc(void *ptr, size_t size)
{
    /* A shrinking realloc is not an allocation: callers may rely on it, the hook leaves it
     * alone. */
    bool grows = !ptr || malloc_usable_size(ptr) < size;
    if (grows && !count_one()) {
        return NULL;
    }
    return realloc(ptr, size ? size : 1);
}

char *sl_strdup(const char *text)
{
    return text ? sl_strndup(text, strlen(text)) : NULL;
}

char *sl_strndup(const char *text, size_t len)
{
    if (!text) {
        return NULL;
    }
    len = strnlen(text, len);
    char *copy = sl_malloc(len + 1);
    if (copy) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

void sl_free(void *ptr)
{
    free(ptr);
}

static void *must(void *ptr)
{
    if (!ptr) {
        sl_panic(__FILE__, __LINE__, __func__, "out of memory");
    }
    return ptr;
}

void *sl_xcalloc(size_t count, size_t size)
{
    return must(sl_calloc(count, size));
}

char *sl_xstrdup(const char *text)
{
    return text ? must(sl_strdup(text)) : NULL;
}

char *sl_xasprintf(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    sl_assert(len >= 0);
    char *text = must(sl_malloc((size_t)len + 1));
    va_start(args, fmt);
    vsnprintf(text, (size_t)len + 1, fmt, args);
    va_end(args);
    return text;
}

void sl_wipe(void *ptr, size_t len)
{
    if (len > 0) {
        explicit_bzero(ptr, len);
    }
}

uint64_t sl_mem_thread_allocations(void)
{
    return allocation_count;
}

void sl_mem_fail_after(uint64_t n)
{
    fail_countdown = n;
}
