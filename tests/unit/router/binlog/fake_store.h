/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in memory, for tests of the replica side: takes the place of store*.c at link time, checks
 * that its contract is kept, and remembers whole groups.
 */
#ifndef TESTS_UNIT_ROUTER_BINLOG_FAKE_STORE_H
#define TESTS_UNIT_ROUTER_BINLOG_FAKE_STORE_H

#include <pthread.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/mem.h"
#include "router/binlog/store.h"

enum {
    FAKE_GROUPS_MAX = 512
};

struct fake_group {
    struct sl_gtid gtid;
    uint32_t events;
    uint64_t bytes;
    uint32_t crc;  /* of the events without header positions and checksums */
    uint32_t time; /* of the second event */
};

struct sl_store {
    pthread_mutex_t lock; /* tests look from outside */
    struct sl_gtid_list state, next_state;
    bool has_file, is_in_group;
    unsigned files, abandoned, commits;
    struct fake_group open, complete[64], published[FAKE_GROUPS_MAX];
    unsigned complete_count, published_count;
    char base[SL_BINLOG_FILE_NAME_MAX + 1];
    /* faults */
    int add_rc, commit_rc; /* returned instead of doing anything, while not 0 */
    int fail_add_at;       /* this add fails once with add_once_rc; 0: none */
    int add_once_rc;
    unsigned adds;
    int time_rc;    /* of sl_store_group_time(), while not 0 */
    unsigned times; /* calls of it */
    int request_rc; /* of sl_store_request_position() */
    unsigned requested;
};

static inline struct sl_store *fake_store_new(void)
{
    struct sl_store *s = sl_xcalloc(1, sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

static inline void fake_store_free(struct sl_store *s)
{
    sl_gtid_list_free(&s->state);
    sl_gtid_list_free(&s->next_state);
    pthread_mutex_destroy(&s->lock);
    sl_free(s);
}

int sl_store_state(struct sl_store *s, struct sl_gtid_list *ret)
{
    pthread_mutex_lock(&s->lock);
    int rc = sl_gtid_list_copy(ret, &s->state);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int sl_store_group_time(struct sl_store *s, struct sl_gtid gtid, uint32_t *ret)
{
    int rc = s->time_rc != 0 ? s->time_rc : SL_ENOENT;
    pthread_mutex_lock(&s->lock);
    s->times++;
    for (unsigned i = 0; i < s->published_count && s->time_rc == 0; i++) {
        const struct sl_gtid *g = &s->published[i].gtid;
        if (g->domain == gtid.domain && g->server_id == gtid.server_id && g->seq == gtid.seq) {
            *ret = s->published[i].time;
            rc = SL_OK;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

bool sl_store_has_file(const struct sl_store *s)
{
    return s->has_file;
}

bool sl_store_has_uncommitted(const struct sl_store *s)
{
    return s->complete_count > 0;
}

void sl_store_abandon(struct sl_store *s)
{
    s->abandoned += s->is_in_group;
    s->is_in_group = false;
}

bool sl_store_abandon_all(struct sl_store *s)
{
    bool had = s->complete_count > 0;
    sl_store_abandon(s);
    s->complete_count = 0;
    return had;
}

int sl_store_reset(struct sl_store *s, struct sl_err *err)
{
    pthread_mutex_lock(&s->lock);
    sl_assert(!s->is_in_group);
    s->published_count = s->complete_count = 0;
    s->has_file = false;
    sl_gtid_list_clear(&s->state);
    pthread_mutex_unlock(&s->lock);
    return SL_OK;
}

int sl_store_request_position(struct sl_store *s, const struct sl_gtid_list *position,
                              struct sl_err *err)
{
    pthread_mutex_lock(&s->lock);
    sl_assert(!s->is_in_group);
    int rc = s->request_rc;
    s->requested = position != NULL ? position->count : 0;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int sl_store_commit(struct sl_store *s, uint64_t *ret_synced_us, struct sl_err *err)
{
    *ret_synced_us = 0;
    if (s->commit_rc != 0) {
        return sl_err_set(err, s->commit_rc, "commit fails");
    }
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < s->complete_count; i++) {
        sl_assert(s->published_count < FAKE_GROUPS_MAX);
        s->published[s->published_count++] = s->complete[i];
        sl_assert(sl_gtid_state_add(&s->state, s->complete[i].gtid) == SL_OK);
    }
    s->complete_count = 0;
    s->commits++;
    pthread_mutex_unlock(&s->lock);
    return SL_OK;
}

int sl_store_begin_file(struct sl_store *s, const char *base, const uint8_t *fde, uint32_t len,
                        bool continues, struct sl_err *err)
{
    struct sl_fde parsed;
    uint64_t us;
    sl_assert(sl_fde_parse(fde, len, &parsed, err) == SL_OK);
    if (s->add_rc != 0) {
        return sl_err_set(err, s->add_rc, "begin fails");
    }
    int rc = sl_store_commit(s, &us, err);
    sl_store_abandon(s);
    s->files += rc == SL_OK && !(continues && s->has_file);
    s->has_file = rc == SL_OK;
    snprintf(s->base, sizeof(s->base), "%s", base);
    return rc;
}

/* Everything but log_pos and checksum. */
static inline uint32_t digest(uint32_t crc, const uint8_t *event, uint32_t len)
{
    crc = sl_event_crc_add(crc, event, 13);
    return sl_event_crc_add(crc, event + 17, len - 17 - SL_EVENT_CRC);
}

int sl_store_add(struct sl_store *s, uint8_t *event, uint32_t len, enum sl_group_step step,
                 const struct sl_group *group, struct sl_err *err)
{
    sl_assert(s->has_file && len >= SL_EVENT_HEADER);
    s->adds++;
    if (s->add_rc != 0 || (s->fail_add_at != 0 && s->adds == (unsigned)s->fail_add_at)) {
        return sl_err_set(err, s->add_rc != 0 ? s->add_rc : s->add_once_rc, "add fails");
    }
    sl_assert(step != SL_GROUP_BROKEN);
    sl_assert((step == SL_GROUP_BEGIN) == !s->is_in_group || step == SL_GROUP_OUTSIDE);
    if (step == SL_GROUP_BEGIN) {
        s->open = (struct fake_group){.gtid = group->gtid.gtid};
        s->is_in_group = true;
    }
    if (step == SL_GROUP_OUTSIDE) {
        return SL_OK;
    }
    s->open.time = s->open.events == 1 ? sl_get_le32(event) : s->open.time;
    s->open.events++;
    s->open.bytes += len;
    s->open.crc = digest(s->open.crc, event, len);
    memset(event + 13, 0xaa, 4); /* log_pos is ours from now on */
    if (step == SL_GROUP_END) {
        s->is_in_group = false;
        if (s->complete_count == 64) {
            uint64_t us;
            sl_store_commit(s, &us, err);
        }
        s->complete[s->complete_count++] = s->open;
    }
    return SL_OK;
}

#endif
