/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters: what looks at a client's commands before the router does. A filter is a section of the
 * configuration with a module; a service has a chain of them, in the order of its `filters`.
 *
 *   command --> filters[0] --> ... --> filters[n-1] --> router
 *
 * A filter sees each command once, also when the router has to hold it and gets it again. Each
 * session keeps one pointer for each filter of its service. Filters are immutable after start.
 */
#ifndef SL_CORE_FILTER_H
#define SL_CORE_FILTER_H

#include "base/error.h"
#include "core/module.h"

struct sl_core;
struct sl_conf_service;

struct sl_filter {
    const char *name; /* the configuration's */
    const char *source_file;
    const struct sl_module *module;
    const struct sl_filter_ops *ops; /* module->ops */
};

/* All filters of the configuration. Control thread, at start. */
void sl_filters_build(struct sl_core *core);
/* The chain of a service; it owns the array. */
void sl_filters_chain(struct sl_core *core, const struct sl_conf_service *conf,
                      struct sl_service *service);

/* The client is authenticated: room for the filters' pointers. SL_ENOMEM. Session's worker. */
int sl_filters_open(struct sl_session *s);
/* Frees what the filters keep of this session: it ends, or another user begins anew. */
void sl_filters_close(struct sl_session *s);
/* A command that no filter has seen yet. */
void sl_filters_run(struct sl_session *s, const struct sl_request *rq);

#endif
