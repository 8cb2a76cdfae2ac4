/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. The names that matter have an underscore, which ordinary point selects have not:
 * one memchr() settles most statements.
 */
#include "sql/thread_ids.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool begins(const uint8_t *p, const uint8_t *end, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(end - p) >= n && strncasecmp((const char *)p, word, n) == 0;
}

static bool ends(const uint8_t *start, const uint8_t *p, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(p - start) >= n && strncasecmp((const char *)p - n, word, n) == 0;
}

static bool has(const uint8_t *p, const uint8_t *end, const char *word)
{
    while (p < end && !begins(p, end, word)) {
        p++;
    }
    return p < end;
}

/* What the underscore at p says. */
static unsigned look_around(const uint8_t *sql, const uint8_t *p, const uint8_t *end)
{
    if (begins(p, end, "_id") && (ends(sql, p, "connection") || ends(sql, p, "pseudo_thread"))) {
        return SL_SQL_THREAD_IDS_OWN;
    }
    return begins(p, end, "_schema") && has(p, end, "processlist") ? SL_SQL_THREAD_IDS_LIST : 0;
}

static bool is_show(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p == ' ' || (*p >= '\t' && *p <= '\r'))) {
        p++;
    }
    /* the second letter tells SELECT and SET */
    return end - p > 1 && (p[1] | 0x20) == 'h' && begins(p, end, "SHOW");
}

unsigned sl_sql_thread_ids(const uint8_t *sql, size_t len)
{
    const uint8_t *end = sql + (len < SL_SQL_THREAD_IDS_MAX ? len : SL_SQL_THREAD_IDS_MAX);
    unsigned found =
        is_show(sql, end) && has(sql, end, "processlist") ? SL_SQL_THREAD_IDS_LIST : 0u;
    const uint8_t *p = sql;
    while ((p = memchr(p, '_', (size_t)(end - p))) != NULL) {
        found |= look_around(sql, p, end);
        p++;
    }
    return found;
}
