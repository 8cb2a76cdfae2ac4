/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router binlogrouter: what the configuration says, checked, and made ready for the other parts.
 * Control thread, but for sl_relay_tuning(), which is pure.
 */
#ifndef SL_ROUTER_BINLOG_CONFIG_H
#define SL_ROUTER_BINLOG_CONFIG_H

#include "conf/tables.h"
#include "core/core.h"
#include "router/binlog/store.h"

#define SL_RELAY_KEYS_MAX 1 /* versions: a key file knows one of each key */

/* Where the store is; the caller frees. */
char *sl_relay_datadir(const struct sl_service *service, const struct sl_binlog_settings *t);
/* With the directories above it. SL_ESYS. */
int sl_relay_datadir_make(const char *path, struct sl_err *err);

/* What rows cannot say of themselves. SL_EINVAL. */
int sl_relay_settings_check(const struct sl_binlog_settings *t, struct sl_err *err);

/* Makes the id if none is written, and refuses one that somebody else of the topology has, as far as
 * that is known: SL_EINVAL. */
int sl_relay_server_id(const struct sl_service *service, struct sl_binlog_settings *t,
                       const char *datadir, struct sl_err *err);
/* Pure: the same for the same names; never below 2^31. `attempt` gives another one. */
uint32_t sl_relay_server_id_make(const char *machine, const char *host, const char *datadir,
                                 unsigned attempt);

/* The keys of encryption at rest; none when it is off. Wipe them. SL_EINVAL, SL_ESYS. */
int sl_relay_keys(const struct sl_service *service, const struct sl_binlog_settings *t,
                  struct sl_store_key keys[SL_RELAY_KEYS_MAX], unsigned *ret_count,
                  struct sl_err *err);
/* A key file (lines "id;hex", # begins a comment): the key with this id. SL_ENOENT: it is not in
 * there. SL_EINVAL: the file is wrong, err names the line. Never shows a key. */
int sl_relay_key_find(struct sl_slice file, const char *id, struct sl_store_key *ret,
                      struct sl_err *err);

enum sl_event_cipher sl_relay_cipher(const struct sl_binlog_settings *t);
void sl_relay_tuning(const struct sl_binlog_settings *t, struct sl_store_tuning *ret);

#endif
