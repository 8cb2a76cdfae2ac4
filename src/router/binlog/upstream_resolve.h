/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host name to an address without holding the loop up: the resolver blocks, so a short-lived
 * thread asks it. At most SL_RESOLVES_MAX are under way in the process; a hanging resolver keeps no
 * one from stopping.
 */
#ifndef SL_ROUTER_BINLOG_UPSTREAM_RESOLVE_H
#define SL_ROUTER_BINLOG_UPSTREAM_RESOLVE_H

#include <sys/socket.h>

#include "base/error.h"
#include "net/loop.h"

#define SL_RESOLVES_MAX 16

struct sl_resolve;

/* On the loop's thread; never from inside sl_resolve_start(), never after sl_resolve_cancel(). */
typedef void sl_resolve_done(void *arg, const struct sockaddr_storage *address, socklen_t len,
                             const struct sl_err *err);

/* SL_ELIMIT, SL_ENOMEM, SL_ESYS with text. The loop's thread. */
int sl_resolve_start(struct sl_loop *loop, const char *host, uint16_t port, sl_resolve_done *done,
                     void *arg, struct sl_resolve **ret, struct sl_err *err);
void sl_resolve_cancel(struct sl_resolve *r); /* NULL is fine */

#endif
