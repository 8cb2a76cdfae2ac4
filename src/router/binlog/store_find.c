/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One group of the log, by its GTID: index, then event by event. Any thread; owns nothing.
 */
#include "router/binlog/store.h"

#include "base/mem.h"

enum {
    PIECE_SIZE = 64 * 1024,
    FIND_MAX = 16 * 1024 * 1024 /* bytes of log that are read at most */
};

struct search {
    struct sl_gtid gtid;
    bool has_crc;
    bool is_found; /* its GTID event has passed */
    uint64_t seen; /* bytes */
};

/* Where the group is the next one of its domain. */
static int place_before(struct sl_store *store, struct sl_gtid gtid, struct sl_gtid_list *position)
{
    struct sl_gtid_list state = SL_GTID_LIST_INIT;
    int rc = sl_store_state(store, &state);
    if (rc == SL_OK) {
        rc = sl_gtid_state_position(&state, position);
    }
    sl_gtid_list_free(&state);
    if (rc == SL_OK && gtid.seq > 1) {
        gtid.seq--;
        return sl_gtid_position_set(position, gtid);
    }
    sl_gtid_position_remove(position, gtid.domain);
    return rc;
}

/* The event is looked at: true if it is the one behind the GTID event. */
static bool is_wanted(struct search *f, const uint8_t *event, const struct sl_event_header *h)
{
    struct sl_gtid_event g;
    if (f->is_found) {
        return true;
    }
    f->is_found = h->type == SL_EVENT_GTID &&
                  sl_gtid_event_parse(event, h->length, f->has_crc, &g) == SL_OK &&
                  g.gtid.domain == f->gtid.domain && g.gtid.server_id == f->gtid.server_id &&
                  g.gtid.seq == f->gtid.seq;
    return false;
}

/* 0, or SL_EAGAIN: it is not among these. */
static int look_at(struct search *f, struct sl_slice bytes, uint32_t *ret_timestamp)
{
    const uint8_t *at = bytes.data;
    struct sl_event_header h;
    for (size_t left = bytes.len; left > 0; left -= h.length, at += h.length) {
        if (left < SL_EVENT_HEADER || sl_event_header_parse(at, &h) < 0 || h.length > left) {
            return SL_EPROTO;
        }
        if (is_wanted(f, at, &h)) {
            *ret_timestamp = h.timestamp;
            return SL_OK;
        }
    }
    return SL_EAGAIN;
}

/* Of an event in parts, the first part has the header. */
static int look_at_part(struct search *f, const struct sl_store_piece *piece,
                        uint32_t *ret_timestamp)
{
    struct sl_event_header h;
    if (!f->is_found || piece->event_offset > 0) {
        return SL_EAGAIN;
    }
    int rc = piece->bytes.len < SL_EVENT_HEADER ? SL_EPROTO
                                                : sl_event_header_parse(piece->bytes.data, &h);
    if (rc == SL_OK) {
        *ret_timestamp = h.timestamp;
    }
    return rc;
}

static int walk(struct sl_store_reader *r, struct sl_store_block *block, struct search *f,
                uint32_t *ret_timestamp)
{
    struct sl_err err = SL_ERR_INIT;
    int rc = SL_EAGAIN;
    while (rc == SL_EAGAIN && f->seen < FIND_MAX) {
        enum sl_store_step step;
        struct sl_store_piece piece;
        rc = sl_store_reader_next(r, block, PIECE_SIZE, &step, &piece, &err);
        if (rc < 0) {
            return rc;
        }
        f->has_crc = sl_store_reader_has_crc(r);
        switch (step) {
        case SL_STORE_END:
            return SL_ENOENT;
        case SL_STORE_NEXT_FILE:
            rc = sl_store_reader_next_file(r, &err);
            rc = rc == SL_OK ? SL_EAGAIN : rc;
            break;
        case SL_STORE_EVENTS:
            f->seen += piece.bytes.len;
            rc = look_at(f, piece.bytes, ret_timestamp);
            break;
        case SL_STORE_PART:
            f->seen += piece.bytes.len;
            rc = look_at_part(f, &piece, ret_timestamp);
            break;
        }
    }
    return rc == SL_EAGAIN ? SL_ENOENT : rc;
}

int sl_store_group_time(struct sl_store *store, struct sl_gtid gtid, uint32_t *ret_timestamp)
{
    struct search f = {.gtid = gtid};
    struct sl_gtid_list position = SL_GTID_LIST_INIT;
    struct sl_store_reader *r = NULL;
    struct sl_store_block *block = NULL;
    struct sl_err err = SL_ERR_INIT;
    int rc = place_before(store, gtid, &position);
    if (rc == SL_OK) {
        rc = sl_store_reader_open(store, &position, &r, &err);
    }
    if (rc == SL_OK) {
        rc = sl_store_block_new(&block);
    }
    if (rc == SL_OK) {
        rc = walk(r, block, &f, ret_timestamp);
    }
    sl_store_block_free(block);
    sl_store_reader_free(r);
    sl_gtid_list_free(&position);
    return rc;
}
