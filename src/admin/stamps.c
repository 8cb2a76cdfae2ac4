/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditional requests (RFC 9110, section 13). A tag is "<generation>-<hash of the body>":
 * If-None-Match compares the whole, If-Match the generation alone, before the request runs, so that
 * of two writers who read the same state one is refused. Any thread.
 */
#include "admin/stamps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

void sl_stamps_init(struct sl_stamps *s, int64_t now_s)
{
    pthread_mutex_init(&s->lock, NULL);
    s->times = (struct sl_map)SL_MAP_INIT;
    s->generation = 1;
    s->started_s = now_s;
}

void sl_stamps_clear(struct sl_stamps *s)
{
    sl_map_clear(&s->times);
    pthread_mutex_destroy(&s->lock);
}

void sl_stamps_touch(struct sl_stamps *s, const char *path, int64_t now_s)
{
    pthread_mutex_lock(&s->lock);
    s->generation++;
    /* The path and all above it: /servers/db1/set also changes /servers/db1 and /servers. */
    for (size_t len = strlen(path); len > 0; len--) {
        if (path[len] != '\0' && path[len] != '/') {
            continue;
        }
        struct sl_slice key = sl_slice(path, len);
        if (s->times.count < SL_STAMPS_MAX || sl_map_get(&s->times, key) != NULL) {
            (void)!sl_map_put(&s->times, key, (void *)(uintptr_t)now_s, NULL);
        }
    }
    pthread_mutex_unlock(&s->lock);
}

/* Under the lock. */
static int64_t modified(struct sl_stamps *s, const char *path)
{
    void *time = sl_map_get(&s->times, sl_slice_text(path));
    return time != NULL ? (int64_t)(uintptr_t)time : s->started_s;
}

struct sl_stamp sl_stamps_look(struct sl_stamps *s, const char *path)
{
    pthread_mutex_lock(&s->lock);
    struct sl_stamp stamp = {s->generation, modified(s, path)};
    pthread_mutex_unlock(&s->lock);
    return stamp;
}

/* Seconds of an HTTP date; -1 when it is none. */
static int64_t parse_date(const char *text)
{
    struct tm tm = {0};
    const char *end = text != NULL ? strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) : NULL;
    return end != NULL && *end == '\0' ? timegm(&tm) : -1;
}

/* Does the list of tags (or *) hold one for which `len` first bytes equal those of `tag`? */
static bool has_tag(const char *list, const char *tag, size_t len)
{
    for (const char *p = list; *p != '\0'; p++) {
        if (*p == '*' || (*p == '"' && strncmp(p + 1, tag, len) == 0)) {
            return true;
        }
        if (*p == '"') {
            const char *end = strchr(p + 1, '"');
            if (end == NULL) {
                return false;
            }
            p = end;
        }
    }
    return false;
}

bool sl_stamps_allow_write(struct sl_stamps *s, const struct sl_admin_request *rq, bool changes,
                           struct sl_admin_response *rs)
{
    char tag[32];
    const char *match = sl_admin_header(rq, "If-Match");
    int64_t since = parse_date(sl_admin_header(rq, "If-Unmodified-Since"));
    pthread_mutex_lock(&s->lock);
    int len = snprintf(tag, sizeof tag, "%" PRIu64 "-", s->generation);
    bool is_allowed = (match == NULL || has_tag(match, tag, (size_t)len)) &&
                      (since < 0 || modified(s, rq->path) <= since);
    s->generation += is_allowed && changes;
    pthread_mutex_unlock(&s->lock);
    if (!is_allowed) {
        sl_admin_fail(rs, 412, "the configuration was changed meanwhile");
    }
    return is_allowed;
}

bool sl_stamps_is_known(const struct sl_admin_request *rq, struct sl_admin_response *rs,
                        const char *body, size_t len)
{
    char tag[64];
    char date[64];
    const struct sl_stamp *stamp = &rq->stamp;
    snprintf(tag, sizeof tag, "%" PRIu64 "-%016" PRIx64 "\"", stamp->generation,
             sl_hash(body, len));
    sl_clock_format_rfc1123(stamp->modified_s, date, sizeof date);
    sl_admin_response_header(rs, "ETag", "\"%s", tag);
    sl_admin_response_header(rs, "Last-Modified", "%s", date);
    const char *none_match = sl_admin_header(rq, "If-None-Match");
    int64_t since = parse_date(sl_admin_header(rq, "If-Modified-Since"));
    if (none_match == NULL && since < 0) {
        return false;
    }
    return (none_match == NULL || has_tag(none_match, tag, strlen(tag))) &&
           (since < 0 || stamp->modified_s <= since);
}
