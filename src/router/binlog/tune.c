/* SPDX-License-Identifier: Apache-2.0 */
/* Router binlogrouter: settings that change while it runs. See tune.h. */
#include "router/binlog/tune.h"

#include <string.h>

#include "router/binlog/config.h"

int sl_relay_in_force(struct sl_relay *relay, struct sl_binlog_settings *ret)
{
    memset(ret, 0, sizeof *ret);
    pthread_mutex_lock(&relay->lock);
    int rc = sl_settings_copy(&sl_settings_binlogrouter, ret, &relay->in_force);
    pthread_mutex_unlock(&relay->lock);
    return rc;
}

int sl_relay_tune(struct sl_relay *relay, const struct sl_binlog_settings *t, struct sl_err *err)
{
    int rc = sl_relay_settings_check(t, err);
    if (rc < 0) {
        return rc;
    }
    struct sl_binlog_settings copy = {0};
    struct sl_store_tuning tuning;
    sl_relay_tuning(t, &tuning);
    if (sl_settings_copy(&sl_settings_binlogrouter, &copy, t) < 0) {
        return sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    pthread_mutex_lock(&relay->lock);
    struct sl_binlog_settings old = relay->in_force;
    relay->in_force = copy;
    atomic_store(&relay->ahead_timeout_ms, (uint64_t)t->gtid_ahead_timeout);
    atomic_store(&relay->semi_sync_to_replicas, t->rpl_semi_sync_master_enabled);
    sl_replicas_tune(relay->replicas, (uint64_t)t->replica_retention);
    sl_store_tune(relay->store, &tuning);
    pthread_mutex_unlock(&relay->lock);
    sl_settings_clear(&sl_settings_binlogrouter, &old);
    return SL_OK;
}

int sl_relay_settings_get(const struct sl_service *service, void *ret)
{
    return sl_relay_in_force(service->instance, ret);
}

int sl_relay_settings_set(struct sl_service *service, const void *settings, struct sl_err *err)
{
    return sl_relay_tune(service->instance, settings, err);
}
