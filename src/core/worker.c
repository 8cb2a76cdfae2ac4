/* SPDX-License-Identifier: Apache-2.0 */
/* Worker threads; see the header. */
#include "core/worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/auth_block.h"
#include "core/core.h"
#include "core/digests.h"
#include "core/session.h"

#define SWEEP_MS 1000
#define DRAIN_MS 3000 /* for the last bytes to clients when the daemon stops */
#define REQUEST_BUFFERS_KEPT 64

static void sweep(struct sl_timer *t, struct sl_loop *loop)
{
    struct sl_worker *w = SL_CONTAINER_OF(t, struct sl_worker, sweep);
    uint64_t now = sl_loop_now_ms(loop);
    SL_LIST_FOR_EACH (node, &w->sessions) {
        sl_session_sweep(SL_CONTAINER_OF(node, struct sl_session, node), now);
    }
    if (!sl_list_is_empty(&w->sessions)) {
        sl_timer_start(loop, t, SWEEP_MS);
    }
}

void sl_worker_session_added(struct sl_worker *w)
{
    if (!sl_timer_is_running(&w->sweep)) {
        sl_timer_start(w->loop, &w->sweep, SWEEP_MS);
    }
}

static void topology(struct sl_message *m, struct sl_loop *loop)
{
    struct sl_worker *w = SL_CONTAINER_OF(m, struct sl_worker, topology_message);
    atomic_store(&w->topology_pending, false);
    struct sl_core *core = w->core;
    /* The last messages run when the services are gone. */
    for (unsigned i = 0; !atomic_load(&core->is_stopping) && i < core->service_count; i++) {
        if (core->services[i]->ops->on_worker_topology) {
            core->services[i]->ops->on_worker_topology(core->services[i], w);
        }
    }
    SL_LIST_FOR_EACH (node, &w->sessions) {
        struct sl_session *s = SL_CONTAINER_OF(node, struct sl_session, node);
        if (s->step == SL_SESSION_READY && s->ops->on_topology) {
            sl_log_session_set(s->id);
            s->ops->on_topology(s);
            sl_log_session_set(0);
        }
    }
}

void sl_worker_topology_changed(struct sl_worker *w)
{
    if (!atomic_exchange(&w->topology_pending, true)) {
        sl_loop_post(w->loop, &w->topology_message);
    }
}

static enum sl_flush_mode flush_mode(void)
{
    /* A switch for comparisons and for kernels whose ring misbehaves; normally the loop decides
     * by itself. */
    const char *text = getenv("SEALANE_FLUSH");
    if (text && strcmp(text, "send") == 0) {
        return SL_FLUSH_SEND;
    }
    return text && strcmp(text, "ring") == 0 ? SL_FLUSH_RING : SL_FLUSH_AUTO;
}

int sl_worker_init(struct sl_worker *w, struct sl_core *core, unsigned index, struct sl_err *err)
{
    char name[16];
    snprintf(name, sizeof name, "worker-%u", index);
    *w = (struct sl_worker){.core = core, .index = index};
    sl_list_init(&w->sessions);
    sl_list_init(&w->auth_blocks);
    sl_pool_init(&w->request_buffers, SL_WORKER_REQUEST_BUFFER, REQUEST_BUFFERS_KEPT);
    sl_timer_init(&w->sweep, sweep);
    w->topology_message.run = topology;
    const struct sl_global_settings *g = &core->config->global;
    struct sl_loop_config config = {
        .name = name,
        .flush_mode = flush_mode(),
        .high_water = (uint32_t)g->writeq_high_water,
        .low_water = (uint32_t)g->writeq_low_water,
        .read_budget = (uint32_t)g->max_read_amount,
    };
    return sl_loop_new(&config, &w->loop, err);
}

static void *thread_main(void *arg)
{
    struct sl_worker *w = arg;
    sl_loop_run(w->loop);
    struct sl_core *core = w->core;
    for (unsigned i = 0; i < core->service_count; i++) {
        if (core->services[i]->ops->worker_end) {
            core->services[i]->ops->worker_end(core->services[i], w);
        }
    }
    /* What is left ends now; a few turns release the connections. */
    SL_LIST_FOR_EACH (node, &w->sessions) {
        sl_session_close(SL_CONTAINER_OF(node, struct sl_session, node), "shutting down");
    }
    uint64_t until = sl_clock_mono_ms() + DRAIN_MS;
    while (!sl_list_is_empty(&w->sessions) && sl_clock_mono_ms() < until) {
        sl_loop_turn(w->loop, 10);
    }
    SL_LIST_FOR_EACH (node, &w->sessions) {
        sl_session_abort(SL_CONTAINER_OF(node, struct sl_session, node));
    }
    sl_loop_turn(w->loop, 0);
    sl_timer_stop(&w->sweep);
    return NULL;
}

int sl_worker_start(struct sl_worker *w, struct sl_err *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the control thread's */
    int rc = pthread_create(&w->thread, NULL, thread_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        return sl_err_set(err, SL_ESYS, "cannot start worker thread %u: %s", w->index,
                          strerror(rc));
    }
    w->is_started = true;
    return SL_OK;
}

void sl_worker_request_stop(struct sl_worker *w)
{
    if (w->is_started) {
        sl_loop_stop(w->loop);
    }
}

void sl_worker_stop(struct sl_worker *w)
{
    if (w->is_started) {
        sl_loop_stop(w->loop);
        pthread_join(w->thread, NULL);
        w->is_started = false;
    }
}

void sl_worker_clear(struct sl_worker *w)
{
    if (w->loop) {
        sl_auth_block_clear(w);
        sl_digests_free(w->digests);
        w->digests = NULL;
        sl_pool_clear(&w->request_buffers);
        sl_loop_free(w->loop);
        w->loop = NULL;
    }
}
