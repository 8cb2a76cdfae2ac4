/* SPDX-License-Identifier: Apache-2.0 */
/* Text result sets for statements that the proxy answers itself. See ok.h. */
#include "base/assert.h"
#include "proto/ok.h"

#define UTF8_GENERAL_CI 33
#define BINARY_COLLATION 63

static bool is_numeric(uint8_t type)
{
    return type == SL_TYPE_TINY || type == SL_TYPE_SHORT || type == SL_TYPE_LONG ||
           type == SL_TYPE_LONGLONG || type == SL_TYPE_INT24 || type == SL_TYPE_FLOAT ||
           type == SL_TYPE_DOUBLE || type == SL_TYPE_NEWDECIMAL;
}

static void definition(struct sl_resultset *rs, const struct sl_resultset_column *c, bool extended)
{
    struct sl_writer *w = &rs->writer;
    uint8_t type = c->type ? c->type : SL_TYPE_VAR_STRING;
    bool numeric = is_numeric(type);
    size_t begin = sl_write_packet_begin(w);
    sl_write_lestr(w, sl_slice_text("def"));
    sl_write_zeros(w, 3); /* database, table alias, table */
    sl_write_lestr(w, sl_slice_text(c->name));
    sl_write_u8(w, 0); /* original column name */
    if (extended) {
        sl_write_u8(w, 0); /* no extended type */
    }
    sl_write_u8(w, 0x0c);
    sl_write_u16(w, numeric ? BINARY_COLLATION : UTF8_GENERAL_CI);
    sl_write_u32(w, c->length ? c->length : numeric ? 21 : 255 * 3);
    sl_write_u8(w, type);
    sl_write_u16(w, c->flags);
    sl_write_u8(w, numeric ? 0 : 39); /* decimals: "not fixed" for strings */
    sl_write_u16(w, 0);
    sl_write_packet_end(w, begin, rs->seq++);
}

static void end_of_part(struct sl_resultset *rs, bool as_ok)
{
    struct sl_writer *w = &rs->writer;
    size_t begin = sl_write_packet_begin(w);
    sl_write_u8(w, SL_FIRST_EOF);
    sl_write_u16(w, 0); /* EOF: warnings; OK: affected rows and insert id */
    sl_write_u16(w, rs->status);
    if (as_ok) {
        sl_write_u16(w, 0);
    }
    sl_write_packet_end(w, begin, rs->seq++);
}

void sl_resultset_begin(struct sl_resultset *rs, struct sl_buf *buf, uint8_t seq,
                        uint64_t capabilities, uint16_t status,
                        const struct sl_resultset_column *columns, size_t column_count)
{
    size_t begin;
    sl_assert(column_count > 0 && column_count < 0xFFFF);
    *rs = (struct sl_resultset){
        .writer = sl_writer_buf(buf),
        .column_count = column_count,
        .seq = seq,
        .deprecate_eof = (capabilities & SL_CAP_DEPRECATE_EOF) != 0,
        .status = status & (uint16_t)~SL_STATUS_SESSION_STATE_CHANGED,
    };
    begin = sl_write_packet_begin(&rs->writer);
    sl_write_lenenc(&rs->writer, column_count);
    if (capabilities & SL_CAP_CACHE_METADATA) {
        sl_write_u8(&rs->writer, 1); /* definitions follow */
    }
    sl_write_packet_end(&rs->writer, begin, rs->seq++);
    for (size_t i = 0; i < column_count; i++) {
        definition(rs, &columns[i], (capabilities & SL_CAP_EXTENDED_METADATA) != 0);
    }
    if (!rs->deprecate_eof) {
        end_of_part(rs, false);
    }
}

void sl_resultset_row(struct sl_resultset *rs, const struct sl_slice *values)
{
    struct sl_writer *w = &rs->writer;
    size_t begin = sl_write_packet_begin(w);
    for (size_t i = 0; i < rs->column_count; i++) {
        if (values[i].data) {
            sl_write_lestr(w, values[i]);
        } else {
            sl_write_u8(w, SL_FIRST_NULL);
        }
    }
    sl_write_packet_end(w, begin, rs->seq++);
}

int sl_resultset_end(struct sl_resultset *rs)
{
    end_of_part(rs, rs->deprecate_eof);
    return sl_writer_finish(&rs->writer);
}
