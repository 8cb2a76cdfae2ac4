/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a statement show its client ids of server threads, which may come back in a KILL?
 *
 * A look at the first bytes, much cheaper than the classifier, since it is taken at every query
 * whatever the router. Too many hits do no harm: they only make more ids known.
 */
#ifndef SL_SQL_THREAD_IDS_H
#define SL_SQL_THREAD_IDS_H

#include <stddef.h>
#include <stdint.h>

enum sl_sql_thread_ids {
    SL_SQL_THREAD_IDS_OWN = 1, /* CONNECTION_ID(), @@pseudo_thread_id */
    SL_SQL_THREAD_IDS_LIST = 2 /* SHOW PROCESSLIST, information_schema.processlist */
};

/* Bits of the above, 0 if none. Looks at the first SL_SQL_THREAD_IDS_MAX bytes only. */
#define SL_SQL_THREAD_IDS_MAX 256u
unsigned sl_sql_thread_ids(const uint8_t *sql, size_t len);

#endif
