/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checked configuration: typed objects that refer to each other, built from the tree in one
 * pass that reports every error and warning it finds.
 *
 *   monitor --> server <-- service <-- listener        (service may name a monitor as its cluster)
 *                             ^ |
 *                             +-+  and other services as targets; never in a circle
 *
 * Immutable after loading. Control thread; modules get their struct by pointer.
 */
#ifndef SL_CONF_CONFIG_H
#define SL_CONF_CONFIG_H

#include "conf/report.h"
#include "conf/tables.h"
#include "conf/tree.h"

/* Services behind each other that a statement may pass, the first included. */
#define SL_CONF_CHAIN_MAX 8

enum sl_conf_kind {
    SL_CONF_SERVER,
    SL_CONF_MONITOR,
    SL_CONF_SERVICE,
    SL_CONF_LISTENER,
    SL_CONF_FILTER,
    SL_CONF_KIND_COUNT
};

/* What every object has; the first member of each. */
struct sl_conf_object {
    enum sl_conf_kind kind;
    char *name;
    const char *file; /* owned by the configuration */
    int line;
    bool is_runtime; /* from a change made at runtime */
};

struct sl_conf_server {
    struct sl_conf_object object;
    struct sl_server_settings settings;
    struct sl_conf_monitor *monitor; /* the one that watches it, or NULL */
};

struct sl_conf_monitor {
    struct sl_conf_object object;
    struct sl_monitor_settings settings;
    const struct sl_settings *module_table; /* what module_settings is filled by */
    void *module_settings;
    struct sl_conf_server **servers; /* in the order of the file */
    size_t server_count;
};

struct sl_conf_filter {
    struct sl_conf_object object;
    struct sl_filter_settings settings;
    const struct sl_settings *module_table;
    void *module_settings;
};

struct sl_conf_service {
    struct sl_conf_object object;
    struct sl_service_settings settings;
    const struct sl_settings *router_table;
    void *router_settings;
    /* what `servers`, `targets` or `cluster` name, in their order: servers and services, */
    struct sl_conf_object **targets;
    size_t target_count;
    struct sl_conf_server **servers; /* and of these the servers */
    size_t server_count;
    bool is_target; /* another service's */
    /* services behind each other, this one included; 1: all its targets are servers */
    unsigned chain_length;
    struct sl_conf_filter **filters;
    size_t filter_count;
    struct sl_conf_monitor *cluster; /* or NULL */
};

struct sl_conf_listener {
    struct sl_conf_object object;
    struct sl_listener_settings settings;
    struct sl_conf_service *service;
};

struct sl_config {
    struct sl_global_settings global;
    struct sl_conf_server *servers;
    size_t server_count;
    struct sl_conf_monitor *monitors;
    size_t monitor_count;
    struct sl_conf_service *services;
    size_t service_count;
    struct sl_conf_listener *listeners;
    size_t listener_count;
    struct sl_conf_filter *filters;
    size_t filter_count;
    struct sl_secrets *secrets; /* key of encrypted passwords, or NULL: passwords are plain */
    struct sl_conf_tree tree;   /* what was read; owns the file names */
};

/* How conf learns of modules, which it does not know itself. kind: SERVICE (routers), MONITOR or
 * FILTER. */
struct sl_conf_modules {
    void *arg;
    /* The module's table, or NULL when it has none. *ret_exists: is it part of this program? */
    const struct sl_settings *(*find)(void *arg, enum sl_conf_kind kind, const char *name,
                                      bool *ret_exists);
};

/*
 * Reads and checks everything. 0, or SL_EINVAL when the report holds errors; *ret is then NULL.
 * Also sets the environment of sl_setting_parse() (path base, secrets), which points into the
 * configuration: it is taken back by sl_config_free() of the same one.
 */
int sl_config_load(const struct sl_conf_options *options, const struct sl_conf_modules *modules,
                   struct sl_conf_report *report, struct sl_config **ret);
void sl_config_free(struct sl_config *c);

/* The service that a target is, or NULL: it is a server. */
static inline struct sl_conf_service *sl_conf_target_service(const struct sl_conf_object *target)
{
    return target->kind == SL_CONF_SERVICE ? (struct sl_conf_service *)(void *)(uintptr_t)target
                                           : NULL;
}

/* NULL when there is none of that name. */
struct sl_conf_server *sl_config_find_server(const struct sl_config *c, const char *name);
struct sl_conf_monitor *sl_config_find_monitor(const struct sl_config *c, const char *name);
struct sl_conf_service *sl_config_find_service(const struct sl_config *c, const char *name);
struct sl_conf_listener *sl_config_find_listener(const struct sl_config *c, const char *name);
struct sl_conf_filter *sl_config_find_filter(const struct sl_config *c, const char *name);

/* The settings table of a module by its name, whether the module exists in this program or not;
 * NULL: none known. */
const struct sl_settings *sl_conf_module_table(enum sl_conf_kind kind, const char *name);
/* The i-th module name conf has heard of, for messages; NULL past the end. */
const char *sl_conf_module_name(enum sl_conf_kind kind, size_t i);

/* "server", "service", ... */
const char *sl_conf_kind_name(enum sl_conf_kind kind);

struct sl_conf_throttling {
    uint32_t count;
    uint32_t window_ms;
    uint32_t suppress_ms;
};
/* `log_throttling`: "count,window,time"; empty or any 0 switches it off (all zero). SL_EINVAL with
 * *err. */
int sl_conf_throttling_parse(const char *text, struct sl_conf_throttling *ret, struct sl_err *err);

/* Calls fn for each item of a LIST ("a,b") or PIPE_LIST value; NULL text has none. */
void sl_conf_list_each(const char *list, char separator, void (*fn)(void *arg, const char *item),
                       void *arg);

#endif
