/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store does to files, as a table of functions: a test puts its own in its place, records
 * or refuses what is written, and rebuilds the directory as a power cut would have left it. Reading
 * does not go through it.
 *
 * The functions behave as the system calls of their names: -1 and errno on failure. EINTR never
 * comes out of them. Any thread.
 */
#ifndef SL_ROUTER_BINLOG_STORE_IO_H
#define SL_ROUTER_BINLOG_STORE_IO_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sl_store_io {
    int (*open)(const char *path, int flags, mode_t mode);
    int (*close)(int fd);
    ssize_t (*pwrite)(int fd, const void *data, size_t len, off_t offset);
    int (*truncate)(int fd, off_t length);
    int (*sync_data)(int fd); /* fdatasync */
    int (*sync)(int fd);      /* fsync; also of a directory */
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
};

/* The table in force. Changed only by tests, while no store is open. */
extern const struct sl_store_io *sl_store_io;
extern const struct sl_store_io sl_store_io_system;

/* All of it, or -1 with errno; *ret_done (may be NULL): how much got there. */
int sl_store_io_write(int fd, const void *data, size_t len, uint64_t offset, size_t *ret_done);
/* All of it: 0; less, because the file ends: 1; -1 with errno. */
int sl_store_io_read(int fd, void *data, size_t len, uint64_t offset);
/* The names in a directory are on disk afterwards. File systems that cannot do that for directories
 * (EINVAL, ENOTSUP) are taken as they are. */
int sl_store_io_sync_dir(const char *path);
/* Makes a directory and what is missing above it (0750); new ones are on disk with their names. `part`
 * is where it failed: -1 with errno. */
int sl_store_io_make_dir(const char *path, char part[PATH_MAX]);
/* Creates or replaces `path` by way of `path`.tmp: written, synced, renamed, directory synced. */
int sl_store_io_replace(const char *dir, const char *path, const void *data, size_t len);

#endif
