/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event headers, names of types, checksums. See event.h. No state; any thread.
 *
 * A checksum is the CRC32 of zlib over everything before it. That of a FORMAT_DESCRIPTION is made
 * as if IN_USE was clear, so that a server can flip the flag in the file without making it again.
 *
 * CRC32 is linear: crc(a ^ d) = crc(a) ^ r(d), where r is the remainder of the difference alone,
 * without the initial and final complement. A changed log_pos is a difference of 32 bits followed by
 * n zero bytes, that is d * x^(8 * (n + 4)) modulo the polynomial: about the work of checksumming
 * a few hundred bytes, whatever the event's length.
 */
#include "repl/event.h"

#include <libdeflate.h>

enum {
    OFF_LENGTH = 9,
    OFF_POS = 13,
    OFF_FLAGS = 17,
    /* Shorter events are faster checksummed anew: 8 KiB at 12 GB/s take as long as a shift. */
    SHIFT_FROM = 8192
};

/* ---- header ---- */

int sl_event_header_parse(const uint8_t *data, struct sl_event_header *ret)
{
    *ret = (struct sl_event_header){
        .timestamp = sl_get_le32(data),
        .type = data[4],
        .server_id = sl_get_le32(data + 5),
        .length = sl_get_le32(data + OFF_LENGTH),
        .log_pos = sl_get_le32(data + OFF_POS),
        .flags = sl_get_le16(data + OFF_FLAGS),
    };
    return ret->length >= SL_EVENT_HEADER && ret->length <= SL_EVENT_MAX ? SL_OK : SL_EPROTO;
}

void sl_event_header_put(uint8_t *data, const struct sl_event_header *h)
{
    sl_put_le32(data, h->timestamp);
    data[4] = h->type;
    sl_put_le32(data + 5, h->server_id);
    sl_put_le32(data + OFF_LENGTH, h->length);
    sl_put_le32(data + OFF_POS, h->log_pos);
    sl_put_le16(data + OFF_FLAGS, h->flags);
}

const char *sl_event_type_text(uint8_t type)
{
    /* As SHOW BINLOG EVENTS has them (sql/log_event.cc, get_type_str). */
    static const char *const names[256] = {
        [SL_EVENT_QUERY] = "Query",
        [SL_EVENT_STOP] = "Stop",
        [SL_EVENT_ROTATE] = "Rotate",
        [SL_EVENT_INTVAR] = "Intvar",
        [SL_EVENT_APPEND_BLOCK] = "Append_block",
        [SL_EVENT_DELETE_FILE] = "Delete_file",
        [SL_EVENT_RAND] = "RAND",
        [SL_EVENT_USER_VAR] = "User var",
        [SL_EVENT_FORMAT_DESCRIPTION] = "Format_desc",
        [SL_EVENT_XID] = "Xid",
        [SL_EVENT_BEGIN_LOAD_QUERY] = "Begin_load_query",
        [SL_EVENT_EXECUTE_LOAD_QUERY] = "Execute_load_query",
        [SL_EVENT_TABLE_MAP] = "Table_map",
        [SL_EVENT_WRITE_ROWS] = "Write_rows_v1",
        [SL_EVENT_UPDATE_ROWS] = "Update_rows_v1",
        [SL_EVENT_DELETE_ROWS] = "Delete_rows_v1",
        [SL_EVENT_INCIDENT] = "Incident",
        [SL_EVENT_HEARTBEAT] = "Heartbeat",
        [SL_EVENT_WRITE_ROWS_V2] = "Write_rows",
        [SL_EVENT_UPDATE_ROWS_V2] = "Update_rows",
        [SL_EVENT_DELETE_ROWS_V2] = "Delete_rows",
        [SL_EVENT_XA_PREPARE] = "XA_prepare",
        [SL_EVENT_ANNOTATE_ROWS] = "Annotate_rows",
        [SL_EVENT_BINLOG_CHECKPOINT] = "Binlog_checkpoint",
        [SL_EVENT_GTID] = "Gtid",
        [SL_EVENT_GTID_LIST] = "Gtid_list",
        [SL_EVENT_START_ENCRYPTION] = "Start_encryption",
        [SL_EVENT_QUERY_COMPRESSED] = "Query_compressed",
        [SL_EVENT_WRITE_ROWS_COMPRESSED] = "Write_rows_compressed_v1",
        [SL_EVENT_UPDATE_ROWS_COMPRESSED] = "Update_rows_compressed_v1",
        [SL_EVENT_DELETE_ROWS_COMPRESSED] = "Delete_rows_compressed_v1",
        [SL_EVENT_WRITE_ROWS_COMPRESSED_V2] = "Write_rows_compressed",
        [SL_EVENT_UPDATE_ROWS_COMPRESSED_V2] = "Update_rows_compressed",
        [SL_EVENT_DELETE_ROWS_COMPRESSED_V2] = "Delete_rows_compressed",
    };
    return names[type] ? names[type] : "Unknown";
}

/* ---- checksums ---- */

uint32_t sl_event_crc_add(uint32_t crc, const void *data, size_t len)
{
    /* libdeflate takes no data for the beginning of a new checksum. */
    return data ? libdeflate_crc32(crc, data, len) : crc;
}

static bool has_in_use(const uint8_t *event)
{
    return event[4] == SL_EVENT_FORMAT_DESCRIPTION &&
           (sl_get_le16(event + OFF_FLAGS) & SL_EVENT_FLAG_IN_USE);
}

static uint32_t compute(const uint8_t *event, uint32_t len)
{
    if (!has_in_use(event)) {
        return sl_event_crc_add(0, event, len - SL_EVENT_CRC);
    }
    uint8_t header[SL_EVENT_HEADER];
    memcpy(header, event, sizeof header);
    sl_put_le16(header + OFF_FLAGS,
                (uint16_t)(sl_get_le16(header + OFF_FLAGS) & ~SL_EVENT_FLAG_IN_USE));
    return sl_event_crc_add(sl_event_crc_add(0, header, sizeof header), event + SL_EVENT_HEADER,
                            len - SL_EVENT_HEADER - SL_EVENT_CRC);
}

bool sl_event_crc_is_right(const uint8_t *event, uint32_t len)
{
    return len >= SL_EVENT_HEADER + SL_EVENT_CRC &&
           compute(event, len) == sl_get_le32(event + len - SL_EVENT_CRC);
}

void sl_event_crc_put(uint8_t *event, uint32_t len)
{
    sl_put_le32(event + len - SL_EVENT_CRC, compute(event, len));
}

/* Polynomials over GF(2), the coefficient of x^0 in the highest bit. */
#define POLYNOMIAL 0xedb88320u
#define ONE 0x80000000u

static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = ONE; bit; bit >>= 1) {
        product ^= b & (0u - (uint32_t)((a & bit) != 0));
        b = b >> 1 ^ (POLYNOMIAL & (0u - (b & 1)));
    }
    return product;
}

/* x^(8 * n). */
static uint32_t power_of_byte(uint32_t n)
{
    /* x^(8 * 2^i): each is the square of the one before. */
    static const uint32_t squares[32] = {
        0x00800000, 0x00008000, 0xedb88320, 0xb1e6b092, 0xa06a2517, 0xed627dae, 0x88d14467,
        0xd7bbfe6a, 0xec447f11, 0x8e7ea170, 0x6427800e, 0x4d47bae0, 0x09fe548f, 0x83852d0f,
        0x30362f1a, 0x7b5a9cc3, 0x31fec169, 0x9fec022a, 0x6c8dedc4, 0x15d6874d, 0x5fde7a4e,
        0xbad90e37, 0x2e4e5eef, 0x4eaba214, 0xa8a472c0, 0x429a969e, 0x148d302a, 0xc40ba6d0,
        0xc4e22c3c, 0x40000000, 0x20000000, 0x08000000};
    uint32_t product = ONE;
    for (unsigned i = 0; n; n >>= 1, i++) {
        if (n & 1) {
            product = multiply(squares[i], product);
        }
    }
    return product;
}

void sl_event_set_pos(uint8_t *event, uint32_t len, uint32_t pos, bool has_crc)
{
    uint32_t difference = sl_get_le32(event + OFF_POS) ^ pos;
    sl_put_le32(event + OFF_POS, pos);
    if (!has_crc || difference == 0) {
        return;
    }
    if (len < SHIFT_FROM) {
        sl_event_crc_put(event, len);
        return;
    }
    uint32_t behind = len - SL_EVENT_CRC - OFF_POS - 4;
    uint8_t *crc = event + len - SL_EVENT_CRC;
    sl_put_le32(crc, sl_get_le32(crc) ^ multiply(power_of_byte(behind + 4), difference));
}
