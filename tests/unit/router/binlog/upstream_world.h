/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the replica side as a whole share: a relay with a store in memory and a primary
 * on loopback, requests that are waited for, and what must be in the store. */
#ifndef TESTS_UNIT_ROUTER_BINLOG_UPSTREAM_WORLD_H
#define TESTS_UNIT_ROUTER_BINLOG_UPSTREAM_WORLD_H

#include "fake_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "fake_primary.h"
#include "router/binlog/upstream_internal.h"

enum {
    GROUPS = 6,
    DEADLINE_MS = 120000,  /* behind everything else on a busy machine */
    NET_TIMEOUT_MS = 60000 /* the primary sends no heartbeats */
};

struct world {
    struct sl_relay relay;
    struct sl_service service;
    struct sl_binlog_settings settings;
    struct sl_store *store;
    struct stream stream;
    struct primary *primary;
    struct sl_upstream *upstream;
    char dir[64];
};

static inline int setup(void **state)
{
    struct world *w = sl_xcalloc(1, sizeof(*w));
    strcpy(w->dir, "/tmp/sl-upstream-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->settings = (struct sl_binlog_settings){.server_id = 4711, .net_timeout = NET_TIMEOUT_MS};
    w->service.name = (char *)"relay";
    w->store = fake_store_new();
    w->relay = (struct sl_relay){
        .service = &w->service, .settings = &w->settings, .datadir = w->dir, .store = w->store};
    w->stream = (struct stream){.bytes = SL_BUF_INIT, .has_crc = true, .pos = 4};
    stream_rotate(&w->stream, "pbin.000003");
    stream_fde(&w->stream);
    for (unsigned i = 1; i <= GROUPS; i++) {
        stream_transaction(&w->stream, 7, i, 20 + i);
    }
    w->primary = primary_new(&w->stream);
    *state = w;
    return 0;
}

static inline int teardown(void **state)
{
    struct world *w = *state;
    char command[128];
    sl_upstream_free(w->upstream);
    primary_free(w->primary);
    fake_store_free(w->store);
    stream_free(&w->stream);
    snprintf(command, sizeof(command), "rm -r %s", w->dir);
    assert_int_equal(system(command), 0);
    sl_free(w);
    return 0;
}

/* ---- requests ---- */

struct answer {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_there;
    int rc;
    char text[1024];
};

static inline void on_done(void *arg, int rc, const struct sl_err *err)
{
    struct answer *a = arg;
    pthread_mutex_lock(&a->lock);
    a->is_there = true;
    a->rc = rc;
    snprintf(a->text, sizeof(a->text), "%s", err->text);
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static inline int wait_for(struct answer *a, const char *part)
{
    pthread_mutex_lock(&a->lock);
    while (!a->is_there) {
        pthread_cond_wait(&a->changed, &a->lock);
    }
    pthread_mutex_unlock(&a->lock);
    if (part != NULL) {
        assert_non_null(strstr(a->text, part));
    }
    return a->rc;
}

static inline int ask(struct world *w, enum sl_upstream_request what,
                      const struct sl_upstream_target *target, const char *part)
{
    struct answer a = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, ""};
    assert_int_equal(sl_upstream_ask(w->upstream, what, target, on_done, &a), SL_OK);
    return wait_for(&a, part);
}

/* NULL: none. */
static inline int ask_position(struct world *w, const char *text, const char *part)
{
    struct answer a = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, ""};
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_err err = SL_ERR_INIT;
    if (text != NULL) {
        assert_int_equal(sl_gtid_position_parse(sl_slice_text(text), &list, &err), SL_OK);
    }
    assert_int_equal(
        sl_upstream_ask_position(w->upstream, text != NULL ? &list : NULL, on_done, &a), SL_OK);
    sl_gtid_list_free(&list); /* it was copied */
    return wait_for(&a, part);
}

static inline void start(struct world *w)
{
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_upstream_new(&w->relay, &w->upstream, &err), SL_OK);
}

static inline void start_replication(struct world *w)
{
    struct sl_upstream_target t = {.host = (char *)"127.0.0.1",
                                   .port = w->primary->port,
                                   .user = (char *)"repl",
                                   .password = (char *)"secret"};
    start(w);
    assert_int_equal(ask(w, SL_UPSTREAM_CHANGE, &t, NULL), SL_OK);
    assert_int_equal(ask(w, SL_UPSTREAM_START, NULL, NULL), SL_OK);
}

/* ---- waiting ---- */

static inline unsigned published(struct world *w)
{
    pthread_mutex_lock(&w->store->lock);
    unsigned n = w->store->published_count;
    pthread_mutex_unlock(&w->store->lock);
    return n;
}

static inline struct sl_upstream_status status(struct world *w)
{
    struct sl_upstream_status s;
    sl_upstream_status(w->upstream, &s);
    sl_upstream_target_clear(&s.target);
    return s;
}

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        uint64_t deadline_ = sl_clock_mono_ms() + DEADLINE_MS;                                     \
        while (!(condition)) {                                                                     \
            assert_true(sl_clock_mono_ms() < deadline_);                                           \
            usleep(500);                                                                           \
        }                                                                                          \
    } while (0)

/* Whole groups, each once, in order. */
static inline void check_groups(struct world *w, unsigned count)
{
    assert_int_equal(published(w), count);
    for (unsigned i = 0; i < count; i++) {
        const struct fake_group *g = &w->store->published[i];
        uint32_t crc = 0;
        for (unsigned k = 0; k < 4; k++) {
            unsigned at = 2 + i * 4 + k;
            crc = digest(crc, stream_event(&w->stream, at), (uint32_t)w->stream.len[at]);
        }
        assert_int_equal(g->gtid.seq, i + 1);
        assert_int_equal(g->events, 4);
        assert_int_equal(g->crc, crc);
    }
}

#endif
