/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When what was changed through the REST interface: the generation of the configuration for ETag
 * and If-Match, and per path the time of the last write to it or below it for Last-Modified.
 */
#ifndef SL_ADMIN_STAMPS_H
#define SL_ADMIN_STAMPS_H

#include <pthread.h>
#include <stdint.h>

#include "admin/request.h"
#include "base/map.h"

#define SL_STAMPS_MAX 4096 /* paths remembered; others count as changed at start */

struct sl_stamps {
    pthread_mutex_t lock; /* guards the rest */
    struct sl_map times;  /* path -> wall clock seconds, as a pointer */
    uint64_t generation;
    int64_t started_s;
};

void sl_stamps_init(struct sl_stamps *s, int64_t now_s);
void sl_stamps_clear(struct sl_stamps *s);
/* A write to the path succeeded. */
void sl_stamps_touch(struct sl_stamps *s, const char *path, int64_t now_s);
/* What the path's answer is to be marked with; to be taken before the answer is made, so that a
 * write in between leaves it with the older mark. */
struct sl_stamp sl_stamps_look(struct sl_stamps *s, const char *path);

/* Before a write: If-Match and If-Unmodified-Since. False: the answer is 412. With `changes` the
 * generation moves on at once, so that of two writers with the same tag only one comes through. */
bool sl_stamps_allow_write(struct sl_stamps *s, const struct sl_admin_request *rq, bool changes,
                           struct sl_admin_response *rs);
/* After a read whose body is known: adds ETag and Last-Modified of rq->stamp; true when the client
 * has it already (304). */
bool sl_stamps_is_known(const struct sl_admin_request *rq, struct sl_admin_response *rs,
                        const char *body, size_t len);

#endif
