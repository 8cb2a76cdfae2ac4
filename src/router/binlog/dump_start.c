/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a dump starts, and what goes out before the first event:
 *
 *      fake ROTATE, FORMAT_DESCRIPTION, GTID_LIST (unless it starts in the middle by position)
 *
 * A replica whose position the log does not have yet waits: the relay itself may be a moment behind
 * the primary that the replica came from. When it has waited long enough it hears that it is ahead
 * (1236, which stops it for good) if the relay has all that there was when it came, else that it shall
 * come again. One that has diverged, or whose files are purged, hears so at once. Texts are those of a
 * primary, because replicas and managers read them.
 */
#include <inttypes.h>

#include "core/service.h"
#include "proto/constants.h"
#include "router/binlog/dump.h"

#define CLOCK_SLACK_S 3 /* whole seconds, and a status that is a moment old */

/* ---- waiting ---- */

static bool may_wait(const struct sl_dump *d)
{
    return !d->is_non_block && sl_loop_now_ms(d->worker->worker->loop) < d->waits_until_ms;
}

/* May what the replica has be on its way to the relay still? Not if the relay's last event is younger
 * than the replica's wait. */
static bool log_is_late(const struct sl_dump *d)
{
    const struct sl_relay *relay = d->worker->relay;
    struct sl_upstream_status up;
    if (!relay->upstream) {
        return false;
    }
    sl_upstream_status(relay->upstream, &up);
    sl_upstream_target_clear(&up.target);
    int64_t waited_s = (int64_t)(atomic_load(&relay->ahead_timeout_ms) / 1000);
    bool is_streaming = up.step == SL_UPSTREAM_STREAMING;
    return up.is_wanted && (!is_streaming || up.seconds_behind > waited_s + CLOCK_SLACK_S);
}

void sl_dump_fail_ahead(struct sl_dump *d, struct sl_gtid missing, bool may_come)
{
    if (!may_come) {
        sl_dump_fail_position(d, SL_GTID_AHEAD, missing);
        return;
    }
    sl_dump_fail(d, SL_ER_UNKNOWN_ERROR,
                 "The relay does not have GTID %" PRIu32 "-%" PRIu32 "-%" PRIu64
                 " yet; try again later",
                 missing.domain, missing.server_id, missing.seq);
}

static void no_file_yet(struct sl_dump *d)
{
    if (may_wait(d)) {
        sl_dump_enter(d, SL_DUMP_WAITS);
        return;
    }
    /* Not 1236: the replica comes again by itself. */
    sl_dump_fail(d, SL_ER_UNKNOWN_ERROR, "The relay has no binlog files yet; try again later");
}

/* ---- by GTID ---- */

static void fail_open(struct sl_dump *d, int rc, const struct sl_err *err)
{
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t offset;
    if (rc != SL_ENOENT) {
        sl_dump_fail_store(d, rc, err);
    } else if (!sl_store_tail(d->worker->relay->store, name, &offset)) {
        no_file_yet(d);
    } else {
        sl_dump_fail(d, SL_ER_MASTER_FATAL,
                     "Could not find GTID state requested by slave in any binlog files. Probably "
                     "the slave state is too old and required binlog files have been purged.");
    }
}

static int start_skipping(struct sl_dump *d, const struct sl_gtid_list *log)
{
    struct sl_gtid_skip_start from = {.position = &d->position,
                                      .until = d->has_until ? &d->until : NULL,
                                      .log = log,
                                      .list = sl_store_reader_list(d->reader),
                                      .start = sl_store_reader_start(d->reader),
                                      .is_strict = d->rs->strict};
    d->is_skipping = true;
    int rc = sl_gtid_skip_init(&d->skip, &from);
    return rc == SL_OK ? sl_gtid_list_copy(&d->sent, &d->position) : rc;
}

/* START SLAVE UNTIL, whose end the log has and whose beginning it has not: nothing of the domain is
 * sent, so that the beginning need not be here. (sql/sql_repl.cc, check_slave_start_position(), does
 * the same: a domain that is at its end is not in `until` any more.) SL_ENOMEM. */
static int leave_out_ended(struct sl_dump *d, const struct sl_gtid_list *log,
                           struct sl_gtid_list *ret_position)
{
    for (uint32_t i = 0; i < d->position.count; i++) {
        struct sl_gtid mine = d->position.gtid[i];
        const struct sl_gtid *end = sl_gtid_position_find(&d->until, mine.domain);
        bool is_ended = d->has_until && !sl_gtid_state_has(log, mine) &&
                        sl_gtid_state_knows_domain(log, mine.domain) &&
                        (!end || sl_gtid_state_has(log, *end));
        if (!is_ended && sl_gtid_position_set(ret_position, mine) != SL_OK) {
            return SL_ENOMEM;
        }
        if (is_ended && end) {
            sl_gtid_position_remove(&d->until, mine.domain);
        }
    }
    return SL_OK;
}

/* Can the replica be served? Else in *ret_missing what the log lacks. SL_ENOMEM. */
static int judge(struct sl_dump *d, const struct sl_gtid_list *log, enum sl_gtid_verdict *ret,
                 struct sl_gtid *ret_missing)
{
    struct sl_gtid_list wanted = SL_GTID_LIST_INIT;
    int rc = leave_out_ended(d, log, &wanted);
    if (rc == SL_OK) {
        *ret = sl_gtid_state_judge(log, &wanted, d->rs->ignore_duplicates, ret_missing);
    }
    sl_gtid_list_free(&wanted);
    return rc;
}

/* True: the reader is open. */
static bool open_at_position(struct sl_dump *d)
{
    struct sl_store *store = d->worker->relay->store;
    struct sl_gtid_list log = SL_GTID_LIST_INIT;
    struct sl_gtid missing;
    struct sl_err err = SL_ERR_INIT;
    enum sl_gtid_verdict verdict = SL_GTID_SERVED;
    int rc = sl_store_state(store, &log);
    if (rc == SL_OK) {
        rc = judge(d, &log, &verdict, &missing);
    }
    if (rc != SL_OK) {
        sl_gtid_list_free(&log);
        sl_dump_fail(d, SL_ER_UNKNOWN_ERROR, "Out of memory");
        return false;
    }
    /* Of an empty log nothing is known: what comes first may be older than the replica. */
    bool may_be_ahead = verdict == SL_GTID_AHEAD || (log.count == 0 && d->position.count > 0);
    if (may_be_ahead && may_wait(d)) {
        sl_dump_enter(d, SL_DUMP_WAITS);
    } else if (verdict == SL_GTID_AHEAD) {
        sl_dump_fail_ahead(d, missing, log_is_late(d));
    } else if (verdict != SL_GTID_SERVED) {
        sl_dump_fail_position(d, verdict, missing);
    } else if ((rc = sl_store_reader_open(store, &d->position, &d->reader, &err)) != SL_OK) {
        fail_open(d, rc, &err);
    } else if (start_skipping(d, &log) != SL_OK) {
        sl_dump_fail(d, SL_ER_UNKNOWN_ERROR, "Out of memory");
    }
    sl_gtid_list_free(&log);
    return d->step != SL_DUMP_OVER && d->reader != NULL;
}

/* ---- by file and position ---- */

static bool open_at_place(struct sl_dump *d)
{
    struct sl_store *store = d->worker->relay->store;
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t offset;
    struct sl_err err = SL_ERR_INIT;
    if (!sl_store_tail(store, name, &offset)) {
        no_file_yet(d);
        return false;
    }
    int rc = sl_store_reader_open_at(store, d->file, d->offset, &d->reader, &err);
    if (rc == SL_OK) {
        rc = sl_gtid_state_position(sl_store_reader_list(d->reader), &d->sent);
    }
    if (rc == SL_ENOENT) {
        sl_dump_fail(d, SL_ER_MASTER_FATAL,
                     "Could not find first log file name in binary log index file");
    } else if (rc == SL_EINVAL) {
        sl_dump_fail_at(d, SL_ER_MASTER_FATAL,
                        "Client requested master to start replication from impossible position");
    } else if (rc != SL_OK) {
        sl_dump_fail_store(d, rc, &err);
    }
    return rc == SL_OK;
}

/* ---- the first events ---- */

/* What the reader leaves out when it starts in the middle of the file. */
static int put_list_event(struct sl_dump *d)
{
    struct sl_slice list = sl_store_reader_list_event(d->reader);
    bool is_behind = d->is_by_gtid && sl_store_reader_start(d->reader)->count > 0;
    return is_behind ? sl_dump_put(d, list.data, (uint32_t)list.len, false) : SL_OK;
}

static void send_first(struct sl_dump *d)
{
    bool is_inside = !d->is_by_gtid && d->offset > SL_BINLOG_MAGIC_LEN;
    bool has_skipped = d->is_skipping && d->skip.has_skipped;
    const char *file = sl_store_reader_file(d->reader);
    int rc = sl_dump_put_fake_rotate(d, file, d->is_by_gtid ? SL_BINLOG_MAGIC_LEN : d->offset,
                                     d->rs->checksum_is_crc32);
    if (rc == SL_OK && sl_store_reader_has_crc(d->reader) && !d->rs->has_checksum) {
        sl_dump_fail_between(d, SL_ER_MASTER_FATAL,
                             "Slave can not handle replication events with the checksum that "
                             "master is configured to log",
                             SL_BINLOG_MAGIC_LEN,
                             SL_BINLOG_MAGIC_LEN + sl_store_reader_fde(d->reader).len);
        return;
    }
    if (rc == SL_OK) {
        rc = sl_dump_put_description(d, is_inside, has_skipped);
    }
    if (rc == SL_OK) {
        rc = put_list_event(d);
    }
    if (rc != SL_OK) {
        struct sl_err err;
        sl_err_set(&err, rc, "the beginning of '%s' cannot be sent: %s", file, sl_rc_text(rc));
        sl_dump_fail_store(d, rc, &err);
        return;
    }
    uint32_t log_pos = (uint32_t)sl_store_reader_offset(d->reader);
    if (d->is_skipping && !sl_dump_settle_skip(d, sl_gtid_skip_due(&d->skip), log_pos)) {
        return;
    }
    sl_dump_flush(d);
    sl_dump_enter(d, SL_DUMP_READS);
}

void sl_dump_begin(struct sl_dump *d)
{
    if (d->heartbeat_ms > 0 && !sl_timer_is_running(&d->timer)) {
        sl_timer_start(d->worker->worker->loop, &d->timer, d->heartbeat_ms);
    }
    bool is_open = d->is_by_gtid ? open_at_position(d) : open_at_place(d);
    if (!is_open) {
        return;
    }
    sl_replica_note(d->replica, sl_store_reader_file(d->reader), sl_store_reader_offset(d->reader),
                    &d->sent, false);
    send_first(d);
}
