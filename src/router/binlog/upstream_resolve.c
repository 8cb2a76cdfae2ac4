/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host names in the background; contract in the header.
 *
 * Two owners: the asker, until the answer has come or it cancels, and the thread, until it has
 * posted. `lock` decides who of them goes first; the loop is touched under it only, so that a loop
 * that ends cancels and is not touched afterwards.
 */
#include "router/binlog/upstream_resolve.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/mem.h"
#include "net/listener.h"

struct sl_resolve {
    struct sl_message message;
    pthread_mutex_t lock;
    struct sl_loop *loop; /* NULL: cancelled */
    bool is_posted;
    char *host;
    uint16_t port;
    sl_resolve_done *done;
    void *arg;
    struct sockaddr_storage address;
    socklen_t address_len;
    struct sl_err err;
};

static _Atomic unsigned under_way;

static void destroy(struct sl_resolve *r)
{
    pthread_mutex_destroy(&r->lock);
    sl_free(r->host);
    sl_free(r);
}

static void answer(struct sl_message *m, struct sl_loop *loop)
{
    struct sl_resolve *r = SL_CONTAINER_OF(m, struct sl_resolve, message);
    pthread_mutex_lock(&r->lock); /* the thread has let go of it */
    bool is_wanted = r->loop != NULL;
    pthread_mutex_unlock(&r->lock);
    if (is_wanted) {
        r->done(r->arg, &r->address, r->address_len, &r->err);
    }
    destroy(r);
}

static void *run(void *arg)
{
    struct sl_resolve *r = arg;
    int rc = sl_resolve(r->host, r->port, &r->address, &r->address_len, &r->err);
    r->err.rc = rc;
    pthread_mutex_lock(&r->lock);
    bool is_cancelled = r->loop == NULL;
    if (!is_cancelled) {
        r->is_posted = true;
        sl_loop_post(r->loop, &r->message);
    }
    pthread_mutex_unlock(&r->lock);
    if (is_cancelled) {
        destroy(r);
    }
    atomic_fetch_sub(&under_way, 1);
    return NULL;
}

static int spawn(struct sl_resolve *r)
{
    pthread_t thread;
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0) {
        return SL_ESYS;
    }
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int rc = pthread_create(&thread, &attr, run, r);
    pthread_attr_destroy(&attr);
    return rc == 0 ? SL_OK : SL_ESYS;
}

int sl_resolve_start(struct sl_loop *loop, const char *host, uint16_t port, sl_resolve_done *done,
                     void *arg, struct sl_resolve **ret, struct sl_err *err)
{
    if (atomic_fetch_add(&under_way, 1) >= SL_RESOLVES_MAX) {
        atomic_fetch_sub(&under_way, 1);
        return sl_err_set(err, SL_ELIMIT, "%d name look-ups hang already", SL_RESOLVES_MAX);
    }
    struct sl_resolve *r = sl_calloc(1, sizeof(*r));
    char *copy = sl_strdup(host);
    if (r == NULL || copy == NULL) {
        sl_free(r);
        sl_free(copy);
        atomic_fetch_sub(&under_way, 1);
        return sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    pthread_mutex_init(&r->lock, NULL);
    r->message.run = answer;
    r->loop = loop;
    r->host = copy;
    r->port = port;
    r->done = done;
    r->arg = arg;
    if (spawn(r) < 0) {
        destroy(r);
        atomic_fetch_sub(&under_way, 1);
        return sl_err_set(err, SL_ESYS, "no thread for a name look-up");
    }
    *ret = r;
    return SL_OK;
}

void sl_resolve_cancel(struct sl_resolve *r)
{
    if (r == NULL) {
        return;
    }
    pthread_mutex_lock(&r->lock);
    r->loop = NULL; /* its message, if posted, frees it; else its thread does */
    pthread_mutex_unlock(&r->lock);
}
