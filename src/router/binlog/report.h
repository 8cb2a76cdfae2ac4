/* SPDX-License-Identifier: Apache-2.0 */
/* Router binlogrouter: what it tells about itself. Any thread. */
#ifndef SL_ROUTER_BINLOG_REPORT_H
#define SL_ROUTER_BINLOG_REPORT_H

#include "core/diag.h"
#include "router/binlog/relay.h"

/* Fields of router_diagnostics: struct sl_router_ops. */
void sl_report_diagnostics(const struct sl_service *service, struct sl_diag *out);
/* Elements of an array, one object per replica, connected or remembered. */
void sl_report_replicas(const struct sl_service *service, struct sl_diag *out);
/* What COM_STATISTICS answers. Returns the length, less than size. */
int sl_report_statistics(const struct sl_service *service, char *out, size_t size);

#endif
