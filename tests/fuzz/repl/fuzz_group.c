/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of the group tracker: a binlog file of any content is walked. Groups open with a GTID
 * and close with an end; outside of a group nothing is inside; after the whole walk the same events
 * once more give the same steps.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "repl/group.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_step(const struct sl_group *before, const struct sl_group *after,
                       enum sl_group_step step, uint8_t type)
{
    switch (step) {
    case SL_GROUP_OUTSIDE:
        sl_assert(memcmp(before, after, sizeof *before) == 0);
        break;
    case SL_GROUP_BEGIN:
        sl_assert(!before->is_open && after->is_open && after->events == 1);
        sl_assert(type == SL_EVENT_GTID);
        break;
    case SL_GROUP_INSIDE:
        sl_assert(before->is_open && after->is_open && after->events == before->events + 1);
        break;
    case SL_GROUP_END:
        sl_assert(before->is_open && !after->is_open && after->events == before->events + 1);
        break;
    case SL_GROUP_BROKEN:
        sl_assert(after->is_open == (type == SL_EVENT_GTID));
        break;
    }
}

/* A hash of all steps. */
static uint32_t walk(const uint8_t *data, size_t size)
{
    struct sl_group g;
    struct sl_event_header h;
    struct sl_fde fde;
    bool has_crc = true;
    uint32_t hash = 0;
    memset(&g, 0, sizeof g);
    sl_group_reset(&g);
    while (size >= SL_EVENT_HEADER && sl_event_header_parse(data, &h) == SL_OK &&
           h.length <= size) {
        if (h.type == SL_EVENT_FORMAT_DESCRIPTION &&
            sl_fde_parse(data, h.length, &fde, NULL) == SL_OK) {
            has_crc = fde.has_crc;
        }
        struct sl_group before = g;
        enum sl_group_step step = SL_GROUP_OUTSIDE;
        if (sl_group_feed(&g, data, h.length, has_crc, &step) == SL_OK) {
            check_step(&before, &g, step, h.type);
        } else {
            sl_assert(memcmp(&before, &g, sizeof g) == 0);
        }
        hash = hash * 31 + (uint32_t)step;
        data += h.length;
        size -= h.length;
    }
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < SL_BINLOG_MAGIC_LEN) {
        return 0;
    }
    data += SL_BINLOG_MAGIC_LEN;
    size -= SL_BINLOG_MAGIC_LEN;
    sl_assert(walk(data, size) == walk(data, size));
    return 0;
}
