/* SPDX-License-Identifier: Apache-2.0 */
/* The GTID index: where readers start, what happens when it is missing, damaged, out of order, too
 * narrow; and the cost of a look-up in a large store. */
#include "router/binlog/store_internal.h"
#include "store_fixture.h"

static uint64_t offset_of(struct fixture *f, const char *position, struct sl_gtid_list *start)
{
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_store_reader *r;
    fixture_position(&list, position);
    assert_int_equal(sl_store_reader_open(f->store, &list, &r, NULL), SL_OK);
    uint64_t offset = sl_store_reader_offset(r);
    if (start != NULL) {
        assert_int_equal(sl_gtid_list_copy(start, sl_store_reader_start(r)), SL_OK);
    }
    sl_store_reader_free(r);
    sl_gtid_list_free(&list);
    return offset;
}

/* The bytes that have to be skipped from where the reader starts. */
static void expect_near(struct fixture *f, uint64_t seq, uint64_t group_len)
{
    char position[64];
    struct fixture_stream st;
    snprintf(position, sizeof(position), "0-7-%llu", (unsigned long long)seq);
    fixture_read(f, position, 64 * 1024, &st);
    assert_true(st.is_in_order);
    uint64_t first = st.last_seq - st.gtids + 1;
    assert_true(first <= seq + 1);
    assert_true((seq + 1 - first) * group_len <= SL_STORE_INDEX_GAP + 2 * group_len);
    fixture_stream_free(&st);
}

static void test_near(void **state)
{
    struct fixture f;
    fixture_init(&f);
    f.config.tuning.max_file_bytes = 4 * 1024 * 1024;
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 20000, 600);
    for (uint64_t seq = 1; seq < 20000; seq += 997) {
        expect_near(&f, seq, 696);
    }
    fixture_close(&f);
    fixture_open(&f);
    for (uint64_t seq = 500; seq < 20000; seq += 1997) {
        expect_near(&f, seq, 696);
    }
    fixture_end(&f);
}

/* A domain that is quiet for long does not keep the reader at its last group. */
static void test_domains(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    assert_int_equal(fixture_group(&f, 5, 9, 3, 100), SL_OK);
    fixture_groups(&f, 1, 3000, 600);
    struct sl_gtid_list start = SL_GTID_LIST_INIT;
    uint64_t both = offset_of(&f, "0-7-3000,5-9-3", &start);
    assert_true(both > 1000000);
    struct sl_gtid five = {5, 9, 3};
    assert_true(sl_gtid_state_has(&start, five));
    /* It does not have domain 5: from the beginning, with the GTID_LIST. */
    uint64_t none = offset_of(&f, "0-7-3000", &start);
    assert_int_equal(none, 4 + FIXTURE_FDE);
    assert_int_equal(start.count, 0);
    sl_gtid_list_free(&start);
    fixture_end(&f);
}

/* Sequence numbers of a domain went down: nothing behind that place can be told from numbers. */
static void test_out_of_order(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 1000, 600);
    uint64_t before = offset_of(&f, "0-7-1000", NULL);
    assert_int_equal(fixture_group(&f, 0, 8, 500, 600), SL_OK);
    fixture_groups(&f, 1001, 1000, 600);
    assert_true(offset_of(&f, "0-7-2000", NULL) <= before);
    assert_true(offset_of(&f, "0-7-400", NULL) < before);
    /* The same when the number was in the file before. */
    fixture_begin(&f, false);
    assert_int_equal(fixture_group(&f, 0, 8, 1500, 600), SL_OK);
    fixture_groups(&f, 2001, 1000, 600);
    assert_int_equal(offset_of(&f, "0-7-3000", NULL), 4 + FIXTURE_FDE);
    fixture_end(&f);
}

/* More GTIDs than an entry has room for: wider entries; far too many: no more entries. */
static void test_many_servers(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true);
    char position[2000] = "0-7-1";
    uint64_t seq = 0;
    for (uint32_t server = 1; server <= 40; server++) {
        for (unsigned i = 0; i < 100; i++) {
            seq++;
            assert_int_equal(fixture_group(&f, 0, server, seq, 700), SL_OK);
        }
        fixture_commit(&f);
    }
    snprintf(position, sizeof(position), "0-40-%llu", (unsigned long long)seq);
    struct sl_gtid_list start = SL_GTID_LIST_INIT;
    assert_true(offset_of(&f, position, &start) > 3000000);
    assert_int_equal(start.count, 40);
    assert_int_equal(sl_gtid_state_last(&start, 0)->server_id, 40);
    snprintf(position, sizeof(position), "0-20-2000");
    assert_true(offset_of(&f, position, &start) > 1400000);
    assert_true(start.count <= 20);
    fixture_close(&f); /* the state is made from the index' last entry */
    fixture_open(&f);
    struct sl_gtid_list all = SL_GTID_LIST_INIT;
    assert_int_equal(sl_store_state(f.store, &all), SL_OK);
    assert_int_equal(all.count, 40);
    assert_int_equal(sl_gtid_state_last(&all, 0)->server_id, 40);
    fixture_begin(&f, true);
    for (uint32_t server = 1; server <= SL_STORE_SLOTS_MAX + 10; server++) {
        assert_int_equal(fixture_group(&f, 1, server, server, 3000), SL_OK);
    }
    fixture_commit(&f);
    snprintf(position, sizeof(position), "0-40-%llu,1-%d-%d", (unsigned long long)seq,
             SL_STORE_SLOTS_MAX + 10, SL_STORE_SLOTS_MAX + 10);
    assert_true(offset_of(&f, position, NULL) > 3000000);
    fixture_close(&f);
    fixture_open(&f);
    assert_int_equal(sl_store_state(f.store, &all), SL_OK);
    assert_int_equal(all.count, 40 + SL_STORE_SLOTS_MAX + 10);
    sl_gtid_list_free(&all);
    sl_gtid_list_free(&start);
    fixture_end(&f);
}

static void index_path(struct fixture *f, unsigned number, char out[128])
{
    snprintf(out, 128, "%s/pbin.%06u.gtidx", f->datadir, number);
}

static void three_files(struct fixture *f)
{
    fixture_init(f);
    fixture_open(f);
    for (unsigned i = 0; i < 3; i++) {
        fixture_begin(f, false);
        fixture_groups(f, 1 + i * 1000, 1000, 600);
    }
}

static bool is_indexed(struct fixture *f, unsigned at)
{
    pthread_mutex_lock(&f->store->lock);
    bool has = f->store->entries[at]->has_index;
    pthread_mutex_unlock(&f->store->lock);
    return has;
}

/* Whatever is done to an index file while the store is closed, it is right again afterwards, and
 * readers get what they need at once. */
static void test_damage(void **state)
{
    for (unsigned how = 0; how < 6; how++) {
        struct fixture f;
        char path[128], other[128];
        three_files(&f);
        fixture_close(&f);
        index_path(&f, 2, path);
        index_path(&f, 1, other);
        int fd = open(path, O_RDWR);
        uint8_t bytes[16];
        memset(bytes, 0xa5, sizeof(bytes));
        switch (how) {
        case 0:
            unlink(path);
            break;
        case 1:
            assert_int_equal(ftruncate(fd, 100), 0);
            break;
        case 2:
            assert_int_equal(pwrite(fd, bytes, 16, 10), 16); /* header */
            break;
        case 3:
            assert_int_equal(ftruncate(fd, 0), 0);
            break;
        case 4:
            assert_int_equal(rename(other, path), 0); /* of another log */
            break;
        default:
            assert_int_equal(pwrite(fd, bytes, 16, 64 + 5 * 80 + 20), 16); /* an entry */
        }
        close(fd);
        fixture_open(&f);
        struct fixture_stream st;
        fixture_read(&f, "0-7-1900", 64 * 1024, &st);
        assert_true(st.is_in_order && st.last_seq == 3000 && st.gtids >= 1100);
        fixture_stream_free(&st);
        FIXTURE_WAIT(is_indexed(&f, 0) && is_indexed(&f, 1));
        if (how != 5) {
            expect_near(&f, 1900, 696);
        }
        fixture_end(&f);
    }
}

/* A bad entry is found by the look-up that meets it; the index is made anew then. */
static void test_damage_found_late(void **state)
{
    struct fixture f;
    char path[128];
    three_files(&f);
    index_path(&f, 2, path);
    int fd = open(path, O_RDWR);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    for (off_t at = 64; at < st.st_size; at++) {
        assert_int_equal(pwrite(fd, "x", 1, at), 1);
    }
    close(fd);
    assert_int_equal(offset_of(&f, "0-7-1900", NULL), 4 + FIXTURE_FDE);
    FIXTURE_WAIT(is_indexed(&f, 1));
    assert_true(offset_of(&f, "0-7-1900", NULL) > 100000);
    expect_near(&f, 1900, 696);
    fixture_end(&f);
}

static void log_path(const struct fixture *f, unsigned number, char out[128])
{
    snprintf(out, 128, "%s/pbin.%06u", f->datadir, number);
}

/* A crash between the first events of a file and the end of the index of the one before: what the
 * index has of synced log is kept, so that only the rest of the log is read. Here it could not be read
 * from the beginning. */
static void test_only_the_end_is_missing(void **state)
{
    struct fixture f;
    char path[128];
    struct stat st;
    fixture_init(&f);
    f.config.tuning.is_synced = true;
    fixture_open(&f);
    fixture_begin(&f, false);
    for (unsigned i = 0; i < 20; i++) {
        fixture_groups(&f, 1 + i * 100, 100, 600);
    }
    fixture_begin(&f, false);
    fixture_groups(&f, 2001, 10, 600);
    fixture_close(&f);
    index_path(&f, 1, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 200), 0);
    log_path(&f, 1, path);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "damaged", 7, 1000), 7);
    close(fd);
    fixture_open(&f);
    FIXTURE_WAIT(is_indexed(&f, 0));
    expect_near(&f, 300, 696);
    expect_near(&f, 1990, 696);
    fixture_end(&f);
}

/* Look-ups do not wait for the end of a long walk: each entry is in the file when it is made. */
static void test_growing_while_walked(void **state)
{
    struct fixture f;
    char path[128];
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, false);
    fixture_groups(&f, 1, 2000, 600);
    struct sl_store_head head;
    struct sl_store_index x;
    struct sl_store_walk walk;
    struct sl_store_walked walked;
    struct stat st;
    log_path(&f, 1, path);
    assert_int_equal(sl_store_head_read(f.store, path, false, &head, NULL), SL_OK);
    int fd = open(path, O_RDONLY);
    assert_int_equal(fstat(fd, &st), 0);
    snprintf(path, sizeof(path), "%s/other.gtidx", f.root);
    assert_int_equal(sl_store_index_create(&x, path, &head), SL_OK);
    assert_int_equal(
        sl_store_walk_init(&walk, f.store, &head, fd, head.end, (uint64_t)st.st_size, NULL), SL_OK);
    assert_int_equal(sl_store_walk_groups(&walk, &head, NULL, &x, &walked, NULL), SL_OK);
    uint64_t offset;
    struct sl_gtid_list position = SL_GTID_LIST_INIT, before = SL_GTID_LIST_INIT;
    fixture_position(&position, "0-7-1900");
    assert_int_equal(
        sl_store_index_find(path, &head, &position, (uint64_t)st.st_size, &offset, &before), SL_OK);
    assert_true(offset > 1000000);
    sl_store_walk_free(&walk);
    sl_store_index_close(&x);
    sl_store_head_free(&head);
    sl_gtid_list_free(&position);
    sl_gtid_list_free(&before);
    close(fd);
    fixture_end(&f);
}

/* 20 GB in sparse files: the first events are there, and an index as if there were groups. */
static void test_large_store(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    enum {
        FILES = 20
    };
    const uint64_t size = (uint64_t)1 << 30;
    for (unsigned i = 0; i < FILES; i++) {
        fixture_begin(&f, false);
        fixture_groups(&f, i * 2000000 + 1, 1, 100);
    }
    fixture_close(&f);
    for (unsigned i = 0; i + 1 < FILES; i++) {
        char log[128], path[128];
        snprintf(log, sizeof(log), "%s/pbin.%06u", f.datadir, i + 1);
        index_path(&f, i + 1, path);
        uint64_t before = i > 0 ? (i - 1) * 2000000 + 1 : 0; /* its GTID_LIST */
        assert_int_equal(truncate(log, (off_t)size), 0);
        struct sl_store_head head;
        struct sl_store_index x;
        fixture_open(&f); /* for its keys and names; makes nothing of the files yet */
        assert_int_equal(sl_store_head_read(f.store, log, false, &head, NULL), SL_OK);
        fixture_close(&f);
        assert_int_equal(sl_store_index_create(&x, path, &head), SL_OK);
        for (uint64_t at = head.end, k = 1; at < size; at += SL_STORE_INDEX_GAP, k += 100) {
            sl_store_index_group(&x, &head, (struct sl_gtid){0, 7, before + k}, at);
        }
        sl_store_index_flush(&x, true);
        assert_true(sl_store_index_finish(&x, &head, size, 1));
        sl_store_head_free(&head);
    }
    uint64_t start_us = sl_clock_mono_us();
    fixture_open(&f);
    uint64_t open_us = sl_clock_mono_us() - start_us;
    uint64_t worst_us = 0;
    for (uint64_t seq = 1000; seq < (FILES - 1) * 2000000ULL; seq += 777777) {
        char position[64];
        snprintf(position, sizeof(position), "0-7-%llu", (unsigned long long)seq);
        start_us = sl_clock_mono_us();
        offset_of(&f, position, NULL);
        worst_us = SL_MAX(worst_us, sl_clock_mono_us() - start_us);
    }
    print_message("20 GB: open %llu us, slowest look-up %llu us\n", (unsigned long long)open_us,
                  (unsigned long long)worst_us);
    assert_true(offset_of(&f, "0-7-10800000", NULL) > 400 * 1024 * 1024);
    fixture_end(&f);
}

int main(int argc, char **argv)
{
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_near),
        cmocka_unit_test(test_domains),
        cmocka_unit_test(test_out_of_order),
        cmocka_unit_test(test_many_servers),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_damage_found_late),
        cmocka_unit_test(test_only_the_end_is_missing),
        cmocka_unit_test(test_growing_while_walked),
        cmocka_unit_test(test_large_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
