/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that the tests of former defects share. */
#ifndef TESTS_UNIT_CORE_SESSION_REGRESS_H
#define TESTS_UNIT_CORE_SESSION_REGRESS_H

#include "session_world.h"

/* Bytes of a parameter: such a command is passed on before all of it is here. */
#define REGRESS_BIG 60000

/* A world with one client whose connections are all ready, and its end. */
void regress_up(struct world *w, struct client *c, const char *router_lines);
void regress_down(struct world *w, struct client *c);

void expect_end(struct world *w, struct client *c);
/* The proxy has noticed that nothing connects it with the server. */
void world_wait_disconnected(struct world *w, unsigned server);
void world_wait_count(struct world *w, const char *prefix, unsigned count);
/* The primary dies; its status is left to the test. */
void world_lose_primary(struct world *w);

uint32_t client_prepare(struct world *w, struct client *c, const char *sql);
/* An execution with one string parameter of so many bytes (0: no parameter at all); a long one in
 * two pieces. */
void client_send_execute(struct client *c, uint32_t id, unsigned bytes, bool with_types);
struct answer client_execute(struct world *w, struct client *c, uint32_t id, unsigned bytes,
                             bool with_types);

#endif
