/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: one thread, one event loop, the sessions that live and die on it.
 *
 * Everything in here belongs to the worker's thread unless a field says otherwise. Once a second,
 * while it has sessions, the worker sweeps over them for everything that needs no finer clock: idle
 * sessions, keep-alive pings, login and connect deadlines, stuck writes. One sweep is cheaper than
 * a timer per session and per connection.
 */
#ifndef SL_CORE_WORKER_H
#define SL_CORE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "base/pool.h"
#include "net/loop.h"

struct sl_core;
struct sl_digests;

/* Requests kept for a possible retry live in buffers of this size, borrowed from the worker
 * while the statement runs; longer ones are allocated. */
#define SL_WORKER_REQUEST_BUFFER 2048

struct sl_worker {
    struct sl_core *core;
    unsigned index;
    struct sl_loop *loop;
    pthread_t thread;
    bool is_started;
    struct sl_list sessions;        /* of struct sl_session.node */
    _Atomic uint32_t session_count; /* read by any thread */
    struct sl_pool request_buffers;
    struct sl_timer sweep;
    struct sl_message topology_message;
    _Atomic bool topology_pending; /* the message is under way already */
    /* clients blocked by max_auth_errors_until_block (auth_block.c) */
    struct sl_list auth_blocks;
    struct sl_digests *digests; /* NULL: off (recorder.c) */
};

/* Makes the loop; the thread starts with sl_worker_start(). Control thread. */
int sl_worker_init(struct sl_worker *w, struct sl_core *core, unsigned index, struct sl_err *err);
int sl_worker_start(struct sl_worker *w, struct sl_err *err);
/* Asks the thread to end; sl_worker_stop() waits for it. So that all end at the same time. */
void sl_worker_request_stop(struct sl_worker *w);
/* Stops the loop and joins the thread, then closes what sessions are left. Control thread. */
void sl_worker_stop(struct sl_worker *w);
void sl_worker_clear(struct sl_worker *w);

/* Tells the worker's sessions that some server's status changed; coalesced. Any thread. */
void sl_worker_topology_changed(struct sl_worker *w);

/* Keeps the sweep running; called when a session joins the worker. */
void sl_worker_session_added(struct sl_worker *w);

#endif
