/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of one open transaction with the checksums of their replies. Pure: no session, no
 * sockets.
 *
 * Commands are copied into pages of the worker's pool, one behind the other; one that does not fit
 * into an empty page gets a page of its own. Nothing is kept of a reply but its checksum. Bound:
 * `limit` bytes of commands.
 *
 *   pages (newest first):  [entry packet][entry packet].. -> [entry packet]..
 *   entries (oldest first): first -> .. -> last
 */
#ifndef SL_ROUTER_READWRITESPLIT_REPLAY_LOG_H
#define SL_ROUTER_READWRITESPLIT_REPLAY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"
#include "base/slice.h"

/* Of the whole reply to one command, as far as the mode looks at it. */
struct rws_checksum {
    uint64_t word[2];
};

struct rws_log_entry {
    struct rws_log_entry *next; /* younger */
    struct rws_log_entry *prev;
    struct rws_checksum checksum;
    uint64_t insert_id; /* that a one-row insert got; 0 = none */
    uint32_t len;
    uint8_t command;
    bool has_reply;    /* COM_STMT_SEND_LONG_DATA has none */
    bool is_unchecked; /* not answered by this text (BEGIN in place of COMMIT AND CHAIN) */
    bool was_in_trans; /* server status of the reply */
    bool was_error;    /* the reply was an ERR */
    bool asks_last;    /* about the statement before it (ROW_COUNT() and the like) */
    bool hides_insert; /* no_insert_id: its result may hold generated values */
    struct rws_page *page;
    uint8_t packet[]; /* with header */
};

struct rws_log {
    struct sl_pool *pool; /* of pages */
    size_t page_size;
    struct rws_page *pages;
    struct rws_log_entry *first, *last;
    uint32_t count;
    size_t bytes; /* of commands */
    size_t limit;
    size_t memory; /* of pages */
};

void rws_log_init(struct rws_log *log, struct sl_pool *pool, size_t page_size, size_t limit);
/* Copies a command behind the last one. 0, SL_ELIMIT (`limit` would be passed), SL_ENOMEM. */
int rws_log_add(struct rws_log *log, const void *packet, size_t len, struct rws_log_entry **ret);
/* Would a command of `len` bytes fit? */
bool rws_log_has_room(const struct rws_log *log, size_t len);
void rws_log_drop_last(struct rws_log *log);
/* Gives all memory back. */
void rws_log_clear(struct rws_log *log);

/* --- checksums -------------------------------------------------------------------------------- */

/* Running checksum of one reply, fed with pieces of any size. */
struct rws_hash;
struct rws_hash *rws_hash_new(void); /* NULL when memory is out */
void rws_hash_free(struct rws_hash *h);
void rws_hash_start(struct rws_hash *h);
void rws_hash_add(struct rws_hash *h, const void *data, size_t len);
/* Of all so far; more may be added. */
struct rws_checksum rws_hash_value(const struct rws_hash *h);
bool rws_checksum_is_equal(const struct rws_checksum *a, const struct rws_checksum *b);

/* Where the server status is in the payload of an OK or EOF packet; 0 if it has none. */
size_t rws_status_offset(const uint8_t *payload, size_t len);

/* Does the text name a value that the server generates (LAST_INSERT_ID, @@identity, INSERT_ID,
 * RETURNING)? */
bool rws_names_insert_id(struct sl_slice sql);

#endif
