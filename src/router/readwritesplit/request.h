/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the parts of routing a command fit together; only request*.c include this.
 *
 *   request.c        entry: the target is decided, held commands come again
 *   request_parse.c  what the command is
 *   request_send.c   to one server
 *   request_all.c    to all of them
 *
 * All of it on the session's worker. `is_saved`: the command is a copy that is being retried, not
 * what stands in the client connection's input.
 */
#ifndef SL_ROUTER_READWRITESPLIT_REQUEST_H
#define SL_ROUTER_READWRITESPLIT_REQUEST_H

#include "proto/constants.h"
#include "router/readwritesplit/rwsplit.h"

struct rws_command;

/* A command understood. Its slices end with the request. */
struct rws_parsed {
    struct sl_sql_info info;
    struct sl_slice sql;   /* text of COM_QUERY and COM_STMT_PREPARE, else empty */
    struct rws_stmt *stmt; /* of the binary protocol, or NULL */
    bool reads_temp_table;
    struct sl_trx before; /* transaction state before this command */
};

static inline bool rws_is_statement(uint8_t command)
{
    return command == SL_COM_QUERY || command == SL_COM_STMT_EXECUTE ||
           command == SL_COM_STMT_BULK_EXECUTE;
}

/* ---- request.c ---- */

/* Keeps a copy for a retry; without memory there is none. */
void rws_save(struct rws *r, const struct sl_request *rq);
/* The command comes again when a connection has changed; counted as held. */
void rws_hold(struct rws *r, bool is_saved);

/* ---- request_parse.c ---- */

/* False: it names a statement that does not exist, the client has been told. */
bool rws_parse(struct rws *r, struct sl_request *rq, struct rws_parsed *ret);
/* Text of a prepared statement, from the history that holds it while it is open; may be empty. */
struct sl_slice rws_prepared_text(struct rws *r, uint32_t slot);
/* The command as the replay log sees it. */
void rws_describe(const struct rws_parsed *p, struct sl_request *rq, struct rws *r,
                  struct rws_command *ret);
/* The command is about to go to the server of the open transaction: into the replay log. */
void rws_record(struct rws *r, struct sl_request *rq, const struct rws_parsed *p, bool is_for_all);

/* ---- request_send.c ---- */

/* Is everything there to run this command on the backend now? Otherwise something is under way:
 * hold the command. */
bool rws_is_ready_for(struct rws *r, struct sl_backend *b, const struct sl_request *rq,
                      const struct rws_parsed *p, bool is_write);
/* The command was sent: the session's state follows it. */
void rws_note_sent(struct rws *r, struct sl_request *rq, const struct rws_parsed *p,
                   enum rws_target target, int position);
void rws_count_statement(struct rws *r, struct sl_request *rq, const struct rws_parsed *p,
                         enum rws_target target);
void rws_answer_not_prepared(struct sl_session *s, const struct sl_backend *b);
void rws_answer_long_data_lost(struct sl_session *s);
/* Sends to the server at `position`, holds the command, or answers it; `is_passed_over` is set
 * when another server has to be chosen. */
void rws_send_one(struct rws *r, struct sl_request *rq, const struct rws_parsed *p,
                  enum rws_target target, int position, bool is_saved);
/* Each chooses the server of its class and sends. */
void rws_route_transaction(struct rws *r, struct sl_request *rq, const struct rws_parsed *p,
                           enum rws_target target, bool is_saved);
void rws_route_primary(struct rws *r, struct sl_request *rq, const struct rws_parsed *p,
                       bool is_saved);
void rws_route_replica(struct rws *r, struct sl_request *rq, const struct rws_parsed *p,
                       enum rws_target target, bool is_saved);

/* ---- request_all.c ---- */

void rws_route_all(struct rws *r, struct sl_request *rq, const struct rws_parsed *p, bool is_saved);

#endif
