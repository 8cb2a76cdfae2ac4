/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of the events that a relay must understand. See event.h. Any length and content is parsed
 * or refused; nothing is read beyond the event. No state; any thread.
 *
 * Layouts: sql/log_event.h and log_event.cc of MariaDB 10.11, checked against its binlogs.
 */
#include "repl/event.h"

enum {
    FDE_VERSION = 4,
    FDE_SERVER_VERSION = 50,
    FDE_CREATED = SL_EVENT_HEADER + 2 + FDE_SERVER_VERSION,
    FDE_FIXED = 2 + FDE_SERVER_VERSION + 4 + 1, /* up to the table of post-header lengths */
    GTID_BODY_MIN = 19,
    GTID_ENTRY = 16,
    GTID_LIST_COUNT_MASK = 0x0fffffff,
    START_ENCRYPTION_BODY = 1 + 4 + SL_BINLOG_NONCE_LEN,
    QUERY_FIXED = 13
};

/* What is between header and checksum; false: the event is too short for both. */
static bool body_of(const uint8_t *event, uint32_t len, bool has_crc, struct sl_slice *ret)
{
    uint32_t around = SL_EVENT_HEADER + (has_crc ? SL_EVENT_CRC : 0);
    if (len < around) {
        return false;
    }
    *ret = sl_slice(event + SL_EVENT_HEADER, len - around);
    return true;
}

int sl_fde_parse(const uint8_t *event, uint32_t len, struct sl_fde *ret, struct sl_err *err)
{
    struct sl_slice body;
    if (!body_of(event, len, true, &body) || body.len < FDE_FIXED + 1 || len > SL_FDE_MAX) {
        return sl_err_set(err, SL_EPROTO,
                          "FORMAT_DESCRIPTION of %u bytes; %d to %d are possible: a binlog of "
                          "MariaDB 10 or newer is needed",
                          len, SL_EVENT_HEADER + FDE_FIXED + 1 + SL_EVENT_CRC, SL_FDE_MAX);
    }
    uint16_t version = sl_get_le16(body.data);
    uint8_t header = body.data[FDE_FIXED - 1];
    uint8_t algorithm = body.data[body.len - 1];
    if (version != FDE_VERSION || header != SL_EVENT_HEADER) {
        return sl_err_set(err, SL_EPROTO,
                          "binlog format %u with event headers of %u bytes; only format %d with "
                          "%d bytes is known",
                          version, header, FDE_VERSION, SL_EVENT_HEADER);
    }
    if (algorithm > 1) {
        return sl_err_set(err, SL_EPROTO,
                          "binlog checksum algorithm %u; only 0 (NONE) and 1 (CRC32) are known",
                          algorithm);
    }
    ret->created = sl_get_le32(event + FDE_CREATED);
    ret->has_crc = algorithm == 1;
    memcpy(ret->server_version, body.data + 2, FDE_SERVER_VERSION);
    ret->server_version[FDE_SERVER_VERSION] = '\0';
    return SL_OK;
}

void sl_fde_clear_in_use(uint8_t *event, uint32_t len)
{
    sl_put_le16(event + 17, (uint16_t)(sl_get_le16(event + 17) & ~SL_EVENT_FLAG_IN_USE));
    sl_event_crc_put(event, len);
}

void sl_fde_set_created(uint8_t *event, uint32_t len, uint32_t created)
{
    sl_put_le32(event + FDE_CREATED, created);
    sl_event_crc_put(event, len);
}

int sl_gtid_event_parse(const uint8_t *event, uint32_t len, bool has_crc, struct sl_gtid_event *ret)
{
    struct sl_slice body;
    if (!body_of(event, len, has_crc, &body) || body.len < GTID_BODY_MIN) {
        return SL_EPROTO;
    }
    ret->gtid.seq = sl_get_le64(body.data);
    ret->gtid.domain = sl_get_le32(body.data + 8);
    ret->gtid.server_id = sl_get_le32(event + 5);
    ret->flags2 = body.data[12];
    return SL_OK;
}

int sl_rotate_event_parse(const uint8_t *event, uint32_t len, bool has_crc,
                          struct sl_rotate_event *ret)
{
    struct sl_slice body;
    if (!body_of(event, len, has_crc, &body) || body.len < 9 ||
        body.len > 8 + SL_BINLOG_FILE_NAME_MAX) {
        return SL_EPROTO;
    }
    ret->position = sl_get_le64(body.data);
    ret->file = sl_slice(body.data + 8, body.len - 8);
    return memchr(ret->file.data, '\0', ret->file.len) ? SL_EPROTO : SL_OK;
}

int sl_gtid_list_event_parse(const uint8_t *event, uint32_t len, bool has_crc,
                             struct sl_gtid_list *ret)
{
    struct sl_slice body;
    sl_gtid_list_clear(ret);
    if (!body_of(event, len, has_crc, &body) || body.len < 4) {
        return SL_EPROTO;
    }
    /* An empty list has two bytes of padding: the length does not tell the count. */
    uint32_t count = sl_get_le32(body.data) & GTID_LIST_COUNT_MASK;
    if (count > SL_GTID_LIST_MAX || body.len - 4 < (size_t)count * GTID_ENTRY) {
        return SL_EPROTO;
    }
    int rc = sl_gtid_list_reserve(ret, count);
    for (uint32_t i = 0; rc == SL_OK && i < count; i++) {
        const uint8_t *entry = body.data + 4 + (size_t)i * GTID_ENTRY;
        ret->gtid[ret->count++] =
            (struct sl_gtid){sl_get_le32(entry), sl_get_le32(entry + 4), sl_get_le64(entry + 8)};
    }
    return rc == SL_OK ? sl_gtid_state_order(ret) : rc;
}

int sl_start_encryption_parse(const uint8_t *event, uint32_t len, bool has_crc,
                              struct sl_start_encryption *ret)
{
    struct sl_slice body;
    if (!body_of(event, len, has_crc, &body) || body.len != START_ENCRYPTION_BODY) {
        return SL_EPROTO;
    }
    ret->scheme = body.data[0];
    ret->key_version = sl_get_le32(body.data + 1);
    memcpy(ret->nonce, body.data + 5, SL_BINLOG_NONCE_LEN);
    return SL_OK;
}

int sl_query_event_parse(const uint8_t *event, uint32_t len, bool has_crc, struct sl_slice *ret_db,
                         struct sl_slice *ret_sql)
{
    struct sl_slice body;
    if (!body_of(event, len, has_crc, &body) || body.len < QUERY_FIXED) {
        return SL_EPROTO;
    }
    size_t db_len = body.data[8], status_len = sl_get_le16(body.data + 11);
    size_t before_sql = QUERY_FIXED + status_len + db_len + 1;
    if (body.len < before_sql || body.data[before_sql - 1] != '\0') {
        return SL_EPROTO;
    }
    *ret_db = sl_slice(body.data + QUERY_FIXED + status_len, db_len);
    *ret_sql = sl_slice(body.data + before_sql, body.len - before_sql);
    return SL_OK;
}
