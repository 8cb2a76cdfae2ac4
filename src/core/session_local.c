/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that the proxy answers itself or has to understand whatever the router: QUIT, KILL,
 * CHANGE_USER, INIT_DB (which database is current), SET_OPTION, binlog dumps, and whether a LOCAL
 * INFILE may be asked for.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "core/core.h"
#include "core/kill.h"
#include "core/session.h"
#include "proto/constants.h"
#include "proto/packet.h"
#include "sql/thread_ids.h"

/* First letter of the statement, lower case; 0 if it starts with something else (a comment, a
 * bracket). */
static char first_letter(const uint8_t *sql, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t c = sql[i];
        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            continue;
        }
        c |= 0x20;
        return c >= 'a' && c <= 'z' ? (char)c : 0;
    }
    return 0;
}

/* KILL, and the statements that may ask for a client's file. Only they need a closer look here. */
static bool query(struct sl_session *s, struct sl_request *rq)
{
    const uint8_t *sql = rq->data + SL_PACKET_HEADER + 1;
    size_t len = rq->len - SL_PACKET_HEADER - 1;
    char first = first_letter(sql, len);
    s->allows_infile = first == 'l' || first == 0 || s->multi_statements;
    if (first == 's' || first == 0) {
        s->shows_ids = (uint8_t)sl_sql_thread_ids(sql, len);
    }
    if ((first != 'k' && first != 0) || !rq->is_whole) {
        return false;
    }
    struct sl_sql_info info;
    sl_sql_classify(sql, len, s->sql_mode_bits, &info);
    if (info.op != SL_SQL_OP_KILL || info.is_multi) {
        return false;
    }
    sl_kill_statement(s, &info);
    return true;
}

static void set_pending_db(struct sl_session *s, const struct sl_request *rq)
{
    sl_free(s->pending_db);
    s->pending_db =
        sl_strndup((const char *)rq->data + SL_PACKET_HEADER + 1, rq->len - SL_PACKET_HEADER - 1);
}

static bool is_replication_refused(struct sl_session *s)
{
    if (s->ops->serves_replicas || s->listener->settings.mariadbprotocol_allow_replication) {
        return false;
    }
    sl_session_answer_error(s, 1289, "HY000",
                            "The 'replication protocol' feature is disabled on this listener");
    return true;
}

/* Which prepared statement an execution runs is the router's knowledge: any of them is taken for
 * one that shows ids. */
static void note_prepare(struct sl_session *s, const struct sl_request *rq)
{
    s->prepared_ids |=
        (uint8_t)sl_sql_thread_ids(rq->data + SL_PACKET_HEADER + 1, rq->len - SL_PACKET_HEADER - 1);
}

/* Multi-statements on or off. It outlives COM_RESET_CONNECTION and COM_CHANGE_USER on a server, so
 * later connections ask for it when they log in. Other values are refused by the server. */
static void note_option(struct sl_session *s, const struct sl_request *rq)
{
    uint16_t option = sl_get_le16(rq->data + SL_PACKET_HEADER + 1);
    if (option > 1) {
        return;
    }
    s->multi_statements = option == 0;
    s->capabilities &= ~(uint64_t)SL_CAP_MULTI_STATEMENTS;
    s->capabilities |= s->multi_statements ? SL_CAP_MULTI_STATEMENTS : 0;
}

bool sl_session_local_command(struct sl_session *s, struct sl_request *rq)
{
    s->shows_ids = 0;
    switch (rq->command) {
    case SL_COM_QUERY:
        return query(s, rq);
    case SL_COM_STMT_PREPARE:
        note_prepare(s, rq);
        return false;
    case SL_COM_STMT_EXECUTE:
        s->shows_ids = s->prepared_ids;
        return false;
    case SL_COM_QUIT:
        sl_session_close(s, "the client said goodbye");
        return true;
    case SL_COM_INIT_DB:
        set_pending_db(s, rq);
        return false;
    case SL_COM_SET_OPTION:
        note_option(s, rq);
        return false;
    case SL_COM_PROCESS_KILL: {
        struct sl_sql_info info = {.op = SL_SQL_OP_KILL,
                                   .kill_id = sl_get_le32(rq->data + SL_PACKET_HEADER + 1)};
        sl_kill_statement(s, &info);
        return true;
    }
    case SL_COM_CHANGE_USER:
        sl_session_change_user_start(s, rq);
        return true;
    case SL_COM_BINLOG_DUMP:
    case SL_COM_REGISTER_SLAVE:
        return is_replication_refused(s);
    default:
        return false;
    }
}
