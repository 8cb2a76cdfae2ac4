/* SPDX-License-Identifier: Apache-2.0 */
/* What a primary's errors mean, and how long they are waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "router/binlog/upstream_fault.h"

static enum sl_fault_kind kind_of(unsigned code, const char *text)
{
    return sl_fault_classify(code, sl_slice_text(text));
}

/* The texts are those of a 10.11 server. */
static void test_1236(void **state)
{
    assert_int_equal(kind_of(1236, "Error: connecting slave requested to start from GTID 7-1-99, "
                                   "which is not in the master's binlog"),
                     SL_FAULT_AHEAD);
    assert_int_equal(
        kind_of(1236,
                "Error: connecting slave requested to start from GTID 7-1-99, which is not in "
                "the master's binlog. Since the master's binlog contains GTIDs with higher "
                "sequence numbers, it probably means that the slave has diverged due to "
                "executing extra erroneous transactions"),
        SL_FAULT_DIVERGED);
    assert_int_equal(
        kind_of(1236,
                "The binlog on the master is missing the GTID 9-1-1002 requested by the slave "
                "(even though both a prior and a subsequent sequence number does exist), and "
                "GTID strict mode is enabled"),
        SL_FAULT_DIVERGED);
    assert_int_equal(kind_of(1236, "Could not find GTID state requested by slave in any binlog "
                                   "files. Probably the slave state is too old and required binlog "
                                   "files have been purged."),
                     SL_FAULT_PURGED);
    assert_int_equal(kind_of(1236, "Could not find first log file name in binary log index file"),
                     SL_FAULT_PURGED);
    assert_int_equal(kind_of(1236, "Could not set up decryption for binlog."), SL_FAULT_REFUSED);
    assert_int_equal(kind_of(1236, ""), SL_FAULT_REFUSED);
}

static void test_codes(void **state)
{
    assert_int_equal(kind_of(1045, "Access denied"), SL_FAULT_DENIED);
    assert_int_equal(kind_of(1227, "need REPLICATION SLAVE"), SL_FAULT_DENIED);
    assert_int_equal(kind_of(4052, "same server_id"), SL_FAULT_DUPLICATE);
    assert_int_equal(kind_of(1053, "shutdown"), SL_FAULT_LOST);
    assert_int_equal(kind_of(1927, "killed"), SL_FAULT_LOST);
    assert_int_equal(kind_of(1040, "too many connections"), SL_FAULT_LOST);
}

static void test_delays(void **state)
{
    assert_int_equal(sl_fault_delay_ms(SL_FAULT_NONE, 1), 0);
    assert_int_equal(sl_fault_delay_ms(SL_FAULT_LOST, 1), SL_FAULT_DELAY_MS);
    assert_int_equal(sl_fault_delay_ms(SL_FAULT_LOST, 1000), SL_FAULT_DELAY_MS);
    assert_int_equal(sl_fault_delay_ms(SL_FAULT_AHEAD, SL_FAULT_QUICK_ATTEMPTS), SL_FAULT_DELAY_MS);
    assert_int_equal(sl_fault_delay_ms(SL_FAULT_AHEAD, SL_FAULT_QUICK_ATTEMPTS + 1),
                     SL_FAULT_SLOW_DELAY_MS);
    const enum sl_fault_kind slow[] = {SL_FAULT_DENIED,    SL_FAULT_TLS,    SL_FAULT_SERVER_ID,
                                       SL_FAULT_DUPLICATE, SL_FAULT_PURGED, SL_FAULT_DIVERGED,
                                       SL_FAULT_REFUSED};
    for (size_t i = 0; i < sizeof(slow) / sizeof(slow[0]); i++) {
        assert_int_equal(sl_fault_delay_ms(slow[i], 1), SL_FAULT_SLOW_DELAY_MS);
    }
}

static void test_text(void **state)
{
    struct sl_fault f;
    assert_true(sl_fault_from_server(&f, "Login", 1045, sl_slice_text("Access denied")) < 0);
    assert_string_equal(f.text, "Login: error 1045: Access denied");
    assert_int_equal(f.code, 1045);
    assert_int_equal(f.kind, SL_FAULT_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1236),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_delays),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
