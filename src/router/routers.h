/* SPDX-License-Identifier: Apache-2.0 */
/* The router modules, for the daemon's list. */
#ifndef SL_ROUTER_ROUTERS_H
#define SL_ROUTER_ROUTERS_H

#include "core/module.h"

extern const struct sl_module sl_module_readwritesplit;
extern const struct sl_module sl_module_readconnroute;
extern const struct sl_module sl_module_tcp;
extern const struct sl_module sl_module_binlogrouter;

#endif
