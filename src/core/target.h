/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services as targets of services (docs/internals/service-targets.md).
 *
 * In the lists of the outer services a stand-in is the server: a struct sl_server whose `service` is
 * the inner one. Its status word is derived from the servers behind it. A backend to it is one end
 * of a socketpair, the other end is the client of an inner session on the same worker.
 */
#ifndef SL_CORE_TARGET_H
#define SL_CORE_TARGET_H

#include "base/error.h"
#include "conf/config.h"
#include "core/service.h"

struct sl_backend;
struct sl_core;

/* Makes the stand-in and the listener of a service that is somebody's target. Control thread,
 * before the lists are made. */
int sl_target_new(struct sl_service *s, const struct sl_conf_service *conf, unsigned index,
                  struct sl_err *err);
void sl_target_free(struct sl_service *s);

/* Fills service->servers and ->reached of all services, when all of them exist. Control thread. */
void sl_targets_link(struct sl_core *core);

/* Derives the states of all stand-ins anew. True if one has changed. Any thread; nothing happens
 * while no service is a target. */
bool sl_targets_refresh(struct sl_core *core);

/* Status word of the service as a target, from the words of its own targets. Pure but for reading
 * these; any thread. */
uint32_t sl_target_status(const struct sl_service *s);

/* Instead of connecting to a server: makes the inner session. The greeting comes later, never from
 * inside this call. SL_OK, SL_ESYS, SL_ENOMEM, SL_ELIMIT. Worker. */
int sl_target_connect(struct sl_backend *b);

#endif
