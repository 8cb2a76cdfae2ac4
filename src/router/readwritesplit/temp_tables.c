/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the session's temporary tables: they exist on the primary only, so reads of them must
 * go there. */
#include <stdio.h>
#include <string.h>

#include "router/readwritesplit/rwsplit.h"

#define NAME_MAX_BYTES 600 /* two identifiers of 64 characters, 4 bytes each, and a dot */

static bool make_key(const struct rws *r, struct sl_slice db, struct sl_slice table, char *out,
                     size_t *ret_len)
{
    if (db.len == 0 && r->session->db) {
        db = sl_slice_text(r->session->db);
    }
    if (db.len + table.len + 1 > NAME_MAX_BYTES) {
        return false;
    }
    if (db.len > 0) {
        memcpy(out, db.data, db.len);
    }
    out[db.len] = '.';
    memcpy(out + db.len + 1, table.data, table.len);
    *ret_len = db.len + 1 + table.len;
    return true;
}

static bool create(void *arg, struct sl_slice db, struct sl_slice table)
{
    struct rws *r = arg;
    char key[NAME_MAX_BYTES];
    size_t len;
    if (make_key(r, db, table, key, &len)) {
        sl_map_put(&r->temp_tables, sl_slice(key, len), r, NULL);
    }
    return false; /* the first name is the new table; a LIKE or SELECT behind it names others */
}

static bool drop(void *arg, struct sl_slice db, struct sl_slice table)
{
    struct rws *r = arg;
    char key[NAME_MAX_BYTES];
    size_t len;
    if (make_key(r, db, table, key, &len)) {
        sl_map_remove(&r->temp_tables, sl_slice(key, len));
    }
    return true;
}

static bool is_not_temp(void *arg, struct sl_slice db, struct sl_slice table)
{
    struct rws *r = arg;
    char key[NAME_MAX_BYTES];
    size_t len;
    return !make_key(r, db, table, key, &len) || !sl_map_get(&r->temp_tables, sl_slice(key, len));
}

void rws_temp_tables_note(struct rws *r, const uint8_t *sql, size_t len, uint32_t type)
{
    if (type & SL_SQL_CREATE_TEMP) {
        sl_sql_tables(sql, len, r->session->sql_mode_bits, create, r);
    } else if ((type & SL_SQL_DROP_TABLE) && r->temp_tables.count > 0) {
        sl_sql_tables(sql, len, r->session->sql_mode_bits, drop, r);
    }
}

bool rws_temp_tables_read(struct rws *r, const uint8_t *sql, size_t len)
{
    return r->temp_tables.count > 0 &&
           !sl_sql_tables(sql, len, r->session->sql_mode_bits, is_not_temp, r);
}
