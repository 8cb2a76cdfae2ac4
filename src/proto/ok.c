/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OK, EOF and ERR packets and the session-state block. See ok.h.
 *
 * Facts used here (checked against MariaDB 10.11): info is a lestr that is absent when it and the
 * state are empty; the state block is there iff status has SESSION_STATE_CHANGED and the link
 * tracks; a 5-byte EOF may have that flag without any data; the first ERR of a connection has no
 * sqlstate.
 */
#include "proto/ok.h"

#include <stdio.h>

#include "base/assert.h"

#define MESSAGE_MAX 512 /* MYSQL_ERRMSG_SIZE */

int sl_packet_ok_parse(const uint8_t *payload, size_t len, bool session_track,
                       struct sl_packet_ok *ret)
{
    struct sl_reader r = sl_reader(payload, len);
    *ret = (struct sl_packet_ok){.header = sl_read_u8(&r)};
    ret->affected_rows = sl_read_lenenc(&r);
    ret->last_insert_id = sl_read_lenenc(&r);
    ret->status = sl_read_u16(&r);
    ret->warnings = sl_read_u16(&r);
    if (r.failed || (ret->header != SL_FIRST_OK && ret->header != SL_FIRST_EOF)) {
        return SL_EPROTO;
    }
    if (session_track) {
        if (sl_reader_left(&r) > 0) {
            ret->info = sl_read_lestr(&r);
        }
        if ((ret->status & SL_STATUS_SESSION_STATE_CHANGED) && sl_reader_left(&r) > 0) {
            ret->state = sl_read_lestr(&r);
            ret->has_state = true;
        }
        return r.failed ? SL_EPROTO : SL_OK;
    }
    /* MariaDB writes a lestr here too, MySQL's documents say "rest": take what fits. */
    if (sl_reader_left(&r) > 0) {
        struct sl_reader lestr = r;
        ret->info = sl_read_lestr(&lestr);
        if (lestr.failed) {
            ret->info = sl_read_rest(&r);
        }
    }
    return SL_OK;
}

int sl_packet_eof_parse(const uint8_t *payload, size_t len, struct sl_packet_eof *ret)
{
    if (len < 5 || len >= 9 || payload[0] != SL_FIRST_EOF) {
        return SL_EPROTO;
    }
    ret->warnings = sl_get_le16(payload + 1);
    ret->status = sl_get_le16(payload + 3);
    return SL_OK;
}

int sl_packet_err_parse(const uint8_t *payload, size_t len, struct sl_packet_err *ret)
{
    struct sl_reader r = sl_reader(payload, len);
    uint8_t first = sl_read_u8(&r);
    *ret = (struct sl_packet_err){.code = sl_read_u16(&r)};
    if (r.failed || first != SL_FIRST_ERR) {
        return SL_EPROTO;
    }
    if (sl_reader_left(&r) >= 6 && r.at[0] == '#') {
        memcpy(ret->sqlstate, r.at + 1, 5);
        r.at += 6;
    }
    ret->message = sl_read_rest(&r);
    return SL_OK;
}

int sl_progress_parse(const uint8_t *payload, size_t len, struct sl_progress *ret)
{
    struct sl_reader r = sl_reader(payload, len);
    uint8_t first = sl_read_u8(&r);
    uint16_t code = sl_read_u16(&r);
    (void)sl_read_u8(&r); /* number of strings, always 1 */
    *ret = (struct sl_progress){.stage = sl_read_u8(&r)};
    ret->max_stage = sl_read_u8(&r);
    ret->progress_mpct = sl_read_u24(&r);
    ret->text = sl_read_lestr(&r);
    return r.failed || first != SL_FIRST_ERR || code != 0xFFFF ? SL_EPROTO : SL_OK;
}

/* ---- session state ---- */

struct sl_state_iter sl_state_iter(struct sl_slice block)
{
    return (struct sl_state_iter){.block = sl_reader_slice(block)};
}

static bool variable(struct sl_state_iter *it, struct sl_state_record *ret)
{
    *ret = (struct sl_state_record){.type = SL_STATE_SYSTEM_VARIABLE};
    ret->name = sl_read_lestr(&it->record);
    ret->value = sl_read_lestr(&it->record);
    it->block.failed |= it->record.failed;
    return !it->record.failed;
}

bool sl_state_next(struct sl_state_iter *it, struct sl_state_record *ret)
{
    struct sl_slice data;
    uint8_t type;
    if (it->block.failed) {
        return false;
    }
    if (sl_reader_left(&it->record) > 0) {
        return variable(it, ret);
    }
    if (sl_reader_left(&it->block) == 0) {
        return false;
    }
    type = sl_read_u8(&it->block);
    data = sl_read_lestr(&it->block);
    if (it->block.failed) {
        return false;
    }
    *ret = (struct sl_state_record){.type = type, .value = data};
    it->record = sl_reader_slice(data);
    if (type == SL_STATE_SYSTEM_VARIABLE) {
        return variable(it, ret);
    }
    if (type == SL_STATE_SCHEMA || type == SL_STATE_CHANGE ||
        type == SL_STATE_TRX_CHARACTERISTICS || type == SL_STATE_TRX_STATE) {
        ret->value = sl_read_lestr(&it->record);
        it->block.failed |= it->record.failed;
    }
    it->record = sl_reader(NULL, 0);
    return !it->block.failed;
}

int sl_packet_ok_strip(struct sl_buf *out, uint8_t seq, const uint8_t *payload, size_t len)
{
    struct sl_writer w = sl_writer_buf(out);
    struct sl_packet_ok ok;
    size_t begin;
    int rc = sl_packet_ok_parse(payload, len, true, &ok);
    if (rc != SL_OK) {
        return rc;
    }
    begin = sl_write_packet_begin(&w);
    sl_write_u8(&w, ok.header);
    sl_write_lenenc(&w, ok.affected_rows);
    sl_write_lenenc(&w, ok.last_insert_id);
    sl_write_u16(&w, ok.status & (uint16_t)~SL_STATUS_SESSION_STATE_CHANGED);
    sl_write_u16(&w, ok.warnings);
    if (ok.info.len > 0) {
        sl_write_lestr(&w, ok.info);
    }
    sl_write_packet_end(&w, begin, seq);
    return sl_writer_finish(&w);
}

/* Bytes of a block without the records of a variable; they are written too unless `w` is NULL.
 * MariaDB writes one record per variable (sql/session_tracker.cc); one that holds several stays. */
static size_t copy_records(struct sl_writer *w, struct sl_slice block, struct sl_slice variable)
{
    struct sl_reader in = sl_reader_slice(block);
    size_t kept = 0;
    while (sl_reader_left(&in) > 0) {
        const uint8_t *begin = in.at;
        uint8_t type = sl_read_u8(&in);
        struct sl_reader record = sl_reader_slice(sl_read_lestr(&in));
        struct sl_slice name = sl_read_lestr(&record);
        if (type == SL_STATE_SYSTEM_VARIABLE && sl_slice_equal(name, variable)) {
            continue;
        }
        kept += (size_t)(in.at - begin);
        if (w) {
            sl_write_bytes(w, begin, (size_t)(in.at - begin));
        }
    }
    return kept;
}

static void write_ok(struct sl_writer *w, const struct sl_packet_ok *ok, struct sl_slice variable)
{
    size_t kept = variable.len > 0 ? copy_records(NULL, ok->state, variable) : 0;
    uint16_t flag = kept > 0 ? 0 : SL_STATUS_SESSION_STATE_CHANGED;
    sl_write_u8(w, ok->header);
    sl_write_lenenc(w, ok->affected_rows);
    sl_write_lenenc(w, ok->last_insert_id);
    sl_write_u16(w, (uint16_t)(ok->status & ~(unsigned)flag));
    sl_write_u16(w, ok->warnings);
    if (ok->info.len > 0 || kept > 0) {
        sl_write_lestr(w, ok->info);
    }
    if (kept > 0) {
        sl_write_lenenc(w, kept);
        copy_records(w, ok->state, variable);
    }
}

size_t sl_packet_ok_hide(uint8_t *out, const uint8_t *packet, size_t len, const char *variable)
{
    const uint8_t *payload = packet + SL_PACKET_HEADER;
    struct sl_writer w = sl_writer_array(out, len);
    struct sl_packet_ok ok;
    if (len == SL_PACKET_HEADER + 5) { /* EOF: says that there is news, and has no room for it */
        memcpy(out, packet, len);
        sl_put_le16(out + SL_PACKET_HEADER + 3,
                    (uint16_t)(sl_get_le16(payload + 3) & ~SL_STATUS_SESSION_STATE_CHANGED));
        return len;
    }
    if (sl_packet_ok_parse(payload, len - SL_PACKET_HEADER, true, &ok) == SL_OK) {
        size_t begin = sl_write_packet_begin(&w);
        write_ok(&w, &ok, variable ? sl_slice_text(variable) : sl_slice(NULL, 0));
        sl_write_packet_end(&w, begin, sl_packet_seq(packet));
        if (sl_writer_finish(&w) == SL_OK) {
            return sl_writer_len(&w);
        }
    }
    memcpy(out, packet, len);
    return len;
}

/* ---- building ---- */

int sl_packet_vbuild_err(struct sl_buf *buf, uint8_t seq, uint16_t code, const char *sqlstate,
                         const char *fmt, va_list args)
{
    struct sl_writer w = sl_writer_buf(buf);
    const char *state = sqlstate ? sqlstate : sl_server_error_sqlstate(code);
    char message[MESSAGE_MAX];
    size_t begin;
    if (vsnprintf(message, sizeof(message), fmt, args) < 0) {
        message[0] = '\0';
    }
    begin = sl_write_packet_begin(&w);
    sl_write_u8(&w, SL_FIRST_ERR);
    sl_write_u16(&w, code);
    if (strlen(state) == 5) {
        sl_write_u8(&w, '#');
        sl_write_bytes(&w, state, 5);
    }
    sl_write_bytes(&w, message, strlen(message));
    sl_write_packet_end(&w, begin, seq);
    return sl_writer_finish(&w);
}

int sl_packet_build_err(struct sl_buf *buf, uint8_t seq, uint16_t code, const char *sqlstate,
                        const char *fmt, ...)
{
    va_list args;
    int rc;
    va_start(args, fmt);
    rc = sl_packet_vbuild_err(buf, seq, code, sqlstate, fmt, args);
    va_end(args);
    return rc;
}

int sl_packet_build_ok(struct sl_buf *buf, uint8_t seq, uint64_t affected_rows,
                       uint64_t last_insert_id, uint16_t status, uint16_t warnings,
                       const char *info)
{
    struct sl_writer w = sl_writer_buf(buf);
    size_t begin = sl_write_packet_begin(&w);
    sl_write_u8(&w, SL_FIRST_OK);
    sl_write_lenenc(&w, affected_rows);
    sl_write_lenenc(&w, last_insert_id);
    sl_write_u16(&w, status & (uint16_t)~SL_STATUS_SESSION_STATE_CHANGED);
    sl_write_u16(&w, warnings);
    if (info && info[0] != '\0') {
        sl_write_lestr(&w, sl_slice_text(info));
    }
    sl_write_packet_end(&w, begin, seq);
    return sl_writer_finish(&w);
}

int sl_packet_build_ok_state(struct sl_buf *buf, uint8_t seq, uint16_t status,
                             struct sl_slice state)
{
    struct sl_writer w = sl_writer_buf(buf);
    size_t begin = sl_write_packet_begin(&w);
    sl_write_u8(&w, SL_FIRST_OK);
    sl_write_lenenc(&w, 0);
    sl_write_lenenc(&w, 0);
    sl_write_u16(&w, status | SL_STATUS_SESSION_STATE_CHANGED);
    sl_write_u16(&w, 0);
    sl_write_lestr(&w, sl_slice(NULL, 0)); /* info */
    sl_write_lestr(&w, state);
    sl_write_packet_end(&w, begin, seq);
    return sl_writer_finish(&w);
}

int sl_packet_build_eof(struct sl_buf *buf, uint8_t seq, bool deprecate_eof, uint16_t status,
                        uint16_t warnings)
{
    struct sl_writer w = sl_writer_buf(buf);
    size_t begin = sl_write_packet_begin(&w);
    sl_write_u8(&w, SL_FIRST_EOF);
    if (deprecate_eof) {
        sl_write_u16(&w, 0); /* affected rows, insert id */
        sl_write_u16(&w, status);
        sl_write_u16(&w, warnings);
    } else {
        sl_write_u16(&w, warnings);
        sl_write_u16(&w, status);
    }
    sl_write_packet_end(&w, begin, seq);
    return sl_writer_finish(&w);
}

int sl_packet_build_command(struct sl_buf *buf, uint8_t command, struct sl_slice argument)
{
    struct sl_writer w = sl_writer_buf(buf);
    size_t head = SL_MIN(argument.len, (size_t)SL_PACKET_MAX - 1);
    uint8_t *header = sl_write_room(&w, SL_PACKET_HEADER);
    if (header) {
        sl_packet_put_header(header, (uint32_t)(head + 1), 0);
    }
    sl_write_u8(&w, command);
    sl_write_bytes(&w, argument.data, head);
    if (head + 1 == SL_PACKET_MAX) {
        (void)sl_write_packet(&w, 1, sl_slice(argument.data + head, argument.len - head));
    }
    return sl_writer_finish(&w);
}
