/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command of the client is: the classified text of a query or PREPARE, or the statement that
 * a command of the binary protocol names. Changes nothing but the recording of a transaction.
 */
#include <string.h>

#include "proto/constants.h"
#include "proto/packet.h"
#include "router/readwritesplit/replay.h"
#include "router/readwritesplit/request.h"

static void parse_query(struct rws *r, struct sl_request *rq, struct rws_parsed *p)
{
    p->sql = sl_slice(rq->data + SL_PACKET_HEADER + 1, rq->len - SL_PACKET_HEADER - 1);
    sl_sql_classify(p->sql.data, p->sql.len, r->session->sql_mode_bits, &p->info);
    if ((p->info.type & SL_SQL_EXECUTE) && !p->info.is_multi) {
        uintptr_t type = (uintptr_t)sl_map_get(&r->text_stmts, p->info.name);
        p->info.type = type ? (uint32_t)type : SL_SQL_WRITE | RWS_TYPE_MAY_COMMIT;
    }
    p->reads_temp_table = rws_temp_tables_read(r, p->sql.data, p->sql.len);
}

/* Text of a prepared statement, from the history that must hold it while it is open. */
struct sl_slice rws_prepared_text(struct rws *r, uint32_t slot)
{
    struct sl_history_entry *e = sl_history_find_slot(&r->history, slot);
    return e ? sl_slice(e->packet + SL_PACKET_HEADER + 1, e->len - SL_PACKET_HEADER - 1)
             : sl_slice(NULL, 0);
}

/* What the server calls the function that does not know the id (sql/sql_prepare.cc). */
static const char *server_function(uint8_t command)
{
    return command == SL_COM_STMT_FETCH          ? "mysqld_stmt_fetch"
           : command == SL_COM_STMT_RESET        ? "mysqld_stmt_reset"
           : command == SL_COM_STMT_BULK_EXECUTE ? "mysqld_stmt_bulk_execute"
                                                 : "mysqld_stmt_execute";
}

/* Commands that name a statement. False: the id is unknown and the client has been told. */
static bool parse_stmt(struct rws *r, struct sl_request *rq, struct rws_parsed *p)
{
    p->stmt = rws_stmt_get(r, sl_stmt_id(rq->data + SL_PACKET_HEADER));
    if (!p->stmt || p->stmt->is_kept || p->stmt->is_closing) {
        sl_session_answer_error(r->session, SL_ER_UNKNOWN_STMT_HANDLER, NULL,
                                "Unknown prepared statement handler (%u) given to %s",
                                sl_stmt_id(rq->data + SL_PACKET_HEADER),
                                server_function(rq->command));
        return false;
    }
    p->info.type = p->stmt->type;
    p->info.op = p->stmt->op;
    p->info.is_multi = p->stmt->is_multi;
    if (r->temp_tables.count > 0) {
        struct sl_slice text = rws_prepared_text(r, rws_stmt_slot(r, p->stmt));
        p->reads_temp_table = text.len > 0 && rws_temp_tables_read(r, text.data, text.len);
    }
    return true;
}

bool rws_parse(struct rws *r, struct sl_request *rq, struct rws_parsed *p)
{
    memset(p, 0, sizeof *p);
    if (rq->command == SL_COM_QUERY) {
        parse_query(r, rq, p);
    } else if (rq->command == SL_COM_STMT_PREPARE) {
        p->sql = sl_slice(rq->data + SL_PACKET_HEADER + 1, rq->len - SL_PACKET_HEADER - 1);
    } else if (sl_command_info(rq->command)->flags & SL_COMMAND_STMT_ID) {
        return parse_stmt(r, rq, p);
    }
    return true;
}

void rws_describe(const struct rws_parsed *p, struct sl_request *rq, struct rws *r,
                  struct rws_command *ret)
{
    *ret = (struct rws_command){.rq = rq,
                                .type = p->info.type,
                                .op = p->info.op,
                                .is_multi = p->info.is_multi,
                                .was_open = p->before.is_open,
                                .stmt = p->stmt,
                                .sql = p->sql};
    if (p->stmt && r->cfg->transaction_replay_checksum == SL_TRX_CHECKSUM_NO_INSERT_ID) {
        ret->sql = rws_prepared_text(r, rws_stmt_slot(r, p->stmt));
    }
}

/* The command is about to go to the server of the open transaction. */
void rws_record(struct rws *r, struct sl_request *rq, const struct rws_parsed *p, bool is_for_all)
{
    struct rws_command c;
    if (r->cfg->transaction_replay && r->session->trx.is_open) {
        rws_describe(p, rq, r, &c);
        c.is_for_all = is_for_all;
        rws_replay_record(r, &c);
    }
}
