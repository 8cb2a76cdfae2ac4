/* SPDX-License-Identifier: Apache-2.0 */
/* Daemon housekeeping; see the header. */
#include "daemon/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"

#define PID_FILE_TRIES 100

static char pid_path[PATH_MAX];
static int pid_fd = -1;

int sl_process_background(bool foreground)
{
    if (foreground) {
        return -1;
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        perror("sealaned: pipe");
        exit(1);
    }
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        perror("sealaned: fork");
        exit(1);
    }
    if (child > 0) {
        unsigned char code = 1;
        close(ends[1]);
        if (read(ends[0], &code, 1) != 1) {
            code = 1; /* it died without a word */
        }
        _exit(code);
    }
    close(ends[0]);
    setsid();
    return ends[1];
}

void sl_process_report(int pipe_fd, unsigned char exit_code)
{
    if (pipe_fd >= 0) {
        ssize_t n = write(pipe_fd, &exit_code, 1);
        (void)n;
        close(pipe_fd);
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; fd <= 2 && null_fd >= 0 && exit_code == 0; fd++) {
            dup2(null_fd, fd);
        }
    }
}

int sl_process_user(const char *name, struct sl_err *err)
{
    if (!name) {
        if (geteuid() == 0) {
            return sl_err_set(err, SL_EINVAL,
                              "refusing to run as root; give --user=NAME, or --user=root if "
                              "that is what you want");
        }
        return SL_OK;
    }
    struct passwd *pw = getpwnam(name);
    if (!pw) {
        return sl_err_set(err, SL_ENOENT, "--user: there is no user '%s'", name);
    }
    if (pw->pw_uid == geteuid()) {
        return SL_OK;
    }
    if (initgroups(name, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 || setuid(pw->pw_uid) < 0) {
        return sl_err_set(err, SL_ESYS, "cannot become user '%s': %s", name, strerror(errno));
    }
    prctl(PR_SET_DUMPABLE, 1);
    return SL_OK;
}

static int make_directory(const char *path, struct sl_err *err)
{
    char part[PATH_MAX];
    if (!path || snprintf(part, sizeof part, "%s", path) >= (int)sizeof part) {
        return SL_OK;
    }
    for (char *p = part + 1; *p; p++) {
        if (*p == '/') {
            *p = 0;
            mkdir(part, 0755);
            *p = '/';
        }
    }
    if (mkdir(part, 0755) < 0 && errno != EEXIST) {
        return sl_err_set(err, SL_ESYS, "cannot make directory '%s': %s", path, strerror(errno));
    }
    if (access(path, W_OK | X_OK) < 0) {
        return sl_err_set(err, SL_ESYS, "directory '%s' is not writable: %s", path,
                          strerror(errno));
    }
    return SL_OK;
}

int sl_process_directories(const struct sl_global_settings *g, struct sl_err *err)
{
    const char *const paths[] = {g->logdir, g->datadir, g->cachedir, g->piddir, g->persistdir};
    for (size_t i = 0; i < SL_ARRAY_LEN(paths); i++) {
        int rc = make_directory(paths[i], err);
        if (rc < 0) {
            return rc;
        }
    }
    return SL_OK;
}

/* Is the locked file still the one of that name? An instance that ends removes it, perhaps after
 * we opened it: the lock would be on a file that nobody else sees. */
static bool is_pid_file(int fd)
{
    struct stat locked, named;
    return fstat(fd, &locked) == 0 && stat(pid_path, &named) == 0 &&
           locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
}

static int refuse_second(int fd, struct sl_err *err)
{
    char old[32] = "?";
    ssize_t n = read(fd, old, sizeof old - 1);
    old[n > 0 ? n : 0] = 0;
    old[strcspn(old, "\n")] = 0;
    return sl_err_set(err, SL_EEXIST, "another instance is running (process %s, pid file '%s')",
                      old, pid_path);
}

static int lock_pid_file(struct sl_err *err)
{
    for (unsigned i = 0; i < PID_FILE_TRIES; i++) {
        int fd = open(pid_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0) {
            return sl_err_set(err, SL_ESYS, "cannot open pid file '%s': %s", pid_path,
                              strerror(errno));
        }
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            int rc = refuse_second(fd, err);
            close(fd);
            return rc;
        }
        if (is_pid_file(fd)) {
            return fd;
        }
        close(fd);
    }
    return sl_err_set(err, SL_ESYS, "pid file '%s' is removed again and again", pid_path);
}

int sl_process_pid_file(const char *piddir, struct sl_err *err)
{
    snprintf(pid_path, sizeof pid_path, "%s/maxscale.pid", piddir);
    int fd = lock_pid_file(err);
    if (fd < 0) {
        return fd;
    }
    pid_fd = fd;
    if (ftruncate(pid_fd, 0) < 0 || dprintf(pid_fd, "%d\n", (int)getpid()) < 0) {
        return sl_err_set(err, SL_ESYS, "cannot write pid file '%s': %s", pid_path,
                          strerror(errno));
    }
    return SL_OK;
}

void sl_process_pid_file_remove(void)
{
    if (pid_fd >= 0) {
        unlink(pid_path);
        close(pid_fd);
        pid_fd = -1;
    }
}

static void on_crash(int signo)
{
    sl_log_crash("Fatal signal; backtrace of the thread follows");
    sl_backtrace_write(2);
    if (sl_log_descriptor() > 2) {
        sl_backtrace_write(sl_log_descriptor());
    }
    raise(signo); /* the default action, since SA_RESETHAND */
}

void sl_process_crash_handlers(bool core_file)
{
    static const int fatal[] = {SIGSEGV, SIGABRT, SIGILL, SIGFPE, SIGBUS};
    struct sigaction action = {.sa_handler = on_crash,
                               .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < SL_ARRAY_LEN(fatal); i++) {
        sigaction(fatal[i], &action, NULL);
    }
    if (!core_file) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
    }
}
