/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals with a primary's words, waiting, two of a kind, large events, replicas that do not read,
 * KILL, and who is remembered. */
#include "relay_world.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "proto/constants.h"
#include "proto/ok.h"

static struct world w;

static int up(void **state)
{
    world_up(&w);
    return 0;
}

static int down(void **state)
{
    world_down(&w);
    return 0;
}

static void a_log(void)
{
    world_file(&w, true, 0);
    world_group(&w, "7-1-1", 1, 100);
    world_group(&w, "9-1-1", 1, 100);
    world_group(&w, "9-1-3", 1, 100);
    world_group(&w, "7-2-2", 1, 100);
    world_group(&w, "7-1-3", 1, 100);
    world_commit(&w);
}

static void expect_refused(uint16_t code, const char *text)
{
    struct replica r;
    replica_start(&w, &r, 2);
    replica_expect_error(&r, code, text);
    /* the session goes on with commands */
    replica_register(&r, 2);
    replica_close(&r);
}

static void test_positions_refused(void **state)
{
    a_log();
    atomic_store(&w.relay->ahead_timeout_ms, 0);
    w.says.connect_state = "7-1-9,9-1-3";
    expect_refused(1236, "Error: connecting slave requested to start from GTID 7-1-9, which is not "
                         "in the master's binlog");
    w.says.connect_state = "7-3-2";
    expect_refused(1236,
                   "Error: connecting slave requested to start from GTID 7-3-2, which is not in "
                   "the master's binlog. Since the master's binlog contains GTIDs with higher "
                   "sequence numbers, it probably means that the slave has diverged due to "
                   "executing extra erroneous transactions");
    w.says.connect_state = "7-1-1,,";
    expect_refused(1941, "Could not parse GTID list");
    w.says.connect_state = "7-1-3,7-2-4";
    expect_refused(1943, "GTID 7-2-4 and 7-1-3 conflict (duplicate domain id 7)");
    w.says.connect_state = "";
    w.says.until = "x";
    expect_refused(1941, "Could not parse GTID list");
}

static void test_replicas_refused(void **state)
{
    a_log();
    w.says.connect_state = "";
    w.says.capability = 3;
    expect_refused(1236, "The replica does not know MariaDB's GTID events "
                         "(@mariadb_slave_capability is 3, at least 4 is needed)");
    w.says.capability = 4;
    w.says.no_checksum = true;
    struct replica r;
    replica_start(&w, &r, 2);
    replica_expect(&r, SL_EVENT_ROTATE);
    replica_expect_error(
        &r, 1236,
        "Slave can not handle replication events with the checksum that master is configured to "
        "log; the first event '.' at 4, the last event read from 'pbin.000001' at 4, "
        "the last byte read from 'pbin.000001' at 256.");
    replica_close(&r);
}

static void test_hole_in_strict_mode(void **state)
{
    a_log();
    w.says.connect_state = "7-1-1,9-1-2";
    w.says.strict = true;
    struct replica r;
    replica_start(&w, &r, 2);
    replica_expect_start(&r, "pbin.000001");
    replica_expect(&r, SL_EVENT_GTID_LIST);
    replica_expect_error(&r, 1236,
                         "The binlog on the master is missing the GTID 9-1-2 requested by the "
                         "slave (even though both a prior and a subsequent sequence number does "
                         "exist), and GTID strict mode is enabled");
    replica_close(&r);
    w.says.strict = false;
    replica_start(&w, &r, 2);
    replica_expect_start(&r, "pbin.000001");
    replica_expect(&r, SL_EVENT_GTID_LIST);
    replica_expect_group(&r, "9-1-3");
    replica_expect(&r, SL_EVENT_GTID_LIST);
    replica_expect_group(&r, "7-2-2");
    replica_close(&r);
}

static void test_places_refused(void **state)
{
    a_log();
    static const struct {
        const char *file, *text;
        uint32_t position;
    } cases[] = {
        {"pbin.000009", "Could not find first log file name in binary log index file", 4},
        {"pbin.000001",
         "Client requested master to start replication from impossible position; the first event "
         "'pbin.000001' at 999999, the last event read from 'pbin.000001' at 4, the last byte read "
         "from 'pbin.000001' at 4.",
         999999},
        {"pbin.000001",
         "Client requested master to start replication from impossible position; the first event "
         "'pbin.000001' at 3, the last event read from 'pbin.000001' at 4, the last byte read from "
         "'pbin.000001' at 4.",
         3},
    };
    for (unsigned i = 0; i < 3; i++) {
        struct replica r;
        replica_open(&w, &r);
        replica_dump(&r, cases[i].file, cases[i].position, 2, 2);
        replica_expect_error(&r, 1236, cases[i].text);
        replica_close(&r);
    }
    struct replica r;
    replica_open(&w, &r);
    replica_dump(&r, "pbin.000001", 350, 2, 2);
    replica_expect(&r, SL_EVENT_ROTATE);
    replica_expect(&r, SL_EVENT_FORMAT_DESCRIPTION);
    replica_expect_error(&r, 1236,
                         "binlog truncated in the middle of event; consider out of disk space on "
                         "master; the first event 'pbin.000001' at 350, the last event read from "
                         "'pbin.000001' at 350, the last byte read from 'pbin.000001' at 350.");
    replica_close(&r);
}

static void test_purged(void **state)
{
    world_file(&w, true, 0);
    world_group(&w, "7-1-1", 1, 100);
    world_file(&w, true, 0);
    world_group(&w, "7-1-2", 1, 100);
    world_file(&w, true, 0);
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_store_purge_to(w.store, "pbin.000002", &err), SL_OK);
    w.says.connect_state = "";
    expect_refused(1236, "Could not find GTID state requested by slave in any binlog files. "
                         "Probably the slave state is too old and required binlog files have been "
                         "purged.");
}

static void test_ahead_waits(void **state)
{
    a_log();
    w.says.connect_state = "7-1-5,9-1-3";
    struct replica r;
    replica_start(&w, &r, 2);
    assert_true(replica_is_quiet(&r, 20));
    world_group(&w, "7-1-4", 1, 100);
    world_commit(&w);
    assert_true(replica_is_quiet(&r, 20));
    world_group(&w, "7-1-5", 1, 100);
    world_group(&w, "7-1-6", 1, 100);
    world_commit(&w);
    replica_expect_start(&r, "pbin.000001");
    replica_expect(&r, SL_EVENT_GTID_LIST);
    replica_expect(&r, SL_EVENT_GTID_LIST);
    replica_expect_group(&r, "7-1-6");
    replica_close(&r);
    /* ... but not for ever */
    atomic_store(&w.relay->ahead_timeout_ms, 50);
    w.says.connect_state = "7-1-9";
    expect_refused(1236, "Error: connecting slave requested to start from GTID 7-1-9, which is not "
                         "in the master's binlog");
}

/* Who waits for long hears that the relay is there, and of a file first. */
static void test_ahead_heartbeats(void **state)
{
    a_log();
    w.says.connect_state = "7-1-4,9-1-3";
    w.says.heartbeat_ns = 20 * 1000 * 1000;
    struct replica r;
    replica_start(&w, &r, 2);
    struct event e = replica_expect(&r, SL_EVENT_ROTATE);
    assert_int_equal(e.h.flags, SL_EVENT_FLAG_ARTIFICIAL);
    for (unsigned i = 0; i < 3; i++) {
        e = replica_expect(&r, SL_EVENT_HEARTBEAT);
        assert_int_equal(e.h.log_pos, 4);
        assert_memory_equal(e.data + SL_EVENT_HEADER, "pbin.000001", 11);
        assert_true(sl_event_crc_is_right(e.data, e.len));
    }
    world_group(&w, "7-1-4", 1, 100);
    world_group(&w, "7-1-5", 1, 100);
    world_commit(&w);
    do {
        e = replica_event(&r);
    } while (e.h.type == SL_EVENT_HEARTBEAT);
    assert_int_equal(e.h.type, SL_EVENT_ROTATE);
    replica_expect(&r, SL_EVENT_FORMAT_DESCRIPTION);
    replica_expect(&r, SL_EVENT_GTID_LIST);
    replica_expect(&r, SL_EVENT_GTID_LIST);
    replica_expect(&r, SL_EVENT_GTID_LIST);
    replica_expect_group(&r, "7-1-5");
    replica_close(&r);
    w.says.heartbeat_ns = 0;
}

static void test_empty_store(void **state)
{
    w.says.connect_state = "";
    struct replica r;
    replica_start(&w, &r, 2);
    assert_true(replica_is_quiet(&r, 20));
    world_file(&w, true, 0);
    replica_expect_start(&r, "pbin.000001");
    replica_close(&r);
}

/* A domain that the log did not have when the replica came, and then has without its position: it may
 * be on its way, so the replica comes again, and waits. */
static void test_stranger(void **state)
{
    a_log();
    w.says.connect_state = "7-1-3,9-1-3,8-1-5";
    struct replica r;
    replica_start(&w, &r, 2);
    replica_expect_start(&r, "pbin.000001");
    replica_expect(&r, SL_EVENT_GTID_LIST);
    replica_expect(&r, SL_EVENT_GTID_LIST);
    world_group(&w, "8-1-1", 1, 100);
    world_commit(&w);
    replica_expect_error(&r, 1105, "The relay does not have GTID 8-1-5 yet; try again later");
    replica_close(&r);
    world_group(&w, "8-1-5", 1, 100);
    world_commit(&w);
    replica_start(&w, &r, 2);
    replica_expect_start(&r, "pbin.000001");
    replica_close(&r);
}

/* A relay that begins anew must not take what comes first for all that there is. */
static void test_empty_log(void **state)
{
    world_file(&w, true, 0);
    world_commit(&w);
    w.says.connect_state = "7-1-2";
    struct replica r;
    replica_start(&w, &r, 2);
    assert_true(replica_is_quiet(&r, 20));
    world_group(&w, "7-1-1", 1, 100);
    world_commit(&w);
    assert_true(replica_is_quiet(&r, 20));
    world_group(&w, "7-1-2", 1, 100);
    world_group(&w, "7-1-3", 1, 100);
    world_commit(&w);
    replica_expect_start(&r, "pbin.000001");
    replica_close(&r);
}

static void test_same_server_id(void **state)
{
    a_log();
    w.says.connect_state = "7-1-3,9-1-3";
    struct replica older, newer;
    replica_start(&w, &older, 2);
    replica_expect_start(&older, "pbin.000001");
    replica_expect(&older, SL_EVENT_GTID_LIST);
    replica_expect(&older, SL_EVENT_GTID_LIST);
    replica_start(&w, &newer, 2);
    replica_expect_start(&newer, "pbin.000001");
    struct sl_slice p;
    struct sl_packet_err err;
    assert_true(replica_packet(&older, &p));
    assert_int_equal(sl_packet_err_parse(p.data, p.len, &err), SL_OK);
    assert_int_equal(err.code, 4052);
    static const char text[] = "A slave with the same server_uuid/server_id is already connected; "
                               "the first event '.' at 4, ";
    assert_memory_equal(err.message.data, text, sizeof text - 1);
    assert_false(replica_packet(&older, &p));
    replica_expect(&newer, SL_EVENT_GTID_LIST);
    replica_expect(&newer, SL_EVENT_GTID_LIST);
    world_group(&w, "7-1-4", 1, 100);
    world_commit(&w);
    replica_expect_group(&newer, "7-1-4");
    replica_close(&older);
    replica_close(&newer);
}

static void kill_dump(const struct replica *victim)
{
    struct replica r;
    char sql[64];
    replica_open(&w, &r);
    int n = snprintf(sql, sizeof sql, "%cKILL %u", SL_COM_QUERY, victim->id);
    uint8_t header[4] = {(uint8_t)n, 0, 0, 0};
    assert_int_equal(write(r.fd, header, 4), 4);
    assert_int_equal(write(r.fd, sql, (size_t)n), n);
    struct sl_slice p;
    r.seq = 1;
    assert_true(replica_packet(&r, &p));
    assert_int_equal(p.data[0], 0);
    replica_close(&r);
}

static void test_kill(void **state)
{
    a_log();
    w.says.connect_state = "7-1-3,9-1-3";
    struct replica r;
    replica_start(&w, &r, 2);
    replica_expect_start(&r, "pbin.000001");
    replica_expect(&r, SL_EVENT_GTID_LIST);
    replica_expect(&r, SL_EVENT_GTID_LIST);
    kill_dump(&r);
    struct sl_slice p;
    assert_false(replica_packet(&r, &p));
    replica_close(&r);
}

/* Around the sizes at which a payload takes one more physical packet, and far above. */
static void test_large_events(void **state)
{
    static const uint32_t body[] = {300000, SL_PACKET_MAX - 1 - 23 - 1, SL_PACKET_MAX - 1 - 23,
                                    SL_PACKET_MAX - 1 - 23 + 1, 40000000};
    world_file(&w, true, 0);
    char gtid[32];
    for (unsigned i = 0; i < 5; i++) {
        snprintf(gtid, sizeof gtid, "7-1-%u", i + 1);
        world_group(&w, gtid, 1, body[i]);
        world_commit(&w);
    }
    world_ddl(&w, "7-1-6", 1000000);
    world_group(&w, "7-1-7", 1, 10);
    world_commit(&w);
    static const char *const positions[] = {"", "7-1-2", "7-1-6"};
    for (unsigned k = 0; k < 3; k++) {
        w.says.connect_state = positions[k];
        struct replica r;
        replica_start(&w, &r, 2);
        replica_expect_start(&r, "pbin.000001");
        if (k > 0) {
            replica_expect(&r, SL_EVENT_GTID_LIST);
        }
        for (unsigned i = k == 0 ? 1 : k == 1 ? 3 : 7; i <= 7; i++) {
            snprintf(gtid, sizeof gtid, "7-1-%u", i);
            replica_expect_group(&r, gtid);
        }
        assert_true(replica_is_quiet(&r, 5));
        replica_close(&r);
    }
}

/* Behind half an event an error would be taken for its other half: only the end of the connection
 * says that there is no more. */
static void test_error_inside_an_event(void **state)
{
    world_file(&w, true, 0);
    world_group(&w, "7-1-1", 1, 100000000);
    world_commit(&w);
    w.says.connect_state = "";
    struct replica r;
    replica_start(&w, &r, 2);
    replica_expect_start(&r, "pbin.000001");
    replica_expect(&r, SL_EVENT_GTID);
    char path[128];
    snprintf(path, sizeof path, "%s/binlogs/pbin.000001", w.dir);
    assert_int_equal(truncate(path, 1000000), 0);
    struct sl_slice packet;
    while (replica_packet(&r, &packet)) {
        assert_int_equal(packet.data[0], 0);
    }
    replica_close(&r);
}

/* Some do not read: the others do not wait, and then they get it all. */
static void test_slow_replicas(void **state)
{
    enum {
        GROUPS = 3000,
        SLOW = 4
    };
    world_file(&w, true, 0);
    w.says.connect_state = "";
    struct replica slow[SLOW], fast;
    for (unsigned i = 0; i < SLOW; i++) {
        replica_start(&w, &slow[i], 10 + i);
    }
    replica_start(&w, &fast, 2);
    replica_expect_start(&fast, "pbin.000001");
    char gtid[32];
    for (unsigned i = 1; i <= GROUPS; i++) {
        snprintf(gtid, sizeof gtid, "7-1-%u", i);
        world_group(&w, gtid, 5, 2000 + i % 1000);
        if (i % 100 == 0) {
            world_commit(&w);
        }
    }
    for (unsigned i = 1; i <= GROUPS; i++) {
        snprintf(gtid, sizeof gtid, "7-1-%u", i);
        assert_int_equal(replica_expect_group(&fast, gtid), 5);
    }
    for (unsigned k = 0; k < SLOW; k++) {
        replica_expect_start(&slow[k], "pbin.000001");
        for (unsigned i = 1; i <= GROUPS; i++) {
            snprintf(gtid, sizeof gtid, "7-1-%u", i);
            assert_int_equal(replica_expect_group(&slow[k], gtid), 5);
        }
        replica_close(&slow[k]);
    }
    replica_close(&fast);
}

/* ---- what it costs ---- */

struct count {
    struct sl_message message;
    sem_t done;
    uint64_t allocations;
};

static void on_count(struct sl_message *m, struct sl_loop *loop)
{
    struct count *c = SL_CONTAINER_OF(m, struct count, message);
    c->allocations = sl_mem_thread_allocations();
    sem_post(&c->done);
}

static uint64_t allocations(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < w.core->worker_count; i++) {
        struct count c = {.message.run = on_count};
        sem_init(&c.done, 0, 0);
        sl_loop_post(w.core->workers[i].loop, &c.message);
        sem_wait(&c.done);
        sem_destroy(&c.done);
        sum += c.allocations;
    }
    return sum;
}

static void test_no_allocation_per_group(void **state)
{
    world_file(&w, true, 0);
    w.says.connect_state = "";
    struct replica r;
    replica_start(&w, &r, 2);
    replica_expect_start(&r, "pbin.000001");
    uint64_t before = 0;
    for (unsigned i = 1; i <= 300; i++) {
        char gtid[32];
        snprintf(gtid, sizeof gtid, "7-1-%u", i);
        world_group(&w, gtid, 3, 500);
        world_commit(&w);
        replica_expect_group(&r, gtid);
        before = i == 100 ? allocations() : before;
    }
    assert_int_equal(allocations(), before);
    replica_close(&r);
}

/* Killed while its socket is full. */
static void test_kill_a_stalled_one(void **state)
{
    world_file(&w, true, 0);
    for (unsigned i = 1; i <= 100; i++) {
        char gtid[32];
        snprintf(gtid, sizeof gtid, "7-1-%u", i);
        world_group(&w, gtid, 1, 300000);
    }
    world_commit(&w);
    w.says.connect_state = "";
    struct replica r;
    replica_start(&w, &r, 2);
    replica_expect_start(&r, "pbin.000001");
    kill_dump(&r);
    replica_close(&r);
}

/* ---- the registry ---- */

static bool may_purge_up_to(const char *position)
{
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_gtid_position_parse(sl_slice_text(position), &list, &err), SL_OK);
    bool may = sl_replicas_may_purge(w.relay->replicas, &list);
    sl_gtid_list_free(&list);
    return may;
}

static struct sl_replica_info only_one(struct sl_replicas *replicas)
{
    struct sl_replica_info *all, one = {0};
    unsigned count;
    assert_int_equal(sl_replicas_list(replicas, &all, &count), SL_OK);
    assert_int_equal(count, 1);
    one = all[0];
    sl_free(all);
    return one;
}

static void wait_gone(void)
{
    WORLD_WAIT(only_one(w.relay->replicas).session_id == 0);
}

static void test_remembered(void **state)
{
    a_log();
    w.says.connect_state = "";
    struct replica r;
    replica_start(&w, &r, 2);
    replica_expect_start(&r, "pbin.000001");
    replica_expect_group(&r, "7-1-1");
    replica_expect_group(&r, "9-1-1");
    replica_expect_group(&r, "9-1-3");
    replica_expect_group(&r, "7-2-2");
    replica_expect_group(&r, "7-1-3");
    WORLD_WAIT(only_one(w.relay->replicas).is_waiting);
    struct sl_replica_info info = only_one(w.relay->replicas);
    assert_int_equal(info.server_id, 2);
    assert_int_equal(info.session_id, r.id);
    assert_int_equal(info.port, 3307);
    assert_string_equal(info.host, "replica_host");
    assert_string_equal(info.user, "u");
    assert_string_equal(info.position, "7-1-3,9-1-3");
    assert_string_equal(info.file, "pbin.000001");
    assert_int_equal(info.bytes_behind, 0);
    assert_true(may_purge_up_to("7-1-3,9-1-3"));
    assert_false(may_purge_up_to("7-1-4,9-1-3"));
    replica_close(&r);
    wait_gone();
    assert_string_equal(only_one(w.relay->replicas).position, "7-1-3,9-1-3");
    assert_false(may_purge_up_to("7-1-4"));
    world_group(&w, "7-1-4", 1, 100);
    world_commit(&w);
    assert_true(only_one(w.relay->replicas).bytes_behind > 0);
    sl_replicas_tune(w.relay->replicas, 0);
    assert_true(may_purge_up_to("7-1-4"));
}

/* All go that read with the same id, however many there are, and nobody else. */
static void test_all_older_ones_go(void **state)
{
    struct sl_replicas *replicas;
    struct sl_replica *p[5];
    struct sl_replica_older *older;
    unsigned count;
    struct sl_err err = SL_ERR_INIT;
    char dir[] = "/tmp/sealane-replicas-XXXXXX";
    assert_non_null(mkdtemp(dir));
    assert_int_equal(sl_replicas_new(dir, 0, &replicas, &err), SL_OK);
    static const uint32_t ids[] = {5, 6, 5, 5, 0};
    static const unsigned expected[] = {0, 0, 1, 2, 0};
    for (unsigned i = 0; i < 5; i++) {
        struct sl_replica_start start = {
            .server_id = ids[i], .session_id = 70 + i, .worker = i, .user = "\xe9"};
        assert_int_equal(sl_replicas_attach(replicas, &start, &p[i], &older, &count), SL_OK);
        assert_int_equal(count, expected[i]);
        for (unsigned k = 0; k < count; k++) {
            assert_int_equal(older[k].session_id, k == 0 ? 70 : 72);
            assert_int_equal(older[k].worker, k == 0 ? 0 : 2);
        }
        sl_free(older);
    }
    struct sl_replica_start start = {.server_id = 5, .session_id = 80};
    struct sl_replica *none;
    sl_mem_fail_after(2);
    assert_int_equal(sl_replicas_attach(replicas, &start, &none, &older, &count), SL_ENOMEM);
    sl_mem_fail_after(0);
    struct sl_replica_info *list;
    assert_int_equal(sl_replicas_list(replicas, &list, &count), SL_OK);
    assert_int_equal(count, 5);
    assert_string_equal(list[0].user, "_");
    sl_free(list);
    for (unsigned i = 0; i < 5; i++) {
        sl_replica_detach(p[i]);
    }
    sl_replicas_free(replicas);
    rmdir(dir);
}

static void test_remembered_over_a_restart(void **state)
{
    char dir[] = "/tmp/sealane-replicas-XXXXXX", path[64], command[64];
    assert_non_null(mkdtemp(dir));
    struct sl_replicas *replicas;
    struct sl_replica *a, *b;
    struct sl_replica_older *older;
    unsigned count;
    struct sl_err err = SL_ERR_INIT;
    struct sl_gtid_list sent = SL_GTID_LIST_INIT, empty = SL_GTID_LIST_INIT;
    assert_int_equal(sl_gtid_position_parse(sl_slice_text("7-1-3,9-1-3"), &sent, &err), SL_OK);
    assert_int_equal(sl_replicas_new(dir, 60000, &replicas, &err), SL_OK);
    struct sl_replica_start start = {.server_id = 5,
                                     .host = "a b\xc3\xa9\x80\n",
                                     .port = 3306,
                                     .master_id = 1,
                                     .session_id = 77,
                                     .user = "u",
                                     .is_lasting = true};
    assert_int_equal(sl_replicas_attach(replicas, &start, &a, &older, &count), SL_OK);
    assert_int_equal(count, 0);
    sl_replica_note(a, "pbin.000007", 12345, &sent, false);
    start.server_id = 6;
    start.session_id = 78;
    start.is_lasting = false; /* a reader, not a replica */
    assert_int_equal(sl_replicas_attach(replicas, &start, &b, &older, &count), SL_OK);
    sl_replica_note(b, "pbin.000001", 4, &empty, false);
    sl_replica_detach(b);
    sl_replica_detach(a);
    sl_replicas_free(replicas);

    assert_int_equal(sl_replicas_new(dir, 60000, &replicas, &err), SL_OK);
    struct sl_replica_info info = only_one(replicas);
    assert_int_equal(info.server_id, 5);
    assert_int_equal(info.session_id, 0);
    assert_int_equal(info.offset, 12345);
    assert_string_equal(info.host, "a_b____");
    assert_string_equal(info.file, "pbin.000007");
    assert_string_equal(info.position, "7-1-3,9-1-3");
    assert_true(sl_replicas_may_purge(replicas, &sent));
    struct sl_gtid_list later = SL_GTID_LIST_INIT;
    assert_int_equal(sl_gtid_position_parse(sl_slice_text("7-1-4"), &later, &err), SL_OK);
    assert_false(sl_replicas_may_purge(replicas, &later));
    sl_gtid_list_free(&later);
    /* it comes back: what was remembered counts until its new position is known */
    start.server_id = 5;
    start.is_lasting = true;
    assert_int_equal(sl_replicas_attach(replicas, &start, &a, &older, &count), SL_OK);
    sl_replica_note(a, "pbin.000008", 4, &sent, true);
    assert_true(only_one(replicas).session_id == 78);
    sl_replica_detach(a);
    sl_replicas_free(replicas);

    snprintf(path, sizeof path, "%s/replicas", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("rubbish\n7 1 1 99999999999 - 4 - h\n8 1 1 5 - 4 1-1 h\n", f);
    fclose(f);
    assert_int_equal(sl_replicas_new(dir, 60000, &replicas, &err), SL_OK);
    assert_int_equal(only_one(replicas).server_id, 7);
    assert_string_equal(only_one(replicas).position, "");
    sl_replicas_free(replicas);
    sl_gtid_list_free(&sent);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_positions_refused, up, down),
        cmocka_unit_test_setup_teardown(test_replicas_refused, up, down),
        cmocka_unit_test_setup_teardown(test_hole_in_strict_mode, up, down),
        cmocka_unit_test_setup_teardown(test_places_refused, up, down),
        cmocka_unit_test_setup_teardown(test_purged, up, down),
        cmocka_unit_test_setup_teardown(test_ahead_waits, up, down),
        cmocka_unit_test_setup_teardown(test_ahead_heartbeats, up, down),
        cmocka_unit_test_setup_teardown(test_empty_store, up, down),
        cmocka_unit_test_setup_teardown(test_stranger, up, down),
        cmocka_unit_test_setup_teardown(test_empty_log, up, down),
        cmocka_unit_test_setup_teardown(test_same_server_id, up, down),
        cmocka_unit_test_setup_teardown(test_kill, up, down),
        cmocka_unit_test_setup_teardown(test_large_events, up, down),
        cmocka_unit_test_setup_teardown(test_error_inside_an_event, up, down),
        cmocka_unit_test_setup_teardown(test_slow_replicas, up, down),
        cmocka_unit_test_setup_teardown(test_no_allocation_per_group, up, down),
        cmocka_unit_test_setup_teardown(test_kill_a_stalled_one, up, down),
        cmocka_unit_test_setup_teardown(test_remembered, up, down),
        cmocka_unit_test(test_all_older_ones_go),
        cmocka_unit_test(test_remembered_over_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
