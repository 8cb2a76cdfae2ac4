/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's heap: malloc(3) with a small cache of record buffers in each thread. */
#ifndef SL_NET_TLS_MEMORY_H
#define SL_NET_TLS_MEMORY_H

#include <stdbool.h>

/* Puts the cache under OpenSSL. To be called once, before anything of OpenSSL allocates and before
 * a second thread exists; false, and nothing changed, when it is too late. */
bool sl_tls_memory_install(void);

#endif
