/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to all workers without stopping them: a message goes to each, each fills its own part
 * of the answer on its own thread, the asker waits with a deadline.
 */
#ifndef SL_CORE_ASK_H
#define SL_CORE_ASK_H

#include <stddef.h>
#include <stdint.h>

struct sl_core;
struct sl_worker;

#define SL_ASK_WAIT_S 5 /* the program gives up after 10 */

struct sl_question {
    /* On the worker's thread; `part` is zeroed memory of part_size bytes. */
    void (*answer)(struct sl_worker *w, void *part, uint64_t arg);
    /* Frees what a part owns. May be NULL. Any thread. */
    void (*clear)(void *part);
    size_t part_size;
};

struct sl_answers;

/* 0 with the answers, to be freed by the caller; SL_ETIMEOUT when a worker did not answer in time:
 * then it may still do what it was asked. Any thread but a worker. */
int sl_ask(struct sl_core *core, const struct sl_question *question, uint64_t arg,
           struct sl_answers **ret);
/* The i-th worker's part. */
void *sl_answers_part(struct sl_answers *a, unsigned i);
void sl_answers_free(struct sl_answers *a);

#endif
