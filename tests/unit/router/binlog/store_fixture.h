/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in a temporary directory, and a primary that writes groups into it: what the tests of
 * the store share. Each test program includes it once.
 */
#ifndef TEST_STORE_FIXTURE_H
#define TEST_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "router/binlog/store.h"

enum {
    FIXTURE_DEADLINE_MS = 120000, /* behind everything else on a busy machine */
    FIXTURE_FDE = 252,
    FIXTURE_MAX = 20 * 1024 * 1024
};

struct fixture {
    char root[64], datadir[80], archivedir[80];
    struct sl_store_config config;
    struct sl_store *store;
    struct sl_group group;
    bool has_crc;
    uint32_t timestamp; /* of events */
    uint8_t fde[FIXTURE_FDE];
    uint8_t *event; /* FIXTURE_MAX bytes */
    _Atomic unsigned grown;
};

static inline void fixture_grown(void *arg)
{
    ((struct fixture *)arg)->grown++;
}

/* As a server writes it: "10.11.6-MariaDB-log", post-header lengths of its types, CRC32 or not. */
static inline void fixture_fde(struct fixture *f, uint32_t timestamp, uint32_t created,
                               bool has_crc)
{
    uint8_t *e = f->fde;
    memset(e, 0, sizeof(f->fde));
    struct sl_event_header h = {.timestamp = timestamp,
                                .server_id = 7,
                                .length = FIXTURE_FDE,
                                .log_pos = 4 + FIXTURE_FDE,
                                .type = SL_EVENT_FORMAT_DESCRIPTION};
    sl_event_header_put(e, &h);
    sl_put_le16(e + 19, 4);
    strcpy((char *)e + 21, "10.11.6-MariaDB-log");
    sl_put_le32(e + 71, created);
    e[75] = 19;
    memset(e + 76, 8, 171);
    e[76 + 162 - 1] = 19;
    e[247] = has_crc;
    sl_event_crc_put(e, FIXTURE_FDE);
    f->has_crc = has_crc;
}

static inline void fixture_init(struct fixture *f)
{
    *f = (struct fixture){.timestamp = 1700000001};
    /* In memory if possible: thousands of files are made and removed. */
    bool has_shm = access("/dev/shm", W_OK) == 0;
    snprintf(f->root, sizeof(f->root), "%s/sealane-store-XXXXXX", has_shm ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->datadir, sizeof(f->datadir), "%s/data", f->root);
    snprintf(f->archivedir, sizeof(f->archivedir), "%s/archive", f->root);
    assert_int_equal(mkdir(f->archivedir, 0755), 0);
    f->event = malloc(FIXTURE_MAX);
    f->config = (struct sl_store_config){
        .name = "Relay",
        .datadir = f->datadir,
        .server_id = 4711,
        .tuning = {.is_synced = false, .minimum_files = 2, .poll_ms = 20, .plain_files = 2},
        .on_grown = fixture_grown,
        .arg = f};
    fixture_fde(f, 1700000000, 1700000000, true);
    sl_log_set_level_mask(0);
}

/* All but the newest two files go to the archive at once. */
static inline void fixture_init_archive(struct fixture *f)
{
    fixture_init(f);
    f->config.archivedir = f->archivedir;
    f->config.tuning.archives = true;
    f->config.tuning.expire_ms = 1;
    f->config.tuning.minimum_files = 2;
}

static inline int fixture_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static inline void fixture_open(struct fixture *f)
{
    struct sl_err err = SL_ERR_INIT;
    int rc = sl_store_open(&f->config, &f->store, &err);
    if (rc != SL_OK) {
        print_message("open: %s\n", err.text);
    }
    assert_int_equal(rc, SL_OK);
    sl_group_reset(&f->group);
}

static inline void fixture_close(struct fixture *f)
{
    sl_store_close(f->store);
    f->store = NULL;
}

static inline void fixture_end(struct fixture *f)
{
    fixture_close(f);
    free(f->event);
    nftw(f->root, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void fixture_begin(struct fixture *f, bool continues)
{
    struct sl_err err = SL_ERR_INIT;
    int rc = sl_store_begin_file(f->store, "pbin", f->fde, FIXTURE_FDE, continues, &err);
    if (rc != SL_OK) {
        print_message("begin_file: %s\n", err.text);
    }
    assert_int_equal(rc, SL_OK);
}

/* One event into the store: header, `body_len` bytes of body that are in place already. */
static inline int fixture_event(struct fixture *f, uint8_t type, uint32_t server_id,
                                uint32_t body_len)
{
    uint32_t len = SL_EVENT_HEADER + body_len + (f->has_crc ? SL_EVENT_CRC : 0);
    struct sl_event_header h = {.timestamp = f->timestamp,
                                .server_id = server_id,
                                .length = len,
                                .log_pos = 12345,
                                .type = type};
    sl_event_header_put(f->event, &h);
    if (f->has_crc) {
        sl_event_crc_put(f->event, len);
    }
    enum sl_group_step step;
    assert_int_equal(sl_group_feed(&f->group, f->event, len, f->has_crc, &step), SL_OK);
    return sl_store_add(f->store, f->event, len, step, &f->group, NULL);
}

static inline int fixture_gtid(struct fixture *f, struct sl_gtid g, uint8_t flags2)
{
    uint8_t *body = f->event + SL_EVENT_HEADER;
    memset(body, 0, 19);
    sl_put_le64(body, g.seq);
    sl_put_le32(body + 8, g.domain);
    body[12] = flags2;
    return fixture_event(f, SL_EVENT_GTID, g.server_id, 19);
}

static inline int fixture_rows(struct fixture *f, struct sl_gtid g, uint32_t len)
{
    memset(f->event + SL_EVENT_HEADER, (int)(g.seq & 0x7f), len);
    return fixture_event(f, SL_EVENT_WRITE_ROWS, g.server_id, len);
}

static inline int fixture_xid(struct fixture *f, struct sl_gtid g)
{
    sl_put_le64(f->event + SL_EVENT_HEADER, g.seq);
    return fixture_event(f, SL_EVENT_XID, g.server_id, 8);
}

/* A whole transaction with a row event of `len` bytes. */
static inline int fixture_group(struct fixture *f, uint32_t domain, uint32_t server_id,
                                uint64_t seq, uint32_t len)
{
    struct sl_gtid g = {domain, server_id, seq};
    int rc = fixture_gtid(f, g, SL_GTID_TRANSACTIONAL);
    rc = rc == SL_OK ? fixture_rows(f, g, len) : rc;
    return rc == SL_OK ? fixture_xid(f, g) : rc;
}

static inline void fixture_commit(struct fixture *f)
{
    uint64_t us;
    struct sl_err err = SL_ERR_INIT;
    int rc = sl_store_commit(f->store, &us, &err);
    if (rc != SL_OK) {
        print_message("commit: %s\n", err.text);
    }
    assert_int_equal(rc, SL_OK);
}

/* `count` groups of domain 0, server 7, from `seq` on, committed together. */
static inline void fixture_groups(struct fixture *f, uint64_t seq, uint64_t count, uint32_t len)
{
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(fixture_group(f, 0, 7, seq + i, len), SL_OK);
    }
    fixture_commit(f);
}

static inline void fixture_expect_position(struct fixture *f, const char *expect)
{
    struct sl_buf text = SL_BUF_INIT;
    assert_int_equal(sl_store_position_text(f->store, &text), SL_OK);
    assert_int_equal(sl_buf_append(&text, "", 1), SL_OK);
    assert_string_equal((char *)text.data + text.start, expect);
    sl_buf_free(&text);
}

static inline void fixture_position(struct sl_gtid_list *ret, const char *text)
{
    assert_int_equal(sl_gtid_position_parse(sl_slice_text(text), ret, NULL), SL_OK);
}

/* ---- reading ---- */

/* What a reader gave, as whole events one behind the other, FORMAT_DESCRIPTION and GTID_LIST left
 * out. */
struct fixture_stream {
    struct sl_buf events;
    unsigned pieces, parts, files;
    uint64_t gtids, last_seq;
    bool is_in_order; /* sequence numbers of groups go up by one */
};

static inline void fixture_take(struct fixture_stream *st, const uint8_t *event, uint32_t len)
{
    uint8_t type = sl_event_type(event);
    if (type == SL_EVENT_GTID_LIST || type == SL_EVENT_FORMAT_DESCRIPTION) {
        return;
    }
    if (type == SL_EVENT_GTID) {
        uint64_t seq = sl_get_le64(event + SL_EVENT_HEADER);
        st->is_in_order = st->gtids == 0 || (st->is_in_order && seq == st->last_seq + 1);
        st->last_seq = seq;
        st->gtids++;
    }
    assert_int_equal(sl_buf_append(&st->events, event, len), SL_OK);
}

static inline bool fixture_is_at_tail(struct fixture *f, const struct sl_store_reader *r)
{
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t offset;
    assert_true(sl_store_tail(f->store, name, &offset));
    return strcmp(name, sl_store_reader_file(r)) == 0 && offset == sl_store_reader_offset(r);
}

/* Reads to the published end, and waits for what is being decompressed. */
static inline void fixture_drain(struct fixture *f, struct sl_store_reader *r,
                                 struct sl_store_block *b, uint32_t max, struct fixture_stream *st)
{
    struct sl_buf large = SL_BUF_INIT;
    uint64_t until_ms = sl_clock_mono_ms() + FIXTURE_DEADLINE_MS;
    for (;;) {
        enum sl_store_step step;
        struct sl_store_piece piece;
        struct sl_err err = SL_ERR_INIT;
        int rc = sl_store_reader_next(r, b, max, &step, &piece, &err);
        if (rc != SL_OK) {
            print_message("next: %s\n", err.text);
        }
        assert_int_equal(rc, SL_OK);
        if (step == SL_STORE_END && fixture_is_at_tail(f, r)) {
            break;
        }
        if (step == SL_STORE_END) {
            assert_true(sl_clock_mono_ms() < until_ms);
            usleep(200);
            continue;
        }
        if (step == SL_STORE_NEXT_FILE) {
            assert_int_equal(sl_store_reader_next_file(r, &err), SL_OK);
            st->files++;
            continue;
        }
        if (step == SL_STORE_PART) {
            st->parts++;
            assert_int_equal(piece.event_offset, sl_buf_len(&large));
            assert_int_equal(sl_buf_append(&large, piece.bytes.data, piece.bytes.len), SL_OK);
            if (sl_buf_len(&large) == piece.event_length) {
                fixture_take(st, large.data + large.start, piece.event_length);
                sl_buf_clear(&large);
            }
            continue;
        }
        st->pieces++;
        for (size_t at = 0; at < piece.bytes.len;) {
            const uint8_t *event = piece.bytes.data + at;
            uint32_t len = sl_event_length(event);
            assert_true(len <= piece.bytes.len - at);
            if (sl_store_reader_has_crc(r)) {
                assert_true(sl_event_crc_is_right(event, len));
            }
            fixture_take(st, event, len);
            at += len;
        }
    }
    sl_buf_free(&large);
}

/* From a position to the end. */
static inline void fixture_read(struct fixture *f, const char *position, uint32_t max,
                                struct fixture_stream *st)
{
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_store_reader *r;
    struct sl_store_block *b;
    *st = (struct fixture_stream){0};
    fixture_position(&list, position);
    assert_int_equal(sl_store_block_new(&b), SL_OK);
    assert_int_equal(sl_store_reader_open(f->store, &list, &r, NULL), SL_OK);
    fixture_drain(f, r, b, max, st);
    sl_store_reader_free(r);
    sl_store_block_free(b);
    sl_gtid_list_free(&list);
}

static inline void fixture_stream_free(struct fixture_stream *st)
{
    sl_buf_free(&st->events);
}

static inline unsigned fixture_file_count(struct fixture *f)
{
    struct sl_store_file *files;
    unsigned count;
    assert_int_equal(sl_store_files(f->store, &files, &count), SL_OK);
    sl_free(files);
    return count;
}

/* Waits until a condition holds; the keeper works meanwhile. */
#define FIXTURE_WAIT(condition)                                                                    \
    do {                                                                                           \
        uint64_t until_ms = sl_clock_mono_ms() + FIXTURE_DEADLINE_MS;                              \
        while (!(condition)) {                                                                     \
            assert_true(sl_clock_mono_ms() < until_ms);                                            \
            usleep(2000);                                                                          \
        }                                                                                          \
    } while (0)

#endif
