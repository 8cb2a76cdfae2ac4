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

/* Rows that change while running are numbers and truth values. */
static void merge(struct sl_binlog_settings *next, const struct sl_binlog_settings *from,
                  const struct sl_binlog_settings *to)
{
    for (const struct sl_setting *row = sl_settings_binlogrouter.rows; row->name; row++) {
        size_t size = row->type == SL_SETTING_BOOL ? sizeof(bool) : sizeof(int64_t);
        const char *new_value = (const char *)to + row->offset;
        if ((row->flags & SL_SETTING_RUNTIME) &&
            memcmp((const char *)from + row->offset, new_value, size) != 0) {
            memcpy((char *)next + row->offset, new_value, size);
        }
    }
}

/* Takes `next`. */
static int put_in_force(struct sl_relay *relay, struct sl_binlog_settings *next, struct sl_err *err)
{
    const struct sl_upstream_tuning upstream = sl_upstream_tuning(next);
    struct sl_store_tuning tuning;
    sl_relay_tuning(next, &tuning);
    if (sl_upstream_tune(relay->upstream, &upstream) < 0) {
        return sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    pthread_mutex_lock(&relay->lock);
    struct sl_binlog_settings old = relay->in_force;
    relay->in_force = *next;
    atomic_store(&relay->ahead_timeout_ms, (uint64_t)next->gtid_ahead_timeout);
    atomic_store(&relay->semi_sync_to_replicas, next->rpl_semi_sync_master_enabled);
    sl_replicas_tune(relay->replicas, (uint64_t)next->replica_retention);
    sl_store_tune(relay->store, &tuning);
    pthread_mutex_unlock(&relay->lock);
    *next = old;
    return SL_OK;
}

int sl_relay_tune(struct sl_relay *relay, const struct sl_binlog_settings *from,
                  const struct sl_binlog_settings *to, struct sl_err *err)
{
    struct sl_binlog_settings next;
    pthread_mutex_lock(&relay->tuning);
    int rc = sl_relay_in_force(relay, &next);
    if (rc < 0) {
        sl_err_set(err, rc, "out of memory");
    } else {
        merge(&next, from, to);
        rc = sl_relay_settings_check(&next, err);
        rc = rc < 0 ? rc : put_in_force(relay, &next, err);
        sl_settings_clear(&sl_settings_binlogrouter, &next);
    }
    pthread_mutex_unlock(&relay->tuning);
    return rc;
}

int sl_relay_settings_get(const struct sl_service *service, void *ret)
{
    return sl_relay_in_force(service->instance, ret);
}

int sl_relay_settings_set(struct sl_service *service, const void *from, const void *to,
                          struct sl_err *err)
{
    return sl_relay_tune(service->instance, from, to, err);
}
