/* SPDX-License-Identifier: Apache-2.0 */
/* A writer, readers and the keeper at once: readers get every group once, in order, whatever is
 * rolled, compressed and archived under them. Meant for TSan, too. */
#include <pthread.h>

#include "store_fixture.h"

enum {
    READERS = 4,
    GROUPS = 6000
};

struct follower {
    struct fixture *f;
    pthread_t thread;
    bool looks_up; /* opens a new reader at its position again and again */
    uint64_t last; /* sequence number */
    bool is_wrong;
    struct sl_store_block *block;
};

static void take(struct follower *w, struct sl_slice bytes)
{
    for (size_t at = 0; at < bytes.len; at += sl_event_length(bytes.data + at)) {
        const uint8_t *event = bytes.data + at;
        uint64_t seq = sl_get_le64(event + SL_EVENT_HEADER);
        if (sl_event_type(event) == SL_EVENT_GTID && seq > w->last) {
            w->is_wrong |= seq != w->last + 1;
            w->last = seq;
        }
    }
}

static struct sl_store_reader *open_reader(struct follower *w)
{
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_store_reader *r = NULL;
    char text[64] = "";
    if (w->last > 0) {
        snprintf(text, sizeof(text), "0-7-%llu", (unsigned long long)w->last);
    }
    w->is_wrong |= sl_gtid_position_parse(sl_slice_text(text), &list, NULL) < 0;
    w->is_wrong |= sl_store_reader_open(w->f->store, &list, &r, NULL) < 0;
    sl_gtid_list_free(&list);
    return r;
}

static void *follow(void *arg)
{
    struct follower *w = arg;
    uint64_t until_ms = sl_clock_mono_ms() + FIXTURE_DEADLINE_MS;
    struct sl_store_reader *r = open_reader(w);
    unsigned steps = 0;
    while (!w->is_wrong && w->last < GROUPS && sl_clock_mono_ms() < until_ms) {
        enum sl_store_step step;
        struct sl_store_piece piece;
        w->is_wrong |= sl_store_reader_next(r, w->block, 65536, &step, &piece, NULL) < 0;
        if (step == SL_STORE_EVENTS) {
            take(w, piece.bytes);
        } else if (step == SL_STORE_NEXT_FILE) {
            w->is_wrong |= sl_store_reader_next_file(r, NULL) < 0;
        } else {
            usleep(100);
        }
        if (w->looks_up && ++steps % 50 == 0) {
            sl_store_reader_free(r);
            r = open_reader(w);
        }
    }
    sl_store_reader_free(r);
    return NULL;
}

static void test_all_at_once(void **state)
{
    struct fixture f;
    struct follower w[READERS];
    fixture_init(&f);
    f.config.archivedir = f.archivedir;
    f.config.tuning = (struct sl_store_tuning){.archives = true,
                                               .expire_ms = 20,
                                               .minimum_files = 3,
                                               .poll_ms = 5,
                                               .compresses = true,
                                               .plain_files = 2,
                                               .max_file_bytes = 100000};
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 1, 100);
    for (unsigned i = 0; i < READERS; i++) {
        w[i] = (struct follower){.f = &f, .looks_up = i % 2};
        assert_int_equal(sl_store_block_new(&w[i].block), SL_OK);
        assert_int_equal(pthread_create(&w[i].thread, NULL, follow, &w[i]), 0);
    }
    for (uint64_t seq = 2; seq <= GROUPS; seq += 3) {
        fixture_groups(&f, seq, SL_MIN(3, GROUPS - seq + 1), 300);
        struct sl_store_stats stats;
        sl_store_stats(f.store, &stats);
        if (seq % 64 == 0) {
            usleep(500); /* lets the keeper work in the middle */
        }
    }
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(w[i].thread, NULL);
        assert_false(w[i].is_wrong);
        assert_int_equal(w[i].last, GROUPS);
        sl_store_block_free(w[i].block);
    }
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
