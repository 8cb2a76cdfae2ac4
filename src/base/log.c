/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log.
 *
 * Any thread writes; the control thread opens, reopens and closes. There is no lock around a line:
 * it is built on the stack and handed to one write(2) on an O_APPEND descriptor, which the kernel
 * keeps whole. Invariants:
 *   I1  the file's descriptor number, once taken, is kept for the life of the process; another file
 *       is put under it with dup3(2). A writer that read the number before the change therefore
 *       never writes into a stranger's descriptor.
 *   I2  settings that writers read are single atomic words; a line written during a change may see
 *       some old and some new ones, which does no harm.
 */
#include "base/log.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log_throttle.h"
#include "base/map.h"
#include "base/mem.h"

enum {
    LINE_MAX_BYTES = 8192,
    FIRST_OWN_FD = 3, /* never take a standard descriptor that somebody closed */
    LEVELS_ALWAYS = 1u << SL_LOG_ALERT | 1u << SL_LOG_ERROR,
    LEVELS_DEFAULT = LEVELS_ALWAYS | 1u << SL_LOG_WARNING | 1u << SL_LOG_NOTICE,
};

struct line {
    size_t len;
    bool is_cut;
    char text[LINE_MAX_BYTES];
};

struct context {
    uint64_t session;
    const char *module;
    const char *scope;
};

static const struct {
    const char *label; /* eight characters, as log readers expect */
    int syslog_priority;
} levels[SL_LOG_LEVEL_COUNT] = {
    [SL_LOG_ALERT] = {"alert  :", LOG_ALERT},     [SL_LOG_ERROR] = {"error  :", LOG_ERR},
    [SL_LOG_WARNING] = {"warning:", LOG_WARNING}, [SL_LOG_NOTICE] = {"notice :", LOG_NOTICE},
    [SL_LOG_INFO] = {"info   :", LOG_INFO},       [SL_LOG_DEBUG] = {"debug  :", LOG_DEBUG},
};

/* Read by every writer. */
static atomic_uint level_mask = LEVELS_DEFAULT;
static atomic_int log_fd = STDERR_FILENO; /* -1: no file */
static atomic_bool to_syslog;
static atomic_bool ms_timestamp;
static atomic_bool with_function;
static atomic_uint throttle_count;
static atomic_uint throttle_window_ms;
static atomic_uint throttle_suppress_ms;
static atomic_long zone_offset_s; /* for sl_log_crash, which may not call localtime_r */

/* Control thread only. */
static int file_fd = -1; /* I1 */
static char *file_path;

static _Thread_local struct context context;
static _Thread_local struct {
    time_t second;
    char text[32];
} stamp;

static inline unsigned peek(const atomic_uint *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

/* ---- building a line ---- */

/* Not an initialiser: that would clear all of the text. */
static void start(struct line *l)
{
    l->len = 0;
    l->is_cut = false;
}

static void put_bytes(struct line *l, const char *bytes, size_t len)
{
    size_t room = sizeof(l->text) - 1 - l->len; /* the last byte is for the newline */
    if (len > room) {
        len = room;
        l->is_cut = true;
    }
    memcpy(l->text + l->len, bytes, len);
    l->len += len;
}

static void put_text(struct line *l, const char *text)
{
    put_bytes(l, text, strlen(text));
}

static void put_number(struct line *l, uint64_t value, int min_digits)
{
    char digits[20];
    size_t at = sizeof(digits);
    while (value > 0 || min_digits > 0) {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
        min_digits--;
    }
    put_bytes(l, digits + at, sizeof(digits) - at);
}

static void __attribute__((format(printf, 2, 0)))
put_va(struct line *l, const char *fmt, va_list args)
{
    size_t room = sizeof(l->text) - l->len; /* vsnprintf ends with a NUL, put where \n will be */
    sl_assert(fmt);
    int len = vsnprintf(l->text + l->len, room, fmt, args);
    if (len < 0) {
        put_text(l, fmt);
    } else if ((size_t)len >= room) {
        l->len = sizeof(l->text) - 1;
        l->is_cut = true;
    } else {
        l->len += (size_t)len;
    }
}

/* One message is one line, and a peer's bytes must not steer the reader's terminal. */
static void blank_controls(struct line *l, size_t from)
{
    while (l->len > from && (l->text[l->len - 1] == '\n' || l->text[l->len - 1] == '\r')) {
        l->len--;
    }
    for (size_t i = from; i < l->len; i++) {
        unsigned char c = (unsigned char)l->text[i];
        if (c < 0x20 || c == 0x7f) {
            l->text[i] = ' ';
        }
    }
}

static void finish(struct line *l, size_t from)
{
    blank_controls(l, from);
    if (l->is_cut && l->len >= 3) {
        memcpy(l->text + l->len - 3, "...", 3);
    }
    l->text[l->len++] = '\n';
}

static void put_ms(struct line *l, const struct timespec *now)
{
    if (atomic_load_explicit(&ms_timestamp, memory_order_relaxed)) {
        put_text(l, ".");
        put_number(l, (uint64_t)now->tv_nsec / 1000000, 3);
    }
}

static void put_timestamp(struct line *l)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != stamp.second || stamp.text[0] == '\0') {
        struct tm t;
        if (!localtime_r(&now.tv_sec, &t)) {
            t = (struct tm){.tm_mday = 1};
        }
        strftime(stamp.text, sizeof(stamp.text), "%Y-%m-%d %H:%M:%S", &t);
        stamp.second = now.tv_sec;
        atomic_store_explicit(&zone_offset_s, t.tm_gmtoff, memory_order_relaxed);
    }
    put_text(l, stamp.text);
    put_ms(l, &now);
}

/* The same without the C library's time zone lock. Days to date: Howard Hinnant's
 * "chrono-Compatible Low-Level Date Algorithms", years counted from March. */
static void put_timestamp_plain(struct line *l)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t local = now.tv_sec + atomic_load_explicit(&zone_offset_s, memory_order_relaxed);
    uint64_t second = (uint64_t)SL_MAX(local, 0);
    uint64_t day = second / 86400 + 719468;
    uint64_t era_day = day % 146097;
    uint64_t era_year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
    uint64_t year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    uint64_t month = (5 * year_day + 2) / 153;
    uint64_t year = era_year + day / 146097 * 400 + (month >= 10);
    const struct {
        const char *before;
        uint64_t value;
        int digits;
    } parts[] = {
        {"", year, 4},
        {"-", month < 10 ? month + 3 : month - 9, 2},
        {"-", year_day - (153 * month + 2) / 5 + 1, 2},
        {" ", second / 3600 % 24, 2},
        {":", second / 60 % 60, 2},
        {":", second % 60, 2},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(parts); i++) {
        put_text(l, parts[i].before);
        put_number(l, parts[i].value, parts[i].digits);
    }
    put_ms(l, &now);
}

static void put_level(struct line *l, enum sl_log_level level)
{
    put_text(l, "   ");
    put_text(l, levels[level].label);
    put_text(l, " ");
}

static void put_context(struct line *l, const char *func)
{
    const char *separator = "";
    if (context.session) {
        put_text(l, "(");
        put_number(l, context.session, 1);
        put_text(l, ")");
        separator = " ";
    }
    if (context.module) {
        put_text(l, separator);
        put_text(l, "[");
        put_text(l, context.module);
        put_text(l, "]");
        separator = " ";
    }
    if (context.scope) {
        put_text(l, separator);
        put_text(l, "(");
        put_text(l, context.scope);
        put_text(l, ")");
        separator = " ";
    }
    if (*separator) {
        put_text(l, "; ");
    }
    if (func) {
        put_text(l, "(");
        put_text(l, func);
        put_text(l, "): ");
    }
}

static void put_suppression(struct line *l, const struct sl_log_throttle_verdict *verdict)
{
    if (verdict->suppressed > 0) {
        put_text(l, " (");
        put_number(l, verdict->suppressed, 1);
        put_text(l, " similar messages were suppressed)");
    }
    if (verdict->is_last) {
        put_text(l, " (similar messages are suppressed for ");
        put_number(l, peek(&throttle_suppress_ms), 1);
        put_text(l, " ms)");
    }
}

/* ---- writing a line ---- */

static void write_line(int fd, const struct line *l)
{
    size_t done = 0;
    while (done < l->len) {
        ssize_t n = write(fd, l->text + done, l->len - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return; /* a full disk or a closed pipe must not stop the service */
        }
        done += (size_t)n;
    }
}

/* What counts as the same message: its format and its object. A bare "%s" is not a format but a
 * message made elsewhere; there its text decides. */
static uint64_t kind_of(const char *fmt, const char *message, size_t len)
{
    bool is_bare = strcmp(fmt, "%s") == 0;
    uint64_t key = is_bare ? sl_hash(message, len) : sl_hash(fmt, strlen(fmt));
    return context.scope ? key ^ sl_hash(context.scope, strlen(context.scope)) : key;
}

static struct sl_log_throttle_verdict throttle(enum sl_log_level level, uint64_t kind)
{
    if (level != SL_LOG_ERROR && level != SL_LOG_WARNING) {
        return (struct sl_log_throttle_verdict){0};
    }
    struct sl_log_throttle_limits limits = {
        .count = peek(&throttle_count),
        .window_ms = peek(&throttle_window_ms),
        .suppress_ms = peek(&throttle_suppress_ms),
    };
    return sl_log_throttle_check(&limits, kind, sl_clock_mono_ms());
}

static void __attribute__((format(printf, 3, 0)))
write_message(enum sl_log_level level, const char *func, const char *fmt, va_list args)
{
    struct line l;
    start(&l);
    put_timestamp(&l);
    put_level(&l, level);
    size_t context_at = l.len;
    put_context(&l, atomic_load_explicit(&with_function, memory_order_relaxed) ? func : NULL);
    size_t message_at = l.len;
    put_va(&l, fmt, args);
    struct sl_log_throttle_verdict verdict =
        throttle(level, kind_of(fmt, l.text + message_at, l.len - message_at));
    if (verdict.is_dropped) {
        return;
    }
    blank_controls(&l, context_at);
    put_suppression(&l, &verdict);
    finish(&l, context_at);
    int fd = sl_log_descriptor();
    if (fd >= 0) {
        write_line(fd, &l);
    }
    if (atomic_load_explicit(&to_syslog, memory_order_relaxed)) {
        syslog(levels[level].syslog_priority, "%.*s", (int)(l.len - 1 - context_at),
               l.text + context_at);
    }
}

void sl_log_write(enum sl_log_level level, const char *func, const char *fmt, ...)
{
    if (!sl_log_is_on(level)) {
        return;
    }
    int saved_errno = errno; /* callers log first and look at errno afterwards */
    va_list args;
    va_start(args, fmt);
    write_message(level, func, fmt, args);
    va_end(args);
    errno = saved_errno;
}

void sl_log_crash(const char *text)
{
    struct line l;
    start(&l);
    put_timestamp_plain(&l);
    put_level(&l, SL_LOG_ALERT);
    size_t context_at = l.len;
    put_context(&l, NULL);
    put_text(&l, text);
    finish(&l, context_at);
    int fd = sl_log_descriptor();
    if (fd >= 0 && fd != STDERR_FILENO) {
        write_line(fd, &l);
    }
    write_line(STDERR_FILENO, &l);
}

int sl_log_descriptor(void)
{
    return atomic_load_explicit(&log_fd, memory_order_relaxed);
}

/* ---- settings ---- */

/* Puts the file of that name under file_fd (I1). */
static int open_file(const char *path, struct sl_err *err)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) {
        return sl_err_set(err, SL_ESYS, "cannot open the log file '%s': %s", path, strerror(errno));
    }
    int kept =
        file_fd < 0 ? fcntl(fd, F_DUPFD_CLOEXEC, FIRST_OWN_FD) : dup3(fd, file_fd, O_CLOEXEC);
    int saved_errno = errno;
    close(fd);
    if (kept < 0) {
        return sl_err_set(err, SL_ESYS, "cannot keep the log file '%s' open: %s", path,
                          strerror(saved_errno));
    }
    file_fd = kept;
    return SL_OK;
}

static void use_syslog(bool is_wanted)
{
    if (is_wanted) {
        openlog("sealaned", LOG_PID | LOG_NDELAY, LOG_DAEMON);
    }
    atomic_store(&to_syslog, is_wanted);
}

int sl_log_open(const struct sl_log_config *config, struct sl_err *err)
{
    const char *wanted = config->to_file ? config->path : NULL;
    char *path = NULL;
    if (wanted) {
        path = sl_strdup(wanted);
        if (!path) {
            return sl_err_set(err, SL_ENOMEM, "no memory for the name of the log file");
        }
        int rc = open_file(path, err);
        if (rc != SL_OK) {
            sl_free(path);
            return rc;
        }
    }
    sl_free(file_path);
    file_path = path;
    tzset();
    void *frame[1];
    backtrace(frame, 1); /* loads libgcc now; in a crash handler that would be too late */
    sl_log_throttle_reset();
    sl_log_set_level_mask(config->level_mask);
    atomic_store(&ms_timestamp, config->ms_timestamp);
    atomic_store(&with_function, config->with_function);
    atomic_store(&throttle_count, config->throttle_count);
    atomic_store(&throttle_window_ms, config->throttle_window_ms);
    atomic_store(&throttle_suppress_ms, config->throttle_suppress_ms);
    use_syslog(config->to_syslog);
    atomic_store(&log_fd, path ? file_fd : config->to_file ? STDOUT_FILENO : -1);
    return SL_OK;
}

int sl_log_reopen(struct sl_err *err)
{
    return file_path ? open_file(file_path, err) : SL_OK;
}

void sl_log_close(void)
{
    atomic_store(&log_fd, STDERR_FILENO);
    use_syslog(false);
    if (file_path) {
        open_file("/dev/null", NULL); /* gives the file back; the number stays ours (I1) */
    }
    sl_free(file_path);
    file_path = NULL;
}

void sl_log_set_level_mask(uint32_t mask)
{
    atomic_store(&level_mask, mask | LEVELS_ALWAYS);
}

bool sl_log_is_on(enum sl_log_level level)
{
    return peek(&level_mask) >> level & 1;
}

/* ---- context ---- */

void sl_log_session_set(uint64_t session_id)
{
    context.session = session_id;
}

const char *sl_log_module_set(const char *module)
{
    const char *old = context.module;
    context.module = module;
    return old;
}

const char *sl_log_scope_set(const char *object)
{
    const char *old = context.scope;
    context.scope = object;
    return old;
}
