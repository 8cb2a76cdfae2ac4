/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A login waits: for the accounts to be read again, or for the name of the client's address.
 *
 * Both are told by other threads, perhaps after the session has ended. So what travels knows the
 * session by its number only and is looked up in the worker where it runs.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "core/core.h"
#include "core/session.h"
#include "core/session_login.h"

struct wake {
    struct sl_message message;
    struct sl_worker *worker;
    uint64_t session_id;
    struct sl_name_lookup lookup;
    bool has_name;
};

static struct sl_session *find_waiting(struct sl_worker *w, uint64_t id)
{
    SL_LIST_FOR_EACH (node, &w->sessions) {
        struct sl_session *s = SL_CONTAINER_OF(node, struct sl_session, node);
        if (s->id == id && s->login && s->login->is_waiting) {
            return s;
        }
    }
    return NULL;
}

static void wake_up(struct sl_message *m, struct sl_loop *loop)
{
    struct wake *w = SL_CONTAINER_OF(m, struct wake, message);
    struct sl_session *s = find_waiting(w->worker, w->session_id);
    if (s) {
        sl_log_session_set(s->id);
        s->login->is_waiting = false;
        sl_conn_resume(&s->client);
        if (w->has_name) {
            memcpy(s->login->host_name, w->lookup.name, sizeof w->lookup.name);
        }
        sl_session_login_begin(s);
        sl_log_session_set(0);
    }
    sl_free(w);
}

static void post_wake(void *arg)
{
    struct wake *w = arg;
    sl_loop_post(w->worker->loop, &w->message);
}

static struct wake *new_wake(struct sl_session *s)
{
    struct wake *w = sl_calloc(1, sizeof *w);
    if (w) {
        w->message.run = wake_up;
        w->worker = s->worker;
        w->session_id = s->id;
        w->lookup.peer = s->peer;
    }
    return w;
}

bool sl_session_wait_for_reload(struct sl_session *s)
{
    struct sl_login_state *l = s->login;
    if (l->has_reloaded) {
        return false;
    }
    l->has_reloaded = true;
    struct wake *w = new_wake(s);
    if (!w || !sl_account_manager_reload(s->service->accounts, false, post_wake, w)) {
        sl_free(w);
        return false;
    }
    l->is_waiting = true;
    sl_conn_pause(&s->client); /* nobody is known yet: nothing more of it is kept */
    return true;
}

static void on_name(struct sl_name_lookup *lookup)
{
    struct wake *w = SL_CONTAINER_OF(lookup, struct wake, lookup);
    w->has_name = true;
    post_wake(w);
}

static void on_no_name(struct sl_name_lookup *lookup)
{
    sl_free(SL_CONTAINER_OF(lookup, struct wake, lookup));
}

bool sl_session_wait_for_name(struct sl_session *s)
{
    struct sl_login_state *l = s->login;
    l->has_name = true;
    struct wake *w = new_wake(s);
    if (!w) {
        return false;
    }
    w->lookup.on_name = on_name;
    w->lookup.on_cancel = on_no_name;
    if (!sl_name_lookup_start(&w->lookup)) {
        sl_free(w);
        return false;
    }
    l->is_waiting = true;
    sl_conn_pause(&s->client); /* nobody is known yet: nothing more of it is kept */
    return true;
}
