/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select_master: when a stream counts as stuck. The monitor says that there is more than the relay
 * has, all the time; the stream is left for that only if nothing of it comes.
 *
 * net_timeout is short here, and on a machine that is busy with other things the stream is silent for
 * longer now and then. That is another reason to leave it, and no fault: the log tells which it was.
 */
#include "fake_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "fake_primary.h"
#include "router/binlog/upstream_internal.h"

enum {
    NET_TIMEOUT_MS = 1000,
    DEADLINE_MS = 120000,
    LOG_MAX = 64 * 1024
};

struct world {
    struct sl_relay relay;
    struct sl_service service;
    struct sl_binlog_settings settings;
    struct sl_server *servers[2];
    struct sl_store *store;
    struct stream stream;
    struct primary *primary;
    struct sl_upstream *upstream;
    char dir[64], log[80];
};

static struct sl_server *new_server(const char *name, unsigned index, uint16_t port,
                                    uint32_t status, const char *position)
{
    struct sl_server *s;
    struct sl_err err = SL_ERR_INIT;
    struct sl_server_settings settings = {.address = (char *)"127.0.0.1", .port = port};
    struct sl_server_info info = {.server_id = index + 1};
    snprintf(info.gtid_binlog_pos, sizeof(info.gtid_binlog_pos), "%s", position);
    assert_int_equal(sl_server_new(name, &settings, index, 1, &s, &err), SL_OK);
    assert_int_equal(sl_server_resolve(s, &err), SL_OK);
    sl_server_info_set(s, &info);
    sl_server_status_change(s, SL_SERVER_RUNNING | status, 0);
    return s;
}

static void open_log(const char *path)
{
    struct sl_log_config config = {.path = path, .to_file = true, .level_mask = UINT32_MAX};
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_log_open(&config, &err), SL_OK);
}

static int setup(void **state)
{
    struct world *w = sl_xcalloc(1, sizeof(*w));
    strcpy(w->dir, "/tmp/sl-upstream-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->log, sizeof(w->log), "%s/log", w->dir);
    open_log(w->log);
    w->settings = (struct sl_binlog_settings){
        .server_id = 4711, .net_timeout = NET_TIMEOUT_MS, .select_master = true};
    w->stream = (struct stream){.bytes = SL_BUF_INIT, .has_crc = true, .pos = 4};
    stream_rotate(&w->stream, "pbin.000003");
    stream_fde(&w->stream);
    w->primary = primary_new(&w->stream);
    w->store = fake_store_new();
    w->service.name = (char *)"relay";
    w->service.servers = w->servers;
    w->service.settings.user = (char *)"repl";
    w->service.settings.password = (char *)"secret";
    w->relay = (struct sl_relay){
        .service = &w->service, .settings = &w->settings, .datadir = w->dir, .store = w->store};
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    char command[128];
    sl_upstream_free(w->upstream);
    open_log("/dev/null");
    primary_free(w->primary);
    for (unsigned i = 0; i < w->service.server_count; i++) {
        sl_server_free(w->servers[i]);
    }
    fake_store_free(w->store);
    stream_free(&w->stream);
    snprintf(command, sizeof(command), "rm -r %s", w->dir);
    assert_int_equal(system(command), 0);
    sl_free(w);
    return 0;
}

static void add_server(struct world *w, uint16_t port, uint32_t status, const char *position)
{
    static const char *const names[] = {"one", "two"};
    unsigned i = w->service.server_count++;
    w->servers[i] = new_server(names[i], i, port, status, position);
}

static void start(struct world *w)
{
    struct sl_err err = SL_ERR_INIT;
    primary_start(w->primary);
    assert_int_equal(sl_upstream_new(&w->relay, &w->upstream, &err), SL_OK);
}

/* Was the stream left since nothing of it came? */
static bool was_stuck(const struct world *w)
{
    static char text[LOG_MAX];
    FILE *f = fopen(w->log, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    return strstr(text, "sends nothing new for 1000 ms, although") != NULL;
}

static unsigned published(struct world *w)
{
    pthread_mutex_lock(&w->store->lock);
    unsigned n = w->store->published_count;
    pthread_mutex_unlock(&w->store->lock);
    return n;
}

static void wait_for_groups(struct world *w, unsigned count)
{
    uint64_t deadline_ms = sl_clock_mono_ms() + DEADLINE_MS;
    while (published(w) < count) {
        assert_true(sl_clock_mono_ms() < deadline_ms);
        usleep(500);
    }
}

/* One group takes several times net_timeout, most of it one event. */
static void test_long_group(void **state)
{
    struct world *w = *state;
    stream_transaction(&w->stream, 7, 1, 20);
    stream_transaction(&w->stream, 7, 2, 400000);
    w->primary->piece = 10000;
    w->primary->pause_us = 100000;
    add_server(w, w->primary->port, SL_SERVER_MASTER, "7-1-3");
    start(w);
    wait_for_groups(w, 2);
    assert_false(was_stuck(w));
}

/* So many on one connection. */
static void wait_for_heartbeats(struct world *w, uint64_t heartbeats)
{
    struct sl_upstream_status s = {0};
    uint64_t connects = 0, before = 0;
    uint64_t deadline_ms = sl_clock_mono_ms() + DEADLINE_MS;
    while (s.heartbeats < before + heartbeats) {
        assert_true(sl_clock_mono_ms() < deadline_ms);
        usleep(500);
        sl_upstream_status(w->upstream, &s);
        sl_upstream_target_clear(&s.target);
        before = s.connects != connects ? s.heartbeats : before;
        connects = s.connects;
    }
}

static size_t wire_len(const struct stream *s, unsigned from)
{
    struct sl_buf wire = SL_BUF_INIT;
    stream_packets(s, from, 1, &wire);
    size_t len = sl_buf_len(&wire);
    sl_buf_free(&wire);
    return len;
}

/* Heartbeats behind one group, whole ones, one each 100 ms. The group is so long that a heartbeat
 * begins where a piece does. */
static void write_idle_stream(struct world *w, unsigned heartbeats)
{
    struct stream *s = &w->stream;
    struct stream sample = {.bytes = SL_BUF_INIT, .has_crc = true, .pos = 4};
    stream_heartbeat(&sample, "pbin.000003");
    size_t piece = wire_len(&sample, 0);
    stream_free(&sample);
    sample = (struct stream){.bytes = SL_BUF_INIT, .has_crc = true, .pos = 4};
    stream_transaction(&sample, 7, 1, 20);
    size_t len = wire_len(s, 0) + wire_len(&sample, 0);
    stream_free(&sample);
    stream_transaction(s, 7, 1, 20 + piece - len % piece);
    for (unsigned i = 0; i < heartbeats; i++) {
        stream_heartbeat(s, "pbin.000003");
    }
    w->primary->piece = piece;
    w->primary->pause_us = 100000;
}

/* A replica that was written to has a group which is nobody else's: nothing is missing. */
static void test_replica_with_its_own(void **state)
{
    struct world *w = *state;
    write_idle_stream(w, 60);
    add_server(w, w->primary->port, SL_SERVER_MASTER, "7-1-1");
    add_server(w, w->primary->port, SL_SERVER_SLAVE, "7-2-2");
    start(w);
    wait_for_heartbeats(w, 40);
    assert_false(was_stuck(w));
}

/* A member of a cluster that has more tells that this one's stream is stuck. */
static void test_member_has_more(void **state)
{
    struct world *w = *state;
    write_idle_stream(w, 120);
    add_server(w, w->primary->port, SL_SERVER_MASTER | SL_SERVER_JOINED, "7-1-1");
    add_server(w, w->primary->port, SL_SERVER_SLAVE | SL_SERVER_JOINED, "7-2-2");
    start(w);
    uint64_t deadline_ms = sl_clock_mono_ms() + DEADLINE_MS;
    while (!was_stuck(w) || atomic_load(&w->primary->dumps) < 2) {
        assert_true(sl_clock_mono_ms() < deadline_ms);
        usleep(5000);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_long_group),
        TEST(test_replica_with_its_own),
        TEST(test_member_has_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
