/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tree -> objects: one generic walk over all kinds, driven by the table `kinds`.
 *
 *   1. [maxscale]: directories, then secrets, then the rest (other values depend on the first two)
 *   2. one object per section, its settings and its module's settings filled from the entries
 *   3. names become pointers (link.c)        4. cross-checks (check.c)
 *
 * Every step goes on after an error, so that one pass finds all of them; the result is thrown away
 * then.
 */
#include "conf/config.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "conf/check.h"
#include "conf/secrets.h"

struct kind {
    const char *type;
    const struct sl_settings *table;
    size_t object_size;
    size_t settings;        /* offset in the object */
    const char *module_key; /* NULL: the kind has no modules */
    const char *module_word;
    size_t module_table;
    size_t module_settings;
    size_t array; /* offsets in struct sl_config */
    size_t count;
};

static const struct kind kinds[] = {
    [SL_CONF_SERVER] = {"server", &sl_settings_server, sizeof(struct sl_conf_server),
                        offsetof(struct sl_conf_server, settings), NULL, NULL, 0, 0,
                        offsetof(struct sl_config, servers),
                        offsetof(struct sl_config, server_count)},
    [SL_CONF_MONITOR] = {"monitor", &sl_settings_monitor, sizeof(struct sl_conf_monitor),
                         offsetof(struct sl_conf_monitor, settings), "module", "monitor module",
                         offsetof(struct sl_conf_monitor, module_table),
                         offsetof(struct sl_conf_monitor, module_settings),
                         offsetof(struct sl_config, monitors),
                         offsetof(struct sl_config, monitor_count)},
    [SL_CONF_SERVICE] = {"service", &sl_settings_service, sizeof(struct sl_conf_service),
                         offsetof(struct sl_conf_service, settings), "router", "router",
                         offsetof(struct sl_conf_service, router_table),
                         offsetof(struct sl_conf_service, router_settings),
                         offsetof(struct sl_config, services),
                         offsetof(struct sl_config, service_count)},
    [SL_CONF_LISTENER] = {"listener", &sl_settings_listener, sizeof(struct sl_conf_listener),
                          offsetof(struct sl_conf_listener, settings), NULL, NULL, 0, 0,
                          offsetof(struct sl_config, listeners),
                          offsetof(struct sl_config, listener_count)},
    [SL_CONF_FILTER] = {"filter", &sl_settings_filter, sizeof(struct sl_conf_filter),
                        offsetof(struct sl_conf_filter, settings), "module", "filter module",
                        offsetof(struct sl_conf_filter, module_table),
                        offsetof(struct sl_conf_filter, module_settings),
                        offsetof(struct sl_config, filters),
                        offsetof(struct sl_config, filter_count)},
};

struct builder {
    struct sl_config *c;
    const struct sl_conf_options *options;
    const struct sl_conf_modules *modules;
    struct sl_conf_report *report;
};

static char **array_of(const struct sl_config *c, const struct kind *k)
{
    return (char **)(void *)((char *)(uintptr_t)c + k->array);
}

static size_t *count_of(const struct sl_config *c, const struct kind *k)
{
    return (size_t *)(void *)((char *)(uintptr_t)c + k->count);
}

static struct sl_conf_object *object_at(const struct sl_config *c, const struct kind *k, size_t i)
{
    return (struct sl_conf_object *)(void *)(*array_of(c, k) + i * k->object_size);
}

static void *settings_of(struct sl_conf_object *o)
{
    return (char *)o + kinds[o->kind].settings;
}

static const struct sl_settings **module_table_of(struct sl_conf_object *o)
{
    return (const struct sl_settings **)(void *)((char *)o + kinds[o->kind].module_table);
}

static void **module_settings_of(struct sl_conf_object *o)
{
    return (void **)(void *)((char *)o + kinds[o->kind].module_settings);
}

static struct sl_conf_place place_of(const struct sl_conf_section *s, const struct sl_conf_entry *e)
{
    return e != NULL ? (struct sl_conf_place){e->file, e->line, s->name, e->key}
                     : (struct sl_conf_place){s->file, s->line, s->name, NULL};
}

struct sl_conf_place sl_conf_place_of(const struct sl_config *c, const struct sl_conf_object *o,
                                      const char *key)
{
    const struct sl_conf_section *s = sl_conf_tree_find(&c->tree, o->name);
    const struct sl_conf_entry *e = s != NULL && key != NULL ? sl_conf_section_find(s, key) : NULL;
    if (s == NULL) {
        return (struct sl_conf_place){o->file, o->line, o->name, key};
    }
    return place_of(s, e);
}

/* ---- one section's entries -> structs ---- */

struct target { /* a table and the struct it fills */
    const struct sl_settings *table;
    void *object;
};

static void warn_about(struct builder *b, const struct sl_conf_section *s,
                       const struct sl_conf_entry *e, const struct sl_setting *row,
                       const void *object)
{
    if (sl_setting_lacks_unit(row, e->value)) {
        bool is_ms = (row->flags & SL_SETTING_NO_UNIT_MS) != 0;
        sl_conf_warning(b->report, place_of(s, e),
                        "'%s=%.40s' has no unit; it is taken as '%.40s%s'", e->key, e->value,
                        e->value, is_ms ? "ms" : "s");
    }
    if ((row->flags & SL_SETTING_FUTURE) != 0 && !sl_setting_is_default(row, object)) {
        sl_conf_warning(b->report, place_of(s, e), "'%s' has no effect in this version", row->name);
    }
}

static void fill_value(struct builder *b, const struct sl_conf_section *s,
                       const struct sl_conf_entry *e, const struct sl_setting *row, void *object)
{
    if ((row->flags & SL_SETTING_DEPRECATED) != 0) {
        sl_conf_warning(b->report, place_of(s, e), "'%s' is deprecated and has no effect", e->key);
        return;
    }
    if ((row->flags & SL_SETTING_DIRECTORY) != 0 && e->value[0] == '\0') {
        return; /* the default stays */
    }
    struct sl_err err = SL_ERR_INIT;
    if (sl_setting_parse(row, object, e->value, &err) != 0) {
        sl_conf_error(b->report, place_of(s, e), "%s", err.text);
        return;
    }
    warn_about(b, s, e, row, object);
}

static const struct sl_setting *resolve_alias(struct builder *b, const struct sl_conf_section *s,
                                              const struct sl_conf_entry *e,
                                              const struct sl_settings *table,
                                              const struct sl_setting *row)
{
    if (row->alias_of == NULL) {
        return row;
    }
    if (sl_conf_section_find(s, row->alias_of) != NULL) {
        sl_conf_error(b->report, place_of(s, e), "'%s' is the old name of '%s', and both are set",
                      row->name, row->alias_of);
        return NULL;
    }
    sl_conf_warning(b->report, place_of(s, e), "'%s' is deprecated, its name is now '%s'",
                    row->name, row->alias_of);
    row = sl_settings_find(table, row->alias_of);
    sl_assert(row != NULL);
    return row;
}

static void refuse_key(struct builder *b, const struct sl_conf_section *s,
                       const struct sl_conf_entry *e, const struct target *targets, size_t count)
{
    const char *near = NULL;
    for (size_t i = 0; i < count && near == NULL; i++) {
        near = sl_settings_nearest(targets[i].table, e->key);
    }
    if (near != NULL) {
        sl_conf_error(b->report, place_of(s, e), "unknown parameter '%.100s', did you mean '%s'?",
                      e->key, near);
    } else {
        sl_conf_error(b->report, place_of(s, e), "unknown parameter '%.100s'", e->key);
    }
}

static void fill_entry(struct builder *b, const struct sl_conf_section *s,
                       const struct sl_conf_entry *e, const struct target *targets, size_t count,
                       bool knows_all)
{
    for (size_t i = 0; i < count; i++) {
        const struct sl_setting *row = sl_settings_find(targets[i].table, e->key);
        if (row != NULL) {
            row = resolve_alias(b, s, e, targets[i].table, row);
            if (row != NULL) {
                fill_value(b, s, e, row, targets[i].object);
            }
            return;
        }
    }
    if (knows_all) {
        refuse_key(b, s, e, targets, count);
    }
}

static bool has_entry(const struct sl_conf_section *s, const struct sl_settings *table,
                      const char *name)
{
    if (sl_conf_section_find(s, name) != NULL) {
        return true;
    }
    for (const struct sl_setting *row = table->rows; row->name != NULL; row++) {
        if (row->alias_of != NULL && strcmp(row->alias_of, name) == 0 &&
            sl_conf_section_find(s, row->name) != NULL) {
            return true;
        }
    }
    return false;
}

static void require_mandatory(struct builder *b, const struct sl_conf_section *s,
                              const struct sl_settings *table)
{
    for (const struct sl_setting *row = table->rows; row->name != NULL; row++) {
        if ((row->flags & SL_SETTING_MANDATORY) != 0 && !has_entry(s, table, row->name)) {
            sl_conf_error(b->report, place_of(s, NULL), "the parameter '%s' is missing", row->name);
        }
    }
}

/* ---- [maxscale] ---- */

static void default_directories(struct builder *b)
{
    for (const struct sl_setting *row = sl_settings_global.rows; row->name != NULL; row++) {
        if ((row->flags & SL_SETTING_DIRECTORY) == 0 || row->default_text == NULL) {
            continue;
        }
        char *text = sl_conf_directory_default(b->options, row->name);
        struct sl_err err = SL_ERR_INIT;
        if (sl_setting_parse(row, &b->c->global, text, &err) != 0) {
            sl_conf_error(b->report, (struct sl_conf_place){.key = row->name}, "%s", err.text);
        }
        sl_free(text);
    }
}

/* With `directories` only those are filled, without only the others. */
static void fill_global(struct builder *b, const struct sl_conf_section *s, bool directories)
{
    const struct target target = {&sl_settings_global, &b->c->global};
    for (size_t i = 0; s != NULL && i < s->count; i++) {
        const struct sl_setting *row = sl_settings_find(&sl_settings_global, s->entries[i].key);
        bool is_directory = row != NULL && (row->flags & SL_SETTING_DIRECTORY) != 0;
        if (is_directory == directories && strcmp(s->entries[i].key, "type") != 0) {
            fill_entry(b, s, &s->entries[i], &target, 1, true);
        }
    }
}

static void load_secrets(struct builder *b)
{
    const struct sl_global_settings *g = &b->c->global;
    const char *dir = g->secretsdir != NULL ? g->secretsdir : g->datadir;
    struct sl_err err = SL_ERR_INIT;
    if (dir != NULL && sl_secrets_load(dir, &b->c->secrets, &err) != 0) {
        sl_conf_error(b->report, (struct sl_conf_place){.key = NULL}, "%s", err.text);
    }
}

static void build_global(struct builder *b)
{
    const struct sl_conf_section *s = sl_conf_tree_find(&b->c->tree, "maxscale");
    sl_settings_environment_set((struct sl_settings_environment){NULL, NULL});
    sl_settings_defaults(&sl_settings_global, &b->c->global);
    default_directories(b);
    fill_global(b, s, true);
    load_secrets(b);
    sl_settings_environment_set(
        (struct sl_settings_environment){b->c->global.module_configdir, b->c->secrets});
    fill_global(b, s, false);
}

/* ---- objects ---- */

static const char *type_name(const void *list, size_t i)
{
    (void)list;
    return i < SL_CONF_KIND_COUNT ? kinds[i].type : NULL;
}

/* The kind a section declares, or NULL after a complaint. */
static const struct kind *kind_of(struct builder *b, const struct sl_conf_section *s)
{
    const struct sl_conf_entry *e = sl_conf_section_find(s, "type");
    if (e == NULL) {
        sl_conf_error(b->report, place_of(s, NULL),
                      "the parameter 'type' is missing; allowed: server, monitor, service, "
                      "listener, filter, include");
        return NULL;
    }
    for (size_t i = 0; i < SL_CONF_KIND_COUNT; i++) {
        if (strcmp(kinds[i].type, e->value) == 0) {
            return &kinds[i];
        }
    }
    const char *near = sl_nearest_name(e->value, type_name, NULL);
    sl_conf_error(b->report, place_of(s, e),
                  "unknown type '%.100s'%s%s%s; allowed: server, monitor, service, listener, "
                  "filter, include",
                  e->value, near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
                  near != NULL ? "'?" : "");
    return NULL;
}

static bool module_exists(struct builder *b, enum sl_conf_kind kind, const char *name)
{
    bool exists = false;
    b->modules->find(b->modules->arg, kind, name, &exists);
    return exists;
}

struct module_list {
    enum sl_conf_kind kind;
};

static const char *module_item(const void *list, size_t i)
{
    return sl_conf_module_name(((const struct module_list *)list)->kind, i);
}

static bool is_known_module(enum sl_conf_kind kind, const char *name)
{
    const char *known;
    for (size_t i = 0; (known = sl_conf_module_name(kind, i)) != NULL; i++) {
        if (strcmp(known, name) == 0) {
            return true;
        }
    }
    return false;
}

static void refuse_module(struct builder *b, enum sl_conf_kind kind, const char *name,
                          struct sl_conf_place at)
{
    const char *word = kinds[kind].module_word;
    if (is_known_module(kind, name)) {
        sl_conf_error(b->report, at, "%s '%s' is not available in this version", word, name);
        return;
    }
    char list[512] = "";
    size_t len = 0;
    const char *known;
    for (size_t i = 0; (known = sl_conf_module_name(kind, i)) != NULL; i++) {
        if (module_exists(b, kind, known) && len < sizeof(list)) {
            len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", len > 0 ? ", " : "",
                                    known);
        }
    }
    struct module_list all = {kind};
    const char *near = sl_nearest_name(name, module_item, &all);
    sl_conf_error(b->report, at, "unknown %s '%.100s'%s%s%s; there are: %s", word, name,
                  near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
                  near != NULL ? "'?" : "", list[0] != '\0' ? list : "none");
}

/* Old module names; MaxScale 24.02 configuration guide, monitor modules. */
static const char *current_module_name(const char *name)
{
    return strcmp(name, "mysqlmon") == 0 ? "mariadbmon" : name;
}

/* The module's table goes to the object; false: the module's parameters are not known. */
static bool find_module(struct builder *b, const struct sl_conf_section *s,
                        struct sl_conf_object *o)
{
    const struct sl_conf_entry *e = sl_conf_section_find(s, kinds[o->kind].module_key);
    if (e == NULL || e->value[0] == '\0') {
        return false;
    }
    const char *name = current_module_name(e->value);
    if (name != e->value) {
        sl_conf_warning(b->report, place_of(s, e), "'%s' is deprecated, its name is now '%s'",
                        e->value, name);
    }
    bool exists = false;
    const struct sl_settings *table = b->modules->find(b->modules->arg, o->kind, name, &exists);
    if (table == NULL && !exists) {
        table = sl_conf_module_table(o->kind, name);
    }
    if (!exists) {
        refuse_module(b, o->kind, name, place_of(s, e));
    }
    *module_table_of(o) = table;
    return exists || table != NULL;
}

static void fill_object(struct builder *b, const struct sl_conf_section *s,
                        struct sl_conf_object *o)
{
    const struct kind *k = &kinds[o->kind];
    struct target targets[2] = {{k->table, settings_of(o)}};
    size_t count = 1;
    bool knows_all = true;
    sl_settings_defaults(k->table, targets[0].object);
    if (k->module_key != NULL) {
        knows_all = find_module(b, s, o);
        const struct sl_settings *table = *module_table_of(o);
        if (table != NULL) {
            void *settings = sl_xcalloc(1, table->struct_size);
            *module_settings_of(o) = settings;
            sl_settings_defaults(table, settings);
            targets[count++] = (struct target){table, settings};
        }
    }
    for (size_t i = 0; i < s->count; i++) {
        const struct sl_conf_entry *e = &s->entries[i];
        if (strcmp(e->key, "type") != 0 && strcmp(e->key, "@include") != 0) {
            fill_entry(b, s, e, targets, count, knows_all);
        }
    }
    for (size_t i = 0; i < count; i++) {
        require_mandatory(b, s, targets[i].table);
    }
}

static void build_objects(struct builder *b)
{
    struct sl_config *c = b->c;
    const struct sl_conf_sections *sections = &c->tree.sections;
    for (size_t i = 0; i < SL_CONF_KIND_COUNT;
         i++) { /* room for all: pointers to them must not move */
        *array_of(c, &kinds[i]) = sl_xcalloc(sections->count + 1, kinds[i].object_size);
    }
    for (size_t i = 0; i < sections->count; i++) {
        const struct sl_conf_section *s = &sections->items[i];
        if (strcmp(s->name, "maxscale") == 0) {
            continue;
        }
        const struct kind *k = kind_of(b, s);
        if (k == NULL) {
            continue;
        }
        struct sl_conf_object *o = object_at(c, k, (*count_of(c, k))++);
        *o = (struct sl_conf_object){.kind = (enum sl_conf_kind)(k - kinds),
                                     .name = sl_xstrdup(s->name),
                                     .file = s->file,
                                     .line = s->line,
                                     .is_runtime = s->is_runtime};
        fill_object(b, s, o);
    }
}

/* ---- finding ---- */

struct sl_conf_object *sl_conf_object_find(const struct sl_config *c, enum sl_conf_kind kind,
                                           const char *name)
{
    const struct kind *k = &kinds[kind];
    for (size_t i = 0; name != NULL && i < *count_of(c, k); i++) {
        struct sl_conf_object *o = object_at(c, k, i);
        if (strcmp(o->name, name) == 0) {
            return o;
        }
    }
    return NULL;
}

struct sl_conf_object *sl_conf_object_at(const struct sl_config *c, enum sl_conf_kind kind,
                                         size_t i)
{
    return i < *count_of(c, &kinds[kind]) ? object_at(c, &kinds[kind], i) : NULL;
}

/* ---- the whole ---- */

int sl_config_load(const struct sl_conf_options *options, const struct sl_conf_modules *modules,
                   struct sl_conf_report *report, struct sl_config **ret)
{
    struct sl_config *c = sl_xcalloc(1, sizeof(*c));
    struct builder b = {c, options, modules, report};
    struct sl_settings_environment before = sl_settings_environment_get();
    sl_conf_tree_load(options, &c->tree, report);
    build_global(&b);
    build_objects(&b);
    sl_conf_link(c, report);
    sl_conf_check(c, report);
    *ret = NULL;
    if (report->error_count > 0) {
        sl_config_free(c);
        sl_settings_environment_set(before); /* of the one in use, if any */
        return SL_EINVAL;
    }
    *ret = c;
    return 0;
}

static void free_object(struct sl_conf_object *o)
{
    const struct kind *k = &kinds[o->kind];
    sl_settings_clear(k->table, settings_of(o));
    if (k->module_key != NULL && *module_settings_of(o) != NULL) {
        sl_settings_clear(*module_table_of(o), *module_settings_of(o));
        sl_free(*module_settings_of(o));
    }
    sl_free(o->name);
}

void sl_config_free(struct sl_config *c)
{
    if (c == NULL) {
        return;
    }
    if (sl_settings_environment_get().path_base == c->global.module_configdir) {
        sl_settings_environment_set((struct sl_settings_environment){NULL, NULL});
    }
    for (size_t i = 0; i < c->monitor_count; i++) {
        sl_free(c->monitors[i].servers);
    }
    for (size_t i = 0; i < c->service_count; i++) {
        sl_free(c->services[i].targets);
        sl_free(c->services[i].servers);
        sl_free(c->services[i].filters);
    }
    for (size_t k = 0; k < SL_CONF_KIND_COUNT; k++) {
        for (size_t i = 0; i < *count_of(c, &kinds[k]); i++) {
            free_object(object_at(c, &kinds[k], i));
        }
        sl_free(*array_of(c, &kinds[k]));
    }
    sl_settings_clear(&sl_settings_global, &c->global);
    sl_secrets_free(c->secrets);
    sl_conf_tree_clear(&c->tree);
    sl_free(c);
}

struct sl_conf_server *sl_config_find_server(const struct sl_config *c, const char *name)
{
    return (struct sl_conf_server *)(void *)sl_conf_object_find(c, SL_CONF_SERVER, name);
}

struct sl_conf_monitor *sl_config_find_monitor(const struct sl_config *c, const char *name)
{
    return (struct sl_conf_monitor *)(void *)sl_conf_object_find(c, SL_CONF_MONITOR, name);
}

struct sl_conf_service *sl_config_find_service(const struct sl_config *c, const char *name)
{
    return (struct sl_conf_service *)(void *)sl_conf_object_find(c, SL_CONF_SERVICE, name);
}

struct sl_conf_listener *sl_config_find_listener(const struct sl_config *c, const char *name)
{
    return (struct sl_conf_listener *)(void *)sl_conf_object_find(c, SL_CONF_LISTENER, name);
}

struct sl_conf_filter *sl_config_find_filter(const struct sl_config *c, const char *name)
{
    return (struct sl_conf_filter *)(void *)sl_conf_object_find(c, SL_CONF_FILTER, name);
}
