/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings that change while the daemon runs: what is in force replaces what the configuration file
 * says in the `parameters` of an object.
 */
#ifndef SL_ADMIN_TUNE_H
#define SL_ADMIN_TUNE_H

#include "admin/params.h"

struct sl_core;
struct sl_service;

void sl_tune_show_global(json_t *parameters, const struct sl_core *core);
/* With the parameters of its router. */
void sl_tune_show_service(json_t *parameters, const struct sl_service *service);

#endif
