/* SPDX-License-Identifier: Apache-2.0 */
/* Router binlogrouter: settings that change while it runs, by SQL or REST. Any thread. */
#ifndef SL_ROUTER_BINLOG_TUNE_H
#define SL_ROUTER_BINLOG_TUNE_H

#include "router/binlog/relay.h"

/* A copy of the settings in force; sl_settings_clear(&sl_settings_binlogrouter, ret). 0 or
 * SL_ENOMEM, with *ret empty. */
int sl_relay_in_force(struct sl_relay *relay, struct sl_binlog_settings *ret);

/* Checks the settings and takes those that may change (flag RUNTIME): all or none. SL_EINVAL,
 * SL_ESYS, SL_ENOMEM. Lasts until the daemon ends. */
int sl_relay_tune(struct sl_relay *relay, const struct sl_binlog_settings *t, struct sl_err *err);

/* The same for the core: struct sl_router_ops. */
int sl_relay_settings_get(const struct sl_service *service, void *ret);
int sl_relay_settings_set(struct sl_service *service, const void *settings, struct sl_err *err);

#endif
