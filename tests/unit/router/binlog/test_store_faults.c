/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong: a full disk, a failed sync, torn and damaged files, memory that runs out, and a
 * process that is killed at any moment of a rename. */
#include <errno.h>

#include "router/binlog/store_internal.h"
#include "store_fixture.h"

/* ---- faults ---- */

static _Atomic int64_t room = INT64_MAX;  /* bytes until the disk is full */
static _Atomic unsigned sync_fails;       /* this many syncs fail */
static _Atomic int64_t calls = INT64_MAX; /* calls until everything fails: the process was killed */

static bool is_dead(void)
{
    errno = EIO;
    return calls <= 0 || calls-- <= 0;
}

static int faulty_open(const char *path, int flags, mode_t mode)
{
    if ((flags & O_CREAT) && is_dead()) {
        return -1;
    }
    return sl_store_io_system.open(path, flags, mode);
}

static ssize_t faulty_pwrite(int fd, const void *data, size_t len, off_t offset)
{
    if (is_dead()) {
        return -1;
    }
    if (room <= 0) {
        errno = ENOSPC;
        return -1;
    }
    len = (int64_t)len > room ? (size_t)room : len;
    room -= (int64_t)len;
    return pwrite(fd, data, len, offset);
}

static int faulty_sync(int fd)
{
    if (is_dead()) {
        return -1;
    }
    if (sync_fails > 0) {
        sync_fails--;
        errno = EIO;
        return -1;
    }
    return 0;
}

static int faulty_rename(const char *from, const char *to)
{
    return is_dead() ? -1 : rename(from, to);
}

static int faulty_unlink(const char *path)
{
    return is_dead() ? -1 : unlink(path);
}

static int faulty_truncate(int fd, off_t length)
{
    return is_dead() ? -1 : ftruncate(fd, length);
}

static const struct sl_store_io faulty = {
    .open = faulty_open,
    .close = close,
    .pwrite = faulty_pwrite,
    .truncate = faulty_truncate,
    .sync_data = faulty_sync,
    .sync = faulty_sync,
    .rename = faulty_rename,
    .unlink = faulty_unlink,
};

static int setup(void **state)
{
    room = INT64_MAX;
    calls = INT64_MAX;
    sync_fails = 0;
    sl_store_io = &faulty;
    return 0;
}

static int teardown(void **state)
{
    sl_store_io = &sl_store_io_system;
    return 0;
}

static void expect_groups(struct fixture *f, uint64_t count)
{
    struct fixture_stream st;
    fixture_read(f, "", 64 * 1024, &st);
    assert_true(count == 0 || st.is_in_order);
    assert_int_equal(st.gtids, count);
    fixture_stream_free(&st);
}

static struct sl_store_stats stats_of(struct fixture *f)
{
    struct sl_store_stats stats;
    sl_store_stats(f->store, &stats);
    return stats;
}

/* ---- a full disk ---- */

/* The store refuses, keeps what it has, serves, and goes on when there is room again. */
static void test_full(void **state)
{
    struct fixture f;
    uint64_t us, seq = 11;
    fixture_init(&f);
    f.config.tuning.is_synced = true;
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 10, 1000);
    room = 100;
    int rc = SL_OK;
    while (rc == SL_OK) { /* until the buffer is full */
        struct sl_gtid g = {0, 7, seq};
        assert_true(seq < 100000);
        rc = fixture_gtid(&f, g, SL_GTID_TRANSACTIONAL);
        for (; rc == SL_ELIMIT; rc = fixture_gtid(&f, g, SL_GTID_TRANSACTIONAL)) {
            room = 1 << 20;
            sl_group_reset(&f.group);
        }
        rc = fixture_rows(&f, g, 20000);
        if (rc == SL_OK) {
            rc = fixture_xid(&f, g);
            assert_int_equal(rc, SL_OK);
            seq++;
        }
    }
    assert_int_equal(rc, SL_ELIMIT);
    assert_true(stats_of(&f).is_full);
    assert_int_equal(sl_store_commit(f.store, &us, NULL), SL_ELIMIT);
    assert_true(sl_store_has_uncommitted(f.store));
    expect_groups(&f, 10);
    room = INT64_MAX;
    fixture_commit(&f);
    assert_false(stats_of(&f).is_full);
    expect_groups(&f, seq - 1);
    /* The event that was refused comes again. */
    struct sl_gtid g = {0, 7, seq};
    sl_group_reset(&f.group);
    sl_store_abandon(f.store);
    assert_int_equal(fixture_gtid(&f, g, SL_GTID_TRANSACTIONAL), SL_OK);
    room = 1000;
    assert_int_equal(fixture_rows(&f, g, 400000), SL_ELIMIT); /* written directly */
    room = INT64_MAX;
    assert_int_equal(fixture_rows(&f, g, 400000), SL_OK);
    assert_int_equal(fixture_xid(&f, g), SL_OK);
    fixture_commit(&f);
    expect_groups(&f, seq);
    fixture_close(&f);
    fixture_open(&f);
    expect_groups(&f, seq);
    fixture_end(&f);
}

/* Full while rolling: the old file goes on. */
static void test_full_while_rolling(void **state)
{
    for (int64_t bytes = 0; bytes < 700; bytes += 13) {
        struct fixture f;
        uint64_t us;
        setup(state);
        fixture_init(&f);
        fixture_open(&f);
        fixture_begin(&f, true);
        fixture_groups(&f, 1, 10, 1000);
        sl_store_rotate_soon(f.store);
        room = bytes;
        assert_int_equal(sl_store_commit(f.store, &us, NULL), SL_OK);
        room = INT64_MAX;
        fixture_groups(&f, 11, 10, 1000);
        expect_groups(&f, 20);
        assert_int_equal(fixture_file_count(&f), 2);
        fixture_close(&f);
        fixture_open(&f);
        expect_groups(&f, 20);
        fixture_end(&f);
    }
}

/* ---- a failed sync ---- */

static void test_sync_fails(void **state)
{
    struct fixture f;
    uint64_t us;
    fixture_init(&f);
    f.config.tuning.is_synced = true;
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 10, 1000);
    for (uint64_t seq = 11; seq <= 13; seq++) {
        assert_int_equal(fixture_group(&f, 0, 7, seq, 100), SL_OK);
    }
    sync_fails = 1;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_store_commit(f.store, &us, &err), SL_ESYS);
    assert_non_null(strstr(err.text, "pbin.000001"));
    assert_int_equal(sl_store_commit(f.store, &us, &err), SL_ESYS); /* not tried again */
    assert_int_equal(fixture_group(&f, 0, 7, 14, 100), SL_ESYS);
    expect_groups(&f, 10);
    fixture_expect_position(&f, "0-7-10");
    sl_group_reset(&f.group);
    fixture_begin(&f, true); /* cut, and on in a new file */
    fixture_groups(&f, 11, 10, 100);
    expect_groups(&f, 20);
    fixture_close(&f);
    fixture_open(&f);
    expect_groups(&f, 20);
    fixture_end(&f);
}

/* ---- torn and damaged files ---- */

static void log_path(struct fixture *f, unsigned number, char out[128])
{
    snprintf(out, 128, "%s/pbin.%06u", f->datadir, number);
}

/* Cut at every byte of the last two groups. */
static void test_torn(void **state)
{
    for (unsigned has_crc = 0; has_crc < 2; has_crc++) {
        struct fixture f;
        char path[128], name[SL_BINLOG_FILE_NAME_MAX + 1];
        uint64_t end[3];
        fixture_init(&f);
        fixture_fde(&f, 1700000000, 0, has_crc);
        fixture_open(&f);
        fixture_begin(&f, true);
        for (unsigned i = 0; i < 3; i++) {
            fixture_groups(&f, 1 + i, 1, 60);
            assert_true(sl_store_tail(f.store, name, &end[i]));
        }
        fixture_close(&f);
        log_path(&f, 1, path);
        for (uint64_t len = end[2]; len > end[0]; len--) {
            assert_int_equal(truncate(path, (off_t)len), 0);
            fixture_open(&f);
            expect_groups(&f, len == end[2] ? 3 : len >= end[1] ? 2 : 1);
            uint64_t offset;
            assert_true(sl_store_tail(f.store, name, &offset));
            assert_int_equal(stats_of(&f).torn_bytes, len - offset);
            fixture_close(&f);
            if (len == end[1]) { /* below the second group: written anew */
                continue;
            }
        }
        fixture_end(&f);
    }
}

/* Rubbish behind the last group, of all kinds. */
static void test_rubbish(void **state)
{
    uint8_t rubbish[300];
    for (unsigned i = 0; i < 6; i++) {
        struct fixture f;
        char path[128];
        fixture_init(&f);
        fixture_fde(&f, 1700000000, 0, i % 2 == 0);
        fixture_open(&f);
        fixture_begin(&f, true);
        fixture_groups(&f, 1, 3, 60);
        fixture_close(&f);
        log_path(&f, 1, path);
        memset(rubbish, i < 2 ? 0 : 0xff, sizeof(rubbish));
        if (i >= 4) { /* a header that says it is an event */
            struct sl_event_header h = {.length = 200, .log_pos = 77, .type = SL_EVENT_XID};
            sl_event_header_put(rubbish, &h);
        }
        int fd = open(path, O_WRONLY | O_APPEND);
        assert_int_equal(write(fd, rubbish, sizeof(rubbish)), sizeof(rubbish));
        close(fd);
        fixture_open(&f);
        expect_groups(&f, 3);
        assert_int_equal(stats_of(&f).torn_bytes, sizeof(rubbish));
        fixture_begin(&f, true);
        fixture_groups(&f, 4, 1, 60);
        expect_groups(&f, 4);
        fixture_end(&f);
    }
}

/* The last file ends inside of its first events: it holds nothing. */
static void test_torn_head(void **state)
{
    static const off_t lengths[] = {0, 3, 4, 20, 255, 256, 260};
    for (size_t i = 0; i < SL_ARRAY_LEN(lengths); i++) {
        struct fixture f;
        char path[128];
        fixture_init(&f);
        fixture_open(&f);
        fixture_begin(&f, true);
        fixture_groups(&f, 1, 3, 60);
        fixture_begin(&f, false);
        fixture_close(&f);
        log_path(&f, 2, path);
        assert_int_equal(truncate(path, lengths[i]), 0);
        fixture_open(&f);
        assert_int_equal(fixture_file_count(&f), 1);
        assert_int_equal(access(path, F_OK), -1);
        expect_groups(&f, 3);
        fixture_begin(&f, true);
        fixture_groups(&f, 4, 3, 60);
        expect_groups(&f, 6);
        fixture_end(&f);
    }
}

static void damage(struct fixture *f, unsigned number, off_t at)
{
    char path[128];
    log_path(f, number, path);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "\xee\xee\xee\xee\xee\xee\xee\xee", 8, at), 8);
    close(fd);
}

static void test_damaged_head(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    for (unsigned i = 0; i < 3; i++) {
        fixture_begin(&f, false);
        fixture_groups(&f, 1 + i * 3, 3, 60);
    }
    fixture_close(&f);
    damage(&f, 1, 60); /* an old one: what is newer is served */
    fixture_open(&f);
    assert_int_equal(fixture_file_count(&f), 2);
    fixture_close(&f);
    damage(&f, 3, 60); /* the last one: nothing can be told */
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_store_open(&f.config, &f.store, &err), SL_EPROTO);
    assert_non_null(strstr(err.text, "pbin.000003"));
    assert_non_null(strstr(err.text, "offset 4"));
    fixture_end(&f);
}

/* Damage in the middle of a finished file is an error for who reads it. */
static void test_damaged_middle(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 1000, 1000);
    fixture_begin(&f, false);
    fixture_groups(&f, 1001, 3, 60);
    for (off_t at = 600000; at < 601200; at += 8) {
        damage(&f, 1, at);
    }
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_store_reader *r;
    struct sl_store_block *b;
    assert_int_equal(sl_store_block_new(&b), SL_OK);
    assert_int_equal(sl_store_reader_open(f.store, &list, &r, NULL), SL_OK);
    enum sl_store_step step = SL_STORE_EVENTS;
    struct sl_store_piece piece;
    struct sl_err err = SL_ERR_INIT;
    int rc = SL_OK;
    while (rc == SL_OK && step == SL_STORE_EVENTS) {
        rc = sl_store_reader_next(r, b, 65536, &step, &piece, &err);
    }
    assert_int_equal(rc, SL_EPROTO);
    assert_non_null(strstr(err.text, "pbin.000001"));
    sl_store_reader_free(r);
    sl_store_block_free(b);
    fixture_close(&f);
    fixture_open(&f); /* opening does not look there */
    assert_int_equal(fixture_file_count(&f), 2);
    fixture_end(&f);
}

static void test_two_logs(void **state)
{
    struct fixture f;
    char path[128], other[128];
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 3, 60);
    fixture_begin(&f, false);
    fixture_close(&f);
    log_path(&f, 1, path);
    snprintf(other, sizeof(other), "%s/other.000001", f.datadir);
    assert_int_equal(rename(path, other), 0);
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_store_open(&f.config, &f.store, &err), SL_EINVAL);
    assert_non_null(strstr(err.text, "other"));
    assert_non_null(strstr(err.text, "pbin"));
    fixture_end(&f);
}

/* ---- killed, out of memory ---- */

/* Everything fails from some call on, as if the process had been killed there; then it starts. */
static void test_killed(void **state)
{
    for (int64_t after = 1; after < 160; after++) {
        struct fixture f;
        uint64_t us, done = 0;
        setup(state);
        fixture_init(&f);
        f.config.tuning.is_synced = true;
        f.config.tuning.compresses = after % 2;
        f.config.tuning.plain_files = 1;
        fixture_open(&f);
        fixture_begin(&f, true);
        calls = after;
        int rc = SL_OK;
        for (uint64_t seq = 1; seq <= 30 && rc == SL_OK; seq++) {
            rc = fixture_group(&f, 0, 7, seq, 300);
            if (seq % 5 == 0) {
                sl_store_rotate_soon(f.store);
            }
            rc = rc == SL_OK ? sl_store_commit(f.store, &us, NULL) : rc;
            done = rc == SL_OK ? seq : done;
        }
        fixture_close(&f);
        calls = INT64_MAX;
        fixture_open(&f);
        struct fixture_stream st = {0};
        fixture_read(&f, "", 64 * 1024, &st);
        assert_true(st.gtids == 0 || st.is_in_order);
        assert_true(st.gtids >= done && st.gtids <= done + 1);
        done = st.gtids;
        fixture_stream_free(&st);
        fixture_begin(&f, true);
        fixture_groups(&f, done + 1, 5, 300);
        expect_groups(&f, done + 5);
        fixture_end(&f);
    }
}

/* Each allocation of opening, writing, rolling and reading fails once. */
static void test_no_memory(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 10, 100);
    fixture_close(&f);
    unsigned failures = 0;
    for (uint64_t n = 1;; n++) {
        struct sl_store_reader *r = NULL;
        struct sl_gtid_list list = SL_GTID_LIST_INIT;
        sl_mem_fail_after(n);
        int rc = sl_store_open(&f.config, &f.store, NULL);
        sl_group_reset(&f.group);
        if (rc == SL_OK) {
            rc = sl_store_begin_file(f.store, "pbin", f.fde, FIXTURE_FDE, false, NULL);
            rc = rc == SL_OK ? sl_store_reader_open(f.store, &list, &r, NULL) : rc;
            sl_store_reader_free(r);
        }
        bool is_over = sl_mem_thread_allocations() != 0 && rc == SL_OK;
        sl_mem_fail_after(0);
        assert_true(rc == SL_OK || rc == SL_ENOMEM || rc == SL_ESYS);
        failures += rc != SL_OK;
        if (rc == SL_OK || rc == SL_ENOMEM || rc == SL_ESYS) {
            sl_store_close(f.store);
            f.store = NULL;
        }
        if (is_over && n > 60) {
            break;
        }
    }
    assert_true(failures > 20);
    fixture_open(&f);
    expect_groups(&f, 10);
    fixture_end(&f);
}

int main(int argc, char **argv)
{
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_while_rolling, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sync_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rubbish, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn_head, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_head, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_middle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_logs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
