/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KILL. Two steps:
 *
 *   find    each worker looks among its sessions for the id (a message per worker, one result)
 *   act     KILL CONNECTION closes the session (its running statement is killed on the servers);
 *           KILL QUERY sends KILL QUERY <thread> to the servers where a statement runs
 *
 * On a server the statement is sent by a ghost session with the credentials of the one who asked
 * for it, so the server itself checks the right to kill. Ids of servers (what CONNECTION_ID()
 * returned) may be equal on different servers and equal to ids of our greetings: those are looked
 * for first, and only if there is none, the others. An id that fits several sessions kills none of
 * them.
 */
#include "core/kill.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "core/core.h"
#include "core/session.h"
#include "proto/constants.h"
#include "proto/ok.h"

/* ---- ghosts: one KILL statement on one server ---- */

struct ghost {
    char sql[64];
};

static void ghost_ready(struct sl_session *s, struct sl_backend *b)
{
    struct ghost *g = s->router;
    struct sl_buf packet = SL_BUF_INIT;
    if (sl_packet_build_command(&packet, SL_COM_QUERY, sl_slice_text(g->sql)) < 0 ||
        sl_backend_send(b, sl_buf_slice(&packet).data, sl_buf_len(&packet), SL_PURPOSE_INTERNAL,
                        0) < 0) {
        sl_session_close(s, NULL);
    }
    sl_buf_free(&packet);
}

static void ghost_reply(struct sl_session *s, struct sl_backend *b, const struct sl_reply *reply,
                        uint8_t purpose)
{
    struct ghost *g = s->router;
    if (reply->kind == SL_REPLY_KIND_ERR && reply->error_code != SL_ER_NO_SUCH_THREAD) {
        sl_log_warning("'%s' failed on server '%s' with error %u", g->sql, b->server->name,
                       reply->error_code);
    }
    sl_session_close(s, NULL);
}

static void ghost_lost(struct sl_session *s, struct sl_backend *b, const char *why)
{
    sl_session_close(s, NULL);
}

static void ghost_close(struct sl_session *s)
{
    sl_free(s->router);
    s->router = NULL;
}

static const struct sl_router_ops ghost_ops = {
    .session_close = ghost_close,
    .on_reply = ghost_reply,
    .on_backend_ready = ghost_ready,
    .on_backend_lost = ghost_lost,
};

static void kill_on_server(struct sl_session *who, unsigned position, uint64_t thread_id,
                           bool only_query)
{
    struct sl_session *s = sl_session_new_ghost(who, &ghost_ops);
    struct ghost *g = s ? sl_calloc(1, sizeof *g) : NULL;
    if (g) {
        s->router = g;
        snprintf(g->sql, sizeof g->sql, "KILL %s %llu", only_query ? "QUERY" : "CONNECTION",
                 (unsigned long long)thread_id);
    }
    if (s && (!g || sl_backend_open(s, position) < 0)) {
        sl_session_close(s, NULL);
    }
}

void sl_kill_abandoned(struct sl_backend *b)
{
    struct sl_session *s = b->session;
    if (!s->listener || atomic_load(&s->worker->core->is_stopping)) {
        return;
    }
    if (!sl_status_is_usable(sl_server_status(b->server))) {
        return; /* it is gone; nothing to free there that we could reach */
    }
    kill_on_server(s, b->position, b->thread_id, false);
}

/* ---- the client's KILL ---- */

enum kill_pass {
    KILL_BY_GREETING,
    KILL_COUNT_THREADS, /* how many sessions have a connection with this id? */
    KILL_BY_THREAD
};

struct kill_search {
    uint64_t id;
    uint8_t flags;
    uint8_t pass;      /* enum kill_pass */
    char user[129];    /* KILL USER */
    uint32_t refs;     /* workers that have not answered yet */
    uint64_t asker_id; /* session that waits for the answer */
    struct sl_worker *asker_worker;
    char asker_user[129]; /* only own sessions may be closed without rights on the server */
    bool asker_is_super;
    _Atomic uint32_t found;
    _Atomic uint32_t refused;
    struct kill_part *parts;
    struct sl_message done;
};

struct kill_part {
    struct sl_message message;
    struct kill_search *search;
};

static bool has_thread(const struct sl_session *s, uint64_t id)
{
    for (unsigned i = 0; i < s->backend_count; i++) {
        if (s->backends[i] && s->backends[i]->thread_id == id) {
            return true;
        }
    }
    return false;
}

static bool matches(const struct sl_session *s, const struct kill_search *k)
{
    if (!s->listener || s->step == SL_SESSION_CLOSING || s->id == k->asker_id) {
        return false;
    }
    if (k->flags & SL_KILL_USER) {
        return s->client_user && strcmp(s->client_user, k->user) == 0;
    }
    return k->pass == KILL_BY_GREETING ? s->id == k->id : has_thread(s, k->id);
}

static void kill_query(struct sl_session *s)
{
    for (unsigned i = 0; i < s->backend_count; i++) {
        struct sl_backend *b = s->backends[i];
        if (sl_backend_is_ready(b) && b->is_measuring) {
            kill_on_server(s, i, b->thread_id, true);
        }
    }
}

static void free_search(struct kill_search *k)
{
    sl_free(k->parts);
    sl_free(k);
}

static void search_worker(struct sl_message *m, struct sl_loop *loop)
{
    struct kill_part *part = SL_CONTAINER_OF(m, struct kill_part, message);
    struct kill_search *k = part->search;
    struct sl_worker *w = &k->asker_worker->core->workers[part - k->parts];
    SL_LIST_FOR_EACH (node, &w->sessions) {
        struct sl_session *s = SL_CONTAINER_OF(node, struct sl_session, node);
        if (!matches(s, k)) {
            continue;
        }
        if (!k->asker_is_super && (!s->client_user || strcmp(s->client_user, k->asker_user) != 0)) {
            atomic_fetch_add(&k->refused, 1);
            continue;
        }
        atomic_fetch_add(&k->found, 1);
        if (k->pass == KILL_COUNT_THREADS) {
            continue;
        }
        if (k->flags & SL_KILL_QUERY) {
            kill_query(s);
        } else {
            s->is_killed = true;
            sl_session_close(s, "killed");
        }
    }
    if (__atomic_sub_fetch(&k->refs, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    if (atomic_load(&w->core->is_stopping)) {
        free_search(k); /* nobody is there to be answered, and the asker's loop may be gone */
    } else {
        sl_loop_post(k->asker_worker->loop, &k->done);
    }
}

static struct sl_session *find_session(struct sl_worker *w, uint64_t id)
{
    SL_LIST_FOR_EACH (node, &w->sessions) {
        struct sl_session *s = SL_CONTAINER_OF(node, struct sl_session, node);
        if (s->id == id && s->step == SL_SESSION_READY) {
            return s;
        }
    }
    return NULL;
}

static void post_parts(struct kill_search *k)
{
    struct sl_core *core = k->asker_worker->core;
    k->refs = core->worker_count;
    for (unsigned i = 0; i < core->worker_count; i++) {
        sl_loop_post(core->workers[i].loop, &k->parts[i].message);
    }
}

static void kill_self(struct sl_session *s, bool only_query)
{
    if (only_query) {
        sl_session_answer_error(s, SL_ER_QUERY_INTERRUPTED, NULL,
                                "Query execution was interrupted");
        return;
    }
    sl_session_answer_error(s, SL_ER_CONNECTION_KILLED, NULL, "Connection was killed");
    sl_session_close(s, "killed by itself");
}

static void answer_asker(struct sl_session *s, const struct kill_search *k)
{
    if (k->found > 0 || (k->flags & SL_KILL_USER)) {
        sl_session_answer_ok(s);
    } else if (k->refused > 0) {
        sl_session_answer_error(s, SL_ER_KILL_DENIED, NULL, "You are not owner of thread %llu",
                                (unsigned long long)k->id);
    } else {
        sl_session_answer_error(s, SL_ER_NO_SUCH_THREAD, NULL, "Unknown thread id: %llu",
                                (unsigned long long)k->id);
    }
}

static void search_again(struct kill_search *k, enum kill_pass pass)
{
    k->pass = (uint8_t)pass;
    k->found = 0;
    k->refused = 0;
    post_parts(k);
}

/* The sessions with such a connection have been counted. True if there is one, to be killed in
 * another pass. */
static bool is_one_thread(struct sl_session *s, const struct kill_search *k)
{
    bool is_own = has_thread(s, k->id);
    unsigned count = k->found + k->refused + is_own;
    if (count > 1) {
        sl_session_answer_error(s, SL_ER_NO_SUCH_THREAD, NULL,
                                "Thread id %llu belongs to several sessions, on different servers; "
                                "use the id of the session's greeting",
                                (unsigned long long)k->id);
    } else if (is_own) {
        kill_self(s, k->flags & SL_KILL_QUERY);
    } else if (k->found == 0) {
        answer_asker(s, k);
    } else {
        return true;
    }
    return false;
}

/* Back on the asker's worker: answer as the server would, or look again for a server's id. */
static void answer(struct sl_message *m, struct sl_loop *loop)
{
    struct kill_search *k = SL_CONTAINER_OF(m, struct kill_search, done);
    struct sl_session *s = find_session(k->asker_worker, k->asker_id);
    bool is_unknown = k->found == 0 && k->refused == 0 && !(k->flags & SL_KILL_USER);
    if (s && s->busy) {
        if (k->pass == KILL_BY_GREETING && is_unknown) {
            search_again(k, KILL_COUNT_THREADS);
            return;
        }
        if (k->pass != KILL_COUNT_THREADS) {
            answer_asker(s, k);
        } else if (is_one_thread(s, k)) {
            search_again(k, KILL_BY_THREAD);
            return;
        }
    }
    free_search(k);
}

static bool is_super(struct sl_session *s)
{
    struct sl_accounts *a = sl_account_manager_get(s->service->accounts);
    const struct sl_account *account = NULL;
    if (a) {
        struct sl_account_query q = {.user = sl_slice_text(s->client_user ? s->client_user : ""),
                                     .client = &s->peer,
                                     .match_host = s->listener->match_host,
                                     .allow_root = true,
                                     .client_has_tls = true};
        sl_accounts_find(a, &q, &account);
    }
    bool super = account && account->is_super;
    sl_accounts_unref(a);
    return super;
}

void sl_kill_statement(struct sl_session *s, const struct sl_sql_info *info)
{
    bool only_query = info->kill_flags & SL_KILL_QUERY;
    if (info->kill_flags & SL_KILL_QUERY_ID) {
        sl_session_answer_error(s, SL_ER_KILL_QUERY_DENIED, NULL, "Unknown query id: %llu",
                                (unsigned long long)info->kill_id);
        return;
    }
    if (!(info->kill_flags & SL_KILL_USER) && s->id == info->kill_id) {
        kill_self(s, only_query);
        return;
    }
    struct sl_core *core = s->worker->core;
    struct kill_search *k = sl_calloc(1, sizeof *k);
    struct kill_part *parts = k ? sl_calloc(core->worker_count, sizeof *parts) : NULL;
    if (!parts) {
        sl_free(k);
        sl_session_fail(s, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
        return;
    }
    k->id = info->kill_id;
    k->flags = info->kill_flags;
    snprintf(k->user, sizeof k->user, "%.*s", (int)info->name.len, (const char *)info->name.data);
    snprintf(k->asker_user, sizeof k->asker_user, "%s", s->client_user ? s->client_user : "");
    k->asker_is_super = is_super(s);
    k->asker_id = s->id;
    k->asker_worker = s->worker;
    k->parts = parts;
    k->done.run = answer;
    sl_session_begin(s);
    for (unsigned i = 0; i < core->worker_count; i++) {
        parts[i].message.run = search_worker;
        parts[i].search = k;
    }
    post_parts(k);
}
