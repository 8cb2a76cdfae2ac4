/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a program a daemon: background, user, directories, pid file, crash reports. Control
 * thread. */
#ifndef SL_DAEMON_PROCESS_H
#define SL_DAEMON_PROCESS_H

#include <stdbool.h>

#include "base/error.h"
#include "conf/tables.h"

/* Goes to the background; the parent waits on the returned pipe until the child writes its exit
 * code there (sl_process_report) or dies. Returns the write end in the child; the parent never
 * returns. -1 in the foreground. */
int sl_process_background(bool foreground);
void sl_process_report(int pipe_fd, unsigned char exit_code);

/* Root must say as whom to run. Changes user and groups. */
int sl_process_user(const char *name, struct sl_err *err);
/* Makes the directories that the daemon writes to. */
int sl_process_directories(const struct sl_global_settings *g, struct sl_err *err);

/* Writes and locks <piddir>/maxscale.pid; SL_EEXIST when another instance runs. */
int sl_process_pid_file(const char *piddir, struct sl_err *err);
void sl_process_pid_file_remove(void);

/* SIGSEGV and relatives leave a backtrace in the log. */
void sl_process_crash_handlers(bool core_file);

#endif
