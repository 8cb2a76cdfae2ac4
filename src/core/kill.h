/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KILL. A server lets a user kill his own threads, so a helper session without client ("ghost")
 * logs in to the server with the credentials of the session that asks and sends one KILL statement;
 * the server checks the rights.
 */
#ifndef SL_CORE_KILL_H
#define SL_CORE_KILL_H

#include <stdbool.h>
#include <stdint.h>

#include "sql/classify.h"

struct sl_session;
struct sl_backend;

/* The backend is about to be dropped while a statement runs on it: kill it there, so that locks
 * are freed at once. */
void sl_kill_abandoned(struct sl_backend *b);

/* The client's KILL statement or COM_PROCESS_KILL: finds the session that is meant (or those of a
 * user) on all workers and kills it or its statements. Answers the client. */
void sl_kill_statement(struct sl_session *s, const struct sl_sql_info *info);

/* The client has got b's reply to a command that may show ids of server threads: remembers them. */
void sl_kill_learn(const struct sl_backend *b);

#endif
