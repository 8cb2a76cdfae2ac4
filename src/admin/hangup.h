/* SPDX-License-Identifier: Apache-2.0 */
/* Closing all connections of clients to one server at once (PUT
 * /servers/:name/set?state=maintenance&force=yes). */
#ifndef SL_ADMIN_HANGUP_H
#define SL_ADMIN_HANGUP_H

struct sl_core;
struct sl_server;

/* Asks every worker; returns at once. To the sessions it looks as if the server had closed the
 * connections, so that their routers go on elsewhere; clients of router=tcp are cut. */
void sl_admin_hangup(struct sl_core *core, struct sl_server *s);

#endif
