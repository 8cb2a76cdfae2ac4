/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of the client/server protocol: capabilities, status flags, commands, column types,
 * errors. Sources: mariadb.com/kb "Connection", "Clientserver protocol"; include/mysql_com.h of
 * the server.
 */
#ifndef SL_PROTO_CONSTANTS_H
#define SL_PROTO_CONSTANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bits 32 and up are MariaDB's; they are void if bit 0 is set. */
enum sl_capability {
    SL_CAP_MYSQL = 1ULL << 0, /* LONG_PASSWORD: "I do not speak MariaDB's extensions" */
    SL_CAP_FOUND_ROWS = 1ULL << 1,
    SL_CAP_LONG_FLAG = 1ULL << 2,
    SL_CAP_CONNECT_WITH_DB = 1ULL << 3,
    SL_CAP_NO_SCHEMA = 1ULL << 4,
    SL_CAP_COMPRESS = 1ULL << 5,
    SL_CAP_ODBC = 1ULL << 6,
    SL_CAP_LOCAL_FILES = 1ULL << 7,
    SL_CAP_IGNORE_SPACE = 1ULL << 8,
    SL_CAP_PROTOCOL_41 = 1ULL << 9,
    SL_CAP_INTERACTIVE = 1ULL << 10,
    SL_CAP_SSL = 1ULL << 11,
    SL_CAP_IGNORE_SIGPIPE = 1ULL << 12,
    SL_CAP_TRANSACTIONS = 1ULL << 13,
    SL_CAP_RESERVED = 1ULL << 14,
    SL_CAP_SECURE_CONNECTION = 1ULL << 15,
    SL_CAP_MULTI_STATEMENTS = 1ULL << 16,
    SL_CAP_MULTI_RESULTS = 1ULL << 17,
    SL_CAP_PS_MULTI_RESULTS = 1ULL << 18,
    SL_CAP_PLUGIN_AUTH = 1ULL << 19,
    SL_CAP_CONNECT_ATTRS = 1ULL << 20,
    SL_CAP_AUTH_LENENC = 1ULL << 21, /* PLUGIN_AUTH_LENENC_CLIENT_DATA */
    SL_CAP_EXPIRED_PASSWORDS = 1ULL << 22,
    SL_CAP_SESSION_TRACK = 1ULL << 23,
    SL_CAP_DEPRECATE_EOF = 1ULL << 24,
    SL_CAP_OPTIONAL_METADATA = 1ULL << 25, /* MySQL */
    SL_CAP_ZSTD = 1ULL << 26,              /* MySQL */
    SL_CAP_QUERY_ATTRIBUTES = 1ULL << 27,  /* MySQL */
    SL_CAP_MULTI_FACTOR = 1ULL << 28,      /* MySQL */
    SL_CAP_OLD_PROGRESS = 1ULL << 29,      /* client-side only */
    SL_CAP_SSL_VERIFY = 1ULL << 30,        /* client-side only */
    SL_CAP_REMEMBER_OPTIONS = 1ULL << 31,  /* client-side only */
    SL_CAP_PROGRESS = 1ULL << 32,
    SL_CAP_COM_MULTI = 1ULL << 33, /* withdrawn */
    SL_CAP_BULK = 1ULL << 34,
    SL_CAP_EXTENDED_METADATA = 1ULL << 35,
    SL_CAP_CACHE_METADATA = 1ULL << 36,
    SL_CAP_BULK_UNIT_RESULTS = 1ULL << 37
};

enum sl_status_flag {
    SL_STATUS_IN_TRANS = 0x0001,
    SL_STATUS_AUTOCOMMIT = 0x0002,
    SL_STATUS_MORE_RESULTS = 0x0008,
    SL_STATUS_NO_GOOD_INDEX = 0x0010,
    SL_STATUS_NO_INDEX = 0x0020,
    SL_STATUS_CURSOR_EXISTS = 0x0040,
    SL_STATUS_LAST_ROW_SENT = 0x0080,
    SL_STATUS_DB_DROPPED = 0x0100,
    SL_STATUS_NO_BACKSLASH_ESCAPES = 0x0200,
    SL_STATUS_METADATA_CHANGED = 0x0400,
    SL_STATUS_QUERY_WAS_SLOW = 0x0800,
    SL_STATUS_PS_OUT_PARAMS = 0x1000,
    SL_STATUS_IN_TRANS_READONLY = 0x2000,
    SL_STATUS_SESSION_STATE_CHANGED = 0x4000,
    SL_STATUS_ANSI_QUOTES = 0x8000
};

enum sl_command {
    SL_COM_SLEEP = 0x00,
    SL_COM_QUIT = 0x01,
    SL_COM_INIT_DB = 0x02,
    SL_COM_QUERY = 0x03,
    SL_COM_FIELD_LIST = 0x04,
    SL_COM_CREATE_DB = 0x05,
    SL_COM_DROP_DB = 0x06,
    SL_COM_REFRESH = 0x07,
    SL_COM_SHUTDOWN = 0x08,
    SL_COM_STATISTICS = 0x09,
    SL_COM_PROCESS_INFO = 0x0a,
    SL_COM_CONNECT = 0x0b,
    SL_COM_PROCESS_KILL = 0x0c,
    SL_COM_DEBUG = 0x0d,
    SL_COM_PING = 0x0e,
    SL_COM_TIME = 0x0f,
    SL_COM_DELAYED_INSERT = 0x10,
    SL_COM_CHANGE_USER = 0x11,
    SL_COM_BINLOG_DUMP = 0x12,
    SL_COM_TABLE_DUMP = 0x13,
    SL_COM_CONNECT_OUT = 0x14,
    SL_COM_REGISTER_SLAVE = 0x15,
    SL_COM_STMT_PREPARE = 0x16,
    SL_COM_STMT_EXECUTE = 0x17,
    SL_COM_STMT_SEND_LONG_DATA = 0x18,
    SL_COM_STMT_CLOSE = 0x19,
    SL_COM_STMT_RESET = 0x1a,
    SL_COM_SET_OPTION = 0x1b,
    SL_COM_STMT_FETCH = 0x1c,
    SL_COM_DAEMON = 0x1d,
    SL_COM_BINLOG_DUMP_GTID = 0x1e, /* MySQL only */
    SL_COM_RESET_CONNECTION = 0x1f,
    SL_COM_STMT_BULK_EXECUTE = 0xfa
};

enum sl_command_flag {
    SL_COMMAND_KNOWN = 1,     /* MariaDB 10.11 carries it out; the others get ERR 1047 */
    SL_COMMAND_NO_REPLY = 2,  /* must not enqueue an expected reply */
    SL_COMMAND_RESULTSET = 4, /* may be answered by result sets */
    SL_COMMAND_EOF_REPLY = 8, /* success is EOF-shaped (fe) */
    SL_COMMAND_STMT_ID = 16,  /* u32 statement id right behind the command byte */
    SL_COMMAND_STREAM = 32,   /* endless reply */
    SL_COMMAND_DIALOGUE = 64, /* authentication rounds follow: not a plain reply */
    SL_COMMAND_INFILE = 128   /* may be answered by a LOCAL INFILE request */
};

struct sl_command_info {
    const char *name;     /* "COM_QUERY"; "COM_UNKNOWN" for a byte without a name */
    uint16_t flags;       /* enum sl_command_flag */
    uint16_t min_payload; /* command byte included; shorter ones are malformed */
};

/* Never NULL. Static storage. Any thread. */
const struct sl_command_info *sl_command_info(uint8_t command);

static inline bool sl_command_has_reply(uint8_t command)
{
    return (sl_command_info(command)->flags & SL_COMMAND_NO_REPLY) == 0;
}

/* MariaDB: "the last prepared statement of this connection". */
#define SL_STMT_ID_LAST 0xFFFFFFFFu

enum sl_column_type {
    SL_TYPE_DECIMAL = 0,
    SL_TYPE_TINY = 1,
    SL_TYPE_SHORT = 2,
    SL_TYPE_LONG = 3,
    SL_TYPE_FLOAT = 4,
    SL_TYPE_DOUBLE = 5,
    SL_TYPE_NULL = 6,
    SL_TYPE_TIMESTAMP = 7,
    SL_TYPE_LONGLONG = 8,
    SL_TYPE_INT24 = 9,
    SL_TYPE_DATE = 10,
    SL_TYPE_TIME = 11,
    SL_TYPE_DATETIME = 12,
    SL_TYPE_YEAR = 13,
    SL_TYPE_VARCHAR = 15,
    SL_TYPE_BIT = 16,
    SL_TYPE_NEWDECIMAL = 246,
    SL_TYPE_ENUM = 247,
    SL_TYPE_SET = 248,
    SL_TYPE_TINY_BLOB = 249,
    SL_TYPE_MEDIUM_BLOB = 250,
    SL_TYPE_LONG_BLOB = 251,
    SL_TYPE_BLOB = 252,
    SL_TYPE_VAR_STRING = 253,
    SL_TYPE_STRING = 254,
    SL_TYPE_GEOMETRY = 255
};

/* Server errors that the proxy sends or reacts to. X(name, code, sqlstate). Codes of 2000-2999
 * are the clients' own: Connector/C takes an ERR with one of them for a malformed packet, so a
 * lost server is told as 1158. */
#define SL_ER_LIST(X)                                                                              \
    X(SL_ER_CON_COUNT, 1040, "08004")                                                              \
    X(SL_ER_BAD_HOST, 1042, "08S01")                                                               \
    X(SL_ER_HANDSHAKE, 1043, "08S01")                                                              \
    X(SL_ER_DBACCESS_DENIED, 1044, "42000")                                                        \
    X(SL_ER_ACCESS_DENIED, 1045, "28000")                                                          \
    X(SL_ER_NO_DB, 1046, "3D000")                                                                  \
    X(SL_ER_UNKNOWN_COM, 1047, "08S01")                                                            \
    X(SL_ER_BAD_DB, 1049, "42000")                                                                 \
    X(SL_ER_SERVER_SHUTDOWN, 1053, "08S01")                                                        \
    X(SL_ER_PARSE, 1064, "42000")                                                                  \
    X(SL_ER_NO_SUCH_THREAD, 1094, "HY000")                                                         \
    X(SL_ER_KILL_DENIED, 1095, "HY000")                                                            \
    X(SL_ER_UNKNOWN_ERROR, 1105, "HY000")                                                          \
    X(SL_ER_HOST_IS_BLOCKED, 1129, "HY000")                                                        \
    X(SL_ER_HOST_NOT_PRIVILEGED, 1130, "HY000")                                                    \
    X(SL_ER_NET_PACKET_TOO_LARGE, 1153, "08S01")                                                   \
    X(SL_ER_NET_PACKETS_OUT_OF_ORDER, 1156, "08S01")                                               \
    X(SL_ER_NET_READ_ERROR, 1158, "08S01")                                                         \
    X(SL_ER_NET_READ_INTERRUPTED, 1159, "08S01")                                                   \
    X(SL_ER_ERROR_DURING_COMMIT, 1180, "HY000")                                                    \
    X(SL_ER_NEW_ABORTING_CONNECTION, 1184, "08S01")                                                \
    X(SL_ER_TOO_MANY_USER_CONNECTIONS, 1203, "42000")                                              \
    X(SL_ER_LOCK_WAIT_TIMEOUT, 1205, "HY000")                                                      \
    X(SL_ER_LOCK_DEADLOCK, 1213, "40001")                                                          \
    X(SL_ER_USER_LIMIT_REACHED, 1226, "42000")                                                     \
    X(SL_ER_SPECIFIC_ACCESS_DENIED, 1227, "42000")                                                 \
    X(SL_ER_UNKNOWN_STMT_HANDLER, 1243, "HY000")                                                   \
    X(SL_ER_NOT_SUPPORTED_AUTH_MODE, 1251, "08004")                                                \
    X(SL_ER_OPTION_PREVENTS_STATEMENT, 1290, "HY000")                                              \
    X(SL_ER_UNSUPPORTED_PS, 1295, "HY000")                                                         \
    X(SL_ER_SP_BADSELECT, 1312, "0A000")                                                           \
    X(SL_ER_QUERY_INTERRUPTED, 1317, "70100")                                                      \
    X(SL_ER_STMT_HAS_NO_OPEN_CURSOR, 1421, "HY000")                                                \
    X(SL_ER_PLUGIN_IS_NOT_LOADED, 1524, "HY000")                                                   \
    X(SL_ER_XA_RBDEADLOCK, 1614, "XA102")                                                          \
    X(SL_ER_ACCESS_DENIED_NO_PASSWORD, 1698, "28000")                                              \
    X(SL_ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, 1792, "25006")                                  \
    X(SL_ER_MUST_CHANGE_PASSWORD, 1820, "HY000")                                                   \
    X(SL_ER_MALFORMED_PACKET, 1835, "HY000")                                                       \
    X(SL_ER_MUST_CHANGE_PASSWORD_LOGIN, 1862, "HY000")                                             \
    X(SL_ER_CONNECTION_KILLED, 1927, "70100")                                                      \
    X(SL_ER_KILL_QUERY_DENIED, 1957, "HY000")                                                      \
    X(SL_ER_STATEMENT_TIMEOUT, 1969, "70100")                                                      \
    X(SL_ER_ACCOUNT_HAS_BEEN_LOCKED, 4151, "HY000")                                                \
    X(SL_ER_LOAD_INFILE_CAPABILITY_DISABLED, 4166, "HY000")

enum sl_server_error {
#define SL_ER_ENUM(name, code, sqlstate) name = code,
    SL_ER_LIST(SL_ER_ENUM)
#undef SL_ER_ENUM
};

/* The SQLSTATE that the server sends with an error of the list above; "HY000" for others. */
const char *sl_server_error_sqlstate(uint16_t code);

#endif
