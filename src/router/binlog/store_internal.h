/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the store share; nobody outside store*.c includes it.
 *
 *   store.c          catalogue, questions                     any thread, under `lock`
 *   store_scan.c     what is in the directories               control thread, before anybody else
 *   store_fit.c      is an archived file one of this log?  control thread, keeper
 *   store_open.c     open, recovery of the last file, close   control thread
 *   store_request.c  the position that was asked for          any thread, under `lock`
 *   store_head.c     the first events of a file               -
 *   store_walk.c     a file event by event                    -
 *   store_index.c    GTID index files                         -
 *   store_write.c    add, commit, publish                     writer
 *   store_roll.c     from one file to the next                writer
 *   store_read.c     readers: places, files                   workers
 *   store_piece.c    what readers get, blocks                 workers
 *   store_plain.c    descriptors that readers share           workers, keeper; under `plain_lock`
 *   store_keep.c     its thread, indexes, decompression       keeper
 *   store_purge.c    purge, compression: which and when       keeper
 *   store_archive.c  copies                                   keeper
 *   store_zstd.c     compression                              keeper
 *   store_io.c       what is done to files
 *
 * Locks: `lock` guards the catalogue (array, what is marked so in an entry), the published state,
 * the statistics; only memory is touched under it, but for the deletion of all files by a reset.
 * `plain_lock` guards the shared descriptors; `index_lock` the index file of the current log file,
 * between the writer and look-ups; `list_lock` binlog.index. `lock` may be taken inside of the
 * others.
 */
#ifndef SL_ROUTER_BINLOG_STORE_INTERNAL_H
#define SL_ROUTER_BINLOG_STORE_INTERNAL_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "router/binlog/store.h"
#include "router/binlog/store_io.h"

enum {
    SL_STORE_BLOCK_SIZE = 256 * 1024,
    SL_STORE_SPILL = 1024 * 1024,   /* bytes of the writer's buffer */
    SL_STORE_DIRECT = 256 * 1024,   /* longer events are written without being copied */
    SL_STORE_INDEX_GAP = 64 * 1024, /* bytes of log between two entries of an index */
    SL_STORE_SLOTS_MIN = 4,         /* GTIDs in an index entry at first, doubled on demand ... */
    SL_STORE_SLOTS_MAX = 256,       /* ... up to here: then the index ends */
    SL_STORE_HEAD_MAX = 4 * 1024 * 1024, /* bytes of the first events of a file */
    SL_STORE_EXPANDED_MAX = 16,          /* files that are decompressed at a time */
    SL_STORE_FILES_MAX = 1000000,        /* files in a store */
    SL_STORE_ARCHIVE_POLL_MS = 5000, /* until an archive that is not there is looked for again */
};

/* The first events of a file. */
struct sl_store_head {
    uint8_t *fde;        /* fde_len bytes; owned */
    uint8_t *list_event; /* list_event_len bytes, plain; owned */
    uint32_t fde_len, list_event_len;
    bool has_crc;
    bool is_encrypted;
    enum sl_event_cipher cipher; /* found out by trying */
    struct sl_start_encryption encryption;
    struct sl_gtid_list list; /* plain GTID_LIST: the state before the file */
    uint32_t events_at;       /* offset behind FORMAT_DESCRIPTION and START_ENCRYPTION */
    uint32_t end;             /* offset behind the GTID_LIST */
    uint32_t crc;             /* of the bytes up to `end`: an index knows its file by it */
};

/* One file of the log. Freed with its last reference. */
struct sl_store_entry {
    uint64_t id;     /* never used twice: what a block remembers */
    uint64_t number; /* constant, as is `head` */
    struct sl_store_head head;

    _Atomic uint64_t size;    /* published end */
    _Atomic bool is_finished; /* `size` stays as it is now */

    /* under `lock` */
    uint32_t refs, readers;
    bool is_compressed, is_archived; /* where it is on disk */
    bool is_gone;                    /* not in the catalogue any more */
    bool has_index, index_was_tried;
    struct sl_store_entry *next_doomed; /* gone, and to be deleted by the keeper */
    uint64_t disk_size, index_size;
    int64_t changed_s;
    int64_t finished_ms; /* on the store's clock */

    /* under `plain_lock` */
    int plain_fd; /* -1: closed */
    uint32_t plain_users;
    _Atomic uint64_t plain_size; /* bytes that plain_fd has; UINT64_MAX: all */
    _Atomic int plain_error;     /* errno of a failed decompression */
    bool is_expanded;
};

/* An index file while it is written, by the writer or by a walk. */
struct sl_store_index {
    char path[PATH_MAX];
    int fd;               /* -1: none */
    bool is_off;          /* no more entries: too many GTIDs, or writing failed */
    bool is_out_of_order; /* sequence numbers of a domain went down in this file */
    uint32_t slots;
    uint64_t count;              /* entries in the file */
    uint64_t last_offset;        /* of the newest entry, queued ones included */
    struct sl_gtid_list touched; /* of groups in this file, as a state */
    struct sl_buf queue;         /* entries that wait for their log to be published */
};

struct sl_store_writer {
    struct sl_store_entry *entry; /* the last file; NULL: there is none */
    int fd;                       /* -1: it cannot be continued */
    bool has_begun;               /* begin_file was called */
    bool is_broken;               /* after SL_ESYS: only begin_file helps */
    bool has_published;           /* something was published inside of add */
    struct sl_event_crypt *crypt; /* NULL: plain */
    struct sl_buf buf;            /* bytes behind `written` */
    struct sl_buf sealed;         /* scratch */
    uint64_t written;             /* bytes in the file */
    uint64_t complete;            /* end of the last complete group */
    bool is_in_group;
    struct sl_gtid_list state; /* with all complete groups */
    uint64_t groups;           /* complete, not published */
    struct sl_store_index index;
};

/* The keeper's thread and what others ask of it; `lock` guards it but for `expand`. */
struct sl_store_keeper {
    pthread_t thread;
    pthread_cond_t wake;
    bool is_running, is_awake; /* awake: look at once */
    _Atomic bool stops;
    uint64_t start_ms;
    struct sl_store_entry *doomed; /* list of what was purged, oldest first */
    struct sl_store_entry *doomed_last;
    uint64_t archive_to; /* PURGE asked to archive what is below this number */
    struct sl_store_entry *expand[SL_STORE_EXPANDED_MAX]; /* under `plain_lock` */
    unsigned expand_count;
};

struct sl_store {
    char *name, *datadir, *archivedir;
    char base[SL_BINLOG_FILE_NAME_MAX + 1]; /* "" while there is no file; under `lock` */
    uint32_t server_id;
    enum sl_event_cipher cipher;
    struct sl_store_key *keys;
    unsigned key_count;
    void (*on_grown)(void *arg);
    bool (*may_purge)(void *arg, const struct sl_gtid_list *next_list);
    void *arg;
    int lock_fd;

    _Atomic uint64_t version;
    _Atomic bool is_synced;          /* of the tuning */
    _Atomic uint64_t max_file_bytes; /* of the tuning */
    _Atomic bool rotates_soon;
    _Atomic bool knows_archive; /* its files are in the catalogue */

    pthread_mutex_t lock;
    struct sl_store_tuning tuning;
    struct sl_store_entry **entries; /* oldest first */
    unsigned count, capacity;
    uint64_t next_number;
    struct sl_gtid_list state; /* as published */
    bool has_request;
    struct sl_gtid_list request; /* a position that the log does not cover */
    struct sl_store_stats stats;

    pthread_mutex_t plain_lock;
    pthread_mutex_t index_lock;
    pthread_mutex_t list_lock;

    uint64_t clock_base_ms, clock_start_ms; /* of sl_store_clock_ms() */
    struct sl_store_writer writer;
    struct sl_store_keeper keeper;
    unsigned expanded; /* files; under `plain_lock` */
};

/* ---- store.c: the catalogue ---- */

struct sl_store_entry *sl_store_entry_new(uint64_t number,
                                          struct sl_store_head *head); /* takes it */
/* Under `lock`. */
void sl_store_entry_unref(struct sl_store_entry *e);
int sl_store_catalogue_add(struct sl_store *s, struct sl_store_entry *e);
/* Takes the first `count` out of it. */
void sl_store_catalogue_drop(struct sl_store *s, unsigned count);
int sl_store_catalogue_find(struct sl_store *s, uint64_t number); /* or -1 */
/* "pbin.000012" -> its number; false: not a name of this store. */
bool sl_store_number_of(const char *base, const char *name, uint64_t *ret);
void sl_store_file_name(const struct sl_store *s, uint64_t number,
                        char out[SL_BINLOG_FILE_NAME_MAX + 1]);
/* Paths: `suffix` is put behind the file's name. SL_EINVAL: too long. */
int sl_store_path(const struct sl_store *s, const char *dir, uint64_t number, const char *suffix,
                  char out[PATH_MAX], struct sl_err *err);
/* Where the entry's log is now. Takes `lock`. */
int sl_store_entry_path(struct sl_store *s, struct sl_store_entry *e, char out[PATH_MAX],
                        struct sl_err *err);
int sl_store_index_path(struct sl_store *s, struct sl_store_entry *e, char out[PATH_MAX],
                        struct sl_err *err);
/* The size of its index file now, for the statistics. Takes `lock`. */
void sl_store_index_measure(struct sl_store *s, struct sl_store_entry *e);
/* The files in datadir, one path per line. */
int sl_store_list_write(struct sl_store *s, struct sl_err *err);
/* SL_ELIMIT if the disk is full, else SL_ESYS; "<what> '<path>': strerror". */
int sl_store_fail(struct sl_store *s, const char *what, const char *path, struct sl_err *err);
const struct sl_store_key *sl_store_key_find(const struct sl_store *s, uint32_t version);
const struct sl_store_key *sl_store_key_newest(const struct sl_store *s);
/* A clock that goes on by what passes while the store is open, whatever is done to the wall clock. */
int64_t sl_store_clock_ms(const struct sl_store *s);

/* ---- store_head.c ---- */

void sl_store_head_free(struct sl_store_head *h);
/* From the first bytes of a file. SL_EAGAIN: they do not suffice. SL_EPROTO: not a file of ours,
 * damaged, or its key is missing (text without the file's name). */
int sl_store_head_parse(const struct sl_store *s, const uint8_t *data, size_t len,
                        struct sl_store_head *ret, struct sl_err *err);
/* From a plain or compressed file. SL_EAGAIN: it ends inside of its head. */
int sl_store_head_read(const struct sl_store *s, const char *path, bool is_compressed,
                       struct sl_store_head *ret, struct sl_err *err);
/* The bytes of a new file and what they say. */
int sl_store_head_build(const struct sl_store *s, const uint8_t *fde, uint32_t len,
                        const struct sl_gtid_list *list, struct sl_buf *out,
                        struct sl_store_head *ret, struct sl_err *err);
/* For the events of the file; *ret NULL for a plain one. */
int sl_store_head_crypt(const struct sl_store *s, const struct sl_store_head *h,
                        struct sl_event_crypt **ret, struct sl_err *err);

/* ---- store_walk.c ---- */

/* Events one after the other, whole and plain, read in blocks. */
struct sl_store_walk {
    int fd;
    uint64_t offset, end; /* of the next event; of the file */
    bool has_crc;
    struct sl_event_crypt *crypt;
    uint8_t *block; /* SL_STORE_BLOCK_SIZE */
    uint64_t block_at;
    uint32_t block_len;
    struct sl_buf large, plain;
};
int sl_store_walk_init(struct sl_store_walk *w, const struct sl_store *s,
                       const struct sl_store_head *h, int fd, uint64_t offset, uint64_t end,
                       struct sl_err *err);
void sl_store_walk_free(struct sl_store_walk *w);
/* The next event, verified, valid until the next call; `offset` is behind it then. SL_ENOENT: the
 * end. SL_EPROTO: what stands there is not a whole event with a right checksum. */
int sl_store_walk_next(struct sl_store_walk *w, uint8_t **ret_event, uint32_t *ret_len,
                       struct sl_err *err);

/* What a walk over groups found. */
struct sl_store_walked {
    uint64_t end;      /* behind the last complete group, or the ROTATE */
    bool is_rotated;   /* the last event is a ROTATE */
    bool is_damaged;   /* something stands behind `end` */
    struct sl_err why; /* what is wrong there */
};
/* From w->offset on; each group goes into `state` (may be NULL) and `index` (may be NULL; the file
 * has been synced then). */
int sl_store_walk_groups(struct sl_store_walk *w, const struct sl_store_head *h,
                         struct sl_gtid_list *state, struct sl_store_index *index,
                         struct sl_store_walked *ret, struct sl_err *err);

/* ---- store_index.c ---- */

/* Makes a new file at `path`, with nothing in it but a header. */
int sl_store_index_create(struct sl_store_index *x, const char *path,
                          const struct sl_store_head *h);
/* Continues the one of a log of `log_size` bytes: *ret_offset is where a walk has to go on (the
 * last entry whose log was synced, or the first group). Creates it when it cannot be used. */
int sl_store_index_continue(struct sl_store_index *x, const char *path,
                            const struct sl_store_head *h, uint64_t log_size, uint64_t *ret_offset);
/* A group of this file has ended at `end`. */
void sl_store_index_group(struct sl_store_index *x, const struct sl_store_head *h,
                          struct sl_gtid gtid, uint64_t end);
/* Writes the queue. Failures switch the index off: it is built again later. */
void sl_store_index_flush(struct sl_store_index *x, bool is_synced);
/* Notes the size of the log, syncs, closes. False: it is of no use. */
bool sl_store_index_finish(struct sl_store_index *x, const struct sl_store_head *h,
                           uint64_t log_size, int64_t finished_ms);
void sl_store_index_close(
    struct sl_store_index *x); /* frees what it has; usable for create again */
/* Of a finished log: does it have an index that fits? */
bool sl_store_index_check(const char *path, const struct sl_store_head *h, uint64_t *ret_log_size,
                          int64_t *ret_finished_ms);
/* The last entry at or below `limit` before which there is nothing that `position` lacks. Starts
 * with the first group where there is none. *before (a state) becomes what the log has before it.
 * SL_ENOENT, SL_EPROTO: no index, or a damaged one; *ret_offset and *before are good all the same. */
int sl_store_index_find(const char *path, const struct sl_store_head *h,
                        const struct sl_gtid_list *position, uint64_t limit, uint64_t *ret_offset,
                        struct sl_gtid_list *before);

/* ---- store_scan.c, store_open.c ---- */

/* Fills the catalogue from the directories; tidies up what a crash left. */
int sl_store_scan(struct sl_store *s, struct sl_err *err);
/* The last file: cut behind its last complete group, and ready to go on. */
int sl_store_recover(struct sl_store *s, struct sl_err *err);
/* Archived files that continue the catalogue downwards. */
int sl_store_scan_archive(struct sl_store *s, struct sl_err *err);
/* Does the log that begins with state `next` go on from the end of `e`? False: *err says why not. SL_ESYS,
 * SL_ENOMEM. Nobody else knows `e` yet. */
int sl_store_fits(struct sl_store *s, struct sl_store_entry *e, const struct sl_gtid_list *next,
                  bool *ret, struct sl_err *err);
/* The first number of an empty store: behind those of archived files, which belong to a log that
 * was deleted, with one left out so that they are not taken for what comes before. */
int sl_store_scan_first_number(struct sl_store *s, uint64_t *ret, struct sl_err *err);
/* Deletes all files of the log in datadir, those that are not served, too. Under `lock`. */
int sl_store_scan_unlink(struct sl_store *s, struct sl_err *err);

/* ---- store_request.c ---- */

/* What was asked for before the start, if the log does not have it yet. Control thread. */
int sl_store_request_load(struct sl_store *s, struct sl_err *err);
/* NULL: the file goes. */
int sl_store_request_save(struct sl_store *s, const struct sl_gtid_list *position,
                          struct sl_err *err);

/* ---- store_write.c ---- */

void sl_store_writer_free(struct sl_store_writer *w);
/* One event behind all others; log_pos and checksum are made anew. */
int sl_store_writer_append(struct sl_store *s, uint8_t *event, uint32_t len, struct sl_err *err);
/* What is complete gets on disk (synced if `always` or tuned so) and is published. */
int sl_store_writer_publish(struct sl_store *s, bool always, uint64_t *ret_us, struct sl_err *err);
/* Closes the file; what waits is forgotten. */
void sl_store_writer_detach(struct sl_store_writer *w);

/* ---- store_roll.c ---- */

/* From the last file to a new one. Everything complete is published, no group is open. SL_ELIMIT:
 * the disk is full, nothing has changed. */
int sl_store_roll(struct sl_store *s, const uint8_t *fde, uint32_t len, struct sl_err *err);
/* The same with the current FORMAT_DESCRIPTION, if the file is long enough or it was asked for. */
int sl_store_roll_if_due(struct sl_store *s, struct sl_err *err);
/* After a failure: the last file ends where it was published. */
int sl_store_roll_heal(struct sl_store *s, struct sl_err *err);

/* ---- store_plain.c ---- */

/* A descriptor with the plain bytes of the file, shared. SL_EAGAIN: too many files are decompressed
 * now, on_grown will tell when to ask again. SL_ESYS. */
int sl_store_plain_get(struct sl_store *s, struct sl_store_entry *e, int *ret_fd,
                       struct sl_err *err);
void sl_store_plain_put(struct sl_store *s, struct sl_store_entry *e);
/* The same if nobody else uses it; else false, and nothing has changed. */
bool sl_store_plain_put_last(struct sl_store *s, struct sl_store_entry *e);

/* A look-up found the index of a finished file missing or damaged: the keeper makes it anew. */
void sl_store_index_is_bad(struct sl_store *s, struct sl_store_entry *e);

/* ---- store_zstd.c ---- */

/* The plain size of a compressed file. */
int sl_store_zstd_size(const char *path, uint64_t *ret, struct sl_err *err);
/* The same by decompressing it for the keeper, which verifies it. SL_ESTATE: interrupted. */
int sl_store_zstd_count(struct sl_store *s, const char *path, uint64_t *ret, struct sl_err *err);
/* A file without a name in the compression directory; -1 with errno. */
int sl_store_zstd_scratch(const struct sl_store *s);
/* Decompresses `path` into `to`, `size` bytes at most. `progress` is called now and then with what is
 * there: false stops (SL_ESTATE). SL_ESYS, SL_ELIMIT (disk full), SL_EPROTO (damaged, or longer),
 * SL_ENOMEM. */
typedef bool sl_store_progress(void *arg, uint64_t bytes);
int sl_store_zstd_expand(struct sl_store *s, const char *path, int to, uint64_t size,
                         sl_store_progress *progress, void *arg, struct sl_err *err);
int sl_store_zstd_expand_now(struct sl_store *s, const char *path, uint64_t size, int *ret_fd,
                             struct sl_err *err);
/* Compresses `path` to `to`: written, synced. Calls `progress` as above. */
int sl_store_zstd_compress(struct sl_store *s, const char *path, const char *to,
                           sl_store_progress *progress, void *arg, struct sl_err *err);

/* ---- store_keep.c ---- */

/* May the keeper's long work go on? Serves those who wait for it meanwhile; a sl_store_progress. */
bool sl_store_keeper_goes_on(void *store, uint64_t bytes);
/* Decompress for readers; the keeper takes a reference and a use of its own. Under `plain_lock`. */
void sl_store_keeper_expand(struct sl_store *s, struct sl_store_entry *e);

int sl_store_keeper_start(struct sl_store *s, struct sl_err *err);
void sl_store_keeper_stop(struct sl_store *s);
void sl_store_keeper_wake(struct sl_store *s);

/* ---- store_purge.c, store_archive.c, store_zstd.c: the keeper's work ---- */

/* Each does what there is to do now. *ret_due_ms (monotonic) becomes the time of the next look if
 * that is earlier; *why gets what went wrong. */
void sl_store_purge_run(struct sl_store *s, uint64_t *ret_due_ms, struct sl_err *why);
void sl_store_compress_run(struct sl_store *s, uint64_t *ret_due_ms, struct sl_err *why);
/* SL_EINVAL: the archive is the data directory. */
int sl_store_archive_check(const struct sl_store *s, struct sl_err *err);
/* Copies, compares, deletes. SL_ESTATE: interrupted. */
int sl_store_archive(struct sl_store *s, struct sl_store_entry *e, struct sl_err *err);
/* Deletes the files of an entry that is not in the catalogue any more. */
void sl_store_unlink(struct sl_store *s, struct sl_store_entry *e);
#endif
