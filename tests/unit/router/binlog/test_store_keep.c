/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper: purging by age, count and request, what stops it, archive, compression, reset, the
 * requested position. */
#include "router/binlog/store_internal.h"
#include "store_fixture.h"

/* `count` files of ten groups each; the last is the current one. */
static void files(struct fixture *f, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        fixture_begin(f, false);
        fixture_groups(f, 1 + i * 10, 10, 500);
    }
}

static bool exists(const struct fixture *f, const char *dir, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static bool has_first(struct fixture *f, unsigned number)
{
    struct sl_store_file *list;
    unsigned count;
    assert_int_equal(sl_store_files(f->store, &list, &count), SL_OK);
    bool is_it = count > 0 && list[0].number == number;
    sl_free(list);
    return is_it;
}

static unsigned count_of(struct fixture *f, bool compressed, bool archived)
{
    struct sl_store_file *list;
    unsigned count, found = 0;
    assert_int_equal(sl_store_files(f->store, &list, &count), SL_OK);
    for (unsigned i = 0; i < count; i++) {
        found += (!compressed || list[i].is_compressed) && (!archived || list[i].is_archived);
    }
    sl_free(list);
    return found;
}

static void expect_index(struct fixture *f, const char *expect)
{
    char path[128], text[2000] = "", all[2000] = "";
    snprintf(path, sizeof(path), "%s/binlog.index", f->datadir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    for (const char *at = expect; *at != '\0';) {
        size_t len = strcspn(at, " ");
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s/%.*s\n", f->datadir, (int)len,
                 at);
        at += len + (at[len] == ' ');
    }
    assert_string_equal(text, all);
}

static void expect_groups(struct fixture *f, const char *position, uint64_t first, uint64_t last)
{
    struct fixture_stream st;
    fixture_read(f, position, 64 * 1024, &st);
    assert_true(st.is_in_order);
    assert_int_equal(st.last_seq, last);
    assert_int_equal(st.last_seq - st.gtids + 1, first);
    fixture_stream_free(&st);
}

static bool is_asleep(struct fixture *f)
{
    pthread_mutex_lock(&f->store->lock);
    bool is = !f->store->keeper.is_awake;
    pthread_mutex_unlock(&f->store->lock);
    return is;
}

static unsigned expanded(struct fixture *f)
{
    pthread_mutex_lock(&f->store->plain_lock);
    unsigned n = f->store->expanded;
    pthread_mutex_unlock(&f->store->plain_lock);
    return n;
}

/* ---- purge ---- */

static void test_age(void **state)
{
    struct fixture f;
    fixture_init(&f);
    f.config.tuning.expire_ms = 50;
    f.config.tuning.minimum_files = 3;
    fixture_open(&f);
    files(&f, 6);
    FIXTURE_WAIT(has_first(&f, 4));
    assert_int_equal(fixture_file_count(&f), 3);
    FIXTURE_WAIT(!exists(&f, f.datadir, "pbin.000003.gtidx"));
    assert_false(exists(&f, f.datadir, "pbin.000003"));
    expect_index(&f, "pbin.000004 pbin.000005 pbin.000006");
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_store_reader *r;
    assert_int_equal(sl_store_reader_open(f.store, &list, &r, NULL), SL_ENOENT);
    expect_groups(&f, "0-7-30", 31, 60);
    struct sl_store_stats stats;
    sl_store_stats(f.store, &stats);
    assert_int_equal(stats.purged, 3);
    fixture_end(&f);
}

static void test_tune(void **state)
{
    struct fixture f;
    fixture_init(&f);
    f.config.tuning.expire_ms = 3600000;
    fixture_open(&f);
    files(&f, 5);
    FIXTURE_WAIT(is_asleep(&f));
    assert_int_equal(fixture_file_count(&f), 5);
    struct sl_store_tuning tuning = f.config.tuning;
    tuning.expire_ms = 1;
    tuning.minimum_files = 0; /* at least one stays */
    sl_store_tune(f.store, &tuning);
    FIXTURE_WAIT(fixture_file_count(&f) == 1);
    fixture_end(&f);
}

/* Ages are those of the files' index, not of the wall clock: what was written "years ago" does not
 * go when the store is opened. */
static void test_clock_step(void **state)
{
    struct fixture f;
    fixture_init(&f);
    f.config.tuning.expire_ms = 7200 * 1000;
    fixture_open(&f);
    files(&f, 5);
    fixture_close(&f);
    for (unsigned i = 1; i <= 5; i++) {
        char path[128];
        struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
        snprintf(path, sizeof(path), "%s/pbin.%06u", f.datadir, i);
        assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    }
    fixture_open(&f);
    FIXTURE_WAIT(is_asleep(&f));
    usleep(50000);
    assert_int_equal(fixture_file_count(&f), 5);
    fixture_end(&f);
}

/* An age survives a restart. */
static void test_age_goes_on(void **state)
{
    struct fixture f;
    fixture_init(&f);
    f.config.tuning.expire_ms = 3600 * 1000;
    fixture_open(&f);
    files(&f, 2);
    f.store->clock_base_ms += 3000 * 1000; /* as if time had passed */
    fixture_begin(&f, false);
    fixture_groups(&f, 21, 10, 100);
    fixture_begin(&f, false);
    fixture_groups(&f, 31, 10, 100);
    fixture_close(&f);
    fixture_open(&f);
    int64_t age_ms = sl_store_clock_ms(f.store) - f.store->entries[0]->finished_ms;
    assert_in_range(age_ms, 3000 * 1000, 4000 * 1000);
    fixture_end(&f);
}

static void test_in_use(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    files(&f, 5);
    struct sl_store_reader *r;
    assert_int_equal(sl_store_reader_open_at(f.store, "pbin.000003", 4, &r, NULL), SL_OK);
    assert_int_equal(sl_store_purge_to(f.store, "pbin.000005", NULL), SL_OK);
    assert_true(has_first(&f, 3));
    FIXTURE_WAIT(!exists(&f, f.datadir, "pbin.000002"));
    sl_store_reader_free(r);
    assert_int_equal(sl_store_purge_to(f.store, "pbin.000005", NULL), SL_OK);
    assert_true(has_first(&f, 5));
    FIXTURE_WAIT(!exists(&f, f.datadir, "pbin.000004"));
    expect_index(&f, "pbin.000005");
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_store_purge_to(f.store, "pbin.000099", &err), SL_ENOENT);
    assert_int_equal(sl_store_purge_to(f.store, "x", &err), SL_ENOENT);
    fixture_end(&f);
}

static void test_before(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    files(&f, 4);
    pthread_mutex_lock(&f.store->lock);
    f.store->entries[0]->changed_s = 100;
    f.store->entries[1]->changed_s = 200;
    pthread_mutex_unlock(&f.store->lock);
    assert_int_equal(sl_store_purge_before(f.store, 100, NULL), SL_OK);
    assert_true(has_first(&f, 1));
    assert_int_equal(sl_store_purge_before(f.store, 150, NULL), SL_OK);
    assert_true(has_first(&f, 2));
    assert_int_equal(sl_store_purge_before(f.store, INT64_MAX, NULL), SL_OK);
    assert_true(has_first(&f, 4)); /* the current one stays */
    fixture_end(&f);
}

static _Atomic bool purging_is_allowed;
static bool may_purge(void *arg, const struct sl_gtid_list *next)
{
    return purging_is_allowed || (next->count == 1 && next->gtid[0].seq <= 20);
}

static void test_replica_needs_it(void **state)
{
    struct fixture f;
    fixture_init(&f);
    f.config.tuning.expire_ms = 1;
    f.config.may_purge = may_purge;
    purging_is_allowed = false;
    fixture_open(&f);
    files(&f, 6);
    FIXTURE_WAIT(has_first(&f, 3));
    usleep(100000);
    assert_true(has_first(&f, 3));
    purging_is_allowed = true;
    FIXTURE_WAIT(has_first(&f, 5));
    fixture_end(&f);
}

/* ---- compression ---- */

static void test_compress(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    files(&f, 5);
    struct sl_store_reader *r; /* began while the file was plain */
    struct sl_store_block *b;
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    assert_int_equal(sl_store_block_new(&b), SL_OK);
    assert_int_equal(sl_store_reader_open(f.store, &list, &r, NULL), SL_OK);
    struct sl_store_tuning tuning = f.config.tuning;
    tuning.compresses = true;
    sl_store_tune(f.store, &tuning);
    FIXTURE_WAIT(count_of(&f, true, false) == 3);
    FIXTURE_WAIT(!exists(&f, f.datadir, "pbin.000003"));
    assert_true(exists(&f, f.datadir, "pbin.000003.zst"));
    expect_index(&f, "pbin.000001.zst pbin.000002.zst pbin.000003.zst pbin.000004 pbin.000005");
    struct fixture_stream st = {0};
    fixture_drain(&f, r, b, 64 * 1024, &st);
    assert_true(st.is_in_order && st.gtids == 50);
    fixture_stream_free(&st);
    sl_store_reader_free(r);
    sl_store_block_free(b);
    expect_groups(&f, "", 1, 50);
    FIXTURE_WAIT(expanded(&f) == 0); /* given back with the last reader; the keeper may be one */
    fixture_close(&f);
    f.config.tuning = tuning;
    fixture_open(&f);
    expect_groups(&f, "", 1, 50);
    expect_groups(&f, "0-7-20", 21, 50);
    struct sl_store_file *all;
    unsigned count;
    assert_int_equal(sl_store_files(f.store, &all, &count), SL_OK);
    assert_int_equal(count, 5);
    assert_true(all[0].is_compressed && all[0].size > all[0].disk_size);
    assert_string_equal(all[0].name, "pbin.000001");
    sl_free(all);
    fixture_end(&f);
}

/* By hand, also the last one; and one without an index. */
static void test_compressed_by_hand(void **state)
{
    struct fixture f;
    char command[256];
    fixture_init(&f);
    fixture_open(&f);
    files(&f, 3);
    fixture_close(&f);
    snprintf(command, sizeof(command), "zstd -q --rm %s/pbin.000001 %s/pbin.000003 2>/dev/null",
             f.datadir, f.datadir);
    if (system(command) != 0) {
        fixture_end(&f);
        skip();
    }
    snprintf(command, sizeof(command), "%s/pbin.000001.gtidx", f.datadir);
    unlink(command);
    fixture_open(&f);
    fixture_expect_position(&f, "0-7-30");
    FIXTURE_WAIT(exists(&f, f.datadir, "pbin.000001.gtidx"));
    expect_groups(&f, "", 1, 30);
    fixture_begin(&f, true);
    fixture_groups(&f, 31, 10, 100);
    expect_groups(&f, "", 1, 40);
    assert_int_equal(fixture_file_count(&f), 4);
    fixture_end(&f);
}

/* More files than may be decompressed at a time: readers wait for a place. */
static void test_many_compressed(void **state)
{
    struct fixture f;
    enum {
        READERS = SL_STORE_EXPANDED_MAX + 3
    };
    struct sl_store_reader *r[READERS];
    fixture_init(&f);
    f.config.tuning.compresses = true;
    f.config.tuning.plain_files = 1;
    fixture_open(&f);
    files(&f, READERS + 1);
    FIXTURE_WAIT(count_of(&f, true, false) == READERS);
    struct sl_store_block *b;
    assert_int_equal(sl_store_block_new(&b), SL_OK);
    for (unsigned i = 0; i < READERS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "pbin.%06u", i + 1);
        assert_int_equal(sl_store_reader_open_at(f.store, name, 4, &r[i], NULL), SL_OK);
    }
    enum sl_store_step step = SL_STORE_END;
    struct sl_store_piece piece;
    assert_int_equal(sl_store_reader_next(r[READERS - 1], b, 65536, &step, &piece, NULL), SL_OK);
    assert_int_equal(step, SL_STORE_END);
    unsigned grown = f.grown;
    sl_store_reader_free(r[0]);
    FIXTURE_WAIT(f.grown > grown);
    FIXTURE_WAIT(sl_store_reader_next(r[READERS - 1], b, 65536, &step, &piece, NULL) == SL_OK &&
                 step == SL_STORE_EVENTS);
    for (unsigned i = 1; i < READERS; i++) {
        sl_store_reader_free(r[i]);
    }
    sl_store_block_free(b);
    fixture_end(&f);
}

/* A compressed file that is damaged is an error for its readers, not the end of the log. */
static void test_damaged_zst(void **state)
{
    struct fixture f;
    fixture_init(&f);
    f.config.tuning.compresses = true;
    f.config.tuning.plain_files = 1;
    fixture_open(&f);
    fixture_begin(&f, false);
    fixture_groups(&f, 1, 3000, 500);
    fixture_begin(&f, false);
    fixture_groups(&f, 3001, 10, 500);
    FIXTURE_WAIT(count_of(&f, true, false) == 1);
    char path[128];
    snprintf(path, sizeof(path), "%s/pbin.000001.zst", f.datadir);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size / 2), 0);
    struct sl_store_reader *r;
    struct sl_store_block *b;
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    assert_int_equal(sl_store_block_new(&b), SL_OK);
    assert_int_equal(sl_store_reader_open(f.store, &list, &r, NULL), SL_OK);
    enum sl_store_step step = SL_STORE_END;
    struct sl_store_piece piece;
    int rc = SL_OK;
    FIXTURE_WAIT((rc = sl_store_reader_next(r, b, 65536, &step, &piece, NULL)) != SL_OK);
    assert_int_equal(rc, SL_ESYS);
    sl_store_reader_free(r);
    sl_store_block_free(b);
    fixture_end(&f);
}

/* More comes out of a file than there should be: it does not fill the disk. */
static void test_too_much_in_zst(void **state)
{
    enum {
        SIZE = 64 * 1024 * 1024
    };
    struct fixture f;
    struct sl_err err = SL_ERR_INIT;
    char large[128], zst[128];
    struct stat st;
    fixture_init(&f);
    fixture_open(&f);
    snprintf(large, sizeof(large), "%s/large", f.root);
    snprintf(zst, sizeof(zst), "%s/large.zst", f.root);
    int fd = open(large, O_RDWR | O_CREAT, 0640);
    assert_int_equal(ftruncate(fd, SIZE), 0);
    assert_int_equal(sl_store_zstd_compress(f.store, large, zst, NULL, NULL, NULL), SL_OK);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(sl_store_zstd_expand(f.store, zst, fd, 1000000, NULL, NULL, &err), SL_EPROTO);
    assert_non_null(strstr(err.text, "1000000"));
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_size <= 1000000);
    assert_int_equal(sl_store_zstd_expand(f.store, zst, fd, SIZE, NULL, NULL, &err), SL_OK);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, SIZE);
    close(fd);
    fixture_end(&f);
}

/* ---- archive ---- */

static void test_archive(void **state)
{
    struct fixture f;
    fixture_init_archive(&f);
    fixture_open(&f);
    files(&f, 5);
    FIXTURE_WAIT(count_of(&f, false, true) == 3);
    FIXTURE_WAIT(!exists(&f, f.datadir, "pbin.000003.gtidx"));
    assert_true(exists(&f, f.archivedir, "pbin.000003"));
    assert_false(exists(&f, f.datadir, "pbin.000003"));
    expect_index(&f, "pbin.000004 pbin.000005");
    expect_groups(&f, "", 1, 50);
    fixture_close(&f);
    fixture_open(&f);
    assert_int_equal(fixture_file_count(&f), 5);
    expect_groups(&f, "0-7-10", 11, 50);
    fixture_end(&f);
}

static void test_archive_gone_and_back(void **state)
{
    struct fixture f;
    char away[128];
    fixture_init_archive(&f);
    snprintf(away, sizeof(away), "%s/away", f.root);
    assert_int_equal(rename(f.archivedir, away), 0);
    fixture_open(&f);
    files(&f, 5);
    struct sl_store_stats stats;
    FIXTURE_WAIT((sl_store_stats(f.store, &stats), stats.keeper_error[0] != '\0'));
    assert_non_null(strstr(stats.keeper_error, f.archivedir));
    assert_int_equal(fixture_file_count(&f), 5);
    expect_groups(&f, "", 1, 50);
    assert_int_equal(rename(away, f.archivedir), 0);
    FIXTURE_WAIT(count_of(&f, false, true) == 3);
    FIXTURE_WAIT((sl_store_stats(f.store, &stats), stats.keeper_error[0] == '\0'));
    assert_int_equal(rename(f.archivedir, away), 0);
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_store_reader *r;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_store_reader_open(f.store, &list, &r, &err), SL_ESYS); /* not: purged */
    fixture_close(&f);
    fixture_open(&f); /* without it, too */
    assert_int_equal(sl_store_reader_open(f.store, &list, &r, &err), SL_ESYS);
    fixture_end(&f);
}

/* Another file of that name is not overwritten; an equal one is taken for the copy. */
static void test_archive_has_it(void **state)
{
    struct fixture f;
    fixture_init_archive(&f);
    f.config.tuning.expire_ms = 0;
    fixture_open(&f);
    files(&f, 4);
    char command[400];
    snprintf(command, sizeof(command), "cp %s/pbin.000001 %s/; echo x > %s/pbin.000002", f.datadir,
             f.archivedir, f.archivedir);
    assert_int_equal(system(command), 0);
    assert_int_equal(sl_store_purge_to(f.store, "pbin.000004", NULL), SL_OK);
    struct sl_store_stats stats;
    FIXTURE_WAIT((sl_store_stats(f.store, &stats), stats.keeper_error[0] != '\0'));
    assert_non_null(strstr(stats.keeper_error, "pbin.000002"));
    assert_int_equal(count_of(&f, false, true), 1);
    expect_groups(&f, "", 1, 40);
    snprintf(command, sizeof(command), "%s/pbin.000002", f.archivedir);
    unlink(command);
    FIXTURE_WAIT(count_of(&f, false, true) == 3);
    expect_groups(&f, "", 1, 40);
    fixture_end(&f);
}

/* There each file would be its own copy, and be deleted. */
static void test_archive_is_the_store(void **state)
{
    struct fixture f;
    struct sl_err err = SL_ERR_INIT;
    fixture_init_archive(&f);
    fixture_open(&f);
    fixture_close(&f);
    assert_int_equal(rmdir(f.archivedir), 0);
    assert_int_equal(symlink(f.datadir, f.archivedir), 0);
    assert_int_equal(sl_store_open(&f.config, &f.store, &err), SL_EINVAL);
    assert_non_null(strstr(err.text, f.archivedir));
    assert_int_equal(unlink(f.archivedir), 0);
    fixture_open(&f);
    assert_int_equal(symlink(f.datadir, f.archivedir), 0); /* while it is open */
    files(&f, 5);
    struct sl_store_stats stats;
    FIXTURE_WAIT((sl_store_stats(f.store, &stats), stats.keeper_error[0] != '\0'));
    assert_non_null(strstr(stats.keeper_error, "data directory"));
    expect_groups(&f, "", 1, 50);
    assert_int_equal(unlink(f.archivedir), 0);
    fixture_end(&f);
}

static void test_archive_of_compressed(void **state)
{
    struct fixture f;
    fixture_init_archive(&f);
    f.config.tuning.expire_ms = 0;
    f.config.tuning.compresses = true;
    fixture_open(&f);
    files(&f, 6);
    FIXTURE_WAIT(count_of(&f, true, false) == 4);
    assert_int_equal(sl_store_purge_to(f.store, "pbin.000006", NULL), SL_OK);
    FIXTURE_WAIT(count_of(&f, false, true) == 5);
    assert_true(exists(&f, f.archivedir, "pbin.000004.zst"));
    assert_true(exists(&f, f.archivedir, "pbin.000005"));
    expect_groups(&f, "", 1, 60);
    fixture_close(&f);
    fixture_open(&f);
    expect_groups(&f, "", 1, 60);
    fixture_end(&f);
}

/* ---- reset, requested position ---- */

static void test_reset(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    files(&f, 3);
    struct sl_store_reader *r;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_store_reader_open_at(f.store, "", 4, &r, NULL), SL_OK);
    assert_int_equal(sl_store_reset(f.store, &err), SL_ESTATE);
    sl_store_reader_free(r);
    expect_groups(&f, "", 1, 30);
    assert_int_equal(sl_store_reset(f.store, &err), SL_OK);
    assert_int_equal(fixture_file_count(&f), 0);
    assert_false(sl_store_has_file(f.store));
    fixture_expect_position(&f, "");
    expect_index(&f, "");
    files(&f, 2);
    expect_groups(&f, "", 1, 20);
    fixture_close(&f);
    fixture_open(&f);
    expect_groups(&f, "", 1, 20);
    assert_true(has_first(&f, 1));
    fixture_end(&f);
}

static void test_request(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    fixture_position(&list, "0-7-100,3-4-5");
    assert_int_equal(sl_store_request_position(f.store, &list, NULL), SL_OK);
    fixture_expect_position(&f, "0-7-100,3-4-5");
    fixture_close(&f);
    fixture_open(&f); /* kept */
    fixture_expect_position(&f, "0-7-100,3-4-5");
    assert_int_equal(sl_store_request_position(f.store, NULL, NULL), SL_OK);
    fixture_expect_position(&f, "");
    assert_int_equal(sl_store_request_position(f.store, &list, NULL), SL_OK);
    fixture_begin(&f, true);
    assert_false(exists(&f, f.datadir, "requested_rpl_state"));
    fixture_groups(&f, 101, 10, 100);
    fixture_expect_position(&f, "0-7-110,3-4-5");
    expect_groups(&f, "0-7-100,3-4-5", 101, 110);
    struct sl_store_reader *r;
    struct sl_gtid_list none = SL_GTID_LIST_INIT;
    assert_int_equal(sl_store_reader_open(f.store, &none, &r, NULL), SL_ENOENT);
    assert_int_equal(sl_store_request_position(f.store, &list, NULL), SL_ESTATE);
    sl_gtid_list_free(&list);
    fixture_end(&f);
}

/* Forward over groups that the log does not have: what is older is not served any more, since no
 * replica may be led across the gap. */
static void test_request_forward(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    files(&f, 2);
    struct sl_store_reader *r;
    assert_int_equal(sl_store_reader_open_at(f.store, "pbin.000002", 4, &r, NULL), SL_OK);
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    fixture_position(&list, "0-7-500");
    assert_int_equal(sl_store_request_position(f.store, &list, NULL), SL_OK);
    fixture_begin(&f, true);
    fixture_groups(&f, 501, 10, 100);
    assert_true(has_first(&f, 4));
    expect_groups(&f, "0-7-500", 501, 510);
    struct sl_gtid_list old = SL_GTID_LIST_INIT;
    struct sl_store_reader *other;
    fixture_position(&old, "0-7-15");
    assert_int_equal(sl_store_reader_open(f.store, &old, &other, NULL), SL_ENOENT);
    struct sl_store_block *b;
    assert_int_equal(sl_store_block_new(&b), SL_OK);
    enum sl_store_step step = SL_STORE_EVENTS;
    struct sl_store_piece piece;
    while (step == SL_STORE_EVENTS) {
        assert_int_equal(sl_store_reader_next(r, b, 65536, &step, &piece, NULL), SL_OK);
    }
    assert_int_equal(step, SL_STORE_NEXT_FILE);
    assert_int_equal(sl_store_reader_next_file(r, NULL), SL_ENOENT);
    sl_store_reader_free(r);
    sl_store_block_free(b);
    fixture_close(&f);
    fixture_open(&f);
    assert_true(has_first(&f, 4));
    sl_gtid_list_free(&list);
    sl_gtid_list_free(&old);
    fixture_end(&f);
}

int main(int argc, char **argv)
{
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_tune),
        cmocka_unit_test(test_clock_step),
        cmocka_unit_test(test_age_goes_on),
        cmocka_unit_test(test_in_use),
        cmocka_unit_test(test_before),
        cmocka_unit_test(test_replica_needs_it),
        cmocka_unit_test(test_compress),
        cmocka_unit_test(test_compressed_by_hand),
        cmocka_unit_test(test_many_compressed),
        cmocka_unit_test(test_damaged_zst),
        cmocka_unit_test(test_too_much_in_zst),
        cmocka_unit_test(test_archive),
        cmocka_unit_test(test_archive_gone_and_back),
        cmocka_unit_test(test_archive_has_it),
        cmocka_unit_test(test_archive_is_the_store),
        cmocka_unit_test(test_archive_of_compressed),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_request_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
