/* SPDX-License-Identifier: Apache-2.0 */
/* The one list of modules of this program: nothing registers itself. */
#include "daemon/modules.h"

#include <string.h>

#include "filter/filters.h"
#include "monitor/monitors.h"
#include "router/routers.h"

const struct sl_module *const sl_daemon_modules[] = {
    &sl_module_readwritesplit, &sl_module_readconnroute, &sl_module_tcp, &sl_module_binlogrouter,
    &sl_module_galeramon,      &sl_module_hintfilter,    NULL,
};

static const struct sl_settings *find(void *arg, enum sl_conf_kind kind, const char *name,
                                      bool *ret_exists)
{
    enum sl_module_kind wanted = kind == SL_CONF_SERVICE   ? SL_MODULE_ROUTER
                                 : kind == SL_CONF_MONITOR ? SL_MODULE_MONITOR
                                                           : SL_MODULE_FILTER;
    for (unsigned i = 0; sl_daemon_modules[i]; i++) {
        const struct sl_module *m = sl_daemon_modules[i];
        if (m->kind == wanted && strcmp(m->name, name) == 0) {
            *ret_exists = true;
            return m->settings;
        }
    }
    *ret_exists = false;
    return sl_conf_module_table(kind, name);
}

const struct sl_conf_modules sl_daemon_conf_modules = {NULL, find};
