/* SPDX-License-Identifier: Apache-2.0 */
/* Settings that change while the relay runs: what several change at once, and what that does to the
 * connection to the primary. */
#include "upstream_world.h"

#include "conf/settings.h"
#include "router/binlog/config.h"
#include "router/binlog/tune.h"

#define TABLE (&sl_settings_binlogrouter)

static struct sl_store_tuning store_tuning;
static uint64_t remember_ms;

void sl_store_tune(struct sl_store *s, const struct sl_store_tuning *t)
{
    store_tuning = *t;
}

void sl_replicas_tune(struct sl_replicas *r, uint64_t ms)
{
    remember_ms = ms;
}

/* config.c, which has a test of its own, in short. */
int sl_relay_settings_check(const struct sl_binlog_settings *t, struct sl_err *err)
{
    bool is_wrong = t->expiration_mode == SL_BINLOG_ARCHIVE && !t->archivedir;
    return is_wrong ? sl_err_set(err, SL_EINVAL, "no archivedir") : SL_OK;
}

void sl_relay_tuning(const struct sl_binlog_settings *t, struct sl_store_tuning *ret)
{
    *ret = (struct sl_store_tuning){.minimum_files = (unsigned)t->expire_log_minimum_files};
}

static int setup_relay(void **state)
{
    setup(state);
    struct world *w = *state;
    sl_settings_defaults(TABLE, &w->relay.in_force);
    w->relay.in_force.net_timeout = w->settings.net_timeout;
    pthread_mutex_init(&w->relay.lock, NULL);
    pthread_mutex_init(&w->relay.tuning, NULL);
    primary_start(w->primary);
    start_replication(w);
    w->relay.upstream = w->upstream;
    WAIT_FOR(published(w) == GROUPS);
    return 0;
}

static int teardown_relay(void **state)
{
    struct world *w = *state;
    sl_settings_clear(TABLE, &w->relay.in_force);
    pthread_mutex_destroy(&w->relay.lock);
    pthread_mutex_destroy(&w->relay.tuning);
    return teardown(state);
}

struct change {
    struct sl_binlog_settings from, to;
};

static struct change begin(struct world *w)
{
    struct change c = {.to = {0}};
    assert_int_equal(sl_relay_in_force(&w->relay, &c.from), SL_OK);
    assert_int_equal(sl_settings_copy(TABLE, &c.to, &c.from), SL_OK);
    return c;
}

static int end(struct world *w, struct change *c)
{
    struct sl_err err = SL_ERR_INIT;
    int rc = sl_relay_tune(&w->relay, &c->from, &c->to, &err);
    sl_settings_clear(TABLE, &c->from);
    sl_settings_clear(TABLE, &c->to);
    return rc;
}

/* Both began with the same settings: neither takes back what the other has set. */
static void test_two_at_once(void **state)
{
    struct world *w = *state;
    struct change a = begin(w), b = begin(w);
    a.to.expire_log_minimum_files = 7;
    a.to.replica_retention = 1000;
    b.to.gtid_ahead_timeout = 77;
    b.to.sync_binlog = false;
    assert_int_equal(end(w, &a), SL_OK);
    assert_int_equal(end(w, &b), SL_OK);
    const struct sl_binlog_settings *now = &w->relay.in_force;
    assert_int_equal(now->expire_log_minimum_files, 7);
    assert_int_equal(now->replica_retention, 1000);
    assert_int_equal(now->gtid_ahead_timeout, 77);
    assert_false(now->sync_binlog);
    assert_int_equal(remember_ms, 1000);
    assert_int_equal(store_tuning.minimum_files, 7);
    assert_int_equal(atomic_load(&w->relay.ahead_timeout_ms), 77);
    assert_int_equal(status(w).connects, 1); /* none of them is of the primary's connection */
}

/* What does not go together with what is in force is refused as a whole; what may not change while
 * it runs does not. */
static void test_refused(void **state)
{
    struct world *w = *state;
    struct change a = begin(w);
    a.to.expiration_mode = SL_BINLOG_ARCHIVE;
    a.to.expire_log_minimum_files = 9;
    assert_int_equal(end(w, &a), SL_EINVAL);
    assert_int_not_equal(w->relay.in_force.expire_log_minimum_files, 9);
    a = begin(w);
    a.to.server_id = 12;
    a.to.select_master = true;
    assert_int_equal(end(w, &a), SL_OK);
    assert_int_not_equal(w->relay.in_force.server_id, 12);
    assert_false(w->relay.in_force.select_master);
}

/* What the primary was told is told anew. */
static void test_of_the_connection(void **state)
{
    struct world *w = *state;
    struct change a = begin(w);
    a.to.net_timeout = 90000;
    assert_int_equal(end(w, &a), SL_OK);
    WAIT_FOR(status(w).connects == 2 && status(w).step == SL_UPSTREAM_STREAMING);
    assert_int_equal(status(w).heartbeat_period_ms, 30000);
    assert_int_equal(status(w).last_errno, 0);
    a = begin(w);
    a.to.ddl_only = true;
    assert_int_equal(end(w, &a), SL_OK);
    WAIT_FOR(status(w).connects == 3 && status(w).step == SL_UPSTREAM_STREAMING);
    check_groups(w, GROUPS);
    /* While it is stopped it stays so, and the next START uses it. */
    assert_int_equal(ask(w, SL_UPSTREAM_STOP, NULL, NULL), SL_OK);
    a = begin(w);
    a.to.net_timeout = 66000;
    assert_int_equal(end(w, &a), SL_OK);
    assert_int_equal(ask(w, SL_UPSTREAM_RESET, NULL, NULL), SL_OK); /* behind it in the queue */
    assert_int_equal(status(w).step, SL_UPSTREAM_STOPPED);
    assert_int_equal(ask(w, SL_UPSTREAM_START, NULL, NULL), SL_OK);
    WAIT_FOR(status(w).connects == 4 && status(w).heartbeat_period_ms == 22000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_relay, teardown_relay)
    const struct CMUnitTest tests[] = {
        TEST(test_two_at_once),
        TEST(test_refused),
        TEST(test_of_the_connection),
    };
    struct sl_log_config quiet = {.path = "/dev/null", .to_file = true, .level_mask = UINT32_MAX};
    struct sl_err err = SL_ERR_INIT;
    sl_log_open(&quiet, &err);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
