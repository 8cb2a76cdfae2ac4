/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replica side as a whole: thread, sockets, a primary on loopback, a store in memory. Whatever
 * the primary does, the store holds whole groups, each once.
 */
#include "upstream_world.h"

static void test_all(void **state)
{
    struct world *w = *state;
    primary_start(w->primary);
    start_replication(w);
    WAIT_FOR(published(w) == GROUPS);
    check_groups(w, GROUPS);
    WAIT_FOR(status(w).step == SL_UPSTREAM_STREAMING && status(w).groups_in == GROUPS);
    struct sl_upstream_status s = status(w);
    assert_int_equal(s.last_errno, 0);
    assert_int_equal(s.master_server_id, 1);
    assert_string_equal(s.master_file, "pbin.000003");
    assert_int_equal(s.master_pos, w->stream.pos);
    assert_int_equal(s.connects, 1);
    assert_int_equal(s.heartbeat_period_ms, NET_TIMEOUT_MS / 3);
    assert_true(s.is_wanted);
    assert_string_equal(w->primary->user, "repl");
    assert_int_equal(ask(w, SL_UPSTREAM_STOP, NULL, NULL), SL_OK);
    assert_int_equal(status(w).step, SL_UPSTREAM_STOPPED);
    assert_int_equal(status(w).seconds_behind, -1);
    /* Again: it asks for what it lacks, which is nothing. */
    assert_int_equal(ask(w, SL_UPSTREAM_START, NULL, NULL), SL_OK);
    WAIT_FOR(atomic_load(&w->primary->dumps) == 2);
    WAIT_FOR(status(w).step == SL_UPSTREAM_STREAMING);
    assert_string_equal(w->primary->asked, "7-1-6");
    check_groups(w, GROUPS);
}

static void test_restart_goes_on(void **state)
{
    struct world *w = *state;
    primary_start(w->primary);
    start_replication(w);
    WAIT_FOR(published(w) == GROUPS);
    sl_upstream_free(w->upstream);
    start(w); /* slave_running was kept, and the password */
    WAIT_FOR(atomic_load(&w->primary->dumps) == 2);
    check_groups(w, GROUPS);
}

/* Numbers that are given away again are told until replication is started anew. */
static void test_numbers_go_back(void **state)
{
    struct world *w = *state;
    unsigned first = w->stream.count;
    stream_transaction(&w->stream, 7, 2, 30);
    for (unsigned i = first; i < w->stream.count; i++) {
        sl_put_le32(stream_event(&w->stream, i), UINT32_MAX); /* younger than the connection */
        sl_event_crc_put(stream_event(&w->stream, i), (uint32_t)w->stream.len[i]);
    }
    primary_start(w->primary);
    start_replication(w);
    WAIT_FOR(status(w).last_errno == SL_ER_RELAY_ORDER);
    assert_non_null(strstr(status(w).last_error, "the log has 7-1-6"));
    assert_non_null(strstr(status(w).last_error, "writes 7-1-2 anew"));
    assert_int_equal(status(w).step, SL_UPSTREAM_STREAMING);
    assert_int_equal(status(w).groups_dropped, 1);
    check_groups(w, GROUPS);
    assert_int_equal(ask(w, SL_UPSTREAM_STOP, NULL, NULL), SL_OK);
    assert_int_equal(status(w).last_errno, SL_ER_RELAY_ORDER);
    assert_int_equal(ask(w, SL_UPSTREAM_RESET, NULL, NULL), SL_OK);
    assert_int_equal(status(w).last_errno, 0);
    assert_int_equal(ask(w, SL_UPSTREAM_START, NULL, NULL), SL_OK);
    WAIT_FOR(status(w).last_errno == SL_ER_RELAY_ORDER); /* it goes on */
}

static void test_byte_by_byte(void **state)
{
    struct world *w = *state;
    w->primary->piece = 1;
    primary_start(w->primary);
    start_replication(w);
    WAIT_FOR(published(w) == GROUPS);
    check_groups(w, GROUPS);
}

static void test_ed25519(void **state)
{
    struct world *w = *state;
    w->primary->wants_ed25519 = true;
    primary_start(w->primary);
    start_replication(w);
    WAIT_FOR(published(w) == GROUPS);
    assert_int_equal(w->primary->auth_len, SL_ED25519_SIGNATURE_LEN);
}

static void test_no_checksum(void **state)
{
    struct world *w = *state;
    stream_free(&w->stream);
    w->stream = (struct stream){.bytes = SL_BUF_INIT, .has_crc = false, .pos = 4};
    stream_rotate(&w->stream, "pbin.000003");
    stream_fde(&w->stream);
    stream_transaction(&w->stream, 7, 1, 20);
    w->primary->checksum = "NONE";
    primary_start(w->primary);
    start_replication(w);
    WAIT_FOR(published(w) == 1);
}

static uint64_t ack_pos(struct world *w)
{
    pthread_mutex_lock(&w->primary->lock);
    uint64_t pos = w->primary->ack_pos;
    pthread_mutex_unlock(&w->primary->lock);
    return pos;
}

/* Acknowledged is what is durable: the last group of a commit, never before it. */
static void test_semi_sync(void **state)
{
    struct world *w = *state;
    w->settings.rpl_semi_sync_slave_enabled = true;
    w->primary->has_semi_sync = true;
    w->primary->binlog_pos = "7-1-6";
    w->store->commit_rc = SL_ELIMIT; /* the disk is full: nothing gets durable */
    primary_start(w->primary);
    start_replication(w);
    WAIT_FOR(status(w).is_disk_full);
    assert_int_equal(atomic_load(&w->primary->acks), 0);
    w->store->commit_rc = 0;
    WAIT_FOR(!status(w).is_disk_full);
    WAIT_FOR(published(w) == GROUPS);
    sl_upstream_free(w->upstream);
    unsigned acks = atomic_load(&w->primary->acks);
    start(w);
    WAIT_FOR(status(w).step == SL_UPSTREAM_STREAMING);
    assert_true(status(w).is_semi_sync);
    /* Nothing is left to send, but a commit may be waiting there: what is here is acknowledged. */
    WAIT_FOR(atomic_load(&w->primary->acks) > acks);
    assert_int_equal(ack_pos(w), w->stream.pos);
}

static void test_ack(void **state)
{
    struct world *w = *state;
    w->settings.rpl_semi_sync_slave_enabled = true;
    w->primary->has_semi_sync = true;
    primary_start(w->primary);
    start_replication(w);
    WAIT_FOR(ack_pos(w) == w->stream.pos);
    assert_int_equal(published(w), GROUPS);
    WAIT_FOR(status(w).acks_sent == atomic_load(&w->primary->acks));
}

/* The disk is full in the middle of a group: it waits, then goes on where it was. */
static void test_disk_full(void **state)
{
    struct world *w = *state;
    w->store->fail_add_at = 7;
    w->store->add_once_rc = SL_ELIMIT;
    w->primary->piece = 100;
    primary_start(w->primary);
    start_replication(w);
    WAIT_FOR(published(w) == GROUPS);
    check_groups(w, GROUPS);
    assert_int_equal(status(w).connects, 1);
    WAIT_FOR(!status(w).is_disk_full);
}

/* The store breaks: it is left, and everything is there after the next attempt. */
static void test_store_breaks(void **state)
{
    struct world *w = *state;
    w->store->fail_add_at = 7;
    w->store->add_once_rc = SL_ESYS;
    primary_start(w->primary);
    start_replication(w);
    WAIT_FOR(published(w) == GROUPS);
    check_groups(w, GROUPS);
    assert_int_equal(status(w).connects, 2);
}

static void expect_fault(struct world *w, unsigned code, const char *part)
{
    primary_start(w->primary);
    start_replication(w);
    WAIT_FOR(status(w).last_errno != 0);
    struct sl_upstream_status s = status(w);
    assert_int_equal(s.last_errno, code);
    assert_non_null(strstr(s.last_error, part));
    assert_null(strstr(s.last_error, "secret"));
    assert_int_equal(published(w), 0);
}

static bool shows(struct world *w, unsigned code, const char *part)
{
    struct sl_upstream_status s = status(w);
    return s.last_errno == code && strstr(s.last_error, part) != NULL;
}

/* With a net_timeout that is short for a busy machine: it may run out before, too. */
static void expect_fault_at_last(struct world *w, unsigned code, const char *part)
{
    primary_start(w->primary);
    start_replication(w);
    WAIT_FOR(shows(w, code, part));
    assert_int_equal(published(w), 0);
}

static void test_garbage(void **state)
{
    struct world *w = *state;
    w->primary->greeting =
        "\100\0\0\0HTTP/1.1 400 Bad Request\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    w->primary->greeting_len = 68;
    expect_fault(w, SL_ER_RELAY_CONNECT, "is it a MariaDB server");
}

static void test_huge_greeting(void **state)
{
    struct world *w = *state;
    w->primary->greeting = "HTTP/1.1 400";
    w->primary->greeting_len = 12;
    expect_fault(w, SL_ER_RELAY_CONNECT, "does not speak the MariaDB protocol");
}

static void test_half_greeting(void **state)
{
    struct world *w = *state;
    w->primary->greeting = "\100\0\0\0\12"
                           "10.11";
    w->primary->greeting_len = 10;
    expect_fault(w, SL_ER_RELAY_LOST, "closed");
}

static void test_host_blocked(void **state)
{
    struct world *w = *state;
    w->primary->greeting = "\15\0\0\0\377\151\4Too many!!";
    w->primary->greeting_len = 17;
    expect_fault(w, 1129, "Too many");
}

static void test_same_server_id(void **state)
{
    struct world *w = *state;
    w->primary->server_id = 4711;
    expect_fault(w, SL_ER_RELAY_FATAL, "server_id=4711");
    assert_int_equal(atomic_load(&w->primary->dumps), 0);
}

static void test_default_server_id(void **state)
{
    struct world *w = *state;
    w->settings.server_id = 1234;
    expect_fault(w, SL_ER_RELAY_FATAL, "server_id=1234");
    assert_int_equal(atomic_load(&w->primary->connections), 0);
}

static void test_denied(void **state)
{
    struct world *w = *state;
    w->primary->err_at = 12;
    w->primary->err_code = 1227;
    w->primary->err_text = "Access denied; you need (at least one of) the REPLICATION SLAVE";
    expect_fault(w, 1227, "REPLICATION SLAVE");
}

static void test_purged(void **state)
{
    struct world *w = *state;
    w->primary->err_at = 13; /* the dump */
    w->primary->err_code = 1236;
    w->primary->err_text = "Could not find GTID state requested by slave in any binlog files.";
    expect_fault(w, 1236, "Could not find GTID state");
}

/* Not answered: left after net_timeout. */
static void test_silent(void **state)
{
    struct world *w = *state;
    w->settings.net_timeout = 1000;
    w->primary->silent_at = 4;
    expect_fault_at_last(w, SL_ER_RELAY_LOST, "silent for more than net_timeout=1000 ms");
}

static void test_silent_stream(void **state)
{
    struct world *w = *state;
    w->settings.net_timeout = 1000;
    w->stream.count = 2;
    expect_fault_at_last(w, SL_ER_RELAY_LOST, "while streaming");
}

static void test_refused(void **state)
{
    struct world *w = *state;
    shutdown(w->primary->listening, SHUT_RDWR);
    expect_fault(w, SL_ER_RELAY_CONNECT, "Cannot connect");
}

static void forget_all(struct world *w)
{
    pthread_mutex_lock(&w->store->lock);
    w->store->published_count = 0;
    sl_gtid_list_clear(&w->store->state);
    pthread_mutex_unlock(&w->store->lock);
}

/* Or it has come back, again and again, until it had everything. */
static bool was_left(struct world *w)
{
    struct sl_upstream_status s = status(w);
    return (s.step == SL_UPSTREAM_WAITING && s.last_errno != 0) || published(w) == GROUPS;
}

/* The connection ends, by FIN or reset, within the stream; test_upstream_ingest.c does each byte. */
static void test_cut(void **state)
{
    struct world *w = *state;
    struct sl_buf wire = SL_BUF_INIT;
    stream_packets(&w->stream, 0, 1, &wire);
    size_t len = sl_buf_len(&wire);
    sl_buf_free(&wire);
    w->primary->cut_at = 0;
    primary_start(w->primary);
    start_replication(w);
    for (size_t cut = 0; cut < len; cut += 13) {
        assert_int_equal(ask(w, SL_UPSTREAM_STOP, NULL, NULL), SL_OK);
        forget_all(w);
        w->primary->cut_at = cut;
        assert_int_equal(ask(w, SL_UPSTREAM_START, NULL, NULL), SL_OK);
        WAIT_FOR(was_left(w));
        assert_int_equal(ask(w, SL_UPSTREAM_STOP, NULL, NULL), SL_OK);
        check_groups(w, published(w));
        assert_false(w->store->is_in_group);
    }
    assert_true(published(w) > 0);
    forget_all(w);
    w->primary->cut_at = 0;
    assert_int_equal(ask(w, SL_UPSTREAM_START, NULL, NULL), SL_OK);
    WAIT_FOR(was_left(w));
    w->primary->cut_at = NO_CUT; /* it comes back by itself */
    WAIT_FOR(published(w) == GROUPS);
    check_groups(w, GROUPS);
}

/* Damage in the stream is found, told, and asked for again. */
static void test_wrong_checksum(void **state)
{
    struct world *w = *state;
    stream_event(&w->stream, 8)[25] ^= 1; /* in the second group */
    primary_start(w->primary);
    start_replication(w);
    WAIT_FOR(status(w).last_errno == SL_ER_RELAY_READ);
    assert_non_null(strstr(status(w).last_error, "checksum"));
    check_groups(w, 1);
    assert_int_equal(ask(w, SL_UPSTREAM_STOP, NULL, NULL), SL_OK);
    stream_event(&w->stream, 8)[25] ^= 1;
    assert_int_equal(ask(w, SL_UPSTREAM_START, NULL, NULL), SL_OK);
    WAIT_FOR(published(w) == GROUPS);
    check_groups(w, GROUPS);
}

static void test_requests(void **state)
{
    struct world *w = *state;
    primary_start(w->primary);
    start(w);
    assert_int_equal(ask(w, SL_UPSTREAM_START, NULL, "MASTER_HOST"), SL_EINVAL);
    struct sl_upstream_target t = {.host = (char *)"127.0.0.1",
                                   .port = w->primary->port,
                                   .user = (char *)"repl",
                                   .password = (char *)"secret"};
    assert_int_equal(ask(w, SL_UPSTREAM_STOP, NULL, NULL), SL_OK);
    assert_int_equal(ask(w, SL_UPSTREAM_CHANGE, &t, NULL), SL_OK);
    struct sl_upstream_target got;
    assert_int_equal(sl_upstream_target_get(w->upstream, &got), SL_OK);
    assert_string_equal(got.password, "secret");
    sl_upstream_target_clear(&got);
    struct sl_upstream_status s;
    sl_upstream_status(w->upstream, &s);
    assert_null(s.target.password);
    assert_string_equal(s.target.host, "127.0.0.1");
    sl_upstream_target_clear(&s.target);
    assert_int_equal(ask(w, SL_UPSTREAM_START, NULL, NULL), SL_OK);
    assert_int_equal(ask(w, SL_UPSTREAM_START, NULL, NULL), SL_OK);
    assert_int_equal(ask(w, SL_UPSTREAM_CHANGE, &t, "STOP SLAVE"), SL_ESTATE);
    assert_int_equal(ask(w, SL_UPSTREAM_RESET, NULL, NULL), SL_ESTATE);
    assert_int_equal(ask(w, SL_UPSTREAM_RESET_LOG, NULL, "STOP SLAVE"), SL_ESTATE);
    assert_int_equal(ask_position(w, "7-1-3,9-1-1", "STOP SLAVE"), SL_ESTATE);
    assert_int_equal(w->store->requested, 0);
    WAIT_FOR(published(w) == GROUPS);
    assert_int_equal(ask(w, SL_UPSTREAM_STOP, NULL, NULL), SL_OK);
    assert_int_equal(ask(w, SL_UPSTREAM_RESET_LOG, NULL, NULL), SL_OK);
    assert_int_equal(published(w), 0);
    assert_int_equal(ask_position(w, "7-1-3,9-1-1", NULL), SL_OK);
    assert_int_equal(w->store->requested, 2);
    w->store->request_rc = SL_ESTATE;
    assert_int_equal(ask_position(w, "7-1-3", "already"), SL_EEXIST);
    w->store->request_rc = SL_OK;
    assert_int_equal(ask_position(w, NULL, NULL), SL_OK);
    assert_int_equal(w->store->requested, 0);
    assert_int_equal(ask(w, SL_UPSTREAM_START, NULL, NULL), SL_OK);
    WAIT_FOR(published(w) == GROUPS);
    assert_int_equal(ask(w, SL_UPSTREAM_STOP, NULL, NULL), SL_OK);
    assert_int_equal(ask(w, SL_UPSTREAM_RESET, NULL, NULL), SL_OK);
    assert_string_equal(status(w).master_file, "");
    assert_int_equal(ask(w, SL_UPSTREAM_RESET_ALL, NULL, NULL), SL_OK);
    assert_int_equal(ask(w, SL_UPSTREAM_START, NULL, "MASTER_HOST"), SL_EINVAL);
}

static void test_bad_name(void **state)
{
    struct world *w = *state;
    primary_start(w->primary);
    start(w);
    struct sl_upstream_target t = {.host = (char *)"no-such-host.invalid",
                                   .port = 1,
                                   .user = (char *)"repl",
                                   .password = (char *)""};
    assert_int_equal(ask(w, SL_UPSTREAM_CHANGE, &t, NULL), SL_OK);
    assert_int_equal(ask(w, SL_UPSTREAM_START, NULL, NULL), SL_OK);
    WAIT_FOR(status(w).last_errno == SL_ER_RELAY_CONNECT);
    t.host = (char *)"localhost";
    t.port = w->primary->port;
    assert_int_equal(ask(w, SL_UPSTREAM_STOP, NULL, NULL), SL_OK);
    assert_int_equal(ask(w, SL_UPSTREAM_CHANGE, &t, NULL), SL_OK);
    assert_int_equal(ask(w, SL_UPSTREAM_START, NULL, NULL), SL_OK);
    WAIT_FOR(published(w) == GROUPS || status(w).last_errno != 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_all),
        TEST(test_restart_goes_on),
        TEST(test_numbers_go_back),
        TEST(test_byte_by_byte),
        TEST(test_ed25519),
        TEST(test_no_checksum),
        TEST(test_semi_sync),
        TEST(test_ack),
        TEST(test_disk_full),
        TEST(test_store_breaks),
        TEST(test_garbage),
        TEST(test_huge_greeting),
        TEST(test_half_greeting),
        TEST(test_host_blocked),
        TEST(test_same_server_id),
        TEST(test_default_server_id),
        TEST(test_denied),
        TEST(test_purged),
        TEST(test_silent),
        TEST(test_silent_stream),
        TEST(test_refused),
        TEST(test_cut),
        TEST(test_wrong_checksum),
        TEST(test_requests),
        TEST(test_bad_name),
    };
    struct sl_log_config quiet = {.path = "/dev/null", .to_file = true, .level_mask = UINT32_MAX};
    struct sl_err err = SL_ERR_INIT;
    sl_log_open(&quiet, &err);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
