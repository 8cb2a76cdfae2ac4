/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealaned: start, the control thread's loop, stop.
 *
 * The main thread is the control thread: it owns the topology, takes signals through a signalfd,
 * pings the watchdog only while every worker's loop turns, and does the once-a-second housekeeping.
 * Everything else runs in threads that the core starts.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/core.h"
#include "daemon/modules.h"
#include "daemon/options.h"
#include "daemon/process.h"
#include "dbc/dbc.h"
#include "net/tls_memory.h"

#define TICK_MS 1000

static void print_report(const struct sl_conf_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        struct sl_buf line = SL_BUF_INIT;
        if (sl_conf_note_render(&report->notes[i], &line) == SL_OK) {
            const char *text = (const char *)sl_buf_slice(&line).data;
            int len = (int)sl_buf_len(&line);
            if (report->notes[i].is_error) {
                sl_log_error("%.*s", len, text);
            } else {
                sl_log_warning("%.*s", len, text);
            }
        }
        sl_buf_free(&line);
    }
}

static uint32_t level_mask(const struct sl_global_settings *g)
{
    return 1u << SL_LOG_ALERT | 1u << SL_LOG_ERROR | (g->log_warning ? 1u << SL_LOG_WARNING : 0) |
           (g->log_notice ? 1u << SL_LOG_NOTICE : 0) | (g->log_info ? 1u << SL_LOG_INFO : 0) |
           (g->log_debug ? 1u << SL_LOG_DEBUG : 0);
}

static int open_log(const struct sl_options *o, const struct sl_global_settings *g,
                    struct sl_err *err)
{
    char *path = sl_xasprintf("%s/maxscale.log", g->logdir);
    struct sl_conf_throttling t = {0};
    int rc = sl_conf_throttling_parse(g->log_throttling, &t, err);
    struct sl_log_config config = {
        .path = o->log_to_stdout ? NULL : path,
        .to_syslog = g->syslog,
        .to_file = g->maxlog,
        .ms_timestamp = g->ms_timestamp,
        .with_function = g->log_augmentation == 1,
        .level_mask = level_mask(g),
        .throttle_count = t.count,
        .throttle_window_ms = t.window_ms,
        .throttle_suppress_ms = t.suppress_ms,
    };
    rc = rc < 0 ? rc : sl_log_open(&config, err);
    sl_free(path);
    return rc;
}

/* As many descriptors as we may have: each session takes several. */
static void raise_limits(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* ---- the control thread's loop ---- */

struct control {
    struct sl_core *core;
    int signal_fd;
    bool foreground;
    unsigned terms, ints;
    uint64_t watchdog_ms; /* 0 = none asked for */
    uint64_t watchdog_sent_ms;
    uint64_t *seen_ticks; /* per worker, at the last ping */
};

/* True: stop now. */
static bool on_signal(struct control *c, uint32_t signo)
{
    switch (signo) {
    case SIGTERM:
        if (++c->terms > 1) {
            _exit(1);
        }
        return true;
    case SIGINT:
        if (++c->ints > 2) {
            _exit(1);
        }
        if (c->ints == 2 && c->foreground) {
            fprintf(stderr, "sealaned: shutting down; press Ctrl-C once more to give up waiting\n");
        }
        return true;
    case SIGUSR1: {
        struct sl_err err = SL_ERR_INIT;
        if (sl_log_reopen(&err) < 0) {
            sl_log_error("Log file could not be reopened: %s", err.text);
        }
        return false;
    }
    default:
        return false; /* SIGHUP: accepted, no effect */
    }
}

static int block_signals(struct sl_err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    signal(SIGPIPE, SIG_IGN);
    return fd < 0 ? sl_err_set(err, SL_ESYS, "signalfd: %s", strerror(errno)) : fd;
}

/* Whether the loop of every worker has turned since the last ping. */
static bool are_workers_alive(const struct control *c)
{
    for (unsigned i = 0; i < c->core->worker_count; i++) {
        struct sl_loop_stats stats;
        sl_loop_stats_get(c->core->workers[i].loop, &stats);
        if (stats.tick == c->seen_ticks[i]) {
            return false;
        }
    }
    return true;
}

static void ping_watchdog(struct control *c)
{
    uint64_t now = sl_clock_mono_ms();
    if (c->watchdog_ms == 0 || now - c->watchdog_sent_ms < c->watchdog_ms / 3 ||
        !are_workers_alive(c)) {
        return;
    }
    for (unsigned i = 0; i < c->core->worker_count; i++) {
        struct sl_loop_stats stats;
        sl_loop_stats_get(c->core->workers[i].loop, &stats);
        c->seen_ticks[i] = stats.tick;
    }
    sd_notify(0, "WATCHDOG=1");
    c->watchdog_sent_ms = now;
}

/* An idle worker turns once a second: after a short watchdog we have to look more often than
 * that. */
static int turn_ms(const struct control *c)
{
    uint64_t often = c->watchdog_ms / 6;
    return often > 0 && often < TICK_MS ? (int)often : TICK_MS;
}

static void control_loop(struct control *c)
{
    for (bool stop = false; !stop;) {
        struct pollfd p = {.fd = c->signal_fd, .events = POLLIN};
        poll(&p, 1, turn_ms(c));
        struct signalfd_siginfo info;
        while (read(c->signal_fd, &info, sizeof info) == sizeof info) {
            stop = on_signal(c, info.ssi_signo) || stop;
        }
        sl_core_tick(c->core);
        ping_watchdog(c);
    }
}

/* A second SIGTERM or third SIGINT while stopping must still work. */
static void *impatience(void *arg)
{
    struct control *c = arg;
    for (;;) {
        struct pollfd p = {.fd = c->signal_fd, .events = POLLIN};
        poll(&p, 1, -1);
        struct signalfd_siginfo info;
        while (read(c->signal_fd, &info, sizeof info) == sizeof info) {
            on_signal(c, info.ssi_signo);
        }
    }
    return NULL;
}

static void start_impatience(struct control *c)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, impatience, c) == 0) {
        pthread_detach(thread);
    }
}

/* Everything between a good configuration and the end. Returns the exit code. */
static int run(struct sl_options *o, struct sl_config *config, int ready_fd, struct sl_err *err)
{
    static struct control c; /* read by the impatience thread until the very end */
    c.foreground = o->foreground;
    c.signal_fd = block_signals(err);
    if (c.signal_fd < 0) {
        sl_config_free(config);
        return 1;
    }
    sl_log_notice("Sealane started in process %d, configuration file: %s", (int)getpid(),
                  o->main_file);
    if (sl_core_start(config, sl_daemon_modules, &c.core, err) < 0) {
        return 1;
    }
    struct sl_admin *admin = NULL;
    if (sl_admin_start(c.core, &admin, err) < 0) {
        sl_core_stop(c.core);
        return 1;
    }
    uint64_t watchdog_us = 0;
    sd_watchdog_enabled(0, &watchdog_us);
    c.watchdog_ms = watchdog_us / 1000;
    c.seen_ticks = sl_xcalloc(c.core->worker_count, sizeof *c.seen_ticks);
    sl_process_report(ready_fd, 0);
    sd_notify(0, "READY=1");
    sl_log_notice("Ready: %u services, %u servers, %u worker threads", c.core->service_count,
                  c.core->server_count, c.core->worker_count);
    control_loop(&c);
    start_impatience(&c); /* before the first step that may take its time */
    sd_notify(0, "STOPPING=1");
    sl_log_notice("Shutting down");
    sl_admin_stop(admin);
    sl_core_stop(c.core);
    sl_free(c.seen_ticks);
    sl_log_notice("Sealane has stopped");
    return 0;
}

static int fail(int ready_fd, const struct sl_err *err)
{
    sl_log_alert("%s", err->text);
    fprintf(stderr, "sealaned: %s\n", err->text);
    sl_process_report(ready_fd, 1);
    return 1;
}

/* Reads and checks the configuration; all that is wrong with it goes to the terminal. NULL:
 * errors. */
static struct sl_config *load(const struct sl_options *o, struct sl_conf_report *report)
{
    struct sl_config *config = NULL;
    if (sl_config_load(&o->conf, &sl_daemon_conf_modules, report, &config) < 0) {
        print_report(report);
        fprintf(stderr, "sealaned: %zu error%s in the configuration '%s', nothing was started\n",
                report->error_count, report->error_count == 1 ? "" : "s", o->main_file);
        return NULL;
    }
    return config;
}

static int check_only(struct sl_options *o)
{
    struct sl_conf_report report = SL_CONF_REPORT_INIT;
    struct sl_config *config = load(o, &report);
    if (config) {
        print_report(&report);
        printf("Configuration file %s is valid (%zu warning%s)\n", o->main_file,
               report.warning_count, report.warning_count == 1 ? "" : "s");
    }
    int code = config ? 0 : 1;
    sl_conf_report_clear(&report);
    sl_config_free(config);
    return code;
}

static int start(struct sl_options *o)
{
    struct sl_err err = SL_ERR_INIT;
    if (sl_process_user(o->user, &err) < 0) {
        return fail(-1, &err);
    }
    struct sl_conf_report report = SL_CONF_REPORT_INIT;
    struct sl_config *config = load(o, &report);
    if (!config) {
        sl_conf_report_clear(&report);
        return 1;
    }
    int ready_fd = sl_process_background(o->foreground);
    const struct sl_global_settings *g = &config->global;
    raise_limits();
    int rc = sl_process_directories(g, &err);
    rc = rc < 0 ? rc : sl_process_pid_file(g->piddir, &err);
    rc = rc < 0 ? rc : open_log(o, g, &err);
    int code = 1;
    if (rc < 0) {
        sl_config_free(config);
    } else {
        sl_process_crash_handlers(g->core_file);
        print_report(&report);
        sl_dbc_library_init();
        code = run(o, config, ready_fd, &err);
        sl_dbc_library_end();
    }
    sl_conf_report_clear(&report);
    if (code != 0) {
        code = fail(ready_fd, &err);
    }
    sl_process_pid_file_remove();
    sl_log_close();
    return code;
}

int main(int argc, char **argv)
{
    sl_tls_memory_install(); /* before OpenSSL is used; without it TLS only costs more */
    struct sl_options o;
    enum sl_options_verdict verdict = sl_options_parse(&o, argc, argv);
    int code = verdict == SL_OPTIONS_WRONG ? 1 : 0;
    if (verdict == SL_OPTIONS_RUN) {
        code = o.check_only ? check_only(&o) : start(&o);
    }
    sl_options_clear(&o);
    return code;
}
