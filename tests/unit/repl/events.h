/* SPDX-License-Identifier: Apache-2.0 */
/* Events of a MariaDB 10.11 primary as they came over the wire, for tests. With checksums. */
#ifndef SL_TEST_REPL_EVENTS_H
#define SL_TEST_REPL_EVENTS_H

#include <stdint.h>
#include <string.h>

#include "repl/event.h"

static const uint8_t wire_rotate_fake[] = {
    0,   0,   0,   0,    4,   1,   0,   0,   0,   0x2a, 0,    0,    0,    0,
    0,   0,   0,   0x20, 0,   4,   0,   0,   0,   0,    0,    0,    0,    'p',
    'b', 'i', 'n', '.',  '0', '0', '0', '0', '0', '1',  0xd9, 0xd9, 0x01, 0x82};
static const uint8_t wire_gtid[] = {
    0x7e, 0x11, 0, 0x6b, 0xa2, 1, 0, 0, 0, 0x2a, 0,    0, 0, 0xde, 3, 0, 0, 8,    0,    5,    0,
    0,    0,    0, 0,    0,    0, 7, 0, 0, 0,    0x0c, 0, 0, 0,    0, 0, 0, 0x28, 0x7f, 0xd5, 0x0a};
static const uint8_t wire_annotate[] = {
    0x7e, 0x11, 0,   0x6b, 0xa0, 1,   0,    0,   0,    0x40, 0,    0,   0,    0x1e, 4,    0,
    0,    0,    0,   'i',  'n',  's', 'e',  'r', 't',  ' ',  'i',  'n', 't',  'o',  ' ',  'd',
    '1',  '.',  't', '(',  'a',  ',', 'b',  ')', ' ',  'v',  'a',  'l', 'u',  'e',  's',  '(',
    '\'', 'h',  'e', 'l',  'l',  'o', '\'', ',', '\'', 'x',  '\'', ')', 0x5d, 0x3d, 0x11, 0xbb};
static const uint8_t wire_table_map[] = {
    0x7e, 0x11, 0, 0x6b, 0x13, 1,    0, 0,    0, 0x2f, 0, 0,    0,    0x4d, 4,   0,
    0,    0,    0, 0x12, 0,    0,    0, 0,    0, 1,    0, 2,    'd',  '1',  0,   1,
    't',  0,    3, 3,    0x0f, 0xfc, 3, 0x14, 0, 2,    6, 0x24, 0x15, 0xdd, 0xa8};
static const uint8_t wire_write_rows[] = {
    0x7e, 0x11, 0, 0x6b, 0x17, 1,   0,   0,   0, 0x2f, 0,   0,    0,    0x7c, 4,   0,
    0,    0,    0, 0x12, 0,    0,   0,   0,   0, 1,    0,   3,    7,    0xf8, 1,   0,
    0,    0,    5, 'h',  'e',  'l', 'l', 'o', 1, 0,    'x', 0x0c, 0x24, 0x8d, 0x92};
static const uint8_t wire_xid[] = {0x7e, 0x11, 0,    0x6b, 0x10, 1,    0,    0,    0,   0x1f, 0,
                                   0,    0,    0x9b, 4,    0,    0,    0,    0,    7,   0,    0,
                                   0,    0,    0,    0,    0,    0xb2, 0x72, 0xca, 0x95};
static const uint8_t wire_heartbeat[] = {
    0, 0, 0,   0,   0x1b, 1,   0,   0,   0,   0x22, 0,   0,   0,   0x5e, 2,    0,    0,
    0, 0, 'p', 'b', 'i',  'n', '.', '0', '0', '0',  '0', '0', '2', 0x3e, 0xb4, 0xa5, 0xb0};
static const uint8_t wire_gtid_list[] = {
    0, 0, 0, 0, 0xa3, 1, 0, 0, 0, 0x2b, 0, 0, 0, 0x38, 2, 0, 0, 0x20, 0,    1,    0,   0,
    0, 7, 0, 0, 0,    1, 0, 0, 0, 7,    0, 0, 0, 0,    0, 0, 0, 0xb1, 0x8c, 0xb0, 0x5e};

/* An event of `body` bytes behind its header, with a checksum; `room` is large enough. */
static inline uint32_t make_event(uint8_t *room, uint8_t type, uint16_t flags, const void *body,
                                  size_t body_len)
{
    uint32_t len = (uint32_t)(SL_EVENT_HEADER + body_len + SL_EVENT_CRC);
    struct sl_event_header h = {
        .timestamp = 1, .server_id = 1, .length = len, .flags = flags, .type = type};
    sl_event_header_put(room, &h);
    if (body_len > 0) {
        memcpy(room + SL_EVENT_HEADER, body, body_len);
    }
    sl_event_crc_put(room, len);
    return len;
}

/* A QUERY; `compressed` is the type QUERY_COMPRESSED, whose text the caller gives packed. */
static inline uint32_t make_query(uint8_t *room, bool compressed, const void *sql, size_t sql_len)
{
    uint8_t body[512] = {0};
    static const uint8_t status[] = {0, 0, 0, 0, 0}; /* code 0: flags2 */
    body[8] = 2;
    sl_put_le16(body + 11, sizeof status);
    memcpy(body + 13, status, sizeof status);
    memcpy(body + 13 + sizeof status, "d1", 3);
    memcpy(body + 16 + sizeof status, sql, sql_len);
    return make_event(room, compressed ? SL_EVENT_QUERY_COMPRESSED : SL_EVENT_QUERY, 0, body,
                      16 + sizeof status + sql_len);
}

static inline uint32_t make_gtid(uint8_t *room, uint32_t domain, uint64_t seq, uint8_t flags2)
{
    uint8_t body[19] = {0};
    sl_put_le64(body, seq);
    sl_put_le32(body + 8, domain);
    body[12] = flags2;
    return make_event(room, SL_EVENT_GTID, 0, body, sizeof body);
}

/* A FORMAT_DESCRIPTION as 10.11 writes it, as far as it is looked at. */
static inline uint32_t make_fde(uint8_t *room, uint8_t checksum_algorithm)
{
    uint8_t body[57 + 171 + 1] = {0};
    sl_put_le16(body, 4);
    memcpy(body + 2, "10.11.19-MariaDB-log", 20);
    sl_put_le32(body + 52, 1700000000);
    body[56] = SL_EVENT_HEADER;
    body[sizeof body - 1] = checksum_algorithm;
    return make_event(room, SL_EVENT_FORMAT_DESCRIPTION, 0, body, sizeof body);
}

#endif
