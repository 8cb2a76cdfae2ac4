/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: binlog files of a relay on disk. docs/internals/binlog-store.md tells the rules.
 *
 *   writer (one thread)   add, commit, abandon, rotate             store_write.c, store_roll.c
 *   readers (any thread)  position -> cursor -> pieces of events   store_read.c, store_piece.c
 *   keeper (own thread)   purge, archive, compress, decompress     store_keep.c, store_purge.c
 *   everybody             catalogue: names, sizes, GTID lists      store.c, under one mutex that is
 *                         never held across I/O on log data
 *
 * Readers never see beyond the published end, which only commit moves and which is always the end
 * of a group (or of a file's preamble).
 */
#ifndef SL_ROUTER_BINLOG_STORE_H
#define SL_ROUTER_BINLOG_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "conf/tables.h"
#include "repl/event.h"
#include "repl/event_crypt.h"
#include "repl/group.h"
#include "repl/gtid_list.h"

struct sl_store;

/* A key of encryption at rest; version counts from 1, the highest one encrypts new files. */
struct sl_store_key {
    uint32_t version;
    uint8_t len; /* 16, 24, 32 */
    uint8_t bytes[32];
};

/* Which settings are in force may change while running: sl_store_tune(). */
struct sl_store_tuning {
    bool is_synced;            /* fdatasync before publishing */
    bool archives;             /* expired files go to archivedir, else they are deleted */
    uint64_t expire_ms;        /* 0: never */
    uint32_t minimum_files;    /* that stay whatever their age, at least 1 */
    uint64_t startup_delay_ms; /* of the first purge */
    uint64_t poll_ms;          /* next look when something kept the keeper from its work */
    bool compresses;           /* zstd */
    uint32_t plain_files;      /* newest ones that are not compressed, at least 1 */
    uint64_t max_file_bytes;   /* a file that got longer is rotated at the next group; 0: only
                                 * when the primary rotates */
};

struct sl_store_config {
    const char *name;       /* of the service, for logs */
    const char *datadir;    /* made if missing */
    const char *archivedir; /* NULL: none */
    uint32_t server_id;     /* of events made here */
    enum sl_event_cipher cipher;
    const struct sl_store_key *keys; /* key_count 0: plain files; copied */
    unsigned key_count;
    struct sl_store_tuning tuning;
    /* Called by the writer (after commit) and by the keeper whenever readers may find more to read;
     * must be quick. */
    void (*on_grown)(void *arg);
    /* Called by the keeper before it removes a file: does no replica, connected or remembered, need
     * the file whose successor begins with GTID_LIST `next_list`? NULL: nobody needs anything. */
    bool (*may_purge)(void *arg, const struct sl_gtid_list *next_list);
    void *arg;
};

/* Opens or makes the directory, recovers (cuts what is torn, builds what is missing), starts the
 * keeper. Everything is copied. SL_ESYS, SL_EPROTO (damaged beyond the last file's tail: names file
 * and offset), SL_EEXIST (another process has it), SL_ENOMEM. Control thread. */
int sl_store_open(const struct sl_store_config *config, struct sl_store **ret, struct sl_err *err);
/* No reader and no writer may be left. Control thread. NULL is fine. */
void sl_store_close(struct sl_store *store);
/* Any thread. */
void sl_store_tune(struct sl_store *store, const struct sl_store_tuning *tuning);

/* ---- writer ------------------------------------------------------------------------------- */

/* Makes a new file the current one: magic, the primary's FORMAT_DESCRIPTION (copied, IN_USE
 * cleared), START_ENCRYPTION if wanted, GTID_LIST of the state. The file before gets a ROTATE and is
 * finished. `base` names the files ("pbin"): used when the store is empty, else the store's own
 * base stays. Commits what is complete, abandons what is not. If the FORMAT_DESCRIPTION equals that
 * of the current file and `continues`, the current file goes on instead. */
int sl_store_begin_file(struct sl_store *store, const char *base, const uint8_t *fde, uint32_t len,
                        bool continues, struct sl_err *err);
bool sl_store_has_file(const struct sl_store *store); /* begin_file was called since the open */

/* One whole event that was checked and passed through the group tracker: `step` and `group` are
 * what it said. log_pos and checksum are made anew in place. Buffered; large groups spill to the
 * file beyond the published end. SL_ENOMEM, SL_ESYS, SL_ELIMIT (disk full: nothing of the event was
 * taken, call again later). */
int sl_store_add(struct sl_store *store, uint8_t *event, uint32_t len, enum sl_group_step step,
                 const struct sl_group *group, struct sl_err *err);
/* Makes complete groups durable (as tuned) and visible, in this order; writes the index; rotates if
 * the file is long. *ret_synced_us: time the sync took, 0 without. SL_ELIMIT: disk full, nothing
 * lost, call again. SL_ESYS: the writer must stop (a failed sync is never repeated: the file is
 * reopened by the next begin_file after a recovery of its tail). */
int sl_store_commit(struct sl_store *store, uint64_t *ret_synced_us, struct sl_err *err);
bool sl_store_has_uncommitted(const struct sl_store *store); /* complete groups wait for commit */
/* Drops the open group, from memory and file. */
void sl_store_abandon(struct sl_store *store);
/* ... and the complete ones that could not be committed. Only begin_file helps then, if there were
 * any: true. */
bool sl_store_abandon_all(struct sl_store *store);

/* The position to start from when the log is empty or does not have it yet: kept in a file until
 * the next begin_file, whose file begins with it. A log that has groups already skips a number
 * then: its older files stay on disk but are not served, since there is a gap. NULL: forgets it. SL_ESTATE: the log has it (or more) already. Any thread
 * while the writer stands. */
int sl_store_request_position(struct sl_store *store, const struct sl_gtid_list *position,
                              struct sl_err *err);

/* Deletes all files and the state ("RESET MASTER", or a position back in time). Writer stands, no
 * reader: else SL_ESTATE. Archived files stay where they are but belong to the log no more: numbers
 * go on behind theirs, else they begin at 1. SL_ESYS: the archive cannot be read, or datadir. */
int sl_store_reset(struct sl_store *store, struct sl_err *err);

/* ---- what is there; any thread ------------------------------------------------------------- */

/* State of the log as published (binlog state), or the position that was requested. */
int sl_store_state(struct sl_store *store, struct sl_gtid_list *ret);
/* The last of each domain, as text in `out` (cleared before). */
int sl_store_position_text(struct sl_store *store, struct sl_buf *out);
/* The time of the first event behind the GTID event of a published group. SL_ENOENT: the group is not in
 * the log (any more), or too far from the next index entry; others: it cannot be read now. Reads some
 * 100 kB of log, at most 16 MiB. Any thread. */
int sl_store_group_time(struct sl_store *store, struct sl_gtid gtid, uint32_t *ret_timestamp);
/* Grows with each publication. Wait-free. */
uint64_t sl_store_version(const struct sl_store *store);

struct sl_store_file {
    uint64_t number;
    char name[SL_BINLOG_FILE_NAME_MAX + 1]; /* "pbin.000012", without ".zst" */
    uint64_t size; /* published bytes; of a compressed one: as it would be plain */
    uint64_t disk_size;
    int64_t changed_s; /* last modification, wall clock */
    bool is_current, is_compressed, is_archived, is_encrypted;
    uint32_t readers;
};
/* Oldest first, archived ones (if readable there) before the others; the caller frees *ret
 * with sl_free. */
int sl_store_files(struct sl_store *store, struct sl_store_file **ret, unsigned *ret_count);
/* The current file and published offset; false: there is none. */
bool sl_store_tail(struct sl_store *store, char name[SL_BINLOG_FILE_NAME_MAX + 1],
                   uint64_t *ret_offset);

struct sl_store_stats {
    uint64_t groups, bytes; /* written since the start */
    uint64_t syncs, sync_us_total, sync_us_max;
    uint64_t index_bytes, files, disk_bytes;
    uint64_t purged, archived, compressed;
    uint64_t torn_bytes;    /* cut when opened */
    bool is_full;           /* the disk */
    char keeper_error[256]; /* "" or what keeps the keeper from its work */
};
void sl_store_stats(struct sl_store *store, struct sl_store_stats *ret);

/* PURGE BINARY LOGS TO / BEFORE. Stops silently at a file in use. The files are gone from the list
 * and binlog.index at once and from the disk soon; with `archives` all that happens when they have
 * been copied. Waits for the disk.
 * SL_ENOENT: no such file. */
int sl_store_purge_to(struct sl_store *store, const char *file, struct sl_err *err);
int sl_store_purge_before(struct sl_store *store, int64_t time_s, struct sl_err *err);
/* FLUSH BINARY LOGS: the writer begins a new file with its next commit or group. */
void sl_store_rotate_soon(struct sl_store *store);

/* ---- readers -------------------------------------------------------------------------------- */

/* Where a worker's readers read: one block of a file, shared, so that readers at the same place
 * read once. Belongs to one thread. */
struct sl_store_block;
int sl_store_block_new(struct sl_store_block **ret); /* 256 KiB */
void sl_store_block_free(struct sl_store_block *b);

struct sl_store_reader;

/* The file and offset where a replica at `position` starts: the first event behind the
 * FORMAT_DESCRIPTION, or later (then behind the GTID_LIST); everything before it is covered. The
 * caller has judged the position (sl_gtid_state_judge). SL_ENOENT: purged. SL_ESYS: a file or the
 * archive is out of reach now. Reads a few entries of an index file, never the log. Any thread. */
int sl_store_reader_open(struct sl_store *store, const struct sl_gtid_list *position,
                         struct sl_store_reader **ret, struct sl_err *err);
/* By file and offset; "" is the oldest file, offset 4 the first event behind the FORMAT_DESCRIPTION.
 * SL_ENOENT: no such file. SL_EINVAL: impossible position (beyond the end or below 4). That no event
 * begins at the offset is told by the first sl_store_reader_next(): SL_EPROTO. */
int sl_store_reader_open_at(struct sl_store *store, const char *file, uint64_t offset,
                            struct sl_store_reader **ret, struct sl_err *err);
void sl_store_reader_free(struct sl_store_reader *r);

const char *sl_store_reader_file(const struct sl_store_reader *r);
/* Of the next byte it will give. */
uint64_t sl_store_reader_offset(const struct sl_store_reader *r);
/* The file's FORMAT_DESCRIPTION as stored, and the plain GTID_LIST (state before the file). Valid
 * until the reader goes to the next file. */
struct sl_slice sl_store_reader_fde(const struct sl_store_reader *r);
const struct sl_gtid_list *sl_store_reader_list(const struct sl_store_reader *r);
/* The GTID_LIST event itself, plain; valid as long. */
struct sl_slice sl_store_reader_list_event(const struct sl_store_reader *r);
/* After sl_store_reader_open(): the newest GTID of each domain before the first byte it gives, where
 * that is not the file's beginning: for the domains that have groups between the two (or for all).
 * Only the sequence numbers count; a server id of 0 is not known. Else empty. */
const struct sl_gtid_list *sl_store_reader_start(const struct sl_store_reader *r);
bool sl_store_reader_has_crc(const struct sl_store_reader *r);

enum sl_store_step {
    SL_STORE_EVENTS,   /* whole events */
    SL_STORE_PART,     /* the next part of an event too large for a block */
    SL_STORE_END,      /* nothing more now: the published end, or a compressed file that is still
                        * being decompressed; on_grown tells of more */
    SL_STORE_NEXT_FILE /* the file has ended and another follows: sl_store_reader_next_file() */
};
struct sl_store_piece {
    struct sl_slice bytes; /* valid until the block is used again */
    uint64_t offset;       /* in the file, of the first byte */
    uint32_t event_length; /* PART: of the whole event */
    uint32_t event_offset; /* PART: of the first byte in the event */
};
/* At most max_bytes (>= 64 KiB) or one event; moves the cursor behind it. Errors: SL_EPROTO
 * (damage), SL_ESYS, SL_ENOMEM. Events are plain, START_ENCRYPTION is left out. */
int sl_store_reader_next(struct sl_store_reader *r, struct sl_store_block *block,
                         uint32_t max_bytes, enum sl_store_step *ret_step,
                         struct sl_store_piece *ret, struct sl_err *err);
/* To the first event behind the FORMAT_DESCRIPTION of the next file. */
int sl_store_reader_next_file(struct sl_store_reader *r, struct sl_err *err);

#endif
