/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events that a relay makes itself, and the commands of a replica in both directions. See event.h.
 * Each builder reserves the whole length first: on SL_ENOMEM the buffer is as it was.
 */
#include "repl/event.h"

#include <string.h>

enum {
    COMMAND_BINLOG_DUMP = 0x12,
    COMMAND_REGISTER_SLAVE = 0x15,
    SEMI_SYNC_MAGIC = 0xef,
    BINLOG_DUMP_FIXED = 4 + 2 + 4,
    SEMI_SYNC_FIXED = 1 + 8,
    GTID_ENTRY = 16,
    GTID_LIST_EMPTY_PADDING = 2
};

/* ---- events ---- */

/* Room for an event of `body` bytes; header written, length set. NULL: SL_ENOMEM. */
static uint8_t *begin(struct sl_buf *out, const struct sl_event_header *h, uint8_t type,
                      size_t body, bool has_crc)
{
    struct sl_event_header own = *h;
    size_t len = SL_EVENT_HEADER + body + (has_crc ? SL_EVENT_CRC : 0);
    if (sl_buf_reserve(out, len) != SL_OK) {
        return NULL;
    }
    own.type = type;
    own.length = (uint32_t)len;
    uint8_t *event = out->data + out->end;
    sl_event_header_put(event, &own);
    return event;
}

static int finish(struct sl_buf *out, uint8_t *event, bool has_crc)
{
    uint32_t len = sl_event_length(event);
    if (has_crc) {
        sl_event_crc_put(event, len);
    }
    sl_buf_commit(out, len);
    return SL_OK;
}

int sl_rotate_event_build(struct sl_buf *out, const struct sl_event_header *h, const char *file,
                          uint64_t position, bool has_crc)
{
    size_t name_len = strlen(file);
    uint8_t *event = begin(out, h, SL_EVENT_ROTATE, 8 + name_len, has_crc);
    if (!event) {
        return SL_ENOMEM;
    }
    sl_put_le64(event + SL_EVENT_HEADER, position);
    memcpy(event + SL_EVENT_HEADER + 8, file, name_len);
    return finish(out, event, has_crc);
}

int sl_gtid_list_event_build(struct sl_buf *out, const struct sl_event_header *h,
                             const struct sl_gtid_list *list, uint32_t list_flags, bool has_crc)
{
    /* As long as a server's, which may have to turn an empty list into a dummy event
     * (Gtid_list_log_event::write). */
    size_t padding = list->count ? 0 : GTID_LIST_EMPTY_PADDING;
    size_t body = 4 + (size_t)list->count * GTID_ENTRY + padding;
    uint8_t *event = begin(out, h, SL_EVENT_GTID_LIST, body, has_crc);
    if (!event) {
        return SL_ENOMEM;
    }
    uint8_t *p = event + SL_EVENT_HEADER;
    sl_put_le32(p, list->count | list_flags);
    p += 4;
    for (uint32_t i = 0; i < list->count; i++, p += GTID_ENTRY) {
        sl_put_le32(p, list->gtid[i].domain);
        sl_put_le32(p + 4, list->gtid[i].server_id);
        sl_put_le64(p + 8, list->gtid[i].seq);
    }
    memset(p, 0, padding);
    return finish(out, event, has_crc);
}

int sl_heartbeat_event_build(struct sl_buf *out, uint32_t server_id, const char *file,
                             uint32_t log_pos, bool has_crc)
{
    struct sl_event_header h = {.server_id = server_id, .log_pos = log_pos};
    size_t name_len = strlen(file);
    uint8_t *event = begin(out, &h, SL_EVENT_HEARTBEAT, name_len, has_crc);
    if (!event) {
        return SL_ENOMEM;
    }
    memcpy(event + SL_EVENT_HEADER, file, name_len);
    return finish(out, event, has_crc);
}

int sl_start_encryption_event_build(struct sl_buf *out, const struct sl_event_header *h,
                                    const struct sl_start_encryption *body, bool has_crc)
{
    uint8_t *event = begin(out, h, SL_EVENT_START_ENCRYPTION, 5 + SL_BINLOG_NONCE_LEN, has_crc);
    if (!event) {
        return SL_ENOMEM;
    }
    event[SL_EVENT_HEADER] = body->scheme;
    sl_put_le32(event + SL_EVENT_HEADER + 1, body->key_version);
    memcpy(event + SL_EVENT_HEADER + 5, body->nonce, SL_BINLOG_NONCE_LEN);
    return finish(out, event, has_crc);
}

/* ---- commands of a replica (sql/repl_failsafe.cc, sql_repl.cc, semisync_master.cc) ---- */

static bool take(struct sl_slice *in, size_t len, const uint8_t **ret)
{
    if (in->len < len) {
        return false;
    }
    *ret = in->data;
    *in = sl_slice(in->data + len, in->len - len);
    return true;
}

static bool take_short_text(struct sl_slice *in, struct sl_slice *ret)
{
    const uint8_t *len, *text;
    if (!take(in, 1, &len) || !take(in, *len, &text)) {
        return false;
    }
    *ret = sl_slice(text, *len);
    return true;
}

int sl_register_slave_parse(const uint8_t *payload, size_t len, struct sl_register_slave *ret)
{
    struct sl_slice in = sl_slice(payload, len), user, password;
    const uint8_t *id, *rest;
    if (!take(&in, 4, &id) || !take_short_text(&in, &ret->host) || !take_short_text(&in, &user) ||
        !take_short_text(&in, &password) || !take(&in, 2 + 4 + 4, &rest)) {
        return SL_EPROTO;
    }
    ret->server_id = sl_get_le32(id);
    ret->port = sl_get_le16(rest);
    ret->master_id = sl_get_le32(rest + 6);
    return SL_OK;
}

/* A file name that fills the rest of a packet; clients may end it with NUL. */
static int file_of(struct sl_slice rest, struct sl_slice *ret)
{
    const uint8_t *end = rest.len ? memchr(rest.data, '\0', rest.len) : NULL;
    *ret = sl_slice(rest.data, end ? (size_t)(end - rest.data) : rest.len);
    return ret->len <= SL_BINLOG_FILE_NAME_MAX ? SL_OK : SL_EPROTO;
}

int sl_binlog_dump_parse(const uint8_t *payload, size_t len, struct sl_binlog_dump *ret)
{
    if (len < BINLOG_DUMP_FIXED) {
        return SL_EPROTO;
    }
    ret->position = sl_get_le32(payload);
    ret->flags = sl_get_le16(payload + 4);
    ret->server_id = sl_get_le32(payload + 6);
    return file_of(sl_slice(payload + BINLOG_DUMP_FIXED, len - BINLOG_DUMP_FIXED), &ret->file);
}

int sl_semi_sync_ack_parse(const uint8_t *payload, size_t len, struct sl_semi_sync_ack *ret)
{
    if (len <= SEMI_SYNC_FIXED || payload[0] != SEMI_SYNC_MAGIC) {
        return SL_EPROTO;
    }
    ret->position = sl_get_le64(payload + 1);
    return file_of(sl_slice(payload + SEMI_SYNC_FIXED, len - SEMI_SYNC_FIXED), &ret->file);
}

int sl_semi_sync_ack_build(struct sl_buf *out, uint64_t position, const char *file)
{
    size_t name_len = strlen(file), len = SEMI_SYNC_FIXED + name_len;
    if (sl_buf_reserve(out, len) != SL_OK) {
        return SL_ENOMEM;
    }
    uint8_t *p = out->data + out->end;
    p[0] = SEMI_SYNC_MAGIC;
    sl_put_le64(p + 1, position);
    memcpy(p + SEMI_SYNC_FIXED, file, name_len);
    sl_buf_commit(out, len);
    return SL_OK;
}

int sl_register_slave_build(struct sl_buf *out, uint32_t server_id, const char *host, uint16_t port)
{
    size_t host_len = strnlen(host, UINT8_MAX), len = 1 + 4 + 1 + host_len + 1 + 1 + 2 + 4 + 4;
    if (sl_buf_reserve(out, len) != SL_OK) {
        return SL_ENOMEM;
    }
    uint8_t *p = out->data + out->end;
    memset(p, 0, len); /* no user, no password; rank and master id 0 */
    p[0] = COMMAND_REGISTER_SLAVE;
    sl_put_le32(p + 1, server_id);
    p[5] = (uint8_t)host_len;
    memcpy(p + 6, host, host_len);
    sl_put_le16(p + 6 + host_len + 2, port);
    sl_buf_commit(out, len);
    return SL_OK;
}

int sl_binlog_dump_build(struct sl_buf *out, uint32_t server_id, uint32_t position, uint16_t flags,
                         const char *file)
{
    size_t name_len = strlen(file), len = 1 + BINLOG_DUMP_FIXED + name_len;
    if (sl_buf_reserve(out, len) != SL_OK) {
        return SL_ENOMEM;
    }
    uint8_t *p = out->data + out->end;
    p[0] = COMMAND_BINLOG_DUMP;
    sl_put_le32(p + 1, position);
    sl_put_le16(p + 5, flags);
    sl_put_le32(p + 7, server_id);
    memcpy(p + 1 + BINLOG_DUMP_FIXED, file, name_len);
    sl_buf_commit(out, len);
    return SL_OK;
}
