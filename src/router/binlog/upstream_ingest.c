/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of the primary into the store; contract in the header.
 *
 *   event -> length, checksum -> about the file? (ROTATE, FORMAT_DESCRIPTION, HEARTBEAT, ...)
 *                             -> group tracker -> dropped or left out? -> store
 */
#include "router/binlog/upstream_ingest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* Inside a group each event begins where the one before ended. A primary whose files are encrypted
 * with padding or a tag (another relay) leaves gaps, smaller than any event. */
#define LOG_POS_GAP_MAX 18

void sl_ingest_init(struct sl_ingest *in, struct sl_store *store)
{
    *in = (struct sl_ingest){.store = store, .state = SL_GTID_LIST_INIT};
}

void sl_ingest_free(struct sl_ingest *in)
{
    sl_gtid_list_free(&in->state);
}

/* What is in `from` and not in `to`. */
static int add_missing(struct sl_gtid_list *to, const struct sl_gtid_list *from)
{
    int rc = SL_OK;
    for (uint32_t i = 0; rc == SL_OK && i < from->count; i++) {
        if (!sl_gtid_state_has(to, from->gtid[i])) {
            rc = sl_gtid_state_add(to, from->gtid[i]);
        }
    }
    return rc;
}

int sl_ingest_start(struct sl_ingest *in, bool keeps_left_out)
{
    struct sl_gtid_list state = SL_GTID_LIST_INIT;
    int rc = sl_store_state(in->store, &state);
    if (rc == SL_OK && keeps_left_out) {
        rc = add_missing(&state, &in->state);
    }
    if (rc < 0) {
        sl_gtid_list_free(&state);
        return rc;
    }
    sl_gtid_list_free(&in->state);
    in->state = state;
    in->was_empty = state.count == 0;
    return SL_OK;
}

void sl_ingest_begin(struct sl_ingest *in, bool has_crc)
{
    sl_group_reset(&in->group);
    in->has_crc = has_crc;
    in->has_file = false;
    in->is_dropping = false;
    in->is_repeat = false;
    in->is_offered = false;
    in->has_ack = false;
    in->next_log_pos = 0;
    in->is_settled = !in->was_empty;
}

void sl_ingest_end(struct sl_ingest *in)
{
    /* The next connection asks for what did not get into the log; who answers may have something else
     * in its place. */
    if (sl_store_abandon_all(in->store)) {
        sl_gtid_list_clear(&in->state);
    }
    sl_group_reset(&in->group);
    in->is_offered = false;
    in->is_dropping = false;
    in->has_ack = false;
}

/* ---- what every event must be ---- */

static int at(struct sl_ingest *in, const uint8_t *event, struct sl_err *err, const char *what)
{
    return sl_err_set(err, SL_EPROTO, "%s event at %s:%" PRIu64 ": %s",
                      sl_event_type_text(sl_event_type(event)), in->file, in->pos, what);
}

static int check(struct sl_ingest *in, const uint8_t *event, uint32_t len,
                 struct sl_event_header *ret, struct sl_err *err)
{
    if (len < SL_EVENT_HEADER || sl_event_header_parse(event, ret) < 0 || ret->length != len) {
        return sl_err_set(err, SL_EPROTO,
                          "An event behind %s:%" PRIu64 " has %" PRIu32
                          " bytes, but its header says otherwise",
                          in->file, in->pos, len);
    }
    bool has_crc = in->has_crc || ret->type == SL_EVENT_FORMAT_DESCRIPTION;
    if (has_crc && !sl_event_crc_is_right(event, len)) {
        return at(in, event, err, "wrong checksum");
    }
    return SL_OK;
}

/* log_pos has 32 bits, files may be longer. */
static uint64_t advance(uint64_t pos, uint32_t log_pos)
{
    uint64_t next = (pos & ~(uint64_t)UINT32_MAX) | log_pos;
    return next < pos && pos - next > UINT32_MAX / 2 ? next + UINT32_MAX + 1 : next;
}

static void move(struct sl_ingest *in, const struct sl_event_header *h)
{
    in->events++;
    if (h->log_pos != 0 && (h->flags & SL_EVENT_FLAG_ARTIFICIAL) == 0) {
        in->pos = advance(in->pos, h->log_pos);
    }
    if (h->timestamp != 0) {
        in->last_timestamp = h->timestamp;
    }
}

/* ---- events about the primary's files ---- */

static void cut_group(struct sl_ingest *in)
{
    if (!in->group.is_open) {
        return;
    }
    sl_log_warning("The primary's file '%s' ends inside of group %" PRIu32 "-%" PRIu32 "-%" PRIu64
                   ": it was never committed there, and is dropped",
                   in->file, in->group.gtid.gtid.domain, in->group.gtid.gtid.server_id,
                   in->group.gtid.gtid.seq);
    sl_store_abandon(in->store);
    sl_group_reset(&in->group);
    in->is_dropping = false;
}

static int take_rotate(struct sl_ingest *in, const uint8_t *event, uint32_t len,
                       const struct sl_event_header *h, struct sl_err *err)
{
    struct sl_rotate_event r;
    if (sl_rotate_event_parse(event, len, in->has_crc, &r) < 0 || r.file.len == 0 ||
        r.file.len > SL_BINLOG_FILE_NAME_MAX) {
        return at(in, event, err, "no file name");
    }
    cut_group(in);
    in->server_id = h->server_id;
    memcpy(in->file, r.file.data, r.file.len);
    in->file[r.file.len] = '\0';
    in->pos = r.position;
    return SL_OK;
}

/* "pbin" of "pbin.000012". */
static void base_of(const char *file, char out[SL_BINLOG_FILE_NAME_MAX + 1])
{
    const char *dot = strrchr(file, '.');
    size_t len = dot != NULL ? (size_t)(dot - file) : strlen(file);
    snprintf(out, SL_BINLOG_FILE_NAME_MAX + 1, "%.*s", (int)len, file);
}

static int take_fde(struct sl_ingest *in, const uint8_t *event, uint32_t len, struct sl_err *err)
{
    struct sl_fde fde;
    int rc = sl_fde_parse(event, len, &fde, err);
    if (rc < 0) {
        return sl_err_wrap(err, "FORMAT_DESCRIPTION of '%s'", in->file);
    }
    cut_group(in);
    char base[SL_BINLOG_FILE_NAME_MAX + 1];
    base_of(in->file[0] != '\0' ? in->file : "binlog", base);
    rc = sl_store_begin_file(in->store, base, event, len, !in->has_file, err);
    if (rc < 0) {
        return rc;
    }
    in->has_file = true;
    in->has_crc = fde.has_crc;
    in->next_log_pos = 0;
    return SL_OK;
}

/* False: the event belongs to groups. */
static bool is_about_files(const struct sl_event_header *h)
{
    switch (h->type) {
    case SL_EVENT_ROTATE:
    case SL_EVENT_FORMAT_DESCRIPTION:
    case SL_EVENT_HEARTBEAT:
    case SL_EVENT_STOP:
    case SL_EVENT_GTID_LIST:
    case SL_EVENT_BINLOG_CHECKPOINT:
    case SL_EVENT_START_ENCRYPTION:
        return true;
    default:
        return (h->flags & SL_EVENT_FLAG_ARTIFICIAL) != 0;
    }
}

static int take_file_event(struct sl_ingest *in, const uint8_t *event, uint32_t len,
                           const struct sl_event_header *h, struct sl_err *err)
{
    int rc = SL_OK;
    if (h->type == SL_EVENT_FORMAT_DESCRIPTION) {
        rc = take_fde(in, event, len, err);
    }
    if (rc < 0) {
        return rc;
    }
    if (h->type == SL_EVENT_HEARTBEAT) {
        in->heartbeats++;
        in->is_settled = true;
        return SL_OK;
    }
    move(in, h);
    if (h->type == SL_EVENT_ROTATE) {
        rc = take_rotate(in, event, len, h, err);
    }
    return rc;
}

/* ---- groups ---- */

static void note_domain(struct sl_ingest *in)
{
    const struct sl_gtid *gtid = &in->group.gtid.gtid;
    if (!in->is_settled || sl_gtid_state_knows_domain(&in->state, gtid->domain)) {
        return;
    }
    in->domains_new++;
    sl_log_warning(
        "The primary writes GTID domain %" PRIu32 " (%" PRIu32 "-%" PRIu32 "-%" PRIu64
        "), which was never seen before. A Galera cluster whose wsrep_gtid_domain_id got "
        "lost (0) looks like this; it is stored and passed on",
        gtid->domain, gtid->domain, gtid->server_id, gtid->seq);
}

/* The first event behind the GTID event of a group that the log has. */
static void judge_repeat(struct sl_ingest *in, uint32_t timestamp)
{
    uint32_t in_log;
    struct sl_gtid gtid = in->group.gtid.gtid;
    in->is_repeat = false;
    if (sl_going_back_asks(&in->back, timestamp)) {
        bool is_known = sl_store_group_time(in->store, gtid, &in_log) == SL_OK;
        sl_going_back_dropped(&in->back, &in->state, gtid, timestamp, is_known ? &in_log : NULL);
    }
}

/* A GTID event: is its group stored? */
static void judge_group(struct sl_ingest *in, uint32_t timestamp)
{
    const struct sl_gtid_event *g = &in->group.gtid;
    in->is_dropping = true;
    in->is_repeat = false;
    if (sl_gtid_state_has(&in->state, g->gtid)) {
        in->groups_dropped++;
        in->is_repeat = true;
        sl_log_info("Group %" PRIu32 "-%" PRIu32 "-%" PRIu64 " came a second time: dropped",
                    g->gtid.domain, g->gtid.server_id, g->gtid.seq);
        return;
    }
    if (in->ddl_only && (g->flags2 & SL_GTID_DDL) == 0) {
        in->groups_left_out++;
        return;
    }
    in->is_dropping = false;
    sl_going_back_stored(&in->back, timestamp);
    note_domain(in);
}

/* Inside a group nothing may be missing. */
static bool follows(const struct sl_ingest *in, const struct sl_event_header *h)
{
    if (in->next_log_pos == 0 || h->log_pos == 0) {
        return true;
    }
    uint32_t gap = h->log_pos - h->length - in->next_log_pos;
    return gap <= LOG_POS_GAP_MAX;
}

/* Group tracker and judgement; in->step says what the event is. */
static int judge(struct sl_ingest *in, const uint8_t *event, uint32_t len,
                 const struct sl_event_header *h, struct sl_err *err)
{
    if (!in->has_file) {
        return at(in, event, err, "comes before the FORMAT_DESCRIPTION");
    }
    bool was_open = in->group.is_open;
    int rc = sl_group_feed(&in->group, event, len, in->has_crc, &in->step);
    if (rc == SL_ENOMEM) {
        return sl_err_set(err, rc, "out of memory");
    }
    if (rc < 0) {
        return at(in, event, err, "it cannot be read");
    }
    if (in->step == SL_GROUP_BROKEN) {
        return at(in, event, err,
                  was_open ? "the group before it is not complete" : "it belongs to no group");
    }
    if (in->step == SL_GROUP_BEGIN && in->state.count >= SL_GTID_LIST_MAX) {
        return at(in, event, err, "the log knows 65536 pairs of domain and server already");
    }
    if (in->step == SL_GROUP_BEGIN) {
        judge_group(in, h->timestamp);
        return SL_OK;
    }
    if (was_open && !follows(in, h)) {
        return at(in, event, err, "something is missing in front of it");
    }
    if (was_open && in->is_repeat) {
        judge_repeat(in, h->timestamp);
    }
    return SL_OK;
}

static void settle(struct sl_ingest *in, const struct sl_event_header *h, bool wants_ack)
{
    in->next_log_pos = in->group.is_open ? h->log_pos : 0;
    move(in, h);
    if (wants_ack && !in->group.is_open) {
        in->has_ack = true;
        in->ack_pos = in->pos;
        memcpy(in->ack_file, in->file, sizeof(in->ack_file));
    }
}

static int take_group_event(struct sl_ingest *in, uint8_t *event, uint32_t len,
                            const struct sl_event_header *h, struct sl_err *err)
{
    int rc = in->is_offered ? SL_OK : judge(in, event, len, h, err);
    if (rc < 0) {
        return rc;
    }
    bool is_stored = !in->is_dropping || in->step == SL_GROUP_OUTSIDE;
    if (is_stored) {
        rc = sl_store_add(in->store, event, len, in->step, &in->group, err);
    }
    in->is_offered = rc == SL_ELIMIT;
    in->header = *h;
    if (rc < 0 || in->step != SL_GROUP_END) {
        return rc;
    }
    in->groups += is_stored;
    in->is_dropping = false;
    if (sl_gtid_state_has(&in->state, in->group.gtid.gtid)) {
        return SL_OK; /* a second time: the state does not go back */
    }
    rc = sl_gtid_state_add(&in->state, in->group.gtid.gtid);
    return rc < 0 ? sl_err_set(err, rc, "out of memory") : SL_OK;
}

int sl_ingest_event(struct sl_ingest *in, uint8_t *event, uint32_t len, bool wants_ack,
                    struct sl_err *err)
{
    struct sl_event_header h = in->header; /* the store may have changed the event's own */
    int rc = in->is_offered ? SL_OK : check(in, event, len, &h, err);
    if (rc < 0) {
        return rc;
    }
    if (is_about_files(&h)) {
        return take_file_event(in, event, len, &h, err);
    }
    rc = take_group_event(in, event, len, &h, err);
    if (rc == SL_OK) {
        settle(in, &h, wants_ack);
    }
    return rc;
}
