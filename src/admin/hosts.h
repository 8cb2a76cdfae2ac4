/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of client hosts: addresses, networks (10.0.0.0/8), patterns with % and _ for names and
 * addresses. */
#ifndef SL_ADMIN_HOSTS_H
#define SL_ADMIN_HOSTS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/error.h"

struct sl_hosts;

/* Comma list; NULL or empty matches nobody. SL_EINVAL with *err. */
int sl_hosts_parse(const char *list, struct sl_hosts **ret, struct sl_err *err);
void sl_hosts_free(struct sl_hosts *h);
/* Are there patterns that need the client's name? */
bool sl_hosts_need_name(const struct sl_hosts *h);
/* `name` is the client's reverse DNS name, NULL when it is not known. */
bool sl_hosts_match(const struct sl_hosts *h, const struct sockaddr_storage *peer,
                    const char *name);

#endif
