/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message to each worker, which owns the sessions and the relays of router=tcp: their connections
 * to the server are lost. The message frees itself.
 */
#include "admin/hangup.h"

#include "base/mem.h"
#include "core/backend.h"
#include "core/core.h"
#include "core/session.h"

struct hangup {
    struct sl_message message;
    struct sl_worker *worker;
    const struct sl_server *server;
};

static void close_backend_of(struct sl_session *s, const struct sl_server *server)
{
    for (unsigned i = 0; i < s->backend_count; i++) {
        if (s->backends[i] != NULL && s->backends[i]->server == server) {
            sl_backend_lost(s->backends[i], "the server was put into maintenance");
            return;
        }
    }
}

/* Routers that have no sessions. The last messages run when the services are gone. */
static void close_relays(struct sl_worker *w, const struct sl_server *server)
{
    struct sl_core *core = w->core;
    for (unsigned i = 0; !atomic_load(&core->is_stopping) && i < core->service_count; i++) {
        struct sl_service *service = core->services[i];
        if (service->ops->on_worker_hangup) {
            service->ops->on_worker_hangup(service, w, server);
        }
    }
}

static void run(struct sl_message *m, struct sl_loop *loop)
{
    struct hangup *h = SL_CONTAINER_OF(m, struct hangup, message);
    SL_LIST_FOR_EACH (node, &h->worker->sessions) {
        struct sl_session *s = SL_CONTAINER_OF(node, struct sl_session, node);
        if (s->step != SL_SESSION_CLOSING) {
            close_backend_of(s, h->server);
        }
    }
    close_relays(h->worker, h->server);
    sl_free(h);
}

void sl_admin_hangup(struct sl_core *core, struct sl_server *s)
{
    for (unsigned i = 0; i < core->worker_count; i++) {
        struct hangup *h = sl_xcalloc(1, sizeof *h);
        h->message.run = run;
        h->worker = &core->workers[i];
        h->server = s;
        sl_loop_post(core->workers[i].loop, &h->message);
    }
}
