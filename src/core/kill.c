/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KILL. Two passes over the sessions of all workers (a message per worker, one result):
 *
 *   find    whom does the id mean?
 *   act     KILL CONNECTION closes the session (its running statement is killed on the servers);
 *           KILL QUERY sends KILL QUERY <thread> to the servers where a statement runs
 *
 * On a server the statement is sent by a ghost session with the credentials of the one who asked
 * for it, so the server itself checks the right to kill.
 *
 * An id may be that of a greeting, or one of a server's thread; those of different servers overlap.
 * It means the one session that was given the id, and else the one that has such a thread. If there
 * are several, none is killed (docs/internals/sessions.md).
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
#include "sql/thread_ids.h"

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
    if (b->server->service) {
        return; /* the inner session does it when it sees its client gone */
    }
    if (!sl_status_is_usable(sl_server_status(b->server))) {
        return; /* it is gone; nothing to free there that we could reach */
    }
    kill_on_server(s, b->position, b->thread_id, false);
}

/* ---- the client's KILL ---- */

enum kill_pass {
    KILL_FIND,
    KILL_ACT
};

/* Sessions that an id could mean: how many, and the last one's own id. */
struct kill_candidates {
    _Atomic uint32_t count;
    _Atomic uint64_t session_id;
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
    const struct sl_server *listed; /* whose process list the asker has seen, or NULL */
    struct kill_candidates given;   /* those that were given the id, or that the list shows */
    _Atomic uint32_t on_list;       /* those that the list shows */
    struct kill_candidates any;     /* those with such a thread on some server */
    uint64_t target;                /* the session that is meant */
    _Atomic uint32_t found;
    _Atomic uint32_t refused;
    struct kill_part *parts;
    struct sl_message done;
};

struct kill_part {
    struct sl_message message;
    struct kill_search *search;
};

static bool was_told(const struct sl_session *s, uint64_t id)
{
    for (unsigned i = 0; i < SL_SESSION_TOLD_MAX; i++) {
        if (s->told[i] == id && id != 0) {
            return true;
        }
    }
    return false;
}

static void note_told(struct sl_session *s, uint64_t id)
{
    if (!was_told(s, id)) {
        s->told[s->told_next] = (uint32_t)id;
        s->told_next = (uint8_t)((s->told_next + 1) % SL_SESSION_TOLD_MAX);
    }
}

/* The server whose process list the session was shown last, or NULL. What a service has shown, one
 * of its servers has; if that inner session is gone the list is nobody's. */
static const struct sl_server *listed_server(const struct sl_session *s)
{
    if (!s->listed) {
        return NULL;
    }
    const struct sl_backend *b = s->backends[s->listed - 1];
    const struct sl_server *inner = b && b->inner ? listed_server(b->inner) : NULL;
    return inner ? inner : s->service->servers[s->listed - 1];
}

void sl_kill_learn(const struct sl_backend *b)
{
    struct sl_session *s = b->session;
    if (b->reply.kind != SL_REPLY_KIND_RESULTSET) {
        return;
    }
    if (s->shows_ids & SL_SQL_THREAD_IDS_LIST) {
        s->listed = (uint16_t)(b->position + 1);
    }
    if ((s->shows_ids & SL_SQL_THREAD_IDS_OWN) && !b->server->service) {
        note_told(s, b->thread_id);
        for (struct sl_backend *outer = s->outer; outer; outer = outer->session->outer) {
            note_told(outer->session, b->thread_id); /* the answer goes on to them */
        }
    }
}

/* A connection with this id to the server (NULL: to any). The ids of inner sessions, which their
 * greetings told nobody, are no threads. */
static bool has_thread(const struct sl_session *s, uint64_t id, const struct sl_server *server)
{
    for (unsigned i = 0; i < s->backend_count; i++) {
        const struct sl_backend *b = s->backends[i];
        if (b && !b->server->service && b->thread_id == id && (!server || b->server == server)) {
            return true;
        }
    }
    return false;
}

/* An inner session and its outer one are on the same worker and count as one. */
static void add_candidate(struct kill_candidates *c, const struct sl_session *s)
{
    if (atomic_load(&c->count) == 0 || atomic_load(&c->session_id) != s->origin_id) {
        atomic_fetch_add(&c->count, 1);
        atomic_store(&c->session_id, s->origin_id);
    }
}

static void consider(struct kill_search *k, const struct sl_session *s)
{
    bool is_on_list = k->listed && has_thread(s, k->id, k->listed);
    atomic_fetch_add(&k->on_list, is_on_list);
    bool is_greeted = s->id == k->id && !sl_session_is_inner(s);
    if (is_greeted || was_told(s, k->id) || is_on_list) {
        add_candidate(&k->given, s);
    }
    if (has_thread(s, k->id, NULL)) {
        add_candidate(&k->any, s);
    }
}

static bool is_target(const struct sl_session *s, const struct kill_search *k)
{
    if (k->flags & SL_KILL_USER) {
        return !sl_session_is_inner(s) && s->id != k->asker_id && s->client_user &&
               strcmp(s->client_user, k->user) == 0;
    }
    return s->id == k->target;
}

static void kill_query(struct sl_session *s)
{
    for (unsigned i = 0; i < s->backend_count; i++) {
        struct sl_backend *b = s->backends[i];
        if (!sl_backend_is_ready(b) || !b->is_measuring) {
            continue;
        }
        if (b->inner) {
            kill_query(b->inner);
        } else {
            kill_on_server(s, i, b->thread_id, true);
        }
    }
}

static void free_search(struct kill_search *k)
{
    sl_free(k->parts);
    sl_free(k);
}

static void act(struct kill_search *k, struct sl_session *s)
{
    if (!k->asker_is_super && (!s->client_user || strcmp(s->client_user, k->asker_user) != 0)) {
        atomic_fetch_add(&k->refused, 1);
        return;
    }
    atomic_fetch_add(&k->found, 1);
    if (k->flags & SL_KILL_QUERY) {
        kill_query(s);
    } else {
        s->is_killed = true;
        sl_session_close(s, "killed");
    }
}

static void search_worker(struct sl_message *m, struct sl_loop *loop)
{
    struct kill_part *part = SL_CONTAINER_OF(m, struct kill_part, message);
    struct kill_search *k = part->search;
    struct sl_worker *w = &k->asker_worker->core->workers[part - k->parts];
    SL_LIST_FOR_EACH (node, &w->sessions) {
        struct sl_session *s = SL_CONTAINER_OF(node, struct sl_session, node);
        if (!s->listener || s->step == SL_SESSION_CLOSING) {
            continue;
        }
        if (k->pass == KILL_FIND) {
            consider(k, s);
        } else if (is_target(s, k)) {
            act(k, s);
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

/* All sessions have been looked at. True if one is meant and it is another than the asker; then
 * it is the target. */
static bool choose(struct sl_session *s, struct kill_search *k)
{
    struct kill_candidates *c = k->given.count > 0 ? &k->given : &k->any;
    k->target = c->session_id;
    if (c->count > 1) {
        const char *hint = c == &k->any ? "; use the id of the session's greeting" : "";
        sl_session_answer_error(s, SL_ER_NO_SUCH_THREAD, NULL,
                                "Thread id %llu could mean any of %u sessions, none was killed%s",
                                (unsigned long long)k->id, (unsigned)c->count, hint);
        return false;
    }
    if (c->count == 0) {
        answer_asker(s, k);
        return false;
    }
    if (k->target == s->id) {
        kill_self(s, k->flags & SL_KILL_QUERY);
        return false;
    }
    if (k->listed && k->on_list == 0) {
        /* The list may have shown this number for a connection that is not ours. */
        sl_session_answer_error(s, SL_ER_NO_SUCH_THREAD, NULL,
                                "Thread id %llu of the process list of server '%s', which was "
                                "asked for last, is not of a session of this proxy; if it is the "
                                "id of a greeting, use another session",
                                (unsigned long long)k->id, k->listed->name);
        return false;
    }
    return true;
}

/* Back on the asker's worker: kill the one that was found, or answer as the server would. */
static void answer(struct sl_message *m, struct sl_loop *loop)
{
    struct kill_search *k = SL_CONTAINER_OF(m, struct kill_search, done);
    struct sl_session *s = find_session(k->asker_worker, k->asker_id);
    if (s && s->busy) {
        if (k->pass == KILL_FIND && choose(s, k)) {
            k->pass = KILL_ACT;
            post_parts(k);
            return;
        }
        if (k->pass == KILL_ACT) {
            answer_asker(s, k);
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
    if (info->kill_flags & SL_KILL_QUERY_ID) {
        sl_session_answer_error(s, SL_ER_KILL_QUERY_DENIED, NULL, "Unknown query id: %llu",
                                (unsigned long long)info->kill_id);
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
    k->pass = k->flags & SL_KILL_USER ? KILL_ACT : KILL_FIND; /* all of a user's are meant */
    snprintf(k->user, sizeof k->user, "%.*s", (int)info->name.len, (const char *)info->name.data);
    snprintf(k->asker_user, sizeof k->asker_user, "%s", s->client_user ? s->client_user : "");
    k->asker_is_super = is_super(s);
    k->asker_id = s->id;
    k->asker_worker = s->worker;
    k->listed = listed_server(s);
    k->parts = parts;
    k->done.run = answer;
    sl_session_begin(s);
    for (unsigned i = 0; i < core->worker_count; i++) {
        parts[i].message.run = search_worker;
        parts[i].search = k;
    }
    post_parts(k);
}
