/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of the replica side; contract in the header. Tables. */
#include "router/binlog/upstream_fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

int sl_fault_set(struct sl_fault *f, enum sl_fault_kind kind, unsigned code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(f->text, sizeof(f->text), fmt, args);
    va_end(args);
    f->kind = kind;
    f->code = code;
    return SL_EPROTO;
}

/* Parts of error 1236's texts, in the order in which they must be looked for: the text of a
 * divergence begins like that of a position ahead. */
static const struct {
    const char *part;
    enum sl_fault_kind kind;
} texts_1236[] = {
    {"diverged", SL_FAULT_DIVERGED},
    {"is missing the GTID", SL_FAULT_DIVERGED},
    {"not in the master's binlog", SL_FAULT_AHEAD},
    {"Could not find GTID state", SL_FAULT_PURGED},
    {"Could not find first log file", SL_FAULT_PURGED},
    {"same server_uuid/server_id", SL_FAULT_DUPLICATE},
};

static const struct {
    unsigned code;
    enum sl_fault_kind kind;
} codes[] = {
    {1044, SL_FAULT_DENIED},  {1045, SL_FAULT_DENIED},  {1129, SL_FAULT_DENIED},
    {1130, SL_FAULT_DENIED},  {1142, SL_FAULT_DENIED},  {1227, SL_FAULT_DENIED},
    {1251, SL_FAULT_DENIED},  {1698, SL_FAULT_DENIED},  {1820, SL_FAULT_DENIED},
    {1862, SL_FAULT_DENIED},  {4151, SL_FAULT_DENIED},  {SL_ER_RELAY_DUPLICATE, SL_FAULT_DUPLICATE},
    {1941, SL_FAULT_REFUSED}, {1943, SL_FAULT_REFUSED}, {1193, SL_FAULT_REFUSED},
};

enum sl_fault_kind sl_fault_classify(unsigned code, struct sl_slice message)
{
    if (code == SL_ER_RELAY_PURGED) {
        for (size_t i = 0; i < SL_ARRAY_LEN(texts_1236); i++) {
            if (memmem(message.data, message.len, texts_1236[i].part, strlen(texts_1236[i].part)) !=
                NULL) {
                return texts_1236[i].kind;
            }
        }
        return SL_FAULT_REFUSED;
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(codes); i++) {
        if (codes[i].code == code) {
            return codes[i].kind;
        }
    }
    return SL_FAULT_LOST; /* 1053, 1105, 1927, ...: a replica comes back after these */
}

int sl_fault_from_server(struct sl_fault *f, const char *where, unsigned code,
                         struct sl_slice message)
{
    return sl_fault_set(f, sl_fault_classify(code, message), code, "%s: error %u: %.*s", where,
                        code, (int)message.len, (const char *)message.data);
}

uint64_t sl_fault_delay_ms(enum sl_fault_kind kind, unsigned attempts)
{
    switch (kind) {
    case SL_FAULT_NONE:
        return 0;
    case SL_FAULT_LOST:
        return SL_FAULT_DELAY_MS;
    case SL_FAULT_PROTO:
    case SL_FAULT_AHEAD:
    case SL_FAULT_STORE:
    case SL_FAULT_SYSTEM:
        return attempts <= SL_FAULT_QUICK_ATTEMPTS ? SL_FAULT_DELAY_MS : SL_FAULT_SLOW_DELAY_MS;
    case SL_FAULT_DENIED:
    case SL_FAULT_TLS:
    case SL_FAULT_SERVER_ID:
    case SL_FAULT_DUPLICATE:
    case SL_FAULT_PURGED:
    case SL_FAULT_DIVERGED:
    case SL_FAULT_REFUSED:
        break;
    }
    return SL_FAULT_SLOW_DELAY_MS;
}
