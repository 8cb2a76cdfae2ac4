/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of the process: what is said before abort(3).
 *
 * Runs on whichever thread failed, maybe inside a signal handler: no allocation, no lock, no stdio.
 * Owns a thread-local guard so that a failure while reporting ends at once.
 */
#include "base/assert.h"

#include <execinfo.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum {
    FRAMES_MAX = 64,
};

static _Thread_local bool is_panicking;

/* Copies at most what fits and returns the end; snprintf is not safe in a signal handler. */
static char *copy(char *to, const char *end, const char *text)
{
    size_t len = SL_MIN(strlen(text), (size_t)(end - to));
    memcpy(to, text, len);
    return to + len;
}

static const char *number_text(int value, char digits[12])
{
    char *at = digits + 11;
    *at = '\0';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return at;
}

void sl_backtrace_write(int fd)
{
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    backtrace_symbols_fd(frames, count, fd);
}

void sl_panic(const char *file, int line, const char *func, const char *what)
{
    if (!is_panicking) {
        is_panicking = true;
        char digits[12];
        const char *const parts[] = {"panic: ", what, " in ", func,
                                     "() at ",  file, ":",    number_text(line, digits)};
        char text[1024];
        char *at = text;
        for (size_t i = 0; i < SL_ARRAY_LEN(parts); i++) {
            at = copy(at, text + sizeof(text) - 1, parts[i]);
        }
        *at = '\0';
        sl_log_crash(text);
        int fd = sl_log_descriptor();
        if (fd >= 0 && fd != STDERR_FILENO) {
            sl_backtrace_write(fd);
        }
        sl_backtrace_write(STDERR_FILENO);
    }
    abort();
}
