/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prepared statements: slots and their reuse, generations, replies to PREPARE that come too late.
 * What goes over the wire is in tests/unit/core/test_session.c; here the backends are connected to
 * nothing and drop what is written.
 */
#include "rws_fixture.h"

#include "net/loop.h"
#include "proto/constants.h"

static struct sl_worker worker;
static const struct sl_conn_ops no_ops = {.name = "none"};

static int setup_backends(void **state)
{
    int rc = setup(state);
    struct fixture *f = *state;
    struct sl_err err = SL_ERR_INIT;
    struct sl_loop_config config = {.name = "test", .flush_mode = SL_FLUSH_SEND};
    assert_int_equal(sl_loop_new(&config, &worker.loop, &err), 0);
    f->session->worker = &worker;
    for (unsigned i = 0; i < COUNT; i++) {
        struct sl_backend *b = &f->backends[i];
        connect_to(f, i);
        sl_conn_init(&b->conn, worker.loop, &no_ops); /* closed: what is written is dropped */
        b->queue = b->inline_queue;
        b->queue_capacity = SL_BACKEND_QUEUE_INLINE;
    }
    return rc;
}

static int teardown_backends(void **state)
{
    int rc = teardown(state);
    sl_loop_free(worker.loop);
    return rc;
}

static uint64_t packets(const struct fixture *f, unsigned i)
{
    return atomic_load(&f->servers[i]->counters[0].routed_packets);
}

static uint32_t open_stmt(struct fixture *f, uint32_t type)
{
    struct sl_sql_info info = {.type = type};
    return rws_stmt_open(&f->r, &info);
}

static void reply(struct fixture *f, unsigned i, uint32_t id, uint16_t params, uint32_t tag)
{
    struct sl_reply r = {
        .kind = SL_REPLY_KIND_OK, .command = SL_COM_STMT_PREPARE, .stmt_id = id, .params = params};
    rws_stmt_prepared(&f->r, &f->backends[i], &r, tag);
}

static void test_slots(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 1; i <= 100; i++) {
        assert_int_equal(open_stmt(f, SL_SQL_READ), i);
    }
    rws_stmt_close(&f->r, 40);
    assert_null(rws_stmt_get(&f->r, 40));
    assert_non_null(rws_stmt_get(&f->r, 41));
    assert_int_equal(open_stmt(f, SL_SQL_WRITE), 40);
    assert_int_equal(rws_stmt_get(&f->r, 40)->type, SL_SQL_WRITE);
    assert_int_equal(open_stmt(f, SL_SQL_READ), 101);
    assert_null(rws_stmt_get(&f->r, 0));
    assert_null(rws_stmt_get(&f->r, 102));
    assert_null(rws_stmt_get(&f->r, 0xFFFFFFFE));
    assert_int_equal(rws_stmt_slot(&f->r, rws_stmt_get(&f->r, 101)), 101);
}

static void test_last(void **state)
{
    struct fixture *f = *state;
    assert_null(rws_stmt_get(&f->r, SL_STMT_ID_LAST));
    f->r.last_slot = open_stmt(f, SL_SQL_READ);
    assert_ptr_equal(rws_stmt_get(&f->r, SL_STMT_ID_LAST), rws_stmt_get(&f->r, 1));
    rws_stmt_close(&f->r, 1);
    assert_null(rws_stmt_get(&f->r, SL_STMT_ID_LAST));
}

static void test_ids_by_server(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = open_stmt(f, SL_SQL_READ), tag = rws_stmt_tag(&f->r, slot);
    assert_true(tag & RWS_TAG_PREPARE);
    assert_false(rws_backend_knows(&f->backends[0], slot));
    reply(f, 0, 11, 2, tag);
    reply(f, 1, 22, 2, tag);
    assert_true(rws_backend_knows(&f->backends[0], slot));
    assert_false(rws_backend_knows(&f->backends[2], slot));
    assert_int_equal(f->backends[1].stmts[slot - 1].id, 22);
    assert_int_equal(rws_stmt_get(&f->r, slot)->params, 2);
    struct sl_reply err = {
        .kind = SL_REPLY_KIND_ERR, .command = SL_COM_STMT_PREPARE, .error_code = 1146};
    rws_stmt_prepared(&f->r, &f->backends[2], &err, tag);
    assert_false(rws_backend_knows(&f->backends[2], slot));
    rws_stmt_close(&f->r, slot); /* told to the two that know it */
    assert_int_equal(packets(f, 0) + packets(f, 1) + packets(f, 2) + packets(f, 3), 2);
    assert_false(rws_backend_knows(&f->backends[0], slot));
}

/* The reply comes when the statement is closed, when its slot belongs to another, after a reset of
 * the connection. */
static void test_stale_replies(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = open_stmt(f, SL_SQL_READ), old = rws_stmt_tag(&f->r, slot);
    rws_stmt_close(&f->r, slot);
    reply(f, 1, 22, 0, old);
    assert_false(rws_backend_knows(&f->backends[1], slot));
    assert_int_equal(packets(f, 1), 1); /* closed over there at once */
    assert_int_equal(open_stmt(f, SL_SQL_READ), slot);
    uint32_t next = rws_stmt_tag(&f->r, slot);
    assert_int_not_equal(old, next);
    reply(f, 1, 22, 0, old);
    assert_false(rws_backend_knows(&f->backends[1], slot));
    reply(f, 1, 23, 0, next);
    assert_int_equal(f->backends[1].stmts[slot - 1].id, 23);
    rws_stmts_free(&f->r);
    reply(f, 2, 24, 0, next);
    assert_int_equal(open_stmt(f, SL_SQL_READ), slot);
    assert_int_not_equal(rws_stmt_tag(&f->r, slot), next);
    reply(f, 2, 24, 0, next);
    assert_false(rws_backend_knows(&f->backends[2], slot));
}

static void test_prepared_twice(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = open_stmt(f, SL_SQL_READ), tag = rws_stmt_tag(&f->r, slot);
    reply(f, 0, 11, 0, tag);
    reply(f, 0, 12, 0, tag); /* after a retry: the first one is closed */
    assert_int_equal(f->backends[0].stmts[slot - 1].id, 12);
    assert_int_equal(packets(f, 0), 1);
}

static void test_out_of_memory(void **state)
{
    struct fixture *f = *state;
    sl_mem_fail_after(1);
    assert_int_equal(open_stmt(f, SL_SQL_READ), 0);
    sl_mem_fail_after(0);
    uint32_t slot = open_stmt(f, SL_SQL_READ);
    sl_mem_fail_after(1);
    reply(f, 0, 11, 0, rws_stmt_tag(&f->r, slot));
    sl_mem_fail_after(0);
    assert_false(rws_backend_knows(&f->backends[0], slot)); /* and closed over there */
    assert_int_equal(packets(f, 0), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup_backends, teardown_backends)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_slots),         T(test_last),           T(test_ids_by_server),
        T(test_stale_replies), T(test_prepared_twice), T(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
