/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services that are targets of other services: who may be one, and that no chain bites its tail.
 *
 * Runs when all names are pointers. A reference that is refused is taken out, so what is left is a
 * graph without circles, no deeper than SL_CONF_CHAIN_MAX: later code may walk it without a guard.
 * Control thread.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "conf/check.h"

struct context {
    struct sl_config *c;
    struct sl_conf_report *report;
    /* the chain being followed, outermost first; room for all services */
    struct sl_conf_service **path;
    size_t depth;
};

static bool chains(const struct sl_conf_service *s)
{
    /* An unknown router has its own error. */
    return s->router_table == NULL || (s->router_table->flags & SL_SETTINGS_CHAINS) != 0;
}

static struct sl_conf_place place_of(const struct context *x, const struct sl_conf_service *s)
{
    return sl_conf_place_of(x->c, &s->object, "targets");
}

static bool is_allowed(struct context *x, const struct sl_conf_service *outer,
                       const struct sl_conf_service *inner)
{
    if (inner == outer) {
        sl_conf_error(x->report, place_of(x, outer), "'targets' of '%s' names the service itself",
                      outer->object.name);
    } else if (!chains(outer)) {
        sl_conf_error(x->report, place_of(x, outer),
                      "'targets' names the service '%s': router '%s' takes servers only; services "
                      "with router readwritesplit or readconnroute may have services as targets",
                      inner->object.name, outer->settings.router);
    } else if (!chains(inner)) {
        sl_conf_error(x->report, place_of(x, outer),
                      "'targets' names the service '%s': a service with router '%s' cannot be a "
                      "target; those with router readwritesplit or readconnroute can",
                      inner->object.name, inner->settings.router);
    } else {
        return true;
    }
    return false;
}

static void remove_target(struct sl_conf_service *s, size_t i)
{
    s->target_count--;
    memmove(&s->targets[i], &s->targets[i + 1],
            (s->target_count - i) * sizeof(struct sl_conf_object *));
}

/* "A -> B -> A", from the place where the circle begins. */
static void refuse_circle(struct context *x, const struct sl_conf_service *again)
{
    char text[1024] = "";
    size_t used = 0;
    bool is_inside = false;
    for (size_t i = 0; i < x->depth && used < sizeof(text); i++) {
        is_inside = is_inside || x->path[i] == again;
        if (is_inside) {
            used += (size_t)snprintf(text + used, sizeof(text) - used, "'%s' -> ",
                                     x->path[i]->object.name);
        }
    }
    const struct sl_conf_service *last = x->path[x->depth - 1];
    sl_conf_error(x->report, place_of(x, last), "services are targets of each other: %s'%s'", text,
                  again->object.name);
}

static bool is_on_path(const struct context *x, const struct sl_conf_service *s)
{
    for (size_t i = 0; i < x->depth; i++) {
        if (x->path[i] == s) {
            return true;
        }
    }
    return false;
}

static void follow(struct context *x, struct sl_conf_service *s);

/* False: the way from s, the last one of the path, to this one is refused. */
static bool step(struct context *x, struct sl_conf_service *s, struct sl_conf_service *next)
{
    if (is_on_path(x, next)) {
        refuse_circle(x, next);
        return false;
    }
    follow(x, next);
    if (next->chain_length == SL_CONF_CHAIN_MAX) {
        sl_conf_error(x->report, place_of(x, s),
                      "'targets' names the service '%s', behind which there are %d more: at most "
                      "%d services may stand behind each other",
                      next->object.name, SL_CONF_CHAIN_MAX - 1, SL_CONF_CHAIN_MAX);
        return false;
    }
    s->chain_length = SL_MAX(s->chain_length, next->chain_length + 1);
    return true;
}

/* Depth first, each service once; finds the length of the longest chain that begins here. */
static void follow(struct context *x, struct sl_conf_service *s)
{
    if (s->chain_length > 0) {
        return;
    }
    x->path[x->depth++] = s;
    s->chain_length = 1;
    for (size_t i = 0; i < s->target_count;) {
        struct sl_conf_service *next = sl_conf_target_service(s->targets[i]);
        if (next != NULL && !step(x, s, next)) {
            remove_target(s, i);
        } else {
            i++;
        }
    }
    x->depth--;
}

void sl_conf_link_services(struct sl_config *c, struct sl_conf_report *report)
{
    struct context x = {.c = c, .report = report};
    x.path = sl_xcalloc(c->service_count + 1, sizeof(*x.path));
    for (size_t k = 0; k < c->service_count; k++) {
        struct sl_conf_service *s = &c->services[k];
        for (size_t i = 0; i < s->target_count;) {
            struct sl_conf_service *inner = sl_conf_target_service(s->targets[i]);
            if (inner != NULL && !is_allowed(&x, s, inner)) {
                remove_target(s, i);
                continue;
            }
            if (inner != NULL) {
                inner->is_target = true;
            }
            i++;
        }
    }
    for (size_t k = 0; k < c->service_count; k++) {
        follow(&x, &c->services[k]);
    }
    sl_free(x.path);
}
