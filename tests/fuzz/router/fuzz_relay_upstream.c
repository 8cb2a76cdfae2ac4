/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of what a primary sends: bytes of a dump go through the packet stream and into a store
 * in memory that insists on its contract. Taken in one piece, and taken in small pieces while the disk
 * is full now and then, they must give the same groups and end for the same reason.
 *
 *   byte 0   bit 0: checksums of the events are made right first; bit 1: semi-sync headers
 *   byte 1   size of the small pieces
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "router/binlog/upstream_ingest.h"
#include "router/binlog/upstream_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    MODE_REPAIR = 1,
    MODE_SEMI_SYNC = 2,
    HEAD = 2,
    FULL_EACH = 3 /* adds */
};

/* ---- the store, in the place of store*.c ---- */

struct sl_store {
    struct sl_gtid_list state;
    bool has_file, is_in_group, is_full_at_times;
    uint32_t adds, groups, open_digest, digest;
    struct sl_gtid gtid;
};

int sl_store_state(struct sl_store *s, struct sl_gtid_list *ret)
{
    return sl_gtid_list_copy(ret, &s->state);
}

/* Known of some groups. */
int sl_store_group_time(struct sl_store *s, struct sl_gtid gtid, uint32_t *ret)
{
    *ret = (uint32_t)gtid.seq;
    return gtid.seq % 3 == 0 ? SL_ENOENT : SL_OK;
}

bool sl_store_has_file(const struct sl_store *s)
{
    return s->has_file;
}

bool sl_store_has_uncommitted(const struct sl_store *s)
{
    return false;
}

void sl_store_abandon(struct sl_store *s)
{
    s->is_in_group = false;
}

/* What is complete is committed in the same turn: nothing but the open group can be given up. */
bool sl_store_abandon_all(struct sl_store *s)
{
    s->is_in_group = false;
    return false;
}

int sl_store_commit(struct sl_store *s, uint64_t *ret_synced_us, struct sl_err *err)
{
    *ret_synced_us = 0;
    return SL_OK;
}

static bool is_full(struct sl_store *s)
{
    return s->is_full_at_times && ++s->adds % FULL_EACH == 0;
}

int sl_store_begin_file(struct sl_store *s, const char *base, const uint8_t *fde, uint32_t len,
                        bool continues, struct sl_err *err)
{
    struct sl_fde parsed;
    sl_assert(sl_fde_parse(fde, len, &parsed, err) == SL_OK);
    if (base[0] == '\0' || base[0] == '.' || strchr(base, '/')) {
        return sl_err_set(err, SL_EINVAL, "no base name of files");
    }
    if (is_full(s)) {
        return sl_err_set(err, SL_ELIMIT, "the disk is full");
    }
    s->is_in_group = false;
    s->has_file = true;
    return SL_OK;
}

static void end_group(struct sl_store *s)
{
    s->is_in_group = false;
    s->groups++;
    s->digest = sl_event_crc_add(s->digest, &s->open_digest, sizeof s->open_digest);
    /* Never twice. */
    sl_assert(!sl_gtid_state_has(&s->state, s->gtid));
    sl_assert(sl_gtid_state_add(&s->state, s->gtid) == SL_OK);
}

int sl_store_add(struct sl_store *s, uint8_t *event, uint32_t len, enum sl_group_step step,
                 const struct sl_group *group, struct sl_err *err)
{
    sl_assert(s->has_file && len >= SL_EVENT_HEADER && sl_event_length(event) == len);
    sl_assert(step != SL_GROUP_BROKEN);
    sl_assert((step == SL_GROUP_BEGIN) == !s->is_in_group || step == SL_GROUP_OUTSIDE);
    if (is_full(s)) {
        return sl_err_set(err, SL_ELIMIT, "the disk is full");
    }
    if (step == SL_GROUP_OUTSIDE) {
        return SL_OK;
    }
    if (step == SL_GROUP_BEGIN) {
        s->is_in_group = true;
        s->open_digest = 0;
        s->gtid = group->gtid.gtid;
    }
    s->open_digest = sl_event_crc_add(s->open_digest, event, len);
    memset(event + 13, 0xaa, 4); /* log_pos is the store's from now on */
    if (step == SL_GROUP_END) {
        end_group(s);
    }
    return SL_OK;
}

/* ---- the stream ---- */

/* Makes the checksum of each event right that lies in one packet. */
static void repair(uint8_t *data, size_t size, bool is_semi_sync)
{
    size_t prefix = SL_PACKET_HEADER + (is_semi_sync ? 3 : 1);
    for (size_t at = 0, packet; at + SL_PACKET_HEADER <= size; at += packet) {
        packet = SL_PACKET_HEADER + sl_get_le24(data + at);
        if (packet > size - at) {
            return;
        }
        if (packet >= prefix + SL_EVENT_HEADER + SL_EVENT_CRC) {
            uint32_t len = (uint32_t)(packet - prefix);
            sl_put_le32(data + at + prefix + 9, len);
            sl_event_crc_put(data + at + prefix, len);
        }
    }
}

struct run {
    struct sl_store store;
    struct sl_ingest in;
    struct sl_stream stream;
    int rc; /* why it ended; 0: all bytes were taken */
};

/* One item, offered until there is room for it. */
static int take(struct run *r, const struct sl_stream_item *item)
{
    struct sl_err err = SL_ERR_INIT;
    int rc = SL_ELIMIT;
    if (item->kind != SL_STREAM_EVENT) {
        return SL_ECLOSED;
    }
    while (rc == SL_ELIMIT) {
        rc = sl_ingest_event(&r->in, item->bytes, item->len, item->wants_ack, &err);
    }
    sl_assert(rc == SL_OK || err.text[0] != '\0');
    return rc;
}

/* Bytes that arrived. What is not used up (an event that was not taken) does not occur: take() waits
 * for room. */
static void arrive(struct run *r, uint8_t *data, size_t len)
{
    struct sl_stream_item item = {.kind = SL_STREAM_EVENT};
    while (r->rc == SL_OK && item.kind == SL_STREAM_EVENT) {
        size_t used = 0;
        r->rc = sl_stream_next(&r->stream, data, len, &used, &item);
        sl_assert(used <= len);
        if (r->rc == SL_OK && item.kind != SL_STREAM_MORE) {
            r->rc = take(r, &item);
            sl_stream_taken(&r->stream);
        }
        data += used;
        len -= used;
    }
    sl_assert(r->rc != SL_OK || len == 0);
}

static void run(struct run *r, const uint8_t *data, size_t size, uint8_t mode, size_t piece)
{
    bool is_semi_sync = mode & MODE_SEMI_SYNC;
    uint8_t *copy = malloc(size + 1);
    sl_assert(copy);
    memcpy(copy, data, size);
    if (mode & MODE_REPAIR) {
        repair(copy, size, is_semi_sync);
    }
    *r = (struct run){.store = {.is_full_at_times = piece < size}};
    sl_ingest_init(&r->in, &r->store);
    sl_assert(sl_ingest_start(&r->in, false) == SL_OK);
    sl_ingest_begin(&r->in, true);
    sl_stream_start(&r->stream, is_semi_sync);
    for (size_t at = 0; at < size && r->rc == SL_OK; at += piece) {
        arrive(r, copy + at, piece < size - at ? piece : size - at);
    }
    sl_ingest_end(&r->in);
    sl_ingest_free(&r->in);
    sl_stream_free(&r->stream);
    sl_gtid_list_free(&r->store.state);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run whole, pieces;
    if (size <= HEAD) {
        return 0;
    }
    sl_log_set_level_mask(0);
    size_t piece = 1 + data[1];
    run(&whole, data + HEAD, size - HEAD, data[0], size);
    run(&pieces, data + HEAD, size - HEAD, data[0], piece);
    sl_assert(whole.rc == pieces.rc && whole.store.groups == pieces.store.groups);
    sl_assert(whole.store.digest == pieces.store.digest);
    return 0;
}
