/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router binlogrouter: MASTER_GTID_WAIT(position, timeout). A session that waits is on its worker's
 * list; the list is looked through when the store has grown, and a timer ends the wait.
 *
 * Invariants: rs->wait is set exactly while the session's MASTER_GTID_WAIT is unanswered.
 *             wait_count of the worker is the length of its list: without waits nobody is woken.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "router/binlog/sql.h"

struct sl_relay_wait {
    struct sl_list node; /* worker's waits */
    struct sl_timer timer;
    struct sl_relay_session *rs;
    struct sl_gtid_list position;
    char *title;
};

static void free_wait(struct sl_relay_wait *w)
{
    struct sl_relay_worker *rw = sl_relay_worker_of(w->rs->session);
    sl_list_remove(&w->node);
    sl_timer_stop(&w->timer);
    atomic_fetch_sub(&rw->wait_count, 1);
    w->rs->wait = NULL;
    sl_gtid_list_free(&w->position);
    sl_free(w->title);
    sl_free(w);
}

static void answer(struct sl_relay_session *rs, const char *title, const char *value)
{
    struct sl_resultset_column column = {.name = title, .type = SL_TYPE_LONGLONG};
    struct sl_relay_rows rows;
    sl_relay_rows_begin(&rows, rs, &column, 1);
    sl_relay_rows_add(&rows, &value);
    sl_relay_rows_end(&rows);
}

static void finish(struct sl_relay_wait *w, const char *value)
{
    struct sl_relay_session *rs = w->rs;
    char *title = w->title;
    w->title = NULL;
    free_wait(w);
    answer(rs, title, value);
    sl_free(title);
}

/* Is every domain of the position as far, whoever wrote there? */
static bool is_reached(const struct sl_relay *relay, const struct sl_gtid_list *position)
{
    struct sl_gtid_list state = SL_GTID_LIST_INIT;
    bool is = sl_store_state(relay->store, &state) == SL_OK;
    for (uint32_t i = 0; i < position->count && is; i++) {
        const struct sl_gtid *last = sl_gtid_state_last(&state, position->gtid[i].domain);
        is = last && last->seq >= position->gtid[i].seq;
    }
    sl_gtid_list_free(&state);
    return is;
}

static void on_time(struct sl_timer *t, struct sl_loop *loop)
{
    finish(SL_CONTAINER_OF(t, struct sl_relay_wait, timer), "-1");
}

static void on_grown(struct sl_message *m, struct sl_loop *loop)
{
    struct sl_relay_worker *rw = SL_CONTAINER_OF(m, struct sl_relay_worker, waits_grown);
    atomic_store(&rw->waits_pending, false);
    SL_LIST_FOR_EACH (node, &rw->waits) {
        struct sl_relay_wait *w = SL_CONTAINER_OF(node, struct sl_relay_wait, node);
        if (is_reached(rw->relay, &w->position)) {
            finish(w, "0");
        }
    }
}

void sl_relay_waits_init(struct sl_relay_worker *rw)
{
    sl_list_init(&rw->waits);
    rw->waits_grown.run = on_grown;
}

void sl_relay_waits_wake(struct sl_relay *relay)
{
    for (unsigned i = 0; i < relay->worker_count; i++) {
        struct sl_relay_worker *rw = &relay->workers[i];
        if (atomic_load(&rw->wait_count) > 0 && !atomic_exchange(&rw->waits_pending, true)) {
            sl_loop_post(rw->worker->loop, &rw->waits_grown);
        }
    }
}

static struct sl_relay_wait *new_wait(struct sl_relay_session *rs, struct sl_slice title)
{
    struct sl_relay_wait *w = sl_calloc(1, sizeof *w);
    char *copy = sl_strndup((const char *)title.data, title.len);
    if (!w || !copy) {
        sl_free(w);
        sl_free(copy);
        return NULL;
    }
    w->rs = rs;
    w->title = copy;
    rs->wait = w;
    sl_timer_init(&w->timer, on_time);
    sl_list_append(&sl_relay_worker_of(rs->session)->waits, &w->node);
    atomic_fetch_add(&sl_relay_worker_of(rs->session)->wait_count, 1);
    return w;
}

void sl_relay_wait_start(struct sl_relay_session *rs, struct sl_slice position, int64_t timeout_ms,
                         struct sl_slice title)
{
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_err err = SL_ERR_INIT;
    int rc = sl_gtid_position_parse(position, &list, &err);
    if (rc < 0) {
        sl_session_answer_error(rs->session, rc == SL_EEXIST ? 1943 : 1941, "HY000", "%s",
                                rc == SL_EEXIST ? err.text : "Could not parse GTID list");
        return;
    }
    struct sl_relay_wait *w = new_wait(rs, title);
    if (!w) {
        sl_gtid_list_free(&list);
        sl_session_fail(rs->session, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
        return;
    }
    w->position = list;
    /* Listed before it is looked at, so that no growth is missed. */
    if (is_reached(sl_relay_of(rs->session), &w->position)) {
        finish(w, "0");
    } else if (timeout_ms == 0) {
        finish(w, "-1");
    } else {
        sl_session_begin(rs->session);
        if (timeout_ms > 0) {
            sl_timer_start(rs->session->worker->loop, &w->timer, (uint64_t)timeout_ms);
        }
    }
}

void sl_relay_wait_end(struct sl_relay_session *rs)
{
    if (rs->wait) {
        free_wait(rs->wait);
    }
}
