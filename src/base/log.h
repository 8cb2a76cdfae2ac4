/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log. One line a message, in the layout that log readers of this field know:
 *
 *   2026-11-20 12:00:00   warning: (17) [galeramon] (Galera-Monitor); message
 *
 * "(17)" is the session, "[..]" the module, "(..)" the object; the logger adds them from the
 * calling thread's context, nobody types them. Lines are written by the calling thread with one
 * write(2) on an O_APPEND descriptor (info and debug are off by default; nothing logs per query).
 * Embedded newlines become blanks. Repeated errors and warnings are throttled (10 a second, then 10
 * s quiet).
 */
#ifndef SL_BASE_LOG_H
#define SL_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum sl_log_level {
    SL_LOG_ALERT,
    SL_LOG_ERROR,
    SL_LOG_WARNING,
    SL_LOG_NOTICE,
    SL_LOG_INFO,
    SL_LOG_DEBUG,
    SL_LOG_LEVEL_COUNT
};

struct sl_log_config {
    const char *path;            /* NULL: stdout */
    bool to_syslog;              /* also to syslog/journal */
    bool to_file;                /* false switches path/stdout off (maxlog=false) */
    bool ms_timestamp;           /* .mmm behind the seconds */
    bool with_function;          /* log_augmentation=1 */
    uint32_t level_mask;         /* bit per sl_log_level; alert and error cannot be switched off */
    uint32_t throttle_count;     /* same message this often ... */
    uint32_t throttle_window_ms; /* ... within this time ... */
    uint32_t throttle_suppress_ms; /* ... is suppressed so long; any 0 switches throttling off */
};

/* Opens the log; may be called again to change it. 0 or SL_ESYS with *err. Before the first call
 * messages go to stderr. Control thread. */
int sl_log_open(const struct sl_log_config *config, struct sl_err *err);
/* Reopens the file (SIGUSR1, logrotate). */
int sl_log_reopen(struct sl_err *err);
void sl_log_close(void);
/* Changes what is logged. Any thread. */
void sl_log_set_level_mask(uint32_t mask);
bool sl_log_is_on(enum sl_log_level level);

/* Context of the calling thread, put before each of its messages. Strings must outlive their use;
 * NULL or 0 removes. sl_log_module_set returns the old value so that callers can restore it. */
void sl_log_session_set(uint64_t session_id);
const char *sl_log_module_set(const char *module);
const char *sl_log_scope_set(const char *object);

void sl_log_write(enum sl_log_level level, const char *func, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* For panics and crash handlers: writes an alert with the calling thread's context to stderr and to
 * the log. Formats nothing, takes no lock, allocates nothing. */
void sl_log_crash(const char *text);

/* The descriptor messages go to, -1 when there is none; for a backtrace behind sl_log_crash(). */
int sl_log_descriptor(void);

#define sl_log_alert(...) sl_log_write(SL_LOG_ALERT, __func__, __VA_ARGS__)
#define sl_log_error(...) sl_log_write(SL_LOG_ERROR, __func__, __VA_ARGS__)
#define sl_log_warning(...) sl_log_write(SL_LOG_WARNING, __func__, __VA_ARGS__)
#define sl_log_notice(...) sl_log_write(SL_LOG_NOTICE, __func__, __VA_ARGS__)
#define sl_log_info(...)                                                                           \
    do {                                                                                           \
        if (sl_log_is_on(SL_LOG_INFO)) {                                                           \
            sl_log_write(SL_LOG_INFO, __func__, __VA_ARGS__);                                      \
        }                                                                                          \
    } while (0)
#define sl_log_debug(...)                                                                          \
    do {                                                                                           \
        if (sl_log_is_on(SL_LOG_DEBUG)) {                                                          \
            sl_log_write(SL_LOG_DEBUG, __func__, __VA_ARGS__);                                     \
        }                                                                                          \
    } while (0)

#endif
