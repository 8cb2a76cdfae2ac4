/* SPDX-License-Identifier: Apache-2.0 */
/* Look-ups of names: the answer, cancelling, and life after it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <time.h>

#include "core/name_lookup.h"

struct asked {
    struct sl_name_lookup lookup;
    sem_t done;
    bool is_cancelled;
};

static void on_name(struct sl_name_lookup *l)
{
    sem_post(&((struct asked *)l)->done);
}

static void on_cancel(struct sl_name_lookup *l)
{
    ((struct asked *)l)->is_cancelled = true;
    sem_post(&((struct asked *)l)->done);
}

static void start(struct asked *a, void (*callback)(struct sl_name_lookup *l))
{
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&a->lookup.peer;
    *a = (struct asked){.lookup = {.on_name = callback, .on_cancel = on_cancel}};
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sem_init(&a->done, 0, 0);
    assert_true(sl_name_lookup_start(&a->lookup));
}

static void wait_for(struct asked *a)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30;
    assert_int_equal(sem_timedwait(&a->done, &until), 0);
    sem_destroy(&a->done);
}

static void test_answer(void **state)
{
    struct asked a;
    start(&a, on_name);
    wait_for(&a);
    assert_false(a.is_cancelled);
    assert_true(strlen(a.lookup.name) < SL_NAME_MAX);
}

/* Those begun before end either way, one callback each; those begun later are told the name. */
static void test_cancel(void **state)
{
    struct asked early[SL_NAME_LOOKUPS_MAX / 2], later;
    for (unsigned i = 0; i < SL_NAME_LOOKUPS_MAX / 2; i++) {
        start(&early[i], on_name);
    }
    sl_name_lookup_cancel();
    start(&later, on_name);
    wait_for(&later);
    assert_false(later.is_cancelled);
    for (unsigned i = 0; i < SL_NAME_LOOKUPS_MAX / 2; i++) {
        wait_for(&early[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
