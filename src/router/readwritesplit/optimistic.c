/* SPDX-License-Identifier: Apache-2.0 */
/*
 * optimistic_trx: a transaction begins on a replica and stays there while it only reads. The first
 * command that does more holds: ROLLBACK over there, the transaction so far is replayed on the
 * primary, and if all results are equal the command goes on there. The run itself is replay.c's.
 *
 *   BEGIN --> replica: reads --> COMMIT
 *                       |
 *                       +- a write --> ROLLBACK there, replay on the primary, the write
 */
#include "base/log.h"
#include "core/server.h"
#include "proto/constants.h"
#include "router/readwritesplit/replay.h"

bool rws_is_optimistic(const struct rws *r)
{
    return r->session->trx.is_open && r->trx_server != RWS_NONE &&
           r->trx_server == r->optimistic_on;
}

/* The primary has nothing of the session that a replica lacks. */
static bool is_free(const struct rws *r)
{
    return r->locks == 0 && !r->used_get_lock && !r->next_trx && r->temp_tables.count == 0 &&
           sl_history_is_recoverable(&r->history);
}

bool rws_optimistic_begins(const struct rws *r, const struct rws_command *c)
{
    const struct sl_trx *trx = &r->session->trx;
    if (!r->cfg->optimistic_trx || !(c->type & SL_SQL_TRX_BEGIN) || c->op == SL_SQL_OP_XA_START ||
        c->is_multi || c->was_open || trx->is_read_only || !is_free(r)) {
        return false;
    }
    int position = rws_select_replica(r, 0);
    return position != RWS_NONE && sl_backend_is_ready(r->session->backends[position]) &&
           !sl_status_is_master(sl_server_status(r->session->service->servers[position]));
}

/* What a replica may do for a transaction that could still be committed there. */
static bool may_stay(const struct rws_command *c)
{
    const uint32_t acts =
        SL_SQL_WRITE | SL_SQL_PRIMARY_READ | SL_SQL_CREATE_TEMP | SL_SQL_GET_LOCK | SL_SQL_TRX_NEXT;
    switch (c->rq->command) {
    case SL_COM_QUERY:
    case SL_COM_STMT_EXECUTE:
    case SL_COM_STMT_BULK_EXECUTE:
    case SL_COM_STMT_SEND_LONG_DATA:
        return !c->is_multi && !(c->type & acts);
    case SL_COM_CREATE_DB:
    case SL_COM_DROP_DB:
    case SL_COM_SHUTDOWN:
        return false;
    default:
        return true;
    }
}

bool rws_optimistic_must_leave(const struct rws *r, const struct rws_command *c)
{
    return rws_is_optimistic(r) && !may_stay(c);
}

void rws_optimistic_leave(struct rws *r)
{
    static const uint8_t rollback[] = {9,   0,   0,   0,   SL_COM_QUERY, 'R', 'O',
                                       'L', 'L', 'B', 'A', 'C',          'K'};
    struct sl_backend *b = r->session->backends[r->trx_server];
    if (sl_backend_is_ready(b) &&
        sl_backend_send(b, rollback, sizeof rollback, SL_PURPOSE_INTERNAL, RWS_TAG_ROLLBACK) < 0) {
        sl_backend_close(b); /* which rolls back too */
    }
}
