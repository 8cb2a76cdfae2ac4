/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OK, EOF and ERR packets, the session-state block, and text result sets that the proxy makes
 * itself.
 *
 * Parsers take a payload (without the packet header) and return slices into it. Builders append
 * whole packets, header included, to a buffer; they return 0 or SL_ENOMEM/SL_ELIMIT and then have
 * appended nothing. Any thread; no state.
 */
#ifndef SL_PROTO_OK_H
#define SL_PROTO_OK_H

#include <stdarg.h>

#include "proto/constants.h"
#include "proto/packet.h"

/* ---- parsing ---- */

struct sl_packet_ok {
    uint8_t header; /* 0x00, or 0xFE where it ends a result set */
    bool has_state; /* the server sent a session-state block, perhaps an empty one */
    uint16_t status;
    uint16_t warnings;
    uint64_t affected_rows;
    uint64_t last_insert_id;
    struct sl_slice info;
    struct sl_slice state;
};

/* `session_track`: the link has SL_CAP_SESSION_TRACK. 0 or SL_EPROTO. */
int sl_packet_ok_parse(const uint8_t *payload, size_t len, bool session_track,
                       struct sl_packet_ok *ret);

struct sl_packet_eof {
    uint16_t warnings;
    uint16_t status;
};

/* 0 or SL_EPROTO: fe and fewer than 9 bytes. */
int sl_packet_eof_parse(const uint8_t *payload, size_t len, struct sl_packet_eof *ret);

struct sl_packet_err {
    uint16_t code;
    char sqlstate[6]; /* "" if the packet had none: errors before the client's response */
    struct sl_slice message;
};

/* 0 or SL_EPROTO. Code 0xFFFF is a progress report, see sl_progress_parse(). */
int sl_packet_err_parse(const uint8_t *payload, size_t len, struct sl_packet_err *ret);

struct sl_progress {
    uint8_t stage;
    uint8_t max_stage;
    uint32_t progress_mpct; /* of the stage, in 1/1000 % */
    struct sl_slice text;
};

/* 0 or SL_EPROTO (not a progress report). */
int sl_progress_parse(const uint8_t *payload, size_t len, struct sl_progress *ret);

/* ---- session state ---- */

enum sl_state_type {
    SL_STATE_SYSTEM_VARIABLE = 0,     /* name, value */
    SL_STATE_SCHEMA = 1,              /* value */
    SL_STATE_CHANGE = 2,              /* value "1" */
    SL_STATE_GTIDS = 3,               /* MySQL only; value as sent */
    SL_STATE_TRX_CHARACTERISTICS = 4, /* value: SQL that restarts the transaction, may be empty */
    SL_STATE_TRX_STATE = 5            /* value: 8 characters */
};

struct sl_state_record {
    uint8_t type;
    struct sl_slice name; /* system variables only */
    struct sl_slice value;
};

struct sl_state_iter {
    struct sl_reader block;
    struct sl_reader record; /* rest of a variables record that holds several pairs */
};

struct sl_state_iter sl_state_iter(struct sl_slice block);
/* False at the end; iter.block.failed tells whether it was malformed. Unknown types are returned
 * with their raw data as value. */
bool sl_state_next(struct sl_state_iter *it, struct sl_state_record *ret);

/* Appends the OK packet to `out` (header included) as a client without SESSION_TRACK expects it:
 * no state block, status bit cleared. `payload` is an OK of a link that has SESSION_TRACK. 0 or
 * SL_E*. */
int sl_packet_ok_strip(struct sl_buf *out, uint8_t seq, const uint8_t *payload, size_t len);

/* The packet at `packet` (header included, len bytes in all: an OK of a link that has
 * SESSION_TRACK, or a 5-byte EOF) as somebody expects it who did not ask for that. `variable` NULL:
 * without the state block; else only without the records of this system variable. `out` has room for
 * len bytes. Returns the new length; len and an unchanged copy if it cannot be parsed. */
size_t sl_packet_ok_hide(uint8_t *out, const uint8_t *packet, size_t len, const char *variable);

/* ---- building ---- */

/* sqlstate NULL: the state that belongs to the code. sqlstate "": none is sent, as before the
 * client's response. Messages are cut at 511 bytes like the server's. */
int sl_packet_build_err(struct sl_buf *buf, uint8_t seq, uint16_t code, const char *sqlstate,
                        const char *fmt, ...) __attribute__((format(printf, 5, 6)));
int sl_packet_vbuild_err(struct sl_buf *buf, uint8_t seq, uint16_t code, const char *sqlstate,
                         const char *fmt, va_list args) __attribute__((format(printf, 5, 0)));

/* info: NULL or text. */
int sl_packet_build_ok(struct sl_buf *buf, uint8_t seq, uint64_t affected_rows,
                       uint64_t last_insert_id, uint16_t status, uint16_t warnings,
                       const char *info);

/* An OK with a session-state block, for clients with SL_CAP_SESSION_TRACK only. */
int sl_packet_build_ok_state(struct sl_buf *buf, uint8_t seq, uint16_t status,
                             struct sl_slice state);

/* EOF-shaped success of SET_OPTION, DEBUG ...: 5 bytes, or the 7-byte OK with fe under
 * DEPRECATE_EOF. */
int sl_packet_build_eof(struct sl_buf *buf, uint8_t seq, bool deprecate_eof, uint16_t status,
                        uint16_t warnings);

/* A command: byte and argument, cut into physical packets if need be. */
int sl_packet_build_command(struct sl_buf *buf, uint8_t command, struct sl_slice argument);

/* ---- text result sets ---- */

struct sl_resultset_column {
    const char *name;
    uint8_t type;    /* enum sl_column_type; 0 is taken as SL_TYPE_VAR_STRING */
    uint16_t flags;  /* column flags, 0 is fine */
    uint32_t length; /* display length in bytes; 0: a default of the type */
};

struct sl_resultset {
    struct sl_writer writer;
    size_t column_count;
    uint8_t seq;
    bool deprecate_eof;
    uint16_t status;
};

/* Starts a result set behind the readable bytes of `buf`; `capabilities` are those of the client's
 * link. The buffer is the builder's until sl_resultset_end(). */
void sl_resultset_begin(struct sl_resultset *rs, struct sl_buf *buf, uint8_t seq,
                        uint64_t capabilities, uint16_t status,
                        const struct sl_resultset_column *columns, size_t column_count);
/* column_count values; data == NULL means SQL NULL. */
void sl_resultset_row(struct sl_resultset *rs, const struct sl_slice *values);
/* 0, or SL_ENOMEM/SL_ELIMIT and nothing was appended. */
int sl_resultset_end(struct sl_resultset *rs);

#endif
