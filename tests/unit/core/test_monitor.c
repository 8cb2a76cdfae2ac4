/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor frame with a module of its own: rounds, stale answers, publishing, wishes, events,
 * journal, stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "core/journal.h"
#include "core/monitor.h"

enum {
    SERVERS = 3,
    DEADLINE_MS = 5000, /* of a round */
    R = SL_SERVER_RUNNING,
    M = SL_SERVER_MASTER,
    S = SL_SERVER_SLAVE,
    J = SL_SERVER_JOINED
};

/* ---- the module: each server's probe takes as long as the test wants; the tick publishes what
 * the test wants */

static _Atomic uint32_t probe_ms[SERVERS];
static _Atomic unsigned probes[SERVERS];
static _Atomic uint32_t wanted[SERVERS];
static _Atomic bool answered[SERVERS];
static _Atomic unsigned changes;

static int fake_new(struct sl_monitor *m, void **ret, struct sl_err *err)
{
    *ret = &probe_ms;
    return SL_OK;
}

static void fake_free(void *instance)
{
}

static void fake_probe(struct sl_monitor *m, void *instance, unsigned i)
{
    uint64_t start_ms = sl_clock_mono_ms();
    atomic_fetch_add(&probes[i], 1);
    while (sl_clock_mono_ms() - start_ms < atomic_load(&probe_ms[i]) &&
           !sl_monitor_is_stopping(m)) {
        usleep(1000);
    }
}

static void fake_tick(struct sl_monitor *m, void *instance, uint64_t now_ms)
{
    unsigned masters = 0;
    for (unsigned i = 0; i < SERVERS; i++) {
        atomic_store(&answered[i], sl_monitor_probe_answered(m, i));
        sl_monitor_publish(m, i, atomic_load(&answered[i]) ? atomic_load(&wanted[i]) : 0, NULL);
        sl_monitor_explain(m, i, "as the test wants");
        masters += (sl_server_status(sl_monitor_server(m, i)) & M) != 0;
    }
    assert_true(masters <= 1);
}

static int fake_check(struct sl_monitor *m, void *instance, unsigned i, uint32_t set,
                      struct sl_err *err)
{
    return (set & SL_SERVER_DRAINING) && i == 0 ? sl_err_set(err, SL_ESTATE, "not this one")
                                                : SL_OK;
}

static const struct sl_monitor_ops fake_ops = {.instance_new = fake_new,
                                               .instance_free = fake_free,
                                               .tick = fake_tick,
                                               .probe = fake_probe,
                                               .admin_check = fake_check};
static const struct sl_module fake_module = {.name = "fake",
                                             .kind = SL_MODULE_MONITOR,
                                             .settings = &sl_settings_galeramon,
                                             .ops = &fake_ops};

static struct sl_server *servers[SERVERS];
static struct sl_monitor *monitor;
static struct sl_monitor_settings settings;
static struct sl_galeramon_settings module_settings;
static char dir[64];

static void on_change(void *arg)
{
    atomic_fetch_add(&changes, 1);
}

static void make_monitor(bool load_journal)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_monitor_config config = {
        .name = "m",
        .module = &fake_module,
        .settings = &settings,
        .module_settings = &module_settings,
        .servers = servers,
        .server_count = SERVERS,
        .datadir = dir,
        .load_journal = load_journal,
        .on_change = on_change,
    };
    assert_int_equal(sl_monitor_new(&config, &monitor, &err), 0);
}

static int set_up(void **state)
{
    strcpy(dir, "/tmp/monitor.XXXXXX");
    assert_non_null(mkdtemp(dir));
    memset(&settings, 0, sizeof(settings));
    sl_settings_defaults(&sl_settings_monitor, &settings);
    sl_settings_defaults(&sl_settings_galeramon, &module_settings);
    settings.monitor_interval = 600000; /* a tick that nobody asks for comes too late */
    settings.backend_connect_timeout = DEADLINE_MS;
    settings.backend_read_timeout = DEADLINE_MS;
    for (unsigned i = 0; i < SERVERS; i++) {
        struct sl_server_settings ss = {0};
        char name[8];
        snprintf(name, sizeof(name), "db%u", i);
        sl_settings_defaults(&sl_settings_server, &ss);
        assert_int_equal(sl_server_new(name, &ss, i, 1, &servers[i], NULL), 0);
        sl_settings_clear(&sl_settings_server, &ss);
        atomic_store(&probe_ms[i], 0);
        atomic_store(&probes[i], 0);
        atomic_store(&wanted[i], (uint32_t)(R | J | (i == 0 ? M : S)));
    }
    make_monitor(true);
    return 0;
}

static int tear_down(void **state)
{
    char path[128];
    sl_monitor_free(monitor);
    for (unsigned i = 0; i < SERVERS; i++) {
        sl_server_free(servers[i]);
    }
    sl_settings_clear(&sl_settings_monitor, &settings);
    snprintf(path, sizeof(path), "%s/m_journal.json", dir);
    unlink(path);
    return rmdir(dir);
}

static void start(void)
{
    assert_int_equal(sl_monitor_start(monitor, NULL), 0);
    assert_int_equal(sl_monitor_wait_tick(monitor, 60000), 0);
}

static void test_publishes(void **state)
{
    unsigned before = atomic_load(&changes);
    start();
    assert_int_equal(sl_server_status(servers[0]), R | J | M);
    assert_int_equal(sl_server_status(servers[2]), R | J | S);
    assert_true(atomic_load(&changes) > before);
    struct sl_server_info info;
    sl_server_info_get(servers[0], &info);
    assert_string_equal(info.last_event, "master_up");
    assert_true(info.is_monitored && info.triggered_at_s > 0);

    atomic_store(&wanted[0], (uint32_t)(R | J | S));
    atomic_store(&wanted[1], (uint32_t)(R | J | M));
    assert_int_equal(sl_monitor_wait_tick(monitor, 60000), 0);
    assert_int_equal(sl_server_status(servers[0]), R | J | S);
    assert_int_equal(sl_server_status(servers[1]), R | J | M);
    sl_server_info_get(servers[1], &info);
    assert_string_equal(info.last_event, "new_master");
}

/* A frozen server costs its deadline once; later rounds do not wait for it, and its late answer
 * is no answer. */
static void test_frozen_server_delays_once(void **state)
{
    start();
    atomic_store(&probe_ms[1], 600000);
    uint64_t start_ms = sl_clock_mono_ms();
    assert_int_equal(sl_monitor_wait_tick(monitor, 60000), 0);
    uint64_t first_ms = sl_clock_mono_ms() - start_ms;
    assert_in_range(first_ms, DEADLINE_MS - 1, 60000);
    assert_false(atomic_load(&answered[1]));
    assert_true(atomic_load(&answered[0]));
    assert_int_equal(sl_server_status(servers[1]), 0);

    unsigned asked = atomic_load(&probes[1]);
    uint64_t quickest_ms = UINT64_MAX; /* of some: one may meet a pause of the machine */
    for (unsigned i = 0; i < 5; i++) {
        start_ms = sl_clock_mono_ms();
        assert_int_equal(sl_monitor_wait_tick(monitor, 60000), 0);
        quickest_ms = SL_MIN(quickest_ms, sl_clock_mono_ms() - start_ms);
    }
    assert_true(quickest_ms < DEADLINE_MS);
    assert_int_equal(atomic_load(&probes[1]), asked); /* it is not asked again while it hangs */
    assert_false(atomic_load(&answered[1]));

    atomic_store(&probe_ms[1], 0);
    start_ms = sl_clock_mono_ms();
    while (sl_server_status(servers[1]) == 0 && sl_clock_mono_ms() - start_ms < 60000) {
        /* the end of the hanging probe asks for a tick by itself */
        usleep(5000);
    }
    assert_int_equal(sl_server_status(servers[1]), R | J | S);
}

static void test_stop_is_prompt(void **state)
{
    uint64_t quickest_ms = UINT64_MAX; /* of some: one may meet a pause of the machine */
    for (unsigned i = 0; i < 5; i++) {
        start();
        unsigned asked = atomic_load(&probes[0]);
        atomic_store(&probe_ms[0], 600000);
        sl_monitor_request_tick(monitor);
        while (atomic_load(&probes[0]) == asked) {
            usleep(1000);
        }
        uint64_t start_ms = sl_clock_mono_ms();
        sl_monitor_stop(monitor);
        quickest_ms = SL_MIN(quickest_ms, sl_clock_mono_ms() - start_ms);
        assert_false(sl_monitor_is_running(monitor));
        sl_monitor_stop(monitor);
        atomic_store(&probe_ms[0], 0);
    }
    assert_true(quickest_ms < 500); /* neither the probe's end nor the round's */
    start();                        /* and it starts again */
    assert_int_equal(sl_server_status(servers[0]), R | J | M);
}

static void test_ticks_pause(void **state)
{
    start();
    uint64_t before = sl_monitor_ticks(monitor);
    uint64_t start_ms = sl_clock_mono_ms();
    while (sl_clock_mono_ms() - start_ms < 1000 || sl_monitor_ticks(monitor) - before < 2) {
        sl_monitor_request_tick(monitor); /* however often it is asked for */
        usleep(1000);
    }
    uint64_t ticks = sl_monitor_ticks(monitor) - before;
    assert_in_range(ticks, 2, (sl_clock_mono_ms() - start_ms) / 100 + 1);
}

static void test_admin(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    start();
    uint64_t start_ms = sl_clock_mono_ms();
    assert_int_equal(sl_monitor_admin_set(monitor, servers[0], SL_SERVER_MAINT, 0, &err), 0);
    assert_in_range(sl_clock_mono_ms() - start_ms, 0, 60000);
    assert_true(sl_server_status(servers[0]) & SL_SERVER_MAINT);
    assert_int_equal(sl_monitor_admin_set(monitor, servers[0], 0, SL_SERVER_MAINT, &err), 0);
    assert_false(sl_server_status(servers[0]) & SL_SERVER_MAINT);
    assert_int_equal(sl_monitor_admin_set(monitor, servers[1], SL_SERVER_DRAINING, 0, &err), 0);
    assert_int_equal(sl_monitor_admin_set(monitor, servers[0], SL_SERVER_DRAINING, 0, &err),
                     SL_ESTATE);
    assert_int_equal(sl_monitor_admin_set(monitor, servers[0], SL_SERVER_MASTER, 0, &err),
                     SL_ESTATE);
    sl_monitor_stop(monitor);
    assert_int_equal(sl_monitor_admin_set(monitor, servers[1], 0, SL_SERVER_DRAINING, &err), 0);
    assert_false(sl_server_status(servers[1]) & SL_SERVER_DRAINING);
    struct sl_server stranger = {.name = (char *)"x"};
    assert_int_equal(sl_monitor_admin_set(monitor, &stranger, SL_SERVER_MAINT, 0, &err), SL_ENOENT);
}

static void test_journal_is_written_and_used(void **state)
{
    start();
    assert_int_equal(sl_monitor_admin_set(monitor, servers[2], SL_SERVER_MAINT, 0, NULL), 0);
    sl_monitor_free(monitor);
    for (unsigned i = 0; i < SERVERS; i++) {
        sl_server_status_change(servers[i], 0, UINT32_MAX);
        atomic_store(&probe_ms[i], 300);
    }
    make_monitor(true);
    assert_int_equal(sl_monitor_start(monitor, NULL), 0);
    assert_int_equal(sl_server_status(servers[0]), R | J | M); /* before any probe answered */
    assert_int_equal(sl_server_status(servers[2]), R | J | S | SL_SERVER_MAINT);
    assert_int_equal(sl_monitor_wait_tick(monitor, 60000), 0);
}

static void test_foreign_journal_is_refused(void **state)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/m_journal.json", dir);
    FILE *f = fopen(path, "w");
    fputs("{\"module\": \"fake\", \"maxscale_version\": 240204, \"timest", f);
    fclose(f);
    start();
    assert_int_equal(sl_server_status(servers[0]), R | J | M);
}

static void test_wait_without_threads(void **state)
{
    assert_int_equal(sl_monitor_wait_tick(monitor, 1000), SL_ESTATE);
    assert_int_equal(sl_monitor_server_count(monitor), SERVERS);
    assert_string_equal(sl_monitor_name(monitor), "m");
    assert_int_equal(sl_monitor_ticks(monitor), 0);
}

static void test_event_names(void **state)
{
    static const struct {
        uint32_t before, after;
        const char *name;
    } rows[] = {
        {0, R | M | J, "master_up"},
        {0, R | S | J, "slave_up"},
        {0, R | J, "synced_up"},
        {0, R, "server_up"},
        {R | M | J, 0, "master_down"},
        {R | S, 0, "slave_down"},
        {R, 0, "server_down"},
        {R | J, 0, "synced_down"},
        {R | M | J, R, "lost_master"},
        {R | S | J, R, "lost_slave"},
        {R | S | J, R | M | J, "new_master"},
        {R | M | J, R | S | J, "new_slave"},
        {R, R | S | J, "new_slave"},
        {R, R | J, "new_synced"},
        {R | M | J, R | M, "lost_master"},
        {R | SL_SERVER_RELAY, R, "lost_relay"},
        {R, R | SL_SERVER_BLR, "new_blr"},
        {R, R, NULL},
        {0, M, NULL},
        {R | M, R | M | SL_SERVER_MAINT, NULL},
        {R | SL_SERVER_MAINT, R, NULL},
        {R, R | SL_SERVER_DRAINING, NULL},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        const char *name = sl_monitor_event_name(rows[i].before, rows[i].after);
        if (rows[i].name) {
            assert_non_null(name);
            assert_string_equal(name, rows[i].name);
        } else {
            assert_null(name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_names),
        cmocka_unit_test_setup_teardown(test_publishes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_frozen_server_delays_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stop_is_prompt, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ticks_pause, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_admin, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_journal_is_written_and_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_foreign_journal_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wait_without_threads, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
