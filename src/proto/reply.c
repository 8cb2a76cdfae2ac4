/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reply tracker. See reply.h for the contract and docs/internals/protocol.md for the states.
 *
 * One step looks at one physical packet: either its header (and first byte) is enough, then the
 * payload is skipped as it streams by, or the packet decides something and must be whole. The loop
 * over rows touches five bytes a packet.
 *
 * Invariants: I1 skip > 0 only between two packets' headers; I2 in_fragment says that the next
 * packet continues the last one and is skipped unread, whatever its first byte; I3 consumed bytes
 * never hold a part of a packet that was not judged; I4 a deciding packet is at most DECISIVE_MAX
 * long, so that nobody can make us buffer more.
 */
#include "proto/reply.h"

#include "base/assert.h"
#include "proto/constants.h"
#include "proto/ok.h"
#include "proto/packet.h"

#define DECISIVE_MAX (1u << 20)
#define COLUMNS_MAX 0xFFFFu
#define PROGRESS_REPORT 0xFFFF
#define PREPARE_OK_LEN 12

/* The packet under the cursor. */
struct packet {
    const uint8_t *payload;
    uint32_t len;  /* of the payload, by the header */
    uint8_t first; /* first payload byte, 0 if there is none */
};

enum verdict {
    TAKE_WHOLE,  /* consumed as a whole packet */
    TAKE_HEADER, /* consume the header, stream the payload */
    NEED_WHOLE,  /* must be whole first */
    STOP         /* BROKEN: consume nothing */
};

static enum verdict broken(struct sl_reply *r, const char *why)
{
    r->state = SL_REPLY_BROKEN;
    r->broken_why = why;
    return STOP;
}

void sl_reply_start(struct sl_reply *r, uint8_t command)
{
    uint16_t flags = sl_command_info(command)->flags;
    *r = (struct sl_reply){
        .state = SL_REPLY_FIRST,
        .command = command,
        .deprecate_eof = r->deprecate_eof,
        .session_track = r->session_track,
        .cache_metadata = r->cache_metadata,
        .stop_at_state = r->stop_at_state,
        .on_state = r->on_state,
        .on_error = r->on_error,
        .on_end = r->on_end,
        .arg = r->arg,
        .next_seq = 1,
        .need = SL_PACKET_HEADER,
    };
    if (flags & SL_COMMAND_NO_REPLY) {
        r->state = SL_REPLY_DONE;
    } else if (flags & SL_COMMAND_STREAM) {
        r->state = SL_REPLY_STREAM;
    } else if (command == SL_COM_STMT_FETCH) {
        r->state = SL_REPLY_ROWS; /* no definitions come */
    }
}

void sl_reply_infile_sent(struct sl_reply *r)
{
    if (r->state == SL_REPLY_INFILE) {
        r->state = SL_REPLY_FIRST;
        r->any_seq = true; /* the file's packets took numbers that we did not see */
        r->need = SL_PACKET_HEADER;
    }
}

/* ---- packets that decide ---- */

static void finish_unit(struct sl_reply *r, enum sl_reply_kind kind)
{
    r->kind = (uint8_t)kind;
    r->units++;
    r->state = kind != SL_REPLY_KIND_ERR && (r->status & SL_STATUS_MORE_RESULTS) ? SL_REPLY_FIRST
                                                                                 : SL_REPLY_DONE;
}

static enum verdict take_err(struct sl_reply *r, const struct packet *p)
{
    struct sl_packet_err err;
    if (sl_packet_err_parse(p->payload, p->len, &err) != SL_OK) {
        return broken(r, "malformed ERR packet");
    }
    if (err.code == PROGRESS_REPORT) {
        return TAKE_WHOLE;
    }
    r->error_code = err.code;
    memcpy(r->sqlstate, err.sqlstate, sizeof(r->sqlstate));
    if (r->on_error) {
        r->on_error(r->arg, r, err.message);
    }
    finish_unit(r, SL_REPLY_KIND_ERR);
    return TAKE_WHOLE;
}

/* Somebody wants to see this packet apart from the others. */
static void note_state(struct sl_reply *r, const struct packet *p)
{
    if (r->stop_at_state && (r->status & SL_STATUS_SESSION_STATE_CHANGED)) {
        r->state_len = SL_PACKET_HEADER + p->len;
    }
}

static bool read_ok(struct sl_reply *r, const struct packet *p)
{
    struct sl_packet_ok ok;
    if (sl_packet_ok_parse(p->payload, p->len, r->session_track, &ok) != SL_OK) {
        (void)broken(r, "malformed OK packet");
        return false;
    }
    r->status = ok.status;
    r->has_status = true;
    r->warnings = ok.warnings;
    if (p->first == SL_FIRST_OK) {
        r->affected_rows = ok.affected_rows;
        r->last_insert_id = ok.last_insert_id;
    }
    if (ok.has_state && r->on_state) {
        r->on_state(r->arg, ok.state);
    }
    note_state(r, p);
    if (r->on_end) {
        r->on_end(r->arg, sl_slice(p->payload, p->len));
    }
    return true;
}

/* A packet that starts with fe: an OK has at least 7 bytes, an EOF has 5, so the length tells them
 * apart even where a server does not keep to the agreed mode. */
static bool read_end(struct sl_reply *r, const struct packet *p)
{
    struct sl_packet_eof eof;
    if (r->deprecate_eof && p->len >= 7) {
        return read_ok(r, p);
    }
    if (sl_packet_eof_parse(p->payload, p->len, &eof) != SL_OK) {
        (void)broken(r, "malformed EOF packet");
        return false;
    }
    r->status = eof.status;
    r->has_status = true;
    r->warnings = eof.warnings;
    note_state(r, p);
    if (r->on_end) {
        r->on_end(r->arg, sl_slice(p->payload, p->len));
    }
    return true;
}

static enum verdict take_end(struct sl_reply *r, const struct packet *p, enum sl_reply_kind kind)
{
    if (!read_end(r, p)) {
        return STOP;
    }
    finish_unit(r, kind);
    return TAKE_WHOLE;
}

static void begin_definitions(struct sl_reply *r, uint64_t count)
{
    r->definitions_left = count;
    r->state = SL_REPLY_COLDEF;
}

static enum verdict take_column_count(struct sl_reply *r, const struct packet *p)
{
    struct sl_reader in = sl_reader(p->payload, p->len);
    uint64_t count = sl_read_lenenc(&in);
    uint8_t follows = r->cache_metadata ? sl_read_u8(&in) : 1;
    if (in.failed || sl_reader_left(&in) > 0 || count == 0 || count > COLUMNS_MAX || follows > 1) {
        return broken(r, "malformed column count");
    }
    if (follows) {
        begin_definitions(r, count);
    } else {
        r->state = SL_REPLY_ROWS; /* the definitions and their EOF are left out */
    }
    return TAKE_WHOLE;
}

/* After a group of PREPARE definitions: the next group that is not empty. */
static void next_prepare_group(struct sl_reply *r, bool params_done)
{
    r->kind = SL_REPLY_KIND_OTHER;
    if (!params_done && r->params > 0) {
        r->state = SL_REPLY_PREPARE_PARAMS;
        r->definitions_left = r->params;
    } else if (r->state != SL_REPLY_PREPARE_COLUMNS && r->columns > 0) {
        r->state = SL_REPLY_PREPARE_COLUMNS;
        r->definitions_left = r->columns;
    } else {
        r->units++;
        r->state = SL_REPLY_DONE;
    }
}

static enum verdict take_prepare_ok(struct sl_reply *r, const struct packet *p)
{
    struct sl_reader in = sl_reader(p->payload, p->len);
    (void)sl_read_u8(&in);
    r->stmt_id = sl_read_u32(&in);
    r->columns = sl_read_u16(&in);
    r->params = sl_read_u16(&in);
    (void)sl_read_u8(&in);
    r->warnings = sl_read_u16(&in);
    if (in.failed) {
        return broken(r, "malformed PREPARE reply");
    }
    next_prepare_group(r, false);
    return TAKE_WHOLE;
}

/* ---- states ---- */

static enum verdict first_ok(struct sl_reply *r, const struct packet *p)
{
    if (r->command == SL_COM_STMT_PREPARE) {
        return take_prepare_ok(r, p);
    }
    if (!read_ok(r, p)) {
        return STOP;
    }
    finish_unit(r, SL_REPLY_KIND_OK);
    return TAKE_WHOLE;
}

static enum verdict in_first(struct sl_reply *r, const struct packet *p)
{
    uint16_t flags;
    if (p->first == SL_FIRST_OK) {
        return first_ok(r, p);
    }
    if (p->first == SL_FIRST_ERR) {
        return take_err(r, p);
    }
    if (r->command == SL_COM_STATISTICS) {
        r->kind = SL_REPLY_KIND_OTHER;
        r->units++;
        r->state = SL_REPLY_DONE;
        return TAKE_WHOLE;
    }
    flags = sl_command_info(r->command)->flags;
    if (p->first == SL_FIRST_EOF && (flags & SL_COMMAND_EOF_REPLY)) {
        return take_end(r, p, SL_REPLY_KIND_OTHER);
    }
    if (p->first == SL_FIRST_NULL && (flags & SL_COMMAND_INFILE)) {
        r->state = SL_REPLY_INFILE;
        return TAKE_WHOLE;
    }
    if (p->first < SL_FIRST_NULL || p->first == 0xFC) {
        if (flags & SL_COMMAND_RESULTSET) {
            return take_column_count(r, p);
        }
    }
    return broken(r, "the reply does not belong to the command");
}

/* All definitions begin with the catalog, the string "def"; names are too short to fill a
 * packet. */
static bool is_definition(const struct packet *p)
{
    return p->first == 3 && p->len >= 4 && p->len < SL_PACKET_MAX;
}

static enum verdict in_coldef(struct sl_reply *r, const struct packet *p)
{
    if (p->first == SL_FIRST_ERR) {
        return NEED_WHOLE;
    }
    if (!is_definition(p)) {
        return broken(r, "malformed column definition");
    }
    r->definitions_left--;
    if (r->definitions_left == 0) {
        r->state = r->deprecate_eof ? SL_REPLY_ROWS : SL_REPLY_COLEOF;
    }
    return TAKE_HEADER;
}

/* The EOF between definitions and rows; with CURSOR_EXISTS it is the end, since no rows follow. */
static enum verdict in_coleof(struct sl_reply *r, const struct packet *p)
{
    if (p->first == SL_FIRST_ERR) {
        return take_err(r, p);
    }
    if (p->first != SL_FIRST_EOF) {
        return broken(r, "no EOF after the column definitions");
    }
    if (!read_end(r, p)) {
        return STOP;
    }
    if (r->command == SL_COM_STMT_EXECUTE && (r->status & SL_STATUS_CURSOR_EXISTS)) {
        finish_unit(r, SL_REPLY_KIND_RESULTSET);
    } else {
        r->state = SL_REPLY_ROWS;
    }
    return TAKE_WHOLE;
}

/* True for the fe that ends rows. A text row may begin with fe too, but then its first column has
 * 16 MiB and the packet is a full fragment. */
static bool ends_rows(const struct sl_reply *r, const struct packet *p)
{
    return p->first == SL_FIRST_EOF && p->len < (r->deprecate_eof ? SL_PACKET_MAX : 9);
}

static enum verdict in_rows(struct sl_reply *r, const struct packet *p)
{
    if (p->first == SL_FIRST_ERR || ends_rows(r, p)) {
        return NEED_WHOLE;
    }
    r->rows++;
    return TAKE_HEADER;
}

static enum verdict in_prepare(struct sl_reply *r, const struct packet *p)
{
    if (p->first == SL_FIRST_ERR) {
        return NEED_WHOLE;
    }
    if (r->definitions_left == 0) {
        return p->first == SL_FIRST_EOF ? NEED_WHOLE
                                        : broken(r, "no EOF after the definitions of a PREPARE");
    }
    if (!is_definition(p)) {
        return broken(r, "malformed definition in a PREPARE reply");
    }
    r->definitions_left--;
    return TAKE_HEADER;
}

static enum verdict in_field_list(struct sl_reply *r, const struct packet *p)
{
    if (p->first == SL_FIRST_ERR || p->first == SL_FIRST_EOF) {
        return NEED_WHOLE;
    }
    if (!is_definition(p)) {
        return broken(r, "malformed definition in a FIELD_LIST reply");
    }
    r->rows++;
    return TAKE_HEADER;
}

static enum verdict in_stream(struct sl_reply *r, const struct packet *p)
{
    if (p->first == SL_FIRST_ERR || (p->first == SL_FIRST_EOF && p->len < 9)) {
        return NEED_WHOLE;
    }
    if (p->first != SL_FIRST_OK) {
        return broken(r, "malformed packet in a binlog stream");
    }
    r->rows++;
    return TAKE_HEADER;
}

/* What the packet means, as far as its first byte and length tell. */
static enum verdict judge(struct sl_reply *r, const struct packet *p)
{
    switch ((enum sl_reply_state)r->state) {
    case SL_REPLY_ROWS:
        return in_rows(r, p);
    case SL_REPLY_COLDEF:
        return in_coldef(r, p);
    case SL_REPLY_PREPARE_PARAMS:
    case SL_REPLY_PREPARE_COLUMNS:
        return in_prepare(r, p);
    case SL_REPLY_STREAM:
        return in_stream(r, p);
    case SL_REPLY_FIRST:
        if (r->command == SL_COM_FIELD_LIST && p->first == 3) {
            r->state = SL_REPLY_FIELD_LIST;
            return in_field_list(r, p);
        }
        return NEED_WHOLE;
    case SL_REPLY_FIELD_LIST:
        return in_field_list(r, p);
    case SL_REPLY_COLEOF:
        return NEED_WHOLE;
    case SL_REPLY_DONE:
    case SL_REPLY_INFILE:
    case SL_REPLY_BROKEN:
        break;
    }
    return STOP;
}

/* A packet that had to be whole, and is. */
static enum verdict take(struct sl_reply *r, const struct packet *p)
{
    if (r->state == SL_REPLY_FIRST) {
        return in_first(r, p);
    }
    if (r->state == SL_REPLY_COLEOF) {
        return in_coleof(r, p);
    }
    if (p->first == SL_FIRST_ERR) {
        return take_err(r, p);
    }
    if (r->state == SL_REPLY_PREPARE_PARAMS || r->state == SL_REPLY_PREPARE_COLUMNS) {
        if (!read_end(r, p)) {
            return STOP;
        }
        next_prepare_group(r, true);
        return TAKE_WHOLE;
    }
    return take_end(r, p,
                    r->state == SL_REPLY_ROWS ? SL_REPLY_KIND_RESULTSET : SL_REPLY_KIND_OTHER);
}

/* ERR may come with number 0 as the first packet: the server sends it so when it lost count itself
 * ("Got packets out of order") or gave the connection up before it read the command. */
static bool is_seq_good(const struct sl_reply *r, uint8_t seq, uint8_t first)
{
    return seq == r->next_seq || r->any_seq ||
           (seq == 0 && first == SL_FIRST_ERR && r->state == SL_REPLY_FIRST);
}

/* Looks at the packet at `data`. Returns consumed bytes (header, or header and payload); 0: more
 * is needed (r->need) or the state has become BROKEN. */
static size_t step(struct sl_reply *r, const uint8_t *data, size_t len)
{
    struct packet p;
    enum verdict v;
    size_t used = SL_PACKET_HEADER;
    if (len < SL_PACKET_HEADER) {
        r->need = SL_PACKET_HEADER;
        return 0;
    }
    p = (struct packet){data + SL_PACKET_HEADER, sl_packet_len(data), 0};
    if (!r->in_fragment && p.len > 0) {
        if (len == SL_PACKET_HEADER) {
            r->need = SL_PACKET_HEADER + 1;
            return 0;
        }
        p.first = p.payload[0];
    }
    if (__builtin_expect(!is_seq_good(r, sl_packet_seq(data), p.first), 0)) {
        (void)broken(r, "packets out of order");
        return 0;
    }
    if (r->in_fragment) {
        v = TAKE_HEADER;
    } else if (__builtin_expect(p.len == 0, 0)) {
        v = broken(r, "empty packet");
    } else {
        v = judge(r, &p);
    }
    if (v == NEED_WHOLE) {
        if (p.len > DECISIVE_MAX) {
            (void)broken(r, "overlong packet");
            return 0;
        }
        used += p.len;
        if (len < used) {
            r->need = (uint32_t)used;
            return 0;
        }
        v = take(r, &p);
    } else if (v == TAKE_HEADER) {
        r->in_fragment = p.len == SL_PACKET_MAX;
        r->skip = p.len;
    }
    if (v == STOP) {
        return 0;
    }
    r->next_seq = (uint8_t)(sl_packet_seq(data) + 1);
    r->any_seq = false;
    return used;
}

/* Whole rows in the middle of a result set: nothing to know but where they end. */
static size_t skip_rows(struct sl_reply *r, const uint8_t *data, size_t len)
{
    size_t at = 0;
    uint64_t rows = 0;
    uint8_t seq = r->next_seq;
    while (len - at > SL_PACKET_HEADER) {
        const uint8_t *p = data + at;
        uint32_t payload = sl_packet_len(p);
        if (p[4] >= SL_FIRST_EOF || p[3] != seq || payload == 0 || payload == SL_PACKET_MAX ||
            payload > len - at - SL_PACKET_HEADER) {
            break;
        }
        seq++;
        rows++;
        at += SL_PACKET_HEADER + payload;
    }
    r->next_seq = seq;
    r->rows += rows;
    return at;
}

static bool is_over(const struct sl_reply *r)
{
    return r->state == SL_REPLY_DONE || r->state == SL_REPLY_BROKEN || r->state == SL_REPLY_INFILE;
}

/* Moves over the payload that streams by. Under DEPRECATE_EOF a PREPARE reply just ends with the
 * last byte of its last definition, so that state may change only here. */
static size_t stream(struct sl_reply *r, size_t len)
{
    size_t n = SL_MIN((size_t)r->skip, len);
    r->skip -= (uint32_t)n;
    if (r->skip == 0 && !r->in_fragment && r->deprecate_eof && r->definitions_left == 0 &&
        (r->state == SL_REPLY_PREPARE_PARAMS || r->state == SL_REPLY_PREPARE_COLUMNS)) {
        next_prepare_group(r, true);
    }
    return n;
}

size_t sl_reply_feed(struct sl_reply *r, const uint8_t *data, size_t len)
{
    size_t at = 0;
    r->state_len = 0;
    while (at < len && !is_over(r) && r->state_len == 0) {
        size_t used;
        if (r->skip > 0) {
            at += stream(r, len - at);
            continue;
        }
        if (r->state == SL_REPLY_ROWS && !r->in_fragment) {
            at += skip_rows(r, data + at, len - at);
        }
        used = step(r, data + at, len - at);
        if (used == 0) {
            break;
        }
        at += used;
    }
    if (at == len) {
        r->need = r->skip > 0 ? 1 : SL_PACKET_HEADER;
    }
    r->started |= at > 0;
    r->bytes += at;
    return at;
}
