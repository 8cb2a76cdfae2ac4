/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assertions that stay on in release builds and die with a report.
 *
 * sl_assert() is for invariants of our own code, never for what a peer, a file or a user sends.
 */
#ifndef SL_BASE_ASSERT_H
#define SL_BASE_ASSERT_H

#define sl_assert(cond)                                                                            \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0)) {                                                        \
            sl_panic(__FILE__, __LINE__, __func__, #cond);                                         \
        }                                                                                          \
    } while (0)

/* Writes message, backtrace and the calling thread's context (sl_log_context_*) to the log and to
 * stderr, then aborts. Async-signal-safe enough to be used from a crash handler. */
void sl_panic(const char *file, int line, const char *func, const char *what)
    __attribute__((noreturn));

/* Backtrace of the calling thread to the given descriptor. Used by sl_panic and by the handlers of
 * SIGSEGV, SIGABRT, SIGBUS, SIGILL and SIGFPE that the daemon installs. */
void sl_backtrace_write(int fd);

#define SL_CONTAINER_OF(ptr, type, member)                                                         \
    ((type *)(void *)((char *)(ptr) - __builtin_offsetof(type, member)))
#define SL_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define SL_MIN(a, b) ((a) < (b) ? (a) : (b))
#define SL_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
