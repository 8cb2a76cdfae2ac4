/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. A thread may stay in the resolver for longer than the core lives that asked, so
 * nothing waits for it: each look-up belongs to an era, and cancelling begins the next one. The
 * lock is held during on_name, so that none is under way when cancelling returns.
 */
#include "core/name_lookup.h"

#include <pthread.h>
#include <stdatomic.h>

#include "net/listener.h"

static atomic_uint running;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards current_era */
static unsigned current_era;

static void *look_up(void *arg)
{
    struct sl_name_lookup *l = arg;
    sl_address_name(&l->peer, l->name, sizeof l->name);
    atomic_fetch_sub(&running, 1);
    pthread_mutex_lock(&lock);
    if (l->era == current_era) {
        l->on_name(l);
    } else {
        l->on_cancel(l);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

bool sl_name_lookup_start(struct sl_name_lookup *l)
{
    pthread_t thread;
    pthread_mutex_lock(&lock);
    l->era = current_era;
    pthread_mutex_unlock(&lock);
    if (atomic_fetch_add(&running, 1) >= SL_NAME_LOOKUPS_MAX ||
        pthread_create(&thread, NULL, look_up, l) != 0) {
        atomic_fetch_sub(&running, 1);
        return false;
    }
    pthread_detach(thread);
    return true;
}

void sl_name_lookup_cancel(void)
{
    pthread_mutex_lock(&lock);
    current_era++;
    pthread_mutex_unlock(&lock);
}
