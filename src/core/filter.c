/* SPDX-License-Identifier: Apache-2.0 */
/* The chain of filters of a service; see filter.h. */
#include "core/filter.h"

#include <string.h>

#include "base/mem.h"
#include "core/core.h"
#include "core/session.h"

void sl_filters_build(struct sl_core *core)
{
    const struct sl_config *config = core->config;
    core->filters = sl_xcalloc(config->filter_count + 1, sizeof *core->filters);
    core->filter_count = (unsigned)config->filter_count;
    for (unsigned i = 0; i < core->filter_count; i++) {
        const struct sl_conf_filter *conf = &config->filters[i];
        struct sl_filter *f = &core->filters[i];
        f->name = conf->object.name;
        f->source_file = conf->object.file;
        f->module = sl_core_module(core, SL_MODULE_FILTER, conf->settings.module);
        f->ops = f->module->ops;
    }
}

void sl_filters_chain(struct sl_core *core, const struct sl_conf_service *conf,
                      struct sl_service *service)
{
    service->filters = sl_xcalloc(conf->filter_count + 1, sizeof *service->filters);
    service->filter_count = (unsigned)conf->filter_count;
    for (unsigned i = 0; i < service->filter_count; i++) {
        service->filters[i] = sl_core_filter(core, conf->filters[i]->object.name);
    }
}

int sl_filters_open(struct sl_session *s)
{
    if (s->service->filter_count == 0 || s->filters) {
        return SL_OK;
    }
    s->filters = sl_calloc(s->service->filter_count, sizeof *s->filters);
    return s->filters ? SL_OK : SL_ENOMEM;
}

void sl_filters_close(struct sl_session *s)
{
    for (unsigned i = 0; s->filters && i < s->service->filter_count; i++) {
        if (s->filters[i]) {
            s->service->filters[i]->ops->session_close(s->filters[i]);
        }
    }
    sl_free(s->filters);
    s->filters = NULL;
    s->hint = (struct sl_hint){0};
}

void sl_filters_run(struct sl_session *s, const struct sl_request *rq)
{
    s->hint = (struct sl_hint){0};
    for (unsigned i = 0; s->filters && i < s->service->filter_count; i++) {
        s->service->filters[i]->ops->on_request(s, &s->filters[i], rq);
    }
}
