/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of events: any bytes go through all parsers, as an event and as a command; what was
 * parsed and can be built is built again and parsed to the same. A moved event has a right checksum.
 * The first byte tells whether there are checksums.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "repl/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_rotate(const uint8_t *event, uint32_t len, bool has_crc,
                         const struct sl_event_header *h)
{
    struct sl_rotate_event r;
    if (sl_rotate_event_parse(event, len, has_crc, &r) != SL_OK) {
        return;
    }
    char file[SL_BINLOG_FILE_NAME_MAX + 1] = {0};
    struct sl_buf out = SL_BUF_INIT;
    memcpy(file, r.file.data, r.file.len);
    sl_assert(sl_rotate_event_build(&out, h, file, r.position, has_crc) == SL_OK);
    sl_assert(sl_buf_len(&out) == len);
    sl_assert(memcmp(out.data + SL_EVENT_HEADER, event + SL_EVENT_HEADER, 8 + r.file.len) == 0);
    sl_buf_free(&out);
}

static void check_list(const uint8_t *event, uint32_t len, bool has_crc,
                       const struct sl_event_header *h)
{
    struct sl_gtid_list list = SL_GTID_LIST_INIT, again = SL_GTID_LIST_INIT;
    if (sl_gtid_list_event_parse(event, len, has_crc, &list) == SL_OK) {
        struct sl_buf out = SL_BUF_INIT;
        sl_assert(sl_gtid_list_event_build(&out, h, &list, 0, has_crc) == SL_OK);
        sl_assert(sl_gtid_list_event_parse(out.data, (uint32_t)sl_buf_len(&out), has_crc, &again) ==
                  SL_OK);
        sl_assert(again.count == list.count);
        sl_assert(list.count == 0 ||
                  memcmp(again.gtid, list.gtid, list.count * sizeof *list.gtid) == 0);
        sl_buf_free(&out);
    }
    sl_gtid_list_free(&list);
    sl_gtid_list_free(&again);
}

static void check_encryption(const uint8_t *event, uint32_t len, bool has_crc,
                             const struct sl_event_header *h)
{
    struct sl_start_encryption e;
    if (sl_start_encryption_parse(event, len, has_crc, &e) != SL_OK) {
        return;
    }
    struct sl_buf out = SL_BUF_INIT;
    sl_assert(sl_start_encryption_event_build(&out, h, &e, has_crc) == SL_OK);
    sl_assert(sl_buf_len(&out) == len);
    sl_assert(memcmp(out.data + SL_EVENT_HEADER, event + SL_EVENT_HEADER, 17) == 0);
    sl_buf_free(&out);
}

static void check_fde(uint8_t *event, uint32_t len)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_fde fde;
    if (sl_fde_parse(event, len, &fde, &err) != SL_OK) {
        sl_assert(err.text[0] != '\0');
        return;
    }
    sl_fde_clear_in_use(event, len);
    sl_assert(sl_event_crc_is_right(event, len));
    sl_fde_set_created(event, len, 0);
    sl_assert(sl_event_crc_is_right(event, len));
    sl_assert(sl_fde_parse(event, len, &fde, &err) == SL_OK && fde.created == 0);
}

static void check_event(uint8_t *event, uint32_t len, bool has_crc)
{
    struct sl_event_header h;
    struct sl_gtid_event gtid;
    struct sl_slice db, sql;
    if (len < SL_EVENT_HEADER) {
        return;
    }
    (void)sl_event_header_parse(event, &h);
    sl_assert(sl_event_type_text(h.type)[0] != '\0');
    (void)sl_gtid_event_parse(event, len, has_crc, &gtid);
    if (sl_query_event_parse(event, len, has_crc, &db, &sql) == SL_OK) {
        sl_assert(sql.data + sql.len + (has_crc ? SL_EVENT_CRC : 0) == event + len);
    }
    check_rotate(event, len, has_crc, &h);
    check_list(event, len, has_crc, &h);
    check_encryption(event, len, has_crc, &h);
    if (len >= SL_EVENT_HEADER + SL_EVENT_CRC) {
        sl_event_crc_put(event, len);
        sl_event_set_pos(event, len, ~h.log_pos, true);
        sl_assert(sl_event_crc_is_right(event, len));
    }
    check_fde(event, len);
}

static void check_commands(const uint8_t *data, size_t size)
{
    struct sl_register_slave r;
    struct sl_binlog_dump d;
    struct sl_semi_sync_ack a;
    if (sl_register_slave_parse(data, size, &r) == SL_OK) {
        sl_assert(r.host.data + r.host.len <= data + size);
    }
    if (sl_binlog_dump_parse(data, size, &d) == SL_OK) {
        sl_assert(d.file.len <= SL_BINLOG_FILE_NAME_MAX && d.file.len <= size - 10);
    }
    if (sl_semi_sync_ack_parse(data, size, &a) == SL_OK) {
        sl_assert(a.file.len <= SL_BINLOG_FILE_NAME_MAX && a.file.len <= size - 9);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > SL_EVENT_MAX) {
        return 0;
    }
    uint32_t len = (uint32_t)size - 1;
    uint8_t *copy = malloc(len + 1); /* exactly as long: a byte beyond is seen */
    sl_assert(copy);
    memcpy(copy, data + 1, len);
    uint8_t *event = len ? realloc(copy, len) : copy;
    check_commands(event, len);
    check_event(event, len, data[0] & 1);
    free(event);
    return 0;
}
