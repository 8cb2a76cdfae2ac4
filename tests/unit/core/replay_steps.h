/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps of the tests of transaction replay: the primary s1 is lost at a statement, s2 takes over,
 * and what s2 was told is compared line by line.
 */
#ifndef TESTS_UNIT_CORE_REPLAY_STEPS_H
#define TESTS_UNIT_CORE_REPLAY_STEPS_H

#include <string.h>

#include "base/bytes.h"
#include "core/server.h"
#include "proto/handshake.h"
#include "session_regress.h"
#include "session_world.h"

#define REPLAY "transaction_replay=true\nmaster_failure_mode=error_on_write\n"

static const char *const same_rows = "row";

static inline void up(struct world *w, struct client *c, const char *lines)
{
    world_up(w, lines);
    for (unsigned i = 0; i < SERVERS; i++) {
        w->servers[i].alias = same_rows;
    }
    client_open_all(w, c);
}

static inline void down(struct world *w, struct client *c)
{
    client_close(c);
    world_down(w);
}

/* s1 is a replica from now on, s2 the Master. */
static inline void move_primary(struct world *w)
{
    world_status(w, 0, SL_SERVER_RUNNING | SL_SERVER_SLAVE);
    world_status(w, 1, SL_SERVER_RUNNING | SL_SERVER_MASTER);
}

/* The statement is sent, the primary breaks on it, and s2 takes over. */
static inline struct answer break_at(struct world *w, struct client *c, const char *sql,
                                     enum fake_fault fault)
{
    fake_server_break(&w->servers[PRIMARY], fault, sql);
    client_send_text(c, sql);
    for (unsigned i = 0; i < 5000 && w->servers[PRIMARY].faults_left > 0; i++) {
        world_pump(w, 1);
    }
    assert_int_equal(w->servers[PRIMARY].faults_left, 0);
    move_primary(w);
    return client_wait(w, c, SL_COM_QUERY, 10000);
}

/* What the server has been told since the last forget, one line each; housekeeping left out. */
static inline void expect_log(const struct fake_server *f, const char *const *lines)
{
    unsigned at = 0;
    for (unsigned i = 0; i < f->logged; i++) {
        if (strncmp(f->log[i], "KILL", 4) == 0 || strncmp(f->log[i], "COM_QUIT", 8) == 0) {
            continue;
        }
        if (!lines[at] || strcmp(f->log[i], lines[at]) != 0) {
            fail_msg("line %u: '%s' instead of '%s'", at, f->log[i], lines[at] ? lines[at] : "-");
        }
        at++;
    }
    if (lines[at]) {
        fail_msg("'%s' is missing", lines[at]);
    }
}

#define EXPECT_LOG(server, ...) expect_log((server), (const char *const[]){__VA_ARGS__, NULL})

#endif
