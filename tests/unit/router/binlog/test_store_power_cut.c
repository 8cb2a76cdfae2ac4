/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power goes while the store works: 1000 moments and what of the unsynced writes is on disk
 * then, more of them while files are compressed, archived, encrypted, or not synced at all. After
 * each the store must open, everything that was durable must be there, no group half, none twice,
 * none missing between two others; and it must go on.
 *
 * SEALANE_SEED=<number> cuts at other places; a run prints it.
 */
#include "store_recorder.h"

#define DEFAULT_SEED 1795283700440 /* one that cut a file to nothing */

struct world {
    struct fixture f;
    char work[128];
    const char *dirs[4];
    struct sl_rng rng;
    uint64_t seed;
    uint64_t added; /* groups that were given to the store */
};

/* The length of a group's row event follows from its number, so that it can be checked. */
static uint32_t length_of(uint64_t seq)
{
    return seq % 37 == 0 ? 30000 : (uint32_t)(seq * 2654435761U % 700) + 20;
}

static void add_groups(struct world *w, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t seq = ++w->added;
        assert_int_equal(fixture_group(&w->f, 0, 7, seq, length_of(seq)), SL_OK);
    }
}

static void commit(struct world *w)
{
    fixture_commit(&w->f);
    recorder_durable(w->f.config.tuning.is_synced ? w->added : 0);
}

/* Half a group that never comes to its end. */
static void add_half(struct world *w)
{
    struct sl_gtid g = {0, 7, w->added + 1};
    assert_int_equal(fixture_gtid(&w->f, g, SL_GTID_TRANSACTIONAL), SL_OK);
    uint32_t len = sl_rng_next(&w->rng) % 8 == 0 ? 1200 * 1024 : 5000;
    assert_int_equal(fixture_rows(&w->f, g, len), SL_OK);
}

static void drop_half(struct world *w)
{
    sl_store_abandon(w->f.store);
    sl_group_reset(&w->f.group);
}

/* One thing that a store is asked to do. */
static void act(struct world *w)
{
    switch (sl_rng_next(&w->rng) % 16) {
    case 0:
        add_half(w);
        commit(w);
        drop_half(w);
        break;
    case 1:
        add_groups(w, 2);
        add_half(w);
        drop_half(w);
        break;
    case 2:
        sl_store_rotate_soon(w->f.store);
        break;
    case 3:
        fixture_fde(&w->f, 1700000000 + (uint32_t)(sl_rng_next(&w->rng) % 3), 0, true);
        fixture_begin(&w->f, true);
        recorder_durable(w->f.config.tuning.is_synced ? w->added : 0);
        break;
    case 4:
        add_groups(w, 20);
        break;
    default:
        add_groups(w, 1 + (unsigned)(sl_rng_next(&w->rng) % 4));
        commit(w);
    }
}

/* ---- the check ---- */

static void check_events(const struct fixture_stream *st, uint64_t first)
{
    static const uint8_t types[] = {SL_EVENT_GTID, SL_EVENT_WRITE_ROWS, SL_EVENT_XID};
    const uint8_t *data = st->events.data + st->events.start;
    size_t len = sl_buf_len(&st->events);
    unsigned in_group = 0;
    uint64_t seq = first;
    for (size_t at = 0; at < len; at += sl_event_length(data + at)) {
        uint8_t type = sl_event_type(data + at);
        if (type == SL_EVENT_ROTATE) {
            assert_int_equal(in_group, 0);
            continue;
        }
        assert_int_equal(type, types[in_group]);
        if (type == SL_EVENT_WRITE_ROWS) {
            assert_int_equal(sl_event_length(data + at), 23 + length_of(seq));
            assert_int_equal(data[at + 19], (uint8_t)(seq & 0x7f));
        }
        in_group = (in_group + 1) % 3;
        seq += in_group == 0;
    }
    assert_int_equal(in_group, 0);
}

/* Returns the newest group. */
static uint64_t check_content(struct world *w, uint64_t durable)
{
    struct fixture_stream st;
    if (fixture_file_count(&w->f) == 0) {
        assert_int_equal(durable, 0);
        return 0;
    }
    fixture_read(&w->f, "", 64 * 1024, &st);
    if (st.gtids == 0) {
        assert_int_equal(durable, 0);
    } else {
        assert_true(st.is_in_order);
        assert_int_equal(st.gtids, st.last_seq);
        assert_true(st.last_seq >= durable && st.last_seq <= w->added);
        check_events(&st, 1);
    }
    uint64_t newest = st.last_seq;
    fixture_stream_free(&st);
    if (newest > 1) {
        char position[64];
        uint64_t seq = 1 + sl_rng_next(&w->rng) % (newest - 1);
        snprintf(position, sizeof(position), "0-7-%llu", (unsigned long long)seq);
        fixture_read(&w->f, position, 64 * 1024, &st);
        assert_true(st.is_in_order);
        assert_int_equal(st.last_seq, newest);
        assert_true(st.last_seq - st.gtids <= seq);
        fixture_stream_free(&st);
    }
    return newest;
}

/* Opens what a cut has left, looks, goes on. */
static void check(struct world *w, uint64_t durable)
{
    uint64_t added = w->added;
    fixture_open(&w->f);
    w->added = check_content(w, durable);
    fixture_begin(&w->f, sl_rng_next(&w->rng) % 2);
    add_groups(w, 5);
    fixture_commit(&w->f);
    assert_int_equal(check_content(w, w->added), w->added);
    fixture_close(&w->f);
    w->added = added;
}

static uint64_t seed_of(void)
{
    const char *text = getenv("SEALANE_SEED");
    return text != NULL ? strtoull(text, NULL, 10) : DEFAULT_SEED;
}

static void world_init(struct world *w)
{
    *w = (struct world){0};
    fixture_init(&w->f);
    snprintf(w->work, sizeof(w->work), "%s/compression", w->f.datadir);
    w->dirs[0] = w->f.datadir;
    w->dirs[1] = w->work;
    w->dirs[2] = w->f.archivedir;
    w->seed = seed_of();
    sl_rng_seed(&w->rng, w->seed);
    print_message("seed %llu\n", (unsigned long long)w->seed);
    w->f.config.tuning.is_synced = true;
    w->f.config.tuning.max_file_bytes = 60000;
    w->f.config.tuning.minimum_files = 100000;
}

static void work(struct world *w, unsigned acts)
{
    sl_store_io = &recorder_io;
    fixture_open(&w->f);
    fixture_begin(&w->f, true);
    for (unsigned i = 0; i < acts; i++) {
        act(w);
    }
    commit(w);
    fixture_close(&w->f);
}

/* Cuts spread over what was recorded. */
static void cut_often(struct world *w, unsigned cuts)
{
    struct sl_store_io fast = recorder_fast_io();
    sl_store_io = &fast;
    for (unsigned i = 0; i < cuts; i++) {
        size_t at = recorder_moment(&w->rng);
        enum recorder_loss loss = sl_rng_next(&w->rng) % LOSS_COUNT;
        uint64_t durable = recorder_cut(at, loss, &w->rng, w->dirs);
        check(w, durable);
    }
    sl_store_io = &sl_store_io_system;
}

static void world_end(struct world *w)
{
    recorder_clear();
    sl_store_io = &sl_store_io_system;
    fixture_end(&w->f);
}

static void test_thousand(void **state)
{
    struct world w;
    world_init(&w);
    work(&w, 300);
    cut_often(&w, 1000);
    world_end(&w);
}

static void test_not_synced(void **state)
{
    struct world w;
    world_init(&w);
    w.f.config.tuning.is_synced = false;
    work(&w, 300);
    cut_often(&w, 200);
    world_end(&w);
}

/* What was recovered may be lost again while it is being recovered. */
static void test_twice(void **state)
{
    struct world w;
    world_init(&w);
    work(&w, 100);
    for (unsigned i = 0; i < 100; i++) {
        size_t at = recorder_moment(&w.rng);
        uint64_t durable = recorder_cut(at, sl_rng_next(&w.rng) % LOSS_COUNT, &w.rng, w.dirs);
        recorder_clear();
        recorder_load(w.f.datadir);
        recorder_durable(durable);
        sl_store_io = &recorder_io;
        fixture_open(&w.f);
        w.added = check_content(&w, durable);
        recorder_durable(w.added); /* it is served from now on */
        fixture_begin(&w.f, true);
        for (unsigned k = 0; k < 5; k++) {
            act(&w);
        }
        fixture_close(&w.f);
    }
    cut_often(&w, 20);
    world_end(&w);
}

static void test_compressing(void **state)
{
    struct world w;
    world_init(&w);
    w.f.config.tuning.compresses = true;
    w.f.config.tuning.plain_files = 1;
    work(&w, 200);
    cut_often(&w, 200);
    world_end(&w);
}

static void test_archiving(void **state)
{
    struct world w;
    world_init(&w);
    w.f.config.archivedir = w.f.archivedir;
    w.f.config.tuning.archives = true;
    w.f.config.tuning.expire_ms = 1;
    w.f.config.tuning.minimum_files = 2;
    work(&w, 200);
    cut_often(&w, 200);
    world_end(&w);
}

static void test_encrypted(void **state)
{
    static const struct sl_store_key key = {.version = 1, .len = 32, .bytes = {1, 2, 3}};
    for (unsigned cipher = SL_CIPHER_AES_GCM; cipher <= SL_CIPHER_AES_CTR; cipher++) {
        struct world w;
        world_init(&w);
        w.f.config.keys = &key;
        w.f.config.key_count = 1;
        w.f.config.cipher = cipher;
        work(&w, 100);
        cut_often(&w, 60);
        world_end(&w);
    }
}

int main(int argc, char **argv)
{
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thousand),  cmocka_unit_test(test_not_synced),
        cmocka_unit_test(test_twice),     cmocka_unit_test(test_compressing),
        cmocka_unit_test(test_archiving), cmocka_unit_test(test_encrypted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
