/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heap allocation with a per-thread counter and a failure hook.
 *
 * All of src/ allocates through these; the counter proves "no allocation per query", the hook lets
 * tests fail the n-th allocation. Memory comes from malloc(3); sl_free(NULL) is a no-op.
 */
#ifndef SL_BASE_MEM_H
#define SL_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

/* Return NULL when memory is out (or the hook says so); callers handle it. Sizes of 0 give a
 * unique pointer. Any thread. */
void *sl_malloc(size_t size) __attribute__((malloc, alloc_size(1), warn_unused_result));
void *sl_calloc(size_t count, size_t size) __attribute__((malloc, warn_unused_result));
void *sl_realloc(void *ptr, size_t size) __attribute__((warn_unused_result));
char *sl_strdup(const char *text) __attribute__((malloc, warn_unused_result)); /* NULL gives NULL */
char *sl_strndup(const char *text, size_t len) __attribute__((malloc, warn_unused_result));
void sl_free(void *ptr);

/* As above but panic when memory is out: boot and control thread only, never for a session. */
void *sl_xcalloc(size_t count, size_t size) __attribute__((malloc));
char *sl_xstrdup(const char *text) __attribute__((malloc));
/* printf into a fresh string; panics when memory is out. The caller frees. */
char *sl_xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), malloc));

/* Overwrites len bytes in a way the compiler may not drop. For passwords and hashes. */
void sl_wipe(void *ptr, size_t len);

/* Number of allocations (malloc, calloc, growing realloc) made by the calling thread so far. */
uint64_t sl_mem_thread_allocations(void);

/* Test hook: the n-th allocation of the calling thread from now on fails once; 0 switches off. */
void sl_mem_fail_after(uint64_t n);

#endif
