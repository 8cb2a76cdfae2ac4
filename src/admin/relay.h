/* SPDX-License-Identifier: Apache-2.0 */
/* What routers say of themselves, and the metrics of those that serve replicas. */
#ifndef SL_ADMIN_RELAY_H
#define SL_ADMIN_RELAY_H

#include <jansson.h>

#include "base/buffer.h"

struct sl_core;
struct sl_service;

/* The router's diagnostics as an object; empty if it has none. */
json_t *sl_admin_diagnostics(const struct sl_service *s);
/* Appends metrics of all services that serve replicas. */
void sl_admin_relay_metrics(struct sl_buf *out, const struct sl_core *core);

#endif
