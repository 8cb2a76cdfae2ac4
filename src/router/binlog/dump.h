/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dump: what its files share; nobody outside of dump*.c includes it.
 *
 *   dump.c         commands, waiting, the end, messages
 *   dump_start.c   where it starts; the first events
 *   dump_stream.c  what comes from the store: which events go out, files, heartbeats
 *   dump_packet.c  events as packets
 *
 *      WAITS ---the log has the position---> READS <--room-- FULL
 *        |                                    | ^ '--unsent--->^
 *        '--too long: 1236--> (ended)     end | '--grown-- IDLE (heartbeats)
 *
 * Heartbeats go out while it WAITS or is IDLE.
 *
 * A dump owns no buffer. Its worker reads a block and makes packets of it, and it only does that while
 * nothing of the dump is unsent beyond SL_DUMP_UNSENT_MAX: a replica that does not read costs its
 * socket buffer and one block.
 */
#ifndef SL_ROUTER_BINLOG_DUMP_H
#define SL_ROUTER_BINLOG_DUMP_H

#include "repl/gtid_skip.h"
#include "router/binlog/relay.h"
#include "router/binlog/replicas.h"

enum {
    SL_DUMP_BLOCK = 256 * 1024,     /* bytes of the log at once ... */
    SL_DUMP_BLOCK_SLOW = 64 * 1024, /* ... while something is unsent */
    SL_DUMP_UNSENT_MAX = 64 * 1024, /* more than this unsent: nothing is read */
    SL_DUMP_FRAME = 352 * 1024      /* a block as packets */
};

/* Codes that a primary answers a dump request with. */
enum {
    SL_ER_MASTER_FATAL = 1236,   /* ER_MASTER_FATAL_ERROR_READING_BINLOG: the replica stops */
    SL_ER_GTID_STATE = 1941,     /* ER_INCORRECT_GTID_STATE */
    SL_ER_GTID_DUPLICATE = 1943, /* ER_DUPLICATE_GTID_DOMAIN */
    SL_ER_SLAVE_SAME_ID = 4052   /* ER_SLAVE_SAME_ID */
};

/* Packets of the worker on their way to one connection. */
struct sl_dump_frame {
    size_t len;
    uint8_t bytes[SL_DUMP_FRAME];
};

enum sl_dump_step {
    SL_DUMP_WAITS, /* for its position, or for the first file */
    SL_DUMP_READS,
    SL_DUMP_FULL, /* the client connection is */
    SL_DUMP_IDLE, /* everything was sent */
    SL_DUMP_OVER  /* it is not on a list any more */
};

struct sl_dump {
    struct sl_list node;       /* worker->dumps */
    struct sl_list ready_node; /* worker->ready, while it READS */
    struct sl_relay_session *rs;
    struct sl_relay_worker *worker;
    struct sl_replica *replica;
    struct sl_store_reader *reader; /* NULL while it WAITS */
    struct sl_timer timer;          /* the next heartbeat */
    uint64_t heartbeat_ms;          /* 0: none */
    uint64_t sent_ms;               /* when it sent something last */
    uint64_t waits_until_ms;
    char waits_in[SL_BINLOG_FILE_NAME_MAX + 1]; /* the file it was told while it WAITS; "": none */
    uint32_t read_len;                          /* bytes of the last read */
    enum sl_dump_step step;
    uint8_t seq; /* of the next packet */
    bool is_by_gtid, is_non_block, has_until;
    bool sends_annotate, skips_marked, is_semi_sync;
    bool is_skipping;      /* `skip` is in use */
    bool is_part_left_out; /* the event whose parts come is not sent */
    bool ends_part_group;  /* ... and is the last of its group */
    bool has_crc;          /* of the file being read */
    struct sl_gtid_skip skip;
    struct sl_group group;        /* where in a group the reader is */
    struct sl_gtid_list position; /* as asked for */
    struct sl_gtid_list until;
    struct sl_gtid_list sent; /* the replica's position when it has got all that was sent */
    uint32_t packet_left;   /* bytes of a long event's physical packet that are still to come ... */
    uint64_t payload_left;  /* ... and of its logical one */
    bool is_ack_wanted;     /* of the event that is being sent */
    bool is_packet_largest; /* another physical packet follows */
    uint32_t part_log_pos;
    uint32_t server_id;
    /* As asked for; with a GTID position they only are named in errors. */
    uint64_t offset;
    char file[SL_BINLOG_FILE_NAME_MAX + 1];
};

static inline struct sl_session *sl_dump_session(const struct sl_dump *d)
{
    return d->rs->session;
}

/* dump.c */
/* Ends the dump with an ERR; the session goes on with commands. */
void sl_dump_fail(struct sl_dump *d, uint16_t code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* ... with the places that a server names behind a 1236 or 4052. */
void sl_dump_fail_at(struct sl_dump *d, uint16_t code, const char *text);
void sl_dump_fail_between(struct sl_dump *d, uint16_t code, const char *text, uint64_t event_at,
                          uint64_t byte_at);
/* ... because the log does not have its position. */
void sl_dump_fail_position(struct sl_dump *d, enum sl_gtid_verdict verdict, struct sl_gtid missing);
/* ... because it does not have it yet. `may_come`: an error after which the replica asks again. */
void sl_dump_fail_ahead(struct sl_dump *d, struct sl_gtid missing, bool may_come);
/* ... as an error of the store deserves it. */
void sl_dump_fail_store(struct sl_dump *d, int rc, const struct sl_err *err);
/* Ends it with an EOF. */
void sl_dump_finish(struct sl_dump *d);
/* Puts it where a dump of that step stands. */
void sl_dump_enter(struct sl_dump *d, enum sl_dump_step step);

/* dump_start.c */
/* Begins the stream, or goes on waiting, or fails. */
void sl_dump_begin(struct sl_dump *d);

/* dump_stream.c */
/* Reads and sends one block. The dump READS. */
void sl_dump_read(struct sl_dump *d);
/* The FORMAT_DESCRIPTION of the file. is_inside: the replica starts behind it and must not move back
 * to it; has_skipped: it has groups behind it already and keeps its temporary tables. SL_ENOMEM,
 * SL_EPROTO. */
int sl_dump_put_description(struct sl_dump *d, bool is_inside, bool has_skipped);
/* What the skipping owes at this place. False: the dump has ended. */
bool sl_dump_settle_skip(struct sl_dump *d, unsigned due, uint32_t log_pos);
void sl_dump_heartbeat(struct sl_timer *t, struct sl_loop *loop);

/* dump_packet.c; SL_ENOMEM: the connection is ending. What was put into the frame goes out with
 * sl_dump_flush(), which the caller owes it before it returns to the loop. */
int sl_dump_put(struct sl_dump *d, const uint8_t *event, uint32_t len, bool is_group_end);
/* An event whose parts follow, and the next one of them. */
int sl_dump_put_long(struct sl_dump *d, uint32_t event_length, bool is_group_end);
int sl_dump_put_part(struct sl_dump *d, const uint8_t *bytes, size_t len);
/* A packet that is no event. */
int sl_dump_put_raw(struct sl_dump *d, const uint8_t *packet, size_t len);
int sl_dump_flush(struct sl_dump *d);
/* Events made here. */
int sl_dump_put_fake_rotate(struct sl_dump *d, const char *file, uint64_t position, bool has_crc);
int sl_dump_put_list(struct sl_dump *d, uint32_t log_pos, uint32_t list_flags);
int sl_dump_put_heartbeat(struct sl_dump *d, const char *file, uint64_t offset, bool has_crc);

#endif
