/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of commands: what a byte means, whether it is answered and by what shape.
 * Source: mariadb.com/kb "clientserver protocol: text protocol / binary protocol", checked against
 * MariaDB 10.11: bytes without SL_COMMAND_KNOWN get ERR 1047 there.
 */
#include "proto/constants.h"

#define K SL_COMMAND_KNOWN
#define ID (SL_COMMAND_KNOWN | SL_COMMAND_STMT_ID)
#define RS (SL_COMMAND_KNOWN | SL_COMMAND_RESULTSET)
#define FE (SL_COMMAND_KNOWN | SL_COMMAND_EOF_REPLY)

static const struct sl_command_info commands[256] = {
    [SL_COM_SLEEP] = {"COM_SLEEP", 0, 1},
    [SL_COM_QUIT] = {"COM_QUIT", K | SL_COMMAND_NO_REPLY, 1},
    [SL_COM_INIT_DB] = {"COM_INIT_DB", K, 1},
    [SL_COM_QUERY] = {"COM_QUERY", RS | SL_COMMAND_INFILE, 1},
    [SL_COM_FIELD_LIST] = {"COM_FIELD_LIST", FE, 2},
    [SL_COM_CREATE_DB] = {"COM_CREATE_DB", 0, 1},
    [SL_COM_DROP_DB] = {"COM_DROP_DB", 0, 1},
    [SL_COM_REFRESH] = {"COM_REFRESH", K, 2},
    [SL_COM_SHUTDOWN] = {"COM_SHUTDOWN", FE, 1},
    [SL_COM_STATISTICS] = {"COM_STATISTICS", K, 1},
    [SL_COM_PROCESS_INFO] = {"COM_PROCESS_INFO", RS, 1},
    [SL_COM_CONNECT] = {"COM_CONNECT", 0, 1},
    [SL_COM_PROCESS_KILL] = {"COM_PROCESS_KILL", K, 5},
    [SL_COM_DEBUG] = {"COM_DEBUG", FE, 1},
    [SL_COM_PING] = {"COM_PING", K, 1},
    [SL_COM_TIME] = {"COM_TIME", 0, 1},
    [SL_COM_DELAYED_INSERT] = {"COM_DELAYED_INSERT", 0, 1},
    [SL_COM_CHANGE_USER] = {"COM_CHANGE_USER", K | SL_COMMAND_DIALOGUE, 2},
    [SL_COM_BINLOG_DUMP] = {"COM_BINLOG_DUMP", K | SL_COMMAND_STREAM, 11},
    [SL_COM_TABLE_DUMP] = {"COM_TABLE_DUMP", 0, 1},
    [SL_COM_CONNECT_OUT] = {"COM_CONNECT_OUT", 0, 1},
    [SL_COM_REGISTER_SLAVE] = {"COM_REGISTER_SLAVE", K, 5},
    [SL_COM_STMT_PREPARE] = {"COM_STMT_PREPARE", K, 1},
    [SL_COM_STMT_EXECUTE] = {"COM_STMT_EXECUTE", ID | RS | SL_COMMAND_INFILE, 10},
    [SL_COM_STMT_SEND_LONG_DATA] = {"COM_STMT_SEND_LONG_DATA", ID | SL_COMMAND_NO_REPLY, 7},
    [SL_COM_STMT_CLOSE] = {"COM_STMT_CLOSE", ID | SL_COMMAND_NO_REPLY, 5},
    [SL_COM_STMT_RESET] = {"COM_STMT_RESET", ID, 5},
    [SL_COM_SET_OPTION] = {"COM_SET_OPTION", FE, 3},
    [SL_COM_STMT_FETCH] = {"COM_STMT_FETCH", ID | FE, 9},
    [SL_COM_DAEMON] = {"COM_DAEMON", 0, 1},
    [SL_COM_BINLOG_DUMP_GTID] = {"COM_BINLOG_DUMP_GTID", 0, 1},
    [SL_COM_RESET_CONNECTION] = {"COM_RESET_CONNECTION", K, 1},
    [SL_COM_STMT_BULK_EXECUTE] = {"COM_STMT_BULK_EXECUTE", ID | RS, 7},
};

static const struct sl_command_info unknown = {"COM_UNKNOWN", 0, 1};

struct error_state {
    uint16_t code;
    char sqlstate[6];
};

static const struct error_state error_states[] = {
#define SL_ER_ROW(name, code, sqlstate) {code, sqlstate},
    SL_ER_LIST(SL_ER_ROW)
#undef SL_ER_ROW
};

const struct sl_command_info *sl_command_info(uint8_t command)
{
    const struct sl_command_info *info = &commands[command];
    return info->name ? info : &unknown;
}

const char *sl_server_error_sqlstate(uint16_t code)
{
    for (size_t i = 0; i < sizeof(error_states) / sizeof(error_states[0]); i++) {
        if (error_states[i].code == code) {
            return error_states[i].sqlstate;
        }
    }
    return "HY000";
}
