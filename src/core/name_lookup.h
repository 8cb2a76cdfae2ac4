/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of clients by reverse DNS. A short-lived thread for each look-up, since the resolver
 * blocks; SL_NAME_LOOKUPS_MAX at a time.
 */
#ifndef SL_CORE_NAME_LOOKUP_H
#define SL_CORE_NAME_LOOKUP_H

#include <stdbool.h>
#include <sys/socket.h>

#define SL_NAME_LOOKUPS_MAX 16
#define SL_NAME_MAX 256

struct sl_name_lookup {
    struct sockaddr_storage peer;
    char name[SL_NAME_MAX]; /* "" if it has none */
    /* From the look-up's thread, with the name; the look-up is the caller's again. */
    void (*on_name)(struct sl_name_lookup *l);
    /* In place of on_name after sl_name_lookup_cancel(). */
    void (*on_cancel)(struct sl_name_lookup *l);
    unsigned era;
};

/* Starts one; peer and the callbacks are set. False, and nothing is called: there are too many, or
 * no thread can be had. Any thread. */
bool sl_name_lookup_start(struct sl_name_lookup *l);

/* No look-up begun so far calls on_name after this: what it would tell is going away. Any thread. */
void sl_name_lookup_cancel(void);

#endif
