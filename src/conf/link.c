/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names in the settings of objects -> pointers to the objects.
 *
 * Runs when all objects exist and no longer move. What is not found goes to the report and is left
 * out of the arrays, so that later checks may follow every pointer.
 */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "conf/check.h"

struct context {
    struct sl_config *c;
    struct sl_conf_report *report;
};

struct name_list {
    const struct sl_config *c;
    enum sl_conf_kind kind;
    bool with_services;
};

static size_t count_of(const struct name_list *names)
{
    size_t n = 0;
    while (sl_conf_object_at(names->c, names->kind, n) != NULL) {
        n++;
    }
    return n;
}

static const char *object_item(const void *list, size_t i)
{
    const struct name_list *names = list;
    const struct sl_conf_object *o = sl_conf_object_at(names->c, names->kind, i);
    if (o == NULL && names->with_services) {
        o = sl_conf_object_at(names->c, SL_CONF_SERVICE, i - count_of(names));
    }
    return o != NULL ? o->name : NULL;
}

struct linker {
    struct context *b;
    struct sl_conf_object *from;
    const char *key;
    enum sl_conf_kind kind; /* of what is named ... */
    bool takes_services;    /* ... or a service */
    struct sl_conf_object **objects;
    size_t count;
};

static struct sl_conf_object *resolve(struct linker *l, const char *name)
{
    struct context *b = l->b;
    struct sl_conf_object *o = sl_conf_object_find(b->c, l->kind, name);
    if (o != NULL) {
        return o;
    }
    const char *word = l->takes_services ? "server or service" : sl_conf_kind_name(l->kind);
    struct sl_conf_place at = sl_conf_place_of(b->c, l->from, l->key);
    const struct sl_conf_section *s = sl_conf_tree_find(&b->c->tree, name);
    if (s != NULL) {
        const struct sl_conf_entry *type = sl_conf_section_find(s, "type");
        sl_conf_error(b->report, at, "'%s' names '%.100s', which is a %s, not a %s", l->key, name,
                      type != NULL ? type->value : "section without type", word);
        return NULL;
    }
    struct name_list names = {b->c, l->kind, l->takes_services};
    const char *near = sl_nearest_name(name, object_item, &names);
    sl_conf_error(b->report, at, "'%s' names '%.100s', but there is no such %s%s%s%s", l->key, name,
                  word, near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
                  near != NULL ? "'?" : "");
    return NULL;
}

static void link_item(void *arg, const char *name)
{
    struct linker *l = arg;
    struct sl_conf_object *o =
        l->takes_services ? sl_conf_object_find(l->b->c, SL_CONF_SERVICE, name) : NULL;
    o = o != NULL ? o : resolve(l, name);
    for (size_t i = 0; o != NULL && i < l->count; i++) {
        if (l->objects[i] == o) {
            sl_conf_error(l->b->report, sl_conf_place_of(l->b->c, l->from, l->key),
                          "'%s' names '%s' twice", l->key, name);
            return;
        }
    }
    if (o != NULL) {
        l->objects = sl_realloc(l->objects, (l->count + 1) * sizeof(struct sl_conf_object *));
        sl_assert(l->objects != NULL);
        l->objects[l->count++] = o;
    }
}

/* The objects a list names, as a fresh array of pointers. */
static void *link_list(struct context *b, struct sl_conf_object *from, const char *key,
                       const char *list, char separator, enum sl_conf_kind kind, size_t *ret_count)
{
    struct linker l = {.b = b, .from = from, .key = key, .kind = kind};
    l.takes_services = strcmp(key, "targets") == 0;
    sl_conf_list_each(list, separator, link_item, &l);
    *ret_count = l.count;
    return l.objects;
}

static void link_monitor(struct context *b, struct sl_conf_monitor *m)
{
    m->servers = link_list(b, &m->object, "servers", m->settings.servers, ',', SL_CONF_SERVER,
                           &m->server_count);
    for (size_t i = 0; i < m->server_count; i++) {
        struct sl_conf_server *server = m->servers[i];
        if (server->monitor != NULL) {
            sl_conf_error(b->report, sl_conf_place_of(b->c, &m->object, "servers"),
                          "server '%s' is watched by monitor '%s' already", server->object.name,
                          server->monitor->object.name);
        } else {
            server->monitor = m;
        }
    }
}

static void link_service(struct context *b, struct sl_conf_service *s)
{
    const struct sl_service_settings *set = &s->settings;
    int ways = (set->servers != NULL) + (set->targets != NULL) + (set->cluster != NULL);
    if (ways > 1) {
        sl_conf_error(b->report, sl_conf_place_of(b->c, &s->object, NULL),
                      "only one of 'servers', 'targets' and 'cluster' may be set");
    }
    if (set->cluster != NULL) {
        struct linker l = {.b = b, .from = &s->object, .key = "cluster", .kind = SL_CONF_MONITOR};
        s->cluster = (struct sl_conf_monitor *)(void *)resolve(&l, set->cluster);
    }
    if (s->cluster != NULL) {
        size_t size = s->cluster->server_count * sizeof(struct sl_conf_object *);
        s->targets = sl_xcalloc(1, size + 1);
        s->target_count = s->cluster->server_count;
        if (size > 0) {
            memcpy(s->targets, s->cluster->servers, size);
        }
    } else {
        const char *key = set->targets != NULL ? "targets" : "servers";
        s->targets =
            link_list(b, &s->object, key, set->targets != NULL ? set->targets : set->servers, ',',
                      SL_CONF_SERVER, &s->target_count);
    }
    s->servers = sl_xcalloc(s->target_count + 1, sizeof(*s->servers));
    for (size_t i = 0; i < s->target_count; i++) {
        if (s->targets[i]->kind == SL_CONF_SERVER) {
            s->servers[s->server_count++] = (struct sl_conf_server *)(void *)s->targets[i];
        }
    }
    s->filters =
        link_list(b, &s->object, "filters", set->filters, '|', SL_CONF_FILTER, &s->filter_count);
}

void sl_conf_link(struct sl_config *c, struct sl_conf_report *report)
{
    struct context whole = {c, report};
    struct context *b = &whole;
    for (size_t i = 0; i < c->monitor_count; i++) {
        link_monitor(b, &c->monitors[i]);
    }
    for (size_t i = 0; i < c->service_count; i++) {
        link_service(b, &c->services[i]);
    }
    sl_conf_link_services(c, report);
    for (size_t i = 0; i < c->listener_count; i++) {
        struct sl_conf_listener *listener = &c->listeners[i];
        if (listener->settings.service != NULL) {
            struct linker l = {
                .b = b, .from = &listener->object, .key = "service", .kind = SL_CONF_SERVICE};
            listener->service =
                (struct sl_conf_service *)(void *)resolve(&l, listener->settings.service);
        }
    }
}

void sl_conf_list_each(const char *list, char separator, void (*fn)(void *arg, const char *item),
                       void *arg)
{
    if (list == NULL) {
        return;
    }
    char *copy = sl_xstrdup(list);
    for (char *item = copy; item != NULL;) {
        char *end = strchr(item, separator);
        if (end != NULL) {
            *end++ = '\0';
        }
        if (*item != '\0') {
            fn(arg, item);
        }
        item = end;
    }
    sl_free(copy);
}
