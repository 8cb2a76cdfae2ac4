/* SPDX-License-Identifier: Apache-2.0 */
/* Names of type bits and operations, for logs and REST. Same order as the enums of classify.h. */
#include <stdio.h>

#include "base/assert.h"
#include "sql/classify.h"

static const char *const type_names[] = {
    "READ",          "WRITE",          "PRIMARY_READ",    "SESSION_WRITE", "USERVAR_READ",
    "USERVAR_WRITE", "SYSVAR_READ",    "GLOBAL_WRITE",    "TRX_BEGIN",     "TRX_COMMIT",
    "TRX_ROLLBACK",  "TRX_READ_ONLY",  "TRX_READ_WRITE",  "TRX_NEXT",      "TRX_CHAIN",
    "AUTOCOMMIT_ON", "AUTOCOMMIT_OFF", "IMPLICIT_COMMIT", "CREATE_TEMP",   "DROP_TABLE",
    "PREPARE",       "EXECUTE",        "DEALLOCATE",      "LAST",          "GET_LOCK",
    "LOAD_LOCAL",    "SERIALIZABLE",   "ISOLATION",
};

static const char *const op_names[] = {
    "UNKNOWN",    "EMPTY",
    "SELECT",     "INSERT",
    "REPLACE",    "UPDATE",
    "DELETE",     "LOAD",
    "CALL",       "SHOW",
    "EXPLAIN",    "SET",
    "USE",        "DDL",
    "BEGIN",      "COMMIT",
    "ROLLBACK",   "SAVEPOINT",
    "XA_START",   "XA_END",
    "XA",         "LOCK",
    "UNLOCK",     "PREPARE",
    "EXECUTE",    "EXECUTE_IMMEDIATE",
    "DEALLOCATE", "KILL",
    "DO",         "HANDLER",
    "GRANT",      "FLUSH",
    "ADMIN",      "COMPOUND",
    "OTHER",
};
_Static_assert(SL_ARRAY_LEN(op_names) == SL_SQL_OP_COUNT, "one name an operation");

const char *sl_sql_type_text(uint32_t type, char *out, size_t size)
{
    size_t used = 0;

    sl_assert(size > 0);
    out[0] = '\0';
    for (size_t i = 0; i < SL_ARRAY_LEN(type_names); i++) {
        if (!(type & 1u << i) || used >= size) {
            continue;
        }
        const int n = snprintf(out + used, size - used, "%s%s", used > 0 ? "|" : "", type_names[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    return out;
}

const char *sl_sql_op_text(enum sl_sql_op op)
{
    return (size_t)op < SL_ARRAY_LEN(op_names) ? op_names[op] : "UNKNOWN";
}
