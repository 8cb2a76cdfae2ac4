/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection phase. See handshake.h.
 *
 * Sources: mariadb.com/kb "Connection" and "COM_CHANGE_USER"; behaviour checked on MariaDB 10.11.
 * The two words of capabilities: the classic 32 bits, and 32 more of MariaDB in bytes that MySQL
 * keeps reserved; the latter are meant only while bit 0 (CLIENT_MYSQL) is clear, on either side.
 */
#include "proto/handshake.h"

#include "base/assert.h"

#define PREFIX_LEN 32 /* of a handshake response; an SSLRequest is just this */
#define PREFIX_RESERVED 19
#define SCRAMBLE_PART_1 8
#define SCRAMBLE_PART_2 (SL_SCRAMBLE_LEN - SCRAMBLE_PART_1)

/* ---- greeting ---- */

static int refused(const uint8_t *payload, size_t len, struct sl_packet_err *ret_err)
{
    return sl_packet_err_parse(payload, len, ret_err) == SL_OK ? SL_EAUTH : SL_EPROTO;
}

/* The part behind the first scramble bytes. */
static void greeting_tail(struct sl_reader *r, struct sl_greeting *g)
{
    uint8_t auth_len;
    uint32_t extended;
    struct sl_slice part;
    g->capabilities = sl_read_u16(r);
    g->collation = sl_read_u8(r);
    g->status = sl_read_u16(r);
    g->capabilities |= (uint64_t)sl_read_u16(r) << 16;
    auth_len = sl_read_u8(r);
    (void)sl_read_take(r, 6);
    extended = sl_read_u32(r);
    g->is_mariadb = (g->capabilities & SL_CAP_MYSQL) == 0;
    if (g->is_mariadb) {
        g->capabilities |= (uint64_t)extended << 32;
    }
    /* At least 12 bytes and a NUL, whatever the length says. */
    part = sl_read_bytes(r, auth_len > 21 ? auth_len - SCRAMBLE_PART_1 : SCRAMBLE_PART_2 + 1);
    if (part.len > 0) {
        memcpy(g->scramble + SCRAMBLE_PART_1, part.data, SCRAMBLE_PART_2);
    }
    if (g->capabilities & SL_CAP_PLUGIN_AUTH) {
        g->plugin = sl_read_nulstr_or_rest(r);
    }
}

int sl_greeting_parse(const uint8_t *payload, size_t len, struct sl_greeting *ret,
                      struct sl_packet_err *ret_err)
{
    struct sl_reader r = sl_reader(payload, len);
    const uint8_t *part;
    *ret = (struct sl_greeting){0};
    if (len > 0 && payload[0] == SL_FIRST_ERR) {
        return refused(payload, len, ret_err);
    }
    if (sl_read_u8(&r) != 10) {
        return SL_EPROTO;
    }
    ret->version = sl_read_nulstr(&r);
    ret->connection_id = sl_read_u32(&r);
    part = sl_read_take(&r, SCRAMBLE_PART_1);
    if (part) {
        memcpy(ret->scramble, part, SCRAMBLE_PART_1);
    }
    (void)sl_read_u8(&r);
    greeting_tail(&r, ret);
    /* Without protocol 4.1 and 20-byte scrambles there is nothing to talk about. */
    if (r.failed || !(ret->capabilities & SL_CAP_PROTOCOL_41) ||
        !(ret->capabilities & SL_CAP_SECURE_CONNECTION)) {
        return SL_EPROTO;
    }
    return SL_OK;
}

int sl_greeting_build(struct sl_buf *buf, const struct sl_greeting *g)
{
    struct sl_writer w = sl_writer_buf(buf);
    size_t begin = sl_write_packet_begin(&w);
    sl_write_u8(&w, 10);
    sl_write_nulstr(&w, g->version);
    sl_write_u32(&w, g->connection_id);
    sl_write_bytes(&w, g->scramble, SCRAMBLE_PART_1);
    sl_write_u8(&w, 0);
    sl_write_u16(&w, (uint16_t)g->capabilities);
    sl_write_u8(&w, g->collation);
    sl_write_u16(&w, g->status);
    sl_write_u16(&w, (uint16_t)(g->capabilities >> 16));
    sl_write_u8(&w, g->capabilities & SL_CAP_PLUGIN_AUTH ? SL_SCRAMBLE_LEN + 1 : 0);
    sl_write_zeros(&w, 6);
    sl_write_u32(&w, g->capabilities & SL_CAP_MYSQL ? 0 : (uint32_t)(g->capabilities >> 32));
    sl_write_bytes(&w, g->scramble + SCRAMBLE_PART_1, SCRAMBLE_PART_2);
    sl_write_u8(&w, 0);
    if (g->capabilities & SL_CAP_PLUGIN_AUTH) {
        sl_write_nulstr(&w, g->plugin);
    }
    sl_write_packet_end(&w, begin, 0);
    return sl_writer_finish(&w);
}

/* Up to three digits at *at and the dot behind them. */
static uint32_t version_part(struct sl_slice version, size_t *at)
{
    uint32_t n = 0;
    size_t digits = 0;
    while (*at < version.len && digits < 3 && version.data[*at] >= '0' &&
           version.data[*at] <= '9') {
        n = n * 10 + (uint32_t)(version.data[*at] - '0');
        (*at)++;
        digits++;
    }
    if (digits > 0 && *at < version.len && version.data[*at] == '.') {
        (*at)++;
    }
    return n;
}

uint32_t sl_version_number(struct sl_slice version)
{
    static const char prefix[] = "5.5.5-"; /* put in front by 10.x for the sake of old replicas */
    size_t prefix_len = sizeof(prefix) - 1;
    size_t at = 0;
    uint32_t n;
    if (version.len > prefix_len && memcmp(version.data, prefix, prefix_len) == 0) {
        at = prefix_len;
    }
    n = version_part(version, &at) * 10000;
    n += version_part(version, &at) * 100;
    n += version_part(version, &at);
    return n;
}

/* ---- handshake response ---- */

bool sl_ssl_request_is(const uint8_t *payload, size_t len)
{
    return len == PREFIX_LEN && (sl_get_le32(payload) & SL_CAP_SSL) != 0;
}

static struct sl_slice read_auth(struct sl_reader *r, uint64_t capabilities)
{
    if (capabilities & SL_CAP_AUTH_LENENC) {
        return sl_read_lestr(r);
    }
    if (capabilities & SL_CAP_SECURE_CONNECTION) {
        return sl_read_bytes(r, sl_read_u8(r));
    }
    return sl_read_nulstr(r);
}

/* The attribute block, checked: every pair must lie inside it. */
static struct sl_slice read_attributes(struct sl_reader *r)
{
    struct sl_slice block = sl_read_lestr(r);
    struct sl_reader pairs = sl_reader_slice(block);
    struct sl_slice key, value;
    while (sl_attributes_next(&pairs, &key, &value)) {
    }
    r->failed |= pairs.failed || block.len > SL_ATTRIBUTES_MAX;
    return block;
}

int sl_handshake_response_parse(const uint8_t *payload, size_t len,
                                struct sl_handshake_response *ret, uint16_t *ret_code)
{
    struct sl_reader r = sl_reader(payload, len);
    uint32_t extended;
    *ret = (struct sl_handshake_response){0};
    *ret_code = SL_ER_HANDSHAKE;
    if (len >= 2 && !(sl_get_le16(payload) & SL_CAP_PROTOCOL_41)) {
        *ret_code = SL_ER_NOT_SUPPORTED_AUTH_MODE;
        return SL_EPROTO;
    }
    ret->capabilities = sl_read_u32(&r);
    ret->max_packet = sl_read_u32(&r);
    ret->collation = sl_read_u8(&r);
    (void)sl_read_take(&r, PREFIX_RESERVED);
    extended = sl_read_u32(&r);
    if (!(ret->capabilities & SL_CAP_MYSQL)) {
        ret->capabilities |= (uint64_t)extended << 32;
    }
    ret->user = sl_read_nulstr(&r);
    ret->auth = read_auth(&r, ret->capabilities);
    if (ret->capabilities & SL_CAP_CONNECT_WITH_DB) {
        ret->database = sl_read_nulstr_or_rest(&r);
    }
    if (ret->capabilities & SL_CAP_PLUGIN_AUTH) {
        ret->plugin = sl_read_nulstr_or_rest(&r);
    }
    if ((ret->capabilities & SL_CAP_CONNECT_ATTRS) && sl_reader_left(&r) > 0) {
        ret->attributes = read_attributes(&r);
    }
    if (r.failed) {
        return SL_EPROTO;
    }
    *ret_code = 0;
    return SL_OK;
}

static void write_prefix(struct sl_writer *w, const struct sl_handshake_response *r,
                         uint64_t capabilities)
{
    sl_write_u32(w, (uint32_t)capabilities);
    sl_write_u32(w, r->max_packet);
    sl_write_u8(w, r->collation);
    sl_write_zeros(w, PREFIX_RESERVED);
    sl_write_u32(w, capabilities & SL_CAP_MYSQL ? 0 : (uint32_t)(capabilities >> 32));
}

int sl_ssl_request_build(struct sl_buf *buf, uint8_t seq, const struct sl_handshake_response *r)
{
    struct sl_writer w = sl_writer_buf(buf);
    size_t begin = sl_write_packet_begin(&w);
    write_prefix(&w, r, r->capabilities | SL_CAP_SSL);
    sl_write_packet_end(&w, begin, seq);
    return sl_writer_finish(&w);
}

int sl_handshake_response_build(struct sl_buf *buf, uint8_t seq,
                                const struct sl_handshake_response *r)
{
    struct sl_writer w = sl_writer_buf(buf);
    size_t begin = sl_write_packet_begin(&w);
    write_prefix(&w, r, r->capabilities);
    sl_write_nulstr(&w, r->user);
    if (r->capabilities & SL_CAP_AUTH_LENENC) {
        sl_write_lestr(&w, r->auth);
    } else if (r->capabilities & SL_CAP_SECURE_CONNECTION && r->auth.len <= 0xFF) {
        sl_write_u8(&w, (uint8_t)r->auth.len);
        sl_write_bytes(&w, r->auth.data, r->auth.len);
    } else {
        w.rc = w.rc != SL_OK ? w.rc : SL_ELIMIT;
    }
    if (r->capabilities & SL_CAP_CONNECT_WITH_DB) {
        sl_write_nulstr(&w, r->database);
    }
    if (r->capabilities & SL_CAP_PLUGIN_AUTH) {
        sl_write_nulstr(&w, r->plugin);
    }
    if (r->capabilities & SL_CAP_CONNECT_ATTRS) {
        sl_write_lestr(&w, r->attributes);
    }
    sl_write_packet_end(&w, begin, seq);
    return sl_writer_finish(&w);
}

bool sl_attributes_next(struct sl_reader *block, struct sl_slice *ret_key,
                        struct sl_slice *ret_value)
{
    if (block->failed || sl_reader_left(block) == 0) {
        return false;
    }
    *ret_key = sl_read_lestr(block);
    *ret_value = sl_read_lestr(block);
    return !block->failed;
}

int sl_attributes_append(struct sl_buf *block, struct sl_slice key, struct sl_slice value)
{
    struct sl_writer w = sl_writer_buf(block);
    sl_write_lestr(&w, key);
    sl_write_lestr(&w, value);
    return sl_writer_finish(&w);
}

/* ---- authentication rounds ---- */

static int parse_switch(const uint8_t *payload, size_t len, struct sl_auth_packet *ret)
{
    struct sl_reader r = sl_reader(payload + 1, len - 1);
    if (len == 1) {
        ret->kind = SL_AUTH_PACKET_OLD_SWITCH;
        return SL_OK;
    }
    ret->kind = SL_AUTH_PACKET_SWITCH;
    ret->plugin = sl_read_nulstr(&r);
    ret->data = sl_read_rest(&r);
    return r.failed ? SL_EPROTO : SL_OK;
}

int sl_auth_packet_parse(const uint8_t *payload, size_t len, bool session_track,
                         struct sl_auth_packet *ret)
{
    *ret = (struct sl_auth_packet){.kind = SL_AUTH_PACKET_DATA, .data = sl_slice(payload, len)};
    if (len == 0) {
        return SL_OK;
    }
    switch (payload[0]) {
    case SL_FIRST_OK:
        ret->kind = SL_AUTH_PACKET_OK;
        return sl_packet_ok_parse(payload, len, session_track, &ret->ok);
    case SL_FIRST_ERR:
        ret->kind = SL_AUTH_PACKET_ERR;
        return sl_packet_err_parse(payload, len, &ret->err);
    case SL_FIRST_EOF:
        return parse_switch(payload, len, ret);
    case SL_FIRST_AUTH_MORE:
        ret->data = sl_slice(payload + 1, len - 1);
        return SL_OK;
    default:
        return SL_OK;
    }
}

int sl_auth_switch_scramble(struct sl_slice data, uint8_t ret_scramble[SL_SCRAMBLE_LEN])
{
    if (data.len != SL_SCRAMBLE_LEN &&
        !(data.len == SL_SCRAMBLE_LEN + 1 && data.data[SL_SCRAMBLE_LEN] == 0)) {
        return SL_EPROTO;
    }
    memcpy(ret_scramble, data.data, SL_SCRAMBLE_LEN);
    return SL_OK;
}

int sl_auth_switch_build(struct sl_buf *buf, uint8_t seq, const char *plugin, struct sl_slice data)
{
    struct sl_writer w = sl_writer_buf(buf);
    size_t begin = sl_write_packet_begin(&w);
    sl_write_u8(&w, SL_FIRST_EOF);
    sl_write_nulstr(&w, sl_slice_text(plugin));
    sl_write_bytes(&w, data.data, data.len);
    sl_write_packet_end(&w, begin, seq);
    return sl_writer_finish(&w);
}

int sl_auth_switch_native_build(struct sl_buf *buf, uint8_t seq,
                                const uint8_t scramble[SL_SCRAMBLE_LEN])
{
    uint8_t data[SL_SCRAMBLE_LEN + 1] = {0};
    memcpy(data, scramble, SL_SCRAMBLE_LEN);
    return sl_auth_switch_build(buf, seq, SL_PLUGIN_NATIVE, sl_slice(data, sizeof(data)));
}

int sl_auth_more_build(struct sl_buf *buf, uint8_t seq, struct sl_slice data)
{
    struct sl_writer w = sl_writer_buf(buf);
    size_t begin = sl_write_packet_begin(&w);
    uint8_t first = data.len > 0 ? data.data[0] : 2;
    if (first <= SL_FIRST_AUTH_MORE || first >= SL_FIRST_EOF) {
        sl_write_u8(&w, SL_FIRST_AUTH_MORE);
    }
    sl_write_bytes(&w, data.data, data.len);
    sl_write_packet_end(&w, begin, seq);
    return sl_writer_finish(&w);
}

int sl_auth_answer_build(struct sl_buf *buf, uint8_t seq, struct sl_slice data)
{
    struct sl_writer w = sl_writer_buf(buf);
    size_t begin = sl_write_packet_begin(&w);
    sl_write_bytes(&w, data.data, data.len);
    sl_write_packet_end(&w, begin, seq);
    return sl_writer_finish(&w);
}

/* ---- COM_CHANGE_USER ---- */

int sl_change_user_parse(const uint8_t *payload, size_t len, uint64_t capabilities,
                         struct sl_change_user *ret)
{
    struct sl_reader r = sl_reader(payload, len);
    *ret = (struct sl_change_user){.collation = 0};
    if (sl_read_u8(&r) != SL_COM_CHANGE_USER) {
        return SL_EPROTO;
    }
    ret->user = sl_read_nulstr(&r);
    if (capabilities & SL_CAP_SECURE_CONNECTION) {
        ret->auth = sl_read_bytes(&r, sl_read_u8(&r));
    } else {
        ret->auth = sl_read_nulstr(&r);
    }
    ret->database = sl_read_nulstr_or_rest(&r);
    if (sl_reader_left(&r) >= 2) { /* older clients stop here */
        ret->has_collation = true;
        ret->collation = sl_read_u16(&r);
        if ((capabilities & SL_CAP_PLUGIN_AUTH) && sl_reader_left(&r) > 0) {
            ret->plugin = sl_read_nulstr_or_rest(&r);
        }
        if ((capabilities & SL_CAP_CONNECT_ATTRS) && sl_reader_left(&r) > 0) {
            ret->attributes = read_attributes(&r);
        }
    }
    return r.failed ? SL_EPROTO : SL_OK;
}

int sl_change_user_build(struct sl_buf *buf, uint64_t capabilities, const struct sl_change_user *c)
{
    struct sl_writer w = sl_writer_buf(buf);
    size_t begin = sl_write_packet_begin(&w);
    if (c->auth.len > 0xFF) {
        return SL_ELIMIT;
    }
    sl_write_u8(&w, SL_COM_CHANGE_USER);
    sl_write_nulstr(&w, c->user);
    sl_write_u8(&w, (uint8_t)c->auth.len);
    sl_write_bytes(&w, c->auth.data, c->auth.len);
    sl_write_nulstr(&w, c->database);
    sl_write_u16(&w, c->collation);
    if (capabilities & SL_CAP_PLUGIN_AUTH) {
        sl_write_nulstr(&w, c->plugin);
        if (capabilities & SL_CAP_CONNECT_ATTRS) {
            sl_write_lestr(&w, c->attributes);
        }
    }
    sl_write_packet_end(&w, begin, 0);
    return sl_writer_finish(&w);
}
