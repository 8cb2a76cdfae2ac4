/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reply tracker: a resumable state machine that finds the end of a server's reply in a stream
 * of bytes that arrives in arbitrary pieces, without collecting it.
 *
 * Usage: sl_reply_start() for each expected reply, then sl_reply_feed() with whatever has arrived.
 * It consumes as far as it can tell and stops exactly at the end of the reply. Packets that decide
 * something (OK, EOF, ERR, column counts, PREPARE-OK, INFILE) must be whole before they are
 * consumed; rows and column definitions are streamed: consumed bytes may be forwarded at once.
 *
 *   FIRST -> done                       OK, ERR, STATISTICS text, EOF-shaped replies
 *         -> COLDEF -> (COLEOF) -> ROWS -> done | FIRST (more results)
 *         -> INFILE -> FIRST            the client sends the file, then the server goes on
 *         -> PREPARE_PARAMS -> PREPARE_COLUMNS -> done
 */
#ifndef SL_PROTO_REPLY_H
#define SL_PROTO_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum sl_reply_state {
    SL_REPLY_DONE,
    SL_REPLY_FIRST,
    SL_REPLY_COLDEF,
    SL_REPLY_COLEOF,
    SL_REPLY_ROWS,
    SL_REPLY_PREPARE_PARAMS,
    SL_REPLY_PREPARE_COLUMNS,
    SL_REPLY_FIELD_LIST,
    SL_REPLY_INFILE, /* waiting for the client's file; sl_reply_infile_sent() goes on */
    SL_REPLY_STREAM, /* COM_BINLOG_DUMP: endless until ERR/EOF */
    SL_REPLY_BROKEN  /* the server sent something impossible; see broken_why */
};

enum sl_reply_kind {
    SL_REPLY_KIND_NONE, /* nothing decided yet */
    SL_REPLY_KIND_OK,
    SL_REPLY_KIND_ERR,
    SL_REPLY_KIND_RESULTSET,
    SL_REPLY_KIND_OTHER
};

struct sl_reply {
    uint8_t state;   /* enum sl_reply_state */
    uint8_t command; /* the client's command byte */
    uint8_t kind;    /* enum sl_reply_kind of the last finished unit (ERR wins) */
    bool deprecate_eof;
    bool session_track;
    bool in_fragment; /* the previous physical packet was 0xFFFFFF long: same logical packet */
    bool started;     /* at least one byte was consumed */
    uint8_t next_seq; /* sequence number after the last consumed packet */
    uint16_t status;  /* server status of the last OK/EOF */
    uint16_t warnings;
    uint16_t error_code; /* of an ERR */
    char sqlstate[6];    /* of an ERR, "" if it had none */
    uint32_t skip;       /* payload bytes left of a packet being streamed */
    uint32_t need;       /* when feed() stops short: bytes that must be there in all to go on */
    uint32_t stmt_id;    /* of a PREPARE-OK */
    uint16_t params;     /* of a PREPARE-OK */
    uint16_t columns;
    uint64_t definitions_left;
    uint64_t rows;  /* rows so far, all units */
    uint64_t bytes; /* bytes consumed so far */
    uint64_t affected_rows;
    uint64_t last_insert_id;
    uint32_t units; /* finished result units */
    const char *broken_why;
    /* Called with the session-state block of each OK that has one; the slice is valid during the
     * call. May be NULL. */
    void (*on_state)(void *arg, struct sl_slice block);
    /* Called with the human text of an ERR (without code and sqlstate). May be NULL. */
    void (*on_error)(void *arg, const struct sl_reply *r, struct sl_slice message);
    /* Called with the payload of each OK and EOF packet of the reply, which lies within the bytes
     * being fed. May be NULL. */
    void (*on_end)(void *arg, struct sl_slice payload);
    void *arg;
    /* Added behind the callbacks; `cache_metadata` is a mode like deprecate_eof and kept by
     * sl_reply_start(). */
    bool cache_metadata; /* SL_CAP_CACHE_METADATA: column counts carry one more byte */
    bool has_status;     /* an OK or EOF has set `status`; ERR, STATISTICS, some PREPARE do not */
    bool any_seq;        /* the next sequence number is not known (after a file of the client) */
    /* Mode, kept by sl_reply_start(): feed() returns behind each packet that tells of changed
     * session state; state_len is that packet's length, header included, and 0 after all others. */
    bool stop_at_state;
    uint32_t state_len;
};

/* Prepares for the reply to `command`; keeps the modes (deprecate_eof, session_track,
 * cache_metadata) and the callbacks, resets the rest. The reply must start with sequence 1; if the
 * command took n > 1 physical packets, set next_seq = n afterwards. COM_CHANGE_USER is a dialogue:
 * use sl_auth_packet_parse() instead. A command without reply (QUIT, STMT_CLOSE, SEND_LONG_DATA)
 * leaves the state DONE. */
void sl_reply_start(struct sl_reply *r, uint8_t command);

/* Consumes bytes of this reply; returns how many (0..len). state is DONE when the reply is
 * complete; if it is neither DONE, BROKEN nor INFILE, `need` tells how many unconsumed bytes must
 * be presented next time (1 when streaming). */
size_t sl_reply_feed(struct sl_reply *r, const uint8_t *data, size_t len);

/* The client's empty packet has been sent: the server's answer comes next. */
void sl_reply_infile_sent(struct sl_reply *r);

static inline bool sl_reply_is_done(const struct sl_reply *r)
{
    return r->state == SL_REPLY_DONE;
}

/* True if the reply can still be asked for elsewhere: no byte of it was consumed. */
static inline bool sl_reply_is_untouched(const struct sl_reply *r)
{
    return !r->started;
}

#endif
