/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where groups begin and end. See group.h.
 *
 * The rules are those by which a primary skips groups and a replica counts them (sql/sql_repl.cc,
 * send_event_to_slave; sql/slave.cc, queue_event; Log_event::is_group_event and is_part_of_group).
 */
#include "repl/group.h"

#include <libdeflate.h>

/* What an event is to a group. */
enum role {
    ROLE_OTHER = 0,   /* any event of a transaction; the one event of a standalone group */
    ROLE_NONE,        /* never part of a group, may stand inside of one */
    ROLE_FILE_BORDER, /* never part of a group, and no group goes on behind it */
    ROLE_PREFIX,      /* never the last event of a group */
    ROLE_END,         /* always the last event of a group */
    ROLE_QUERY,       /* depends on the text */
    ROLE_GTID
};

enum {
    END_TEXT_MAX = 8 /* "ROLLBACK" */
};

static enum role role_of(const struct sl_event_header *h)
{
    static const uint8_t roles[256] = {
        [SL_EVENT_STOP] = ROLE_FILE_BORDER,
        [SL_EVENT_ROTATE] = ROLE_FILE_BORDER,
        [SL_EVENT_FORMAT_DESCRIPTION] = ROLE_FILE_BORDER,
        [SL_EVENT_INCIDENT] = ROLE_NONE,
        [SL_EVENT_HEARTBEAT] = ROLE_NONE,
        [SL_EVENT_BINLOG_CHECKPOINT] = ROLE_NONE,
        [SL_EVENT_GTID_LIST] = ROLE_NONE, /* a primary may insert one behind a GTID event */
        [SL_EVENT_START_ENCRYPTION] = ROLE_NONE,
        [SL_EVENT_INTVAR] = ROLE_PREFIX,
        [SL_EVENT_RAND] = ROLE_PREFIX,
        [SL_EVENT_USER_VAR] = ROLE_PREFIX,
        [SL_EVENT_TABLE_MAP] = ROLE_PREFIX,
        [SL_EVENT_ANNOTATE_ROWS] = ROLE_PREFIX,
        [SL_EVENT_BEGIN_LOAD_QUERY] = ROLE_PREFIX,
        [SL_EVENT_APPEND_BLOCK] = ROLE_PREFIX,
        [SL_EVENT_XID] = ROLE_END,
        [SL_EVENT_XA_PREPARE] = ROLE_END,
        [SL_EVENT_QUERY] = ROLE_QUERY,
        [SL_EVENT_QUERY_COMPRESSED] = ROLE_QUERY,
        [SL_EVENT_GTID] = ROLE_GTID,
    };
    return roles[h->type];
}

/* ---- text of a query ---- */

/* `in`: u8 (0x80 | algorithm << 4 | n), n bytes of length, high one first, then a zlib stream
 * (binlog_buf_compress). Only a text short enough to end a group is opened; any other leaves *ret
 * empty. `room` has END_TEXT_MAX bytes. 0, SL_EPROTO, SL_ENOMEM. */
static int open_short_text(struct sl_slice in, uint8_t *room, struct sl_slice *ret)
{
    *ret = sl_slice(room, 0);
    if (in.len < 1 || in.len < 1 + (size_t)(in.data[0] & 7)) {
        return SL_EPROTO;
    }
    unsigned n = in.data[0] & 7;
    uint64_t plain_len = 0;
    for (unsigned i = 1; i <= n; i++) {
        plain_len = plain_len << 8 | in.data[i];
    }
    if ((in.data[0] & 0xf0) != 0x80 || plain_len == 0 || plain_len > END_TEXT_MAX) {
        return SL_OK;
    }
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    if (!d) {
        return SL_ENOMEM;
    }
    enum libdeflate_result result = libdeflate_zlib_decompress(d, in.data + 1 + n, in.len - 1 - n,
                                                               room, (size_t)plain_len, NULL);
    libdeflate_free_decompressor(d);
    if (result != LIBDEFLATE_SUCCESS) {
        return SL_EPROTO;
    }
    *ret = sl_slice(room, (size_t)plain_len);
    return SL_OK;
}

static int query_ends(const uint8_t *event, uint32_t len, bool has_crc, bool *ret)
{
    uint8_t room[END_TEXT_MAX];
    struct sl_slice db, sql;
    int rc = sl_query_event_parse(event, len, has_crc, &db, &sql);
    if (rc == SL_OK && sl_event_type(event) == SL_EVENT_QUERY_COMPRESSED) {
        rc = open_short_text(sql, room, &sql);
    }
    if (rc == SL_OK) {
        *ret = sl_slice_equal_nocase(sql, "COMMIT") || sl_slice_equal_nocase(sql, "ROLLBACK");
    }
    return rc;
}

/* ---- the tracker ---- */

void sl_group_reset(struct sl_group *g)
{
    *g = (struct sl_group){.is_open = false};
}

static int open_group(struct sl_group *g, const uint8_t *event, uint32_t len, bool has_crc,
                      enum sl_group_step *ret)
{
    struct sl_gtid_event gtid;
    int rc = sl_gtid_event_parse(event, len, has_crc, &gtid);
    if (rc != SL_OK) {
        return rc;
    }
    *ret = g->is_open ? SL_GROUP_BROKEN : SL_GROUP_BEGIN;
    *g = (struct sl_group){.is_open = true, .gtid = gtid, .events = 1};
    return SL_OK;
}

/* An event that only groups have, in an open group. */
static enum sl_group_step add(struct sl_group *g, bool is_end)
{
    g->events++;
    g->is_open = !is_end;
    return is_end ? SL_GROUP_END : SL_GROUP_INSIDE;
}

static enum sl_group_step step_outside(const struct sl_event_header *h)
{
    return h->flags & SL_EVENT_FLAG_IGNORABLE ? SL_GROUP_OUTSIDE : SL_GROUP_BROKEN;
}

int sl_group_feed(struct sl_group *g, const uint8_t *event, uint32_t len, bool has_crc,
                  enum sl_group_step *ret)
{
    struct sl_event_header h;
    if (len < SL_EVENT_HEADER + (has_crc ? SL_EVENT_CRC : 0u) ||
        sl_event_header_parse(event, &h) != SL_OK || h.length != len) {
        return SL_EPROTO;
    }
    bool is_standalone = g->gtid.flags2 & SL_GTID_STANDALONE, is_end = is_standalone;
    int rc = SL_OK;
    enum role role = role_of(&h);
    switch (role) {
    case ROLE_GTID:
        return open_group(g, event, len, has_crc, ret);
    case ROLE_NONE:
        *ret = SL_GROUP_OUTSIDE;
        return SL_OK;
    case ROLE_FILE_BORDER:
        *ret = g->is_open ? SL_GROUP_BROKEN : SL_GROUP_OUTSIDE;
        g->is_open = false;
        return SL_OK;
    case ROLE_PREFIX:
        is_end = false;
        break;
    case ROLE_END:
        is_end = true;
        break;
    case ROLE_QUERY:
        if (!is_standalone) {
            rc = query_ends(event, len, has_crc, &is_end);
        }
        break;
    case ROLE_OTHER:
        break;
    }
    if (rc == SL_OK) {
        *ret = g->is_open ? add(g, is_end) : step_outside(&h);
    }
    return rc;
}

enum sl_group_step sl_group_feed_long(struct sl_group *g, const struct sl_event_header *h)
{
    enum role role = role_of(h);
    if (role == ROLE_NONE) {
        return SL_GROUP_OUTSIDE;
    }
    if (!g->is_open) {
        return step_outside(h);
    }
    return add(g, role != ROLE_PREFIX && (g->gtid.flags2 & SL_GTID_STANDALONE) != 0);
}
