/* SPDX-License-Identifier: Apache-2.0 */
/* Router binlogrouter: settings that change while it runs, by SQL or REST. Any thread. */
#ifndef SL_ROUTER_BINLOG_TUNE_H
#define SL_ROUTER_BINLOG_TUNE_H

#include "router/binlog/relay.h"

/* A copy of the settings in force; sl_settings_clear(&sl_settings_binlogrouter, ret). 0 or
 * SL_ENOMEM, with *ret empty. */
int sl_relay_in_force(struct sl_relay *relay, struct sl_binlog_settings *ret);

/* Of what may change while running (flag RUNTIME), what differs between `from`, a copy of what was in
 * force, and `to`: checked together with what is in force now, and taken, all or none. What somebody
 * else has changed since the copy was made stays. SL_EINVAL, SL_ESYS, SL_ENOMEM. Lasts until the
 * daemon ends. */
int sl_relay_tune(struct sl_relay *relay, const struct sl_binlog_settings *from,
                  const struct sl_binlog_settings *to, struct sl_err *err);

/* The same for the core: struct sl_router_ops. */
int sl_relay_settings_get(const struct sl_service *service, void *ret);
int sl_relay_settings_set(struct sl_service *service, const void *from, const void *to,
                          struct sl_err *err);

#endif
