/* SPDX-License-Identifier: Apache-2.0 */
/* The store when the disk refuses: nothing is published that is not in the file, nothing twice. */
#include "store_fixture.h"

#include <errno.h>

#include "router/binlog/store_io.h"

static bool fails_sync, fails_create;

static int faulty_sync(int fd)
{
    if (fails_sync) {
        errno = EIO;
        return -1;
    }
    return sl_store_io_system.sync_data(fd);
}

static int faulty_open(const char *path, int flags, mode_t mode)
{
    if (fails_create && (flags & O_CREAT) != 0) {
        errno = ENOSPC;
        return -1;
    }
    return sl_store_io_system.open(path, flags, mode);
}

static int setup(void **state)
{
    static struct sl_store_io faulty;
    faulty = sl_store_io_system;
    faulty.sync_data = faulty_sync;
    faulty.open = faulty_open;
    fails_sync = fails_create = false;
    sl_store_io = &faulty;
    return 0;
}

static int teardown(void **state)
{
    sl_store_io = &sl_store_io_system;
    return 0;
}

/* A sync fails, and then there is no room for the file that should follow. */
static void test_no_room_after_a_failed_sync(void **state)
{
    struct fixture f;
    struct sl_err err = SL_ERR_INIT;
    uint64_t us;
    fixture_init(&f);
    f.config.tuning.is_synced = true;
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 2, 100);
    fails_sync = true;
    assert_int_equal(fixture_group(&f, 0, 7, 3, 100), SL_OK);
    assert_int_equal(sl_store_commit(f.store, &us, &err), SL_ESYS);
    assert_int_equal(sl_store_commit(f.store, &us, &err), SL_ESYS); /* not repeated */
    fails_sync = false;
    fails_create = true;
    int rc = sl_store_begin_file(f.store, "pbin", f.fde, FIXTURE_FDE, false, &err);
    assert_int_equal(rc, SL_ELIMIT);
    assert_false(sl_store_has_uncommitted(f.store));
    assert_int_equal(sl_store_commit(f.store, &us, &err), SL_OK); /* is there room again? */
    fixture_expect_position(&f, "0-7-2");
    fails_create = false;
    sl_group_reset(&f.group);
    fixture_begin(&f, false);
    fixture_groups(&f, 3, 2, 100);
    struct fixture_stream st;
    fixture_read(&f, "", 64 * 1024, &st);
    assert_int_equal(st.gtids, 4);
    assert_true(st.is_in_order);
    fixture_stream_free(&st);
    fixture_end(&f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_no_room_after_a_failed_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
