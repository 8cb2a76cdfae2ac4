/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of GTID positions: any bytes are parsed or refused; what was parsed survives being
 * written and read again, covers itself, and is not moved by itself.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "repl/gtid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_gtid_set set, again;
    struct sl_gtid one;
    char text[SL_GTID_SET_TEXT_MAX];
    int rc = sl_gtid_set_parse(sl_slice(data, size), &set);
    sl_assert(rc == SL_OK || (set.count == 0 && !set.is_partial));
    sl_assert(sl_gtid_parse(sl_slice(data, size), &one) != SL_OK || rc == SL_OK);
    size_t len = sl_gtid_set_text(&set, text, sizeof text);
    sl_assert(strlen(text) == len);
    sl_assert(sl_gtid_set_parse(sl_slice(text, len), &again) == SL_OK);
    sl_assert(again.count == set.count && !again.is_partial);
    sl_assert(sl_gtid_set_covers(&set, &again));
    sl_assert(sl_gtid_set_covers(&again, &set) == !set.is_partial);
    for (unsigned i = 0; i < set.count; i++) {
        sl_assert(!sl_gtid_set_add(&again, set.gtid[i]));
    }
    return 0;
}
