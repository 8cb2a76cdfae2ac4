/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prepared statements on the wire: ids and parameter types of EXECUTE and BULK_EXECUTE.
 *
 * Ids differ from server to server, so they are rewritten in place. Parameter types may be left out
 * from the second execution on, since the server remembers them per statement: who moves a
 * statement to another server must remember them too and put them back (sl_execute_build).
 * Source: mariadb.com/kb "COM_STMT_EXECUTE", "COM_STMT_BULK_EXECUTE".
 */
#ifndef SL_PROTO_PARAMS_H
#define SL_PROTO_PARAMS_H

#include "proto/constants.h"
#include "proto/packet.h"

#define SL_EXECUTE_CURSOR 0x01 /* EXECUTE flag: read-only cursor */
#define SL_BULK_TYPES 0x80     /* BULK_EXECUTE flag: types follow */
#define SL_BULK_UNIT_RESULTS 0x40

/* Statement id of a command that has SL_COMMAND_STMT_ID. The payload starts with the command byte
 * and is at least 5 bytes long. */
uint32_t sl_stmt_id(const uint8_t *payload);
void sl_stmt_id_put(uint8_t *payload, uint32_t id);

/* The same for a PREPARE-OK payload (00, u32 id, ...; at least 12 bytes). */
uint32_t sl_prepare_ok_id(const uint8_t *payload);
void sl_prepare_ok_id_put(uint8_t *payload, uint32_t id);

struct sl_execute_info {
    uint32_t stmt_id;
    bool is_bulk;
    bool has_types;
    uint16_t flags;      /* cursor flags, or the bulk flags */
    uint32_t iterations; /* always 1; 0 for bulk */
    uint16_t params;
    struct sl_slice nulls; /* bitmap, (params + 7) / 8 bytes; empty for bulk */
    struct sl_slice types; /* 2 bytes a parameter; empty unless has_types */
    size_t values_at;      /* offset of the values in the payload */
};

/* Understands the front of an EXECUTE or BULK_EXECUTE; `len` bytes of the payload are at hand,
 * `params` is the count of PREPARE-OK. 0; SL_EAGAIN: more bytes of the payload are needed (only
 * ever with long parameter lists); SL_EPROTO: malformed if these were all. */
int sl_execute_parse(const uint8_t *payload, size_t len, uint16_t params,
                     struct sl_execute_info *ret);

/* Appends the command anew, with other id and with `types` (2 bytes a parameter) put in if it has
 * none; `payload` is the whole logical payload that `info` was made from. Cuts into physical
 * packets. 0, SL_ENOMEM, SL_EINVAL (wrong size of types). */
int sl_execute_build(struct sl_buf *buf, const uint8_t *payload, size_t len,
                     const struct sl_execute_info *info, uint32_t stmt_id, struct sl_slice types);

/* The last types of one statement. Zero-initialise; sl_param_types_free() gives the memory back. */
struct sl_param_types {
    uint8_t *data; /* owned */
    uint16_t params;
};

/* Takes the types over if the execution named them. 0 or SL_ENOMEM (old ones stay). Allocates only
 * when the number of parameters grows. */
int sl_param_types_remember(struct sl_param_types *t, const struct sl_execute_info *info);
struct sl_slice sl_param_types_slice(const struct sl_param_types *t);
void sl_param_types_free(struct sl_param_types *t);

#endif
