/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Binlog events of MariaDB: headers, the few bodies that a relay must understand, checksums, and
 * the events that it makes itself. Bytes in, values and bytes out: no I/O, no state, any thread.
 *
 * Format: MariaDB documentation "Replication Protocol" / "Binlog Event"; sql/log_event.h,
 * log_event_server.cc. An event = header of 19 bytes, body, checksum of 4 bytes if the current
 * FORMAT_DESCRIPTION says so; the FORMAT_DESCRIPTION itself always has one.
 */
#ifndef SL_REPL_EVENT_H
#define SL_REPL_EVENT_H

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/slice.h"
#include "repl/gtid_list.h"

enum {
    SL_EVENT_HEADER = 19,
    SL_EVENT_CRC = 4,
    SL_BINLOG_MAGIC_LEN = 4,
    SL_BINLOG_FILE_NAME_MAX = 255,
    SL_FDE_MAX = 1024, /* bytes of a FORMAT_DESCRIPTION; 252 on 10.11 */
    SL_BINLOG_NONCE_LEN = 12
};
/* An event is smaller than this (slave_max_allowed_packet's maximum). */
#define SL_EVENT_MAX ((uint32_t)1 << 30)

enum sl_event_type {
    SL_EVENT_QUERY = 2,
    SL_EVENT_STOP = 3,
    SL_EVENT_ROTATE = 4,
    SL_EVENT_INTVAR = 5,
    SL_EVENT_APPEND_BLOCK = 9,
    SL_EVENT_DELETE_FILE = 11,
    SL_EVENT_RAND = 13,
    SL_EVENT_USER_VAR = 14,
    SL_EVENT_FORMAT_DESCRIPTION = 15,
    SL_EVENT_XID = 16,
    SL_EVENT_BEGIN_LOAD_QUERY = 17,
    SL_EVENT_EXECUTE_LOAD_QUERY = 18,
    SL_EVENT_TABLE_MAP = 19,
    SL_EVENT_WRITE_ROWS = 23,
    SL_EVENT_UPDATE_ROWS = 24,
    SL_EVENT_DELETE_ROWS = 25,
    SL_EVENT_INCIDENT = 26,
    SL_EVENT_HEARTBEAT = 27,
    SL_EVENT_WRITE_ROWS_V2 = 30,
    SL_EVENT_UPDATE_ROWS_V2 = 31,
    SL_EVENT_DELETE_ROWS_V2 = 32,
    SL_EVENT_XA_PREPARE = 38,
    SL_EVENT_ANNOTATE_ROWS = 160,
    SL_EVENT_BINLOG_CHECKPOINT = 161,
    SL_EVENT_GTID = 162,
    SL_EVENT_GTID_LIST = 163,
    SL_EVENT_START_ENCRYPTION = 164,
    SL_EVENT_QUERY_COMPRESSED = 165,
    SL_EVENT_WRITE_ROWS_COMPRESSED = 166,
    SL_EVENT_UPDATE_ROWS_COMPRESSED = 167,
    SL_EVENT_DELETE_ROWS_COMPRESSED = 168,
    SL_EVENT_WRITE_ROWS_COMPRESSED_V2 = 169,
    SL_EVENT_UPDATE_ROWS_COMPRESSED_V2 = 170,
    SL_EVENT_DELETE_ROWS_COMPRESSED_V2 = 171
};

enum sl_event_flags {
    SL_EVENT_FLAG_IN_USE = 0x0001, /* FORMAT_DESCRIPTION only; not part of its checksum */
    SL_EVENT_FLAG_ARTIFICIAL = 0x0020,
    SL_EVENT_FLAG_IGNORABLE = 0x0080,
    SL_EVENT_FLAG_SKIP_REPLICATION = 0x8000
};

enum sl_gtid_flags2 {
    SL_GTID_STANDALONE = 0x01,
    SL_GTID_GROUP_COMMIT_ID = 0x02,
    SL_GTID_TRANSACTIONAL = 0x04,
    SL_GTID_DDL = 0x20,
    SL_GTID_PREPARED_XA = 0x40,
    SL_GTID_COMPLETED_XA = 0x80
};

struct sl_event_header {
    uint32_t timestamp; /* s since the epoch, the primary's clock; 0 if artificial */
    uint32_t server_id;
    uint32_t length; /* header and checksum included */
    uint32_t log_pos;
    uint16_t flags;
    uint8_t type;
};

/* At least SL_EVENT_HEADER bytes must be there. SL_EPROTO: the length is impossible. */
int sl_event_header_parse(const uint8_t *data, struct sl_event_header *ret);
void sl_event_header_put(uint8_t *data, const struct sl_event_header *h);
static inline uint8_t sl_event_type(const uint8_t *data)
{
    return data[4];
}
static inline uint32_t sl_event_length(const uint8_t *data)
{
    return sl_get_le32(data + 9);
}
/* As SHOW BINLOG EVENTS has it: "Query", "Gtid", ...; "Unknown". */
const char *sl_event_type_text(uint8_t type);

/* ---- checksums: of the whole event, whose last 4 bytes they are ---- */

/* A FORMAT_DESCRIPTION with or without IN_USE has the same checksum. Too short: not right. */
bool sl_event_crc_is_right(const uint8_t *event, uint32_t len);
void sl_event_crc_put(uint8_t *event, uint32_t len); /* len >= header + checksum */
/* Over pieces: start with 0. */
uint32_t sl_event_crc_add(uint32_t crc, const void *data, size_t len);
/* log_pos becomes `pos`; with a checksum (which must be right) that is made right again, without
 * reading the event once more if it is long. */
void sl_event_set_pos(uint8_t *event, uint32_t len, uint32_t pos, bool has_crc);

/* ---- bodies; `event` is whole, has_crc tells whether it ends in a checksum ---- */

struct sl_fde {
    uint32_t created;
    bool has_crc; /* of the events that follow */
    char server_version[51];
};
/* It always ends in a checksum, which is not verified here. SL_EPROTO with text. */
int sl_fde_parse(const uint8_t *event, uint32_t len, struct sl_fde *ret, struct sl_err *err);
/* Change one that was parsed in place and make its checksum again. */
void sl_fde_clear_in_use(uint8_t *event, uint32_t len);
void sl_fde_set_created(uint8_t *event, uint32_t len, uint32_t created);

struct sl_gtid_event {
    struct sl_gtid gtid;
    uint8_t flags2;
};
int sl_gtid_event_parse(const uint8_t *event, uint32_t len, bool has_crc,
                        struct sl_gtid_event *ret);

struct sl_rotate_event {
    uint64_t position;
    struct sl_slice file;
};
int sl_rotate_event_parse(const uint8_t *event, uint32_t len, bool has_crc,
                          struct sl_rotate_event *ret);

enum sl_gtid_list_flags {
    SL_GTID_LIST_UNTIL_REACHED = 1 << 28,
    SL_GTID_LIST_IGN_GTIDS = 1 << 29
};
/* Into a state. SL_EPROTO, SL_ENOMEM. */
int sl_gtid_list_event_parse(const uint8_t *event, uint32_t len, bool has_crc,
                             struct sl_gtid_list *ret);

struct sl_start_encryption {
    uint8_t scheme;
    uint32_t key_version;
    uint8_t nonce[SL_BINLOG_NONCE_LEN];
};
int sl_start_encryption_parse(const uint8_t *event, uint32_t len, bool has_crc,
                              struct sl_start_encryption *ret);

/* The statement of a QUERY: database and text; of a QUERY_COMPRESSED the text is as it came.
 * SL_EPROTO. */
int sl_query_event_parse(const uint8_t *event, uint32_t len, bool has_crc, struct sl_slice *ret_db,
                         struct sl_slice *ret_sql);

/* ---- events made here; each appends one event to `out`: 0 or SL_ENOMEM ----
 * Type and length of the header are set by the builder; the rest is taken from `h`. */

int sl_rotate_event_build(struct sl_buf *out, const struct sl_event_header *h, const char *file,
                          uint64_t position, bool has_crc);
int sl_gtid_list_event_build(struct sl_buf *out, const struct sl_event_header *h,
                             const struct sl_gtid_list *list, uint32_t list_flags, bool has_crc);
int sl_heartbeat_event_build(struct sl_buf *out, uint32_t server_id, const char *file,
                             uint32_t log_pos, bool has_crc);
int sl_start_encryption_event_build(struct sl_buf *out, const struct sl_event_header *h,
                                    const struct sl_start_encryption *body, bool has_crc);

/* ---- commands of a replica (payload after the command byte) ---- */

struct sl_register_slave {
    uint32_t server_id;
    uint16_t port;
    uint32_t master_id;
    struct sl_slice host;
};
int sl_register_slave_parse(const uint8_t *payload, size_t len, struct sl_register_slave *ret);

enum sl_dump_flags {
    SL_DUMP_NON_BLOCK = 1,
    SL_DUMP_ANNOTATE_ROWS = 2
};
struct sl_binlog_dump {
    uint32_t position;
    uint16_t flags;
    uint32_t server_id;
    struct sl_slice file; /* empty: the oldest */
};
int sl_binlog_dump_parse(const uint8_t *payload, size_t len, struct sl_binlog_dump *ret);

struct sl_semi_sync_ack {
    uint64_t position;
    struct sl_slice file;
};
/* The whole payload, 0xef first. */
int sl_semi_sync_ack_parse(const uint8_t *payload, size_t len, struct sl_semi_sync_ack *ret);
/* Whole payloads of what a relay sends to its primary, command byte first: appended; 0 or SL_ENOMEM.
 * A host is cut at 255 bytes. */
int sl_semi_sync_ack_build(struct sl_buf *out, uint64_t position, const char *file);
int sl_register_slave_build(struct sl_buf *out, uint32_t server_id, const char *host,
                            uint16_t port);
int sl_binlog_dump_build(struct sl_buf *out, uint32_t server_id, uint32_t position, uint16_t flags,
                         const char *file);

#endif
