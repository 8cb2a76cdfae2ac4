/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Module names conf has heard of, with their tables if their settings are known here.
 *
 * A name in this list need not exist in the program: it only makes the message better ("not
 * available" instead of "unknown"). Names: MaxScale 24.02 documentation. Constant data; any thread.
 */
#include <string.h>

#include "base/assert.h"
#include "conf/config.h"

static const struct {
    enum sl_conf_kind kind;
    const char *name;
    const struct sl_settings *table;
} known[] = {
    {SL_CONF_SERVICE, "readwritesplit", &sl_settings_readwritesplit},
    {SL_CONF_SERVICE, "readconnroute", &sl_settings_readconnroute},
    {SL_CONF_SERVICE, "tcp", &sl_settings_tcp},
    {SL_CONF_SERVICE, "binlogrouter", &sl_settings_binlogrouter},
    {SL_CONF_SERVICE, "schemarouter", NULL},
    {SL_CONF_SERVICE, "smartrouter", NULL},
    {SL_CONF_SERVICE, "mirror", NULL},
    {SL_CONF_SERVICE, "kafkacdc", NULL},
    {SL_CONF_SERVICE, "kafkaimporter", NULL},
    {SL_CONF_SERVICE, "avrorouter", NULL},
    {SL_CONF_MONITOR, "galeramon", &sl_settings_galeramon},
    {SL_CONF_MONITOR, "mariadbmon", &sl_settings_mariadbmon},
    {SL_CONF_MONITOR, "xpandmon", NULL},
    {SL_CONF_MONITOR, "csmon", NULL},
    {SL_CONF_MONITOR, "auroramon", NULL},
    {SL_CONF_FILTER, "qlafilter", NULL},
    {SL_CONF_FILTER, "hintfilter", NULL},
    {SL_CONF_FILTER, "namedserverfilter", NULL},
    {SL_CONF_FILTER, "ccrfilter", NULL},
    {SL_CONF_FILTER, "cache", NULL},
    {SL_CONF_FILTER, "regexfilter", NULL},
    {SL_CONF_FILTER, "rewritefilter", NULL},
    {SL_CONF_FILTER, "masking", NULL},
    {SL_CONF_FILTER, "throttlefilter", NULL},
    {SL_CONF_FILTER, "maxrows", NULL},
    {SL_CONF_FILTER, "tee", NULL},
    {SL_CONF_FILTER, "comment", NULL},
    {SL_CONF_FILTER, "binlogfilter", NULL},
    {SL_CONF_FILTER, "topfilter", NULL},
    {SL_CONF_FILTER, "luafilter", NULL},
    {SL_CONF_FILTER, "tpmfilter", NULL},
    {SL_CONF_FILTER, "ldi", NULL},
    {SL_CONF_FILTER, "wcar", NULL},
};

const struct sl_settings *sl_conf_module_table(enum sl_conf_kind kind, const char *name)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(known); i++) {
        if (known[i].kind == kind && strcmp(known[i].name, name) == 0) {
            return known[i].table;
        }
    }
    return NULL;
}

const char *sl_conf_module_name(enum sl_conf_kind kind, size_t i)
{
    for (size_t k = 0; k < SL_ARRAY_LEN(known); k++) {
        if (known[k].kind == kind && i-- == 0) {
            return known[k].name;
        }
    }
    return NULL;
}

const char *sl_conf_kind_name(enum sl_conf_kind kind)
{
    static const char *const names[] = {
        [SL_CONF_SERVER] = "server",   [SL_CONF_MONITOR] = "monitor",
        [SL_CONF_SERVICE] = "service", [SL_CONF_LISTENER] = "listener",
        [SL_CONF_FILTER] = "filter",
    };
    return names[kind];
}
