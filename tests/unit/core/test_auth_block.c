/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts with failed logins: counting, blocking, forgetting, and the bound on what an attacker can
 * make us keep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/log.h"
#include "core/auth_block.h"
#include "core/core.h"

struct fixture {
    struct sl_config config;
    struct sl_core core;
    struct sl_worker worker;
};

static int setup(void **state)
{
    static struct fixture f;
    struct sl_err err = SL_ERR_INIT;
    memset(&f, 0, sizeof f);
    sl_log_set_level_mask(0);
    f.config.global.max_auth_errors_until_block = 3;
    f.config.global.max_read_amount = 65536;
    f.core.config = &f.config;
    *state = &f;
    return sl_worker_init(&f.worker, &f.core, 0, &err);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    sl_worker_clear(&f->worker);
    return 0;
}

static struct sockaddr_storage host(uint32_t number, uint16_t port)
{
    struct sockaddr_storage s = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&s;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    in->sin_addr.s_addr = htonl(0x0A000000 + number);
    return s;
}

static unsigned hosts(const struct sl_worker *w)
{
    unsigned n = 0;
    SL_LIST_FOR_EACH (node, &w->auth_blocks) {
        n++;
    }
    return n;
}

static void test_blocks_at_the_limit(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_storage a = host(1, 1000), other = host(2, 1000);
    for (unsigned i = 0; i < 3; i++) {
        assert_false(sl_auth_block_is_blocked(&f->worker, &a));
        struct sockaddr_storage again =
            host(1, (uint16_t)(2000 + i)); /* the port does not matter */
        sl_auth_block_failed(&f->worker, &again);
    }
    assert_true(sl_auth_block_is_blocked(&f->worker, &a));
    assert_false(sl_auth_block_is_blocked(&f->worker, &other));
}

static void test_success_forgets(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_storage a = host(1, 1000);
    sl_auth_block_succeeded(&f->worker, &a); /* nothing to forget */
    for (unsigned round = 0; round < 3; round++) {
        sl_auth_block_failed(&f->worker, &a);
        sl_auth_block_failed(&f->worker, &a);
        sl_auth_block_succeeded(&f->worker, &a);
        assert_int_equal(hosts(&f->worker), 0);
    }
    assert_false(sl_auth_block_is_blocked(&f->worker, &a));
}

static void test_off(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_storage a = host(1, 1000);
    f->config.global.max_auth_errors_until_block = 0;
    for (unsigned i = 0; i < 100; i++) {
        sl_auth_block_failed(&f->worker, &a);
    }
    assert_false(sl_auth_block_is_blocked(&f->worker, &a));
    assert_int_equal(hosts(&f->worker), 0);
}

static void test_bounded(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 0; i < 3000; i++) {
        struct sockaddr_storage a = host(i, 1000);
        sl_auth_block_failed(&f->worker, &a);
    }
    assert_int_equal(hosts(&f->worker), 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_blocks_at_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_success_forgets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
