/* SPDX-License-Identifier: Apache-2.0 */
/* Result sets of our own must be such that the reply tracker finds their end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/ok.h"
#include "proto/reply.h"

#include "bytes_of.h"

static const struct sl_resultset_column columns[] = {{.name = "Id", .type = SL_TYPE_LONGLONG},
                                                     {.name = "State"}};

static void build(struct sl_buf *b, uint64_t capabilities)
{
    struct sl_resultset rs;
    struct sl_slice row[2] = {sl_slice("17", 2), sl_slice(NULL, 0)};
    sl_resultset_begin(&rs, b, 1, capabilities, SL_STATUS_AUTOCOMMIT, columns, 2);
    sl_resultset_row(&rs, row);
    row[1] = sl_slice("", 0);
    sl_resultset_row(&rs, row);
    assert_int_equal(sl_resultset_end(&rs), SL_OK);
}

static void test_is_tracked(void **state)
{
    const uint64_t modes[] = {0, SL_CAP_DEPRECATE_EOF, SL_CAP_CACHE_METADATA,
                              SL_CAP_EXTENDED_METADATA | SL_CAP_DEPRECATE_EOF};
    for (size_t i = 0; i < 4; i++) {
        struct sl_buf b = SL_BUF_INIT;
        struct sl_reply r = {.deprecate_eof = (modes[i] & SL_CAP_DEPRECATE_EOF) != 0,
                             .cache_metadata = (modes[i] & SL_CAP_CACHE_METADATA) != 0};
        build(&b, modes[i]);
        sl_reply_start(&r, SL_COM_QUERY);
        assert_int_equal(sl_reply_feed(&r, b.data, b.end), b.end);
        assert_true(sl_reply_is_done(&r));
        assert_int_equal(r.rows, 2);
        assert_int_equal(r.status, SL_STATUS_AUTOCOMMIT);
        sl_buf_free(&b);
    }
}

static void test_bytes(void **state)
{
    struct sl_buf b = SL_BUF_INIT;
    struct sl_buf expect = SL_BUF_INIT;
    build(&b, 0);
    packets_append(&expect, 1,
                   "02|03'def'000000 02'Id'00 0c 3f00 15000000 08 0000 00 0000|"
                   "03'def'000000 05'State'00 0c 2100 fd020000 fd 0000 27 0000|"
                   "fe 0000 0200|02'17' fb|02'17' 00|fe 0000 0200");
    assert_true(sl_slice_equal(sl_buf_slice(&b), sl_buf_slice(&expect)));
    sl_buf_free(&b);
    sl_buf_free(&expect);
}

static void test_no_memory(void **state)
{
    for (uint64_t n = 1; n < 6; n++) {
        struct sl_buf b = SL_BUF_INIT;
        struct sl_resultset rs;
        struct sl_slice row[2] = {sl_slice("1", 1), sl_slice("2", 1)};
        int rc;
        sl_mem_fail_after(n);
        sl_resultset_begin(&rs, &b, 1, 0, 2, columns, 2);
        for (int i = 0; i < 100; i++) {
            sl_resultset_row(&rs, row);
        }
        rc = sl_resultset_end(&rs);
        sl_mem_fail_after(0);
        assert_true(rc == SL_OK || (rc == SL_ENOMEM && sl_buf_len(&b) == 0));
        sl_buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_tracked),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
