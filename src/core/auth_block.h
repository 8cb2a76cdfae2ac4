/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that failed to log in too often (max_auth_errors_until_block), per worker: blocked for
 * a minute. */
#ifndef SL_CORE_AUTH_BLOCK_H
#define SL_CORE_AUTH_BLOCK_H

#include <stdbool.h>
#include <sys/socket.h>

struct sl_worker;

bool sl_auth_block_is_blocked(struct sl_worker *w, const struct sockaddr_storage *peer);
/* A login from there failed; or succeeded, which forgets the failures. */
void sl_auth_block_failed(struct sl_worker *w, const struct sockaddr_storage *peer);
void sl_auth_block_succeeded(struct sl_worker *w, const struct sockaddr_storage *peer);
void sl_auth_block_clear(struct sl_worker *w);

#endif
