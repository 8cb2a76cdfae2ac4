/* SPDX-License-Identifier: Apache-2.0 */
/* Servers: state text, predicates, creation, addresses, histogram. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "base/assert.h"
#include "base/mem.h"
#include "core/server.h"

#define R SL_SERVER_RUNNING
#define M SL_SERVER_MASTER
#define S SL_SERVER_SLAVE
#define J SL_SERVER_JOINED

static void test_state_text(void **state)
{
    static const struct {
        uint32_t status, connections;
        const char *text;
    } rows[] = {
        {0, 0, "Down"},
        {R, 0, "Running"},
        {R | M, 0, "Master, Running"},
        {R | S, 0, "Slave, Running"},
        {R | M | J, 0, "Master, Synced, Running"},
        {R | S | J, 0, "Slave, Synced, Running"},
        {R | M | S, 0, "Master, Running"},
        {R | SL_SERVER_RELAY | S, 0, "Relay Master, Slave, Running"},
        {R | S | SL_SERVER_BLR, 0, "Slave, Binlog Relay, Running"},
        {R | SL_SERVER_MAINT | M | J, 0, "Maintenance, Running"},
        {SL_SERVER_MAINT, 0, "Maintenance, Down"},
        {R | S | SL_SERVER_DRAINING, 3, "Draining, Slave, Running"},
        {R | S | SL_SERVER_DRAINING, 0, "Drained, Slave, Running"},
        {SL_SERVER_AUTH_ERROR, 0, "Auth Error, Down"},
        {M | J, 0, "Down"},
        {R | SL_SERVER_NEED_DNS, 0, "Need DNS lookup, Running"},
        {R | SL_SERVER_MAINT | SL_SERVER_DRAINING, 1, "Maintenance, Running"},
        {R | SL_SERVER_DISK_FULL, 0, "Running"},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        char text[128];
        sl_status_text(rows[i].status, rows[i].connections, text, sizeof(text));
        assert_string_equal(text, rows[i].text);
    }
    char small[8];
    sl_status_text(R | M | J, 0, small, sizeof(small));
    assert_string_equal(small, "Master,");
}

static void test_predicates(void **state)
{
    assert_true(sl_status_is_usable(R));
    assert_false(sl_status_is_usable(R | SL_SERVER_MAINT));
    assert_false(sl_status_is_usable(M));
    assert_false(sl_status_is_connectable(R | SL_SERVER_DRAINING));
    assert_false(sl_status_is_connectable(R | SL_SERVER_NEED_DNS));
    assert_true(sl_status_is_master(R | M | SL_SERVER_DRAINING));
    assert_false(sl_status_is_master(M));
    assert_false(sl_status_is_slave(R | S | SL_SERVER_MAINT));
    assert_true(sl_status_is_joined(R | J));
    assert_true(sl_status_is_relay(R | SL_SERVER_RELAY));
}

static struct sl_server *make(const char *address, const char *socket)
{
    struct sl_server_settings settings = {0};
    struct sl_server *s = NULL;
    sl_settings_defaults(&sl_settings_server, &settings);
    sl_free(settings.address);
    settings.address = sl_strdup(address);
    settings.socket = sl_strdup(socket);
    settings.port = 3307;
    assert_int_equal(sl_server_new("db1", &settings, 4, 3, &s, NULL), 0);
    sl_settings_clear(&sl_settings_server, &settings); /* the server has its own copy */
    return s;
}

static void test_new_and_change(void **state)
{
    struct sl_server *s = make("127.0.0.1", NULL);
    assert_string_equal(s->name, "db1");
    assert_string_equal(s->settings.address, "127.0.0.1");
    assert_int_equal(s->index, 4);
    assert_int_equal(sl_server_status(s), 0);
    assert_int_equal((uintptr_t)s->counters % 64, 0);
    assert_int_equal(sl_server_status_change(s, R | M, 0), 0);
    assert_int_equal(sl_server_status_change(s, S, M), R | M);
    assert_int_equal(sl_server_status(s), R | S);
    atomic_store(&s->counters[0].connections, 2);
    atomic_store(&s->counters[2].connections, 3);
    atomic_store(&s->counters[1].operations, 1);
    assert_int_equal(sl_server_connections(s), 5);
    assert_int_equal(sl_server_operations(s), 1);
    sl_server_free(s);
    sl_server_free(NULL);
}

static void test_info(void **state)
{
    struct sl_server *s = make("127.0.0.1", NULL);
    struct sl_server_info info;
    sl_server_info_get(s, &info);
    assert_int_equal(info.lag_s, SL_SERVER_LAG_UNKNOWN);
    assert_int_equal(info.server_id, -1);
    info.lag_s = 7;
    info.ping_us = 99;
    sl_server_info_set(s, &info);
    assert_int_equal(atomic_load(&s->lag_s), 7);
    assert_int_equal(atomic_load(&s->ping_us), 99);
    sl_server_free(s);
}

static void test_resolve(void **state)
{
    struct sockaddr_storage addr;
    socklen_t len;
    struct sl_server *s = make("127.0.0.9", NULL);
    assert_int_equal(sl_server_resolve(s, NULL), 0);
    sl_server_address(s, &addr, &len);
    const struct sockaddr_in *in = (const void *)&addr;
    assert_int_equal(in->sin_port, htons(3307));
    assert_int_equal(in->sin_addr.s_addr, inet_addr("127.0.0.9"));
    sl_server_free(s);

    s = make(NULL, "/run/db.sock");
    assert_int_equal(sl_server_resolve(s, NULL), 0);
    sl_server_address(s, &addr, &len);
    assert_string_equal(((const struct sockaddr_un *)(const void *)&addr)->sun_path,
                        "/run/db.sock");
    sl_server_free(s);
}

static void test_resolve_failures(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_server *s = make("no such name", NULL);
    assert_int_equal(sl_server_resolve(s, &err), SL_ENOENT);
    assert_non_null(strstr(err.text, "no such name"));
    assert_true(sl_server_status(s) & SL_SERVER_NEED_DNS);
    sl_server_free(s);

    char path[200];
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    s = make(NULL, path);
    assert_int_equal(sl_server_resolve(s, &err), SL_EINVAL);
    sl_server_free(s);
}

static void test_out_of_memory(void **state)
{
    struct sl_server_settings settings = {0};
    sl_settings_defaults(&sl_settings_server, &settings);
    sl_free(settings.address);
    settings.address = sl_strdup("127.0.0.1");
    for (uint64_t n = 1;; n++) {
        struct sl_server *s = NULL;
        sl_mem_fail_after(n);
        int rc = sl_server_new("db1", &settings, 0, 1, &s, NULL);
        sl_mem_fail_after(0);
        if (rc == 0) {
            sl_server_free(s);
            break;
        }
        assert_int_equal(rc, SL_ENOMEM);
    }
    sl_settings_clear(&sl_settings_server, &settings);
}

static void test_histogram(void **state)
{
    struct sl_histogram h = {0};
    sl_histogram_add(&h, 1);
    sl_histogram_add(&h, 2);
    sl_histogram_add(&h, 10);
    sl_histogram_add(&h, 11);
    sl_histogram_add(&h, UINT64_MAX / 2);
    assert_int_equal(atomic_load(&h.count[0]), 1);
    assert_int_equal(atomic_load(&h.count[1]), 2);
    assert_int_equal(atomic_load(&h.total_us[1]), 12);
    assert_int_equal(atomic_load(&h.count[2]), 1);
    assert_int_equal(atomic_load(&h.count[SL_HISTOGRAM_BUCKETS - 1]), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_text),     cmocka_unit_test(test_predicates),
        cmocka_unit_test(test_new_and_change), cmocka_unit_test(test_info),
        cmocka_unit_test(test_resolve),        cmocka_unit_test(test_resolve_failures),
        cmocka_unit_test(test_out_of_memory),  cmocka_unit_test(test_histogram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
