/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay in the test process: a store in a temporary directory that the test writes, a worker, a
 * listener, and replicas that look at every packet. The router is one of the tests' own, which knows
 * dumps and nothing else; what statements would say is set through world.says before a client logs in.
 */
#ifndef TESTS_UNIT_ROUTER_BINLOG_RELAY_WORLD_H
#define TESTS_UNIT_ROUTER_BINLOG_RELAY_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "router/binlog/relay.h"
#include "router/binlog/replicas.h"

#define WORLD_SERVER_ID 99
#define WORLD_WAIT_MS 120000 /* behind everything else on a busy machine */

#define WORLD_WAIT(condition)                                                                      \
    do {                                                                                           \
        uint64_t until_ms = sl_clock_mono_ms() + WORLD_WAIT_MS;                                    \
        while (!(condition)) {                                                                     \
            assert_true(sl_clock_mono_ms() < until_ms);                                            \
            usleep(1000);                                                                          \
        }                                                                                          \
    } while (0)

struct world_says {
    const char *connect_state; /* NULL: not set */
    const char *until;
    bool strict, ignore_duplicates, skip_replication, semi_sync;
    bool no_checksum, checksum_none; /* never asked; asked for NONE */
    uint32_t capability;             /* 0: 4 */
    uint64_t heartbeat_ns;
};

struct world {
    char dir[64];
    struct sl_core *core;
    struct sl_relay *relay;
    struct sl_store *store;
    uint16_t port;
    struct world_says says;
    /* the writer */
    struct sl_group group;
    bool has_crc;
    uint64_t rows; /* counts, so that no two row events are equal */
};

void world_up(struct world *w);
void world_up_with(struct world *w, const char *service_lines);
void world_down(struct world *w);

/* A new file with the given `created`; published. */
void world_file(struct world *w, bool has_crc, uint32_t created);
/* A transaction: GTID, and for each of `rows` ANNOTATE, TABLE_MAP and a row event of row_len bytes;
 * XID. Not published. */
void world_group(struct world *w, const char *gtid, unsigned rows, uint32_t row_len);
void world_group_flagged(struct world *w, const char *gtid, uint16_t flags);
void world_ddl(struct world *w, const char *gtid, uint32_t text_len);
void world_commit(struct world *w);

struct replica {
    int fd;
    uint32_t id; /* of the greeting */
    uint8_t seq; /* of the next packet */
    bool is_closed;
    bool is_semi_sync;
    struct sl_buf in;
    struct sl_buf payload; /* of the last logical packet */
};

void replica_open(struct world *w, struct replica *r);
void replica_close(struct replica *r);
void replica_register(struct replica *r, uint32_t server_id);
void replica_dump(struct replica *r, const char *file, uint32_t position, uint16_t flags,
                  uint32_t server_id);
/* Opens and asks for all, by GTID if says.connect_state is set. */
void replica_start(struct world *w, struct replica *r, uint32_t server_id);
/* The next logical packet; false: the connection ended (or nothing came: fails). */
bool replica_packet(struct replica *r, struct sl_slice *ret);
/* Nothing is there, for now. */
bool replica_is_quiet(struct replica *r, unsigned ms);

/* The next event; checks framing, length, checksum. Fails the test if it is none. */
struct event {
    struct sl_event_header h;
    const uint8_t *data;
    uint32_t len;
    uint8_t ack; /* semi-sync: 1 = to be acknowledged */
};
struct event replica_event(struct replica *r);
/* ... must be of that type */
struct event replica_expect(struct replica *r, uint8_t type);
/* ROTATE that is artificial, FORMAT_DESCRIPTION, GTID_LIST. */
void replica_expect_start(struct replica *r, const char *file);
/* A group as world_group() writes it, its row count. */
unsigned replica_expect_group(struct replica *r, const char *gtid);
void replica_expect_error(struct replica *r, uint16_t code, const char *text);
void replica_expect_eof(struct replica *r);

#endif
