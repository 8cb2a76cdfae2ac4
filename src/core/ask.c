/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to all workers; see the header. The answers are reference counted by hand: one
 * reference for each message and one for the asker, since an asker that gives up must not free what
 * a slow worker still fills.
 */
#include "core/ask.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "base/mem.h"
#include "core/core.h"

struct part {
    struct sl_message message;
    struct sl_answers *answers;
    struct sl_worker *worker;
    void *data;
};

struct sl_answers {
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned refs;
    unsigned waiting;
    const struct sl_question *question;
    uint64_t arg;
    unsigned part_count;
    struct part parts[];
};

void sl_answers_free(struct sl_answers *a)
{
    pthread_mutex_lock(&a->lock);
    bool is_last = --a->refs == 0;
    pthread_mutex_unlock(&a->lock);
    if (!is_last) {
        return;
    }
    for (unsigned i = 0; i < a->part_count; i++) {
        if (a->question->clear) {
            a->question->clear(a->parts[i].data);
        }
        sl_free(a->parts[i].data);
    }
    pthread_cond_destroy(&a->done);
    pthread_mutex_destroy(&a->lock);
    sl_free(a);
}

static void on_message(struct sl_message *m, struct sl_loop *loop)
{
    struct part *p = SL_CONTAINER_OF(m, struct part, message);
    struct sl_answers *a = p->answers;
    a->question->answer(p->worker, p->data, a->arg);
    pthread_mutex_lock(&a->lock);
    if (--a->waiting == 0) {
        pthread_cond_signal(&a->done);
    }
    pthread_mutex_unlock(&a->lock);
    sl_answers_free(a);
}

static struct sl_answers *prepare(struct sl_core *core, const struct sl_question *question,
                                  uint64_t arg)
{
    struct sl_answers *a = sl_xcalloc(1, sizeof *a + core->worker_count * sizeof a->parts[0]);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->done, &attr);
    pthread_condattr_destroy(&attr);
    a->question = question;
    a->arg = arg;
    a->part_count = a->waiting = core->worker_count;
    a->refs = core->worker_count + 1;
    for (unsigned i = 0; i < core->worker_count; i++) {
        a->parts[i] = (struct part){
            .message.run = on_message,
            .answers = a,
            .worker = &core->workers[i],
            .data = sl_xcalloc(1, question->part_size),
        };
    }
    return a;
}

int sl_ask(struct sl_core *core, const struct sl_question *question, uint64_t arg,
           struct sl_answers **ret)
{
    struct sl_answers *a = prepare(core, question, arg);
    for (unsigned i = 0; i < core->worker_count; i++) {
        sl_loop_post(core->workers[i].loop, &a->parts[i].message);
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += SL_ASK_WAIT_S;
    int rc = 0;
    pthread_mutex_lock(&a->lock);
    while (a->waiting > 0 && rc == 0) {
        rc = pthread_cond_timedwait(&a->done, &a->lock, &until);
    }
    bool is_complete = a->waiting == 0;
    pthread_mutex_unlock(&a->lock);
    if (!is_complete) {
        sl_answers_free(a);
        return SL_ETIMEOUT;
    }
    *ret = a;
    return SL_OK;
}

void *sl_answers_part(struct sl_answers *a, unsigned i)
{
    return a->parts[i].data;
}
