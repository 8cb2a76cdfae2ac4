/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router binlogrouter: requests of statements that another thread carries out: the upstream, or one
 * made for it when files are removed or written. The session waits for the message that comes back;
 * if it has died meanwhile nobody is answered.
 *
 *   worker: new -> hand over, busy     thread: work -> rc, err -> post     worker: finish -> answer
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "router/binlog/sql.h"

#define THREADS_MAX 4 /* at once, per relay; more are told to come again */

static struct sl_relay_session *find_session(const struct sl_relay_ask *a)
{
    SL_LIST_FOR_EACH (node, &a->worker->sessions) {
        struct sl_session *s = SL_CONTAINER_OF(node, struct sl_session, node);
        if (s->id == a->session_id && s->step == SL_SESSION_READY && s->busy) {
            return s->router;
        }
    }
    return NULL;
}

static void free_ask(struct sl_relay_ask *a)
{
    sl_gtid_list_free(&a->position);
    sl_free(a);
}

static void on_done(struct sl_message *m, struct sl_loop *loop)
{
    struct sl_relay_ask *a = SL_CONTAINER_OF(m, struct sl_relay_ask, message);
    struct sl_relay_session *rs = find_session(a);
    if (rs) {
        a->finish(rs, a);
    }
    free_ask(a);
}

struct sl_relay_ask *sl_relay_ask_new(struct sl_relay_session *rs,
                                      void (*finish)(struct sl_relay_session *rs,
                                                     struct sl_relay_ask *a))
{
    struct sl_relay_ask *a = sl_calloc(1, sizeof *a);
    if (!a) {
        sl_session_fail(rs->session, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
        return NULL;
    }
    a->message.run = on_done;
    a->worker = rs->session->worker;
    a->relay = sl_relay_of(rs->session);
    a->session_id = rs->session->id;
    a->finish = finish;
    return a;
}

/* Back to the worker. Loops live until instance_stop() has returned, and that waits for us. */
static void done(void *arg, int rc, const struct sl_err *err)
{
    struct sl_relay_ask *a = arg;
    a->rc = rc;
    if (rc < 0 && err) {
        a->err = *err;
    }
    sl_loop_post(a->worker->loop, &a->message);
}

/* What could not be handed over is answered. */
static void refuse(struct sl_relay_session *rs, struct sl_relay_ask *a, int rc)
{
    if (rc < 0) {
        free_ask(a);
        sl_session_answer_error(rs->session, SL_ER_UNKNOWN_ERROR, NULL, "%s", sl_rc_text(rc));
    }
}

void sl_relay_ask_upstream(struct sl_relay_session *rs, struct sl_relay_ask *a,
                           enum sl_upstream_request what, const struct sl_upstream_target *target)
{
    sl_session_begin(rs->session);
    refuse(rs, a, sl_upstream_ask(a->relay->upstream, what, target, done, a));
}

void sl_relay_ask_position(struct sl_relay_session *rs, struct sl_relay_ask *a)
{
    sl_session_begin(rs->session);
    int rc = sl_upstream_ask_position(a->relay->upstream, a->has_position ? &a->position : NULL,
                                      done, a);
    refuse(rs, a, rc);
}

static void *thread_main(void *arg)
{
    struct sl_relay_ask *a = arg;
    struct sl_relay *relay = a->relay;
    struct sl_err err = SL_ERR_INIT;
    sl_log_module_set("binlogrouter");
    int rc = a->work(a, &err);
    done(a, rc, &err);
    pthread_mutex_lock(&relay->lock);
    relay->ask_threads--;
    pthread_cond_signal(&relay->asks_done);
    pthread_mutex_unlock(&relay->lock);
    return NULL;
}

static bool reserve(struct sl_relay *relay, int change)
{
    pthread_mutex_lock(&relay->lock);
    bool is_free = change < 0 || relay->ask_threads < THREADS_MAX;
    relay->ask_threads += is_free ? change : 0;
    pthread_mutex_unlock(&relay->lock);
    return is_free;
}

void sl_relay_ask_thread(struct sl_relay_session *rs, struct sl_relay_ask *a)
{
    struct sl_relay *relay = a->relay;
    pthread_t thread;
    pthread_attr_t attr;
    if (!reserve(relay, 1)) {
        free_ask(a);
        sl_session_answer_error(rs->session, SL_ER_UNKNOWN_ERROR, NULL,
                                "%d such statements are at work already; try again", THREADS_MAX);
        return;
    }
    sl_session_begin(rs->session);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int rc = pthread_create(&thread, &attr, thread_main, a);
    pthread_attr_destroy(&attr);
    if (rc != 0) {
        reserve(relay, -1);
        free_ask(a);
        sl_session_answer_error(rs->session, SL_ER_UNKNOWN_ERROR, NULL,
                                "Cannot start a thread for it: %s", strerror(rc));
    }
}

void sl_relay_asks_end(struct sl_relay *relay)
{
    pthread_mutex_lock(&relay->lock);
    while (relay->ask_threads > 0) {
        pthread_cond_wait(&relay->asks_done, &relay->lock);
    }
    pthread_mutex_unlock(&relay->lock);
}
