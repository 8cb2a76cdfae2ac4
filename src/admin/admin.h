/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The REST interface: what operators, sealanectl, monitoring and the GUI talk to.
 *
 * It reads the running core (status words, counters, copies under short locks) and asks workers
 * through messages with a deadline; it never holds one of them up.
 */
#ifndef SL_ADMIN_ADMIN_H
#define SL_ADMIN_ADMIN_H

#include "base/error.h"

struct sl_admin;
struct sl_core;

/* Starts serving as the admin_* settings of core->config say. With admin_enabled=false nothing is
 * started and *ret is NULL, which sl_admin_stop() takes. The core must outlive it. Control thread.
 */
int sl_admin_start(struct sl_core *core, struct sl_admin **ret, struct sl_err *err);
/* Answers what is under way with 503, then ends all threads. Control thread. */
void sl_admin_stop(struct sl_admin *a);

#endif
